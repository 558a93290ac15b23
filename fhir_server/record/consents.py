"""The Consents that decide: their shapes, one row each of a table, read strictly.

A Consent whose ``policy.uri`` is one of ours must have exactly one of the supported shapes, else the write is refused:
a deny that is stored and then ignored would be a leak. Shapes: docs/consent/shapes.md,
rules R-01..R-14, R-24, R-40..R-46.

Moments are microseconds since 1970, UTC; a date-only end holds until midnight of the record's time zone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from fhir_server.fhir import date
from fhir_server.fhir.joining import either
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import Issue, IssueType, error
from fhir_server.fhir.reference import local
from fhir_server.record.actors import FINESS, INS, RPPS, actor_key
from fhir_server.record.messages import told

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from fhir_server.fhir.json import Json, JsonObject

POLICY: Final = "https://fhir.dmp-ens.example/policy/"
CONSENT_SCOPE: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
LOINC: Final = "http://loinc.org"
PARTICIPATION_TYPE: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
PARTICIPATION_FUNCTION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationFunction"
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ROLE_CLASS: Final = "https://mos.esante.gouv.fr/NOS/TRE_R260-HL7RoleClass/FHIR/TRE-R260-HL7RoleClass"
CHOIX_URGENCE: Final = "https://fhir.dmp-ens.example/CodeSystem/choix-urgence"

_CONSENT_MEMBERS: Final = frozenset(
    (
        "resourceType id meta language text contained extension identifier status scope category patient "
        "dateTime performer organization sourceAttachment sourceReference policy provision _status _dateTime"
    ).split()
)
_CHOOSER: Final = re.compile(r"(?:https?://.+/)?(?:Patient|RelatedPerson)/[^/]+(?:/_history/[^/]+)?")
_CHOOSER_OF_BLOCK: Final = re.compile(
    r"(?:https?://.+/)?(?:Patient|RelatedPerson|Practitioner|PractitionerRole)/[^/]+(?:/_history/[^/]+)?"
)
_PROVISION_MEMBERS: Final = frozenset({"id", "type", "period", "actor", "purpose"})


class Policy(StrEnum):
    """The rights of a patient over his record, by the last part of ``policy.uri``."""

    AUTORISATION = "autorisation"
    BLOCAGE = "blocage"
    URGENCE = "urgence"
    MEDECIN_TRAITANT = "medecin-traitant"
    ADMINISTRATEUR = "administrateur"
    PHARMACIEN_CORRESPONDANT = "pharmacien-correspondant"
    SAGE_FEMME_REFERENTE = "sage-femme-referente"
    EQUIPE = "equipe"
    AIDANT = "aidant"
    MASQUAGE_DEFAUT = "masquage-defaut"
    MASQUAGE_HISTORIQUE = "masquage-historique"
    OPPOSITION = "opposition"


CHOICES: Final = frozenset({Policy.MASQUAGE_DEFAUT, Policy.MASQUAGE_HISTORIQUE, Policy.OPPOSITION})
"""Choices about the whole record: made once, or not made."""
MARKS: Final = frozenset({Policy.PHARMACIEN_CORRESPONDANT, Policy.SAGE_FEMME_REFERENTE})
"""Professionals the patient names without giving them a right: one of each (R-24)."""


class Named(StrEnum):
    """Whom a Consent names."""

    NOBODY = "nobody"
    PROFESSIONAL = "professional"
    PROFESSIONAL_OR_STRUCTURE = "professional or structure"
    TEAM = "care team"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a Consent of one policy must look like."""

    types: frozenset[str]
    named: Named
    role: tuple[str, str] = (PARTICIPATION_TYPE, "IRCP")
    purposes: Mapping[tuple[str, str], str | None] | None = None
    """The one purpose it has, of these, and what it chooses by it; nothing when it takes none."""
    start: Literal["may", "must", "now"] = "may"
    """Whether its period must start, may, or is in force at once: then it cannot start later."""
    end: Literal["may", "must", "never"] = "may"
    """Whether its period must end, may, or has no end."""
    statuses: frozenset[str] = frozenset({"active", "inactive"})


_PERMIT: Final = frozenset({"permit"})
_DENY: Final = frozenset({"deny"})
_ANSWERED: Final = frozenset({"proposed", "active", "rejected", "inactive"})
_CHOICE: Final = Shape(_DENY, Named.NOBODY, start="now", end="never")
_MARK: Final = Shape(_PERMIT, Named.PROFESSIONAL)

