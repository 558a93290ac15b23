"""Published French examples, and a client library that somebody else wrote.

`tests/examples/published/frcore-*` are from the implementation guide FR Core (its INS moved to the OID of tests),
`pdsm-*` from PDSm (Partage de Documents de Santé en mobilité).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from fhir_server.fhir.json import decode_object
from tests.served import FHIR_JSON, Served

EXAMPLES = Path(__file__).parent.parent / "examples" / "published"
PUBLISHED = sorted(EXAMPLES.glob("*.json"))
OF_THE_SERVER = ("versionId", "lastUpdated")


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


def content(resource: dict[str, Any]) -> dict[str, Any]:
    """What the client wrote: without the id and what the server says in meta."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in OF_THE_SERVER}
    return {**resource, "id": None, "meta": meta}


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_example_comes_back_equal(client: httpx.Client, path: Path) -> None:
    sent = decode_object(path.read_bytes())
    # under its own id: the example of PDSm breaks rules of its guide, so that nobody can publish it
    key = f"{sent['resourceType']}/{sent['id']}"
    created = client.put(key, content=path.read_bytes(), headers=FHIR_JSON)
    assert created.status_code == 201, created.text
    where = created.headers["location"].partition("/_history/")[0]
    read = client.get(where)
    told = decode_object(read.content)
    assert content(told) == content(sent)
    assert [name for name in told if name not in ("id", "meta")] == [
        name for name in sent if name not in ("id", "meta")
    ], "elements keep their order"
    client.delete(where)


def test_fhirpy_makes_a_round_trip(served: Served) -> None:
    fhir = SyncFHIRClient(served.base, authorization=f"Bearer {served.token('conformance')}")
    identifier = [{"system": "https://example.org/fhir/fhirpy", "value": "1"}]

    organization = fhir.resource("Organization", name="Clinique de la Source", identifier=identifier)
    organization.save()
    assert organization.id
    assert organization["meta"]["versionId"] == "1"

    search = fhir.resources("Organization").search(identifier="https://example.org/fhir/fhirpy|1")
    assert search.count() == 1
    found = search.first()
    assert found is not None
    assert dict(found) == dict(organization)
    assert search.get().id == organization.id

    found["name"] = "Clinique du Lac"
    found.save()
    assert found["meta"]["versionId"] == "2"
    organization.refresh()
    assert organization["name"] == "Clinique du Lac"

    assert [one.id for one in fhir.resources("Organization").search(_id=found.id).fetch_all()] == [found.id]
    with pytest.raises(OperationOutcome, match="name"):
        fhir.resource("Organization", unheard="of", name=1).save()
    found.delete()  # type: ignore[no-untyped-call] # as the library has it
    with pytest.raises((ResourceNotFound, OperationOutcome)):
        fhir.reference("Organization", found.id).to_resource()
    assert search.count() == 0
