"""Whatever is killed, and whenever: what was acknowledged is there, nothing is half-written, the trail has it all.

One data folder lives through all of this. Clients write and read at full speed and keep book of what was acknowledged;
the server, its mongod, or both at once are killed with SIGKILL; after the restart the books and the database are held
against each other.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError

from fhir_server import app
from fhir_server.declared import parameters_of
from fhir_server.definitions.load import load
from fhir_server.definitions.profiles import read_search_parameters
from fhir_server.identity.requester import SHARED
from fhir_server.settings import Settings
from fhir_server.store.connection import connect, database
from fhir_server.store.embedded import running_uri
from fhir_server.store.owned import CONSENT_FIELDS
from fhir_server.store.upkeep import rebuild, rebuild_facts
from tests.build import authorisation
from tests.conformance.own_record import OwnRecord, document, label, own_record
from tests.parallel import aside, together
from tests.served import FHIR_JSON, JSON_PATCH, ROOT, Served, serving

WRITES = 150
"""Acknowledged before something is killed."""
_REQUEST_ID = re.compile(rb'"identifier":\{"value":"([0-9a-f]{32})"\}')


@dataclass(frozen=True, slots=True)
class Write:
    """A write that was acknowledged: this version says this; nothing, when it is a deletion."""

    key: str
    version: int
    mark: str | None


@dataclass
class Books:
    """What the clients were told."""

    writes: list[Write] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    """The ids of the requests that got an answer other than 5xx."""
    lost: list[float] = field(default_factory=list)
    """When requests began that got no answer."""
    parts: list[Write] = field(default_factory=list)
    """The writes of transactions that were acknowledged."""
    bundles: dict[str, int] = field(default_factory=dict)
    """The transactions that were sent, by their marks, and how many resources say each."""


class Client:
    """One client that keeps book, and goes on when the server is gone for a while."""

    def __init__(self, served: Served, token: str, books: Books) -> None:
        """Speak with this token."""
        self._http = httpx.Client(base_url=served.base, headers={"Authorization": f"Bearer {token}"}, timeout=40)
        self._books = books

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response | None:
        """An answer that the server stands by, or nothing."""
        content = None if body is None else json.dumps(body).encode()
        began = time.monotonic()
        try:
            answer = self._http.request(method, path, content=content, headers={**FHIR_JSON, **headers})
        except httpx.TransportError:
            self._books.lost.append(began)
            answer = None
        if answer is None or answer.status_code >= 500:
            time.sleep(0.05)
            return None
        self._books.answered.add(answer.headers["x-request-id"])
        return answer

    def write(self, method: str, path: str, body: Any, mark: str | None, **headers: str) -> tuple[str, int] | None:
        """The key and version of a write that was acknowledged."""
        answer = self.ask(method, path, body, **headers)
        if answer is None or answer.status_code not in (200, 201, 204):
            return None
        version = int(answer.headers["ETag"].strip('W/"'))
        located = answer.headers.get("Location", path).removeprefix(str(self._http.base_url).rstrip("/"))
        key = "/".join(located.strip("/").split("/")[:2])
        self._books.writes.append(Write(key, version, mark))
        return key, version

    def transact(self, entries: list[dict[str, Any]], mark: str) -> None:
        """Send all of these as one; all say the same."""
        self._books.bundles[mark] = len(entries)
        answer = self.ask("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        if answer is not None and answer.status_code == 200:
            for one in answer.json()["entry"]:
                key = "/".join(one["response"]["location"].split("/")[-4:-2])
                self._books.parts.append(Write(key, 1, mark))

    def close(self) -> None:
        self._http.close()


def observation(record: OwnRecord, mark: str, **members: Any) -> dict[str, Any]:
    subject = {"reference": f"Patient/{record.id}"}
    return {"resourceType": "Observation", "status": "final", "code": {"text": mark}, "subject": subject, **members}


@dataclass
class Scenario:
    """The folder, the server on it now, and everything that was ever acknowledged there."""

    folder: Path
    port: int
    books: Books = field(default_factory=Books)
    _running: ExitStack = field(default_factory=ExitStack)
    _served: Served | None = None
    _record: OwnRecord | None = None
    _marks: int = 0

    @property
    def served(self) -> Served:
        if self._served is None:
            self._served = self._running.enter_context(serving(self.folder, "--port", str(self.port)))
        return self._served

    @property
    def record(self) -> OwnRecord:
        if self._record is None or self._record.served is not self.served:
            old = self._record or own_record(self.served)
            self._record = OwnRecord(self.served, old.id, old.ins)
        return self._record

    @property
    def mongod(self) -> int:
        return int((self.folder / "mongo/db/mongod.lock").read_text())

    def end(self) -> None:
        """See the server's end, whoever brought it about."""
        self._served = None
        self._running.close()

    def mark(self) -> str:
        """A text that no other write has."""
        self._marks += 1
        return f"mark-{self._marks}-"

    # What the clients do, each again and again

    def observe(self, client: Client) -> None:
        """Create, update twice, and delete every second one."""
        mark = self.mark()
        made = client.write("POST", "/Observation", observation(self.record, mark), mark)
        for _ in range(2):
            if made is not None:
                key, version = made
                mark = self.mark()
                body = observation(self.record, mark, id=key.partition("/")[2])
                made = client.write("PUT", f"/{key}", body, mark, **{"If-Match": f'W/"{version}"'})
        if made is not None and made[1] == 3 and len(self.books.writes) % 2:
            client.write("DELETE", f"/{made[0]}", None, None)

    def decide(self, client: Client) -> None:
        """Authorise somebody, and withdraw it again."""
        mark = self.mark()
        consent: dict[str, Any] = {
            **authorisation(f"8992{self._marks:07d}", patient=self.record.id).resource,
            "id": "x",
        }
        consent["provision"]["period"] = {"start": "2026-01-01"}
        consent["identifier"] = [{"system": "urn:ietf:rfc:3986", "value": f"urn:mark:{mark}"}]
        made = client.write("POST", "/Consent", consent, mark)
        if made is not None and self._marks % 3:
            id = made[0].partition("/")[2]
            client.write("PUT", f"/{made[0]}", {**consent, "id": id, "status": "inactive"}, mark)

    def publish(self, client: Client) -> None:
        """A Binary, and the document that points to it."""
        mark = self.mark()
        data = {"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9uam91cg==", "language": "fr"}
        binary = client.write("POST", "/Binary", data, "")
        if binary is not None:
            content = [{"attachment": {"contentType": "text/plain", "url": binary[0]}}]
            body = document(self.record.id, description=mark, content=content)
            client.write("POST", "/DocumentReference", body, mark)

    def transact(self, client: Client) -> None:
        """Documents, their files and what was observed, as one."""
        mark = self.mark()
        entries: list[dict[str, Any]] = []
        for _ in range(10):
            name = f"urn:uuid:{uuid4()}"
            content = [{"attachment": {"contentType": "text/plain", "url": name}}]
            fiche = document(self.record.id, description=mark, content=content)
            data = {"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9u", "meta": {"source": mark}}
            entries += [
                {"resource": observation(self.record, mark), "request": {"method": "POST", "url": "Observation"}},
                {"resource": fiche, "request": {"method": "POST", "url": "DocumentReference"}},
                {"resource": data, "request": {"method": "POST", "url": "Binary"}, "fullUrl": name},
            ]
        client.transact(entries, mark)

    def mask(self, client: Client) -> None:
        """Mask the newest document, its Binary with it."""
        path = f"/DocumentReference?patient={self.record.id}&_sort=-_lastUpdated&_count=1"
        found = client.ask("GET", path)
        for entry in found.json().get("entry", []) if found is not None else []:
            patch = [{"op": "add", "path": "/securityLabel/-", "value": label("MASQUE_PS")}]
            client.write("PATCH", f"/DocumentReference/{entry['resource']['id']}", patch, "MASQUE_PS", **JSON_PATCH)

    def read(self, client: Client) -> None:
        client.ask("GET", f"/Patient/{self.record.id}")
        client.ask("GET", f"/Observation?patient={self.record.id}&_count=2")
        client.ask("GET", "/DocumentReference/unknown")

    def under_load(self, deed: Callable[[], None], *, more: int = 0) -> None:
        """Do something while clients write and read at full speed; with `more`, go on until the server is back."""
        tokens = {
            "conformance": self.served.token("conformance"),
            "hopital": self.served.token("hopital"),
            "patient": self.served.token("patient", patient=self.record.ins),
        }
        parts = [
            *[("conformance", self.observe)] * 3,
            *[("patient", self.decide)] * 2,
            *[("hopital", self.publish)] * 2,
            *[("hopital", self.transact)] * 2,
            *[("patient", self.mask), ("patient", self.read), ("patient", self.read)],
        ]
        over = threading.Event()

        def repeat(actor: str, act: Callable[[Client], None]) -> None:
            client = Client(self.served, tokens[actor], self.books)
            while not over.is_set():
                act(client)
            client.close()

        threads = [threading.Thread(target=repeat, args=part) for part in parts]
        for thread in threads:
            thread.start()
        try:
            self._await_writes(WRITES)
            deed()
            time.sleep(0.2)
            self._await_writes(more)
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _await_writes(self, number: int) -> None:
        enough, until = len(self.books.writes) + number, time.monotonic() + 60
        while len(self.books.writes) < enough:
            assert time.monotonic() < until, f"{len(self.books.writes)} writes, not {enough}"
            time.sleep(0.01)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Scenario(tmp_path_factory.mktemp("crash") / "data", port)
    yield made
    made.end()


