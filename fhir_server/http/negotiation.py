"""Which representation is asked for, and which one was sent.

https://hl7.org/fhir/R4/http.html#mime-type · https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1

A resource is JSON or XML. ``_format`` wins over ``Accept``. Of ``Accept``, each of the two has the weight of the range
that names it most closely; the heavier one is answered, else the one named more closely, else the one named first.
Where nothing tells them apart (no ``Accept``, ``*/*``), the answer is in the representation of the body, else in JSON.

Issues are told in French or in English, as ``Accept-Language`` asks.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from fhir_server.fhir.errors import FhirError, NotAcceptable, UnsupportedMedia
from fhir_server.fhir.outcome import Language
from fhir_server.http.messages import told
from fhir_server.interactions.search import parse_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.fhir.messages import Told


class Form(StrEnum):
    """How a resource is written."""

    JSON = "application/fhir+json"
    XML = "application/fhir+xml"


FHIR_JSON: Final = Form.JSON.value
FHIR_XML: Final = Form.XML.value
JSON_PATCH: Final = "application/json-patch+json"
XML_PATCH: Final = "application/xml-patch+xml"
FORM: Final = "application/x-www-form-urlencoded"

_NAMES: Final[Mapping[str, Form]] = {
    FHIR_JSON: Form.JSON,
    "application/json": Form.JSON,
    "application/json+fhir": Form.JSON,
    "text/json": Form.JSON,
    FHIR_XML: Form.XML,
    "application/xml": Form.XML,
    "application/xml+fhir": Form.XML,
    "text/xml": Form.XML,
}
"""The media types that mean a resource, those of earlier versions of FHIR among them."""

_FORMATS: Final[Mapping[str, Form]] = {**_NAMES, "json": Form.JSON, "xml": Form.XML}
_ANYTHING: Final[Mapping[str, int]] = {"application/*": 1, "*/*": 0, "*": 0}
"""What names everything, and how closely. Java's own client sends a bare star."""
_EXACTLY: Final = 3
_BY_ANOTHER_NAME: Final = 2
_VERSIONS: Final = frozenset({"4.0", "4.0.1"})
"""Of the ``fhirVersion`` of a media type: https://hl7.org/fhir/R4/http.html#version-parameter"""
_UTF_8: Final = frozenset({"utf-8", "utf8"})

_RANGES: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+"?)+')
_PIECES: Final = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*+"?)+')
"""Commas and semicolons within quotes part nothing; quotes that are never closed end with the text."""
_WEIGHT: Final = re.compile(r"[0-9]{0,9}(?:\.[0-9]{0,9})?")
_LANGUAGE: Final = re.compile(
    r"\s*(?:(?P<primary>[a-z]{1,8})(?:-[a-z0-9]{1,8})*+|\*)\s*(?:;\s*q\s*=\s*(?P<weight>[01](?:\.[0-9]{0,9})?)\s*)?",
    re.IGNORECASE,
)
"""A language range with its weight: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request says about the representation of its answer."""

    form: Form | None
    """The one to answer in; none where nothing that is asked for is offered."""
    native: frozenset[str] = frozenset()
    """Of a Binary: the media types asked for, in which it is answered where its content is of that type."""
    refusal: Told | None = None
    """Why nothing is offered, where that is so."""
    where: tuple[str, ...] = ()

    def must_be_offered(self, *, binary: bool) -> None:
        """Raise 406 where nothing that is asked for could be answered."""
        if self.refusal is not None and not (binary and self.native):
            raise NotAcceptable(self.refusal, expression=self.where)


@dataclass(slots=True)
class Spoken:
    """What one request is answered in, its errors too; what cannot be read of it asks for nothing."""

    wish: Wish
    pretty: bool = False
    accept_language: str | None = None

    @property
    def form(self) -> Form:
        """JSON, for whoever asks for nothing that is offered."""
        return self.wish.form or Form.JSON

    @property
    def language(self) -> Language:
        """Of what is said about the request."""
        return language_of(self.accept_language) if self.accept_language is not None else Language.ENGLISH

    @property
    def preferred(self) -> Language | None:
        """The same where the request names it; nothing where another language, or none, is asked for."""
        return preferred_of(self.accept_language) if self.accept_language is not None else None


