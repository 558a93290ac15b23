"""Links within a transaction: what entries call each other by becomes where they are stored.

https://hl7.org/fhir/R4/http.html#trules · https://hl7.org/fhir/R4/bundle.html#references

An entry is called by its ``fullUrl``: a ``urn:uuid:``, or the URL of a server, which others may also name relative to
it (``Patient/1``). Links stand in references, in elements that hold a URL, and in the ``href`` and ``src`` of
narratives; a business identifier that looks like one is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

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


@dataclass(frozen=True, slots=True)
class Links:
    """What a resource says that may lead to another one; found once, because most of it leads nowhere."""

    texts: frozenset[str]
    conditional: tuple[str, ...]
    """The references by a search among them, each once."""

    @classmethod
    def of(cls, resource: Any) -> Self:  # noqa: ANN401 - a tree of JSON
        """Those of a resource."""
        links = dict.fromkeys(_links(resource))
        by_search = (text for name, text in links if name == "reference" and CONDITIONAL.fullmatch(text))
        return cls(frozenset(text for _, text in links), tuple(by_search))

    def lead_to(self, known: Mapping[str, str]) -> bool:
        """Whether one of them is known by name."""
        return any(text in known or text.partition("#")[0] in known for text in self.texts)


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


def _links(value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - same
    """Each with the name of the member that says it."""
    waiting = [("", value)]
    for name, part in waiting:
        if isinstance(part, dict):
            waiting += part.items()
        elif isinstance(part, list):
            waiting += [(name, one) for one in part]
        elif not isinstance(part, str):
            continue
        elif name == "div":
            yield from ((name, link[3]) for link in _IN_NARRATIVE.finditer(part))
        elif name in MEMBERS:
            yield name, part
