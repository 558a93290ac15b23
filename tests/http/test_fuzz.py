"""Whatever is asked: never a 5xx, and every refusal is an OperationOutcome.

How hard it is tried: the profiles of `tests/conftest.py`.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from fhir_server.fhir.errors import FhirError
from tests.answers import CODEC, Answered, content, hygienic, refused
from tests.minimal import minimal
from tests.served import Served

TYPES = ["Patient", "Observation", "DocumentReference", "Binary", "Basic", "List", "Practitioner", "AuditEvent"]
OWN = ["http-fuzz-1", "http-fuzz-2"]
READ = [*OWN, "demo-1", "demo-1-normal-1", "demo-1-annonce"]
"""The demonstration is read here, never written."""
FHIR_JSON, JSON_PATCH = "application/fhir+json", "application/json-patch+json"
FHIRPATH_PATCH = "application/fhir+json; charset=utf-8"
"""The media type of FHIR, told apart from a resource's."""
FHIR_XML = "application/fhir+xml"
FORM = "application/x-www-form-urlencoded"
ACTORS = ["conformance", "patient", "specialiste"]

FITTING = [
    ("GET", "{type}/{id}", None),
    ("GET", "{type}/{id}/_history", None),
    ("GET", "{type}/{id}/_history/1", None),
    ("GET", "{type}", None),
    ("GET", "{type}", None),
    ("POST", "{type}/_search", FORM),
    ("POST", "{type}", FHIR_JSON),
    ("PUT", "{type}/{id}", FHIR_JSON),
    ("PUT", "{type}/{id}", FHIR_JSON),
    ("PATCH", "{type}/{id}", JSON_PATCH),
    ("PATCH", "{type}/{id}", FHIRPATH_PATCH),
    ("DELETE", "{type}/{id}", None),
    ("POST", "", FHIR_JSON),
    ("PUT", "{type}", FHIR_JSON),
    ("PATCH", "{type}", JSON_PATCH),
    ("DELETE", "{type}", None),
]
SHAPES = (
    "metadata _history _search {type} {type}/_search {type}/_history {type}/{id} {type}/{id}/_history "
    "{type}/{id}/_history/1"
).split()

anything = st.text(max_size=30)
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40).map(str.strip)

odd_segment = st.sampled_from(["..", "$everything", "Unheard", "", "1", "%00", "_history", "_search", "metadata"])
names = st.sampled_from(
    "_id _lastUpdated _tag _profile _sort _count _total _summary _include _revinclude _page _since _format _pretty "
    "_has _type _elements patient subject patient.identifier code code:not date status identifier family name:exact "
    "birthdate url author related period value-quantity $where patient[$ne]".split()
)
values = st.sampled_from(
    "1 -1 0 demo-1 Patient/demo-1 a|b |a a| a,b , | $ \\ \\, 2020 ge2020-02-30 ap2020 2020-01-01T00:00:00Z "
    "2020-01-01T00:00:00+14:00 9999 0000 json xml true count accurate _id -date Observation:subject "
    "DocumentReference:patient:Patient * https://example.org/fhir/Patient/1 urn:uuid:x #a 1e999999999 NaN".split()
)
queries = st.lists(
    st.tuples(st.one_of(names, anything), st.one_of(values, anything)).map(
        lambda pair: "=".join(quote_plus(part.encode("utf-8", "surrogatepass")) for part in pair)
    ),
    max_size=4,
).map("&".join)

