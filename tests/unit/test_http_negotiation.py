"""Which representation is answered: `_format`, then the weights of `Accept`, then the type of the body."""

from __future__ import annotations

from typing import Any, Final

import pytest

from fhir_server.fhir.errors import NotAcceptable, UnsupportedMedia
from fhir_server.http.negotiation import FORM, JSON_PATCH, Form, form_of_patch, form_sent, must_be, spoken_in, wish_of

JSON: Final = Form.JSON
XML: Final = Form.XML
FIREFOX: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
JAVA: Final = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
ANY_FHIR: Final = (
    "application/fhir+xml;q=1.0, application/fhir+json;q=1.0, application/xml+fhir;q=0.9, application/json+fhir;q=0.9"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, JSON),
        ("", JSON),
        ("  ", JSON),
        ("*/*", JSON),
        ("*", JSON),
        ("application/*", JSON),
        ("application/fhir+json", JSON),
        ("application/json", JSON),
        ("text/json", JSON),
        ("application/json+fhir", JSON),
        ("application/fhir+xml", XML),
        ("application/xml", XML),
        ("text/xml", XML),
        ("application/xml+fhir", XML),
        ("APPLICATION/FHIR+XML", XML),
        (" application/fhir+xml ; q=1 ", XML),
        ("application/fhir+xml, application/fhir+json;q=0.1", XML),
        ("application/fhir+xml;q=0.1, application/fhir+json", JSON),
        ("application/fhir+xml;q=0.1, application/fhir+json;q=0.05", XML),
        ("application/fhir+xml;q=.5, */*;q=.4", XML),
        ("application/fhir+xml;q=0.5, */*", JSON),
        ("application/fhir+xml;q=0.5, application/*;q=0.6", JSON),
        ("application/fhir+xml, */*", XML),
        ("*/*, application/fhir+xml", XML),
        ("application/*, application/xml", XML),
        ("application/fhir+json;q=0, */*", XML),
        ("application/fhir+json;q=0.000, application/fhir+xml", XML),
        ("application/fhir+xml;q=0, application/fhir+json;q=0.001", JSON),
        ("application/json;q=0, */*;q=0.1", XML),
        ("application/fhir+json, application/fhir+xml", JSON),
        ("application/fhir+xml, application/fhir+json", XML),
        ("application/xml, application/fhir+json", JSON),
        ("application/fhir+json;q=0.1, application/json, application/fhir+xml;q=0.5", XML),
        (FIREFOX, XML),
        (JAVA, JSON),
        (ANY_FHIR, XML),
        ("application/json, text/plain, */*", JSON),
        ("application/fhir+xml; fhirVersion=4.0", XML),
        ('application/fhir+xml; fhirVersion="4.0.1"; charset=UTF-8', XML),
        ("application/fhir+xml; fhirVersion=3.0, application/fhir+json", JSON),
        ("application/fhir+json; fhirVersion=5.0, */*;q=0.1", JSON),
        ("application/fhir+xml; charset=iso-8859-1, application/fhir+json;q=0.2", JSON),
        ('application/fhir+xml; profile="a,b;q=0", application/fhir+json;q=0.9', XML),
        ('application/fhir+xml; profile="never closed, application/fhir+json;q=0.9', XML),
        ("application/fhir+xml;q=abc, application/fhir+json;q=0.1", JSON),
        ("application/fhir+xml;q=9", XML),
        ("text/html, application/fhir+xml;q=0.2", XML),
        ("text/html", None),
        ("text/*", None),
        ("garbage", None),
        (",", None),
        (";;;,,,;q=1", None),
        ("*/*;q=0", None),
        ("application/fhir+json;q=0, application/fhir+xml;q=0", None),
        ("application/fhir+json; fhirVersion=3.0", None),
        ("application/fhir+turtle", None),
        ("application/fhir+json;q=-1", None),
        ("application/fhir+json;q=.", None),
    ],
)
def test_what_is_asked_for_is_answered(accept: str | None, form: Form | None) -> None:
    assert wish_of(accept, None, None).form is form


@pytest.mark.parametrize(
    ("format", "form"),
    [
        ("json", JSON),
        ("xml", XML),
        ("XML", XML),
        ("application/fhir+json", JSON),
        ("application/fhir+xml", XML),
        ("application/fhir xml", XML),
        ("application/fhir json", JSON),
        ("application/json", JSON),
        ("application/xml", XML),
        ("text/json", JSON),
        ("text/xml", XML),
        ("application/fhir xml; fhirVersion=4.0", XML),
        ("xml;charset=utf-8", XML),
        ("application/fhir+xml;fhirVersion=3.0", None),
        ("xml;charset=latin-1", None),
        ("ttl", None),
        ("html", None),
        ("application/fhir", None),
        ("*/*", None),
        ("", None),
    ],
)
def test_a_format_wins_over_accept(format: str, form: Form | None) -> None:
    for accept in (None, "application/fhir+xml", "application/fhir+json", "text/html"):
        assert wish_of(accept, format, "application/fhir+xml").form is form


