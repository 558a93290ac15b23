"""Regular expressions, matched in linear time.

http://hl7.org/fhirpath/N1/#matchesregex--string--boolean · https://swtch.com/~rsc/regexp/regexp1.html

A profile's pattern is a stranger's, and so is the text. Python's ``re`` goes back and tries again: ``(a+)+$`` takes it
longer than anybody waits. Here all ways through the pattern are followed at once, one character after the other. Sets
of places in the pattern that were met before are kept with where each character leads: for the usual pattern that is
one look-up per character.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.pattern_tree import WORD, Choice, Group, One, Part, Place, Repeated, Row, Test, read_pattern
from fhir_server.fhirpath.refused import NotUnderstood

if TYPE_CHECKING:
    from fhir_server.fhirpath.effort import Effort

MOST_STEPS: Final = 5_000
"""Of a pattern, its repetitions written out."""
MOST_KEPT: Final = 20_000
"""Places a character leads to; beyond these, all are forgotten and found again."""
_AT_ONCE: Final = 8
"""So many steps of a pattern, or characters that were met before, are as much work as one element."""


@dataclass(frozen=True, slots=True)
class Take:
    """Take a character."""

    test: Test


@dataclass(slots=True)
class Fork:
    """Go on at either, rather at the first."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Remember the place: a group begins (an even number) or ends."""

    slot: int


@dataclass(frozen=True, slots=True)
class Found:
    """The end of the pattern."""


Step: TypeAlias = Take | Fork | Mark | Place | Found
Steps: TypeAlias = frozenset[int]

_START, _WORD, _OTHER, _END = "start", "word", "other", "end"
"""What is beside a place of the text."""


def compile_pattern(text: str, effort: Effort | None = None) -> Pattern:
    """Compile; a pattern that is not always the same pays for it."""
    tree, names = read_pattern(text)
    writer = _Writer()
    writer.write(tree)
    if effort is not None:
        effort.spend(len(text) + len(writer.steps))
    return Pattern([*writer.steps, Found()], names)


class _Writer:
    """Writes the tree as steps."""

    def __init__(self) -> None:
        """Begin with none."""
        self.steps: list[Step] = []

    def write(self, part: Part) -> None:
        """The steps of a part, after those that are there."""
        match part:
            case One(test):
                self._add(Take(test))
            case Place():
                self._add(part)
            case Row(parts):
                for each in parts:
                    self.write(each)
            case Group(inner, number):
                self._add(Mark(2 * number))
                self.write(inner)
                self._add(Mark(2 * number + 1))
            case Choice(parts):
                self._choice(parts)
            case Repeated():
                self._repeated(part)
            case _:
                assert_never(part)

    def _add(self, step: Step) -> None:
        if len(self.steps) >= MOST_STEPS:
            raise NotUnderstood(told("pattern-too-many-steps", most=MOST_STEPS))
        self.steps.append(step)

    def _fork(self, *, rather_later: bool = False) -> Fork:
        """One whose first way is the next step; or, as lazy repetitions have it, the second."""
        following = len(self.steps) + 1
        fork = Fork(0, following) if rather_later else Fork(following, 0)
        self._add(fork)
        return fork

    def _choice(self, parts: tuple[Part, ...]) -> None:
        ends: list[Fork] = []
        for part in parts[:-1]:
            fork = self._fork()
            self.write(part)
            ends.append(self._fork())
            fork.second = len(self.steps)
        self.write(parts[-1])
        for end in ends:
            end.first = end.second = len(self.steps)

    def _repeated(self, part: Repeated) -> None:
        for _ in range(part.least):
            before = len(self.steps)
            self.write(part.part)
            if len(self.steps) == before:
                return  # nothing, however often
        if part.most is None:
            fork = self._fork(rather_later=part.is_lazy)
            begin = len(self.steps) - 1
            self.write(part.part)
            self._add(Fork(begin, begin))
            self._leave(fork, part)
            return
        skips: list[Fork] = []
        for _ in range(part.most - part.least):
            skips.append(self._fork(rather_later=part.is_lazy))
            self.write(part.part)
        for fork in skips:
            self._leave(fork, part)

    def _leave(self, fork: Fork, part: Repeated) -> None:
        """Let the way around a repetition lead to what comes next."""
        if part.is_lazy:
            fork.first = len(self.steps)
        else:
            fork.second = len(self.steps)


