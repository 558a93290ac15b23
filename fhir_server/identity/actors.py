"""The actors of the demonstration, and the claims of their tokens.

All of them are made up: test INS (``urn:oid:1.2.250.1.213.1.4.10``), RPPS numbers that begin with 899, FINESS
990000001.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from fhir_server.fhir.json import Json, JsonObject
from fhir_server.identity.keys import DEVELOPMENT_ISSUER
from fhir_server.identity.purpose import SAMU
from fhir_server.identity.requester import Coding, Kind, Purpose
from fhir_server.identity.systems import A00, ACT_REASON, FINESS, G15, ID_NAT_STRUCT, R260, ROLES

DEFAULT_LIFETIME: Final = 8 * 3600

HOSPITAL: Final = f"{FINESS}|990000001"
ASSURANCE_MALADIE: Final = f"{ID_NAT_STRUCT}|318003502400041"

DOCTOR: Final = Coding(G15, "10", "Médecin")
NURSE: Final = Coding(G15, "60", "Infirmier")

DEMO_PATIENTS: Final[Mapping[str, str]] = {
    "demo-1": "280057505600117",
    "demo-2": "162031305500201",
    "demo-3": "210043155500326",
    "demo-4": "155026912300472",
    "demo-5": "247024410900553",
}
"""INS of each demo record, by Patient id."""


class UnknownPatient(ValueError):
    """``--patient`` names no demo record; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Actor:
    """One actor: what his token says that another's does not."""

    key: str
    """The word on the command line."""
    kind: Kind
    name: str
    gloss: str
    """What he is there to show."""
    scope: str
    roles: tuple[Coding, ...] = ()
    rpps: str | None = None
    organisation: str | None = None
    person: str | None = None
    """Patient id of the record: his own, or the one acted for."""
    ins: str | None = None
    """His own INS, where he acts for somebody else."""
    specialty: str | None = None
    practice_setting: str | None = None
    purpose: Purpose | None = None
    reason: str | None = None
    """The reason given with the purpose BTG."""
    amr: tuple[str, ...] = ()


def _professional(
    key: str,
    number: int,
    name: str,
    gloss: str,
    *,
    role: Coding = DOCTOR,
    specialty: str | None = None,
    practice_setting: str = "AMBULATOIRE",
    purpose: Purpose | None = None,
    reason: str | None = None,
) -> Actor:
    return Actor(
        key=key,
        kind=Kind.PROFESSIONAL,
        name=name,
        gloss=gloss,
        scope="user/*.cruds",
        roles=(role,),
        rpps=f"8990000000{number}",
        specialty=specialty,
        practice_setting=practice_setting,
        purpose=purpose,
        reason=reason,
        amr=("sc", "pin"),
    )


_ACTORS: Final = (
    _professional(
        "medecin-traitant", 1, "Dr Anne Lefèvre", "médecin traitant of demo-1 and demo-3", specialty="G15_10/SM26"
    ),
    _professional("specialiste", 2, "Dr Karim Benali", "doctor authorised on demo-1", specialty="G15_10/SM04"),
    _professional("inconnu", 3, "Dr Paul Garnier", "doctor whom no patient authorised", specialty="G15_10/SM26"),
    _professional("bloque", 4, "Dr Luc Morel", "doctor authorised, then blocked on demo-1", specialty="G15_10/SM26"),
    _professional("infirmier", 5, "Sophie Roux", "nurse authorised on demo-1", role=NURSE),
    _professional("specialiste2", 6, "Dr Inès Fabre", "author of the masked document", specialty="G15_10/SM04"),
    _professional(
        "samu",
        7,
        "Dr Marc Vidal",
        "doctor of a SAMU, on a call (ETREAT)",
        practice_setting=SAMU,
        purpose=Purpose.ETREAT,
    ),
    _professional(
        "urgentiste",
        8,
        "Dr Claire Noël",
        "emergency doctor who breaks the glass (BTG)",
        practice_setting="ETABLISSEMENT",
        purpose=Purpose.BTG,
        reason="Patient inconscient aux urgences, risque vital immédiat.",
    ),
    Actor(
        "patient",
        Kind.PATIENT,
        "Hélène D'Almeida",
        "holder of demo-1",
        scope="patient/*.cruds",
        person="demo-1",
        amr=("mfa",),
    ),
    Actor(
        "representant",
        Kind.REPRESENTATIVE,
        "Hélène D'Almeida",
        "holder of demo-1, acting for demo-3",
        scope="patient/*.cruds",
        roles=(Coding(R260, "GUARD", "Responsable légal"),),
        person="demo-3",
        ins=DEMO_PATIENTS["demo-1"],
        amr=("mfa",),
    ),
    Actor(
        "aidant",
        Kind.CARER,
        "Thomas Rivière",
        "carer of demo-1",
        scope="patient/*.cruds",
        roles=(Coding(R260, "CAREGIVER", "Aidant"),),
        person="demo-1",
        ins="168077505600306",
        amr=("mfa",),
    ),
    Actor(
        "hopital",
        Kind.ORGANISATION,
        "Centre hospitalier de démonstration",
        "hospital that publishes documents",
        # What a publisher does: create, replace, find and read its own deposits. It deletes nothing.
        scope="system/*.crus",
        organisation=HOSPITAL,
        practice_setting="ETABLISSEMENT",
    ),
    Actor(
        "assurance-maladie",
        Kind.FEEDER,
        "Assurance Maladie",
        "feeds, never reads",
        scope="system/DocumentReference.c system/Binary.c",
        roles=(Coding(A00, "ALIM_AM", "Alimentation auto à partir du SI de l'Ass Maladie"),),
        organisation=ASSURANCE_MALADIE,
        practice_setting="AMO",
    ),
    Actor(
        "conformance",
        Kind.CONFORMANCE,
        "Conformance client",
        "test client with every right on trial data",
        scope="system/*.cruds",
        roles=(Coding(ROLES, "CONFORMANCE"),),
    ),
    Actor(
        "support",
        Kind.SUPPORT,
        "Support",
        "support staff, who read the trail",
        scope="user/AuditEvent.rs",
        roles=(Coding(ROLES, "SUPPORT"),),
        amr=("mfa",),
    ),
)

