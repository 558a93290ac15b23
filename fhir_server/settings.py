"""What an operator can set: by options of the command line, or by environment variables named ``FHIR_`` + the name.

Everything is checked before anything starts. A wrong value, or a variable whose name is not known here, stops the
start-up with one sentence.
"""

from __future__ import annotations

import ipaddress
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from fhir_server.identity.requester import Realm
from fhir_server.store.sealing import MasterKeys

PREFIX = "FHIR_"
_OF_COMMANDS = frozenset({"FHIR_PYTHON", "FHIR_VENV", "FHIR_TOKEN"})
"""Variables of the script and of `load`, which are not settings of a server."""
_LOCAL_NAMES = frozenset({"localhost", ""})


class SettingsError(Exception):
    """The settings cannot be used; the message is one sentence."""


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class DeclarationMedecinTraitant(StrEnum):
    """When a doctor's own declaration as médecin traitant counts."""

    CONFIRMED = "confirmed"
    """Once the patient, a representative or the Assurance Maladie has confirmed it."""
    IMMEDIATE = "immediate"


class ConditionalDelete(StrEnum):
    """How many resources a conditional delete may delete."""

    SINGLE = "single"
    """One; several matches are refused."""
    MULTIPLE = "multiple"


class ProfileMode(StrEnum):
    """Which profiles resources must declare."""

    OPEN = "open"
    """None but those of `required_profiles`."""
    DMP = "dmp"
    """Those of the DMP as well."""


class AttachmentMismatch(StrEnum):
    """What becomes of a document whose attachment declares another size or hash than its bytes have."""

    REFUSE = "refuse"
    WARN = "warn"


