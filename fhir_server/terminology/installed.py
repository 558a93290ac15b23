"""Which code lists of FHIR packages stand beside those of the server itself. docs/operate/packages.md

What the server has stays: a package completes a code system that is here in part (LOINC, CCAM), and adds what is not
here. Of two packages with one URL the first counts. The value set that a code system names as that of all its codes is
there, also where nobody publishes it as a resource. What cannot be read is logged and left out: it is served as a
resource like the rest, and an operation that is asked about it says what is wrong with it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from fhir_server.terminology import resources
from fhir_server.terminology.content import must_be_followed
from fhir_server.terminology.messages import told
from fhir_server.terminology.refused import NotExpandable
from fhir_server.terminology.resources import CodeSystem, ConceptMap, NamingSystem, ValueSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fhir_server.fhir.json import JsonObject
    from fhir_server.terminology.resources import TerminologyResource
    from fhir_server.terminology.terminology import Terminology

_logger: Final = logging.getLogger(__name__)


def beside(own: Terminology, installed: Iterable[JsonObject]) -> Iterator[TerminologyResource]:
    """Those of the installed resources that count, in their order; ``own`` is what the server has without them."""
    taken: set[tuple[type, str]] = set()
    wholes: dict[str, ValueSet] = {}
    for resource in installed:
        try:
            found = _read(resource)
        except NotExpandable as why:
            name = f"{resource.get('resourceType')}/{resource.get('id')}"
            _logger.warning("the installed %s is not used: %s", name, why)
            continue
        if found is None or isinstance(found, NamingSystem):
            yield from (found,) if found is not None else ()
        elif not _is_here(own, found) and (type(found), found.url or "") not in taken:
            taken.add((type(found), found.url or ""))
            if isinstance(found, CodeSystem) and found.value_set is not None:
                wholes.setdefault(found.value_set, resources.whole(found))
            yield found
    yield from (each for url, each in wholes.items() if (ValueSet, url) not in taken and not _is_here(own, each))


def _read(resource: JsonObject) -> TerminologyResource | None:
    """The resource; nothing where it is none of a list, or names no system that codes could be of."""
    url = str(resource.get("url") or resource.get("name"))
    match resource.get("resourceType"):
        case "CodeSystem":
            system = resources.code_system(resource, url)
            must_be_followed(system)
            return system
        case "ValueSet":
            return resources.value_set(resource, told("the-value-set", url=url))
        case "ConceptMap":
            return resources.concept_map(resource, told("the-concept-map", url=url))
        case "NamingSystem" if resource.get("kind") == "codesystem":
            naming = resources.naming_system(resource, told("the-code-system", url=url))
            return naming if any(each.type == "uri" for each in naming.unique_id) else None
    return None


def _is_here(own: Terminology, found: CodeSystem | ValueSet | ConceptMap) -> bool:
    url = found.url or ""
    if isinstance(found, CodeSystem):
        known = own.content(url)
        return known is not None and known.complete
    return url in own.concept_maps if isinstance(found, ConceptMap) else own.held(url) is not None
