"""Each invariant that is checked, with an object for which it holds and one for which it does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import Structure
from fhir_server.fhir.date import interval
from fhir_server.validation import invariants
from fhir_server.validation.expressions import Expressions
from fhir_server.validation.predicates import later
from fhir_server.validation.rules import rules_of

Validate = Callable[[Any], list[tuple[str, str]]]

EXPRESSIONS = Expressions(load())

UCUM = "http://unitsofmeasure.org"
KG = {"system": UCUM, "code": "kg"}
HL7 = "http://terminology.hl7.org/CodeSystem/"
ERROR = {
    "ait": {"coding": [{"system": f"{HL7}allergyintolerance-verification", "code": "entered-in-error"}]},
    "con": {"coding": [{"system": f"{HL7}condition-ver-status", "code": "entered-in-error"}]},
}
RESOLVED = {"coding": [{"system": f"{HL7}condition-clinical", "code": "resolved"}]}
LOINC = {"system": "http://loinc.org", "code": "85354-9"}
SYSTOLIC = {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}}
Case = tuple[str, str, dict[str, Any], dict[str, Any]]

CASES: list[Case] = [
    ("Age", "age-1", {"value": 3, **KG}, {"value": 0, **KG}),
    ("Age", "age-1", {}, {"value": 3}),
    ("Age", "age-1", {"value": 3, **KG}, {"value": 3, "system": "urn:x", "code": "a"}),
    ("Attachment", "att-1", {"data": "AA==", "contentType": "a/b"}, {"data": "AA=="}),
    ("ContactPoint", "cpt-2", {"value": "1", "system": "phone"}, {"value": "1"}),
    (
        "Count",
        "cnt-3",
        {"value": 3, "code": "1", "system": UCUM},
        {"value": Decimal("3.0"), "code": "1", "system": UCUM},
    ),
    ("Count", "cnt-3", {"value": 3, "code": "1"}, {"value": 3, "code": "2"}),
    ("Distance", "dis-1", {"value": 3, **KG}, {"value": 3}),
    ("Duration", "drt-1", {"value": 3, **KG}, {"value": 3, "code": "d"}),
    ("DataRequirement.codeFilter", "drq-1", {"path": "a"}, {"path": "a", "searchParam": "b"}),
    ("DataRequirement.dateFilter", "drq-2", {"searchParam": "b"}, {}),
    ("Expression", "exp-1", {"expression": "a"}, {"language": "text/cql"}),
    ("Extension", "ext-1", {"url": "u", "valueCode": "a", "_valueCode": {}}, {"url": "u"}),
    ("Extension", "ext-1", {"url": "u", "extension": []}, {"url": "u", "extension": [], "valueCode": "a"}),
    ("Extension", "ext-1", {"url": "u", "id": "i", "_valueCode": {}}, {"url": "u", "id": "i"}),
    ("Period", "per-1", {"start": "2024-01-01", "end": "2024-01-01"}, {"start": "2024-01-02", "end": "2024-01-01"}),
    ("Period", "per-1", {"start": "2024"}, {"start": "2024", "end": "2023-12-31"}),
    ("Quantity", "qty-3", {"code": "kg", "system": UCUM}, {"code": "kg"}),
    ("Age", "qty-3", {"code": "a", "system": UCUM}, {"code": "a"}),
    ("Ratio", "rat-1", {"numerator": {}, "denominator": {}}, {"numerator": {}}),
    ("Ratio", "rat-1", {"extension": []}, {"denominator": {}}),
    ("Ratio", "rat-1", {"extension": []}, {"id": "x"}),
    (
        "Range",
        "rng-2",
        {"low": {"value": 1}, "high": {"value": 2}},
        {"low": {"value": 2}, "high": {"value": Decimal("1.5")}},
    ),
    (
        "Range",
        "rng-2",
        {"low": {"value": 2, "unit": "g"}, "high": {"value": 1, "unit": "kg"}},
        {"low": {"value": 2}, "high": {"value": 1}},
    ),
    ("Timing.repeat", "tim-1", {"duration": 1, "durationUnit": "h"}, {"duration": 1}),
    ("Timing.repeat", "tim-2", {"period": 1, "periodUnit": "d"}, {"period": 1}),
    ("Timing.repeat", "tim-4", {"duration": 0}, {"duration": Decimal("-0.5")}),
    ("Timing.repeat", "tim-5", {"period": 1}, {"period": -1}),
    ("Timing.repeat", "tim-6", {"period": 1, "periodMax": 2}, {"periodMax": 2}),
    ("Timing.repeat", "tim-7", {"duration": 1, "durationMax": 2}, {"durationMax": 2}),
    ("Timing.repeat", "tim-8", {"count": 1, "countMax": 2}, {"countMax": 2}),
    ("Timing.repeat", "tim-9", {"offset": 1, "when": ["ACM"]}, {"offset": 1, "when": ["C"]}),
    ("Timing.repeat", "tim-9", {"when": ["C"]}, {"offset": 1}),
    ("Timing.repeat", "tim-10", {"when": ["ACM"]}, {"when": ["ACM"], "timeOfDay": ["08:00:00"]}),
    ("TriggerDefinition", "trd-1", {"data": []}, {"data": [], "timingDate": "2024"}),
    ("TriggerDefinition", "trd-2", {"condition": {}, "data": []}, {"condition": {}}),
    ("TriggerDefinition", "trd-3", {"type": "named-event", "name": "x"}, {"type": "named-event"}),
    ("TriggerDefinition", "trd-3", {"type": "periodic", "timingTiming": {}}, {"type": "periodic"}),
    ("TriggerDefinition", "trd-3", {"type": "data-added", "data": []}, {"type": "data-added"}),
    ("AllergyIntolerance", "ait-1", {"verificationStatus": ERROR["ait"]}, {}),
    ("AllergyIntolerance", "ait-2", {"clinicalStatus": {}}, {"clinicalStatus": {}, "verificationStatus": ERROR["ait"]}),
    ("Appointment.participant", "app-1", {"actor": {}}, {"status": "accepted"}),
    ("Appointment", "app-2", {"start": "a", "end": "b"}, {"start": "a"}),
    ("Appointment", "app-3", {"status": "proposed"}, {"status": "booked"}),
    (
        "Appointment",
        "app-4",
        {"cancelationReason": {}, "status": "cancelled"},
        {"cancelationReason": {}, "status": "booked"},
    ),
    ("AppointmentResponse", "apr-1", {"actor": {}}, {}),
    ("Bundle", "bdl-1", {"total": 1, "type": "searchset"}, {"total": 1, "type": "batch"}),
    ("Bundle", "bdl-2", {"type": "searchset", "entry": [{"search": {}}]}, {"type": "batch", "entry": [{"search": {}}]}),
    ("Bundle", "bdl-3", {"type": "batch", "entry": [{"request": {}}]}, {"type": "batch", "entry": [{}]}),
    ("Bundle", "bdl-3", {"type": "searchset", "entry": [{}]}, {"type": "searchset", "entry": [{"request": {}}]}),
    (
        "Bundle",
        "bdl-4",
        {"type": "batch-response", "entry": [{"response": {}}]},
        {"type": "batch-response", "entry": [{}]},
    ),
    ("Bundle.entry", "bdl-5", {"resource": {}}, {"fullUrl": "x"}),
    (
        "Bundle",
        "bdl-7",
        {"entry": [{"fullUrl": "a"}, {"fullUrl": "b"}]},
        {"entry": [{"fullUrl": "a"}, {"fullUrl": "a"}]},
    ),
    (
        "Bundle",
        "bdl-7",
        {"entry": [{"fullUrl": "a", "resource": {"meta": {"versionId": v}}} for v in "12"]},
        {"entry": [{"fullUrl": "a", "resource": {"meta": {"versionId": v}}} for v in "11"]},
    ),
    ("Bundle.entry", "bdl-8", {"fullUrl": "http://x/Patient/1"}, {"fullUrl": "http://x/Patient/1/_history/2"}),
    ("Bundle", "bdl-9", {"type": "document", "identifier": {"system": "a", "value": "b"}}, {"type": "document"}),
    ("Bundle", "bdl-10", {"type": "document", "timestamp": "x"}, {"type": "document"}),
    (
        "Bundle",
        "bdl-11",
        {"type": "document", "entry": [{"resource": {"resourceType": "Composition"}}]},
        {"type": "document", "entry": [{"resource": {"resourceType": "Patient"}}]},
    ),
    (
        "Bundle",
        "bdl-12",
        {"type": "message", "entry": [{"resource": {"resourceType": "MessageHeader"}}]},
        {"type": "message", "entry": []},
    ),
    ("CoverageEligibilityResponse.insurance.item", "ces-1", {"category": {}}, {"category": {}, "productOrService": {}}),
    ("Composition.section", "cmp-1", {"text": {}}, {"title": "x"}),
    ("Composition.section", "cmp-2", {"entry": []}, {"entry": [], "emptyReason": {}}),
    ("Condition.stage", "con-1", {"summary": {}}, {"type": {}}),
    ("Condition.evidence", "con-2", {"code": []}, {}),
    ("Condition", "con-4", {"abatementAge": {}, "clinicalStatus": RESOLVED}, {"abatementAge": {}}),
    (
        "Condition",
        "con-5",
        {"verificationStatus": ERROR["con"]},
        {"verificationStatus": ERROR["con"], "clinicalStatus": {}},
    ),
    ("CarePlan.activity", "cpl-3", {"detail": {}}, {"detail": {}, "reference": {}}),
    ("FamilyMemberHistory", "fhs-1", {"ageAge": {}}, {"ageAge": {}, "bornDate": "2024"}),
    ("FamilyMemberHistory", "fhs-2", {"estimatedAge": True, "ageString": "x"}, {"estimatedAge": True}),
    ("Goal.target", "gol-1", {"detailString": "x", "measure": {}}, {"detailString": "x"}),
    ("Group", "grp-1", {"member": [], "actual": True}, {"member": [], "actual": False}),
    ("Immunization.education", "imm-1", {"reference": "x"}, {}),
    ("ImmunizationRecommendation.recommendation", "imr-1", {"targetDisease": {}}, {}),
    ("InsurancePlan", "ipn-1", {"name": "x"}, {}),
    ("Linkage", "lnk-1", {"item": [{}, {}]}, {"item": [{}]}),
    ("List", "lst-1", {"entry": []}, {"entry": [], "emptyReason": {}}),
    (
        "List",
        "lst-2",
        {"mode": "changes", "entry": [{"deleted": True}]},
        {"mode": "working", "entry": [{"deleted": True}]},
    ),
    ("List", "lst-3", {"mode": "working", "entry": [{"date": "x"}]}, {"mode": "snapshot", "entry": [{"date": "x"}]}),
    ("MedicationAdministration.dosage", "mad-1", {"rateRatio": {}}, {"text": "x"}),
    (
        "MedicationDispense",
        "mdd-1",
        {"whenPrepared": "2024-01-01", "whenHandedOver": "2024-01-02"},
        {"whenPrepared": "2024-01-03", "whenHandedOver": "2024-01-02"},
    ),
    ("MeasureReport", "mrp-1", {"type": "summary", "group": []}, {"type": "data-collection", "group": []}),
    ("Observation.referenceRange", "obs-3", {"text": "x"}, {"type": {}}),
    ("Observation", "obs-6", {"valueString": "x"}, {"valueString": "x", "dataAbsentReason": {}}),
    ("Observation", "obs-6", {"dataAbsentReason": {}}, {"_valueString": {}, "dataAbsentReason": {}}),
    (
        "Observation",
        "obs-7",
        {"valueString": "x", "code": {"coding": [LOINC]}, "component": [SYSTOLIC]},
        {"valueString": "x", "code": {"coding": [LOINC]}, "component": [SYSTOLIC, {"code": {"coding": [LOINC]}}]},
    ),
    ("Organization", "org-1", {"name": "x"}, {"active": True}),
    ("Patient.contact", "pat-1", {"telecom": []}, {"gender": "male"}),
    ("Consent", "ppc-1", {"policy": []}, {}),
    ("ServiceRequest", "prr-1", {"orderDetail": [], "code": {}}, {"orderDetail": []}),
    ("QuestionnaireResponse.item", "qrs-1", {"answer": []}, {"answer": [], "item": []}),
    ("RiskAssessment.prediction", "ras-2", {"probabilityDecimal": 100}, {"probabilityDecimal": Decimal("100.1")}),
    ("RequestGroup.action", "rqg-1", {"resource": {}}, {"resource": {}, "action": []}),
    ("AuditEvent.entity", "sev-1", {"name": "x"}, {"name": "x", "query": "AA=="}),
    (
        "ConceptMap.group.element.target",
        "cmd-1",
        {"equivalence": "narrower", "comment": "x"},
        {"equivalence": "inexact"},
    ),
    ("ConceptMap.group.unmapped", "cmd-2", {"mode": "fixed", "code": "x"}, {"mode": "fixed"}),
    ("ConceptMap.group.unmapped", "cmd-3", {"mode": "other-map", "url": "x"}, {"mode": "other-map"}),
    ("CapabilityStatement", "cpb-1", {"rest": []}, {}),
    ("CapabilityStatement", "cpb-2", {"software": {}}, {}),
    (
        "CapabilityStatement",
        "cpb-3",
        {"kind": "instance", "messaging": [{"endpoint": []}]},
        {"messaging": [{"endpoint": []}]},
    ),
    (
        "CapabilityStatement",
        "cpb-7",
        {"document": [{"profile": "a", "mode": "m"}, {"profile": "a", "mode": "n"}]},
        {"document": [{"profile": "a", "mode": "m"}, {"profile": "a", "mode": "m"}]},
    ),
    ("CapabilityStatement.rest", "cpb-9", {"resource": [{"type": "A"}]}, {"resource": [{"type": "A"}, {"type": "A"}]}),
    (
        "CapabilityStatement.rest.resource",
        "cpb-12",
        {"searchParam": [{"name": "a"}, {"name": "b"}]},
        {"searchParam": [{"name": "a"}, {"name": "a"}]},
    ),
    ("CapabilityStatement", "cpb-14", {"kind": "instance", "implementation": {}}, {"kind": "instance"}),
    ("CapabilityStatement", "cpb-15", {"kind": "capability", "software": {}}, {"kind": "capability"}),
    ("CapabilityStatement", "cpb-16", {"kind": "requirements"}, {"kind": "requirements", "software": {}}),
    (
        "CodeSystem",
        "csd-1",
        {"concept": [{"code": "a", "concept": [{"code": "b"}]}]},
        {"concept": [{"code": "a", "concept": [{"code": "a"}]}]},
    ),
    ("MessageDefinition.focus", "md-1", {"max": "*"}, {"max": "0"}),
    ("MessageDefinition.focus", "md-1", {"max": "10"}, {"max": "many"}),
    ("MolecularSequence", "msq-3", {"coordinateSystem": 1}, {"coordinateSystem": 2}),
    ("MolecularSequence.referenceSeq", "msq-5", {"chromosome": {}, "genomeBuild": "x"}, {"chromosome": {}}),
    ("MolecularSequence.referenceSeq", "msq-6", {"genomeBuild": "x"}, {"genomeBuild": "x", "referenceSeqString": "y"}),
    (
        "NamingSystem",
        "nsd-1",
        {"kind": "root", "uniqueId": [{"type": "oid"}]},
        {"kind": "root", "uniqueId": [{"type": "uuid"}]},
    ),
    ("OperationDefinition.parameter", "opd-1", {"part": []}, {"name": "x"}),
    ("OperationDefinition.parameter", "opd-2", {"searchType": "token", "type": "string"}, {"searchType": "token"}),
    ("OperationDefinition.parameter", "opd-3", {"targetProfile": [], "type": "canonical"}, {"targetProfile": []}),
    ("Questionnaire.item", "que-1", {"type": "group", "item": []}, {"type": "group"}),
    ("Questionnaire.item", "que-1", {"type": "display"}, {"type": "display", "item": []}),
    (
        "Questionnaire",
        "que-2",
        {"item": [{"linkId": "1", "item": [{"linkId": "1.1"}]}]},
        {"item": [{"linkId": "1", "item": [{"linkId": "1"}]}]},
    ),
    ("Questionnaire.item", "que-3", {"type": "string", "code": []}, {"type": "display", "code": []}),
    ("Questionnaire.item", "que-4", {"answerOption": []}, {"answerOption": [], "answerValueSet": "x"}),
    ("Questionnaire.item", "que-5", {"type": "choice", "answerOption": []}, {"type": "boolean", "answerOption": []}),
    ("Questionnaire.item", "que-6", {"type": "string", "required": True}, {"type": "display", "required": True}),
    (
        "Questionnaire.item.enableWhen",
        "que-7",
        {"operator": "exists", "answerBoolean": True},
        {"operator": "exists", "answerInteger": 1},
    ),
    ("Questionnaire.item", "que-8", {"type": "string", "initial": []}, {"type": "group", "initial": []}),
    ("Questionnaire.item", "que-9", {"type": "string", "readOnly": True}, {"type": "display", "readOnly": True}),
    ("Questionnaire.item", "que-10", {"type": "text", "maxLength": 3}, {"type": "date", "maxLength": 3}),
    ("Questionnaire.item", "que-11", {"initial": []}, {"initial": [], "answerOption": []}),
    ("Questionnaire.item", "que-12", {"enableWhen": [{}] * 3, "enableBehavior": "all"}, {"enableWhen": [{}] * 3}),
    ("Questionnaire.item", "que-13", {"initial": [{}] * 2, "repeats": True}, {"initial": [{}] * 2}),
    ("StructureDefinition.mapping", "sdf-2", {"uri": "x"}, {"identity": "x"}),
    ("StructureDefinition", "sdf-4", {"abstract": True}, {"abstract": False}),
    ("StructureDefinition", "sdf-6", {"differential": {}}, {}),
    ("StructureDefinition", "sdf-18", {"contextInvariant": [], "type": "Extension"}, {"contextInvariant": []}),
    ("StructureMap.group.rule.target", "smp-1", {"element": "x", "context": "y"}, {"element": "x"}),
    ("StructureMap.group.rule.target", "smp-2", {"context": "x", "contextType": "y"}, {"context": "x"}),
    ("SearchParameter", "spd-1", {"xpath": "x", "xpathUsage": "normal"}, {"xpath": "x"}),
    ("SearchParameter", "spd-2", {"chain": [], "type": "reference"}, {"chain": [], "type": "token"}),
    ("TerminologyCapabilities", "tcp-2", {"description": "x"}, {}),
    ("TerminologyCapabilities", "tcp-3", {"kind": "instance", "implementation": {}}, {"kind": "instance"}),
    ("TerminologyCapabilities", "tcp-4", {"kind": "capability", "software": {}}, {"kind": "capability"}),
    ("TerminologyCapabilities", "tcp-5", {"kind": "requirements"}, {"kind": "requirements", "software": {}}),
    ("TestScript.setup.action", "tst-1", {"assert": {}}, {}),
    ("TestScript.test.action", "tst-2", {"assert": {}}, {"assert": {}, "operation": {}}),
    ("ValueSet.compose.include", "vsd-1", {"system": "x"}, {"version": "1"}),
    ("ValueSet.compose.include", "vsd-2", {"concept": [], "system": "x"}, {"concept": []}),
    ("ValueSet.compose.include", "vsd-3", {"concept": []}, {"concept": [], "filter": []}),
    ("ValueSet.expansion.contains", "vsd-6", {"display": "x"}, {"system": "x"}),
    ("ValueSet.expansion.contains", "vsd-9", {"abstract": True}, {"display": "x"}),
    ("ValueSet.expansion.contains", "vsd-10", {"code": "x", "system": "y"}, {"code": "x"}),
    ("Parameters.parameter", "inv-1", {"name": "a", "valueCode": "x"}, {"name": "a"}),
    ("Parameters.parameter", "inv-1", {"name": "a", "part": []}, {"name": "a", "part": [], "valueCode": "x"}),
    ("Parameters.parameter", "inv-1", {"resource": {}}, {"resource": {}, "valueCode": "x"}),
    ("Task", "inv-1", {"authoredOn": "2024", "lastModified": "2024"}, {"authoredOn": "2025", "lastModified": "2024"}),
    ("TestReport.setup.action", "inv-1", {"assert": {}}, {}),
    ("TestReport.test.action", "inv-2", {"operation": {}}, {"operation": {}, "assert": {}}),
]


def told(structure: str, value: dict[str, Any]) -> list[str]:
    rules = rules_of(load().structures[structure], EXPRESSIONS)
    return [told[0].diagnostics.partition(":")[0] for holds, told in rules if not holds(value)]


@pytest.mark.parametrize(("structure", "key", "good", "bad"), CASES)
def test_invariant(structure: str, key: str, good: dict[str, Any], bad: dict[str, Any]) -> None:
    assert key not in told(structure, good)
    assert key in told(structure, bad)


def test_every_invariant_of_the_standard_is_checked_or_accounted_for() -> None:
    structures = load().structures.values()
    of_structures = {(s.name, invariant.key) for s in structures for invariant in s.invariants}
    of_uses = {invariant.key for s in structures for e in s.elements for invariant in e.invariants}
    keys = {key for _, key in of_structures} | of_uses
    not_checked = set().union(*invariants.NOT_CHECKED.values())
    by_expression = invariants.BY_EXPRESSION | invariants.BY_EXPRESSION_OF_USE | invariants.BY_EXPRESSION_ABOVE
    by_key = {*invariants.DATA_TYPES, *invariants.RESOURCES, *invariants.CONFORMANCE}
    of_structure = {key for _, key in invariants.OF_STRUCTURE}

    checked = by_key | of_structure | set(invariants.OF_USE) | invariants.CHECKED_ELSEWHERE
    assert keys == checked | by_expression | not_checked
    assert not checked & by_expression
    assert not not_checked & (checked | by_expression)
    assert set(invariants.OF_STRUCTURE) <= of_structures
    assert {key for _, key, _, _ in CASES} == by_key | of_structure


def test_no_invariant_stumbles_over_other_json() -> None:
    """Members of every wrong type: the invariants answer, the types are reported elsewhere."""
    for structure in load().structures.values():
        for wrong in (None, True, 1, Decimal("NaN"), "x", [], [None, 1], {}, {"coding": [1, {"system": []}]}):
            value: dict[str, Any] = {name: wrong for e in structure.elements for name in names_of(structure, e.name)}
            for holds, _ in rules_of(structure, EXPRESSIONS):
                assert holds(value) in (True, False), json.dumps(structure.name)


def names_of(structure: Structure, name: str) -> list[str]:
    element = next(e for e in structure.elements if e.name == name)
    return [element.json_name(use.code) for use in element.types]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2024-01-02", "2024-01-01", True),
        ("2024", "2023", True),
        ("2024-05", "2024", False),
        ("2024-05-01", "2024-04", True),
        ("2024-05-01", "2024-05-01T00:30:00+02:00", False),
        ("2024-05-02", "2024-05-01T00:30:00+02:00", True),
        ("2024-05-01T12:00:00Z", "2024-05-01T11:00:00Z", True),
        ("2024-05-01T12:00:00+02:00", "2024-05-01T11:00:00Z", False),
        ("2024-05-01T12:00:00Z", "2024-05-01T13:00:00+02:00", True),
        ("2024-05-01T12:00:00.5Z", "2024-05-01T12:00:00Z", False),
        ("2024-05-01T12:00:01Z", "2024-05-01T12:00:00.999Z", True),
        ("hier", "avant-hier", True),
        (None, "2024", False),
        ("2024", 3, False),
    ],
)
def test_later(start: Any, end: Any, expected: bool) -> None:
    assert later(start, end) is expected
    if expected and start != "hier":
        assert interval(start).low >= interval(end).low  # type: ignore[union-attr]


def test_an_invariant_is_told_in_the_words_of_the_standard(validator: Any) -> None:
    contact: Any = {"resourceType": "Patient", "contact": [{"gender": "male"}]}
    (issue,) = validator.validate(contact)
    assert issue.expression == ("Patient.contact[0]",)
    assert issue.diagnostics == ("pat-1: SHALL at least contain a contact's details or a reference to an organization.")


def test_invariants_are_told_next_to_other_defects(errors: Validate) -> None:
    broken = {
        "resourceType": "Observation",
        "status": "x",
        "code": {"text": "x"},
        "valueString": "y",
        "dataAbsentReason": {"text": "z"},
    }
    assert sorted(errors(broken)) == [("Observation", "invariant"), ("Observation.status", "code-invalid")]
