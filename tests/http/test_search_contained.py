"""Chains into what a resource contains: ``author.family`` of a document that contains its author (ADR 0030).

https://hl7.org/fhir/R4/references.html#contained · https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests.answers import refused
from tests.http.searching import TAGS, Pair, coded, found, names, pointer, stored, tagged
from tests.served import FHIR_JSON, Served

WORLD: Final = "contained"
TAG: Final = ("_tag", f"{TAGS}|{WORLD}")
RPPS: Final = "https://rpps.esante.gouv.fr"
PRACTISES_AS: Final = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-practitionerrole-name"


def made(type: str, id: str, /, **members: Any) -> dict[str, Any]:
    return tagged(WORLD, type, id, **members)


def held(type: str, id: str, **members: Any) -> dict[str, Any]:
    return {"resourceType": type, "id": id, **members}


def to(reference: str) -> dict[str, str]:
    return {"reference": reference}


def named(id: str, family: str, *given: str, **members: Any) -> dict[str, Any]:
    return held("Practitioner", id, name=[{"family": family, "given": list(given)}], **members)


STORED: Final = to(f"Practitioner/{WORLD}-stored")


def world() -> list[dict[str, Any]]:
    paul = named("p", "Martin", "Paul", identifier=[{"system": RPPS, "value": "2"}], active=False, gender="male")
    sophie = named("s", "Leclerc", "Sophie", identifier=[{"system": RPPS, "value": "1"}], active=True)
    hospital = held("Organization", "h", name="Hôpital", partOf=to("#g"))
    group = held("Organization", "g", name="Groupement", partOf=pointer("Organization", f"{WORLD}-region"))
    role = held("PractitionerRole", "r", practitioner=to("#s"), organization=to("#h"), code=[coded("10", "urn:role")])
    pulse = held(
        "Observation",
        "o",
        status="final",
        code={"coding": [{"system": "urn:code", "code": "8867-4", "display": "Fréquence cardiaque"}]},
        effectiveDateTime="2026-03-04T10:00:00Z",
        valueQuantity={"value": 72, "system": "urn:unit", "code": "/min"},
        note=[{"text": "x"}],
    )
    return [
        made("Organization", "region", name="Région"),
        made("Practitioner", "stored", name=[{"family": "Dupont", "given": ["Zoë"]}], active=True),
        made(
            "PractitionerRole",
            "of-stored",
            practitioner=STORED,
            organization=pointer("Organization", f"{WORLD}-region"),
        ),
        made("DocumentReference", "two", contained=[sophie, paul], author=[to("#s"), to("#p")]),
        made("DocumentReference", "role", contained=[role, sophie, hospital, group], author=[to("#r")]),
        made(
            "DocumentReference",
            "half",
            contained=[held("PractitionerRole", "r", practitioner=STORED, active=True)],
            author=[to("#r")],
        ),
        made(
            "DocumentReference",
            "by-number",
            contained=[held("PractitionerRole", "r", practitioner={"identifier": {"system": RPPS, "value": "3"}})],
            author=[to("#r")],
        ),
        made(
            "DocumentReference",
            "practises",
            contained=[
                held(
                    "PractitionerRole",
                    "r",
                    extension=[{"url": PRACTISES_AS, "valueHumanName": {"family": "Bonnet", "given": ["Jérôme"]}}],
                    practitioner=STORED,
                )
            ],
            author=[to("#r")],
        ),
        made("DocumentReference", "stored", author=[STORED, pointer("PractitionerRole", f"{WORLD}-of-stored")]),
        made("DocumentReference", "nobody"),
        made("DocumentReference", "signed", contained=[paul], authenticator=to("#p")),
        made("DocumentReference", "pulse", contained=[pulse], context={"related": [to("#o")]}),
        made("Observation", "drawn", derivedFrom=[pointer("DocumentReference", f"{WORLD}-role")]),
        made(
            "DocumentReference",
            "form",
            contained=[held("QuestionnaireResponse", "q", status="completed", questionnaire="https://x.example/q|2")],
            context={"related": [to("#q")]},
        ),
    ]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    client = served.as_("conformance")
    with stored(client, world()):
        yield client


def asked(client: httpx.Client, type: str, *pairs: Pair) -> set[str]:
    """What is found in this world."""
    return set(names(found(client, type, TAG, *pairs), WORLD))


DOCUMENTS: Final[tuple[tuple[str, str, set[str]], ...]] = (
    ("author.family", "leclerc", {"two", "role"}),
    ("author.family", "LECL", {"two", "role"}),
    ("author:Practitioner.family", "leclerc", {"two"}),
    ("author:Patient.family", "leclerc", set()),
    ("author:PractitionerRole.practitioner.family", "leclerc", {"role"}),
    ("author:PractitionerRole.practitioner:Practitioner.given", "sophie", {"role"}),
    ("authenticator.family", "martin", {"signed"}),
    ("author.family", "martin", {"two"}),
    ("author.given", "paul,sophie", {"two", "role"}),
    ("author.identifier", f"{RPPS}|1", {"two"}),
    ("author:PractitionerRole.practitioner.identifier", f"{RPPS}|1", {"role"}),
    ("author:PractitionerRole.practitioner:identifier", f"{RPPS}|3", {"by-number"}),
    # on to what is stored
    ("author.family", "dupont", {"half", "practises", "stored"}),
    ("author:PractitionerRole.practitioner.family", "dupont", {"half", "practises", "stored"}),
    ("author:Practitioner.family", "dupont", {"stored"}),
    ("author:PractitionerRole.organization.name", "hopital", {"role"}),
    ("author:PractitionerRole.organization.partof.name", "groupement", {"role"}),
    ("author:PractitionerRole.organization.partof.partof.name", "region", {"role"}),
    ("author:PractitionerRole.organization.name", "region", {"stored"}),
    # the name under which a role is held, and of who holds it
    ("author:PractitionerRole.name", "bonnet", {"practises"}),
    ("author:PractitionerRole.name", "dupont", {"half", "practises", "stored"}),
    ("author.given", "jerome", {"practises"}),
    ("author:PractitionerRole.name:missing", "true", {"by-number"}),
    ("author:PractitionerRole.family:missing", "false", {"role", "half", "practises", "stored"}),
    # modifiers
    ("author.family:exact", "Leclerc", {"two", "role"}),
    ("author.family:exact", "leclerc", set()),
    ("author.family:contains", "ECLER", {"two", "role"}),
    ("author:Practitioner.name:contains", "tin", {"two"}),
    ("author:Practitioner.active:not", "true", {"two"}),
    ("author:Practitioner.gender:missing", "true", {"two", "stored"}),
    ("author:Practitioner.gender:missing", "false", {"two"}),
    ("author:PractitionerRole.role", "urn:role|10", {"role"}),
    ("author:PractitionerRole.role:not", "urn:role|10", {"half", "by-number", "practises", "stored"}),
    ("author:Practitioner.phonetic", "Marthin", {"two"}),
    # of every type of parameter
    ("related:Observation.code", "urn:code|8867-4", {"pulse"}),
    ("related:Observation.code:text", "frequence", {"pulse"}),
    ("related:Observation.date", "2026-03-04", {"pulse"}),
    ("related:Observation.date", "gt2026-03-05", set()),
    ("related:Observation.value-quantity", "gt70|urn:unit|/min", {"pulse"}),
    ("related:Observation.value-quantity", "lt70", set()),
    ("related:Observation.code-value-quantity", "urn:code|8867-4$ge72", {"pulse"}),
    ("related:QuestionnaireResponse.questionnaire", "https://x.example/q", {"form"}),
    ("related:Observation._id", "o", set()),
)


@pytest.mark.parametrize(
    ("name", "value", "expected"), DOCUMENTS, ids=[f"{name}={value}" for name, value, _ in DOCUMENTS]
)
def test_a_chain_asks_of_what_is_contained(client: httpx.Client, name: str, value: str, expected: set[str]) -> None:
    assert asked(client, "DocumentReference", (name, value)) == expected


@pytest.mark.parametrize(
    ("type", "pairs", "expected"),
    [
        ("DocumentReference", [("author.family", "leclerc"), ("author.family", "martin")], {"two"}),
        ("DocumentReference", [("author.family", "leclerc"), ("author:missing", "false")], {"two", "role"}),
        ("DocumentReference", [("_filter", 'author.family eq "Leclerc" and not (author.given eq "Paul")')], {"role"}),
        ("Observation", [("derived-from:DocumentReference.author.family", "leclerc")], {"drawn"}),
        ("Practitioner", [("_has:DocumentReference:author:author.family", "dupont")], {"stored"}),
        ("PractitionerRole", [("_has:DocumentReference:author:author.family", "leclerc")], set()),
    ],
)
def test_chains_into_what_is_contained_go_with_all_else(
    client: httpx.Client, type: str, pairs: list[Pair], expected: set[str]
) -> None:
    assert asked(client, type, *pairs) == expected


def test_what_is_contained_is_found_on_every_page_and_counted(client: httpx.Client) -> None:
    query = (TAG, ("author.family", "leclerc,dupont"), ("_sort", "-_id"))
    pages, url = [], "DocumentReference"
    params: Any = [*query, ("_count", "2"), ("_total", "accurate")]
    while url:
        bundle = client.get(url, params=params).json()
        assert bundle["total"] == 5
        pages.append(names(bundle, WORLD))
        url = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), "")
        params = None
    assert pages == [["two", "stored"], ["role", "practises"], ["half"]]


@pytest.mark.parametrize("name", ["author.unheard", "author:PractitionerRole.birthdate", "author.family.x"])
def test_a_chain_into_what_is_contained_that_leads_nowhere_is_refused(client: httpx.Client, name: str) -> None:
    told = refused(client.get("DocumentReference", params={name: "x"}), 400)
    assert told["expression"] == ["http.author"]


def test_what_points_to_one_another_too_often_is_not_stored(client: httpx.Client) -> None:
    pulses = [
        held(
            "Observation",
            f"o{at}",
            status="final",
            code={"text": "x"},
            hasMember=[to(f"#o{one}") for one in range(100)],
        )
        for at in range(100)
    ]
    many = made("DocumentReference", "many", contained=pulses, context={"related": [to("#o0")]})
    told = refused(client.post("DocumentReference", json=many, headers=FHIR_JSON), 413)
    assert "20000" in told["diagnostics"]
