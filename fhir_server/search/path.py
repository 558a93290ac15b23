"""The paths of search parameters, compiled once to functions over decoded JSON.

https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression · http://hl7.org/fhirpath/N1/

The subset of FHIRPath that the expressions of R4 use: paths, ``as`` and ``ofType``, unions, indexing, ``extension``,
``hasExtension``, ``exists``, ``where`` with comparisons, and ``resolve() is Type``, which reads the type off the
reference itself. Anything else raises :class:`Outside` while compiling, so a parameter that could not be served stops
the start-up instead of silently finding nothing.

An expression is compiled for one resource type: alternatives that speak of another type are left out. What it gives are
pairs of an element and its type; an extension stands for its value. Contained resources, and the ``_name`` siblings of
primitives, are not searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, TypeAlias

from fhir_server.definitions.tables import Definitions, Element, TypeUse
from fhir_server.fhir.json import JsonObject
from fhir_server.search import steps
from fhir_server.search.steps import Found, Step

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<number>\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<symbol>!=|[.()|=\[\]])|(?P<other>\S))"
)
_ABSTRACT = frozenset({"Resource", "DomainResource"})


Walk: TypeAlias = Callable[[JsonObject], list[Found]]


class Outside(ValueError):
    """The expression is not in the subset, or names what the type does not have."""


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled expression."""

    text: str
    """As it was written."""
    walk: Walk
    """The elements of a resource that it points to; the list is not the caller's to change."""
    first: str | None
    """Of plain names the first: where the resource has no such member, there is nothing."""
    uses: tuple[TypeUse, ...]
    """The types they may have; of references, the types they may point to."""


@lru_cache(maxsize=4096)
def alternatives(expression: str) -> tuple[str, ...]:
    """The operands of the outermost union, without the white space and parentheses around each."""
    parts: list[str] = [""]
    depth = 0
    for sign in re.findall(r"'(?:[^'\\]|\\.)*'|.", expression, re.DOTALL):
        depth += (sign == "(") - (sign == ")")
        if sign == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return tuple(_bare(part) for part in parts)


def compile_path(expression: str, type: str, definitions: Definitions) -> Path | None:
    """Compile for one type of resource, or of element; nothing when the expression speaks of other types only."""
    tokens = [(match.lastgroup or "", match[match.lastgroup or 0]) for match in _TOKEN.finditer(expression.strip())]
    compiler = _Compiler(tokens, definitions, type)
    root = _Stage((TypeUse(type),), names=())
    stage = compiler.whole(root)
    if not stage.uses:
        return None
    if any(use.code == "Extension" for use in stage.uses):
        stage = compiler.child(stage, "value")
    first = stage.names[0] if stage.names and stage.step is None else None
    return Path(expression, _from_root(stage, type), first, stage.uses)


@dataclass(frozen=True, slots=True)
class _Stage:
    """An expression compiled so far: plain names from the focus, perhaps a choice at their end, or any step."""

    uses: tuple[TypeUse, ...]
    names: tuple[str, ...] | None = None
    choices: tuple[tuple[str, TypeUse], ...] = ()
    step: Step | None = None
    narrows: str | None = None
    """Of ``resolve() is Type``: the type."""
    is_resolved: bool = False

    def run(self) -> Step:
        """As a function from a focus to what is found."""
        if self.step is not None:
            return self.step
        names = self.names or ()
        if self.choices:
            last = steps.choices({name: use.code for name, use in self.choices})
            return steps.then(steps.named(names, ""), last) if names else last
        return steps.named(names, self.uses[0].code) if names else steps.same


_NOTHING: Final = _Stage(())


