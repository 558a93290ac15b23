"""From the pairs of a URL to what is asked, and what is refused or left out by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.json import decode_object
from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.search.clause import Chained, Clause, Having, InValueSet, Listed
from fhir_server.search.predicate import (
    AnyOf,
    Compare,
    Field,
    Moment,
    Prefix,
    Span,
    any_of,
    matches,
    negate,
    one_of,
)
from fhir_server.search.query import (
    MAX_LENGTH,
    MAX_PARAMETERS,
    Include,
    Query,
    RecordNamed,
    SortField,
    SortKey,
    Total,
)
from fhir_server.search.subset import Kind, Subset, Summary
from tests.searching import BASE, TESTS, clauses, finds, read, refusal


def test_nothing_asked() -> None:
    assert read("Observation") == Query(
        types=("Observation",),
        clauses=(),
        names_resource=False,
        sort=(SortKey(SortField.ON, descending=True),),
        count=20,
        total=None,
        counts=False,
        subset=Subset.of(Summary.FALSE),
        includes=(),
        revincludes=(),
        page=None,
        used=(),
        issues=(),
    )


LETTER = decode_object((TESTS / "examples" / "DocumentReference-lettre.json").read_bytes())
PATIENT = decode_object((TESTS / "examples" / "Patient-helene.json").read_bytes())


@pytest.mark.parametrize(
    "pair",
    [
        "_id=lettre",
        "_id=autre,lettre",
        "status=current",
        "status=superseded,current",
        "status:not=superseded",
        "type=11490-0",
        "type=http://loinc.org|11490-0",
        "type=http://loinc.org|",
        "identifier=urn:uuid:0b6f2f0e-5a35-4f5f-9f0f-0c7cf3f1a001",
        "identifier=urn:ietf:rfc:3986|urn:oid:1.2.250.1.213.1.9.2.17",
        "patient=helene",
        "patient=Patient/helene",
        "patient:Patient=helene",
        f"patient={BASE}/Patient/helene",
        "subject=Patient/helene",
        "subject=helene",
        "subject=Group/1,Patient/helene",
        "subject:identifier=280057505600117",
        "author=hopital",
        "author=Organization/hopital",
        "author:Organization=hopital",
        "author:identifier=https://rpps.esante.gouv.fr|899900000026",
        "authenticator=https://annuaire.exemple.fr/fhir/Practitioner/42",
        "date=2026-03-02",
        "date=ge2026-03-02&date=lt2026-03-03",
        "date=2025,2026-03",
        "period=gt2027",
        "period-start=2026-02-24",
        "creation=2026-03-02",
        "description=Lettre de Liaison\\, CŒUR",
        "isArchived=false",
        "_profile=https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-simplified-publish",
        "_tag=https://exemple.fr/lots|lot-7",
        "security-label=MASQUE_PS",
        "relatesto=brouillon",
        "status:not=superseded,entered-in-error",
        "status=http://hl7.org/fhir/document-reference-status|current",
        "status=http://hl7.org/fhir/document-reference-status|",
        "status:missing=false",
        "period-end:missing=true",
        "type:text=lettre DE liaison",
        "type:text=Lettre de liaison a la sortie",
        "description:exact=Lettre de liaison,  cœur et œdème".replace(",", "\\,"),
        "description:contains=CŒUR",
        "_id:not=autre",
        "_id:missing=false",
        "_lastUpdated:missing=false",
        "_profile:below=https://interop.esante.gouv.fr/ig/fhir/pdsm",
        "_profile:below=https://interop.esante.gouv.fr/ig/fhir/pd",
        "_profile:above=https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-simplified-publish/x",
        "relationship=replaces$DocumentReference/brouillon",
        "subject:missing=false",
        "patient:missing=false",
    ],
)
def test_the_letter_is_found(pair: str) -> None:
    assert finds("DocumentReference", LETTER, *pair.split("&"))


@pytest.mark.parametrize(
    "pair",
    [
        "_id=autre",
        "status=CURRENT",
        "status:not=current",
        "status:not=superseded,current",
        "status=http://hl7.org/fhir/autre|current",
        "status=|current",
        "status:missing=true",
        "type:text=liaison",
        "type:not=11490-0",
        "description:exact=lettre de liaison\\,  cœur et œdème",
        "description:contains=coeurs",
        "_id:not=autre,lettre",
        "_id:missing=true",
        "_lastUpdated:missing=true",
        "_profile:below=https://interop.esante.gouv.fr/ig/fhir/pdz",
        "_profile:below=urn:oid",
        "relationship=appends$DocumentReference/brouillon",
        "relationship=replaces$DocumentReference/autre",
        "subject:missing=true",
        "type=|11490-0",
        "type=http://loinc.org|11490",
        "patient=helen",
        "patient=https://ailleurs.example/fhir/Patient/helene",
        "subject=Group/helene",
        "author=auteur",
        "author:Practitioner=hopital",
        "date=lt2026-03-02",
        "date=2026-03-02&date=2025",
        "description=liaison",
        "isArchived=true",
        "type:not=http://loinc.org|",
        '_id={"$ne": null}',
        'type={"$gt": ""}',
        "type=.*",
        "description=.*",
    ],
)
def test_the_letter_is_not_found(pair: str) -> None:
    assert not finds("DocumentReference", LETTER, *pair.split("&"))


@pytest.mark.parametrize(
    ("pair", "hit"),
    [
        ("family=d'alm", True),
        ("family=D’ALMEIDA", True),
        ("family=almeida", False),
        ("given=zoe", True),
        ("name=ze,zo", True),
        ("name=Cœur", True),
        ("address=saint-ét", True),
        ("address-postalcode=42", True),
        ("birthdate=1980", True),
        ("birthdate=1980-05", True),
        ("birthdate=1980-05-01", False),
        ("birthdate=gt1980-05-01", True),
        ("gender=female", True),
        ("deceased=false", True),
        ("deceased=true", False),
        ("telecom=email|Helene@exemple.fr", True),
        ("phone=Helene@exemple.fr", False),
        ("link=ancien", True),
        ("family:contains=ALMEID", True),
        ("family:contains=almeidas", False),
        ("given:exact=Zoé", True),
        ("given:exact=Zoe", False),
        ("phonetic=Dalmeyda", False),
        ("phonetic=Almeyda", True),
        ("phonetic=elen zo", True),
        ("phonetic=elen paul", False),
        ("gender:missing=false", True),
        ("death-date:missing=true", True),
        ("birthdate:missing=true", False),
        ("gender=http://hl7.org/fhir/administrative-gender|female", True),
        ("gender=http://hl7.org/fhir/administrative-gender|male", False),
        ("gender=http://hl7.org/fhir/administrative-gender|", True),
        ("gender=|female", False),
        ("identifier:not=IPP-0043", True),
        ("identifier:not=IPP-0043,IPP-0042", False),
    ],
)
def test_the_patient(pair: str, hit: bool) -> None:
    assert finds("Patient", PATIENT, pair) is hit


PRESSURE = decode_object((TESTS / "examples" / "Observation-tension.json").read_bytes())


@pytest.mark.parametrize(
    ("pair", "hit"),
    [
        ("component-value-quantity=118", True),
        ("component-value-quantity=118.0", True),
        ("component-value-quantity=118.4", False),
        ("component-value-quantity=gt117.9", True),
        ("component-value-quantity=118|http://unitsofmeasure.org|mm[Hg]", True),
        ("component-value-quantity=118||mm[Hg]", True),
        ("component-value-quantity=118||mmHg", True),
        ("component-value-quantity=118|http://unitsofmeasure.org|kPa", False),
        ("component-value-quantity=lt118", False),
        ("component-value-quantity=ap110", True),
        ("value-quantity=118", False),
        ("combo-value-quantity=118", True),
        ("component-code-value-quantity=http://loinc.org|8480-6$118", True),
        ("component-code-value-quantity=8480-6$ge118||mm[Hg]", True),
        ("component-code-value-quantity=http://loinc.org|8480-6$lt118", False),
        ("component-code-value-quantity=http://loinc.org|8462-4$118", False),  # the other component
        ("combo-code-value-quantity=8480-6$118", True),
        ("combo-code-value-quantity=85354-9$118", False),
        ("code-value-concept=85354-9$http://snomed.info/sct|2004005", True),
        ("code-value-concept=TA$2004005", True),
        ("code-value-concept=|TA$2004005", True),
        ("code-value-concept=8480-6$2004005", False),
        ("component-data-absent-reason:missing=false", True),
        ("component-value-concept:missing=true", True),
        ("code-value-quantity:missing=true", True),
        ("component-code-value-quantity:missing=false", True),
        ("value-concept:text=tension normale", True),
    ],
)
def test_the_blood_pressure(pair: str, hit: bool) -> None:
    assert finds("Observation", PRESSURE, pair) is hit


INS = "urn:oid:1.2.250.1.213.1.4.10"


@pytest.mark.parametrize(
    ("type", "pair", "expected"),
    [
        ("DocumentReference", "patient=1", RecordNamed(frozenset({"1"}))),
        ("DocumentReference", "patient=1,Patient/2", RecordNamed(frozenset({"1", "2"}))),
        ("DocumentReference", "subject=Patient/1", RecordNamed(frozenset({"1"}))),
        ("DocumentReference", "subject:Patient=1", RecordNamed(frozenset({"1"}))),
        ("DocumentReference", f"patient.identifier={INS}|2", RecordNamed(frozenset(), ((INS, "2"),))),
        ("DocumentReference", "patient:Patient.identifier=2", RecordNamed(frozenset(), ((None, "2"),))),
        ("DocumentReference", "subject.identifier=|2", RecordNamed(frozenset(), (("", "2"),))),
        ("DocumentReference", "subject:Patient.identifier=a,b", RecordNamed(frozenset(), ((None, "a"), (None, "b")))),
        ("Coverage", "beneficiary=1", RecordNamed(frozenset({"1"}))),
        ("Patient", "_id=1,2", RecordNamed(frozenset({"1", "2"}))),
        ("Patient", f"identifier={INS}|2", RecordNamed(frozenset(), ((INS, "2"),))),
        ("Patient", f"identifier={INS}|", Prefix(f"identifier={INS}|")),
        ("Patient", "identifier:not=2", negate(one_of(Field.TERMS, "identifier#2"))),
        ("Account", "patient=1", RecordNamed(frozenset({"1"}), several=True)),
        ("Group", "member=Patient/1", RecordNamed(frozenset({"1"}), several=True)),
        ("Appointment", f"patient.identifier={INS}|2", RecordNamed(frozenset(), ((INS, "2"),), several=True)),
        ("Provenance", "patient=1", RecordNamed(frozenset({"1"}), several=True)),
        ("AuditEvent", "patient=1", one_of(Field.TERMS, "patient=Patient/1")),
        ("DocumentReference", "patient._id=1", RecordNamed(frozenset({"1"}))),
        ("DocumentReference", "subject:Patient._id=1,2", RecordNamed(frozenset({"1", "2"}))),
        ("Account", "patient._id=1", RecordNamed(frozenset({"1"}), several=True)),
        ("Patient", "_id:not=1", negate(one_of(Field.ID, "Patient/1"))),
    ],
)
def test_the_record_is_named(type: str, pair: str, expected: Clause) -> None:
    assert clauses(type, pair) == (expected,)


def test_a_record_named_becomes_a_predicate() -> None:
    named = RecordNamed(frozenset({"1"}), ((INS, "2"), (None, "3")))
    assert named.predicate(["4"]) == one_of(Field.RECORD, "1", "4")
    assert RecordNamed(frozenset(), ((INS, "2"),)).predicate().__class__.__name__ == "Never"
    found = named.of_patient()
    assert matches(found, {"_id": "Patient/1"})
    assert matches(found, {"_id": "Patient/9", "ix": {"s": [f"identifier={INS}|2", "identifier#2"]}})
    assert matches(found, {"_id": "Patient/9", "ix": {"s": ["identifier#3"]}})
    assert not matches(found, {"_id": "Patient/9", "ix": {"s": ["identifier#2"]}})


def test_a_group_or_a_patient_is_no_record_named() -> None:
    (asked,) = clauses("DocumentReference", "subject=Patient/1,Group/2")
    assert asked == AnyOf((one_of(Field.RECORD, "1"), one_of(Field.TERMS, "subject=Group/2")))


def test_names_resource() -> None:
    assert read("DocumentReference", "_id=1").names_resource
    assert read("DocumentReference", "identifier=1").names_resource
    assert not read("DocumentReference", "identifier:not=1").names_resource
    assert not read("DocumentReference", "status=current").names_resource


def test_the_most_selective_condition_comes_first() -> None:
    """The database begins with the first term it is given."""
    asked = clauses(
        "DocumentReference", "status=current", "type=a", "date=2024", "author=Practitioner/1", "identifier=x"
    )
    assert asked == (
        one_of(Field.TERMS, "identifier#x"),
        one_of(Field.TERMS, "author=Practitioner/1"),
        Span("date", asked[2].tests) if isinstance(asked[2], Span) else None,
        one_of(Field.TERMS, "type#a"),
        one_of(Field.TERMS, "status#current"),
    )


def test_last_updated() -> None:
    (asked,) = clauses("Observation", "_lastUpdated=ge1970-01-02")
    assert asked == Compare(Moment.LAST_UPDATED, "ge", 86_400_000_000)


def test_several_types() -> None:
    query = read(None, "_type=Patient,Observation", "_id=1", "_tag=a")
    assert query.types == ("Patient", "Observation")
    assert query.clauses == (one_of(Field.ID, "Patient/1", "Observation/1"), one_of(Field.TERMS, "_tag#a"))
    assert query.used == (("_type", "Patient,Observation"), ("_id", "1"), ("_tag", "a"))
    assert read(None).types == load().resource_types
    shared = read(None, "_type=DocumentReference,Observation", "patient=1", "date=2024")
    assert shared.clauses[0] == RecordNamed(frozenset({"1"}))
    mixed = clauses(None, "_type=DocumentReference,Account,List", "patient=1")
    assert mixed == (RecordNamed(frozenset({"1"}), several=True),)
    assert RecordNamed(frozenset({"1"}), several=True).predicate(["2"]) == any_of(
        [one_of(Field.RECORD, "1", "2"), one_of(Field.ALSO, "1", "2")]
    )
    # Among other types the identifier of a Patient is a term like any other.
    assert clauses(None, "_type=Patient,Observation", "identifier=1") == (one_of(Field.TERMS, "identifier#1"),)


def test_system_search_refuses_what_some_types_do_not_have() -> None:
    assert "every type searched" in str(refusal(None, "_type=Patient,Observation", "birthdate=2024", strict=True))
    assert "'Patent'" in str(refusal(None, "_type=Patent"))
    assert "twice" in str(refusal(None, "_type=Patient", "_type=Observation"))
    refusal(None, "_type=Patient,")
    assert read("Patient", "_type=Patient", strict=False).issues[0].expression == ("http._type",)


def test_count() -> None:
    assert read("Patient", "_count=5").count == 5
    zero = read("Patient", "_count=0")
    assert (zero.count, zero.counts) == (0, True)
    capped = read("Patient", "_count=1000000000")
    assert capped.count == 100
    assert capped.used == (("_count", "100"),)
    assert [(issue.severity, issue.expression) for issue in capped.issues] == [(Severity.INFORMATION, ("http._count",))]
    for wrong in ("-1", "1.5", "x", "²", "1e3", " 1"):
        refusal("Patient", f"_count={wrong}")
    assert "twice" in str(refusal("Patient", "_count=1", "_count=2"))


def test_total_and_summary() -> None:
    query = read("Patient", "_total=accurate", "_summary=count")
    assert (query.total, query.counts, query.count) == (Total.ACCURATE, True, 0)
    refusal("Patient", "_total=exact")
    refusal("Patient", "_summary=all")
    assert read("Patient", "_summary=text").subset == Subset.of(Summary.TEXT)
    assert read("Patient", "_summary=true").subset == Subset.of(Summary.TRUE)
    assert read("Patient", "_summary=data", "_count=3").count == 3


def test_elements() -> None:
    query = read("Patient", "_elements=name,birthDate")
    assert query.subset == Subset(Kind.ELEMENTS, frozenset({"name", "birthDate"}), frozenset({"Patient"}))
    assert query.used == (("_elements", "name,birthDate"),)
    assert "give one of them" in str(refusal("Patient", "_elements=name", "_summary=true"))
    assert read("Patient", "_elements=name", "_summary=false").subset == read("Patient", "_elements=name").subset
    unknown = read("Patient", "_elements=name,nom", strict=False)
    assert "'nom' is no element of Patient" in str(unknown.issues[0].diagnostics)
    assert "'nom' is no element of Patient" in str(refusal("Patient", "_elements=name,nom", strict=True))
    assert "any type searched" in str(refusal(None, "_type=Patient,List", "_elements=nom", strict=True))


def test_a_summary_of_texts_includes_nothing() -> None:
    """https://hl7.org/fhir/R4/search.html#summary"""
    for include in ("_include=Patient:organization", "_revinclude=Provenance:target"):
        told = refusal("Patient", "_summary=text", include)
        assert "cannot be asked together" in str(told)
        assert told.issues[0].expression == ("http._summary",)


