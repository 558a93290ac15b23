"""Documents in FHIR: a Bundle shares the fate of the DocumentReference that points to it (ADR 0034)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests import pdsm
from tests.conformance.choices import authorisation
from tests.conformance.own_record import OwnRecord, own_record
from tests.served import FHIR_JSON, Served

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
CATEGORY = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"


def visibility(code: str) -> dict[str, Any]:
    return pdsm.coded(pdsm.TRE_A07, code)


def confidential(*codes: str) -> list[dict[str, Any]]:
    """The labels of a document, with these of visibility."""
    return [pdsm.coded(pdsm.CONFIDENTIALITY, "N"), *map(visibility, codes)]


def fhir_document(subject: dict[str, Any], *held: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A document in FHIR about this subject, that holds these entries too."""
    author, name = pdsm.urn(), pdsm.urn()
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": pdsm.coded("http://loinc.org", "60591-5"),
        "subject": subject,
        "date": "2026-11-20T10:00:00+01:00",
        "author": [{"reference": author}],
        "title": "Synthèse",
    }
    practitioner = {"resourceType": "Practitioner", "name": [{"family": "Benali"}]}
    entries = [{"fullUrl": name, "resource": composition}, {"fullUrl": author, "resource": practitioner}, *held]
    return {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": pdsm.urn()},
        "timestamp": "2026-11-20T10:00:00+01:00",
        "entry": entries,
        **members,
    }


def patient_inside(full_url: str, **members: Any) -> dict[str, Any]:
    return {"fullUrl": full_url, "resource": {"resourceType": "Patient", "name": [{"family": "Essai"}], **members}}


def about(record: OwnRecord) -> dict[str, Any]:
    return {"reference": f"Patient/{record.id}"}


def told_inside(way: str, record: OwnRecord) -> dict[str, Any]:
    """A document that names its patient in one of the ways that tell no record of this server."""
    name = pdsm.urn()
    match way:
        case "urn":
            return fhir_document({"reference": name}, patient_inside(name))
        case "fullUrl":
            return fhir_document({"reference": "Patient/p"}, patient_inside("https://chu.example/fhir/Patient/p"))
        case "elsewhere":
            return fhir_document({"reference": "https://chu.example/fhir/Patient/p"})
        case "INS":
            return fhir_document({"identifier": {"system": pdsm.INS_TEST, "value": record.ins}})
        case "nobody":
            document = fhir_document({})
            del document["entry"][0]["resource"]["subject"]
            return document
        case _:
            raise AssertionError(way)


WAYS = ("urn", "fullUrl", "elsewhere", "INS", "nobody")


def reference(record: OwnRecord, url: str, *labels: str, **members: Any) -> dict[str, Any]:
    told = pdsm.document(record.ins, url, securityLabel=confidential(*labels), **members)
    attachment = told["content"][0]["attachment"]
    attachment["contentType"] = "application/fhir+json"
    return told


def post(client: httpx.Client, resource: dict[str, Any]) -> httpx.Response:
    path = "" if resource.get("type") == "transaction" else resource["resourceType"]
    return client.post(path, content=json.dumps(resource), headers=FHIR_JSON)


def created(client: httpx.Client, resource: dict[str, Any]) -> str:
    answer = post(client, resource)
    assert answer.status_code == 201, answer.text
    return f"{resource['resourceType']}/{answer.json()['id']}"


def provide(client: httpx.Client, record: OwnRecord, document: dict[str, Any], *labels: str) -> tuple[str, str]:
    """Publish by ITI-65; the DocumentReference and the Bundle."""
    name, content = pdsm.urn(), pdsm.urn()
    answer = post(
        client,
        pdsm.bundle(
            pdsm.entry(pdsm.submission(record.ins, [name]), full_url=pdsm.urn()),
            pdsm.entry(reference(record, content, *labels), full_url=name),
            pdsm.entry(document, full_url=content),
        ),
    )
    assert answer.status_code == 200, answer.text
    where = [
        one["response"]["location"].partition("/fhir/")[2].partition("/_history/")[0] for one in answer.json()["entry"]
    ]
    return where[1], where[2]


