"""``$authorize``: ``POST Patient/[id]/$authorize``. docs/interactions/operations.md#authorize

The patient and his representative authorise, or name in a role; what is in force is renewed (R-03). A professional
writes down the consent the patient gave him (R-02), a doctor declares himself médecin traitant, and the Assurance
Maladie names the one it knows (R-24).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act, is_doctor
from fhir_server.fhir import date, json
from fhir_server.fhir.errors import Forbidden, Invalid, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.requester import Kind
from fhir_server.identity.systems import A00
from fhir_server.operations.actor import actor_of, is_himself
from fhir_server.operations.consents import (
    consent,
    extensions,
    first_seen,
    grounds,
    of_actor,
    performer,
    rewritten,
    shown,
    written,
)
from fhir_server.operations.messages import told
from fhir_server.operations.opening import collected, governed, not_written
from fhir_server.operations.operation import Operation
from fhir_server.record.consents import Policy

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject
    from fhir_server.fhir.messages import Told
    from fhir_server.interactions.answer import Answer
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.actor import Actor
    from fhir_server.operations.operation import Invocation
    from fhir_server.operations.parameters import Given
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Stored

ROLES: Final = {
    str(policy): policy
    for policy in (
        Policy.MEDECIN_TRAITANT,
        Policy.ADMINISTRATEUR,
        Policy.PHARMACIEN_CORRESPONDANT,
        Policy.SAGE_FEMME_REFERENTE,
    )
}
_LAST: Final = date.MAX - 1_000_000
"""The last second there is a date of."""
_STARTING: Final = frozenset({Policy.AUTORISATION, Policy.ADMINISTRATEUR})


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is asked for."""

    actor: Actor
    policy: Policy
    start: str | None
    end: str | None
    begins: int | None
    """The start as a moment."""


async def _perform(call: Invocation) -> Answer:
    wish = _read(call.exchange, call.given)
    match call.exchange.requester.kind:
        case Kind.PROFESSIONAL:
            return await _by_professional(call, wish)
        case Kind.FEEDER:
            return await _by_insurance(call, wish)
        case _:
            if call.given.flag("collected"):
                raise Invalid(told("collected-by-professionals"), expression=call.given.where("collected"))
            facts = await governed(call)
            return await _give(call.exchange, facts, wish, Act.GOVERN)


OPERATION: Final = Operation("authorize", "Patient", _perform)


def policy_of_role(role: str, where: tuple[str, ...]) -> Policy:
    """The policy that gives a role; 422 for a role there is not."""
    if role not in ROLES:
        message = told("no-such-role", role=role[:60], known=", ".join(ROLES))
        raise Unprocessable(message, expression=where, code=IssueType.CODE_INVALID)
    return ROLES[role]


def _read(exchange: Exchange, given: Given) -> _Wish:
    """What is asked for, as far as the request alone tells that it can be."""
    role = given.text("role")
    policy = policy_of_role(role, given.where("role")) if role is not None else Policy.AUTORISATION
    actor = actor_of(given, structures=policy is Policy.AUTORISATION)
    begins, ends = _bound(exchange, given, "start"), _bound(exchange, given, "end")
    if ends is not None and ends <= exchange.now:
        raise _misdated(told("ended-already"), given, "end")
    if begins is not None and ends is not None and ends <= begins:
        raise _misdated(told("ends-before-it-begins"), given, "end")
    return _Wish(actor, policy, given.text("start"), given.text("end"), begins)


def _bound(exchange: Exchange, given: Given, name: str) -> int | None:
    text = given.text(name)
    if text is None:
        return None
    if date.interval(text) is None:
        raise _misdated(told("no-date"), given, name)
    return date.moment_of(text, exchange.server.zone, end=name == "end")


def _misdated(message: Told, given: Given, name: str) -> Unprocessable:
    return Unprocessable(message, expression=given.where(name), code=IssueType.VALUE)


