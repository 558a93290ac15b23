"""Ways around the gate that a hostile reading found, each tried on the real server (docs/consent, docs/trail.md)."""

from __future__ import annotations

import json
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest

from fhir_server.record.belonging import gathered, untold
from tests.conformance.choices import authorisation, block, medecin_traitant
from tests.conformance.own_record import (
    INS_NIR_TEST,
    NUMBERS,
    TRE_A07,
    OwnRecord,
    document,
    ids,
    new_ins,
    own_record,
    patient,
)
from tests.served import FHIR_JSON, JSON_PATCH, Served

R94: Final = "https://mos.esante.gouv.fr/NOS/TRE_R94-ProfessionSocial/FHIR/TRE-R94-ProfessionSocial"
ANNONCE: Final = "INVISIBLE_PATIENT"


@pytest.fixture
def record(served: Served) -> OwnRecord:
    """A record with a médecin traitant and an authorisationd specialist."""
    record = own_record(served)
    record.chosen(medecin_traitant(record, "medecin-traitant"))
    record.chosen(authorisation(record, "specialiste"))
    return record


def trail(client: httpx.Client, patient: str) -> list[dict[str, Any]]:
    """The traces a reader finds of a record, newest first."""
    answer = client.get(f"/AuditEvent?patient={patient}&_sort=-date&_count=100")
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def told(trace: dict[str, Any]) -> set[str]:
    """What a trace refers to, without versions."""
    references = (entity.get("what", {}).get("reference") for entity in trace["entity"])
    return {reference.partition("/_history/")[0] for reference in references if reference}


def queries(traces: list[dict[str, Any]]) -> list[str]:
    """The queries that traces tell of."""
    return [entity["description"] for trace in traces for entity in trace["entity"] if "description" in entity]


def rules(trace: dict[str, Any]) -> set[str]:
    """The rules that a trace says decided."""
    return {
        detail["valueString"]
        for entity in trace["entity"]
        for detail in entity.get("detail", ())
        if detail["type"] == "rule"
    }


def create(client: httpx.Client, resource: dict[str, Any]) -> httpx.Response:
    return client.post(f"/{resource['resourceType']}", json=resource, headers=FHIR_JSON)


def put(client: httpx.Client, resource: dict[str, Any]) -> httpx.Response:
    return client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource, headers=FHIR_JSON)


def about(ins: str) -> dict[str, Any]:
    return {"identifier": {"system": INS_NIR_TEST, "value": ins}}


# Whether somebody has a record


def test_a_patient_does_not_learn_by_a_deposit_that_an_ins_has_a_record(record: OwnRecord, served: Served) -> None:
    other = own_record(served)
    told = [create(record.as_("patient"), document("x", subject=about(ins))) for ins in (other.ins, new_ins())]
    assert {answer.status_code for answer in told} == {422}
    assert told[0].content == told[1].content


def test_a_patient_does_not_learn_from_his_own_trail_that_an_ins_has_a_record(
    record: OwnRecord, served: Served
) -> None:
    other, client = own_record(served), record.as_("patient")
    for ins in (other.ins, new_ins()):
        assert ids(client.get(f"/DocumentReference?patient.identifier={INS_NIR_TEST}|{ins}").json()) == set()
        own = trail(client, record.id)
        assert ins in queries(own)[0], "an attempt on another record is in the own trail, whether that record is there"
    theirs = trail(other.as_("patient"), other.id)
    assert any(other.ins in query for query in queries(theirs)), "and in the trail of the record it was aimed at"


def test_a_representative_cannot_keep_a_search_out_of_the_trail(record: OwnRecord, served: Served) -> None:
    """Nor show the documents of the one record in the trail of another."""
    other, deposited = own_record(served), record.deposit()
    found = record.as_("representant").get(f"/DocumentReference?patient={record.id},{other.id}").json()
    assert deposited in ids(found)
    assert f"DocumentReference/{deposited}" in told(trail(record.as_("patient"), record.id)[0])
    assert not any(f"DocumentReference/{deposited}" in told(trace) for trace in trail(other.as_("patient"), other.id))


