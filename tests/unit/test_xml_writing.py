"""JSON to XML: what is stored comes out as the standard writes it; what XML cannot say is refused, not left out."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from lxml import etree

from fhir_server.definitions.load import load
from fhir_server.definitions.xml_codec import XmlCodec
from fhir_server.fhir.errors import Malformed, NotAcceptable
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType, error, operation_outcome

XHTML: Final = 'xmlns="http://www.w3.org/1999/xhtml"'
codec: Final = XmlCodec(load())


def write(resource: dict[str, Any]) -> str:
    """Without the declaration and the outermost element."""
    name = resource["resourceType"]
    written = codec.to_xml(json.dumps(resource).encode()).decode()
    start, end = f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="http://hl7.org/fhir">', f"</{name}>"
    assert written.startswith(start)
    assert written.endswith(end)
    etree.fromstring(written.encode())
    return written[len(start) : -len(end)]


def write_patient(**members: Any) -> str:
    return write({"resourceType": "Patient", **members})


def refused(resource: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    with pytest.raises(NotAcceptable) as caught:
        codec.to_xml(json.dumps(resource).encode())
    assert caught.value.issues[0].code is IssueType.NOT_SUPPORTED
    sentence = caught.value.issues[0].diagnostics
    assert sentence.endswith(". It cannot be written in XML; ask for JSON.")
    return sentence.partition(". It cannot")[0], caught.value.issues[0].expression


# What comes out


def test_a_member_is_an_element_with_a_value() -> None:
    assert write_patient(active=True, birthDate="1957-05-02", deceasedBoolean=False) == (
        '<active value="true"/><birthDate value="1957-05-02"/><deceasedBoolean value="false"/>'
    )


def test_a_resource_of_nothing_but_its_type_is_an_empty_element() -> None:
    assert codec.to_xml(b'{"resourceType":"Patient"}') == (
        b'<?xml version="1.0" encoding="UTF-8"?><Patient xmlns="http://hl7.org/fhir"/>'
    )


def test_elements_have_the_order_of_the_standard_whatever_json_has() -> None:
    assert write_patient(
        birthDate="1957",
        deceasedDateTime="2026",
        _active={"id": "b"},
        name=[{"_given": [{"id": "i"}], "family": "f", "given": ["g"], "id": "n"}],
        active=True,
        id="a",
    ) == (
        '<id value="a"/><active value="true" id="b"/><name id="n"><family value="f"/><given value="g" id="i"/></name>'
        '<birthDate value="1957"/><deceasedDateTime value="2026"/>'
    )


@pytest.mark.parametrize("number", ["1.10", "1.10e2", "1E-7", "-0.0", "0", "3", "12345678901234567890.10"])
def test_a_decimal_keeps_its_form(number: str) -> None:
    body = f'{{"resourceType":"Observation","valueQuantity":{{"value":{number}}}}}'.encode()
    assert f'<value value="{number}"/>'.encode() in codec.to_xml(body)
    assert codec.to_json(codec.to_xml(body)) == body


def test_white_space_and_markup_of_a_value_are_written_so_that_they_stay() -> None:
    text = " a\nb\tc\rd & < > \" ' é 😀 "
    written = write_patient(name=[{"text": text}])
    assert written == ('<name><text value=" a&#10;b&#9;c&#13;d &amp; &lt; &gt; &quot; \' é 😀 "/></name>')
    name = etree.fromstring(f"<x>{written}</x>".encode())[0]
    assert name[0].get("value") == text


def test_what_is_said_about_a_primitive_stands_in_its_element() -> None:
    about = {"id": "i", "extension": [{"url": "u", "valueCode": "c"}]}
    inner = '<extension url="u"><valueCode value="c"/></extension>'
    assert write_patient(gender="male", _gender=about) == f'<gender value="male" id="i">{inner}</gender>'
    assert write_patient(_gender=about) == f'<gender id="i">{inner}</gender>'
    assert write_patient(gender=None, _gender=about) == f'<gender id="i">{inner}</gender>'


def test_arrays_are_repeated_elements_and_null_is_what_is_missing() -> None:
    name = {"given": ["a", None, "c"], "_given": [None, {"extension": [{"url": "u"}]}]}
    assert write_patient(name=[name, {"use": "usual"}]) == (
        '<name><given value="a"/><given><extension url="u"/></given><given value="c"/></name>'
        '<name><use value="usual"/></name>'
    )
    name = {"_given": [{"extension": [{"url": "u"}]}, {"id": "i"}]}
    assert write_patient(name=[name]) == '<name><given><extension url="u"/></given><given id="i"/></name>'


def test_resources_stand_in_resources() -> None:
    patient = {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Basic", "id": "b"}, {"resourceType": "Basic"}],
    }
    entry = {"resource": patient, "response": {"status": "200", "outcome": {"resourceType": "OperationOutcome"}}}
    assert write({"resourceType": "Bundle", "type": "batch-response", "entry": [entry]}) == (
        '<type value="batch-response"/><entry><resource><Patient><contained><Basic><id value="b"/></Basic></contained>'
        "<contained><Basic/></contained></Patient></resource>"
        '<response><status value="200"/><outcome><OperationOutcome/></outcome></response></entry>'
    )


def test_an_element_named_resource_type_is_no_resource_type() -> None:
    instance = {"resourceId": "a", "resourceType": "Patient"}
    assert write({"resourceType": "ExampleScenario", "instance": [instance]}) == (
        '<instance><resourceId value="a"/><resourceType value="Patient"/></instance>'
    )


def test_the_outcome_of_a_request_can_be_written() -> None:
    outcome = operation_outcome([error(IssueType.INVALID, Told("a & b", "a & b"), "Patient.name[0]")])
    assert write(json.loads(json.dumps(outcome))) == (
        '<issue><severity value="error"/><code value="invalid"/><diagnostics value="a &amp; b"/>'
        '<expression value="Patient.name[0]"/></issue>'
    )


@pytest.mark.parametrize(
    ("div", "written"),
    [
        (f"<div {XHTML} title='>'>é &amp; <b>b</b><br/><!-- c --></div>", None),
        ('<h:div xmlns:h="http://www.w3.org/1999/xhtml">a</h:div>', None),
        (f"<div {XHTML}><![CDATA[&nbsp;]]></div>", None),
        (f"\n<?xml-style a?><!-- b --><div {XHTML}>a</div>\n", f"<div {XHTML}>a</div>"),
        (f"<?xml version='1.0' encoding='UTF-8'?><div {XHTML}>a</div>", f"<div {XHTML}>a</div>"),
        (f"<div {XHTML}>a&nbsp;b&eacute;&amp;&lt;&quot;</div>", f"<div {XHTML}>a\u00a0bé&amp;&lt;&quot;</div>"),
    ],
)
def test_a_narrative_is_written_as_it_is(div: str, written: str | None) -> None:
    assert write_patient(text={"status": "generated", "div": div}) == (
        f'<text><status value="generated"/>{written or div}</text>'
    )


def test_pretty_is_the_same_with_lines() -> None:
    body = json.dumps(
        {
            "resourceType": "Patient",
            "text": {"status": "generated", "div": f"<div {XHTML}><p>a</p></div>"},
            "contained": [{"resourceType": "Basic", "id": "b"}],
            "name": [{"given": ["a"], "_given": [{"extension": [{"url": "u"}]}]}],
            "managingOrganization": {},
        }
    ).encode()
    assert (
        codec.to_xml(body, pretty=True).decode()
        == f"""<?xml version="1.0" encoding="UTF-8"?>
