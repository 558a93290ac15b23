"""How operations are offered, called and refused, whatever they do.

https://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from fhir_server.definitions.operations import read_operations
from fhir_server.fhir.json import decode
from fhir_server.http.capability import routes_of
from fhir_server.operations import OPERATIONS
from fhir_server.operations.operation import EVERY_TYPE, Operation, offered
from tests.answers import refused
from tests.conformance import choices
from tests.conformance.own_record import INS_NIR_TEST, OwnRecord, own_record
from tests.http.invoking import _VALIDATOR, DEFINITIONS, actor, called, parameters, post, values
from tests.served import FHIR_JSON, ROOT, Served

FOLDER = ROOT / "profiles" / "OperationDefinition"


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


# Declared

OF_HL7 = {"everything", "validate", "snapshot", "lookup", "validate-code", "subsumes", "expand", "translate"}
"""https://hl7.org/fhir/R4/operations-list.html"""


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.json")), ids=lambda file: file.stem)
def test_a_definition_is_valid(file: Any) -> None:
    told = decode(file.read_bytes())
    assert _VALIDATOR.validate(told) == []
    assert isinstance(told, dict)
    if told["code"] in OF_HL7:
        (type,) = json.loads(file.read_bytes())["resource"]
        assert told["url"] == f"http://hl7.org/fhir/OperationDefinition/{type}-{told['code']}"
    else:
        assert told["url"] == f"https://fhir.dmp-ens.example/OperationDefinition/{told['id']}"
    assert file.stem == told["id"]


def test_every_operation_is_declared_with_its_definition(served: Served) -> None:
    with served.client() as nobody:
        (rest,) = nobody.get("metadata").json()["rest"]
    declared = {
        (one["type"], each["name"]): each["definition"] for one in rest["resource"] for each in one.get("operation", ())
    }
    every = [one["type"] for one in rest["resource"]]
    expected = {
        (type, code): one.url
        for (on, code), one in DEFINITIONS.items()
        for type in (every if on == EVERY_TYPE else [on])
    }
    assert declared == expected
    assert set(DEFINITIONS) == {(one.resource, one.code) for one in OPERATIONS}


def test_every_operation_is_on_the_page() -> None:
    folder = ROOT / "docs" / "interactions"
    page = "".join((folder / name).read_text(encoding="utf-8") for name in ("operations.md", "terminology.md"))
    for one in DEFINITIONS.values():
        assert f"`${one.code}`" in page
        names = [*one.takes, *(part for each in one.takes for part in each.parts)]
        assert all(f"`{each.name}`" in page for each in names), one.code


def test_one_that_is_only_declared_or_only_there_stops_the_start() -> None:
    definitions = read_operations(FOLDER)
    with pytest.raises(ValueError, match=r"only one of them: Patient/\$authorize"):
        offered([one for one in OPERATIONS if one.code != "authorize"], definitions)
    with pytest.raises(ValueError, match=r"DocumentReference/\$x"):
        offered([*OPERATIONS, Operation("x", "DocumentReference", OPERATIONS[0].perform)], definitions)
    rest = json.loads((ROOT / "capability_statement.json").read_text())["rest"][0]
    with pytest.raises(ValueError, match=r"Patient/\$authorize"):
        routes_of(rest, offered(OPERATIONS, definitions)[1:])
    rest["resource"][0]["operation"] = [{"name": "y", "definition": "urn:y"}]
    with pytest.raises(ValueError, match=r"\$y"):
        routes_of(rest, offered(OPERATIONS, definitions))


def test_a_definition_that_cannot_be_read_stops_the_start(tmp_path: Any) -> None:
    told = json.loads((FOLDER / "patient-block.json").read_text())
    for wrong in (
        {"resourceType": "Basic"},
        {"resource": ["Patient", "Group"]},
        {"code": ""},
        {"affectsState": None},
        {"parameter": [{"name": "a", "use": "in", "min": 0, "max": "x", "type": "code"}]},
        {"parameter": [{"name": "a", "use": "in", "min": 0, "max": "1"}]},
    ):
        (tmp_path / "one.json").write_text(json.dumps({**told, **wrong}))
        with pytest.raises(ValueError, match=r"one\.json is not an operation"):
            read_operations(tmp_path)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("Patient/a/$authorize", "POST"),
        ("Patient/a/$revoke", "POST"),
        ("Patient/a/$block", "POST"),
        ("Patient/a/$unblock", "POST"),
        ("Patient/a/$emergency-preferences", "GET, POST"),
        ("Patient/a/$access-list", "GET, POST"),
        ("Patient/a/$statut-dmp", "GET, POST"),
        ("Patient/$statut-dmp", "GET, POST"),
        ("DocumentReference/a/$mask", "POST"),
        ("DocumentReference/$mask", "POST"),
        ("DocumentReference/a/$unmask", "POST"),
        ("DocumentReference/$unmask", "POST"),
    ],
)
def test_methods_that_are_not_offered(served: Served, path: str, allowed: str) -> None:
    client = served.as_("patient")
    for method in {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"} - set(allowed.split(", ")):
        answer = client.request(method, path)
        assert answer.status_code == 405, (method, path)
        assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path",
    [
        "Patient/$authorize",
        "Patient/$access-list",
        "Patient/a/$mask",
        "DocumentReference/a/$authorize",
        "Patient/a/$",
        "Patient/a/_history/$authorize",
        "Patient/a/$authorize/b",
        "$statut-dmp",
        "Observation/$mask",
        "Patient/a b/$authorize",
    ],
)
def test_where_there_is_none(served: Served, path: str) -> None:
    refused(served.as_("patient").post(path, json=parameters(), headers=FHIR_JSON), 404, "not-found")


