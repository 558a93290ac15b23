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
from fhir_server.fhir import json
from fhir_server.fhir.errors import Forbidden, Gone, Invalid, NotFound, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import local
from fhir_server.interactions.read import hold
from fhir_server.interactions.value_sets import answered, of_url, stored
from fhir_server.search.predicate import Field, one_of
from fhir_server.terminology import resources
from fhir_server.terminology.messages import Missing, NotKnown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fhir_server.consent.decide import Decision
    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.operation import Invocation
    from fhir_server.search.visible import Visible
    from fhir_server.terminology import Lookup, Terminology
    from fhir_server.terminology.resources import CodeSystem, ConceptMap, ValueSet

TYPES: Final = ("ConceptMap", "ValueSet", "CodeSystem")

_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class Lists:
    """What one call may look into."""

    exchange: Exchange
    visible: Visible

    @property
    def terminology(self) -> Terminology:
        """The server's own."""
        return self.exchange.server.terminology

    async def answered(self, tell: Callable[[Lookup, Lookup], _Told]) -> _Told:
        """What is told with the stored value sets and code systems it turns out to need; else what cannot be told."""
        try:
            return await self.untold(tell)
        except NotKnown as error:
            raise refusal(error) from None

    async def untold(self, tell: Callable[[Lookup, Lookup], _Told]) -> _Told:
        """The same; that nothing is known of a code is raised as it is (:class:`NotKnown`)."""
        return await answered(self.exchange, self.visible, tell)

    async def stored(self, type: str, url: str) -> JsonObject | None:
        """The stored resource of a canonical URL, or of the address of this server."""
        named = local(url, self.exchange.server.base_url)
        asked = one_of(Field.ID, str(named)) if named is not None and named.type == type else of_url(url)
        return await stored(self.exchange, asked, self.visible, type)


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


async def instance(call: Invocation, type: str) -> JsonObject | ValueSet | CodeSystem | ConceptMap:
    """The resource that the operation is called on: a stored one that is seen, or one of the server's own."""
    exchange, id = call.exchange, call.id or ""
    held, _, decision = await hold(exchange, type, id)
    found = held.read(decision.visible)
    own = exchange.server.terminology.by_id(type, id)
    if found is None and own is not None:
        return own
    if found is None:
        raise NotFound(f"{type}/{id} is not known.")
    if found.body is None:
        raise Gone(f"{type}/{id} was deleted.")
    return json.decode_object(found.body)


def canonical_of(call: Invocation, name: str, version: str | None = None) -> str | None:
    """A canonical that a parameter tells, perhaps with its version in another one."""
    url = call.given.text(name)
    stated = call.given.text(version) if version is not None else None
    if stated is None or url is None:
        if stated is not None:
            sentence = f"{version} says of which version {name} is; without {name} it says nothing."
            raise Invalid(sentence, expression=call.given.where(version or ""), code=IssueType.REQUIRED)
        return url
    bare, _, also = url.partition("|")
    if also and also != stated:
        raise Invalid(f"{name} and {version} name two versions.", expression=call.given.where(name))
    return f"{bare}|{stated}"


def one_way(call: Invocation, *names: str) -> str | None:
    """Which of several ways of saying the same was taken; 400 for two. An instance says it already."""
    told = [name for name in names if call.given.one(name) is not None]
    if call.id is not None and told:
        sentence = f"The operation is called on a resource: {told[0]} cannot name another one."
        raise Invalid(sentence, expression=call.given.where(told[0]))
    if len(told) > 1:
        raise Invalid(f"Tell one of {', '.join(told)}, not several.", expression=call.given.where(told[1]))
    return told[0] if told else None


def needed(*names: str) -> Invalid:
    """The refusal of a call that does not say what it is about."""
    return Invalid(f"Tell {' or '.join(names)}.", expression=("Parameters",), code=IssueType.REQUIRED)


def not_supported(call: Invocation, names: Sequence[str], why: str) -> None:
    """Refuse parameters of the standard that this server does not follow: to pass over one would change the answer."""
    for name in names:
        if call.given.values.get(name):
            raise Unprocessable(f"{name} {why}", expression=call.given.where(name), code=IssueType.NOT_SUPPORTED)


def refusal(error: NotKnown, *expression: str) -> NotFound | Unprocessable:
    """How it is answered that nothing is known of a code: 404, or 422 where its system is not present here."""
    match error.missing:
        case Missing.CONTENT:
            return Unprocessable(error.message.en, expression=expression, code=IssueType.NOT_SUPPORTED)
        case Missing.CODE:
            return NotFound(error.message.en, expression=expression, code=IssueType.CODE_INVALID)
        case _:
            return NotFound(error.message.en, expression=expression)


IMPLICIT: Final = ("http://snomed.info/sct?", "http://snomed.info/sct/", "http://loinc.org/vs")
"""Where the URLs of value sets begin that nobody publishes: the code system says what is in them."""


async def value_set_told(call: Invocation, lists: Lists) -> tuple[ValueSet, JsonObject | None]:
    """The value set that an operation is about, and the whole resource where that is not one of the server's own."""
    way = one_way(call, "url", "valueSet")
    not_supported(call, ("context", "contextDirection"), "is not followed here: name the value set by its URL.")
    if call.id is not None:
        return _read(await instance(call, "ValueSet"), f"The value set ValueSet/{call.id}")
    if way == "valueSet":
        value = call.given.one("valueSet")
        return _read(value.value if value is not None and isinstance(value.value, dict) else {}, "The value set")
    canonical = canonical_of(call, "url", "valueSetVersion")
    if canonical is None:
        raise needed("url", "valueSet")
    own = lists.terminology.held(canonical)
    if own is not None:
        return own, None
    found = await lists.stored("ValueSet", canonical)
    if found is not None:
        return _read(found, f"The value set {canonical}")
    if canonical.startswith(IMPLICIT):
        sentence = f"The value set {canonical[:200]!r} rests on a code system whose content is not present here."
        raise Unprocessable(sentence, expression=call.given.where("url"), code=IssueType.NOT_SUPPORTED)
    raise unknown("value set", canonical, lists.terminology.held(canonical.partition("|")[0]), call.given.where("url"))


def unknown(what: str, canonical: str, other: ValueSet | ConceptMap | None, where: tuple[str, ...]) -> NotFound:
    """The refusal of what is not here, or is here in another version."""
    known = f"; known is the version {other.version}" if other is not None and other.version else ""
    return NotFound(f"The {what} {canonical[:200]!r} is not known here{known}.", expression=where)


def _read(found: JsonObject | ValueSet | CodeSystem | ConceptMap, name: str) -> tuple[ValueSet, JsonObject | None]:
    if isinstance(found, dict):
        return resources.value_set(found, name), found
    if not isinstance(found, resources.ValueSet):
        raise NotFound(f"{name} is not known here.")
    return found, None
