"""The codes of ValueSet resources that clients stored. https://hl7.org/fhir/R4/valueset.html#compositions"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from fhir_server.fhir.outcome import IssueType
from fhir_server.terminology import Codes, Coding, NotExpandable, Terminology, Wanted, expand, members
from fhir_server.terminology.expansion import DEEPEST_IMPORT, MOST_CODES, MOST_CONDITIONS
from tests.lists import (
    code_system,
    codes,
    filtered,
    listed_one_by_one,
    looked_up,
    naming_system,
    terminology_of,
    value_set,
)

S, PART, FAR = "https://example.org/s", "https://example.org/part", "https://example.org/far"
HELD, VS = "https://example.org/held", "https://example.org/vs"

TREE = {"code": "A", "display": "Ah", "concept": [{"code": "B", "concept": [{"code": "C"}]}, {"code": "D"}]}
TERMINOLOGY = terminology_of(
    code_system(S, TREE, "E", version="2"),
    code_system(PART, TREE, content="fragment"),
    naming_system("https://one.example", "https://two.example", oid="1.2.3"),
    value_set(codes(S, "A", "B"), codes(FAR, "X")) | {"url": HELD, "version": "3"},
)


def expanded(resource: dict[str, Any], *others: dict[str, Any], systems: tuple[dict[str, Any], ...] = ()) -> Codes:
    return expand(resource, TERMINOLOGY, looked_up(*others), looked_up(*systems))


def named(system: str, *listed: str) -> Codes:
    return Codes(frozenset(Coding(system, code) for code in listed))


def refusal(resource: dict[str, Any], *others: dict[str, Any], systems: tuple[dict[str, Any], ...] = ()) -> str:
    with pytest.raises(NotExpandable) as refused:
        expanded(resource, *others, systems=systems)
    sentence = str(refused.value)
    assert sentence.endswith(".")
    return sentence


# Includes and excludes


def test_listed_codes_are_given_whether_their_system_is_known_or_not() -> None:
    assert expanded(value_set(codes(FAR, "X", "Y"))) == named(FAR, "X", "Y")


def test_several_includes_are_joined() -> None:
    assert expanded(value_set(codes(FAR, "X"), codes(S, "A"))).codings == {Coding(FAR, "X"), Coding(S, "A")}


def test_a_whole_system_is_a_system_and_needs_no_content() -> None:
    assert expanded(value_set({"system": FAR})) == Codes(systems=frozenset({FAR}))


def test_codes_and_whole_systems_come_in_every_spelling() -> None:
    names = {"https://one.example", "https://two.example", "urn:oid:1.2.3"}
    assert expanded(value_set({"system": "https://two.example"})).systems == names
    assert expanded(value_set(codes("urn:oid:1.2.3", "X"))).codings == {Coding(name, "X") for name in names}


def test_a_code_of_a_whole_system_is_not_named_again() -> None:
    assert expanded(value_set(codes(FAR, "X"), {"system": FAR})) == Codes(systems=frozenset({FAR}))


def test_excluded_codes_are_not_there() -> None:
    assert expanded(value_set(codes(FAR, "X", "Y"), exclude=[codes(FAR, "Y", "Z")])) == named(FAR, "X")


def test_an_excluded_system_takes_all_its_codes_away() -> None:
    found = expanded(
        value_set(codes(FAR, "X"), {"system": S}, codes(PART, "A"), exclude=[{"system": FAR}, {"system": S}])
    )
    assert found == named(PART, "A")


def test_a_whole_system_less_some_codes_is_enumerated() -> None:
    assert expanded(value_set({"system": S}, exclude=[codes(S, "A", "B")])) == named(S, "C", "D", "E")


def test_a_whole_system_less_codes_of_another_stays_whole() -> None:
    assert expanded(value_set({"system": FAR}, exclude=[codes(S, "A")])) == Codes(systems=frozenset({FAR}))


@pytest.mark.parametrize(("system", "why"), [(FAR, "is not known here"), (PART, "is known here in part only")])
def test_a_whole_system_less_some_codes_is_refused_where_its_content_is_unknown(system: str, why: str) -> None:
    assert refusal(value_set({"system": system}, exclude=[codes(system, "A")])) == (
        f"The content of the code system {system} {why}."
    )


def test_a_whole_system_of_a_version_is_enumerated() -> None:
    """Codes of other versions must not count, so the system may not stand for them."""
    assert expanded(value_set({"system": S, "version": "2"})) == named(S, "A", "B", "C", "D", "E")
    assert f"{S}|1 is not known here" in refusal(value_set({"system": S, "version": "1"}))


def test_a_version_of_listed_codes_makes_no_difference() -> None:
    assert expanded(value_set(codes(FAR, "X") | {"version": "7"})) == named(FAR, "X")


# Filters


@pytest.mark.parametrize(
    ("op", "value", "found"),
    [
        ("is-a", "B", "BC"),
        ("is-a", "A", "ABCD"),
        ("descendent-of", "A", "BCD"),
        ("descendent-of", "C", ""),
        ("=", "A", "A"),
        ("in", "A, C,,D", "ACD"),
    ],
)
def test_filters_on_concept_are_evaluated(op: str, value: str, found: str) -> None:
    assert expanded(value_set(filtered(S, op, value))) == named(S, *found)


def test_every_filter_of_an_include_must_be_fulfilled() -> None:
    include = filtered(S, "is-a", "A")
    include["filter"].append({"property": "concept", "op": "in", "value": "B,E"})
    assert expanded(value_set(include)) == named(S, "B")


@pytest.mark.parametrize(
    "include",
    [
        filtered(S, "regex", "A.*"),
        filtered(S, "sounds-like", "A"),
        filtered(S, "exists", "perhaps", property="display"),
        filtered(S, "is-a", "A", property="display"),
    ],
)
def test_a_filter_that_is_not_evaluated_is_refused(include: dict[str, Any]) -> None:
    assert "is not evaluated by this server" in refusal(value_set(include))


def test_a_filter_by_a_property_that_nobody_declares_is_refused() -> None:
    assert f"{S} declares no property CLASS" in refusal(value_set(filtered(S, "=", "DOC", property="CLASS")))


COLOURS = code_system(
    FAR,
    {"code": "A", "property": [{"code": "colour", "valueCode": "red"}, {"code": "weight", "valueInteger": 3}]},
    {"code": "B", "property": [{"code": "colour", "valueCoding": {"system": "u:c", "code": "blue"}}]},
    {"code": "C", "display": "Sea", "concept": [{"code": "D"}]},
    property=[{"code": "colour"}, {"code": "weight"}],
)


@pytest.mark.parametrize(
    ("property", "op", "value", "found"),
    [
        ("colour", "=", "red", "A"),
        ("colour", "=", "blue", "B"),
        ("colour", "in", "red, blue", "AB"),
        ("colour", "not-in", "red", "BCD"),
        ("colour", "exists", "true", "AB"),
        ("colour", "exists", "false", "CD"),
        ("weight", "=", "3", "A"),
        ("display", "=", "Sea", "C"),
        ("parent", "=", "C", "D"),
        ("child", "=", "D", "C"),
        ("concept", "not-in", "A,B", "CD"),
        ("concept", "is-not-a", "C", "AB"),
        ("concept", "generalizes", "D", "CD"),
        ("code", "is-a", "C", "CD"),
    ],
)
def test_filters_on_properties_and_the_hierarchy(property: str, op: str, value: str, found: str) -> None:
    resource = value_set(filtered(FAR, op, value, property=property))
    assert expanded(resource, systems=(COLOURS,)) == named(FAR, *found)


def test_a_filter_by_a_code_that_does_not_exist_is_refused() -> None:
    assert refusal(value_set(filtered(S, "is-a", "?"))) == f"The code system {S} has no code ? to filter by."


@pytest.mark.parametrize(
    ("include", "why"),
    [
        (filtered(FAR, "is-a", "A"), f"{FAR} is not known here"),
        (filtered(PART, "is-a", "A"), f"{PART} is known here in part only"),
        (filtered(S, "is-a", "A", version="1"), f"{S}|1 is not known here"),
    ],
)
def test_a_hierarchy_that_is_not_known_whole_is_refused(include: dict[str, Any], why: str) -> None:
    assert why in refusal(value_set(include))


def test_the_content_of_a_stored_code_system_is_used() -> None:
    stored = code_system(FAR, TREE, version="5")
    assert expanded(value_set(filtered(FAR, "is-a", "B")), systems=(stored,)) == named(FAR, "B", "C")
    assert expanded(value_set(filtered(FAR, "is-a", "B", version="5")), systems=(stored,)) == named(FAR, "B", "C")
    whole = value_set({"system": FAR}, exclude=[filtered(FAR, "is-a", "B")])
    assert expanded(whole, systems=(stored,)) == named(FAR, "A", "D")


def test_what_the_folder_has_in_part_a_stored_code_system_completes() -> None:
    assert expanded(value_set(filtered(PART, "is-a", "B")), systems=(code_system(PART, TREE),)) == named(PART, "B", "C")


def test_a_concept_that_is_only_named_as_a_child_counts() -> None:
    stored = code_system(FAR, {"code": "A", "property": [{"code": "child", "valueCode": "B"}]})
    assert expanded(value_set(filtered(FAR, "is-a", "A")), systems=(stored,)) == named(FAR, "A", "B")


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (code_system(FAR, TREE, content="example"), "in part only"),
        (code_system(FAR, TREE, compositional=True), "in part only"),
        (
            code_system(FAR, TREE, implicitRules="https://example.org/rules"),
            f"The code system {FAR} has a modifier extension or implicit rules",
        ),
        (code_system(FAR, {"code": 1}), "cannot be read: Expected `str`, got `int`"),
        (code_system(FAR, TREE) | {"resourceType": "ValueSet"}, "cannot be read"),
    ],
)
def test_a_stored_code_system_that_is_not_understood_whole_is_refused(stored: dict[str, Any], why: str) -> None:
    assert why in refusal(value_set(filtered(FAR, "is-a", "A")), systems=(stored,))


def test_a_look_up_that_answers_another_version_is_not_believed() -> None:
    resource = value_set(filtered(FAR, "is-a", "A", version="1"))
    with pytest.raises(NotExpandable, match="is not known here"):
        expand(resource, TERMINOLOGY, code_systems=lambda _: code_system(FAR, TREE, version="2"))


# Imports


def imports(*canonicals: str, **more: Any) -> dict[str, Any]:
    return {"valueSet": list(canonicals), **more}


def test_a_value_set_of_the_folder_is_imported() -> None:
    assert expanded(value_set(imports(HELD))).codings == {Coding(S, "A"), Coding(S, "B"), Coding(FAR, "X")}
    assert expanded(value_set(imports(f"{HELD}|3"), exclude=[imports(HELD)])) == Codes()


def test_a_stored_value_set_is_imported_over_others() -> None:
    stored = [value_set(imports("u:2"), url="u:1"), value_set(imports("u:3|7"), url="u:2")]
    assert expanded(value_set(imports("u:1")), *stored, value_set(codes(FAR, "X"), url="u:3", version="7")) == (
        named(FAR, "X")
    )


def test_conditions_of_one_include_must_all_be_fulfilled() -> None:
    other = value_set(codes(S, "B", "C"), {"system": FAR}, url="u:1")
    assert expanded(value_set(imports(HELD, "u:1")), other).codings == {Coding(S, "B"), Coding(FAR, "X")}
    assert expanded(value_set(imports(HELD, system=S)), other) == named(S, "A", "B")
    assert expanded(value_set(imports("u:1", **codes(S, "A", "B"))), other) == named(S, "B")
    assert expanded(value_set(imports("u:1", system=FAR)), other) == Codes(systems=frozenset({FAR}))
    assert expanded(value_set(imports("u:1", **filtered(S, "is-a", "B"))), other) == named(S, "B", "C")


def test_a_value_set_that_is_not_known_is_refused() -> None:
    assert refusal(value_set(imports("u:1"))) == "The value set u:1 is imported and not known here."
    assert refusal(value_set(imports(f"{HELD}|2"))) == f"The value set {HELD}|2 is imported and not known here."


def test_a_look_up_that_answers_another_version_of_a_value_set_is_not_believed() -> None:
    with pytest.raises(NotExpandable, match=r"The value set u:1\|1 is stored in another version"):
        expand(value_set(imports("u:1|1")), TERMINOLOGY, lambda _: value_set(codes(FAR, "X"), url="u:1", version="2"))


@pytest.mark.parametrize("length", [1, 2, 3])
def test_an_import_that_comes_back_is_refused(length: int) -> None:
    ring = [value_set(imports(f"u:{(n + 1) % length}"), url=f"u:{n}") for n in range(length)]
    assert refusal(ring[0], *ring) == "The value set u:0 imports itself."
    outside = value_set(codes(FAR, "X"), imports("u:0"))
    assert refusal(outside, *ring) == "The value set u:0 imports itself."


def test_a_value_set_without_an_url_comes_back_by_the_one_it_is_imported_by() -> None:
    nameless = value_set(imports("u:1"))
    del nameless["url"]
    with pytest.raises(NotExpandable, match="The value set u:1 imports itself"):
        expand(nameless, TERMINOLOGY, lambda _: nameless)


def test_two_ways_to_one_value_set_are_no_circle_and_cost_one_evaluation() -> None:
    """Each imports the next twice: without what is remembered, the last is looked up 1,024 times."""
    chain = [value_set(imports(f"u:{n + 1}"), imports(f"u:{n + 1}"), url=f"u:{n}") for n in range(10)]
    stored = looked_up(*chain, value_set(codes(FAR, "X"), url="u:10"))
    asked: list[str] = []

    def others(url: str) -> dict[str, Any] | None:
        asked.append(url)
        return stored(url)

    assert expand(chain[0], TERMINOLOGY, others) == named(FAR, "X")
    assert len(asked) == 20


def test_a_row_of_imports_without_end_is_refused() -> None:
    last = value_set(codes(FAR, "X"), url=f"u:{DEEPEST_IMPORT}")
    chain = [value_set(imports(f"u:{n + 1}"), url=f"u:{n}") for n in range(DEEPEST_IMPORT)]
    assert "is imported over more than 30 others" in refusal(chain[0], *chain, last)
    assert expanded(chain[1], *chain, last) == named(FAR, "X")


# Expansions


def contained(*contains: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"contains": list(contains), **more}


def listed(code: str, *contains: dict[str, Any], system: str = FAR) -> dict[str, Any]:
    return {"system": system, "code": code} | ({"contains": list(contains)} if contains else {})


WHOLE = contained(listed("X", listed("Y")), {"display": "Heading", "abstract": True, "contains": [listed("Z")]})


def brought(expansion: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": VS, "expansion": expansion, **more}


def test_an_expansion_is_taken_where_there_is_no_compose() -> None:
    assert expanded(brought(WHOLE)) == named(FAR, "X", "Y", "Z")
    assert expanded(brought(contained())) == Codes()
    assert expanded(value_set(imports("u:1")), brought(WHOLE, url="u:1")) == named(FAR, "X", "Y", "Z")


def test_an_expansion_is_taken_where_the_compose_is_not_evaluated() -> None:
    compose = value_set(filtered(S, "regex", "A.*"))["compose"]
    assert expanded(brought(WHOLE, compose=compose)) == named(FAR, "X", "Y", "Z")


def test_a_compose_that_is_evaluated_comes_first() -> None:
    assert expanded(brought(WHOLE, compose=value_set(codes(S, "A"))["compose"])) == named(S, "A")


@pytest.mark.parametrize(
    "said",
    [
        {"total": 5},
        {"total": 4, "offset": 2},
        {"parameter": [{"name": "count", "valueInteger": 10}]},
        {"parameter": [{"name": "filter", "valueString": "x"}]},
        {"parameter": [{"name": "activeOnly", "valueBoolean": True}]},
        {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/valueset-unclosed", "valueBoolean": True}]},
    ],
)
def test_an_expansion_that_may_be_a_part_is_refused(said: dict[str, Any]) -> None:
    assert "only a part of it" in refusal(brought(WHOLE | said))


@pytest.mark.parametrize(
    "said",
    [
        {"total": 4, "offset": 0, "parameter": [{"name": "count", "valueInteger": 10}]},
        {"parameter": [{"name": "activeOnly", "valueBoolean": False}]},
        {
            "parameter": [
                {"name": "displayLanguage", "valueCode": "fr"},
                {"name": "excludeNested", "valueBoolean": True},
            ]
        },
        {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/valueset-unclosed", "valueBoolean": False}]},
        {"extension": [{"url": "https://example.org/anything", "valueString": "x"}]},
    ],
)
def test_an_expansion_that_is_whole_is_taken_whatever_else_it_says(said: dict[str, Any]) -> None:
    assert expanded(brought(WHOLE | said)) == named(FAR, "X", "Y", "Z")


def test_the_compose_tells_why_where_the_expansion_does_not_help_either() -> None:
    compose = value_set(filtered(S, "regex", "A.*"))["compose"]
    assert "regex" in refusal(brought(WHOLE | {"total": 9}, compose=compose))


def test_a_code_of_an_expansion_must_have_a_system() -> None:
    assert "a code that has no system" in refusal(brought(contained({"code": "X"})))


# What cannot be told


@pytest.mark.parametrize(
    ("resource", "why"),
    [
        ({"resourceType": "ValueSet"}, "The value set has neither a compose nor an expansion."),
        (value_set(), f"The value set {VS} includes nothing."),
        (value_set({"version": "1"}), "neither a system nor a value set"),
        (value_set({"concept": [{"code": "A"}]}), "without their system"),
        (value_set({"filter": filtered(S, "=", "A")["filter"], "valueSet": [HELD]}), "without their system"),
        (value_set(codes(S, "A") | filtered(S, "=", "A")), "both codes and filters"),
        (value_set(codes(S, "A") | {"modifierExtension": [{"url": "u:x"}]}), "modifier extension"),
        (value_set(codes(S, "A"), implicitRules="u:x"), "implicit rules"),
        (value_set({"system": 1}), "cannot be read: Expected `str | null`, got `int`"),
        ({"resourceType": "CodeSystem", "url": VS}, "cannot be read"),
    ],
)
def test_what_cannot_be_told_is_refused_with_a_sentence(resource: dict[str, Any], why: str) -> None:
    assert why in refusal(resource)


ENDING = code_system(
    FAR,
    {"code": "A"},
    {"code": "B", "property": [{"code": "dateFin", "valueDateTime": "2024-03-29"}]},
    {"code": "C", "property": [{"code": "status", "valueCode": "retired"}]},
    {"code": "D", "property": [{"code": "gone", "valueBoolean": True}]},
    {"code": "E", "property": [{"code": "status", "valueCode": "deprecated"}]},
    property=[{"code": "gone", "uri": "http://hl7.org/fhir/concept-properties#inactive"}],
)


@pytest.mark.parametrize(("day", "found"), [("2024-03-28", "ABE"), ("2024-03-29", "AE"), ("2026-01-01", "AE")])
@pytest.mark.parametrize("include", [{"system": FAR}, codes(FAR, *"ABCDE")])
def test_a_value_set_may_leave_out_inactive_codes(day: str, found: str, include: dict[str, Any]) -> None:
    """What ended is inactive from that day on; what is deprecated may still be written."""
    resource = value_set(include)
    resource["compose"]["inactive"] = False
    left = members(resource, terminology_of(ENDING), wanted=Wanted(day=day))
    assert [each.code for each in left.concepts.values()] == list(found)
    stored = members(resource, TERMINOLOGY, code_systems=looked_up(ENDING), wanted=Wanted(day=day))
    assert [each.code for each in stored.concepts.values()] == list(found)


def test_what_is_inactive_of_an_unknown_system_is_not_told() -> None:
    resource = value_set({"system": "u:nowhere"})
    resource["compose"]["inactive"] = False
    assert "u:nowhere is not known here" in refusal(resource)


@pytest.mark.parametrize(
    "include", [{"system": S}, filtered(S, "is-a", "A"), imports(HELD), imports(HELD, **codes(S, "A"))]
)
def test_a_locked_date_is_refused_but_for_lists(include: dict[str, Any]) -> None:
    resource = value_set(codes(S, "A"))
    resource["compose"]["lockedDate"] = "2020-01-01"
    assert expanded(resource) == named(S, "A")
    resource["compose"]["include"].append(include)
    assert "locked date" in refusal(resource)


def test_more_codes_than_a_query_compares_with_are_refused() -> None:
    many = [str(number) for number in range(MOST_CODES + 1)]
    assert len(expanded(value_set(codes(FAR, *many[1:]))).codings) == MOST_CODES
    with pytest.raises(NotExpandable, match="comes to 10001 codes; this server compares with 10000") as refused:
        expanded(value_set(codes(FAR, *many)))
    assert refused.value.issues[0].code is IssueType.TOO_COSTLY
    halves = value_set(codes(FAR, *many[:6000]), codes(FAR, *many[6000:]))
    assert "comes to 10001 codes" in refusal(halves)
    assert "comes to 10001 codes" in refusal(brought(contained(*map(listed, many))))


def test_more_conditions_than_are_evaluated_in_one_go_are_refused() -> None:
    includes = [codes(FAR, str(number)) for number in range(MOST_CONDITIONS)]
    assert len(expanded(value_set(*includes)).codings) == MOST_CONDITIONS
    assert "more than 500 lists, filters and imports" in refusal(value_set(*includes, exclude=[codes(FAR, "1")]))


# What a terminology service lists


def test_members_are_listed_once_in_order_with_their_display() -> None:
    terminology = terminology_of(
        code_system("https://two.example", {"code": "A", "display": "Ah"}, "B"),
        naming_system("https://one.example", "https://two.example", oid="1.2.3"),
    )
    include = {"system": "urn:oid:1.2.3", "concept": [{"code": "B", "display": "Bé"}, {"code": "A"}, {"code": "?"}]}
    found = members(value_set(include, codes("https://one.example", "A", "B")), terminology)
    assert [(key.system, each.code, each.display) for key, each in found.concepts.items()] == [
        ("https://one.example", "B", "Bé"),
        ("https://one.example", "A", "Ah"),
        ("https://one.example", "?", "?"),
    ]


def test_a_stored_value_set_that_lists_what_the_folder_lists_comes_to_the_same() -> None:
    folder = Terminology.load()
    for url in listed_one_by_one(folder):
        by_system: dict[str, list[str]] = {}
        for concept in folder.codes(url):
            by_system.setdefault(concept.system, []).append(concept.code)
        include = [codes(system, *listed) for system, listed in by_system.items()]
        assert expand(value_set(*include), folder) == expand(value_set(imports(url)), folder) == folder.expansion(url)


def test_a_caller_who_must_wait_for_a_database_begins_again_until_nothing_new_is_asked_for() -> None:
    """The way of the module's docstring: what is stored decides, also over an expansion that was brought along."""
    database = {
        "u:1": value_set(imports("u:2"), filtered(FAR, "is-a", "B"), url="u:1"),
        "u:2": value_set(codes(FAR, "X"), url="u:2"),
        FAR: code_system(FAR, TREE),
    }
    asked_for = brought(WHOLE, compose=value_set(imports("u:1"))["compose"])
    fetched: dict[str, dict[str, Any] | None] = {}
    new: set[str] = set()

    def look_up(url: str) -> dict[str, Any] | None:
        if url not in fetched:
            new.add(url)
        return fetched.get(url)

    rounds = 0
    while True:
        rounds += 1
        with suppress(NotExpandable):
            found = expand(asked_for, TERMINOLOGY, look_up, look_up)
        if not new:
            break
        fetched |= {url: database.get(url) for url in new}
        new.clear()
    assert (found, rounds) == (named(FAR, "B", "C", "X"), 4)
