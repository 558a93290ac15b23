"""Media types in their plain form, and how much they are wanted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.media import LONGEST, media_type, quality, ranges


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("text/plain", "text/plain"),
        (" Text/PLAIN ; Charset=UTF-8 ", "text/plain;charset=UTF-8"),
        ("application/vnd.a+xml;;a=1;", "application/vnd.a+xml;a=1"),
        ('a/b; c="d; e"', None),
        ('a/b; c="d e"', 'a/b;c="d e"'),
    ],
)
def test_a_media_type(text: str, plain: str | None) -> None:
    assert media_type(text) == plain


@pytest.mark.parametrize(
    "text",
    ["", "/", "a/", "a", "a/b/c", "*/*", "a b/c", "a/b\r\nX: y", "a/b;c", "a/b;c=\n", "é/b", "a/" + "b" * LONGEST],
)
def test_what_is_none(text: str) -> None:
    assert media_type(text) is None


@given(st.text())
def test_whatever_is_one_can_stand_in_a_header(text: str) -> None:
    plain = media_type(text)
    assert plain is None or (plain.isascii() and plain.isprintable() and media_type(plain) == plain)


@given(st.text(alphabet='abc/*;=q01.," +é'))
def test_no_accept_is_too_strange(accept: str) -> None:
    assert quality("a/b", ranges(accept)) in (None, *(one.quality for one in ranges(accept)))


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", None),
        ("a/b", 1.0),
        ("a/b;q=0.25", 0.25),
        ("A/B;Q=0", 0.0),
        ("a/*;q=0.5, */*;q=0.7", 0.5),
        ("*/*;q=0.7, a/b;q=0.1", 0.1),
        ("c/d, e/*", None),
        ("a/b;q=2", 1.0),
        ("*; q=.2", 0.2),
        ("a/b;q=.", None),
        ("a/b;q=x, */*;q=0.3", 0.3),
        ("*/b", None),
        ("a/b;level=1", None),
        ("a/b;q=0.1, a/b;q=0.9", 0.9),
    ],
)
def test_how_much_it_is_wanted(accept: str, wanted: float | None) -> None:
    assert quality("a/b", ranges(accept)) == wanted


def test_parameters_are_compared() -> None:
    accepted = ranges("text/plain;charset=utf-8;q=0.9, text/plain;q=0.1")
    assert quality("text/plain;charset=UTF-8", accepted) == 0.9
    assert quality("text/plain", accepted) == 0.1
