"""What is declared before anything is stored: tables, profiles, code lists, rules, routes, the CapabilityStatement.

Read from files, and from the packages that are installed beside them. Whatever is wrong there is found here, with the
name of the file: a server does not start with a profile that nobody can be held to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fhir_server import __version__
from fhir_server.consent import acts, habilitation
from fhir_server.consent.circumstances import Law
from fhir_server.consent.complete import must_be_complete
from fhir_server.definitions.bad_profile import BadProfile
from fhir_server.definitions.load import load
from fhir_server.definitions.operations import read_operations
from fhir_server.definitions.packages import TERMINOLOGY
from fhir_server.definitions.profiles import read_definitions, search_parameter
from fhir_server.definitions.structure_definitions import StructureDefinitions, base_definitions, canonical_of
from fhir_server.definitions.uncollected import uncollected
from fhir_server.http import capability, terminology_capability
from fhir_server.interactions.definitional import Profiles
from fhir_server.operations import OPERATIONS
from fhir_server.operations.operation import offered
from fhir_server.record.elements import SEARCHED
from fhir_server.search.parameters import Parameters
from fhir_server.search.sort_dates import SORT_DATES
from fhir_server.settings import ConditionalDelete, ProfileMode
from fhir_server.terminology import Terminology
from fhir_server.validation.profiles.checks import ProfileChecks
from fhir_server.validation.sharing.profiles import REQUIRED_BY_THE_DMP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fhir_server.definitions.packages import Definition, Package
    from fhir_server.definitions.tables import Definitions, SearchParameter
    from fhir_server.fhir.json import JsonObject
    from fhir_server.settings import Settings

ROOT: Final = Path(__file__).resolve().parent.parent
"""Where the declarations lie: `capability_statement.json`, `profiles/`, `terminology/`."""

_SHIPPED: Final = (
    *("profiles/StructureDefinition", "profiles/SearchParameter", "profiles/OperationDefinition"),
    *("terminology/CodeSystem", "terminology/ValueSet", "terminology/ConceptMap", "terminology/NamingSystem"),
)
"""The folders of definitions, which are served as resources too."""

SUBJECT_ROLES: Final = "https://mos.esante.gouv.fr/NOS/JDV_J65-SubjectRole-DMP/FHIR/JDV-J65-SubjectRole-DMP"
"""The roles that may use a DMP at all (R-08)."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What was read from files."""

    definitions: Definitions
    parameters: Parameters
    terminology: Terminology
    law: Law
    capability: capability.Capability
    profiles: Profiles
    published: tuple[JsonObject, ...]
    """The definitions that are served as resources."""
    terminology_capability: Callable[[], bytes]


@uncollected()
def declare(settings: Settings, installed: Sequence[Definition] = ()) -> Declared:
    """What the files say, and the packages that are installed beside them."""
    definitions = load()
    lists = [one.resource for one in installed if one.type in TERMINOLOGY]
    terminology = Terminology.load(ROOT / "terminology", installed=lists)
    shipped = [one for folder in _SHIPPED for one in read_definitions(ROOT / folder)]
    own = _search_parameters([*shipped, *installed])
    parameters = parameters_of(definitions, own, settings.base_url)
    law = Law(
        acts=acts.load(Path(acts.__file__).with_name("acts.toml"), definitions.resource_types),
        habilitation=habilitation.load(settings.habilitation_matrix or habilitation.TABLE, terminology),
        roles=frozenset((concept.system, concept.code) for concept in terminology.codes(SUBJECT_ROLES)),
        masked_and_invisible=settings.cumul_invisible_patient_masque_ps,
        majority=settings.age_majorite,
    )
    must_be_complete(law)
    operations = offered(OPERATIONS, read_operations(ROOT / "profiles" / "OperationDefinition"))
    promised = capability.load(
        ROOT / "capability_statement.json",
        parameters,
        operations,
        base_url=settings.base_url,
        version=__version__,
        cors=bool(settings.cors_origins),
        deletes_several=settings.conditional_delete is ConditionalDelete.MULTIPLE,
        profiles=_profiles([*shipped, *installed]),
        guides=list(_guides(installed)),
    )
    profiles = _checked([*shipped, *installed], definitions, terminology)
    _must_be_known(settings, profiles.definitions)
    stated = cache(
        partial(
            terminology_capability.statement, terminology, operations, base_url=settings.base_url, version=__version__
        )
    )
    served = _served([*shipped, *installed])
    return Declared(definitions, parameters, terminology, law, promised, profiles, served, stated)


def _checked(known: Sequence[Definition], definitions: Definitions, terminology: Terminology) -> Profiles:
    """The profiles, compiled; one that cannot be stops the start, with its file and the element."""
    checks, canonicals = _profile_checks(known, definitions, terminology)
    for canonical, one in canonicals.items():
        _must_compile(checks, canonical, one)
    return Profiles(checks, lambda known, most: ProfileChecks(known, definitions, terminology, most=most))