class IssuerSettings(BaseModel):
    """An issuer of tokens that is trusted, and for which records."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1, description="The `iss` claim of its tokens.")
    jwks_file: Path = Field(description="Its public keys, as a JSON Web Key Set (RFC 7517).")
    realm: Realm = Field(description="The realm of everything its requesters write: `reel` or `essai`.")

    @field_validator("jwks_file")
    @classmethod
    def _is_there(cls, path: Path) -> Path:
        return _readable(path)


class Settings(BaseSettings):
    """One server's settings, fixed for its life."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True)

    base_url: str = Field(
        default="",
        description="The [base] that clients use and that links and tokens carry, whatever the Host header says. "
        "Default: http://HOST:PORT/fhir.",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    workers: int = Field(default=1, ge=1, le=64, description="Processes that answer requests; about one a core.")
    data_folder: Path = Field(
        default=Path("data"),
        description="Where the embedded MongoDB, the development issuer's key and the base URL are kept (0700).",
    )

    mongodb_uri: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("FHIR_MONGODB_URI", "MONGODB_URI"),
        description="A replica set to use instead of the embedded MongoDB. Also read from MONGODB_URI.",
    )
    database: str = Field(
        default="fhir", pattern=r"^[A-Za-z0-9_-]{1,38}$", description="The name of the database in MongoDB."
    )
    mongod: Path | None = Field(default=None, description="The mongod program for a new data folder.")
    mongod_cache_gb: float = Field(
        default=0.5, ge=0.25, le=1024, description="Cache of the embedded MongoDB, in gigabytes."
    )
    mongodb_pool_size: int = Field(
        default=8, ge=2, le=200, description="Connections of each worker. More than 16 makes requests slower."
    )

    demo: bool = Field(default=False, description="Keep the demonstration records, actors and issuer.")
    issuers: tuple[IssuerSettings, ...] = Field(
        default=(),
        description='Trusted issuers, as a JSON array of {"issuer", "jwks_file", "realm"}.',
    )
    allow_development_issuer_on_non_loopback: bool = Field(
        default=False,
        description="Accept the development issuer's tokens although others can reach this server. "
        "Whoever reads the data folder can then be anybody.",
    )

    max_body_bytes: int = Field(
        default=8 * 1024 * 1024, ge=1024, le=15 * 1024 * 1024, description="Longest body accepted; longer is a 413."
    )
    max_bundle_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=1024,
        le=64 * 1024 * 1024,
        description="Longest batch or transaction Bundle accepted; each resource in it is bounded by max_body_bytes.",
    )
    attachment_mismatch: AttachmentMismatch = Field(
        default=AttachmentMismatch.REFUSE,
        description="A published document whose declared size or SHA-1 is not that of its bytes: refuse it, or warn.",
    )
    max_content_bytes: int = Field(
        default=500 * 1024 * 1024,
        ge=1024,
        le=16 * 1024**3,
        description="Longest content of a Binary accepted, sent as what it is; longer is a 413.",
    )
    content_key_file: Path | None = Field(
        default=None,
        description="A file of master keys, by which the contents of Binaries are encrypted. Default: they are not.",
    )
    content_keys: SecretStr | None = Field(
        default=None, description="The same keys themselves, instead of a file: base64, the first encrypts."
    )
    default_count: int = Field(default=50, ge=1, description="Entries a page when the client does not say.")
    max_count: int = Field(default=1000, ge=1, le=10_000, description="Most entries a page, whatever the client says.")
    search_timeout: float = Field(
        default=10.0,
        gt=0,
        le=25,
        description="Seconds a search may take in the database; then it is refused, too-costly.",
    )
    header_timeout: float = Field(default=10.0, gt=0, description="Seconds a client may take for its headers.")
    body_timeout: float = Field(default=30.0, gt=0, description="Seconds a client may pause within a body.")
    drain_timeout: float = Field(default=30.0, ge=0, description="Seconds that requests get to end after a SIGTERM.")
    conditional_delete: ConditionalDelete = Field(
        default=ConditionalDelete.SINGLE,
        description="Whether a conditional delete that several resources match is refused, or deletes all of them.",
    )
    profile_mode: ProfileMode = Field(
        default=ProfileMode.OPEN,
        description="dmp: a DocumentReference must declare and satisfy a profile of PDSm, a Patient that of the INS. "
        "open: what is declared is to be satisfied. Conformance clients are excepted.",
    )
    required_profiles: dict[str, tuple[str, ...]] = Field(
        default={},
        description="By resource type, profiles of which one must be declared and satisfied, as a JSON object of "
        "arrays of canonical URLs. Conformance clients are excepted. Default: none.",
    )
    cors_origins: tuple[str, ...] = Field(
        default=(), description="Web origins whose pages may call this server, as a JSON array. Default: none."
    )

    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of the loopback address for Prometheus metrics; 0 takes a free one.",
    )
    log_level: LogLevel = Field(default=LogLevel.INFO, description="debug, info, warning or error.")
    audit_anchor_file: Path | None = Field(
        default=None, description="A file outside the database that also receives the signed heads of the trail."
    )

    habilitation_matrix: Path | None = Field(
        default=None, description="Another habilitation matrix than the one delivered."
    )
    time_zone: str = Field(default="Europe/Paris", description="The zone in which a date-only end of a right is read.")
    authorisation_months: Annotated[int, Field(ge=1, le=120)] = Field(
        default=12, description="How long an authorisation without an end lasts."
    )
    mt_declaration: DeclarationMedecinTraitant = Field(
        default=DeclarationMedecinTraitant.CONFIRMED,
        description="Whether a doctor's own declaration as médecin traitant waits for a confirmation.",
    )
    age_majorite: Annotated[int, Field(ge=1, le=120)] = Field(
        default=18, description="From which age on, in years, a minor's legal representative has no access any more."
    )
    cumul_invisible_patient_masque_ps: bool = Field(
        default=False, description="Accept a document that is both INVISIBLE_PATIENT and MASQUE_PS; else 422."
    )

    _alone_since: int = PrivateAttr(default=0)

    @property
    def alone_since(self) -> int:
        """Since when (microseconds since 1970) this server has the database for itself; 0 when it may share it.

        Whatever wrote before that moment is dead, and what it left open can be brought to its end at once.
        """
        return self._alone_since

    def alone(self, since: int) -> Self:
        """The same settings of a server that has had the database for itself since this moment."""
        copy = self.model_copy()
        copy._alone_since = since  # noqa: SLF001 - our own, of the copy
        return copy

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        return is_loopback(self.host)

    @model_validator(mode="before")
    @classmethod
    def _complete_base_url(cls, values: dict[str, Any]) -> dict[str, Any]:
        if not values.get("base_url"):
            host = str(values.get("host", "127.0.0.1"))
            host = f"[{host}]" if ":" in host else host
            values["base_url"] = f"http://{host}:{values.get('port', 8080)}/fhir"
        return values

    @field_validator("base_url")
    @classmethod
    def _is_a_base(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must be an absolute http or https URL without query, as https://example.org/fhir")
        if parts.hostname in {"0.0.0.0", "::"}:  # noqa: S104 - refused here, not bound
            raise ValueError("must be given when host is every address: it is the URL that clients use")
        return url.rstrip("/")

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, LookupError):
            message = f"{name!r} is not known on this machine (is the system package tzdata installed?)"
            raise ValueError(message) from None
        return name

    @field_validator("habilitation_matrix")
    @classmethod
    def _is_there(cls, path: Path | None) -> Path | None:
        return None if path is None else _readable(path)

    @field_validator("content_key_file")
    @classmethod
    def _is_private(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        if _readable(path).stat().st_mode & 0o007:
            message = f"{path} can be read by everybody; chmod 600 {path}"
            raise ValueError(message)
        MasterKeys.read(path.read_text(encoding="ascii", errors="replace"))
        return path

    @field_validator("content_keys")
    @classmethod
    def _are_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            MasterKeys.read(keys.get_secret_value())
        return keys

    @property
    def master_keys(self) -> MasterKeys | None:
        """The keys by which contents are encrypted, read anew each time; none where they are not."""
        if self.content_key_file is not None:
            return MasterKeys.read(self.content_key_file.read_text(encoding="ascii"))
        return None if self.content_keys is None else MasterKeys.read(self.content_keys.get_secret_value())

    @field_validator("issuers")
    @classmethod
    def _named_once(cls, issuers: tuple[IssuerSettings, ...]) -> tuple[IssuerSettings, ...]:
        names = [one.issuer for one in issuers]
        if len(set(names)) != len(names):
            raise ValueError("names an issuer twice")
        return issuers

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.demo and not self.is_loopback and not self.allow_development_issuer_on_non_loopback:
            raise ValueError(
                f"the demonstration's issuer is refused on {self.host}, which others can reach; "
                "listen on 127.0.0.1, or set allow_development_issuer_on_non_loopback"
            )
        if self.content_key_file is not None and self.content_keys is not None:
            raise ValueError("master keys are given by content_key_file or by content_keys, not by both")
        if self.default_count > self.max_count:
            raise ValueError("default_count must not be more than max_count")
        return self


def load_settings(**given: object) -> Settings:
    """The settings from the environment, and from the options of the command line, which win.

    An option that is `None` was not given.
    """
    unknown = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and not _is_known(name.upper()))
    if unknown:
        raise SettingsError(f"{unknown[0]} is not a setting of this server; see docs/operate/settings.md.")
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from None
    except Exception as error:  # noqa: BLE001 - pydantic-settings wraps broken JSON in an error of its own
        raise SettingsError(f"The settings cannot be read: {error}.") from None


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is this machine's own only."""
    if host.lower() in _LOCAL_NAMES:
        return host != ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_known(variable: str) -> bool:
    return variable in _OF_COMMANDS or variable.removeprefix(PREFIX).lower() in Settings.model_fields


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in ("uri", "keys"))


def _readable(path: Path) -> Path:
    if not path.is_file() or not os.access(path, os.R_OK):
        message = f"{path} cannot be read"
        raise ValueError(message)
    return path


def _sentence(error: ValidationError) -> str:
    """The first mistake, with the name an operator knows. Values of secrets are not repeated."""
    first = error.errors(include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    what = first["msg"].removeprefix("Value error, ").rstrip(".")
    if not name:
        return f"The settings do not agree: {what}."
    given = first.get("input")
    shown = f" (given: {given!r})" if isinstance(given, str | int | float) and not _is_secret(name) else ""
    return f"The setting {name} is wrong: {what}{shown}."
