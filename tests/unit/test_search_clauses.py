"""One pair of a query as a clause: what it asks of an entry, and what it first asks of others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhir.errors import Invalid
from fhir_server.fhir.json import JsonObject
from fhir_server.fhir.outcome import IssueType
from fhir_server.search import chains, codes, compartments
from fhir_server.search.clause import (
    Around,
    ByType,
    Chained,
    Clause,
    Every,
    Having,
    InValueSet,
    Listed,
    RecordNamed,
    Some,
    Subsumed,
    Without,
)
from fhir_server.search.predicate import (
    ALWAYS,
    NEVER,
    Field,
    Prefix,
    Span,
    all_of,
    any_of,
    matches,
    negate,
    one_of,
)
from fhir_server.search.query import parse
from fhir_server.search.types.token import Token
from fhir_server.terminology import Codes, Coding
from tests.searching import BASE, CONTEXT, PARAMETERS, clauses, finds, found, parameter, read, refusal

TERM = one_of(Field.TERMS, "identifier#x")


def asked(type: str, pair: str) -> Clause:
    (clause,) = clauses(type, pair)
    return clause


def test_a_chain_leads_over_each_type_that_has_the_parameter() -> None:
    author = asked("DocumentReference", "author.identifier=x")
    assert isinstance(author, Chained)
    assert author.parameter is parameter("DocumentReference", "author")
    named = {
        type: RecordNamed(frozenset(), ((None, "x"),)) if type == "Patient" else TERM for type in author.inner.types
    }
    assert dict(author.inner.each) == named
    assert author.inner.types == (
        "Device",
        "Organization",
        "Patient",
        "Practitioner",
        "PractitionerRole",
        "RelatedPerson",
    )
    narrowed = asked("DocumentReference", "author:Practitioner.identifier=x")
    assert narrowed == Chained(author.parameter, ByType((("Practitioner", TERM),)))


def test_a_chain_may_go_on() -> None:
    role = asked("DocumentReference", "author:PractitionerRole.organization.name=chu")
    organization = Chained(
        parameter("PractitionerRole", "organization"), ByType((("Organization", Prefix("name=chu")),))
    )
    assert role == Chained(parameter("DocumentReference", "author"), ByType((("PractitionerRole", organization),)))


def test_what_one_type_objects_to_another_may_mean() -> None:
    """`code` is a token of some targets of a focus and has modifiers that others know not."""
    by_some = asked("Provenance", "target:Observation.value-quantity=3||mg")
    assert isinstance(by_some, Chained)
    focus = asked("Observation", "focus.date=2024")
    assert isinstance(focus, Chained)
    assert "Observation" in focus.inner.types
    assert "AuditEvent" not in focus.inner.types, "traces are no part of a chain"
    assert "is not a date" in str(refusal("Observation", "focus.date=2024-13")), "where all object, they are heard"


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("patient.identifier.value=a", "'identifier' of Patient is a token"),
        ("status.x=1", "'status' of DocumentReference is a token"),
        ("subject.=a", "the search parameter after it is missing"),
        ("subject:Patient.=a", "the search parameter after it is missing"),
        ("subject:Nope.name=a", "'Nope' is not a resource type"),
        ("subject:Location.name=a", "'subject' cannot point to Location"),
        ("subject.nope=a", "'nope' is not a search parameter of what the chain leads to: Device, Group, Patient"),
        ("related.nope=a", "leads to: Account, ActivityDefinition"),
        ("subject:Patient.birthdate=2024-13", "'2024-13' is not a date"),
        ("patient.identifier=urn:x|", "needs a value, not a system alone"),
        ("patient._id=a b", "must be the id of a patient"),
        ("related:List.subject:Nope.name=a", "'Nope' is not a resource type"),
    ],
)
def test_a_chain_that_leads_nowhere_is_refused(pair: str, told: str) -> None:
    assert told in str(refusal("DocumentReference", pair))


def test_a_chain_has_an_end() -> None:
    step = "link:Patient."
    assert isinstance(asked("Patient", f"{step * chains.MOST_HOPS}name=a"), Chained)
    assert f"more than {chains.MOST_HOPS} references" in str(
        refusal("Patient", f"{step * (chains.MOST_HOPS + 1)}name=a")
    )
    again = "_has:Patient:link:"
    assert isinstance(asked("Patient", f"{again * chains.MOST_HOPS}name=a"), Having)
    assert f"more than {chains.MOST_HOPS} references" in str(
        refusal("Patient", f"{again * (chains.MOST_HOPS + 1)}name=a")
    )


def test_a_chain_over_anything_is_not_wider_than_what_can_be_looked_up() -> None:
    """Each point multiplied the types: five times subject asked 6,000 questions, and took seconds to read."""
    wide = asked("Basic", "subject.subject.identifier=x")
    assert 1 < chains.look_ups(wide) <= chains.MOST_LOOK_UPS
    for length in (3, 5, 8):
        told = refusal("Basic", f"{'subject.' * length}identifier=x")
        assert told.issues[0].code is IssueType.TOO_COSTLY
        assert "name the type of each reference" in str(told)
    narrow = "subject:Patient.general-practitioner:PractitionerRole.organization.partof.name=x"
    assert chains.look_ups(asked("Basic", narrow)) == 4
    assert chains.look_ups(asked("Provenance", "target.code:in=http://x")) > 20, "each of these value sets is looked up"


def test_what_a_chain_needs_to_look_up() -> None:
    inner = ByType((("Patient", TERM), ("Group", InValueSet(parameter("Group", "code"), ("u",), negated=False))))
    chain = Chained(parameter("List", "subject"), inner)
    assert chains.look_ups(chain) == 2
    assert chains.look_ups(Having("List", parameter("List", "item"), ("Patient",), chain)) == 3
    assert chains.look_ups(Around(parameter("List", "source"), ("Organization/1",), below=True)) == 1
    assert chains.look_ups(Subsumed(parameter("List", "code"), (Token(None, "a"),), below=True)) == 1
    assert chains.look_ups(TERM) == 0


def test_has_turns_a_reference_round() -> None:
    agent = one_of(Field.TERMS, "agent=Practitioner/1")
    having = asked("DocumentReference", "_has:Provenance:target:agent=Practitioner/1")
    assert having == Having("Provenance", parameter("Provenance", "target"), ("DocumentReference",), agent)
    twice = asked("Patient", "_has:Observation:patient:_has:Provenance:target:agent=Practitioner/1")
    inner = Having("Provenance", parameter("Provenance", "target"), ("Observation",), agent)
    assert twice == Having("Observation", parameter("Observation", "patient"), ("Patient",), inner)
    chained = asked("Patient", "_has:Observation:patient:performer:Practitioner.name=x")
    assert isinstance(chained, Having)
    assert isinstance(chained.inner, Chained)
    several = read(None, "_type=DocumentReference,Observation", "_has:Provenance:target:agent=Practitioner/1").clauses
    assert several == (replace(having, types=("DocumentReference", "Observation")),)


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        ("_has=a", "It must be `_has:Type:reference:parameter`"),
        ("_has:Provenance:target=a", "It must be"),
        ("_has:Provenance::agent=a", "It must be"),
        ("_has:Nope:target:agent=a", "'Nope' is not a resource type"),
        ("_has:AuditEvent:entity:type=a", "Traces are searched by their own type"),
        ("_has:Provenance:nope:agent=a", "'nope' is not a reference parameter of Provenance"),
        ("_has:Provenance:recorded:agent=a", "'recorded' is not a reference parameter"),
        ("_has:Observation:patient:code=1", "Observation:patient cannot point to DocumentReference"),
        ("_has:Provenance:target:nope=a", "'nope' is not a search parameter of Provenance"),
        ("_has:Provenance:target:recorded=2024-13", "is not a date"),
    ],
)
def test_a_has_that_means_nothing_is_refused(pair: str, told: str) -> None:
    assert told in str(refusal("DocumentReference", pair))


def test_lists_are_named_by_their_ids() -> None:
    assert asked("Patient", "_list=a,List/b") == Listed(("a", "b"))
    assert "takes no modifier" in str(refusal("Patient", "_list:not=a"))
    assert "the id of a List" in str(refusal("Patient", "_list=Patient/a"))
    assert "$current-problems" in str(read("Patient", "_list=$current-problems", strict=False).issues[0].diagnostics)


def test_codes_that_a_terminology_tells() -> None:
    code = parameter("Observation", "code")
    assert asked("Observation", "code:in=http://a,ValueSet/b") == InValueSet(
        code, ("http://a", "ValueSet/b"), negated=False
    )
    assert asked("Observation", "code:not-in=http://a") == InValueSet(code, ("http://a",), negated=True)
    below = Subsumed(code, (Token("s", "c"), Token(None, "d")), below=True)
    assert asked("Observation", "code:below=s|c,d") == below
    assert asked("Observation", "code:above=s|c,d") == replace(below, below=False)
    assert "need a code" in str(refusal("Observation", "code:below=s|"))


def test_told_codes_become_terms() -> None:
    code, status = parameter("Observation", "code"), parameter("Observation", "status")
    told = Codes(frozenset({Coding("s", "a")}), frozenset({"t"}), frozenset({"b"}))
    expected = any_of([one_of(Field.TERMS, "code=s|a", "code#b"), Prefix("code=t|")])
    assert codes.among(code, [told]) == expected
    final = Codes(frozenset({Coding("http://hl7.org/fhir/observation-status", "final"), Coding("x", "final")}))
    assert codes.among(status, [final]) == one_of(
        Field.TERMS, "status#final", "status=x|final", "status=http://hl7.org/fhir/observation-status|final"
    )
    whole = Codes(systems=frozenset({"http://hl7.org/fhir/observation-status"}))
    asked_whole = codes.among(status, [whole])
    assert matches(asked_whole, {"ix": {"s": ["status#final"]}})
    assert not matches(asked_whole, {"ix": {"s": ["status#other"]}})
    assert codes.among(code, []) == NEVER
    language = parameter("DocumentReference", "language")
    assert codes.among(language, [Codes(frozenset({Coding("urn:ietf:bcp:47", "fr")}))]) == one_of(
        Field.TERMS, "language#fr", "language=urn:ietf:bcp:47|fr"
    )


def test_media_types_lie_under_each_other_by_their_parameters() -> None:
    kind = parameter("DocumentReference", "contenttype")
    below = codes.below_media_types(kind, [Token(None, "text/xml"), Token(None, "pdf"), Token("s", "a/b")])
    assert below == any_of([Prefix("contenttype#text/xml;"), Prefix("contenttype#text/xml ")])
    assert codes.below_media_types(parameter("Observation", "code"), [Token(None, "text/xml")]) == NEVER


def test_places_and_organisations_are_parts_of_each_other() -> None:
    location = parameter("Encounter", "location")
    assert asked("Encounter", "location:below=1,Location/2") == Around(
        location, ("Location/1", "Location/2"), below=True
    )
    assert asked("Encounter", f"location:above={BASE}/Location/1") == Around(location, ("Location/1",), below=False)
    author = parameter("DocumentReference", "author")
    assert asked("DocumentReference", "author:below=1") == Around(author, ("Organization/1",), below=True)
    assert "for references to Location or Organization" in str(refusal("DocumentReference", "patient:below=1"))
    assert "of this server" in str(refusal("Encounter", "location:below=https://ailleurs.example/Location/1"))


FORM = "https://exemple.fr/Questionnaire/f"


@pytest.mark.parametrize(
    ("held", "pair", "hit"),
    [
        (f"{FORM}|1.2", f"questionnaire:below={FORM}", True),
        (f"{FORM}|1.2", f"questionnaire:below={FORM}|1", True),
        (f"{FORM}|1.2", f"questionnaire:below={FORM}|1.2", True),
        (f"{FORM}|12", f"questionnaire:below={FORM}|1", False),
        (FORM, f"questionnaire:below={FORM}|1", False),
        (f"{BASE}/Questionnaire/f|1.2", "questionnaire:below=Questionnaire/f|1", True),
        (f"{BASE}/Questionnaire/f|1.2", f"questionnaire:below={BASE}/Questionnaire/f|1", True),
        (f"{BASE}/Questionnaire/f|2.2", "questionnaire:below=Questionnaire/f|1", False),
    ],
)
def test_versions_of_a_canonical_lie_under_each_other(held: str, pair: str, hit: bool) -> None:
    assert finds("QuestionnaireResponse", {"questionnaire": held}, pair) is hit


def test_a_version_to_look_below_is_not_too_long() -> None:
    long = f"{FORM}{'x' * 180}|1"
    assert "at most" in str(refusal("QuestionnaireResponse", f"questionnaire:below={long}"))


def test_an_identifier_stands_beside_references_alone() -> None:
    told = refusal("QuestionnaireResponse", "questionnaire:identifier=a")
    assert "a canonical has no identifier beside it" in str(told)


@pytest.mark.parametrize(
    ("type", "pair", "told"),
    [
        ("Observation", "code:exact=x", "it takes :above, :below, :in, :missing, :not, :not-in, :of-type, :text"),
        ("Observation", "value-quantity:not=3", "it takes :missing"),
        ("Observation", "code-value-quantity:not=a$3", "it takes :missing"),
        ("RiskAssessment", "probability:not=3", "it takes :missing"),
        ("Patient", "phonetic:exact=x", "it takes :missing"),
        ("Patient", "family:text=x", "it takes :contains, :exact, :missing"),
        ("ValueSet", "url:not=x", "it takes :above, :below, :missing"),
        ("DocumentReference", "author:exact=x", ":[type]"),
        ("Observation", "code:of-type=a|b|c", "for identifiers alone"),
        ("Patient", "_id:missing=maybe", "must be true or false"),
        ("Patient", "family:missing=1", "must be true or false"),
    ],
)
def test_a_modifier_that_is_not_known_is_refused_with_those_that_are(type: str, pair: str, told: str) -> None:
    assert told in str(refusal(type, pair))


def test_present_is_whatever_there_is() -> None:
    any_term = one_of(Field.TERMS, "value-quantity:any")
    assert asked("Observation", "value-quantity:missing=false") == any_of([Span("value-quantity", ()), any_term])
    assert asked("Observation", "code-value-quantity:missing=true") == negate(
        one_of(Field.TERMS, "code-value-quantity:any")
    )
    prefixes = [Prefix(f"subject{mark}") for mark in "=#:"]
    of_record = negate(one_of(Field.RECORD, None))
    assert asked("DocumentReference", "subject:missing=false") == any_of([*prefixes, of_record])
    assert asked("Patient", "_id:missing=false") == ALWAYS
    assert asked("Patient", "_id:missing=true") == NEVER
    assert asked("Patient", "_lastUpdated:missing=true") == NEVER


def test_the_code_of_a_relation_has_a_system_in_a_composite_too() -> None:
    """The binding of `relatesTo.code` tells it, as that of a status does."""
    resource: JsonObject = {"relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/1"}}]}
    system = "http://hl7.org/fhir/document-relationship-type"
    for spelled, hit in (
        (f"{system}|replaces", True),
        ("replaces", True),
        (f"{system}|appends", False),
        ("x|replaces", False),
    ):
        assert finds("DocumentReference", resource, f"relationship={spelled}$DocumentReference/1") is hit


# _filter


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("status eq current", one_of(Field.TERMS, "status#current")),
        ('description eq "Lettre"', one_of(Field.TERMS, "description=lettre")),
        ('description sw "Lettre"', Prefix("description=lettre")),
        ("_id eq a", one_of(Field.ID, "DocumentReference/a")),
        ("_id ne a", Without(one_of(Field.ID, "DocumentReference/a"))),
        ("not (status eq current)", Without(one_of(Field.TERMS, "status#current"))),
        ("author re Organization/1", one_of(Field.TERMS, "author=Organization/1")),
        (
            "type ss http://loinc.org|1",
            Subsumed(parameter("DocumentReference", "type"), (Token("http://loinc.org", "1"),), below=True),
        ),
        (
            "type sb http://loinc.org|1",
            Subsumed(parameter("DocumentReference", "type"), (Token("http://loinc.org", "1"),), below=False),
        ),
        ("type in http://v", InValueSet(parameter("DocumentReference", "type"), ("http://v",), negated=False)),
        ("type ni http://v", InValueSet(parameter("DocumentReference", "type"), ("http://v",), negated=True)),
    ],
)
def test_a_comparison_is_said_as_a_search_says_it(filter: str, expected: Clause) -> None:
    assert clauses("DocumentReference", f"_filter={filter}") == (expected,)


def test_a_filter_joins_comparisons() -> None:
    current, old = one_of(Field.TERMS, "status#current"), one_of(Field.TERMS, "status#superseded")
    assert asked("DocumentReference", "_filter=status eq current and status eq superseded") == Every((current, old))
    assert asked("DocumentReference", "_filter=status eq current or status eq superseded") == Some((current, old))
    present = any_of([Prefix(f"status{mark}") for mark in "=#:"])
    assert asked("DocumentReference", "_filter=status ne current") == Every((present, Without(current)))
    assert asked("DocumentReference", "_filter=status pr true") == present
    assert asked("DocumentReference", "_filter=status pr false") == negate(present)


@pytest.mark.parametrize(
    ("filter", "hit"),
    [
        ("date gt 2024-01", True),
        ("date lt 2024-01", False),
        ("date po 2024", True),
        ("date po 2023", False),
        ("date eq 2024-05-02", True),
        ("date ne 2024-05-02", False),
        ('description co "iais"', True),
        ('description co "xyz"', False),
        ('description eq "Liaison, lettre"', True),
        ('description eq "Liaison"', False),
    ],
)
def test_a_comparison_finds_what_it_means(filter: str, hit: bool) -> None:
    resource: JsonObject = {"date": "2024-05-02T10:00:00Z", "description": "Liaison, lettre"}
    (clause,) = read("DocumentReference", f"_filter={filter}").clauses
    parts = clause.parts if isinstance(clause, Every) else (clause,)
    assert all(_holds(part, resource) for part in parts) is hit


def _holds(clause: Clause, resource: JsonObject) -> bool:
    if isinstance(clause, Without):
        return not _holds(clause.part, resource)
    assert not isinstance(
        clause, RecordNamed | Chained | Having | Listed | InValueSet | Subsumed | Around | ByType | Every | Some
    )
    index = PARAMETERS.index("DocumentReference", resource)
    return matches(clause, {"ix": {"s": index.terms, "r": index.ranges}})


@pytest.mark.parametrize(
    ("filter", "told"),
    [
        ("status:not eq current", ""),
        ('description ew "fin"', "ew (ends with) is not supported"),
        ("status gt current", "gt does not go with 'status'"),
        ('phonetic co "x"', "':contains' is not supported for this parameter"),
        ("date po gt2024", "has no prefix"),
        ('status eq ""', "The value is empty"),
        ('name[use eq official].family eq "a"', "in brackets is not supported"),
        ("_text eq a", "is not supported"),
        ("nope eq a", "'nope' is not a search parameter"),
        ("date eq 2024-13", "is not a date"),
    ],
)
def test_a_comparison_that_means_nothing_is_refused(filter: str, told: str) -> None:
    type = "Patient" if filter.startswith(("phonetic", "name")) else "DocumentReference"
    assert told in str(refusal(type, f"_filter={filter}", strict=True))


def test_a_filter_chains_and_has() -> None:
    assert isinstance(asked("DocumentReference", '_filter=author.name eq "a"'), Chained)
    assert asked("DocumentReference", "_filter=_list eq a") == Listed(("a",))
    having = asked("DocumentReference", "_filter=_has:Provenance:target:agent re Practitioner/1")
    assert isinstance(having, Having)


# Compartments


def test_what_is_in_a_compartment() -> None:
    definitions = load()
    types = compartments.members("Patient", definitions)
    assert {"Patient", "Observation", "DocumentReference"} <= set(types)
    assert "AuditEvent" not in types
    assert "Practitioner" not in types
    within = compartments.within("Patient", "1", ("Observation", "Patient"), definitions, PARAMETERS)
    assert matches(within, {"rt": "Observation", "record": "1", "ix": {"s": []}})
    assert matches(within, {"rt": "Observation", "record": "2", "ix": {"s": ["performer=Patient/1"]}})
    assert not matches(within, {"rt": "Observation", "record": "2", "ix": {"s": []}})
    assert matches(within, {"rt": "Patient", "_id": "Patient/1", "ix": {"s": []}})
    assert matches(within, {"rt": "Patient", "_id": "Patient/2", "ix": {"s": ["link=Patient/1"]}})
    assert not matches(within, {"rt": "List", "record": "1", "ix": {"s": []}})


def test_a_search_of_a_compartment_is_of_its_types() -> None:
    query = parse(None, [], strict=True, context=CONTEXT, among=("List", "Patient"))
    assert query.types == ("List", "Patient")
    with pytest.raises(Invalid, match="Observation is never in this compartment"):
        parse(None, [("_type", "List,Observation")], strict=True, context=CONTEXT, among=("List",))


# Several types at once


def test_several_types_have_a_condition_each() -> None:
    mixed = read(None, "_type=Patient,Observation", "_id=1", "_lastUpdated=2024").clauses
    assert mixed[0] == one_of(Field.ID, "Patient/1", "Observation/1")
    parts = clauses(None, "_type=DocumentReference,AuditEvent", "patient=1")
    by_type = any_of(
        [
            all_of([one_of(Field.TYPE, "DocumentReference"), one_of(Field.RECORD, "1")]),
            all_of([one_of(Field.TYPE, "AuditEvent"), one_of(Field.TERMS, "patient=Patient/1")]),
        ]
    )
    assert parts == (by_type,)
    (chained,) = clauses(None, "_type=Observation,Encounter", "subject:Group.code=x")
    assert isinstance(chained, ByType)
    assert chained.types == ("Observation", "Encounter")


def test_a_text_may_stand_in_a_token_whatever_its_case() -> None:
    assert found("ValueSet", {"version": "1.0-Beta"}, ("version", "1.0-BETA"))
    assert found("ValueSet", {"version": "1.0-Beta"}, ("version", "1.0-Beta"))
    assert not found("ValueSet", {"version": "1.0-Beta"}, ("version", "1.0"))


A04 = "https://mos.esante.gouv.fr/NOS/TRE_A04-Loinc/FHIR/TRE-A04-Loinc"
NAMES_OF_LOINC = ("http://loinc.org", A04, "urn:oid:2.16.840.1.113883.6.1")


def _measured(system: str) -> JsonObject:
    return {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "code": {"coding": [{"system": system, "code": "8480-6"}]},
        "valueQuantity": {"value": 140},
    }


@pytest.mark.parametrize("written", NAMES_OF_LOINC)
@pytest.mark.parametrize("asked_for", NAMES_OF_LOINC)
def test_a_code_is_found_under_each_name_of_its_system(written: str, asked_for: str) -> None:
    measured = _measured(written)
    for pair in (f"code={asked_for}|8480-6", f"code={asked_for}|", f"code-value-quantity={asked_for}|8480-6$gt100"):
        assert finds("Observation", measured, pair), pair
    assert not finds("Observation", measured, f"code:not={asked_for}|8480-6")
    assert not finds("Observation", measured, f"code={asked_for}|8462-4")
    assert not finds("Observation", measured, f"code-value-quantity={asked_for}|8480-6$gt150")


def test_the_system_that_a_binding_implies_has_its_oid_too() -> None:
    """https://hl7.org/fhir/R4/codesystem-observation-status.html"""
    assert finds("Observation", _measured("urn:x"), "status=urn:oid:2.16.840.1.113883.4.642.4.401|final")
    assert not finds("Observation", _measured("urn:x"), "status=urn:oid:2.16.840.1.113883.4.642.4.402|final")


def test_the_type_of_an_identifier_is_found_under_each_name_and_its_own_system_under_one() -> None:
    kind: JsonObject = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NH"}]}
    numbered: JsonObject = {
        "resourceType": "Organization",
        "id": "o",
        "identifier": [{"system": A04, "value": "7", "type": kind}],
    }
    assert finds("Organization", numbered, "identifier:of-type=urn:oid:2.16.840.1.113883.18.108|NH|7")
    assert finds("Organization", numbered, f"identifier={A04}|7")
    assert not finds("Organization", numbered, "identifier=http://loinc.org|7")
