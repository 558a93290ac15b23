"""The terminology operations in two languages, in XML and in a batch; who may call them; systems of several names.

docs/interactions/terminology.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests import in_xml
from tests.answers import refused
from tests.http.invoking import called
from tests.http.searching import stored, tagged
from tests.http.terms import (
    A04,
    ACME,
    ALL_PLANTS,
    GENDER,
    GENDERS,
    J66,
    LOINC,
    LOINC_OID,
    PLANTS,
    WORLD,
    codes,
    expanded,
    get,
    known,
    one,
    post,
    told,
)
from tests.served import FHIR_JSON, Served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """A doctor, where the lists are stored."""
    with known(served) as doctor:
        yield doctor


# Who may, and what remains


def test_who_reads_nothing_asks_nothing(served: Served) -> None:
    client = served.as_("assurance-maladie")
    for path in (f"ValueSet/$expand?url={GENDERS}", f"CodeSystem/$lookup?system={GENDER}&code=male"):
        refused(client.get(path), 403, "forbidden")
    with served.client() as nobody:
        refused(nobody.get(f"ValueSet/$expand?url={GENDERS}"), 401, "login")


def test_a_patient_may_ask(served: Served) -> None:
    assert one(served.as_("patient").get(f"CodeSystem/$lookup?system={GENDER}&code=male"), "display") == "Male"


def test_the_call_is_traced(served: Served) -> None:
    client = served.as_("conformance")
    asked = f"CodeSystem/$lookup?system={GENDER}&code=unknown"
    assert client.get(asked).status_code == 200
    found = client.get("AuditEvent", params={"_sort": "-date", "_count": "5"}).json()["entry"]
    traced = {entity["description"] for each in found for entity in each["resource"]["entity"] if "query" in entity}
    assert f"GET /{asked}" in traced


# In which language, and in which form

FRENCH: Final = {"Accept-Language": "fr-FR, en;q=0.5"}
ENGLISH: Final = {"Accept-Language": "en-GB"}
REFUSED: Final = [
    ("CodeSystem/$lookup", {"system": LOINC, "code": "1-1"}, 422, "n'est pas présent ici"),
    ("CodeSystem/$lookup", {"system": PLANTS, "code": "rose"}, 404, "n'est pas dans le système de codes"),
    ("CodeSystem/$lookup", {"system": "urn:nowhere", "code": "a"}, 404, "n'est pas connu ici"),
    ("CodeSystem/$lookup", {"system": PLANTS}, 400, "Indiquez code ou coding."),
    ("CodeSystem/$lookup", {"code": "oak"}, 400, "Indiquez le système du code."),
    ("CodeSystem/$lookup", {"system": PLANTS, "code": "oak", "property": "roots"}, 422, "pas de propriété 'roots'"),
    ("CodeSystem/$subsumes", {"system": PLANTS, "codeA": "oak"}, 400, "Indiquez codeB ou codingB."),
    ("CodeSystem/$validate-code", {"code": "oak"}, 400, "Indiquez url ou le système du code."),
    ("ValueSet/$expand", {}, 400, "Indiquez url ou valueSet."),
    ("ValueSet/$expand", {"url": f"{ACME}/ValueSet/round"}, 422, "s'importe lui-même"),
    ("ValueSet/$expand", {"url": f"{ACME}/ValueSet/large"}, 422, "L'expansion compte"),
    ("ValueSet/$expand", {"url": "http://hl7.org/fhir/ValueSet/body-site"}, 422, "Le contenu du système de codes"),
    ("ValueSet/$expand", {"url": "http://snomed.info/sct?fhir_vs"}, 422, "repose sur un système de codes"),
    ("ValueSet/$expand", {"url": f"{GENDERS}|3"}, 404, "est connue la version"),
    ("ValueSet/$expand", {"url": GENDERS, "count": "-1"}, 400, "ne doit pas être négatif"),
    ("ValueSet/$validate-code", {"url": GENDERS, "context": "urn:x"}, 422, "context n'est pas suivi ici"),
    ("ConceptMap/$translate", {"url": "urn:x", "system": PLANTS, "code": "oak"}, 404, "n'est pas connue ici"),
    ("ValueSet/never/$expand", {}, 404, "ValueSet/never n'est pas connu."),
]


@pytest.mark.parametrize(("path", "asked", "status", "says"), REFUSED)
def test_a_refusal_is_told_in_french(
    client: httpx.Client, path: str, asked: dict[str, str], status: int, says: str
) -> None:
    answer = client.get(path, params=asked, headers=FRENCH)
    assert answer.status_code == status
    assert (answer.headers["content-language"], answer.json()["language"]) == ("fr", "fr")
    assert says in answer.json()["issue"][0]["diagnostics"]
    refused(client.get(path, params=asked), status)


@pytest.mark.parametrize(
    ("headers", "asked", "display"),
    [
        ({}, {}, "Arbre"),
        (FRENCH, {}, "Arbre"),
        (ENGLISH, {}, "Tree"),
        ({"Accept-Language": "*"}, {}, "Arbre"),
        ({"Accept-Language": "de"}, {}, "Arbre"),
        ({"Accept-Language": "de, en;q=0.2"}, {}, "Tree"),
        (ENGLISH, {"displayLanguage": "fr"}, "Arbre"),
        (FRENCH, {"displayLanguage": "en-US"}, "Tree"),
    ],
)
def test_displays_are_in_the_language_that_is_named(
    client: httpx.Client, headers: dict[str, str], asked: dict[str, str], display: str
) -> None:
    code = {"system": PLANTS, "code": "tree", **asked}
    assert one(client.get("CodeSystem/$lookup", params=code, headers=headers), "display") == display
    of_set = {"url": f"{ACME}/ValueSet/plants"}
    assert one(client.get("ValueSet/$validate-code", params=code | of_set, headers=headers), "display") == display
    listed = client.get("ValueSet/$expand", params=of_set | asked, headers=headers)
    assert expanded(listed)["contains"][0]["display"] == display


def test_what_is_said_of_a_code_is_in_the_language_of_the_request(client: httpx.Client) -> None:
    asked = {"url": GENDER, "code": "madame"}
    for headers, more, says in (
        (FRENCH, {}, "n'est pas dans"),
        (ENGLISH, {}, "is not in"),
        ({}, {}, "is not in"),
        (FRENCH, {"displayLanguage": "en"}, "is not in"),
    ):
        answer = client.get("CodeSystem/$validate-code", params=asked | more, headers=headers)
        assert says in one(answer, "message")
    none = client.get("ConceptMap/$translate", params={"system": PLANTS, "code": "fern"}, headers=FRENCH)
    assert "Aucune correspondance" in one(none, "message")


CALLS: Final = [
    f"CodeSystem/$lookup?system={PLANTS}&code=oak",
    f"CodeSystem/$validate-code?url={PLANTS}&code=rose",
    f"CodeSystem/{WORLD}-plants/$subsumes?codeA=oak&codeB=tree",
    f"ValueSet/$validate-code?url={ACME}/ValueSet/plants&system={PLANTS}&code=oak",
    f"ConceptMap/$translate?system={PLANTS}&code=oak",
]


def test_each_is_an_entry_of_a_batch(client: httpx.Client) -> None:
    missing = f"CodeSystem/$lookup?system={PLANTS}&code=rose"
    calls = [*CALLS, missing]
    entries: list[dict[str, Any]] = [{"request": {"method": "GET", "url": url}} for url in calls]
    plants = {"name": "url", "valueUri": f"{ACME}/ValueSet/plants"}
    body = {"resourceType": "Parameters", "parameter": [plants]}
    entries.append({"request": {"method": "POST", "url": "ValueSet/$expand"}, "resource": body})
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answered = client.post("", json=bundle, headers=FHIR_JSON | FRENCH).json()["entry"]
    assert [each["response"]["status"][:3] for each in answered] == ["200"] * len(CALLS) + ["404", "200"]
    for url, entry in zip(CALLS, answered, strict=False):
        assert entry["resource"] == client.get(url, headers=FRENCH).json()
    assert "n'est pas dans" in answered[len(CALLS)]["response"]["outcome"]["issue"][0]["diagnostics"]
    assert answered[-1]["resource"]["expansion"]["total"] == 4


@pytest.mark.parametrize("url", CALLS)
def test_each_is_answered_in_xml(client: httpx.Client, url: str) -> None:
    assert in_xml.told(client.get(url, headers=in_xml.AS_XML)) == client.get(url).json()


def test_each_is_called_in_xml(client: httpx.Client) -> None:
    body = {"resourceType": "Parameters", "parameter": told(system=PLANTS, code="oak")}
    answer = client.post("CodeSystem/$lookup", content=in_xml.xml(body), headers=in_xml.BOTH)
    assert in_xml.told(answer) == client.get(CALLS[0]).json()
    listed = client.get(f"ValueSet/{WORLD}-plants/$expand", headers=in_xml.AS_XML)
    assert codes(in_xml.told(listed)["expansion"]["contains"]) == [("tree", ["oak", "pine"]), "fern"]
    lost = client.get(f"CodeSystem/$lookup?system={PLANTS}&code=rose", headers=in_xml.AS_XML | FRENCH)
    assert (lost.status_code, in_xml.told(lost)["issue"][0]["code"]) == (404, "code-invalid")


# A system of several names is one


CONFIDENTIALITY: Final = (
    "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "https://mos.esante.gouv.fr/NOS/TRE_A08-HL7Confidentiality/FHIR/TRE-A08-HL7Confidentiality",
    "urn:oid:2.16.840.1.113883.5.25",
)
OIDS: Final = "urn:oid:1.2.250.1.213.1.1.5"
"""Of the value sets of the CI-SIS."""
J58: Final = "https://mos.esante.gouv.fr/NOS/JDV_J58-ConfidentialityCode-DMP/FHIR/JDV-J58-ConfidentialityCode-DMP"


@pytest.mark.parametrize("system", CONFIDENTIALITY)
def test_every_operation_takes_every_name_of_a_system(client: httpx.Client, system: str) -> None:
    assert one(get(client, "CodeSystem/$lookup", system=system, code="V"), "display") == "Très restreint"
    assert one(get(client, "CodeSystem/$validate-code", url=system, code="V"), "result") is True
    related = post(client, "CodeSystem/$subsumes", codingA={"system": system, "code": "V"}, codeB="V")
    assert one(related, "outcome") == "equivalent"
    assert one(get(client, "ValueSet/$validate-code", url=J58, system=system, code="V"), "result") is True
    listed = {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [{"system": system}]}}
    told_of = expanded(post(client, "ValueSet/$expand", valueSet=listed, excludeNested=True))
    assert {"N", "R", "V"} <= {each["code"] for each in told_of["contains"]}
    without = post(client, "ValueSet/$expand", valueSet=listed, exclude_system=CONFIDENTIALITY[0])
    assert "contains" not in expanded(without)


def test_a_value_set_is_known_by_its_oid(client: httpx.Client) -> None:
    oid = f"{OIDS}.9"
    by_oid, by_url = (expanded(get(client, "ValueSet/$expand", url=url)) for url in (oid, J58))
    assert (by_oid["contains"], by_oid["identifier"]) == (by_url["contains"], by_url["identifier"])
    answer = get(client, "ValueSet/$validate-code", url=oid, system=CONFIDENTIALITY[0], code="V")
    assert one(answer, "result") is True
    refused(get(client, "ValueSet/$expand", url="urn:oid:1.2.3.4"), 404, "not-found")


def test_all_codes_of_a_code_system_are_the_value_set_that_it_names(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/codesystem-definitions.html#CodeSystem.valueSet: nobody stored this ValueSet."""
    for url in (ALL_PLANTS, f"{ALL_PLANTS}|2"):
        told_of = called(get(client, "ValueSet/$expand", url=url, includeDefinition="true"))
        assert codes(told_of["expansion"]["contains"]) == [("tree", ["oak", "pine"]), "fern"]
        assert (told_of["url"], told_of["compose"]) == (ALL_PLANTS, {"include": [{"system": PLANTS}]})
    assert one(get(client, "ValueSet/$validate-code", url=ALL_PLANTS, system=PLANTS, code="oak"), "result") is True
    refused(get(client, "ValueSet/$expand", url=f"{ALL_PLANTS}|3"), 404, "not-found")
    imports = {"include": [{"valueSet": [ALL_PLANTS]}], "exclude": [{"system": PLANTS, "concept": [{"code": "fern"}]}]}
    brought = {"resourceType": "ValueSet", "status": "draft", "compose": imports}
    assert expanded(post(client, "ValueSet/$expand", valueSet=brought))["total"] == 3


