"""Chains, reverse chains and lists: clauses that speak of resources around the entry.

https://hl7.org/fhir/R4/search.html#chaining · https://hl7.org/fhir/R4/search.html#has · #list

Read here and resolved elsewhere, through the gate (`interactions.hops`): a hop over what the requester may not see
leads nowhere. A chain goes over at most :data:`MOST_HOPS` references, and asks at most :data:`MOST_LOOK_UPS` questions
on its way: over references to anything, each point multiplies the types that it may go on from.

What a reference leads to may be contained in the entry: both are meant (:mod:`fhir_server.search.contained`). A role in
a chain has the names of the person who holds it (ADR 0030): MHD asks for ``author.family`` whatever the author is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import ID
from fhir_server.search.asked import Asked, Context, NotSupported
from fhir_server.search.clause import (
    Around,
    ByType,
    Chained,
    Clause,
    Every,
    Having,
    InValueSet,
    Listed,
    Some,
    Subsumed,
    Without,
)
from fhir_server.search.clauses import clause, record_named
from fhir_server.search.comparison import comparison
from fhir_server.search.filter_grammar import Operator
from fhir_server.search.messages import told
from fhir_server.search.parameter import Parameter
from fhir_server.search.values import unescape

MOST_HOPS: Final = 8
"""References that one chain may go over."""

MOST_LOOK_UPS: Final = 100
"""Look-ups that one chain may need."""

NAMES_OF_PERSONS: Final = frozenset({"name", "family", "given", "phonetic"})
"""Parameters of a Practitioner that a chain may ask of a PractitionerRole."""

_WITHOUT_A_NAME: Final = ((":missing", None, "true"), ("", Operator.PR, "false"))
_THE_OTHER: Final = {"true": "false", "false": "true"}
_SHOWN: Final = 100


class TooWide(Invalid):
    """The chain may lead over too many types of resource."""

    issue = IssueType.TOO_COSTLY


class UnknownParameter(NotSupported):
    """The type has no search parameter of this name."""


def read(asked: Asked, type: str, context: Context, hops: int = 0) -> Clause:
    """The clause of one pair on the entries of one type, with every chain in it.

    Raises :class:`~fhir_server.fhir.errors.Invalid` when the pair means nothing, :class:`NotSupported` when this
    server cannot answer it.
    """
    if hops > MOST_HOPS:
        raise Invalid(told("too-many-hops", most=MOST_HOPS))
    if asked.code == "_has":
        return _having(asked, type, context, hops)
    if asked.code == "_list":
        return _listed(asked)
    parameter = context.parameters.get(type, asked.code)
    if parameter is None:
        raise UnknownParameter(told("parameter-unknown", name=asked.code[:_SHOWN], type=type))
    if "." not in asked.suffix:
        return (clause if asked.operator is None else comparison)(asked, parameter, type, context)
    if parameter.type != "reference":
        raise Invalid(told("over-a-reference", name=asked.code, type=type, kind=parameter.type))
    if hops == 0 and asked.operator is None and (named := record_named(asked, parameter)) is not None:
        return named
    return _chained(asked, parameter, context, hops)


def _chained(asked: Asked, parameter: Parameter, context: Context, hops: int) -> Clause:
    """``.name`` or ``:Type.name``: of each type the reference may point to, those that have the next parameter."""
    modifier, _, rest = asked.suffix.removeprefix(":").partition(".")
    if not rest:
        raise Invalid(told("ends-with-a-point"))
    targets: Sequence[str] = parameter.targets
    if modifier:
        if modifier not in context.parameters.resource_types:
            raise Invalid(told("no-type-in-chain", name=modifier[:_SHOWN]))
        if modifier not in targets:
            raise Invalid(told("chain-cannot-point", name=parameter.code, type=modifier))
        targets = (modifier,)
    following = Asked.read(rest, asked.raw, asked.operator)
    inner = _on_each(following, targets, context, hops + 1)
    if not inner.each:
        some = ", ".join(targets[:5]) + (", …" if len(targets) > 5 else "")  # noqa: PLR2004 - as many as one reads
        raise Invalid(told("leads-to", name=following.code[:_SHOWN], types=some))
    return Chained(parameter, inner)


def _on_each(asked: Asked, types: Sequence[str], context: Context, hops: int) -> ByType:
    """The same question to several types: of those that know it; an objection counts where all that know it object."""
    each: list[tuple[str, Clause]] = []
    objection: Invalid | None = None
    needed = 0
    for type in types:
        if type == "AuditEvent":
            continue
        try:
            each.append((type, _on_one(asked, type, context, hops)))
            needed += look_ups(each[-1][1])
        except UnknownParameter:
            continue
        except TooWide:
            raise
        except Invalid as error:
            objection = error
        if needed > MOST_LOOK_UPS:
            raise TooWide(told("too-wide", most=MOST_LOOK_UPS))
    if objection is not None and not each:
        raise objection
    return ByType(tuple(each))


def _on_one(asked: Asked, type: str, context: Context, hops: int) -> Clause:
    """The question to one type; a name is asked of a role and of the Practitioner it points to."""
    if type != "PractitionerRole" or asked.code not in NAMES_OF_PERSONS or "." in asked.suffix:
        return read(asked, type, context, hops)
    if (asked.suffix, asked.operator, asked.raw) in _WITHOUT_A_NAME:
        # neither has one: not that one of the two has none
        return Without(_on_one(replace(asked, raw=_THE_OTHER[asked.raw]), type, context, hops))
    person = context.parameters.of(type)["practitioner"]
    chain = replace(asked, code=person.code, suffix=f".{asked.name}")
    own = [read(asked, type, context, hops)] if context.parameters.get(type, asked.code) is not None else []
    return Some((*own, read(chain, type, context, hops)))


def look_ups(clause: Clause) -> int:
    """How many questions must be asked before this one."""
    match clause:
        case Chained(_, inner):
            return 1 + look_ups(inner)
        case Having(inner=inner):
            return 1 + look_ups(inner)
        case ByType(each):
            return sum(look_ups(one) for _, one in each)
        case Some(parts) | Every(parts):
            return sum(look_ups(part) for part in parts)
        case Without(part):
            return look_ups(part)
        case InValueSet() | Subsumed() | Around():
            return 1
        case _:
            return 0


def _having(asked: Asked, type: str, context: Context, hops: int) -> Clause:
    """``:Type:reference:name``, where the name may be a chain, or another ``_has``."""
    parts = asked.suffix.split(":", 3)
    if len(parts) < 4 or not all(parts[1:]):  # noqa: PLR2004 - as the sentence says
        raise Invalid(told("has-form"))
    _, source, code, rest = parts
    if source not in context.parameters.resource_types:
        raise Invalid(told("no-type", name=source[:_SHOWN]))
    if source == "AuditEvent":
        raise Invalid(told("traces-by-their-own-type"))
    parameter = context.parameters.get(source, code)
    if parameter is None or parameter.type != "reference":
        raise Invalid(told("no-reference-parameter", name=code[:_SHOWN], type=source))
    if type not in parameter.targets:
        raise Invalid(told("cannot-point", name=f"{source}:{code}", type=type))
    try:
        inner = read(Asked.read(rest, asked.raw, asked.operator), source, context, hops + 1)
    except UnknownParameter as error:
        raise Invalid(error.told) from None
    return Having(source, parameter, (type,), inner)


def _listed(asked: Asked) -> Listed:
    """``_list=id``; the lists that a server makes up (``$current-problems``) are not offered."""
    if asked.suffix:
        raise Invalid(told("no-modifier"))
    ids = [unescape(raw).removeprefix("List/") for raw in asked.values()]
    if any(id.startswith("$") for id in ids):
        raise NotSupported(told("made-up-lists"))
    if not all(ID.fullmatch(id) for id in ids):
        raise Invalid(told("list-id"))
    return Listed(tuple(ids))
