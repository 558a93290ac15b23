r"""A regular expression as a tree, read from its text.

http://hl7.org/fhirpath/N1/#matchesregex--string--boolean

Understood is what can be matched in linear time: characters and classes of them, groups, choices, repetitions, the
beginning and the end, word boundaries, and the flags ``i`` and ``s``. What looks ahead or back, or repeats what was
matched before, is refused. ``\d``, ``\w`` and ``\s`` are of ASCII.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from fhir_server.fhir.messages import Told
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.refused import NotUnderstood

LONGEST: Final = 2_000
"""Characters of a pattern."""
DEEPEST: Final = 30
"""Groups within groups."""
MOST_TIMES: Final = 1_000
"""What ``{n}`` may ask for."""

Test: TypeAlias = Callable[[str], bool]
"""Whether a character is one of a class."""


@dataclass(frozen=True, slots=True)
class One:
    """One character of a class."""

    test: Test


@dataclass(frozen=True, slots=True)
class Place:
    """``^``, ``$``, ``b`` and ``B``: no character, a place between two."""

    sign: str


@dataclass(frozen=True, slots=True)
class Row:
    """One after the other."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of them, the first that leads to a match."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """So many times; without an upper bound, any number. Lazy: as seldom as possible."""

    part: Part
    least: int
    most: int | None
    is_lazy: bool


@dataclass(frozen=True, slots=True)
class Group:
    """What a replacement refers to by number."""

    part: Part
    number: int


Part: TypeAlias = One | Place | Row | Choice | Repeated | Group

_DIGITS: Final = frozenset("0123456789")
WORD: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_SPACE: Final = frozenset(" \t\n\r\f\v")
_CLASSES: Final = {"d": _DIGITS, "w": WORD, "s": _SPACE}
_CONTROLS: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "0": "\0", "a": "\a", "e": "\x1b"}
_PLACES: Final = {"b": "b", "B": "B", "A": "^", "z": "$", "Z": "$"}
_BOUNDS: Final = 8
"""Digits of the two bounds of a repetition."""
_CODES: Final = {"x": 2, "u": 4}


def read_pattern(text: str) -> tuple[Part, dict[str, int]]:
    """The tree, and the numbers of the named groups."""
    if len(text) > LONGEST:
        raise NotUnderstood(told("pattern-too-long", number=len(text), most=LONGEST))
    reader = _Reader(text)
    tree = reader.whole()
    return tree, reader.names


