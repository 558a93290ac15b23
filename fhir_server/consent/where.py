"""Predicates that several rules need, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.consent.circumstances import organisation_key, professional_key
from fhir_server.identity.requester import Kind
from fhir_server.search.predicate import NEVER, Field, Predicate, any_of, one_of

if TYPE_CHECKING:
    from fhir_server.consent.circumstances import Circumstances


def in_record(seen: Circumstances) -> Predicate:
    """What belongs to the record in question; of a record nobody has, or of another realm, nothing."""
    if seen.facts.record is None or seen.facts.realm != seen.requester.realm.value:
        return NEVER
    return one_of(Field.RECORD, seen.facts.record)


def deposited_by(seen: Circumstances) -> Predicate:
    """What the requester deposited: a person by his key, a system by its structure (R1111-49, R-21)."""
    structure = organisation_key(seen.requester)
    if seen.requester.kind in (Kind.ORGANISATION, Kind.FEEDER) and structure is not None:
        return one_of(Field.DEPOSIT_ORGANISATION, structure)
    return one_of(Field.DEPOSIT_BY, *seen.own_keys)


def written_by(seen: Circumstances) -> Predicate:
    """What the requester or his structure deposited, or names him among its contained authors (R-20, R-21)."""
    key, structure = professional_key(seen.requester), organisation_key(seen.requester)
    return any_of(
        [
            deposited_by(seen),
            one_of(Field.AUTHORS, key) if key else NEVER,
            # what a structure deposited in its own name is every member's own (R1111-49 names the structure too)
            one_of(Field.DEPOSIT_BY, structure) if key and structure else NEVER,
        ]
    )
