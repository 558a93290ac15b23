"""What the server answers to a query, gathered over all pages, and the smallest query that still goes wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import httpx

from tests.differential.elements import Resource
from tests.differential.evaluator import Evaluator
from tests.differential.matching import split
from tests.differential.queries import Query
from tests.served import FHIR_JSON

STRICT: Final = {"Prefer": "handling=strict"}
TOGETHER: Final = 200
"""Resources of a batch."""
AT_ONCE: Final = 4
SHOWN: Final = 3
"""How many of the resources that differ are printed."""
_DECIMAL: Final = re.compile(r'"\\u0000([^"]+)"')


@dataclass(frozen=True)
class Answer:
    """The ids in the order they came, the totals that were told, or why there was none."""

    ids: tuple[str, ...] = ()
    totals: tuple[int, ...] = ()
    fault: str = ""


def encoded(body: Any) -> str:
    """JSON with every digit of its decimals."""
    return _DECIMAL.sub(r"\1", json.dumps(body, default=lambda one: f"\0{one}"))


def decoded(body: str) -> Any:
    return json.loads(body, parse_float=Decimal)


def load(client: httpx.Client, resources: Mapping[str, Resource]) -> None:
    """Store these under their ids, some hundred at a time."""
    entries = [{"resource": one, "request": {"method": "PUT", "url": key}} for key, one in resources.items()]

    def stored(some: Sequence[Resource]) -> dict[str, str]:
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": some}
        answer = client.post("", content=encoded(bundle), headers=FHIR_JSON)
        assert answer.status_code == httpx.codes.OK, answer.text[:2000]
        results = [one["response"] for one in answer.json()["entry"]]
        return {
            result["outcome"]["issue"][0]["diagnostics"]: encoded(sent["resource"])
            for sent, result in zip(some, results, strict=True)
            if result["status"] != "201"
        }

    with ThreadPoolExecutor(AT_ONCE) as threads:
        parts = [entries[at : at + TOGETHER] for at in range(0, len(entries), TOGETHER)]
        refused = {why: one for told in threads.map(stored, parts) for why, one in told.items()}
    assert not refused, "\n\n".join(f"{why}\n{one}" for why, one in refused.items())


def ask(client: httpx.Client, query: Query) -> Answer:
    """All pages of a query."""
    sent: dict[str, Any] = {"params": query.sent} if not query.post else {"data": form(query)}
    answer = client.request(
        "POST" if query.post else "GET",
        f"{query.type}/_search" if query.post else query.type,
        headers=STRICT,
        **sent,
    )
    ids: list[str] = []
    totals: list[int] = []
    while True:
        if answer.status_code != httpx.codes.OK:
            issues = answer.json().get("issue", [{}])
            told = "; ".join(issue.get("diagnostics", "") for issue in issues)
            return Answer(tuple(ids), tuple(totals), f"{answer.status_code}: {told}")
        bundle = answer.json()
        page = [one["resource"] for one in bundle.get("entry", ()) if one["search"]["mode"] == "match"]
        ids += [one["id"] for one in page]
        totals += [bundle["total"]] if "total" in bundle else []
        if fault := _page_fault(query, page):
            return Answer(tuple(ids), tuple(totals), fault)
        following = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), None)
        if following is None:
            return Answer(tuple(ids), tuple(totals))
        if not page:
            return Answer(tuple(ids), tuple(totals), "an empty page that is not the last")
        answer = client.get(following, headers=STRICT)


def form(query: Query) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for name, value in query.sent:
        told.setdefault(name, []).append(value)
    return told


def _page_fault(query: Query, page: Sequence[Resource]) -> str:
    if len(page) > query.count:
        return f"{len(page)} on a page of {query.count}"
    others = {one["resourceType"] for one in page} - {query.type}
    return f"matches of another type: {others}" if others else ""


def difference(world: Evaluator, query: Query, answer: Answer) -> str:
    """What is wrong with an answer; nothing when it is right."""
    if answer.fault:
        return answer.fault
    expected = world.search(query.type, query.pairs)
    if len(set(answer.ids)) != len(answer.ids):
        return f"answered twice: {sorted(id for id in set(answer.ids) if answer.ids.count(id) > 1)}"
    if missing := expected - set(answer.ids):
        return f"missing: {_shown(world, query, missing)}"
    if unexpected := set(answer.ids) - expected:
        return f"unexpected: {_shown(world, query, unexpected)}"
    if any(total != len(expected) for total in answer.totals) or (query.total and not answer.totals):
        return f"total {answer.totals}, not {len(expected)}"
    if query.sort:
        ordered = world.in_order(query.type, answer.ids, query.sort)
        return _disorder(world, query, ordered, answer.ids)
    return ""


def _disorder(world: Evaluator, query: Query, expected: Sequence[str], got: Sequence[str]) -> str:
    for at, (one, other) in enumerate(zip(expected, got, strict=True)):
        if one != other:
            keys = [
                f"{id} by "
                + ", ".join(
                    str(world.sorted_by(query.type, id, code.strip("-"), down=code[0] == "-")[:1])
                    for code in query.sort.split(",")
                )
                for id in (one, other)
            ]
            return f"order: at {at} there is {keys[1]} and should be {keys[0]}"
    return ""


def _shown(world: Evaluator, query: Query, ids: set[str] | frozenset[str]) -> str:
    some = [encoded(world.resources[f"{query.type}/{id}"]) for id in sorted(ids)[:SHOWN] if id in world.ids(query.type)]
    return "\n    ".join([f"{len(ids)} {sorted(ids)[:20]}", *some])


def smaller(query: Query) -> Iterator[Query]:
    """The same query with one thing less."""
    for at, (name, value) in enumerate(query.pairs):
        others = query.pairs[:at] + query.pairs[at + 1 :]
        if others or query.sort:
            yield replace(query, pairs=others)
        alternatives = split(value, ",")
        for one in alternatives if len(alternatives) > 1 else ():
            yield replace(query, pairs=(*query.pairs[:at], (name, one), *query.pairs[at + 1 :]))
    keys = query.sort.split(",")
    for at in range(len(keys) if query.sort else 0):
        if query.pairs or len(keys) > 1:
            yield replace(query, sort=",".join(keys[:at] + keys[at + 1 :]))
    if query.count != 1000:
        yield replace(query, count=1000)
    if query.total or query.post:
        yield replace(query, total=False, post=False)


def smallest(query: Query, wrong: Callable[[Query], bool]) -> Query:
    """The smallest query to be reached from this one that is still answered wrong."""
    for one in smaller(query):
        if wrong(one):
            return smallest(one, wrong)
    return query
