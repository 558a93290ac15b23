"""No resource leaves the store without a decision: the check holds, and catches what it is there to catch."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_gate", ROOT / "tools" / "check_gate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_gate"] = module
    spec.loader.exec_module(module)
    return module


gate = _load()


@pytest.fixture(scope="module")
def sources() -> dict[str, Any]:
    return gate.sources(ROOT)  # type: ignore[no-any-return]


def found(sources: dict[str, Any], file: str, text: str) -> list[str]:
    """What is wrong when one file reads otherwise."""
    needed = {name: sources[name] for name in ("store/internal.py", "store/reading.py", "store/finding.py")}
    changed = {**needed, file: gate.Source(file, ast.parse(text))}
    return [f"{path}: {sentence}" for path, _, sentence in gate.check(changed)]


def source_of(file: str) -> str:
    return (ROOT / "fhir_server" / file).read_text(encoding="utf-8")


def test_the_gate_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate.main([str(ROOT)]) == 0, capsys.readouterr().out


PLANTED = {
    "a Visible of one's own": (
        "interactions/read.py",
        "def f(p):\n    return Visible(p)",
        "a Visible is made outside consent/decide.py",
    ),
    "one by its module": (
        "search/query.py",
        "def f(p):\n    return visible.Visible(p)",
        "a Visible is made outside consent/decide.py",
    ),
    "one by another name": (
        "http/routes.py",
        "from fhir_server.search.visible import Visible as V",
        "Visible goes by another name here: V",
    ),
    "a subclass": ("consent/where.py", "class Open(Visible):\n    pass", "Visible has a subclass"),
    "a rule that makes one": (
        "consent/rules/mask.py",
        "def f(p):\n    return Visible(p)",
        "a Visible is made outside consent/decide.py",
    ),
    "a look into what is held": (
        "interactions/read.py",
        "def f(held):\n    return held._document",
        "._document is used outside the store (interactions/read.py:f is not in the list)",
    ),
    "a new look into what is stored": (
        "interactions/read.py",
        "def f(found):\n    return found.document['body']",
        ".document is used outside the store (interactions/read.py:f is not in the list)",
    ),
    "a look from a method": (
        "interactions/read.py",
        "class C:\n    async def g(self, found):\n        return found.document",
        ".document is used outside the store (interactions/read.py:C.g is not in the list)",
    ),
    "a new caller of the internal store": (
        "interactions/read.py",
        "async def f(exchange):\n    return await exchange.server.internal.records_asked(1, 2, 3)",
        "Internal.records_asked is called by interactions/read.py:f: not in the list",
    ),
    "a caller that takes the method along": (
        "interactions/read.py",
        "def f(server):\n    return server.internal.labelled",
        "Internal.labelled is called by interactions/read.py:f: not in the list",
    ),
    "the internal store under another name": (
        "interactions/read.py",
        "def f(server):\n    other = server.internal",
        "the internal store is handed on by interactions/read.py:f: not in the list",
    ),
    "an internal store of one's own": (
        "interactions/read.py",
        "from fhir_server.store.internal import Internal\ndef f(db):\n    look_up = Internal(db)",
        "an Internal must be called `internal`, so that its callers are found",
    ),
    "the internal store by getattr": (
        "interactions/read.py",
        "def f(server):\n    return getattr(server, 'internal')",
        "the internal store is reached by getattr",
    ),
    "a search without a decision": (
        "interactions/read.py",
        "async def f(exchange):\n    return await exchange.server.finding.search(1, order=2, limit=3)",
        "finding.search is called without visible=",
    ),
    "a count of everything": (
        "interactions/read.py",
        "async def f(finding):\n    return await finding.count(1, visible=None)",
        "finding.count is called without visible=",
    ),
    "a decision that may be in a mapping": (
        "interactions/read.py",
        "async def f(reading, words):\n    return await reading.changes(1, **words)",
        "reading.changes is called without visible=",
    ),
    "a search handed on": (
        "interactions/read.py",
        "def f(finding):\n    return finding.search",
        "finding.search is handed on instead of called",
    ),
    "a history handed on": (
        "interactions/read.py",
        "def f(reading):\n    return reading.history",
        "reading.history is handed on instead of called",
    ),
    "the keys of a chain": (
        "interactions/hops.py",
        "async def f(self):\n    return await self.exchange.server.finding.keys(1, most=2)",
        "finding.keys is called without visible=",
    ),
    "the URLs of a chain": (
        "interactions/hops.py",
        "async def f(finding):\n    return await finding.urls(1, visible=None, most=2)",
        "finding.urls is called without visible=",
    ),
    "the records of a reverse chain": (
        "interactions/hops.py",
        "async def f(finding, words):\n    return await finding.records(1, **words)",
        "finding.records is called without visible=",
    ),
    "what a reverse chain points to": (
        "interactions/hops.py",
        "async def f(finding):\n    return await finding.pointed_to(1, heads=(), most=2)",
        "finding.pointed_to is called without visible=",
    ),
    "a method of another name": (
        "interactions/hops.py",
        "def f(finding):\n    return map(finding.keys, ())",
        "finding.keys is handed on instead of called",
    ),
    "a rule that swallows": (
        "consent/rules/mask.py",
        "def f(seen):\n    try:\n        return seen.x\n    except KeyError:\n        return None",
        "a rule catches an exception: it would be a decision nobody took",
    ),
    "a rule that suppresses": (
        "consent/rules/mask.py",
        "def f(seen):\n    with contextlib.suppress(KeyError):\n        return seen.x",
        "a rule catches an exception: it would be a decision nobody took",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_caught(sources: dict[str, Any], name: str) -> None:
    file, code, sentence = PLANTED[name]
    assert f"{file}: {sentence}" in found(sources, file, f"{source_of(file)}\n\n{code}\n")


READING, FINDING = "store/reading.py", "store/finding.py"


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (
            "    async def anything(self, id: str) -> Stored | None: ...",
            "Reading.anything answers Stored | None and demands no `*, visible: Visible`",
        ),
        (
            "    async def bytes_of(self, id: str, *, visible: Visible | None = None) -> bytes: ...",
            "Reading.bytes_of answers bytes and demands no `*, visible: Visible`",
        ),
        (
            "    async def loose(self, *, visible: Predicate) -> Page: ...",
            "Reading.loose answers Page and demands no `*, visible: Visible`",
        ),
        (
            "    async def untold(self, id: str): ...",
            "Reading.untold answers  and demands no `*, visible: Visible`",
        ),
    ],
)
def test_a_new_way_to_read_needs_a_decision(sources: dict[str, Any], method: str, sentence: str) -> None:
    marker = "    async def hold("
    assert marker in source_of(READING)
    text = source_of(READING).replace(marker, f"{method}\n\n{marker}", 1)
    assert f"{READING}: {sentence}" in found(sources, READING, text)


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        (
            "    async def how_many(self, asked: Predicate) -> int: ...",
            "Finding.how_many answers int and demands no `*, visible: Visible`",
        ),
        (
            "    async def is_there(self, asked: Predicate, visible: Visible) -> bool: ...",
            "Finding.is_there answers bool and demands no `*, visible: Visible`",
        ),
        (
            "    async def all_keys(self, asked: Predicate, *, visible: Visible | None = None) -> list[str]: ...",
            "Finding.all_keys answers list[str] and demands no `*, visible: Visible`",
        ),
    ],
)
def test_a_new_way_to_find_needs_a_decision_whatever_it_answers(
    sources: dict[str, Any], method: str, sentence: str
) -> None:
    marker = "    async def search("
    assert marker in source_of(FINDING)
    text = source_of(FINDING).replace(marker, f"{method}\n\n{marker}", 1)
    assert f"{FINDING}: {sentence}" in found(sources, FINDING, text)


def test_each_way_to_find_demands_a_decision(sources: dict[str, Any]) -> None:
    methods = gate._methods(sources[FINDING], "Finding")
    assert {name for name, one in methods.items() if gate._required(one).get("visible") == "Visible"} == methods.keys()
    assert methods.keys() >= {"search", "count", "keys", "urls", "records", "pointed_to"}


@pytest.mark.parametrize(("file", "name"), [(READING, "Reading"), (FINDING, "Finding")])
def test_a_reader_that_is_not_there_is_reported(sources: dict[str, Any], file: str, name: str) -> None:
    text = source_of(file).replace(f"class {name}:", "class Other:")
    assert f"{file}: there is no class {name} to check" in found(sources, file, text)


def test_an_entry_nobody_uses_is_reported(sources: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PASSES_INTERNAL", {**gate.PASSES_INTERNAL, "app.py:gone": "no reason any more"})
    stale = "tools/check_gate.py: app.py:gone is in a list and not in the source"
    assert stale in found(sources, "log.py", source_of("log.py"))


def test_it_prints_the_place_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = tmp_path
    shutil.copytree(ROOT / "fhir_server", tree / "fhir_server", ignore=shutil.ignore_patterns("__pycache__"))
    file = tree / "fhir_server" / "log.py"
    lines = len(file.read_text(encoding="utf-8").splitlines())
    file.write_text(f"{file.read_text(encoding='utf-8')}\nx = Visible(1)\n", encoding="utf-8")
    assert gate.main([str(tree)]) == 1
    assert f"fhir_server/log.py:{lines + 2}: a Visible is made" in capsys.readouterr().out
