"""The profiles that R4 publishes for vital signs, on Observations that keep to them and that do not.

https://hl7.org/fhir/R4/observation-vitalsigns.html
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.definitions.structure_definitions import base_definitions
from tests.unit.validation.profiling import CORE, Said, checks

CATEGORY = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
UCUM = "http://unitsofmeasure.org"
ENGINE = checks()

Change = Callable[[dict[str, Any]], object]


def loinc(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://loinc.org", "code": code}]}


def pressure(code: str, value: str) -> dict[str, Any]:
    return {
        "code": loinc(code),
        "valueQuantity": {"value": Decimal(value), "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
    }


BLOOD_PRESSURE: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "category": [{"coding": [CATEGORY]}],
    "code": loinc("85354-9"),
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2026-01-01",
    "component": [pressure("8480-6", "107"), pressure("8462-4", "60")],
}


def told(observation: dict[str, Any], *profiles: str) -> list[Said]:
    issues = ENGINE.issues(observation, [CORE + one for one in profiles])
    return [Said(one.expression[0], one.rule, one.severity) for one in issues if one.severity == "error"]


def test_a_blood_pressure_is_one() -> None:
    assert told(BLOOD_PRESSURE, "bp", "vitalsigns") == []


@pytest.mark.parametrize(
    ("change", "where", "rule"),
    [
        (lambda one: one.pop("subject"), "subject", "min"),
        (lambda one: one["subject"].update(reference="Location/1"), "subject.reference", "target"),
        (lambda one: one["category"][0]["coding"].clear(), "category", "min"),
        (lambda one: one["code"]["coding"][0].update(code="1"), "code.coding", "min"),
        (lambda one: one["component"].append(pressure("8480-6", "1")), "component", "max"),
        (lambda one: one["component"][0]["code"]["coding"][0].update(code="1"), "component", "min"),
        (lambda one: one["component"][1]["valueQuantity"].pop("unit"), "component[1].value.unit", "min"),
        (lambda one: one["component"][1]["valueQuantity"].update(code="kPa"), "component[1].value.code", "fixed"),
        (lambda one: one["component"][1].pop("valueQuantity"), "component[1]", "vs-3"),
        (lambda one: one.update(effectiveDateTime="2026"), "effective", "vs-1"),
    ],
)
def test_what_is_none_is_told(change: Change, where: str, rule: str) -> None:
    bad = copy.deepcopy(BLOOD_PRESSURE)
    change(bad)
    assert Said(f"Observation.{where}", rule) in told(bad, "bp")


def test_each_defect_is_told_by_the_special_profile_alone() -> None:
    bad = copy.deepcopy(BLOOD_PRESSURE)
    del bad["subject"]
    issues = [one for one in ENGINE.issues(bad, [f"{CORE}vitalsigns", f"{CORE}bp"]) if one.severity == "error"]
    assert [(one.rule, one.profile) for one in issues] == [("min", f"{CORE}bp|4.0.1")]


BROKEN = {
    "allergyintolerance-substanceExposureRisk": "has no element substanceExposureRisk",
    "catalog": "nothing tells how they are told apart",
    "example-composition": "Nothing in the slice procedure says how code tells it",
    "codesystem-history": "its max is 0",
    "familymemberhistory-genetic": "nothing tells how they are told apart",
}
"""Published with a mistake, and what it is."""


def test_what_r4_publishes_compiles_but_for_what_is_broken() -> None:
    profiles = [url for url, one in base_definitions().items() if one.get("derivation") == "constraint"]
    assert len(profiles) > 400
    broken = {}
    for url in profiles:
        try:
            ENGINE.check(url)
        except BadProfile as why:
            broken[url.removeprefix(CORE)] = str(why)
    assert broken.keys() == BROKEN.keys()
    assert all(sentence in broken[name] for name, sentence in BROKEN.items())
