"""Numbers, quantities and composites: what an element is found by, and how it is asked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import SearchParameter, SearchParameterType
from fhir_server.fhir.errors import Invalid, TooLarge
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.search import decimals, entries
from fhir_server.search.parameters import Parameters
from fhir_server.search.path import Outside
from fhir_server.search.predicate import Field, Prefix, Span, any_of, matches, one_of
from fhir_server.search.types import number, phonetic, quantity, string
from fhir_server.search.types.ordered import Covered, Relation
from tests.searching import PARAMETERS, clauses, entry, finds, refusal

LOW, HIGH = decimals.LOWEST, decimals.HIGHEST


def exactly(text: str) -> tuple[str, str]:
    return decimals.bounds(Decimal(text))


def test_how_a_number_is_written() -> None:
    assert exactly("1.5") == ("75000015!", "75000015!+")
    assert exactly("150") == ("75000215!", "75000215!+")
    assert exactly("-1.5") == ("34999984~", "34999984~+")
    assert exactly("0.00") == exactly("-0") == ("5!", "5!+")
    assert exactly("0.015") == ("74999815!", "74999815!+")
    assert exactly("1E+40001") == ("8", "8+")
    assert exactly("-1E+40001") == ("2", "2+")
    assert exactly("1E-40001") == ("6", "6+")
    assert exactly("-1E-40001") == ("4", "4+")


def test_a_number_with_too_many_digits_is_the_narrowest_interval_that_holds_it() -> None:
    long = "1" * 150
    assert exactly(long) == (f"750149{'1' * 100}!", f"750149{'1' * 99}2!+")
    assert exactly(f"-{long}") == (f"349850{'8' * 99}7~", f"349850{'8' * 100}~+")
    assert exactly("9" * 150) == (f"750149{'9' * 100}!", "7501501!+")


@pytest.mark.parametrize(
    ("text", "number", "half"),
    [
        ("100", "100", "0.5"),
        ("100.00", "100", "0.005"),
        ("1e2", "100", "5"),
        ("1.0e2", "100", "5"),
        ("5.40", "5.4", "0.005"),
        ("5.4e-3", "0.0054", "0.00005"),
        ("-0", "0", "0.5"),
        ("0E1", "0", "0.5"),
    ],
)
def test_the_precision_of_a_query(text: str, number: str, half: str) -> None:
    """https://hl7.org/fhir/R4/search.html#number, with its own examples first."""
    assert decimals.read(text) == (Decimal(number), Decimal(half))