<Patient xmlns="http://hl7.org/fhir">
  <text>
    <status value="generated"/>
    <div {XHTML}><p>a</p></div>
  </text>
  <contained>
    <Basic>
      <id value="b"/>
    </Basic>
  </contained>
  <name>
    <given value="a">
      <extension url="u"/>
    </given>
  </name>
  <managingOrganization/>
</Patient>"""
    )
    assert json.loads(codec.to_json(codec.to_xml(body, pretty=True))) == json.loads(body)


def test_a_bundle_may_be_deeper_than_what_a_client_may_send() -> None:
    """A search puts stored resources into entries, and a stored one may be as deep as is accepted."""
    extension: dict[str, Any] = {"url": "u"}
    for _ in range(28):
        extension = {"url": "u", "extension": [extension]}
    patient = {"resourceType": "Patient", "extension": [extension]}
    for _ in range(3):
        patient = {"resourceType": "Bundle", "entry": [{"resource": patient}]}
    assert write(patient).count("<extension") == 29


# What is refused


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"famly": "a"}, "Patient has no element 'famly' in R4"),
        ({"name": [{"_id": {}}]}, "Patient.name[0] has no element '_id' in R4"),
        ({"id": "a", "_id": {"id": "b"}}, "Patient has no element '_id' in R4"),
        ({"name": [{"resourceType": "a"}]}, "Patient.name[0] has no element 'resourceType' in R4"),
        ({"active": "true"}, "Patient.active has a value of another type in R4"),
        ({"active": 1}, "Patient.active has a value of another type in R4"),
        ({"active": None}, "Patient.active has a value of another type in R4"),
        ({"birthDate": 1957}, "Patient.birthDate has a value of another type in R4"),
        ({"birthDate": ["1957"]}, "Patient.birthDate has a value of another type in R4"),
        ({"multipleBirthInteger": 2.5}, "Patient.multipleBirth has a value of another type in R4"),
        ({"multipleBirthInteger": True}, "Patient.multipleBirth has a value of another type in R4"),
        ({"birthDate": ""}, "Patient.birthDate is an empty string"),
        ({"name": [{"id": ""}]}, "Patient.name[0].id is an empty string"),
        ({"name": [{"text": "a\0"}]}, "Patient.name[0].text holds the character U+0000, which no XML may hold"),
        ({"name": [{"text": "\ufffe"}]}, "Patient.name[0].text holds the character U+FFFE, which no XML may hold"),
        ({"name": {"text": "a"}}, "Patient.name is no array, or an empty one"),
        ({"name": []}, "Patient.name is no array, or an empty one"),
        ({"name": ["a"]}, "Patient.name[0] is no object"),
        ({"managingOrganization": []}, "Patient.managingOrganization is no object"),
        ({"name": [{"given": "a"}]}, "Patient.name[0].given is no array, or an empty one"),
        ({"name": [{"given": [None]}]}, "Patient.name[0].given[0] has a value of another type in R4"),
        ({"name": [{"given": ["a"], "_given": {}}]}, "Patient.name[0].given is no array, or an empty one"),
        ({"name": [{"_given": [None]}]}, "Patient.name[0].given[0] has a value of another type in R4"),
        ({"name": [{"_given": ["a"]}]}, "Patient.name[0].given[0] is no object"),
        ({"_birthDate": None}, "Patient.birthDate has a value of another type in R4"),
        ({"_birthDate": "a"}, "Patient.birthDate is no object"),
        ({"contained": {}}, "Patient.contained is no array, or an empty one"),
        ({"contained": [{}]}, "Patient.contained[0] is no resource of FHIR R4"),
        ({"contained": [{"resourceType": ["a"]}]}, "Patient.contained[0] is no resource of FHIR R4"),
        ({"contained": [{"resourceType": "Basic", "a": 1}]}, "Patient.contained[0] has no element 'a' in R4"),
        ({"text": {"div": ["a"]}}, "Patient.text.div is no string"),
    ],
)
def test_what_xml_cannot_say_is_refused_with_its_place(members: Any, sentence: str) -> None:
    place = sentence.partition(" ")[0]
    assert refused({"resourceType": "Patient", **members}) == (sentence, (place,))


@pytest.mark.parametrize(
    "div",
    [
        "",
        "a",
        "<div>a</div>",
        f"<p {XHTML}>a</p>",
        f"<div {XHTML}>a</div><div {XHTML}>b</div>",
        f"<div {XHTML}><p></div>",
        f"<div {XHTML}>&unknown;</div>",
        f"<!DOCTYPE div><div {XHTML}>a</div>",
        f'<!DOCTYPE div [<!ENTITY nbsp "x">]><div {XHTML}>&nbsp;</div>',
        f"</text><div {XHTML}>a</div><text>",
    ],
)
def test_a_narrative_that_would_break_the_document_is_refused(div: str) -> None:
    sentence, expression = refused({"resourceType": "Patient", "text": {"div": div}})
    assert sentence == "Patient.text.div is not one well-formed div of the namespace http://www.w3.org/1999/xhtml"
    assert expression == ("Patient.text.div",)


@pytest.mark.parametrize(
    "resource", [{}, {"resourceType": "Unknown"}, {"resourceType": "Resource"}, {"resourceType": 1}]
)
def test_what_is_no_resource_is_refused(resource: dict[str, Any]) -> None:
    assert refused(resource) == ("The body is no resource of FHIR R4", ())


@pytest.mark.parametrize("body", [b"", b"<Patient/>", b'{"a":1', b'{"a":"\xff"}', b'{"a":"\\ud800"}', b"[" * 100_000])
def test_what_is_no_json_is_told_as_ever(body: bytes) -> None:
    with pytest.raises(Malformed):
        codec.to_xml(body)


@pytest.mark.parametrize("body", [b"[]", b'"Patient"', b"null"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(NotAcceptable):
        codec.to_xml(body)


def test_hopeless_nesting_is_refused() -> None:
    body = b'{"resourceType":"Patient","extension":[' + b'{"extension":[' * 400 + b"]}" * 400 + b"]}"
    body = body.replace(b"[]", b'[{"url":"u"}]')
    with pytest.raises(NotAcceptable, match="nested too deeply"):
        codec.to_xml(body)
