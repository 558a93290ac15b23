"""FHIR JSON in and out, without losing what a client wrote.

https://hl7.org/fhir/R4/json.html

A decimal keeps its precision (``1.10`` is not ``1.1``), so numbers with a point or an exponent are read as
:class:`decimal.Decimal`. What is stored and sent are the client's own bytes, less insignificant white space; see
:func:`compact`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import accumulate
from json import JSONDecoder
from typing import Any, Self, TypeAlias

import msgspec

from fhir_server.fhir.errors import FhirError, Malformed
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import told

Json: TypeAlias = "bool | int | Decimal | str | list[Json] | dict[str, Json] | None"
"""A JSON value as read by :func:`decode`."""

JsonObject: TypeAlias = "dict[str, Json]"

MAX_DEPTH = 60
"""Deepest nesting of objects and arrays accepted. Real resources stay under 20."""

MAX_CONTAINERS = 200_000
"""Most objects and arrays in one body."""

MAX_IN_BUNDLE = 1_000_000
"""Most of them in a Bundle that is carried out: as many as 32 MB of resources hold."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)


class Unreadable(bytes):
    """A body of another format that could not be turned into JSON, and why.

    It is refused where it is read, so that what comes before the reading of a body (403, 404) comes before it too.
    """

    why: FhirError

    def __new__(cls, body: bytes, why: FhirError) -> Self:
        """The body as it was sent."""
        made = super().__new__(cls, body)
        made.why = why
        return made


class _Lexical(Decimal):
    """A number with a point or an exponent that remembers how it was written."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number


def _as_written(value: object) -> msgspec.Raw:
    if not isinstance(value, _Lexical):
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return msgspec.Raw(value.text.encode())


_lexical_decoder = msgspec.json.Decoder(float_hook=_Lexical)
_lexical_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=_as_written)
_raw_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_elements = msgspec.json.Decoder(list[msgspec.Raw])
_encoder = msgspec.json.Encoder(decimal_format="number")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
# A hostile body may be eight million brackets, so they are counted without a loop in Python.


def decode(body: bytes, most: int = MAX_CONTAINERS) -> Json:
    """Read a JSON text; raise :class:`Malformed` with a sentence that says what and where.

    Refuses what JSON allows and FHIR does not: duplicate keys, a byte order mark, NaN, lone surrogates, nesting deeper
    than :data:`MAX_DEPTH`, and more than ``most`` objects and arrays.
    """
    if isinstance(body, Unreadable):
        raise body.why
    skeleton = _STRING.sub(b'"', body)
    if skeleton.count(b"{") + skeleton.count(b"[") > most:
        raise Malformed(told("too-many-parts", most=most))
    _check_depth(skeleton)
    try:
        value: Json = _decoder.decode(body)
    except UnicodeDecodeError as error:
        raise Malformed(told("not-utf-8", byte=error.start)) from None
    except (msgspec.DecodeError, RecursionError, ArithmeticError) as error:
        raise Malformed(_why_malformed(body, error)) from None
    if skeleton.count(b":") != _members(value):
        raise Malformed(_why_duplicate(body))
    return value


def decode_object(body: bytes, most: int = MAX_CONTAINERS) -> JsonObject:
    """Read a JSON text that must be an object."""
    value = decode(body, most)
    if not isinstance(value, dict):
        raise Malformed(told("no-object"))
    return value


def decode_lexical(body: bytes) -> Any:  # noqa: ANN401 - a tree to be changed by paths of the client's
    """Read a JSON text to change parts of it: :func:`encode_lexical` writes the other numbers as they were."""
    decode(body)
    return _lexical_decoder.decode(body)


def decode_lexical_part(body: bytes) -> Any:  # noqa: ANN401 - same
    """Read a part of a JSON text that :func:`decode` read already, to change parts of it."""
    return _lexical_decoder.decode(body)


def encode_lexical(value: Any) -> bytes:  # noqa: ANN401 - same
    """Write what :func:`decode_lexical` read."""
    return _lexical_encoder.encode(value)


def encode(value: Any) -> bytes:  # noqa: ANN401 - msgspec encodes any tree of JSON values, ours are wider than Json
    """Write a tree of JSON values as compact bytes; decimals are numbers."""
    return _encoder.encode(value)


def compact(body: bytes) -> bytes:
    """Give the same JSON text without insignificant white space; tokens keep their lexical form."""
    return msgspec.json.format(body, indent=-1)


def pretty(body: bytes) -> bytes:
    """Give the same JSON text indented for people (``_pretty=true``)."""
    return msgspec.json.format(body, indent=2)


def members(body: bytes) -> dict[str, bytes]:
    """Give the members of an object as raw bytes, in the order they were written."""
    return {name: bytes(raw) for name, raw in _raw_members.decode(body).items()}


def elements(body: bytes) -> list[bytes]:
    """Give the elements of an array as raw bytes, in their order."""
    return [bytes(raw) for raw in _raw_elements.decode(body)]


def join_members(parts: dict[str, bytes]) -> bytes:
    """Put raw members together again, the inverse of :func:`members`."""
    return b"{" + b",".join(_encoder.encode(name) + b":" + raw for name, raw in parts.items()) + b"}"


def _check_depth(skeleton: bytes) -> None:
    deepest = max(accumulate(map(_STEP.__getitem__, skeleton.translate(None, _NOT_BRACKETS))), default=0)
    if deepest > MAX_DEPTH:
        raise Malformed(told("too-deep", deepest=deepest, most=MAX_DEPTH))


def _members(value: Json) -> int:
    """How many members all objects have together."""
    number = 0
    parts = [value]
    for part in parts:
        if isinstance(part, dict):
            number += len(part)
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return number


def _why_malformed(body: bytes, error: Exception) -> Told:
    """Say where the text breaks, by line and column: the standard library's decoder counts them for us."""
    if not body.strip():
        return told("empty")
    if body.startswith(b"\xef\xbb\xbf"):
        return told("byte-order-mark")
    try:
        _encoder.encode(
            JSONDecoder(parse_constant=_refuse_constant, parse_int=str, parse_float=str).decode(body.decode())
        )
    except UnicodeEncodeError:
        return told("lone-surrogate")
    except UnicodeDecodeError as broken:
        return told("not-utf-8", byte=broken.start)
    except ValueError as broken:
        return told("no-json", why=broken)
    except RecursionError:
        return told("nested-too-deeply")
    if isinstance(error, ArithmeticError):
        return told("number-out-of-bounds")
    return told("no-json", why=error)


def _refuse_constant(name: str) -> None:
    message = f"{name} is not a JSON value"
    raise ValueError(message)


def _why_duplicate(body: bytes) -> Told:
    repeated: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for name, value in pairs:
            if name in seen:
                repeated.append(name)
            seen[name] = value
        return seen

    JSONDecoder(object_pairs_hook=note).decode(body.decode())
    name = repeated[0] if repeated else "?"
    return told("key-twice", name=name)
