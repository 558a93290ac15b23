"""One search parameter of a query, with its modifier and values, as a condition on entries.

https://hl7.org/fhir/R4/search.html#modifiers · https://hl7.org/fhir/R4/search.html#chaining

A parameter that names the record does not become a predicate here: a professional's search must name one record, and an
INS is resolved through the gate, outside of this package (access.md §5). It becomes a :class:`RecordNamed`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias, TypeVar

from fhir_server.fhir.date import microseconds
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.reference import LocalReference
from fhir_server.search.parameters import Parameter, Parameters
from fhir_server.search.predicate import Field, Predicate, any_of, one_of
from fhir_server.search.types import date, reference, string, token, uri
from fhir_server.search.values import split, unescape

MAX_VALUES: Final = 200
"""Values one parameter may give, separated by commas."""

IDENTIFIER_CHAINS: Final = frozenset({".identifier", ":Patient.identifier"})
"""What may follow a parameter of the record to name it by an INS."""

_Value = TypeVar("_Value")


class NotSupported(Exception):
    """The standard has it, this server does not: refused or ignored by name, as the client's ``Prefer`` says."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a query is read in: everything it depends on besides its own text."""

    now: datetime
    base_url: str
    """The address of this server; a reference under it is local."""
    max_count: int
    """The most entries on a page."""
    default_count: int
    """The entries on a page when the query does not say."""

    @property
    def microseconds(self) -> int:
        """Now, since 1970."""
        return microseconds(self.now)


@dataclass(frozen=True, slots=True)
class RecordNamed:
    """The query names records: the entry belongs to one of these.

    ``identifiers`` are ``(system, value)`` of Patient.identifier; system ``None`` is any, ``""`` is none.
    """

    ids: frozenset[str]
    identifiers: tuple[tuple[str | None, str], ...] = ()
    several: bool = False
    """The entries may belong to several records: to one of these among others."""

    def of_patient(self) -> Predicate:
        """The Patients named, as a condition on Patients, to resolve the identifiers with."""
        wanted = [token.Token(system, value) for system, value in self.identifiers]
        named = one_of(Field.ID, *(f"Patient/{id}" for id in self.ids))
        return any_of([named, token.predicate("identifier", wanted)])

    def predicate(self, resolved: Iterable[str] = ()) -> Predicate:
        """The condition on entries, with the ids of the Patients that carry the identifiers."""
        named = self.ids.union(resolved)
        first = one_of(Field.RECORD, *named)
        return any_of([first, one_of(Field.ALSO, *named)]) if self.several else first


Clause: TypeAlias = Predicate | RecordNamed


@dataclass(frozen=True, slots=True)
class Asked:
    """One pair of a query, its name taken apart."""

    code: str
    suffix: str
    """What follows the code: ``:not``, ``:Patient.identifier``, ``.identifier``, or nothing."""
    raw: str

    @classmethod
    def read(cls, name: str, value: str) -> Asked:
        """Take ``code:modifier`` or ``code.chain`` apart."""
        ends = [position for separator in ":." if (position := name.find(separator)) >= 0]
        end = min(ends, default=len(name))
        return cls(name[:end], name[end:], value)

    @property
    def name(self) -> str:
        """The whole name again."""
        return self.code + self.suffix

    def values(self) -> list[str]:
        """The alternatives, their escapes still in them."""
        parts = split(self.raw, ",")
        if len(parts) > MAX_VALUES:
            raise Invalid(f"There are {len(parts)} values; this server takes {MAX_VALUES} for one parameter.")
        if "" in parts:
            raise Invalid("A value is empty.")
        return parts


def clause(asked: Asked, parameter: Parameter, type: str, parameters: Parameters, context: Context) -> Clause:
    """The condition one pair puts on the entries of a type.

    Raises :class:`~fhir_server.fhir.errors.Invalid` when the pair means nothing, :class:`NotSupported` when this
    server cannot answer it.
    """
    if asked.code == "_id":
        _only_modifiers(asked, ())
        ids = [unescape(value) for value in asked.values()]
        return RecordNamed(frozenset(ids)) if type == "Patient" else one_of(Field.ID, *(f"{type}/{id}" for id in ids))
    if not parameter.supported:
        raise NotSupported(f"Search by {asked.code!r} ({parameter.type}) is not supported yet.")
    if "." in asked.suffix:
        return _chain(asked, parameter)
    match parameter.type:
        case "token":
            return _token(asked, type)
        case "reference":
            return _reference(asked, parameter, parameters, context)
        case _:
            return _text_or_date(asked, parameter, context)


