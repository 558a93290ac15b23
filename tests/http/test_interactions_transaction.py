"""Transactions over HTTP: all of it or nothing, links put in place, each entry decided and traced by itself.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.answers import refused
from tests.http.bundling import done, entry, key, send, statuses, urn
from tests.minimal import minimal
from tests.served import FHIR_JSON, Served

SYSTEM = "https://example.org/fhir/transactions"
PATIENT = "http-transaction"


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """A client with every right, and a patient whose record is used."""
    conformance = served.as_("conformance")
    patient = minimal("Patient", id=PATIENT, identifier=[{"system": SYSTEM, "value": "patient"}])
    assert conformance.put(f"Patient/{PATIENT}", json=patient, headers=FHIR_JSON).status_code in (200, 201)
    yield conformance
    conformance.delete(f"Patient/{PATIENT}")


def observation(**members: Any) -> dict[str, Any]:
    return minimal("Observation", subject={"reference": f"Patient/{PATIENT}"}, **members)


def number(client: httpx.Client, tag: str) -> int:
    found: int = client.get("Observation", params={"identifier": f"{SYSTEM}|{tag}", "_total": "accurate"}).json()[
        "total"
    ]
    return found


def tagged(tag: str) -> dict[str, Any]:
    return observation(identifier=[{"system": SYSTEM, "value": tag}])


def test_entries_call_each_other_by_name(client: httpx.Client) -> None:
    """References, URLs, extensions, contained resources and narratives alike; a business identifier is none."""
    patient, seen, report = urn(), urn(), "urn:oid:1.2.250.99.1"
    told = done(
        client,
        entry(
            "POST",
            "DiagnosticReport",
            minimal(
                "DiagnosticReport",
                subject={"reference": patient},
                identifier=[{"system": "urn:ietf:rfc:3986", "value": seen}],
                result=[{"reference": seen}, {"reference": "#inner"}],
                extension=[{"url": "https://example.org/about", "valueUri": seen}],
                contained=[minimal("Observation", id="inner", focus=[{"reference": seen}])],
                text={
                    "status": "generated",
                    "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{seen}">vue</a></div>',
                },
                conclusion=f"voir {seen}",
            ),
            fullUrl=report,
        ),
        entry("POST", "Observation", minimal("Observation", subject={"reference": patient}), fullUrl=seen),
        entry("POST", "Patient", minimal("Patient"), fullUrl=patient),
    )
    assert statuses(told) == ["201"] * 3
    made = {one: key(told[at]) for at, one in enumerate((report, seen, patient))}
    stored = client.get(made[report]).json()
    assert stored["subject"]["reference"] == made[patient]
    assert stored["result"][0]["reference"] == made[seen]
    assert stored["extension"][0]["valueUri"] == made[seen]
    assert stored["contained"][0]["focus"][0]["reference"] == made[seen]
    assert f'href="{made[seen]}"' in stored["text"]["div"]
    assert stored["identifier"][0]["value"] == seen
    assert stored["conclusion"] == f"voir {seen}"
    assert client.get("DiagnosticReport", params={"result": made[seen]}).json()["total"] == 1


def test_a_url_of_another_server_is_a_name_too(client: httpx.Client) -> None:
    """Also as others write it, relative to it."""
    there = "https://ailleurs.example/fhir/Observation/7"
    told = done(
        client,
        entry("POST", "Observation", observation(), fullUrl=there),
        entry("POST", "Observation", observation(derivedFrom=[{"reference": there}, {"reference": "Observation/7"}])),
    )
    assert client.get(key(told[1])).json()["derivedFrom"] == [{"reference": key(told[0])}] * 2


def test_the_order_is_the_standards_and_the_answers_are_in_that_of_the_request(client: httpx.Client) -> None:
    first = client.post("Observation", json=observation(), headers=FHIR_JSON).json()
    second = client.post("Observation", json=observation(), headers=FHIR_JSON).json()
    told = done(
        client,
        entry("GET", f"Observation/{first['id']}"),
        entry("GET", f"Observation?_id={second['id']}"),
        entry("PUT", f"Observation/{first['id']}", {**first, "status": "amended"}),
        entry("POST", "Observation", observation()),
        entry("DELETE", f"Observation/{second['id']}"),
    )
    assert statuses(told) == ["200", "200", "200", "201", "204"]
    assert told[0]["resource"]["status"] == "amended"
    assert told[1]["resource"]["total"] == 0
    assert told[2]["response"]["etag"] == 'W/"2"'
    assert all("lastModified" in told[at]["response"] for at in (0, 2, 3))


def test_one_entry_that_fails_takes_all_back_and_is_named(client: httpx.Client) -> None:
    tag = str(uuid4())
    answer = send(
        client,
        entry("POST", "Observation", tagged(tag)),
        entry("PUT", f"Patient/{PATIENT}", minimal("Patient", id=PATIENT, gender="unknown")),
        entry("POST", "Observation", tagged(tag) | {"status": "nonsense"}),
    )
    issue = refused(answer, 400, "code-invalid")
    assert issue["expression"] == ["Bundle.entry[2].resource.status"]
    assert number(client, tag) == 0
    assert "gender" not in client.get(f"Patient/{PATIENT}").json()


@pytest.mark.parametrize(
    ("wrong", "status", "where"),
    [
        ({"resource": minimal("Observation")}, 400, "Bundle.entry[1].request"),
        (entry("BREW", "Observation", minimal("Observation")), 400, "Bundle.entry[1].request.method"),
        ({"request": {"method": "POST"}}, 400, "Bundle.entry[1].request.url"),
        (entry("POST", "Observation"), 400, "Bundle.entry[1]"),
        (entry("POST", "Nonsense", minimal("Observation")), 404, "Bundle.entry[1]"),
        (entry("POST", "Observation/a/b", minimal("Observation")), 404, "Bundle.entry[1]"),
        (entry("PUT", "Observation", minimal("Observation")), 400, "Bundle.entry[1]"),
        (entry("POST", "", minimal("Bundle")), 400, "Bundle.entry[1].request.url"),
        (entry("POST", "Patient", minimal("Observation")), 400, "Bundle.entry[1]"),
        (entry("DELETE", "Observation/http-transaction-absent"), 404, "Bundle.entry[1]"),
        (entry("PUT", "AuditEvent/a", minimal("AuditEvent", id="a")), 405, "Bundle.entry[1]"),
        (entry("GET", "Observation/http-transaction-absent"), 404, "Bundle.entry[1]"),
        (entry("GET", "Observation?code:wrong=1"), 400, "Bundle.entry[1]"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_entry_is_told_where_it_is(
    client: httpx.Client, wrong: dict[str, Any], status: int, where: str
) -> None:
    tag = str(uuid4())
    answer = send(client, entry("POST", "Observation", tagged(tag)), wrong)
    issue = refused(answer, status)
    assert issue["expression"][0].startswith(where), issue
    assert number(client, tag) == 0


def test_nothing_may_be_in_it_twice(client: httpx.Client) -> None:
    same, first = urn(), client.post("Observation", json=observation(), headers=FHIR_JSON).json()
    path = f"Observation/{first['id']}"
    refused(send(client, entry("PUT", path, first), entry("DELETE", path)), 400)
    twice = [entry("POST", "Observation", observation(), fullUrl=same) for _ in range(2)]
    refused(send(client, *twice), 400)
    assert client.get(path).status_code == 200


def test_a_reference_by_a_search_names_what_is_there(client: httpx.Client) -> None:
    by_search = f"Patient?identifier={SYSTEM}|patient"
    told = done(client, entry("POST", "Observation", minimal("Observation", subject={"reference": by_search})))
    assert client.get(key(told[0])).json()["subject"]["reference"] == f"Patient/{PATIENT}"


@pytest.mark.parametrize(
    ("query", "says"), [(f"identifier={SYSTEM}|nobody", "Nothing"), ("_id=demo-1,demo-2", "Several")]
)
def test_a_reference_by_a_search_that_names_none_or_several_is_refused(
    client: httpx.Client, query: str, says: str
) -> None:
    tag = str(uuid4())
    wrong = minimal("Observation", subject={"reference": f"Patient?{query}"})
    answer = send(client, entry("POST", "Observation", tagged(tag)), entry("POST", "Observation", wrong))
    issue = refused(answer, 412, says=says)
    assert issue["expression"] == ["Bundle.entry[1]"]
    assert number(client, tag) == 0


def test_conditions_within_it(client: httpx.Client) -> None:
    """What a condition finds is what others in the Bundle refer to."""
    tag, name = str(uuid4()), urn()
    unless = {"ifNoneExist": f"identifier={SYSTEM}|{tag}"}
    first = done(
        client,
        entry("POST", "Observation", tagged(tag), fullUrl=name, **unless),
        entry("POST", "Observation", observation(derivedFrom=[{"reference": name}])),
    )
    again = done(
        client,
        entry("POST", "Observation", tagged(tag), fullUrl=name, **unless),
        entry("POST", "Observation", observation(derivedFrom=[{"reference": name}])),
    )
    assert (statuses(first), statuses(again)) == (["201", "201"], ["200", "201"])
    assert client.get(key(again[1])).json()["derivedFrom"] == [{"reference": key(first[0])}]
    condition = f"Observation?identifier={SYSTEM}|{tag}"
    changed = done(client, entry("PUT", condition, tagged(tag) | {"status": "amended"}), entry("GET", condition))
    assert changed[1]["resource"]["entry"][0]["resource"]["status"] == "amended"
    assert statuses(done(client, entry("DELETE", condition))) == ["204"]
    assert number(client, tag) == 0


def test_a_version_that_moved_takes_all_back(client: httpx.Client) -> None:
    tag, first = str(uuid4()), client.post("Observation", json=observation(), headers=FHIR_JSON).json()
    wrong = entry("PUT", f"Observation/{first['id']}", first, ifMatch='W/"7"')
    refused(send(client, entry("POST", "Observation", tagged(tag)), wrong), 412)
    assert number(client, tag) == 0
    right = entry("PUT", f"Observation/{first['id']}", first, ifMatch='W/"1"')
    assert statuses(done(client, right)) == ["200"]


def test_as_much_is_answered_as_the_client_prefers(client: httpx.Client) -> None:
    made = entry("POST", "Observation", observation())
    whole = done(client, made)[0]
    assert whole["resource"]["resourceType"] == "Observation"
    assert "resource" not in done(client, made, Prefer="return=minimal")[0]
    outcome = done(client, made, Prefer="return=OperationOutcome")[0]
    assert "resource" not in outcome
    assert outcome["response"]["outcome"]["resourceType"] == "OperationOutcome"


def test_many_entries(client: httpx.Client) -> None:
    tag = str(uuid4())
    assert (
        statuses(
            done(client, *(entry("POST", "Observation", tagged(tag)) for _ in range(300)), Prefer="return=minimal")
        )
        == ["201"] * 300
    )
    assert number(client, tag) == 300
    too_many = [entry("GET", "Patient/a")] * 1001
    refused(send(client, *too_many), 413)


def test_an_empty_one_is_answered_by_an_empty_one(client: httpx.Client) -> None:
    answer = client.post("", json={"resourceType": "Bundle", "type": "transaction"}, headers=FHIR_JSON)
    assert answer.json() == {"resourceType": "Bundle", "type": "transaction-response"}


def test_two_that_meet_are_both_whole(client: httpx.Client) -> None:
    """Each changes the same resource and adds one: what is added is as much as what was answered 200."""
    tag, first = str(uuid4()), client.post("Observation", json=observation(), headers=FHIR_JSON).json()
    change = entry("PUT", f"Observation/{first['id']}", first)
    with ThreadPoolExecutor(4) as threads:
        found = list(
            threads.map(lambda _: send(client, entry("POST", "Observation", tagged(tag)), change).status_code, range(8))
        )
    assert set(found) <= {200, 409, 503}
    assert number(client, tag) == found.count(200) > 0


def test_every_entry_is_decided_by_itself(served: Served) -> None:
    """A document and its Binary, published together; a stranger's transaction finds and changes nothing."""
    hospital, stranger, patient = served.as_("hopital"), served.as_("inconnu"), served.as_("patient")
    name, file = urn(), urn()
    document = minimal(
        "DocumentReference",
        subject={"reference": "Patient/demo-1"},
        content=[{"attachment": {"contentType": "text/plain", "url": file}}],
    )
    binary = {
        "resourceType": "Binary",
        "contentType": "text/plain",
        "data": "Qm9u",
        "securityContext": {"reference": name},
    }
    told = done(
        hospital,
        entry("POST", "DocumentReference", document, fullUrl=name),
        entry("POST", "Binary", binary, fullUrl=file),
        Prefer="return=minimal",
    )
    made = [key(one) for one in told]
    read = patient.get(made[0]).json()
    assert read["content"][0]["attachment"]["url"] == made[1]
    assert patient.get(made[1], headers={"Accept": "text/plain"}).text == "Bon"
    refused(send(stranger, entry("GET", made[0])), 404, "not-found")
    refused(send(stranger, entry("DELETE", made[0])), 404, "not-found")
    assert served.as_("conformance").delete(made[0]).status_code == 204


