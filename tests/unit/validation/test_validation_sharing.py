"""What the profiles of MHD and PDSm ask: each rule broken by itself, and a right message with nothing to say."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.structure_definitions import StructureDefinitions, base_definitions
from fhir_server.fhir.outcome import Issue, Severity, fails
from fhir_server.terminology import Terminology
from fhir_server.validation.profiles.checks import ProfileChecks
from fhir_server.validation.sharing.bundle import Provided, issues_of_bundle
from fhir_server.validation.sharing.cda import NotWellFormed, issues_of_content, read
from fhir_server.validation.sharing.profiles import (
    COMPREHENSIVE,
    MINIMAL,
    PDSM_COMPREHENSIVE,
    PDSM_FOLDER,
    PDSM_PROVIDE,
    PDSM_SIMPLIFIED,
    PDSM_SUBMISSION,
    PROVIDE_MINIMAL,
    Profile,
)
from fhir_server.validation.sharing.rules import issues_of_the_dmp
from tests import pdsm
from tests.conformance.profiles.harness import definitions
from tests.pdsm import nos, with_, without

TERMINOLOGY = Terminology.load()
CHECKS = ProfileChecks(StructureDefinitions(base_definitions(), definitions().values()), load(), TERMINOLOGY)
INS = "280057505600117"
DOCUMENT = pdsm.document(INS, "Binary/1")
DOCUMENT["contained"].append({"resourceType": "RelatedPerson", "id": "source2"})
SIMPLIFIED = pdsm.simplified(INS)
SUBMISSION = pdsm.submission(INS, ["urn:uuid:1"])
FOLDER = {
    "resourceType": "List",
    "extension": [SUBMISSION["extension"][0]],
    "identifier": SUBMISSION["identifier"],
    "status": "current",
    "mode": "working",
    "title": "Suivi",
    "code": pdsm.coded(pdsm.LIST_TYPES, "folder"),
    "subject": pdsm.subject(INS),
    "date": "2026-11-20",
    "entry": [{"item": {"reference": "DocumentReference/1"}}],
}
BARE = {
    "resourceType": "DocumentReference",
    "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"},
    "status": "current",
    "content": [{"attachment": {"contentType": "text/plain", "url": "urn:uuid:1"}}],
}


def issues_of(resource: dict[str, Any], profile: Profile) -> list[Issue]:
    """What binds on write: what the profile asks, and of a document of the DMP what that asks besides."""
    found = [one for one in CHECKS.issues(resource, [profile.url]) if one.severity is not Severity.INFORMATION]
    is_document = profile.is_french and profile.type == "DocumentReference"
    return found + (issues_of_the_dmp(resource, TERMINOLOGY) if is_document else [])


def expressions(resource: dict[str, Any], profile: Profile) -> list[str]:
    """Where the errors are."""
    found = issues_of(resource, profile)
    return [one.expression[0] for one in found if one.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("resource", "profile"),
    [
        (DOCUMENT, PDSM_COMPREHENSIVE),
        (DOCUMENT, COMPREHENSIVE),
        (SIMPLIFIED, PDSM_SIMPLIFIED),
        (SUBMISSION, PDSM_SUBMISSION),
        (FOLDER, PDSM_FOLDER),
        (BARE, MINIMAL),
    ],
    ids=lambda value: value.name if isinstance(value, Profile) else "",
)
def test_a_right_resource_has_nothing_wrong(resource: dict[str, Any], profile: Profile) -> None:
    assert issues_of(resource, profile) == []


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("masterIdentifier", "DocumentReference.masterIdentifier"),
        ("masterIdentifier.system", "DocumentReference.masterIdentifier.system"),
        ("masterIdentifier.value", "DocumentReference.masterIdentifier.value"),
        ("type", "DocumentReference.type"),
        ("category", "DocumentReference.category"),
        ("subject", "DocumentReference.subject"),
        ("date", "DocumentReference.date"),
        ("author", "DocumentReference.author"),
        ("custodian", "DocumentReference.custodian"),
        ("securityLabel", "DocumentReference.securityLabel"),
        ("content.0.format", "DocumentReference.content[0].format"),
        ("content.0.attachment.contentType", "DocumentReference.content[0].attachment.contentType"),
        ("content.0.attachment.language", "DocumentReference.content[0].attachment.language"),
        ("content.0.attachment.url", "DocumentReference.content[0].attachment.url"),
        ("content.0.attachment.size", "DocumentReference.content[0].attachment.size"),
        ("content.0.attachment.hash", "DocumentReference.content[0].attachment.hash"),
        ("content.0.attachment.title", "DocumentReference.content[0].attachment.title"),
        ("content.0.attachment.creation", "DocumentReference.content[0].attachment.creation"),
        ("context", "DocumentReference.context"),
        ("context.period", "DocumentReference.context.period"),
        ("context.period.start", "DocumentReference.context.period.start"),
        ("context.facilityType", "DocumentReference.context.facilityType"),
        ("context.practiceSetting", "DocumentReference.context.practiceSetting"),
        ("context.sourcePatientInfo", "DocumentReference.context.sourcePatientInfo"),
    ],
)
def test_what_is_missing_is_named(path: str, where: str) -> None:
    found = expressions(without(DOCUMENT, path), PDSM_COMPREHENSIVE)
    assert where in found


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("docStatus", "final", "DocumentReference.docStatus"),
        ("status", "entered-in-error", "DocumentReference.status"),
        ("content.0.attachment.data", "AAAA", "DocumentReference.content[0].attachment.data"),
        ("author.0.reference", "Practitioner/1", "DocumentReference.author[0].reference"),
        ("authenticator", {"reference": "Practitioner/1"}, "DocumentReference.authenticator.reference"),
        (
            "context.sourcePatientInfo.reference",
            "Patient/1",
            "DocumentReference.context.sourcePatientInfo.reference",
        ),
        ("category", [nos("TRE_A03-ClasseDocument", "10")] * 2, "DocumentReference.category"),
        ("category", [nos("TRE_A03-ClasseDocument", "31")], "DocumentReference.category[0]"),
        ("category", [pdsm.coded("http://loinc.org", "10")], "DocumentReference.category[0]"),
        ("type", pdsm.coded("http://loinc.org", "1-1"), "DocumentReference.type"),
        ("type", {"text": "Lettre"}, "DocumentReference.type"),
        ("content.0.format.code", "pdf", "DocumentReference.content[0].format"),
        ("content.0.attachment.contentType", "text/html", "DocumentReference.content[0].attachment.contentType"),
        ("context.facilityType", nos("TRE_R02-SecteurActivite", "SA00"), "DocumentReference.context.facilityType"),
        ("context.practiceSetting", nos("TRE_A01-CadreExercice", "X"), "DocumentReference.context.practiceSetting"),
        ("securityLabel", [pdsm.coded(pdsm.CONFIDENTIALITY, "U")], "DocumentReference.securityLabel[0].coding[0]"),
        ("masterIdentifier.value", "1.2.3", "DocumentReference.masterIdentifier.value"),
        ("masterIdentifier.system", "urn:chu", "DocumentReference.masterIdentifier.system"),
        (
            "extension",
            [{"url": f"{pdsm.PDSM}pdsm-ext-is-archived", "valueString": "true"}],
            "DocumentReference.extension[0].value",
        ),
        ("author.0.reference", "#source2", "DocumentReference.author[0].reference"),
        *(
            ("content.0.attachment.url", url, "DocumentReference.content[0].attachment.url")
            for url in (
                "javascript:alert(1)",
                "data:text/html,x",
                "file:///x",
                "../Binary/1",
                "Observation/1",
                "Binary/",
            )
        ),
        ("modifierExtension", [{"url": "http://example.org"}], "DocumentReference.modifierExtension"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, where: str) -> None:
    assert where in expressions(with_(DOCUMENT, path, value), PDSM_COMPREHENSIVE)


def test_every_defect_is_told_at_once_with_its_profile() -> None:
    broken = without(without(DOCUMENT, "custodian"), "date")
    found = issues_of(broken, PDSM_COMPREHENSIVE)
    assert [one.expression[0] for one in found] == ["DocumentReference.date", "DocumentReference.custodian"]
    assert [one.rule for one in found] == ["min", "min"]
    assert all(one.profile.startswith(PDSM_COMPREHENSIVE.url) for one in found)


def test_labels_of_other_systems_may_stand_beside() -> None:
    labels = [*DOCUMENT["securityLabel"], pdsm.coded("http://example.org/labels", "SENSIBLE")]
    assert expressions({**DOCUMENT, "securityLabel": labels}, PDSM_COMPREHENSIVE) == []


def test_the_mistyped_system_of_the_guide_is_reported() -> None:
    mistyped = pdsm.TRE_A07.replace("Statut", "Status")
    labels = [*DOCUMENT["securityLabel"], pdsm.coded(mistyped, "N")]
    found = issues_of({**DOCUMENT, "securityLabel": labels}, PDSM_COMPREHENSIVE)
    assert all(one.severity is Severity.WARNING for one in found)
    assert ("DocumentReference.securityLabel[1].coding[0].system",) in [one.expression for one in found]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("content.0.attachment.data", "DocumentReference.content[0].attachment.data"),
        ("content.0.attachment.title", "DocumentReference.content[0].attachment.title"),
        ("custodian", "DocumentReference.custodian"),
        ("author", "DocumentReference.author"),
        ("date", "DocumentReference.date"),
        ("subject", "DocumentReference.subject"),
    ],
)
def test_what_a_simplified_publish_misses(path: str, where: str) -> None:
    assert expressions(without(SIMPLIFIED, path), PDSM_SIMPLIFIED) == [where]


def test_a_simplified_publish_brings_its_document_along() -> None:
    with_url = with_(SIMPLIFIED, "content.0.attachment.url", "Binary/1")
    assert expressions(with_url, PDSM_SIMPLIFIED) == ["DocumentReference.content[0].attachment.url"]


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("identifier", "List.identifier"),
        ("code", "List.code"),
        ("date", "List.date"),
        ("subject", "List.subject"),
        ("source", "List.source"),
        ("contained", "List.contained"),
        ("extension.0", "List.extension"),
        ("extension.1", "List.extension"),
    ],
)
def test_what_a_submission_set_misses(path: str, where: str) -> None:
    assert where in expressions(without(SUBMISSION, path), PDSM_SUBMISSION)


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        ("mode", "snapshot", "List.mode"),
        ("code", pdsm.coded(pdsm.LIST_TYPES, "folder"), "List.code"),
        ("source.reference", "Practitioner/1", "List.source.reference"),
        ("emptyReason", {"text": "vide"}, "List.emptyReason"),
        ("entry.0.item.reference", "Observation/1", "List.entry[0].item.reference"),
        ("entry.0.date", "2026-11-20", "List.entry[0].date"),
    ],
)
def test_what_is_wrong_in_a_submission_set(path: str, value: Any, where: str) -> None:
    assert where in expressions(with_(SUBMISSION, path, value), PDSM_SUBMISSION)


def test_a_folder_holds_documents() -> None:
    assert expressions(without(FOLDER, "entry"), PDSM_FOLDER) == ["List.entry"]
    wrong = with_(FOLDER, "entry.0.item.reference", "List/1")
    assert expressions(wrong, PDSM_FOLDER) == ["List.entry[0].item.reference"]


# The Bundle


def entries(bundle: dict[str, Any]) -> list[Provided]:
    return [
        Provided(
            position,
            one["request"]["method"],
            one["request"]["url"].partition("/")[0],
            one.get("fullUrl"),
            one["resource"],
        )
        for position, one in enumerate(bundle["entry"])
    ]


def of_bundle(bundle: dict[str, Any], provide: Any = PDSM_PROVIDE) -> list[str]:
    return [one.expression[0] for one in issues_of_bundle(bundle, entries(bundle), provide)]


def test_a_right_bundle_has_nothing_wrong() -> None:
    assert of_bundle(pdsm.provided(INS, documents=3)) == []
    assert of_bundle(pdsm.provided(INS), PROVIDE_MINIMAL) == []


def test_what_is_wrong_in_a_bundle() -> None:
    right = pdsm.provided(INS)
    assert of_bundle(without(right, "meta")) == ["Bundle.meta.profile"]
    assert "Bundle.entry" in of_bundle({**right, "entry": right["entry"][1:]})
    assert "Bundle.entry" in of_bundle({**right, "entry": [right["entry"][0], *right["entry"]]})
    assert of_bundle({**right, "entry": right["entry"][:1]}) == ["Bundle.entry"]
    assert of_bundle(with_(right, "entry.1.fullUrl", "urn:uuid:2")) == ["Bundle.entry[1].fullUrl"]
    assert of_bundle({**right, "entry": right["entry"][:2]}) == ["Bundle.entry[1].resource.content[0].attachment.url"]
    observation = pdsm.entry({"resourceType": "Observation"})
    assert of_bundle({**right, "entry": [*right["entry"], observation]}) == ["Bundle.entry[3].request"]
    assert of_bundle({**right, "entry": [*right["entry"], observation]}, PROVIDE_MINIMAL) == []


def test_a_bundle_patches_only_to_supersede() -> None:
    right = pdsm.provided(INS)
    patch = pdsm.entry(pdsm.superseding(), "PATCH", "DocumentReference/1")
    assert of_bundle({**right, "entry": [*right["entry"], patch]}) == []
    wrong = with_(patch, "resource.parameter.0.part.2.valueCode", "current")
    assert of_bundle({**right, "entry": [*right["entry"], wrong]}) == ["Bundle.entry[3].resource"]
    two = with_(patch, "resource.parameter", patch["resource"]["parameter"] * 2)
    assert of_bundle({**right, "entry": [*right["entry"], two]}) == ["Bundle.entry[3].resource"]


# CDA

CDA = f"""<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
  <code code="11488-4" codeSystem="2.16.840.1.113883.6.1"/>
  <effectiveTime value="20261120093000+0100"/>
  <recordTarget><patientRole>
    <id root="1.2.250.1.213.1.4.10" extension="{INS}"/>
    <patient><id root="1.2.250.1.213.1.4.10" extension="1"/></patient>
  </patientRole></recordTarget>
  <author><assignedAuthor><id root="1.2.250.1.71.4.2.1" extension="889900000002"/></assignedAuthor></author>
  <component><author><assignedAuthor><id root="1.2" extension="3"/></assignedAuthor></author></component>
