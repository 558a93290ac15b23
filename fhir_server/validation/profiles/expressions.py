"""The expressions of profiles, compiled, with what they may ask of the resource they look at.

https://hl7.org/fhir/R4/fhirpath.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.fhirpath.expression import Environment, compile_expression
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.refused import NotUnderstood, Refused, TooMuch
from fhir_server.validation.profiles import coded

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhirpath.model import Model
    from fhir_server.validation.profiles.profile import Holds, Library, Selected
    from fhir_server.validation.profiles.scope import Scope


class Expressions:
    """Compiles expressions."""

    def __init__(self, library: Library, model: Model, now: Callable[[], str]) -> None:
        """``now`` tells the time as an instant."""
        self._library = library
        self._model = model
        self._now = now

    def holds(self, text: str, types: Sequence[str]) -> Holds:
        """Whether an invariant holds for an item; raises :class:`NotUnderstood`.

        The answer raises :class:`Refused` where the evaluation of the expression ends with an error. Of a resource in
        another one, ``%resource`` is that other one, which asks; what it refers to is found from where it stands.
        """
        compiled = compile_expression(text, self._model, types=types)
        asks_context = "%context" in text

        def holds(value: Json, about: Json, type: str, scope: Scope) -> bool:
            focus = Node(value, type, about)
            environment = self._environment(scope)
            if asks_context:
                environment = replace(environment, context=focus)
            if isinstance(value, dict) and value is not scope.resource and "resourceType" in value:
                environment = replace(environment, resolve=self._environment(scope.run.scope(value)).resolve)
            return compiled.holds(focus, environment, scope.run.effort)

        return holds

    def selected(self, text: str) -> Selected:
        """Whether a path selects the element with these members; one that is not understood selects everything."""
        try:
            compiled = compile_expression(text, self._model)
        except NotUnderstood:
            return lambda _held, _scope: True

        def selected(held: JsonObject, scope: Scope) -> bool:
            environment = self._environment(scope)
            try:
                nodes = compiled.evaluate(environment.resource, environment, scope.run.effort)
            except TooMuch:
                raise
            except Refused:
                return True
            return any(node.value is held or node.about is held for node in nodes)

        return selected

    def _environment(self, scope: Scope) -> Environment:
        known = scope.environment
        if known is not None:
            return known
        resource = _node(scope.resource)

        def resolve(reference: str) -> Node | None:
            target = scope.target(reference)
            return None if target is None else _node(target.resource)

        def member_of(node: Node, value_set: str) -> bool | None:
            return coded.answer(coded.members(self._library.codes, value_set), node.value, node.type, scope)

        def conforms_to(node: Node, url: str) -> bool | None:
            try:
                return self._library.check(url).conforms(node.value, scope, node.type)
            except BadProfile:
                return None

        made = Environment(
            resource=resource,
            root=resource if scope.root is scope.resource else _node(scope.root),
            context=resource,
            resolve=resolve,
            member_of=member_of,
            conforms_to=conforms_to,
            now=self._now,
        )
        scope.environment = made
        return made


def _node(resource: JsonObject) -> Node:
    told = resource.get("resourceType")
    return Node(resource, told if isinstance(told, str) else "Resource")
