"""Small pools of values, so that what is drawn at random meets, touches and contains what was drawn before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any, Final, TypeVar

from tests.differential.elements import Resource
from tests.differential.intervals import date_interval

T = TypeVar("T")

LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
LOCAL: Final = "https://example.org/fhir/codes"
OTHER: Final = "https://example.org/fhir/codes/other"
SYSTEMS: Final = (LOINC, LOCAL, OTHER, "urn:oid:1.2.3")
CODES: Final = ("8480-6", "8462-4", "a", "A", "b", "a|b", "a,b", "a$b", "a\\b", "été", "a b")
DISPLAYS: Final = (
    "Pression artérielle",
    "pression systolique",
    "Tension",
    "Œdème aigu",
    "oedeme du poumon",
    "L’eau",
    "l'eau",
)
FAMILIES: Final = (
    "Lefèvre",
    "LEFEVRE",
    "Lefèvre-O’Brien",
    "O'Brien",
    "Lœwe",
    "Loewe",
    "Straße",
    "Strasse",
    "de la Tour",
    "De  La Tour",
    "Ça, et là",
    "A|B",
    "C$D",
    "E\\F",
    "Ångström",
    "Zoë",
)
GIVEN: Final = ("Zoé", "zoe", "Anaïs", "Jean-Paul", "Jean Paul", "Évelyne", "Eve", "Séverine", "Marie\u00a0Anne")
CITIES: Final = ("Paris", "PARIS 15", "L’Haÿ-les-Roses", "L'Hay-les-Roses", "Saint-Étienne", "Saint-Etienne", "Ax")
SENTENCES: Final = (
    "Compte rendu d’hospitalisation",
    "compte rendu d'hospitalisation",
    "Compte-rendu opératoire",
    "Lettre de sortie, avec ordonnance",
    "Prix: 5 $ | 3 €",
    "Œuvre",
    "oeuvre sociale",
    "a",
    "Dossier   médical  partagé",
)
URLS: Final = (
    "http://acme.example/fhir",
    "http://acme.example/fhir/ValueSet",
    "http://acme.example/fhir/ValueSet/123",
    "http://acme.example/fhir/ValueSet/1234",
    "http://acme.example/fhir/ValueSet/123/_history/5",
    "http://acme.example/fhir/Questionnaire/q",
    "http://acme.example/fhir/Questionnaire/Q",
    "http://acme.example/other",
    "urn:oid:1.2.3.4",
    "urn:oid:1.2.3.4.5",
)
PROFILES: Final = tuple(f"https://example.org/fhir/StructureDefinition/{name}" for name in ("a", "a|1.0", "a/b", "ab"))
ELSEWHERE: Final = "https://elsewhere.example/fhir"
DAYS: Final = ("2023-12-31", "2024-01-01", "2024-02-28", "2024-02-29", "2024-03-01", "2024-03-14", "2024-03-15")
TIMES: Final = (
    "00:00:00",
    "00:00:00.000",
    "09:59:59.999",
    "10:00:00",
    "10:00:00.000",
    "10:00:00.250",
    "10:00:30",
    "10:01:00",
    "23:59:59",
    "23:59:59.999",
)
ZONES: Final = ("Z", "Z", "+01:00", "-05:00", "+05:30", "+00:00")
NUMBERS: Final = tuple(
    Decimal(one)
    for one in "0 0.1 0.80 0.8 0.85 0.795 0.805 0.849999 5 5.0 5.4 5.35 5.45 5.40001 0.0054 95 99.5 100 100.00 100.005 "
    "100.5 104.9 105 110 110.01 90 -5 -5.5 -0.5 0.49 0.5 5.4000000000000000000001 1E+2 1.0E-7".split()
)
WHOLE: Final = (0, 1, 2, 5, 9, 10, 95, 99, 100, 101, 104, 105, 110, 1000, 123456)
UNITS: Final[tuple[Resource, ...]] = (
    {"unit": "mg", "system": UCUM, "code": "mg"},
    {"unit": "milligram", "system": UCUM, "code": "mg"},
    {"unit": "mg"},
    {"unit": "g", "system": UCUM, "code": "g"},
    {"unit": "mg", "system": LOCAL, "code": "g"},
    {},
)


@dataclass
class Draw:
    """Draws values of the data types of R4, the same ones for the same seed."""

    rng: Random
    base: str
    """The base URL of the server, for absolute references to it."""
    counts: dict[str, int]
    """How many resources of each type there are. Their ids are the same for every type."""

    def one(self, values: Sequence[T]) -> T:
        return self.rng.choice(values)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def some(self, make: Callable[[], T], most: int = 3) -> list[T]:
        """Up to that many, often none."""
        return [make() for _ in range(self.rng.choice([0, 1, 1, *range(most + 1)]))]

    def maybe(self, make: Callable[[], T], share: float = 0.7) -> T | None:
        return make() if self.chance(share) else None

    # Codes

    def coding(self, codes: Sequence[str] = CODES) -> Resource:
        return present(
            system=self.maybe(lambda: self.one(SYSTEMS), 0.85),
            code=self.one(codes),
            display=self.maybe(lambda: self.one(DISPLAYS), 0.4),
        )

    def concept(self) -> Resource:
        """One or two codings, a text, or both."""
        text = self.maybe(lambda: self.one(DISPLAYS), 0.3)
        codings = [self.coding() for _ in range(self.one((1, 1, 2)))]
        return present(coding=[] if text and self.chance(0.3) else codings, text=text)

    def of(self, system: str, *codes: str) -> Resource:
        """A concept of a binding that is required."""
        return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": self.one(codes)}]}

    def identifier(self) -> Resource:
        kind = {"coding": [{"system": LOCAL, "code": self.one(("MR", "PI"))}], "text": self.one(DISPLAYS)}
        return present(
            system=self.maybe(lambda: self.one(SYSTEMS), 0.8),
            value=self.one(("1", "12", "123", "A1", "a1", "1|2", "1,2")),
            type=self.maybe(lambda: kind, 0.5),
        )

    # Numbers

    def number(self) -> Decimal:
        return self.one(NUMBERS)

    def quantity(self, share: float = 0.2) -> Resource:
        comparator = self.maybe(lambda: self.one(("<", "<=", ">", ">=")), share)
        return present(value=self.number(), comparator=comparator, **self.one(UNITS))

    def range(self) -> Resource:
        unit = self.one(UNITS)
        low, high = sorted((self.number(), self.number()))
        ends = self.one(("low", "high", "both", "both"))
        return present(
            low={"value": low, **unit} if ends != "high" else None,
            high={"value": high, **unit} if ends != "low" else None,
        )

    # Dates

    def day(self) -> str:
        """A date of any precision."""
        return self.one(DAYS)[: self.one((4, 7, 10, 10, 10))]

    def instant(self) -> str:
        return f"{self.one(DAYS)}T{self.one(TIMES)}{self.one(ZONES)}"

    def moment(self) -> str:
        """A dateTime of any precision."""
        return self.instant() if self.chance(0.6) else self.day()

    def period(self) -> Resource:
        """A Period, often open."""
        ends = self.one(("start", "end", "both", "both", "both"))
        while True:
            start, end = self.moment(), self.moment()
            if ends != "both":
                return {ends: start}
            # Neither the first nor the last moment of the end is before that of the start: no reader finds fault.
            of_start, of_end = date_interval(start), date_interval(end)
            if of_start.low <= of_end.low and of_start.high <= of_end.high:
                return {"start": start, "end": end}

    def timing(self) -> Resource:
        events = [self.moment() for _ in range(self.one((0, 1, 2)))]
        bounds = None if events and self.chance(0.5) else {"boundsPeriod": self.period()}
        return present(event=events, repeat=bounds)

    # Texts

    def sentence(self) -> str:
        return self.one(SENTENCES)

    def name(self) -> Resource:
        return present(
            text=self.maybe(self.sentence, 0.1),
            family=self.maybe(lambda: self.one(FAMILIES), 0.9),
            given=self.some(lambda: self.one(GIVEN)) or ["Eve"],
            prefix=self.some(lambda: self.one(("Dr", "Mme", "Pr")), 1),
            suffix=self.maybe(lambda: ["fils"], 0.1),
        )

    def address(self) -> Resource:
        return present(
            use=self.maybe(lambda: self.one(("work", "temp", "old"))),
            text=self.maybe(self.sentence, 0.1),
            line=self.some(lambda: self.one(("1 rue d’Été", "1 RUE D'ETE", "Bât. B, 2e étage"))),
            city=self.one(CITIES),
            district=self.maybe(lambda: self.one(("Val-de-Marne", "Loire")), 0.2),
            state=self.maybe(lambda: self.one(("Île-de-France", "Ile-de-France")), 0.4),
            country=self.maybe(lambda: self.one(("FR", "France")), 0.6),
            postalCode=self.maybe(lambda: self.one(("75015", "75", "94240"))),
        )

    def telecom(self) -> Resource:
        system = self.one(("phone", "email"))
        value = {"phone": ("0102030405", "+33102030405"), "email": ("zoe@example.org", "Zoe@example.org")}[system]
        return {"system": system, "value": self.one(value)}

    # References

    def id(self, type: str) -> str:
        return f"x{self.rng.randrange(self.counts[type])}"

    def ref(self, *types: str) -> Resource:
        """Mostly to something here, by a relative or an absolute URL; to another server, or to what is not here."""
        type = self.one(types)
        key = f"{type}/{self.id(type)}"
        how = self.rng.random()
        if how < 0.05:
            return {"reference": f"{ELSEWHERE}/{key}"}
        if how < 0.08:
            return {"reference": f"{type}/absent-{self.one('abc')}"}
        return present(
            reference=f"{self.base}/{key}" if how < 0.16 else key,
            display=self.maybe(self.sentence, 0.1),
        )

    def named(self, *types: str) -> Resource:
        """A reference by identifier or by URL; by both where it leads into no record, where one of them is enough."""
        literal = self.ref(*types)
        if self.chance(0.6):
            return literal
        both = "Patient/" not in literal["reference"] and self.chance(0.5)
        return present(identifier=self.identifier(), **(literal if both else {}))


def seeded(seed: object) -> Random:
    """The same draws for the same seed."""
    return Random(str(seed))  # noqa: S311 - nobody is to be surprised


def present(**members: Any) -> Resource:
    """A resource or element without the members that are not there."""
    return {name: value for name, value in members.items() if value not in (None, [], {})}
