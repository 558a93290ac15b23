"""One search parameter of a query, with its modifier and values, as a clause.

https://hl7.org/fhir/R4/search.html#modifiers
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import partial
from typing import Final

from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.joining import either
from fhir_server.fhir.outcome import IssueType
from fhir_server.fhir.reference import ID, LocalReference
from fhir_server.search.asked import Asked, Context, NotSupported
from fhir_server.search.clause import Around, Clause, InValueSet, RecordNamed, Subsumed
from fhir_server.search.messages import told
from fhir_server.search.parameter import Parameter
from fhir_server.search.predicate import (
    ALWAYS,
    NEVER,
    Field,
    Predicate,
    Prefix,
    Span,
    all_of,
    any_of,
    negate,
    one_of,
)
from fhir_server.search.types import composite, date, number, phonetic, quantity, reference, string, token, uri
from fhir_server.search.values import split, unescape

HIERARCHIES: Final = {"Location": "partof", "Organization": "partof"}
"""By type, the parameter by which one is part of another, for ``:above`` and ``:below``."""


def clause(asked: Asked, parameter: Parameter, type: str, context: Context) -> Clause:
    """The condition one pair without a chain puts on the entries of a type.

    Raises :class:`~fhir_server.fhir.errors.Invalid` when the pair means nothing, :class:`NotSupported` when this
    server cannot answer it.
    """
    if asked.code == "_id":
        return _id(asked, type)
    if not parameter.supported:
        sentence = told("search-not-supported", name=asked.code, type=parameter.type)
        if parameter.type == "special":
            # to leave it out would answer with everything, wherever it is
            raise Invalid(sentence, code=IssueType.NOT_SUPPORTED)
        raise NotSupported(sentence)
    if asked.suffix == ":missing":
        return _missing(asked, parameter)
    match parameter.type:
        case "token":
            return _token(asked, parameter, type, context)
        case "reference":
            return _reference(asked, parameter, context)
        case "string":
            return _string(asked, parameter, type)
        case "uri":
            return _uri(asked, parameter, type, context)
        case _:
            return _ordered(asked, parameter, context)


def rank(parameter: Parameter) -> int:
    """How many entries a value of the parameter is likely to have: the database begins with the first condition.

    Ids and identifiers, then references, texts and uris, composites, dates and numbers, codes, and last the few values
    of a status.
    """
    if parameter.code in {"_id", "identifier"}:
        return 0
    if parameter.codes_only or parameter.code in {"category", "class", "language", "_security", "_profile"}:
        return 5
    return {"reference": 1, "string": 2, "uri": 2, "composite": 2, "token": 4}.get(parameter.type, 3)


def present(parameter: Parameter) -> Predicate:
    """Entries with a value of this parameter, whatever it is."""
    code = parameter.code
    match parameter.type:
        case "date" | "number" | "quantity":
            return any_of([Span(code, ()), one_of(Field.TERMS, f"{code}:any")])
        case "composite":
            return one_of(Field.TERMS, f"{code}:any")
    found: list[Predicate] = [Prefix(f"{code}{mark}") for mark in "=#:"]
    if parameter.of_record:
        found.append(negate(one_of(Field.RECORD, None)))
    return any_of(found)


def _missing(asked: Asked, parameter: Parameter) -> Predicate:
    if asked.raw not in {"true", "false"}:
        raise Invalid(told("missing"))
    there = ALWAYS if asked.code == "_lastUpdated" else present(parameter)
    return there if asked.raw == "false" else negate(there)


def _id(asked: Asked, type: str) -> Clause:
    _only_modifiers(asked, ("not", "missing"))
    if asked.modifier == "missing":
        if asked.raw not in {"true", "false"}:
            raise Invalid(told("missing"))
        return ALWAYS if asked.raw == "false" else NEVER
    ids = [unescape(value) for value in asked.values()]
    named = one_of(Field.ID, *(f"{type}/{id}" for id in ids))
    if asked.modifier == "not":
        return negate(named)
    return RecordNamed(frozenset(ids)) if type == "Patient" else named


def _ordered(asked: Asked, parameter: Parameter, context: Context) -> Predicate:
    """Dates, numbers, quantities and composites: no modifier but ``:missing``."""
    _only_modifiers(asked, date.MODIFIERS)
    code = parameter.code
    match parameter.type:
        case "number":
            return number.predicate(code, asked.each(number.parse))
        case "quantity":
            return quantity.predicate(code, asked.each(quantity.parse))
        case "composite":
            now, base_url, spelled = context.microseconds, context.base_url, partial(spellings, context)
            each = asked.each(
                lambda raw: composite.predicate(
                    code, raw, parameter.components, now=now, base_url=base_url, spelled=spelled
                )
            )
            return any_of(each)
        case _:
            wanted = asked.each(lambda raw: date.parse(raw, context.microseconds))
            if code == "_lastUpdated":
                return date.last_updated(wanted)
            longest = date.longest({use.code for path in parameter.paths for use in path.uses})
            return date.predicate(code, wanted, longest)


def _string(asked: Asked, parameter: Parameter, type: str) -> Predicate:
    if parameter.is_phonetic:
        _only_modifiers(asked, phonetic.MODIFIERS)
        return any_of(asked.each(lambda raw: phonetic.predicate(parameter.code, raw)))
    _only_modifiers(asked, string.MODIFIERS)
    wanted = asked.each(lambda raw: string.parse(raw, asked.modifier))
    return string.predicate(parameter.code, wanted, asked.modifier, tailed=type in string.TAILED)


def _uri(asked: Asked, parameter: Parameter, type: str, context: Context) -> Predicate:
    """One uri. The URL of a resource that has versions may be asked with one: ``url|version``."""
    _only_modifiers(asked, uri.MODIFIERS)
    if parameter.code != "url" or asked.suffix or context.parameters.get(type, "version") is None:
        return uri.predicate(parameter.code, asked.each(uri.parse), asked.modifier)
    found: list[Predicate] = []
    for raw in asked.values():
        match [unescape(part) for part in split(raw, "|")]:
            case [url, version] if url and version:
                of_version = token.predicate("version", [token.Token(None, version.casefold())])
                found.append(all_of([uri.predicate("url", [url]), of_version]))
            case _:
                found.append(uri.predicate("url", [uri.parse(raw)]))
    return any_of(found)


def spellings(context: Context, wanted: token.Token) -> list[token.Token]:
    """A code under every name of its system: a resource keeps the one that it was written with."""
    if not wanted.system:
        return [wanted]
    return [replace(wanted, system=name) for name in context.terminology.spellings(wanted.system)]


def _token(asked: Asked, parameter: Parameter, type: str, context: Context) -> Clause:
    code, modifier = parameter.code, asked.modifier
    _only_modifiers(asked, token.MODIFIERS)
    match modifier:
        case "text":
            return token.called(code, asked.each(string.parse))
        case "of-type":
            return _of_type(asked, parameter, context)
        case "in" | "not-in":
            urls = tuple(asked.each(unescape))
            return InValueSet(parameter, urls, negated=modifier == "not-in")
        case "above" | "below":
            wanted = asked.each(token.parse)
            if any(one.code is None for one in wanted):
                raise Invalid(told("code-needed"))
            return Subsumed(parameter, tuple(wanted), below=modifier == "below")
    wanted = asked.each(token.parse)
    if parameter.of_strings:
        wanted = [replace(one, code=one.code and one.code.casefold()) for one in wanted]
    if type == "Patient" and asked.code == "identifier" and modifier is None:
        named = tuple((one.system, one.code) for one in wanted if one.code is not None)
        if len(named) == len(wanted):
            return RecordNamed(frozenset(), named)
    if parameter.of_codes:
        wanted = [one for each in wanted for one in spellings(context, each)]
    return token.predicate(code, wanted, modifier, parameter.implied)


def _of_type(asked: Asked, parameter: Parameter, context: Context) -> Predicate:
    if not any(use.code == "Identifier" for path in parameter.paths for use in path.uses):
        raise Invalid(told("of-type-for-identifiers"))
    kinds, names = asked.each(token.parse_of_type), context.terminology.spellings
    return token.of_type(parameter.code, [replace(one, system=name) for one in kinds for name in names(one.system)])


def _reference(asked: Asked, parameter: Parameter, context: Context) -> Clause:
    modifier = asked.modifier
    if modifier == "identifier":
        if not parameter.refers:
            raise Invalid(told("identifier-for-references"))
        return token.predicate(f"{parameter.code}:identifier", asked.each(token.parse))
    if modifier == "below" and parameter.canonical:
        return any_of([_below_canonical(parameter, raw, context) for raw in asked.values()])
    if modifier in ("above", "below"):
        return _around(asked, parameter, context)
    if modifier is not None and modifier not in context.parameters.resource_types:
        _only_modifiers(asked, ("missing", "identifier", "above", "below", "[type]"))
    wanted = [
        target
        for raw in asked.values()
        for target in reference.parse(raw, parameter.targets, context.base_url, modifier)
    ]
    patients = {one.id for one in wanted if isinstance(one, LocalReference) and one.type == "Patient"}
    if parameter.names_record and all(isinstance(one, LocalReference) and one.type == "Patient" for one in wanted):
        return RecordNamed(frozenset(patients), several=parameter.of_several)
    return reference.predicate(parameter.code, wanted, of_record=parameter.of_record)


def _below_canonical(parameter: Parameter, raw: str, context: Context) -> Predicate:
    """https://hl7.org/fhir/R4/search.html#versions: whatever its version, or of this version and what is under it."""
    found: list[Predicate] = []
    for target in reference.parse(raw, parameter.targets, context.base_url):
        text = str(target)
        found.append(uri.predicate(parameter.code, [text]))
        if "|" in text:
            found.append(uri.beginning(parameter.code, f"{text}."))
    return any_of(found)


