"""Page tokens: a position in a list, sealed with AES-GCM. Never a proof: every page decides again.

A token holds for the requester, realm and query it was made for, and for 15 minutes. The key is shared through the
database, so any worker reads any worker's tokens.
"""

from __future__ import annotations

import hashlib
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fhir_server.fhir.errors import Invalid
from fhir_server.interactions.messages import told
from fhir_server.store.ordering import Position

LIFETIME: Final = 15 * 60 * 1_000_000
"""Microseconds."""
_NONCE: Final = 12
_LONGEST: Final = 8192

_positions = msgspec.json.Decoder(tuple[int, bool, tuple[int | str | None, ...], str])


class PageTokens:
    """Makes and reads page tokens."""

    def __init__(self, key: bytes) -> None:
        """``key`` has 32 bytes."""
        self._cipher = AESGCM(key)

    def seal(self, position: Position, bound: str, now: int) -> str:
        """A token for a position; ``bound`` names the requester, realm and query it is for."""
        nonce = os.urandom(_NONCE)
        sealed = msgspec.json.encode((now + LIFETIME, position.backwards, position.values, position.id))
        return urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, sealed, _digest(bound))).decode().rstrip("=")

    def open(self, token: str, bound: str, now: int) -> Position:
        """The position in a token; 400 for one that is damaged, foreign or too old."""
        token = token if len(token) <= _LONGEST else ""
        try:
            raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            opened = self._cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _digest(bound))
            expires, backwards, values, id = _positions.decode(opened)
        except (ValueError, InvalidTag, msgspec.DecodeError):
            raise Invalid(
                told("page-not-yours"),
                expression=("http._page",),
            ) from None
        if expires < now:
            raise Invalid(told("page-expired"), expression=("http._page",))
        return Position(values, id, backwards)


def _digest(bound: str) -> bytes:
    return hashlib.sha256(bound.encode()).digest()
