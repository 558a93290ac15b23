"""A path, compiled for one type of resource to steps that select elements with where they are.

http://hl7.org/fhirpath/N1/

Understood are: names, a choice without its type; ``[n]``, ``first()``, ``last()``; ``where(…)``, ``exists()``,
``not()``, ``extension('url')``, ``ofType(X)``, ``as(X)`` and ``as``; ``=``, ``!=``, ``contains``, ``and``, ``or``,
``contains('text')``; texts, numbers, dates, ``true`` and ``false``; ``$this``; parentheses. Anything else is refused,
and the sentence names it. So is a name that the type does not have, also where there would be nothing to look at.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.date import interval
from fhir_server.fhir.joining import some
from fhir_server.fhir.messages import Told
from fhir_server.fhirpath import steps
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.refused import Misfit, NotUnderstood
from fhir_server.fhirpath.tokens import Kind, Token, tokens, unquoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhirpath.effort import Effort
    from fhir_server.fhirpath.model import Model
    from fhir_server.fhirpath.steps import Step, Steps

LONGEST: Final = 1_000
"""Characters of a path."""
DEEPEST: Final = 20
"""Parentheses within parentheses."""
_MOST_TYPES: Final = 3
"""Types that a sentence names: three show what is meant."""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path."""

    steps: Steps

    def select(self, resource: JsonObject, type: str, effort: Effort) -> list[Node]:
        """The elements it selects of a resource of the type it was compiled for."""
        return steps.run(self.steps, [Node(resource, type)], effort)


def compile_path(text: str, type: str, model: Model) -> Path:
    """Compile for one type of resource."""
    if len(text) > LONGEST:
        raise NotUnderstood(told("too-long", number=len(text), most=LONGEST))
    stage = _Compiler(tokens(text), model).whole(_Stage((type,)))
    if stage.is_computed:
        raise NotUnderstood(told("computes"))
    return Path(stage.steps)


@dataclass(frozen=True, slots=True)
class _Stage:
    """An expression compiled so far: the types its elements may have, and the steps that lead to them."""

    types: tuple[str, ...]
    steps: Steps = ()
    is_computed: bool = False
    """It gives values of its own, and no elements of the resource."""

    def then(self, step: Step, types: tuple[str, ...] | None = None) -> _Stage:
        return _Stage(self.types if types is None else types, (*self.steps, step), self.is_computed)

    def asked(self, *more: Step) -> _Stage:
        """A question about what was reached."""
        return _Stage(("boolean",), (*self.steps, *more), is_computed=True)


