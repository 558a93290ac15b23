"""What each type of parameter extracts, reads and asks."""

from __future__ import annotations

from itertools import pairwise

import pytest

from fhir_server.fhir.date import MAX, MIN, Interval, interval
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import Json
from fhir_server.fhir.reference import LocalReference
from fhir_server.search import terms
from fhir_server.search.predicate import NEVER, Field, Not, Prefix, matches, one_of
from fhir_server.search.types import date, reference, string, token, uri
from fhir_server.search.types.ordered import Covered, Relation
from fhir_server.search.types.token import Token
from fhir_server.search.values import split, unescape

BASE = "https://serveur.example/fhir"


@pytest.mark.parametrize(
    ("element", "type", "expected"),
    [
        ({"system": "s", "code": "c"}, "Coding", ["p=s|c", "p#c"]),
        ({"code": "c"}, "Coding", ["p=|c", "p#c"]),
        ({"system": "s"}, "Coding", []),
        (
            {"coding": [{"code": "a"}, {"system": "s", "code": "b"}], "text": "t"},
            "CodeableConcept",
            ["p=|a", "p#a", "p=s|b", "p#b", "p:text=t"],
        ),
        ({"text": "Été\u00a0 2024"}, "CodeableConcept", ["p:text=ete 2024"]),
        ({"text": "\u0301"}, "CodeableConcept", []),
        ({"text": "x" * 300}, "CodeableConcept", ["p:text=" + "x" * 200]),
        ({"code": "c", "display": "É"}, "Coding", ["p=|c", "p#c", "p:text=e"]),
        ({"coding": [{"display": "Seul"}]}, "CodeableConcept", ["p:text=seul"]),
        ({"system": "s", "value": "V"}, "Identifier", ["p=s|V", "p#V"]),
        (
            {
                "system": "s",
                "value": "V",
                "type": {"coding": [{"system": "t|", "code": "MR"}, {"code": "x"}, None], "text": "Dossier"},
            },
            "Identifier",
            ["p=s|V", "p#V", "p:text=dossier", "p:of-type=t\\||MR|V"],
        ),
        ({"type": {"coding": [{"system": "t", "code": "MR"}]}}, "Identifier", []),
        ({"value": "V", "type": "MR"}, "Identifier", ["p=|V", "p#V"]),
        ({"system": "phone", "value": "01"}, "ContactPoint", ["p=phone|01", "p#01"]),
        ("current", "code", ["p#current"]),
        (True, "boolean", ["p#true"]),
        (False, "boolean", ["p#false"]),
        ({"system": "a|b\\", "code": "c|d"}, "Coding", ["p=a\\|b\\\\|c|d", "p#c|d"]),
        (3, "integer", []),
        ({"coding": 3}, "CodeableConcept", []),
        ({"coding": [None]}, "CodeableConcept", []),
        ({"value": "x"}, "Quantity", []),
        ("x", "Coding", []),
    ],
)
def test_token_terms(element: Json, type: str, expected: list[str]) -> None:
    assert list(token.extract("p", element, type)) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("c", Token(None, "c")),
        ("|c", Token("", "c")),
        ("s|", Token("s", None)),
        ("s|c", Token("s", "c")),
        (r"a\|b|c\,d", Token("a|b", "c,d")),
        ('{"$ne": null}', Token(None, '{"$ne": null}')),
    ],
)
def test_token_values(raw: str, expected: Token) -> None:
    assert token.parse(raw) == expected


@pytest.mark.parametrize("raw", ["", "|", "a|b|c"])
def test_token_values_refused(raw: str) -> None:
    with pytest.raises(Invalid):
        token.parse(raw)


