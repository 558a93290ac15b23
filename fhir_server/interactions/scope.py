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
from fhir_server.interactions.messages import told
from fhir_server.interactions.naming import namings, note
from fhir_server.interactions.prepare import ins_of
from fhir_server.record.actors import INS, actor_key
from fhir_server.record.facts import NO_RECORD, Facts
from fhir_server.search.clause import DEFERRED, RecordNamed
from fhir_server.search.contained import RECORD
from fhir_server.search.hidden import BESIDE, Unseen, beside, looks_within, named, present, widest
from fhir_server.search.predicate import Field, OneOf, Predicate, Prefix, all_of, any_of, one_of
from fhir_server.search.sorting import OfTerms
from fhir_server.search.values import split
from fhir_server.search.visible import Visible
from fhir_server.store.internal import MOST_ASKED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.consent.decide import Decision
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.search.clause import Clause
    from fhir_server.search.parameters import Parameters
    from fhir_server.search.query import Query
    from fhir_server.search.sorting import SortKey

NAME_THE_PATIENT: Final = told("name-the-patient")
ONE_PATIENT: Final = told("one-patient")
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
    facts: tuple[Facts, ...]
    """Of each record it looks in; of none, those of a record that nobody has."""
    decision: Decision | None
    """On the one type searched, where there is one, in the one record."""
    resolved: tuple[str, ...] = ()
    """The records of the INS the query names."""
    collection: str = "resources"
    unseen: Unseen | None = None
    """What of the references asked for is not shown, where there is any."""

    @property
    def of_one(self) -> Facts:
        """The facts of the one record, where there is one."""
        return self.facts[0] if len(self.facts) == 1 else NO_RECORD

    def ready(self, query: Query) -> Predicate:
        """What the query asks, its chains left out, of what the requester sees."""
        places = [one.predicate(self.resolved) for one in query.clauses if isinstance(one, RecordNamed)]
        return all_of([*places, *(self.rewrite(one) for one in ready_of(query.clauses))])

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
    ready = ready_of(query.clauses)
    places = [one.predicate(resolved) for one in query.clauses if isinstance(one, RecordNamed)]
    unseen = await look(exchange, types, ready, all_of([*places, visible.predicate]), known)
    return Scope(visible, tuple(facts), only, tuple(resolved), unseen=unseen)


def ready_of(clauses: Sequence[Clause]) -> list[Predicate]:
    """Of clauses, those that are conditions on entries already."""
    return [one for one in clauses if not isinstance(one, (RecordNamed, *DEFERRED))]


async def look(
    exchange: Exchange, types: Sequence[str], clauses: Sequence[Predicate], place: Predicate, records: Sequence[str]
) -> Unseen | None:
    """What of the references that conditions ask for is not shown; nothing when they ask for none.

    The entries asked are of these types and in this place; of their ``records`` the Patients are shown.
    """
    base_url, parameters = exchange.server.base_url, exchange.server.parameters
    if exchange.is_conformance:
        return None
    keys, codes = named(clauses, base_url), beside(clauses, types)
    within = looks_within(clauses)
    pointing = {"": _pointing(parameters, types)} | {type: _pointing(parameters, (type,)) | {RECORD} for type in within}
    there = present(clauses, pointing, base_url)
    if not (keys or codes or there):
        return None
    hidden, shown = keys - await exchange.shown(keys), frozenset[str]()
    if codes or there:
        possible = [widest(clause) for clause in clauses]
        asked = all_of([one_of(Field.TYPE, *types), *possible, place])
        shown = await exchange.shown(await exchange.server.internal.referred_to(asked))
        shown |= {f"Patient/{record}" for record in records}
    return Unseen(hidden, codes, shown, there, brought_by(exchange.requester), base_url)


def _pointing(parameters: Parameters, types: Sequence[str]) -> frozenset[str]:
    """The parameters of these types that are found in references and uris."""
    of_types = (one for type in types for one in parameters.of(type).values())
    return frozenset(one.code for one in of_types if one.type in ("reference", "uri"))


