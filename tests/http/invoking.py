"""Operations as their users call them; each answer is held against its OperationDefinition."""

from __future__ import annotations

from typing import Any, Final

import httpx

from fhir_server.definitions.load import load
from fhir_server.definitions.operations import OperationDefinition, OperationParameter, read_operations
from fhir_server.fhir.json import decode
from fhir_server.validation.structure import Validator
from tests.conformance.own_record import FINESS, NUMBERS, RPPS
from tests.conformance.profiles.claims import told as of_profiles
from tests.served import FHIR_JSON, ROOT

DEFINITIONS: Final = {
    (one.resource, one.code): one for one in read_operations(ROOT / "profiles" / "OperationDefinition")
}
_VALIDATOR: Final = Validator(load())
_TYPES: Final = {bool: "Boolean", int: "Integer"}


def actor(who: str) -> dict[str, str]:
    """An Identifier: of a professional of the demonstration, an RPPS, or a FINESS."""
    value = NUMBERS.get(who, who)
    return {"system": FINESS if len(value) == 9 else RPPS, "value": value}


def parameters(**told: Any) -> dict[str, Any]:
    """A Parameters resource; a list tells a parameter several times."""
    listed = [
        one if isinstance(one, dict) and "name" in one else _parameter(name, one)
        for name, value in told.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return {"resourceType": "Parameters", **({"parameter": listed} if listed else {})}


def _parameter(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"name": name, "valueIdentifier": value}
    if isinstance(value, bool):
        return {"name": name, "valueBoolean": value}
    type = {"start": "DateTime", "end": "DateTime", "id": "Id", "identifier": "String"}.get(name, "Code")
    return {"name": name, f"value{type}": value}


def post(client: httpx.Client, path: str, **told: Any) -> httpx.Response:
    """Call by POST."""
    return client.post(path, json=parameters(**told), headers=FHIR_JSON)


def called(answer: httpx.Response) -> Any:
    """The answer of a call that succeeded, valid and as the OperationDefinition says."""
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert _VALIDATOR.validate(decode(answer.content)) == [], answer.text
    definition = definition_of(answer.request.url.path)
    outs = definition.answers
    if [one.name for one in outs] == ["return"]:
        assert told["resourceType"] == outs[0].type
        assert told["resourceType"] != "Consent" or of_profiles(told) == []
        return told
    assert told["resourceType"] == "Parameters"
    as_defined(outs, told.get("parameter", []))
    return told


def definition_of(path: str) -> OperationDefinition:
    *_, level, name = path.split("/")
    resource = level if (level, name[1:]) in DEFINITIONS else path.split("/")[-3]
    return DEFINITIONS[resource, name[1:]]


def as_defined(outs: tuple[OperationParameter, ...], told: list[dict[str, Any]]) -> None:
    """Names, numbers and types of the parameters of an answer."""
    known = {one.name: one for one in outs}
    assert {one["name"] for one in told} <= known.keys()
    for name, out in known.items():
        mine = [one for one in told if one["name"] == name]
        assert out.min <= len(mine) <= (out.max if out.max is not None else len(mine)), name
        for one in mine:
            if out.type is None:
                as_defined(out.parts, one["part"])
            elif out.type == "Element":
                (value,) = one.keys() - {"name"}
                assert value.startswith("value"), one
            else:
                assert one.keys() == {"name", f"value{out.type[0].upper()}{out.type[1:]}"}, one


def values(told: dict[str, Any], name: str) -> list[Any]:
    """The values of a parameter of an answer."""
    found = [one for one in told.get("parameter", []) if one["name"] == name]
    return [next((value for key, value in one.items() if key.startswith("value")), None) for one in found]


def parts(told: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The parts of each parameter of that name, by their own names."""
    found = [one["part"] for one in told.get("parameter", []) if one["name"] == name]
    return [
        {
            one["name"]: next((value for key, value in one.items() if key.startswith("value")), one.get("part"))
            for one in listed
        }
        for listed in found
    ]
