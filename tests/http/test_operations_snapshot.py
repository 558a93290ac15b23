"""``StructureDefinition/$snapshot``: a profile in full, of this server, of a package, stored or sent.

https://hl7.org/fhir/R4/structuredefinition-operation-snapshot.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.answers import refused
from tests.http.invoking import called
from tests.served import FHIR_JSON, Served

if TYPE_CHECKING:
    import httpx

PDSM: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-comprehensive-document-reference"
PATH: Final = "/StructureDefinition/$snapshot"


def profile(*elements: dict[str, Any], base: str = "http://hl7.org/fhir/StructureDefinition/Patient") -> dict[str, Any]:
    """One that asks for a bit more than a Patient must have."""
    name = uuid4().hex
    listed = [{"id": one["path"], **one} for one in elements]
    return {
        "resourceType": "StructureDefinition",
        "id": f"s{name[:30]}",
        "url": f"https://example.org/StructureDefinition/{name}",
        "name": "Asked",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": base,
        "derivation": "constraint",
        "differential": {"element": listed},
    }


BIRTH_DATE: Final = {"path": "Patient.birthDate", "min": 1}


def of(client: httpx.Client, sent: Any, query: str = "") -> dict[str, dict[str, Any]]:
    """The elements of a snapshot by their ids."""
    return elements(client.post(PATH + query, json=sent, headers=FHIR_JSON))


def elements(answer: httpx.Response) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in called(answer)["snapshot"]["element"]}


def parameters(*told: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [*told]}


@pytest.mark.parametrize("actor", ["hopital", "patient", "inconnu", "conformance"])
def test_of_a_profile_of_the_server(served: Served, actor: str) -> None:
    client = served.as_(actor)
    told = elements(client.get(f"{PATH}?url={PDSM}"))
    assert told["DocumentReference"]["base"]["path"] == "DocumentReference"
    assert told["DocumentReference.masterIdentifier"]["min"] == 1
    assert "DocumentReference.subject" in told, "what the profile does not speak of is there too"
    assert of(client, parameters({"name": "url", "valueUri": PDSM})) == told
    by_id = f"/StructureDefinition/{PDSM.rpartition('/')[2]}/$snapshot"
    assert elements(client.get(by_id)) == told
    assert elements(client.post(by_id)) == told


def test_of_a_type(served: Served) -> None:
    told = elements(served.as_("hopital").get(f"{PATH}?url=http://hl7.org/fhir/StructureDefinition/Patient|4.0.1"))
    assert told["Patient.contact.name"]["max"] == "1"


def test_of_one_that_is_sent(served: Served) -> None:
    client = served.as_("hopital")
    sent = profile(BIRTH_DATE)
    told = of(client, sent)
    assert told["Patient.birthDate"]["min"] == 1
    assert told["Patient.gender"]["min"] == 0
    assert of(client, parameters({"name": "definition", "resource": sent})) == told
    alone: dict[str, Any] = {"id": "Patient", "path": "Patient", "definition": "Somebody", "min": 0, "max": "*"}
    alone["base"] = {"path": "Patient", "min": 0, "max": "*"}
    published = sent | {"snapshot": {"element": [alone]}}
    assert of(client, published) == told, "what it brings as snapshot is made anew"


def test_of_one_that_is_stored_and_one_that_rests_on_it(served: Served) -> None:
    client = served.as_("conformance")
    stored = profile(BIRTH_DATE)
    assert client.put(f"/StructureDefinition/{stored['id']}", json=stored, headers=FHIR_JSON).status_code == 201
    assert elements(client.get(f"/StructureDefinition/{stored['id']}/$snapshot"))["Patient.birthDate"]["min"] == 1
    assert elements(client.get(f"{PATH}?url={stored['url']}"))["Patient.birthDate"]["min"] == 1
    narrower = of(client, profile({"path": "Patient.gender", "min": 1}, base=stored["url"]))
    assert (narrower["Patient.birthDate"]["min"], narrower["Patient.gender"]["min"]) == (1, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"baseDefinition": "https://example.org/nobody"}, "its base https://example.org/nobody"),
        ({"differential": {"element": [{"id": "Patient.x", "path": "Patient.x"}]}}, "Patient.x"),
        ({"url": "http://hl7.org/fhir/StructureDefinition/Patient"}, "cannot be defined anew"),
    ],
)
def test_there_is_none_of_what_cannot_be_used(served: Served, change: dict[str, Any], says: str) -> None:
    answer = served.as_("hopital").post(PATH, json=profile(BIRTH_DATE) | change, headers=FHIR_JSON)
    assert says in refused(answer, 422, "processing")["diagnostics"]


def test_one_thing_is_told(served: Served) -> None:
    client, sent = served.as_("hopital"), profile(BIRTH_DATE)
    refused(client.get(PATH), 400)
    refused(client.post(PATH), 400)
    refused(client.post(f"{PATH}?url={PDSM}", json=sent, headers=FHIR_JSON), 400)
    refused(client.get(f"/StructureDefinition/pdsm-folder-comprehensive/$snapshot?url={PDSM}"), 400)
    refused(client.get(f"{PATH}?url={PDSM}&url={PDSM}"), 400)
    refused(client.get(f"{PATH}?definition=x"), 400)
    refused(client.post(PATH, json={"resourceType": "Patient"}, headers=FHIR_JSON), 400)
    refused(client.post(PATH, json=sent | {"kind": "thing"}, headers=FHIR_JSON), 400)


def test_what_is_not_there(served: Served) -> None:
    client = served.as_("hopital")
    refused(client.get(f"{PATH}?url={quote('https://example.org/nobody|1')}"), 404)
    refused(client.get("/StructureDefinition/nobody/$snapshot"), 404)
    refused(client.get(f"{PATH}?url={PDSM}|9.9.9"), 404)


def test_one_that_would_be_larger_than_an_answer(served: Served) -> None:
    """What the base tells of an element once, each slice of it tells again."""
    client = served.as_("conformance")
    base = profile({"id": "Patient.contact", "path": "Patient.contact", "short": "x" * 300_000})
    put = client.put(f"/StructureDefinition/{base['id']}", json=base, headers=FHIR_JSON)
    assert put.status_code == 201, put.text
    by = {"discriminator": [{"type": "value", "path": "gender"}], "rules": "open"}
    slices = [{"id": f"Patient.contact:s{at}", "path": "Patient.contact", "sliceName": f"s{at}"} for at in range(30)]
    sliced = profile({"id": "Patient.contact", "path": "Patient.contact", "slicing": by}, *slices, base=base["url"])
    answer = client.post("/StructureDefinition/$snapshot", json=sliced, headers=FHIR_JSON)
    refused(answer, 422, "too-costly", "have more than 8000000 bytes")
