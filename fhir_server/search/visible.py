"""The gate's pass: without one, no read method of the store can be called.

`consent.decide` alone makes them; `tools/check_gate.py` and the type checker prove it.
"""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.search.predicate import ALWAYS, Predicate


@dataclass(frozen=True, slots=True)
class Visible:
    """A predicate the consent rules arrived at, for one requester, one act, one moment."""

    predicate: Predicate
    place: Predicate = ALWAYS
    """Where it was decided. Where nothing is shown, it tells what looking there would have cost."""
