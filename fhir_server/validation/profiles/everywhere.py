"""What is checked wherever it stands: extensions, and the profiles that inner resources say they have.

https://hl7.org/fhir/R4/extensibility.html · https://hl7.org/fhir/R4/defining-extensions.html#context
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.fhirpath.refused import NotUnderstood, Refused, TooMuch
from fhir_server.validation.finding import shown
from fhir_server.validation.profiles.discriminators import url_of
from fhir_server.validation.profiles.found import Found, Founds, Profile, are_enough, under
from fhir_server.validation.profiles.parts import texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from fhir_server.definitions.tables import Element
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.validation.profiles.profile import Holds, Library, ProfileCheck, Selected
    from fhir_server.validation.profiles.scope import Scope

NOBODY: Final = Profile("")
"""What FHIR itself asks for."""
_RESTFUL: Final = re.compile(r"https?://\S+/([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")
Member: TypeAlias = "tuple[Element, str]"
_ANYWHERE: Final = frozenset({"Element", "*"})
_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
_AS_PUBLISHED: Final[Mapping[str, frozenset[str]]] = {
    f"{_CORE}structuredefinition-fhir-type": frozenset({"ElementDefinition.type"}),
    f"{_CORE}regex": frozenset({"ElementDefinition.type"}),
    f"{_CORE}structuredefinition-normative-version": frozenset({"DomainResource", "ElementDefinition"}),
    f"{_CORE}valueset-concept-comments": frozenset({"CodeSystem.concept"}),
}
"""Where R4 itself has extensions, beside where it says that they stand: who sends what R4 publishes is not wrong."""


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
    conditions: tuple[tuple[str, Holds], ...]
    """What must hold there, as it is written and compiled (``contextInvariant``)."""


class Everywhere:
    """Walks a resource, contained ones and those of a Bundle included."""

    def __init__(self, library: Library) -> None:
        """Ask this one for definitions."""
        self._library = library
        self._reading = library.reading
        self._contexts: dict[str, Context] = {}
        self._parts: dict[str, frozenset[str] | None] = {}

    def found(self, scope: Scope) -> Founds | None:
        """What is wrong in a resource."""
        type = scope.resource.get("resourceType")
        if not isinstance(type, str) or not self._reading.knows(type):
            return None
        return self._object(scope.resource, type, Place(type, type, type), scope)

    def _object(self, held: JsonObject, type: str, place: Place, scope: Scope) -> Founds | None:
        scope.run.effort.spend(1)
        found: Founds | None = self._other_url(held) if type == "Bundle.entry" else None
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
        # what stands on the value of an extension stands in that extension, too
        inner = Place(path, element.path, code, place.extension if element.path == "Extension.value[x]" else "")
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
            problem = _unknown(name) if is_modifier else self._relative(name, place)
            return found if problem is None else under(found, "", [problem])
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
        broken = self._broken(context, held, place, scope)
        if broken:
            told = {"url": name, "found": place.extension or place.path, "expected": broken}
            found = under(found, "", [_told("context", "context-invariant", check.profile, told)])
        problems = check.found(value, None, "Extension", scope)
        return found if problems is None else under(found, "", problems)

    def _relative(self, name: str, place: Place) -> Found | None:
        """What is wrong with a URL that is not absolute: it must be a part of the extension it stands in.

        Of an extension that is not known, or of a part of one, nobody can tell.
        """
        if not name:
            return None  # structural validation tells
        if place.element != "Extension":
            return _told("url", "extension-relative", NOBODY, {"url": shown(name)})
        parts = self._parts_of(place.extension)
        if parts is None or name in parts:
            return None
        told: dict[str, object] = {
            "url": shown(name),
            "element": place.extension,
            "expected": ", ".join(sorted(parts)) or "-",
        }
        return _told("url", "extension-part", NOBODY, told)

    def _parts_of(self, url: str) -> frozenset[str] | None:
        """The parts that the definition of an extension names; nothing where it is not known, or tells by itself."""
        if url not in self._parts:
            definition = self._library.definitions.get(url) if ":" in url else None
            check = self._usable(url) if definition is not None and definition.get("type") == "Extension" else None
            held = check.tree.beneath.get("extension") if check is not None else None
            slicing = held.definition.get("slicing") if held is not None else None
            is_closed = isinstance(slicing, dict) and slicing.get("rules") == "closed"
            is_silent = held is None or is_closed or held.most == 0
            parts = held.slices if held is not None else ()
            self._parts[url] = None if is_silent else frozenset(url_of(one) for one in parts)
        return self._parts[url]

    def _other_url(self, entry: JsonObject) -> Founds | None:
        """That the ``fullUrl`` of an entry is the URL of another resource. What is no URL of a server may be anything.

        https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry.fullUrl
        """
        url, resource = entry.get("fullUrl"), entry.get("resource")
        told = _RESTFUL.fullmatch(url) if isinstance(url, str) else None
        if told is None or not isinstance(resource, dict) or told[1] not in self._reading.resource_types:
            return None
        type, id = resource.get("resourceType"), resource.get("id")
        if not isinstance(type, str) or not isinstance(id, str) or (told[1], told[2]) == (type, id):
            return None
        values: dict[str, object] = {"found": shown(told[0]), "expected": f"{type}/{id}"}
        return [Found(Severity.ERROR, IssueType.VALUE, "full-url", "full-url", NOBODY, values, ".fullUrl")]

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
            elements = frozenset(expression for type, expression in told if type == "element")
            known = self._contexts[url] = Context(
                elements | _AS_PUBLISHED.get(url, frozenset()),
                frozenset(expression for type, expression in told if type == "extension"),
                tuple(self._library.expressions.selected(one) for type, one in told if type == "fhirpath"),
                ", ".join(expression for _, expression in told),
                tuple(self._conditions(definition)),
            )
        return known

    def _conditions(self, definition: JsonObject) -> Iterator[tuple[str, Holds]]:
        """Those that are understood; ``%extension`` is not."""
        for text in texts(definition.get("contextInvariant")):
            with suppress(NotUnderstood):
                yield text, self._library.expressions.holds(text, ())

    def _broken(self, context: Context, held: JsonObject, place: Place, scope: Scope) -> str:
        """The first condition that the element does not satisfy, as it is written; empty where there is none.

        Conditions are about elements with elements; of a primitive only what stands beside it is at hand here.
        """
        if self._reading.is_primitive(place.type):
            return ""
        for text, holds in context.conditions:
            try:
                if not holds(held, None, place.type, scope):
                    return text
            except TooMuch:
                raise
            except Refused:
                continue  # what cannot be evaluated here is not broken
        return ""

    def _fits(self, context: Context, held: JsonObject, place: Place, scope: Scope) -> bool:
        if not context.told or context.elements & _ANYWHERE or place.extension in context.extensions:
            return True
        names = {place.path, place.element, place.path.removesuffix("[x]")}
        if not names.isdisjoint(context.elements):
            return True
        if any(self._reading.is_a(place.type, one) or self._inherits(names, one) for one in context.elements):
            return True
        return any(selected(held, scope) for selected in context.selected)

    def _inherits(self, names: Iterable[str], context: str) -> bool:
        """Whether one of the elements is the one of the context: ``Patient.text`` is ``DomainResource.text``."""
        general, _, rest = context.partition(".")
        told = ((type, below) for type, _, below in (name.partition(".") for name in names))
        return any(below == rest and self._reading.is_a(type, general) for type, below in told) if rest else False


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
