"""Nothing is told to a client but what is in a catalogue, in both languages.

Whatever takes a sentence takes a `Told`, which `told(key, ...)` of a catalogue makes: mypy holds the code to it. Here
is looked for what mypy cannot see: prose that stands in the code where something is told, a `Told` that is put together
by hand, an issue that is made of a text.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
CODE: Final = ROOT / "fhir_server"
PROSE: Final = re.compile(r"[^\W\d_]{2,}[,;:]? [^\W\d_]{2,}")
"""Two words. The key of a message is none, and neither is a separator."""

MADE_BY_HAND: Final = {
    "fhir/messages.py": "where a message becomes one",
    "fhir/joining.py": "names, codes and words that are told already, joined",
    "fhir/errors.py": "of an error whose issues say it all",
    "fhir/outcome.py": "the two sentences of an issue, together again",
    "definitions/bad_profile.py": "the URL and the element before what is wrong there",
    "validation/profiles/found.py": "the words of an invariant are the profile's own, in each language it has",
}
"""The files that may put a `Told` together, and why."""

TOLD_IN_ENGLISH: Final = {
    "cli/protocol.py": "the headers were never read, so nobody knows which language is asked for",
}
"""The files that may tell what is in no catalogue, and why."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(CODE.rglob("*.py")):
        yield file.relative_to(CODE).as_posix(), ast.parse(file.read_text(encoding="utf-8"))


TREES: Final = dict(trees())


def takes_a_sentence(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    arguments = function.args
    of_each = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    return any(one.annotation is not None and re.search(r"\bTold\b", ast.unparse(one.annotation)) for one in of_each)


def tellers() -> frozenset[str]:
    """The names of all that takes a sentence: functions, methods, and errors with those derived from them."""
    found: set[str] = set()
    bases: dict[str, set[str]] = {}
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, set()).update(ast.unparse(one).rpartition(".")[2] for one in node.bases)
                for one in node.body:
                    if isinstance(one, ast.FunctionDef) and one.name == "__init__" and takes_a_sentence(one):
                        found.add(node.name)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and takes_a_sentence(node):
                found.add(node.name)
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return frozenset(found - {"__init__", "__call__"})


TELLERS: Final = tellers()
TOLD: Final = frozenset({"told", "not_a", "message", "told_by_all"})
"""The names under which catalogues are asked for a message; what fills its places is a part of the sentence."""


def is_prose(node: ast.expr, written: dict[str, list[ast.expr]], *, within: frozenset[str] = frozenset()) -> bool:
    """Whether it holds words that stand in the code: at once, or in a variable of the function."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and PROSE.search(part.value):
            return True
        if isinstance(part, ast.Name) and part.id in written and part.id not in within:
            inner = within | {part.id}
            if any(is_prose(one, written, within=inner) for one in written[part.id]):
                return True
    return False


def written_in(function: ast.AST) -> dict[str, list[ast.expr]]:
    """By the name of a variable, the texts that a function gives it."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, (ast.Constant, ast.JoinedStr, ast.BinOp, ast.IfExp)):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append(node.value)
    return found


def sentences_of(tree: ast.AST) -> Iterator[int]:
    """The lines in which something is told in words of the code."""
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for where in (*functions, tree):
        written = written_in(where)
        for node in ast.walk(where):
            if not isinstance(node, ast.Call):
                continue
            named = node.func
            name = named.id if isinstance(named, ast.Name) else named.attr if isinstance(named, ast.Attribute) else ""
            of_logger = isinstance(named, ast.Attribute) and name in ("error", "warning", "information")
            if name not in TELLERS | TOLD or of_logger:
                continue
            said = (*node.args, *(each.value for each in node.keywords if each.arg != "headers"))
            if any(is_prose(one, written) for one in said):
                yield node.lineno


@pytest.mark.parametrize("file", [file for file in TREES if file not in TOLD_IN_ENGLISH])
def test_no_sentence_stands_in_the_code(file: str) -> None:
    assert sorted(set(sentences_of(TREES[file]))) == []


@pytest.mark.parametrize(
    "code",
    [
        'raise Invalid("There is none.")',
        'raise NotFound(f"{key} is not known.", expression=("id",))',
        'def f():\n    sentence = "It is " + kind\n    raise Invalid(sentence)',
        'issues.append(error(IssueType.VALUE, f"{name} must be there"))',
        'def f():\n    of = "any type" if several else type\n    return told("key", of=of)',
        "raise self.refuse(path, 'there is no slice')",
    ],
)
def test_a_sentence_in_the_code_is_seen(code: str) -> None:
    assert [*sentences_of(ast.parse(code))]


@pytest.mark.parametrize(
    "code", ['raise Invalid(told("none", names=", ".join(names)))', '_logger.warning("the log is not told")']
)
def test_what_is_no_sentence_is_not_seen(code: str) -> None:
    assert not [*sentences_of(ast.parse(code))]


def made_in(file: str) -> bool:
    """Whether a file makes a `Told` of its own. The snapshots have something else of that name."""
    tree = TREES[file]
    imported = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "fhir_server.fhir.messages"
        and any(one.name == "Told" for one in node.names)
        for node in ast.walk(tree)
    )
    return (imported or file == "fhir/messages.py") and any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Told"
        for node in ast.walk(tree)
    )


def test_what_is_told_is_put_together_where_there_is_a_reason_to() -> None:
    assert {file for file in TREES if made_in(file)} == MADE_BY_HAND.keys()


def test_an_issue_says_what_a_message_says() -> None:
    """`Issue` and `Finding` hold two texts: those of one message, or of another issue."""
    strange = [
        f"{file}:{node.lineno}"
        for file, tree in TREES.items()
        if file.partition("/")[0] not in ("cli", "audit", "store") and file != "app.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("Issue", "Finding")
        and not any(isinstance(one, ast.Attribute) and one.attr in ("en", "diagnostics") for one in node.args)
    ]
    assert strange == []


def writes_diagnostics(node: ast.AST) -> bool:
    match node:
        case ast.Subscript(slice=ast.Constant(value="diagnostics"), ctx=ast.Store()):
            return True
        case ast.Dict(keys=keys):
            return any(isinstance(key, ast.Constant) and key.value == "diagnostics" for key in keys)
        case ast.Constant(value=str(text)):
            return '"diagnostics":' in text
        case _:
            return False


def test_an_outcome_is_written_in_one_place() -> None:
    """And where there is no request yet."""
    writing = {file for file, tree in TREES.items() if any(map(writes_diagnostics, ast.walk(tree)))}
    assert writing == {"fhir/outcome.py", *TOLD_IN_ENGLISH}
