"""What is told of a request is told in French or English, as it asks: refusals, remarks, entries, JSON and XML.

https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4
"""

from __future__ import annotations

import json
from typing import Any, Final

import httpx
import pytest

from tests import in_xml, pdsm
from tests.answers import CODEC, content, hygienic
from tests.conformance.own_record import own_record
from tests.minimal import minimal
from tests.served import FHIR_JSON, Served

FRENCH: Final = {"Accept-Language": "fr-FR, en;q=0.5"}
BROWSER: Final = {"Accept-Language": "en-US, fr;q=0.5"}
RULES: Final = "https://fhir.dmp-ens.example/CodeSystem/regle-validation"


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


def outcome(answer: httpx.Response, status: int, languages: str) -> dict[str, Any]:
    """The OperationOutcome of an answer, and that it says in which languages it is."""
    assert answer.status_code == status, answer.text
    hygienic(answer)
    assert answer.headers["content-language"] == languages
    told: dict[str, Any] = content(answer)
    assert told["resourceType"] == "OperationOutcome"
    assert told.get("language") == ("fr" if languages == "fr" else None)
    return told


def sentences(told: dict[str, Any]) -> list[str]:
    return [issue["diagnostics"] for issue in told["issue"]]


BROKEN: Final = {"resourceType": "Patient", "gender": "x", "surname": "Durand", "birthDate": "1980-02-30", "active": 1}


@pytest.mark.parametrize(
    ("headers", "languages", "told"),
    [
        ({}, "en", ["Patient has no element 'surname'.", "A boolean (true or false) is expected here, not a number."]),
        (BROWSER, "en", ["Patient has no element 'surname'."]),
        ({"Accept-Language": "fr;q=oops"}, "en", ["Patient has no element 'surname'."]),
        ({"Accept-Language": "de"}, "en", ["Patient has no element 'surname'."]),
        (
            FRENCH,
            "fr",
            [
                "Patient n'a pas d'élément 'surname'.",
                "Un booléen (true ou false) est attendu ici, et non un nombre.",
                "'x' n'est pas l'un de female, male, other, unknown.",
                "'1980-02-30' n'est pas dans le calendrier : ce mois n'a pas de jour 30.",
            ],
        ),
    ],
)
@pytest.mark.parametrize("form", ["json", "xml"])
def test_what_is_wrong_is_told_in_the_language_asked_for(
    client: httpx.Client, headers: dict[str, str], languages: str, told: list[str], form: str
) -> None:
    answer = client.post("Patient", params={"_format": form}, json=BROKEN, headers=FHIR_JSON | headers)
    # the query is not for a create; the representation is
    found = sentences(outcome(answer, 400, languages))
    assert [one for one in told if one in found] == told


@pytest.mark.parametrize("form", ["json", "xml"])
def test_what_is_wrong_names_its_rule(client: httpx.Client, form: str) -> None:
    """A program reads `details`; the sentence is for people."""
    answer = client.post("Patient", params={"_format": form}, json=BROKEN, headers=FHIR_JSON)
    told = outcome(answer, 400, "en")
    rules = {issue["expression"][0]: issue["details"]["coding"] for issue in told["issue"]}
    assert rules == {
        "Patient.gender": [{"system": RULES, "code": "binding"}],
        "Patient.surname": [{"system": RULES, "code": "structure"}],
        "Patient.birthDate": [{"system": RULES, "code": "value"}],
        "Patient.active": [{"system": RULES, "code": "type"}],
    }
    assert in_xml.root(answer).tag.endswith("OperationOutcome") if form == "xml" else True


def test_what_a_profile_asks_for_names_the_profile(served: Served) -> None:
    record = own_record(served)
    document = pdsm.without(pdsm.simplified(record.ins), "masterIdentifier")
    answer = record.as_("hopital").post("DocumentReference", json=document, headers=FHIR_JSON | FRENCH)
    told = outcome(answer, 422, "fr")
    (issue,) = [one for one in told["issue"] if one["expression"] == ["DocumentReference.masterIdentifier"]]
    system = f"{pdsm.PDSM}pdsm-simplified-publish"
    assert issue["details"] == {"coding": [{"system": system, "version": "3.1.1", "code": "min"}]}
    assert issue["diagnostics"] == ("DocumentReference.masterIdentifier est absent ; PDSm_SimplifiedPublish l'exige.")


