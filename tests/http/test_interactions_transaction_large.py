"""Large Bundles: a thousand entries, many megabytes, many at once; others are answered meanwhile, nothing is left."""

from __future__ import annotations

import json
import os
import socket
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.store.embedded import running_uri
from tests.answers import refused
from tests.http.bundling import done, entry, key, send, statuses, urn
from tests.minimal import minimal
from tests.served import FHIR_JSON, Served, serving

SYSTEM = "https://example.org/fhir/large-transactions"
MEGABYTE = 1024 * 1024
MINIMAL = {"Prefer": "return=minimal"}


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture(scope="module")
def stored(served: Served) -> Iterator[Any]:
    """The database, to see what was stored."""
    with MongoClient[dict[str, Any]](running_uri(served.data)) as connected:
        yield connected["fhir"]


def observations(tag: str, number: int) -> list[dict[str, Any]]:
    made = minimal("Observation", identifier=[{"system": SYSTEM, "value": tag}])
    return [entry("POST", "Observation", made) for _ in range(number)]


def how_many(client: httpx.Client, tag: str) -> int:
    found: int = client.get("Observation", params={"identifier": f"{SYSTEM}|{tag}", "_summary": "count"}).json()[
        "total"
    ]
    return found


def binary(data: bytes) -> dict[str, Any]:
    return minimal("Binary", contentType="application/octet-stream", data=b64encode(data).decode())


def contents(stored: Any) -> tuple[int, int]:
    return stored["content.files"].count_documents({}), stored["content.chunks"].count_documents({})


def read_until(client: httpx.Client, answered: Future[Any], path: str) -> int:
    """How often something was read before that was answered."""
    reads = 0
    while True:
        assert client.get(path).status_code == 200
        if answered.done():
            return reads
        reads += 1


@pytest.mark.parametrize("type", ["transaction", "batch"])
def test_others_are_answered_while_a_thousand_entries_are_carried_out(
    served: Served, client: httpx.Client, type: str
) -> None:
    tag = str(uuid4())
    with ThreadPoolExecutor(1) as aside, served.client(served.token("conformance")) as other:
        sent = aside.submit(done, other, *observations(tag, 1000), type=type, **MINIMAL)
        reads = read_until(served.as_("patient"), sent, "Patient/demo-1")
        assert statuses(sent.result()) == ["201"] * 1000
    assert reads >= 10
    assert how_many(client, tag) == 1000


@pytest.mark.parametrize("type", ["transaction", "batch"])
def test_sixteen_megabytes_of_resources(client: httpx.Client, type: str) -> None:
    """A thousand entries, as dense as FHIR gets."""
    tag = str(uuid4())
    entries = observations(tag, 1000)
    coded = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
    entries[0]["resource"]["component"] = [{"code": coded, "valueQuantity": {"value": 120}}] * 160
    assert len(json.dumps(entries)) > 16 * MEGABYTE
    assert statuses(done(client, *entries, type=type, **MINIMAL)) == ["201"] * 1000
    assert how_many(client, tag) == 1000


def test_the_last_of_a_thousand_takes_all_back(client: httpx.Client) -> None:
    tag = str(uuid4())
    answer = send(client, *observations(tag, 999), entry("POST", "Observation", minimal("Observation", status="no")))
    assert refused(answer, 400)["expression"] == ["Bundle.entry[999].resource.status"]
    assert how_many(client, tag) == 0


def test_sixteen_megabytes_of_files(client: httpx.Client, stored: Any) -> None:
    """In Binaries of up to several megabytes: each is given back byte by byte."""
    files = [os.urandom(size) for size in (5 * MEGABYTE, 4 * MEGABYTE, 4 * MEGABYTE + 1, 2 * MEGABYTE, MEGABYTE)]
    files.append(files[3])  # equal contents of two Binaries that no record has yet: each is its own
    before = contents(stored)
    told = done(client, *(entry("POST", "Binary", binary(data)) for data in files), **MINIMAL)
    for made, data in zip(told, files, strict=True):
        assert client.get(key(made), headers={"Accept": "application/octet-stream"}).content == data
    assert contents(stored)[0] == before[0] + 5, "one megabyte stands beside the body"


def test_files_that_are_taken_back_leave_nothing_behind(client: httpx.Client, stored: Any) -> None:
    before, binaries = contents(stored), stored["resources"].count_documents({"rt": "Binary"})
    entries = [entry("POST", "Binary", binary(os.urandom(3 * MEGABYTE))) for _ in range(3)]
    refused(send(client, *entries, entry("DELETE", f"Observation/{uuid4()}")), 404)
    refused(send(client, *entries, entry("POST", "Observation", minimal("Observation", status="no"))), 400)
    assert contents(stored) == before
    assert stored["resources"].count_documents({"rt": "Binary"}) == binaries


