"""The registry of StructureDefinitions: canonical URLs, versions, what is put on top of the standard."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.definitions.structure_definitions import BadProfile, Snapshot, base_definitions
from tests.profiling import CORE, OURS, definitions
from tests.profiling import profile as profile_of


def profile(name: str, *elements: dict[str, Any], **more: Any) -> dict[str, Any]:
    return profile_of("Patient", *elements, name=name, **more)


def least(snapshot: Snapshot, id: str) -> object:
    return next(element["min"] for element in snapshot.elements if element["id"] == id)


def test_the_standard_is_there() -> None:
    base = base_definitions()
    assert len(base) == 650
    assert {CORE + name for name in ("Patient", "HumanName", "string", "vitalsigns", "patient-birthPlace")} <= set(base)
    assert not any(definition["kind"] == "logical" for definition in base.values())


def test_what_explains_is_left_out_and_what_binds_is_kept() -> None:
    patient: dict[str, Any] = base_definitions()[CORE + "Patient"]
    elements = {element["id"]: element for element in patient["snapshot"]["element"]}

    assert elements["Patient.id"]["type"] == [{"code": "id"}]
    assert elements["Patient.name"]["base"] == {"path": "Patient.name", "min": 0, "max": "*"}
    assert elements["Patient.gender"]["binding"] == {
        "strength": "required",
        "valueSet": "http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1",
    }
    assert elements["Patient.language"]["binding"]["extension"][0]["valueCanonical"].endswith("all-languages")
    assert not {"definition", "comment", "mapping", "requirements", "alias"} & {k for e in elements.values() for k in e}


def test_a_definition_is_found_by_url_and_by_version() -> None:
    known = definitions(profile("p", version="1"), profile("p", version="2"), profile("q"))

    assert known.get(OURS + "p|1") == profile("p", version="1")
    assert known.get(OURS + "p") == profile("p", version="2"), "the last one, when no version is named"
    assert known.get(OURS + "p|3") is None
    assert known.get(OURS + "q") == profile("q")
    assert known.get(OURS + "q|1") is None
    assert known.get(CORE + "Patient") is not None
    assert known.get(CORE + "Patient|4.0.1") == known.get(CORE + "Patient")
    assert known.get(CORE + "Patient|4.3.0") is None
    assert known.get("") is None


def test_a_snapshot_says_what_it_is_of() -> None:
    made = definitions(profile("p", version="1", kind="resource")).snapshot(OURS + "p|1")

    assert (made.url, made.version, made.type, made.kind) == (OURS + "p", "1", "Patient", "resource")
    assert (made.derivation, made.abstract, made.base) == ("constraint", False, CORE + "Patient")
    root = definitions().snapshot(CORE + "Resource")
    assert (root.base, root.abstract, root.version) == ("", True, "4.0.1")


def test_a_snapshot_is_made_once() -> None:
    known = definitions(profile("p"))
    assert known.snapshot(OURS + "p") is known.snapshot(OURS + "p")


def test_each_version_has_its_snapshot() -> None:
    known = definitions(
        profile("p", {"id": "Patient.name", "min": 1}, version="1"),
        profile("p", {"id": "Patient.name", "min": 2}, version="2"),
        profile("on-the-first", base=OURS + "p|1"),
    )
    assert least(known.snapshot(OURS + "p|1"), "Patient.name") == 1
    assert least(known.snapshot(OURS + "p"), "Patient.name") == 2
    assert least(known.snapshot(OURS + "on-the-first"), "Patient.name") == 1


def test_two_definitions_of_one_version_are_refused() -> None:
    with pytest.raises(BadProfile, match="two definitions have this URL and version") as refused:
        definitions(profile("p", version="1"), profile("p", version="1"))
    assert refused.value.profile == OURS + "p|1"


def test_a_definition_without_a_version_is_another_one() -> None:
    known = definitions(profile("p", version="1"), profile("p"))
    assert known.get(OURS + "p|1") == profile("p", version="1")
    assert known.get(OURS + "p") == profile("p")


def test_a_type_of_the_standard_is_not_defined_anew() -> None:
    """Whoever could do so could lift what any profile of it asks."""
    loose = {**profile("p"), "url": CORE + "Patient"}
    for make in (definitions, lambda one: definitions().extended([one])):
        with pytest.raises(BadProfile, match="it is a type of the standard, which cannot be defined anew"):
            make(loose)


def test_a_profile_of_the_standard_may_have_a_later_version() -> None:
    later = {**profile("p", version="5.1.0"), "url": CORE + "vitalsigns"}
    known = definitions(later)
    assert known.get(CORE + "vitalsigns") == later
    assert known.get(CORE + "vitalsigns|4.0.1") == base_definitions()[CORE + "vitalsigns"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"resourceType": "ValueSet", "url": OURS + "p"},
        {"resourceType": "StructureDefinition"},
        {"resourceType": "StructureDefinition", "url": 1},
        {"resourceType": "StructureDefinition", "url": OURS + "p|1"},
    ],
)
def test_what_is_no_structure_definition_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadProfile, match="it is no StructureDefinition with a URL"):
        definitions(wrong)


def test_others_are_put_on_top_without_changing_what_was() -> None:
    narrow = definitions(profile("p"))
    wide = narrow.extended([profile("p", {"id": "Patient.name", "min": 1}), profile("new", base=OURS + "p")])

    assert least(narrow.snapshot(OURS + "p"), "Patient.name") == 0
    assert least(wide.snapshot(OURS + "new"), "Patient.name") == 1
    assert narrow.get(OURS + "new") is None
    assert [url for url in wide if url.startswith(OURS)] == [OURS + "p", OURS + "new"]


def test_what_does_not_build_on_the_new_ones_is_not_made_again() -> None:
    narrow = definitions(
        profile("base"), profile("on-it", base=OURS + "base"), profile("apart", {"id": "Patient.name.family"})
    )
    made = {name: narrow.snapshot(OURS + name) for name in ("on-it", "apart")}
    wide = narrow.extended([profile("base", {"id": "Patient.name", "min": 1})])

    assert wide.snapshot(OURS + "apart") is made["apart"]
    assert least(wide.snapshot(OURS + "on-it"), "Patient.name") == 1


def test_what_builds_on_the_new_ones_through_others_is_made_again() -> None:
    narrow = definitions(profile("base"), profile("middle", base=OURS + "base"), profile("top", base=OURS + "middle"))
    for name in ("middle", "top"):
        narrow.snapshot(OURS + name)
    wide = narrow.extended([profile("base", {"id": "Patient.name", "min": 1})])

    assert least(wide.snapshot(OURS + "top"), "Patient.name") == 1


def test_a_profile_that_was_not_known_before_is_asked_again() -> None:
    """What a target is was not known when the first snapshot was made; now that it is, it is found wrong."""
    target: dict[str, Any] = {"id": "Patient.managingOrganization", "type": [_reference(OURS + "later")]}
    narrow = definitions(profile("p", target))
    narrow.snapshot(OURS + "p")

    with pytest.raises(BadProfile, match="is not among the targets that the base allows"):
        narrow.extended([profile("later")]).snapshot(OURS + "p")


def test_another_version_on_top_does_not_take_the_place_of_what_is_known() -> None:
    """Else whoever adds one that asks nothing would lift what the one of the server asks of everybody."""
    narrow = definitions(profile("p", {"id": "Patient.name", "min": 1}, version="1"))
    wide = narrow.extended([profile("p", version="2"), profile("on-it", base=OURS + "p")])

    assert least(wide.snapshot(OURS + "p"), "Patient.name") == 1
    assert least(wide.snapshot(OURS + "on-it"), "Patient.name") == 1
    assert least(wide.snapshot(OURS + "p|2"), "Patient.name") == 0


def test_what_comes_on_top_has_so_many_elements_and_no_more() -> None:
    """Each of a chain has the elements of all below it: fifty small profiles would be as large as a large one."""
    chain = [profile("p0"), *(profile(f"p{at}", base=f"{OURS}p{at - 1}") for at in range(1, 6))]
    elements = len(definitions(profile("p0")).snapshot(OURS + "p0").elements)

    wide = definitions().extended(chain, most=6 * elements)
    assert len(wide.snapshot(OURS + "p5").elements) == elements

    narrow = definitions().extended(chain, most=6 * elements - 1)
    for _ in range(2):
        with pytest.raises(BadProfile, match=f"its snapshot has {elements} elements") as refused:
            narrow.snapshot(OURS + "p5")
        assert refused.value.profile == OURS + "p5"
    assert len(narrow.snapshot(OURS + "p4").elements) == elements


def _reference(target: str) -> dict[str, Any]:
    return {"code": "Reference", "targetProfile": [target]}


def test_an_unknown_definition_has_no_snapshot() -> None:
    with pytest.raises(BadProfile, match="it is not known here"):
        definitions().snapshot(OURS + "nowhere")


def test_chains() -> None:
    known = definitions(profile("p"), profile("on-it", base=OURS + "p"))

    assert known.chain(OURS + "on-it") == [
        OURS + "on-it",
        OURS + "p",
        CORE + "Patient",
        CORE + "DomainResource",
        CORE + "Resource",
    ]
    assert known.chain(OURS + "nowhere") == []
