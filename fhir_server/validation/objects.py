"""Compiles the structures of the tables to closures, one per type, and one per use where the use says more.

https://hl7.org/fhir/R4/json.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from fhir_server.definitions.tables import Definitions, Element, Structure, TypeUse
from fhir_server.fhir.joining import both
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhir.outcome import IssueType
from fhir_server.validation import bindings, references
from fhir_server.validation.expressions import Expressions
from fhir_server.validation.finding import (
    Check,
    Container,
    Findings,
    ObjectCheck,
    are_enough,
    joined,
    one,
    shown,
)
from fhir_server.validation.messages import kind_of, not_a, told
from fhir_server.validation.narrative import xhtml
from fhir_server.validation.predicates import Holds
from fhir_server.validation.primitives import compile_primitives
from fhir_server.validation.rules import rules_of, rules_of_profile, rules_of_use


class Form(IntEnum):
    """How a member is written in JSON."""

    ONE = 0
    MANY = 1
    MANY_PRIMITIVES = 2
    """An array that may hold nulls where the array of the same name with ``_`` holds objects."""
    ABOUT_ONE = 3
    """``_birthDate``: the id and the extensions of a primitive."""
    ABOUT_MANY = 4
    """``_given``"""


ONE, MANY, MANY_PRIMITIVES = int(Form.ONE), int(Form.MANY), int(Form.MANY_PRIMITIVES)
ABOUT_ONE = int(Form.ABOUT_ONE)

_NOTHING = one(IssueType.INVARIANT, told("nothing-said"), rule="ele-1")

Member = tuple[int, Check, str]
"""The form, the check of the value or of each item, and the segment of the path."""


@dataclass(slots=True)
class Plan:
    """What the closure of one structure needs. It is filled after the closure is made: types refer to each other."""

    name: str
    is_resource: bool
    members: dict[str, Member] = field(default_factory=dict)
    required: list[tuple[str, frozenset[str], Findings]] = field(default_factory=list)
    """The usual name, all the names of which any will do, and what to report."""
    choices: list[tuple[frozenset[str], str]] = field(default_factory=list)
    """At most one of the names."""
    rules: list[tuple[Holds, Findings]] = field(default_factory=list)


class Objects:
    """The checks of all types, made when they are first asked for."""

    def __init__(self, definitions: Definitions) -> None:
        """Compile the primitives; the rest is compiled on demand."""
        self._definitions = definitions
        self._resource_types = frozenset(definitions.resource_types)
        self._primitives = compile_primitives(definitions.structures) | {"xhtml": xhtml}
        self._primitives["canonical"] = references.canonical(self._primitives["canonical"])
        self._expressions = Expressions(definitions)
        self._plans: dict[str, Plan] = {}
        self._checks: dict[tuple[object, ...], Check] = {}
        self._contained_rules = references.contained_rules(definitions.structures["DomainResource"].invariants)

    def resource(self, value: Json, container: Container) -> Findings | None:
        """A resource of whatever type it says it is."""
        if not isinstance(value, dict):
            return not_a("resource-expected", value)
        name = value.get("resourceType")
        if not isinstance(name, str):
            return one(IssueType.REQUIRED, told("no-resource-type"), ".resourceType", rule="min")
        if name not in self._resource_types:
            return one(IssueType.STRUCTURE, told("unknown-type", name=shown(name)), ".resourceType", rule="structure")
        return self.of_type(name)(value, container)

    def container(self, value: Json, *, in_transaction: bool = False) -> Findings | None:
        """A resource that is not contained: the one sent, or one in a Bundle or in Parameters."""
        name = value.get("resourceType") if isinstance(value, dict) else None
        is_transaction = name == "Bundle" and isinstance(value, dict) and value.get("type") == "transaction"
        container = Container(name if isinstance(name, str) else "", in_transaction=in_transaction or is_transaction)
        contained = value.get("contained") if isinstance(value, dict) else None
        if not isinstance(contained, list):
            return self.resource(value, container)
        container.contained = references.types_by_id(contained)
        found = self.resource(value, container)
        duplicates = references.duplicate_ids(contained)
        if duplicates is not None:
            found = joined(found, "", duplicates)
        unreferenced = references.unreferenced(contained, container)
        return found if unreferenced is None else joined(found, "", unreferenced)

    def is_resource_type(self, name: str) -> bool:
        """Whether it is one of the concrete types."""
        return name in self._resource_types

    def of_type(self, name: str, rules: Sequence[ObjectCheck] = (), key: object = None) -> Check:
        """The check of a type; ``rules`` are what a use of it asks for besides, told apart by ``key``."""
        if name in self._primitives:
            return self._primitives[name]
        if name == "Resource":
            return self._nested_resource
        found = self._checks.get((name, key))
        if found is None:
            plan = self._plans.get(name)
            is_new = plan is None
            plan = plan or Plan(name, is_resource=self._definitions.structures[name].kind == "resource")
            self._plans[name] = plan
            found = self._checks[name, key] = object_check(plan, tuple(rules))
            if is_new:
                self._fill(plan, self._definitions.structures[name])
        return found

    def _nested_resource(self, value: Json, container: Container) -> Findings | None:
        """``Bundle.entry.resource`` and the like: a container of its own."""
        return self.container(value, in_transaction=container.in_transaction)

    def _contained_resource(self, value: Json, container: Container) -> Findings | None:
        """A contained resource looks up fragments where it is contained."""
        found = self.resource(value, container)
        broken = self._contained_rules(value, container) if isinstance(value, dict) else None
        return found if broken is None else joined(found, "", broken)

    def _fill(self, plan: Plan, structure: Structure) -> None:
        plan.rules.extend(rules_of(structure, self._expressions))
        if plan.is_resource:
            plan.members["resourceType"] = (ONE, _already_checked, ".resourceType")
        elif plan.name != "Element":  # what is said about a primitive is looked at together with its value
            plan.rules.append((_says_something, _NOTHING))
        for element in structure.elements:
            names = [(element.json_name(use.code), use) for use in element.types]
            for json_name, use in names:
                self._add_member(plan, element, json_name, use)
            either = frozenset(name for json_name, _ in names for name in (json_name, f"_{json_name}"))
            if element.choice:
                plan.choices.append((either, element.name))
            if element.min:
                path = f"{plan.name}.{element.name}"
                missing = (
                    told("required-choice", element=path, names=_first_of(names))
                    if element.choice
                    else told("required", element=path)
                )
                found = one(IssueType.REQUIRED, missing, f".{element.name}", rule="min")
                plan.required.append((names[0][0], either, found))

    def _add_member(self, plan: Plan, element: Element, json_name: str, use: TypeUse) -> None:
        check = self._check_of_use(element, use)
        segment = f".{element.name}"
        is_primitive = use.code in self._primitives
        if element.max is None:
            plan.members[json_name] = (MANY_PRIMITIVES if is_primitive else MANY, check, segment)
        else:
            plan.members[json_name] = (ONE, check, segment)
        if is_primitive and use.code != "xhtml" and element.name != "id" and element.path != "Extension.url":
            about = Form.ABOUT_ONE if element.max == 1 else Form.ABOUT_MANY
            plan.members[f"_{json_name}"] = (int(about), self.of_type("Element"), segment)

    def _check_of_use(self, element: Element, use: TypeUse) -> Check:
        """The check of the type, with what this element adds: binding, targets, profile, invariants."""
        binding = element.binding if element.binding and element.binding.codes is not None else None
        if element.name == "contained" and use.code == "Resource":
            return self._contained_resource
        if use.code in self._primitives:
            check = self._primitives[use.code]
            return bindings.bound_code(binding, check) if binding and use.code == "code" else check
        rules: list[ObjectCheck] = []
        if use.code == "Reference":
            rules.append(references.reference_to(use.targets, self._resource_types))
        if binding and use.code == "CodeableConcept":
            rules.append(bindings.bound_concept(binding))
        if binding and use.code == "Coding":
            rules.append(bindings.bound_coding(binding))
        rules.extend(rules_of_profile(use.profile))
        rules.extend(rules_of_use(element, use.code, self._expressions))
        key = (use.targets, use.profile, binding.value_set if binding else "", element.invariants)
        return self.of_type(use.code, rules, key if rules else None)


def object_check(plan: Plan, more: tuple[ObjectCheck, ...]) -> Check:
    """The closure that checks an object of a structure; the hottest code of the validator."""
    member_of = plan.members.get
    check_whole = _whole_check(plan, more)

    def check(value: Json, container: Container) -> Findings | None:
        if type(value) is not dict:
            return not_a("object-expected", value, type=plan.name)
        found = check_whole(value, container)
        problems: Findings | None
        for name, part in value.items():
            member = member_of(name)
            if member is None:
                segment, problems = "", _unknown(name, plan.name)
            else:
                form, check_one, segment = member
                if form == ONE:
                    problems = check_one(part, container)
                elif type(part) is list and part and (form == MANY or (form == MANY_PRIMITIVES and None not in part)):
                    problems = _array(part, check_one, container)
                else:
                    problems = _unusual(value, name, member, container)
            if problems is not None:
                found = joined(found, segment, problems)
                if are_enough(found):
                    break
        return found

    return check


def _array(part: list[Json], check_one: Check, container: Container) -> Findings | None:
    found: Findings | None = None
    for position, item in enumerate(part):
        problems = check_one(item, container)
        if problems is not None:
            found = joined(found, f"[{position}]", problems)
            if are_enough(found):
                break
    return found


def _whole_check(plan: Plan, more: tuple[ObjectCheck, ...]) -> ObjectCheck:
    """What is missing, given twice, or wrong between the members."""
    required, choices, rules = plan.required, plan.choices, plan.rules

    def check(value: JsonObject, container: Container) -> Findings | None:
        found: Findings | None = None
        for usual, names, missing in required:
            if usual not in value and names.isdisjoint(value):
                found = joined(found, "", missing)
        for names, choice in choices:
            if len(chosen := names.intersection(value)) > 1:
                found = joined(found, "", _several(chosen, choice))
        for holds, broken in rules:
            if not holds(value):
                found = joined(found, "", broken)
        for rule in more:
            problems = rule(value, container)
            if problems is not None:
                found = joined(found, "", problems)
        return found

    return check


def _already_checked(_: Json, __: Container) -> Findings | None:
    """``resourceType`` has chosen the check that is running."""
    return None


def _says_something(value: JsonObject) -> bool:
    return len(value) > 1 or bool(value and "id" not in value)


def _unknown(name: str, structure: str) -> Findings:
    path = f".{name}" if name.isidentifier() and name.isascii() else ""
    return one(IssueType.STRUCTURE, told("unknown-element", type=structure, name=shown(name)), path, rule="structure")


def _several(chosen: frozenset[str], choice: str) -> Findings:
    """A choice is given once. A value and what is said about it (``_``) are one."""
    names = sorted({name.removeprefix("_") for name in chosen})
    if len(names) == 1:
        return []
    return one(IssueType.STRUCTURE, told("choice-twice", element=choice, names=both(names)), f".{choice}", rule="max")


def _first_of(names: Sequence[tuple[str, TypeUse]]) -> str:
    listed = ", ".join(name for name, _ in names[:4])
    return f"{listed}, ..." if len(names) > 4 else listed  # noqa: PLR2004 - four show the pattern


def _unusual(value: JsonObject, name: str, member: Member, container: Container) -> Findings | None:
    """What is rare: arrays that are none or hold nulls, and what is said about primitives (``_birthDate``)."""
    form, check, _ = member
    part = value[name]
    if form == ABOUT_ONE:
        return _about(part, name[1:] in value, check, container)
    if not isinstance(part, list):
        return one(IssueType.STRUCTURE, told("array-expected", name=name, found=kind_of(part)), rule="type")
    if not part:
        return one(IssueType.STRUCTURE, told("empty-array", name=name), rule="structure")
    if form == MANY_PRIMITIVES:
        about = value.get(f"_{name}")
        return _each(part, lambda item, at: _item(item, about, at, check, container))
    return _about_many(part, value.get(name[1:]), name, check, container)


def _about_many(part: list[Json], plain: Json, name: str, check: Check, container: Container) -> Findings | None:
    """The array with ``_`` says something about the items of the plain one, each at its place."""
    if isinstance(plain, list) and len(plain) != len(part):
        lengths = told("other-length", name=name[1:], number=len(plain), about=name, other=len(part))
        return one(IssueType.STRUCTURE, lengths, rule="structure")
    return _each(part, lambda item, at: _about_item(item, plain, at, check, container))


def _each(part: list[Json], check: Callable[[Json, int], Findings | None]) -> Findings | None:
    found: Findings | None = None
    for position, item in enumerate(part):
        problems = check(item, position)
        if problems is not None:
            found = joined(found, f"[{position}]", problems)
            if are_enough(found):
                break
    return found


def _item(item: Json, about: Json, position: int, check: Check, container: Container) -> Findings | None:
    """An item of an array of primitives; null where only extensions are told."""
    if item is not None:
        return check(item, container)
    if isinstance(about, list) and position < len(about) and isinstance(about[position], dict):
        return None
    return one(IssueType.STRUCTURE, told("null-without-about"), rule="structure")


def _about_item(item: Json, plain: Json, position: int, check: Check, container: Container) -> Findings | None:
    beside = plain[position] if isinstance(plain, list) and position < len(plain) else None
    if item is not None:
        return _about(item, beside is not None, check, container)
    if isinstance(plain, list):
        return None  # two nulls at one place: the plain array reports its own
    return one(IssueType.STRUCTURE, told("null-without-value"), rule="structure")


def _about(part: Json, has_value: bool, check: Check, container: Container) -> Findings | None:  # noqa: FBT001 - a fact
    found = check(part, container)
    if found is None and isinstance(part, dict) and (not part or (not has_value and "extension" not in part)):
        return _NOTHING
    return found
