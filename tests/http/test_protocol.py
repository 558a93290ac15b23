"""Slow and endless headers are cut off; everything else passes through untouched."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from fhir_server.cli.protocol import LONGEST_HEADERS, BoundedProtocol

TIMEOUT = 0.4


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(length).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


class Impatient(BoundedProtocol):
    header_timeout = TIMEOUT


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    where = listening.getsockname()
    server = uvicorn.Server(uvicorn.Config(echo, http=Impatient, ws="none", lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield where
    server.should_exit = True
    thread.join()


def answer(address: tuple[str, int], *pieces: bytes, pause: float = 0.0) -> bytes:
    """Everything that comes back until the server closes or nothing more comes."""
    with socket.create_connection(address, 5) as client:
        client.settimeout(3)
        told = b""
        try:
            for piece in pieces:
                client.sendall(piece)
                time.sleep(pause)
            while more := client.recv(65536):
                told += more
        except (TimeoutError, ConnectionError):
            pass
        return told


GET = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def test_a_request_is_answered(address: tuple[str, int]) -> None:
    assert answer(address, GET).startswith(b"HTTP/1.1 200")


def test_headers_that_come_slowly_are_refused(address: tuple[str, int]) -> None:
    begun = time.monotonic()
    told = answer(address, b"GET / HTTP/1.1\r\n", b"a: b\r\n", b"c: d\r\n", b"e: f\r\n", pause=TIMEOUT / 3)
    assert told.startswith(b"HTTP/1.1 408")
    assert b'"resourceType":"OperationOutcome"' in told
    assert time.monotonic() - begun < 3


def test_a_connection_that_says_nothing_is_closed(address: tuple[str, int]) -> None:
    begun = time.monotonic()
    assert answer(address) == b""
    assert time.monotonic() - begun < 3


def test_the_second_request_of_a_connection_is_timed_too(address: tuple[str, int]) -> None:
    told = answer(address, GET.replace(b"connection: close\r\n", b""), b"GET / HTTP/1.1\r\nhost", pause=0.1)
    assert told.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in told


def test_a_body_may_take_its_time(address: tuple[str, int]) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n"
    assert answer(address, head, b"a", b"b", pause=TIMEOUT * 1.2).endswith(b"2")


def test_a_kept_connection_may_rest(address: tuple[str, int]) -> None:
    kept = GET.replace(b"connection: close\r\n", b"")
    told = answer(address, kept, kept, GET, pause=TIMEOUT * 1.5)
    assert told.count(b"HTTP/1.1 200") == 3


def test_endless_headers_are_refused(address: tuple[str, int]) -> None:
    lines = [b"x-%d: %s\r\n" % (number, b"a" * 1000) for number in range(LONGEST_HEADERS // 1000 + 3)]
    told = answer(address, b"GET / HTTP/1.1\r\nhost: x\r\n", *lines)
    assert b"HTTP/1.1 200" not in told
    assert told == b"" or told.startswith(b"HTTP/1.1 431")


def test_a_long_body_is_not_taken_for_headers(address: tuple[str, int]) -> None:
    length = LONGEST_HEADERS * 3
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % length
    assert answer(address, head + b"a" * length).endswith(str(length).encode())


def test_what_is_not_http_gets_an_outcome(address: tuple[str, int]) -> None:
    told = answer(address, b"HELLO\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 400")
    assert b"application/fhir+json" in told
