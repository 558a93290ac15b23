"""The element that tells whom a resource is about, for each type of R4: never authorship, never a performer.

Every type is in one of these tables. One that is in :data:`WITHOUT_RECORD`, and a resource without a value, belong to
no record and are closed to all but conformance clients (docs/consent/how-a-decision-is-made.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUBJECT = (
    "AdverseEvent CarePlan CareTeam ChargeItem ClinicalImpression Communication CommunicationRequest "
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
    "Task": "Task.for",
    "Basic": "Basic.subject",
    "AppointmentResponse": "AppointmentResponse.actor",
}
"""By type, the path of the element; each is a single Reference at the top of the resource."""

SEVERAL: Final[Mapping[str, str]] = {
    "Account": "Account.subject",
    "Appointment": "Appointment.participant.actor",
    "Bundle": "Bundle.entry.resource.subject",
    "Contract": "Contract.subject",
    "Group": "Group.member.entity",
    "Person": "Person.link.target",
    "Provenance": "Provenance.target",
    "Schedule": "Schedule.actor",
}
"""By type, the path of an element that may name several Patients: the resource belongs to the record of each.

Of a Bundle the Composition in its first entry counts, if it is a document. What a Provenance tells of belongs to
records, too: where its targets are no Patients, their records are looked up when it is written, and kept.
"""

SEARCHED: Final[Mapping[str, str]] = {
    **ELEMENTS,
    **{type: path for type, path in SEVERAL.items() if type != "Bundle"},
}
"""The elements that a search parameter may speak of: what is inside of a Bundle, none does."""

ABOUT: Final[Mapping[str, str]] = {
    "AppointmentResponse": "appointment",
    "CoverageEligibilityResponse": "request",
    "DocumentManifest": "content",
    "ImmunizationEvaluation": "immunizationEvent",
    "List": "entry",
    "Provenance": "target",
}
"""By type, the element by which it says something of other resources: of these hidden, nothing is left to say.

It is required; but a List may have no entry, and then says that there is nothing. Others that must point to something
still tell something without it: whom a statement is about, what was measured.
"""

ELEMENT_NAMES: Final[Mapping[str, str]] = {type: path.partition(".")[2] for type, path in ELEMENTS.items()}
"""By type, the JSON name of that element."""

GOVERN: Final = frozenset({"Consent", "CareTeam", "RelatedPerson"})
"""Resources that say who may enter the record (access: govern)."""

CONTENTS: Final = (ELEMENTS.keys() | SEVERAL.keys() | {"Binary"}) - GOVERN
"""What a record is filled with. Once deleted, it is shown to nobody, nor what it was before (R-51)."""

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

WITHOUT_RECORD: Final = frozenset(
    (
        # what they are about has no element that names a Patient
        "DeviceMetric EnrollmentResponse Linkage MessageHeader PaymentNotice PaymentReconciliation Slot SupplyRequest "
        "VerificationResult "
        # messages and questions of the protocol itself
        "OperationOutcome Parameters Subscription TestReport "
        # knowledge, evidence and products: drafts of the standard that no DMP serves
        "BiologicallyDerivedProduct CatalogEntry EffectEvidenceSynthesis Evidence EvidenceVariable MedicinalProduct "
        "MedicinalProductAuthorization MedicinalProductContraindication MedicinalProductIndication "
        "MedicinalProductIngredient MedicinalProductInteraction MedicinalProductManufactured MedicinalProductPackaged "
        "MedicinalProductPharmaceutical MedicinalProductUndesirableEffect ResearchDefinition "
        "ResearchElementDefinition ResearchStudy RiskEvidenceSynthesis SubstanceNucleicAcid SubstancePolymer "
        "SubstanceProtein SubstanceReferenceInformation SubstanceSourceMaterial SubstanceSpecification"
    ).split()
)
"""Types that belong to no record and are no directory either: closed to all but conformance clients."""

OWNED: Final = frozenset({"Binary", "Bundle"})
"""Types that a document may own, and that wait for it without a record; of Bundles the FHIR documents (ADR 0034)."""

TYPES: Final = (
    frozenset({"Patient", "AuditEvent", "Binary"}) | ELEMENTS.keys() | SEVERAL.keys() | DIRECTORY | WITHOUT_RECORD
)
"""Every resource type of R4: a Patient is its own record, a trace says its record itself, a Binary has its owner's."""