async def _by_professional(call: Invocation, wish: _Wish) -> Answer:
    """What the patient told him, for himself or a colleague; of roles, his own declaration alone."""
    exchange, given = call.exchange, call.given
    if given.flag("collected") is not True:
        raise Forbidden(told("writes-down"), expression=given.where("collected"))
    status = "active"
    if wish.policy is not Policy.AUTORISATION:
        himself = is_himself(exchange.requester, wish.actor)
        if wish.policy is not Policy.MEDECIN_TRAITANT or not himself or not is_doctor(exchange.requester):
            raise Forbidden(told("declares-himself"))
        status = "proposed" if exchange.server.declaration_waits else "active"
    elif wish.actor.is_structure:
        raise Forbidden(told("for-a-colleague"))
    facts = await collected(call, "c")
    if wish.actor.key in facts.blocked:
        raise not_written()
    return await _give(exchange, facts, wish, Act.COLLECT, status=status)


async def _by_insurance(call: Invocation, wish: _Wish) -> Answer:
    """The Assurance Maladie knows the médecin traitant the patient declared to it; it names nobody else."""
    exchange = call.exchange
    if not exchange.requester.has_role(A00, "ALIM_AM") or wish.policy is not Policy.MEDECIN_TRAITANT:
        raise Forbidden(told("insurance-alone"))
    facts = await collected(call, "c")
    if wish.actor.key in facts.blocked:
        raise not_written()
    # whom the patient withdrew, he alone names again: it waits for him
    withdrawn = any(
        one.policy is wish.policy and one.actor == wish.actor.key and not one.active and not one.proposed
        for one in facts.consents
    )
    return await _give(exchange, facts, wish, Act.COLLECT, status="proposed" if withdrawn else "active")


async def _give(exchange: Exchange, facts: Facts, wish: _Wish, act: Act, *, status: str = "active") -> Answer:
    """Renew what is in force for this actor, as far as the requester may see it; else write it."""
    found = await _renewable(exchange, facts, wish, act)
    if found is not None:
        return await _renew(exchange, facts, found, wish, act, status=status)
    period: JsonObject = {}
    if wish.start is not None or wish.policy in _STARTING:
        period["start"] = wish.start or date.instant(date.moment(exchange.now))
    if wish.end is not None:
        period["end"] = wish.end
    resource = consent(
        exchange,
        facts,
        wish.policy,
        actor=wish.actor,
        period=period,
        status=status,
        collected=act is Act.COLLECT,
    )
    return await written(exchange, resource, act)


async def _renewable(exchange: Exchange, facts: Facts, wish: _Wish, act: Act) -> Stored | None:
    """What this actor already has: for who writes down a consent, what names him or what he wrote himself."""
    by = grounds(exchange, facts, act)
    for fact in of_actor(facts, (wish.policy,), wish.actor, exchange.now, proposed=True):
        found = await first_seen(exchange, fact, by)
        if found is not None:
            return found
    return None


async def _renew(exchange: Exchange, facts: Facts, found: Stored, wish: _Wish, act: Act, *, status: str) -> Answer:
    """The same Consent, given again now: from when it began unless told, and as long as a new one."""
    resource = json.decode_object(found.body or b"{}")
    if status == "proposed" and resource.get("status") == "active":
        return shown(found)  # what waits for the patient changes nothing of what he decided
    before = resource.get("provision")
    provision: JsonObject = {**before} if isinstance(before, dict) else {}
    old = provision.get("period")
    period: JsonObject = {**old} if isinstance(old, dict) else {}
    if wish.start is not None:
        period["start"] = wish.start
    if wish.policy is Policy.AUTORISATION:
        begins = exchange.now if wish.begins is None else max(wish.begins, exchange.now)
        lasts = exchange.server.authorisation // timedelta(microseconds=1)
        period["end"] = wish.end or date.instant(date.moment(min(begins + lasts, _LAST)))
    elif wish.end is not None:
        period["end"] = wish.end
    if period:
        provision["period"] = period
    if provision == before and status == resource.get("status"):
        return shown(found)
    return await rewritten(
        exchange,
        found,
        act,
        status=status,
        dateTime=date.instant(date.moment(exchange.now)),
        performer=[performer(exchange, facts, collected=act is Act.COLLECT)],
        extension=extensions(exchange, resource, collected=act is Act.COLLECT),
        provision=provision,
    )
