"""The StructureDefinitions known to the server, found by their canonical URL, and their snapshots.

https://hl7.org/fhir/R4/structuredefinition.html, https://hl7.org/fhir/R4/references.html#canonical
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import msgspec

from fhir_server.definitions import rows, snapshots
from fhir_server.definitions.bad_profile import BadProfile, Defect
from fhir_server.definitions.differentials import objects
from fhir_server.definitions.load import committed
from fhir_server.definitions.messages import told as message
from fhir_server.definitions.snapshot_tree import Node, elements_of, planted
from fhir_server.fhir.json import JsonObject

__all__ = ["BadProfile", "BaseDefinitions", "Snapshot", "StructureDefinitions", "base_definitions"]

MAX_CHAIN = 50
"""Most profiles that one can build on, one over the other or by their types. Real chains stay under 8."""

_decoder = msgspec.json.Decoder(dict[str, object], float_hook=Decimal)


class BaseDefinitions(Mapping[str, JsonObject]):
    """The definitions of R4 by URL, each decoded when it is asked for first."""

    def __init__(self, archive: bytes) -> None:
        """``archive`` is `elements.json.gz`; see `rows.ELEMENTS`."""
        urls, *definitions = gzip.decompress(archive).splitlines()
        self._lines = dict(zip(msgspec.json.decode(urls, type=list[str]), definitions, strict=True))
        self._decoded: dict[str, JsonObject] = {}

    def __getitem__(self, url: str) -> JsonObject:
        if url not in self._decoded:
            self._decoded[url] = _decoder.decode(self._lines[url])  # type: ignore[assignment]
        return self._decoded[url]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


@cache
def base_definitions() -> BaseDefinitions:
    """Those of FHIR R4 4.0.1: the resource types, the data types, the profiles and extensions of the standard."""
    return BaseDefinitions(committed(rows.ELEMENTS))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a profile or a type asks, element by element, in the order of a snapshot."""

    url: str
    version: str
    type: str
    kind: str
    derivation: str
    abstract: bool
    base: str
    """The URL of what it derives from; empty for Element and Resource."""
    elements: tuple[JsonObject, ...]
    """ElementDefinitions as in ``snapshot.element``. They are shared: not to be changed."""


