"""Puts the demonstration records into an empty database; one that has them keeps them as they are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fhir_server import app
from fhir_server.cli.demo_records import records
from fhir_server.cli.exits import Exit, Stop
from fhir_server.store.seed import RealPeople, Seed

if TYPE_CHECKING:
    from fhir_server.settings import Settings


async def ensure_demo(settings: Settings) -> None:
    """Add what is missing of the demonstration; refuse a database that holds real people."""
    now = datetime.now(UTC)
    wanted = [
        Seed(record.resource, by=record.deposit_by or "system", organisation=record.deposit_organisation)
        for record in records(now)
    ]
    try:
        await app.put_demo(settings, wanted, now)
    except (app.NewerDatabase, app.NoMasterKey) as error:
        raise Stop(str(error), Exit.START) from None
    except RealPeople:
        raise Stop("The database holds real people; the demonstration is never put beside them.", Exit.USAGE) from None
