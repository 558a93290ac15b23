"""Numbers, quantities and composites with each prefix, by the words and the examples of the standard.

https://hl7.org/fhir/R4/search.html#prefix · #number · #quantity · #combining
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import (
    INS_TEST,
    LOINC,
    TAGS,
    UCUM,
    Pair,
    coded,
    found,
    names,
    pointer,
    stored,
    tagged,
)
from tests.served import Served

WORLD = "types"
TAG = ("_tag", f"{TAGS}|{WORLD}")
PATIENT = pointer("Patient", f"{WORLD}-pat")
EURO = "urn:iso:std:iso:4217"


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def charge(factor: str) -> dict[str, Any]:
    """Its id tells its factor."""
    return made("ChargeItem", f"x{factor}", subject=PATIENT, factorOverride=float(factor))


def observation(id: str, **members: Any) -> dict[str, Any]:
    return made("Observation", id, subject=PATIENT, **{"effectiveDateTime": None, **members})


def quantity(value: float, unit: str | None = "mg", *, coded: bool = True, **more: Any) -> dict[str, Any]:
    named = {"unit": unit, **({"system": UCUM, "code": unit} if coded else {})} if unit is not None else {}
    return {"value": value, **named, **more}


def risk(id: str, **low_and_high: float) -> dict[str, Any]:
    ends = {name: quantity(value, "%") for name, value in low_and_high.items()}
    return made("RiskAssessment", id, subject=PATIENT, prediction=[{"probabilityRange": ends}])


FACTORS = ("-100", "0", "94.9", "95", "99.4", "99.5", "99.995", "100", "100.004", "100.005", "100.4", "100.5", "105")

MEASURED: dict[str, dict[str, Any]] = {
    "5.34": quantity(5.34),
    "5.35": quantity(5.35),
    "5.4": quantity(5.4),
    "5.44": quantity(5.44),
    "5.45": quantity(5.45),
    "unit": quantity(5.4, "mg", coded=False),
    "bare": quantity(5.4, None),
    "g": quantity(0.0054, "g"),
    "below5": quantity(5, comparator="<"),
    "atmost5": quantity(5, comparator="<="),
    "above10": quantity(10, comparator=">"),
    "atleast10": quantity(10, comparator=">="),
}


def world() -> list[dict[str, Any]]:
    return [
        made(
            "Patient",
            "pat",
            identifier=[{"system": INS_TEST, "value": "190017505600262"}],
        ),
        *(charge(factor) for factor in FACTORS),
        risk("around", low=0.2, high=0.4),
        risk("from", low=0.9),
        risk("upto", high=0.05),
        made("RiskAssessment", "decimal", subject=PATIENT, prediction=[{"probabilityDecimal": 0.6}]),
        *(
            made("MolecularSequence", f"at{start}", coordinateSystem=0, variant=[{"start": start, "end": start + 1}])
            for start in (2, 3, 20)
        ),
        *(observation(f"q{name}", valueQuantity=value) for name, value in MEASURED.items()),
        observation(
            "sampled",
            valueSampledData={"origin": {"value": 100, "unit": "mV"}, "period": 10, "dimensions": 1, "data": "1 2 3 E"},
        ),
        made("Invoice", "euros", subject=PATIENT, totalGross={"value": 12.50, "currency": "EUR"}),
        made("Invoice", "francs", subject=PATIENT, totalGross={"value": 12.50, "currency": "CHF"}),
        made("Condition", "age", subject=PATIENT, onsetAge={"value": 52, "system": UCUM, "code": "a", "unit": "ans"}),
        made(
            "Condition",
            "ages",
            subject=PATIENT,
            onsetRange={
                name: {"value": value, "system": UCUM, "code": "a"} for name, value in (("low", 40), ("high", 50))
            },
        ),
        made("Encounter", "stay", subject=PATIENT, length={"value": 140, "unit": "min", "system": UCUM, "code": "min"}),
        observation(
            "pressure",
            code=coded("85354-9", LOINC),
            component=[
                {"code": coded("8480-6", LOINC), "valueQuantity": quantity(142, "mm[Hg]")},
                {"code": coded("8462-4", LOINC), "valueQuantity": quantity(88, "mm[Hg]")},
            ],
        ),
        observation("potassium", code=coded("2823-3", LOINC), valueQuantity=quantity(5.6, "mmol/L")),
        observation("sodium", code=coded("2951-2", LOINC), valueQuantity=quantity(140, "mmol/L")),
        observation("smoker", code=coded("72166-2", LOINC), valueCodeableConcept=coded("F", "urn:smoking")),
        observation("said", code=coded("8661-1", LOINC), valueString="Céphalées depuis Noël"),
        observation("moment", code=coded("11368-8", LOINC), valueDateTime="2013-05-02"),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, *pairs: Pair) -> set[str]:
    """What is found in this world."""
    listed = names(found(client, type, TAG, *pairs, ("_count", "1000")), WORLD)
    assert len(set(listed)) == len(listed)
    return set(listed)


# number

NUMBERS: list[tuple[str, set[str]]] = [
    ("100", {"99.5", "99.995", "100", "100.004", "100.005", "100.4"}),
    ("eq100", {"99.5", "99.995", "100", "100.004", "100.005", "100.4"}),
    ("100.00", {"99.995", "100", "100.004"}),
    ("1e2", set(FACTORS) - {"-100", "0", "94.9", "105"}),
    ("1E2", set(FACTORS) - {"-100", "0", "94.9", "105"}),
    ("1e+2", set(FACTORS) - {"-100", "0", "94.9", "105"}),
    ("1.00e2", {"99.5", "99.995", "100", "100.004", "100.005", "100.4"}),
    ("lt100", {"-100", "0", "94.9", "95", "99.4", "99.5", "99.995"}),
    ("lt100.00", {"-100", "0", "94.9", "95", "99.4", "99.5", "99.995"}),
    ("le100", {"-100", "0", "94.9", "95", "99.4", "99.5", "99.995", "100"}),
    ("gt100", {"100.004", "100.005", "100.4", "100.5", "105"}),
    ("ge100", {"100", "100.004", "100.005", "100.4", "100.5", "105"}),
    ("ge1e2", {"100", "100.004", "100.005", "100.4", "100.5", "105"}),
    ("ne100", {"-100", "0", "94.9", "95", "99.4", "100.5", "105"}),
    ("sa100", {"100.004", "100.005", "100.4", "100.5", "105"}),
    ("eb100", {"-100", "0", "94.9", "95", "99.4", "99.5", "99.995"}),
    ("ap100", set(FACTORS) - {"-100", "0"}),
    ("ap95", set(FACTORS) - {"-100", "0", "105"}),
    ("-100", {"-100"}),
    ("ap-100", {"-100"}),
    ("lt-99", {"-100"}),
    ("0", {"0"}),
    ("0.0", {"0"}),
    ("100.5,94.9", {"100.5", "94.9"}),
    ("95.0,0", {"95", "0"}),
    ("7", set()),
]


@pytest.mark.parametrize(("value", "expected"), NUMBERS)
def test_a_number_has_the_precision_it_is_written_with_unless_it_is_compared(
    client: httpx.Client, value: str, expected: set[str]
) -> None:
    """The examples of the standard: 100 is [99.5, 100.5), 100.00 is [99.995, 100.005), 1e2 is [95, 105)."""
    assert asked(client, "ChargeItem", ("factor-override", value)) == {f"x{one}" for one in expected}


def test_repeated_numbers_must_all_hold(client: httpx.Client) -> None:
    pairs = [("factor-override", "ge99.5"), ("factor-override", "lt100.4")]
    assert asked(client, "ChargeItem", *pairs) == {"x99.5", "x99.995", "x100", "x100.004", "x100.005"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2", {"at2"}),
        ("2.0", {"at2"}),
        ("2.5", set()),
        ("gt2", {"at3", "at20"}),
        ("ge2", {"at2", "at3", "at20"}),
        ("lt3", {"at2"}),
        ("le3", {"at2", "at3"}),
        ("ne2", {"at3", "at20"}),
        ("2,20", {"at2", "at20"}),
    ],
)
def test_an_integer_is_found_exactly(client: httpx.Client, value: str, expected: set[str]) -> None:
    """A number without digits after the point cannot match another integer, one with them matches none."""
    assert asked(client, "MolecularSequence", ("variant-start", value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.6", {"decimal"}),
        ("0.3", set()),  # the range of 0.3 does not contain 0.2 to 0.4
        ("3e-1", set()),
        ("gt0.3", {"around", "from", "decimal"}),
        ("lt0.3", {"around", "upto"}),
        ("ge0.95", {"from"}),
        ("le0.01", {"upto"}),
        ("sa0.1", {"around", "from", "decimal"}),
        ("sa0.3", {"from", "decimal"}),
        ("eb0.5", {"around", "upto"}),
        ("eb0.3", {"upto"}),
        ("ap0.3", {"around"}),
        ("ap1", {"from"}),
        ("ne0.6", {"around", "from", "upto"}),
    ],
)
def test_a_range_is_compared_by_its_ends_and_is_open_where_it_has_none(
    client: httpx.Client, value: str, expected: set[str]
) -> None:
    assert asked(client, "RiskAssessment", ("probability", value)) == expected


# quantity

COMPARED = {"below5", "atmost5", "above10", "atleast10"}
MG = f"{UCUM}|mg"

QUANTITIES: list[tuple[str, set[str]]] = [
    # the examples of the standard
    (f"5.4|{MG}", {"5.35", "5.4", "5.44"}),
    (f"5.40e-3|{UCUM}|g", {"g"}),
    ("5.4||mg", {"5.35", "5.4", "5.44", "unit"}),
    ("5.4", {"5.35", "5.4", "5.44", "unit", "bare"}),
    (f"le5.4|{MG}", {"5.34", "5.35", "5.4", "below5", "atmost5"}),
    (f"ap5.4|{MG}", {"5.34", "5.35", "5.4", "5.44", "5.45", "below5", "atmost5"}),
    # every prefix
    (f"eq5.4|{MG}", {"5.35", "5.4", "5.44"}),
    (f"ne5.4|{MG}", {"5.34", "5.45", *COMPARED}),
    (f"lt5.4|{MG}", {"5.34", "5.35", "below5", "atmost5"}),
    (f"gt5.4|{MG}", {"5.44", "5.45", "above10", "atleast10"}),
    (f"ge5.4|{MG}", {"5.4", "5.44", "5.45", "above10", "atleast10"}),
    (f"sa5.4|{MG}", {"5.44", "5.45", "above10", "atleast10"}),
    (f"eb5.4|{MG}", {"5.34", "5.35", "below5", "atmost5"}),
    # what is stored with a comparator is all that lies there
    (f"lt5|{MG}", {"below5", "atmost5"}),
    (f"eb5|{MG}", {"below5"}),
    (f"le5|{MG}", {"below5", "atmost5"}),
    (f"gt1000|{MG}", {"above10", "atleast10"}),
    (f"sa10|{MG}", {"above10"}),
    (f"sa9.99|{MG}", {"above10", "atleast10"}),
    (f"ge10|{MG}", {"above10", "atleast10"}),
    (f"5|{MG}", {"5.34", "5.35", "5.4", "5.44", "5.45"}),
    (f"10|{MG}", set()),
    # units are compared as written: their code under a system, or either as text
    (f"5.4|{UCUM}|MG", set()),
    ("5.4|urn:other|mg", set()),
    ("0.0054", {"g"}),
    (f"0.0054|{MG}", set()),
    (f"5.4|{UCUM}|g", set()),
]


@pytest.mark.parametrize(("value", "expected"), QUANTITIES)
def test_a_quantity_is_a_number_with_its_unit(client: httpx.Client, value: str, expected: set[str]) -> None:
    others = {"potassium", "sodium", "sampled"}
    assert asked(client, "Observation", ("value-quantity", value)) - others == {f"q{one}" for one in expected}


def test_samples_are_found_from_their_least_to_their_greatest(client: httpx.Client) -> None:
    for value, is_found in (("gt102||mV", True), ("gt103||mV", False), ("sa100||mV", True), ("sa101||mV", False)):
        assert ("sampled" in asked(client, "Observation", ("value-quantity", value))) is is_found


def test_money_has_its_currency_for_a_unit(client: httpx.Client) -> None:
    assert asked(client, "Invoice", ("totalgross", "12.50")) == {"euros", "francs"}
    assert asked(client, "Invoice", ("totalgross", f"12.50|{EURO}|EUR")) == {"euros"}
    assert asked(client, "Invoice", ("totalgross", "12.5||CHF")) == {"francs"}
    assert asked(client, "Invoice", ("totalgross", f"gt12.50|{EURO}|EUR")) == set()


def test_ages_and_ranges_of_ages_and_durations_are_quantities(client: httpx.Client) -> None:
    year = f"{UCUM}|a"
    assert asked(client, "Condition", ("onset-age", f"52|{year}")) == {"age"}
    assert asked(client, "Condition", ("onset-age", f"gt45|{year}")) == {"age", "ages"}
    assert asked(client, "Condition", ("onset-age", f"sa45|{year}")) == {"age"}
    assert asked(client, "Condition", ("onset-age", "lt45||a")) == {"ages"}
    assert asked(client, "Condition", ("onset-age", "52||ans")) == {"age"}
    assert asked(client, "Encounter", ("length", "gt120||min")) == {"stay"}
    assert asked(client, "Encounter", ("length", f"lt120|{UCUM}|min")) == set()


# composite

SYSTOLIC = f"{LOINC}|8480-6"
DIASTOLIC = f"{LOINC}|8462-4"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("component-code-value-quantity", f"{SYSTOLIC}$lt60", set()),
        ("component-code-value-quantity", f"{SYSTOLIC}$gt140", {"pressure"}),
        ("component-code-value-quantity", f"{DIASTOLIC}$gt140", set()),  # of the other component
        ("component-code-value-quantity", f"{DIASTOLIC}$88", {"pressure"}),
        ("component-code-value-quantity", f"{SYSTOLIC}$ge142|{UCUM}|mm[Hg]", {"pressure"}),
        ("component-code-value-quantity", f"{SYSTOLIC}$ge142||mm", set()),
        ("component-code-value-quantity", f"{DIASTOLIC}$gt140,{SYSTOLIC}$gt140", {"pressure"}),
        ("component-code-value-quantity", "8480-6$gt140", {"pressure"}),
        ("combo-code-value-quantity", f"{SYSTOLIC}$gt140", {"pressure"}),
        ("combo-code-value-quantity", f"{LOINC}|2823-3$gt5.4", {"potassium"}),
        ("code-value-quantity", f"{LOINC}|2823-3$gt5.4|{UCUM}|mmol/L", {"potassium"}),
        ("code-value-quantity", f"{LOINC}|2823-3$gt140", set()),
        ("code-value-quantity", f"{LOINC}|2951-2$ap145", {"sodium"}),
        ("code-value-concept", f"{LOINC}|72166-2$urn:smoking|F", {"smoker"}),
        ("code-value-concept", f"{LOINC}|72166-2$F", {"smoker"}),
        ("code-value-concept", f"{LOINC}|72166-2$urn:smoking|G", set()),
        ("code-value-string", f"{LOINC}|8661-1$cephalees", {"said"}),
        ("code-value-string", f"{LOINC}|8661-1$depuis", set()),
        ("code-value-date", f"{LOINC}|11368-8$2013-05", {"moment"}),
        ("code-value-date", f"{LOINC}|11368-8$gt2014", set()),
    ],
)
def test_the_parts_of_a_composite_hold_of_one_element(
    client: httpx.Client, name: str, value: str, expected: set[str]
) -> None:
    assert asked(client, "Observation", (name, value)) == expected


def test_repeated_composites_must_all_hold(client: httpx.Client) -> None:
    name = "component-code-value-quantity"
    assert asked(client, "Observation", (name, f"{SYSTOLIC}$gt140"), (name, f"{DIASTOLIC}$gt80")) == {"pressure"}
    assert asked(client, "Observation", (name, f"{SYSTOLIC}$gt140"), (name, f"{DIASTOLIC}$gt90")) == set()


# special


def test_what_is_special_is_refused_by_name(client: httpx.Client) -> None:
    told = refused(client.get("Location", params={"near": "48.85|2.35|5|km"}), 400, "not-supported")
    assert told["expression"] == ["http.near"]
