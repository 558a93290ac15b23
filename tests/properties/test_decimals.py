"""The texts of decimals have the order of the numbers; and a number of a query stands for what rounds to it."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json
from fhir_server.search import decimals
from fhir_server.search.predicate import matches
from fhir_server.search.types import number, quantity
from fhir_server.search.types.ordered import Relation


def made(digits: st.SearchStrategy[list[int]], exponents: st.SearchStrategy[int]) -> st.SearchStrategy[Decimal]:
    return st.builds(
        lambda sign, some, exponent: Decimal((sign, tuple(some), exponent)), st.booleans(), digits, exponents
    )


few: Final = st.lists(st.sampled_from([0, 1, 4, 5, 9]), min_size=1, max_size=6)
"""Few digits of few kinds, so that numbers are neighbours, prefixes of each other, or equal in another scale."""
many: Final = st.lists(st.integers(0, 9), min_size=1, max_size=decimals.MOST_DIGITS)
more: Final = st.lists(st.sampled_from([0, 9]), min_size=95, max_size=130)

exact: Final = st.one_of(
    made(few, st.integers(-6, 3)), made(many, st.integers(-200, 200)), made(few, st.integers(-39_000, 39_000))
)
"""Numbers that are kept whole."""
anything: Final = st.one_of(exact, made(more, st.integers(-200, 200)), made(few, st.integers(-90_000, 90_000)))
"""Also those with more digits than are kept, and those beyond all measure."""


@given(a=exact, b=exact)
@example(a=Decimal("1.2"), b=Decimal("1.20"))
@example(a=Decimal("-1.21"), b=Decimal("-1.2"))
@example(a=Decimal("-0"), b=Decimal("0E+7"))
@example(a=Decimal("1.2"), b=Decimal("1.200000000000000000000000000001"))
@example(a=Decimal(99), b=Decimal("1E+2"))
@example(a=Decimal("9" * 100), b=Decimal("9" * 99 + "8"))
def test_bounds_are_ordered_as_the_numbers_are(a: Decimal, b: Decimal) -> None:
    assert decimals.LOWEST < decimals.below(a) < decimals.above(a) < decimals.HIGHEST
    assert (decimals.above(a) <= decimals.below(b)) is (a < b)
    assert (decimals.below(a) == decimals.below(b)) is (decimals.above(a) == decimals.above(b)) is (a == b)
    assert decimals.bounds(a) == (decimals.below(a), decimals.above(a))


@given(a=anything, b=anything)
@example(a=Decimal("1E-50000"), b=Decimal(0))
@example(a=Decimal("-1E+50000"), b=Decimal("-1E+40000"))
@example(a=Decimal("9" * 101), b=Decimal("1E+101"))
@example(a=Decimal("-" + "9" * 101), b=Decimal("-" + "9" * 100 + "0"))
def test_of_any_numbers_the_order_is_not_turned(a: Decimal, b: Decimal) -> None:
    low, high = (a, b) if a <= b else (b, a)
    assert decimals.below(low) <= decimals.below(high)
    assert decimals.above(low) <= decimals.above(high)
    assert decimals.LOWEST < decimals.below(a) < decimals.above(a) < decimals.HIGHEST
    assert decimals.bounds(a) == (decimals.below(a), decimals.above(a))


@given(kept=exact, any=anything)
@example(kept=Decimal("1." + "9" * 99), any=Decimal("1." + "9" * 120))
@example(kept=Decimal("-1." + "9" * 99), any=Decimal("-1." + "9" * 120))
@example(kept=Decimal("9.9E+39999"), any=Decimal("9.9E+60000"))
def test_a_number_that_is_not_kept_whole_is_still_on_its_side_of_one_that_is(kept: Decimal, any: Decimal) -> None:
    """So that greater and less are exact whatever was stored."""
    assert (decimals.below(any) < decimals.below(kept)) is (any < kept)
    assert (decimals.above(any) > decimals.above(kept)) is (any > kept)


written: Final = st.builds(
    lambda sign, whole, fraction, exponent: f"{sign}{whole}{fraction}{exponent}",
    st.sampled_from(["", "-"]),
    st.sampled_from(["0", "1", "5", "10", "99", "100", "120"]),
    st.sampled_from(["", ".0", ".5", ".05", ".40", ".999"]),
    st.sampled_from(["", "e0", "e2", "E-3", "e+1"]),
)


def step(text: str) -> Fraction:
    """One unit of the last digit that a text writes; an exponent without a fraction counts one digit more."""
    mantissa, _, exponent = text.lower().partition("e")
    fraction = len(mantissa.partition(".")[2])
    if exponent:
        fraction = max(fraction, 1)
    return Fraction(10) ** (int(exponent or 0) - fraction)


@given(text=written, near=st.integers(-30, 30))
@example(text="100", near=5)
@example(text="1e2", near=-5)
@example(text="100.00", near=-5)
def test_a_number_stands_for_all_that_round_to_it(text: str, near: int) -> None:
    """Tenths of a step around it: from half a step below, to without half a step above."""
    value = Fraction(Decimal(text)) + step(text) * near / 10
    stored = Decimal(value.numerator) / Decimal(value.denominator)
    assert Fraction(stored) == value, "tenths of a step are decimals"
    covered = number.extract(stored, "decimal")
    assert covered is not None
    entry = {"ix": {"r": [{"p": "n", "lo": covered.low, "hi": covered.high}]}}
    assert matches(number.predicate("n", [number.parse(text)]), entry) is (-5 <= near < 5)
    assert matches(number.predicate("n", [number.parse(f"ne{text}")]), entry) is not (-5 <= near < 5)


# Small numbers, so that values meet, touch and contain one another: everything is counted in two-hundredths.

GRID: Final = range(-900, 901)
"""From below the lowest number to above the highest; between two ends of intervals there is always a point."""
small: Final = st.integers(-3, 3)


def brute_force(relation: Relation, text: str, value: set[int]) -> bool:
    """The standard's words, point by point."""
    at, half = Fraction(Decimal(text)) * 200, step(text) * 100
    tenth = abs(at) / 10
    above, below = {point for point in GRID if point > at}, {point for point in GRID if point < at}
    around = {point for point in GRID if at - half <= point < at + half}
    near = {point for point in GRID if at - tenth <= point <= at + tenth}
    match relation:
        case Relation.EQ:
            return value <= around
        case Relation.NE:
            return not value <= around
        case Relation.GT:
            return bool(above & value)
        case Relation.LT:
            return bool(below & value)
        case Relation.GE:
            return bool(above & value) or value <= {point for point in GRID if point >= at}
        case Relation.LE:
            return bool(below & value) or value <= {point for point in GRID if point <= at}
        case Relation.SA:
            return value <= above
        case Relation.EB:
            return value <= below
        case Relation.AP:
            return bool(near & value)


