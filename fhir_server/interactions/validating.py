"""Everything that is wrong with a resource, in one list: what `$validate` tells, and what a write goes by (ADR 0041).

https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.outcome import Issue, IssueType, Severity, error
from fhir_server.interactions.definitional import answered_by, checks_for, issues_of_definition
from fhir_server.interactions.messages import told
from fhir_server.interactions.prepare import Draft, rules
from fhir_server.interactions.sharing import is_of_the_dmp, profiles_of
from fhir_server.validation import ins
from fhir_server.validation.profiles.parts import texts
from fhir_server.validation.sharing.profiles import declared
from fhir_server.validation.sharing.rules import issues_of_the_dmp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.validation.profiles.checks import ProfileChecks

_BASE: Final = "http://hl7.org/fhir/StructureDefinition/"
_PLACE: Final = re.compile(r"\[[0-9]+\]")
MOST_DECLARED: Final = 50
"""Profiles that a resource may declare; it is validated by no more."""


async def all_issues(exchange: Exchange, resource: JsonObject, asked: Sequence[str]) -> list[Issue]:
    """What is wrong with a resource by FHIR, by the rules of this server, by its profiles and by those asked for."""
    server = exchange.server
    issues = server.validator.validate(resource)
    type = resource.get("resourceType")
    if not isinstance(type, str) or type not in server.parameters.resource_types:
        return issues
    binding, within = _binding(exchange, resource), _declared_within(exchange, resource)
    checks = await checks_for(exchange, [*_either(binding), *asked[:MOST_DECLARED], *within[:MOST_DECLARED]], resource)
    urls = [f"{_BASE}{type}", *_meant(exchange, checks, binding), *asked[:MOST_DECLARED]]
    if len(asked) > MOST_DECLARED:
        issues.append(
            error(IssueType.TOO_COSTLY, told("too-many-profiles-asked", number=len(asked), most=MOST_DECLARED), type)
        )
    for url in asked[:MOST_DECLARED]:
        if checks.definitions.get(url) is None:
            issues.append(error(IssueType.NOT_FOUND, told("profile-unknown", url=url[:200]), type))
    known = [one for one in urls if checks.definitions.get(one) is not None or one not in asked]
    issues += rules(exchange, Draft(type, resource, b"", []))
    issues += await answered_by(exchange, checks, partial(checks.issues, resource, known))
    if type == "StructureDefinition":
        issues += await issues_of_definition(exchange, resource)
    issues += [*_too_many(resource), *_too_many_within(type, within), *_missing_of_required(exchange, resource)]
    return [*issues, *_of_the_dmp(exchange, resource), *_of_the_ins(exchange, resource)]


async def found_wrong(exchange: Exchange, draft: Draft, *, binding: bool = True) -> list[Issue]:
    """What the profiles of a new resource find wrong; what is not ``binding`` is told as warnings."""
    found = _missing_of_required(exchange, draft.resource)
    found += await _issues(exchange, draft.resource, _binding(exchange, draft.resource))
    return [*(found if binding else _as_warnings(found)), *await _of_definition(exchange, draft)]


async def made_wrong(exchange: Exchange, draft: Draft, before: JsonObject, *, binding: bool) -> list[Issue]:
    """What the profiles of a resource find wrong that was not wrong ``before``.

    What was stored by other rules can still be masked, archived, or mended piece by piece. Where something stands does
    not count: a change may move what was wrong already.
    """
    urls = _binding(exchange, draft.resource) or _binding(exchange, before)
    unusable = await _of_definition(exchange, draft)
    if not urls and not exchange.server.required_profiles.get(draft.type) and draft.type != "Patient":
        return unusable
    known = Counter(_nowhere(one) for one in await _issues(exchange, before, urls))
    found: list[Issue] = []
    for issue in await _issues(exchange, draft.resource, urls):
        if draft.resource.get("status") == "superseded" and _is_of_publishing(issue):
            continue
        place = _nowhere(issue)
        if known[place]:
            known[place] -= 1
        else:
            found.append(issue)
    if not _missing_of_required(exchange, before):
        found = [*_missing_of_required(exchange, draft.resource), *found]
    return [*(found if binding else _as_warnings(found)), *unusable]


async def _of_definition(exchange: Exchange, draft: Draft) -> list[Issue]:
    """Why a profile cannot be used, which binds everybody: who declared it could not be validated."""
    return await issues_of_definition(exchange, draft.resource) if draft.type == "StructureDefinition" else []


async def _issues(exchange: Exchange, resource: JsonObject, urls: Sequence[str]) -> list[Issue]:
    """What is wrong by these profiles, by the lists of the DMP, by the rules of the INS; not what is recommended."""
    found = [*_too_many(resource), *_of_the_ins(exchange, resource)]
    if not urls:
        return found
    checks = await checks_for(exchange, _either(urls), resource)
    wrong = await answered_by(exchange, checks, partial(checks.issues, resource, _meant(exchange, checks, urls)))
    found += [one for one in wrong if one.severity is not Severity.INFORMATION]
    return [*found, *_of_the_dmp(exchange, resource)]


def _binding(exchange: Exchange, resource: JsonObject) -> list[str]:
    """The profiles that bind a resource: declared, or demanded of it, of documents by their Bundle or in care."""
    own = texts(_member(resource.get("meta"), "profile"))[:MOST_DECLARED]
    return list(dict.fromkeys([*(one.url for one in profiles_of(exchange, resource)), *own]))


def _either(canonicals: Sequence[str]) -> list[str]:
    """What is looked up: the version that is named, and the one that is meant where none is."""
    return [each for one in canonicals for each in dict.fromkeys((one, one.partition("|")[0]))]


def _meant(exchange: Exchange, checks: ProfileChecks, canonicals: Sequence[str]) -> list[str]:
    """By what is checked: by the version that a resource names where it is known, else by the one that is.

    Of a profile of the server by its own versions alone: a client could store one that asks nothing.
    """
    own = exchange.server.profiles.definitions
    found: list[str] = []
    for canonical in canonicals:
        url = canonical.partition("|")[0]
        known = own if own.get(url) is not None else checks.definitions
        found.append(canonical if known.get(canonical) is not None else url)
    return list(dict.fromkeys(found))


def _declared_within(exchange: Exchange, resource: JsonObject) -> list[str]:
    """The profiles that the resources in one declare and the server itself does not know, each once."""
    known = exchange.server.profiles.definitions
    found = dict.fromkeys(url for one in _held(resource) for url in texts(_member(one.get("meta"), "profile")))
    return [url for url in found if known.get(url) is None]


def _held(resource: JsonObject) -> Iterator[JsonObject]:
    """The resources in one, at any depth: contained, and of the entries of a Bundle."""
    entries = resource.get("entry") if resource.get("resourceType") == "Bundle" else None
    listed = [_member(one, "resource") for one in (entries if isinstance(entries, list) else [])]
    contained = resource.get("contained")
    for held in (*(contained if isinstance(contained, list) else []), *listed):
        if isinstance(held, dict):
            yield held
            yield from _held(held)


def _of_the_dmp(exchange: Exchange, resource: JsonObject) -> list[Issue]:
    if resource.get("resourceType") != "DocumentReference" or not is_of_the_dmp(exchange, resource):
        return []
    return issues_of_the_dmp(resource, exchange.server.terminology)


def _of_the_ins(exchange: Exchange, resource: JsonObject) -> list[Issue]:
    return ins.issues(resource, exchange.requester.realm) if resource.get("resourceType") == "Patient" else []


def _too_many(resource: JsonObject) -> list[Issue]:
    """That a resource declares more profiles than are looked at."""
    number = len(list(declared(resource)))
    if number <= MOST_DECLARED:
        return []
    message = told("too-many-profiles", number=number, most=MOST_DECLARED)
    return [error(IssueType.TOO_COSTLY, message, f"{resource.get('resourceType')}.meta.profile")]


def _too_many_within(type: str, within: Sequence[str]) -> list[Issue]:
    """That the resources in one declare more profiles than are looked up."""
    if len(within) <= MOST_DECLARED:
        return []
    return [error(IssueType.TOO_COSTLY, told("too-many-profiles-within", most=MOST_DECLARED), type)]


def _missing_of_required(exchange: Exchange, resource: JsonObject) -> list[Issue]:
    """That a resource declares none of the profiles that the operator demands of its type."""
    type = str(resource.get("resourceType"))
    wanted = exchange.server.required_profiles.get(type, ())
    if not wanted or exchange.is_conformance or not set(wanted).isdisjoint(declared(resource)):
        return []
    message = told("profile-demanded", type=type, profiles=", ".join(wanted)[:400])
    return [replace(error(IssueType.REQUIRED, message, f"{type}.meta.profile"), rule="profile")]


def _is_of_publishing(issue: Issue) -> bool:
    """What profiles say of the status of a document is of its first version: later it is superseded."""
    return issue.expression == ("DocumentReference.status",) and issue.rule in {"pattern", "fixed"}


def _member(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, dict) else None


def _as_warnings(found: Sequence[Issue]) -> list[Issue]:
    return [replace(one, severity=Severity.WARNING) if one.severity is Severity.ERROR else one for one in found]


def _nowhere(issue: Issue) -> tuple[object, ...]:
    """An issue without its place."""
    where = tuple(_PLACE.sub("", one) for one in issue.expression)
    return (issue.severity, issue.code, issue.rule, issue.profile, where, _PLACE.sub("", issue.diagnostics))