def test_token_predicates() -> None:
    coded = {"ix": {"s": list(token.extract("p", {"system": "s", "code": "c"}, "Coding"))}}
    bare = {"ix": {"s": list(token.extract("p", {"code": "c"}, "Coding"))}}
    status = {"ix": {"s": list(token.extract("p", "c", "code"))}}
    nothing: dict[str, object] = {"ix": {"s": []}}
    hits = {
        raw: [matches(token.predicate("p", [token.parse(raw)]), entry) for entry in (coded, bare, status, nothing)]
        for raw in ("c", "|c", "s|", "s|c", "S|c", "C", "x|c")
    }
    assert hits == {
        "c": [True, True, True, False],
        "|c": [False, True, False, False],
        "s|": [True, False, False, False],
        "s|c": [True, False, False, False],
        "S|c": [False] * 4,
        "C": [False] * 4,
        "x|c": [False] * 4,
    }
    negated = token.predicate("p", [token.parse("s|c"), token.parse("d")], "not")
    assert isinstance(negated, Not)
    assert [matches(negated, entry) for entry in (coded, bare, status, nothing)] == [False, True, True, True]


def test_long_values_keep_their_equality() -> None:
    """Two systems or codes that differ in their last character only are told apart, and each is found by itself."""
    long = "https://exemple.fr/" + "é" * 400
    entry = {"ix": {"s": list(token.extract("p", {"system": long, "code": long}, "Coding"))}}
    assert max(len(term.encode()) for term in entry["ix"]["s"]) < 1024

    def hit(system: str | None, code: str | None) -> bool:
        return matches(token.predicate("p", [Token(system, code)]), entry)

    assert hit(long, long)
    assert hit(None, long)
    assert hit(long, None)
    assert not hit(long + "x", None)
    assert not hit(long, long + "x")
    assert not hit(None, terms.bounded(long)[:-1])
    assert terms.bounded("a" * 256) == "a" * 256
    assert terms.bounded("a" * 257) != "a" * 257


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Hélène  D’ALMEIDA", "helene d'almeida"),
        (" Cœur\tÆsir ", "coeur aesir"),
        ("Straße", "strasse"),
        ("ŁÓDŹ", "lodz"),
        ("ﬁn", "fin"),
        ("İstanbul", "istanbul"),
        ("\u0301", ""),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert string.fold(text) == folded


def test_string_terms() -> None:
    name: Json = {"text": "Dr Ève", "family": "Œil", "given": ["Ève", None, "Zoé"], "prefix": ["Dr"], "period": {}}
    assert list(string.extract("name", name, "HumanName")) == [
        "name=dr eve",
        "name:exact=Dr Ève",
        "name=oeil",
        "name:exact=Œil",
        "name=eve",
        "name:exact=Ève",
        "name=zoe",
        "name:exact=Zoé",
        "name=dr",
        "name:exact=Dr",
    ]
    address: Json = {"line": ["3 rue X"], "city": "Évry", "postalCode": "91000", "use": "home"}
    found = ["a=3 rue x", "a:exact=3 rue X", "a=evry", "a:exact=Évry", "a=91000", "a:exact=91000"]
    assert list(string.extract("a", address, "Address")) == found
    assert list(string.extract("s", "É" * 300, "markdown")) == [
        "s=" + "e" * 200,
        f"s:exact={terms.bounded('É' * 300)}",
    ]
    assert list(string.extract("s", "\u0301", "string")) == []
    assert list(string.extract("s", 3, "string")) == []
    assert list(string.extract("s", {"family": "X"}, "Coding")) == []


def test_string_values() -> None:
    assert string.predicate("family", [string.parse(r"Du\,P")]) == Prefix("family=du,p")
    for raw in ("", " ", "\u0301", "a" * 201):
        with pytest.raises(Invalid):
            string.parse(raw)


