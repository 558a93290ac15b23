"""A resource in JSON to the same resource in XML.

https://hl7.org/fhir/R4/xml.html

It writes what this server stores or answers, which is valid already. What XML cannot say is refused, with the element
concerned, and never left out: an element that R4 does not have, a value of another type, and the few characters that
strings of JSON may hold and no XML may (U+FFFE, U+FFFF).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.entities import name2codepoint
from itertools import zip_longest
from operator import itemgetter
from typing import Any, Final, Never, TypeAlias

import msgspec

from fhir_server.definitions.messages import told
from fhir_server.definitions.tables import Definitions
from fhir_server.definitions.xml_parsing import FHIR, XHTML, Node, markup, parse, shown
from fhir_server.definitions.xml_shapes import IN_TAG, Form, Member, members_of
from fhir_server.fhir.errors import Malformed, NotAcceptable
from fhir_server.fhir.json import decode
from fhir_server.fhir.messages import Told

DECLARATION: Final = '<?xml version="1.0" encoding="UTF-8"?>'

_DIV: Final = f"{{{XHTML}}}div"
_SPECIAL = re.compile('[&<>"\x00-\x1f\ufffe\uffff]')
_ESCAPED: Final = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;",
}  # fmt: skip
"""White space but the space is written by number, or a reader would take it for a space."""
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML: Final = frozenset(["amp", "apos", "gt", "lt", "quot"])


class _Number(str):
    """A number with a point or an exponent, as it is written."""

    __slots__ = ()


_decoder = msgspec.json.Decoder(float_hook=_Number)
_special = _SPECIAL.search

Json: TypeAlias = Any
"""A tree as :data:`_decoder` gives it, whose decimals are :class:`_Number`: wider than ``fhir.json.Json``."""

JsonObject: TypeAlias = "dict[str, Any]"

_JSON: Final[Mapping[str, tuple[type, ...]]] = {
    "boolean": (bool,),
    "integer": (int,),
    "unsignedInt": (int,),
    "positiveInt": (int,),
    "decimal": (int, _Number),
}
"""The types of JSON that a primitive type has, where it is no string."""
_TEXT: Final = (str,)


@dataclass(slots=True, eq=False)
class _Shape:
    """How the members of one structure are written."""

    name: str
    is_resource: bool = False
    steps: dict[str, _Step] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is less often needed of a step."""

    member: Member
    json: tuple[type, ...]
    """Of a primitive, the types its value may have in JSON."""
    below: _Shape
    """The shape of the object, or of what is said about a primitive."""


_Write: TypeAlias = "Callable[[XmlWriter, JsonObject, Json, _Rest, str, str], str]"
"""Writes a member: the object that has it, its value, the rest of the step, the path, what goes before an element."""

_Step: TypeAlias = "tuple[int, bool, str, _Write, _Rest]"
"""Position, whether it is a string that does not repeat (the most usual, which is written at once), the name of what
may be said about it, and how it is written otherwise."""

_NOTHING: Final = _Shape("nothing")