def rank(parameter: Parameter) -> int:
    """How many entries a value of the parameter is likely to have: the database begins with the first condition.

    Ids and identifiers, then references, texts and uris, dates, codes, and last the few values of a status.
    """
    if parameter.code in {"_id", "identifier"}:
        return 0
    if parameter.codes_only or parameter.code in {"category", "class", "language", "_security", "_profile"}:
        return 5
    return {"reference": 1, "string": 2, "uri": 2, "date": 3, "token": 4}.get(parameter.type, 5)


def _text_or_date(asked: Asked, parameter: Parameter, context: Context) -> Predicate:
    if parameter.type == "string":
        _only_modifiers(asked, string.MODIFIERS)
        return string.predicate(parameter.code, _each(asked, string.parse))
    if parameter.type == "uri":
        _only_modifiers(asked, uri.MODIFIERS)
        return uri.predicate(parameter.code, _each(asked, uri.parse))
    _only_modifiers(asked, date.MODIFIERS)
    wanted = _each(asked, lambda raw: date.parse(raw, context.microseconds))
    return date.last_updated(wanted) if asked.code == "_lastUpdated" else date.predicate(parameter.code, wanted)


def _token(asked: Asked, type: str) -> Clause:
    _only_modifiers(asked, token.MODIFIERS)
    wanted = _each(asked, token.parse)
    if type == "Patient" and asked.code == "identifier" and not asked.suffix:
        named = tuple((one.system, one.code) for one in wanted if one.code is not None)
        if len(named) == len(wanted):
            return RecordNamed(frozenset(), named)
    return token.predicate(asked.code, wanted, asked.suffix.removeprefix(":") or None)


def _reference(asked: Asked, parameter: Parameter, parameters: Parameters, context: Context) -> Clause:
    modifier = asked.suffix.removeprefix(":") or None
    if modifier == "identifier":
        return token.predicate(f"{parameter.code}:identifier", _each(asked, token.parse))
    if modifier is not None and modifier not in parameters.resource_types:
        _only_modifiers(asked, ("identifier", "[type]"))
    wanted = [
        target
        for raw in asked.values()
        for target in reference.parse(raw, parameter.targets, context.base_url, modifier)
    ]
    patients = {one.id for one in wanted if isinstance(one, LocalReference) and one.type == "Patient"}
    if parameter.names_record and all(isinstance(one, LocalReference) and one.type == "Patient" for one in wanted):
        return RecordNamed(frozenset(patients), several=parameter.of_several)
    return reference.predicate(parameter.code, wanted, of_record=parameter.of_record)


def _chain(asked: Asked, parameter: Parameter) -> Clause:
    if not (parameter.names_record and asked.suffix in IDENTIFIER_CHAINS):
        raise NotSupported(f"The chain {asked.name!r} is not supported yet.")
    named: list[tuple[str | None, str]] = []
    for one in _each(asked, token.parse):
        if one.code is None:
            raise Invalid("The identifier of a patient needs a value, not a system alone.")
        named.append((one.system, one.code))
    return RecordNamed(frozenset(), tuple(named), several=parameter.of_several)


def _each(asked: Asked, parse: Callable[[str], _Value]) -> list[_Value]:
    return [parse(raw) for raw in asked.values()]


def _only_modifiers(asked: Asked, known: Collection[str]) -> None:
    """https://hl7.org/fhir/R4/search.html#modifiers: a modifier that is not supported must be refused."""
    if asked.suffix and asked.suffix.removeprefix(":") not in known:
        told = f"it takes {', '.join(f':{one}' for one in sorted(known))}" if known else "it takes none"
        raise Invalid(f"The modifier {asked.suffix!r} is not supported for this parameter; {told}.")
