"""What ``_summary`` and ``_elements`` leave of a resource: what the tables say, as it was written, and marked.

https://hl7.org/fhir/R4/search.html#summary · https://hl7.org/fhir/R4/search.html#elements
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import Element
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import compact, decode_lexical, encode_lexical
from fhir_server.search.subset import MOST_PLANS, SUBSETTED, Kind, Subset, Subsetter, Summary, elements, summary
from tests.minimal import VALUES, types

EXAMPLES: Final = Path(__file__).parent.parent / "examples"
SUBSETTER: Final = Subsetter(load())
WHOLE, TRUE, TEXT, DATA = (Subset.of(told) for told in (Summary.FALSE, Summary.TRUE, Summary.TEXT, Summary.DATA))
ELSEWHERE: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "ABSTRED"}


@cache
def example(name: str) -> bytes:
    return compact((EXAMPLES / f"{name}.json").read_bytes())


def named(raw: str, *types: str) -> Subset:
    subset, unknown = elements(raw, types, load())
    assert unknown == ()
    return subset


def cut(resource: dict[str, Any], subset: Subset) -> dict[str, Any]:
    """A part, by its bytes and by its tree, which must be the same; the resource itself stays as it was."""
    type, before = resource["resourceType"], copy.deepcopy(resource)
    part = SUBSETTER.of(resource, type, subset)
    assert resource == before
    of_bytes = json.loads(SUBSETTER.cut(json.dumps(resource).encode(), type, subset))
    assert json.dumps(of_bytes) == json.dumps(part), "the same members in the same order"
    return part


def tagged(resource: dict[str, Any]) -> dict[str, Any]:
    meta = resource.get("meta", {})
    return resource | {"meta": meta | {"tag": [*meta.get("tag", []), SUBSETTED]}}


def without(resource: dict[str, Any], *names: str) -> dict[str, Any]:
    assert set(names) <= resource.keys()
    return {name: one for name, one in resource.items() if name not in names}


def only(resource: dict[str, Any], *names: str) -> dict[str, Any]:
    assert set(names) <= resource.keys()
    return {name: one for name, one in resource.items() if name in names}


# Real resources, exactly


def test_a_whole_resource_is_the_same_bytes() -> None:
    body = example("DocumentReference-lettre")
    tree = decode_lexical(body)
    assert SUBSETTER.cut(body, "DocumentReference", WHOLE) is body
    assert SUBSETTER.of(tree, "DocumentReference", WHOLE) is tree
    assert Subset.of(Summary.COUNT) == Subset.whole() == WHOLE


def test_the_summary_of_a_letter() -> None:
    letter = json.loads(example("DocumentReference-lettre"))
    expected = without(letter, "contained", "extension", "authenticator", "custodian")
    expected["context"] = only(letter["context"], "period")
    assert cut(letter, TRUE) == tagged(expected)


def test_the_other_parts_of_a_letter() -> None:
    letter = json.loads(example("DocumentReference-lettre"))
    assert cut(letter, TEXT) == tagged(only(letter, "resourceType", "id", "meta", "status", "content"))
    assert cut(letter, DATA) == tagged(letter)
    asked = named("description,context,contained", "DocumentReference")
    kept = ("resourceType", "id", "meta", "contained", "status", "description", "content", "context")
    assert cut(letter, asked) == tagged(only(letter, *kept))


def test_the_parts_of_a_patient() -> None:
    helene = json.loads(example("Patient-helene"))
    assert cut(helene, TRUE) == tagged(without(helene, "generalPractitioner"))
    assert cut(helene, TEXT) == tagged(only(helene, "resourceType", "id"))
    assert cut(helene, DATA) == tagged(helene)
    born = cut(helene, named("birthDate", "Patient"))
    # whether the record is in use, and whether another one replaces it, change what the rest means
    assert born == tagged(only(helene, "resourceType", "id", "active", "birthDate", "_birthDate", "link"))


def test_the_parts_of_a_blood_pressure() -> None:
    pressure = json.loads(example("Observation-tension"))
    systolic, diastolic = pressure["component"]
    expected = without(pressure, "category")
    expected["component"] = [systolic, without(diastolic, "dataAbsentReason")]
    assert cut(pressure, TRUE) == tagged(expected)
    assert cut(pressure, TEXT) == tagged(only(pressure, "resourceType", "id", "status", "code"))
    asked = cut(pressure, named("value,effective", "Observation"))
    kept = ("resourceType", "id", "status", "code", "effectivePeriod", "valueCodeableConcept")
    assert asked == tagged(only(pressure, *kept))


PUBLISHED: Final[dict[str, tuple[str, ...]]] = {
    "frcore-Encounter": ("text", "extension"),
    "frcore-Patient": ("text", "extension"),
    "frcore-Observation-BP": ("text", "category", "interpretation", "bodySite"),
    "pdsm-DocumentReference": ("text", "contained", "authenticator", "custodian"),
}
"""By published example, what is not in its summary, at the top."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_parts_of_published_examples(name: str) -> None:
    whole = json.loads(example(f"published/{name}"))
    expected = without(whole, *PUBLISHED[name])
    match name:
        case "frcore-Observation-BP":
            expected["component"] = [without(one, "interpretation") for one in whole["component"]]
        case "frcore-Encounter":
            expected = without(expected, "period")
        case "pdsm-DocumentReference":
            expected["context"] = only(whole["context"], "period")
    assert cut(whole, TRUE) == tagged(expected)
    assert cut(whole, DATA) == tagged(without(whole, "text"))
    assert cut(whole, TEXT)["text"] == whole["text"]


