"""What is equal, equivalent, earlier or later, greater or less.

http://hl7.org/fhirpath/N1/#equality · http://hl7.org/fhirpath/N1/#comparison

Numbers are equal by value (``1.10`` and ``1.1``), moments by the span they cover, quantities across units that can be
converted, all else as it is written. A date and a text that is no date literal are compared as texts.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from fhir_server.fhirpath import moments, quantities
from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.refused import Misfit
from fhir_server.fhirpath.system import MOMENTS, NUMBERS, Sort, a, number, sort_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fhir_server.fhir.json import Json
    from fhir_server.fhirpath.effort import Effort
    from fhir_server.fhirpath.node import Node

Key: TypeAlias = object
"""What is the same of two elements exactly when they are equal; it can be looked up."""


def equal(left: Sequence[Node], right: Sequence[Node], effort: Effort) -> bool | None:
    """``=``: of two collections, in order; unknown where one is empty."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    found: bool | None = True
    for one, other in zip(left, right, strict=True):
        same = equal_nodes(one, other, effort)
        if same is False:
            return False
        found = found if same else None
    return found


def equal_nodes(one: Node, other: Node, effort: Effort) -> bool | None:
    """``=`` of two elements; unknown for moments and quantities that cannot be told apart or together."""
    value, wanted = one.value, other.value
    if value.__class__ is str and wanted.__class__ is str:
        sort = sort_of(one)
        if sort is Sort.STRING or (kind := sort_of(other)) is Sort.STRING:
            return value == wanted
        return _equal_moments(str(value), str(wanted), sort, kind)
    if value is None and wanted is None:
        return key_of_json(one.about, effort) == key_of_json(other.about, effort)
    if value is None or wanted is None:
        return None
    if isinstance(value, dict) and isinstance(wanted, dict):
        if sort_of(one) is Sort.QUANTITY and sort_of(other) is Sort.QUANTITY:
            return quantities.equal(value, wanted)
        return key_of_json(value, effort) == key_of_json(wanted, effort)
    if isinstance(value, list) or isinstance(wanted, list):
        return key_of_json(value, effort) == key_of_json(wanted, effort)
    if (quantity := _mixed(one, other)) is not None:
        return quantities.equal(*quantity)
    return _scalar(value) == _scalar(wanted)


def _mixed(one: Node, other: Node) -> tuple[dict[str, Json], dict[str, Json]] | None:
    """A quantity and a number, which is one without a unit."""
    left, right = sort_of(one), sort_of(other)
    if left is Sort.QUANTITY and right in NUMBERS and isinstance(one.value, dict):
        return one.value, {"value": other.value, "code": "1"}
    if right is Sort.QUANTITY and left in NUMBERS and isinstance(other.value, dict):
        return {"value": one.value, "code": "1"}, other.value
    return None


def _equal_moments(one: str, other: str, left: Sort, right: Sort) -> bool | None:
    if (left is Sort.TIME) != (right is Sort.TIME):
        return False
    is_time = left is Sort.TIME
    if one == other:
        return True
    if moments.covered(one, is_time=is_time) is None or moments.covered(other, is_time=is_time) is None:
        return False
    order = moments.compared(one, other, is_time=is_time)
    return None if order is None else order == 0


def order_of(one: Node, other: Node, sign: str) -> int | None:
    """Below, at or above zero as the first is less, equal or greater; nothing where it cannot be told."""
    left, right = sort_of(one), sort_of(other)
    value, wanted = one.value, other.value
    if left in NUMBERS and right in NUMBERS:
        return _ordered(number(value) or 0, number(wanted) or 0)
    if left is Sort.STRING and right is Sort.STRING:
        text, limit = str(value), str(wanted)
        return (text > limit) - (text < limit)
    if (left in MOMENTS and right in MOMENTS) or left is right is Sort.TIME:
        return moments.compared(str(value), str(wanted), is_time=left is Sort.TIME)
    if left is right is Sort.QUANTITY and isinstance(value, dict) and isinstance(wanted, dict):
        return quantities.compared(value, wanted)
    if (quantity := _mixed(one, other)) is not None:
        return quantities.compared(*quantity)
    raise Misfit(told("not-compared", one=a(left), other=a(right), sign=sign))