@pytest.mark.parametrize(
    "text", ["", "x", "1,5", "+1", ".5", "5.", "01", "1e", "NaN", "Infinity", "1" * 101, "1e40001", "1e-99999", "١"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not a number"):
        decimals.read(text)


@pytest.mark.parametrize(
    ("element", "type", "expected"),
    [
        (Decimal("1.5"), "decimal", exactly("1.5")),
        (3, "integer", exactly("3")),
        (3, "positiveInt", exactly("3")),
        (3, "Quantity", None),
        (True, "integer", None),
        ("3", "decimal", None),
        (None, "decimal", None),
        (Decimal("NaN"), "decimal", None),
        ({"low": {"value": 1}, "high": {"value": 2}}, "Range", (exactly("1")[0], exactly("2")[1])),
        ({"low": {"value": 2}, "high": {"value": 1}}, "Range", (exactly("1")[0], exactly("2")[1])),
        ({"low": {"value": 1}}, "Range", (exactly("1")[0], HIGH)),
        ({"high": {"value": 1}}, "Range", (LOW, exactly("1")[1])),
        ({"low": {"unit": "mg"}, "high": 3}, "Range", None),
        ({"value": 1}, "Quantity", None),
    ],
)
def test_the_interval_of_a_number(element: Json, type: str, expected: tuple[str, str] | None) -> None:
    assert number.extract(element, type) == (Covered(*expected) if expected else None)


UNITS = ("http://unitsofmeasure.org|mg", "|mg", "|milligramme")


@pytest.mark.parametrize(
    ("element", "type", "expected"),
    [
        (
            {"value": 5, "system": "http://unitsofmeasure.org", "code": "mg", "unit": "milligramme"},
            "Quantity",
            (*exactly("5"), UNITS),
        ),
        ({"value": 5, "code": "mg", "unit": "mg"}, "Age", (*exactly("5"), ("|mg",))),
        ({"value": 5, "system": "a|b", "code": "c"}, "Count", (*exactly("5"), ("a\\|b|c", "|c"))),
        ({"value": 5, "system": "s"}, "Quantity", (*exactly("5"), ())),
        ({"unit": "mg"}, "Quantity", None),
        ({"value": "5"}, "Quantity", None),
        (5, "Quantity", None),
        ({"value": 5, "comparator": "<"}, "Quantity", (LOW, exactly("5")[0], ())),
        ({"value": 5, "comparator": "<="}, "Quantity", (LOW, exactly("5")[1], ())),
        ({"value": 5, "comparator": ">"}, "Quantity", (exactly("5")[1], HIGH, ())),
        ({"value": 5, "comparator": ">="}, "Quantity", (exactly("5")[0], HIGH, ())),
        ({"value": 5, "currency": "EUR"}, "Money", (*exactly("5"), ("urn:iso:std:iso:4217|EUR", "|EUR"))),
        ({"value": 5, "currency": 3}, "Money", (*exactly("5"), ())),
        (
            {"low": {"value": 1}, "high": {"value": 2, "unit": "mg"}},
            "Range",
            (exactly("1")[0], exactly("2")[1], ("|mg",)),
        ),
        ({"low": {"value": 1, "unit": "g"}, "high": {"unit": "mg"}}, "Range", (exactly("1")[0], HIGH, ("|g",))),
        ({}, "Range", None),
    ],
)
def test_what_a_quantity_is_found_by(
    element: Json, type: str, expected: tuple[str, str, tuple[str, ...]] | None
) -> None:
    assert quantity.extract(element, type) == (Covered(*expected) if expected else None)


SAMPLED: JsonObject = {"origin": {"value": 10, "unit": "mV"}, "period": 1, "dimensions": 1}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"data": "1 2 3"}, (exactly("11")[0], exactly("13")[1])),
        ({"data": "1 2 3", "factor": 2}, (exactly("12")[0], exactly("16")[1])),
        ({"data": "1 2 3", "factor": -2}, (exactly("4")[0], exactly("8")[1])),
        ({"data": "1 E 3.5 E"}, (exactly("11")[0], exactly("13.5")[1])),
        ({"data": "1 L"}, (LOW, exactly("11")[1])),
        ({"data": "1 U"}, (exactly("11")[0], HIGH)),
        ({"data": "L U", "lowerLimit": 1, "upperLimit": 3}, (LOW, HIGH)),
        ({"data": "U 1", "lowerLimit": -5, "upperLimit": 3}, (exactly("11")[0], HIGH)),
        ({"data": "NaN 1 Infinity 1_0 x"}, (exactly("11")[0], exactly("11")[1])),
        ({"data": "E"}, None),
        ({"data": "L U"}, None),
        ({"data": 3}, None),
        ({}, None),
        ({"data": "1", "factor": "2"}, None),
        ({"data": "1", "factor": Decimal("1E+999999")}, None),
        ({"data": "1e99999"}, None),
        ({"data": "1", "origin": {"value": Decimal("1E-999999")}}, None),
        ({"data": "1", "origin": {"unit": "mV"}}, None),
        ({"data": "1", "origin": 3}, None),
    ],
)
def test_samples_cover_from_the_least_to_the_greatest(more: JsonObject, expected: tuple[str, str] | None) -> None:
    """What is no number, or beyond all measure, is nothing to be found by: it stops no write."""
    covered = quantity.extract({**SAMPLED, **more}, "SampledData")
    assert covered == (Covered(*expected, ("|mV",)) if expected else None)


@pytest.mark.parametrize(
    ("raw", "relation", "unit"),
    [
        ("5.4", Relation.EQ, None),
        ("gt5.4||mg", Relation.GT, "|mg"),
        ("le5.4|http://unitsofmeasure.org|mg", Relation.LE, "http://unitsofmeasure.org|mg"),
        (r"5.4|a\|b|c\,d", Relation.EQ, "a\\|b|c,d"),
        ("-5.4e-1", Relation.EQ, None),
    ],
)
def test_the_values_of_quantities(raw: str, relation: Relation, unit: str | None) -> None:
    wanted = quantity.parse(raw)
    assert (wanted.relation, wanted.unit) == (relation, unit)


@pytest.mark.parametrize("raw", ["", "mg", "5|mg", "5||", "5|s|", "5|s|c|d", "zz5", "5 mg", "gt", "eq"])
def test_the_values_of_quantities_refused(raw: str) -> None:
    with pytest.raises(Invalid):
        quantity.parse(raw)


def test_a_quantity_is_asked_in_its_unit() -> None:
    exact = Span(
        "value-quantity", (("lo", "ge", "75000025!"), ("lo", "lt", "75000035!"), ("hi", "le", "75000035!")), "|mg"
    )
    assert clauses("Observation", "value-quantity=3||mg") == (exact,)
    assert clauses("Observation", "value-quantity=gt3") == (Span("value-quantity", (("hi", "gt", "7500003!+"),)),)