def test_of_a_bundle_the_resources_stay_whole() -> None:
    letter = json.loads(example("DocumentReference-lettre"))
    entry = {"fullUrl": "urn:uuid:1", "resource": letter, "extension": [{"url": "https://x.example"}], "id": "e"}
    bundle = {"resourceType": "Bundle", "language": "fr", "type": "collection", "entry": [entry]}
    kept = only(entry, "fullUrl", "resource")
    assert cut(bundle, TRUE) == tagged(without(bundle, "language") | {"entry": [kept]})
    assert cut(bundle, named("entry", "Bundle")) == tagged(without(bundle, "language"))
    assert cut(bundle, DATA) == tagged(bundle)


def test_of_a_binary_the_summary_has_no_data() -> None:
    binary = {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "Qm9u"}
    assert cut(binary, TRUE) == cut(binary, TEXT) == tagged(without(binary, "data"))
    assert cut(binary, named("data", "Binary")) == tagged(binary)


# What is kept is as it was


def test_bytes_are_kept_as_they_were_written() -> None:
    start = b'{"resourceType":"Observation","status":"final","code":{"text":"\\u00e9t\\/\xc3\xa9"},'
    body = (
        start
        + b'"note":[{"text":"x"}],"valueQuantity":{"value":1.10e0},"component":[{"valueQuantity":{"value":0.00}}]}'
    )
    kept = start + b'"valueQuantity":{"value":1.10e0},"component":[{"valueQuantity":{"value":0.00}}],'
    mark = b'"meta":{"tag":[' + json.dumps(SUBSETTED, separators=(",", ":")).encode() + b"]}}"
    assert SUBSETTER.cut(body, "Observation", TRUE) == kept + mark
    by_tree = encode_lexical(SUBSETTER.of(decode_lexical(body), "Observation", TRUE))
    assert by_tree == (kept + mark).replace(b"\\u00e9t\\/", b"\xc3\xa9t/")


@pytest.mark.parametrize(
    "meta",
    [
        None,
        {},
        {"tag": []},
        {"versionId": "3", "security": [{"code": "R"}], "tag": [{"system": "https://x.example", "code": "SUBSETTED"}]},
        {"tag": [ELSEWHERE], "lastUpdated": "2026-03-01T10:00:00Z"},
        {"tag": [{"code": "SUBSETTED"}]},
    ],
)
def test_a_part_is_marked_beside_what_meta_says(meta: dict[str, Any] | None) -> None:
    basic = {"resourceType": "Basic", "code": {"text": "x"}} | ({"meta": meta} if meta is not None else {})
    for subset in (TRUE, TEXT, DATA, named("id", "Basic")):
        part = cut(basic, subset)
        assert part == tagged(basic)
        assert cut(part, subset) == part, "once is enough"


