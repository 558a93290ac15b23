"""Media types, and which of them somebody accepts.

https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1 · https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1 ·
https://www.rfc-editor.org/rfc/rfc6838#section-4.2
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ANY: Final = "*"
OCTETS: Final = "application/octet-stream"
LONGEST: Final = 255
"""Characters of a media type that is taken."""

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_TYPE: Final = re.compile(rf"({_NAME})/({_NAME})")
_RANGE: Final = re.compile(rf"({_NAME}|\*)/({_NAME}|\*)")
_PARAMETER: Final = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+)=([A-Za-z0-9!#$%&'*+.^_`|~-]+|\"[ !#-\[\]-~]*\")")
_QUALITY: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Range:
    """One alternative of an ``Accept``: a media type, or some at once."""

    type: str
    subtype: str
    parameters: frozenset[tuple[str, str]] = frozenset()
    quality: float = 1.0

    @property
    def name(self) -> str:
        """``text/plain``, ``text/*`` or ``*/*``."""
        return f"{self.type}/{self.subtype}"

    @property
    def is_open(self) -> bool:
        """Whether it names no type of its own."""
        return ANY in (self.type, self.subtype)


def media_type(text: str) -> str | None:
    """A media type in its plain form (``text/plain;charset=UTF-8``), fit to stand in a header; else nothing.

    Type, subtype and names of parameters are in lower case; values are as they came.
    """
    name, *rest = (part.strip() for part in text.split(";"))
    match = _TYPE.fullmatch(name)
    parameters = [_PARAMETER.fullmatch(part) for part in rest if part]
    if match is None or len(text) > LONGEST or None in parameters:
        return None
    told = [f";{one[1].lower()}={one[2]}" for one in parameters if one is not None]
    return f"{match[1].lower()}/{match[2].lower()}{''.join(told)}"


def essence(media: str) -> str:
    """A media type without its parameters."""
    return media.partition(";")[0].strip().lower()


def ranges(accept: str) -> tuple[Range, ...]:
    """The alternatives of an ``Accept``; what cannot be read is none."""
    return tuple(one for part in accept.split(",") if (one := _range(part)) is not None)


def quality(media: str, accepted: Iterable[Range]) -> float | None:
    """How much a media type is wanted, by the closest alternative; nothing where none is about it."""
    type, _, subtype = essence(media).partition("/")
    own = frozenset(_parameters(media.split(";")[1:]) or ())
    best: tuple[int, float] | None = None
    for one in accepted:
        if one.type not in (ANY, type) or one.subtype not in (ANY, subtype) or not one.parameters <= own:
            continue
        closeness = (one.type != ANY) + (one.subtype != ANY) + len(one.parameters)
        if best is None or (closeness, one.quality) > best:
            best = closeness, one.quality
    return None if best is None else best[1]


def _range(part: str) -> Range | None:
    name, *rest = (piece.strip() for piece in part.split(";"))
    match = _RANGE.fullmatch("*/*" if name == ANY else name)  # Java's own client sends a bare star
    told = _parameters(rest)
    if match is None or told is None or (match[1] == ANY and match[2] != ANY):
        return None
    weight = 1.0
    for parameter, value in told:
        if parameter == "q":
            if _QUALITY.fullmatch(value) is None:
                return None
            weight = min(float(value), 1.0)
    kept = frozenset(one for one in told if one[0] != "q")
    return Range(match[1].lower(), match[2].lower(), kept, weight)


def _parameters(parts: Iterable[str]) -> list[tuple[str, str]] | None:
    """Names and values in lower case, to be compared; nothing where one cannot be read."""
    found = [_PARAMETER.fullmatch(part.strip()) for part in parts if part.strip()]
    if None in found:
        return None
    return [(one[1].lower(), one[2].strip('"').lower()) for one in found if one is not None]
