"""A part of a resource, as the client asks for it with ``_summary`` or ``_elements``.

https://hl7.org/fhir/R4/search.html#summary · https://hl7.org/fhir/R4/search.html#elements

========  ==============================================================================================
true      what the tables of R4 flag as summary, in backbone elements too, with what is mandatory or a modifier
text      the narrative, id, meta, and what is mandatory at the top
data      all but the narrative
elements  what is named, id, meta, and what is mandatory or a modifier at the top
========  ==============================================================================================

What is kept is kept as it was written: order, numbers, whole data types with their extensions; what stands beside a
primitive (``_birthDate``) goes with it. A backbone element of which nothing is kept is left out. Every part is tagged
SUBSETTED, so that nobody takes it for the whole and writes it back. Of a Bundle the resources in it stay whole.

A part is taken of what the requester is shown, never of what is stored: it says less than the whole and nothing else.

Plans are compiled when first asked for (33 us for ``true`` of a DocumentReference) and kept. Cutting 3 kB of it, with
the tag, then takes 35 us with ``true`` and 15 to 20 us otherwise: the bytes are taken apart by members, and only those
are looked into of which a part is kept. By the tree, with `decode_lexical` and `encode_lexical`, it takes 65 to 75 us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Self, TypeAlias, TypeVar

from fhir_server.definitions.tables import Definitions, Element
from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid
from fhir_server.search.messages import told

SUBSET_PARAMETERS: Final = frozenset({"_summary", "_elements"})

SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}
"""https://hl7.org/fhir/R4/valueset-common-tags.html"""

MOST_PLANS: Final = 1024
"""How many plans of ``_elements`` are kept; the client chooses the names, so there must be an end. One that was dropped
is compiled again."""

_SUBSETTED: Final = json.encode(SUBSETTED)
_NAME: Final = re.compile(r"(?:([A-Z][A-Za-z]*)\.)?([a-z][A-Za-z0-9]*)")

_Plan: TypeAlias = "dict[str, _Plan | None]"
"""By JSON name, what of the member is kept: all of it (none), or a part."""

_T = TypeVar("_T")


class Summary(StrEnum):
    """The values of ``_summary``."""

    TRUE = "true"
    TEXT = "text"
    DATA = "data"
    COUNT = "count"
    FALSE = "false"


class Kind(StrEnum):
    """Which part."""

    WHOLE = "whole"
    TRUE = "true"
    TEXT = "text"
    DATA = "data"
    ELEMENTS = "elements"


@dataclass(frozen=True, slots=True)
class Subset:
    """The part of each resource that is asked for."""

    kind: Kind
    names: frozenset[str] = frozenset()
    """The elements named without a type."""
    types: frozenset[str] = frozenset()
    """The types they are meant for: those searched or read."""
    qualified: frozenset[tuple[str, str]] = frozenset()
    """The elements named with their type."""

    @classmethod
    def whole(cls) -> Self:
        """Resources as they are."""
        return cls(Kind.WHOLE)

    @classmethod
    def of(cls, summary: Summary) -> Self:
        """What a value of ``_summary`` asks for; where only the number is asked for, there is nothing to cut."""
        return cls(Kind.WHOLE if summary in (Summary.FALSE, Summary.COUNT) else Kind(summary.value))

    def is_whole(self, type: str) -> bool:
        """Whether resources of a type stay as they are."""
        if self.kind is Kind.ELEMENTS:
            return type not in self.types and not any(named == type for named, _ in self.qualified)
        return self.kind is Kind.WHOLE

    def names_of(self, type: str) -> frozenset[str]:
        """The elements named for a type."""
        own = frozenset(name for named, name in self.qualified if named == type)
        return own | self.names if type in self.types else own

    def of_included(self) -> Subset:
        """The part of resources that a search includes: names without a type are not meant for them."""
        return Subset(self.kind, qualified=self.qualified)


def summary(raw: str) -> Summary:
    """The value of ``_summary``."""
    try:
        return Summary(raw)
    except ValueError:
        raise Invalid(told("summary", known=", ".join(Summary)), expression=("http._summary",)) from None


def elements(
    raw: str, types: Collection[str], definitions: Definitions, included: Collection[str] = ()
) -> tuple[Subset, tuple[str, ...]]:
    """The value of ``_elements``, and the names in it that no type has which they are meant for.

    A name without a type is meant for the ``types`` searched or read, one with its type (``Practitioner.name``) for
    that one, which may be searched or ``included``. What nothing has is no part of the subset: the caller refuses it or
    tells it.
    """
    names: set[str] = set()
    qualified: set[tuple[str, str]] = set()
    unknown: list[str] = []
    meant_for: Collection[str] = ()
    for part in _parts(raw):
        type, name = _name(part)
        if type is None:
            meant_for = types
        among = types if type is None else [type] if type in types or type in included else []
        if not any(element.name == name for one in among for element in definitions.structures[one].elements):
            unknown.append(part)
        elif type is None:
            names.add(name)
        else:
            qualified.add((type, name))
    return Subset(Kind.ELEMENTS, frozenset(names), frozenset(meant_for), frozenset(qualified)), tuple(unknown)


def _parts(raw: str) -> Collection[str]:
    parts = dict.fromkeys(part.strip() for part in raw.split(","))
    if parts.keys() == {""}:
        raise Invalid(told("elements-none"), expression=("http._elements",))
    if "" in parts:
        raise Invalid(told("elements-comma"), expression=("http._elements",))
    return parts