def _around(asked: Asked, parameter: Parameter, context: Context) -> Around:
    """https://hl7.org/fhir/R4/search.html#recursive, for the types that are part of each other."""
    kinds = [type for type in parameter.targets if type in HIERARCHIES]
    if not kinds:
        raise Invalid(told("around-types", modifier=asked.suffix, types=either(HIERARCHIES)))
    keys = [
        str(target)
        for raw in asked.values()
        for target in reference.parse(raw, kinds, context.base_url)
        if isinstance(target, LocalReference)
    ]
    if not keys:
        raise Invalid(told("around-key", modifier=asked.suffix))
    return Around(parameter, tuple(keys), below=asked.modifier == "below")


def record_named(asked: Asked, parameter: Parameter) -> RecordNamed | None:
    """A chain that names the record by an INS or an id: ``patient.identifier``, ``subject:Patient._id``."""
    if not parameter.names_record or asked.suffix.removeprefix(":Patient") not in {".identifier", "._id"}:
        return None
    if asked.suffix.endswith("._id"):
        ids = asked.each(unescape)
        if not all(ID.fullmatch(id) for id in ids):
            raise Invalid(told("patient-id"))
        return RecordNamed(frozenset(ids), several=parameter.of_several)
    named: list[tuple[str | None, str]] = []
    for one in asked.each(token.parse):
        if one.code is None:
            raise Invalid(told("patient-identifier"))
        named.append((one.system, one.code))
    return RecordNamed(frozenset(), tuple(named), several=parameter.of_several)


def _only_modifiers(asked: Asked, known: Collection[str]) -> None:
    """https://hl7.org/fhir/R4/search.html#modifiers: a modifier that is not supported must be refused."""
    if asked.suffix and asked.suffix.removeprefix(":") not in known:
        if not known:
            raise Invalid(told("takes-no-modifier", modifier=asked.suffix))
        raise Invalid(told("modifier", modifier=asked.suffix, known=", ".join(f":{one}" for one in sorted(known))))
