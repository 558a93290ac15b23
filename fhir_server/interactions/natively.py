"""A Binary as what it is, or as a FHIR resource: which of the two a read is answered with.

https://hl7.org/fhir/R4/binary.html#rest

FHIR is answered to who names it; everybody else gets the content. Who names both gets what he wants more, and FHIR
where he wants both alike. ``_format`` always means FHIR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import NotAcceptable
from fhir_server.fhir.media import OCTETS, Range, essence, media_type, quality, ranges
from fhir_server.interactions.messages import told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

FHIR: Final = frozenset(
    {"application/fhir+json", "application/json+fhir", "application/fhir+xml", "application/xml+fhir"}
)
"""Media types that mean FHIR and nothing else."""
JSON: Final = frozenset({"application/json", "text/json"})
_ALIASES: Final = JSON | {"application/xml", "text/xml"}
"""Media types that mean FHIR to who asks for nothing else, but for a content that is of that very type. A browser asks
for XML, and a script for JSON, among all there is."""
_OF_R4: Final = frozenset({"4.0", "4.0.1"})
_UTF_8: Final = frozenset({"utf-8", "utf8"})


@dataclass(frozen=True, slots=True)
class Native:
    """The content of a Binary that a decision showed, still to be read."""

    content_type: str
    """Fit to stand in a header."""
    size: int
    read: Callable[[int, int], AsyncIterator[bytes]]
    """The bytes from one place to before another, in parts."""


@dataclass(frozen=True, slots=True)
class Raw:
    """The content of a Binary as it is sent: bytes of a media type, without a resource around them."""

    content_type: str
    security_context: str | None
    """``X-Security-Context``: a reference, as `Binary.securityContext` holds it."""
    parts: AsyncIterator[bytes]


MOST_DATA: Final = 16 * 1024 * 1024
"""Bytes of content that one answer holds as `Binary.data`, all its entries together. Base64 and JSON take several times
as much memory; what is larger is read as what it is, in parts. A read is refused, in a list the data are left out."""


@dataclass(slots=True)
class Allowance:
    """How much more of it a request may take."""

    left: int = MOST_DATA


@dataclass(frozen=True, slots=True)
class Natively:
    """What a reader of Binaries accepts, who did not ask for FHIR alone."""

    accepted: tuple[Range, ...]

    @classmethod
    def of(cls, accept: str | None) -> Natively | None:
        """What an ``Accept`` says; nothing where FHIR alone is asked for, or nothing that can be read."""
        if accept is None or not accept.strip():
            return cls(())
        found = ranges(accept)
        told = tuple(one for one in found if one.name not in FHIR | _ALIASES or _is_spoken(one))
        return None if all(one.name in FHIR for one in told) else cls(told)

    @property
    def insists(self) -> bool:
        """Whether FHIR would not do: other types are named, and nothing else."""
        return bool(self.accepted) and not self._of_fhir and not any(one.is_open for one in self.accepted)

    @property
    def _of_fhir(self) -> tuple[Range, ...]:
        """What of it names FHIR."""
        alone = all(one.name in FHIR | _ALIASES for one in self.accepted)
        names = FHIR | _ALIASES if alone else FHIR
        return tuple(one for one in self.accepted if one.name in names)

    def prefers(self, content_type: str, size: int) -> bool:
        """Whether a content of this type is answered as what it is; 406 where neither form is wanted.

        Where there is no content, who names no type gets the resource, which says so.
        """
        if size == 0 and all(one.is_open for one in self.accepted):
            return False
        own = essence(content_type)
        fhir = max((one.quality for one in self._of_fhir if one.name in FHIR or one.name != own), default=0.0)
        as_it_is = quality(content_type, [one for one in self.accepted if one.name not in FHIR])
        if fhir > 0:
            return as_it_is is not None and as_it_is > fhir
        if as_it_is == 0:
            raise NotAcceptable(told("binary-not-acceptable", own=own))
        # a type that it is not: it says itself what it is, as a file would
        return True


def sent_as(content_type: str) -> str:
    """The type a content is sent with: its own, if that can stand in a header."""
    return media_type(content_type) or OCTETS


def _is_spoken(one: Range) -> bool:
    """Whether the parameters leave room for R4 in UTF-8."""
    told = dict(one.parameters)
    return told.get("fhirversion", "4.0") in _OF_R4 and told.get("charset", "utf-8") in _UTF_8
