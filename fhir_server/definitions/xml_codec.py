"""FHIR in XML: the same resources as in JSON, both ways.

https://hl7.org/fhir/R4/xml.html

What the server holds is JSON (ADR 0006). XML is read to it before anything else looks at a body, and written from it
after everything else is done.

Measured in CPU time on Python 3.11: ``tests/examples/DocumentReference-lettre.json`` (3 kB, 99 elements) is written in
0.1 ms and read in 0.2 ms; a Bundle of 5 MB that holds it 1,382 times, in 0.16 s and 0.29 s (0.12 s to read it in JSON,
0.1 s to validate it). The first resource costs 2 ms more each way.
"""

from __future__ import annotations

from fhir_server.definitions.tables import Definitions
from fhir_server.definitions.uncollected import uncollected
from fhir_server.definitions.xml_reading import XmlReader
from fhir_server.definitions.xml_writing import XmlWriter


class XmlCodec:
    """Reads and writes every resource type of R4."""

    def __init__(self, definitions: Definitions) -> None:
        """Compile nothing yet: a type is compiled when it is first met."""
        self._reader = XmlReader(definitions)
        self._writer = XmlWriter(definitions)

    def to_json(self, body: bytes) -> bytes:
        """A resource in XML as compact JSON, which is still to be validated.

        Raises `Malformed` for what is no XML or no resource, and `Invalid` with all that XML got wrong.
        """
        with uncollected():
            return self._reader.to_json(body)

    def to_xml(self, body: bytes, *, pretty: bool = False) -> bytes:
        """A resource in JSON as XML in UTF-8; indented for people when it shall be pretty.

        Raises `Malformed` for what is no JSON, and `NotAcceptable` for what XML cannot say.
        """
        with uncollected():
            return self._writer.to_xml(body, pretty=pretty)
