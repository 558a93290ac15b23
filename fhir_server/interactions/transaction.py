"""FHIR transaction: ``POST [base]`` with a Bundle of type transaction; all of it, or nothing.

https://hl7.org/fhir/R4/http.html#transaction · https://hl7.org/fhir/R4/http.html#trules

Order: what is deleted, what is created, what is changed, what is read. Of what is created Patients come first, then
Binaries, last what only tells of others: each finds what it rests on. Ids are known before anything is stored, so that
links between entries are put in place first; references by a search are resolved before that, in the state before.

Each entry is the request it would be alone: decided on by itself, traced by itself (ADR 0008, 0007). It is carried out
within one transaction of the database, so it sees what came before it, and an entry that fails takes all back.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from fhir_server.audit.delayed import Delayed
from fhir_server.audit.journal import Journal
from fhir_server.fhir import json
from fhir_server.fhir.errors import FhirError, Invalid, PreconditionFailed, TryAgain, Unavailable
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import ID
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.condition import met_by, pairs_of
from fhir_server.interactions.entries import Call, bodies_of, call_of, entries_of, response_bundle, response_entry
from fhir_server.interactions.links import CONDITIONAL, conditional_references, names_of, relinked
from fhir_server.interactions.notify import conclude
from fhir_server.interactions.providing import Provision, patient_named, provision_of
from fhir_server.record.actors import INS
from fhir_server.record.belonging import records_of
from fhir_server.record.elements import ABOUT
from fhir_server.store.document import new_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.exchange import Exchange, Server
    from fhir_server.store.writing import Parts

    Perform = Callable[[Exchange, Call], Awaitable[Answer]]

SECONDS: Final = 50.0
"""A transaction may take so long with all its repetitions; the database itself ends one after a minute."""

_ORDER: Final = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CHANGES: Final = frozenset({"PUT", "PATCH", "DELETE"})
_FIRST: Final = {"Patient": 0, "Binary": 1}
_ANY: Final = 2
_LAST: Final = 3


@dataclass(slots=True)
class _Entry:
    """One entry while the transaction is prepared."""

    position: int
    call: Call
    type: str
    """Of what the URL names; empty for a search of the system and the like."""
    creates: bool
    """By POST on a type."""
    id: str | None = None
    """Of what it creates, changes or deletes, once that is known."""

    @property
    def key(self) -> str | None:
        """``Type/id``, once that is known."""
        return f"{self.type}/{self.id}" if self.id is not None else None


@dataclass(frozen=True, slots=True)
class _Carried:
    """What became of every entry, by position."""

    delayed: Delayed
    done: dict[int, tuple[Exchange, Answer]]


async def transaction(exchange: Exchange, raw: bytes, bundle: JsonObject, perform: Perform) -> Answer:
    """Carry out every entry, or none; ``perform`` carries out one as a request of its own, and traces nothing."""
    base_url = exchange.server.base_url
    exchange.account.interaction = "transaction"
    bodies = bodies_of(raw)
    read = [
        _read(call_of(entry, bodies[position], position, base_url), position)
        for position, entry in enumerate(entries_of(bundle))
    ]
    _must_differ([(one.position, one.call.full_url) for one in read], "Two entries have the fullUrl {}.")
    provision = provision_of(exchange, bundle, [one.call for one in read])

    async def work(parts: Parts) -> _Carried:
        # each attempt begins with what was read: ids and conditions are those of its own moment
        return await _carry_out(exchange, [replace(one) for one in read], provision, perform, parts)

    carried = await exchange.server.writing.whole(work, seconds=SECONDS)
    carried.delayed.made()
    for one, answer in carried.done.values():
        one.server = exchange.server
        if not one.account.announced:
            await conclude(one, answer.status)
    answered = [
        response_entry(carried.done[one.position][1], exchange.return_preference, writing=one.call.method in _WRITES)
        for one in read
    ]
    return Answer(200, response_bundle("transaction-response", answered))


def _read(call: Call, position: int) -> _Entry:
    path = call.url.partition("?")[0].strip("/").split("/")
    type = path[0] if path[0][:1].isupper() else ""
    creates = call.method == "POST" and len(path) == 1 and bool(type) and "?" not in call.url
    entry = _Entry(position, call, type, creates)
    if call.method in ("PUT", "PATCH", "DELETE") and len(path) == 2 and ID.fullmatch(path[1]):  # noqa: PLR2004 - Type/id
        entry.id = path[1]
    return entry


async def _carry_out(
    exchange: Exchange, entries: Sequence[_Entry], provision: Provision, perform: Perform, parts: Parts
) -> _Carried:
    server, journal = exchange.server, exchange.server.journal
    delayed = Delayed(journal) if isinstance(journal, Journal) else journal
    bound = replace(
        server,
        reading=parts.reading,
        finding=parts.finding,
        internal=parts.internal,
        writing=parts.writing,
        journal=delayed,
    )
    done: dict[int, tuple[Exchange, Answer]] = {}
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
                done[entry.position] = one, Answer(200, location=f"{server.base_url}/{entry.key}")
                continue
            with _named(entry.position):
                done[entry.position] = one, await _performed(one, calls[entry.position], perform, server)
    except TryAgain:
        await delayed.withdraw(TryAgain.status)
        raise
    except Unavailable:
        raise  # nobody knows whether it was stored; recovery finds out
    except FhirError as error:
        await delayed.withdraw(error.status)
        raise
    return _Carried(delayed, done)


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
    return _ORDER[entry.call.method], rank, entry.position


# What is known before anything is stored


async def _prepared(
    exchange: Exchange, server: Server, entries: Sequence[_Entry], provision: Provision
) -> dict[int, Call]:
    """The entries as they are carried out: conditions met, ids given, links put in place."""
    for entry in entries:
        with _named(entry.position):
            if (patient := provision.patients.get(entry.position)) is not None:
                entry.id, entry.creates = await patient_named(_part(exchange, server), patient), False
            else:
                await _meet(_part(exchange, server), entry)
    told = [(entry.position, entry.key) for entry in entries if entry.call.method in _WRITES]
    _must_differ(told, "Two entries are about {}.")
    trees = {one.position: json.decode_lexical(one.call.body) for one in entries if one.call.body is not None}
    known: dict[str, str] = {}
    for entry in entries:
        with _named(entry.position):
            for text in conditional_references(trees.get(entry.position)):
                if text not in known and (found := await _referred(_part(exchange, server), text)) is not None:
                    known[text] = found
    for rank in (0, 1):  # Patients have their ids first: what is about them is told by theirs
        for entry in entries:
            if (entry.type != "Patient") == bool(rank):
                _give_id(server, entry, trees.get(entry.position), known)
    return {one.position: _relinked(one.call, trees.get(one.position), known) for one in entries}


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
        raise Invalid(f"{type!r} is not a resource type.", expression=(text[:100],))
    found = (await met_by(exchange, type, pairs)).found
    if len(found) != 1:
        number = "Several resources match" if found else "Nothing matches"
        raise PreconditionFailed(
            f"{number} the reference {text[:200]!r}.", code=IssueType.MULTIPLE_MATCHES if found else IssueType.NOT_FOUND
        )
    return found[0].key


def _ins(pairs: Sequence[tuple[str, str]]) -> dict[str, str] | None:
    """The identifier that names a patient, where that is all a search asks."""
    if len(pairs) != 1 or pairs[0][0] != "identifier":
        return None
    system, bar, value = pairs[0][1].partition("|")
    return {"system": system, "value": value} if bar and system in INS and value else None


def _give_id(server: Server, entry: _Entry, tree: Any, known: dict[str, str]) -> None:  # noqa: ANN401 - a tree of JSON
    """An id for what is created, and the names it is called by."""
    if entry.creates and entry.id is None:
        record = None
        if isinstance(tree, dict) and entry.type not in ("Patient", "Binary"):
            record = next(iter(records_of(entry.type, "", relinked(tree, known), server.base_url)), None)
        entry.id = new_id(server.routing_key, record)
    if entry.key is not None and entry.call.full_url is not None:
        known |= dict.fromkeys(names_of(entry.call.full_url), entry.key)


def _relinked(call: Call, tree: Any, known: Mapping[str, str]) -> Call:  # noqa: ANN401 - same
    if tree is None:
        return call
    told = _by_identifier(relinked(tree, known))
    url = known.get(call.url, call.url)
    return call if told is tree and url == call.url else replace(call, url=url, body=json.encode_lexical(told))


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


def _must_differ(told: Sequence[tuple[int, str | None]], sentence: str) -> None:
    """https://hl7.org/fhir/R4/http.html#trules: no resource, and no name, may stand in a transaction twice."""
    seen: set[str] = set()
    for position, name in told:
        if name is not None and name in seen:
            raise Invalid(
                sentence.format(name[:200]), expression=(f"Bundle.entry[{position}]",), code=IssueType.INVALID
            )
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
        f"{where}.resource.{path.partition('.')[2]}" for path in expression if path[:1].isupper() and "." in path
    )
    return told or (where,)