@dataclass(slots=True, eq=False)
class _State:
    """Places in the pattern that are reached together, and what the character before was."""

    steps: Steps
    before: str
    after: dict[str, _State | None] = field(default_factory=dict)
    """Where each character leads that was met; nowhere, where the pattern is found already."""


class Pattern:
    """A compiled pattern."""

    def __init__(self, steps: list[Step], names: dict[str, int]) -> None:
        """Steps, the first of them the beginning, and the numbers of the groups with names."""
        self._steps = steps
        self._names = names
        self._groups = 1 + sum(isinstance(step, Mark) for step in steps) // 2
        self._sees_words = any(isinstance(step, Place) and step.sign in "bB" for step in steps)
        self._begins = (_State(frozenset({0}), _START), _State(frozenset({0}), _START))
        self._states: dict[tuple[Steps, str, bool], _State] = {}
        self.kept = 0

    def matches(self, text: str, effort: Effort, *, whole: bool = False) -> bool:
        """Whether it is found in the text; or, whether it is the whole text."""
        effort.spend(1 + len(text) // _AT_ONCE)
        state = self._begins[whole]
        for character in text:
            try:
                following = state.after[character]
            except KeyError:
                following = self._follow(state, character, effort, whole=whole)
            if following is None:
                return True
            state = following
        return self._reached(state.steps, state.before, _END, effort)[1]

    def _follow(self, state: _State, character: str, effort: Effort, *, whole: bool) -> _State | None:
        """Where a character leads that was not met in this state."""
        kind = self._kind(character)
        reached, found = self._reached(state.steps, state.before, kind, effort)
        if found and not whole:
            following = None
        else:
            steps = {step + 1 for step in reached if _takes(self._steps[step], character)}
            if not whole:
                steps.add(0)
            key = frozenset(steps), kind, whole
            following = self._states.get(key)
            if following is None:
                following = self._states[key] = _State(key[0], kind)
        if self.kept >= MOST_KEPT:
            self.kept = 0
            self._states = {}
            self._begins = (_State(frozenset({0}), _START), _State(frozenset({0}), _START))
        self.kept += 1
        state.after[character] = following
        return following

    def _kind(self, character: str) -> str:
        return _WORD if self._sees_words and character in WORD else _OTHER

    def _reached(self, steps: Steps, before: str, after: str, effort: Effort) -> tuple[list[int], bool]:
        """The characters that may come next, and whether the end of the pattern is reached."""
        waiting, seen, found, takes = list(steps), set(steps), False, list[int]()
        following: tuple[int, ...]
        while waiting:
            at = waiting.pop()
            step = self._steps[at]
            match step:
                case Take():
                    takes.append(at)
                    continue
                case Found():
                    found = True
                    continue
                case Fork(first, second):
                    following = (first, second)
                case Mark():
                    following = (at + 1,)
                case Place(sign):
                    following = (at + 1,) if _is_at(sign, before, after) else ()
                case _:
                    assert_never(step)
            for each in following:
                if each not in seen:
                    seen.add(each)
                    waiting.append(each)
        effort.spend(1 + len(seen) // _AT_ONCE)
        return takes, found

    def replaced(self, text: str, template: str, effort: Effort) -> list[str]:
        """The parts of the text with each place where the pattern is found replaced by the template."""
        if len(self._steps) == 1:
            return [text]  # an empty pattern is found nowhere
        parts, at = list[str](), 0
        pieces = _pieces(template, self._names, self._groups)
        while at <= len(text) and (places := self._search(text, at, effort)) is not None:
            begin, end = places[0], places[1]
            parts.append(text[at:begin])
            for piece in pieces:
                parts.append(piece if isinstance(piece, str) else _group(text, places, piece))
            effort.spend(len(pieces))
            if end == begin:
                parts.append(text[end : end + 1])
                end += 1
            at = end
        parts.append(text[at:])
        return parts

    def _search(self, text: str, start: int, effort: Effort) -> list[int] | None:
        """Where it is found first, and where its groups are: all ways at once, the preferred one before the others."""
        found: list[int] | None = None
        threads: list[tuple[int, list[int]]] = []
        for at in range(start, len(text) + 1):
            before = _START if at == 0 else self._kind(text[at - 1])
            after = _END if at == len(text) else self._kind(text[at])
            if found is None:
                threads.append((0, [at, -1, *[-1] * (2 * self._groups)]))
            elif not threads:
                break
            ready = self._spread(threads, at, before, after, effort)
            threads = []
            for step_at, places in ready:
                step = self._steps[step_at]
                if isinstance(step, Found):
                    found = [places[0], at, *places[2:]]
                    break
                if at < len(text) and _takes(step, text[at]):
                    threads.append((step_at + 1, places))
        return found

    def _spread(
        self, threads: list[tuple[int, list[int]]], at: int, before: str, after: str, effort: Effort
    ) -> list[tuple[int, list[int]]]:
        """What takes a character or is the end, in the order of preference."""
        seen: set[int] = set()
        ready: list[tuple[int, list[int]]] = []
        waiting = threads[::-1]
        while waiting:
            step_at, places = waiting.pop()
            if step_at in seen:
                continue
            seen.add(step_at)
            step = self._steps[step_at]
            match step:
                case Take() | Found():
                    ready.append((step_at, places))
                case Fork(first, second):
                    waiting.append((second, places))
                    waiting.append((first, places))
                case Mark(slot):
                    waiting.append((step_at + 1, [*places[:slot], at, *places[slot + 1 :]]))
                case Place(sign):
                    if _is_at(sign, before, after):
                        waiting.append((step_at + 1, places))
                case _:
                    assert_never(step)
        effort.spend(1 + len(seen) // 2)
        return ready


def _takes(step: Step, character: str) -> bool:
    return isinstance(step, Take) and step.test(character)


def _is_at(sign: str, before: str, after: str) -> bool:
    """Whether a place is one of these."""
    match sign:
        case "^":
            return before == _START
        case "$":
            return after == _END
        case _:
            return ((before == _WORD) is not (after == _WORD)) is (sign == "b")


def _pieces(template: str, names: dict[str, int], groups: int) -> list[str | int]:
    """A replacement as texts and the numbers of groups: ``$1``, ``${name}``; a backslash takes the next as it is."""
    found: list[str | int] = []
    at = 0
    while at < len(template):
        sign = template[at]
        if sign == "\\" and at + 1 < len(template):
            found.append(template[at + 1])
            at += 2
        elif sign == "$" and (reference := _reference(template, at, names, groups)) is not None:
            number, at = reference
            found.append(number)
        else:
            found.append(sign)
            at += 1
    return found


def _reference(template: str, at: int, names: dict[str, int], groups: int) -> tuple[int, int] | None:
    """The group that a dollar sign refers to, and where the text goes on."""
    if template[at + 1 : at + 2] == "{":
        end = template.find("}", at)
        name = template[at + 2 : max(end, 0)]
        number = names.get(name, int(name) if name.isascii() and name.isdigit() and len(name) < 4 else -1)  # noqa: PLR2004
        return (number, end + 1) if 0 <= number < groups else None
    digit = template[at + 1 : at + 2]
    if digit.isascii() and digit.isdigit() and int(digit) < groups:
        return int(digit), at + 2
    return None


def _group(text: str, places: list[int], number: int) -> str:
    begin, end = places[2 * number], places[2 * number + 1]
    return text[begin:end] if 0 <= begin <= end else ""
