"""The invariants of definitions, checked by their own expression; and closures that say what the expression says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from fhir_server.definitions.load import load
from fhir_server.fhirpath.effort import Effort
from fhir_server.fhirpath.expression import Environment, compile_expression
from fhir_server.fhirpath.model import Model
from fhir_server.fhirpath.node import Node
from fhir_server.validation import invariants
from fhir_server.validation.expressions import Expressions
from fhir_server.validation.rules import rules_of, rules_of_use
from fhir_server.validation.structure import Validator
from tests.unit.validation.test_validation_invariants import CASES as CLOSURES

DEFINITIONS: Final = load()
EXPRESSIONS: Final = Expressions(DEFINITIONS)
UCUM: Final = "http://unitsofmeasure.org"
Object = dict[str, Any]


def element(**more: Any) -> Object:
    return {"id": "Patient", "path": "Patient", **more}


CASES: Final[list[tuple[str, str, Object, Object]]] = [
    ("ElementDefinition.slicing", "eld-1", {"description": "by hand"}, {"rules": "open"}),
    ("ElementDefinition", "eld-2", {"min": 1, "max": "1"}, {"min": 2, "max": "1"}),
    ("ElementDefinition", "eld-2", {"min": 2, "max": "*"}, {"min": 2, "max": "0"}),
    ("ElementDefinition", "eld-3", {"max": "0"}, {"max": "-1"}),
    ("ElementDefinition.type", "eld-4", {"code": "Reference", "aggregation": ["bundled"]},
     {"code": "string", "aggregation": ["bundled"]}),
    ("ElementDefinition", "eld-5", {"contentReference": "#a"}, {"contentReference": "#a", "maxLength": 3}),
    ("ElementDefinition", "eld-6", {"fixedCode": "a", "type": [{"code": "code"}]},
     {"fixedCode": "a", "type": [{"code": "code"}, {"code": "string"}]}),
    ("ElementDefinition", "eld-7", {"patternCode": "a", "type": [{"code": "code"}]},
     {"patternCode": "a", "type": [{"code": "code"}, {"code": "string"}]}),
    ("ElementDefinition", "eld-8", {"patternCode": "a"}, {"patternCode": "a", "fixedCode": "a"}),
    ("ElementDefinition.binding", "eld-12", {"valueSet": "urn:a"}, {"valueSet": "a"}),
    ("ElementDefinition", "eld-13", {"type": [{"code": "a"}, {"code": "b"}]}, {"type": [{"code": "a"}, {"code": "a"}]}),
    ("ElementDefinition", "eld-14", {"constraint": [{"key": "a"}, {"key": "b"}]},
     {"constraint": [{"key": "a"}, {"key": "a"}]}),
    ("ElementDefinition", "eld-15", {"defaultValueCode": "a"}, {"defaultValueCode": "a", "meaningWhenMissing": "b"}),
    ("ElementDefinition", "eld-16", {"sliceName": "a/b@c"}, {"sliceName": "a b"}),
    ("ElementDefinition.type", "eld-17", {"code": "canonical", "targetProfile": ["a"]},
     {"code": "string", "targetProfile": ["a"]}),
    ("ElementDefinition", "eld-18", {"isModifier": False}, {"isModifier": True}),
    ("ElementDefinition", "eld-19", {"path": "Patient.deceased[x]:deceasedBoolean"}, {"path": "!"}),
    ("ElementDefinition", "eld-22", {"sliceIsConstraining": True, "sliceName": "a"}, {"sliceIsConstraining": True}),
    ("StructureDefinition", "sdf-1",
     {"derivation": "constraint", "snapshot": {"element": [element(), element()]}},
     {"derivation": "specialization", "snapshot": {"element": [element(), element()]}}),
    ("StructureDefinition.snapshot", "sdf-3", {"element": [{"definition": "a", "min": 0, "max": "1"}]},
     {"element": [{"definition": "a", "min": 0}]}),
    ("StructureDefinition", "sdf-5",
     {"type": "Extension", "derivation": "constraint", "context": [{"type": "element"}]},
     {"type": "Extension", "derivation": "constraint"}),
    ("StructureDefinition", "sdf-8",
     {"type": "Patient", "snapshot": {"element": [element(), element(path="Patient.name")]}},
     {"type": "Patient", "snapshot": {"element": [element(), element(path="Person.name")]}}),
    ("StructureDefinition", "sdf-8", {"kind": "logical", "type": "a", "snapshot": {"element": [element()]}},
     {"kind": "resource", "type": "a", "snapshot": {"element": [element()]}}),
    ("StructureDefinition", "sdf-8a",
     {"type": "Patient", "differential": {"element": [element(path="Patient.name"), element(path="Patient.id")]}},
     {"type": "Patient", "differential": {"element": [element(path="Patient.name"), element(path="PatientX.id")]}}),
    ("StructureDefinition.snapshot", "sdf-8b", {"element": [{"base": {"path": "a"}}]}, {"element": [{}]}),
    ("StructureDefinition", "sdf-9", {"differential": {"element": [element(path="Patient.name", label="a")]}},
     {"differential": {"element": [element(label="a")]}}),
    ("StructureDefinition", "sdf-11", {"kind": "resource", "type": "Patient", "snapshot": {"element": [element()]}},
     {"kind": "resource", "type": "Person", "snapshot": {"element": [element()]}}),
    ("StructureDefinition", "sdf-14", {"snapshot": {"element": [element()]}},
     {"snapshot": {"element": [{"path": "Patient"}]}}),
    ("StructureDefinition", "sdf-15", {"kind": "resource", "snapshot": {"element": [element()]}},
     {"kind": "resource", "snapshot": {"element": [element(type=[{"code": "a"}])]}}),
    ("StructureDefinition", "sdf-15a", {"kind": "resource", "differential": {"element": [element()]}},
     {"kind": "resource", "differential": {"element": [element(type=[{"code": "a"}])]}}),
    ("StructureDefinition", "sdf-16", {"snapshot": {"element": [element(), element(id="b")]}},
     {"snapshot": {"element": [element(), element()]}}),
    ("StructureDefinition", "sdf-17", {"differential": {"element": [element(), element(id="b")]}},
     {"differential": {"element": [element(), element()]}}),
    ("StructureDefinition", "sdf-19",
     {"url": "http://hl7.org/fhir/StructureDefinition/a",
      "differential": {"element": [{"type": [{"code": "http://hl7.org/fhirpath/System.String"}]}]}},
     {"url": "http://hl7.org/fhir/StructureDefinition/a",
      "differential": {"element": [{"type": [{"code": "urn:x"}]}]}}),
    ("StructureDefinition.differential", "sdf-20", {"element": [element(path="Patient.name", slicing={})]},
     {"element": [element(slicing={"rules": "open"})]}),
    ("StructureDefinition", "sdf-21",
     {"derivation": "specialization", "differential": {"element": [element(defaultValueCode="a")]}},
     {"derivation": "constraint", "differential": {"element": [element(defaultValueCode="a")]}}),
    ("StructureDefinition", "sdf-22",
     {"url": "https://a.example", "snapshot": {"element": [element(defaultValueCode="a")]}},
     {"url": "http://hl7.org/fhir/StructureDefinition/a", "snapshot": {"element": [element(defaultValueCode="a")]}}),
    ("StructureDefinition", "sdf-23", {"snapshot": {"element": [element(path="Patient.name", sliceName="a")]}},
     {"snapshot": {"element": [element(sliceName="a")]}}),
    ("ImplementationGuide.definition", "ig-1",
     {"grouping": [{"id": "a"}], "resource": [{"groupingId": "a"}]},
     {"grouping": [{"id": "a"}], "resource": [{"groupingId": "b"}]}),
    ("ImplementationGuide", "ig-2",
     {"fhirVersion": ["4.0.1"], "definition": {"resource": [{"fhirVersion": ["4.0.1"]}]}},
     {"fhirVersion": ["4.0.1"], "definition": {"resource": [{"fhirVersion": ["3.0.2"]}]}}),
    ("Measure", "mea-1", {"group": [{"stratifier": [{"code": {"text": "a"}}]}]},
     {"group": [{"stratifier": [{"code": {"text": "a"}, "component": [{}]}]}]}),
    ("MeasureReport", "mrp-2", {"group": [{"stratifier": [{"stratum": [{"value": {"text": "a"}}]}]}]},
     {"group": [{"stratifier": [{"stratum": [{"value": {"text": "a"}, "component": [{}]}]}]}]}),
    ("NamingSystem", "nsd-2", {"uniqueId": [{"type": "oid", "preferred": True}, {"type": "oid"}]},
     {"uniqueId": [{"type": "oid", "preferred": True}, {"type": "oid", "preferred": True}]}),
    ("TerminologyCapabilities.codeSystem", "tcp-1", {"version": [{"code": "1"}, {"code": "2"}]},
     {"version": [{"code": "1"}, {"isDefault": True}]}),
    ("TestScript.variable", "tst-3", {"expression": "a", "path": "b"},
     {"expression": "a", "path": "b", "headerField": "c"}),
    ("TestScript.metadata", "tst-4", {"capability": [{"required": True}]}, {"capability": [{"description": "a"}]}),
    ("TestScript.setup.action.assert", "tst-5", {"contentType": "a"}, {"contentType": "a", "path": "b"}),
    ("TestScript.setup.action.operation", "tst-7", {"targetId": "a"}, {"targetId": "a", "url": "b"}),
    ("TestScript.setup.action.assert", "tst-10", {"compareToSourceId": "a", "compareToSourcePath": "b"},
     {"compareToSourceId": "a"}),
    ("TestScript.setup.action.assert", "tst-12", {"direction": "response", "responseCode": "200"},
     {"direction": "request", "responseCode": "200"}),
]  # fmt: skip

USES: Final[list[tuple[str, str, Object, Object]]] = [
    ("StructureDefinition.snapshot.element", "sdf-10", {"binding": {"description": "a"}},
     {"binding": {"strength": "required"}}),
    ("RiskAssessment.prediction.probability[x]", "ras-1", {"low": {"code": "%", "system": UCUM}},
     {"high": {"code": "1"}}),
    ("TestScript.test.action.assert", "tst-6", {"path": "a"}, {"contentType": "a", "path": "b"}),
    ("TestScript.test.action.operation", "tst-8", {"params": "a"}, {}),
    ("TestScript.teardown.action.operation", "tst-9", {"type": {"code": "search"}}, {"url": "a", "params": "b"}),
    ("TestScript.test.action.assert", "tst-11", {"compareToSourceId": "a", "compareToSourceExpression": "b"},
     {"compareToSourceId": "a"}),
    ("TestScript.test.action.assert", "tst-13", {}, {"direction": "request", "response": "okay"}),
]  # fmt: skip


def told(structure: str, value: Object) -> list[str]:
    rules = rules_of(DEFINITIONS.structures[structure], EXPRESSIONS)
    return [told[0].diagnostics.partition(":")[0] for holds, told in rules if not holds(value)]


@pytest.mark.parametrize(("structure", "key", "good", "bad"), CASES)
def test_an_invariant_is_checked_by_its_expression(structure: str, key: str, good: Object, bad: Object) -> None:
    assert key not in told(structure, good)
    assert key in told(structure, bad)


def of_use(path: str, value: Object) -> list[str]:
    (used,) = {e for s in DEFINITIONS.structures.values() for e in s.elements if e.path == path}
    type = "Range" if path.endswith("[x]") else used.types[0].code
    rules = rules_of_use(used, type, EXPRESSIONS)
    return [found[0].diagnostics.partition(":")[0] for rule in rules if (found := rule(value, NO_CONTAINER))]


NO_CONTAINER: Final[Any] = None
"""No rule of a use looks at it."""


@pytest.mark.parametrize(("path", "key", "good", "bad"), USES)
def test_an_invariant_of_a_use_is_checked_by_its_expression(path: str, key: str, good: Object, bad: Object) -> None:
    assert key not in of_use(path, good)
    assert key in of_use(path, bad)


def test_each_invariant_that_is_checked_by_its_expression_has_a_case() -> None:
    assert {key for _, key, _, _ in CASES} == invariants.BY_EXPRESSION | set(invariants.BY_EXPRESSION_ABOVE)
    assert {key for _, key, _, _ in USES} == invariants.BY_EXPRESSION_OF_USE


def test_a_defect_of_a_definition_is_told_where_it_is() -> None:
    defects = {
        (issue.diagnostics.partition(":")[0], issue.expression[0])
        for issue in Validator(DEFINITIONS).validate(
            {
                "resourceType": "StructureDefinition",
                "url": "https://a.example/StructureDefinition/a",
                "name": "A",
                "status": "draft",
                "kind": "resource",
                "abstract": False,
                "type": "Patient",
                "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
                "derivation": "constraint",
                "differential": {
                    "element": [
                        {"id": "Patient", "path": "Patient"},
                        {"id": "Patient.name", "path": "Person.name", "max": "-1"},
                    ]
                },
            }
        )
    }
    assert defects == {
        ("sdf-8a", "StructureDefinition.differential"),
        ("eld-3", "StructureDefinition.differential.element[1].max"),
    }


def test_a_definition_with_too_many_elements_is_refused_with_a_sentence() -> None:
    issues = Validator(DEFINITIONS, most=3).validate(
        {"resourceType": "NamingSystem", "uniqueId": [{"type": "oid"}] * 9}
    )
    assert [issue.code for issue in issues] == ["too-costly"]


UNLIKE: Final = {
    "que-7": "the expression asks for a Boolean of FHIRPath, and no element of FHIR is one",
}
"""Where a closure knowingly says something else than the expression."""


@pytest.mark.parametrize(("structure", "key", "good", "bad"), [case for case in CLOSURES if case[1] not in UNLIKE])
def test_a_closure_says_what_the_expression_says(structure: str, key: str, good: Object, bad: Object) -> None:
    holds = by_expression(structure, key)
    assert holds(filled(good))
    assert not holds(filled(bad))


def filled(value: Any) -> Any:
    """The same with something in its empty arrays: a closure counts one as there, for FHIR has none."""
    if isinstance(value, dict):
        return {name: filled(part) for name, part in value.items()}
    return [filled(part) for part in value] or [{"id": "a"}] if isinstance(value, list) else value


def by_expression(structure: str, key: str) -> Callable[[Object], bool]:
    text = next(i.expression for i in DEFINITIONS.structures[structure].invariants if i.key == key)
    expression = compile_expression(text, Model(DEFINITIONS), types=(structure,))

    def holds(value: Object) -> bool:
        node = Node(value, structure)
        environment = Environment(
            node, node, node, lambda _: None, lambda _n, _u: None, lambda _n, _u: None, lambda: "2026-12-01T00:00:00Z"
        )
        return expression.holds(node, environment, Effort())

    return holds


def test_many_definitions_in_one_bundle_are_bounded_together() -> None:
    """Each alone stays below the bound of an expression; a body of 8 MB holds thousands."""
    one: Object = {
        "resourceType": "StructureDefinition",
        "url": "http://example.org/p",
        "name": "P",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [element()]},
    }
    bundle: Object = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one}] * 20}
    bounded = Validator(DEFINITIONS, most=2_000)
    for _ in range(2):
        assert bounded.validate(one) == []
        assert [issue.code for issue in bounded.validate(bundle)] == ["too-costly"]
    assert Validator(DEFINITIONS).validate(bundle) == []
