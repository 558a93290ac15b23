"""Random resources of any type, made from the compiled definitions.

Any element, any type of a choice, ids and extensions on everything that may have them, values with and without what is
said about them, members in a random order. They keep to the structure of R4 and to required bindings, not
to its invariants. Arrays that would hold nothing but nulls are left out, as the server writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any, Final

import msgspec

from fhir_server.definitions.load import load
from fhir_server.definitions.tables import Element, Structure, TypeUse

DEEP = 4
"""From this depth on, little but what is required is given."""

TEXTS: Final = (
    "text",
    "Lettre de liaison, cœur et œdème",
    " with space around it ",
    "two\nlines\tand\r\ntabs",
    "<b>&amp;\"quoted\" 'twice' ]]></b>",
    "&eacute; &#10; %20 \\n \\u00e9",
    "𝒳 \U0001f600 \u0085 \u00a0 \u2028 \ufeff \u202e",
    "\ue000\ufffd\U0010ffff",
)
VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "base64Binary": ("Qm9uam91cg==", "AAAA", "Qm9u\nam91 cg=="),
    "boolean": ("true", "false"),
    "canonical": ("https://example.org/fhir/definition|1", "urn:oid:1.2.3", "#a&b"),
    "code": ("en", "a code", "<"),
    "date": ("2026", "2026-03", "2026-03-01"),
    "dateTime": ("2026", "2026-03", "2026-03-01", "2026-03-01T10:00:00.250+01:00"),
    "decimal": ("1.10", "0", "-0.0", "1.10e2", "1E-7", "-12345678901234567890.123456789", "100000000000000000000", "3"),
    "id": ("a", "A-1.b"),
    "instant": ("2026-03-01T10:00:00.000Z",),
    "integer": ("0", "-1", "2147483647"),
    "markdown": TEXTS,
    "oid": ("urn:oid:1.2.3",),
    "positiveInt": ("1", "2147483647"),
    "string": TEXTS,
    "time": ("10:00:00", "10:00:00.125"),
    "unsignedInt": ("0", "7"),
    "uri": ("https://example.org/a?b=c&d=é", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
    "url": ("https://example.org/a?b=c&d=%20",),
    "uuid": ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520",),
    "xhtml": (
        '<div xmlns="http://www.w3.org/1999/xhtml">text</div>',
        '<div xmlns="http://www.w3.org/1999/xhtml" title="a > b"><p>é &amp; <b>b</b>\n <br/>&#160;</p><!-- c --></div>',
        '<h:div xmlns:h="http://www.w3.org/1999/xhtml"><h:p xml:lang="fr">a</h:p></h:div>',
        '<div xmlns="http://www.w3.org/1999/xhtml"/>',
    ),
}
"""Legal values of each primitive type, as they are written."""
NO_STRINGS: Final = ("boolean", "decimal", "integer", "positiveInt", "unsignedInt")


def any_resource(random: Random, type: str, *, values: Mapping[str, tuple[str, ...]] = VALUES) -> bytes:
    """A resource of this type in JSON. The same state of ``random`` gives the same resource."""
    return msgspec.json.encode(_Making(random, values).resource(type, 1))


def told(body: bytes) -> Any:
    """What a JSON text says, with numbers as they are written."""

    def number(text: str) -> tuple[str, str]:
        return "number", text

    return json.loads(body, parse_int=number, parse_float=number)


class _Making:
    def __init__(self, random: Random, values: Mapping[str, tuple[str, ...]]) -> None:
        self._random = random
        self._values = values
        self._structures = load().structures

    def resource(self, type: str, depth: int) -> dict[str, Any]:
        return {"resourceType": type, **self._object(self._structures[type], depth)}

    def _object(self, structure: Structure, depth: int, likely: float = 0.35) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for element in structure.elements:
            if element.min or self._random.random() < (likely if depth < DEEP else 0.02):
                use = self._random.choice(element.types)
                name = element.json_name(use.code)
                if self._structures[use.code].kind == "primitive-type":
                    members |= self._primitive(element, use, name, depth)
                else:
                    number = 1 if element.max is not None else self._random.randint(1, 3)
                    made = [self._complex(use.code, depth + 1) for _ in range(number)]
                    members[name] = made if element.max is None else made[0]
        shuffled = list(members.items())
        self._random.shuffle(shuffled)
        return dict(shuffled)

    def _complex(self, type: str, depth: int) -> dict[str, Any]:
        if type == "Resource":
            types = load().resource_types if depth < DEEP else ("Basic", "Binary")
            return self.resource(self._random.choice(types), depth)
        return self._object(self._structures[type], depth)

    def _primitive(self, element: Element, use: TypeUse, name: str, depth: int) -> dict[str, Any]:
        has_about = use.code != "xhtml" and element.name != "id" and element.path != "Extension.url"
        values: list[Any] = []
        abouts: list[Any] = []
        for _ in range(self._random.randint(1, 4) if element.max is None else 1):
            about = self._about(depth + 1) if has_about and self._random.random() < 0.25 else None
            is_left_out = about is not None and "extension" in about and self._random.random() < 0.5
            values.append(None if is_left_out else self._value(element, use))
            abouts.append(about)
        members: dict[str, Any] = {}
        for given, of in ((name, values), (f"_{name}", abouts)):
            if any(one is not None for one in of):
                members[given] = of if element.max is None else of[0]
        return members

    def _about(self, depth: int) -> dict[str, Any]:
        about = self._object(self._structures["Element"], depth, likely=0.7)
        return about or {"id": "a"}

    def _value(self, element: Element, use: TypeUse) -> Any:
        codes = element.binding.codes if element.binding is not None and use.code == "code" else None
        if codes:
            return self._random.choice(sorted(code for _, code in codes))
        written = self._random.choice(self._values[use.code])
        return msgspec.Raw(written.encode()) if use.code in NO_STRINGS else written
