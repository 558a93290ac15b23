"""The hierarchy of code systems, the spellings of a system, and the codes of value sets of the folder."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.terminology import Codes, Coding, NotExpandable, Terminology
from tests.lists import code_system, listed_one_by_one, looked_up, naming_system, terminology_of

NOS = "https://mos.esante.gouv.fr/NOS/"
LOINC = ("http://loinc.org", f"{NOS}TRE_A04-Loinc/FHIR/TRE-A04-Loinc", "urn:oid:2.16.840.1.113883.6.1")
J66 = f"{NOS}JDV_J66-TypeCode-DMP/FHIR/JDV-J66-TypeCode-DMP"
J60 = f"{NOS}JDV_J60-FormatCode-DMP/FHIR/JDV-J60-FormatCode-DMP"
J57 = f"{NOS}JDV_J57-ClassCode-DMP/FHIR/JDV-J57-ClassCode-DMP"
DISEASES, OTHER = "https://example.org/diseases", "https://example.org/other"


@pytest.fixture(scope="module")
def folder() -> Terminology:
    return Terminology.load()


def property(code: str, value: str) -> dict[str, Any]:
    return {"code": code, "valueCode": value}


NESTED = code_system(
    DISEASES,
    {"code": "A", "concept": [{"code": "B", "concept": [{"code": "C"}]}, {"code": "D"}]},
    "E",
)
BY_PARENT = code_system(
    DISEASES,
    "A",
    {"code": "B", "property": [property("parent", "A")]},
    {"code": "C", "property": [property("subsumedBy", "B"), property("note", "E")]},
    {"code": "D", "property": [property("isA", "A")]},
    "E",
    property=[
        {"code": "isA", "uri": "http://hl7.org/fhir/concept-properties#parent"},
        {"code": "note", "uri": "https://example.org/note"},
    ],
)
BY_CHILD = code_system(
    DISEASES,
    {"code": "A", "property": [property("child", "B"), property("narrower", "D")]},
    {"code": "B", "property": [property("child", "C")]},
    "C",
    "D",
    "E",
    property=[{"code": "narrower", "uri": "http://hl7.org/fhir/concept-properties#child"}],
)


def within(found: Codes, system: str = DISEASES) -> set[str]:
    assert not found.systems
    return {coding.code for coding in found.codings if coding.system == system}


@pytest.mark.parametrize("published", [NESTED, BY_PARENT, BY_CHILD], ids=["nested", "parent", "child"])
def test_a_hierarchy_is_the_same_however_it_is_written(published: dict[str, Any]) -> None:
    terminology = terminology_of(published)
    assert within(terminology.below(DISEASES, "A")) == {"A", "B", "C", "D"}
    assert within(terminology.below(DISEASES, "B")) == {"B", "C"}
    assert within(terminology.below(DISEASES, "E")) == {"E"}
    assert within(terminology.above(DISEASES, "C")) == {"A", "B", "C"}
    assert within(terminology.above(DISEASES, "A")) == {"A"}


def test_a_concept_may_have_several_parents() -> None:
    both = {"code": "C", "property": [property("parent", "A"), property("parent", "B")]}
    terminology = terminology_of(code_system(DISEASES, "A", "B", both))
    assert within(terminology.above(DISEASES, "C")) == {"A", "B", "C"}


def test_a_circle_in_the_data_ends() -> None:
    one, two = ({"code": a, "property": [property("parent", b)]} for a, b in (("A", "B"), ("B", "A")))
    terminology = terminology_of(code_system(DISEASES, one, two))
    assert within(terminology.below(DISEASES, "A")) == within(terminology.above(DISEASES, "A")) == {"A", "B"}


def test_a_parent_that_a_fragment_does_not_define_is_above_all_the_same() -> None:
    part = code_system(DISEASES, {"code": "b", "property": [property("parent", "A")]}, caseSensitive=False)
    terminology = terminology_of(part | {"content": "fragment"})
    assert within(terminology.above(DISEASES, "b")) == {"A", "b"}
    assert within(terminology.below(DISEASES, "A")) == {"A", "b"}


def test_a_parent_that_is_no_code_stops_the_start() -> None:
    wrong = {"code": "B", "property": [{"code": "parent", "valueString": "A"}]}
    with pytest.raises(NotExpandable, match=r"The property parent of B in the code system .* must be a valueCode"):
        terminology_of(code_system(DISEASES, wrong))


@pytest.mark.parametrize("system", [OTHER, ""])
def test_an_unknown_code_or_system_is_just_itself(system: str) -> None:
    terminology = terminology_of(NESTED)
    assert terminology.below(system, "A") == Codes(frozenset({Coding(system, "A")}))
    assert terminology.above(DISEASES, "?") == Codes(frozenset({Coding(DISEASES, "?")}))


def test_without_a_system_every_system_that_has_the_code_counts() -> None:
    terminology = terminology_of(NESTED, code_system(OTHER, {"code": "A", "concept": [{"code": "Z"}]}))
    found = terminology.below(None, "A")
    assert (within(found), within(found, OTHER)) == ({"A", "B", "C", "D"}, {"A", "Z"})
    assert within(terminology.above(None, "Z"), OTHER) == {"A", "Z"}
    assert not within(terminology.above(None, "Z"))


def test_without_a_system_the_code_itself_counts_anywhere() -> None:
    """As `code=?` finds it: a modifier that widens must not find less."""
    terminology = terminology_of(NESTED)
    assert terminology.below(None, "?") == Codes(anywhere=frozenset({"?"}))
    assert terminology.above(None, "C").anywhere == {"C"}
    assert not terminology.below(DISEASES, "A").anywhere


@pytest.mark.parametrize("asked", ["https://one.example", "https://two.example", "urn:oid:1.2.3", "urn:oid:1.2.4"])
def test_codes_come_in_every_spelling_of_their_system(asked: str) -> None:
    names = ("https://one.example", "https://two.example", "urn:oid:1.2.3", "urn:oid:1.2.4")
    published = code_system(
        "https://two.example",
        {"code": "A", "concept": [{"code": "B"}]},
        identifier=[{"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.4"}],
    )
    terminology = terminology_of(published, naming_system(*names[:2], oid="1.2.3"))
    assert terminology.spellings(asked) == names
    assert terminology.below(asked, "A").codings == {Coding(name, code) for name in names for code in "AB"}


def test_the_spellings_of_loinc_are_its_urls_and_its_oid(folder: Terminology) -> None:
    assert all(folder.spellings(name) == LOINC for name in LOINC)
    assert folder.spellings("https://example.org/nowhere") == ("https://example.org/nowhere",)


def test_a_system_that_ignores_case_gives_the_code_as_asked_and_as_defined() -> None:
    """What a search compares is exact: both spellings must be there."""
    terminology = terminology_of(code_system(DISEASES, {"code": "A", "concept": [{"code": "B"}]}, caseSensitive=False))
    assert within(terminology.below(DISEASES, "a")) == {"a", "A", "B"}
    assert within(terminology.above(DISEASES, "b")) == {"b", "B", "A"}


def test_two_publications_of_one_system_make_one_hierarchy() -> None:
    terminology = terminology_of(
        code_system("https://one.example", {"code": "A", "concept": [{"code": "B"}]}, version="1"),
        code_system("https://two.example", {"code": "B", "concept": [{"code": "C"}]}, content="fragment"),
        naming_system("https://one.example", "https://two.example", oid="1.2.3"),
    )
    assert within(terminology.below("https://two.example", "A"), "https://one.example") == {"A", "B", "C"}
    content = terminology.content("urn:oid:1.2.3")
    assert content is not None
    assert content.complete


def test_a_stored_code_system_has_a_hierarchy_too() -> None:
    terminology = terminology_of(code_system(DISEASES, "A", "Z", content="fragment"))
    stored = looked_up(NESTED)
    assert within(terminology.below(DISEASES, "A")) == {"A"}
    assert within(terminology.below(DISEASES, "A", stored)) == {"A", "B", "C", "D"}
    assert within(terminology.above(DISEASES, "C", stored)) == {"A", "B", "C"}
    assert within(terminology.below(None, "A", stored)) == {"A", "B", "C", "D"}


def test_what_the_folder_has_whole_is_not_looked_up() -> None:
    def never(url: str) -> None:
        raise AssertionError(url)

    assert within(terminology_of(NESTED).below(DISEASES, "B", never)) == {"B", "C"}


def test_a_stored_code_system_is_sought_under_each_of_its_names() -> None:
    terminology = terminology_of(naming_system("https://one.example", DISEASES, oid="1.2.3"))
    asked: list[str] = []

    def stored(url: str) -> dict[str, Any] | None:
        asked.append(url)
        return looked_up(NESTED)(url)

    assert within(terminology.below("urn:oid:1.2.3", "B", stored)) == {"B", "C"}
    assert asked == ["urn:oid:1.2.3", "https://one.example", DISEASES]


def test_a_value_set_of_the_folder_is_known_with_its_version_and_without(folder: Terminology) -> None:
    found = folder.expansion(J66)
    assert found is not None
    assert found == folder.expansion(f"{J66}|20240927120000")
    assert {Coding(name, "34112-3") for name in LOINC} <= found.codings
    assert not found.systems


def test_another_version_of_a_value_set_is_not_known(folder: Terminology) -> None:
    assert folder.expansion(f"{J66}|20200101") is None
    assert folder.expansion(f"{J60}|1") is None
    assert folder.expansion("https://example.org/nowhere") is None


def test_a_code_is_given_as_the_list_and_as_its_system_have_it() -> None:
    listed = {"include": [{"system": DISEASES, "concept": [{"code": "a"}]}]}
    terminology = terminology_of(
        code_system(DISEASES, "A", caseSensitive=False), {"resourceType": "ValueSet", "url": "u", "compose": listed}
    )
    found = terminology.expansion("u")
    assert found is not None
    assert within(found) == {"a", "A"}


def test_every_value_set_of_the_folder_comes_to_its_codes_in_every_spelling(folder: Terminology) -> None:
    for url in listed_one_by_one(folder):
        found = folder.expansion(url)
        assert found is not None
        for concept in folder.codes(url):
            assert {Coding(name, concept.code) for name in folder.spellings(concept.system)} <= found.codings
        assert all(folder.member(url, *coding) for coding in found.codings)
