"""What is asked of code systems: `$lookup`, `$validate-code`, `$subsumes`. docs/interactions/terminology.md"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from fhir_server.operations.coded import MOST_CODINGS
from tests.answers import refused
from tests.http.invoking import called, parts
from tests.http.searching import stored
from tests.http.terms import A04, ACME, GENDER, LOINC, LOINC_OID, PLANTS, ROLE_CODE, WORLD, get, known, made, one, post
from tests.served import Served


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """A doctor, where the lists are stored."""
    with known(served) as doctor:
        yield doctor


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


def test_a_display_that_is_another_is_told(client: httpx.Client) -> None:
    asked = {"url": PLANTS, "code": "tree"}
    for display in ("Arbre", "arbre", "Tree"):
        assert one(get(client, "CodeSystem/$validate-code", display=display, **asked), "message") is None
    other = get(client, "CodeSystem/$validate-code", display="Buisson", displayLanguage="fr", **asked)
    assert one(other, "result") is False
    assert one(other, "message") == "Le code tree ne s'appelle pas 'Buisson' ici ; il s'appelle 'Arbre'."
    genders = {"url": "http://hl7.org/fhir/ValueSet/administrative-gender", "system": GENDER, "code": "male"}
    assert one(get(client, "ValueSet/$validate-code", display="Madame", **genders), "result") is False
    assert one(get(client, "ValueSet/$validate-code", display="Male", **genders), "result") is True
    part = get(client, "CodeSystem/$validate-code", url="http://loinc.org", code="11488-4", display="Une note à moi")
    assert one(part, "result") is True, "the whole of LOINC is not here: it may call it so"
    assert "11488-4" in one(part, "message")
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


def test_a_code_system_that_is_called_on_is_the_one_that_answers(client: httpx.Client, served: Served) -> None:
    """Also where the server has another one of its URL."""
    other = made(
        "CodeSystem", "other", url=GENDER, content="complete", concept=[{"code": "one", "concept": [{"code": "two"}]}]
    )
    with stored(served.as_("conformance"), [other]):
        on = f"CodeSystem/{WORLD}-other"
        assert one(get(client, f"{on}/$subsumes", codeA="one", codeB="two"), "outcome") == "subsumes"
        assert one(get(client, f"{on}/$validate-code", code="two"), "result") is True
        assert one(get(client, f"{on}/$validate-code", code="male"), "result") is False
        refused(get(client, f"{on}/$subsumes", codeA="one", codeB="male"), 404, "code-invalid")
        refused(get(client, f"{on}/$subsumes", codeA="one", codeB="two", version="9"), 404, "not-found")
        assert one(get(client, "CodeSystem/$validate-code", url=GENDER, code="male"), "result") is True
    refused(get(client, "CodeSystem/loinc/$subsumes", codeA="34112-3", codeB="11488-4"), 422, "not-supported")


def test_a_concept_of_very_many_codes_is_refused(client: httpx.Client) -> None:
    """Each of 20,000 would be asked about by itself."""
    many = {"coding": [{"system": PLANTS, "code": f"c{at}"} for at in range(MOST_CODINGS + 1)]}
    few = {"coding": many["coding"][:MOST_CODINGS]}
    for path in ("CodeSystem/$validate-code", "ValueSet/$validate-code", "ConceptMap/$translate"):
        of = {"url": f"{ACME}/{path.partition('/')[0]}/plants"}
        refused(post(client, path, codeableConcept=many, **of), 422, "too-costly")
        assert one(post(client, path, codeableConcept=few, **of), "result") is False