@pytest.mark.parametrize(
    "claims",
    [
        {"extensions.ihe_iua.person_id": "280057505600117"},
        {
            "extensions.ihe_iua.subject_role": [{"system": R94, "code": "inconnu"}],
            "extensions.ihe_iua.national_provider_identifier": "89900000098",  # the directory does not know him
        },
    ],
    ids=["token for another person", "role outside of the DMP"],
)
def test_who_may_not_feed_does_not_learn_that_a_record_is_there(
    record: OwnRecord, served: Served, claims: dict[str, Any]
) -> None:
    closed = own_record(served)
    assert put(served.as_("conformance"), patient(closed, active=False)).status_code == 200
    with served.client(served.token("inconnu", extra=claims)) as client:
        answers = [create(client, document(id)) for id in (record.id, closed.id, "absent")]
        answers += [create(client, document("x", subject=about(ins))) for ins in (record.ins, closed.ins, new_ins())]
    assert {answer.status_code for answer in answers} == {422}
    assert len({answer.content for answer in answers}) == 1


def test_403_of_a_search_depends_on_its_text_alone(record: OwnRecord, served: Served) -> None:
    other, client = own_record(served), served.as_("inconnu")
    for ins in (other.ins, new_ins()):
        two = f"{INS_NIR_TEST}|{record.ins},{INS_NIR_TEST}|{ins}"
        assert client.get(f"/DocumentReference?patient.identifier={two}").status_code == 403
    for query in ("_id=a,b", "identifier=a,b", "identifier=https://nobody.example|", "masterIdentifier=a,b"):
        assert client.get(f"/DocumentReference?{query}").status_code == 403, query
        assert client.get(f"/DocumentReference?{query}&patient={record.id}").status_code == 200, query
    assert client.get("/DocumentReference?_id=a&identifier=b,c").status_code == 200


@pytest.mark.parametrize("actor", ["patient", "inconnu"])
def test_a_query_names_a_bounded_number_of_patients(served: Served, actor: str) -> None:
    """Each is looked up, so twenty thousand of them would keep the server busy for half a minute."""
    form = "&".join(f"patient={','.join(f'{number}-{part}' for part in range(150))}" for number in range(90))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = served.as_(actor).post("/DocumentReference/_search", content=form, headers=headers)
    assert answer.status_code == (400 if actor == "patient" else 403)


def test_traits_identify_a_person_and_do_not_search_for_one(served: Served) -> None:
    conformance, samu = served.as_("conformance"), served.as_("samu")
    name = f"Zz{uuid4().hex[:10]}"
    record = OwnRecord(served, f"trait-{name}", new_ins())
    assert put(conformance, patient(record, name=[{"family": name, "given": ["Alix"]}])).status_code == 201
    exact = {"family": name, "given": "Alix", "birthdate": "2012-05-14", "gender": "female"}
    assert ids(samu.get("/Patient", params=exact).json()) == {record.id}
    assert ids(samu.get("/Patient", params={**exact, "family": name[:-1]}).json()) == set(), "the whole name"
    for loose in (
        {"family": f"{name},Autre"},
        {"given": "Alix,Autre"},
        {"gender": "female,male"},
        {"birthdate": "2012"},
        {"birthdate": "ge2012-05-14"},
        {"birthdate": "2012-05-14,1900-01-01"},
    ):
        assert samu.get("/Patient", params={**exact, **loose}).status_code == 403, loose


# What a trace tells its reader of what is hidden from him


