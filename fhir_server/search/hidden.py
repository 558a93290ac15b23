"""What is asked of references, as far as the requester sees them: a search must not find what the answer leaves out.

A condition that names something hidden (`derived-from=DocumentReference/x`) matches nothing but the requester's own
deposits, which he is shown whole. So does, of resources that refer to something hidden, a condition on what goes with a
reference when it is taken out: the code of a relation, the format of an attachment (ADR 0018).

What a resource contains is answered with it, and what it refers to is taken out of it as of any other. So what is asked
of the contained holds as it is where the resource refers to nothing that is hidden, and elsewhere without that
(ADR 0030). Of contained resources, parameters and terms are told with the type before them: ``Observation.encounter=``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from fhir_server.record.elements import DIRECTORY
from fhir_server.record.pointers import target
from fhir_server.search.predicate import (
    ALWAYS,
    NEVER,
    AllOf,
    AnyOf,
    Contained,
    Contains,
    Field,
    Not,
    OneOf,
    Predicate,
    Prefix,
    Span,
    all_of,
    any_of,
    contained,
    negate,
    one_of,
    within,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

BESIDE: Final[Mapping[str, frozenset[str]]] = {
    "Appointment": frozenset({"part-status"}),
    "ChargeItem": frozenset({"performer-function"}),
    "Claim": frozenset({"procedure-udi"}),
    "DocumentReference": frozenset({"contenttype", "creation", "format", "language", "relation", "relationship"}),
    "ExplanationOfBenefit": frozenset({"procedure-udi"}),
    "Group": frozenset({"characteristic", "characteristic-value", "exclude", "value"}),
    "Invoice": frozenset({"participant-role"}),
    "Provenance": frozenset({"agent-role", "agent-type"}),
}
"""By type, the parameters that speak of what is taken out together with a reference
(`tests/unit/test_search_hidden.py`)."""

_OUTSIDE: Final = frozenset({""})
"""What is no contained resource."""

_CODE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")


@dataclass(frozen=True, slots=True)
class Unseen:
    """What of the references that a query asks for the requester does not see."""

    keys: frozenset[str]
    """Named by the query (``Type/id``), and hidden or absent."""
    codes: frozenset[str]
    """Of the parameters asked, those that speak of what goes with a reference."""
    shown: frozenset[str]
    """Of what the resources in question refer to, what is shown."""
    present: frozenset[str]
    """Beginnings of references and uris that are asked (:func:`present`)."""
    own: Predicate
    """What the requester is shown whole."""
    base_url: str
    inside: frozenset[str] = _OUTSIDE
    """Of what is contained, its types: there nothing tells whose deposit it is, nor all that it refers to."""

    def rewrite(self, clause: Predicate) -> Predicate:
        """The clause as it is of what the requester sees."""
        match clause:
            case OneOf(Field.TERMS, values):
                return self._terms([str(value) for value in values])
            case Prefix(text) | Span(text) | Contains(text) if self._is_among(_code(text), self.codes):
                return all_of([clause, self._whole()])
            case Prefix(text) if self._is_among(text, self.present):
                return self._points_to_shown(clause)
            case Contained():
                return self._contained(clause)
            case AllOf(parts):
                return all_of([self.rewrite(part) for part in parts])
            case AnyOf(parts):
                return any_of([self.rewrite(part) for part in parts])
            case Not(part):
                return negate(self.rewrite(part))
            case _:
                return clause

    def _is_among(self, text: str, told: Collection[str]) -> bool:
        return any(_within(type, text) in told for type in self.inside)

    def _contained(self, clause: Contained) -> Predicate:
        """As it is where all of it is shown; else without what the contained resource refers to and is hidden."""
        if self._is_among(clause.parameter, self.codes):
            return all_of([clause, self._whole()])
        seen = replace(self, own=NEVER, inside=clause.types).rewrite(clause.part)
        shown = contained(clause.parameter, clause.types, seen)
        if shown == clause or self.inside != _OUTSIDE:
            return shown
        whole = self._whole()
        return any_of([all_of([whole, clause]), all_of([negate(whole), shown])])

    def _whole(self) -> Predicate:
        """What refers to nothing that is hidden, and what the requester is shown whole.

        Of what was stored before it was told what it refers to, that is not known until it is indexed anew.
        """
        if self.inside != _OUTSIDE:
            return NEVER
        known = negate(one_of(Field.REFERS, None))
        return any_of([all_of([known, within(Field.REFERS, *self.shown)]), self.own])

    def _points_to_shown(self, clause: Prefix) -> Predicate:
        """What has such a reference to something shown, to the directory or elsewhere; his own deposits as they are."""
        head = f"{_code(clause.text)}="
        places = ("", f"{self.base_url}/")
        seen = [f"{head}{place}{key}" for place in places for key in self.shown]
        found: list[Predicate] = [one_of(Field.TERMS, *(term for term in seen if term.startswith(clause.text)))]
        if clause.text == head:
            found += [Prefix(f"{head}{place}{kind}/") for place in places for kind in sorted(DIRECTORY)]
            found.append(Prefix(f"{head}urn:"))
            found.append(all_of([Prefix(f"{head}http"), negate(Prefix(f"{head}{self.base_url}/"))]))
        return any_of([all_of([clause, self._whole()]), *found])

    def _terms(self, terms: list[str]) -> Predicate:
        hidden = [term for term in terms if _key(term, self.base_url) in self.keys]
        entries = [term for term in terms if self._is_among(_code(term), self.codes)]
        plain = [term for term in terms if term not in hidden and term not in entries]
        return any_of(
            [
                one_of(Field.TERMS, *plain),
                all_of([one_of(Field.TERMS, *hidden), self.own]),
                all_of([one_of(Field.TERMS, *entries), self._whole()]) if entries else NEVER,
            ]
        )


def named(clauses: Collection[Predicate], base_url: str) -> frozenset[str]:
    """The ``Type/id`` of a record that clauses ask references for."""
    found = (_key(term, base_url) for clause in clauses for _, term in _asked(clause))
    return frozenset(key for key in found if key is not None)


def beside(clauses: Collection[Predicate], types: Collection[str]) -> frozenset[str]:
    """Of the parameters that clauses ask, those that speak of what goes with a reference."""
    of_types = {"": frozenset(code for type in types for code in BESIDE.get(type, ())), **BESIDE}
    asked = {(inside, _code(term)) for clause in clauses for inside, term in _asked(clause)}
    return frozenset(_within(inside, code) for inside, code in asked if code in of_types.get(inside, ()))


def looks_within(clauses: Collection[Predicate]) -> frozenset[str]:
    """The types of contained resources that clauses ask."""
    return frozenset(inside for clause in clauses for inside, _ in _asked(clause) if inside)


def present(clauses: Collection[Predicate], pointing: Mapping[str, Collection[str]], base_url: str) -> frozenset[str]:
    """Of these reference and uri parameters, what clauses ask them to begin with where hidden things begin so, too.

    ``pointing`` are those of the resources, under no name, and by type those of what they contain.

    That is nothing (``:missing`` asks whether there is any), or what leads to this server (``:below``).
    """
    asked = {one for clause in clauses for one in _asked(clause)}
    return frozenset(
        _within(inside, term)
        for inside, term in asked
        for code, sign, text in [term.partition("=")]
        if sign
        and code in pointing.get(inside, ())
        and "|" not in text
        and (base_url.startswith(text) or text.startswith(base_url))
    )


def widest(clause: Predicate) -> Predicate:
    """A condition that holds wherever the clause does, as it is asked or as it is of what somebody sees.

    Less is seen than is there, so that more may satisfy what is denied.
    """
    match clause:
        case AllOf(parts):
            return all_of([widest(part) for part in parts])
        case AnyOf(parts):
            return any_of([widest(part) for part in parts])
        case Contained():
            return contained(clause.parameter, clause.types, widest(clause.part))
        case Not():
            return ALWAYS
        case _:
            return clause


def _asked(clause: Predicate, inside: Collection[str] = _OUTSIDE) -> Iterator[tuple[str, str]]:
    """The terms that a clause asks for, each with the type of what is contained, or with no name."""
    match clause:
        case OneOf(Field.TERMS, values):
            yield from ((type, str(value)) for type in inside for value in values)
        case Prefix(text) | Span(text) | Contains(text):
            yield from ((type, text) for type in inside)
        case Contained(parameter, types, part):
            yield from ((type, parameter) for type in inside)
            yield from _asked(part, types)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _asked(part, inside)
        case Not(part):
            yield from _asked(part, inside)
        case _:
            return


def _within(type: str, text: str) -> str:
    return f"{type}.{text}" if type else text


def _code(term: str) -> str:
    found = _CODE.match(term)
    return found[0] if found else ""


def _key(term: str, base_url: str) -> str | None:
    """What a term of a reference or a uri names here; of a token, nothing: what stands before its bar is a system."""
    code = _code(term)
    text = term[len(code) + 1 :] if term[len(code) : len(code) + 1] == "=" else ""
    return target(text, base_url) if text else None
