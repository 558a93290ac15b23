"""How much work the paths of one request may make: a short one can ask to look at a large resource many times."""

from __future__ import annotations

from typing import Final

from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.refused import TooMuch

MOST_LOOKED_AT: Final = 300_000
"""Elements looked at for one request, each as often as it is: half a second. Usual requests stay below a hundred."""


class Effort:
    """What is left of it."""

    __slots__ = ("_left",)

    def __init__(self, most: int = MOST_LOOKED_AT) -> None:
        """Begin with all of it."""
        self._left = most

    def spend(self, elements: int) -> None:
        """Take away; refuse when nothing is left."""
        self._left -= elements
        if self._left < 0:
            raise TooMuch(told("too-much"))
