"""The development issuer of ``serve --demo``: a key in the data folder that signs tokens for trials.

Its people are never real: the realm is ``essai`` whatever a setting says. The private key stays in ``issuer/key.json``
(0600, in a folder 0700); the server reads the public half, ``issuer/jwks.json``. Several processes may open the same
folder at once: one makes the key, the others find it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import JsonObject, decode_object, encode
from fhir_server.identity.keys import DEVELOPMENT_ISSUER, ES256, TrustedIssuer
from fhir_server.identity.requester import Realm

DEFAULT_BASE_URL: Final = "http://127.0.0.1:8080/fhir"

_BASE_URL_FILE = "base-url"
_OTHERS = 0o077


class IssuerUnusable(Exception):
    """The development issuer is not there or cannot be used; the message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class DevelopmentIssuer:
    """Signs tokens with the key of one data folder."""

    folder: Path
    key: ECKey

    @classmethod
    def create(cls, data_folder: Path) -> DevelopmentIssuer:
        """Open the issuer of this data folder, made now if it is not there yet; raise :class:`IssuerUnusable`."""
        folder = data_folder / "issuer"
        try:
            data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            with _alone_in(folder):
                if not (folder / "key.json").exists():
                    _write_key(folder / "key.json")
                issuer = cls.existing(data_folder)
                # Written anew each time: a crash between the two files, or a copied folder, mends itself.
                _replace(folder / "jwks.json", encode({"keys": [_public(issuer.key)]}), mode=0o644)
        except OSError as error:
            raise IssuerUnusable(f"The development issuer cannot be made in {folder}: {error.strerror}.") from None
        return issuer

    @classmethod
    def existing(cls, data_folder: Path) -> DevelopmentIssuer:
        """Open the issuer that ``serve --demo`` made; raise :class:`IssuerUnusable`."""
        folder = data_folder / "issuer"
        return cls(folder, _read_key(folder / "key.json"))

    @property
    def trusted(self) -> TrustedIssuer:
        """What the verifier of the server needs to take these tokens."""
        return TrustedIssuer(DEVELOPMENT_ISSUER, Realm.ESSAI, self.folder / "jwks.json")

    def issue(self, claims: JsonObject) -> str:
        """Sign these claims, whatever they say: the server must stand wrong ones too."""
        header = {"alg": ES256, "typ": "JWT", "kid": self.key.thumbprint()}
        return jws.serialize_compact(header, encode(claims), self.key, algorithms=[ES256])


def write_base_url(data_folder: Path, base_url: str) -> None:
    """Note the base URL that the server of this data folder answers to, for tokens made by another process."""
    _replace(data_folder / _BASE_URL_FILE, base_url.encode() + b"\n", mode=0o644)


def read_base_url(data_folder: Path, default: str = DEFAULT_BASE_URL) -> str:
    """The base URL that the server of this data folder noted last."""
    try:
        return (data_folder / _BASE_URL_FILE).read_text("utf-8").strip() or default
    except (OSError, UnicodeDecodeError):
        return default


def _public(key: ECKey) -> JsonObject:
    public = cast("JsonObject", key.as_dict(private=False))
    return public | {"kid": key.thumbprint(), "use": "sig", "alg": ES256}


def _write_key(path: Path) -> None:
    key = ECKey.generate_key("P-256")
    _replace(path, encode(key.as_dict(private=True)), mode=0o600)


def _read_key(path: Path) -> ECKey:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise IssuerUnusable(f"The key {path} can be read by others: chmod 600 it, or delete its folder.")
            members = decode_object(file.read())
        key = ECKey.import_key({name: value for name, value in members.items() if isinstance(value, str)})
    except FileNotFoundError:
        raise IssuerUnusable(
            f"There is no development issuer in {path.parent}: start the server with --demo first."
        ) from None
    except OSError as error:
        raise IssuerUnusable(f"The key {path} cannot be read: {error.strerror}.") from None
    except (FhirError, JoseError, ValueError, TypeError, KeyError):
        key = None
    if key is None or not key.is_private or key.curve_name != "P-256":
        raise IssuerUnusable(f"The key {path} is damaged: delete its folder and start the server with --demo again.")
    return key


def _replace(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that is either the old one or the whole new one, at any instant."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes that make the issuer at this moment."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
