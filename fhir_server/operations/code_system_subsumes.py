"""``CodeSystem/$subsumes``: how two codes of one system lie to each other.

https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import Invalid
from fhir_server.operations.called_on import instance
from fhir_server.operations.coded import Coded, coding_told
from fhir_server.operations.lists import needed, one_way, opened, refusal
from fhir_server.operations.operation import Operation, answer, parameter
from fhir_server.terminology import resources
from fhir_server.terminology.content import Content, content
from fhir_server.terminology.messages import Missing, NotKnown, told

if TYPE_CHECKING:
    from fhir_server.interactions.answer import Answer
    from fhir_server.operations.lists import Lists
    from fhir_server.operations.operation import Invocation


async def _perform(call: Invocation) -> Answer:
    lists = await opened(call, "CodeSystem")
    one, two = _code(call, "A"), _code(call, "B")
    system, inline = await _system(call, one, two, lists)
    version = call.given.text("version") or one.version or two.version
    if {one.version, two.version} - {None, version}:
        raise Invalid(told("several-versions"), expression=call.given.where("codingB"))
    terminology = lists.terminology
    if inline is not None:
        outcome = _within(inline, system, version, [terminology.coding(system, each.code).code for each in (one, two)])
    else:
        outcome = await lists.answered(
            lambda _, systems: terminology.subsumes(system, one.code, two.code, version, systems)
        )
    return answer(parameter("outcome", "Code", outcome))


OPERATION: Final = Operation("subsumes", "CodeSystem", _perform)


def _code(call: Invocation, side: str) -> Coded:
    code, coding = call.given.text(f"code{side}"), coding_told(call.given.one(f"coding{side}"), f"coding{side}")
    if (code is None) == (coding is None):
        if code is not None:
            raise Invalid(told("code-twice", side=side), expression=call.given.where(f"coding{side}"))
        raise needed(told("needed-either", one=f"code{side}", other=f"coding{side}"))
    return coding if coding is not None else Coded(None, code or "")


def _within(content: Content, system: str, version: str | None, keys: list[str]) -> str:
    """Of the code system that the operation is called on, whatever else is known under its URL."""
    for key in keys:
        try:
            content.find(system, key, version)
        except NotKnown as error:
            raise refusal(error) from None
    outcome = content.relation(*keys)
    if outcome is None:
        raise refusal(NotKnown(Missing.CONTENT, told("absent-content", system=system, code=keys[1])))
    return outcome


async def _system(call: Invocation, one: Coded, two: Coded, lists: Lists) -> tuple[str, Content | None]:
    """The URL of the system, and its content where the operation is called on a stored one."""
    one_way(call, "system")
    systems = [each for each in (call.given.text("system"), one.system, two.system) if each is not None]
    inline = None
    if call.id is not None:
        found = await instance(call, "CodeSystem")
        url = found.get("url") if isinstance(found, dict) else found.url
        if not isinstance(url, str):
            raise Invalid(told("no-url", key=f"CodeSystem/{call.id}"))
        systems = [url, *systems]
        if isinstance(found, dict):
            inline = content([resources.code_system(found, url)], lists.terminology.spelling)
    if not systems:
        raise needed(told("needed", what="system"))
    if len({lists.terminology.system(each) for each in systems}) > 1:
        raise Invalid(told("several-systems"), expression=call.given.where("codingB") or ("Parameters",))
    return systems[0], inline
