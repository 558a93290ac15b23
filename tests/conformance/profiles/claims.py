"""What the profiles that a resource claims say of it, and that of its policy where it is a Consent of a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from fhir_server.definitions.load import load
from fhir_server.definitions.structure_definitions import StructureDefinitions, base_definitions
from fhir_server.fhir import json
from fhir_server.fhir.outcome import Severity
from fhir_server.record.consents import POLICY
from fhir_server.terminology import Terminology
from fhir_server.validation.profiles.checks import ProfileChecks
from tests.conformance.profiles.harness import definitions

OURS: Final = "https://fhir.dmp-ens.example/StructureDefinition/"


@cache
def checks() -> ProfileChecks:
    """All profiles of the project."""
    known = StructureDefinitions(base_definitions(), definitions().values())
    return ProfileChecks(known, load(), Terminology.load())


def claimed(resource: Mapping[str, Any]) -> Iterator[str]:
    """The profiles that a resource is said to be of."""
    yield from resource.get("meta", {}).get("profile", [])
    for policy in resource.get("policy", []) if resource["resourceType"] == "Consent" else []:
        yield f"{OURS}dmp-consent-{policy['uri'].removeprefix(POLICY)}"


def told(resource: Mapping[str, Any], *profiles: str, least: Severity = Severity.WARNING) -> list[str]:
    """Errors and warnings (errors alone, if they are the ``least``), each with its place."""
    grave = {Severity.ERROR, least}
    read = json.decode_object(json.encode(dict(resource)))
    issues = checks().issues(read, list(profiles or claimed(read)))
    return [f"{one.severity} {one.expression[0]}: {one.diagnostics}" for one in issues if one.severity in grave]
