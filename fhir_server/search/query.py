"""A search, from the pairs of its URL or form to a frozen :class:`Query`.

https://hl7.org/fhir/R4/search.html

What a query cannot mean (a date that is none, a modifier that is not supported) is refused always, for an answer to
something else would mislead. What the standard has and this server does not is refused when the client asks for strict
handling, else left out and named in :attr:`Query.issues`. An empty parameter is no error by the standard: it is left
out and named, too (https://hl7.org/fhir/R4/search.html#errors). Nothing is left out silently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import Issue, IssueType, Severity, error, information, warning
from fhir_server.search import chains, filtering, sorting, subset
from fhir_server.search import result_parameters as result
from fhir_server.search.asked import Asked, Context, NotSupported
from fhir_server.search.clause import DEFERRED, ByType, Clause, Having, RecordNamed
from fhir_server.search.clauses import rank
from fhir_server.search.messages import told
from fhir_server.search.parameters import Parameters
from fhir_server.search.predicate import Field, OneOf, Predicate, all_of, any_of, one_of
from fhir_server.search.result_parameters import Include, Total
from fhir_server.search.sorting import NEWEST_FIRST, SortField, SortKey
from fhir_server.search.subset import Subset, Summary

__all__ = [
    "MAX_LENGTH",
    "MAX_PARAMETERS",
    "Clause",
    "Context",
    "Include",
    "Query",
    "RecordNamed",
    "SortField",
    "SortKey",
    "Total",
    "parse",
]

MAX_LENGTH: Final = 4096
"""Characters of a name, and of a value with all its alternatives."""

MAX_PARAMETERS: Final = 100
"""Pairs of one query."""

_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked."""

    types: tuple[str, ...]
    clauses: tuple[Clause, ...]
    """All must hold; the likely most selective first (:func:`~fhir_server.search.clauses.rank`)."""
    names_resource: bool
    """It asks for ``_id`` or ``identifier``."""
    sort: tuple[SortKey, ...]
    count: int
    """Entries on a page; 0 asks for the number of matches alone."""
    total: Total | None
    """As asked; nothing when the query does not say."""
    counts: bool
    """The number of matches alone is asked for."""
    subset: Subset
    """The part of each match that is answered."""
    includes: tuple[Include, ...]
    revincludes: tuple[Include, ...]
    page: str | None
    """The token of a further page, unread."""
    used: tuple[tuple[str, str], ...]
    """The pairs that made this query, without the page: for the self link."""
    issues: tuple[Issue, ...]
    """What was left out, and what was capped."""
    records: frozenset[str] = frozenset()
    """The records that the path names, beside those of the clauses."""
    around: frozenset[str] = frozenset()
    """The resource (``Type/id``) that the path names and that belongs to a record, where it is no Patient."""


def parse(
    type: str | None,
    pairs: Sequence[tuple[str, str]],
    *,
    strict: bool,
    context: Context,
    among: tuple[str, ...] | None = None,
) -> Query:
    """Read a search of one type, or of the types that ``_type`` names, of all where it names none (or all ``among``).

    Raises :class:`~fhir_server.fhir.errors.Invalid` with every issue there is.
    """
    if len(pairs) > MAX_PARAMETERS:
        sentence = told("too-many-parameters", number=len(pairs), most=MAX_PARAMETERS)
        raise Invalid(sentence, code=IssueType.TOO_COSTLY)
    for name, value in pairs:
        _check_text(name, value)
    types = _types(context.parameters, pairs, among) if type is None else (type,)
    reading = _Reading(types, context)
    for name, value in pairs:
        if not value and name != "_page":
            reading.leave_out_empty(name)
        elif type is not None or name != "_type":
            reading.take(Asked.read(name, value))
        else:
            reading.used.append((name, value))
    return reading.query(strict=strict)


