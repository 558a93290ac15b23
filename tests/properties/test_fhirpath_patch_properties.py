"""FHIRPath Patch, for all resources and all patches: what goes in is not changed, what comes out is what was asked."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions.load import load
from fhir_server.fhir.errors import FhirError, Invalid, Unprocessable
from fhir_server.fhir.json import JsonObject, decode_object
from fhir_server.fhirpath.effort import Effort
from fhir_server.fhirpath.model import ANY_RESOURCE, Model
from fhir_server.fhirpath.node import Node, children
from fhir_server.fhirpath.path import compile_path
from fhir_server.fhirpath.refused import Refused
from fhir_server.interactions.fhirpath_patch import apply
from fhir_server.search.path import Outside, alternatives
from fhir_server.search.path import compile_path as compile_search_path
from tests.minimal import minimal, types
from tests.patches import Part, add, delete, insert, move, operation, parameters, part, replace

DEFINITIONS: Final = load()
MODEL: Final = Model(DEFINITIONS)
FOLDER: Final = Path(__file__).parent.parent / "examples"
EXAMPLES: Final = sorted([*FOLDER.glob("*.json"), *(FOLDER / "published").rglob("*.json")])

RICH: Final[dict[str, Any]] = {
    "resourceType": "Patient",
    "id": "a",
    "meta": {"versionId": "1", "lastUpdated": "2020-01-01T00:00:00Z", "tag": [{"code": "x"}, {"code": "y"}]},
    "text": {"status": "empty", "div": '<div xmlns="http://www.w3.org/1999/xhtml">-</div>'},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "O", "_name": {"id": "n"}}],
    "active": True,
    "name": [
        {"use": "official", "given": ["A", None, "C"], "_given": [None, {"id": "b"}, {"id": "c"}]},
        {"family": "D", "given": ["E", "F"]},
        {"_family": {"extension": [{"url": "https://a.example", "valueBoolean": True}]}},
    ],
    "birthDate": "1980",
    "_birthDate": {"extension": [{"url": "https://a.example", "valueDecimal": 3}]},
    "deceasedDateTime": "2020-01-01",
    "contact": [{"gender": "male", "telecom": [{"value": "1"}, {"value": "2"}]}, {"name": {"text": "x"}}],
    "extension": [
        {"url": "https://b.example", "extension": [{"url": "c", "valueQuantity": {"value": 1}}]},
        {"url": "https://b.example", "valueReference": {"reference": "#o"}},
    ],
}
RESOURCES: Final[list[JsonObject]] = [
    RICH,
    *(decode_object(path.read_bytes()) for path in EXAMPLES),
    *(decode_object(json.dumps(minimal(type, language="fr")).encode()) for type in types()),
]


def below(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    """All elements of an element, each with a path that selects it alone."""
    for element in MODEL.elements(node.type).values():
        member = MODEL.member(node.type, element.name)
        assert member is not None
        for place, child in enumerate(children(node, *member, MODEL)):
            here = f"{path}.{element.name}" + ("" if child.index is None else f"[{place}]")
            yield here, child
            yield from below(child, here)


def elements(resource: JsonObject) -> list[tuple[str, Node]]:
    type = str(resource["resourceType"])
    return [*below(Node(resource, type), type)]


def told(node: Node) -> Part:
    """The value of an element as a patch tells it."""
    if MODEL.is_primitive(node.type):
        type = "string" if node.type == "xhtml" else node.type
        name = f"value{type[0].upper()}{type[1:]}"
        sides = {name: node.value, f"_{name}": node.about}
        return {name: one for name, one in sides.items() if one is not None}
    assert node.element is not None
    if node.element.types[0].code == ANY_RESOURCE:
        return {"resource": node.value}
    value = MODEL.member("Parameters.parameter", "value")
    assert value is not None
    name = f"value{node.type[0].upper()}{node.type[1:]}"
    if name in value[1]:
        return {name: node.value}
    direct = [child for _, child in below(node, "") if child.parent is node]
    return {"part": [part(str(one.element.name), **told(one)) for one in direct if one.element is not None]}


def is_kept(path: str) -> bool:
    """Whether it is the server's to change."""
    names = path.split(".")[1:]
    return (
        names[0] == "id"
        or names in (["meta"], ["meta", "versionId"], ["meta", "lastUpdated"])
        or names[:2]
        in (
            ["meta", "versionId"],
            ["meta", "lastUpdated"],
        )
    )


