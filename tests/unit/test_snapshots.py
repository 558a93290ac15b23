"""A differential over its base: each rule of https://hl7.org/fhir/R4/profiling.html#snapshot by an example."""

from __future__ import annotations

from typing import Any

import pytest

from tests.profiling import CORE, OURS, definitions, profile, snapshot_of

BY_CODE = {"discriminator": [{"type": "value", "path": "code"}], "rules": "open"}
BY_SYSTEM = {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}


def ids(elements: dict[str, dict[str, Any]], part: str) -> list[str]:
    return [id for id in elements if id == part or id.startswith((f"{part}.", f"{part}:"))]


def codes(element: dict[str, Any]) -> list[str]:
    return [use["code"] for use in element["type"]]


def test_what_is_told_replaces_and_the_rest_stays() -> None:
    made = snapshot_of(profile("Patient", {"id": "Patient.name", "min": 1, "max": "3", "mustSupport": True}))

    assert (made["Patient.name"]["min"], made["Patient.name"]["max"], made["Patient.name"]["mustSupport"]) == (
        1,
        "3",
        True,
    )
    assert made["Patient.name"]["base"] == {"path": "Patient.name", "min": 0, "max": "*"}
    assert made["Patient.name"]["short"] == "A name associated with the patient"
    assert made["Patient.gender"]["min"] == 0
    assert list(made) == list(snapshot_of(profile("Patient")))


def test_a_modifier_stays_one() -> None:
    made = snapshot_of(profile("Patient", {"id": "Patient.active", "min": 1}))
    assert made["Patient.active"]["isModifier"] is True
    assert made["Patient.active"]["isModifierReason"]


def test_a_forbidden_element_has_max_0() -> None:
    made = snapshot_of(profile("Patient", {"id": "Patient.photo", "max": "0"}))
    assert (made["Patient.photo"]["min"], made["Patient.photo"]["max"]) == (0, "0")


def test_constraints_accumulate_with_their_source() -> None:
    first = {"key": "a-1", "severity": "error", "human": "un nom", "expression": "name.exists()"}
    second = {"key": "b-1", "severity": "warning", "human": "un prénom", "expression": "name.given.exists()"}
    a = profile("Patient", {"id": "Patient", "constraint": [first]}, name="a", version="1")
    b = profile("Patient", {"id": "Patient", "constraint": [first, second]}, name="b", base=OURS + "a")
    made = snapshot_of(b, a)["Patient"]["constraint"]

    sources = {constraint["key"]: constraint["source"] for constraint in made}
    assert sources["a-1"] == OURS + "a"
    assert sources["b-1"] == OURS + "b"
    assert sources["dom-6"] == CORE + "DomainResource"
    assert [constraint["key"] for constraint in made].count("a-1") == 1, "repeated by the second, stands once"


def test_constraints_of_the_base_have_its_source() -> None:
    contact = snapshot_of(profile("Patient"))["Patient.contact"]["constraint"]
    assert [constraint["source"] for constraint in contact if constraint["key"] == "pat-1"] == [CORE + "Patient"]


def test_a_constraint_of_the_base_is_not_lifted_by_another_of_its_key() -> None:
    loose = {"key": "pat-1", "severity": "error", "human": "rien", "expression": "true"}
    made = snapshot_of(profile("Patient", {"id": "Patient.contact", "constraint": [loose]}))["Patient.contact"]

    expressions = [constraint["expression"] for constraint in made["constraint"] if constraint["key"] == "pat-1"]
    assert len(expressions) == 2
    assert "true" in expressions


def test_conditions_accumulate() -> None:
    made = snapshot_of(profile("Observation", {"id": "Observation.value[x]", "condition": ["a-1", "obs-7"]}))
    assert made["Observation.value[x]"]["condition"] == ["obs-7", "a-1"]


def test_a_binding_is_replaced() -> None:
    told = {"strength": "required", "valueSet": "https://exemple.fr/ValueSet/langues"}
    made = snapshot_of(profile("Patient", {"id": "Patient.language", "binding": told}))
    assert made["Patient.language"]["binding"] == told


