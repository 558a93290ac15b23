"""Reads the compiled tables of FHIR R4 (about 50 ms, once)."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from fhir_server.definitions import rows
from fhir_server.definitions.tables import (
    Binding,
    Definitions,
    Element,
    Invariant,
    SearchParameter,
    Structure,
    TypeUse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ABSTRACT_BASES = ("Resource", "DomainResource")


@cache
def load() -> Definitions:
    """The definitions of FHIR R4 4.0.1."""
    structures = _structures(msgspec.json.decode(committed(rows.STRUCTURES), type=rows.StructuresFile))
    resource_types = tuple(sorted(s.name for s in structures.values() if s.kind == "resource" and not s.abstract))
    parameters = msgspec.json.decode(committed(rows.SEARCH_PARAMETERS), type=rows.SearchParametersFile)
    return Definitions(
        structures=MappingProxyType(structures),
        resource_types=resource_types,
        search_parameters=_search_parameters(parameters, structures, resource_types),
        compartments=_compartments(committed(rows.COMPARTMENTS)),
    )


def committed(name: str) -> bytes:
    """The content of one of the compiled files."""
    return files("fhir_server.definitions").joinpath(name).read_bytes()


def _structures(file: rows.StructuresFile) -> dict[str, Structure]:
    types = [tuple(TypeUse(row.code, row.targets, row.profile) for row in uses) for uses in file.types]
    invariants = [Invariant(row.key, row.human, row.expression) for row in file.invariants]
    bindings = {url: Binding(url, _pairs(systems)) for url, systems in file.value_sets.items()}
    structures: dict[str, Structure] = {}
    inherited: dict[str, tuple[rows.ElementRow, ...]] = {"": ()}
    for row in file.structures:
        own_and_inherited = inherited[row.parent] + row.elements
        inherited[row.name] = own_and_inherited
        structures[row.name] = Structure(
            name=row.name,
            kind=row.kind,
            abstract=row.abstract,
            elements=tuple(_element(row.name, element, types, invariants, bindings) for element in own_and_inherited),
            invariants=tuple(invariants[position] for position in row.invariants),
            parent=row.parent,
            pattern=row.pattern,
        )
    return structures


def _element(
    structure: str,
    row: rows.ElementRow,
    types: list[tuple[TypeUse, ...]],
    invariants: list[Invariant],
    bindings: dict[str, Binding],
) -> Element:
    choice = bool(row.flags & rows.CHOICE)
    return Element(
        name=row.name,
        path=f"{structure}.{row.name}[x]" if choice else f"{structure}.{row.name}",
        min=row.min,
        max=None if row.max == rows.UNBOUNDED else row.max,
        types=types[row.types],
        choice=choice,
        binding=bindings.get(row.value_set),
        invariants=tuple(invariants[position] for position in row.invariants),
        summary=bool(row.flags & rows.SUMMARY),
        modifier=bool(row.flags & rows.MODIFIER),
    )


def _pairs(systems: dict[str, tuple[str, ...]] | None) -> frozenset[tuple[str, str]] | None:
    if systems is None:
        return None
    return frozenset((system, code) for system, codes in systems.items() for code in codes)


def _search_parameters(
    file: rows.SearchParametersFile, structures: dict[str, Structure], resource_types: tuple[str, ...]
) -> Mapping[str, Mapping[str, SearchParameter]]:
    by_base: dict[str, dict[str, SearchParameter]] = {name: {} for name in (*ABSTRACT_BASES, *resource_types)}
    for row in file.parameters:
        parameter = SearchParameter(
            url=rows.SEARCH_PARAMETER_URL + row.url,
            code=row.code,
            type=row.type,
            base=row.base,
            expression=row.expression,
            targets=file.targets[row.targets],
            components=row.components,
        )
        for base in row.base:
            by_base[base][row.code] = parameter
    merged = {}
    for name in resource_types:
        of_any_domain_resource = by_base["DomainResource"] if structures[name].parent == "DomainResource" else {}
        merged[name] = MappingProxyType({**by_base["Resource"], **of_any_domain_resource, **by_base[name]})
    return MappingProxyType(merged)


def _compartments(content: bytes) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    decoded = msgspec.json.decode(content, type=dict[str, dict[str, tuple[str, ...]]])
    return MappingProxyType({name: MappingProxyType(types) for name, types in decoded.items()})
