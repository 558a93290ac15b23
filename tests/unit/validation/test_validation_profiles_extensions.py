"""Extensions: known ones are as they are defined, and stand where they may."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.validation.profiling import CORE, HERE, Said, by, checks, element, extension, issues, profile, said

COLOUR = extension(
    "colour",
    element("Extension.value[x]", min=1, type=[{"code": "code"}]),
    context="Patient Patient.contact.name HumanName.family",
)
ADDRESS = extension(
    "address",
    element("Extension.extension", slicing=by("value", "url", rules="closed"), min=1),
    element("Extension.extension:floor", min=1, max=1),
    element("Extension.extension:floor.url", fixedUri="floor"),
    element("Extension.extension:floor.value[x]", min=1, type=[{"code": "integer"}]),
    element("Extension.extension:door", max=1),
    element("Extension.extension:door.url", fixedUri="door"),
    element("Extension.value[x]", max=0),
)
OPEN = extension(
    "open",
    element("Extension.extension", slicing=by("value", "url")),
    element("Extension.extension:floor", max=1),
    element("Extension.extension:floor.url", fixedUri="floor"),
    element("Extension.value[x]", max=0),
)
MODIFIER = extension("not", element("Extension.value[x]", type=[{"code": "boolean"}]))
MODIFIER["differential"]["element"][0] |= {"isModifier": True, "isModifierReason": "It says not."}
PLAIN = profile("plain", "Patient")


def patient(*extensions: dict[str, Any], **members: Any) -> dict[str, Any]:
    told = {"resourceType": "Patient", **members}
    return {**told, "extension": list(extensions)} if extensions else told


def colour(**value: Any) -> dict[str, Any]:
    return {"url": COLOUR["url"], **(value or {"valueCode": "red"})}


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (patient(colour()), []),
        (patient(colour(valueString="red")), [("Patient.extension[0].value", "type")]),
        (patient({"url": COLOUR["url"]}), [("Patient.extension[0].value", "min")]),
        (patient({"url": "urn:other", "valueString": "x"}), []),
        # where it stands
        (patient(contact=[{"name": {"extension": [colour()]}}]), []),
        (patient(name=[{"extension": [colour()]}]), [("Patient.name[0].extension[0]", "context")]),
        (patient(name=[{"family": "A", "_family": {"extension": [colour()]}}]), []),
        (patient(gender="male", _gender={"extension": [colour()]}), [("Patient.gender.extension[0]", "context")]),
        (
            patient(name=[{"given": ["A", "B"], "_given": [None, {"extension": [colour()]}]}]),
            [("Patient.name[0].given[1].extension[0]", "context")],
        ),
        # what is in it
        (patient({"url": ADDRESS["url"], "extension": [{"url": "floor", "valueInteger": 1}]}), []),
        (
            patient({"url": ADDRESS["url"], "extension": [{"url": "floor", "valueString": "1"}]}),
            [("Patient.extension[0].extension[0].value", "type")],
        ),
        (
            patient({"url": ADDRESS["url"], "extension": [{"url": "door", "valueString": "1"}]}),
            [("Patient.extension[0].extension", "min")],
        ),
        (
            patient(
                {
                    "url": ADDRESS["url"],
                    "extension": [{"url": "floor", "valueInteger": 1}, {"url": "stairs", "valueInteger": 1}],
                }
            ),
            [("Patient.extension[0].extension[1]", "closed")],
        ),
        # modifiers
        (patient(modifierExtension=[{"url": MODIFIER["url"], "valueBoolean": True}]), []),
        (
            patient(modifierExtension=[{"url": "urn:other", "valueBoolean": True}]),
            [("Patient.modifierExtension[0]", "modifier")],
        ),
        (patient({"url": MODIFIER["url"], "valueBoolean": True}), [("Patient.extension[0]", "modifier")]),
        (patient(modifierExtension=[colour()]), [("Patient.modifierExtension[0]", "modifier")]),
    ],
)
def test_extensions(resource: dict[str, Any], told: list[tuple[str, str]]) -> None:
    assert said(resource, PLAIN, COLOUR, ADDRESS, MODIFIER) == [Said(*one) for one in told]


def test_extensions_are_checked_without_any_profile() -> None:
    (told,) = checks(COLOUR).issues(patient(colour(valueString="red")), [])
    assert (told.rule, told.profile) == ("type", f"{HERE}colour|1.0")


def test_extensions_of_fhir_are_known() -> None:
    born = {"url": f"{CORE}patient-birthPlace", "valueString": "Lyon"}
    assert said(patient(born), PLAIN) == [Said("Patient.extension[0].value", "type")]


def test_an_extension_is_told_of_once() -> None:
    """It is a slice of the profile, and known besides."""
    asked = profile(
        "asked",
        "Patient",
        element("Patient.extension", slicing=by("value", "url")),
        element("Patient.extension:colour", type=[{"code": "Extension", "profile": [COLOUR["url"]]}]),
    )
    assert said(patient(colour(valueString="red")), asked, COLOUR) == [Said("Patient.extension[0].value", "type")]


def test_in_contained_resources_and_bundles() -> None:
    held = {"resourceType": "Device", "id": "d", "extension": [colour()]}
    assert said(patient(contained=[held]), PLAIN, COLOUR) == [Said("Patient.contained[0].extension[0]", "context")]
    sent: dict[str, Any] = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": held}]}
    told = checks(COLOUR).issues(sent, [])
    assert [one.expression for one in told] == [("Bundle.entry[0].resource.extension[0]",)]


def test_in_another_extension() -> None:
    inner = extension("inner", context="")
    inner["context"] = [{"type": "extension", "expression": ADDRESS["url"]}]
    nested = {"url": inner["url"], "valueString": "x"}
    outer = extension("outer")
    assert said(patient({"url": outer["url"], "extension": [nested]}), PLAIN, inner, ADDRESS, outer) == [
        Said("Patient.extension[0].extension[0]", "context")
    ]
    open_address = {"url": ADDRESS["url"], "extension": [nested]}
    rules = [one.rule for one in said(patient(open_address), PLAIN, inner, ADDRESS)]
    assert "context" not in rules


def test_on_the_value_of_another_extension() -> None:
    """What stands on the value stands in that extension."""
    inner = extension("inner", context="")
    inner["context"] = [{"type": "extension", "expression": MODIFIER["url"]}]
    nested = {"extension": [{"url": inner["url"], "valueString": "x"}]}
    held = patient(modifierExtension=[{"url": MODIFIER["url"], "valueBoolean": True, "_valueBoolean": nested}])
    assert said(held, PLAIN, inner, MODIFIER) == []
    other = patient({"url": "urn:other", "valueBoolean": True, "_valueBoolean": nested})
    assert said(other, PLAIN, inner, MODIFIER) == [Said("Patient.extension[0].value.extension[0]", "context")]


def test_on_an_element_of_a_general_type() -> None:
    """The text of a Patient is that of a DomainResource."""
    general = extension("general", context="DomainResource.text")
    text = {"status": "generated", "div": "<div>x</div>", "extension": [{"url": general["url"], "valueCode": "x"}]}
    assert said(patient(text=text), PLAIN, general) == []
    other = patient(name=[{"extension": text["extension"]}])
    assert said(other, PLAIN, general) == [Said("Patient.name[0].extension[0]", "context")]


@pytest.mark.parametrize(
    "resource",
    [
        {
            "resourceType": "OperationDefinition",
            "extension": [{"url": f"{CORE}structuredefinition-normative-version", "valueCode": "4.0.0"}],
        },
        {
            "resourceType": "CodeSystem",
            "concept": [
                {
                    "code": "a",
                    "extension": [{"url": f"{CORE}valueset-concept-comments", "valueString": "x"}],
                }
            ],
        },
        {
            "resourceType": "StructureDefinition",
            "snapshot": {
                "element": [
                    {
                        "path": "Patient.id",
                        "type": [
                            {
                                "code": "http://hl7.org/fhirpath/System.String",
                                "extension": [
                                    {"url": f"{CORE}structuredefinition-fhir-type", "valueUrl": "string"},
                                    {"url": f"{CORE}regex", "valueString": "[A-Z]"},
                                ],
                            }
                        ],
                    }
                ]
            },
        },
    ],
)
def test_where_what_r4_publishes_has_them(resource: dict[str, Any]) -> None:
    """Its definitions say otherwise; a client that sends the standard back is not wrong."""
    assert "context" not in [one.rule for one in checks().issues(resource, [])]


def test_only_where_a_condition_holds() -> None:
    """https://hl7.org/fhir/R4/defining-extensions.html#context (``contextInvariant``)"""
    asked = extension("asked", context="Patient Patient.contact", contextInvariant=["active.not() or name.exists()"])
    one = {"url": asked["url"], "valueCode": "x"}
    assert said(patient(one, active=False), PLAIN, asked) == []
    assert said(patient(one, active=True), PLAIN, asked) == [Said("Patient.extension[0]", "context")]
    assert said(patient(contact=[{"name": {"text": "x"}, "extension": [one]}]), PLAIN, asked) == []
    assert said(patient(contact=[{"gender": "male", "extension": [one]}]), PLAIN, asked) == [
        Said("Patient.contact[0].extension[0]", "context")
    ]


