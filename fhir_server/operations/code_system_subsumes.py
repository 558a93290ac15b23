"""``CodeSystem/$subsumes``: how two codes of one system lie to each other.

https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import Invalid
from fhir_server.operations.coded import Coded, coding_told
from fhir_server.operations.lists import instance, needed, one_way, opened
from fhir_server.operations.operation import Operation, answer, parameter

if TYPE_CHECKING:
    from fhir_server.interactions.answer import Answer
    from fhir_server.operations.lists import Lists
    from fhir_server.operations.operation import Invocation


async def _perform(call: Invocation) -> Answer:
    lists = await opened(call, "CodeSystem")
    one, two = _code(call, "A"), _code(call, "B")
    system = await _system(call, one, two, lists)
    version = call.given.text("version") or one.version or two.version
    if {one.version, two.version} - {None, version}:
        raise Invalid("The codes are of several versions.", expression=call.given.where("codingB"))
    terminology = lists.terminology
    outcome = await lists.answered(
        lambda _, systems: terminology.subsumes(system, one.code, two.code, version, systems)
    )
    return answer(parameter("outcome", "Code", outcome))


OPERATION: Final = Operation("subsumes", "CodeSystem", _perform)


def _code(call: Invocation, side: str) -> Coded:
    code, coding = call.given.text(f"code{side}"), coding_told(call.given.one(f"coding{side}"))
    if (code is None) == (coding is None):
        if code is not None:
            sentence = f"Tell code{side} or coding{side}, not both."
            raise Invalid(sentence, expression=call.given.where(f"coding{side}"))
        raise needed(f"code{side}", f"coding{side}")
    return coding if coding is not None else Coded(None, code or "")


async def _system(call: Invocation, one: Coded, two: Coded, lists: Lists) -> str:
    one_way(call, "system")
    told = [each for each in (call.given.text("system"), one.system, two.system) if each is not None]
    if call.id is not None:
        found = await instance(call, "CodeSystem")
        url = found.get("url") if isinstance(found, dict) else found.url
        if not isinstance(url, str):
            raise Invalid(f"CodeSystem/{call.id} has no url, by which its codes could be told.")
        told = [url, *told]
    if not told:
        raise needed("system")
    if len({lists.terminology.system(each) for each in told}) > 1:
        raise Invalid("The codes are of several systems.", expression=call.given.where("codingB") or ("Parameters",))
    return told[0]
