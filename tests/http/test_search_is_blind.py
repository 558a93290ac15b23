"""Through the doors: whatever is asked, the answer is what it would be if what is hidden were not there (ADR 0018).

Each example is a record told in three worlds: some of its resources are hidden from who asks; the same are not there;
nor is anything that names them. Whatever an answer shows can be read by its id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.choices import authorisation
from tests.conformance.own_record import TRE_A07, OwnRecord, document, own_record
from tests.served import FHIR_JSON, Served

ASKING: Final = (
    ("specialiste", "MASQUE_PS"),
    ("patient", "INVISIBLE_PATIENT"),
    ("representant", "INVISIBLE_REPRESENTANTS_LEGAUX"),
)
"""Who asks, and by which label something is hidden from him."""
DOCUMENTS: Final = ("d0", "d1", "d2", "d3", "d4", "d5")
OBSERVATIONS: Final = ("o0", "o1", "o2", "o3", "o4")
STAYS: Final = ("e0", "e1", "e2")
LISTS: Final = ("l0", "l1")
ALL: Final = (*DOCUMENTS, *OBSERVATIONS, *STAYS, *LISTS, "m0")
_TYPES: Final = {
    "d": "DocumentReference",
    "o": "Observation",
    "e": "Encounter",
    "l": "List",
    "m": "DocumentManifest",
}
_WHEN: Final = re.compile(r'"lastUpdated": "[^"]*"')
_PAGE: Final = re.compile(r"_page=[A-Za-z0-9_\-%]+")
_NEW_ID: Final = re.compile(r"\b[0-9a-f]{32}\b")
_MOST_PAGES: Final = 10


@dataclass(frozen=True)
class Told:
    """What each resource says, by its name."""

    hidden: frozenset[str]
    points: dict[str, tuple[str, ...]]
    """To what it points: what a document relates to, an observation was derived from, a list holds."""
    stays: dict[str, str | None]
    """During which stay something was observed or gathered."""
    days: dict[str, int]
    called: dict[str, str]
    relations: dict[str, str]


def _some(names: tuple[str, ...], least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(names), min_size=least, max_size=3, unique=True).map(tuple)


def _each(names: tuple[str, ...], value: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(dict.fromkeys(names, value))


told = st.builds(
    Told,
    # a hidden one of most kinds; what lists documents goes with them
    hidden=st.sets(st.sampled_from([*DOCUMENTS, *OBSERVATIONS, *STAYS, "l1"]), min_size=3, max_size=8).map(frozenset),
    points=st.builds(
        lambda *parts: {name: keys for part in parts for name, keys in part.items()},
        _each(DOCUMENTS, _some(DOCUMENTS)),
        _each(OBSERVATIONS, _some((*DOCUMENTS, *OBSERVATIONS))),
        _each(LISTS, _some((*DOCUMENTS, *OBSERVATIONS, *STAYS))),
        _each(("m0",), _some(DOCUMENTS, 1)),
    ),
    stays=_each((*OBSERVATIONS, *LISTS), st.none() | st.sampled_from(STAYS)),
    days=_each((*DOCUMENTS, *OBSERVATIONS, *STAYS), st.integers(1, 9)),
    called=_each(DOCUMENTS, st.sampled_from(["Lettre", "Image"])),
    relations=_each(DOCUMENTS, st.sampled_from(["replaces", "appends"])),
)


@dataclass
class World:
    """One telling: with what is hidden, without it, or without a word of it."""

    record: OwnRecord
    key: str = field(default_factory=lambda: uuid4().hex[:12])

    def name(self, one: str) -> str:
        return f"{_TYPES[one[0]]}/{self.key}-{one}"

    def write(self, told: Told, *, label: str | None, words: bool) -> None:
        """With this ``label`` on what is hidden, or without it; with what names it, or without a word."""
        client = self.record.served.as_("conformance")
        for one in ALL:
            if one in told.hidden and label is None:
                continue
            resource = self.resource(one, told, told.hidden if not words else frozenset())
            if resource is None:
                continue
            if one in told.hidden:
                resource["meta"] = {"security": [{"system": TRE_A07, "code": label}]}
            answer = client.put(f"/{self.name(one)}", json=resource, headers=FHIR_JSON)
            assert answer.status_code == 201, answer.text

    def resource(self, one: str, told: Told, unsaid: frozenset[str]) -> dict[str, Any] | None:
        """What one says; nothing for what would say nothing."""
        type, _, id = self.name(one).partition("/")
        points = [{"reference": self.name(key)} for key in told.points.get(one, ()) if key not in unsaid]
        stay = told.stays.get(one)
        made: dict[str, Any] = {"resourceType": type, "id": id, "subject": {"reference": f"Patient/{self.record.id}"}}
        if stay is not None and stay not in unsaid:
            made["encounter"] = {"reference": self.name(stay)}
        day = f"2026-03-0{told.days.get(one, 1)}T10:00:00Z"
        match one[0]:
            case "d":
                made |= {"status": "current", "date": day, "description": told.called[one]}
                made |= {"relatesTo": [{"code": told.relations[one], "target": target} for target in points]}
                made |= {"category": document("x")["category"]}
                made |= {"content": [{"attachment": {"contentType": "text/plain", "title": "x"}}]}
            case "o":
                made |= {"status": "final", "code": {"text": "x"}, "effectiveDateTime": day, "derivedFrom": points}
            case "e":
                made |= {"status": "finished", "class": {"code": "AMB"}, "period": {"start": day}}
            case "l":
                if told.points[one] and not points:
                    return None  # a List of which all is hidden is not there
                made |= {"status": "current", "mode": "working", "entry": [{"item": item} for item in points]}
            case _:
                if not points:
                    return None
                made |= {"status": "current", "content": points}
        return {name: value for name, value in made.items() if value != []}


def filtered(expression: str) -> str:
    return f"_filter={quote(expression, safe='')}"


OF: Final = "patient={patient}&_count=3&_total=accurate"
QUESTIONS: Final = (
    f"DocumentReference?{OF}&relatesto.description=Lettre",
    f"DocumentReference?{OF}&relatesto:DocumentReference.relatesto.description=Lettre&_sort=_id",
    f"DocumentReference?{OF}&relatesto.description:missing=true",
    f"DocumentReference?{OF}&relatesto:missing=false&_sort=-relatesto,date",
    f"DocumentReference?{OF}&relatesto:missing=true&_sort=date,-_id",
    f"DocumentReference?{OF}&_has:Observation:derived-from:status=final&_sort=relatesto",
    f"DocumentReference?{OF}&_has:DocumentReference:relatesto:description=Image",
    f"DocumentReference?{OF}&_has:Observation:derived-from:_has:List:item:status=current",
    f"DocumentReference?{OF}&_has:Observation:derived-from:encounter.date=ge2026-03-04",
    f"DocumentReference?{OF}&_has:DocumentManifest:item:status=current",
    f"DocumentReference?{OF}&_list={{key}}-l0",
    f"DocumentReference?{OF}&_list={{key}}-l1,{{key}}-l0&_sort=-date",
    f"DocumentReference?{OF}&" + filtered("not (relatesto.description eq Lettre)"),
    f"DocumentReference?{OF}&" + filtered("relatesto re DocumentReference/{key}-d0 or description eq Image"),
    f"DocumentReference?{OF}&" + filtered("not (_has:Observation:derived-from:status eq final)"),
    f"DocumentReference?{OF}&" + filtered("relatesto pr false and not (_id eq {key}-d1)"),
    f"DocumentReference?{OF}&_id={{key}}-d0,{{key}}-d1,{{key}}-d2&_elements=relatesTo,description",
    f"DocumentReference?{OF}&_revinclude=DocumentReference:relatesto&_revinclude:iterate=Observation:*",
    f"Observation?{OF}&derived-from:DocumentReference.date=ge2026-03-04&_sort=derived-from",
    f"Observation?{OF}&derived-from:Observation.encounter.status=finished",
    f"Observation?{OF}&derived-from=DocumentReference/{{key}}-d0,Observation/{{key}}-o1",
    f"Observation?{OF}&derived-from:missing=true&_sort=-date",
    f"Observation?{OF}&encounter:missing=true&_sort=derived-from,_id",
    f"Observation?{OF}&encounter.date=ge2026-03-03&_sort=-encounter,derived-from",
    f"Observation?{OF}&_sort=encounter&_include=Observation:derived-from&_include:iterate=DocumentReference:relatesto",
    f"Observation?{OF}&_has:List:item:encounter=Encounter/{{key}}-e0",
    f"Observation?{OF}&" + filtered("derived-from ne DocumentReference/{key}-d2 and encounter pr true"),
    f"Observation?{OF}&" + filtered("not (encounter.date ge 2026-03-05) or derived-from.description eq Image"),
    f"Encounter?{OF}&_has:Observation:encounter:derived-from:missing=false&_sort=-date",
    f"List?{OF}&item:missing=false&_include:iterate=*",
    f"List?{OF}&item=Observation/{{key}}-o0,DocumentReference/{{key}}-d3&_sort=item,-encounter",
    f"List?{OF}&item:Observation.derived-from:DocumentReference.description=Lettre",
    f"DocumentManifest?{OF}&item.description=Lettre",
    f"?_type=DocumentReference,Observation,Encounter,List&{OF}&_sort=-_lastUpdated",
    f"Encounter/{{key}}-e0/Observation?{OF}&_sort=derived-from",
    f"Encounter/{{key}}-e1/*?{OF}&_type=Observation,Encounter",
    f"Patient/{{patient}}/Observation?{OF}&encounter.status=finished",
    "Patient/{patient}?_elements=id",
    "Encounter/{key}-e0/$everything?_count=4",
    "Encounter/{key}-e1/$everything?_count=4",
    "Patient/{patient}/*?_type=DocumentReference,Observation,List,Encounter,DocumentManifest&_count=5",
)
BY_RELATION: Final = (
    f"DocumentReference?{OF}&relation=replaces",
    f"DocumentReference?{OF}&relation:missing=true&_sort=relation",
    f"DocumentReference?{OF}&_sort=-relation,relatesto",
    f"DocumentReference?{OF}&relationship=DocumentReference/{{key}}-d0$appends",
    f"DocumentReference?{OF}&" + filtered("relation eq appends or not (relation pr true)"),
)
"""By what is taken out with a reference: of what also refers to something hidden, too little is found (ADR 0018)."""


def asked(world: World, client: httpx.Client, question: str) -> tuple[list[str], set[str]]:
    """Every page of an answer, with nothing left of the world, and what was shown in it (``Type/id``)."""
    url = question.replace("{patient}", world.record.id).replace("{key}", world.key)
    pages, shown = [], set()
    for page in _pages(client, f"/{url}".replace(quote("{key}"), world.key)):
        text = json.dumps(page)
        for name in (world.record.id, world.record.ins, world.key):
            text = text.replace(name, "x")
        pages.append(_NEW_ID.sub("(new)", _PAGE.sub("_page=x", _WHEN.sub("", text))))
        resources = [entry["resource"] for entry in page.get("entry", [])]
        shown |= {f"{one['resourceType']}/{one['id']}" for one in resources}
    return pages, shown


def _pages(client: httpx.Client, url: str) -> Iterator[dict[str, Any]]:
    """To the last page, and one back."""
    relation, last = "next", False
    for _ in range(_MOST_PAGES):
        answer = client.get(url)
        assert answer.status_code in (200, 404), (url, answer.text)
        page: dict[str, Any] = answer.json()
        yield page
        links = {link["relation"]: link["url"] for link in page.get("link", ())}
        if "next" not in links:
            relation, last = "prev", True
        if relation not in links or (last and relation == "next"):
            return
        url = links[relation]
        if last:
            yield client.get(url).json()
            return


@settings(max_examples=3)
@given(who=st.sampled_from(ASKING), told=told)
def test_an_answer_is_what_it_is_where_nothing_is_hidden(served: Served, who: tuple[str, str], told: Told) -> None:
    actor, label = who
    worlds = [World(own_record(served)) for _ in range(3)]
    for world, (hides, words) in zip(worlds, ((label, True), (None, True), (None, False)), strict=True):
        world.record.chosen(authorisation(world.record, "specialiste"))
        world.write(told, label=hides, words=words)
    readable: set[str] = set()
    for question in (*QUESTIONS, *BY_RELATION):
        (hidden, shown), (absent, _), (unsaid, _) = (asked(one, one.record.as_(actor), question) for one in worlds)
        assert hidden == absent, question
        if question not in BY_RELATION:
            assert hidden == unsaid, question
        for key in shown - readable:
            assert worlds[0].record.as_(actor).get(f"/{key}").status_code == 200, (question, key)
        readable |= shown
    assert not [one for one in told.hidden if worlds[0].name(one) in readable]