def test_what_is_too_large_is_refused(served: Served, client: httpx.Client) -> None:
    """A resource as it would be by itself; the whole when it is longer than a Bundle may be."""
    tag = str(uuid4())
    long = minimal("Observation", note=[{"text": "x" * (8 * MEGABYTE)}])
    answer = send(client, *observations(tag, 1), entry("POST", "Observation", long))
    assert refused(answer, 413)["expression"] == ["Bundle.entry[1]"]
    told = done(client, *observations(tag, 1), entry("POST", "Observation", long), type="batch")
    assert statuses(told) == ["201", "413"]
    with closing(begun(served, b"", 33 * MEGABYTE)) as longer:
        assert longer.recv(12) == b"HTTP/1.1 413"
    assert how_many(client, tag) == 1


@pytest.mark.parametrize("type", ["transaction", "batch"])
def test_an_upload_that_is_cut_leaves_nothing_behind(served: Served, client: httpx.Client, type: str) -> None:
    tag = str(uuid4())
    body = json.dumps({"resourceType": "Bundle", "type": type, "entry": observations(tag, 50)}).encode()
    with closing(begun(served, body, len(body) - 1)):
        pass
    with closing(begun(served, body[:-1], len(body) - 1)) as cut:
        assert cut.recv(12) == b"HTTP/1.1 400", "what is whole, but no Bundle, is refused"
    assert client.get("Patient/demo-1").status_code == 200
    assert how_many(client, tag) == 0


def test_who_goes_away_in_the_middle_gets_all_or_nothing(served: Served, client: httpx.Client) -> None:
    """What was sent whole may be carried out, though nobody waits for the answer; never a part of it."""
    tags = [str(uuid4()) for _ in range(4)]
    for tag in tags:
        body = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": observations(tag, 400)}).encode()
        begun(served, body, len(body)).close()
    assert statuses(done(client, *observations(str(uuid4()), 1))) == ["201"], "the gate is open again"
    assert {how_many(client, tag) for tag in tags} <= {0, 400}


def begun(served: Served, body: bytes, length: int) -> socket.socket:
    """A connection over which a Bundle of this length was begun, and so much of it sent."""
    where = urlsplit(served.base)
    connected = socket.create_connection((where.hostname, where.port), timeout=60)
    head = (
        f"POST {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {served.token('conformance')}\r\n"
        f"Content-Type: application/fhir+json\r\nContent-Length: {length}\r\n\r\n"
    )
    connected.sendall(head.encode() + body[:length])
    return connected


@pytest.mark.parametrize("workers", [1, 2])
def test_twenty_large_ones_at_once_all_succeed(
    served: Served, tmp_path_factory: pytest.TempPathFactory, workers: int
) -> None:
    """Each publishes a hundred documents with their files into one record, and changes what all of them change."""
    if workers == 1:
        publish_twenty(served)
        return
    with serving(tmp_path_factory.mktemp("several") / "data", "--workers", str(workers)) as several:
        publish_twenty(several)


def publish_twenty(served: Served) -> None:
    tag, client = str(uuid4()), served.as_("conformance")
    patient = client.post("Patient", json=minimal("Patient"), headers=FHIR_JSON).json()
    shared = client.post("Observation", json=minimal("Observation"), headers=FHIR_JSON).json()

    def publish(number: int) -> list[str]:
        with served.client(served.token("conformance")) as one:
            entries = observations(tag, 100)
            for _ in range(50):
                file = urn()
                attachment = {"contentType": "text/plain", "url": file}
                document = minimal(
                    "DocumentReference",
                    subject={"reference": f"Patient/{patient['id']}"},
                    content=[{"attachment": attachment}],
                    identifier=[{"system": SYSTEM, "value": tag}],
                )
                entries += [entry("POST", "DocumentReference", document)]
                entries += [entry("POST", "Binary", binary(b"Bon"), fullUrl=file)]
            if number % 2:
                entries += [entry("PUT", f"Observation/{shared['id']}", shared)]
            return statuses(done(one, *entries, **MINIMAL))

    with ThreadPoolExecutor(20) as threads:
        told = list(threads.map(publish, range(20)))
    assert [one.count("201") for one in told] == [200] * 20
    assert how_many(client, tag) == 2000
    found = client.get("DocumentReference", params={"identifier": f"{SYSTEM}|{tag}", "_summary": "count"}).json()
    assert found["total"] == 1000
    assert client.get(f"Observation/{shared['id']}").json()["meta"]["versionId"] == "11"
