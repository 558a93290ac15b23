"""How the cost of a search grows with the database: one section of ``RESULTS.md``. One command:

    python benchmarks/search.py [--patients 1000 10000] [--seconds 4] [--warm-up 1] [--runs 3]

Two servers of their own, each on an embedded mongod with everything on, one of few records and one of many (30
documents each). The same shapes are asked of both in turns, so that whatever disturbs the machine disturbs them alike.
The figure is CPU milliseconds a request, of server and mongod together, by one caller.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final, cast
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import records, results
from benchmarks.driver import Sequence
from benchmarks.results import Figures, Machine
from benchmarks.run import ROOT, Bench, Wanted, carry_out, planned
from benchmarks.seeding import seed
from fhir_server.cli.demo_records.documents import LOINC
from fhir_server.record.actors import INS_NIR_TEST
from fhir_server.store.connection import connect
from fhir_server.store.embedded import running_uri
from tests.served import serving

_TOKEN_SECONDS: Final = 12 * 3600
_ASKED_OF: Final = 500
"""Records that a shape is asked of."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to ask, of a record by its number and its id."""

    name: str
    url: Callable[[records.Person], str]
    actor: str = "specialiste"
    is_scoped: bool = True
    """It is of one record, so what others hold must not matter."""


SHAPES: Final = (
    Shape("newest 20 of a record", lambda one: f"DocumentReference?patient={one.id}&status=current&_count=20"),
    Shape(
        "kind and date",
        lambda one: f"DocumentReference?patient={one.id}&type={LOINC}|11502-2&date=ge2025-06-01",
    ),
    Shape(
        "sorted, with its total",
        lambda one: f"DocumentReference?patient={one.id}&_sort=type,-date&_count=20&_total=accurate",
    ),
    Shape("count", lambda one: f"DocumentReference?patient={one.id}&status=current&_summary=count"),
    Shape("words within a text", lambda one: f"DocumentReference?patient={one.id}&description:contains=clinique"),
    Shape("with its patient", lambda one: f"DocumentReference?patient={one.id}&_include=DocumentReference:patient"),
    Shape("chain by INS", lambda one: f"DocumentReference?patient.identifier={INS_NIR_TEST}|{one.ins}&_count=20"),
    Shape("compartment", lambda one: f"Patient/{one.id}/*?_count=20"),
    Shape("everything, first page", lambda one: f"Patient/{one.id}/$everything?_count=20"),
    Shape("patient by INS", lambda one: f"Patient?identifier={INS_NIR_TEST}|{one.ins}", is_scoped=False),
    Shape(
        "document by its identifier",
        lambda one: f"DocumentReference?identifier={_number_of(one)}",
        actor="conformance",
        is_scoped=False,
    ),
    Shape(
        "patient by name and birth date",
        lambda one: f"Patient?family={_family(one)}&birthdate={_born(one)}",
        actor="conformance",
        is_scoped=False,
    ),
    Shape(
        "_has of a named patient",
        lambda one: f"Patient?_id={one.id}&_has:DocumentReference:patient:type={LOINC}|11502-2",
        actor="conformance",
    ),
)


@dataclass(slots=True)
class Measured:
    """What one shape came to, by number of records."""

    found: dict[int, Figures] = field(default_factory=dict)


def main() -> None:
    """Measure."""
    given = _arguments()
    wanted = Wanted(0, given.seconds, given.warm_up, (1,), given.runs, (), given.results)
    measured = {shape.name: Measured() for shape in SHAPES}
    with ExitStack() as stack:
        benches = [_bench(stack, wanted, patients) for patients in given.patients]
        for run in range(given.runs):
            print(f"run {run + 1} of {given.runs}", flush=True)
            for shape in SHAPES:
                for patients, bench in zip(given.patients, benches, strict=True):
                    _measure(bench, shape, patients, measured[shape.name])
        version = asyncio.run(_version(benches[0].uri))
    few, many = given.patients[0], given.patients[-1]
    what = (
        f"How searches grow: {few} and {many} records of {records.DOCUMENTS} documents, asked in turns, one caller; "
        f"{given.runs} runs of {given.seconds:g} s after {given.warm_up:g} s. "
        "Shapes of one record are marked; of these the target is 1.3"
    )
    results.add(given.results, Machine.here(version), what, _table(measured, few, many))


def _bench(stack: ExitStack, wanted: Wanted, patients: int) -> Bench:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fhir-benchmark-"))
    served = stack.enter_context(serving(Path(folder) / "data"))
    uri = running_uri(served.data)
    seeded = asyncio.run(seed(uri, served.base, patients))
    print(f"{patients * records.DOCUMENTS} documents of {patients} patients", flush=True)
    return Bench(wanted, served, seeded, uri)


def _measure(bench: Bench, shape: Shape, patients: int, measured: Measured) -> None:
    token = bench.served.token(shape.actor, lifetime=_TOKEN_SECONDS)
    step = max(1, patients // _ASKED_OF)
    urls = (shape.url(records.Person(number)) for number in range(0, patients, step))
    sequences = [Sequence([bench.get(quote(url, safe="/?&=:|$,*-_.%"), token)]) for url in urls]
    outcome = carry_out(planned(bench, sequences, 1))
    if outcome.failures:
        raise SystemExit(f"{shape.name}: an answer was no success:\n{outcome.failures[0]}")
    figures = measured.found.setdefault(patients, Figures())
    figures.add(outcome)
    print(f"  {shape.name:<32} {patients:>6}  {figures.last()}", flush=True)


def _table(measured: dict[str, Measured], few: int, many: int) -> list[str]:
    lines = [
        f"| shape | one record | CPU ms, {few} records | CPU ms, {many} records | ratio | p50 ms, {many} records |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for shape in SHAPES:
        least, most = measured[shape.name].found[few], measured[shape.name].found[many]
        ratio = median(most.cpu) / median(least.cpu)
        lines.append(
            f"| {shape.name} | {'yes' if shape.is_scoped else ''} | {median(least.cpu):.2f} | {median(most.cpu):.2f} "
            f"| {ratio:.2f} | {median(most.p50):.2f} |"
        )
    return lines


def _number_of(person: records.Person) -> str:
    (identifier,) = cast("list[dict[str, str]]", records.document(person, 3)["identifier"])
    return f"{identifier['system']}|{identifier['value']}"


def _family(person: records.Person) -> str:
    (name,) = cast("list[dict[str, str]]", person.identity()["name"])
    return name["family"]


def _born(person: records.Person) -> str:
    return str(person.identity()["birthDate"])


async def _version(uri: str) -> str:
    client = connect(uri)
    version = str((await client.server_info())["version"])
    await client.close()
    return version


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--patients", type=int, nargs=2, default=[1000, 10_000], help="records of the two databases")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before each measurement")
    parser.add_argument("--runs", type=int, default=3, help="times that everything is measured")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md", help="file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