def test_nobody_without_a_token(served: Served) -> None:
    with served.client() as nobody:
        refused(nobody.get("/Patient/demo-1/$statut-dmp"), 401, "login")


# Parameters


def sent(record: OwnRecord, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    return record.as_("patient").post(
        f"/Patient/{record.id}/$authorize", content=content, headers={**FHIR_JSON, **headers}
    )


def told(*listed: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", **more, "parameter": list(listed)}


WHO = {"name": "actor", "valueIdentifier": actor("specialiste")}
WRONG: list[tuple[str, Any, str, str]] = [
    ("another resource", {"resourceType": "Patient"}, "invalid", "resourceType"),
    ("no resource", {}, "invalid", "resourceType"),
    ("no actor", told({"name": "end", "valueDate": "2099-01-01"}), "required", "Parameters"),
    ("nothing at all", {"resourceType": "Parameters"}, "required", "Parameters"),
    (
        "unknown",
        told(WHO, {"name": "until", "valueDate": "2099-01-01"}),
        "not-supported",
        "Parameters.parameter[1].name",
    ),
    ("twice", told(WHO, WHO), "invalid", "Parameters.parameter[1]"),
    ("another type", told(WHO, {"name": "end", "valueString": "2099-01-01"}), "invalid", "Parameters.parameter[1]"),
    (
        "a text as boolean",
        told(WHO, {"name": "collected", "valueString": "true"}),
        "invalid",
        "Parameters.parameter[1]",
    ),
    ("no value", told(WHO, {"name": "role"}), "", "Parameters.parameter[1]"),
    ("parts", told({"name": "actor", "part": [WHO]}), "invalid", "Parameters.parameter[0]"),
    ("a resource", told(WHO, {"name": "role", "resource": {"resourceType": "Basic"}}), "", "Parameters.parameter[1]"),
    (
        "an extension",
        told({**WHO, "extension": [{"url": "urn:x", "valueCode": "x"}]}),
        "invalid",
        "Parameters.parameter[0]",
    ),
    ("a date of no calendar", told(WHO, {"name": "end", "valueDate": "2099-02-30"}), "", "Parameters.parameter[1]"),
    ("a date without day", told(WHO, {"name": "end", "valueDateTime": "soon"}), "", "Parameters.parameter[1]"),
    ("rules that would change it", told(WHO, implicitRules="urn:x"), "not-supported", "Parameters.implicitRules"),
    (
        "a list as a value",
        told({"name": "actor", "valueIdentifier": [actor("inconnu")]}),
        "",
        "Parameters.parameter[0]",
    ),
]


@pytest.mark.parametrize(("why", "body", "code", "where"), WRONG, ids=[one[0] for one in WRONG])
def test_parameters_that_are_wrong(record: OwnRecord, why: str, body: Any, code: str, where: str) -> None:
    issue = refused(sent(record, body), 400, code or None)
    assert issue["expression"][0].startswith(where), (why, issue)
    assert record.as_("patient").get(f"/Consent?patient={record.id}").json().get("entry") is None


def test_all_that_is_wrong_is_told_at_once(record: OwnRecord) -> None:
    answer = sent(record, told({"name": "a", "valueCode": "b"}, {"name": "role", "valueString": "c"}))
    refused(answer, 400)
    assert len(answer.json()["issue"]) == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [("{", 400), ("", 400), ("[]", 400), (b"\xff", 400), ('{"resourceType":"Parameters","resourceType":"x"}', 400)],
)
def test_a_body_that_cannot_be_read(record: OwnRecord, body: str | bytes, status: int) -> None:
    refused(sent(record, body), status)


def test_megabytes(record: OwnRecord) -> None:
    long = "x" * 3_000_000
    for body in (
        told(WHO, {"name": "role", "valueCode": long}),
        told(WHO, {"name": long, "valueCode": "a"}),
        told({"name": "actor", "valueIdentifier": {"system": actor("inconnu")["system"], "value": long}}),
        told(*({"name": "a", "valueCode": "b"} for _ in range(5000))),
    ):
        answer = sent(record, body)
        assert answer.status_code in (400, 422)
        refused(answer, answer.status_code)
        assert len(answer.content) < 100_000
    refused(sent(record, told({"name": "role", "valueString": "x" * 9_000_000})), 413)


def test_media_types(record: OwnRecord) -> None:
    refused(sent(record, told(WHO), **{"Content-Type": "text/plain"}), 415)
    refused(sent(record, "actor=x", **{"Content-Type": "application/x-www-form-urlencoded"}), 415)
    bare = record.as_("patient").request("POST", f"/Patient/{record.id}/$authorize", content=json.dumps(told(WHO)))
    assert bare.status_code == 415
    refused(record.as_("patient").get(f"/Patient/{record.id}/$access-list?_format=ttl"), 406)


def test_post_tells_nothing_in_the_query(record: OwnRecord) -> None:
    url = f"/Patient/{record.id}/$authorize?role=medecin-traitant"
    refused(post(record.as_("patient"), url, actor=actor("inconnu")), 400, says="role")


@pytest.mark.parametrize(
    ("query", "where"), [("unknown=1", "http.unknown"), ("identifier=a&identifier=b", "http.identifier")]
)
def test_a_query_that_is_wrong(served: Served, query: str, where: str) -> None:
    issue = refused(served.as_("inconnu").get(f"/Patient/$statut-dmp?{query}"), 400)
    assert issue["expression"] == [where]


def test_get_and_post_are_told_the_same(record: OwnRecord) -> None:
    client, named = record.as_("inconnu"), f"{INS_NIR_TEST}|{record.ins}"
    got = client.get("/Patient/$statut-dmp", params={"identifier": named, "_pretty": "true"})
    assert called(got) == called(post(client, "/Patient/$statut-dmp", identifier=named))


# In a batch


def test_in_a_batch(record: OwnRecord) -> None:
    def entry(method: str, url: str, resource: Any = None) -> dict[str, Any]:
        return {"request": {"method": method, "url": url}} | ({"resource": resource} if resource else {})

    on = f"Patient/{record.id}"
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            entry("POST", f"{on}/$authorize", told(WHO)),
            entry("GET", f"{on}/$access-list"),
            entry("POST", f"{on}/$emergency-preferences"),
            entry("POST", f"{on}/$authorize"),
            entry("GET", f"{on}/$authorize"),
            entry("POST", "Patient/nobody/$block", told(WHO)),
            entry("POST", f"{on}/$revoke", told(WHO)),
        ],
    }
    answer = record.as_("patient").post("", json=bundle, headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    entries = answer.json()["entry"]
    assert [one["response"]["status"] for one in entries] == ["200", "200", "200", "400", "405", "404", "200"]
    assert entries[0]["resource"]["resourceType"] == "Consent"
    assert values(entries[6]["resource"], "consent") == [{"reference": f"Consent/{entries[0]['resource']['id']}"}]


# The trail


def test_an_operation_is_traced_with_what_it_writes(record: OwnRecord) -> None:
    called(post(record.as_("patient"), f"/Patient/{record.id}/$authorize", actor=actor("specialiste")))
    found = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_count=2&_sort=-date").json()["entry"]
    operation, write = (one["resource"] for one in found)
    if operation["subtype"][0]["code"] != "operation":
        operation, write = write, operation
    assert (operation["type"]["code"], operation["subtype"][0]["code"], operation["action"]) == (
        "rest",
        "operation",
        "E",
    )
    assert (write["subtype"][0]["code"], write["action"]) == ("create", "C")
    (asked,) = [one for one in operation["entity"] if "query" in one]
    assert asked["description"] == f"POST /Patient/{record.id}/$authorize"


def test_a_refused_operation_is_in_the_holders_trail(record: OwnRecord) -> None:
    refused(record.as_("inconnu").get(f"/Patient/{record.id}/$access-list"), 404)
    refused(post(record.as_("inconnu"), f"/Patient/{record.id}/$block", actor=actor("specialiste")), 404)
    found = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_count=2&_sort=-date").json()["entry"]
    assert [one["resource"]["outcome"] for one in found] == ["4", "4"]
    assert {entity["description"] for one in found for entity in one["resource"]["entity"] if "query" in entity} == {
        f"GET /Patient/{record.id}/$access-list",
        f"POST /Patient/{record.id}/$block",
    }


def test_a_scope_that_does_not_cover_it(record: OwnRecord, served: Served) -> None:
    narrow = served.token("patient", patient=record.ins, extra={"scope": "patient/Patient.rs patient/Consent.r"})
    with served.client(narrow) as client:
        refused(post(client, f"/Patient/{record.id}/$authorize", actor=actor("inconnu")), 403)
        refused(client.get(f"/Patient/{record.id}/$access-list"), 403)
        called(client.get(f"/Patient/{record.id}/$emergency-preferences"))
    record.chosen(choices.authorisation(record, "specialiste"))
