"""No answer names what is hidden from its reader, at whatever door it is asked; and no question finds it (ADR 0018)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from fhir_server.record.redact import DATA_ABSENT
from tests.conformance.choices import authorisation, medecin_traitant
from tests.conformance.own_record import OwnRecord, document, ids, label, own_record
from tests.patches import add, delete, move, parameters
from tests.served import FHIR_JSON, JSON_PATCH, Served

UNKNOWN: Final = {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}


@dataclass
class Around:
    """A record in which resources of somebody else refer to a document that is shown, and to one that is hidden."""

    record: OwnRecord
    shown: str
    hidden: str
    reader: httpx.Client
    """From whom it is hidden."""

    @property
    def holder(self) -> httpx.Client:
        return self.record.as_("patient")

    def made(self, type: str, **members: Any) -> dict[str, Any]:
        """A resource of this record, deposited by the conformance client."""
        made = {"resourceType": type, "id": f"{type.lower()}-{uuid4().hex[:12]}", **self.about(type), **members}
        answer = self.record.served.as_("conformance").put(f"/{type}/{made['id']}", json=made, headers=FHIR_JSON)
        assert answer.status_code == 201, answer.text
        stored: dict[str, Any] = answer.json()
        return stored

    def about(self, type: str) -> dict[str, Any]:
        subject = {"subject": to(f"Patient/{self.record.id}")}
        told: dict[str, dict[str, Any]] = {
            "Observation": {"status": "final", "code": {"text": "Tension"}},
            "List": {"status": "current", "mode": "working"},
            "DocumentReference": {
                "status": "current",
                "category": document("x")["category"],
                "content": [{"attachment": {"contentType": "text/plain", "data": "Qm9u"}}],
            },
        }
        return subject | told.get(type, {})

    def body(self, key: str) -> dict[str, Any]:
        answer = self.reader.get(f"/{key}")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told


def narrative(text: str) -> dict[str, Any]:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">Voir {text}.</div>'}


def to(target: str) -> dict[str, Any]:
    return {"reference": target}


def entries(*targets: str) -> list[dict[str, Any]]:
    return [{"item": to(target)} for target in targets]


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    made = own_record(served)
    made.chosen(medecin_traitant(made, "medecin-traitant"))
    made.chosen(authorisation(made, "specialiste"))
    return made


@pytest.fixture(scope="module", params=["masked", "invisible"])
def around(request: pytest.FixtureRequest, record: OwnRecord) -> Around:
    """A document masked from a specialist, and one that the patient may not see yet."""
    masked = request.param == "masked"
    hidden = record.deposit("MASQUE_PS" if masked else "INVISIBLE_PATIENT")
    reader = record.as_("specialiste" if masked else "patient")
    assert reader.get(f"/DocumentReference/{hidden}").status_code == 404
    return Around(record, f"DocumentReference/{record.deposit()}", f"DocumentReference/{hidden}", reader)


# Every door


PARAMETER: Final = {"List": "item", "Observation": "derived-from", "DocumentReference": "relatesto"}
DOORS: Final = {
    "read": "/{type}/{id}",
    "vread": "/{type}/{id}/_history/1",
    "history": "/{type}/{id}/_history",
    "search": "/{type}?patient={record}&_count=100",
    "search by id": "/{type}?_id={id}",
    "system search": "?_type={type}&patient={record}&_count=100",
    "revinclude": (
        "/DocumentReference?_id={shown}&_revinclude=List:item&_revinclude=Observation:derived-from"
        "&_revinclude=DocumentReference:relatesto"
    ),
    "include": "/{type}?_id={id}&_include={type}:{parameter}",
}


@pytest.mark.parametrize("door", DOORS)
def test_no_door_names_what_is_hidden(around: Around, door: str) -> None:
    made = [
        around.made("List", text=narrative(around.hidden), entry=entries(around.hidden, around.shown)),
        around.made("Observation", derivedFrom=[to(around.hidden), to(around.shown)]),
        around.made(
            "DocumentReference",
            relatesTo=[{"code": "replaces", "target": to(target)} for target in (around.hidden, around.shown)],
        ),
    ]
    for one in made:
        type = one["resourceType"]
        told = {"type": type, "id": one["id"], "parameter": PARAMETER[type]}
        path = DOORS[door].format(record=around.record.id, shown=around.shown.partition("/")[2], **told)
        answer = around.reader.get(path)
        assert answer.status_code == 200, answer.text
        assert one["id"] in answer.text
        assert around.shown in answer.text
        assert around.hidden.partition("/")[2] not in answer.text
        everything = around.record.as_("medecin-traitant").get(path)
        assert around.hidden in everything.text, "nothing was lost"


def test_it_is_as_if_it_had_never_been_written(around: Around) -> None:
    """What is shown is byte for byte what is shown where the reference was never written, but for its own id."""
    told = []
    for targets in ((around.hidden, around.shown), (around.shown,), ("DocumentReference/absent", around.shown)):
        made = around.made("List", entry=entries(*targets))
        told.append(around.reader.get(f"/List/{made['id']}").text.replace(made["id"], "id"))
    stripped = [{**json.loads(one), "meta": None} for one in told]
    assert stripped[0] == stripped[1] == stripped[2]


def test_a_batch_and_a_conditional_create_answer_the_same(around: Around) -> None:
    number = {"system": "https://x.example", "value": uuid4().hex}
    made = around.made("List", identifier=[number], entry=entries(around.hidden, around.shown))
    entry = {"request": {"method": "GET", "url": f"List/{made['id']}"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    answer = around.reader.post("", json=bundle, headers=FHIR_JSON)
    assert around.shown in answer.text
    assert around.hidden not in answer.text
    headers = {**FHIR_JSON, "If-None-Exist": f"patient={around.record.id}&identifier={number['value']}"}
    again = around.reader.post("/List", json={"resourceType": "List", **around.about("List")}, headers=headers)
    assert (again.status_code, around.shown in again.text, around.hidden in again.text) == (200, True, False)


def test_the_history_of_everything_names_it_no_more_than_the_others(around: Around) -> None:
    made = around.made("Observation", derivedFrom=[to(around.hidden)])
    for path in ("/_history?_count=100", "/Observation/_history?_count=100"):
        answer = around.reader.get(path)
        assert around.hidden not in answer.text
        if around.reader is around.holder:
            assert made["id"] in answer.text
        else:
            assert answer.status_code == 403, "a professional names the patient"


def test_what_must_point_to_something_points_to_something_unknown(around: Around) -> None:
    made = around.made(
        "DeviceUseStatement", status="active", device=to(around.hidden.replace("DocumentReference", "Device"))
    )
    assert around.body(f"DeviceUseStatement/{made['id']}")["device"] == UNKNOWN


def test_conformance_clients_see_all(around: Around) -> None:
    made = around.made("List", entry=entries(around.hidden))
    assert around.record.served.as_("conformance").get(f"/List/{made['id']}").json()["entry"] == made["entry"]


def test_a_scope_for_one_type_does_not_hide_what_it_refers_to(record: OwnRecord) -> None:
    """The PDF of a document is named to a client that may ask for documents alone."""
    binary = record.as_("hopital").post(
        "/Binary", json={"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9u"}, headers=FHIR_JSON
    )
    url = f"Binary/{binary.json()['id']}"
    made = record.deposit(content=[{"attachment": {"contentType": "text/plain", "url": url}}])
    other = record.deposit(content=[{"attachment": {"contentType": "text/plain", "url": url}}])
    token = record.served.token("patient", patient=record.ins, extra={"scope": "patient/DocumentReference.rs"})
    with record.served.client(token) as client:
        for id in (made, other):
            assert client.get(f"/DocumentReference/{id}").json()["content"][0]["attachment"]["url"] == url


# Questions


@pytest.fixture(scope="module")
def relations(served: Served) -> Iterator[None]:
    """A value set of all relations between documents."""
    compose = {"include": [{"system": "http://hl7.org/fhir/document-relationship-type"}]}
    body = {"resourceType": "ValueSet", "id": "relations", "status": "active", "compose": compose}
    conformance = served.as_("conformance")
    assert conformance.put("/ValueSet/relations", json=body, headers=FHIR_JSON).status_code in (200, 201)
    yield
    conformance.delete("/ValueSet/relations")


@pytest.mark.parametrize(
    ("type", "question"),
    [
        ("List", "item={hidden}"),
        ("List", "item:DocumentReference={id}"),
        ("Observation", "derived-from={hidden}"),
        ("DocumentReference", "relatesto={hidden}"),
        ("DocumentReference", "relation=replaces"),
        ("DocumentReference", "relation:in=ValueSet/relations"),
        ("DocumentReference", "relation:below=replaces"),
        ("DocumentReference", "_filter=relation%20eq%20replaces"),
        ("DocumentReference", "_filter=not(not(relatesto%20re%20{hidden}))"),
        ("DocumentReference", "location=Binary/{id}"),
        ("DocumentReference", "location={base}/Binary/{id}"),
        ("Observation", "derived-from:identifier=https://x.example|{id}"),
    ],
)
@pytest.mark.usefixtures("relations")
def test_no_question_finds_what_the_answer_leaves_out(around: Around, type: str, question: str) -> None:
    id = around.hidden.partition("/")[2]
    content = [{"attachment": {"contentType": "text/plain", "url": f"Binary/{id}"}}]
    named = {"identifier": {"system": "https://x.example", "value": id}}
    members: dict[str, dict[str, Any]] = {
        "List": {"entry": entries(around.hidden)},
        "Observation": {"derivedFrom": [to(around.hidden) | named]},
        "DocumentReference": {"relatesTo": [{"code": "replaces", "target": to(around.hidden)}], "content": content},
    }
    made = around.made(type, **members[type])
    asked = question.format(hidden=around.hidden, id=id, base=around.record.served.base)
    url = f"/{type}?patient={around.record.id}&_id={made['id']}&{asked}"
    found = around.reader.get(url)
    assert (found.status_code, found.json()["total"]) == (200, 0)
    counted = around.reader.get(f"{url}&_summary=count").json()["total"]
    assert counted == 0
    if "identifier" not in question and "base" not in question:
        everything = around.record.served.as_("conformance").get(url).json()
        assert everything["total"] == 1
    headers = {**FHIR_JSON, "If-None-Exist": url.partition("?")[2]}
    created = around.reader.post(f"/{type}", json={"resourceType": type, **around.about(type)}, headers=headers)
    assert created.status_code == 201, "as a condition it matches nothing either"
    assert around.reader.delete(created.headers["Location"].partition("/_history")[0]).status_code == 204


def test_a_question_finds_what_is_shown_beside_it(around: Around) -> None:
    made = around.made("List", entry=entries(around.hidden, around.shown))
    url = f"/List?patient={around.record.id}&_id={made['id']}"
    assert ids(around.reader.get(f"{url}&item={around.shown}").json()) == {made["id"]}
    assert ids(around.reader.get(f"{url}&item={around.hidden},{around.shown}").json()) == {made["id"]}
    relations = [{"code": "replaces", "target": to(around.shown)}]
    related = around.made("DocumentReference", relatesTo=relations)
    url = f"/DocumentReference?patient={around.record.id}&_id={related['id']}"
    for asked in ("relation=replaces", "relation:not=appends"):
        assert ids(around.reader.get(f"{url}&{asked}").json()) == {related["id"]}
    assert ids(around.reader.get(f"{url}&relation:not=replaces").json()) == set(), "it is shown with that relation"


def test_own_deposits_are_whole_and_found_by_what_they_name(around: Around) -> None:
    body = {"resourceType": "List", **around.about("List"), "entry": entries(around.hidden, "List/absent")}
    made = around.reader.post("/List", json=body, headers=FHIR_JSON)
    assert made.status_code == 201, made.text
    assert made.json()["entry"] == body["entry"]
    key = made.json()["id"]
    assert around.body(f"List/{key}")["entry"] == body["entry"]
    for target in (around.hidden, "List/absent"):
        assert ids(around.reader.get(f"/List?patient={around.record.id}&item={target}&_id={key}").json()) == {key}


# Changes


@pytest.fixture
def letter(record: OwnRecord) -> tuple[Around, dict[str, Any]]:
    """Somebody else's letter, which refers to a result that the patient may not see, and to two others."""
    hidden, shown, last = (record.deposit(*labels) for labels in (("INVISIBLE_PATIENT",), (), ()))
    around = Around(record, f"DocumentReference/{shown}", f"DocumentReference/{hidden}", record.as_("patient"))
    targets = (around.shown, around.hidden, f"DocumentReference/{last}")
    relations = [{"code": "appends", "target": to(target)} for target in targets]
    made = record.deposit(
        relatesTo=relations,
        text=narrative(around.hidden),
        context={"related": [to(around.hidden)]},
        description="Lettre",
    )
    return around, record.served.as_("conformance").get(f"/DocumentReference/{made}").json()


