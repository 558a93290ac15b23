"""How far a predicate reaches over all the resources of one type in one record, none of them looked at.

A predicate speaks of fields. Of a whole type some are known (its type, its record), the others are not, so the answer
is one of three: all, none, or some may be and some may not (Kleene's logic). Nothing stored is asked, so the answer
tells nothing of what is stored.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from fhir_server.consent.circumstances import Domain
from fhir_server.record.elements import OWNED, SEVERAL
from fhir_server.search.predicate import (
    AllOf,
    Always,
    AnyOf,
    Field,
    Never,
    Not,
    OneOf,
    Predicate,
    Value,
    Within,
    matches,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fhir_server.consent.circumstances import Circumstances
    from fhir_server.search.predicate import Entry


class Reach(StrEnum):
    """What of the things in question a predicate matches; of one thing, all or none."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


def of_entry(predicate: Predicate, entry: Entry) -> Reach:
    """Whether it matches one stored thing."""
    return Reach.ALL if matches(predicate, entry) else Reach.NONE


def of_type(predicate: Predicate, known: Mapping[Field, frozenset[Value]]) -> Reach:
    """How much it matches of all things that have the known fields so."""
    match predicate:
        case Always():
            return Reach.ALL
        case Never():
            return Reach.NONE
        case OneOf(field, values) if field in known:
            return Reach.NONE if known[field].isdisjoint(values) else Reach.ALL
        case Within(field, values) if field in known:
            return Reach.ALL if known[field] <= values else Reach.NONE
        case AllOf(parts):
            return _least(of_type(part, known) for part in parts)
        case AnyOf(parts):
            return _inverse(_least(_inverse(of_type(part, known)) for part in parts))
        case Not(part):
            return _inverse(of_type(part, known))
        case _:
            return Reach.SOME


def known_of_type(seen: Circumstances) -> Mapping[Field, frozenset[Value]]:
    """What is known of every resource of this type in this record.

    Only documents and their contents have a class and a type (`record.kind`). Labels and secret sessions are about the
    contents of a record: that its Patient or a Consent carried one is not expected, so not told of.
    """
    known: dict[Field, frozenset[Value]] = {
        Field.TYPE: frozenset({seen.type}),
        Field.REALM: frozenset({seen.facts.realm or seen.requester.realm.value}),
    }
    if seen.domain is Domain.DIRECTORY:
        known[Field.RECORD] = frozenset({None})
    elif seen.facts.record is not None:
        known[Field.RECORD] = frozenset({seen.facts.record})
    if seen.type not in SEVERAL:
        known[Field.ALSO] = frozenset()
    if seen.type != "DocumentReference" and seen.type not in OWNED:
        known[Field.CATEGORY] = known[Field.KIND] = frozenset({None})
    if seen.domain is not Domain.CONTENTS:
        known[Field.LABELS] = frozenset()
        known[Field.DEPOSIT_SECRET] = frozenset({False})
    return known


def _least(reaches: Iterable[Reach]) -> Reach:
    found = set(reaches)
    if Reach.NONE in found:
        return Reach.NONE
    return Reach.SOME if Reach.SOME in found else Reach.ALL


def _inverse(reach: Reach) -> Reach:
    return {Reach.ALL: Reach.NONE, Reach.NONE: Reach.ALL}.get(reach, reach)
