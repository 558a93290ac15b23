"""The requester of one request, as the token tells: who, for whom, in which realm, for what purpose.

It is a value: rules of consent read it, the trail writes it down, nobody changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fhir_server.fhir.errors import Forbidden
from fhir_server.fhir.messages import Told
from fhir_server.identity.scope import Scope


class Kind(StrEnum):
    """Which line of the table of acts speaks of the requester (``fhir_server/identity/kinds.py`` tells them apart)."""

    PATIENT = "patient"
    REPRESENTATIVE = "representative"
    """Legal representative of a minor or a protected adult, acting in that person's record."""
    CARER = "carer"
    """Aidant, acting in the record of the person he helps."""
    PROFESSIONAL = "professional"
    ORGANISATION = "organisation"
    """The system of a structure that publishes documents."""
    FEEDER = "feeder"
    """Assurance Maladie (ALIM_AM) or a medical device (DISPOSITIF): feeds, never reads (R-09)."""
    CONFORMANCE = "conformance"
    """A test client, in the realm of trials only."""
    SUPPORT = "support"
    """Support staff of the service, who read the trail (R1111-54)."""


class Realm(StrEnum):
    """Real people or trials. A request stays inside its own realm, which its issuer decides."""

    REEL = "reel"
    ESSAI = "essai"


SHARED: Final = "commun"
"""Of what the server publishes itself, profiles and code lists: it is in no realm of anybody's, and both read it
(ADR 0040)."""


class Purpose(StrEnum):
    """Purposes of use served here, of https://terminology.hl7.org/CodeSystem-v3-ActReason.html"""

    TREAT = "TREAT"
    ETREAT = "ETREAT"
    """Emergency call handled by a SAMU (centre de régulation)."""
    BTG = "BTG"
    """Break the glass (bris de glace): the person cannot answer and is in immediate danger."""
    PATRQT = "PATRQT"
    """The patient asks for himself."""
    FAMRQT = "FAMRQT"
    """A representative or carer asks."""


@dataclass(frozen=True, slots=True)
class Coding:
    """A code in its system."""

    system: str
    code: str
    display: str | None = None


@dataclass(frozen=True, slots=True)
class Identifier:
    """A value in its system: an INS."""

    system: str
    value: str


@dataclass(frozen=True, slots=True)
class Requester:
    """Somebody whose token holds."""

    kind: Kind
    key: str
    """Stable identity, by which own acts and deposits are known: ``rpps|89900000001``, ``finess|990000001``,
    ``ins|280057505600117``, ``client|<issuer>|<sub>``. Spelt as the authors of a document are."""
    name: str
    subject: str
    issuer: str
    realm: Realm
    rpps: str | None
    organisation: str | None
    organisation_system: str | None
    roles: tuple[Coding, ...]
    profession: str | None
    """Code of the one profession in the token, which decides the line of the matrix (matrice d'habilitations)."""
    profession_system: str | None
    specialty: str | None
    practice_setting: str | None
    purpose: Purpose
    reason: str | None
    person: Identifier | None
    """INS of the patient, or of the record acted for. For a professional: the one record the token was issued for."""
    actor: Identifier | None
    """INS of the representative or carer."""
    audience_restriction: str | None
    """``INVISIBLE_REPRESENTANTS_LEGAUX``: a secret session with a minor."""
    amr: tuple[str, ...]
    """How the person authenticated, https://www.rfc-editor.org/rfc/rfc8176"""
    authenticated_in_person: bool
    scopes: tuple[Scope, ...]
    token_id: str
    expires: int
    """Seconds since 1970."""

    def may(self, type: str, letter: str) -> bool:
        """Tell whether the token's scopes cover this letter of ``cruds`` on this type; consent may still say no."""
        return any(scope.grants(type, letter) for scope in self.scopes)

    def has_role(self, system: str, code: str) -> bool:
        """Tell whether the token names this role."""
        return any(role.system == system and role.code == code for role in self.roles)


class PurposeRefused(Forbidden):
    """A purpose that does not fit its requester: 403, never a silent fall-back to TREAT.

    The token itself holds, so the refusal names its requester: the attempt belongs in the trail.
    """

    def __init__(self, message: Told, requester: Requester) -> None:
        """Say why, and who tried."""
        super().__init__(message)
        self.requester = requester
