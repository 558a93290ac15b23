"""PDSm over HTTP: ITI-65 and ITI-105, what they refuse, what is replaced, and the update of metadata."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

import httpx
import pytest

from tests import pdsm
from tests.conformance.choices import authorisation, block
from tests.conformance.own_record import OwnRecord, own_record
from tests.pdsm import with_, without
from tests.served import FHIR_JSON, Served

JSON_PATCH = {"Content-Type": "application/json-patch+json"}


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


@pytest.fixture
def hospital(record: OwnRecord) -> httpx.Client:
    return record.as_("hopital")


def post(client: httpx.Client, resource: dict[str, Any]) -> httpx.Response:
    path = "" if resource["resourceType"] == "Bundle" else resource["resourceType"]
    return client.post(path, content=json.dumps(resource), headers=FHIR_JSON)


def published(client: httpx.Client, resource: dict[str, Any]) -> dict[str, Any]:
    answer = post(client, resource)
    assert answer.status_code in (200, 201), answer.text
    stored: dict[str, Any] = answer.json()
    return stored


def keys(answer: dict[str, Any]) -> list[str]:
    """``Type/id`` of each entry of a transaction's answer."""
    return [one["response"]["location"].partition("/fhir/")[2].partition("/_history/")[0] for one in answer["entry"]]


def refused(answer: httpx.Response, status: int = 422) -> list[str]:
    """Where a refusal says that something is wrong."""
    assert answer.status_code == status, answer.text
    return [path for one in answer.json()["issue"] for path in one.get("expression", [])]


def patched(client: httpx.Client, key: str, *operations: dict[str, Any]) -> httpx.Response:
    return client.patch(key, content=json.dumps(operations), headers=JSON_PATCH)


# ITI-65


def test_a_submission_is_stored_whole_and_fetched_bit_for_bit(record: OwnRecord, hospital: httpx.Client) -> None:
    answer = published(hospital, pdsm.provided(record.ins, documents=2))
    assert answer["type"] == "transaction-response"
    assert [one["response"]["status"][:3] for one in answer["entry"]] == ["201"] * 5
    submission, first, content, *_ = keys(answer)
    patient = record.as_("patient")
    document = patient.get(first).json()
    assert document["content"][0]["attachment"]["url"] == content
    assert document["subject"]["reference"] == f"Patient/{record.id}"
    assert patient.get(content, headers={"Accept": "application/pdf"}).content == pdsm.PDF
    listed = patient.get(submission).json()
    assert [one["item"]["reference"] for one in listed["entry"]] == [first, keys(answer)[3]]
    traces = patient.get(f"AuditEvent?patient={record.id}&_sort=-date&_count=20").json()
    told = json.dumps(traces)
    assert all(key in told for key in keys(answer)), "each entry leaves its own trace"


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("entry.0.resource.source", None, "Bundle.entry[0].resource.source"),
        ("entry.0.resource.entry", [], "Bundle.entry[1].fullUrl"),
        ("entry.1.resource.custodian", None, "Bundle.entry[1].resource.custodian"),
        ("entry.1.resource.author.0.reference", "Practitioner/1", "Bundle.entry[1].resource.author[0].reference"),
        ("entry.1.resource.content.0.attachment.size", 3, "Bundle.entry[1].resource.content[0].attachment.size"),
        ("entry.1.resource.content.0.attachment.hash", "AAAA", "Bundle.entry[1].resource.content[0].attachment.hash"),
        (
            "entry.1.resource.content.0.attachment.url",
            "urn:uuid:0",
            "Bundle.entry[1].resource.content[0].attachment.url",
        ),
        (
            "entry.1.resource.contained.1.identifier.0.value",
            "162031305500201",
            "Bundle.entry[1].resource.contained[1].identifier[0]",
        ),
        ("entry.2.resource.contentType", "text/html", "Bundle.entry[1].resource.content[0].attachment.contentType"),
    ],
)
def test_a_submission_that_breaks_a_rule_is_refused_whole(
    record: OwnRecord, hospital: httpx.Client, path: str, value: Any, where: str
) -> None:
    right = pdsm.provided(record.ins)
    broken = without(right, path) if value is None else with_(right, path, value)
    assert refused(post(hospital, broken)) == [where]
    assert record.documents("patient") == set()
    assert record.as_("patient").get(f"List?patient={record.id}").json()["total"] == 0


