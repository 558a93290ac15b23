"""The people and structures of the demonstration.

Patients follow ``fr-core-patient-ins``: an INS comes with its five traits (birth name, first given name, birth date,
sex, birth place by INSEE code). Sex, month of birth and birth place agree with the INS.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from fhir_server.cli.demo_records.record import FR_CORE, DemoRecord, concept, identifier, nos
from fhir_server.identity.actors import ACTORS, DEMO_PATIENTS
from fhir_server.record.actors import FINESS, ID_NAT_PS, INS_NIR_TEST, RPPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from fhir_server.fhir.json import JsonObject
    from fhir_server.identity.requester import Coding

DMP: Final = "https://interop.esante.gouv.fr/ig/fhir/dmp/"
R260: Final = nos("TRE_R260-HL7RoleClass")
R216: Final = nos("TRE_R216-HL7RoleCode")


@dataclass(frozen=True, slots=True)
class Person:
    """The five traits of a patient."""

    id: str
    family: str
    given: tuple[str, ...]
    gender: str
    birth_date: str
    birth_place: tuple[str, str]
    """INSEE code and name of the commune."""

    @property
    def ins(self) -> str:
        """The INS, without its system."""
        return DEMO_PATIENTS[self.id]

    @property
    def key(self) -> str:
        """Under which the person deposits."""
        return f"ins|{self.ins}"


PEOPLE: Final[Mapping[str, Person]] = {
    person.id: person
    for person in (
        Person("demo-1", "D'Almeida", ("Hélène", "Marie"), "female", "1980-05-14", ("75056", "Paris")),
        Person("demo-2", "Le Goff", ("Marc",), "male", "1962-03-09", ("13055", "Marseille")),
        Person("demo-3", "D'Almeida", ("Lucie", "Anne"), "female", "2010-04-21", ("31555", "Toulouse")),
        Person("demo-4", "Ferrand", ("Jean", "Louis"), "male", "1955-02-02", ("69123", "Lyon")),
        Person("demo-5", "Marchais", ("Odette",), "female", "1947-02-27", ("44109", "Nantes")),
    )
}
CLOSED: Final = "demo-5"
_CLOSED_FOR: Final = timedelta(days=400)
MINOR, GUARDIAN = "demo-3", "demo-1"
REPRESENTATIVE: Final = "demo-3-representant"
"""Id of the RelatedPerson."""


@dataclass(frozen=True, slots=True)
class Professional:
    """Somebody who cares for patients."""

    id: str
    rpps: str
    family: str
    given: str
    doctor: bool
    profession: Coding

    @property
    def key(self) -> str:
        """Under which the professional deposits."""
        return f"rpps|{self.rpps}"


def _professionals() -> dict[str, Professional]:
    found = {}
    for actor in ACTORS.values():
        if actor.rpps is not None:
            given, family = actor.name.removeprefix("Dr ").split(" ", 1)
            doctor = actor.name.startswith("Dr ")
            found[actor.key] = Professional(actor.key, actor.rpps, family, given, doctor, actor.roles[0])
    return found


PROFESSIONALS: Final[Mapping[str, Professional]] = _professionals()
HOSPITAL_DOCTOR: Final = Professional(
    "praticien", "89900000020", "Castel", "Hugo", doctor=True, profession=PROFESSIONALS["specialiste"].profession
)
"""Signs what the hospital publishes. He is nobody's actor: no token reads by his name."""


@dataclass(frozen=True, slots=True)
class Structure:
    """A place of care."""

    id: str
    finess: str
    name: str
    sector: tuple[str, str]
    """TRE_R02: code and display."""
    setting: tuple[str, str]
    """TRE_A01: code and display."""

    @property
    def key(self) -> str:
        """Under which the structure deposits."""
        return f"finess|{self.finess}"


HOSPITAL: Final = Structure(
    "hopital",
    "990000001",
    "Centre hospitalier de démonstration",
    ("SA01", "Etablissement public de santé"),
    ("ETABLISSEMENT", "Etablissement de santé"),
)
PRACTICE: Final = Structure(
    "cabinet",
    "990000002",
    "Cabinet médical des Tilleuls",
    ("SA08", "Cabinet de groupe"),
    ("AMBULATOIRE", "Ambulatoire"),
)


def directory() -> list[DemoRecord]:
    """Structures and professionals."""
    structures = [DemoRecord(_organization(structure)) for structure in (HOSPITAL, PRACTICE)]
    return structures + [DemoRecord(practitioner(one)) for one in PROFESSIONALS.values()]


def patients(now: datetime) -> list[DemoRecord]:
    """The five patients, and the representative of the minor."""
    return [*(DemoRecord(_patient(person, now)) for person in PEOPLE.values()), DemoRecord(_representative())]


