"""FHIR packages as they are published: a ``.tgz`` of conformance resources. https://hl7.org/fhir/R4/packages.html

Read are the resources beside ``package/package.json`` that define something; examples are in a folder of their own.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import decode_object

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from fhir_server.fhir.json import JsonObject

DEFINE: Final = frozenset(
    "CapabilityStatement CodeSystem ConceptMap ImplementationGuide NamingSystem OperationDefinition SearchParameter "
    "StructureDefinition ValueSet".split()
)
"""What is kept of a package. The rest of it is not asked for by anything."""
TERMINOLOGY: Final = frozenset({"CodeSystem", "ConceptMap", "NamingSystem", "ValueSet"})
MOST_BYTES: Final = 1_000_000_000
"""Of a package, unpacked: a small archive may hold a great deal of nothing."""
MOST_OF_ONE: Final = 15_000_000
"""Of one resource: the database keeps no larger document."""
_FOLDER: Final = "package/"
_VERSIONS: Final = ("4.0",)


class BadPackage(ValueError):
    """The file is no package that can be installed; the sentence names what is wrong, and in which file of it."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One resource of a package."""

    file: str
    resource: JsonObject

    @property
    def type(self) -> str:
        """Its resource type."""
        return str(self.resource["resourceType"])

    @property
    def key(self) -> str:
        """What it is called among the resources of its package: two of one type and id cannot be."""
        return f"{self.type}/{self.resource['id']}"


@dataclass(frozen=True, slots=True)
class Package:
    """A package, with what it defines."""

    name: str
    version: str
    sha256: str
    definitions: tuple[Definition, ...]

    def only(self, types: frozenset[str]) -> Package:
        """The same with the resources of these types alone."""
        kept = tuple(one for one in self.definitions if one.type in types)
        return Package(self.name, self.version, self.sha256, kept)

    def without(self, keys: Container[str]) -> Package:
        """The same without these."""
        kept = tuple(one for one in self.definitions if one.key not in keys)
        return Package(self.name, self.version, self.sha256, kept)


def read_package(data: bytes) -> Package:
    """Read a package; raise :class:`BadPackage`."""
    try:
        files = dict(_files(data))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BadPackage(f"This is not a .tgz that can be read: {error}.") from None
    manifest = _decoded("package.json", files.pop("package.json", None))
    name, version = manifest.get("name"), manifest.get("version")
    if not isinstance(name, str) or not isinstance(version, str) or not name or not version:
        raise BadPackage("package.json: it has no name or no version.")
    told = manifest.get("fhirVersions") or manifest.get("fhir-version-list") or []
    versions = [one for one in told if isinstance(one, str)] if isinstance(told, list) else []
    if versions and not any(one.startswith(_VERSIONS) for one in versions):
        raise BadPackage(f"package.json: {name} is for FHIR {', '.join(versions)[:80]}; this server speaks 4.0.1.")
    definitions: dict[str, Definition] = {}
    for file, content in sorted(files.items()):
        one = _definition(file, content)
        if one is None:
            continue
        if one.key in definitions:
            raise BadPackage(f"{file}: {one.key} is in {definitions[one.key].file} already.")
        definitions[one.key] = one
    return Package(name, version, hashlib.sha256(data).hexdigest(), tuple(definitions.values()))


def _files(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The JSON files directly in the folder of the package."""
    left = MOST_BYTES
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            left -= member.size
            if left < 0:
                raise BadPackage(f"It unpacks to more than {MOST_BYTES} bytes.")
            local = name.removeprefix(_FOLDER)
            if not member.isfile() or local == name or "/" in local or not local.endswith(".json"):
                continue
            content = archive.extractfile(member)
            if content is not None and not local.startswith("."):
                yield local, content.read()


def _definition(file: str, content: bytes) -> Definition | None:
    resource = _decoded(file, content)
    type = resource.get("resourceType")
    if type not in DEFINE:
        return None
    if not isinstance(resource.get("id"), str):
        raise BadPackage(f"{file}: it has no id.")
    if type != "NamingSystem" and not isinstance(resource.get("url"), str):
        raise BadPackage(f"{file}: it has no url.")
    if len(content) > MOST_OF_ONE:
        raise BadPackage(f"{file}: it has {len(content)} bytes; {MOST_OF_ONE} can be kept of one resource.")
    return Definition(file, resource)


def _decoded(file: str, content: bytes | None) -> JsonObject:
    if content is None:
        raise BadPackage(f"There is no {_FOLDER}{file} in it: this is not a FHIR package.")
    try:
        return decode_object(content)
    except FhirError as error:
        raise BadPackage(f"{file}: {error}") from None
