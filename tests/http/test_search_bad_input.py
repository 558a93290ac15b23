"""Queries that nobody should send: each is told what is wrong with it, and none becomes anything but a value.

https://hl7.org/fhir/R4/search.html#errors
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
from bson import Regex
from pymongo import MongoClient

from fhir_server.store.embedded import running_uri
from tests.answers import raw, refused
from tests.http.searching import INS_TEST, STRICT, TAGS, found, key, names, outcome, searchset, stored, tagged
from tests.served import Served

WORLD = "bad"
TAG = ("_tag", f"{TAGS}|{WORLD}")

STRANGE: Final = (
    ".*",
    "^a|b$",
    "(a+)+$",
    "[a-z]+",
    "/.*/i",
    '{"$gt":""}',
    '{"$ne":null}',
    '{"$regex":".*"}',
    '{"$where":"sleep(5000)"}',
    "$where",
    "$gt",
    "$$ROOT",
    "this.constructor",
    "'; DROP TABLE patient; --",
    '" || true || "',
    "../../etc/passwd",
    "%{(#_='x')}",
    "<script>alert(1)</script>",
    "\u202egnirts",
    "\U0001f600",
)
"""Texts that somewhere mean something."""


def escaped(text: str) -> str:
    """As the value of a search."""
    return "".join(f"\\{sign}" if sign in "\\,|$" else sign for sign in text)


def world() -> list[dict[str, Any]]:
    return [
        *(
            tagged(
                WORLD,
                "Patient",
                f"n{at}",
                identifier=[
                    {"system": INS_TEST, "value": f"1900175056{at:05}"},
                    {"system": "urn:strange", "value": text},
                ],
                name=[{"family": text}],
            )
            for at, text in enumerate(STRANGE)
        ),
        tagged(
            WORLD,
            "Patient",
            "plain",
            identifier=[{"system": INS_TEST, "value": "190017505609999"}],
            name=[{"family": "Rivière"}],
        ),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


WRONG: list[tuple[str, str, str]] = [
    # numbers
    *(
        ("ChargeItem", "factor-override", value)
        for value in (
            "x",
            "1,5x",
            "0x10",
            "1e",
            "e5",
            "--1",
            "+1",
            "1 000",
            "NaN",
            "Infinity",
            "1e999999",
            ".5",
            "5.",
            "01",
        )
    ),
    *(("ChargeItem", "factor-override", value) for value in ("xx5", "gt", "gtgt5", "GT5", ">5", "ge 5", "5|mg")),
    # quantities
    *(
        ("Observation", "value-quantity", value)
        for value in ("x", "5|mg", "5|a|b|c", "|a|mg", "5|http://unitsofmeasure.org|", "xx5||mg", "gt||mg", "5mg")
    ),
    # dates
    *(
        ("Patient", "birthdate", value)
        for value in (
            "x",
            "23 May 2009",
            "20100101",
            "2010-1-1",
            "10-01-2010",
            "2010-13",
            "2010-02-30",
            "2010-01-01T10",
            "2010-01-01T25:00",
            "2010-01-01T10:00:61Z",
            "2010-01-01T10:00+1",
            "2010-01-01 10:00",
            "0000",
            "99999",
            "xx2010",
            "ge",
            "ge2010-",
            "2010-01-01Z",
            "now",
        )
    ),
    ("Patient", "_lastUpdated", "yesterday"),
    # tokens
    *(("Patient", "identifier", value) for value in ("|", "a|b|c", ",", "a,,b", "a,")),
    *(("Patient", "identifier:of-type", value) for value in ("a", "a|b", "a||c", "|b|c", "a|b|", "a|b|c|d")),
    # references
    *(
        ("Observation", "encounter", value)
        for value in (
            "Encounter/a/b",
            "Encounter/",
            "/a",
            "a b",
            "Encounter/a b",
            "Patient/1",
            "Unheard/1",
            "Encounter/1/_history/2",
            "encounter/1",
        )
    ),
    ("Observation", "encounter:Patient", "1"),
    ("Observation", "encounter:Encounter", "Patient/1"),
    ("Observation", "encounter:Encounter", "https://elsewhere.example/Encounter/1"),
    # composites
    *(
        ("Observation", "code-value-quantity", value)
        for value in ("a", "a$", "$5", "a$5$6", "a$x", "a$xx5", "http://loinc.org|$5")
    ),
    # texts
    *(("Patient", "family", value) for value in (" ", "\u0301", "a" * 201, ",", "a,", ",a")),
    *(("Patient", "phonetic", value) for value in ("1", "?")),
    # prefixes where there are none
    ("Patient", "_count", "ge5"),
    # parameters of results
    *(("Patient", "_count", value) for value in ("-1", "x", "1.5", "1e3", "\u0663")),
    *(("Patient", "_total", value) for value in ("yes", "ACCURATE", "accurate,none")),
    *(("Patient", "_summary", value) for value in ("yes", "TRUE", "true,text")),
    *(("Patient", "_sort", value) for value in ("-", "family,", ",family", "family,,given", "family,-")),
    *(("Patient", "_elements", value) for value in (",", "name,", "name.family", "Name", "valueQuantity name")),
    ("Patient", "_count:exact", "1"),
    ("Patient", "_sort:asc", "family"),
    # ids
    ("Patient", "_id", "a,,b"),
    ("Observation", "patient._id", "a b"),
    ("Observation", "_list", "List/a/b"),
]


@pytest.mark.parametrize(("type", "name", "value"), WRONG, ids=[f"{one[1]}={one[2][:30]}" for one in WRONG])
def test_a_value_that_means_nothing_is_refused_with_a_sentence(
    client: httpx.Client, type: str, name: str, value: str
) -> None:
    """However lenient the client, by GET and by POST; the sentence names the parameter."""
    for answer in (
        client.get(type, params={name: value}),
        client.get(type, params={name: value}, headers=STRICT),
        client.post(f"{type}/_search", data={name: value}),
    ):
        told = refused(answer, 400)
        assert told["expression"] == [f"http.{name.partition(':')[0].partition('.')[0]}"]
        assert (answer.json()["issue"][0]["severity"], len(answer.json()["issue"])) == ("error", 1)


def test_a_prefix_of_what_has_no_order_is_a_part_of_the_value(client: httpx.Client) -> None:
    """A code, a text or an id may begin with any letters."""
    for pairs in ({"gender": "gtmale"}, {"family": "geriviere"}, {"_id": f"gt{WORLD}-plain"}, {"organization": "ge1"}):
        assert searchset(client.get("Patient", params=pairs, headers=STRICT))["total"] == 0
    assert names(found(client, "Patient", TAG, ("family", "Riviere")), WORLD) == ["plain"]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("family", "a" * 5000, "too-long"),
        ("_id", "a" * 5000, "too-long"),
        ("a" * 5000, "1", "too-long"),
        ("_filter", "x" * 5000, "too-long"),
        ("_id", ",".join(["a"] * 201), "invalid"),
        ("gender", ",".join(["male"] * 201), "invalid"),
        ("birthdate", ",".join(["2010"] * 201), "invalid"),
    ],
)
def test_what_is_too_long_is_refused(client: httpx.Client, name: str, value: str, code: str) -> None:
    for answer in (client.get("Patient", params={name: value}), client.post("Patient/_search", data={name: value})):
        told = refused(answer, 400, code)
        assert told.get("expression", ["http._filter"])[0].startswith("http.")


def test_as_much_as_is_allowed_is_answered(client: httpx.Client) -> None:
    many = ",".join([f"{WORLD}-plain", *(f"absent{at}" for at in range(199))])
    assert names(found(client, "Patient", ("_id", many)), WORLD) == ["plain"]
    pairs = [TAG, *[("family", "riviere")] * 99]
    assert names(
        searchset(
            client.post(
                "Patient/_search",
                content="&".join(f"{n}={quote(v)}" for n, v in pairs),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            )
        ),
        WORLD,
    ) == ["plain"]
    refused(client.get("Patient", params=[TAG] * 101), 400, "too-costly")


@pytest.mark.parametrize(
    "query",
    [
        "family=a%00b",
        "fam%00ily=a",
        "family=%01",
        "family=%1f",
        "family=%ff%fe",
        "family=%c0%af",
        "family=%ed%a0%80",
        "%ff=a",
        "=a",
        "=",
        "family=%F4%90%80%80",
    ],
)
def test_what_is_no_text_is_refused(served: Served, client: httpx.Client, query: str) -> None:
    refused(client.get(f"Patient?{query}"), 400, "invalid")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(client.post("Patient/_search", content=query, headers=form), 400, "invalid")
    token = served.token("conformance")
    refused(raw(served.base, f"GET /fhir/Patient?{query} HTTP/1.1", token=token), 400)


@pytest.mark.parametrize("bytes", [b"family=\xff\xfe", b"family=\xe9", b"family=a\x00b", b"family=\xed\xa0\x80"])
def test_a_form_that_is_no_utf8_is_refused(client: httpx.Client, bytes: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(client.post("Patient/_search", content=bytes, headers=headers), 400, "invalid")


@pytest.mark.parametrize(
    "name", ["patient[$ne]", "family[$regex]", "$where", "$or", "_id[$gt]", "ix.s", "__proto__", "a.b.c", "{}"]
)
def test_an_operator_as_a_name_is_a_parameter_that_nobody_knows(client: httpx.Client, name: str) -> None:
    for path in ("Observation", "Patient", ""):
        told = refused(client.get(path, params={name: "1"}, headers=STRICT), 400, "not-supported")
        assert told["expression"][0].startswith("http.")
        bundle = searchset(client.get(path, params=[TAG, (name, "1"), ("_count", "1")]))
        assert len(outcome(bundle)) == 1


@pytest.mark.parametrize("text", STRANGE)
def test_a_strange_value_finds_what_is_called_so_and_nothing_else(client: httpx.Client, text: str) -> None:
    own = [f"n{STRANGE.index(text)}"]
    value = escaped(text)
    assert names(found(client, "Patient", TAG, ("family:exact", value)), WORLD) == own
    beginning = {f"n{at}" for at, one in enumerate(STRANGE) if one.startswith(text)}
    assert set(names(found(client, "Patient", TAG, ("family", value)), WORLD)) == beginning
    holding = {f"n{at}" for at, one in enumerate(STRANGE) if text in one}
    assert set(names(found(client, "Patient", TAG, ("family:contains", value)), WORLD)) == holding
    assert names(found(client, "Patient", TAG, ("identifier", f"urn:strange|{value}")), WORLD) == own
    assert names(found(client, "Patient", TAG, ("identifier", value)), WORLD) == own
    assert names(found(client, "Patient", TAG, ("_id", value)), WORLD) == []
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert names(found(client, "Patient", TAG, ("_filter", f'family eq "{quoted}"')), WORLD) == own
    assert names(found(client, "Patient", TAG, ("_has:Observation:patient:code", value)), WORLD) == []
    assert names(found(client, "Observation", ("patient.family", value)), WORLD) == []


def test_nothing_of_a_query_reaches_the_database_as_an_operator(served: Served, client: httpx.Client) -> None:
    """What the database was asked while strange queries were answered: known operators, and no regular expression."""
    with MongoClient[dict[str, Any]](running_uri(served.data)) as mongo:
        name = next(one for one in mongo.list_database_names() if one not in ("admin", "config", "local"))
        database = mongo[name]
        database.command("profile", 2)
        try:
            for text in STRANGE:
                test_a_strange_value_finds_what_is_called_so_and_nothing_else(client, text)
                client.get("Patient", params={"_sort": text, "_include": text, text: text, "_count": text})
                client.get(f"Observation/{quote(text, safe='')}")
                client.get(f"Patient/{WORLD}-plain/Observation", params={"code": text, "code:in": text})
        finally:
            database.command("profile", 0)
        commands = [
            one["command"] for one in database["system.profile"].find() if one["ns"] != f"{name}.system.profile"
        ]
        database.drop_collection("system.profile")
    assert len(commands) > 100
    operators = {operator for command in commands for operator in operators_of(command)}
    assert operators <= OURS, operators - OURS


OURS: Final = frozenset(
    "$addToSet $and $anyElementTrue $clusterTime $concat $concatArrays $cond $count $currentDate $db $each $elemMatch"
    " $eq $exists $expr $filter $first $group $gt $gte $ifNull $in $inc $indexOfBytes $limit $literal $lookup $lt $lte"
    " $map $match $max $min $ne $nin $nor $not $or $project $pull $push $readPreference $reduce $set $setDifference"
    " $setIntersection $setIsSubset $setOnInsert $setUnion $skip $sort $sum $unset $unwind".split()
)
"""What the server itself writes into commands: nothing that runs a script, and no regular expression."""


def operators_of(value: Any) -> Iterator[str]:
    """The keys that begin with a dollar sign, and anything that is a regular expression or code."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name.startswith("$") and name != "$literal":
                yield name
            yield from operators_of(inner) if name != "$literal" else ()
    elif isinstance(value, list):
        for inner in value:
            yield from operators_of(inner)
    elif isinstance(value, Regex) or type(value).__name__ in ("Pattern", "Code"):
        yield f"a {type(value).__name__}"


def test_the_server_is_as_it_was(client: httpx.Client) -> None:
    """After all of this."""
    assert sorted(names(found(client, "Patient", TAG, ("_count", "100")), WORLD)) == sorted(
        one["id"].removeprefix(f"{WORLD}-") for one in world()
    )
    assert key(client.get(f"Patient/{WORLD}-plain").json()) == f"Patient/{WORLD}-plain"
