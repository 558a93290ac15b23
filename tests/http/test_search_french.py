"""French names, and the search parameters of the French guides: PDSm, MHD, GAP, and the server's own.

https://hl7.org/fhir/R4/search.html#string · https://interop.esante.gouv.fr/ig/fhir/pdsm/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.http.searching import INS_TEST, TAGS, Pair, coded, found, names, pointer, stored, tagged
from tests.served import Served

WORLD = "french"
TAG = ("_tag", f"{TAGS}|{WORLD}")
PATIENT = pointer("Patient", f"{WORLD}-helene")
ARCHIVED = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived"
IHE = "https://profiles.ihe.net/ITI/MHD/StructureDefinition"

NAMES = {
    "helene": ("D’Almeida", "Hélène"),
    "laetitia": ("D'ALMEIDA", "Lœtitia"),
    "jean": ("Lefèvre-O’Brien", "Jean-Noël"),
    "noel": ("Noe\u0308l", "Franc\u0327ois"),  # letters and their accents as two characters
    "oeuvrard": ("Œuvrard", "Anaïs"),
    "strasse": ("Weiß", "Jürgen"),
    "dupond": ("Dupond", "Aïcha"),
    "dupont": ("DUPONT", "Zoë"),
}


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def document(id: str, *, archived: bool | None = None, **members: Any) -> dict[str, Any]:
    extension = [{"url": ARCHIVED, "valueBoolean": archived}] if archived is not None else None
    return made("DocumentReference", id, subject=PATIENT, extension=extension, **members)


def appointment(id: str, start: str, **members: Any) -> dict[str, Any]:
    participant = [{"actor": PATIENT, "status": "accepted"}]
    end = start.replace("09:", "10:", 1)
    return made("Appointment", id, status="booked", start=start, end=end, participant=participant, **members)


def world() -> list[dict[str, Any]]:
    return [
        *(
            made(
                "Patient",
                id,
                identifier=[{"system": INS_TEST, "value": f"19001750560047{at}"}],
                name=[{"family": family, "given": [given]}],
                address=[{"line": ["12 rue de l’Église"], "city": "Saint-Étienne", "postalCode": "42000"}]
                if at == 0
                else None,
            )
            for at, (id, (family, given)) in enumerate(NAMES.items())
        ),
        document("archived", archived=True),
        document(
            "current",
            archived=False,
            masterIdentifier={"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999.1"},
            context={"period": {"start": "2026-03-01T08:00:00+01:00", "end": "2026-03-05"}},
            content=[{"attachment": {"contentType": "text/plain", "creation": "2026-03-04T10:00:00+01:00"}}],
        ),
        document("plain"),
        document("open", context={"period": {"start": "2026-04-01"}}),
        made(
            "List",
            "folder",
            subject=PATIENT,
            extension=[
                {"url": ARCHIVED, "valueBoolean": True},
                {"url": f"{IHE}/ihe-designationType", "valueCodeableConcept": coded("11369-6", "http://loinc.org")},
                {"url": f"{IHE}/ihe-sourceId", "valueIdentifier": {"system": "urn:sources", "value": "17"}},
                {"url": f"{IHE}/ihe-authorOrg", "valueReference": pointer("Organization", f"{WORLD}-org")},
            ],
        ),
        made("List", "bare", subject=PATIENT),
        made("Organization", "org", name="Clinique de l’Étoile"),
        appointment(
            "early", "2026-06-01T09:00:00+02:00", created="2026-05-02", comment="Suivi de l’asthme", priority=1
        ),
        appointment("late", "2026-06-03T09:00:00+02:00", created="2026-05-30", description="Bilan annuel", priority=5),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, *pairs: Pair) -> set[str]:
    """What is found in this world."""
    return set(names(found(client, type, TAG, *pairs), WORLD))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("given", "helene", {"helene"}),
        ("given", "HÉLÈNE", {"helene"}),
        ("given", "He\u0301le", {"helene"}),
        ("given:exact", "Hélène", {"helene"}),
        ("given:exact", "Helene", set()),
        ("given", "loetitia", {"laetitia"}),
        ("given", "Lœtitia", {"laetitia"}),
        ("given", "LŒT", {"laetitia"}),
        ("given:contains", "ŒTI", {"laetitia"}),
        ("family", "oeuv", {"oeuvrard"}),
        ("family", "d'almeida", {"helene", "laetitia"}),
        ("family", "D’Almeida", {"helene", "laetitia"}),
        ("family", "d`almeida", {"helene", "laetitia"}),
        ("family:exact", "D'ALMEIDA", {"laetitia"}),
        ("family:exact", "D’Almeida", {"helene"}),
        ("family:contains", "almeida", {"helene", "laetitia"}),
        ("family", "lefevre-o'brien", {"jean"}),
        ("family:contains", "o’brien", {"jean"}),
        ("given", "jean-noel", {"jean"}),
        ("given", "anais", {"oeuvrard"}),
        ("given", "francois", {"noel"}),
        ("given", "François", {"noel"}),
        ("family", "noël", {"noel"}),
        ("name", "noel", {"noel"}),
        ("family", "weiss", {"strasse"}),
        ("given", "jurgen", {"strasse"}),
        ("given", "zoe,aicha", {"dupond", "dupont"}),
        ("address", "saint-etienne", {"helene"}),
        ("address", "12 rue de l'eglise", {"helene"}),
        ("address-city:contains", "ÉTIENNE", {"helene"}),
        ("address-postalcode", "42", {"helene"}),
        # by sound
        ("phonetic", "Dupon", {"dupond", "dupont"}),
        ("phonetic", "Dupont", {"dupond", "dupont"}),
        ("phonetic", "Elène", {"helene"}),
    ],
)
def test_a_name_is_found_as_people_type_it(client: httpx.Client, name: str, value: str, expected: set[str]) -> None:
    assert asked(client, "Patient", (name, value)) == expected


def test_names_are_sorted_without_case_and_accents(client: httpx.Client) -> None:
    listed = names(found(client, "Patient", TAG, ("_sort", "family,given")), WORLD)
    assert listed == ["helene", "laetitia", "dupond", "dupont", "jean", "noel", "oeuvrard", "strasse"]


@pytest.mark.parametrize(
    ("type", "name", "value", "expected"),
    [
        ("DocumentReference", "isArchived", "true", {"archived"}),
        ("DocumentReference", "isArchived", "false", {"current"}),
        ("DocumentReference", "isArchived:not", "true", {"current", "plain", "open"}),
        ("DocumentReference", "isArchived:missing", "true", {"plain", "open"}),
        ("DocumentReference", "period-start", "2026-03-01", {"current"}),
        ("DocumentReference", "period-start", "ge2026-03", {"current", "open"}),
        ("DocumentReference", "period-start", "lt2026-04", {"current"}),
        ("DocumentReference", "period-end", "2026-03-05", {"current"}),
        ("DocumentReference", "period-end:missing", "true", {"archived", "plain", "open"}),
        ("DocumentReference", "period", "ge2026-06", {"open"}),
        ("DocumentReference", "creation", "2026-03-04", {"current"}),
        ("DocumentReference", "creation", "2026-03-04T09:00:00Z", {"current"}),
        ("DocumentReference", "creation", "gt2026-03-04", set()),
        ("DocumentReference", "masterIdentifier", "urn:ietf:rfc:3986|urn:oid:1.2.250.1.999.1", {"current"}),
        ("DocumentReference", "masterIdentifier", "urn:oid:1.2.250.1.999.1", {"current"}),
        ("DocumentReference", "masterIdentifier", "urn:oid:1.2.250.1.999.2", set()),
        ("List", "isArchived", "true", {"folder"}),
        ("List", "designationType", "http://loinc.org|11369-6", {"folder"}),
        ("List", "designationType:missing", "true", {"bare"}),
        ("List", "sourceId", "urn:sources|17", {"folder"}),
        ("List", "sourceId", "urn:sources|18", set()),
        ("List", "authorOrg", f"Organization/{WORLD}-org", {"folder"}),
        ("List", "authorOrg.name", "clinique", {"folder"}),
        ("List", "authorOrg.name:contains", "étoile", {"folder"}),
        ("Appointment", "created", "2026-05-02", {"early"}),
        ("Appointment", "created", "gt2026-05-02", {"late"}),
        ("Appointment", "description", "suivi", {"early"}),
        ("Appointment", "description:contains", "ANNUEL", {"late"}),
        ("Appointment", "priority", "5", {"late"}),
        ("Appointment", "priority", "lt5", {"early"}),
        ("Appointment", "start", "ge2026-06-02", {"late"}),
        ("Appointment", "start", "lt2026-06-02", {"early"}),
    ],
)
def test_the_parameters_of_the_french_guides(
    client: httpx.Client, type: str, name: str, value: str, expected: set[str]
) -> None:
    assert asked(client, type, (name, value)) == expected


def test_documents_are_sorted_by_the_parameters_of_the_guides(client: httpx.Client) -> None:
    listed = names(found(client, "DocumentReference", TAG, ("_sort", "-period-start,isArchived")), WORLD)
    assert listed == ["open", "current", "archived", "plain"]


@pytest.mark.parametrize("actor", ["patient", "specialiste"])
def test_patient_and_professional_search_by_them_too(served: Served, actor: str) -> None:
    """In the demonstration record nothing is archived, and every practice setting is of the list of the DMP."""
    client = served.as_(actor)
    every = found(client, "DocumentReference", ("patient", "demo-1"), ("_summary", "count"))["total"]
    assert every > 0
    lists = "https://mos.esante.gouv.fr/NOS/JDV_J62-PracticeSettingCode-DMP/FHIR/JDV-J62-PracticeSettingCode-DMP"
    for name, value in (("isArchived:not", "true"), ("_lastUpdated", "ge2020"), ("setting:in", lists)):
        bundle = found(client, "DocumentReference", ("patient", "demo-1"), (name, value), ("_summary", "count"))
        assert bundle["total"] == every
    for name, value in (("creation", "lt2000"), ("setting:not-in", lists), ("period-start", "ge2999")):
        assert found(client, "DocumentReference", ("patient", "demo-1"), (name, value))["total"] == 0
    assert found(client, "DocumentReference", ("patient", "demo-1"), ("isArchived", "true"))["total"] == 0
