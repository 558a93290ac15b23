"""Signed heads: what an auditor holds against whoever could rewrite the whole database.

A chain proves that nobody changed a part of it; a signed head proves that nobody rewrote all of it. The key is outside
the database. Heads are also appended to a file, outside the database again, when one is configured: it can be shipped
to a place the operator of the database cannot write to.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from fhir_server.store.trace import Anchor, Head

_PURPOSE: Final = "fhir-server trail anchor 1"
"""Signed with every head, so that a signature cannot be taken for one of another purpose."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and the name of its public half."""

    key: Ed25519PrivateKey
    public: bytes
    fingerprint: str

    def sign(self, head: Head, *, number: int, at: int, closing: bool = False, open: tuple[int, ...] = ()) -> Anchor:
        """The signed head."""
        unsigned = Anchor(
            head.writer, number, head.seq, head.digest, at, closing, open, signer=self.fingerprint, signature=b""
        )
        return replace(unsigned, signature=self.key.sign(_text(unsigned)))


def signer(key: Ed25519PrivateKey) -> Signer:
    """A signer for this key."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return Signer(key, public, fingerprint(public))


def fingerprint(public: bytes) -> str:
    """The name of a public key: 16 digits of its hash."""
    return sha256(public).hexdigest()[:16]


def signer_at(path: Path) -> Signer:
    """The signer whose key is in this file; the first who asks makes the key, readable by its owner only.

    Several workers may ask at once: the file appears whole, and all get the same key.
    """
    if not path.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another worker's key is there: it is the key
        finally:
            draft.unlink()
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path} does not hold an Ed25519 private key.")
    return signer(key)


def signed(anchor: Anchor, public: bytes) -> bool:
    """Tell whether this key signed this head."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(anchor.signature, _text(anchor))
    except InvalidSignature:
        return False
    return True


def line(anchor: Anchor) -> bytes:
    """A head as a line of the file."""
    return msgspec.json.encode(anchor) + b"\n"


def read_line(text: bytes) -> Anchor | None:
    """The inverse of :func:`line`; nothing for a line that is none (the last one after a crash)."""
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return None


def append_line(path: Path, anchor: Anchor) -> None:
    """Append a head to the file, durably; a line that a crash left unfinished is closed first."""
    with path.open("a+b") as file:
        if file.seek(0, os.SEEK_END) and not _ends_a_line(file):
            file.write(b"\n")
        file.write(line(anchor))
        file.flush()
        os.fsync(file.fileno())


def _ends_a_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


_decode = msgspec.json.Decoder(Anchor).decode


def _text(anchor: Anchor) -> bytes:
    return msgspec.json.encode(
        (
            _PURPOSE,
            anchor.writer,
            anchor.number,
            anchor.seq,
            anchor.digest.hex(),
            anchor.at,
            anchor.closing,
            anchor.open,
            anchor.signer,
        )
    )
