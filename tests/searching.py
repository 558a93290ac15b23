"""Searches without a database: parameters, entries and queries as the server has them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.profiles import read_search_parameters
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import JsonObject
from fhir_server.record.elements import SEARCHED
from fhir_server.search.clause import DEFERRED, Clause, RecordNamed
from fhir_server.search.parameters import Parameter, Parameters
from fhir_server.search.predicate import Predicate, matches
from fhir_server.search.query import Context, Query, parse
from fhir_server.search.sort_dates import SORT_DATES
from fhir_server.terminology import Terminology

TESTS: Final = Path(__file__).parent
BASE: Final = "https://serveur.example/fhir"
OWN: Final = read_search_parameters(TESTS.parent / "profiles" / "SearchParameter")
PARAMETERS: Final = Parameters(load(), SEARCHED, OWN, sort_dates=SORT_DATES, base_url=BASE)
CONTEXT: Final = Context(
    now=datetime(2026, 11, 22, tzinfo=UTC),
    base_url=BASE,
    max_count=100,
    default_count=20,
    definitions=load(),
    parameters=PARAMETERS,
    terminology=Terminology.load(),
)


def pairs_of(*texts: str) -> list[tuple[str, str]]:
    """The pairs of `name=value` texts."""
    return [(name, value) for name, _, value in (text.partition("=") for text in texts)]


def read(type: str | None, *pairs: str, strict: bool = True) -> Query:
    """The query of `name=value` texts."""
    return parse(type, pairs_of(*pairs), strict=strict, context=CONTEXT)


def clauses(type: str | None, *pairs: str) -> tuple[Clause, ...]:
    """What such a query asks."""
    return read(type, *pairs).clauses


def refusal(type: str | None, *pairs: str, strict: bool = False) -> Invalid:
    """Why such a query is refused."""
    with pytest.raises(Invalid) as refused:
        read(type, *pairs, strict=strict)
    return refused.value


def parameter(type: str, code: str) -> Parameter:
    """One that is there."""
    return PARAMETERS.of(type)[code]


def entry(type: str, resource: JsonObject, record: str | None = None) -> dict[str, Any]:
    """The fields of a stored entry that searches speak of."""
    index = PARAMETERS.index(type, resource)
    subject = resource.get("subject")
    named = str(subject.get("reference", "")) if isinstance(subject, dict) else ""
    if record is None and named.startswith("Patient/"):
        record = named.removeprefix("Patient/")
    ix = {"s": index.terms, "r": index.ranges} | ({"t": index.texts} if index.texts else {}) | {"c": index.contained}
    return {"_id": f"{type}/{resource.get('id')}", "rt": type, "at": 0, "on": index.on, "record": record, "ix": ix}


def ready(clause: Clause) -> Predicate:
    """A clause that needs no look-up, but for the records that it names by their ids."""
    if isinstance(clause, RecordNamed):
        return clause.predicate()
    assert not isinstance(clause, DEFERRED), f"needs another look-up: {clause}"
    return clause


def found(type: str, resource: JsonObject, *pairs: tuple[str, str], record: str | None = None) -> bool:
    """Whether the entry of a resource is found by every pair."""
    query = parse(type, pairs, strict=True, context=CONTEXT)
    assert query.clauses
    stored = entry(type, resource, record)
    return all(matches(ready(one), stored) for one in query.clauses)


def finds(type: str, resource: JsonObject, *pairs: str) -> bool:
    """The same by `name=value` texts."""
    return found(type, resource, *pairs_of(*pairs))
