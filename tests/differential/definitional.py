"""The rest of the world: requests and assessments with numbers, plans, groups, forms and value sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from tests.differential.pools import LOCAL, UCUM, URLS, WHOLE, Draw, present

Members: TypeAlias = dict[str, Any]


def medication(draw: Draw) -> Members:
    return {
        "code": draw.maybe(draw.concept, 0.9),
        "status": draw.maybe(lambda: draw.one(("active", "inactive"))),
        "form": draw.maybe(draw.concept, 0.5),
        "manufacturer": draw.maybe(lambda: draw.ref("Organization"), 0.5),
        "batch": present(lotNumber=draw.one(("L1", "l1", "L2")), expirationDate=draw.maybe(draw.moment)),
        "ingredient": draw.some(lambda: {"itemCodeableConcept": draw.concept()}, 2),
    }


def substance(draw: Draw) -> Members:
    return {
        "code": draw.concept(),
        "category": draw.some(draw.concept, 1),
        "instance": draw.some(lambda: present(quantity=draw.quantity(0), expiry=draw.maybe(draw.moment)), 2),
    }


def risk(draw: Draw) -> Members:
    def prediction() -> Members:
        percent = {"system": UCUM, "code": "%"}
        told: Members = {"probabilityDecimal": draw.number()}
        if draw.chance(0.2):
            span = {end: {"value": one["value"], **percent} for end, one in draw.range().items()}
            told = {"probabilityRange": span}
        if told.get("probabilityDecimal", 0) > 100:  # ras-2
            told = {}
        return present(qualitativeRisk=draw.maybe(draw.concept), rationale=draw.sentence(), **told)

    when: Members = draw.one(({"occurrenceDateTime": draw.moment()}, {"occurrencePeriod": draw.period()}, {}))
    return {
        "status": draw.one(("final", "amended")),
        "subject": draw.ref("Patient", "Patient", "Group"),
        "encounter": draw.maybe(lambda: draw.ref("Encounter")),
        "condition": draw.maybe(lambda: draw.ref("Condition")),
        "method": draw.maybe(draw.concept, 0.4),
        "performer": draw.maybe(lambda: draw.named("Practitioner")),
        "prediction": draw.some(prediction),
        **when,
    }


def recommendation(draw: Draw) -> Members:
    def one() -> Members:
        return {
            "vaccineCode": [draw.concept() for _ in range(draw.one((1, 2)))],
            "targetDisease": draw.maybe(draw.concept),
            "forecastStatus": draw.of("immunization-recommendation-status", "due", "overdue"),
            "supportingPatientInformation": draw.some(lambda: draw.ref("Observation"), 2),
            "doseNumberPositiveInt": draw.one(WHOLE) + 1,
        }

    return {
        "patient": draw.ref("Patient"),
        "date": draw.moment(),
        "recommendation": [present(**one()) for _ in range(draw.one((1, 2)))],
    }


def sequence(draw: Draw) -> Members:
    return {
        "type": draw.maybe(lambda: draw.one(("dna", "rna"))),
        "coordinateSystem": draw.one((0, 1)),
        "patient": draw.maybe(lambda: draw.ref("Patient")),
        "referenceSeq": present(
            referenceSeqString="ACGT",
            windowStart=draw.maybe(lambda: draw.one(WHOLE)),
            windowEnd=draw.maybe(lambda: draw.one(WHOLE)),
        ),
        "variant": draw.some(lambda: {"start": draw.one(WHOLE), "end": draw.one(WHOLE)}),
    }


def charge(draw: Draw) -> Members:
    when: Members = draw.one(({"occurrenceDateTime": draw.moment()}, {"occurrencePeriod": draw.period()}, {}))
    timed = {"occurrenceTiming": draw.timing()} if draw.chance(0.4) else when
    return {
        "status": "billable",
        "code": draw.concept(),
        "subject": draw.ref("Patient"),
        "quantity": draw.maybe(lambda: draw.quantity(0)),
        "factorOverride": draw.maybe(draw.number),
        "priceOverride": draw.maybe(lambda: {"value": draw.number(), "currency": draw.one(("EUR", "CHF"))}),
        "enteredDate": draw.maybe(draw.moment),
        **timed,
    }


def request(draw: Draw) -> Members:
    timed = draw.one(("occurrenceTiming", "occurrenceTiming", "occurrencePeriod", "occurrenceDateTime"))
    makes = {"occurrenceTiming": draw.timing, "occurrencePeriod": draw.period, "occurrenceDateTime": draw.moment}
    return {
        "status": draw.one(("active", "completed")),
        "intent": "order",
        "priority": draw.maybe(lambda: draw.one(("routine", "urgent"))),
        "code": draw.maybe(draw.concept),
        "subject": draw.ref("Patient", "Patient", "Group"),
        "encounter": draw.maybe(lambda: draw.ref("Encounter")),
        "authoredOn": draw.maybe(draw.moment),
        "requester": draw.maybe(lambda: draw.named("Practitioner", "Organization")),
        "basedOn": draw.some(lambda: draw.ref("ServiceRequest", "MedicationRequest"), 1),
        **({timed: makes[timed]()} if draw.chance(0.9) else {}),
    }


def group(draw: Draw) -> Members:
    def characteristic() -> Members:
        makes: dict[str, Callable[[], Any]] = {
            "valueCodeableConcept": draw.concept,
            "valueBoolean": lambda: draw.chance(0.5),
            "valueQuantity": draw.quantity,
        }
        name = draw.one(("valueCodeableConcept", *makes))
        return {"code": draw.concept(), name: makes[name](), "exclude": draw.chance(0.3)}

    actual = draw.chance(0.8)
    return {
        "type": "person",
        "actual": actual,
        "code": draw.maybe(draw.concept, 0.5),
        "name": draw.maybe(draw.sentence),
        "managingEntity": draw.maybe(lambda: draw.named("Organization"), 0.5),
        "characteristic": draw.some(characteristic),
        "member": draw.some(lambda: {"entity": draw.ref("Patient")}, 4) if actual else None,
    }


def collection(draw: Draw) -> Members:
    entries = draw.some(lambda: {"item": draw.ref("Condition", "Observation", "DocumentReference", "Patient")}, 4)
    return {
        "status": draw.one(("current", "retired")),
        "mode": draw.one(("working", "snapshot")),
        "title": draw.maybe(draw.sentence),
        "code": draw.maybe(draw.concept),
        "subject": draw.maybe(lambda: draw.ref("Patient", "Patient", "Group")),
        "encounter": draw.maybe(lambda: draw.ref("Encounter")),
        "date": draw.maybe(draw.moment),
        "source": draw.maybe(lambda: draw.named("Practitioner", "Patient")),
        "note": draw.some(lambda: {"text": draw.sentence()}, 2),
        "entry": entries,
        "emptyReason": None if entries else draw.maybe(draw.concept),
    }


def schedule(draw: Draw) -> Members:
    return {
        "active": draw.maybe(lambda: draw.chance(0.5)),
        "serviceCategory": draw.some(draw.concept, 1),
        "serviceType": draw.some(draw.concept, 2),
        "specialty": draw.some(draw.concept, 1),
        "actor": [draw.ref("Practitioner", "Location") for _ in range(draw.one((1, 2)))],
        "planningHorizon": draw.maybe(draw.period),
    }


def slot(draw: Draw) -> Members:
    start, end = sorted((draw.instant(), draw.instant()))
    return {
        "serviceType": draw.some(draw.concept, 1),
        "specialty": draw.some(draw.concept, 1),
        "appointmentType": draw.maybe(draw.concept, 0.4),
        "schedule": draw.ref("Schedule"),
        "status": draw.one(("busy", "free")),
        "start": start,
        "end": end,
    }


def appointment(draw: Draw) -> Members:
    planned = draw.chance(0.8)
    start = draw.instant()
    return {
        "status": draw.one(("booked", "fulfilled")) if planned else "proposed",
        "start": start if planned else None,
        "end": start if planned else None,
        "serviceCategory": draw.some(draw.concept, 1),
        "reasonCode": draw.some(draw.concept, 1),
        "appointmentType": draw.maybe(draw.concept, 0.4),
        "reasonReference": draw.some(lambda: draw.ref("Condition"), 1),
        "slot": draw.some(lambda: draw.ref("Slot"), 1),
        "participant": [
            {
                "actor": draw.ref("Patient", "Practitioner", "Location"),
                "status": draw.one(("accepted", "tentative")),
            }
            for _ in range(draw.one((1, 2, 3)))
        ],
    }


def published(draw: Draw) -> Members:
    """What forms and value sets have in common."""

    def context() -> Members:
        makes = {"valueCodeableConcept": draw.concept, "valueQuantity": draw.quantity, "valueRange": draw.range}
        name = draw.one((*makes,))
        return {"code": draw.coding(("focus", "age", "a")), name: makes[name]()}

    return {
        "url": draw.maybe(lambda: draw.one(URLS), 0.9),
        "version": draw.maybe(lambda: draw.one(("1", "1.0", "v2", "V2"))),
        "name": draw.maybe(lambda: draw.one(("Abc", "abcD", "Xyz"))),
        "title": draw.maybe(draw.sentence),
        "status": draw.one(("active", "draft")),
        "date": draw.maybe(draw.moment),
        "publisher": draw.maybe(draw.sentence),
        "description": draw.maybe(draw.sentence),
        "jurisdiction": draw.some(draw.concept, 1),
        "useContext": draw.some(context),
    }


def form(draw: Draw) -> Members:
    items = [
        present(
            linkId=str(number),
            type="string",
            code=draw.some(draw.coding, 2),
            definition=draw.maybe(lambda: draw.one(URLS), 0.4),
        )
        for number in range(draw.one((0, 1, 3)))
    ]
    return published(draw) | {
        "effectivePeriod": draw.maybe(draw.period),
        "subjectType": draw.some(lambda: draw.one(("Patient", "Group")), 1),
        "item": items,
    }


def response(draw: Draw) -> Members:
    form = draw.one((*URLS[:4], *URLS[5:7]))
    return {
        "questionnaire": draw.maybe(lambda: f"{form}|1.0" if draw.chance(0.3) else form, 0.8),
        "status": draw.one(("completed", "in-progress")),
        "subject": draw.maybe(lambda: draw.ref("Patient", "Encounter")),
        "encounter": draw.maybe(lambda: draw.ref("Encounter")),
        "authored": draw.maybe(draw.moment),
        "author": draw.maybe(lambda: draw.named("Practitioner", "Patient")),
        "basedOn": draw.some(lambda: draw.ref("ServiceRequest"), 1),
    }


def value_set(draw: Draw) -> Members:
    def include() -> Members:
        return {"system": LOCAL, "concept": [{"code": draw.one(("a", "b", "A"))} for _ in range(draw.one((1, 2)))]}

    expansion = {
        "identifier": draw.one(URLS),
        "timestamp": draw.instant(),
        "contains": [{"system": LOCAL, "code": draw.one(("a", "c"))}],
    }
    return published(draw) | {
        "compose": {"include": [include() for _ in range(draw.one((1, 2)))]},
        "expansion": draw.maybe(lambda: expansion, 0.3),
    }


DEFINITIONAL: Final[dict[str, tuple[int, Callable[[Draw], Members]]]] = {
    "Medication": (30, medication),
    "Substance": (40, substance),
    "RiskAssessment": (150, risk),
    "ImmunizationRecommendation": (60, recommendation),
    "MolecularSequence": (60, sequence),
    "ChargeItem": (80, charge),
    "ServiceRequest": (100, request),
    "Group": (60, group),
    "List": (80, collection),
    "Schedule": (40, schedule),
    "Slot": (120, slot),
    "Appointment": (100, appointment),
    "Questionnaire": (80, form),
    "QuestionnaireResponse": (60, response),
    "ValueSet": (80, value_set),
}
"""How many of each type, and how one is made."""
