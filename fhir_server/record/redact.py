"""A resource without what it says of things that are hidden from its reader (R-22, ADR 0018).

A reference to something hidden is taken out as if it had never been written: the entry it is the point of goes with it
(`List.entry`, `DocumentReference.relatesTo`), an optional one is left out. Only where the standard demands a value, the
extension data-absent-reason takes its place. The narratives around it go too, for they may name what was taken out.
What is answered stays valid: which element is required and which repeats, the tables of R4 say.

Who then writes the resource back writes what he saw: :meth:`Shown.restored` puts in its place again what he did not.

https://hl7.org/fhir/R4/extension-data-absent-reason.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from fhir_server.record.pointers import MEMBERS, target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.definitions.tables import Definitions, Element

DATA_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

_UNKNOWN: Final[dict[str, Any]] = {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}
_NO_NARRATIVE: Final[dict[str, Any]] = {
    "status": "empty",
    "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>-</p></div>',
}
"""Of a section, whose text may be all it has (cmp-1)."""
_NEEDED: Final = frozenset({"Appointment.participant.actor", "AppointmentResponse.actor", "Consent.policy"})
"""Optional elements that an invariant demands (app-1, apr-1, ppc-1)."""
_URLS: Final = frozenset({"uri", "url", "canonical"})


class _Gone:
    """What stays of a value that was taken out."""


_GONE: Final = _Gone()


class Redaction:
    """Takes out of resources what points to something hidden."""

    def __init__(self, definitions: Definitions, base_url: str) -> None:
        """Redact by these tables; ``base_url`` is the address of this server."""
        self._base_url = base_url
        self._resources = frozenset(definitions.resource_types)
        self._elements: dict[str, Mapping[str, tuple[Element, str]]] = {
            structure.name: {
                element.json_name(use.code): (element, use.code)
                for element in structure.elements
                for use in element.types
            }
            for structure in definitions.structures.values()
        }

    def of(self, resource: dict[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
        """The resource without what points to one of these ``Type/id``; the same object when there is nothing."""
        return self.shown(resource, hidden).resource

    def shown(self, resource: dict[str, Any], hidden: frozenset[str]) -> Shown:
        """The same, with what is needed to take a change of it back to the whole."""
        walk = _Walk(self._elements, self._resources, self._base_url, hidden)
        kept = walk.resource(resource)
        return Shown(resource, kept if kept is resource else _without_orphans(resource, kept), walk.origins)


@dataclass(frozen=True, slots=True)
class Shown:
    """A resource as it is shown, and what every part of it was made from."""

    whole: dict[str, Any]
    resource: dict[str, Any]
    origins: Mapping[int, tuple[Any, Any]]
    """By identity of what was made, what it is and what it was made from."""

    def restored(self, written: dict[str, Any]) -> dict[str, Any]:
        """A changed form of what was shown, with all that was not shown; what did not change is the same object."""
        kept = self._object(self.whole, self.resource, written)
        return kept if isinstance(kept, dict) else written

    def _object(self, whole: dict[str, Any], shown: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, one in written.items():
            if name not in whole:
                kept[name] = one
            elif name in shown:
                kept[name] = self._value(whole[name], shown[name], one)
            else:
                both = isinstance(one, list) and isinstance(whole[name], list)
                kept[name] = [*whole[name], *one] if both else one
        for name, one in whole.items():
            if name in written:
                continue
            left = self._unseen(one, shown[name]) if name in shown else one
            if left:
                kept[name] = left
        return kept

    def _unseen(self, whole: Any, shown: Any) -> Any:  # noqa: ANN401 - any JSON
        """Of something that was taken away as it was shown, what was not shown."""
        if isinstance(whole, dict) and isinstance(shown, dict):
            return self._object(whole, shown, {})
        return self._list(whole, shown, []) if isinstance(whole, list) and isinstance(shown, list) else None

    def _value(self, whole: Any, shown: Any, written: Any) -> Any:  # noqa: ANN401 - any JSON
        if written == shown:
            return whole
        if isinstance(whole, dict) and isinstance(shown, dict) and isinstance(written, dict):
            return self._object(whole, shown, written)
        if isinstance(whole, list) and isinstance(shown, list) and isinstance(written, list):
            return self._list(whole, shown, written)
        return written

    def _list(self, whole: list[Any], shown: list[Any], written: list[Any]) -> list[Any]:
        """The elements written, each with what it was made from, and those not shown after the one they followed."""
        made_from = [self._origin(one, whole) for one in shown]
        left = list(range(len(shown)))
        places: list[int | None] = []
        for one in written:
            place = next((at for at in left if shown[at] == one), None)
            places.append(place)
            if place is not None:
                left.remove(place)
        kept: list[tuple[int, Any]] = []
        for position, one in enumerate(written):
            place = places[position]
            if place is None and position in left and len(written) == len(shown):
                place = position  # the same place with another value: it was changed there
                left.remove(place)
            if place is None:
                kept.append((-2, one))
            else:
                kept.append((made_from[place], self._value(whole[made_from[place]], shown[place], one)))
        for at, one in enumerate(whole):
            if at not in made_from:
                before = next((index for index, (origin, _) in enumerate(kept) if origin == at - 1), None)
                kept.insert(0 if at == 0 else len(kept) if before is None else before + 1, (at, one))
        return [one for _, one in kept]

    def _origin(self, one: Any, whole: list[Any]) -> int:  # noqa: ANN401 - any JSON
        """Where in the whole list an element that is shown came from."""
        source = self.origins[id(one)][1] if id(one) in self.origins else one
        found = next((at for at, other in enumerate(whole) if other is source), None)
        return found if found is not None else whole.index(source)


class _Walk:
    """One resource, and what is hidden."""

    def __init__(
        self,
        elements: Mapping[str, Mapping[str, tuple[Element, str]]],
        resources: frozenset[str],
        base_url: str,
        hidden: frozenset[str],
    ) -> None:
        self._elements = elements
        self._resources = resources
        self._base_url = base_url
        self._hidden = hidden
        self.origins: dict[int, tuple[Any, Any]] = {}
        """By identity of what was made, what it is and what it was made from."""

    def resource(self, value: dict[str, Any]) -> dict[str, Any]:
        """A resource, at the top, contained or in a Bundle: it may lose all but what it must have."""
        kept = self._object(str(value.get("resourceType")), value, must=True)
        return kept if isinstance(kept, dict) else value

    def _object(self, structure: str, value: dict[str, Any], *, must: bool) -> dict[str, Any] | _Gone:
        """The members that stay. If it ``must`` stay itself, what it needs is replaced; else it goes with it."""
        elements = self._elements.get(structure, {})
        kept: dict[str, Any] = {}
        changed = False
        for name, one in value.items():
            if name.startswith("_"):
                left = self._beside(one)
            elif name in elements:
                left = self._member(*elements[name], one, must=must)
            else:
                left = _GONE if self._is_hidden(name, one) else one
            changed = changed or left is not one
            if not isinstance(left, _Gone):
                kept[name] = left
            elif name in elements and _is_needed(elements[name][0]):
                if not must:
                    return _GONE
                kept[f"_{name}"] = _UNKNOWN
        if not changed:
            return value
        return self._tidy(structure, value, kept, must=must)

    def _tidy(
        self, structure: str, before: dict[str, Any], kept: dict[str, Any], *, must: bool
    ) -> dict[str, Any] | _Gone:
        """What may not stay beside something that was taken out, and what its absence demands."""
        for name, one in before.items():
            # what stands beside a text that is gone would stand beside another one, or alone
            if kept.get(name) is not one and f"_{name}" in before and not name.startswith("_"):
                kept.pop(f"_{name}", None)
        if structure == "Composition.section":
            if "text" in kept or not ({"entry", "section"} & kept.keys()):
                kept["text"] = _NO_NARRATIVE
        elif self._elements[structure].get("text", (None, ""))[1] == "Narrative":
            kept.pop("text", None)
        if structure == "Bundle":
            kept.pop("signature", None)  # of what was signed, something is not shown
        if structure == "Extension" and not (kept.keys() - {"url", "id"}):
            return _GONE
        if not kept.keys() - {"id"}:
            if not must:
                return _GONE
            kept = dict(_UNKNOWN)
        self.origins[id(kept)] = (kept, before)
        return kept

    def _member(self, element: Element, code: str, value: Any, *, must: bool) -> Any:  # noqa: ANN401 - any JSON
        if not isinstance(value, list):
            return self._value(code, value, must=must and _is_needed(element))
        kept = [left for one in value if not isinstance(left := self._value(code, one, must=False), _Gone)]
        if not kept and must and _is_needed(element):
            kept = [self._value(code, value[0], must=True)]
        if not kept:
            return _GONE
        return value if len(kept) == len(value) and all(a is b for a, b in zip(kept, value, strict=True)) else kept

    def _value(self, code: str, value: Any, *, must: bool) -> Any:  # noqa: ANN401 - any JSON
        """One value of a type: as it is, in part, gone, or told to be unknown."""
        if isinstance(value, str):
            gone = code in _URLS and target(value, self._base_url) in self._hidden
            return _GONE if gone else value
        if not isinstance(value, dict):
            return value
        if self._points_to_hidden(code, value):
            if not (must and code in _REPLACED):
                return _GONE
            unknown = dict(_UNKNOWN)
            self.origins[id(unknown)] = (unknown, value)
            return unknown
        if code not in self._elements or "resourceType" in value:
            told = value.get("resourceType")
            return self.resource(value) if isinstance(told, str) and told in self._resources else value
        return self._object(code, value, must=must)

    def _points_to_hidden(self, code: str, value: dict[str, Any]) -> bool:
        """Whether the point of an object is something hidden."""
        member = _POINTS_BY.get(code)
        told = value.get(member) if member is not None else None
        return isinstance(told, str) and target(told, self._base_url) in self._hidden

    def _beside(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """The id and the extensions of a primitive, or of a list of them, whose places must be kept."""
        if isinstance(value, list):
            kept = [None if isinstance(left := self._beside(one), _Gone) else left for one in value]
            if all(a is b for a, b in zip(kept, value, strict=True)):
                return value
            return kept if any(one is not None for one in kept) else _GONE
        return self._object("Element", value, must=False) if isinstance(value, dict) else value

    def _is_hidden(self, name: str, value: Any) -> bool:  # noqa: ANN401 - any JSON
        """Of a member the tables do not know: whether it points to something hidden, however deep."""
        if isinstance(value, str):
            return name in MEMBERS and target(value, self._base_url) in self._hidden
        if isinstance(value, list):
            return any(self._is_hidden(name, one) for one in value)
        return isinstance(value, dict) and any(self._is_hidden(inner, one) for inner, one in value.items())


def _is_needed(element: Element) -> bool:
    return element.min > 0 or element.path in _NEEDED


def _without_orphans(before: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    """Without the contained resources that only what was taken out referred to (dom-3)."""
    while "contained" in kept:
        lost = _contained(before) - _contained(kept)
        left = [one for one in kept["contained"] if f"#{one.get('id')}" not in lost]
        if len(left) == len(kept["contained"]):
            break
        kept = {name: left if name == "contained" else one for name, one in kept.items()}
        if not left:
            del kept["contained"]
    return kept


def _contained(value: Any) -> set[str]:  # noqa: ANN401 - any JSON
    """The local references in a resource."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
            if isinstance(told := part.get("reference"), str) and told.startswith("#"):
                found.add(told)
    return found


_POINTS_BY: Final[Mapping[str, str]] = {
    "Reference": "reference",
    "Attachment": "url",
    "Bundle.entry": "fullUrl",
}
"""By type of element, the member that tells what it is there for; an Attachment is its content, with size and hash."""

_REPLACED: Final = frozenset({"Reference", "Attachment"})
"""What can say of itself that it is unknown."""
