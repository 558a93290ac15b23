"""The element that tells whom a resource is about, by type: never authorship, never a performer.

A type without a line, or a resource without a value, belongs to no record and is closed to all but conformance clients
(docs/consent/how-a-decision-is-made.md). A resource about several people waits for the issue on consent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUBJECT = (
    "Account AdverseEvent CarePlan CareTeam ChargeItem ClinicalImpression Communication CommunicationRequest "
    "Composition Condition DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest "
    "DocumentReference Encounter Flag Goal GuidanceResponse ImagingStudy Invoice List MeasureReport Media "
    "MedicationAdministration MedicationDispense MedicationRequest MedicationStatement Observation Procedure "
    "QuestionnaireResponse RequestGroup RiskAssessment ServiceRequest Specimen"
)
_PATIENT = (
    "AllergyIntolerance BodyStructure Claim ClaimResponse Consent CoverageEligibilityRequest "
    "CoverageEligibilityResponse DetectedIssue Device EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory "
    "Immunization ImmunizationEvaluation ImmunizationRecommendation MolecularSequence NutritionOrder "
    "RelatedPerson SupplyDelivery VisionPrescription"
)

ELEMENTS: Final[Mapping[str, str]] = {
    **{type: f"{type}.subject" for type in _SUBJECT.split()},
    **{type: f"{type}.patient" for type in _PATIENT.split()},
    "Coverage": "Coverage.beneficiary",
    "EnrollmentRequest": "EnrollmentRequest.candidate",
    "ResearchSubject": "ResearchSubject.individual",
}
"""By type, the path of the element; each is a single Reference at the top of the resource."""

ELEMENT_NAMES: Final[Mapping[str, str]] = {type: path.partition(".")[2] for type, path in ELEMENTS.items()}
"""By type, the JSON name of that element."""

GOVERN: Final = frozenset({"Consent", "CareTeam", "RelatedPerson"})
"""Resources that say who may enter the record (access: govern)."""

DIRECTORY: Final = frozenset(
    (
        "ActivityDefinition CapabilityStatement ChargeItemDefinition CodeSystem CompartmentDefinition ConceptMap "
        "DeviceDefinition Endpoint EventDefinition ExampleScenario GraphDefinition HealthcareService "
        "ImplementationGuide InsurancePlan Library Location Measure Medication MedicationKnowledge "
        "MessageDefinition NamingSystem ObservationDefinition OperationDefinition Organization "
        "OrganizationAffiliation PlanDefinition Practitioner PractitionerRole Questionnaire SearchParameter "
        "SpecimenDefinition StructureDefinition StructureMap Substance TerminologyCapabilities TestScript ValueSet"
    ).split()
)
"""Directory and definitional types: about nobody's health."""