def spoken_in(scope: Mapping[str, Any]) -> Spoken:
    """What a request asks for, by its headers and its query, known before all else; nothing is refused here."""
    accept: str | None = None
    content_type: str | None = None
    languages: str | None = None
    for name, value in scope["headers"]:
        if name == b"accept":
            ranges = value.decode("latin-1")
            accept = ranges if accept is None else f"{accept}, {ranges}"
        elif name == b"content-type":
            content_type = value.decode("latin-1")
        elif name == b"accept-language":
            ranges = value.decode("latin-1")
            languages = ranges if languages is None else f"{languages}, {ranges}"
    format, pretty = None, False
    query: bytes = scope["query_string"]
    if b"_format" in query or b"_pretty" in query:
        format, pretty = _representation(query.decode("latin-1"))
    return Spoken(wish_of(accept, format, content_type), pretty, languages)


def _representation(query: str) -> tuple[str | None, bool]:
    try:
        pairs = parse_pairs(query)
    except FhirError:
        return None, False
    named = dict(reversed(pairs))  # the first of each counts
    return named.get("_format"), named.get("_pretty") == "true"


@lru_cache(maxsize=512)
def wish_of(accept: str | None, format: str | None, content_type: str | None) -> Wish:
    """The representation to answer in, of ``Accept``, ``_format`` and the type of the body."""
    if format is not None:
        form = _of_format(format)
        why = None if form else told("format-not-offered", format=format[:80], json=FHIR_JSON, xml=FHIR_XML)
        return Wish(form, refusal=why, where=("http._format",))
    sent = _NAMES.get(_media(content_type)) or Form.JSON
    if accept is None or not accept.strip():
        return Wish(sent)
    ranges = [one for one in map(_range_of, _RANGES.findall(accept)) if one is not None]
    named = [(weight, form) for form in Form if (weight := _weight_of(form, ranges)) is not None]
    best = max((weight for weight, _ in named), default=None)
    forms = [form for weight, form in named if weight == best]
    form = sent if sent in forms else next(iter(forms), None)
    why = None if form else told("none-offered", accept=accept[:200], json=FHIR_JSON, xml=FHIR_XML)
    return Wish(form, _native(ranges), why)


@lru_cache(maxsize=512)
def language_of(accept_language: str) -> Language:
    """French where it is asked for more than English, or as much and first: ``fr``, ``fr-FR``, ``fr-CA``.

    A range that cannot be read asks for nothing; another language is not offered, and English answers all.
    """
    asked, anything = _asked(accept_language)
    french, english = (asked.get(one.value, anything) for one in (Language.FRENCH, Language.ENGLISH))
    if french != english:
        return Language.FRENCH if french > english else Language.ENGLISH
    # as much of one as of the other: the one that is named, and of two the one that is named first
    named = next((one for one in asked if one in (Language.FRENCH, Language.ENGLISH)), Language.ENGLISH)
    return Language(named) if french else Language.ENGLISH


@lru_cache(maxsize=512)
def preferred_of(accept_language: str) -> Language | None:
    """The same where it is named: what is in another language already stays so for whoever asks for none of the two."""
    found = language_of(accept_language)
    return found if _asked(accept_language)[0].get(found.value) else None


def _asked(accept_language: str) -> tuple[dict[str, float], float]:
    """By language that is named, how much it is asked for, in their order; and how much any other."""
    anything = 0.0
    asked: dict[str, float] = {}
    for part in accept_language.split(","):
        found = _LANGUAGE.fullmatch(part)
        weight = 1.0 if found is None or found["weight"] is None else float(found["weight"])
        if found is None or weight > 1.0:
            continue
        if found["primary"] is None:
            anything = max(anything, weight)
        else:
            primary = found["primary"].lower()
            asked[primary] = max(asked.get(primary, 0.0), weight)
    return asked, anything


@dataclass(frozen=True, slots=True)
class _Range:
    """One media range of ``Accept``."""

    media: str
    weight: float
    is_ours: bool
    """Whether its parameters leave room for R4 in UTF-8."""


