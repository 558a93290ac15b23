"""Predicates that several rules need, by name.

Those that rest on the requester alone, and on the record, are made once: half of what a decision costs is making them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from fhir_server.consent.circumstances import PATIENT_SIDE, organisation_key, professional_key
from fhir_server.identity.requester import Kind
from fhir_server.record.elements import SEVERAL
from fhir_server.search.predicate import NEVER, Field, Predicate, any_of, one_of

if TYPE_CHECKING:
    from fhir_server.consent.circumstances import Circumstances
    from fhir_server.identity.requester import Requester


def in_record(seen: Circumstances) -> Predicate:
    """What belongs to the record in question; of a record nobody has, or of another realm, nothing."""
    if seen.facts.record is None or seen.facts.realm != seen.requester.realm.value:
        return NEVER
    return belonging_to(seen.type, seen.facts.record)


@lru_cache(maxsize=2048)
def belonging_to(type: str, record: str) -> Predicate:
    """What belongs to a record; of a type that may belong to several, whichever it names first."""
    first = one_of(Field.RECORD, record)
    return any_of([first, one_of(Field.ALSO, record)]) if type in SEVERAL else first


def deposited_by(seen: Circumstances) -> Predicate:
    """What the requester deposited: a person by his key, a system by its structure (R1111-49, R-21)."""
    if seen.requester.kind in PATIENT_SIDE:
        return one_of(Field.DEPOSIT_BY, *seen.own_keys)
    return _deposited_by(seen.requester)


@lru_cache(maxsize=4096)
def _deposited_by(requester: Requester) -> Predicate:
    structure = organisation_key(requester)
    if requester.kind in (Kind.ORGANISATION, Kind.FEEDER) and structure is not None:
        return one_of(Field.DEPOSIT_ORGANISATION, structure)
    return one_of(Field.DEPOSIT_BY, requester.key)


def brought_by(requester: Requester) -> Predicate:
    """What the requester himself brought in: what it says, he wrote, so it tells him nothing new.

    Nobody else of the patient's side: what a minor wrote may name what he keeps from his representatives.
    """
    return _deposited_by(requester)


@lru_cache(maxsize=4096)
def written_by(requester: Requester) -> Predicate:
    """What a professional or his structure deposited, or names him among its contained authors (R-20, R-21)."""
    key, structure = professional_key(requester), organisation_key(requester)
    return any_of(
        [
            _deposited_by(requester),
            one_of(Field.AUTHORS, key) if key else NEVER,
            # what a structure deposited in its own name is every member's own (R1111-49 names the structure too)
            one_of(Field.DEPOSIT_BY, structure) if key and structure else NEVER,
        ]
    )
