"""The grammar of ``_filter``: a text read to a frozen tree, and a tree written as text again.

https://hl7.org/fhir/R4/search_filter.html

What the page says, and the choices where it says nothing:

* ``and`` and ``or`` are evaluated left to right, without precedence: ``a or b and c`` is ``(a or b) and c``. A run of
  the same word is one node. :func:`write` puts parentheses around every junction inside another, so that a reader who
  expects precedence sees the same.
* ``not`` needs parentheses. ``not``, ``and`` and ``or`` do not begin a path: no search parameter is called so.
* White space, of any amount, parts a path, a comparison and a value. It may stand around parentheses, in brackets and
  at both ends, and nowhere in a path. Keywords are in small letters, as on the page.
* A value that begins with a quotation mark is a JSON string. Any other is a word and goes on to white space, ``)`` or
  ``]``, which is how ``system|code``, a number or a date are written: the type of the parameter tells them apart, not
  the grammar. Backslashes of a word are its own.
* A path is names with ``.`` between them, where a name may carry what the other syntax puts behind a colon
  (``subject:Patient``, ``_has:Observation:patient:code``), and a condition in brackets with a name after it.

Whether a parameter exists, and whether it takes the comparison, is not asked here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias, assert_never

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType
from fhir_server.search.messages import told

MAX_DEPTH: Final = 20
"""Levels of a filter, and parentheses and brackets open at one time.

A level is what a database nests: a ``not``, a condition in brackets, a name of a path, a junction inside another. Each
change between ``and`` and ``or`` is one too, for it takes in all that was read before.
"""

MAX_COMPARISONS: Final = 100
"""Comparisons of one filter, those in brackets included."""

_SHOWN: Final = 24
"""Characters of the filter that a refusal repeats."""


class Operator(StrEnum):
    """How the values of a path are compared: the table of the page."""

    EQ = "eq"
    NE = "ne"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    LT = "lt"
    GE = "ge"
    LE = "le"
    AP = "ap"
    SA = "sa"
    EB = "eb"
    PR = "pr"
    PO = "po"
    SS = "ss"
    SB = "sb"
    IN = "in"
    NI = "ni"
    RE = "re"


@dataclass(frozen=True, slots=True)
class Text:
    """A value in quotation marks, its escapes resolved."""

    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """A value without quotation marks, as written: a number, a date, a token, a reference, ``true``."""

    text: str


Value: TypeAlias = Text | Word


@dataclass(frozen=True, slots=True)
class Step:
    """A name of a path, with what its colons add and the condition in its brackets."""

    name: str
    qualifiers: tuple[str, ...] = ()
    """``("Patient",)`` of ``subject:Patient``, ``("Observation", "patient", "code")`` of a ``_has``."""
    condition: Filter | None = None
    """What must hold of the same element; the last step of a path has none."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A path, how its values are compared, and with what. After ``pr`` the value is ``true`` or ``false``."""

    path: tuple[Step, ...]
    operator: Operator
    value: Value
    at: int = field(default=0, compare=False)
    """Where it begins in the text it was read from, from 0; no part of what it means."""


@dataclass(frozen=True, slots=True)
class Negation:
    """What the part does not match."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Conjunction:
    """Each of two or more parts."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Disjunction:
    """At least one of two or more parts."""

    parts: tuple[Filter, ...]


Filter: TypeAlias = Comparison | Negation | Conjunction | Disjunction


def parse(text: str) -> Filter:
    """Read a filter, in time linear in its length.

    Raises :class:`~fhir_server.fhir.errors.Invalid` with what was expected, and at which character (from 1).
    """
    return _Reading(text).whole()


def write(filter: Filter) -> str:
    """A tree that :func:`parse` gave, as text: it is read to an equal one, within the same limits."""
    match filter:
        case Comparison(path, operator, value):
            return f"{write_path(path)} {operator} {_write_value(value)}"
        case Negation(part):
            return f"not ({write(part)})"
        case Conjunction(parts):
            return " and ".join(map(_write_operand, parts))
        case Disjunction(parts):
            return " or ".join(map(_write_operand, parts))
    assert_never(filter)


def write_path(path: tuple[Step, ...]) -> str:
    """The path as text. Without brackets it is how the parameter is called in the other syntax."""
    return ".".join(map(_write_step, path))


