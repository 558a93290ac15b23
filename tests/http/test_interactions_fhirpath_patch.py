"""FHIRPath Patch by HTTP: the same interaction as a JSON Patch, under the media type of FHIR.

https://hl7.org/fhir/R4/fhirpatch.html · https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.conformance.choices import authorisation
from tests.conformance.own_record import OwnRecord, label, own_record
from tests.minimal import minimal
from tests.patches import Part, add, delete, insert, move, operation, parameters, part, replace
from tests.served import FHIR_JSON, JSON_PATCH, Served

MASK = add("DocumentReference", "securityLabel", valueCodeableConcept=label("MASQUE_PS"))
UNMASK = delete("DocumentReference.securityLabel.where(coding.code = 'MASQUE_PS')")


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture
def basic(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """A stored resource of this test's own."""
    created: dict[str, Any] = client.post("Basic", json=minimal("Basic"), headers=FHIR_JSON).json()
    yield created
    client.delete(f"Basic/{created['id']}")


def patched(client: httpx.Client, path: str, *operations: Part, **headers: str) -> httpx.Response:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.patch(path, json=parameters(*operations), headers=FHIR_JSON | told)


def test_a_patch_is_a_new_version(client: httpx.Client, basic: dict[str, Any]) -> None:
    path = f"Basic/{basic['id']}"
    answer = patched(
        client,
        path,
        add("Basic", "identifier", valueIdentifier={"value": "2"}),
        insert("Basic.identifier", 0, valueIdentifier={"value": "1"}),
        move("Basic.identifier", 1, 0),
        replace("Basic.code.text", valueString="other"),
        delete("Basic.language"),
        If_Match='W/"1"',
    )
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"'), answer.text
    assert [one["value"] for one in answer.json()["identifier"]] == ["2", "1"]
    assert answer.json()["code"]["text"] == "other"
    assert client.get(path).json() == answer.json()
    refused(patched(client, path, delete("Basic.identifier[0]"), If_Match='W/"1"'), 412, "conflict")
    assert client.get(f"{path}/_history/1").json()["code"] == basic["code"]
    refused(patched(client, "Basic/absent", delete("Basic.language")), 404, "not-found")


@pytest.mark.parametrize(
    ("change", "status", "code", "expression"),
    [
        ({"name": "change"}, 400, "invalid", "Parameters.parameter[0].name"),
        (operation("explode", "Basic"), 400, "invalid", "Parameters.parameter[0]"),
        (delete("Basic.code.repeat(text)"), 400, "invalid", "Parameters.parameter[0]"),
        (delete("Basic.unheard"), 422, "processing", "Parameters.parameter[0]"),
        (replace("Basic.identifier", valueIdentifier={}), 422, "processing", "Parameters.parameter[0]"),
        (replace("Basic.id", valueId="another"), 422, "processing", "Parameters.parameter[0]"),
        (replace("Basic.meta.versionId", valueId="9"), 422, "processing", "Parameters.parameter[0]"),
        (add("Basic", "code", valueCodeableConcept={"text": "x"}), 422, "processing", "Parameters.parameter[0]"),
        # the result is validated as any other
        (delete("Basic.code"), 400, "required", "Basic.code"),
        (replace("Basic.code", valueCodeableConcept={"unheard": 1}), 400, "structure", "Basic.code.unheard"),
        (add("Basic", "created", valueDate="yesterday"), 400, "value", "Basic.created"),
    ],
)
def test_a_patch_that_cannot_be(
    client: httpx.Client, basic: dict[str, Any], change: Part, status: int, code: str, expression: str
) -> None:
    told = refused(patched(client, f"Basic/{basic['id']}", change), status, code)
    assert told["expression"] == [expression]
    assert client.get(f"Basic/{basic['id']}").json() == basic


def test_the_media_type_says_which_patch_it_is(client: httpx.Client, basic: dict[str, Any]) -> None:
    path = f"Basic/{basic['id']}"
    change = parameters(delete("Basic.language"))
    for media in ("application/json", "application/json+fhir", "text/plain", "application/xml-patch+xml"):
        refused(client.patch(path, json=change, headers={"Content-Type": media}), 415, "not-supported", "fhir+json")
    refused(client.patch(path, json=change, headers=JSON_PATCH), 400, "invalid", "array of operations")
    refused(client.patch(path, content="{", headers=FHIR_JSON), 400, "structure", "line 1 column 2")
    refused(client.patch(path, json=[], headers=FHIR_JSON), 400, "structure", "Parameters resource")
    told = {"Content-Type": "application/fhir+json; fhirVersion=4.0; charset=utf-8"}
    assert client.patch(path, json=change, headers=told).status_code == 200
    declared = {"application/fhir+json", "application/fhir+xml", "application/json-patch+json"}
    assert set(client.get("metadata").json()["patchFormat"]) == declared


