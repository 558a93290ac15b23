"""``$everything``: a record in one searchset, page by page.

https://hl7.org/fhir/R4/patient-operation-everything.html · https://hl7.org/fhir/R4/encounter-operation-everything.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import INS_TEST, keys, link, pointer, searchset, stored, tagged
from tests.served import FHIR_JSON, Served

WORLD = "whole"
INS = "190017505601169"
PATIENT = f"Patient/{WORLD}-pat"
STAY = f"Encounter/{WORLD}-stay"


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def to(type: str, id: str) -> dict[str, str]:
    return pointer(type, f"{WORLD}-{id}")


def observation(id: str, date: str | None, **members: Any) -> dict[str, Any]:
    return made("Observation", id, subject=to("Patient", "pat"), effectiveDateTime=date, **members)


def world() -> list[dict[str, Any]]:
    patient = to("Patient", "pat")
    return [
        made("Practitioner", "dr", name=[{"family": "Zwang"}]),
        made("Organization", "org", name="Hôpital"),
        made("Location", "ward", name="Service"),
        made(
            "Patient",
            "pat",
            identifier=[{"system": INS_TEST, "value": INS}],
            birthDate="1950-01-01",
            managingOrganization=to("Organization", "org"),
        ),
        made("Patient", "other", identifier=[{"system": INS_TEST, "value": "190017505601170"}]),
        made(
            "Encounter",
            "stay",
            subject=patient,
            period={"start": "2026-02-01", "end": "2026-02-10"},
            location=[{"location": to("Location", "ward")}],
        ),
        observation("january", "2026-01-15"),
        observation("february", "2026-02-05", encounter=to("Encounter", "stay"), performer=[to("Practitioner", "dr")]),
        observation("march", "2026-03-15"),
        observation("undated", None),
        made("Condition", "chronic", subject=patient, recordedDate="2026-02-03", encounter=to("Encounter", "stay")),
        made("Observation", "foreign", subject=to("Patient", "other")),
        made("Device", "pump", patient=patient),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def told(answer: httpx.Response) -> tuple[set[str], set[str]]:
    """What is of the record, and what goes with it."""
    bundle = searchset(answer)
    found = [{one.replace(f"{WORLD}-", "") for one in keys(bundle, mode)} for mode in ("match", "include")]
    return found[0], found[1]


OBSERVATIONS = {f"Observation/{one}" for one in ("january", "february", "march", "undated")}
RECORD = {"Patient/pat", "Encounter/stay", "Condition/chronic", *OBSERVATIONS}
AROUND = {"Practitioner/dr", "Organization/org", "Location/ward"}


def test_everything_of_a_patient_and_what_it_refers_to(client: httpx.Client) -> None:
    of_record, around = told(client.get(f"{PATIENT}/$everything"))
    assert of_record >= RECORD
    assert not of_record & {"Patient/other", "Observation/foreign"}
    assert around >= AROUND


def test_it_is_called_by_post_too(client: httpx.Client) -> None:
    body = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Condition"}]}
    posted = client.post(f"{PATIENT}/$everything", json=body, headers=FHIR_JSON)
    assert told(posted) == ({"Condition/chronic"}, set())
    assert told(client.post(f"{PATIENT}/$everything"))[0] >= RECORD


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("start=2026-02-01", RECORD - {"Observation/january"}),
        ("end=2026-02-28", RECORD - {"Observation/march"}),
        ("start=2026-02-01&end=2026-02-28", RECORD - {"Observation/january", "Observation/march"}),
        ("start=2026-02-04&end=2026-02-04", {"Patient/pat", "Encounter/stay", "Observation/undated"}),
        (
            "start=2026-03",
            RECORD - {"Observation/january", "Observation/february", "Encounter/stay", "Condition/chronic"},
        ),
        ("start=1900&end=1901", {"Patient/pat", "Observation/undated"}),
        ("_type=Observation", OBSERVATIONS),
        ("_type=Observation,Condition", {*OBSERVATIONS, "Condition/chronic"}),
        ("_type=Observation&_type=Condition", {*OBSERVATIONS, "Condition/chronic"}),
        ("_type=Observation&start=2026-03-01", {"Observation/march", "Observation/undated"}),
        ("_since=2020-01-01T00:00:00Z", RECORD),
        ("_since=2999-01-01T00:00:00Z", set()),
    ],
)
def test_a_part_of_everything(client: httpx.Client, query: str, expected: set[str]) -> None:
    """The days are days of care: what has none is there, and the patient."""
    of_record, _ = told(client.get(f"{PATIENT}/$everything?{query}"))
    known = {one for one in of_record if one.partition("/")[0] in ("Patient", "Encounter", "Condition", "Observation")}
    assert known == expected


def test_types_of_what_is_referred_to_come_with_what_refers_to_them(client: httpx.Client) -> None:
    of_record, around = told(client.get(f"{PATIENT}/$everything?_type=Encounter,Location"))
    assert (of_record, around) == ({"Encounter/stay"}, {"Location/ward"})
    of_record, around = told(client.get(f"{PATIENT}/$everything?_type=Observation,Location"))
    assert (of_record, around) == (OBSERVATIONS, set())


def test_since_is_the_moment_of_the_update(client: httpx.Client) -> None:
    body = client.get(f"Observation/{WORLD}-march").json()
    updated = client.put(f"Observation/{WORLD}-march", json={**body, "status": "amended"}, headers=FHIR_JSON)
    moment = updated.json()["meta"]["lastUpdated"]
    of_record, _ = told(client.get(f"{PATIENT}/$everything", params={"_since": moment}))
    assert of_record == {"Observation/march"}


def test_everything_comes_in_pages(served: Served, client: httpx.Client) -> None:
    """Each with what it refers to, none twice, none missing; their links are for whoever asked."""
    whole, _ = told(client.get(f"{PATIENT}/$everything"))
    bundle = searchset(client.get(f"{PATIENT}/$everything?_count=2"))
    seen: list[str] = []
    pages = 0
    while True:
        assert len(keys(bundle)) <= 2
        seen += [one.replace(f"{WORLD}-", "") for one in keys(bundle)]
        pages += 1
        url = link(bundle, "next")
        if url is None:
            break
        assert url.startswith(f"{served.base}/{PATIENT}/$everything?_count=2")
        refused(served.as_("patient", patient=INS).get(url), 400)
        bundle = searchset(client.get(url))
    assert len(seen) == len(set(seen))
    assert set(seen) == whole
    assert pages == (len(whole) + 1) // 2
    assert link(bundle, "previous") is not None


def test_everything_around_an_encounter(client: httpx.Client) -> None:
    of_record, around = told(client.get(f"{STAY}/$everything"))
    assert of_record == {"Encounter/stay", "Patient/pat", "Observation/february", "Condition/chronic"}
    assert around >= {"Practitioner/dr", "Location/ward"}
    of_record, _ = told(client.get(f"{STAY}/$everything?_type=Observation&_count=5"))
    assert of_record == {"Observation/february"}
    refused(client.get(f"{STAY}/$everything?start=2026-01-01"), 400)


def test_everything_of_ones_own(served: Served, client: httpx.Client) -> None:
    holder = served.as_("patient", patient=INS)
    own, _ = told(holder.get("Patient/$everything"))
    assert own >= RECORD
    assert own == told(holder.get(f"{PATIENT}/$everything"))[0]
    refused(holder.get(f"Patient/{WORLD}-other/$everything"), 404)
    refused(client.get("Patient/$everything"), 403)


def test_everything_of_a_patient_one_looks_after(served: Served) -> None:
    """A professional has what a search would give him, without what is masked."""
    specialist, holder = served.as_("specialiste"), served.as_("patient")
    seen, _ = told(specialist.get("Patient/demo-1/$everything?_type=DocumentReference"))
    assert seen == set(keys(searchset(specialist.get("DocumentReference?patient=demo-1"))))
    whole, _ = told(holder.get("Patient/$everything?_type=DocumentReference"))
    assert "DocumentReference/demo-1-masque" in whole - seen


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("start=yesterday", "start"),
        ("end=2026-13", "end"),
        ("_since=2026", "_since"),
        ("_count=many", "_count"),
        ("_type=Unheard", "_type"),
        ("_type=Observation,Unheard", "_type"),
        ("_type=Observation,AuditEvent", "_type"),
        ("_type=Practitioner", "_type"),
        ("unheard=1", "unheard"),
        ("_page=x", "_page"),
        ("start=2026&start=2027", "start"),
    ],
)
def test_what_it_cannot_be_asked_is_refused(client: httpx.Client, query: str, says: str) -> None:
    issue = refused(client.get(f"{PATIENT}/$everything?{query}"), 400)
    assert says in f"{issue['diagnostics']} {issue['expression']}"


def test_everything_of_what_is_not_there(client: httpx.Client) -> None:
    refused(client.get("Patient/unheard-of/$everything"), 404)
    refused(client.get("Encounter/unheard-of/$everything"), 404)
    refused(client.delete(f"{PATIENT}/$everything"), 405)
