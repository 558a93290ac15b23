"""What is written is found, what is read round-trips, and nothing a client writes breaks the reader."""

from __future__ import annotations

import operator
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.date import MAX, MIN, Interval
from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import JsonObject
from fhir_server.search.predicate import Predicate, matches
from fhir_server.search.query import parse
from fhir_server.search.types import date, phonetic, string
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


# Every modifier finds what is there, and tells it from what is nearly there.


@given(text=words, other=words)
def test_a_text_is_found_by_itself_alone_when_it_is_asked_exactly(text: str, other: str) -> None:
    resource: JsonObject = {"name": [{"family": text}]}
    assert found("Patient", resource, ("family:exact", escape(text)))
    assert found("Patient", resource, ("name:exact", escape(other))) is (other == text)


long_texts = st.builds(
    lambda again, times, end: again * times + end,
    st.text(st.sampled_from("abé "), min_size=1, max_size=12),
    st.integers(1, 40),
    st.text(st.sampled_from("abcé "), max_size=25),
).filter(lambda text: bool(string.fold(text)))


def part_of(data: st.DataObject, text: str) -> str:
    """Some of a folded text, at most what may be asked."""
    start = data.draw(st.integers(0, len(text) - 1) | st.just(max(0, len(text) - string.TAIL)))
    return string.fold(text[start : start + data.draw(st.integers(1, 3 * string.TAIL))])


@given(text=long_texts, other=words, data=st.data())
def test_what_holds_a_text_is_found_by_tails_as_by_looking(text: str, other: str, data: st.DataObject) -> None:
    """A Patient carries tails, a DocumentReference is looked at: both are what a text in memory says."""
    folded = string.fold(text)
    asked = data.draw(st.just(part_of(data, folded)) | st.just(string.fold(other))) or "a"
    holds = asked in folded
    assert found("Patient", {"name": [{"family": text}]}, ("family:contains", escape(asked))) is holds
    assert found("DocumentReference", {"description": text}, ("description:contains", escape(asked))) is holds
    assert found("Patient", {"name": [{"family": text}]}, ("family", escape(asked))) is folded[:200].startswith(asked)


@given(display=words, text=words)
def test_a_code_is_found_by_what_it_is_called(display: str, text: str) -> None:
    resource: JsonObject = {"code": {"coding": [{"code": "c", "display": display}], "text": text}}
    for called in (display, text):
        assert found("Observation", resource, ("code:text", escape(called)))
        assert found("Observation", resource, ("code:text", escape(string.fold(called)[:1])))
    begins = any(string.fold(called).startswith(string.fold(text + "z")) for called in (display, text))
    assert found("Observation", resource, ("code:text", escape(text + "z"))) is begins


@given(type=st.tuples(texts, texts), value=texts, other=texts)
def test_an_identifier_is_found_by_its_type(type: tuple[str, str], value: str, other: str) -> None:
    coding: JsonObject = {"system": type[0], "code": type[1]}
    resource: JsonObject = {"identifier": [{"type": {"coding": [coding]}, "value": value}, {"value": other}]}
    asked = [escape(part) for part in (*type, value)]
    assert found("Observation", resource, ("identifier:of-type", "|".join(asked)))
    for at in range(3):
        nearly = [f"{part}x" if at == place else part for place, part in enumerate(asked)]
        assert not found("Observation", resource, ("identifier:of-type", "|".join(nearly)))
    assert found("Observation", resource, ("identifier:of-type", f"{asked[0]}|{asked[1]}|{escape(other)}")) is (
        other == value
    )


@given(asked=st.lists(texts, min_size=1, max_size=3), held=st.lists(texts, max_size=3))
def test_not_of_several_values_is_what_has_none_of_them(asked: list[str], held: list[str]) -> None:
    """https://hl7.org/fhir/R4/search.html#combining: not what lacks one of them."""
    resource: JsonObject = {"code": {"coding": [{"code": code} for code in held]}}
    told = ",".join(escape(code) for code in asked)
    assert found("Observation", resource, ("code:not", told)) is not bool(set(asked) & set(held))
    assert found("Observation", resource, ("code", told)) is bool(set(asked) & set(held))


@given(held=st.booleans(), value=texts)
def test_missing_is_the_other_half(held: bool, value: str) -> None:
    resource: JsonObject = {"identifier": [{"value": value}]} if held else {}
    assert found("Observation", resource, ("identifier:missing", "false")) is held
    assert found("Observation", resource, ("identifier:missing", "true")) is not held


