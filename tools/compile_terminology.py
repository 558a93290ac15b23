"""Compile a folder of code lists into the FHIR resources of `terminology/`.

    python tools/compile_terminology.py FACTS [--out terminology]

FACTS holds one JSON file a list, ``{kind, canonical, oid, version, complete, concepts: [{system, systemOid, code,
display, ...}]}``. Written are CodeSystems and ValueSets, the ConceptMap ASS_X16 (document type to document class) and
the NamingSystems of the code systems that have two names. Same input, same bytes. Files the tool does not know, such
as the code systems of our own, are left alone.

https://hl7.org/fhir/R4/terminology-module.html
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent))

from fhir_server.definitions import rows
from fhir_server.definitions.load import committed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

LISTS = (
    *(f"JDV-J{number}" for number in ("01", "02", "04", "06", "07", "08", "11", "47", "48", "57", "58", "59", "60")),
    *(f"JDV-J{number}" for number in ("61", "62", "64", "65", "66", "107", *range(145, 160), 163, 164, 197, 231, 245)),
    "JDV-HL7",
    *(f"TRE-{name}" for name in ("A00", "A01", "A05", "A07", "A08", "G15", "R02", "R11", "R38", "R81", "R85", "R94")),
    *(f"TRE-{name}" for name in ("R95", "R96", "R216", "R217", "R258", "R260")),
)
"""Every list, by the first two parts of the name. A later list is one more word here."""

INCOMPLETE = {
    "JDV-J65": "Professions et producteurs seulement ; les savoir-faire de la liste publiée sont dans JDV_J107.",
    "TRE-R38": "Codes en vigueur seulement ; les codes que l'Ordre n'emploie plus n'y sont pas.",
}
"""What a list that is not whole leaves out. A list without a line here must be complete."""

CANONICALS = {"JDV-HL7": "https://smt.esante.gouv.fr/fhir/ValueSet/jdv-hl7-v3-PersonalRelationshipRoleType-cisis"}
"""Where the source of a list does not tell its URL."""

NOS = "https://mos.esante.gouv.fr/NOS/"
PUBLISHER = "Agence du Numérique en Santé"
TYPE_TO_CLASS = NOS + "ASS_X16-CorrespondanceType-Classe-DMP/FHIR/ASS-X16-CorrespondanceType-Classe-DMP"


class Twin(msgspec.Struct, frozen=True):
    """A code system that HL7 and the French NOS publish under two URLs."""

    id: str
    oid: str
    international: str
    nos: str
    selection: bool = False
    """The NOS publishes only some of its codes: lists name it by its international URL."""
    own_meaning: bool = False
    """The NOS gives the codes a meaning of its own (NOK: "personne de confiance"): HL7's words would mislead."""

    @property
    def french(self) -> str:
        """The URL the NOS gives it."""
        return nos(self.nos)


class KnownSystem(msgspec.Struct, frozen=True):
    """A code system that no list of the folder publishes; one of the NOS is told by its name."""

    oid: str | None = None
    url: str | None = None
    nos: str | None = None

    @property
    def canonical(self) -> str:
        """Its URL."""
        return self.url or nos(self.nos or "")


