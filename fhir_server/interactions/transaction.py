"""FHIR transaction: ``POST [base]`` with a Bundle of type transaction; all of it, or nothing.

https://hl7.org/fhir/R4/http.html#transaction · https://hl7.org/fhir/R4/http.html#trules

Order: what is deleted, what is created, what is changed, what is read. Of what is created Patients come first, then
Binaries, last what only tells of others: each finds what it rests on. Ids are known before anything is stored, so that
links between entries are put in place first; references by a search are resolved before that, in the state before.

Each entry is the request it would be alone: decided on by itself, traced by itself (ADR 0008, 0007). It is carried out
within one transaction of the database, so it sees what came before it, and an entry that fails takes all back. What is
new, and what the trail tells, goes to the database together (ADR 0031).
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fhir_server.audit.delayed import Delayed, in_groups
from fhir_server.audit.journal import Journal
from fhir_server.fhir import json
from fhir_server.fhir.errors import FhirError, Invalid, PreconditionFailed, TryAgain, Unavailable
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import ID
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.condition import met_by, pairs_of
from fhir_server.interactions.entries import Call, bodies_of, call_of, entries_of, response_bundle, response_entry
from fhir_server.interactions.links import CONDITIONAL, Links, names_of, relinked
from fhir_server.interactions.messages import told
from fhir_server.interactions.natively import Allowance
from fhir_server.interactions.notify import conclude
from fhir_server.interactions.providing import Provision, patient_named, provision_of
from fhir_server.record.actors import INS
from fhir_server.record.belonging import records_of
from fhir_server.record.elements import ABOUT
from fhir_server.store.document import keeps_records, new_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange, Server
    from fhir_server.store.writing import Parts

    Perform = Callable[[Exchange, Call], Awaitable[Answer]]

SECONDS: Final = 50.0
"""A transaction may take so long with all its repetitions; the database itself ends one after a minute."""

_ORDER: Final = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
_CHANGES: Final = frozenset({"PUT", "PATCH", "DELETE"})
_FIRST: Final = {"Patient": 0, "Binary": 1, "Bundle": 1}
_ANY: Final = 2
_LAST: Final = 3
_AFTER: Final = 4


@dataclass(slots=True)
class _Entry:
    """One entry while the transaction is prepared."""

    position: int
    call: Call
    type: str
    """Of what the URL names; empty for a search of the system and the like."""
    creates: bool
    """By POST on a type."""
    tree: Json
    """The resource, decoded."""
    links: Links
    id: str | None = None
    """Of what it creates, changes or deletes, once that is known."""

    @property
    def key(self) -> str | None:
        """``Type/id``, once that is known."""
        return f"{self.type}/{self.id}" if self.id is not None else None


Done: TypeAlias = "dict[int, tuple[Exchange, Answer]]"
"""What became of every entry, by position."""


async def transaction(exchange: Exchange, raw: bytes, bundle: JsonObject, perform: Perform) -> Answer:
    """Carry out every entry, or none; ``perform`` carries out one as a request of its own, and traces nothing."""
    base_url = exchange.server.base_url
    exchange.account.interaction = "transaction"
    entries, bodies = entries_of(bundle), bodies_of(raw)
    read = [
        _read(call_of(entry, bodies[position], position, base_url), position, entry)
        for position, entry in enumerate(entries)
    ]
    _must_differ([(one.position, one.call.full_url) for one in read], "full-url-twice")
    provision = provision_of(exchange, bundle, [one.call for one in read])

    journal = exchange.server.journal
    delayed = Delayed(journal) if isinstance(journal, Journal) else journal

    async def work(parts: Parts) -> Done:
        # each attempt begins with what was read: ids and conditions are those of its own moment
        exchange.data = Allowance()
        return await _carry_out(exchange, [replace(one) for one in read], provision, perform, parts, delayed)

    done = await exchange.server.writing.whole(work, seconds=SECONDS, announced=delayed.announced)
    delayed.made()
    for one, _ in done.values():
        one.server = exchange.server
    await in_groups([conclude(one, answer.status) for one, answer in done.values() if not one.account.announced])
    answered = [
        response_entry(
            done[one.position][1],
            exchange.return_preference,
            writing=one.call.writes,
            language=exchange.language,
        )
        for one in read
    ]
    return Answer(200, response_bundle("transaction-response", answered))


def _read(call: Call, position: int, told: Json) -> _Entry:
    path = call.url.partition("?")[0].strip("/").split("/")
    type = path[0] if path[0][:1].isupper() else ""
    creates = call.method == "POST" and len(path) == 1 and bool(type) and "?" not in call.url
    tree = told.get("resource") if isinstance(told, dict) else None
    entry = _Entry(position, call, type, creates, tree, Links.of(tree))
    if call.method in ("PUT", "PATCH", "DELETE") and len(path) == 2 and ID.fullmatch(path[1]):  # noqa: PLR2004 - Type/id
        entry.id = path[1]
    return entry


async def _carry_out(
    exchange: Exchange,
    entries: Sequence[_Entry],
    provision: Provision,
    perform: Perform,
    parts: Parts,
    delayed: Delayed,
) -> Done:
    server = exchange.server
    await _begin_again(delayed)  # where the database gave up an attempt at its very end
    bound = replace(
        server,
        reading=parts.reading,
        finding=parts.finding,
        internal=parts.internal,
        contents=server.contents.within(parts.database),
        writing=parts.writing,
        journal=delayed,
    )
    done: Done = {}
    try:
        calls = await _prepared(exchange, bound, entries, provision)
        arriving = frozenset(entry.key for entry in entries if entry.creates and entry.key is not None)
        changing = frozenset(entry.key for entry in entries if entry.call.method in _CHANGES and entry.key is not None)
        for entry in sorted(entries, key=_turn):
            one = _part(exchange, bound)
            one.arriving, one.assigned = arriving, entry.id if entry.creates else None
            one.changing, one.shared_as = changing, provision.levels.get(entry.position)
            if entry.position in provision.patients:
                one.account.announced = True  # referred to, as by its identifier: nothing is read and nothing written
                one.account.record = entry.id
                done[entry.position] = one, Answer(200, location=f"{server.base_url}/{entry.key}")
                continue
            with _named(entry.position):
                answer = await _performed(one, calls[entry.position], perform, server)
                if one.assigned is not None and answer.status != HTTPStatus.CREATED:
                    raise _made_here(entry)
            done[entry.position] = one, answer
            await asyncio.sleep(0)  # others are answered meanwhile: much of this asks the database nothing
        provision.must_be_of_one({position: one.account.record for position, (one, _) in done.items()})
        await parts.writing.send()
        await delayed.announced()
    except TryAgain:
        await _begin_again(delayed)
        raise
    except Unavailable:
        raise  # nobody knows whether it was stored; recovery finds out
    except FhirError as error:
        await delayed.withdraw(error.status)
        raise
    return done


async def _begin_again(delayed: Delayed) -> None:
    with suppress(Unavailable):  # what the trail cannot withdraw now, recovery will: it was not stored
        await delayed.begin_again(TryAgain.status)


def _made_here(entry: _Entry) -> PreconditionFailed:
    """Two entries create unless there is one thing: what others call by the name of the second would be nowhere."""
    return PreconditionFailed(
        told("created-by-another", type=entry.type),
        code=IssueType.DUPLICATE,
    )


async def _performed(exchange: Exchange, call: Call, perform: Perform, server: Server) -> Answer:
    """Carry out one entry; one that is refused is traced at once, outside of the transaction."""
    try:
        return await perform(exchange, call)
    except FhirError as error:
        if not exchange.account.announced and not isinstance(error, Unavailable):
            refused = replace(exchange, server=server)
            await refused.find_record_of_refusal()
            await refused.trace(error.status)
        raise


def _part(exchange: Exchange, server: Server) -> Exchange:
    one = exchange.part("transaction")
    one.server = server
    return one


def _turn(entry: _Entry) -> tuple[int, int, int]:
    rank = _FIRST.get(entry.type, _LAST if entry.type in ABOUT else _ANY)
    if keeps_records(entry.type):
        rank = _AFTER  # it belongs where its targets do, and they may tell of others themselves
    return _ORDER[entry.call.method], rank, entry.position


# What is known before anything is stored


async def _prepared(
    exchange: Exchange, server: Server, entries: Sequence[_Entry], provision: Provision
) -> dict[int, Call]:
    """The entries as they are carried out: conditions met, ids given, links put in place."""
    for entry in entries:
        with _named(entry.position):
            await _find(exchange, server, entry, provision)
    told = [(entry.position, entry.key) for entry in entries if entry.call.writes]
    _must_differ(told, "entry-twice")
    known: dict[str, str] = {}
    for entry in entries:
        with _named(entry.position):
            for text in entry.links.conditional:
                if text not in known and (found := await _referred(_part(exchange, server), text)) is not None:
                    known[text] = found
        await asyncio.sleep(0)
    for rank in (0, 1):  # Patients have their ids first: what is about them is told by theirs
        for entry in entries:
            if (entry.type != "Patient") == bool(rank):
                _give_id(server, entry, known)
        await asyncio.sleep(0)
    calls: dict[int, Call] = {}
    for entry in entries:
        calls[entry.position] = _relinked(entry, known)
        await asyncio.sleep(0)
    return calls


async def _find(exchange: Exchange, server: Server, entry: _Entry, provision: Provision) -> None:
    """Find out what an entry is about that does not say so by an id."""
    if (patient := provision.patients.get(entry.position)) is not None:
        entry.id, entry.creates = await patient_named(_part(exchange, server), patient), False
    elif entry.call.conditional:
        await _meet(_part(exchange, server), entry)


async def _meet(exchange: Exchange, entry: _Entry) -> None:
    """Find out what a condition is about: what it creates nothing beside, changes or deletes."""
    path, mark, query = entry.call.url.partition("?")
    unless = dict(entry.call.headers).get("if-none-exist")
    if entry.creates and unless is not None:
        pairs = pairs_of(unless)
    elif mark and entry.call.method in ("PUT", "PATCH", "DELETE") and "/" not in path:
        pairs = pairs_of(query)
    else:
        return
    found = (await met_by(exchange, entry.type, pairs)).found
    if len(found) == 1:
        entry.id, entry.creates = found[0].id, False
    elif not found and entry.call.method == "PUT":
        entry.creates = True


async def _referred(exchange: Exchange, text: str) -> str | None:
    """What a reference by a search refers to; a patient named by an INS is completed where it is stored."""
    match = CONDITIONAL.fullmatch(text)
    type, query = (match[1], match[2]) if match is not None else ("", "")
    pairs = pairs_of(query)
    if type == "Patient" and not exchange.is_conformance and _ins(pairs) is not None:
        return None
    if type not in exchange.server.definitions.resource_types:
        raise Invalid(told("entry-no-type", type=type), expression=(text[:100],))
    found = (await met_by(exchange, type, pairs)).found
    if len(found) != 1:
        raise PreconditionFailed(
            told("several-match-the-reference" if found else "nothing-matches-the-reference", reference=text[:200]),
            code=IssueType.MULTIPLE_MATCHES if found else IssueType.NOT_FOUND,
        )
    return found[0].key


def _ins(pairs: Sequence[tuple[str, str]]) -> dict[str, str] | None:
    """The identifier that names a patient, where that is all a search asks."""
    if len(pairs) != 1 or pairs[0][0] != "identifier":
        return None
    system, bar, value = pairs[0][1].partition("|")
    return {"system": system, "value": value} if bar and system in INS and value else None


def _give_id(server: Server, entry: _Entry, known: dict[str, str]) -> None:
    """An id for what is created, and the names it is called by."""
    if entry.creates and entry.id is None:
        record = None
        tree = entry.tree if isinstance(entry.tree, dict) else {}
        if entry.type not in ("Patient", "Binary"):
            told = relinked(tree, known) if entry.links.lead_to(known) else tree
            record = next(iter(records_of(entry.type, "", told, server.base_url)), None)
        own = tree.get("id") if entry.call.method == "PUT" else None
        entry.id = own if isinstance(own, str) else new_id(server.routing_key, record)
    if entry.key is not None and entry.call.full_url is not None:
        known |= dict.fromkeys(names_of(entry.call.full_url), entry.key)


def _relinked(entry: _Entry, known: Mapping[str, str]) -> Call:
    call = entry.call
    if call.body is None or not (entry.links.conditional or entry.links.lead_to(known)):
        return call
    told = relinked(json.decode_lexical_part(call.body), known)
    return replace(call, body=json.encode_lexical(_by_identifier(told) if entry.links.conditional else told))


def _by_identifier(value: Any) -> Any:  # noqa: ANN401 - same
    """The tree with each ``Patient?identifier=INS`` that is left as a reference by that identifier."""
    if isinstance(value, list):
        elements = [_by_identifier(one) for one in value]
        return elements if any(new is not old for new, old in zip(elements, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    text = value.get("reference")
    match = CONDITIONAL.fullmatch(text) if isinstance(text, str) else None
    named = _ins(pairs_of(match[2])) if match is not None and match[1] == "Patient" else None
    if named is not None:
        return {**{name: one for name, one in value.items() if name != "reference"}, "identifier": named}
    members = {name: _by_identifier(one) for name, one in value.items()}
    return members if any(members[name] is not one for name, one in value.items()) else value


# What is told of a refusal


def _must_differ(named: Sequence[tuple[int, str | None]], key: str) -> None:
    """https://hl7.org/fhir/R4/http.html#trules: no resource, and no name, may stand in a transaction twice."""
    seen: set[str] = set()
    for position, name in named:
        if name is not None and name in seen:
            raise Invalid(told(key, name=name[:200]), expression=(f"Bundle.entry[{position}]",), code=IssueType.INVALID)
        if name is not None:
            seen.add(name)


@contextmanager
def _named(position: int) -> Iterator[None]:
    """Tell which entry a refusal is about."""
    try:
        yield
    except FhirError as error:
        error.issues = tuple(replace(issue, expression=_within(position, issue.expression)) for issue in error.issues)
        raise


def _within(position: int, expression: tuple[str, ...]) -> tuple[str, ...]:
    """``Patient.name`` of an entry is ``Bundle.entry[0].resource.name``."""
    where = f"Bundle.entry[{position}]"
    told = tuple(
        f"{where}.resource{path.removeprefix('Bundle.entry.resource')}"
        if path.startswith("Bundle.entry.resource")
        else f"{where}.resource.{path.partition('.')[2]}"
        for path in expression
        if path[:1].isupper() and "." in path
    )
    return told or (where,)
