"""Accesses as AuditEvents: their shape (BALP), their search entries, and what they must not tell."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from fhir_server.audit.access import Access
from fhir_server.audit.coding import KINDS
from fhir_server.audit.event import MAX_QUERY, event, retold
from fhir_server.audit.sealed import MAX_DELIVERED, Sealed, unsealed
from fhir_server.definitions.load import load
from fhir_server.fhir.date import instant, moment
from fhir_server.search.parameters import Parameters
from tests.accesses import ACCESSES, ACT_REASON, OBSERVER, READ, SEARCH

every_access = pytest.mark.parametrize("access", ACCESSES.values(), ids=ACCESSES.keys())


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    return Parameters(load(), {}, sort_dates={"AuditEvent": "date"})


def told(access: Access) -> dict[str, Any]:
    resource: dict[str, Any] = json.loads(event(access, OBSERVER).resource("run-000000000001"))
    return resource


@every_access
def test_search_entries_are_those_of_the_generic_extraction(parameters: Parameters, access: Access) -> None:
    made = event(access, OBSERVER)
    extracted = parameters.index("AuditEvent", told(access))
    assert made.ix == {"s": extracted.terms, "r": extracted.ranges}
    assert made.at == extracted.on


@every_access
def test_search_entries_of_a_retold_event_are_those_of_the_generic_extraction(
    parameters: Parameters, access: Access
) -> None:
    first = event(access, OBSERVER)
    second = retold(first.resource("run-1"), first.ix["s"], at=access.at + 5_000_000, status=503)
    resource = json.loads(second.resource("run-2"))
    extracted = parameters.index("AuditEvent", resource)
    assert second.ix == {"s": extracted.terms, "r": extracted.ranges}
    assert resource["id"] == "run-2"
    assert (resource["outcome"], resource["outcomeDesc"]) == ("8", "503 Service Unavailable")
    assert resource["agent"] == told(access)["agent"]
    assert resource["entity"] == told(access)["entity"]


@every_access
def test_the_event_has_the_elements_and_cardinalities_of_balp(access: Access) -> None:
    resource = told(access)
    kind = KINDS[access.interaction]
    assert resource["type"]["code"] == "rest"
    assert resource["subtype"][0]["code"] == access.interaction
    assert resource["action"] == kind.action
    assert resource["recorded"] == resource["meta"]["lastUpdated"] == instant(moment(access.at))
    assert resource["source"]["observer"]["display"]
    assert resource["source"]["type"][0]["code"] == "4"
    by_type: dict[str, list[dict[str, Any]]] = {}
    for agent in resource["agent"]:
        by_type.setdefault(agent["type"]["coding"][0]["code"], []).append(agent)
        assert agent["who"]
        assert isinstance(agent["requestor"], bool)
    for role in (kind.client, kind.server):
        (one,) = by_type[role.code]
        assert one["network"]["address"]
    users = by_type.get(kind.user.code, [])
    assert len(users) == (access.agent is not None)
    assert all(user["requestor"] and "network" not in user and "media" not in user for user in users)
    assert sum(agent["requestor"] for agent in resource["agent"]) == 1
    roles = [entity.get("role", {}).get("code") for entity in resource["entity"]]
    assert roles.count("1") <= 1
    assert roles.count("24") == (access.query is not None)
    assert ("4" in roles) == (access.query is None or access.target is not None)
    assert all(entity["what"] for entity in resource["entity"] if entity.get("role", {}).get("code") != "24")


@pytest.mark.parametrize(
    ("name", "profile"),
    [
        ("read", "PatientRead"),
        ("vread", "PatientRead"),
        ("bare", "Read"),
        ("search", "PatientQuery"),
        ("search of everything", "Query"),
        ("create", "PatientCreate"),
        ("patch", "PatientUpdate"),
        ("delete", "PatientDelete"),
        ("search refused", None),
        ("history", None),
    ],
)
def test_the_profile_is_named_when_it_is_followed(name: str, profile: str | None) -> None:
    named = told(ACCESSES[name])["meta"].get("profile")
    base = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
    assert named == (None if profile is None else [base + profile])


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "0"), (201, "0"), (304, "0"), (404, "4"), (403, "4"), (409, "4"), (500, "8")]
)
def test_outcome(status: int, outcome: str) -> None:
    resource = told(replace(READ, status=status))
    assert resource["outcome"] == outcome
    assert ("outcomeDesc" in resource) == (status >= 400)


def test_a_target_that_was_not_delivered_does_not_tell_its_patient() -> None:
    """Whoever fills in the patient of a hidden target by mistake gets the event of an absent one all the same."""
    hidden = replace(READ, status=404, patient="Patient/demo-1", version=None)
    absent = replace(READ, status=404, patient=None, version=None)
    assert event(hidden, OBSERVER) == event(absent, OBSERVER)
    assert event(hidden, OBSERVER).shown is None
    assert b"demo-1" not in event(hidden, OBSERVER).resource("x")


def test_an_emergency_tells_mode_and_reason_and_can_be_searched() -> None:
    resource = told(ACCESSES["emergency"])
    (user,) = [agent for agent in resource["agent"] if agent["requestor"]]
    assert user["purposeOfUse"] == [
        {
            "coding": [{"system": ACT_REASON, "code": "BTG", "display": "break the glass"}],
            "text": "inconscient aux urgences",
        }
    ]
    assert [one["code"] for one in resource["subtype"]] == ["read", "110127"]
    assert "subtype#110127" in event(ACCESSES["emergency"], OBSERVER).ix["s"]


def test_the_query_is_kept_as_it_came() -> None:
    (query,) = [one for one in told(SEARCH)["entity"] if "query" in one]
    assert base64.b64decode(query["query"]) == SEARCH.query
    assert query["description"] == SEARCH.query.decode()
    assert "detail" not in query


def test_a_query_too_long_is_cut_and_its_hash_and_length_kept() -> None:
    access = ACCESSES["very long"]
    assert access.query is not None
    entities = told(access)["entity"]
    (query,) = [one for one in entities if "query" in one]
    assert base64.b64decode(query["query"]) == access.query[:MAX_QUERY]
    (whole,) = [one["detail"] for one in entities if "detail" in one]
    assert {one["type"]: one["valueString"] for one in whole} == {
        "sha256": sha256(access.query).hexdigest(),
        "length": str(len(access.query)),
    }


def test_a_query_that_is_no_text_is_readable_all_the_same() -> None:
    (query,) = [one for one in told(replace(SEARCH, query=b"GET /x?\xff\x00\x1b[31m"))["entity"] if "query" in one]
    assert query["description"] == "GET /x?\ufffd\ufffd\ufffd[31m"


def test_unsealed_tells_patient_target_rules_and_why() -> None:
    hidden = replace(READ, status=404, patient=None, version=None)
    sealed = Sealed(record="demo-1", target="DocumentReference/d1", version=3, rules=("R-20",), why="masked").stored()

    resource = json.loads(unsealed(event(hidden, OBSERVER).resource("x"), sealed))

    assert [one["what"] for one in resource["entity"][:2]] == [
        {"reference": "Patient/demo-1"},
        {"reference": "DocumentReference/d1"},
    ]
    assert resource["entity"][-1]["detail"] == [{"type": "rule", "valueString": "R-20"}]
    assert resource["outcomeDesc"] == "404 Not Found: masked"
    names = list(resource)
    assert names.index("outcomeDesc") == names.index("outcome") + 1


def test_unsealed_tells_whom_an_identifier_named() -> None:
    made = event(ACCESSES["search by INS"], OBSERVER).resource("x")
    (patient,) = [one for one in json.loads(made)["entity"] if one.get("role", {}).get("code") == "1"]

    entities = json.loads(unsealed(made, Sealed(record="demo-1").stored()))["entity"]

    assert {**patient, "what": {"reference": "Patient/demo-1", **patient["what"]}} in entities
    assert len(entities) == len(json.loads(made)["entity"])


def test_unsealed_tells_another_record_beside_the_patient_that_was_named() -> None:
    resource = json.loads(unsealed(event(SEARCH, OBSERVER).resource("x"), Sealed(record="other").stored()))

    assert resource["entity"][0]["what"] == {"reference": "Patient/other"}
    assert resource["entity"][0]["type"]["system"] == "http://hl7.org/fhir/resource-types"


def test_unsealed_tells_what_a_search_delivered() -> None:
    delivered = tuple(f"DocumentReference/d{number}/_history/1" for number in range(MAX_DELIVERED + 5))
    sealed = Sealed(record="demo-1", delivered=delivered).stored()

    resource = json.loads(unsealed(event(SEARCH, OBSERVER).resource("x"), sealed))

    references = [one["what"].get("reference") for one in resource["entity"] if "what" in one]
    assert references.count("Patient/demo-1") == 1
    assert set(delivered[:MAX_DELIVERED]) <= set(references)
    assert resource["entity"][-1]["detail"] == [{"type": "delivered-unlisted", "valueString": "5"}]


def test_unsealed_does_not_tell_what_is_hidden_from_its_reader() -> None:
    sealed = Sealed(delivered=("DocumentReference/d1/_history/1", "DocumentReference/d12/_history/1")).stored()

    told_to_patient = unsealed(event(SEARCH, OBSERVER).resource("x"), sealed, {"DocumentReference/d1"})

    assert b"DocumentReference/d1/" not in told_to_patient
    assert b"DocumentReference/d12/" in told_to_patient


def test_unsealed_adds_nothing_to_what_the_event_already_tells() -> None:
    made = event(READ, OBSERVER).resource("x")
    sealed = Sealed(record="demo-1", target="DocumentReference/d1", version=3).stored()
    assert json.loads(unsealed(made, sealed)) == json.loads(made)


def test_nothing_sealed_leaves_the_event_as_it_is() -> None:
    made = event(READ, OBSERVER).resource("x")
    assert json.loads(unsealed(made, Sealed().stored())) == json.loads(made)