# What must hold afterwards


def stored(client: MongoClient[dict[str, Any]]) -> dict[str, dict[int, dict[str, Any]]]:
    """Every version of every resource; where the current version was archived already, the current one."""
    versions: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for one in client["fhir"]["versions"].find():
        versions[one["of"]][one["version"]] = one
    for one in client["fhir"]["resources"].find():
        copy = versions[one["_id"]].get(one["version"])
        assert copy is None or copy["body"] == one["body"], "a copy of the current version is exact"
        assert not [version for version in versions[one["_id"]] if version > one["version"]]
        versions[one["_id"]][one["version"]] = one
    return versions


def check(scenario: Scenario) -> None:
    """Hold the books against the database, and the database against itself."""
    with MongoClient[dict[str, Any]](running_uri(scenario.folder)) as client:
        versions = stored(client)
        acknowledged_is_there(scenario.books, versions)
        all_or_nothing(scenario.books, versions)
        for key, one in versions.items():
            whole(key, one)
        binaries_agree(versions)
        index_agrees(scenario, client)
        trail_has_it_all(scenario.books, client, versions)
    verify(scenario)


def verify(scenario: Scenario) -> None:
    """The chains hold."""
    settings = Settings(data_folder=scenario.folder, mongodb_uri=SecretStr(running_uri(scenario.folder)))
    checked, faults = aside(app.verify_trail(settings))
    assert checked > 100
    assert faults == []


