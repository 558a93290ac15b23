"""Sentences in two languages, as files hold them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.messages import Messages, Told
from fhir_server.fhir.outcome import RULES, IssueType, Language, error, languages_of, operation_outcome
from fhir_server.validation.messages import MESSAGES

if TYPE_CHECKING:
    from pathlib import Path


def test_a_message_is_filled_in_both_languages() -> None:
    filled = {name: f"<{name}>" for name in MESSAGES.places("min")}
    told = MESSAGES.told("min", **filled)
    assert told.en != told.fr
    assert all(value in told.en and value in told.fr for value in filled.values())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[a]\nen = "{x}"\nfr = "{y}"', "the places of a are not the same"),
        ('[a]\nen = "only"', "missing required field `fr`"),
        ("[a", "a.toml"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_name(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        Messages(tmp_path)


def test_a_key_stands_once(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text('[a]\nen = "x"\nfr = "x"')
    with pytest.raises(ValueError, match="stands twice"):
        Messages(tmp_path)


def test_a_value_that_differs_is_told_in_each_language(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[a]\nen = "not {x}"\nfr = "pas {x}"')
    told = Messages(tmp_path).told
    assert told("a", x="1") == ("not 1", "pas 1")
    assert told("a", x=Told("one", "un")) == ("not one", "pas un")
    # no sentence is in two languages
    assert told("a", x=Told("one", "")) == ("not one", "")


def test_what_a_client_sent_is_never_a_place(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[a]\nen = "not {x}"\nfr = "pas {x}"')
    assert Messages(tmp_path).told("a", x="{x.__class__}{y}").fr == "pas {x.__class__}{y}"


def test_an_error_is_told_in_both_languages() -> None:
    refused = Invalid(Told("wrong", "faux"), expression=("Patient.name",))
    assert str(refused) == "wrong"
    assert refused.issues == (error(IssueType.INVALID, Told("wrong", "faux"), "Patient.name"),)
    assert refused.told == ("wrong", "faux")


@pytest.mark.parametrize(
    ("french", "asked", "languages"),
    [
        ((), Language.FRENCH, ("fr",)),  # that there is nothing to say is said in French too
        ((), Language.ENGLISH, ("en",)),
        (("faux", "faux"), Language.FRENCH, ("fr",)),
        (("faux", ""), Language.FRENCH, ("fr", "en")),
        (("", ""), Language.FRENCH, ("en",)),
        (("faux", "faux"), Language.ENGLISH, ("en",)),
    ],
)
def test_an_outcome_says_in_which_languages_it_is(
    french: tuple[str, ...], asked: Language, languages: tuple[str, ...]
) -> None:
    issues = [error(IssueType.VALUE, Told("wrong", one)) for one in french]
    assert languages_of(issues, asked) == languages
    assert operation_outcome(issues, asked).get("language") == ("fr" if languages == ("fr",) else None)


def test_a_rule_is_told_with_who_asks_for_it() -> None:
    issue = error(IssueType.VALUE, Told("wrong", ""))
    of_fhir = replace(issue, rule="min")
    of_profile = replace(issue, rule="obs-1", profile="https://example.org/StructureDefinition/a|1.2")
    told = operation_outcome([issue, of_fhir, of_profile])["issue"]
    assert isinstance(told, list)
    assert [one.get("details") for one in told] == [
        None,
        {"coding": [{"system": RULES, "code": "min"}]},
        {"coding": [{"system": "https://example.org/StructureDefinition/a", "version": "1.2", "code": "obs-1"}]},
    ]


def test_an_outcome_speaks_the_language_asked_for_where_it_can() -> None:
    issues = [error(IssueType.VALUE, Told("wrong", "faux")), error(IssueType.VALUE, Told("only English", ""))]
    told = operation_outcome(issues, Language.FRENCH)["issue"]
    assert isinstance(told, list)
    assert [one["diagnostics"] for one in told] == ["faux", "only English"]