class XmlWriter:
    """The shapes of all structures, made when they are first asked for."""

    def __init__(self, definitions: Definitions) -> None:
        """Make nothing yet."""
        self._definitions = definitions
        self._resource_types = frozenset(definitions.resource_types)
        self._shapes: dict[str, _Shape] = {}

    def to_xml(self, body: bytes, *, pretty: bool = False) -> bytes:
        """The same resource in XML, in UTF-8; indented for people when it shall be pretty.

        Raises :class:`Malformed` for what is no JSON, :class:`NotAcceptable` for what XML cannot say.
        """
        try:
            resource = _decoder.decode(body)
        except (ValueError, RecursionError):
            resource = decode(body)  # which raises, and says why
        try:
            written = self._resource(resource, "", "\n" if pretty else "", f' xmlns="{FHIR}"')
        except RecursionError:
            raise NotAcceptable(told("too-deep-to-write")) from None
        return f"{DECLARATION}{written}".encode()

    def _shape(self, name: str) -> _Shape:
        """The shape of a structure, which is filled after it is made: types refer to each other."""
        found = self._shapes.get(name)
        if found is not None:
            return found
        structure = self._definitions.structures[name]
        shape = self._shapes[name] = _Shape(name, is_resource=structure.kind == "resource")
        for member in members_of(self._definitions, structure):
            json, below, about = _JSON.get(member.type, _TEXT), _NOTHING, ""
            if member.form is Form.OBJECT:
                below = self._shape(member.type)
            elif member.form is Form.PRIMITIVE and not member.is_bare:
                below, about = self._shape("Element"), f"_{member.name}"
            rest = _Rest(member, json, below)
            is_text = member.form is Form.PRIMITIVE and json is _TEXT and not member.repeats
            write = _WRITE[member.form, member.repeats]
            shape.steps[member.name] = (member.position, is_text, about, write, rest)
            if about:
                shape.steps[about] = (member.position, False, "", XmlWriter._about_alone, rest)
        return shape

    def _resource(self, value: Json, at: str, space: str, attributes: str = "") -> str:
        """A resource at a place; ``space`` is what goes before each element: nothing, or a new line and the indent."""
        name = value.get("resourceType") if type(value) is dict else None
        if type(name) is not str or name not in self._resource_types:
            _refuse(at, told("is-no-resource"))
        return self._object(name, value, self._shape(name), at or name, space, attributes)

    def _object(self, tag: str, value: Json, shape: _Shape, at: str, space: str, attributes: str = "") -> str:
        """The element of an object; the hottest code of writing."""
        if type(value) is not dict:
            _refuse(at, told("is-no-object"))
        step_of = shape.steps.get
        inner = space and f"{space}  "
        parts: list[tuple[int, str]] = []
        latest, is_in_order = 0, True
        for name, part in value.items():
            step = step_of(name)
            if step is None:
                if name == "resourceType" and shape.is_resource:
                    continue
                _refuse(at, told("has-no-element", name=shown(name)))
            position, is_text, about, write, rest = step
            if is_text and type(part) is str and part and about not in value and not _special(part):
                written = f'{inner}<{name} value="{part}"/>'
            else:
                written = write(self, value, part, rest, at, inner)
            if position < latest:
                if position == IN_TAG:
                    attributes += written
                    continue
                is_in_order = False
            latest = position
            parts.append((position, written))
        if not is_in_order:
            parts.sort(key=itemgetter(0))
        content = "".join([written for _, written in parts])
        return f"{space}<{tag}{attributes}>{content}{space}</{tag}>" if content else f"{space}<{tag}{attributes}/>"

    def _attribute(self, _: JsonObject, part: Json, rest: _Rest, at: str, __: str) -> str:
        name = rest.member.name
        return f' {name}="{_literal(part, rest.json, f"{at}.{name}")}"'

    def _single(self, value: JsonObject, part: Json, rest: _Rest, at: str, space: str) -> str:
        about = value.get(f"_{rest.member.name}")
        return self._primitive(part, about, rest, f"{at}.{rest.member.segment}", space)

    def _many(self, value: JsonObject, part: Json, rest: _Rest, at: str, space: str) -> str:
        at = f"{at}.{rest.member.segment}"
        abouts = value.get(f"_{rest.member.name}")
        pairs = zip_longest(_items(part, at), [] if abouts is None else _items(abouts, at))
        return "".join(
            [self._primitive(item, about, rest, f"{at}[{n}]", space) for n, (item, about) in enumerate(pairs)]
        )

    def _about_alone(self, value: JsonObject, part: Json, rest: _Rest, at: str, space: str) -> str:
        """What is said about a primitive is written with its value, and here where it has none."""
        member = rest.member
        if member.name in value:
            return ""
        at = f"{at}.{member.segment}"
        if not member.repeats:
            return self._primitive(None, part, rest, at, space)
        abouts = enumerate(_items(part, at))
        return "".join([self._primitive(None, about, rest, f"{at}[{n}]", space) for n, about in abouts])

    def _primitive(self, part: Json, about: Json, rest: _Rest, at: str, space: str) -> str:
        name = rest.member.name
        if about is None:
            return f'{space}<{name} value="{_literal(part, rest.json, at)}"/>'
        attributes = "" if part is None else f' value="{_literal(part, rest.json, at)}"'
        return self._object(name, about, rest.below, at, space, attributes)

    def _one(self, _: JsonObject, part: Json, rest: _Rest, at: str, space: str) -> str:
        return self._object(rest.member.name, part, rest.below, f"{at}.{rest.member.segment}", space)

    def _objects(self, _: JsonObject, part: Json, rest: _Rest, at: str, space: str) -> str:
        name, below, at = rest.member.name, rest.below, f"{at}.{rest.member.segment}"
        items = enumerate(_items(part, at))
        return "".join([self._object(name, item, below, f"{at}[{n}]", space) for n, item in items])

    def _held(self, _: JsonObject, part: Json, rest: _Rest, at: str, space: str) -> str:
        """A resource stands in an element such as ``resource``."""
        name = rest.member.name
        resource = self._resource(part, f"{at}.{name}", space and f"{space}  ")
        return f"{space}<{name}>{resource}{space}</{name}>"

    def _all_held(self, _: JsonObject, part: Json, rest: _Rest, at: str, space: str) -> str:
        name, inner = rest.member.name, space and f"{space}  "
        held = [self._resource(item, f"{at}.{name}[{n}]", inner) for n, item in enumerate(_items(part, f"{at}.{name}"))]
        return "".join([f"{space}<{name}>{resource}{space}</{name}>" for resource in held])

    def _xhtml(self, _: JsonObject, part: Json, rest: _Rest, at: str, space: str) -> str:
        """The markup as it is; named entities of HTML are not XML and become the characters they stand for."""
        at = f"{at}.{rest.member.segment}"
        if type(part) is not str:
            _refuse(at, told("is-no-string"))
        root = _root(part.encode()) or _root(_without_named_entities(part).encode())
        if root is None or root[0] != _DIV:
            _refuse(at, told("is-no-div", namespace=XHTML))
        return f"{space}{markup(root)}"


