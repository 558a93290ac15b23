"""Search values that nearly or exactly mean an element: what is asked is made from what there is."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from random import Random
from typing import Final

from fhir_server.definitions.tables import SearchParameter
from tests.differential.elements import Node, Resource, parameter_of, within
from tests.differential.intervals import INFINITY, PREFIXES, date_interval
from tests.differential.matching import (
    CURRENCIES,
    SWAPPED,
    fold,
    interval,
    referred,
    strings,
    token_texts,
    tokens,
)
from tests.differential.pools import DAYS, NUMBERS, SYSTEMS, TIMES, UNITS
from tests.differential.readings import COMPOSITES_TAKE_A_SYSTEM_ALONE

DATE_PREFIXES: Final = ("", *PREFIXES[:-1])
"""Approximately, of a date, depends on today."""
NUMBER_PREFIXES: Final = ("", *PREFIXES)
INTEGERS: Final = ("integer", "positiveInt", "unsignedInt")
FORMATS: Final = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
STEPS: Final = tuple(Decimal(one) for one in "0 0 0 1 -1 0.5 -0.5 0.05 -0.05 0.001 -0.001".split())


@dataclass(frozen=True)
class Values:
    """Makes a modifier and a value from an element; nothing when the element has nothing to ask for."""

    rng: Random
    base: str

    def made(
        self, parameter: SearchParameter, nodes: Sequence[Node], modifier: str | None = None
    ) -> tuple[str, str] | None:
        """A value that this parameter may take, and its modifier, from what it reads in one resource.

        A modifier that is told is kept to.
        """
        if parameter.type == "composite":
            return self._composite(parameter, nodes)
        node = self.rng.choice(nodes)
        makes: dict[str, Callable[[SearchParameter, Node, str | None], tuple[str, str] | None]] = {
            "string": self._string,
            "token": self._token,
            "date": lambda _, node, __: ("", self.date(node)),
            "number": lambda _, node, __: ("", self.number(node)),
            "quantity": lambda _, node, __: ("", self.quantity(node)),
            "reference": self._reference,
            "uri": self._uri,
        }
        return makes[parameter.type](parameter, node, modifier)

    def one(self, *values: str) -> str:
        return self.rng.choice(values)

    # Texts

    def part(self, text: str, *, anywhere: bool) -> str:
        """The beginning of a text, or some part of it, in another guise."""
        start = self.rng.randrange(len(text)) if anywhere else 0
        end = self.rng.choice((len(text), self.rng.randint(start + 1, len(text))))
        piece = text[start:end].strip() or text.strip()
        return self.disguised(piece)

    def disguised(self, text: str) -> str:
        """Another way to write what a search does not tell from this."""
        guise = self.rng.randrange(7)
        guises = (
            text,
            text.upper(),
            text.lower(),
            fold(text),
            unicodedata.normalize("NFD", text),
            text.replace("'", "’").replace("oe", "œ"),
            text.replace(" ", "  "),
        )
        return guises[guise]

    def _string(self, _: SearchParameter, node: Node, modifier: str | None) -> tuple[str, str] | None:
        texts = list(strings(node))
        if not texts:
            return None
        text = self.rng.choice(texts)
        modifier = self.one("", "", "contains", "exact") if modifier is None else modifier
        if modifier == "exact":
            # Which of two canonically equivalent texts is exact is left to the server.
            return modifier, escaped(self.one(text, text, text.upper(), fold(text), text[:-1] or text))
        return modifier, escaped(self.part(text, anywhere=modifier == "contains"))

    # Tokens

    def _token(self, _: SearchParameter, node: Node, modifier: str | None) -> tuple[str, str] | None:
        coded = node.type in ("Coding", "CodeableConcept", "Identifier")
        if modifier is None:
            modifier = self.one("", "", "", "not", "text", "of-type")
        match modifier:
            case "text":
                texts = [text for text in token_texts(node) if text]
                return ("text", escaped(self.part(self.rng.choice(texts), anywhere=False))) if texts else None
            case "of-type":
                types = node.value.get("type", {}).get("coding") if node.type == "Identifier" else None
                if not types:
                    return None
                number = self.one(node.value["value"], "1")
                return "of-type", "|".join(map(escaped, (types[0]["system"], types[0]["code"], number)))
        found = [one for one in tokens(node) if one.code is not None]
        if not found:
            return None
        token = self.rng.choice(found)
        code = escaped(self.one(*[token.code or ""] * 8, (token.code or "").swapcase()))
        if not coded:
            return modifier, code
        system = escaped(self.one(token.system or "", token.system or "", *SYSTEMS))
        some = f"{self.one(*SYSTEMS)}|"
        return modifier, self.one(code, code, f"{system}|{code}", f"{system}|{code}", f"|{code}", some)

    # References and URIs

    def _reference(self, parameter: SearchParameter, node: Node, modifier: str | None) -> tuple[str, str] | None:
        if node.type == "canonical":
            return "", self.one(node.value, node.value.partition("|")[0])
        identifier = node.value.get("identifier")
        if identifier and modifier is None and "resolve()" not in parameter.expression and self.rng.random() < 0.7:
            made = self._token(parameter, Node("Identifier", identifier), "")
            return made and ("identifier", made[1])
        if "reference" not in node.value:
            return None
        if here := referred(node, self.base):
            type, _, id = here.partition("/")
            if modifier is None and self.rng.random() < 0.25:
                return self.one(type, type, *parameter.targets[:3]), id
            return "", self.one(here, here, id, f"{self.base}/{here}", f"{type}/{id}0")
        return "", node.value["reference"]

    def _uri(self, _: SearchParameter, node: Node, modifier: str | None) -> tuple[str, str] | None:
        text = node.value
        if node.type == "canonical" or text.startswith("urn:"):
            return "", self.one(text, text, text.partition("|")[0])
        modifier = self.one("", "below", "above") if modifier is None else modifier
        if modifier == "below":
            steps = text.split("/")
            text = "/".join(steps[: self.rng.randint(3, len(steps))]) + self.one("", "", "/")
        elif modifier == "above":
            text += self.one("", "/", "/more/1")
        else:
            text = self.one(text, text, text + "/", text.upper())
        return modifier, escaped(text)

    # What is ordered

    def date(self, node: Node) -> str:
        """A date at an end of an interval, or at one of the pool, of any precision, zone and prefix."""
        found = interval(node)
        pool = date_interval(f"{self.rng.choice(DAYS)}T{self.rng.choice(TIMES)}Z").low
        moment, _ = self.rng.choice([found.low, found.high, pool] if found else [pool])
        if abs(moment) == INFINITY:
            moment = pool[0]
        moment += self.rng.choice([Decimal(0), Decimal(0), Decimal("0.001"), Decimal("-0.001"), Decimal(1)])
        return self.one(*DATE_PREFIXES) + self.written(moment)

    def written(self, moment: Decimal) -> str:
        """A moment as a date of random precision, in a random zone."""
        format = self.rng.choice((*FORMATS, "milliseconds"))
        shift, zone = self.rng.choice(((0, "Z"), (0, "Z"), (0, ""), (60, "+01:00"), (-330, "-05:30")))
        if "T" not in format and format != "milliseconds":
            shift, zone = 0, ""
        milliseconds = int(moment * 1000)
        told = datetime.fromtimestamp(milliseconds // 1000, UTC).astimezone(timezone(timedelta(minutes=shift)))
        if format == "milliseconds":
            return f"{told:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}{zone}"
        return told.strftime(format) + zone

    def number(self, node: Node) -> str:
        """A number at or beside that of the element, or one of the pool, with any digits and prefix."""
        found = interval(node)
        ends = [end[0] for end in (found.low, found.high) if abs(end[0]) != INFINITY] if found else []
        value = self.rng.choice((*ends, *ends, self.rng.choice(NUMBERS))) + self.rng.choice(STEPS)
        prefixes = [one for one in NUMBER_PREFIXES if node.type not in INTEGERS or one not in ("sa", "eb")]
        return self.one(*prefixes) + self.digits(value)

    def digits(self, value: Decimal) -> str:
        """A number, perhaps rounded, with more zeros, or with an exponent."""
        plain = format(value, "f")
        decimals = plain.partition(".")[2]
        rounded = format(round(value, self.rng.randint(0, len(decimals))), "f")
        zeros = plain + (self.one("0", "00") if decimals else self.one(".0", ".00"))
        exponent = f"{value:.{self.rng.randint(0, 3)}{self.one('e', 'E')}}"
        return self.one(plain, plain, rounded, zeros, exponent)

    def quantity(self, node: Node) -> str:
        """A number alone, with a unit of a system, or with a unit whatever its system."""
        number = self.number(node)
        unit: Resource = self.rng.choice(UNITS)
        ends = [one for one in (node.value, *node.value.values()) if isinstance(one, dict) and "code" in one]
        if ends and self.rng.random() < 0.6:
            unit = ends[0]
        if currency := node.value.get("currency"):
            unit = {"system": CURRENCIES, "code": currency, "unit": currency}
        system, code = str(unit.get("system", "")), str(unit.get("code", unit.get("unit", "mg")))
        written = str(unit.get("unit", "mg"))
        coded = f"{number}|{escaped(system)}|{escaped(code)}"
        return self.one(number, number, coded, f"{number}||{self.one(code, written)}")

    def _composite(self, parameter: SearchParameter, nodes: Sequence[Node]) -> tuple[str, str] | None:
        """A value for each component, mostly from one and the same element."""
        definitions = [parameter_of(url) for url, _ in parameter.components]
        if parameter.url == SWAPPED:
            definitions.reverse()
        same = self.rng.choice(nodes)
        parts = []
        for definition, (_, expression) in zip(definitions, parameter.components, strict=True):
            node = same if self.rng.random() < 0.7 else self.rng.choice(nodes)
            found = within(node, expression)
            made = self.made(definition, found, "") if found else None
            if made is None or (made[1][-1] == "|" and not COMPOSITES_TAKE_A_SYSTEM_ALONE):
                return None
            parts.append(made[1])
        return "", "$".join(parts)


def escaped(text: str) -> str:
    """A literal as part of a search value; https://hl7.org/fhir/R4/search.html#escaping."""
    return "".join(f"\\{one}" if one in "\\|,$" else one for one in text)


def joined(values: Iterable[str]) -> str:
    """Alternatives, each once."""
    return ",".join(dict.fromkeys(values))
