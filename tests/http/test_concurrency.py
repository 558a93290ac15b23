"""Two workers, one database, many clients at once: one writer wins, no fact is lost, no revocation is outlived.

Every client has a connection of its own, so the kernel spreads them over both workers; each worker writes a chain of
its own to the trail, by which the tests know that both took part.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from threading import Thread
from typing import IO, Any, TypeAlias
from uuid import uuid4

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.store.embedded import running_uri
from fhir_server.store.owned import CONSENT_FIELDS
from tests.build import authorisation, block, emergency_choice
from tests.conformance.own_record import OwnRecord, document, label, own_record
from tests.parallel import together
from tests.served import FHIR_JSON, JSON_PATCH, Served, serving

Crowd: TypeAlias = "Callable[..., list[httpx.Client]]"

WORKERS = 2
READS = 6
"""Of each kind, after each choice."""
OVERTAKEN = {409, 412}
MASK = [{"op": "add", "path": "/securityLabel/-", "value": label("MASQUE_PS")}]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of two workers."""
    with serving(tmp_path_factory.mktemp("pair") / "data", "--workers", str(WORKERS)) as running:
        yield running


@pytest.fixture(scope="module")
def stored(pair: Served) -> Iterator[Any]:
    """Its database, to see what was stored."""
    with MongoClient[dict[str, Any]](running_uri(pair.data)) as client:
        yield client["fhir"]


@pytest.fixture
def record(pair: Served) -> OwnRecord:
    return own_record(pair)


@pytest.fixture
def crowd(pair: Served, stored: Any) -> Iterator[Crowd]:
    """Makes clients of one actor, each with a token and a connection of its own; neighbours speak to different workers.

    The kernel gives a connection to whichever worker takes it, so it is asked until both have half of them.
    """
    made: list[httpx.Client] = []

    def connected(actor: str, named: dict[str, Any]) -> tuple[str, httpx.Client]:
        client = pair.client(pair.token(actor, **named))
        made.append(client)
        target = f"Patient/{uuid4()}"
        client.get(f"/{target}")
        return stored["trail"].find_one({"target": target})["writer"], client

    def clients(number: int, actor: str, **named: Any) -> list[httpx.Client]:
        by_worker: dict[str, list[httpx.Client]] = defaultdict(list)
        half = (number + 1) // 2
        for _ in range(20 * number):
            writer, client = connected(actor, named)
            by_worker[writer].append(client)
            if number == 1 or sum(len(some) >= half for some in by_worker.values()) == WORKERS:
                break
        else:
            pytest.fail(f"one worker takes all connections: { {name: len(some) for name, some in by_worker.items()} }")
        return [client for some in zip_longest(*by_worker.values()) for client in some if client is not None][:number]

    yield clients
    for client in made:
        client.close()


def writers(stored: Any, record: OwnRecord) -> set[str]:
    """The workers that wrote to the trail of a record."""
    return set(stored["trail"].distinct("writer", {"record": record.id}))


# Updates


def contend(
    clients: list[httpx.Client],
    type: str,
    rounds: int,
    change: Callable[[dict[str, Any], str], dict[str, Any]],
    id: str,
) -> list[str]:
    """Two updates with the same If-Match, again and again; the marks of those who won, in order."""
    won: list[str] = []
    for number in range(rounds):
        first, second = clients[number % len(clients)], clients[(number + 1) % len(clients)]
        current = first.get(f"/{type}/{id}")
        marks = [f"{number}-a", f"{number}-b"]
        answers = together(
            [
                partial(
                    client.put,
                    f"/{type}/{id}",
                    json=change(current.json(), mark),
                    headers={**FHIR_JSON, "If-Match": current.headers["ETag"]},
                )
                for client, mark in zip((first, second), marks, strict=True)
            ]
        )
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(200) == 1, statuses
        assert set(statuses) - {200} <= OVERTAKEN, statuses
        winner = statuses.index(200)
        assert answers[winner].headers["ETag"] == f'W/"{number + 2}"'
        won.append(marks[winner])
    return won


