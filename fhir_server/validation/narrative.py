"""The XHTML of a narrative: a formatted text, and nothing that acts.

https://hl7.org/fhir/R4/narrative.html#xhtml (txt-1, txt-2)

Named entities of HTML such as ``&nbsp;`` are not XML; published resources hold them, so they are read as the character
they stand for.

It is read with expat, as bodies in XML are (`definitions.xml_parsing`): lxml keeps each name it meets for as long as
the thread lives, and these names are whatever anybody sends. Reading ends at the first thing that is not allowed.
"""

from __future__ import annotations

import re
from html.entities import name2codepoint
from typing import Final, Never
from xml.parsers import expat

from fhir_server.fhir.json import Json
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType
from fhir_server.validation.finding import Container, Findings, one, shown
from fhir_server.validation.messages import not_a, told

XHTML = "http://www.w3.org/1999/xhtml"
_XML = "http://www.w3.org/XML/1998/namespace "

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

_ALLOWED = {f"{XHTML} {name}": _EVERYWHERE | ATTRIBUTES.get(name, frozenset()) for name in ELEMENTS}
_DIV, _IMG = f"{XHTML} div", f"{XHTML} img"
_MAX_DEPTH: Final = 250
"""Deepest nesting of elements; tables in tables in tables stay under 20."""
_LOOKED_AT = frozenset(["cite", "href", "longdesc", "src", "style", "usemap"])
_SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*):", re.IGNORECASE)
_SCHEMES = frozenset(["http", "https", "mailto", "tel", "ftp", "urn"])
_IMAGE = re.compile(r"data:image/(?:gif|jpeg|png);base64,[A-Za-z0-9+/=]*")
_IGNORED_IN_ADDRESSES = re.compile("[\x00-\x20\x7f-\xa0]+")
_ACTIVE_STYLE = re.compile(
    r"url\s*\(|expression\s*\(|@import|javascript:|behaviou?r\s*:|-moz-binding|\\", re.IGNORECASE
)
_PICTURE = re.compile(
    r"url\(\s*(?:data:\s*image/(?:gif|jpeg|png);base64,[A-Za-z0-9+/=]*|[A-Za-z0-9_.\-][A-Za-z0-9_./\-]*)\s*\)",
    re.IGNORECASE,
)
"""What the trees of published profiles are drawn with: a picture that is inside, or beside. It calls nobody."""
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML = frozenset(["amp", "apos", "gt", "lt", "quot"])


def xhtml(value: Json, _: Container) -> Findings | None:
    """The check of ``Narrative.div``."""
    if type(value) is not str:
        return not_a("string-expected", value, type="xhtml")
    reading = _Reading()
    try:
        reading.read(_without_named_entities(value).encode())
    except _NotAllowed as refused:
        return one(refused.code, refused.message, rule=refused.rule)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        return one(IssueType.STRUCTURE, told("not-well-formed", why=_why(error)), rule="narrative")
    if not reading.says_something:
        return one(IssueType.INVARIANT, told("says-nothing"), rule="txt-2")
    return None


class _NotAllowed(Exception):
    """What no narrative may hold."""

    def __init__(self, code: IssueType, message: Told) -> None:
        super().__init__(message.en)
        self.code = code
        self.message = message
        self.rule = "txt-1" if code is IssueType.INVARIANT else "narrative"


class _Reading:
    """One narrative while expat goes through it."""

    def __init__(self) -> None:
        self.says_something = False
        self._depth = 0
        self._begun = False

    def read(self, markup: bytes) -> None:
        """Raise `_NotAllowed` for what may not be there, and ``ExpatError`` for what is not well-formed."""
        parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.ordered_attributes = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._document_type
        parser.ProcessingInstructionHandler = self._instruction
        parser.CommentHandler = self._comment
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        # The parser holds what it calls, and is held by nobody: it goes at once, as what it keeps of names does.
        parser.Parse(markup, True)  # noqa: FBT003 - there is no more to come

    def _declaration(self, _: str, encoding: str | None, __: int) -> None:
        if encoding is not None:
            raise _NotAllowed(IssueType.STRUCTURE, told("declares-encoding"))

    def _document_type(self, *_: object) -> Never:
        raise _NotAllowed(IssueType.SECURITY, _BEGINS_WITH_DIV)

    def _instruction(self, *_: object) -> Never:
        if not self._begun:
            raise _NotAllowed(IssueType.SECURITY, _BEGINS_WITH_DIV)
        raise _NotAllowed(IssueType.INVARIANT, told("no-instruction"))

    def _comment(self, _: str) -> None:
        if not self._begun:
            raise _NotAllowed(IssueType.SECURITY, _BEGINS_WITH_DIV)

    def _start(self, name: str, attributes: list[str]) -> None:
        if not self._begun and name != _DIV:
            raise _NotAllowed(IssueType.STRUCTURE, told("one-div", namespace=XHTML))
        self._begun = True
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _NotAllowed(IssueType.STRUCTURE, told("narrative-too-deep", most=_MAX_DEPTH))
        allowed = _ALLOWED.get(name)
        if allowed is None:
            raise _NotAllowed(IssueType.INVARIANT, told("html-element", name=shown(_local(name))))
        for attribute, value in zip(attributes[::2], attributes[1::2], strict=True):
            if attribute not in allowed:
                refused = told("html-attribute", name=shown(_local(attribute)), element=_local(name))
                raise _NotAllowed(IssueType.INVARIANT, refused)
            if attribute in _LOOKED_AT and not _is_harmless(attribute, value, image=name == _IMG):
                raise _NotAllowed(IssueType.INVARIANT, told("html-value", name=attribute, value=shown(value)))
        if name == _IMG:
            self.says_something = True

    def _end(self, _: str) -> None:
        self._depth -= 1

    def _text(self, text: str) -> None:
        if not self.says_something and text.strip():
            self.says_something = True


_BEGINS_WITH_DIV: Final = told("begins-with-div")


def _without_named_entities(value: str) -> str:
    return _ENTITY.sub(_character, value) if "&" in value else value


def _character(entity: re.Match[str]) -> str:
    name = entity[1]
    return entity[0] if name in _OF_XML or name not in name2codepoint else chr(name2codepoint[name])


def _why(error: expat.ExpatError | UnicodeEncodeError) -> Told:
    if isinstance(error, UnicodeEncodeError):
        return told("half-a-character")
    return told("at-line", why=expat.ErrorString(error.code), line=error.lineno, column=error.offset + 1)


def _is_harmless(name: str, value: str, *, image: bool) -> bool:
    if name == "style":
        return _ACTIVE_STYLE.search(_PICTURE.sub("", value)) is None
    return _is_safe_address(value, image=image)


def _is_safe_address(value: str, *, image: bool) -> bool:
    """Relative, or of a scheme that shows and does nothing. White space in a scheme is ignored, as browsers do."""
    packed = _IGNORED_IN_ADDRESSES.sub("", value)
    scheme = _SCHEME.match(packed)
    if scheme is None or scheme[1].lower() in _SCHEMES:
        return True
    return image and _IMAGE.fullmatch(packed) is not None


def _local(name: str) -> str:
    """A name without its namespace, but for XML's own."""
    return f"xml:{name.removeprefix(_XML)}" if name.startswith(_XML) else name.rpartition(" ")[2]
