"""``ValueSet/$expand``: the codes of a value set. https://hl7.org/fhir/R4/valueset-operation-expand.html

Codes are listed whole or page by page, never fewer than there are: what cannot be listed is refused with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid5

import msgspec

from fhir_server.fhir import json
from fhir_server.fhir.date import instant, moment
from fhir_server.fhir.errors import Invalid, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.interactions.answer import Answer
from fhir_server.operations.coded import language_of
from fhir_server.operations.lists import opened, value_set_told
from fhir_server.operations.operation import Operation
from fhir_server.terminology import Wanted, evaluated
from fhir_server.terminology.listing import Listing, Shape, listing
from fhir_server.terminology.messages import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.operations.operation import Invocation
    from fhir_server.terminology import Lookup, Terminology
    from fhir_server.terminology.content import Content
    from fhir_server.terminology.resources import ValueSet

MOST_LISTED: Final = 5_000
"""Codes of one answer, some 500 kB of JSON; a larger value set is asked for page by page."""

MOST_EXPANDED: Final = 100_000
"""Codes of a value set that can be expanded at all."""

_KEPT: Final = ("url", "version", "name", "title", "status", "experimental", "publisher", "copyright")
"""What an expansion tells of its value set, where the definition is not asked for."""

_ECHOED: Final = (
    *(("filter", "String"), ("date", "DateTime"), ("offset", "Integer"), ("count", "Integer")),
    *(("includeDesignations", "Boolean"), ("designation", "String"), ("includeDefinition", "Boolean")),
    *(("activeOnly", "Boolean"), ("excludeNested", "Boolean"), ("excludeNotForUI", "Boolean")),
    *(("excludePostCoordinated", "Boolean"), ("displayLanguage", "Code")),
    *((name, "Uri") for name in ("exclude-system", "system-version", "check-system-version", "force-system-version")),
)
"""Parameters that an expansion says it was made with."""


@dataclass(frozen=True, slots=True)
class _Expanded:
    """The codes as they are listed, and what is known of each system they are of, by its URL as it is written."""

    listing: Listing
    systems: Mapping[str, Content | None]


async def _perform(call: Invocation) -> Answer:
    lists = await opened(call, "ValueSet")
    shape = _shape(call)
    terminology = lists.terminology
    wanted = Wanted(
        day=shape.day,
        most=MOST_EXPANDED,
        by_code=True,
        detailed=True,
        versions=_versions(call, terminology, "system-version"),
        forced=_versions(call, terminology, "force-system-version"),
        checked=_versions(call, terminology, "check-system-version"),
        left_out=_versions(call, terminology, "exclude-system", needed=False),
    )
    value_set, whole = await value_set_told(call, lists)
    tell = partial(_expanded, terminology, value_set, wanted, shape)
    found = await lists.answered(tell, aside=whole is not None)
    listed = found.listing
    if shape.count is None and listed.total - shape.offset > MOST_LISTED:
        message = told("too-many-listed", number=listed.total, most=MOST_LISTED)
        raise Unprocessable(message, code=IssueType.TOO_COSTLY)
    contains: list[Json] = [*listed.contains]
    expansion: JsonObject = {
        "identifier": "",
        "timestamp": instant(moment(call.exchange.now)),
        "total": listed.total,
        "offset": shape.offset,
        "parameter": [*_echoed(call), *(_used(name, one) for name, one in found.systems.items())],
        "contains": contains,
    }
    if call.given.one("offset") is None and shape.count is None:
        del expansion["offset"]
    if not contains:
        del expansion["contains"]
    if not expansion["parameter"]:
        del expansion["parameter"]
    head = _resource(value_set, whole, definition=call.given.flag("includeDefinition") is True)
    named = json.encode([value_set.url, {**expansion, "timestamp": ""}]).decode()
    expansion["identifier"] = f"urn:uuid:{uuid5(NAMESPACE_URL, named)}"
    return Answer(200, json.encode({**head, "expansion": expansion}))


OPERATION: Final = Operation("expand", "ValueSet", _perform)


def _shape(call: Invocation) -> Shape:
    given = call.given
    offset, count = _number(call, "offset"), _number(call, "count")
    if count is not None and count > MOST_LISTED:
        message = told("count-too-large", most=MOST_LISTED)
        raise Unprocessable(message, expression=given.where("count"), code=IssueType.TOO_COSTLY)
    designations = tuple(str(one.value) for one in given.all("designation"))
    return Shape(
        language=language_of(call),
        day=given.text("date") or instant(moment(call.exchange.now))[:10],
        filter=given.text("filter") or "",
        active_only=given.flag("activeOnly") is True,
        selectable_only=given.flag("excludeNotForUI") is True,
        # https://hl7.org/fhir/R4/valueset-operation-expand.html: pages are of a flat list
        nested=given.flag("excludeNested") is not True and offset is None and count is None,
        offset=offset or 0,
        count=count,
        designations=given.flag("includeDesignations") is True or bool(designations),
        designations_of=designations,
    )


def _number(call: Invocation, name: str) -> int | None:
    given = call.given.one(name)
    if given is None:
        return None
    if not isinstance(given.value, int) or given.value < 0:
        raise Invalid(told("number-negative", name=name), expression=call.given.where(name), code=IssueType.VALUE)
    return given.value


def _versions(call: Invocation, terminology: Terminology, name: str, *, needed: bool = True) -> dict[str, str]:
    """By the one URL of a system, the version that a parameter says (``system|version``)."""
    found: dict[str, str] = {}
    for one in call.given.all(name):
        system, _, version = str(one.value).partition("|")
        if not system or (needed and not version):
            raise Invalid(told("system-and-version", name=name), expression=(one.where,), code=IssueType.VALUE)
        key = terminology.system(system)
        if found.setdefault(key, version) != version:
            message = told("versions-of-one-system", name=name, system=system)
            raise Invalid(message, expression=(one.where,), code=IssueType.VALUE)
    return found


def _expanded(
    terminology: Terminology, value_set: ValueSet, wanted: Wanted, shape: Shape, others: Lookup, systems: Lookup
) -> _Expanded:
    members = evaluated(value_set, terminology, others, systems, wanted)
    named = {concept.system: key.system for key, concept in members.concepts.items()}
    contents = {one: terminology.content(one, code_systems=systems) for one in dict.fromkeys(named.values())}
    return _Expanded(listing(members, contents.get, shape), {name: contents[one] for name, one in named.items()})


def _echoed(call: Invocation) -> list[JsonObject]:
    return [{"name": name, f"value{type}": one.value} for name, type in _ECHOED for one in call.given.all(name)]


def _used(system: str, content: Content | None) -> JsonObject:
    version = content.version(system) if content is not None else None
    return {"name": "used-codesystem", "valueUri": f"{system}|{version}" if version else system}


def _resource(value_set: ValueSet, whole: JsonObject | None, *, definition: bool) -> JsonObject:
    """The value set, its definition where that is wanted."""
    if whole is not None:
        left_out = ("id", "meta", "text", "expansion")
        kept = {name: value for name, value in whole.items() if name not in left_out} if definition else {}
        return {"resourceType": "ValueSet", **{name: whole[name] for name in _KEPT if name in whole}, **kept}
    head: JsonObject = {"resourceType": "ValueSet"}
    for name in ("url", "version", "name", "title", "status"):
        value = getattr(value_set, name)
        if value:
            head[name] = value
    head.setdefault("status", "active")
    if definition and value_set.compose is not None:
        head["compose"] = _written(msgspec.to_builtins(value_set.compose))
    return head


def _written(value: Json) -> Json:
    """Without what is not there: a resource has no empty element."""
    if isinstance(value, dict):
        written = {name: _written(each) for name, each in value.items()}
        return {name: each for name, each in written.items() if each is not None and each not in ("", [], {})}
    if isinstance(value, list | tuple):
        return [_written(each) for each in value]
    return value