REFUSALS: Final = [
    ("GET", "Patient/none", 404, "Patient/none n'est pas connu."),
    ("GET", "Paciente", 404, "'Paciente' n'est pas un type de ressource de FHIR R4."),
    ("GET", "Patient/demo-1?_pretty=maybe", 400, "_pretty doit valoir true ou false."),
    ("GET", "Patient/demo-1?_format=yaml", 406, "_format=yaml n'est pas proposé"),
    ("PUT", "AuditEvent/1", 405, "PUT n'est pas proposé ici ; sont proposés : GET, HEAD."),
    ("POST", "Patient", 415, "Le corps doit être de type"),
]


@pytest.mark.parametrize(("method", "path", "status", "told"), REFUSALS)
def test_a_refusal_is_told_in_french(client: httpx.Client, method: str, path: str, status: int, told: str) -> None:
    kind = {"Content-Type": "text/csv" if status == 415 else "application/fhir+json"}
    sent = json.dumps({"resourceType": path.partition("/")[0], "id": "1"}) if method in ("PUT", "POST") else None
    answer = client.request(method, path, content=sent, headers=FRENCH | (kind if sent else {}))
    found = outcome(answer, status, "fr")
    assert found["issue"][0]["diagnostics"].startswith(told)


def test_who_has_no_token_is_told_in_french(served: Served) -> None:
    with served.client() as nobody:
        answer = nobody.get("Patient/demo-1", headers=FRENCH)
    told = outcome(answer, 401, "fr")
    assert sentences(told) == ["Un jeton est nécessaire : envoyez l'en-tête Authorization: Bearer <jeton>."]
    with served.client("a.b.c") as stranger:
        answer = stranger.get("Patient/demo-1", headers=FRENCH)
    outcome(answer, 401, "fr")
    assert answer.headers["www-authenticate"].isascii()
    assert "The " in answer.headers["www-authenticate"]


def test_what_is_outside_of_the_base_speaks_french_too(served: Served) -> None:
    with served.client() as nobody:
        answer = nobody.get(str(nobody.base_url.copy_with(path="/elsewhere")), headers=FRENCH)
    told = outcome(answer, 404, "fr")
    assert sentences(told) == ["Rien n'est servi à ce chemin ; FHIR commence à l'URL de base."]


@pytest.mark.parametrize("headers", [FRENCH, BROWSER], ids=["fr", "en"])
@pytest.mark.parametrize("form", ["application/fhir+json", "application/fhir+xml"])
def test_hidden_is_absent_in_each_language(served: Served, headers: dict[str, str], form: str) -> None:
    """A document hidden from the patient, and one that nobody has: byte for byte but for the id."""
    patient = served.as_("patient")
    answers = [
        patient.get(f"DocumentReference/{id}", headers={**headers, "Accept": form})
        for id in ("demo-1-annonce", "demo-1-absente")
    ]
    bodies = [answer.content.replace(b"demo-1-annonce", b"demo-1-absente") for answer in answers]
    assert bodies[0] == bodies[1]
    assert [answer.status_code for answer in answers] == [404, 404]
    volatile = {"x-request-id", "date"}
    told = [{name: one for name, one in answer.headers.items() if name not in volatile} for answer in answers]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("headers", "languages", "told"),
    [
        ({}, "en", "A code of confidentiality was added: a document always has one."),
        (FRENCH, "fr", "Un code de confidentialité a été ajouté : un document en a toujours un."),
    ],
)
def test_remarks_are_told_in_the_language_asked_for(
    served: Served, headers: dict[str, str], languages: str, told: str
) -> None:
    record = own_record(served)
    hospital = record.as_("hopital")
    document = pdsm.simplified(record.ins)
    document.pop("securityLabel", None)
    prefer = {"Prefer": "return=OperationOutcome"}
    answer = hospital.post("DocumentReference", json=document, headers=FHIR_JSON | prefer | headers)
    assert told in sentences(outcome(answer, 201, languages))


