"""What the tables cost: reading them, compiling them, and indexing one document by them. One section of ``RESULTS.md``.

    python benchmarks/starting.py [--runs 5]

In one process, processor time alone. Beside each figure stands what the JSON decoder takes for the same bytes, so that
another machine's figures can be compared.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import Machine, add, spread
from fhir_server.definitions.load import load
from fhir_server.definitions.profiles import read_search_parameters
from fhir_server.fhir.json import decode_object
from fhir_server.record.elements import SEARCHED
from fhir_server.search.parameters import Parameters
from fhir_server.search.sort_dates import SORT_DATES
from fhir_server.validation.structure import Validator

ROOT: Final = Path(__file__).resolve().parent.parent
TABLES: Final = ROOT / "fhir_server" / "definitions"
DOCUMENT: Final = ROOT / "tests" / "examples" / "DocumentReference-lettre.json"
TIMES: Final = 200
"""So often what takes microseconds is done."""


def main() -> None:
    """Measure, and append what was found."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md")
    told = arguments.parse_args()
    definitions = load()
    parameters = _parameters()
    written = [path.read_bytes() for path in sorted(TABLES.glob("*.json"))]
    document = DOCUMENT.read_bytes()
    resource = decode_object(document)

    def read_tables() -> None:
        load.cache_clear()
        load()

    def decode_tables() -> None:
        for each in written:
            json.loads(each)

    rows = [
        ("reading the tables", read_tables, decode_tables, 1),
        ("compiling every search parameter", _parameters, decode_tables, 1),
        ("compiling the checks of every type", lambda: Validator(definitions), decode_tables, 1),
        (
            "indexing a document",
            lambda: parameters.index("DocumentReference", resource),
            lambda: json.loads(document),
            TIMES,
        ),
    ]
    lines = ["Milliseconds of processor time.", "", "| what | taken | the same bytes decoded | ratio |"]
    lines.append("| --- | --- | --- | --- |")
    for name, work, floor, times in rows:
        taken = [_milliseconds(work, times) for _ in range(told.runs)]
        beside = [_milliseconds(floor, times) for _ in range(told.runs)]
        lines.append(f"| {name} | {spread(taken, 3)} | {spread(beside, 3)} | {min(taken) / min(beside):.2f} |")
    add(told.results, Machine.here("none"), "What the tables cost", lines)


def _parameters() -> Parameters:
    own = read_search_parameters(ROOT / "profiles" / "SearchParameter")
    return Parameters(load(), SEARCHED, own, sort_dates=SORT_DATES)


def _milliseconds(work: Callable[[], object], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) * 1000 / times


if __name__ == "__main__":
    main()
