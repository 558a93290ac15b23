"""What nobody should send: a clear refusal with the right status, nothing stored, nothing leaked, the server alive."""

from __future__ import annotations

import json
import socket
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from fhir_server.identity.actors import ACTORS, claims_for
from fhir_server.identity.development import DevelopmentIssuer
from fhir_server.settings import Settings
from tests.answers import connect, hygienic, raw, refused
from tests.minimal import minimal
from tests.served import FHIR_JSON, JSON_PATCH, Served

PATIENT = minimal("Patient")
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
LONGEST = int(Settings.model_fields["max_body_bytes"].default)
NEWEST = {"_count": "1"}


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture(scope="module", autouse=True)
def nothing_stored(served: Served) -> Iterator[None]:
    """The newest version of anything is the same after all of this, and the server is there to say so."""
    client = served.as_("conformance")
    before = client.get("_history", params=NEWEST).json()["entry"]
    yield
    assert client.get("_history", params=NEWEST).json()["entry"] == before


def patient(**more: Any) -> bytes:
    return json.dumps({**PATIENT, **more}).encode()


def nested(depth: int) -> bytes:
    """An extension in an extension in an extension."""
    inner: dict[str, Any] = {"url": "urn:x", "valueBoolean": True}
    for _ in range(depth):
        inner = {"url": "urn:x", "extension": [inner]}
    return patient(extension=[inner])


UNREADABLE: list[tuple[str, bytes, str, str]] = [
    ("cut short", b'{"resourceType":"Patient"', "structure", "line 1 column 26"),
    ("a trailing comma", b'{"resourceType":"Patient",\n "active":true,\n}', "structure", "line 3 column 1"),
    ("two values", b'{"resourceType":"Patient"} {}', "structure", "line 1 column 28"),
    ("single quotes", b"{'resourceType':'Patient'}", "structure", "line 1 column 2"),
    ("xml", b'<Patient xmlns="http://hl7.org/fhir"/>', "structure", "line 1 column 1"),
    ("nothing", b"", "structure", "empty"),
    ("white space", b" \n\t ", "structure", "empty"),
    ("an array", b'[{"resourceType":"Patient"}]', "structure", "object"),
    ("a string", b'"Patient"', "structure", "object"),
    ("null", b"null", "structure", "object"),
    ("a number", b"1e400", "structure", "object"),
    ("a byte order mark", b'\xef\xbb\xbf{"resourceType":"Patient"}', "structure", "byte order mark"),
    ("utf-16", '{"resourceType":"Patient"}'.encode("utf-16"), "structure", ""),
    ("broken utf-8", b'{"resourceType":"Patient","language":"\xff\xfe"}', "structure", "UTF-8"),
    ("overlong utf-8", b'{"resourceType":"Patient","language":"\xc0\xaf"}', "structure", "UTF-8"),
    ("a surrogate in utf-8", b'{"resourceType":"Patient","language":"\xed\xa0\x80"}', "structure", "UTF-8"),
    ("a lone surrogate", b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}', "structure", "lone surrogate"),
    ("surrogates reversed", b'{"resourceType":"Patient","name":[{"family":"\\udc00\\ud800"}]}', "structure", ""),
    ("a surrogate as a key", b'{"resourceType":"Patient","\\ud800":1}', "structure", ""),
    ("a raw control character", b'{"resourceType":"Patient","language":"a\nb"}', "structure", "line 1 column"),
    ("NaN", b'{"resourceType":"Patient","multipleBirthInteger":NaN}', "structure", "NaN"),
    ("Infinity", b'{"resourceType":"Patient","multipleBirthInteger":Infinity}', "structure", "Infinity"),
    ("-Infinity", b'{"resourceType":"Patient","multipleBirthInteger":-Infinity}', "structure", "Infinity"),
    ("a leading zero", b'{"resourceType":"Patient","multipleBirthInteger":01}', "structure", "line 1 column"),
    ("a hexadecimal number", b'{"resourceType":"Patient","multipleBirthInteger":0x1}', "structure", "line 1 column"),
    (
        "a number without end",
        b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 5000 + b"}",
        "structure",
        "",
    ),
    (
        "a number out of bounds",
        b'{"resourceType":"Patient","multipleBirthInteger":1e99999999999999999999}',
        "structure",
        "number",
    ),
    ("a comment", b'{"resourceType":"Patient"/* x */}', "structure", "line 1 column"),
    ("a key twice", b'{"resourceType":"Patient","active":true,"active":false}', "structure", "'active' twice"),
    ("a key twice below", b'{"resourceType":"Patient","name":[{"text":"a","text":"b"}]}', "structure", "'text' twice"),
    ("a key twice, escaped", b'{"resourceType":"Patient","active":true,"\\u0061ctive":true}', "structure", "twice"),
    ("resourceType twice", b'{"resourceType":"Basic","resourceType":"Patient"}', "structure", "twice"),
    ("deep arrays", b'{"resourceType":"Patient","name":' + b"[" * 100 + b"]" * 100 + b"}", "structure", "deep"),
    ("deep objects", nested(70), "structure", "deep"),
    ("very deep", b"[" * 150_000, "structure", "deep"),
    ("too many containers", b"[" + b"[]," * 250_000 + b"[]]", "structure", "more than 200000"),
    ("very deep objects", b'{"a":' * 100_000, "structure", "deep"),
]


