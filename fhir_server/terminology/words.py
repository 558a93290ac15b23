"""Texts without case, accents and marks, as a filter of words compares them."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD: Final = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of a text: ``Compte-rendu d'hospitalisation`` has `compte`, `rendu`, `d` and `hospitalisation`."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(one for one in plain if not unicodedata.combining(one)))


def begin(wanted: Iterable[str], texts: Iterable[str]) -> bool:
    """Tell whether a word of the texts begins with each word that is wanted."""
    there = [word for text in texts for word in words(text)]
    return all(any(word.startswith(one) for word in there) for one in wanted)