@pytest.mark.parametrize(
    ("element", "type", "expected"),
    [
        ("2024-05", "date", ("2024-05-01", "2024-06-01")),
        ("2024-05-02T10:00:00+02:00", "dateTime", ("2024-05-02T08:00:00", "2024-05-02T08:00:01")),
        ({"start": "2024-05-02", "end": "2024-05-03"}, "Period", ("2024-05-02", "2024-05-04")),
        ({"start": "2024-05-02"}, "Period", ("2024-05-02", None)),
        ({"end": "2024"}, "Period", (None, "2025")),
        ({}, "Period", None),
        ({"start": "2024-05-03", "end": "2024-05-01"}, "Period", ("2024-05-02", "2024-05-03")),
        ({"event": ["2024-05-02", "2024-03"]}, "Timing", ("2024-03-01", "2024-05-03")),
        ({"repeat": {"boundsPeriod": {"start": "2024"}}, "event": ["2023"]}, "Timing", ("2023", None)),
        ({"repeat": {"boundsDuration": {"value": 3}}}, "Timing", None),
        ("2024-13", "date", None),
        ("2024-05-02T10:00:00Z", "instant", ("2024-05-02T10:00:00.000000Z", "2024-05-02T10:00:00.000001Z")),
        ("2024", "string", None),
        (2024, "date", None),
        ({"start": "2024"}, "Coding", None),
        ({"event": "2024"}, "Timing", None),
        ({"start": "2024-13", "end": 3}, "Period", None),
    ],
)
def test_date_intervals(element: Json, type: str, expected: tuple[str | None, str | None] | None) -> None:
    wanted = None
    if expected is not None:
        wanted = Covered(_bound(expected[0], MIN), _bound(expected[1], MAX))
    assert date.extract(element, type) == wanted


def _bound(text: str | None, end: int) -> int:
    return end if text is None else _read(text).low


def _read(text: str) -> Interval:
    found = interval(text)
    assert found is not None
    return found


DAY = "2024-05-02"
PREFIXES = {
    # The value against the search for 2024-05-02, and the prefixes that find it.
    ("2024-05-02", "2024-05-02"): "eq ge le ap",
    ("2024-05-02T10:00:00Z", "2024-05-02T11:00:00Z"): "eq ge le ap",
    ("2024-05-01", "2024-05-01"): "ne lt le eb",
    ("2024-05-03", "2024-05-03"): "ne gt ge sa",
    ("2024-05-01", "2024-05-03"): "ne gt lt ge le ap",
    ("2024-05-01", "2024-05-02"): "ne lt le ap",
    ("2024-05-02", "2024-05-03"): "ne gt ge ap",
    ("2024-05-02", None): "ne gt ge ap",
    (None, "2024-05-02"): "ne lt le ap",
    (None, "2024-05-01"): "ne lt le eb",
}


@pytest.mark.parametrize(("ends", "expected"), PREFIXES.items())
def test_date_prefixes(ends: tuple[str | None, str | None], expected: str) -> None:
    value = date.extract({name: text for name, text in zip(("start", "end"), ends, strict=True) if text}, "Period")
    assert value is not None
    entry = {"ix": {"r": [{"p": "d", "lo": value.low, "hi": value.high}]}}
    now = _read(DAY).low
    finding = [
        relation for relation in Relation if matches(date.predicate("d", [date.parse(relation + DAY, now)]), entry)
    ]
    assert " ".join(finding) == " ".join(one for one in Relation if one in expected.split())


def test_approximately_is_a_tenth_of_the_gap() -> None:
    """Ten days before now: one day on either side."""
    now = _read("2024-05-12").low
    wanted = date.parse("ap2024-05-01", now)
    assert (wanted.low, wanted.high) == (_read("2024-04-30").low, _read("2024-05-03").low)
    within = date.parse("ap2024-05-12", now)
    assert Interval(int(within.low), int(within.high)) == _read("2024-05-12")
    future = date.parse("ap2024-05-22", now)
    assert (future.low, future.high) == (_read("2024-05-21").low, _read("2024-05-24").low)