class SystemFacts(msgspec.Struct, frozen=True):
    """`tools/facts/systems.json`."""

    systems: tuple[KnownSystem, ...]
    twins: tuple[Twin, ...]


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One concept of a list."""

    system: str
    code: str
    display: str
    system_oid: str | None = None
    class_code: str | None = None
    date_fin: str | None = None
    status: str | None = None


class CodeList(msgspec.Struct, frozen=True, rename="camel"):
    """One file of facts."""

    kind: Literal["CodeSystem", "ValueSet"]
    canonical: str | None
    oid: str | None
    concepts: tuple[Entry, ...]
    complete: bool
    count: int | None = None
    version: str | None = None
    date_maj: str | None = None
    description: str | None = None
    case_sensitive: bool | None = None


Resource: TypeAlias = "dict[str, object]"


def nos(name: str) -> str:
    """The URL of a list of the NOS."""
    return f"{NOS}{name}/FHIR/{name.replace('_', '-', 1)}"


FACTS = msgspec.json.decode((Path(__file__).parent / "facts" / "systems.json").read_bytes(), type=SystemFacts)


def main() -> None:
    """Read the arguments and write the files."""
    arguments = argparse.ArgumentParser(description="Compile code lists into terminology/.")
    arguments.add_argument("facts", type=Path, help="folder of JSON files, one a list")
    arguments.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "terminology")
    chosen = arguments.parse_args()
    for resource in compile_folder(chosen.facts):
        path = chosen.out / str(resource["resourceType"]) / f"{resource['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(resource, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(path)


def compile_folder(folder: Path) -> Iterator[Resource]:
    """Every resource the folder gives, in the order of :data:`LISTS`."""
    every = {path.name: read(path) for path in sorted(folder.glob("*.json"))}
    systems = Systems(every.values())
    for name in LISTS:
        code_list = _one(every, name)
        if code_list.canonical is None and name in CANONICALS:
            code_list = msgspec.structs.replace(code_list, canonical=CANONICALS[name])
        if not code_list.complete and name not in INCOMPLETE:
            raise SystemExit(f"{name} is not complete, and nothing says what it leaves out.")
        if code_list.kind == "CodeSystem":
            yield code_system(code_list, systems, INCOMPLETE.get(name))
        else:
            yield value_set(code_list, systems, INCOMPLETE.get(name))
    yield type_to_class(_one(every, "JDV-J66"), _one(every, "JDV-J57"), systems)
    yield from map(naming_system, FACTS.twins)


def read(path: Path) -> CodeList:
    """One file, or a sentence that says what is wrong with it."""
    try:
        code_list = msgspec.json.decode(path.read_bytes(), type=CodeList)
    except msgspec.DecodeError as error:
        raise SystemExit(f"{path.name}: {error}") from None
    if code_list.count is not None and code_list.count != len(code_list.concepts):
        raise SystemExit(f"{path.name} announces {code_list.count} concepts and holds {len(code_list.concepts)}.")
    return code_list


class Systems:
    """The one URL of every code system.

    The lists were read from sources that spell a system as a NOS URL, an HL7 URL or an OID, and some give the URL of
    another system. The OID decides: the list that publishes the system, then `facts/systems.json`, then the only NOS
    URL seen with this OID; an OID that nobody names stays an OID.
    """

    def __init__(self, lists: Iterable[CodeList]) -> None:
        """Learn from all lists, also from those that are not compiled."""
        known = list(lists)
        self._by_oid = {
            each.oid: each.canonical for each in known if each.kind == "CodeSystem" and each.oid and each.canonical
        }
        for system in FACTS.systems:
            if system.oid:
                self._by_oid.setdefault(system.oid, system.canonical)
        published = set(self._by_oid.values())
        seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for entry in (entry for each in known if each.kind == "ValueSet" for entry in each.concepts):
            if entry.system_oid and entry.system.startswith(NOS) and entry.system not in published:
                seen[entry.system_oid][entry.system] += 1
        for oid, urls in seen.items():
            if len(urls) == 1:
                self._by_oid.setdefault(oid, next(iter(urls)))
        for twin in FACTS.twins:
            self._by_oid.setdefault(twin.oid, twin.international if twin.selection else twin.french)
        self._used: defaultdict[str, set[str]] = defaultdict(set)
        for entry in (entry for each in known if each.kind == "ValueSet" for entry in each.concepts):
            self._used[self.url(entry)].add(entry.code)

    def url(self, entry: Entry) -> str:
        """The URL of the system of one concept."""
        if entry.system.startswith("http") and not entry.system.startswith(NOS):
            return entry.system
        if entry.system_oid is None:
            return entry.system
        return self._by_oid.get(entry.system_oid, f"urn:oid:{entry.system_oid}")

    def whole(self, code_list: CodeList) -> bool:
        """Tell whether a list of a system holds every code that value sets take from it. An older edition may not."""
        return self._used[code_list.canonical or ""] <= {entry.code for entry in code_list.concepts}


class International(msgspec.Struct, frozen=True):
    """A code system as HL7 publishes it."""

    url: str
    concept: tuple[InternationalConcept, ...] = ()


class InternationalConcept(msgspec.Struct, frozen=True):
    """One of its concepts."""

    code: str
    display: str = ""
    concept: tuple[InternationalConcept, ...] = ()


@cache
def english(oid: str | None) -> Mapping[str, str]:
    """What HL7 calls the codes of a system that it publishes too; nothing for a French one."""
    url = next((twin.international for twin in FACTS.twins if twin.oid == oid and not twin.own_meaning), None)
    content = gzip.decompress(committed(rows.TERMINOLOGY))
    published = msgspec.json.decode(content, type=tuple[International, ...])
    return {code: display for each in published if each.url == url for code, display in _displays(each.concept)}


def _displays(concepts: Iterable[InternationalConcept]) -> Iterator[tuple[str, str]]:
    for concept in concepts:
        if concept.display:
            yield concept.code, concept.display
        yield from _displays(concept.concept)


def code_system(code_list: CodeList, systems: Systems, left_out: str | None) -> Resource:
    """A TRE as a CodeSystem, ended concepts with their date."""
    ended = any(entry.date_fin or entry.status for entry in code_list.concepts)
    resource = _heading(code_list)
    if code_list.case_sensitive is not None:
        resource["caseSensitive"] = code_list.case_sensitive
    if left_out is not None:
        resource["description"] = left_out
    resource["content"] = "complete" if left_out is None and systems.whole(code_list) else "fragment"
    if ended:
        resource["property"] = [
            {
                "code": "dateFin",
                "description": "Date à partir de laquelle le code n'est plus employé",
                "type": "dateTime",
            },
            {"code": "status", "description": "deprecated : le code n'est plus employé", "type": "code"},
        ]
    resource["concept"] = [_concept(entry, english(code_list.oid).get(entry.code)) for entry in code_list.concepts]
    return resource


def value_set(code_list: CodeList, systems: Systems, left_out: str | None) -> Resource:
    """A JDV as a ValueSet that lists its concepts, by system in the order of their first appearance."""
    by_system: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in code_list.concepts:
        by_system[systems.url(entry)].append(entry)
    resource = _heading(code_list)
    if left_out is not None:
        resource["description"] = left_out
    resource["compose"] = {
        "include": [
            {"system": system, "concept": [{"code": entry.code, "display": entry.display} for entry in entries]}
            for system, entries in by_system.items()
        ]
    }
    return resource


def type_to_class(types: CodeList, classes: CodeList, systems: Systems) -> Resource:
    """ASS_X16: the class of each document type. A type without a class has no row."""
    target = {entry.code: entry for entry in classes.concepts}
    groups: defaultdict[tuple[str, str], list[Resource]] = defaultdict(list)
    for entry in types.concepts:
        if entry.class_code is None:
            continue
        document_class = target[entry.class_code]
        groups[systems.url(entry), systems.url(document_class)].append(
            {
                "code": entry.code,
                "display": entry.display,
                "target": [
                    {"code": document_class.code, "display": document_class.display, "equivalence": "wider"},
                ],
            }
        )
    heading = _heading(msgspec.structs.replace(types, canonical=TYPE_TO_CLASS, oid=None, description=None))
    return {
        **heading,
        "resourceType": "ConceptMap",
        "sourceCanonical": types.canonical,
        "targetCanonical": classes.canonical,
        "group": [
            {"source": source, "target": target_system, "element": elements}
            for (source, target_system), elements in groups.items()
        ],
    }


def naming_system(twin: Twin) -> Resource:
    """The two URLs and the OID of one code system. https://hl7.org/fhir/R4/namingsystem.html"""
    return {
        "resourceType": "NamingSystem",
        "id": twin.id,
        "name": twin.id.replace("-", "_"),
        "status": "active",
        "kind": "codesystem",
        "date": "2026-11-22",
        "description": f"{twin.nos} est la publication française de ce système : mêmes codes, deux URL.",
        "uniqueId": [
            {"type": "uri", "value": twin.international, "preferred": True},
            {"type": "uri", "value": twin.french},
            {"type": "oid", "value": twin.oid},
        ],
    }


