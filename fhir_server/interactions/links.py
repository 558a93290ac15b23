"""Links within a transaction: what entries call each other by becomes where they are stored.

https://hl7.org/fhir/R4/http.html#trules · https://hl7.org/fhir/R4/bundle.html#references

An entry is called by its ``fullUrl``: a ``urn:uuid:``, or the URL of a server, which others may also name relative to
it (``Patient/1``). Links stand in references, in elements that hold a URL, and in the ``href`` and ``src`` of
narratives; a business identifier that looks like one is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from fhir_server.record.pointers import MEMBERS

_REST: Final = re.compile(r"(?:https?://\S+/)?([A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64})")
_IN_NARRATIVE: Final = re.compile(r"""(\b(?:href|src)\s*=\s*)(["'])([^"']*)\2""")
CONDITIONAL: Final = re.compile(r"([A-Z][A-Za-z]+)\?(.+)")
"""``Patient?identifier=…``: a reference by a search, to be used with ``fullmatch``."""


def names_of(full_url: str) -> Iterator[str]:
    """What an entry of this ``fullUrl`` is called by in the Bundle."""
    yield full_url
    relative = _REST.fullmatch(full_url)
    if relative is not None and relative[1] != full_url:
        yield relative[1]


def conditional_references(value: Any) -> Iterator[str]:  # noqa: ANN401 - a tree of JSON
    """The references by a search that a resource holds, each once."""
    found: dict[str, None] = {}
    for text in _links(value):
        if CONDITIONAL.fullmatch(text):
            found[text] = None
    yield from found


def relinked(value: Any, known: Mapping[str, str]) -> Any:  # noqa: ANN401 - same
    """The tree with every link that is known by a name put in its place; itself where there is none."""

    def told(text: str) -> str:
        whole, mark, fragment = text.partition("#")
        place = known.get(text) or (known.get(whole) if whole else None)
        if place is None:
            return text
        return place if text in known else f"{place}{mark}{fragment}"

    return _changed(value, "", told)


def _changed(value: Any, name: str, told: Callable[[str], str]) -> Any:  # noqa: ANN401 - same
    if isinstance(value, dict):
        members = {member: _changed(one, member, told) for member, one in value.items()}
        return members if any(members[member] is not one for member, one in value.items()) else value
    if isinstance(value, list):
        elements = [_changed(one, name, told) for one in value]
        return elements if any(new is not old for new, old in zip(elements, value, strict=True)) else value
    if not isinstance(value, str):
        return value
    if name == "div":
        changed = _IN_NARRATIVE.sub(lambda link: f"{link[1]}{link[2]}{told(link[3])}{link[2]}", value)
    else:
        changed = told(value) if name in MEMBERS else value
    return changed if changed != value else value


def _links(value: Any, name: str = "") -> Iterator[str]:  # noqa: ANN401 - same
    if isinstance(value, dict):
        for member, one in value.items():
            yield from _links(one, member)
    elif isinstance(value, list):
        for one in value:
            yield from _links(one, name)
    elif isinstance(value, str) and name == "reference":
        yield value
