"""Whether a value set holds a code, where the answer may be that nobody knows; and what HL7 brings along."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_server.terminology import Coding, NotExpandable, Terminology
from fhir_server.terminology.catalogue import Catalogue
from tests.lists import code_system, codes, filtered, looked_up, terminology_of, value_set

HL7 = "http://hl7.org/fhir/ValueSet/"
THO = "http://terminology.hl7.org/"
CONFIDENTIALITY = f"{THO}CodeSystem/v3-Confidentiality"
A08 = "https://mos.esante.gouv.fr/NOS/TRE_A08-HL7Confidentiality/FHIR/TRE-A08-HL7Confidentiality"
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
S, PART, FAR = "https://example.org/s", "https://example.org/part", "https://example.org/far"


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return Terminology.load()


@pytest.mark.parametrize(
    ("url", "system", "code", "told"),
    [
        ("administrative-gender", "http://hl7.org/fhir/administrative-gender", "female", True),
        ("administrative-gender", "http://hl7.org/fhir/administrative-gender", "Female", False),
        ("administrative-gender|4.0.1", None, "female", True),
        ("administrative-gender", None, "madame", False),
        ("administrative-gender|5.0.0", None, "female", None),
        ("mimetypes", None, "text/xml", None),
        ("observation-codes", LOINC, "8480-6", True),
        ("observation-codes", LOINC, "1-1", None),
        ("observation-codes", "http://unitsofmeasure.org", "1-1", False),
        ("body-site", SNOMED, "39607008", None),
        ("v2-0203-of-nowhere", None, "NH", None),
    ],
)
def test_the_value_sets_of_r4_answer(
    terminology: Terminology, url: str, system: str | None, code: str, told: bool | None
) -> None:
    assert terminology.validate(HL7 + url, system, code) is told


def test_nothing_of_hl7_is_decoded_before_it_is_asked_for() -> None:
    asked: list[int] = []

    def source() -> bytes:
        asked.append(1)
        return json.dumps([code_system(S, "A"), value_set({"system": S})]).encode()

    terminology = Terminology.load(others=Catalogue(source))
    jdv = next(iter(terminology.value_sets))
    first = terminology.codes(jdv)[0]
    assert terminology.member(jdv, first.system, first.code)
    assert terminology.display(first.system, first.code)
    assert terminology.spellings("urn:uuid:nobodys") == ("urn:uuid:nobodys",)
    assert not asked
    assert terminology.validate("https://example.org/vs", S, "A") is True
    assert terminology.concept(S, "A") is not None
    assert asked == [1]


def test_a_system_of_ours_and_of_hl7_is_one(terminology: Terminology) -> None:
    """TRE_A08 has three codes of v3-Confidentiality, in French; R4 has all, in English."""
    for system in (CONFIDENTIALITY, A08, "urn:oid:2.16.840.1.113883.5.25"):
        assert terminology.validate(f"{THO}ValueSet/v3-Confidentiality", system, "U") is True
        found = terminology.described(system, "V")
        assert found is not None
        assert (found.called("fr"), found.called("en"), found.called("de")) == (
            "Très restreint",
            "very restricted",
            "Très restreint",
        )
    assert {"N", "R", "V"} <= {each.code for each in terminology.below(CONFIDENTIALITY, "_Confidentiality").codings}


def test_an_oid_of_hl7_is_its_system(terminology: Terminology) -> None:
    oid, role_code = "urn:oid:2.16.840.1.113883.5.111", f"{THO}CodeSystem/v3-RoleCode"
    assert terminology.validate(f"{THO}ValueSet/v3-RoleCode", oid, "MTH") is True
    assert oid in terminology.spellings(role_code)
    assert terminology.spellings(oid) == terminology.spellings(role_code)
    assert Coding(oid, "MTH") in terminology.below(role_code, "PRN").codings


def test_without_a_system_the_hierarchies_of_hl7_are_looked_through_too(terminology: Terminology) -> None:
    assert Coding(f"{THO}CodeSystem/v3-RoleCode", "NMTH") in terminology.below(None, "MTH").codings


def test_only_what_is_known_of_a_fragment_is_told() -> None:
    terminology = terminology_of(
        code_system(PART, {"code": "A", "concept": [{"code": "B"}]}, "C", content="fragment"),
        value_set(filtered(PART, "is-a", "A"), url="u:below"),
        value_set(filtered(PART, "is-not-a", "A"), url="u:beside"),
        value_set({"system": PART}, url="u:whole"),
        value_set({"system": PART}, codes(S, "Z"), exclude=[codes(PART, "C")], url="u:less"),
    )
    told = {
        url: [terminology.validate(f"u:{url}", PART, code) for code in "ABC?"]
        for url in ("below", "beside", "whole", "less")
    }
    assert told == {
        "below": [True, True, None, None],
        "beside": [None, None, None, None],
        "whole": [True, True, True, None],
        "less": [True, True, False, None],
    }
    assert terminology.validate("u:less", S, "Z") is True
    assert terminology.validate("u:less", S, "Y") is False
    with pytest.raises(NotExpandable, match="in part only"):
        terminology.members("u:less")


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (value_set(codes(FAR, "A")), [True, False]),
        (value_set({"system": FAR}), [None, None]),
        (value_set(codes(FAR, "A") | {"valueSet": ["u:unheard-of"]}), [None, False]),
        (value_set(codes(FAR, "A"), {"valueSet": ["u:unheard-of"]}), [True, None]),
        (value_set(codes(FAR, "A"), exclude=[{"valueSet": ["u:unheard-of"]}]), [None, False]),
        (value_set(filtered(FAR, "regex", "A")), [None, None]),
        (value_set(codes(FAR, "A"), implicitRules="u:x"), [None, None]),
        (value_set(codes(FAR, "A"), version="2"), [True, False]),
        ({"resourceType": "ValueSet", "url": "u"}, [None, None]),
        (
            {"resourceType": "ValueSet", "url": "u", "expansion": {"contains": [{"system": FAR, "code": "A"}]}},
            [True, False],
        ),
        (
            {
                "resourceType": "ValueSet",
                "url": "u",
                "expansion": {"total": 2, "contains": [{"system": FAR, "code": "A"}]},
            },
            [True, None],
        ),
    ],
)
def test_what_is_stored_tells_what_it_can(resource: dict[str, Any], told: list[bool | None]) -> None:
    terminology, stored = terminology_of(), looked_up(resource | {"url": "u:asked"})
    assert [terminology.validate("u:asked", FAR, code, stored) for code in "AB"] == told
    assert [terminology.validate("u:asked", None, code, stored) for code in "AB"] == told


def test_a_version_that_is_not_stored_tells_nothing() -> None:
    stored = looked_up(value_set(codes(FAR, "A"), url="u:asked", version="2"))
    assert terminology_of().validate("u:asked|2", FAR, "A", stored) is True
    assert terminology_of().validate("u:asked|1", FAR, "A", lambda _: stored("u:asked")) is None


def test_the_content_of_a_stored_code_system_tells() -> None:
    stored = looked_up(code_system(FAR, {"code": "A", "concept": [{"code": "B"}]}, "C"))
    terminology = terminology_of(
        value_set(filtered(FAR, "is-a", "A"), url="u:below"), value_set({"system": FAR}, url="u:all")
    )
    for url, found in (("u:below", [True, True, False, False]), ("u:all", [True, True, True, False])):
        assert [terminology.validate(url, FAR, code, code_systems=stored) for code in "ABC?"] == found
        assert [terminology.validate(url, FAR, code) for code in "ABC?"] == [None] * 4


def test_every_value_set_of_r4_is_evaluated_or_refused_for_what_is_not_here(terminology: Terminology) -> None:
    """What is refused is of systems that this server does not ship, or chosen by a pattern."""
    refused = []
    for url in terminology.catalogue.value_sets:
        try:
            terminology.members(url)
        except NotExpandable as why:
            refused.append(str(why))
    assert len(refused) == 58
    reasons = ("is not known here", "in part only", "and not known here", "locked date")
    assert [why for why in refused if not any(reason in why for reason in reasons)] == []
