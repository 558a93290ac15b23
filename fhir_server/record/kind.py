"""Category and kind of a document, by which the matrice d'habilitation reads (R-47, docs/consent/habilitation.md).

Only a DocumentReference has them: its XDS class code and its type code. Codes alone, as the matrix writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject

TRE_A03: Final = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
_TYPE_SYSTEMS: Final = (
    "http://loinc.org",
    "https://mos.esante.gouv.fr/NOS/TRE_A04-Loinc/FHIR/TRE-A04-Loinc",
    "https://mos.esante.gouv.fr/NOS/TRE_A05-TypeDocComplementaire/FHIR/TRE-A05-TypeDocComplementaire",
)


def category_of(resource: JsonObject) -> str | None:
    """The class code of a document; nothing when it has none, or several that disagree."""
    categories = resource.get("category")
    if resource.get("resourceType") != "DocumentReference" or not isinstance(categories, list):
        return None
    return _single(categories, (TRE_A03,))


def kind_of(resource: JsonObject) -> str | None:
    """The type code of a document; nothing when it has none, or several that disagree."""
    if resource.get("resourceType") != "DocumentReference" or "type" not in resource:
        return None
    return _single([resource["type"]], _TYPE_SYSTEMS)


def _single(concepts: list[Json], systems: tuple[str, ...]) -> str | None:
    """The one code under the systems the DMP knows, else the one code there is.

    Several codes that disagree are no category at all: unknown, which the matrix reads restrictively.
    """
    codings = [
        coding
        for concept in concepts
        if isinstance(concept, dict) and isinstance(concept.get("coding"), list)
        for coding in _list(concept["coding"])
        if isinstance(coding, dict) and isinstance(coding.get("code"), str)
    ]
    known = {str(coding["code"]).upper() for coding in codings if coding.get("system") in systems}
    codes = known or {str(coding["code"]).upper() for coding in codings}
    return codes.pop() if len(codes) == 1 else None


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