@dataclass(slots=True)
class _Reading:
    """A query while its pairs are read, one after the other."""

    types: tuple[str, ...]
    context: Context
    clauses: list[tuple[int, Clause]] = field(default_factory=list)
    names_resource: bool = False
    sort: tuple[SortKey, ...] = NEWEST_FIRST
    sorted_by: list[str] = field(default_factory=list)
    count: int | None = None
    total: Total | None = None
    summary: Summary = Summary.FALSE
    elements: Subset | None = None
    includes: dict[str, list[Include]] = field(default_factory=lambda: {"_include": [], "_revinclude": []})
    page: str | None = None
    seen: set[str] = field(default_factory=set)
    used: list[tuple[str, str]] = field(default_factory=list)
    refused: list[Issue] = field(default_factory=list)
    left_out: list[Issue] = field(default_factory=list)
    remarks: list[Issue] = field(default_factory=list)

    def take(self, asked: Asked) -> None:
        """Read one pair; keep what is wrong with it."""
        where = f"http.{asked.code[:_SHOWN]}"
        try:
            if asked.code in result.RESULT_PARAMETERS:
                self._take_result(asked)
            else:
                self._take_search(asked)
        except Invalid as refusal:
            sentence = told("of-parameter", name=asked.name[:_SHOWN], why=refusal.told)
            self.refused.append(error(refusal.issues[0].code, sentence, where))
        except NotSupported as absence:
            self.left_out.append(warning(IssueType.NOT_SUPPORTED, absence.told, where))
        else:
            if asked.code != "_page":
                self.used.append((asked.name, asked.raw))

    def leave_out_empty(self, name: str) -> None:
        """A parameter without a value asks nothing."""
        sentence = told("empty-left-out", name=name[:_SHOWN])
        where = f"http.{Asked.read(name, '').code[:_SHOWN]}"
        self.remarks.append(information(IssueType.INFORMATIONAL, sentence, where))

    def query(self, *, strict: bool) -> Query:
        """The query, or everything that is wrong with it."""
        if self.elements is not None and self.summary is not Summary.FALSE:
            sentence = told("summary-and-elements")
            self.refused.append(error(IssueType.INVALID, sentence, "http._elements"))
        if self.summary is Summary.TEXT and any(self.includes.values()):
            sentence = told("summary-and-include")
            self.refused.append(error(IssueType.INVALID, sentence, "http._summary"))
        refused = [*self.refused, *(_as_error(issue) for issue in self.left_out if strict)]
        if refused:
            raise Invalid(issues=tuple(refused))
        count = self._page_size()
        return Query(
            types=self.types,
            clauses=tuple(dict.fromkeys(clause for _, clause in sorted(self.clauses, key=lambda ranked: ranked[0]))),
            names_resource=self.names_resource,
            sort=self.sort,
            count=count,
            total=self.total,
            counts=count == 0,
            subset=self.elements or Subset.of(self.summary),
            includes=tuple(dict.fromkeys(self.includes["_include"])),
            revincludes=tuple(dict.fromkeys(self.includes["_revinclude"])),
            page=self.page,
            used=tuple(self.used),
            issues=(*self.left_out, *self.remarks),
        )

    def _page_size(self) -> int:
        if self.summary is Summary.COUNT:
            return 0
        if self.count is None:
            return self.context.default_count
        most = self.context.max_count
        if self.count > most:
            sentence = told("count-lowered", most=most)
            self.remarks.append(information(IssueType.INFORMATIONAL, sentence, "http._count"))
            self.used = [(name, str(most) if name == "_count" else value) for name, value in self.used]
        return min(self.count, most)

    def _take_result(self, asked: Asked) -> None:
        parameters = self.context.parameters
        if asked.code in result.REPEATABLE:
            self.includes[asked.code].append(result.include(asked, self.types, parameters))
            return
        if asked.suffix:
            raise Invalid(told("takes-no-modifier", modifier=asked.suffix))
        if asked.code in self.seen and asked.code != "_sort":
            raise Invalid(told("given-twice"))
        self.seen.add(asked.code)
        match asked.code:
            case "_sort":
                # repeated, each orders within the one before
                self.sort = sorting.sort(",".join([*self.sorted_by, asked.raw]), self.types, parameters)
                self.sorted_by.append(asked.raw)
            case "_count":
                self.count = result.count(asked.raw)
            case "_total":
                self.total = result.total(asked.raw)
            case "_summary":
                self.summary = subset.summary(asked.raw)
            case "_elements":
                self._take_elements(asked)
            case _:
                self.page = asked.raw

    def _take_elements(self, asked: Asked) -> None:
        definitions = self.context.definitions
        self.elements, unknown = subset.elements(asked.raw, self.types, definitions, definitions.resource_types)
        if unknown:
            names = ", ".join(repr(name[:_SHOWN]) for name in unknown[:5])
            if len(self.types) == 1:
                message = told("elements-unknown", names=names, type=self.types[0])
            else:
                message = told("elements-unknown-any", names=names)
            self.left_out.append(warning(IssueType.NOT_SUPPORTED, message, "http._elements"))

    def _take_search(self, asked: Asked) -> None:
        if asked.code in result.NOT_SUPPORTED:
            if asked.code == "_query":
                raise Invalid(told("named-queries"), code=IssueType.NOT_SUPPORTED)
            if (asked.code, asked.raw, asked.suffix) != ("_contained", "false", ""):
                raise NotSupported(told("parameter-not-supported", name=asked.code))
            return  # contained resources are never searched: that is what it asks for
        clauses: dict[str, Clause] = {}
        for type in self.types:
            try:
                if asked.code == "_filter":
                    clauses[type] = filtering.read(asked.raw, type, self.context)
                else:
                    clauses[type] = chains.read(asked, type, self.context)
            except chains.UnknownParameter as unknown:
                if len(self.types) == 1:
                    raise
                raise NotSupported(told("not-of-every-type", name=asked.code[:_SHOWN])) from unknown
        if not asked.suffix and asked.code in {"_id", "identifier", "masterIdentifier"}:
            self.names_resource = True
        parameter = self.context.parameters.get(self.types[0], asked.code)
        self.clauses.append(
            (_LAST if parameter is None or asked.suffix in _WIDE else rank(parameter), _of_types(clauses))
        )


