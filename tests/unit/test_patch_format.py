"""A patch is read as what its media type says; in a Bundle, as what the entry's resource is."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.errors import FhirError, Invalid, Malformed, TooLarge, UnsupportedMedia
from fhir_server.interactions import json_patch
from fhir_server.interactions.patch_format import PatchFormat, apply, format_of, of_entry
from tests.patches import add, delete, parameters, replace

CHANGES = b'[{"op": "add", "path": "/active", "value": true}]'


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("content_type", "format"),
    [
        ("application/fhir+json", PatchFormat.FHIRPATH),
        (" Application/FHIR+json ; charset=utf-8", PatchFormat.FHIRPATH),
        ("application/json-patch+json", PatchFormat.JSON_PATCH),
        ("application/json", PatchFormat.JSON_PATCH),
        (None, PatchFormat.JSON_PATCH),
    ],
)
def test_the_media_type_tells_the_form(content_type: str | None, format: PatchFormat) -> None:
    assert format_of(content_type) is format


def test_an_entry_is_a_parameters_resource_or_a_binary() -> None:
    entry = encoded(parameters(delete("Patient.active")))
    assert of_entry(entry) == (PatchFormat.FHIRPATH, entry)
    data = b64encode(CHANGES).decode()
    for written in (data, f"{data[:10]}\r\n {data[10:]}"):
        binary = {"resourceType": "Binary", "contentType": "application/json-patch+json;charset=utf-8", "data": written}
        assert of_entry(encoded(binary)) == (PatchFormat.JSON_PATCH, CHANGES)


@pytest.mark.parametrize(
    ("resource", "error"),
    [
        ({"resourceType": "Patient"}, Invalid),
        ({}, Invalid),
        ([], Malformed),
        ({"resourceType": "Binary"}, UnsupportedMedia),
        ({"resourceType": "Binary", "contentType": 1}, UnsupportedMedia),
        ({"resourceType": "Binary", "contentType": "application/fhir+json", "data": "e30="}, UnsupportedMedia),
        ({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "é"}, Invalid),
        ({"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "abc"}, Invalid),
    ],
)
def test_an_entry_that_is_no_patch(resource: Any, error: type[FhirError]) -> None:
    with pytest.raises(error) as refusal:
        of_entry(encoded(resource))
    assert len(str(refusal.value)) > 10


def test_a_binary_without_data_is_an_empty_patch() -> None:
    format, raw = of_entry(encoded({"resourceType": "Binary", "contentType": "application/json-patch+json"}))
    with pytest.raises(Malformed, match="empty"):
        apply(format, raw, b"{}", load())


def test_what_a_patch_does_not_change_keeps_its_bytes() -> None:
    body = b'{"resourceType":"Observation","status":"final","note":[{"text":"\\u00e9"}],"valueQuantity":{"value":1.10}}'
    patch = encoded(parameters(replace("Observation.status", valueCode="amended")))
    assert apply(PatchFormat.FHIRPATH, patch, body, load()) == body.replace(b"final", b"amended")
    changed = apply(PatchFormat.JSON_PATCH, b'[{"op":"remove","path":"/status"}]', body, load())
    assert changed == body.replace(b'"status":"final",', b"")


def test_the_body_of_a_fhirpath_patch_is_an_object() -> None:
    with pytest.raises(Malformed, match="a FHIRPath Patch is a Parameters resource"):
        apply(PatchFormat.FHIRPATH, CHANGES, b'{"resourceType":"Patient"}', load())


def test_a_patch_makes_no_resource_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_patch, "LARGEST_RESULT", 60)
    body = b'{"resourceType":"Patient","name":[{"text":"' + b"a" * 50 + b'"}]}'
    patch = encoded(parameters(add("Patient", "active", valueBoolean=True)))
    with pytest.raises(TooLarge, match="too large"):
        apply(PatchFormat.FHIRPATH, patch, body, load())
    assert apply(PatchFormat.FHIRPATH, encoded(parameters(delete("Patient.name"))), body, load()) == (
        b'{"resourceType":"Patient"}'
    )