def test_a_value_without_date_is_never_found() -> None:
    entry: dict[str, object] = {"ix": {"r": []}}
    for relation in Relation:
        assert not matches(date.predicate("d", [date.parse(f"{relation}2024", 0)]), entry)


def test_tests_hold_of_the_same_value() -> None:
    entry = {"ix": {"r": [{"p": "d", "lo": i.low, "hi": i.high} for i in map(_read, ("2023", "2025"))]}}
    assert not matches(date.predicate("d", [date.parse("2024", 0)]), entry)
    assert not matches(date.predicate("other", [date.parse("2023", 0)]), entry)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "eq",
        "xx2024",
        "2024-13",
        "2024-02-30",
        "24-1-1",
        "2024-01-01T00:00:00 01:00",
        "eqeq2024",
        "≥2024",
        "é2024",
        "NaN",
    ],
)
def test_date_values_refused(raw: str) -> None:
    with pytest.raises(Invalid):
        date.parse(raw, 0)


def test_last_updated_is_told_to_the_millisecond() -> None:
    at = _read("2024-05-02T10:00:00.123Z").low + 456
    entry = {"at": at}

    def finding(text: str) -> str:
        now = _read(text).low
        return " ".join(one for one in Relation if matches(date.last_updated([date.parse(one + text, now)]), entry))

    assert finding("2024-05-02T10:00:00.123Z") == "eq ge le ap"
    assert finding("2024-05-02") == "eq ge le ap"
    assert finding("2024-05-02T10:00:00.122Z") == "ne gt ge sa"
    assert finding("2024-05-02T10:00:00.124Z") == "ne lt le eb"
    assert finding("2024-05-02T10:00:00.1234Z") == "ne gt lt ge le ap"


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ({"reference": "Patient/1"}, ["p=Patient/1"]),
        ({"reference": "Patient/1/_history/7"}, ["p=Patient/1"]),
        ({"reference": f"{BASE}/Patient/1/_history/7"}, ["p=Patient/1"]),
        ({"reference": "https://x.example/Patient/1/_history/7"}, ["p=https://x.example/Patient/1"]),
        ({"reference": "urn:uuid:1"}, ["p=urn:uuid:1"]),
        ({"reference": "#p"}, []),
        ({"display": "x"}, []),
        ({"identifier": {"system": "s", "value": "v"}}, ["p:identifier=s|v", "p:identifier#v"]),
    ],
)
def test_reference_terms(element: Json, expected: list[str]) -> None:
    assert list(reference.extract("p", element, "Reference", BASE)) == expected


def test_reference_terms_of_other_kinds() -> None:
    assert list(reference.extract("p", {"reference": "Patient/1"}, "Reference", BASE, of_record=True)) == []
    assert list(reference.extract("p", {"reference": "Group/1"}, "Reference", BASE, of_record=True)) == ["p=Group/1"]
    assert list(reference.extract("p", f"{BASE}/Questionnaire/q|2", "canonical", BASE)) == [
        "p=Questionnaire/q|2",
        "p=Questionnaire/q",
    ]
    assert list(reference.extract("p", {"resourceType": "Composition", "id": "c"}, "Resource", BASE)) == [
        "p=Composition/c"
    ]
    assert list(reference.extract("p", {"resourceType": "Composition"}, "Resource", BASE)) == []
    assert list(reference.extract("p", 3, "Reference", BASE)) == []


