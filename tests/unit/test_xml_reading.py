"""XML to JSON: what the standard writes comes out exactly; what is wrong is told, all of it, with line and place."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.xml_reading import MOST_ISSUES, XmlReader
from fhir_server.fhir.errors import FhirError, Invalid
from fhir_server.fhir.outcome import Severity

XMLNS: Final = 'xmlns="http://hl7.org/fhir"'
XHTML: Final = 'xmlns="http://www.w3.org/1999/xhtml"'
FHIR_IS: Final = "FHIR's is http://hl7.org/fhir."
NO_TEXT: Final = 'Text may not stand here. A value is written as an attribute: value="...".'
DIV: Final = f"<div {XHTML}>a</div>"
reader: Final = XmlReader(load())


_COLUMN: Final = re.compile(r"(?<=^Line \d) column \d+")


def patient(inner: str, attributes: str = "") -> bytes:
    return f"<Patient {XMLNS}{attributes}>{inner}</Patient>".encode()


def read(body: bytes | str) -> Any:
    return json.loads(reader.to_json(body.encode() if isinstance(body, str) else body))


def read_patient(inner: str) -> dict[str, Any]:
    resource = read(patient(inner))
    assert resource.pop("resourceType") == "Patient"
    return resource  # type: ignore[no-any-return]


def wrong(body: bytes | str) -> FhirError:
    with pytest.raises(FhirError) as caught:
        reader.to_json(body.encode() if isinstance(body, str) else body)
    return caught.value


def told(body: bytes | str) -> list[tuple[str, str]]:
    """What is wrong in a body that can be read: the sentences, with the line alone, and the places."""
    error = wrong(body)
    assert isinstance(error, Invalid)
    return [(_COLUMN.sub("", issue.diagnostics), issue.expression[0]) for issue in error.issues]


# What comes out


def test_an_element_with_a_value_is_a_member() -> None:
    resource = read_patient('<birthDate value="1957-05-02"/><deceasedBoolean value="false"/>')
    assert resource == {"birthDate": "1957-05-02", "deceasedBoolean": False}


def test_the_json_is_compact_and_begins_with_the_type() -> None:
    body = patient('\n  <id value="a"/>\n  <active value="true"/>\n')
    assert reader.to_json(body) == b'{"resourceType":"Patient","id":"a","active":true}'


@pytest.mark.parametrize("number", ["1.10", "1.10e2", "1E-7", "-0.0", "0", "3", "12345678901234567890.10"])
def test_a_decimal_keeps_its_form(number: str) -> None:
    body = f'<Observation {XMLNS}><valueQuantity><value value="{number}"/></valueQuantity></Observation>'
    assert reader.to_json(body.encode()).endswith(f'{{"value":{number}}}}}'.encode())


def test_an_integer_loses_only_the_sign_that_json_does_not_have() -> None:
    assert reader.to_json(patient('<multipleBirthInteger value="+2"/>')).endswith(b'"multipleBirthInteger":2}')
    assert reader.to_json(patient('<multipleBirthInteger value="-2"/>')).endswith(b'"multipleBirthInteger":-2}')


def test_what_is_said_about_a_primitive_has_a_member_of_its_own() -> None:
    extension = '<extension url="u"><valueCode value="c"/></extension>'
    resource = read_patient(f'<gender id="g" value="male"/><birthDate>{extension}</birthDate>')
    about = {"extension": [{"url": "u", "valueCode": "c"}]}
    assert resource == {"gender": "male", "_gender": {"id": "g"}, "_birthDate": about}


def test_null_takes_the_place_of_what_is_missing_in_an_array() -> None:
    extension = '<extension url="u"/>'
    name = read_patient(
        f'<name><given value="a"/><given>{extension}</given><given value="c" id="i"/><given value="d"/></name>'
    )["name"][0]
    about = {"extension": [{"url": "u"}]}
    assert name == {"given": ["a", None, "c", "d"], "_given": [None, about, {"id": "i"}, None]}


def test_an_array_begins_with_null_where_the_first_has_no_value() -> None:
    name = read_patient('<name><given><extension url="u"/></given><given value="b"/></name>')["name"][0]
    assert name == {"given": [None, "b"], "_given": [{"extension": [{"url": "u"}]}, None]}


def test_an_array_of_nothing_but_nulls_is_left_out() -> None:
    given = '<given><extension url="u"/></given>'
    name = read_patient(f"<name>{given}{given}</name>")["name"][0]
    assert name == {"_given": [{"extension": [{"url": "u"}]}] * 2}


def test_ids_and_urls_are_attributes() -> None:
    resource = read_patient('<extension id="e" url="u"><valueString value="v"/></extension><name id="n"/>')
    assert resource == {"extension": [{"id": "e", "url": "u", "valueString": "v"}], "name": [{"id": "n"}]}


def test_resources_stand_in_resources() -> None:
    bundle = read(
        f"<Bundle {XMLNS}><entry><resource><Patient><contained><Basic><id value='b'/></Basic></contained>"
        "<contained><Basic/></contained></Patient></resource>"
        "<response><outcome><OperationOutcome/></outcome></response></entry></Bundle>"
    )
    contained = [{"resourceType": "Basic", "id": "b"}, {"resourceType": "Basic"}]
    entry = {
        "resource": {"resourceType": "Patient", "contained": contained},
        "response": {"outcome": {"resourceType": "OperationOutcome"}},
    }
    assert bundle == {"resourceType": "Bundle", "entry": [entry]}


def test_an_element_may_hold_itself() -> None:
    body = f"<Questionnaire {XMLNS}><item><linkId value='1'/><item><linkId value='2'/></item></item></Questionnaire>"
    assert read(body)["item"] == [{"linkId": "1", "item": [{"linkId": "2"}]}]


def test_white_space_of_a_value_stays() -> None:
    assert read_patient('<name><text value=" a&#10;b&#9;c&#13;é &amp;&lt;&quot; "/></name>')["name"] == [
        {"text": ' a\nb\tc\ré &<" '}
    ]


@pytest.mark.parametrize(
    "div",
    [
        f"<div {XHTML}>a</div>",
        f"<div  {XHTML}\n title='>'><p class=\"é\">a &amp; b<br/></p> <!-- c --><?pi x?><![CDATA[<d>]]></div\n>",
        f"<div {XHTML}/>",
        f"<div {XHTML} title='/>'/>",
        f'<h:{XHTML.replace("xmlns", "div xmlns:h")} xmlns:g="u"><h:div><p xmlns="u" xml:lang="fr"/></h:div></h:div>',
    ],
)
def test_a_narrative_stays_as_it_is_written(div: str) -> None:
    text = f'<text><status value="generated"/>{div}</text>'
    assert read_patient(text)["text"] == {"status": "generated", "div": div}


def test_a_narrative_takes_along_the_namespace_it_borrows() -> None:
    body = f"<Patient {XMLNS} xmlns:h='http://www.w3.org/1999/xhtml'><text><h:div a='b'><h:p/></h:div></text></Patient>"
    assert read(body)["text"]["div"] == "<h:div xmlns:h=\"http://www.w3.org/1999/xhtml\" a='b'><h:p/></h:div>"
    inner = "<f:id value='a'/><f:text><div><p/></div></f:text>"
    body = f"<f:Patient xmlns:f='http://hl7.org/fhir' {XHTML}>{inner}</f:Patient>"
    assert read(body)["text"]["div"] == f"<div {XHTML}><p/></div>"


def test_elements_may_have_a_prefix() -> None:
    inner = f"<f:active value='true'/><name {XMLNS}/><f:name xmlns=''/>"
    body = f"<f:Patient xmlns:f='http://hl7.org/fhir'>{inner}</f:Patient>"
    assert read(body) == {"resourceType": "Patient", "active": True, "name": [{}, {}]}
    assert len(told(patient("<active xmlns='' value='true'/><active value='true'/>"))) == 1


def test_comments_instructions_and_layout_are_left_out() -> None:
    inner = '<!-- <a> --> <active value="true"><!-- b --></active>\r\n\t<?c d?><name><!-- e --></name>'
    body = b'<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<!-- f -->' + patient(inner) + b"\n<!-- g -->\n"
    assert read(body) == {"resourceType": "Patient", "active": True, "name": [{}]}


def test_a_byte_order_mark_is_read_over() -> None:
    assert read(b"\xef\xbb\xbf" + patient("")) == {"resourceType": "Patient"}
    assert read(b"\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8'?>" + patient("")) == {"resourceType": "Patient"}


def test_a_schema_location_is_read_over_on_resources_only() -> None:
    location = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"'
    assert read(patient("", location)) == {"resourceType": "Patient"}
    assert told(patient(f"<name{location}/>")) == [
        (
            "Line 1: name has no attribute '{http://www.w3.org/2001/XMLSchema-instance}schemaLocation'.",
            "Patient.name[0]",
        )
    ]


# What is wrong in a resource


@pytest.mark.parametrize(
    ("inner", "sentence", "expression"),
    [
        ("\n<famly/>", "Patient has no element 'famly'.", "Patient"),
        ("<name><family value='a'/><last/></name>", "HumanName has no element 'last'.", "Patient.name[0]"),
        ("<name/><name><Patient/></name>", "Patient is a resource, and no resource may stand here.", "Patient.name[1]"),
        ("<x:a xmlns:x='urn:x'/>", f"'a' is in the namespace 'urn:x'; {FHIR_IS}", "Patient"),
        (
            "<active xmlns='' value='true'/>",
            "'active' is in no namespace; a resource in XML begins as <Patient xmlns=\"http://hl7.org/fhir\">.",
            "Patient",
        ),
        (
            "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='file:///etc/passwd'/>",
            f"'include' is in the namespace 'http://www.w3.org/2001/XInclude'; {FHIR_IS}",
            "Patient",
        ),
        (
            "<text><div/></text>",
            "The div of a narrative is in the namespace http://www.w3.org/1999/xhtml.",
            "Patient.text",
        ),
        (
            f"<text><p {XHTML}/></text>",
            f"'p' is in the namespace 'http://www.w3.org/1999/xhtml'; {FHIR_IS}",
            "Patient.text",
        ),
        (DIV, f"'div' is in the namespace 'http://www.w3.org/1999/xhtml'; {FHIR_IS}", "Patient"),
        (
            "<birthDate value='1957'/>\n<gender value='male'/>",
            "gender must come before birthDate: in XML, elements have the order of the standard.",
            "Patient.gender",
        ),
        ("<active value='true'/><active value='true'/>", "active may be given once.", "Patient.active"),
        ("<text/><text/>", "text may be given once.", "Patient.text"),
        (
            "<deceasedBoolean value='true'/><deceasedDateTime value='2026'/>",
            "deceased[x] may be given once, but deceasedBoolean and deceasedDateTime are there.",
            "Patient.deceased",
        ),
        ("<name use='usual'/>", "name has no attribute 'use'.", "Patient.name[0]"),
        ("<name value='a'/>", "name has no attribute 'value'.", "Patient.name[0]"),
        ("<active value='true' lang='fr'/>", "active has no attribute 'lang'.", "Patient.active"),
        (
            "<active value='true' xml:lang='fr'/>",
            "active has no attribute '{http://www.w3.org/XML/1998/namespace}lang'.",
            "Patient.active",
        ),
        ("<id value='a' id='b'/>", "id has no attribute 'id'.", "Patient.id"),
        ("<id value='a'><extension url='u'/></id>", "This element has no element 'extension'.", "Patient.id"),
        ("<contained id='b'><Basic/></contained>", "contained has no attribute 'id'.", "Patient.contained[0]"),
        ("<name id=''/>", "The attribute id of name is empty: leave it out.", "Patient.name[0]"),
        ("<extension url=''/>", "The attribute url of extension is empty: leave it out.", "Patient.extension[0]"),
        ("a", NO_TEXT, "Patient"),
        ("<name>\n<![CDATA[a]]></name>", NO_TEXT, "Patient.name[0]"),
        ("<active value='true'>true</active>", NO_TEXT, "Patient.active"),
        ("<contained>a<Basic/></contained>", NO_TEXT, "Patient.contained[0]"),
        ("<active/>", 'active has no value: it is written <active value="..."/>.', "Patient.active"),
        (
            "<name><given value='a'/><given id='b'/></name>",
            'given has no value: it is written <given value="..."/>.',
            "Patient.name[0].given[1]",
        ),
        ("<birthDate value=''/>", "The value of birthDate is empty: leave the element out.", "Patient.birthDate"),
        (
            "<birthDate value='' id='a'/>",
            "The value of birthDate is empty: leave the element out.",
            "Patient.birthDate",
        ),
        ("<active value='yes'/>", "'yes' is no boolean: it is written as true or false.", "Patient.active"),
        ("<active value=' true'/>", "' true' is no boolean: it is written as true or false.", "Patient.active"),
        ("<active value='&#10;'/>", "'\\n' is no boolean: it is written as true or false.", "Patient.active"),
        (
            "<multipleBirthInteger value='2.0'/>",
            "'2.0' is no integer: it is written as a whole number, such as 42.",
            "Patient.multipleBirth",
        ),
        (
            "<multipleBirthInteger value='٣'/>",
            "'٣' is no integer: it is written as a whole number, such as 42.",
            "Patient.multipleBirth",
        ),
        (
            "<telecom><rank value='first'/></telecom>",
            "'first' is no positiveInt: it is written as a whole number, such as 42.",
            "Patient.telecom[0].rank",
        ),
        (
            "<extension url='u'><valueDecimal value='1,5'/></extension>",
            "'1,5' is no decimal: it is written as a decimal number, such as 1.10.",
            "Patient.extension[0].value",
        ),
        ("<contained/>", "contained holds no resource.", "Patient.contained[0]"),
        ("<contained><name/></contained>", "'name' is not a resource type of FHIR R4.", "Patient.contained[0]"),
        (
            "<contained><Basic/><Basic/></contained>",
            "contained holds one resource; Basic needs one more contained, or another place.",
            "Patient.contained[0]",
        ),
        ("<contained><Basic><a/></Basic></contained>", "Basic has no element 'a'.", "Patient.contained[0]"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_its_place(inner: str, sentence: str, expression: str) -> None:
    line = inner.count("\n") + 1
    assert told(patient(inner)) == [(f"Line {line}: {sentence}", expression)]


def test_a_resource_in_a_bundle_has_its_place_in_the_bundle() -> None:
    body = (
        f"<Bundle {XMLNS}>\n<entry/>\n<entry><resource><Patient><name><a/></name></Patient></resource></entry></Bundle>"
    )
    assert told(body) == [("Line 3: HumanName has no element 'a'.", "Bundle.entry[1].resource.name[0]")]


def test_all_that_is_wrong_is_told() -> None:
    body = patient("<a/>\n<birthDate/>\n<active value='1'/>b")
    assert [line for line, _ in told(body)] == [
        "Line 1: Patient has no element 'a'.",
        'Line 2: birthDate has no value: it is written <birthDate value="..."/>.',
        "Line 3: active must come before birthDate: in XML, elements have the order of the standard.",
        "Line 3: '1' is no boolean: it is written as true or false.",
        'Line 3: Text may not stand here. A value is written as an attribute: value="...".',
    ]


def test_a_column_counts_characters() -> None:
    body = f"<Patient {XMLNS}>\n <name><text value='é𝒳'/><a/></name>\n\t <birthDate value=''/></Patient>"
    assert [issue.diagnostics.partition(":")[0] for issue in wrong(body).issues] == [
        "Line 2 column 26",
        "Line 3 column 3",
    ]


def test_a_long_list_of_defects_is_cut_and_says_so() -> None:
    issues = wrong(patient("<a/>" * (MOST_ISSUES + 1))).issues
    assert len(issues) == MOST_ISSUES + 1
    assert issues[-1].severity is Severity.INFORMATION
    assert "Reading stopped" in issues[-1].diagnostics
    assert len(wrong(patient("<a/>" * (MOST_ISSUES - 1))).issues) == MOST_ISSUES - 1


def test_long_text_is_told_once() -> None:
    assert len(told(patient("a" * 100_000))) == 1


def test_a_sentence_does_not_repeat_all_of_a_long_name() -> None:
    sentence, _ = told(patient(f"<{'a' * 10_000}/><x:{'b' * 1000} xmlns:x='{'u' * 10_000}'/>"))[0]
    assert len(sentence) < 200
