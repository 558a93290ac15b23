r"""Values of a query: alternatives and parts, and the escapes that keep ``, | $ \`` as text.

https://hl7.org/fhir/R4/search.html#escaping
"""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\\([\\,|$])")
_TO_ESCAPE = re.compile(r"[\\,|$]")


def split(raw: str, separator: str) -> list[str]:
    """The parts between separators that are not escaped; the parts keep their escapes."""
    if "\\" not in raw:
        return raw.split(separator)
    parts = [""]
    escaped = False
    for character in raw:
        if character == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def unescape(part: str) -> str:
    """The text meant. A backslash before any other character is itself."""
    return _ESCAPED.sub(r"\1", part) if "\\" in part else part


def escape(text: str) -> str:
    """The inverse of :func:`unescape`, for links and tests."""
    return _TO_ESCAPE.sub(r"\\\g<0>", text)
