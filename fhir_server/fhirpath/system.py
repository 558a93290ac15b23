"""The values FHIRPath computes with, and how elements of FHIR are such values.

http://hl7.org/fhirpath/N1/#literals · https://hl7.org/fhir/R4/fhirpath.html#types

A text stands for a date, a date and time, or a time of day where the type of the element says so. What a value is is
told by the JSON first: an element may hold anything before it has been validated.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.messages import Told
from fhir_server.fhirpath.messages import told as message
from fhir_server.fhirpath.node import Node
from fhir_server.fhirpath.refused import Misfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.json import Json

BOOLEAN: Final = "System.Boolean"
STRING: Final = "System.String"
INTEGER: Final = "System.Integer"
DECIMAL: Final = "System.Decimal"
DATE: Final = "System.Date"
DATE_TIME: Final = "System.DateTime"
TIME: Final = "System.Time"
QUANTITY: Final = "System.Quantity"
TYPES: Final = frozenset({BOOLEAN, STRING, INTEGER, DECIMAL, DATE, DATE_TIME, TIME, QUANTITY})
"""The System types."""

UCUM: Final = "http://unitsofmeasure.org"

LEAST, GREATEST = -(2**31), 2**31 - 1
"""An Integer has 32 bits; what does not fit is no result."""


class Sort(Enum):
    """What a value is for operators."""

    NOTHING = 0
    """An element that has extensions alone."""
    BOOLEAN = 1
    STRING = 2
    INTEGER = 3
    DECIMAL = 4
    DATE = 5
    DATE_TIME = 6
    TIME = 7
    QUANTITY = 8
    OTHER = 9
    """An element with elements of its own."""


_OF_TEXT: Final = {
    "date": Sort.DATE,
    DATE: Sort.DATE,
    "dateTime": Sort.DATE_TIME,
    "instant": Sort.DATE_TIME,
    DATE_TIME: Sort.DATE_TIME,
    "time": Sort.TIME,
    TIME: Sort.TIME,
}
_QUANTITIES: Final = frozenset(
    {QUANTITY, "Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity", "MoneyQuantity"}
)
_DECIMALS: Final = frozenset({"decimal", DECIMAL})

NUMBERS: Final = frozenset({Sort.INTEGER, Sort.DECIMAL})
MOMENTS: Final = frozenset({Sort.DATE, Sort.DATE_TIME})


def sort_of(node: Node) -> Sort:
    """What a value is."""
    value = node.value
    made = value.__class__
    if made is str:
        return _OF_TEXT.get(node.type, Sort.STRING)
    if made is bool:
        return Sort.BOOLEAN
    if made is int:
        return Sort.DECIMAL if node.type in _DECIMALS else Sort.INTEGER
    if isinstance(value, Decimal):
        return Sort.DECIMAL if value.is_finite() else Sort.OTHER
    if value is None:
        return Sort.NOTHING
    return Sort.QUANTITY if node.type in _QUANTITIES and isinstance(value, dict) else Sort.OTHER


def system_type(sort: Sort) -> str:
    """The System type of a value; empty where it has none."""
    return _TYPES.get(sort, "")


_TYPES: Final = {
    Sort.BOOLEAN: BOOLEAN,
    Sort.STRING: STRING,
    Sort.INTEGER: INTEGER,
    Sort.DECIMAL: DECIMAL,
    Sort.DATE: DATE,
    Sort.DATE_TIME: DATE_TIME,
    Sort.TIME: TIME,
    Sort.QUANTITY: QUANTITY,
}

TRUE: Final = [Node(True, BOOLEAN)]  # noqa: FBT003 - it is the value
FALSE: Final = [Node(False, BOOLEAN)]  # noqa: FBT003 - it is the value
NOTHING: Final[list[Node]] = []


def told(value: bool | None) -> list[Node]:  # noqa: FBT001 - what is told
    """A truth as a collection. Nobody changes a collection he is given: these are the same each time."""
    if value is None:
        return NOTHING
    return TRUE if value else FALSE


def text(value: str) -> list[Node]:
    """A text as a collection."""
    return [Node(value, STRING)]


def integer(value: int) -> list[Node]:
    """A whole number as a collection; none that has more than 32 bits."""
    return [Node(value, INTEGER)] if LEAST <= value <= GREATEST else NOTHING


def quantity(value: Decimal | int, unit: str) -> Node:
    """A quantity; its unit is a code of UCUM, or a word such as ``year``."""
    return Node({"value": value, "code": unit, "system": UCUM}, QUANTITY)


def truth(nodes: Sequence[Node]) -> bool | None:
    """A collection where a Boolean is expected: http://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections."""
    if not nodes:
        return None
    if len(nodes) > 1:
        raise several(nodes, "condition")
    value = nodes[0].value
    if value.__class__ is bool:
        return value is True
    return None if value is None else True


def single(nodes: Sequence[Node], what: str, name: str = "") -> Node | None:
    """The one value; nothing where there is none, or only something said about one that is missing.

    ``what`` needs it, of that ``name``, is told where there are several: a key of `messages/evaluation.toml`.
    """
    if not nodes:
        return None
    if len(nodes) > 1:
        raise several(nodes, what, name)
    return nodes[0] if nodes[0].value is not None else None


def several(nodes: Sequence[Node], what: str, name: str = "") -> Misfit:
    """That there is more than one value where one may be."""
    return Misfit(message(what, number=len(nodes), name=name))


def a(sort: Sort) -> Told:
    """A value of this sort, with its article."""
    match sort:
        case Sort.OTHER:
            return message("with-elements")
        case Sort.NOTHING:
            return message("without-value")
        case _:
            name = system_type(sort).removeprefix("System.")
            return message("an" if name[0] in "AEIOU" else "a", name=name)


def number(value: Json) -> int | Decimal | None:
    """A JSON number; nothing where the value is none."""
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
