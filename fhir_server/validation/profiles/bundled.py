"""The entries of a Bundle, as references find them.

https://hl7.org/fhir/R4/bundle.html#references
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fhir_server.fhir.json import JsonObject

_RESTFUL: Final = re.compile(r"(.*/)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")


class Entry(NamedTuple):
    """One resource of a Bundle."""

    resource: JsonObject
    full_url: str
    path: str
    """Where it is: ``Bundle.entry[1].resource``, or without the type where the Bundle is what is validated."""


class Bundled:
    """What the references of the entries of one Bundle lead to."""

    def __init__(self, bundle: JsonObject, root: str = "Bundle") -> None:
        """Look the entries up once. ``root`` begins the paths."""
        self._by_url: dict[str, Entry] = {}
        self._by_id: dict[str, Entry | None] = {}
        for entry in _entries(bundle, root):
            if entry.full_url:
                self._by_url.setdefault(entry.full_url, entry)
            name = f"{entry.resource.get('resourceType')}/{entry.resource.get('id')}"
            self._by_id[name] = None if name in self._by_id else entry
        self._by_object = {id(entry.resource): entry for entry in _entries(bundle, root)}

    def of(self, resource: JsonObject) -> Entry | None:
        """The entry that holds this very resource."""
        return self._by_object.get(id(resource))

    def find(self, reference: str, full_url: str = "") -> Entry | None:
        """The entry that is referred to from the entry with the ``full_url``.

        The standard reads a relative reference against a RESTful ``fullUrl`` only. Where the entry has another one, or
        none, the type and the id of a resource decide if just one has them: what is published in guides does so.
        """
        exact = self._by_url.get(reference)
        if exact is not None:
            return exact
        literal = _RESTFUL.fullmatch(reference)
        if literal is None:
            return None
        name = f"{literal[2]}/{literal[3]}"
        if literal[1]:
            return self._by_url.get(literal[1] + name)
        source = _RESTFUL.fullmatch(full_url)
        if source is not None and source[1] and (found := self._by_url.get(source[1] + name)) is not None:
            return found
        return self._by_id.get(name)


def _entries(bundle: JsonObject, root: str) -> Iterator[Entry]:
    listed = bundle.get("entry")
    for index, entry in enumerate(listed if isinstance(listed, list) else []):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(entry, dict) and isinstance(resource, dict):
            full_url = entry.get("fullUrl")
            yield Entry(resource, full_url if isinstance(full_url, str) else "", f"{root}.entry[{index}].resource")
