"""What a client wrote is what every reader gets: the same bytes, but for id, meta and insignificant white space.

https://hl7.org/fhir/R4/json.html · https://hl7.org/fhir/R4/datatypes.html#decimal
"""

from __future__ import annotations

import json
from typing import TypeAlias

import httpx
import msgspec
import pytest

from fhir_server.fhir.json import compact, members
from tests.build import authorisation, medecin_traitant
from tests.conformance.own_record import NUMBERS, OwnRecord, own_record
from tests.served import FHIR_JSON, JSON_PATCH, Served

WRITTEN = r"""
{
  "resourceType": "Observation", "valueQuantity": {"unit": "mmol\/L", "value": 1.10, "code": "mmol/L", "system": "http://unitsofmeasure.org"},
  "extension": [
    {"valueDecimal": 1.10e2, "url": "https://example.org/fhir/unknown-1"},
    {"url": "https://example.org/fhir/unknown-2", "extension": [
      {"url": "nested", "valueDecimal": 0.000}, {"url": "negative", "valueDecimal": -0.0},
      {"url": "small", "valueDecimal": 1E-7}, {"url": "long", "valueDecimal": 3.141592653589793238462643383279502},
      {"url": "whole", "valueInteger": -7}]}
  ],
  "status": "final",
  "_status": {"id": "s", "extension": [{"url": "https://example.org/x", "valueString": "\u00e9\u20ac"}]},
  "note": [{"text": "H\u00e9l\u00E8ne \ud83d\ude00 \"quoted\" \\ \t end"}, {"text": "Hélène 😀"}],
  "code": {"text": "x", "_text": {"extension": [{"valueBoolean": true, "url": "https://example.org/y"}]}},
  "component": [
    {"valueSampledData": {"period": 10, "origin": {"value": 0.0}, "dimensions": 1, "data": "1 2", "factor": 1.00},
     "code": {"text": "c"}}],
  "effectiveTiming": {"event": ["2026-01-01", null, "2026-01-03T10:00:00+01:00"],
                      "_event": [null, {"extension": [{"url": "https://example.org/z", "valueCode": "a"}]}, null]},
  "subject": {"reference": "SUBJECT"}
}
"""
"""Every trap at once."""

Raw: TypeAlias = "dict[str, bytes]"


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    return own_record(served)


@pytest.fixture(scope="module")
def chosen(record: OwnRecord) -> None:
    """The patient authorised a specialist and named a médecin traitant."""
    record.chosen(authorisation(NUMBERS["specialiste"], patient=record.id).resource)
    record.chosen(medecin_traitant(NUMBERS["medecin-traitant"], patient=record.id).resource)


@pytest.fixture
def written(record: OwnRecord) -> bytes:
    return WRITTEN.replace("SUBJECT", f"Patient/{record.id}").encode()


def told(body: bytes) -> Raw:
    """The members a client decides, as bytes, in their order."""
    return {name: raw for name, raw in members(compact(body)).items() if name not in ("id", "meta", "resourceType")}


def same(found: Raw, written: bytes) -> None:
    wanted = told(written)
    assert list(found) == list(wanted)
    for name, raw in wanted.items():
        assert found[name] == raw, name


def entries(bundle: bytes) -> list[bytes]:
    """The resources of a Bundle as bytes."""
    parts = msgspec.json.decode(members(bundle)["entry"], type=list[dict[str, msgspec.Raw]])
    return [bytes(part["resource"]) for part in parts]


def create(client: httpx.Client, body: bytes) -> tuple[str, Raw]:
    answer = client.post("/Observation", content=body, headers=FHIR_JSON)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"], told(answer.content)


@pytest.fixture
def conformance(served: Served) -> httpx.Client:
    return served.as_("conformance")


def test_what_is_created_comes_back_by_every_road(conformance: httpx.Client, record: OwnRecord, written: bytes) -> None:
    id, answered = create(conformance, written)
    same(answered, written)
    same(told(conformance.get(f"/Observation/{id}").content), written)
    same(told(conformance.get(f"/Observation/{id}/_history/1").content), written)
    same(told(conformance.get(f"/Observation/{id}?_pretty=true").content), written)
    (found,) = entries(conformance.get(f"/Observation?_id={id}").content)
    same(told(found), written)
    (found,) = entries(conformance.get(f"/Observation/{id}/_history").content)
    same(told(found), written)
    (found,) = entries(record.as_("patient").get(f"/Observation?patient={record.id}&_id={id}").content)
    same(told(found), written)


