"""The consent of every kind of requester, as the database carries it out: by the index of the record, and no further.

What mongod says of itself (its profiler) is asked, not what we think of our filters.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson.binary import Binary

from fhir_server.consent.circumstances import Act
from fhir_server.identity.requester import Requester
from fhir_server.record.facts import Facts
from fhir_server.search.predicate import Field, Prefix, one_of
from fhir_server.search.sorting import NEWEST_FIRST
from fhir_server.store import indexes
from fhir_server.store.connection import Database, connect, database
from fhir_server.store.finding import Finding
from fhir_server.store.ordering import BY_ID, Order
from tests.build import (
    HOSPITAL,
    NOW,
    OTHER_DOCTOR,
    SPECIALIST,
    authorisation,
    block,
    carer,
    decision,
    document_reference,
    emergency_choice,
    emergency_doctor,
    feeder,
    hospital,
    medecin_traitant,
    nurse,
    patient,
    professional,
    record,
)

RECORDS, DOCUMENTS = 30, 60
NEWEST = Order(NEWEST_FIRST)
LABELS = ("N", "MASQUE_PS", "INVISIBLE_PATIENT")
CONSENTS = [authorisation(SPECIALIST), block("89900000099"), emergency_choice("MASKED", "permit")]
WHO: dict[str, tuple[Requester, Facts]] = {
    "patient": (patient(), record(consents=CONSENTS)),
    "carer": (carer(), record(consents=CONSENTS)),
    "authorised": (professional(), record(consents=CONSENTS)),
    "nurse": (nurse(SPECIALIST), record(consents=CONSENTS)),
    "medecin-traitant": (professional(), record(consents=[medecin_traitant(SPECIALIST)])),
    "stranger": (professional(OTHER_DOCTOR), record(consents=CONSENTS)),
    "blocked": (professional(), record(consents=[*CONSENTS, block(SPECIALIST)])),
    "btg": (emergency_doctor(), record(consents=CONSENTS)),
    "hospital": (hospital(), record(consents=CONSENTS)),
    "feeder": (feeder(), record(consents=CONSENTS)),
}


@pytest.fixture(scope="module")
async def stored(mongo_uri: str) -> AsyncIterator[Database]:
    """Records of many patients, in a database of their own that tells how it answered."""
    client = connect(mongo_uri)
    held = database(client, "plans")
    await indexes.create(held)
    for number in range(RECORDS):
        await held["resources"].insert_many([_document(number, position) for position in range(DOCUMENTS)])
    await held.command("profile", 2)
    yield held
    await held.command("profile", 0)
    await client.drop_database("plans")
    await client.close()


def _document(number: int, position: int) -> dict[str, Any]:
    entry = document_reference(
        f"d{number}-{position}",
        subject=f"demo-{number}",
        security_label=LABELS[position % len(LABELS)],
        category=("11", "10", "95")[position % 3],
        deposited_by=f"finess|{HOSPITAL}" if position % 4 else f"rpps|{OTHER_DOCTOR}",
        organisation=f"finess|{HOSPITAL}" if position % 4 else None,
    )
    ix = {"s": [f"patient=Patient/demo-{number}", "status=|current"], "r": []}
    return {**entry, "ix": ix, "on": NOW - position, "at": NOW, "version": 1, "body": Binary(b"{}"), "b": 0}


async def told(stored: Database) -> list[dict[str, Any]]:
    """What mongod says it did, in order, and forget it."""
    finds = {"op": {"$in": ["query", "command"]}, "ns": "plans.resources"}
    found = await stored["system.profile"].find(finds).sort("ts", 1).to_list()
    await stored.command("profile", 0)
    await stored["system.profile"].drop()
    await stored.command("profile", 2)
    return found


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("order", [NEWEST, BY_ID], ids=["newest", "id"])
async def test_a_page_looks_at_the_documents_of_its_record_alone(stored: Database, who: str, order: Order) -> None:
    requester, facts = WHO[who]
    visible = decision(requester, facts=facts, act=Act.CONSULT).visible
    await told(stored)
    asked = one_of(Field.TYPE, "DocumentReference")
    await Finding(stored).search(asked, visible=visible, order=order, limit=20)
    found = await told(stored)
    assert found, "also what shows nothing asks the database"
    for one in found:
        assert "COLLSCAN" not in one["planSummary"], one["planSummary"]
        assert one["docsExamined"] <= DOCUMENTS, (one["planSummary"], one["docsExamined"])
        assert one["keysExamined"] <= DOCUMENTS + 1, (one["planSummary"], one["keysExamined"])


@pytest.mark.parametrize("who", WHO)
async def test_a_count_and_a_token_too(stored: Database, who: str) -> None:
    requester, facts = WHO[who]
    visible = decision(requester, facts=facts, act=Act.CONSULT).visible
    await told(stored)
    asked = one_of(Field.TERMS, "status=|current")
    await Finding(stored).count(asked, visible=visible)
    await Finding(stored).search(Prefix("status="), visible=visible, order=NEWEST, limit=20)
    found = await told(stored)
    assert len(found) >= 2
    for one in found:
        assert "COLLSCAN" not in one["planSummary"], one["planSummary"]
        assert one["docsExamined"] <= DOCUMENTS, (one["planSummary"], one["docsExamined"])


async def test_the_witness_sees(stored: Database) -> None:
    """The tests above would pass if mongod told nothing: it does tell, of a query we make without an index."""
    await told(stored)
    await stored["resources"].count_documents({"kind": "11502-2"})
    assert any("COLLSCAN" in one["planSummary"] for one in await told(stored))