_WRITE: Final[Mapping[tuple[Form, bool], _Write]] = {
    (Form.ATTRIBUTE, False): XmlWriter._attribute,  # noqa: SLF001 - all of these are the writer's own
    (Form.PRIMITIVE, False): XmlWriter._single,  # noqa: SLF001
    (Form.PRIMITIVE, True): XmlWriter._many,  # noqa: SLF001
    (Form.OBJECT, False): XmlWriter._one,  # noqa: SLF001
    (Form.OBJECT, True): XmlWriter._objects,  # noqa: SLF001
    (Form.RESOURCE, False): XmlWriter._held,  # noqa: SLF001
    (Form.RESOURCE, True): XmlWriter._all_held,  # noqa: SLF001
    (Form.XHTML, False): XmlWriter._xhtml,  # noqa: SLF001
}


def _literal(value: Json, types: tuple[type, ...], at: str) -> str:
    """The value of a primitive as the content of an attribute."""
    if type(value) not in types:
        _refuse(at, told("is-of-another-type"))
    if type(value) is bool:
        return "true" if value else "false"
    if value == "":
        _refuse(at, told("is-an-empty-string"))
    text = str(value)
    return _SPECIAL.sub(lambda found: _escaped(found[0], at), text)


def _escaped(character: str, at: str) -> str:
    if character not in _ESCAPED:
        _refuse(at, told("holds-a-character", point=f"{ord(character):04X}"))
    return _ESCAPED[character]


def _items(value: Json, at: str) -> list[Json]:
    if type(value) is not list or not value:
        _refuse(at, told("is-no-array"))
    return value


def _root(body: bytes) -> Node | None:
    try:
        return parse(body)
    except Malformed:
        return None


def _without_named_entities(value: str) -> str:
    return _ENTITY.sub(_character, value)


def _character(entity: re.Match[str]) -> str:
    name = entity[1]
    return entity[0] if name in _OF_XML or name not in name2codepoint else chr(name2codepoint[name])


def _refuse(at: str, why: Told) -> Never:
    message = told("unwritable", element=at or told("the-body"), why=why)
    raise NotAcceptable(message, expression=(at,) if at else ())