async def hidden_from_order(
    exchange: Exchange, types: Sequence[str], keys: Sequence[SortKey], asked: Predicate
) -> tuple[frozenset[str], dict[str, frozenset[str]]]:
    """Of an order by references, the terms that are not shown; of one by what goes with them, what may be referred to.

    An order tells what it is made of: rows must not stand where only a hidden reference puts them.
    """
    pointing = [key.source.head for key in keys if isinstance(key.source, OfTerms) and key.source.points]
    codes = frozenset(code for type in types for code in BESIDE.get(type, ()))
    beside_keys = [key.code for key in keys if key.code in codes]
    if exchange.is_conformance or not (pointing or beside_keys):
        return frozenset(), {}
    referred = frozenset(await exchange.server.internal.referred_to(asked))
    shown = await exchange.shown(referred)
    places = ("", f"{exchange.server.base_url}/")  # a uri is kept as it was written
    unseen = frozenset(f"{head}{place}{key}" for head in pointing for place in places for key in referred - shown)
    return unseen, dict.fromkeys(beside_keys, shown)


async def _note_attempt(exchange: Exchange, query: Query) -> None:
    """Of a refused search that names one patient: whose trail it belongs in."""
    clauses = [clause for clause in query.clauses if isinstance(clause, RecordNamed)]
    if sum(len(clause.ids) + len(clause.identifiers) for clause in clauses) + len(query.records) != 1:
        return
    named = {*query.records, *(id for one in clauses for id in one.ids), *await _resolve(exchange, query)}
    if len(named) == 1:
        exchange.account.record = (await exchange.facts(named.pop())).record
        if exchange.requester.kind not in PATIENT_SIDE:
            meant = namings(exchange, query, all_of(ready_of(query.clauses)))
            await note(exchange, meant, records=[exchange.account.record or ""])


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
        raise refusal or Invalid(told("traces-by-type"), expression=("http._type",))
    return tuple(found)


async def _resolve(exchange: Exchange, query: Query) -> list[str]:
    """The records of the INS that the query names, in the requester's realm."""
    found: list[str] = []
    for clause in query.clauses:
        if not isinstance(clause, RecordNamed):
            continue
        for system, value in clause.identifiers:
            exchange.account.patient = Identifier(system or "", value)
        found += await records_of_identifiers(exchange, clause.identifiers)
        if len(clause.ids) == 1:
            exchange.account.patient = f"Patient/{next(iter(clause.ids))}"
    if query.records:
        exchange.account.patient = f"Patient/{min(query.records)}"
    return list(dict.fromkeys(found))


async def records_of_identifiers(exchange: Exchange, identifiers: Sequence[tuple[str | None, str]]) -> list[str]:
    """The records of whom these identifiers name, in the requester's realm; only an INS names anybody."""
    found: list[str] = []
    for system, value in identifiers:
        realm = exchange.requester.realm
        if system is None or system in ins_of(realm):
            person = actor_key(system or next(iter(INS)), value)
            found += await exchange.server.internal.records_of_person(person, realm.value)
    return found


async def _records(
    exchange: Exchange, type: str | None, types: Sequence[str], query: Query, resolved: Sequence[str]
) -> list[str]:
    kind = exchange.requester.kind
    if kind in _ANY_RECORD or all(domain_of(one) is Domain.DIRECTORY for one in types):
        return []
    if kind in PATIENT_SIDE:
        return await _own_record(exchange, query, resolved)
    named = [clause for clause in query.clauses if isinstance(clause, RecordNamed)]
    if named or query.records:
        ids = {id for clause in named for id in clause.ids} | query.records
        return list(dict.fromkeys([*ids, *resolved]))
    if type == "Patient" and _asks_by_traits(exchange, query):
        traits = all_of([_whole(clause) for clause in ready_of(query.clauses)])
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
    for record in sorted(named | set(resolved) | query.records):
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
        raise Forbidden(ONE_PATIENT)
    if sum(named) > _MOST_NAMED:
        sentence = told("too-many-patients", number=sum(named), most=_MOST_NAMED)
        raise Invalid(sentence, code=IssueType.TOO_COSTLY)


def _names_one(query: Query) -> bool:
    """Whether the query names a resource by one id, or by one identifier with its value: not a list, not a system."""
    return any(
        len(split(raw, ",")) == 1 and (name == "_id" or not raw.endswith("|"))
        for name, raw in query.used
        if name in _NAMES
    )


def _asked_without_records(query: Query) -> Predicate:
    return all_of(ready_of(query.clauses))


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
    return Scope(decision.visible, (facts,), decision, collection="trail")


def _patients_of_traces(query: Query) -> list[str]:
    return [
        str(value).removeprefix(_PATIENT_TERM)
        for clause in query.clauses
        if isinstance(clause, OneOf) and clause.field is Field.TERMS
        for value in clause.values
        if str(value).startswith(_PATIENT_TERM)
    ]
