"""Small lists for tests of the terminology operations, and how these are called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from fhir_server.operations.value_set_expand import MOST_LISTED
from tests.http.invoking import called, values
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


WINTER = {"property": "urn:season", "value": "winter"}
PLANT_SET, PLANT_MAP, ALL_PLANTS = f"{ACME}/ValueSet/plants", f"{ACME}/ConceptMap/plants", f"{ACME}/all-plants"
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
            valueSet=ALL_PLANTS,
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
                    "sourceVersion": "2",
                    "target": "urn:wood",
                    "element": [
                        {"code": "oak", "target": [{"code": "hard", "display": "Hardwood", "equivalence": "wider"}]},
                        {"code": "pine", "target": [{"code": "soft", "equivalence": "equal", "dependsOn": [WINTER]}]},
                        {"code": "fern", "target": [{"equivalence": "unmatched"}]},
                    ],
                }
            ],
        ),
    ]


@contextmanager
def known(served: Served) -> Iterator[httpx.Client]:
    """The lists are stored; a doctor, who sees what a conformance client stored."""
    with stored(served.as_("conformance"), world()):
        yield served.as_("medecin-traitant")


def told(**given: Any) -> list[dict[str, Any]]:
    """Parameters by their names; resources and complex values as they are."""
    listed: list[dict[str, Any]] = []
    for word, value in given.items():
        name = word.replace("_", "-")
        if isinstance(value, list):
            listed.append({"name": name, "part": value})
        elif isinstance(value, dict) and "resourceType" in value:
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
    listed = told(**given)
    body = {"resourceType": "Parameters", **({"parameter": listed} if listed else {})}
    return client.post(path, json=body, headers=FHIR_JSON)


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
