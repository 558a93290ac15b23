"""Texts: what they contain, and what is made of them.

http://hl7.org/fhirpath/N1/#string-manipulation

Regular expressions are of `fhir_server.fhirpath.patterns`: they take time that is linear in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from fhir_server.fhirpath.code import Code, Scope, collection, question
from fhir_server.fhirpath.functions.function import Function, of_one, text_of, whole_of
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.patterns import Pattern, compile_pattern
from fhir_server.fhirpath.system import INTEGER, NOTHING, STRING, integer, single, text

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler
    from fhir_server.fhirpath.tree import Tree


def _about(name: str, ask: Callable[[str, str], bool]) -> Function:
    """A question about a text and another one."""

    def make(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
        other = compiler.code(arguments[0])
        before, beside = of.run, other.run
        literal = other.literal.value if other.literal is not None else None
        called = f"{name}()"

        def asked(this: Node, scope: Scope) -> bool | None:
            node = single(before(this, scope), "looks-into", called)
            wanted = single(beside(this, scope), "looks-for", called)
            if node is None or wanted is None:
                return None
            return ask(text_of(node, name, scope), text_of(wanted, name, scope))

        def asked_for_literal(this: Node, scope: Scope) -> bool | None:
            nodes = before(this, scope)
            if len(nodes) == 1 and isinstance(value := nodes[0].value, str) and isinstance(literal, str):
                scope.room(len(value))
                return ask(value, literal)
            return asked(this, scope)

        return question(asked if literal is None else asked_for_literal, of.weight + other.weight)

    return Function(make, 1, 1)


def _place(name: str, find: Callable[[str, str], int]) -> Function:
    """Where a text is in another one."""
    return _made_of(name, 1, 1, lambda value, others, _: integer(find(value, others[0])), (INTEGER,))


def _made_of(
    name: str,
    least: int,
    most: int,
    compute: Callable[[str, list[str], Scope], list[Node]],
    types: tuple[str, ...] = (STRING,),
) -> Function:
    """Something made of a text and texts that are arguments; nothing where one of them is missing."""

    def make(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
        before, others, called = of.run, [compiler.code(argument).run for argument in arguments], f"{name}()"

        def run(this: Node, scope: Scope) -> list[Node]:
            node = single(before(this, scope), "takes", called)
            if node is None:
                return NOTHING
            values: list[str] = []
            for other in others:
                argument = single(other(this, scope), "takes", called)
                if argument is None:
                    return NOTHING
                values.append(text_of(argument, name, scope))
            return compute(text_of(node, name, scope), values, scope)

        return collection(run, types, of.weight + len(others) + 1)

    return Function(make, least, most)


def _substring(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    before, start = of.run, compiler.code(arguments[0]).run
    length = compiler.code(arguments[1]).run if len(arguments) > 1 else None

    def run(this: Node, scope: Scope) -> list[Node]:
        node = single(before(this, scope), "takes", "substring()")
        at = single(start(this, scope), "takes", "substring()")
        if node is None or at is None:
            return NOTHING
        value, begin = text_of(node, "substring", scope), whole_of(at, "substring")
        if not 0 <= begin < len(value):
            return NOTHING
        most = single(length(this, scope), "takes", "substring()") if length is not None else None
        return text(value[begin:] if most is None else value[begin : begin + max(0, whole_of(most, "substring"))])

    return collection(run, (STRING,), of.weight + 2)


def _replaced(value: str, others: list[str], scope: Scope) -> list[Node]:
    pattern, substitution = others
    scope.room(len(value) + (value.count(pattern) if pattern else len(value) + 1) * len(substitution))
    return text(value.replace(pattern, substitution))


def _characters(value: str, _: list[str], scope: Scope) -> list[Node]:
    scope.effort.spend(len(value))
    return [Node(character, STRING) for character in value]


def _split(value: str, others: list[str], scope: Scope) -> list[Node]:
    parts = value.split(others[0]) if others[0] else list(value)
    scope.effort.spend(len(parts))
    return [Node(part, STRING) for part in parts]


def _join(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    before = of.run
    between = compiler.code(arguments[0]).run if arguments else None

    def run(this: Node, scope: Scope) -> list[Node]:
        nodes = before(this, scope)
        sign = single(between(this, scope), "takes", "join()") if between is not None else None
        separator = "" if sign is None else text_of(sign, "join", scope)
        texts = [text_of(node, "join", scope) for node in nodes if node.value is not None]
        scope.room(sum(map(len, texts)) + len(separator) * len(texts))
        return text(separator.join(texts)) if texts else NOTHING

    return collection(run, (STRING,), of.weight + 1)


def _pattern_of(compiler: Compiler, tree: Tree) -> Callable[[Node, Scope], Pattern | None]:
    """The pattern of an argument; one that is always the same is compiled once."""
    argument = compiler.code(tree)
    if argument.literal is not None and isinstance(argument.literal.value, str):
        known = compile_pattern(argument.literal.value)
        return lambda _this, _scope: known
    run = argument.run

    def pattern(this: Node, scope: Scope) -> Pattern | None:
        node = single(run(this, scope), "pattern")
        return None if node is None else compile_pattern(text_of(node, "matches", scope), scope.effort)

    return pattern


def _matches(name: str, *, whole: bool) -> Function:
    def make(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
        before, pattern, called = of.run, _pattern_of(compiler, arguments[0]), f"{name}()"

        def asked(this: Node, scope: Scope) -> bool | None:
            node, wanted = single(before(this, scope), "looks-into", called), pattern(this, scope)
            if node is None or wanted is None:
                return None
            return wanted.matches(text_of(node, name, scope), scope.effort, whole=whole)

        return question(asked, of.weight + 1)

    return Function(make, 1, 1)


def _replace_matches(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    before, pattern = of.run, _pattern_of(compiler, arguments[0])
    substitution = compiler.code(arguments[1]).run

    def run(this: Node, scope: Scope) -> list[Node]:
        node, wanted = single(before(this, scope), "takes", "replaceMatches()"), pattern(this, scope)
        instead = single(substitution(this, scope), "takes", "replaceMatches()")
        if node is None or wanted is None or instead is None:
            return NOTHING
        value, template = text_of(node, "replaceMatches", scope), text_of(instead, "replaceMatches", scope)
        parts = wanted.replaced(value, template, scope.effort)
        scope.room(sum(map(len, parts)))
        return text("".join(parts))

    return collection(run, (STRING,), of.weight + 2)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "startsWith": _about("startsWith", str.startswith),
    "endsWith": _about("endsWith", str.endswith),
    "contains": _about("contains", str.__contains__),
    "indexOf": _place("indexOf", str.find),
    "lastIndexOf": _place("lastIndexOf", str.rfind),
    "substring": Function(_substring, 1, 2),
    "upper": _made_of("upper", 0, 0, lambda value, _, __: text(value.upper())),
    "lower": _made_of("lower", 0, 0, lambda value, _, __: text(value.lower())),
    "trim": _made_of("trim", 0, 0, lambda value, _, __: text(value.strip())),
    "replace": _made_of("replace", 2, 2, _replaced),
    "matches": _matches("matches", whole=False),
    "matchesFull": _matches("matchesFull", whole=True),
    "replaceMatches": Function(_replace_matches, 2, 2),
    "length": of_one("length", lambda node, scope: integer(len(text_of(node, "length", scope))), (INTEGER,)),
    "toChars": _made_of("toChars", 0, 0, _characters),
    "split": _made_of("split", 1, 1, _split),
    "join": Function(_join, 0, 1),
}
