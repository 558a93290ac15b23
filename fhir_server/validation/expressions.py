"""The invariants of the standard that are checked by their own expression, with the engine of `fhirpath`.

https://hl7.org/fhir/R4/conformance-rules.html#constraints

Resources of care are checked by closures (`invariants`), which cost a tenth. The expressions are of definitions,
which are written seldom; one is compiled when the first resource comes that it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fhir_server.definitions.tables import Definitions, Element, Invariant, Structure
from fhir_server.fhir.json import JsonObject
from fhir_server.fhirpath.effort import MOST_LOOKED_AT, Effort
from fhir_server.fhirpath.expression import Environment, Expression, compile_expression
from fhir_server.fhirpath.model import Model
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.refused import Misfit
from fhir_server.validation import invariants
from fhir_server.validation.predicates import Holds

_NO_TIME: Final = "1970-01-01T00:00:00Z"
"""No invariant of the standard asks for the time."""
MOST_ASKED: Final = 3_000_000
"""Elements that the expressions look at for one resource together, two seconds: a Bundle holds many definitions, and
the bound of each is its own. The largest that HL7 publishes (4.5 MB of extensions) needs 800,000."""


class Expressions:
    """The expressions of the tables, as questions about JSON objects."""

    def __init__(self, definitions: Definitions, most: int = MOST_ASKED) -> None:
        """Compile nothing yet."""
        self._most = self._left = most
        self._definitions = definitions
        self._model = Model(definitions)

    def begin(self) -> None:
        """Begin with a resource, and all the effort for it."""
        self._left = self._most

    def of_structure(self, structure: Structure) -> Iterator[tuple[Holds, Invariant, str]]:
        """Those of a structure, each with the path, from there, of what it is about."""
        for invariant in structure.invariants:
            if invariant.key in invariants.BY_EXPRESSION:
                yield self._holds(invariant.expression, structure.name), invariant, ""
        if structure.name not in invariants.BY_EXPRESSION_ABOVE.values():
            return
        for element in structure.elements:
            for invariant in self._asked_above(element):
                yield (
                    self._holds(f"{element.name}.all({invariant.expression})", structure.name),
                    invariant,
                    element.name,
                )

    def of_use(self, element: Element, type: str) -> Iterator[tuple[Holds, Invariant]]:
        """Those of one use of a data type, for the type it has."""
        for invariant in element.invariants:
            if invariant.key in invariants.BY_EXPRESSION_OF_USE:
                yield self._holds(invariant.expression, type), invariant

    def _asked_above(self, element: Element) -> Iterator[Invariant]:
        """Those of an element that cannot be asked where it is: it is a primitive, or they look at the resource."""
        below = [invariant for use in element.types for invariant in self._of_backbone(use.code)]
        for invariant in (*element.invariants, *below):
            if invariant.key in invariants.BY_EXPRESSION_ABOVE:
                yield invariant

    def _of_backbone(self, type: str) -> tuple[Invariant, ...]:
        structure = self._definitions.structures[type]
        return structure.invariants if structure.kind == "backbone" else ()

    def _holds(self, text: str, type: str) -> Holds:
        compiled: list[Expression] = []

        def holds(value: JsonObject) -> bool:
            if not compiled:
                compiled.append(compile_expression(text, self._model, types=(type,)))
            node = Node(value, type)
            environment = Environment(node, node, node, _unknown, _cannot_tell, _cannot_tell, lambda: _NO_TIME)
            given = min(MOST_LOOKED_AT, self._left)
            effort = Effort(given)
            try:
                return compiled[0].holds(node, environment, effort)
            except Misfit:
                return True  # a value of the wrong type, which is reported as such
            finally:
                self._left -= given - max(effort.left, 0)

        return holds


def _unknown(_: str) -> Node | None:
    return None


def _cannot_tell(_: Node, __: str) -> bool | None:
    return None
