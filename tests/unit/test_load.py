"""``load`` reads every kind of file, sends what it read, and says what was refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fhir_server.cli.exits import Stop
from fhir_server.cli.load import Connections, load
from fhir_server.cli.sources import Item, Unreadable, files, items


def read(path: Path, text: str) -> list[Item | Unreadable]:
    path.write_text(text)
    return list(items(path))


def bodies(found: list[Item | Unreadable]) -> list[bytes]:
    return [one.body for one in found if isinstance(one, Item)]


def test_a_resource_keeps_its_bytes(tmp_path: Path) -> None:
    text = '{"resourceType":"Observation","id":"a","valueQuantity":{"value":1.10}}'
    (one,) = read(tmp_path / "a.json", text)
    assert isinstance(one, Item)
    assert (one.type, one.id, one.body) == ("Observation", "a", text.encode())


def test_every_line_of_ndjson_is_a_resource(tmp_path: Path) -> None:
    found = read(tmp_path / "a.ndjson", '{"resourceType":"Patient","id":"a"}\n\n{"id":"b"}\nnot json\n')
    assert [type(one) for one in found] == [Item, Unreadable, Unreadable]
    assert [one.source.rpartition(":")[2] for one in found] == ["1", "3", "4"]


@pytest.mark.parametrize("type", ["collection", "transaction", "batch"])
def test_a_bundle_stands_for_its_entries(tmp_path: Path, type: str) -> None:
    uuid = "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    bundle = {
        "resourceType": "Bundle",
        "type": type,
        "entry": [
            {"resource": {"resourceType": "Observation", "subject": {"reference": f"urn:uuid:{uuid}"}}},
            {"fullUrl": f"urn:uuid:{uuid}", "resource": {"resourceType": "Patient", "gender": "female"}},
            {"request": {"method": "DELETE", "url": "Patient/x"}},
        ],
    }
    found = read(tmp_path / "a.json", json.dumps(bundle))
    lost, observation, patient = found
    assert isinstance(lost, Unreadable)
    assert lost.source.endswith("entry[2]")
    assert isinstance(observation, Item)
    assert json.loads(observation.body)["subject"]["reference"] == f"Patient/{uuid}"
    assert isinstance(patient, Item)
    assert patient.id == uuid
    assert json.loads(patient.body)["id"] == uuid


def test_a_document_bundle_is_a_resource(tmp_path: Path) -> None:
    (one,) = read(tmp_path / "a.json", '{"resourceType":"Bundle","type":"document","entry":[]}')
    assert isinstance(one, Item)
    assert one.type == "Bundle"


def test_folders_are_searched_in_order(tmp_path: Path) -> None:
    for name in ("b.json", "a.ndjson", "c.txt", "deep/d.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in files([tmp_path])] == ["a.ndjson", "b.json", "d.json"]


@dataclass
class Server:
    """A server that wants patients before observations, refuses what is bad, and notes what it got."""

    base_url: str = ""
    got: list[tuple[str, str]] = field(default_factory=list)

    def status(self, path: str, body: bytes) -> int:
        if b"bad" in body:
            return 422
        if path.startswith("/fhir/Observation") and not any("Patient" in known for _, known in self.got):
            return 422
        return 201


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = 401 if self.headers["authorization"] != "Bearer good" else server.status(self.path, body)
            if status == 201:
                server.got.append((self.command, self.path))
            issue = {"severity": "error", "code": "processing", "diagnostics": "is bad", "expression": ["Patient.x"]}
            told = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_POST = do_PUT  # noqa: N815 - the library's name

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.base_url = f"http://127.0.0.1:{listening.server_port}/fhir"
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield server
    listening.shutdown()
    listening.server_close()


def test_what_comes_too_early_is_tried_again(tmp_path: Path, server: Server) -> None:
    lines = [{"resourceType": "Observation", "id": f"o{number}"} for number in range(20)]
    lines += [
        {"resourceType": "Patient", "id": "p"},
        {"resourceType": "Patient"},
        {"resourceType": "Patient", "x": "bad"},
    ]
    path = tmp_path / "all.ndjson"
    path.write_text("\n".join(map(json.dumps, lines)))

    with Connections(server.base_url, "good") as connections:
        loaded, rejects = load([path], connections, 4)

    assert loaded == 22
    assert ("POST", "/fhir/Patient") in server.got
    assert ("PUT", "/fhir/Patient/p") in server.got
    (reject,) = rejects
    assert reject.source == f"{path}:23"
    assert reject.why == "422 is bad (Patient.x)"


def test_a_refused_token_ends_it(tmp_path: Path, server: Server) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"resourceType":"Patient","id":"p"}')
    with Connections(server.base_url, "wrong") as connections, pytest.raises(Stop, match="does not accept the token"):
        load([path], connections, 2)
