"""Everything that is wrong with a resource, in one list: what `$validate` tells, and what a write goes by.

https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.interactions.prepare import Draft, rules
from fhir_server.interactions.sharing import found_by_profiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.json import JsonObject
    from fhir_server.fhir.outcome import Issue
    from fhir_server.interactions.exchange import Exchange


async def all_issues(exchange: Exchange, resource: JsonObject, asked: Sequence[str]) -> list[Issue]:
    """What is wrong with a resource by FHIR, by the rules of this server, by its profiles and by those asked for."""
    server = exchange.server
    issues = server.validator.validate(resource)
    type = resource.get("resourceType")
    if not isinstance(type, str) or type not in server.parameters.resource_types:
        return issues
    draft = Draft(type, resource, b"", [])
    return [*issues, *rules(exchange, draft), *found_by_profiles(exchange, draft)]