@pytest.mark.parametrize(
    ("body", "code", "says"), [case[1:] for case in UNREADABLE], ids=[case[0] for case in UNREADABLE]
)
def test_a_body_that_cannot_be_read(client: httpx.Client, body: bytes, code: str, says: str) -> None:
    refused(client.post("Patient", content=body, headers=FHIR_JSON), 400, code, says)
    refused(client.put("Patient/demo-1", content=body, headers=FHIR_JSON), 400, code, says)
    refused(client.post("", content=body, headers=FHIR_JSON), 400)
    refused(client.patch("Patient/demo-1", content=body, headers=JSON_PATCH), 400)


ILLEGAL: list[tuple[str, bytes, str, str]] = [
    ("no type", b"{}", "invalid", "resourceType"),
    ("another type", json.dumps(minimal("Basic")).encode(), "invalid", "resourceType"),
    ("a type that is none", b'{"resourceType":"Unheard"}', "invalid", "resourceType"),
    ("a type in small letters", b'{"resourceType":"patient"}', "invalid", "resourceType"),
    ("a type that is no text", b'{"resourceType":["Patient"]}', "invalid", "resourceType"),
    ("an element that is none", patient(unheard=1), "structure", "Patient.unheard"),
    ("an empty array", patient(name=[]), "structure", "Patient.name"),
    ("an empty object", patient(name=[{}]), "invariant", "Patient.name[0]"),
    ("an empty text", patient(name=[{"family": ""}]), "value", "Patient.name[0].family"),
    ("a null", patient(active=None), "structure", "Patient.active"),
    ("a null in an array", patient(name=[{"given": [None]}]), "structure", "Patient.name[0].given[0]"),
    ("one instead of many", patient(name={"family": "a"}), "structure", "Patient.name"),
    ("many instead of one", patient(birthDate=["2020"]), "structure", "Patient.birthDate"),
    ("a text instead of a boolean", patient(active="true"), "structure", "Patient.active"),
    ("a number instead of a text", patient(language=1), "structure", "Patient.language"),
    ("a day that is none", patient(birthDate="2021-02-29"), "value", "Patient.birthDate"),
    ("a date of another form", patient(birthDate="29/02/2020"), "value", "Patient.birthDate"),
    ("a code that is none", patient(gender="F"), "code-invalid", "Patient.gender"),
    ("two of one choice", patient(deceasedBoolean=True, deceasedDateTime="2020"), "structure", "Patient.deceased"),
    ("an id that is none", patient(id="a b"), "value", "Patient.id"),
    ("too great a number", patient(multipleBirthInteger=2**31), "value", "Patient.multipleBirth"),
    ("a huge number", patient(multipleBirthInteger=10**400), "value", "Patient.multipleBirth"),
    ("a broken reference", patient(managingOrganization={"reference": "no reference"}), "value", ""),
    ("a reference to another type", patient(managingOrganization={"reference": "Basic/1"}), "value", ""),
    (
        "a script",
        patient(text={"status": "generated", "div": f"<div {XHTML}><script>x()</script></div>"}),
        "invariant",
        "",
    ),
    ("an operator as a key", patient(**{"$where": "sleep(1000)"}), "structure", "Patient"),
    ("an operator as a value", patient(birthDate={"$gt": ""}), "structure", "Patient.birthDate"),
    ("an operator in an id", patient(id={"$ne": "x"}), "structure", "Patient.id"),
    ("a key with a dot", patient(**{"name.family": "x"}), "structure", "Patient"),
    ("a key with a zero", patient(**{"na\0me": "x"}), "structure", "Patient"),
    ("__proto__", patient(__proto__={}), "structure", "Patient"),
]