def _name(part: str) -> tuple[str | None, str]:
    """The type, if it is named, and the element."""
    found = _NAME.fullmatch(part)
    if found is None:
        raise Invalid(told("elements-name", name=part[:80]), expression=("http._elements",))
    return found[1], found[2]


class Subsetter:
    """Cuts resources by the tables of R4."""

    def __init__(self, definitions: Definitions) -> None:
        """Cut by these tables; a plan is compiled when it is first needed."""
        self._structures = definitions.structures
        self._summaries: dict[str, _Plan] = {}
        self._top = lru_cache(MOST_PLANS)(self._compile_top)

    def of(self, resource: dict[str, Any], type: str, subset: Subset) -> dict[str, Any]:
        """The part of a resource as `json.decode_lexical` read it; itself where it stays whole."""
        if subset.is_whole(type):
            return resource
        kept = self._kept(resource, type, subset, _part)
        kept["meta"] = _tagged(kept.get("meta", {}))
        return kept

    def cut(self, body: bytes, type: str, subset: Subset) -> bytes:
        """The part of a resource as it is stored or shown."""
        if subset.is_whole(type):
            return body
        kept = self._kept(json.members(body), type, subset, _part_of_bytes)
        kept["meta"] = _tagged_bytes(kept.get("meta", b"{}"))
        return json.join_members(kept)

    @staticmethod
    def tagged(body: bytes) -> bytes:
        """A resource of which something was left out already, with the tag that says so."""
        kept = json.members(body)
        return json.join_members({**kept, "meta": _tagged_bytes(kept.get("meta", b"{}"))})

    def _kept(
        self, members: dict[str, _T], type: str, subset: Subset, part: Callable[[_T, _Plan], _T]
    ) -> dict[str, _T]:
        if subset.kind is Kind.DATA:
            return {name: one for name, one in members.items() if name != "text"}
        if subset.kind is Kind.TRUE:
            return _chosen(members, self._summary(type), part)
        return _chosen(members, self._top(type, subset.kind, subset.names_of(type)), part)

    def _summary(self, structure: str) -> _Plan:
        """Of a resource or a backbone element, what is flagged and what it is not understood without."""
        plan = self._summaries.get(structure)
        if plan is None:
            # entered before it is finished: within an item there may be items
            plan = self._summaries[structure] = dict(_ALWAYS)
            for element in self._structures[structure].elements:
                if element.summary or element.min or element.modifier:
                    plan |= _members(element, self._summary_of(element))
        return plan

    def _summary_of(self, element: Element) -> _Plan | None:
        code = element.types[0].code
        return self._summary(code) if self._structures[code].kind == "backbone" else None

    def _compile_top(self, type: str, kind: Kind, names: frozenset[str]) -> _Plan:
        """Whole elements at the top of a resource: the narrative or those named, and what must come with them."""
        wanted = {"id", "meta", "text"} if kind is Kind.TEXT else {"id", "meta", *names}
        plan = dict(_ALWAYS)
        for element in self._structures[type].elements:
            needed = element.min > 0 or (element.modifier and kind is Kind.ELEMENTS)
            if needed or element.name in wanted:
                plan |= _members(element)
        return plan


_ALWAYS: Final[_Plan] = {"resourceType": None}


def _members(element: Element, below: _Plan | None = None) -> _Plan:
    """The members that an element may be, each with what may stand beside it."""
    names = [element.json_name(use.code) for use in element.types]
    return dict.fromkeys(names, below) | {f"_{name}": None for name in names}


def _chosen(members: dict[str, _T], plan: _Plan, part: Callable[[_T, _Plan], _T]) -> dict[str, _T]:
    """The members that a plan keeps; of those kept in part, those of which anything is left."""
    kept: dict[str, _T] = {}
    for name, one in members.items():
        if name in plan:
            below = plan[name]
            left = one if below is None else part(one, below)
            if below is None or left:
                kept[name] = left
    return kept


def _part(value: Any, plan: _Plan) -> Any:  # noqa: ANN401 - a backbone element, or a list of them
    if isinstance(value, list):
        return [left for one in value if (left := _part(one, plan))]
    return _chosen(value, plan, _part)


def _part_of_bytes(raw: bytes, plan: _Plan) -> bytes:
    if raw.startswith(b"["):
        parts = [left for one in json.elements(raw) if (left := _part_of_bytes(one, plan))]
        return b"[" + b",".join(parts) + b"]" if parts else b""
    kept = _chosen(json.members(raw), plan, _part_of_bytes)
    return json.join_members(kept) if kept else b""


def _tagged(meta: dict[str, Any]) -> dict[str, Any]:
    tags = meta.get("tag", [])
    return meta if any(_is_subsetted(tag) for tag in tags) else {**meta, "tag": [*tags, SUBSETTED]}


def _tagged_bytes(raw: bytes) -> bytes:
    meta = json.members(raw)
    tags = json.elements(meta.get("tag", b"[]"))
    if any(_is_subsetted(json.decode_object(tag)) for tag in tags):
        return raw
    return json.join_members({**meta, "tag": b"[" + b",".join([*tags, _SUBSETTED]) + b"]"})


def _is_subsetted(tag: dict[str, Any]) -> bool:
    return all(tag.get(name) == value for name, value in SUBSETTED.items())