# In a batch


def entry(path: str, resource: Any, **conditions: str) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "PATCH", "url": path, **conditions}}


def as_binary(changes: Any, content_type: str = "application/json-patch+json") -> dict[str, Any]:
    data = b64encode(json.dumps(changes).encode()).decode()
    return {"resourceType": "Binary", "contentType": content_type, "data": data}


def test_both_patches_are_entries_of_a_batch(client: httpx.Client, basic: dict[str, Any]) -> None:
    path = f"Basic/{basic['id']}"
    english = [{"op": "add", "path": "/language", "value": "en"}]
    entries = [
        entry(path, parameters(add("Basic", "language", valueCode="fr")), ifMatch='W/"1"'),
        entry(path, parameters(delete("Basic.language")), ifMatch='W/"1"'),
        entry(path, as_binary(english), ifMatch='W/"2"'),
        entry(path, as_binary(english, "application/pdf")),
        entry(path, as_binary({})),
        entry(path, minimal("Basic")),
        entry(path, parameters(delete("Basic.unheard"))),
        entry("Basic/absent", parameters(delete("Basic.language"))),
        {"request": {"method": "PATCH", "url": path}},
    ]
    answer = client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": entries}, headers=FHIR_JSON)
    told = answer.json()["entry"]
    assert [one["response"]["status"] for one in told] == "200 412 200 415 400 400 422 404 400".split()
    assert [one["resource"]["language"] for one in (told[0], told[2])] == ["fr", "en"]
    assert client.get(path).headers["etag"] == 'W/"3"'


# What somebody may do by it


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


def test_a_document_is_masked_and_unmasked(record: OwnRecord) -> None:
    record.chosen(authorisation(record, "specialiste"))
    document = record.deposit()
    path = f"/DocumentReference/{document}"
    patient, specialist = record.as_("patient"), record.as_("specialiste")
    before = patient.get(path).json()["securityLabel"]
    assert specialist.get(path).status_code == 200
    answer = patched(patient, path, MASK)
    assert answer.status_code == 200, answer.text
    assert answer.json()["securityLabel"] == [*before, label("MASQUE_PS")]
    assert specialist.get(path).status_code == 404
    refused(patched(specialist, path, UNMASK), 404, "not-found")
    answer = patched(patient, path, UNMASK)
    assert (answer.status_code, answer.json()["securityLabel"]) == (200, before)
    assert specialist.get(path).status_code == 200
    hide = add("DocumentReference", "securityLabel", valueCodeableConcept=label("INVISIBLE_PATIENT"))
    refused(patched(patient, path, hide), 422, "business-rule")
    refused(patched(patient, path, MASK, add("DocumentReference", "description", valueString="x")), 403)
    refused(patched(record.as_("inconnu"), path, MASK), 404)


def test_who_feeds_only_reads_nothing_by_a_path(record: OwnRecord, served: Served) -> None:
    with served.client(served.token("assurance-maladie", extra={"scope": "system/*.cud"})) as feeder:
        for id in (record.deposit(), "absent"):
            refused(patched(feeder, f"/DocumentReference/{id}", UNMASK), 403)


def test_the_fhirpath_patch_of_an_extension(client: httpx.Client, basic: dict[str, Any]) -> None:
    path, url = f"Basic/{basic['id']}", "https://example.org/fhir/extension"
    told = add("Basic", "extension", part=[part("url", valueUri=url), part("value", valueDecimal=1)])
    assert patched(client, path, told).json()["extension"] == [{"url": url, "valueDecimal": 1}]
    changed = patched(client, path, replace(f"Basic.extension('{url}').value", valueBoolean=True))
    assert changed.json()["extension"] == [{"url": url, "valueBoolean": True}]
    assert "extension" not in patched(client, path, delete(f"Basic.extension('{url}')")).json()
