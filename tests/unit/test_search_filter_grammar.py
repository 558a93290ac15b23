"""The syntax of `_filter`: every example and rule of https://hl7.org/fhir/R4/search_filter.html, and every refusal."""

from __future__ import annotations

from typing import cast

import pytest

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import IssueType
from fhir_server.search.filter_grammar import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    Comparison,
    Conjunction,
    Disjunction,
    Filter,
    Negation,
    Operator,
    Step,
    Text,
    Value,
    Word,
    excerpt,
    parse,
    write,
    write_path,
)


def compared(names: str, operator: Operator, value: Value) -> Comparison:
    return Comparison(tuple(Step(name) for name in names.split(".")), operator, value)


def related(condition: Filter, operator: Operator, value: Value) -> Comparison:
    return Comparison((Step("related", (), condition), Step("target")), operator, value)


def equal(name: str) -> Comparison:
    """What `<name> eq 1` is read to."""
    return compared(name, Operator.EQ, Word("1"))


A, B, C, D = (equal(name) for name in "abcd")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ('name co "pet"', compared("name", Operator.CO, Text("pet"))),
        (
            'given eq "peter" and birthdate ge 2014-10-10',
            Conjunction(
                (
                    compared("given", Operator.EQ, Text("peter")),
                    compared("birthdate", Operator.GE, Word("2014-10-10")),
                )
            ),
        ),
        ("code eq http://loinc.org|1234-5", compared("code", Operator.EQ, Word("http://loinc.org|1234-5"))),
        ('subject.name co "pet"', compared("subject.name", Operator.CO, Text("pet"))),
        (
            'related[type eq "has-component"].target pr true',
            related(compared("type", Operator.EQ, Text("has-component")), Operator.PR, Word("true")),
        ),
        (
            "related[type eq has-component].target re Observation/4",
            related(compared("type", Operator.EQ, Word("has-component")), Operator.RE, Word("Observation/4")),
        ),
        (
            "related[type eq has-component].target re url",
            related(compared("type", Operator.EQ, Word("has-component")), Operator.RE, Word("url")),
        ),
    ],
)
def test_the_examples_of_the_page_are_read(text: str, tree: Filter) -> None:
    assert parse(text) == tree
    assert write(tree) == text


@pytest.mark.parametrize("operator", Operator)
def test_every_comparison_of_the_page_is_read(operator: Operator) -> None:
    assert parse(f"a {operator} true") == compared("a", operator, Word("true"))


def test_the_comparisons_are_those_of_the_page() -> None:
    assert {*Operator} == set("eq ne co sw ew gt lt ge le ap sa eb pr po ss sb in ni re".split())


@pytest.mark.parametrize("value", ["true", "false", '"true"', '"false"'])
def test_presence_is_true_or_false(value: str) -> None:
    read = parse(f"given pr {value}")
    assert isinstance(read, Comparison)
    assert read.operator is Operator.PR
    assert read.value == (Text(value.strip('"')) if value.startswith('"') else Word(value))


@pytest.mark.parametrize(
    "word",
    [
        "5.4",
        "-1",
        "2014-10-10T10:00:00.000+02:00",
        "5.4|http://unitsofmeasure.org|mg",
        "http://loinc.org|1234-5",
        "|1234-5",
        "http://loinc.org|",
        "code$loinc|12907-2,value$ge150|http://unitsofmeasure.org|mmol/L",
        r"a\,b\|c\\",
        "Patient/1",
        "true",
        "and",
        "a(b[c",
        "'pet'",
        'pet"',
        "œuf",
    ],
)
def test_a_word_goes_to_the_next_space_as_it_is_written(word: str) -> None:
    assert parse(f"a eq {word}") == compared("a", Operator.EQ, Word(word))
    assert parse(f"(a eq {word})") == compared("a", Operator.EQ, Word(word))
    assert parse(f"a[b eq {word}].c eq 1 and a eq 1") == Conjunction(
        (Comparison((Step("a", (), compared("b", Operator.EQ, Word(word))), Step("c")), Operator.EQ, Word("1")), A)
    )


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('""', ""),
        ('"a b ) ] ( [ and not"', "a b ) ] ( [ and not"),
        (r'"a\"b"', 'a"b'),
        (r'"\\\/"', "\\/"),
        (r'"\n\r\t"', "\n\r\t"),
        (r'"\u00e9\u00E9\u0009"', "éé\t"),
        (r'"\ud83d\ude00 \uD83D\uDE00"', "😀 😀"),
        (r'"\ud800\udc00\udbff\udfff"', "\U00010000\U0010ffff"),
        (r'"\ue000\ud7ff"', "\ue000\ud7ff"),
        (r'"a\\,b"', r"a\,b"),
        ('"😀œ"', "😀œ"),
    ],
)
def test_a_text_in_quotation_marks_is_a_string_of_json(written: str, text: str) -> None:
    tree = compared("a", Operator.EQ, Text(text))
    assert parse(f"a eq {written}") == tree
    assert parse(write(tree)) == tree