def ins_identifier(person: Person) -> JsonObject:
    """The INS as an Identifier of the test system."""
    return identifier("INS-NIR-TEST", INS_NIR_TEST, person.ins)


def official_name(person: Person) -> JsonObject:
    """The birth name, with the list of all given names."""
    return {
        "extension": [
            {
                "url": FR_CORE + "StructureDefinition/fr-core-patient-birth-list-given-name",
                "valueString": " ".join(person.given),
            }
        ],
        "use": "official",
        "family": person.family,
        "given": [person.given[0]],
    }


def practitioner(one: Professional, *, contained_as: str | None = None) -> JsonObject:
    """The professional as a resource of the directory, or as the contained author of a document.

    The directory of the demonstration does not tell professions: `token --claim` may then give an actor another one,
    and nothing contradicts it.
    """
    name: JsonObject = {"family": one.family, "given": [one.given]}
    if one.doctor:
        name["suffix"] = ["DR"]
    profession = concept(one.profession.system, one.profession.code, one.profession.display or one.profession.code)
    return {
        "resourceType": "Practitioner",
        "id": contained_as or one.id,
        "meta": {"profile": [FR_CORE + "StructureDefinition/fr-core-practitioner"]},
        "identifier": [identifier("RPPS", RPPS, one.rpps), identifier("IDNPS", ID_NAT_PS, f"8{one.rpps}")],
        "active": True,
        "name": [name],
        **({"qualification": [{"code": profession}]} if contained_as else {}),
    }


def _organization(structure: Structure) -> JsonObject:
    return {
        "resourceType": "Organization",
        "id": structure.id,
        "meta": {"profile": [FR_CORE + "StructureDefinition/fr-core-organization"]},
        "identifier": [identifier("FINEG", FINESS, structure.finess)],
        "active": True,
        "type": [concept(nos("TRE_R02-SecteurActivite"), *structure.sector)],
        "name": structure.name,
    }


def _patient(person: Person, now: datetime) -> JsonObject:
    insee, commune = person.birth_place
    extensions: list[JsonObject] = [
        {
            "url": FR_CORE + "StructureDefinition/fr-core-identity-reliability",
            "extension": [
                {
                    "url": "identityStatus",
                    "valueCoding": {
                        "system": FR_CORE + "CodeSystem/fr-core-cs-v2-0445",
                        "code": "VALI",
                        "display": "Identité validée",
                    },
                }
            ],
        },
        {
            "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
            "valueAddress": {
                "extension": [
                    {
                        "url": FR_CORE + "StructureDefinition/fr-core-address-insee-code",
                        "valueCoding": {"system": nos("TRE_R13-CommuneOM"), "code": insee},
                    }
                ],
                "city": commune,
            },
        },
    ]
    if person.id == CLOSED:
        extensions.append(_closure(now - _CLOSED_FOR))
    return {
        "resourceType": "Patient",
        "id": person.id,
        "meta": {"profile": [FR_CORE + "StructureDefinition/fr-core-patient-ins"]},
        "extension": [*extensions],
        "identifier": [ins_identifier(person)],
        "active": person.id != CLOSED,
        "name": [official_name(person)],
        "gender": person.gender,
        "birthDate": person.birth_date,
    }


def _closure(on: datetime) -> JsonObject:
    """The record was closed at the holder's own request (R-72)."""
    return {
        "url": DMP + "StructureDefinition/dmp-fermeture",
        "extension": [
            {"url": "dateFermeture", "valueDate": f"{on:%Y-%m-%d}"},
            {
                "url": "motifFermeture",
                "valueCodeableConcept": {
                    "coding": [{"system": DMP + "CodeSystem/dmp-motif-fermeture", "code": "patient-demande"}]
                },
            },
            {"url": "raisonFermeture", "valueString": "Fermeture demandée par la titulaire"},
        ],
    }


def _representative() -> JsonObject:
    """The mother of the minor, who holds a record herself."""
    guardian = PEOPLE[GUARDIAN]
    return {
        "resourceType": "RelatedPerson",
        "id": REPRESENTATIVE,
        "meta": {"profile": [FR_CORE + "StructureDefinition/fr-core-related-person"]},
        "identifier": [ins_identifier(guardian)],
        "active": True,
        "patient": {"reference": f"Patient/{MINOR}"},
        "relationship": [concept(R260, "GUARD", "Responsable légal"), concept(R216, "MTH", "Mère")],
        "name": [{"use": "official", "family": guardian.family, "given": [guardian.given[0]]}],
        "gender": guardian.gender,
        "birthDate": guardian.birth_date,
    }
