"""Who asks and what is hidden from him: the columns of the door matrix.

A circumstance is played in two worlds that differ in one thing: in `a` there is something hidden from the requester, in
`b` there is not. Every id of a world holds its key, and so does nothing else; what a requester is told of the one must
then be what he is told of the other, but for that key. World `c` has nothing at all.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx
from joserfc.jwk import ECKey
from pymongo.database import Database

from fhir_server.identity.actors import ACTORS, NURSE, claims_for
from fhir_server.identity.development import DevelopmentIssuer
from fhir_server.identity.requester import Purpose
from fhir_server.identity.systems import G15, INS_NIR_TEST
from fhir_server.record.kind import TRE_A03
from fhir_server.record.labels import INVISIBLE_PATIENT, INVISIBLE_REPRESENTANTS_LEGAUX, MASQUE_PS, TRE_A07
from tests.build import (
    HELENE,
    OTHER_DOCTOR,
    Written,
    authorisation,
    block,
    emergency_choice,
    medecin_traitant,
    related_person,
)

Resource: TypeAlias = dict[str, Any]

ISSUERS: Final = {"essai": "https://issuer.example/essai", "reel": "https://issuer.example/reel"}
NUMBERS: Final = "https://doors.example/number"
"""The system of the identifiers by which resources are looked for."""
WRITER: Final = "doors-writer"
"""The id of a Practitioner: the author of what is seen and of what is hidden."""
RELATIONS: Final = "https://doors.example/relations"
"""The URL of a ValueSet of relations between documents."""
AMBULATORY: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
ADMINISTRATIVE: Final = "95"
"""A category that nurses do not read (habilitation.toml)."""

LABELLED: Final = ("DocumentReference", "Binary", "Observation", "DocumentManifest", "List", "Encounter")
"""What a label hides: the document, its bytes, an entry, two lists that would betray the document, and a stay."""
AROUND: Final = frozenset({"Encounter", "List"})
"""Hidden for the doors that go around it alone: at every other door it is what an entry is."""
ACCESS: Final = ("DocumentReference", "Patient")
"""For circumstances that close the whole record in a way that others try with every type."""
EVERYTHING: Final = (*LABELLED, "Consent", "RelatedPerson", "Patient")

_ins = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """One record, there or not, and the names of what is in it."""

    key: str
    ins: str = field(default_factory=lambda: f"2{next(_ins):014d}")
    into: str = ""
    """The key of a record that the requester may feed, if not this one."""
    own: Place | None = None
    """The requester's own record, if he is another patient."""

    def id(self, type: str) -> str:
        """The id of what is hidden, or absent."""
        return self.patient if type == "Patient" else f"{self.key}-target"

    @property
    def patient(self) -> str:
        return f"{self.key}-patient"

    @property
    def shown(self) -> str:
        """The id of a document that whoever may read in the record may read."""
        return f"{self.key}-shown"

    @property
    def gathers(self) -> str:
        """The id of a list that is seen, and names what is hidden beside what is not."""
        return f"{self.key}-gathers"

    @property
    def derived(self) -> str:
        """The id of an observation that is seen, and was made from the hidden document."""
        return f"{self.key}-derived"

    @property
    def meeting(self) -> str:
        """The id of an encounter that is seen; of what belongs to it, the list is seen and the rest is hidden."""
        return f"{self.key}-meeting"

    @property
    def number(self) -> str:
        """The value of the identifier that everything hidden carries."""
        return f"{self.key}-number"

    @property
    def ground(self) -> str:
        """The Patient of the record in which the requester may deposit."""
        return f"{self.into or self.key}-patient"

    def scrub(self, text: str) -> str:
        """The text with nothing left of this world."""
        text = text.replace(self.key, "(world)").replace(self.ins, "(ins)")
        return text if self.own is None else text.replace(self.own.ins, "(own ins)")


