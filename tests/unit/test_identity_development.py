"""The development issuer: one key per data folder, kept private, whoever comes first."""

from __future__ import annotations

import json
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fhir_server.identity.actors import ACTORS, claims_for
from fhir_server.identity.development import (
    DEFAULT_BASE_URL,
    DevelopmentIssuer,
    IssuerUnusable,
    read_base_url,
    write_base_url,
)
from fhir_server.identity.keys import read_key_ring
from fhir_server.identity.requester import Realm
from fhir_server.identity.token import Verifier


def test_a_token_of_another_opening_holds_at_the_server(tmp_path: Path) -> None:
    server = DevelopmentIssuer.create(tmp_path / "data")
    verifier = Verifier("http://server/fhir", [server.trusted])
    elsewhere = DevelopmentIssuer.existing(tmp_path / "data")
    now = time.time()

    token = elsewhere.issue(claims_for(ACTORS["patient"], base_url="http://server/fhir", now=now))

    assert verifier.verify(f"Bearer {token}", now=now).realm is Realm.ESSAI


def test_the_key_is_private_and_the_key_set_holds_its_public_half(tmp_path: Path) -> None:
    issuer = DevelopmentIssuer.create(tmp_path / "data")

    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE(issuer.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((issuer.folder / "key.json").stat().st_mode) == 0o600
    assert "d" in json.loads((issuer.folder / "key.json").read_text())
    (key,) = json.loads((issuer.folder / "jwks.json").read_text())["keys"]
    assert "d" not in key
    assert read_key_ring(issuer.trusted.jwks).keys.keys() == {issuer.key.thumbprint()}
    assert sorted(path.name for path in issuer.folder.iterdir()) == ["jwks.json", "key.json"]


def test_the_key_stays_and_a_lost_key_set_is_mended(tmp_path: Path) -> None:
    first = DevelopmentIssuer.create(tmp_path)
    (first.folder / "jwks.json").unlink()

    again = DevelopmentIssuer.create(tmp_path)

    assert again.key.thumbprint() == first.key.thumbprint()
    assert read_key_ring(again.trusted.jwks).keys.keys() == {first.key.thumbprint()}


def test_those_who_come_together_agree_on_one_key(tmp_path: Path) -> None:
    """Each opening locks the folder with a descriptor of its own, so threads meet as processes do."""
    with ThreadPoolExecutor(8) as pool:
        told = {issuer.key.thumbprint() for issuer in pool.map(DevelopmentIssuer.create, [tmp_path] * 24)}

    assert told == {DevelopmentIssuer.existing(tmp_path).key.thumbprint()}


def test_no_issuer_yet(tmp_path: Path) -> None:
    with pytest.raises(IssuerUnusable, match="--demo first"):
        DevelopmentIssuer.existing(tmp_path)


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    issuer = DevelopmentIssuer.create(tmp_path)
    (issuer.folder / "key.json").chmod(0o644)

    with pytest.raises(IssuerUnusable, match="chmod 600"):
        DevelopmentIssuer.create(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}'])
def test_a_damaged_key_is_told(tmp_path: Path, content: str) -> None:
    issuer = DevelopmentIssuer.create(tmp_path)
    (issuer.folder / "key.json").write_text(content)

    with pytest.raises(IssuerUnusable, match="damaged"):
        DevelopmentIssuer.create(tmp_path)


def test_a_key_without_its_private_half_is_told(tmp_path: Path) -> None:
    issuer = DevelopmentIssuer.create(tmp_path)
    (issuer.folder / "key.json").write_text(json.dumps(issuer.key.as_dict(private=False)))

    with pytest.raises(IssuerUnusable, match="damaged"):
        DevelopmentIssuer.existing(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    with pytest.raises(IssuerUnusable, match="cannot be made"):
        DevelopmentIssuer.create(tmp_path / "data")
    with pytest.raises(IssuerUnusable, match="cannot be read"):
        DevelopmentIssuer.existing(tmp_path / "data")


def test_the_base_url_is_noted_and_found(tmp_path: Path) -> None:
    assert read_base_url(tmp_path) == DEFAULT_BASE_URL
    assert read_base_url(tmp_path, "http://x/fhir") == "http://x/fhir"

    write_base_url(tmp_path, "http://127.0.0.1:9090/fhir")

    assert read_base_url(tmp_path) == "http://127.0.0.1:9090/fhir"