def test_the_trail_tells_each_entry_and_what_was_taken_back(served: Served, client: httpx.Client) -> None:
    """What was announced is withdrawn; what was not sent yet is told as what it became."""
    tag, first = str(uuid4()), client.post("Observation", json=observation(), headers=FHIR_JSON).json()
    answer = send(
        client,
        entry("POST", "Observation", tagged(tag)),
        entry("PUT", f"Observation/{first['id']}", first),
        entry("POST", "Observation", tagged(tag)),
        entry("GET", "Observation/http-transaction-absent"),
        **{"X-Request-Id": tag},
    )
    refused(answer, 404)
    told = traces(served, tag)
    assert told == [
        ("create", "0"),
        ("create", "0"),
        ("create", "4"),
        ("create", "4"),
        ("read", "4"),
        ("transaction", "4"),
        ("update", "0"),
        ("update", "4"),
    ]
    refused(
        send(client, entry("POST", "Observation", tagged(tag)), entry("GET", "Patient/a"), **{"X-Request-Id": tag[:8]}),
        404,
    )
    assert traces(served, tag[:8]) == [("create", "4"), ("read", "4"), ("transaction", "4")], "nothing was announced"


def test_every_entry_of_a_large_one_has_its_trace(served: Served, client: httpx.Client) -> None:
    tag = str(uuid4())
    entries = [entry("POST", "Observation", tagged(tag)) for _ in range(60)]
    entries += [entry("GET", f"Patient/{PATIENT}") for _ in range(30)]
    made = done(client, *entries, **{"X-Request-Id": tag})
    assert traces(served, tag) == [("create", "0")] * 60 + [("read", "0")] * 30
    found = served.as_("conformance").get("AuditEvent", params={"entity": key(made[0])}).json()["entry"]
    assert [one["resource"]["subtype"][0]["code"] for one in found] == ["create"]


def traces(served: Served, request: str) -> list[tuple[str, str]]:
    """Interaction and outcome of every trace of this request."""
    asked = {"entity:identifier": request, "_count": "200"}
    found = served.as_("conformance").get("AuditEvent", params=asked).json()["entry"]
    told = [one["resource"] for one in found]
    return sorted((one["subtype"][0]["code"], one["outcome"]) for one in told)
