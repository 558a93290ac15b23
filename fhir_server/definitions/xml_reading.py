"""A resource in XML to the same resource in JSON.

https://hl7.org/fhir/R4/xml.html

What XML says in another way than JSON is judged here: names, order, repetition, attributes, text, and the literals of
booleans and numbers, which are no strings in JSON. The rest (what is missing, patterns, bindings, invariants) is judged
on the JSON, by the one validator.

Values come out as they went in: white space is not trimmed, and decimals keep their form. Only the sign of ``+5`` goes,
which JSON does not have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Never, TypeAlias

import msgspec

from fhir_server.definitions.messages import told
from fhir_server.definitions.tables import Definitions
from fhir_server.definitions.xml_parsing import FHIR, TEXT, XHTML, Node, markup, parse, shown, told_at
from fhir_server.definitions.xml_shapes import SCHEMA_LOCATION, Form, Member, members_of
from fhir_server.fhir.errors import Invalid, Malformed
from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import Issue, IssueType, error, information

MOST_ISSUES = 50
"""So many defects are told of one body."""

JsonObject: TypeAlias = "dict[str, Any]"
"""A tree for msgspec, whose numbers are :class:`msgspec.Raw`: they keep their lexical form."""

Convert: TypeAlias = "Callable[[str], bool | msgspec.Raw | None]"
"""From the literal of a primitive to its JSON; None for what is no literal of its type."""

Value: TypeAlias = "bool | str | msgspec.Raw | None"
"""The value of a primitive."""

_DIV: Final = f"{{{XHTML}}}div"
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _integer(literal: str) -> msgspec.Raw | None:
    return msgspec.Raw(literal.removeprefix("+").encode()) if _INTEGER.fullmatch(literal) else None


def _decimal(literal: str) -> msgspec.Raw | None:
    return msgspec.Raw(literal.encode()) if _DECIMAL.fullmatch(literal) else None


_CONVERT: Final[Mapping[str, Convert]] = {
    "boolean": {"true": True, "false": False}.get,
    "integer": _integer,
    "unsignedInt": _integer,
    "positiveInt": _integer,
    "decimal": _decimal,
}
"""The types whose values are no strings in JSON."""

_EXPECTED: Final[Mapping[str, str]] = {"boolean": "as-boolean", "decimal": "as-decimal"}
_AN_INTEGER: Final = "as-integer"


@dataclass(slots=True, eq=False)
class _Shape:
    """How the attributes and elements of one structure are read."""

    name: str
    is_resource: bool = False
    attributes: tuple[str, ...] = ()
    steps: dict[str, _Step] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Rest:
    """What is less often needed of a step."""

    member: Member
    convert: Convert | None
    """How the literal of a primitive is converted; None where JSON has a string."""
    below: _Shape
    """The shape of the object, or of what is said about a primitive."""


_Read: TypeAlias = "Callable[[_Reading, Node, _Rest, JsonObject, str, int], None]"
"""Reads an element: the node, the rest of the step, the object that gets it, its path and its depth in JSON."""

_Step: TypeAlias = "tuple[int, bool, bool, str, _Read, _Rest]"
"""Position, whether it repeats, whether it is a string that does not repeat (the most usual, which is read at once),
the name in JSON, and how it is read otherwise."""

_NOTHING: Final = _Shape("")
"""For what has neither attributes nor elements of its own."""


class XmlReader:
    """The shapes of all structures, made when they are first asked for."""

    def __init__(self, definitions: Definitions) -> None:
        """Make nothing yet."""
        self._definitions = definitions
        self._resource_types = frozenset(definitions.resource_types)
        self._shapes: dict[str, _Shape] = {}

    def to_json(self, body: bytes) -> bytes:
        """The same resource in JSON, compact.

        Raises :class:`Malformed` for what is no XML or no resource, :class:`Invalid` with all that is wrong in it.
        """
        root = parse(body)
        shape = self.shape_of_resource(root[0])
        if shape is None:
            raise Malformed(told_at(body, root[3], _why_no_resource(root[0])))
        reading = _Reading(self, body)
        resource = reading.resource(root, shape, shape.name, 1)
        if reading.issues:
            raise Invalid(issues=tuple(reading.issues))
        return msgspec.json.encode(resource)

    def shape_of_resource(self, name: str) -> _Shape | None:
        """The shape of a resource type; None for what is none."""
        return self._shape(name) if name in self._resource_types else None

    def _shape(self, name: str) -> _Shape:
        """The shape of a structure, which is filled after it is made: types refer to each other."""
        found = self._shapes.get(name)
        if found is not None:
            return found
        structure = self._definitions.structures[name]
        shape = self._shapes[name] = _Shape(name, is_resource=structure.kind == "resource")
        for member in members_of(self._definitions, structure):
            if member.form is Form.ATTRIBUTE:
                shape.attributes += (member.name,)
                continue
            convert, below = _CONVERT.get(member.type), _NOTHING
            if member.form is Form.OBJECT:
                below = self._shape(member.type)
            elif member.form is Form.PRIMITIVE and not member.is_bare:
                below = self._shape("Element")
            is_text = member.form is Form.PRIMITIVE and convert is None and not member.repeats
            read = _READ[member.form, member.repeats]
            rest = _Rest(member, convert, below)
            tag = _DIV if member.form is Form.XHTML else member.name
            shape.steps[tag] = (member.position, member.repeats, is_text, member.name, read, rest)
        return shape


class _Reading:
    """One body while it is read. ``at`` is a FHIRPath expression, ``depth`` how deep an object is in JSON."""

    def __init__(self, reader: XmlReader, body: bytes) -> None:
        self.issues: list[Issue] = []
        self._reader = reader
        self._body = body

    def resource(self, node: Node, shape: _Shape, at: str, depth: int) -> JsonObject:
        return self._object(node, shape, {"resourceType": shape.name}, at, depth)

    def _object(self, node: Node, shape: _Shape, members: JsonObject, at: str, depth: int) -> JsonObject:
        """The members of an object; the hottest code of reading."""
        _, attributes, children, place = node
        if depth > MAX_DEPTH:
            self._too_deep(place)
        if attributes:
            self._attributes(node, shape, members, at)
        step_of = shape.steps.get
        latest, before = -1, None
        for child in children:
            step = step_of(child[0])
            if step is None:
                self._unknown(child, shape, at)
                continue
            position, repeats, is_text, name, read, rest = step
            if position > latest:
                latest, before = position, rest.member
            elif before is not None and (position < latest or not repeats):
                self._misplaced(child, rest.member, before, at)
            given = child[1]
            # One attribute, and nothing within.
            if is_text and len(given) == 2 and given[0] == "value" and given[1] and not child[2]:  # noqa: PLR2004
                members[name] = given[1]
            else:
                read(self, child, rest, members, at, depth)
        return members

    def _single(self, node: Node, rest: _Rest, members: JsonObject, at: str, depth: int) -> None:
        """A primitive that does not repeat."""
        member = rest.member
        value, about = self._primitive(node, rest, f"{at}.{member.segment}", depth + 1)
        if value is not None:
            members[member.name] = value
        if about:
            members[f"_{member.name}"] = about

    def _many(self, node: Node, rest: _Rest, members: JsonObject, at: str, depth: int) -> None:
        """One more of a primitive that repeats; null takes the place of what it lacks, in either array.

        An array that would hold nothing but nulls is left out.
        """
        if depth >= MAX_DEPTH:
            self._too_deep(node[3])
        name, about_name = rest.member.name, f"_{rest.member.name}"
        items, abouts = members.get(name), members.get(about_name)
        earlier = len(items or abouts or ())
        value, about = self._primitive(node, rest, f"{at}.{rest.member.segment}[{earlier}]", depth + 2)
        if items is None and value is not None:
            items = members[name] = [None] * earlier
        if abouts is None and about:
            abouts = members[about_name] = [None] * earlier
        if items is not None:
            items.append(value)
        if abouts is not None:
            abouts.append(about or None)

    def _primitive(self, node: Node, rest: _Rest, at: str, depth: int) -> tuple[Value, JsonObject | None]:
        """The value of a primitive, and what is said about it."""
        tag, attributes, children, place = node
        literal, about = None, None
        if len(attributes) == 2 and attributes[0] == "value" and not children:  # noqa: PLR2004 - a name and its value
            literal = attributes[1]
        else:
            others = attributes
            if "value" in attributes[::2]:
                start = attributes[::2].index("value") * 2
                literal = attributes[start + 1]
                others = attributes[:start] + attributes[start + 2 :]
            about = self._object((tag, others, children, place), rest.below, {}, at, depth)
            if literal is None and "extension" not in about:
                self._report(IssueType.REQUIRED, place, told("no-value", tag=tag), at)
        if literal == "":
            self._report(IssueType.VALUE, place, told("value-empty", tag=tag), at)
        if rest.convert is None or not literal:
            return literal, about
        value = rest.convert(literal)
        if value is None:
            type = rest.member.type
            expected = told(_EXPECTED.get(type, _AN_INTEGER))
            message = told("no-literal", found=shown(literal), type=type, expected=expected)
            self._report(IssueType.VALUE, place, message, at)
        return value, about

    def _one(self, node: Node, rest: _Rest, members: JsonObject, at: str, depth: int) -> None:
        member = rest.member
        members[member.name] = self._object(node, rest.below, {}, f"{at}.{member.segment}", depth + 1)

    def _objects(self, node: Node, rest: _Rest, members: JsonObject, at: str, depth: int) -> None:
        member = rest.member
        items = members.setdefault(member.name, [])
        items.append(self._object(node, rest.below, {}, f"{at}.{member.segment}[{len(items)}]", depth + 2))

    def _held(self, node: Node, rest: _Rest, members: JsonObject, at: str, depth: int) -> None:
        name = rest.member.name
        members[name] = self._resource_in(node, f"{at}.{name}", depth + 1)

    def _all_held(self, node: Node, rest: _Rest, members: JsonObject, at: str, depth: int) -> None:
        name = rest.member.name
        items = members.setdefault(name, [])
        items.append(self._resource_in(node, f"{at}.{name}[{len(items)}]", depth + 2))

    def _xhtml(self, node: Node, rest: _Rest, members: JsonObject, _: str, __: int) -> None:
        members[rest.member.name] = markup(node)

    def _resource_in(self, node: Node, at: str, depth: int) -> JsonObject:
        """The resource that an element such as ``contained`` holds."""
        tag, attributes, children, place = node
        found: JsonObject | None = None
        if attributes:
            self._attributes(node, _NOTHING, {}, at)
        for child in children:
            name = child[0]
            shape = self._reader.shape_of_resource(name)
            if name == TEXT:
                self._unknown(child, _NOTHING, at)
            elif shape is None:
                self._report(IssueType.STRUCTURE, child[3], _why_no_resource(name), at)
            elif found is not None:
                self._report(IssueType.STRUCTURE, child[3], told("holds-one-resource", tag=tag, name=name), at)
            else:
                found = self.resource(child, shape, at, depth)
        if not children:
            self._report(IssueType.REQUIRED, place, told("holds-no-resource", tag=tag), at)
        return found or {}

    def _attributes(self, node: Node, shape: _Shape, members: JsonObject, at: str) -> None:
        tag, attributes, _, place = node
        for name, value in zip(attributes[::2], attributes[1::2], strict=True):
            if name in shape.attributes:
                members[name] = value
                if not value:
                    self._report(IssueType.VALUE, place, told("attribute-empty", name=name, tag=tag), at)
            elif name != SCHEMA_LOCATION or not shape.is_resource:
                self._report(IssueType.STRUCTURE, place, told("no-attribute", tag=tag, name=shown(name)), at)

    def _unknown(self, node: Node, shape: _Shape, at: str) -> None:
        """A node that the structure does not have."""
        name = node[0]
        if name == TEXT:
            why = told("text")
        elif name == "div" and _DIV in shape.steps:
            why = told("div", namespace=XHTML)
        elif name.startswith("{"):
            why = _why_namespace(name)
        elif self._reader.shape_of_resource(name) is not None:
            why = told("no-resource-here", name=name)
        elif shape is _NOTHING:
            why = told("no-element-here", name=shown(name))
        else:
            why = told("no-element", type=shape.name, name=shown(name))
        self._report(IssueType.STRUCTURE, node[3], why, at)

    def _misplaced(self, node: Node, member: Member, before: Member, at: str) -> None:
        """An element that does not come after those before it."""
        if member.position < before.position:
            why = told("order", name=member.name, before=before.name)
        elif member.name != before.name:
            why = told("choice-once", choice=member.choice, one=before.name, another=member.name)
        else:
            why = told("once", name=member.name)
        self._report(IssueType.STRUCTURE, node[3], why, f"{at}.{member.segment}")

    def _too_deep(self, place: int) -> Never:
        raise Malformed(told_at(self._body, place, told("too-deep", most=MAX_DEPTH)))

    def _report(self, code: IssueType, place: int, why: Told, at: str) -> None:
        self.issues.append(error(code, told_at(self._body, place, why), at))
        if len(self.issues) == MOST_ISSUES:
            more = told("stopped", number=MOST_ISSUES)
            raise Invalid(issues=(*self.issues, information(IssueType.INFORMATIONAL, more)))


_READ: Final[Mapping[tuple[Form, bool], _Read]] = {
    (Form.PRIMITIVE, False): _Reading._single,  # noqa: SLF001 - all of these are the reader's own
    (Form.PRIMITIVE, True): _Reading._many,  # noqa: SLF001
    (Form.OBJECT, False): _Reading._one,  # noqa: SLF001
    (Form.OBJECT, True): _Reading._objects,  # noqa: SLF001
    (Form.RESOURCE, False): _Reading._held,  # noqa: SLF001
    (Form.RESOURCE, True): _Reading._all_held,  # noqa: SLF001
    (Form.XHTML, False): _Reading._xhtml,  # noqa: SLF001
}


def _why_no_resource(name: str) -> Told:
    return _why_namespace(name) if name.startswith("{") else told("no-resource-type", name=shown(name))


def _why_namespace(name: str) -> Told:
    namespace, _, local = name[1:].rpartition("}")
    if not namespace:
        return told("no-namespace", name=shown(local), namespace=FHIR)
    return told("other-namespace", name=shown(local), found=shown(namespace), namespace=FHIR)
