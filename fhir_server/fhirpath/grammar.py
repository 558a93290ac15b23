"""Reads an expression to a tree, with the precedence of operators.

http://hl7.org/fhirpath/N1/#grammar · http://hl7.org/fhirpath/N1/#operator-precedence
"""

from __future__ import annotations

from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.messages import Told
from fhir_server.fhirpath import moments
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.refused import NotUnderstood
from fhir_server.fhirpath.system import (
    BOOLEAN,
    DATE,
    DATE_TIME,
    DECIMAL,
    GREATEST,
    INTEGER,
    QUANTITY,
    STRING,
    TIME,
    UCUM,
)
from fhir_server.fhirpath.tokens import Kind, Token, unquoted
from fhir_server.fhirpath.tree import Call, Index, Literal, Name, Negative, Nothing, Operation, Tree, Typed, Variable
from fhir_server.fhirpath.words import unquoted_name, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LONGEST: Final = 10_000
"""Characters of an expression; the longest of R4 has 400."""
DEEPEST: Final = 40
"""Parentheses and signs within each other."""

_PRECEDENCE: Final = {
    operator: strength
    for strength, operators in enumerate(
        (
            ("implies",),
            ("or", "xor"),
            ("and",),
            ("in", "contains"),
            ("=", "~", "!=", "!~"),
            ("is", "as"),
            ("<", ">", "<=", ">="),
            ("|",),
            ("+", "-", "&"),
            ("*", "/", "div", "mod"),
        )
    )
    for operator in operators
}
"""The higher, the closer an operator binds."""

_JOINING: Final = frozenset({"and", "or", "|", "&"})
"""Operators of any number of operands: a long row of them is no deep tree."""
_NAMES: Final = frozenset({"as", "is", "in", "contains"})
"""Operators that are names of elements too."""
PERIODS: Final = frozenset({"year", "month", "week", "day", "hour", "minute", "second", "millisecond"})
"""Units of the calendar and the clock, written without quotes, also in the plural."""
_DIGITS: Final = 18
_SHOWN: Final = 40


def parse(text: str) -> Tree:
    """The tree of an expression."""
    if len(text) > LONGEST:
        raise NotUnderstood(told("expression-too-long", number=len(text), most=LONGEST))
    return _Reader(words(text)).whole()