def patched(resource: JsonObject, *operations: Part) -> JsonObject:
    patch = parameters(*operations)
    before = copy.deepcopy((resource, patch))
    after = apply(resource, patch, DEFINITIONS)
    assert (resource, patch) == before
    return after


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: f"{one['resourceType']}/{one.get('id')}")
def test_every_element_is_selected_alone_and_put_back(resource: JsonObject) -> None:
    """By its path it is found; replaced by itself, nothing changes; deleted and added again, neither."""
    type = str(resource["resourceType"])
    found = elements(resource)
    assert found
    for path, node in found:
        (selected,) = compile_path(path, type, MODEL).select(resource, type, Effort())
        assert (selected.value, selected.about, selected.name, selected.index) == (
            node.value,
            node.about,
            node.name,
            node.index,
        )
        if is_kept(path):
            continue
        assert patched(resource, replace(path, **told(node))) == resource, path
        assert node.parent is not None
        assert node.element is not None
        assert node.parent.members is not None
        array, _, place = path.rpartition("[")
        if (
            path.endswith("]")
            and len([one for one, other in found if other.parent is node.parent and other.name == node.name]) > 1
        ):
            back = insert(array, int(place[:-1]), **told(node))
        elif {name.removeprefix("_") for name in node.parent.members} == {
            node.name
        } and node.parent.element is not None:
            continue  # what holds it goes with it
        elif MODEL.is_primitive(node.parent.type) and len(node.parent.members) == 1 and node.parent.value is None:
            continue
        else:
            back = add(path.rpartition(".")[0], node.element.name, **told(node))
        assert patched(resource, delete(path), back) == resource, path
        assert node.value is None or patched(resource, delete(path)) != resource


def test_the_search_parameters_of_r4_select_what_they_index() -> None:
    """Of every expression that both languages have, the values are the same."""
    compared = 0
    for resource in RESOURCES:
        type = str(resource["resourceType"])
        for parameter in DEFINITIONS.search_parameters[type].values():
            for expression in alternatives(parameter.expression):
                try:
                    path = compile_path(expression, type, MODEL)
                    search = compile_search_path(expression, type, DEFINITIONS)
                except (Refused, Outside):
                    continue
                if search is None or "xtension" in expression:
                    continue
                nodes = path.select(resource, type, Effort())
                assert [node.value for node in nodes if node.value is not None] == [
                    one for one, _ in search.walk(resource)
                ]
                compared += 1
    assert compared > 2000


paths: Final = st.sampled_from(
    [*(path for path, _ in elements(RICH)), "Patient", "Patient.name", "Patient.contact.telecom"]
)
names: Final = st.sampled_from([*MODEL.elements("Patient"), "given", "family", "url", "value", "gender", "unheard"])
whole: Final = st.integers(-1, 4)
values: Final = st.sampled_from([told(node) for _, node in elements(RICH)])


@st.composite
def operations(draw: st.DrawFn) -> Part:
    """An operation that is well told; whether it fits is another thing."""
    match draw(st.sampled_from(["add", "insert", "delete", "replace", "move"])):
        case "add":
            return add(draw(paths), draw(names), **draw(values))
        case "insert":
            return insert(draw(paths).removesuffix("[0]"), draw(whole), **draw(values))
        case "delete":
            return delete(draw(paths))
        case "replace":
            return replace(draw(paths), **draw(values))
        case _:
            return move(draw(paths).removesuffix("[0]"), draw(whole), draw(whole))


