"""The terminology operations as their users meet them. docs/interactions/terminology.md

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fhir_server.operations.value_set_expand import MOST_LISTED
from tests.answers import refused
from tests.http.invoking import called, parts, values
from tests.http.searching import stored, tagged
from tests.served import FHIR_JSON, Served

WORLD = "terms"
ACME = "https://acme.example/fhir"
PLANTS = f"{ACME}/CodeSystem/plants"
LARGE = f"{ACME}/CodeSystem/large"
J66 = "https://mos.esante.gouv.fr/NOS/JDV_J66-TypeCode-DMP/FHIR/JDV-J66-TypeCode-DMP"
X16 = "https://mos.esante.gouv.fr/NOS/ASS_X16-CorrespondanceType-Classe-DMP/FHIR/ASS-X16-CorrespondanceType-Classe-DMP"
CLASSES = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
LOINC, A04, LOINC_OID = (
    "http://loinc.org",
    "https://mos.esante.gouv.fr/NOS/TRE_A04-Loinc/FHIR/TRE-A04-Loinc",
    "urn:oid:2.16.840.1.113883.6.1",
)
ROLE_CODE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, status="active", **({"url": f"{ACME}/{type}/{id}"} | members))


TREE = {
    "code": "tree",
    "display": "Arbre",
    "designation": [{"language": "en", "value": "Tree"}],
    "concept": [
        {"code": "oak", "display": "Chêne", "property": [{"code": "leaf", "valueCode": "lobed"}]},
        {"code": "pine", "display": "Pin", "property": [{"code": "leaf", "valueCode": "needle"}]},
    ],
}


def world() -> list[dict[str, Any]]:
    return [
        made(
            "CodeSystem",
            "plants",
            version="2",
            name="Plants",
            title="Plantes",
            content="complete",
            property=[
                {"code": "leaf", "type": "code", "description": "The shape of the leaf"},
                {"code": "status", "type": "code"},
            ],
            concept=[TREE, {"code": "fern", "property": [{"code": "status", "valueCode": "retired"}]}],
        ),
        made("CodeSystem", "large", content="complete", concept=[{"code": f"c{at}"} for at in range(MOST_LISTED + 10)]),
        made("ValueSet", "plants", version="1", compose={"include": [{"system": PLANTS}]}),
        made("ValueSet", "large", compose={"include": [{"system": LARGE}]}),
        made(
            "ValueSet",
            "lobed",
            compose={"include": [{"system": PLANTS, "filter": [{"property": "leaf", "op": "=", "value": "lobed"}]}]},
        ),
        made("ValueSet", "round", compose={"include": [{"valueSet": [f"{ACME}/ValueSet/round"]}]}),
        made("ValueSet", "loinc", compose={"include": [{"system": LOINC}]}),
        made(
            "ConceptMap",
            "plants",
            version="3",
            sourceUri=f"{ACME}/ValueSet/plants",
            group=[
                {
                    "source": PLANTS,
                    "target": "urn:wood",
                    "element": [
                        {"code": "oak", "target": [{"code": "hard", "display": "Hardwood", "equivalence": "wider"}]},
                        {"code": "fern", "target": [{"equivalence": "unmatched"}]},
                    ],
                }
            ],
        ),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """A doctor, who sees what a conformance client stored."""
    with stored(served.as_("conformance"), world()):
        yield served.as_("medecin-traitant")


def told(**given: Any) -> list[dict[str, Any]]:
    """Parameters by their names; resources and complex values as they are."""
    listed = []
    for word, value in given.items():
        name = word.replace("_", "-")
        if isinstance(value, dict) and "resourceType" in value:
            listed.append({"name": name, "resource": value})
        elif isinstance(value, dict):
            kind = "CodeableConcept" if name == "codeableConcept" else "Coding"
            listed.append({"name": name, f"value{kind}": value})
        else:
            listed.append({"name": name, f"value{KINDS.get(name, 'Code')}": value})
    return listed


KINDS = {
    "url": "Uri",
    "system": "Uri",
    "display": "String",
    "filter": "String",
    "count": "Integer",
    "offset": "Integer",
}
KINDS |= dict.fromkeys(("version", "valueSetVersion", "systemVersion", "conceptMapVersion", "designation"), "String")
KINDS |= dict.fromkeys(("activeOnly", "abstract", "reverse", "includeDefinition", "includeDesignations"), "Boolean")
KINDS |= dict.fromkeys(("excludeNested", "excludeNotForUI", "excludePostCoordinated"), "Boolean")
KINDS |= dict.fromkeys(("source", "target", "targetsystem", "context"), "Uri")
KINDS |= dict.fromkeys(("exclude-system", "system-version", "check-system-version"), "Canonical")
KINDS |= {"force-system-version": "Canonical", "date": "DateTime"}


def post(client: httpx.Client, path: str, **given: Any) -> httpx.Response:
    return client.post(path, json={"resourceType": "Parameters", "parameter": told(**given)}, headers=FHIR_JSON)


def get(client: httpx.Client, path: str, **given: str) -> httpx.Response:
    return client.get(path, params={name.replace("_", "-"): value for name, value in given.items()})


def one(answer: httpx.Response, name: str) -> Any:
    """The one value of a parameter of an answer that is as its definition says; nothing where it is not told."""
    found = values(called(answer), name)
    assert len(found) <= 1
    return found[0] if found else None


def codes(contains: list[dict[str, Any]]) -> list[Any]:
    return [(each["code"], codes(each["contains"])) if "contains" in each else each["code"] for each in contains]


def expanded(answer: httpx.Response) -> Any:
    return called(answer)["expansion"]


# $lookup


def test_a_code_that_a_list_names_is_known_under_each_name_of_its_system(client: httpx.Client) -> None:
    for system in (LOINC, A04, LOINC_OID):
        answer = get(client, "CodeSystem/$lookup", system=system, code="34112-3")
        assert one(answer, "display") == "CR hospitalier (séjour)"
    by_coding = post(client, "CodeSystem/$lookup", coding={"system": LOINC, "code": "34112-3"}, displayLanguage="en")
    assert one(by_coding, "display") == "Hospital Note"


def test_what_a_stored_system_says_of_a_code(client: httpx.Client) -> None:
    answer = get(client, "CodeSystem/$lookup", system=PLANTS, code="oak")
    assert (one(answer, "name"), one(answer, "version"), one(answer, "display")) == ("Plantes", "2", "Chêne")
    properties = {each["code"]: each for each in parts(called(answer), "property")}
    assert properties["leaf"] == {"code": "leaf", "value": "lobed", "description": "The shape of the leaf"}
    assert (properties["parent"]["value"], properties["inactive"]["value"]) == ("tree", False)
    only = get(client, "CodeSystem/$lookup", system=PLANTS, code="tree", property="child")
    assert [each["value"] for each in parts(called(only), "property")] == ["oak", "pine"]
    assert parts(called(only), "designation") == []
    fern = parts(called(get(client, "CodeSystem/$lookup", system=PLANTS, code="fern")), "property")
    assert {"code": "inactive", "value": True} in fern


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"system": LOINC, "code": "1-1"}, 422, "not-supported"),
        ({"system": "http://snomed.info/sct", "code": "1"}, 422, "not-supported"),
        ({"system": ROLE_CODE, "code": "nobody"}, 404, "code-invalid"),
        ({"system": ROLE_CODE, "code": "MTH", "version": "1"}, 404, "not-found"),
        ({"system": "urn:nowhere", "code": "1"}, 404, "not-found"),
        ({"system": "http://hl7.org/fhir/CodeSystem/example-supplement", "code": "chol-mmol"}, 422, "not-supported"),
        ({"system": PLANTS, "code": "oak", "property": "roots"}, 422, "not-supported"),
        ({"code": "oak"}, 400, "required"),
        ({"system": PLANTS}, 400, "required"),
        ({"system": PLANTS, "code": "oak", "date": "yesterday"}, 400, "value"),
        ({"system": PLANTS, "code": "oak", "colour": "red"}, 400, "not-supported"),
        ({"coding": "oak"}, 400, "not-supported"),
    ],
)
def test_a_code_that_cannot_be_looked_up(client: httpx.Client, asked: dict[str, str], status: int, code: str) -> None:
    refused(get(client, "CodeSystem/$lookup", **asked), status, code)


def test_a_code_may_be_told_once(client: httpx.Client) -> None:
    coding = {"system": PLANTS, "code": "oak"}
    refused(post(client, "CodeSystem/$lookup", code="oak", coding=coding), 400, "invalid")
    refused(post(client, "CodeSystem/$lookup", system=PLANTS, coding=coding), 400, "invalid")
    refused(post(client, "CodeSystem/$lookup", coding={"system": PLANTS}), 400, "required")


# $validate-code of a code system


def test_a_system_has_a_code_or_not(client: httpx.Client) -> None:
    path = "CodeSystem/$validate-code"
    yes = get(client, path, url=GENDER, code="male")
    assert (one(yes, "result"), one(yes, "display"), one(yes, "message")) == (True, "Male", None)
    no = get(client, path, url=GENDER, code="madame")
    assert (one(no, "result"), one(no, "message")) == (False, f"The code madame is not in the code system {GENDER}.")
    french = get(client, path, url=GENDER, code="madame", displayLanguage="fr-FR")
    assert one(french, "message") == f"Le code madame n'est pas dans le système de codes {GENDER}."
    assert one(post(client, path, coding={"system": ROLE_CODE, "code": "MTH"}), "result") is True
    assert one(get(client, path, url=f"{ROLE_CODE}|2018-08-12", code="MTH"), "result") is True
    for instance in (f"CodeSystem/{WORLD}-plants", "CodeSystem/v3-RoleCode"):
        code = "oak" if "plants" in instance else "MTH"
        assert one(get(client, f"{instance}/$validate-code", code=code), "result") is True
        assert one(get(client, f"{instance}/$validate-code", code="never"), "result") is False


def test_a_display_that_is_another_is_told_and_makes_no_difference(client: httpx.Client) -> None:
    asked = {"url": PLANTS, "code": "tree"}
    for display in ("Arbre", "arbre", "Tree"):
        assert one(get(client, "CodeSystem/$validate-code", display=display, **asked), "message") is None
    other = get(client, "CodeSystem/$validate-code", display="Buisson", displayLanguage="fr", **asked)
    assert one(other, "result") is True
    assert one(other, "message") == "Le code tree ne s'appelle pas 'Buisson' ici ; il s'appelle 'Arbre'."
    assert "no longer" in one(get(client, "CodeSystem/$validate-code", url=PLANTS, code="fern"), "message")


def test_a_code_of_another_system_is_not_in_this_one(client: httpx.Client) -> None:
    answer = post(client, "CodeSystem/$validate-code", url=GENDER, coding={"system": ROLE_CODE, "code": "male"})
    assert one(answer, "result") is False
    assert ROLE_CODE in one(answer, "message")
    several = {"coding": [{"system": ROLE_CODE, "code": "x"}, {"system": GENDER, "code": "male"}]}
    assert one(post(client, "CodeSystem/$validate-code", url=GENDER, codeableConcept=several), "result") is True


def test_a_code_system_may_be_brought_along(client: httpx.Client) -> None:
    system = {"resourceType": "CodeSystem", "url": "urn:brought", "status": "draft", "content": "complete"}
    brought = system | {"concept": [{"code": "a"}]}
    path = "CodeSystem/$validate-code"
    assert one(post(client, path, codeSystem=brought, code="a"), "result") is True
    assert one(post(client, path, codeSystem=brought, code="b"), "result") is False
    refused(post(client, path, codeSystem=brought | {"content": "fragment"}, code="b"), 422, "not-supported")
    refused(post(client, path, codeSystem={"resourceType": "ValueSet", "status": "draft"}, code="b"), 400, "invalid")
    refused(post(client, path, codeSystem=brought, url=GENDER, code="b"), 400, "invalid")
    refused(get(client, f"CodeSystem/{WORLD}-plants/$validate-code", url=GENDER, code="b"), 400, "invalid")


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"url": LOINC, "code": "1-1"}, 422, "not-supported"),
        ({"url": "urn:nowhere", "code": "1"}, 404, "not-found"),
        ({"url": GENDER, "code": "male", "version": "3"}, 404, "not-found"),
        ({"code": "male"}, 400, "required"),
        ({"url": GENDER}, 400, "required"),
    ],
)
def test_what_cannot_be_told_of_a_system_is_no_answer(
    client: httpx.Client, asked: dict[str, str], status: int, code: str
) -> None:
    refused(get(client, "CodeSystem/$validate-code", **asked), status, code)


# $subsumes


def test_how_codes_lie_to_each_other(client: httpx.Client) -> None:
    path = "CodeSystem/$subsumes"
    told = {
        (a, b): one(get(client, path, system=ROLE_CODE, codeA=a, codeB=b), "outcome")
        for a, b in (("PRN", "MTH"), ("MTH", "PRN"), ("MTH", "MTH"), ("MTH", "FTH"))
    }
    assert [*told.values()] == ["subsumes", "subsumed-by", "equivalent", "not-subsumed"]
    assert one(get(client, f"CodeSystem/{WORLD}-plants/$subsumes", codeA="tree", codeB="oak"), "outcome") == "subsumes"
    codings = {f"coding{side}": {"system": PLANTS, "code": code} for side, code in (("A", "oak"), ("B", "tree"))}
    assert one(post(client, path, **codings), "outcome") == "subsumed-by"
    codings["codingB"]["system"] = ROLE_CODE
    refused(post(client, path, **codings), 400, "invalid")
    refused(get(client, path, system=LOINC, codeA="34112-3", codeB="1-1"), 422, "not-supported")
    refused(get(client, path, system=ROLE_CODE, codeA="MTH"), 400, "required")
    refused(get(client, path, codeA="MTH", codeB="PRN"), 400, "required")


# $expand


def test_a_value_set_is_listed_with_what_stands_below_what(client: httpx.Client) -> None:
    for answer in (
        get(client, "ValueSet/$expand", url=f"{ACME}/ValueSet/plants"),
        get(client, f"ValueSet/{WORLD}-plants/$expand"),
        post(client, "ValueSet/$expand", url=f"{ACME}/ValueSet/plants", valueSetVersion="1"),
    ):
        told = expanded(answer)
        assert codes(told["contains"]) == [("tree", ["oak", "pine"]), "fern"]
        assert told["total"] == 4
        assert {"name": "used-codesystem", "valueUri": f"{PLANTS}|2"} in told["parameter"]
        assert told["identifier"].startswith("urn:uuid:")
    assert [one["inactive"] for one in told["contains"] if one["code"] == "fern"] == [True]


def test_what_is_listed_is_what_was_asked_for(client: httpx.Client) -> None:
    url = f"{ACME}/ValueSet/plants"

    def listed(**asked: str) -> list[Any]:
        return codes(expanded(get(client, "ValueSet/$expand", url=url, **asked)).get("contains", []))

    assert listed(excludeNested="true") == ["tree", "oak", "pine", "fern"]
    assert listed(activeOnly="true") == [("tree", ["oak", "pine"])]
    assert listed(filter="chen") == ["oak"]
    assert listed(count="2", offset="1") == ["oak", "pine"]
    assert listed(count="0") == []
    assert listed(exclude_system=PLANTS) == []
    assert listed(exclude_system=f"{PLANTS}|9") == [("tree", ["oak", "pine"]), "fern"]
    assert listed(system_version=f"{PLANTS}|2") == [("tree", ["oak", "pine"]), "fern"]
    lobed = expanded(get(client, "ValueSet/$expand", url=f"{ACME}/ValueSet/lobed"))
    assert codes(lobed["contains"]) == ["oak"]
    english = expanded(get(client, "ValueSet/$expand", url=url, displayLanguage="en", includeDesignations="true"))
    assert english["contains"][0]["display"] == "Tree"
    assert english["contains"][0]["designation"] == [{"language": "fr", "value": "Arbre"}]
    assert {"name": "displayLanguage", "valueCode": "en"} in english["parameter"]


def test_the_same_expansion_has_the_same_identifier(client: httpx.Client) -> None:
    first, second = (expanded(get(client, "ValueSet/$expand", url=GENDERS)) for _ in range(2))
    other = expanded(get(client, "ValueSet/$expand", url=GENDERS, count="1"))
    assert first["identifier"] == second["identifier"] != other["identifier"]


def test_the_lists_of_the_dmp_are_found_by_their_words(client: httpx.Client) -> None:
    told = expanded(get(client, "ValueSet/$expand", url=J66, filter="cr hosp"))
    assert {each["display"] for each in told["contains"]} >= {"CR hospitalier (séjour)"}
    assert told["total"] == len(told["contains"])


def test_a_value_set_may_be_brought_along_and_rest_on_what_is_stored(client: httpx.Client) -> None:
    brought = {
        "resourceType": "ValueSet",
        "status": "draft",
        "compose": {
            "include": [{"valueSet": [f"{ACME}/ValueSet/plants"]}],
            "exclude": [{"system": PLANTS, "concept": [{"code": "fern"}]}],
        },
    }
    assert codes(expanded(post(client, "ValueSet/$expand", valueSet=brought))["contains"]) == [
        ("tree", ["oak", "pine"])
    ]
    assert one(post(client, "ValueSet/$validate-code", valueSet=brought, system=PLANTS, code="fern"), "result") is False


def test_a_definition_comes_along_where_it_is_wanted(client: httpx.Client) -> None:
    for url in (GENDERS, f"{ACME}/ValueSet/plants"):
        assert "compose" not in called(get(client, "ValueSet/$expand", url=url))
        whole = called(get(client, "ValueSet/$expand", url=url, includeDefinition="true"))
        assert whole["compose"]["include"][0]["system"] in (GENDER, PLANTS)


def test_a_large_value_set_is_listed_page_by_page(client: httpx.Client) -> None:
    url = f"{ACME}/ValueSet/large"
    refused(get(client, "ValueSet/$expand", url=url), 422, "too-costly")
    refused(get(client, "ValueSet/$expand", url=url, count=str(MOST_LISTED + 1)), 422, "too-costly")
    last = expanded(get(client, "ValueSet/$expand", url=url, count="20", offset=str(MOST_LISTED)))
    assert (last["total"], last["offset"], len(last["contains"])) == (MOST_LISTED + 10, MOST_LISTED, 10)
    assert codes(expanded(get(client, "ValueSet/$expand", url=url, filter="c5009"))["contains"]) == ["c5009"]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({}, 400, "required"),
        ({"url": "urn:nowhere"}, 404, "not-found"),
        ({"url": f"{GENDERS}|3"}, 404, "not-found"),
        ({"url": GENDERS, "valueSetVersion": "3"}, 404, "not-found"),
        ({"url": f"{GENDERS}|4.0.1", "valueSetVersion": "3"}, 400, "invalid"),
        ({"valueSetVersion": "3"}, 400, "required"),
        ({"url": "http://snomed.info/sct?fhir_vs=isa/1"}, 422, "not-supported"),
        ({"url": "http://hl7.org/fhir/ValueSet/observation-codes"}, 422, "not-supported"),
        ({"url": "http://hl7.org/fhir/ValueSet/body-site"}, 422, "not-supported"),
        ({"url": f"{ACME}/ValueSet/round"}, 422, "processing"),
        ({"url": GENDERS, "count": "-1"}, 400, "value"),
        ({"url": GENDERS, "count": "many"}, 400, "structure"),
        ({"url": GENDERS, "offset": "-1"}, 400, "value"),
        ({"url": GENDERS, "context": "urn:x"}, 422, "not-supported"),
        ({"url": GENDERS, "system-version": GENDER}, 400, "value"),
        ({"url": GENDERS, "force-system-version": f"{GENDER}|3"}, 422, "not-supported"),
        ({"url": GENDERS, "check-system-version": f"{GENDER}|3"}, 422, "not-found"),
        ({"valueSet": "x"}, 400, "not-supported"),
    ],
)
def test_what_cannot_be_listed_is_refused(client: httpx.Client, asked: dict[str, str], status: int, code: str) -> None:
    refused(client.get("ValueSet/$expand", params=asked), status, code)


def test_an_id_that_nobody_has(client: httpx.Client) -> None:
    for path in ("ValueSet/never/$expand", "ValueSet/never/$validate-code?code=a&system=urn:a"):
        refused(client.get(path), 404, "not-found")
    refused(client.get("CodeSystem/never/$validate-code?code=a"), 404, "not-found")
    refused(client.get(f"ConceptMap/never/$translate?code=a&system={PLANTS}"), 404, "not-found")


# $validate-code of a value set


def test_a_value_set_holds_a_code_or_not(client: httpx.Client) -> None:
    path = "ValueSet/$validate-code"
    for system in (LOINC, A04, LOINC_OID):
        answer = get(client, path, url=J66, system=system, code="34112-3")
        assert (one(answer, "result"), one(answer, "display")) == (True, "CR hospitalier (séjour)")
    assert one(get(client, path, url=J66, system=LOINC, code="1-1"), "result") is False
    instance = f"ValueSet/{WORLD}-plants/$validate-code"
    assert one(get(client, instance, system=PLANTS, code="oak"), "display") == "Chêne"
    unknown = get(client, instance, system=PLANTS, code="rose", displayLanguage="fr")
    assert one(unknown, "message") == (
        f"Le code rose de {PLANTS} n'est pas dans le jeu de valeurs {ACME}/ValueSet/plants. "
        f"Le code rose n'est pas dans le système de codes {PLANTS}."
    )
    several = {"coding": [{"system": LOINC, "code": "1-1"}, {"system": PLANTS, "code": "oak"}]}
    assert one(post(client, path, url=f"{ACME}/ValueSet/lobed", codeableConcept=several), "result") is True
    assert one(post(client, path, url=GENDERS, codeableConcept=several), "result") is False
    assert one(post(client, path, url=GENDERS, coding={"code": "male"}), "result") is False


def test_a_code_that_only_groups_others_counts_unless_told(client: httpx.Client) -> None:
    asked = {"url": "http://terminology.hl7.org/ValueSet/v3-RoleCode", "system": ROLE_CODE}
    asked |= {"code": "_AffiliationRoleType"}
    assert one(get(client, "ValueSet/$validate-code", **asked), "result") is True
    assert one(get(client, "ValueSet/$validate-code", abstract="true", **asked), "result") is True
    assert one(get(client, "ValueSet/$validate-code", abstract="false", **asked), "result") is False


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (
            {"url": "http://hl7.org/fhir/ValueSet/observation-codes", "system": LOINC, "code": "1-1"},
            422,
            "not-supported",
        ),
        ({"url": f"{ACME}/ValueSet/loinc", "system": LOINC, "code": "1-1"}, 422, "not-supported"),
        ({"url": "urn:nowhere", "system": LOINC, "code": "1-1"}, 404, "not-found"),
        ({"url": GENDERS, "code": "male"}, 400, "required"),
        ({"url": GENDERS, "system": GENDER, "code": "male", "systemVersion": "3"}, 404, "not-found"),
        ({"url": GENDERS, "system": GENDER, "code": "male", "context": "urn:x"}, 422, "not-supported"),
        ({"system": GENDER, "code": "male"}, 400, "required"),
    ],
)
def test_what_cannot_be_told_of_a_value_set_is_no_answer(
    client: httpx.Client, asked: dict[str, str], status: int, code: str
) -> None:
    refused(get(client, "ValueSet/$validate-code", **asked), status, code)


def test_a_code_that_is_listed_is_in_it_whatever_the_rest_rests_on(client: httpx.Client) -> None:
    answer = get(client, "ValueSet/$validate-code", url=f"{ACME}/ValueSet/loinc", system=LOINC, code="34112-3")
    assert one(answer, "result") is True


# $translate


def test_a_type_of_document_leads_to_its_class(client: httpx.Client) -> None:
    path = "ConceptMap/$translate"
    for answer in (
        get(client, path, url=X16, system=LOINC, code="34112-3"),
        get(client, path, system=A04, code="34112-3"),
        get(client, "ConceptMap/ASS-X16-CorrespondanceType-Classe-DMP/$translate", system=LOINC_OID, code="34112-3"),
        post(client, path, coding={"system": LOINC, "code": "34112-3"}, targetsystem=CLASSES),
    ):
        assert one(answer, "result") is True
        (match,) = parts(called(answer), "match")
        assert (match["concept"]["system"], match["concept"]["code"], match["source"]) == (CLASSES, "10", X16)
    back = parts(called(get(client, path, url=X16, system=CLASSES, code="10", reverse="true")), "match")
    assert {"narrower"} == {each["equivalence"] for each in back}
    assert "34112-3" in {each["concept"]["code"] for each in back}


def test_a_stored_map_is_followed(client: httpx.Client) -> None:
    path = "ConceptMap/$translate"
    for asked in ({"url": f"{ACME}/ConceptMap/plants"}, {"url": f"{ACME}/ConceptMap/plants|3"}, {}):
        answer = get(client, path, system=PLANTS, code="oak", **asked)
        (match,) = parts(called(answer), "match")
        assert match["concept"] == {"system": "urn:wood", "code": "hard", "display": "Hardwood"}
    nothing = get(client, path, system=PLANTS, code="fern")
    assert (one(nothing, "result"), "fern" in one(nothing, "message")) == (False, True)
    assert [each["equivalence"] for each in parts(called(nothing), "match")] == ["unmatched"]
    assert one(get(client, path, system=PLANTS, code="oak", source="urn:other"), "result") is False
    assert one(get(client, path, system=PLANTS, code="oak", source=f"{ACME}/ValueSet/plants"), "result") is True
    assert one(get(client, path, system=PLANTS, code="oak", targetsystem="urn:other"), "result") is False
    back = get(client, path, system="urn:wood", code="hard", reverse="true")
    assert [each["concept"]["code"] for each in parts(called(back), "match")] == ["oak"]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"system": PLANTS}, 400, "required"),
        ({"code": "oak"}, 400, "required"),
        ({"url": "urn:nowhere", "system": PLANTS, "code": "oak"}, 404, "not-found"),
        ({"url": f"{X16}|1", "system": LOINC, "code": "34112-3"}, 404, "not-found"),
    ],
)
def test_what_cannot_be_translated(client: httpx.Client, asked: dict[str, str], status: int, code: str) -> None:
    refused(get(client, "ConceptMap/$translate", **asked), status, code)


# Who may, and what remains


def test_who_reads_nothing_asks_nothing(served: Served) -> None:
    client = served.as_("assurance-maladie")
    for path in (f"ValueSet/$expand?url={GENDERS}", f"CodeSystem/$lookup?system={GENDER}&code=male"):
        refused(client.get(path), 403, "forbidden")
    with served.client() as nobody:
        refused(nobody.get(f"ValueSet/$expand?url={GENDERS}"), 401, "login")


def test_a_patient_may_ask(served: Served) -> None:
    assert one(served.as_("patient").get(f"CodeSystem/$lookup?system={GENDER}&code=male"), "display") == "Male"


def test_an_operation_is_an_entry_of_a_batch(client: httpx.Client) -> None:
    entry = {"request": {"method": "GET", "url": f"CodeSystem/$lookup?system={GENDER}&code=male"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    (answered,) = client.post("", json=bundle, headers=FHIR_JSON).json()["entry"]
    assert answered["response"]["status"].startswith("200")


def test_the_call_is_traced(served: Served) -> None:
    client = served.as_("conformance")
    asked = f"CodeSystem/$lookup?system={GENDER}&code=other"
    assert client.get(asked).status_code == 200
    traces = client.get("AuditEvent", params={"_sort": "-date", "_count": "5", "subtype": "operation"}).text
    assert "$lookup" in traces or "JGxvb2t1cA" in traces or '"operation"' in traces


# A search finds a code under each name of its system


def test_a_document_is_found_whatever_name_its_type_was_written_with(served: Served) -> None:
    """TRE_A04 is LOINC: https://hl7.org/fhir/R4/search.html#token"""
    subject = {"reference": f"Patient/{WORLD}-found"}
    people = [tagged(WORLD, "Patient", "found", identifier=[])]
    people[0].pop("identifier")
    made = [
        tagged(
            WORLD,
            "Observation",
            f"found-{at}",
            status="final",
            subject=subject,
            code={"coding": [{"system": system, "code": "34112-3"}]},
        )
        for at, system in enumerate((LOINC, A04, LOINC_OID, "urn:other"))
    ]
    client = served.as_("conformance")
    with stored(client, [*people, *made]):
        for system in (LOINC, A04, LOINC_OID):
            found = client.get("Observation", params={"subject": subject["reference"], "code": f"{system}|34112-3"})
            ids = {each["resource"]["id"] for each in found.json()["entry"]}
            assert ids == {f"{WORLD}-found-{at}" for at in range(3)}
