"""Which professions the directory knows a professional to have: of a Practitioner, its qualifications.

Diplomas and know-how are qualifications too; only the systems of JDV_J65 name a profession.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.identity.systems import PROFESSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fhir_server.fhir.json import Json, JsonObject


def professions_of(practitioner: JsonObject) -> frozenset[tuple[str, str]]:
    """The ``(system, code)`` of each profession in ``qualification.code``."""
    return frozenset(
        (str(coding["system"]), str(coding.get("code")))
        for qualification in _objects(practitioner.get("qualification"))
        for coding in _objects(_member(qualification.get("code"), "coding"))
        if coding.get("system") in PROFESSIONS
    )


def _member(element: Json, name: str) -> Json:
    return element.get(name) if isinstance(element, dict) else None


def _objects(value: Json) -> Iterator[JsonObject]:
    yield from (one for one in (value if isinstance(value, list) else []) if isinstance(one, dict))
