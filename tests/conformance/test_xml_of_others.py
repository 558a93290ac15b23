"""XML that somebody else's library reads and writes: the models of fhir.resources, which share nothing with our codec.

It has R4B, whose types are those of R4 but for the ones it left out or changed.
"""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any, Final

import pytest
from fhir.resources.R4B import get_fhir_model_class

from tests.answers import CODEC
from tests.in_xml import xml
from tests.minimal import minimal, types


def _has(type: str) -> bool:
    try:
        get_fhir_model_class(type)
    except ValueError:
        return False
    return True


CHANGED: Final = frozenset({"Evidence", "StructureDefinition"})
"""Of the same name, with other elements; and one whose elements lose their ids there."""
SHARED: Final = [type for type in types() if type not in CHANGED and _has(type)]
LOST: Final = frozenset({"pdsm-Bundle-response"})
"""Examples of which they lose something: ids of elements in a Bundle's responses."""
EXAMPLES: Final = [
    path for path in sorted((Path(__file__).resolve().parents[1] / "examples").rglob("*.json")) if path.stem not in LOST
]
_MOMENT: Final = re.compile(r"(T\d\d:\d\d:\d\d(?:\.\d*[1-9])?)(?:\.?0*)(Z|[+-]\d\d:\d\d)")
_SPACE: Final = re.compile(r"(?:\\[rnt]|\s)+")


def _read(body: bytes | str) -> Any:
    """As JSON, less what they write in another way: moments, white space, and characters by number in narratives."""
    read = CODEC.to_json(body.encode() if isinstance(body, str) else body)
    told = _MOMENT.sub(lambda found: found[1] + found[2].replace("+00:00", "Z"), unescape(read.decode()))
    return json.loads(_SPACE.sub(" ", told))


@pytest.mark.parametrize("type", SHARED)
def test_they_read_ours_and_we_read_theirs(type: str) -> None:
    ours = xml(minimal(type, language="fr", id="a"))
    theirs = get_fhir_model_class(type).model_validate_xml(ours).model_dump_xml()
    assert _read(theirs) == _read(ours)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_they_read_an_example(path: Path) -> None:
    ours = xml(path.read_bytes())
    type = json.loads(path.read_bytes())["resourceType"]
    assert _read(get_fhir_model_class(type).model_validate_xml(ours).model_dump_xml()) == _read(ours)
