"""contract.md, Consent: what is not exactly one of the shapes is 422, and who may not write one is 403.

A refused Consent leaves nothing behind: neither a resource nor an effect.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.choices import (
    ACT_REASON,
    CHOIX_URGENCE,
    IRCP,
    PCP,
    P,
    actor,
    authorisation,
    block,
    day,
    emergency_choice,
    medecin_traitant,
)
from tests.conformance.own_record import RPPS, OwnRecord, ids, own_record

if TYPE_CHECKING:
    from tests.served import Served

TREAT = {"system": ACT_REASON, "code": "TREAT"}
RESEARCH = {"system": ACT_REASON, "code": "HRESCH"}
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    """One for all: nothing that is tried here gets in."""
    return own_record(served)


def coding(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def changed(consent: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The Consent with the element at this dotted path set, or removed with ``None``."""
    told = deepcopy(consent)
    *way, last = path.split(".")
    place: Any = told
    for step in way:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return told


def refused(record: OwnRecord, consent: dict[str, Any], by: str = "patient", status: int = 422) -> None:
    before = ids(record.as_("conformance").get(f"/Consent?patient={record.id}&_count=100").json())
    answer = record.choose(consent, by)
    assert answer.status_code == status, answer.text
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert all(issue["diagnostics"] for issue in outcome["issue"])
    assert ids(record.as_("conformance").get(f"/Consent?patient={record.id}&_count=100").json()) == before


COMMON = [
    ("status", "draft"),
    ("status", "proposed"),
    ("status", "rejected"),
    ("scope", coding(SCOPE, "research")),
    ("scope", coding(SCOPE, "treatment")),
    ("scope", coding(SCOPE, "adr")),
    ("scope", {"coding": [{"system": SCOPE, "code": "patient-privacy"}, {"system": SCOPE, "code": "research"}]}),
    ("scope", coding("https://elsewhere.example", "patient-privacy")),
    ("category", [coding("http://loinc.org", "64292-6")]),
    ("category", [coding("http://loinc.org", "59284-0"), coding("http://loinc.org", "64292-6")]),
    ("dateTime", None),
    ("performer", None),
    ("performer", [{"reference": "Practitioner/specialiste"}]),
    ("policy", [{"uri": "https://somebody.example/policy"}]),
    ("policy", [{"uri": P + "something"}]),
    ("policy", [{"uri": P + "AUTORISATION"}]),
    ("policy", [{"uri": P + "autorisation/"}]),
    ("policy", [{"uri": P + "autorisation"}, {"uri": P + "blocage"}]),
    ("policy", [{"uri": P + "autorisation", "authority": "https://somebody.example"}]),
    ("policyRule", coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTOUT")),
    ("verification", [{"verified": True}]),
    ("modifierExtension", [{"url": "https://somebody.example/not", "valueBoolean": True}]),
    ("provision", None),
    ("provision.provision", [{"type": "deny"}]),
    ("provision.modifierExtension", [{"url": "https://somebody.example/not", "valueBoolean": True}]),
    ("provision.action", [coding("http://terminology.hl7.org/CodeSystem/consentaction", "access")]),
    ("provision.securityLabel", [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]),
    ("provision.class", [{"system": "http://hl7.org/fhir/resource-types", "code": "DocumentReference"}]),
    ("provision.code", [coding("http://loinc.org", "11488-4")]),
    ("provision.dataPeriod", {"start": "2020-01-01"}),
    ("provision.data", [{"meaning": "instance", "reference": {"reference": "DocumentReference/demo-1-normal-1"}}]),
    ("provision.type", None),
]


@pytest.mark.parametrize(("path", "value"), COMMON)
def test_what_all_have_in_common(record: OwnRecord, path: str, value: Any) -> None:
    refused(record, changed(authorisation(record, "inconnu"), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("policy", None),
        ("status", None),
        ("scope", None),
        ("category", []),
        ("provision.period", {"start": day(10), "end": day(-10)}),
        ("provision.type", "forbid"),
    ],
)
def test_what_is_no_consent_of_fhir_at_all_is_400(record: OwnRecord, path: str, value: Any) -> None:
    refused(record, changed(authorisation(record, "inconnu"), path, value), status=400)


@pytest.mark.parametrize("type", ["deny", "permit"])
def test_nested_provisions_of_every_kind(record: OwnRecord, type: str) -> None:
    for consent in (
        authorisation(record, "inconnu"),
        block(record, "inconnu"),
        emergency_choice(record, "BTG", "deny"),
        medecin_traitant(record, "inconnu"),
    ):
        consent["provision"]["provision"] = [{"type": type, "purpose": [TREAT]}]
        refused(record, consent)


BY_LITERAL = {"reference": "Practitioner/specialiste"}
BY_RPPS: dict[str, Any] = actor("specialiste")["reference"]

ACTORS: list[list[dict[str, Any]] | None] = [
    None,
    [actor("specialiste"), actor("inconnu")],
    [{**actor("specialiste"), "reference": BY_LITERAL}],
    [{**actor("specialiste"), "reference": BY_RPPS | BY_LITERAL}],
    [{**actor("specialiste"), "reference": {"display": "Dr Benali"}}],
    [{**actor("specialiste"), "reference": {"identifier": {"value": "89900000002"}}}],
    [{**actor("specialiste"), "reference": {"identifier": {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "8"}}}],
    [{**actor("specialiste"), "reference": {"identifier": {"system": RPPS, "value": "899000"}}}],
    [{**actor("specialiste"), "role": {"coding": [{"system": IRCP["system"], "code": "AUT"}]}}],
    [{**actor("specialiste"), "role": {"coding": [IRCP, PCP]}}],
]


@pytest.mark.parametrize("actors", ACTORS)
def test_actors(record: OwnRecord, actors: list[dict[str, Any]] | None) -> None:
    for consent in (authorisation(record, "specialiste"), block(record, "specialiste")):
        refused(record, changed(consent, "provision.actor", actors))
    if actors and actors[0]["role"] == {"coding": [IRCP]}:
        actors = [{**one, "role": {"coding": [PCP]}} for one in actors]
    refused(record, changed(medecin_traitant(record, "specialiste"), "provision.actor", actors))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("provision.type", "deny"),
        ("provision.purpose", None),
        ("provision.purpose", [RESEARCH]),
        ("provision.purpose", [TREAT, RESEARCH]),
        ("provision.purpose", [{"system": ACT_REASON, "code": "ETREAT"}]),
        ("provision.purpose", [{"code": "TREAT"}]),
        ("provision.period", None),
        ("provision.period", {"end": day(10)}),
        ("provision.actor.0.role", {"coding": [PCP]}),
    ],
)
def test_authorise(record: OwnRecord, path: str, value: Any) -> None:
    refused(record, changed(authorisation(record, "inconnu"), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("provision.type", "permit"),
        ("provision.purpose", [TREAT]),
        ("provision.purpose", [RESEARCH]),
        ("provision.period", {"start": day(-1), "end": day(10)}),
        ("provision.period", {"end": day(10)}),
        ("provision.actor", [actor("990000001")]),
    ],
)
def test_block(record: OwnRecord, path: str, value: Any) -> None:
    refused(record, changed(block(record, "inconnu"), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("provision.actor", [actor("urgentiste")]),
        ("provision.purpose", None),
        ("provision.purpose", [TREAT]),
        ("provision.purpose", [{"system": ACT_REASON, "code": "MASKED"}]),
        ("provision.purpose", [{"system": CHOIX_URGENCE, "code": "BTG"}]),
        ("provision.purpose", [{"system": ACT_REASON, "code": "ETREAT"}, {"system": ACT_REASON, "code": "BTG"}]),
    ],
)
def test_emergency_choice(record: OwnRecord, path: str, value: Any) -> None:
    refused(record, changed(emergency_choice(record, "BTG", "deny"), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("provision.type", "deny"),
        ("provision.purpose", [TREAT]),
        ("provision.actor", [actor("990000001", PCP)]),
        ("provision.actor", [actor("inconnu", IRCP)]),
    ],
)
def test_medecin_traitant(record: OwnRecord, path: str, value: Any) -> None:
    refused(record, changed(medecin_traitant(record, "inconnu"), path, value))