@pytest.fixture(scope="module")
def observed(served: Served) -> Iterator[httpx.Client]:
    """A record with observations, each of a code under another name of its system."""
    subject = {"reference": f"Patient/{WORLD}-found"}
    person = tagged(WORLD, "Patient", "found", identifier=None)

    def observation(id: str, system: str, code: str) -> dict[str, Any]:
        coding = {"coding": [{"system": system, "code": code}]}
        return tagged(WORLD, "Observation", id, status="final", subject=subject, code=coding)

    types = [observation(f"type-{at}", name, "34112-3") for at, name in enumerate((LOINC, A04, LOINC_OID, "urn:o"))]
    labels = [observation(f"label-{at}", name, "V") for at, name in enumerate((*CONFIDENTIALITY, "urn:o"))]
    client = served.as_("conformance")
    with known(served), stored(client, [person, *types, *labels, observation("oak", PLANTS, "oak")]):
        yield client


def found_by(client: httpx.Client, modifier: str, value: str) -> set[str]:
    """The observations of the record that are found."""
    asked = {"subject": f"Patient/{WORLD}-found", f"code{modifier}": value, "_count": "50"}
    answer = client.get("Observation", params=asked, headers={"Prefer": "handling=strict"})
    assert answer.status_code == 200, answer.text
    return {each["resource"]["id"].removeprefix(f"{WORLD}-") for each in answer.json().get("entry", [])}


