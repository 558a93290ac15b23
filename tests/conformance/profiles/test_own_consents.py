"""What `read_consent` accepts is what the profile of its policy accepts: one table of deviations, put to both.

What a profile cannot say is left out: a date that the calendar does not have, a choice that starts later than now, an
end before the start.
"""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.outcome import Severity
from fhir_server.record.actors import INS
from fhir_server.record.consents import (
    ACT_REASON,
    CHOIX_URGENCE,
    PARTICIPATION_FUNCTION,
    PARTICIPATION_TYPE,
    ROLE_CLASS,
    ConsentFact,
    Policy,
    read_consent,
)
from fhir_server.validation.structure import Validator
from tests.build import (
    HOSPITAL,
    NOW,
    PARIS,
    SPECIALIST,
    STRANGER,
    YEAR,
    actor,
    authorisation,
    block,
    choice,
    delegation,
    emergency_choice,
    medecin_traitant,
    naming,
    team_choice,
)
from tests.conformance.profiles.conftest import Issues

PROFILE: Final = "https://fhir.dmp-ens.example/StructureDefinition/dmp-consent-"
STRUCTURE: Final = Validator(load())

GOOD: Final = {
    "autorisation": authorisation(SPECIALIST),
    "autorisation with an end": authorisation(SPECIALIST, end="2026-12-31"),
    "autorisation of a structure": authorisation(HOSPITAL),
    "blocage": block(SPECIALIST),
    "urgence ETREAT": emergency_choice("ETREAT", "deny"),
    "urgence BTG": emergency_choice("BTG", "permit"),
    "urgence MASKED": emergency_choice("MASKED", "permit"),
    "medecin-traitant": medecin_traitant(SPECIALIST),
    "administrateur": naming(Policy.ADMINISTRATEUR),
    "pharmacien-correspondant": naming(Policy.PHARMACIEN_CORRESPONDANT),
    "sage-femme-referente": naming(Policy.SAGE_FEMME_REFERENTE, end="2027-01-01"),
    "equipe permitted": team_choice("permit"),
    "equipe opposed": team_choice("deny"),
    "aidant": delegation(STRANGER),
    "masquage-defaut": choice(Policy.MASQUAGE_DEFAUT),
    "masquage-historique": choice(Policy.MASQUAGE_HISTORIQUE),
    "opposition": choice(Policy.OPPOSITION),
}
CODING: Final = "provision.actor.0.role.coding.0"
REFERENCE: Final = "provision.actor.0.reference"
TREAT: Final = {"system": ACT_REASON, "code": "TREAT"}
BTG: Final = {"system": ACT_REASON, "code": "BTG"}
MASKED: Final = {"system": CHOIX_URGENCE, "code": "MASKED"}
OTHER_EXTENSION: Final = [{"url": "https://example.org", "valueBoolean": True}]
TEAM: Final = {"role": actor(SPECIALIST)["role"], "reference": {"reference": "CareTeam/team"}}

