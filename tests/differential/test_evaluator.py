"""The evaluator finds by single values what the standard says, by the standard's own examples.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.differential.small import BASE, MRN, UCUM, coded, evaluator, matches, observed, quantity

# https://hl7.org/fhir/R4/search.html#date

ONWARDS_FROM_MARCH = {"start": "2013-03-15"}
ONWARDS_FROM_JANUARY = {"start": "2013-01-21"}
BEFORE = {"end": "2013-01-21"}


@pytest.mark.parametrize(
    ("value", "target", "found"),
    [
        ("eq2013-01-14", "2013-01-14T00:00:00Z", True),
        ("eq2013-01-14", "2013-01-14T10:00:00Z", True),
        ("eq2013-01-14", "2013-01-15T00:00:00Z", False),
        ("2013-01-14", "2013-01-14", True),
        ("2013-01-14T10:00", "2013-01-14", False),
        ("2013-01", "2013-01-14", True),
        ("2013", "2013-01", True),
        ("ne2013-01-14", "2013-01-15T00:00:00Z", True),
        ("ne2013-01-14", "2013-01-14T00:00:00Z", False),
        ("ne2013-01-14", "2013-01-14T10:00:00Z", False),
        ("lt2013-01-14T10:00", "2013-01-14", True),
        ("gt2013-01-14T10:00", "2013-01-14", True),
        ("gt2013-01-14", "2013-01-14T10:00:00Z", False),
        ("ge2013-01-14", "2013-01-14T10:00:00Z", True),
        ("ge2013-01-14", "2013", True),
        ("ge2013-01-14", "2013-01-13", False),
        ("le2013-01-14", "2013-01-14", True),
        ("le2013-01-14", "2013-01-15", False),
        ("ge2013-03-14", ONWARDS_FROM_JANUARY, True),
        ("le2013-03-14", ONWARDS_FROM_JANUARY, True),
        ("sa2013-03-14", ONWARDS_FROM_MARCH, True),
        ("sa2013-03-14", ONWARDS_FROM_JANUARY, False),
        ("sa2013-03-14", BEFORE, False),
        ("eb2013-03-14", ONWARDS_FROM_MARCH, False),
        ("eb2013-03-14", ONWARDS_FROM_JANUARY, False),
        ("eb2013-03-14", BEFORE, True),
        ("2013-01-21", BEFORE, False),
        ("ne2013-01-21", BEFORE, True),
        ("2012", {"start": "2012-12-31T23:00:00-01:00", "end": "2013"}, False),
        ("2013", {"start": "2012-12-31T23:00:00-01:00", "end": "2013"}, True),
        ("2013-01-01T01:00+01:00", "2013-01-01T00:00:59.999Z", True),
        ("2013-01-01T00:00:00.999Z", "2013-01-01T00:00:00Z", False),
        ("ge2013-03-14", {"start": "2013-03-01", "end": "2013-03-14T10:00:00Z"}, False),
    ],
)
def test_a_date_is_an_interval(value: str, target: Any, found: bool) -> None:
    element = "effectiveDateTime" if isinstance(target, str) else "effectivePeriod"
    assert matches(observed(**{element: target}), "date", value) is found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2013-02-01", False),
        ("ge2013-02-01", True),
        ("eb2013-03-24", False),
        ("eb2013-03-25", True),
        ("sa2013-01-30", True),
    ],
)
def test_of_a_timing_the_outer_limits_count(value: str, found: bool) -> None:
    """Every second day between 31-Jan 2013 and 24-Mar 2013, told by its bounds or by events."""
    bounds = {"repeat": {"boundsPeriod": {"start": "2013-01-31", "end": "2013-03-24"}}}
    events = {"event": ["2013-02-02", "2013-03-24", "2013-01-31"]}
    for timing in (bounds, events):
        assert matches(observed(effectiveTiming=timing), "date", value) is found


def test_an_instant_is_a_point() -> None:
    """However it is written, its interval has "an effective width of 0"."""
    slot = {"resourceType": "Slot", "start": "2013-01-01T10:00:00Z"}
    assert matches(slot, "start", "2013-01-01T10:00:00.000Z")
    assert not matches(slot, "start", "gt2013-01-01T10:00:00.000Z")


# https://hl7.org/fhir/R4/search.html#number


@pytest.mark.parametrize(
    ("value", "inside", "outside"),
    [
        ("100", (99.5, 100, 100.49), (99.49, 100.5)),
        ("100.00", (99.995, 100.0049), (99.9949, 100.005)),
        ("1e2", (95, 104.9), (94.9, 105)),
        ("1.00e2", (99.5, 100.49), (99.49, 100.5)),
        ("ne100", (99.49, 100.5, -100), (99.5, 100)),
        ("lt100", (99.99, -1), (100, 100.01)),
        ("le100", (100, 99), (100.01, 100.4)),
        ("gt100", (100.01, 100.4), (100, 99.9)),
        ("ge100", (100, 101), (99.9, 99.99)),
        ("sa100", (100.01,), (100, 99)),
        ("eb100", (99.9,), (100, 101)),
        ("ap100", (90, 110, 100), (89.9, 110.1)),
        ("ap-100", (-90, -110), (-89.9, 100)),
        ("-5", (-5.5, -5, -4.51), (-4.5, -5.51, 5)),
        ("gt0.8", (0.81,), (0.8,)),
        ("gt8e-1", (0.81,), (0.8,)),
    ],
)
def test_a_number_has_a_precision(value: str, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    for number in (*inside, *outside):
        resource = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": number}]}
        assert matches(resource, "probability", value) is (number in inside), number


def test_a_whole_number_is_met_exactly() -> None:
    """With other digits than zero after the point "there cannot be any matches"."""
    sequence = {"resourceType": "MolecularSequence", "variant": [{"start": 2}]}
    assert all(matches(sequence, "variant-start", value) for value in ("2", "2.0", "ge2", "ne3"))
    assert not any(matches(sequence, "variant-start", value) for value in ("2.1", "1", "gt2"))


# https://hl7.org/fhir/R4/search.html#quantity


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (f"5.4|{UCUM}|mg", True),
        (f"5.4|{UCUM}|g", False),
        ("5.4|http://other|mg", False),
        ("5.4||mg", True),
        ("5.4||milligram", True),
        ("5.4||g", False),
        ("5.4", True),
        ("5.40", False),
        (f"le5.4|{UCUM}|mg", False),
        (f"gt5.4|{UCUM}|mg", True),
        (f"ap5.4|{UCUM}|mg", True),
        ("5.41", True),
        ("541e-2", True),
    ],
)
def test_a_quantity_has_a_unit(value: str, found: bool) -> None:
    """The value is 5.41 mg."""
    resource = quantity(5.41, unit="milligram", system=UCUM, code="mg")
    assert matches(resource, "value-quantity", value) is found


def test_the_digits_of_an_exponent() -> None:
    """0.0054(+/-0.000005)."""
    value = f"5.40e-3|{UCUM}|g"
    for number, found in ((0.005395, True), (0.0054049, True), (0.005405, False), (0.00539, False)):
        assert matches(quantity(number, system=UCUM, code="g"), "value-quantity", value) is found


@pytest.mark.parametrize(
    ("comparator", "found"),
    [
        ("<", {"lt5", "lt4", "le5", "le4", "gt4", "ge4", "ne5", "eb5", "ap5"}),
        ("<=", {"lt5", "lt4", "le5", "le4", "gt4", "ge4", "ne5", "ap5"}),
        (">", {"gt5", "gt4", "ge5", "ge4", "lt6", "ne5", "sa5", "sa4", "ap5"}),
        (">=", {"gt5", "gt4", "ge5", "ge4", "lt6", "ne5", "sa4", "ap5"}),
    ],
)
def test_a_comparator_opens_an_interval(comparator: str, found: set[str]) -> None:
    asked = "5 eq5 ne5 lt5 lt4 lt6 le5 le4 gt5 gt4 ge5 ge4 sa5 sa4 eb5 ap5".split()
    target = quantity(5, comparator=comparator)
    got = {value for value in asked if matches(target, "value-quantity", value)}
    assert got == found | ({"lt6"} if comparator[0] == "<" else set())


def test_a_range_holds_its_ends() -> None:
    def found(value: str, **ends: float) -> bool:
        age = {end: {"value": one} for end, one in ends.items()}
        return matches({"resourceType": "Condition", "onsetRange": age}, "onset-age", value)

    assert found("gt4", low=3, high=5)
    assert not found("gt5", low=3, high=5)
    assert found("le3.5", low=3, high=5)
    assert found("eb5.1", low=3, high=5)
    assert not found("eb5", low=3, high=5)
    assert found("1e2", low=95, high=104.9)
    assert not found("4", low=3, high=5)
    assert found("gt1000", low=3)
    assert found("lt-1000", high=3)


def test_money_is_a_quantity_of_its_currency() -> None:
    charge = {"resourceType": "ChargeItem", "priceOverride": {"value": 5, "currency": "EUR"}}
    assert matches(charge, "price-override", "5|urn:iso:std:iso:4217|EUR")
    assert matches(charge, "price-override", "5||EUR")
    assert not matches(charge, "price-override", "5||CHF")


# https://hl7.org/fhir/R4/search.html#string


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("given", "eve", {"Eve", "Evelyn", "EVE"}),
        ("given:contains", "eve", {"Eve", "Evelyn", "EVE", "Severine", "Sévérine"}),
        ("given:exact", "Eve", {"Eve"}),
        ("given", "séver", {"Severine", "Sévérine"}),
        ("given", "D'", {"D’Arc", "D'Arc"}),
        ("given", "loewe", {"Lœwe"}),
        ("given", "LŒ", {"Lœwe"}),
        ("given", "strass", {"Straße"}),
        ("given", "a  b", {"A\u00a0b c"}),
        ("given:exact", "Sévérine", {"Sévérine"}),
        ("given", "x\\,y\\|z\\$\\\\", {"x,y|z$\\"}),
        ("given", "absent,Severin,D'A", {"Severine", "Sévérine", "D’Arc", "D'Arc"}),
    ],
)
def test_a_string_begins_with_the_value(name: str, value: str, found: set[str]) -> None:
    names = [*"Eve Evelyn EVE Severine Sévérine D’Arc D'Arc Lœwe Straße x,y|z$\\".split(" "), "A\u00a0b c"]
    got = {one for one in names if matches({"resourceType": "Patient", "name": [{"given": [one]}]}, name, value)}
    assert got == found


def test_all_parts_of_names_and_addresses_are_looked_at() -> None:
    name = {"text": "T1", "family": "F1", "given": ["G1", "G2"], "prefix": ["P1"], "suffix": ["S1"], "use": "usual"}
    address = {"line": ["L1"], "city": "C1", "district": "D1", "state": "S1", "country": "X1", "postalCode": "75"}
    holder = {"resourceType": "Patient", "name": [name], "address": [address]}
    assert all(matches(holder, "name", value) for value in ("t1", "f1", "g1", "g2", "p1", "s1"))
    assert all(matches(holder, "address", value) for value in ("l1", "c1", "d1", "s1", "x1", "75"))
    assert not matches(holder, "name", "usual")


# https://hl7.org/fhir/R4/search.html#token


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("code", "ha125", "abc"),
        ("code", "s|ha125", "a"),
        ("code", "|ha125", "c"),
        ("code", "s|", "ad"),
        ("code", "HA125", ""),
        ("code:not", "ha125", "de"),
        ("code:not", "s|ha125,x", "bce"),
        ("code:text", "head", "a"),
        ("code:text", "TÊTE", "b"),
        ("code", "s|x,|ha125", "cd"),
        ("code:missing", "true", "e"),
        ("code:missing", "false", "abcd"),
    ],
)
def test_a_token_is_met_literally(name: str, value: str, found: str) -> None:
    codes = {
        "a": coded("ha125", "s", display="Headache"),
        "b": coded("ha125", "t") | {"text": "tete"},
        "c": coded("ha125"),
        "d": coded("x", "s"),
    }
    conditions = [{"resourceType": "Condition", "id": id, "code": code} for id, code in codes.items()]
    every = evaluator(*conditions, {"resourceType": "Condition", "id": "e"})
    assert every.search("Condition", [(name, value)]) == set(found)


def test_not_is_of_the_whole_set() -> None:
    """Of several codes none may match: https://hl7.org/fhir/R4/search.html#token on Composition.section."""
    both = observed(category=[coded("a"), coded("b")])
    assert matches(both, "category:not", "c")
    assert not matches(both, "category:not", "a")
    assert not matches(both, "category:not", "c,b")