def test_a_binding_made_stronger_keeps_its_value_set() -> None:
    made = snapshot_of(profile("Patient", {"id": "Patient.language", "binding": {"strength": "required"}}))
    binding = made["Patient.language"]["binding"]
    assert (binding["strength"], binding["valueSet"]) == ("required", "http://hl7.org/fhir/ValueSet/languages")


def test_types_are_narrowed() -> None:
    told = [{"code": "Reference", "targetProfile": [CORE + "Organization"]}]
    made = snapshot_of(
        profile("Patient", {"id": "Patient.deceased[x]", "type": [{"code": "dateTime"}]}),
    )
    assert codes(made["Patient.deceased[x]"]) == ["dateTime"]
    made = snapshot_of(profile("Patient", {"id": "Patient.generalPractitioner", "type": told}))
    assert made["Patient.generalPractitioner"]["type"] == told


def test_what_a_type_does_not_tell_again_stays() -> None:
    """A Reference without targets, a Quantity without its profile: a profile narrows, it does not open."""
    made = snapshot_of(
        profile(
            "Observation",
            {"id": "Observation.device", "type": [{"code": "Reference", "aggregation": ["contained"]}]},
            {"id": "Observation.referenceRange.low", "type": [{"code": "Quantity"}]},
        )
    )
    assert made["Observation.device"]["type"] == [
        {
            "code": "Reference",
            "aggregation": ["contained"],
            "targetProfile": [CORE + "Device", CORE + "DeviceMetric"],
        }
    ]
    assert made["Observation.referenceRange.low"]["type"] == [
        {"code": "Quantity", "profile": [CORE + "SimpleQuantity"]}
    ]


def test_a_target_may_be_a_profile_of_what_the_base_allows() -> None:
    told = [{"code": "Reference", "targetProfile": [OURS + "org"]}]
    made = snapshot_of(
        profile("Patient", {"id": "Patient.managingOrganization", "type": told}), profile("Organization", name="org")
    )
    assert made["Patient.managingOrganization"]["type"] == told


def test_a_target_of_the_base_may_name_a_version() -> None:
    def target(canonical: str) -> dict[str, Any]:
        return {"id": "Patient.managingOrganization", "type": [{"code": "Reference", "targetProfile": [canonical]}]}

    base = profile("Patient", target(CORE + "Organization|4.0.1"), name="base")
    made = snapshot_of(profile("Patient", target(CORE + "Organization"), base=OURS + "base"), base)
    assert made["Patient.managingOrganization"]["type"][0]["targetProfile"] == [CORE + "Organization"]


def test_any_resource_may_be_narrowed_to_one() -> None:
    told = [{"code": "Reference", "targetProfile": [CORE + "Patient"]}]
    made = snapshot_of(profile("Provenance", {"id": "Provenance.target", "type": told}))
    assert made["Provenance.target"]["type"] == told


def test_a_resource_may_be_narrowed_to_a_type() -> None:
    made = snapshot_of(
        profile(
            "Bundle",
            {
                "id": "Bundle.entry",
                "slicing": {"discriminator": [{"type": "type", "path": "resource"}], "rules": "open"},
            },
            {"id": "Bundle.entry:composition", "sliceName": "composition", "min": 1},
            {"id": "Bundle.entry:composition.resource", "min": 1, "type": [{"code": "Composition"}]},
            {"id": "Bundle.entry:composition.resource.title", "mustSupport": True},
        )
    )
    assert codes(made["Bundle.entry:composition.resource"]) == ["Composition"]
    title = made["Bundle.entry:composition.resource.title"]
    assert title["path"] == "Bundle.entry.resource.title"
    assert title["base"] == {"path": "Composition.title", "min": 1, "max": "1"}


def test_contained_resources_are_narrowed_by_slices_of_a_type() -> None:
    by_type = {"discriminator": [{"type": "type", "path": "$this"}], "rules": "closed"}
    made = snapshot_of(
        profile(
            "Patient",
            {"id": "Patient.contained", "slicing": by_type},
            {"id": "Patient.contained:structure", "sliceName": "structure", "type": [{"code": "Organization"}]},
        )
    )
    assert codes(made["Patient.contained:structure"]) == ["Organization"]


