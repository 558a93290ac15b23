"""A Binary is sent and read as what it is: negotiation, headers, parts of it, and what is refused.

https://hl7.org/fhir/R4/binary.html#rest · https://www.rfc-editor.org/rfc/rfc9110#section-14
"""

from __future__ import annotations

import json
import os
from base64 import b64decode
from typing import Any, Final

import httpx
import pytest

from tests.answers import HYGIENE, hygienic, refused
from tests.build import authorisation
from tests.conformance.own_record import NUMBERS, OwnRecord, document, own_record
from tests.served import FHIR_JSON, Served

AS_FHIR: Final = {"Accept": "application/fhir+json"}
TEN: Final = b"0123456789"


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture(scope="module")
def record(served: Served) -> OwnRecord:
    return own_record(served)


def sent(client: httpx.Client, data: bytes, content_type: str = "text/plain", **headers: str) -> httpx.Response:
    """The answer to a content that is posted as what it is."""
    told = {"Content-Type": content_type} | {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("Binary", content=data, headers=told)


def path_of(answer: httpx.Response) -> str:
    assert answer.status_code == 201, answer.text
    return f"Binary/{answer.headers['location'].split('/')[-3]}"


@pytest.fixture(scope="module")
def ten(client: httpx.Client) -> str:
    """The path of ten bytes of text."""
    return path_of(sent(client, TEN))


# Sent as what it is


@pytest.mark.parametrize("content_type", ["application/pdf", "text/xml", "application/xml", "image/jpeg", "X-y/Z.a+b"])
@pytest.mark.parametrize("size", [1, 70_000])
def test_what_is_sent_is_what_is_read(client: httpx.Client, content_type: str, size: int) -> None:
    data = os.urandom(size)
    made = sent(client, data, content_type)
    assert made.headers["etag"] == 'W/"1"'
    assert made.headers["content-type"].startswith("application/fhir+json")
    path = path_of(made)
    told = client.get(path, headers=AS_FHIR).json()
    assert told == made.json()
    assert (told["resourceType"], told["contentType"]) == ("Binary", content_type.lower())
    assert b64decode(told.get("data", "")) == data
    native = client.get(path)
    assert (native.status_code, native.content) == (200, data)
    assert native.headers["content-type"] == content_type.lower()


def test_it_comes_in_parts_of_no_told_length(client: httpx.Client) -> None:
    parts = [os.urandom(100_000) for _ in range(7)]
    made = client.post("Binary", content=iter(parts), headers={"Content-Type": "application/zip"})
    assert client.get(path_of(made)).content == b"".join(parts)


@pytest.mark.parametrize(
    ("content_type", "stored"),
    [
        ("text/plain; charset=UTF-8", "text/plain;charset=UTF-8"),
        ("TEXT/HTML;Charset=utf-8", "text/html;charset=utf-8"),
        ('multipart/mixed; boundary="a b"', 'multipart/mixed;boundary="a b"'),
        ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded"),
    ],
)
def test_the_type_keeps_its_parameters(client: httpx.Client, content_type: str, stored: str) -> None:
    path = path_of(sent(client, b"x", content_type))
    assert client.get(path, headers=AS_FHIR).json()["contentType"] == stored
    assert client.get(path).headers["content-type"] == stored


@pytest.mark.parametrize(
    "content_type", ["text", "text/", "/plain", "a/b/c", "text/plain;x", "te xt/plain", "*/*", "é/x"]
)
def test_a_type_that_is_none(client: httpx.Client, content_type: str) -> None:
    answer = client.post("Binary", content=b"x", headers={b"Content-Type": content_type.encode("latin-1")})
    refused(answer, 415, "not-supported", "is no media type")


def test_what_it_is_must_be_said(client: httpx.Client) -> None:
    refused(client.post("Binary", content=b"x"), 415, "not-supported")


def test_preferences_are_those_of_every_write(client: httpx.Client) -> None:
    minimal = sent(client, b"x", Prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (201, b"")
    outcome = sent(client, b"x", Prefer="return=OperationOutcome")
    assert outcome.json()["resourceType"] == "OperationOutcome"
    assert path_of(outcome)


def test_a_document_in_xml_is_a_content(client: httpx.Client) -> None:
    """As it was sent; a Binary in XML is a Binary."""
    bundle = b'<Bundle xmlns="http://hl7.org/fhir">  <type value="document"/></Bundle>'
    path = path_of(sent(client, bundle, "application/fhir+xml"))
    answer = client.get(path)
    assert (answer.content, answer.headers["content-type"]) == (bundle, "application/fhir+xml")
    assert client.get(path, headers=AS_FHIR).json()["contentType"] == "application/fhir+xml"
    binary = b'<Binary xmlns="http://hl7.org/fhir"><contentType value="text/plain"/><data value="Qm9u"/></Binary>'
    assert client.get(path_of(sent(client, binary, "application/fhir+xml"))).content == b"Bon"
    refused(sent(client, b"<Bundle", "application/fhir+xml", Accept="application/fhir+json"), 400, "structure")


def test_a_document_in_fhir_is_a_content(client: httpx.Client) -> None:
    """Whatever is no Binary is the content of one, also under FHIR's own media type."""
    bundle = {"resourceType": "Bundle", "type": "document"}
    for content_type in ("application/fhir+json", "application/json"):
        raw = json.dumps(bundle).encode()
        path = path_of(sent(client, raw, content_type))
        assert client.get(path).content == raw
        assert client.get(path).headers["content-type"] == content_type
        told = client.get(path, headers=AS_FHIR).json()
        assert (told["resourceType"], told["contentType"]) == ("Binary", content_type)
    listed = path_of(sent(client, b"[1, 2]", "application/json"))
    assert client.get(listed).content == b"[1, 2]"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"resourceType": "Bin', "application/fhir+json"),
        (b'{"resourceType": "Bin', "application/json"),
        (b'{"contentType": "text/plain"}', "application/fhir+json"),
        (b'{"resourceType": "Binarie", "contentType": "text/plain"}', "application/json"),
        (b'{"resourceType": "Binary"}', "application/json"),
        (b"", "application/fhir+json"),
    ],
)
def test_a_binary_that_went_wrong_is_no_content(client: httpx.Client, body: bytes, content_type: str) -> None:
    refused(sent(client, body, content_type), 400)