def test_reference_values() -> None:
    targets = ("Group", "Patient")
    patient, group = LocalReference("Patient", "1"), LocalReference("Group", "1")
    assert reference.parse("1", targets, BASE) == (group, patient)
    assert reference.parse("1", targets, BASE, "Patient") == (patient,)
    assert reference.parse("Patient/1", targets, BASE, "Patient") == (patient,)
    assert reference.parse(f"{BASE}/Patient/1", targets, BASE) == (patient,)
    assert reference.parse("https://x.example/Patient/1", targets, BASE) == ("https://x.example/Patient/1",)
    assert reference.parse(f"{BASE}/Group/1|2", targets, BASE) == ("Group/1|2",)
    for raw, modifier in [
        ("Practitioner/1", None),
        ("Group/1", "Patient"),
        ("1", "Practitioner"),
        ("https://x.example/Patient/1", "Patient"),
        ("Patient/1/_history/2", None),
        ("https://x.example/Patient/1/_history/2", None),
        ("Patient/", None),
        ("a b", None),
        ('{"$gt": ""}', None),
        ("#p", None),
        ("", None),
    ]:
        with pytest.raises(Invalid):
            reference.parse(raw, targets, BASE, modifier)


def test_reference_predicates() -> None:
    wanted: list[reference.Target] = [LocalReference("Patient", "1"), "https://x.example/Patient/1"]
    asked = reference.predicate("p", wanted)
    assert asked == one_of(Field.TERMS, "p=Patient/1", "p=https://x.example/Patient/1")
    assert reference.predicate("p", [LocalReference("Patient", "1")], of_record=True) == one_of(Field.RECORD, "1")
    assert reference.predicate("p", []) == NEVER


def test_uris() -> None:
    assert list(uri.extract("p", "https://a.example/x|1", "canonical")) == [
        "p=https://a.example/x|1",
        "p=https://a.example/x",
    ]
    assert list(uri.extract("p", "https://a.example/x|1", "uri")) == ["p=https://a.example/x|1"]
    assert uri.predicate("p", [uri.parse(r"a\,b")]) == one_of(Field.TERMS, "p=a,b")
    with pytest.raises(Invalid):
        uri.parse("")


@pytest.mark.parametrize(
    ("raw", "modifier", "found"),
    [
        ("http://a.example/x", "below", ["http://a.example/x", "http://a.example/x/y", "http://a.example/xy"]),
        ("http://a.example/x/y", "above", ["http://a.example/x", "http://a.example/x/y"]),
        ("urn:oid:1.2", "below", ["urn:oid:1.2"]),
        ("urn:oid:1.2.3", "above", ["urn:oid:1.2.3"]),
        ("urn:oid:1.2", None, ["urn:oid:1.2"]),
    ],
)
def test_what_lies_under_a_uri_and_over_it(raw: str, modifier: str | None, found: list[str]) -> None:
    held = ["http://a.example/x", "http://a.example/x/y", "http://a.example/xy", "urn:oid:1.2", "urn:oid:1.2.3"]
    asked = uri.predicate("p", [uri.parse(raw)], modifier)
    assert [one for one in held if matches(asked, {"ix": {"s": uri.extract("p", one, "uri")}})] == found


def test_a_url_to_look_below_is_not_longer_than_what_is_kept() -> None:
    kept = f"http://a.example/{'é' * 80}"
    longer = {"ix": {"s": uri.extract("p", kept + "x" * 300, "uri")}}
    assert matches(uri.predicate("p", [kept], "below"), longer)
    with pytest.raises(Invalid, match="at most 180 bytes"):
        uri.predicate("p", [kept + "xxxx"], "below")


def test_elements_that_are_no_uri() -> None:
    assert uri.extract("p", 3, "uri") == []
    assert uri.extract("p", "a", "string") == []


@pytest.mark.parametrize(
    ("asked", "modifier", "hits"),
    [
        ("lettre", None, {"Lettre de liaison", "lettre"}),
        ("Lettre", "exact", set()),
        ("lettre", "exact", {"lettre"}),
        ("liaison", "contains", {"Lettre de liaison"}),
        ("TRE DE LIAISON", "contains", {"Lettre de liaison"}),
        ("e", "contains", {"Lettre de liaison", "lettre"}),
        ("lettre de liaisons", "contains", set()),
    ],
)
def test_how_texts_are_compared(asked: str, modifier: str | None, hits: set[str]) -> None:
    """By their tails, and by looking at each."""
    for tailed in (True, False):
        wanted = string.predicate("p", [string.parse(asked, modifier)], modifier, tailed=tailed)
        for text in ("Lettre de liaison", "lettre"):
            stored = {"ix": {"s": string.extract("p", text, "string", tailed=tailed)}}
            assert matches(wanted, stored) is (text in hits)


