"""Each sentence that is told is in the catalogue of its package, with all its places filled; and each is told.

A key that is not there, or a place that is not filled, would be a 500 in the very moment a client should read why.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from fhir_server.fhir.messages import FOLDER, Messages

ROOT = Path(__file__).resolve().parents[2]
CODE = ROOT / "fhir_server"
SPEAKING = sorted(folder.parent for folder in CODE.rglob(FOLDER) if folder.is_dir())
TELLS = {"told", "not_a"}
"""The functions whose first argument is a key: `not_a` fills in what was found."""
FILLED_BY_ITSELF = {"not_a": frozenset({"found"})}


@dataclass(frozen=True, slots=True)
class Call:
    """A sentence, where the code tells it."""

    place: str
    package: Path
    keys: tuple[str, ...]
    """A part in braces stands for anything."""
    values: frozenset[str] | None
    """The names that are filled in; none where they are not written out."""


@cache
def messages(package: Path) -> Messages:
    return Messages(package / FOLDER)


def packages_of(tree: ast.Module) -> dict[str, Path]:
    """By the name under which a module imports it, the package whose `told` it is."""
    found: dict[str, Path] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.endswith(".messages") or module == "fhir_server.fhir.outcome":
                package = ROOT / Path(*module.split(".")[:-1])
                found |= {one.asname or one.name: package for one in node.names if one.name in TELLS}
    return found


def keys_of(node: ast.expr) -> tuple[str, ...]:
    match node:
        case ast.Constant(value=str(key)):
            return (key,)
        case ast.IfExp(body=body, orelse=otherwise):
            return (*keys_of(body), *keys_of(otherwise))
        case ast.JoinedStr(values=values):
            return ("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in values),)
        case _:
            return ()


def calls() -> Iterator[Call]:
    for file in sorted(CODE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        packages = packages_of(tree)
        if file.name == "messages.py" or (file.with_name(FOLDER).is_dir() and file.name == "outcome.py"):
            packages |= dict.fromkeys(TELLS, file.parent)
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in packages:
                continue
            if not node.args or not (keys := keys_of(node.args[0])):
                continue
            written = all(one.arg is not None for one in node.keywords)
            names = frozenset(one.arg for one in node.keywords if one.arg is not None)
            values = names | FILLED_BY_ITSELF.get(node.func.id, frozenset()) if written else None
            yield Call(f"{file.relative_to(ROOT)}:{node.lineno}", packages[node.func.id], keys, values)


CALLS = list(calls())


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.place)
def test_a_sentence_is_in_the_catalogue_with_all_its_places_filled(call: Call) -> None:
    known = messages(call.package)
    for key in call.keys:
        if "{}" in key:
            assert [one for one in known.keys if one.startswith(key.partition("{}")[0])], key
            continue
        assert key in known.keys
        assert call.values is None or call.values == known.places(key), key


@pytest.mark.parametrize("package", SPEAKING, ids=lambda package: package.name)
def test_each_sentence_is_told_somewhere(package: Path) -> None:
    """By its key as a whole, or by what begins with it (`form-{name}`)."""
    texts = {
        part
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        for part in (keys_of(node) if isinstance(node, (ast.Constant, ast.JoinedStr)) else ())
    }
    begun = tuple(text.partition("{}")[0] for text in texts if "-{}" in text)
    told_above = {key for call in CALLS if call.package == package for key in call.keys}
    untold = [key for key in messages(package).keys if key not in texts | told_above and not key.startswith(begun)]
    assert not untold


def test_there_is_something_to_look_at() -> None:
    assert len(CALLS) > 100
    assert len(SPEAKING) > 5