def test_a_new_version_is_sent_as_what_it_is(client: httpx.Client) -> None:
    path = path_of(sent(client, b"first"))
    for wrong in ({"If-Match": 'W/"9"'}, {"If-None-Match": "*"}):
        answer = client.put(path, content=b"second", headers={"Content-Type": "text/plain", **wrong})
        refused(answer, 412, "conflict")
    headers = {"Content-Type": "application/pdf", "If-Match": '"1"'}
    made = client.put(path, content=b"second", headers=headers)
    assert (made.status_code, made.headers["etag"]) == (200, 'W/"2"')
    now, before = client.get(path), client.get(f"{path}/_history/1")
    assert (now.content, now.headers["content-type"], now.headers["etag"]) == (b"second", "application/pdf", '"2"')
    assert (before.content, before.headers["content-type"], before.headers["etag"]) == (b"first", "text/plain", '"1"')


def test_a_client_that_chooses_ids_creates_by_put(client: httpx.Client) -> None:
    path = f"Binary/own-{os.urandom(6).hex()}"
    made = client.put(path, content=b"x", headers={"Content-Type": "text/plain"})
    assert (made.status_code, client.get(path).content) == (201, b"x")
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 410
    back = client.put(path, content=b"y", headers={"Content-Type": "text/plain"})
    assert (back.status_code, client.get(path).content) == (201, b"y")


def test_an_unknown_id_is_the_same_404_however_much_is_sent(record: OwnRecord) -> None:
    publisher = record.as_("hopital")
    for size in (1, 3_000_000):
        answer = publisher.put("Binary/absent", content=os.urandom(size), headers={"Content-Type": "text/plain"})
        refused(answer, 404, "not-found")


def test_who_may_deposit_nothing_is_told_before_he_sends(served: Served) -> None:
    with served.client(served.token("medecin-traitant", extra={"scope": "user/*.rs"})) as reader:
        refused(sent(reader, os.urandom(5_000_000)), 403, "forbidden")


def test_a_condition_to_create(client: httpx.Client, ten: str) -> None:
    id = ten.partition("/")[2]
    met = sent(client, b"other", If_None_Exist=f"_id={id}")
    assert (met.status_code, met.headers["content-location"].split("/")[-3]) == (200, id)
    assert sent(client, b"other", If_None_Exist="_id=absent").status_code == 201


