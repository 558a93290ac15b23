"""Write the code systems and value sets of the guides, and fragments of the systems that are not shipped.

    python tools/compile_guides.py [--out terminology]

The input is in the project: one file a guide in `tools/facts/`, and the value sets already written to the output. A
value set names codes of systems that this server does not have whole (LOINC, SNOMED CT, lists of the NOS); each of
these becomes a CodeSystem with ``content: fragment`` that holds exactly the codes that are named, or ``not-present``
where none is. So a code of a list is known, and of any other it is said that it cannot be told.

Run it after `tools/compile_terminology.py`. Same input, same bytes. https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent))

from fhir_server.definitions import rows
from fhir_server.definitions.load import committed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FACTS = Path(__file__).parent / "facts"
SYSTEMS = "systems.json"
NOS = "https://mos.esante.gouv.fr/NOS/"
ANS = "Agence du Numérique en Santé"
FRAGMENT = "Seulement les codes que nomment les jeux de valeurs de ce serveur."
ABSENT = "Système que ce serveur ne détient pas : de ses codes, rien ne peut être dit ici."
"""What the description of such a system says."""

Resource: TypeAlias = "dict[str, object]"


class Filter(msgspec.Struct, frozen=True):
    """A condition on the concepts of a system."""

    property: str
    op: str
    value: str


class Include(msgspec.Struct, frozen=True, rename="camel"):
    """Codes of a system, or all of it; or the value sets that are imported."""

    system: str | None = None
    concepts: dict[str, str | None] | None = None
    """Code to display; where it is null, the word of HL7 is taken, or that of the system where it is ours."""
    filter: tuple[Filter, ...] = ()
    value_set: tuple[str, ...] = ()


class ValueSet(msgspec.Struct, frozen=True):
    """A value set of a guide: `id` within the base of the guide, or a `url` of its own."""

    title: str
    include: tuple[Include, ...]
    id: str | None = None
    url: str | None = None
    name: str | None = None
    oid: str | None = None
    version: str | None = None
    status: str = "active"
    description: str | None = None
    note: str | None = None
    """Where it is not as published, and why."""


class CodeSystem(msgspec.Struct, frozen=True, rename="camel"):
    """A code system of a guide. A concept has a display, or one in the guide's language and one in the other."""

    id: str
    name: str
    title: str
    concepts: dict[str, str | tuple[str, str]]
    url: str | None = None
    oid: str | None = None
    version: str | None = None
    status: str = "active"
    content: str = "complete"
    case_sensitive: bool = True
    description: str | None = None


class Guide(msgspec.Struct, frozen=True, rename="camel"):
    """One file of facts."""

    guide: str
    base: str
    version: str
    date: str
    publisher: str
    language: str
    code_systems: tuple[CodeSystem, ...]
    value_sets: tuple[ValueSet, ...]


class KnownSystem(msgspec.Struct, frozen=True):
    """A system that is not shipped: what there is to say of it."""

    url: str | None = None
    nos: str | None = None
    id: str | None = None
    oid: str | None = None
    title: str | None = None
    publisher: str = ANS
    copyright: str | None = None

    @property
    def canonical(self) -> str:
        """Its URL."""
        return self.url or f"{NOS}{self.nos}/FHIR/{(self.nos or '').replace('_', '-', 1)}"


class Twin(msgspec.Struct, frozen=True):
    """A system that HL7 and the NOS publish under two URLs."""

    international: str
    nos: str
    oid: str


class SystemFacts(msgspec.Struct, frozen=True):
    """`facts/systems.json`."""

    systems: tuple[KnownSystem, ...]
    twins: tuple[Twin, ...]


def main() -> None:
    """Read the arguments and write the files."""
    arguments = argparse.ArgumentParser(description="Write the terminology of the guides, and fragments.")
    arguments.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "terminology")
    out: Path = arguments.parse_args().out
    write(out, (each for guide in guides() for each in resources(guide)))
    write(out, fragments(out))


def write(out: Path, made: Iterable[Resource]) -> None:
    """One file a resource."""
    for resource in made:
        path = out / str(resource["resourceType"]) / f"{resource['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(resource, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(path)


def guides() -> Iterator[Guide]:
    """The facts of each guide, by file name."""
    for path in sorted(FACTS.glob("*.json")):
        if path.name != SYSTEMS:
            yield read(path)