def _ordered(one: int | Decimal, other: int | Decimal) -> int:
    return (one > other) - (one < other)


def key_of(node: Node, effort: Effort) -> Key:
    """The same for elements that are equal, so that many are compared at once: `union`, `distinct` and the like.

    Of two moments that nobody can tell apart it differs.
    """
    value = node.value
    if value.__class__ is str:
        sort = sort_of(node)
        if sort is Sort.DATE_TIME or sort is Sort.TIME:
            span = moments.covered(str(value), is_time=sort is Sort.TIME)
            if span is not None and span.high - span.low <= moments.SECOND:
                return sort, span.low, moments.has_zone(str(value))
            return value if span is None else (sort if sort is Sort.TIME else "", span)
        return value
    if isinstance(value, dict) and sort_of(node) is Sort.QUANTITY:
        return quantities.key_of(value) or key_of_json(value, effort)
    if value is None:
        return "", key_of_json(node.about, effort)
    return key_of_json(value, effort)


def key_of_json(value: Json, effort: Effort) -> Key:
    """The same for JSON that says the same."""
    effort.spend(1)
    if isinstance(value, dict):
        return "{}", frozenset((name, key_of_json(part, effort)) for name, part in value.items())
    if isinstance(value, list):
        return "[]", tuple(key_of_json(part, effort) for part in value)
    return _scalar(value)


def _scalar(value: Json) -> Key:
    """A value; Python takes true for 1."""
    return ("?", value) if value is True or value is False or value is None else value


def distinct(nodes: Iterable[Node], effort: Effort) -> list[Node]:
    """Each once, in the order of their first."""
    found: dict[Key, Node] = {}
    for node in nodes:
        found.setdefault(key_of(node, effort), node)
    return list(found.values())


def keys_of(nodes: Iterable[Node], effort: Effort) -> set[Key]:
    """Of all of them."""
    return {key_of(node, effort) for node in nodes}


def equivalent(left: Sequence[Node], right: Sequence[Node], effort: Effort) -> bool:
    """``~``: of two collections, in any order; two empty ones are."""
    if len(left) != len(right):
        return False
    if len(left) == 1:
        return equivalent_nodes(left[0], right[0], effort)
    remaining = list(right)
    for one in left:
        effort.spend(len(remaining))
        at = next((at for at, other in enumerate(remaining) if equivalent_nodes(one, other, effort)), None)
        if at is None:
            return False
        del remaining[at]
    return True


def equivalent_nodes(one: Node, other: Node, effort: Effort) -> bool:
    """``~`` of two elements: texts but for case and white space, numbers as far as the less exact one tells."""
    left, right = sort_of(one), sort_of(other)
    if left is right is Sort.QUANTITY and isinstance(one.value, dict) and isinstance(other.value, dict):
        return quantities.equivalent(one.value, other.value)
    if (left in MOMENTS and right in MOMENTS) or left is right is Sort.TIME:
        return _equal_moments(str(one.value), str(other.value), left, right) is True
    return _equivalent_json(one.value, other.value, effort)


def _equivalent_json(one: Json, other: Json, effort: Effort) -> bool:
    effort.spend(1)
    if isinstance(one, str) and isinstance(other, str):
        effort.spend((len(one) + len(other)) // 256)
        return one.lower().split() == other.lower().split()
    left, right = number(one), number(other)
    if left is not None and right is not None:
        return quantities.near(left, right)
    if isinstance(one, dict) and isinstance(other, dict):
        names = (one.keys() | other.keys()) - {"id"}
        return all(name in one and name in other and _equivalent_json(one[name], other[name], effort) for name in names)
    if isinstance(one, list) and isinstance(other, list):
        return _equivalent_lists(one, other, effort)
    return _scalar(one) == _scalar(other) and one.__class__ is other.__class__


def _equivalent_lists(one: list[Json], other: list[Json], effort: Effort) -> bool:
    if len(one) != len(other):
        return False
    remaining = list(other)
    for part in one:
        at = next((at for at, wanted in enumerate(remaining) if _equivalent_json(part, wanted, effort)), None)
        if at is None:
            return False
        del remaining[at]
    return True