def test_of_two_updates_of_one_version_exactly_one_wins(crowd: Crowd, record: OwnRecord, stored: Any) -> None:
    rounds = 30
    id = record.deposit()
    clients = crowd(5, "hopital")
    won = contend(clients, "DocumentReference", rounds, lambda read, mark: {**read, "description": mark}, id)
    history = record.as_("patient").get(f"/DocumentReference/{id}/_history?_count=100").json()
    told = [entry["resource"] for entry in history["entry"]]
    assert [one["meta"]["versionId"] for one in told] == [str(version) for version in range(rounds + 1, 0, -1)]
    assert [one.get("description") for one in reversed(told)] == [None, *won]
    assert len(writers(stored, record)) == WORKERS
    announced = stored["trail"].count_documents({"writes": {"$regex": f"^DocumentReference/{id}/"}})
    withdrawn = stored["trail"].count_documents({"target": f"DocumentReference/{id}", "follows": {"$exists": True}})
    assert announced - withdrawn == rounds + 1


def test_of_two_updates_of_one_consent_exactly_one_wins(crowd: Crowd, record: OwnRecord, stored: Any) -> None:
    rounds = 10
    id = record.chosen(authorisation(patient=record.id).resource)["id"]
    clients = crowd(3, "patient", patient=record.ins)

    def other_start(read: dict[str, Any], mark: str) -> dict[str, Any]:
        period = {"start": "2026-01-01", "end": f"2027-01-{int(mark[:-2]) + 1 + 10 * (mark[-1] == 'b'):02d}"}
        return {**read, "provision": {**read["provision"], "period": period}}

    contend(clients, "Consent", rounds, other_start, id)
    held = stored["records"].find_one({"_id": record.id})
    assert held["rev"] == 3 + rounds, "the Patient, its guardian, the Consent, and each update that won"


def test_of_an_update_and_a_deletion_of_one_version_exactly_one_wins(crowd: Crowd, record: OwnRecord) -> None:
    first, second = crowd(2, "patient", patient=record.ins)
    seen: Counter[int] = Counter()
    for number in range(12):
        id = record.deposit(by="patient")
        path, body = f"/DocumentReference/{id}", {**document(record.id), "id": id, "description": str(number)}
        match = {"If-Match": 'W/"1"'}
        put, gone = together(
            [
                partial(first.put, path, json=body, headers={**FHIR_JSON, **match}),
                partial(second.delete, path, headers=match),
            ]
        )
        assert (put.status_code == 200) != (gone.status_code == 204), (put.status_code, gone.status_code)
        after = first.get(path)
        assert after.status_code == (200 if put.status_code == 200 else 410)
        seen[after.status_code] += 1


# Conditional creates and updates


def test_twenty_equal_conditional_creates_make_one(crowd: Crowd, record: OwnRecord, stored: Any) -> None:
    clients = crowd(20, "hopital")
    for _ in range(4):
        number = f"urn:uuid:{uuid4()}"
        body = document(record.id, masterIdentifier={"system": "urn:ietf:rfc:3986", "value": number})
        condition = {"If-None-Exist": f"identifier=urn:ietf:rfc:3986|{number}", **FHIR_JSON}
        answers = together(
            [partial(client.post, "/DocumentReference", json=body, headers=condition) for client in clients]
        )
        assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 19}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len({answer.headers["Location"] for answer in answers}) == 1
        found = record.as_("patient").get(f"/DocumentReference?patient={record.id}&identifier={number}").json()
        assert found["total"] == 1
    assert len(writers(stored, record)) == WORKERS


def test_equal_conditional_updates_make_one(crowd: Crowd, record: OwnRecord, stored: Any) -> None:
    """The first creates; who comes with it finds what it made, and writes over it or is overtaken."""
    clients = crowd(12, "hopital")
    for _ in range(4):
        number = f"urn:uuid:{uuid4()}"
        body = document(record.id, masterIdentifier={"system": "urn:ietf:rfc:3986", "value": number})
        url = f"/DocumentReference?identifier=urn:ietf:rfc:3986|{number}"
        answers = together([partial(client.put, url, json=body, headers=FHIR_JSON) for client in clients])
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses[201] == 1, statuses
        assert set(statuses) - {200, 201} <= OVERTAKEN, statuses
        found = record.as_("patient").get(f"/DocumentReference?patient={record.id}&identifier={number}").json()
        assert found["total"] == 1
        assert found["entry"][0]["resource"]["meta"]["versionId"] == str(statuses[200] + 1)
    assert len(writers(stored, record)) == WORKERS


