"""How a slice is told from the others: by values, existence, type or profile of what a path leads to.

https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from fhir_server.validation.profiles import coded, elements, values
from fhir_server.validation.profiles.parts import Part, Refuse, texts
from fhir_server.validation.profiles.scope import Scope, pointed_type

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json
    from fhir_server.validation.profiles.occurrences import Item, Reading
    from fhir_server.validation.profiles.profile import Library, ProfileCheck

Demand: TypeAlias = "Callable[[Sequence[Item], Scope], bool | None]"
"""Whether what a path leads to is as the slice has it; nothing where that cannot be told."""

Belongs: TypeAlias = "Callable[[Item, Scope], bool | None]"
"""Whether an item is in a slice; nothing where that cannot be told."""

Go: TypeAlias = "Callable[[Sequence[Item], Scope], Sequence[Item]]"

_STEP: Final = re.compile(
    r"(?P<this>\$this)|extension\((?P<quote>['\"])(?P<url>[^'\"]+)(?P=quote)\)|(?P<resolve>resolve\(\))"
    r"|(?:ofType|as)\((?P<type>\w+)\)|(?P<name>\w+)(?:\[x\])?"
)


class Step(NamedTuple):
    """One step of a path."""

    kind: str
    """``this``, ``url`` (an extension), ``resolve``, ``type`` or ``name``."""
    text: str


class Discriminator(NamedTuple):
    """One of a slicing."""

    type: str
    steps: tuple[Step, ...]
    path: str


def read(slicing: Json, path: str, refuse: Refuse) -> list[Discriminator]:
    """The discriminators of a slicing."""
    listed = slicing.get("discriminator") if isinstance(slicing, dict) else None
    found = []
    for one in listed if isinstance(listed, list) else []:
        type, told = (one.get("type"), one.get("path")) if isinstance(one, dict) else (None, None)
        if not isinstance(type, str) or not isinstance(told, str):
            raise refuse(path, "A discriminator has a type and a path.")
        if type not in ("value", "pattern", "exists", "type", "profile"):
            raise refuse(path, f"{type} is no type of discriminator.")
        found.append(Discriminator(type, _steps(told, path, refuse), told))
    return found


def _steps(text: str, path: str, refuse: Refuse) -> tuple[Step, ...]:
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or (match.end() < len(text) and text[match.end()] != "."):
            raise refuse(path, f"The discriminator {text} is no path that is understood here.")
        kind = match.lastgroup or ""
        if kind == "quote":
            kind = "url"
        if kind != "this":
            steps.append(Step(kind, match[kind]))
        at = match.end() + 1
    return tuple(steps)


class Telling:
    """Compiles the slices of one element."""

    def __init__(self, library: Library, refuse: Refuse) -> None:
        """``refuse`` names the profile."""
        self._library = library
        self._refuse = refuse

    def belongs(self, part: Part, discriminators: Sequence[Discriminator]) -> Belongs:
        """Whether an item is in the slice."""
        told: list[tuple[Go | None, Demand]] = []
        for one in discriminators:
            go = self._go(part, one)
            told += [(go, demand) for demand in self._demands(part, one)]
        if not told:
            paths = ", ".join(one.path for one in discriminators)
            why = f"Nothing in the slice {part.slice} says how {paths} tells it from the others."
            raise self._refuse(f"{part.path}:{part.slice}", why)
        if len(told) == 1:
            return _single(*told[0])
        return _all(told)

    def _go(self, part: Part, discriminator: Discriminator) -> Go | None:
        """How what the path leads to is read; nothing for the item itself."""
        steps = discriminator.steps
        if steps and steps[-1].kind == "resolve" and discriminator.type == "type":
            steps = steps[:-1]  # the type of a target is told by the reference, too
        types = part.types
        moves: list[Go] = []
        for step in steps:
            move, types = self._move(step, types, part, discriminator)
            moves.append(move)
        if not moves:
            return None
        if len(moves) == 1:
            return moves[0]

        def go(items: Sequence[Item], scope: Scope) -> Sequence[Item]:
            for move in moves:
                items = move(items, scope)
            return items

        return go

    def _move(
        self, step: Step, types: tuple[str, ...], part: Part, discriminator: Discriminator
    ) -> tuple[Go, tuple[str, ...]]:
        reading = self._library.reading
        match step.kind:
            case "name":
                known = [one for type in types if (one := reading.element(type, step.text)) is not None]
                if not known and not any(type in ("Resource", "DomainResource") for type in types):
                    why = f"The discriminator {discriminator.path} leads nowhere: there is no {step.text}."
                    raise self._refuse(f"{part.path}:{part.slice}", why)
                led = dict.fromkeys(use.code for one in known for use in one.types)
                return _children(step.text, reading), tuple(led)
            case "url":
                return _extensions(step.text), ("Extension",)
            case "type":
                return _of_type(step.text), (step.text,)
            case _:
                return _resolved, ("Resource",)

    def _demands(self, part: Part, discriminator: Discriminator) -> list[Demand]:
        leaves = list(self._leaves(part, discriminator.steps))
        match discriminator.type:
            case "type":
                is_target = bool(discriminator.steps) and discriminator.steps[-1].kind == "resolve"
                types = self._types(part, discriminator, leaves, is_target=is_target)
                return [_typed(types, self._library.reading, is_target=is_target)] if types else []
            case "profile":
                is_target = bool(discriminator.steps) and discriminator.steps[-1].kind == "resolve"
                return self._profiled(leaves, is_target=is_target)
            case "exists":
                return [found for leaf in leaves if (found := _existing(leaf)) is not None]
            case _:
                told = list(self._valued(part, discriminator.steps))
                return told or [one for leaf in leaves if (one := _existing(leaf)) is not None]

    def _types(
        self, part: Part, discriminator: Discriminator, leaves: Sequence[Part], *, is_target: bool
    ) -> frozenset[str]:
        if not is_target:
            return frozenset(type for leaf in leaves for type in leaf.types)
        sources = list(self._leaves(part, discriminator.steps[:-1]))
        targets = (one for leaf in sources for _, use in leaf.uses() for one in texts(use.get("targetProfile")))
        return frozenset(type for one in targets if (type := self._library.type_of(one)))

    def _profiled(self, leaves: Sequence[Part], *, is_target: bool) -> list[Demand]:
        found: list[Demand] = []
        for leaf in leaves:
            named = [
                url for _, use in leaf.uses() for url in (*texts(use.get("profile")), *texts(use.get("targetProfile")))
            ]
            known = [url for url in named if self._library.type_of(url)]
            if known:
                checks = [self._library.check(url) for url in known]
                found.append(_conforming(checks, is_complete=len(known) == len(named), is_target=is_target))
        return found

    def _leaves(self, part: Part, steps: Sequence[Step]) -> Iterator[Part]:
        """The definitions of what the path leads to, the slices that must be there included."""
        if not steps:
            yield part
            return
        step, rest = steps[0], steps[1:]
        for one in self._next(part, step):
            yield from self._leaves(one, rest)

    def _next(self, part: Part, step: Step) -> Iterator[Part]:
        if step.kind == "resolve":
            yield part  # its targetProfile tells
            if len(pointed := [url for _, use in part.uses() for url in texts(use.get("targetProfile"))]) == 1:
                yield from self._trees(pointed)
            return
        if step.kind == "type":
            yield part
            yield from (one for one in part.slices if one.types == (step.text,))
            return
        name = "extension" if step.kind == "url" else step.text
        for holder in (part, *self._trees([url for _, use in part.uses() for url in texts(use.get("profile"))])):
            child = holder.beneath.get(name) or holder.beneath.get(f"{name}[x]")
            if child is None:
                continue
            if step.kind == "url":
                yield from (one for one in child.slices if url_of(one) == step.text)
            else:
                yield child
                yield from (one for one in child.slices if one.least > 0)

    def _trees(self, urls: Sequence[str]) -> list[Part]:
        """The tree of the one profile that is meant."""
        if len(urls) != 1 or not self._library.type_of(urls[0]):
            return []
        return [self._library.check(urls[0]).tree]

    def _valued(self, part: Part, steps: Sequence[Step]) -> Iterator[Demand]:
        """What the definitions on the way to the end say of the value there."""
        is_told = False
        for prefix in ("fixed", "pattern"):
            told = values.of_definition(part.definition, prefix)
            if told is not None:
                is_told = True
                yield from _projected(told[1], steps, is_fixed=prefix == "fixed")
        if not steps:
            binding = coded.binding_of(part.definition)
            if not is_told and binding is not None and binding[0] == "required" and binding[1]:
                yield _member(coded.members(self._library.codes, binding[1]))
            return
        for one in self._next(part, steps[0]):
            if one is not part:
                yield from self._valued(one, steps[1:])


def url_of(part: Part) -> str:
    """The URL of the extensions that a slice, or the root of a definition, is about; empty where it does not tell."""
    url = part.beneath.get("url")
    told = values.of_definition(url.definition, "fixed") if url is not None else None
    if told is not None and isinstance(told[1], str):
        return told[1]
    for code, use in part.uses():
        named = texts(use.get("profile"))
        if code == "Extension" and len(named) == 1:
            return named[0].partition("|")[0]
    return ""


def _projected(value: Json, steps: Sequence[Step], *, is_fixed: bool) -> Iterator[Demand]:
    found = [value]
    for step in steps:
        if step.kind not in ("name", "type"):
            return
        if step.kind == "name":
            found = [part for one in found for part in values.project(one, step.text)]
    for one in found:
        yield _equal(one, exactly=is_fixed and not steps)


def _equal(expected: Json, *, exactly: bool) -> Demand:
    if isinstance(expected, str):
        return lambda items, _: any(item[0] == expected for item in items)
    compare = values.equals if exactly else values.holds
    return lambda items, scope: any(compare(expected, item[0], scope.run.effort) for item in items)


def _member(member: coded.Member) -> Demand:
    def demand(items: Sequence[Item], scope: Scope) -> bool | None:
        found: bool | None = False
        for value, _, type, _ in items:
            told = coded.answer(member, value, type, scope)
            if told:
                return True
            found = None if told is None else found
        return found

    return demand


def _existing(leaf: Part) -> Demand | None:
    if leaf.most == 0:
        return lambda items, _: not items
    return (lambda items, _: bool(items)) if leaf.least > 0 else None


def _typed(types: frozenset[str], reading: Reading, *, is_target: bool) -> Demand:
    def fits(type: str) -> bool:
        return type in types or any(reading.is_a(type, one) for one in types & elements.ABSTRACT)

    def demand(items: Sequence[Item], _: Scope) -> bool | None:
        return any(fits(item[2]) for item in items)

    def pointing(items: Sequence[Item], scope: Scope) -> bool | None:
        told = [pointed_type(item[0], scope) for item in items if isinstance(item[0], dict)]
        if any(type is not None and fits(type) for type in told):
            return True
        return None if None in told else False

    return pointing if is_target else demand


def _conforming(checks: Sequence[ProfileCheck], *, is_complete: bool, is_target: bool) -> Demand:
    """Of a target that is not at hand, or a profile that is not known, nothing can be told."""

    def demand(items: Sequence[Item], scope: Scope) -> bool | None:
        for value, _, type, _ in items:
            if any(one.conforms(value, scope, type) for one in checks):
                return True
        if not items:
            return None if is_target else False
        return False if is_complete else None

    return demand


def _children(name: str, reading: Reading) -> Go:
    def go(items: Sequence[Item], scope: Scope) -> Sequence[Item]:
        found: list[Item] = []
        for value, about, type, _ in items:
            held = value if isinstance(value, dict) else about
            if isinstance(held, dict):
                found += reading.of(type, name)(held)
        scope.run.effort.spend(len(found))
        return found

    return go


def _extensions(url: str) -> Go:
    def go(items: Sequence[Item], scope: Scope) -> Sequence[Item]:
        found: list[Item] = []
        for value, about, _, _ in items:
            held = value if isinstance(value, dict) else about
            listed = held.get("extension") if isinstance(held, dict) else None
            for index, one in enumerate(listed if isinstance(listed, list) else []):
                if isinstance(one, dict) and one.get("url") == url:
                    found.append((one, None, "Extension", index))
        scope.run.effort.spend(len(found))
        return found

    return go


def _of_type(type: str) -> Go:
    return lambda items, _: [item for item in items if item[2] == type]


def _resolved(items: Sequence[Item], scope: Scope) -> Sequence[Item]:
    found: list[Item] = []
    for value, _, _, _ in items:
        literal = value.get("reference") if isinstance(value, dict) else None
        target = scope.target(literal) if isinstance(literal, str) else None
        if target is not None:
            found.append((target.resource, None, str(target.resource.get("resourceType")), None))
    return found


def _single(go: Go | None, demand: Demand) -> Belongs:
    if go is None:
        return lambda item, scope: demand((item,), scope)
    return lambda item, scope: demand(go((item,), scope), scope)


def _all(told: Sequence[tuple[Go | None, Demand]]) -> Belongs:
    def belongs(item: Item, scope: Scope) -> bool | None:
        found: bool | None = True
        for go, demand in told:
            answer = demand((item,) if go is None else go((item,), scope), scope)
            if answer is False:
                return False
            found = None if answer is None else found
        return found

    return belongs
