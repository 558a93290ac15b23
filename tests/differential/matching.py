"""Whether one value of a search parameter matches one element, for each type of parameter.

https://hl7.org/fhir/R4/search.html#ptypes
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fhir_server.definitions.tables import SearchParameter
from tests.differential.elements import Node, parameter_of, within
from tests.differential.intervals import (
    LOWEST,
    Interval,
    compares,
    date_interval,
    instant_interval,
    number,
    period_interval,
    point,
    quantity_interval,
    range_asked,
    range_interval,
    split_prefix,
    timing_interval,
)
from tests.differential.readings import (
    CANONICAL_IS_FOUND_WITHOUT_ITS_VERSION,
    HIERARCHY_BY_SEGMENTS,
    OPEN_START_IS_SORTED_BY_ITS_END,
    STRINGS_HAVE_CASE,
)

CURRENCIES: Final = "urn:iso:std:iso:4217"
TEXT: Final = ("string", "markdown")
CODES: Final = ("code", "id", "uri", "url", "canonical", "oid", "uuid", "string", "markdown", "boolean")
QUANTITIES: Final = ("Quantity", "Age", "Duration", "Count", "Distance")
NAME_PARTS: Final = ("text", "family", "given", "prefix", "suffix")
ADDRESS_PARTS: Final = ("text", "line", "city", "district", "state", "country", "postalCode")
SWAPPED: Final = "http://hl7.org/fhir/SearchParameter/DocumentReference-relationship"
"""R4 names the definitions of its two components each for the other; what they read is right."""

_FOLDED: Final = str.maketrans({"œ": "oe", "æ": "ae", "’": "'", "‘": "'", "ʼ": "'"})
_ESCAPED: Final = re.compile(r"\\([,|$\\])")


# Values


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that are not escaped; https://hl7.org/fhir/R4/search.html#escaping."""
    parts: list[str] = []
    part, at = "", 0
    while at < len(text):
        if text[at] == "\\":
            part, at = part + text[at : at + 2], at + 2
        elif text[at] == separator:
            parts, part, at = [*parts, part], "", at + 1
        else:
            part, at = part + text[at], at + 1
    return [*parts, part]


def unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


# Elements


@dataclass(frozen=True, slots=True)
class Token:
    """What a token search sees of an element."""

    code: str | None
    system: str | None = None
    any_case: bool = False


def fold(text: str) -> str:
    """Text without case, accents, ligatures, kinds of apostrophes and runs of white space."""
    bare = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return " ".join(bare.casefold().translate(_FOLDED).split())


def strings(node: Node) -> Iterator[str]:
    """The texts a string search looks at; https://hl7.org/fhir/R4/search.html#string."""
    if node.type in TEXT:
        yield node.value
    parts = {"HumanName": NAME_PARTS, "Address": ADDRESS_PARTS}.get(node.type, ())
    for part in parts:
        found = node.value.get(part, [])
        yield from [found] if isinstance(found, str) else found


def tokens(node: Node) -> Iterator[Token]:
    """The codes of an element; https://hl7.org/fhir/R4/search.html#token."""
    match node.type:
        case "Coding":
            yield Token(node.value.get("code"), node.value.get("system"))
        case "CodeableConcept":
            for coding in node.value.get("coding", ()):
                yield Token(coding.get("code"), coding.get("system"))
        case "Identifier":
            yield Token(node.value.get("value"), node.value.get("system"))
        case "ContactPoint":
            yield Token(node.value.get("value"))
        case "boolean":
            yield Token("true" if node.value else "false")
        case type if type in CODES:
            yield Token(node.value, any_case=type in TEXT and not STRINGS_HAVE_CASE)


def token_texts(node: Node) -> Iterator[str]:
    """The texts ``:text`` looks at."""
    match node.type:
        case "Coding":
            yield node.value.get("display", "")
        case "CodeableConcept":
            yield node.value.get("text", "")
            yield from (coding.get("display", "") for coding in node.value.get("coding", ()))
        case "Identifier":
            yield node.value.get("type", {}).get("text", "")


def interval(node: Node) -> Interval | None:
    """The range of a number, quantity or date."""
    match node.type:
        case "date" | "dateTime":
            return date_interval(node.value)
        case "instant":
            return instant_interval(node.value)
        case "Period":
            return period_interval(node.value)
        case "Timing":
            return timing_interval(node.value)
        case "Range":
            return range_interval(node.value)
        case "Money":
            return quantity_interval(node.value)
        case type if type in QUANTITIES:
            return quantity_interval(node.value)
        case "decimal" | "integer" | "positiveInt" | "unsignedInt":
            return point(number(node.value))
    return None


def has_unit(node: Node, system: str, code: str) -> bool:
    """Whether a quantity is in this unit: ``system|code``, or ``|code`` for the code or the unit as written."""
    match node.type:
        case "Range":
            return all(has_unit(Node("Quantity", end), system, code) for end in node.value.values())
        case "Money":
            return system in ("", CURRENCIES) and node.value.get("currency") == code
    if system:
        return (node.value.get("system"), node.value.get("code")) == (system, code)
    return code in (node.value.get("code"), node.value.get("unit"))


def local(reference: str, base: str) -> str:
    """``Type/id`` of a reference to something here, else nothing; https://hl7.org/fhir/R4/references.html."""
    relative = reference.removeprefix(base + "/")
    return relative if re.fullmatch(r"[A-Z]\w+/[A-Za-z0-9.-]+", relative) else ""


