"""phonetic: names that sound alike in French. https://hl7.org/fhir/R4/patient.html#search

The standard leaves the algorithm to the server. Here a word becomes its first sound and the consonants heard after it:
``Dupont``, ``Dupond`` and ``Duppon`` are ``dpn``; ``Lefèvre`` and ``Lefebvre`` differ in a consonant some pronounce,
and so do not meet. Every word of the query must be heard in the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json
from fhir_server.search.predicate import Field, Predicate, all_of, one_of
from fhir_server.search.types import string
from fhir_server.search.values import unescape

MODIFIERS: Final = frozenset({"missing"})

_WORD: Final = re.compile(r"[a-z]+")
_MOST: Final = 40
"""Letters of a word that are heard."""
_HEARD: Final = (
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
    ("ce", "se"),
    ("ci", "si"),
    ("cy", "si"),
    ("ge", "je"),
    ("gi", "ji"),
    ("gy", "ji"),
    ("c", "k"),
    ("q", "k"),
    ("y", "i"),
    ("z", "s"),
    ("w", "v"),
    ("h", ""),
)
"""What letters sound like, the longest first."""
_SILENT: Final = "etdspx"
"""Letters not heard at the end of a word."""


def key(word: str) -> str:
    """What a folded word sounds like."""
    heard = word[:_MOST]
    for letters, sound in _HEARD:
        heard = heard.replace(letters, sound)
    heard = heard.rstrip(_SILENT) or heard
    first, rest = heard[:1], heard[1:]
    sounds = first + "".join(letter for letter in rest if letter not in "aeiou")
    return "".join(letter for at, letter in enumerate(sounds) if at == 0 or letter != sounds[at - 1])


def extract(parameter: str, element: Json, type: str) -> Iterator[str]:
    """The terms an element is found by."""
    for text in string.texts(element, type):
        for word in _WORD.findall(string.fold(text)):
            if sound := key(word):
                yield f"{parameter}={sound}"


def predicate(parameter: str, raw: str) -> Predicate:
    """Entries in which every word of the value is heard."""
    sounds = [sound for word in _WORD.findall(string.fold(unescape(raw))) if (sound := key(word))]
    if not sounds:
        raise Invalid("A name to search by its sound must have at least one letter.")
    return all_of([one_of(Field.TERMS, f"{parameter}={sound}") for sound in sounds])
