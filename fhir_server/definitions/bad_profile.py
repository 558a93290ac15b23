"""A profile that cannot be used, and why."""

from __future__ import annotations


class BadProfile(ValueError):
    """What is wrong with a StructureDefinition: which one, at which element, and a sentence."""

    def __init__(self, profile: str, path: str, why: str) -> None:
        """``profile`` is its URL, with its version if it has one.

        ``path`` is the id of the element of the differential; empty where the whole definition is meant.
        """
        super().__init__(f"{profile}: {path}: {why}" if path else f"{profile}: {why}")
        self.profile = profile
        self.path = path
        self.why = why
