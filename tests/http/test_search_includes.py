"""``_include`` and ``_revinclude``: what is answered around what was found.

https://hl7.org/fhir/R4/search.html#include
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import (
    INS_TEST,
    TAGS,
    Pair,
    found,
    keys,
    link,
    names,
    pointer,
    stored,
    tagged,
)
from tests.served import Served

WORLD = "includes"
TAG = ("_tag", f"{TAGS}|{WORLD}")
PATIENT = pointer("Patient", f"{WORLD}-pat")


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def to(type: str, id: str) -> dict[str, str]:
    return pointer(type, f"{WORLD}-{id}")


def observation(id: str, **members: Any) -> dict[str, Any]:
    return made("Observation", id, subject=PATIENT, **{"status": "final", **members})


def place(id: str, *, within: str | None = None, **members: Any) -> dict[str, Any]:
    return made("Location", id, name=id, partOf=to("Location", within) if within else None, **members)


def world() -> list[dict[str, Any]]:
    return [
        made("Organization", "hospital", name="Hôpital"),
        made("Practitioner", "dr", name=[{"family": "Zwang"}]),
        made(
            "Patient",
            "pat",
            identifier=[{"system": INS_TEST, "value": "190017505601362"}],
            managingOrganization=to("Organization", "hospital"),
        ),
        place("site", managingOrganization=to("Organization", "hospital")),
        place("building", within="site"),
        place("ward", within="building"),
        place("room", within="ward"),
        made("Encounter", "stay", subject=PATIENT, location=[{"location": to("Location", "room")}]),
        *(observation(id, encounter=to("Encounter", "stay")) for id in "abcd"),
        observation("leaf", status="registered"),
        observation("panel", status="registered", hasMember=[to("Observation", "leaf")]),
        observation(
            "battery", status="registered", hasMember=[to("Observation", "panel")], performer=[to("Practitioner", "dr")]
        ),
        made("Provenance", "who", target=[to("Observation", "battery")], agent=[{"who": to("Practitioner", "dr")}]),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, *pairs: Pair) -> dict[str, Any]:
    return found(client, type, TAG, *pairs)


def around(client: httpx.Client, type: str, *pairs: Pair) -> set[str]:
    """What is included, ``Type/id`` without the name of this world."""
    included = keys(asked(client, type, *pairs), "include")
    assert len(set(included)) == len(included), "each once"
    return {one.replace(f"{WORLD}-", "") for one in included}


FROM_ROOM = {"Location/ward", "Location/building", "Location/site"}


@pytest.mark.parametrize(
    ("type", "pairs", "expected"),
    [
        ("Encounter", [("_include", "Encounter:location")], {"Location/room"}),
        ("Encounter", [("_include", "Encounter:subject")], {"Patient/pat"}),
        ("Encounter", [("_include", "Encounter:subject:Patient")], {"Patient/pat"}),
        ("Encounter", [("_include", "Encounter:subject:Group")], set()),
        (
            "Encounter",
            [("_include", "Encounter:patient"), ("_include", "Encounter:location")],
            {"Patient/pat", "Location/room"},
        ),
        ("Encounter", [("_include", "Encounter:*")], {"Patient/pat", "Location/room"}),
        ("Encounter", [("_include", "*")], {"Patient/pat", "Location/room"}),
        (
            "Encounter",
            [("_include", "Encounter:location"), ("_include:iterate", "Location:partof")],
            {"Location/room", *FROM_ROOM},
        ),
        ("Encounter", [("_include", "Encounter:location"), ("_include", "Location:organization")], None),
        (
            "Encounter",
            [
                ("_include", "Encounter:location"),
                ("_include:iterate", "Location:partof"),
                ("_include:iterate", "Location:organization"),
            ],
            {"Location/room", *FROM_ROOM, "Organization/hospital"},
        ),
        (
            "Encounter",
            [("_include:recurse", "Encounter:location"), ("_include:recurse", "Location:partof")],
            {"Location/room", *FROM_ROOM},
        ),
        ("Encounter", [("_include", "Encounter:practitioner")], set()),
        ("Observation", [("_id", f"{WORLD}-battery"), ("_include", "Observation:has-member")], {"Observation/panel"}),
        (
            "Observation",
            [("_id", f"{WORLD}-battery"), ("_include:iterate", "Observation:has-member")],
            {"Observation/panel", "Observation/leaf"},
        ),
        ("Observation", [("_id", f"{WORLD}-leaf"), ("_revinclude", "Observation:has-member")], {"Observation/panel"}),
        (
            "Observation",
            [("_id", f"{WORLD}-leaf"), ("_revinclude:iterate", "Observation:has-member")],
            {"Observation/panel", "Observation/battery"},
        ),
        ("Observation", [("_id", f"{WORLD}-battery"), ("_revinclude", "Provenance:target")], {"Provenance/who"}),
        ("Observation", [("_id", f"{WORLD}-battery"), ("_revinclude", "Provenance:*")], {"Provenance/who"}),
        ("Observation", [("_id", f"{WORLD}-battery"), ("_revinclude", "*")], {"Provenance/who"}),
        (
            "Observation",
            [
                ("_id", f"{WORLD}-battery"),
                ("_revinclude", "Provenance:target"),
                ("_include:iterate", "Provenance:agent"),
            ],
            {"Provenance/who", "Practitioner/dr"},
        ),
        (
            "Location",
            [("_id", f"{WORLD}-site"), ("_revinclude:iterate", "Location:partof")],
            {"Location/building", "Location/ward", "Location/room"},
        ),
        ("Location", [("_id", f"{WORLD}-room"), ("_revinclude", "Encounter:location")], {"Encounter/stay"}),
    ],
)
def test_what_is_included(client: httpx.Client, type: str, pairs: Sequence[Pair], expected: set[str] | None) -> None:
    if expected is None:
        refused(client.get(type, params=list(pairs)), 400)
    else:
        assert around(client, type, *pairs) == expected


def test_what_matches_is_not_included_again(client: httpx.Client) -> None:
    bundle = asked(client, "Observation", ("_include", "Observation:has-member"), ("status", "registered"))
    assert sorted(names(bundle, WORLD)) == ["battery", "leaf", "panel"]
    assert keys(bundle, "include") == []


def test_each_page_has_what_goes_with_it(client: httpx.Client) -> None:
    """Also what was there on the page before."""
    bundle = asked(
        client, "Observation", ("encounter:missing", "false"), ("_count", "2"), ("_include", "Observation:encounter")
    )
    following = client.get(link(bundle, "next") or "").json()
    for page in (bundle, following):
        assert keys(page, "include") == [f"Encounter/{WORLD}-stay"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_include", "Observation"),
        ("_include", "Observation:"),
        ("_include", ":subject"),
        ("_include", "Observation:code"),
        ("_include", "Observation:unheard"),
        ("_include", "Unheard:subject"),
        ("_include", "Observation:subject:Unheard"),
        ("_include", "Observation:subject:Practitioner"),
        ("_include", "Observation:subject:Patient:more"),
        ("_include", "Patient:organization"),
        ("_include", "subject"),
        ("_include:unheard", "Observation:subject"),
        ("_revinclude", "Observation:code"),
        ("_revinclude", "Encounter:subject"),
        ("_revinclude", "Unheard:*"),
    ],
)
def test_an_include_that_means_nothing_is_refused(client: httpx.Client, name: str, value: str) -> None:
    told = refused(client.get("Observation", params={name: value}), 400)
    assert told["expression"] == [f"http.{name.partition(':')[0]}"]
