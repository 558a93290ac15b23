"""What is contained in a resource, as chains find it: ``author.family`` of a document that contains its author.

https://hl7.org/fhir/R4/references.html#contained · https://hl7.org/fhir/R4/search.html#chaining (ADR 0030)

Each contained resource to which a reference parameter points has an entry within the entry (``ix.c``): what it is found
by as if it stood alone. Apart from one another, so that of two contained authors neither lends the other his name, and
so that what is asked of one may be a negation. What it points to in turn is within its own entry: an author, the person
behind his role, that person's organisation: :data:`LEVELS`.

A reference to what is not contained here is a term as in any resource, and a chain goes on from it to what is stored.

Indexing `tests/examples/DocumentReference-lettre.json`, which contains its author, takes 229 us where it took 180, and
`published/pdsm-List-SubmissionSet.json`, which contains a role and its structure, 198 where it took 88. What contains
nothing takes as long as before (in turns, the least of 150 times 20 runs; two shared cores, not quiet).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from fhir_server.definitions.tables import Definitions
from fhir_server.fhir.errors import TooLarge
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.record.belonging import records_of
from fhir_server.search.entries import Gathered, ranges_of
from fhir_server.search.messages import told
from fhir_server.search.parameter import Parameter
from fhir_server.search.path import Walk, compile_path
from fhir_server.search.predicate import (
    AllOf,
    AnyOf,
    Contained,
    Contains,
    Field,
    Not,
    OneOf,
    Predicate,
    Prefix,
    all_of,
    any_of,
    negate,
    one_of,
)

LEVELS: Final = 3
"""References that a chain may go over among what one resource contains."""

MOST_ENTRIES: Final = 20_000
"""Entries of all that one resource contains; one that would need more is refused, whole.

What is contained is there again for each way to it, so that a few that all point to one another would be many.
"""

Unit: TypeAlias = "dict[str, Any]"
"""``p`` the parameters that point to it, ``rt`` its type, and ``ix`` what it is found by."""

RECORD: Final = "_record"
"""Under this, whom a contained resource is about: to ask for that is to ask for a reference, which may be hidden."""

_RESOLVED: Final = re.compile(r"\.where\(\s*resolve\(\) is \w+\s*\)\Z")
"""What a contained resource is is told by itself; the reference to it tells nothing."""

_TAIL: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_\-]*)~(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pointing:
    """A reference parameter, as it points to what is contained."""

    code: str
    targets: frozenset[str]
    walks: tuple[tuple[str | None, Walk], ...]
    """Each with the member it begins with, where it is plain names."""


def pointing(parameters: Iterable[Parameter], type: str, definitions: Definitions) -> tuple[Pointing, ...]:
    """The parameters of a type that may point to what is contained."""
    found: list[Pointing] = []
    for one in parameters:
        if one.type != "reference" or not one.supported:
            continue
        texts = {_RESOLVED.sub("", path.text): path for path in one.paths}
        paths = [path if text == path.text else compile_path(text, type, definitions) for text, path in texts.items()]
        walks = tuple((path.first, path.walk) for path in paths if path is not None)
        found.append(Pointing(one.code, frozenset(one.targets), walks))
    return tuple(found)


class Holder:
    """One resource, and what it contains."""

    def __init__(
        self,
        resource: JsonObject,
        gather: Callable[[str, JsonObject], Gathered],
        pointing: Mapping[str, Sequence[Pointing]],
        base_url: str,
    ) -> None:
        """``gather`` tells what a resource is found by, ``pointing`` the parameters of each type."""
        self._gather, self._pointing, self._base_url = gather, pointing, base_url
        held = resource.get("contained")
        self._held: dict[str, tuple[str, JsonObject]] = {
            f"#{one['id']}": (str(one["resourceType"]), one)
            for one in (held if isinstance(held, list) else ())
            if isinstance(one, dict) and "id" in one and one.get("resourceType") in pointing
        }
        self._known: dict[str, Unit] = {}
        self._entries = 0

    def units(self, type: str, resource: JsonObject, level: int = 1) -> list[Unit]:
        """The entries of what a resource of this type points to, the outer one or a contained one; in their order."""
        pointed: dict[str, list[str]] = {}
        for one in self._pointing[type]:
            for first, walk in one.walks:
                for element, _ in walk(resource) if first is None or first in resource else ():
                    id = _fragment(element)
                    if id in self._held and self._held[id][0] in one.targets:
                        pointed.setdefault(id, []).append(one.code)
        return [self._unit(id, sorted(set(codes)), level) for id, codes in sorted(pointed.items())]

    def _unit(self, id: str, codes: list[str], level: int) -> Unit:
        type, resource = self._held[id]
        alone = self._alone(id)
        index = alone["ix"]
        self._entries += 1 + len(index["s"]) + len(index.get("r", ()))  # that it is there is one, too
        if self._entries > MOST_ENTRIES:
            raise TooLarge(told("too-many-contained-entries", most=MOST_ENTRIES))
        within = self.units(type, resource, level + 1) if level < LEVELS else []
        return {"p": codes, **alone, "ix": index | ({"c": within} if within else {})}

    def _alone(self, id: str) -> Unit:
        """The entry of a contained resource by itself, made once."""
        known = self._known.get(id)
        if known is None:
            type, resource = self._held[id]
            gathered = self._gather(type, resource)
            records = [] if type == "Patient" else records_of(type, "", resource, self._base_url)
            gathered.terms.update([f"{RECORD}=Patient/{record}" for record in records])
            index: dict[str, Any] = {"s": sorted(gathered.terms)}
            if gathered.rows:
                index["r"] = ranges_of(gathered.rows)
            if gathered.texts:
                index["t"] = sorted(gathered.texts)
            known = self._known[id] = {"rt": type, "ix": index}
        return known


def _fragment(element: Json) -> str:
    """``#id`` of a reference or a canonical to what is contained, or nothing."""
    text = element.get("reference") if isinstance(element, dict) else element
    return text if isinstance(text, str) and text.startswith("#") else ""


def asked_of_contained(predicate: Predicate) -> Predicate:
    """The condition as it is asked of contained resources.

    Their texts carry no tails, and are looked into; they belong to no record, and say whom they are about.
    """
    match predicate:
        case OneOf(Field.RECORD | Field.ALSO, values):
            told = [f"{RECORD}=Patient/{value}" for value in values if value is not None]
            nobody = [negate(Prefix(f"{RECORD}="))] if None in values else []
            return any_of([one_of(Field.TERMS, *told), *nobody])
        case Prefix(text) if (tail := _TAIL.fullmatch(text)) is not None:
            return Contains(f"{tail[1]}=", tail[2])
        case AllOf(parts):
            return all_of([asked_of_contained(part) for part in parts])
        case AnyOf(parts):
            return any_of([asked_of_contained(part) for part in parts])
        case Not(part):
            return negate(asked_of_contained(part))
        case Contained():
            return replace(predicate, part=asked_of_contained(predicate.part))
        case _:
            return predicate