urls = st.lists(st.sampled_from(["a", "b", "ValueSet", "é"]), min_size=1, max_size=4).map(
    lambda parts: f"https://exemple.fr/{'/'.join(parts)}"
)


@given(url=urls, other=urls, end=st.sampled_from(["", "/"]))
def test_what_lies_under_a_url_begins_with_it(url: str, other: str, end: str) -> None:
    resource: JsonObject = {"instantiatesUri": [url]}
    assert found("CarePlan", resource, ("instantiates-uri:below", other + end)) is url.startswith(other + end)
    assert found("CarePlan", resource, ("instantiates-uri:above", other + end)) is (other + end).startswith(url)
    assert found("CarePlan", resource, ("instantiates-uri:below", url))
    assert found("CarePlan", resource, ("instantiates-uri:above", url))


names_as_written = st.lists(
    st.sampled_from(["Marie", "Dupont", "Dupond", "Lefèvre", "d'Almeida", "Zoé", "Marceau", "Charlotte", "Philippe"]),
    min_size=1,
    max_size=3,
)


@given(written=names_as_written, other=names_as_written)
def test_a_name_is_heard_by_each_of_its_words(written: list[str], other: list[str]) -> None:
    resource: JsonObject = {"name": [{"family": " ".join(written)}]}
    for asked in (" ".join(written), " ".join(reversed(written)), *written, written[0].upper()):
        assert found("Patient", resource, ("phonetic", escape(asked)))
    there = set(phonetic.sounds(string.fold(" ".join(written))))
    heard = set(phonetic.sounds(string.fold(" ".join(other))))
    assert found("Patient", resource, ("phonetic", escape(" ".join(other)))) is heard.issubset(there)


# Numbers, quantities and composites that a resource carries, by themselves and in the same element

decimals_written = st.builds(
    lambda number, scale: Decimal(number).scaleb(-scale), st.integers(-(10**12), 10**12), st.integers(0, 6)
)


@given(value=decimals_written, other=decimals_written)
def test_a_number_is_found_by_itself(value: Decimal, other: Decimal) -> None:
    resource: JsonObject = {"prediction": [{"probabilityDecimal": value}]}
    for prefix in ("", "eq", "ge", "le", "ap"):
        assert found("RiskAssessment", resource, ("probability", f"{prefix}{value:f}"))
    for prefix in ("ne", "gt", "lt", "sa", "eb"):
        assert not found("RiskAssessment", resource, ("probability", f"{prefix}{value:f}"))
    assert found("RiskAssessment", resource, ("probability", f"gt{other:f}")) is (value > other)
    assert found("RiskAssessment", resource, ("probability", f"eb{other:f}")) is (value < other)


@given(value=decimals_written, system=texts, code=texts, unit=texts, other=texts)
def test_a_quantity_is_found_by_itself_in_each_of_its_units(
    value: Decimal, system: str, code: str, unit: str, other: str
) -> None:
    quantity: JsonObject = {"value": value, "system": system, "code": code, "unit": unit}
    resource: JsonObject = {"valueQuantity": quantity}
    number = f"{value:f}"
    units = ["", f"|{escape(system)}|{escape(code)}", f"||{escape(code)}", f"||{escape(unit)}"]
    for spelled in units:
        assert found("Observation", resource, ("value-quantity", number + spelled))
        assert not found("Observation", resource, ("value-quantity", f"gt{number}{spelled}"))
    assert found("Observation", resource, ("value-quantity", f"{number}||{escape(other)}")) is (other in (code, unit))
    asked = f"{number}|{escape(other)}|{escape(code)}"
    assert found("Observation", resource, ("value-quantity", asked)) is (other == system)


parts = st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 3)), max_size=3)


@given(held=parts, code=st.sampled_from("ab"), number=st.integers(1, 3), prefix=st.sampled_from(["", "gt", "le", "ne"]))
def test_the_components_of_a_composite_hold_of_one_element(
    held: list[tuple[str, int]], code: str, number: int, prefix: str
) -> None:
    """A code here and a value there are no match."""
    resource: JsonObject = {
        "component": [
            {"code": {"coding": [{"system": "s", "code": code}]}, "valueQuantity": {"value": value, "unit": "u"}}
            for code, value in held
        ]
    }
    stands = {"": operator.eq, "gt": operator.gt, "le": operator.le, "ne": operator.ne}[prefix]
    expected = any(one == code and stands(value, number) for one, value in held)
    for spelled in (code, f"s|{code}"):
        asked = f"{spelled}${prefix}{number}"
        assert found("Observation", resource, ("component-code-value-quantity", asked)) is expected
        assert found("Observation", resource, ("component-code-value-quantity", f"{asked}||u")) is expected
        assert not found("Observation", resource, ("component-code-value-quantity", f"{asked}||v"))