def _profile_checks(
    known: Sequence[Definition], definitions: Definitions, terminology: Terminology
) -> tuple[ProfileChecks, dict[str, Definition]]:
    """What compiles the profiles, and each StructureDefinition by its canonical URL."""
    # what is shipped comes last: it is meant where no version is named, and of two with one version it is taken
    listed = [one for one in reversed(known) if one.type == "StructureDefinition"]
    canonicals = {_canonical(one): one for one in listed}
    own = StructureDefinitions(base_definitions(), [one.resource for one in canonicals.values()])
    return ProfileChecks(own, definitions, terminology), canonicals


def _must_compile(checks: ProfileChecks, canonical: str, one: Definition) -> None:
    if one.resource.get("derivation") != "constraint":
        return
    try:
        checks.check(canonical)
    except BadProfile as wrong:
        message = f"{one.file} is not a profile that can be used: {wrong}"
        raise ValueError(message) from None


def _canonical(one: Definition) -> str:
    try:
        return canonical_of(one.resource)
    except BadProfile as wrong:
        message = f"{one.file} is not a profile that can be used: {wrong}"
        raise ValueError(message) from None


@uncollected()
def usable_part(settings: Settings, others: Sequence[Definition], package: Package) -> tuple[Package, list[str]]:
    """A package without what cannot be used beside ``others``, and why each is left out, in a sentence."""
    definitions, terminology = load(), Terminology.load(ROOT / "terminology")
    known = [*(one for folder in _SHIPPED for one in read_definitions(ROOT / folder)), *others]
    left: dict[str, str] = {}

    def try_(one: Definition, work: Callable[[], object]) -> None:
        try:
            work()
        except ValueError as why:
            left[one.key] = str(why)

    for one in package.definitions:
        if one.type == "SearchParameter":
            shipped = _search_parameters(known)

            def offer(one: Definition = one, shipped: list[SearchParameter] = shipped) -> None:
                parameters_of(definitions, [*shipped, search_parameter(one.file, one.resource)], settings.base_url)

            try_(one, offer)
        elif one.type == "StructureDefinition":
            try_(one, partial(_canonical, one))
    kept = [one for one in package.definitions if one.key not in left]
    checks, canonicals = _profile_checks([*known, *kept], definitions, terminology)
    mine = {id(one) for one in kept}
    for canonical, one in canonicals.items():
        if id(one) in mine:
            try_(one, partial(_must_compile, checks, canonical, one))
    return package.without(left), list(left.values())


def required_profiles(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    """By type, profiles of which one must be declared; what the operator demands of a type stands before the mode."""
    of_mode = REQUIRED_BY_THE_DMP if settings.profile_mode is ProfileMode.DMP else {}
    return {**of_mode, **settings.required_profiles}


def _must_be_known(settings: Settings, known: StructureDefinitions) -> None:
    """Raise for a profile that is demanded and not there, or of another type: nobody could satisfy it."""
    for type, urls in required_profiles(settings).items():
        for url in urls:
            found = known.get(url)
            if found is None or found.get("type") != type:
                message = f"The setting required_profiles is wrong: {url} is no profile of {type} that is known here."
                raise ValueError(message)


def _search_parameters(known: Sequence[Definition]) -> list[SearchParameter]:
    """The search parameters among definitions; of two with one URL, what is shipped."""
    found: dict[str, SearchParameter] = {}
    for one in known:
        if one.type == "SearchParameter":
            read = search_parameter(one.file, one.resource)
            found.setdefault(read.url, read)
    return list(found.values())


def _guides(known: Sequence[Definition]) -> Iterator[str]:
    """The canonical URLs of the guides among definitions."""
    for one in known:
        url, version = one.resource.get("url"), one.resource.get("version")
        if one.type == "ImplementationGuide" and isinstance(url, str):
            yield f"{url}|{version}" if version else url


def _profiles(known: Sequence[Definition]) -> dict[str, list[str]]:
    """The profiles of resources among definitions, by the type they are of."""
    found: dict[str, list[str]] = {}
    for one in known:
        told = one.resource
        if one.type == "StructureDefinition" and told.get("derivation") == "constraint" and told["kind"] == "resource":
            found.setdefault(str(told["type"]), []).append(str(told["url"]))
    return {type: list(dict.fromkeys(urls)) for type, urls in found.items()}


def _served(known: Sequence[Definition]) -> tuple[JsonObject, ...]:
    """What is to be read and searched: each type and id once, what is shipped before what was installed."""
    found: dict[str, JsonObject] = {}
    for one in known:
        found.setdefault(one.key, one.resource)
    return tuple(found.values())


def parameters_of(definitions: Definitions, own: list[Any], base_url: str) -> Parameters:
    """All search parameters, of R4 and of `profiles/`."""
    return Parameters(definitions, SEARCHED, own, sort_dates=SORT_DATES, base_url=base_url)
