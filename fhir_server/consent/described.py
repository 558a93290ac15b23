"""Somebody who could ask, made from a description: for explanations, never for a decision that shows anything.

The claims of a token are held to one table (`identity.kinds`); a description is held to the same one: nothing is
explained about a requester who cannot exist. What a description does not tell is supposed to be there: scopes that
cover the question, a professional who authenticated in person, a reason for the bris de glace. A professional without
an RPPS is one about whom the patient decided nothing; a representative or carer without an INS is the one there is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fhir_server.consent.messages import told
from fhir_server.identity.kinds import TABLE, Mark, Presence, marks
from fhir_server.identity.purpose import misfit
from fhir_server.identity.requester import Coding, Identifier, Kind, Purpose, Realm, Requester
from fhir_server.identity.scope import ANY_TYPE, EVERYTHING, Level, Scope
from fhir_server.identity.systems import FINESS, INS_NIR, INS_NIR_TEST, PROFESSIONS, R260, ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.fhir.messages import Told
    from fhir_server.record.facts import Facts

_RPPS: Final = re.compile(r"[0-9]{11}")
_FINESS: Final = re.compile(r"[0-9][0-9AB][0-9]{7}")
_INS: Final = re.compile(r"[0-9]{6}[0-9AB][0-9]{8}")
_UNKNOWN_RPPS: Final = "0" * 11
_UNKNOWN_INS: Final = "0" * 15
"""Of nobody: no patient decided anything about them."""
_REASON: Final = "Urgence supposée pour expliquer une décision."
_PUBLISHES: Final = EVERYTHING - {"d"}
"""A system deletes nothing unless it is told apart from trials (`identity.claims`): the usual scope of a publisher."""
_IMPLIED: Final[Mapping[Kind, Coding]] = {
    Kind.REPRESENTATIVE: Coding(R260, "GUARD"),
    Kind.CARER: Coding(R260, "CAREGIVER"),
    Kind.CONFORMANCE: Coding(ROLES, "CONFORMANCE"),
    Kind.SUPPORT: Coding(ROLES, "SUPPORT"),
}


class Impossible(ValueError):
    """Nobody could have such a token; `told` is a sentence, `part` the part of the description it is about."""

    def __init__(self, message: Told, part: str) -> None:
        """Say why, and of which part."""
        super().__init__(message.en)
        self.told = message
        self.part = part


@dataclass(frozen=True, slots=True)
class Description:
    """What a decision may rest on. Each member is also the name of a part of ``requester`` in `$explain-access`."""

    kind: Kind
    role: Coding | None = None
    """The profession; of what feeds, ALIM_AM or DISPOSITIF."""
    rpps: str | None = None
    finess: str | None = None
    """Of the structure."""
    practice_setting: str | None = None
    purpose: Purpose = Purpose.TREAT
    ins: str | None = None
    """Of the representative or carer himself."""


def describe_requester(description: Description, facts: Facts, realm: Realm, now: int) -> Requester:
    """The requester described, at this moment, in the realm of the record with these facts.

    Raises:
        Impossible: no token says this.
    """
    (level, mark), row = next((key, row) for key, row in TABLE.items() if row.kind is description.kind)
    description = _completed(description, facts, now)
    roles = _roles(description, mark, realm)
    _agree(row.rpps, description, "rpps", _RPPS)
    _agree(row.organisation, description, "finess", _FINESS)
    _agree(row.actor, description, "ins", _INS)
    if description.practice_setting is not None and row.exercise is Presence.NEVER:
        raise Impossible(told("no-practice-setting", kind=description.kind), "practice_setting")
    person = _holder(facts, realm) if level is Level.PATIENT else None
    actor = Identifier(_ins_system(realm), description.ins) if description.ins is not None else None
    if actor is not None and person is not None and f"ins|{actor.value}" in facts.persons:
        raise Impossible(told("represents-himself"), "ins")
    profession = next((role for role in roles if role.system in PROFESSIONS), None)
    requester = Requester(
        kind=description.kind,
        key=_key(description, actor or person),
        name="",
        subject="",
        issuer="",
        realm=realm,
        rpps=description.rpps,
        organisation=description.finess,
        organisation_system=FINESS if description.finess is not None else None,
        roles=roles,
        profession=profession.code if profession else None,
        profession_system=profession.system if profession else None,
        specialty=None,
        practice_setting=description.practice_setting,
        purpose=description.purpose,
        reason=_REASON if description.purpose is Purpose.BTG else None,
        person=person,
        actor=actor,
        audience_restriction=None,
        amr=(),
        authenticated_in_person=True,
        scopes=(_scope(level, description.kind),),
        token_id="",
        expires=0,
    )
    sentence = misfit(requester)
    if sentence is not None:
        raise Impossible(sentence, "purpose")
    return requester


def _completed(description: Description, facts: Facts, now: int) -> Description:
    """With the number of somebody the patient knows, or of nobody, where none was told."""
    if description.kind is Kind.PROFESSIONAL and description.rpps is None:
        return replace(description, rpps=_UNKNOWN_RPPS)
    if description.ins is not None or description.kind not in (Kind.REPRESENTATIVE, Kind.CARER):
        return description
    if description.kind is Kind.REPRESENTATIVE:
        known = [one.person for one in facts.guardians if one.start <= now < one.end]
    else:
        known = [one.person for one in facts.carers if one.accepted and one.start <= now < one.end]
    return replace(description, ins=min(known, default=_UNKNOWN_INS).removeprefix("ins|"))


def _roles(description: Description, mark: Mark, realm: Realm) -> tuple[Coding, ...]:
    """The roles of the token: those of a profession or a feeder are told, the others are implied."""
    implied = _IMPLIED.get(description.kind)
    if description.kind is Kind.CONFORMANCE and realm is not Realm.ESSAI:
        raise Impossible(told("conformance-in-trials"), "kind")
    if description.role is None:
        if mark in (Mark.PROFESSION, Mark.FEEDER):
            raise Impossible(told("role-needed", kind=description.kind), "role")
        return (implied,) if implied is not None else ()
    if marks([description.role]) != ({mark} - {Mark.NONE}):
        raise Impossible(told("role-not-of-kind", kind=description.kind), "role")
    return (description.role,)


def _agree(presence: Presence, description: Description, part: str, form: re.Pattern[str]) -> None:
    """The value is there when the table says so, and of its form."""
    value = getattr(description, part)
    if (value is None and presence is Presence.ALWAYS) or (value is not None and presence is Presence.NEVER):
        key = "token-must-tell" if presence is Presence.ALWAYS else "token-must-not-tell"
        raise Impossible(told(key, kind=description.kind, part=part), part)
    if value is not None and form.fullmatch(value) is None:
        raise Impossible(told(f"form-{part}"), part)


def _holder(facts: Facts, realm: Realm) -> Identifier:
    """The person whose record it is."""
    keys = sorted(facts.persons)
    if not keys:
        raise Impossible(told("record-without-ins"), "kind")
    return Identifier(_ins_system(realm), keys[0].removeprefix("ins|"))


def _ins_system(realm: Realm) -> str:
    return INS_NIR_TEST if realm is Realm.ESSAI else INS_NIR


def _key(description: Description, person: Identifier | None) -> str:
    if description.rpps is not None:
        return f"rpps|{description.rpps}"
    if person is not None:
        return f"ins|{person.value}"
    return f"finess|{description.finess}" if description.finess is not None else f"described|{description.kind}"


def _scope(level: Level, kind: Kind) -> Scope:
    publishes = level is Level.SYSTEM and kind is not Kind.CONFORMANCE
    return Scope(level, ANY_TYPE, _PUBLISHES if publishes else EVERYTHING)