class _Reader:
    def __init__(self, text: str) -> None:
        """Read this pattern."""
        self._text = text
        self._at = 0
        self._depth = 0
        self._groups = 0
        self._ignores_case = False
        self._point_is_all = True
        self.names: dict[str, int] = {}

    def whole(self) -> Part:
        if self._skip("(?"):
            end = self._text.find(")", self._at)
            flags = self._text[self._at : end] if end > 0 else ""
            if flags and set(flags) <= {"i", "s", "u"}:
                self._ignores_case = "i" in flags
                self._at = end + 1
            else:
                self._at = 0
        tree = self._choice()
        if self._at < len(self._text):
            raise self._strange(told("unopened"))
        return tree

    def _choice(self) -> Part:
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotUnderstood(told("pattern-nested", most=DEEPEST))
        parts = [self._row()]
        while self._skip("|"):
            parts.append(self._row())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _row(self) -> Part:
        parts: list[Part] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._part()))
        return parts[0] if len(parts) == 1 else Row(tuple(parts))

    def _repeated(self, part: Part) -> Part:
        bounds = self._bounds()
        if bounds is None:
            return part
        least, most = bounds
        lazy = self._skip("?")
        if self._text[self._at : self._at + 1] in ("+", "*", "?") or (not lazy and self._bounds() is not None):
            raise self._strange(told("twice-repeated"))
        return Repeated(part, least, most, lazy)

    def _bounds(self) -> tuple[int, int | None] | None:
        """How often."""
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._skip(sign):
                return bounds
        if self._text[self._at : self._at + 1] != "{":
            return None
        end = self._text.find("}", self._at)
        first, comma, last = self._text[self._at + 1 : max(end, 0)].partition(",")
        if (
            not all(digits.isascii() and digits.isdigit() for digits in (first, last or "0"))
            or len(first + last) > _BOUNDS
        ):
            raise self._strange(told("brace"))
        self._at = end + 1
        least, most = int(first), None if comma and not last else int(last or first)
        if max(least, most or 0) > MOST_TIMES or (most is not None and most < least):
            written = f"{{{first}{comma}{last}}}"
            raise NotUnderstood(told("no-repetition", bounds=written, most=MOST_TIMES))
        return least, most

    def _part(self) -> Part:
        sign = self._text[self._at]
        self._at += 1
        match sign:
            case "(":
                return self._group()
            case "[":
                return One(self._cased(self._class()))
            case ".":
                return One(lambda _: True)
            case "^" | "$":
                return Place(sign)
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                raise self._strange(told("nothing-before", sign=sign))
            case _:
                return One(self._cased(_is(sign)))

    def _group(self) -> Part:
        number = 0
        if not self._skip("?"):
            self._groups += 1
            number = self._groups
        elif self._text[self._at : self._at + 1] == "<" and self._text[self._at + 1 : self._at + 2] not in ("=", "!"):
            end = self._text.find(">", self._at)
            name = self._text[self._at + 1 : max(end, 0)]
            if not name.isidentifier():
                raise self._strange(told("unnamed-group"))
            self._groups += 1
            number = self.names[name] = self._groups
            self._at = end + 1
        elif not self._skip(":"):
            raise self._strange(told("looking-around"))
        tree = self._choice()
        if not self._skip(")"):
            raise self._strange(told("unclosed"))
        return Group(tree, number) if number else tree

    def _escape(self) -> Part:
        sign = self._text[self._at : self._at + 1]
        if sign in _PLACES and sign:
            self._at += 1
            return Place(_PLACES[sign])
        return One(self._cased(self._escaped()))

    def _escaped(self) -> Test:
        """What an escape stands for, the backslash read."""
        sign = self._text[self._at : self._at + 1]
        self._at += 1
        if (known := _CLASSES.get(sign.lower())) is not None:
            return known.__contains__ if sign.islower() else lambda character: character not in known
        if sign in ("p", "P"):
            return self._category(negated=sign == "P")
        return _is(self._character(sign))

    def _character(self, sign: str) -> str:
        """The character an escape stands for."""
        if sign in _CODES:
            digits = self._text[self._at : self._at + _CODES[sign]]
            if len(digits) == _CODES[sign] and all(digit in "0123456789abcdefABCDEF" for digit in digits):
                self._at += len(digits)
                return chr(int(digits, 16))
        if sign in _CONTROLS:
            return _CONTROLS[sign]
        if not sign or (sign.isascii() and sign.isalnum()):
            raise NotUnderstood(told("no-pattern-escape", sign=sign))
        return sign

    def _category(self, *, negated: bool) -> Test:
        r"""``\p{L}``: the general category, or its first letter."""
        end = self._text.find("}", self._at)
        name = self._text[self._at + 1 : max(end, 0)] if self._text[self._at : self._at + 1] == "{" else ""
        if not (1 <= len(name) <= 2 and name[0] in "LMNPSZC" and name.isascii() and name.isalpha()):  # noqa: PLR2004
            raise self._strange(told("no-category"))
        self._at = end + 1
        return lambda character: unicodedata.category(character).startswith(name) is not negated

    def _class(self) -> Test:
        """``[...]``, the bracket read."""
        negated = self._skip("^")
        tests: list[Test] = []
        characters: set[str] = set()
        first = True
        while first or self._text[self._at : self._at + 1] != "]":
            if self._at >= len(self._text):
                raise self._strange(told("unclosed-bracket"))
            first = False
            self._member(tests, characters)
        self._at += 1
        if not tests:
            known = frozenset(characters)
            return (lambda character: character not in known) if negated else known.__contains__
        if characters:
            tests.append(frozenset(characters).__contains__)
        return lambda character: any(test(character) for test in tests) is not negated

    def _member(self, tests: list[Test], characters: set[str]) -> None:
        """A character, a range of them, or a class within a class."""
        sign = self._text[self._at]
        self._at += 1
        if sign == "[" or (sign == "&" and self._text[self._at : self._at + 1] == "&"):
            raise self._strange(told("within-brackets", sign=sign))
        if sign == "\\":
            escaped = self._text[self._at : self._at + 1]
            if escaped.lower() in (*_CLASSES, "p") and escaped:
                tests.append(self._escaped())
                return
            self._at += 1
            sign = "\b" if escaped == "b" else self._character(escaped)
        if self._text[self._at : self._at + 1] != "-" or self._text[self._at + 1 : self._at + 2] in ("]", ""):
            characters.add(sign)
            return
        self._at += 1
        last = self._text[self._at]
        self._at += 1
        if last == "\\":
            escaped = self._text[self._at : self._at + 1]
            self._at += 1
            last = self._character(escaped)
        if last < sign:
            raise self._strange(told("backward-range"))
        tests.append(_between(sign, last))

    def _cased(self, test: Test) -> Test:
        if not self._ignores_case:
            return test
        return lambda character: test(character) or test(character.lower()) or test(character.upper())

    def _skip(self, sign: str) -> bool:
        found = self._text.startswith(sign, self._at)
        self._at += len(sign) if found else 0
        return found

    def _strange(self, what: Told) -> NotUnderstood:
        return NotUnderstood(told("pattern-has", what=what))


def _is(wanted: str) -> Test:
    return lambda character: character == wanted


def _between(first: str, last: str) -> Test:
    return lambda character: first <= character <= last
