"""In which records a search looks, and what is allowed there.

The patient's side searches its own record. A professional names one record, by the Patient's id or INS, or a resource
by id or identifier, whose record is then found through the gate; else 403, whatever is stored (ADR 0005).
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.audit.access import Identifier
from fhir_server.consent.circumstances import PATIENT_SIDE, Act, Domain, domain_of
from fhir_server.consent.decide import closed, sealed, together
from fhir_server.consent.where import brought_by
from fhir_server.fhir.errors import Forbidden, Invalid
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.requester import Kind, Purpose
from fhir_server.interactions.exchange import Elsewhere
from fhir_server.record.actors import INS, actor_key
from fhir_server.record.facts import NO_RECORD, Facts
from fhir_server.search.hidden import Unseen, beside, named, widest
from fhir_server.search.predicate import Field, OneOf, Predicate, Prefix, all_of, any_of, one_of
from fhir_server.search.query import RecordNamed
from fhir_server.search.values import split
from fhir_server.search.visible import Visible
from fhir_server.store.internal import MOST_ASKED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.consent.decide import Decision
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.search.query import Query

NAME_THE_PATIENT: Final = (
    "Name the patient: a search by a professional is about one record. Use patient=[id], "
    "patient.identifier=[INS system]|[INS], or _id or identifier of a resource."
)
COMPLETE_TRAITS: Final = frozenset({"family", "given", "birthdate", "gender"})
"""By which an emergency may look for a Patient, and get an answer only when exactly one matches."""
_ANY_RECORD: Final = frozenset({Kind.CONFORMANCE, Kind.SUPPORT})
_PATIENT_TERM: Final = "patient=Patient/"
_MOST_NAMED: Final = 200
"""Patients that one query may name; each is looked up."""
_NAMES: Final = frozenset({"_id", "identifier", "masterIdentifier"})
_DAY: Final = re.compile(r"(?:eq)?[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a search looks and what is allowed there."""

    visible: Visible
    facts: Facts
    """Of the one record, where there is one."""
    decision: Decision | None
    """On the one type searched, where there is one."""
    resolved: tuple[str, ...] = ()
    """The records of the INS the query names."""
    collection: str = "resources"
    unseen: Unseen | None = None
    """What of the references asked for is not shown, where there is any."""

    def rewrite(self, clause: Predicate) -> Predicate:
        """A clause as it is of what the requester sees.

        Of traces, ``patient=`` asks for what the event shows, and for the sealed truth where that is open.
        """
        if self.unseen is not None:
            return self.unseen.rewrite(clause)
        if self.collection != "trail" or self.decision is None or not isinstance(clause, OneOf):
            return clause
        patients = [str(value) for value in clause.values if str(value).startswith(_PATIENT_TERM)]
        if clause.field is not Field.TERMS or not patients:
            return clause
        ids = [value.removeprefix(_PATIENT_TERM) for value in patients]
        return any_of([clause, all_of([one_of(Field.RECORD, *ids), sealed(self.decision).predicate])])


async def open_scope(exchange: Exchange, type: str | None, query: Query) -> Scope:
    """Find the records a query names and decide in each of them."""
    try:
        types = _open_types(exchange, type, query.types)
    except Forbidden:
        await _note_attempt(exchange, query)
        raise
    if types == ("AuditEvent",):
        return await _traces(exchange, query)
    _check_named(exchange, query)
    resolved = await _resolve(exchange, query)
    records = await _records(exchange, type, types, query, resolved)
    # of no record at all too, for that must cost what a hidden one costs
    facts = list(await asyncio.gather(*(exchange.facts(record) for record in (records or (None,)))))
    known = [one.record for one in facts if one.record is not None]
    rules: list[str] = []
    decisions: list[Decision] = []
    for one in facts:
        for each in types:
            decisions.append(await exchange.decide_fully(each, Act.CONSULT, one))
            rules += decisions[-1].rules
    exchange.account.rules = tuple(dict.fromkeys(rules))
    if len(known) == 1 and exchange.account.record is None:
        exchange.account.record = known[0]
    only = decisions[0] if len(decisions) == 1 else None
    visible = together(decisions)
    unseen = await _unseen(exchange, query, types, visible, resolved)
    if query.names_resource:
        asked = [
            one.predicate(resolved) if isinstance(one, RecordNamed) else unseen.rewrite(one) if unseen else one
            for one in query.clauses
        ]
        if exchange.requester.kind in PATIENT_SIDE:
            # what is hidden from the requester himself must leave the trace in his trail that an absent thing leaves
            asked.append(visible.predicate)
        exchange.account.named = await exchange.server.internal.named(
            all_of(asked),
            types,
            exchange.requester.realm.value,
            records=None if exchange.is_conformance else known or [""],
        )
    return Scope(visible, facts[0] if len(facts) == 1 else NO_RECORD, only, tuple(resolved), unseen=unseen)


