"""The words of the rules: each rule has them, in both languages, and says what it rests on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fhir_server.consent.complete import must_be_complete
from fhir_server.consent.rules import LIMITS, RULES
from fhir_server.consent.verdict import Effect
from fhir_server.consent.words import TABLE, InvalidWords, Sentence, fill, must_speak, parse, words
from fhir_server.fhir import date
from tests.build import PARIS, law, moment
from tools.consent_rules import table

ROOT = Path(__file__).parents[2]
SHIPPED = TABLE.read_text(encoding="utf-8")
IDS = {rule.__name__.replace("_", "-") for rule in RULES}
OURS = {"directory", "conformance", "realm", "scope", "token-record", "support"}
"""Rules that no rule of the DMP has a number for: they rest on the law, a specification, or a decision of ours."""


def test_every_rule_has_words_and_nothing_else_has() -> None:
    assert set(words().rules) == IDS
    assert {rule for rule, one in words().rules.items() if one.effect is Effect.LIMIT} == LIMITS


@pytest.mark.parametrize("rule", sorted(IDS))
def test_every_rule_says_what_it_rests_on(rule: str) -> None:
    one = words().rules[rule]
    assert bool(one.rests) is (rule not in OURS)
    assert one.rests or one.law or one.decided
    assert all(re.fullmatch(r"R-\d\d", told) for told in one.rests)
    assert all(re.fullmatch(r"[LR]\d{4}-\d+(-\d+)?|arrêté du .*", told) for told in one.law)


@pytest.mark.parametrize("rule", sorted(IDS))
def test_the_docstring_of_a_rule_and_its_words_cite_the_same_law(rule: str) -> None:
    """What the code cites, the explanation cites too."""
    source = (ROOT / "fhir_server" / "consent" / "rules" / f"{rule.replace('-', '_')}.py").read_text(encoding="utf-8")
    docstring = source.split('"""')[1]
    cited = set(re.findall(r"\b[LR]\d{4}-\d+(?:-\d+)?", docstring))
    assert cited <= set(words().rules[rule].law)


@pytest.mark.parametrize("rule", sorted(IDS))
def test_the_sentences_are_sentences_and_french_is_set_as_french(rule: str) -> None:
    for key, sentence in words().rules[rule].words.items():
        for text in (sentence.fr, sentence.en):
            assert text.endswith("."), key
            assert text[0].isupper(), key
        assert "'" not in sentence.fr, f"{key}: a typographic apostrophe (’)"
        assert not re.search(r"[^\u202f][;!?]|[^\u00a0]:", sentence.fr), f"{key}: a narrow space before ; ! ?"


def test_a_rule_without_words_does_not_start() -> None:
    effects = {rule: one.effect for rule, one in words().rules.items()}
    must_speak(words(), effects)
    with pytest.raises(InvalidWords, match="new-rule"):
        must_speak(words(), {**effects, "new-rule": Effect.DENY})
    with pytest.raises(InvalidWords, match="mask"):
        must_speak(words(), {rule: effect for rule, effect in effects.items() if rule != "mask"})
    with pytest.raises(InvalidWords, match="mask"):
        must_speak(words(), {**effects, "mask": Effect.LIMIT})


def test_the_start_asks_for_the_words_of_every_rule() -> None:
    rules = [rule for rule in RULES if rule.__name__ != "mask"]
    with pytest.raises(InvalidWords, match="mask"):
        must_be_complete(law(), rules)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('withdrawn = { fr = "Vous avez bloqué ce professionnel."', 'withdrawn = { fr = ""', "block: withdrawn"),
        ("{until}.", "{someday}.", "braces"),
        ("[rules.block.words]\nwithdrawn =", "[rules.block.words]\ngranted =", "block: its words must be of"),
        ('rests = ["R-28"]\nlaw = ["R1111-49"]\n', "", "care-history: it does not say what it rests on"),
        ('effect = "deny"', 'effect = "refuse"', "cannot be read"),
        ("[general]", "[general]\nother = 1", "cannot be read"),
        ("kinds = [", "kind = [", "cannot be read"),
    ],
)
def test_words_that_cannot_be_honoured_stop_the_start(old: str, new: str, sentence: str) -> None:
    assert old in SHIPPED
    with pytest.raises(InvalidWords, match=re.escape(sentence)):
        parse(SHIPPED.replace(old, new))


@pytest.mark.parametrize(
    ("end", "fr", "en"),
    [
        ("2027-03-03T23:00:00", "Autorisé jusqu’au 3 mars 2027.", "Authorised until 3 March 2027."),
        ("2027-08-01T22:00:00", "Autorisé jusqu’au 1er août 2027.", "Authorised until 1 August 2027."),
        (
            "2027-03-03T13:05:00",
            "Autorisé jusqu’au 3 mars 2027 à 14\u00a0h\u00a005.",
            "Authorised until 3 March 2027 at 14:05.",
        ),
    ],
)
def test_an_end_at_midnight_is_told_as_the_day_before(end: str, fr: str, en: str) -> None:
    told = fill(Sentence(fr="Autorisé{until}.", en="Authorised{until}."), {"until": moment(end)}, PARIS)
    assert (told.fr, told.en) == (fr, en)


def test_a_right_without_an_end_has_no_date_and_a_start_is_its_own_day() -> None:
    told = fill(Sentence(fr="Autorisé{until}.", en="Authorised{until}."), {"until": date.MAX}, PARIS)
    assert (told.fr, told.en) == ("Autorisé.", "Authorised.")
    begins = fill(Sentence(fr="Le {on}.", en="On {on}."), {"on": moment("2027-03-02T23:00:00")}, PARIS)
    assert (begins.fr, begins.en) == ("Le 3 mars 2027.", "On 3 March 2027.")
    for extreme in (date.MIN, date.MAX):
        assert fill(Sentence(fr="Le {on}.", en="On {on}."), {"on": extreme}, PARIS).fr.startswith("Le ")


def test_the_page_of_the_rules_is_made_from_the_words() -> None:
    """Rewrite the table with ``python tools/consent_rules.py``."""
    page = (ROOT / "docs" / "consent" / "rules.md").read_text(encoding="utf-8")
    assert table(words()) in page