def test_other_tokens() -> None:
    holder = {
        "resourceType": "Patient",
        "active": True,
        "deceasedDateTime": "2020",
        "telecom": [{"system": "phone", "value": "01"}, {"system": "email", "value": "a@b"}],
        "identifier": [{"system": MRN, "value": "446053", "type": coded("MR", "v2") | {"text": "Dossier"}}],
    }
    asked = ("active", "true"), ("deceased", "true"), ("phone", "01"), ("telecom", "a@b"), ("identifier", "446053")
    assert all(matches(holder, *pair) for pair in asked)
    assert matches(holder, "identifier:of-type", "v2|MR|446053")
    assert matches(holder, "identifier:text", "doss")
    assert not matches(holder, "identifier:of-type", "v2|PI|446053")
    assert not matches(holder, "phone", "a@b")
    assert matches({"resourceType": "Patient"}, "deceased", "false")
    assert matches({"resourceType": "Questionnaire", "version": "V1"}, "version", "v1"), "a string has no case"


# https://hl7.org/fhir/R4/search.html#reference and #uri


@pytest.mark.parametrize("literal", ["Patient/23", f"{BASE}/Patient/23"])
@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("subject", "23", True),
        ("subject", "Patient/23", True),
        ("subject", f"{BASE}/Patient/23", True),
        ("subject:Patient", "23", True),
        ("patient", "23", True),
        ("subject:Group", "23", False),
        ("subject", "Group/23", False),
        ("subject", "2", False),
        ("subject", "http://elsewhere.org/fhir/Patient/23", False),
        ("subject:identifier", f"{MRN}|123456", True),
        ("subject:identifier", "|123456", False),
    ],
)
def test_a_reference_is_local(literal: str, name: str, value: str, found: bool) -> None:
    subject = {"reference": literal, "identifier": {"system": MRN, "value": "123456"}}
    assert matches(observed(subject=subject), name, value) is found


