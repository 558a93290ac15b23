"""Pages: forward and back, while others write, and for nobody but who asked.

https://hl7.org/fhir/R4/http.html#paging · https://hl7.org/fhir/R4/search.html#count
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import INS_TEST, TAGS, Pair, found, keys, link, names, pointer, searchset, stored, tagged
from tests.served import FHIR_JSON, Served

WORLD = "paging"
TAG = ("_tag", f"{TAGS}|{WORLD}")
INS = "190017505600664"
MANY = 23


def observation(number: int) -> dict[str, Any]:
    """Three of each day, two of each status and some without a date."""
    return tagged(
        WORLD,
        "Observation",
        f"{number:02}",
        subject=pointer("Patient", f"{WORLD}-pat"),
        status=("final", "amended", "registered")[number % 3],
        effectiveDateTime=f"2026-02-{1 + number // 3:02}" if number % 7 else None,
        valueString="même texte",
    )


@pytest.fixture(scope="module")
def conformance(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    holder = tagged(WORLD, "Patient", "pat", identifier=[{"system": INS_TEST, "value": INS}])
    with stored(client, [holder, *(observation(number) for number in range(MANY))]):
        yield client


@pytest.fixture(params=["conformance", "patient"])
def client(request: pytest.FixtureRequest, served: Served, conformance: httpx.Client) -> httpx.Client:
    return conformance if request.param == "conformance" else served.as_("patient", patient=INS)


EVERY = [f"{number:02}" for number in range(MANY)]
ORDERS = [
    None,
    "_id",
    "-_id",
    "date",
    "-date",
    "_lastUpdated",
    "-_lastUpdated",
    "status",
    "-status,date",
    "status,-date,-_id",
    "value-string",
    "-subject,date",
]


def first_page(client: httpx.Client, *pairs: Pair) -> dict[str, Any]:
    return found(client, "Observation", TAG, *pairs)


def forward(client: httpx.Client, page: dict[str, Any]) -> list[dict[str, Any]]:
    """The page and all that follow."""
    pages = [page]
    while (url := link(pages[-1], "next")) is not None:
        pages.append(searchset(client.get(url)))
        assert len(pages) < 100
    return pages


def backward(client: httpx.Client, page: dict[str, Any]) -> list[dict[str, Any]]:
    """The page and all before it, the first of them last."""
    pages = [page]
    while (url := link(pages[-1], "previous")) is not None:
        pages.append(searchset(client.get(url)))
        assert len(pages) < 100
    return pages


@pytest.mark.parametrize(
    ("sort", "count"),
    [
        *((sort, count) for sort in ORDERS for count in (4, 22)),
        ("date", 1),
        ("-date", 1),
        ("status,-date", 1),
        ("date", MANY),
    ],
)
def test_pages_go_forward_and_back_over_the_same(client: httpx.Client, sort: str | None, count: int) -> None:
    pairs = [("_count", str(count)), *([("_sort", sort)] if sort else [])]
    whole = names(first_page(client, *pairs[1:], ("_count", "100")), WORLD)
    assert sorted(whole) == EVERY
    there = forward(client, first_page(client, *pairs))
    assert [name for page in there for name in names(page, WORLD)] == whole
    assert {len(names(page, WORLD)) for page in there[:-1]} <= {count}
    back = backward(client, there[-1])
    assert [name for page in reversed(back) for name in names(page, WORLD)] == whole
    assert names(back[-1], WORLD) == names(there[0], WORLD)
    again = forward(client, back[-1])
    assert [names(page, WORLD) for page in again] == [names(page, WORLD) for page in there]


def test_links_tell_self_first_previous_and_next(served: Served, client: httpx.Client) -> None:
    first = first_page(client, ("_count", "10"), ("_sort", "date"))
    assert [one["relation"] for one in first["link"]] == ["self", "first", "next"]
    second = searchset(client.get(link(first, "next") or ""))
    assert {one["relation"] for one in second["link"]} == {"self", "first", "previous", "prev", "next"}
    for relation in ("previous", "prev"):
        assert names(client.get(link(second, relation) or "").json(), WORLD) == names(first, WORLD)
    last = searchset(client.get(link(second, "next") or ""))
    assert {one["relation"] for one in last["link"]} == {"self", "first", "previous", "prev"}
    for page in (first, second, last):
        assert link(page, "self") == link(page, "first") == link(first, "self")
        for one in page["link"]:
            assert one["url"].startswith(f"{served.base}/Observation?")
            assert ("_count", "10") in parse_qsl(urlsplit(one["url"]).query)
    alone = first_page(client, ("_count", "100"))
    assert [one["relation"] for one in alone["link"]] == ["self"]


def test_a_page_may_be_asked_by_post(client: httpx.Client) -> None:
    first = first_page(client, ("_count", "10"))
    pairs = dict(parse_qsl(urlsplit(link(first, "next") or "").query))
    posted = searchset(client.post("Observation/_search", data=pairs))
    assert names(posted, WORLD) == names(client.get(link(first, "next") or "").json(), WORLD)


def test_a_total_is_the_same_on_every_page(client: httpx.Client) -> None:
    pages = forward(client, first_page(client, ("_count", "10"), ("_total", "accurate")))
    assert [page["total"] for page in pages] == [MANY, MANY, MANY]


@pytest.mark.parametrize("sort", ["date", "-date", "status,-date", "_id", "-_lastUpdated"])
def test_nothing_is_seen_twice_or_missed_while_others_come_and_go(
    conformance: httpx.Client, client: httpx.Client, sort: str
) -> None:
    """Between any two pages one is written before the position and one behind it, and one already seen is deleted."""
    page = first_page(client, ("_count", "4"), ("_sort", sort))
    seen = names(page, WORLD)
    made: list[dict[str, Any]] = []
    deleted: list[str] = []
    try:
        while (url := link(page, "next")) is not None:
            for number in (len(made), 50 + len(made)):
                body = {**observation(number % MANY), "id": f"{WORLD}-new{len(made):02}{number}"}
                made.append(body)
                assert conformance.put(f"Observation/{body['id']}", json=body, headers=FHIR_JSON).status_code == 201
            gone = next(name for name in seen if name in EVERY and name not in deleted)
            deleted.append(gone)
            assert conformance.delete(f"Observation/{WORLD}-{gone}").status_code == 204
            page = searchset(client.get(url))
            seen += names(page, WORLD)
    finally:
        for body in made:
            conformance.delete(f"Observation/{body['id']}")
        for gone in deleted:
            again = observation(int(gone))
            assert conformance.put(f"Observation/{WORLD}-{gone}", json=again, headers=FHIR_JSON).status_code < 300
    assert len(set(seen)) == len(seen), "nothing twice"
    assert set(EVERY) <= set(seen), "nothing that was there all the time is missed"


def test_a_page_whose_rows_are_gone_leads_on(conformance: httpx.Client, client: httpx.Client) -> None:
    """The rows at a position are deleted, and the position still is where it was."""
    first = first_page(client, ("_count", "4"), ("_sort", "_id"))
    for name in ("03", "04", "05"):
        conformance.delete(f"Observation/{WORLD}-{name}")
    try:
        second = searchset(client.get(link(first, "next") or ""))
        assert names(second, WORLD) == ["06", "07", "08", "09"]
        back = searchset(client.get(link(second, "previous") or ""))
        assert names(back, WORLD) == ["00", "01", "02"]
    finally:
        for number in (3, 4, 5):
            conformance.put(f"Observation/{WORLD}-{number:02}", json=observation(number), headers=FHIR_JSON)


def changed(token: str, at: int) -> str:
    """The token with another letter somewhere."""
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


def test_a_token_that_was_tampered_with_is_refused(client: httpx.Client) -> None:
    first = first_page(client, ("_count", "10"))
    pairs = dict(parse_qsl(urlsplit(link(first, "next") or "").query))
    token = pairs["_page"]
    for other in (changed(token, 0), changed(token, len(token) // 2), token[:-4], token * 2, "", "x", "é", "a" * 4000):
        told = refused(client.get("Observation", params={**pairs, "_page": other}), 400, "invalid")
        assert told["expression"] == ["http._page"]


def test_a_token_is_for_one_query(client: httpx.Client) -> None:
    first = first_page(client, ("_count", "10"), ("status", "final,amended"))
    url = link(first, "next") or ""
    for other in (
        url.replace("_count=10", "_count=9"),
        url.replace("final", "registered"),
        url.replace("Observation?", "Observation?_sort=date&"),
        url.replace("/Observation?", "?_type=Observation&"),
        url.replace("/Observation?", f"/Patient/{WORLD}-pat/Observation?"),
    ):
        assert other != url
        assert refused(client.get(other), 400, "invalid")["expression"] == ["http._page"]
    assert client.get(url).status_code == 200


def test_a_token_is_for_one_requester(served: Served, conformance: httpx.Client) -> None:
    holder = served.as_("patient", patient=INS)
    of_conformance, of_holder = (first_page(one, ("_count", "10")) for one in (conformance, holder))
    for stranger, page in ((conformance, of_holder), (holder, of_conformance), (served.as_("patient"), of_holder)):
        told = refused(stranger.get(link(page, "next") or ""), 400, "invalid")
        assert told["expression"] == ["http._page"]


def test_pages_of_the_whole_system_and_of_a_compartment(conformance: httpx.Client) -> None:
    for path in ("", f"Patient/{WORLD}-pat/*", f"Patient/{WORLD}-pat/Observation"):
        params = {
            "_tag": TAG[1],
            "_count": "5",
            "_sort": "_id",
            **({"_type": "Observation,Patient"} if path == "" else {}),
        }
        pages = forward(conformance, searchset(conformance.get(path, params=params)))
        every = [one for page in pages for one in keys(page)]
        assert every == sorted(set(every))
        assert len(every) == (MANY if path.endswith("Observation") else MANY + 1)
        back = backward(conformance, pages[-1])
        assert [one for page in reversed(back) for one in keys(page)] == every