def excerpt(text: str, at: int) -> str:
    """What stands there, quoted and cut, for the sentence that refuses it. Nothing in it is invisible."""
    end = at + _SHOWN
    shown = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text[at:end])
    return f"'{shown}{'…' if len(text) > end else ''}'"


def _write_operand(part: Filter) -> str:
    return f"({write(part)})" if isinstance(part, Conjunction | Disjunction) else write(part)


def _write_step(step: Step) -> str:
    name = ":".join((step.name, *step.qualifiers))
    return name if step.condition is None else f"{name}[{write(step.condition)}]"


def _write_value(value: Value) -> str:
    return value.text if isinstance(value, Word) else json.dumps(value.text, ensure_ascii=False)


# None of these can match in two ways, so that none goes back over what it has read.
_SPACES: Final = re.compile(r"\s+")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_JUNCTION: Final = re.compile(r"(?:and|or)(?![A-Za-z0-9_-])")
_WORD: Final = re.compile(r"[^\s)\]]+")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]+')
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]{4}")
_NO_CHARACTER_OF_FHIR: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
"""https://hl7.org/fhir/R4/datatypes.html#string, and halves of a character."""

_OPERATORS: Final = {operator.value: operator for operator in Operator}
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "n": "\n", "r": "\r", "t": "\t"}
"""Of JSON, without the two for control characters that no FHIR value has."""

_LISTED: Final = ", ".join(_OPERATORS)
_HIGH: Final = range(0xD800, 0xDC00)
_LOW: Final = range(0xDC00, 0xE000)


