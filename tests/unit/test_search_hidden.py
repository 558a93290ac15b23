"""A search does not find what the answer leaves out (ADR 0018)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import Element
from fhir_server.record.elements import DIRECTORY
from fhir_server.record.redact import _NEEDED
from fhir_server.search.hidden import BESIDE, Unseen, beside, named, open_ended
from fhir_server.search.parameter import by_type
from fhir_server.search.predicate import Field, Predicate, Prefix, all_of, any_of, matches, negate, one_of
from tests.searching import OWN as OWN_PARAMETERS
from tests.searching import PARAMETERS

BASE: Final = "https://dmp.example/fhir"
OWN: Final = one_of(Field.DEPOSIT_BY, "me")
ITEM: Final = "item=DocumentReference/hidden"


def unseen(
    *keys: str, codes: tuple[str, ...] = (), shown: tuple[str, ...] = (), open_ended: tuple[str, ...] = ()
) -> Unseen:
    return Unseen(frozenset(keys), frozenset(codes), frozenset(shown), frozenset(open_ended), OWN, BASE)


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


def test_a_condition_on_a_system_alone_too() -> None:
    asked = Prefix("format=urn:oid:1.3.6|")
    assert beside([asked], ["DocumentReference"]) == {"format"}
    seen = unseen(codes=("format",)).rewrite(asked)
    assert matches(seen, entry("format=urn:oid:1.3.6|x"))
    assert not matches(seen, entry("format=urn:oid:1.3.6|x", refers=("List/b",)))
    assert matches(seen, entry("format=urn:oid:1.3.6|x", refers=("List/b",), by="me"))
    assert unseen(codes=("format",)).rewrite(Prefix("type=http://loinc.org|")) == Prefix("type=http://loinc.org|")


@pytest.mark.parametrize(
    ("beginning", "asks"),
    [
        ("location=", True),
        (f"location={BASE}/", True),
        (f"location={BASE}/Binary/", True),
        ("location=https://", True),
        ("location=https://elsewhere.example/", False),
        ("location:identifier=", False),
        ("family=", False),
    ],
)
def test_a_condition_on_whatever_begins_so(beginning: str, asks: bool) -> None:
    asked = all_of([one_of(Field.TYPE, "DocumentReference"), negate(Prefix(beginning))])
    assert open_ended([asked], ["location"], BASE) == ({"location"} if asks else frozenset())


@pytest.mark.parametrize(
    ("term", "refers", "found"),
    [
        ("location=Binary/hidden", ("Binary/hidden",), False),
        (f"location={BASE}/Binary/hidden", ("Binary/hidden",), False),
        ("location=Binary/shown", ("Binary/hidden", "Binary/shown"), True),
        (f"location={BASE}/Binary/shown", ("Binary/hidden", "Binary/shown"), True),
        ("location=Organization/o", ("Binary/hidden",), True),
        ("location=https://elsewhere.example/x", ("Binary/hidden",), True),
        ("location=urn:oid:1.2", ("Binary/hidden",), True),
        ("location=Binary/shown/_history/2", ("Binary/shown",), True),
    ],
)
def test_whether_there_is_a_reference_is_asked_of_those_that_are_shown(
    term: str, refers: tuple[str, ...], found: bool
) -> None:
    asked = unseen(open_ended=("location",), shown=("Binary/shown",)).rewrite(Prefix("location="))
    assert matches(asked, entry(term, refers=refers)) is found
    assert matches(asked, entry(term, refers=refers, by="me"))


def test_what_lies_below_a_url_is_asked_of_what_is_shown() -> None:
    rewrite = unseen(open_ended=("location",), shown=("Binary/shown",)).rewrite
    below = rewrite(Prefix(f"location={BASE}/Binary/"))
    hidden, shown = (f"location={BASE}/Binary/{id}" for id in ("hidden", "shown"))
    assert not matches(below, entry(hidden, refers=("Binary/hidden",)))
    assert matches(below, entry(hidden, shown, refers=("Binary/hidden", "Binary/shown")))
    assert not matches(below, entry("location=Organization/o", refers=("Binary/hidden",)))
    elsewhere = Prefix("location=https://elsewhere.example/")
    assert rewrite(elsewhere) == elsewhere
    web = rewrite(Prefix("location=https://"))
    assert not matches(web, entry(hidden, refers=("Binary/hidden",)))
    assert matches(web, entry("location=https://elsewhere.example/x", refers=("Binary/hidden",)))


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
