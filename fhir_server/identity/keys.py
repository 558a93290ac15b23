"""The public keys of an issuer, from a JWKS file that may change while the server runs.

https://www.rfc-editor.org/rfc/rfc7517

Only keys for RS256 (2048 bits or more) and ES256 count; each is good for its one algorithm, so a token cannot choose to
have an RSA key read as an HMAC secret. What else the set holds (encryption keys, other curves) is passed over.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, RSAKey

from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import Json, JsonObject, decode_object
from fhir_server.identity.requester import Realm

RS256: Final = "RS256"
ES256: Final = "ES256"
SMALLEST_RSA: Final = 2048
LARGEST_FILE: Final = 1_000_000
CHECKED_EVERY: Final = 1.0
"""Seconds between two looks at the file: how long a withdrawn key may still be taken."""

DEVELOPMENT_ISSUER: Final = "https://issuer.dmp-ens.example/dev"


class KeysUnusable(Exception):
    """A set of keys that cannot be read; the message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """An issuer whose tokens are taken, the realm of its people, and the file with its keys."""

    url: str
    realm: Realm
    jwks: Path

    def __post_init__(self) -> None:
        """The development issuer has no real people, whatever a setting says."""
        if self.url == DEVELOPMENT_ISSUER and self.realm is not Realm.ESSAI:
            raise ValueError("The development issuer belongs to the realm essai, always.")


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key and the one algorithm it verifies."""

    algorithm: str
    key: ECKey | RSAKey


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys of an issuer at one time, by key id."""

    keys: Mapping[str, VerificationKey]

    def find(self, kid: str | None) -> VerificationKey | None:
        """The key of that id; without an id, the only key there is."""
        if kid is None:
            return next(iter(self.keys.values())) if len(self.keys) == 1 else None
        return self.keys.get(kid)


class IssuerKeys:
    """The key ring of an issuer, as its file says now."""

    def __init__(self, issuer: TrustedIssuer) -> None:
        """Read the file, so that a broken one is known at the start: raises :class:`KeysUnusable`."""
        self.issuer = issuer
        self._seen = _fingerprint(issuer.jwks)
        self._ring: KeyRing | None = read_key_ring(issuer.jwks)
        self._checked = -inf

    def current(self, now: float) -> KeyRing | None:
        """The ring; the same object for as long as the file has not changed. Nothing while the file is unusable.

        Looks at the file at most once per :data:`CHECKED_EVERY`: a few microseconds, and one small read per change.
        """
        if not 0 <= now - self._checked < CHECKED_EVERY:
            self._checked = now
            self._look_again()
        return self._ring

    def _look_again(self) -> None:
        try:
            seen = _fingerprint(self.issuer.jwks)
            if seen != self._seen or self._ring is None:
                self._ring = read_key_ring(self.issuer.jwks)
                self._seen = seen
        except KeysUnusable:
            # A key that cannot be shown to be there is not taken. The next look may find the file mended.
            self._ring = None


def read_key_ring(path: Path) -> KeyRing:
    """Read a JWKS file; raise :class:`KeysUnusable`."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise KeysUnusable(f"The key set {path} cannot be read: {error.strerror}.") from None
    if len(text) > LARGEST_FILE:
        raise KeysUnusable(f"The key set {path} is larger than {LARGEST_FILE} bytes.")
    try:
        members = decode_object(text).get("keys")
    except FhirError as error:
        raise KeysUnusable(f"The key set {path} is not a JSON object: {error}") from None
    if not isinstance(members, list):
        raise KeysUnusable(f"The key set {path} has no array named keys.")
    ring: dict[str, VerificationKey] = {}
    for member in members:
        read = _verification_key(member, path)
        if read is None:
            continue
        kid, key = read
        if kid in ring:
            raise KeysUnusable(f"The key set {path} has two keys with the id {kid!r}.")
        ring[kid] = key
    return KeyRing(ring)


def _verification_key(member: Json, path: Path) -> tuple[str, VerificationKey] | None:
    """One key of the set with its id (its thumbprint when it has none); nothing when it is not of our algorithms."""
    if not isinstance(member, dict):
        raise KeysUnusable(f"The key set {path} holds something that is not a key.")
    if "d" in member or "k" in member:
        raise KeysUnusable(f"The key set {path} holds a secret key; it must hold public keys only.")
    algorithm = _algorithm(member)
    if algorithm is None or member.get("use", "sig") != "sig" or member.get("alg", algorithm) != algorithm:
        return None
    # Only what makes the public key is taken over: key_ops, x5u and the like have no say.
    parts: dict[str, str | list[str]] = {
        name: value for name in ("kty", "crv", "x", "y", "n", "e") if isinstance(value := member.get(name), str)
    }
    try:
        with warnings.catch_warnings():
            # A short RSA key makes joserfc warn; it is refused below.
            warnings.simplefilter("ignore", SecurityWarning)
            key = ECKey.import_key(parts) if algorithm == ES256 else RSAKey.import_key(parts)
        kid = member.get("kid", key.thumbprint())
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise KeysUnusable(f"The key set {path} holds a key that cannot be read: {error}.") from None
    if isinstance(key, RSAKey) and key.public_key.key_size < SMALLEST_RSA:
        raise KeysUnusable(f"The key set {path} holds an RSA key of less than {SMALLEST_RSA} bits.")
    if not isinstance(kid, str) or not kid:
        raise KeysUnusable(f"The key set {path} holds a key whose kid is not a string.")
    return kid, VerificationKey(algorithm, key)


def _algorithm(member: JsonObject) -> str | None:
    if member.get("kty") == "RSA":
        return RS256
    return ES256 if member.get("kty") == "EC" and member.get("crv") == "P-256" else None


def _fingerprint(path: Path) -> tuple[int, int, int]:
    """What changes when a file is written or replaced."""
    try:
        told = path.stat()
    except OSError as error:
        raise KeysUnusable(f"The key set {path} cannot be read: {error.strerror}.") from None
    return told.st_mtime_ns, told.st_size, told.st_ino
