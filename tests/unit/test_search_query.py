"""From the pairs of a URL to what is asked, and what is refused or left out by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.profiles import read_search_parameters
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import JsonObject, decode_object
from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.record.elements import SEARCHED
from fhir_server.search.parameters import Parameters
from fhir_server.search.predicate import (
    AnyOf,
    Compare,
    Field,
    Moment,
    Predicate,
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
    Context,
    Include,
    Query,
    RecordNamed,
    SortField,
    SortKey,
    Summary,
    Total,
    parse,
)
from fhir_server.search.sort_dates import SORT_DATES

TESTS = Path(__file__).parents[1]
BASE = "https://serveur.example/fhir"
OWN = read_search_parameters(TESTS.parent / "profiles" / "SearchParameter")
PARAMETERS = Parameters(load(), SEARCHED, OWN, sort_dates=SORT_DATES, base_url=BASE)
CONTEXT = Context(now=datetime(2026, 11, 22, tzinfo=UTC), base_url=BASE, max_count=100, default_count=20)


def read(type: str | None, *pairs: str, strict: bool = True) -> Query:
    """The query of `name=value` texts."""
    taken = [(name, value) for name, _, value in (pair.partition("=") for pair in pairs)]
    return parse(PARAMETERS, type, taken, strict=strict, context=CONTEXT)


def clauses(type: str | None, *pairs: str) -> tuple[Predicate | RecordNamed, ...]:
    return read(type, *pairs).clauses


def refusal(type: str | None, *pairs: str, strict: bool = False) -> Invalid:
    with pytest.raises(Invalid) as refused:
        read(type, *pairs, strict=strict)
    return refused.value


def finds(type: str, resource: JsonObject, *pairs: str) -> bool:
    """Whether the entry of a resource is found by every clause."""
    index = PARAMETERS.index(type, resource)
    subject = resource.get("subject")
    named = str(subject.get("reference", "")) if isinstance(subject, dict) else ""
    entry: dict[str, Any] = {
        "_id": f"{type}/{resource['id']}",
        "rt": type,
        "at": 0,
        "on": index.on,
        "record": named.removeprefix("Patient/") if named.startswith("Patient/") else None,
        "ix": {"s": index.terms, "r": index.ranges},
    }
    asked = [one.predicate() if isinstance(one, RecordNamed) else one for one in clauses(type, *pairs)]
    return all(matches(one, entry) for one in asked)


def test_nothing_asked() -> None:
    assert read("Observation") == Query(
        types=("Observation",),
        clauses=(),
        names_resource=False,
        sort=(SortKey(SortField.ON, descending=True),),
        count=20,
        total=None,
        summary=Summary.FALSE,
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
        "status=http://hl7.org/fhir/document-reference-status|current",
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
    ],
)
def test_the_patient(pair: str, hit: bool) -> None:
    assert finds("Patient", PATIENT, pair) is hit


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
    ],
)
def test_the_record_is_named(type: str, pair: str, expected: Predicate | RecordNamed) -> None:
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


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        ("_id", SortKey(SortField.ID, descending=False)),
        ("-_lastUpdated", SortKey(SortField.LAST_UPDATED, descending=True)),
        ("date", SortKey(SortField.ON, descending=False)),
        ("-date", SortKey(SortField.ON, descending=True)),
        ("-date,_id", SortKey(SortField.ON, descending=True)),
    ],
)
def test_sort(raw: str, key: SortKey) -> None:
    assert read("DocumentReference", f"_sort={raw}").sort == (key,)


def test_sort_refused() -> None:
    assert "_lastUpdated, date" in str(refusal("DocumentReference", "_sort=status", strict=True))
    assert "several keys" in str(refusal("DocumentReference", "_sort=date,status", strict=True))
    refusal("DocumentReference", "_sort=-")
    assert read("DocumentReference", "_sort=status", strict=False).sort == (SortKey(SortField.ON, descending=True),)
    refusal(None, "_type=Observation,Condition", "_sort=date", strict=True)
    assert read(None, "_type=Observation,DocumentReference", "_sort=date").sort[0].field is SortField.ON


def test_count() -> None:
    assert read("Patient", "_count=5").count == 5
    zero = read("Patient", "_count=0")
    assert (zero.count, zero.summary) == (0, Summary.COUNT)
    capped = read("Patient", "_count=1000000000")
    assert capped.count == 100
    assert capped.used == (("_count", "100"),)
    assert [(issue.severity, issue.expression) for issue in capped.issues] == [(Severity.INFORMATION, ("http._count",))]
    for wrong in ("-1", "1.5", "x", "²", "1e3", " 1"):
        refusal("Patient", f"_count={wrong}")
    assert "twice" in str(refusal("Patient", "_count=1", "_count=2"))


def test_total_and_summary() -> None:
    query = read("Patient", "_total=accurate", "_summary=count")
    assert (query.total, query.summary, query.count) == (Total.ACCURATE, Summary.COUNT, 0)
    refusal("Patient", "_total=exact")
    refusal("Patient", "_summary=all")
    assert refusal("Patient", "_summary=text", strict=True).issues[0].code is IssueType.NOT_SUPPORTED
    assert read("Patient", "_summary=text", strict=False).summary is Summary.FALSE


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
        "_include:iterate=DocumentReference:author",
        "_revinclude=Observation:device",
        "_revinclude=Provenance:target:Patient",
    ):
        refusal("DocumentReference", wrong)
    refusal("DocumentReference", "_include=*", strict=True)
    refusal("DocumentReference", "_revinclude=Provenance:*", strict=True)


def test_page_is_kept_apart() -> None:
    query = read("Patient", "family=x", "_page=abc")
    assert query.page == "abc"
    assert query.used == (("family", "x"),)


NOT_SUPPORTED = [
    "nope=1",
    "_has:Observation:patient:code=1",
    "_filter=a eq b",
    "_text=a",
    "_content=a",
    "_query=a",
    "_list=a",
    "_contained=true",
    "_elements=id",
    "subject.name=a",
    "subject:Patient.name=a",
    "patient.identifier.value=a",
    "author.identifier=a",
    "author:Practitioner.identifier=a",
    "status.x=1",
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


@pytest.mark.parametrize(
    ("type", "pair"),
    [
        ("Observation", "value-quantity=3"),
        ("Observation", "code-value-quantity=a$3"),
        ("RiskAssessment", "probability=3"),
        ("Patient", "phonetic=x"),
        ("Location", "near=1|2"),
    ],
)
def test_types_not_supported(type: str, pair: str) -> None:
    assert read(type, pair, strict=False).issues[0].code is IssueType.NOT_SUPPORTED
    refusal(type, pair, strict=True)


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
        "patient=",
        "patient=,",
        "status=",
        "status=|",
        "status=a|b|c",
        "status:in=x",
        "status:missing=true",
        "description:exact=x",
        "description=\u0301",
        "date:not=2024",
        "_id:not=1",
        "_id=a,",
        "_profile:below=x",
        "_lastUpdated=x",
        "patient.identifier=x|",
        "subject.identifier=",
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


def test_every_issue_is_told_at_once() -> None:
    refused = refusal("DocumentReference", "date=hier", "nope=1", "_count=x", strict=True)
    assert [issue.expression for issue in refused.issues] == [("http.date",), ("http._count",), ("http.nope",)]


def test_too_many_parameters() -> None:
    assert len(read("Patient", *["active=true"] * MAX_PARAMETERS).used) == MAX_PARAMETERS
    refusal("Patient", *["active=true"] * (MAX_PARAMETERS + 1))
