"""From an element to those below it: by name, or all of them.

https://hl7.org/fhir/R4/fhirpath.html#polymorphism · https://hl7.org/fhir/R4/json.html#primitive

What a name means depends on the type of the element it is looked up in, which each element tells; the steps are made
once for each type. Of a type the tables do not know (a logical model), elements have the names of the JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.fhirpath.model import ANY_RESOURCE
from fhir_server.fhirpath.node import Node, side_by_side

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhirpath.model import Model

Step: TypeAlias = Callable[[Node], list[Node]]

UNKNOWN: Final = ""
"""The type of an element of which only the JSON is known."""
_OPEN: Final = (ANY_RESOURCE, UNKNOWN)


def named(name: str, model: Model) -> Step:
    """The elements of one name."""
    steps: dict[str, Step] = {}

    def step(node: Node) -> list[Node]:
        found = steps.get(node.type)
        if found is None:
            found = steps[node.type] = _of_type(node.type, name, model)
        return found(node)

    return step


def _of_type(type: str, name: str, model: Model) -> Step:
    if not model.knows(type):
        return _of_one_name(name, UNKNOWN, model)
    member = model.member(type, name)
    if member is None:
        return lambda _: []
    _, names = member
    if len(names) == 1:
        ((json_name, code),) = names.items()
        return _of_one_name(json_name, code, model)
    return _of_choice(names, model)


def _of_one_name(name: str, code: str, model: Model) -> Step:
    """An element that is no choice: the usual case, and the quickest."""
    beside = f"_{name}"

    def step(node: Node) -> list[Node]:
        held = node.value
        if held.__class__ is not dict:
            held = node.about
        if not isinstance(held, dict):
            return []
        plain, about = held.get(name), held.get(beside)
        if plain is None and about is None:
            return []
        if plain.__class__ is list or about.__class__ is list:
            return _several(plain, about, code, model)
        return [Node(plain, _typed(code, plain, model), about)]

    return step


def _of_choice(names: Mapping[str, str], model: Model) -> Step:
    """An element that tells its type by its name; its object has fewer members than there are types."""

    def step(node: Node) -> list[Node]:
        held = node.value if isinstance(node.value, dict) else node.about
        if not isinstance(held, dict):
            return []
        found: list[Node] = []
        for name in held:
            code = names.get(name)
            if code is None and (name[:1] != "_" or name[1:] in held or (code := names.get(name[1:])) is None):
                continue
            plain, about = pair(held, name.removeprefix("_"))
            found += _several(plain, about, code, model)
        return found

    return step


def pair(held: JsonObject, name: str) -> tuple[Json, Json]:
    """The value of a name, and what is said about it."""
    return held.get(name), held.get(f"_{name}")


def _several(plain: Json, about: Json, code: str, model: Model) -> list[Node]:
    if isinstance(plain, list) and about is None:
        return [Node(value, _typed(code, value, model)) for value in plain if value is not None]
    if isinstance(plain, list) or isinstance(about, list):
        return [
            Node(value, _typed(code, value, model), beside)
            for value, beside in side_by_side(plain, about)
            if value is not None or beside is not None
        ]
    return [] if plain is None and about is None else [Node(plain, _typed(code, plain, model), about)]


def _typed(code: str, value: Json, model: Model) -> str:
    """The type of an element; a resource tells its own."""
    if code not in _OPEN:
        return code
    told = value.get("resourceType") if isinstance(value, dict) else None
    return told if isinstance(told, str) and told in model.resources else code


def children(model: Model) -> Step:
    """All elements below, one level."""
    names: dict[str, Mapping[str, str]] = {}

    def step(node: Node) -> list[Node]:
        held = node.value if isinstance(node.value, dict) else node.about
        if not isinstance(held, dict):
            return []
        known = names.get(node.type)
        if known is None:
            known = names[node.type] = model.json_names(node.type)
        found: list[Node] = []
        for name in held:
            stem = name.removeprefix("_")
            if (stem != name and stem in held) or stem == "resourceType":
                continue
            code = known.get(stem)
            if code is not None or not known:
                found += _several(*pair(held, stem), code or UNKNOWN, model)
        return found

    return step


def there(name: str, model: Model) -> Callable[[Node], bool]:
    """Whether there is an element of the name: quicker than making it."""
    step = named(name, model)
    names: dict[str, str] = {}

    def test(node: Node) -> bool:
        json_name = names.get(node.type)
        if json_name is None:
            json_name = names[node.type] = _only_name(node.type, name, model)
        held = node.value
        if not json_name or not isinstance(held, dict):
            return bool(step(node))
        if (plain := held.get(json_name)) is not None:
            return not isinstance(plain, list) or any(value is not None for value in plain) or bool(step(node))
        return f"_{json_name}" in held and bool(step(node))

    return test


def _only_name(type: str, name: str, model: Model) -> str:
    """The JSON name of an element that is no choice; empty for others."""
    member = model.member(type, name) if model.knows(type) else None
    names = member[1] if member is not None else {}
    return next(iter(names)) if len(names) == 1 else ""
