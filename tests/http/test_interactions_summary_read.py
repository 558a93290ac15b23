"""A read of a part: ``GET [type]/[id]?_summary=…`` and ``?_elements=…``, and the same of a version.

https://hl7.org/fhir/R4/http.html#read · https://hl7.org/fhir/R4/search.html#summary
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from fhir_server.definitions.load import load
from fhir_server.search.subset import SUBSETTED
from tests.answers import hygienic, refused
from tests.conformance.choices import authorisation
from tests.conformance.own_record import OwnRecord, own_record
from tests.minimal import minimal
from tests.served import FHIR_JSON, JSON_PATCH, Served

EXAMPLES: Final = Path(__file__).parent.parent / "examples" / "published"
PARTS: Final = ("_summary=true", "_summary=text", "_summary=data", "_elements=status,subject")


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture(scope="module")
def path(client: httpx.Client) -> Iterator[str]:
    """An Observation with a narrative, a choice, decimals and a second version, written as no encoder would."""
    sent = (
        '{"resourceType": "Observation", "status": "final", "code": {"text": "poids"}, "language": "fr",'
        '"text": {"status": "generated", "div": "<div xmlns=\\"http://www.w3.org/1999/xhtml\\">un</div>"},'
        '"meta": {"tag": [{"system": "https://example.org/lots", "code": "7"}]},'
        '"valueQuantity": {"value": 71.50, "unit": "kg"}, "note": [{"text": "\\u00e0 jeun"}],'
        '"effectiveDateTime": "2026-03-01", "_effectiveDateTime": {"id": "moment"},'
        '"component": [{"code": {"text": "tare"}, "valueQuantity": {"value": 1.0},'
        '"interpretation": [{"text": "peu"}]}]}'
    )
    created = client.post("Observation", content=sent.encode(), headers=FHIR_JSON)
    assert created.status_code == 201, created.text
    path = f"Observation/{created.json()['id']}"
    changed = client.patch(
        path, json=[{"op": "replace", "path": "/text/div", "value": _div("deux")}], headers=JSON_PATCH
    )
    assert changed.status_code == 200, changed.text
    yield path
    client.delete(path)


def _div(text: str) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'


def part_of(whole: dict[str, Any], *names: str) -> dict[str, Any]:
    meta = whole["meta"]
    kept = {name: one for name, one in whole.items() if name in names}
    return {"resourceType": whole["resourceType"], "id": whole["id"], **kept} | {
        "meta": {**meta, "tag": [*meta.get("tag", []), SUBSETTED]}
    }


OF_SUMMARY: Final = ("status", "code", "valueQuantity", "effectiveDateTime", "_effectiveDateTime")


def test_each_part_holds_what_the_standard_says(client: httpx.Client, path: str) -> None:
    whole = client.get(path).json()
    component = whole["component"][0]
    less = [{"code": component["code"], "valueQuantity": component["valueQuantity"]}]
    expected = {
        "_summary=true": part_of(whole, *OF_SUMMARY) | {"component": less},
        "_summary=text": part_of(whole, "text", "status", "code"),
        "_summary=data": part_of(whole, *(whole.keys() - {"text"})),
        "_elements=note": part_of(whole, "note", "status", "code"),
        "_elements=value,%20effective,value": part_of(whole, *OF_SUMMARY),
        "_elements=Observation.note,language": part_of(whole, "note", "language", "status", "code"),
        "_summary=false&_elements=id": part_of(whole, "status", "code"),
    }
    for asked, part in expected.items():
        answer = client.get(f"{path}?{asked}")
        assert answer.status_code == 200, answer.text
        assert answer.json() == part, asked
        assert [name for name in whole if name in part] == list(answer.json()), "the order is kept"
        hygienic(answer)
    assert client.get(f"{path}?_summary=false").content == client.get(path).content


def test_what_is_kept_is_kept_as_it_was_written(client: httpx.Client, path: str) -> None:
    assert '"valueQuantity":{"value":71.50,"unit":"kg"}' in client.get(f"{path}?_elements=value").text
    assert '"valueQuantity":{"value":1.0}}]' in client.get(f"{path}?_summary=true").text
    stored = client.get(path).text
    note = stored[stored.index('"note":') :].partition("]")[0]
    assert note in client.get(f"{path}?_elements=note").text


@pytest.mark.parametrize("asked", PARTS)
def test_a_part_is_of_its_version(client: httpx.Client, path: str, asked: str) -> None:
    current, first = client.get(path), client.get(f"{path}/_history/1")
    for whole, url in ((current, path), (first, f"{path}/_history/1"), (current, f"{path}/_history/2")):
        part = client.get(f"{url}?{asked}")
        assert part.status_code == 200
        for name in ("etag", "last-modified", "content-type", "cache-control", "vary"):
            assert part.headers[name] == whole.headers[name], name
        assert part.json()["meta"]["versionId"] == whole.json()["meta"]["versionId"]
        if asked == "_summary=text":
            assert part.json()["text"] == whole.json()["text"]
        head = client.head(f"{url}?{asked}")
        assert (head.status_code, head.headers["content-length"]) == (200, str(len(part.content)))
        known = client.get(f"{url}?{asked}", headers={"If-None-Match": whole.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
    pretty = client.get(f"{path}?_pretty=true&{asked}&_format=json")
    assert pretty.json() == client.get(f"{path}?{asked}").json()
    assert pretty.text.startswith('{\n  "resourceType"')


def test_the_summaries_of_published_examples(client: httpx.Client) -> None:
    for file in EXAMPLES.glob("*.json"):
        sent = json.loads(file.read_bytes())
        type, path = sent["resourceType"], f"{sent['resourceType']}/{sent['id']}"
        assert client.put(path, content=file.read_bytes(), headers=FHIR_JSON).status_code == 201
        whole, part = client.get(path), client.get(f"{path}?_summary=true")
        flagged = {element.name for element in load().structures[type].elements if element.summary}
        assert {name.removesuffix("DateTime").removesuffix("Boolean") for name in part.json()} - flagged == {
            "resourceType"
        }
        assert len(part.content) < len(whole.content)
        assert "text" not in part.json()
        client.delete(path)


def test_the_resources_in_a_bundle_stay_whole(client: httpx.Client) -> None:
    entry = {"fullUrl": "urn:uuid:0b6f2f0e-5a35-4f5f-9f0f-0c7cf3f1a001", "resource": minimal("Basic", language="fr")}
    sent = {"resourceType": "Bundle", "type": "collection", "language": "fr", "entry": [entry]}
    created = client.post("Bundle", json=sent, headers=FHIR_JSON)
    assert created.status_code == 201, created.text
    path = f"Bundle/{created.json()['id']}"
    for asked in ("_summary=true", "_elements=entry"):
        part = client.get(f"{path}?{asked}").json()
        assert part["entry"] == [entry]
        assert "language" not in part
    client.delete(path)


# Binary


def test_a_binary_in_part_is_asked_for_as_fhir(client: httpx.Client) -> None:
    sent = {"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9u"}
    path = f"Binary/{client.post('Binary', json=sent, headers=FHIR_JSON).json()['id']}"
    whole = client.get(path, headers={"Accept": "application/fhir+json"}).json()
    for accept in ({}, {"Accept": "application/fhir+json"}, {"Accept": "text/plain, */*;q=0.1"}):
        assert client.get(f"{path}?_summary=true", headers=accept).json() == part_of(whole, "contentType")
        assert client.get(f"{path}?_elements=data", headers=accept).json() == part_of(whole, "contentType", "data")
    for asked in ("_summary=true", "_elements=contentType"):
        for native in ("text/plain", "application/pdf"):
            answer = client.get(f"{path}?{asked}", headers={"Accept": native})
            said = refused(answer, 400, "invalid", "A Binary in its own format has no elements")
            assert said["expression"] == [f"http.{asked.partition('=')[0]}"]
    plain = client.get(f"{path}?_summary=false", headers={"Accept": "text/plain"})
    assert (plain.status_code, plain.content) == (200, b"Bon")
    client.delete(path)


# What is refused


REFUSED: Final = (
    ("_summary=count", "a read has nothing to count", "http._summary"),
    ("_summary=", "must be one of true, text, data, count, false", "http._summary"),
    ("_summary=True", "must be one of", "http._summary"),
    ("_elements=", "names no element", "http._elements"),
    ("_elements=status,,code", "comma", "http._elements"),
    ("_elements=value[x]", "is not the name of an element", "http._elements"),
    ("_elements=code.text", "at the top of a resource", "http._elements"),
    ("_elements=status,bogus,Patient.name", "Observation has no element 'bogus', 'Patient.name'.", "http._elements"),
    ("_elements=valueQuantity", "Observation has no element 'valueQuantity'", "http._elements"),
    ("_elements=%00", "is not the name of an element", "http._elements"),
    ("_summary=text&_elements=code", "Either _summary or _elements", "http._elements"),
    ("_summary=true&_summary=text", "once each", None),
    ("_elements=code&_elements=status", "once each", None),
    ("_summary=true&_count=1", "not understood: _count", None),
    ("_summary:not=true", "takes _elements, _summary alone; not understood: _summary:not", None),
    ("=x", "not understood", None),
)


@pytest.mark.parametrize(("asked", "says", "where"), REFUSED)
@pytest.mark.parametrize("handling", ["strict", "lenient"])
def test_what_names_no_part_is_refused(
    client: httpx.Client, path: str, asked: str, says: str, where: str | None, handling: str
) -> None:
    """Also when asked to be lenient: an answer to a read has no place to tell what was left out."""
    for url in (path, f"{path}/_history/1", "Observation/absent"):
        answer = client.get(f"{url}?{asked}", headers={"Prefer": f"handling={handling}"})
        told = refused(answer, 400, "invalid", says)
        assert told.get("expression") == ([where] if where else None)


def test_the_other_interactions_take_no_part(client: httpx.Client, path: str) -> None:
    body = json.dumps(client.get(path).json())
    for method in ("PUT", "DELETE"):
        answer = client.request(method, f"{path}?_summary=true", content=body, headers=FHIR_JSON)
        refused(answer, 400, "invalid", "takes no parameters here; not understood: _summary")
    refused(client.get(f"{path}/_history?_summary=true"), 400)
    assert client.get(path).json()["meta"]["versionId"] == "2"


# Who may see


@pytest.mark.parametrize("asked", PARTS)
def test_a_part_of_what_is_hidden_is_not_there(served: Served, asked: str) -> None:
    for id in ("demo-1-annonce", "absent"):
        for url in (f"DocumentReference/{id}", f"DocumentReference/{id}/_history/1"):
            answer = served.as_("patient").get(f"{url}?{asked}", headers={"If-None-Match": "*"})
            refused(answer, 404, "not-found", f"{url} is not known.")
    refused(served.as_("assurance-maladie").get(f"DocumentReference/demo-1-normal-1?{asked}"), 403, "forbidden")


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    made = own_record(served)
    made.chosen(authorisation(made, "specialiste"))
    return made


def test_a_part_is_taken_of_what_is_shown(record: OwnRecord) -> None:
    """What a list says of a hidden document, and its narrative, are in no part of it either."""
    hidden, shown = record.deposit("MASQUE_PS"), record.deposit()
    items = [{"item": {"reference": f"DocumentReference/{id}"}} for id in (hidden, shown)]
    narrative = {"status": "generated", "div": _div(f"Voir DocumentReference/{hidden}")}
    sent = minimal("List", status="current", subject={"reference": f"Patient/{record.id}"}, text=narrative)
    written = record.served.as_("conformance").post("List", json=sent | {"entry": items}, headers=FHIR_JSON)
    assert written.status_code == 201, written.text
    path, reader = f"List/{written.json()['id']}", record.as_("specialiste")
    whole = reader.get(path).json()
    assert whole["entry"] == items[1:]
    for asked in ("_summary=true", "_summary=text", "_summary=data", "_elements=entry,text"):
        part = reader.get(f"{path}?{asked}")
        assert part.status_code == 200
        assert hidden not in part.text
        assert all(part.json()[name] == whole[name] for name in part.json() if name != "meta")
    assert reader.get(f"{path}?_elements=entry").json()["entry"] == items[1:]


def test_the_trace_tells_which_part_was_asked_for(record: OwnRecord) -> None:
    id = record.deposit()
    reader = record.as_("specialiste")
    url = f"DocumentReference/{id}?_elements=description,type"
    asked = reader.get(url)
    assert asked.status_code == 200
    event = _traced(reader, asked)
    assert event["subtype"][0]["code"] == "read"
    assert event["outcome"] == "0"
    entities = event["entity"]
    assert {"reference": f"DocumentReference/{id}/_history/1"} in [one.get("what") for one in entities]
    assert {"reference": f"Patient/{record.id}"} in [one.get("what") for one in entities]
    (query,) = [base64.b64decode(one["query"]).decode() for one in entities if "query" in one]
    assert query == f"GET /{url}"
    plain = _traced(reader, reader.get(f"DocumentReference/{id}"))
    assert [one for one in plain["entity"] if "query" in one] == []
    wrong = _traced(reader, reader.get(f"DocumentReference/{id}?_elements=bogus"))
    assert wrong["outcome"] == "4"
    assert [one for one in wrong["entity"] if "query" in one]


def _traced(client: httpx.Client, asked: httpx.Response) -> dict[str, Any]:
    found = client.get(f"AuditEvent?entity:identifier={asked.headers['x-request-id']}").json()
    (entry,) = found["entry"]
    event: dict[str, Any] = entry["resource"]
    return event


def test_a_trace_is_read_in_part(record: OwnRecord) -> None:
    patient = record.as_("patient")
    id = patient.get(f"AuditEvent?patient={record.id}&_count=1").json()["entry"][0]["resource"]["id"]
    whole = patient.get(f"AuditEvent/{id}").json()
    assert patient.get(f"AuditEvent/{id}?_elements=entity").json()["entity"] == whole["entity"]
    assert "entity" not in patient.get(f"AuditEvent/{id}?_summary=true").json()


def test_a_batch_reads_in_part(client: httpx.Client, path: str) -> None:
    urls = [f"{path}?_summary=true", f"{path}/_history/1?_elements=note", f"{path}?_summary=count", f"{path}?_count=1"]
    entries = [{"request": {"method": "GET", "url": url}} for url in urls]
    answer = client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries}, headers=FHIR_JSON)
    told = answer.json()["entry"]
    assert [one["response"]["status"] for one in told] == ["200", "200", "400", "400"]
    assert [one["resource"] for one in told[:2]] == [client.get(url).json() for url in urls[:2]]
    assert told[0]["response"]["etag"] == 'W/"2"'
