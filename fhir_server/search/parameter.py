"""One search parameter of one resource type, compiled from its definition.

https://hl7.org/fhir/R4/searchparameter.html

What could not be served stops the start-up (:class:`~fhir_server.search.path.Outside`), so that no parameter silently
finds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from fhir_server.definitions.tables import Definitions, SearchParameter, SearchParameterType, TypeUse
from fhir_server.search.path import Outside, Path, alternatives, compile_path
from fhir_server.search.terms import CODE
from fhir_server.search.types import composite, date, number, quantity, reference, string, token, uri
from fhir_server.search.types.composite import Component

TYPES_OF_ELEMENTS: Final[Mapping[str, frozenset[str]]] = {
    "token": token.TYPES,
    "string": string.TYPES,
    "date": date.TYPES,
    "reference": reference.TYPES,
    "uri": uri.TYPES,
    "number": number.TYPES,
    "quantity": quantity.TYPES,
}
"""By type of search parameter but composite, the types of element it is found in."""

PHONETIC: Final = "phonetic"
"""The code of the parameters that compare names by their sound."""

_MOST_INTERVALS: Final = 2
_SIMPLE: Final = re.compile(r"[A-Z]\w*(?:\.\w+)+")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one resource type."""

    code: str
    type: SearchParameterType
    url: str
    paths: tuple[Path, ...]
    """Of a composite: to the elements that its components are of."""
    targets: tuple[str, ...]
    """Of a reference: the resource types it may point to, those the definition and the element have in common."""
    of_record: bool
    """It speaks of the element that tells the record: a local Patient is the entry's ``record``, no term."""
    of_several: bool = False
    """It speaks of the element that tells the records, where there may be several: a Patient is one of them."""
    components: tuple[Component, ...] = ()
    """Of a composite."""
    implied: frozenset[tuple[str, str]] = frozenset()
    """Of a token: ``(system, code)`` of the bindings of its elements that are codes."""
    canonical: bool = False
    """Of a reference: it is found in canonicals, which name a resource by its URL."""

    @property
    def names_record(self) -> bool:
        """Whether a Patient asked by it names a record."""
        return self.of_record or self.of_several

    @property
    def supported(self) -> bool:
        """Whether it is indexed and can be asked: all but ``near`` and ``_filter``, which are special."""
        return (self.type in TYPES_OF_ELEMENTS or bool(self.components)) and bool(self.paths)

    @property
    def refers(self) -> bool:
        """Whether it is found in References, beside which an identifier may stand."""
        return any(use.code == "Reference" for path in self.paths for use in path.uses)

    @property
    def is_phonetic(self) -> bool:
        """Whether it compares by sound."""
        return self.code == PHONETIC and self.type == "string"

    @property
    def of_strings(self) -> bool:
        """Whether it is a token of texts alone, which are compared without case."""
        return self.type == "token" and all(use.code == "string" for path in self.paths for use in path.uses)

    @property
    def of_codes(self) -> bool:
        """Whether it is found in codes, whose system may have several names; the system of an identifier has one."""
        return any(use.code in {"CodeableConcept", "Coding", "code"} for path in self.paths for use in path.uses)

    @property
    def codes_only(self) -> bool:
        """It speaks of primitives alone, such as a status: few values, each with many entries."""
        return self.type == "token" and all(use.code in {"code", "boolean"} for path in self.paths for use in path.uses)


def compiled(
    type: str,
    defined: SearchParameter,
    definitions: Definitions,
    known: Mapping[str, SearchParameter],
    record_element: str | None,
    *,
    several: bool,
) -> Parameter:
    """Compile one definition for one resource type; ``known`` are all definitions, by URL."""
    if CODE.fullmatch(defined.code) is None:
        raise Outside(f"The code of the search parameter {defined.url} is {defined.code!r}, which cannot be indexed.")
    try:
        texts, paths = _paths(defined.expression, type, definitions)
        components = tuple(
            _component(expression, known.get(url), paths, type, definitions) for url, expression in defined.components
        )
    except Outside as error:
        raise Outside(f"The expression of the search parameter {defined.url} cannot be served: {error}.") from None
    uses = tuple(use for path in paths for use in path.uses)
    if defined.type == "composite":
        _check_composite(defined, components)
    findable = TYPES_OF_ELEMENTS.get(defined.type)
    if findable is not None and defined.expression and not any(use.code in findable for use in uses):
        told = ", ".join(sorted({use.code for use in uses})) or f"nothing in {type}"
        raise Outside(f"The search parameter {defined.url} is a {defined.type}, but its expression gives {told}.")
    return Parameter(
        code=defined.code,
        type=defined.type,
        url=defined.url,
        paths=tuple(paths),
        targets=_targets(defined.targets, uses, definitions) if defined.type == "reference" else (),
        of_record=not several and _tells(texts, record_element),
        of_several=several and _tells(texts, record_element),
        components=components,
        implied=_implied(texts, definitions) if defined.type == "token" else frozenset(),
        canonical=defined.type == "reference" and any(use.code in {"canonical", "uri"} for use in uses),
    )


