"""Profiles that cannot be used: which one, at which element, and why."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.definitions import snapshots, structure_definitions
from fhir_server.definitions.structure_definitions import BadProfile
from tests.profiling import CORE, OURS, definitions, profile

BY_SYSTEM = {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}
SLICED = {"id": "Patient.identifier", "slicing": BY_SYSTEM}


def refused(one: dict[str, Any], *others: dict[str, Any]) -> BadProfile:
    with pytest.raises(BadProfile) as refusal:
        definitions(one, *others).snapshot(one["url"])
    return refusal.value


@pytest.mark.parametrize(
    ("element", "why"),
    [
        ({"id": "Patient.surname"}, "the base has no element surname here."),
        ({"id": "Patient.name.first"}, "the base has no element first here."),
        ({"id": "Patient.deceased[x].coding"}, "the base has no element coding here."),
        ({"id": "Patient.deceasedString"}, "the base has no element deceasedString here."),
        ({"id": "Practitioner.name"}, "the elements of a profile of Patient begin with Patient."),
        ({"id": "Patient.name", "min": -1}, "min -1 is less than 0, the min of the base."),
        ({"id": "Patient.communication.language", "min": 0}, "min 0 is less than 1, the min of the base."),
        ({"id": "Patient.gender", "max": "*"}, "max * is more than 1, the max of the base."),
        ({"id": "Patient.gender", "max": "2"}, "max 2 is more than 1, the max of the base."),
        ({"id": "Patient.name", "min": 3, "max": "2"}, "min 3 is more than max 2."),
        ({"id": "Patient.communication.language", "max": "0"}, "min 1 is more than max 0."),
        ({"id": "Patient.name", "max": "many"}, "max must be a number or *, and not 'many'."),
        ({"id": "Patient.name", "max": "-1"}, "max must be a number or *, and not '-1'."),
        ({"id": "Patient.name", "min": "1"}, "min must be a number and max a number or * in quotes."),
        ({"id": "Patient.name", "max": 1}, "min must be a number and max a number or * in quotes."),
        (
            {"id": "Patient.deceased[x]", "type": [{"code": "Period"}]},
            "its type Period is not among those that the base allows: boolean, dateTime.",
        ),
        (
            {"id": "Patient.contained", "type": [{"code": "HumanName"}]},
            "its type HumanName is not among those that the base allows: Resource.",
        ),
        ({"id": "Patient.gender", "type": [{"profile": ["x"]}]}, "a type has no code."),
        (
            {"id": "Patient.name", "type": [{"code": "HumanName", "profile": [CORE + "SimpleQuantity"]}]},
            f"{CORE}SimpleQuantity is no profile of HumanName.",
        ),
        (
            {
                "id": "Patient.managingOrganization",
                "type": [{"code": "Reference", "targetProfile": [CORE + "Practitioner"]}],
            },
            f"{CORE}Practitioner is not among the targets that the base allows, and derives from none.",
        ),
        ({"id": "Patient.gender", "fixedUri": "urn:x"}, "fixedUri is for another type than code."),
        ({"id": "Patient.name", "patternIdentifier": {}}, "patternIdentifier is for another type than HumanName."),
        (
            {"id": "Patient.gender", "binding": {"strength": "example", "valueSet": "x"}},
            "its binding is required in the base and cannot become example.",
        ),
        ({"id": "Patient.name", "isModifier": True}, "whether an element is a modifier is told by the base alone."),
        ({"id": "Patient.active", "isModifier": False}, "whether an element is a modifier is told by the base alone."),
        (
            {"id": "Patient.name", "contentReference": "#Patient.contact"},
            "its contentReference is told by the base alone.",
        ),
        ({"id": "Patient.name", "slicing": "open"}, "slicing must be an object."),
        ({"id": "Patient.name", "type": {"code": "HumanName"}}, "type must be an array."),
        ({"id": "Patient.name", "constraint": {"key": "a"}}, "constraint must be an array."),
        ({"id": "Patient.name", "condition": "a"}, "condition must be an array."),
        ({"id": "Patient.gender", "binding": "required"}, "binding must be an object."),
        ({"id": "Patient.name", "sliceName": "a.b"}, "the name of a slice cannot hold a dot: it is a part of ids."),
        ({"id": "Patient.name", "slicing": {}}, "slicing must have rules: open, openAtEnd or closed."),
    ],
)
def test_what_contradicts_the_base(element: dict[str, Any], why: str) -> None:
    refusal = refused(profile("Patient", element))

    assert refusal.why == why
    assert refusal.path == element["id"]
    assert refusal.profile == OURS + "p"
    assert str(refusal) == f"{OURS}p: {element['id']}: {why}"


@pytest.mark.parametrize(
    ("elements", "path", "why"),
    [
        (
            [{"id": "Patient.identifier:INS", "sliceName": "INS"}],
            "Patient.identifier",
            "it has slices, but nothing tells how they are told apart (slicing).",
        ),
        (
            [{"id": "Patient.deceased[x]:mort", "sliceName": "mort"}],
            "Patient.deceased[x]",
            "it has slices, but nothing tells how they are told apart (slicing).",
        ),
        (
            [SLICED, {"id": "Patient.identifier:INS/NIR", "sliceName": "INS/NIR"}],
            "Patient.identifier:INS/NIR",
            "there is no slice INS that it could slice further.",
        ),
        (
            [
                {**SLICED, "max": "1"},
                {"id": "Patient.identifier:a", "min": 1},
                {"id": "Patient.identifier:b", "min": 1},
            ],
            "Patient.identifier",
            "its slices ask for 2 of them together, and its max is 1.",
        ),
        (
            [
                SLICED,
                {"id": "Patient.identifier:a", "max": "1"},
                {"id": "Patient.identifier:a/b", "min": 1},
                {"id": "Patient.identifier:a/c", "min": 1},
            ],
            "Patient.identifier",
            "its slices ask for 2 of them together, and its max is 1.",
        ),
        (
            [SLICED, {"id": "Patient.identifier:INS", "sliceName": "NIR"}],
            "Patient.identifier:INS",
            "its id and its sliceName 'NIR' differ.",
        ),
        (
            [{"id": "Patient.identifier:INS"}, SLICED],
            "Patient.identifier",
            "the differential is out of order: it tells of parts of this element first.",
        ),
        (
            [{"id": "Patient.gender"}, {"id": "Patient.name"}],
            "Patient.gender",
            "the differential is out of order: this element comes earlier in the base.",
        ),
        (
            [{"id": "Patient.name"}, {"id": "Patient.name", "min": 1}],
            "Patient.name",
            "the differential tells this element twice.",
        ),
        (
            [{"id": "Patient.deceased[x]:deceasedBoolean"}, {"id": "Patient.deceasedBoolean"}],
            "Patient.deceasedBoolean",
            "the differential tells this element twice.",
        ),
        ([{"id": "Patient.name", "path": ""}], "differential.element[0]", "the element has no path."),
        (
            [{"id": "Patient" + ".x" * 41}],
            "Patient" + ".x" * 41,
            "the path is more than 40 steps long.",
        ),
        (
            [
                {"id": "Patient.name", "type": [{"code": "HumanName", "profile": [OURS + "nowhere"]}]},
                {"id": "Patient.name.family"},
            ],
            "Patient.name",
            f"the profile {OURS}nowhere of its type is not known here, and something below is constrained.",
        ),
    ],
)
def test_what_does_not_hold_together(elements: list[dict[str, Any]], path: str, why: str) -> None:
    refusal = refused(profile("Patient", *elements))
    assert (refusal.path, refusal.why) == (path, why)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"rules": "open"}, "its slicing is closed in the base and cannot become open."),
        (
            {"rules": "closed", "discriminator": [{"type": "value", "path": "use"}]},
            "the base slices it by discriminators that this slicing leaves out.",
        ),
        ({"rules": "closed", "ordered": False}, "its slices are ordered in the base."),
    ],
)
def test_a_slicing_cannot_be_widened(told: dict[str, Any], why: str) -> None:
    closed = {**BY_SYSTEM, "rules": "closed", "ordered": True}
    base = profile("Patient", {"id": "Patient.identifier", "slicing": closed}, name="base")
    refusal = refused(profile("Patient", {"id": "Patient.identifier", "slicing": told}, base=OURS + "base"), base)
    assert refusal.why == why


def test_a_closed_slicing_has_no_new_slices() -> None:
    base = profile("Patient", {"id": "Patient.identifier", "slicing": {**BY_SYSTEM, "rules": "closed"}}, name="base")
    refusal = refused(profile("Patient", {"id": "Patient.identifier:INS"}, base=OURS + "base"), base)
    assert (refusal.path, refusal.why) == (
        "Patient.identifier:INS",
        "the slicing is closed in the base: there can be no new slice.",
    )


def test_must_support_is_not_taken_back() -> None:
    base = profile("Patient", {"id": "Patient.name", "mustSupport": True}, name="base")
    refusal = refused(profile("Patient", {"id": "Patient.name", "mustSupport": False}, base=OURS + "base"), base)
    assert refusal.why == "the base says mustSupport, which a profile cannot take back."


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"baseDefinition": OURS + "nowhere"}, f"its base {OURS}nowhere is not known here."),
        ({"baseDefinition": CORE + "Patient|3.0.2"}, f"its base {CORE}Patient|3.0.2 is not known here."),
        ({"baseDefinition": None}, "its base (none) is not known here."),
        ({"type": "Practitioner"}, f"it is a profile of Practitioner, and its base {CORE}Patient is of Patient."),
        ({"type": None}, f"it is a profile of (none), and its base {CORE}Patient is of Patient."),
    ],
)
def test_a_base_that_cannot_be_one(changed: dict[str, Any], why: str) -> None:
    refusal = refused({**profile("Patient"), **changed})
    assert (refusal.path, refusal.why) == ("", why)


def test_the_version_of_what_is_wrong_is_told() -> None:
    assert refused(profile("Patient", {"id": "Patient.surname"}, version="2")).profile == OURS + "p|2"


def test_bases_in_a_circle() -> None:
    a, b = profile("Patient", name="a", base=OURS + "b"), profile("Patient", name="b", base=OURS + "a")
    refusal = refused(a, b)
    assert refusal.why == f"its snapshot needs itself: {OURS}a -> {OURS}b -> {OURS}a."


def test_a_profile_that_is_unfolded_within_itself() -> None:
    itself = {"id": "Extension.extension:a", "type": [{"code": "Extension", "profile": [OURS + "p"]}]}
    within = profile("Extension", itself, {"id": "Extension.extension:a.url"}, kind="complex-type")
    assert refused(within).why == f"its snapshot needs itself: {OURS}p -> {OURS}p."


def test_a_circle_of_bases_has_an_end_where_only_the_chain_is_asked() -> None:
    a, b = profile("Patient", name="a", base=OURS + "b"), profile("Patient", name="b", base=OURS + "a")
    assert definitions(a, b).chain(OURS + "a") == [OURS + "a", OURS + "b"]


@pytest.mark.parametrize(
    ("derivation", "why"),
    [
        ("constraint", "it has no differential."),
        ("specialization", "it is no constraint on a type, and has no snapshot."),
    ],
)
def test_nothing_to_make_a_snapshot_of(derivation: str, why: str) -> None:
    empty = {**profile("Patient"), "derivation": derivation}
    del empty["differential"]
    assert refused(empty).why == why


@pytest.mark.parametrize("differential", [None, [], {"element": {}}, {"element": ["Patient.name"]}])
def test_a_differential_that_is_none(differential: Any) -> None:
    refusal = refused({**profile("Patient"), "differential": differential})
    assert refusal.why == "its differential must have an array of elements."


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ([], "its snapshot has no elements."),
        (
            [{"id": "Patient"}, {"id": "Patient.a.b"}],
            "the element Patient.a.b of its snapshot comes before what it is a part of.",
        ),
    ],
)
def test_a_published_snapshot_that_cannot_be_read(elements: list[dict[str, Any]], why: str) -> None:
    published = {**profile("Patient"), "snapshot": {"element": elements}}
    del published["differential"]
    assert refused(published).why == why


def test_a_failed_snapshot_fails_again_in_the_same_way() -> None:
    known = definitions(profile("Patient", {"id": "Patient.surname"}))
    for _ in range(2):
        with pytest.raises(BadProfile, match="the base has no element surname here"):
            known.snapshot(OURS + "p")
    assert known.snapshot(CORE + "Patient").elements


def test_slices_that_multiply_from_profile_to_profile_are_cut() -> None:
    """Each slices what is around the slices of the one before, and trebles them: twenty would fill the memory."""
    chain: list[dict[str, Any]] = []
    for depth in range(20):
        step = "Questionnaire" + ".item" * (20 - depth)
        sliced = {"id": step, "slicing": {"rules": "open"}}
        told = (sliced, {"id": f"{step}:a"}, {"id": f"{step}:b"})
        chain.append(profile("Questionnaire", *told, name=f"p{depth}", base=f"{OURS}p{depth - 1}" if depth else ""))
    refusal = refused(*reversed(chain))
    assert refusal.why == f"its snapshot would have more than {snapshots.MAX_ELEMENTS} elements."


def test_a_chain_of_profiles_has_a_bound() -> None:
    length = structure_definitions.MAX_CHAIN
    chain = [profile("Patient", name=f"p{n}", base=f"{OURS}p{n - 1}" if n else "") for n in range(length)]
    refusal = refused(*reversed(chain))
    assert refusal.why == f"it builds on more than {length} profiles."