@pytest.mark.parametrize(
    ("body", "code", "expression"), [case[1:] for case in ILLEGAL], ids=[case[0] for case in ILLEGAL]
)
def test_a_resource_that_is_none(client: httpx.Client, body: bytes, code: str, expression: str) -> None:
    told = refused(client.post("Patient", content=body, headers=FHIR_JSON), 400, code)
    assert told["expression"][0].startswith(expression)


def test_everything_that_is_wrong_is_told_at_once(client: httpx.Client) -> None:
    body = patient(name=[{"family": ""}, {"given": [""]}], gender="?", birthDate="tomorrow", unheard=1)
    answer = client.post("Patient", content=body, headers=FHIR_JSON)
    refused(answer, 400)
    assert len(answer.json()["issue"]) == 5


def test_a_hundred_thousand_defects_are_not_all_told(client: httpx.Client) -> None:
    body = patient(name=[{"given": [""] * 100_000}])
    answer = client.post("Patient", content=body, headers=FHIR_JSON)
    refused(answer, 400)
    assert len(answer.content) < 100_000


@pytest.mark.parametrize("over", [1, LONGEST])
def test_a_body_over_the_limit(client: httpx.Client, over: int) -> None:
    body = b'{"resourceType":"Patient","language":"' + b"a" * (LONGEST + over)
    refused(client.post("Patient", content=body, headers=FHIR_JSON), 413, "too-long", str(LONGEST))