def test_a_reference_elsewhere_is_met_by_its_url() -> None:
    away = observed(subject={"reference": "http://elsewhere.org/fhir/Patient/23"})
    assert matches(away, "subject", "http://elsewhere.org/fhir/Patient/23")
    assert not matches(away, "subject", "Patient/23")
    assert not matches(away, "subject", "23")


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("url", "http://acme.org/fhir/ValueSet/123", True),
        ("url", "http://acme.org/fhir/valueset/123", False),
        ("url", "http://acme.org/fhir/ValueSet/12", False),
        ("url:below", "http://acme.org/fhir/", True),
        ("url:below", "http://acme.org/fhir/ValueSet/123", True),
        ("url:below", "http://acme.org/other", False),
        ("url:above", "http://acme.org/fhir/ValueSet/123/_history/5", True),
        ("url:above", "http://acme.org/fhir", False),
    ],
)
def test_a_uri_is_met_whole(name: str, value: str, found: bool) -> None:
    assert matches({"resourceType": "ValueSet", "url": "http://acme.org/fhir/ValueSet/123"}, name, value) is found


def test_urns_have_no_hierarchy() -> None:
    assert not matches({"resourceType": "ValueSet", "url": "urn:oid:1.2.3"}, "url:below", "urn:oid:1.2")