def doors(client: httpx.Client, record: OwnRecord, key: str) -> dict[str, bool]:
    """By door, whether a client finds a Bundle there."""
    id = key.partition("/")[2]
    found = {
        "read": client.get(key).status_code == 200,
        "vread": client.get(f"{key}/_history/1").status_code == 200,
        "history": client.get(f"{key}/_history").status_code == 200,
    }
    for query in (f"_id={id}", "type=document&_count=200"):
        answer = client.get(f"Bundle?{query}")
        found[query.partition("&")[0].partition("=")[0]] = f'"{id}"' in answer.text
    for name, path in (
        ("history of the type", "Bundle/_history?_count=200"),
        ("everything", f"Patient/{record.id}/$everything?_count=200"),
    ):
        found[name] = f'"{id}"' in client.get(path).text
    return found


def is_hidden(client: httpx.Client, record: OwnRecord, key: str) -> bool:
    """At every door at once."""
    return not any(doors(client, record, key).values())


def is_shown(client: httpx.Client, record: OwnRecord, key: str) -> bool:
    found = doors(client, record, key)
    return found["read"] and found["vread"] and found["history"] and found["_id"]


@pytest.fixture
def record(served: Served) -> OwnRecord:
    own = own_record(served)
    for who in ("specialiste", "inconnu", "infirmier"):
        own.chosen(authorisation(own, who))
    return own


@pytest.fixture
def hospital(record: OwnRecord) -> httpx.Client:
    return record.as_("hopital")


READERS = ("patient", "representant", "specialiste", "inconnu", "infirmier", "samu", "hopital")
"""The specialiste is the author of `pdsm.document`, whom its mask spares."""
HIDDEN_FROM = {
    "MASQUE_PS": {"inconnu", "infirmier", "samu"},
    "INVISIBLE_PATIENT": {"patient", "representant"},
    "INVISIBLE_REPRESENTANTS_LEGAUX": {"representant"},
}


@pytest.mark.parametrize("singly", [False, True], ids=["ITI-65", "singly"])
@pytest.mark.parametrize("subject", ["literal", "urn"])
@pytest.mark.parametrize("label", HIDDEN_FROM)
def test_a_label_hides_the_content_at_every_door(
    record: OwnRecord, hospital: httpx.Client, label: str, subject: str, singly: bool
) -> None:
    document = fhir_document(about(record)) if subject == "literal" else told_inside(subject, record)
    if singly:
        key = created(hospital, document)
        told = created(hospital, reference(record, key, label))
    else:
        told, key = provide(hospital, record, document, label)
    for reader in READERS:
        client = record.as_(reader)
        hidden = reader in HIDDEN_FROM[label]
        assert (client.get(told).status_code == 404) is hidden, reader
        assert is_hidden(client, record, key) if hidden else is_shown(client, record, key), reader


def test_a_later_mask_hides_it_and_goes_again(record: OwnRecord, hospital: httpx.Client) -> None:
    told, key = provide(hospital, record, fhir_document(about(record)))
    patient, reader = record.as_("patient"), record.as_("inconnu")
    assert is_shown(reader, record, key)
    mask = [{"op": "add", "path": "/securityLabel/-", "value": visibility("MASQUE_PS")}]
    assert patient.patch(told, content=json.dumps(mask), headers=JSON_PATCH).status_code == 200
    assert is_hidden(reader, record, key)
    assert is_shown(patient, record, key)
    unmask = [{"op": "remove", "path": "/securityLabel/1"}]
    assert patient.patch(told, content=json.dumps(unmask), headers=JSON_PATCH).status_code == 200
    assert is_shown(reader, record, key)
    assert patient.post(f"{told}/$mask", content="", headers=FHIR_JSON).status_code == 200
    assert is_hidden(reader, record, key)
    whole = patient.get(told).json()
    assert patient.put(
        told, content=json.dumps({**whole, "securityLabel": confidential()}), headers=FHIR_JSON
    ).is_success
    assert is_shown(reader, record, key)


def test_a_label_of_its_own_stays_beside_those_of_its_owner(record: OwnRecord, hospital: httpx.Client) -> None:
    own = {"security": [{"system": pdsm.TRE_A07, "code": "INVISIBLE_REPRESENTANTS_LEGAUX"}]}
    told, key = provide(hospital, record, fhir_document(about(record), meta=own), "MASQUE_PS")
    patient, guardian, reader = (record.as_(one) for one in ("patient", "representant", "inconnu"))
    assert is_hidden(guardian, record, key)
    assert is_hidden(reader, record, key)
    assert key.partition("/")[2] not in guardian.get(told).text, "the document does not tell what is hidden"
    assert patient.post(f"{told}/$unmask", content="", headers=FHIR_JSON).status_code == 200
    assert is_shown(reader, record, key)
    assert is_hidden(guardian, record, key)


