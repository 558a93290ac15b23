"""``$validate``: everything that is wrong with a resource, whoever asks, and nothing stored.

https://hl7.org/fhir/R4/resource-operation-validate.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.answers import refused
from tests.conformance.own_record import INS_NIR_TEST, OwnRecord, own_record
from tests.minimal import minimal
from tests.served import FHIR_JSON, Served

if TYPE_CHECKING:
    import httpx

PATIENT: dict[str, Any] = {"resourceType": "Patient", "gender": "female", "birthDate": "1970-01-01"}
FR_PATIENT_INS = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-ins"
WRONG: dict[str, Any] = PATIENT | {"gender": "woman", "birthDate": "1970-13-01"}


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


def parameters(*told: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [*told]}


def of(resource: Any) -> dict[str, Any]:
    return {"name": "resource", "resource": resource}


def asked(client: httpx.Client, path: str, body: Any = None, **headers: str) -> list[dict[str, Any]]:
    """The issues of an answer, which is 200 whatever they are."""
    told = client.post(path, json=body, headers=FHIR_JSON | headers)
    assert told.status_code == 200, told.text
    assert told.json()["resourceType"] == "OperationOutcome"
    issues: list[dict[str, Any]] = told.json()["issue"]
    return issues


def errors(issues: list[dict[str, Any]]) -> list[str]:
    return [one["expression"][0] for one in issues if one["severity"] in ("error", "fatal")]


@pytest.mark.parametrize("actor", ["patient", "hopital", "inconnu", "assurance-maladie", "support", "conformance"])
def test_everybody_may_ask(served: Served, actor: str) -> None:
    client = served.as_(actor)
    assert errors(asked(client, "/Patient/$validate", PATIENT)) == []
    assert errors(asked(client, "/Patient/$validate", WRONG)) == ["Patient.gender", "Patient.birthDate"]


def test_the_resource_is_the_body_or_a_parameter(served: Served) -> None:
    client = served.as_("hopital")
    alone = asked(client, "/Patient/$validate", WRONG)
    assert asked(client, "/Patient/$validate", parameters(of(WRONG))) == alone
    assert asked(client, "/Patient/$validate?mode=profile", WRONG) == alone
    assert asked(client, "/Patient/$validate", parameters(of(WRONG), {"name": "mode", "valueCode": "profile"})) == alone


def test_parameters_are_validated_themselves_where_they_are_no_call(served: Served) -> None:
    client = served.as_("hopital")
    told = {"resourceType": "Parameters", "parameter": [{"name": "a", "valueString": 1}]}
    assert errors(asked(client, "/Parameters/$validate", told)) == ["Parameters.parameter[0].value"]
    assert errors(asked(client, "/Parameters/$validate", parameters(of(told)))) == ["Parameters.parameter[0].value"]


def test_nothing_is_stored(record: OwnRecord) -> None:
    client = record.as_("conformance")
    before = client.get("/Observation?_total=accurate&_count=0").json()["total"]
    told = minimal("Observation") | {"subject": {"reference": f"Patient/{record.id}"}}
    assert errors(asked(client, "/Observation/$validate?mode=create", told)) == []
    assert client.get("/Observation?_total=accurate&_count=0").json()["total"] == before


def test_another_type_than_the_url_speaks_of(served: Served) -> None:
    issues = asked(served.as_("hopital"), "/Observation/$validate", PATIENT)
    assert errors(issues) == ["Patient"]
    assert "Observation" in issues[0]["diagnostics"]


def test_what_is_no_resource(served: Served) -> None:
    client = served.as_("hopital")
    for body in ({"resourceType": "Nothing"}, {}, {"resourceType": 3}):
        assert errors(asked(client, "/Patient/$validate", body))


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("/Patient/$validate", None, "required"),
        ("/Patient/$validate", {"resourceType": "Parameters"}, "required"),
        ("/Patient/$validate?mode=guess", PATIENT, "code-invalid"),
        ("/Patient/$validate?colour=red", PATIENT, "not-supported"),
        ("/Patient/$validate", parameters(of(PATIENT), of(PATIENT)), "invalid"),
        ("/Patient/$validate", parameters({"name": "resource", "valueString": "x"}), "invalid"),
        ("/Patient/$validate", parameters(of(PATIENT), {"name": "mode", "valueString": "create"}), "invalid"),
    ],
)
def test_a_call_that_cannot_be_read(served: Served, path: str, body: Any, code: str) -> None:
    client = served.as_("hopital")
    told = client.post(path, json=body, headers=FHIR_JSON) if body is not None else client.post(path)
    refused(told, 400, code)


def test_what_cannot_be_read_is_told_where_it_stands(served: Served) -> None:
    client = served.as_("hopital")
    for path, body, where in (
        ("?mode=guess", PATIENT, "http.mode"),
        ("", parameters(of(WRONG), {"name": "mode", "valueCode": "guess"}), "Parameters.parameter[1]"),
        ("", parameters(of(WRONG), {"name": "mode", "valueString": "create"}), "Parameters.parameter[1]"),
        (
            "",
            parameters({"name": "mode", "valueCode": "create"}, {"name": "colour"}, of(WRONG)),
            "Parameters.parameter[1]",
        ),
    ):
        told = client.post(f"/Patient/$validate{path}", json=body, headers=FHIR_JSON)
        assert told.status_code == 400
        assert told.json()["issue"][0]["expression"][0].startswith(where), told.text


def test_a_profile_is_asked_for_by_a_uri_or_a_canonical(served: Served) -> None:
    client = served.as_("hopital")
    by_uri = asked(
        client, "/Patient/$validate", parameters(of(PATIENT), {"name": "profile", "valueUri": FR_PATIENT_INS})
    )
    canonical = {"name": "profile", "valueCanonical": FR_PATIENT_INS}
    assert asked(client, "/Patient/$validate", parameters(of(PATIENT), canonical)) == by_uri
    assert errors(by_uri)


def test_a_stored_one_is_validated_as_the_caller_sees_it(record: OwnRecord) -> None:
    for actor, status in (("patient", 200), ("inconnu", 404), ("hopital", 403)):
        told = record.as_(actor).get(f"/Patient/{record.id}/$validate")
        assert told.status_code == status, (actor, told.text)
        told = record.as_(actor).post(f"/Patient/{record.id}/$validate?mode=update", json=PATIENT, headers=FHIR_JSON)
        assert told.status_code == status, "also where the resource is sent"
    hidden = record.as_("inconnu").get(f"/Patient/{record.id}/$validate").json()
    absent = record.as_("inconnu").get("/Patient/absent/$validate").json()
    assert str(hidden).replace(record.id, "absent") == str(absent)


def test_an_update_must_keep_the_id(record: OwnRecord) -> None:
    client, path = record.as_("conformance"), f"/Patient/{record.id}/$validate?mode=update"
    assert errors(asked(client, path, PATIENT | {"id": record.id})) == []
    assert errors(asked(client, path, PATIENT)) == ["Patient.id"]


@pytest.mark.parametrize(
    ("actor", "path", "open"),
    [
        ("hopital", "/DocumentReference/$validate?mode=create", True),
        ("patient", "/AuditEvent/$validate?mode=create", False),
        ("hopital", "/Patient/$validate?mode=create", False),
        ("inconnu", "/Consent/$validate?mode=delete", False),
        ("support", "/Observation/$validate?mode=update", False),
        ("conformance", "/Observation/$validate?mode=delete", True),
    ],
)
def test_a_mode_tells_what_is_closed_to_the_caller(served: Served, actor: str, path: str, open: bool) -> None:
    issues = asked(served.as_(actor), path, minimal(path.split("/")[1]))
    closed = [one for one in issues if one["code"] in ("forbidden", "not-supported")]
    assert bool(closed) is not open, issues


def test_it_is_traced(record: OwnRecord) -> None:
    record.as_("medecin-traitant").get(f"/Patient/{record.id}/$validate")
    traces = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_count=50").json()["entry"]
    assert any("$validate" in str(one["resource"]) or "operation" in str(one["resource"]["subtype"]) for one in traces)


def test_in_xml_and_in_a_batch(served: Served) -> None:
    client = served.as_("hopital")
    xml = '<Patient xmlns="http://hl7.org/fhir"><gender value="woman"/></Patient>'
    told = client.post("/Patient/$validate", content=xml, headers={"Content-Type": "application/fhir+xml"})
    assert told.status_code == 200
    assert "<OperationOutcome" in told.text
    entry = {"request": {"method": "POST", "url": "Patient/$validate"}, "resource": WRONG}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    (answer,) = client.post("/", json=bundle, headers=FHIR_JSON).json()["entry"]
    assert answer["response"]["status"].startswith("200")
    assert errors(answer["resource"]["issue"]) == ["Patient.gender", "Patient.birthDate"]


def test_it_is_told_in_french_to_who_asks_for_french(served: Served) -> None:
    client = served.as_("hopital")
    document = {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {}}]}
    profile = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-comprehensive-document-reference"
    path = f"/DocumentReference/$validate?profile={profile}"
    english = client.post(path, json=document, headers=FHIR_JSON)
    french = client.post(path, json=document, headers=FHIR_JSON | {"Accept-Language": "fr"})
    assert english.headers["content-language"] == "en"
    assert french.headers["content-language"].startswith("fr")
    in_english, in_french = ([one["diagnostics"] for one in told.json()["issue"]] for told in (english, french))
    assert len(in_english) == len(in_french) > 5
    assert not set(in_english) & set(in_french)
    entry = {"request": {"method": "POST", "url": path[1:]}, "resource": document}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    told = client.post("/", json=batch, headers=FHIR_JSON | {"Accept-Language": "fr"}).json()["entry"][0]
    assert [one["diagnostics"] for one in told["resource"]["issue"]] == in_french


def test_an_ins_is_looked_at(served: Served) -> None:
    number = {"system": INS_NIR_TEST, "value": "269054958815700", "use": "official"}
    twice = PATIENT | {"identifier": [number, number | {"value": "269054958815781"}]}
    told = asked(served.as_("hopital"), "/Patient/$validate", twice)
    rules = {one["details"]["coding"][0]["code"]: one["severity"] for one in told if "details" in one}
    assert {"ins-key": "warning", "ins-single": "warning", "ins-family": "warning"}.items() <= rules.items()


def test_more_profiles_than_are_asked_for_at_once(served: Served) -> None:
    client = served.as_("hopital")
    named = [{"name": "profile", "valueUri": f"https://example.org/{at}"} for at in range(51)]
    told = asked(client, "/Patient/$validate", parameters(of(PATIENT), *named))
    assert [one["code"] for one in told if "51" in one["diagnostics"]] == ["too-costly"]
    told = asked(client, "/Patient/$validate", parameters(of(PATIENT), *named[1:]))
    assert {one["code"] for one in told} == {"not-found"}


def test_more_profiles_than_are_looked_at(served: Served) -> None:
    many = PATIENT | {"meta": {"profile": [f"urn:example:{number}" for number in range(51)]}}
    told = asked(served.as_("hopital"), "/Patient/$validate", many)
    assert [one["diagnostics"] for one in told if one["code"] == "too-costly"] == [
        "51 profiles are declared; this server validates a resource by 50."
    ]
