"""What is known of one code, how two lie to each other, and where maps lead. What is not known is said."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.fhir.messages import Told
from fhir_server.terminology import NotExpandable, Terminology
from fhir_server.terminology.codes import Coding
from fhir_server.terminology.messages import MESSAGES, Missing, NotKnown
from fhir_server.terminology.resources import ConceptMap, concept_map
from fhir_server.terminology.translation import MOST_FOLLOWED, Match, Question, Translator
from tests.lists import code_system, codes, looked_up, naming_system, terminology_of, value_set

S, PART, ADDS, FAR = (f"https://example.org/{name}" for name in ("s", "part", "adds", "far"))
TREE = {"code": "A", "display": "Ah", "concept": [{"code": "B", "concept": [{"code": "C"}]}, {"code": "D"}]}
TERMINOLOGY = terminology_of(
    code_system(S, TREE, version="2"),
    code_system(PART, TREE, content="fragment"),
    code_system(ADDS, "A", content="supplement", supplements=S),
    value_set(codes(FAR, "X"), {"system": "urn:whole"}),
    naming_system("https://one.example", oid="1.2.3") | {"name": "one"},
)


def missing(system: str, code: str, version: str | None = None, *stored: dict[str, Any]) -> Missing:
    with pytest.raises(NotKnown) as refused:
        TERMINOLOGY.lookup(system, code, version, looked_up(*stored))
    assert refused.value.message.en
    assert refused.value.message.fr != refused.value.message.en
    return refused.value.missing


def test_what_is_known_of_a_code() -> None:
    content, concept = TERMINOLOGY.lookup(S, "A")
    assert content is not None
    assert (content.version(S), concept.display) == ("2", "Ah")
    assert TERMINOLOGY.lookup(S, "A", "2")[1] == concept
    assert TERMINOLOGY.lookup(FAR, "X") == (None, TERMINOLOGY.concept(FAR, "X"))
    assert TERMINOLOGY.lookup(PART, "B")[1].code == "B"


def test_what_is_missing_is_told_apart() -> None:
    assert missing(S, "?") is Missing.CODE
    assert missing(S, "A", "1") is Missing.VERSION
    assert missing(PART, "?") is Missing.CONTENT
    assert missing(FAR, "?") is Missing.CONTENT
    assert missing("urn:whole", "?") is Missing.CONTENT
    assert missing("urn:oid:1.2.3", "?") is Missing.CONTENT
    assert missing("urn:nowhere", "?") is Missing.SYSTEM
    assert missing(ADDS, "A") is Missing.CONTENT


def test_a_stored_code_system_is_known() -> None:
    stored = code_system(FAR, "X", "Y", version="7")
    assert TERMINOLOGY.lookup(FAR, "Y", None, looked_up(stored))[1].code == "Y"
    assert TERMINOLOGY.lookup(FAR, "Y", "7", looked_up(stored))[1].code == "Y"
    assert missing(FAR, "?", None, stored) is Missing.CODE
    assert missing(FAR, "Y", "8", stored) is Missing.VERSION
    with pytest.raises(NotExpandable, match="modifier extension"):
        TERMINOLOGY.lookup(FAR, "Y", None, looked_up(stored | {"implicitRules": "u:x"}))


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        ("A", "C", "subsumes"),
        ("C", "A", "subsumed-by"),
        ("A", "A", "equivalent"),
        ("C", "D", "not-subsumed"),
    ],
)
def test_how_two_codes_lie_to_each_other(first: str, second: str, outcome: str) -> None:
    assert TERMINOLOGY.subsumes(S, first, second) == outcome
    if outcome == "not-subsumed":
        with pytest.raises(NotKnown):
            TERMINOLOGY.subsumes(PART, first, second)
    else:
        assert TERMINOLOGY.subsumes(PART, first, second) == outcome


def test_codes_that_are_below_each_other_are_equivalent() -> None:
    one, two = ({"code": a, "property": [{"code": "parent", "valueCode": b}]} for a, b in (("X", "Y"), ("Y", "X")))
    assert terminology_of(code_system(S, one, two)).subsumes(S, "X", "Y") == "equivalent"


def test_of_a_code_whose_system_is_not_there_only_itself_is_told() -> None:
    assert TERMINOLOGY.subsumes(FAR, "X", "X") == "equivalent"
    with pytest.raises(NotKnown):
        TERMINOLOGY.subsumes(FAR, "X", "Y")


def test_every_message_has_the_same_places_in_both_languages() -> None:
    for key in MESSAGES.keys:
        values = dict.fromkeys(MESSAGES.places(key), "x")
        assert MESSAGES.told(key, **values).fr


# Maps

LOINC, A04 = "http://loinc.org", "https://mos.esante.gouv.fr/NOS/TRE_A04-Loinc/FHIR/TRE-A04-Loinc"
FOLDER = Terminology.load()


def mapped(*elements: dict[str, Any], **more: Any) -> ConceptMap:
    group = {"source": LOINC, "target": S, "element": list(elements), **more}
    resource: dict[str, Any] = {"resourceType": "ConceptMap", "url": "u:map", "status": "active", "group": [group]}
    return concept_map(resource, Told("The map", "La table"))


def leads(code: str, to: str, equivalence: str = "equivalent", **more: Any) -> dict[str, Any]:
    return {"code": code, "target": [{"code": to, "equivalence": equivalence, **more}]}


def translated(
    map: ConceptMap, code: str, system: str = LOINC, others: dict[str, ConceptMap] | None = None, **asked: Any
) -> list[tuple[str, str | None]]:
    found = answers(map, code, system, others, **asked)
    return [(one.equivalence, one.concept.code if one.concept else None) for one in found]


def answers(
    map: ConceptMap, code: str, system: str = LOINC, others: dict[str, ConceptMap] | None = None, **asked: Any
) -> list[Match]:
    question = Question(FOLDER.coding(system, code), code, **asked)
    return Translator(FOLDER, (others or {}).get).matches([map], question)


def test_a_map_leads_from_a_code_under_each_name_of_its_system() -> None:
    map = mapped(leads("1-1", "A", "wider"), leads("2-2", "B"))
    for system in (LOINC, A04, "urn:oid:2.16.840.1.113883.6.1"):
        assert translated(map, "1-1", system) == [("wider", "A")]
    assert translated(map, "3-3") == []
    assert translated(map, "1-1", "urn:other") == []


def test_a_map_leads_back_with_the_contrary_meaning() -> None:
    map = mapped(leads("1-1", "A", "wider"), leads("2-2", "A", "specializes"), leads("3-3", "A"))
    assert translated(map, "A", S, reverse=True) == [
        ("narrower", "1-1"),
        ("subsumes", "2-2"),
        ("equivalent", "3-3"),
    ]


def test_only_the_system_that_is_wanted_is_led_to() -> None:
    map = mapped(leads("1-1", "A"))
    assert translated(map, "1-1", target=S) == [("equivalent", "A")]
    assert translated(map, "1-1", target="urn:other") == []


def test_a_code_that_leads_nowhere_says_so() -> None:
    assert translated(mapped({"code": "1-1", "target": [{"equivalence": "unmatched"}]}), "1-1") == [("unmatched", None)]


def test_a_row_that_depends_on_something_holds_where_that_is_so() -> None:
    map = mapped(leads("1-1", "A", dependsOn=[{"property": "u:sex", "value": "F"}]))
    assert translated(map, "1-1") == []
    assert translated(map, "1-1", depends=frozenset({("u:sex", "M")})) == []
    assert translated(map, "1-1", depends=frozenset({("u:sex", "F")})) == [("equivalent", "A")]


def test_what_a_map_says_of_the_others() -> None:
    assert translated(mapped(unmapped={"mode": "provided"}), "1-1") == [("equal", "1-1")]
    assert translated(mapped(unmapped={"mode": "fixed", "code": "Z"}), "1-1") == [("relatedto", "Z")]
    other = mapped(leads("1-1", "A"))
    onwards = mapped(unmapped={"mode": "other-map", "url": "u:other"})
    assert translated(onwards, "1-1", others={"u:other": other}) == [("equivalent", "A")]
    assert translated(onwards, "1-1") == []
    assert translated(mapped(leads("1-1", "B"), unmapped={"mode": "fixed", "code": "Z"}), "1-1") == [
        ("equivalent", "B")
    ]


def test_maps_that_refer_to_each_other_end() -> None:
    round_and_round = mapped(unmapped={"mode": "other-map", "url": "u:other"})
    asked: list[str] = []

    def others(url: str) -> ConceptMap:
        asked.append(url)
        return round_and_round

    question = Question(Coding(LOINC, "1-1"), "1-1")
    assert Translator(FOLDER, others).matches([round_and_round], question) == []
    assert len(asked) == MOST_FOLLOWED


def test_a_match_tells_its_map_and_what_the_code_is_called() -> None:
    (match,) = answers(mapped(leads("1-1", "34112-3"), target=A04), "1-1")
    assert match.source == "u:map"
    assert match.concept is not None
    assert (match.concept.system, match.concept.display) == (A04, "CR hospitalier (séjour)")
