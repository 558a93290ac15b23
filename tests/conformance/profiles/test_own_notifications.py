"""The Communications that the server writes are of our profile."""

from __future__ import annotations

from typing import Final

import pytest

from fhir_server.fhir.outcome import Severity
from fhir_server.record.actors import FINESS, RPPS
from fhir_server.record.notification import Actor, Notification, Occasion
from tests.build import HOSPITAL, NOW, SPECIALIST
from tests.conformance.profiles.conftest import Issues

PROFILE: Final = "https://fhir.dmp-ens.example/StructureDefinition/dmp-notification"
ACTORS: Final = {
    "a professional": Actor("Dr Martin", RPPS, SPECIALIST, "Cabinet Martin"),
    "a structure": Actor("Hôpital", FINESS, HOSPITAL),
    "somebody": Actor("support-1"),
}


@pytest.mark.parametrize("secret", [False, True])
@pytest.mark.parametrize("by", ACTORS.values(), ids=ACTORS.keys())
@pytest.mark.parametrize("occasion", Occasion)
def test_a_notification_is_of_the_profile(issues: Issues, occasion: Occasion, by: Actor, *, secret: bool) -> None:
    told = Notification(occasion, "demo-1", (f"rpps|{SPECIALIST}",), by, NOW, "Le dossier a été consulté.", secret)
    found = issues({**told.resource(), "id": "1"}, PROFILE)
    assert [str(one) for one in found if one.severity in {Severity.ERROR, Severity.WARNING}] == []
