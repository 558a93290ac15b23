"""Proves from the source that no resource leaves the store without a decision.

What the type checker cannot say: who may make a :class:`Visible`, who may look into a stored document, who may call
what the store does without one. Each list below is closed and says why; an entry that is not used any more is reported.

Usage: ``python tools/check_gate.py [ROOT]``. Prints each violation as ``file:line: sentence``, then fails with 1.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

PACKAGE: Final = "fhir_server"
STORE: Final = "store/"
RULES: Final = "consent/rules/"
MAKES_VISIBLE: Final = frozenset({"consent/decide.py"})

Callers: TypeAlias = Mapping[str, str]
"""``file:function`` to the reason."""

LOOKS_INTO_DOCUMENTS: Final[Callers] = {
    "interactions/binaries.py:is_same_data": "an update of a Binary is compared with the stored content",
    "interactions/binaries.py:owner_fields": "a Binary takes the labels of its owner",
    "interactions/change.py:_is_own": "who deposited it decides which change is legal",
    "interactions/history.py:_many": "the position a page ended at",
    "interactions/publishing.py:replaced_by": "what takes the place of a masked document is masked too",
    "interactions/publishing.py:_superseded": "what is replaced keeps what its body does not tell",
    "interactions/publishing.py:compared": "the size and the hash of a Binary that a document may point to",
    "interactions/read.py:_answer": "the owner of native content, for X-Security-Context; the bytes of a Binary",
    "interactions/shown.py:look_ahead": "what a page refers to",
    "interactions/update.py:shown_of": "what the stored version refers to, and is not shown",
    "interactions/shown.py:_trace": "the sealed part of a trace, against the decision that opens it",
    "interactions/shown.py:body_of": "the bytes of a Binary",
    "interactions/shown.py:note_trace": "a trace of reading a trace is withheld as that one is",
    "interactions/update.py:_delete": "a document that is deleted by a patch is shown for the last time",
    "interactions/update.py:_next_version": "what the body does not tell is kept: deposit, realm, bucket",
    "interactions/update.py:_replace": "whoever masks is not refused for what he then cannot see",
    "interactions/update.py:_must_be_his_to_lift": "who deposited a block decides who may lift it",
    "interactions/update.py:prepared": "an update is decided on the stored version",
    "interactions/update.py:patch_by": "a patch is applied to the stored version",
    "interactions/withdrawing.py:_effects": "the realm of the record whose facts change",
    "interactions/withdrawing.py:must_be_his_to_delete": "a deletion is decided on the stored version",
    "operations/explain_access.py:_entry": "a decision on it is explained to who may consult it",
    "operations/consents.py:seen": "who writes down consents renews what he deposited himself",
}
"""Outside the store: uses of ``Stored.document``, always of something a decision showed."""

CALLS_INTERNAL: Final[Mapping[str, Callers]] = {
    "holds_real_people": {"app.py:_running": "the demonstration refuses a database of real people"},
    "key": {"app.py:_server": "keys shared by every process"},
    "is_there": {"interactions/notify.py:_is_stored": "a notification is written once, by whichever process"},
    "labelled": {
        "interactions/exchange.py:Exchange.hidden": "withholds traces of what is hidden from their reader",
        "interactions/notify.py:_is_secret": "what a minor keeps secret is not told to his representatives",
    },
    "professions": {"interactions/directory.py:Directory.must_agree": "a token may not contradict the directory"},
    "records_beside": {"interactions/exchange.py:Exchange._where_else": "what belongs to several records needs each"},
    "records_of": {"interactions/prepare.py:provenance_records": "a Provenance belongs where its targets do"},
    "referred_to": {
        "interactions/scope.py:hidden_from_order": "nothing is ordered by a reference that is not shown",
        "interactions/scope.py:look": "a query finds nothing by a reference that is not shown",
    },
    "told_of": {"interactions/exchange.py:Exchange._told_and_shown": "what only tells of hidden things is hidden too"},
    "records_asked": {"interactions/scope.py:_records_of_answers": "in which records a query is decided"},
    "records_of_person": {
        "interactions/prepare.py:complete_subject": "a publisher names the patient by INS",
        "interactions/providing.py:patient_named": "and sends his Patient along, by which he is named too",
        "interactions/scope.py:records_of_identifiers": "a query names the patient by INS",
    },
    "named": {
        "interactions/naming.py:note": "a trace is withheld when the query names what is hidden",
        "interactions/publishing.py:_named": "what a document replaces is named by its identifier, then decided on",
    },
    "schema_is_newer": {"app.py:_must_understand": "refuses a database of a newer server"},
}
"""By method of ``store.internal.Internal``."""

PASSES_INTERNAL: Final[Callers] = {
    "interactions/transaction.py:_carry_out": "the entries of a transaction ask it within that transaction",
    "app.py:_running": "everything is made in app.py",
    "app.py:_server": "same",
    "interactions/directory.py:Directory.__init__": "the directory asks it for professions",
}
"""Who may hand the whole of it on."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A class whose methods read what a decision must allow; whoever holds one calls it by ``name``."""

    name: str
    file: str
    cls: str
    harmless: frozenset[str]
    """What it may answer without a decision: no body is in it."""