def test_a_body_over_the_limit_in_pieces(client: httpx.Client) -> None:
    """Chunked: there is no Content-Length that would tell."""

    def pieces() -> Iterator[bytes]:
        for _ in range(LONGEST // 65536 + 2):
            yield b" " * 65536

    for method, path, headers in (("POST", "Patient", FHIR_JSON), ("PATCH", "Patient/demo-1", JSON_PATCH)):
        refused(client.request(method, path, content=pieces(), headers=headers), 413, "too-long")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(client.post("Patient/_search", content=pieces(), headers=form), 413, "too-long")


@pytest.mark.parametrize(
    ("length", "statuses"),
    [
        (b"99999999999999999999999", {400, 413}),
        (b"9223372036854775808", {400, 413}),
        (b"-1", {400}),
        (b"abc", {400}),
        (b"\xb2", {400}),
        (b"1, 2", {400}),
        (b"0x10", {400}),
    ],
)
def test_a_length_that_is_none(served: Served, length: bytes, statuses: set[int]) -> None:
    head = b"POST /fhir/Patient HTTP/1.1\r\nContent-Type: application/fhir+json\r\nContent-Length: " + length
    answer = raw(served.base, head, token=served.token("conformance"))
    assert answer.status in statuses
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_two_lengths(served: Served) -> None:
    """What request smuggling is made of."""
    for more in (b"Content-Length: 3", b"Transfer-Encoding: chunked"):
        head = b"POST /fhir/Patient HTTP/1.1\r\nContent-Type: application/fhir+json\r\nContent-Length: 5\r\n" + more
        answer = raw(served.base, head + b"\r\n\r\n0\r\n\r\n", token=served.token("conformance"))
        assert answer.status in (400, 401)
        assert answer.content.count(b"HTTP/1.1") == 0


QUERIES: list[tuple[str, str, str]] = [
    ("an operator as a modifier", "patient[$ne]=1", "not-supported"),
    ("an operator as a parameter", "$where=sleep(1000)", "not-supported"),
    ("a parameter that is none", "unheard=1", "not-supported"),
    ("a modifier that is none", "family:unheard=a", "invalid"),
    ("a modifier without its value", "family:missing=perhaps", "invalid"),
    ("an empty alternative", "family=a,,b", "invalid"),
    ("no name", "=a", "invalid"),
    ("a date that is none", "birthdate=garbage", "invalid"),
    ("a day that is none", "birthdate=2021-02-30", "invalid"),
    ("a month that is none", "birthdate=2021-13", "invalid"),
    ("a prefix that is none", "birthdate=xx2020", "invalid"),
    ("a prefix alone", "birthdate=ge", "invalid"),
    ("a date with an operator", 'birthdate={"$gt":""}', "invalid"),
    ("two bars", "identifier=a|b|c", "invalid"),
    ("a bar alone", "identifier=|", "invalid"),
    ("a negative count", "_count=-1", "invalid"),
    ("a count that is none", "_count=abc", "invalid"),
    ("a count of another alphabet", "_count=%D9%A3", "invalid"),
    ("a broken page", "_page=garbage", "invalid"),
    ("an empty page", "_page=", "invalid"),
    ("a page of another alphabet", "_page=%C3%A9", "invalid"),
    ("a total that is none", "_total=perhaps", "invalid"),
    ("a summary that is none", "_summary=perhaps", "invalid"),
    ("an order that is none", "_sort=unheard", "not-supported"),
    ("an empty order", "_sort=-", "invalid"),
    ("an include of nothing", "_include=Patient", "invalid"),
    ("an include of another type", "_include=Observation:subject", "invalid"),
    ("an include of no reference", "_include=Patient:name", "invalid"),
    ("an include that goes on in no way", "_include:onwards=Patient:organization", "invalid"),
    ("a count twice", "_count=1&_count=2", "invalid"),
    ("5,000 characters", "family=" + "a" * 5000, "too-long"),
    ("a name of 5,000 characters", "a" * 5000 + "=1", "too-long"),
    ("201 alternatives", "_id=" + ",".join("a" * 3 for _ in range(201)), "invalid"),
    ("101 parameters", "&".join("family=a" for _ in range(101)), "too-costly"),
    ("1,001 parameters", "&".join("a=1" for _ in range(1001)), "too-costly"),
    ("a zero", "family=a%00b", "invalid"),
    ("a zero in the name", "fam%00ily=a", "invalid"),
    ("broken utf-8", "family=%ff%fe", "invalid"),
    ("a surrogate", "family=%ed%a0%80", "invalid"),
]


@pytest.mark.parametrize(("query", "code"), [case[1:] for case in QUERIES], ids=[case[0] for case in QUERIES])
def test_a_query_that_cannot_be(client: httpx.Client, query: str, code: str) -> None:
    strict = {"Prefer": "handling=strict"}
    refused(client.get(f"Patient?{query}", headers=strict), 400, code)
    form = {"Content-Type": "application/x-www-form-urlencoded", **strict}
    refused(client.post("Patient/_search", content=query, headers=form), 400, code)
    refused(client.post("Patient", json=PATIENT, headers={**FHIR_JSON, "If-None-Exist": query}), 400)


@pytest.mark.parametrize(
    "query",
    [
        "family=.*",
        "family=^a|b$",
        "family=(a%2B)%2B$",
        "family=a\\,b",
        "family=" + "(" * 200,
        'family={"$gt":""}',
        "family=$where",
        "family='; DROP TABLE patient; --",
        'identifier={"$ne":null}',
        "_id=.*",
        '_id={"$gt":""}',
        "_id=../../etc/passwd",
        "_id=" + "a" * 65,
        "_tag=" + "x" * 4000,
        "_id=" + ",".join(f"absent-{number}" for number in range(200)),
        "family=" + "%C3%A9" * 200,
        "general-practitioner=Practitioner/absent",
        "organization=https://elsewhere.example/Organization/1",
    ],
)
def test_a_strange_value_is_only_a_value(client: httpx.Client, query: str) -> None:
    began = time.monotonic()
    answer = client.get(f"Patient?{query}", headers={"Prefer": "handling=strict"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == 0
    assert time.monotonic() - began < 2


def test_what_is_not_known_is_named_where_it_is_left_out(client: httpx.Client) -> None:
    answer = client.get("Patient?unheard=1&patient[$ne]=1&_id=absent")
    assert answer.status_code == 200
    (entry,) = answer.json()["entry"]
    assert entry["search"]["mode"] == "outcome"
    assert len(entry["resource"]["issue"]) == 2


PATHS = [
    "/fhir/Patient/%2e%2e",
    "/fhir/Patient/../Patient/demo-1",
    "/fhir/%2e%2e/%2e%2e/etc/passwd",
    "/fhir/Patient%2fdemo-1",
    "/fhir/Patient/demo-1%2f_history",
    "/fhir/Patient//demo-1",
    "/fhir/Patient/demo-1//_history",
    "/fhir/Patient;x=1/demo-1",
    "/fhir/Patient/demo-1;x=1",
    "/fhir/Patient/demo-1%00",
    "/fhir/Patient/%00",
    "/fhir/Patient%00/demo-1",
    "/fhir/Patient/demo-1%0d%0aSet-Cookie:x=1",
    "/fhir/Patient/demo-1%20",
    "/fhir/Patient/" + "a" * 65,
    "/fhir/Patient/" + "a" * 20_000,
    "/fhir/" + "a/" * 5_000,
    "/fhir/patient/demo-1",
    "/fhir/Resource/a",
    "/fhir/DomainResource",
    "/fhir/Unheard/1",
    "/fhir/Patient/demo-1/Practitioner",
    "/fhir/Patient/demo-1/_history/1/2",
    "/fhir/Patient/_search/1",
    "/fhir/_history/1",
    "/fhir/metadata/1",
    "/fhir/Observation/$everything",
    "/fhir/%F0%9F%98%80",
    "/fhir/__class__/1",
    "/fhir/Patient/\\..\\x",
    "/../fhir/Patient/demo-1",
    "/fhir/../health/live",
    "/fhirx/Patient/demo-1",
    "/%66hir/Patient/demo-1",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:40])
def test_a_path_that_leads_nowhere(served: Served, path: str) -> None:
    token = served.token("conformance")
    told = refused(raw(served.base, f"GET {path} HTTP/1.1", token=token), 404, "not-found")
    assert len(told["diagnostics"]) < 400
    deleted = raw(served.base, f"DELETE {path} HTTP/1.1", token=token)
    assert deleted.status in (404, 405), deleted.text


@pytest.mark.parametrize("path", ["/fhir/Patient/%ff", "/fhir/%c0%ae%c0%ae/x", "/fhir/Patient?a=%ff"])
def test_a_path_that_is_no_utf_8(served: Served, path: str) -> None:
    refused(raw(served.base, f"GET {path} HTTP/1.1", token=served.token("conformance")), 400)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /fhir/Patient/\x00 HTTP/1.1",
        b"GET /fhir/Patient/\xff HTTP/1.1",
        b"BREW /fhir/Patient HTTP/1.1",
        b"GET  HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /fhir/Patient HTTP/1.1\r\nBroken header",
        b"GET /fhir/Patient HTTP/1.1\r\nX: a\x00b",
    ],
)
def test_what_is_no_http(served: Served, line: bytes) -> None:
    answer = raw(served.base, line, token=served.token("conformance"))
    assert answer.status in (400, 404), answer
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert answer.headers["x-content-type-options"] == "nosniff"


