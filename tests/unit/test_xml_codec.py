"""The codec leaves the collector of garbage as it found it."""

from __future__ import annotations

import gc
from contextlib import suppress

from fhir_server.definitions.load import load
from fhir_server.definitions.xml_codec import XmlCodec
from fhir_server.fhir.errors import FhirError


def test_garbage_is_collected_afterwards_whatever_happens() -> None:
    codec = XmlCodec(load())
    assert codec.to_json(b'<Basic xmlns="http://hl7.org/fhir"/>') == b'{"resourceType":"Basic"}'
    assert gc.isenabled()
    for read in (codec.to_json, codec.to_xml):
        with suppress(FhirError):
            read(b"<")
        assert gc.isenabled()
    gc.disable()
    try:
        codec.to_json(b'<Basic xmlns="http://hl7.org/fhir"/>')
        assert not gc.isenabled()
    finally:
        gc.enable()