DEVIATIONS: Final[tuple[tuple[str, Any], ...]] = (
    *(("status", value) for value in ("active", "inactive", "proposed", "rejected", "draft", "entered-in-error", ...)),
    ("scope.coding.0.code", "research"),
    ("scope.coding.0.system", "http://example.org"),
    ("scope.coding.0.display", "Vie privée"),
    ("scope.text", "Vie privée"),
    ("scope.extension", OTHER_EXTENSION),
    ("scope", {"text": "patient-privacy"}),
    ("scope", ...),
    ("category", []),
    ("category", [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}] * 2),
    ("category.0.coding.0.code", "64292-6"),
    ("category.0.text", "Consentement"),
    ("category.0.coding", []),
    ("category.0.coding", [{"system": "http://loinc.org", "code": "59284-0"}] * 2),
    ("policy.0.authority", "https://example.org"),
    ("policy.0.id", "a"),
    ("policy.0.extension", OTHER_EXTENSION),
    ("policy", [{"uri": "https://example.org/other"}]),
    ("dateTime", ...),
    ("performer", ...),
    ("performer", []),
    *(
        ("performer", [{"reference": reference}])
        for reference in (
            "Patient/1",
            "Patient/1/_history/2",
            "https://dmp.example/fhir/Patient/1",
            "RelatedPerson/1",
            "Practitioner/1",
            "PractitionerRole/1",
            "Organization/1",
        )
    ),
    ("performer", [{"display": "La patiente"}]),
    ("organization", [{"reference": "Organization/1"}]),
    ("sourceReference", {"reference": "DocumentReference/1"}),
    ("identifier", [{"system": "https://example.org", "value": "1"}]),
    ("language", "fr"),
    ("meta", {"profile": ["http://hl7.org/fhir/StructureDefinition/Consent"]}),
    ("text", {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Choix</div>'}),
    ("extension", OTHER_EXTENSION),
    ("policyRule", {"text": "x"}),
    ("verification", [{"verified": True}]),
    ("modifierExtension", OTHER_EXTENSION),
    ("implicitRules", "https://example.org/rules"),
    ("provision", ...),
    ("provision", {}),
    ("provision", [{"type": "permit"}]),
    ("provision.id", "a"),
    ("provision.provision", [{"type": "deny"}]),
    ("provision.action", [{"text": "access"}]),
    ("provision.securityLabel", [{"code": "R"}]),
    ("provision.class", [{"code": "DocumentReference"}]),
    ("provision.code", [{"text": "x"}]),
    ("provision.dataPeriod", {"start": "2020"}),
    ("provision.data", [{"meaning": "instance", "reference": {"reference": "DocumentReference/1"}}]),
    ("provision.extension", OTHER_EXTENSION),
    ("provision.modifierExtension", OTHER_EXTENSION),
    ("provision.type", ...),
    ("provision.type", "PERMIT"),
    ("provision.type", "permit"),
    ("provision.type", "deny"),
    ("provision.period", ...),
    ("provision.period", {"start": "2026-01-01"}),
    ("provision.period", {"end": "2026-12-31"}),
    ("provision.period", {"start": "2026-01-01", "end": "2026-12-31"}),
    ("provision.period.id", "a"),
    ("provision.period.extension", OTHER_EXTENSION),
    ("provision.period.start", "soon"),
    ("provision.actor", ...),
    ("provision.actor", [actor(SPECIALIST)]),
    ("provision.actor", [actor(SPECIALIST)] * 2),
    ("provision.actor", [actor(SPECIALIST, role=(PARTICIPATION_TYPE, "PRCP"))]),
    ("provision.actor", [actor(SPECIALIST, role=(PARTICIPATION_FUNCTION, "PCP"))]),
    ("provision.actor", [actor(HOSPITAL)]),
    ("provision.actor", [actor(HOSPITAL, role=(PARTICIPATION_FUNCTION, "PCP"))]),
    *(("provision.actor", [actor(STRANGER, system=system, role=(ROLE_CLASS, "CAREGIVER"))]) for system in sorted(INS)),
    ("provision.actor", [actor(SPECIALIST, role=(ROLE_CLASS, "CAREGIVER"))]),
    ("provision.actor", [TEAM]),
    ("provision.actor.0.id", "a"),
    ("provision.actor.0.extension", OTHER_EXTENSION),
    ("provision.actor.0.modifierExtension", OTHER_EXTENSION),
    ("provision.actor.0.role", ...),
    ("provision.actor.0.role.text", "Destinataire"),
    (f"{CODING}.code", "AUT"),
    (f"{CODING}.display", "Destinataire"),
    (REFERENCE, ...),
    (f"{REFERENCE}.display", "Dr Martin"),
    (f"{REFERENCE}.extension", OTHER_EXTENSION),
    (f"{REFERENCE}.reference", "CareTeam/team/_history/2"),
    (f"{REFERENCE}.reference", "#team"),
    (f"{REFERENCE}.identifier.extension", OTHER_EXTENSION),
    (f"{REFERENCE}.reference", "Practitioner/1"),
    (f"{REFERENCE}.reference", "CareTeam/other"),
    (f"{REFERENCE}.reference", "https://dmp.example/fhir/CareTeam/1"),
    (f"{REFERENCE}.reference", ...),
    (f"{REFERENCE}.identifier", {"system": "https://rpps.esante.gouv.fr", "value": SPECIALIST}),
    (f"{REFERENCE}.identifier", ...),
    (f"{REFERENCE}.identifier.use", "official"),
    (f"{REFERENCE}.identifier.system", "urn:oid:1.2.250.1.71.4.2.1"),
    (f"{REFERENCE}.identifier.system", ...),
    (f"{REFERENCE}.identifier.value", "8990000000"),
    (f"{REFERENCE}.identifier.value", "8990000000\u0662"),
    (f"{REFERENCE}.identifier.value", "8990000000-"),
    (f"{REFERENCE}.identifier.value", ...),
    ("provision.purpose", ...),
    *(("provision.purpose", value) for value in ([TREAT], [BTG], [MASKED], [TREAT, TREAT], [BTG, MASKED])),
    ("provision.purpose.0.code", "HRESCH"),
    ("provision.purpose.0.system", "http://example.org"),
    ("provision.purpose.0.display", "Soins"),
)


def deviating(consent: dict[str, Any], path: str, value: Any) -> dict[str, Any] | None:
    """The Consent with one thing set at a path; `...` removes it. Nothing where there is no such place."""
    told: dict[str, Any] = copy.deepcopy(consent)
    *way, last = path.split(".")
    place: Any = told
    for step in way:
        try:
            place = place[int(step)] if isinstance(place, list) else place[step]
        except (KeyError, IndexError):
            return None
    if value is not ...:
        place[last] = copy.deepcopy(value)
    elif place.pop(last, ...) is ...:
        return None
    return told


CASES: Final = [
    pytest.param(name, consent, id=f"{name}-{path}-{number}")
    for name, written in GOOD.items()
    for number, (path, value) in enumerate(DEVIATIONS)
    if (consent := deviating(written.resource, path, value)) is not None
]


def accepted(issues: Issues, name: str, consent: dict[str, Any]) -> bool:
    found = [*STRUCTURE.validate(consent), *issues(consent, PROFILE + name.partition(" ")[0])]
    return not any(one.severity in {Severity.ERROR, Severity.FATAL} for one in found)


@pytest.mark.parametrize("name", GOOD)
def test_each_shape_is_of_its_profile(issues: Issues, name: str) -> None:
    assert accepted(issues, name, GOOD[name].resource)


def test_each_policy_has_a_shape_here() -> None:
    assert {name.partition(" ")[0] for name in GOOD} == set(Policy)


@pytest.mark.parametrize(("name", "consent"), CASES)
def test_the_profile_refuses_what_the_reader_refuses_and_nothing_else(
    issues: Issues, name: str, consent: dict[str, Any]
) -> None:
    read = read_consent(consent, granted=NOW, zone=PARIS, duration=YEAR)
    assert accepted(issues, name, consent) is isinstance(read, ConsentFact), read