def acknowledged_is_there(books: Books, versions: dict[str, dict[int, dict[str, Any]]]) -> None:
    for write in (*books.writes, *books.parts):
        found = versions[write.key].get(write.version)
        assert found is not None, f"{write} is lost"
        if write.mark is None:
            assert found["gone"] is True, write
        else:
            assert write.mark.encode() in found["body"], f"{write} says something else"


def all_or_nothing(books: Books, versions: dict[str, dict[int, dict[str, Any]]]) -> None:
    """Of a transaction everything is there, or nothing, whatever its client was told."""
    said = [bytes(all_of_it[1]["body"]) for all_of_it in versions.values() if not all_of_it[1].get("gone")]
    for mark, number in books.bundles.items():
        told = sum(mark.encode() in body for body in said)
        assert told in (0, number), f"{told} of {number} of a transaction"
    assert books.parts


def whole(key: str, versions: dict[int, dict[str, Any]]) -> None:
    """No version is missing, each says which it is, and what the body does not tell never changed."""
    assert sorted(versions) == list(range(1, max(versions) + 1)), f"{key} has gaps: {sorted(versions)}"
    for number, one in versions.items():
        assert one["deposit"] == versions[1]["deposit"]
        assert one["realm"] in {"essai", SHARED}
        if not one.get("gone"):
            body = json.loads(one["body"])
            assert body["meta"]["versionId"] == str(number)
            assert f"{body['resourceType']}/{body['id']}" == key


def binaries_agree(versions: dict[str, dict[int, dict[str, Any]]]) -> None:
    """A document that points to a Binary owns it; the Binary carries what its owner carries."""
    current = {key: found[max(found)] for key, found in versions.items()}
    for key, one in current.items():
        owner = current.get(one.get("owner", ""))
        if key.startswith("Binary/") and owner is not None:
            assert {name: one[name] for name in CONSENT_FIELDS} == {name: owner[name] for name in CONSENT_FIELDS}, key
        for url in re.findall(rb'"url":"(Binary/[^"]+)"', one["body"] or b""):
            assert current[url.decode()]["owner"] == key, "the document is there, so its Binary is its own"


def index_agrees(scenario: Scenario, client: MongoClient[dict[str, Any]]) -> None:
    """Index entries, labels and facts are what the bodies tell."""
    own = read_search_parameters(ROOT / "profiles" / "SearchParameter")
    parameters = parameters_of(load(), own, scenario.served.base)
    for one in client["fhir"]["resources"].find({"gone": None}):
        assert rebuild(one, parameters) == one
    before = list(client["fhir"]["records"].find())
    aside(make_facts_anew(scenario))
    assert list(client["fhir"]["records"].find()) == before


