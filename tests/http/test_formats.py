"""JSON and XML over HTTP: which one is answered, that both say the same, and errors in the one asked for.

https://hl7.org/fhir/R4/http.html#mime-type · https://hl7.org/fhir/R4/xml.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from lxml import etree

from fhir_server.identity.systems import G15
from tests.answers import hygienic, refused
from tests.conformance.own_record import own_record
from tests.in_xml import AS_XML, BOTH, FHIR_XML, XHTML, XMLNS, in_json, refused_in_xml, root, told, xml
from tests.minimal import minimal, types
from tests.properties.any_resource import any_resource
from tests.properties.any_resource import told as values
from tests.served import FHIR_JSON, Served

FOLDER: Final = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES: Final = sorted([*FOLDER.glob("*.json"), *(FOLDER / "published").glob("*.json")])
EVERY_TYPE: Final = [type for type in types() if type != "AuditEvent"]
SYSTEM: Final = "https://example.org/fhir/formats"


@pytest.fixture(scope="module")
def client(served: Served) -> httpx.Client:
    return served.as_("conformance")


@pytest.fixture(scope="module")
def basic(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """A resource that was stored as JSON."""
    sent = minimal("Basic", identifier=[{"system": SYSTEM, "value": "read"}], code={"text": "é & <b> \n"})
    created = client.post("Basic", json=sent, headers=FHIR_JSON)
    assert created.status_code == 201, created.text
    yield created.json()
    client.delete(f"Basic/{created.json()['id']}")


def bare(resource: dict[str, Any]) -> dict[str, Any]:
    """What a client wrote of a resource."""
    meta = {name: one for name, one in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    return {
        **{name: one for name, one in resource.items() if name not in ("id", "meta")},
        **({"meta": meta} if meta else {}),
    }


# Both say the same


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_goes_in_as_xml_and_comes_out_as_both(client: httpx.Client, path: Path) -> None:
    sent = json.loads(path.read_bytes())
    # under its own id: what declares PDSm and is not quite right can only be put, not published
    created = client.put(f"{sent['resourceType']}/{sent['id']}", content=xml(path.read_bytes()), headers=BOTH)
    assert created.status_code == 201, created.text
    where = created.headers["location"].partition("/_history/")[0]
    in_xml, plain = client.get(where, headers=AS_XML), client.get(where)
    assert in_xml.content == created.content
    assert bare(plain.json()) == bare(sent)
    assert values(in_json(in_xml)) == values(plain.content)
    assert values(in_json(client.get(where, params={"_format": "xml", "_pretty": "true"}))) == values(plain.content)
    client.delete(where)


@pytest.mark.parametrize("type", EVERY_TYPE)
def test_every_type_goes_in_as_xml_and_comes_out_as_both(client: httpx.Client, type: str) -> None:
    for sent in (minimal(type), *_some(type)):
        created = client.post(type, content=xml(sent), headers=FHIR_XML | {"Accept": "application/fhir+json"})
        if created.status_code in (400, 422) and sent != minimal(type):  # random ones may break an invariant
            assert client.post(type, json=sent, headers=FHIR_JSON).status_code == created.status_code
            continue
        assert created.status_code == 201, created.text
        assert bare(created.json()) == bare(sent)
        where = f"{type}/{created.json()['id']}"
        assert values(in_json(client.get(where, headers=AS_XML))) == values(created.content)
        changed = client.put(where, content=xml({**created.json(), "language": "fr"}), headers=BOTH)
        assert changed.status_code == 200, changed.text
        assert root(changed).find("{*}language").get("value") == "fr"
        assert told(client.get(f"{where}/_history/1", headers=AS_XML)) == created.json()
        for list_ in (f"{type}?_id={created.json()['id']}", f"{where}/_history"):
            page = told(client.get(list_, headers=AS_XML))
            plain = client.get(list_).json()
            assert page == plain
        if type != "Consent":
            assert client.delete(where, headers=AS_XML).status_code == 204
            refused_in_xml(client.get(where, headers=AS_XML), 410, "deleted")


def _some(type: str) -> Iterator[dict[str, Any]]:
    for seed in range(2):
        resource = json.loads(any_resource(Random(f"{type} formats {seed}"), type))  # noqa: S311 - no secret
        resource.pop("id", None)
        if not any("e" in number or "E" in number or "." in number for number in _numbers(resource)):
            yield resource


def _numbers(value: Any) -> Iterator[str]:
    """Numbers whose form Python would not keep."""
    if isinstance(value, float):
        yield repr(value)
    elif isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _numbers(one)


ODD: Final = f"""<?xml version="1.0" encoding="UTF-8"?><!-- hand-written -->
<f:Observation xmlns:f="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="http://hl7.org/fhir fhir-single.xsd">
  <f:language value="fr"/>
  <f:text id="t1"><f:status value="generated"/><div {XHTML} xml:lang="fr"><p id="p1">Né &#233; &amp; <b>gras</b></p>
  <h:br xmlns:h="http://www.w3.org/1999/xhtml"/></div></f:text>
  <f:contained><f:Patient><f:id value="p"/><f:name>
    <f:given value="Marie"/><f:given><f:extension url="u"><f:valueString value="?"/></f:extension></f:given>
    <f:given id="g" value="Lou"/></f:name></f:Patient></f:contained>
  <f:extension url="https://example.org/small" id="x"><f:valueDecimal value="1E-7"/></f:extension>
  <f:extension url="https://example.org/large"><f:valueDecimal value="12345678901234567890.10"/></f:extension>
  <f:status id="s" value="final"/>
  <f:code><f:text value="a&#10;b&#9;&quot;&apos;&lt;"/></f:code>
  <f:subject><f:reference value="#p"/></f:subject>
  <f:effectiveDateTime><f:extension url="http://hl7.org/fhir/StructureDefinition/data-absent-reason"
    ><f:valueCode value="unknown"/></f:extension></f:effectiveDateTime>
  <f:valueQuantity id="q"><f:value value="1.10"/><f:unit value="mg"/></f:valueQuantity>