HEADERS = {
    "Accept": ["application/fhir+json", "*/*", "application/xml", "application/pdf", "text/xml;q=0.5, */*;q=0.1"],
    "Prefer": ["return=minimal", "return=OperationOutcome", "handling=strict", "handling=lenient"],
    "If-Match": ['W/"1"', "*", '"x"'],
    "If-None-Match": ['W/"1"', "*"],
    "If-None-Exist": ["identifier=a", "_id=http-fuzz-1"],
    "If-Modified-Since": ["Sat, 01 Jan 2022 00:00:00 GMT", "Sat, 01 Jan 0001 00:00:00 -9999"],
    "X-Request-Id": ["abc"],
}
headers = st.dictionaries(st.sampled_from(sorted(HEADERS)), st.none(), max_size=2).flatmap(
    lambda chosen: st.fixed_dictionaries(
        {name: st.one_of(st.sampled_from(HEADERS[name]), printable) for name in chosen}
    )
)

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=10))
trees = st.recursive(
    scalars,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=8,
)
members = st.sampled_from(
    "id meta text contained extension identifier status subject code name content data _id x".split()
)
pointers = st.one_of(
    anything, st.sampled_from(["", "/", "/id", "/code", "/meta/tag/-", "/identifier/0", "/~2", "/text"])
)
patches = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from("add remove replace move copy test unheard".split())},
        optional={"path": pointers, "from": pointers, "value": trees},
    ),
    max_size=4,
)

paths = st.one_of(
    anything,
    st.sampled_from(
        [*TYPES, "id", "meta.tag[0]", "code.coding.where(code = 'a')", "text.div", "identifier", "extension('x').value"]
    ),
)
parts = st.one_of(
    st.fixed_dictionaries(
        {"name": st.just("type"), "valueCode": st.sampled_from("add insert delete replace move".split())}
    ),
    st.fixed_dictionaries({"name": st.just("path"), "valueString": paths}),
    st.fixed_dictionaries({"name": st.just("name"), "valueString": members}),
    st.fixed_dictionaries(
        {"name": st.just("value")},
        optional={
            "valueCode": scalars,
            "valueString": scalars,
            "valueIdentifier": trees,
            "resource": trees,
            "part": trees,
        },
    ),
    st.fixed_dictionaries({"name": st.sampled_from(["index", "source", "destination"]), "valueInteger": scalars}),
    trees,
)
operations = st.lists(parts, max_size=5).map(lambda listed: {"name": "operation", "part": listed})
fhirpath_patches = st.lists(st.one_of(operations, operations, trees), max_size=3).map(
    lambda listed: {"resourceType": "Parameters", **({"parameter": listed} if listed else {})}
)


@st.composite
def resources(draw: st.DrawFn, type: str, id: str) -> Any:
    """A legal resource with a few members replaced by anything."""
    made = minimal(type, id=id)
    return {**made, **draw(st.dictionaries(members, trees, max_size=2))}


@st.composite
def bundles(draw: st.DrawFn, type: str, id: str) -> Any:
    """A batch of requests that may be any."""
    methods = st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "get"])
    urls = st.one_of(st.sampled_from([f"{type}/{id}", type, f"/{type}?_id={id}", "_history", "metadata", ""]), anything)
    requests = st.fixed_dictionaries(
        {},
        optional={"method": methods, "url": urls, "ifMatch": anything, "ifNoneExist": queries, "ifNoneMatch": anything},
    )
    entries = st.fixed_dictionaries({}, optional={"request": requests | trees, "resource": resources(type, id) | trees})
    return {"resourceType": "Bundle", "type": "batch", "entry": draw(st.lists(entries, max_size=3))}


@st.composite
def fitting(draw: st.DrawFn) -> tuple[str, str, str | None, bytes]:
    """Method, path, content type and body that go together, up to the body itself."""
    method, shape, content_type = draw(st.sampled_from(FITTING))
    type, id = draw(st.sampled_from(TYPES)), draw(st.sampled_from(READ if method == "GET" else OWN))
    bodies = {
        None: st.just(b""),
        FHIR_JSON: resources(type, id).map(_json),
        JSON_PATCH: patches.map(_json),
        FHIRPATH_PATCH: fhirpath_patches.map(_json),
        FORM: queries.map(str.encode),
    }
    body = draw(bundles(type, id).map(_json) if shape == "" else bodies[content_type])
    if content_type in (FHIR_JSON, FHIRPATH_PATCH) and draw(st.booleans()):
        content_type, body = FHIR_XML, draw(damaged(_xml(body)))
    return method, shape.replace("{type}", type).replace("{id}", id), content_type, body


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """A body as it is, or with some of it in the wrong place."""
    if draw(st.booleans()):
        return body
    start, end = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
    return body[:start] + draw(st.one_of(st.just(b""), st.sampled_from([b"<", b"&", b"<a/>", b"\xff"]))) + body[end:]


