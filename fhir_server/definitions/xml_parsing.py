"""Reads a text in XML into plain nodes, and nothing that XML can do besides: no document type, no entity, no network.

https://hl7.org/fhir/R4/xml.html

It is made on expat, and not on lxml. lxml keeps every name that it ever met for as long as the thread lives, whatever
becomes of the document: of a body of 2 MB with 60,000 different names, 3 MB stay (lxml 6.1). That is not for bodies
which anybody may send. expat keeps nothing after a document, stops at a document type before it is read, and tells
where it is in the bytes: the XHTML of a narrative comes out as it was written.
"""

from __future__ import annotations

import re
from typing import Final, Never, TypeAlias
from xml.parsers import expat

from fhir_server.definitions.messages import told
from fhir_server.fhir.errors import Malformed
from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.messages import Told

FHIR: Final = "http://hl7.org/fhir"
XHTML: Final = "http://www.w3.org/1999/xhtml"

MAX_ELEMENTS = 400_000
"""Most elements of one body. A Bundle of 1,000 large documents holds about 150,000."""
MAX_EQUALS_SIGNS = 2 * MAX_ELEMENTS
"""Each attribute has one, so there are not more attributes."""
MAX_PREFIXES = 32
"""Most prefixes of namespaces known at one place. FHIR needs none."""
MAX_ELEMENT_DEPTH = MAX_DEPTH + 2
"""Deepest nesting of elements, XHTML aside. Each is a level of JSON, but for the last, and for what a resource stands
in; the reader of FHIR counts exactly."""
SHOWN = 60
"""How many characters of a name or a value a sentence repeats."""

TEXT: Final = "#text"
"""The name of a node that is no element: text, where FHIR has elements only."""

Node: TypeAlias = "tuple[str, list[str], list[Node], int]"
"""Name, attributes, children, and the place in the body (:func:`place_in`).

The name is the local one in the namespace of FHIR, ``{namespace}local`` in others, with long namespaces cut. The
attributes are names and values in turn, without declarations of namespaces. An element of XHTML is one node with all
that is in it; where others have attributes it has its markup (:func:`markup`)."""

_Scope: TypeAlias = "dict[str, tuple[str, int]]"
"""By prefix, the namespace, and how many elements were open where it was declared."""

_BLANK = " \t\r\n"
_ENCODING = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml\s[^>]*?encoding\s*=\s*[\"']([^\"'>]*)")
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00<", b"<\x00", b"\x00\x00\x00<")
"""How a text in UTF-16 or UTF-32 begins."""
_EMPTY = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]
_UNDEFINED = expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]


def parse(body: bytes) -> Node:
    """Read a document; raise :class:`Malformed` with a sentence that says what is wrong, and where.

    Comments and processing instructions are left out, as the standard allows, but for those within XHTML.
    """
    _check_encoding(body)
    if body.count(b"<") - body.count(b"</") > MAX_ELEMENTS:
        raise Malformed(told("too-many-elements", most=MAX_ELEMENTS))
    if body.count(b"=") > MAX_EQUALS_SIGNS:
        raise Malformed(told("too-many-attributes", most=MAX_EQUALS_SIGNS))
    parser = expat.ParserCreate("utf-8")
    parser.ordered_attributes = True
    parser.buffer_text = True
    parsing = _Parsing(parser, body)
    parser.StartDoctypeDeclHandler = parsing.document_type
    parsing.look_at_elements()
    try:
        parser.Parse(body, True)  # noqa: FBT003 - there is no more to come
    except expat.ExpatError as error:
        raise Malformed(_why_malformed(body, error)) from None
    finally:
        # Parser and handlers hold each other: with the body, they would stay until garbage is collected.
        parser.StartElementHandler = parser.EndElementHandler = None
        parser.CharacterDataHandler = parser.StartDoctypeDeclHandler = None
    return parsing.root[2][0]


def markup(node: Node) -> str:
    """The text of an element of XHTML as it was written, complete in itself."""
    return node[1][0]


