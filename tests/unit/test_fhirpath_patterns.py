"""Regular expressions find what they say, in time that grows with the text, and refuse what they cannot."""

from __future__ import annotations

from typing import Final

import pytest

from fhir_server.fhirpath.effort import Effort
from fhir_server.fhirpath.pattern_tree import DEEPEST, LONGEST
from fhir_server.fhirpath.patterns import MOST_KEPT, MOST_STEPS, compile_pattern
from fhir_server.fhirpath.refused import NotUnderstood, TooMuch

FOUND: Final = [
    ("FHIR", "xFHIRx", True),
    ("fhir", "FHIR", False),
    ("(?i)fhir", "FHIR", True),
    ("A.*B", "A\n\tB", True),
    ("^[0-9]{13}$", "1234567890123", True),
    ("^[0-9]{13}$", "12345678901234", False),
    ("^[0-9]{13}$", "123456789012\n", False),
    ("^(a|bc)+$", "abcbca", True),
    ("^(a|bc)+$", "abcb", False),
    ("^a{2,3}$", "aaaa", False),
    ("^a{2,}$", "aaaa", True),
    ("^a{0}b$", "b", True),
    (r"\bcat\b", "a cat.", True),
    (r"\bcat\b", "concatenate", False),
    (r"\Bcat\B", "concatenate", True),
    (r"^\w+\s\d+\S$", "ab 12c", True),
    (r"^\W$", "é", True),
    (r"^[^\d]+$", "abc", True),
    (r"^[\w.-]+$", "a.b-c", True),
    (r"^[a\-z]$", "m", False),
    (r"^[a-c-]$", "-", True),
    (r"^[]a]$", "]", True),
    (r"^\x41\u0042$", "AB", True),
    (r"^\p{Lu}\p{L}*$", "École", True),
    (r"^\P{L}$", "1", True),
    (r"^https?:\/\/[a-z.]+$", "https://hl.org", True),
    (r"^\$\{\}$", "${}", True),
    ("^$", "", True),
    ("", "anything", True),
    ("a|", "b", True),
    ("(?:ab)?c", "c", True),
    ("(?<year>[0-9]{4})", "in 2024", True),
    ("🔥+", "🔥🔥", True),
    (r"^[^\s\.,:;\'\"\/|?!@#$%&*()\[\]{}]{1,64}(\.[^\s\.,:;\'\"\/|?!@#$%&*()\[\]{}]{1,64}(\[x\])?(\:[^\s\.]+)?)*$",
     "Patient.deceased[x]:deceasedBoolean", True),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "text", "found"), FOUND)
def test_a_pattern_is_found_anywhere_in_the_text(pattern: str, text: str, *, found: bool) -> None:
    compiled = compile_pattern(pattern)
    assert compiled.matches(text, Effort()) is found
    assert compiled.matches(text, Effort()) is found


def test_a_pattern_may_have_to_be_the_whole_text() -> None:
    compiled = compile_pattern("a|ab")
    assert compiled.matches("ab", Effort(), whole=True)
    assert not compiled.matches("abc", Effort(), whole=True)
    assert compiled.matches("abc", Effort())


@pytest.mark.parametrize(
    ("pattern", "template", "text", "expected"),
    [
        ("234", "X", "123456", "1X56"),
        ("[0-9]", "-", "abc12", "abc--"),
        ("", "x", "abc", "abc"),
        ("b*", "x", "abc", "xaxxcx"),
        (r"\..*", "", "Patient.name.given", "Patient"),
        ("(a)(b)?", "[$2$1$0]", "aab", "[aa][baab]"),
        (
            r"\b(?<month>\d{1,2})/(?<day>\d{1,2})/(?<year>\d{4})\b",
            "${year}-${month}-${day}",
            "on 11/30/1972",
            "on 1972-11-30",
        ),
        ("a+?", "x", "aaa", "xxx"),
        ("a+", "x", "aaa", "x"),
        ("(a|ab)(c|bcd)", "<$1|$2>", "abcd", "<a|bcd>"),
        ("a", r"\$1", "a", "$1"),
        ("a", "$7${none}", "a", "$7${none}"),
        ("^a", "x", "aa", "xa"),
        ("a$", "x", "aa", "ax"),
    ],
)
def test_what_is_found_is_replaced(pattern: str, template: str, text: str, expected: str) -> None:
    assert "".join(compile_pattern(pattern).replaced(text, template, Effort())) == expected


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*a){12}$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_no_pattern_takes_longer_than_the_text_is_long(pattern: str) -> None:
    """Those that make others try again and again; the effort of one request is enough for 20,000 characters."""
    compiled = compile_pattern(pattern)
    assert not compiled.matches("a" * 20_000 + "!", Effort())


def test_a_pattern_with_ever_new_states_spends_the_effort() -> None:
    compiled = compile_pattern("a(a|b){200}c")
    text = "".join(f"{number:b}" for number in range(8_000)).translate({48: "a", 49: "b"})
    with pytest.raises(TooMuch):
        compiled.matches(text, Effort())


def test_what_is_kept_of_a_pattern_is_bounded() -> None:
    compiled = compile_pattern("^.*$")
    text = "".join(map(chr, range(0x4E00, 0x4E00 + MOST_KEPT + 500)))
    assert compiled.matches(text, Effort(10**9))
    assert compiled.matches(text, Effort(10**9))
    assert compiled.kept <= MOST_KEPT


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("(?=a)", "looking ahead"),
        ("(?<!a)b", "looking ahead"),
        ("(a)\\1", "\\1"),
        ("a**", "repetition of a repetition"),
        ("a++", "repetition of a repetition"),
        ("*a", "nothing before"),
        ("(a", "not closed"),
        ("a)", "unopened"),
        ("[a", "not closed"),
        ("[z-a]", "ends before"),
        ("[a&&b]", "&"),
        ("[[:alpha:]]", "["),
        ("a{,3}", "brace"),
        ("a{2,1}", "{2,1}"),
        ("a{5000}", "1000"),
        ("\\q", "\\q"),
        ("\\p{Greek}", "category"),
        ("a\\", "\\"),
        ("(?<1>a)", "name"),
        ("(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1), str(DEEPEST)),
        ("a" * (LONGEST + 1), str(LONGEST)),
        ("(a{100}){100}", str(MOST_STEPS)),
        ("((((a{1000}){1000}){1000}){1000})", str(MOST_STEPS)),
    ],
)
def test_a_pattern_that_is_not_understood_is_refused(pattern: str, named: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        compile_pattern(pattern)
    assert named in str(refused.value)


def test_nothing_repeated_is_nothing() -> None:
    assert compile_pattern("((?:){1000}){1000}a").matches("a", Effort())
    assert compile_pattern("^((?:){1000})*a").matches("a", Effort())
