"""The keys of `_sort`: what a list may be ordered by, and what not."""

from __future__ import annotations

import pytest

from fhir_server.fhir.outcome import IssueType, Severity
from fhir_server.search.query import SortField, SortKey
from fhir_server.search.sorting import OfIntervals, OfTerms
from tests.searching import read, refusal

ID, UPDATED, NEWEST, OLDEST = (
    SortKey(SortField.ID, descending=False, code="_id"),
    SortKey(SortField.LAST_UPDATED, descending=True, code="_lastUpdated"),
    SortKey(SortField.ON, descending=True, code="date"),
    SortKey(SortField.ON, descending=False, code="date"),
)
STATUS = SortKey(OfTerms("status#"), descending=False, code="status")


@pytest.mark.parametrize(
    ("raw", "keys"),
    [
        ("_id", (ID,)),
        ("-_lastUpdated", (UPDATED,)),
        ("date", (OLDEST,)),
        ("-date", (NEWEST,)),
        ("-date,_id", (NEWEST, ID)),
        ("_id,-date", (ID,)),  # no two have the same id: what follows decides nothing
        ("-date,date", (NEWEST,)),
        ("status", (STATUS,)),
        ("date,status", (OLDEST, STATUS)),
        (" -date , status ", (NEWEST, STATUS)),
        ("-type", (SortKey(OfTerms("type#"), descending=True, code="type"),)),
        ("description", (SortKey(OfTerms("description="), descending=False, code="description"),)),
        ("-period", (SortKey(OfIntervals("period"), descending=True, code="period"),)),
        ("author", (SortKey(OfTerms("author=", points=True), descending=False, code="author"),)),
        ("subject", (SortKey(OfTerms("subject=", of_record=True, points=True), descending=False, code="subject"),)),
    ],
)
def test_sort(raw: str, keys: tuple[SortKey, ...]) -> None:
    assert read("DocumentReference", f"_sort={raw}").sort == keys


@pytest.mark.parametrize(
    ("type", "code", "source"),
    [
        ("Observation", "value-quantity", OfIntervals("value-quantity")),
        ("RiskAssessment", "probability", OfIntervals("probability")),
        ("ValueSet", "url", OfTerms("url=", points=True)),
        ("Patient", "family", OfTerms("family=")),
        ("Patient", "birthdate", SortField.ON),
        ("Patient", "death-date", OfIntervals("death-date")),
    ],
)
def test_sort_by_each_type_of_parameter(type: str, code: str, source: object) -> None:
    assert read(type, f"_sort={code}").sort[0].source == source


@pytest.mark.parametrize(
    ("type", "raw", "told"),
    [
        ("DocumentReference", "nope", "'nope' is not a search parameter of DocumentReference"),
        ("DocumentReference", "_score", "matches have no score"),
        ("DocumentReference", "relationship", "'relationship' (composite) is not supported"),
        ("DocumentReference", "subject:Patient.name", "without a modifier"),
        ("DocumentReference", "subject.name", "without a modifier"),
        ("DocumentReference", "_text", "'_text' (string) is not supported"),
        ("Patient", "phonetic", "'phonetic' (string) is not supported"),
        ("Location", "near", "'near' (special) is not supported"),
        (None, "birthdate", "is not a search parameter of any type searched"),
        (None, "subject", "do not mean the same by 'subject'"),
    ],
)
def test_an_order_that_is_not_supported_is_named_or_refused(type: str | None, raw: str, told: str) -> None:
    pairs = [f"_sort={raw}"] if type else ["_type=DocumentReference,Account", f"_sort={raw}"]
    assert told in str(refusal(type, *pairs, strict=True))
    kept = read(type, *pairs, strict=False)
    assert kept.sort == (SortKey(SortField.ON, descending=True),)
    assert [(issue.severity, issue.code) for issue in kept.issues] == [(Severity.WARNING, IssueType.NOT_SUPPORTED)]


def test_an_order_that_means_nothing_is_refused() -> None:
    for raw in ("-", "date,", ",date", "date,-", "date,status,type,category,_lastUpdated,description"):
        assert refusal("DocumentReference", f"_sort={raw}", strict=False)
    assert "this server takes 5" in str(refusal("Patient", "_sort=a,b,c,d,e,f"))
    assert "takes none" in str(refusal("Patient", "_sort:asc=_id"))


def test_several_types_are_sorted_by_what_they_have_in_common() -> None:
    assert read(None, "_type=Observation,DocumentReference", "_sort=date").sort[0].source is SortField.ON
    mixed = read(None, "_type=Observation,Condition", "_sort=status", strict=True)
    assert mixed.sort == (STATUS,), "what does not know it has no value of it"
    assert read(None, "_type=Patient,Practitioner", "_sort=family").sort[0].source == OfTerms("family=")
    assert read(None, "_type=Observation,Patient", "_sort=date").sort[0].source == OfIntervals("date")


def test_sort_may_repeat_for_further_keys() -> None:
    assert read("DocumentReference", "_sort=status", "_sort=-date").sort == (STATUS, NEWEST)
