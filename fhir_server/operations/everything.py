"""``$everything``: ``Patient/[id]/$everything``, ``Patient/$everything``, ``Encounter/[id]/$everything``.

https://hl7.org/fhir/R4/patient-operation-everything.html · https://hl7.org/fhir/R4/encounter-operation-everything.html

The resource, what is in its compartment, and one step further what these refer to, page by page: a search like any
other, so each resource is decided by itself and what is hidden is left out. On the type it is one's own record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fhir_server.fhir import date
from fhir_server.fhir.errors import Forbidden, Gone, Invalid, NotFound
from fhir_server.identity.requester import Kind
from fhir_server.interactions.messages import told as told_by_all
from fhir_server.interactions.read import hold
from fhir_server.interactions.scope import NAME_THE_PATIENT
from fhir_server.interactions.search import answer, context_of
from fhir_server.operations.messages import told
from fhir_server.operations.operation import Operation
from fhir_server.search.compartments import members, within
from fhir_server.search.predicate import Field, Predicate, Span, all_of, any_of, negate, one_of
from fhir_server.search.query import parse
from fhir_server.search.result_parameters import Include

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fhir_server.interactions.answer import Answer
    from fhir_server.operations.operation import Invocation
    from fhir_server.search.predicate import Bound, End, Order

_PATIENT_SIDE: Final = frozenset({Kind.PATIENT, Kind.REPRESENTATIVE, Kind.CARER})
_AROUND: Final = (Include("*", "*"),)
_NOBODY: Final = ""
"""The id of no Patient: that somebody has no record costs what it costs that his record is closed to who asks."""


async def _of_patient(call: Invocation) -> Answer:
    exchange = call.exchange
    id = call.id
    if id is None:
        if exchange.requester.kind not in _PATIENT_SIDE:
            raise Forbidden(NAME_THE_PATIENT)
        id = (await exchange.own_facts()).record or _NOBODY
    return await _everything(call, "Patient", id, on_type=call.id is None)


async def _of_encounter(call: Invocation) -> Answer:
    return await _everything(call, "Encounter", call.id or "", on_type=False)


OF_PATIENT: Final = Operation("everything", "Patient", _of_patient)
OF_ENCOUNTER: Final = Operation("everything", "Encounter", _of_encounter)


async def _everything(call: Invocation, type: str, id: str, *, on_type: bool) -> Answer:
    exchange, given = call.exchange, call.given
    server = exchange.server
    held, _, decision = await hold(exchange, type, id)
    found = held.read(decision.visible)
    if on_type and (found is None or found.body is None):
        # he did not name it, so neither the answer nor his trail may
        exchange.account.target = None
        exchange.account.hidden_target = held.key if held.record is not None else None
        raise NotFound(told("no-record-of-yours"))
    if found is None:
        raise NotFound(told_by_all("unknown", key=f"{type}/{id}"))
    if found.body is None:
        raise Gone(told_by_all("deleted", key=f"{type}/{id}"))
    among = members(type, server.definitions)
    if type == "Encounter":
        among = (*among, "Patient")
    taken = [name for name in ("start", "end", "_since", "_count", "_page") if name in given.values]
    named = [(name, given.text(name) or "") for name in taken if given.one(name)]
    types = [part for value in given.all("_type") for part in str(value.value).split(",")]
    pairs = [("_lastUpdated", f"ge{value}") if name == "_since" else (name, value) for name, value in named]
    asked = [*((name, value) for name, value in pairs if name not in ("start", "end"))]
    known, others = _of_types(types, among, server.definitions.resource_types, type)
    query = parse(
        None,
        [*asked, *([("_type", ",".join(known))] if known else [])],
        strict=True,
        context=context_of(exchange),
        among=among,
    )
    lying = within(type, id, query.types, server.definitions, server.parameters)
    if type == "Encounter" and found.record is not None and "Patient" in query.types:
        lying = any_of([lying, one_of(Field.ID, f"Patient/{found.record}")])
    between = _between(dict(named), query.types, server.parameters.sort_dates)
    query = replace(
        query,
        clauses=(all_of([lying, between]), *query.clauses),
        records=frozenset({found.record} if found.record is not None else ()),
        includes=_AROUND if not types else tuple(Include("*", "*", one) for one in others),
        used=(*((name, value) for name, value in named if name != "_page"), *(("_type", one) for one in types)),
    )
    path = f"{type}/$everything" if on_type else f"{type}/{id}/$everything"
    return await answer(exchange, query, None, path)


def _of_types(
    types: Sequence[str], among: Sequence[str], known: Sequence[str], type: str
) -> tuple[list[str], list[str]]:
    """Of the types asked for, those that lie in the compartment, and those that only what lies there refers to."""
    unknown = [one for one in types if one not in known or one == "AuditEvent"]
    if unknown:
        message = told("type-not-answered", name=unknown[0][:80], type=type)
        raise Invalid(message, expression=("http._type",))
    lying = [one for one in types if one in among]
    if types and not lying:
        message = told("types-beyond", names=", ".join(types)[:200], type=type)
        raise Invalid(message, expression=("http._type",))
    return lying, [one for one in types if one not in among]


def _between(given: Mapping[str, str], types: Sequence[str], dates: Mapping[str, str]) -> Predicate:
    """Entries whose type's main date meets the days asked, and those that have none."""
    covered = {name: _day(name, given[name]) for name in ("start", "end") if name in given}
    tests: list[tuple[End, Order, Bound]] = []
    if "start" in covered:
        tests.append(("hi", "gt", covered["start"].low))
    if "end" in covered:
        tests.append(("lo", "lt", covered["end"].high))
    if not tests:
        return all_of([])
    by_code: dict[str | None, list[str]] = {}
    for type in types:
        by_code.setdefault(dates.get(type), []).append(type)
    found: list[Predicate] = []
    for code, dated in by_code.items():
        of_types = one_of(Field.TYPE, *dated)
        if code is None or dated == ["Patient"]:
            found.append(of_types)
        else:
            meets = Span(code, tuple(tests))
            found.append(all_of([of_types, any_of([negate(Span(code, ())), meets])]))
    return any_of(found)


def _day(name: str, text: str) -> date.Interval:
    found = date.interval(text)
    if found is None:
        raise Invalid(told("no-day", name=name), expression=(f"http.{name}",))
    return found
