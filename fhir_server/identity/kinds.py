"""The table that tells the kinds of requester apart.

A kind is known by the level of its scopes and by one mark among its roles; the other claims must then agree with it.
Two marks, a claim the kind must not have, or one it lacks, is a contradiction. Nothing is a kind by default: the most
powerful ones need a mark of their own, so that a claim left out never makes anybody more than he was.

============== ======= ============================== ======== ============ ====== ======
kind           scopes  mark among ``subject_role``    RPPS     organisation person actor
============== ======= ============================== ======== ============ ====== ======
PATIENT        patient none                           never    never        always never
REPRESENTATIVE patient TRE_R260 GUARD                 never    never        always always
CARER          patient TRE_R260 CAREGIVER             never    never        always always
PROFESSIONAL   user    one code of G15 G16 R94 R95    always   maybe        maybe  never
                       R291
ORGANISATION   system  none                           never    always       never  never
FEEDER         system  TRE_A00 ALIM_AM or DISPOSITIF  never    maybe        never  never
CONFORMANCE    system  ours, CONFORMANCE              never    never        never  never
SUPPORT        user    ours, SUPPORT                  never    never        never  never
============== ======= ============================== ======== ============ ====== ======

CONFORMANCE exists in the realm of trials only and holds ``system/*.cruds``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fhir_server.identity.requester import Coding, Kind
from fhir_server.identity.scope import Level
from fhir_server.identity.systems import A00, PROFESSIONS, R260, ROLES


class Mark(StrEnum):
    """What the roles of a token say about its kind."""

    NONE = "no role that tells"
    GUARD = "legal representative"
    CAREGIVER = "carer"
    PROFESSION = "profession"
    FEEDER = "feeder"
    CONFORMANCE = "conformance client"
    SUPPORT = "support"


class Presence(StrEnum):
    """Whether a kind has a claim."""

    ALWAYS = "must"
    MAYBE = "may"
    NEVER = "must not"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind and what its token must and must not tell."""

    kind: Kind
    rpps: Presence = Presence.NEVER
    organisation: Presence = Presence.NEVER
    person: Presence = Presence.NEVER
    actor: Presence = Presence.NEVER
    exercise: Presence = Presence.NEVER
    """Specialty and practice setting."""
    secret: Presence = Presence.NEVER
    """A secret session (audience restriction)."""


TABLE: Final[Mapping[tuple[Level, Mark], Row]] = {
    (Level.PATIENT, Mark.NONE): Row(Kind.PATIENT, person=Presence.ALWAYS),
    (Level.PATIENT, Mark.GUARD): Row(Kind.REPRESENTATIVE, person=Presence.ALWAYS, actor=Presence.ALWAYS),
    (Level.PATIENT, Mark.CAREGIVER): Row(Kind.CARER, person=Presence.ALWAYS, actor=Presence.ALWAYS),
    (Level.USER, Mark.PROFESSION): Row(
        Kind.PROFESSIONAL,
        rpps=Presence.ALWAYS,
        organisation=Presence.MAYBE,
        person=Presence.MAYBE,
        exercise=Presence.MAYBE,
        secret=Presence.MAYBE,
    ),
    (Level.USER, Mark.SUPPORT): Row(Kind.SUPPORT),
    (Level.SYSTEM, Mark.NONE): Row(
        Kind.ORGANISATION, organisation=Presence.ALWAYS, exercise=Presence.MAYBE, secret=Presence.MAYBE
    ),
    (Level.SYSTEM, Mark.FEEDER): Row(Kind.FEEDER, organisation=Presence.MAYBE, exercise=Presence.MAYBE),
    (Level.SYSTEM, Mark.CONFORMANCE): Row(Kind.CONFORMANCE),
}

_BY_CODE: Final[Mapping[tuple[str, str], Mark]] = {
    (R260, "GUARD"): Mark.GUARD,
    (R260, "CAREGIVER"): Mark.CAREGIVER,
    (A00, "ALIM_AM"): Mark.FEEDER,
    (A00, "DISPOSITIF"): Mark.FEEDER,
    (ROLES, "CONFORMANCE"): Mark.CONFORMANCE,
    (ROLES, "SUPPORT"): Mark.SUPPORT,
}


def marks(roles: Iterable[Coding]) -> frozenset[Mark]:
    """What the roles say; other roles (a know-how, a secretariat) say nothing and give nothing."""
    told = (
        Mark.PROFESSION if role.system in PROFESSIONS else _BY_CODE.get((role.system, role.code), Mark.NONE)
        for role in roles
    )
    return frozenset(told) - {Mark.NONE}