@pytest.mark.parametrize(
    ("actor", "more"),
    [
        ("inconnu", ""),
        ("inconnu", "&_summary=count"),
        ("medecin-traitant", ""),
        ("medecin-traitant", "&_summary=count"),
    ],
)
def test_a_trace_whose_query_names_what_is_hidden_is_withheld(record: OwnRecord, actor: str, more: str) -> None:
    """Found or not: it is in this trail because what it names is in this record (R-25)."""
    hidden, shown = record.deposit(ANNONCE), record.deposit()
    for id in (hidden, shown):
        assert record.as_(actor).get(f"/DocumentReference?_id={id}{more}").status_code == 200
    own = queries(trail(record.as_("patient"), record.id))
    assert any(shown in query for query in own)
    assert not any(hidden in query for query in own)
    assert any(hidden in query for query in queries(trail(record.as_("medecin-traitant"), record.id)))


@pytest.mark.parametrize("more", ["", "&_summary=count"])
def test_a_trace_whose_query_names_what_only_tells_of_what_is_hidden_is_withheld(
    record: OwnRecord, served: Served, more: str
) -> None:
    hidden, shown = (manifest(record, f"DocumentReference/{record.deposit(*labels)}") for labels in ((ANNONCE,), ()))
    for one in (hidden, shown):
        assert put(served.as_("conformance"), one).status_code == 201
        assert record.as_("medecin-traitant").get(f"/DocumentManifest?_id={one['id']}{more}").json()["total"] == 1
        assert record.as_("inconnu").get(f"/DocumentManifest?_id={one['id']}{more}").json()["total"] == 0
    own = queries(trail(record.as_("patient"), record.id))
    assert len([query for query in own if shown["id"] in query]) == 2
    assert not any(hidden["id"] in query for query in own)


def test_a_search_by_the_minor_for_what_he_keeps_secret_is_withheld_from_the_representative(
    record: OwnRecord,
) -> None:
    secret, shown = record.deposit("INVISIBLE_REPRESENTANTS_LEGAUX"), record.deposit()
    assert ids(record.as_("patient").get(f"/DocumentReference?_id={shown},{secret}").json()) == {shown, secret}
    assert any(secret in query for query in queries(trail(record.as_("patient"), record.id)))
    assert not any(secret in query for query in queries(trail(record.as_("representant"), record.id)))


def test_the_own_search_for_what_is_hidden_is_in_the_own_trail_as_any_other(record: OwnRecord) -> None:
    holder, hidden = record.as_("patient"), record.deposit(ANNONCE)
    for id in (hidden, "absent"):
        assert ids(holder.get(f"/DocumentReference?_id={id}").json()) == set()
        assert queries(trail(holder, record.id)[:1]) == [f"GET /DocumentReference?_id={id}"]


def test_that_somebody_read_a_withheld_trace_is_withheld_too(record: OwnRecord) -> None:
    hidden, doctor = record.deposit(ANNONCE), record.as_("medecin-traitant")
    assert doctor.get(f"/DocumentReference/{hidden}").status_code == 200
    found = next(one for one in trail(doctor, record.id) if f"DocumentReference/{hidden}" in told(one))
    for path in (f"AuditEvent/{found['id']}", f"AuditEvent/{found['id']}/_history", f"AuditEvent?_id={found['id']}"):
        assert doctor.get(f"/{path}").status_code == 200
    holder = record.as_("patient")
    seen = trail(holder, record.id)
    assert not [one for one in seen if any(target.startswith("AuditEvent/") for target in told(one))]
    assert found["id"] not in json.dumps(seen)
    assert holder.get(f"/AuditEvent/{found['id']}").status_code == 404


@pytest.mark.parametrize("path", ["", "/_history"])
def test_reading_an_own_trace_does_not_tell_whose_record_was_hidden(record: OwnRecord, path: str) -> None:
    """The record of a hidden target is sealed; of an absent one there is none."""
    stranger, hidden = record.as_("inconnu"), record.deposit()
    seen = []
    for id in (hidden, "absent"):
        assert stranger.get(f"/DocumentReference/{id}").status_code == 404
        first = stranger.get("/AuditEvent?_sort=-date&_count=1").json()["entry"][0]["resource"]
        assert f"DocumentReference/{id}" in told(first)
        assert stranger.get(f"/AuditEvent/{first['id']}{path}").status_code == 200
        second = stranger.get("/AuditEvent?_sort=-date&_count=1").json()["entry"][0]["resource"]
        assert f"AuditEvent/{first['id']}" in told(second)
        seen.append(told(second) - {f"AuditEvent/{first['id']}"})
    assert seen == [set(), set()]


