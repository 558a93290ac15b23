"""A profile that cannot be used, and why."""

from __future__ import annotations

from fhir_server.fhir.messages import Told


class BadProfile(ValueError):
    """What is wrong with a StructureDefinition: which one, at which element, and a sentence."""

    def __init__(self, profile: str, path: str, why: str | Told) -> None:
        """``profile`` is its URL, with its version if it has one.

        ``path`` is the id of the element of the differential; empty where the whole definition is meant.
        """
        english, french = why if isinstance(why, Told) else (why, "")
        where = [profile, path] if path else [profile]
        super().__init__(": ".join([*where, english]))
        self.profile = profile
        self.path = path
        self.why = english
        self.told = Told(str(self), " : ".join([*where, french]) if french else "")
        """With the profile and the element before it; in English alone where the sentence is."""
