"""What is written is found, what is read round-trips, and nothing a client writes breaks the reader."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.date import MAX, MIN, Interval
from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import JsonObject
from fhir_server.search.predicate import Predicate, matches
from fhir_server.search.query import parse
from fhir_server.search.types import date, string
from fhir_server.search.types.ordered import Relation, Wanted
from fhir_server.search.values import escape, split, unescape
from tests.searching import BASE, CONTEXT, PARAMETERS, found

# What a FHIR string may hold, and a query carry.
texts = st.text(
    st.one_of(st.sampled_from("aéÉœ’'|,$\\#=: \"{."), st.characters(exclude_categories=["Cs", "Cc"])),
    min_size=1,
    max_size=30,
)
words = texts.filter(lambda text: bool(string.fold(text)))
ids = st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True)


@given(system=texts, code=texts, other=texts)
def test_a_coding_is_found_by_its_system_and_code(system: str, code: str, other: str) -> None:
    resource: JsonObject = {"code": {"coding": [{"system": system, "code": code}]}}
    assert found("Observation", resource, ("code", escape(code)))
    assert found("Observation", resource, ("code", f"{escape(system)}|{escape(code)}"))
    assert found("Observation", resource, ("code", f"{escape(system)}|"))
    assert not found("Observation", resource, ("code", f"|{escape(code)}"))
    assert not found("Observation", resource, ("code:not", escape(code)))
    assert found("Observation", resource, ("code", escape(other))) is (other == code)
    assert found("Observation", resource, ("code", f"{escape(other)}|{escape(code)}")) is (other == system)
    assert found("Observation", resource, ("code", f"{escape(other)}|")) is (other == system)


@given(code=texts, systems=st.lists(texts, min_size=2, max_size=2, unique=True))
def test_a_code_of_one_system_is_not_that_of_another(code: str, systems: list[str]) -> None:
    resource: JsonObject = {
        "code": {"coding": [{"system": systems[0], "code": code}, {"system": systems[1], "code": code + "x"}]}
    }
    assert not found("Observation", resource, ("code", f"{escape(systems[1])}|{escape(code)}"))


@given(value=texts)
def test_an_identifier_is_found(value: str) -> None:
    resource: JsonObject = {"identifier": [{"value": value}]}
    assert found("Observation", resource, ("identifier", f"|{escape(value)}"))
    assert found("Observation", resource, ("identifier", escape(value)))


@given(text=words, data=st.data())
def test_a_text_is_found_by_its_beginning(text: str, data: st.DataObject) -> None:
    resource: JsonObject = {"name": [{"family": text}]}
    assert found("Patient", resource, ("family", escape(text)))
    assert found("Patient", resource, ("name", escape(text.upper()))) or string.fold(text.upper()) != string.fold(text)
    folded = string.fold(text)
    beginning = folded[: data.draw(st.integers(1, len(folded)))]
    if string.fold(beginning) == beginning:
        assert found("Patient", resource, ("family", escape(beginning)))
    assert not found("Patient", resource, ("family", escape("x" + text)))


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_folding_is_done_once(text: str) -> None:
    assert string.fold(string.fold(text)) == string.fold(text)


@given(id=ids, version=st.sampled_from(["", "/_history/3"]), base=st.sampled_from(["", BASE + "/"]))
def test_a_reference_is_found_in_each_of_its_forms(id: str, version: str, base: str) -> None:
    resource: JsonObject = {
        "author": [{"reference": f"{base}Organization/{id}{version}"}],
        "subject": {"reference": f"{base}Patient/{id}{version}"},
    }
    for form in (id, f"Organization/{id}", f"{BASE}/Organization/{id}"):
        assert found("DocumentReference", resource, ("author", form))
    assert found("DocumentReference", resource, ("author:Organization", id))
    assert not found("DocumentReference", resource, ("author:Practitioner", id))
    assert not found("DocumentReference", resource, ("author", id + "x" if len(id) < 64 else "x"))
    for name in ("patient", "subject"):
        assert found("DocumentReference", resource, (name, f"Patient/{id}"), record=id)
        assert not found("DocumentReference", resource, (name, f"Patient/{id}"), record="another-" + id)


@given(uri=texts, other=texts)
def test_a_uri_is_found(uri: str, other: str) -> None:
    resource: JsonObject = {"instantiatesUri": [uri]}
    assert found("CarePlan", resource, ("instantiates-uri", escape(uri)))
    assert found("CarePlan", resource, ("instantiates-uri", escape(other))) is (other == uri)


@given(path=texts, version=texts)
def test_a_url_is_found_with_its_version_and_without(path: str, version: str) -> None:
    url = f"https://exemple.fr/{path.replace('|', '')}"
    resource: JsonObject = {"url": url, "version": version}
    assert found("ValueSet", resource, ("url", escape(url)))
    assert found("ValueSet", resource, ("url", f"{escape(url)}|{escape(version)}"))
    assert not found("ValueSet", resource, ("url", f"{escape(url)}|{escape(version)}x"))


# A small calendar, so that intervals meet, touch and contain one another.
points = st.integers(0, 6)
small = st.tuples(points, points).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: Interval(*ends))
open_ended = st.one_of(
    small, st.builds(Interval, st.just(MIN), st.integers(1, 6)), st.builds(Interval, points, st.just(MAX))
)


def brute_force(relation: Relation, query: Interval, value: Interval) -> bool:
    """The standard's words, instant by instant."""
    instants = range(-1, 8)
    query_holds = {instant for instant in instants if query.low <= instant < query.high}
    value_holds = {instant for instant in instants if value.low <= instant < value.high}
    above = {instant for instant in instants if instant >= query.high}
    below = {instant for instant in instants if instant < query.low}
    match relation:
        case Relation.EQ:
            return value_holds <= query_holds
        case Relation.NE:
            return not value_holds <= query_holds
        case Relation.GT:
            return bool(above & value_holds)
        case Relation.LT:
            return bool(below & value_holds)
        case Relation.GE:
            return bool(above & value_holds) or value_holds <= query_holds
        case Relation.LE:
            return bool(below & value_holds) or value_holds <= query_holds
        case Relation.SA:
            return value_holds <= above
        case Relation.EB:
            return value_holds <= below
        case Relation.AP:
            return bool(query_holds & value_holds)


