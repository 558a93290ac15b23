"""A profile that cannot be used, and why."""

from __future__ import annotations

from fhir_server.fhir.messages import Told


class Defect(ValueError):
    """What is wrong with a definition, in a sentence; which one it is, the caller knows."""

    def __init__(self, why: Told) -> None:
        """Say why."""
        super().__init__(why.en)
        self.told = why


class BadProfile(ValueError):
    """What is wrong with a StructureDefinition: which one, at which element, and a sentence."""

    def __init__(self, profile: str, path: str, why: Told) -> None:
        """``profile`` is its URL, with its version if it has one.

        ``path`` is the id of the element of the differential; empty where the whole definition is meant.
        """
        where = [profile, path] if path else [profile]
        super().__init__(": ".join([*where, why.en]))
        self.profile = profile
        self.path = path
        self.why = why.en
        self.told = Told(str(self), " : ".join([*where, why.fr]))
        """With the profile and the element before it."""