def test_on_a_condition_a_resource_is_sent(client: httpx.Client) -> None:
    answer = client.put("Binary?_id=absent", content=b"x", headers={"Content-Type": "text/plain"})
    refused(answer, 415, "not-supported")


# Whose it is


def test_the_owner_is_named_in_a_header(record: OwnRecord) -> None:
    record.chosen(authorisation(NUMBERS["specialiste"], patient=record.id).resource)
    publisher = record.as_("hopital")
    shown, masked = (f"DocumentReference/{record.deposit(*labels)}" for labels in ((), ("MASQUE_PS",)))
    for owner, status in ((shown, 200), (masked, 404), (f"{record.served.base}/{shown}", 200)):
        made = sent(publisher, TEN, X_Security_Context=owner)
        assert made.json()["securityContext"] == {"reference": owner}
        answer = record.as_("specialiste").get(path_of(made))
        assert answer.status_code == status
        if status == 200:
            assert answer.headers["x-security-context"] == shown
            assert answer.content == TEN


def test_an_owner_that_is_not_known(record: OwnRecord) -> None:
    publisher = record.as_("hopital")
    told = [
        refused(sent(publisher, TEN, X_Security_Context=f"{type}/absent"), 422, "not-found", "is not known")
        for type in ("DocumentReference", "Patient", "Observation")
    ]
    assert {one["expression"][0] for one in told} == {"Binary.securityContext"}


def test_a_resource_says_itself_whose_it_is(client: httpx.Client, record: OwnRecord) -> None:
    body = {"resourceType": "Binary", "contentType": "text/plain", "data": "Qm9u"}
    headers = {**FHIR_JSON, "X-Security-Context": f"Patient/{record.id}"}
    refused(client.post("Binary", json=body, headers=headers), 400, "invalid", "securityContext")


def test_a_document_becomes_the_owner_of_what_was_sent(record: OwnRecord) -> None:
    path = path_of(sent(record.as_("hopital"), TEN))
    assert record.as_("patient").get(path).status_code == 404
    content = [{"attachment": {"contentType": "text/plain", "url": path}}]
    made = record.as_("hopital").post("DocumentReference", json=document(record.id, content=content), headers=FHIR_JSON)
    answer = record.as_("patient").get(path)
    assert answer.headers["x-security-context"] == f"DocumentReference/{made.json()['id']}"


# Read as what it is