class _Reader:
    """Recursive descent over the tokens."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        """Read these tokens."""
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def whole(self) -> Tree:
        """All of it, to the last token."""
        tree = self._expression(0)
        if self._next.kind is not Kind.END:
            raise self._strange()
        return tree

    def _within(self, close: str) -> Tree:
        """What stands between parentheses or brackets, the opening one read."""
        with self._deeper():
            tree = self._expression()
        self._expect(close)
        return tree

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotUnderstood(told("nested", most=DEEPEST))
        yield
        self._depth -= 1

    def _expression(self, least: int = 0) -> Tree:
        """What operators join that bind at least so closely."""
        tree = self._signed()
        while (strength := self._strength()) >= least:
            operator = self._next.text
            self._at += 1
            if operator in ("is", "as"):
                tree = Typed(tree, operator, self._type())
                continue
            right = self._expression(strength + 1)
            if operator in _JOINING and isinstance(tree, Operation) and tree.operator == operator:
                tree = Operation(operator, (*tree.operands, right))
            else:
                tree = Operation(operator, (tree, right))
        return tree

    def _strength(self) -> int:
        """How closely the operator that comes next binds; less than all where none comes."""
        token = self._next
        return _PRECEDENCE.get(token.text, -1) if token.kind in (Kind.NAME, Kind.SYMBOL) else -1

    def _signed(self) -> Tree:
        if self._skip("+"):
            with self._deeper():
                return self._signed()
        if self._skip("-"):
            with self._deeper():
                return Negative(self._signed())
        return self._postfix()

    def _postfix(self) -> Tree:
        tree = self._term()
        while True:
            if self._skip("."):
                tree = self._invocation(tree)
            elif self._skip("["):
                tree = Index(tree, self._within("]"))
            else:
                return tree

    def _invocation(self, of: Tree | None) -> Tree:
        """A name or a function; after a point, also one of the names that stand for what is looked at."""
        if of is not None and self._next.kind is Kind.VARIABLE:
            raise NotUnderstood(told("variable-after-point", name=self._next.text))
        name = self._name(after_point=of is not None)
        return Call(of, name, self._arguments()) if self._skip("(") else Name(of, name)

    def _arguments(self) -> tuple[Tree, ...]:
        """Those of a function, the opening parenthesis read."""
        if self._skip(")"):
            return ()
        found: list[Tree] = []
        with self._deeper():
            found.append(self._expression())
            while self._skip(","):
                found.append(self._expression())
        self._expect(")")
        return tuple(found)

    def _term(self) -> Tree:
        token = self._next
        if self._skip("("):
            return self._within(")")
        if self._skip("{"):
            self._expect("}")
            return Nothing()
        match token.kind:
            case Kind.NAME if token.text in ("true", "false"):
                self._at += 1
                return Literal(token.text == "true", BOOLEAN)
            case Kind.NAME | Kind.QUOTED:
                return self._invocation(None)
            case Kind.VARIABLE:
                self._at += 1
                return Variable(token.text[0] + unquoted_name(token.text[1:]))
            case Kind.TEXT:
                self._at += 1
                return Literal(unquoted(token.text), STRING)
            case Kind.NUMBER:
                self._at += 1
                return self._number(token.text)
            case Kind.DATE:
                self._at += 1
                return _moment(token.text)
            case _:
                raise self._strange(told("an-element"))

    def _number(self, text: str) -> Tree:
        """A number, or the quantity that a unit makes of it."""
        unit = self._next
        if unit.kind is Kind.TEXT:
            self._at += 1
            return _quantity(text, unquoted(unit.text))
        if unit.kind is Kind.NAME and unit.text.removesuffix("s") in PERIODS:
            self._at += 1
            return _quantity(text, unit.text.removesuffix("s"))
        if "." in text:
            return Literal(Decimal(text), DECIMAL)
        if len(text) > _DIGITS or int(text) > GREATEST:
            raise NotUnderstood(told("integer-too-great", text=shortened(text)))
        return Literal(int(text), INTEGER)

    def _type(self) -> str:
        """A type, perhaps with the model it is of: ``FHIR.Patient``."""
        name = self._name()
        return f"{name}.{self._name()}" if self._skip(".") else name

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _skip(self, symbol: str) -> bool:
        found = self._next.kind is Kind.SYMBOL and self._next.text == symbol
        self._at += found
        return found

    def _expect(self, symbol: str) -> None:
        if not self._skip(symbol):
            raise self._strange(symbol)

    def _name(self, *, after_point: bool = False) -> str:
        """A name; after a point an operator is one too, there is an element `div`."""
        token = self._next
        is_operator = not after_point and token.text in _PRECEDENCE and token.text not in _NAMES
        if token.kind not in (Kind.NAME, Kind.QUOTED) or (token.kind is Kind.NAME and is_operator):
            raise self._strange(told("a-name"))
        self._at += 1
        return unquoted_name(token.text)

    def _strange(self, expected: str | Told | None = None) -> NotUnderstood:
        if self._next.kind is Kind.END:
            return NotUnderstood(told("ends-early-instead", expected=expected) if expected else told("ends-early"))
        found = shortened(self._next.text)
        if expected:
            return NotUnderstood(told("strange-word-instead", found=found, expected=expected))
        return NotUnderstood(told("strange-word", found=found))


def _quantity(text: str, unit: str) -> Literal:
    value = Decimal(text) if "." in text or len(text) > _DIGITS else int(text)
    return Literal({"value": value, "code": unit, "system": UCUM}, QUANTITY)


def _moment(literal: str) -> Literal:
    text = literal[1:]
    if text.startswith("T"):
        text, type = text[1:], TIME
    else:
        type = DATE_TIME if "T" in text else DATE
        text = text.removesuffix("T")
    if moments.covered(text, is_time=type == TIME) is None:
        raise NotUnderstood(told("no-moment", literal=literal))
    return Literal(text, type)


def shortened(text: str) -> str:
    """So much of a text as finds it again."""
    return f"{text[:_SHOWN]}..." if len(text) > _SHOWN else text
