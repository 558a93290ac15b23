"""Reads the project's own conformance resources from ``profiles/`` and ``terminology/``, and those of packages.

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast, get_args

from fhir_server.definitions.packages import Definition
from fhir_server.definitions.tables import SearchParameter, SearchParameterType
from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import Json, JsonObject, decode_object


def read_search_parameters(folder: Path) -> list[SearchParameter]:
    """The SearchParameters of the JSON files of a folder, in the order of their file names.

    Raises :class:`ValueError` with the name of the file that cannot be used: the server does not start with a search
    parameter that it would not serve.
    """
    return [search_parameter(one.file, one.resource) for one in read_definitions(folder)]


def read_definitions(folder: Path) -> list[Definition]:
    """The resources of the JSON files of a folder, in the order of their file names."""
    return [Definition(str(path), _decoded(path)) for path in sorted(folder.glob("*.json"))]


def search_parameter(file: str, resource: JsonObject) -> SearchParameter:
    """One SearchParameter, from where it was read."""
    try:
        return _search_parameter(resource)
    except ValueError as error:
        message = f"{file} is not a search parameter that can be served: {error}"
        raise ValueError(message) from None


def _decoded(path: Path) -> JsonObject:
    try:
        return decode_object(path.read_bytes())
    except FhirError as error:
        message = f"{path} is no FHIR resource: {error}"
        raise ValueError(message) from None


def _search_parameter(resource: JsonObject) -> SearchParameter:
    if resource.get("resourceType") != "SearchParameter":
        raise ValueError("its resourceType is not SearchParameter.")
    type = _text(resource, "type")
    if type not in get_args(SearchParameterType):
        raise ValueError(f"{type!r} is not a type of search parameter.")
    bases = _texts(resource.get("base"))
    if not bases:
        raise ValueError("it has no base.")
    return SearchParameter(
        url=_text(resource, "url"),
        code=_text(resource, "code"),
        type=cast("SearchParameterType", type),
        base=bases,
        expression=_text(resource, "expression"),
        targets=_texts(resource.get("target")),
        components=_components(resource.get("component")),
    )


def _components(value: Json) -> tuple[tuple[str, str], ...]:
    """Of a composite: the definition and the expression of each part."""
    listed = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    found = [(one.get("definition"), one.get("expression")) for one in listed]
    if not all(isinstance(definition, str) and isinstance(expression, str) for definition, expression in found):
        raise ValueError("a component has no definition or no expression.")
    return tuple((str(definition), str(expression)) for definition, expression in found)


def _text(resource: JsonObject, name: Literal["url", "code", "type", "expression"]) -> str:
    value = resource.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"it has no {name}.")
    return value


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
