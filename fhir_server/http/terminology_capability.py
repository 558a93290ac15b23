"""The TerminologyCapabilities: which code systems this server answers for, and how it expands value sets.

https://hl7.org/fhir/R4/terminologycapabilities.html · https://hl7.org/fhir/R4/http.html#capabilities

Named are the code systems that are here whole. Of others (LOINC, SNOMED CT) single codes are known, and more may
be stored; nothing is promised of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fhir_server.fhir import json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fhir_server.operations.operation import Offered
    from fhir_server.terminology import Terminology
    from fhir_server.terminology.resources import CodeSystem

DATE = "2026-11-29"
"""Of the last change of what is declared here."""


def statement(terminology: Terminology, operations: Sequence[Offered], *, base_url: str, version: str) -> bytes:
    """The resource; it costs some 10 ms, and the decoding of the lists of HL7."""
    expand = next(one for one in operations if (one.operation.resource, one.operation.code) == ("ValueSet", "expand"))
    told: dict[str, Any] = {
        "resourceType": "TerminologyCapabilities",
        "url": "https://fhir.dmp-ens.example/TerminologyCapabilities/server",
        "version": "0.1.0",
        "name": "DmpEnsTerminology",
        "title": "Terminology of the FHIR R4 server for the DMP and Mon espace santé",
        "status": "active",
        "experimental": True,
        "date": DATE,
        "description": "Code systems that are present whole. Of others, codes are known that a list here names.",
        "kind": "instance",
        "software": {"name": "fhir-server", "version": version},
        "implementation": {"description": "FHIR R4 server for the DMP and Mon espace santé", "url": base_url},
        "lockedDate": False,
        "codeSystem": [*_code_systems(terminology)],
        "expansion": {
            "hierarchical": True,
            "paging": True,
            "incomplete": False,
            "parameter": [{"name": one.name} for one in expand.definition.takes],
            "textFilter": "Words that begin words of a display, a designation or the code, whatever case and accents.",
        },
        "codeSearch": "explicit",
        "validateCode": {"translations": True},
        "translation": {"needsMap": False},
    }
    return json.encode(told)


def _code_systems(terminology: Terminology) -> Iterator[dict[str, Any]]:
    for url, system in sorted(terminology.code_systems().items()):
        content = terminology.content(url)
        if content is None or not content.complete:
            continue
        told: dict[str, Any] = {"uri": url}
        if system.version is not None:
            told["version"] = [_version(system, system.version)]
        yield {**told, "subsumption": bool(content.children)}


def _version(system: CodeSystem, version: str) -> dict[str, Any]:
    told: dict[str, Any] = {"code": version, "isDefault": True, "compositional": False}
    if system.language:
        told["language"] = [system.language]
    if system.property:
        told["property"] = [one.code for one in system.property]
    return told
