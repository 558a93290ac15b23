"""What a compiled expression is made of: closures over what is looked at and the surroundings of the evaluation.

Each part is compiled to three: the collection it gives, its truth, and whether it gives anything. So a condition makes
no collection only to be asked whether there is something in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.fhirpath.messages import told as message
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.refused import TooMuch
from fhir_server.fhirpath.system import BOOLEAN, told, truth

if TYPE_CHECKING:
    from fhir_server.fhirpath.effort import Effort

LONGEST_TEXT: Final = 1_000_000
"""Characters of a text that an expression makes or looks into."""
_CHARACTERS: Final = 256
"""Of a text, so many are as much work as one element."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What an expression may ask of the world around the element it looks at.

    https://hl7.org/fhir/R4/fhirpath.html#variables · https://hl7.org/fhir/R4/fhirpath.html#functions
    """

    resource: Node
    """``%resource``: the resource that holds the element; of a contained one, that one."""
    root: Node
    """``%rootResource``: the resource that holds the contained ones."""
    context: Node
    """``%context``: the element the evaluation began with."""
    resolve: Callable[[str], Node | None]
    """The resource a reference points to; nothing where it cannot be had."""
    member_of: Callable[[Node, str], bool | None]
    """Whether a code, a Coding or a CodeableConcept is in a value set; nothing where it cannot be told."""
    conforms_to: Callable[[Node, str], bool | None]
    """Whether an element conforms to a profile; nothing where it cannot be told."""
    now: Callable[[], str]
    """The time of the evaluation as an instant, asked once for each evaluation at most."""
    is_narrative: Callable[[str], bool] | None = None
    """Whether a text is the XHTML of a narrative (``htmlChecks()``); without it, who evaluates checks narratives
    himself, and they are taken to be."""


class Scope:
    """One evaluation: its surroundings, what is left of the effort, and where the innermost loop is."""

    __slots__ = ("_now", "effort", "environment", "index", "memory", "total")

    def __init__(self, environment: Environment, effort: Effort) -> None:
        """Begin outside of all loops."""
        self.environment = environment
        self.effort = effort
        self.index = 0
        self.total: list[Node] = []
        self.memory: dict[object, list[Node]] = {}
        self._now = ""

    def now(self) -> str:
        """The same time for the whole evaluation."""
        if not self._now:
            self._now = self.environment.now()
        return self._now

    def room(self, characters: int) -> None:
        """Spend what it takes to look at a text, or to make one; refuse one that is too long."""
        if characters > LONGEST_TEXT:
            raise TooMuch(message("text-too-long", most=LONGEST_TEXT))
        self.effort.spend(characters // _CHARACTERS)


Run: TypeAlias = Callable[[Node, Scope], list[Node]]
Truth: TypeAlias = Callable[[Node, Scope], "bool | None"]
Some: TypeAlias = Callable[[Node, Scope], bool]


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled part of an expression; each closure takes ``$this`` and the scope."""

    run: Run
    """The collection. Nobody changes one that he is given."""
    truth: Truth
    """The collection where a Boolean is expected; nothing where it is unknown."""
    some: Some
    """Whether there is anything in the collection."""
    types: tuple[str, ...] = ()
    """The types its elements may have; none where they are not known before the evaluation."""
    weight: int = 1
    """Steps it takes for one ``$this``, loops not counted: these are spent while they run."""
    asks: bool = False
    """Whether it gives one Boolean at most."""
    literal: Node | None = None
    """The value, where it is always the same."""


def collection(run: Run, types: tuple[str, ...] = (), weight: int = 1, some: Some | None = None) -> Code:
    """What gives elements."""

    def as_truth(this: Node, scope: Scope) -> bool | None:
        return truth(run(this, scope))

    def is_some(this: Node, scope: Scope) -> bool:
        return bool(run(this, scope))

    return Code(run, as_truth, some or is_some, types, weight)


_BOOLEAN: Final = (BOOLEAN,)


def question(asked: Truth, weight: int = 1) -> Code:
    """What is true, false or unknown."""

    def run(this: Node, scope: Scope) -> list[Node]:
        return told(asked(this, scope))

    def is_some(this: Node, scope: Scope) -> bool:
        return asked(this, scope) is not None

    return Code(run, asked, is_some, _BOOLEAN, weight, asks=True)


def remembered(code: Code) -> Code:
    """What is the same for each element of a loop, found when the first asks for it."""
    key, find = object(), code.run

    def run(this: Node, scope: Scope) -> list[Node]:
        found = scope.memory.get(key)
        if found is None:
            found = scope.memory[key] = find(this, scope)
        return found

    return collection(run, code.types)


def constant(nodes: list[Node]) -> Code:
    """What is always the same."""
    holds = truth(nodes) if len(nodes) <= 1 else None
    there = bool(nodes)
    return Code(
        lambda _this, _scope: nodes,
        lambda _this, _scope: holds,
        lambda _this, _scope: there,
        tuple(dict.fromkeys(node.type for node in nodes)),
        literal=nodes[0] if len(nodes) == 1 else None,
    )


THIS: Final = Code(
    lambda this, _: [this],
    lambda this, _: truth([this]),
    lambda _this, _: True,
    weight=0,
)
"""``$this``; of unknown type."""
