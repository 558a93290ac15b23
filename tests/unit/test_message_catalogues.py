"""Every message of every catalogue, as it is told: a change of a sentence shows in review as a diff of its file.

A catalogue is any `messages/*.toml` of a package. Rewrite the files with ``./fhir-server golden`` and read the
difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

from fhir_server.fhir.messages import FOLDER, Messages
from tests.conftest import GOLDEN

PACKAGES: Final = Path(__file__).resolve().parents[2] / "fhir_server"
CATALOGUES: Final = sorted(PACKAGES.rglob(f"{FOLDER}/*.toml"))
GOLDENS: Final = GOLDEN / "messages"

SAMPLES: Final = {
    "character": 7,
    "code": "11502-2",
    "declared": "1024",
    "element": "DocumentReference.content[0].attachment",
    "expected": "Practitioner",
    "found": "Patient",
    "high": 2147483647,
    "human": "Either namespaces or a namespace SHALL be present",
    "key": "DocumentReference/7",
    "least": 1,
    "limit": 8388608,
    "low": 0,
    "most": 20,
    "number": 3,
    "profile": "pdsm-comprehensive-document-reference",
    "range": "1..1",
    "seconds": 30.0,
    "size": 2048,
    "system": "https://mos.esante.gouv.fr/NOS/TRE_A04-LoincSNOMED/FHIR/TRE-A04-LoincSNOMED",
    "type": "DocumentReference",
    "url": "https://example.org/fhir/ValueSet/exemple",
    "value": "'2026-02-30'",
    "value_set": "JDV-J66-TypeCode-DMP",
    "version": 4,
}
"""What stands at a place of this name; at others the name itself."""


NO_PROSE: Final = re.compile(
    r"\{[^}]*\}|https?://\S+|urn:\S*|(?:Accept|Authorization):|&#?\w+;|\(\S*\)|[hzs]{2}(?::[hmsz.+]+)+|\d\d:\d\d:\d\d\S*"
)
"""Places, URLs and forms within a sentence."""


class Place(str):
    """Stands at any place, however it is to be written."""

    __slots__ = ()

    def __format__(self, _: str) -> str:
        return str(self)


def of_file(path: Path) -> list[str]:
    """The keys of a catalogue."""
    return list(msgspec.toml.decode(path.read_bytes(), type=dict[str, dict[str, str]]))


def named(path: Path, key: str) -> str:
    """Where the golden file of a message is."""
    package = path.parent.parent.relative_to(PACKAGES)
    return f"messages/{package}/{path.stem}/{key}.txt"


def everything() -> Iterator[tuple[Path, str]]:
    """Every message of every catalogue."""
    for path in CATALOGUES:
        for key in of_file(path):
            yield path, key


EVERYTHING: Final = list(everything())


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGES))


@pytest.mark.parametrize("path", CATALOGUES, ids=name_of)
def test_each_message_says_this(path: Path, golden: Callable[[str, str], None]) -> None:
    messages = Messages(path.parent)
    for key in of_file(path):
        values = {name: SAMPLES.get(name, Place(f"<{name}>")) for name in messages.places(key)}
        told = messages.told(key, **values)
        golden(named(path, key), f"en  {told.en}\nfr  {told.fr}\n")


def test_every_golden_message_is_one_of_a_catalogue(request: pytest.FixtureRequest) -> None:
    known = {GOLDEN / named(path, key) for path, key in EVERYTHING}
    strange = [one for one in GOLDENS.rglob("*.txt") if one not in known]
    if request.config.getoption("--golden"):
        for one in strange:
            one.unlink()
        strange = []
    assert not strange


@pytest.mark.parametrize("path", CATALOGUES, ids=name_of)
def test_both_languages_have_the_same_places(path: Path) -> None:
    for key, message in msgspec.toml.decode(path.read_bytes(), type=dict[str, dict[str, str]]).items():
        assert message.keys() == {"en", "fr"}, key
        places = [sorted(re.findall(r"\{(\w+)(?:![rs])?(?::[^}]*)?\}", text)) for text in message.values()]
        assert places[0] == places[1], key


@pytest.mark.parametrize("path", CATALOGUES, ids=name_of)
def test_french_is_written_as_french_is(path: Path) -> None:
    """A space before the double signs, and no English quotes; but within a value, a code or an example."""
    for key, message in msgspec.toml.decode(path.read_bytes(), type=dict[str, dict[str, str]]).items():
        french = message["fr"]
        prose = NO_PROSE.sub("", french)
        assert not re.search(r"\w[;:?!](?=\s|$)", prose), (key, prose)
        assert "  " not in french, key
        assert french == french.rstrip(), key