def test_a_data_type_is_unfolded_when_something_below_is_told() -> None:
    made = snapshot_of(profile("Patient", {"id": "Patient.identifier.period.start", "min": 1}))

    assert ids(made, "Patient.identifier") == [
        "Patient.identifier",
        *(f"Patient.identifier.{name}" for name in ("id", "extension", "use", "type", "system", "value", "period")),
        *(f"Patient.identifier.period.{name}" for name in ("id", "extension", "start", "end")),
        "Patient.identifier.assigner",
    ]
    assert made["Patient.identifier.period.start"]["min"] == 1
    assert made["Patient.identifier.period.start"]["base"] == {"path": "Period.start", "min": 0, "max": "1"}
    assert ids(made, "Patient.name") == ["Patient.name"]


def test_a_primitive_is_unfolded_for_its_extensions() -> None:
    birth_time = [{"code": "Extension", "profile": [CORE + "patient-birthTime"]}]
    made = snapshot_of(
        profile(
            "Patient",
            {"id": "Patient.birthDate.extension:heure", "sliceName": "heure", "max": "1", "type": birth_time},
        )
    )
    assert ids(made, "Patient.birthDate") == [
        "Patient.birthDate",
        "Patient.birthDate.id",
        "Patient.birthDate.extension",
        "Patient.birthDate.extension:heure",
        "Patient.birthDate.value",
    ]


def test_a_type_is_unfolded_from_its_profile() -> None:
    name = profile("HumanName", {"id": "HumanName.family", "min": 1}, name="nom", kind="complex-type")
    made = snapshot_of(
        profile(
            "Patient",
            {"id": "Patient.name", "type": [{"code": "HumanName", "profile": [OURS + "nom"]}]},
            {"id": "Patient.name.given", "min": 1},
        ),
        name,
    )
    assert made["Patient.name.family"]["min"] == 1
    assert made["Patient.name.given"]["min"] == 1


def test_what_the_profile_of_a_type_asks_of_the_whole_is_asked_here() -> None:
    quantity = [{"code": "Quantity", "profile": [CORE + "SimpleQuantity"]}]
    made = snapshot_of(profile("Observation", {"id": "Observation.value[x]", "type": quantity}))
    assert "sqty-1" in {constraint["key"] for constraint in made["Observation.value[x]"]["constraint"]}


def test_what_a_profile_asks_of_a_resource_is_asked_by_the_profile_alone() -> None:
    """Its constraints speak of the resource, which here is another one."""
    patient = [{"code": "Patient", "profile": [OURS + "patient"]}]
    asked = {"key": "a-1", "severity": "error", "human": "un nom", "expression": "name.exists()"}
    made = snapshot_of(
        profile("Bundle", {"id": "Bundle.entry.resource", "type": patient}),
        profile("Patient", {"id": "Patient", "constraint": [asked]}, name="patient"),
    )
    assert made["Bundle.entry.resource"]["type"] == patient
    assert not made["Bundle.entry.resource"].get("constraint")


def test_an_element_is_unfolded_where_it_refers_to_another() -> None:
    made = snapshot_of(
        profile(
            "Questionnaire",
            {"id": "Questionnaire.item.type", "mustSupport": True},
            {"id": "Questionnaire.item.item.linkId", "max": "1"},
            {"id": "Questionnaire.item.item.item.text", "min": 1},
        )
    )
    assert "contentReference" not in made["Questionnaire.item.item"]
    assert codes(made["Questionnaire.item.item"]) == ["BackboneElement"]
    assert made["Questionnaire.item.item.type"]["base"]["path"] == "Questionnaire.item.type"
    assert "mustSupport" not in made["Questionnaire.item.item.type"], "as the base has it, not as the profile"
    assert made["Questionnaire.item.item.item.text"]["min"] == 1
    assert made["Questionnaire.item.item.item.item"]["contentReference"] == "#Questionnaire.item"


