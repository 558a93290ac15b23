"""Which profiles bind who writes (ADR 0041). docs/validation/README.md"""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from tests import pdsm
from tests.answers import refused
from tests.conformance.own_record import OwnRecord, own_record
from tests.served import FHIR_JSON, JSON_PATCH, Served

FR_ORGANIZATION: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-organization"
FR_PATIENT_INS: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-patient-ins"
BASIC: Final = "http://hl7.org/fhir/StructureDefinition/Basic"
TELL: Final = FHIR_JSON | {"Prefer": "return=OperationOutcome"}


@pytest.fixture
def record(served: Served) -> OwnRecord:
    return own_record(served)


def profile(*elements: dict[str, Any], type: str = "Basic", **members: Any) -> dict[str, Any]:
    """A profile of a name of its own."""
    name = f"p{uuid4().hex[:20]}"
    return {
        "resourceType": "StructureDefinition",
        "id": name,
        "url": f"https://example.org/StructureDefinition/{name}",
        "version": "1.0.0",
        "name": "P",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": type,
        "baseDefinition": f"http://hl7.org/fhir/StructureDefinition/{type}",
        "derivation": "constraint",
        "differential": {"element": [{"id": one["path"], **one} for one in elements]},
    } | members


CREATED: Final = {"path": "Basic.created", "min": 1}
AUTHOR: Final = {"path": "Basic.author", "min": 1}


def basic(*profiles: str, **members: Any) -> dict[str, Any]:
    declared: dict[str, Any] = {"meta": {"profile": [*profiles]}} if profiles else {}
    return {"resourceType": "Basic", "code": {"text": "x"}} | declared | members


def stored(client: httpx.Client, definition: dict[str, Any]) -> str:
    """Its canonical URL, once it is stored."""
    answer = client.put(f"/StructureDefinition/{definition['id']}", json=definition, headers=FHIR_JSON)
    assert answer.status_code == 201, answer.text
    return str(definition["url"])


def put(client: httpx.Client, resource: dict[str, Any], **headers: str) -> httpx.Response:
    return client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource, headers=FHIR_JSON | headers)


def warned(answer: httpx.Response) -> list[str]:
    """Where the warnings of a write are."""
    assert answer.status_code in (200, 201), answer.text
    told = answer.json()
    assert told["resourceType"] == "OperationOutcome"
    assert {one["severity"] for one in told["issue"]} <= {"warning", "information"}
    return [place for one in told["issue"] if one["severity"] == "warning" for place in one["expression"]]


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


def test_a_declared_profile_binds_who_posts(client: httpx.Client) -> None:
    url = stored(client, profile(CREATED, AUTHOR))
    for declared in (url, f"{url}|1.0.0"):
        answer = client.post("/Basic", json=basic(declared), headers=FHIR_JSON)
        refused(answer, 422, "required")
        issues = answer.json()["issue"]
        assert [one["expression"] for one in issues] == [["Basic.created"], ["Basic.author"]], "all are told"
        assert issues[0]["details"]["coding"][0] == {"system": url, "version": "1.0.0", "code": "min"}
    right = basic(url, created="2026-01-01", author={"display": "x"})
    assert client.post("/Basic", json=right, headers=FHIR_JSON).status_code == 201
    assert client.post("/Basic", json=basic(), headers=FHIR_JSON).status_code == 201, "what declares nothing"


def test_what_a_test_client_puts_under_its_own_id_is_told_in_warnings(client: httpx.Client) -> None:
    url = stored(client, profile(CREATED))
    made = basic(url, id=f"b{uuid4().hex[:20]}")
    assert warned(put(client, made, Prefer="return=OperationOutcome")) == ["Basic.created"]
    assert client.get(f"/Basic/{made['id']}").json()["meta"]["profile"] == [url]


def test_one_that_is_not_known_is_a_remark(client: httpx.Client) -> None:
    unknown = basic("https://example.org/nobody")
    assert warned(client.post("/Basic", json=unknown, headers=TELL)) == ["Basic.meta.profile[0]"]


