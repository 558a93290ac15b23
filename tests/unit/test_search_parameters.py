"""What resources are found by. Golden files show the whole index of each example; `GOLDEN=rewrite` writes them anew."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fhir_server.definitions.load import load
from fhir_server.definitions.profiles import read_search_parameters
from fhir_server.definitions.tables import SearchParameter, SearchParameterType
from fhir_server.fhir.date import MIN
from fhir_server.fhir.json import Json, JsonObject, decode_object
from fhir_server.fhir.reference import LocalReference
from fhir_server.record.elements import ELEMENTS, SEARCHED
from fhir_server.search.parameter import TYPES_OF_ELEMENTS
from fhir_server.search.parameters import NOT_INDEXED, Parameters
from fhir_server.search.path import Outside
from fhir_server.search.predicate import Field, one_of
from fhir_server.search.sort_dates import SORT_DATES

TESTS = Path(__file__).parents[1]
EXAMPLES = sorted((TESTS / "examples").glob("*.json"))
BASE = "https://serveur.example/fhir"
OWN = read_search_parameters(TESTS.parent / "profiles" / "SearchParameter")
PARAMETERS = Parameters(load(), SEARCHED, OWN, sort_dates=SORT_DATES, base_url=BASE)


def own(
    code: str, type: SearchParameterType, expression: str, *, base: tuple[str, ...] = ("Patient",)
) -> SearchParameter:
    return SearchParameter(
        url=f"https://exemple.fr/SearchParameter/{code}",
        code=code,
        type=type,
        base=base,
        expression=expression,
        targets=(),
        components=(),
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    resource = decode_object(path.read_bytes())
    index = PARAMETERS.index(str(resource["resourceType"]), resource)
    shown = json.dumps(asdict(index), ensure_ascii=False, indent=2) + "\n"
    golden = TESTS / "golden" / "index" / path.name
    if os.environ.get("GOLDEN") == "rewrite":
        golden.write_text(shown, encoding="utf-8")
    assert shown == golden.read_text(encoding="utf-8")


def test_the_order_of_members_does_not_matter() -> None:
    resource = decode_object(EXAMPLES[0].read_bytes())
    turned = dict(reversed(resource.items()))
    assert PARAMETERS.index("DocumentReference", turned) == PARAMETERS.index("DocumentReference", resource)


def test_supported_parameters_are_most_of_them() -> None:
    """Those of supported types, but for the few that have no expression or need more."""
    unsupported = {
        parameter.code
        for type in PARAMETERS.resource_types
        for parameter in PARAMETERS.of(type).values()
        if parameter.type in TYPES_OF_ELEMENTS and not parameter.supported
    }
    assert unsupported == {"_text", "_content", "_query", "birthOrderBoolean", "age"}
    others = [one for type in PARAMETERS.resource_types for one in PARAMETERS.of(type).values() if not one.supported]
    assert {one.code for one in others} - unsupported == {"_filter", "near"}
    assert frozenset({"_id", "_lastUpdated"}) == NOT_INDEXED


def test_the_element_of_the_record_gives_no_term() -> None:
    resource: JsonObject = {"subject": {"reference": f"{BASE}/Patient/1", "identifier": {"system": "s", "value": "v"}}}
    assert PARAMETERS.index("DocumentReference", resource).terms == [
        "patient:identifier#v",
        "patient:identifier=s|v",
        "subject:identifier#v",
        "subject:identifier=s|v",
    ]
    resource = {"subject": {"reference": "Group/1"}}
    assert PARAMETERS.index("DocumentReference", resource).terms == ["subject=Group/1"]


def test_the_record_is_told_by_the_parameters_of_that_element_alone() -> None:
    of_record = {
        (type, parameter.code)
        for type in PARAMETERS.resource_types
        for parameter in PARAMETERS.of(type).values()
        if parameter.of_record
    }
    assert {type for type, _ in of_record} == ELEMENTS.keys()
    assert {code for _, code in of_record} == {"patient", "subject", "beneficiary", "individual", "actor"}
    assert ("AuditEvent", "patient") not in of_record


def test_each_example_of_an_account_with_two_patients() -> None:
    """A subject that repeats cannot be one scalar: each patient is a term."""
    resource: JsonObject = {"subject": [{"reference": "Patient/1"}, {"reference": "Patient/2"}]}
    assert {"patient=Patient/1", "patient=Patient/2"} <= set(PARAMETERS.index("Account", resource).terms)


@pytest.mark.parametrize(
    ("type", "resource", "on"),
    [
        ("Observation", {"effectiveDateTime": "1970-01-02"}, 86_400_000_000),
        ("Observation", {"effectivePeriod": {"end": "1970-01-02"}}, 2 * 86_400_000_000),
        ("Observation", {}, MIN),
        ("Organization", {"name": "x"}, MIN),
        ("ImmunizationRecommendation", {"date": "1970-01-02"}, 86_400_000_000),
    ],
)
def test_sort_date(type: str, resource: JsonObject, on: int) -> None:
    assert PARAMETERS.index(type, resource).on == on


def test_of_several_dates_the_latest_sorts() -> None:
    parameters = Parameters(load(), {}, sort_dates={"Encounter": "location-period"})
    places: JsonObject = {"location": [{"period": {"start": "1970-01-02"}}, {"period": {"start": "1970-01-01"}}]}
    assert parameters.index("Encounter", places).on == 86_400_000_000


def test_own_parameters() -> None:
    archived: JsonObject = {
        "extension": [
            {
                "url": "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived",
                "valueBoolean": True,
            }
        ]
    }
    assert PARAMETERS.index("DocumentReference", archived).terms == ["isArchived#true"]
    assert PARAMETERS.index("List", archived).terms == ["isArchived#true"]
    replaced = Parameters(load(), {}, [own("gender", "token", "Patient.active")], sort_dates={})
    terms = replaced.index("Patient", {"active": True, "gender": "male"}).terms
    assert terms == ["active#true", "deceased#false", "gender#true"]
    everywhere = Parameters(
        load(), {}, [own("rules", "uri", "Resource.implicitRules", base=("Resource",))], sort_dates={}
    )
    assert everywhere.index("Bundle", {"implicitRules": "u:1"}).terms == ["rules=u:1"]


@pytest.mark.parametrize(
    ("parameter", "told"),
    [
        (own("x", "token", "Patient.nom"), "x cannot be served: Patient has no element 'nom'"),
        (own("x", "token", "Patient.name.all()"), "all()"),
        (own("x", "date", "Patient.gender"), "is a date, but its expression gives code"),
        (own("x", "token", "Observation.status"), "nothing in Patient"),
        (own("a=b", "token", "Patient.gender"), "'a=b'"),
        (own("x", "token", "Patient.gender", base=("Patent",)), "'Patent'"),
    ],
)
def test_a_parameter_that_cannot_be_served_stops_the_start(parameter: SearchParameter, told: str) -> None:
    with pytest.raises(ValueError, match="SearchParameter") as stopped:
        Parameters(load(), {}, [parameter], sort_dates={})
    assert told in str(stopped.value)
    assert parameter.url in str(stopped.value)
    assert isinstance(stopped.value, Outside) or parameter.base == ("Patent",)


def test_a_binding_is_looked_for_where_the_element_has_it() -> None:
    """Through a choice whose first type has no such element, there is none to find."""
    one = own("x", "token", "Condition.onset.code", base=("Condition",))
    parameters = Parameters(load(), {}, [one], sort_dates={})
    assert parameters.of("Condition")["x"].implied == frozenset()
    assert ("http://hl7.org/fhir/observation-status", "final") in PARAMETERS.of("Observation")["status"].implied
    assert PARAMETERS.of("Observation")["code"].implied == frozenset()


def test_the_same_resource_gives_the_same_whatever_was_indexed_before() -> None:
    """What is worked out once is worked out once a resource."""
    one: JsonObject = {"name": [{"family": "Martin", "given": ["Zoé"]}]}
    other: JsonObject = {"name": [{"family": "Zoé", "given": ["Martin"]}]}
    first = PARAMETERS.index("Patient", one)
    assert PARAMETERS.index("Patient", other).terms != first.terms
    assert PARAMETERS.index("Patient", one) == first
    assert not any("~" in term for term in PARAMETERS.index("Observation", {"code": {"text": "Zoé"}}).terms)


def test_a_long_text_is_kept_beside_its_terms() -> None:
    long = "É" * 300
    index = PARAMETERS.index("DocumentReference", {"description": long})
    assert index.texts == ["description=" + "e" * 300]
    assert "description=" + "e" * 200 in index.terms
    assert PARAMETERS.index("DocumentReference", {"description": "É" * 200}).texts == []


def test_a_marker_tells_that_there_is_an_element_with_nothing_to_find() -> None:
    contained: JsonObject = {"author": [{"reference": "#a"}], "date": "hier", "subject": {"display": "x"}}
    assert PARAMETERS.index("DocumentReference", contained).terms == ["author:any", "date:any"]


def test_a_marker_stands_beside_a_reference_that_may_be_hidden() -> None:
    """Of whom that is hidden, another that nothing finds is still there."""
    silent: Json = {"display": "Lettre"}
    hidden: Json = {"reference": "DocumentReference/1"}
    open_to_all: Json = {"reference": "Practitioner/1"}
    elsewhere: Json = {"identifier": {"value": "1"}}

    def terms(*derived: Json) -> list[str]:
        return PARAMETERS.index("Observation", {"derivedFrom": list(derived)}).terms

    assert terms(hidden, silent) == terms(silent, hidden) == ["derived-from:any", "derived-from=DocumentReference/1"]
    assert terms(open_to_all, silent) == ["derived-from=Practitioner/1"]
    assert terms(elsewhere, silent) == ["derived-from:identifier#1", "derived-from:identifier=|1"]
    assert terms(hidden) == ["derived-from=DocumentReference/1"]
    assert terms(silent) == ["derived-from:any"]


def test_wrong_settings_stop_the_start() -> None:
    with pytest.raises(ValueError, match="sort date of Patient is 'gender'"):
        Parameters(load(), {}, sort_dates={"Patient": "gender"})
    with pytest.raises(ValueError, match=r"Patient is 'Patient\.nom'"):
        Parameters(load(), {"Patient": "Patient.nom"}, sort_dates={})


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    good = {
        "resourceType": "SearchParameter",
        "url": "u",
        "code": "c",
        "type": "token",
        "base": ["Patient"],
        "expression": "Patient.gender",
        "target": ["Patient"],
    }
    (tmp_path / "a.json").write_text(json.dumps(good))
    (read,) = read_search_parameters(tmp_path)
    assert read == replace(own("c", "token", "Patient.gender"), url="u", targets=("Patient",))
    changes: tuple[dict[str, object], ...] = (
        {"type": "texte"},
        {"base": []},
        {"expression": ""},
        {"resourceType": "Patient"},
        {"url": 3},
    )
    for change in changes:
        (tmp_path / "a.json").write_text(json.dumps(good | change))
        with pytest.raises(ValueError, match=r"a\.json"):
            read_search_parameters(tmp_path)
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a\.json"):
        read_search_parameters(tmp_path)


def test_includes_follow_references() -> None:
    resource = decode_object((TESTS / "examples" / "DocumentReference-lettre.json").read_bytes())
    found = {
        code: [str(one) for one in PARAMETERS.references("DocumentReference", code, resource)]
        for code in ("subject", "patient", "author", "authenticator", "relatesto")
    }
    assert found == {
        "subject": ["Patient/helene"],
        "patient": ["Patient/helene"],
        "author": ["Organization/hopital"],
        "authenticator": [],
        "relatesto": ["DocumentReference/brouillon"],
    }
    canonical: JsonObject = {"questionnaire": f"{BASE}/Questionnaire/q"}
    assert PARAMETERS.references("QuestionnaireResponse", "questionnaire", canonical) == [
        LocalReference("Questionnaire", "q")
    ]


def test_reverse_includes_ask_for_references() -> None:
    patient, document = LocalReference("Patient", "1"), LocalReference("DocumentReference", "2")
    assert PARAMETERS.refers_to("DocumentReference", "subject", [patient]) == one_of(Field.RECORD, "1")
    assert PARAMETERS.refers_to("List", "item", [document]) == one_of(Field.TERMS, "item=DocumentReference/2")


def test_targets_are_those_of_the_element() -> None:
    """The definition of the common parameter `patient` names Group too; the element it speaks of does not."""
    document, audit = PARAMETERS.get("DocumentReference", "patient"), PARAMETERS.get("AuditEvent", "patient")
    anything = PARAMETERS.get("Provenance", "target")
    assert document is not None
    assert document.targets == ("Patient",)
    assert audit is not None
    assert audit.targets == ("Patient",)
    assert anything is not None
    assert len(anything.targets) > 140
    mixed = PARAMETERS.get("Measure", "depends-on")  # a canonical to anything, or to a Library
    assert mixed is not None
    assert "Questionnaire" in mixed.targets