@dataclass(slots=True)
class _Reading:
    """A text while it is read; each rule begins at ``at`` and leaves it after what it took."""

    text: str
    at: int = 0
    open: int = 0
    """Parentheses and brackets: how deep the rules call each other."""
    comparisons: int = 0

    def whole(self) -> Filter:
        """All of it, to the last character."""
        wrong = _NO_CHARACTER_OF_FHIR.search(self.text)
        if wrong is not None:
            self.at = wrong.start()
            raise self._expected(told("fhir-character"))
        tree, _ = self._filter()
        if self.at < len(self.text):
            raise self._expected(told("junction-or-end"))
        return tree

    def _filter(self) -> tuple[Filter, int]:
        """Operands to the first thing that is no ``and`` or ``or``, and the levels of their tree."""
        part, levels = self._operand()
        parts = [part]
        joined: type[Conjunction | Disjunction] | None = None
        while (junction := self._junction()) is not None:
            if joined is not None and joined is not junction:
                parts = [joined(tuple(parts))]
                levels = self._checked(levels + 1)
            joined = junction
            part, of_part = self._operand()
            parts.append(part)
            levels = max(levels, of_part)
        return (parts[0], levels) if joined is None else (joined(tuple(parts)), self._checked(levels + 1))

    def _junction(self) -> type[Conjunction | Disjunction] | None:
        self._skip_spaces()
        word = _JUNCTION.match(self.text, self.at)
        if word is None:
            return None
        self.at = word.end()
        return Conjunction if word[0] == "and" else Disjunction

    def _operand(self) -> tuple[Filter, int]:
        self._skip_spaces()
        if self._skip("("):
            return self._group(")")
        name = _NAME.match(self.text, self.at)
        if name is None or name[0] in {"and", "or"}:
            raise self._expected(told("operand"))
        if name[0] != "not":
            return self._comparison()
        self.at = name.end()
        self._skip_spaces()
        if not self._skip("("):
            raise self._expected(told("after-not"))
        part, levels = self._group(")")
        return Negation(part), self._checked(levels + 1)

    def _group(self, closing: str) -> tuple[Filter, int]:
        """A filter and what closes it, the opening sign read."""
        self.open = self._checked(self.open + 1)
        tree, levels = self._filter()
        if not self._skip(closing):
            raise self._expected(told("junction-or", closing=closing))
        self.open -= 1
        return tree, levels

    def _comparison(self) -> tuple[Comparison, int]:
        start = self.at
        if self.comparisons == MAX_COMPARISONS:
            found = excerpt(self.text, self.at)
            message = told("too-many-comparisons", most=MAX_COMPARISONS, character=self.at + 1, found=found)
            raise Invalid(message, code=IssueType.TOO_COSTLY)
        self.comparisons += 1
        path, levels = self._path()
        if not self._skip_spaces():
            raise self._expected(told("space-and-comparison", operators=_LISTED))
        word = _NAME.match(self.text, self.at)
        operator = _OPERATORS.get(word[0]) if word is not None else None
        if operator is None:
            raise self._expected(told("comparison", operators=_LISTED))
        self.at += len(operator)
        if not self._skip_spaces():
            raise self._expected(told("value-after", operator=operator.value))
        begins = self.at
        value = self._value()
        if operator is Operator.PR and value.text not in {"true", "false"}:
            self.at = begins
            raise self._expected(told("after-pr"))
        return Comparison(path, operator, value, start), levels

    def _path(self) -> tuple[tuple[Step, ...], int]:
        """Names to the first sign that belongs to none; each is a level, and a condition is below its name."""
        steps: list[Step] = []
        names = levels = 0
        while True:
            parts = [self._name(".")]
            while self._skip(":"):
                self._checked(names + len(parts))
                parts.append(self._name(":"))
            names += len(parts)
            levels = self._checked(max(levels, names))
            condition = None
            if self._skip("["):
                condition, below = self._group("]")
                levels = self._checked(max(levels, names + below))
            steps.append(Step(parts[0], tuple(parts[1:]), condition))
            if not self._skip("."):
                break
        if condition is not None:
            raise self._expected(told("after-brackets"))
        return tuple(steps), levels

    def _name(self, after: str) -> str:
        name = _NAME.match(self.text, self.at)
        if name is None:
            raise self._expected(told("name-after", sign=after))
        self.at = name.end()
        return name[0]

    def _value(self) -> Value:
        if self._skip('"'):
            return Text(self._string())
        word = _WORD.match(self.text, self.at)
        if word is None:
            raise self._expected(told("value"))
        self.at = word.end()
        return Word(word[0])

    def _string(self) -> str:
        """A JSON string, its opening mark read."""
        opened = self.at
        parts: list[str] = []
        while True:
            plain = _PLAIN.match(self.text, self.at)
            if plain is not None:
                parts.append(plain[0])
                self.at = plain.end()
            if self._skip('"'):
                return "".join(parts)
            if self.at == len(self.text):
                raise self._expected(told("closing-quote", character=opened))
            if self.text[self.at] != "\\":
                raise self._expected(told("white-space"))
            parts.append(self._escape())

    def _escape(self) -> str:
        r"""The character that an escape of JSON stands for; one beyond ``\uFFFF`` takes two of them."""
        sign = self.text[self.at + 1 : self.at + 2]
        if sign in _ESCAPES:
            self.at += 2
            return _ESCAPES[sign]
        code = self._unit(self.at)
        length = 6
        if code in _HIGH and (low := self._unit(self.at + length)) in _LOW:
            code = 0x10000 + (code - _HIGH.start) * len(_LOW) + (low - _LOW.start)
            length += 6
        if code < 0 or _NO_CHARACTER_OF_FHIR.match(chr(code)):
            raise self._expected(told("escape"))
        self.at += length
        return chr(code)

    def _unit(self, at: int) -> int:
        r"""The number of ``\uXXXX``; below 0 when that is not what stands there."""
        digits = _HEXADECIMAL.match(self.text, at + 2) if self.text.startswith("\\u", at) else None
        return -1 if digits is None else int(digits[0], 16)

    def _skip(self, sign: str) -> bool:
        if not self.text.startswith(sign, self.at):
            return False
        self.at += len(sign)
        return True

    def _skip_spaces(self) -> bool:
        spaces = _SPACES.match(self.text, self.at)
        if spaces is None:
            return False
        self.at = spaces.end()
        return True

    def _checked(self, levels: int) -> int:
        if levels > MAX_DEPTH:
            raise self._too_deep()
        return levels

    def _expected(self, what: Told) -> Invalid:
        if self.at < len(self.text):
            found = excerpt(self.text, self.at)
            return Invalid(told("expected", character=self.at + 1, what=what, found=found))
        return Invalid(told("expected-at-the-end", character=self.at + 1, what=what))

    def _too_deep(self) -> Invalid:
        if self.at < len(self.text):
            found = excerpt(self.text, self.at)
            message = told("too-many-levels", most=MAX_DEPTH, character=self.at + 1, found=found)
        else:
            message = told("too-many-levels-at-the-end", most=MAX_DEPTH, character=self.at + 1)
        return Invalid(message, code=IssueType.TOO_COSTLY)
