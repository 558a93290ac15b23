"""A search does not find what the answer leaves out (ADR 0018)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import Element
from fhir_server.record.elements import DIRECTORY
from fhir_server.record.redact import _NEEDED
from fhir_server.search.hidden import BESIDE, Unseen, beside, named, present, widest
from fhir_server.search.parameter import by_type
from fhir_server.search.predicate import (
    ALWAYS,
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
    assert present(asked, {"item", "url", "code", "other"}, BASE) == found
    assert present(asked, {"other"}, BASE) == frozenset()


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
