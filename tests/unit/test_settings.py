"""Settings are checked before anything starts, and a wrong one is told in one sentence."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from fhir_server.settings import Settings, SettingsError, is_loopback, load_settings

EVERYWHERE = "0.0.0.0"  # noqa: S104 - never bound here


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("FHIR_") or name == "MONGODB_URI":
            monkeypatch.delenv(name)


def test_without_a_word_it_serves_this_machine_only() -> None:
    settings = load_settings()
    assert settings.is_loopback
    assert settings.base_url == "http://127.0.0.1:8080/fhir"
    assert settings.cors_origins == ()
    assert not settings.demo


def test_options_win_over_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_PORT", "9000")
    monkeypatch.setenv("FHIR_WORKERS", "3")
    settings = load_settings(port=9001, workers=None)
    assert (settings.port, settings.workers) == (9001, 3)
    assert settings.base_url == "http://127.0.0.1:9001/fhir"


@pytest.mark.parametrize("name", ["MONGODB_URI", "FHIR_MONGODB_URI"])
def test_the_uri_is_read_from_either_name_and_never_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "mongodb://me:secret@db/")
    settings = load_settings()
    assert settings.mongodb_uri is not None
    assert settings.mongodb_uri.get_secret_value() == "mongodb://me:secret@db/"
    assert "secret" not in repr(settings)
    assert load_settings(mongodb_uri=SecretStr("mongodb://other/")).mongodb_uri == SecretStr("mongodb://other/")


def test_it_is_fixed_and_travels_to_workers() -> None:
    settings = load_settings(port=9001)
    with pytest.raises(ValidationError):
        settings.port = 1
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own bytes


def test_issuers_are_read_with_their_realm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text('{"keys": []}')
    issuer = {"issuer": "https://psc.example", "jwks_file": str(keys), "realm": "reel"}
    monkeypatch.setenv("FHIR_ISSUERS", json.dumps([issuer]))
    assert [(one.issuer, one.realm.value) for one in load_settings().issuers] == [("https://psc.example", "reel")]
    monkeypatch.setenv("FHIR_ISSUERS", json.dumps([issuer, issuer]))
    with pytest.raises(SettingsError, match="names an issuer twice"):
        load_settings()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"port": 70000}, r"port is wrong: .*less than or equal to 65535 \(given: 70000\)"),
        ({"base_url": "ftp://x/fhir"}, "base_url is wrong: must be an absolute http or https URL"),
        ({"base_url": "http://x/fhir?a=b"}, "without query"),
        ({"host": EVERYWHERE}, "the URL that clients use"),
        (
            {"host": EVERYWHERE, "base_url": "http://x/fhir", "demo": True},
            "allow_development_issuer_on_non_loopback",
        ),
        ({"time_zone": "Europe/Nowhere"}, "not known on this machine"),
        ({"default_count": 500, "max_count": 100}, "default_count must not be more than max_count"),
        ({"issuers": [{"issuer": "x", "jwks_file": "/nowhere", "realm": "essai"}]}, "/nowhere cannot be read"),
        ({"mt_declaration": "later"}, "mt_declaration is wrong"),
        ({"colour": "blue"}, "colour is wrong"),
    ],
)
def test_a_wrong_setting_is_told_in_one_sentence(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence) as told:
        load_settings(**given)
    assert "\n" not in str(told.value)


def test_a_variable_that_is_no_setting_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_WORKER", "2")
    with pytest.raises(SettingsError, match="FHIR_WORKER is not a setting"):
        load_settings()


def test_broken_json_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_CORS_ORIGINS", "[")
    with pytest.raises(SettingsError, match="cors_origins"):
        load_settings()


@pytest.mark.parametrize(("host", "only_us"), [("127.0.0.1", True), ("::1", True), ("localhost", True),
                                               ("127.3.4.5", True), (EVERYWHERE, False), ("::", False),
                                               ("", False), ("10.0.0.1", False), ("example.org", False)])  # fmt: skip
def test_loopback(host: str, only_us: bool) -> None:
    assert is_loopback(host) is only_us


def test_every_setting_is_explained_to_operators() -> None:
    page = (Path(__file__).parents[2] / "docs/operate/settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert field.description
        assert f"| `FHIR_{name.upper()}` |" in page
        assert field.description in page
