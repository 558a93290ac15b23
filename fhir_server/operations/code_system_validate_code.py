"""``CodeSystem/$validate-code``: whether a system has a code. The answer is never a guess.

https://hl7.org/fhir/R4/codesystem-operation-validate-code.html

A display that is none of the code makes the result false, where its system is here whole. Of a system whose content is
not present here, a code that no list of this server names is refused with 422: it may exist.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.date import instant, moment
from fhir_server.operations.called_on import instance
from fhir_server.operations.coded import codes_told, differs, language_of, said, verdict
from fhir_server.operations.lists import canonical_of, needed, one_way, opened, refusal
from fhir_server.operations.operation import Operation, answer
from fhir_server.terminology import resources
from fhir_server.terminology.content import Content, content
from fhir_server.terminology.messages import Missing, NotKnown, told

if TYPE_CHECKING:
    from fhir_server.fhir.json import JsonObject
    from fhir_server.fhir.messages import Told
    from fhir_server.interactions.answer import Answer
    from fhir_server.operations.coded import Coded
    from fhir_server.operations.lists import Lists
    from fhir_server.operations.operation import Invocation
    from fhir_server.terminology import Concept


async def _perform(call: Invocation) -> Answer:
    lists = await opened(call, "CodeSystem")
    system, inline = await _system(call, lists)
    asked = codes_told(call)
    failed: list[Told] = []
    for one in asked:
        mine = system or one.system
        if mine is None:
            raise needed(told("needed-url-or-system"))
        if one.system is not None and lists.terminology.system(one.system) != lists.terminology.system(mine):
            failed.append(told("other-system", found=one.system, system=mine))
            continue
        try:
            known, concept = await _found(lists, mine, inline, one)
        except NotKnown as error:
            if error.missing is not Missing.CODE:
                raise refusal(error) from None
            failed.append(error.message)
        else:
            return answer(*of_concept(call, one, concept, known=known))
    return answer(*verdict(result=False, messages=[said(call, each) for each in failed], display=None))


OPERATION: Final = Operation("validate-code", "CodeSystem", _perform)


def of_concept(call: Invocation, asked: Coded, concept: Concept, *, known: Content | None) -> list[JsonObject]:
    """What is answered of a code that is there; ``known`` is what is known of its system."""
    day = call.given.text("date") or instant(moment(call.exchange.now))[:10]
    shown = concept.called(language_of(call))
    if concept.abstract and call.given.flag("abstract") is False:
        return verdict(result=False, messages=[said(call, told("abstract", code=asked.code))], display=shown)
    messages = []
    other = differs(asked.display, concept)
    if other:
        messages.append(told("other-display", code=asked.code, told=asked.display, display=shown))
    if concept.inactive(day):
        messages.append(told("ended", code=asked.code))
    # a system of which a part is here may call it so
    wrong = other and known is not None and known.complete
    return verdict(result=not wrong, messages=[said(call, each) for each in messages], display=shown)


async def _system(call: Invocation, lists: Lists) -> tuple[str | None, Content | None]:
    """The URL of the system that is asked about, where one is named, and its content where it was brought along."""
    way = one_way(call, "url", "codeSystem")
    if call.id is not None:
        found = await instance(call, "CodeSystem")
    elif way == "codeSystem":
        value = call.given.one("codeSystem")
        found = value.value if value is not None and isinstance(value.value, dict) else {}
    else:
        return canonical_of(call, "url"), None
    url = found.get("url") if isinstance(found, dict) else found.url
    named = url if isinstance(url, str) else f"CodeSystem/{call.id or ''}"
    if not isinstance(found, dict):
        return named, None
    return named, content([resources.code_system(found, named)], lists.terminology.spelling)


async def _found(lists: Lists, system: str, inline: Content | None, asked: Coded) -> tuple[Content | None, Concept]:
    url, _, of_url = system.partition("|")
    version = asked.version or of_url or None
    if inline is None:
        look = partial(lists.terminology.lookup, url, asked.code, version)
        return await lists.untold(lambda _, systems: look(systems))
    return inline, inline.find(url, lists.terminology.coding(url, asked.code).code, version)
