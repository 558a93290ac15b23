"""References: do they have a form that can be resolved, to a resource of a type the element may point to?

https://hl7.org/fhir/R4/references.html

Whether the target exists is not asked here; that needs the store.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fhir_server.definitions.tables import Invariant
from fhir_server.fhir.joining import either
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.validation.finding import Check, Container, Findings, ObjectCheck, one, shown
from fhir_server.validation.messages import finding, told

_LITERAL = re.compile(r"(https?://\S+/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?\S+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_UNREFERENCED = told("unreferenced")
_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


def reference_to(targets: Sequence[str], resource_types: frozenset[str]) -> ObjectCheck:
    """What holds between the members of a Reference whose element may point to ``targets`` (none: any type)."""
    allowed = frozenset(targets) & resource_types or resource_types
    expected = either(sorted(allowed)) if len(allowed) < len(resource_types) else ""

    def check(value: JsonObject, container: Container) -> Findings | None:
        reference = value.get("reference")
        pointed: str | None = None
        if type(reference) is str and reference:
            literal = _LITERAL.fullmatch(reference)
            if literal is None or (literal[1] and literal[2] not in resource_types):
                pointed, problem = _other_form(reference, container)
                if problem is not None:
                    return one(IssueType.VALUE, problem, ".reference", rule="reference")
            else:
                pointed = literal[2]
            if pointed is not None and pointed not in allowed:
                return _wrong_target(pointed, ".reference")
        return _declared(value["type"], pointed) if "type" in value else None

    def _declared(declared: Json, pointed: str | None) -> Findings | None:
        name = declared.removeprefix(_DEFINITION) if isinstance(declared, str) else None
        if name and pointed is not None and name != pointed:
            contradiction = told("other-target", target=pointed, declared=shown(name))
            return one(IssueType.VALUE, contradiction, ".type", rule="target")
        return _wrong_target(name, ".type") if name in resource_types and name not in allowed else None

    def _wrong_target(pointed: str, path: str) -> Findings:
        if pointed not in resource_types:
            return one(IssueType.VALUE, told("unknown-type", name=shown(pointed)), path, rule="target")
        return one(IssueType.VALUE, told("wrong-target", target=pointed, expected=expected), path, rule="target")

    return check


def _other_form(reference: str, container: Container) -> tuple[str | None, Told | None]:
    """Of a reference of another form than ``Type/id``: the type it points to, where it tells, and what is wrong."""
    if reference[0] == "#":
        return _fragment(reference[1:], container)
    if conditional := _CONDITIONAL.fullmatch(reference):
        if container.in_transaction:
            return conditional[1], None
        return None, told("conditional", reference=shown(reference))
    if _SCHEME.match(reference):
        return None, None
    return None, told("no-reference", reference=shown(reference))


def _fragment(identifier: str, container: Container) -> tuple[str | None, Told | None]:
    container.referenced.add(identifier)
    if not identifier:
        return container.type, None
    pointed = container.contained.get(identifier)
    if pointed is None:
        return None, told("not-contained", id=shown(identifier))
    return pointed, None


def canonical(otherwise: Check) -> Check:
    """The check of a canonical, which may be the fragment of a contained resource."""

    def check(value: Json, container: Container) -> Findings | None:
        found = otherwise(value, container)
        if found is None and isinstance(value, str) and value[0] == "#":
            _, problem = _fragment(value[1:], container)
            return None if problem is None else one(IssueType.VALUE, problem, rule="reference")
        return found

    return check


def types_by_id(contained: Sequence[Json]) -> dict[str, str]:
    """What a fragment can refer to."""
    named = [(r.get("id"), r.get("resourceType")) for r in contained if isinstance(r, dict)]
    return {identifier: name for identifier, name in named if isinstance(identifier, str) and isinstance(name, str)}


def duplicate_ids(contained: Sequence[Json]) -> Findings | None:
    """Each contained resource has an id that no other has."""
    seen: set[str] = set()
    found: Findings = []
    for position, resource in enumerate(contained):
        identifier = resource.get("id") if isinstance(resource, dict) else None
        if not isinstance(identifier, str):
            continue
        if identifier in seen:
            twice = told("contained-twice", id=shown(identifier))
            found += one(IssueType.DUPLICATE, twice, f".contained[{position}].id", rule="contained")
        seen.add(identifier)
    return found or None


def unreferenced(contained: Sequence[Json], container: Container) -> Findings | None:
    """Contained resources that nothing refers to, as warnings (dom-3): what they say is lost on whoever reads.

    One that refers to its container with ``#`` is in order; which one did is not kept, so then none is reported.
    """
    if "" in container.referenced:
        return None
    found = [
        finding(
            IssueType.INVARIANT,
            _UNREFERENCED,
            f".contained[{position}]",
            severity=Severity.WARNING,
            rule="dom-3",
            profile="",
        )
        for position, resource in enumerate(contained)
        if isinstance(resource, dict) and str(resource.get("id")) not in container.referenced
    ]
    return found or None


def contained_rules(invariants: Sequence[Invariant]) -> ObjectCheck:
    """What a contained resource must and must not have.

    It has an id, contains nothing (dom-2) and has no security label (dom-5: it would be read as a rule and could not be
    one). A version or date of its own (dom-4) means nothing and harms nobody; the published example of PDSm has one, so
    that is a warning.
    """
    by_key = {
        invariant.key: told("invariant-of-fhir", key=invariant.key, human=invariant.human.rstrip(". "))
        for invariant in invariants
    }

    def check(value: JsonObject, _: Container) -> Findings | None:
        found: Findings = []
        if "id" not in value:
            found += one(IssueType.REQUIRED, told("contained-without-id"), ".id", rule="contained")
        if "contained" in value:
            found += one(IssueType.INVARIANT, by_key["dom-2"], ".contained", rule="dom-2")
        meta = value.get("meta")
        if isinstance(meta, dict):
            if "security" in meta:
                found += one(IssueType.INVARIANT, by_key["dom-5"], ".meta.security", rule="dom-5")
            found += [
                finding(
                    IssueType.INVARIANT,
                    by_key["dom-4"],
                    f".meta.{name}",
                    severity=Severity.WARNING,
                    rule="dom-4",
                    profile="",
                )
                for name in ("versionId", "lastUpdated")
                if name in meta
            ]
        return found or None

    return check
