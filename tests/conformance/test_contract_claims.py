"""contract.md, Claims: which ones a token holds, and that one of a wrong type or contradicting another is a 401."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest

from tests.conformance.choices import authorisation
from tests.conformance.own_record import HELENE, document, own_record
from tests.served import FHIR_JSON, Served

ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
FINESS = "https://finess.esante.gouv.fr|990000001"
G15 = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
R260 = "https://mos.esante.gouv.fr/NOS/TRE_R260-HL7RoleClass/FHIR/TRE-R260-HL7RoleClass"
IUA = "extensions.ihe_iua"
DMP = "extensions.dmp"


def claims(served: Served, actor: str, **named: Any) -> dict[str, Any]:
    payload = served.token(actor, **named).split(".")[1]
    told: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return told


def status(served: Served, actor: str, extra: dict[str, Any], path: str = "/Patient/demo-1", **named: Any) -> int:
    with served.client(served.token(actor, extra=extra, **named)) as client:
        answer = client.get(path)
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["resourceType"] == "OperationOutcome"
    return answer.status_code


@pytest.mark.parametrize("actor", ["specialiste", "patient", "representant", "hopital", "conformance", "support"])
def test_every_token_holds_the_registered_claims(served: Served, actor: str) -> None:
    told = claims(served, actor)
    assert {"iss", "aud", "sub", "iat", "exp", "jti", "scope"} <= told.keys()
    assert told["aud"] == served.base
    assert told["jti"] != claims(served, actor)["jti"]


@pytest.mark.parametrize(
    ("actor", "scope"),
    [
        ("patient", "patient/*.cruds"),
        ("representant", "patient/*.cruds"),
        ("specialiste", "user/*.cruds"),
        ("conformance", "system/*.cruds"),
    ],
)
def test_scopes(served: Served, actor: str, scope: str) -> None:
    assert claims(served, actor)["scope"] == scope


def test_a_scope_may_be_one_letter_on_one_type(served: Served) -> None:
    record = own_record(served)
    extra = {"scope": "system/DocumentReference.c"}
    with served.client(served.token("hopital", extra=extra)) as client:
        assert client.post("/DocumentReference", json=document(record.id), headers=FHIR_JSON).status_code == 201
        assert client.get(f"/DocumentReference?patient={record.id}").status_code == 403
        binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9uam91cg=="}
        assert client.post("/Binary", json=binary, headers=FHIR_JSON).status_code == 403


def test_what_the_extensions_hold(served: Served) -> None:
    doctor, patient, representant = (claims(served, actor) for actor in ("samu", "patient", "representant"))
    assert {"system", "code"} <= doctor["extensions"]["ihe_iua"]["subject_role"][0].keys()
    assert doctor["extensions"]["ihe_iua"]["purpose_of_use"] == [{"system": ACT_REASON, "code": "ETREAT"}]
    assert doctor["extensions"]["ihe_iua"]["national_provider_identifier"] == "89900000007"
    assert doctor["amr"] == ["sc", "pin"]
    assert patient["extensions"]["ihe_iua"]["person_id"] == HELENE
    assert representant["extensions"]["ihe_iua"]["person_id"] == "210043155500326"
    assert representant["extensions"]["dmp"]["actor_ins"] == HELENE
    assert claims(served, "hopital")["extensions"]["ihe_iua"]["subject_organization_id"] == FINESS
    assert claims(served, "specialiste")["extensions"]["dmp"]["specialty"]
    assert claims(served, "specialiste")["extensions"]["dmp"]["practice_setting"] == "AMBULATOIRE"
    assert claims(served, "urgentiste")["extensions"]["dmp"]["reason"]


def test_subject_organization_id_makes_the_authorisation_of_a_structure_count(served: Served) -> None:
    record = own_record(served)
    record.chosen(authorisation(record, "990000001"))
    with (
        served.client(served.token("inconnu", extra={f"{IUA}.subject_organization_id": FINESS})) as inside,
        served.client(served.token("inconnu")) as outside,
    ):
        assert inside.get(f"/Patient/{record.id}").status_code == 200
        assert outside.get(f"/Patient/{record.id}").status_code == 404


def test_audience_restriction_makes_a_secret_session(served: Served) -> None:
    """What is deposited then is hidden from the representatives: anything else is refused."""
    record = own_record(served)
    extra = {f"{DMP}.audience_restriction": "INVISIBLE_REPRESENTANTS_LEGAUX"}
    with served.client(served.token("specialiste", extra=extra)) as client:
        open_document = client.post("/DocumentReference", json=document(record.id), headers=FHIR_JSON)
        assert open_document.status_code == 422
        secret = document(record.id, "INVISIBLE_REPRESENTANTS_LEGAUX")
        answer = client.post("/DocumentReference", json=secret, headers=FHIR_JSON)
        assert answer.status_code == 201
    id = answer.json()["id"]
    assert not record.sees("representant", id)
    assert record.sees("patient", id)


@pytest.mark.parametrize(
    ("actor", "claim", "value"),
    [
        ("patient", "scope", ["patient/*.cruds"]),
        ("patient", "exp", "tomorrow"),
        ("patient", "iat", True),
        ("patient", "jti", 7),
        ("patient", "sub", {}),
        ("patient", "aud", 7),
        ("patient", "amr", "mfa"),
        ("patient", "extensions", []),
        ("patient", IUA, "x"),
        ("patient", DMP, []),
        ("patient", f"{IUA}.person_id", 280057505600117),
        ("patient", f"{IUA}.person_id", "28005"),
        ("specialiste", f"{IUA}.subject_role", {"system": G15, "code": "10"}),
        ("specialiste", f"{IUA}.subject_role", ["10"]),
        ("specialiste", f"{IUA}.subject_role", [{"system": G15, "code": 10}]),
        ("specialiste", f"{IUA}.purpose_of_use", "TREAT"),
        ("specialiste", f"{IUA}.purpose_of_use", [{"code": "TREAT"}]),
        ("specialiste", f"{IUA}.national_provider_identifier", 89900000002),
        ("specialiste", f"{IUA}.national_provider_identifier", "899000000022"),
        ("specialiste", f"{IUA}.subject_organization_id", "990000001"),
        ("specialiste", f"{IUA}.subject_organization_id", [FINESS]),
        ("specialiste", f"{DMP}.specialty", 4),
        ("specialiste", f"{DMP}.practice_setting", ["SAMU_SMUR"]),
        ("urgentiste", f"{DMP}.reason", 12345678901),
        ("representant", f"{DMP}.actor_ins", [HELENE]),
        ("specialiste", f"{DMP}.audience_restriction", True),
        ("specialiste", f"{DMP}.audience_restriction", "SOMETHING_ELSE"),
    ],
)
def test_a_claim_of_the_wrong_type_is_401(served: Served, actor: str, claim: str, value: Any) -> None:
    assert status(served, actor, {claim: value}) == 401


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "exp", "jti", "scope"])
def test_a_token_without_a_registered_claim_is_401(served: Served, claim: str) -> None:
    assert status(served, "patient", {claim: None}) == 401


@pytest.mark.parametrize(
    ("actor", "extra"),
    [
        ("patient", {"scope": "user/*.cruds"}),
        ("patient", {"scope": "patient/*.cruds user/*.cruds"}),
        ("specialiste", {"scope": "system/*.cruds"}),
        ("specialiste", {"scope": "patient/*.cruds"}),
        ("specialiste", {f"{IUA}.national_provider_identifier": None}),
        ("specialiste", {f"{IUA}.subject_role": [{"system": G15, "code": "10"}, {"system": G15, "code": "60"}]}),
        ("specialiste", {f"{IUA}.subject_role": [{"system": G15, "code": "10"}, {"system": R260, "code": "GUARD"}]}),
        ("specialiste", {f"{DMP}.actor_ins": HELENE}),
        ("patient", {f"{IUA}.national_provider_identifier": "89900000002"}),
        ("patient", {f"{IUA}.subject_organization_id": FINESS}),
        ("patient", {f"{DMP}.actor_ins": "168077505600306"}),
        ("patient", {f"{IUA}.person_id": None}),
        ("representant", {f"{DMP}.actor_ins": None}),
        ("representant", {f"{DMP}.actor_ins": "210043155500326"}),
        ("representant", {f"{IUA}.subject_role": [{"system": R260, "code": "CAREGIVER"}], f"{DMP}.actor_ins": None}),
        ("hopital", {f"{IUA}.person_id": HELENE}),
        ("hopital", {f"{IUA}.subject_organization_id": None}),
        ("conformance", {f"{IUA}.national_provider_identifier": "89900000002"}),
        ("support", {f"{IUA}.person_id": HELENE}),
        (
            "samu",
            {
                f"{IUA}.purpose_of_use": [
                    {"system": ACT_REASON, "code": "ETREAT"},
                    {"system": ACT_REASON, "code": "BTG"},
                ]
            },
        ),
    ],
)
def test_a_claim_that_contradicts_another_is_401(served: Served, actor: str, extra: dict[str, Any]) -> None:
    assert status(served, actor, extra) == 401


def test_another_issuer_or_audience_is_401(served: Served) -> None:
    assert status(served, "patient", {"iss": "https://somebody.example"}) == 401
    assert status(served, "patient", {"aud": "http://127.0.0.1:1/fhir"}) == 401
    assert status(served, "patient", {"aud": ["http://127.0.0.1:1/fhir", served.base]}) == 200


def test_no_token_is_401(served: Served) -> None:
    with served.client() as nobody:
        answer = nobody.get("/Patient/demo-1")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert nobody.get("/metadata").status_code == 200


@pytest.mark.parametrize(
    ("actor", "extra"),
    [
        ("inconnu", {f"{IUA}.purpose_of_use": [{"system": ACT_REASON, "code": "ETREAT"}]}),
        ("inconnu", {f"{IUA}.purpose_of_use": [{"system": ACT_REASON, "code": "BTG"}]}),
        ("urgentiste", {"amr": None}),
        ("urgentiste", {"amr": ["pwd"]}),
        ("urgentiste", {f"{DMP}.reason": "trop peu"}),
        ("patient", {f"{IUA}.purpose_of_use": [{"system": ACT_REASON, "code": "BTG"}]}),
        ("specialiste", {f"{IUA}.purpose_of_use": [{"system": ACT_REASON, "code": "HMARKT"}]}),
    ],
)
def test_a_purpose_that_does_not_fit_is_403_and_never_treat(served: Served, actor: str, extra: dict[str, Any]) -> None:
    assert status(served, actor, extra) == 403
