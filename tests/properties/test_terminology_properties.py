"""Hierarchies and value sets, against the plain meaning of their definitions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.terminology import Codes, Coding, NotExpandable, Terminology, expand
from tests.lists import code_system, codes, filtered, looked_up, naming_system, terminology_of, value_set

S, T, FAR = "https://example.org/s", "https://example.org/t", "https://example.org/far"
NAMES = (S, "https://example.org/s-bis", "urn:oid:1.2.3")
LETTERS = "ABCDEF"

Edges = frozenset[tuple[str, str]]
edges: st.SearchStrategy[Edges] = st.frozensets(
    st.tuples(st.sampled_from(LETTERS), st.sampled_from(LETTERS)), max_size=9
)


def published(url: str, hierarchy: Edges, how: str) -> dict[str, Any]:
    """The hierarchy by `parent`, by `child`, or half by each."""
    properties: dict[str, list[dict[str, str]]] = {letter: [] for letter in LETTERS}
    for number, (upper, lower) in enumerate(sorted(hierarchy)):
        if how == "parent" or (how == "both" and number % 2):
            properties[lower].append({"code": "parent", "valueCode": upper})
        else:
            properties[upper].append({"code": "child", "valueCode": lower})
    return code_system(url, *({"code": letter, "property": properties[letter]} for letter in LETTERS))


def beneath(hierarchy: Edges, code: str) -> set[str]:
    """The closure, the slow way."""
    found = {code}
    for _ in LETTERS:
        found |= {lower for upper, lower in hierarchy if upper in found}
    return found


@given(hierarchy=edges, how=st.sampled_from(["parent", "child", "both"]))
def test_below_and_above_are_inverse_and_hold_the_code_itself(hierarchy: Edges, how: str) -> None:
    terminology = terminology_of(published(S, hierarchy, how), naming_system(*NAMES[:2], oid="1.2.3"))
    for code in LETTERS:
        below = terminology.below(S, code)
        assert below == Codes(frozenset(Coding(name, each) for name in NAMES for each in beneath(hierarchy, code)))
        assert Coding(S, code) in below.codings & terminology.above(S, code).codings
        for other in LETTERS:
            assert (Coding(S, other) in below.codings) == (Coding(S, code) in terminology.above(S, other).codings)
            if Coding(S, other) in below.codings:
                assert terminology.below(S, other).codings <= below.codings


@given(
    tree=st.recursive(
        st.just([]),
        lambda deeper: st.lists(deeper, max_size=3),
        max_leaves=12,
    )
)
def test_nesting_says_what_parents_say(tree: list[Any]) -> None:
    flat: list[dict[str, Any]] = []

    def nest(children: list[Any], above: str | None) -> list[dict[str, Any]]:
        nested = []
        for grandchildren in children:
            code = str(len(flat))
            flat.append({"code": code, "property": [{"code": "parent", "valueCode": above}] if above else []})
            nested.append({"code": code, "concept": nest(grandchildren, code)})
        return nested

    by_nesting = terminology_of(code_system(S, *nest(tree, None)))
    by_parent = terminology_of(code_system(S, *flat))
    for concept in flat:
        assert by_nesting.below(S, concept["code"]) == by_parent.below(S, concept["code"])
        assert by_nesting.above(S, concept["code"]) == by_parent.above(S, concept["code"])


@given(code=st.text(max_size=5), system=st.none() | st.sampled_from([FAR, "", *Terminology.load().systems]))
def test_what_is_asked_for_is_always_there(code: str, system: str | None) -> None:
    for found in (FOLDER.below(system, code), FOLDER.above(system, code)):
        if system is None:
            assert code in found.anywhere
        else:
            assert {Coding(name, code) for name in FOLDER.spellings(system)} <= found.codings
            assert Coding(system, code) in found.codings


FOLDER = Terminology.load()

# Value sets against sets. The codes there are: LETTERS of S and T, whose content is known, and of FAR, where it is not.

HIERARCHY: Edges = frozenset({("A", "B"), ("A", "C"), ("B", "D"), ("C", "D")})
UNIVERSE = {Coding(system, letter) for system in (S, T, FAR) for letter in LETTERS}
IMPORTED = {
    "u:mixed": value_set(codes(S, "A", "B"), codes(FAR, "C"), url="u:mixed"),
    "u:whole": value_set({"system": S}, {"system": FAR}, codes(T, "A"), url="u:whole"),
}
MEANT = {
    "u:mixed": {Coding(S, "A"), Coding(S, "B"), Coding(FAR, "C")},
    "u:whole": {each for each in UNIVERSE if each.system != T} | {Coding(T, "A")},
}
SYSTEMS = (
    published(S, HIERARCHY, "parent"),
    published(T, HIERARCHY, "child"),
    naming_system(*NAMES[:2], oid="1.2.3"),
)
TERMINOLOGY = terminology_of(*SYSTEMS)

letters = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=4, unique=True)
imported = st.lists(st.sampled_from(sorted(IMPORTED)), max_size=2)
spelled = st.sampled_from([*NAMES, T, FAR])
conditions = st.one_of(
    st.builds(lambda system, listed: codes(system, *listed), spelled, letters),
    st.builds(lambda system: {"system": system}, spelled),
    st.builds(filtered, spelled, st.sampled_from(["is-a", "descendent-of", "="]), st.sampled_from(LETTERS)),
    st.builds(lambda system, listed: filtered(system, "in", ",".join(listed)), spelled, letters),
)
parts = st.one_of(
    st.builds(lambda part, sets: part | ({"valueSet": sets} if sets else {}), conditions, imported),
    st.builds(lambda sets: {"valueSet": sets}, st.lists(st.sampled_from(sorted(IMPORTED)), min_size=1, max_size=2)),
)


def meant(part: dict[str, Any]) -> set[Coding]:
    """What one include or exclude means, read as the standard has it."""
    found = set(UNIVERSE)
    if "system" in part:
        one = S if part["system"] in NAMES else part["system"]
        found = {each for each in found if each.system == one}
    if "concept" in part:
        found = {each for each in found if {"code": each.code} in part["concept"]}
    for asked in part.get("filter", ()):
        match asked["op"]:
            case "in" | "=":
                kept = set(asked["value"].split(","))
            case op:
                kept = beneath(HIERARCHY, asked["value"]) - ({asked["value"]} if op == "descendent-of" else set())
        found = {each for each in found if each.code in kept}
    for url in part.get("valueSet", ()):
        found &= MEANT[url]
    return found


def needs_content(part: dict[str, Any]) -> bool:
    return part.get("system") == FAR and any(each["op"] in {"is-a", "descendent-of"} for each in part.get("filter", ()))


@given(include=st.lists(parts, min_size=1, max_size=3), exclude=st.lists(parts, max_size=2))
def test_a_value_set_comes_to_what_its_definition_means_or_is_refused(
    include: list[dict[str, Any]], exclude: list[dict[str, Any]]
) -> None:
    wanted = set().union(*map(meant, include)) - set().union(*map(meant, exclude))
    resource = value_set(*include, exclude=exclude)
    try:
        found = expand(resource, TERMINOLOGY, looked_up(*IMPORTED.values()))
    except NotExpandable:
        enumerable = not any(map(needs_content, [*include, *exclude]))
        assert not enumerable or any(each.system == FAR for each in set().union(*map(meant, exclude)))
        return
    assert {each for each in UNIVERSE if each in found.codings or each.system in found.systems} == wanted
    for coding in found.codings:
        assert coding.system not in found.systems
        assert {Coding(name, coding.code) for name in TERMINOLOGY.spellings(coding.system)} <= found.codings
    for system in found.systems:
        assert set(TERMINOLOGY.spellings(system)) <= found.systems


@given(include=st.lists(parts, min_size=1, max_size=3), exclude=st.lists(parts, max_size=2))
def test_what_is_told_of_one_code_is_what_the_definition_means_or_nothing(
    include: list[dict[str, Any]], exclude: list[dict[str, Any]]
) -> None:
    """Also where the value set cannot be listed. Nothing is told only of codes of the system that is not known."""
    wanted = set().union(*map(meant, include)) - set().union(*map(meant, exclude))
    stored = looked_up(*IMPORTED.values(), value_set(*include, exclude=exclude, url="u:asked"))
    for coding in UNIVERSE:
        told = TERMINOLOGY.validate("u:asked", coding.system, coding.code, stored)
        assert told == (coding in wanted) or (told is None and coding.system == FAR)


@given(include=st.lists(parts, min_size=1, max_size=3), exclude=st.lists(parts, max_size=2))
def test_a_file_and_a_stored_resource_tell_the_same(
    include: list[dict[str, Any]], exclude: list[dict[str, Any]]
) -> None:
    """One is answered from what was worked out once, the other is judged code by code."""
    resource = value_set(*include, exclude=exclude, url="u:asked")
    held = terminology_of(*SYSTEMS, *IMPORTED.values(), resource)
    for coding in UNIVERSE:
        mine = held.validate("u:asked", coding.system, coding.code)
        theirs = TERMINOLOGY.validate("u:asked", coding.system, coding.code, looked_up(*IMPORTED.values(), resource))
        assert mine == theirs or (coding.system == FAR and None in (mine, theirs))


@given(links=st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=6, max_size=6))
def test_imports_come_to_all_they_reach_or_are_refused_for_a_circle(links: list[list[int]]) -> None:
    sets = [
        value_set(codes(FAR, str(number)), *({"valueSet": [f"u:{each}"]} for each in towards), url=f"u:{number}")
        for number, towards in enumerate(links)
    ]
    reach = {number: _reach(links, number) for number in range(6)}
    circular = any(number in reach[each] for number in reach[0] | {0} for each in links[number])
    try:
        found = expand(sets[0], TERMINOLOGY, looked_up(*sets))
    except NotExpandable:
        assert circular
        return
    assert not circular
    assert found == Codes(frozenset(Coding(FAR, str(number)) for number in reach[0]))


def _reach(links: list[list[int]], start: int) -> set[int]:
    found = {start}
    for _ in links:
        found |= {each for number in found for each in links[number]}
    return found
