"""An answer as HTTP: status, headers, bytes. In JSON nothing is parsed or written again.

https://hl7.org/fhir/R4/http.html#return
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.outcome import Language, languages_of, operation_outcome
from fhir_server.http.negotiation import Form

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from fhir_server.fhir.errors import FhirError
    from fhir_server.fhir.outcome import Issue
    from fhir_server.interactions.answer import Answer

_HYGIENE: Final = (
    (b"cache-control", b"private, no-store"),
    (b"vary", b"Accept, Accept-Language, Authorization, Prefer"),
    (b"x-content-type-options", b"nosniff"),
)


def content_type_of(form: Form) -> tuple[bytes, bytes]:
    """The header that tells a resource."""
    return (b"content-type", f"{form.value};charset=utf-8".encode())


FHIR: Final = content_type_of(Form.JSON)
"""Of an answer that is a resource. `http.representation` puts another in its place."""


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    parts: AsyncIterator[bytes] | None = None
    """Instead of the body: what is sent while it is read."""
    length: int | None = None
    """Bytes of these parts, also where they are not sent (HEAD)."""


def of_answer(answer: Answer, *, returning: str, writing: bool, language: Language = Language.ENGLISH) -> Response:
    """An answer; of a write, as much of it as ``Prefer: return`` asks for."""
    headers = list(_HYGIENE)
    if answer.version is not None:
        # of a content the tag is strong: its bytes never change, so a part of it can be asked for
        headers.append((b"etag", (b'W/"%d"' if answer.native is None else b'"%d"') % answer.version))
    if answer.at is not None:
        headers.append((b"last-modified", _http_date(answer.at // 1_000_000)))
    if answer.location is not None:
        headers.append((b"location", answer.location.encode()))
        if not writing or answer.status != 201:  # noqa: PLR2004 - Created has its Location, others tell where it is
            headers.append((b"content-location", answer.location.encode()))
    if answer.owner is not None:
        headers.append((b"x-security-context", answer.owner.encode()))
    body = answer.body or b""
    if writing and returning == "minimal":
        body = b""
    elif writing and returning == "OperationOutcome":
        body, told = outcome(answer.issues, language)
        headers.append(told)
    elif answer.language is not None:
        headers.append((b"content-language", answer.language.encode()))
    if body:
        headers.append(FHIR)
    return Response(answer.status, tuple(headers), body)


def of_error(error: FhirError, language: Language) -> Response:
    """A refusal, with its OperationOutcome."""
    told = ((name.lower().encode(), value.encode("latin-1", "replace")) for name, value in error.headers)
    body, spoken = outcome(error.issues, language)
    return Response(error.status, (*_HYGIENE, FHIR, spoken, *told), body)


def outcome(issues: Sequence[Issue], language: Language) -> tuple[bytes, tuple[bytes, bytes]]:
    """An OperationOutcome as a body, and the header that tells in which languages it is."""
    spoken = ", ".join(languages_of(issues, language)).encode()
    return json.encode(operation_outcome(issues, language)), (b"content-language", spoken)


def not_modified(answer: Answer) -> Response:
    """304, with the headers that the client keeps."""
    whole = of_answer(answer, returning="representation", writing=False)
    return Response(304, tuple(header for header in whole.headers if header[0] != b"content-type"), b"")


@lru_cache(maxsize=4096)
def _http_date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode()
