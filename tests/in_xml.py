"""Bodies and answers in XML: written by our own codec, and looked at by somebody else's reader, lxml."""

from __future__ import annotations

import json
from typing import Any, Final

import httpx
from lxml import etree

from tests.answers import CODEC, hygienic, refused

FHIR_XML: Final = {"Content-Type": "application/fhir+xml"}
AS_XML: Final = {"Accept": "application/fhir+xml"}
BOTH: Final = FHIR_XML | AS_XML
XMLNS: Final = 'xmlns="http://hl7.org/fhir"'
XHTML: Final = 'xmlns="http://www.w3.org/1999/xhtml"'


def xml(resource: dict[str, Any] | bytes) -> bytes:
    """A resource in XML."""
    return CODEC.to_xml(resource if isinstance(resource, bytes) else json.dumps(resource).encode())


def root(answer: httpx.Response) -> Any:
    """The root of an answer in XML, as lxml reads it."""
    assert answer.headers["content-type"] == "application/fhir+xml;charset=utf-8", answer.text[:500]
    hygienic(answer)
    found = etree.fromstring(answer.content)
    assert found.tag.startswith("{http://hl7.org/fhir}")
    return found


def in_json(answer: httpx.Response) -> bytes:
    """An answer in XML, as the bytes it would be in JSON."""
    root(answer)
    return CODEC.to_json(answer.content)


def told(answer: httpx.Response) -> Any:
    """An answer in XML, as JSON."""
    return json.loads(in_json(answer))


def refused_in_xml(answer: httpx.Response, status: int, code: str | None = None, says: str = "") -> dict[str, Any]:
    """Check that it is refused as it should be, in XML; answer the first issue."""
    assert answer.status_code == status, answer.text[:2000]
    root(answer)
    return refused(answer, status, code, says)
