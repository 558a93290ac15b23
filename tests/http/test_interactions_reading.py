"""Conditional reads, HEAD, representations and the headers that every answer carries.

https://hl7.org/fhir/R4/http.html#cread · https://hl7.org/fhir/R4/http.html#mime-type
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tests.answers import hygienic, raw, refused
from tests.minimal import minimal
from tests.served import FHIR_JSON, Served


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture(scope="module")
def stored(client: httpx.Client) -> Iterator[httpx.Response]:
    """The answer to a read of something that does not change."""
    created = client.post("Basic", json=minimal("Basic", language="fr"), headers=FHIR_JSON)
    path = f"Basic/{created.json()['id']}"
    yield client.get(path)
    client.delete(path)


@pytest.fixture(scope="module")
def path(stored: httpx.Response) -> str:
    return f"Basic/{stored.json()['id']}"


@pytest.mark.parametrize("known", ['W/"1"', '"1"', 'W/"7", W/"1"', '"7","1"', "*"])
def test_what_the_client_has_is_not_sent_again(
    client: httpx.Client, stored: httpx.Response, path: str, known: str
) -> None:
    for asked in (path, f"{path}/_history/1"):
        answer = client.get(asked, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == 'W/"1"'
        assert answer.headers["last-modified"] == stored.headers["last-modified"]
        hygienic(answer)


@pytest.mark.parametrize("known", ['W/"2"', '"11"', "1", "garbage", ""])
def test_what_the_client_has_not_is_sent(client: httpx.Client, path: str, known: str) -> None:
    assert client.get(path, headers={"If-None-Match": known}).status_code == 200


def test_if_modified_since(client: httpx.Client, stored: httpx.Response, path: str) -> None:
    told = stored.headers["last-modified"]
    at = parsedate_to_datetime(told)

    def status(since: str, **more: str) -> int:
        return client.get(path, headers={"If-Modified-Since": since, **more}).status_code

    assert status(told) == 304
    assert status(format_datetime(at + timedelta(hours=1), usegmt=True)) == 304
    assert status(format_datetime(at - timedelta(seconds=1), usegmt=True)) == 200
    # RFC 9110 13.1.3: ignored beside If-None-Match, and when it is no date
    assert status(told, **{"If-None-Match": 'W/"9"'}) == 200
    for no_date in (
        "yesterday",
        "",
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Mon, 99 Foo 2020 25:61:61 +9999",
    ):
        assert status(no_date) == 200, no_date


def test_a_condition_does_not_tell_what_is_hidden(served: Served) -> None:
    for id in ("demo-1-annonce", "absent"):
        answer = served.as_("patient").get(f"DocumentReference/{id}", headers={"If-None-Match": "*"})
        refused(answer, 404, "not-found")


@pytest.mark.parametrize(
    "asked", ["{path}", "{path}/_history/1", "{path}/_history", "Basic?_count=1", "", "_history?_count=1", "metadata"]
)
def test_head_is_get_without_a_body(client: httpx.Client, path: str, asked: str) -> None:
    url = asked.format(path=path)
    head, get = client.head(url), client.get(url)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert get.content
    for name in ("content-type", "etag", "last-modified", "cache-control", "vary"):
        assert head.headers.get(name) == get.headers.get(name), name
    if "_count" not in asked:  # page tokens differ from one answer to the next, not in length
        assert head.headers["content-length"] == str(len(get.content)) if asked else True


def test_head_of_what_is_not_there(client: httpx.Client) -> None:
    answer = client.head("Basic/absent")
    assert (answer.status_code, answer.content) == (404, b"")
    hygienic(answer)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"Accept": ""},
        {"Accept": "*/*"},
        {"Accept": "application/*"},
        {"Accept": "application/json"},
        {"Accept": "application/fhir+json"},
        {"Accept": "application/fhir+json; fhirVersion=4.0"},
        {"Accept": "application/fhir+json;charset=utf-8"},
        {"Accept": "APPLICATION/FHIR+JSON"},
        {"Accept": "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"},
        {"Accept": "application/fhir+xml;q=0.1, application/fhir+json"},
        {"_format": "json"},
        {"_format": "application/json"},
        {"_format": "application/fhir+json"},
        {"_format": "text/json"},
        {"_format": "json", "Accept": "application/fhir+xml"},
    ],
)
def test_json_is_given_to_whoever_takes_it(
    client: httpx.Client, stored: httpx.Response, path: str, asked: dict[str, str]
) -> None:
    answer = _asking(client, path, asked)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/fhir+json;charset=utf-8"
    assert answer.content == stored.content


@pytest.mark.parametrize(
    "asked",
    [
        {"Accept": "text/html"},
        {"Accept": "application/fhir+turtle, text/turtle"},
        {"Accept": "application/fhir+json;q=0, application/fhir+xml;q=0"},
        {"Accept": "application/fhir+json; fhirVersion=3.0"},
        {"Accept": "garbage"},
        {"_format": "ttl"},
        {"_format": ""},
        {"_format": "ttl", "Accept": "application/fhir+json"},
    ],
)
def test_nothing_else_is_offered(client: httpx.Client, path: str, asked: dict[str, str]) -> None:
    for where in (path, "Basic", "metadata", f"{path}/_history"):
        refused(_asking(client, where, asked), 406, "not-supported")


def test_pretty_is_for_people(client: httpx.Client, stored: httpx.Response, path: str) -> None:
    pretty = client.get(path, params={"_pretty": "true"})
    assert pretty.text.startswith('{\n  "resourceType": "Basic"')
    assert pretty.json() == stored.json()
    assert client.get(path, params={"_pretty": "false"}).content == stored.content
    assert client.get("Basic", params={"_pretty": "true", "_count": "1"}).text.startswith("{\n")
    refused(client.get(path, params={"_pretty": "yes"}), 400, "invalid")


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-123", True), ("a" * 64, True), ("a" * 65, False), ("a b", False), ("<x>", False)]
)
def test_the_id_of_a_request_comes_back(client: httpx.Client, path: str, given: str, *, kept: bool) -> None:
    for asked in (path, "Basic/absent", "metadata", "Foo"):
        told = client.get(asked, headers={"X-Request-Id": given}).headers["x-request-id"]
        assert (told == given) is kept
        assert told


def test_each_request_has_an_id_of_its_own(client: httpx.Client, path: str) -> None:
    assert len({client.get(path).headers["x-request-id"] for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("method", "asked", "status"),
    [
        ("GET", "{path}", 200),
        ("GET", "metadata", 200),
        ("GET", "Basic?_id=absent", 200),
        ("GET", "Basic/absent", 404),
        ("GET", "Foo/1", 404),
        ("GET", "Basic/1/2/3/4/5", 404),
        ("GET", "$everything", 404),
        ("PATCH", "AuditEvent", 405),
        ("POST", "Basic", 415),
        ("OPTIONS", "{path}", 405),
        ("TRACE", "{path}", 405),
    ],
)
def test_every_answer_has_its_headers(client: httpx.Client, path: str, method: str, asked: str, status: int) -> None:
    answer = client.request(method, asked.format(path=path))
    hygienic(answer)
    assert "server" not in answer.headers
    assert "access-control-allow-origin" not in answer.headers
    if status == 200:
        assert answer.status_code == 200
    else:
        refused(answer, status)
    if status == 405:
        assert set(answer.headers["allow"].split(", ")) <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}


@pytest.mark.parametrize(
    ("asked", "allow"),
    [
        ("{path}", "DELETE, GET, HEAD, PATCH, PUT"),
        ("{path}/_history", "GET, HEAD"),
        ("{path}/_history/1", "GET, HEAD"),
        ("Basic", "DELETE, GET, HEAD, PATCH, POST, PUT"),
        ("Basic/_history", "GET, HEAD"),
        ("Basic/_search", "POST"),
        ("_search", "POST"),
        ("_history", "GET, HEAD"),
        ("metadata", "GET, HEAD"),
        ("", "GET, HEAD, POST"),
        ("AuditEvent", "GET, HEAD"),
        ("Consent/a", "GET, HEAD, PATCH, PUT"),
        ("Consent", "GET, HEAD, PATCH, POST, PUT"),
    ],
)
def test_another_method_is_told_what_is_offered(client: httpx.Client, path: str, asked: str, allow: str) -> None:
    answer = client.request("OPTIONS", asked.format(path=path))
    refused(answer, 405, "not-supported")
    assert answer.headers["allow"] == allow


def test_links_never_come_from_the_host_header(served: Served, client: httpx.Client, path: str) -> None:
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    for asked in (path, f"{path}/_history", "Basic?_count=1", "_history?_count=1", "", served.base, "metadata"):
        answer = client.get(asked, headers=forged)
        assert answer.status_code == 200, asked
        assert "evil.example" not in answer.text
        assert "evil.example" not in str(answer.headers)
    created = client.post("Basic", json=minimal("Basic"), headers={**FHIR_JSON, **forged})
    assert created.headers["location"].startswith(f"{served.base}/Basic/")
    client.delete(f"Basic/{created.json()['id']}")


def test_the_base_answers_with_and_without_its_slash(served: Served, client: httpx.Client) -> None:
    empty = {"resourceType": "Bundle", "type": "batch"}
    for base in (served.base, f"{served.base}/"):
        assert client.get(base, params={"_id": "absent", "_type": "Basic"}).json()["total"] == 0
        assert client.post(base, json=empty, headers=FHIR_JSON).json()["type"] == "batch-response"


def test_what_is_outside_of_the_base_is_refused_alike(served: Served) -> None:
    root = served.base.removesuffix("/fhir")
    for outside in ("/", "/other", "/fhirx", "/Patient/demo-1", "/FHIR/Patient", "/docs", "/openapi.json", "/metrics"):
        refused(httpx.get(root + outside), 404, "not-found")
    refused(httpx.post(f"{root}/health/live"), 405, "not-supported")
    assert httpx.get(f"{root}/health/live").json() == {"status": "live"}
    assert httpx.get(f"{root}/health/ready").json() == {"status": "ready"}


def test_one_request_has_one_authorization(served: Served, path: str) -> None:
    token = served.token("conformance")
    twice = f"GET /fhir/{path} HTTP/1.1\r\nX-Request-Id: twice\r\nAuthorization: Bearer {token}"
    answer = raw(served.base, twice, token=token)
    refused(answer, 401, "login")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["x-request-id"] == "twice"


def test_only_the_capability_statement_is_open(served: Served) -> None:
    with served.client() as nobody:
        assert nobody.get("metadata").status_code == 200
        for asked in ("", "Patient", "Patient/demo-1", "_history", "Foo", "metadata/x"):
            answer = nobody.get(asked)
            refused(answer, 401, "login")
            assert answer.headers["www-authenticate"].startswith("Bearer")


def _asking(client: httpx.Client, path: str, asked: dict[str, str]) -> httpx.Response:
    params: dict[str, Any] = {name: value for name, value in asked.items() if name == "_format"}
    request = client.build_request("GET", path, params=params)
    if "Accept" in asked:
        request.headers["Accept"] = asked["Accept"]
    else:
        del request.headers["Accept"]
    return client.send(request)


def test_numbers_come_back_as_they_were_written(served: Served, client: httpx.Client) -> None:
    sent = '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.10}}'
    created = client.post("Observation", content=sent, headers=FHIR_JSON)
    assert '"value":1.10}' in created.text
    assert '"value":1.10}' in client.get(f"Observation/{created.json()['id']}").text
    assert json.loads(created.text)["status"] == "final"
    client.delete(f"Observation/{created.json()['id']}")
