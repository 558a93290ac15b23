"""Searches within the five kinds of compartment, by the tables of the standard.

https://hl7.org/fhir/R4/compartmentdefinition.html · https://hl7.org/fhir/R4/http.html#vsearch
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import (
    INS_TEST,
    STRICT,
    TAGS,
    Pair,
    coded,
    keys,
    link,
    outcome,
    pointer,
    searchset,
    stored,
    tagged,
)
from tests.served import Served

WORLD = "compart"
TAG = ("_tag", f"{TAGS}|{WORLD}")
INS = "190017505601068"


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def to(type: str, id: str) -> dict[str, str]:
    return pointer(type, f"{WORLD}-{id}")


def world() -> list[dict[str, Any]]:
    patient = to("Patient", "pat")
    return [
        made("Practitioner", "dr", name=[{"family": "Zwang"}]),
        made("Organization", "org", name="Hôpital"),
        made(
            "Patient",
            "pat",
            identifier=[{"system": INS_TEST, "value": INS}],
            generalPractitioner=[to("Practitioner", "dr")],
        ),
        made("Patient", "other", identifier=[{"system": INS_TEST, "value": "190017505601069"}]),
        made("RelatedPerson", "parent", patient=patient),
        made("Device", "pump", patient=patient),
        made("Encounter", "stay", subject=patient, participant=[{"individual": to("Practitioner", "dr")}]),
        made("Encounter", "visit", subject=patient),
        made(
            "Observation",
            "of-stay",
            subject=patient,
            encounter=to("Encounter", "stay"),
            code=coded("a"),
            performer=[to("Practitioner", "dr")],
        ),
        made("Observation", "of-pump", subject=patient, device=to("Device", "pump"), code=coded("b")),
        made("Observation", "by-parent", subject=patient, performer=[to("RelatedPerson", "parent")], code=coded("a")),
        made("Observation", "of-other", subject=to("Patient", "other"), code=coded("a")),
        made(
            "Condition", "found", subject=patient, encounter=to("Encounter", "stay"), asserter=to("Practitioner", "dr")
        ),
        made("Condition", "told", subject=to("Patient", "other"), asserter=to("Patient", "pat")),
        made("DocumentReference", "letter", subject=patient, author=[to("Practitioner", "dr")]),
        made(
            "Group",
            "cohort",
            type="person",
            actual=True,
            member=[{"entity": patient}, {"entity": to("Patient", "other")}],
        ),
        made("List", "folder", subject=patient, source=to("Practitioner", "dr")),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def within(client: httpx.Client, path: str, *pairs: Pair) -> set[str]:
    """What is found, ``Type/id`` without the name of this world."""
    answer = client.get(path, params=[TAG, *pairs, ("_count", "100")], headers=STRICT)
    return {one.replace(f"{WORLD}-", "") for one in keys(searchset(answer))}


OF_PATIENT = {
    "RelatedPerson/parent",
    "Encounter/stay",
    "Encounter/visit",
    "Observation/of-stay",
    "Observation/of-pump",
    "Observation/by-parent",
    "Condition/found",
    "Condition/told",
    "DocumentReference/letter",
    "Group/cohort",
    "List/folder",
}
"""By the table of the standard a Device is not in the compartment of its patient, an Organization in none."""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"Patient/{WORLD}-pat/*", {"Patient/pat", *OF_PATIENT}),
        (f"Patient/{WORLD}-pat/Observation", {one for one in OF_PATIENT if one.startswith("Observation")}),
        (f"Patient/{WORLD}-pat/Condition", {"Condition/found", "Condition/told"}),
        (f"Patient/{WORLD}-pat/Encounter", {"Encounter/stay", "Encounter/visit"}),
        (f"Patient/{WORLD}-pat/Group", {"Group/cohort"}),
        (f"Patient/{WORLD}-pat/Patient", {"Patient/pat"}),
        (f"Patient/{WORLD}-other/*", {"Patient/other", "Observation/of-other", "Condition/told", "Group/cohort"}),
        (f"Encounter/{WORLD}-stay/*", {"Encounter/stay", "Observation/of-stay", "Condition/found"}),
        (f"Encounter/{WORLD}-stay/Observation", {"Observation/of-stay"}),
        (f"Encounter/{WORLD}-visit/*", {"Encounter/visit"}),
        (
            f"Practitioner/{WORLD}-dr/*",
            {
                "Practitioner/dr",
                "Patient/pat",
                "Encounter/stay",
                "Observation/of-stay",
                "Condition/found",
                "DocumentReference/letter",
                "List/folder",
            },
        ),
        (f"Practitioner/{WORLD}-dr/Patient", {"Patient/pat"}),
        (f"Device/{WORLD}-pump/*", {"Device/pump", "Observation/of-pump"}),
        (f"Device/{WORLD}-pump/Observation", {"Observation/of-pump"}),
        (f"RelatedPerson/{WORLD}-parent/*", {"RelatedPerson/parent", "Observation/by-parent"}),
        (f"RelatedPerson/{WORLD}-parent/Observation", {"Observation/by-parent"}),
        ("Patient/unheard-of/*", set()),
        ("Patient/unheard-of/Observation", set()),
        ("Encounter/unheard-of/Observation", set()),
    ],
)
def test_what_lies_in_a_compartment(client: httpx.Client, path: str, expected: set[str]) -> None:
    assert within(client, path) == expected


def test_a_search_goes_on_within_it(client: httpx.Client) -> None:
    path = f"Patient/{WORLD}-pat"
    assert within(client, f"{path}/Observation", ("code", "a")) == {"Observation/of-stay", "Observation/by-parent"}
    assert within(client, f"{path}/Observation", ("code", "a"), ("encounter:missing", "true")) == {
        "Observation/by-parent"
    }
    assert within(client, f"{path}/Observation", ("performer:Practitioner.family", "zwang")) == {"Observation/of-stay"}
    assert within(client, f"{path}/Observation", ("patient", f"{WORLD}-other")) == set()
    assert within(client, f"{path}/*", ("_type", "Encounter,List")) == {
        "Encounter/stay",
        "Encounter/visit",
        "List/folder",
    }
    assert within(client, f"{path}/*", ("_id", f"{WORLD}-stay")) == {"Encounter/stay"}


def test_results_are_as_of_any_search(served: Served, client: httpx.Client) -> None:
    path = f"Patient/{WORLD}-pat/Observation"
    params = [TAG, ("_sort", "-_id"), ("_count", "2"), ("_total", "accurate"), ("_include", "Observation:encounter")]
    bundle = searchset(client.get(path, params=list(params), headers=STRICT))
    assert bundle["total"] == 3
    assert keys(bundle) == [f"Observation/{WORLD}-of-stay", f"Observation/{WORLD}-of-pump"]
    assert keys(bundle, "include") == [f"Encounter/{WORLD}-stay"]
    assert (link(bundle, "self") or "").startswith(f"{served.base}/{path}?")
    following = searchset(client.get(link(bundle, "next") or ""))
    assert keys(following) == [f"Observation/{WORLD}-by-parent"]
    counted = searchset(client.get(path, params=[TAG, ("_summary", "count")]))
    assert (counted["total"], "entry" in counted) == (3, False)


def test_it_is_asked_by_post_too(client: httpx.Client) -> None:
    path = f"Patient/{WORLD}-pat"
    posted = client.post(f"{path}/Observation/_search", data={"_tag": TAG[1], "code": "b"})
    assert keys(searchset(posted)) == [f"Observation/{WORLD}-of-pump"]
    posted = client.post(f"{path}/_search", data={"_tag": TAG[1], "_type": "List"})
    assert keys(searchset(posted)) == [f"List/{WORLD}-folder"]
    assert client.head(f"{path}/*").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"Patient/{WORLD}-pat/Organization", 404),
        (f"Patient/{WORLD}-pat/Unheard", 404),
        (f"Patient/{WORLD}-pat/AuditEvent", 404),
        (f"Encounter/{WORLD}-stay/Patient", 404),
        (f"Organization/{WORLD}-org/*", 404),
        (f"Observation/{WORLD}-of-stay/Observation", 404),
        ("Patient/!/Observation", 404),
    ],
)
def test_where_there_is_no_compartment(client: httpx.Client, path: str, status: int) -> None:
    refused(client.get(path), status)


def test_a_type_that_is_never_in_it_is_refused(client: httpx.Client) -> None:
    for type in ("Organization", "AuditEvent", "Unheard"):
        told = refused(client.get(f"Patient/{WORLD}-pat/*", params={"_type": type}), 400)
        assert told["expression"] == ["http._type"]


def test_what_is_not_known_is_named_there_too(client: httpx.Client) -> None:
    path = f"Patient/{WORLD}-pat/Observation"
    bundle = searchset(client.get(path, params=[TAG, ("unheard", "1")]))
    assert [issue["expression"] for issue in outcome(bundle)] == [["http.unheard"]]
    refused(client.get(path, params={"unheard": "1"}, headers=STRICT), 400, "not-supported")
    refused(client.post(f"Patient/{WORLD}-pat/Observation"), 405)


def test_a_patient_sees_his_own_compartment(served: Served, client: httpx.Client) -> None:
    holder = served.as_("patient", patient=INS)
    own = within(holder, f"Patient/{WORLD}-pat/*")
    assert {"Patient/pat", "Observation/of-stay", "Encounter/stay"} <= own
    assert not own & {"Observation/of-other", "Condition/told"}, "what is said by him of somebody else is of that one"
    assert within(holder, f"Patient/{WORLD}-other/*") == set()
    assert within(holder, f"Encounter/{WORLD}-stay/Observation") == {"Observation/of-stay"}


def test_a_professional_names_a_patient_by_his_compartment(served: Served) -> None:
    specialist = served.as_("specialiste")
    by_compartment = searchset(specialist.get("Patient/demo-1/DocumentReference"))
    by_parameter = searchset(specialist.get("DocumentReference", params={"patient": "demo-1"}))
    assert by_compartment["entry"] == by_parameter["entry"]
    of_nobody = specialist.get("Patient/unheard-of/DocumentReference")
    assert (of_nobody.status_code, of_nobody.json()["total"]) == (200, 0)
    refused(specialist.get("Practitioner/any/DocumentReference"), 403, "forbidden", "Name the patient")
    assert specialist.get("Practitioner/any/DocumentReference", params={"patient": "demo-1"}).status_code == 200
