"""The XHTML of a narrative: what published resources hold is accepted, what acts is not."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_server.validation import narrative

Told = list[tuple[str, str]]
Validate = Callable[[Any], Told]

XMLNS = 'xmlns="http://www.w3.org/1999/xhtml"'


def told_of(errors: Validate, div: Any) -> Told:
    return errors({"resourceType": "Patient", "text": {"status": "generated", "div": div}})


@pytest.mark.parametrize(
    "inner",
    [
        "texte",
        "<p>a<br/>b</p>",
        '<p style="background: white url(data: image/png;base64,iVBORw0KGgo=) repeat-y, url(tbl_bck1.png)">a</p>',
        '<p class="res-header-id" style="margin-bottom: 0px; color: #fff"><b>Titre</b></p><a name="x"> </a>',
        '<table class="grid"><tr><td colspan="3" title="x">a</td></tr></table>',
        '<a href="Patient-1.html">x</a><a href="https://x.fr/a?b=c">y</a>',
        '<a href="mailto:a@b.fr">z</a><a href="tel:+33123456789">t</a><a href="#f">f</a>',
        '<img src="data:image/png;base64,AAAA" alt="x"/>',
        '<img src="https://x.fr/logo.png"/>',
        '<div xml:lang="fr" lang="fr">Résumé</div>',
        "a&nbsp;b &eacute; &amp; &lt; &#160; &#xE9;",
        "<!-- remarque -->a",
        "<![CDATA[<script>texte</script>]]>",
        "<ul><li>un</li></ul><ol><li>deux</li></ol><h1>t</h1><blockquote>q</blockquote><pre>p</pre><hr/>",
    ],
)
def test_formatted_text(errors: Validate, inner: str) -> None:
    assert told_of(errors, f"<div {XMLNS}>{inner}</div>") == []


def test_a_prefix_for_the_namespace_is_the_same(errors: Validate) -> None:
    assert told_of(errors, f'<h:div xmlns:h="{XMLNS[7:-1]}"><h:p>a</h:p></h:div>') == []


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ("<script>alert(1)</script>", "invariant"),
        ("<p onclick='x()'>a</p>", "invariant"),
        ("<iframe src='https://x'/>", "invariant"),
        ("<object>x</object>", "invariant"),
        ("<form><input/></form>", "invariant"),
        ("<style>p{}</style>", "invariant"),
        ("<link href='x'/>", "invariant"),
        ("<svg xmlns='http://www.w3.org/2000/svg'><script>x</script></svg>", "invariant"),
        ("<p xmlns='urn:other'>a</p>", "invariant"),
        ("<a href='javascript:alert(1)'>a</a>", "invariant"),
        ("<a href='JaVa&#10;Script:alert(1)'>a</a>", "invariant"),
        ("<a href=' javascript:alert(1)'>a</a>", "invariant"),
        ("<a href='&#1114111;x' onfocus='y'>a</a>", "invariant"),
        ("<a href='vbscript:x'>a</a>", "invariant"),
        ("<a href='data:text/html;base64,AAAA'>a</a>", "invariant"),
        ("<img src='data:image/svg+xml;base64,AAAA'/>", "invariant"),
        ("<img src='javascript:x'/>", "invariant"),
        ("<q cite='javascript:x'>a</q>", "invariant"),
        ("<p style='background: url(https://x)'>a</p>", "invariant"),
        ("<p style='background: url(//x/a.png)'>a</p>", "invariant"),
        ("<p style='background: url(data:image/svg+xml;base64,AAAA)'>a</p>", "invariant"),
        ("<p style='background: url(a.png) url(\"https://x\")'>a</p>", "invariant"),
        ("<p style='background: url(a.png), u\\rl(b.png)'>a</p>", "invariant"),
        ("<p style='width: expression(alert(1))'>a</p>", "invariant"),
        ("<p style='b: \\75rl(x)'>a</p>", "invariant"),
        ("<a xlink:href='x' xmlns:xlink='http://www.w3.org/1999/xlink'>a</a>", "invariant"),
        ("<?php x ?>a", "invariant"),
        ("", "invariant"),
        ("  \n <p> </p>", "invariant"),
        ("&#160;", "invariant"),
        ("<!-- remarque -->", "invariant"),
        ("<p>a", "structure"),
        ("a & b", "structure"),
        ("&unknown;", "structure"),
        ("\x00", "structure"),
        ("\ud800", "structure"),
        ("<p a='1' a='2'>x</p>", "structure"),
        ("<p>" * 400 + "x" + "</p>" * 400, "structure"),
        ("<x:p>a</x:p>", "structure"),
        ("<p xmlns=''>a</p>", "invariant"),
        ("<script/><p>never read on", "invariant"),
    ],
)
def test_refused(errors: Validate, inner: str, code: str) -> None:
    assert told_of(errors, f"<div {XMLNS}>{inner}</div>") == [("Patient.text.div", code)]


@pytest.mark.parametrize(
    ("div", "code"),
    [
        ("", "structure"),
        ("texte", "structure"),
        ("<div>sans espace de noms</div>", "structure"),
        (f"<p {XMLNS}>x</p>", "structure"),
        (f"<div {XMLNS}>a</div><div {XMLNS}>b</div>", "structure"),
        (f"<?xml version='1.0'?><?x y?><div {XMLNS}>a</div>", "security"),
        (f"<?xml version='1.0' encoding='utf-8'?><div {XMLNS}>a</div>", "structure"),
        (f"<!-- x --><div {XMLNS}>a</div>", "security"),
        (f"<?xml version='1.0' encoding='latin-1'?><div {XMLNS}>a</div>", "structure"),
        (f"<div {XMLNS}>a</div><?x y?>", "invariant"),
        (f"<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><div {XMLNS} title='&a;'>b</div>", "security"),
        (f"<!DOCTYPE div [<!ENTITY x 'y'>]><div {XMLNS}>&x;</div>", "security"),
        (f"<!DOCTYPE div SYSTEM 'file:///etc/passwd'><div {XMLNS}>a</div>", "security"),
        (f"<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><div {XMLNS}>&b;</div>", "security"),
        (None, "structure"),
        (3, "structure"),
        (["x"], "structure"),
        ({"p": "x"}, "structure"),
    ],
)
def test_not_one_div(errors: Validate, div: Any, code: str) -> None:
    assert told_of(errors, div) == [("Patient.text.div", code)]


def test_a_narrative_has_a_status_of_the_standard(errors: Validate) -> None:
    text = {"status": "made", "div": f"<div {XMLNS}>a</div>"}
    assert errors({"resourceType": "Patient", "text": text}) == [("Patient.text.status", "code-invalid")]
    assert errors({"resourceType": "Patient", "text": {"status": "empty"}}) == [("Patient.text.div", "required")]


def test_names_that_nobody_knows_do_not_fill_the_memory(errors: Validate) -> None:
    """With lxml, 1.5 MB would stay of each of these, whatever becomes of the narrative."""

    def resident() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096

    def meet(number: int) -> None:
        names = "".join(f"<unknown-element-{number}-{name}/>" for name in range(30_000))
        attributes = " ".join(f"unknown-{number}-{name}=''" for name in range(30_000))
        assert told_of(errors, f"<div {XMLNS}>{names}</div>") == [("Patient.text.div", "invariant")]
        assert told_of(errors, f"<div {XMLNS}><p {attributes}/></div>") == [("Patient.text.div", "invariant")]

    for number in range(5):
        meet(number)
    before = resident()
    for number in range(5, 35):
        meet(number)
    assert resident() - before < 15_000_000


def test_nothing_stays_after_a_narrative(errors: Validate) -> None:
    """Nothing that was used to read it waits for garbage to be collected."""
    gc.collect()
    gc.disable()
    try:
        told_of(errors, f"<div {XMLNS}>a</div>")
        told_of(errors, f"<div {XMLNS}><script/></div>")
        assert not [one for one in gc.get_objects() if isinstance(one, narrative._Reading)]
    finally:
        gc.enable()
