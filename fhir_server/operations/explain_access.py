"""``$explain-access``: ``Patient/[id]/$explain-access``. docs/interactions/operations.md#explain-access

Why somebody would see a resource, or resources of a type, or not: the decision, the rules and the reasons in French and
English. For the patient about his own record, for auditors about all. Of a resource the caller may not consult himself
it says what it says of one that is not there; of a type it tells the rules, never what is stored.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act, circumstances
from fhir_server.consent.explain import explain
from fhir_server.fhir.errors import Forbidden, Invalid, NotFound, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import local
from fhir_server.identity.requester import Kind
from fhir_server.interactions.read import hold
from fhir_server.operations.described import described
from fhir_server.operations.messages import told
from fhir_server.operations.opening import traced
from fhir_server.operations.operation import Operation, answer, parameter, parts
from fhir_server.record.facts import without

if TYPE_CHECKING:
    from fhir_server.consent.circumstances import Circumstances
    from fhir_server.consent.explain import Explanation, Reason
    from fhir_server.consent.words import Sentence
    from fhir_server.fhir.json import JsonObject
    from fhir_server.fhir.reference import LocalReference
    from fhir_server.identity.requester import Requester
    from fhir_server.interactions.answer import Answer
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.operation import Invocation
    from fhir_server.record.facts import Facts
    from fhir_server.search.predicate import Entry
    from fhir_server.store.reading import Held

_AUDITORS: Final = frozenset({Kind.SUPPORT, Kind.CONFORMANCE})


async def _perform(call: Invocation) -> Answer:
    exchange = call.exchange
    target, type = _asked(call)
    facts = await traced(call, Act.EXPLAIN)
    if exchange.requester.kind not in _AUDITORS:
        facts = without(facts, await exchange.hidden(facts))
    rules = exchange.account.rules
    about = call.given.one("requester")
    if about is None and exchange.requester.kind in _AUDITORS:
        raise Invalid(told("describe-the-requester"), expression=("Parameters",), code=IssueType.REQUIRED)
    requester = exchange.requester if about is None else described(exchange, about.parts, facts)
    whole = exchange.requester.kind in _AUDITORS
    if target is None:
        entry, seen = None, _of_type(exchange, requester, type, facts)
    else:
        held, entry = await _entry(exchange, facts, target)
        # of what the caller himself may not know, the answer must not tell that it is there
        told_of = held.about if whole else await exchange.shown(held.about)
        asking = replace(exchange.part("operation"), requester=requester, now=exchange.now)
        seen = await asking.circumstances_of(type, Act.CONSULT, facts, others=held.others, about=told_of)
    exchange.account.rules = rules
    return _told(explain(seen, entry, whole=whole, zone=exchange.server.zone))


OPERATION: Final = Operation("explain-access", "Patient", _perform)


def _of_type(exchange: Exchange, requester: Requester, type: str, facts: Facts) -> Circumstances:
    """Of a whole type nothing stored is looked up."""
    return circumstances(
        requester=requester,
        act=Act.TRACE if type == "AuditEvent" else Act.CONSULT,
        type=type,
        facts=facts,
        now=exchange.now,
        law=exchange.server.law,
    )


def _asked(call: Invocation) -> tuple[LocalReference | None, str]:
    """The resource or the type, exactly one of them."""
    exchange, given = call.exchange, call.given
    resource, type = given.text("resource"), given.text("type")
    if (resource is None) == (type is None):
        message = told("resource-or-type")
        raise Invalid(message, expression=given.where("type") or ("Parameters",), code=IssueType.REQUIRED)
    if resource is None:
        if type not in exchange.server.parameters.resource_types:
            message = told("no-resource-type", name=str(type)[:60])
            raise Unprocessable(message, expression=given.where("type"), code=IssueType.CODE_INVALID)
        return None, str(type)
    target = local(resource, exchange.server.base_url)
    if target is None or target.type not in exchange.server.parameters.resource_types:
        message = told("resource-of-this-server")
        raise Unprocessable(message, expression=given.where("resource"), code=IssueType.VALUE)
    if target.type == "AuditEvent":
        message = told("traces-explain-themselves")
        raise Unprocessable(message, expression=given.where("resource"), code=IssueType.NOT_SUPPORTED)
    if exchange.requester.kind is Kind.SUPPORT:
        raise Forbidden(told("support-sees-none"), expression=given.where("resource"))
    return target, target.type


async def _entry(exchange: Exchange, facts: Facts, target: LocalReference) -> tuple[Held, Entry]:
    """What is stored of a resource of this record that the caller may consult himself; else 404."""
    held, _, decision = await hold(exchange.part("operation"), target.type, target.id)
    found = held.read(decision.visible)
    if found is None or found.body is None or found.record != facts.record:
        raise NotFound(told("unknown-in-record", key=target))
    # the trace is withheld from whom the resource is hidden from; of what is hidden from the caller himself it must be
    # the trace of something that is not there
    exchange.account.named[facts.record or ""] = held.key
    return held, found.document


def _told(explained: Explanation) -> Answer:
    return answer(
        parameter("outcome", "Code", str(explained.outcome)),
        parts("summary", *_sentence(explained.summary)),
        *(_reason(one) for one in explained.reasons),
    )


def _reason(reason: Reason) -> JsonObject:
    return parts(
        "reason",
        parameter("rule", "Code", reason.rule),
        parameter("effect", "Code", str(reason.effect)),
        parameter("applies", "Code", str(reason.applies)),
        *_sentence(reason.sentence),
        *(
            parameter(name, "String", one)
            for name, texts in (("rests-on", reason.rests), ("law", reason.law), ("decided", reason.decided))
            for one in texts
        ),
    )


def _sentence(sentence: Sentence) -> tuple[JsonObject, JsonObject]:
    return parameter("fr", "String", sentence.fr), parameter("en", "String", sentence.en)