def read(path: Path) -> Guide:
    """One file, or a sentence that says what is wrong with it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Guide)
    except msgspec.DecodeError as error:
        raise SystemExit(f"{path.name}: {error}") from None


def resources(guide: Guide) -> Iterator[Resource]:
    """What a guide defines."""
    yield from (code_system(guide, each) for each in guide.code_systems)
    yield from (value_set(guide, each) for each in guide.value_sets)


def code_system(guide: Guide, facts: CodeSystem) -> Resource:
    """A code system of a guide, in the language of the guide, with designations in the other."""
    other = "en" if guide.language == "fr" else "fr"
    version = facts.version or guide.version
    resource = _heading(guide, "CodeSystem", facts.id, facts.url or f"{guide.base}/CodeSystem/{facts.id}", facts.oid)
    resource |= {"version": version, "name": facts.name, "title": facts.title}
    resource |= _published(guide, facts.status, version)
    if facts.description is not None:
        resource["description"] = facts.description
    resource |= {"caseSensitive": facts.case_sensitive, "content": facts.content}
    resource["concept"] = [_concept(code, told, other) for code, told in facts.concepts.items()]
    return resource


def value_set(guide: Guide, facts: ValueSet) -> Resource:
    """A value set of a guide, composed as published."""
    url = facts.url or f"{guide.base}/ValueSet/{facts.id}"
    id = facts.id or url.rpartition("/")[2]
    version = facts.version or guide.version
    resource = _heading(guide, "ValueSet", id, url, facts.oid)
    resource |= {"version": version, "name": facts.name or id.replace("-", "_"), "title": facts.title}
    resource |= _published(guide, facts.status, version)
    if told := facts.note or facts.description:
        resource["description"] = told
    resource["compose"] = {"include": [_include(each) for each in facts.include]}
    return resource


@dataclass(slots=True)
class Named:
    """What the value sets say of one system."""

    displays: dict[str, str]
    whole: bool = False
    """A value set takes all of it, or what fulfils a condition."""


def fragments(folder: Path) -> Iterator[Resource]:
    """A fragment of each system that value sets name and that is not here whole, by URL."""
    facts = msgspec.json.decode((FACTS / SYSTEMS).read_bytes(), type=SystemFacts)
    known = {system.canonical: system for system in facts.systems}
    for twin in facts.twins:
        known.setdefault(KnownSystem(nos=twin.nos).canonical, KnownSystem(nos=twin.nos, oid=twin.oid))
    shipped = published(folder)
    for url, named in sorted(names(folder).items()):
        if url in shipped:
            continue
        if url not in known:
            raise SystemExit(f"{url} is named by a value set, is not shipped and has no line in facts/{SYSTEMS}.")
        yield fragment(url, known[url], named)


def names(folder: Path) -> Mapping[str, Named]:
    """By system: the codes that the value sets of the folder name, each with its first display."""
    found: defaultdict[str, Named] = defaultdict(lambda: Named({}))
    for path in sorted((folder / "ValueSet").glob("*.json")):
        compose = json.loads(path.read_text(encoding="utf-8"))["compose"]
        for part in [*compose["include"], *compose.get("exclude", [])]:
            if "system" not in part:
                continue
            named = found[part["system"]]
            named.whole |= "concept" not in part
            for concept in part.get("concept", []):
                named.displays.setdefault(concept["code"], concept.get("display", ""))
    return found


def published(folder: Path) -> set[str]:
    """The systems of which there is content: files that are no fragments of ours, and what HL7 publishes with R4."""
    r4 = of_hl7()
    own = (json.loads(path.read_text(encoding="utf-8")) for path in (folder / "CodeSystem").glob("*.json"))
    systems = [each for each in (*r4, *own) if each["resourceType"] == "CodeSystem"]
    return {
        each["url"]
        for each in systems
        if each["content"] != "not-present" and each.get("description") not in {FRAGMENT, ABSENT}
    }


@cache
def of_hl7() -> list[dict[str, Any]]:
    """The code systems and value sets of R4, as JSON: they are only walked here."""
    found: list[dict[str, Any]] = json.loads(gzip.decompress(committed(rows.TERMINOLOGY)))
    return found


def english(system: str) -> Mapping[str, str]:
    """What HL7 calls the codes of one of its systems."""
    found = next((each for each in of_hl7() if each["url"] == system), {})
    pending, words = list(found.get("concept", [])), {}
    while pending:
        concept = pending.pop()
        words[concept["code"]] = concept.get("display", "")
        pending += concept.get("concept", [])
    return words


def fragment(url: str, system: KnownSystem, named: Named) -> Resource:
    """The codes that are named, sorted; a system of which none is named is declared and empty."""
    id = system.id or url.rpartition("/")[2]
    resource: Resource = {"resourceType": "CodeSystem", "id": id, "language": "fr", "url": url}
    if system.oid is not None:
        resource["identifier"] = _identifier(system.oid)
    resource |= {"name": id.replace("-", "_"), "title": system.title or system.nos, "status": "active"}
    resource |= {"experimental": False, "publisher": system.publisher}
    resource["description"] = FRAGMENT if named.displays else ABSENT
    if system.copyright is not None:
        resource["copyright"] = system.copyright
    resource["content"] = "fragment" if named.displays else "not-present"
    if named.displays:
        resource["concept"] = [
            {"code": code, "display": display} if display else {"code": code}
            for code, display in sorted(named.displays.items())
        ]
    return resource


def _heading(guide: Guide, kind: str, id: str, url: str, oid: str | None) -> Resource:
    resource: Resource = {"resourceType": kind, "id": id, "language": guide.language, "url": url}
    if oid is not None:
        resource["identifier"] = _identifier(oid)
    return resource


def _identifier(oid: str) -> list[Resource]:
    return [{"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{oid}"}]


def _published(guide: Guide, status: str, version: str) -> Resource:
    """The state of a resource. The lists of the NOS carry their date in the version, twelve o'clock included."""
    resource: Resource = {"status": status, "experimental": False}
    if guide.date:
        resource["date"] = guide.date
    elif version.isdigit() and len(version) == len("20240927120000"):
        resource["date"] = f"{version[:4]}-{version[4:6]}-{version[6:8]}"
    if guide.publisher:
        resource["publisher"] = guide.publisher
    return resource


def _concept(code: str, told: str | tuple[str, str], other: str) -> Resource:
    if isinstance(told, str):
        return {"code": code, "display": told}
    display, translated = told
    return {"code": code, "display": display, "designation": [{"language": other, "value": translated}]}


def _include(facts: Include) -> Resource:
    part: Resource = {}
    if facts.system is not None:
        part["system"] = facts.system
    if facts.concepts is not None:
        words = english(facts.system or "")
        part["concept"] = [
            {"code": code, "display": word} if (word := display or words.get(code)) else {"code": code}
            for code, display in facts.concepts.items()
        ]
    if facts.filter:
        part["filter"] = [msgspec.structs.asdict(each) for each in facts.filter]
    if facts.value_set:
        part["valueSet"] = list(facts.value_set)
    return part


if __name__ == "__main__":
    main()