def test_the_matrix_reads_it_as_its_owner(record: OwnRecord, hospital: httpx.Client) -> None:
    nurse = record.as_("infirmier")
    _, key = provide(hospital, record, fhir_document(about(record)))
    assert is_shown(nurse, record, key)
    for category in ([pdsm.coded(CATEGORY, "95")], [pdsm.coded(CATEGORY, "10"), pdsm.coded(CATEGORY, "11")]):
        document = record.deposit(
            category=category, content=[{"attachment": {"url": (key := created(hospital, told_inside("urn", record)))}}]
        )
        assert nurse.get(f"DocumentReference/{document}").status_code == 404
        assert is_hidden(nurse, record, key)
        assert is_shown(record.as_("specialiste"), record, key)


def test_it_is_deleted_with_its_owner(record: OwnRecord) -> None:
    author = record.as_("specialiste")
    told, key = provide(author, record, fhir_document(about(record)))
    assert author.delete(told).status_code == 204
    for reader in ("specialiste", "patient"):
        assert record.as_(reader).get(key).status_code == 410
    assert is_hidden(record.as_("infirmier"), record, key) or record.as_("infirmier").get(key).status_code == 410
    assert key.partition("/")[2] not in author.get("Bundle?type=document&_count=200").text


def test_a_later_version_does_not_escape(record: OwnRecord, hospital: httpx.Client) -> None:
    _, key = provide(hospital, record, told_inside("urn", record), "INVISIBLE_PATIENT")
    stored = hospital.get(key).json()
    changed = {**stored, "timestamp": "2026-11-21T10:00:00+01:00"}
    answer = hospital.put(key, content=json.dumps(changed), headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    assert is_hidden(record.as_("patient"), record, key)
    assert record.as_("patient").get(f"{key}/_history/2").status_code == 404
    assert is_shown(record.as_("specialiste"), record, key)
    other = own_record(record.served)
    changed["entry"][0]["resource"]["subject"] = about(other)
    assert hospital.put(key, content=json.dumps(changed), headers=FHIR_JSON).status_code == 422


@pytest.mark.parametrize("singly", [False, True], ids=["ITI-65", "singly"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("author", ["hopital", "specialiste"])
def test_a_document_that_tells_no_record_takes_that_of_its_owner(
    record: OwnRecord, author: str, way: str, singly: bool
) -> None:
    client, document = record.as_(author), told_inside(way, record)
    reader = record.as_("infirmier")
    if singly:
        key = created(client, document)
        assert client.get(key).status_code == 200, "its depositor's alone until then"
        assert is_hidden(reader, record, key)
        assert is_hidden(record.as_("patient"), record, key)
        created(client, reference(record, key))
    else:
        _, key = provide(client, record, document)
    assert is_shown(reader, record, key)
    assert is_shown(record.as_("patient"), record, key)
    shown = reader.get(key).json()
    assert shown["entry"] == document["entry"], "as it was made"


def test_what_a_document_holds_itself_stays_in_it(record: OwnRecord, hospital: httpx.Client) -> None:
    """By ``Observation/o`` it means its own entry, not what is there, or not, under that name on this server."""
    observation = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "Poids"}}
    at = "https://chu.example/fhir/"
    held = [patient_inside(f"{at}Patient/p"), {"fullUrl": f"{at}Observation/o", "resource": observation}]
    document = fhir_document({"reference": "Patient/p"}, *held)
    document["entry"][0]["resource"]["section"] = [{"title": "Mesures", "entry": [{"reference": "Observation/o"}]}]
    _, key = provide(hospital, record, document)
    for reader in ("patient", "infirmier"):
        assert record.as_(reader).get(key).json()["entry"] == document["entry"]


def test_a_conformance_client_publishes_it_too(record: OwnRecord) -> None:
    client = record.as_("conformance")
    key = created(client, told_inside("fullUrl", record))
    told = reference(record, key, "INVISIBLE_PATIENT")
    created(client, told)
    assert is_shown(record.as_("specialiste"), record, key)
    assert is_hidden(record.as_("patient"), record, key)


@pytest.mark.parametrize("which", ["absent", "another record", "another depositor's"])
def test_what_it_may_not_point_to_is_unknown(record: OwnRecord, hospital: httpx.Client, which: str) -> None:
    match which:
        case "absent":
            key = "Bundle/absent"
        case "another record":
            key = created(hospital, fhir_document(about(own_record(record.served))))
        case _:
            key = created(record.as_("specialiste2"), told_inside("urn", record))
    answer = post(hospital, reference(record, key))
    assert answer.status_code == 422
    (issue,) = answer.json()["issue"]
    assert issue["expression"] == ["DocumentReference.content[0].attachment.url"]
    assert issue["diagnostics"] == f"{key} is not known."
    assert issue["code"] == "not-found"


def test_what_its_author_measured_is_not_compared(record: OwnRecord, hospital: httpx.Client) -> None:
    told = reference(record, created(hospital, fhir_document(about(record))))
    told["content"][0]["attachment"] |= {"size": 3, "hash": pdsm.digest(b"abc")}
    prefer = {**FHIR_JSON, "Prefer": "return=OperationOutcome"}
    answer = hospital.post("DocumentReference", content=json.dumps(told), headers=prefer)
    assert answer.status_code == 201, answer.text
    where = "DocumentReference.content[0].attachment"
    told_of = [one for one in answer.json()["issue"] if f"{where}.hash" in one.get("expression", [])]
    assert [one["severity"] for one in told_of] == ["information"]


def test_it_is_owned_by_what_pointed_to_it_before_it_was_there(record: OwnRecord) -> None:
    client = record.as_("conformance")
    record.chosen(authorisation(record, "specialiste2"))
    key = f"Bundle/{record.id}-after"
    created(client, reference(record, key, "MASQUE_PS"))
    document = {**fhir_document(about(record)), "id": key.partition("/")[2]}
    answer = client.put(key, content=json.dumps(document), headers=FHIR_JSON)
    assert answer.status_code == 201, answer.text
    assert is_hidden(record.as_("specialiste2"), record, key)
    assert is_shown(record.as_("patient"), record, key)


@pytest.mark.parametrize("together", [False, True], ids=["singly", "in one Bundle"])
def test_a_document_of_another_record_is_not_claimed(record: OwnRecord, together: bool) -> None:
    """A conformance client may point where it likes: it moves nothing out of another record by that."""
    client, other = record.as_("conformance"), own_record(record.served)
    other.chosen(authorisation(other, "specialiste"))
    document = fhir_document(about(other))
    if together:
        name = pdsm.urn()
        entries = [pdsm.entry(reference(record, name)), pdsm.entry(document, full_url=name)]
        answer = post(client, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 200, answer.text
        key = answer.json()["entry"][1]["response"]["location"].partition("/fhir/")[2].partition("/_history/")[0]
    else:
        key = created(client, document)
        created(client, reference(record, key))
    assert is_hidden(record.as_("patient"), record, key)
    assert record.as_("infirmier").get(key).status_code == 404
    assert is_shown(other.as_("patient"), other, key)


@pytest.mark.parametrize("author", ["patient", "representant", "medecin-traitant"])
def test_whoever_may_deposit_a_document_may_deposit_it_in_fhir(record: OwnRecord, author: str) -> None:
    client = record.as_(author)
    key = created(client, told_inside("urn", record))
    assert client.get(key).status_code == 200
    assert record.as_("hopital").get(key).status_code == 404
    record.deposit(by=author, content=[{"attachment": {"contentType": "application/fhir+json", "url": key}}])
    assert is_shown(record.as_("specialiste"), record, key)


@pytest.mark.parametrize("type", ["collection", "message", "searchset"])
def test_other_bundles_belong_to_nobody(record: OwnRecord, hospital: httpx.Client, type: str) -> None:
    answer = post(hospital, {"resourceType": "Bundle", "type": type})
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("subject", ["literal", "urn"])
def test_versions_of_before_are_hidden_too(record: OwnRecord, hospital: httpx.Client, subject: str) -> None:
    """Those of when it had no owner, and those of when that was not masked."""
    key = created(hospital, fhir_document(about(record)) if subject == "literal" else told_inside(subject, record))

    def change(minute: int) -> None:
        changed = {**hospital.get(key).json(), "timestamp": f"2026-11-21T10:0{minute}:00+01:00"}
        assert hospital.put(key, content=json.dumps(changed), headers=FHIR_JSON).status_code == 200

    change(1)
    told = created(hospital, reference(record, key))
    change(2)
    reader, patient = record.as_("inconnu"), record.as_("patient")
    assert is_shown(reader, record, key)
    assert patient.post(f"{told}/$mask", content="", headers=FHIR_JSON).status_code == 200
    assert is_hidden(reader, record, key)
    assert [reader.get(f"{key}/_history/{version}").status_code for version in (1, 2, 3)] == [404] * 3
    assert is_shown(patient, record, key)
    change(3)
    assert is_hidden(reader, record, key)