class _Compiler:
    """Recursive descent over the tokens; each rule takes what the names are looked up in and gives what it becomes."""

    def __init__(self, tokens: Sequence[Token], model: Model) -> None:
        """Compile these tokens."""
        self._tokens = tokens
        self._model = model
        self._at = 0
        self._depth = 0

    def whole(self, root: _Stage) -> _Stage:
        """All of it, to the last token."""
        stage = self._expression(root)
        if self._next.kind is not Kind.END:
            raise self._strange()
        return stage

    def _expression(self, focus: _Stage) -> _Stage:
        """What stands between parentheses, or is the whole; names in it are looked up in the focus."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotUnderstood(told("too-many-parentheses", most=DEEPEST))
        stage = self._disjunction(_Stage(focus.types))
        self._depth -= 1
        return stage

    def _disjunction(self, focus: _Stage) -> _Stage:
        return self._joined(focus, "or", self._conjunction, steps.any_of)

    def _conjunction(self, focus: _Stage) -> _Stage:
        return self._joined(focus, "and", self._membership, steps.all_of)

    def _joined(
        self, focus: _Stage, word: str, part: Callable[[_Stage], _Stage], join: Callable[[Sequence[Steps]], Step]
    ) -> _Stage:
        stage = part(focus)
        if not self._is(word):
            return stage
        conditions = [self._condition(stage, word)]
        while self._skip(word):
            conditions.append(self._condition(part(focus), word))
        return focus.asked(join(conditions))

    def _membership(self, focus: _Stage) -> _Stage:
        stage = self._equality(focus)
        if not self._skip("contains"):
            return stage
        return focus.asked(steps.containing(stage.steps, self._equality(focus).steps))

    def _equality(self, focus: _Stage) -> _Stage:
        stage = self._typed(focus)
        for sign in ("=", "!="):
            if self._skip(sign):
                return focus.asked(steps.compared(stage.steps, self._typed(focus).steps, wanted=sign == "="))
        return stage

    def _typed(self, focus: _Stage) -> _Stage:
        stage = self._postfix(focus)
        while self._skip("as"):
            stage = self._narrowed(stage, self._name())
        return stage

    def _postfix(self, focus: _Stage) -> _Stage:
        stage = self._term(focus)
        while True:
            if self._skip("."):
                name = self._name()
                stage = self._function(stage, name) if self._skip("(") else self._child(stage, name)
            elif self._skip("["):
                stage = stage.then(steps.item(int(self._take(Kind.NUMBER, told("an-index")))))
                self._expect("]")
            else:
                return stage

    def _term(self, focus: _Stage) -> _Stage:
        if self._skip("("):
            stage = self._expression(focus)
            self._expect(")")
            return stage
        if self._next.kind is Kind.NAME:
            return self._word(focus, self._name())
        if self._next.kind is Kind.QUOTED:
            return self._child(focus, self._name())
        value, type = self._literal()
        return _Stage((type,), (steps.constant(value, type),), is_computed=True)

    def _word(self, focus: _Stage, word: str) -> _Stage:
        """A name at the beginning: of the focus, of its type, or of what is in it."""
        if self._skip("("):
            return self._function(focus, word)
        if word in ("true", "false"):
            return focus.asked(steps.constant(word == "true", "boolean"))
        if word == "$this":
            return focus
        return self._narrowed(focus, word) if word[0].isupper() else self._child(focus, word)

    def _literal(self) -> tuple[Json, str]:
        sign = "-" if self._skip("-") else ""
        token = self._next
        match token.kind:
            case Kind.NUMBER:
                self._at += 1
                whole = "." not in token.text
                return (int(sign + token.text), "integer") if whole else (Decimal(sign + token.text), "decimal")
            case Kind.TEXT if not sign:
                self._at += 1
                return unquoted(token.text), "string"
            case Kind.DATE if not sign:
                self._at += 1
                return _date(token.text)
            case _:
                raise self._strange()

    def _function(self, stage: _Stage, name: str) -> _Stage:
        """A function, its opening parenthesis read."""
        match name:
            case "where":
                made = stage.then(self._where(stage, name))
            case "exists":
                criteria = () if self._is(")") else (self._where(stage, name),)
                made = stage.asked(*criteria, steps.exists)
            case "not":
                self._condition(stage, "not()")
                made = stage.asked(steps.negated)
            case "first":
                made = stage.then(steps.item(0))
            case "last":
                made = stage.then(steps.item(-1))
            case "extension":
                made = self._child(stage, "extension").then(steps.of_url(self._text()))
            case "ofType" | "as":
                made = self._narrowed(stage, self._name())
            case "contains":
                made = stage.asked(steps.with_text(self._text()))
            case _:
                raise NotUnderstood(told("function", name=name))
        self._expect(")")
        return made

    def _where(self, stage: _Stage, name: str) -> Step:
        return steps.where(self._condition(self._expression(stage), f"{name}()"))

    def _condition(self, stage: _Stage, where: str) -> Steps:
        """The steps of what is used as a condition."""
        if stage.types == ("boolean",):
            return stage.steps
        if self._next.kind is not Kind.END and self._next.text not in (")", "and", "or"):
            raise self._strange()
        raise Misfit(told("condition", name=where, types=some(stage.types, _MOST_TYPES)))

    def _child(self, stage: _Stage, name: str) -> _Stage:
        """The elements of this name."""
        members = self._model.members(stage.types, name)
        if not members:
            raise Misfit(no_element(stage.types, name, self._model))
        types = dict.fromkeys(code for _, names in members.values() for code in names.values())
        return stage.then(steps.named(members, self._model), tuple(types))

    def _narrowed(self, stage: _Stage, name: str) -> _Stage:
        """Those of a type."""
        if not self._model.knows(name):
            raise Misfit(told("no-type", name=name))
        types = self._model.narrowed(stage.types, name)
        if not types:
            raise Misfit(told("never-of-type", types=some(stage.types, _MOST_TYPES), name=name))
        return stage.then(steps.of_types(frozenset(types)), types)

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _is(self, word: str) -> bool:
        return self._next.kind in (Kind.NAME, Kind.SYMBOL) and self._next.text == word

    def _skip(self, word: str) -> bool:
        found = self._is(word)
        self._at += found
        return found

    def _expect(self, word: str) -> None:
        if not self._skip(word):
            raise self._strange(word)

    def _name(self) -> str:
        token = self._next
        if token.kind not in (Kind.NAME, Kind.QUOTED):
            raise self._strange(told("a-name"))
        self._at += 1
        return token.text.strip("`")

    def _text(self) -> str:
        return unquoted(self._take(Kind.TEXT, told("a-text")))

    def _take(self, kind: Kind, expected: Told) -> str:
        token = self._next
        if token.kind is not kind or (kind is Kind.NUMBER and "." in token.text):
            raise self._strange(expected)
        self._at += 1
        return token.text

    def _strange(self, expected: str | Told | None = None) -> NotUnderstood:
        if self._next.kind is Kind.END:
            return NotUnderstood(told("ends", expected=expected or told("an-element")))
        found = _shortened(self._next.text)
        if expected:
            return NotUnderstood(told("strange-instead", found=found, expected=expected))
        return NotUnderstood(told("strange", found=found))


def _date(literal: str) -> tuple[Json, str]:
    text = literal[1:].removesuffix("T")
    if interval(text) is None:
        raise NotUnderstood(told("calendar", literal=literal))
    return text, "dateTime" if "T" in literal else "date"


def no_element(types: Sequence[str], name: str, model: Model) -> Told:
    """That there is no such element; where it is a choice with its type, how a path names it."""
    for type in model.possible(types):
        for element in model.elements(type).values():
            if element.choice and name in {element.json_name(use.code) for use in element.types}:
                return told("choice", type=type, name=name, choice=element.name)
    return told("no-element", types=some(types, _MOST_TYPES), name=_shortened(name))


def _shortened(text: str) -> str:
    return f"{text[:40]}..." if len(text) > 40 else text  # noqa: PLR2004 - enough to find it
