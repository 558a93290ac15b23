"""The XHTML of a narrative: a formatted text, and nothing that acts.

https://hl7.org/fhir/R4/narrative.html#xhtml (txt-1, txt-2)

Named entities of HTML such as ``&nbsp;`` are not XML; published resources hold them, so they are read as the character
they stand for.
"""

from __future__ import annotations

import re
from html.entities import name2codepoint

from lxml import etree

from fhir_server.fhir.json import Json
from fhir_server.fhir.outcome import IssueType
from fhir_server.validation.finding import Container, Findings, not_a, one, shown

XHTML = "http://www.w3.org/1999/xhtml"
_XML = "{http://www.w3.org/XML/1998/namespace}"

ELEMENTS = frozenset(
    """a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd del dfn div dl dt em
    h1 h2 h3 h4 h5 h6 hr i img ins kbd li map ol p pre q samp small span strong sub sup table tbody td tfoot th thead
    tr tt ul var""".split()
)
"""Text, lists, tables, links and images of HTML 4."""

_EVERYWHERE = frozenset(["class", "dir", "id", "lang", "style", "title", f"{_XML}lang", f"{_XML}space"])
_CELLS = frozenset(["abbr", "align", "axis", "char", "charoff", "colspan", "headers", "nowrap", "rowspan", "scope"])
_ROWS = frozenset(["align", "char", "charoff", "valign"])
ATTRIBUTES = {
    "a": frozenset(["accesskey", "charset", "coords", "href", "hreflang", "name", "rel", "rev", "shape", "tabindex"]),
    "area": frozenset(["accesskey", "alt", "coords", "href", "nohref", "shape", "tabindex"]),
    "blockquote": frozenset(["cite"]),
    "col": _ROWS | {"span", "width"},
    "colgroup": _ROWS | {"span", "width"},
    "del": frozenset(["cite", "datetime"]),
    "img": frozenset(["alt", "border", "height", "ismap", "longdesc", "src", "usemap", "width"]),
    "ins": frozenset(["cite", "datetime"]),
    "li": frozenset(["type", "value"]),
    "map": frozenset(["name"]),
    "ol": frozenset(["start", "type"]),
    "q": frozenset(["cite"]),
    "table": frozenset(
        ["align", "bgcolor", "border", "cellpadding", "cellspacing", "frame", "rules", "summary", "width"]
    ),
    "tbody": _ROWS,
    "td": _CELLS | {"bgcolor", "height", "valign", "width"},
    "tfoot": _ROWS,
    "th": _CELLS | {"bgcolor", "height", "valign", "width"},
    "thead": _ROWS,
    "tr": _ROWS | {"bgcolor"},
    "ul": frozenset(["type"]),
}
"""Besides those that every element may have."""

_ALLOWED = {f"{{{XHTML}}}{name}": _EVERYWHERE | ATTRIBUTES.get(name, frozenset()) for name in ELEMENTS}
_DIV, _IMG = f"{{{XHTML}}}div", f"{{{XHTML}}}img"
_LOOKED_AT = frozenset(["cite", "href", "longdesc", "src", "style", "usemap"])
_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):", re.IGNORECASE)
_SCHEMES = frozenset(["http", "https", "mailto", "tel", "ftp", "urn"])
_IMAGE = re.compile(r"data:image/(?:gif|jpeg|png);base64,[A-Za-z0-9+/=]*")
_IGNORED_IN_ADDRESSES = re.compile("[\x00-\x20\x7f-\xa0]+")
_ACTIVE_STYLE = re.compile(
    r"url\s*\(|expression\s*\(|@import|javascript:|behaviou?r\s*:|-moz-binding|\\", re.IGNORECASE
)
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML = frozenset(["amp", "apos", "gt", "lt", "quot"])


def xhtml(value: Json, _: Container) -> Findings | None:
    """The check of ``Narrative.div``."""
    if type(value) is not str:
        return not_a("A string (xhtml)", value)
    try:
        # A parser of its own each time: one that met an error would keep it in its log.
        root = etree.fromstring(_without_named_entities(value), _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        return one(IssueType.STRUCTURE, f"The narrative is not well-formed XHTML: {_first_line(error)}.")
    if root.tag != _DIV:
        return one(IssueType.STRUCTURE, f"The narrative must be one div of the namespace {XHTML}.")
    if root.getroottree().docinfo.internalDTD is not None or root.getprevious() is not None:
        return one(IssueType.SECURITY, "The narrative must begin with its div: no document type, nothing before it.")
    wrong = _why_not_allowed(root) or _why_empty(root)
    return None if wrong is None else one(IssueType.INVARIANT, wrong)


def _parser() -> etree.XMLParser:
    return etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False, remove_pis=False)


def _without_named_entities(value: str) -> str:
    return _ENTITY.sub(_character, value) if "&" in value else value


def _character(entity: re.Match[str]) -> str:
    name = entity[1]
    return entity[0] if name in _OF_XML or name not in name2codepoint else chr(name2codepoint[name])


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(" (<string>")[0].rstrip(".")


def _why_not_allowed(root: etree._Element) -> str | None:
    for element in root.iter():
        tag = element.tag
        allowed = _ALLOWED.get(tag)
        if allowed is None:
            if isinstance(element, etree._Comment):  # noqa: SLF001 - the public name is a function
                continue
            return f"txt-1: The element {shown(_local(tag))} may not be used in a narrative."
        for name, value in element.items():
            if name not in allowed:
                return f"txt-1: The attribute {shown(_local(name))} may not be used on {_local(tag)} in a narrative."
            if name in _LOOKED_AT and not _is_harmless(name, str(value), image=tag == _IMG):
                return f"txt-1: {_local(name)}={shown(str(value))} may not be used in a narrative."
    return None


def _why_empty(root: etree._Element) -> str | None:
    if any(str(text).strip() for text in root.itertext()) or next(root.iter(_IMG), None) is not None:
        return None
    return "txt-2: The narrative must hold some text or an image."


def _is_harmless(name: str, value: str, *, image: bool) -> bool:
    return _ACTIVE_STYLE.search(value) is None if name == "style" else _is_safe_address(value, image=image)


def _is_safe_address(value: str, *, image: bool) -> bool:
    """Relative, or of a scheme that shows and does nothing. White space in a scheme is ignored, as browsers do."""
    packed = _IGNORED_IN_ADDRESSES.sub("", value)
    scheme = _SCHEME.match(packed)
    if scheme is None or scheme[1].lower() in _SCHEMES:
        return True
    return image and _IMAGE.fullmatch(packed) is not None


def _local(tag: object) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else "a processing instruction or entity"
