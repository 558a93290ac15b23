"""Checks resources against profiles: a resource and the URLs of profiles in, a list of issues out.

https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.fhir.date import instant
from fhir_server.fhir.outcome import Issue, IssueType, Severity
from fhir_server.fhirpath.effort import Effort
from fhir_server.fhirpath.model import Model
from fhir_server.fhirpath.refused import TooMuch
from fhir_server.validation.messages import told
from fhir_server.validation.profiles.bundled import Bundled
from fhir_server.validation.profiles.coded import Codes
from fhir_server.validation.profiles.compiling import Compiling
from fhir_server.validation.profiles.everywhere import NOBODY, Everywhere
from fhir_server.validation.profiles.expressions import Expressions
from fhir_server.validation.profiles.found import Found, Founds, Profile, are_enough, issues
from fhir_server.validation.profiles.occurrences import Reading
from fhir_server.validation.profiles.parts import tree
from fhir_server.validation.profiles.profile import Definitions, ProfileCheck
from fhir_server.validation.profiles.scope import Run, Scope

if TYPE_CHECKING:
    from fhir_server.definitions import tables
    from fhir_server.fhir.json import JsonObject

MOST_CHECKED: Final = 2_000_000
"""Steps of one validation: elements looked at, slices tried, codes asked for. A document takes some hundreds."""
MOST_CHECKED_FOR_CLIENTS: Final = 300_000
"""The same by profiles that a client made: such steps take up to four microseconds, as he wishes."""

_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
_EMPTY: Final[JsonObject] = {}


def _now() -> str:
    return instant(datetime.now(UTC))


class ProfileChecks:
    """The profiles that are known, each compiled when it is first asked for."""

    def __init__(
        self,
        structure_definitions: Definitions,
        definitions: tables.Definitions,
        terminology: Codes,
        *,
        now: Callable[[], str] = _now,
        most: int = MOST_CHECKED,
    ) -> None:
        """Nothing is compiled yet. ``now`` tells invariants the time, ``most`` bounds the steps of one validation."""
        self.definitions = structure_definitions
        self.reading = Reading(definitions)
        self.codes = terminology
        self.expressions = Expressions(self, Model(definitions), now)
        self._most = most
        self._checks: dict[str, ProfileCheck] = {}
        self._origins: dict[str, dict[str, JsonObject]] = {}
        self._everywhere = Everywhere(self)

    def check(self, url: str) -> ProfileCheck:
        """A profile, ``url`` or ``url|version``, compiled; raises :class:`BadProfile`."""
        known = self._checks.get(url)
        if known is not None:
            return known
        before = dict(self._checks)
        try:
            return self._compiled(url)
        except BadProfile:
            self._checks = before  # those compiled meanwhile may lean on what failed
            raise

    def issues(self, resource: JsonObject, urls: Sequence[str], *, bundle: Bundled | None = None) -> list[Issue]:
        """What is wrong with a resource by these profiles; ``bundle`` is where it comes from, if from one.

        The resource is one that structural validation found nothing wrong with, else what is told here may mislead;
        but any JSON object is answered. Extensions are checked whatever the profiles, and the resources inside against
        those profiles they claim themselves.
        """
        if bundle is None and resource.get("resourceType") == "Bundle":
            bundle = Bundled(resource, "")
        run = Run(resource, Effort(self._most), bundle)
        entry = bundle.of(resource) if bundle is not None else None
        scope = Scope(run, resource, resource, "", entry.full_url if entry is not None else "")
        told = resource.get("resourceType")
        type = told if isinstance(told, str) and self.reading.knows(told) else "Resource"
        found: Founds = []
        try:
            for url in dict.fromkeys(urls):
                found += self._found(url, type, scope)
                if are_enough(found):
                    break
            else:
                found += self._everywhere.found(scope) or []
        except (TooMuch, RecursionError):
            found.append(Found(Severity.ERROR, IssueType.TOO_COSTLY, "", "too-costly", NOBODY))
        return issues(found, type)

    def type_of(self, canonical: str) -> str:
        """The type that a definition constrains, or is; empty where it is not known."""
        definition = self.definitions.get(canonical)
        if definition is not None:
            told = definition.get("type")
            return told if isinstance(told, str) else ""
        name = canonical.partition("|")[0].removeprefix(_CORE)
        return name if canonical.startswith(_CORE) and self.reading.knows(name) else ""

    def origin(self, path: str) -> JsonObject:
        """What the base definition of R4 says of an element; nothing where it is not known."""
        type = path.partition(".")[0]
        known = self._origins.get(type)
        if known is None:
            known = {}
            if self.definitions.get(_CORE + type) is not None:
                elements = self.definitions.snapshot(_CORE + type).elements
                known = {str(one.get("path")): one for one in elements}
            self._origins[type] = known
        return known.get(path, _EMPTY)

    def _found(self, url: str, type: str, scope: Scope) -> Founds:
        try:
            check = self.check(url)
        except BadProfile as why:
            if self.definitions.get(url) is None:
                named, where = {"url": url}, _declared(scope.resource, url)
                return [
                    Found(Severity.WARNING, IssueType.NOT_FOUND, "profile", "profile-unknown", NOBODY, named, where)
                ]
            bad: dict[str, object] = {"url": url, "why": why.told}
            return [Found(Severity.ERROR, IssueType.PROCESSING, "profile", "profile-bad", NOBODY, bad)]
        return check.found(scope.resource, None, type, scope) or []

    def _compiled(self, url: str) -> ProfileCheck:
        definition = self.definitions.get(url)
        if definition is None:
            raise BadProfile(url, "", told("not-known-here"))
        snapshot = self.definitions.snapshot(url)
        profile = Profile(snapshot.url, snapshot.version, _name(definition, snapshot.url), self._above(snapshot.base))
        known = self._checks.get(profile.canonical)
        if known is not None:
            self._checks[url] = known
            return known
        compiling = Compiling(profile, self)
        root = tree(snapshot, self.reading, compiling.refuse)
        check = ProfileCheck(profile, snapshot.type, root)
        self._checks[url] = self._checks[profile.canonical] = check
        check.root = compiling.root(root)
        check.unchecked = tuple(compiling.unchecked)
        check.must_support = frozenset(
            str(one.get("id") or one.get("path")) for one in snapshot.elements if one.get("mustSupport") is True
        )
        return check

    def _above(self, base: str) -> tuple[str, ...]:
        """What a profile refines, the nearest first."""
        found: dict[str, None] = {}
        while base and base not in found:
            found[base.partition("|")[0]] = None
            definition = self.definitions.get(base)
            told = definition.get("baseDefinition") if definition is not None else None
            base = told if isinstance(told, str) else ""
        return tuple(found)


def _name(definition: JsonObject, url: str) -> str:
    """How sentences name a profile."""
    name = definition.get("name")
    return name if isinstance(name, str) and name else url.rpartition("/")[2]


def _declared(resource: JsonObject, url: str) -> str:
    """Where a resource declares a profile; nowhere for one that was asked for."""
    meta = resource.get("meta")
    named = meta.get("profile") if isinstance(meta, dict) else None
    for position, one in enumerate(named if isinstance(named, list) else []):
        if isinstance(one, str) and one.partition("|")[0] == url.partition("|")[0]:
            return f".meta.profile[{position}]"
    return ""
