"""The records of the demonstration: five patients, those who care for them, what they decided, and their documents.

All are made up. `docs/` tells their story; the actors and their numbers are in :mod:`fhir_server.identity.actors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.cli.demo_records.consents import consents
from fhir_server.cli.demo_records.documents import documents
from fhir_server.cli.demo_records.people import directory, patients
from fhir_server.cli.demo_records.record import DemoRecord

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["DemoRecord", "records"]


def records(now: datetime) -> list[DemoRecord]:
    """Every resource of the demonstration, what is referred to before what refers to it, dated before ``now``."""
    return [*directory(), *patients(now), *consents(now), *documents(now)]
