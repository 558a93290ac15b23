"""Compiles the tree of an expression to closures.

http://hl7.org/fhirpath/N1/#operations · :mod:`fhir_server.fhirpath.functions` has the functions.

Names are checked where the types are known: an invariant that asks for an element its type does not have would hold
always, or never, and nobody would see it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from fhir_server.fhirpath import code as codes
from fhir_server.fhirpath import operators, places, system
from fhir_server.fhirpath.code import THIS, Code, Scope, collection, constant, remembered
from fhir_server.fhirpath.functions import FUNCTIONS, REFUSED
from fhir_server.fhirpath.grammar import shortened
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.path import no_element
from fhir_server.fhirpath.refused import NotUnderstood
from fhir_server.fhirpath.tree import (
    Call,
    Index,
    Literal,
    Name,
    Negative,
    Nothing,
    Operation,
    Tree,
    Typed,
    Variable,
    is_fixed,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from fhir_server.fhirpath.model import Model

DEEPEST: Final = 100
"""Steps of a path, and of what is within its conditions, one after the other."""

_FEW: Final = 8
"""Elements of one name that are paid for with the step to them."""

_CONSTANTS: Final = {
    "%ucum": "http://unitsofmeasure.org",
    "%sct": "http://snomed.info/sct",
    "%loinc": "http://loinc.org",
}
_NAMED: Final = {
    "%vs-": "http://hl7.org/fhir/ValueSet/",
    "%ext-": "http://hl7.org/fhir/StructureDefinition/",
}
_SURROUNDINGS: Final[dict[str, Callable[[codes.Environment], Node]]] = {
    "%resource": lambda environment: environment.resource,
    "%rootResource": lambda environment: environment.root,
    "%context": lambda environment: environment.context,
}


class Compiler:
    """Compiles what is looked up in elements of some types."""

    def __init__(self, model: Model, types: tuple[str, ...], depth: int = 0, *, in_loop: bool = False) -> None:
        """``types`` are those that ``$this`` may have; none, where they are not known."""
        self.model = model
        self.types = types
        self._depth = depth
        self._in_loop = in_loop

    def within(self, types: tuple[str, ...]) -> Compiler:
        """For the condition or the projection of a loop over elements of these types."""
        return Compiler(self.model, types, self._depth, in_loop=True)

    def code(self, tree: Tree) -> Code:
        """Compile one part."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotUnderstood(told("too-deep", most=DEEPEST))
        if self._in_loop and isinstance(tree, (Name, Call, Index, Operation)) and is_fixed(tree):
            self._in_loop = False
            made = remembered(self._made(tree))
            self._in_loop = True
        else:
            made = self._made(tree)
        self._depth -= 1
        return made

    def _made(self, tree: Tree) -> Code:  # noqa: C901 - one case for each kind of part
        match tree:
            case Nothing():
                return constant(system.NOTHING)
            case Literal(value, type):
                return constant([Node(value, type)])
            case Variable(name):
                return self._variable(name)
            case Name(of, name):
                return self._beginning(name) if of is None else self.child(self.code(of), name)
            case Call():
                return self._call(tree)
            case Index(of, at):
                return operators.item(self.code(of), self.code(at))
            case Negative(of):
                return operators.negative(self.code(of))
            case Typed(of, "is", type):
                return operators.is_of(self.code(of), self.type_test(type))
            case Typed(of, _, type):
                return self.narrowed(self.code(of), type)
            case Operation(operator, operands):
                return operators.operation(operator, [self.code(operand) for operand in operands])
            case _:
                assert_never(tree)

    def _variable(self, name: str) -> Code:
        match name:
            case "$this":
                return self.this
            case "$index":
                return collection(lambda _, scope: system.integer(scope.index), (system.INTEGER,))
            case "$total":
                return collection(lambda _, scope: scope.total)
        if (of := _SURROUNDINGS.get(name)) is not None:
            return collection(lambda _, scope: [of(scope.environment)], some=lambda _this, _scope: True)
        if (value := _CONSTANTS.get(name)) is not None:
            return constant(system.text(value))
        for prefix, url in _NAMED.items():
            if name.startswith(prefix):
                return constant(system.text(url + name.removeprefix(prefix)))
        raise NotUnderstood(told("no-variable", name=shortened(name)))

    @property
    def this(self) -> Code:
        """``$this``, with its types."""
        return replace(THIS, types=self.types)

    def _beginning(self, name: str) -> Code:
        """A name at the beginning of a path: the type of what is looked at, or an element of it.

        An element goes first: in ``value.where(code = 'x')`` the value may be a code, and what is meant is Coding.code.
        """
        is_type = name in self.types and not (self._are_known(self.types) and self.model.members(self.types, name))
        if is_type or (name[:1].isupper() and self.model.knows(name)):
            if self._are_known(self.types) and not self._narrower(self.types, name):
                raise NotUnderstood(told("never-looked-at", name=name))
            return self.narrowed(self.this, name)
        return self.child(self.this, name)

    def child(self, of: Code, name: str) -> Code:
        """The elements of this name."""
        types = self._child_types(of.types, name)
        step = places.named(name, self.model)
        there = places.there(name, self.model)
        before = of.run

        def of_this(this: Node, scope: Scope) -> list[Node]:
            found = step(this)
            if len(found) > _FEW:
                scope.effort.spend(len(found))
            return found

        def run(this: Node, scope: Scope) -> list[Node]:
            nodes = before(this, scope)
            if len(nodes) == 1:
                return of_this(nodes[0], scope)
            found = [child for node in nodes for child in step(node)]
            scope.effort.spend(len(nodes) + len(found))
            return found

        def some(this: Node, scope: Scope) -> bool:
            nodes = before(this, scope)
            scope.effort.spend(len(nodes))
            return any(there(node) for node in nodes)

        if before is THIS.run:
            return collection(of_this, types, some=lambda this, _: there(this))
        return collection(run, types, of.weight + 1, some)

    def _child_types(self, types: tuple[str, ...], name: str) -> tuple[str, ...]:
        """Those its elements may have; a name that none of the types has is refused."""
        if not self._are_known(types):
            return ()
        members = self.model.members(types, name)
        if not members:
            raise NotUnderstood(no_element(types, name, self.model))
        return tuple(dict.fromkeys(code for _, names in members.values() for code in names.values()))

    def _call(self, call: Call) -> Code:
        function = FUNCTIONS.get(call.name)
        if function is None:
            why = told(REFUSED.get(call.name, "no-such-function"))
            raise NotUnderstood(told("not-a-function", name=shortened(call.name), why=why))
        given = len(call.arguments)
        if not function.least <= given <= function.most:
            least, most = function.least, function.most
            if least == most:
                raise NotUnderstood(told("arguments", name=call.name, number=least, found=given))
            raise NotUnderstood(told("arguments-between", name=call.name, least=least, most=most, found=given))
        of = self.this if call.of is None else self.code(call.of)
        return function.make(self, of, call.arguments)

    def type_test(self, name: str) -> operators.TypeTest:
        """Whether an element is of a type: FHIR's, where both models have the name."""
        model, _, short = name.rpartition(".")
        if model in ("", "FHIR") and self.model.knows(short):
            return self._fhir_test(short, also_system=model == "" and short == "Quantity")
        if model in ("", "System") and (full := f"System.{short}") in system.TYPES:
            return lambda node: node.type == full
        if not model and short in self.types:
            return lambda node: node.type == short
        raise NotUnderstood(told("no-type", name=shortened(name)))

    def _fhir_test(self, name: str, *, also_system: bool) -> operators.TypeTest:
        known: dict[str, bool] = {system.QUANTITY: also_system}

        def test(node: Node) -> bool:
            found = known.get(node.type)
            if found is None:
                found = known[node.type] = self.model.is_a(node.type, name)
            return found

        return test

    def narrowed(self, of: Code, name: str) -> Code:
        """Those of a type. A primitive is of its own type alone, as HL7 has it: a code is no string here."""
        short = name.rpartition(".")[2]
        if not self.model.knows(short) or name.startswith("System."):
            return operators.of_type(of, self.type_test(name))
        if self.model.is_primitive(short):
            return replace(operators.of_type(of, lambda node: node.type == short), types=(short,))
        types = self._narrower(of.types, short) or (short,)
        return replace(operators.of_type(of, self.type_test(name)), types=types)

    def _are_known(self, types: tuple[str, ...]) -> bool:
        """Whether their elements are all that there may be."""
        return bool(types) and not any(self.model.is_open(type) for type in types)

    def _narrower(self, types: tuple[str, ...], general: str) -> tuple[str, ...]:
        """Those of the types that are the other one or a more special one: a backbone element keeps its own name."""
        if not self._are_known(types):
            return ()
        return tuple(type for type in types if self.model.is_a(type, general))

    def type_argument(self, tree: Tree) -> str:
        """The type that is the argument of ``ofType()`` and the like."""
        match tree:
            case Name(None, name):
                return name
            case Name(Name(None, model), name):
                return f"{model}.{name}"
            case Literal(str() as name, system.STRING):
                return name
            case _:
                raise NotUnderstood(told("type-expected"))
