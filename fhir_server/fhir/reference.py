"""References: literal and local, literal and elsewhere, contained, or logical.

https://hl7.org/fhir/R4/references.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
"""https://hl7.org/fhir/R4/datatypes.html#id, to be used with ``fullmatch``."""


@dataclass(frozen=True, slots=True)
class LocalReference:
    """``Type/id`` on this server, perhaps of one version."""

    type: str
    id: str
    version: str | None = None

    def __str__(self) -> str:
        """The reference without its version: ``Patient/demo-1``."""
        return f"{self.type}/{self.id}"


def local(reference: str, base_url: str = "") -> LocalReference | None:
    """Read a literal reference to a resource of this server, relative or under ``base_url``; else nothing."""
    if base_url and reference.startswith(base_url + "/"):
        reference = reference[len(base_url) + 1 :]
    match = _LOCAL.fullmatch(reference)
    return LocalReference(match[1], match[2], match[3]) if match else None
