"""Sentences that are told in two languages: data, so that who knows the guides, and no Python, can change them.

A file of messages is TOML, a table for each: ``en`` and ``fr``, with the same places ``{name}`` to be filled. A package
that speaks has its own, in `messages/*.toml` beside its code: what is told at a place is written for those who stand
there.
"""

from __future__ import annotations

from importlib.resources import files
from string import Formatter
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

FOLDER: Final = "messages"
_PARTS: Final = Formatter()


class Told(NamedTuple):
    """The same in both languages."""

    en: str
    fr: str


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    en: str
    fr: str


class Messages:
    """The messages of a folder of ``*.toml``, by key; a file that cannot be used stops the start-up."""

    def __init__(self, folder: Traversable) -> None:
        """Read all files. A key stands in one of them."""
        self._messages: dict[str, _Message] = {}
        for file in sorted(folder.iterdir(), key=lambda one: one.name):
            if not file.name.endswith(".toml"):
                continue
            try:
                read = msgspec.toml.decode(file.read_bytes(), type=dict[str, _Message])
            except msgspec.DecodeError as error:
                message = f"{file.name}: {error}"
                raise ValueError(message) from None
            self._add(file.name, read)

    @classmethod
    def of(cls, package: str) -> Messages:
        """The messages of a package."""
        return cls(files(package).joinpath(FOLDER))

    @property
    def keys(self) -> frozenset[str]:
        """All of them."""
        return frozenset(self._messages)

    def places(self, key: str) -> frozenset[str]:
        """What is to be filled in."""
        return _places(self._messages[key].en)

    def told(self, key: str, /, **values: object) -> Told:
        """A message with its places filled.

        A value is the same in both languages (a code, a path, a number), or a `Told` of its own: one that has no French
        leaves the whole without it, for no sentence is in two languages.
        """
        message = self._messages[key]
        if not values:
            return Told(message.en.format(), message.fr.format())
        parts = [(name, value) for name, value in values.items() if type(value) is Told]
        english = message.en.format_map({**values, **{name: value.en for name, value in parts}})
        if not all(value.fr for _, value in parts):
            return Told(english, "")
        return Told(english, message.fr.format_map({**values, **{name: value.fr for name, value in parts}}))

    def _add(self, name: str, read: dict[str, _Message]) -> None:
        for key, message in read.items():
            if key in self._messages:
                raise ValueError(f"{name}: the message {key} stands twice.")
            if _places(message.en) != _places(message.fr):
                raise ValueError(f"{name}: the places of {key} are not the same in both languages.")
            self._messages[key] = message


def _places(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in _PARTS.parse(text) if name is not None)