texts: Final = st.builds(lambda whole, fraction: f"{whole}{fraction}", small, st.sampled_from(["", ".0", ".5"]))
tenths: Final = st.integers(-35, 35)


def found(relation: Relation, text: str, covered: tuple[str, str]) -> bool:
    entry = {"ix": {"r": [{"p": "n", "lo": covered[0], "hi": covered[1]}]}}
    return matches(number.predicate("n", [number.parse(f"{relation}{text}")]), entry)


@given(relation=st.sampled_from(Relation), text=texts, at=tenths)
def test_prefixes_of_numbers_are_the_words_of_the_standard(relation: Relation, text: str, at: int) -> None:
    covered = number.extract(Decimal(at) / 10, "decimal")
    assert covered is not None
    assert found(relation, text, (str(covered.low), str(covered.high))) is brute_force(relation, text, {at * 20})


@given(relation=st.sampled_from(Relation), text=texts, ends=st.tuples(st.none() | tenths, st.none() | tenths))
def test_prefixes_of_ranges_too(relation: Relation, text: str, ends: tuple[int | None, int | None]) -> None:
    low, high = ends
    element: Json = {
        name: {"value": Decimal(end) / 10} for name, end in zip(("low", "high"), ends, strict=True) if end is not None
    }
    covered = number.extract(element, "Range")
    if low is None and high is None:
        assert covered is None
        return
    assert covered is not None
    if low is not None and high is not None and high < low:
        low, high = high, low
    value = {point for point in GRID if (low is None or low * 20 <= point) and (high is None or point <= high * 20)}
    assert found(relation, text, (str(covered.low), str(covered.high))) is brute_force(relation, text, value)


@given(
    relation=st.sampled_from(Relation),
    text=texts,
    at=tenths,
    comparator=st.sampled_from(["<", "<=", ">", ">=", None, "?"]),
)
def test_prefixes_of_quantities_with_a_comparator_too(
    relation: Relation, text: str, at: int, comparator: str | None
) -> None:
    covered = quantity.extract({"value": Decimal(at) / 10, "comparator": comparator}, "Quantity")
    assert covered is not None
    here = at * 20
    value = {
        "<": {point for point in GRID if point < here},
        "<=": {point for point in GRID if point <= here},
        ">": {point for point in GRID if point > here},
        ">=": {point for point in GRID if point >= here},
    }.get(comparator or "", {here})
    assert found(relation, text, (str(covered.low), str(covered.high))) is brute_force(relation, text, value)


@given(text=st.text("-+0123456789.eE_ NaInfity\u0661", max_size=12))
@example(text="1" * 101)
@example(text="1e40001")
@example(text="-1e-40001")
@example(text="1e99999")
@example(text="Infinity")
@example(text="1_0")
def test_a_text_is_a_number_or_refused(text: str) -> None:
    try:
        value, half = decimals.read(text)
    except Invalid as refused:
        assert "is not a number" in str(refused)  # noqa: PT017 - both outcomes are told
    else:
        assert value == Decimal(text)
        assert half > 0
        low, high = decimals.precise(value, half)
        assert low < decimals.above(value) <= high
