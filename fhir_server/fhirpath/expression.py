"""An expression of FHIRPath, compiled once and evaluated on many elements: invariants, discriminators, slices.

http://hl7.org/fhirpath/N1/ · https://hl7.org/fhir/R4/fhirpath.html

All of the language that R4 and its profiles use is understood; what is not is refused when the expression is compiled,
and the sentence names it. Patches have a subset of their own (`path`): they must know where an element is.

What an evaluation costs is bounded by its `Effort`; what it spends to the end is no answer but `TooMuch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from fhir_server.fhirpath.code import Code, Environment, Scope
from fhir_server.fhirpath.compiler import Compiler
from fhir_server.fhirpath.grammar import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhirpath.effort import Effort
    from fhir_server.fhirpath.model import Model
    from fhir_server.fhirpath.node import Node

__all__ = ["Environment", "Expression", "compile_expression"]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression."""

    text: str
    code: Code

    def evaluate(self, focus: Node, environment: Environment, effort: Effort) -> list[Node]:
        """The collection it gives of an element. Its nodes know no place: they have no parent and no name.

        Raises `Misfit` where the language says that the evaluation ends with an error (several elements where one may
        be, a text compared with a number), and `TooMuch` when the effort is spent.
        """
        effort.spend(self.code.weight)
        return list(self.code.run(focus, Scope(environment, effort)))

    def holds(self, focus: Node, environment: Environment, effort: Effort) -> bool:
        """Whether an invariant is satisfied, as HL7's validator has it: by what is true, and by what is there.

        An empty result does not satisfy; neither does one zero. Raises what `evaluate` raises.
        """
        effort.spend(self.code.weight)
        scope = Scope(environment, effort)
        if self.code.asks:
            return self.code.truth(focus, scope) is True
        found = self.code.run(focus, scope)
        if len(found) != 1:
            return bool(found)
        value = found[0].value
        return bool(value) if isinstance(value, (bool, int, Decimal)) else True


def compile_expression(text: str, model: Model, *, types: Sequence[str] = ()) -> Expression:
    """Compile an expression for elements of these types; for any, where none is told.

    With the types, a name that none of them has is refused as well: `NotUnderstood`, with a sentence.
    """
    return Expression(text, Compiler(model, tuple(types)).code(parse(text)))
