"""What deciding costs, and what consent adds to a page of 20: one section of ``RESULTS.md``. One command:

    python benchmarks/consent.py [--patients 500] [--consents 50] [--rounds 400] [--runs 5]

In one process, on an embedded mongod: no HTTP, no token, no trail. Of the page are measured the bare query (record and
type), the query with the decision in it, and the whole way: facts read, decided, queried. The three take turns, so that
whatever disturbs the machine disturbs them alike; a figure is the median of the runs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import timeit
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import Machine, add
from benchmarks.seeding import Seeded, seed
from fhir_server.consent.circumstances import Act, circumstances
from fhir_server.consent.decide import decide
from fhir_server.fhir.json import JsonObject
from fhir_server.identity.systems import INS_NIR_TEST
from fhir_server.record.facts import Document, Facts, facts_of, new_record
from fhir_server.record.telling import with_resource
from fhir_server.search.predicate import Field, all_of, one_of
from fhir_server.search.sorting import NEWEST_FIRST
from fhir_server.search.visible import Visible
from fhir_server.store import indexes
from fhir_server.store.connection import connect, database
from fhir_server.store.embedded import EmbeddedMongo
from fhir_server.store.finding import Finding
from fhir_server.store.ordering import Order
from fhir_server.store.reading import Reading
from tests.build import (
    HELENE,
    NOW,
    PARIS,
    SPECIALIST,
    YEAR,
    authorisation,
    block,
    emergency_doctor,
    hospital,
    law,
    nurse,
    patient,
    professional,
)

ROOT: Final = Path(__file__).resolve().parent.parent
NEWEST: Final = Order(NEWEST_FIRST)
WHO: Final = {
    "doctor, authorised": professional(),
    "nurse, authorised": nurse(SPECIALIST),
    "doctor, break the glass": emergency_doctor(),
    "patient": patient(),
    "hospital": hospital(),
}


def main() -> None:
    """Measure, and append what was found."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--patients", type=int, default=500)
    arguments.add_argument("--consents", type=int, default=50)
    arguments.add_argument("--rounds", type=int, default=400)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md")
    told = arguments.parse_args()
    lines = [*_deciding(told.consents), "", *asyncio.run(_pages(told.patients, told.rounds, told.runs))]
    add(told.results, Machine.here("6.0.5"), "What deciding costs, and what consent adds to a page", lines)


def _deciding(consents: int) -> list[str]:
    """The table of what a decision costs for a patient with so many Consents."""
    stored = _record(consents)
    facts, tables = facts_of(stored), law()
    rows = [
        f"A patient with {consents} Consents; microseconds, the best of 9 runs.",
        "",
        "| who consults documents | reading the facts | deciding | both |",
        "| --- | --- | --- | --- |",
    ]
    reading = _best(lambda: facts_of(stored))
    for name, requester in WHO.items():

        def whole() -> None:
            seen = circumstances(
                requester=requester,  # noqa: B023 - called before the next turn
                act=Act.CONSULT,
                type="DocumentReference",
                facts=facts,
                now=NOW,
                law=tables,
            )
            decide(seen)

        deciding = _best(whole)
        rows.append(f"| {name} | {reading:.1f} | {deciding:.1f} | {reading + deciding:.1f} |")
    return rows


def _best(work: Callable[[], object], number: int = 2000) -> float:
    return min(timeit.repeat(work, number=number, repeat=9)) / number * 1e6


def _record(consents: int) -> Document:
    told = new_record("demo-1", "essai")
    holder: JsonObject = {
        "resourceType": "Patient",
        "id": "demo-1",
        "identifier": [{"system": INS_NIR_TEST, "value": HELENE}],
    }
    written = [authorisation(f"899{number:08d}", id=f"a{number}") for number in range(consents - consents // 5 - 1)]
    written += [block(f"898{number:08d}", id=f"b{number}") for number in range(consents // 5)]
    written.append(authorisation(SPECIALIST, id="own"))
    for resource in (holder, *(one.resource for one in written)):
        type, id = str(resource["resourceType"]), str(resource["id"])
        told = with_resource(told, type, id, resource, granted=NOW, zone=PARIS, duration=YEAR)
    return told


async def _pages(patients: int, rounds: int, runs: int) -> list[str]:
    """The table of what a page of 20 costs without consent and with it."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedMongo(Path(folder)) as uri:
        client = connect(uri)
        held = database(client, "fhir")
        await indexes.create(held)
        seeded = await seed(uri, "http://localhost/fhir", patients)
        ways = _ways(Reading(held), Finding(held), seeded)
        found: dict[str, list[float]] = {name: [] for name in ways}
        for run in range(runs + 1):
            for name, way in ways.items():
                taken = await _timed(way, rounds)
                if run:  # the first warms up
                    found[name].append(taken)
        await client.close()
    bare = median(found["bare"])
    return [
        f"{patients} patients with 30 documents each; microseconds a page, the median of {runs} runs of {rounds}.",
        "",
        "| way | a page | ratio |",
        "| --- | --- | --- |",
        *[f"| {name} | {median(times):.0f} | {median(times) / bare:.2f} |" for name, times in found.items()],
    ]


def _ways(reading: Reading, finding: Finding, seeded: Seeded) -> dict[str, Callable[[int], Awaitable[object]]]:
    requester, tables = professional(), law()
    asked = one_of(Field.TYPE, "DocumentReference")
    records = seeded.patients

    def visible(facts: Facts) -> Visible:
        seen = circumstances(
            requester=requester,
            act=Act.CONSULT,
            type="DocumentReference",
            facts=facts,
            now=seeded.ended,
            law=tables,
        )
        return decide(seen).visible

    known: dict[int, Visible] = {}

    async def bare(number: int) -> object:
        within = Visible(all_of([one_of(Field.RECORD, records[number % len(records)])]))
        return await finding.search(asked, visible=within, order=NEWEST, limit=20)

    async def decided(number: int) -> object:
        here = number % len(records)
        if here not in known:
            known[here] = visible(await reading.facts(records[here]))
        return await finding.search(asked, visible=known[here], order=NEWEST, limit=20)

    async def whole(number: int) -> object:
        facts = await reading.facts(records[number % len(records)])
        return await finding.search(asked, visible=visible(facts), order=NEWEST, limit=20)

    return {"bare": bare, "with the decision in the query": decided, "facts, decision and query": whole}


async def _timed(way: Callable[[int], Awaitable[object]], rounds: int) -> float:
    began = time.perf_counter()
    for number in range(rounds):
        await way(number * 7)
    return (time.perf_counter() - began) / rounds * 1e6


if __name__ == "__main__":
    main()
