"""How a door is asked, and what is told there with nothing left of the world it was told in."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from tests.answers import content
from tests.http.worlds import Place

FHIR_JSON: Final = {"Content-Type": "application/fhir+json"}
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}

_WHEN: Final = re.compile(r'"(lastUpdated|lastModified|recorded|timestamp)":"[^"]*"')
_WHEN_IN_XML: Final = re.compile(r'<(lastUpdated|lastModified|recorded|timestamp) value="[^"]*"')
_NEW_ID: Final = re.compile(r"\b[0-9a-f]{32}\b")
_TRACE: Final = re.compile(r"\b[A-Za-z0-9]+-[0-9]{12}\b")
_PAGE: Final = re.compile(r"_page=[A-Za-z0-9_\-%]+")
_TOKEN_ID: Final = re.compile(r"urn:ietf:params:oauth:jti:[0-9a-f\-]+")
_MOST_PAGES: Final = 12


class Wires(httpx.AsyncBaseTransport):
    """Plain kept connections, one a thread. The pool of httpx costs more than the answers of the server."""

    def __init__(self, base: str, threads: int = 16) -> None:
        """Connect to the server of this base when first asked."""
        self._where = urlsplit(base).netloc
        self._wires: list[HTTPConnection] = []
        self._of_thread = threading.local()
        self._threads = ThreadPoolExecutor(threads, initializer=self._connect)

    def _connect(self) -> None:
        self._of_thread.wire = HTTPConnection(self._where, timeout=120)
        self._wires.append(self._of_thread.wire)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, request, content)

    def _send(self, request: httpx.Request, content: bytes) -> httpx.Response:
        wire: HTTPConnection = self._of_thread.wire
        wire.request(request.method, request.url.raw_path.decode(), content or None, dict(request.headers))
        answer = wire.getresponse()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())

    async def aclose(self) -> None:
        self._threads.shutdown()
        for wire in self._wires:
            wire.close()


@dataclass
class Ask:
    """One requester at one door of one world, and what he was answered."""

    client: httpx.AsyncClient
    token: str
    place: Place
    door: int
    """Its number, for the request id."""
    type: str
    answers: list[httpx.Response] = field(default_factory=list)

    async def send(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **told: Any
    ) -> httpx.Response:
        """Ask, under a request id that says which world, door and step it is."""
        sent = {
            "Authorization": f"Bearer {self.token}",
            "X-Request-Id": f"{self.place.key}.{self.door}-{self.type[:5]}-{len(self.answers)}"[:64],
            **(headers or {}),
        }
        answer = await self.client.request(method, path, headers=sent, **told)
        self.answers.append(answer)
        return answer

    async def post(self, path: str, resource: Any, **headers: str) -> httpx.Response:
        sent = FHIR_JSON | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("POST", path, headers=sent, content=json.dumps(resource))

    async def search(self, path: str, query: str) -> None:
        """The same search three ways, with every page there is."""
        found = await self.send("GET", f"{path}?{query}")
        for _ in range(_MOST_PAGES):
            found = await self._next(found)
        await self.send("HEAD", f"{path}?{query}")
        await self.send("POST", f"{path}/_search", content=query, headers=FORM)

    async def pages(self, url: str) -> None:
        """Every page of a list."""
        found = await self.send("GET", url)
        for _ in range(_MOST_PAGES):
            found = await self._next(found)

    async def there_and_back(self, url: str) -> None:
        """Every page of a list, and from the last page back to the first."""
        pages = [await self.send("GET", url)]
        for _ in range(_MOST_PAGES):
            pages.append(await self._next(pages[-1]))
        back = next((page for page in reversed(pages) if page.status_code == 200), pages[0])
        for _ in range(_MOST_PAGES):
            back = await self._next(back, "prev")

    async def _next(self, found: httpx.Response, relation: str = "next") -> httpx.Response:
        links = content(found).get("link", []) if found.status_code == 200 and found.content else []
        following = next((link["url"] for link in links if link["relation"] == relation), None)
        return await self.send("GET", following) if following else httpx.Response(204)


def told(answer: httpx.Response, place: Place) -> str:
    """Status, headers and body, comparable between worlds."""
    left_out = {"date", "x-request-id"} | ({"content-length"} if answer.content else set())
    headers = {name: value for name, value in answer.headers.items() if name not in left_out}
    if "last-modified" in headers:
        headers["last-modified"] = "(when)"
    body = answer.text
    if '"AuditEvent"' in body or "<AuditEvent" in body:
        body = json.dumps(readable(content(answer)), ensure_ascii=False)
    lines = [f"{answer.request.method} {answer.request.url.path} -> {answer.status_code}"]
    lines += [f"{name}: {value}" for name, value in sorted(headers.items())]
    return scrub("\n".join([*lines, body]), place)


def scrub(text: str, place: Place) -> str:
    """The text without what differs by nature: ids, moments, tokens."""
    text = _WHEN_IN_XML.sub(r'<\1 value="(when)"', _WHEN.sub(r'"\1":"(when)"', place.scrub(text)))
    text = _PAGE.sub("_page=(token)", text)
    return _TRACE.sub("(trace)", _TOKEN_ID.sub("(token)", _NEW_ID.sub("(new)", text)))


def events(bundles: list[Any], place: Place) -> list[str]:
    """The traces of what was asked at the doors of this world, comparable between worlds."""
    found = [entry["resource"] for bundle in bundles for entry in bundle.get("entry", [])]
    return sorted(
        scrub(json.dumps(readable(one), ensure_ascii=False), place)
        for one in found
        if one["resourceType"] == "AuditEvent" and f'"{place.key}.' in json.dumps(one.get("entity"))
    )


def readable(value: Any) -> Any:
    """Traces without their own ids, their queries readable, in an order that does not depend on the clock."""
    if isinstance(value, list):
        parts = [readable(one) for one in value]
        return sorted(parts, key=json.dumps) if parts and '"AuditEvent"' in json.dumps(parts[0]) else parts
    if not isinstance(value, dict):
        return value
    told = {name: readable(one) for name, one in value.items()}
    if told.get("resourceType") == "AuditEvent":
        told |= {"id": "(id)", "recorded": "(when)", "meta": {**told["meta"], "lastUpdated": "(when)"}}
    if "query" in told:
        told["query"] = base64.b64decode(told["query"]).decode()
    if "lastModified" in told:
        told["lastModified"] = "(when)"
    if "fullUrl" in told:
        told["fullUrl"] = re.sub(r"AuditEvent/.*", "AuditEvent/(id)", told["fullUrl"])
    return told