async def make_facts_anew(scenario: Scenario) -> None:
    client = connect(running_uri(scenario.folder))
    try:
        await rebuild_facts(database(client, "fhir"), zone=ZoneInfo("Europe/Paris"), authorisation=timedelta(days=365))
    finally:
        await client.close()


def trail_has_it_all(
    books: Books, client: MongoClient[dict[str, Any]], versions: dict[str, dict[int, dict[str, Any]]]
) -> None:
    """A trace for every answer; for every version the trace it names; a second one for what was announced in vain."""
    traces = {one["_id"]: one for one in client["fhir"]["trail"].find({"rt": "AuditEvent"})}
    told = {found[1].decode() for one in traces.values() if (found := _REQUEST_ID.search(one["event"])) is not None}
    assert len(books.answered) > 100
    assert books.answered <= told, f"{len(books.answered - told)} of {len(books.answered)} answers have no trace"
    withdrawn = {one["follows"] for one in traces.values() if "follows" in one}
    for key, all_of_it in versions.items():
        for number, one in all_of_it.items():
            if "trace" in one:
                assert traces[one["trace"]]["writes"] == f"{key}/{number}" or key.startswith("Binary/")
                assert one["trace"] not in withdrawn
    for key, trace in traces.items():
        if "writes" in trace:
            resource, _, version = trace["writes"].rpartition("/")
            made = versions.get(resource, {}).get(int(version), {}).get("trace") == key
            assert made is not (key in withdrawn), f"{trace['writes']}: made {made}, withdrawn {key in withdrawn}"


def answers(scenario: Scenario, seconds: float = 30) -> None:
    """Wait until the server reads and writes again."""
    until = time.monotonic() + seconds
    while True:
        with scenario.served.client(scenario.served.token("conformance")) as client:
            answer = client.post("/Observation", json=observation(scenario.record, "back"), headers=FHIR_JSON)
        if answer.status_code == 201:
            return
        assert time.monotonic() < until, answer.text
        time.sleep(0.1)


# The tests


