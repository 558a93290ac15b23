"""Clauses that speak of resources around the entry, resolved to conditions on entries, every hop through the gate.

https://hl7.org/fhir/R4/search.html#chaining · #has · #list · #modifiers

Each hop is a search of its own, with the decision for its types in the records that the whole search looks in: what the
requester may not see matches nothing there, names nothing, and is not told from what does not exist. One hop follows at
most :data:`MOST_HOPPED` answers.

What a reference leads to may be contained in the entry that is asked (`search.contained`): there is nothing to look up,
for it is a part of that entry and as visible. From what is contained a chain goes on to what is stored, by the same
look-ups, made once. What a contained resource refers to is asked as it is of what the requester sees (ADR 0030).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, assert_never

from fhir_server.consent.circumstances import Act, Domain, domain_of
from fhir_server.consent.decide import closed, together
from fhir_server.fhir.errors import Forbidden, Invalid
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import LocalReference
from fhir_server.interactions.messages import told
from fhir_server.interactions.scope import look, records_of_identifiers
from fhir_server.interactions.value_sets import around, codes_of
from fhir_server.record.actors import INS
from fhir_server.search import codes, terms
from fhir_server.search.clause import (
    Around,
    ByType,
    Chained,
    Every,
    Having,
    InValueSet,
    Listed,
    RecordNamed,
    Some,
    Subsumed,
    Without,
)
from fhir_server.search.clauses import HIERARCHIES
from fhir_server.search.contained import asked_of_contained
from fhir_server.search.hidden import BESIDE
from fhir_server.search.predicate import NEVER, Field, Predicate, Prefix, all_of, any_of, contained, negate, one_of
from fhir_server.search.types import reference
from fhir_server.store.finding import TooCostly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.consent.decide import Decision
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.scope import Scope
    from fhir_server.search.clause import Clause
    from fhir_server.search.parameter import Parameter
    from fhir_server.search.visible import Visible
    from fhir_server.store.finding import Finding

MOST_HOPPED: Final = 5_000
"""Answers that one hop of a chain may have."""

MOST_MEANT: Final = 20
"""So many are few: of more, those are looked for that the record points to."""

MOST_QUESTIONS: Final = 500
"""Questions that all hops of one search may ask: each is a query of its own."""

_DEEPEST: Final = 50
"""Steps up or down a hierarchy of places or organisations."""


@dataclass(slots=True)
class Hops:
    """The hops of one search."""

    exchange: Exchange
    scope: Scope
    _decisions: dict[str, list[Decision]] = field(default_factory=dict)
    """By type, what may be consulted in each record that is searched; looked up once."""
    _asked: int = 0
    _known: dict[tuple[int, tuple[str, ...]], tuple[Clause, Predicate]] = field(default_factory=dict)
    """By identity of a clause, what was looked up for it: entries and what they contain are asked the same."""

    async def resolve(self, clause: Clause, types: Sequence[str]) -> Predicate:
        """The clause as a condition on entries of these types, as far as the requester sees."""
        match clause:
            case RecordNamed():
                return await self.record_named(clause, types)
            case Chained() | Having() | Listed() | InValueSet() | Subsumed() | Around():
                return await self._looked_up(clause, types)
            case ByType(each):
                parts = [all_of([one_of(Field.TYPE, type), await self.resolve(one, (type,))]) for type, one in each]
                return any_of(parts)
            case Every(clauses):
                return all_of([await self.resolve(part, types) for part in clauses])
            case Some(clauses):
                return any_of([await self.resolve(part, types) for part in clauses])
            case Without(part):
                return negate(await self.resolve(part, types))
            case _:
                return await self._seen(clause, types)

    async def _looked_up(
        self, clause: Chained | Having | Listed | InValueSet | Subsumed | Around, types: Sequence[str]
    ) -> Predicate:
        match clause:
            case Chained(parameter, inner):
                found = await self._once(clause, self._of_the_record(types))
                found = await self._seen(found, types) if _is_beside(parameter, types) else found
                return any_of([found, await self._seen(await self._in_contained(parameter, inner), types)])
            case Having():
                return await self._having(clause)
            case Listed(ids):
                return await self._listed(ids, types)
            case InValueSet() | Subsumed():
                return await self._seen(await self._once(clause), types)
            case Around():
                return await self._once(clause)
        assert_never(clause)

    async def _once(self, clause: Chained | InValueSet | Subsumed | Around, entries: tuple[str, ...] = ()) -> Predicate:
        """What the clause asks by what is stored elsewhere, looked up once.

        ``entries`` are the types of who points there, if all of these are in the one record that is searched.
        """
        known = id(clause), entries
        if known not in self._known:
            self._known[known] = clause, await self._look_up(clause, entries)
        return self._known[known][1]

    def _of_the_record(self, types: Sequence[str]) -> tuple[str, ...]:
        """The types, if whatever is seen of them belongs to the one record that is searched, be it there or not."""
        of_one = len(self.scope.facts) == 1 and not self.exchange.is_conformance
        return tuple(types) if of_one and all(domain_of(type) is Domain.CONTENTS for type in types) else ()

    async def _look_up(self, clause: Chained | InValueSet | Subsumed | Around, entries: tuple[str, ...]) -> Predicate:
        match clause:
            case Chained(parameter, inner):
                return await self._chained(parameter, inner, entries)
            case InValueSet(parameter, urls, negated):
                told = [await codes_of(self.exchange, url, await self.visible(TERMINOLOGY)) for url in urls]
                found = codes.among(parameter, told)
                return negate(found) if negated else found
            case Subsumed():
                return await self._subsumed(clause)
            case Around():
                return await self._around(clause)
        assert_never(clause)

    async def _in_contained(self, parameter: Parameter, inner: ByType) -> Predicate:
        """Entries that contain what the parameter points to and of which the inner clause holds; not yet as seen."""
        by_part: dict[Predicate, list[str]] = {}
        for type, one in inner.each:
            by_part.setdefault(asked_of_contained(await self._of_contained(one, type)), []).append(type)
        return any_of([contained(parameter.code, types, part) for part, types in by_part.items()])

    async def _of_contained(self, clause: Clause, type: str) -> Predicate:
        """The clause as a condition on contained resources of one type."""
        match clause:
            case RecordNamed():
                return await self.record_named(clause, (type,))
            case Chained(parameter, inner):
                return any_of([await self._once(clause), await self._in_contained(parameter, inner)])
            case InValueSet() | Subsumed() | Around():
                return await self._once(clause)
            case Having() | Listed():
                return NEVER  # nothing outside refers to what is contained
            case ByType(each):
                return any_of([await self._of_contained(one, of) for of, one in each if of == type])
            case Every(clauses):
                return all_of([await self._of_contained(part, type) for part in clauses])
            case Some(clauses):
                return any_of([await self._of_contained(part, type) for part in clauses])
            case Without(part):
                return negate(await self._of_contained(part, type))
            case _:
                return clause

    async def visible(self, types: Sequence[str]) -> Visible:
        """What the requester may consult of these types in the records searched; of types closed to him, nothing."""
        return together([decision for type in types for decision in await self._decided(type)])

    async def _decided(self, type: str) -> list[Decision]:
        if type not in self._decisions:
            exchange, rules = self.exchange, self.exchange.account.rules
            try:
                closed(exchange.requester, type, Act.CONSULT, exchange.server.law, "s")
            except Forbidden:
                self._decisions[type] = []
            else:
                found = [await exchange.decide_fully(type, Act.CONSULT, facts) for facts in self.scope.facts]
                self._decisions[type] = found
            exchange.account.rules = rules  # the trail tells the grounds for what is answered, not for what is passed
        return self._decisions[type]

    async def _seen(self, asked: Predicate, types: Sequence[str]) -> Predicate:
        """A condition as it is of what the requester sees."""
        place = (await self.visible(types)).predicate
        records = [facts.record for facts in self.scope.facts if facts.record is not None]
        unseen = await look(self.exchange, types, [asked], place, records)
        return unseen.rewrite(asked) if unseen is not None else asked

    async def record_named(self, clause: RecordNamed, types: Sequence[str]) -> Predicate:
        """Entries of the records named: by id, by an INS, or by whatever else a Patient that is seen is known by."""
        if tuple(types) == ("Patient",):
            return clause.of_patient()
        named = clause.predicate(await records_of_identifiers(self.exchange, clause.identifiers))
        others = tuple(one for one in clause.identifiers if one[0] not in INS)
        if not others:
            return named
        keys = await self._keys(("Patient",), replace(clause, ids=frozenset(), identifiers=others).of_patient())
        known = frozenset(key.partition("/")[2] for key in keys)
        return any_of([named, replace(clause, ids=known, identifiers=()).predicate()])

    async def _keys(self, types: Sequence[str], asked: Predicate, *, most: int = MOST_HOPPED) -> list[str]:
        """The ``Type/id`` of what is asked of these types, as far as the requester sees it."""
        visible, finding = await self.visible(types), self._next_question()
        whole = all_of([one_of(Field.TYPE, *types), asked])
        return await finding.keys(whole, visible=visible, most=most)

    def _next_question(self) -> Finding:
        """Where to ask it; 400 for one too many."""
        self._asked += 1
        if self._asked > MOST_QUESTIONS:
            sentence = told("too-many-questions", most=MOST_QUESTIONS)
            raise Invalid(sentence, code=IssueType.TOO_COSTLY)
        return self.exchange.server.finding

    async def _chained(self, parameter: Parameter, inner: ByType, entries: tuple[str, ...]) -> Predicate:
        """Entries that point to something of which the inner clause holds."""
        asked = await self.resolve(inner, inner.types)
        keys = await self._meant(parameter, inner.types, asked, entries)
        found = reference.predicate(parameter.code, [local(key) for key in keys], of_record=parameter.of_record)
        if not parameter.canonical:
            return found
        visible, finding = await self.visible(inner.types), self._next_question()
        whole = all_of([one_of(Field.TYPE, *inner.types), asked])
        urls = await finding.urls(whole, visible=visible, most=MOST_HOPPED)
        return any_of([found, one_of(Field.TERMS, *(f"{parameter.code}={terms.bounded(url)}" for url in urls))])

    async def _meant(
        self, parameter: Parameter, types: Sequence[str], asked: Predicate, entries: tuple[str, ...]
    ) -> list[str]:
        """The ``Type/id`` of what is asked, of which the entries of the one record may point to some.

        Where more than a few are (many people have the name), those that the record points to are asked first: however
        many there are besides, the search costs the same.
        """
        if not entries or parameter.canonical:
            return await self._keys(types, asked)
        try:
            return await self._keys(types, asked, most=MOST_MEANT)
        except TooCostly:  # or stopped: then the record is the better place to begin all the more
            pointed = await self._pointed_to(one_of(Field.TYPE, *entries), entries, parameter, types)
            return await self._keys(types, all_of([one_of(Field.ID, *pointed), asked]))

    async def _having(self, clause: Having) -> Predicate:
        """Entries that something points to of which the inner clause holds."""
        parameter, types = clause.parameter, clause.types
        asked = all_of([one_of(Field.TYPE, clause.source), await self.resolve(clause.inner, (clause.source,))])
        keys = await self._pointed_to(asked, (clause.source,), parameter, types)
        named = one_of(Field.ID, *(key for key in keys if key.partition("/")[0] in types))
        urls = [key.partition("|")[0] for key in keys] if parameter.canonical else []
        return any_of([named, one_of(Field.TERMS, *(f"url={url}" for url in urls))])

    async def _pointed_to(
        self, asked: Predicate, sources: Sequence[str], parameter: Parameter, types: Sequence[str]
    ) -> list[str]:
        """What is pointed to under a parameter by what is asked: ``Type/id``, or the URL of a canonical."""
        visible, finding = await self.visible(sources), self._next_question()
        if _is_beside(parameter, sources):
            asked = all_of([asked, await self._seen(Prefix(f"{parameter.code}="), sources)])
        heads = [f"{parameter.code}={type}/" for type in types if not (parameter.of_record and type == "Patient")]
        if parameter.canonical:
            heads.append(f"{parameter.code}=")
        found: list[str] = []
        if heads:
            found += await finding.pointed_to(asked, visible=visible, heads=heads, most=MOST_HOPPED)
        if parameter.of_record and "Patient" in types:
            records = await finding.records(asked, visible=visible, most=MOST_HOPPED)
            found += [f"Patient/{record}" for record in records]
        return found

    async def _listed(self, ids: Sequence[str], types: Sequence[str]) -> Predicate:
        """Entries that one of these Lists names; a List that is hidden names nothing."""
        asked = one_of(Field.ID, *(f"List/{id}" for id in ids))
        item = self.exchange.server.parameters.of("List")["item"]
        keys = await self._pointed_to(asked, ("List",), item, types)
        return one_of(Field.ID, *keys)

    async def _subsumed(self, clause: Subsumed) -> Predicate:
        """Entries with one of these codes, or with one that a terminology knows under it, or over it."""
        visible = await self.visible(TERMINOLOGY)
        told = [await around(self.exchange, one, visible, below=clause.below) for one in clause.wanted]
        found = codes.among(clause.parameter, told)
        return any_of([found, codes.below_media_types(clause.parameter, clause.wanted)]) if clause.below else found

    async def _around(self, clause: Around) -> Predicate:
        """Entries that point to one of these, to a part of it, or to what it is part of, step by step."""
        parameters, known, edge = self.exchange.server.parameters, set(clause.keys), set(clause.keys)
        for _ in range(_DEEPEST):
            following: set[str] = set()
            for type in {key.partition("/")[0] for key in edge} & HIERARCHIES.keys():
                part_of = parameters.of(type)[HIERARCHIES[type]]
                of_type = [key for key in edge if key.startswith(f"{type}/")]
                if clause.below:
                    pointing = reference.predicate(part_of.code, [local(key) for key in of_type])
                    following.update(await self._keys((type,), pointing))
                else:
                    asked = one_of(Field.ID, *of_type)
                    following.update(await self._pointed_to(asked, (type,), part_of, (type,)))
            edge = following - known
            known |= edge
            if not edge:
                code = clause.parameter.code
                return reference.predicate(code, [local(key) for key in sorted(known)])
        raise Invalid(told("hierarchy-too-deep", most=_DEEPEST), code=IssueType.TOO_COSTLY)


def _is_beside(parameter: Parameter, types: Sequence[str]) -> bool:
    """Whether the reference is taken out together with another one that is hidden (`search.hidden`)."""
    return any(parameter.code in BESIDE.get(type, ()) for type in types)


TERMINOLOGY: Final = ("ValueSet", "CodeSystem")


def local(key: str) -> LocalReference:
    """``Type/id`` taken apart."""
    type, _, id = key.partition("/")
    return LocalReference(type, id)