def test_an_update_keeps_the_bytes_of_both_versions(conformance: httpx.Client, written: bytes) -> None:
    id, _ = create(conformance, written)
    second = written.replace(b"1.10,", b"1.100,").replace(b'"final"', b'"amended"')
    body = second.replace(b"{", b'{"id": "%b",' % id.encode(), 1)
    answer = conformance.put(f"/Observation/{id}", content=body, headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    same(told(answer.content), second)
    same(told(conformance.get(f"/Observation/{id}").content), second)
    same(told(conformance.get(f"/Observation/{id}/_history/1").content), written)
    newest, oldest = entries(conformance.get(f"/Observation/{id}/_history").content)
    same(told(newest), second)
    same(told(oldest), written)


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ({"op": "replace", "path": "/status", "value": "amended"}, (b'"final"', b'"amended"')),
        ({"op": "replace", "path": "/code/text", "value": "y"}, (b'{"text": "x",', b'{"text": "y",')),
        ({"op": "remove", "path": "/component"}, None),
    ],
)
def test_a_patch_keeps_the_bytes_of_what_it_does_not_change(
    conformance: httpx.Client, written: bytes, operation: dict[str, str], change: tuple[bytes, bytes] | None
) -> None:
    id, _ = create(conformance, written)
    answer = conformance.patch(f"/Observation/{id}", content=json.dumps([operation]), headers=JSON_PATCH)
    assert answer.status_code == 200, answer.text
    found = told(conformance.get(f"/Observation/{id}").content)
    assert found == told(answer.content)
    if change is None:
        same({**found, "component": told(written)["component"]}, reordered(written, "component"))
    else:
        same(found, written.replace(*change))


def reordered(body: bytes, last: str) -> bytes:
    """The same object with one member at the end."""
    parts = members(compact(body))
    parts[last] = parts.pop(last)
    return b"{" + b",".join(b'"%b":%b' % (name.encode(), raw) for name, raw in parts.items()) + b"}"


def test_a_decimal_of_a_patch_is_kept_as_written(conformance: httpx.Client, written: bytes) -> None:
    id, _ = create(conformance, written)
    patch = b'[{"op": "replace", "path": "/valueQuantity/value", "value": 2.500e1}]'
    answer = conformance.patch(f"/Observation/{id}", content=patch, headers=JSON_PATCH)
    assert answer.status_code == 200, answer.text
    same(told(answer.content), written.replace(b'"value": 1.10,', b'"value": 2.500e1,'))


def test_a_fhirpath_patch_keeps_the_bytes_of_what_it_does_not_change(conformance: httpx.Client, written: bytes) -> None:
    id, _ = create(conformance, written)
    parts = [
        b'{"name": "type", "valueCode": "replace"}',
        b'{"name": "path", "valueString": "Observation.value.ofType(Quantity).value"}',
        b'{"name": "value", "valueDecimal": 2.500e1}',
    ]
    operation = b'{"name": "operation", "part": [%b]}' % b", ".join(parts)
    patch = b'{"resourceType": "Parameters", "parameter": [%b]}' % operation
    answer = conformance.patch(f"/Observation/{id}", content=patch, headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    same(told(answer.content), written.replace(b'"value": 1.10,', b'"value": 2.500e1,'))


@pytest.mark.parametrize("actor", ["patient", "specialiste", "medecin-traitant"])
def test_another_precision_is_another_value(
    served: Served, record: OwnRecord, written: bytes, actor: str, chosen: None
) -> None:
    """Who may not change a resource may not change how precise it is either."""
    id, _ = create(served.as_("conformance"), written)
    assert record.as_(actor).get(f"/Observation/{id}").status_code == 200
    body = written.replace(b"1.10,", b"1.1,").replace(b"{", b'{"id": "%b",' % id.encode(), 1)
    answer = record.as_(actor).put(f"/Observation/{id}", content=body, headers=FHIR_JSON)
    assert answer.status_code == 403, answer.text
