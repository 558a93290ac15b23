"""What is checked wherever it stands: extensions, and the profiles that inner resources say they have.

https://hl7.org/fhir/R4/extensibility.html · https://hl7.org/fhir/R4/defining-extensions.html#context
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.validation.finding import shown
from fhir_server.validation.profiles.found import Found, Founds, Profile, are_enough, under
from fhir_server.validation.profiles.parts import texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fhir_server.definitions.tables import Element
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.validation.profiles.profile import Library, ProfileCheck, Selected
    from fhir_server.validation.profiles.scope import Scope

NOBODY: Final = Profile("")
"""What FHIR itself asks for."""
Member: TypeAlias = "tuple[Element, str]"
_ANYWHERE: Final = frozenset({"Element", "*"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where an extension stands."""

    path: str
    """From the resource: ``Patient.contact.name``."""
    element: str
    """As the tables name it: ``HumanName.family``."""
    type: str
    extension: str = ""
    """The URL of the extension it stands in."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where an extension may stand."""

    elements: frozenset[str]
    extensions: frozenset[str]
    selected: tuple[Selected, ...]
    told: str


class Everywhere:
    """Walks a resource, contained ones and those of a Bundle included."""

    def __init__(self, library: Library) -> None:
        """Ask this one for definitions."""
        self._library = library
        self._reading = library.reading
        self._contexts: dict[str, Context] = {}

    def found(self, scope: Scope) -> Founds | None:
        """What is wrong in a resource."""
        type = scope.resource.get("resourceType")
        if not isinstance(type, str) or not self._reading.knows(type):
            return None
        return self._object(scope.resource, type, Place(type, type, type), scope)

    def _object(self, held: JsonObject, type: str, place: Place, scope: Scope) -> Founds | None:
        scope.run.effort.spend(1)
        found: Founds | None = None
        for name, part in held.items():
            if part.__class__ is str:
                continue
            member = self._reading.member(type, name)
            if member is None:
                continue
            element = member[0]
            if isinstance(part, dict):
                problems = self._item(name, part, held, member, place, scope)
                if problems is not None:
                    found = under(found, f".{element.name}", problems)
            elif isinstance(part, list):
                for index, one in enumerate(part):
                    problems = self._item(name, one, held, member, place, scope) if isinstance(one, dict) else None
                    if problems is not None:
                        found = under(found, f".{element.name}[{index}]", problems)
                        if are_enough(found):
                            return found
        return found

    def _item(
        self, name: str, value: JsonObject, held: JsonObject, member: Member, place: Place, scope: Scope
    ) -> Founds | None:
        element, code = member
        if code == "Extension":
            return self._extension(value, place, scope, held, is_modifier=name == "modifierExtension")
        if code == "Resource":
            return self._resource(value, scope)
        path = f"{place.path}.{element.name}[x]" if element.choice else f"{place.path}.{element.name}"
        inner = Place(path, element.path, code)
        return self._object(value, "Element" if name[0] == "_" else code, inner, scope)

    def _resource(self, resource: JsonObject, scope: Scope) -> Founds | None:
        inside = scope.run.scope(resource)
        found = self.found(inside)
        type = resource.get("resourceType")
        for check in self.claimed(resource):
            problems = check.found(resource, None, type if isinstance(type, str) else "", inside)
            if problems is not None:
                found = under(found, "", problems)
        return found

    def claimed(self, resource: JsonObject) -> Iterator[ProfileCheck]:
        """The profiles that a resource says it has, of those known and in order."""
        meta = resource.get("meta")
        for url in texts(meta.get("profile")) if isinstance(meta, dict) else ():
            definition = self._library.definitions.get(url)
            if definition is not None and definition.get("derivation") == "constraint":
                check = self._usable(url)
                if check is not None:
                    yield check

    def _extension(
        self, value: JsonObject, place: Place, scope: Scope, held: JsonObject, *, is_modifier: bool
    ) -> Founds | None:
        url = value.get("url")
        name = url if isinstance(url, str) else ""
        inside = Place("Extension", "Extension", "Extension", name)
        found = self._object(value, "Extension", inside, scope)
        if ":" not in name:
            return under(found, "", [_unknown(name)]) if is_modifier else found
        definition = self._library.definitions.get(name)
        if definition is None or definition.get("type") != "Extension":
            return under(found, "", [_unknown(name)]) if is_modifier else found
        check = self._usable(name)
        if check is None:
            return under(found, "", [_unusable(name)])
        if _modifies(definition) != is_modifier:
            message = "modifier-wanted" if not is_modifier else "modifier-unwanted"
            found = under(found, "", [_told("modifier", message, check.profile, {"url": name})])
        context = self._context(name, definition)
        if not self._fits(context, held, place, scope):
            told: dict[str, object] = {"url": name, "found": place.extension or place.path, "expected": context.told}
            found = under(found, "", [_told("context", "context", check.profile, told)])
        problems = check.found(value, None, "Extension", scope)
        return found if problems is None else under(found, "", problems)

    def _usable(self, url: str) -> ProfileCheck | None:
        try:
            return self._library.check(url)
        except BadProfile:
            return None

    def _context(self, url: str, definition: JsonObject) -> Context:
        known = self._contexts.get(url)
        if known is None:
            listed = definition.get("context")
            told = [
                (str(one.get("type")), str(one.get("expression")))
                for one in (listed if isinstance(listed, list) else [])
                if isinstance(one, dict)
            ]
            known = self._contexts[url] = Context(
                frozenset(expression for type, expression in told if type == "element"),
                frozenset(expression for type, expression in told if type == "extension"),
                tuple(self._library.expressions.selected(one) for type, one in told if type == "fhirpath"),
                ", ".join(expression for _, expression in told),
            )
        return known

    def _fits(self, context: Context, held: JsonObject, place: Place, scope: Scope) -> bool:
        if not context.told or context.elements & _ANYWHERE or place.extension in context.extensions:
            return True
        names = {place.path, place.element, place.path.removesuffix("[x]")}
        if not names.isdisjoint(context.elements):
            return True
        if any(self._reading.is_a(place.type, one) for one in context.elements):
            return True
        return any(selected(held, scope) for selected in context.selected)


def _modifies(definition: JsonObject) -> bool:
    """Whether the extension is a modifier: the first element of its definition says so."""
    for view in ("snapshot", "differential"):
        part = definition.get(view)
        listed = part.get("element") if isinstance(part, dict) else None
        first: Json = listed[0] if isinstance(listed, list) and listed else None
        if isinstance(first, dict) and first.get("path") == "Extension":
            return first.get("isModifier") is True
    return False


def _unknown(url: str) -> Found:
    return _told("modifier", "modifier-unknown", NOBODY, {"url": shown(url)})


def _unusable(url: str) -> Found:
    told = {"url": url}
    return Found(Severity.INFORMATION, IssueType.INFORMATIONAL, "extension", "extension-unusable", NOBODY, told)


def _told(rule: str, message: str, profile: Profile, values: dict[str, object]) -> Found:
    return Found(Severity.ERROR, IssueType.EXTENSION, rule, message, profile, values)