def test_conditional_creates_of_different_conditions_do_not_hinder_each_other(crowd: Crowd, record: OwnRecord) -> None:
    clients = crowd(8, "hopital")
    calls = []
    for place, client in enumerate(clients):
        number = f"urn:uuid:{record.id}-{place // 2}"
        body = document(record.id, masterIdentifier={"system": "urn:ietf:rfc:3986", "value": number})
        condition = {"If-None-Exist": f"identifier=urn:ietf:rfc:3986|{number}", **FHIR_JSON}
        calls.append(partial(client.post, "/DocumentReference", json=body, headers=condition))
    answers = together(calls)
    assert Counter(answer.status_code for answer in answers) == {201: 4, 200: 4}
    assert len({answer.json()["id"] for answer in answers}) == 4


# Facts


def test_choices_made_at_once_are_all_in_force(pair: Served, crowd: Crowd, record: OwnRecord, stored: Any) -> None:
    actors = [f"8991000{number:04d}" for number in range(12)]
    id = record.deposit()
    choices = [authorisation(actor, patient=record.id).resource for actor in actors]
    choices.append(emergency_choice("BTG", "deny", patient=record.id).resource)
    choices.append(emergency_choice("MASKED", "permit", patient=record.id).resource)
    choices.append(block("89900000004", patient=record.id).resource)
    clients = crowd(len(choices), "patient", patient=record.ins)
    answers = together(
        [
            partial(client.post, "/Consent", json=choice, headers=FHIR_JSON)
            for client, choice in zip(clients, choices, strict=True)
        ]
    )
    assert [answer.status_code for answer in answers] == [201] * len(choices), [answer.text for answer in answers]
    for actor in actors:
        token = pair.token("inconnu", extra={"extensions.ihe_iua.national_provider_identifier": actor})
        with pair.client(token) as professional:
            assert professional.get(f"/DocumentReference/{id}").status_code == 200, actor
    assert record.as_("urgentiste").get(f"/DocumentReference/{id}").status_code == 404
    held = stored["records"].find_one({"_id": record.id})
    assert len(held["consents"]) == len(choices)
    assert held["rev"] == 2 + len(choices)


def test_of_several_active_choices_for_one_emergency_one_is_stored(crowd: Crowd, record: OwnRecord) -> None:
    clients = crowd(6, "patient", patient=record.ins)
    for purpose in ("ETREAT", "BTG", "MASKED"):
        answers = together(
            [
                partial(
                    client.post,
                    "/Consent",
                    json=emergency_choice(purpose, ("permit", "deny")[place % 2], patient=record.id).resource,
                    headers=FHIR_JSON,
                )
                for place, client in enumerate(clients)
            ]
        )
        assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 5}
    stored = record.as_("patient").get(f"/Consent?patient={record.id}").json()
    assert stored["total"] == 3


# Binaries