def test_an_update_is_refused_for_what_it_makes_wrong(record: OwnRecord) -> None:
    """Not for what was wrong before: a document of an older guide can still be changed."""
    hospital, client = record.as_("hopital"), record.as_("conformance")
    url = stored(client, profile({"path": "Observation.issued", "min": 1}, {"path": "Observation.note", "max": "0"},
                                 type="Observation"))  # fmt: skip
    about = {"subject": {"reference": f"Patient/{record.id}"}, "meta": {"profile": [url]}}
    wrong = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}} | about
    told = refused(hospital.post("/Observation", json=wrong, headers=FHIR_JSON), 422, "required")
    assert told["expression"] == ["Observation.issued"]
    key = hospital.post("/Observation", json=wrong | {"issued": "2026-01-01T00:00:00Z"}, headers=FHIR_JSON).json()["id"]
    path = f"/Observation/{key}"
    note = [{"op": "add", "path": "/note", "value": [{"text": "x"}]}]
    assert refused(hospital.patch(path, json=note, headers=JSON_PATCH), 422)["expression"] == ["Observation.note"]
    away = [{"op": "remove", "path": "/issued"}]
    assert refused(hospital.patch(path, json=away, headers=JSON_PATCH), 422)["expression"] == ["Observation.issued"]
    lacking = wrong | {"id": key}
    assert warned(client.put(path, json=lacking, headers=TELL)) == ["Observation.issued"], "a test client may"
    other = [{"op": "replace", "path": "/code/text", "value": "y"}]
    assert hospital.patch(path, json=other, headers=JSON_PATCH).status_code == 200, "that was wrong before"
    assert refused(hospital.patch(path, json=note, headers=JSON_PATCH), 422)["expression"] == ["Observation.note"]


def test_it_binds_in_transactions_and_batches(client: httpx.Client) -> None:
    url = stored(client, profile(CREATED))
    entry = {"request": {"method": "POST", "url": "Basic"}, "resource": basic(url)}
    beside = {"request": {"method": "POST", "url": "Basic"}, "resource": basic()}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [beside, entry]}
    told = refused(client.post("/", json=bundle, headers=FHIR_JSON), 422, "required")
    assert told["expression"] == ["Bundle.entry[1].resource.created"]
    answer = client.post("/", json=bundle | {"type": "batch"}, headers=FHIR_JSON).json()
    assert [one["response"]["status"][:3] for one in answer["entry"]] == ["201", "422"]


def test_a_profile_of_a_guide_binds_directory_types_too(client: httpx.Client) -> None:
    made = {"resourceType": "Organization", "name": "x", "meta": {"profile": [FR_ORGANIZATION]}}
    twice = made | {
        "identifier": [{"system": "https://finess.esante.gouv.fr", "value": "x", "type": {"text": "x"}}] * 2
    }
    assert client.post("/Organization", json=made, headers=FHIR_JSON).status_code == 201
    assert client.post("/Organization/$validate", json=twice, headers=FHIR_JSON).status_code == 200


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"baseDefinition": "https://example.org/nobody"}, "its base https://example.org/nobody"),
        ({"differential": {"element": [{"id": "Basic.x", "path": "Basic.x", "min": 1}]}}, "Basic.x"),
        ({"differential": {"element": [{"id": "Basic.code", "path": "Basic.code", "max": "0"}]}}, "Basic.code"),
        (
            {
                "differential": {
                    "element": [
                        {
                            "id": "Basic",
                            "path": "Basic",
                            "constraint": [
                                {"key": "x-1", "severity": "error", "human": "x", "expression": "code.(where"}
                            ],
                        }
                    ]
                }
            },
            "x-1",
        ),
        ({"url": BASIC}, "cannot be defined anew"),
    ],
)
def test_a_profile_that_cannot_be_used_is_not_stored(client: httpx.Client, broken: dict[str, Any], says: str) -> None:
    wrong = profile(CREATED) | broken
    for answer in (put(client, wrong), client.post("/StructureDefinition", json=wrong, headers=FHIR_JSON)):
        assert says in refused(answer, 422, "processing")["diagnostics"]
    assert client.get(f"/StructureDefinition/{wrong['id']}").status_code == 404


