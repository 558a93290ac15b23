"""The Consents that operations write: built in the shapes of docs/consent/shapes.md, stored as REST writes are.

Each goes through `interactions.create` or `interactions.update`: the same checks, gate, facts and trace. An operation
chooses which Consent to write; whether it may be written is decided there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.fhir import json
from fhir_server.fhir.date import instant, moment
from fhir_server.identity.requester import Kind
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.create import create, store_new
from fhir_server.interactions.notify import of_collected
from fhir_server.interactions.prepare import Draft, check
from fhir_server.interactions.update import carry_out, prepared
from fhir_server.operations.operation import parameter
from fhir_server.record.actors import RPPS
from fhir_server.record.consents import CONSENT_SCOPE, LOINC, POLICY, SHAPES, Policy

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from fhir_server.consent.decide import Decision
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.actor import Actor
    from fhir_server.record.consents import ConsentFact
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Stored

RECUEILLI_PAR: Final = "https://fhir.dmp-ens.example/StructureDefinition/recueilli-par"
"""On a Consent, valueIdentifier: who wrote down what the patient decided (R-02)."""


def consent(
    exchange: Exchange,
    facts: Facts,
    policy: Policy,
    *,
    type: str = "permit",
    actor: Actor | None = None,
    purpose: str | None = None,
    period: JsonObject | None = None,
    status: str = "active",
    collected: bool = False,
) -> JsonObject:
    """A Consent of this policy, chosen now by the requester, or by the patient who told him so."""
    shape = SHAPES[policy]
    provision: JsonObject = {"type": type}
    if period:
        provision["period"] = period
    if actor is not None:
        role: JsonObject = {"coding": [{"system": shape.role[0], "code": shape.role[1]}]}
        provision["actor"] = [{"role": role, "reference": {"identifier": actor.identifier()}}]
    if shape.purposes is not None:
        codes: list[Json] = [
            {"system": system, "code": code}
            for (system, code), name in shape.purposes.items()
            if name == (purpose or name)
        ]
        provision["purpose"] = codes
    told: JsonObject = {"resourceType": "Consent"}
    told |= {"extension": told_by} if (told_by := extensions(exchange, told, collected=collected)) else {}
    return told | {
        "status": status,
        "scope": {"coding": [{"system": CONSENT_SCOPE, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": LOINC, "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{facts.record}"},
        "dateTime": instant(moment(exchange.now)),
        "performer": [performer(exchange, facts, collected=collected)],
        "policy": [{"uri": f"{POLICY}{policy}"}],
        "provision": provision,
    }


def extensions(exchange: Exchange, resource: JsonObject, *, collected: bool) -> list[Json] | None:
    """Those of a Consent, with who wrote this version down for the patient, if somebody did."""
    before = resource.get("extension")
    kept = [
        one
        for one in (before if isinstance(before, list) else [])
        if not (isinstance(one, dict) and one.get("url") == RECUEILLI_PAR)
    ]
    collector = exchange.agent.identifier if collected else None
    if collector is not None:
        identifier: JsonObject = {"system": collector.system, "value": collector.value}
        kept.append({"url": RECUEILLI_PAR, "valueIdentifier": identifier})
    return kept or None


def performer(exchange: Exchange, facts: Facts, *, collected: bool) -> JsonObject:
    """Who chose: the requester; the patient, where somebody writes down what he said. It gives no right."""
    requester = exchange.requester
    if requester.kind is Kind.REPRESENTATIVE and requester.actor is not None:
        identifier: JsonObject = {"system": requester.actor.system, "value": requester.actor.value}
        return {"type": "RelatedPerson", "identifier": identifier}
    if requester.rpps is not None and not collected:
        return {"type": "Practitioner", "identifier": {"system": RPPS, "value": requester.rpps}}
    return {"reference": f"Patient/{facts.record}"}


def of_actor(
    facts: Facts, policies: Collection[Policy], actor: Actor, now: int, *, proposed: bool = False
) -> list[ConsentFact]:
    """The Consents of these policies that name an actor and are in force now or later; the longest first."""
    found = [
        fact
        for fact in facts.consents
        if fact.policy in policies
        and fact.actor == actor.key
        and ((fact.active and fact.end > now) or (proposed and fact.proposed))
    ]
    return sorted(found, key=lambda fact: (not fact.active, -fact.end, fact.id))


async def seen(exchange: Exchange, fact: ConsentFact, decision: Decision, *, own: bool = False) -> Stored | None:
    """The Consent itself if a decision shows it; with ``own``, if the requester deposited it as well."""
    held = await exchange.server.reading.hold("Consent", fact.id)
    found = held.read(decision.visible)
    if found is None or found.body is None:
        return None
    return found if not own or found.document["deposit"]["by"] == exchange.requester.key else None


async def first_seen(exchange: Exchange, fact: ConsentFact, grounds: Sequence[tuple[Decision, bool]]) -> Stored | None:
    """The Consent by the first of several decisions that shows it, each with whether it is for own deposits alone."""
    for decision, own in grounds:
        found = await seen(exchange, fact, decision, own=own)
        if found is not None:
            return found
    return None


def grounds(exchange: Exchange, facts: Facts, act: Act) -> list[tuple[Decision, bool]]:
    """By what the requester sees Consents to renew or withdraw: as everybody does, and as who writes them down."""
    found = [(exchange.decide("Consent", Act.CONSULT, facts), False)]
    if act is Act.COLLECT:
        # the Assurance Maladie renews whoever named the médecin traitant; a professional what he wrote himself
        found.append((exchange.decide("Consent", Act.COLLECT, facts), exchange.requester.kind is not Kind.FEEDER))
    return found


async def written(exchange: Exchange, resource: JsonObject, act: Act) -> Answer:
    """Store a new Consent; a request of its own in the trail, within this one."""
    part = exchange.part("create")
    part.account.type = "Consent"
    raw = json.encode(resource)
    if act is Act.GOVERN:
        return _alone(await create(part, "Consent", raw))
    part.tells = of_collected(part, await part.facts(exchange.account.record), resource)
    return _alone(await store_new(part, check(part, Draft("Consent", resource, raw, [])), act))


async def rewritten(exchange: Exchange, found: Stored, act: Act, **members: Json) -> Answer:
    """Store the next version of a Consent with other members, or without (nothing); the rest keeps its bytes."""
    part = exchange.part("update")
    part.account.type, part.account.target = "Consent", found.key
    part.account.record, part.account.sought = found.record, True
    facts = await part.facts(found.record)
    parts = json.members(found.body or b"{}") | {name: json.encode(value) for name, value in members.items()}
    body = json.join_members({name: raw for name, raw in parts.items() if raw != b"null"})
    draft = check(part, Draft("Consent", json.decode_object(body), body, []))
    change = await prepared(part, draft, facts, found, act=None if act is Act.GOVERN else act)
    if act is Act.COLLECT:
        part.tells = of_collected(part, facts, draft.resource)
    return _alone(await carry_out(part, change))


def shown(found: Stored) -> Answer:
    """A Consent that stays as it is."""
    return Answer(200, found.body)


def reference(name: str, key: str) -> JsonObject:
    """A parameter that names a resource."""
    return parameter(name, "Reference", {"reference": key})


def _alone(made: Answer) -> Answer:
    """The resource alone: the version and the place of it are in the resource, the answer is the operation's."""
    return Answer(200, made.body)
