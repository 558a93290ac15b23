"""What a check of a profile answers, and how that becomes issues.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeAlias

from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import Issue, IssueType, Severity
from fhir_server.validation.finding import MOST_ISSUES
from fhir_server.validation.messages import told

_NO_VALUES: Final[Mapping[str, object]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile that asks for something."""

    url: str
    version: str = ""
    name: str = ""
    above: tuple[str, ...] = ()
    """The URLs of the profiles it refines, the nearest first."""

    @property
    def canonical(self) -> str:
        """``url|version``."""
        return f"{self.url}|{self.version}" if self.version else self.url

    def refines(self, other: Profile) -> bool:
        """Whether it asks for all that the other asks for."""
        return self.url == other.url or other.url in self.above


@dataclass(frozen=True, slots=True)
class Found:
    """A defect, and where it is, seen from the check that answers it. No sentence yet: most trials are thrown away."""

    severity: Severity
    code: IssueType
    rule: str
    message: str
    """Its key in `messages/profiles.toml`."""
    profile: Profile
    values: Mapping[str, object] = field(default_factory=lambda: _NO_VALUES)
    path: str = ""
    settled: bool = False
    """Whether the path begins at the whole: something elsewhere is wrong, to which a reference led."""
    slice: str = ""
    """Of what is asked of a slice as such: its name. Several slices of one element are missing at the same place."""
    french: str = ""
    """The words of an invariant in French, where the profile has them."""


Founds: TypeAlias = list[Found]


def under(found: Founds | None, prefix: str, more: Founds) -> Founds:
    """What was found so far and ``more``, found one level below at ``prefix``."""
    below = [one if one.settled else replace(one, path=prefix + one.path) for one in more] if prefix else list(more)
    if found is None:
        return below
    found += below
    return most_important(found) if len(found) > 4 * MOST_ISSUES else found


def are_enough(found: Founds) -> bool:
    """Whether there are more errors than are told, so that looking further is of no use."""
    return len(found) > MOST_ISSUES and sum(one.severity is Severity.ERROR for one in found) > MOST_ISSUES


def most_important(found: Founds) -> Founds:
    """As many errors and as many others as are told, and one more of each to show that there were others."""
    errors = [one for one in found if one.severity is Severity.ERROR]
    others = [one for one in found if one.severity is not Severity.ERROR]
    return errors[: MOST_ISSUES + 1] + others[: MOST_ISSUES + 1]


def fails(found: Founds | None) -> bool:
    """Whether there is an error among it."""
    return found is not None and any(one.severity is Severity.ERROR for one in found)


def issues(found: Iterable[Found], root: str) -> list[Issue]:
    """Each told once, errors first, and whether there are more; ``root`` is the type of the resource."""
    each = _once(found)
    errors = [one for one in each if one.severity is Severity.ERROR]
    others = [one for one in each if one.severity is not Severity.ERROR]
    told_of = [_issue(one, root) for one in (*errors[:MOST_ISSUES], *others[:MOST_ISSUES])]
    if len(told_of) < len(each):
        more = told("more", number=len(told_of))
        told_of.append(Issue(Severity.INFORMATION, IssueType.INFORMATIONAL, more.en, (), more.fr))
    return told_of


def _once(found: Iterable[Found]) -> Founds:
    """What several profiles ask for is told by the one that asks for most; what a slice repeats, once."""
    kept: dict[tuple[str, str, str, str], Founds] = {}
    for one in found:
        others = kept.setdefault((one.path, one.rule, one.message, one.slice), [])
        for position, other in enumerate(others):
            if one.profile.url == other.profile.url:
                if one.rule != "binding" and one.values != other.values:
                    continue
                if one.severity is Severity.ERROR:
                    others[position] = one
                break
            if other.profile.refines(one.profile) or _is_same_invariant(one, other):
                break
            if one.profile.refines(other.profile):
                others[position] = one
                break
        else:
            others.append(one)
    return [one for same in kept.values() for one in same]


def _is_same_invariant(one: Found, other: Found) -> bool:
    """An invariant of a profile of a type is repeated by the snapshots of those who use it."""
    return one.message == "invariant" and one.values.get("human") == other.values.get("human")


def _issue(one: Found, root: str) -> Issue:
    name = one.profile.name or one.profile.url
    sentence = told(one.message, profile=name, **one.values)
    if one.french:
        sentence = Told(sentence.en, told(one.message, profile=name, **{**one.values, "human": one.french}).fr)
    where = root + one.path if not one.path or one.path[0] == "." else one.path
    return Issue(one.severity, one.code, sentence.en, (where,), sentence.fr, one.rule, one.profile.canonical)
