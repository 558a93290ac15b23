"""What a process knows and need not ask again, of bounded size: the oldest is forgotten first.

Only for what stays true once it is, so that forgetting costs a look-up and remembering costs nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Generic, TypeVar

Thing = TypeVar("Thing")

MOST: Final = 20_000


class Known(Generic[Thing]):
    """A set that forgets."""

    def __init__(self, most: int = MOST) -> None:
        """Remember at most so many."""
        self._most = most
        self._there: OrderedDict[Thing, None] = OrderedDict()

    def __contains__(self, thing: object) -> bool:
        """Whether it is known."""
        return thing in self._there

    def add(self, thing: Thing) -> None:
        """Know it from now on."""
        self._there[thing] = None
        if len(self._there) > self._most:
            self._there.popitem(last=False)