READERS: Final = (
    Reader(
        "reading",
        "store/reading.py",
        "Reading",
        frozenset({"Held", "list[Held]", "Facts", "int", "bool", "None"}),
    ),
    # Also how many there are, and under which keys, is told of what is allowed alone.
    Reader("finding", "store/finding.py", "Finding", frozenset()),
)

Violation: TypeAlias = tuple[str, int, str]


@dataclass
class Source:
    """One module, with every node's enclosing function."""

    path: str
    """Below the package: ``interactions/read.py``."""
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node

    def where(self, node: ast.AST) -> str:
        """``file:Class.function`` of a node; ``file:`` at the top of a module."""
        names: list[str] = []
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                names.append(node.name)
        return f"{self.path}:{'.'.join(reversed(names))}"


def sources(root: Path) -> dict[str, Source]:
    """The modules of the package under `root`, by path."""
    package = root / PACKAGE
    files = {str(file.relative_to(package)): file.read_text(encoding="utf-8") for file in package.rglob("*.py")}
    return {path: Source(path, ast.parse(text, path)) for path, text in sorted(files.items())}


def check(modules: Mapping[str, Source]) -> list[Violation]:
    """Every violation, in order."""
    internal = _methods(modules["store/internal.py"], "Internal")
    gated: dict[str, set[str]] = {}
    used: set[str] = set()
    found: list[Violation] = []
    for reader in READERS:
        methods = _methods(modules[reader.file], reader.cls)
        gated[reader.name] = {name for name, method in methods.items() if "visible" in _required(method)}
        found += _reader_is_gated(reader, methods)
    for source in modules.values():
        found += _visible_is_made_by_the_decision(source)
        if source.path.startswith(RULES):
            found += _rules_do_not_try(source)
        if not source.path.startswith(STORE):
            found += _documents_stay_in_the_store(source, used)
            found += _internal_has_its_callers(source, frozenset(internal), used)
            found += _reads_pass_a_decision(source, gated)
    return sorted([*found, *_stale(used)])


