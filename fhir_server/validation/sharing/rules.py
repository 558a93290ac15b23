"""What the DMP asks of a DocumentReference beside the profiles of the guides: its code lists, labels and media types.

The guides only prefer the lists; the DMP demands them (ADR 0032). What profiles state is in `validation.profiles`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.outcome import Issue, IssueType, Severity
from fhir_server.validation.messages import told

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhir.messages import Told
    from fhir_server.terminology import Terminology

_NOS: Final = "https://mos.esante.gouv.fr/NOS/"
TYPES: Final = f"{_NOS}JDV_J66-TypeCode-DMP/FHIR/JDV-J66-TypeCode-DMP"
CLASSES: Final = f"{_NOS}JDV_J57-ClassCode-DMP/FHIR/JDV-J57-ClassCode-DMP"
CLASS_OF_TYPE: Final = f"{_NOS}ASS_X16-CorrespondanceType-Classe-DMP/FHIR/ASS-X16-CorrespondanceType-Classe-DMP"
CONFIDENTIALITY: Final = f"{_NOS}JDV_J58-ConfidentialityCode-DMP/FHIR/JDV-J58-ConfidentialityCode-DMP"
BOUND: Final = {
    "type": TYPES,
    "category": CLASSES,
    "content.format": f"{_NOS}JDV_J60-FormatCode-DMP/FHIR/JDV-J60-FormatCode-DMP",
    "context.facilityType": f"{_NOS}JDV_J61-HealthcareFacilityTypeCode-DMP/FHIR/JDV-J61-HealthcareFacilityTypeCode-DMP",
    "context.practiceSetting": f"{_NOS}JDV_J62-PracticeSettingCode-DMP/FHIR/JDV-J62-PracticeSettingCode-DMP",
}
"""The code lists of the DMP. The guide prefers them; the DMP demands them."""

MEDIA_TYPES: Final = frozenset(
    {
        "application/dicom",
        "application/fhir+json",
        "application/fhir+xml",
        "application/pdf",
        "application/xml",
        "image/jpeg",
        "image/tiff",
        "text/plain",
        "text/rtf",
        "text/xml",
    }
)
"""What a document of the DMP may be made of: CDA, PDF, images, text, imaging objects, FHIR documents."""

URI: Final = "urn:ietf:rfc:3986"
_PLACE: Final = re.compile(
    r"(?:Binary|Bundle)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?|https?://[^\s]+|urn:(?:uuid|oid):[^\s]+"
)
"""Where a document may lie: TD3.2; within a Bundle, under the name of another entry."""


def issues_of_the_dmp(document: JsonObject, terminology: Terminology) -> list[Issue]:
    """What is wrong with a DocumentReference by the rules of the DMP, which no profile of the guides states."""
    return list(_of_the_dmp(document, terminology))


def _of_dmp(rule: str, code: IssueType, sentence: Told, where: str, severity: Severity = Severity.ERROR) -> Issue:
    """What no profile states, but the DMP."""
    return Issue(severity, code, sentence.en, (where,), sentence.fr, rule)


def _of_the_dmp(document: JsonObject, terminology: Terminology) -> Iterator[Issue]:
    """The code lists, which no profile of the guide binds strictly, and what kind of file may be shared."""
    for path, value_set in BOUND.items():
        for where, value in _values(document, path, "DocumentReference"):
            codings = list(_codings(value))
            if not any(terminology.member(value_set, system, code) for system, code in codings):
                codes = ", ".join(f"{system}|{code}" for system, code in codings)[:200]
                name = value_set.rpartition("/")[2]
                sentence = (
                    told("not-in-value-set", element=where, codes=codes, value_set=name)
                    if codes
                    else told("without-code", element=where, value_set=name)
                )
                yield _of_dmp("binding", IssueType.CODE_INVALID, sentence, where)
    yield from _of_labels(document, terminology)
    yield from _of_class(document, terminology)
    for where, value in _values(document, "content.attachment.contentType", "DocumentReference"):
        media = value.partition(";")[0].strip().lower() if isinstance(value, str) else ""
        if media not in MEDIA_TYPES:
            allowed = ", ".join(sorted(MEDIA_TYPES))
            sentence = told("media-type", element=where, found=value, allowed=allowed)
            yield _of_dmp("media-type", IssueType.NOT_SUPPORTED, sentence, where)
    yield from _of_names(document)


def _of_names(document: JsonObject) -> Iterator[Issue]:
    """By what name a document is known, and under which URL it lies."""
    for where, value in _values(document, "masterIdentifier", "DocumentReference"):
        master: JsonObject = value if isinstance(value, dict) else {}
        if "system" in master and master["system"] != URI:
            sentence = told("master-identifier-system", element=where, expected=URI)
            yield _of_dmp("value", IssueType.VALUE, sentence, f"{where}.system")
        elif "value" in master and not _is_urn(master["value"]):
            sentence = told("master-identifier-value", element=where)
            yield _of_dmp("value", IssueType.VALUE, sentence, f"{where}.value")
    for where, value in _values(document, "content.attachment.url", "DocumentReference"):
        if not isinstance(value, str) or not _PLACE.fullmatch(value):
            yield _of_dmp("value", IssueType.VALUE, told("place", element=where), where)


def _is_urn(value: Json) -> bool:
    return isinstance(value, str) and value.startswith(("urn:oid:", "urn:uuid:"))


def _of_labels(document: JsonObject, terminology: Terminology) -> Iterator[Issue]:
    """Codes of confidentiality and visibility are those of the DMP; labels of other systems may stand beside them."""
    for where, value in _values(document, "securityLabel", "DocumentReference"):
        for position, (system, code) in enumerate(_codings(value)):
            at = f"{where}.coding[{position}]"
            if terminology.member(CONFIDENTIALITY, system, code):
                continue
            if _is_mistyped(system):
                sentence = told("mistyped-system", element=at, system=system)
                yield _of_dmp("binding", IssueType.CODE_INVALID, sentence, f"{at}.system", Severity.WARNING)
            elif is_confidentiality(system, terminology):
                name = CONFIDENTIALITY.rpartition("/")[2]
                sentence = told("not-in-value-set", element=at, codes=code, value_set=name)
                yield _of_dmp("binding", IssueType.CODE_INVALID, sentence, at)


def _is_mistyped(system: str) -> bool:
    """Under the name that an example of the guide gives the system by mistake."""
    return "TRE_A07-Status" in system


A08: Final = f"{_NOS}TRE_A08-HL7Confidentiality/FHIR/TRE-A08-HL7Confidentiality"


def is_confidentiality(system: str, terminology: Terminology) -> bool:
    """Whether a code system is that of N, R and V, under either of its names."""
    return terminology.system(system) == terminology.system(A08)


def _of_class(document: JsonObject, terminology: Terminology) -> Iterator[Issue]:
    """The category that goes with a type, where the table of the DMP has one."""
    expected = {
        found
        for _, value in _values(document, "type", "DocumentReference")
        for system, code in _codings(value)
        if (found := terminology.translate(CLASS_OF_TYPE, system, code)) is not None
    }
    for where, value in _values(document, "category", "DocumentReference"):
        given = {(terminology.system(system), code) for system, code in _codings(value)}
        wanted = {(terminology.system(one.system), one.code) for one in expected}
        if wanted and not given & wanted:
            codes = ", ".join(sorted(one.code for one in expected))
            sentence = told("category-of-type", element=where, codes=codes, map=CLASS_OF_TYPE.rpartition("/")[2])
            yield _of_dmp("category-of-type", IssueType.BUSINESS_RULE, sentence, where)


def _codings(value: Json) -> Iterator[tuple[str, str]]:
    """The system and code of each coding of a concept, or of a Coding itself."""
    if not isinstance(value, dict):
        return
    codings = value.get("coding") if "coding" in value else [value]
    for coding in codings if isinstance(codings, list) else []:
        if isinstance(coding, dict):
            system, code = coding.get("system"), coding.get("code")
            if isinstance(code, str):
                yield (system if isinstance(system, str) else "", code)


# Paths


def _values(resource: JsonObject, path: str, type: str) -> Iterator[tuple[str, Json]]:
    """The elements at a path that are there, each with its FHIRPath."""
    found: list[tuple[str, Json]] = [(type, resource)]
    for name in path.split("."):
        below: list[tuple[str, Json]] = []
        for where, holder in found:
            value = holder.get(name) if isinstance(holder, dict) else None
            if isinstance(value, list):
                below += [(f"{where}.{name}[{position}]", one) for position, one in enumerate(value)]
            elif value is not None:
                below.append((f"{where}.{name}", value))
        found = below
    yield from found
