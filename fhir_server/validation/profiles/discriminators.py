"""How a slice is told from the others: by values, existence, type or profile of what a path leads to.

https://hl7.org/fhir/R4/profiling.html#discriminator
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from fhir_server.validation.messages import told
from fhir_server.validation.profiles import coded, demands, values
from fhir_server.validation.profiles.demands import Belongs, Demand, Go, Reasons, Step
from fhir_server.validation.profiles.parts import Part, Refuse, texts

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json
    from fhir_server.validation.profiles.occurrences import Item
    from fhir_server.validation.profiles.profile import Library
    from fhir_server.validation.profiles.scope import Scope

_STEP: Final = re.compile(
    r"(?P<this>\$this)|extension\((?P<quote>['\"])(?P<url>[^'\"]+)(?P=quote)\)|(?P<resolve>resolve\(\))"
    r"|(?:ofType|as)\((?P<type>\w+)\)|(?P<name>\w+)(?:\[x\])?"
)


_URL: Final = (Step("name", "url"),)


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
        type, stated = (one.get("type"), one.get("path")) if isinstance(one, dict) else (None, None)
        if not isinstance(type, str) or not isinstance(stated, str):
            raise refuse(path, told("discriminator-form"))
        if type not in ("value", "pattern", "exists", "type", "profile"):
            raise refuse(path, told("discriminator-type", type=type))
        found.append(Discriminator(type, _steps(stated, path, refuse), stated))
    return found


def _steps(text: str, path: str, refuse: Refuse) -> tuple[Step, ...]:
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or (match.end() < len(text) and text[match.end()] != "."):
            raise refuse(path, told("discriminator-path", path=text))
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
        asked: list[tuple[Go | None, Demand]] = []
        for one in discriminators:
            go = self._go(part, one)
            asked += [(go, demand) for demand in self._demands(part, one)]
        if not asked:
            paths = ", ".join(one.path for one in discriminators)
            why = told("discriminator-tells-nothing", name=part.slice, paths=paths)
            raise self._refuse(f"{part.path}:{part.slice}", why)
        if len(asked) == 1:
            return demands.single(*asked[0])
        return demands.together(asked)

    def reasons(self, part: Part, discriminators: Sequence[Discriminator]) -> Reasons | None:
        """Why an item is not in the slice; nothing for a slice that is told by other things than a profile.

        A document that lacks one element is in no slice of a lot of documents. That would be all there is to read.
        """
        by_profile = [
            one for one in discriminators if one.type == "profile" and all(step.kind == "name" for step in one.steps)
        ]
        if len(by_profile) != 1:
            return None
        asked = by_profile[0]
        leaves = list(self._leaves(part, asked.steps))
        urls = [url for leaf in leaves for _, use in leaf.uses() for url in texts(use.get("profile"))]
        checks = [self._library.check(url) for url in urls if self._library.type_of(url)]
        others = [
            (self._go(part, one), demand)
            for one in discriminators
            if one is not asked
            for demand in self._demands(part, one)
        ]
        segment = "".join(f".{step.text}" for step in asked.steps)
        return demands.reasons(self._go(part, asked), checks, others, segment)

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
                    why = told("discriminator-leads-nowhere", path=discriminator.path, name=step.text)
                    raise self._refuse(f"{part.path}:{part.slice}", why)
                led = dict.fromkeys(use.code for one in known for use in one.types)
                return demands.children(step.text, reading), tuple(led)
            case "url":
                return demands.extensions(step.text), ("Extension",)
            case "type":
                return demands.of_type(step.text), (step.text,)
            case _:
                return demands.resolved, ("Resource",)

    def _demands(self, part: Part, discriminator: Discriminator) -> list[Demand]:
        leaves = list(self._leaves(part, discriminator.steps))
        match discriminator.type:
            case "type":
                is_target = bool(discriminator.steps) and discriminator.steps[-1].kind == "resolve"
                types = self._types(part, discriminator, leaves, is_target=is_target)
                return [demands.typed(types, self._library.reading, is_target=is_target)] if types else []
            case "profile":
                is_target = bool(discriminator.steps) and discriminator.steps[-1].kind == "resolve"
                return self._profiled(leaves, is_target=is_target)
            case "exists":
                return [found for leaf in leaves if (found := demands.existing(leaf)) is not None]
            case _:
                if any(leaf.most == 0 for leaf in leaves):
                    return [demands.nothing]
                told = list(self._valued(part, discriminator.steps))
                if not told and discriminator.steps == _URL and (url := url_of(part)):
                    return [demands.equal(url, exactly=True)]  # of an extension whose definition is not known
                return told or [one for leaf in leaves if (one := demands.existing(leaf)) is not None]

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
                found.append(demands.conforming(checks, is_complete=len(known) == len(named), is_target=is_target))
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
                yield from demands.projected(told[1], steps, is_fixed=prefix == "fixed")
        if not steps:
            binding = coded.binding_of(part.definition)
            if not is_told and binding is not None and binding[0] == "required" and binding[1]:
                yield demands.member(coded.members(self._library.codes, binding[1]))
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
