"""By type, the search parameter of the date a list of such resources is ordered by.

The server keeps that one date as a scalar next to each resource (``on``), so that a page in its order walks one index.
A type without a line is ordered by ``_id`` and ``_lastUpdated`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_DATE: Final = (
    "AllergyIntolerance AuditEvent CarePlan CareTeam ClinicalImpression Composition Consent DiagnosticReport "
    "DocumentReference Encounter EpisodeOfCare FamilyMemberHistory Flag Immunization "
    "ImmunizationEvaluation ImmunizationRecommendation Invoice List Measure MeasureReport Observation Procedure "
    "ResearchSubject RiskAssessment Schedule SupplyRequest AdverseEvent Appointment"
)
_CREATED: Final = (
    "Claim ClaimResponse CoverageEligibilityRequest CoverageEligibilityResponse DocumentManifest "
    "ExplanationOfBenefit Media PaymentNotice PaymentReconciliation"
)
_OTHERS: Final = {
    "Account": "period",
    "Basic": "created",
    "Bundle": "timestamp",
    "ChargeItem": "occurrence",
    "Communication": "sent",
    "CommunicationRequest": "authored",
    "Condition": "recorded-date",
    "Contract": "issued",
    "DetectedIssue": "identified",
    "DeviceRequest": "authored-on",
    "Goal": "start-date",
    "ImagingStudy": "started",
    "MedicationAdministration": "effective-time",
    "MedicationDispense": "whenhandedover",
    "MedicationRequest": "authoredon",
    "MedicationStatement": "effective",
    "NutritionOrder": "datetime",
    "Patient": "birthdate",
    "Provenance": "recorded",
    "QuestionnaireResponse": "authored",
    "RequestGroup": "authored",
    "ServiceRequest": "authored",
    "Slot": "start",
    "Specimen": "collected",
    "Task": "authored-on",
    "VisionPrescription": "datewritten",
}

SORT_DATES: Final[Mapping[str, str]] = {
    **dict.fromkeys(_DATE.split(), "date"),
    **dict.fromkeys(_CREATED.split(), "created"),
    **_OTHERS,
}
"""Checked when the server starts: each is a date parameter of its type."""

_PERIODS: Final = (
    "Account CarePlan CareTeam ChargeItem DetectedIssue DiagnosticReport Encounter EpisodeOfCare Flag Media "
    "MedicationAdministration MedicationStatement Observation Procedure ResearchSubject Schedule Specimen"
)

POINTS: Final = SORT_DATES.keys() - frozenset(_PERIODS.split())
"""The types whose main date is a date, a dateTime or an instant, so that its start is never open.

Checked by `tests/unit/test_search_sort_dates.py`, and that the main date of every type is one element at most.
"""
