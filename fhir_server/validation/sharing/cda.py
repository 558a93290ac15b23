"""The header of a CDA document: whom it is about, what it is, who wrote it and when.

HL7 CDA R2, with the French identifiers of the CI-SIS. Read by expat, which keeps no names; a document type is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from fhir_server.fhir.outcome import Issue, IssueType, error, warning
from fhir_server.record.actors import actor_key, author_keys
from fhir_server.validation.messages import told

if TYPE_CHECKING:
    from collections.abc import Collection

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhir.messages import Told

NAMESPACE: Final = "urn:hl7-org:v3"
MEDIA_TYPES: Final = frozenset({"text/xml", "application/xml"})
_ROOT: Final = ("ClinicalDocument",)
_PATIENT: Final = (*_ROOT, "recordTarget", "patientRole", "id")
_AUTHOR: Final = (*_ROOT, "author", "assignedAuthor", "id")
_TYPE: Final = (*_ROOT, "code")
_TIME: Final = (*_ROOT, "effectiveTime")
_DAY: Final = len("20261129")


class NotWellFormed(ValueError):
    """It is no XML document, or one with a document type."""

    def __init__(self, why: Told) -> None:
        """Say why, and where."""
        super().__init__(why.en)
        self.why = why


@dataclass(slots=True)
class Header:
    """What the header tells, as far as a DocumentReference tells it too."""

    is_cda: bool = False
    patients: set[str] = field(default_factory=set)
    """Keys of the patient's INS."""
    authors: set[str] = field(default_factory=set)
    """Keys of the authors."""
    code: str | None = None
    day: str | None = None
    """``YYYYMMDD``."""


def read(data: bytes) -> Header:
    """Read a whole document, of which the header is kept; raise :class:`NotWellFormed` with where and why."""
    reading = _Reading()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.StartDoctypeDeclHandler = reading.document_type
    try:
        parser.Parse(data, True)  # noqa: FBT003 - there is no more to come
    except expat.ExpatError as failure:
        why = expat.ErrorString(failure.code)
        place = told("at-place", line=failure.lineno, column=failure.offset + 1, why=why)
        raise NotWellFormed(place) from None
    finally:
        parser.StartElementHandler = parser.EndElementHandler = parser.StartDoctypeDeclHandler = None
    return reading.header


class _Reading:
    """One document while expat goes through it."""

    def __init__(self) -> None:
        self.header = Header()
        self._path: list[str] = []
        self._depth = 0

    def document_type(self, *_: object) -> None:
        raise NotWellFormed(told("document-type"))

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth != len(self._path) + 1 or len(self._path) >= len(_PATIENT):
            return  # below what the header holds
        namespace, _, local = name.rpartition(" ")
        self._path.append(local if namespace == NAMESPACE else f"{{{namespace}}}{local}")
        self._look(tuple(self._path), attributes)

    def end(self, _: str) -> None:
        if self._depth == len(self._path):
            self._path.pop()
        self._depth -= 1

    def _look(self, path: tuple[str, ...], attributes: dict[str, str]) -> None:
        header = self.header
        if path == _ROOT:
            header.is_cda = True
        elif path == _PATIENT and (key := _key(attributes)) is not None:
            if key.startswith("ins|"):
                header.patients.add(key)
        elif path == _AUTHOR and (key := _key(attributes)) is not None:
            header.authors.add(key)
        elif path == _TYPE:
            header.code = attributes.get("code")
        elif path == _TIME:
            header.day = attributes.get("value", "")[:_DAY] or None


def _key(attributes: dict[str, str]) -> str | None:
    root, extension = attributes.get("root"), attributes.get("extension")
    return actor_key(f"urn:oid:{root}", extension) if root and extension else None


def issues_of_content(data: bytes, document: JsonObject, persons: Collection[str], where: str) -> list[Issue]:
    """What a document in XML tells otherwise than its DocumentReference; that it is no XML is an error.

    ``persons`` are the keys of the patient's INS, ``where`` is the FHIRPath of the attachment. A difference is reported
    and does not refuse: which of the two is right is for the author to say.
    """
    try:
        header = read(data)
    except NotWellFormed as failure:
        return [error(IssueType.STRUCTURE, told("document-not-xml", why=failure.why), where)]
    if not header.is_cda:
        return []
    issues = []
    ins = {person for person in persons if person.startswith("ins|")}
    if ins and header.patients and not header.patients & ins:
        issues.append(_differs(told("cda-patient"), "DocumentReference.subject"))
    types = set(_codes(document.get("type")))
    if header.code is not None and types and header.code not in types:
        declared = ", ".join(sorted(types))[:80]
        issues.append(_differs(told("cda-type", found=header.code[:40], declared=declared), "DocumentReference.type"))
    authors = set(author_keys(document))
    if header.authors and authors and not header.authors & authors:
        issues.append(_differs(told("cda-author"), "DocumentReference.author"))
    created = _creation(document)
    if header.day is not None and created is not None and header.day != created:
        issues.append(_differs(told("cda-day", found=header.day, declared=created), f"{where}.creation"))
    return issues


def _differs(sentence: Told, where: str) -> Issue:
    return warning(IssueType.BUSINESS_RULE, sentence, where)


def _codes(concept: Json) -> list[str]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return [
        code
        for coding in (codings if isinstance(codings, list) else [])
        if isinstance(coding, dict) and isinstance(code := coding.get("code"), str)
    ]


def _creation(document: JsonObject) -> str | None:
    """The day of `attachment.creation`, where there is one to the day."""
    contents = document.get("content")
    for content in contents if isinstance(contents, list) else []:
        attachment = content.get("attachment") if isinstance(content, dict) else None
        created = attachment.get("creation") if isinstance(attachment, dict) else None
        if isinstance(created, str) and len(created) >= len("2026-11-29"):
            return created[:10].replace("-", "")
    return None