def referred(node: Node, base: str) -> str:
    """``Type/id`` of what an element refers to on this server."""
    return local(node.value.get("reference", ""), base) if node.type == "Reference" else ""


# Matches


@dataclass(frozen=True, slots=True)
class Matching:
    """How values match elements on a server of this base URL."""

    base: str

    def matches(self, parameter: SearchParameter, modifier: str, value: str, node: Node) -> bool:
        """Whether one value, still escaped, matches one element."""
        match parameter.type:
            case "string":
                return _string(modifier, unescaped(value), strings(node))
            case "token":
                return _token(modifier, value, node)
            case "reference":
                return self._reference(modifier, value, node)
            case "uri":
                return _uri(modifier, unescaped(value), node)
            case "composite":
                return self._composite(parameter, value, node)
            case "date":
                return _date(value, node)
            case "number" | "quantity":
                return _number(value, node)
        raise NotImplementedError(parameter.type)

    def _reference(self, modifier: str, value: str, node: Node) -> bool:
        if node.type == "canonical":
            return _uri("", unescaped(value), node)
        if node.type != "Reference":
            return False
        if modifier == "identifier":
            identifier = node.value.get("identifier")
            return identifier is not None and _token("", value, Node("Identifier", identifier))
        wanted = f"{modifier}/{unescaped(value)}" if modifier else unescaped(value)
        if "/" not in wanted:
            return referred(node, self.base).partition("/")[2] == wanted
        if here := local(wanted, self.base):
            return referred(node, self.base) == here
        return bool(node.value.get("reference") == wanted)

    def _composite(self, parameter: SearchParameter, value: str, node: Node) -> bool:
        """Each component matches something within the one element."""
        asked = split(value, "$")
        components = [parameter_of(url) for url, _ in parameter.components]
        if parameter.url == SWAPPED:
            components.reverse()
        if len(asked) != len(components):
            raise ValueError(value)
        return all(
            any(self.matches(component, "", one, found) for found in within(node, expression))
            for component, one, (_, expression) in zip(components, asked, parameter.components, strict=True)
        )


def _string(modifier: str, wanted: str, texts: Iterator[str]) -> bool:
    match modifier:
        case "":
            return any(fold(text).startswith(fold(wanted)) for text in texts)
        case "contains":
            return any(fold(wanted) in fold(text) for text in texts)
        case "exact":
            return wanted in texts
    raise NotImplementedError(modifier)


def _token(modifier: str, value: str, node: Node) -> bool:
    parts = [unescaped(part) for part in split(value, "|")]
    match modifier:
        case "text":
            return _string("", unescaped(value), (text for text in token_texts(node) if text))
        case "of-type":
            system, code, number = parts
            types = node.value.get("type", {}).get("coding", ()) if node.type == "Identifier" else ()
            return any((one.get("system"), one.get("code")) == (system, code) for one in types) and (
                node.value.get("value") == number
            )
        case "":
            return any(_is(parts, token) for token in tokens(node))
    raise NotImplementedError(modifier)


def _is(parts: list[str], token: Token) -> bool:
    """``code``, ``system|code``, ``|code`` of no system, ``system|`` of any code."""
    *system, code = parts
    if system and (token.system or "") != system[0]:
        return False
    if token.any_case:
        return code.casefold() == (token.code or "").casefold()
    return token.code == code or (bool(system) and not code)


def _uri(modifier: str, wanted: str, node: Node) -> bool:
    """Exact; ``:below`` is what begins with the value, ``:above`` what the value begins with, for URLs alone.

    A canonical is also found without its version.
    """
    if node.type not in CODES:
        return False
    names = [node.value]
    if node.type == "canonical" and CANONICAL_IS_FOUND_WITHOUT_ITS_VERSION:
        names.append(node.value.partition("|")[0])
    if modifier and not node.value.startswith("urn:"):
        return any(_under(*((name, wanted) if modifier == "below" else (wanted, name))) for name in names)
    return wanted in names


def _under(longer: str, shorter: str) -> bool:
    if HIERARCHY_BY_SEGMENTS:
        return longer == shorter or longer.startswith(shorter.removesuffix("/") + "/")
    return longer.startswith(shorter)


def _date(value: str, node: Node) -> bool:
    target = interval(node)
    prefix, text = split_prefix(value)
    if prefix == "ap":
        raise NotImplementedError("approximately, for a date, depends on today")
    return target is not None and compares(prefix, date_interval(text), target)


def _number(value: str, node: Node) -> bool:
    """``number`` and ``number|system|code``."""
    target = interval(node)
    told, *unit = [unescaped(part) for part in split(value, "|")]
    prefix, text = split_prefix(told)
    if target is None or (unit and not has_unit(node, *unit)):
        return False
    return compares(prefix, range_asked(prefix, text), target)


def order_of(parameter: SearchParameter, node: Node) -> list[Any]:
    """What an element is sorted by: text folded, a date by its start, a token by its code, a number by its value."""
    match parameter.type:
        case "string":
            return [fold(text) for text in strings(node)]
        case "token":
            return [token.code for token in tokens(node) if token.code is not None]
        case "uri":
            return [node.value]
        case "date":
            found = interval(node)
            if found is None:
                return []
            return [found.high[0] if found.low == LOWEST and OPEN_START_IS_SORTED_BY_ITS_END else found.low[0]]
        case "number" | "quantity":
            return [number(node.value["value"] if isinstance(node.value, dict) else node.value)]
    raise NotImplementedError(parameter.type)