def test_includes() -> None:
    query = read(
        "DocumentReference",
        "_include=DocumentReference:author:Practitioner",
        "_include=DocumentReference:subject",
        "_revinclude=Provenance:target",
        "_revinclude=Provenance:target",
    )
    assert query.includes == (
        Include("DocumentReference", "author", "Practitioner"),
        Include("DocumentReference", "subject"),
    )
    assert query.revincludes == (Include("Provenance", "target"),)
    for wrong in (
        "_include=DocumentReference",
        "_include=DocumentReference:status",
        "_include=DocumentReference:nope",
        "_include=Document:author",
        "_include=DocumentReference:author:Location",
        "_include=Observation:subject",
        "_include=a:b:c:d",
        "_revinclude=Observation:device",
        "_revinclude=Provenance:target:Patient",
    ):
        refusal("DocumentReference", wrong)


def test_includes_of_everything_and_again() -> None:
    assert read("DocumentReference", "_include=*").includes == (Include("*", "*"),)
    assert read("DocumentReference", "_include=DocumentReference:*").includes == (Include("DocumentReference", "*"),)
    assert read("DocumentReference", "_revinclude=*").revincludes == (Include("*", "*"),)
    assert read("DocumentReference", "_revinclude=Provenance:*").revincludes == (Include("Provenance", "*"),)
    for modifier in ("iterate", "recurse"):
        again = read("DocumentReference", f"_include:{modifier}=PractitionerRole:organization:Organization")
        assert again.includes == (Include("PractitionerRole", "organization", "Organization", iterate=True),)
    back = read("Patient", "_revinclude:iterate=Observation:device", "_include:iterate=*")
    assert back.revincludes == (Include("Observation", "device", iterate=True),)
    assert back.includes == (Include("*", "*", iterate=True),)
    assert "it takes :iterate" in str(refusal("Patient", "_include:all=Patient:organization"))
    assert "List is not searched here" in str(refusal("Patient", "_include=List:item"))
    assert "does not point to Patient" in str(refusal("Patient", "_revinclude=Observation:device"))
    assert "'Foo' is not a resource type" in str(refusal("Patient", "_include=Patient:organization:Foo"))