@given(code=texts, value=texts, other=texts)
def test_a_composite_of_words_is_found_whatever_is_in_them(code: str, value: str, other: str) -> None:
    resource: JsonObject = {
        "code": {"coding": [{"system": "s|$", "code": code}]},
        "valueCodeableConcept": {"coding": [{"code": value}]},
    }
    asked = f"{escape('s|$')}|{escape(code)}$|{escape(value)}"
    assert found("Observation", resource, ("code-value-concept", asked))
    assert found("Observation", resource, ("code-value-concept", f"{escape(code)}${escape(value)}"))
    assert found("Observation", resource, ("code-value-concept", f"{escape(code)}${escape(other)}")) is (other == value)
    text: JsonObject = {"code": {"coding": [{"code": code}]}, "valueString": value}
    if string.fold(value):
        assert found("Observation", text, ("code-value-string", f"{escape(code)}${escape(string.fold(value)[:1])}"))


@given(start=st.integers(1, 4), end=st.integers(1, 4), asked=st.tuples(st.integers(1, 4), st.integers(1, 4)))
def test_two_intervals_of_one_element(start: int, end: int, asked: tuple[int, int]) -> None:
    resource: JsonObject = {
        "referenceSeq": {"chromosome": {"coding": [{"code": "21"}]}},
        "variant": [{"start": start, "end": end}, {"start": 9, "end": 9}],
    }
    query = f"21$ge{asked[0]}$lt{asked[1]}"
    expected = start >= asked[0] and end < asked[1]
    assert found("MolecularSequence", resource, ("chromosome-variant-coordinate", query)) is expected


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
        ["_has:Provenance:target:agent", "_has:", "_has:List:item:_has:List:item:code", "_list", "_filter"]
    ),
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
                "value-quantity",
                "code-value-quantity",
                "phonetic",
                "url",
            )
            for suffix in (
                "",
                ":not",
                ".identifier",
                ":Patient",
                ":",
                ":missing",
                ":contains",
                ":below",
                ":in",
                ":of-type",
                ".subject.subject.subject.name",
            )
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
            "gt5.4|http://unitsofmeasure.org|mg",
            "a$lt1e-3",
            "1e99999",
            "-status,family,_id",
            "true",
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
        st.none(),
        st.booleans(),
        st.integers(),
        st.decimals(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
        st.sampled_from(["2024-05-02", "Patient/1", "1 2 E NaN L", "<", "1E+999999"]),
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
                    "display",
                    "text",
                    "type",
                    "low",
                    "comparator",
                    "origin",
                    "data",
                    "factor",
                    "unit",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


MEMBERS = {
    "DocumentReference": "meta identifier subject type date author content context extension relatesTo status",
    "Observation": "code valueQuantity valueSampledData valuePeriod valueString component effectiveTiming subject",
    "Patient": "name telecom address identifier birthDate deceasedBoolean generalPractitioner extension",
    "MolecularSequence": "referenceSeq variant patient type",
    "RiskAssessment": "prediction subject",
    "ActivityDefinition": "useContext url version",
}


@given(st.data())
def test_indexing_never_breaks(data: st.DataObject) -> None:
    """Old entries are indexed anew whatever they hold; terms are sorted, each once, and of a bounded length."""
    type = data.draw(st.sampled_from(sorted(MEMBERS)))
    members = st.sampled_from(MEMBERS[type].split())
    resource: JsonObject = data.draw(st.dictionaries(members, jsons | st.lists(jsons, max_size=2), max_size=5))
    index = PARAMETERS.index(type, resource)
    assert index.terms == sorted(set(index.terms))
    assert all(element["lo"] < element["hi"] for element in index.ranges)
    assert all(element["lo2"] < element["hi2"] for element in index.ranges if "lo2" in element)
    assert all(len(term.encode()) < 2048 for term in index.terms)
    assert index == PARAMETERS.index(type, resource)
