"""How slices are told apart, how many there may be of each, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.validation.profiling import CORE, HERE, Said, by, element, extension, issues, profile, said

A, B, C = "urn:a", "urn:b", "urn:c"


def patient(*systems: str, **members: Any) -> dict[str, Any]:
    listed = [{"system": one, "value": "1"} for one in systems]
    return {"resourceType": "Patient", **({"identifier": listed} if listed else {}), **members}


def observation(*components: dict[str, Any], **members: Any) -> dict[str, Any]:
    told = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **members}
    return {**told, "component": list(components)} if components else told


def sliced(slicing: dict[str, Any], *more: dict[str, Any], again: dict[str, Any] | None = None) -> dict[str, Any]:
    """Identifiers in the slices a and b, by their system."""
    return profile(
        "sliced",
        "Patient",
        element("Patient.identifier", slicing=slicing),
        element("Patient.identifier:a", min=1, max=1),
        element("Patient.identifier:a.system", min=1, fixedUri=A),
        element("Patient.identifier:b", min=0, max=2, **(again or {})),
        element("Patient.identifier:b.system", min=1, patternUri=B),
        element("Patient.identifier:b.value", min=1),
        *more,
    )


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        (patient(A), []),
        (patient(B, A, B, C), []),
        (patient(), [("Patient.identifier", "min")]),
        (patient(B), [("Patient.identifier", "min")]),
        (patient(A, A), [("Patient.identifier", "max")]),
        (patient(A, B, B, B), [("Patient.identifier", "max")]),
        (
            {"resourceType": "Patient", "identifier": [{"system": A}, {"system": B}, {"value": "x"}]},
            [("Patient.identifier[1].value", "min")],
        ),
    ],
)
def test_slices_are_told_apart_by_a_value(resource: dict[str, Any], told: list[tuple[str, str]]) -> None:
    assert said(resource, sliced(by("value", "system"))) == [Said(*one) for one in told]


def test_slices_of_a_closed_slicing_are_all_there_is() -> None:
    asked = sliced(by("value", "system", rules="closed"))
    assert said(patient(A, B), asked) == []
    assert said(patient(C, A, C), asked) == [
        Said("Patient.identifier[0]", "closed"),
        Said("Patient.identifier[2]", "closed"),
    ]


def test_what_is_in_no_slice_comes_at_the_end() -> None:
    asked = sliced(by("value", "system", rules="openAtEnd"))
    assert said(patient(B, A, C, C), asked) == []
    assert said(patient(B, C, A), asked) == [Said("Patient.identifier[2]", "slice")]


def test_slices_are_in_their_order() -> None:
    asked = sliced(by("value", "system", ordered=True))
    assert said(patient(C, A, C, B), asked) == []
    assert said(patient(B, A, B), asked) == [Said("Patient.identifier[1]", "slice")]


def test_the_default_slice_is_of_what_is_in_no_other() -> None:
    asked = sliced(by("value", "system"), element("Patient.identifier:@default.period", min=1))
    assert said(patient(A, B), asked) == []
    assert said(patient(A, C), asked) == [Said("Patient.identifier[1].period", "min")]


def test_slices_are_sliced_again() -> None:
    asked = sliced(
        by("value", "system"),
        element("Patient.identifier:b/old", max=1),
        element("Patient.identifier:b/old.use", min=1, fixedCode="old"),
        element("Patient.identifier:b/old.period", min=1),
        again={"slicing": by("value", "use", rules="closed")},
    )
    old = {"system": B, "value": "1", "use": "old"}
    a = {"system": A}
    assert said({"resourceType": "Patient", "identifier": [a, {**old, "period": {}}]}, asked) == []
    assert said({"resourceType": "Patient", "identifier": [a, old, {**old, "use": "usual"}]}, asked) == [
        Said("Patient.identifier[2]", "closed"),
        Said("Patient.identifier[1].period", "min"),
    ]


def test_by_the_pattern_of_the_element_itself() -> None:
    code = {"coding": [{"system": "urn:s", "code": "a"}]}
    asked = profile(
        "asked",
        "Observation",
        element("Observation.component", slicing=by("pattern", "code"), min=1),
        element("Observation.component:a", min=1),
        element("Observation.component:a.code", patternCodeableConcept=code),
        element("Observation.component:a.value[x]", min=1),
    )
    other = {"code": {"coding": [{"system": "urn:s", "code": "b"}]}}
    assert said(observation(other, {"code": {**code, "text": "x"}, "valueString": "x"}), asked) == []
    assert said(observation(other), asked) == [Said("Observation.component", "min")]
    assert said(observation(other, {"code": code}), asked) == [Said("Observation.component[1].value", "min")]


def test_by_values_within_a_pattern() -> None:
    """The pattern stands on the code, the discriminators name what is in it."""
    asked = profile(
        "asked",
        "Observation",
        element(
            "Observation.component", slicing=by("value", "code.coding.code", ("value", "code.coding.system")), min=1
        ),
        element("Observation.component:a", min=1),
        element("Observation.component:a.code", patternCodeableConcept={"coding": [{"system": "urn:s", "code": "a"}]}),
    )
    assert said(observation({"code": {"coding": [{"system": "urn:s", "code": "a"}]}}), asked) == []
    assert said(observation({"code": {"coding": [{"system": "urn:t", "code": "a"}]}}), asked) == [
        Said("Observation.component", "min")
    ]


def test_by_existence() -> None:
    asked = profile(
        "asked",
        "Patient",
        element("Patient.name", slicing=by("exists", "period", rules="closed"), min=1),
        element("Patient.name:past", max=1),
        element("Patient.name:past.period", min=1),
        element("Patient.name:now", min=1),
        element("Patient.name:now.family", min=1),
        element("Patient.name:now.period", max=0),
    )
    assert said(patient(name=[{"period": {}}, {"family": "A"}]), asked) == []
    assert said(patient(name=[{"period": {}}, {"text": "A"}]), asked) == [Said("Patient.name[1].family", "min")]
    assert said(patient(name=[{"period": {}}]), asked) == [Said("Patient.name", "min")]


def test_by_a_value_that_is_forbidden() -> None:
    """One slice has no use at all: what has none is in it, whatever the standard binds a use to."""
    asked = profile(
        "asked",
        "Patient",
        element("Patient.telecom", slicing=by("value", "system", ("value", "use"), rules="closed")),
        element("Patient.telecom:home", max=1),
        element("Patient.telecom:home.system", min=1, fixedCode="phone"),
        element("Patient.telecom:home.use", min=1, fixedCode="home"),
        element("Patient.telecom:email", max=1),
        element("Patient.telecom:email.system", min=1, fixedCode="email"),
        element("Patient.telecom:email.use", max=0),
    )
    home, email = {"system": "phone", "use": "home"}, {"system": "email"}
    assert said(patient(telecom=[home, email]), asked) == []
    assert said(patient(telecom=[home, {**email, "use": "home"}]), asked) == [Said("Patient.telecom[1]", "closed")]


def test_by_the_type_of_a_choice() -> None:
    asked = profile(
        "asked",
        "Observation",
        element("Observation.value[x]", slicing=by("type", "$this", rules="closed")),
        element("Observation.value[x]:valueQuantity", type=[{"code": "Quantity"}]),
        element("Observation.value[x]:valueQuantity.code", min=1),
        element("Observation.value[x]:valueString", type=[{"code": "string"}]),
    )
    assert said(observation(valueQuantity={"code": "kg"}), asked) == []
    assert said(observation(valueString="x"), asked) == []
    assert said(observation(valueQuantity={"unit": "kg"}), asked) == [Said("Observation.value.code", "min")]
    assert [one.rule for one in said(observation(valueBoolean=True), asked)] == ["closed"]


def test_by_the_type_of_a_target() -> None:
    asked = profile(
        "asked",
        "DocumentReference",
        element("DocumentReference.author", slicing=by("type", "resolve()"), min=1),
        element(
            "DocumentReference.author:who", min=1, type=[{"code": "Reference", "targetProfile": [f"{CORE}Device"]}]
        ),
        element("DocumentReference.author:who.display", min=1),
    )

    def letter(*references: str, **members: Any) -> dict[str, Any]:
        authors = [{"reference": one, **members} for one in references]
        return {"resourceType": "DocumentReference", "status": "current", "content": [], "author": authors}

    assert said(letter("Patient/1", "Device/2", display="x"), asked) == []
    assert said(letter("Patient/1", "Device/2"), asked) == [Said("DocumentReference.author[1].display", "min")]
    assert said(letter("Patient/1"), asked) == [Said("DocumentReference.author", "min")]
    held = letter("#d", display="x") | {"contained": [{"resourceType": "Device", "id": "d"}]}
    assert said(held, asked) == []
    assert [one.severity for one in issues(letter("urn:uuid:1"), asked)] == ["information"]


def test_by_the_profile_of_a_target() -> None:
    named = profile("named", "Device", element("Device.deviceName", min=1))
    asked = profile(
        "asked",
        "DocumentReference",
        element("DocumentReference.author", slicing=by("profile", "resolve()"), min=1),
        element("DocumentReference.author:who", min=1, type=[{"code": "Reference", "targetProfile": [named["url"]]}]),
        element("DocumentReference.author:who.display", min=1),
    )

    def letter(**device: Any) -> dict[str, Any]:
        return {
            "resourceType": "DocumentReference",
            "contained": [{"resourceType": "Device", "id": "d", **device}],
            "author": [{"reference": "#d"}],
        }

    assert said(letter(), asked, named) == [Said("DocumentReference.author", "min")]
    assert said(letter(deviceName=[{"name": "x"}]), asked, named) == [
        Said("DocumentReference.author[0].display", "min")
    ]


def test_by_a_value_of_the_target() -> None:
    asked = profile(
        "asked",
        "List",
        element("List.entry", slicing=by("value", "item.resolve().status"), min=1),
        element("List.entry:old", min=1),
        element("List.entry:old.item", type=[{"code": "Reference", "targetProfile": [f"{HERE}old"]}]),
    )
    old = profile("old", "DocumentReference", element("DocumentReference.status", fixedCode="superseded"))

    def folder(status: str) -> dict[str, Any]:
        held = {"resourceType": "DocumentReference", "id": "d", "status": status, "content": []}
        return {"resourceType": "List", "contained": [held], "entry": [{"item": {"reference": "#d"}}]}

    assert said(folder("superseded"), asked, old) == []
    assert said(folder("current"), asked, old)[0] == Said("List.entry", "min")


def test_by_a_value_set() -> None:
    """JDV_J57 holds the classes of documents of the DMP."""
    classes = "https://mos.esante.gouv.fr/NOS/JDV_J57-ClassCode-DMP/FHIR/JDV-J57-ClassCode-DMP"
    asked = profile(
        "asked",
        "DocumentReference",
        element("DocumentReference.category", slicing=by("value", "$this"), min=1),
        element("DocumentReference.category:class", min=1, binding={"strength": "required", "valueSet": classes}),
    )

    def letter(system: str, code: str) -> dict[str, Any]:
        return {"resourceType": "DocumentReference", "category": [{"coding": [{"system": system, "code": code}]}]}

    ours = "https://mos.esante.gouv.fr/NOS/TRE_A03-ClasseDocument/FHIR/TRE-A03-ClasseDocument"
    assert said(letter(ours, "10"), asked) == []
    assert said(letter(ours, "none"), asked) == [Said("DocumentReference.category", "min")]


def test_by_the_url_of_an_extension() -> None:
    colour = extension("colour", element("Extension.value[x]", min=1, type=[{"code": "string"}]))
    asked = profile(
        "asked",
        "Patient",
        element("Patient.extension", slicing=by("value", "url"), min=1),
        element("Patient.extension:colour", min=1, max=1, type=[{"code": "Extension", "profile": [colour["url"]]}]),
    )
    other = {"url": "urn:other", "valueCode": "x"}
    assert said(patient(extension=[other, {"url": colour["url"], "valueString": "x"}]), asked, colour) == []
    assert said(patient(extension=[other]), asked, colour) == [Said("Patient.extension", "min")]
    assert said(patient(extension=[other, {"url": colour["url"], "valueCode": "x"}]), asked, colour) == [
        Said("Patient.extension[1].value", "type")
    ]


def test_by_a_value_in_an_extension() -> None:
    kind = extension("kind", element("Extension.value[x]", type=[{"code": "code"}]))
    named = {"code": "Extension", "profile": [kind["url"]]}
    asked = profile(
        "asked",
        "Patient",
        element("Patient.name", slicing=by("value", f"extension('{kind['url']}').value"), min=1),
        element("Patient.name:nick", min=1),
        element("Patient.name:nick.extension", slicing=by("value", "url"), min=1),
        element("Patient.name:nick.extension:kind", min=1, type=[named]),
        element("Patient.name:nick.extension:kind.value[x]", min=1, fixedCode="nick"),
        element("Patient.name:nick.text", min=1),
    )

    def called(code: str, **members: Any) -> dict[str, Any]:
        return patient(name=[{"extension": [{"url": kind["url"], "valueCode": code}], **members}])

    assert said(called("nick", text="x"), asked, kind) == []
    assert said(called("nick"), asked, kind) == [Said("Patient.name[0].text", "min")]
    assert said(called("other"), asked, kind) == [Said("Patient.name", "min")]


def test_one_slice_needs_no_discriminator() -> None:
    """What is as the slice has it, is in it."""
    asked = profile(
        "asked",
        "Patient",
        element("Patient.name", slicing={"rules": "open"}, min=1),
        element("Patient.name:official", min=1),
        element("Patient.name:official.use", min=1, fixedCode="official"),
    )
    assert said(patient(name=[{"use": "usual"}, {"use": "official"}]), asked) == []
    assert said(patient(name=[{"use": "usual"}]), asked) == [Said("Patient.name", "min")]


def test_whether_an_item_is_in_a_slice_may_not_be_known() -> None:
    asked = profile(
        "asked",
        "Patient",
        element("Patient.identifier", slicing=by("value", "type", rules="closed"), min=1),
        element("Patient.identifier:a", min=1),
        element("Patient.identifier:a.type", min=1, binding={"strength": "required", "valueSet": "urn:unknown"}),
    )
    told = issues(patient(identifier=[{"type": {"coding": [{"system": "urn:s", "code": "x"}]}}]), asked)
    assert [(one.severity, one.rule) for one in told] == [("information", "slice")]