# Composites


def test_components_make_a_key_and_intervals() -> None:
    observation: JsonObject = {
        "code": {"coding": [{"system": "s", "code": "a"}], "text": "A"},
        "valueQuantity": {"value": 3, "unit": "mg"},
    }
    index = PARAMETERS.index("Observation", observation)
    low, high = exactly("3")
    rows = [one for one in index.ranges if one["p"].startswith("code-value-quantity")]
    assert rows == [
        {"p": "code-value-quantity$#a", "lo": low, "hi": high, "u": ["|mg"]},
        {"p": "code-value-quantity$=s|a", "lo": low, "hi": high, "u": ["|mg"]},
    ]
    assert "code-value-quantity:any" in index.terms
    assert not any(term.startswith("code-value-concept") for term in index.terms)


def test_a_date_in_a_composite() -> None:
    observation: JsonObject = {"code": {"coding": [{"code": "a"}]}, "valueDateTime": "2024-05-02"}
    assert finds("Observation", observation, "code-value-date=a$2024-05")
    assert finds("Observation", observation, "code-value-date=|a$lt2025")
    assert not finds("Observation", observation, "code-value-date=b$2024-05")
    assert not finds("Observation", observation, "code-value-date=a$gt2024-05-02")


def test_a_text_in_a_composite_is_compared_by_its_beginning() -> None:
    observation: JsonObject = {"code": {"coding": [{"code": "a"}]}, "valueString": "Très élevé"}
    assert finds("Observation", observation, "code-value-string=a$TRES")
    assert not finds("Observation", observation, "code-value-string=a$eleve")
    assert clauses("Observation", "code-value-string=a$Très") == (Prefix("code-value-string$#a\x02tres"),)


def test_two_numbers_of_one_element() -> None:
    sequence: JsonObject = {
        "referenceSeq": {"chromosome": {"coding": [{"system": "s", "code": "21"}]}, "windowStart": 1, "windowEnd": 9},
        "variant": [{"start": 128, "end": 130}],
    }
    row = {"lo": exactly("128")[0], "hi": exactly("128")[1], "lo2": exactly("130")[0], "hi2": exactly("130")[1]}
    index = PARAMETERS.index("MolecularSequence", sequence)
    assert {"p": "chromosome-variant-coordinate$#21", **row} in index.ranges
    assert finds("MolecularSequence", sequence, "chromosome-variant-coordinate=21$128$130")
    assert finds("MolecularSequence", sequence, "chromosome-variant-coordinate=s|21$ge1$le200")
    assert not finds("MolecularSequence", sequence, "chromosome-variant-coordinate=21$130$128")
    assert finds("MolecularSequence", sequence, "chromosome-window-coordinate=21$lt2$gt8")
    assert not finds("MolecularSequence", sequence, "chromosome-window-coordinate=22$lt2$gt8")


def test_several_values_of_a_composite() -> None:
    either = [one_of(Field.TERMS, f"code-value-concept$#{one}\x02#{other}") for one, other in ("ab", "cd")]
    assert clauses("Observation", "code-value-concept=a$b,c$d") == (any_of(either),)
    tests = clauses("Observation", "code-value-quantity=a$le3")
    entry_of = {"ix": {"r": [{"p": "code-value-quantity$#a", "lo": exactly("3")[0], "hi": exactly("3")[1]}]}}
    assert all(matches(one, entry_of) for one in tests)  # type: ignore[arg-type] # ready


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("code-value-quantity=a", "must have 2 parts joined by `$`: token$quantity"),
        ("code-value-quantity=a$3$4", "must have 2 parts"),
        ("code-value-quantity=s|$3", "needs a code"),
        ("code-value-quantity=a$3x", "is not a number"),
        ("code-value-string=a$", "at least one letter"),
        ("code-value-date=a$2024-13", "is not a date"),
    ],
)
def test_a_composite_that_means_nothing_is_refused(pair: str, told: str) -> None:
    assert told in str(refusal("Observation", pair))


def test_an_element_without_one_of_the_components_is_none_of_it() -> None:
    alone: JsonObject = {"code": {"coding": [{"code": "a"}]}, "component": ["x", {"valueQuantity": {"value": 3}}]}
    found = entry("Observation", alone)["ix"]
    assert not any("$" in term for term in found["s"])
    assert not any("$" in row["p"] for row in found["r"])
    unnamed: JsonObject = {"code": {"text": "A"}, "valueQuantity": {"value": 3}}
    assert "code-value-quantity:any" not in entry("Observation", unnamed)["ix"]["s"]


