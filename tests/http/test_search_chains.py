"""Chains, reverse chains and lists, to every depth.

https://hl7.org/fhir/R4/search.html#chaining · #has · #list
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import (
    INS_TEST,
    LOINC,
    STRICT,
    TAGS,
    UCUM,
    Pair,
    coded,
    found,
    names,
    outcome,
    pointer,
    searchset,
    stored,
    tagged,
)
from tests.served import Served

WORLD = "chains"
TAG = ("_tag", f"{TAGS}|{WORLD}")
ACME = "https://acme.example/fhir"
DEEPEST = 8
"""References that a chain may go over."""


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def to(type: str, id: str) -> dict[str, str]:
    return pointer(type, f"{WORLD}-{id}")


def patient(id: str, ins: str, family: str, **members: Any) -> dict[str, Any]:
    identifiers = [{"system": INS_TEST, "value": ins}, {"system": "urn:chu", "value": f"chu-{id}"}]
    return made("Patient", id, identifier=identifiers, name=[{"family": family}], **members)


def observation(id: str, of: str, **members: Any) -> dict[str, Any]:
    return made("Observation", id, subject=to("Patient", of), **members)


def doctor(id: str, family: str, state: str) -> dict[str, Any]:
    return made("Practitioner", id, name=[{"family": family}], address=[{"state": state}])


def world() -> list[dict[str, Any]]:
    levels = [
        made("Location", f"level{at}", name=f"niveau {at}", partOf=to("Location", f"level{at - 1}") if at else None)
        for at in range(DEEPEST + 1)
    ]
    return [
        made("Organization", "group", name="Groupement", type=[coded("bus")]),
        made("Organization", "hospital", name="Hôpital", partOf=to("Organization", "group")),
        doctor("joe", "Joe", "CA"),
        doctor("jane", "Jane", "MN"),
        patient(
            "female",
            "190017505600765",
            "Rivière",
            gender="female",
            birthDate="1970-01-02",
            managingOrganization=to("Organization", "hospital"),
            generalPractitioner=[to("Practitioner", "joe"), to("Practitioner", "jane")],
        ),
        patient("male", "190017505600766", "Laforêt", gender="male", generalPractitioner=[to("Practitioner", "jane")]),
        patient("alone", "190017505600767", "Seul"),
        *levels,
        made("Location", "named", name="Rivière"),
        made("Group", "cohort", type="person", actual=True, member=[{"entity": to("Patient", "male")}]),
        made(
            "Encounter",
            "stay",
            status="finished",
            subject=to("Patient", "female"),
            serviceProvider=to("Organization", "hospital"),
            participant=[{"individual": to("Practitioner", "joe")}],
            location=[{"location": to("Location", f"level{DEEPEST}")}],
        ),
        made("Encounter", "visit", status="planned", subject=to("Patient", "male")),
        observation("pressure", "female", code=coded("8480-6", LOINC), encounter=to("Encounter", "stay")),
        observation(
            "potassium",
            "female",
            code=coded("2823-3", LOINC),
            valueQuantity={"value": 5.6, "system": UCUM, "code": "mmol/L"},
            performer=[to("Practitioner", "joe")],
        ),
        observation(
            "low",
            "male",
            code=coded("2823-3", LOINC),
            valueQuantity={"value": 4.1, "system": UCUM, "code": "mmol/L"},
            encounter=to("Encounter", "visit"),
        ),
        made("Observation", "room", subject=to("Location", "named")),
        made("DiagnosticReport", "high", subject=to("Patient", "female"), result=[to("Observation", "potassium")]),
        made("DiagnosticReport", "normal", subject=to("Patient", "male"), result=[to("Observation", "low")]),
        made("Questionnaire", "form", status="active", url=f"{ACME}/Questionnaire/chains", title="Formulaire"),
        made(
            "QuestionnaireResponse",
            "answers",
            subject=to("Patient", "male"),
            questionnaire=f"{ACME}/Questionnaire/chains|1.0",
        ),
        made(
            "MedicationRequest",
            "contained",
            subject=to("Patient", "male"),
            contained=[{"resourceType": "Medication", "id": "m", "code": coded("abc", "urn:drugs")}],
            medicationCodeableConcept=None,
            medicationReference={"reference": "#m"},
        ),
        made(
            "List",
            "some",
            subject=to("Patient", "female"),
            entry=[{"item": to("Observation", "pressure")}, {"item": to("Patient", "female")}],
        ),
        made(
            "List",
            "others",
            subject=to("Patient", "male"),
            entry=[{"item": to("Observation", "low")}, {"item": to("Patient", "male")}],
        ),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, *pairs: Pair) -> set[str]:
    """What is found in this world."""
    return set(names(found(client, type, TAG, *pairs, ("_count", "100")), WORLD))


Case = tuple[str, str, str, set[str]]

CHAINS: list[Case] = [
    # the examples of the standard
    ("DiagnosticReport", "subject.name", "riviere", {"high"}),
    ("DiagnosticReport", "subject:Patient.name", "riviere", {"high"}),
    ("DiagnosticReport", "result.code-value-quantity", f"{LOINC}|2823-3$gt5.4|{UCUM}|mmol/L", {"high"}),
    ("Observation", "patient.identifier", "urn:chu|chu-female", {"pressure", "potassium"}),
    ("Observation", "patient.identifier", f"{INS_TEST}|190017505600766", {"low"}),
    ("Observation", "patient.identifier", "http://example.com/fhir/identifier/mrn|123456", set()),
    # every kind of parameter at the end, with its modifiers and prefixes
    ("Observation", "patient.gender", "female", {"pressure", "potassium"}),
    ("Observation", "patient.gender:not", "female", {"low"}),
    ("Observation", "patient.birthdate", "1970", {"pressure", "potassium"}),
    ("Observation", "patient.birthdate", "lt1970-01-03", {"pressure", "potassium"}),
    ("Observation", "patient.birthdate:missing", "true", {"low"}),
    ("Observation", "patient.family:exact", "Rivière", {"pressure", "potassium"}),
    ("Observation", "patient.family:exact", "riviere", set()),
    ("Observation", "patient.family:contains", "FOR", {"low"}),
    ("Observation", "patient._id", f"{WORLD}-male", {"low"}),
    ("Observation", "patient.organization", f"Organization/{WORLD}-hospital", {"pressure", "potassium"}),
    ("Observation", "patient.organization:missing", "true", {"low"}),
    ("Observation", "encounter.status", "finished", {"pressure"}),
    ("Observation", "encounter.status", "finished,planned", {"pressure", "low"}),
    ("Observation", "encounter.status:not", "finished", {"low"}),
    ("Observation", "performer:Practitioner.family", "joe", {"potassium"}),
    ("DiagnosticReport", "result.value-quantity", "gt5", {"high"}),
    # over several references
    ("Observation", "patient.organization.name", "hopital", {"pressure", "potassium"}),
    ("Observation", "patient.organization.partof.name", "groupement", {"pressure", "potassium"}),
    ("Observation", "subject:Patient.organization.partof.type", "bus", {"pressure", "potassium"}),
    ("Observation", "encounter.service-provider.partof.name", "group", {"pressure"}),
    ("DiagnosticReport", "result.performer:Practitioner.name", "joe", {"high"}),
    ("DiagnosticReport", "result.patient.general-practitioner:Practitioner.name", "jane", {"high", "normal"}),
    ("DiagnosticReport", "result.encounter.status", "planned", {"normal"}),
    # of several types that a reference may point to, whichever the parameter is known of
    ("Observation", "subject.name", "riviere", {"pressure", "potassium", "room"}),
    ("Observation", "subject:Location.name", "riviere", {"room"}),
    ("Observation", "subject:Patient.name", "riviere", {"pressure", "potassium"}),
    ("Observation", "subject:Group.member", f"Patient/{WORLD}-male", set()),
    # over canonicals, whatever version they name
    ("QuestionnaireResponse", "questionnaire.title", "form", {"answers"}),
    ("QuestionnaireResponse", "questionnaire.status", "draft", set()),
    # what is contained
    ("MedicationRequest", "medication.code", "abc", {"contained"}),
    ("MedicationRequest", "medication:Medication.code", "other", set()),
]


@pytest.mark.parametrize(("type", "name", "value", "expected"), CHAINS)
def test_a_chain_asks_of_what_is_referred_to(
    client: httpx.Client, type: str, name: str, value: str, expected: set[str]
) -> None:
    assert asked(client, type, (name, value)) == expected


def test_chains_hold_each_by_itself(client: httpx.Client) -> None:
    """The example of the standard: no one practitioner needs to satisfy both."""
    pairs = [
        ("general-practitioner:Practitioner.name", "Joe"),
        ("general-practitioner:Practitioner.address-state", "MN"),
    ]
    assert asked(client, "Patient", *pairs) == {"female"}
    assert asked(client, "Patient", ("general-practitioner.name", "Joe,Jane")) == {"female", "male"}


def test_a_chain_goes_over_eight_references_and_no_more(client: httpx.Client) -> None:
    deepest = ".".join(["location", *["partof"] * (DEEPEST - 1), "name"])
    assert asked(client, "Encounter", (deepest, "niveau 1")) == {"stay"}
    assert asked(client, "Encounter", (deepest, "niveau 2")) == set()
    told = refused(client.get("Encounter", params={f"location.partof.{deepest[9:]}": "x"}), 400)
    assert told["expression"] == ["http.location"]
    assert "8" in told["diagnostics"]
    refused(client.get("Encounter", params={".".join(["location", *["partof"] * 500, "name"]): "x"}), 400)


HAVING: list[Case] = [
    # the examples of the standard
    ("Patient", "_has:Observation:patient:code", "8480-6", {"female"}),
    ("Patient", "_has:Observation:patient:code", "8480-6,2823-3", {"female", "male"}),
    # every kind of parameter at the end
    ("Patient", "_has:Observation:subject:value-quantity", "gt5", {"female"}),
    ("Patient", "_has:Observation:subject:value-quantity:missing", "true", {"female"}),
    ("Patient", "_has:Encounter:patient:status:not", "finished", {"male"}),
    ("Patient", "_has:Encounter:patient:_id", f"{WORLD}-visit", {"male"}),
    ("Patient", "_has:Group:member:type", "person", {"male"}),
    ("Practitioner", "_has:Patient:general-practitioner:gender", "male", {"jane"}),
    ("Organization", "_has:Organization:partof:name", "hopital", {"group"}),
    ("Location", "_has:Encounter:location:status", "finished", {f"level{DEEPEST}"}),
    ("Observation", "_has:DiagnosticReport:result:_id", f"{WORLD}-high", {"potassium"}),
    ("Questionnaire", "_has:QuestionnaireResponse:questionnaire:patient", f"{WORLD}-male", {"form"}),
    ("Questionnaire", "_has:QuestionnaireResponse:questionnaire:patient", f"{WORLD}-female", set()),
    # one within another
    ("Patient", "_has:Observation:patient:_has:DiagnosticReport:result:_id", f"{WORLD}-high", {"female"}),
    ("Practitioner", "_has:Patient:general-practitioner:_has:Encounter:patient:status", "planned", {"jane"}),
    ("Organization", "_has:Organization:partof:_has:Patient:organization:gender", "female", {"group"}),
    # chains within, and within chains
    ("Patient", "_has:Observation:patient:encounter.status", "finished", {"female"}),
    ("Patient", "_has:Encounter:patient:service-provider.partof.name", "groupement", {"female"}),
    ("Observation", "patient._has:Encounter:patient:status", "planned", {"low"}),
    ("Observation", "subject:Patient._has:Group:member:actual", "true", {"low"}),
    ("DiagnosticReport", "result.patient._has:Encounter:patient:location.name", "niveau 8", {"high"}),
]


@pytest.mark.parametrize(("type", "name", "value", "expected"), HAVING)
def test_a_reverse_chain_asks_of_what_refers_to_it(
    client: httpx.Client, type: str, name: str, value: str, expected: set[str]
) -> None:
    assert asked(client, type, (name, value)) == expected


def test_reverse_chains_hold_each_by_itself(client: httpx.Client) -> None:
    pairs = [("_has:Observation:patient:code", "8480-6"), ("_has:Observation:patient:code", "2823-3")]
    assert asked(client, "Patient", *pairs) == {"female"}
    assert asked(client, "Patient", *pairs, ("gender", "male")) == set()


def test_a_list_names_what_is_found(client: httpx.Client) -> None:
    assert asked(client, "Observation", ("_list", f"{WORLD}-some")) == {"pressure"}
    assert asked(client, "Observation", ("_list", f"{WORLD}-some,{WORLD}-others")) == {"pressure", "low"}
    assert asked(client, "Patient", ("_list", f"{WORLD}-some"), ("gender", "female")) == {"female"}
    assert asked(client, "Patient", ("_list", f"{WORLD}-others"), ("gender", "female")) == set()
    assert asked(client, "Observation", ("_list", "unheard-of")) == set()
    assert asked(client, "Observation", ("patient._list", f"{WORLD}-others")) == {"low"}
    everything = searchset(client.get("", params={"_list": f"{WORLD}-some"}))
    assert sorted(names(everything, WORLD)) == ["female", "pressure"]


def test_a_list_that_a_server_makes_up_is_named(client: httpx.Client) -> None:
    for url in (
        "AllergyIntolerance?_list=$current-allergies",
        f"Observation?{TAG[0]}={TAG[1]}&_list=$current-problems",
    ):
        assert refused(client.get(url, headers=STRICT), 400, "not-supported")["expression"] == ["http._list"]
        assert [issue["expression"] for issue in outcome(searchset(client.get(url)))] == [["http._list"]]


WRONG: list[tuple[str, str]] = [
    ("Observation", "code.name"),
    ("Observation", "date.year"),
    ("Observation", "value-quantity.code"),
    ("Observation", "code-value-quantity.code"),
    ("Observation", "subject.unheard"),
    ("Observation", "subject:Patient.unheard"),
    ("Observation", "subject:Patient.value-quantity"),
    ("Observation", "subject:Organization.name"),
    ("Observation", "subject:Unheard.name"),
    ("Observation", "subject."),
    ("Observation", "subject:Patient."),
    ("Observation", "subject..name"),
    ("Observation", "patient.organization.unheard"),
    ("Observation", "patient.gender.name"),
    ("Observation", "patient:identifier.gender"),
    ("Observation", "patient.name:unheard"),
    ("Patient", "_has"),
    ("Patient", "_has:"),
    ("Patient", "_has:Observation"),
    ("Patient", "_has:Observation:patient"),
    ("Patient", "_has:Observation:patient:"),
    ("Patient", "_has::patient:code"),
    ("Patient", "_has:Observation:code:code"),
    ("Patient", "_has:Observation:unheard:code"),
    ("Patient", "_has:Observation:patient:unheard"),
    ("Patient", "_has:Unheard:patient:code"),
    ("Patient", "_has:Location:partof:name"),
    ("Patient", "_has:AuditEvent:patient:action"),
    ("Patient", "_has:Observation:patient:code:exact"),
    ("Patient", "_has:Observation:patient:_has"),
    ("Patient", "_list:not"),
]


@pytest.mark.parametrize(("type", "name"), WRONG)
@pytest.mark.parametrize("handling", ["strict", "lenient"])
def test_a_chain_that_leads_nowhere_is_always_refused(
    client: httpx.Client, type: str, name: str, handling: str
) -> None:
    """To leave it out would answer with everything."""
    answer = client.get(type, params={name: "x"}, headers={"Prefer": f"handling={handling}"})
    told = refused(answer, 400)
    assert told["expression"] == [f"http.{name.partition(':')[0].partition('.')[0]}"]


def test_a_professional_names_the_patient_outside_of_chains(served: Served) -> None:
    specialist = served.as_("specialiste")
    for pairs in (
        {"custodian.name": "a"},
        {"patient.family": "rivière"},
        {"patient.organization": "x"},
        {"_has:List:item:status": "current"},
        {"_filter": "patient eq demo-1"},
    ):
        refused(specialist.get("DocumentReference", params=pairs), 403, "forbidden", "Name the patient")
    answer = specialist.get("DocumentReference", params={"patient": "demo-1", "custodian.name:missing": "false"})
    every = searchset(specialist.get("DocumentReference", params={"patient": "demo-1"}))
    assert searchset(answer)["total"] == every["total"] > 0


def test_a_patient_chains_over_his_own_record(served: Served) -> None:
    holder = served.as_("patient")
    every = searchset(holder.get("DocumentReference"))["total"]
    assert every > 0
    assert searchset(holder.get("DocumentReference", params={"patient.family:missing": "false"}))["total"] == every
    assert searchset(holder.get("Patient", params={"_has:DocumentReference:patient:status": "current"}))["total"] == 1
    assert searchset(holder.get("DocumentReference", params={"patient._id": "demo-2"}))["total"] == 0
