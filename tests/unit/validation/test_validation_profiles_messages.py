"""Each sentence of profiles is said of something; a sentence that nothing provokes is not kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from fhir_server.validation.finding import MOST_ISSUES
from fhir_server.validation.messages import MESSAGES
from tests.unit.validation.profiling import CORE, HERE, by, checks, element, extension, profile

FILE: Final = Path(__file__).parents[3] / "fhir_server" / "validation" / "messages" / "profiles.toml"
KEYS: Final = sorted(msgspec.toml.decode(FILE.read_bytes()))
JDV: Final = "https://mos.esante.gouv.fr/NOS/JDV_J57-ClassCode-DMP/FHIR/JDV-J57-ClassCode-DMP"
WIDEST: Final = f"{CORE}elementdefinition-maxValueSet"

Case = tuple[list[dict[str, Any]], dict[str, Any]]


def patient(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **members}


def names(*uses: str) -> dict[str, Any]:
    return patient(name=[{"use": one} for one in uses])


def asked(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    return [profile("asked", "Patient", *elements)]


def sliced(least: int = 0, most: int | str = "*", **slicing: Any) -> list[dict[str, Any]]:
    return asked(
        element("Patient.name", slicing={**by("value", "use"), **slicing}),
        element("Patient.name:a", min=least, max=most),
        element("Patient.name:a.use", fixedCode="usual"),
        element("Patient.name:b", min=0),
        element("Patient.name:b.use", fixedCode="old"),
    )


def bound(strength: str, value_set: str = JDV, **binding: Any) -> Case:
    told = element("Patient.maritalStatus", binding={"strength": strength, "valueSet": value_set, **binding})
    return asked(told), patient(maritalStatus={"coding": [{"system": "urn:s", "code": "x"}]})


def to(*urls: str, **members: Any) -> dict[str, Any]:
    return element("Patient.managingOrganization", type=[{"code": "Reference", "targetProfile": [*urls], **members}])


def held(reference: str = "#o") -> dict[str, Any]:
    return patient(
        contained=[{"resourceType": "Organization", "id": "o"}], managingOrganization={"reference": reference}
    )


NAMED = profile("named", "Organization", element("Organization.name", min=1))
KNOWN = profile("known", "Organization", element("Organization.identifier", min=1))
FIRST = profile("first", "HumanName", element("HumanName.text", min=1))
SECOND = profile("second", "HumanName", element("HumanName.family", min=1))
COLOUR = extension("colour", context="Patient.name")
ACTIVE = extension("active", context="Patient", contextInvariant=["active"])
WHOLE = extension(
    "whole",
    element("Extension.extension", slicing=by("value", "url")),
    element("Extension.extension:part", max=1),
    element("Extension.extension:part.url", fixedUri="part"),
)
MODIFIER = extension("not")
MODIFIER["differential"]["element"][0] |= {"isModifier": True, "isModifierReason": "It says not."}
BROKEN = extension("broken", element("Extension.value[x]", type=[{"code": "HumanName", "profile": ["urn:none"]}]))
RULE: Final = {"key": "a-1", "severity": "error", "human": "Something holds"}

CASES: Final[dict[str, Case]] = {
    "missing": (asked(element("Patient.gender", min=1)), patient()),
    "min": (asked(element("Patient.name", min=2)), names("old")),
    "max": (asked(element("Patient.name", max=1)), names("old", "old")),
    "forbidden": (asked(element("Patient.name", max=0)), names("old")),
    "fixed": (asked(element("Patient.gender", fixedCode="male")), patient(gender="female")),
    "pattern": (asked(element("Patient.gender", patternCode="male")), patient(gender="female")),
    "range-low": (asked(element("Patient.birthDate", minValueDate="2000")), patient(birthDate="1999")),
    "range-high": (asked(element("Patient.birthDate", maxValueDate="2000")), patient(birthDate="2001")),
    "length": (asked(element("Patient.name.text", maxLength=1)), patient(name=[{"text": "AB"}])),
    "type": (asked(element("Patient.deceased[x]", type=[{"code": "boolean"}])), patient(deceasedDateTime="2024")),
    "other-type": (asked(), {"resourceType": "Device"}),
    "profile": (
        [
            *asked(element("Patient.name", type=[{"code": "HumanName", "profile": [FIRST["url"], SECOND["url"]]}])),
            FIRST,
            SECOND,
        ],
        names("old"),
    ),
    "binding-required": bound("required"),
    "binding-extensible": bound("extensible"),
    "binding-preferred": bound("preferred"),
    "binding-widest": bound("example", extension=[{"url": WIDEST, "valueCanonical": JDV}]),
    "binding-unknown": bound("required", "urn:none"),
    "slice-min": (sliced(least=1), names("old")),
    "slice-max": (sliced(most=1), names("usual", "usual")),
    "slice-forbidden": (sliced(most=0), names("usual")),
    "slice-unknown": (
        asked(
            element("Patient.contact", slicing=by("value", "gender")),
            element("Patient.contact:a", min=1),
            element("Patient.contact:a.gender", binding={"strength": "required", "valueSet": "urn:none"}),
        ),
        patient(contact=[{"gender": "male"}]),
    ),
    "slice-order": (sliced(ordered=True), names("old", "usual")),
    "slice-end": (sliced(rules="openAtEnd"), names("nickname", "usual")),
    "closed": (sliced(rules="closed"), names("nickname")),
    "target-type": (
        asked(
            element(
                "Patient.generalPractitioner", type=[{"code": "Reference", "targetProfile": [f"{CORE}Organization"]}]
            )
        ),
        patient(generalPractitioner=[{"reference": "Practitioner/1"}]),
    ),
    "target-profile": ([*asked(to(NAMED["url"], KNOWN["url"])), NAMED, KNOWN], held()),
    "target-unknown": (asked(to("https://example.org/none")), held()),
    "aggregation": (asked(to(f"{CORE}Organization", aggregation=["contained"])), held("Organization/1")),
    "full-url": (
        asked(),
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"fullUrl": "https://a.example/Patient/1", "resource": patient(id="2")}],
        },
    ),
    "context": ([*asked(), COLOUR], patient(extension=[{"url": COLOUR["url"], "valueCode": "x"}])),
    "context-invariant": (
        [*asked(), ACTIVE],
        patient(active=False, extension=[{"url": ACTIVE["url"], "valueCode": "x"}]),
    ),
    "extension-relative": (asked(), patient(extension=[{"url": "colour", "valueCode": "x"}])),
    "extension-part": (
        [*asked(), WHOLE],
        patient(extension=[{"url": WHOLE["url"], "extension": [{"url": "parts", "valueCode": "x"}]}]),
    ),
    "modifier-unknown": (asked(), patient(modifierExtension=[{"url": "urn:x", "valueCode": "x"}])),
    "modifier-wanted": ([*asked(), MODIFIER], patient(extension=[{"url": MODIFIER["url"], "valueCode": "x"}])),
    "modifier-unwanted": ([*asked(), COLOUR], patient(modifierExtension=[{"url": COLOUR["url"], "valueCode": "x"}])),
    "extension-unusable": ([*asked(), BROKEN], patient(extension=[{"url": BROKEN["url"], "valueHumanName": {}}])),
    "invariant": (asked(element("Patient.name", constraint=[{**RULE, "expression": "family.exists()"}])), names("old")),
    "invariant-failed": (
        asked(element("Patient.name", constraint=[{**RULE, "expression": "given.length() > 1"}])),
        patient(name=[{"given": ["A", "B"]}]),
    ),
    "profile-unknown": ([{"url": f"{HERE}none"}], patient()),
    "profile-bad": (asked(element("Patient.name", constraint=[{**RULE, "expression": "("}])), patient()),
    "too-costly": (asked(element("Patient.name.text", min=1)), names(*["old"] * 20_000)),
    "more": (asked(element("Patient.name.text", min=1)), names(*["old"] * (MOST_ISSUES + 2))),
}


@pytest.mark.parametrize("key", KEYS)
def test_a_sentence_is_said(key: str) -> None:
    profiles, resource = CASES[key]
    engine = checks(*(one for one in profiles if "type" in one), most=5_000)
    told = engine.issues(resource, [profiles[0]["url"]])
    english, french = (_pattern(key, language) for language in ("en", "fr"))
    assert any(english.fullmatch(one.diagnostics) and french.fullmatch(one.french) for one in told), told


def test_no_case_is_left_over() -> None:
    assert sorted(CASES) == KEYS


def _pattern(key: str, language: str) -> re.Pattern[str]:
    """The sentence, with anything in its places."""
    places = dict.fromkeys(MESSAGES.places(key), "\0")
    told = MESSAGES.told(key, **places)
    text = re.escape(told.en if language == "en" else told.fr)
    return re.compile(text.replace(re.escape("\0"), ".+"), re.DOTALL)
