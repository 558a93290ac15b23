"""``$validate``: ``[type]/$validate``, ``[type]/[id]/$validate``. docs/interactions/operations.md#validate

https://hl7.org/fhir/R4/resource-operation-validate.html

Everything that is wrong with a resource, told at once: by FHIR itself, by its profiles and those asked for, by the
rules of this server. Nothing is stored, and nothing that is stored is looked at, but for the instance itself, as the
caller sees it, and the profiles and code lists that anybody may read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act
from fhir_server.definitions.operations import OperationParameter
from fhir_server.fhir import json
from fhir_server.fhir.errors import FhirError, Invalid
from fhir_server.fhir.outcome import Issue, IssueType, Severity, error, languages_of, operation_outcome
from fhir_server.interactions.answer import Answer
from fhir_server.interactions.create import must_be_open_to_create
from fhir_server.interactions.read import read
from fhir_server.interactions.validating import all_issues
from fhir_server.operations.messages import told
from fhir_server.operations.operation import EVERY_TYPE, Operation
from fhir_server.operations.parameters import from_body

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fhir_server.fhir.json import JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.operations.operation import Invocation

_MODES: Final = ("create", "update", "delete", "profile")
_RESOURCE: Final = "resource"
_PARTS: Final = frozenset({_RESOURCE, "mode", "profile"})
_BESIDE: Final = (
    OperationParameter("mode", 0, 1, "code"),
    OperationParameter("profile", 0, None, "uri"),
    OperationParameter(_RESOURCE, 0, 1, "Resource"),
)
"""What stands in Parameters."""
_VALID: Final[JsonObject] = {"name": _RESOURCE, "resource": {"resourceType": "Parameters"}}
"""What stands for the resource, so that the others keep their places."""
_SEVEREST: Final = (Severity.FATAL, Severity.ERROR, Severity.WARNING, Severity.INFORMATION)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be validated, and by what."""

    resource: JsonObject | None
    mode: str | None
    profiles: tuple[str, ...]


async def _perform(call: Invocation) -> Answer:
    exchange = call.exchange
    type = exchange.account.type or ""
    asked = _asked(call, type)
    issues: list[Issue] = []
    resource = asked.resource
    if resource is not None:
        issues += _of_another_kind(resource, type, call.id, asked.mode)
    if call.id is not None:
        # through the gate, whatever else is asked: what is not there for the caller is no instance of his
        stored = await read(exchange, type, call.id)
        resource = resource if resource is not None else json.decode_object(stored.body or b"{}")
    if asked.mode is not None:
        issues += _of_mode(exchange, type, asked.mode)
    if resource is not None:
        issues += await all_issues(exchange, resource, asked.profiles)
    elif asked.mode != "delete":
        raise Invalid(told("no-resource"), expression=("Parameters",), code=IssueType.REQUIRED)
    found = sorted(issues, key=lambda one: _SEVEREST.index(one.severity))
    spoken = ", ".join(languages_of(found, exchange.language))
    return Answer(200, json.encode(operation_outcome(found, exchange.language)), language=spoken)


OPERATION: Final = Operation("validate", EVERY_TYPE, _perform, reads_body=True)


def _asked(call: Invocation, type: str) -> _Asked:
    """The resource is the body, or a parameter in it; mode and profiles are in the query, or beside it in the body."""
    mode, profiles = call.given.one("mode"), [str(one.value) for one in call.given.all("profile")]
    resource: JsonObject | None = None
    if call.body.strip():
        resource = json.decode_object(call.body)
        if resource.get("resourceType") == "Parameters" and (type != "Parameters" or _is_call(resource)):
            resource, rest = _taken_out(resource)
            given = from_body(call.exchange.server.validator, _BESIDE, json.encode(rest))
            mode = given.one("mode") or mode
            profiles += [str(one.value) for one in given.all("profile")]
    name = str(mode.value) if mode is not None else None
    if mode is not None and name not in _MODES:
        message = told("mode", modes=", ".join(_MODES), found=str(name)[:40])
        raise Invalid(message, expression=(mode.where,), code=IssueType.CODE_INVALID)
    return _Asked(resource, name, tuple(dict.fromkeys(profiles)))


def _is_call(parameters: JsonObject) -> bool:
    """Whether Parameters are what the operation is called with, and not what it is to look at."""
    return all(isinstance(one, dict) and one.get("name") in _PARTS for one in _listed(parameters))


def _taken_out(parameters: JsonObject) -> tuple[JsonObject | None, JsonObject]:
    """The resource among the parameters, and these with a valid one: it need not be valid, and they must be."""
    listed = _listed(parameters)
    found = [one for one in listed if isinstance(one, dict) and one.get("name") == _RESOURCE]
    if len(found) > 1:
        raise Invalid(told("resource-once"), expression=("Parameters.parameter",), code=IssueType.INVALID)
    resource = found[0].get("resource") if found else None
    if found and not isinstance(resource, dict):
        raise Invalid(told("resource-by-resource"), expression=("Parameters.parameter",), code=IssueType.INVALID)
    if not isinstance(resource, dict):
        return None, parameters
    return resource, {**parameters, "parameter": [_VALID if one is found[0] else one for one in listed]}


def _listed(parameters: JsonObject) -> list[json.Json]:
    listed = parameters.get("parameter")
    return listed if isinstance(listed, list) else []


def _of_another_kind(resource: JsonObject, type: str, id: str | None, mode: str | None) -> list[Issue]:
    """A resource of another type than the URL speaks of, or of another instance."""
    kind = resource.get("resourceType")
    if isinstance(kind, str) and kind != type:
        return [error(IssueType.INVALID, told("other-type", found=kind[:60], type=type), kind[:60])]
    if id is not None and mode == "update" and resource.get("id") != id:
        message = told("other-id", id=id, found=resource["id"]) if "id" in resource else told("no-id", id=id)
        return [error(IssueType.INVALID, message, f"{type}.id")]
    return []


def _of_mode(exchange: Exchange, type: str, mode: str) -> Sequence[Issue]:
    """That the caller may not do it to any resource of this type; what is stored is not asked."""
    try:
        if mode == "create":
            must_be_open_to_create(exchange, type)
        elif mode == "update":
            exchange.closed(type, Act.CHANGE_OWN, "u")
        elif mode == "delete":
            exchange.closed(type, Act.DELETE_OWN, "d")
    except FhirError as refused:
        return refused.issues
    return ()