def test_what_is_unfolded_in_a_bundle_refers_to_its_own_type() -> None:
    made = snapshot_of(
        profile(
            "Bundle",
            {"id": "Bundle.entry.resource", "type": [{"code": "Questionnaire"}]},
            {"id": "Bundle.entry.resource.item.item.linkId", "max": "1", "mustSupport": True},
        )
    )
    assert made["Bundle.entry.resource.item.item.linkId"]["base"]["path"] == "Questionnaire.item.linkId"


def test_what_refers_to_another_element_may_be_told_its_type() -> None:
    told = {"id": "Questionnaire.item.item", "type": [{"code": "BackboneElement"}]}
    made = snapshot_of(profile("Questionnaire", told, {"id": "Questionnaire.item.item.prefix", "max": "0"}))
    assert codes(made["Questionnaire.item.item"]) == ["BackboneElement"]
    assert made["Questionnaire.item.item.prefix"]["max"] == "0"


def test_any_choice_has_extensions() -> None:
    made = snapshot_of(profile("Patient", {"id": "Patient.deceased[x].extension", "max": "0"}))
    assert ids(made, "Patient.deceased[x]") == [
        "Patient.deceased[x]",
        "Patient.deceased[x].id",
        "Patient.deceased[x].extension",
    ]


def test_a_choice_of_one_type_is_unfolded_from_it() -> None:
    made = snapshot_of(
        profile(
            "Observation",
            {"id": "Observation.value[x]", "type": [{"code": "CodeableConcept"}]},
            {"id": "Observation.value[x].coding", "min": 1},
        )
    )
    assert made["Observation.value[x].coding"]["path"] == "Observation.value[x].coding"
    assert made["Observation.value[x].coding"]["min"] == 1


def test_slices_stand_after_the_element_and_its_children() -> None:
    made = snapshot_of(
        profile(
            "Patient",
            {"id": "Patient.identifier", "slicing": BY_SYSTEM},
            {"id": "Patient.identifier.use", "min": 1},
            {"id": "Patient.identifier:INS", "sliceName": "INS", "min": 1, "max": "1"},
            {"id": "Patient.identifier:INS.system", "min": 1, "fixedUri": "urn:oid:1.2.250.1.213.1.4.8"},
            {"id": "Patient.identifier:IPP", "sliceName": "IPP"},
        )
    )
    slices = [id for id in made if id.count(".") == 1 and id.startswith("Patient.identifier")]
    assert slices == ["Patient.identifier", "Patient.identifier:INS", "Patient.identifier:IPP"]
    order = list(made)
    assert order.index("Patient.identifier.assigner") < order.index("Patient.identifier:INS")
    assert order.index("Patient.identifier:INS.assigner") + 1 == order.index("Patient.identifier:IPP")
    assert made["Patient.identifier"]["slicing"] == BY_SYSTEM
    assert "slicing" not in made["Patient.identifier:INS"]
    assert made["Patient.identifier:INS"]["path"] == "Patient.identifier"
    assert made["Patient.identifier:INS.system"]["fixedUri"] == "urn:oid:1.2.250.1.213.1.4.8"


def test_a_new_slice_begins_as_the_element_of_the_base() -> None:
    """What the profile tells of all slices is told by the sliced element. A slice is not asked for by itself."""
    made = snapshot_of(
        profile(
            "Observation",
            {"id": "Observation.component", "slicing": BY_CODE, "min": 2, "mustSupport": True},
            {"id": "Observation.component.code", "mustSupport": True},
            {"id": "Observation.component:pas", "sliceName": "pas"},
        )
    )
    slice = made["Observation.component:pas"]
    assert (slice["min"], slice["max"]) == (0, "*")
    assert "mustSupport" not in slice
    assert "mustSupport" not in made["Observation.component:pas.code"]
    assert ids(made, "Observation.component:pas")[-1] == "Observation.component:pas.referenceRange"


