"""reference: a resource that another points to. https://hl7.org/fhir/R4/search.html#reference

- ``Type/id``, an absolute URL under the base of this server, or a version of either: the term ``code=Type/id``.
- An absolute URL elsewhere, a ``urn:``: as it is, without version.
- ``id`` alone asks for each type the parameter may point to; the entry carries one term all the same.
- ``code:Type=id`` names the type. ``code:identifier=system|value`` searches Reference.identifier as a token.
- A canonical is found with its version and without. A reference to a contained resource is not searched.

Where the element is the one that tells the record, a local Patient is no term at all: the entry's ``record`` says it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Final, TypeAlias

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhir.messages import Told
from fhir_server.fhir.reference import ID, LocalReference, local
from fhir_server.record import pointers
from fhir_server.search import terms
from fhir_server.search.messages import told
from fhir_server.search.predicate import Field, Predicate, any_of, one_of
from fhir_server.search.types import token, uri
from fhir_server.search.values import unescape

TYPES: Final = frozenset({"Reference", "canonical", "uri", "url", "Resource"})
"""The types of element a reference is found in."""

MODIFIERS: Final = frozenset({"missing", "identifier", "above", "below"})
"""Beside the names of resource types."""

_VERSION = re.compile(r"/_history/[A-Za-z0-9\-.]{1,64}\Z")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_TYPE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?\Z", re.DOTALL)


Target: TypeAlias = LocalReference | str
"""A resource of this server, or the URL of another."""


def target_type(element: Json) -> str | None:
    """The type of resource a Reference, canonical or uri says it points to: by its URL, else by ``Reference.type``."""
    literal, told = element, None
    if isinstance(element, dict):
        literal, told = element.get("reference"), element.get("type")
    if isinstance(literal, str) and (match := _TYPE.match(literal)):
        return match[1]
    return told if isinstance(told, str) else None


def literal(element: JsonObject, base_url: str) -> Target | None:
    """What a Reference points to: on this server, elsewhere as a URL, or nothing that could be searched."""
    text = element.get("reference")
    if not isinstance(text, str) or text.startswith("#"):
        return None
    return local(text, base_url) or (_VERSION.sub("", text) if "/_history/" in text else text) or None


def extract(
    parameter: str,
    element: Json,
    type: str,
    base_url: str = "",
    *,
    of_record: bool = False,
    names_record: bool = False,
) -> list[str]:
    """The terms an element is found by, see :func:`fragments`."""
    found = fragments(element, type, base_url, of_record=of_record, names_record=names_record)
    return [parameter + fragment for fragment in found]


def fragments(
    element: Json, type: str, base_url: str = "", *, of_record: bool = False, names_record: bool = False
) -> list[str]:
    """What an element is found by: terms without the code of a parameter before them.

    Of a reference to something of a record the identifier beside it is no term: found by it, it would tell that it is
    there to somebody from whom it is hidden (ADR 0018). ``names_record``: it is the one that tells the record.
    """
    if isinstance(element, str):
        return uri.fragments(_canonical(element, base_url), type)
    found: list[str] = []
    if isinstance(element, dict):
        if type == "Reference":
            target = literal(element, base_url)
            if target is not None and not (of_record and _is_patient(target)):
                found.append(f"={terms.bounded(str(target))}")
            if "identifier" in element and (names_record or not _is_of_record(target, base_url)):
                found += token.extract(":identifier", element["identifier"], "Identifier")
        elif isinstance(id := element.get("id"), str):
            # Bundle.entry.resource: a resource within a resource is found as what a reference to it would say.
            found.append(f"={element.get('resourceType')}/{id}")
    return found


@lru_cache
def reading(base_url: str, *, of_record: bool, names_record: bool) -> Callable[[Json, str], list[str]]:
    """:func:`fragments` as one parameter reads them; for parameters that read alike, the same function."""
    return partial(fragments, base_url=base_url, of_record=of_record, names_record=names_record)


def parse(raw: str, targets: Sequence[str], base_url: str, modifier: str | None = None) -> tuple[Target, ...]:
    """Read one value: what it may point to, one for each possible type when the query does not tell."""
    text = unescape(raw)
    if modifier is not None and modifier not in targets:
        raise Invalid(told("cannot-point-to", type=modifier, targets=_listed(targets)))
    if ID.fullmatch(text):
        return tuple(LocalReference(type, text) for type in ((modifier,) if modifier else targets))
    literal, bar, _ = text.partition("|")
    if _VERSION.search(literal):
        raise Invalid(told("reference-version"))
    found = local(literal, base_url)
    if found is None:
        if modifier is None and _ABSOLUTE.fullmatch(text):
            return (text,)
        raise Invalid(told("no-reference", text=_shown(text)))
    if found.type not in targets or (modifier is not None and found.type != modifier):
        raise Invalid(told("points-to", targets=modifier or _listed(targets), found=_shown(found.type)))
    return (_canonical(text, base_url),) if bar else (found,)


def predicate(parameter: str, wanted: Sequence[Target], *, of_record: bool = False) -> Predicate:
    """Entries that point to one of these; see ``of_record`` above."""
    patients: list[str] = []
    others: list[str] = []
    for one in wanted:
        if of_record and isinstance(one, LocalReference) and one.type == "Patient":
            patients.append(one.id)
        else:
            others.append(f"{parameter}={terms.bounded(str(one))}")
    return any_of([one_of(Field.RECORD, *patients), one_of(Field.TERMS, *others)])


def _is_of_record(target: Target | None, base_url: str) -> bool:
    """Whether it is taken out where it is hidden: a part of a resource, or a version of a canonical, is it too."""
    return target is not None and pointers.target(str(target), base_url) is not None


def _is_patient(target: Target) -> bool:
    return isinstance(target, LocalReference) and target.type == "Patient"


def _canonical(text: str, base_url: str) -> str:
    """A canonical under the base of this server is written relative, its version kept."""
    if not base_url or not text.startswith(base_url):
        return text
    literal, bar, version = text.partition("|")
    found = local(literal, base_url)
    return f"{found}{bar}{version}" if found else text


def _listed(targets: Sequence[str]) -> str | Told:
    return ", ".join(targets) if len(targets) < 12 else told("another-type")  # noqa: PLR2004 - as many as one reads


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")  # noqa: PLR2004 - what fits a sentence