@dataclass
class House:
    """A running server, the keys of its two issuers, and its database."""

    base: str
    keys: dict[str, ECKey]
    database: Database[dict[str, Any]]
    client: httpx.AsyncClient

    def token(self, actor: str, *, realm: str = "essai", extra: Resource | None = None, **named: Any) -> str:
        """A token of one of the demonstration's actors, with other claims where told."""
        claims = claims_for(
            ACTORS[actor],
            base_url=self.base,
            now=time.time(),
            extra_claims={"iss": ISSUERS[realm], **(extra or {})},
            **named,
        )
        return DevelopmentIssuer(Path(), self.keys[realm]).issue(claims)

    async def write(self, *resources: Resource) -> None:
        """Store these under their ids, as the conformance client, one after the other."""
        headers = {"Authorization": f"Bearer {self.token('conformance')}", "Content-Type": "application/fhir+json"}
        for one in resources:
            url = f"/{one['resourceType']}/{one['id']}"
            answer = await self.client.put(url, content=json.dumps(one), headers=headers)
            assert answer.status_code in (200, 201), f"{url}: {answer.text}"

    async def delete(self, *keys: str) -> None:
        headers = {"Authorization": f"Bearer {self.token('conformance')}"}
        for key in keys:
            assert (await self.client.delete(f"/{key}", headers=headers)).status_code == 204

    def to_care(self, place: Place) -> None:
        """Move a record to the realm of care: no request can, and no client may create a Patient there."""
        for name, id in (("resources", "_id"), ("versions", "of"), ("records", "_id")):
            found = self.database[name].update_many({id: {"$regex": place.key}}, {"$set": {"realm": "reel"}})
            assert found.matched_count or name == "versions"


def issuers(folder: Path) -> tuple[dict[str, ECKey], str]:
    """A key for each issuer, and the setting that makes the server trust them, each in its realm."""
    keys: dict[str, ECKey] = {}
    settings = []
    for realm, url in ISSUERS.items():
        key = keys[realm] = ECKey.generate_key("P-256")
        public = {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": "ES256"}
        path = folder / f"{realm}.json"
        path.write_text(json.dumps({"keys": [public]}))
        settings.append({"issuer": url, "jwks_file": str(path), "realm": realm})
    return keys, json.dumps(settings)


# Resources


def patient(place: Place, *, active: bool = True) -> Resource:
    return {
        "resourceType": "Patient",
        "id": place.patient,
        "active": active,
        "identifier": [{"system": INS_NIR_TEST, "value": place.ins}],
        "name": [{"family": "Porte"}],
        "gender": "female",
        "birthDate": "2015-05-14",
    }


def shown(place: Place) -> Resource:
    """A document that nothing hides, and that names the hidden one; so does an observation that it contains."""
    contained = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"text": "Pouls"},
        "encounter": {"reference": f"Encounter/{place.id('')}"},
        "derivedFrom": [{"reference": f"DocumentReference/{place.id('')}"}],
    }
    return {
        "contained": [contained],
        "context": {"related": [{"reference": "#o"}]},
        "resourceType": "DocumentReference",
        "id": place.shown,
        "status": "current",
        "subject": {"reference": f"Patient/{place.patient}"},
        "type": {"coding": [{"system": "http://loinc.org", "code": "11502-2"}]},
        "category": [{"coding": [{"system": TRE_A03, "code": "11"}]}],
        "date": "2026-02-01T10:00:00Z",
        "author": [{"reference": f"Practitioner/{WRITER}"}],
        "relatesTo": [{"code": "appends", "target": {"reference": f"DocumentReference/{place.id('')}"}}],
        "content": [{"attachment": {"contentType": "text/plain", "title": "Visible"}}],
    }


def gathers(place: Place) -> Resource:
    """A list that nothing hides, and that names the hidden things among others."""
    named = (f"DocumentReference/{place.id('')}", f"DocumentReference/{place.shown}", f"Observation/{place.id('')}")
    return {
        "resourceType": "List",
        "id": place.gathers,
        "status": "current",
        "mode": "working",
        "subject": {"reference": f"Patient/{place.patient}"},
        "encounter": {"reference": f"Encounter/{place.meeting}"},
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{named[0]}</div>'},
        "entry": [{"item": {"reference": one}, "flag": {"text": one}} for one in named],
    }


def derived(place: Place) -> Resource:
    """An observation that nothing hides, made from the hidden document during the hidden stay."""
    number = {"system": NUMBERS, "value": place.number}
    return {
        "resourceType": "Observation",
        "id": place.derived,
        "status": "final",
        "code": {"text": "Tension"},
        "subject": {"reference": f"Patient/{place.patient}"},
        "encounter": {"reference": f"Encounter/{place.id('')}"},
        "derivedFrom": [{"reference": f"DocumentReference/{place.id('')}", "identifier": number}],
    }