def test_page_is_kept_apart() -> None:
    query = read("Patient", "family=x", "_page=abc")
    assert query.page == "abc"
    assert query.used == (("family", "x"),)


NOT_SUPPORTED = [
    "nope=1",
    "_text=a",
    "_content=a",
    "_contained=true",
    "_containedType=container",
    "_score=1",
    "_list=$current-problems",
    "$where=1",
]


@pytest.mark.parametrize("pair", NOT_SUPPORTED)
def test_what_is_not_supported_is_named_or_refused(pair: str) -> None:
    query = read("DocumentReference", "status=current", pair, strict=False)
    assert query.clauses == (one_of(Field.TERMS, "status#current"),)
    assert query.used == (("status", "current"),)
    (issue,) = query.issues
    code = pair.partition("=")[0].partition(":")[0].partition(".")[0]
    assert (issue.severity, issue.code, issue.expression) == (
        Severity.WARNING,
        IssueType.NOT_SUPPORTED,
        (f"http.{code}",),
    )
    assert refusal("DocumentReference", pair, strict=True).issues == (replace(issue, severity=Severity.ERROR),)


def test_a_parameter_without_an_expression_is_not_supported() -> None:
    """The standard says what an age is and not where it is found."""
    told = read("Patient", "age=3", strict=False).issues
    assert [(issue.code, issue.expression) for issue in told] == [(IssueType.NOT_SUPPORTED, ("http.age",))]
    assert "'age' (number) is not supported" in str(refusal("Patient", "age=3", strict=True))


