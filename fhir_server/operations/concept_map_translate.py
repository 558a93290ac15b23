"""``ConceptMap/$translate``: where a code leads. https://hl7.org/fhir/R4/conceptmap-operation-translate.html

Without a map named, every map that is known here and speaks of the system of the code is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.errors import Invalid, NotFound
from fhir_server.fhir.outcome import IssueType
from fhir_server.operations.called_on import instance
from fhir_server.operations.coded import codes_told, said
from fhir_server.operations.lists import canonical_of, needed, one_way, opened
from fhir_server.operations.operation import Operation, answer, parameter, parts
from fhir_server.search import terms
from fhir_server.search.predicate import Field, all_of, one_of
from fhir_server.store.ordering import BY_ID
from fhir_server.terminology import resources
from fhir_server.terminology.listing import coding
from fhir_server.terminology.messages import told
from fhir_server.terminology.resources import ConceptMap
from fhir_server.terminology.translation import MEANS_NOTHING, MOST_FOLLOWED, Match, Question, Translator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.answer import Answer
    from fhir_server.operations.coded import Coded
    from fhir_server.operations.lists import Lists
    from fhir_server.operations.operation import Invocation

_MOST_MAPS: Final = 50
"""Stored maps that may speak of one system, where none is named."""


async def _perform(call: Invocation) -> Answer:
    lists = await opened(call, "ConceptMap")
    asked = [one for one in codes_told(call) if one.system is not None]
    if not asked:
        raise needed(told("needed-system"))
    reverse = call.given.flag("reverse") is True
    named = await _named(call, lists)
    maps = [named] if named is not None else await _speaking_of(lists, asked, reverse=reverse)
    maps = [one for one in maps if _is_between(call, one)]
    target = call.given.text("targetsystem")
    questions = [
        Question(
            lists.terminology.coding(one.system or "", one.code),
            one.code,
            lists.terminology.system(target) if target is not None else None,
            reverse,
            _dependencies(call),
            one.version,
        )
        for one in asked
    ]
    found = await _translated(lists, maps, questions)
    result = any(match.equivalence not in MEANS_NOTHING for match in found)
    answers = [parameter("result", "Boolean", result)]
    if not result:
        message = told("unmapped", code=asked[0].code, system=asked[0].system)
        answers.append(parameter("message", "String", said(call, message)))
    return answer(*answers, *map(_match, found))


OPERATION: Final = Operation("translate", "ConceptMap", _perform)


async def _named(call: Invocation, lists: Lists) -> ConceptMap | None:
    """The map that is named, where one is."""
    way = one_way(call, "url", "conceptMap")
    canonical = canonical_of(call, "url", "conceptMapVersion")
    if call.id is not None:
        found = await instance(call, "ConceptMap")
        if isinstance(found, dict):
            return resources.concept_map(found, told("the-concept-map", url=f"ConceptMap/{call.id}"))
        return found if isinstance(found, ConceptMap) else None
    if way == "conceptMap":
        value = call.given.one("conceptMap")
        brought = value.value if value is not None and isinstance(value.value, dict) else {}
        return resources.concept_map(brought, told("a-concept-map"))
    if canonical is None:
        return None
    known = await _of_url(lists, canonical)
    if known is None:
        own = lists.terminology.concept_maps.get(canonical.partition("|")[0])
        message = told("concept-map-not-here", url=canonical[:200])
        if own is not None and own.version:
            message = told("concept-map-other-version", url=canonical[:200], known=own.version)
        raise NotFound(message, expression=call.given.where("url"))
    return known


async def _of_url(lists: Lists, canonical: str) -> ConceptMap | None:
    url, _, version = canonical.partition("|")
    own = lists.terminology.concept_maps.get(url)
    if own is not None and (not version or own.version == version):
        return own
    found = await lists.stored("ConceptMap", canonical)
    return resources.concept_map(found, told("the-concept-map", url=canonical[:200])) if found is not None else None


async def _speaking_of(lists: Lists, asked: Sequence[Coded], *, reverse: bool) -> list[ConceptMap]:
    """The server's own maps, and those stored that speak of the system of the codes."""
    terminology = lists.terminology
    names = sorted({name for one in asked for name in terminology.spellings(one.system or "")})
    element = "target-system" if reverse else "source-system"
    speaking = one_of(Field.TERMS, *(f"{element}={terms.bounded(name)}" for name in names))
    wanted = all_of([one_of(Field.TYPE, "ConceptMap"), speaking])
    finding = lists.exchange.server.finding
    page = await finding.search(wanted, visible=lists.visible, order=BY_ID, limit=_MOST_MAPS)
    if page.next is not None:
        message = told("too-many-maps", most=_MOST_MAPS, system=asked[0].system)
        raise Invalid(message, expression=("Parameters",), code=IssueType.TOO_COSTLY)
    bodies = [one.body for one in page.resources if one.body is not None]
    found = [resources.concept_map(json.decode_object(body), told("a-concept-map")) for body in bodies]
    return [*terminology.concept_maps.values(), *found]


def _is_between(call: Invocation, concept_map: ConceptMap) -> bool:
    """Tell whether the map is from and to the value sets that are named."""
    sides = (("source", concept_map.source), ("target", concept_map.target))
    asked = ((call.given.text(name), there) for name, there in sides)
    return all(wanted is None or wanted in (there, (there or "").partition("|")[0]) for wanted, there in asked)


def _dependencies(call: Invocation) -> frozenset[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for one in call.given.all("dependency"):
        element = one.parts.text("element") or ""
        concept = one.parts.one("concept")
        codings = concept.value.get("coding") if concept is not None and isinstance(concept.value, dict) else None
        for each in codings if isinstance(codings, list) else ():
            if isinstance(each, dict) and isinstance(each.get("code"), str):
                found.add((element, str(each["code"])))
    return frozenset(found)


async def _translated(lists: Lists, maps: Sequence[ConceptMap], questions: Sequence[Question]) -> list[Match]:
    """What the maps answer, with the maps that they refer to."""
    fetched: dict[str, ConceptMap | None] = {}
    for _ in range(MOST_FOLLOWED + 1):
        missing: list[str] = []

        def look_up(url: str, missing: list[str] = missing) -> ConceptMap | None:
            if url not in fetched:
                missing.append(url)
            return fetched.get(url)

        translator = Translator(lists.terminology, look_up)
        found = [match for one in questions for match in translator.matches(maps, one)]
        if not missing:
            break
        for url in missing:
            fetched[url] = await _of_url(lists, url)
    return list(dict.fromkeys(found))


def _match(match: Match) -> JsonObject:
    about: list[JsonObject] = [parameter("equivalence", "Code", match.equivalence)]
    if match.concept is not None:
        about.append(parameter("concept", "Coding", coding(match.concept)))
    for one in match.product:
        written: JsonObject = {"code": one.value}
        if one.system:
            written = {"system": one.system, **written}
        if one.display:
            written["display"] = one.display
        concept: Json = written
        about.append(
            parts("product", parameter("element", "Uri", one.property), parameter("concept", "Coding", concept))
        )
    if match.source is not None:
        about.append(parameter("source", "Uri", match.source))
    return parts("match", *about)