@given(relation=st.sampled_from(Relation), query=small, values=st.lists(open_ended, max_size=3))
def test_prefixes_are_the_words_of_the_standard(relation: Relation, query: Interval, values: list[Interval]) -> None:
    """Of several values one must satisfy all."""
    entry = {"ix": {"r": [{"p": "d", "lo": value.low, "hi": value.high} for value in values]}}
    asked: Predicate = date.predicate("d", [Wanted(relation, query.low, query.high)])
    assert matches(asked, entry) is any(brute_force(relation, query, value) for value in values)


@given(relation=st.sampled_from(Relation), query=small, at=points, stray=st.integers(0, 999))
def test_last_updated_is_a_date_of_one_millisecond(relation: Relation, query: Interval, at: int, stray: int) -> None:
    asked = date.last_updated([Wanted(relation, query.low * 1000, query.high * 1000)])
    assert matches(asked, {"at": at * 1000 + stray}) is brute_force(relation, query, Interval(at, at + 1))


@given(relation=st.sampled_from(Relation), low=st.integers(0, 3000), length=st.integers(1, 3000), at=points)
def test_last_updated_of_a_finer_query(relation: Relation, low: int, length: int, at: int) -> None:
    """The same spans as any other date, for a query of microseconds too."""
    wanted = [Wanted(relation, low, low + length)]
    as_date = {"ix": {"r": [{"p": "d", "lo": at * 1000, "hi": at * 1000 + 1000}]}}
    assert matches(date.last_updated(wanted), {"at": at * 1000}) is matches(date.predicate("d", wanted), as_date)


@given(st.lists(texts, min_size=1, max_size=4))
def test_escapes_round_trip(parts: list[str]) -> None:
    for separator in ",|$":
        joined = separator.join(escape(part) for part in parts)
        assert [unescape(part) for part in split(joined, separator)] == parts


names = st.one_of(
    st.sampled_from(
        [
            f"{code}{suffix}"
            for code in (
                "date",
                "status",
                "patient",
                "_id",
                "_sort",
                "_count",
                "_include",
                "_has",
                "identifier",
                "_lastUpdated",
                "description",
            )
            for suffix in ("", ":not", ".identifier", ":Patient", ":")
        ]
    ),
    st.text(max_size=10),
)
values = st.one_of(
    st.text(max_size=20),
    texts,
    st.sampled_from(
        [
            "ge2024",
            "eq",
            "2024-02-30",
            "-date",
            "a|b|c",
            "|",
            ",",
            "\\",
            "Patient/1",
            "9" * 4096,
            "DocumentReference:author:",
            "$ne",
            "\ud800",
        ]
    ),
)


@given(
    type=st.sampled_from(["DocumentReference", "Patient", "Observation", "Bundle", None]),
    pairs=st.lists(st.tuples(names, values), max_size=4),
    strict=st.booleans(),
)
def test_any_text_is_read_or_refused(type: str | None, pairs: list[tuple[str, str]], strict: bool) -> None:
    """And each pair is used, told, or part of the refusal."""
    if type is None:
        pairs = [("_type", "Patient,List,AuditEvent"), *pairs]
    refused: FhirError | None = None
    try:
        query = parse(type, pairs, strict=strict, context=CONTEXT)
    except FhirError as error:
        refused = error
    if refused is not None:
        assert all(issue.diagnostics for issue in refused.issues)
    else:
        pages = sum(name == "_page" for name, _ in pairs)
        told = sum(issue.code == "not-supported" for issue in query.issues)
        empty = sum(not value for _, value in pairs)
        assert len(query.used) + told + pages + empty == len(pairs)


jsons = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just("2024-05-02"), st.just("Patient/1")
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "coding",
                    "system",
                    "code",
                    "value",
                    "reference",
                    "identifier",
                    "start",
                    "event",
                    "repeat",
                    "family",
                    "url",
                    "attachment",
                    "period",
                    "id",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "meta",
                "identifier",
                "subject",
                "type",
                "date",
                "author",
                "content",
                "context",
                "extension",
                "relatesTo",
                "status",
            ]
        ),
        jsons,
        max_size=5,
    )
)
def test_indexing_never_breaks(resource: JsonObject) -> None:
    """Old entries are indexed anew whatever they hold; terms are sorted, each once, and of a bounded length."""
    index = PARAMETERS.index("DocumentReference", resource)
    assert index.terms == sorted(set(index.terms))
    assert all(element["lo"] < element["hi"] for element in index.ranges)
    assert index == PARAMETERS.index("DocumentReference", resource)