def tried(resource: JsonObject, patch: Any) -> JsonObject | None:
    """Apply it, or look at how it is refused: a sentence, and where."""
    before = copy.deepcopy((resource, patch))
    refusal: FhirError
    try:
        after = apply(resource, patch, DEFINITIONS)
    except (Invalid, Unprocessable) as refused:
        refusal = refused
    else:
        assert (resource, patch) == before
        return after
    assert (resource, patch) == before
    assert refusal.issues[0].expression
    assert refusal.issues[0].diagnostics.count(" ") > 1
    json.dumps(refusal.issues[0].diagnostics, ensure_ascii=False).encode()
    return None


@given(changes=st.lists(operations(), min_size=1, max_size=6))
def test_what_goes_in_is_not_changed(changes: list[Part]) -> None:
    after = tried(RICH, parameters(*changes))
    if after is None:
        return
    assert after["id"] == RICH["id"]
    assert after["resourceType"] == "Patient"
    assert not [*holes(after)], "no empty array, no empty object, arrays side by side of one length"


def holes(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, one in value.items():
            beside = value.get(f"_{name}")
            if one in ([], {}, None) or (
                isinstance(beside, list) and isinstance(one, list) and len(beside) != len(one)
            ):
                yield name, one
            yield from holes(one)
    elif isinstance(value, list):
        for one in value:
            yield from holes(one)


@given(changes=st.lists(operations(), min_size=2, max_size=5))
def test_a_patch_is_its_operations_one_after_the_other(changes: list[Part]) -> None:
    after: JsonObject | None = RICH
    for change in changes:
        after = tried(after, parameters(change)) if after is not None else None
    assert tried(RICH, parameters(*changes)) == after


@given(source=st.integers(0, 2), destination=st.integers(0, 2))
def test_what_is_moved_there_and_back_is_where_it_was(source: int, destination: int) -> None:
    for path in ("Patient.name", "Patient.name[0].given"):
        assert patched(RICH, move(path, source, destination), move(path, destination, source)) == RICH


scalars: Final = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=6))
trees: Final = st.recursive(
    scalars | st.sampled_from(["operation", "type", "path", "value", "add", "Patient", "Patient.name"]),
    lambda within: (
        st.lists(within, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "part", "valueCode", "valueString", "_valueString", "resource", "valueHumanName", "x"]
            ),
            within,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    patch=st.dictionaries(st.sampled_from(["parameter", "id", "x"]), trees, max_size=2),
    told=st.one_of(st.just("Parameters"), trees),
)
def test_any_tree_is_applied_or_refused_with_a_sentence(patch: dict[str, Any], told: Any) -> None:
    tried(RICH, {"resourceType": told, **patch})


@given(change=operations(), place=st.integers(0, 3), with_what=trees, more=st.lists(trees, max_size=2))
def test_an_operation_with_a_part_that_is_anything(change: Part, place: int, with_what: Any, more: list[Any]) -> None:
    parts = copy.deepcopy(change["part"])
    parts[place % len(parts)] = with_what
    tried(RICH, parameters({"name": "operation", "part": [*parts, *more]}))


words: Final = st.sampled_from(
    "Patient name given . . . ( ) ) [ ] 0 1 where where( exists() first() last() not() extension('https://b.example') "
    "ofType(HumanName) as = != and or contains contains( 'a' 'A' @1980 @2020-01-01T10:00:00Z 1.5 - $this true false "
    "value deceased contained birthDate | > %resource ` \\ ' is".split()
)


@given(
    text=st.one_of(
        st.lists(words, max_size=12).map("".join), st.lists(words, max_size=12).map(" ".join), st.text(max_size=20)
    )
)
def test_any_path_selects_or_is_refused_with_a_sentence(text: str) -> None:
    for change in (delete(text), operation("move", text, source=0, destination=0)):
        tried(RICH, parameters(change))
