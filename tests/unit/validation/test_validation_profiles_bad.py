"""Profiles that cannot be used, and resources that cost too much or have no shape at all."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.definitions.load import load
from fhir_server.fhir.json import decode_object
from fhir_server.validation.finding import MOST_ISSUES
from tests.properties.any_resource import any_resource
from tests.unit.validation.profiling import CORE, HERE, by, checks, element, profile


def slices(slicing: dict[str, Any] | None, *more: dict[str, Any]) -> list[dict[str, Any]]:
    told = element("Patient.name", **({"slicing": slicing} if slicing is not None else {}))
    return [
        told,
        element("Patient.name:a", min=0),
        element("Patient.name:a.use", fixedCode="usual"),
        element("Patient.name:b", min=0),
        element("Patient.name:b.use", fixedCode="official"),
        *more,
    ]


@pytest.mark.parametrize(
    ("elements", "path", "sentence"),
    [
        (slices(by("value", "colour")), "Patient.name:a", "colour leads nowhere"),
        (slices(by("value", "use.first()")), "Patient.name", "no path that is understood"),
        (slices(by("value", "text")), "Patient.name:a", "Nothing in the slice a says how text tells it"),
        (slices(by("position", "use")), "Patient.name", "position is no type of discriminator"),
        (slices({"rules": "open"}), "Patient.name", "there is no discriminator"),
        (
            [element("Patient.name", type=[{"code": "HumanName", "profile": [f"{HERE}none"]}])],
            "",
            "not known here",
        ),
        (
            [
                element(
                    "Patient.name",
                    constraint=[{"key": "a-1", "severity": "error", "human": "x", "expression": "name.where("}],
                )
            ],
            "Patient.name",
            "The expression of a-1 is not understood",
        ),
    ],
)
def test_a_profile_that_does_not_compile_is_named_with_the_element(
    elements: list[dict[str, Any]], path: str, sentence: str
) -> None:
    engine = checks(profile("bad", "Patient", *elements))
    with pytest.raises(BadProfile, match=sentence) as told:
        engine.check(f"{HERE}bad")
    assert told.value.path == path
    (issue,) = engine.issues({"resourceType": "Patient"}, [f"{HERE}bad"])
    assert (issue.severity, issue.rule) == ("error", "profile")
    assert sentence in issue.diagnostics


def test_what_leans_on_a_bad_profile_is_bad_each_time() -> None:
    """The first refers to the second and back; nothing half made is kept."""
    to = [{"code": "Reference", "targetProfile": [f"{HERE}second"]}]
    back = [{"code": "Reference", "targetProfile": [f"{HERE}first"]}]
    first = profile("first", "Patient", element("Patient.link.other", type=to))
    bad = {"key": "a-1", "severity": "error", "human": "x", "expression": "("}
    second = profile(
        "second",
        "RelatedPerson",
        element("RelatedPerson.patient", type=back),
        element("RelatedPerson.gender", constraint=[bad]),
    )
    engine = checks(first, second)
    for _ in range(2):
        for name in ("first", "second"):
            with pytest.raises(BadProfile, match="a-1"):
                engine.check(HERE + name)


# What is sent


def hostile(number: int) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [{"text": "x"}] * number}


def test_too_many_steps_are_cut_and_told() -> None:
    asked = profile("asked", "Patient", *slices(by("value", "use", rules="closed")))
    engine = checks(asked, most=1_000)
    assert all(one.rule == "closed" for one in engine.issues(hostile(10), [asked["url"]]))
    assert [one.code for one in engine.issues(hostile(2_000), [asked["url"]])] == ["too-costly"]


def test_an_invariant_over_everything_is_cut() -> None:
    costly = {"key": "a-1", "severity": "error", "human": "x"}
    costly["expression"] = "%resource.name.select(%resource.name.select(%resource.name)).count() < 5"
    asked = profile("asked", "Patient")
    asked["differential"]["element"][0]["constraint"] = [costly]
    told = checks(asked, most=100_000).issues(hostile(500), [asked["url"]])
    assert [one.code for one in told] == ["too-costly"]


def test_more_defects_than_are_told_are_told_of() -> None:
    asked = profile("asked", "Patient", element("Patient.name.family", min=1))
    told = checks(asked).issues(hostile(3 * MOST_ISSUES), [asked["url"]])
    assert len(told) == MOST_ISSUES + 1
    assert told[-1].severity == "information"


EVERYTHING = [
    f"{CORE}{name}"
    for name in ("bp", "vitalsigns", "lipidprofile", "cdshooksrequestgroup", "shareablevalueset", "groupdefinition")
]
STRANGE = profile(
    "strange",
    "Patient",
    *slices(by("value", "use", ("exists", "period"), rules="closed", ordered=True))[:-1],
    element("Patient.name:b.use", patternCode="official"),
    element("Patient.name:b.period", max=0),
    element("Patient.telecom", slicing=by("profile", "$this"), min=1),
    element("Patient.telecom:a", type=[{"code": "ContactPoint", "profile": [f"{HERE}phone"]}]),
    element("Patient.address.line", min=1, maxLength=3),
    element("Patient.generalPractitioner", slicing=by("type", "resolve()", rules="openAtEnd")),
    element(
        "Patient.generalPractitioner:a",
        type=[{"code": "Reference", "targetProfile": [f"{CORE}Organization"], "aggregation": ["contained"]}],
    ),
)
PHONE = profile("phone", "ContactPoint", element("ContactPoint.value", min=1))

trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                "name _name use _use telecom extension modifierExtension url valueCode contained meta profile id "
                "resourceType generalPractitioner reference component code coding system entry resource".split()
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    st.dictionaries(st.text(max_size=4) | st.sampled_from(["name", "component", "entry", "contained"]), trees),
    st.data(),
)
def test_any_tree_is_answered(tree: dict[str, Any], data: st.DataObject) -> None:
    type = data.draw(st.sampled_from(["Patient", "Observation", "Bundle", "None", 3, None]))
    engine = _engine()
    engine.issues({**tree, "resourceType": type}, [STRANGE["url"], *EVERYTHING])


@given(st.integers(0, 2**32), st.sampled_from(load().resource_types))
def test_any_resource_is_answered(seed: int, type: str) -> None:
    resource = decode_object(any_resource(random.Random(seed), type))  # noqa: S311 - examples
    _engine().issues(resource, [STRANGE["url"], *EVERYTHING])


_ENGINE: list[Any] = []


def _engine() -> Any:
    """Made once: each example would compile everything again."""
    if not _ENGINE:
        _ENGINE.append(checks(STRANGE, PHONE))
        for url in (STRANGE["url"], *EVERYTHING):
            _ENGINE[0].check(url)
    return _ENGINE[0]