def test_a_slice_of_the_base_is_constrained_further() -> None:
    base = profile(
        "Patient",
        {"id": "Patient.identifier", "slicing": BY_SYSTEM},
        {"id": "Patient.identifier:INS", "sliceName": "INS", "max": "1"},
        {"id": "Patient.identifier:INS.system", "min": 1},
        name="base",
    )
    made = snapshot_of(
        profile(
            "Patient",
            {"id": "Patient.identifier:INS", "sliceName": "INS", "min": 1},
            {"id": "Patient.identifier:INS.value", "min": 1},
            {"id": "Patient.identifier:autre", "sliceName": "autre", "max": "1"},
            base=OURS + "base",
        ),
        base,
    )
    assert (made["Patient.identifier:INS"]["min"], made["Patient.identifier:INS"]["max"]) == (1, "1")
    assert (made["Patient.identifier:INS.system"]["min"], made["Patient.identifier:INS.value"]["min"]) == (1, 1)
    assert made["Patient.identifier:autre"]["max"] == "1"


def test_slices_of_a_slice_come_after_it() -> None:
    made = snapshot_of(
        profile(
            "Patient",
            {"id": "Patient.identifier", "slicing": BY_SYSTEM},
            {"id": "Patient.identifier:INS", "sliceName": "INS", "slicing": BY_CODE, "max": "2"},
            {"id": "Patient.identifier:INS.value", "min": 1},
            {"id": "Patient.identifier:IPP", "sliceName": "IPP"},
            {"id": "Patient.identifier:INS/NIR", "sliceName": "INS/NIR", "max": "1"},
            {"id": "Patient.identifier:INS/NIA", "sliceName": "INS/NIA", "max": "1"},
        )
    )
    slices = [made[id]["sliceName"] for id in made if "sliceName" in made[id]]
    assert slices == ["INS", "INS/NIR", "INS/NIA", "IPP"]
    assert made["Patient.identifier:INS/NIR.value"]["min"] == 1, "it is an INS"
    assert "slicing" not in made["Patient.identifier:INS/NIR"]


def test_slices_of_a_slice_may_be_told_apart_as_it_is() -> None:
    made = snapshot_of(
        profile(
            "Patient",
            {"id": "Patient.identifier", "slicing": BY_SYSTEM},
            {"id": "Patient.identifier:INS", "sliceName": "INS", "max": "2"},
            {"id": "Patient.identifier:INS/NIR", "sliceName": "INS/NIR", "max": "1"},
        )
    )
    assert made["Patient.identifier:INS/NIR"]["max"] == "1"


def test_the_types_left_for_all_slices_are_those_of_a_slice() -> None:
    """What is below depends on them: without them nothing could be told of the unit of one slice."""
    made = snapshot_of(
        profile(
            "Observation",
            {"id": "Observation.component", "slicing": BY_CODE},
            {"id": "Observation.component.value[x]", "type": [{"code": "Quantity"}]},
            {"id": "Observation.component:pas", "sliceName": "pas"},
            {"id": "Observation.component:pas.value[x].unit", "min": 1},
        )
    )
    assert codes(made["Observation.component:pas.value[x]"]) == ["Quantity"]
    assert made["Observation.component:pas.value[x].unit"]["min"] == 1


@pytest.mark.parametrize("name", ["extension", "modifierExtension"])
def test_extensions_are_sliced_by_url(name: str) -> None:
    ours = [{"code": "Extension", "profile": [CORE + "patient-birthPlace"]}]
    made = snapshot_of(profile("Patient", {"id": f"Patient.{name}:lieu", "sliceName": "lieu", "type": ours}))

    assert made[f"Patient.{name}"]["slicing"]["discriminator"] == [{"type": "value", "path": "url"}]
    assert made[f"Patient.{name}:lieu"]["type"] == ours
    assert "ext-1" in {constraint["key"] for constraint in made[f"Patient.{name}:lieu"]["constraint"]}


