"""What the standard says of links, conditions and repetitions of a transaction, and what a Bundle may not be.

https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.answers import refused
from tests.conformance.own_record import document, own_record
from tests.http.bundling import done, entry, key, send, statuses, urn
from tests.minimal import minimal
from tests.served import FHIR_JSON, Served

SYSTEM = "https://example.org/fhir/transaction-rules"
VARYING = re.compile(r"[0-9a-f]{32}|20[0-9T:.\-]+Z")


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture(scope="module")
def patient(client: httpx.Client) -> Iterator[str]:
    made = client.post("Patient", json=minimal("Patient"), headers=FHIR_JSON).json()["id"]
    yield f"Patient/{made}"
    client.delete(f"Patient/{made}")


def observation(patient: str, tag: str = "", **members: Any) -> dict[str, Any]:
    named = {"identifier": [{"system": SYSTEM, "value": tag}]} if tag else {}
    return minimal("Observation", subject={"reference": patient}, **named, **members)


def found(client: httpx.Client, tag: str) -> list[Any]:
    answer = client.get("Observation", params={"identifier": f"{SYSTEM}|{tag}"}).json()
    return [one["resource"] for one in answer.get("entry", [])]


# Links


def test_a_document_published_whole(client: httpx.Client, patient: str) -> None:
    """As PDSm publishes: list, document, file and what tells where it came from, each naming the others."""
    names = {type: urn() for type in ("List", "DocumentReference", "Binary", "Provenance")}
    file = {"contentType": "text/plain", "url": names["Binary"]}
    about = {"subject": {"reference": patient}}
    listed = [{"item": {"reference": names["DocumentReference"]}}]
    target = [{"reference": names["DocumentReference"]}, {"reference": names["List"]}]
    data = b64encode(b"Bon").decode()
    told = done(
        client,
        entry("POST", "List", minimal("List", **about, entry=listed), fullUrl=names["List"]),
        entry(
            "POST",
            "DocumentReference",
            minimal(
                "DocumentReference",
                **about,
                content=[{"attachment": file}],
                extension=[
                    {"url": "https://example.org/listed", "valueReference": {"reference": names["List"]}},
                    {"url": "https://example.org/file", "valueUrl": names["Binary"]},
                ],
            ),
            fullUrl=names["DocumentReference"],
        ),
        entry("POST", "Binary", minimal("Binary", contentType="text/plain", data=data), fullUrl=names["Binary"]),
        entry("POST", "Provenance", minimal("Provenance", target=target), fullUrl=names["Provenance"]),
    )
    made = dict(zip(names, map(key, told), strict=True))
    stored = {type: client.get(made[type]).json() for type in ("List", "DocumentReference", "Provenance")}
    assert stored["List"]["entry"][0]["item"]["reference"] == made["DocumentReference"]
    assert stored["DocumentReference"]["content"][0]["attachment"]["url"] == made["Binary"]
    first, second = stored["DocumentReference"]["extension"]
    assert (first["valueReference"]["reference"], second["valueUrl"]) == (made["List"], made["Binary"])
    assert [one["reference"] for one in stored["Provenance"]["target"]] == [made["DocumentReference"], made["List"]]
    assert client.get(made["Binary"], headers={"Accept": "text/plain"}).text == "Bon"


def test_entries_may_name_each_other_in_a_circle(client: httpx.Client, patient: str) -> None:
    first, second, itself = urn(), urn(), urn()
    told = done(
        client,
        entry("POST", "Observation", observation(patient, hasMember=[{"reference": second}]), fullUrl=first),
        entry("POST", "Observation", observation(patient, hasMember=[{"reference": first}]), fullUrl=second),
        entry("POST", "Observation", observation(patient, hasMember=[{"reference": itself}]), fullUrl=itself),
    )
    members = [client.get(key(one)).json()["hasMember"][0]["reference"] for one in told]
    assert members == [key(told[1]), key(told[0]), key(told[2])]


def test_what_keeps_its_place_is_named_by_it(client: httpx.Client, patient: str) -> None:
    """An update is called by its fullUrl too, whatever that is; a fragment of it stays one."""
    first = client.post("Observation", json=observation(patient), headers=FHIR_JSON).json()
    name, path = urn(), f"Observation/{first['id']}"
    told = done(
        client,
        entry("PUT", path, {**first, "status": "amended"}, fullUrl=name),
        entry("POST", "Observation", observation(patient, derivedFrom=[{"reference": name}])),
        entry("POST", "Basic", minimal("Basic", extension=[{"url": "https://example.org/e", "valueUri": f"{name}#a"}])),
    )
    assert client.get(key(told[1])).json()["derivedFrom"][0]["reference"] == path
    assert client.get(key(told[2])).json()["extension"][0]["valueUri"] == f"{path}#a"


def test_a_name_that_no_entry_has_stays_as_it_is(client: httpx.Client, patient: str) -> None:
    """Of another server, or of nobody: a link that leads nowhere here is kept, not guessed at."""
    strange, elsewhere = urn(), "https://ailleurs.example/fhir/Observation/9"
    told = done(
        client,
        entry(
            "POST", "Observation", observation(patient, derivedFrom=[{"reference": elsewhere}, {"reference": strange}])
        ),
    )
    kept = client.get(key(told[0])).json()["derivedFrom"]
    assert [one["reference"] for one in kept] == [elsewhere, strange]


def test_numbers_keep_how_they_were_written(client: httpx.Client, patient: str) -> None:
    """Also in a resource in which a link was put in place."""
    name = urn()
    derived = observation(patient, derivedFrom=[{"reference": name}], valueQuantity={"value": 110})
    entries = [
        entry("POST", "Observation", observation(patient), fullUrl=name),
        entry("POST", "Observation", derived),
    ]
    body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    body = body.replace('"value": 110', '"value": 1.10e2')
    answer = client.post("", content=body, headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    assert '"value":1.10e2' in client.get(key(answer.json()["entry"][1])).text


# Conditions


def test_a_patch_on_a_condition(client: httpx.Client, patient: str) -> None:
    tag = str(uuid4())
    client.post("Observation", json=observation(patient, tag), headers=FHIR_JSON)
    operations = b64encode(b'[{"op":"replace","path":"/status","value":"amended"}]').decode()
    patch = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": operations}
    told = done(client, entry("PATCH", f"Observation?identifier={SYSTEM}|{tag}", patch))
    assert statuses(told) == ["200"]
    assert [one["status"] for one in found(client, tag)] == ["amended"]
    refused(send(client, entry("PATCH", f"Observation?identifier={SYSTEM}|nobody", patch)), 404)


def test_conditions_that_find_one_thing_are_about_it_twice(client: httpx.Client, patient: str) -> None:
    tag = str(uuid4())
    first = client.post("Observation", json=observation(patient, tag), headers=FHIR_JSON).json()
    condition = f"Observation?identifier={SYSTEM}|{tag}"
    for other in (entry("PUT", f"Observation/{first['id']}", first), entry("DELETE", condition)):
        answer = send(client, entry("PUT", condition, observation(patient, tag)), other)
        assert refused(answer, 400)["expression"] == ["Bundle.entry[1]"]
    assert [one["meta"]["versionId"] for one in found(client, tag)] == ["1"]


def test_two_entries_cannot_both_create_the_only_one(client: httpx.Client, patient: str) -> None:
    """What others call by the name of the second would be nowhere, so nothing is stored."""
    tag, name = str(uuid4()), urn()
    unless = {"ifNoneExist": f"identifier={SYSTEM}|{tag}"}
    answer = send(
        client,
        entry("POST", "Observation", observation(patient, tag), **unless),
        entry("POST", "Observation", observation(patient, tag), fullUrl=name, **unless),
        entry("POST", "Observation", observation(patient, derivedFrom=[{"reference": name}])),
    )
    assert refused(answer, 412)["expression"] == ["Bundle.entry[1]"]
    assert found(client, tag) == []


def test_what_an_update_creates_under_its_own_id_is_called_by_it(client: httpx.Client, patient: str) -> None:
    tag, name, id = str(uuid4()), urn(), str(uuid4())
    told = done(
        client,
        entry("PUT", f"Observation?identifier={SYSTEM}|{tag}", observation(patient, tag, id=id), fullUrl=name),
        entry("POST", "Observation", observation(patient, derivedFrom=[{"reference": name}])),
    )
    assert statuses(told) == ["201", "201"]
    assert client.get(key(told[1])).json()["derivedFrom"][0]["reference"] == f"Observation/{id}" == key(told[0])


def test_a_patient_and_what_refers_to_him_by_a_search(client: httpx.Client) -> None:
    """A reference by a search is resolved in the state before: whom the Bundle itself creates is called by name."""
    tag = str(uuid4())
    made = minimal("Patient", identifier=[{"system": SYSTEM, "value": tag}])
    by_search = {"subject": {"reference": f"Patient?identifier={SYSTEM}|{tag}"}}
    answer = send(
        client, entry("POST", "Patient", made), entry("POST", "Observation", minimal("Observation", **by_search))
    )
    assert refused(answer, 412)["expression"] == ["Bundle.entry[1]"]
    assert statuses(done(client, entry("POST", "Patient", made))) == ["201"]
    assert statuses(done(client, entry("POST", "Observation", minimal("Observation", **by_search)))) == ["201"]


# Repetition


def test_a_repetition_changes_nothing_where_the_request_says_how(client: httpx.Client, patient: str) -> None:
    """A client that got no answer sends the same again: conditions to create find what the first made."""
    tag, names = str(uuid4()), [urn(), urn()]
    unless = [{"ifNoneExist": f"identifier={SYSTEM}|{tag}-{one}"} for one in "ab"]
    kept = client.post("Observation", json=observation(patient), headers=FHIR_JSON).json()
    whole = [
        entry("POST", "Observation", observation(patient, f"{tag}-a"), fullUrl=names[0], **unless[0]),
        entry(
            "POST",
            "Observation",
            observation(patient, f"{tag}-b", derivedFrom=[{"reference": names[0]}]),
            fullUrl=names[1],
            **unless[1],
        ),
        entry("PUT", f"Observation/{kept['id']}", {**kept, "hasMember": [{"reference": names[1]}]}),
    ]
    first, again = done(client, *whole), done(client, *whole)
    assert (statuses(first), statuses(again)) == (["201", "201", "200"], ["200", "200", "200"])
    assert [key(one) for one in first] == [key(one) for one in again]
    member = client.get(f"Observation/{kept['id']}").json()["hasMember"]
    assert member == [{"reference": key(first[1])}]


def test_a_repetition_is_refused_where_the_version_moved(client: httpx.Client, patient: str) -> None:
    tag, kept = str(uuid4()), client.post("Observation", json=observation(patient), headers=FHIR_JSON).json()
    whole = [
        entry("POST", "Observation", observation(patient, tag)),
        entry("PUT", f"Observation/{kept['id']}", kept, ifMatch='W/"1"'),
    ]
    done(client, *whole)
    assert refused(send(client, *whole), 412)["expression"] == ["Bundle.entry[1]"]
    assert len(found(client, tag)) == 1


# What is answered


@pytest.mark.parametrize("type", ["transaction", "batch"])
def test_as_much_is_answered_as_is_asked_for(client: httpx.Client, patient: str, type: str) -> None:
    """Of what is written, as `Prefer: return` says; of what is read, all; of HEAD, nothing but that it is there."""
    entries = [
        entry("POST", "Observation", observation(patient)),
        entry("GET", patient),
        entry("HEAD", patient),
    ]
    for prefer, shown in (("representation", True), ("minimal", False), ("OperationOutcome", False)):
        told = done(client, *entries, type=type, Prefer=f"return={prefer}")
        assert ["resource" in one for one in told] == [shown, True, False], prefer
        assert ("outcome" in told[0]["response"]) is (prefer == "OperationOutcome")
        assert told[2]["response"]["etag"] == told[1]["response"]["etag"]


@pytest.mark.parametrize("type", ["transaction", "batch"])
def test_an_entry_may_be_written_with_the_address_of_this_server(
    served: Served, client: httpx.Client, patient: str, type: str
) -> None:
    assert statuses(done(client, entry("GET", f"{served.base}/{patient}"), type=type)) == ["200"]


# What it may not be


@pytest.mark.parametrize(
    ("wrong", "status", "where"),
    [
        (entry("GET", "https://ailleurs.example/fhir/Patient/1"), 404, "Bundle.entry[1]"),
        (entry("POST", "https://ailleurs.example/fhir/Patient", minimal("Patient")), 404, "Bundle.entry[1]"),
        (entry("DELETE", "Observation"), 400, "Bundle.entry[1]"),
        (entry("PATCH", "Observation/a"), 400, "Bundle.entry[1]"),
        (entry("POST", "Observation/a", minimal("Observation")), 405, "Bundle.entry[1]"),
        (entry("PUT", "Observation/a/_history/1", minimal("Observation", id="a")), 405, "Bundle.entry[1]"),
        (entry("POST", "Observation", minimal("Observation"), ifNoneExist=""), 400, "Bundle.entry[1]"),
        (entry("GET", "metadata"), 405, "Bundle.entry[1]"),
        ("entry", 400, "Bundle.entry[1]"),
        (None, 400, "Bundle.entry[1]"),
        ({"request": "GET Patient/1"}, 400, "Bundle.entry[1].request"),
        ({"request": {"method": ["GET"], "url": "Patient/1"}}, 400, "Bundle.entry[1].request.method"),
        (entry("GET", "Patient/1", fullUrl=["a"]), 400, "Bundle.entry[1].fullUrl"),
        (entry("GET", "Patient/1", ifMatch=1), 400, "Bundle.entry[1].request.ifMatch"),
        (entry("POST", "Observation", "a text"), 400, "Bundle.entry[1]"),
    ],
    ids=str,
)
def test_what_is_no_entry_is_refused_where_it_is(
    client: httpx.Client, patient: str, wrong: Any, status: int, where: str
) -> None:
    tag = str(uuid4())
    answer = send(client, entry("POST", "Observation", observation(patient, tag)), wrong)
    issue = refused(answer, status)
    assert issue["expression"][0].startswith(where), issue
    assert found(client, tag) == []


@pytest.mark.parametrize("type", ["transaction", "batch"])
def test_a_bundle_of_ten_thousand_entries_is_refused(client: httpx.Client, type: str) -> None:
    refused(send(client, *([entry("GET", "Patient/a")] * 10_000), type=type), 413, says="10000")


@pytest.mark.parametrize("entries", [{}, "entries", [[]], 7])
def test_entries_are_a_list(client: httpx.Client, entries: Any) -> None:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    refused(client.post("", json=bundle, headers=FHIR_JSON), 400)


def test_what_somebody_may_not_see_is_as_what_is_not_there(served: Served) -> None:
    """Of another's record nothing is found, pointed to, or told by the refusal."""
    mine, other = own_record(served), own_record(served)
    hidden = other.deposit("MASQUE_PS")
    file = served.as_("conformance").post(
        "Binary", json={"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9u"}, headers=FHIR_JSON
    )
    stranger = mine.as_("inconnu")

    def answers(document_id: str, binary_id: str) -> list[str]:
        pointing = document(
            mine.id, content=[{"attachment": {"contentType": "text/plain", "url": f"Binary/{binary_id}"}}]
        )
        by_search = document(
            mine.id, relatesTo=[{"code": "appends", "target": {"reference": f"DocumentReference?_id={document_id}"}}]
        )
        bundles = [
            [entry("POST", "DocumentReference", pointing)],
            [entry("POST", "DocumentReference", by_search)],
            [entry("POST", "Observation", minimal("Observation", subject={"reference": f"Patient?_id={document_id}"}))],
            [entry("PUT", f"DocumentReference?_id={document_id}", document(mine.id))],
            [entry("DELETE", f"DocumentReference/{document_id}")],
        ]
        told = [send(stranger, *one, Prefer="return=minimal") for one in bundles]
        assert [one.status_code for one in told] == [422, 412, 412, 200, 404]
        return [VARYING.sub("", f"{one.text}".replace(document_id, "").replace(binary_id, "")) for one in told]

    assert answers(hidden, file.json()["id"]) == answers(hidden[::-1], file.json()["id"][::-1])
