"""A search does not find what the answer leaves out (ADR 0018)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import Element
from fhir_server.record.elements import DIRECTORY
from fhir_server.record.redact import _NEEDED
from fhir_server.search.hidden import BESIDE, Unseen, beside, looks_within, named, present, widest
from fhir_server.search.parameter import by_type
from fhir_server.search.predicate import (
    ALWAYS,
    Contained,
    Contains,
    Field,
    Predicate,
    Prefix,
    Span,
    all_of,
    any_of,
    matches,
    negate,
    one_of,
)
from tests.searching import OWN as OWN_PARAMETERS
from tests.searching import PARAMETERS

BASE: Final = "https://dmp.example/fhir"
OWN: Final = one_of(Field.DEPOSIT_BY, "me")
ITEM: Final = "item=DocumentReference/hidden"


def unseen(
    *keys: str, codes: tuple[str, ...] = (), shown: tuple[str, ...] = (), present: tuple[str, ...] = ()
) -> Unseen:
    return Unseen(frozenset(keys), frozenset(codes), frozenset(shown), frozenset(present), OWN, BASE)


def entry(*terms: str, by: str = "other", refers: tuple[str, ...] = ()) -> dict[str, object]:
    return {"ix": {"s": list(terms)}, "deposit": {"by": by}, "refers": list(refers)}


def test_what_is_hidden_is_found_in_own_deposits_alone() -> None:
    asked = unseen("DocumentReference/hidden").rewrite(one_of(Field.TERMS, ITEM))
    assert not matches(asked, entry(ITEM))
    assert matches(asked, entry(ITEM, by="me"))
    either = unseen("DocumentReference/hidden").rewrite(one_of(Field.TERMS, ITEM, "item=DocumentReference/shown"))
    assert matches(either, entry("item=DocumentReference/shown"))
    assert not matches(either, entry(ITEM))


@pytest.mark.parametrize(
    ("term", "key"),
    [
        (ITEM, "DocumentReference/hidden"),
        (f"location={BASE}/Binary/b", "Binary/b"),
        ("location=Binary/b/_history/2", "Binary/b"),
        ("performer=Patient/p", "Patient/p"),
        ("author=Practitioner/p", None),
        ("code=http://loinc.org|List/1", None),
        ("identifier=|List/1", None),
        ("code#List/1", None),
        ("item:identifier=https://x.example|1", None),
        ("item=https://elsewhere.example/List/1", None),
        ("item=DocumentReference/d|2", "DocumentReference/d"),
        (f"location={BASE}/Binary/b#part", "Binary/b"),
    ],
)
def test_what_a_condition_names(term: str, key: str | None) -> None:
    asked = any_of(
        [one_of(Field.TERMS, term), negate(all_of([one_of(Field.TERMS, "a#b"), one_of(Field.TYPE, "List")]))]
    )
    assert named([asked], BASE) == ({key} if key else frozenset())


def test_a_condition_on_what_goes_with_a_reference() -> None:
    asked: Predicate = one_of(Field.TERMS, "relation#replaces")
    assert beside([asked], ["DocumentReference"]) == {"relation"}
    assert beside([asked], ["List"]) == frozenset()
    seen = unseen(codes=("relation",), shown=("List/a",)).rewrite(asked)
    assert matches(seen, entry("relation#replaces", refers=("List/a",)))
    assert not matches(seen, entry("relation#replaces", refers=("List/a", "List/b")))
    assert matches(seen, entry("relation#replaces", refers=("List/b",), by="me"))
    assert matches(seen, entry("relation#replaces"))


def test_what_was_stored_before_it_said_what_it_refers_to_may_refer_to_anything() -> None:
    asked = one_of(Field.TERMS, "relation#replaces")
    seen = unseen(codes=("relation",), shown=("List/a",)).rewrite(asked)
    before = {name: told for name, told in entry("relation#replaces").items() if name != "refers"}
    assert not matches(seen, before)
    assert matches(seen, before | {"deposit": {"by": "me"}})


def test_a_condition_on_a_system_alone_too() -> None:
    asked = Prefix("format=urn:oid:1.3.6|")
    assert beside([asked], ["DocumentReference"]) == {"format"}
    seen = unseen(codes=("format",)).rewrite(asked)
    assert matches(seen, entry("format=urn:oid:1.3.6|x"))
    assert not matches(seen, entry("format=urn:oid:1.3.6|x", refers=("List/b",)))
    assert matches(seen, entry("format=urn:oid:1.3.6|x", refers=("List/b",), by="me"))
    assert unseen(codes=("format",)).rewrite(Prefix("type=http://loinc.org|")) == Prefix("type=http://loinc.org|")


def test_a_condition_on_a_text_within_too() -> None:
    """None of the parameters that go with a reference is a string today; one that is added must not be forgotten."""
    asked = Contains("format=", "pdf")
    assert beside([asked], ["DocumentReference"]) == {"format"}
    seen = unseen(codes=("format",)).rewrite(asked)
    assert matches(seen, entry("format=a pdf"))
    assert not matches(seen, entry("format=a pdf", refers=("List/b",)))
    assert matches(seen, entry("format=a pdf", refers=("List/b",), by="me"))


def test_a_condition_on_an_interval_and_on_a_composite_too() -> None:
    asked = any_of([Span("language", (("lo", "ge", 0),)), one_of(Field.TERMS, "relationship$#replaces\x02=List/b")])
    assert beside([asked], ["DocumentReference"]) == {"language", "relationship"}
    seen = unseen(codes=("language", "relationship")).rewrite(asked)
    dated = {**entry(refers=("List/b",)), "ix": {"s": [], "r": [{"p": "language", "lo": 1, "hi": 2}]}}
    assert not matches(seen, dated)
    assert matches(seen, {**dated, "refers": []})
    assert not matches(seen, entry("relationship$#replaces\x02=List/b", refers=("List/b",)))


THERE: Final = any_of([Prefix("item="), Prefix("item#"), Prefix("item:")])


def test_what_begins_as_something_hidden_may() -> None:
    asked: list[Predicate] = [THERE, Prefix("url=https://dmp.example/"), negate(Prefix(f"url={BASE}/List/"))]
    asked += [Prefix("url=https://dmp.autre/"), Prefix(f"code={BASE}/x|"), Prefix("name=https"), Prefix("name=")]
    found = {"item=", "url=https://dmp.example/", f"url={BASE}/List/"}
    assert present(asked, {"": {"item", "url", "code", "other"}}, BASE) == found
    assert present(asked, {"": {"other"}}, BASE) == frozenset()


@pytest.mark.parametrize(
    ("term", "shown"),
    [
        ("item=List/hidden", False),
        ("item=List/shown", True),
        (f"item={BASE}/List/hidden", False),
        (f"item={BASE}/List/shown", True),
        ("item=Practitioner/1", True),
        (f"item={BASE}/Organization/1", True),
        ("item=https://ailleurs.example/List/1", True),
        ("item=urn:uuid:1", True),
        ("item:identifier#1", True),
    ],
)
def test_whether_there_is_a_reference_is_asked_of_those_that_are_shown(term: str, shown: bool) -> None:
    seen = unseen(present=("item=",), shown=("List/shown",))
    hiding = entry(term, refers=("List/hidden", "List/shown"))
    assert matches(seen.rewrite(THERE), hiding) is shown
    assert matches(seen.rewrite(negate(THERE)), hiding) is not shown
    assert matches(seen.rewrite(THERE), entry(term, refers=("List/hidden",), by="me")), "his own deposit, whole"
    assert matches(seen.rewrite(THERE), entry(term, refers=("List/shown",))), "nothing hidden is in it"


@pytest.mark.parametrize(
    ("begins", "term", "shown"),
    [
        ("https://dmp.example/", f"url={BASE}/List/hidden", False),
        (f"{BASE}/List/", f"url={BASE}/List/hidden", False),
        (f"{BASE}/List/", f"url={BASE}/List/shown", True),
        (f"{BASE}/Lis", f"url={BASE}/List/shown", True),
        (f"{BASE}/Consent", f"url={BASE}/List/shown", False),
    ],
)
def test_what_lies_under_a_url_of_this_server_is_what_is_shown(begins: str, term: str, shown: bool) -> None:
    asked = Prefix(f"url={begins}")
    seen = unseen(present=(asked.text,), shown=("List/shown",))
    assert matches(seen.rewrite(asked), entry(term, refers=("List/hidden", "List/shown"))) is shown


def test_what_is_denied_may_be_more_of_what_is_seen() -> None:
    """The widest form of a condition holds of all that satisfies it, as asked or as seen."""
    a, b = one_of(Field.TERMS, "a#1"), one_of(Field.TERMS, "b#1")
    assert widest(all_of([a, negate(b)])) == a
    assert widest(negate(b)) == ALWAYS
    assert widest(any_of([a, b])) == any_of([a, b])
    assert widest(any_of([a, negate(b)])) == ALWAYS


def test_terms_of_both_kinds_are_told_apart() -> None:
    asked = one_of(Field.TERMS, "relation#replaces", ITEM, "status#current")
    seen = unseen("DocumentReference/hidden", codes=("relation",)).rewrite(asked)
    assert matches(seen, entry("status#current", refers=("List/b",)))
    assert not matches(seen, entry("relation#replaces", ITEM, refers=("List/b",)))
    assert matches(seen, entry("relation#replaces", refers=("List/b",), by="me"))
    assert matches(seen, entry(ITEM, by="me"))


def test_other_conditions_stay_as_they_are() -> None:
    asked = all_of([one_of(Field.TERMS, "status#current"), one_of(Field.TYPE, "List")])
    assert unseen("List/hidden").rewrite(asked) == asked


# The table is what the definitions say


def _required(structure: str, depth: int = 0) -> Iterator[Element]:
    """What a structure must have that may point to something of a record."""
    for element in load().structures[structure].elements:
        if not (element.min or element.path in _NEEDED):
            continue
        for use in element.types:
            of_record = not use.targets or not set(use.targets) <= DIRECTORY
            if use.code == "Attachment" or (use.code == "Reference" and of_record):
                yield element
            elif depth < 3 and use.code.startswith(f"{structure.partition('.')[0]}."):
                yield from _required(use.code, depth + 1)


def test_what_goes_with_a_reference_is_known_of_every_type() -> None:
    """Whatever lies in an entry that is taken out with its reference, and is searched, and is not that reference."""
    definitions = load()
    own = by_type(OWN_PARAMETERS, definitions)
    found: dict[str, set[str]] = {}
    for structure in definitions.structures.values():
        type = structure.name.partition(".")[0]
        if type in DIRECTORY or type not in definitions.resource_types or type == "AuditEvent":
            continue
        for element in structure.elements:
            uses = [use.code for use in element.types if use.code.startswith(f"{type}.")]
            points = [one.path.removesuffix("[x]") for use in uses for one in _required(use)]
            if not points:
                continue
            for code, parameter in PARAMETERS.of(type).items():
                defined = own.get(type, {}).get(code) or definitions.search_parameters[type].get(code)
                told = defined.expression if defined is not None and parameter.supported else ""
                spoken = [part.strip(" ()") for part in told.split("|")]
                within = any(part.startswith(f"{element.path}.") for part in spoken)
                # what a composite joins lies within the element that it speaks of
                within |= parameter.type == "composite" and element.path in spoken
                itself = parameter.type in {"reference", "uri"}
                if within and not (itself and any(part.startswith(tuple(points)) for part in spoken)):
                    found.setdefault(type, set()).add(code)
    assert found.pop("Composition") == {"related-id"}  # a target that is an identifier is no reference
    assert found == {type: set(codes) for type, codes in BESIDE.items()}


# What is contained (ADR 0030)


def holding(
    *terms: str, by: str = "other", refers: tuple[str, ...] = (), type: str = "Observation"
) -> dict[str, object]:
    held = {"p": ["related"], "rt": type, "ix": {"s": list(terms)}}
    return {"ix": {"s": [], "c": [held]}, "deposit": {"by": by}, "refers": list(refers)}


def related(part: Predicate, type: str = "Observation") -> Predicate:
    return Contained("related", frozenset({type}), part)


STAY: Final = "encounter=Encounter/hidden"


def test_what_conditions_on_contained_resources_ask() -> None:
    asked = [related(any_of([one_of(Field.TERMS, STAY), Prefix("encounter=")]))]
    asked.append(related(one_of(Field.TERMS, "relation#replaces"), "DocumentReference"))
    assert named(asked, BASE) == {"Encounter/hidden"}
    assert beside(asked, ["DocumentReference"]) == {"DocumentReference.relation"}
    assert beside([Contained("procedure-udi", frozenset({"Device"}), Prefix("status#"))], ["Claim"]) == {
        "procedure-udi"
    }
    assert looks_within(asked) == {"Observation", "DocumentReference"}
    assert present(asked, {"": {"encounter"}, "Observation": {"encounter"}}, BASE) == {"Observation.encounter="}
    assert present(asked, {"": {"encounter"}}, BASE) == frozenset()


def test_what_a_contained_resource_refers_to_and_is_hidden_finds_own_deposits_alone() -> None:
    asked = related(one_of(Field.TERMS, STAY, "encounter=Encounter/shown"))
    seen = unseen("Encounter/hidden", shown=("Encounter/shown",)).rewrite(asked)
    assert not matches(seen, holding(STAY, refers=("Encounter/hidden",)))
    assert matches(seen, holding(STAY, refers=("Encounter/hidden",), by="me"))
    assert matches(seen, holding("encounter=Encounter/shown", refers=("Encounter/hidden", "Encounter/shown")))


def test_a_contained_resource_has_no_reference_where_its_one_is_hidden() -> None:
    there = any_of([Prefix("encounter="), Prefix("encounter:")])
    told = unseen(shown=("Encounter/shown",), present=("Observation.encounter=",))
    seen, missing = told.rewrite(related(there)), told.rewrite(related(negate(there)))
    for refers, is_there in ((("Encounter/shown",), True), (("Encounter/hidden",), False)):
        stored = holding(*(f"encounter={key}" for key in refers), refers=refers)
        assert matches(seen, stored) is is_there
        assert matches(missing, stored) is not is_there
    mine = holding(STAY, refers=("Encounter/hidden",), by="me")
    assert matches(seen, mine)
    assert not matches(missing, mine)


def test_what_goes_with_a_reference_of_a_contained_resource() -> None:
    asked = related(one_of(Field.TERMS, "relation#replaces"), "DocumentReference")
    seen = unseen(codes=("DocumentReference.relation",), shown=("List/a",)).rewrite(asked)
    assert matches(seen, holding("relation#replaces", refers=("List/a",), type="DocumentReference"))
    assert not matches(seen, holding("relation#replaces", refers=("List/b",), type="DocumentReference"))
    assert matches(seen, holding("relation#replaces", refers=("List/b",), type="DocumentReference", by="me"))


def test_a_contained_resource_goes_with_a_reference() -> None:
    asked = related(one_of(Field.TERMS, "status#final"))
    seen = unseen(codes=("related",), shown=("List/a",)).rewrite(asked)
    assert matches(seen, holding("status#final", refers=("List/a",)))
    assert not matches(seen, holding("status#final", refers=("List/b",)))


def test_what_contained_resources_point_to_within_is_asked_in_the_same_way() -> None:
    inner = {"p": ["has-member"], "rt": "Observation", "ix": {"s": [STAY, "status#final"]}}
    stored = holding("code#x", refers=("Encounter/hidden",))
    stored["ix"]["c"][0]["ix"]["c"] = [inner]  # type: ignore[index]
    told = unseen("Encounter/hidden")
    of_hidden = related(Contained("has-member", frozenset({"Observation"}), one_of(Field.TERMS, STAY)))
    of_all = related(Contained("has-member", frozenset({"Observation"}), one_of(Field.TERMS, "status#final")))
    assert not matches(told.rewrite(of_hidden), stored)
    assert matches(told.rewrite(of_hidden), stored | {"deposit": {"by": "me"}})
    assert told.rewrite(of_all) == of_all
    going = replace(told, codes=frozenset({"Observation.has-member"}))
    assert not matches(going.rewrite(of_all), stored)


def test_what_a_condition_on_contained_resources_is_at_its_widest() -> None:
    asked = related(all_of([one_of(Field.TERMS, "code#x"), negate(one_of(Field.TERMS, STAY))]))
    assert widest(asked) == related(one_of(Field.TERMS, "code#x"))
