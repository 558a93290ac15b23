"""A world of a few thousand small resources, the same for the same seed, that refer to one another in all directions.

Each type fills what its search parameters read. What the standard's invariants ask for is kept, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from tests.differential.definitional import DEFINITIONAL
from tests.differential.elements import Resource
from tests.differential.pools import (
    PROFILES,
    UCUM,
    WHOLE,
    Draw,
    present,
    seeded,
)

Members: TypeAlias = dict[str, Any]


def patient(draw: Draw) -> Members:
    deceased: Members = draw.one(
        ({}, {}, {"deceasedBoolean": False}, {"deceasedBoolean": True}, {"deceasedDateTime": None})
    )
    return {
        "active": draw.maybe(lambda: draw.chance(0.5)),
        "name": draw.some(draw.name),
        "address": draw.some(draw.address, 2),
        "telecom": draw.some(draw.telecom, 2),
        "gender": draw.maybe(lambda: draw.one(("male", "female", "other"))),
        "birthDate": draw.maybe(draw.day),
        "generalPractitioner": draw.some(lambda: draw.named("Practitioner", "Organization"), 2),
        "managingOrganization": draw.maybe(lambda: draw.ref("Organization"), 0.4),
        "link": [{"other": draw.ref("Patient"), "type": "seealso"}] if draw.chance(0.2) else None,
        "communication": [{"language": draw.concept()}] if draw.chance(0.4) else None,
        **{name: draw.moment() if value is None else value for name, value in deceased.items()},
    }


def practitioner(draw: Draw) -> Members:
    return {
        "active": draw.maybe(lambda: draw.chance(0.5)),
        "name": draw.some(draw.name, 2),
        "telecom": draw.some(draw.telecom, 2),
        "address": draw.some(draw.address, 1),
        "gender": draw.maybe(lambda: draw.one(("male", "female"))),
        "communication": draw.some(draw.concept, 1),
    }


def organization(draw: Draw) -> Members:
    return {
        "active": draw.maybe(lambda: draw.chance(0.5)),
        "name": draw.sentence(),
        "alias": draw.some(draw.sentence, 2),
        "type": draw.some(draw.concept, 2),
        "address": draw.some(draw.address, 1),
        "partOf": draw.maybe(lambda: draw.ref("Organization"), 0.5),
    }


def role(draw: Draw) -> Members:
    return {
        "active": draw.maybe(lambda: draw.chance(0.5)),
        "practitioner": draw.maybe(lambda: draw.named("Practitioner"), 0.8),
        "organization": draw.maybe(lambda: draw.named("Organization"), 0.6),
        "code": draw.some(draw.concept, 2),
        "specialty": draw.some(draw.concept, 1),
        "period": draw.maybe(draw.period, 0.4),
        "telecom": draw.some(draw.telecom, 1),
    }


def authors(draw: Draw) -> Members:
    """People and structures that a document contains, behind one another, and what refers to them."""
    held: list[Members] = []

    def hold(type: str, id: str, members: Members) -> Members:
        held.append(present(resourceType=type, id=id, identifier=draw.some(draw.identifier, 1), **members))
        return {"reference": f"#{id}"}

    def structure(id: str, *, within: bool) -> Members:
        part = {"partOf": hold("Organization", f"{id}-whole", organization(draw))} if within else {}
        return hold("Organization", id, organization(draw) | part)

    made: list[Members] = []
    for number in range(draw.one((1, 1, 2))):
        match draw.one(("person", "role", "role", "structure")):
            case "person":
                made.append(hold("Practitioner", f"p{number}", practitioner(draw)))
            case "structure":
                made.append(structure(f"o{number}", within=draw.chance(0.4)))
            case _:
                members = role(draw)
                if draw.chance(0.6):
                    members["practitioner"] = hold("Practitioner", f"p{number}", practitioner(draw))
                if draw.chance(0.4):
                    members["organization"] = structure(f"o{number}", within=draw.chance(0.4))
                made.append(hold("PractitionerRole", f"r{number}", members))
    return {"contained": held, "author": made}


def location(draw: Draw) -> Members:
    return {
        "status": draw.maybe(lambda: draw.one(("active", "suspended", "inactive"))),
        "operationalStatus": draw.maybe(draw.coding, 0.4),
        "name": draw.maybe(draw.sentence),
        "alias": draw.some(draw.sentence, 2),
        "type": draw.some(draw.concept, 1),
        "address": draw.maybe(draw.address),
        "managingOrganization": draw.maybe(lambda: draw.named("Organization"), 0.6),
        "partOf": draw.maybe(lambda: draw.ref("Location"), 0.6),
    }


def encounter(draw: Draw) -> Members:
    hours = {"system": UCUM, "code": draw.one(("h", "min")), "unit": draw.one(("h", "heure"))}
    return {
        "status": draw.one(("planned", "in-progress", "finished")),
        "class": draw.coding(),
        "type": draw.some(draw.concept, 2),
        "subject": draw.maybe(lambda: draw.ref("Patient", "Patient", "Patient", "Group"), 0.9),
        "participant": draw.some(
            lambda: present(individual=draw.ref("Practitioner"), type=draw.some(draw.concept, 1), period=draw.period()),
            2,
        ),
        "period": draw.maybe(draw.period, 0.9),
        "length": draw.maybe(lambda: {"value": draw.number(), **hours}, 0.5),
        "serviceProvider": draw.maybe(lambda: draw.named("Organization")),
        "partOf": draw.maybe(lambda: draw.ref("Encounter"), 0.4),
        "location": draw.some(lambda: {"location": draw.ref("Location"), "period": draw.period()}, 2),
        "reasonCode": draw.some(draw.concept, 1),
        "diagnosis": draw.some(lambda: {"condition": draw.ref("Condition")}, 2),
        "appointment": draw.some(lambda: draw.ref("Appointment"), 1),
    }


def condition(draw: Draw) -> Members:
    age = {"system": UCUM, "code": "a", "unit": "an"}
    onset = draw.one(("onsetDateTime", "onsetPeriod", "onsetAge", "onsetRange", "onsetString", ""))
    abated = draw.one(("abatementDateTime", "abatementPeriod", "abatementAge", "abatementString", "", "", ""))

    def value(name: str) -> Any:
        if name.endswith("Age"):
            return {"value": draw.one(WHOLE) + 1, "comparator": draw.one(("<", ">=")), **age}
        makes = {"Period": draw.period, "Range": draw.range, "String": draw.sentence}
        return next((make() for end, make in makes.items() if name.endswith(end)), None) or draw.moment()

    return {
        "clinicalStatus": draw.of("condition-clinical", *(("resolved", "inactive") if abated else ("active",))),
        "verificationStatus": draw.of("condition-ver-status", "confirmed", "provisional"),
        "category": draw.some(draw.concept, 2),
        "severity": draw.maybe(draw.concept, 0.3),
        "code": draw.maybe(draw.concept),
        "bodySite": draw.some(draw.concept, 1),
        "subject": draw.ref("Patient", "Patient", "Patient", "Group"),
        "encounter": draw.maybe(lambda: draw.ref("Encounter")),
        "recordedDate": draw.maybe(draw.moment),
        "asserter": draw.maybe(lambda: draw.named("Practitioner", "Patient")),
        "evidence": draw.some(
            lambda: present(code=[draw.concept()], detail=draw.some(lambda: draw.ref("Observation"))), 2
        ),
        "stage": draw.some(lambda: {"summary": draw.concept()}, 1),
        **{name: value(name) for name in (onset, abated) if name},
    }


def value(draw: Draw) -> Members:
    """A value of an Observation or of a component of one."""
    makes: dict[str, Callable[[], Any]] = {
        "valueQuantity": draw.quantity,
        "valueCodeableConcept": draw.concept,
        "valueString": draw.sentence,
        "valueDateTime": draw.moment,
        "valuePeriod": draw.period,
        "valueInteger": lambda: draw.one(WHOLE),
        "valueBoolean": lambda: draw.chance(0.5),
        "valueRange": draw.range,
    }
    name = draw.one(("valueQuantity", "valueQuantity", "valueQuantity", "valueCodeableConcept", *makes))
    return {name: makes[name]()}


def observation(draw: Draw) -> Members:
    makes: dict[str, Callable[[], Any]] = {
        "effectiveDateTime": draw.moment,
        "effectivePeriod": draw.period,
        "effectiveInstant": draw.instant,
        "effectiveTiming": draw.timing,
    }
    effective = draw.one(("effectiveDateTime", "effectiveDateTime", *makes, ""))
    told = {effective: makes[effective]()} if effective else {}
    code = draw.concept()
    components = draw.some(
        lambda: {
            "code": draw.concept(),
            **(value(draw) if draw.chance(0.8) else {"dataAbsentReason": draw.concept()}),
        }
    )
    # obs-7: what a component tells by the code of the whole, the whole does not tell as well
    codings = [one for component in components for one in component["code"].get("coding", ())]
    told |= (
        value(draw)
        if draw.chance(0.8) and not any(one in codings for one in code.get("coding", ()))
        else {"dataAbsentReason": draw.concept()}
    )
    return {
        "status": draw.one(("final", "amended", "preliminary")),
        "category": draw.some(draw.concept, 2),
        "code": code,
        "subject": draw.maybe(lambda: draw.ref("Patient", "Patient", "Patient", "Group", "Location"), 0.95),
        "focus": draw.some(lambda: draw.ref("Condition", "Encounter"), 1),
        "encounter": draw.maybe(lambda: draw.ref("Encounter")),
        "performer": draw.some(lambda: draw.named("Practitioner", "Organization", "Patient"), 2),
        "method": draw.maybe(draw.concept, 0.2),
        "basedOn": draw.some(lambda: draw.ref("ServiceRequest", "MedicationRequest"), 1),
        "hasMember": draw.some(lambda: draw.ref("Observation"), 1),
        "derivedFrom": draw.some(lambda: draw.ref("DocumentReference", "Observation"), 1),
        "component": components,
        **told,
    }


def document(draw: Draw) -> Members:
    attachment = {
        "contentType": draw.one(("text/plain", "application/pdf")),
        "language": draw.maybe(lambda: draw.one(("fr", "fr-FR", "en"))),
        "url": draw.maybe(lambda: f"https://files.example/{draw.one('abc')}", 0.4),
        "title": draw.sentence(),
    }
    about = {
        "encounter": draw.some(lambda: draw.ref("Encounter"), 2),
        "event": draw.some(draw.concept, 2),
        "period": draw.maybe(draw.period),
        "facilityType": draw.maybe(draw.concept, 0.4),
        "practiceSetting": draw.maybe(draw.concept, 0.4),
        "related": draw.some(lambda: draw.ref("Condition", "Observation"), 2),
    }
    contained = authors(draw) if draw.chance(0.4) else {}
    return {
        "contained": contained.get("contained"),
        "masterIdentifier": draw.maybe(draw.identifier, 0.4),
        "status": draw.one(("current", "superseded")),
        "type": draw.maybe(draw.concept),
        "category": draw.some(draw.concept, 2),
        "subject": draw.maybe(lambda: draw.ref("Patient", "Patient", "Patient", "Practitioner", "Group"), 0.95),
        "date": draw.maybe(draw.instant),
        "author": draw.some(lambda: draw.named("Practitioner", "Organization", "Patient", "PractitionerRole"))
        + contained.get("author", []),
        "authenticator": draw.maybe(lambda: draw.one([draw.named("Practitioner"), *contained.get("author", [])]), 0.4),
        "custodian": draw.maybe(lambda: draw.named("Organization"), 0.5),
        "relatesTo": draw.some(
            lambda: {
                "code": draw.one(("replaces", "appends", "transforms")),
                "target": draw.ref("DocumentReference"),
            }
        ),
        "description": draw.maybe(draw.sentence),
        "securityLabel": draw.some(draw.concept, 2),
        "content": [present(attachment=present(**attachment), format=draw.maybe(draw.coding, 0.5))],
        "context": present(**about),
    }


def prescription(draw: Draw) -> Members:
    told: Members = {"medicationReference": draw.ref("Medication")}
    if draw.chance(0.5):
        told = {"medicationCodeableConcept": draw.concept()}
    return {
        "status": draw.one(("active", "completed", "stopped")),
        "intent": draw.one(("order", "plan")),
        "category": draw.some(draw.concept, 1),
        "priority": draw.maybe(lambda: draw.one(("routine", "urgent"))),
        "subject": draw.ref("Patient", "Patient", "Group"),
        "encounter": draw.maybe(lambda: draw.ref("Encounter")),
        "authoredOn": draw.maybe(draw.moment),
        "requester": draw.maybe(lambda: draw.named("Practitioner", "Organization", "Patient")),
        "performerType": draw.maybe(draw.concept, 0.2),
        "dosageInstruction": draw.some(
            lambda: {"timing": {"event": [draw.moment() for _ in range(draw.one((1, 2, 3)))]}}, 2
        ),
        "dispenseRequest": draw.maybe(lambda: {"performer": draw.ref("Organization")}, 0.4),
        **told,
    }


CLINICAL: Final[dict[str, tuple[int, Callable[[Draw], Members]]]] = {
    "Patient": (220, patient),
    "Practitioner": (70, practitioner),
    "Organization": (70, organization),
    "PractitionerRole": (70, role),
    "Location": (70, location),
    "Encounter": (240, encounter),
    "Condition": (240, condition),
    "Observation": (700, observation),
    "DocumentReference": (340, document),
    "MedicationRequest": (160, prescription),
}
TYPES: Final = CLINICAL | DEFINITIONAL
"""How many of each type, and how one is made."""


def world(seed: int, base: str) -> dict[str, Resource]:
    """All resources, by ``Type/id``."""
    draw = Draw(seeded(seed), base, {type: count for type, (count, _) in TYPES.items()})
    made = {}
    for type, (count, members) in TYPES.items():
        for number in range(count):
            meta = present(
                profile=draw.some(lambda: draw.one(PROFILES), 2),
                security=draw.some(draw.coding, 1),
                tag=draw.some(draw.coding, 2),
            )
            made[f"{type}/x{number}"] = present(
                resourceType=type,
                id=f"x{number}",
                meta=draw.maybe(lambda meta=meta: meta, 0.5),  # type: ignore[misc]
                identifier=_identifiers(draw, type),
                **members(draw),
            )
    return made


def _identifiers(draw: Draw, type: str) -> Any:
    """Most types have several identifiers, a few have one or none."""
    if type == "QuestionnaireResponse":
        return draw.maybe(draw.identifier)
    return draw.some(draw.identifier, 2)
