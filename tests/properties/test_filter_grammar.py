"""Any text of a `_filter` is read or refused with a sentence; a tree that is written is read to itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.errors import Invalid
from fhir_server.search.filter_grammar import (
    MAX_DEPTH,
    Comparison,
    Conjunction,
    Disjunction,
    Filter,
    Negation,
    Operator,
    Step,
    Text,
    Word,
    parse,
    write,
)

FRAGMENTS = (
    *("a", "_has", ":", ".", "[", "]", "(", ")", " ", "  ", "\t", "not", " and ", " or ", "and", "or", " eq ", " pr "),
    *(
        '"',
        "\\",
        "\\n",
        "\\u00e9",
        "\\ud83d",
        "\\ude00",
        "é",
        "|",
        "1",
        "true",
        "a eq 1",
        "(a eq 1)",
        'a co "b"',
        "\x00",
    ),
)
"""What comes near to a filter, so that most rules are met half-way."""

anything = st.text() | st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)

# What a value may hold: no control character but the three of FHIR, no half of a character; of a word, no white space.
signs = st.sampled_from('"\\/)]([ \t\r\n\x7f') | st.characters(exclude_categories=["Cs", "Cc"])
texts = st.text(signs, max_size=12)
in_words = st.sampled_from("\"\\|,$(['/:\x7f") | st.characters(
    exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"], exclude_characters=")]"
)
words = st.builds("".join, st.tuples(in_words.filter(lambda sign: sign != '"'), st.text(in_words, max_size=11)))
names = st.sampled_from(["a", "_id", "value-date", "Z9", "not-in"])
qualifiers = st.lists(names, max_size=2).map(tuple)


def comparisons(conditions: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    last = st.builds(Step, names, qualifiers)
    steps = st.builds(Step, names, qualifiers, st.none() | conditions)
    path = st.builds(lambda first, last: (*first, last), st.lists(steps, max_size=1), last)
    compared = st.sampled_from([one for one in Operator if one is not Operator.PR])
    present = st.sampled_from([Word("true"), Word("false"), Text("true"), Text("false")])
    value = st.builds(Word, words) | st.builds(Text, texts)
    return st.builds(Comparison, path, compared, value) | st.builds(Comparison, path, st.just(Operator.PR), present)


def nested(parts: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(parts, min_size=2, max_size=4).map(tuple)
    return st.one_of(
        st.builds(Negation, parts),
        st.builds(Conjunction, several),
        st.builds(Disjunction, several),
        comparisons(parts),
    )


def levels(tree: Filter) -> int:
    """As the limit counts them, told anew from the tree alone."""
    match tree:
        case Comparison(path):
            names = most = 0
            for step in path:
                names += 1 + len(step.qualifiers)
                most = max(most, names + (levels(step.condition) if step.condition else 0))
            return most
        case Negation(part):
            return 1 + levels(part)
        case Conjunction(parts) | Disjunction(parts):
            return 1 + max(map(levels, parts))


leaves = comparisons(st.nothing())
shallow = leaves | nested(leaves | nested(leaves))
every_tree: st.SearchStrategy[Filter] = st.recursive(leaves, nested, max_leaves=12)


def refusal(text: str) -> str | None:
    """The sentence; nothing when the text is read."""
    try:
        parse(text)
    except Invalid as refused:
        return str(refused)
    return None


@given(text=anything)
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    sentence = refusal(text)
    if sentence is None:
        tree = parse(text)
        assert parse(write(tree)) == tree
    else:
        assert sentence.startswith(("Expected at character ", "This server takes "))
        assert sentence.endswith(".")
        assert sentence.isprintable()
        assert len(sentence) < 400
        at = int("".join(sign for sign in sentence.partition("at character ")[2][:6] if sign.isdigit()))
        assert 1 <= at <= len(text) + 1


@given(tree=shallow)
def test_a_tree_that_is_written_is_read_to_itself(tree: Filter) -> None:
    assert parse(write(tree)) == tree


def wrapped(tree: Filter, how: str) -> Filter:
    leaf = Comparison((Step("a"),), Operator.EQ, Word("1"))
    match how:
        case "not":
            return Negation(tree)
        case "and":
            return Conjunction((tree, leaf))
        case "or":
            return Disjunction((leaf, tree))
        case "chain":
            return Comparison((Step("a"), Step("b", ("T",), tree), Step("c")), Operator.EQ, Word("1"))
        case _:
            return Comparison((Step("a", (), tree), Step("b")), Operator.EQ, Word("1"))


wraps = st.lists(st.sampled_from(["not", "and", "or", "brackets", "chain"]), min_size=8, max_size=22)
deep_trees = st.builds(lambda tree, hows: reduce(wrapped, hows, tree), leaves, wraps)


@given(tree=every_tree | deep_trees)
def test_a_tree_is_refused_for_its_levels_alone(tree: Filter) -> None:
    """The levels that the reader counts on its way are those of the tree it makes."""
    sentence = refusal(write(tree))
    if levels(tree) <= MAX_DEPTH:
        assert parse(write(tree)) == tree
    else:
        assert sentence is not None
        assert "levels in a filter" in sentence


@dataclass(frozen=True)
class Loosely:
    """Another writer: as many spaces and parentheses as it likes."""

    draw: Callable[[st.SearchStrategy[str]], str]

    def spaces(self, least: int = 0) -> str:
        return self.draw(st.text(" \t\n\r\u00a0\u2003", min_size=least, max_size=3))

    def parenthesised(self, tree: Filter) -> str:
        return f"({self.spaces()}{self.write(tree)}{self.spaces()})"

    def operand(self, tree: Filter) -> str:
        return self.write(tree) if isinstance(tree, Comparison | Negation) else self.parenthesised(tree)

    def step(self, step: Step) -> str:
        name = ":".join([step.name, *step.qualifiers])
        if step.condition is None:
            return name
        return f"{name}[{self.spaces()}{self.write(step.condition)}{self.spaces()}]"

    def write(self, tree: Filter) -> str:
        bare = self.bare(tree)
        return bare if self.draw(st.sampled_from(["as it is", "in parentheses"])) == "as it is" else f"({bare})"

    def bare(self, tree: Filter) -> str:
        match tree:
            case Comparison(path, operator, value):
                quoted = "".join(f"\\u{unit:04X}" for unit in _units(value.text))
                compared = f'"{quoted}"' if isinstance(value, Text) else value.text
                return f"{'.'.join(map(self.step, path))}{self.spaces(1)}{operator}{self.spaces(1)}{compared}"
            case Negation(part):
                return f"not{self.spaces()}{self.parenthesised(part)}"
            case Conjunction(parts):
                return self.joined("and", parts)
            case Disjunction(parts):
                return self.joined("or", parts)

    def joined(self, word: str, parts: tuple[Filter, ...]) -> str:
        written = self.operand(parts[0])
        for part in parts[1:]:
            written += f"{self.spaces(1)}{word}{self.spaces(1)}{self.operand(part)}"
        return written


def _units(text: str) -> list[int]:
    """UTF-16, which the escapes of JSON count in."""
    encoded = text.encode("utf-16-be")
    return [int.from_bytes(encoded[n : n + 2]) for n in range(0, len(encoded), 2)]


@given(tree=shallow, data=st.data())
def test_spaces_parentheses_and_escapes_change_nothing(tree: Filter, data: st.DataObject) -> None:
    assert parse(f" {Loosely(data.draw).write(tree)} ") == tree


@given(units=st.lists(st.sampled_from([0, 9, 0x1F, 0x41, 0xD7FF, 0xD83D, 0xDBFF, 0xDC00, 0xDE00, 0xE000]), max_size=4))
def test_escapes_are_those_of_json_for_characters_of_fhir(units: list[int]) -> None:
    written = '"' + "".join(f"\\u{unit:04x}" for unit in units) + '"'
    text = json.loads(written)
    if any(sign in "\0\x1f" or "\ud800" <= sign <= "\udfff" for sign in text):
        assert "an escape of JSON" in (refusal(f"a eq {written}") or "")
    else:
        assert parse(f"a eq {written}") == Comparison((Step("a"),), Operator.EQ, Text(text))


@given(first=st.booleans(), rest=st.lists(st.tuples(st.sampled_from(["and", "or"]), st.booleans()), max_size=12))
def test_a_flat_filter_is_decided_left_to_right(first: bool, rest: list[tuple[str, bool]]) -> None:
    decided = first
    for junction, value in rest:
        decided = decided and value if junction == "and" else decided or value
    written = " ".join([f"a eq {first}", *(f"{junction} a eq {value}" for junction, value in rest)])
    assert holds(parse(written)) is decided
    assert holds(parse(write(parse(written)))) is decided


def holds(tree: Filter) -> bool:
    """The tree of `a eq True` and `a eq False`."""
    match tree:
        case Comparison(_, _, value):
            return value.text == "True"
        case Negation(part):
            return not holds(part)
        case Conjunction(parts):
            return all(map(holds, parts))
        case Disjunction(parts):
            return any(map(holds, parts))


@pytest.mark.parametrize(
    "text",
    [
        *("(", " ", "a", "a.", "a:", "a[", "not (", "a eq 1 and ", "a eq 1 or a eq 1 and ", "_", "\x00", "and ", "]"),
        *('"', "\\", "a eq a", '"\\'),
    ],
)
@pytest.mark.parametrize("before", ["", "a", "a eq ", 'a eq "', 'a eq "\\ud83d'])
def test_a_hostile_text_is_read_in_time_linear_in_its_length(before: str, text: str) -> None:
    """A reader that goes back over what it has read would need minutes; the bound is for slow machines."""
    began = time.perf_counter()
    for after in ("", '"', ")"):
        assert len(refusal(before + text * (200_000 // len(text)) + after) or "") < 400
    assert time.perf_counter() - began < 10