@pytest.mark.parametrize("by", ["patient", "representant"])
def test_in_somebody_elses_record(record: OwnRecord, by: str) -> None:
    """Known or not: the same answer."""
    for patient in ("demo-2", "absent"):
        refused(record, {**authorisation(record, "inconnu"), "patient": {"reference": f"Patient/{patient}"}}, by)


@pytest.mark.parametrize(
    "actor", ["specialiste", "inconnu", "infirmier", "samu", "urgentiste", "hopital", "assurance-maladie", "aidant"]
)
def test_by_others_403(record: OwnRecord, actor: str) -> None:
    for consent in (authorisation(record, "inconnu"), medecin_traitant(record, "inconnu")):
        refused(record, consent, actor, 403)


def test_by_the_medecin_traitant_403_but_a_block(served: Served) -> None:
    record = own_record(served)
    record.chosen(medecin_traitant(record, "medecin-traitant"))
    for consent in (
        authorisation(record, "inconnu"),
        medecin_traitant(record, "inconnu"),
        emergency_choice(record, "BTG", "permit"),
    ):
        refused(record, consent, "medecin-traitant", 403)
    # nor may he change what the patient decided
    given = record.chosen(authorisation(record, "inconnu"))
    assert record.change(given, "medecin-traitant", status="inactive").status_code == 403


@pytest.mark.parametrize("by", ["patient", "representant"])
def test_a_stored_one_changes_to_a_supported_shape_only(served: Served, by: str) -> None:
    """A block that became something else would lift itself."""
    record = own_record(served)
    document = record.deposit()
    record.chosen(authorisation(record, "inconnu", by), by)
    blocked = record.chosen(block(record, "inconnu", by), by)
    other = block(record, "specialiste", by)["provision"]
    for members in (
        {"policy": [{"uri": P + "autorisation"}]},
        {"policy": [{"uri": "https://somebody.example/policy"}]},
        {"scope": coding(SCOPE, "research")},
        {"provision": other},
        {"provision": {**blocked["provision"], "provision": [{"type": "permit"}]}},
        {"status": "entered-in-error"},
        {"patient": {"reference": "Patient/demo-3"}},
    ):
        answer = record.change(blocked, by, **members)
        assert answer.status_code == 422, (members, answer.text)
    assert not record.sees("inconnu", document)


def test_what_a_conformance_client_stores_otherwise_decides_nothing(served: Served) -> None:
    record = own_record(served)
    document = record.deposit()
    consent = {**authorisation(record, "inconnu"), "policy": [{"uri": "https://somebody.example/policy"}]}
    answer = record.as_("conformance").post(
        "/Consent",
        json=consent,
        headers={"Content-Type": "application/fhir+json", "Prefer": "return=OperationOutcome"},
    )
    assert answer.status_code == 201
    assert "decides nothing" in answer.text
    assert not record.sees("inconnu", document)
