"""The searches of IHE MHD and PDSm: ITI-66 (lists) and ITI-67 (documents), each parameter on published examples.

https://profiles.ihe.net/ITI/MHD/ITI-66.html · https://profiles.ihe.net/ITI/MHD/ITI-67.html ·
https://interop.esante.gouv.fr/ig/fhir/pdsm/ · docs/interactions/iti-66.md, docs/interactions/iti-67.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.http.searching import INS_TEST, STRICT, Pair, found, keys, searchset, stored
from tests.served import Served

EXAMPLES: Final = Path(__file__).parent.parent / "examples" / "published"
INS: Final = "180017505600103"
LOINC: Final = "http://loinc.org"
SNOMED: Final = "http://snomed.info/sct"
URI: Final = "urn:ietf:rfc:3986"
NOS: Final = "https://mos.esante.gouv.fr/NOS/"
RPPS: Final = "https://rpps.esante.gouv.fr"
LISTS: Final = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
ARCHIVED: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived"


def published(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return read


def adapted() -> dict[str, Any]:
    """The document of PDSm as its profile asks for it: the author and the authenticator are contained.

    The published example contains a Practitioner and points to a role elsewhere; here the role is contained, too.
    """
    document = published("pdsm-DocumentReference")
    role, structure = published("pdsm-List-SubmissionSet")["contained"]
    (person,) = document["contained"]
    return {
        **document,
        "id": "pdsm-contained",
        "contained": [person, {**role, "practitioner": {"reference": f"#{person['id']}"}}, structure],
        "masterIdentifier": {"system": URI, "value": "urn:uuid:0d6d8a5b-0c0f-4ac4-9a86-8c1c1a9d5d01"},
        "identifier": [{"system": URI, "value": "urn:uuid:0d6d8a5b-0c0f-4ac4-9a86-8c1c1a9d5d02"}],
        "extension": [{"url": ARCHIVED, "valueBoolean": True}],
        "author": [{"reference": f"#{role['id']}"}],
        "authenticator": {"reference": f"#{person['id']}"},
        "relatesTo": [
            {"code": "replaces", "target": {"reference": "DocumentReference/exemple-pdsm-documentreference"}}
        ],
    }


def by_a_patient() -> dict[str, Any]:
    """A submission set that the patient made, contained as its source."""
    patient = {"resourceType": "Patient", "id": "p", "name": [{"family": "Martin", "given": ["Claire"]}]}
    return {
        **published("pdsm-List-SubmissionSet"),
        "id": "by-a-patient",
        "contained": [patient],
        "extension": [],
        "identifier": [{"system": URI, "value": "urn:uuid:0d6d8a5b-0c0f-4ac4-9a86-8c1c1a9d5d03"}],
        "source": {"reference": "#p"},
    }


def world() -> list[dict[str, Any]]:
    patients = [
        {
            "resourceType": "Patient",
            "id": id,
            "identifier": [{"system": INS_TEST, "value": ins}],
            "name": [{"text": id}],
        }
        for id, ins in (("fr-patient-123", INS), ("ex-patient", "190017505600770"))
    ]
    pdsm = published("pdsm-DocumentReference")
    (person,) = pdsm["contained"]
    role, structure = published("pdsm-List-SubmissionSet")["contained"]
    empty = {key: value for key, value in by_a_patient().items() if key != "extension"}
    return [
        *patients,
        # what the examples point to
        {**person, "id": "practitioner-example"},
        structure,
        {**role, "organization": {"reference": "Organization/org-example"}},
        pdsm,
        published("pdsm-DocumentReference-simplified"),
        adapted(),
        published("mhd-DocumentReference"),
        published("pdsm-List-SubmissionSet"),
        published("pdsm-List-Folder"),
        published("mhd-List-SubmissionSet"),
        published("mhd-List-Folder"),
        empty,
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


PDSM: Final = "exemple-pdsm-documentreference"
SIMPLE: Final = "PDSmSimplifiedExample"
HELD: Final = "pdsm-contained"
MHD: Final = "ex-DocumentReferenceComprehensive"
OF_PATIENT: Final = {PDSM, SIMPLE, HELD}

ITI_67: Final[list[tuple[str, str, set[str]]]] = [
    ("patient", "Patient/fr-patient-123", OF_PATIENT),
    ("patient", "fr-patient-123", OF_PATIENT),
    ("patient.identifier", f"{INS_TEST}|{INS}", OF_PATIENT),
    ("status", "current", {*OF_PATIENT, MHD}),
    ("status", "superseded", set()),
    ("type", f"{LOINC}|34133-9", {PDSM, HELD}),
    ("type", "15507-7,55107-7", {SIMPLE, MHD}),
    ("category", f"{NOS}TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument|10", OF_PATIENT),
    ("category", f"{LOINC}|11369-6", {MHD}),
    ("facility", f"{NOS}TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite|SA01", {PDSM, HELD}),
    ("facility", f"{SNOMED}|82242000", {MHD}),
    ("setting", f"{NOS}TRE_A01-CadreExercice/FHIR/TRE-A01-CadreExercice|ETABLISSEMENT", OF_PATIENT),
    ("setting", f"{SNOMED}|408467006", {MHD}),
    # idUnique and idFiche
    ("identifier", f"{URI}|urn:uuid:12345678-abcd-1234-abcd-1234567890ab", {PDSM}),
    ("identifier", f"{URI}|urn:uuid:0d6d8a5b-0c0f-4ac4-9a86-8c1c1a9d5d01", {HELD}),
    ("identifier", f"{URI}|urn:uuid:0d6d8a5b-0c0f-4ac4-9a86-8c1c1a9d5d02", {HELD}),
    ("identifier", "urn:uuid:0c287d32-01e3-4d87-9953-9fcc9404eb21", {MHD}),
    ("masterIdentifier", f"{URI}|urn:uuid:0d6d8a5b-0c0f-4ac4-9a86-8c1c1a9d5d02", set()),
    ("creation", "2025-04-25", {PDSM, HELD}),
    ("creation", "ge2025-04-26", {SIMPLE}),
    ("creation", "lt2022", {MHD}),
    ("security-label", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|N", {MHD}),
    ("security-label", "N", {PDSM, HELD, MHD}),
    ("isArchived", "true", {HELD}),
    ("isArchived", "false", set()),
    ("isArchived:not", "true", {PDSM, SIMPLE, MHD}),
    ("period-start", "2025-04-20", {PDSM, HELD}),
    ("period-start", "lt2025", {MHD}),
    ("period-end", "ge2025-04-25", {PDSM, HELD}),
    ("period-end", "2021-01-01", {MHD}),
    ("period", "ge2025-04-01", {PDSM, HELD}),
    ("period", "2025-04", {PDSM, HELD}),
    ("format", "urn:ihe:lab:xd-lab:2008", {PDSM, HELD}),
    ("format", "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode|urn:ihe:iti:xds-sd:text:2008", {MHD}),
    ("event", "http://terminology.hl7.org/CodeSystem/v3-ActCode|ACCTRECEIVABLE", {MHD}),
    # the referenceIdList
    (
        "related:identifier",
        f"{URI}|urn:oid:1.2.840.113556.1.8000.2554.17917.46600.21181.17878.33419.62048.57128.2759",
        {MHD},
    ),
    ("relatesto", f"DocumentReference/{PDSM}", {HELD}),
    ("relatesto", "DocumentReference/ex-documentreference", {MHD}),
    ("relation", "replaces", {HELD}),
    ("relation", "http://hl7.org/fhir/document-relationship-type|appends", {MHD}),
    ("relationship", f"replaces$DocumentReference/{PDSM}", {HELD}),
    # the author, stored or contained
    ("author", "PractitionerRole/practitionerrole-example", {PDSM, SIMPLE}),
    ("author.family", "Leclerc", OF_PATIENT),
    ("author.given", "sophie", OF_PATIENT),
    ("author.given", "paul", set()),
    ("author.identifier", f"{RPPS}|1011848351", OF_PATIENT),
    ("author:PractitionerRole.practitioner.identifier", f"{RPPS}|10101201234", OF_PATIENT),
    ("author:PractitionerRole.organization.identifier", "urn:oid:1.2.250.1.71.4.2.2|2264403106", OF_PATIENT),
    ("author.telecom", "JohnMoehrke@gmail.com", {MHD}),
    ("authenticator.family", "Leclerc", {SIMPLE, HELD}),
    ("authenticator.identifier", f"{RPPS}|10101201234", {HELD}),
    ("custodian", "Organization/org-example", OF_PATIENT),
    ("date", "2025-04-30", {SIMPLE}),
    ("date", "ge2025-04-29T11:00:00Z", OF_PATIENT),
    ("description", "compte rendu", {PDSM, HELD}),
    ("language", "fr-FR", OF_PATIENT),
    ("contenttype", "application/pdf", OF_PATIENT),
    ("_lastUpdated", "ge2020", {*OF_PATIENT, MHD}),
]

SET: Final = "ExampleSubmissionSet"
FOLDER: Final = "ExampleFolder"
MHD_SET: Final = "aaaaaaaa-bbbb-cccc-dddd-e00555500001"
MHD_FOLDER: Final = "ex-compFolder"
OWN: Final = "by-a-patient"

ITI_66: Final[list[tuple[str, str, set[str]]]] = [
    ("patient", "Patient/fr-patient-123", {SET, FOLDER, OWN}),
    ("patient.identifier", f"{INS_TEST}|{INS}", {SET, FOLDER, OWN}),
    ("code", "submissionset", {SET, MHD_SET, OWN}),
    ("code", f"{LISTS}|folder", {FOLDER, MHD_FOLDER}),
    ("status", "current", {SET, FOLDER, MHD_SET, MHD_FOLDER, OWN}),
    ("status", "retired", set()),
    ("date", "ge2025-04-30", {SET, OWN}),
    ("date", "2004-12", {MHD_FOLDER}),
    ("designationType", f"{NOS}TRE_R02-SecteurActivite/FHIR/TRE-R02-SecteurActivite|SA05", {SET}),
    ("designationType", f"{SNOMED}|80146002", {FOLDER}),
    ("designationType", "225728007", {MHD_SET, MHD_FOLDER}),
    ("identifier", f"{URI}|urn:uuid:11111111-aaaa-bbbb-cccc-222222222222", {SET}),
    ("identifier", f"{URI}|urn:uuid:77777777-dddd-eeee-ffff-888888888888", {FOLDER}),
    ("identifier", "urn:oid:1.2.840.113556.1.8000.2554.58783.21864.3474.19410.44358.58254.41281.46349", {MHD_SET}),
    ("isArchived", "false", {SET}),
    ("title", "dossier de suivi", {SET, OWN}),
    ("title:contains", "diabete", {FOLDER}),
    ("sourceId", "urn:oid:1.2.250.1.213.1.1.1|SRC-01", {SET}),
    ("sourceId", "urn:oid:1.2.3.4", {MHD_SET}),
    # the source is contained
    ("source:missing", "false", {SET, MHD_SET, OWN}),
    ("source.family", "leclerc", {SET}),
    ("source.given", "Sophie", {SET}),
    ("source.family", "martin", {OWN}),
    ("source:Patient.given", "claire", {OWN}),
    ("source:Patient.family", "Martin", {OWN}),
    ("source:Patient.family", "leclerc", set()),
    ("source:PractitionerRole.name", "leclerc", {SET}),
    ("source:PractitionerRole.name", "sophie", {SET}),
    ("source:PractitionerRole.practitioner:Practitioner.family", "leclerc", {SET}),
    ("source:PractitionerRole.identifier", f"{RPPS}|1011848351", {SET}),
    ("source:Practitioner.email", "iti@ihe.net", {MHD_SET}),
    ("authorOrg.name", "hopital intercommunal", {SET}),
    ("authorOrg.name", "My Hospital", {MHD_SET}),
    ("authorOrg.identifier", "https://sirene.fr|264403106", {SET}),
    ("item", f"DocumentReference/{PDSM}", {SET, FOLDER, OWN}),
    ("_lastUpdated", "ge2020", {SET, FOLDER, MHD_SET, MHD_FOLDER, OWN}),
]


def asked(client: httpx.Client, type: str, everything: set[str], *pairs: Pair) -> set[str]:
    """What is found among these."""
    bundle = found(client, type, ("_id", ",".join(sorted(everything))), *pairs)
    return {key.partition("/")[2] for key in keys(bundle)}


@pytest.mark.parametrize(("name", "value", "expected"), ITI_67, ids=[f"{name}={value}" for name, value, _ in ITI_67])
def test_each_parameter_of_iti_67(client: httpx.Client, name: str, value: str, expected: set[str]) -> None:
    assert asked(client, "DocumentReference", {*OF_PATIENT, MHD}, (name, value)) == expected


@pytest.mark.parametrize(("name", "value", "expected"), ITI_66, ids=[f"{name}={value}" for name, value, _ in ITI_66])
def test_each_parameter_of_iti_66(client: httpx.Client, name: str, value: str, expected: set[str]) -> None:
    assert asked(client, "List", {SET, FOLDER, MHD_SET, MHD_FOLDER, OWN}, (name, value)) == expected


@pytest.mark.parametrize(("type", "of_guide"), [("DocumentReference", ITI_67), ("List", ITI_66)])
def test_the_parameters_of_the_guide_are_declared(
    client: httpx.Client, type: str, of_guide: list[tuple[str, str, set[str]]]
) -> None:
    (resource,) = [one for one in client.get("metadata").json()["rest"][0]["resource"] if one["type"] == type]
    declared = {one["name"] for one in resource["searchParam"]}
    assert {name.partition(".")[0].partition(":")[0] for name, _, _ in of_guide} <= declared | {"_lastUpdated"}


@pytest.mark.parametrize("type", ["DocumentReference", "List"])
def test_by_get_and_by_post_in_pages_and_orders(client: httpx.Client, type: str) -> None:
    pairs = {"patient.identifier": f"{INS_TEST}|{INS}", "status": "current", "_count": "2", "_sort": "-date"}
    by_get = searchset(client.get(type, params=pairs, headers=STRICT))
    by_post = searchset(client.post(f"{type}/_search", data=pairs, headers=STRICT))
    assert keys(by_get) == keys(by_post)
    assert len(keys(by_get)) == 2
    (following,) = [one["url"] for one in by_get["link"] if one["relation"] == "next"]
    assert len(keys(searchset(client.get(following)))) == 1
    dates = [entry["resource"]["date"] for entry in by_get["entry"]]
    assert dates == sorted(dates, reverse=True)


def test_a_list_comes_with_its_documents(client: httpx.Client) -> None:
    pairs = [("patient", "fr-patient-123"), ("code", "submissionset"), ("status", "current"), ("_include", "List:item")]
    assert keys(found(client, "List", *pairs), "include") == [f"DocumentReference/{PDSM}"]
    back = [("patient", "fr-patient-123"), ("_id", PDSM), ("_revinclude", "List:item")]
    assert set(keys(found(client, "DocumentReference", *back), "include")) == {
        f"List/{one}" for one in (SET, FOLDER, OWN)
    }


def test_without_a_status_what_is_superseded_is_found_too(client: httpx.Client) -> None:
    """ITI-67 has the client ask for a status; a search of R4 without one leaves nothing out."""
    old = {**published("pdsm-DocumentReference-simplified"), "id": "pdsm-old", "status": "superseded"}
    with stored(client, [old]):
        everything = {*OF_PATIENT, "pdsm-old"}
        assert asked(client, "DocumentReference", everything) == everything
        assert asked(client, "DocumentReference", everything, ("status", "current")) == OF_PATIENT
        assert asked(client, "DocumentReference", everything, ("status", "superseded")) == {"pdsm-old"}
        assert asked(client, "DocumentReference", everything, ("status", "current,superseded")) == everything
