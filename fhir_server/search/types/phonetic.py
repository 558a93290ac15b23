"""phonetic: names that sound alike in French. https://hl7.org/fhir/R4/patient.html#search

The standard leaves the algorithm to the server. Here a word becomes its first sound and the consonants heard after it:
``Dupont``, ``Dupond`` and ``Duppon`` are ``dpn``; ``Lefèvre`` and ``Lefebvre`` differ in a consonant some pronounce,
and so do not meet. Every word of the query must be heard in the name.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json
from fhir_server.search.messages import told
from fhir_server.search.predicate import Field, Predicate, all_of, one_of
from fhir_server.search.types import string
from fhir_server.search.values import unescape

MODIFIERS: Final = frozenset({"missing"})

_WORD: Final = re.compile(r"[a-z]+")
_MOST: Final = 40
"""Letters of a word that are heard."""
_HEARD: Final = (
    ("ce", "se"),
    ("ci", "si"),
    ("cy", "si"),
    ("ge", "je"),
    ("gi", "ji"),
    ("gy", "ji"),
    ("eaux", "o"),
    ("eau", "o"),
    ("aux", "o"),
    ("au", "o"),
    ("sch", "x"),
    ("sh", "x"),
    ("ch", "x"),
    ("ph", "f"),
    ("th", "t"),
    ("gn", "n"),
    ("qu", "k"),
    ("ck", "k"),
    ("c", "k"),
    ("q", "k"),
    ("y", "i"),
    ("z", "s"),
    ("w", "v"),
    ("h", ""),
)
"""What letters sound like: first what the vowel after a consonant makes of it (*Marceau*), then the longest."""
_SILENT: Final = "etdspx"
"""Letters not heard at the end of a word."""


@lru_cache(maxsize=4096)
def key(word: str) -> str:
    """What a folded word sounds like."""
    heard = word[:_MOST]
    for letters, sound in _HEARD:
        heard = heard.replace(letters, sound)
    heard = heard.rstrip(_SILENT) or heard
    first, rest = heard[:1], heard[1:]
    sounds = first + "".join(letter for letter in rest if letter not in "aeiou")
    return "".join(letter for at, letter in enumerate(sounds) if at == 0 or letter != sounds[at - 1])


def extract(parameter: str, element: Json, type: str) -> list[str]:
    """The terms an element is found by."""
    return [f"{parameter}={sound}" for text in string.texts(element, type) for sound in sounds(string.fold(text))]


def sounds(folded: str) -> list[str]:
    """What is heard in a folded text, word by word."""
    return [sound for word in _WORD.findall(folded) if (sound := key(word))]


def predicate(parameter: str, raw: str) -> Predicate:
    """Entries in which every word of the value is heard."""
    heard = sounds(string.fold(unescape(raw)))
    if not heard:
        raise Invalid(told("no-sound"))
    return all_of([one_of(Field.TERMS, f"{parameter}={sound}") for sound in heard])