def test_a_mark_that_is_there_is_enough() -> None:
    marked = {"tag": [ELSEWHERE, SUBSETTED | {"display": "subsetted"}]}
    basic = {"resourceType": "Basic", "meta": marked, "code": {"text": "x"}}
    for subset in (TRUE, TEXT, DATA, named("id", "Basic")):
        assert cut(basic, subset) == basic


def test_what_nothing_is_kept_of_is_not_there() -> None:
    """An empty object or list is not legal; an emptied element among others goes alone."""
    letter = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"url": "Binary/a"}}],
        "context": {"event": [{"text": "x"}]},
    }
    assert cut(letter, TRUE) == tagged(without(letter, "context"))
    event = [{"extension": [{"url": "https://x.example"}]}, {"code": [{"text": "x"}]}]
    composition = {"resourceType": "Composition", "status": "final", "event": event}
    assert cut(composition, TRUE) == tagged(composition | {"event": event[1:]})
    assert cut(composition | {"event": event[:1]}, TRUE) == tagged(without(composition, "event"))


def test_an_element_that_must_be_there_never_becomes_empty() -> None:
    """Of the tables: what is mandatory and looked into has something mandatory itself."""
    looked_into, waiting = set[str](), [*types()]
    while waiting:
        for element in load().structures[waiting.pop()].elements:
            code = element.types[0].code
            if _is_kept(element) and load().structures[code].kind == "backbone" and code not in looked_into:
                looked_into.add(code)
                waiting.append(code)
                assert not element.min or any(below.min for below in load().structures[code].elements), element.path
    assert len(looked_into) > 100


# Every type


def _is_kept(element: Element) -> bool:
    return element.summary or element.min > 0 or element.modifier


def full(structure: str, depth: int = 0) -> dict[str, Any]:
    """Every element there is, of every type it may have, and what may stand beside it: more than would be legal."""
    made: dict[str, Any] = {}
    for element in load().structures[structure].elements:
        for use in element.types:
            name = element.json_name(use.code)
            value = _value(use.code, depth)
            if value is not None:
                made[name] = [value, value] if element.max is None else value
            if use.code in VALUES:
                beside = {"extension": [{"url": "https://x.example", "valueString": name}]}
                made[f"_{name}"] = [beside, None] if element.max is None else beside
    return made


def _value(code: str, depth: int) -> Any:
    if load().structures[code].kind == "backbone":
        return full(code, depth + 1) if depth < 4 else None
    return VALUES.get(code) or ({"tag": [ELSEWHERE]} if code == "Meta" else {"id": "a", "text": "whole"})


@cache
def everything(type: str) -> dict[str, Any]:
    return {"resourceType": type, **full(type)}


def leaves(structure: str, value: dict[str, Any]) -> Iterator[tuple[tuple[Element, ...], tuple[str, ...], Any]]:
    """The values in a resource or a backbone element, each with the elements and the names that lead to it."""
    by_name = {name: element for element in load().structures[structure].elements for name in json_names(element)}
    for name, one in value.items():
        element = by_name[name]
        code = element.types[0].code
        if load().structures[code].kind != "backbone":
            yield (element,), (name,), one
            continue
        for part in one if isinstance(one, list) else [one]:
            for below, names, leaf in leaves(code, part):
                yield (element, *below), (name, *names), leaf


def json_names(element: Element) -> list[str]:
    names = [element.json_name(use.code) for use in element.types]
    return [*names, *(f"_{name}" for name in names)]


@pytest.mark.parametrize("type", types())
def test_a_summary_of_every_type_has_what_is_flagged_or_mandatory_and_nothing_else(type: str) -> None:
    whole = everything(type)
    part = cut(whole, TRUE)
    assert part.pop("resourceType") == type
    assert part.pop("meta") == {"tag": [ELSEWHERE, SUBSETTED]}
    told = leaves(type, without(whole, "resourceType", "meta"))
    assert [*leaves(type, part)] == [leaf for leaf in told if all(_is_kept(element) for element in leaf[0])]