async def _unseen(
    exchange: Exchange, query: Query, types: Sequence[str], visible: Visible, resolved: Sequence[str]
) -> Unseen | None:
    """What of the references that the query asks for is not shown; nothing when it asks for none."""
    base_url = exchange.server.base_url
    clauses = [clause for clause in query.clauses if not isinstance(clause, RecordNamed)]
    keys, codes = named(clauses, base_url), beside(clauses, types)
    if exchange.is_conformance or not (keys or codes):
        return None
    hidden, shown = keys - await exchange.shown(keys), frozenset[str]()
    if codes:
        records = [one.predicate(resolved) for one in query.clauses if isinstance(one, RecordNamed)]
        possible = [widest(clause) for clause in clauses]
        asked = all_of([one_of(Field.TYPE, *types), *records, *possible, visible.predicate])
        shown = await exchange.shown(await exchange.server.internal.referred_to(asked))
    return Unseen(hidden, codes, shown, brought_by(exchange.requester), base_url)


async def _note_attempt(exchange: Exchange, query: Query) -> None:
    """Of a refused search that names one patient: whose trail it belongs in."""
    clauses = [clause for clause in query.clauses if isinstance(clause, RecordNamed)]
    if sum(len(clause.ids) + len(clause.identifiers) for clause in clauses) != 1:
        return
    named = {*clauses[0].ids, *await _resolve(exchange, query)}
    if len(named) == 1:
        exchange.account.record = (await exchange.facts(named.pop())).record


def _open_types(exchange: Exchange, type: str | None, types: Sequence[str]) -> tuple[str, ...]:
    """403 for a type closed to the requester; of a system search, the types that are open to him."""
    if type is not None:
        exchange.closed(type, Act.TRACE if type == "AuditEvent" else Act.CONSULT, "s")
        return (type,)
    found: list[str] = []
    refusal: Forbidden | None = None
    for one in types:
        if one == "AuditEvent":
            continue
        try:
            closed(exchange.requester, one, Act.CONSULT, exchange.server.law, "s")
        except Forbidden as error:
            refusal = error
        else:
            found.append(one)
    if not found:
        raise refusal or Invalid("Traces are searched by their own type.", expression=("http._type",))
    return tuple(found)


async def _resolve(exchange: Exchange, query: Query) -> list[str]:
    """The records of the INS that the query names, in the requester's realm."""
    found: list[str] = []
    for clause in query.clauses:
        if not isinstance(clause, RecordNamed):
            continue
        for system, value in clause.identifiers:
            exchange.account.patient = Identifier(system or "", value)
            if system is not None and system not in INS:
                continue
            person = actor_key(system or next(iter(INS)), value)
            found += await exchange.server.internal.records_of_person(person, exchange.requester.realm.value)
        if len(clause.ids) == 1:
            exchange.account.patient = f"Patient/{next(iter(clause.ids))}"
    return list(dict.fromkeys(found))


async def _records(
    exchange: Exchange, type: str | None, types: Sequence[str], query: Query, resolved: Sequence[str]
) -> list[str]:
    kind = exchange.requester.kind
    if kind in _ANY_RECORD or all(domain_of(one) is Domain.DIRECTORY for one in types):
        return []
    if kind in PATIENT_SIDE:
        return await _own_record(exchange, query, resolved)
    named = [clause for clause in query.clauses if isinstance(clause, RecordNamed)]
    if named:
        ids = {id for clause in named for id in clause.ids}
        return list(dict.fromkeys([*ids, *resolved]))
    if type == "Patient" and _asks_by_traits(exchange, query):
        traits = all_of([_whole(clause) for clause in query.clauses if not isinstance(clause, RecordNamed)])
        found = await _records_of_answers(exchange, types, traits)
        return found if len(found) == 1 else []
    if query.names_resource and _names_one(query):
        return await _records_of_answers(exchange, types, _asked_without_records(query))
    raise Forbidden(NAME_THE_PATIENT)


