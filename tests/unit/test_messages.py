"""Sentences in two languages, as files hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fhir_server.fhir.messages import Messages
from fhir_server.fhir.outcome import IssueType, Language, error, operation_outcome
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


def test_an_outcome_speaks_the_language_asked_for_where_it_can() -> None:
    issues = [error(IssueType.VALUE, "wrong", french="faux"), error(IssueType.VALUE, "only English")]
    told = operation_outcome(issues, Language.FRENCH)["issue"]
    assert isinstance(told, list)
    assert [one["diagnostics"] for one in told] == ["faux", "only English"]