@pytest.mark.parametrize("media", ["application/fhir+xml", "application/xml", "text/xml; charset=utf-8"])
@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, XML),
        ("", XML),
        ("*/*", XML),
        ("application/*", XML),
        ("application/fhir+json", JSON),
        ("*/*, application/fhir+json;q=0.9", XML),
        ("application/json, */*", JSON),
        ("text/html", None),
    ],
)
def test_without_a_preference_the_answer_is_as_the_body(media: str, accept: str | None, form: Form | None) -> None:
    assert wish_of(accept, None, media).form is form


@pytest.mark.parametrize(
    ("accept", "native"),
    [
        ("application/pdf", {"application/pdf"}),
        ("application/pdf, text/plain;q=0.1", {"application/pdf", "text/plain"}),
        ("application/pdf;q=0, text/plain", {"text/plain"}),
        ("text/plain; charset=iso-8859-1", {"text/plain"}),
        ("application/pdf, application/fhir+json;q=0.1", set()),
        ("application/pdf, */*;q=0.1", set()),
        ("application/fhir+xml", {"application/fhir+xml"}),
        ("text/xml", {"text/xml"}),
        ("application/pdf, application/fhir+xml;q=0.1", {"application/fhir+xml"}),
        ("application/xml, application/fhir+json;q=0.5", set()),
        ("application/fhir+xml; fhirVersion=3.0", set()),
    ],
)
def test_what_a_binary_may_be_answered_as(accept: str, native: set[str]) -> None:
    assert wish_of(accept, None, None).native == native


def test_nothing_offered_is_a_refusal_but_for_a_binary() -> None:
    pdf = wish_of("application/pdf", None, None)
    pdf.must_be_offered(binary=True)
    with pytest.raises(NotAcceptable, match=r"application/fhir\+json.*application/fhir\+xml"):
        pdf.must_be_offered(binary=False)
    with pytest.raises(NotAcceptable, match="_format=ttl") as refused:
        wish_of("application/pdf", "ttl", None).must_be_offered(binary=True)
    assert refused.value.issues[0].expression == ("http._format",)
    with pytest.raises(NotAcceptable):
        wish_of("application/fhir+xml; fhirVersion=3.0", None, None).must_be_offered(binary=True)


def test_a_header_of_quotes_takes_no_time() -> None:
    """Read in one pass: what is never closed is not looked for again."""
    assert wish_of('"\\' * 30_000, None, None).form is None
    assert wish_of('a;b="' + '\\"' * 30_000, None, None).form is None


def _scope(query: bytes = b"", **headers: str) -> dict[str, Any]:
    told = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"headers": told, "query_string": query}


def test_what_cannot_be_read_asks_for_nothing() -> None:
    assert spoken_in(_scope(b"_format=xml&x=%FF")).form is JSON
    assert spoken_in(_scope(b"_format=ttl", accept="application/fhir+xml")).form is JSON
    assert spoken_in(_scope(b"x=1&" * 2000 + b"_format=xml")).form is JSON
    assert spoken_in(_scope(b"x=1&" * 2000 + b"_format=xml", accept="application/fhir+xml")).form is XML


def test_the_first_format_counts() -> None:
    assert spoken_in(_scope(b"_format=xml&_format=json")).form is XML
    assert spoken_in(_scope(b"_pretty=true&_format=application/fhir+xml")).pretty
    assert not spoken_in(_scope(b"_pretty=1")).pretty


def test_two_headers_are_one_list() -> None:
    scope = _scope(accept="text/html")
    scope["headers"].append((b"accept", b"application/fhir+xml"))
    assert spoken_in(scope).form is XML


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("application/fhir+xml", XML),
        ("application/xml; charset=UTF-8", XML),
        ('text/xml;charset="utf-8"; fhirVersion=4.0', XML),
        ("application/json", JSON),
        ("application/fhir+json;charset=utf8", JSON),
    ],
)
def test_a_body_is_what_its_type_says(content_type: str, form: Form) -> None:
    assert form_sent(content_type) is form


@pytest.mark.parametrize(
    ("content_type", "says"),
    [
        (None, "of no stated type"),
        ("", "of no stated type"),
        ("text/plain", "it is text/plain"),
        ("application/xml-patch+xml", "application/fhir+xml; it is application/xml-patch+xml"),
        ("application/fhir+xml; charset=utf-16", "UTF-8"),
        ("text/xml; charset=iso-8859-1", "UTF-8"),
        ("application/fhir+xml; fhirVersion=3.0", "R4"),
    ],
)
def test_another_body_is_refused(content_type: str | None, says: str) -> None:
    with pytest.raises(UnsupportedMedia) as refused:
        form_sent(content_type)
    assert says in str(refused.value)


def test_a_patch_says_which_one_it_is() -> None:
    assert form_of_patch("application/fhir+xml; charset=utf-8") is XML
    assert form_of_patch("application/fhir+json") is JSON
    assert form_of_patch(JSON_PATCH) is JSON
    for media in ("application/xml", "text/xml", "application/json", None):
        with pytest.raises(
            UnsupportedMedia, match=r"json-patch\+json or application/fhir\+json or application/fhir\+xml"
        ):
            form_of_patch(media)
    with pytest.raises(UnsupportedMedia, match="XML Patch is not offered"):
        form_of_patch("application/xml-patch+xml;charset=utf-8")


def test_a_form_is_a_form() -> None:
    must_be(FORM + "; charset=utf-8", FORM)
    with pytest.raises(UnsupportedMedia):
        must_be("application/fhir+xml", FORM)
