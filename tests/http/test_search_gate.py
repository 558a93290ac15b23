"""What a hostile reading of searches tried: chains, `_has`, `_filter`, orders, compartments (ADR 0018, ADR 0023)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.interactions.hops import MOST_MEANT
from fhir_server.store.embedded import running_uri
from tests.conformance.choices import authorisation, block, medecin_traitant
from tests.conformance.own_record import TRE_A07, OwnRecord, document, ids, new_ins, own_record
from tests.served import FHIR_JSON, Served

ANNONCE: Final = "INVISIBLE_PATIENT"
RELATION_TYPES: Final = "http://hl7.org/fhir/document-relationship-type"
NUMBER: Final = "https://x.example/number"


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    made = own_record(served)
    made.chosen(medecin_traitant(made, "medecin-traitant"))
    made.chosen(authorisation(made, "specialiste"))
    return made


@pytest.fixture
def reader(record: OwnRecord) -> httpx.Client:
    """From whom what is masked is hidden."""
    return record.as_("specialiste")


def to(key: str) -> dict[str, str]:
    return {"reference": key}


def written(record: OwnRecord, type: str, *labels: str, **members: Any) -> str:
    """A resource of the record that somebody else deposited; its ``Type/id``."""
    known: dict[str, dict[str, Any]] = {
        "Claim": {
            "status": "active",
            "type": {"text": "x"},
            "use": "claim",
            "created": "2026-03-01",
            "provider": {"display": "x"},
            "priority": {"text": "x"},
            "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "x"}}],
        },
        "Device": {},
        "DocumentManifest": {"status": "current"},
        "DocumentReference": {"status": "current", "category": document("x")["category"]},
        "Encounter": {"status": "finished", "class": {"code": "AMB"}},
        "List": {"status": "current", "mode": "working"},
        "Observation": {"status": "final", "code": {"text": "Tension"}},
        "Procedure": {"status": "completed"},
    }
    about = {"Appointment": None, "Claim": "patient", "Device": "patient"}.get(type, "subject")
    made: dict[str, Any] = {"resourceType": type, "id": f"{type.lower()}-{uuid4().hex[:12]}"}
    made |= known.get(type, {}) | members
    if about is not None:
        made[about] = to(f"Patient/{record.id}")
    if type == "DocumentReference":
        made.setdefault("content", [{"attachment": {"contentType": "text/plain", "data": "Qm9u"}}])
    if labels:
        made["meta"] = {"security": [{"system": TRE_A07, "code": label} for label in labels]}
    put(record.served.as_("conformance"), made)
    return f"{type}/{made['id']}"


def put(client: httpx.Client, resource: dict[str, Any]) -> None:
    answer = client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource, headers=FHIR_JSON)
    assert answer.status_code in (200, 201), answer.text


def create(client: httpx.Client, resource: dict[str, Any], **headers: str) -> httpx.Response:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(f"/{resource['resourceType']}", json=resource, headers=FHIR_JSON | told)


def found(client: httpx.Client, url: str) -> set[str]:
    """The ids of a search, of which the number must agree."""
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    told = ids(answer.json())
    assert client.get(f"{url}&_summary=count").json()["total"] == answer.json()["total"], url
    return told


def id_of(key: str) -> str:
    return key.partition("/")[2]


def filtered(expression: str) -> str:
    return f"_filter={quote(expression, safe='')}"


# What is taken out is not found, in whatever words it is asked


@dataclass(frozen=True)
class Telling:
    """Of one resource, what of it points to something hidden, and what would find it by that."""

    type: str
    members: Callable[[str], dict[str, Any]]
    asked: tuple[str, ...]
    of_hidden: str = "DocumentReference"


def relating(key: str) -> dict[str, Any]:
    return {"relatesTo": [{"code": "replaces", "target": to(key)}]}


def attached(url: str) -> dict[str, Any]:
    attachment = {"url": url, "contentType": "text/x-rare", "creation": "1999-01-01", "language": "br"}
    return {"content": [{"attachment": attachment, "format": {"system": "https://x.example/f", "code": "rare"}}]}


SMALL_DOCUMENT: Final[dict[str, Any]] = {
    "resourceType": "DocumentReference",
    "id": "d",
    "status": "current",
    "content": [{"attachment": {"title": "x"}}],
}


def holding_an_observation(**members: Any) -> dict[str, Any]:
    """Of a document that contains an Observation, what is particular to it."""
    pulse = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "Pouls"}, **members}
    return {"contained": [pulse], "context": {"related": [to("#o")]}}


TELLING: dict[str, Telling] = {
    "relation": Telling(
        "DocumentReference",
        relating,
        (
            "relation=replaces",
            f"relation={RELATION_TYPES}|replaces",
            "relation:in={relations}",
            filtered("relation in {relations}"),
            filtered("relation eq replaces"),
            filtered("not (relation pr false)"),
            "relation:missing=false",
            "relatesto:missing=false",
            "relationship:missing=false",
            "relationship={hidden}$replaces",
            "relatesto={hidden}",
            "relatesto={hidden}|1",
            filtered("relatesto re {hidden}"),
            filtered("relatesto pr true"),
            filtered("relatesto ne DocumentReference/other"),
            "relatesto.status=current",
            "relatesto:DocumentReference._id={id}",
        ),
    ),
    "attachment": Telling(
        "DocumentReference",
        attached,
        (
            "location={hidden}",
            "location={base}/{hidden}",
            "location:missing=false",
            filtered("location pr true"),
            "contenttype=text/x-rare",
            "contenttype:missing=false",
            "language=br",
            "format=rare",
            "format:in={formats}",
            "creation=1999-01-01",
            "creation=lt2000",
            "creation:missing=false",
            filtered("creation lt 2000-01-01"),
        ),
        of_hidden="Binary",
    ),
    "attachment with its whole URL": Telling(
        "DocumentReference",
        lambda key: attached(f"{{base}}/{key}"),
        (
            "location={base}/{hidden}",
            "location:missing=false",
            "location:below={base}",
            "location:below={base}/Binary",
            "location:above={base}/{hidden}/x",
        ),
        of_hidden="Binary",
    ),
    "attachment of a version": Telling(
        "DocumentReference",
        lambda key: attached(f"{{base}}/{key}/_history/1"),
        ("location={base}/{hidden}/_history/1", "location:missing=false", "location:below={base}/{hidden}"),
        of_hidden="Binary",
    ),
    "a part of a resource": Telling(
        "Observation",
        lambda key: {
            "derivedFrom": [to(f"{{base}}/{key}#part") | {"identifier": {"system": NUMBER, "value": "of-a-part"}}]
        },
        (
            "derived-from={base}/{hidden}%23part",
            "derived-from:missing=false",
            f"derived-from:identifier={NUMBER}|of-a-part",
        ),
    ),
    "encounter": Telling(
        "Observation",
        lambda key: {"encounter": to(key)},
        (
            "encounter={hidden}",
            "encounter:missing=false",
            "encounter.status=finished",
            "encounter.date:missing=true",
            filtered("encounter.class eq AMB"),
            filtered("not (encounter pr false)"),
        ),
        of_hidden="Encounter",
    ),
    "a part in an appointment": Telling(
        "Appointment",
        lambda key: {"participant": [{"actor": to(key), "status": "tentative"}]},
        ("actor={hidden}", "part-status=tentative", filtered("part-status eq tentative")),
        of_hidden="Device",
    ),
    "a procedure": Telling(
        "Claim",
        lambda key: {"procedure": [{"sequence": 1, "procedureReference": to(key), "udi": [to("{device}")]}]},
        (
            "procedure-udi={device}",
            "procedure-udi:missing=false",
            "procedure-udi:Device.status=active",
            filtered("procedure-udi:Device.status eq active"),
        ),
        of_hidden="Procedure",
    ),
}


TELLING |= {
    "a reference of what is contained": Telling(
        "DocumentReference",
        lambda key: holding_an_observation(encounter=to(key)),
        (
            "related:Observation.encounter={hidden}",
            "related:Observation.encounter={base}/{hidden}",
            "related:Observation.encounter:missing=false",
            "related:Observation.encounter.status=finished",
            "related:Observation.encounter.date:missing=true",
            filtered("related:Observation.encounter.class eq AMB"),
            filtered("related:Observation.encounter pr true"),
            filtered("not (related:Observation.encounter pr false)"),
        ),
        of_hidden="Encounter",
    ),
    "what goes with a reference of what is contained": Telling(
        "DocumentReference",
        lambda key: {"contained": [{**SMALL_DOCUMENT, **relating(key)}], "context": {"related": [to("#d")]}},
        (
            "related:DocumentReference.relation=replaces",
            "related:DocumentReference.relation:in={relations}",
            "related:DocumentReference.relation:missing=false",
            "related:DocumentReference.relationship={hidden}$replaces",
            "related:DocumentReference.relatesto={hidden}",
            "related:DocumentReference.relatesto.status=current",
            filtered("related:DocumentReference.relatesto ne DocumentReference/other"),
        ),
    ),
    "what is contained and goes with a reference": Telling(
        "Claim",
        lambda key: {
            "contained": [{"resourceType": "Device", "id": "d", "status": "active"}],
            "procedure": [{"sequence": 1, "procedureReference": to(key), "udi": [to("#d")]}],
        },
        ("procedure-udi.status=active", "procedure-udi:Device.model:missing=true"),
        of_hidden="Procedure",
    ),
}


@pytest.fixture(scope="module")
def value_sets(served: Served) -> dict[str, str]:
    """The URLs of two value sets, by what they are of."""
    made = {}
    for name, system, code in (("relations", RELATION_TYPES, "replaces"), ("formats", "https://x.example/f", "rare")):
        made[name] = f"https://x.example/{name}-{uuid4().hex}"
        compose = {"include": [{"system": system, "concept": [{"code": code}]}]}
        body = {"resourceType": "ValueSet", "status": "active", "url": made[name], "compose": compose}
        put(served.as_("conformance"), body | {"id": f"vs-{uuid4().hex[:12]}"})
    return made


@pytest.mark.parametrize("name", TELLING)
def test_no_question_finds_what_is_taken_out(
    record: OwnRecord, reader: httpx.Client, value_sets: dict[str, str], name: str
) -> None:
    telling, base = TELLING[name], record.served.base
    hidden = masked(record, telling.of_hidden)
    device = written(record, "Device", status="active")
    told = value_sets | {"base": base, "hidden": hidden, "id": id_of(hidden), "device": device}

    def filled(value: Any) -> Any:
        return json.loads(json.dumps(value).replace("{base}", base).replace("{device}", device))

    members = filled(telling.members(hidden))
    if telling.type == "Appointment":
        mine = {"actor": to(f"Patient/{record.id}"), "status": "accepted"}
        members = {"status": "booked", "start": "2026-12-01T10:00:00Z", "end": "2026-12-01T10:20:00Z"} | {
            "participant": [mine, *members["participant"]]
        }
    made = written(record, telling.type, **members)
    assert reader.get(f"/{made}").status_code == 200
    assert hidden not in reader.get(f"/{made}").text
    url = f"/{telling.type}?patient={record.id}&_id={id_of(made)}&"
    for question in telling.asked:
        asked = url + question
        for mark, value in told.items():
            asked = asked.replace(f"{{{mark}}}", value).replace(quote(f"{{{mark}}}", safe=""), quote(value, safe=""))
        assert found(reader, asked) == set(), asked
        assert found(record.as_("medecin-traitant"), asked) <= {id_of(made)}
    assert any(
        found(record.as_("medecin-traitant"), (url + one).format(**told)) for one in telling.asked if "%20" not in one
    ), "who sees it finds it"


def masked(record: OwnRecord, type: str, **members: Any) -> str:
    return binary(record, "MASQUE_PS") if type == "Binary" else written(record, type, "MASQUE_PS", **members)


def binary(record: OwnRecord, *labels: str) -> str:
    """The bytes of a document with these labels."""
    body = {"resourceType": "Binary", "id": f"binary-{uuid4().hex[:12]}", "contentType": "text/plain", "data": "Qm9u"}
    owner = written(record, "DocumentReference", *labels)
    put(record.served.as_("conformance"), body | {"securityContext": to(owner)})
    return f"Binary/{body['id']}"


def test_a_reference_that_is_shown_is_there_beside_one_that_is_not(record: OwnRecord, reader: httpx.Client) -> None:
    """It says no more than a name, so nothing finds it; and yet it is there."""
    made = written(record, "Observation", derivedFrom=[to(masked(record, "DocumentReference")), {"display": "Lettre"}])
    assert reader.get(f"/{made}").json()["derivedFrom"] == [{"display": "Lettre"}]
    url = f"/Observation?patient={record.id}&_id={id_of(made)}&derived-from:missing"
    assert found(reader, f"{url}=false") == {id_of(made)}
    assert found(reader, f"{url}=true") == set()


def test_two_references_that_are_not_shown_are_no_reference(record: OwnRecord, reader: httpx.Client) -> None:
    """Nor is one to the resource itself hidden beside them."""
    hidden = to(masked(record, "Observation"))
    made = written(record, "Observation", derivedFrom=[hidden, hidden])
    itself = f"observation-{uuid4().hex[:12]}"
    written(record, "Observation", id=itself, derivedFrom=[hidden, to(f"Observation/{itself}")])
    url = f"/Observation?patient={record.id}&_id={id_of(made)},{itself}&derived-from:missing"
    assert found(reader, f"{url}=false") == {itself}
    assert found(reader, f"{url}=true") == {id_of(made)}


def test_a_device_is_not_found_by_the_procedure_that_is_taken_out(record: OwnRecord, reader: httpx.Client) -> None:
    hidden, device = masked(record, "Procedure"), written(record, "Device")
    procedure = {"sequence": 1, "procedureReference": to(hidden), "udi": [to(device)]}
    claim = id_of(written(record, "Claim", procedure=[procedure]))
    url = f"/Device?patient={record.id}&_has:Claim:procedure-udi:_id={claim}"
    assert found(reader, url) == set()
    assert found(record.as_("medecin-traitant"), url) == {id_of(device)}


def test_what_is_included_stands_in_an_order_of_its_own(record: OwnRecord, reader: httpx.Client) -> None:
    """Not in that of the references, of which some are not shown."""
    hidden = [masked(record, type) for type in ("Observation", "DocumentReference")]
    shown = [written(record, type) for type in ("DocumentReference", "Observation", "Encounter")]
    for first in hidden:
        points = [to(key) for key in (first, *shown)]
        made = written(record, "List", entry=[{"item": point} for point in points])
        answer = reader.get(f"/List?patient={record.id}&_id={id_of(made)}&_include=List:item")
        entries = answer.json()["entry"][1:]
        assert [entry["resource"]["id"] for entry in entries] == [id_of(shown[at]) for at in (0, 2, 1)]


def test_what_lies_below_a_url_is_found_where_it_is_shown(record: OwnRecord, reader: httpx.Client) -> None:
    url = f"{record.served.base}/{binary(record)}"
    made = id_of(written(record, "DocumentReference", **attached(url)))
    asked = f"/DocumentReference?patient={record.id}&_id={made}&location"
    for question in (f":below={record.served.base}", ":missing=false", f"={url}", f":below={url}"):
        assert found(reader, asked + question) == {made}, question
    assert found(reader, f"{asked}:below=https://elsewhere.example/") == set()


# What is contained (ADR 0030)


def test_what_is_contained_is_found_as_if_what_it_refers_to_and_is_hidden_were_not_there(
    record: OwnRecord, reader: httpx.Client
) -> None:
    """Hidden and absent alike; and by all else as if it were shown."""
    hidden = written(record, "DocumentReference", **holding_an_observation(encounter=to(masked(record, "Encounter"))))
    absent = written(record, "DocumentReference", **holding_an_observation(encounter=to("Encounter/absent")))
    shown = written(record, "DocumentReference", **holding_an_observation(encounter=to(written(record, "Encounter"))))
    three = [id_of(key) for key in (hidden, absent, shown)]
    url = f"/DocumentReference?patient={record.id}&_id={','.join(three)}&related:Observation."
    for question, expected in (
        ("encounter:missing=true", three[:2]),
        ("encounter:missing=false", three[2:]),
        ("encounter.status=finished", three[2:]),
        ("code:text=pouls", three),
        ("status=final", three),
        ("status:not=final", []),
    ):
        assert found(reader, url + question) == set(expected), question
    assert found(record.as_("medecin-traitant"), f"{url}encounter.status=finished") == {three[0], three[2]}


def test_who_deposited_it_finds_it_by_what_is_hidden_from_him(record: OwnRecord) -> None:
    """He wrote it, and is shown it whole; he does not learn what became of what he named."""
    hidden = masked(record, "Encounter")
    mine = record.deposit(by="specialiste", **holding_an_observation(encounter=to(written(record, "Encounter"))))
    other = written(record, "DocumentReference", **holding_an_observation(encounter=to(hidden)))
    url = f"/DocumentReference?patient={record.id}&_id={mine},{id_of(other)}&related:Observation.encounter:missing"
    assert found(record.as_("specialiste"), f"{url}=false") == {mine}
    assert found(record.as_("specialiste"), f"{url}=true") == {id_of(other)}


def test_what_is_contained_tells_of_no_other_patient(served: Served, record: OwnRecord, reader: httpx.Client) -> None:
    """Whom a contained Observation is about is a reference like any other: it is taken out, and finds nothing."""
    other = own_record(served)
    made = written(record, "DocumentReference", **holding_an_observation(subject=to(f"Patient/{other.id}")))
    assert other.id not in reader.get(f"/{made}").text
    url = f"/DocumentReference?patient={record.id}&_id={id_of(made)}&related:Observation."
    for question in (
        f"subject=Patient/{other.id}",
        f"patient={other.id}",
        f"subject:Patient.identifier=urn:oid:1.2.250.1.213.1.4.10|{other.ins}",
        "subject:missing=false",
        "patient:missing=false",
    ):
        assert found(reader, url + question) == set(), question
        assert found(record.served.as_("conformance"), url + question) == {id_of(made)}, question
    assert found(reader, f"{url}subject:missing=true") == {id_of(made)}


def test_what_a_hidden_document_contains_finds_nothing(record: OwnRecord, reader: httpx.Client) -> None:
    family = f"Auteur{uuid4().hex[:8]}"
    contained = {"resourceType": "Practitioner", "id": "a", "name": [{"family": family}]}
    members = {"contained": [contained], "author": [to("#a")]}
    hidden, shown = masked(record, "DocumentReference", **members), written(record, "DocumentReference", **members)
    url = f"/DocumentReference?patient={record.id}&author.family={family}"
    assert found(reader, url) == {id_of(shown)}
    assert found(record.as_("medecin-traitant"), url) == {id_of(hidden), id_of(shown)}
    reply = written(record, "DocumentReference", relatesTo=[{"code": "appends", "target": to(hidden)}])
    through = f"/DocumentReference?patient={record.id}&_id={id_of(reply)}&relatesto.author.family={family}"
    assert found(reader, through) == set()
    assert found(record.as_("medecin-traitant"), through) == {id_of(reply)}


# Orders


ORDERED: Final = {
    "relatesto": ("DocumentReference", relating),
    "relation": ("DocumentReference", relating),
    "location": ("DocumentReference", attached),
    "contenttype": ("DocumentReference", attached),
    "creation": ("DocumentReference", attached),
    "format": ("DocumentReference", attached),
    "encounter": ("Observation", lambda key: {"encounter": to(key)}),
}


@pytest.mark.parametrize("key", ORDERED)
@pytest.mark.parametrize("form", ["{key}", "{base}/{key}"])
def test_no_order_tells_of_what_is_taken_out(served: Served, key: str, form: str) -> None:
    """Rows stand as if it had never been written: after all that have something, among those that have nothing."""
    record = own_record(served)
    record.chosen(medecin_traitant(record, "medecin-traitant"))
    record.chosen(authorisation(record, "specialiste"))
    type, members = ORDERED[key]
    of_target = {"location": "Binary", "encounter": "Encounter"}.get(key, "DocumentReference")
    if of_target == "DocumentReference" and members is attached:
        of_target = "Binary"
    plain = {} if members is not attached else {"content": [{"attachment": {"title": "x"}}]}
    hidden = form.format(key=masked(record, of_target), base=served.base)
    for id, told in (("a", plain), ("b", members(hidden)), ("c", plain)):
        about = {"resourceType": type, "id": f"{record.id}-{id}", "subject": to(f"Patient/{record.id}")}
        known: dict[str, dict[str, Any]] = {
            "DocumentReference": {"status": "current", "category": document("x")["category"], **document_content()},
            "Observation": {"status": "final", "code": {"text": "x"}},
        }
        put(served.as_("conformance"), about | known[type] | told)

    def rows(actor: str, order: str) -> list[str]:
        url = f"/{type}?patient={record.id}&_id={record.id}-a,{record.id}-b,{record.id}-c&_sort={order}"
        answer = record.as_(actor).get(url)
        assert answer.status_code == 200, answer.text
        return [entry["resource"]["id"].removeprefix(f"{record.id}-") for entry in answer.json()["entry"]]

    for order in (key, f"-{key}", f"{key},-_id", f"status,{key}"):
        others = ["c", "b", "a"] if order.endswith("-_id") else ["a", "b", "c"]
        assert rows("specialiste", order) == others, order
    assert rows("medecin-traitant", key)[0] == "b", "who sees it sees it first"


def document_content() -> dict[str, Any]:
    return {"content": [{"attachment": {"title": "x"}}]}


# Who names nobody outside of a chain


@pytest.mark.parametrize(
    "question",
    [
        "Observation?subject:Patient.family=Essai&subject:Patient.birthdate=2012-05-14",
        "Observation?encounter.patient={patient}",
        "Observation?derived-from:DocumentReference.patient.identifier={ins}",
        "Observation?" + filtered("patient eq Patient/{patient}"),
        "Observation?" + filtered("(patient re Patient/{patient})"),
        "Observation?" + filtered("patient re Patient/{patient} and status eq final"),
        "Observation?" + filtered("_id eq {document}"),
        "Patient?" + filtered("_id eq {patient}"),
        "Patient?" + filtered("identifier eq {ins}"),
        "Patient?_has:Observation:patient:_id={document}",
        "Patient?_has:DocumentReference:subject:identifier={ins}",
        "DocumentReference?_has:Observation:derived-from:_id={document}",
        "DocumentReference?_list={document}",
        "DocumentReference?_id:not={document}",
        "Encounter/{document}/Observation",
        "Encounter/{document}/*",
        "RelatedPerson/{document}/Appointment",
    ],
)
@pytest.mark.parametrize("actor", ["inconnu", "specialiste", "medecin-traitant", "hopital", "samu"])
def test_who_is_named_in_a_chain_or_a_filter_alone_is_not_named(record: OwnRecord, actor: str, question: str) -> None:
    told = []
    for named in (record, OwnRecord(record.served, f"absent-{uuid4().hex[:12]}", new_ins())):
        shown = f"{named.id}-x"
        values = {"patient": named.id, "ins": named.ins, "document": shown}
        asked = question
        for name, value in values.items():
            asked = asked.replace(f"{{{name}}}", value).replace(quote(f"{{{name}}}", safe=""), value)
        answer = record.as_(actor).get(f"/{asked}")
        assert answer.status_code == 403, answer.text
        told.append(answer.content)
    assert told[0] == told[1]


def test_who_may_not_see_the_record_he_acts_in_does_not_learn_its_name(served: Served) -> None:
    """A guardian by his token alone: `Patient/$everything` says what it says where there is no record."""
    record, told = own_record(served), []
    conformance = served.as_("conformance")
    assert conformance.delete(f"/RelatedPerson/{record.id}-representant").status_code == 204
    for ins in (record.ins, new_ins()):
        client = served.as_("representant", patient=ins)
        answer = client.get("/Patient/$everything")
        assert answer.status_code == 404
        told.append(answer.content)
        assert client.post("/Patient/$everything").content == answer.content
    assert told[0] == told[1]
    traces = record.as_("patient").get(f"/AuditEvent?patient={record.id}&_sort=-date&_count=2").json()["entry"]
    assert all("$everything" in json.dumps(one) for one in traces), "its holder is told of the attempt"


# What traces tell


INSIDE: Final = (
    "Observation?patient={patient}&derived-from:DocumentReference.identifier={number}",
    "Observation?patient={patient}&derived-from:identifier={number}",
    "Observation?patient={patient}&encounter._has:DocumentReference:encounter:identifier={number}",
    "DocumentReference?patient={patient}&_has:DocumentReference:relatesto:identifier={number}",
    "DocumentReference?patient={patient}&" + filtered("identifier eq {value}"),
    "DocumentReference?patient={patient}&" + filtered("not (status eq current and relatesto.identifier eq {value})"),
    "DocumentReference?patient={patient}&status=superseded&identifier={number}",
    "?_type=Observation,List&patient={patient}&identifier:of-type=https://x.example/t|n|{value}",
    "AuditEvent?patient={patient}&entity:DocumentReference.identifier={number}",
    "AuditEvent?patient={patient}&entity:identifier={number}",
    "Patient/{patient}/Observation?derived-from:DocumentReference.identifier={number}",
    "Encounter/{encounter}/*?patient={patient}",
    "Encounter/{encounter}/Observation?patient={patient}&_summary=count",
    "Device/{device}/Observation?patient={patient}",
    "Observation?patient={patient}&derived-from:DocumentReference._id={document}",
    "DocumentReference?patient={patient}&_list={list}",
)


@dataclass(frozen=True)
class Named:
    """Things of a record, and the words by which a query names them."""

    record: OwnRecord
    document: str
    encounter: str
    device: str
    list: str
    value: str

    def asked(self, question: str) -> str:
        words = {
            "patient": self.record.id,
            "number": f"{NUMBER}|{self.value}",
            "value": self.value,
            "document": id_of(self.document),
            "encounter": id_of(self.encounter),
            "device": id_of(self.device),
            "list": id_of(self.list),
        }
        for name, word in words.items():
            question = question.replace(f"{{{name}}}", word).replace(quote(f"{{{name}}}", safe=""), word)
        return question


def things(record: OwnRecord, *labels: str) -> Named:
    value = uuid4().hex
    coding = {"system": "https://x.example/t", "code": "n"}
    number = {"identifier": [{"system": NUMBER, "value": value, "type": {"coding": [coding]}}]}
    document = written(record, "DocumentReference", *labels, **number)
    encounter = written(record, "Encounter", *labels, **number)
    written(record, "Observation", *labels, **number)
    device, listed = (written(record, kind, *labels, **number) for kind in ("Device", "List"))
    return Named(record, document, encounter, device, listed, value)


def trail_of(client: httpx.Client, record: OwnRecord) -> list[str]:
    """The queries that a reader finds in the trail of a record, newest first."""
    answer = client.get(f"/AuditEvent?patient={record.id}&_sort=-date&_count=500")
    assert answer.status_code == 200, answer.text
    found = [entry["resource"] for entry in answer.json().get("entry", [])]
    return [entity["description"] for one in found for entity in one["entity"] if "description" in entity]


@pytest.fixture(scope="module")
def watched(served: Served) -> OwnRecord:
    """A record in the trail of which what others name is looked for."""
    made = own_record(served)
    made.chosen(medecin_traitant(made, "medecin-traitant"))
    return made


def words_of(named: Named) -> set[str]:
    return {named.value, *map(id_of, (named.document, named.encounter, named.device, named.list))}


@pytest.mark.parametrize("actor", ["medecin-traitant", "inconnu", "hopital", "assurance-maladie"])
def test_a_trace_that_names_what_is_hidden_somewhere_inside_is_withheld(watched: OwnRecord, actor: str) -> None:
    """In a chain, a filter or the path; found or not, answered or refused (R-25)."""
    hidden, shown = things(watched, ANNONCE), things(watched)
    for question in INSIDE:
        for named in (hidden, shown):
            assert watched.as_(actor).get(f"/{named.asked(question)}").status_code in (200, 403), question
    told, everything = trail_of(watched.as_("patient"), watched), trail_of(watched.as_("medecin-traitant"), watched)
    assert not [query for query in told if any(word in query for word in words_of(hidden))]
    for named in (hidden, shown):
        assert [query for query in everything if any(word in query for word in words_of(named))]
    assert [query for query in told if any(word in query for word in words_of(shown))]


def test_what_the_minor_names_somewhere_inside_is_withheld_from_the_representative(watched: OwnRecord) -> None:
    secret = things(watched, "INVISIBLE_REPRESENTANTS_LEGAUX")
    holder = watched.as_("patient")
    for question in INSIDE:
        assert holder.get(f"/{secret.asked(question)}").status_code in (200, 403), question
    words = words_of(secret)
    assert len([one for one in trail_of(holder, watched) if any(word in one for word in words)]) >= len(INSIDE)
    told = trail_of(watched.as_("representant"), watched)
    assert not [one for one in told if any(word in one for word in words)]


@pytest.mark.parametrize(("actor", "label"), [("patient", ANNONCE), ("representant", "INVISIBLE_REPRESENTANTS_LEGAUX")])
def test_what_one_names_oneself_is_in_the_own_trail_as_what_is_not_there(
    watched: OwnRecord, actor: str, label: str
) -> None:
    client, hidden = watched.as_(actor), things(watched, label)
    keys = [f"X/absent-{uuid4().hex[:12]}" for _ in range(4)]
    absent = Named(watched, keys[0], keys[1], keys[2], keys[3], uuid4().hex)
    for question in INSIDE:
        told = []
        for named in (hidden, absent):
            answer = client.get(f"/{named.asked(question)}")
            newest = trail_of(client, watched)[:1]
            told.append((answer.status_code, [one.replace(named.asked(question), "") for one in newest]))
        assert told[0] == told[1], question


# Own deposits, several records, what tells of others


def asked_of(client: httpx.Client, urls: Sequence[str], *names: str) -> list[str]:
    """What is answered, with nothing left of these names."""
    told = []
    for url in urls:
        answer = client.get(url)
        assert answer.status_code == 200, (url, answer.text)
        body = answer.json()
        for entry in body.get("entry", []):
            entry["resource"].pop("meta", None)
        text = json.dumps(body)
        for name in names:
            text = text.replace(name, "x")
        told.append(text)
    return told


def test_who_publishes_learns_nothing_of_what_his_own_deposits_name(record: OwnRecord) -> None:
    """He is shown them whole, for he wrote it; whether what they name is there no question tells him."""
    publisher, told = record.as_("hopital"), []
    hidden = written(record, "DocumentReference", description="Lettre", **relating("DocumentReference/x"))
    stay = written(record, "Encounter")
    for target, encounter in ((hidden, stay), ("DocumentReference/absent", "Encounter/absent")):
        body: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
        body |= {"subject": to(f"Patient/{record.id}"), "derivedFrom": [to(target)], "encounter": to(encounter)}
        made = create(publisher, body).json()["id"]
        of, own = f"patient={record.id}", f"_id={made}"
        urls = [
            f"/Observation?{of}&{own}",
            f"/Observation?{of}&{own}&derived-from.status=current",
            f"/Observation?{of}&{own}&derived-from.description:missing=true",
            f"/Observation?{of}&{own}&derived-from={target}",
            f"/Observation?{of}&{own}&derived-from:missing=true",
            f"/Observation?{of}&{own}&{filtered('derived-from pr true and not (encounter.status pr true)')}",
            f"/Observation?{of}&{own}&_include=Observation:derived-from&_include:iterate=*",
            f"/Observation?{of}&{own}&_sort=derived-from,-encounter",
            f"/DocumentReference?{of}&_has:Observation:derived-from:_id={made}",
            f"/DocumentReference?_id={id_of(target)}&_has:Observation:derived-from:status=final",
            f"/Encounter/{id_of(encounter)}/Observation?{of}&{own}",
            f"/Encounter/{id_of(encounter)}/Encounter?{of}",
            f"/Practitioner?_has:Observation:performer:_id={made}",
        ]
        told.append(asked_of(publisher, urls, made, id_of(target), id_of(encounter)))
        assert made in publisher.get(urls[3]).text, "he finds it by what he wrote"
        assert publisher.get(f"/{encounter}/$everything").status_code == 404
    assert told[0] == told[1]


def test_of_what_belongs_to_two_no_chain_tells_who_may_see_one(served: Served) -> None:
    first, second = own_record(served), own_record(served)
    first.chosen(authorisation(first, "specialiste"))
    specialist = first.as_("specialiste")

    def participants(*records: OwnRecord) -> dict[str, Any]:
        actors = [{"actor": to(f"Patient/{one.id}"), "status": "accepted"} for one in records]
        when = {"start": "2026-12-01T10:00:00Z", "end": "2026-12-01T10:20:00Z"}
        return {"status": "booked", **when, "participant": actors}

    both = written(first, "Appointment", **participants(first, second))
    urls = [
        f"/Patient?_id={first.id}&_has:Appointment:patient:status=booked",
        f"/Patient?_id={first.id}&_has:Appointment:actor:_id={id_of(both)}",
        f"/Patient?_id={first.id}&_has:Appointment:patient:part-status=accepted",
        f"/Patient?_id={first.id}&_revinclude=Appointment:*",
        f"/Appointment?patient={first.id}&actor:Patient._id={second.id}",
        f"/Appointment?patient={first.id}&actor:Patient.birthdate=2012-05-14&_sort=actor",
        f"/Appointment?patient={first.id}&{filtered('not (status eq proposed)')}",
        f"/Patient/{first.id}/Appointment",
        f"/Patient/{first.id}/*?_type=Appointment,Patient",
    ]
    before = asked_of(specialist, urls, second.id)
    assert id_of(both) not in "".join(before[3:4] + before[7:])
    served.as_("conformance").delete(f"/{both}").raise_for_status()
    assert before == asked_of(specialist, urls, second.id)
    alone = written(first, "Appointment", **participants(first))
    assert ids(specialist.get(urls[0]).json()) == {first.id}
    assert ids(specialist.get(urls[7]).json()) == {id_of(alone)}


def test_what_only_tells_of_hidden_things_leads_nowhere(record: OwnRecord, reader: httpx.Client) -> None:
    """A provenance or a submission set of nothing that is shown is hidden itself."""
    hidden, shown = masked(record, "DocumentReference"), written(record, "DocumentReference")
    agents = {"recorded": "2026-03-01T10:00:00Z", "agent": [{"who": {"display": "x"}}]}
    made = {}
    for name, targets in (("hidden", [hidden]), ("both", [hidden, shown])):
        told = [to(target) for target in targets]
        answer = create(record.as_("conformance"), {"resourceType": "Provenance", "target": told, **agents})
        made[name] = answer.json()["id"]
    manifest = written(record, "DocumentManifest", content=[to(hidden)])
    of = f"patient={record.id}"
    listed = written(record, "List", entry=[{"item": to(manifest)}, {"item": to(f"Provenance/{made['hidden']}")}])
    assert found(reader, f"/Provenance?{of}&target.status=current") == {made["both"]}
    assert found(reader, f"/DocumentReference?{of}&_has:Provenance:target:recorded=ge2026") == {id_of(shown)}
    for question in (
        f"DocumentReference?{of}&_has:Provenance:target:_id={made['hidden']}",
        f"DocumentReference?{of}&_has:DocumentManifest:item:_id={id_of(manifest)}",
        f"DocumentManifest?{of}&_id={id_of(manifest)}&item.status=current",
        f"List?{of}&_id={id_of(listed)}&item:missing=false",
        f"List?{of}&_id={id_of(listed)}&item:DocumentManifest.status=current",
        f"DocumentManifest?{of}&_list={id_of(listed)}",
        f"Provenance?{of}&_list={id_of(listed)}",
    ):
        assert found(reader, f"/{question}") == set(), question
        assert len(found(record.as_("medecin-traitant"), f"/{question}")) == 1, question


def test_a_hidden_list_names_nothing_and_a_shown_one_nothing_hidden(record: OwnRecord, reader: httpx.Client) -> None:
    hidden, shown = masked(record, "DocumentReference"), written(record, "DocumentReference")
    entries = [{"item": to(hidden)}, {"item": to(shown)}]
    lists = [id_of(written(record, "List", *labels, entry=entries)) for labels in (("MASQUE_PS",), ())]
    doctor = record.as_("medecin-traitant")
    for id, told in zip(lists, (set(), {id_of(shown)}), strict=True):
        for question in (f"_list={id}", f"_has:List:item:_id={id}", f"_list={id},absent"):
            url = f"/DocumentReference?patient={record.id}&{question}"
            assert found(reader, url) == told
            assert found(doctor, url) == {id_of(hidden), id_of(shown)}


def test_around_what_is_hidden_there_is_nothing(record: OwnRecord, reader: httpx.Client) -> None:
    """A stay that is masked; what was observed during it is not, and does not say so."""
    hidden, shown = masked(record, "Encounter"), written(record, "Encounter")
    inside = {key: written(record, "Observation", encounter=to(key)) for key in (hidden, shown)}
    kept = masked(record, "Observation", encounter=to(shown))
    of = f"patient={record.id}"
    for centre, told in ((hidden, set()), (shown, {id_of(inside[shown])})):
        for path in ("Observation", "*"):
            url = f"/{centre}/{path}?{of}&_type=Observation" if path == "*" else f"/{centre}/{path}?{of}"
            assert found(reader, url) == told
            assert found(reader, f"{url}&_sort=-date") == told
        assert found(reader, f"/{centre}/Encounter?{of}") == ({id_of(shown)} if told else set())
    assert found(record.as_("medecin-traitant"), f"/{shown}/Observation?{of}") == {id_of(inside[shown]), id_of(kept)}
    assert reader.get(f"/{hidden}/$everything").status_code == 404
    everything = reader.get(f"/{shown}/$everything?_count=100")
    assert {id_of(shown), id_of(inside[shown])} <= ids(everything.json())
    assert not [id for id in (id_of(hidden), id_of(inside[hidden]), id_of(kept)) if id in everything.text]


def test_the_directory_tells_nothing_of_records(record: OwnRecord, reader: httpx.Client) -> None:
    """Neither to who may see the document nor to who may not: whose it is was not said."""
    author = {"resourceType": "Practitioner", "id": f"auteur-{uuid4().hex[:12]}"}
    put(record.served.as_("conformance"), author)
    key = f"Practitioner/{author['id']}"
    made = written(record, "DocumentReference", "MASQUE_PS", author=[to(key)])
    for client in (reader, record.as_("inconnu"), record.as_("hopital"), record.as_("patient")):
        url = f"/Practitioner?_id={author['id']}"
        for question in (
            f"_has:DocumentReference:author:_id={id_of(made)}",
            f"_has:DocumentReference:author:patient={record.id}",
            f"_has:DocumentReference:author:patient.identifier={record.ins}",
            filtered("_has:DocumentReference:author:status eq current"),
        ):
            assert found(client, f"{url}&{question}") == set(), question
        for around in ("_revinclude=*", "_revinclude=DocumentReference:author&_include:iterate=*"):
            assert ids(client.get(f"{url}&{around}").json()) == {author["id"]}
    conformance = record.as_("conformance")
    assert found(conformance, f"/Practitioner?_has:DocumentReference:author:_id={id_of(made)}") == {author["id"]}


@pytest.mark.parametrize("letters", ["rs", "r"])
def test_a_chain_leads_over_what_the_token_may_search_alone(record: OwnRecord, letters: str) -> None:
    """Who may read a document by its id and not search for it learns nothing of it by a chain."""
    told = written(record, "DocumentReference")
    made = written(record, "Observation", derivedFrom=[to(told)])
    over = f"derived-from:DocumentReference.patient={record.id}"
    back = "_has:Observation:derived-from:status=final"
    for asked, other, question, answer in (
        ("Observation", "DocumentReference", f"_id={id_of(made)}&{over}", {id_of(made)}),
        ("DocumentReference", "Observation", f"_id={id_of(told)}&{back}", {id_of(told)}),
    ):
        scope = {"scope": f"patient/{asked}.rs patient/{other}.{letters}"}
        with record.served.client(record.served.token("patient", patient=record.ins, extra=scope)) as client:
            assert found(client, f"/{asked}?{question}") == (answer if letters == "rs" else set())


# Page tokens


AROUND: Final = (
    "/Observation?patient={patient}&_count=1&derived-from.status=current&_sort=derived-from",
    "/DocumentReference?patient={patient}&_count=1&_has:Observation:derived-from:status=final&_sort=-relation,date",
    "/DocumentReference?patient={patient}&_count=1&" + filtered("status eq current") + "&_sort=_id",
    "/Patient/{patient}/*?_count=1",
    "/Patient/{patient}/Observation?_count=1&_sort=-_lastUpdated",
    "/Patient/{patient}/$everything?_count=1",
)


@pytest.mark.parametrize("path", AROUND)
def test_a_page_token_is_its_requesters_and_no_proof_in_either_direction(served: Served, path: str) -> None:
    record = own_record(served)
    given = record.chosen(authorisation(record, "specialiste"))
    documents = [written(record, "DocumentReference", date=f"2026-03-0{day}T10:00:00Z") for day in (1, 2, 3, 4)]
    for one in documents:
        written(record, "Observation", derivedFrom=[to(one)])
    client = record.as_("specialiste")

    def link(answer: httpx.Response, relation: str) -> str:
        return str(next(one["url"] for one in answer.json()["link"] if one["relation"] == relation))

    first = client.get(path.format(patient=record.id))
    second = client.get(link(first, "next"))
    assert second.json()["entry"]
    forwards, backwards = link(second, "next"), link(second, "prev")
    assert ids(client.get(backwards).json()) == ids(first.json())
    for url in (forwards, backwards):
        assert record.as_("medecin-traitant").get(url).status_code in (400, 404)
        assert record.as_("patient").get(url).status_code == 400
        other = url.replace(record.id, "demo-1")
        assert client.get(other).status_code in (400, 404), "nor for another record"
    record.chosen(block(record, "specialiste"))
    for url in (forwards, backwards):
        after = client.get(url)
        assert after.status_code == 404 or ids(after.json()) == set()
    assert given


# What it costs


@pytest.fixture
def look_ups(served: Served) -> Iterator[Callable[[httpx.Client, str], int]]:
    """How many look-ups of the database an answer takes, those for the trail left out."""
    with MongoClient[dict[str, Any]](running_uri(served.data)) as client:
        database = client["fhir"]

        def counted(asking: httpx.Client, url: str) -> int:
            asking.get("/Organization?_id=x")  # who asks is looked up in the directory once in a while
            database["system.profile"].drop()
            database.command({"profile": 2})
            answer = asking.get(url)
            database.command({"profile": 0})
            assert answer.status_code in (200, 404), answer.text
            return database["system.profile"].count_documents({"ns": {"$in": ["fhir.resources", "fhir.records"]}})

        yield counted
        database.command({"profile": 0})
        database["system.profile"].drop()


COSTS: Final = (
    "/Observation?{of}&derived-from=DocumentReference/{document}",
    "/Observation?{of}&derived-from:DocumentReference._id={document}&_total=accurate&_count=1",
    "/Observation?{of}&_id={seen}&derived-from:DocumentReference.relatesto.status=current&_summary=count",
    "/Observation?{of}&_id={seen}&derived-from:missing=true",
    "/Observation?{of}&_id={seen}&_sort=derived-from&_include=Observation:*&_include:iterate=*",
    "/Observation?{of}&" + filtered("not (derived-from re DocumentReference/{document})"),
    "/DocumentReference?{of}&_has:Observation:derived-from:_id={observation}",
    "/DocumentReference?{of}&_list={list}",
    "/DocumentReference?_id={document}&relation=replaces",
    "/DocumentManifest?{of}&_id={manifest}",
    "/Encounter/{encounter}/Observation?{of}",
    "/Encounter/{encounter}/*?{of}",
    "/Encounter/{encounter}/$everything",
)


@pytest.mark.parametrize("question", COSTS)
def test_what_is_hidden_costs_what_is_absent(
    record: OwnRecord, reader: httpx.Client, look_ups: Callable[[httpx.Client, str], int], question: str
) -> None:
    related = written(record, "DocumentReference")
    hidden = {
        "document": masked(record, "DocumentReference", **relating(related)),
        "encounter": masked(record, "Encounter"),
        "observation": masked(record, "Observation", derivedFrom=[to(related)]),
        "list": masked(record, "List", entry=[{"item": to(related)}]),
    }
    hidden["manifest"] = written(record, "DocumentManifest", content=[to(hidden["document"])])
    told = []
    for named in (hidden, {name: f"{key.partition('/')[0]}/absent" for name, key in hidden.items()}):
        points = {"derivedFrom": [to(named["document"])], "encounter": to(named["encounter"])}
        words = {**named, "seen": written(record, "Observation", **points)}
        url = question.replace("{of}", f"patient={record.id}")
        for name, key in words.items():
            url = url.replace(f"{{{name}}}", id_of(key)).replace(quote(f"{{{name}}}", safe=""), id_of(key))
        told.append(look_ups(reader, url))
    assert told[0] == told[1]


@pytest.mark.parametrize("actor", ["inconnu", "hopital"])
@pytest.mark.parametrize(
    "question",
    [
        "/Observation?patient={patient}&derived-from.status=current",
        "/Appointment?patient={patient}",
        "/Appointment?patient={patient}&_sort=date&_total=accurate",
        "/DocumentManifest?patient={patient}",
        "/DocumentReference?patient={patient}&_sort=date",
        "/DocumentReference?patient={patient}&relation=replaces",
        "/DocumentReference?patient={patient}&_sort=relatesto",
        "/DocumentReference?patient={patient}&_has:DocumentManifest:item:status=current",
        "/Patient/{patient}/*",
        "/Patient/{patient}/Observation?_include=*",
    ],
)
def test_a_record_one_may_not_see_costs_what_none_costs(
    watched: OwnRecord, look_ups: Callable[[httpx.Client, str], int], actor: str, question: str
) -> None:
    written(watched, "DocumentManifest", content=[to(written(watched, "DocumentReference"))])
    there, absent = (look_ups(watched.as_(actor), question.format(patient=id)) for id in (watched.id, "absent"))
    assert there == absent


CROWD = "Attroupement"
"""A name that more people have than a chain looks up before it asks the record."""


@pytest.fixture(scope="module")
def crowd(served: Served) -> Iterator[list[str]]:
    """Practitioners of one name."""
    conformance = served.as_("conformance")
    keys = []
    for number in range(MOST_MEANT + 5):
        body = {"resourceType": "Practitioner", "name": [{"family": CROWD, "given": [f"N{number}"]}]}
        keys.append(f"Practitioner/{conformance.post('Practitioner', json=body, headers=FHIR_JSON).json()['id']}")
    yield keys
    for key in keys:
        conformance.delete(key)


def test_a_name_that_many_have_finds_what_the_record_points_to(
    record: OwnRecord, reader: httpx.Client, crowd: list[str]
) -> None:
    shown = [written(record, "DocumentReference", author=[to(key)]) for key in (crowd[0], crowd[-1])]
    masked(record, "DocumentReference", author=[to(crowd[1])])
    written(record, "DocumentReference")
    name = f"author:Practitioner.name={CROWD}"
    assert keys_of(reader, f"/DocumentReference?patient={record.id}&{name}") == set(shown)
    given = f"author:Practitioner.given=N{MOST_MEANT + 4}"
    assert keys_of(reader, f"/DocumentReference?patient={record.id}&{name}&{given}") == {shown[1]}
    assert keys_of(reader, f"/DocumentReference?patient={record.id}&{name}&author:Practitioner.given=N1") == set()


def test_a_name_that_many_have_costs_no_less_where_there_is_no_record(
    watched: OwnRecord, crowd: list[str], look_ups: Callable[[httpx.Client, str], int]
) -> None:
    written(watched, "DocumentReference", author=[to(crowd[0])])
    question = f"/DocumentReference?patient={{}}&author:Practitioner.name={CROWD}"
    for actor in ("inconnu", "hopital"):
        there, absent = (look_ups(watched.as_(actor), question.format(id)) for id in (watched.id, "absent"))
        assert there == absent


def keys_of(client: httpx.Client, url: str) -> set[str]:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return {f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in answer.json().get("entry", [])}