def common() -> list[Resource]:
    """What is no patient's: the author of the documents, and a value set."""
    relations = {"system": "http://hl7.org/fhir/document-relationship-type", "concept": [{"code": "appends"}]}
    value_set = {"resourceType": "ValueSet", "id": "doors-relations", "url": RELATIONS, "status": "active"}
    return [
        {"resourceType": "Practitioner", "id": WRITER, "name": [{"family": "Plume"}]},
        value_set | {"compose": {"include": [relations]}},
    ]


def meeting(place: Place) -> Resource:
    """An encounter that nothing hides."""
    return {
        "resourceType": "Encounter",
        "id": place.meeting,
        "status": "finished",
        "class": AMBULATORY,
        "subject": {"reference": f"Patient/{place.patient}"},
    }


def target(type: str, place: Place, *, label: str | None = None, category: str = "11") -> Resource:
    """What is hidden: the same in every circumstance, but for its label or its category."""
    told: Resource = {"resourceType": type, "id": place.id(type)}
    number = [{"system": NUMBERS, "value": place.number}]
    subject = {"reference": f"Patient/{place.patient}"}
    document = {"reference": f"DocumentReference/{place.id('DocumentReference')}"}
    labels = [{"system": TRE_A07, "code": label}] if label else []
    match type:
        case "Patient":
            return patient(place)
        case "DocumentReference":
            told |= {**shown(place), **told, "identifier": number}
            told["masterIdentifier"] = number[0]
            told["description"] = "Lettre"
            told["category"] = [{"coding": [{"system": TRE_A03, "code": category}]}]
            told["relatesTo"] = [{"code": "appends", "target": {"reference": f"DocumentReference/{place.shown}"}}]
            told["content"] = [{"attachment": {"contentType": "text/plain", "url": f"Binary/{place.id('Binary')}"}}]
            told |= {"securityLabel": [{"coding": labels}]} if labels else {}
        case "Binary":
            told |= {"contentType": "text/plain", "securityContext": document, "data": "Qm9uam91cg=="}
        case "Observation":
            told |= {"identifier": number, "status": "final", "code": {"text": "Tension"}, "subject": subject}
            told |= {"effectiveDateTime": "2026-02-01T10:00:00Z"}
            told["derivedFrom"] = [{"reference": f"DocumentReference/{place.shown}"}]
            told["encounter"] = {"reference": f"Encounter/{place.meeting}"}
            told |= {"meta": {"security": labels}} if labels else {}
        case "DocumentManifest":
            told |= {"identifier": number, "status": "current", "subject": subject, "content": [document]}
        case "List":
            told |= {"identifier": number, "status": "current", "mode": "working", "subject": subject}
            told["entry"] = [{"item": document}]
        case "Encounter":
            told |= {**meeting(place), **told, "identifier": number, "period": {"start": "2026-02-01T09:00:00Z"}}
            told |= {"meta": {"security": labels}} if labels else {}
        case "Consent":
            told = {**block(OTHER_DOCTOR, id=told["id"], patient=place.patient).resource, "identifier": number}
        case "RelatedPerson":
            told = {**related_person(id=told["id"], patient=place.patient, relationship="CAREGIVER")}
            told["identifier"] = [{"system": INS_NIR_TEST, "value": HELENE}, *number]
        case _:
            raise AssertionError(type)
    return told


# Circumstances