def wait_for_open_consent(client: MongoClient[dict[str, Any]], seconds: float = 20) -> None:
    """Until a Consent is announced that is not made: the load writes one now and then, and cannot while we hold it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        announced = client["fhir"]["trail"].find({"writes": {"$gte": "Consent/", "$lt": "Consent0"}}).sort("at", -1)
        for one in announced.limit(20):
            key, _, version = one["writes"].rpartition("/")
            found = client["fhir"]["resources"].find_one({"_id": key}, {"version": 1})
            denied = client["fhir"]["trail"].find_one({"follows": one["_id"]}, {"_id": 1})
            if denied is None and (found is None or found["version"] < int(version)):
                return
        time.sleep(0.05)
    raise AssertionError("no Consent was announced while its record was held")


def hold_record(client: MongoClient[dict[str, Any]], session: ClientSession, record: str) -> None:
    """Write the facts of a record in an open transaction; again for as long as the load is writing them itself."""
    deadline = time.monotonic() + 20
    while True:
        session.start_transaction()
        try:
            client["fhir"]["records"].update_one({"_id": record}, {"$set": {"rev": 0}}, session=session)
        except OperationFailure as busy:
            if not busy.has_error_label("TransientTransactionError") or time.monotonic() > deadline:
                raise
            session.abort_transaction()
        else:
            return


def test_the_server_is_killed(scenario: Scenario) -> None:
    assert scenario.served
    uri = running_uri(scenario.folder)

    def kill() -> None:
        """While Consents are announced and cannot be made: somebody else holds their record in a transaction."""
        with MongoClient[dict[str, Any]](uri) as client, client.start_session() as session:
            hold_record(client, session, scenario.record.id)
            wait_for_open_consent(client)
            os.kill(scenario.served.process.pid, signal.SIGKILL)
            with suppress(PyMongoError):
                session.abort_transaction()

    scenario.under_load(kill)
    scenario.end()
    assert scenario.books.lost
    answers(scenario)
    check(scenario)
    with MongoClient[dict[str, Any]](running_uri(scenario.folder)) as client:
        second = list(client["fhir"]["trail"].find({"follows": {"$exists": True}}, {"follows": 1}))
    made_by_another_run = [one for one in second if one["follows"].split("-")[0] != one["_id"].split("-")[0]]
    assert made_by_another_run, "a Consent was announced and not made"


@dataclass(frozen=True, slots=True)
class Slow:
    """A request whose body is half sent."""

    connection: socket.socket
    rest: bytes

    def finish(self) -> bytes:
        with self.connection as connection:
            connection.sendall(self.rest)
            return connection.recv(65536)


def slow_request(scenario: Scenario) -> Slow:
    """Begin to create an Observation."""
    base = httpx.URL(scenario.served.base)
    body = json.dumps(observation(scenario.record, "slow")).encode()
    head = (
        f"POST {base.path}/Observation HTTP/1.1\r\nHost: {base.host}\r\nContent-Type: application/fhir+json\r\n"
        f"Authorization: Bearer {scenario.served.token('conformance')}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection((base.host, base.port or 80), 30)
    connection.sendall(head.encode() + body[:20])
    return Slow(connection, body[20:])


def test_mongod_is_killed_and_the_server_lives_on(scenario: Scenario) -> None:
    scenario.under_load(lambda: os.kill(scenario.mongod, signal.SIGKILL), more=20)
    answers(scenario)
    with MongoClient[dict[str, Any]](running_uri(scenario.folder)) as client:
        acknowledged_is_there(scenario.books, stored(client))


def test_a_server_told_to_end_finishes_what_it_began(scenario: Scenario) -> None:
    began = slow_request(scenario)
    told: list[float] = []

    def end() -> None:
        told.append(time.monotonic())
        scenario.served.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)

    process = scenario.served.process
    scenario.under_load(end)
    answer = began.finish()
    assert answer.startswith(b"HTTP/1.1 201"), answer
    assert process.wait(40) == 0
    scenario.end()
    assert not [lost for lost in scenario.books.lost if told[0] - 5 < lost < told[0] - 0.1]
    answers(scenario)
    check(scenario)
    location = re.search(rb"location: \S+/(Observation/\w+)/", answer)
    assert location is not None
    assert scenario.served.as_("conformance").get(f"/{location[1].decode()}").json()["code"] == {"text": "slow"}


def test_server_and_mongod_are_killed_at_once(scenario: Scenario) -> None:
    def kill() -> None:
        mongod = scenario.mongod
        os.kill(mongod, signal.SIGKILL)
        os.kill(scenario.served.process.pid, signal.SIGKILL)

    scenario.under_load(kill)
    scenario.end()
    answers(scenario)
    check(scenario)


# A trail that cannot be written


def attempts(scenario: Scenario) -> list[httpx.Response]:
    """A read, a search and a write at once."""
    patient, conformance = scenario.record.as_("patient"), scenario.served.as_("conformance")
    record = scenario.record
    return together(
        [
            partial(patient.get, f"/Patient/{record.id}"),
            partial(patient.get, f"/Observation?patient={record.id}"),
            partial(conformance.post, "/Observation", json=observation(record, "refused"), headers=FHIR_JSON),
        ]
    )


def nothing_was_shown(scenario: Scenario, refused: list[httpx.Response]) -> None:
    for answer in refused:
        assert answer.status_code == 503
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert scenario.record.ins not in answer.text
        assert "mark-" not in answer.text


def test_without_a_trace_nothing_is_shown_or_written(scenario: Scenario) -> None:
    assert [answer.status_code for answer in attempts(scenario)] == [200, 200, 201]
    with MongoClient[dict[str, Any]](running_uri(scenario.folder)) as client:
        before = client["fhir"]["resources"].count_documents({})
        client["fhir"].command("collMod", "trail", validator={"never": True})
        nothing_was_shown(scenario, attempts(scenario))
        assert client["fhir"]["resources"].count_documents({}) == before
        client["fhir"].command("collMod", "trail", validator={})
    assert [answer.status_code for answer in attempts(scenario)] == [200, 200, 201]
    verify(scenario)


def test_a_database_that_does_not_answer_makes_503_and_comes_back(scenario: Scenario) -> None:
    asked = time.monotonic()
    os.kill(scenario.mongod, signal.SIGSTOP)
    try:
        refused = attempts(scenario)
    finally:
        os.kill(scenario.mongod, signal.SIGCONT)
    assert time.monotonic() - asked < 25
    nothing_was_shown(scenario, refused)
    answers(scenario)
    assert [answer.status_code for answer in attempts(scenario)] == [200, 200, 201]
    command = [sys.executable, "-m", "fhir_server", "audit", "verify", "--data", str(scenario.folder)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "the trail is intact" in told.stdout
