"""The matrice d'habilitation: which documents a profession may consult, as a predicate (R-47).

The table is data (`habilitation.toml`); this reads it, checks every code against the terminology, and compiles one
predicate a profession when the server starts. It is a LIMIT: it never lets anybody in. It speaks of the contents of a
record only (`circumstances.Domain.CONTENTS`), and reads of an entry its resource type, its `category` (class code of
the document) and its `kind` (type code).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from fhir_server.search.predicate import NEVER, Field, Predicate, all_of, any_of, negate, one_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fhir_server.terminology import Terminology

TABLE: Final = Path(__file__).with_name("habilitation.toml")


class InvalidHabilitation(ValueError):
    """The table cannot be honoured as it is written; the server does not start."""


class Confidence(StrEnum):
    """How we know a cell."""

    SOURCED = "sourced"
    ASSUMED = "assumed"


class Judgement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether something is read, and how we know."""

    read: bool
    source: str
    confidence: Confidence


class Cell(Judgement, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A judgement on some categories, or on some types."""

    categories: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What some professions read."""

    name: str
    professions: dict[str, tuple[str, ...]]
    """Short name of a code system to codes."""
    every_category: Judgement
    unknown_category: Judgement
    other_types: Judgement
    cells: tuple[Cell, ...] = ()


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The file."""

    professions: str
    """Value set the professions must belong to; likewise for the two others."""
    categories: str
    types: str
    documents: tuple[str, ...]
    systems: dict[str, str]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Habilitation:
    """The compiled table."""

    perimeters: Mapping[tuple[str, str], Predicate]
    """By system and code of the profession."""

    def perimeter(self, profession_system: str, profession: str) -> Predicate:
        """What the profession may consult of the contents of a record; nothing for one the table does not know."""
        return self.perimeters.get((profession_system, profession), NEVER)


def load(path: Path, terminology: Terminology) -> Habilitation:
    """Read the table from a file, at start."""
    return parse(path.read_text(encoding="utf-8"), terminology)


def parse(text: str, terminology: Terminology) -> Habilitation:
    """Read the table; :class:`InvalidHabilitation` says in a sentence what is wrong with it."""
    try:
        table = msgspec.toml.decode(text, type=Table)
    except msgspec.DecodeError as error:
        raise InvalidHabilitation(f"The habilitation table cannot be read: {error}") from None
    known = frozenset(concept.code for concept in terminology.codes(table.categories))
    _check(table, known, terminology)
    perimeters: dict[tuple[str, str], Predicate] = {}
    for row in table.rows:
        perimeter = _predicate(row, known, table.documents)
        for profession in _professions(row, table.systems):
            if profession in perimeters:
                raise InvalidHabilitation(f"The profession {profession[1]} of {profession[0]} stands in two rows.")
            perimeters[profession] = perimeter
    return Habilitation(perimeters)


def _predicate(row: Row, known: frozenset[str], documents: tuple[str, ...]) -> Predicate:
    """The row as a predicate: documents by category and type, all else by `other_types`."""
    withheld = one_of(Field.KIND, *_types(row, read=False))
    named = _types(row, read=True)
    other = all_of([negate(one_of(Field.TYPE, *documents)), one_of(Field.CATEGORY, None), one_of(Field.KIND, None)])
    by_category = all_of([_category(row, known), negate(withheld)])
    by_type = all_of([one_of(Field.KIND, *named), one_of(Field.CATEGORY, *known)])
    read = any_of([by_category, by_type])
    match row.unknown_category.read, row.other_types.read:
        case True, True:
            # What is no document has neither category nor type: `read` matches it already.
            return read
        case True, False:
            return all_of([read, negate(other)])
        case False, True:
            return any_of([read, other])
        case _:
            # A known category is asked for, which only documents have.
            return read


def _category(row: Row, known: frozenset[str]) -> Predicate:
    """The categories the row reads, as the shorter of a list of those read and a list of those withheld."""
    told = {category: cell.read for cell in row.cells for category in cell.categories}
    read = {category for category in known if told.get(category, row.every_category.read)}
    if not row.unknown_category.read:
        return one_of(Field.CATEGORY, *read)
    return negate(one_of(Field.CATEGORY, *(known - read)))


def _types(row: Row, *, read: bool) -> list[str]:
    return [type for cell in row.cells if cell.read is read for type in cell.types]


def _professions(row: Row, systems: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, codes in row.professions.items():
        if name not in systems:
            raise InvalidHabilitation(f"{row.name}: {name} is not one of the systems at the top of the table.")
        for code in codes:
            yield systems[name], code


def _check(table: Table, known: frozenset[str], terminology: Terminology) -> None:
    """Raise on the first code that no value set holds, and on a row that says a thing twice."""
    types = frozenset(concept.code for concept in terminology.codes(table.types))
    for row in table.rows:
        for system, code in _professions(row, table.systems):
            if not terminology.member(table.professions, system, code):
                raise InvalidHabilitation(f"{row.name}: {code} of {system} is not a profession of {table.professions}.")
        if any(bool(cell.categories) is bool(cell.types) for cell in row.cells):
            raise InvalidHabilitation(f"{row.name}: a cell names categories or types, not both, not neither.")
        _check_codes(row, "category", (code for cell in row.cells for code in cell.categories), known)
        _check_codes(row, "document type", (code for cell in row.cells for code in cell.types), types)


def _check_codes(row: Row, what: str, codes: Iterable[str], known: frozenset[str]) -> None:
    for code, times in Counter(codes).items():
        if code not in known:
            raise InvalidHabilitation(f"{row.name}: {code} is not a known {what}.")
        if times > 1:
            raise InvalidHabilitation(f"{row.name}: the {what} {code} has {times} cells.")
