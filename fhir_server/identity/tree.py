"""Reading typed values out of the tree of claims. Absent is nothing; of another type is a refusal.

A claim that is there and cannot be used as it is meant is never passed over: it may have been a restriction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from fhir_server.fhir.json import Json, JsonObject
from fhir_server.fhir.messages import Told
from fhir_server.identity.messages import told
from fhir_server.identity.refusal import invalid_token
from fhir_server.identity.requester import Coding

LONGEST_TEXT: Final = 1000
MOST_VALUES: Final = 50
LAST_MOMENT: Final = 253_402_300_799
"""The last second of the year 9999, in seconds since 1970."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_IN_PROSE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Tree:
    """An object of claims, and where it hangs in the token."""

    members: JsonObject
    path: str = ""

    def below(self, name: str) -> Tree:
        """The object of that name; an empty one when it is absent."""
        value = self.members.get(name, {})
        if not isinstance(value, dict):
            raise self.wrong(name, told("an-object"))
        return Tree(value, self._path(name))

    def text(self, name: str) -> str | None:
        """A string on one line, not empty."""
        return self._text(name, _CONTROL)

    def required_text(self, name: str) -> str:
        """A string that must be there."""
        value = self.text(name)
        if value is None:
            raise self.missing(name)
        return value

    def prose(self, name: str) -> str | None:
        """A sentence that a person typed, its white space made plain."""
        value = self._text(name, _CONTROL_IN_PROSE)
        return None if value is None else " ".join(value.split())

    def moment(self, name: str) -> int | None:
        """A NumericDate, cut to whole seconds. https://www.rfc-editor.org/rfc/rfc7519#section-2"""
        if name not in self.members:
            return None
        value = self.members[name]
        # The bounds come first: the integer part of 1E+999999999 would be a number of a billion digits.
        if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 <= value <= LAST_MOMENT:
            raise self.wrong(name, told("seconds"))
        return int(value)

    def required_moment(self, name: str) -> int:
        """A NumericDate that must be there."""
        value = self.moment(name)
        if value is None:
            raise self.missing(name)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """An array of strings."""
        return tuple(self._one_of_the_texts(name, value) for value in self._array(name))

    def codings(self, name: str) -> tuple[Coding, ...]:
        """An array of Coding, each with its system and code."""
        return tuple(self._coding(name, value) for value in self._array(name))

    def wrong(self, name: str, expected: str | Told) -> Exception:
        """The refusal of a claim that is not what it must be."""
        return invalid_token(told("claim", name=self._path(name), expected=expected))

    def missing(self, name: str) -> Exception:
        """The refusal of a token without this claim."""
        return invalid_token(told("claim-missing", name=self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _text(self, name: str, forbidden: re.Pattern[str]) -> str | None:
        if name not in self.members:
            return None
        value = self.members[name]
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, told("a-string"))
        if len(value) > LONGEST_TEXT or forbidden.search(value):
            raise self.wrong(name, told("a-short-string", most=LONGEST_TEXT))
        return value

    def _array(self, name: str) -> list[Json]:
        if name not in self.members:
            return []
        value = self.members[name]
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_VALUES:
            raise self.wrong(name, told("an-array", most=MOST_VALUES))
        return value

    def _one_of_the_texts(self, name: str, value: Json) -> str:
        if not isinstance(value, str) or not value or _CONTROL.search(value):
            raise self.wrong(name, told("an-array-of-strings"))
        return value

    def _coding(self, name: str, value: Json) -> Coding:
        if not isinstance(value, dict):
            raise self.wrong(name, told("an-array-of-codings"))
        coding = Tree(value, self._path(name))
        return Coding(coding.required_text("system"), coding.required_text("code"), coding.text("display"))
