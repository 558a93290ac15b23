"""``Accept-Language``: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4 - French where it is asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.outcome import Language
from fhir_server.http.negotiation import language_of, preferred_of, spoken_in

FRENCH = [
    "fr",
    "FR",
    "fr-FR",
    "fr-CA",
    "fr-be",
    "fr-Latn-FR",
    "fr, en",
    "fr,en",
    "fr, en;q=0.9",
    "en;q=0.5, fr",
    "en;q=0.5, fr-FR;q=0.8",
    "en;q=0.5, fr;q=0.8, *;q=0.1",
    "de, fr;q=0.1",  # German is not offered
    "fr;q=0.5",
    "fr ; q = 0.5",
    "\tfr",
    "fr, *",
    "*, fr",
    "fr-CA;q=0, fr-FR",
    "en;q=0, *",
    "fr;q=1.000",
    ", ,fr,",
    "fr, en;q=oops",
]
ENGLISH = [
    "",
    " ",
    "*",
    "en",
    "en-GB",
    "en, fr",
    "en-US,en;q=0.9,fr;q=0.8",
    "fr;q=0.5, en",
    "fr;q=0.5, *",
    "de",
    "de, *;q=0.1",
    "fr;q=0",
    "fr;q=0.0, de",
    "fr;q=0, en;q=0",
    "*;q=0",
    # what cannot be read asks for nothing
    "fr;q=oops",
    "fr;q=",
    "fr;q=2",
    "fr;q=-1",
    "fr;q=1.5",
    "fr;level=1",
    "fr_FR",
    "fr-",
    "-fr",
    "français",
    "french",
    "fra",
    "fr fr",
    '"fr"',
    "fr\x00",
    ";;;,,,",
    "q=1",
]


@pytest.mark.parametrize("header", FRENCH)
def test_french_is_told_to_who_asks_for_it(header: str) -> None:
    assert language_of(header) is Language.FRENCH


@pytest.mark.parametrize("header", ENGLISH)
def test_english_is_told_to_everybody_else(header: str) -> None:
    assert language_of(header) is Language.ENGLISH


@given(st.text(alphabet="fren*;,q=0.1- \t\xe9", max_size=40) | st.text(max_size=200))
def test_no_header_is_an_error(header: str) -> None:
    assert language_of(header) in Language


def test_a_long_header_is_read_once_through() -> None:
    assert language_of("a-" * 30_000) is Language.ENGLISH
    assert language_of("x;q=0.5," * 10_000 + "fr") is Language.FRENCH


@pytest.mark.parametrize(
    ("headers", "language"),
    [
        ([], Language.ENGLISH),
        ([(b"accept-language", b"fr")], Language.FRENCH),
        ([(b"accept-language", b"en;q=0.1"), (b"accept-language", b"fr")], Language.FRENCH),
        ([(b"accept-language", b"\xff\xfe")], Language.ENGLISH),
        ([(b"accept", b"fr")], Language.ENGLISH),
    ],
)
def test_a_request_speaks_the_language_of_its_headers(headers: list[tuple[bytes, bytes]], language: Language) -> None:
    assert spoken_in({"headers": headers, "query_string": b""}).language is language


@pytest.mark.parametrize(
    ("header", "preferred"),
    [
        ("fr", Language.FRENCH),
        ("en-GB, fr;q=0.5", Language.ENGLISH),
        ("de, en;q=0.2", Language.ENGLISH),
        ("*", None),
        ("de", None),
        ("", None),
        ("fr;q=0, de", None),
        ("en;q=0, fr;q=0", None),
        ("en;q=0, *", None),
    ],
)
def test_what_names_none_of_the_two_prefers_none(header: str, preferred: Language | None) -> None:
    assert preferred_of(header) == preferred
    assert spoken_in({"headers": [(b"accept-language", header.encode())], "query_string": b""}).preferred == preferred


def test_without_the_header_none_is_preferred() -> None:
    assert spoken_in({"headers": [], "query_string": b""}).preferred is None
