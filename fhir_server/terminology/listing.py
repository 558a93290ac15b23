"""The codes of a value set as an expansion lists them: chosen, ordered, nested or page by page.

https://hl7.org/fhir/R4/valueset-operation-expand.html · https://hl7.org/fhir/R4/valueset.html#expansion
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.terminology.codes import Coding, Concept, Members
from fhir_server.terminology.words import begin, words

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject
    from fhir_server.terminology.content import Content
    from fhir_server.terminology.resources import Designation, Named

DEEPEST: Final = 20
"""Levels of an expansion."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the codes are listed."""

    language: str
    """Of the displays."""
    day: str
    """On which codes are active or not."""
    filter: str = ""
    active_only: bool = False
    selectable_only: bool = False
    """Without abstract codes."""
    nested: bool = True
    offset: int = 0
    count: int | None = None
    designations: bool = False
    designations_of: tuple[str, ...] = ()
    """Languages (``fr``) and uses (``system|code``) of the designations that are wanted; none is all."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The part of an expansion that depends on its codes."""

    total: int
    contains: Sequence[JsonObject]


def listing(members: Members, contents: Callable[[str], Content | None], shape: Shape) -> Listing:
    """List them; no system may be left whole. ``contents`` gives what is known of a system."""
    kept = {key: concept for key, concept in members.concepts.items() if _wanted(concept, shape)}
    if not shape.nested:
        keys = list(kept)[shape.offset :]
        page = keys if shape.count is None else keys[: shape.count]
        return Listing(len(kept), [_entry(kept[key], shape) for key in page])
    return Listing(len(kept), _nested(kept, _above(kept, members.listed, contents), shape))


def described(concept: Concept, wanted: Sequence[str], shown: str) -> Iterator[JsonObject]:
    """The designations of a concept that are wanted, the one apart that is shown as its display."""
    display: JsonObject = {"value": concept.display}
    if concept.language:
        display["language"] = concept.language
    if concept.display != shown and _of(concept.language, None, wanted):
        yield display
    for each in concept.designations:
        if _of(each.language or "", each.use, wanted) and not (each.value == shown and each.use is None):
            yield designation(each)


def designation(told: Designation) -> JsonObject:
    """One designation as a resource writes it."""
    written: JsonObject = {}
    if told.language:
        written["language"] = told.language
    if told.use is not None:
        written["use"] = coding(told.use)
    written["value"] = told.value
    return written


def coding(told: Named) -> JsonObject:
    """A Coding."""
    parts = (("system", told.system), ("version", told.version), ("code", told.code), ("display", told.display))
    return {name: value for name, value in parts if value is not None}


def _of(language: str, use: Named | None, wanted: Sequence[str]) -> bool:
    """Tell whether a designation is of a language or a use that is wanted: ``fr``, ``urn:ietf:bcp:47|fr``, a use."""
    if not wanted:
        return True
    names = {language.lower(), f"urn:ietf:bcp:47|{language}".lower()} if language else set()
    if use is not None:
        names |= {f"{use.system or ''}|{use.code or ''}".lower(), (use.code or "").lower()}
    return any(one.lower() in names for one in wanted)


def _wanted(concept: Concept, shape: Shape) -> bool:
    if shape.active_only and concept.inactive(shape.day):
        return False
    if shape.selectable_only and concept.abstract:
        return False
    return not shape.filter or begin(words(shape.filter), (concept.code, *concept.names))


def _above(
    kept: Mapping[Coding, Concept], listed: frozenset[str], contents: Callable[[str], Content | None]
) -> dict[Coding, Coding]:
    """What each stands below: the nearest that is listed above it, of several the first.

    The codes of a system of which some were named one by one stay in the order they were named in, below nothing.
    """
    ranked = {system: contents(system) for system in {key.system for key in kept} - listed}
    found: dict[Coding, Coding] = {}
    for key in kept:
        content = ranked.get(key.system)
        above = _nearest(key, kept, content) if content is not None and content.parents else None
        if above is not None:
            found[key] = above
    return found


def _nearest(key: Coding, kept: Mapping[Coding, Concept], content: Content) -> Coding | None:
    seen, level = {key.code}, [key.code]
    while level:
        level = sorted({parent for code in level for parent in content.parents.get(code, ())} - seen)
        for parent in level:
            if Coding(key.system, parent) in kept:
                return Coding(key.system, parent)
        seen.update(level)
    return None


def _nested(kept: Mapping[Coding, Concept], above: Mapping[Coding, Coding], shape: Shape) -> list[JsonObject]:
    """Each code once. A circle in the data has nobody above it: the first code of it stands at the top.

    Below :data:`DEEPEST` what is further down stands beside what it is below of: readers of JSON have their limits.
    """
    children: dict[Coding, list[Coding]] = {}
    for key, parent in above.items():
        children.setdefault(parent, []).append(key)
    done: dict[Coding, JsonObject] = {}
    top: list[JsonObject] = []
    for start in [*(key for key in kept if key not in above), *above]:
        pending = [(start, top, 0)] if start not in done else []
        while pending:
            key, place, depth = pending.pop()
            entry = done[key] = _entry(kept[key], shape)
            place.append(entry)
            below = [each for each in children.get(key, ()) if each not in done]
            inside = place if depth == DEEPEST else []
            if below and inside is not place:
                entry["contains"] = inside  # type: ignore[assignment] # a list of objects is JSON
            pending += [(each, inside, min(depth + 1, DEEPEST)) for each in reversed(below)]
    return top


def _entry(concept: Concept, shape: Shape) -> JsonObject:
    entry: JsonObject = {"system": concept.system}
    if concept.abstract:
        entry["abstract"] = True
    if concept.inactive(shape.day):
        entry["inactive"] = True
    shown = concept.called(shape.language)
    entry |= {"code": concept.code, "display": shown}
    if shape.designations:
        told = [*described(concept, shape.designations_of, shown)]
        if told:
            entry["designation"] = [*told]
    return entry