@pytest.mark.parametrize(
    ("accept", "native"),
    [
        (None, True),
        ("", True),
        ("*/*", True),
        ("text/plain", True),
        ("TEXT/PLAIN", True),
        ("text/*", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/plain;q=0.9, application/fhir+json;q=0.1", True),
        ("application/fhir+json;q=0.5, */*", True),
        ("application/fhir+json;q=0, */*;q=0.1", True),
        ("application/pdf", True),  # a type that it is not: the answer says what it is
        ("application/fhir+json; fhirVersion=3.0, text/plain", True),
        ("application/json, text/plain;q=0.2", True),  # JSON and XML mean FHIR to who asks for nothing else
        ("application/json, text/plain, */*", True),
        ("application/xml, image/png", True),
        ("application/fhir+json", False),
        ("application/json", False),
        ("text/json", False),
        ("application/json, application/fhir+json;q=0.5", False),
        ("application/fhir+json, */*", False),
        ("application/fhir+json, text/plain", False),
        ("text/plain;q=0.1, application/fhir+json;q=0.9", False),
        ("text/plain;q=0, application/fhir+json", False),
        ("application/fhir+json;fhirVersion=4.0, text/*;q=0.9", False),
    ],
)
def test_who_does_not_name_fhir_gets_the_content(
    client: httpx.Client, ten: str, accept: str | None, native: bool
) -> None:
    for path in (ten, f"{ten}/_history/1"):
        request = client.build_request("GET", path)
        del request.headers["Accept"]
        if accept is not None:
            request.headers["Accept"] = accept
        answer = client.send(request)
        assert answer.status_code == 200, answer.text
        assert (answer.content == TEN) is native
        hygienic(answer)


@pytest.mark.parametrize(
    "accept", ["application/fhir+xml;fhirVersion=5.0", "application/fhir+json;fhirVersion=3.0", "garbage", ";;,"]
)
def test_fhir_that_is_not_spoken(client: httpx.Client, ten: str, accept: str) -> None:
    refused(client.get(ten, headers={"Accept": accept}), 406, "not-supported")


def test_neither_form_is_wanted(client: httpx.Client, ten: str) -> None:
    refused(client.get(ten, headers={"Accept": "text/plain;q=0"}), 406, "not-supported", "This Binary is text/plain")
    refused(client.get("Binary/absent", headers={"Accept": "text/plain;q=0"}), 404, "not-found")


def test_format_means_fhir(client: httpx.Client, ten: str) -> None:
    answer = client.get(ten, params={"_format": "json"}, headers={"Accept": "text/plain"})
    assert answer.json()["resourceType"] == "Binary"


def test_json_is_itself_to_who_accepts_json(client: httpx.Client) -> None:
    path = path_of(sent(client, b'{"a": 1.10}', "application/json"))
    assert client.get(path, headers={"Accept": "application/json"}).content == b'{"a": 1.10}'
    assert client.get(path, headers=AS_FHIR).json()["resourceType"] == "Binary"


@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "application/javascript", "application/pdf"])
def test_no_content_is_a_page_of_ours(client: httpx.Client, content_type: str) -> None:
    path = path_of(sent(client, b"<script>alert(1)</script>", content_type))
    id = path.partition("/")[2]
    answer = client.get(path, headers={"Accept": "text/html,*/*"})
    assert answer.headers["content-type"] == content_type
    assert answer.headers["content-disposition"].startswith(f'attachment; filename="{id}')
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("told", ["text/html\x85x", "é/ü", "nothing", "text/plain;é=1", "a/b;c"])
def test_a_type_that_is_none_is_not_put_into_a_header(client: httpx.Client, told: str) -> None:
    """What a resource says of its content is a code, and may be any word."""
    body = {"resourceType": "Binary", "contentType": told, "data": "Qm9u"}
    made = client.post("Binary", json=body, headers=FHIR_JSON)
    if made.status_code != 201:
        refused(made, 400)
        return
    answer = client.get(f"Binary/{made.json()['id']}")
    assert (answer.status_code, answer.content) == (200, b"Bon")
    assert answer.headers["content-type"] == "application/octet-stream"


def test_head_tells_what_get_would(client: httpx.Client, ten: str) -> None:
    get, head = client.get(ten), client.head(ten)
    assert (head.status_code, head.content) == (200, b"")
    left_out = {"date", "x-request-id"}
    assert {(n, v) for n, v in head.headers.items() if n not in left_out} == {
        (n, v) for n, v in get.headers.items() if n not in left_out
    }
    assert head.headers["content-length"] == "10"
    assert client.head(ten, headers={"Range": "bytes=0-1"}).status_code == 200, "of HEAD there are no parts"


@pytest.mark.parametrize("known", ['"1"', 'W/"1"', "*"])
def test_what_the_client_holds_is_not_sent_again(client: httpx.Client, ten: str, known: str) -> None:
    for part in ({}, {"Range": "bytes=2-3"}, {"Range": "bytes=99-"}):
        answer = client.get(ten, headers={"If-None-Match": known, **part})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')
        hygienic(answer)


# Parts of it


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", "0"),
        ("bytes=2-4", "234"),
        ("Bytes=2-4", "234"),
        ("bytes=5-", "56789"),
        ("bytes=0-", "0123456789"),
        ("bytes=-3", "789"),
        ("bytes=-99", "0123456789"),
        ("bytes=8-99", "89"),
        ("bytes=9-" + "9" * 3000, "9"),
    ],
)
def test_a_part(client: httpx.Client, ten: str, asked: str, part: str) -> None:
    answer = client.get(ten, headers={"Range": asked})
    assert (answer.status_code, answer.text) == (206, part)
    start = TEN.decode().index(part)
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(part) - 1}/10"
    assert answer.headers["content-length"] == str(len(part))
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["etag"] == '"1"'
    hygienic(answer)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=" + "9" * 3000 + "-"])