def test_the_rules_in_a_trace_do_not_tell_that_something_is_hidden(record: OwnRecord, served: Served) -> None:
    plain = own_record(served)
    record.deposit(ANNONCE)
    told = []
    for one in (record, plain):
        holder = one.as_("patient")
        trail(holder, one.id)
        assert holder.get(f"/DocumentManifest?patient={one.id}").status_code == 200
        told.append([rules(trace) for trace in trail(holder, one.id)[:2]])
    assert told[0] == told[1]


def test_what_is_included_is_in_the_trail(record: OwnRecord) -> None:
    deposited = record.deposit()
    query = f"/Patient?_id={record.id}&_revinclude=DocumentReference:patient"
    assert deposited in ids(record.as_("specialiste").get(query).json())
    assert f"DocumentReference/{deposited}" in told(trail(record.as_("patient"), record.id)[0])


def test_an_identifier_found_in_two_records_is_told_to_each_holder_of_his_own(
    record: OwnRecord, served: Served
) -> None:
    other, number = own_record(served), str(uuid4())
    identifier = [{"system": "https://hopital.example/number", "value": number}]
    mine, theirs = (one.deposit(identifier=identifier) for one in (record, other))
    found = served.as_("hopital").get(f"/DocumentReference?identifier={number}").json()
    assert ids(found) == {mine, theirs}
    for one, own, foreign in ((record, mine, theirs), (other, theirs, mine)):
        newest = trail(one.as_("patient"), one.id)[0]
        assert f"DocumentReference/{own}" in told(newest)
        assert foreign not in json.dumps(newest)


def test_a_blocked_medecin_traitant_reads_his_own_acts_only(record: OwnRecord) -> None:
    doctor, key = record.as_("medecin-traitant"), NUMBERS["medecin-traitant"]
    record.deposit()
    assert len(trail(doctor, record.id)) > 1
    record.chosen(block(record, "medecin-traitant"))
    for trace in trail(doctor, record.id):
        assert key in json.dumps(trace["agent"])
        assert rules(trace) == set(), "and nothing that is sealed"


# What only tells of others, what feeds, what is too large


def gathering(record: OwnRecord, *targets: str, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "List",
        "id": f"liste-{uuid4().hex[:12]}",
        "status": "current",
        "mode": "working",
        "subject": {"reference": f"Patient/{record.id}"},
    }
    return made | ({"entry": [{"item": {"reference": target}} for target in targets]} if targets else {}) | members


def manifest(record: OwnRecord, *targets: str, labels: tuple[str, ...] = ()) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "DocumentManifest",
        "id": f"lot-{uuid4().hex[:12]}",
        "status": "current",
        "subject": {"reference": f"Patient/{record.id}"},
        "content": [{"reference": target} for target in targets],
    }
    return made | ({"meta": {"security": [{"system": TRE_A07, "code": code} for code in labels]}} if labels else {})


def test_what_only_tells_of_hidden_things_is_hidden_however_deep(record: OwnRecord, served: Served) -> None:
    masked, shown = record.deposit("MASQUE_PS"), record.deposit()
    first = manifest(record, f"DocumentReference/{masked}")
    second = manifest(record, f"DocumentManifest/{first['id']}")
    third = manifest(record, f"DocumentManifest/{second['id']}")
    labelled = manifest(record, f"DocumentReference/{shown}", labels=("MASQUE_PS",))
    around = manifest(record, f"DocumentManifest/{labelled['id']}")
    inner = manifest(record, f"DocumentReference/{shown}")
    outer = manifest(record, f"DocumentManifest/{inner['id']}", f"DocumentManifest/{third['id']}")
    for one in (first, second, third, labelled, around, inner, outer):
        assert put(served.as_("conformance"), one).status_code == 201
    specialist = record.as_("specialiste")
    found = specialist.get(f"/DocumentManifest?patient={record.id}").json()
    assert ids(found) == {inner["id"], outer["id"]}
    assert third["id"] not in json.dumps(found)
    for one in (first, second, third, labelled, around):
        assert specialist.get(f"/DocumentManifest/{one['id']}").status_code == 404
    assert len(ids(record.as_("patient").get(f"/DocumentManifest?patient={record.id}").json())) == 7


