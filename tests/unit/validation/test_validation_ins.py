"""The rules of the INS, one by one."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import pytest

from fhir_server.fhir.outcome import Issue, Severity
from fhir_server.identity.requester import Realm
from fhir_server.validation.ins import issues, key_of
from fhir_server.validation.messages import MESSAGES

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
OID: Final = "urn:oid:1.2.250.1.213.1.4."
TYPES: Final = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
INS: Final = "280057505600117"
"""Its key fits."""


def patient(**changed: Any) -> dict[str, Any]:
    """One with an INS and the five traits; ``None`` takes an element away."""
    told = json.loads((EXAMPLES / "profiles/fr-core-patient-ins/helene.json").read_bytes())
    told.update(changed)
    return {name: value for name, value in told.items() if value is not None}


def number(value: str = INS, oid: str = "8", type: str = "INS-NIR", use: str | None = "official") -> dict[str, Any]:
    one = {"use": use, "type": {"coding": [{"system": TYPES, "code": type}]}, "system": OID + oid, "value": value}
    return {name: part for name, part in one.items() if part is not None}


def told(found: list[Issue]) -> list[tuple[str, str, str]]:
    return [(issue.rule, str(issue.severity), issue.expression[0]) for issue in found]


def rules(resource: dict[str, Any]) -> list[str]:
    return [issue.rule for issue in issues(resource, Realm.REEL)]


def without_birth_place() -> dict[str, Any]:
    return patient(extension=patient()["extension"][:1])


def reliability(status: str | None, method: str | None) -> dict[str, Any]:
    """A Patient whose identity has this status, and whose traits were got in this way."""
    stated, place = deepcopy(patient()["extension"])
    codes = {"identityStatus": status, "methodCollection": method}
    stated["extension"] = [{"url": url, "valueCoding": {"code": code}} for url, code in codes.items() if code]
    return patient(extension=[stated, place])


def test_an_ins_with_its_traits_is_right() -> None:
    assert issues(patient(), Realm.REEL) == []


@pytest.mark.parametrize("value", ["151024610204325", "180017505600103", INS])
def test_the_key_of_a_nir(value: str) -> None:
    assert key_of(value[:13]) == int(value[13:])


@pytest.mark.parametrize(("letters", "less"), [("2A", 1_000_000), ("2B", 2_000_000)])
def test_the_key_of_somebody_born_in_corsica(letters: str, less: int) -> None:
    """As INSEE tells it: the letter becomes 0, and one or two millions are taken off."""
    written = int("2800520005001") - less

    assert key_of(f"28005{letters}005001") == 97 - written % 97


@pytest.mark.parametrize("number", ["28005750560011", "280052C005001", "", "２800575056001"])
def test_what_is_no_nir_has_no_key(number: str) -> None:
    assert key_of(number) is None


@pytest.mark.parametrize(
    ("changed", "rule", "at"),
    [
        (patient(identifier=[number("28005750560011")]), "ins-form", "Patient.identifier[0].value"),
        (patient(identifier=[number("280057505600 117")]), "ins-form", "Patient.identifier[0].value"),
        (patient(identifier=[number("2800575056001１7")]), "ins-form", "Patient.identifier[0].value"),
        (patient(identifier=[number(oid="10")]), "ins-type", "Patient.identifier[0].type"),
        (patient(identifier=[number(), number(oid="9", type="INS-NIA")]), "ins-single", "Patient.identifier[1]"),
        (
            patient(identifier=[number(oid="9", type="INS-NIA", use="temp")] * 2),
            "ins-single",
            "Patient.identifier[1]",
        ),
        (patient(name=None), "ins-family", "Patient.name"),
        (patient(name=[{"use": "usual", "family": "Petit", "given": ["A"]}]), "ins-given", "Patient.name"),
        (patient(name=[{"use": "official", "given": ["A"]}]), "ins-family", "Patient.name[0].family"),
        (patient(name=[{"use": "official", "family": "P", "given": [None]}]), "ins-given", "Patient.name[0].given"),
        (patient(birthDate=None), "ins-birth-date", "Patient.birthDate"),
        (patient(gender=None), "ins-gender", "Patient.gender"),
        (without_birth_place(), "ins-birth-place", "Patient.extension"),
    ],
)
def test_what_is_wrong_is_an_error_for_real_people_and_a_warning_in_trials(
    changed: dict[str, Any], rule: str, at: str
) -> None:
    assert (rule, "error", at) in told(issues(changed, Realm.REEL))
    assert (rule, "warning", at) in told(issues(changed, Realm.ESSAI))


def test_an_insee_code_is_the_place_of_birth_and_a_city_alone_is_not() -> None:
    extensions = patient()["extension"]
    del extensions[1]["valueAddress"]["extension"]

    assert rules(patient(extension=extensions)) == ["ins-birth-place"]


@pytest.mark.parametrize("realm", list(Realm))
@pytest.mark.parametrize(
    ("changed", "rule", "at"),
    [
        (patient(identifier=[number("280057505600118")]), "ins-key", "Patient.identifier[0].value"),
        (patient(gender="other"), "ins-gender-other", "Patient.gender"),
        (
            patient(identifier=[number(oid="9", type="INS-NIA", use="temp"), number()]),
            "ins-single",
            "Patient.identifier[0]",
        ),
        (reliability("PROV", None), "ins-status", "Patient.extension[0]"),
        (reliability("VALI", "SM"), "ins-method", "Patient.extension[0]"),
    ],
)
def test_what_is_doubtful_is_a_warning(realm: Realm, changed: dict[str, Any], rule: str, at: str) -> None:
    assert told(issues(changed, realm)) == [(rule, "warning", at)]


def test_the_form_of_an_insee_code() -> None:
    extensions = patient()["extension"]
    coding = extensions[1]["valueAddress"]["extension"][0]["valueCoding"]
    for right in ("75056", "2A004", "99100"):
        coding["code"] = right
        assert issues(patient(extension=extensions), Realm.REEL) == []
    coding["code"] = "Paris"

    found = issues(patient(extension=extensions), Realm.REEL)

    at = "Patient.extension[1].value.extension[0].value.code"
    assert told(found) == [("ins-birth-place-form", "warning", at)]


@pytest.mark.parametrize(
    "numbers",
    [
        [number(), number("151024610204325", use="old")],
        [number(oid="9", type="INS-NIA", use="old"), number()],
        [number(oid="9", type="INS-NIA", use="temp")],
        [number(oid="10", type="INS-NIR-TEST")],
        [number(oid="11", type="INS-NIR-DEMO")],
        [number(), {"use": "official", "type": {"coding": [{"code": "NH"}]}, "system": f"{OID}8", "value": "1"}],
        [number(), {"system": "https://example.org/ipp", "value": "1"}],
    ],
    ids=["an old one beside it", "the NIA of before", "NIA", "test", "demonstration", "the NIR of billing", "another"],
)
def test_numbers_that_go_together(numbers: list[Any]) -> None:
    assert rules(patient(identifier=numbers)) == []


def test_a_patient_without_an_ins_needs_no_traits() -> None:
    assert issues({"resourceType": "Patient"}, Realm.REEL) == []
    assert rules({"resourceType": "Patient", "gender": "other"}) == ["ins-gender-other"]


def test_an_old_ins_does_not_go_without_the_traits_either() -> None:
    assert "ins-birth-date" in rules({"resourceType": "Patient", "identifier": [number(use="old")]})


def test_a_computed_ins_is_told_of_and_asks_for_nothing() -> None:
    short = number("123", oid="2", type="INS-C", use="official")
    whole = number("1234567890123456789012", oid="2", type="INS-C", use="secondary")

    assert rules({"resourceType": "Patient", "identifier": [short]}) == ["ins-c-obsolete", "ins-c-form"]
    assert rules({"resourceType": "Patient", "identifier": [whole]}) == []


@pytest.mark.parametrize(
    "resource",
    [
        {"identifier": "x", "name": 3, "extension": {}},
        {"identifier": [None, 1, {"system": 3}, {"system": f"{OID}8", "type": [], "value": {}}], "name": [None]},
        {"identifier": [number()], "name": [{"use": "official", "given": "A"}], "extension": [{"url": 1}, None]},
        {
            "identifier": [number()],
            "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"}],
        },
    ],
)
def test_what_has_another_shape_is_missing(resource: dict[str, Any]) -> None:
    found = issues(resource, Realm.REEL)

    assert all(issue.severity is Severity.ERROR for issue in found)


def test_each_rule_is_told_in_both_languages() -> None:
    every: dict[str, Any] = {
        "identifier": [number("280057505600118"), number("1"), number(oid="10"), number("1", oid="2", type="INS-C")],
        "gender": "other",
        "extension": [reliability("PROV", "SM")["extension"][0], patient()["extension"][1]],
    }
    every["extension"][1]["valueAddress"]["extension"][0]["valueCoding"]["code"] = "1"
    found = [*issues(every, Realm.REEL), *issues({"identifier": [number()]}, Realm.REEL)]

    assert {issue.rule for issue in found} == {key for key in MESSAGES.keys if key.startswith("ins-")}
    assert all(issue.french and issue.french != issue.diagnostics and not issue.profile for issue in found)