def test_a_page_is_not_empty() -> None:
    assert "The value is empty" in str(refusal("Patient", "_page="))


def test_a_parameter_has_at_most_so_many_values() -> None:
    assert len(clauses("Patient", "gender=" + ",".join(["a"] * 200))) == 1
    assert "There are 201 values" in str(refusal("Patient", "gender=" + ",".join(["a"] * 201)))


@pytest.mark.parametrize(("type", "pair"), [("Location", "near=48|2|10|km"), ("Patient", "_query=a")])
def test_what_would_change_the_whole_question_is_never_left_out(type: str, pair: str) -> None:
    """Without it the answer would be everything there is."""
    for strict in (True, False):
        (issue,) = refusal(type, pair, strict=strict).issues
        assert (issue.severity, issue.code) == (Severity.ERROR, IssueType.NOT_SUPPORTED)


def test_contained_resources_are_never_searched() -> None:
    assert read("Patient", "_contained=false").used == (("_contained", "false"),)


NOW_SUPPORTED: list[tuple[str, str, type[object]]] = [
    ("Observation", "value-quantity=3", Span),
    ("Observation", "code-value-quantity=a$3", Span),
    ("RiskAssessment", "probability=3", Span),
    ("DocumentReference", "_has:Provenance:target:agent=Practitioner/1", Having),
    ("DocumentReference", "_list=a", Listed),
    ("DocumentReference", "subject.name=a", Chained),
    ("DocumentReference", "subject:Patient.name=a", Chained),
    ("DocumentReference", "author.identifier=a", Chained),
    ("DocumentReference", "author:Practitioner.identifier=a", Chained),
    ("DocumentReference", "status:in=x", InValueSet),
]