</ClinicalDocument>"""
WHERE = "DocumentReference.content[0].attachment"


def test_the_header_of_a_cda_document_is_read() -> None:
    header = read(CDA.encode())
    assert header.is_cda
    assert header.patients == {f"ins|{INS}"}
    assert header.authors == {"rpps|89900000002"}
    assert (header.code, header.day) == ("11488-4", "20261120")


def test_a_cda_document_that_says_the_same_is_not_spoken_of() -> None:
    assert issues_of_content(CDA.encode(), DOCUMENT, {f"ins|{INS}"}, WHERE) == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (f'extension="{INS}"', 'extension="162031305500201"', "DocumentReference.subject"),
        ('code="11488-4"', 'code="34112-3"', "DocumentReference.type"),
        ("889900000002", "889900000003", "DocumentReference.author"),
        ("20261120093000", "20261119093000", f"{WHERE}.creation"),
    ],
)
def test_a_cda_document_that_says_otherwise_is_reported(old: str, new: str, where: str) -> None:
    found = issues_of_content(CDA.replace(old, new, 1).encode(), DOCUMENT, {f"ins|{INS}"}, WHERE)
    assert [(one.severity, one.expression) for one in found] == [(Severity.WARNING, (where,))]


@pytest.mark.parametrize(
    "text",
    [
        "<ClinicalDocument>",
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "<a>&undefined;</a>",
        "",
        "\x00",
        '<?xml version="1.0" encoding="UTF-16"?><a/>',
    ],
)
def test_what_is_no_xml_is_an_error(text: str) -> None:
    with pytest.raises(NotWellFormed):
        read(text.encode())
    assert fails(issues_of_content(text.encode(), DOCUMENT, (), WHERE))


def test_other_xml_is_left_alone() -> None:
    assert issues_of_content(b"<svg/>", DOCUMENT, {f"ins|{INS}"}, WHERE) == []
    assert not read(b'<ClinicalDocument xmlns="urn:other"/>').is_cda