def test_who_masks_by_put_what_he_does_not_see_whole_loses_nothing(letter: tuple[Around, dict[str, Any]]) -> None:
    around, before = letter
    url = f"/DocumentReference/{before['id']}"
    seen = around.reader.get(url).json()
    assert len(seen["relatesTo"]) == 2
    assert not {"text", "context"} & seen.keys()
    masked = seen | {"securityLabel": [*seen["securityLabel"], label("MASQUE_PS")]}
    answer = around.reader.put(url, json=masked, headers=FHIR_JSON)
    assert answer.status_code == 200, answer.text
    assert answer.json()["relatesTo"] == seen["relatesTo"]
    assert around.hidden not in answer.text
    after = around.record.served.as_("conformance").get(url).json()
    assert {name for name in after if after[name] != before.get(name)} == {"securityLabel", "meta"}
    again = around.reader.put(url, json=masked | {"description": "Autre"}, headers=FHIR_JSON)
    assert again.status_code == 403, "and he changes nothing else of it"


def test_a_patch_tests_copies_and_moves_what_is_shown_alone(letter: tuple[Around, dict[str, Any]]) -> None:
    around, before = letter
    url = f"/DocumentReference/{before['id']}"
    hidden = {"code": "appends", "target": to(around.hidden)}
    mask = {"op": "add", "path": "/securityLabel/-", "value": label("MASQUE_PS")}
    for probe in (
        {"op": "test", "path": "/relatesTo/1", "value": hidden},
        {"op": "test", "path": "/context/related/0/reference", "value": around.hidden},
        {"op": "copy", "from": "/context", "path": "/extension/0"},
        {"op": "test", "path": "/text", "value": before["text"]},
        {"op": "remove", "path": "/relatesTo/2"},
    ):
        answer = around.reader.patch(url, json=[probe, mask], headers=JSON_PATCH)
        assert answer.status_code == 422, (probe, answer.text)
        assert around.hidden not in answer.text
    seen = before["relatesTo"][2]
    answer = around.reader.patch(
        url, json=[{"op": "test", "path": "/relatesTo/1", "value": seen}, mask], headers=JSON_PATCH
    )
    assert answer.status_code == 200, answer.text
    assert around.hidden not in answer.text
    after = around.record.served.as_("conformance").get(url).json()
    assert {name for name in after if after[name] != before.get(name)} == {"securityLabel", "meta"}
    masked = around.record.as_("patient").post(f"{url}/$unmask", headers=FHIR_JSON)
    assert masked.status_code == 200
    assert around.record.served.as_("conformance").get(url).json()["relatesTo"] == before["relatesTo"]


