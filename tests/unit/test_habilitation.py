"""The matrice d'habilitation: what each profession reads (R-47), asked of entries through the predicate."""

from __future__ import annotations

import pytest

from fhir_server.consent.habilitation import TABLE, Habilitation, InvalidHabilitation, load, parse
from fhir_server.identity.systems import G15, G16, PROFESSIONS, R94, R95, R291
from fhir_server.search.predicate import NEVER, Not, OneOf, matches
from fhir_server.terminology import Terminology

J57 = "https://mos.esante.gouv.fr/NOS/JDV_J57-ClassCode-DMP/FHIR/JDV-J57-ClassCode-DMP"
J65 = "https://mos.esante.gouv.fr/NOS/JDV_J65-SubjectRole-DMP/FHIR/JDV-J65-SubjectRole-DMP"

DOCTOR, PHARMACIST, DENTIST, MIDWIFE, NURSE, PODIATRIST = ("10", "21", "40", "50", "60", "80")


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return Terminology.load()


@pytest.fixture(scope="module")
def habilitation(terminology: Terminology) -> Habilitation:
    return load(TABLE, terminology)


def reads(
    habilitation: Habilitation,
    profession: tuple[str, str],
    *,
    category: str | None = None,
    kind: str | None = None,
    type: str = "DocumentReference",
) -> bool:
    return matches(habilitation.perimeter(*profession), {"rt": type, "category": category, "kind": kind})


@pytest.mark.parametrize("category", ["10", "11", "31", "42", "43", "44", "45", "52", "60", "90"])
def test_care_professionals_read_every_clinical_category(habilitation: Habilitation, category: str) -> None:
    for code in (DOCTOR, PHARMACIST, DENTIST, MIDWIFE, NURSE, PODIATRIST):
        assert reads(habilitation, (G15, code), category=category, kind="11502-2"), code


def test_a_doctor_reads_all_but_the_attestation_of_residence(habilitation: Habilitation) -> None:
    doctor = (G15, DOCTOR)
    assert not reads(habilitation, doctor, category="95", kind="ATTEST-RESID")
    assert not reads(habilitation, doctor, category="10", kind="ATTEST-RESID")
    assert reads(habilitation, doctor, category="95", kind="ATTEST-DROITS-AM")
    assert reads(habilitation, doctor, category="10", kind="68599-0")


def test_the_predicate_of_a_doctor_is_cheap(habilitation: Habilitation) -> None:
    predicate = habilitation.perimeter(G15, DOCTOR)
    assert isinstance(predicate, Not)
    assert isinstance(predicate.part, OneOf)


@pytest.mark.parametrize("code", [PHARMACIST, NURSE, DENTIST, MIDWIFE, PODIATRIST, "35"])
def test_others_read_no_administrative_document(habilitation: Habilitation, code: str) -> None:
    assert not reads(habilitation, (G15, code), category="95", kind="ATTEST-DROITS-AM")


@pytest.mark.parametrize("kind", ["80788-3", "75496-0", "83981-1", "83901-9", "68599-0", "EXPPAT_3"])
def test_a_dentist_is_refused_what_the_sources_name(habilitation: Habilitation, kind: str) -> None:
    for category in ("10", "11", "44", "90"):
        assert not reads(habilitation, (G15, DENTIST), category=category, kind=kind)
        assert reads(habilitation, (G15, NURSE), category=category, kind=kind)


def test_only_the_podiatrist_is_refused_the_report_of_a_delivery(habilitation: Habilitation) -> None:
    assert not reads(habilitation, (G15, PODIATRIST), category="10", kind="15508-5")
    assert reads(habilitation, (G15, MIDWIFE), category="10", kind="15508-5")


@pytest.mark.parametrize("profession", [(R94, "41"), (R95, "93"), (R291, "99")])
def test_social_professions_read_plans_and_letters_only(
    habilitation: Habilitation, profession: tuple[str, str]
) -> None:
    assert reads(habilitation, profession, category="44", kind="18776-5")
    assert reads(habilitation, profession, category="10", kind="11490-0")
    assert not reads(habilitation, profession, category="10", kind="34112-3")
    assert not reads(habilitation, profession, category="11", kind="60591-5")


def test_an_unknown_type_follows_its_category(habilitation: Habilitation) -> None:
    assert reads(habilitation, (G15, NURSE), category="10", kind="new-type")
    assert reads(habilitation, (R94, "41"), category="44", kind="new-type")
    assert not reads(habilitation, (R94, "41"), category="10", kind="new-type")


@pytest.mark.parametrize("category", [None, "999"])
def test_an_unknown_category_is_denied_to_all_but_doctors(habilitation: Habilitation, category: str | None) -> None:
    for system, code in habilitation.perimeters:
        doctor = (system, code) == (G15, DOCTOR)
        for kind in ("11490-0", "34112-3", None):
            assert reads(habilitation, (system, code), category=category, kind=kind) is doctor, (system, code)


@pytest.mark.parametrize("type", ["Observation", "Condition", "Immunization", "MedicationRequest", "List"])
def test_structured_entries_are_for_care_professionals(habilitation: Habilitation, type: str) -> None:
    for system, code in habilitation.perimeters:
        assert reads(habilitation, (system, code), type=type) is (system in (G15, G16)), (system, code)


