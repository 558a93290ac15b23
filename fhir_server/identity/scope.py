"""What a token allows at most: SMART scopes. Consent decides within them.

https://hl7.org/fhir/smart-app-launch/STU2/scopes-and-launch-context.html

``patient/*.cruds``, ``user/DocumentReference.rs`` and the older ``.read``, ``.write``, ``.*`` are read. A scope
narrowed by a query (``?category=...``) is refused: to ignore the query would widen what was granted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from fhir_server.fhir.messages import Told
from fhir_server.identity.messages import told

ANY_TYPE = "*"
EVERYTHING = frozenset("cruds")
"""Create, read, update, delete, search."""
_OLDER = {"read": frozenset("rs"), "write": frozenset("cud"), "*": EVERYTHING}
_SCOPE = re.compile(r"(patient|user|system)/(\*|[A-Z][A-Za-z]{0,63})\.(read|write|\*|(?=[cruds])c?r?u?d?s?)")
_RESOURCE_SCOPE = ("patient/", "user/", "system/")


class Level(StrEnum):
    """On whose behalf: the patient of the token, the person who signed in, or a system without a person."""

    PATIENT = "patient"
    USER = "user"
    SYSTEM = "system"


class ScopeRefused(ValueError):
    """A scope that cannot be honoured; `told` is a sentence for the client."""

    def __init__(self, message: Told) -> None:
        """Say why."""
        super().__init__(message.en)
        self.told = message


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope on resources: ``user/DocumentReference.rs``."""

    level: Level
    type: str
    """A resource type, or ``*``."""
    letters: frozenset[str]

    @property
    def is_everything(self) -> bool:
        """``*.cruds``, whatever the level."""
        return self.type == ANY_TYPE and self.letters == EVERYTHING

    def grants(self, type: str, letter: str) -> bool:
        """Tell whether this scope lets the requester do that with resources of the type; an unknown letter never."""
        return self.type in (ANY_TYPE, type) and letter in self.letters


def scopes(text: str) -> tuple[Scope, ...]:
    """Read the ``scope`` claim; raise :class:`ScopeRefused`.

    Words that are no scope on resources (``openid``, ``launch``, ``ITI-67``) grant nothing here and are passed over.
    """
    return tuple(_scope(word) for word in text.split(" ") if word.startswith(_RESOURCE_SCOPE))


def _scope(word: str) -> Scope:
    if "?" in word:
        raise ScopeRefused(told("scope-query"))
    match = _SCOPE.fullmatch(word)
    if match is None:
        raise ScopeRefused(told("scope-form"))
    letters = _OLDER.get(match[3]) or frozenset(match[3])
    return Scope(Level(match[1]), match[2], letters)