def _heading(code_list: CodeList) -> Resource:
    if code_list.canonical is None:
        raise SystemExit("A list without a canonical URL cannot be published.")
    id = code_list.canonical.rpartition("/")[2]
    version = _leading_digits(code_list.version or code_list.date_maj)
    resource: Resource = {"resourceType": code_list.kind, "id": id, "language": "fr", "url": code_list.canonical}
    if code_list.oid is not None:
        resource["identifier"] = [{"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{code_list.oid}"}]
    if version:
        resource["version"] = version
    resource["name"] = id.replace("-", "_")
    resource["title"] = code_list.canonical.removeprefix(NOS).partition("/")[0] if NOS in code_list.canonical else id
    resource["status"] = "active"
    resource["experimental"] = False
    if version:
        resource["date"] = _date(version)
    resource["publisher"] = PUBLISHER
    if code_list.description:
        resource["description"] = code_list.description
    return resource


def _concept(entry: Entry, in_english: str | None) -> Resource:
    concept: Resource = {"code": entry.code, "display": entry.display}
    if in_english is not None:
        concept["designation"] = [{"language": "en", "value": in_english}]
    ended = _date(entry.date_fin) if entry.date_fin else None
    if entry.status and (match := re.fullmatch(r"deprecated (\d{4}-\d{2}-\d{2})(?: .*)?", entry.status)):
        ended = match[1]
    elif entry.status:
        raise SystemExit(f"{entry.code}: the status {entry.status!r} is not understood.")
    if ended is not None:
        concept["property"] = [
            {"code": "dateFin", "valueDateTime": ended},
            {"code": "status", "valueCode": "deprecated"},
        ]
    return concept


def _one(every: dict[str, CodeList], name: str) -> CodeList:
    found: Sequence[CodeList] = [each for path, each in every.items() if path.startswith(name + "-")]
    if len(found) != 1:
        raise SystemExit(f"{name}: {len(found)} files in the folder, one expected.")
    return found[0]


def _leading_digits(version: str | None) -> str:
    match = re.match(r"[\d-]+", version or "")
    return match[0] if match else ""


def _date(compact: str) -> str:
    """``20240927120000`` or ``2024-09-27`` as a FHIR date; the hour of a list is always noon and says nothing."""
    digits = compact.replace("-", "")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"


if __name__ == "__main__":
    main()
