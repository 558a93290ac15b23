"""Measure what searches cost through the whole server, and how that grows with what is stored. One command:

    python benchmarks/search.py [--patients 1000 10000] [--seconds 3] [--warm-up 1] [--callers 1 16] [--runs 3]
                                [--only everything,chain] [--more] [--results benchmarks/RESULTS.md]

Each size has a server of its own on a fresh folder (embedded MongoDB with the cache it has by default, one worker,
development issuer), everything on: token, consent, durable trail. A patient has 30 documents and 10 Observations, and
there is a Practitioner in the directory for each patient (`benchmarks/searched.py`). The same is asked of all sizes in
turns, so that whatever disturbs the machine disturbs them alike. With the values above it takes about twenty minutes;
``--patients 100 200 --seconds 1 --runs 1`` shows within two whether it works. ``--more`` measures further searches.

The steady figure is CPU milliseconds a request, of server and mongod together; the load driver is left out. The floor
is bare PyMongo with the finds that a request cannot do without, on the index that is right, in the same runs.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import results, searched
from benchmarks.driver import Outcome, Plan, Sequence
from benchmarks.floors import Find, FloorPlan
from benchmarks.processes import program, tree
from benchmarks.records import DOCUMENTS, Person, document
from benchmarks.results import Figures, Machine, spread
from benchmarks.searched import SYSTOLIC, World
from fhir_server.fhir.date import microseconds
from fhir_server.record.actors import INS_NIR_TEST
from fhir_server.store.connection import connect, database
from fhir_server.store.embedded import running_uri
from tests.served import Served, serving

ROOT: Final = Path(__file__).resolve().parent.parent
LOINC: Final = "http://loinc.org"
KIND: Final = "60591-5"
"""One of six kinds of document."""
_TOKEN_SECONDS: Final = 12 * 3600
_MOST_ASKED: Final = 5_000
"""Different requests of one measurement."""
_NEWEST: Final = {"on": -1, "_id": 1}


@dataclass(frozen=True, slots=True)
class Shape:
    """A search, who asks it, and what bare PyMongo would have to find."""

    name: str
    actor: str
    path: Callable[[World, Person], str]
    floor: Callable[[World, Person], list[Find]] | None = None
    of_record: bool = True
    """It is about one record, so that it should cost the same however many there are."""


def _of_record(person: Person, *, more: dict[str, Any], type: str = "DocumentReference", limit: int = 21) -> list[Find]:
    return [Find({"record": person.id, "rt": type, **more}, "record", _NEWEST, limit)]


def _current(_: World, person: Person) -> list[Find]:
    return _of_record(person, more={"ix.s": "status#current"})


def _day(text: str) -> int:
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


def _in_range(_: World, person: Person) -> list[Find]:
    more = {"ix.s": f"type={LOINC}|{KIND}", "on": {"$gte": _day("2025-06-01"), "$lt": _day("2026-01-01")}}
    return _of_record(person, more=more)


def _high(_: World, person: Person) -> list[Find]:
    """The lowest text above 140."""
    high = {"p": f"code-value-quantity$={LOINC}|{SYSTOLIC}", "hi": {"$gt": "75000214!+"}}
    return _of_record(person, more={"ix.r": {"$elemMatch": high}}, type="Observation")


def _unscoped(_: World, __: Person) -> list[Find]:
    wanted = {"rt": "DocumentReference", "ix.s": f"type={LOINC}|{KIND}", "on": {"$gte": _day("2025-11-01")}}
    return [Find(wanted, "on", _NEWEST, 21)]


def _named(_: World, __: Person) -> list[Find]:
    begins = {"$elemMatch": {"$gte": "name~abransk", "$lt": "name~abransl"}}
    return [Find({"rt": "Practitioner", "ix.s": begins}, "term")]


_HIGH: Final = quote(f"{LOINC}|{SYSTOLIC}$gt140")
SHAPES: Final = (
    Shape(
        "record",
        "specialiste",
        lambda _, person: f"DocumentReference?patient={person.id}&status=current&_count=20",
        _current,
    ),
    Shape(
        "record, type and dates",
        "specialiste",
        lambda _, person: (
            f"DocumentReference?patient={person.id}&status=current&type={quote(f'{LOINC}|{KIND}')}"
            "&date=ge2025-06-01&date=lt2026-01-01"
        ),
        _in_range,
    ),
    Shape(
        "patient.identifier",
        "specialiste",
        lambda _, person: (
            f"DocumentReference?patient.identifier={quote(f'{INS_NIR_TEST}|{person.ins}')}&status=current&_count=20"
        ),
        _current,
    ),
    Shape(
        "emergency call (ETREAT)",
        "samu",
        lambda _, person: f"DocumentReference?patient={person.id}&status=current&_count=20",
        _current,
    ),
    Shape(
        "author:Practitioner.name",
        "specialiste",
        lambda world, person: (
            f"DocumentReference?patient={person.id}&author:Practitioner.name={quote(world.authors[person.id][0])}"
        ),
    ),
    Shape(
        "_has, of one patient",
        "specialiste",
        lambda _, person: f"Patient?_id={person.id}&_has:Observation:patient:code-value-quantity={_HIGH}",
        lambda world, person: [*_high(world, person), Find({"_id": f"Patient/{person.id}"}, "_id_")],
    ),
    Shape(
        "code-value-quantity",
        "specialiste",
        lambda _, person: f"Observation?patient={person.id}&code-value-quantity={_HIGH}",
        _high,
    ),
    Shape(
        "directory, name:contains",
        "specialiste",
        lambda _, __: "Practitioner?name:contains=abransk",
        _named,
        of_record=False,
    ),
    Shape(
        "$everything, page of 50",
        "specialiste",
        lambda _, person: f"Patient/{person.id}/$everything?_count=50",
        lambda _, person: [Find({"record": person.id}, "record", _NEWEST, 51)],
    ),
    Shape(
        "unscoped, token and date",
        "conformance",
        lambda _, __: f"DocumentReference?type={quote(f'{LOINC}|{KIND}')}&date=ge2025-11-01&_sort=-date&_count=20",
        _unscoped,
        of_record=False,
    ),
)


def _documents(more: str) -> Callable[[World, Person], str]:
    return lambda _, person: f"DocumentReference?patient={person.id}{more}"


def _number_of(person: Person) -> str:
    (identifier,) = cast("list[dict[str, str]]", document(person, 3)["identifier"])
    return quote(f"{identifier['system']}|{identifier['value']}")


def _traits(person: Person) -> str:
    identity = person.identity()
    (name,) = cast("list[dict[str, str]]", identity["name"])
    return f"family={quote(name['family'])}&birthdate={identity['birthDate']}"


MORE: Final = (
    Shape("sorted, with its total", "specialiste", _documents("&_sort=type,-date&_count=20&_total=accurate")),
    Shape("count", "specialiste", _documents("&status=current&_summary=count")),
    Shape("oldest first", "specialiste", _documents("&_sort=date&_count=20")),
    Shape("words within a text", "specialiste", _documents("&description:contains=clinique")),
    Shape("with its patient", "specialiste", _documents("&_include=DocumentReference:patient")),
    Shape("compartment", "specialiste", lambda _, person: f"Patient/{person.id}/*?_count=20"),
    Shape(
        "patient by INS",
        "specialiste",
        lambda _, person: f"Patient?identifier={quote(f'{INS_NIR_TEST}|{person.ins}')}",
        of_record=False,
    ),
    Shape(
        "document by its identifier",
        "conformance",
        lambda _, person: f"DocumentReference?identifier={_number_of(person)}",
        of_record=False,
    ),
    Shape(
        "patient by name and birth date",
        "conformance",
        lambda _, person: f"Patient?{_traits(person)}",
        of_record=False,
    ),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    patients: tuple[int, ...]
    seconds: float
    warm_up: float
    callers: tuple[int, ...]
    runs: int
    only: tuple[str, ...]
    more: bool
    results: Path

    @property
    def shapes(self) -> list[Shape]:
        """Those that are to be measured."""
        known = (*SHAPES, *(MORE if self.more else ()))
        return [one for one in known if not self.only or any(word in one.name for word in self.only)]


@dataclass(slots=True)
class Size:
    """A server with one size of the data, and what was found."""

    patients: int
    served: Served
    uri: str
    world: World
    megabytes: float
    found: dict[tuple[str, int], Figures] = field(default_factory=dict)
    """By name of the measurement and number of callers."""

    def measure(self, name: str, callers: int, outcome: Outcome) -> None:
        """Keep what came out; an answer that was no success ends the run."""
        if outcome.failures:
            raise SystemExit(f"{name}: an answer was no success:\n{outcome.failures[0]}")
        figures = self.found.setdefault((name, callers), Figures())
        figures.add(outcome)
        print(f"  {name:<36} {self.patients:>6} {callers:>3} callers  {figures.last()}", flush=True)


def main() -> None:
    """Measure."""
    wanted = _arguments()
    with ExitStack() as stack:
        sizes = [_begun(stack, patients) for patients in wanted.patients]
        for number in range(wanted.runs):
            print(f"run {number + 1} of {wanted.runs}", flush=True)
            for shape in wanted.shapes:
                for callers in wanted.callers:
                    for size in sizes:
                        _one(wanted, size, shape, callers)
        version = asyncio.run(_state(sizes[0].uri))[1]
    told = " and ".join(
        f"{one.patients * DOCUMENTS} documents of {one.patients} patients ({one.megabytes:.0f} MB)" for one in sizes
    )
    what = f"Search: {told}, in turns; {wanted.runs} runs of {wanted.seconds:g} s after {wanted.warm_up:g} s"
    results.add(wanted.results, Machine.here(version), what, _table(wanted, sizes))


def _begun(stack: ExitStack, patients: int) -> Size:
    """A server with so many patients."""
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fhir-search-"))
    served = stack.enter_context(serving(Path(folder) / "data"))
    uri, began = running_uri(served.data), time.monotonic()
    world = searched.seed(uri, served.base, patients)
    megabytes = asyncio.run(_state(uri))[0]
    print(f"{patients} patients, {megabytes:.0f} MB, in {time.monotonic() - began:.0f} s", flush=True)
    return Size(patients, served, uri, world, megabytes)


def _one(wanted: Wanted, size: Size, shape: Shape, callers: int) -> None:
    """One measurement of the server, and of the floor next to it."""
    served, world = size.served, size.world
    address = urlsplit(served.base)
    people = world.people[:: max(1, len(world.people) // _MOST_ASKED)]
    token = served.token(shape.actor, lifetime=_TOKEN_SECONDS)
    head = (
        f"HTTP/1.1\r\nHost: {address.netloc}\r\nAccept: application/fhir+json\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    asked = [f"GET {address.path}/{shape.path(world, person)} {head}".encode() for person in people]
    plan = Plan(
        host=address.hostname or "",
        port=address.port or 0,
        callers=callers,
        warm_up=wanted.warm_up,
        seconds=wanted.seconds,
        watched=tree(served.process.pid),
        sequences=[Sequence([one]) for one in asked],
    )
    size.measure(shape.name, callers, _run("benchmarks.driver", plan))
    if shape.floor is None:
        return
    mongod = [pid for pid in tree(served.process.pid) if program(pid) == "mongod"]
    finds = [shape.floor(world, person) for person in people]
    bare = FloorPlan(size.uri, "find", callers, wanted.warm_up, wanted.seconds, mongod, [], [], finds)
    size.measure(f"floor {shape.name}", callers, _run("benchmarks.floors", bare))


def _run(module: str, plan: Plan | FloorPlan) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", module], input=msgspec.json.encode(plan), stdout=subprocess.PIPE, cwd=ROOT, check=True
    )
    return msgspec.json.decode(done.stdout, type=Outcome)


async def _state(uri: str) -> tuple[float, str]:
    client = connect(uri)
    told = await database(client, "fhir").command("collStats", "resources", scale=1_000_000)
    version = (await client.server_info())["version"]
    await client.close()
    return told["size"], version


def _table(wanted: Wanted, sizes: list[Size]) -> list[str]:
    columns = ["search", "callers"]
    for size in sizes:
        columns += [f"CPU ms, {size.patients * DOCUMENTS}", "floor"]
    columns += ["growth", "ratio to floor", "requests/s", "p50 ms", "p99 ms"]
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for shape in wanted.shapes:
        for callers in wanted.callers:
            cells = [shape.name if shape.of_record else f"{shape.name} (not of one record)", str(callers)]
            for size in sizes:
                floor = size.found.get((f"floor {shape.name}", callers))
                cells += [spread(size.found[shape.name, callers].cpu, 2), spread(floor.cpu, 2) if floor else ""]
            last = sizes[-1].found[shape.name, callers]
            first, bare = sizes[0].found[shape.name, callers], sizes[-1].found.get((f"floor {shape.name}", callers))
            cells += [
                f"{median(last.cpu) / median(first.cpu):.2f}",
                f"{median(last.cpu) / median(bare.cpu):.1f}" if bare else "",
                spread(last.throughput, 0),
                spread(last.p50, 2),
                spread(last.p99, 2),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def _arguments() -> Wanted:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--patients", type=int, nargs="+", default=[1000, 10_000], help="records, for each size")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before each measurement")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 16], help="who send at the same time")
    parser.add_argument("--runs", type=int, default=3, help="times that everything is measured")
    parser.add_argument("--only", default="", help="parts of names of searches, with commas between them")
    parser.add_argument("--more", action="store_true", help="also the searches beside the ten")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md", help="file to append to")
    given = parser.parse_args()
    only = tuple(word for word in given.only.split(",") if word)
    wanted = Wanted(
        patients=tuple(given.patients),
        seconds=given.seconds,
        warm_up=given.warm_up,
        callers=tuple(given.callers),
        runs=given.runs,
        only=only,
        more=given.more,
        results=given.results,
    )
    if not wanted.shapes:
        parser.error(f"--only: none of {', '.join(one.name for one in SHAPES)} has that in its name")
    return wanted


if __name__ == "__main__":
    main()
