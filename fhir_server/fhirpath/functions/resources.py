"""What FHIR adds, and the time.

https://hl7.org/fhir/R4/fhirpath.html#functions · http://hl7.org/fhirpath/N1/#current-date-and-time-functions
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from fhir_server.fhirpath.code import Code, Environment, Scope, collection, question
from fhir_server.fhirpath.functions.function import Function, asking, of_collection, text_of
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.system import DATE, DATE_TIME, TIME, several, single

if TYPE_CHECKING:
    from fhir_server.fhirpath.compiler import Compiler
    from fhir_server.fhirpath.tree import Tree

_RESOLVED: Final = 20
"""To look for a resource is as much work as to look at so many elements."""


def _extension(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
    """The extensions of a url."""
    extensions, url = compiler.child(of, "extension"), compiler.code(arguments[0])
    before, wanted = extensions.run, url.run
    literal = url.literal.value if url.literal is not None else None

    def run(this: Node, scope: Scope) -> list[Node]:
        nodes = before(this, scope)
        if not nodes:
            return nodes
        sought = literal
        if sought is None:
            node = single(wanted(this, scope), "looks-for", "extension()")
            sought = None if node is None else text_of(node, "extension", scope)
        scope.effort.spend(len(nodes))
        return [node for node in nodes if isinstance(node.value, dict) and node.value.get("url") == sought]

    return collection(run, ("Extension",), extensions.weight + 1)


def _has_value(nodes: list[Node], _: Scope) -> bool:
    """Whether it is one primitive with a value of its own."""
    return len(nodes) == 1 and _is_value(nodes[0])


def _is_value(node: Node) -> bool:
    return node.value is not None and not isinstance(node.value, (dict, list))


def _value(nodes: list[Node], _: Scope) -> list[Node]:
    return nodes if len(nodes) == 1 and _is_value(nodes[0]) else []


def _resolve(_: Compiler, of: Code, __: tuple[Tree, ...]) -> Code:
    """The resources that references point to, of those that can be had."""
    before = of.run

    def run(this: Node, scope: Scope) -> list[Node]:
        found: list[Node] = []
        for node in before(this, scope):
            scope.effort.spend(_RESOLVED)
            held = node.value
            reference = held.get("reference") if isinstance(held, dict) else held
            resource = scope.environment.resolve(reference) if isinstance(reference, str) else None
            if resource is not None:
                found.append(resource)
        return found

    return collection(run, (), of.weight + 1)


def _asked_outside(name: str, ask: Callable[[Environment], Callable[[Node, str], bool | None]]) -> Function:
    """A question about an element and a canonical URL that somebody else answers."""

    def make(compiler: Compiler, of: Code, arguments: tuple[Tree, ...]) -> Code:
        before, url, called = of.run, compiler.code(arguments[0]).run, f"{name}()"

        def asked(this: Node, scope: Scope) -> bool | None:
            nodes = before(this, scope)
            if len(nodes) > 1:
                raise several(nodes, "looks-at", called)
            canonical = single(url(this, scope), "takes", called)
            if not nodes or canonical is None:
                return None
            scope.effort.spend(_RESOLVED)
            return ask(scope.environment)(nodes[0], text_of(canonical, name, scope))

        return question(asked, of.weight + 1)

    return Function(make, 1, 1)


def _html_checks(nodes: list[Node], scope: Scope) -> bool | None:
    check = scope.environment.is_narrative
    if not nodes:
        return None
    if check is None:
        return True
    return all(isinstance(node.value, str) and check(text_of(node, "htmlChecks", scope)) for node in nodes)


def _at(cut: Callable[[str], str], type: str) -> Function:
    def make(_: Compiler, __: Code, ___: tuple[Tree, ...]) -> Code:
        return collection(lambda _this, scope: [Node(cut(scope.now()), type)], (type,))

    return Function(make)


def _of_day(now: str) -> str:
    return now[11:].removesuffix("Z")[:12]


FUNCTIONS: Final[Mapping[str, Function]] = {
    "extension": Function(_extension, 1, 1),
    "hasValue": asking(_has_value),
    "getValue": of_collection(_value),
    "resolve": Function(_resolve),
    "memberOf": _asked_outside("memberOf", lambda environment: environment.member_of),
    "conformsTo": _asked_outside("conformsTo", lambda environment: environment.conforms_to),
    "htmlChecks": asking(_html_checks),
    "now": _at(lambda now: now, DATE_TIME),
    "today": _at(lambda now: now[:10], DATE),
    "timeOfDay": _at(_of_day, TIME),
}
