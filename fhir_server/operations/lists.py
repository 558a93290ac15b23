"""The terminology that an operation speaks of: the server's own, a stored resource, or one that it was called with.

https://hl7.org/fhir/R4/terminology-service.html

Stored resources are found as a search finds them, through the gate: who may not consult a ValueSet is told what he is
told of one that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from fhir_server.consent.circumstances import Act
from fhir_server.consent.decide import closed, together
from fhir_server.fhir.errors import Forbidden, Invalid, NotFound, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import local
from fhir_server.interactions.value_sets import answered, of_canonical, stored
from fhir_server.operations.called_on import instance
from fhir_server.search.predicate import Field, one_of
from fhir_server.terminology import resources
from fhir_server.terminology.messages import Missing, NotKnown, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from fhir_server.consent.decide import Decision
    from fhir_server.fhir.json import JsonObject
    from fhir_server.fhir.messages import Told
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.operation import Invocation
    from fhir_server.search.visible import Visible
    from fhir_server.terminology import Lookup, Terminology
    from fhir_server.terminology.resources import CodeSystem, ConceptMap, ValueSet

TYPES: Final = ("ConceptMap", "ValueSet", "CodeSystem")

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Lists:
    """What one call may look into."""

    exchange: Exchange
    visible: Visible

    @property
    def terminology(self) -> Terminology:
        """The server's own."""
        return self.exchange.server.terminology

    async def answered(self, tell: Callable[[Lookup, Lookup], _Answer], *, aside: bool = False) -> _Answer:
        """What is told with the stored value sets and code systems it turns out to need; else what cannot be told."""
        try:
            return await answered(self.exchange, self.visible, tell, aside=aside)
        except NotKnown as error:
            raise refusal(error) from None

    async def untold(self, tell: Callable[[Lookup, Lookup], _Answer]) -> _Answer:
        """The same; that nothing is known of a code is raised as it is (:class:`NotKnown`)."""
        return await answered(self.exchange, self.visible, tell)

    async def stored(self, type: str, url: str) -> JsonObject | None:
        """The stored resource of a canonical URL, or of the address of this server."""
        named = local(url, self.exchange.server.base_url)
        if named is not None and named.type == type:
            return await stored(self.exchange, one_of(Field.ID, str(named)), self.visible, type)
        return await of_canonical(self.exchange, url, self.visible, type)


async def opened(call: Invocation, type: str) -> Lists:
    """What the requester may look into; 403 where the type that is asked about is closed to him."""
    exchange = call.exchange
    exchange.closed(type, Act.CONSULT, "r")
    decisions: list[Decision] = []
    for one in (*(other for other in TYPES if other != type), type):
        try:
            closed(exchange.requester, one, Act.CONSULT, exchange.server.law, "r")
        except Forbidden:
            continue
        decisions.append(await exchange.decide_fully(one, Act.CONSULT, await exchange.facts(None)))
    return Lists(exchange, together(decisions))


def canonical_of(call: Invocation, name: str, version: str | None = None) -> str | None:
    """A canonical that a parameter tells, perhaps with its version in another one."""
    url = call.given.text(name)
    stated = call.given.text(version) if version is not None else None
    if stated is None or url is None:
        if stated is not None:
            message = told("version-alone", version=version, name=name)
            raise Invalid(message, expression=call.given.where(version or ""), code=IssueType.REQUIRED)
        return url
    bare, _, also = url.partition("|")
    if also and also != stated:
        raise Invalid(told("two-versions", name=name, version=version), expression=call.given.where(name))
    return f"{bare}|{stated}"


def one_way(call: Invocation, *names: str) -> str | None:
    """Which of several ways of saying the same was taken; 400 for two. An instance says it already."""
    ways = [name for name in names if call.given.one(name) is not None]
    if call.id is not None and ways:
        raise Invalid(told("called-on-a-resource", name=ways[0]), expression=call.given.where(ways[0]))
    if len(ways) > 1:
        raise Invalid(told("one-of-several", names=", ".join(ways)), expression=call.given.where(ways[1]))
    return ways[0] if ways else None


def needed(message: Told) -> Invalid:
    """The refusal of a call that does not say what it is about."""
    return Invalid(message, expression=("Parameters",), code=IssueType.REQUIRED)


def refusal(error: NotKnown, *expression: str) -> NotFound | Unprocessable:
    """How it is answered that nothing is known of a code: 404, or 422 where its system is not present here."""
    match error.missing:
        case Missing.CONTENT:
            return Unprocessable(error.message, expression=expression, code=IssueType.NOT_SUPPORTED)
        case Missing.CODE:
            return NotFound(error.message, expression=expression, code=IssueType.CODE_INVALID)
        case _:
            return NotFound(error.message, expression=expression)


IMPLICIT: Final = ("http://snomed.info/sct?", "http://snomed.info/sct/", "http://loinc.org/vs")
"""Where the URLs of value sets begin that nobody publishes: the code system says what is in them."""


async def value_set_told(call: Invocation, lists: Lists) -> tuple[ValueSet, JsonObject | None]:
    """The value set that an operation is about, and the whole resource where that is not one of the server's own."""
    way = one_way(call, "url", "valueSet")
    for name in ("context", "contextDirection"):
        if call.given.values.get(name):
            message = told("context-not-followed", name=name)
            raise Unprocessable(message, expression=call.given.where(name), code=IssueType.NOT_SUPPORTED)
    canonical = canonical_of(call, "url", "valueSetVersion")
    if call.id is not None:
        return _read(await instance(call, "ValueSet"), told("the-value-set", url=f"ValueSet/{call.id}"))
    if way == "valueSet":
        value = call.given.one("valueSet")
        return _read(value.value if value is not None and isinstance(value.value, dict) else {}, told("a-value-set"))
    if canonical is None:
        raise needed(told("needed-either", one="url", other="valueSet"))
    own = lists.terminology.held(canonical)
    if own is not None:
        return own, None
    found = await lists.stored("ValueSet", canonical)
    if found is not None:
        return _read(found, told("the-value-set", url=canonical[:200]))
    if canonical.startswith(IMPLICIT):
        message = told("implicit-value-set", url=canonical[:200])
        raise Unprocessable(message, expression=call.given.where("url"), code=IssueType.NOT_SUPPORTED)
    other, url = lists.terminology.held(canonical.partition("|")[0]), canonical[:200]
    if other is not None and other.version:
        message = told("value-set-other-version", url=url, known=other.version)
    else:
        message = told("value-set-not-here", url=url)
    raise NotFound(message, expression=call.given.where("url"))


def _read(found: JsonObject | ValueSet | CodeSystem | ConceptMap, name: Told) -> tuple[ValueSet, JsonObject | None]:
    if isinstance(found, dict):
        return resources.value_set(found, name), found
    if not isinstance(found, resources.ValueSet):
        raise TypeError(f"{name.en} is none")  # the type is that of the path
    return found, None