def _range_of(part: str) -> _Range | None:
    media, *parameters = (piece.strip().lower() for piece in _PIECES.findall(part) or ("",))
    named = {name.strip(): value.strip().strip('"') for name, _, value in (one.partition("=") for one in parameters)}
    weight = named.get("q", "1")
    if not media or not weight.strip(".") or _WEIGHT.fullmatch(weight) is None:
        return None
    return _Range(media, min(float(weight), 1.0), _is_of_r4(named) and named.get("charset", "utf-8") in _UTF_8)


def _is_of_r4(parameters: Mapping[str, str]) -> bool:
    return parameters.get("fhirversion", "4.0") in _VERSIONS


def _weight_of(form: Form, ranges: list[_Range]) -> tuple[float, int, int] | None:
    """The weight, closeness and earliness of the range that names a representation most closely; none if it is out."""
    found = [
        (closeness, one.weight, -position)
        for position, one in enumerate(ranges)
        if one.is_ours and (closeness := _closeness(form, one.media)) is not None
    ]
    if not found:
        return None
    closeness, weight, position = max(found)
    return (weight, closeness, position) if weight else None


def _closeness(form: Form, media: str) -> int | None:
    if media == form:
        return _EXACTLY
    return _BY_ANOTHER_NAME if _NAMES.get(media) is form else _ANYTHING.get(media)


def _native(ranges: list[_Range]) -> frozenset[str]:
    """What a Binary may be answered as: all that is asked for, unless it may be FHIR.

    XML means both: a Binary whose content is of the very type asked for is answered as that.
    """
    asked = frozenset(
        one.media for one in ranges if one.weight and (one.is_ours or not {one.media} & {*_NAMES, *_ANYTHING})
    )
    if any(media in _ANYTHING or _NAMES.get(media) is Form.JSON for media in asked):
        return frozenset()
    return frozenset(media for media in asked if media in _NAMES) or asked


def _of_format(format: str) -> Form | None:
    """The representation that ``_format`` names; a plus may have become a space."""
    media, *parameters = (piece.strip().lower() for piece in format.split(";"))
    named = {name.strip(): value.strip().strip('"') for name, _, value in (one.partition("=") for one in parameters)}
    if not _is_of_r4(named) or named.get("charset", "utf-8") not in _UTF_8:
        return None
    return _FORMATS.get(media.replace(" ", "+"))


def _media(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


@lru_cache(maxsize=128)
def form_sent(content_type: str | None) -> Form:
    """The representation a resource was sent in; 415 for another media type, charset or version."""
    form = _NAMES.get(_media(content_type))
    if form is None:
        raise _must_be(content_type, FHIR_JSON, FHIR_XML)
    _must_be_readable(content_type)
    return form


@lru_cache(maxsize=128)
def form_of_patch(content_type: str | None) -> Form:
    """The representation a patch was sent in; what JSON and XML are called elsewhere does not say which patch it is."""
    media = _media(content_type)
    if media == XML_PATCH:
        raise UnsupportedMedia(told("xml-patch", xml=FHIR_XML, json=FHIR_JSON, patch=JSON_PATCH))
    must_be(content_type, JSON_PATCH, FHIR_JSON, FHIR_XML)
    return Form.XML if media == FHIR_XML else Form.JSON


@lru_cache(maxsize=128)
def must_be(content_type: str | None, *wanted: str) -> None:
    """Check the media type of a body; 415 for another one, another charset than UTF-8 or version than R4."""
    if _media(content_type) not in wanted:
        raise _must_be(content_type, *wanted)
    _must_be_readable(content_type)


def _must_be(content_type: str | None, first: str, *others: str) -> UnsupportedMedia:
    expected: Told | str = first
    for other in others:
        expected = told("or", one=expected, another=other)
    found = content_type[:120] if content_type else told("untyped")
    return UnsupportedMedia(told("body-must-be", expected=expected, found=found))


def _must_be_readable(content_type: str | None) -> None:
    parameters = (piece.partition("=") for piece in (content_type or "").lower().split(";")[1:])
    named = {name.strip(): value.strip().strip('"') for name, _, value in parameters}
    if named.get("charset", "utf-8") not in _UTF_8:
        raise UnsupportedMedia(told("must-be-utf-8"))
    if not _is_of_r4(named):
        raise UnsupportedMedia(told("must-be-r4"))
