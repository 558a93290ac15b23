"""The codes of a value set as an expansion lists them. https://hl7.org/fhir/R4/valueset.html#expansion"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.terminology import Terminology, Wanted, members
from fhir_server.terminology.listing import DEEPEST, Listing, Shape, listing
from fhir_server.terminology.words import words
from tests.lists import code_system, codes, filtered, terminology_of, value_set

S = "https://example.org/s"
TREE: list[dict[str, Any]] = [
    {
        "code": "A",
        "display": "Compte-rendu d'hospitalisation",
        "designation": [
            {"language": "en", "value": "Discharge summary"},
            {"language": "de-CH", "use": {"system": "u:use", "code": "short"}, "value": "Austrittsbericht"},
        ],
        "concept": [{"code": "B", "concept": [{"code": "C"}]}, {"code": "D", "display": "Élève"}],
    },
    {"code": "E", "property": [{"code": "notSelectable", "valueBoolean": True}]},
    {"code": "F", "property": [{"code": "dateFin", "valueDateTime": "2024-03-29"}]},
]
TERMINOLOGY = terminology_of(code_system(S, *TREE, version="2"))


def shape(**told: Any) -> Shape:
    return Shape(**({"language": "fr", "day": "2026-01-01"} | told))


def listed(resource: dict[str, Any], terminology: Terminology = TERMINOLOGY, **told: Any) -> Listing:
    found = members(resource, terminology, wanted=Wanted(by_code=True, detailed=True))
    return listing(found, terminology.content, shape(**told))


def names(entries: Any) -> list[Any]:
    """Codes, each with what stands below it."""
    return [(one["code"], names(one["contains"])) if "contains" in one else one["code"] for one in entries]


WHOLE = value_set({"system": S})


def test_codes_stand_below_the_nearest_that_is_listed_above_them() -> None:
    assert names(listed(WHOLE).contains) == [("A", [("B", ["C"]), "D"]), "E", "F"]
    without_b = value_set({"system": S}, exclude=[codes(S, "B")])
    assert names(listed(without_b).contains) == [("A", ["C", "D"]), "E", "F"]
    assert names(listed(value_set(filtered(S, "descendent-of", "A"))).contains) == [("B", ["C"]), "D"]


def test_codes_named_one_by_one_keep_their_order() -> None:
    assert names(listed(value_set(codes(S, "C", "A", "B"))).contains) == ["C", "A", "B"]


def test_a_flat_list_is_cut_into_pages_and_its_total_is_of_all() -> None:
    assert names(listed(WHOLE, nested=False).contains) == list("ABCDEF")
    pages = [listed(WHOLE, nested=False, offset=offset, count=4) for offset in (0, 4, 8)]
    assert [names(page.contains) for page in pages] == [list("ABCD"), list("EF"), []]
    assert {page.total for page in pages} == {6}
    assert listed(WHOLE, nested=False, count=0) == Listing(6, [])


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("compte", "A"),
        ("HOSPI rendu", "A"),
        ("summary", "A"),
        ("eleve", "D"),
        ("élè", "D"),
        ("leve", ""),
        ("compte rien", ""),
        ("d", "AD"),
        ("", "ABCDEF"),
        ("--", "ABCDEF"),
    ],
)
def test_a_filter_is_of_words_that_begin_words(filter: str, found: str) -> None:
    assert names(listed(WHOLE, nested=False, filter=filter).contains) == list(found)


def test_words_have_no_case_no_accent_and_no_mark() -> None:
    assert words("L’Œil  d'Hélène-Anne_2") == ["l", "œil", "d", "helene", "anne", "2"]


def test_what_is_abstract_or_ended_is_told_and_may_be_left_out() -> None:
    entries = {one["code"]: one for one in listed(WHOLE, nested=False).contains}
    assert (entries["E"].get("abstract"), entries["E"].get("inactive")) == (True, None)
    assert (entries["F"].get("abstract"), entries["F"].get("inactive")) == (None, True)
    assert names(listed(WHOLE, nested=False, active_only=True).contains) == list("ABCDE")
    assert names(listed(WHOLE, nested=False, active_only=True, day="2024-03-28").contains) == list("ABCDEF")
    assert names(listed(WHOLE, nested=False, selectable_only=True).contains) == list("ABCDF")


@pytest.mark.parametrize(
    ("language", "display"),
    [
        ("fr", "Compte-rendu d'hospitalisation"),
        ("fr-FR", "Compte-rendu d'hospitalisation"),
        ("en", "Discharge summary"),
        ("en-GB", "Discharge summary"),
        ("de", "Austrittsbericht"),
        ("it", "Compte-rendu d'hospitalisation"),
    ],
)
def test_a_display_is_in_the_language_asked_for_where_there_is_one(language: str, display: str) -> None:
    assert listed(WHOLE, language=language).contains[0]["display"] == display


@pytest.mark.parametrize(
    ("wanted", "values"),
    [
        ((), ["Discharge summary", "Austrittsbericht"]),
        (("en",), ["Discharge summary"]),
        (("urn:ietf:bcp:47|de-CH",), ["Austrittsbericht"]),
        (("u:use|short",), ["Austrittsbericht"]),
        (("it",), None),
    ],
)
def test_designations_are_told_where_they_are_wanted(wanted: tuple[str, ...], values: list[str] | None) -> None:
    entry: Any = listed(WHOLE, designations=True, designations_of=wanted).contains[0]
    told = entry.get("designation")
    assert (told and [one["value"] for one in told]) == values
    english: Any = listed(WHOLE, designations=True, language="en").contains[0]
    assert {"language": "fr", "value": "Compte-rendu d'hospitalisation"} in english["designation"]


def test_the_display_of_a_value_set_comes_before_that_of_the_system() -> None:
    include = {"system": S, "concept": [{"code": "A", "display": "CRH"}]}
    entry: Any = listed(value_set(include), designations=True).contains[0]
    assert entry["display"] == "CRH"
    assert {"language": "fr", "value": "Compte-rendu d'hospitalisation"} in entry["designation"]


def test_a_circle_in_the_data_lists_each_code_once() -> None:
    one, two = ({"code": a, "property": [{"code": "parent", "valueCode": b}]} for a, b in (("X", "Y"), ("Y", "X")))
    terminology = terminology_of(code_system(S, one, two, "Z"))
    assert names(listed(WHOLE, terminology).contains) == ["Z", ("X", ["Y"])]


def test_a_hierarchy_without_end_is_listed_whole_and_not_too_deep() -> None:
    rows = [{"code": str(at), "property": [{"code": "parent", "valueCode": str(at - 1)}]} for at in range(3000)]
    entries: Any = listed(WHOLE, terminology_of(code_system(S, *rows[1:], {"code": "0"}))).contains
    depth, number, level = 0, 0, entries
    while level:
        depth, number = depth + 1, number + len(level)
        level = [one for each in level for one in each.get("contains", ())]
    assert (depth, number) == (DEEPEST + 1, 3000)


def test_a_whole_system_is_listed_under_the_name_it_was_included_by() -> None:
    confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    entries = listed(value_set({"system": confidentiality}), Terminology.load(), nested=False).contains
    assert {one["system"] for one in entries} == {confidentiality}
    assert {"N", "R", "V", "U"} <= {one["code"] for one in entries}