def test_nothing_to_remark_is_said_in_french(client: httpx.Client) -> None:
    prefer = {"Prefer": "return=OperationOutcome"}
    answer = client.post("Basic", json=minimal("Basic"), headers=FHIR_JSON | FRENCH | prefer)
    assert sentences(outcome(answer, 201, "fr")) == ["Aucun problème n'a été trouvé."]
    client.delete(answer.headers["location"].partition("/_history/")[0])


def test_the_entries_of_a_batch_speak_french(client: httpx.Client) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"request": {"method": "GET", "url": "Patient/none"}},
            {"request": {"method": "POST", "url": "Patient"}, "resource": BROKEN},
            {"request": {"method": "POST", "url": "Basic"}, "resource": minimal("Basic")},
        ],
    }
    prefer = {"Prefer": "return=OperationOutcome"}
    answer = client.post("", json=bundle, headers=FHIR_JSON | FRENCH | prefer)
    assert answer.status_code == 200
    assert "content-language" not in answer.headers  # a Bundle is in no language
    outcomes = [entry["response"]["outcome"] for entry in answer.json()["entry"]]
    assert [one["language"] for one in outcomes] == ["fr", "fr", "fr"]
    assert sentences(outcomes[0]) == ["Patient/none n'est pas connu."]
    assert "Patient n'a pas d'élément 'surname'." in sentences(outcomes[1])
    assert sentences(outcomes[2]) == ["Aucun problème n'a été trouvé."]