def test_a_submission_is_about_one_patient_however_he_is_named(
    served: Served, record: OwnRecord, hospital: httpx.Client
) -> None:
    other = own_record(served)
    told = pdsm.provided(record.ins)
    mixed = with_(told, "entry.0.resource.subject", pdsm.subject(other.ins))
    assert sorted(refused(post(hospital, mixed))) == [
        "Bundle.entry[0].resource.subject",
        "Bundle.entry[1].resource.subject",
    ]
    assert record.documents("patient") == set()
    for same in (f"Patient/{record.id}", f"{served.base}/Patient/{record.id}"):
        named = with_(told, "entry.0.resource.subject", {"reference": same})
        published(hospital, with_(named, "entry.1.resource.masterIdentifier.value", pdsm.urn()))


def test_a_realm_knows_nobody_by_the_ins_of_the_other(record: OwnRecord, hospital: httpx.Client) -> None:
    real = {"identifier": {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": record.ins}}
    assert refused(post(hospital, pdsm.simplified(record.ins, subject=real))) == ["DocumentReference.subject"]
    published(hospital, pdsm.simplified(record.ins))
    for system, number in ((pdsm.INS_TEST, 1), (real["identifier"]["system"], 0)):
        found = hospital.get(f"DocumentReference?patient.identifier={system}|{record.ins}&status=current").json()
        assert found["total"] == number, system


def test_the_source_patient_is_the_patient(served: Served, record: OwnRecord, hospital: httpx.Client) -> None:
    other = own_record(served)
    told = pdsm.simplified(record.ins)
    told["context"]["sourcePatientInfo"] = {"reference": f"Patient/{other.id}"}
    assert refused(post(hospital, told)) == ["DocumentReference.context.sourcePatientInfo.reference"]


def test_documents_are_not_provided_by_a_batch(record: OwnRecord, hospital: httpx.Client) -> None:
    assert refused(post(hospital, pdsm.provided(record.ins) | {"type": "batch"})) == ["Bundle.type"]
    assert record.documents("patient") == set()


def test_entries_follow_the_profile_of_their_bundle(record: OwnRecord, hospital: httpx.Client) -> None:
    silent = without(without(pdsm.provided(record.ins), "entry.1.resource.meta"), "entry.1.resource.custodian")
    assert refused(post(hospital, silent)) == ["Bundle.entry[1].resource.custodian"]


def test_the_patient_of_a_submission_is_referred_to_and_not_created(record: OwnRecord, hospital: httpx.Client) -> None:
    name = pdsm.urn()
    patient = {"resourceType": "Patient", "identifier": [{"system": pdsm.INS_TEST, "value": record.ins}]}
    told = pdsm.provided(record.ins)
    told["entry"].append(pdsm.entry(patient, full_url=name))
    for position in (0, 1):
        told["entry"][position]["resource"]["subject"] = {"reference": name}
    answer = published(hospital, told)
    assert keys(answer)[3] == f"Patient/{record.id}"
    assert answer["entry"][3]["response"]["status"].startswith("200")
    assert "resource" not in answer["entry"][3]
    assert record.as_("patient").get(f"Patient/{record.id}").json()["meta"]["versionId"] == "1"
    unknown = with_(told, "entry.3.resource.identifier.0.value", "199999999999999")
    assert refused(post(hospital, unknown)) == ["Bundle.entry[3].resource.identifier"]


def test_a_publisher_submits_by_mhd_when_it_names_no_profile(record: OwnRecord, hospital: httpx.Client) -> None:
    told = pdsm.provided(record.ins)
    for one in (told, *(entry["resource"] for entry in told["entry"])):
        one.pop("meta", None)
    minimal = without(told, "entry.1.resource.custodian")
    assert post(hospital, minimal).status_code == 200
    assert refused(post(hospital, without(minimal, "entry.0.resource.date"))) == ["Bundle.entry[0].resource.date"]


# ITI-105


def test_a_simplified_publish_becomes_a_document_and_a_binary(record: OwnRecord, hospital: httpx.Client) -> None:
    told = pdsm.simplified(record.ins)
    for name in ("size", "hash"):
        del told["content"][0]["attachment"][name]
    stored = published(hospital, told)
    attachment = stored["content"][0]["attachment"]
    assert "data" not in attachment
    assert (attachment["size"], attachment["hash"]) == (len(pdsm.PDF), pdsm.digest(pdsm.PDF))
    patient = record.as_("patient")
    content = patient.get(attachment["url"], headers={"Accept": "application/fhir+json"}).json()
    assert (content["contentType"], b64decode(content["data"])) == ("application/pdf", pdsm.PDF)
    traces = json.dumps(patient.get(f"AuditEvent?patient={record.id}&_sort=-date&_count=5").json())
    assert attachment["url"] in traces, "what the server stores beside leaves its own trace"
    assert record.as_("inconnu").get(attachment["url"]).status_code == 404


def test_a_token_for_documents_alone_publishes_with_their_content(record: OwnRecord) -> None:
    narrow = record.as_("hopital", extra={"scope": "system/DocumentReference.c"})
    stored = published(narrow, pdsm.simplified(record.ins))
    assert record.as_("patient").get(stored["content"][0]["attachment"]["url"]).status_code == 200


@pytest.mark.parametrize(
    ("path", "value", "status", "where"),
    [
        ("custodian", None, 422, "custodian"),
        ("content.0.attachment.title", None, 422, "content[0].attachment.title"),
        ("content.0.attachment.size", 345678, 422, "content[0].attachment.size"),
        ("content.0.attachment.hash", "2jmj7l5rSw0yVb/vlWAYkK/YBwk=", 422, "content[0].attachment.hash"),
        ("content.0.attachment.data", "SGVsbG8gV29ybGQ", 400, "content[0].attachment.data"),
        ("content.0.attachment.contentType", "text/html", 422, "content[0].attachment.contentType"),
        ("status", "superseded", 422, "status"),
    ],
)
def test_a_simplified_publish_that_breaks_a_rule(
    record: OwnRecord, hospital: httpx.Client, path: str, value: Any, status: int, where: str
) -> None:
    right = pdsm.simplified(record.ins)
    answer = post(hospital, without(right, path) if value is None else with_(right, path, value))
    assert f"DocumentReference.{where}" in refused(answer, status)
    if where.endswith("size"):
        assert "345678" in answer.text
        assert str(len(pdsm.PDF)) in answer.text
    assert record.documents("patient") == set()


def test_an_attachment_of_who_publishes_by_no_guide_stays_as_it_is(record: OwnRecord) -> None:
    plain = without(pdsm.simplified(record.ins, subject={"reference": f"Patient/{record.id}"}), "meta")
    stored = published(record.as_("conformance"), plain)
    assert stored["content"] == plain["content"]


def labels(document: dict[str, Any]) -> list[str]:
    return [coding["code"] for concept in document.get("securityLabel", []) for coding in concept["coding"]]


def test_a_document_of_the_dmp_always_has_one_code_of_confidentiality(
    record: OwnRecord, hospital: httpx.Client
) -> None:
    masked = pdsm.coded(pdsm.TRE_A07, "MASQUE_PS")
    unlabelled = without(pdsm.simplified(record.ins), "securityLabel")
    assert labels(published(hospital, unlabelled)) == ["N"]
    assert labels(published(hospital, pdsm.simplified(record.ins, securityLabel=[masked]))) == ["MASQUE_PS", "N"]
    several = [pdsm.coded(pdsm.CONFIDENTIALITY, code) for code in ("N", "R", "N")]
    told = published(hospital, pdsm.simplified(record.ins, securityLabel=[*several, masked]))
    assert labels(told) == ["R", "MASQUE_PS"]


def test_the_mistyped_label_of_the_guide_is_kept_and_reported(record: OwnRecord, hospital: httpx.Client) -> None:
    mistyped = pdsm.coded(pdsm.TRE_A07.replace("Statut", "Status"), "N")
    told = pdsm.simplified(record.ins, securityLabel=[mistyped])
    answer = hospital.post(
        "DocumentReference", content=json.dumps(told), headers=FHIR_JSON | {"Prefer": "return=OperationOutcome"}
    )
    assert answer.status_code == 201
    warned = [one for one in answer.json()["issue"] if one["severity"] == "warning"]
    assert ["DocumentReference.securityLabel[0].coding[0].system"] in [one["expression"] for one in warned]
    (id,) = record.documents("patient")
    stored = record.as_("patient").get(f"DocumentReference/{id}").json()
    assert stored["securityLabel"][0] == mistyped
    assert labels(stored) == ["N", "N"], "the right code stands beside it"


def test_a_cda_document_is_read_and_its_differences_are_reported(record: OwnRecord, hospital: httpx.Client) -> None:
    header = (
        '<recordTarget><patientRole><id root="1.2.250.1.213.1.4.10" extension="162031305500201"/></patientRole>'
        "</recordTarget>"
    )
    cda = f'<ClinicalDocument xmlns="urn:hl7-org:v3"><code code="11488-4"/>{header}</ClinicalDocument>'
    told = with_(pdsm.simplified(record.ins, data=cda.encode()), "content.0.attachment.contentType", "text/xml")
    prefer = FHIR_JSON | {"Prefer": "return=OperationOutcome"}
    answer = hospital.post("DocumentReference", content=json.dumps(told), headers=prefer)
    assert answer.status_code == 201, answer.text
    assert "recordTarget" in answer.text
    assert "162031305500201" not in answer.text
    broken = with_(pdsm.simplified(record.ins, data=cda[:-5].encode()), "content.0.attachment.contentType", "text/xml")
    assert refused(post(hospital, broken)) == ["DocumentReference.content[0].attachment"]


def test_a_client_of_trials_is_held_to_what_it_declares(record: OwnRecord) -> None:
    conformance = record.as_("conformance")
    subject = {"reference": f"Patient/{record.id}"}
    declared = without(pdsm.document(record.ins, "Binary/none", subject=subject), "custodian")
    assert refused(post(conformance, declared)) == ["DocumentReference.custodian"]
    assert post(conformance, without(declared, "meta")).status_code == 201
    # under an id of its own it publishes nothing: what is wrong is said, and refuses nothing
    answer = conformance.put(
        f"DocumentReference/{record.id}-essai",
        content=json.dumps({**declared, "id": f"{record.id}-essai"}),
        headers=FHIR_JSON | {"Prefer": "return=OperationOutcome"},
    )
    assert answer.status_code == 201
    assert "DocumentReference.custodian" in answer.text


def test_a_published_document_that_is_put_again_is_held_to_its_profile(
    record: OwnRecord, hospital: httpx.Client
) -> None:
    stored = published(hospital, pdsm.simplified(record.ins))

    def put(document: dict[str, Any]) -> httpx.Response:
        return hospital.put(key_of(stored), content=json.dumps(document), headers=FHIR_JSON)

    assert refused(put(without(stored, "custodian"))) == ["DocumentReference.custodian"]
    wrong = with_(stored, "content.0.attachment.hash", "AAAA")
    assert refused(put(wrong)) == ["DocumentReference.content[0].attachment.hash"]
    inline = without(with_(stored, "content.0.attachment.data", "AAAA"), "content.0.attachment.url")
    assert "DocumentReference.content[0].attachment.data" in refused(put(inline))
    assert put({**stored, "description": "autre"}).status_code == 200


# Replacing


def replacing(key: str) -> list[dict[str, Any]]:
    return [{"code": "replaces", "target": {"reference": key}}]


def status(record: OwnRecord, key: str) -> tuple[str, str]:
    """The status and the version, as the patient sees them."""
    found = record.as_("patient").get(key).json()
    return found["status"], found["meta"]["versionId"]


def key_of(document: dict[str, Any]) -> str:
    return f"DocumentReference/{document['id']}"


def test_a_document_is_superseded_by_the_one_that_replaces_it(record: OwnRecord, hospital: httpx.Client) -> None:
    old = published(hospital, pdsm.simplified(record.ins))
    new = published(hospital, pdsm.simplified(record.ins, relatesTo=replacing(key_of(old))))
    assert status(record, key_of(old)) == ("superseded", "2")
    assert new["relatesTo"] == replacing(key_of(old))
    patient = record.as_("patient")
    assert patient.get(old["content"][0]["attachment"]["url"]).status_code == 200, "it keeps its content"
    current = patient.get(f"DocumentReference?patient={record.id}&status=current").json()
    assert [one["resource"]["id"] for one in current["entry"]] == [new["id"]]
    assert patient.get(f"{key_of(old)}/_history").json()["total"] == 2
    traces = json.dumps(patient.get(f"AuditEvent?patient={record.id}&_sort=-date&_count=20").json())
    assert f"{key_of(old)}/_history/2" in traces


def test_what_takes_the_place_of_a_masked_document_is_masked(record: OwnRecord, hospital: httpx.Client) -> None:
    masked = [pdsm.coded(pdsm.CONFIDENTIALITY, "N"), pdsm.coded(pdsm.TRE_A07, "MASQUE_PS")]
    old = published(hospital, pdsm.simplified(record.ins, securityLabel=masked))
    new = published(hospital, pdsm.simplified(record.ins, relatesTo=replacing(key_of(old))))
    assert labels(new) == ["N", "MASQUE_PS"]


def test_what_is_replaced_is_named_by_its_identifier_too(record: OwnRecord, hospital: httpx.Client) -> None:
    old = published(hospital, pdsm.simplified(record.ins))
    named = {"identifier": {key: old["masterIdentifier"][key] for key in ("system", "value")}}
    published(hospital, pdsm.simplified(record.ins, relatesTo=[{"code": "replaces", "target": named}]))
    assert status(record, key_of(old)) == ("superseded", "2")


def test_a_submission_replaces_by_its_relation_or_by_a_patch_and_not_twice(
    record: OwnRecord, hospital: httpx.Client
) -> None:
    for patches in (False, True):
        old = published(hospital, pdsm.simplified(record.ins))
        told = pdsm.provided(record.ins, relatesTo=replacing(key_of(old)))
        if patches:
            told["entry"].append(pdsm.entry(pdsm.superseding(), "PATCH", key_of(old)))
        published(hospital, told)
        assert status(record, key_of(old)) == ("superseded", "2"), patches


def test_the_patient_replaces_his_own_and_sees_that_the_rest_is_not_his(
    record: OwnRecord, hospital: httpx.Client
) -> None:
    patient, other = record.as_("patient"), published(hospital, pdsm.simplified(record.ins))
    own = published(patient, pdsm.simplified(record.ins))
    published(patient, pdsm.simplified(record.ins, relatesTo=replacing(key_of(own))))
    assert status(record, key_of(own)) == ("superseded", "2")
    answer = post(patient, pdsm.simplified(record.ins, relatesTo=replacing(key_of(other))))
    assert refused(answer) == ["DocumentReference.relatesTo[0].target"]
    assert status(record, key_of(other)) == ("current", "1")


def test_nobody_replaces_what_is_replaced_already(record: OwnRecord, hospital: httpx.Client) -> None:
    old = published(hospital, pdsm.simplified(record.ins))
    again = pdsm.simplified(record.ins, relatesTo=replacing(key_of(old)))
    published(hospital, again)
    assert refused(post(hospital, again)) == ["DocumentReference.relatesTo[0].target"]


def test_with_an_authorisation_one_replaces_what_is_masked(record: OwnRecord, hospital: httpx.Client) -> None:
    masked = pdsm.simplified(record.ins, securityLabel=[pdsm.coded(pdsm.TRE_A07, "MASQUE_PS")])
    old = published(hospital, with_(masked, "contained.0.identifier.0.value", "89900000001"))
    doctor = record.as_("inconnu")
    again = pdsm.simplified(record.ins, relatesTo=replacing(key_of(old)))
    published(doctor, again)
    assert status(record, key_of(old)) == ("current", "1"), "a stranger replaces nothing"
    record.chosen(authorisation(record, "inconnu"))
    assert doctor.get(key_of(old)).status_code == 404, "he does not see it"
    published(doctor, again)
    assert status(record, key_of(old)) == ("superseded", "2")
    own = json.dumps(doctor.get(f"AuditEvent?patient={record.id}&_count=50").json())
    assert old["id"] not in own.replace(f"replaces/{old['id']}", ""), "nor does his own trail tell it"
    holders = json.dumps(record.as_("patient").get(f"AuditEvent?patient={record.id}&_count=50").json())
    assert f"{key_of(old)}/_history/2" in holders, "that of the holder does"


def test_a_blocked_author_replaces_his_own_and_nothing_else(record: OwnRecord, hospital: httpx.Client) -> None:
    record.chosen(authorisation(record, "bloque"))
    doctor = record.as_("bloque")
    own = published(doctor, pdsm.simplified(record.ins))
    other = published(hospital, pdsm.simplified(record.ins))
    record.chosen(block(record, "bloque"))
    assert doctor.get(key_of(own)).status_code == 404
    published(doctor, pdsm.simplified(record.ins, relatesTo=replacing(key_of(own))))
    assert status(record, key_of(own)) == ("superseded", "2")
    published(doctor, pdsm.simplified(record.ins, relatesTo=replacing(key_of(other))))
    assert status(record, key_of(other)) == ("current", "1")


def test_a_stranger_replaces_nothing_and_learns_nothing(record: OwnRecord, hospital: httpx.Client) -> None:
    old = published(hospital, pdsm.simplified(record.ins))
    stranger = record.as_("inconnu")
    prefer = FHIR_JSON | {"Prefer": "return=OperationOutcome"}
    answers = []
    for key in (key_of(old), "DocumentReference/absent"):
        told = json.dumps(pdsm.simplified(record.ins, relatesTo=replacing(key)))
        answers.append(stranger.post("DocumentReference", content=told, headers=prefer))
    assert [one.status_code for one in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    plain = without(pdsm.simplified(record.ins, relatesTo=replacing(key_of(old))), "meta")
    assert post(stranger, plain).status_code == 201
    assert status(record, key_of(old)) == ("current", "1")


def test_a_document_of_another_record_is_not_replaced(
    served: Served, record: OwnRecord, hospital: httpx.Client
) -> None:
    other = own_record(served)
    old = published(hospital, pdsm.simplified(other.ins))
    told = pdsm.simplified(record.ins, relatesTo=replacing(key_of(old)))
    assert refused(post(hospital, told)) == ["DocumentReference.relatesTo[0].target"]
    assert status(other, key_of(old)) == ("current", "1")


# The update of metadata


def test_metadata_alone_is_patched(record: OwnRecord, hospital: httpx.Client) -> None:
    key = key_of(published(hospital, pdsm.simplified(record.ins)))
    answer = patched(hospital, key, {"op": "add", "path": "/description", "value": "autre"})
    assert refused(answer, 405) == ["DocumentReference.description"]
    assert "PATCH" in answer.headers["allow"]
    for path, value in (("/date", "2026-11-21"), ("/meta/profile", []), ("/custodian/display", "x")):
        assert patched(hospital, key, {"op": "add", "path": path, "value": value}).status_code in (400, 405), path
    assert status(record, key) == ("current", "1")


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/securityLabel/-", "value": pdsm.coded(pdsm.CONFIDENTIALITY, "U")},
        {"op": "add", "path": "/extension", "value": [{"url": f"{pdsm.PDSM}pdsm-ext-is-archived", "valueCode": "x"}]},
    ],
)
def test_metadata_are_held_to_the_rules(record: OwnRecord, hospital: httpx.Client, operation: dict[str, Any]) -> None:
    key = key_of(published(hospital, pdsm.simplified(record.ins)))
    answer = patched(hospital, key, operation)
    assert answer.status_code in (400, 422), answer.text
    assert status(record, key) == ("current", "1")


def test_a_mask_that_is_set_twice_is_lifted_once(record: OwnRecord, hospital: httpx.Client) -> None:
    patient, key = record.as_("patient"), key_of(published(hospital, pdsm.simplified(record.ins)))
    mask = {"op": "add", "path": "/securityLabel/-", "value": pdsm.coded(pdsm.TRE_A07, "MASQUE_PS")}
    assert labels(patched(patient, key, mask, mask).json()) == ["N", "MASQUE_PS"]
    assert labels(patched(patient, key, {"op": "remove", "path": "/securityLabel/1"}).json()) == ["N"]


def test_a_document_is_archived_by_a_condition(record: OwnRecord, hospital: httpx.Client) -> None:
    stored = published(hospital, pdsm.simplified(record.ins))
    identifier = stored["masterIdentifier"]
    where = f"DocumentReference?identifier={identifier['system']}|{identifier['value']}"
    archived = {"url": f"{pdsm.PDSM}pdsm-ext-is-archived", "valueBoolean": True}
    answer = patched(hospital, where, {"op": "add", "path": "/extension", "value": [archived]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["meta"]["versionId"] == "2"
    found = record.as_("patient").get(f"DocumentReference?patient={record.id}&status=current&isArchived=true").json()
    assert [one["resource"]["id"] for one in found["entry"]] == [stored["id"]]
    other = {"url": "http://example.org/autre", "valueString": "x"}
    refusal = patched(hospital, key_of(stored), {"op": "add", "path": "/extension/-", "value": other})
    assert refusal.status_code == 405


def test_masking_by_replacing_the_label_and_by_adding_one_come_to_the_same(
    record: OwnRecord, hospital: httpx.Client
) -> None:
    patient = record.as_("patient")
    masked, normal = pdsm.coded(pdsm.TRE_A07, "MASQUE_PS"), pdsm.coded(pdsm.CONFIDENTIALITY, "N")
    for operation in ({"op": "replace", "path": "/securityLabel/0"}, {"op": "add", "path": "/securityLabel/-"}):
        key = key_of(published(hospital, pdsm.simplified(record.ins)))
        told = patched(patient, key, {**operation, "value": masked})
        assert told.status_code == 200, told.text
        assert sorted(labels(told.json())) == ["MASQUE_PS", "N"]
        place = f"/securityLabel/{labels(told.json()).index('MASQUE_PS')}"
        replaces = operation["op"] == "replace"
        lifting = {"op": "replace", "path": place, "value": normal} if replaces else {"op": "remove", "path": place}
        lifted = patched(patient, key, lifting)
        assert lifted.status_code == 200, lifted.text
        assert labels(lifted.json()) == ["N"]


def test_a_client_of_trials_updates_metadata_on_a_condition_and_anything_under_an_id(record: OwnRecord) -> None:
    conformance = record.as_("conformance")
    told = pdsm.simplified(record.ins, subject={"reference": f"Patient/{record.id}"})
    stored = published(conformance, told)
    where = f"DocumentReference?identifier=urn:ietf:rfc:3986|{stored['masterIdentifier']['value']}"
    change = {"op": "add", "path": "/description", "value": "autre"}
    assert patched(conformance, where, change).status_code == 405
    assert patched(conformance, key_of(stored), change).status_code == 200
    wrong = {"op": "replace", "path": "/status", "value": "entered-in-error"}
    assert patched(conformance, where, wrong).status_code == 200
    assert conformance.get(key_of(stored)).status_code == 410


# Logical deletion


def test_the_author_deletes_by_entering_in_error(record: OwnRecord, hospital: httpx.Client) -> None:
    stored = published(hospital, pdsm.simplified(record.ins))
    key, content = key_of(stored), stored["content"][0]["attachment"]["url"]
    wrong = {"op": "replace", "path": "/status", "value": "entered-in-error"}
    assert patched(record.as_("patient"), key, wrong).status_code == 403, "who did not deposit it deletes nothing"
    assert patched(record.as_("inconnu"), key, wrong).status_code == 404
    more = {"op": "add", "path": "/description", "value": "erreur"}
    assert patched(hospital, key, wrong, more).status_code == 405, "nothing else is changed with it"
    whole = {**stored, "status": "entered-in-error"}
    put = hospital.put(key, content=json.dumps(whole), headers=FHIR_JSON)
    assert refused(put) == ["DocumentReference.status"]
    answer = patched(hospital, key, wrong)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["meta"]["versionId"]) == ("entered-in-error", "2")
    patient = record.as_("patient")
    assert patient.get(key).status_code == 410
    assert patient.get(content).status_code == 410
    assert record.documents("patient") == set()
    traces = json.dumps(patient.get(f"AuditEvent?patient={record.id}&_sort=-date&_count=10").json())
    assert f"{key}/_history/2" in traces
    assert patched(hospital, key, wrong).status_code == 410
