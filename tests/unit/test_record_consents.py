"""The four shapes of a deciding Consent (contract.md): each is read, each deviation is refused where it is.

A deny that is stored and then ignored would be a leak, so nothing is passed over.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fhir_server.fhir import date
from fhir_server.fhir.outcome import Issue
from fhir_server.record.consents import ConsentFact, Policy, policy_of, read_actor, read_consent
from tests.build import (
    HOSPITAL,
    NOW,
    PARIS,
    SPECIALIST,
    YEAR,
    Written,
    authorisation,
    block,
    emergency_choice,
    medecin_traitant,
    moment,
)

GOOD = {
    "autorisation": authorisation(SPECIALIST),
    "autorisation with an end": authorisation(SPECIALIST, end="2026-12-31"),
    "autorisation of a structure": authorisation(HOSPITAL),
    "blocage": block(SPECIALIST),
    "urgence ETREAT": emergency_choice("ETREAT", "deny"),
    "urgence BTG": emergency_choice("BTG", "permit"),
    "urgence MASKED": emergency_choice("MASKED", "permit"),
    "medecin-traitant": medecin_traitant(SPECIALIST),
}


def read(consent: dict[str, Any]) -> ConsentFact | list[Issue]:
    return read_consent(consent, granted=NOW, zone=PARIS, duration=YEAR)


def fact(consent: dict[str, Any]) -> ConsentFact:
    found = read(consent)
    assert isinstance(found, ConsentFact), found
    return found


def changed(written: Written, path: str, value: Any) -> dict[str, Any]:
    """The Consent with one thing set at a path such as ``provision.actor.0.role``; `...` removes it."""
    consent: dict[str, Any] = copy.deepcopy(written.resource)
    *way, last = path.split(".")
    place: Any = consent
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    key = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return consent


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("status", ["active", "inactive"])
def test_every_shape_of_the_contract_is_read(name: str, status: str) -> None:
    found = fact({**GOOD[name].resource, "status": status})
    assert found.policy == name.partition(" ")[0]
    assert found.active is (status == "active")
    assert found.granted == NOW


def test_what_each_shape_says() -> None:
    doctor = f"rpps|{SPECIALIST}"
    authorised = fact(authorisation(SPECIALIST, id="a1").resource)
    assert (authorised.id, authorised.actor, authorised.permit, authorised.purpose) == ("a1", doctor, True, None)
    assert fact(authorisation(HOSPITAL).resource).actor == f"finess|{HOSPITAL}"
    blocked = fact(block(SPECIALIST).resource)
    assert (blocked.actor, blocked.permit) == (doctor, False)
    assert (blocked.start, blocked.end) == (date.MIN, date.MAX)
    for purpose in ("ETREAT", "BTG", "MASKED"):
        for type in ("permit", "deny"):
            choice = fact(emergency_choice(purpose, type).resource)
            assert (choice.purpose, choice.permit, choice.actor) == (purpose, type == "permit", None)
    assert fact(medecin_traitant(SPECIALIST).resource).actor == doctor


# Periods


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-01-01", "2026-01-31", ("2025-12-31T23:00:00", "2026-01-31T23:00:00")),
        ("2026-07-01", "2026-07-31", ("2026-06-30T22:00:00", "2026-07-31T22:00:00")),
        ("2026-03-29", "2026-03-29", ("2026-03-28T23:00:00", "2026-03-29T22:00:00")),
        ("2026-01", "2026-02", ("2025-12-31T23:00:00", "2026-02-28T23:00:00")),
        ("2026", "2026", ("2025-12-31T23:00:00", "2026-12-31T23:00:00")),
        ("2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z", ("2026-01-01T08:00:00", "2026-01-01T09:00:01")),
        ("2026-01-01T08:00:00+01:00", "2026-01-01T09:00:00.5+01:00", ("2026-01-01T07:00:00", "2026-01-01T08:00:00.6")),
    ],
)
def test_a_date_lasts_to_midnight_in_paris_and_a_time_is_exact(start: str, end: str, expected: tuple[str, str]) -> None:
    found = fact(authorisation(SPECIALIST, start=start, end=end).resource)
    assert (found.start, found.end) == (moment(expected[0]), moment(expected[1]))


def test_an_authorisation_without_an_end_lasts_a_year() -> None:
    found = fact(authorisation(SPECIALIST, start="2026-01-01T00:00:00Z").resource)
    assert found.end == moment("2027-01-01T00:00:00")


@pytest.mark.parametrize("start", ["9999-12-31", "9999", "9999-12-31T23:59:59Z"])
def test_an_authorisation_from_the_last_day_of_the_calendar_is_no_crash(start: str) -> None:
    found = fact(authorisation(SPECIALIST, start=start).resource)
    assert found.start < found.end <= date.MAX


@pytest.mark.parametrize("start", ["0001-01-01", "0001", "0001-01-01T00:00:00+14:00"])
def test_nor_from_the_first(start: str) -> None:
    found = read(authorisation(SPECIALIST, start=start).resource)
    assert isinstance(found, ConsentFact)
    assert found.start < found.end < moment("0003-01-01T00:00:00")


def test_an_authorisation_for_ever_is_one() -> None:
    assert fact(authorisation(SPECIALIST, end="9999-12-31").resource).end == date.MAX
    assert fact(authorisation(SPECIALIST, end="9999").resource).end == date.MAX


# What is refused, and where it says so

A, B, U, M = authorisation(SPECIALIST), block(SPECIALIST), emergency_choice("BTG", "deny"), medecin_traitant(SPECIALIST)


def provision_of(written: Written) -> Any:
    return written.resource["provision"]


TREAT = provision_of(A)["purpose"][0]
MASKED = provision_of(emergency_choice("MASKED", "deny"))["purpose"][0]
ACTOR = provision_of(A)["actor"][0]
BY_LITERAL = {**ACTOR, "reference": {"reference": "Practitioner/1"}}
BY_FINESS = {"system": "https://finess.esante.gouv.fr", "value": HOSPITAL}
IDENTIFIER, NAMED = "provision.actor.0.reference.identifier", "Consent.provision.actor[0].reference.identifier"

COMMON = [
    ("status", "draft", "Consent.status"),
    ("status", "entered-in-error", "Consent.status"),
    ("status", ..., "Consent.status"),
    (
        "scope",
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]},
        "Consent.scope",
    ),
    ("scope", {"text": "patient-privacy"}, "Consent.scope"),
    ("scope.coding.0.system", "http://example.org", "Consent.scope"),
    ("scope", ..., "Consent.scope"),
    ("category", [], "Consent.category"),
    ("category.0.coding.0.code", "64292-6", "Consent.category"),
    ("category.0.coding", [], "Consent.category"),
    ("policy.0.authority", "https://example.org", "Consent.policy"),
    ("dateTime", ..., "Consent.dateTime"),
    ("performer", ..., "Consent.performer"),
    ("performer", [], "Consent.performer"),
    ("provision", ..., "Consent.provision"),
    ("provision", [{"type": "permit"}], "Consent.provision"),
    ("policyRule", {"text": "x"}, "Consent.policyRule"),
    ("verification", [{"verified": True}], "Consent.verification"),
    ("modifierExtension", [{"url": "https://example.org", "valueBoolean": True}], "Consent.modifierExtension"),
    ("implicitRules", "https://example.org/rules", "Consent.implicitRules"),
    ("provision.provision", [{"type": "deny"}], "Consent.provision.provision"),
    ("provision.action", [{"text": "access"}], "Consent.provision.action"),
    ("provision.securityLabel", [{"code": "R"}], "Consent.provision.securityLabel"),
    ("provision.class", [{"code": "DocumentReference"}], "Consent.provision.class"),
    ("provision.code", [{"text": "x"}], "Consent.provision.code"),
    ("provision.dataPeriod", {"start": "2020"}, "Consent.provision.dataPeriod"),
    ("provision.data", [{"meaning": "instance"}], "Consent.provision.data"),
    ("provision.modifierExtension", [{"url": "https://example.org"}], "Consent.provision.modifierExtension"),
    ("provision._type", {"id": "x"}, "Consent.provision._type"),
    ("provision.type", ..., "Consent.provision.type"),
    ("provision.type", "PERMIT", "Consent.provision.type"),
]


@pytest.mark.parametrize("written", [A, B, U, M], ids=["autorisation", "blocage", "urgence", "medecin-traitant"])
@pytest.mark.parametrize(
    ("path", "value", "expression"), COMMON, ids=[f"{path}-{n}" for n, (path, *_) in enumerate(COMMON)]
)
def test_a_deviation_from_what_all_shapes_share_is_refused(
    written: Written, path: str, value: Any, expression: str
) -> None:
    assert expression in expressions(read(changed(written, path, value)))


OWN = [
    (U, "provision.period", {"end": "2026-12-31"}, "Consent.provision.period.end"),
    (U, "provision.period", {"start": "2026-12-31"}, "Consent.provision.period.start"),
    (A, "provision.type", "deny", "Consent.provision.type"),
    (A, "provision.period", ..., "Consent.provision.period"),
    (A, "provision.period.start", ..., "Consent.provision.period.start"),
    (A, "provision.period.start", "2026-02-30", "Consent.provision.period.start"),
    (A, "provision.period.start", "soon", "Consent.provision.period.start"),
    (A, "provision.period.end", "2026-13-01", "Consent.provision.period.end"),
    (A, "provision.period.end", "2025-12-30", "Consent.provision.period"),
    (A, "provision.period.extension", [], "Consent.provision.period"),
    (A, "provision.actor", ..., "Consent.provision.actor"),
    (A, "provision.actor", [ACTOR, ACTOR], "Consent.provision.actor"),
    (A, "provision.actor.0.role.coding.0.code", "PRCP", "Consent.provision.actor[0].role"),
    (A, "provision.actor.0.role", ..., "Consent.provision.actor[0].role"),
    (A, "provision.actor.0.extension", [], "Consent.provision.actor[0]"),
    (A, "provision.actor.0", BY_LITERAL, "Consent.provision.actor[0].reference.reference"),
    (A, "provision.actor.0", BY_LITERAL, NAMED),
    (A, f"{IDENTIFIER}.system", "urn:oid:1.2.250.1.71.4.2.1", NAMED),
    (A, f"{IDENTIFIER}.value", "8990000000", f"{NAMED}.value"),
    (A, f"{IDENTIFIER}.value", "8990000000\u0662", f"{NAMED}.value"),
    (A, f"{IDENTIFIER}.value", ..., NAMED),
    (A, "provision.purpose", ..., "Consent.provision.purpose"),
    (A, "provision.purpose", [TREAT, TREAT], "Consent.provision.purpose"),
    (A, "provision.purpose", [MASKED], "Consent.provision.purpose"),
    (A, "provision.purpose.0.code", "HRESCH", "Consent.provision.purpose"),
    (B, "provision.type", "permit", "Consent.provision.type"),
    (B, "provision.actor", ..., "Consent.provision.actor"),
    (B, IDENTIFIER, BY_FINESS, NAMED),
    (B, "provision.purpose", [TREAT], "Consent.provision.purpose"),
    (B, "provision.period", {"end": "2027-01-01"}, "Consent.provision.period.end"),
    (U, "provision.actor", [ACTOR], "Consent.provision.actor"),
    (U, "provision.purpose", [], "Consent.provision.purpose"),
    (U, "provision.purpose", ..., "Consent.provision.purpose"),
    (U, "provision.purpose", [TREAT], "Consent.provision.purpose"),
    (U, "provision.purpose", [MASKED, MASKED], "Consent.provision.purpose"),
    (U, "provision.purpose.0.system", "http://example.org", "Consent.provision.purpose"),
    (M, "provision.type", "deny", "Consent.provision.type"),
    (M, "provision.purpose", [TREAT], "Consent.provision.purpose"),
    (M, "provision.actor.0.role", ACTOR["role"], "Consent.provision.actor[0].role"),
    (M, IDENTIFIER, BY_FINESS, NAMED),
]


@pytest.mark.parametrize(
    ("written", "path", "value", "expression"),
    OWN,
    ids=[f"{written.resource['id']}-{path}-{number}" for number, (written, path, *_) in enumerate(OWN)],
)
def test_a_deviation_from_its_own_shape_is_refused(written: Written, path: str, value: Any, expression: str) -> None:
    assert expression in expressions(read(changed(written, path, value)))


def expressions(found: ConsentFact | list[Issue]) -> set[str]:
    assert isinstance(found, list), found
    return {expression for issue in found for expression in issue.expression}


@pytest.mark.parametrize("written", [A, U, M], ids=["autorisation", "urgence", "medecin-traitant"])
@pytest.mark.parametrize(
    "performer", ["Practitioner/1", "Organization/1", "https://elsewhere.example/Practitioner/1", "#p", "Patient/1/x"]
)
def test_nobody_else_chooses_for_the_patient(written: Written, performer: str) -> None:
    refused = changed(written, "performer", [*written.resource["performer"], {"reference": performer}])  # type: ignore[misc]
    assert expressions(read(refused)) == {"Consent.performer[1]"}


@pytest.mark.parametrize(
    "performer", ["Patient/1", "RelatedPerson/1", "https://dmp.example/fhir/Patient/1", "Patient/1/_history/2"]
)
def test_the_patient_and_his_representative_choose(performer: str) -> None:
    for written in (A, B, U, M):
        fact(changed(written, "performer", [{"reference": performer}]))


def test_a_medecin_traitant_may_be_the_performer_of_a_block() -> None:
    """R-13."""
    fact(changed(B, "performer", [{"reference": "Practitioner/mt"}]))
    organisation = changed(B, "performer", [{"reference": "Organization/1"}])
    assert expressions(read(organisation)) == {"Consent.performer[0]"}


def test_everything_wrong_is_told_at_once() -> None:
    consent = {**A.resource, "status": "draft", "category": []}
    assert {"Consent.status", "Consent.category"} <= expressions(read(consent))


def test_two_policies_are_refused_though_one_is_ours() -> None:
    both = {**B.resource, "policy": [{"uri": "https://example.org/other"}, *B.resource["policy"]]}  # type: ignore[misc]
    assert policy_of(both) is Policy.BLOCAGE
    assert expressions(read(both)) == {"Consent.policy"}


@pytest.mark.parametrize(
    "policy",
    [
        [],
        [{}],
        [{"uri": "https://fhir.dmp-ens.example/policy/other"}],
        [{"uri": "https://fhir.dmp-ens.example/policy/blocage/x"}],
        [{"uri": "https://fhir.dmp-ens.example/policy/BLOCAGE"}],
        "https://fhir.dmp-ens.example/policy/blocage",
        [{"uri": None}],
        None,
    ],
)
def test_any_other_policy_is_none_of_ours(policy: Any) -> None:
    consent = {**B.resource, "policy": policy}
    assert policy_of(consent) is None
    assert expressions(read(consent)) == {"Consent.policy"}


def test_the_actor_is_read_from_any_consent_with_one() -> None:
    assert read_actor(A.resource) == f"rpps|{SPECIALIST}"
    assert read_actor(U.resource) is None
    assert read_actor(changed(A, "provision.actor", [ACTOR, ACTOR])) is None
    assert read_actor(changed(A, "provision.actor.0", BY_LITERAL)) is None
    assert read_actor({}) is None
