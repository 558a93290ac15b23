"""One pair of a query, taken apart; and what a query is read in.

https://hl7.org/fhir/R4/search.html#modifiers · https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from fhir_server.definitions.tables import Definitions
from fhir_server.fhir.date import microseconds
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.messages import Told
from fhir_server.search.filter_grammar import Operator
from fhir_server.search.messages import told
from fhir_server.search.parameters import Parameters
from fhir_server.search.values import split
from fhir_server.terminology import Terminology

MAX_VALUES: Final = 200
"""Values one parameter may give, separated by commas."""

_ESCAPES: Final = re.compile(r"\\[\\,|$]")
"""What a backslash may begin."""

_Value = TypeVar("_Value")


class NotSupported(Exception):
    """The standard has it, this server does not: refused or ignored by name, as the client's ``Prefer`` says."""

    def __init__(self, message: Told) -> None:
        """Say what."""
        self.told = message
        super().__init__(message.en)


@dataclass(frozen=True, slots=True)
class Context:
    """What a query is read in: everything it depends on besides its own text."""

    now: datetime
    base_url: str
    """The address of this server; a reference under it is local."""
    max_count: int
    """The most entries on a page."""
    default_count: int
    """The entries on a page when the query does not say."""
    definitions: Definitions
    parameters: Parameters
    terminology: Terminology

    @property
    def microseconds(self) -> int:
        """Now, since 1970."""
        return microseconds(self.now)


@dataclass(frozen=True, slots=True)
class Asked:
    """One pair of a query, its name taken apart."""

    code: str
    suffix: str
    """What follows the code: ``:not``, ``:Patient.identifier``, ``.identifier``, or nothing."""
    raw: str
    operator: Operator | None = None
    """Of a comparison in a ``_filter``: the value is one, and this says how it is compared."""

    @classmethod
    def read(cls, name: str, value: str, operator: Operator | None = None) -> Asked:
        """Take ``code:modifier`` or ``code.chain`` apart."""
        ends = [position for separator in ":." if (position := name.find(separator)) >= 0]
        end = min(ends, default=len(name))
        return cls(name[:end], name[end:], value, operator)

    @property
    def name(self) -> str:
        """The whole name again."""
        return self.code + self.suffix

    @property
    def modifier(self) -> str | None:
        """What follows a colon, where nothing else does."""
        return self.suffix.removeprefix(":") or None

    def values(self) -> list[str]:
        """The alternatives, their escapes still in them."""
        if self.operator is not None:
            return [self.raw]
        if _ESCAPES.sub("", self.raw).find("\\") >= 0:
            raise Invalid(told("backslash"))
        parts = split(self.raw, ",")
        if len(parts) > MAX_VALUES:
            raise Invalid(told("too-many-values", number=len(parts), most=MAX_VALUES))
        if "" in parts:
            raise Invalid(told("value-empty"))
        return parts

    def each(self, parse: Callable[[str], _Value]) -> list[_Value]:
        """Every alternative, read."""
        return [parse(raw) for raw in self.values()]
