"""What is asked of references, as far as the requester sees them: a search must not find what the answer leaves out.

A condition that names something hidden (`derived-from=DocumentReference/x`) matches nothing but the requester's own
deposits, which he is shown whole. So does, of resources that refer to something hidden, a condition on what goes with a
reference when it is taken out: the code of a relation, the format of an attachment (ADR 0018).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.record.elements import DIRECTORY
from fhir_server.record.pointers import target
from fhir_server.search.predicate import (
    ALWAYS,
    NEVER,
    AllOf,
    AnyOf,
    Contains,
    Field,
    Not,
    OneOf,
    Predicate,
    Prefix,
    Span,
    all_of,
    any_of,
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

    def rewrite(self, clause: Predicate) -> Predicate:
        """The clause as it is of what the requester sees."""
        match clause:
            case OneOf(Field.TERMS, values):
                return self._terms([str(value) for value in values])
            case Prefix(text) | Span(text) | Contains(text) if _code(text) in self.codes:
                return all_of([clause, self._whole()])
            case Prefix(text) if text in self.present:
                return self._points_to_shown(clause)
            case AllOf(parts):
                return all_of([self.rewrite(part) for part in parts])
            case AnyOf(parts):
                return any_of([self.rewrite(part) for part in parts])
            case Not(part):
                return negate(self.rewrite(part))
            case _:
                return clause

    def _whole(self) -> Predicate:
        """What refers to nothing that is hidden, and what the requester is shown whole.

        Of what was stored before it was told what it refers to, that is not known until it is indexed anew.
        """
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
        entries = [term for term in terms if _code(term) in self.codes]
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
    found = (_key(term, base_url) for clause in clauses for term in _asked(clause))
    return frozenset(key for key in found if key is not None)


def beside(clauses: Collection[Predicate], types: Collection[str]) -> frozenset[str]:
    """Of the parameters that clauses ask, those that speak of what goes with a reference."""
    of_types = frozenset(code for type in types for code in BESIDE.get(type, ()))
    return frozenset(code for clause in clauses for term in _asked(clause) if (code := _code(term)) in of_types)


def present(clauses: Collection[Predicate], pointing: Collection[str], base_url: str) -> frozenset[str]:
    """Of these reference and uri parameters, what clauses ask them to begin with where hidden things begin so, too.

    That is nothing (``:missing`` asks whether there is any), or what leads to this server (``:below``).
    """
    asked = {term for clause in clauses for term in _asked(clause)}
    return frozenset(
        term
        for term in asked
        for code, sign, text in [term.partition("=")]
        if sign and code in pointing and "|" not in text and (base_url.startswith(text) or text.startswith(base_url))
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
        case Not():
            return ALWAYS
        case _:
            return clause


def _asked(clause: Predicate) -> Iterator[str]:
    match clause:
        case OneOf(Field.TERMS, values):
            yield from (str(value) for value in values)
        case Prefix(text) | Span(text) | Contains(text):
            yield text
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _asked(part)
        case Not(part):
            yield from _asked(part)
        case _:
            return


def _code(term: str) -> str:
    found = _CODE.match(term)
    return found[0] if found else ""


def _key(term: str, base_url: str) -> str | None:
    """What a term of a reference or a uri names here; of a token, nothing: what stands before its bar is a system."""
    code = _code(term)
    text = term[len(code) + 1 :] if term[len(code) : len(code) + 1] == "=" else ""
    return target(text, base_url) if text else None