def at_top(type: str, *names: str, modifiers: bool) -> dict[str, Any]:
    """Of everything, the elements of these names and those that come with them, as a part."""
    kept = {"resourceType"}
    for element in load().structures[type].elements:
        if element.name in {"id", "meta", *names} or element.min > 0 or (modifiers and element.modifier):
            kept |= {*json_names(element)}
    return tagged({name: one for name, one in everything(type).items() if name in kept})


@pytest.mark.parametrize("type", types())
def test_the_narrative_and_the_data_of_every_type(type: str) -> None:
    whole = everything(type)
    assert cut(whole, TEXT) == at_top(type, "text", modifiers=False)
    assert cut(whole, DATA) == tagged({name: one for name, one in whole.items() if name != "text"})


@pytest.mark.parametrize("type", types())
def test_each_element_of_every_type_can_be_named(type: str) -> None:
    for name in [element.name for element in load().structures[type].elements]:
        expected = at_top(type, name, modifiers=True)
        assert cut(everything(type), named(name, type)) == expected
        assert cut(everything(type), named(f"{type}.{name}", type)) == expected


def test_the_summary_of_a_patient_is_the_one_the_standard_prints() -> None:
    """https://hl7.org/fhir/R4/patient.html, marked with a sigma."""
    flagged = (
        "id meta implicitRules modifierExtension identifier active name telecom gender birthDate deceasedBoolean "
        "deceasedDateTime address managingOrganization link resourceType"
    )
    part = cut(everything("Patient"), TRUE)
    assert {name.removeprefix("_") for name in part} == set(flagged.split())


# Every subset of everything


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    """A resource with some of all that its type may have, in any order, and so are the objects in it."""
    type = draw(st.sampled_from(["DocumentReference", "Observation", "Questionnaire", "Bundle", "Consent", "Binary"]))

    def some(value: dict[str, Any]) -> dict[str, Any]:
        names = draw(st.lists(st.sampled_from([*value]), min_size=1, max_size=6, unique=True))
        return {name: some_of(value[name]) for name in names}

    def some_of(value: Any) -> Any:
        if isinstance(value, list):
            return [some_of(one) for one in value]
        return some(value) if isinstance(value, dict) else value

    return some(everything(type)) | {"resourceType": type}


@st.composite
def subsets(draw: st.DrawFn, type: str) -> Subset:
    names = [element.name for element in load().structures[type].elements]
    asked = draw(st.none() | st.lists(st.sampled_from(names), min_size=1, max_size=4))
    return draw(st.sampled_from([TRUE, TEXT, DATA])) if asked is None else named(",".join(asked), type)


@given(data=st.data(), resource=resources())
def test_a_part_of_a_part_is_that_part_and_each_value_is_as_it_was(
    data: st.DataObject, resource: dict[str, Any]
) -> None:
    subset = data.draw(subsets(resource["resourceType"]))
    part = cut(resource, subset)
    assert cut(part, subset) == part
    assert part["resourceType"] == resource["resourceType"]
    assert [name for name in resource if name in part] == [name for name in part if name in resource]
    assert part.keys() <= resource.keys() | {"meta"}
    assert SUBSETTED in part["meta"]["tag"]
    for name in part.keys() - {"meta"}:
        if subset.kind is Kind.TRUE:
            assert _within(part[name], resource[name])
        else:
            assert part[name] == resource[name]


def _within(part: Any, whole: Any) -> bool:
    """Every value of a part is in the whole, at the same place, and nothing is empty."""
    if part == whole:
        return True
    if isinstance(part, list):
        rest = iter(whole)
        return bool(part) and all(any(_within(one, other) for other in rest) for one in part)
    return bool(part) and all(name in whole and _within(one, whole[name]) for name, one in part.items())


# What is asked


@pytest.mark.parametrize("told", Summary)
def test_a_summary_is_one_of_five(told: Summary) -> None:
    assert summary(told.value) is told


