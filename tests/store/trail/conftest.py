"""The trail on a real mongod; on one of our own for tests that stop it, kill it and start it again."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pymongo
import pytest
import pytest_asyncio
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from fhir_server.audit.access import Access, Agent, Identifier, Observer
from fhir_server.audit.anchor import Signer, signer_at
from fhir_server.audit.coding import Coding
from fhir_server.audit.journal import Journal
from fhir_server.store.mongod import bundled
from fhir_server.store.trace import Document
from fhir_server.store.trail import TRAIL_INDEXES, Trail

ALREADY_INITIATED = 23


@dataclass
class Mongod:
    """One member of a replica set, with its process in our hands."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def start(self) -> None:
        (self.folder / "db").mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [
                *(str(bundled(self.folder)), "--dbpath", str(self.folder / "db"), "--port", str(self.port)),
                *("--bind_ip", "127.0.0.1", "--nounixsocket", "--replSet", "trail", "--wiredTigerCacheSizeGB", "0.25"),
                *("--logpath", str(self.folder / "log"), "--quiet", "--oplogSize", "64"),
            ],
            stdout=subprocess.DEVNULL,
        )
        with pymongo.MongoClient[Document](self.uri, serverSelectionTimeoutMS=30_000) as client:
            try:
                client.admin.command("replSetInitiate", {"_id": "trail", "members": [{"_id": 0, "host": self.host}]})
            except pymongo.errors.OperationFailure as error:
                if error.code != ALREADY_INITIATED:
                    raise
            while not client.admin.command("hello")["isWritablePrimary"]:
                time.sleep(0.05)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mongod]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Mongod(tmp_path_factory.mktemp("trail"), port)
    server.start()
    yield server
    server.signal(signal.SIGCONT)
    server.kill()


@pytest_asyncio.fixture
async def database(request: pytest.FixtureRequest) -> AsyncIterator[AsyncDatabase[Document]]:
    """An empty database with the indexes of the trail, on the mongod that the test asks for, else on everybody's."""
    own = "mongod" in request.fixturenames
    uri: str = request.getfixturevalue("mongod").uri if own else request.getfixturevalue("mongo_uri")
    async with AsyncMongoClient[Document](uri, maxPoolSize=8, serverSelectionTimeoutMS=2000) as client:
        database = client[f"trail_{secrets.token_hex(4)}"]
        await database["trail"].create_indexes(list(TRAIL_INDEXES))
        yield database
        await client.drop_database(database.name)


@pytest.fixture
def trail(database: AsyncDatabase[Document]) -> Trail:
    return Trail(database, deadline=2.0)


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return signer_at(tmp_path / "trail.key")


OBSERVER = Observer("DMP", "dmp.example", "http://127.0.0.1:8080/fhir")
DOCTOR = Agent(
    key="https://rpps.esante.gouv.fr|89900000002",
    identifier=Identifier("https://rpps.esante.gouv.fr", "89900000002"),
    name="Élodie Martin",
    roles=(Coding("https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante", "10"),),
    purpose=Coding("http://terminology.hl7.org/CodeSystem/v3-ActReason", "TREAT", "treatment"),
    token="jti-1",
)


def now() -> int:
    return time.time_ns() // 1000


@pytest.fixture
def make_journal(trail: Trail, signer: Signer) -> Callable[..., Journal]:
    def make(**changes: object) -> Journal:
        settings = {"observer": OBSERVER, "signer": signer, "clock": now} | changes
        return Journal(trail, **settings)  # type: ignore[arg-type]

    return make


@pytest_asyncio.fixture
async def journal(make_journal: Callable[..., Journal]) -> AsyncIterator[Journal]:
    opened = make_journal()
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def reading() -> Callable[..., Access]:
    """The access of a doctor to a document."""

    def access(number: int = 1, **changes: object) -> Access:
        told: dict[str, object] = {
            "interaction": "read",
            "status": 200,
            "at": now(),
            "agent": DOCTOR,
            "address": "10.0.0.1",
            "type": "DocumentReference",
            "target": f"DocumentReference/d{number}",
            "version": 1,
            "patient": "Patient/demo-1",
            "request_id": f"r{number}",
            "realm": "essai",
        }
        return Access(**(told | changes))  # type: ignore[arg-type]

    return access