ACTORS: Final[Mapping[str, Actor]] = {actor.key: actor for actor in _ACTORS}


def claims_for(
    actor: Actor,
    *,
    base_url: str,
    now: float,
    lifetime: int = DEFAULT_LIFETIME,
    patient: str | None = None,
    purpose: Purpose | None = None,
    reason: str | None = None,
    extra_claims: Mapping[str, Json] | None = None,
) -> JsonObject:
    """The claims of a token of this actor.

    ``patient`` makes a patient, representative or carer somebody else's (:func:`ins_of`). A negative ``lifetime``
    makes a token that has expired. ``extra_claims`` go over the others (:func:`set_claim`).

    Raises:
        UnknownPatient: ``patient`` is no demo record, or the actor has no patient.
    """
    if patient is not None and actor.person is None:
        raise UnknownPatient(f"The actor {actor.key} acts in nobody's record; --patient is for patient and the like.")
    record = patient or actor.person
    stated = purpose or actor.purpose
    dmp: JsonObject = {
        "specialty": actor.specialty,
        "practice_setting": actor.practice_setting,
        "reason": reason or (actor.reason if stated is Purpose.BTG else None),
        "actor_ins": actor.ins,
    }
    iua: JsonObject = {
        "subject_name": actor.name,
        "subject_role": _codings(actor.roles),
        "purpose_of_use": [{"system": ACT_REASON, "code": stated.value}] if stated else None,
        "national_provider_identifier": actor.rpps,
        "subject_organization_id": actor.organisation,
        "person_id": ins_of(record) if record else None,
    }
    claims: JsonObject = {
        "iss": DEVELOPMENT_ISSUER,
        "aud": base_url,
        "sub": actor.key if patient is None else f"{actor.key}-{patient}",
        "iat": int(now),
        "exp": int(now) + lifetime,
        "jti": str(uuid4()),
        "scope": actor.scope,
    }
    if actor.amr:
        claims["amr"] = list(actor.amr)
    claims["extensions"] = {"ihe_iua": _present(iua), "dmp": _present(dmp)}
    for name, value in (extra_claims or {}).items():
        set_claim(claims, name, value)
    return claims


def ins_of(patient: str) -> str:
    """The INS of a demo record by its Patient id; an INS, alone or as ``system|value``, is taken as it is."""
    known = DEMO_PATIENTS.get(patient)
    if known is not None:
        return known
    value = patient.rpartition("|")[2]
    if len(value) == len(DEMO_PATIENTS["demo-1"]) and value.isascii() and value.isalnum():
        return patient
    raise UnknownPatient(f"{patient!r} is neither a demo record ({', '.join(DEMO_PATIENTS)}) nor an INS.")


def set_claim(claims: JsonObject, name: str, value: Json) -> None:
    """Set the claim of that dotted name, making the objects on the way; ``None`` removes it."""
    *way, last = name.split(".")
    for step in way:
        below = claims.get(step)
        if not isinstance(below, dict):
            if value is None:
                return
            below = claims[step] = {}
        claims = below
    if value is None:
        claims.pop(last, None)
    else:
        claims[last] = value


def _codings(roles: tuple[Coding, ...]) -> Json:
    if not roles:
        return None
    return [_present({"system": role.system, "code": role.code, "display": role.display}) for role in roles]


def _present(members: Mapping[str, Json]) -> JsonObject:
    return {name: value for name, value in members.items() if value is not None}
