"""The server finds what somebody finds who looks at every resource with the standard in hand.

https://hl7.org/fhir/R4/search.html

A world of some thousand resources is stored, random queries are asked over HTTP, all their pages are read, and each is
compared with the `evaluator`, which shares nothing with the server but the tables of R4. ``DIFFERENTIAL_SEED`` makes
another world and other queries, ``DIFFERENTIAL_QUERIES`` asks more of each group.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.identity.actors import ACTORS, claims_for
from fhir_server.identity.development import DevelopmentIssuer
from fhir_server.identity.requester import SHARED
from tests.differential.answers import AT_ONCE, ask, decoded, difference, encoded, load, smallest
from tests.differential.evaluator import Evaluator
from tests.differential.pools import seeded
from tests.differential.queries import GROUPS, Query, Questions
from tests.differential.worlds import world
from tests.http.worlds import ISSUERS, issuers
from tests.served import serving

SEED: Final = int(os.environ.get("DIFFERENTIAL_SEED", "20240229"))
EACH: Final = int(os.environ.get("DIFFERENTIAL_QUERIES", "150"))
"""Queries of each group."""
DATABASE: Final = "differential"
TOLD: Final = 6
"""How many of the queries that went wrong are printed."""


@pytest.fixture(scope="module")
def client(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client with every right on a server of our own."""
    folder = tmp_path_factory.mktemp("differential")
    keys, setting = issuers(folder)
    environment = {"FHIR_ISSUERS": setting, "FHIR_DATABASE": DATABASE}
    with serving(folder / "data", "--mongodb-uri", mongo_uri, demo=False, env=environment) as served:
        extra = {"iss": ISSUERS["essai"]}
        claims = claims_for(ACTORS["conformance"], base_url=served.base, now=time.time(), extra_claims=extra)
        with MongoClient[dict[str, Any]](mongo_uri) as database:
            # what the server publishes would be in the answers, and is not of the world
            database[DATABASE]["resources"].delete_many({"realm": SHARED})
        with served.client(DevelopmentIssuer(Path(), keys["essai"]).issue(claims)) as client:
            yield client
    with MongoClient[dict[str, Any]](mongo_uri) as database:
        database.drop_database(DATABASE)


@pytest.fixture(scope="module")
def evaluator(client: httpx.Client) -> Evaluator:
    """The world, stored."""
    base = str(client.base_url).rstrip("/")
    made = Evaluator(world(SEED, base), base)
    load(client, made.resources)
    return made


def test_the_world_is_stored_as_it_was_sent(client: httpx.Client, evaluator: Evaluator) -> None:
    """What is compared is what the server has; it adds its own meta and takes nothing away."""
    for type in sorted({key.partition("/")[0] for key in evaluator.resources}):
        answer = client.get(type, params={"_count": "1000"})
        entries = decoded(answer.text)["entry"]
        assert len(entries) == len(evaluator.ids(type))
        for entry in entries:
            stored = entry["resource"]
            sent = evaluator.resources[f"{type}/{stored['id']}"]
            meta = {name: one for name, one in stored.pop("meta").items() if name not in ("versionId", "lastUpdated")}
            assert decoded(encoded(stored | ({"meta": meta} if meta else {}))) == decoded(encoded(sent))


@pytest.mark.parametrize("group", GROUPS)
def test_what_is_found_is_what_matches(client: httpx.Client, evaluator: Evaluator, group: str) -> None:
    queries = list(islice(Questions(seeded(f"{SEED} {group}"), evaluator).asked(group), EACH))

    def wrong(query: Query) -> str:
        return difference(evaluator, query, ask(client, query))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        found = [(query, told) for query, told in zip(queries, threads.map(wrong, queries), strict=True) if told]
    if not found:
        return
    kinds = Counter(told.partition("\n")[0].partition(" ")[0] for _, told in found)
    parts = [f"{group}: {len(found)} of {len(queries)} queries are answered wrong, {dict(kinds)}; seed {SEED}"]
    for query, told in _of_each_kind(found):
        least = smallest(query, lambda one: bool(wrong(one)))
        expected = sorted(evaluator.search(least.type, least.pairs))
        got = ask(client, least)
        parts.append(
            f"{query}\n  smallest: {least}\n  expected {len(expected)}: {expected[:20]}\n"
            f"  got {len(got.ids)}: {list(got.ids[:20])} {got.fault}\n  {wrong(least) or told}"
        )
    pytest.fail("\n\n".join(parts), pytrace=False)


def _of_each_kind(found: list[tuple[Query, str]]) -> list[tuple[Query, str]]:
    """First one of each reason, then more."""
    kinds = {told.partition(":")[0]: (query, told) for query, told in reversed(found)}
    return list(dict.fromkeys([*kinds.values(), *found]))[:TOLD]
