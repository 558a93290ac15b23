"""What holds of every snapshot: it begins with its base, and making it again changes nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions.structure_definitions import BadProfile, StructureDefinitions, base_definitions
from tests.profiling import CORE, OURS, profile

BASE = StructureDefinitions(base_definitions())
CONTRADICT_THEMSELVES = {"catalog", "codesystem-history", "familymemberhistory-genetic"}
PROFILES = sorted(set(base_definitions()) - {CORE + name for name in CONTRADICT_THEMSELVES})
OBSERVATION = [e for e in BASE.snapshot(CORE + "Observation").elements if "type" in e]


def elements(one: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return BASE.extended([one]).snapshot(one["url"]).elements


def test_a_profile_that_tells_nothing_asks_what_its_base_asks() -> None:
    bases = [BASE.snapshot(url) for url in PROFILES]
    assert [base.url for base in bases if elements(profile(base.type, base=base.url)) != base.elements] == []


def test_a_profile_told_twice_asks_what_it_asked() -> None:
    """Its differential over its own snapshot. What slices are told is told already."""
    once = [BASE.snapshot(url) for url in PROFILES if base_definitions()[url].get("derivation") == "constraint"]
    assert len(once) == 438
    again = {one.url: {**base_definitions()[one.url], "url": OURS + "p", "baseDefinition": one.url} for one in once}

    assert [one.url for one in once if elements(again[one.url]) != one.elements] == []


@st.composite
def narrowing(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Elements of a differential of Observation, in order, each within its base."""
    chosen = draw(st.sets(st.integers(0, len(OBSERVATION) - 1), max_size=12))
    told = []
    for place in sorted(chosen):
        base: dict[str, Any] = OBSERVATION[place]
        element: dict[str, Any] = {"id": base["id"]}
        if base["max"] == "*" and draw(st.booleans()):
            element |= {"min": draw(st.integers(base["min"], 3)), "max": draw(st.sampled_from(["3", "4", "*"]))}
        if draw(st.booleans()):
            element["mustSupport"] = True
        if len(base["type"]) > 1:
            element["type"] = draw(st.lists(st.sampled_from(base["type"]), min_size=1, unique_by=str))
        told.append(element)
    return told


@given(narrowing())
def test_telling_it_over_itself_changes_nothing(told: list[dict[str, Any]]) -> None:
    known = BASE.extended(
        [
            profile("Observation", *told, name="once"),
            profile("Observation", *told, name="twice", base=OURS + "once"),
        ]
    )
    assert known.snapshot(OURS + "twice").elements == known.snapshot(OURS + "once").elements


@given(narrowing(), narrowing())
def test_a_profile_over_a_profile_never_widens(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
    """Either it is refused, or each element allows no more than both allowed."""
    known = BASE.extended(
        [profile("Observation", *first, name="first"), profile("Observation", *second, base=OURS + "first")]
    )
    before = known.snapshot(OURS + "first").elements
    try:
        after = known.snapshot(OURS + "p").elements
    except BadProfile:
        return
    for narrow, wide in zip(after, before, strict=True):
        assert narrow["id"] == wide["id"]
        assert narrow["min"] >= wide["min"]  # type: ignore[operator]
        assert wide["max"] == "*" or (narrow["max"] != "*" and int(narrow["max"]) <= int(wide["max"]))  # type: ignore[arg-type]
        assert str(wide.get("type")) == str(narrow.get("type")) or len(narrow["type"]) <= len(wide["type"])  # type: ignore[arg-type]


NAMES = [
    "identifier",
    "name",
    "value[x]",
    "valueQuantity",
    "component",
    "extension",
    "code",
    "coding",
    "contained",
    "x",
]
STEPS = st.tuples(st.sampled_from(NAMES), st.sampled_from(["", "", ":a", ":a/b", ":valueQuantity"])).map("".join)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, 0, 1, "", "1", "*", [], {}, [{}], [{"code": "Quantity"}], {"rules": "open"}, ["a"], True]
)
MEMBERS = st.sampled_from(
    [
        "min",
        "max",
        "type",
        "slicing",
        "binding",
        "constraint",
        "condition",
        "sliceName",
        "contentReference",
        "fixedCode",
    ]
)


@given(st.lists(st.tuples(st.lists(STEPS, max_size=4), st.dictionaries(MEMBERS, ODD, max_size=3)), max_size=6))
def test_whatever_a_differential_holds_it_has_a_snapshot_or_is_refused(told: list[tuple[list[str], Any]]) -> None:
    """Profiles come from clients."""
    made = profile("Observation", *({"id": ".".join(["Observation", *steps]), **members} for steps, members in told))
    known = BASE.extended([made])
    try:
        answer = known.snapshot(OURS + "p").url
    except BadProfile as refusal:
        answer = refusal.profile
    assert answer == OURS + "p"
