"""The committed form of the tables: what `tools/compile_r4.py` writes and `load` reads.

Rows are JSON arrays, trailing fields that have their default value are left out. What many elements share (lists of
types, invariants, value sets) is written once and named by its position or URL.
"""

from __future__ import annotations

import msgspec

from fhir_server.definitions.tables import Kind, SearchParameterType

STRUCTURES = "structures.json"
SEARCH_PARAMETERS = "search_parameters.json"
COMPARTMENTS = "compartments.json"
TERMINOLOGY = "terminology.json.gz"
"""The code systems and value sets of the package: a JSON array of resources, one a line. `terminology` reads it."""

ELEMENTS = "elements.json.gz"
"""StructureDefinitions as FHIR JSON, one a line, ordered by URL. The first line is the list of the URLs, so that one
definition is decoded without the others. Types have a snapshot, profiles and extensions a differential."""
MANIFEST = "manifest.json"

SEARCH_PARAMETER_URL = "http://hl7.org/fhir/SearchParameter/"
"""Left out of the URLs of the search parameters."""

UNBOUNDED = -1
"""``*`` as the ``max`` of an element."""


CHOICE, SUMMARY, MODIFIER = 1, 2, 4
"""The bits of ``ElementRow.flags`` (plain integers: 8000 elements are tested against them at start)."""


class TypeRow(msgspec.Struct, array_like=True, frozen=True):
    """A :class:`~fhir_server.definitions.tables.TypeUse`."""

    code: str
    targets: tuple[str, ...] = ()
    profile: str = ""


class InvariantRow(msgspec.Struct, array_like=True, frozen=True):
    """An :class:`~fhir_server.definitions.tables.Invariant`."""

    key: str
    human: str
    expression: str


class ElementRow(msgspec.Struct, array_like=True, frozen=True):
    """An :class:`~fhir_server.definitions.tables.Element` less its path, which follows from where it stands."""

    name: str
    min: int
    max: int
    types: int
    """Position in `StructuresFile.types`."""
    flags: int = 0
    value_set: str = ""
    """Of its required binding."""
    invariants: tuple[int, ...] = ()
    """Positions in `StructuresFile.invariants`."""


class StructureRow(msgspec.Struct, array_like=True, frozen=True):
    """A :class:`~fhir_server.definitions.tables.Structure` with its own elements; those of ``parent`` come before."""

    name: str
    kind: Kind
    abstract: bool
    parent: str
    elements: tuple[ElementRow, ...] = ()
    invariants: tuple[int, ...] = ()
    """All of them, inherited ones included."""
    pattern: str = ""


class StructuresFile(msgspec.Struct, frozen=True):
    """`structures.json`. A structure comes after its parent."""

    types: tuple[tuple[TypeRow, ...], ...]
    invariants: tuple[InvariantRow, ...]
    value_sets: dict[str, dict[str, tuple[str, ...]] | None]
    """By URL: system to codes, or null where the codes cannot be enumerated."""
    structures: tuple[StructureRow, ...]


class SearchParameterRow(msgspec.Struct, array_like=True, frozen=True):
    """A :class:`~fhir_server.definitions.tables.SearchParameter`."""

    url: str
    code: str
    type: SearchParameterType
    base: tuple[str, ...]
    targets: int
    """Position in `SearchParametersFile.targets`."""
    expression: str = ""
    components: tuple[tuple[str, str], ...] = ()


class SearchParametersFile(msgspec.Struct, frozen=True):
    """`search_parameters.json`."""

    targets: tuple[tuple[str, ...], ...]
    parameters: tuple[SearchParameterRow, ...]


class Manifest(msgspec.Struct, frozen=True):
    """`manifest.json`: what the tables were compiled from and the sha256 of each file."""

    fhir_version: str
    source: str
    source_sha256: str
    files: dict[str, str]
