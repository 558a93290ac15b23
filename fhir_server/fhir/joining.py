"""Words joined in a sentence, in both languages: this or that, this and that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import told

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def either(words: Iterable[str]) -> Told:
    """``a``, ``a or b``, ``a or b or c``; nothing of no words."""
    joined: Told | None = None
    for word in words:
        joined = Told(word, word) if joined is None else told("or", one=joined, another=word)
    return joined or Told("", "")


def both(words: Iterable[str]) -> Told:
    """``a``, ``a and b``, ``a and b and c``; nothing of no words."""
    joined: Told | None = None
    for word in words:
        joined = Told(word, word) if joined is None else told("and", one=joined, another=word)
    return joined or Told("", "")


def listed(words: Iterable[Told]) -> Told:
    """``a, b, c``, of what has a word in each language."""
    joined = [*words]
    return Told(", ".join(one.en for one in joined), ", ".join(one.fr for one in joined))


def some(words: Sequence[str], most: int) -> Told:
    """The first of them, and that there are others: ``a or b or another``."""
    shown = either(words[:most])
    return shown if len(words) <= most else told("or", one=shown, another=told("another"))