def test_a_condition_that_is_not_understood_is_not_broken() -> None:
    asked = extension("asked", context="Patient", contextInvariant=["%extension.valueCode = 'y'", "(1 | 2) + 1 = 2"])
    assert said(patient({"url": asked["url"], "valueCode": "x"}), PLAIN, asked) == []


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (patient({"url": "colour", "valueCode": "red"}), [Said("Patient.extension[0]", "url")]),
        (
            patient({"url": OPEN["url"], "extension": [{"url": "flor", "valueInteger": 1}]}),
            [Said("Patient.extension[0].extension[0]", "url")],
        ),
        (patient({"url": OPEN["url"], "extension": [{"url": "floor", "valueInteger": 1}]}), []),
        (patient({"url": OPEN["url"], "extension": [{"url": "urn:other", "valueInteger": 1}]}), []),
        # a definition that allows no others tells so itself
        (
            patient({"url": ADDRESS["url"], "extension": [{"url": "flor", "valueInteger": 1}]}),
            [Said("Patient.extension[0].extension[0]", "closed"), Said("Patient.extension[0].extension", "min")],
        ),
        # of parts of what is not known, nobody can tell
        (patient({"url": "urn:other", "extension": [{"url": "flor", "valueInteger": 1}]}), []),
        (
            patient({"url": OPEN["url"], "extension": [{"url": "floor", "extension": [{"url": "flor"}]}]}),
            [],
        ),
    ],
)
def test_a_url_that_is_not_absolute_is_one_of_a_part(resource: dict[str, Any], told: list[Said]) -> None:
    found = said(resource, PLAIN, ADDRESS, OPEN)
    assert [one for one in found if one.rule in ("url", "closed", "min")] == told


