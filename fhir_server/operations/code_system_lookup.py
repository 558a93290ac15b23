"""``CodeSystem/$lookup``: what a code is. https://hl7.org/fhir/R4/codesystem-operation-lookup.html

Of a system whose content is not present here (LOINC, SNOMED CT) the codes are known that a list of this server names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir.date import instant, moment
from fhir_server.fhir.errors import Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.operations.coded import codes_told, language_of
from fhir_server.operations.lists import needed, opened
from fhir_server.operations.operation import Operation, answer, parameter, parts
from fhir_server.terminology.listing import coding, described
from fhir_server.terminology.messages import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.answer import Answer
    from fhir_server.operations.operation import Invocation
    from fhir_server.terminology import Concept, Terminology
    from fhir_server.terminology.content import Content
    from fhir_server.terminology.resources import Property

_ALWAYS: Final = frozenset({"name", "version", "display", "system", "code"})
"""Properties that are parameters of their own."""


async def _perform(call: Invocation) -> Answer:
    lists = await opened(call, "CodeSystem")
    (asked,) = codes_told(call)
    if asked.system is None:
        raise needed(told("needed-system"))
    system, code, version = asked.system, asked.code, asked.version
    terminology = lists.terminology
    content, concept = await lists.answered(lambda _, systems: terminology.lookup(system, code, version, systems))
    wanted = _properties(call, content)
    day = call.given.text("date") or instant(moment(call.exchange.now))[:10]
    shown = concept.called(language_of(call))
    answers = [parameter("name", "String", _name(terminology, content, system))]
    there = version or (content.version(system) if content is not None else None)
    if there is not None:
        answers.append(parameter("version", "String", there))
    answers.append(parameter("display", "String", shown))
    if wanted is None or "designation" in wanted or any(one.startswith("lang.") for one in wanted):
        answers += _designations(concept, shown)
    answers += _told(content, concept, wanted, day, terminology.coding(system, code).code)
    return answer(*answers)


OPERATION: Final = Operation("lookup", "CodeSystem", _perform)


def _name(terminology: Terminology, content: Content | None, system: str) -> str:
    one = terminology.system(system)
    return content.name(system) if content is not None else terminology.named.get(one, one)


def _properties(call: Invocation, content: Content | None) -> frozenset[str] | None:
    """The properties asked for, nothing for all; 422 for one that its system does not have."""
    asked = frozenset(str(one.value) for one in call.given.all("property"))
    known = _ALWAYS | {"designation", "definition", "parent", "child", "inactive", "abstract"}
    known |= content.declared if content is not None else set()
    unknown = sorted(one for one in asked - known if not one.startswith("lang."))
    if unknown:
        message = told("property-unknown", property=unknown[0][:60], known=", ".join(sorted(known)))
        raise Unprocessable(message, expression=call.given.where("property"), code=IssueType.NOT_SUPPORTED)
    return asked or None


def _designations(concept: Concept, shown: str) -> Iterator[JsonObject]:
    for each in described(concept, (), shown):
        of = [parameter("language", "Code", each["language"])] if "language" in each else []
        if "use" in each:
            of.append(parameter("use", "Coding", each["use"]))
        yield parts("designation", *of, parameter("value", "String", each["value"]))


def _told(
    content: Content | None, concept: Concept, wanted: frozenset[str] | None, day: str, key: str
) -> Iterator[JsonObject]:
    """The properties: those of the resource as they stand, and what follows from it."""

    def is_wanted(name: str) -> bool:
        return wanted is None or name in wanted

    descriptions = content.descriptions if content is not None else {}
    there = {each.code for each in concept.properties}
    if concept.definition and is_wanted("definition"):
        yield _property("definition", parameter("value", "String", concept.definition), None)
    if "inactive" not in there and is_wanted("inactive"):
        yield _property("inactive", parameter("value", "Boolean", concept.inactive(day)), None)
    if concept.abstract and not {"abstract", "notSelectable"} & there and is_wanted("abstract"):
        yield _property("abstract", parameter("value", "Boolean", value=True), None)
    for each in concept.properties:
        if is_wanted(each.code) and each.code not in ("parent", "child"):
            yield _property(each.code, _value(each), descriptions.get(each.code))
    if content is None:
        return
    for name, edges in (("parent", content.parents), ("child", content.children)):
        for one in sorted(edges.get(key, ())) if is_wanted(name) else ():
            yield _property(name, parameter("value", "Code", content.written[one]), descriptions.get(name))


def _property(code: str, value: JsonObject, description: str | None) -> JsonObject:
    more = [parameter("description", "String", description)] if description else []
    return parts("property", parameter("code", "Code", code), value, *more)


def _value(one: Property) -> JsonObject:
    if one.value_coding is not None:
        return parameter("value", "Coding", coding(one.value_coding))
    kinds = (
        ("Code", one.value_code),
        ("String", one.value_string),
        ("Integer", one.value_integer),
        ("Boolean", one.value_boolean),
        ("DateTime", one.value_date_time),
        ("Decimal", one.value_decimal),
    )
    return next(parameter("value", kind, value) for kind, value in kinds if value is not None)