SHAPES: Final[Mapping[Policy, Shape]] = {
    Policy.AUTORISATION: Shape(
        _PERMIT, Named.PROFESSIONAL_OR_STRUCTURE, purposes={(ACT_REASON, "TREAT"): None}, start="must"
    ),
    Policy.BLOCAGE: Shape(_DENY, Named.PROFESSIONAL, start="now", end="never"),
    Policy.URGENCE: Shape(
        _PERMIT | _DENY,
        Named.NOBODY,
        purposes={(ACT_REASON, "ETREAT"): "ETREAT", (ACT_REASON, "BTG"): "BTG", (CHOIX_URGENCE, "MASKED"): "MASKED"},
        start="now",
        end="never",
    ),
    Policy.MEDECIN_TRAITANT: Shape(
        _PERMIT, Named.PROFESSIONAL, role=(PARTICIPATION_FUNCTION, "PCP"), statuses=_ANSWERED
    ),
    Policy.ADMINISTRATEUR: Shape(_PERMIT, Named.PROFESSIONAL, start="must"),
    Policy.PHARMACIEN_CORRESPONDANT: _MARK,
    Policy.SAGE_FEMME_REFERENTE: _MARK,
    Policy.EQUIPE: Shape(_PERMIT | _DENY, Named.TEAM),
    Policy.AIDANT: Shape(_PERMIT, Named.PERSON, role=(ROLE_CLASS, "CAREGIVER"), end="must", statuses=_ANSWERED),
    Policy.MASQUAGE_DEFAUT: _CHOICE,
    Policy.MASQUAGE_HISTORIQUE: _CHOICE,
    Policy.OPPOSITION: _CHOICE,
}
"""The supported shapes (docs/consent/shapes.md): whatever differs is refused, for it would not be followed."""

_IDENTIFIERS: Final[Mapping[Named, Mapping[str, int]]] = {
    Named.PROFESSIONAL: {RPPS: 11},
    Named.PROFESSIONAL_OR_STRUCTURE: {RPPS: 11, FINESS: 9},
    Named.PERSON: dict.fromkeys(sorted(INS), 15),
}
"""By whom is named, the systems of his identifier and how many characters it has."""


@dataclass(frozen=True, slots=True)
class ConsentFact:
    """What one Consent says, in the form kept with the record."""

    id: str
    policy: Policy
    active: bool
    permit: bool
    actor: str | None
    """An actor key (`record.actors`), or ``CareTeam/[id]``; none for a choice about the whole record."""
    purpose: str | None
    """Of an emergency choice: ETREAT, BTG or MASKED."""
    start: int
    end: int
    granted: int
    """When this version was written: an authorisation older than an unblocking does not revive (R-12)."""
    proposed: bool = False
    """It waits for an answer: of an invited carer, or of the patient whose médecin traitant declared himself."""


def policy_of(consent: JsonObject) -> Policy | None:
    """Which of our policies a Consent invokes; nothing when it is none of ours."""
    policies = consent.get("policy")
    if not isinstance(policies, list):
        return None
    for policy in policies:
        uri = policy.get("uri") if isinstance(policy, dict) else None
        if isinstance(uri, str) and uri.startswith(POLICY) and uri[len(POLICY) :] in set(Policy):
            return Policy(uri[len(POLICY) :])
    return None


def read_consent(consent: JsonObject, *, granted: int, zone: tzinfo, duration: timedelta) -> ConsentFact | list[Issue]:
    """Read a Consent of one of our policies, or say everything that is not of a supported shape.

    ``granted`` is the moment of the write, ``zone`` the time zone of date-only bounds, ``duration`` how long an
    authorisation without an end lasts (R-03).
    """
    policy = policy_of(consent)
    if policy is None:
        return [
            error(
                IssueType.NOT_SUPPORTED,
                told("policy-not-ours"),
                "Consent.policy",
            )
        ]
    reader = _Reader(consent, policy, granted, zone, duration)
    fact = reader.read()
    return reader.issues or fact


def read_actor(consent: JsonObject) -> str | None:
    """The key of the one actor a Consent of ours names, or nothing."""
    actors = _object(consent.get("provision")).get("actor")
    if not isinstance(actors, list) or len(actors) != 1:
        return None
    reference = _object(_object(actors[0]).get("reference"))
    identifier = _object(reference.get("identifier"))
    system, value = identifier.get("system"), identifier.get("value")
    if isinstance(system, str) and isinstance(value, str):
        return actor_key(system, value)
    return _team(reference)