def test_a_text_and_a_word_stay_what_they_are() -> None:
    assert parse('a eq "x"') != parse("a eq x")


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("_id", (Step("_id"),)),
        ("value-date", (Step("value-date"),)),
        ("a.b.c", (Step("a"), Step("b"), Step("c"))),
        ("subject:Patient.name", (Step("subject", ("Patient",)), Step("name"))),
        ("code:not-in", (Step("code", ("not-in",)),)),
        ("_has:Observation:patient:code", (Step("_has", ("Observation", "patient", "code")),)),
        ("patient._has:Group:member:_id", (Step("patient"), Step("_has", ("Group", "member", "_id")))),
        ("a.not.and.or", (Step("a"), Step("not"), Step("and"), Step("or"))),
        ("notes", (Step("notes"),)),
        ("order-detail", (Step("order-detail"),)),
        ("a[b eq 1].c[d eq 1].e", (Step("a", (), B), Step("c", (), D), Step("e"))),
        ("a:T[a eq 1 or b eq 1].c", (Step("a", ("T",), Disjunction((A, B))), Step("c"))),
        (
            "a[b[c eq 1].d eq 1].e",
            (Step("a", (), Comparison((Step("b", (), C), *D.path), D.operator, D.value)), Step("e")),
        ),
        ("a[not (b eq 1)].c", (Step("a", (), Negation(B)), Step("c"))),
    ],
)
def test_a_path_has_names_chains_colons_and_brackets(written: str, path: tuple[Step, ...]) -> None:
    read = parse(f"{written} eq 1")
    assert isinstance(read, Comparison)
    assert read.path == path
    assert write_path(path) == written


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a eq 1 and b eq 1 and c eq 1", Conjunction((A, B, C))),
        ("a eq 1 or b eq 1 or c eq 1", Disjunction((A, B, C))),
        ("a eq 1 or b eq 1 and c eq 1", Conjunction((Disjunction((A, B)), C))),
        ("a eq 1 and b eq 1 or c eq 1", Disjunction((Conjunction((A, B)), C))),
        ("a eq 1 or b eq 1 and c eq 1 or d eq 1", Disjunction((Conjunction((Disjunction((A, B)), C)), D))),
        ("a eq 1 or b eq 1 or c eq 1 and d eq 1", Conjunction((Disjunction((A, B, C)), D))),
    ],
)
def test_and_and_or_are_read_left_to_right_without_precedence(text: str, tree: Filter) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("(a eq 1)", A),
        ("((a eq 1))", A),
        ("a eq 1 or (b eq 1 and c eq 1)", Disjunction((A, Conjunction((B, C))))),
        ("(a eq 1 or b eq 1) and c eq 1", Conjunction((Disjunction((A, B)), C))),
        ("a eq 1 and (b eq 1 and c eq 1)", Conjunction((A, Conjunction((B, C))))),
        ("(a eq 1 and b eq 1) and c eq 1", Conjunction((Conjunction((A, B)), C))),
        ("not (a eq 1)", Negation(A)),
        ("not (not (a eq 1))", Negation(Negation(A))),
        ("not (a eq 1) and b eq 1", Conjunction((Negation(A), B))),
        ("a eq 1 or not (b eq 1 and c eq 1)", Disjunction((A, Negation(Conjunction((B, C)))))),
    ],
)
def test_parentheses_say_what_belongs_together(text: str, tree: Filter) -> None:
    assert parse(text) == tree
    assert parse(write(tree)) == tree


def test_what_is_written_means_the_same_to_who_expects_precedence() -> None:
    assert write(parse("a eq 1 or b eq 1 and c eq 1")) == "(a eq 1 or b eq 1) and c eq 1"


@pytest.mark.parametrize(
    "text",
    [
        "not (a eq 1) and (b eq 1 or c eq 1)",
        "not(a eq 1)and(b eq 1 or c eq 1)",
        "  not  (  a   eq   1  )  and  (  b eq 1  or  c eq 1  )  ",
        "not\t(\na\u00a0eq\u20031\r\n)and ( b eq 1\tor\tc eq 1)",
    ],
)
def test_spaces_may_stand_around_everything_but_in_a_path(text: str) -> None:
    assert write(parse(text)) == "not (a eq 1) and (b eq 1 or c eq 1)"


def test_after_a_text_no_space_is_needed() -> None:
    assert write(parse('a eq "1"and b eq "2"or c eq 3')) == '(a eq "1" and b eq "2") or c eq 3'


