"""The functions of FHIRPath, by name.

http://hl7.org/fhirpath/N1/#functions · https://hl7.org/fhir/R4/fhirpath.html#functions

- `collections`   what is there, and which of it: ``exists()``, ``where()``, ``union()``, ``repeat()``
- `texts`         ``startsWith()``, ``matches()``, ``split()``
- `numbers`       ``abs()``, ``round()``, ``sqrt()``
- `conversions`   ``toInteger()``, ``convertsToDate()``, ``is()``, ``iif()``
- `resources`     what FHIR adds: ``extension()``, ``resolve()``, ``memberOf()``
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fhir_server.fhirpath.functions import collections, conversions, numbers, resources, texts
from fhir_server.fhirpath.functions.function import Function

FUNCTIONS: Final[Mapping[str, Function]] = {
    **collections.FUNCTIONS,
    **texts.FUNCTIONS,
    **numbers.FUNCTIONS,
    **conversions.FUNCTIONS,
    **resources.FUNCTIONS,
}
"""All that are understood."""

REFUSED: Final[Mapping[str, str]] = {
    "elementDefinition": "knows-elements",
    "slice": "knows-no-slices",
    "checkModifiers": "modifiers-by-profiles",
    "subsumes": "member-of-instead",
    "subsumedBy": "member-of-instead",
}
"""Why not, where it is a function of FHIR: keys of `messages/expressions.toml`."""