def test_a_path_selects_what_is_shown_alone(letter: tuple[Around, dict[str, Any]]) -> None:
    """Whether it selects tells of the resource as it is shown; what is not shown stays where it was."""
    around, before = letter
    url = f"/DocumentReference/{before['id']}"
    hidden = around.hidden
    mask = add("DocumentReference", "securityLabel", valueCodeableConcept=label("MASQUE_PS"))
    for probe in (
        add(f"DocumentReference.relatesTo.where(target.reference = '{hidden}')", "id", valueString="x"),
        add(f"DocumentReference.where(context.related.reference = '{hidden}')", "language", valueCode="fr"),
        add("DocumentReference.where(text.exists())", "language", valueCode="fr"),
        add(f"DocumentReference.where(text.div.contains('{hidden}'))", "language", valueCode="fr"),
        delete("DocumentReference.relatesTo[2].unheard"),
        move("DocumentReference.relatesTo", 2, 0),
    ):
        answer = around.reader.patch(url, json=parameters(probe, mask), headers=FHIR_JSON)
        assert answer.status_code == 422, (probe, answer.text)
    for nothing in ("DocumentReference.relatesTo[2]", "DocumentReference.context.related", "DocumentReference.text"):
        answer = around.reader.patch(url, json=parameters(delete(nothing), mask), headers=FHIR_JSON)
        assert answer.status_code == 200, answer.text
        assert hidden not in answer.text
        after = around.record.served.as_("conformance").get(url).json()
        assert {name for name in after if after[name] != before.get(name)} == {"securityLabel", "meta"}
        unmasked = parameters(delete("DocumentReference.securityLabel.where(coding.code = 'MASQUE_PS')"))
        assert around.reader.patch(url, json=unmasked, headers=FHIR_JSON).status_code == 200