@dataclass(frozen=True)
class Circumstance:
    """A column: who asks, what is hidden from him in world `a`, and why."""

    name: str
    asks: Callable[[House, Place], str]
    """The token of the requester."""
    hidden: tuple[str, ...] = ACCESS
    label: str | None = None
    category: str = "11"
    decided: Callable[[Place], Iterable[Resource | Written]] = lambda _: ()
    """What else is in the record: Consents, in their order, and RelatedPersons."""
    afterwards: Callable[[House, Place], Any] = lambda _house, _place: None
    own_record: bool = False
    """The requester deposits in this very record, or in his own beside it: what he writes he also finds."""
    may_feed: bool = True
    """Whether the requester may feed the record, and may therefore know that it exists (R-05)."""
    may_ask_status: bool = False
    """Whether the requester, though he may not feed the record, may ask whether it is there (TD0.2)."""
    reads_trail: bool = False
    """The requester reads every trace, so the traces of a record are no secret from him."""

    @property
    def twin(self) -> bool:
        """World `b` has the same record without the hidden things; else it has nothing."""
        return "Patient" not in self.hidden

    async def build(self, house: House, place: Place, *, hidden: bool) -> None:
        """Make world `a`, or, without what is hidden, world `b`."""
        if place.own is not None:
            await house.write(patient(place.own))
        if hidden or self.twin:
            decided = [one.resource if isinstance(one, Written) else one for one in self.decided(place)]
            seen = (shown(place), gathers(place), derived(place), meeting(place))
            await house.write(patient(place), *decided, *seen)
        if hidden:
            things = [target(type, place, label=self.label, category=self.category) for type in self.hidden]
            await house.write(*(one for one in things if one["resourceType"] != "Patient"))
            done = self.afterwards(house, place)
            if asyncio.iscoroutine(done):
                await done


RPPS_OF: Final = {
    name: f"898{number:08d}"
    for number, name in enumerate(
        "masked masked-and-deleted habilitation blocked stranger revoked expired closed unknown-profession "
        "other-patient-in-token opposed-emergency trial-for-care care-for-trial".split()
    )
}
"""A professional of its own for each circumstance."""


def doctor(name: str, **extra: Any) -> Callable[[House, Place], str]:
    def token(house: House, place: Place) -> str:
        return house.token("inconnu", extra=_professional(name) | extra)

    return token


def _professional(name: str) -> Resource:
    return {"extensions.ihe_iua.national_provider_identifier": RPPS_OF[name], "sub": name}


def _nurse(house: House, place: Place) -> str:
    role = [{"system": NURSE.system, "code": NURSE.code}]
    return house.token("infirmier", extra=_professional("habilitation") | {"extensions.ihe_iua.subject_role": role})


def _unknown_profession(house: House, place: Place) -> str:
    role = [{"system": G15, "code": "00"}]
    extra = _professional("unknown-profession") | {"extensions.ihe_iua.subject_role": role}
    return house.token("inconnu", extra=extra)


def _regulator(house: House, place: Place) -> str:
    return house.token("samu", extra=_professional("opposed-emergency"), purpose=Purpose.ETREAT)


def _caring_doctor(house: House, place: Place) -> str:
    return house.token("inconnu", realm="reel", extra=_professional("trial-for-care"))


def _token_for_another(house: House, place: Place) -> str:
    """The token of an authorised doctor, issued for the patient whose record is the ground."""
    extra = {"extensions.ihe_iua.person_id": GROUND.ins}
    return house.token("inconnu", extra=_professional("other-patient-in-token") | extra)


def holder(house: House, place: Place) -> str:
    return house.token("patient", patient=place.ins)


def _another_patient(house: House, place: Place) -> str:
    assert place.own is not None
    return house.token("patient", patient=place.own.ins)


def guardian(house: House, place: Place) -> str:
    return house.token("representant", patient=place.ins)


def _actor(name: str) -> Callable[[House, Place], str]:
    return lambda house, _place: house.token(name)


def _authorises(name: str, **told: Any) -> Callable[[Place], list[Resource | Written]]:
    return lambda place: [authorisation(RPPS_OF[name], id=f"{place.key}-a", patient=place.patient, **told)]


def _blocks(place: Place) -> list[Resource | Written]:
    named = RPPS_OF["blocked"]
    return [
        authorisation(named, id=f"{place.key}-a", patient=place.patient),
        block(named, id=f"{place.key}-b", patient=place.patient),
    ]


def _revokes(place: Place) -> list[Resource | Written]:
    given = authorisation(RPPS_OF["revoked"], id=f"{place.key}-a", patient=place.patient)
    return [given, given.inactive("2026-03-01")]


def _opposes(place: Place) -> list[Resource | Written]:
    return [emergency_choice("ETREAT", "deny", id=f"{place.key}-u", patient=place.patient)]


