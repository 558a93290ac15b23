"""What validation against profiles costs: a document of PDSm, and the compilation. One section of ``RESULTS.md``.

    python benchmarks/validating.py [--runs 5]

In one process, processor time alone. Beside each figure stands what the structural validator and the JSON decoder take
for the same document, so that another machine's figures can be compared.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.results import Machine, add, spread
from fhir_server.definitions.load import load
from fhir_server.definitions.structure_definitions import StructureDefinitions, base_definitions
from fhir_server.definitions.uncollected import uncollected
from fhir_server.fhir.json import JsonObject, decode_object
from fhir_server.fhir.outcome import fails
from fhir_server.terminology.terminology import Terminology
from fhir_server.validation.profiles import ProfileChecks
from fhir_server.validation.structure import Validator

ROOT: Final = Path(__file__).resolve().parent.parent
PDSM: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-comprehensive-document-reference"
DOCUMENT: Final = ROOT / "tests" / "examples" / "profiles" / "pdsm-comprehensive-document-reference" / "exemple.json"
TIMES: Final = 300
"""So often what takes microseconds is done."""


def main() -> None:
    """Measure, and append what was found."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "RESULTS.md")
    told = arguments.parse_args()
    definitions, terminology = load(), Terminology.load()
    own = [decode_object(path.read_bytes()) for path in sorted((ROOT / "profiles" / "StructureDefinition").glob("*"))]
    body = DOCUMENT.read_bytes()
    document = decode_object(body)
    validator = Validator(definitions)
    checks = _compiled(own, terminology)

    if fails([*validator.validate(document), *checks.issues(document, [PDSM])]):
        message = f"{DOCUMENT} is refused: what is measured would be the telling of defects."
        raise ValueError(message)

    def structure() -> object:
        return validator.validate(document)

    def decoding() -> object:
        return decode_object(body)

    rows: list[tuple[str, Callable[[], object]]] = [
        ("a document of PDSm against its chain", lambda: checks.issues(document, [PDSM])),
        ("its extensions alone", lambda: checks.issues(document, [])),
    ]
    lines = ["Milliseconds of processor time; the structural validator and the JSON decoder on the same document.", ""]
    lines += ["| what | taken | structure | decoding | ratio to structure | ratio to decoding |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for name, work in rows:
        taken, beside, decoded = [], [], []
        for _ in range(told.runs):
            taken.append(_milliseconds(work, TIMES))
            beside.append(_milliseconds(structure, TIMES))
            decoded.append(_milliseconds(decoding, TIMES))
        ratios = [f"{min(taken) / min(floor):.1f}" for floor in (beside, decoded)]
        lines.append(" | ".join([f"| {name}", *(spread(one, 3) for one in (taken, beside, decoded)), *ratios]) + " |")
    compiling = [_milliseconds(lambda: _compiled(own, terminology), 1) for _ in range(told.runs)]
    lines += ["", f"Compiling the {len(own)} profiles of the project, snapshots included: {spread(compiling, 0)} ms."]
    add(told.results, Machine.here("none"), "What profiles cost", lines)


def _compiled(own: list[JsonObject], terminology: Terminology) -> ProfileChecks:
    with uncollected():  # as the server compiles them
        checks = ProfileChecks(StructureDefinitions(base_definitions(), own), load(), terminology)
        for one in own:
            checks.check(str(one["url"]))
    return checks


def _milliseconds(work: Callable[[], object], times: int) -> float:
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) * 1000 / times


if __name__ == "__main__":
    main()
