"""How a value is spelled among the search terms of a stored entry (``ix.s``).

================  =================================================================================================
token             ``code=system|value`` · ``code=|value`` (no system) · ``code#value`` (whatever the system)
                  ``code:text=folded text`` · ``code:of-type=system|code|value``
string            ``code=folded text`` · ``code:exact=text`` · of some types its tails, ``code~folded``
uri               ``code=uri`` · of a versioned canonical also ``code=uri|version``
reference         ``code=Type/id`` · ``code=https://elsewhere/Type/id`` · a canonical as a uri
logical reference  ``code:identifier=system|value`` · ``code:identifier=|value`` · ``code:identifier#value``
composite         ``code$`` and the terms of its components without their codes, :data:`BETWEEN` them
any               ``code:any`` where there is an element and none of the above, and of a composite that is there
================  =================================================================================================

The code of a search parameter has none of ``= # : | ~ $`` in it (:data:`CODE`), so the first of them ends it and terms
of two parameters never meet. A bar inside a system is escaped, so the first bar that is not ends the system.

A text over :data:`LONGEST` bytes would make the index grow with what a client cares to write: its end is replaced by
a digest (:func:`bounded`), on the way in and on the way out alike, so equality is kept and nothing is dropped.
"""

from __future__ import annotations

import re
from hashlib import sha256

CODE = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")
"""What the code of a search parameter looks like here; to be used with ``fullmatch``."""

BETWEEN = "\x02"
"""Between the components of a composite: it is in no FHIR string."""

LONGEST = 256
"""Bytes of a system, a code or a uri that are kept as they are."""

KEPT = 180
"""Bytes at most with which a longer one still begins, so that what begins with them can be found."""

_DIGEST = "\x01"
# U+0001 is in no FHIR string, so a digest cannot be mistaken for, or forged as, a text of its own.


def bounded(text: str) -> str:
    """The text itself, or its beginning and a digest of the whole when it is over :data:`LONGEST` bytes."""
    if len(text) <= LONGEST // 4:  # four bytes a character at most
        return text
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= LONGEST:
        return text
    return f"{_head(encoded)}{_DIGEST}{sha256(encoded).hexdigest()}"


def _head(encoded: bytes) -> str:
    """Whole characters of the first bytes."""
    return encoded[:KEPT].decode("utf-8", "ignore")


def system(uri: str) -> str:
    """A system as it stands before the bar."""
    if "|" in uri or "\\" in uri:
        uri = uri.replace("\\", "\\\\").replace("|", "\\|")
    return bounded(uri)