@pytest.mark.parametrize("type", ["DocumentReference", "DocumentManifest", "Composition", "Binary"])
def test_a_document_without_a_category_does_not_pass_for_an_observation(habilitation: Habilitation, type: str) -> None:
    assert not reads(habilitation, (G15, NURSE), type=type)


def test_another_type_with_the_category_of_a_document_is_a_document(habilitation: Habilitation) -> None:
    assert not reads(habilitation, (G15, NURSE), type="List", category="95")
    assert reads(habilitation, (G15, NURSE), type="List", category="10")


@pytest.mark.parametrize(
    "profession",
    [
        (G15, "93"),  # ended in TRE_G15, and not in JDV_J65
        (G15, "11"),
        (R94, "10"),  # a code of another system
        ("", "10"),
        (G15, ""),
        ("https://mos.esante.gouv.fr/NOS/TRE_A00-ProducteurDocNonPS/FHIR/TRE-A00-ProducteurDocNonPS", "ALIM_AM"),
    ],
)
def test_an_unknown_profession_reads_nothing(habilitation: Habilitation, profession: tuple[str, str]) -> None:
    assert habilitation.perimeter(*profession) is NEVER


def test_every_profession_of_the_dmp_has_a_row(habilitation: Habilitation, terminology: Terminology) -> None:
    expected = {(concept.system, concept.code) for concept in terminology.codes(J65) if concept.system in PROFESSIONS}
    assert set(habilitation.perimeters) == expected


MINIMAL = """
professions = "{j65}"
categories = "{j57}"
types = "https://mos.esante.gouv.fr/NOS/JDV_J66-TypeCode-DMP/FHIR/JDV-J66-TypeCode-DMP"
documents = ["DocumentReference"]
systems = {{ G15 = "{g15}" }}
[[rows]]
name = "row"
professions = {{ G15 = ["10"] }}
every_category = {{ read = {every}, confidence = "assumed", source = "test" }}
unknown_category = {{ read = {unknown}, confidence = "assumed", source = "test" }}
other_types = {{ read = {other}, confidence = "assumed", source = "test" }}
cells = [{cells}]
"""


def table(*, every: str = "true", unknown: str = "true", other: str = "true", cells: str = "") -> str:
    return MINIMAL.format(j65=J65, j57=J57, g15=G15, every=every, unknown=unknown, other=other, cells=cells)


def cell(what: str, read: str) -> str:
    return f'{{ {what}, read = {read}, confidence = "assumed", source = "test" }}'


@pytest.mark.parametrize("every", ["true", "false"])
@pytest.mark.parametrize("unknown", ["true", "false"])
@pytest.mark.parametrize("other", ["true", "false"])
def test_each_judgement_decides_its_own_entries(terminology: Terminology, every: str, unknown: str, other: str) -> None:
    cells = ",".join(
        [
            cell('categories = ["44"]', "true"),
            cell('categories = ["95"]', "false"),
            cell('types = ["11490-0"]', "true"),
            cell('types = ["15508-5"]', "false"),
        ]
    )
    compiled = parse(table(every=every, unknown=unknown, other=other, cells=cells), terminology)
    doctor = (G15, "10")
    assert reads(compiled, doctor, category="44")
    assert not reads(compiled, doctor, category="95")
    assert reads(compiled, doctor, category="95", kind="11490-0")
    assert not reads(compiled, doctor, category="44", kind="15508-5")
    assert reads(compiled, doctor, category="10") is (every == "true")
    assert reads(compiled, doctor, category="999") is (unknown == "true")
    assert reads(compiled, doctor) is (unknown == "true")
    assert reads(compiled, doctor, type="Observation") is (other == "true")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (table().replace('["10"]', '["11"]'), "11 of .* is not a profession"),
        (table().replace('{ G15 = ["10"] }', '{ G17 = ["10"] }'), "G17 is not one of the systems"),
        (table(cells=cell('categories = ["96"]', "true")), "96 is not a known category"),
        (table(cells=cell('types = ["1-1"]', "true")), "1-1 is not a known document type"),
        (table(cells=cell('types = ["REMB", "REMB"]', "true")), "REMB has 2 cells"),
        (table(cells=cell('types = ["REMB"], categories = ["10"]', "true")), "categories or types, not both"),
        (table(cells=cell('tipes = ["REMB"]', "true")), "unknown field `tipes`"),
        (table().replace('"assumed"', '"guessed"', 1), "Invalid enum value 'guessed'"),
        (table().replace('["10"]', '["10", "10"]'), "stands in two rows"),
        ("rows = [", "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_honoured_stops_the_start(terminology: Terminology, text: str, sentence: str) -> None:
    with pytest.raises(InvalidHabilitation, match=sentence):
        parse(text, terminology)


def test_every_cell_says_where_it_comes_from() -> None:
    """An order without its public annex: what we guess must say so."""
    text = TABLE.read_text(encoding="utf-8")
    assert text.count("confidence = ") == text.count("source = ")
    assert {"sourced", "assumed"} == {
        line.partition('confidence = "')[2].partition('"')[0] for line in text.splitlines() if "confidence = " in line
    }
