"""SMART scopes: what each one grants, and which are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.identity.scope import EVERYTHING, Level, Scope, ScopeRefused, scopes


@pytest.mark.parametrize(
    ("text", "level", "type", "letters"),
    [
        ("patient/*.cruds", Level.PATIENT, "*", "cruds"),
        ("user/DocumentReference.rs", Level.USER, "DocumentReference", "rs"),
        ("system/DocumentReference.c", Level.SYSTEM, "DocumentReference", "c"),
        ("user/*.d", Level.USER, "*", "d"),
        ("user/Observation.read", Level.USER, "Observation", "rs"),
        ("user/Observation.write", Level.USER, "Observation", "cud"),
        ("patient/*.*", Level.PATIENT, "*", "cruds"),
    ],
)
def test_a_scope_grants_its_letters(text: str, level: Level, type: str, letters: str) -> None:
    assert scopes(text) == (Scope(level, type, frozenset(letters)),)


@pytest.mark.parametrize(
    "text",
    [
        "user/Observation.rs?category=laboratory",
        "patient/*.cruds?",
        "user/Observation.",
        "user/Observation.sr",
        "user/Observation.rx",
        "user/Observation.reads",
        "user/observation.rs",
        "user/.rs",
        "user/",
        "user/Observation",
        "system/*.cruds/extra",
        "user/Observation.rs\n",
        "user/Observation.rs\tsystem/*.cruds",
    ],
)
def test_a_scope_that_cannot_be_honoured_is_refused(text: str) -> None:
    with pytest.raises(ScopeRefused):
        scopes(f"openid {text}")


def test_other_words_grant_nothing() -> None:
    assert scopes("openid  launch/patient ITI-67 fhirUser User/*.cruds") == ()


def test_a_scope_covers_its_type_only() -> None:
    scope = Scope(Level.USER, "Patient", frozenset("rs"))

    assert scope.grants("Patient", "r")
    assert not scope.grants("Patient", "u")
    assert not scope.grants("Observation", "r")
    assert not scope.grants("Patient", "rs")
    assert not scope.grants("Patient", "")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        told = scopes(text)
    except ScopeRefused:
        return
    assert all(scope.letters and scope.letters <= EVERYTHING for scope in told)