HEADERS: list[tuple[dict[str, str], int, str]] = [
    ({"If-Match": "garbage"}, 400, "value"),
    ({"If-Match": 'W/"1", W/"2"'}, 400, "value"),
    ({"If-Match": 'W/"' + "1" * 65 + '"'}, 400, "value"),
    ({"Accept": "application/fhir+turtle"}, 406, "not-supported"),
    ({"Accept": "a" * 5000}, 406, "not-supported"),
    ({"Accept": ";;;,,,;q=1"}, 406, "not-supported"),
]


@pytest.mark.parametrize(("headers", "status", "code"), HEADERS)
def test_a_header_that_cannot_be(client: httpx.Client, headers: dict[str, str], status: int, code: str) -> None:
    refused(client.post("Patient", json=PATIENT, headers={**FHIR_JSON, **headers}), status, code)


@pytest.mark.parametrize("name", ["Content-Type", "If-Match", "If-None-Exist", "If-None-Match", "If-Modified-Since"])
def test_a_header_sent_twice(served: Served, name: str) -> None:
    head = f"GET /fhir/Patient/demo-1 HTTP/1.1\r\n{name}: a\r\n{name}: b"
    refused(raw(served.base, head, token=served.token("conformance")), 400, "structure", name.lower())


@pytest.mark.parametrize(
    "prefer", [";", "return", "return=", "=x", "handling=unheard", "a" * 5000, "return=x,return=y"]
)
def test_a_preference_that_is_none_is_none(client: httpx.Client, prefer: str) -> None:
    """RFC 7240: what is not understood is ignored."""
    assert client.get("Patient/demo-1", headers={"Prefer": prefer}).status_code == 200


