"""The key that signs heads, and the file of heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fhir_server.audit.anchor import line, read_line, signed, signer_at
from fhir_server.store.trace import Head


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    first = signer_at(tmp_path / "keys" / "trail.pem")
    second = signer_at(tmp_path / "keys" / "trail.pem")
    assert first.public == second.public
    assert (tmp_path / "keys" / "trail.pem").stat().st_mode & 0o777 == 0o600
    assert [one.name for one in (tmp_path / "keys").iterdir()] == ["trail.pem"]


def test_another_kind_of_key_is_refused(tmp_path: Path) -> None:
    pem = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key").write_bytes(pem)
    with pytest.raises(TypeError, match="Ed25519"):
        signer_at(tmp_path / "key")


@pytest.mark.parametrize(
    "change",
    [
        {"writer": "b"},
        {"number": 2},
        {"seq": 8},
        {"digest": b"y"},
        {"at": 2},
        {"closing": True},
        {"open": (1,)},
        {"signer": "x"},
        {"signature": b"x"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_signature_covers_everything(tmp_path: Path, change: dict[str, Any]) -> None:
    signer = signer_at(tmp_path / "key")
    anchor = signer.sign(Head("a", 7, b"x"), number=1, at=1, open=(3, 5))
    assert signed(anchor, signer.public)
    assert not signed(replace(anchor, **change), signer.public)


def test_a_line_of_the_file_reads_back(tmp_path: Path) -> None:
    anchor = signer_at(tmp_path / "key").sign(Head("a", 7, b"x"), number=1, at=1, open=(3, 5))
    assert read_line(line(anchor)) == anchor
    assert read_line(line(anchor)[:-20]) is None
