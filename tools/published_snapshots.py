"""Write what the published snapshots of R4 say, for the test that compares ours with them.

    python tools/published_snapshots.py --wheel PATH [--output FILE]

All profiles and extensions of `hl7.fhir.r4.core`, one a line: their URL and the facts of their elements. Left out are
the words, and what is false anyway; of constraints the keys are kept. The same wheel gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).parent.parent))

from tools import compile_r4, r4_elements

Json: TypeAlias = dict[str, Any]

FLAGS = ("mustSupport", "isModifier", "isSummary")
OUTPUT = Path(__file__).parent.parent / "tests" / "conformance" / "published_snapshots.json.gz"


def main() -> None:
    """Read the wheel and write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    definitions = compile_r4.read_package(arguments.wheel)["StructureDefinition"]
    lines = [
        [url, [compared(element) for element in map(r4_elements.facts_of_element, snapshot(definition))]]
        for url, definition in sorted(definitions.items())
        if definition.get("derivation") == "constraint" and "snapshot" in definition
    ]
    content = b"".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for line in lines)
    arguments.output.write_bytes(r4_elements.zipped(content))
    print(f"{len(lines)} snapshots in {arguments.output}")


def snapshot(definition: Json) -> list[Json]:
    """The elements of a published snapshot."""
    elements: list[Json] = definition["snapshot"]["element"]
    return elements


def compared(element: Json) -> Json:
    """What of an element is compared."""
    kept = {name: value for name, value in element.items() if name != "short" and (value or name not in FLAGS)}
    if "constraint" in kept:
        kept["constraint"] = [constraint["key"] for constraint in kept["constraint"]]
    return kept


if __name__ == "__main__":
    main()