def _methods(source: Source, name: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """The public methods of a class."""
    classes = [node for node in source.tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    return {
        node.name: node
        for node in (classes[0].body if classes else ())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
    }


def _required(method: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, str]:
    """The keyword-only parameters without a default, and their types."""
    arguments = method.args
    return {
        one.arg: ast.unparse(one.annotation) if one.annotation else ""
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    }


def _reader_is_gated(
    reader: Reader, methods: Mapping[str, ast.FunctionDef | ast.AsyncFunctionDef]
) -> Iterator[Violation]:
    """Whatever a reader answers that is not harmless needs ``visible``, required and of type `Visible`."""
    if not methods:
        yield reader.file, 1, f"there is no class {reader.cls} to check"
    for name, method in methods.items():
        answer = ast.unparse(method.returns) if method.returns else ""
        if answer not in reader.harmless and _required(method).get("visible") != "Visible":
            sentence = f"{reader.cls}.{name} answers {answer} and demands no `*, visible: Visible`"
            yield reader.file, method.lineno, sentence


def _visible_is_made_by_the_decision(source: Source) -> Iterator[Violation]:
    if source.path in MAKES_VISIBLE:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and _name(node.func) == "Visible":
            yield source.path, node.lineno, "a Visible is made outside consent/decide.py"
        elif isinstance(node, ast.ClassDef) and any(_name(base) == "Visible" for base in node.bases):
            yield source.path, node.lineno, "Visible has a subclass"
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "Visible" and alias.asname not in (None, "Visible"):
                    yield source.path, node.lineno, f"Visible goes by another name here: {alias.asname}"


def _documents_stay_in_the_store(source: Source, used: set[str]) -> Iterator[Violation]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Attribute) or node.attr not in ("document", "_document"):
            continue
        where = source.where(node)
        if node.attr == "document" and where in LOOKS_INTO_DOCUMENTS:
            used.add(where)
        else:
            yield source.path, node.lineno, f".{node.attr} is used outside the store ({where} is not in the list)"


def _internal_has_its_callers(source: Source, methods: frozenset[str], used: set[str]) -> Iterator[Violation]:
    """Whatever is called ``internal`` is only called, by name, by whom the list names; nobody hands it on."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute | ast.Name) and _name(node) == "internal":
            parent, where = source.parents[node], source.where(node)
            if isinstance(parent, ast.Attribute):
                allowed = CALLS_INTERNAL.get(parent.attr, {})
                if where in allowed:
                    used.add(f"{parent.attr} {where}")
                else:
                    yield source.path, node.lineno, f"Internal.{parent.attr} is called by {where}: not in the list"
            elif where in PASSES_INTERNAL:
                used.add(where)
            elif not isinstance(node.ctx, ast.Store):
                yield source.path, node.lineno, f"the internal store is handed on by {where}: not in the list"
        elif isinstance(node, ast.Call) and _name(node.func) == "Internal" and _knows_internal(source):
            parent = source.parents[node]
            named = parent.arg if isinstance(parent, ast.keyword) else _target(parent)
            if named != "internal":
                yield source.path, node.lineno, "an Internal must be called `internal`, so that its callers are found"
        elif isinstance(node, ast.Call) and _name(node.func) == "getattr" and _mentions(node, methods | {"internal"}):
            yield source.path, node.lineno, "the internal store is reached by getattr"


def _reads_pass_a_decision(source: Source, gated: Mapping[str, set[str]]) -> Iterator[Violation]:
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Attribute):
            continue
        reader = _name(node.value) or ""
        if node.attr not in gated.get(reader, ()):
            continue
        call = source.parents[node]
        if not isinstance(call, ast.Call) or call.func is not node:
            yield source.path, node.lineno, f"{reader}.{node.attr} is handed on instead of called"
            continue
        passed = [word.value for word in call.keywords if word.arg == "visible"]
        if not passed or (isinstance(passed[0], ast.Constant)):
            yield source.path, node.lineno, f"{reader}.{node.attr} is called without visible="


def _rules_do_not_try(source: Source) -> Iterator[Violation]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Try | ast.TryStar) or (isinstance(node, ast.Call) and _name(node.func) == "suppress"):
            yield source.path, node.lineno, "a rule catches an exception: it would be a decision nobody took"


def _stale(used: set[str]) -> Iterator[Violation]:
    declared = {*LOOKS_INTO_DOCUMENTS, *PASSES_INTERNAL}
    declared |= {f"{method} {where}" for method, callers in CALLS_INTERNAL.items() for where in callers}
    for entry in sorted(declared - used):
        yield "tools/check_gate.py", 1, f"{entry} is in a list and not in the source"


def _name(node: ast.AST) -> str | None:
    """The last name of ``a.b.c`` or ``c``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _knows_internal(source: Source) -> bool:
    """Whether the name is the store's, not the one of an error."""
    module = f"{PACKAGE}.store.internal"
    return any(isinstance(node, ast.ImportFrom) and node.module == module for node in ast.walk(source.tree))


def _target(node: ast.AST) -> str | None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        return _name(node.targets[0])
    return _name(node.target) if isinstance(node, ast.AnnAssign) else None


def _mentions(call: ast.Call, names: frozenset[str]) -> bool:
    return any(isinstance(one, ast.Constant) and one.value in names for one in call.args)


def main(arguments: list[str]) -> int:
    """Check, print, answer the exit code."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[1]
    violations = check(sources(root))
    for path, line, sentence in violations:
        print(f"{path if path.startswith('tools/') else f'{PACKAGE}/{path}'}:{line}: {sentence}")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
