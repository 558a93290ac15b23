"""What each resource is found by: the search parameters of R4 and of the project, compiled once at the start.

https://hl7.org/fhir/R4/searchparameter.html

:meth:`Parameters.index` gives what a stored entry carries; :mod:`fhir_server.search.query` asks it with the same
:class:`~fhir_server.search.parameter.Parameter`, so what is written and what is asked cannot drift apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, NamedTuple

from fhir_server.definitions.tables import Definitions, SearchParameter
from fhir_server.fhir.date import MAX, MIN
from fhir_server.fhir.errors import TooLarge
from fhir_server.fhir.json import JsonObject
from fhir_server.fhir.reference import LocalReference, local
from fhir_server.search.contained import Holder, Unit, pointing
from fhir_server.search.entries import MOST_ENTRIES, Enter, Gathered, entering, ranges_of
from fhir_server.search.messages import told
from fhir_server.search.parameter import Parameter, by_type, compiled, is_single
from fhir_server.search.path import Walk
from fhir_server.search.predicate import Predicate
from fhir_server.search.steps import NO_RESULT
from fhir_server.search.types import reference, string

__all__ = ["MOST_ENTRIES", "Index", "Parameter", "Parameters"]

NOT_INDEXED: Final = frozenset({"_id", "_lastUpdated"})
"""Parameters answered by fields that every entry has."""


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
    contained: list[Unit]
    """``ix.c``: what is contained and pointed to (:mod:`fhir_server.search.contained`)."""
    on: int
    """The start of the type's main date, the latest when there are several; the end when the start is open;
    :data:`~fhir_server.fhir.date.MIN` when there is none."""


class _Step(NamedTuple):
    """One parameter of a type, as indexing goes through them."""

    at: int
    """Its path, by its place among those of the type: many parameters speak of the same elements."""
    others: tuple[int, ...]
    """Its other paths."""
    enter: Enter
    any: str
    """The term that it is there."""
    any_when: bool | None
    """Added where its elements give something (a composite) or where they give nothing (all else), or never."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How resources of one type are indexed."""

    walks: tuple[tuple[str | None, Walk], ...]
    """The member that each begins with, where it is plain names."""
    steps: tuple[_Step, ...]
    tailed: bool
    sort_date: str | None


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
        self._plans = {type: self._plan(type) for type in definitions.resource_types}
        self._pointing = {
            type: pointing(self._parameters[type].values(), type, definitions) for type in definitions.resource_types
        }

    def get(self, type: str, code: str) -> Parameter | None:
        """The parameter of this code, supported or not."""
        return self._parameters[type].get(code)

    def of(self, type: str) -> Mapping[str, Parameter]:
        """All parameters of a resource type, by code."""
        return self._parameters[type]

    def index(self, type: str, resource: JsonObject) -> Index:
        """What the resource is found by."""
        plan = self._plans[type]
        gathered = self._gather(type, resource, tailed=plan.tailed)
        contained: list[Unit] = []
        if resource.get("contained"):
            holder = Holder(resource, self._gather, self._pointing, self.base_url)
            contained = holder.units(type, resource)
        return _index(gathered, contained, plan.sort_date)

    def _gather(self, type: str, resource: JsonObject, *, tailed: bool = False) -> Gathered:
        plan = self._plans[type]
        gathered = Gathered(tailed)
        reached = [walk(resource) if first is None or first in resource else NO_RESULT for first, walk in plan.walks]
        terms, rows = gathered.terms, gathered.rows
        for at, others, enter, any, any_when in plan.steps:
            found = reached[at]
            if others:
                found = [*found, *(pair for other in others for pair in reached[other])]
            if found:
                if enter(gathered, found, resource) is any_when:
                    terms.add(any)
                if len(terms) + len(rows) > MOST_ENTRIES:
                    raise TooLarge(told("too-many-search-entries", type=type, most=MOST_ENTRIES))
        return gathered

    def references(self, type: str, code: str, resource: JsonObject) -> list[LocalReference]:
        """The local resources that this one points to under a reference parameter, for ``_include``; each once."""
        parameter = self._parameters[type][code]
        found: dict[LocalReference, None] = {}
        for path in parameter.paths:
            for element, kind in path.walk(resource):
                target = reference.literal(element, self.base_url) if isinstance(element, dict) else None
                if isinstance(element, str) and kind in reference.TYPES:
                    target = local(element, self.base_url)
                if isinstance(target, LocalReference):
                    found[LocalReference(target.type, target.id)] = None
        return list(found)

    def refers_to(self, type: str, code: str, targets: Iterable[LocalReference]) -> Predicate:
        """Entries of a type that point to one of these under a reference parameter, for ``_revinclude``."""
        parameter = self._parameters[type][code]
        return reference.predicate(code, tuple(targets), of_record=parameter.of_record)

    def _plan(self, type: str) -> _Plan:
        parameters = [one for one in self.of(type).values() if one.supported and one.code not in NOT_INDEXED]
        paths = {path.text: path for one in parameters for path in one.paths}
        places = {text: at for at, text in enumerate(paths)}
        speaking = Counter(path.text for one in parameters for path in one.paths)
        shared = {text for text, number in speaking.items() if number > 1}
        composed = any(one.components for one in parameters)
        steps = [
            _Step(
                places[one.paths[0].text],
                tuple(places[path.text] for path in one.paths[1:]),
                entering(
                    one,
                    self.base_url,
                    shared=composed or any(path.text in shared for path in one.paths),
                    taken_out=type != "AuditEvent",
                ),
                f"{one.code}:any",
                # the record of an entry tells of the parameters that speak of it whether they are there
                None if one.of_record else one.type == "composite",
            )
            for one in parameters
        ]
        walks = tuple((path.first, path.walk) for path in paths.values())
        return _Plan(walks, tuple(steps), type in string.TAILED, self.sort_dates.get(type))


def _index(gathered: Gathered, contained: list[Unit], sort_date: str | None) -> Index:
    ranges = ranges_of(gathered.rows)
    moments = [_moment(one["lo"], one["hi"]) for one in ranges if one["p"] == sort_date]
    return Index(sorted(gathered.terms), ranges, sorted(gathered.texts), contained, max(moments, default=MIN))


def _fingerprint(definitions: Definitions, extra: Iterable[SearchParameter], sort_dates: Mapping[str, str]) -> str:
    standard = {(one.url, one) for of_type in definitions.search_parameters.values() for one in of_type.values()}
    told = [*(repr(one) for _, one in standard), *(f"own {one!r}" for one in extra), repr(sorted(sort_dates.items()))]
    return sha256("\n".join(sorted(told)).encode()).hexdigest()


def _moment(low: int, high: int) -> int:
    return low if low > MIN else (high if high < MAX else MIN)