def _part(text: str) -> Any:
    return json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def _joined(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = (urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims))
    return f"{'.'.join(parts)}.{signature}"


def tokens(served: Served) -> dict[str, str]:
    """Tokens that do not hold, by what is wrong with them."""
    good = served.token("patient")
    head, body, signature = good.split(".")
    header, claims = _part(head), _part(body)
    public = DevelopmentIssuer.existing(served.data).trusted.jwks.read_bytes()
    foreign = ECKey.generate_key("P-256")
    elsewhere = claims_for(ACTORS["patient"], base_url="https://elsewhere.example/fhir", now=time.time(), lifetime=60)

    def signed(header: dict[str, Any], key: Any = foreign, algorithms: tuple[str, ...] = ("ES256",)) -> str:
        return jws.serialize_compact(header, json.dumps(claims), key, algorithms=list(algorithms))

    return {
        "expired": served.token("patient", lifetime=-1),
        "of another server": DevelopmentIssuer.existing(served.data).issue(elsewhere),
        "of another issuer": served.token("patient", extra={"iss": "https://elsewhere.example"}),
        "of nobody": served.token("patient", extra={"iss": None}),
        "changed": f"{head}.{_joined({}, {**claims, 'sub': 'x'}).split('.')[1]}.{signature}",
        "unsigned": f"{head}.{body}.",
        "none": _joined({**header, "alg": "none"}, claims),
        "None": _joined({**header, "alg": "None"}, claims, signature),
        "signed with the public key": signed(
            {**header, "alg": "HS256"}, OctKey.import_key(public), algorithms=("HS256",)
        ),
        "signed by a stranger": signed(header),
        "signed by a stranger under another name": signed({**header, "kid": "another"}),
        "a name that is a path": signed({**header, "kid": "../../../../dev/null"}),
        "a name that is a query": signed({**header, "kid": "' OR 1=1 --"}),
        "a name that is no text": _joined({**header, "kid": {"$ne": ""}}, claims, signature),
        "brings its own key": signed({**header, "jwk": foreign.as_dict(private=False)}),
        "names where its key is": signed({**header, "jku": f"{served.base}/Binary/key"}),
        "no JSON": "e30.garbage.e30",
        "one part": "garbage",
        "four parts": f"{good}.x",
        "very long": "a" * 9000,
        "claims twice": f"{head}.eyJhIjoxLCJhIjoyfQ.{signature}",
        "contradicts itself": served.token("patient", extra={"extensions.ihe_iua.person_id": 5}),
    }


