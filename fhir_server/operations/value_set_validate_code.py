"""``ValueSet/$validate-code``: whether a value set holds a code. The answer is never a guess.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html

Where it rests on content that is not present here (all of LOINC, what lies below a code of SNOMED CT), it is a 422.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.date import instant, moment
from fhir_server.fhir.errors import Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.operations.code_system_validate_code import of_concept
from fhir_server.operations.coded import codes_told, said, verdict
from fhir_server.operations.lists import needed, opened, value_set_told
from fhir_server.operations.operation import Operation, answer
from fhir_server.terminology import Concept
from fhir_server.terminology.codes import LANGUAGE
from fhir_server.terminology.membership import Judge
from fhir_server.terminology.messages import Missing, NotKnown, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.messages import Told
    from fhir_server.interactions.answer import Answer
    from fhir_server.operations.coded import Coded
    from fhir_server.operations.operation import Invocation
    from fhir_server.terminology import Lookup, Terminology
    from fhir_server.terminology.content import Content
    from fhir_server.terminology.resources import ValueSet


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is known of one code."""

    asked: Coded
    holds: bool | None
    concept: Concept | None
    known: Content | None
    """What is known of its system."""
    missing: Told | None
    """Why there is no concept, where its system is known whole."""


async def _perform(call: Invocation) -> Answer:
    lists = await opened(call, "ValueSet")
    value_set, whole = await value_set_told(call, lists)
    asked = codes_told(call, version="systemVersion")
    if call.given.one("code") is not None and asked[0].system is None:
        raise needed(told("needed-system"))
    day = call.given.text("date") or instant(moment(call.exchange.now))[:10]
    terminology = lists.terminology
    tell = partial(_judge, terminology, value_set, asked, day)
    judged = await lists.answered(tell, aside=whole is not None)
    url = value_set.url or "?"
    for one in judged:
        if one.holds:
            concept = one.concept or Concept(
                one.asked.system or "", one.asked.code, one.asked.display or one.asked.code
            )
            return answer(*of_concept(call, one.asked, concept, known=one.known))
    for one in judged:
        if one.holds is None:
            message = told("untold", url=url, code=one.asked.code, system=one.asked.system)
            raise Unprocessable(message, code=IssueType.NOT_SUPPORTED)
    messages = [
        told("not-in-value-set", code=one.asked.code, system=one.asked.system or "?", url=url) for one in judged
    ]
    if len(judged) > 1:
        codes = ", ".join(f"{one.asked.system or '?'}#{one.asked.code}" for one in judged)
        messages = [told("none-in-value-set", url=url, codes=codes)]
    messages += [one.missing for one in judged if one.missing is not None]
    return answer(*verdict(result=False, messages=[said(call, each) for each in messages], display=None))


OPERATION: Final = Operation("validate-code", "ValueSet", _perform)


def _judge(
    terminology: Terminology,
    value_set: ValueSet,
    asked: Sequence[Coded],
    day: str,
    others: Lookup,
    systems: Lookup,
) -> list[_Judged]:
    judge = Judge(terminology, others, systems, day)
    found: list[_Judged] = []
    for one in asked:
        if one.system is None:
            found.append(_Judged(one, holds=False, concept=None, known=None, missing=None))
            continue
        holds = judge.holds(value_set, terminology.coding(one.system, one.code))
        known, concept, missing = None, None, None
        try:
            known, concept = terminology.lookup(one.system, one.code, one.version, systems)
        except NotKnown as error:
            if error.missing is Missing.VERSION:
                raise
            missing = error.message if error.missing is Missing.CODE else None
        found.append(_Judged(one, holds, _as_listed(terminology, value_set, one, concept), known, missing))
    return found


def _as_listed(terminology: Terminology, value_set: ValueSet, asked: Coded, concept: Concept | None) -> Concept | None:
    """The concept as the value set itself calls it, where that names it."""
    system = asked.system or ""
    key = terminology.coding(system, asked.code)
    for part in value_set.compose.include if value_set.compose is not None else ():
        if part.system is None or terminology.system(part.system) != key.system:
            continue
        for listed in part.concept or ():
            if terminology.coding(part.system, listed.code) == key:
                known = concept or Concept(system, asked.code, listed.display or asked.code)
                language = value_set.language or LANGUAGE
                return known.as_listed(system, asked.code, listed.display, listed.designation, language)
    return concept