class _Compiler:
    """Recursive descent over the tokens; each rule takes the focus and gives the stage it becomes."""

    def __init__(self, tokens: list[tuple[str, str]], definitions: Definitions, type: str) -> None:
        """Compile for this resource type."""
        self._tokens = [*tokens, ("end", "")]
        self._at = 0
        self._structures = definitions.structures
        self._type = type

    def whole(self, root: _Stage) -> _Stage:
        """All of it, to the last token."""
        stage = self._conjunction(root)
        if self._tokens[self._at][0] != "end":
            raise Outside(f"unexpected {self._tokens[self._at][1]!r}")
        return stage

    def child(self, stage: _Stage, name: str) -> _Stage:
        """The elements of this name."""
        if not stage.uses:
            return stage
        members = {use.code: member for use in stage.uses if (member := self._member(use.code, name)) is not None}
        if not members:
            raise Outside(f"{' or '.join(use.code for use in stage.uses)} has no element {name!r}")
        uses = tuple(dict.fromkeys(use for member in members.values() for use in member.types))
        if len(stage.uses) == 1 and stage.names is not None and not stage.choices:
            (member,) = members.values()
            if not member.choice:
                return _Stage(uses, names=(*stage.names, name))
            return _Stage(uses, names=stage.names, choices=tuple((member.json_name(use.code), use) for use in uses))
        table = {
            code: {member.json_name(use.code): use.code for use in member.types} for code, member in members.items()
        }
        return _Stage(uses, step=steps.then(stage.run(), steps.named_by_type(table)))

    def _conjunction(self, focus: _Stage) -> _Stage:
        stage = self._comparison(focus)
        while self._skip("and"):
            stage = _boolean(steps.both(stage.run(), self._comparison(focus).run()))
        return stage

    def _comparison(self, focus: _Stage) -> _Stage:
        stage = self._union(focus)
        for symbol in ("=", "!="):
            if self._skip(symbol):
                return _boolean(steps.compared(stage.run(), self._union(focus).run(), equal=symbol == "="))
        return stage

    def _union(self, focus: _Stage) -> _Stage:
        stage = self._typed(focus)
        while self._skip("|"):
            other = self._typed(focus)
            if not stage.uses or not other.uses:
                stage = stage if stage.uses else other
            else:
                uses = tuple(dict.fromkeys(stage.uses + other.uses))
                stage = _Stage(uses, step=steps.either(stage.run(), other.run()))
        return stage

    def _typed(self, focus: _Stage) -> _Stage:
        stage = self._postfix(focus)
        while True:
            if self._skip("as"):
                stage = self._narrowed(stage, self._name())
            elif self._skip("is"):
                type = self._name()
                step = steps.then(stage.run(), steps.is_type(type))
                stage = replace(_boolean(step), narrows=type if stage.is_resolved else None)
            else:
                return stage

    def _postfix(self, focus: _Stage) -> _Stage:
        stage = self._term(focus)
        while True:
            if self._skip("."):
                name = self._name()
                stage = self._function(stage, name) if self._skip("(") else self.child(stage, name)
            elif self._skip("["):
                stage = _Stage(stage.uses, step=steps.then(stage.run(), steps.item(int(self._take("number")))))
                self._expect("]")
            else:
                return stage

    def _term(self, focus: _Stage) -> _Stage:
        kind, word = self._tokens[self._at]
        self._at += 1
        if kind == "symbol" and word == "(":
            stage = self._conjunction(focus)
            self._expect(")")
            return stage
        if kind == "text":
            return _Stage((TypeUse("string"),), step=steps.constant(_unquoted(word), "string"))
        if kind != "name":
            raise Outside(f"unexpected {word!r}")
        if word in {"true", "false"}:
            return _boolean(steps.constant(word == "true", "boolean"))
        if self._skip("("):
            return self._function(focus, word)
        if word[0].isupper():
            return focus if self._is_type(word) else _NOTHING
        return self.child(focus, word)

    def _function(self, stage: _Stage, name: str) -> _Stage:
        """A function, its opening parenthesis read."""
        match name:
            case "where":
                made = self._where(stage)
            case "exists":
                made = _boolean(steps.then(stage.run(), steps.exists))
            case "resolve":
                uses = tuple(TypeUse(target) for use in stage.uses for target in use.targets) or stage.uses
                made = _Stage(uses, step=steps.then(stage.run(), steps.resolved), is_resolved=True)
            case "extension":
                url = _unquoted(self._take("text"))
                made = self.child(stage, "extension")
                made = _Stage(made.uses, step=steps.then(made.run(), steps.of_url(url)))
            case "hasExtension":
                url = _unquoted(self._take("text"))
                made = _boolean(
                    steps.then(steps.then(self.child(stage, "extension").run(), steps.of_url(url)), steps.exists)
                )
            case "as" | "ofType":
                made = self._narrowed(stage, self._name())
            case _:
                raise Outside(f"the function {name}()")
        self._expect(")")
        return made

    def _where(self, stage: _Stage) -> _Stage:
        same = self._same(stage)
        condition = self._conjunction(_Stage(stage.uses, step=steps.same))
        if not stage.uses:
            return stage
        uses = stage.uses
        if condition.narrows is not None:
            uses = tuple(TypeUse(use.code, (condition.narrows,)) for use in uses)
        return _Stage(uses, step=steps.then(stage.run(), same or steps.where(condition.run())))

    def _same(self, stage: _Stage) -> Step | None:
        """The step of ``name='text')``, which nearly all conditions are, where it follows."""
        (kind, name), (_, sign), (text, value), (_, end) = (*self._tokens[self._at : self._at + 4], *[("", "")] * 4)[:4]
        members = [self._member(use.code, name) for use in stage.uses]
        single = all(one is not None and one.max == 1 and not one.choice for one in members)
        if (kind, sign, text, end) != ("name", "=", "text", ")") or not single:
            return None
        return steps.where_member(name, _unquoted(value))

    def _narrowed(self, stage: _Stage, type: str) -> _Stage:
        if not stage.uses:
            return stage
        if type not in self._structures:
            type = type[0].lower() + type[1:]  # the standard's own `as(DateTime)`
        uses = tuple(use for use in stage.uses if use.code == type)
        if not uses:
            raise Outside(f"{' or '.join(use.code for use in stage.uses)} is never a {type}")
        if len(uses) == len(stage.uses) and not stage.choices:
            return stage
        if stage.choices:
            ((name, use),) = (choice for choice in stage.choices if choice[1].code == type)
            return _Stage((use,), names=(*(stage.names or ()), name))
        return _Stage(uses, step=steps.then(stage.run(), steps.of_type(type)))

    def _is_type(self, name: str) -> bool:
        if name == "DomainResource":
            return self._structures[self._type].parent == "DomainResource"
        if name not in _ABSTRACT and name not in self._structures:
            raise Outside(f"there is no type {name}")
        return name in {self._type, "Resource"}

    def _member(self, type: str, name: str) -> Element | None:
        structure = self._structures.get(type)
        return next((element for element in structure.elements if element.name == name), None) if structure else None

    def _skip(self, word: str) -> bool:
        if self._tokens[self._at][1] != word or self._tokens[self._at][0] == "text":
            return False
        self._at += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._skip(word):
            raise Outside(f"expected {word!r}, not {self._tokens[self._at][1]!r}")

    def _name(self) -> str:
        return self._take("name")

    def _take(self, kind: str) -> str:
        found, word = self._tokens[self._at]
        if found != kind:
            raise Outside(f"expected a {kind}, not {word!r}")
        self._at += 1
        return word


def _bare(part: str) -> str:
    """The operand without parentheses that enclose all of it."""
    part = part.strip()
    while part.startswith("(") and part.endswith(")"):
        depth = 0
        for position, character in enumerate(part):
            depth += (character == "(") - (character == ")")
            if depth == 0 and position < len(part) - 1:
                return part
        part = part[1:-1].strip()
    return part


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _boolean(step: Step) -> _Stage:
    return _Stage((TypeUse("boolean"),), step=step)


def _from_root(stage: _Stage, type: str) -> Walk:
    if stage.step is None and stage.names and not stage.choices:
        return steps.plain(stage.names, stage.uses[0].code)
    step = stage.run()

    def walk(resource: JsonObject) -> list[Found]:
        return step([(resource, type)])

    return walk
