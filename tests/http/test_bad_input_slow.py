"""Clients that take their time: cut off with 408, while everybody else is answered. Limits are small here."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.answers import connect, received, refused
from tests.served import FHIR_JSON, Served, serving

TIMEOUT = 0.6
LONGEST = 2048
HEAD = b"POST /fhir/Basic HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"
BODY = b'{"resourceType":"Basic","code":{"text":"text"}}'


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    env = {
        "FHIR_HEADER_TIMEOUT": str(TIMEOUT),
        "FHIR_BODY_TIMEOUT": str(TIMEOUT),
        "FHIR_MAX_BODY_BYTES": str(LONGEST),
    }
    with serving(tmp_path_factory.mktemp("impatient") / "data", env=env) as served:
        yield served


@pytest.fixture(scope="module")
def authorization(impatient: Served) -> bytes:
    return f"Authorization: Bearer {impatient.token('conformance')}\r\n".encode()


@pytest.fixture(autouse=True)
def nothing_stored(impatient: Served) -> Iterator[None]:
    client = impatient.as_("conformance")
    before = client.get("Basic", params={"_summary": "count"}).json()["total"]
    yield
    assert client.get("Basic", params={"_summary": "count"}).json()["total"] == before


def test_a_body_that_stops(impatient: Served, authorization: bytes) -> None:
    began = time.monotonic()
    for framing, piece in (
        (b"Content-Length: 100\r\n\r\n", BODY),
        (b"Transfer-Encoding: chunked\r\n\r\n", b'5\r\n{"res'),
    ):
        with connect(impatient.base) as client:
            client.sendall(HEAD + authorization + framing + piece)
            answer = received(client)  # which ends when the server closes
        refused(answer, 408, "timeout")
        assert answer.headers["connection"] == "close"
    assert time.monotonic() - began < 6 * TIMEOUT


def test_a_body_that_never_begins(impatient: Served, authorization: bytes) -> None:
    with connect(impatient.base) as client:
        client.sendall(HEAD + authorization + b"Content-Length: 10\r\n\r\n")
        refused(received(client), 408, "timeout")


def test_headers_that_stop(impatient: Served) -> None:
    with connect(impatient.base) as client:
        client.sendall(HEAD)
        answer = received(client)
    assert answer.status == 408
    assert answer.json()["issue"][0]["code"] == "timeout"
    assert answer.headers["connection"] == "close"


def test_slow_clients_do_not_keep_others_waiting(impatient: Served, authorization: bytes) -> None:
    """A refused token is not waited for; a hundred silent clients are nothing to the next one."""
    slow = [connect(impatient.base) for _ in range(100)]
    try:
        for number, client in enumerate(slow):
            client.sendall(HEAD if number % 2 else HEAD + authorization + b"Content-Length: 10\r\n\r\n{")
        began = time.monotonic()
        assert impatient.as_("patient").get("Patient/demo-1").status_code == 200
        assert time.monotonic() - began < TIMEOUT
        assert {received(client).status for client in slow} == {408}
    finally:
        for client in slow:
            client.close()


def test_nobody_waits_for_the_body_of_a_stranger(impatient: Served) -> None:
    began = time.monotonic()
    with connect(impatient.base) as client:
        client.sendall(HEAD + b"Authorization: Bearer no.token.here\r\nContent-Length: 1000\r\n\r\n{")
        client.shutdown(socket.SHUT_WR)
        assert received(client).status == 401
    assert time.monotonic() - began < TIMEOUT


@pytest.mark.parametrize(("length", "status"), [(LONGEST, 201), (LONGEST + 1, 413)])
def test_the_limit_to_the_byte(impatient: Served, length: int, status: int) -> None:
    client = impatient.as_("conformance")
    body = BODY + b" " * (length - len(BODY))
    whole = client.post("Basic", content=body, headers=FHIR_JSON)
    pieces = client.post("Basic", content=iter([body[:100], body[100:]]), headers=FHIR_JSON)
    for answer in (whole, pieces):
        if status == 413:
            refused(answer, 413, "too-long", str(LONGEST))
            assert answer.headers["connection"] == "close"
        else:
            assert answer.status_code == status
            client.delete(f"Basic/{answer.json()['id']}")


def test_a_body_that_is_slow_but_comes(impatient: Served, authorization: bytes) -> None:
    body = BODY.replace(b"}}", b"}")  # whole, and no JSON: nothing is stored
    with connect(impatient.base) as client:
        client.sendall(HEAD + authorization + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 12):
            time.sleep(TIMEOUT / 3)
            client.sendall(body[start : start + 12])
        answer = received(client)
    refused(answer, 400, "structure", "line 1 column")


def test_it_goes_on(impatient: Served) -> None:
    assert httpx.get(f"{impatient.base}/metadata").status_code == 200
