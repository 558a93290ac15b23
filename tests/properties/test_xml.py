"""XML and JSON say the same: what goes to XML and back is what it was, for every type; nothing is taken for another."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from fhir_server.definitions.load import load
from fhir_server.definitions.xml_codec import XmlCodec
from fhir_server.fhir.errors import FhirError, Invalid, Malformed
from fhir_server.fhir.json import decode
from tests.minimal import minimal, types
from tests.properties.any_resource import any_resource, told

EXAMPLES: Final = sorted((Path(__file__).resolve().parents[1] / "examples").rglob("*.json"))
codec: Final = XmlCodec(load())

seeds = st.integers(0, 2**32 - 1).map(Random)
resources = st.builds(any_resource, seeds, st.sampled_from(types()))
xml_characters = st.characters(
    blacklist_categories=["Cs"], blacklist_characters=[chr(code) for code in range(32) if chr(code) not in "\t\n\r"]
).filter(lambda character: character not in "\ufffe\uffff")


def canonical(body: bytes) -> bytes:
    """Canonical XML, by somebody else's reader: lxml."""
    return etree.tostring(etree.fromstring(body), method="c14n", exclusive=True, with_comments=True)


def comes_back(body: bytes) -> None:
    """By way of XML and of pretty XML, and from XML by way of JSON."""
    xml = codec.to_xml(body)
    read = codec.to_json(xml)
    assert told(read) == told(body)
    assert canonical(codec.to_xml(read)) == canonical(xml)
    assert codec.to_json(codec.to_xml(body, pretty=True)) == read


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_comes_back(path: Path) -> None:
    comes_back(path.read_bytes())


def test_the_capability_statement_comes_back() -> None:
    comes_back((Path(__file__).resolve().parents[2] / "capability_statement.json").read_bytes())


@pytest.mark.parametrize("type", types())
def test_every_type_comes_back(type: str) -> None:
    comes_back(json.dumps(minimal(type)).encode())
    for seed in range(3):
        comes_back(any_resource(Random(f"{type}{seed}"), type))  # noqa: S311 - no secret


@given(resources)
def test_any_resource_comes_back(body: bytes) -> None:
    comes_back(body)


@given(st.text(xml_characters, min_size=1))
def test_any_text_comes_back(text: str) -> None:
    comes_back(json.dumps({"resourceType": "Basic", "code": {"text": text}, "extension": [{"url": text}]}).encode())


@given(st.text(min_size=1))
def test_a_text_comes_back_or_is_refused(text: str) -> None:
    """Nothing is left out in silence, whatever characters it holds."""
    with suppress(FhirError):
        comes_back(json.dumps({"resourceType": "Basic", "code": {"text": text}}).encode())


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True))
def test_any_decimal_comes_back(number: str) -> None:
    body = f'{{"resourceType":"Basic","extension":[{{"url":"u","valueDecimal":{number}}}]}}'
    if number != "-0":  # which is the integer 0 as soon as it is read
        comes_back(body.encode())


@given(resources, seeds)
def test_an_order_that_is_not_the_standard_s_is_told(body: bytes, random: Random) -> None:
    root = etree.fromstring(codec.to_xml(body))
    places = [(parent, at) for parent in root.iter("{*}*") for at in range(len(parent) - 1)]
    places = [
        (parent, at) for parent, at in places if parent[at].tag != parent[at + 1].tag and "xhtml" not in parent.tag
    ]
    if not places:
        return
    parent, at = random.choice(places)
    parent.insert(at, parent[at + 1])
    with pytest.raises(Invalid, match=r"must come before|no attribute|may be given once"):
        codec.to_json(etree.tostring(root))


@given(resources, seeds)
def test_a_damaged_body_is_read_as_json_or_refused(body: bytes, random: Random) -> None:
    """And what is read can be validated, and written again."""
    xml = bytearray(codec.to_xml(body))
    for _ in range(random.randint(1, 3)):
        start = random.randrange(len(xml))
        end = min(len(xml), start + random.choice([0, 1, 5, 30]))
        other = random.randrange(len(xml))
        xml[start:end] = random.choice([b"", b"\x00", b"<", b'"', b"&", b"\xff", bytes(xml[other : other + 20])])
    try:
        read = codec.to_json(bytes(xml))
    except (Malformed, Invalid):
        return
    decode(read)
    assert told(codec.to_json(codec.to_xml(read))) == told(read)


@given(resources, seeds)
def test_damaged_json_is_written_as_xml_or_refused(body: bytes, random: Random) -> None:
    """What is written is well-formed for another reader."""
    text = bytearray(body)
    for _ in range(random.randint(1, 2)):
        start = random.randrange(len(text))
        end = min(len(text), start + random.choice([0, 1, 5]))
        text[start:end] = random.choice([b"", b"[]", b"{}", b"null", b"1", b'"', b'"<x>"', b"\\u0000", b"&nbsp;"])
    with suppress(FhirError):
        etree.fromstring(codec.to_xml(bytes(text)))