def by_type(extra: Iterable[SearchParameter], definitions: Definitions) -> dict[str, dict[str, SearchParameter]]:
    """The project's own definitions, by the resource types they are for, then code."""
    found: dict[str, dict[str, SearchParameter]] = {}
    for parameter in extra:
        for base in parameter.base:
            if base in {"Resource", "DomainResource"}:
                types = tuple(
                    type
                    for type in definitions.resource_types
                    if base in {"Resource", definitions.structures[type].parent}
                )
            elif base in definitions.resource_types:
                types = (base,)
            else:
                raise ValueError(f"The search parameter {parameter.url} is for {base!r}, which is not a resource type.")
            for type in types:
                found.setdefault(type, {})[parameter.code] = parameter
    return found


def is_single(path: str, definitions: Definitions) -> bool:
    """Whether the element cannot repeat: one resource, one record. Of a list of subjects, each needs its own term."""
    type, *names = path.split(".")
    for name in names:
        element = next((one for one in definitions.structures[type].elements if one.name == name), None)
        if element is None:
            raise ValueError(f"The element that tells the record of {type} is {path!r}, which it does not have.")
        if element.max != 1:
            return False
        type = element.types[0].code
    return True


def _paths(expression: str, type: str, definitions: Definitions) -> tuple[list[str], list[Path]]:
    """The alternatives of an expression that speak of this type, as written and compiled."""
    texts: list[str] = []
    paths: list[Path] = []
    for text in alternatives(expression) if expression else ():
        path = compile_path(text, type, definitions)
        if path is not None:
            texts.append(text)
            paths.append(path)
    return texts, paths


_OF_RESOURCE: Final = "%resource."


def _component(
    expression: str, defined: SearchParameter | None, bases: Iterable[Path], type: str, definitions: Definitions
) -> Component:
    """One component: what it finds in each type of element that the composite is of, or in the whole resource."""
    if defined is None:
        raise Outside("a component names a search parameter that is not there")
    whole: list[Path] = []
    within: dict[str, list[Path]] = {}
    texts: list[str] = []
    if expression.startswith(_OF_RESOURCE):
        whole = _paths(expression.removeprefix(_OF_RESOURCE), type, definitions)[1]
    else:
        for base in sorted({use.code for path in bases for use in path.uses}):
            written, within[base] = _paths(expression, base, definitions)
            texts += [f"{base}.{text}" for text in written]
    uses = tuple(use for paths in (whole, *within.values()) for path in paths for use in path.uses)
    kind = _kind(defined.type, uses)
    targets = _targets((), uses, definitions) if kind == "reference" else ()
    implied = _implied(texts, definitions) if kind == "token" else frozenset()
    return Component(
        kind, tuple(whole), tuple((type, tuple(paths)) for type, paths in within.items()), targets, implied
    )


def _kind(declared: SearchParameterType, uses: tuple[TypeUse, ...]) -> SearchParameterType:
    """The type of a component: as declared if its elements can be that, else as they are.

    The two components of DocumentReference ``relationship`` name each other's definition in the standard.
    """
    kinds: tuple[SearchParameterType, ...] = (declared, "token", "reference")
    for kind in kinds:
        if any(use.code in TYPES_OF_ELEMENTS.get(kind, ()) for use in uses):
            return kind
    raise Outside(f"a component of type {declared} gives {', '.join(sorted({use.code for use in uses})) or 'nothing'}")


def _check_composite(defined: SearchParameter, components: tuple[Component, ...]) -> None:
    kinds = [component.type for component in components]
    ordered = [kind for kind in kinds if kind in composite.ORDERED]
    texts = [at for at, kind in enumerate(kinds) if kind == "string"]
    if (
        len(kinds) < 2  # noqa: PLR2004 - what is joined
        or not composite.WORDS.union(composite.ORDERED).issuperset(kinds)
        or len(ordered) > _MOST_INTERVALS
        or "quantity" in ordered[1:]
        or (texts and (ordered or texts != [len(kinds) - 1]))
    ):
        raise Outside(f"The search parameter {defined.url} combines {', '.join(kinds)}, which cannot be indexed.")


def _tells(texts: list[str], record_element: str | None) -> bool:
    """Whether the expression is the element that tells the record, of whatever type or of Patients."""
    return record_element is not None and texts in (
        [record_element],
        [f"{record_element}.where(resolve() is Patient)"],
    )


def _targets(declared: tuple[str, ...], uses: tuple[TypeUse, ...], definitions: Definitions) -> tuple[str, ...]:
    """The types that both the definition and the elements allow; neither saying anything: all types."""
    pointing = [use for use in uses if use.code in reference.TYPES]
    of_elements = {target for use in pointing for target in use.targets}
    open_ended = any(not use.targets for use in pointing)
    told = [target for target in declared if target not in {"Resource", "DomainResource"}]
    wanted = told or definitions.resource_types
    return tuple(sorted(target for target in wanted if open_ended or target in of_elements)) or tuple(sorted(wanted))


def _implied(texts: list[str], definitions: Definitions) -> frozenset[tuple[str, str]]:
    """What the required bindings of elements that are codes hold; of plain paths alone, which nearly all are."""
    found: set[tuple[str, str]] = set()
    for text in texts:
        if _SIMPLE.fullmatch(text) is None:
            continue
        type, *names = text.split(".")
        for name in names:
            structure = definitions.structures.get(type)
            element = next((one for one in structure.elements if one.name == name), None) if structure else None
            if element is None:
                break
            type = element.types[0].code
            if name is names[-1] and type == "code" and element.binding is not None:
                found |= element.binding.codes or frozenset()
    return frozenset(found)
