"""Contents at rest that a copy of the database does not tell: AES-256-GCM, chunk by chunk. Pure.

https://csrc.nist.gov/pubs/sp/800/38/d/final

Three keys, each under the one before: a *master key* of the operator's, which the database never holds; a *key of a
record*, wrapped by it, which goes when the record is erased; and a key for each content, derived from that with a salt
of its own. So no two contents have a key in common, and a chunk's place can be its nonce: the number of the chunk, and
whether it is the last. A chunk that is altered, put in another place or content, or left out at the end does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode
from binascii import Error
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_BYTES: Final = 32
SALT_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_CONTENT: Final = b"fhir-server content"
_TAG: Final = b"fhir-server equal contents"
_ID: Final = b"fhir-server master key"
ASIDE: Final = 256 ** (_NONCE_BYTES - 1) - 1
"""The place of what is told of a content beside its chunks: beyond the last that there could be."""


class Broken(Exception):
    """A stored content, or the key of one, is not what was stored: altered, cut, or under another key."""


def new_key() -> bytes:
    """A key of a record."""
    return secrets.token_bytes(KEY_BYTES)


def new_salt() -> bytes:
    """A salt of a content."""
    return secrets.token_bytes(SALT_BYTES)


def tag(key: bytes, digest: bytes) -> str:
    """What tells equal contents under one key; under two keys, or to who has no key, it tells nothing."""
    return hmac.digest(_derived(key, b"", _TAG), digest, hashlib.sha256).hex()


class Sealer:
    """Seals and opens the chunks of one content."""

    def __init__(self, key: bytes, salt: bytes) -> None:
        """With the key of its record and its own salt."""
        self._cipher = AESGCM(_derived(key, salt, _CONTENT))

    def seal(self, number: int, data: bytes, *, last: bool) -> bytes:
        """The chunk as it is stored."""
        return self._cipher.encrypt(_place(number, last=last), data, None)

    def open(self, number: int, sealed: bytes, *, last: bool) -> bytes:
        """The chunk as it was sealed; :class:`Broken` where it is not that chunk."""
        try:
            return self._cipher.decrypt(_place(number, last=last), sealed, None)
        except InvalidTag:
            raise Broken(f"chunk {number} of a content does not open") from None


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """The operator's keys by their ids: the first wraps, the others still open what they wrapped."""

    first: str
    keys: Mapping[str, bytes]

    @classmethod
    def read(cls, text: str) -> Self:
        """From base64 of 32 bytes each, one a line or with spaces between; :class:`ValueError` says what is wrong."""
        found = [_key(word) for word in text.split()]
        if not found:
            raise ValueError("holds no key")
        keys = {master_id(one): one for one in found}
        if len(keys) < len(found):
            raise ValueError("holds a key twice")
        return cls(master_id(found[0]), keys)

    def wrap(self, key: bytes, name: str) -> bytes:
        """The key of this name, under the first master key."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.keys[self.first]).encrypt(nonce, key, name.encode())

    def unwrap(self, master: str, wrapped: bytes, name: str) -> bytes:
        """The key of this name again; :class:`Broken` where its master key is not there or is not that one."""
        if master not in self.keys:
            raise Broken(f"the key of {name} is wrapped by the master key {master}, which is not given")
        nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
        try:
            return AESGCM(self.keys[master]).decrypt(nonce, sealed, name.encode())
        except InvalidTag:
            raise Broken(f"the key of {name} does not open") from None


def master_id(key: bytes) -> str:
    """How the database names a master key; it tells nothing of the key."""
    return hmac.digest(key, _ID, hashlib.sha256)[:8].hex()


def _key(word: str) -> bytes:
    try:
        key = b64decode(word, validate=True)
    except (Error, ValueError):
        raise ValueError("holds something that is not base64") from None
    if len(key) != KEY_BYTES:
        message = f"holds a key of {len(key)} bytes; each has {KEY_BYTES}"
        raise ValueError(message)
    return key


def _derived(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=purpose).derive(key)


def _place(number: int, *, last: bool) -> bytes:
    """The nonce of a chunk: which one it is, and whether it ends the content."""
    return number.to_bytes(_NONCE_BYTES - 1) + (b"\1" if last else b"\0")