def test_what_one_wrote_oneself_does_not_tell_that_what_it_names_is_hidden(record: OwnRecord) -> None:
    """Hidden or absent, he wrote the reference himself; nor does his trail tell, where he finds his deposits."""
    holder, hidden = record.as_("patient"), record.deposit(ANNONCE)
    made: list[str] = []
    for target in (f"DocumentReference/{hidden}", "DocumentReference/absent"):
        inner = create(holder, gathering(record, target)).json()["id"]
        outer = create(holder, gathering(record, f"List/{inner}")).json()["id"]
        for id, named in ((inner, target), (outer, f"List/{inner}")):
            assert holder.get(f"/List/{id}").json()["entry"] == [{"item": {"reference": named}}]
        made += [inner, outer]
    assert ids(holder.get(f"/List?patient={record.id}").json()) == set(made)
    of_representative = record.as_("representant").get(f"/List?patient={record.id}").json()
    assert ids(of_representative) == set(), "to him they tell of nothing, hidden or absent"
    found = set().union(*(told(trace) for trace in trail(holder, record.id)))
    assert {f"List/{id}" for id in made} <= found


def test_gathered_ends_where_lists_refer_to_each_other() -> None:
    refers = {"List/a": ["List/b"], "List/b": ["List/a"], "List/c": ["List/a", "X/1"], "List/d": ["X/2"]}
    assert gathered(frozenset({"X/1"}), refers) == {"X/1", "List/c"}
    assert gathered(frozenset({"List/b"}), refers) == {"List/a", "List/b", "List/c"}
    assert gathered(frozenset(), refers) == frozenset()


def test_what_tells_of_nothing_shown_is_found_where_lists_refer_to_each_other() -> None:
    refers = {"List/a": ["List/b"], "List/b": ["List/a"], "List/c": ["X/1", "X/2"], "List/d": ["List/c", "List/a"]}
    assert untold(refers, ["X/2"]) == {"List/a", "List/b"}
    assert untold(refers, []) == refers.keys()
    assert untold(refers, ["List/b", "X/1"]) == frozenset()


def test_who_feeds_only_reads_nothing_by_a_patch(record: OwnRecord, served: Served) -> None:
    test = [{"op": "test", "path": "/status", "value": "current"}]
    with served.client(served.token("assurance-maladie", extra={"scope": "system/*.cud"})) as feeder:
        made = create(feeder, document(record.id))
        assert made.status_code == 201
        for id in (made.json()["id"], "absent"):
            answer = feeder.patch(f"/DocumentReference/{id}", json=test, headers=JSON_PATCH)
            assert answer.status_code == 403
            assert "attachment" not in answer.text


def test_what_cannot_be_stored_with_its_search_entries_is_too_large(record: OwnRecord, served: Served) -> None:
    """A short body may have so many search entries that the database takes no document of that size."""
    names = [{"family": f"x{number}", "given": [f"y{number}" * 20]} for number in range(60_000)]
    conformance = served.as_("conformance")
    answer = create(conformance, {"resourceType": "Patient", "name": names})
    assert answer.status_code == 413, answer.text[:500]
    written = conformance.get("/AuditEvent?type=rest&subtype=create&_sort=-date&_count=5").json()["entry"]
    assert "413" in json.dumps([entry["resource"].get("outcomeDesc") for entry in written])