def test_where_a_path_selects() -> None:
    official = extension("official", context="")
    official["context"] = [{"type": "fhirpath", "expression": "Patient.name.where(use = 'official')"}]
    one = {"extension": [{"url": official["url"], "valueString": "x"}]}
    assert said(patient(name=[{"use": "official", **one}]), PLAIN, official) == []
    assert said(patient(name=[{"use": "usual", **one}]), PLAIN, official) == [
        Said("Patient.name[0].extension[0]", "context")
    ]


def test_a_definition_that_cannot_be_used_is_told_of() -> None:
    bad = extension("bad", element("Extension.value[x]", type=[{"code": "HumanName", "profile": ["urn:none"]}]))
    (told,) = issues(patient({"url": bad["url"], "valueHumanName": {}}), PLAIN, bad)
    assert (told.severity, told.rule) == ("information", "extension")


def test_an_extension_that_nobody_knows_is_told_by_its_url() -> None:
    """Guides name extensions of packages that are not here: the slice is counted, what it holds is not checked."""
    unknown = "https://example.org/never"
    asked = profile(
        "asked",
        "Patient",
        element("Patient.extension", slicing=by("value", "url")),
        element("Patient.extension:a", min=1, type=[{"code": "Extension", "profile": [f"{unknown}|9"]}]),
    )
    there, other = ({"url": url, "valueString": "x"} for url in (unknown, "https://example.org/other"))
    assert said(patient(there), asked) == []
    assert said(patient(other), asked) == [Said("Patient.extension", "min")]
