"""Security labels: which ones a resource carries, and which changes of them are legal.

A label is the code, upper-cased, of any coding in ``securityLabel`` or ``meta.security``, whatever its system: a mask
under a misspelt system still hides (R-20..R-27).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir.outcome import Issue, IssueType, error
from fhir_server.record.messages import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fhir_server.fhir.json import Json, JsonObject

TRE_A07: Final = "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument"
MASQUE_PS: Final = "MASQUE_PS"
INVISIBLE_PATIENT: Final = "INVISIBLE_PATIENT"
INVISIBLE_REPRESENTANTS_LEGAUX: Final = "INVISIBLE_REPRESENTANTS_LEGAUX"
MASKS: Final = frozenset({MASQUE_PS, "MASQUE_PSOCIAL", "MASQUE_PT"})
"""Codes that hide from professionals. The two narrower ones are read as the wide one: restrictive where the law is
silent about whom they spare."""
INVISIBLE: Final = frozenset({INVISIBLE_PATIENT, INVISIBLE_REPRESENTANTS_LEGAUX})
VISIBILITY: Final = MASKS | INVISIBLE


def labels_of(resource: JsonObject) -> list[str]:
    """The labels, upper-cased and sorted, each once."""
    return sorted({code.upper() for _, _, code in _codings(resource)})


def label_issues(resource: JsonObject, *, masked_and_invisible: bool) -> list[Issue]:
    """What is wrong with the labels by themselves.

    A visibility code under an unknown system, or an unknown code under TRE_A07, would hide less than its author meant.
    ``masked_and_invisible`` tells whether INVISIBLE_PATIENT and MASQUE_PS may stand together (R-27).
    """
    issues: list[Issue] = []
    for path, system, code in _codings(resource):
        if code.upper() in VISIBILITY and system != TRE_A07:
            issues.append(
                error(
                    IssueType.CODE_INVALID,
                    told("label-system", code=code, system=TRE_A07, found=system or told("no-system")),
                    path,
                )
            )
        elif system == TRE_A07 and code.upper() not in VISIBILITY:
            issues.append(error(IssueType.CODE_INVALID, told("label-unknown", code=code), path))
    labels = labels_of(resource)
    if not masked_and_invisible and INVISIBLE_PATIENT in labels and MASQUE_PS in labels:
        issues.append(
            error(
                IssueType.BUSINESS_RULE,
                told("label-for-nobody"),
                f"{resource.get('resourceType')}.securityLabel",
            )
        )
    return issues


def _codings(resource: JsonObject) -> Iterator[tuple[str, str | None, str]]:
    type = resource.get("resourceType")
    meta = resource.get("meta")
    if isinstance(meta, dict):
        yield from _read(f"{type}.meta.security", meta.get("security"))
    security = resource.get("securityLabel")
    if isinstance(security, list):
        for position, concept in enumerate(security):
            if isinstance(concept, dict):
                yield from _read(f"{type}.securityLabel[{position}].coding", concept.get("coding"))
                yield from _read(f"{type}.securityLabel[{position}]", [concept])


def _read(path: str, codings: Json) -> Iterator[tuple[str, str | None, str]]:
    if isinstance(codings, list):
        for position, coding in enumerate(codings):
            if isinstance(coding, dict) and isinstance(code := coding.get("code"), str):
                system = coding.get("system")
                yield f"{path}[{position}]", system if isinstance(system, str) else None, code