def test_a_profile_that_declares_a_profile_is_held_to_it_as_all_are(client: httpx.Client) -> None:
    """Posted it is refused, put under an own id it is warned of, changed it is told what the change makes wrong."""
    titled = {"path": "StructureDefinition.title", "min": 1}
    url = stored(client, profile(titled, type="StructureDefinition"))
    made = profile(CREATED, meta={"profile": [url]})
    refusal = refused(client.post("/StructureDefinition", json=made, headers=FHIR_JSON), 422, "required")
    assert refusal["expression"] == ["StructureDefinition.title"]
    assert warned(put(client, made, Prefer="return=OperationOutcome")) == ["StructureDefinition.title"]
    assert warned(put(client, made | {"title": "x"}, Prefer="return=OperationOutcome")) == []
    again = put(client, made | {"purpose": "x"}, Prefer="return=OperationOutcome")
    assert warned(again) == ["StructureDefinition.title"]


def test_a_profile_of_itself_is_not_stored(client: httpx.Client) -> None:
    wrong = profile(CREATED)
    wrong["baseDefinition"] = wrong["url"]
    refused(put(client, wrong), 422, "processing")
    one, other = profile(CREATED), profile(AUTHOR)
    one["baseDefinition"] = other["url"]
    refused(put(client, one), 422, "processing")


def test_what_a_type_of_its_own_says_is_no_profile(client: httpx.Client) -> None:
    """A logical model is stored as it is: no resource is validated by it."""
    model = profile(CREATED) | {"kind": "logical", "derivation": "specialization", "type": "https://example.org/x"}
    model["differential"] = {"element": [{"id": "x", "path": "x", "definition": "x", "min": 0, "max": "1"}]}
    assert put(client, model).status_code == 201


def many(number: int) -> list[dict[str, Any]]:
    """Elements of a profile: so many slices."""
    by = {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}
    slices = (
        {
            "id": f"Basic.identifier:s{at}",
            "path": "Basic.identifier",
            "sliceName": f"s{at}",
            "patternIdentifier": {"system": f"urn:s{at}"},
        }
        for at in range(number)
    )
    return [{"path": "Basic.identifier", "slicing": by}, *slices]


@pytest.mark.parametrize(
    "large",
    [
        profile(*many(2_000)),
        profile({"path": "Basic", "short": "x" * 1_000_000}),
        profile({"path": "Basic", "constraint": [
            {"key": f"k-{at}", "severity": "error", "human": "h", "expression": "true"} for at in range(2_000)
        ]}),
    ],
)  # fmt: skip
def test_a_profile_that_would_take_long_is_not_stored(client: httpx.Client, large: dict[str, Any]) -> None:
    answer = client.put(f"/StructureDefinition/{large['id']}", json=large, headers=FHIR_JSON)
    refused(answer, 422, "processing", "tells more than 2000 elements, types and invariants, or 1000000 bytes")


def test_profiles_that_would_take_long_together_are_no_help(client: httpx.Client) -> None:
    """Each can be stored; what rests on the others, and who declares it, has them all to pay."""
    first = profile(*many(1_500))
    second = profile(*many(1)) | {"baseDefinition": stored(client, first)}
    url = stored(client, second)
    longer = first | {"differential": {"element": [{"id": one["path"], **one} for one in many(1_998)]}}
    assert client.put(f"/StructureDefinition/{first['id']}", json=longer, headers=FHIR_JSON).status_code == 200

    refused(client.post("/Basic", json=basic(url), headers=FHIR_JSON), 422, "too-costly", "cannot be used")
    refused(client.get(f"/StructureDefinition/$snapshot?url={url}"), 422, "too-costly", "cannot be used")


def test_what_is_called_like_a_type_is_not_used(client: httpx.Client) -> None:
    """It can be stored, as whatever is no profile; it is not known by that name, in whatever version."""
    loose = profile(derivation="specialization", version="99.0", url=BASIC)
    loose |= {"baseDefinition": "http://hl7.org/fhir/StructureDefinition/DomainResource"}
    loose["differential"] = {"element": [{"id": "Basic", "path": "Basic"}]}
    stored(client, loose)

    refused(client.get(f"/StructureDefinition/$snapshot?url={BASIC}|99.0"), 404, "not-found", "not known here")
    told = client.post(f"/Basic/$validate?profile={BASIC}|99.0", json=basic(), headers=FHIR_JSON)
    assert told.status_code == 200
    assert [one["code"] for one in told.json()["issue"]] == ["not-found"]


