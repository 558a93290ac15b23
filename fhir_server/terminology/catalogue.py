"""The code systems and value sets of HL7 that R4 brings along, decoded when they are first asked for (about 60 ms).

They are as R4 publishes them: a code system that R4 holds a part of, or nothing, is a part of it or nothing here.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from fhir_server.definitions.load import committed
from fhir_server.terminology import resources
from fhir_server.terminology.content import every

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FILE: Final = "terminology.json.gz"
LANGUAGE: Final = "en"
"""Of the displays."""

_PLACES: Final = ("http://hl7.org/fhir", "http://terminology.hl7.org/")


def ours() -> bytes:
    """The file of this release: a JSON array of resources."""
    return gzip.decompress(committed(FILE))


def nothing() -> bytes:
    """No resource at all."""
    return b"[]"


def may_hold(url: str) -> bool:
    """Tell whether HL7 publishes under URLs like this: anything else is not worth decoding for a search."""
    return url.startswith(_PLACES)


class Catalogue:
    """What HL7 publishes, by URL."""

    def __init__(self, source: Callable[[], bytes] = ours) -> None:
        """``source`` gives the resources when somebody asks for one."""
        self._source = source

    @cached_property
    def _resources(self) -> Sequence[resources.CodeSystem | resources.ValueSet]:
        return resources.read_several(self._source())

    @cached_property
    def code_systems(self) -> Mapping[str, resources.CodeSystem]:
        """By URL."""
        found = (one for one in self._resources if isinstance(one, resources.CodeSystem))
        return {one.url: msgspec.structs.replace(one, language=one.language or LANGUAGE) for one in found}

    @cached_property
    def value_sets(self) -> Mapping[str, resources.ValueSet]:
        """By URL."""
        found = (one for one in self._resources if isinstance(one, resources.ValueSet))
        return {one.url: msgspec.structs.replace(one, language=one.language or LANGUAGE) for one in found if one.url}

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """By OID (``urn:oid:…``), the URL of a code system."""
        found: dict[str, str] = {}
        for system in self.code_systems.values():
            for identifier in system.identifier:
                if identifier.value not in self.code_systems:
                    found.setdefault(identifier.value, system.url)
        return found

    @cached_property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """By URL of a code system, the URL and its OIDs."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for alias, url in self.aliases.items():
            found[url].append(alias)
        return {url: (url, *others) for url, others in found.items()}

    @cached_property
    def listed(self) -> Mapping[tuple[str, str], resources.Listed]:
        """By system and code, what the value sets name of systems that are not published here."""
        found: dict[tuple[str, str], resources.Listed] = {}
        for value_set in self.value_sets.values():
            for part in value_set.compose.include if value_set.compose is not None else ():
                for each in part.concept or ():
                    if part.system is not None and (each.display or (part.system, each.code) not in found):
                        found.setdefault((part.system, each.code), each)
        return found

    @cached_property
    def systems(self) -> frozenset[str]:
        """The systems that are published here, and those of which value sets name codes or take all."""
        parts = (part for each in self.value_sets.values() if each.compose for part in each.compose.include)
        return frozenset(self.code_systems) | {part.system for part in parts if part.system is not None}

    @cached_property
    def ranked(self) -> Mapping[str, tuple[str, ...]]:
        """By code, the systems with a hierarchy that have it."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for system in self.code_systems.values():
            concepts = list(every(system.concept))
            if any(each.concept or each.property for each in concepts):
                for code in dict.fromkeys(each.code for each in concepts):
                    found[code].append(system.url)
        return {code: tuple(systems) for code, systems in found.items()}
