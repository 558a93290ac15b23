"""The text of a path as tokens.

http://hl7.org/fhirpath/N1/#grammar
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.refused import NotUnderstood


class Kind(StrEnum):
    """What a token is."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    NAME = "name"
    QUOTED = "quoted"
    """A name between backticks."""
    VARIABLE = "variable"
    """``$this``, ``%resource``; of expressions alone, see `words`."""
    SYMBOL = "symbol"
    OTHER = "other"
    """A character, or a variable, of the language and not of this subset, or of neither."""
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One token, as it is written."""

    kind: Kind
    text: str


_TOKEN: Final = re.compile(
    r"""\s*(?:
    (?P<text>'(?:[^'\\]|\\.)*')
    |(?P<date>@[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2}
        (?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?)?T?)
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*|\$this\b)
    |(?P<quoted>`[A-Za-z_][A-Za-z0-9_]*`)
    |(?P<symbol>!=|[.()=\[\]-])
    |(?P<other>[$%]\w+|\S)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.?))", re.DOTALL)
_ESCAPED: Final = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", **{sign: sign for sign in "'\"`\\/"}}


def tokens(text: str) -> list[Token]:
    """All of them, the end as the last."""
    found = [
        Token(Kind(match.lastgroup or ""), match[match.lastgroup or 0]) for match in _TOKEN.finditer(text.rstrip())
    ]
    return [*found, Token(Kind.END, "")]


def unquoted(text: str) -> str:
    """What a text literal says."""
    return _ESCAPE.sub(_meant, text[1:-1])


def _meant(match: re.Match[str]) -> str:
    if match[1] is not None:
        return chr(int(match[1], 16))
    if match[2] not in _ESCAPED:
        raise NotUnderstood(told("no-escape", found=match[0]))
    return _ESCAPED[match[2]]