def test_another_version_of_a_profile_of_the_server_lifts_nothing(client: httpx.Client) -> None:
    """Who stores one that asks nothing is asked what everybody is."""
    stored(client, profile({"path": "Patient"}, type="Patient", version="99.0", url=FR_PATIENT_INS))
    broken = {"resourceType": "Patient", "meta": {"profile": [FR_PATIENT_INS]}}
    alone = client.post("/Patient/$validate", json=broken, headers=FHIR_JSON).json()["issue"]
    assert "Patient.birthDate" in {one["expression"][0] for one in alone if one["severity"] == "error"}

    beside = client.post(f"/Patient/$validate?profile={FR_PATIENT_INS}|99.0", json=broken, headers=FHIR_JSON)
    assert beside.json()["issue"] == alone
    by_version = broken | {"meta": {"profile": [f"{FR_PATIENT_INS}|99.0"]}}
    assert client.post("/Patient/$validate", json=by_version, headers=FHIR_JSON).json()["issue"] == alone


def test_without_a_version_the_one_stored_last_is_meant(client: httpx.Client) -> None:
    """Whatever their ids are."""
    first, second = profile(CREATED), profile(AUTHOR)
    ids = sorted((first["id"], second["id"]))
    first |= {"id": ids[1]}
    second |= {"id": ids[0], "url": first["url"], "version": "2.0.0"}
    stored(client, first)
    stored(client, second)
    told = client.post("/Basic/$validate", json=basic(first["url"]), headers=FHIR_JSON)
    assert [one["expression"] for one in told.json()["issue"]] == [["Basic.author"]]
    both = client.post(f"/Basic/$validate?profile={first['url']}|1.0.0", json=basic(first["url"]), headers=FHIR_JSON)
    assert {one["expression"][0] for one in both.json()["issue"]} == {"Basic.author", "Basic.created"}


def test_a_declared_version_is_the_one_that_binds(client: httpx.Client) -> None:
    first = profile(CREATED)
    url = stored(client, first)
    stored(client, profile(AUTHOR, url=url, version="2.0.0"))
    for version, missing in (("1.0.0", "created"), ("2.0.0", "author"), ("3.0.0", "author")):
        answer = client.post("/Basic", json=basic(f"{url}|{version}"), headers=FHIR_JSON)
        assert answer.status_code == 422
        assert [one["expression"] for one in answer.json()["issue"]] == [[f"Basic.{missing}"]]


def test_resources_within_one_by_the_stored_profiles_they_declare(client: httpx.Client) -> None:
    url = stored(client, profile(CREATED))
    inner = basic(url)
    entry = {"fullUrl": f"urn:uuid:{uuid4()}", "resource": inner}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
    held = {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "#a"}}
    for resource, where in (
        (bundle, "Bundle.entry[0].resource.created"),
        (held | {"contained": [inner | {"id": "a"}]}, "Basic.contained[0].created"),
        (bundle | {"entry": [entry | {"resource": bundle}]}, "Bundle.entry[0].resource.entry[0].resource.created"),
    ):
        told = client.post(f"/{resource['resourceType']}/$validate", json=resource, headers=FHIR_JSON)
        assert [(one["code"], one["expression"]) for one in told.json()["issue"]] == [("required", [where])], resource


def test_more_profiles_within_one_than_are_looked_up(client: httpx.Client) -> None:
    entries = [
        {"fullUrl": f"urn:uuid:{uuid4()}", "resource": basic(f"https://example.org/none/{at}")} for at in range(51)
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    told = client.post("/Bundle/$validate", json=bundle, headers=FHIR_JSON)
    assert [one["code"] for one in told.json()["issue"]] == ["too-costly"]
    few = client.post("/Bundle/$validate", json=bundle | {"entry": entries[:50]}, headers=FHIR_JSON)
    assert [one["severity"] for one in few.json()["issue"]] == ["information"]


def test_a_document_of_pdsm_by_its_profile(record: OwnRecord) -> None:
    hospital = record.as_("hopital")
    answer = hospital.post("/DocumentReference", json=pdsm.without(pdsm.simplified(record.ins), "date"),
                           headers=FHIR_JSON | {"Accept-Language": "fr"})  # fmt: skip
    assert answer.status_code == 422
    (issue,) = (one for one in answer.json()["issue"] if one["severity"] == "error")
    assert issue["expression"] == ["DocumentReference.date"]
    assert issue["details"]["coding"][0]["system"] == f"{pdsm.PDSM}pdsm-simplified-publish"
    assert answer.headers["content-language"] == "fr"
