"""The code that a terminology operation is about, however it was told: a code and its system, a Coding, or a concept.

https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import Invalid, Unprocessable
from fhir_server.fhir.outcome import IssueType, Language
from fhir_server.operations.lists import needed
from fhir_server.operations.operation import parameter
from fhir_server.terminology.codes import LANGUAGE
from fhir_server.terminology.messages import told
from fhir_server.terminology.words import words

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhir.messages import Told
    from fhir_server.operations.operation import Invocation
    from fhir_server.operations.parameters import Value
    from fhir_server.terminology import Concept


MOST_CODINGS: Final = 50
"""Codings of one concept: what people send has less than ten, and each is asked about by itself."""


@dataclass(frozen=True, slots=True)
class Coded:
    """One code."""

    system: str | None
    code: str
    version: str | None = None
    display: str | None = None


def codes_told(call: Invocation, *, version: str = "version") -> list[Coded]:
    """The codes that ``code``, ``coding`` or ``codeableConcept`` tell, exactly one of these; several of a concept."""
    given = call.given
    known = [name for name in ("code", "coding", "codeableConcept") if name in given.values]
    ways = [name for name in known if given.one(name)]
    if not ways:
        raise needed(told("needed-either", one=", ".join(known[:-1]), other=known[-1]))
    if len(ways) > 1:
        raise Invalid(told("one-of-several", names=", ".join(ways)), expression=given.where(ways[1]))
    way = ways[0]
    if way == "code":
        display = given.text("display") if "display" in given.values else None
        system = given.text("system") if "system" in given.values else None
        return [Coded(system, given.text("code") or "", given.text(version), display)]
    for beside in ("system", "display", version):
        if beside in given.values and given.one(beside) is not None:
            message = told("beside-another", name=beside, other=way)
            raise Invalid(message, expression=given.where(beside))
    found = given.one(way)
    codings = _codings(found.value if found is not None else None, whole=way == "codeableConcept")
    if not codings:
        raise Invalid(told("no-code-in", name=way), expression=given.where(way), code=IssueType.REQUIRED)
    if len(codings) > MOST_CODINGS:
        message = told("too-many-codings", number=len(codings), most=MOST_CODINGS)
        raise Unprocessable(message, expression=given.where(way), code=IssueType.TOO_COSTLY)
    return codings


def coding_told(value: Value | None, name: str) -> Coded | None:
    """The code of a Coding; nothing where none was told."""
    if value is None:
        return None
    found = _codings(value.value, whole=False)
    if not found:
        raise Invalid(told("no-code-in", name=name), expression=(value.where,), code=IssueType.REQUIRED)
    return found[0]


def _codings(value: Json, *, whole: bool) -> list[Coded]:
    listed = value.get("coding") if whole and isinstance(value, dict) else [value]
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [
        Coded(_text(one, "system"), code, _text(one, "version"), _text(one, "display"))
        for one in found
        if (code := _text(one, "code")) is not None
    ]


def _text(value: JsonObject, name: str) -> str | None:
    found = value.get(name)
    return found if isinstance(found, str) else None


def language_of(call: Invocation) -> str:
    """The language of the displays: as the parameter says, else as ``Accept-Language`` does."""
    return call.given.text("displayLanguage") or call.exchange.preferred_language or LANGUAGE


def said(call: Invocation, message: Told) -> str:
    """A message in the language asked for; English where that is none of the two."""
    asked = call.given.text("displayLanguage") if "displayLanguage" in call.given.values else None
    language = (asked or call.exchange.language).lower().partition("-")[0]
    return message.fr if language == Language.FRENCH else message.en


def differs(display: str | None, concept: Concept) -> bool:
    """Tell whether a display that was told is none of what the code is called; case and accents do not count."""
    return display is not None and words(display) not in [words(name) for name in concept.names]


def verdict(*, result: bool, messages: list[str], display: str | None) -> list[JsonObject]:
    """The parameters of an answer of ``$validate-code``."""
    found = [parameter("result", "Boolean", result)]
    if messages:
        found.append(parameter("message", "String", " ".join(messages)))
    if display:
        found.append(parameter("display", "String", display))
    return found
