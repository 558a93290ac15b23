"""The text of an expression as tokens: all of the language, where `tokens` reads the subset of patches.

http://hl7.org/fhirpath/N1/#grammar
"""

from __future__ import annotations

import re
from typing import Final

from fhir_server.fhirpath.messages import told
from fhir_server.fhirpath.refused import NotUnderstood
from fhir_server.fhirpath.tokens import Kind, Token, unquoted

_WORD: Final = re.compile(
    r"""(?:\s|//[^\r\n]*|/\*(?:[^*]|\*(?!/))*\*/)*+(?:
    (?P<text>'(?:[^'\\]|\\.)*+')
    |(?P<date>@[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?
        (?:T(?:[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?)?
        |@T[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?)
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<quoted>`(?:[^`\\]|\\.)*+`)
    |(?P<variable>\$[a-z]+|%(?:[A-Za-z_][A-Za-z0-9_]*|`(?:[^`\\]|\\.)*+`|"(?:[^"\\]|\\.)*+"))
    |(?P<symbol><=|>=|!=|!~|[.,()\[\]{}=~<>+\-*/&|])
    |(?P<other>\S)
    )""",
    re.VERBOSE | re.DOTALL,
)
_SPACE: Final = re.compile(r"(?:\s|//[^\r\n]*|/\*(?:[^*]|\*(?!/))*\*/)*+\Z")


def words(text: str) -> list[Token]:
    """All of them, the end as the last."""
    found: list[Token] = []
    at = 0
    while _SPACE.match(text, at) is None:
        match = _WORD.match(text, at)
        if match is None:  # pragma: no cover - any character is at least another one
            raise NotUnderstood(told("no-text-of-fhirpath"))
        group = match.lastgroup or ""
        found.append(Token(Kind(group), match[group]))
        at = match.end()
    return [*found, Token(Kind.END, "")]


def unquoted_name(text: str) -> str:
    """A name, with or without its quotes."""
    return unquoted(text) if text[:1] in '`"' else text