def test_a_token_that_does_not_hold(served: Served) -> None:
    for what, token in tokens(served).items():
        with served.client(token) as client:
            for answer in (
                client.get("Patient/demo-1"),
                client.post("Patient", json=PATIENT, headers=FHIR_JSON),
                client.get("Unheard"),
            ):
                told = refused(answer, 401)
                assert told["code"] in ("login", "expired", "security"), what
                assert answer.headers["www-authenticate"].startswith("Bearer"), what
                assert token[:30] not in answer.text, what


@pytest.mark.parametrize("given", ["", "Bearer", "Basic YTpi", "bearer", "Token x", "Bearer a b", "Bearer é"])
def test_what_is_no_token(served: Served, given: str) -> None:
    answer = raw(served.base, f"GET /fhir/Patient/demo-1 HTTP/1.1\r\nAuthorization: {given}")
    refused(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_belongs_in_its_header(served: Served) -> None:
    with served.client() as client:
        token = served.token("patient")
        refused(client.get("Patient/demo-1", params={"access_token": token}), 401)
        refused(client.get("Patient/demo-1", headers={"Cookie": f"access_token={token}"}), 401)


def test_a_client_that_goes_away(served: Served, client: httpx.Client) -> None:
    """In the middle of the headers, of the body, and before the answer; the server takes no notice."""
    authorization = f"Authorization: Bearer {served.token('conformance')}\r\n".encode()
    head = b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n" + authorization
    for sent in (
        head,
        head + b"Content-Length: 100\r\n\r\n" + b'{"resourceType"',
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    ):
        for _ in range(5):
            with connect(served.base) as gone:
                gone.sendall(sent)
                gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    assert client.get("Patient/demo-1").status_code == 200


def test_requests_one_after_the_other_on_a_connection(served: Served) -> None:
    """A refusal in the middle does not disturb the next; a body that was not read is not taken for a request."""
    token = served.token("conformance")
    head = f"Host: x\r\nAuthorization: Bearer {token}\r\n"
    smuggled = b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n"
    wrong = f"POST /fhir/Patient HTTP/1.1\r\n{head}Content-Type: text/plain\r\nContent-Length: {len(smuggled)}\r\n\r\n"
    last = f"GET /fhir/Patient/absent HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
    with connect(served.base) as connection:
        connection.sendall(wrong.encode() + smuggled + last.encode())
        told = b""
        while more := connection.recv(65536):
            told += more
    statuses = [part[:3] for part in told.split(b"HTTP/1.1 ")[1:]]
    assert statuses in ([b"415", b"404"], [b"415"])
    assert b"CapabilityStatement" not in told


def test_an_expectation(served: Served) -> None:
    """A client that waits to be told to go on with its body is refused before it sends it."""
    head = "POST /fhir/Patient HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 9999999\r\nExpect: 100-continue"
    answer = raw(served.base, head, token=served.token("conformance"))
    assert answer.status == 415
    hygienic(answer)
