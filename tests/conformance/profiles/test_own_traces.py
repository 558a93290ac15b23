"""The traces of this server are of the profiles they claim, and of our own, as stored and as their readers see them."""

from __future__ import annotations

import json
from typing import Final

import pytest

from fhir_server.audit.access import Access
from fhir_server.audit.event import event, retold
from fhir_server.audit.sealed import MAX_DELIVERED, Sealed, unsealed
from tests.accesses import ACCESSES, OBSERVER
from tests.conformance.profiles.conftest import Issues

OURS: Final = "https://fhir.dmp-ens.example/StructureDefinition/dmp-trace"
DELIVERED: Final = tuple(f"DocumentReference/d{number}/_history/1" for number in range(MAX_DELIVERED + 1))
SEALED: Final = {
    "nothing": Sealed(),
    "what was asked": Sealed(record="demo-1", target="DocumentReference/d1", version=3),
    "something else": Sealed(record="other", target="DocumentReference/d9", rules=("R-20",), why="masked"),
    "much": Sealed(record="demo-1", delivered=("Patient/demo-1/_history/2", *DELIVERED), rules=("R-20", "R-41")),
}


WANTED: Final = (
    "#XrequestId is not in http://hl7.org/fhir/ValueSet/audit-entity-type",
    "provenance-participant-type#custodian is not in http://hl7.org/fhir/ValueSet/participation-role-type",
)
"""Of what is no error: codes that BALP wants, beside the lists of R4."""


def errors(issues: Issues, resource: bytes) -> list[str]:
    read = json.loads(resource)
    claimed = [*read["meta"].get("profile", []), OURS]
    found = [one for url in claimed for one in issues(read, url) if one.severity in {"error", "warning"}]
    return [str(one) for one in found if not any(wanted in one.diagnostics for wanted in WANTED)]


@pytest.mark.parametrize("access", ACCESSES.values(), ids=ACCESSES.keys())
def test_a_trace_is_of_the_profiles_it_claims(issues: Issues, access: Access) -> None:
    made = event(access, OBSERVER)
    assert errors(issues, made.resource("run-1")) == []
    later = retold(made.resource("run-1"), made.ix["s"], at=access.at + 1_000_000, status=503)
    assert errors(issues, later.resource("run-2")) == []


@pytest.mark.parametrize("sealed", SEALED.values(), ids=SEALED.keys())
@pytest.mark.parametrize("access", ACCESSES.values(), ids=ACCESSES.keys())
def test_an_unsealed_trace_is_of_the_profiles_it_claims(issues: Issues, access: Access, sealed: Sealed) -> None:
    made = event(access, OBSERVER).resource("run-1")
    assert errors(issues, unsealed(made, sealed.stored())) == []
    assert errors(issues, unsealed(made, sealed.stored(), {"DocumentReference/d1"})) == []
