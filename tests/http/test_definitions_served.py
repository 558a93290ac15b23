"""What the server goes by can be read and searched, by everybody, and changed by nobody (ADR 0040)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.served import FHIR_JSON, ROOT, Served

A08 = "https://mos.esante.gouv.fr/NOS/TRE_A08-HL7Confidentiality/FHIR/TRE-A08-HL7Confidentiality"


def files() -> list[dict[str, Any]]:
    folders = [*(ROOT / "profiles").iterdir(), *(ROOT / "terminology").iterdir()]
    return [
        json.loads(file.read_text(encoding="utf-8"))
        for folder in folders
        if folder.is_dir()
        for file in folder.glob("*.json")
    ]


def everything(client: httpx.Client, url: str) -> list[dict[str, Any]]:
    found = []
    while url:
        page = client.get(url).json()
        found += [one["resource"] for one in page.get("entry", ())]
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), "")
    return found


def test_every_file_is_there_as_it_is(served: Served) -> None:
    client = served.as_("medecin-traitant")
    for type in {one["resourceType"] for one in files()}:
        there = {one["id"]: one for one in everything(client, f"/{type}?_count=100")}
        for file in files():
            if file["resourceType"] == type:
                told = there[file["id"]]
                meta = {name: value for name, value in told["meta"].items() if name not in ("versionId", "lastUpdated")}
                assert told | {"meta": meta or None} == file | {"meta": file.get("meta")}


@pytest.mark.parametrize("actor", ["patient", "infirmier", "inconnu", "hopital", "samu", "conformance"])
def test_it_is_found_by_its_url(served: Served, actor: str) -> None:
    found = served.as_(actor).get("/CodeSystem", params={"url": A08}).json()
    assert [one["resource"]["id"] for one in found["entry"]] == ["TRE-A08-HL7Confidentiality"]


def test_nobody_changes_it(served: Served) -> None:
    client, path = served.as_("conformance"), "/CodeSystem/TRE-A08-HL7Confidentiality"
    body = client.get(path).json()
    assert client.put(path, json=body | {"status": "retired"}, headers=FHIR_JSON).status_code == 403
    assert client.delete(path).status_code == 403
    patch = [{"op": "replace", "path": "/status", "value": "retired"}]
    told = client.patch(path, json=patch, headers={"Content-Type": "application/json-patch+json"})
    assert told.status_code == 403
    assert client.get(path).json() == body


def test_it_has_a_history(served: Served) -> None:
    told = served.as_("conformance").get("/CodeSystem/TRE-A08-HL7Confidentiality/_history").json()
    assert told["entry"][-1]["resource"]["meta"]["versionId"] == "1"


def test_metadata_names_the_profiles_of_each_type_and_the_guides(served: Served) -> None:
    with served.client() as nobody:
        told = nobody.get("metadata").json()
    supported = {one["type"]: one.get("supportedProfile", []) for one in told["rest"][0]["resource"]}
    for file in files():
        if file["resourceType"] == "StructureDefinition" and file["kind"] == "resource":
            assert file["url"] in supported[file["type"]]
    assert any("pdsm" in one for one in told["implementationGuide"])
    assert told["instantiates"]