class _Reader:
    """Reads one Consent and gathers what is wrong with it."""

    def __init__(self, consent: JsonObject, policy: Policy, granted: int, zone: tzinfo, duration: timedelta) -> None:
        self.consent, self.policy, self.granted = consent, policy, granted
        self.shape = SHAPES[policy]
        self.zone, self.duration = zone, duration
        self.issues: list[Issue] = []

    def read(self) -> ConsentFact:
        self._common()
        provision = self.consent.get("provision")
        if not isinstance(provision, dict):
            self._refuse(told("no-provision"), "Consent.provision", IssueType.REQUIRED)
            provision = {}
        for name in provision.keys() - _PROVISION_MEMBERS:
            self._refuse(told("provision-member", name=name), f"Consent.provision.{name}")
        start, end = self._period(provision)
        status = self.consent.get("status")
        return ConsentFact(
            id=str(self.consent.get("id", "")),
            policy=self.policy,
            active=status == "active",
            permit=self._type(provision) == "permit",
            actor=self._actor(provision),
            purpose=self._purpose(provision),
            start=start,
            end=end,
            granted=self.granted,
            proposed=status == "proposed",
        )

    def _refuse(self, why: Told, where: str, code: IssueType = IssueType.NOT_SUPPORTED) -> None:
        self.issues.append(error(code, why, where))

    def _common(self) -> None:
        consent = self.consent
        for name in consent.keys() - _CONSENT_MEMBERS:
            self._refuse(told("consent-member", name=name), f"Consent.{name}")
        if consent.get("status") not in self.shape.statuses:
            if self.shape.statuses == {"active", "inactive"}:
                self._refuse(told("status"), "Consent.status")
            else:
                self._refuse(
                    told("status-of", policy=self.policy, allowed=", ".join(sorted(self.shape.statuses))),
                    "Consent.status",
                )
        if _only_coding(consent.get("scope")) != (CONSENT_SCOPE, "patient-privacy"):
            self._refuse(told("scope"), "Consent.scope")
        categories = consent.get("category")
        if not isinstance(categories, list) or [_only_coding(one) for one in categories] != [(LOINC, "59284-0")]:
            self._refuse(told("category"), "Consent.category")
        policies = consent.get("policy")
        if not isinstance(policies, list) or len(policies) != 1 or set(_object(policies[0])) - {"id"} != {"uri"}:
            self._refuse(told("one-policy"), "Consent.policy")
        if not isinstance(consent.get("dateTime"), str):
            self._refuse(told("date-time"), "Consent.dateTime", IssueType.REQUIRED)
        self._performers()

    def _performers(self) -> None:
        """Who chose: the patient's side, and for a block also the médecin traitant (R-13). It gives no right."""
        performers = self.consent.get("performer")
        if not isinstance(performers, list) or not performers:
            self._refuse(told("no-performer"), "Consent.performer", IssueType.REQUIRED)
            return
        chooser = _CHOOSER_OF_BLOCK if self.policy is Policy.BLOCAGE else _CHOOSER
        for position, performer in enumerate(performers):
            literal = _object(performer).get("reference")
            if isinstance(literal, str) and not chooser.fullmatch(literal):
                where = f"Consent.performer[{position}]"
                self._refuse(told("performer"), where)

    def _type(self, provision: JsonObject) -> str:
        wanted, type = self.shape.types, provision.get("type")
        if type not in wanted:
            allowed = either(sorted(wanted, reverse=True))
            self._refuse(told("provision-type", policy=self.policy, allowed=allowed), "Consent.provision.type")
        return str(type)

    def _actor(self, provision: JsonObject) -> str | None:
        actors = provision.get("actor", [])
        if self.shape.named is Named.NOBODY:
            if actors:
                self._refuse(told("no-actor"), "Consent.provision.actor")
            return None
        if not isinstance(actors, list) or len(actors) != 1:
            self._refuse(told("one-actor"), "Consent.provision.actor", IssueType.REQUIRED)
            return None
        actor = _object(actors[0])
        role = self.shape.role
        if _only_coding(actor.get("role")) != role:
            self._refuse(told("actor-role", system=role[0], code=role[1]), "Consent.provision.actor[0].role")
        if actor.keys() - {"id", "role", "reference"}:
            self._refuse(told("actor-members"), "Consent.provision.actor[0]")
        reference = _object(actor.get("reference"))
        return self._care_team(reference) if self.shape.named is Named.TEAM else self._identifier(reference)

    def _care_team(self, reference: JsonObject) -> str | None:
        team = _team(reference)
        if team is None or "identifier" in reference:
            where = "Consent.provision.actor[0].reference"
            self._refuse(told("actor-team"), where)
        return team

    def _identifier(self, reference: JsonObject) -> str | None:
        where = "Consent.provision.actor[0].reference"
        identifier = _object(reference.get("identifier"))
        system, value = identifier.get("system"), identifier.get("value")
        if "reference" in reference:
            self._refuse(told("actor-by-identifier"), f"{where}.reference")
        lengths = _IDENTIFIERS[self.shape.named]
        if not isinstance(system, str) or system not in lengths or not isinstance(value, str):
            self._refuse(told("actor-identifier", systems=either(lengths)), f"{where}.identifier")
            return None
        length = lengths[system]
        if not (value.isascii() and value.isalnum() and len(value) == length):
            self._refuse(
                told("actor-length", length=length),
                f"{where}.identifier.value",
                IssueType.VALUE,
            )
            return None
        return actor_key(system, value)

    def _purpose(self, provision: JsonObject) -> str | None:
        purposes = provision.get("purpose", [])
        codes = [_coding(purpose) for purpose in purposes] if isinstance(purposes, list) else [None]
        where, allowed = "Consent.provision.purpose", self.shape.purposes
        if allowed is None:
            if codes:
                self._refuse(told("no-purpose"), where)
            return None
        code = codes[0] if len(codes) == 1 else None
        if code is None or code not in allowed:
            self._refuse(told("one-purpose", allowed=", ".join(code for _, code in allowed)), where)
            return None
        return allowed[code]

    def _period(self, provision: JsonObject) -> tuple[int, int]:
        where = "Consent.provision.period"
        period = provision.get("period")
        bounds = _object(period) if period is not None else {}
        if bounds.keys() - {"id", "start", "end"}:
            self._refuse(told("period-members"), where)
        start = self._bound(bounds.get("start"), f"{where}.start", end=False)
        immediate = self.shape.start == "now" or self._opposes_team(provision)
        if immediate and start is not None and start > self.granted:
            self._refuse(told("period-now"), f"{where}.start")
        if start is None and self.shape.start == "must":
            self._refuse(told("period-start"), where if period is None else f"{where}.start", IssueType.REQUIRED)
        begin = date.MIN if start is None else start
        end = self._end(bounds, begin, never=self.shape.end == "never" or self._opposes_team(provision))
        if end <= begin:
            self._refuse(told("period-order"), where, IssueType.VALUE)
        return begin, end

    def _opposes_team(self, provision: JsonObject) -> bool:
        return self.policy is Policy.EQUIPE and provision.get("type") == "deny"

    def _end(self, period: JsonObject, start: int, *, never: bool) -> int:
        where = "Consent.provision.period.end"
        if "end" not in period:
            if self.shape.end == "must":
                self._refuse(told("period-end"), where, IssueType.REQUIRED)
            if self.policy is Policy.AUTORISATION:
                return min(start + self.duration // timedelta(microseconds=1), date.MAX)
            return date.MAX
        if never:
            self._refuse(told("period-endless"), where)
        bound = self._bound(period.get("end"), where, end=True)
        return date.MAX if bound is None else bound

    def _bound(self, text: Json, where: str, *, end: bool) -> int | None:
        if text is None:
            return None
        interval = date.interval(text) if isinstance(text, str) else None
        if interval is None:
            self._refuse(told("no-date"), where, IssueType.VALUE)
            return None
        return date.bound(str(text), interval, self.zone, end=end)


def _team(reference: JsonObject) -> str | None:
    """The ``CareTeam/[id]`` a reference names by its own relative form; nothing when it names none."""
    literal = reference.get("reference")
    target = local(literal, "") if isinstance(literal, str) else None
    return str(target) if target is not None and target.type == "CareTeam" else None


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _coding(value: Json) -> tuple[str, str] | None:
    coding = _object(value)
    system, code = coding.get("system"), coding.get("code")
    return (system, code) if isinstance(system, str) and isinstance(code, str) else None


def _only_coding(concept: Json) -> tuple[str, str] | None:
    codings = _object(concept).get("coding")
    return _coding(codings[0]) if isinstance(codings, list) and len(codings) == 1 else None