def test_a_profiled_extension_is_unfolded_from_its_definition() -> None:
    ours = [{"code": "Extension", "profile": [CORE + "patient-birthPlace"]}]
    made = snapshot_of(
        profile(
            "Patient",
            {"id": "Patient.extension:lieu", "sliceName": "lieu", "type": ours},
            {"id": "Patient.extension:lieu.value[x].city", "min": 1},
        )
    )
    assert made["Patient.extension:lieu.url"]["fixedUri"] == CORE + "patient-birthPlace"
    assert codes(made["Patient.extension:lieu.value[x]"]) == ["Address"]
    assert made["Patient.extension:lieu.value[x].city"]["min"] == 1


def test_an_extension_of_parts() -> None:
    made = snapshot_of(
        profile(
            "Extension",
            {"id": "Extension.extension:date", "sliceName": "date", "min": 1, "max": "1"},
            {"id": "Extension.extension:date.url", "fixedUri": "date"},
            {"id": "Extension.extension:date.value[x]", "min": 1, "type": [{"code": "date"}]},
            {"id": "Extension.url", "fixedUri": OURS + "p"},
            {"id": "Extension.value[x]", "max": "0"},
            kind="complex-type",
        )
    )
    assert made["Extension.extension:date.url"]["fixedUri"] == "date"
    assert codes(made["Extension.extension:date.value[x]"]) == ["date"]
    assert made["Extension.value[x]"]["max"] == "0"


def test_an_extension_may_stand_within_itself() -> None:
    itself = [{"code": "Extension", "profile": [OURS + "p"]}]
    made = snapshot_of(
        profile("Extension", {"id": "Extension.extension:part", "type": itself}, kind="complex-type"),
    )
    assert made["Extension.extension:part"]["type"] == itself
    assert "Extension.extension:part.url" not in made


def test_an_extension_may_be_a_modifier() -> None:
    told = {"id": "Extension", "isModifier": True, "isModifierReason": "il change le sens"}
    made = snapshot_of(profile("Extension", told, name="ext", kind="complex-type"))
    assert made["Extension"]["isModifier"] is True


def test_slices_of_a_choice_say_their_type() -> None:
    made = snapshot_of(
        profile(
            "Observation",
            {"id": "Observation.value[x]:valueQuantity", "sliceName": "valueQuantity"},
            {"id": "Observation.value[x]:valueQuantity.unit", "min": 1},
            {"id": "Observation.value[x]:autre", "sliceName": "autre", "type": [{"code": "string"}]},
        )
    )
    assert made["Observation.value[x]"]["slicing"] == {
        "discriminator": [{"type": "type", "path": "$this"}],
        "ordered": False,
        "rules": "open",
    }
    assert len(codes(made["Observation.value[x]"])) == 11
    assert codes(made["Observation.value[x]:valueQuantity"]) == ["Quantity"]
    assert made["Observation.value[x]:valueQuantity.unit"]["path"] == "Observation.value[x].unit"
    assert codes(made["Observation.value[x]:autre"]) == ["string"]


def test_the_short_path_of_a_choice_leaves_it_this_type_alone() -> None:
    made = snapshot_of(
        profile(
            "Observation",
            {"id": "Observation.valueQuantity", "min": 1},
            {"id": "Observation.valueQuantity.unit", "min": 1},
            {"id": "Observation.valueString", "max": "1"},
        )
    )
    assert codes(made["Observation.value[x]"]) == ["Quantity", "string"]
    assert made["Observation.value[x]"]["slicing"]["rules"] == "closed"
    slice = made["Observation.value[x]:valueQuantity"]
    assert (slice["path"], slice["sliceName"], slice["min"]) == ("Observation.value[x]", "valueQuantity", 1)
    assert made["Observation.value[x]:valueQuantity.unit"]["min"] == 1
    assert codes(made["Observation.value[x]:valueString"]) == ["string"]


def test_the_short_path_within_a_slice_is_the_choice_itself() -> None:
    made = snapshot_of(
        profile(
            "Observation",
            {"id": "Observation.component", "slicing": BY_CODE},
            {"id": "Observation.component:pas", "sliceName": "pas"},
            {"id": "Observation.component:pas.valueQuantity", "min": 1},
            {"id": "Observation.component:pas.valueQuantity.unit", "min": 1},
        )
    )
    choice = made["Observation.component:pas.value[x]"]
    assert (codes(choice), choice["min"]) == (["Quantity"], 1)
    assert "slicing" not in choice
    assert made["Observation.component:pas.value[x].unit"]["min"] == 1