def told_at(body: bytes, place: int, why: Told) -> Told:
    """What is wrong at a place in the body, which is told as an editor tells it, by line and character."""
    start = body.rfind(b"\n", 0, place) + 1
    line, column = body.count(b"\n", 0, place) + 1, len(body[start:place].decode(errors="replace")) + 1
    return told("at", line=line, column=column, why=why)


def shown(text: str) -> str:
    """A name or a value as a sentence repeats it: quoted and shortened."""
    start = text[:SHOWN]
    quoted = f"'{start}'" if start.isprintable() else ascii(start)
    return f"{quoted}..." if len(text) > SHOWN else quoted


class _Parsing:
    """One document while expat goes through it."""

    def __init__(self, parser: expat.XMLParserType, body: bytes) -> None:
        self.root: Node = ("", [], [], 0)
        self._parser = parser
        self._body = body
        self._open = [self.root]
        """The elements that are not closed yet, the document first, without those of XHTML."""
        self._scope: _Scope = {"xml": ("http://www.w3.org/XML/1998/namespace", 0)}
        self._is_plain = False
        """Whether a name without a prefix is one of FHIR's."""
        self._outer: list[tuple[int, _Scope]] = [(0, self._scope)]
        """How many elements were open where others were declared, and the scope before."""
        self._xhtml = ""
        """The name of the element of XHTML that is read, as it is written."""
        self._xhtml_from = 0
        self._within = 0
        """How many elements within it are open."""
        self._borrowed: dict[str, None] = {}
        """The prefixes of XHTML, in their order, that it uses and that are declared around it."""

    def document_type(self, *_: object) -> Never:
        self._refuse(told("doctype"))

    def look_at_elements(self) -> None:
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: list[str]) -> None:
        opened = self._open
        if attributes and (attributes[0] != "value" or len(attributes) > 2):  # noqa: PLR2004 - a name and its value
            attributes = self._undeclared(attributes, len(opened))
        if not self._is_plain or ":" in name:
            prefix, local = self._split(name)
            namespace = self._namespace_of(prefix)
            if namespace == XHTML:
                self._begin_xhtml(name, attributes)
                return
            name = local if namespace == FHIR else _qualified(namespace, local)
        if len(attributes) > 2 or (attributes and ":" in attributes[0]):  # noqa: PLR2004 - same
            attributes[::2] = map(self._attribute_name, attributes[::2])
        node: Node = (name, attributes, [], self._parser.CurrentByteIndex)
        opened[-1][2].append(node)
        opened.append(node)
        if len(opened) > MAX_ELEMENT_DEPTH + 1:
            self._refuse(told("too-deep", most=MAX_DEPTH))

    def _end(self, _: str) -> None:
        opened = self._open
        opened.pop()
        if self._outer[-1][0] == len(opened):
            self._return_to(self._outer.pop()[1])

    def _text(self, text: str) -> None:
        """Long text comes in pieces, and is told once."""
        beside = self._open[-1][2]
        if text.strip(_BLANK) and not (beside and beside[-1][0] == TEXT):
            beside.append((TEXT, [], [], self._parser.CurrentByteIndex))

    def _begin_xhtml(self, name: str, attributes: list[str]) -> None:
        self._xhtml, self._xhtml_from = name, self._parser.CurrentByteIndex
        self._borrowed = {}
        self._within = 0
        self._use(name, attributes)
        self._parser.StartElementHandler = self._start_within
        self._parser.EndElementHandler = self._end_within
        self._parser.CharacterDataHandler = None

    def _start_within(self, name: str, attributes: list[str]) -> None:
        self._within += 1
        if attributes:
            attributes = self._undeclared(attributes, len(self._open) + self._within)
        self._use(name, attributes)

    def _end_within(self, _: str) -> None:
        if self._outer[-1][0] == len(self._open) + self._within:
            self._return_to(self._outer.pop()[1])
        if self._within:
            self._within -= 1
            return
        body, name = self._body, self._xhtml.encode()
        end = self._parser.CurrentByteIndex
        if body.startswith(b"</" + name, end):  # else it was <div/>, and this is what follows
            end = body.index(b">", end) + 1
        after_name = self._xhtml_from + 1 + len(name)
        declared = "".join(f' xmlns{":" if prefix else ""}{prefix}="{XHTML}"' for prefix in self._borrowed)
        written = body[self._xhtml_from : after_name].decode() + declared + body[after_name:end].decode()
        local = self._split(self._xhtml)[1]
        self._open[-1][2].append((_qualified(XHTML, local), [written], [], self._xhtml_from))
        self.look_at_elements()

    def _use(self, name: str, attributes: list[str]) -> None:
        """Take note of the namespaces that an element of XHTML uses."""
        prefixes = [self._split(name)[0]]
        prefixes += [self._split(attribute)[0] for attribute in attributes[::2] if ":" in attribute]
        for prefix in prefixes:
            namespace = self._namespace_of(prefix)
            if namespace and prefix != "xml" and self._scope[prefix][1] < len(self._open):
                if namespace != XHTML:
                    self._refuse(told("within-xhtml", name=shown(name), namespace=shown(namespace)))
                self._borrowed[prefix] = None

    def _undeclared(self, attributes: list[str], level: int) -> list[str]:
        """The attributes without the declarations of namespaces, which are taken note of."""
        declared: _Scope = {}
        others: list[str] = []
        for name, value in zip(attributes[::2], attributes[1::2], strict=True):
            if name == "xmlns":
                declared[""] = (value, level)
            elif name.startswith("xmlns:"):
                prefix = name[6:]
                if not value or ":" in prefix or prefix in ("", "xml", "xmlns"):
                    self._refuse(told("prefix-declared-so", prefix=shown(prefix)))
                declared[prefix] = (value, level)
            else:
                others += (name, value)
        if declared:
            self._outer.append((level, self._scope))
            self._return_to({**self._scope, **declared})
            if len(self._scope) > MAX_PREFIXES:
                self._refuse(told("too-many-prefixes", most=MAX_PREFIXES))
        return others

    def _return_to(self, scope: _Scope) -> None:
        self._scope = scope
        self._is_plain = scope.get("", ("", 0))[0] == FHIR

    def _split(self, name: str) -> tuple[str, str]:
        prefix, colon, local = name.partition(":")
        if not colon:
            return "", name
        if not prefix or not local or ":" in local:
            self._refuse(told("no-name", name=shown(name)))
        return prefix, local

    def _namespace_of(self, prefix: str) -> str:
        namespace = self._scope.get(prefix, ("", 0))[0]
        if prefix and not namespace:
            self._refuse(told("prefix-undeclared", prefix=shown(prefix)))
        return namespace

    def _attribute_name(self, name: str) -> str:
        prefix, local = self._split(name)
        return _qualified(self._namespace_of(prefix), local) if prefix else name

    def _refuse(self, why: Told) -> Never:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber + 1
        raise Malformed(told("at", line=line, column=column, why=why))


def _qualified(namespace: str, local: str) -> str:
    return f"{{{namespace[:SHOWN]}}}{local}"


def _check_encoding(body: bytes) -> None:
    declared = _ENCODING.match(body)
    name = declared[1].decode("ascii", "replace") if declared else "UTF-8"
    if body.startswith(_WIDE):
        raise Malformed(told("encoding", encoding=told("wide")))
    if name.upper() != "UTF-8":
        raise Malformed(told("encoding", encoding=shown(name)))


def _why_malformed(body: bytes, error: expat.ExpatError) -> Told:
    """Say where the text breaks, by line and column."""
    if error.code == _EMPTY and not body.strip(b"\xef\xbb\xbf \t\r\n"):
        return told("empty")
    try:
        body.decode()
    except UnicodeDecodeError as broken:
        return told("not-utf-8", byte=broken.start)
    key = "undefined-entity" if error.code == _UNDEFINED else "not-well-formed"
    return told(key, why=expat.ErrorString(error.code), line=error.lineno, column=error.offset + 1)
