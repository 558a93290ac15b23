"""What is no XML, no resource, or meant to do harm is refused: in a sentence, before it costs much; nothing stays."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from fhir_server.definitions import xml_parsing
from fhir_server.definitions.load import load
from fhir_server.definitions.xml_reading import XmlReader
from fhir_server.fhir.errors import FhirError, Invalid, Malformed
from fhir_server.fhir.json import MAX_DEPTH, decode

XMLNS: Final = 'xmlns="http://hl7.org/fhir"'
XHTML: Final = 'xmlns="http://www.w3.org/1999/xhtml"'
FHIR_IS: Final = "FHIR's is http://hl7.org/fhir."
DIV: Final = f"<div {XHTML}>a</div>"
reader: Final = XmlReader(load())


def patient(inner: str) -> bytes:
    return f"<Patient {XMLNS}>{inner}</Patient>".encode()


def read(body: bytes) -> Any:
    return json.loads(reader.to_json(body))


def wrong(body: bytes | str) -> FhirError:
    with pytest.raises(FhirError) as caught:
        reader.to_json(body.encode() if isinstance(body, str) else body)
    return caught.value


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("", "The body is empty; a resource in XML was expected."),
        ("\ufeff \n", "The body is empty; a resource in XML was expected."),
        (
            "<Patient/>",
            "Line 1 column 1: 'Patient' is in no namespace; a resource in XML begins as <Patient xmlns=\"http://hl7.org/fhir\">.",
        ),
        (
            "\n<Patient xmlns='urn:hl7-org:v3'/>",
            f"Line 2 column 1: 'Patient' is in the namespace 'urn:hl7-org:v3'; {FHIR_IS}",
        ),
        (f"<patient {XMLNS}/>", "Line 1 column 1: 'patient' is not a resource type of FHIR R4."),
        (f"<DomainResource {XMLNS}/>", "Line 1 column 1: 'DomainResource' is not a resource type of FHIR R4."),
        (DIV, f"Line 1 column 1: 'div' is in the namespace 'http://www.w3.org/1999/xhtml'; {FHIR_IS}"),
        ('{"resourceType":"Patient"}', "not well-formed XML: not well-formed (invalid token): line 1 column 1."),
        ("<Patient>\n <a></b>", "not well-formed XML: mismatched tag: line 2 column 7."),
        ("<Patient>", "not well-formed XML: no element found: line 1 column 10."),
        ("<a/><b/>", "not well-formed XML: junk after document element: line 1 column 5."),
        ("<a b='1' b='2'/>", "not well-formed XML: duplicate attribute: line 1 column 10."),
        (
            "<a>&nbsp;</a>",
            (
                "not well-formed XML: undefined entity (XML knows &amp; &lt; &gt; &quot; &apos; and characters by "
                "number, such as &#160;): line 1 column 4."
            ),
        ),
        ("<a>\0</a>", "not well-formed XML: not well-formed (invalid token): line 1 column 4."),
        ("<a/>\0", "not well-formed XML: not well-formed (invalid token): line 1 column 5."),
        ("<a>\ufffe</a>", "not well-formed XML: not well-formed (invalid token): line 1 column 4."),
        ("<a b='&#0;'/>", "not well-formed XML: reference to invalid character number: line 1 column 7."),
        ("<a b='&#xD800;'/>", "not well-formed XML: reference to invalid character number: line 1 column 7."),
        ("<x:a/>", "Line 1 column 1: The namespace prefix 'x' is not declared."),
        (f"<a {XMLNS}><b xmlns:x='u'/><x:c/></a>", "Line 1 column 48: The namespace prefix 'x' is not declared."),
        (f"<a {XMLNS} x:b=''/>", "Line 1 column 1: The namespace prefix 'x' is not declared."),
        (f"<div {XHTML}><x:b/></div>", "Line 1 column 43: The namespace prefix 'x' is not declared."),
        (f"<div {XHTML} x:b=''/>", "Line 1 column 1: The namespace prefix 'x' is not declared."),
        ("<a xmlns:x='u'><a xmlns:x=''/></a>", "Line 1 column 16: The namespace prefix 'x' may not be declared so."),
        ("<a xmlns:xml='u'/>", "Line 1 column 1: The namespace prefix 'xml' may not be declared so."),
        ("<a xmlns:x:y='u'/>", "Line 1 column 1: The namespace prefix 'x:y' may not be declared so."),
        ("<a:b:c xmlns:a='u'/>", "Line 1 column 1: 'a:b:c' is not a name: a colon stands between a prefix and a name."),
        ("<:a/>", "Line 1 column 1: ':a' is not a name: a colon stands between a prefix and a name."),
        (
            f"<Patient {XMLNS} xmlns:x='urn:x'><text><div {XHTML} x:a=''/></text></Patient>",
            "Line 1 column 60: 'div' stands in XHTML, and its namespace is 'urn:x'.",
        ),
    ],
)
def test_what_is_no_resource_in_xml_is_told_with_line_and_column(body: str, sentence: str) -> None:
    error = wrong(body)
    assert isinstance(error, Malformed)
    assert str(error).removeprefix("The body is ") == sentence.removeprefix("The body is ")


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16-LE", "UTF-16-BE", "UTF-32", "UTF-32-LE", "UTF-32-BE"])
def test_another_encoding_is_named(encoding: str) -> None:
    text = f"<Patient {XMLNS}/>"
    assert (
        str(wrong(text.encode(encoding))) == "The body is in the encoding 'UTF-16 or UTF-32'; FHIR in XML is in UTF-8."
    )


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-16", "utf-7", "é"])
def test_a_declared_encoding_is_utf_8(encoding: str) -> None:
    assert "FHIR in XML is in UTF-8" in str(wrong(f'<?xml version="1.0" encoding="{encoding}"?><Patient {XMLNS}/>'))


@pytest.mark.parametrize("bytes_", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe9"])
@pytest.mark.parametrize("place", ["<a b='%s'/>", "<a>%s</a>", f"<div {XHTML}>%s</div>", "<a><!-- %s --></a>", "<%s/>"])
def test_bytes_that_are_no_utf_8_are_told(bytes_: bytes, place: str) -> None:
    before = place.partition("%s")[0].encode()
    body = place.encode() % bytes_
    assert str(wrong(body)) == f"The body is not valid UTF-8: byte {len(before)} cannot be read."


@pytest.mark.parametrize(
    "prolog",
    [
        "<!DOCTYPE Patient>",
        '<!DOCTYPE Patient SYSTEM "file:///etc/passwd">',
        '<?xml version="1.0"?><!-- a --><?b?>\n<!DOCTYPE Patient PUBLIC "a" "https://example.org/b.dtd">',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a [<!ENTITY % x SYSTEM "https://example.org/x"> %x;]>',
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE a [<!ATTLIST Patient xmlns CDATA "http://hl7.org/fhir">]>',
    ],
)
def test_a_document_type_is_refused_before_it_is_read(prolog: str) -> None:
    error = wrong(prolog.encode() + patient('<name><family value="&b;"/></name>'))
    assert isinstance(error, Malformed)
    assert "A document type (DOCTYPE) is not allowed in FHIR." in str(error)


def test_the_word_doctype_alone_does_no_harm() -> None:
    assert read(b"<!-- <!DOCTYPE a> -->" + patient('<name><family value="&lt;!DOCTYPE a>"/></name>'))["name"]


@pytest.mark.parametrize(
    ("unit", "depth_of"),
    [
        ("<extension url='u'>{}</extension>", lambda number: 1 + 2 * number),
        ("<contained><Patient>{}</Patient></contained>", lambda number: 1 + 2 * number),
    ],
)
def test_nesting_is_as_deep_as_in_json_and_no_deeper(unit: str, depth_of: Callable[[int], int]) -> None:
    inner = ""
    for number in range(1, MAX_DEPTH):
        inner = unit.format(inner)
        body = patient(inner)
        if depth_of(number) <= MAX_DEPTH:
            decode(reader.to_json(body))
        else:
            error = wrong(body)
            assert isinstance(error, Malformed)
            assert f"nested too deeply; this server accepts {MAX_DEPTH} levels" in str(error)


def test_the_last_level_may_be_an_array_of_values() -> None:
    for number in range(25, 35):
        inner = '<valueTiming><event value="2026"/></valueTiming>'
        for _ in range(number):
            inner = f"<extension url='u'>{inner}</extension>"
        if 1 + 2 * number + 2 <= MAX_DEPTH:
            decode(reader.to_json(patient(inner)))
        else:
            assert "nested too deeply" in str(wrong(patient(inner)))


def test_a_body_of_nothing_but_open_elements_is_refused() -> None:
    assert "nested too deeply" in str(wrong("<a>" * 1000))


def test_xhtml_may_be_deep() -> None:
    div = f"<div {XHTML}>{'<b>' * 100_000}{'</b>' * 100_000}</div>"
    assert read(patient(f"<text>{div}</text>"))["text"]["div"] == div


def test_too_many_elements_or_attributes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xml_parsing, "MAX_ELEMENTS", 10)
    monkeypatch.setattr(xml_parsing, "MAX_EQUALS_SIGNS", 10)
    assert "more than 10 elements" in str(wrong("<a/>" * 11))
    assert "more than 10 attributes" in str(wrong("<a " + "b='' " * 11 + "/>"))
    assert "mismatched" in str(wrong("<a>" * 10 + "</b>" * 10))


def test_more_prefixes_than_anybody_needs_are_refused() -> None:
    declared = " ".join(f"xmlns:p{number}='u'" for number in range(xml_parsing.MAX_PREFIXES))
    assert "namespace prefixes are declared" in str(wrong(f"<a {declared}/>"))


def test_nothing_stays_after_a_document() -> None:
    """Parser and handlers hold each other; the tie is cut when the document is read, or is not."""
    gc.collect()
    gc.disable()
    try:
        reader.to_json(patient(f"<text>{DIV}</text>"))
        with suppress(Malformed):
            reader.to_json(b"<a>" + b"<b/>" * 10)
        assert not [one for one in gc.get_objects() if isinstance(one, xml_parsing._Parsing)]
    finally:
        gc.enable()


def test_unknown_names_do_not_fill_the_memory() -> None:
    """With lxml, 1.5 MB would stay of each of these."""

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096

    def meet(number: int) -> None:
        names = "".join(f"<unknown-element-{number}-{name}/>" for name in range(30_000))
        with pytest.raises(Invalid):
            reader.to_json(patient(f"<name>{names}</name>"))

    for number in range(5):
        meet(number)
    before = resident()
    for number in range(5, 17):
        meet(number)
    assert resident() - before < 6_000_000


def test_a_long_namespace_is_not_kept_for_each_element() -> None:
    """A namespace of a megabyte, and 400,000 elements in it, would be 400 GB."""
    _, _, children, _ = xml_parsing.parse(f"<a xmlns:x='{'u' * 10_000}'><x:b x:c=''/></a>".encode())
    name, attributes, _, _ = children[0]
    assert len(name) < 100
    assert len(attributes[0]) < 100