def numbered(name: str, numbers: range) -> set[str]:
    return {f"{name}-{at}" for at in numbers}


@pytest.mark.parametrize(
    ("names", "code", "kind"), [((LOINC, A04, LOINC_OID), "34112-3", "type"), (CONFIDENTIALITY, "V", "label")]
)
def test_a_search_finds_a_code_whatever_name_it_was_written_with(
    observed: httpx.Client, names: tuple[str, ...], code: str, kind: str
) -> None:
    """https://hl7.org/fhir/R4/search.html#token"""
    for system in names:
        for modifier in ("", ":below", ":above"):
            assert found_by(observed, modifier, f"{system}|{code}") == numbered(kind, range(3)), (system, modifier)
        assert not found_by(observed, ":not", f"{system}|{code}") & numbered(kind, range(3))
    assert found_by(observed, "", f"|{code}") == set()


@pytest.mark.parametrize(
    ("value_set", "kind"),
    [
        (J66, "type"),
        (J58, "label"),
        ("urn:oid:1.2.250.1.213.1.1.5.7", "type"),
        ("urn:oid:1.2.250.1.213.1.1.5.9", "label"),
    ],
)
def test_a_value_set_holds_a_code_whatever_name_it_was_written_with(
    observed: httpx.Client, value_set: str, kind: str
) -> None:
    every = numbered("type", range(4)) | numbered("label", range(4)) | {"oak"}
    assert found_by(observed, ":in", value_set) == numbered(kind, range(3))
    assert found_by(observed, ":not-in", value_set) == every - numbered(kind, range(3))


def test_a_search_goes_by_the_value_set_that_a_code_system_names(observed: httpx.Client) -> None:
    assert found_by(observed, ":in", ALL_PLANTS) == {"oak"}