@pytest.mark.parametrize("raw", ["", "True", "yes", "true,text", " true", "é"])
def test_another_summary_is_refused(raw: str) -> None:
    with pytest.raises(Invalid, match="_summary must be one of true, text, data, count, false") as refusal:
        summary(raw)
    assert refusal.value.issues[0].expression == ("http._summary",)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("", "names no element"),
        (" ", "names no element"),
        (",,", "names no element"),
        ("status,,date", "comma"),
        ("status,", "comma"),
        ("value[x]", "'value\\[x\\]' is not the name"),
        ("contact.name", "at the top"),
        ("Patient.contact.name", "at the top"),
        ("Patient", "at the top"),
        ("Patient.", "at the top"),
        (".name", "at the top"),
        ("-name", "is not the name"),
        ("na me", "is not the name"),
        ("é", "is not the name"),
        ("name\x00", "is not the name"),
        ("x" * 500 + "!", "is not the name"),
    ],
)
def test_a_list_that_names_no_elements_is_refused(raw: str, says: str) -> None:
    with pytest.raises(Invalid, match=says) as refusal:
        elements(raw, ("Patient", "Observation"), load())
    assert refusal.value.issues[0].expression == ("http._elements",)
    assert len(str(refusal.value)) < 300


def test_names_that_no_type_has_are_given_back() -> None:
    raw = "name, bogus,value,valueQuantity,Patient.value,Practitioner.name,Nothing.name,name,resourceType"
    subset, unknown = elements(raw, ("Patient", "Observation"), load())
    assert unknown == ("bogus", "valueQuantity", "Patient.value", "Practitioner.name", "Nothing.name", "resourceType")
    assert subset == Subset(
        Kind.ELEMENTS, names=frozenset({"name", "value"}), types=frozenset({"Patient", "Observation"})
    )
    assert hash(subset) == hash(named("value,name", "Observation", "Patient"))


def test_names_are_of_the_types_searched_and_with_their_type_of_those_included() -> None:
    """https://hl7.org/fhir/R4/search.html#elements: the list does not apply to included resources."""
    raw = "status,Practitioner.name,DocumentReference.date,Organization.name"
    subset, unknown = elements(raw, ("DocumentReference",), load(), included=("Practitioner", "DocumentReference"))
    assert unknown == ("Organization.name",)
    assert subset.names_of("DocumentReference") == {"status", "date"}
    assert subset.names_of("Practitioner") == {"name"}
    assert not subset.is_whole("Practitioner")
    assert subset.is_whole("Organization")
    beside = subset.of_included()
    assert beside.names_of("DocumentReference") == {"date"}
    assert beside.names_of("Practitioner") == {"name"}
    alone = named("status", "DocumentReference").of_included()
    assert alone.is_whole("DocumentReference")
    assert TRUE.of_included() == TRUE, "a summary is one of included resources too"
    assert WHOLE.of_included() == WHOLE


def test_of_several_types_each_is_cut_by_what_it_has() -> None:
    subset = named("value,birthDate", "Patient", "Observation")
    kept = cut({"resourceType": "Observation", "status": "final", "issued": "x", "valueString": "y"}, subset)
    assert kept == tagged({"resourceType": "Observation", "status": "final", "valueString": "y"})
    kept = cut({"resourceType": "Patient", "gender": "female", "birthDate": "1980"}, subset)
    assert kept == tagged({"resourceType": "Patient", "birthDate": "1980"})
    other = {"resourceType": "Basic", "code": {"text": "x"}, "created": "2026"}
    assert cut(other, subset) is other
    assert cut(other, named("Basic.author", "Basic", "Patient")) == tagged(without(other, "created"))


def test_there_is_an_end_of_what_is_kept_of_the_questions_of_clients() -> None:
    subsetter = Subsetter(load())
    names = [element.name for element in load().structures["Patient"].elements]
    body = b'{"resourceType":"Patient","gender":"female","birthDate":"1980"}'
    for number in range(MOST_PLANS + 100):
        asked = frozenset(name for bit, name in enumerate(names) if number >> bit & 1)
        subsetter.cut(body, "Patient", Subset(Kind.ELEMENTS, asked, frozenset({"Patient"})))
    assert subsetter._top.cache_info().currsize == MOST_PLANS