</f:Observation>"""


def test_all_that_xml_may_hold_is_kept(client: httpx.Client) -> None:
    """Prefixes, ids, what stands in place of a value, contained resources, a narrative as written, decimals."""
    created = client.post("Observation", content=ODD.encode(), headers=FHIR_XML | {"Accept": "application/json"})
    assert created.status_code == 201, created.text
    text, told_ = created.text, created.json()
    assert '"value":1.10,' in text
    assert '"valueDecimal":1E-7' in text
    assert '"valueDecimal":12345678901234567890.10' in text
    assert told_["contained"][0]["name"][0] == {
        "given": ["Marie", None, "Lou"],
        "_given": [None, {"extension": [{"url": "u", "valueString": "?"}]}, {"id": "g"}],
    }
    assert (told_["status"], told_["_status"], told_["text"]["id"]) == ("final", {"id": "s"}, "t1")
    assert told_["code"]["text"] == "a\nb\t\"'<"
    assert told_["text"]["div"].startswith(f'<div {XHTML} xml:lang="fr"><p id="p1">Né &#233; &amp; <b>gras</b></p>')
    assert "effectiveDateTime" not in told_
    assert list(told_["_effectiveDateTime"]) == ["extension"]
    answer = client.get(f"Observation/{told_['id']}", headers=AS_XML)
    assert values(in_json(answer)) == values(created.content)
    found = root(answer)
    assert found.find("{*}valueQuantity/{*}value").get("value") == "1.10"
    assert (
        found.find("{*}text/{http://www.w3.org/1999/xhtml}div").get("{http://www.w3.org/XML/1998/namespace}lang")
        == "fr"
    )
    client.delete(f"Observation/{told_['id']}")


# Which one


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"Accept": "application/fhir+xml"}, ""),
        ({"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, ""),
        ({"Accept": "application/fhir+json;q=0.2, text/xml;q=0.3"}, ""),
        ({"Accept": "application/fhir+json"}, "_format=xml"),
        ({"Accept": "text/html"}, "_format=application/fhir%2Bxml"),
        ({"Accept": ""}, "_format=application/fhir+xml"),
        ({"Accept": "application/fhir+json;q=0, */*"}, ""),
        ({"Accept": "application/fhir+xml; fhirVersion=4.0"}, ""),
        ({"Accept": "", "Content-Type": "application/fhir+xml"}, ""),
    ],
)
def test_xml_is_given_to_whoever_prefers_it(
    client: httpx.Client, basic: dict[str, Any], headers: dict[str, str], query: str
) -> None:
    where = f"Basic/{basic['id']}"
    for path, type in (
        (where, "Basic"),
        (f"{where}/_history/1", "Basic"),
        (f"{where}/_history", "Bundle"),
        (f"Basic?_id={basic['id']}", "Bundle"),
        (f"?_type=Basic&_id={basic['id']}", "Bundle"),
        ("metadata", "CapabilityStatement"),
    ):
        url = f"{path}{'&' if '?' in path else '?'}{query}" if query else path
        answer = client.get(url, headers=headers)
        assert answer.status_code == 200, answer.text
        assert root(answer).tag == f"{{http://hl7.org/fhir}}{type}"
        head = client.head(url, headers=headers)
        assert head.headers["content-type"] == answer.headers["content-type"]
        if type == "Basic":  # the others have a page token or a moment in them
            assert head.headers["content-length"] == str(len(answer.content))
    refused_in_xml(client.get(f"Basic/absent?{query}", headers=headers), 404, "not-found")


def test_both_have_the_headers_of_the_version(client: httpx.Client, basic: dict[str, Any]) -> None:
    where = f"Basic/{basic['id']}"
    one, other = client.get(where), client.get(where, headers=AS_XML)
    for name in ("etag", "last-modified", "vary", "cache-control"):
        assert one.headers[name] == other.headers[name]
    assert "Accept" in other.headers["vary"]
    for condition in ({"If-None-Match": one.headers["etag"]}, {"If-Modified-Since": one.headers["last-modified"]}):
        unchanged = client.get(where, headers=AS_XML | condition)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert "content-type" not in unchanged.headers


def test_pretty_is_for_people(client: httpx.Client, basic: dict[str, Any]) -> None:
    where = f"Basic/{basic['id']}"
    pretty = client.get(where, params={"_pretty": "true"}, headers=AS_XML)
    assert "\n  <identifier>\n    <system value=" in pretty.text
    assert told(pretty) == basic
    assert "\n" not in client.get(where, headers=AS_XML).text.replace("\n<Basic", "<Basic")
    lost = client.get("Basic/absent", params={"_pretty": "true"}, headers=AS_XML)
    assert "\n  <issue>\n" in lost.text
    refused_in_xml(client.get(where, params={"_pretty": "yes"}, headers=AS_XML), 400, "invalid", "_pretty")


def test_a_form_tells_its_format(client: httpx.Client, basic: dict[str, Any]) -> None:
    form = {"_id": basic["id"], "_format": "xml"}
    assert told(client.post("Basic/_search", data=form))["total"] == 1
    assert told(client.post("Basic/_search", data={**form, "_pretty": "true"}))["total"] == 1
    assert client.post("Basic/_search", data={**form, "_format": "json"}, headers=AS_XML).json()["total"] == 1
    refused(client.post("Basic/_search", data={**form, "_format": "ttl"}, headers=AS_XML), 406, "not-supported")
    refused_in_xml(client.post("Basic/_search", data={**form, "_pretty": "x"}, headers=AS_XML), 400, "invalid")
    refused_in_xml(client.post("Basic/_search", data={**form, "_count": "x"}), 400)


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "text/html"},
        {"Accept": "application/fhir+turtle"},
        {"Accept": "application/fhir+xml; fhirVersion=3.0"},
        {"Accept": "application/fhir+xml; charset=utf-16"},
        {"Accept": "application/fhir+xml;q=0"},
    ],
)
def test_what_is_not_offered_is_refused_in_json(
    client: httpx.Client, basic: dict[str, Any], headers: dict[str, str]
) -> None:
    for path in (f"Basic/{basic['id']}", "Basic", "metadata"):
        answer = client.get(path, headers=headers)
        refused(answer, 406, "not-supported", "application/fhir+xml")
        assert answer.headers["content-type"] == "application/fhir+json;charset=utf-8"
    refused(client.get(f"Basic/{basic['id']}?_format=ttl", headers=AS_XML), 406, "not-supported", "_format=ttl")
    refused(client.post("Basic", content=xml(minimal("Basic")), headers=FHIR_XML | headers), 406, "not-supported")
    refused(client.get("Basic/absent/x", headers=headers), 404)


@pytest.mark.parametrize("accept", [None, "", "*/*", "application/*"])
def test_without_a_preference_the_answer_is_as_the_body(client: httpx.Client, accept: str | None) -> None:
    request = client.build_request("POST", "Basic", content=xml(minimal("Basic")), headers=FHIR_XML)
    if accept is None:
        del request.headers["Accept"]
    else:
        request.headers["Accept"] = accept
    created = client.send(request)
    assert created.status_code == 201
    id = told(created)["id"]
    request = client.build_request("PUT", f"Basic/{id}", content=b"<Basic/>", headers=FHIR_XML)
    request.headers["Accept"] = accept or ""
    refused_in_xml(client.send(request), 400, "structure")
    assert client.delete(f"Basic/{id}").status_code == 204


def test_every_error_is_in_the_representation_asked_for(served: Served, client: httpx.Client) -> None:
    with served.client() as nobody:
        answer = nobody.get("Patient/demo-1", headers=AS_XML)
        refused_in_xml(answer, 401, "login")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        refused_in_xml(nobody.get("Patient/demo-1?_format=xml"), 401, "login")
        refused_in_xml(nobody.get("metadata?_format=xml&_pretty=x"), 400, "invalid")
        plain = nobody.get("Patient/demo-1?_format=json", headers=AS_XML)
        refused(plain, 401, "login")
        assert plain.headers["content-type"] == "application/fhir+json;charset=utf-8"
        twice = [("Authorization", "Bearer a"), ("Authorization", "Bearer b"), ("Accept", "application/fhir+xml")]
        refused_in_xml(nobody.get("Patient/demo-1", headers=twice), 401, "login", "two Authorization")
    refused_in_xml(client.get("Unheard/1", headers=AS_XML), 404, "not-found")
    refused_in_xml(client.get("Basic?unheard=1", headers=AS_XML | {"Prefer": "handling=strict"}), 400)
    refused_in_xml(client.get("Basic?a=%FF", headers=AS_XML), 400)
    refused_in_xml(client.get("Basic/%FF", headers=AS_XML), 400, "structure")
    not_offered = client.delete("AuditEvent/x", headers=AS_XML)
    refused_in_xml(not_offered, 405, "not-supported")
    assert not_offered.headers["allow"]
    refused_in_xml(client.get("../elsewhere", headers=AS_XML), 404, "not-found", "FHIR begins at the base")
    refused_in_xml(client.post("Basic", content=b"x", headers={"Content-Type": "text/plain"} | AS_XML), 415)
    refused_in_xml(client.post("Basic", content=b"a" * (9 << 20), headers=BOTH), 413, "too-long")
    refused_in_xml(client.put("Basic/x", content=b"{", headers=FHIR_JSON | AS_XML), 400, "structure", "JSON")
    refused_in_xml(
        client.put("Basic/x", content=xml(minimal("Basic", id="x")), headers=BOTH | {"If-Match": 'W/"7"'}), 412
    )
    refused_in_xml(served.as_("assurance-maladie").get("Patient/demo-1", headers=AS_XML), 403, "forbidden")
    lost = client.head("Basic/absent", headers=AS_XML)
    assert (lost.status_code, lost.content) == (404, b"")
    hygienic(lost)


def test_what_a_refusal_repeats_can_be_written(client: httpx.Client) -> None:
    """Characters that no XML may hold are not repeated, in JSON neither."""
    for part in ("\x00", "\x08", "\ufffe", "\uffff"):
        for sent in (json.dumps({"resourceType": part}), json.dumps(minimal("Basic", **{f"un{part}heard": "a"}))):
            answer = client.post("Basic", content=sent, headers=FHIR_JSON | AS_XML)
            refused_in_xml(answer, 400)
            plain = client.post("Basic", content=sent, headers=FHIR_JSON)
            assert part not in json.dumps(refused(plain, 400), ensure_ascii=False)


# Writing


def test_preferences_are_followed(client: httpx.Client) -> None:
    body = xml(minimal("Basic"))
    minimal_ = client.post("Basic", content=body, headers=BOTH | {"Prefer": "return=minimal"})
    assert (minimal_.status_code, minimal_.content) == (201, b"")
    assert "content-type" not in minimal_.headers
    where = minimal_.headers["location"].partition("/_history/")[0]
    outcome = client.put(
        where,
        content=xml(minimal("Basic", id=where.rpartition("/")[2])),
        headers=BOTH | {"Prefer": "return=OperationOutcome"},
    )
    assert told(outcome)["resourceType"] == "OperationOutcome"
    assert told(client.get(where, headers=AS_XML))["meta"]["versionId"] == "2"
    client.delete(where)


def test_conditions_are_met(client: httpx.Client) -> None:
    condition = {"If-None-Exist": f"identifier={SYSTEM}|once"}
    body = xml(minimal("Basic", identifier=[{"system": SYSTEM, "value": "once"}]))
    first = client.post("Basic", content=body, headers=BOTH | condition)
    again = client.post("Basic", content=body, headers=BOTH | condition)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.content == again.content
    changed = client.put(f"Basic?identifier={SYSTEM}|once", content=body, headers=BOTH)
    assert (changed.status_code, told(changed)["meta"]["versionId"]) == (200, "2")
    patch = xml(
        {
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "operation",
                    "part": [
                        {"name": "type", "valueCode": "add"},
                        {"name": "path", "valueString": "Basic"},
                        {"name": "name", "valueString": "language"},
                        {"name": "value", "valueCode": "fr"},
                    ],
                }
            ],
        }
    )
    patched = client.patch(f"Basic?identifier={SYSTEM}|once", content=patch, headers=BOTH)
    assert (patched.status_code, told(patched)["language"]) == (200, "fr")
    where = f"Basic/{told(patched)['id']}"
    refused_in_xml(client.patch(where, content=patch, headers=BOTH), 422, "processing")
    for media in ("application/xml", "text/xml"):
        refused_in_xml(client.patch(where, content=patch, headers={"Content-Type": media} | AS_XML), 415)
    xml_patch = {"Content-Type": "application/xml-patch+xml"}
    said = refused_in_xml(client.patch(where, content=b"<diff/>", headers=xml_patch | AS_XML), 415, "not-supported")
    assert "XML Patch is not offered" in said["diagnostics"]
    json_patch = {"Content-Type": "application/json-patch+json"} | AS_XML
    operations = [{"op": "replace", "path": "/language", "value": "en"}]
    assert told(client.patch(where, json=operations, headers=json_patch))["language"] == "en"
    assert client.delete(f"Basic?identifier={SYSTEM}|once", headers=AS_XML).status_code == 204


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **told_: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"fullUrl": told_.pop("fullUrl")} if "fullUrl" in told_ else {}
    if resource is not None:
        made["resource"] = resource
    return {**made, "request": {"method": method, "url": url, **told_}}


@pytest.mark.parametrize("type", ["batch", "transaction"])
def test_a_bundle_of_requests(client: httpx.Client, type: str) -> None:
    name = "urn:uuid:1c4f4f0a-90b4-4d0b-9d2f-0a1f0d6c0001"
    patient = minimal("Patient", identifier=[{"system": SYSTEM, "value": type}])
    about = name if type == "transaction" else "Patient/none"
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Basic.language"}],
            }
        ],
    }
    stored = client.post("Basic", json=minimal("Basic", language="fr"), headers=FHIR_JSON).json()["id"]
    bundle = {
        "resourceType": "Bundle",
        "type": type,
        "entry": [
            entry("POST", "Patient", patient, fullUrl=name),
            entry("POST", "Basic", minimal("Basic", subject={"reference": about})),
            entry("PATCH", f"Basic/{stored}", parameters),
            entry("GET", f"Basic/{stored}"),
            entry("GET", f"Basic?_id={stored}"),
        ],
    }
    answer = client.post("", content=xml(bundle), headers=BOTH)
    assert answer.status_code == 200, answer.text
    answered = told(answer)
    assert answered["type"] == f"{type}-response"
    made = [one["response"]["status"] for one in answered["entry"]]
    assert made == ["201", "201", "200", "200", "200"]
    assert answered["entry"][4]["resource"]["total"] == 1
    if type == "transaction":
        key = f"Patient/{answered['entry'][0]['resource']['id']}"
        assert answered["entry"][1]["resource"]["subject"]["reference"] == key
    broken = {**bundle, "entry": [entry("POST", "Basic", {"resourceType": "Basic"})]}
    answer = client.post("", content=xml(broken), headers=BOTH)
    if type == "batch":
        assert told(answer)["entry"][0]["response"]["outcome"]["issue"][0]["expression"] == ["Basic.code"]
    else:
        assert refused_in_xml(answer, 400, "required")["expression"] == ["Bundle.entry[0].resource.code"]
    for one in answered["entry"][:3]:
        client.delete(f"{one['resource']['resourceType']}/{one['resource']['id']}")


def test_operations_take_and_answer_xml(served: Served) -> None:
    patient = served.as_("patient")
    plain = patient.get("Patient/demo-1/$access-list")
    assert told(patient.get("Patient/demo-1/$access-list", headers=AS_XML)) == plain.json()
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "resource", "valueUri": "DocumentReference/demo-1-normal-1"},
            {
                "name": "requester",
                "part": [
                    {"name": "kind", "valueCode": "professional"},
                    {"name": "rpps", "valueString": "89900000003"},
                    {"name": "profession", "valueCoding": {"system": G15, "code": "10"}},
                ],
            },
        ],
    }
    asked = patient.post("Patient/demo-1/$explain-access", json=parameters, headers=FHIR_JSON)
    answer = patient.post("Patient/demo-1/$explain-access", content=xml(parameters), headers=BOTH)
    assert (asked.status_code, answer.status_code) == (200, 200), answer.text
    assert [one["name"] for one in told(answer)["parameter"]] == [one["name"] for one in asked.json()["parameter"]]
    everything = patient.post("Patient/demo-1/$everything", content=b"", headers=BOTH)
    assert told(everything)["type"] == "searchset"
    refused_in_xml(
        patient.post("Patient/demo-1/$explain-access", content=xml(minimal("Basic")), headers=BOTH), 400, "invalid"
    )


# Binary


@pytest.mark.parametrize("media", ["text/plain", "text/xml", "application/xml", "application/fhir+xml"])
def test_a_binary_is_xml_of_its_own_or_a_resource_in_xml(client: httpx.Client, media: str) -> None:
    sent = {"resourceType": "Binary", "contentType": media, "data": "PGEvPg=="}
    created = client.post("Binary", content=xml(sent), headers=BOTH)
    assert created.status_code == 201, created.text
    where = f"Binary/{told(created)['id']}"
    assert told(client.get(where, params={"_format": "xml"})) == told(created)
    assert client.get(where, headers={"Accept": FHIR_JSON["Content-Type"]}).json() == told(created)
    for asked in ("text/xml", "application/xml", "application/fhir+xml"):
        answer = client.get(where, headers={"Accept": asked})
        if asked == media and asked != "application/fhir+xml":
            assert (answer.headers["content-type"], answer.content) == (media, b"<a/>")
        else:
            assert told(answer) == told(created)
    summary = client.get(where, params={"_summary": "true"}, headers=AS_XML)
    assert "data" not in told(summary)
    both = client.get(where, headers={"Accept": "application/pdf, text/xml;q=0.1"})
    assert both.content == b"<a/>", "XML means FHIR to who asks for nothing else"
    in_xml = client.get(where, headers={"Accept": "application/fhir+xml;q=0.5, application/pdf;q=0.1"})
    assert told(in_xml) == told(created)
    client.delete(where)


# What is refused


BAD: Final = [
    ("empty", b"", "structure", "The body is empty; a resource in XML was expected."),
    ("blank", b" \n ", "structure", "The body is empty; a resource in XML was expected."),
    ("mark-alone", b"\xef\xbb\xbf", "structure", "empty"),
    ("json", b'{"resourceType":"Basic"}', "structure", "line 1 column 1"),
    ("cut", f"<Basic {XMLNS}><code>".encode(), "structure", "no element found: line 1 column"),
    ("two-roots", f"<Basic {XMLNS}/><Basic {XMLNS}/>".encode(), "structure", "junk after document element"),
    ("doctype", f"<!DOCTYPE Basic><Basic {XMLNS}/>".encode(), "structure", "DOCTYPE"),
    (
        "laughs",
        b'<!DOCTYPE a [<!ENTITY a "' + b"a" * 1000 + b'"><!ENTITY b "' + b"&a;" * 1000 + b'">]><Basic>&b;</Basic>',
        "structure",
        "DOCTYPE",
    ),
    ("file", b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Basic>&x;</Basic>', "structure", "DOCTYPE"),
    ("entity", f'<Basic {XMLNS}><code><text value="&nbsp;"/></code></Basic>'.encode(), "structure", "undefined entity"),
    ("no-namespace", b"<Basic/>", "structure", "is in no namespace"),
    ("namespace", b'<Basic xmlns="urn:hl7-org:v3"/>', "structure", "is in the namespace 'urn:hl7-org:v3'"),
    ("cda", b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>', "structure", "is in the namespace"),
    ("root", f"<Unheard {XMLNS}/>".encode(), "structure", "is not a resource type"),
    ("abstract", f"<Resource {XMLNS}/>".encode(), "structure", "is not a resource type"),
    ("type", xml(minimal("Patient")), "invalid", "the URL speaks of Basic"),
    (
        "order",
        f'<Basic {XMLNS}>\n <code><text value="a"/></code>\n <language value="fr"/></Basic>'.encode(),
        "structure",
        "Line 3 column 2: language must come before code",
    ),
    ("element", f"<Basic {XMLNS}>\n<a/></Basic>".encode(), "structure", "Line 2 column 1: Basic has no element 'a'."),
    ("attribute", f"<Basic {XMLNS} a='b'/>".encode(), "structure", "has no attribute 'a'"),
    ("text", f"<Basic {XMLNS}>a</Basic>".encode(), "structure", "Text may not stand here"),
    ("twice", f"<Basic {XMLNS}><code/><code/></Basic>".encode(), "structure", "may be given once"),
    ("no-value", f"<Basic {XMLNS}><language/></Basic>".encode(), "required", "has no value"),
    ("empty-value", f'<Basic {XMLNS}><language value=""/></Basic>'.encode(), "value", "is empty"),
    ("missing", f"<Basic {XMLNS}/>".encode(), "required", ""),
    ("latin-1", f'<?xml version="1.0" encoding="iso-8859-1"?><Basic {XMLNS}/>'.encode(), "structure", "UTF-8"),
    ("utf-16", f"<Basic {XMLNS}/>".encode("utf-16"), "structure", "UTF-16"),
    ("not-utf-8", f"<Basic {XMLNS}>\xe9</Basic>".encode("latin-1"), "structure", "not valid UTF-8"),
    ("deep", f"<Basic {XMLNS}>".encode() + b"<extension url='u'>" * 100_000, "structure", "nested too deeply"),
    ("many", f"<Basic {XMLNS}>".encode() + b"<a/>" * 450_000, "structure", "more than 400000 elements"),
    (
        "names",
        f"<Basic {XMLNS}>{''.join(f'<n{n}/>' for n in range(50_000))}</Basic>".encode(),
        "structure",
        "no element",
    ),
    ("xml-id", f"<Basic {XMLNS} xml:id='a'><code/></Basic>".encode(), "structure", "has no attribute"),
    (
        "xml-id-within",
        f"<Basic {XMLNS}><text><status value='generated'/><div {XHTML} xml:id='a'/></text><code/></Basic>".encode(),
        "invariant",
        "The attribute 'xml:id' may not be used on div",
    ),
    (
        "long",
        f'<Basic {XMLNS}><code><text value="'.encode() + b"a" * 2_000_000 + b'"/></code></Basic>',
        "value",
        "is too long",
    ),
    (
        "escaped",
        f'<Basic {XMLNS}><code><text value="'.encode() + b"\\" * (5 << 20) + b'"/></code></Basic>',
        "too-long",
        "in JSON",
    ),
    (
        "script",
        f"<Basic {XMLNS}><text><status value='generated'/><div {XHTML}><script/></div></text><code/></Basic>".encode(),
        "invariant",
        "script",
    ),
    (
        "div",
        f"<Basic {XMLNS}><text><status value='generated'/><div>a</div></text></Basic>".encode(),
        "structure",
        "in the namespace http://www.w3.org/1999/xhtml",
    ),
]


@pytest.mark.parametrize(("body", "code", "says"), [one[1:] for one in BAD], ids=[one[0] for one in BAD])
def test_a_body_that_cannot_be(client: httpx.Client, basic: dict[str, Any], body: bytes, code: str, says: str) -> None:
    before = client.get("Basic", params={"_summary": "count"}).json()["total"]
    created = client.post("Basic", content=body, headers=BOTH)
    refused_in_xml(created, 413 if code == "too-long" else 400, code, says)
    changed = client.put(f"Basic/{basic['id']}", content=body, headers=BOTH)
    refused_in_xml(changed, created.status_code)
    assert client.get("Basic", params={"_summary": "count"}).json()["total"] == before
    assert client.get(f"Basic/{basic['id']}").json() == basic


@pytest.mark.parametrize(
    "content_type",
    [
        "application/fhir+xml; charset=utf-16",
        "application/xml; charset=iso-8859-1",
        "text/xml; fhirVersion=3.0",
        "application/xml+unheard",
        "text/html",
    ],
)
def test_a_body_of_another_kind_is_not_taken(client: httpx.Client, basic: dict[str, Any], content_type: str) -> None:
    headers = AS_XML | {"Content-Type": content_type}
    for method, path in (("POST", "Basic"), ("PUT", f"Basic/{basic['id']}"), ("POST", "")):
        answer = client.request(method, path, content=xml(basic), headers=headers)
        refused_in_xml(answer, 415, "not-supported")
    refused_in_xml(client.post("Basic", content=xml(basic), headers=BOTH | {"Content-Encoding": "gzip"}), 415)
    refused_in_xml(client.post("Basic/_search", content=xml(basic), headers=BOTH), 415, "not-supported")


def test_a_body_that_cannot_be_read_is_refused_everywhere(client: httpx.Client, basic: dict[str, Any]) -> None:
    broken = f"<Bundle {XMLNS}>".encode()
    where = f"Basic/{basic['id']}"
    for method, path in (
        ("POST", ""),
        ("POST", "Basic"),
        ("PUT", where),
        ("PUT", f"Basic?identifier={SYSTEM}|none"),
        ("PATCH", where),
        ("POST", "Patient/demo-1/$explain-access"),
    ):
        refused_in_xml(client.request(method, path, content=broken, headers=BOTH), 400, "structure", "line 1 column")
    for element in ("<a/>", "<entry/><type value='batch'/>"):
        told_ = refused_in_xml(client.post("", content=f"<Bundle {XMLNS}>{element}</Bundle>", headers=BOTH), 400)
        assert told_["expression"][0].startswith("Bundle")


def test_what_comes_before_the_body_in_json_does_in_xml(served: Served, client: httpx.Client) -> None:
    """403 and 404 do not wait for a body that can be read."""
    insurer, stranger = served.as_("assurance-maladie"), served.as_("inconnu")
    for content, headers in ((b"<", BOTH), (b"{", FHIR_JSON | AS_XML)):
        refused_in_xml(stranger.post("Consent", content=content, headers=headers), 400)
        refused_in_xml(insurer.put("Consent/x", content=content, headers=headers), 403, "forbidden")
        refused_in_xml(insurer.post("Practitioner", content=content, headers=headers), 403, "forbidden")
        refused_in_xml(client.patch("Basic/absent", content=content, headers=headers), 404, "not-found")
        refused_in_xml(client.post("AuditEvent", content=content, headers=headers), 405, "not-supported")


def test_what_json_can_say_and_xml_cannot(client: httpx.Client) -> None:
    """U+FFFE is no character of XML: whoever reads is sent to JSON, whoever wrote is told that it is done."""
    sent = json.dumps(minimal("Basic", code={"text": "a\ufffe"}, identifier=[{"system": SYSTEM, "value": "fffe"}]))
    created = client.post("Basic", content=sent, headers=FHIR_JSON | AS_XML)
    assert created.status_code == 201
    said = told(created)["issue"][0]
    assert (said["severity"], said["code"]) == ("warning", "not-supported")
    assert "carried out" in said["diagnostics"]
    where = created.headers["location"].partition("/_history/")[0]
    assert client.get(where).json()["code"]["text"] == "a\ufffe"
    for path in (where, f"Basic?identifier={SYSTEM}|fffe", f"{where}/_history"):
        request = {"X-Request-Id": f"formats-406-{uuid4().hex}"}
        answer = client.get(path, headers=AS_XML | request)
        refused(answer, 406, "not-supported", "ask for JSON")
        assert answer.headers["content-type"] == "application/fhir+json;charset=utf-8"
        trace = client.get("AuditEvent", params={"entity:identifier": request["X-Request-Id"]}).json()["entry"]
        assert [one["resource"]["outcome"] for one in trace] == ["4"]
    client.delete(where)


# The trail


def test_what_was_not_delivered_is_not_told_as_delivered(served: Served) -> None:
    record = own_record(served)
    document = record.deposit(description="a\ufffe")
    patient = record.as_("patient")
    for headers, status in (({}, 200), (AS_XML, 406)):
        id = f"formats-delivered-{uuid4().hex}"
        query = f"DocumentReference?patient={record.id}"
        assert patient.get(query, headers={**headers, "X-Request-Id": id}).status_code == status
        (trace,) = patient.get("AuditEvent", params={"patient": record.id, "entity:identifier": id}).json()["entry"]
        assert (document in json.dumps(trace["resource"]["entity"])) is (status == 200)
        assert trace["resource"]["outcome"] == ("0" if status == 200 else "4")


def test_the_trail_tells_the_same(client: httpx.Client) -> None:
    """A request in XML leaves the trace that it leaves in JSON."""
    kept = []
    for form, headers in (("json", FHIR_JSON | {"Accept": "application/fhir+json"}), ("xml", BOTH)):

        def body(resource: dict[str, Any], form: str = form) -> bytes:
            return xml(resource) if form == "xml" else json.dumps(resource).encode()

        steps: list[tuple[str, str, bytes | None]] = [
            ("PUT", "Basic/formats-trail", body(minimal("Basic", id="formats-trail"))),
            ("PUT", "Basic/formats-trail", body(minimal("Basic", id="other"))),
            ("PUT", "Basic/formats-trail", b"<" if form == "xml" else b"{"),
            ("PATCH", "Basic/formats-trail", b"<" if form == "xml" else b"{"),
            ("GET", "Basic/formats-trail", None),
            ("GET", "Basic/formats-none", None),
            ("GET", f"Basic?identifier={SYSTEM}|read", None),
            (
                "POST",
                "",
                body({"resourceType": "Bundle", "type": "batch", "entry": [entry("GET", "Basic/formats-none")]}),
            ),
            ("POST", "", b"<" if form == "xml" else b"{"),
            ("DELETE", "Basic/formats-trail", None),
        ]
        traces = []
        for number, (method, path, content) in enumerate(steps):
            id = f"formats-{form}-{number}"
            client.request(method, path, content=content, headers={**headers, "X-Request-Id": id})
            found = client.get("AuditEvent", params={"entity:identifier": id, "_sort": "_lastUpdated"}).json()
            traces.append([_comparable(one["resource"], id) for one in found.get("entry", [])])
        kept.append(traces)
    assert all(kept[0])
    assert kept[0] == kept[1]


def _comparable(event: dict[str, Any], id: str) -> str:
    told_ = {name: one for name, one in event.items() if name not in ("id", "meta", "recorded")}
    text = json.dumps(told_, sort_keys=True).replace(id, "(request)")
    return "/".join(part if not part[:1].isdigit() else "n" for part in text.split("/"))


def test_the_capability_statement_tells_both(client: httpx.Client) -> None:
    statement = client.get("metadata").json()
    assert {"json", "xml", "application/fhir+json", "application/fhir+xml"} == {*statement["format"]}
    assert {*statement["patchFormat"]} == {
        "application/fhir+json",
        "application/fhir+xml",
        "application/json-patch+json",
    }
    assert told(client.get("metadata", headers=AS_XML)) == statement
    assert etree.fromstring(client.get("metadata?_format=xml&_pretty=true").content) is not None
