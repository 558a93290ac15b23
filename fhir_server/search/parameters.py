"""What each resource is found by: the search parameters of R4 and of the project, compiled once at the start.

https://hl7.org/fhir/R4/searchparameter.html

:meth:`Parameters.index` gives what a stored entry carries; :mod:`fhir_server.search.query` asks it with the same
:class:`Parameter`, so what is written and what is asked cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, TypedDict

from fhir_server.definitions.tables import Definitions, SearchParameter, TypeUse
from fhir_server.fhir.date import MAX, MIN
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhir.reference import LocalReference, local
from fhir_server.search.path import Outside, Path, alternatives, compile_path
from fhir_server.search.predicate import Predicate
from fhir_server.search.steps import Found
from fhir_server.search.terms import CODE
from fhir_server.search.types import date, reference, string, token, uri

TYPES_OF_ELEMENTS: Final[Mapping[str, frozenset[str]]] = {
    "token": token.TYPES,
    "string": string.TYPES,
    "date": date.TYPES,
    "reference": reference.TYPES,
    "uri": uri.TYPES,
}
"""By type of search parameter, those supported, the types of element it is found in."""

NOT_SUPPORTED: Final = frozenset({"phonetic"})
"""Parameters of a supported type that would need more than the type gives: phonetic needs a phonetic code."""

NOT_INDEXED: Final = frozenset({"_id", "_lastUpdated"})
"""Parameters answered by fields that every entry has."""

_Walk: TypeAlias = Callable[[JsonObject], list[Found]]
_Extract: TypeAlias = Callable[[Json, str], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one resource type."""

    code: str
    type: str
    url: str
    paths: tuple[Path, ...]
    targets: tuple[str, ...]
    """Of a reference: the resource types it may point to, those the definition and the element have in common."""
    of_record: bool
    """It speaks of the element that tells the record: a local Patient is the entry's ``record``, no term."""
    of_several: bool = False
    """It speaks of the element that tells the records, where there may be several: a Patient is one of them."""

    @property
    def names_record(self) -> bool:
        """Whether a Patient asked by it names a record."""
        return self.of_record or self.of_several

    @property
    def supported(self) -> bool:
        """Whether it is indexed and can be asked."""
        return self.type in TYPES_OF_ELEMENTS and bool(self.paths) and self.code not in NOT_SUPPORTED

    @property
    def codes_only(self) -> bool:
        """It speaks of primitives alone, such as a status: few values, each with many entries."""
        return self.type == "token" and all(use.code in {"code", "boolean"} for path in self.paths for use in path.uses)


class Range(TypedDict):
    """One element of ``ix.r``: half-open, in microseconds since 1970."""

    p: str
    lo: int
    hi: int


@dataclass(frozen=True, slots=True)
class Index:
    """What one resource is found by, and its place in time; the same resource always gives the same."""

    terms: list[str]
    """Sorted, each once: ``ix.s``."""
    ranges: list[Range]
    """``{p, lo, hi}``, sorted, each once: ``ix.r``."""
    on: int
    """The start of the type's main date, the latest when there are several; the end when the start is open;
    :data:`~fhir_server.fhir.date.MIN` when there is none."""


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
        own = _by_type(extra, definitions)
        self._parameters: dict[str, dict[str, Parameter]] = {}
        for type in definitions.resource_types:
            defined = {**definitions.search_parameters[type], **own.get(type, {})}
            element = record_elements.get(type)
            several = element is not None and not _is_single(element, definitions)
            self._parameters[type] = {
                code: _compiled(type, parameter, definitions, element, several=several)
                for code, parameter in defined.items()
            }
        self.sort_dates = dict(sort_dates)
        for type, code in sort_dates.items():
            sorting = self.get(type, code)
            if sorting is None or sorting.type != "date" or not sorting.supported:
                raise ValueError(f"The sort date of {type} is {code!r}, which is not a date parameter of that type.")
        self._terms: dict[str, tuple[tuple[_Walk, _Extract], ...]] = {}
        self._dates: dict[str, tuple[tuple[_Walk, str], ...]] = {}
        for type, parameters in self._parameters.items():
            indexed = [one for one in parameters.values() if one.supported and one.code not in NOT_INDEXED]
            self._terms[type] = tuple(
                (path.walk, self._extract(one)) for one in indexed if one.type != "date" for path in one.paths
            )
            self._dates[type] = tuple(
                (path.walk, one.code) for one in indexed if one.type == "date" for path in one.paths
            )

    def get(self, type: str, code: str) -> Parameter | None:
        """The parameter of this code, supported or not."""
        return self._parameters[type].get(code)

    def of(self, type: str) -> Mapping[str, Parameter]:
        """All parameters of a resource type, by code."""
        return self._parameters[type]

    def index(self, type: str, resource: JsonObject) -> Index:
        """What the resource is found by."""
        terms: set[str] = set()
        for walk, extract in self._terms[type]:
            for element, code in walk(resource):
                terms.update(extract(element, code))
        spans = {
            (parameter, found.low, found.high)
            for walk, parameter in self._dates[type]
            for element, code in walk(resource)
            for found in date.extract(element, code)
        }
        sort_date = self.sort_dates.get(type)
        return Index(
            terms=sorted(terms),
            ranges=[{"p": parameter, "lo": low, "hi": high} for parameter, low, high in sorted(spans)],
            on=max((_moment(low, high) for parameter, low, high in spans if parameter == sort_date), default=MIN),
        )

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

    def _extract(self, parameter: Parameter) -> _Extract:
        match parameter.type:
            case "token":
                return partial(token.extract, parameter.code)
            case "string":
                return partial(string.extract, parameter.code)
            case "uri":
                return partial(uri.extract, parameter.code)
            case _:
                return partial(
                    reference.extract,
                    parameter.code,
                    base_url=self.base_url,
                    of_record=parameter.of_record,
                    names_record=parameter.names_record,
                )


