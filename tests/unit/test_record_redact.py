"""A resource without what it says of hidden things holds none of their ids, and is still legal (ADR 0018)."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import Element, TypeUse
from fhir_server.fhir.outcome import fails
from fhir_server.record.elements import DIRECTORY, TYPES
from fhir_server.record.pointers import pointers
from fhir_server.record.redact import DATA_ABSENT, Redaction, Shown
from fhir_server.validation.structure import Validator
from tests.minimal import _of_structure, minimal, types

BASE: Final = "https://dmp.example/fhir"
SHOWN, HIDDEN, OTHER = "DocumentReference/shown", "DocumentReference/hidden", "Observation/hidden"
REDACTION: Final = Redaction(load(), BASE)
UNKNOWN: Final = {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}


@cache
def validator() -> Validator:
    return Validator(load())


def redacted(resource: dict[str, Any], *hidden: str) -> dict[str, Any]:
    before = copy.deepcopy(resource)
    after = REDACTION.of(resource, frozenset(hidden or (HIDDEN, OTHER)))
    assert resource == before, "the resource itself is not changed"
    return after


def to(target: str) -> dict[str, Any]:
    return {"reference": target}


def document(**more: Any) -> dict[str, Any]:
    return minimal("DocumentReference", **more)


# Where references lie: an entry goes with its point, an optional one is left out, a required one is unknown


def test_a_resource_that_names_nothing_hidden_is_the_same_object() -> None:
    resource = document(context={"related": [to(SHOWN)]})
    assert REDACTION.of(resource, frozenset({HIDDEN})) is resource
    assert REDACTION.of(resource, frozenset()) is resource


def test_the_entry_of_a_list_goes_with_its_item() -> None:
    flag = {"text": "à relire"}
    made = minimal("List", entry=[{"item": to(SHOWN)}, {"item": to(HIDDEN), "flag": flag}, {"item": to(OTHER)}])
    assert redacted(made) == made | {"entry": [{"item": to(SHOWN)}]}
    assert redacted(made, SHOWN, HIDDEN, OTHER) == minimal("List")


def test_a_relation_goes_with_its_target() -> None:
    relations = [{"code": "replaces", "target": to(HIDDEN)}, {"code": "appends", "target": to(SHOWN)}]
    assert redacted(document(relatesTo=relations))["relatesTo"] == relations[1:]
    assert "relatesTo" not in redacted(document(relatesTo=relations[:1]))


def test_one_of_several_references_goes_and_the_last_takes_its_element_along() -> None:
    made = minimal("Observation", derivedFrom=[to(HIDDEN), to(SHOWN)])
    assert redacted(made)["derivedFrom"] == [to(SHOWN)]
    assert "derivedFrom" not in redacted(made, HIDDEN, SHOWN)


def test_an_optional_reference_is_as_if_it_had_never_been_written() -> None:
    made = minimal("Observation", encounter=to("Encounter/hidden"), status="final")
    assert redacted(made, "Encounter/hidden") == minimal("Observation", status="final")


def test_a_required_reference_is_unknown() -> None:
    assert redacted(minimal("DocumentManifest", content=[to(HIDDEN)]))["content"] == [UNKNOWN]
    assert redacted(minimal("DocumentManifest", content=[to(HIDDEN), to(SHOWN)]))["content"] == [to(SHOWN)]
    assert redacted(minimal("DeviceUseStatement", device=to("Device/h")), "Device/h")["device"] == UNKNOWN


def test_an_attachment_goes_with_its_size_and_hash() -> None:
    attachment = {"contentType": "text/plain", "url": "Binary/h", "size": 3, "hash": "Qm9u", "title": "Secret"}
    other = {"attachment": {"contentType": "text/plain", "title": "Visible"}}
    assert redacted(document(content=[{"attachment": attachment}, other]), "Binary/h")["content"] == [other]
    assert redacted(document(content=[{"attachment": attachment}]), "Binary/h")["content"] == [{"attachment": UNKNOWN}]
    photo = redacted(minimal("Patient", photo=[attachment]), "Binary/h")
    assert photo == minimal("Patient")


@pytest.mark.parametrize(
    "text",
    [HIDDEN, f"{HIDDEN}/_history/3", f"{BASE}/{HIDDEN}", f"{BASE}/{HIDDEN}/_history/1", f"{HIDDEN}|1", f"{HIDDEN}#a"],
)
def test_every_spelling_of_a_reference_is_one(text: str) -> None:
    assert pointers(minimal("List", entry=[{"item": to(text)}]), BASE) == [HIDDEN]
    assert "entry" not in redacted(minimal("List", entry=[{"item": to(text)}]))


def test_extensions_contained_resources_and_what_stands_beside_a_primitive() -> None:
    extension = [{"url": "https://x.example/about", "valueReference": to(HIDDEN)}, {"url": "https://x.example/b"}]
    nested = [{"url": "https://x.example/a", "extension": extension[:1]}]
    made = minimal("Observation", extension=nested, _status={"extension": extension[:1]}, status="final")
    made["code"] = {"text": "a", "_text": {"extension": [extension[0], {"url": "u", "valueString": "kept"}]}}
    after = redacted(made)
    assert after.keys() & {"extension", "_status"} == set()
    assert after["code"] == {"text": "a", "_text": {"extension": [{"url": "u", "valueString": "kept"}]}}
    inner = {**minimal("Observation"), "id": "o", "derivedFrom": [to(HIDDEN), to(SHOWN)]}
    outer = redacted(minimal("List", contained=[inner], entry=[{"item": to("#o")}]))
    assert outer["contained"][0]["derivedFrom"] == [to(SHOWN)]


def test_a_contained_resource_goes_with_what_alone_referred_to_it() -> None:
    practitioner = {"resourceType": "Practitioner", "id": "p"}
    note = {"url": "https://x.example/by", "valueReference": to("#p")}
    made = minimal("List", contained=[practitioner], entry=[{"item": to(HIDDEN), "extension": [note]}])
    assert redacted(made) == minimal("List")
    assert redacted(made | {"source": to("#p")})["contained"] == [practitioner]


def test_the_narratives_around_what_was_taken_out_go_too() -> None:
    text = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">un document caché</div>'}
    whole = minimal("List", text=text, entry=[{"item": to(SHOWN)}])
    assert redacted(whole) is whole or redacted(whole) == whole
    assert "text" not in redacted(minimal("List", text=text, entry=[{"item": to(HIDDEN)}]))
    sections = [
        {"title": "A", "text": text, "entry": [to(SHOWN)]},
        {"title": "B", "entry": [to(HIDDEN)]},
        {"title": "C", "text": text, "entry": [to(HIDDEN)]},
        {"title": "D", "text": text, "section": [{"title": "E", "text": text, "entry": [to(HIDDEN), to(SHOWN)]}]},
    ]
    a, b, c, d = redacted(minimal("Composition", section=sections))["section"]
    assert a == sections[0]
    assert [one["text"]["status"] for one in (b, c, d, d["section"][0])] == ["empty"] * 4
    assert d["section"][0]["entry"] == [to(SHOWN)]
    assert "caché" not in json.dumps([b, c, d])


def test_a_list_of_urls_keeps_its_places() -> None:
    beside = [{"id": "first"}, {"id": "second"}]
    made = minimal("CarePlan", instantiatesUri=[HIDDEN, SHOWN], _instantiatesUri=beside)
    after = redacted(made)
    assert after["instantiatesUri"] == [SHOWN]
    assert "_instantiatesUri" not in after


def test_an_entry_of_a_bundle_goes_with_its_address_and_the_signature_with_it() -> None:
    entries = [
        {"fullUrl": f"{BASE}/{HIDDEN}", "resource": document()},
        {"fullUrl": "urn:uuid:1", "resource": document()},
    ]
    signature = {"type": [{"code": "a"}], "when": "2026-03-01T10:00:00Z", "who": to("Practitioner/1")}
    after = redacted(minimal("Bundle", entry=entries, signature=signature))
    assert after == minimal("Bundle", entry=entries[1:])


# Every place in every type


def places(structure: str, depth: int = 0) -> Iterator[tuple[tuple[Element, TypeUse], ...]]:
    """The ways down to whatever may point to something of a record."""
    for element in load().structures[structure].elements:
        for use in element.types:
            if use.code in {"Reference", "Attachment"} or (
                use.code in {"uri", "url", "canonical"} and _may_point(element)
            ):
                yield ((element, use),)
            elif depth < 3 and use.code.startswith(f"{structure.partition('.')[0]}."):
                yield from (((element, use), *rest) for rest in places(use.code, depth + 1))


def _may_point(element: Element) -> bool:
    return element.name not in {"system", "implicitRules", "profile", "type", "valueSet"}


def put(value: dict[str, Any], way: tuple[tuple[Element, TypeUse], ...]) -> None:
    """Write a reference to something hidden at the end of a way."""
    (element, use), *rest = way
    name = element.json_name(use.code)
    for other in [key for key in value if element.choice and key.startswith(element.name) and key != name]:
        del value[other]
    target = next((one for one in use.targets if one not in DIRECTORY | {"Resource"}), "DocumentReference")
    url = f"{target}/hidden"
    made: Any = to(url) if use.code == "Reference" else {"url": url} if use.code == "Attachment" else url
    if rest:
        held = value.get(name)
        made = (held[0] if isinstance(held, list) else held) or _of_structure(use.code)
        put(made, tuple(rest))
    value[name] = [made] if element.max is None else made


@cache
def examples(type: str) -> tuple[dict[str, Any], ...]:
    """Legal instances of a type, each with one reference to something hidden."""
    found = []
    for way in places(type):
        made = copy.deepcopy(minimal(type))
        put(made, way)
        if not fails(validator().validate(made)):
            found.append(made)
    return tuple(found)


@pytest.mark.parametrize("type", sorted(TYPES - DIRECTORY - {"Parameters"}))
def test_at_every_place_of_every_type(type: str) -> None:
    for made in examples(type):
        named = pointers(made, BASE)
        directory_only = not named and "Reference" not in json.dumps(made)
        assert len(named) == 1 or directory_only, f"a place is overlooked: {made}"
        after = redacted(made, *named)
        assert "/hidden" not in json.dumps(after)
        wrong = [one for one in validator().validate(after) if fails([one])]
        assert not wrong, (made, wrong[:3])


def test_there_are_many_such_places() -> None:
    assert sum(len(examples(type)) for type in types()) > 300


def merged(resources: list[dict[str, Any]], targets: list[str]) -> dict[str, Any]:
    """One resource with the members of several, each pointing to a target of its own."""
    told: dict[str, Any] = {}
    for resource, target in zip(resources, targets, strict=True):
        told |= json.loads(re.sub(r'"[A-Z][A-Za-z]+/hidden"', f'"{target}"', json.dumps(resource)))
    return told


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    type = draw(st.sampled_from(["List", "Composition", "Observation", "Procedure", "Encounter", "Task"]))
    some = draw(st.lists(st.sampled_from(examples(type)), min_size=1, max_size=4))
    targets = draw(st.lists(st.sampled_from([SHOWN, HIDDEN, OTHER]), min_size=len(some), max_size=len(some)))
    return merged(some, targets)


@given(resource=resources(), hidden=st.frozensets(st.sampled_from([SHOWN, HIDDEN, OTHER])))
def test_what_is_hidden_goes_and_what_is_shown_stays(resource: dict[str, Any], hidden: frozenset[str]) -> None:
    after = REDACTION.of(resource, hidden)
    assert not set(pointers(after, BASE)) & hidden
    if not set(pointers(resource, BASE)) & hidden:
        assert after is resource
    assert REDACTION.of(after, hidden) is after, "once is enough"
    if not fails(validator().validate(resource)):
        assert not fails(validator().validate(after))


# And back again


@given(resource=resources(), hidden=st.frozensets(st.sampled_from([SHOWN, HIDDEN, OTHER])))
def test_what_is_written_back_as_it_was_shown_is_the_whole_again(
    resource: dict[str, Any], hidden: frozenset[str]
) -> None:
    shown = REDACTION.shown(resource, hidden)
    written = json.loads(json.dumps(shown.resource))
    assert shown.restored(written) == resource
    assert shown.restored(written | {"language": "fr"}) == resource | {"language": "fr"}


@given(resource=resources(), hidden=st.frozensets(st.sampled_from([SHOWN, HIDDEN, OTHER]), min_size=1))
def test_whatever_is_taken_away_what_was_not_shown_stays(resource: dict[str, Any], hidden: frozenset[str]) -> None:
    shown = REDACTION.shown(resource, hidden)
    kept = shown.restored({"resourceType": resource["resourceType"]})
    lost = set(pointers(resource, BASE)) & hidden - set(pointers(kept, BASE))
    assert lost <= _required(shown.resource) | _in_part(shown)


def _in_part(shown: Shown) -> set[str]:
    """What stands in an entry of which the rest was shown: who takes away the entry he saw takes it away whole."""
    return {
        pointer
        for name, before in shown.whole.items()
        if isinstance(before, list)
        for one in before
        if any(shown.origins.get(id(left), (None, None))[1] is one for left in shown.resource.get(name, ()))
        for pointer in pointers({"resourceType": shown.whole["resourceType"], name: [one]}, BASE)
    }


def _required(resource: dict[str, Any]) -> frozenset[str]:
    """What was told to be unknown was shown, in a way: who takes that away means it."""
    return frozenset({SHOWN, HIDDEN, OTHER}) if DATA_ABSENT in json.dumps(resource) else frozenset()


def test_entries_come_back_to_their_places() -> None:
    targets = ["List/a", HIDDEN, "List/b", OTHER, "List/c"]
    made = minimal("List", entry=[{"item": to(target), "flag": {"text": target}} for target in targets])
    shown = REDACTION.shown(made, frozenset({HIDDEN, OTHER}))
    a, b, c = shown.resource["entry"]

    def back(*entries: dict[str, Any]) -> list[str]:
        return [one["item"]["reference"] for one in shown.restored(minimal("List", entry=list(entries)))["entry"]]

    new = {"item": to("List/new")}
    assert back(a, b, c) == targets
    assert back(a, b, c, new) == [*targets, "List/new"]
    assert back(new, a, b, c) == ["List/new", *targets]
    assert back(a, c) == ["List/a", HIDDEN, "List/c", OTHER]
    assert back(c, b, a) == ["List/c", "List/b", OTHER, "List/a", HIDDEN]
    assert back() == [HIDDEN, OTHER]
    changed = shown.restored(minimal("List", entry=[a, b | {"deleted": True}, c]))["entry"]
    assert changed == [one | ({"deleted": True} if one["item"] == to("List/b") else {}) for one in made["entry"]]