@pytest.mark.parametrize(("type", "pair", "kind"), NOW_SUPPORTED)
def test_what_used_to_be_not_supported_is_asked(type: str, pair: str, kind: type[object]) -> None:
    query = read(type, pair, strict=True)
    assert [one.__class__ for one in query.clauses] == [kind]
    assert query.issues == ()
    assert "=".join(query.used[0]) == pair


@pytest.mark.parametrize(
    "pair",
    [
        "date=hier",
        "date=zz2024",
        "date=2024-02-30",
        "date=2024,",
        "patient=Practitioner/1",
        "patient=a b",
        "patient=Patient/1/_history/2",
        "patient:Group=1",
        "patient:exact=1",
        "patient=,",
        "status=a,,b",
        "_id:not=,",
        "_list=,",
        "subject.identifier=,",
        r"status=a\b",
        "description=a\\",
        "status=|",
        "status=a|b|c",
        "status:missing=yes",
        "status:exact=x",
        "status:contains=x",
        "status:below=http://hl7.org/fhir/document-reference-status|",
        "status:of-type=a|b|c",
        "identifier:of-type=a|b",
        "identifier:of-type=a||c",
        "identifier:text=\u0301",
        "description:exact=\u0301",
        "description:contains=\u0301",
        "description:not=x",
        "description:text=x",
        "description=\u0301",
        "date:not=2024",
        "_id:exact=1",
        "_id:missing=x",
        "_id=a,",
        "_profile:exact=x",
        "_profile:below=https://" + "é" * 100,
        "_list=a/b",
        "_list:not=a",
        "status.x=1",
        "patient.identifier.value=a",
        "patient.nope=a",
        "patient.=a",
        "patient:Group.name=a",
        "patient:Nope.name=a",
        "patient._id=a b",
        "_has=a",
        "_has:Provenance:target=a",
        "_has:Provenance::agent=a",
        "_has:Nope:target:agent=a",
        "_has:Provenance:nope:agent=a",
        "_has:Provenance:recorded:agent=a",
        "_has:Provenance:target:nope=a",
        "_has:Observation:patient:code=1",
        "_has:AuditEvent:entity:type=1",
        "relationship=replaces",
        "relationship=replaces$Patient/1",
        "relationship=replaces$DocumentReference/1$b",
        "relationship=http://x|$DocumentReference/1",
        "relationship:not=replaces$DocumentReference/1",
        "_lastUpdated=x",
        "patient.identifier=x|",
        "status=a\x00b",
        "sta\x00tus=a",
        "status=\ud800",
        "=a",
        "status=" + "a" * (MAX_LENGTH + 1),
        "status=" + ",".join(["a"] * 201),
        "description=" + "a" * 201,
    ],
)
def test_what_means_nothing_is_always_refused(pair: str) -> None:
    """Whatever the client prefers: the answer would be to another question."""
    for strict in (True, False):
        for issue in refusal("DocumentReference", pair, strict=strict).issues:
            assert issue.severity is Severity.ERROR
            assert issue.diagnostics


@pytest.mark.parametrize(
    "name", ["patient", "status:not", "_id", "_list", "subject.identifier", "nope", "_sort", "_type"]
)
def test_a_parameter_without_a_value_asks_nothing_and_is_named(name: str) -> None:
    for strict in (True, False):
        query = read("DocumentReference", "status=current", f"{name}=", strict=strict)
        assert query.clauses == (one_of(Field.TERMS, "status#current"),)
        assert query.used == (("status", "current"),)
        (issue,) = query.issues
        code = name.partition(":")[0].partition(".")[0]
        assert (issue.severity, issue.expression) == (Severity.INFORMATION, (f"http.{code}",))
        assert "the parameter was left out" in str(issue.diagnostics)


def test_every_issue_is_told_at_once() -> None:
    refused = refusal("DocumentReference", "date=hier", "nope=1", "_count=x", strict=True)
    assert [issue.expression for issue in refused.issues] == [("http.date",), ("http._count",), ("http.nope",)]


def test_too_many_parameters() -> None:
    assert len(read("Patient", *["active=true"] * MAX_PARAMETERS).used) == MAX_PARAMETERS
    refusal("Patient", *["active=true"] * (MAX_PARAMETERS + 1))
