"""Every modifier on every type of parameter that takes it.

https://hl7.org/fhir/R4/search.html#modifiers · #string · #token · #reference · #recursive · #missing
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import INS_TEST, LOINC, TAGS, UCUM, Pair, coded, found, names, pointer, stored, tagged
from tests.served import Served

WORLD = "modif"
TAG = ("_tag", f"{TAGS}|{WORLD}")
PATIENT = pointer("Patient", f"{WORLD}-eve")
V2_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
UNKNOWN = {
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"},
    ]
}
ACME = "https://acme.example/fhir"


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def patient(id: str, ins: str, family: str, *given: str, **members: Any) -> dict[str, Any]:
    identifiers = [{"system": INS_TEST, "value": ins}, *members.pop("identifier", [])]
    return made("Patient", id, identifier=identifiers, name=[{"family": family, "given": list(given)}], **members)


def observation(id: str, **members: Any) -> dict[str, Any]:
    return made("Observation", id, **{"subject": PATIENT, **members})


def place(id: str, *, within: str | None = None) -> dict[str, Any]:
    return made("Location", id, name=id, partOf=pointer("Location", f"{WORLD}-{within}") if within else None)


def value_set(id: str, **members: Any) -> dict[str, Any]:
    return made("ValueSet", id, status="active", **{"url": f"{ACME}/ValueSet/{id}", **members})


def world() -> list[dict[str, Any]]:
    return [
        patient(
            "eve",
            "190017505600361",
            "Carreno Quinones",
            "Eve",
            gender="female",
            birthDate="1990-01-02",
            active=True,
            telecom=[{"system": "phone", "value": "+33 1 23"}],
            identifier=[
                {
                    "system": "urn:chu",
                    "value": "446053",
                    "type": {**coded("MR", V2_TYPES), "text": "Numéro de dossier"},
                },
                {"value": "sans-système"},
            ],
            managingOrganization=pointer("Organization", f"{WORLD}-org"),
        ),
        patient("evelyn", "190017505600362", "ÉVELYN", "EVELYN", gender="male", active=False),
        patient("severine", "190017505600363", "Évelyn", "Séverine"),
        patient("absent", "190017505600364", "Absent", "Zoé", _gender=UNKNOWN, _birthDate=UNKNOWN, _active=UNKNOWN),
        made("Organization", "org", name="Clinique"),
        place("site"),
        place("building", within="site"),
        place("ward", within="building"),
        place("elsewhere"),
        *(
            made(
                "Procedure",
                f"at-{where}",
                subject=PATIENT,
                location=pointer("Location", f"{WORLD}-{where}"),
                performedDateTime=None,
            )
            for where in ("site", "building", "ward", "elsewhere")
        ),
        made(
            "Condition",
            "headache",
            subject=PATIENT,
            code={**coded("25064002", "http://snomed.info/sct", "Headache"), "text": "Céphalée de tension"},
        ),
        made("Condition", "bare", subject=PATIENT, code=coded("ha125", "urn:acme")),
        observation("nothing", effectiveDateTime=None),
        observation(
            "all",
            code=coded("8480-6", LOINC),
            effectiveDateTime="2026-01-02",
            valueQuantity={"value": 5, "system": UCUM, "code": "mm"},
            encounter=pointer("Encounter", f"{WORLD}-stay"),
            category=[coded("vital-signs", "urn:cat"), coded("exam", "urn:cat")],
            performer=[{"identifier": {"system": "urn:rpps", "value": "899"}, "display": "Dr"}],
        ),
        made("Encounter", "stay", subject=PATIENT),
        made("Procedure", "versioned", subject=PATIENT, encounter={"reference": f"Encounter/{WORLD}-stay/_history/1"}),
        made("ChargeItem", "factor", subject=PATIENT, factorOverride=1.5),
        made("ChargeItem", "plain", subject=PATIENT),
        value_set("123"),
        value_set("124", version="2B-rc"),
        value_set("under", url=f"{ACME}/ValueSet/123/_history/5"),
        value_set("beside", url=f"{ACME}/ValueSet/1234"),
        value_set("urn", url="urn:oid:1.2.3.4.5"),
        *(
            made(
                "QuestionnaireResponse",
                f"form{version}",
                subject=PATIENT,
                questionnaire=f"{ACME}/Questionnaire/form{bar}{version}",
            )
            for bar, version in (("", ""), ("|", "1.0"), ("|", "1.1"), ("|", "10"), ("|", "2.0"))
        ),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, *pairs: Pair) -> set[str]:
    """What is found in this world."""
    return set(names(found(client, type, TAG, *pairs, ("_count", "1000")), WORLD))


Case = tuple[str, str, str, set[str]]

PATIENTS = {"eve", "evelyn", "severine", "absent"}
OBSERVATIONS = {"nothing", "all"}
PLACES = {"site", "building", "ward", "elsewhere"}

MISSING: list[tuple[str, str, set[str], set[str]]] = [
    # parameter, those that lack it; of a primitive that has extensions alone there is no value
    ("Patient", "gender", {"severine", "absent"}, PATIENTS),
    ("Patient", "birthdate", {"evelyn", "severine", "absent"}, PATIENTS),
    ("Patient", "active", {"severine", "absent"}, PATIENTS),
    ("Patient", "family", set(), PATIENTS),
    ("Patient", "name", set(), PATIENTS),
    ("Patient", "address", PATIENTS, PATIENTS),
    ("Patient", "address-city", PATIENTS, PATIENTS),
    ("Patient", "telecom", PATIENTS - {"eve"}, PATIENTS),
    ("Patient", "identifier", set(), PATIENTS),
    ("Patient", "organization", PATIENTS - {"eve"}, PATIENTS),
    ("Patient", "death-date", PATIENTS, PATIENTS),
    ("Patient", "phonetic", set(), PATIENTS),
    ("Patient", "_id", set(), PATIENTS),
    ("Patient", "_lastUpdated", set(), PATIENTS),
    ("Patient", "_profile", PATIENTS, PATIENTS),
    ("Patient", "_security", PATIENTS, PATIENTS),
    ("Patient", "_tag", set(), PATIENTS),
    ("ChargeItem", "factor-override", {"plain"}, {"plain", "factor"}),
    ("Observation", "date", OBSERVATIONS - {"all"}, OBSERVATIONS),
    ("Observation", "value-quantity", OBSERVATIONS - {"all"}, OBSERVATIONS),
    ("Observation", "code-value-quantity", OBSERVATIONS - {"all"}, OBSERVATIONS),
    ("Observation", "encounter", OBSERVATIONS - {"all"}, OBSERVATIONS),
    ("Observation", "performer", OBSERVATIONS - {"all"}, OBSERVATIONS),
    ("Observation", "category", OBSERVATIONS - {"all"}, OBSERVATIONS),
    ("Observation", "subject", set(), OBSERVATIONS),
    ("Observation", "patient", set(), OBSERVATIONS),
    ("Location", "partof", {"site", "elsewhere"}, PLACES),
    ("ValueSet", "url", set(), {"123", "124", "under", "beside", "urn"}),
]


@pytest.mark.parametrize(("type", "name", "lacking", "every"), MISSING, ids=[f"{one[0]}-{one[1]}" for one in MISSING])
def test_missing_tells_whether_there_is_a_value(
    client: httpx.Client, type: str, name: str, lacking: set[str], every: set[str]
) -> None:
    assert asked(client, type, (f"{name}:missing", "true")) == lacking
    assert asked(client, type, (f"{name}:missing", "false")) == every - lacking


def test_missing_and_a_value_never_go_together(client: httpx.Client) -> None:
    """The example of the standard: no resource can satisfy both."""
    assert asked(client, "Patient", ("gender", "female"), ("gender:missing", "true")) == set()


STRINGS: list[Case] = [
    # the examples of the standard
    ("Patient", "given", "eve", {"eve", "evelyn"}),
    ("Patient", "given:contains", "eve", {"eve", "evelyn", "severine"}),
    ("Patient", "given:exact", "Eve", {"eve"}),
    ("Patient", "given:exact", "eve", set()),
    ("Patient", "given:exact", "EVE", set()),
    ("Patient", "given:exact", "Evelyn", set()),
    ("Patient", "given:exact", "Ev", set()),
    ("Patient", "given:exact", "Severine", set()),
    ("Patient", "given:exact", "Séverine", {"severine"}),
    ("Patient", "given", "SEVERINE", {"severine"}),
    ("Patient", "given", "séve", {"severine"}),
    ("Patient", "given", "everine", set()),
    ("Patient", "given:contains", "VÉRI", {"severine"}),
    ("Patient", "family", "evelyn", {"evelyn", "severine"}),
    ("Patient", "family:exact", "Évelyn", {"severine"}),
    ("Patient", "family:exact", "Évelyn,ÉVELYN", {"evelyn", "severine"}),
    ("Patient", "family", "carreno  quinones", {"eve"}),
    ("Patient", "family", "CARREÑO", {"eve"}),
    ("Patient", "family", "quinones", set()),  # a name is found by its beginning, not by each of its words
    ("Patient", "family:contains", "quinones", {"eve"}),
    ("Patient", "name", "eve", PATIENTS - {"absent"}),
    ("Patient", "name:contains", "verine", {"severine"}),
    ("Patient", "given", "sev,evelyn", {"severine", "evelyn"}),
]


@pytest.mark.parametrize(("type", "name", "value", "expected"), STRINGS)
def test_a_text_is_found_by_its_beginning_its_inside_or_letter_by_letter(
    client: httpx.Client, type: str, name: str, value: str, expected: set[str]
) -> None:
    assert asked(client, type, (name, value)) == expected


TOKENS: list[Case] = [
    ("Patient", "gender", "female", {"eve"}),
    ("Patient", "gender", "http://hl7.org/fhir/administrative-gender|female", {"eve"}),
    ("Patient", "gender", "urn:other|female", set()),
    ("Patient", "gender:not", "male", {"eve", "severine", "absent"}),
    ("Patient", "gender:not", "male,female", {"severine", "absent"}),
    ("Patient", "active", "true", {"eve"}),
    ("Patient", "active", "false", {"evelyn"}),
    ("Patient", "active:not", "true", PATIENTS - {"eve"}),
    ("Patient", "telecom", "+33 1 23", {"eve"}),
    ("Patient", "identifier", "urn:chu|446053", {"eve"}),
    ("Patient", "identifier", "446053", {"eve"}),
    ("Patient", "identifier", "|446053", set()),
    ("Patient", "identifier", "|sans-système", {"eve"}),
    ("Patient", "identifier", "urn:chu|", {"eve"}),
    ("Patient", "identifier", "urn:chu|44605", set()),
    ("Patient", "identifier:of-type", f"{V2_TYPES}|MR|446053", {"eve"}),
    ("Patient", "identifier:of-type", f"{V2_TYPES}|MR|446054", set()),
    ("Patient", "identifier:of-type", f"{V2_TYPES}|SS|446053", set()),
    ("Patient", "identifier:text", "numero", {"eve"}),
    ("Patient", "identifier:text", "dossier", set()),
    ("Condition", "code", "http://snomed.info/sct|25064002", {"headache"}),
    ("Condition", "code", "ha125", {"bare"}),
    ("Condition", "code:text", "headache", {"headache"}),
    ("Condition", "code:text", "cephalee", {"headache"}),
    ("Condition", "code:text", "TENSION", set()),
    ("Condition", "code:text", "head,autre", {"headache"}),
    ("Condition", "code:not", "ha125", {"headache"}),
    # a text has no case, a code has
    ("ValueSet", "version", "2B-rc", {"124"}),
    ("ValueSet", "version", "2b-RC", {"124"}),
    ("ValueSet", "version", "2b", set()),
    ("Patient", "gender", "FEMALE", set()),
    ("Observation", "category", "exam", {"all"}),
    # the negation applies to the set, not to each entry: `all` has another category besides
    ("Observation", "category:not", "exam", OBSERVATIONS - {"all"}),
    ("Observation", "category:not", "vital-signs,exam", OBSERVATIONS - {"all"}),
]


@pytest.mark.parametrize(("type", "name", "value", "expected"), TOKENS)
def test_a_token_is_found_by_system_code_and_text(
    client: httpx.Client, type: str, name: str, value: str, expected: set[str]
) -> None:
    assert asked(client, type, (name, value)) == expected


URIS: list[Case] = [
    ("ValueSet", "url", f"{ACME}/ValueSet/123", {"123"}),
    ("ValueSet", "url", f"{ACME}/ValueSet/12", set()),
    ("ValueSet", "url", f"{ACME}/valueset/123", set()),
    ("ValueSet", "url", f"{ACME}/ValueSet/123,{ACME}/ValueSet/124", {"123", "124"}),
    ("ValueSet", "url", "urn:oid:1.2.3.4.5", {"urn"}),
    ("ValueSet", "url:below", f"{ACME}/ValueSet/123", {"123", "under", "beside"}),
    ("ValueSet", "url:below", f"{ACME}/", {"123", "124", "under", "beside"}),
    ("ValueSet", "url:above", f"{ACME}/ValueSet/123/_history/5", {"123", "under"}),
    ("ValueSet", "url:above", f"{ACME}/ValueSet/1234", {"beside", "123"}),
    ("ValueSet", "url:below", "urn:oid:1.2.3.4", set()),
    ("ValueSet", "url:above", "urn:oid:1.2.3.4.5.6", set()),
    # a version after a bar is one of the resource
    ("ValueSet", "url", f"{ACME}/ValueSet/124|2B-rc", {"124"}),
    ("ValueSet", "url", f"{ACME}/ValueSet/124|2b-RC", {"124"}),
    ("ValueSet", "url", f"{ACME}/ValueSet/124|1", set()),
]


@pytest.mark.parametrize(("type", "name", "value", "expected"), URIS)
def test_a_uri_is_found_whole_or_by_its_place(
    client: httpx.Client, type: str, name: str, value: str, expected: set[str]
) -> None:
    assert asked(client, type, (name, value)) == expected


FORM = f"{ACME}/Questionnaire/form"

REFERENCES: list[Case] = [
    ("Observation", "encounter", f"{WORLD}-stay", {"all"}),
    ("Observation", "encounter", f"Encounter/{WORLD}-stay", {"all"}),
    ("Observation", "encounter:Encounter", f"{WORLD}-stay", {"all"}),
    ("Observation", "encounter", "Encounter/unheard-of", set()),
    ("Procedure", "encounter", f"Encounter/{WORLD}-stay", {"versioned"}),  # whatever version is referred to
    ("Observation", "subject:Patient", f"{WORLD}-eve", OBSERVATIONS),
    ("Observation", "subject:Group", f"{WORLD}-eve", set()),
    ("Observation", "performer:identifier", "urn:rpps|899", {"all"}),
    ("Observation", "performer:identifier", "899", {"all"}),
    ("Observation", "performer:identifier", "urn:rpps|", {"all"}),
    ("Observation", "performer:identifier", "|899", set()),
    # places within places
    ("Procedure", "location", f"{WORLD}-building", {"at-building"}),
    ("Procedure", "location:below", f"{WORLD}-building", {"at-building", "at-ward"}),
    ("Procedure", "location:below", f"Location/{WORLD}-site", {"at-site", "at-building", "at-ward"}),
    ("Procedure", "location:above", f"{WORLD}-ward", {"at-site", "at-building", "at-ward"}),
    ("Procedure", "location:above", f"{WORLD}-site", {"at-site"}),
    ("Procedure", "location:below", f"{WORLD}-ward,{WORLD}-elsewhere", {"at-ward", "at-elsewhere"}),
    ("Procedure", "location:below", "unheard-of", set()),
    ("Location", "partof:below", f"{WORLD}-site", {"building", "ward"}),
    ("Location", "partof:above", f"{WORLD}-building", {"building", "ward"}),
    # a canonical whatever its version, of one version, and of a version with what is under it
    ("QuestionnaireResponse", "questionnaire", FORM, {"form", "form1.0", "form1.1", "form10", "form2.0"}),
    ("QuestionnaireResponse", "questionnaire", f"{FORM}|1.1", {"form1.1"}),
    ("QuestionnaireResponse", "questionnaire:below", FORM, {"form", "form1.0", "form1.1", "form10", "form2.0"}),
    ("QuestionnaireResponse", "questionnaire:below", f"{FORM}|1", {"form1.0", "form1.1"}),
    ("QuestionnaireResponse", "questionnaire:below", f"{FORM}|10", {"form10"}),
]


@pytest.mark.parametrize(("type", "name", "value", "expected"), REFERENCES)
def test_a_reference_is_found_by_id_type_identifier_and_place(
    client: httpx.Client, type: str, name: str, value: str, expected: set[str]
) -> None:
    assert asked(client, type, (name, value)) == expected


def test_a_reference_by_its_whole_address_and_one_without_are_the_same(served: Served, client: httpx.Client) -> None:
    assert asked(client, "Observation", ("encounter", f"{served.base}/Encounter/{WORLD}-stay")) == {"all"}
    assert asked(client, "Observation", ("encounter", f"https://elsewhere.example/Encounter/{WORLD}-stay")) == set()


WRONG: list[tuple[str, str, str]] = [
    ("Patient", "gender:exact", "male"),
    ("Patient", "gender:contains", "male"),
    ("Patient", "gender:of-type", "a|b|c"),
    ("Patient", "name:not", "eve"),
    ("Patient", "name:text", "eve"),
    ("Patient", "name:below", "eve"),
    ("Patient", "name:in", "eve"),
    ("Patient", "birthdate:exact", "1990"),
    ("Patient", "birthdate:not", "1990"),
    ("Patient", "birthdate:text", "1990"),
    ("Patient", "organization:exact", "x"),
    ("Patient", "organization:not", "x"),
    ("Patient", "organization:Patient", "x"),
    ("Patient", "organization:unheard", "x"),
    ("Patient", "organization:iterate", "x"),
    ("Patient", "name:unheard", "x"),
    ("Patient", "gender:", "male"),
    ("Patient", "_lastUpdated:exact", "2020"),
    ("Patient", "_id:exact", "x"),
    ("Observation", "value-quantity:below", "5"),
    ("Observation", "value-quantity:exact", "5"),
    ("Observation", "code-value-quantity:not", "a$5"),
    ("Observation", "encounter:below", "x"),
    ("Observation", "encounter:identifier.status", "x"),
    ("ChargeItem", "factor-override:not", "5"),
    ("ValueSet", "url:contains", "x"),
    ("ValueSet", "url:not", "x"),
    ("ValueSet", "url:identifier", "x"),
    ("QuestionnaireResponse", "questionnaire:identifier", "a|b"),
    ("Patient", "gender:missing", "yes"),
    ("Patient", "gender:missing", "TRUE"),
    ("Patient", "gender:missing", "true,false"),
]


@pytest.mark.parametrize(("type", "name", "value"), WRONG)
@pytest.mark.parametrize("handling", ["strict", "lenient"])
def test_a_modifier_that_does_not_go_with_its_parameter_is_always_refused(
    client: httpx.Client, type: str, name: str, value: str, handling: str
) -> None:
    """The standard: the server SHALL reject a modifier that it does not support for that parameter."""
    told = refused(client.get(type, params={name: value}, headers={"Prefer": f"handling={handling}"}), 400)
    assert told["expression"] == [f"http.{name.partition(':')[0]}"]