@st.composite
def strange(draw: st.DrawFn) -> tuple[str, str, str | None, bytes]:
    """Method, path, content type and body that need not go together."""
    method = draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]))
    type, id = draw(st.sampled_from(TYPES)), draw(st.sampled_from(READ if method in ("GET", "HEAD") else OWN))
    usual = st.sampled_from(SHAPES).map(lambda shape: shape.replace("{id}", id).replace("{type}", type).split("/"))
    odd = st.lists(st.one_of(odd_segment, anything, st.sampled_from(TYPES)), max_size=5)
    path = "/".join(quote(part.encode()) for part in draw(st.one_of(usual, odd)))
    body = st.one_of(st.just(b""), st.binary(max_size=40), resources(type, id).map(_json), trees.map(_json))
    content_type = st.one_of(st.sampled_from([None, FHIR_JSON, FHIR_XML, "text/xml", JSON_PATCH, FORM]), printable)
    return method, path, draw(content_type), draw(body)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, str], bytes]:
    """Method, target, headers and body. Only resources of this test's own are written."""
    method, path, content_type, body = draw(st.one_of(fitting(), fitting(), strange()))
    asks = method in ("GET", "HEAD") or "_search" in path
    changes = method in ("PUT", "PATCH", "DELETE") and path in TYPES  # on a condition: nothing but our own can meet it
    query = draw(queries) if asks or changes else ""
    if changes:
        query = f"_id={draw(st.sampled_from(OWN))}{'&' * bool(query)}{query}"
    told = draw(headers)
    if content_type is not None:
        told["Content-Type"] = content_type
    return method, f"/fhir/{path}{'?' * bool(query)}{query}", told, body


def _json(tree: Any) -> bytes:
    return json.dumps(tree).encode()


def _xml(body: bytes) -> bytes:
    """In XML where it can be written so, and else as it is."""
    try:
        return CODEC.to_xml(body)
    except FhirError:
        return body


@pytest.fixture(scope="module")
def fuzzed(served: Served) -> Iterator[Served]:
    """The server; what was stored is deleted afterwards."""
    made.clear()
    yield served
    client = served.as_("conformance")
    for location in made | {f"{type}/{id}" for type in TYPES for id in OWN}:
        client.delete(location)


made: set[str] = set()
"""Where something was created."""


@pytest.mark.parametrize("actor", ACTORS)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(request=requests())
def test_whatever_is_asked(fuzzed: Served, actor: str, request: tuple[str, str, dict[str, str], bytes]) -> None:
    method, target, told, body = request
    answer = ask(fuzzed, method, target, {**told, "Authorization": f"Bearer {fuzzed_token(fuzzed, actor)}"}, body)
    event(str(answer.status))
    note(f"{answer.status} {answer.content[:500]!r}")
    if location := answer.headers.get("location"):
        made.add(location.partition("/_history/")[0])
    assert answer.status < 500
    hygienic(answer)
    if method == "HEAD" or answer.status in (204, 304):
        assert answer.content == b""
    elif answer.status >= 400:
        refused(answer, answer.status)
    else:
        assert answer.status in (200, 201)
        if answer.headers.get("content-type", "").startswith("application/fhir+"):
            assert content(answer)["resourceType"]


TOKENS: dict[tuple[str, str], str] = {}


def fuzzed_token(served: Served, actor: str) -> str:
    """One token an actor: to make one takes longer than to answer."""
    key = (served.base, actor)
    if key not in TOKENS:
        TOKENS[key] = served.token(actor)
    return TOKENS[key]


def ask(served: Served, method: str, target: str, headers: dict[str, str], body: bytes) -> Answered:
    """As written: a client library would mend the path."""
    where = urlsplit(served.base)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)
    try:
        connection.request(method, target, body or None, headers)
        answer = connection.getresponse()
        return Answered(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()