def test_a_representative_who_changes_what_the_child_wrote_keeps_what_he_does_not_see(record: OwnRecord) -> None:
    secret, shown, other = (record.deposit(*labels) for labels in (("INVISIBLE_REPRESENTANTS_LEGAUX",), (), ()))
    targets = [f"DocumentReference/{id}" for id in (secret, shown)]
    more = f"DocumentReference/{other}"
    holder, guardian = record.as_("patient"), record.as_("representant")
    about = {"status": "current", "mode": "working", "subject": to(f"Patient/{record.id}")}
    made = holder.post("/List", json={"resourceType": "List", **about, "entry": entries(*targets)}, headers=FHIR_JSON)
    url = f"/List/{made.json()['id']}"
    seen = guardian.get(url).json()
    assert seen["entry"] == entries(targets[1])
    added = seen | {"title": "À montrer", "entry": [*seen["entry"], *entries(more)]}
    assert guardian.put(url, json=added, headers=FHIR_JSON).status_code == 200
    assert holder.get(url).json()["entry"] == entries(*targets, more)
    fewer = added | {"entry": entries(more)}
    assert guardian.put(url, json=fewer, headers=FHIR_JSON).status_code == 200
    assert holder.get(url).json()["entry"] == entries(targets[0], more)


def test_who_empties_the_list_of_somebody_else_is_not_told_what_is_left_in_it(record: OwnRecord) -> None:
    secret, shown = (record.deposit(*labels) for labels in (("INVISIBLE_REPRESENTANTS_LEGAUX",), ()))
    holder, guardian = record.as_("patient"), record.as_("representant")
    about = {"status": "current", "mode": "working", "subject": to(f"Patient/{record.id}")}
    told = []
    for targets in ((secret, shown), (shown,)):
        listed = entries(*(f"DocumentReference/{id}" for id in targets))
        made = holder.post("/List", json={"resourceType": "List", **about, "entry": listed}, headers=FHIR_JSON).json()
        url = f"/List/{made['id']}"
        emptied = {name: value for name, value in guardian.get(url).json().items() if name != "entry"}
        put = guardian.put(url, json=emptied, headers=FHIR_JSON)
        patched = guardian.patch(url, json=[{"op": "remove", "path": "/entry"}], headers=JSON_PATCH)
        assert (put.status_code, patched.status_code) == (403, 403), put.text
        told.append([answer.text.replace(made["id"], "id") for answer in (put, patched)])
        assert guardian.get(url).status_code == 200
        assert holder.put(url, json=emptied, headers=FHIR_JSON).status_code == 200, "he deposited it"
        assert guardian.get(url).status_code == 200, "an empty list hides nothing"
        again = emptied | {"title": "Vide"}
        assert guardian.put(url, json=again, headers=FHIR_JSON).status_code == 200
    assert told[0] == told[1]