async def _own_record(exchange: Exchange, query: Query, resolved: Sequence[str]) -> list[str]:
    """The record the token speaks of; an attempt on another one is told in that one's trail too.

    In that one alone, the requester would know from its absence in his own that there is such a record.
    """
    facts = await exchange.own_facts()
    exchange.account.record = facts.record
    named = {id for clause in query.clauses if isinstance(clause, RecordNamed) for id in clause.ids}
    for record in sorted(named | set(resolved)):
        if record != facts.record and (await exchange.facts(record)).exists:
            exchange.account.elsewhere.append(Elsewhere(record))
    return [facts.record] if facts.record is not None else []


def _asks_by_traits(exchange: Exchange, query: Query) -> bool:
    """Whether an emergency tells one value of each trait, the birth date in full: anything less tries names."""
    traits = [(name, raw) for name, raw in query.used if name in COMPLETE_TRAITS]
    return (
        exchange.requester.purpose in (Purpose.ETREAT, Purpose.BTG)
        and {name for name, _ in traits} == COMPLETE_TRAITS
        and len(traits) == len(COMPLETE_TRAITS)
        and all(len(split(raw, ",")) == 1 for _, raw in traits)
        and all(_DAY.fullmatch(raw) is not None for name, raw in traits if name == "birthdate")
    )


def _check_named(exchange: Exchange, query: Query) -> None:
    """Of a professional one patient in each clause, of anybody not too many: by the query, not by what is stored."""
    named = [len(clause.ids) + len(clause.identifiers) for clause in query.clauses if isinstance(clause, RecordNamed)]
    if exchange.requester.kind not in PATIENT_SIDE | _ANY_RECORD and any(number > 1 for number in named):
        raise Forbidden("A search by a professional is about one record; name one patient.")
    if sum(named) > _MOST_NAMED:
        sentence = f"The query names {sum(named)} patients; this server takes {_MOST_NAMED}."
        raise Invalid(sentence, code=IssueType.TOO_COSTLY)


def _names_one(query: Query) -> bool:
    """Whether the query names a resource by one id, or by one identifier with its value: not a list, not a system."""
    return any(
        len(split(raw, ",")) == 1 and (name == "_id" or not raw.endswith("|"))
        for name, raw in query.used
        if name in _NAMES
    )


def _asked_without_records(query: Query) -> Predicate:
    return all_of([clause for clause in query.clauses if not isinstance(clause, RecordNamed)])


def _whole(clause: Predicate) -> Predicate:
    """The whole name where a search would take its beginning."""
    return one_of(Field.TERMS, clause.text) if isinstance(clause, Prefix) else clause


async def _records_of_answers(exchange: Exchange, types: Sequence[str], asked: Predicate) -> list[str]:
    """The records of what a query names: to decide in each, before anything of them is answered."""
    found = await exchange.server.internal.records_asked(asked, types, exchange.requester.realm.value)
    if len(found) > MOST_ASKED:
        raise Forbidden(NAME_THE_PATIENT)
    return [record for record in found if record is not None]


async def _traces(exchange: Exchange, query: Query) -> Scope:
    """Traces: the holder's, the médecin traitant's of the patient he names, everybody's own acts."""
    facts = NO_RECORD
    if exchange.requester.kind in PATIENT_SIDE:
        facts = await exchange.own_facts()
    else:
        named = _patients_of_traces(query)
        if len(named) == 1:
            facts = await exchange.facts(named[0])
            exchange.account.patient = f"Patient/{named[0]}"
    exchange.account.record = facts.record
    hidden = await exchange.hidden(facts)
    decision = exchange.decide("AuditEvent", Act.TRACE, facts, hidden=hidden)
    return Scope(decision.visible, facts, decision, collection="trail")


def _patients_of_traces(query: Query) -> list[str]:
    return [
        str(value).removeprefix(_PATIENT_TERM)
        for clause in query.clauses
        if isinstance(clause, OneOf) and clause.field is Field.TERMS
        for value in clause.values
        if str(value).startswith(_PATIENT_TERM)
    ]