def test_a_part_that_is_not_there(client: httpx.Client, ten: str, asked: str) -> None:
    answer = client.get(ten, headers={"Range": asked})
    refused(answer, 416, "processing", "has 10 bytes")
    assert answer.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "items=0-1", "bytes=4-2", "bytes=-", "bytes=a-b", "bytes", "", "bytes=0-1 ,", "bytes=٣-"]
)
def test_what_is_no_single_part_is_answered_whole(client: httpx.Client, ten: str, asked: str) -> None:
    answer = client.get(ten, headers={b"Range": asked.encode()})
    assert (answer.status_code, answer.content) == (200, TEN)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize(
    ("condition", "status"), [('"1"', 206), ('"2"', 200), ('W/"1"', 200), ("garbage", 200), ("", 200), ("(date)", 200)]
)
def test_a_part_of_this_version_only(client: httpx.Client, ten: str, condition: str, status: int) -> None:
    """RFC 9110: compared strongly; a date is not exact enough for versions that come within a second."""
    told = client.get(ten).headers["last-modified"] if condition == "(date)" else condition
    assert client.get(ten, headers={"Range": "bytes=0-1", "If-Range": told}).status_code == status


def test_of_nothing_there_is_no_part(client: httpx.Client) -> None:
    path = path_of(sent(client, b""))
    named = {"Accept": "text/plain"}
    for asked in ("bytes=0-", "bytes=-1"):
        refused(client.get(path, headers={"Range": asked, **named}), 416)
    empty = client.get(path, headers=named)
    assert (empty.status_code, empty.content, empty.headers["content-length"]) == (200, b"", "0")


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/fhir+json"])
def test_where_there_is_no_content_the_resource_says_so(client: httpx.Client, accept: str) -> None:
    made = client.post("Binary", json={"resourceType": "Binary", "contentType": "text/plain"}, headers=FHIR_JSON)
    for path in (path_of(made), path_of(sent(client, b""))):
        told = client.get(path, headers={"Accept": accept}).json()
        assert (told["contentType"], "data" in told) == ("text/plain", False)


def test_a_resource_has_no_parts(client: httpx.Client, ten: str) -> None:
    for path, accept in ((ten, AS_FHIR), ("Patient/demo-1", {})):
        answer = client.get(path, headers={"Range": "bytes=0-1", **accept})
        assert answer.status_code == 200
        assert "accept-ranges" not in answer.headers
        assert answer.json()["resourceType"]


@pytest.mark.parametrize("name", ["Range", "If-Range", "X-Security-Context"])
def test_a_header_of_contents_sent_twice(client: httpx.Client, ten: str, name: str) -> None:
    request = client.build_request("GET", ten)
    request.headers = httpx.Headers([*request.headers.raw, (name.encode(), b"a"), (name.encode(), b"b")])
    refused(client.send(request), 400, "structure", name.lower())


# In Bundles, and in the trail


def test_within_a_bundle_it_is_fhir(client: httpx.Client, ten: str) -> None:
    entry = {"request": {"method": "GET", "url": ten}}
    for type in ("batch", "transaction"):
        answer = client.post("", json={"resourceType": "Bundle", "type": type, "entry": [entry]}, headers=FHIR_JSON)
        assert answer.json()["entry"][0]["resource"]["data"] == "MDEyMzQ1Njc4OQ=="


def test_the_holder_finds_who_read_a_part_of_it(record: OwnRecord) -> None:
    path = path_of(sent(record.as_("hopital"), TEN, X_Security_Context=f"DocumentReference/{record.deposit()}"))
    record.chosen(authorisation(NUMBERS["specialiste"], patient=record.id).resource)
    reader = record.as_("specialiste")
    assert reader.get(path, headers={"Range": "bytes=0-1"}).status_code == 206
    refused(reader.get(path, headers={"Range": "bytes=99-"}), 416)
    found = record.as_("patient").get(f"AuditEvent?patient={record.id}&entity={path}&_sort=-date").json()["entry"]
    told: list[dict[str, Any]] = [one["resource"] for one in found]
    assert [(one["subtype"][0]["code"], one["outcome"]) for one in told] == [
        ("read", "4"),
        ("read", "0"),
        ("create", "0"),
    ]


def test_every_answer_carries_the_same_headers(client: httpx.Client, ten: str) -> None:
    for answer in (client.get(ten), client.get(ten, headers={"Range": "bytes=0-1"}), client.head(ten)):
        assert HYGIENE.items() <= dict(answer.headers).items()