def test_a_text_longer_than_its_tails_is_still_looked_at() -> None:
    text = "a" * 230 + "zz" + "b" * 40
    held = string.extract("p", text, "string", tailed=True)
    assert max(map(len, held)) < 300
    assert "p~\x01" in held
    stored = {"ix": {"s": held, "t": [f"p={text}"]}}
    for asked, hit in (("azzb", True), ("a" * 20, True), ("b" * 41, False), ("z" * 3, False), ("a" * 199, True)):
        assert matches(string.predicate("p", [asked], "contains", tailed=True), stored) is hit


def test_what_becomes_of_letters_is_learnt_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may write any of a million characters: none of them makes the table grow for ever."""
    monkeypatch.setattr(string, "_MOST_KNOWN", 1)
    known = string._Plain()
    assert [known[ord(letter)] for letter in "ab\u0301"] == ["a", "b", None]
    assert dict(known) == {ord("a"): "a"}


def test_token_modifiers() -> None:
    coded = {"ix": {"s": token.extract("p", {"code": "c", "display": "Été chaud"}, "Coding")}}
    assert matches(token.called("p", [string.parse("ete")]), coded)
    assert not matches(token.called("p", [string.parse("chaud")]), coded)
    typed: Json = {"type": {"coding": [{"system": "s|", "code": "MR"}]}, "value": "a|b"}
    identified = {"ix": {"s": token.extract("p", typed, "Identifier")}}
    assert matches(token.of_type("p", [token.parse_of_type(r"s\||MR|a\|b")]), identified)
    assert not matches(token.of_type("p", [token.parse_of_type(r"s\||MR|a")]), identified)
    for wrong in ("MR|a", "s||a", "s|MR|", "s|MR|a|b"):
        with pytest.raises(Invalid):
            token.parse_of_type(wrong)


def test_the_system_that_a_binding_implies() -> None:
    implied = frozenset({("s", "a"), ("s", "b"), ("t", "a")})
    status = {"ix": {"s": token.extract("p", "a", "code")}}
    hits = {
        raw: matches(token.predicate("p", [token.parse(raw)], None, implied), status)
        for raw in ("a", "s|a", "t|a", "s|", "t|", "s|b", "u|a", "u|", "|a")
    }
    assert hits == {
        "a": True,
        "s|a": True,
        "t|a": True,
        "s|": True,
        "t|": True,
        "s|b": False,
        "u|a": False,
        "u|": False,
        "|a": False,
    }


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        ("a,b", ["a", "b"]),
        (r"a\,b", ["a,b"]),
        (r"a\\,b", ["a\\", "b"]),
        (r"a\\\,b,c", ["a\\,b", "c"]),
        ("a,", ["a", ""]),
        (r"\,", [","]),
        ("\\", ["\\"]),
        (r"\x\$\|", [r"\x$|"]),
    ],
)
def test_splitting_and_escapes(raw: str, parts: list[str]) -> None:
    assert [unescape(part) for part in split(raw, ",")] == parts


def test_spellings_do_not_meet() -> None:
    """Different meanings, different terms."""
    spelled = [
        *token.extract("p", {"system": "a|b", "code": "c"}, "Coding"),
        *token.extract("p", {"system": "a", "code": "b|c"}, "Coding"),
        *token.extract("p", {"code": "a|b|c"}, "Coding"),
        *token.extract("p", {"system": "a\\", "code": "|c"}, "Coding"),
    ]
    assert len(set(spelled)) == len(spelled)
    assert all(one != other for one, other in pairwise(sorted(spelled)))