def test_a_transaction_speaks_french(client: httpx.Client) -> None:
    entries = [
        {"request": {"method": "POST", "url": "Basic"}, "resource": minimal("Basic")},
        {"request": {"method": "POST", "url": "Patient"}, "resource": BROKEN},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    prefer = {"Prefer": "return=OperationOutcome"}
    refused = client.post("", json=bundle, headers=FHIR_JSON | FRENCH)
    told = outcome(refused, 400, "fr")
    assert all(issue["expression"][0].startswith("Bundle.entry[1].resource") for issue in told["issue"])
    done = client.post("", json={**bundle, "entry": entries[:1]}, headers=FHIR_JSON | FRENCH | prefer)
    assert done.status_code == 200
    assert [entry["response"]["outcome"]["language"] for entry in done.json()["entry"]] == ["fr"]


def test_a_search_is_refused_in_french(client: httpx.Client) -> None:
    told = outcome(client.get("Patient", params={"birthdate": "1980-02-30"}, headers=FRENCH), 400, "fr")
    assert sentences(told)[0].startswith("birthdate : '1980-02-30' n'est pas une date de la forme AAAA")


@pytest.mark.parametrize("form", ["json", "xml"])
def test_the_remarks_of_a_search_are_told_in_french(client: httpx.Client, form: str) -> None:
    answer = client.get("Patient", params={"surname": "x", "_id": "demo-1", "_format": form}, headers=FRENCH)
    assert answer.status_code == 200
    assert "content-language" not in answer.headers
    (told,) = [one["resource"] for one in content(answer)["entry"] if one["search"]["mode"] == "outcome"]
    assert told["language"] == "fr"
    assert sentences(told) == ["'surname' n'est pas un paramètre de recherche de Patient."]


WRONG: Final = [
    ("Patient?general-practitioner:Practitioner.=x", "Le chaînage se termine par un point"),
    ("Patient?_has:Observation:patient=x", "La forme est `_has:Type:référence:paramètre`."),
    ("Patient?name:below=x", "Le modificateur ':below' n'est pas pris en charge pour ce paramètre"),
    ("Patient?_filter=name", "Attendu au caractère 5, où le filtre se termine : une espace et une comparaison ("),
    ("Observation?code-value-quantity=x", "La valeur doit avoir 2 parties jointes par `$` : token$quantity."),
    ("Patient?_sort=name:exact", "Le tri selon 'name:exact' n'est pas pris en charge"),
    ("Patient?_include=Patient", "La valeur doit être `Type:paramètre`"),
    ("Patient?_summary=some", "_summary doit être l'un de "),
    ("Patient/$statut-dmp", "Désignez le patient : identifier=[système INS]|[INS]."),
    ("Patient/demo-1/$everything?depuis=2026", "'depuis' n'est pas un paramètre de cette opération ; elle accepte "),
    ("metadata?mode=half", "mode est l'un de full, normative, terminology, et non 'half'."),
]


@pytest.mark.parametrize(("path", "told"), WRONG, ids=[path for path, _ in WRONG])
def test_what_is_wrong_with_a_query_is_told_in_french(client: httpx.Client, path: str, told: str) -> None:
    answer = client.get(path, headers=FRENCH | {"Prefer": "handling=strict"})
    assert told in sentences(outcome(answer, 400, "fr"))[0]


SENT: Final = [
    ("PATCH", "Patient/demo-1", "json-patch+json", '{"op": "add"}', 400, "Un JSON Patch est un tableau d'opérations."),
    (
        "PATCH",
        "Patient/demo-1",
        "fhir+json",
        (
            '{"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [{"name": "type", "valueCode": '
            '"delete"}, {"name": "path", "valueString": "Patient.nom"}]}]}'
        ),
        422,
        "Opération 0 (delete Patient.nom) : Patient n'a pas d'élément nom.",
    ),
    (
        "POST",
        "Patient",
        "fhir+xml",
        '<Patient xmlns="http://hl7.org/fhir"><active value="oui"/></Patient>',
        400,
        "Ligne 1 colonne 38 : 'oui' n'est pas de type boolean : la forme est true ou false.",
    ),
    ("POST", "Patient", "fhir+xml", "<Patient>", 400, "Le corps n'est pas du XML bien formé : "),
    (
        "POST",
        "Patient/demo-1/$authorize",
        "fhir+json",
        '{"resourceType": "Parameters", "parameter": [{"name": "acteur", "valueString": "x"}]}',
        400,
        "'acteur' n'est pas un paramètre de cette opération",
    ),
    ("POST", "Patient/$validate?mode=half", "fhir+json", "{}", 400, "mode est l'un de create, update, delete, profile"),
    (
        "POST",
        "StructureDefinition/$snapshot",
        "fhir+json",
        '{"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": "https://example.org/none"}]}',
        404,
        "La définition https://example.org/none n'est pas connue ici.",
    ),
]


@pytest.mark.parametrize(("method", "path", "type", "body", "status", "told"), SENT)
def test_what_is_wrong_with_a_body_is_told_in_french(
    client: httpx.Client, method: str, path: str, type: str, body: str, status: int, told: str
) -> None:
    kind = {"Content-Type": f"application/{type}"}
    found = sentences(outcome(client.request(method, path, content=body, headers=FRENCH | kind), status, "fr"))
    assert any(one.startswith(told) for one in found), found


def test_why_a_profile_cannot_be_used_is_told_in_french(client: httpx.Client) -> None:
    profile = {
        "resourceType": "StructureDefinition",
        "url": "https://example.org/StructureDefinition/x",
        "name": "X",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient.nom", "path": "Patient.nom", "min": 1}]},
    }
    body = {"resourceType": "Parameters", "parameter": [{"name": "definition", "resource": profile}]}
    answer = client.post("StructureDefinition/$snapshot", json=body, headers=FHIR_JSON | FRENCH)
    assert sentences(outcome(answer, 422, "fr")) == [
        (
            "Elle n'a pas de snapshot : https://example.org/StructureDefinition/x : Patient.nom : "
            "la base n'a pas d'élément nom ici."
        )
    ]


def test_the_language_changes_nothing_but_words(client: httpx.Client) -> None:
    """The same issues, codes and places, in both; and XML says what JSON says."""
    answers = [client.post("Patient", json=BROKEN, headers=FHIR_JSON | one) for one in ({}, FRENCH)]
    told = [[{**issue, "diagnostics": ""} for issue in answer.json()["issue"]] for answer in answers]
    assert told[0] == told[1]
    as_xml = client.post("Patient", json=BROKEN, headers=FHIR_JSON | FRENCH | in_xml.AS_XML)
    assert json.loads(CODEC.to_json(as_xml.content)) == answers[1].json()


def test_a_resource_is_in_no_language(client: httpx.Client) -> None:
    answer = client.get("Patient/demo-1", headers=FRENCH)
    assert answer.status_code == 200
    assert "content-language" not in answer.headers
    assert "Accept-Language" in answer.headers["vary"]