def binary(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9uam91cg==", **members}


def pointing(record: OwnRecord, id: str, *labels: str) -> dict[str, Any]:
    return document(record.id, *labels, content=[{"attachment": {"contentType": "text/plain", "url": f"Binary/{id}"}}])


def test_a_binary_that_several_first_documents_point_to_has_one_owner(
    crowd: Crowd, record: OwnRecord, stored: Any
) -> None:
    clients = crowd(6, "hopital")
    for _ in range(5):
        id = clients[0].post("/Binary", json=binary(), headers=FHIR_JSON).json()["id"]
        answers = together(
            [
                partial(
                    client.post,
                    "/DocumentReference",
                    json=pointing(record, id, *(("MASQUE_PS",) if place % 2 else ())),
                    headers=FHIR_JSON,
                )
                for place, client in enumerate(clients)
            ]
        )
        assert [answer.status_code for answer in answers] == [201] * 6, [answer.text for answer in answers]
        kept = stored["resources"].find_one({"_id": f"Binary/{id}"})
        assert kept["owner"].removeprefix("DocumentReference/") in {answer.json()["id"] for answer in answers}
        assert "unowned" not in kept
        owner = stored["resources"].find_one({"_id": kept["owner"]})
        assert {name: kept[name] for name in CONSENT_FIELDS} == {name: owner[name] for name in CONSENT_FIELDS}
        assert kept["record"] == record.id


@pytest.mark.parametrize("change", ["mask", "delete"])
def test_a_binary_added_while_its_document_changes_follows_it(
    crowd: Crowd, record: OwnRecord, stored: Any, change: str
) -> None:
    publisher, holder = crowd(1, "patient", patient=record.ins) + crowd(1, "patient", patient=record.ins)
    for _ in range(25):
        id = record.deposit(by="patient")
        owned = binary(securityContext={"reference": f"DocumentReference/{id}"})
        path = f"/DocumentReference/{id}"
        changing = (
            partial(holder.patch, path, json=MASK, headers=JSON_PATCH)
            if change == "mask"
            else partial(holder.delete, path)
        )
        added, changed = together([partial(publisher.post, "/Binary", json=owned, headers=FHIR_JSON), changing])
        assert changed.status_code in (200, 204), changed.text
        assert added.status_code in (201, 409, 422), added.text
        if added.status_code == 201:
            kept = stored["resources"].find_one({"_id": f"Binary/{added.json()['id']}"})
            owner = stored["resources"].find_one({"_id": f"DocumentReference/{id}"})
            assert (kept["labels"], kept.get("gone")) == (owner["labels"], owner.get("gone"))


# Revocation

READER = """
import json, sys, threading, time
import httpx

base, token, *paths = sys.argv[1:]
over = threading.Event()
out = threading.Lock()

def read(path):
    with httpx.Client(base_url=base, headers={"Authorization": "Bearer " + token}, timeout=60) as client:
        while not over.is_set():
            began = time.monotonic()
            answer = client.get(path)
            body = answer.json()
            shown = bool(body.get("entry")) if body["resourceType"] == "Bundle" else answer.status_code == 200
            with out:
                print(json.dumps([began, time.monotonic(), path, shown]), flush=True)

threads = [threading.Thread(target=read, args=(path,)) for path in paths]
for thread in threads: thread.start()
sys.stdin.read()
over.set()
for thread in threads: thread.join()
"""
"""Reads without a pause, and tells of each read when it began and ended, and whether something was shown."""


@dataclass
class Readers:
    """Processes that read, and what they told. The clock is the same in all of them."""

    paths: list[str]
    told: list[tuple[float, float, str, bool]] = field(default_factory=list)

    @contextmanager
    def reading(self, served: Served, token: str, processes: int) -> Iterator[None]:
        command = [sys.executable, "-c", READER, served.base, token, *self.paths]
        with ExitStack() as open:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            started = [open.enter_context(subprocess.Popen(command, **pipes)) for _ in range(processes)]  # type: ignore[call-overload] # PIPE for both
            threads = [Thread(target=self._listen, args=(one.stdout,)) for one in started]
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                for one in started:
                    one.stdin.close()
                for thread in threads:
                    thread.join()
        assert [one.returncode for one in started] == [0] * processes

    def _listen(self, lines: IO[bytes]) -> None:
        for line in lines:
            began, ended, path, shown = json.loads(line)
            self.told.append((began, ended, path, shown))

    def hold(self, *, allowed: bool) -> None:
        """A choice was acknowledged: wait for reads that begin from now on; each must see what the choice says."""
        acknowledged = time.monotonic()
        for path in self.paths:
            while len(self._after(acknowledged, path)) < READS:
                assert time.monotonic() - acknowledged < 60, f"nobody reads {path}"
                time.sleep(0.005)
            wrong = [one for one in self._after(acknowledged, path) if one[3] is not allowed]
            assert not wrong, f"allowed {allowed} at {acknowledged}, but: {wrong}"

    def _after(self, moment: float, path: str) -> list[tuple[float, float, str, bool]]:
        return [one for one in self.told if one[0] > moment and one[2] == path]


def test_a_revocation_is_in_force_for_every_request_that_starts_after_it(
    pair: Served, record: OwnRecord, stored: Any
) -> None:
    id = record.deposit()
    readers = Readers([f"/DocumentReference/{id}", f"/DocumentReference?patient={record.id}", f"/Patient/{record.id}"])
    with readers.reading(pair, pair.token("inconnu"), processes=3):
        for number in range(8):
            granted = record.chosen(authorisation("89900000003", patient=record.id).resource)
            readers.hold(allowed=True)
            if number % 2:
                record.withdraw(granted)
                readers.hold(allowed=False)
            else:
                blocked = record.chosen(block("89900000003", patient=record.id).resource)
                readers.hold(allowed=False)
                record.withdraw(blocked)
                readers.hold(allowed=False)  # unblocking revives nothing
                record.withdraw(granted)
    assert len(writers(stored, record)) == WORKERS
