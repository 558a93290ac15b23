"""Whatever a terminology operation is asked: an answer that is as its definition says, or a refusal with the reason.

How hard it is tried: the profiles of `tests/conftest.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from fhir_server.definitions.operations import OperationParameter
from tests.answers import refused
from tests.http.invoking import DEFINITIONS, called
from tests.http.terms import (
    ACME,
    ALL_PLANTS,
    GENDERS,
    LOINC,
    PLANT_MAP,
    PLANT_SET,
    PLANTS,
    ROLE_CODE,
    WORLD,
    X16,
    known,
)
from tests.http.test_terminology_parameters import OPERATIONS
from tests.served import FHIR_JSON, Served

SYSTEMS: Final = [PLANTS, LOINC, ROLE_CODE, "urn:oid:2.16.840.1.113883.6.1", f"{PLANTS}|2", "http://snomed.info/sct"]
LISTS: Final = [PLANT_SET, GENDERS, ALL_PLANTS, PLANT_MAP, X16, f"{ACME}/ValueSet/round", f"{ACME}/ValueSet/large"]
ODD: Final = [
    "",
    " ",
    "|",
    "a|b",
    "urn:oid:",
    "http://snomed.info/sct?fhir_vs",
    "é" * 300,
    "\u202e",
    "{0}",
    "%00",
    "(a+)+$",
]

uris = st.sampled_from([*SYSTEMS, *LISTS, "urn:nowhere", *ODD])
codes = st.sampled_from(["oak", "tree", "fern", "MTH", "PRN", "34112-3", "1-1", "male", "fr", "parent", *ODD])
texts = st.one_of(codes, uris, st.text(max_size=20))
dates = st.sampled_from(["2020", "2020-01-01", "2030-01-01T00:00:00Z", "2020-13-01", "soon"])
codings = st.fixed_dictionaries({}, optional={"system": uris, "code": codes, "version": texts, "display": texts})
concepts = st.fixed_dictionaries({"coding": st.lists(codings, min_size=1, max_size=3)})
filters = st.fixed_dictionaries(
    {
        "property": st.sampled_from(["concept", "parent", "child", "leaf", "status", "display"]),
        "op": st.sampled_from("= is-a descendent-of is-not-a regex in not-in generalizes exists".split()),
        "value": codes,
    }
)
parts = st.fixed_dictionaries(
    {},
    optional={
        "system": uris,
        "version": texts,
        "concept": st.lists(st.fixed_dictionaries({"code": codes}), min_size=1, max_size=3),
        "filter": st.lists(filters, min_size=1, max_size=2),
        "valueSet": st.lists(uris, min_size=1, max_size=2),
    },
)
composed = st.fixed_dictionaries(
    {"include": st.lists(parts, min_size=1, max_size=3)},
    optional={"exclude": st.lists(parts, min_size=1, max_size=2), "inactive": st.booleans()},
)
concepts_defined = st.recursive(
    st.fixed_dictionaries({"code": codes}, optional={"display": texts}),
    lambda below: st.fixed_dictionaries({"code": codes, "concept": st.lists(below, min_size=1, max_size=3)}),
    max_leaves=6,
)
targets = st.fixed_dictionaries(
    {"equivalence": st.sampled_from(["equal", "wider", "unmatched", "disjoint"])}, optional={"code": codes}
)
rows = st.fixed_dictionaries({"code": codes, "target": st.lists(targets, min_size=1, max_size=2)})
groups = st.fixed_dictionaries({"source": uris, "target": uris, "element": st.lists(rows, min_size=1, max_size=3)})

VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "uri": uris,
    "canonical": uris,
    "code": codes,
    "string": texts,
    "dateTime": dates,
    "boolean": st.booleans(),
    "integer": st.sampled_from([0, 1, 3, 5000, 5001, -1, 2**31]),
    "Coding": codings,
    "CodeableConcept": concepts,
    "ValueSet": st.fixed_dictionaries(
        {"resourceType": st.just("ValueSet"), "status": st.just("draft")}, optional={"url": uris, "compose": composed}
    ),
    "CodeSystem": st.fixed_dictionaries(
        {
            "resourceType": st.just("CodeSystem"),
            "status": st.just("draft"),
            "content": st.sampled_from(["complete", "fragment", "not-present", "supplement"]),
            "concept": st.lists(concepts_defined, min_size=1, max_size=3),
        },
        optional={"url": uris, "version": texts},
    ),
    "ConceptMap": st.fixed_dictionaries(
        {
            "resourceType": st.just("ConceptMap"),
            "status": st.just("draft"),
            "group": st.lists(groups, min_size=1, max_size=2),
        }
    ),
}


def told(one: OperationParameter) -> st.SearchStrategy[dict[str, Any]]:
    """A parameter with some value of its type."""
    if one.type is None:
        return st.just({"name": one.name, "part": [{"name": "element", "valueUri": "urn:season"}]})
    member = "resource" if one.is_resource else f"value{one.type[0].upper()}{one.type[1:]}"
    return VALUES[one.type].map(lambda value: {"name": one.name, member: value})


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    """The path of a call and its parameters, some of which go together."""
    type, code = draw(st.sampled_from(OPERATIONS))
    takes = {one.name: one for one in DEFINITIONS[type, code].takes}
    usual = ("system", "code", "codeA", "codeB", *(("url",) if code != "subsumes" else ()))
    names = [name for name in usual if name in takes] if draw(st.booleans()) else []
    names += draw(st.lists(st.sampled_from(sorted(takes)), max_size=3, unique=True))
    path = f"{type}/{WORLD}-plants/${code}" if code != "lookup" and draw(st.integers(0, 3)) == 0 else f"{type}/${code}"
    return path, [draw(told(takes[name])) for name in dict.fromkeys(names)]


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    """A doctor, where the lists are stored."""
    with known(served) as doctor:
        yield doctor


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(call=calls(), reads=st.booleans())
def test_whatever_is_asked(client: httpx.Client, call: tuple[str, list[dict[str, Any]]], reads: bool) -> None:
    path, listed = call
    if reads:
        pairs = [(one["name"], next(str(value) for key, value in one.items() if key != "name")) for one in listed]
        answer = client.get(f"{path}?{urlencode(pairs)}")
    else:
        body = {"resourceType": "Parameters", **({"parameter": listed} if listed else {})}
        answer = client.post(path, json=body, headers=FHIR_JSON)
    event(f"{path.rpartition('/')[2]} {answer.status_code}")
    if answer.status_code == 200:
        called(answer)
    else:
        assert answer.status_code in (400, 404, 422), answer.text
        refused(answer, answer.status_code)