def test_a_comparison_knows_where_it_begins() -> None:
    """For who refuses it later; two filters that differ in their spaces alone are equal all the same."""
    read = parse("  a eq 1 and  b[c eq 1].d eq 1")
    assert isinstance(read, Conjunction)
    first, second = read.parts
    assert isinstance(first, Comparison)
    assert isinstance(second, Comparison)
    inner = second.path[0].condition
    assert isinstance(inner, Comparison)
    assert (first.at, second.at, inner.at) == (2, 14, 16)
    assert read == parse("a eq 1 and b[c eq 1].d eq 1")
    assert hash(read) == hash(parse("a eq 1 and b[c eq 1].d eq 1"))


ALL = "eq, ne, co, sw, ew, gt, lt, ge, le, ap, sa, eb, pr, po, ss, sb, in, ni, re"
OPERAND = "a parameter name, 'not' or '('"
ESCAPE = r"""an escape of JSON (\" \\ \/ \n \r \t \uXXXX) for a character of FHIR"""


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("", 1, OPERAND),
        ("   ", 4, OPERAND),
        ("()", 2, OPERAND),
        ("a eq 1 and ", 12, OPERAND),
        ("a eq 1 and and b eq 1", 12, OPERAND),
        ("or a eq 1", 1, OPERAND),
        ("1 eq 1", 1, OPERAND),
        ("é eq 1", 1, OPERAND),
        ('"a" eq 1', 1, OPERAND),
        ("a[].b eq 1", 3, OPERAND),
        ("not a eq 1", 5, "'(' after 'not'"),
        ("not.a eq 1", 4, "'(' after 'not'"),
        ("not", 4, "'(' after 'not'"),
        ("a", 2, f"a space and a comparison ({ALL})"),
        ("a=1", 2, f"a space and a comparison ({ALL})"),
        ("aé eq 1", 2, f"a space and a comparison ({ALL})"),
        ("a is 1", 3, f"a comparison ({ALL})"),
        ("a EQ 1", 3, f"a comparison ({ALL})"),
        ("a equals 1", 3, f"a comparison ({ALL})"),
        ("a ", 3, f"a comparison ({ALL})"),
        ("a [b eq 1].c eq 1", 3, f"a comparison ({ALL})"),
        ("a .b eq 1", 3, f"a comparison ({ALL})"),
        ('a eq"1"', 5, "a space and a value after 'eq'"),
        ("a eq", 5, "a space and a value after 'eq'"),
        ("a eq ", 6, "a value"),
        ("(a eq )", 7, "a value"),
        ("a[b eq ].c eq 1", 8, "a value"),
        ("a pr yes", 6, "true or false after 'pr'"),
        ("a pr TRUE", 6, "true or false after 'pr'"),
        ('a pr ""', 6, "true or false after 'pr'"),
        ("a. eq 1", 3, "a name after '.'"),
        ("a..b eq 1", 3, "a name after '.'"),
        ("a.1 eq 1", 3, "a name after '.'"),
        ("a: eq 1", 3, "a name after ':'"),
        ("_has:Observation::code eq 1", 18, "a name after ':'"),
        ("a[b eq 1] eq 1", 10, "'.' and a name after the brackets"),
        ("a[b eq 1][c eq 1].d eq 1", 10, "'.' and a name after the brackets"),
        ("a[b eq 1]. eq 1", 11, "a name after '.'"),
        ("a[b eq 1", 9, "'and', 'or' or ']'"),
        ("a[b eq 1).c eq 1", 9, "'and', 'or' or ']'"),
        ("(a eq 1", 8, "'and', 'or' or ')'"),
        ("(a eq 1]", 8, "'and', 'or' or ')'"),
        ("not (a eq 1", 12, "'and', 'or' or ')'"),
        ("a eq 1)", 7, "'and', 'or' or the end"),
        ("a eq 1 b eq 1", 8, "'and', 'or' or the end"),
        ("a eq 1 AND b eq 1", 8, "'and', 'or' or the end"),
        ("a eq 1 andb eq 1", 8, "'and', 'or' or the end"),
        ('a eq "1"2', 9, "'and', 'or' or the end"),
        ("(a eq 1)(b eq 1)", 9, "'and', 'or' or the end"),
        ('a eq "b', 8, "a quotation mark that closes the one at character 6"),
        (r'a eq "b\"', 10, "a quotation mark that closes the one at character 6"),
        ('a eq "b\tc"', 8, r"\t, \r or \n for a tab or the end of a line in quotation marks"),
        ('a eq "b\n"', 8, r"\t, \r or \n for a tab or the end of a line in quotation marks"),
        ('a eq "b\\', 8, ESCAPE),
        (r'a eq "b\x"', 8, ESCAPE),
        (r'a eq "\u12"', 7, ESCAPE),
        (r'a eq "\u+123"', 7, ESCAPE),
        (r'a eq "\u１２３４"', 7, ESCAPE),
        (r'a eq "\u0000"', 7, ESCAPE),
        (r'a eq "\b"', 7, ESCAPE),
        (r'a eq "\u001f"', 7, ESCAPE),
        (r'a eq "\ud83d"', 7, ESCAPE),
        (r'a eq "\ud83dx"', 7, ESCAPE),
        (r'a eq "\ud83d\ud83d"', 7, ESCAPE),
        (r'a eq "\ude00\ud83d"', 7, ESCAPE),
        ("a eq b\x00", 7, "a character that FHIR values may have"),
        ('a eq "\x1f"', 7, "a character that FHIR values may have"),
        ("a eq \ud800", 6, "a character that FHIR values may have"),
    ],
)
def test_a_refusal_says_what_was_expected_and_where(text: str, at: int, expected: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(text)
    there = (
        f": {expected}, not {excerpt(text, at - 1)}." if at <= len(text) else f", where the filter ends: {expected}."
    )
    assert str(refused.value) == f"Expected at character {at}{there}"
    assert refused.value.issues[0].code is IssueType.INVALID


def test_a_refusal_shows_a_bounded_part_and_nothing_invisible() -> None:
    with pytest.raises(Invalid) as refused:
        parse("a eq 1 \u202e\x7f\t\\" + "é" * 1000)
    assert str(refused.value) == (
        r"Expected at character 8: 'and', 'or' or the end, not '\u202e\x7f\t\éééééééééééééééééééé…'."
    )


TOO_DEEP = f"This server takes {MAX_DEPTH} levels in a filter; there are more"


def alternating(changes: int) -> str:
    """Of `and` and `or`, with that many changes between them."""
    return "a eq 1" + "".join(f" {('and', 'or')[n % 2]} a eq 1" for n in range(changes + 1))


@pytest.mark.parametrize(
    ("make", "most"),
    [
        (lambda n: "(" * n + "a eq 1" + ")" * n, MAX_DEPTH),
        (lambda n: "a eq 1 or (" * n + "a eq 1" + ")" * n, MAX_DEPTH - 1),
        (lambda n: "a eq 1 or not (" * n + "a eq 1" + ")" * n, MAX_DEPTH // 2 - 1),
        (lambda n: "not (" * n + "a eq 1" + ")" * n, MAX_DEPTH - 1),
        (lambda n: "a[" * n + "a eq 1" + "].a eq 1" * n, MAX_DEPTH - 1),
        (lambda n: "a" + ".a" * n + " eq 1", MAX_DEPTH - 1),
        (lambda n: "a" + ":a" * n + " eq 1", MAX_DEPTH - 1),
        (lambda n: "a." * n + "a[a eq 1].a eq 1", MAX_DEPTH - 2),
        (alternating, MAX_DEPTH - 2),
        (lambda n: f"not ({alternating(n)})", MAX_DEPTH - 3),
    ],
    ids="parentheses junctions negated-junctions not brackets chain colons chain-and-brackets changes mixed".split(),
)
def test_a_filter_has_so_many_levels(make, most: int) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    """A tree of the limit is read, and written within the limit; the next level is refused by that name."""
    tree = parse(make(most))
    assert parse(write(tree)) == tree
    with pytest.raises(Invalid, match=f"^{TOO_DEEP} at character ") as refused:
        parse(make(most + 1))
    assert refused.value.issues[0].code is IssueType.TOO_COSTLY


def test_a_limit_is_told_where_it_is_met() -> None:
    with pytest.raises(Invalid) as refused:
        parse("(" * 21 + "a eq 1" + ")" * 21)
    assert str(refused.value) == f"{TOO_DEEP} at character 22: 'a eq 1))))))))))))))))))…'."
    with pytest.raises(Invalid) as refused:
        parse("not (" * 20 + "a eq 1" + ")" * 20)
    assert str(refused.value) == f"{TOO_DEEP} at character 127, where it ends."


def test_a_level_that_is_closed_counts_no_more() -> None:
    deep = "(" * MAX_DEPTH + "a eq 1" + ")" * MAX_DEPTH
    assert parse(f"{deep} and {deep}") == Conjunction((A, A))


def test_a_filter_has_so_many_comparisons() -> None:
    """Those in brackets count; a long run of one word is no level."""
    pair = "a[a eq 1].a eq 1"
    most = " and ".join([pair] * (MAX_COMPARISONS // 2))
    assert write(parse(most)) == most
    with pytest.raises(Invalid) as refused:
        parse(f"{most} and a eq 1")
    assert str(refused.value) == (
        f"This server takes {MAX_COMPARISONS} comparisons in one filter; one more begins"
        f" at character {len(most) + 6}: 'a eq 1'."
    )
    assert refused.value.issues[0].code is IssueType.TOO_COSTLY


def test_what_is_no_node_is_not_written() -> None:
    with pytest.raises(AssertionError):
        write(cast("Filter", Step("a")))
