"""What every choice of a patient must keep to, whatever else he chose, whoever asks.

Records are read from random Consents, CareTeams, RelatedPersons and Patients by the server's own reading. Everybody
asks about a fixed small world that holds one of everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final, TypeAlias

import pymongo
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pymongo.collection import Collection

from fhir_server.consent.circumstances import Act, circumstances
from fhir_server.consent.decide import decide
from fhir_server.consent.explain import Outcome, explain
from fhir_server.consent.rules import RULES, Rule
from fhir_server.fhir.errors import FhirError
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.identity.requester import Kind, Purpose, Requester
from fhir_server.identity.systems import INS_NIR_TEST
from fhir_server.record.consents import Policy
from fhir_server.record.facts import Facts, facts_of, new_record
from fhir_server.record.telling import with_resource
from fhir_server.search.predicate import Entry, matches
from fhir_server.store.filters import holds, to_filter
from tests.build import (
    EVERYBODY,
    HELENE,
    HOSPITAL,
    NOW,
    NURSE,
    OTHER_DOCTOR,
    PARIS,
    SPECIALIST,
    STRANGER,
    YEAR,
    Written,
    authorisation,
    binary,
    block,
    care_team,
    carer,
    choice,
    closed_on,
    decision,
    delegation,
    document_reference,
    emergency_choice,
    emergency_doctor,
    entry,
    law,
    medecin_traitant,
    moment,
    naming,
    professional,
    record,
    related_person,
    representative,
    resource,
    team_choice,
    trace,
)

Entries: TypeAlias = "Collection[dict[str, Any]]"
Dates: TypeAlias = "st.SearchStrategy[str]"
DAY: Final = 24 * 3600 * 1_000_000

# The world that is asked about

LABELS: Final = ("", "MASQUE_PS", "INVISIBLE_PATIENT", "INVISIBLE_REPRESENTANTS_LEGAUX")
DEPOSITORS: Final = (
    f"rpps|{OTHER_DOCTOR}",
    f"rpps|{SPECIALIST}",
    f"finess|{HOSPITAL}",
    f"ins|{HELENE}",
    f"ins|{STRANGER}",
)


def _documents() -> Iterator[Entry]:
    reports = product(LABELS, DEPOSITORS, ["10/11502-2"])
    for label, by, document in (*reports, *product(LABELS, DEPOSITORS[:1], ["60/REMB", "95/ATTEST-DROITS-AM"])):
        category, _, type = document.partition("/")
        yield document_reference(
            f"{label}-{by}-{category}".replace("|", "-"),
            security_label=label or (),
            category=category,
            type=type,
            deposited_by=by,
            organisation=by if by.startswith("finess") else None,
            secret=label == "INVISIBLE_REPRESENTANTS_LEGAUX",
        )
    yield document_reference("authored", security_label="MASQUE_PS", author=SPECIALIST)
    yield document_reference("elsewhere", subject="demo-2")


DOCUMENTS: Final = tuple(_documents())
TRACES: Final = tuple(
    {**trace(agent=agent, target="DocumentReference/x", secret=secret), "_id": f"AuditEvent/{agent}-{secret}"}
    for agent, secret in product(DEPOSITORS, (False, True))
)
CONSENTS: Final = tuple(
    entry({**one.resource, "id": f"c{number}"}, deposited_by=f"ins|{HELENE}")
    for number, one in enumerate((authorisation(SPECIALIST), block(NURSE), delegation(), choice(Policy.OPPOSITION)))
)
WORLD: Final[tuple[Entry, ...]] = (
    *DOCUMENTS,
    *TRACES,
    *CONSENTS,
    *(binary(f"b{number}", owner=one) for number, one in enumerate(DOCUMENTS[::5])),
    binary("waiting", deposited_by=f"rpps|{SPECIALIST}"),
    *(resource(type) for type in ("Patient", "RelatedPerson")),
)
TYPES: Final = tuple(dict.fromkeys(one["rt"] for one in WORLD))
OF_TYPE: Final = {type: [one for one in WORLD if one["rt"] == type] for type in TYPES}

# Who asks

ASKING: Final[Mapping[str, Requester]] = {
    **EVERYBODY,
    "the carer of the demonstration": carer(),
    "a representative": representative(acting_for=HELENE, ins=STRANGER),
    "another doctor": professional(OTHER_DOCTOR),
    "the doctor in the hospital": professional(SPECIALIST, organisation=HOSPITAL),
    "another doctor who breaks the glass": emergency_doctor(Purpose.BTG, OTHER_DOCTOR),
}
acts = st.sampled_from([*[Act.CONSULT] * 12, *Act])
"""Most of the law is about consulting."""

# What the patient chose

PAST: Final = ("2025-03-01", "2026-01-01", "2026-03-01", "2026-05-01")
TO_COME: Final = ("2026-06-15", "2026-07-01", "2026-09-01")
past = st.sampled_from(PAST)
starts = st.sampled_from([*PAST, *PAST, *TO_COME])
ends = st.sampled_from([None, None, "2026-05-15", "2026-06-01", "2026-06-20", "2026-08-01", "2027-01-01"])
people = st.sampled_from([SPECIALIST, SPECIALIST, NURSE, OTHER_DOCTOR])


def numbered(written: list[Written]) -> list[Written]:
    """The same, each under an id of its own."""
    return [Written({**one.resource, "id": f"c{number}"}, one.at) for number, one in enumerate(written)]


def periods_since(starts: Dates) -> st.SearchStrategy[dict[str, Json]]:
    """A period that begins on one of these days; its end may be before."""
    return st.builds(lambda start, end: {"start": start} | ({"end": end} if end else {}), starts, ends)


def bounded(written: Written, period: dict[str, Json]) -> Written:
    """The same Consent in a period of its own; it may be refused for that."""
    provision: Any = written.resource["provision"]
    return Written({**written.resource, "provision": {**provision, "period": period}}, written.at)


def permits_since(starts: Dates) -> st.SearchStrategy[Written]:
    """What the patient gives, from one of these days on."""
    masked = st.sampled_from(["MASKED", "BTG", "ETREAT"])
    status = st.sampled_from(["active", "proposed"])
    named = st.one_of(
        st.builds(medecin_traitant, people, written=past),
        st.builds(team_choice, st.just("permit"), written=past),
        st.builds(emergency_choice, masked, st.just("permit"), written=past),
    )
    return st.one_of(
        named,
        named,
        st.builds(bounded, named, periods_since(starts)),
        st.builds(authorisation, people | st.just(HOSPITAL), start=starts, end=ends, written=past),
        st.builds(naming, st.just(Policy.ADMINISTRATEUR), people, start=starts, end=ends, written=past),
        st.builds(delegation, st.just(STRANGER), status=status, end=ends.filter(bool), written=past),
    )


denies = st.one_of(
    st.builds(block, people, written=past),
    st.builds(emergency_choice, st.sampled_from(["MASKED", "BTG", "ETREAT"]), st.just("deny"), written=past),
    st.builds(team_choice, st.just("deny"), written=past),
    st.builds(choice, st.sampled_from([Policy.OPPOSITION, Policy.MASQUAGE_HISTORIQUE, Policy.MASQUAGE_DEFAUT])),
)
lifted = st.builds(lambda who, at: block(who, written="2025-01-01").inactive(at), people, past)


def choices_since(starts: Dates) -> st.SearchStrategy[list[Written]]:
    """Up to five Consents; some contradict each other."""
    permits = permits_since(starts)
    return st.lists(st.one_of(permits, permits, denies, lifted), max_size=5).map(numbered)


@dataclass(frozen=True)
class House:
    """What a record holds besides its Consents."""

    people: tuple[JsonObject, ...]
    teams: tuple[JsonObject, ...]
    patient: Mapping[str, Json]

    def record(self, consents: list[Written]) -> Facts:
        """The facts, of the Consents that are accepted; what contradicts an earlier one is refused, as at the door."""
        return facts_of(self.kept(consents)[0])

    def kept(self, consents: list[Written]) -> tuple[dict[str, Any], list[Written]]:
        """The document of the facts, and the Consents that were accepted."""
        holder: JsonObject = {
            "resourceType": "Patient",
            "id": "demo-1",
            "identifier": [{"system": INS_NIR_TEST, "value": HELENE}],
            **self.patient,
        }
        document = new_record("demo-1", "essai")
        accepted = []
        for one in (holder, *self.people, *self.teams):
            document = _with(document, one, NOW)
        for written in consents:
            try:
                document = _with(document, written.resource, written.at)
            except FhirError:
                continue
            accepted.append(written)
        return document, accepted


def _with(document: dict[str, Any], resource: JsonObject, at: int) -> dict[str, Any]:
    type, id = str(resource["resourceType"]), str(resource["id"])
    return with_resource(document, type, id, resource, granted=at, zone=PARIS, duration=YEAR)


births: st.SearchStrategy[dict[str, Json]] = st.sampled_from(
    [{"birthDate": "1980-05-14"}, {"birthDate": "2015-05-14"}, {"birthDate": "2008-06-15"}, {}]
)
lives: st.SearchStrategy[dict[str, Json]] = st.sampled_from(
    [
        *({} for _ in range(12)),
        {"active": False},
        {"active": False, "extension": closed_on("2026-06-15")},
        {"active": False, "extension": closed_on("2016-07-01")},
        {"deceasedBoolean": True},
    ]
)


def houses_since(starts: Dates) -> st.SearchStrategy[House]:
    """A Patient in any state, with a representative and a care team or without."""
    periods = periods_since(starts)
    protections = st.sampled_from([None, "TUTEUR"])
    guards = st.builds(related_person, st.sampled_from([HELENE, STRANGER]), period=periods, protection=protections)
    informed = st.none() | starts
    members = people | st.just(HOSPITAL)
    teams = st.builds(care_team, members, informed=informed, period=periods, member_period=periods)
    return st.builds(
        lambda guard, team, birth, life: House(tuple(guard), tuple(team), {**birth, **life}),
        st.lists(guards, max_size=1),
        st.lists(teams, max_size=1),
        births,
        lives,
    )


permits = permits_since(starts)
choices = choices_since(starts)
houses = houses_since(starts)


# What is seen


def seen(facts: Facts, act: Act, now: int = NOW, rules: tuple[Rule, ...] = RULES) -> set[tuple[str, str]]:
    """Everybody with everything with which he may do this."""
    return {(name, key) for name, who in ASKING.items() for key in seen_by(who, facts, act, now, rules)}


def seen_by(
    who: Requester, facts: Facts, act: Act = Act.CONSULT, now: int = NOW, rules: tuple[Rule, ...] = RULES
) -> Iterator[str]:
    """The keys of everything in the world with which the requester may do this."""
    for type in TYPES:
        predicate = decision(who, facts=facts, act=act, type=type, now=now, rules=rules).visible.predicate
        yield from (one["_id"] for one in OF_TYPE[type] if matches(predicate, one))


@pytest.fixture(scope="module")
def stored(mongo_uri: str) -> Iterator[Entries]:
    """The world in a database."""
    with pymongo.MongoClient[dict[str, Any]](mongo_uri) as client:
        collection = client["choices"]["resources"]
        collection.insert_many([dict(one) for one in WORLD])
        yield collection
        client.drop_database("choices")


def test_the_world_is_worth_asking_about() -> None:
    """All of the record is seen by somebody, and by nobody all of it but by conformance clients."""
    facts = record(consents=[authorisation(SPECIALIST), delegation()], related_persons=[related_person()])
    sets = {name: frozenset(seen_by(who, facts)) for name, who in ASKING.items() if who.kind is not Kind.CONFORMANCE}
    documents = {one["_id"] for one in DOCUMENTS if one["record"] == "demo-1"}
    assert documents <= frozenset().union(*sets.values())
    assert not any(documents <= some for some in sets.values())
    assert len(set(sets.values())) > 6


@given(house=houses, consents=choices, act=acts, who=st.sampled_from([*ASKING.values()]))
def test_what_a_search_finds_is_what_is_readable_one_by_one(
    stored: Entries, house: House, consents: list[Written], act: Act, who: Requester
) -> None:
    facts = house.record(consents)
    for type in TYPES:
        predicate = decision(who, facts=facts, act=act, type=type).visible.predicate
        found = {one["_id"] for one in stored.find({"$and": [{"rt": type}, to_filter(predicate)]}, {"_id": 1})}
        assert found == {one["_id"] for one in OF_TYPE[type] if holds(predicate, one)}


@given(house=houses, consents=choices, act=acts, who=st.sampled_from([*ASKING.values()]), auditor=st.booleans())
def test_what_is_explained_is_what_is_decided(
    house: House, consents: list[Written], act: Act, who: Requester, auditor: bool
) -> None:
    """Of one entry yes or no; of a whole type, yes and no are never said where some of it is otherwise."""
    facts = house.record(consents)
    for type in TYPES:
        asked = circumstances(requester=who, act=act, type=type, facts=facts, now=NOW, law=law())
        shown = {one["_id"]: matches(decide(asked).visible.predicate, one) for one in OF_TYPE[type]}
        for one in OF_TYPE[type]:
            told = explain(asked, one, whole=auditor, zone=PARIS).outcome
            assert told is (Outcome.PERMIT if shown[one["_id"]] else Outcome.DENY)
        of_all = explain(asked, whole=auditor, zone=PARIS).outcome
        of_record = [shown[one["_id"]] for one in OF_TYPE[type] if one["record"] == facts.record]
        assert of_all is not Outcome.PERMIT or all(of_record)
        assert of_all is not Outcome.DENY or not any(of_record)


@given(house=houses, consents=choices, act=acts, more=denies)
def test_one_more_deny_never_shows_more(house: House, consents: list[Written], act: Act, more: Written) -> None:
    """An opposition is only made to an open record, as the door refuses it otherwise; it then leaves its Consent."""
    document, accepted = house.kept(consents)
    before = facts_of(document)
    assume(before.life(NOW) == "open" or more.resource["policy"] != choice(Policy.OPPOSITION).resource["policy"])
    after, both = house.kept([*accepted, Written({**more.resource, "id": "more"}, NOW)])
    assume(len(both) > len(accepted))
    assert seen(facts_of(after), act) <= seen(before, act)


@given(house=houses, consents=choices, act=acts, one=permits, withdrawn=st.booleans())
def test_one_permit_less_never_shows_more(
    house: House, consents: list[Written], act: Act, one: Written, withdrawn: bool
) -> None:
    """Neither by taking it away nor by making it inactive."""
    extra = Written({**one.resource, "id": "extra"}, one.at)
    document, accepted = house.kept([extra, *consents])
    assume(extra in accepted)
    less = [Written({**extra.resource, "status": "inactive"}, NOW)] if withdrawn else []
    assert seen(house.record([*less, *accepted[1:]]), act) <= seen(facts_of(document), act)


@given(house=houses, consents=choices, act=acts, one=permits_since(past))
@example(house=House((), (care_team(SPECIALIST),), {}), consents=[], act=Act.CONSULT, one=team_choice("permit"))
def test_a_permit_that_is_over_is_as_if_it_were_not_there(
    house: House, consents: list[Written], act: Act, one: Written
) -> None:
    extra = bounded(Written({**one.resource, "id": "extra"}, one.at), {"start": "2025-01-01", "end": "2026-05-15"})
    document, accepted = house.kept([extra, *consents])
    assume(extra in accepted)
    assert seen(facts_of(document), act) == seen(house.record(accepted[1:]), act)


@given(house=houses, consents=choices, act=acts, later=st.integers(0, 400))
def test_time_shows_more_only_where_something_begins(
    house: House, consents: list[Written], act: Act, later: int
) -> None:
    """All else that time does, it takes away.

    What may begin: an authorisation, an administrator, a team, a membership, a representation, a delegation, and that
    the patient is told of the team.
    """
    facts = house.record(consents)
    then = NOW + later * DAY
    if seen(facts, act, then) <= seen(facts, act):
        return
    begins = [
        *(one.start for one in (*facts.authorisations, *facts.administrators, *facts.medecins_traitants)),
        *(bound for team in facts.teams for bound in (team.start, team.since, *(one.start for one in team.members))),
        *(one.start for one in facts.guardians),
        *(one.start for one in facts.carers),
    ]
    assert any(NOW < start <= then for start in begins)


@given(house=houses_since(past), consents=choices_since(past), act=acts, later=st.integers(0, 4000))
def test_time_never_shows_more_of_what_has_begun(house: House, consents: list[Written], act: Act, later: int) -> None:
    """With all beginnings in the past: nobody comes of age into a record, nothing lapses in favour of anybody."""
    facts = house.record(consents)
    assert seen(facts, act, NOW + later * DAY) <= seen(facts, act)


@given(house=houses, consents=choices, act=acts, shuffled=st.permutations(RULES))
def test_the_order_of_the_rules_does_not_matter(
    house: House, consents: list[Written], act: Act, shuffled: list[Rule]
) -> None:
    facts = house.record(consents)
    assert seen(facts, act, rules=tuple(shuffled)) == seen(facts, act)


@given(house=houses, consents=choices, organisation=st.sampled_from([None, HOSPITAL]))
def test_a_blocked_professional_consults_nothing_and_a_lifted_block_revives_nothing(
    house: House, consents: list[Written], organisation: str | None
) -> None:
    """R-10, R-12, R-14: whatever the patient chose before."""
    who = professional(SPECIALIST, organisation=organisation)
    before = [one for one in consents if one.resource["policy"] != block(SPECIALIST).resource["policy"]]
    at_last = Written({**block(SPECIALIST).resource, "id": "last"}, moment("2026-05-02"))
    blocked = house.record([*before, at_last])
    lifted_since = house.record([*before, at_last, at_last.inactive("2026-05-03")])
    assert set(seen_by(who, blocked)) <= {"Binary/waiting"}
    told_since = any(team.since > moment("2026-05-03") for team in lifted_since.teams)
    base = house if told_since else replace(house, teams=())  # a team he was told of since is a new ground
    assert set(seen_by(who, lifted_since)) <= set(seen_by(who, base.record([])))
