"""What each resource is found by: the search parameters of R4 and of the project, compiled once at the start.

https://hl7.org/fhir/R4/searchparameter.html

:meth:`Parameters.index` gives what a stored entry carries; :mod:`fhir_server.search.query` asks it with the same
:class:`~fhir_server.search.parameter.Parameter`, so what is written and what is asked cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from fhir_server.definitions.tables import Definitions, SearchParameter
from fhir_server.fhir.date import MAX, MIN
from fhir_server.fhir.errors import TooLarge
from fhir_server.fhir.json import JsonObject
from fhir_server.fhir.reference import LocalReference, local
from fhir_server.record.pointers import target
from fhir_server.search.parameter import Parameter, by_type, compiled, is_single
from fhir_server.search.predicate import Predicate
from fhir_server.search.steps import Found
from fhir_server.search.types import composite, date, number, phonetic, quantity, reference, string, token, uri

__all__ = ["Index", "Parameter", "Parameters"]

NOT_INDEXED: Final = frozenset({"_id", "_lastUpdated"})
"""Parameters answered by fields that every entry has."""

MOST_ENTRIES: Final = 100_000
"""Entries of one resource; one that would need more is refused, whole."""


@dataclass(frozen=True, slots=True)
class Index:
    """What one resource is found by, and its place in time; the same resource always gives the same."""

    terms: list[str]
    """Sorted, each once: ``ix.s``."""
    ranges: list[dict[str, Any]]
    """Sorted, each once: ``ix.r``. ``{p, lo, hi}``, half-open: dates in microseconds since 1970, numbers as texts
    (:mod:`fhir_server.search.decimals`); of quantities with their units ``u``, of some composites with ``lo2, hi2``."""
    texts: list[str]
    """Sorted, each once: ``ix.t``, what is longer than its term tells."""
    on: int
    """The start of the type's main date, the latest when there are several; the end when the start is open;
    :data:`~fhir_server.fhir.date.MIN` when there is none."""


@dataclass(slots=True)
class _Entries:
    """What was found so far of one resource."""

    terms: set[str] = field(default_factory=set)
    ranges: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    texts: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.terms) + len(self.ranges)

    def add_range(self, stored: dict[str, Any]) -> None:
        key = (stored["p"], stored["lo"], stored["hi"], stored.get("lo2", ""), stored.get("hi2", ""))
        self.ranges[*key, *stored.get("u", ())] = stored

    def index(self, sort_date: str | None) -> Index:
        ranges = [self.ranges[key] for key in sorted(self.ranges)]
        moments = [_moment(one["lo"], one["hi"]) for one in ranges if one["p"] == sort_date]
        return Index(sorted(self.terms), ranges, sorted(self.texts), max(moments, default=MIN))


class Parameters:
    """All search parameters, by resource type."""

    def __init__(
        self,
        definitions: Definitions,
        record_elements: Mapping[str, str],
        extra: Iterable[SearchParameter] = (),
        *,
        sort_dates: Mapping[str, str],
        base_url: str = "",
    ) -> None:
        """Compile them all; raise :class:`~fhir_server.search.path.Outside` for one that could not be served.

        ``extra`` are the project's own and take the place of a standard one of the same code. ``base_url`` is the
        address of this server, whose absolute references are local.
        """
        self.resource_types = definitions.resource_types
        self.base_url = base_url
        extra = tuple(extra)
        own = by_type(extra, definitions)
        known = {one.url: one for of_type in definitions.search_parameters.values() for one in of_type.values()}
        known |= {one.url: one for one in extra}
        self._parameters: dict[str, dict[str, Parameter]] = {}
        for type in definitions.resource_types:
            defined = {**definitions.search_parameters[type], **own.get(type, {})}
            element = record_elements.get(type)
            several = element is not None and not is_single(element, definitions)
            self._parameters[type] = {
                code: compiled(type, parameter, definitions, known, element, several=several)
                for code, parameter in defined.items()
            }
        self.fingerprint = _fingerprint(definitions, extra, sort_dates)
        """Changes when any resource may be found by something else than before, so that it must be indexed anew."""
        self.sort_dates = dict(sort_dates)
        for type, code in sort_dates.items():
            sorting = self.get(type, code)
            if sorting is None or sorting.type != "date" or not sorting.supported:
                raise ValueError(f"The sort date of {type} is {code!r}, which is not a date parameter of that type.")
        self._indexed: dict[str, tuple[Parameter, ...]] = {
            type: tuple(one for one in parameters.values() if one.supported and one.code not in NOT_INDEXED)
            for type, parameters in self._parameters.items()
        }

    def get(self, type: str, code: str) -> Parameter | None:
        """The parameter of this code, supported or not."""
        return self._parameters[type].get(code)

    def of(self, type: str) -> Mapping[str, Parameter]:
        """All parameters of a resource type, by code."""
        return self._parameters[type]

    def index(self, type: str, resource: JsonObject) -> Index:
        """What the resource is found by."""
        entries = _Entries()
        tailed = type in string.TAILED
        for parameter in self._indexed[type]:
            found = [pair for path in parameter.paths for pair in path.walk(resource)]
            if not found:
                continue
            before = len(entries)
            self._enter(entries, parameter, found, resource, tailed=tailed)
            if self._is_there(type, parameter, found, found_by=len(entries) > before):
                entries.terms.add(f"{parameter.code}:any")
            if len(entries) > MOST_ENTRIES:
                sentence = f"The resource would be found by more than {MOST_ENTRIES} search entries; it is not stored."
                raise TooLarge(sentence)
        return entries.index(self.sort_dates.get(type))

    def _is_there(self, type: str, parameter: Parameter, found: list[Found], *, found_by: bool) -> bool:
        """Whether that there is an element must be told beside what these elements are found by.

        A composite is there when its components are; of all else, an element that gives nothing is there too. This is
        told beside a reference that may be hidden from who asks (of a trace, none is left out in this way).
        """
        if parameter.components:
            return found_by
        if parameter.of_record:
            return False
        if parameter.type != "reference" or len(found) == 1 or type == "AuditEvent":
            return not found_by
        each = [list(self._terms(parameter, element, kind, tailed=False)) for element, kind in found]
        if all(each):
            return False
        return not found_by or any(target(term.partition("=")[2], self.base_url) for one in each for term in one)

    def references(self, type: str, code: str, resource: JsonObject) -> list[LocalReference]:
        """The local resources that this one points to under a reference parameter, for ``_include``; each once."""
        parameter = self._parameters[type][code]
        found: dict[LocalReference, None] = {}
        for path in parameter.paths:
            for element, kind in path.walk(resource):
                named = reference.literal(element, self.base_url) if isinstance(element, dict) else None
                if isinstance(element, str) and kind in reference.TYPES:
                    named = local(element, self.base_url)
                if isinstance(named, LocalReference):
                    found[LocalReference(named.type, named.id)] = None
        return list(found)

    def refers_to(self, type: str, code: str, targets: Iterable[LocalReference]) -> Predicate:
        """Entries of a type that point to one of these under a reference parameter, for ``_revinclude``."""
        parameter = self._parameters[type][code]
        return reference.predicate(code, tuple(targets), of_record=parameter.of_record)

    def _enter(  # noqa: C901 - one case for each type
        self, entries: _Entries, parameter: Parameter, found: list[Found], resource: JsonObject, *, tailed: bool
    ) -> None:
        """What a parameter finds in these elements."""
        code = parameter.code
        for element, kind in found:
            match parameter.type:
                case "date":
                    for covered in date.extract(element, kind):
                        entries.add_range({"p": code, "lo": covered.low, "hi": covered.high})
                case "number":
                    for low, high in number.extract(element, kind):
                        entries.add_range({"p": code, "lo": low, "hi": high})
                case "quantity":
                    for one in quantity.extract(element, kind):
                        units = {"u": list(one.units)} if one.units else {}
                        entries.add_range({"p": code, "lo": one.low, "hi": one.high, **units})
                case "composite":
                    if isinstance(element, dict):
                        self._enter_composite(entries, parameter, element, kind, resource)
                case _:
                    entries.terms.update(self._terms(parameter, element, kind, tailed=tailed))
                    if parameter.type == "string" and not parameter.is_phonetic:
                        entries.texts.update(string.long_texts(code, element, kind))

    def _enter_composite(
        self, entries: _Entries, parameter: Parameter, element: JsonObject, kind: str, resource: JsonObject
    ) -> None:
        parts = composite.extract(parameter.code, element, kind, resource, parameter.components, self.base_url)
        for part in parts:
            if isinstance(part, str):
                entries.terms.add(part)
            else:
                entries.add_range(part)
            if len(entries) > MOST_ENTRIES:
                return  # the caller refuses it

    def _terms(self, parameter: Parameter, element: Any, kind: str, *, tailed: bool) -> Iterator[str]:  # noqa: ANN401 - Json
        match parameter.type:
            case "token":
                return token.extract(parameter.code, element, kind)
            case "string" if parameter.is_phonetic:
                return phonetic.extract(parameter.code, element, kind)
            case "string":
                return string.extract(parameter.code, element, kind, tailed=tailed)
            case "uri":
                return uri.extract(parameter.code, element, kind)
            case _:
                return reference.extract(
                    parameter.code,
                    element,
                    kind,
                    base_url=self.base_url,
                    of_record=parameter.of_record,
                    names_record=parameter.names_record,
                )


def _fingerprint(definitions: Definitions, extra: Iterable[SearchParameter], sort_dates: Mapping[str, str]) -> str:
    standard = {(one.url, one) for of_type in definitions.search_parameters.values() for one in of_type.values()}
    told = [*(repr(one) for _, one in standard), *(f"own {one!r}" for one in extra), repr(sorted(sort_dates.items()))]
    return sha256("\n".join(sorted(told)).encode()).hexdigest()


def _moment(low: int, high: int) -> int:
    return low if low > MIN else (high if high < MAX else MIN)