def test_a_choice_sliced_by_type_stays_closed_where_a_tool_says_open() -> None:
    open_by_type = {"discriminator": [{"type": "type", "path": "$this"}], "ordered": False, "rules": "open"}
    made = snapshot_of(
        profile(
            "Observation",
            {"id": "Observation.value[x]", "slicing": open_by_type},
            {"id": "Observation.value[x]:valueQuantity", "sliceName": "valueQuantity", "mustSupport": True},
            base=CORE + "bodyweight",
        )
    )
    assert made["Observation.value[x]"]["slicing"]["rules"] == "closed"
    assert made["Observation.value[x]:valueQuantity"]["mustSupport"] is True


def test_hand_written_differentials_need_no_ids() -> None:
    told: list[dict[str, Any]] = [
        {"path": "Patient.identifier", "slicing": BY_SYSTEM},
        {"path": "Patient.identifier", "sliceName": "INS"},
        {"path": "Patient.identifier.system", "min": 1},
        {"path": "Patient.identifier.period.start", "min": 1},
        {"path": "Patient.identifier", "sliceName": "IPP"},
        {"path": "Patient.identifier.value", "min": 1},
        {"path": "Patient.name.family", "id": "3f2a", "min": 1},
    ]
    made = snapshot_of(profile("Patient", *told))

    assert made["Patient.identifier:INS.system"]["min"] == 1
    assert made["Patient.identifier:INS.period.start"]["min"] == 1
    assert made["Patient.identifier:IPP.value"]["min"] == 1
    assert "Patient.identifier.system" not in made
    assert made["Patient.name.family"]["min"] == 1


def test_a_slicing_may_be_narrowed() -> None:
    base = profile("Patient", {"id": "Patient.identifier", "slicing": BY_SYSTEM}, name="base")
    closed = {**BY_SYSTEM, "ordered": True, "rules": "closed"}
    made = snapshot_of(profile("Patient", {"id": "Patient.identifier", "slicing": closed}, base=OURS + "base"), base)
    assert made["Patient.identifier"]["slicing"] == closed


def test_what_fhirpath_calls_a_string_is_named_as_in_fhir() -> None:
    fhir_type = {"url": CORE + "structuredefinition-fhir-type", "valueUrl": "uri"}
    told = [{"extension": [fhir_type], "code": "http://hl7.org/fhirpath/System.String"}]
    made = snapshot_of(profile("Extension", {"id": "Extension.url", "type": told}, kind="complex-type"))
    assert made["Extension.url"]["type"] == [{"code": "uri"}]


def test_a_published_snapshot_is_used_where_there_is_no_differential() -> None:
    whole = definitions().snapshot(CORE + "Patient")
    published = {**profile("Patient"), "snapshot": {"element": list(whole.elements)}}
    del published["differential"]
    assert definitions(published).snapshot(OURS + "p").elements == whole.elements


def test_the_differential_is_read_and_not_the_published_snapshot() -> None:
    published = {**profile("Patient", {"id": "Patient.name", "min": 1}), "snapshot": {"element": []}}
    assert snapshot_of(published)["Patient.name"]["min"] == 1


def test_the_definitions_of_the_base_are_not_changed() -> None:
    known = definitions(
        profile(
            "Patient",
            {"id": "Patient.identifier", "slicing": BY_SYSTEM},
            {"id": "Patient.identifier:INS", "sliceName": "INS", "min": 1},
            {"id": "Patient.identifier:INS.system", "min": 1},
            {"id": "Patient.name.family", "min": 1},
        )
    )
    before = definitions().snapshot(CORE + "Patient").elements
    known.snapshot(OURS + "p")
    assert known.snapshot(CORE + "Patient").elements == before
    assert definitions(profile("HumanName")).snapshot(CORE + "HumanName").elements[5]["min"] == 0
