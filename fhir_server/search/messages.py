"""What search says, in English and in French: `messages/*.toml`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir.messages import Messages, Told

if TYPE_CHECKING:
    from collections.abc import Iterable

MESSAGES: Final = Messages.of("fhir_server.search")
told = MESSAGES.told


def either(words: Iterable[str]) -> Told:
    """This or that."""
    first, *others = words
    joined = Told(first, first)
    for other in others:
        joined = told("or", one=joined, another=other)
    return joined