def _compiled(
    type: str, defined: SearchParameter, definitions: Definitions, record_element: str | None, *, several: bool
) -> Parameter:
    texts: list[str] = []
    paths: list[Path] = []
    if CODE.fullmatch(defined.code) is None:
        raise Outside(f"The code of the search parameter {defined.url} is {defined.code!r}, which cannot be indexed.")
    for text in alternatives(defined.expression) if defined.expression and defined.type != "composite" else ():
        try:
            path = compile_path(text, type, definitions)
        except Outside as error:
            raise Outside(f"The expression of the search parameter {defined.url} cannot be served: {error}.") from None
        if path is not None:
            texts.append(text)
            paths.append(path)
    uses = tuple(use for path in paths for use in path.uses)
    findable = TYPES_OF_ELEMENTS.get(defined.type)
    if findable is not None and defined.expression and not any(use.code in findable for use in uses):
        told = ", ".join(sorted({use.code for use in uses})) or f"nothing in {type}"
        raise Outside(f"The search parameter {defined.url} is a {defined.type}, but its expression gives {told}.")
    return Parameter(
        code=defined.code,
        type=defined.type,
        url=defined.url,
        paths=tuple(paths),
        targets=_targets(defined.targets, uses, definitions) if defined.type == "reference" else (),
        of_record=not several and _tells(texts, record_element),
        of_several=several and _tells(texts, record_element),
    )


def _tells(texts: list[str], record_element: str | None) -> bool:
    """Whether the expression is the element that tells the record, of whatever type or of Patients."""
    return record_element is not None and texts in (
        [record_element],
        [f"{record_element}.where(resolve() is Patient)"],
    )


def _targets(declared: tuple[str, ...], uses: tuple[TypeUse, ...], definitions: Definitions) -> tuple[str, ...]:
    """The types that both the definition and the elements allow; neither saying anything: all types."""
    pointing = [use for use in uses if use.code in reference.TYPES]
    of_elements = {target for use in pointing for target in use.targets}
    open_ended = any(not use.targets for use in pointing)
    told = [target for target in declared if target not in {"Resource", "DomainResource"}]
    wanted = told or definitions.resource_types
    return tuple(sorted(target for target in wanted if open_ended or target in of_elements)) or tuple(sorted(wanted))


def _by_type(extra: Iterable[SearchParameter], definitions: Definitions) -> dict[str, dict[str, SearchParameter]]:
    found: dict[str, dict[str, SearchParameter]] = {}
    for parameter in extra:
        for base in parameter.base:
            if base in {"Resource", "DomainResource"}:
                types = tuple(
                    type
                    for type in definitions.resource_types
                    if base in {"Resource", definitions.structures[type].parent}
                )
            elif base in definitions.resource_types:
                types = (base,)
            else:
                raise ValueError(f"The search parameter {parameter.url} is for {base!r}, which is not a resource type.")
            for type in types:
                found.setdefault(type, {})[parameter.code] = parameter
    return found


def _is_single(path: str, definitions: Definitions) -> bool:
    """Whether the element cannot repeat: one resource, one record. Of a list of subjects, each needs its own term."""
    type, *names = path.split(".")
    for name in names:
        element = next((one for one in definitions.structures[type].elements if one.name == name), None)
        if element is None:
            raise ValueError(f"The element that tells the record of {type} is {path!r}, which it does not have.")
        if element.max != 1:
            return False
        type = element.types[0].code
    return True


def _moment(low: int, high: int) -> int:
    return low if low > MIN else (high if high < MAX else MIN)