_WIDE: Final = frozenset({":not", ":missing", ":not-in"})
"""Modifiers that leave most entries."""
_LAST: Final = 9


def _of_types(clauses: dict[str, Clause]) -> Clause:
    """One condition for all types: the one they have in common, or each type with its own."""
    different = list(dict.fromkeys(clauses.values()))
    if len(different) == 1:
        return different[0]
    named = [one for one in different if isinstance(one, RecordNamed)]
    if len(named) == len(different) and len({(one.ids, one.identifiers) for one in named}) == 1:
        return replace(named[0], several=True)  # they differ in that alone: of one record, or of several
    having = [one for one in different if isinstance(one, Having)]
    if len(having) == len(different) and len({(one.parameter, one.inner) for one in having}) == 1:
        return replace(having[0], types=tuple(type for one in having for type in one.types))
    by_condition: dict[Predicate, list[str]] = {}
    for type, one in clauses.items():
        if isinstance(one, DEFERRED):
            return ByType(tuple(clauses.items()))
        # Among other types a Patient is found by what it carries; no record is named by that.
        condition = (
            one if not isinstance(one, RecordNamed) else one.of_patient() if type == "Patient" else one.predicate()
        )
        by_condition.setdefault(condition, []).append(type)
    if len(by_condition) == 1:
        return next(iter(by_condition))
    if all(isinstance(one, OneOf) and one.field is Field.ID for one in by_condition):
        return one_of(Field.ID, *(id for one in by_condition if isinstance(one, OneOf) for id in one.values))
    return any_of([all_of([one_of(Field.TYPE, *types), one]) for one, types in by_condition.items()])


def _types(parameters: Parameters, pairs: Sequence[tuple[str, str]], among: tuple[str, ...] | None) -> tuple[str, ...]:
    """The types of a search of the whole system, or of a compartment."""
    given = [value for name, value in pairs if name == "_type" and value]
    if len(given) > 1:
        raise Invalid(told("type-twice"), expression=("http._type",))
    asked = [part for value in given for part in value.split(",")]
    unknown = [part for part in dict.fromkeys(asked) if part not in parameters.resource_types]
    if unknown:
        named = ", ".join(repr(part[:_SHOWN]) for part in unknown[:5])
        raise Invalid(told("types-unknown", names=named), expression=("http._type",))
    outside = [part for part in dict.fromkeys(asked) if among is not None and part not in among]
    if outside:
        raise Invalid(told("outside-compartment", name=outside[0]), expression=("http._type",))
    return tuple(dict.fromkeys(asked)) or among or parameters.resource_types


_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _check_text(name: str, value: str) -> None:
    where = (f"http.{name[:_SHOWN].partition(':')[0]}",) if name.isprintable() else ()
    if len(name) > MAX_LENGTH or len(value) > MAX_LENGTH:
        sentence = told("parameter-too-long", number=max(len(name), len(value)), most=MAX_LENGTH)
        raise Invalid(sentence, expression=where, code=IssueType.TOO_LONG)
    if _CONTROL.search(name) or _CONTROL.search(value):
        raise Invalid(told("control-character"), expression=where)
    if _SURROGATE.search(name) or _SURROGATE.search(value):
        raise Invalid(told("parameter-not-utf-8"), expression=where)
    if not name:
        raise Invalid(told("parameter-without-name"))
    if not value and name == "_page":
        raise Invalid(told("page-empty"), expression=where)


def _as_error(issue: Issue) -> Issue:
    return replace(issue, severity=Severity.ERROR)