def own(code: str, type: SearchParameterType, expression: str, *components: tuple[str, str]) -> SearchParameter:
    return SearchParameter(
        url=f"https://exemple.fr/SearchParameter/{code}",
        code=code,
        type=type,
        base=("Observation",),
        expression=expression,
        targets=(),
        components=components,
    )


URL = "http://hl7.org/fhir/SearchParameter/"
CODE = (f"{URL}clinical-code", "code")
QUANTITY = (f"{URL}Observation-value-quantity", "value.as(Quantity)")
TEXT = (f"{URL}Observation-value-string", "value.as(string)")
DATE = (f"{URL}Observation-value-date", "value.as(DateTime)")


@pytest.mark.parametrize(
    ("components", "told"),
    [
        ((CODE,), "combines token, which cannot be indexed"),
        ((DATE, QUANTITY), "combines date, quantity, which cannot be indexed"),
        ((QUANTITY, DATE, DATE), "which cannot be indexed"),
        ((TEXT, CODE), "combines string, token, which cannot be indexed"),
        ((CODE, QUANTITY, TEXT), "which cannot be indexed"),
        ((CODE, ("https://nowhere.example", "value")), "names a search parameter that is not there"),
        ((CODE, (f"{URL}clinical-date", "component")), "a component of type date gives Observation.component"),
    ],
)
def test_a_composite_that_cannot_be_served_stops_the_start(components: tuple[tuple[str, str], ...], told: str) -> None:
    with pytest.raises(Outside) as stopped:
        Parameters(load(), {}, [own("x", "composite", "Observation", *components)], sort_dates={})
    assert told in str(stopped.value)


def test_composites_of_ones_own() -> None:
    several = own("x", "composite", "Observation", (f"{URL}Observation-status", "status"), CODE, TEXT)
    parameters = Parameters(load(), {}, [several], sort_dates={})
    observation: JsonObject = {"status": "final", "code": {"coding": [{"code": "a"}]}, "valueString": "B"}
    terms = parameters.index("Observation", observation).terms
    assert "x$#final\x02=|a\x02b" in terms
    assert "x$#final\x02#a\x02b" in terms


def test_a_resource_that_would_be_found_by_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes times values: the product is not made when it is too large."""
    many = [{"code": str(one)} for one in range(20_000)]
    resource: JsonObject = {"code": {"coding": many}, "valueCodeableConcept": {"coding": many}}  # type: ignore[dict-item]
    with pytest.raises(TooLarge, match="Observation would be found by more than 100000 search entries"):
        PARAMETERS.index("Observation", resource)
    assert entries.MOST_ENTRIES == 100_000


def test_codes_that_repeat_are_counted_once() -> None:
    """Of a product that is the same again and again, nothing is cut off."""
    same: list[Json] = [{"code": "a"}] * 400
    resource: JsonObject = {
        "code": {"coding": same},
        "valueCodeableConcept": {"coding": [*same, {"code": "z"}]},
    }
    assert "code-value-concept$#a\x02#z" in PARAMETERS.index("Observation", resource).terms


# Sounds


@pytest.mark.parametrize(
    ("names", "sound"),
    [
        ("Dupont Dupond Duppon DUPON", "dpn"),
        ("Marceau Marseau Marceaux Marso", "mrs"),
        ("Philippe Filip", "fl"),
        ("Charlotte Sharlot Charlot", "xrl"),
        ("Georges Jorge", "jrj"),
        ("Cyrille Siril", "srl"),
        ("Quentin Kentin", "kntn"),
        ("Guillaume", "glm"),
        ("Hélène Elen", "eln"),
        ("Étienne Étien", "etn"),
        ("Wagner Vagner", "vnr"),
        ("Agnès", "an"),
        ("Ed", "ed"),
        ("et", "et"),
        ("s", "s"),
    ],
)
def test_names_that_sound_alike(names: str, sound: str) -> None:
    assert {phonetic.key(string.fold(name)) for name in names.split()} == {sound}


def test_a_consonant_that_some_pronounce_tells_names_apart() -> None:
    assert phonetic.key("lefevre") != phonetic.key("lefebvre")
    assert phonetic.key("martin") != phonetic.key("morin")


def test_every_word_is_heard() -> None:
    assert phonetic.sounds("jean-marc d'almeida 3") == ["jn", "mrk", "d", "almd"]
    assert phonetic.extract("p", {"family": "Jean", "given": ["Éva"]}, "HumanName") == ["p=jn", "p=ev"]
    with pytest.raises(Invalid, match="at least one letter"):
        phonetic.predicate("p", "33 %")
    assert phonetic.sounds("h") == [], "a word of which nothing is heard"
