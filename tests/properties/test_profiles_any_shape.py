"""The engine of profiles answers, whatever the resource and whatever the profile looks like: it never raises.

Bodies and profiles come from clients, and `$validate` looks at both before anybody has found them well-formed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.definitions.load import load
from fhir_server.definitions.structure_definitions import StructureDefinitions, base_definitions
from fhir_server.fhir.json import decode_object
from fhir_server.fhir.outcome import Issue
from fhir_server.terminology.terminology import Terminology
from fhir_server.validation.profiles import ProfileChecks
from tests.properties.any_resource import any_resource

FOLDER: Final = Path(__file__).parents[2] / "profiles" / "StructureDefinition"
OWN: Final = [decode_object(path.read_bytes()) for path in sorted(FOLDER.glob("*.json"))]
TERMINOLOGY: Final = Terminology.load()
KNOWN: Final = StructureDefinitions(base_definitions(), OWN)
CHECKS: Final = ProfileChecks(KNOWN, load(), TERMINOLOGY)
URLS: Final = sorted(KNOWN)
PROFILES: Final = [one for one in map(KNOWN.get, URLS) if one is not None and one.get("derivation") == "constraint"]
TYPES: Final = ("Patient", "Bundle", "DocumentReference", "List", "AuditEvent", "Consent", "Observation", "Parameters")
ODD: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 10**30, 0.5, "", "x", "#", "#a", "urn:uuid:1", "%resource", "descendants().descendants()",
    [], {}, [None], [[]], [{}], [1, "a"], {"a": 1}, {"extension": None}, {"extension": [None, 1, {}]}, {"url": 1},
    {"resourceType": "Patient"}, {"resourceType": 1}, {"resourceType": "None"}, {"reference": "#"}, {"reference": 5},
    {"coding": [None, {"code": 1}]},
)  # fmt: skip
NAMES: Final = (
    *("extension", "modifierExtension", "contained", "entry", "meta", "id", "resourceType", "valueQuantity"),
    *("min", "max", "slicing", "type", "sliceName", "contentReference", "path", "constraint", "binding"),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value but the whole."""
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in parts:
        yield from places(part, (*path, step))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def changed(whole: Any, random: Random) -> Any:
    """The value after some changes: parts left out, put elsewhere, or something odd in their place."""
    for _ in range(random.randint(1, 8)):
        listed = list(places(whole))
        if not listed:
            break
        *above, last = random.choice(listed)
        held = at(whole, tuple(above))
        match random.randrange(4):
            case 0:
                del held[last]
            case 1:
                held[last] = copied(random.choice(ODD))
            case 2 if isinstance(held, dict):
                held[random.choice(NAMES)] = copied(held[last])
            case _:
                held[last] = copied(at(whole, random.choice(listed)))
    return whole


def copied(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def is_answered(ask: Callable[[], list[Issue]]) -> bool:
    return isinstance(ask(), list)


@given(st.integers(0, 2**32), st.sampled_from(TYPES), st.lists(st.sampled_from(URLS), max_size=3))
def test_any_resource_is_answered(seed: int, type: str, urls: list[str]) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    resource = changed(json.loads(any_resource(random, type)), random)

    assert is_answered(lambda: CHECKS.issues(resource, urls))


@given(st.integers(0, 2**32), st.sampled_from(PROFILES))
def test_any_profile_is_compiled_or_refused(seed: int, profile: dict[str, Any]) -> None:
    random = Random(seed)  # noqa: S311 - no secret
    bad = changed(copied(profile), random)
    type = bad.get("type")
    resource = json.loads(any_resource(random, type if type in load().resource_types else "Patient"))
    try:
        checks = ProfileChecks(KNOWN.extended([bad]), load(), TERMINOLOGY)
        checks.check(str(bad["url"]))
    except BadProfile:
        return

    assert is_answered(lambda: checks.issues(resource, [str(bad["url"])]))


@pytest.mark.parametrize(
    "constraint",
    [
        {"key": "a-1", "expression": {}},
        {"key": ["a-1"], "expression": "true"},
        {"key": {}, "severity": [], "human": 1, "expression": None},
    ],
)
def test_a_constraint_may_be_any_json(constraint: dict[str, Any]) -> None:
    element = {"id": "Patient", "path": "Patient", "constraint": [constraint]}
    bad: dict[str, Any] = {
        "resourceType": "StructureDefinition",
        "url": "https://example.org/bad",
        "type": "Patient",
        "kind": "resource",
        "derivation": "constraint",
        "differential": {"element": [element]},
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    }
    checks = ProfileChecks(KNOWN.extended([bad]), load(), TERMINOLOGY)

    assert is_answered(lambda: checks.issues({"resourceType": "Patient"}, [str(bad["url"])]))