def _guarded(place: Place) -> list[Resource | Written]:
    return [related_person(id=f"{place.key}-guard", patient=place.patient)]


def everybody(place: Place) -> list[Resource | Written]:
    """A médecin traitant and a guardian: who may see, sees."""
    return [medecin_traitant("89900000001", id=f"{place.key}-m", patient=place.patient), *_guarded(place)]


async def _delete_document(house: House, place: Place) -> None:
    types = ("DocumentReference", "Observation", "DocumentManifest", "List", "Encounter")
    await house.delete(*(f"{type}/{place.id('')}" for type in types))


async def _close(house: House, place: Place) -> None:
    await house.write(patient(place, active=False))


GROUND: Final = Place("ground.e")
"""A record of trials in which anybody may deposit who deposits at all."""
CARE_GROUND: Final = Place("ground.r")

CIRCUMSTANCES: Final = (
    Circumstance("masked", doctor("masked"), LABELLED, MASQUE_PS, decided=_authorises("masked"), own_record=True),
    Circumstance(
        "masked-and-deleted",
        doctor("masked-and-deleted"),
        LABELLED,
        MASQUE_PS,
        decided=_authorises("masked-and-deleted"),
        afterwards=_delete_document,
        own_record=True,
    ),
    Circumstance("invisible-to-patient", holder, LABELLED, INVISIBLE_PATIENT, own_record=True),
    Circumstance(
        "invisible-to-patient-acted-for", guardian, LABELLED[:2], INVISIBLE_PATIENT, decided=_guarded, own_record=True
    ),
    Circumstance(
        "invisible-to-representative",
        guardian,
        LABELLED,
        INVISIBLE_REPRESENTANTS_LEGAUX,
        decided=_guarded,
        own_record=True,
    ),
    Circumstance(
        "habilitation",
        _nurse,
        ("DocumentReference", "Binary", "DocumentManifest"),
        category=ADMINISTRATIVE,
        decided=_authorises("habilitation"),
        own_record=True,
    ),
    Circumstance("blocked", doctor("blocked"), ("DocumentReference", "Binary", "Consent", "Patient"), decided=_blocks),
    Circumstance("stranger", doctor("stranger"), EVERYTHING),
    Circumstance("revoked", doctor("revoked"), decided=_revokes),
    Circumstance("expired", doctor("expired"), decided=_authorises("expired", start="2025-01-01", end="2025-06-01")),
    Circumstance("closed", doctor("closed"), decided=_authorises("closed"), afterwards=_close),
    Circumstance("unknown-profession", _unknown_profession, decided=_authorises("unknown-profession"), may_feed=False),
    Circumstance(
        "other-patient-in-token", _token_for_another, decided=_authorises("other-patient-in-token"), may_feed=False
    ),
    Circumstance("opposed-emergency", _regulator, decided=_opposes, may_feed=False, may_ask_status=True),
    Circumstance("other-patient", _another_patient, own_record=True, may_feed=False),
    Circumstance("not-guardian", guardian, may_feed=False),
    Circumstance("publisher", _actor("hopital")),
    Circumstance("feeder", _actor("assurance-maladie")),
    Circumstance("carer", _actor("aidant"), may_feed=False),
    Circumstance("support", _actor("support"), may_feed=False, reads_trail=True),
    Circumstance("trial-for-care", _caring_doctor, decided=_authorises("trial-for-care"), may_feed=False),
    Circumstance(
        "care-for-trial",
        doctor("care-for-trial"),
        EVERYTHING,
        decided=_authorises("care-for-trial"),
        afterwards=House.to_care,
        may_feed=False,
    ),
)
BY_NAME: Final = {one.name: one for one in CIRCUMSTANCES}


def places(circumstance: Circumstance) -> tuple[Place, Place, Place]:
    """Worlds `a`, `b` and `c` of a circumstance."""
    a, b, c = (_place(circumstance, f"{circumstance.name}.{world}") for world in "abc")
    return a, b, c


def _place(circumstance: Circumstance, key: str) -> Place:
    if circumstance.name == "other-patient":
        return Place(key, into=f"{key}-own", own=Place(f"{key}-own"))
    if circumstance.own_record:
        return Place(key)
    return Place(key, into=(CARE_GROUND if circumstance.name == "trial-for-care" else GROUND).key)