class StructureDefinitions:
    """Definitions by ``url`` and ``url|version``. Without a version the one that was given last is meant."""

    def __init__(self, base: Mapping[str, JsonObject], own: Iterable[JsonObject] = ()) -> None:
        """``own`` come on top of those of the standard.

        :class:`BadProfile` where one is no StructureDefinition or has the URL of a type of the standard, or where two
        have the same URL and version: one of them would silently not be used.
        """
        self._base = base
        self._own: dict[str, JsonObject] = {}
        self._trees: dict[str, Node] = {}
        self._snapshots: dict[str, Snapshot] = {}
        self._asked: dict[str, set[str]] = {}
        """By canonical of a made tree: the URLs that were looked up for it."""
        self._making: dict[str, set[str]] = {}
        """Those being made now, outermost first, with what was looked up for them so far."""
        self._added: set[str] = set()
        """By canonical: what came on top (`extended`) and has no snapshot yet."""
        self._room = 0
        """How many elements the snapshots of these may still have together."""
        given: set[str] = set()
        for definition in own:
            canonical = canonical_of(definition)
            if canonical in given:
                raise BadProfile(canonical, "", message("two-definitions"))
            given.add(canonical)
            self._add(definition)

    def _add(self, definition: JsonObject) -> None:
        canonical, url = canonical_of(definition), str(definition["url"])
        if url in self._base and self._base[url].get("derivation") != "constraint":
            # Everything builds on the types: who could define Patient anew could lift what any profile asks.
            raise BadProfile(canonical, "", message("type-of-standard"))
        self._own[canonical] = definition
        self._own[url] = definition

    def extended(self, more: Iterable[JsonObject], *, most: int = snapshots.MAX_ELEMENTS) -> StructureDefinitions:
        """The same with others on top: one that has a known URL and version takes its place, a new version is added.

        What is known by a URL alone stays what is meant by it: else whoever adds another version would lift what all
        the others ask. The snapshots of what comes on top have at most so many elements together (``most``): each of a
        chain of profiles has all that is below it. Snapshots that were made already and do not build on any of the new
        ones are kept.
        """
        listed = list(more)
        wider = StructureDefinitions(self._base)
        wider._own = dict(self._own)
        for definition in listed:
            known = self.get(url) if (url := str(definition.get("url"))) != canonical_of(definition) else None
            wider._add(definition)
            if known is not None and known.get("version") != definition.get("version"):
                wider._own[url] = known
        wider._added = {canonical_of(definition) for definition in listed}
        wider._room = most
        new = {str(definition["url"]) for definition in listed}
        for canonical, asked in self._asked.items():
            if not new & asked:
                wider._asked[canonical] = asked
                wider._trees[canonical] = self._trees[canonical]
                if canonical in self._snapshots:
                    wider._snapshots[canonical] = self._snapshots[canonical]
        return wider

    def __iter__(self) -> Iterator[str]:
        """The URLs of all definitions, those of the standard first."""
        yield from self._base
        yield from (url for url in self._own if "|" not in url and url not in self._base)

    def get(self, canonical: str) -> JsonObject | None:
        """The definition of a URL, or of a URL and version. It is shared: not to be changed."""
        found = self._own.get(canonical)
        if found is not None:
            return found
        url, _, version = canonical.partition("|")
        found = self._base.get(url)
        return found if found is not None and version in ("", found.get("version")) else None

    def snapshot(self, canonical: str) -> Snapshot:
        """The snapshot of a definition. :class:`BadProfile` where there is none, or where it cannot be made."""
        if canonical not in self._snapshots:
            tree, definition = self.tree(canonical), self.get(canonical)
            if tree is None or definition is None:
                raise BadProfile(canonical, "", message("not-known"))
            self._snapshots[canonical] = _snapshot(definition, tree)
        return self._snapshots[canonical]

    def chain(self, canonical: str) -> list[str]:
        """The URLs of a definition and of what it derives from, nearest first; empty where it is not known."""
        found: list[str] = []
        definition = self._look_up(canonical)
        while definition is not None and definition.get("url") not in found:
            found.append(str(definition["url"]))
            definition = self._look_up(str(definition.get("baseDefinition") or ""))
        return found

    def tree(self, canonical: str) -> Node | None:
        """The snapshot of a definition as a tree, not to be changed; nothing where it is not known."""
        definition = self._look_up(canonical)
        if definition is None:
            return None
        if canonical not in self._trees:
            self._make(canonical, definition)
        for asked in self._making.values():
            asked.update(self._asked[canonical])
        return self._trees[canonical]

    def whole(self, canonical: str) -> JsonObject | None:
        """The first element of that snapshot; nothing where it is not known, or is just being made."""
        definition = self._look_up(canonical)
        if definition is None or canonical_of(definition) in self._making:
            return None
        tree = self.tree(canonical)
        return tree.element if tree else None

    def _look_up(self, canonical: str) -> JsonObject | None:
        for asked in self._making.values():
            asked.add(canonical.partition("|")[0])
        return self.get(canonical)

    def _make(self, canonical: str, definition: JsonObject) -> None:
        own = canonical_of(definition)
        if own in self._making:
            circle = " -> ".join([*list(self._making)[list(self._making).index(own) :], own])
            raise BadProfile(own, "", message("circle", circle=circle))
        if len(self._making) >= MAX_CHAIN:
            raise BadProfile(own, "", message("too-many-profiles", most=MAX_CHAIN))
        self._making[own] = {str(definition["url"])}
        try:
            tree = _grown(definition, self)
            if own in self._added:
                self._make_room(own, tree.size())
            self._trees[canonical] = tree
            self._asked[canonical] = self._making[own]
        finally:
            del self._making[own]

    def _make_room(self, own: str, elements: int) -> None:
        if elements > self._room:
            raise BadProfile(own, "", message("no-room", number=elements, most=self._room))
        self._room -= elements
        self._added.remove(own)


def canonical_of(definition: JsonObject) -> str:
    """``url|version`` of a StructureDefinition, ``url`` where it has no version."""
    url, version = definition.get("url"), definition.get("version")
    if definition.get("resourceType") != "StructureDefinition" or not isinstance(url, str) or not url or "|" in url:
        raise BadProfile(str(url or "?"), "", message("no-url"))
    return f"{url}|{version}" if version else url


def _grown(definition: JsonObject, known: snapshots.Known) -> Node:
    """A type has its snapshot; of a profile it is made, for what is published may be made by other rules."""
    canonical, constraint = canonical_of(definition), definition.get("derivation") == "constraint"
    published = definition.get("snapshot")
    try:
        if constraint and "differential" in definition:
            return snapshots.grown(canonical, definition, known)
        if isinstance(published, dict):
            return planted(objects(published.get("element")), str(definition["url"]))
    except Defect as wrong:
        raise BadProfile(canonical, "", wrong.told) from None
    raise BadProfile(canonical, "", message("no-differential") if constraint else message("no-constraint"))


def _snapshot(definition: JsonObject, tree: Node) -> Snapshot:
    return Snapshot(
        url=str(definition["url"]),
        version=str(definition.get("version") or ""),
        type=str(definition.get("type") or tree.name),
        kind=str(definition.get("kind") or ""),
        derivation=str(definition.get("derivation") or ""),
        abstract=definition.get("abstract") is True,
        base=str(definition.get("baseDefinition") or ""),
        elements=tuple(elements_of(tree)),
    )
