"""Where references lead: types, profiles of what is contained or bundled, and cycles."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.validation.profiles.bundled import Bundled
from tests.unit.validation.profiling import CORE, HERE, Said, checks, element, issues, profile, said


def to(*targets: str, **members: Any) -> list[dict[str, Any]]:
    urls = [one if ":" in one else CORE + one for one in targets]
    return [{"code": "Reference", "targetProfile": urls, **members}]


NAMED = profile("named", "Organization", element("Organization.name", min=1))
ASKED = profile("asked", "Patient", element("Patient.managingOrganization", type=to(NAMED["url"])))
AUTHORS = profile("authors", "DocumentReference", element("DocumentReference.author", type=to("Device", "Patient")))


def patient(reference: str, *contained: dict[str, Any], **members: Any) -> dict[str, Any]:
    told = {"resourceType": "Patient", "managingOrganization": {"reference": reference, **members}}
    return {**told, "contained": list(contained)} if contained else told


def organization(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": "o", **members}


@pytest.mark.parametrize(
    ("author", "is_good"),
    [
        ({"reference": "Device/1"}, True),
        ({"reference": "https://example.org/fhir/Patient/1/_history/2"}, True),
        ({"reference": "Practitioner/1"}, False),
        ({"reference": "https://example.org/fhir/Practitioner/1"}, False),
        ({"reference": "Practitioner?identifier=1"}, False),
        ({"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}, True),
        ({"type": "Practitioner", "identifier": {"value": "1"}}, False),
        ({"type": "Device", "identifier": {"value": "1"}}, True),
        ({"display": "somebody"}, True),
        ({"reference": "#p"}, False),
        ({"reference": "#d"}, True),
    ],
)
def test_a_reference_leads_to_one_of_the_types(author: dict[str, Any], is_good: bool) -> None:
    held = [{"resourceType": "Practitioner", "id": "p"}, {"resourceType": "Device", "id": "d"}]
    letter = {"resourceType": "DocumentReference", "contained": held, "author": [author]}
    told = [] if is_good else [Said("DocumentReference.author[0].reference", "target")]
    assert said(letter, AUTHORS) == told


def test_what_is_contained_has_the_profile() -> None:
    assert said(patient("#o", organization(name="x")), ASKED, NAMED) == []
    (told,) = issues(patient("#o", organization()), ASKED, NAMED)
    assert told.expression == ("Patient.contained[0].name",)
    assert told.profile == f"{HERE}named|1.0"


def test_what_is_not_at_hand_is_not_looked_at() -> None:
    assert said(patient("Organization/o"), ASKED, NAMED) == []


def test_one_target_is_told_of_once() -> None:
    """Two references to one resource that lacks something."""
    both = profile(
        "both",
        "Patient",
        element("Patient.generalPractitioner", type=to(NAMED["url"])),
        element("Patient.managingOrganization", type=to(NAMED["url"])),
    )
    bad = patient("#o", organization()) | {"generalPractitioner": [{"reference": "#o"}]}
    assert said(bad, both, NAMED) == [Said("Patient.contained[0].name", "min")]


def test_one_of_several_profiles_is_enough() -> None:
    known = profile("known", "Organization", element("Organization.identifier", min=1))
    either = profile("either", "Patient", element("Patient.managingOrganization", type=to(NAMED["url"], known["url"])))
    assert said(patient("#o", organization(identifier=[{}])), either, NAMED, known) == []
    assert said(patient("#o", organization()), either, NAMED, known) == [
        Said("Patient.managingOrganization.reference", "target")
    ]


def test_a_profile_that_is_not_known_is_named() -> None:
    """The guides of the Annuaire are not here: a target may well have their profile."""
    asked = profile("open", "Patient", element("Patient.managingOrganization", type=to("https://example.org/none")))
    (told,) = issues(patient("#o", organization()), asked)
    assert (told.severity, told.rule) == ("information", "target")
    assert "https://example.org/none" in told.diagnostics


@pytest.mark.parametrize(
    ("modes", "reference", "is_good"),
    [
        (["contained"], "#o", True),
        (["contained"], "Organization/o", False),
        (["referenced"], "Organization/o", True),
        (["referenced"], "#o", False),
        (["bundled"], "Organization/o", False),
        (["contained", "bundled"], "#o", True),
    ],
)
def test_a_reference_reaches_its_target_as_it_should(modes: list[str], reference: str, is_good: bool) -> None:
    asked = profile(
        "near", "Patient", element("Patient.managingOrganization", type=to("Organization", aggregation=modes))
    )
    told = [] if is_good else [Said("Patient.managingOrganization.reference", "aggregation")]
    assert said(patient(reference, organization()), asked) == told


def bundle(*resources: dict[str, Any], root: str = "https://example.org/fhir/") -> dict[str, Any]:
    entries = [{"fullUrl": f"{root}{one['resourceType']}/{one['id']}", "resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


LOT = profile(
    "lot",
    "Bundle",
    element("Bundle.entry.resource", type=[{"code": "Resource"}]),
    element(
        "Bundle.entry",
        slicing={"discriminator": [{"type": "type", "path": "resource"}], "rules": "closed"},
    ),
    element("Bundle.entry:patient", min=1),
    element("Bundle.entry:patient.resource", min=1, type=[{"code": "Patient", "profile": [ASKED["url"]]}]),
    element("Bundle.entry:organization", max=1),
    element("Bundle.entry:organization.resource", min=1, type=[{"code": "Organization"}]),
)
LOT["differential"]["element"].pop(1)


@pytest.mark.parametrize(
    "reference", ["Organization/o", "https://example.org/fhir/Organization/o", "Organization/o/_history/1"]
)
def test_what_is_bundled_has_the_profile(reference: str) -> None:
    sent = {**patient(reference), "id": "p"}
    assert said(bundle(sent, organization(name="x")), LOT, ASKED, NAMED) == []
    assert said(bundle(sent, organization()), LOT, ASKED, NAMED) == [Said("Bundle.entry[1].resource.name", "min")]


def test_entries_are_sliced_by_the_type_of_the_resource() -> None:
    sent = {**patient("Organization/o"), "id": "p"}
    other = {"resourceType": "Device", "id": "d"}
    assert said(bundle(sent, other), LOT, ASKED, NAMED) == [Said("Bundle.entry[1]", "closed")]
    assert said(bundle(organization(name="x")), LOT, ASKED, NAMED) == [Said("Bundle.entry", "min")]


def test_entries_are_sliced_by_what_is_to_be_done() -> None:
    asked = profile(
        "done",
        "Bundle",
        element(
            "Bundle.entry", slicing={"discriminator": [{"type": "value", "path": "request.method"}], "rules": "open"}
        ),
        element("Bundle.entry:create", min=1),
        element("Bundle.entry:create.request", min=1),
        element("Bundle.entry:create.request.method", fixedCode="POST"),
        element("Bundle.entry:create.request.ifNoneExist", min=1),
    )
    sent: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "PUT", "url": "Patient/1"}}],
    }
    assert said(sent, asked) == [Said("Bundle.entry", "min")]
    sent["entry"].append({"request": {"method": "POST", "url": "Patient"}})
    assert said(sent, asked) == [Said("Bundle.entry[1].request.ifNoneExist", "min")]


def lot(rules: str) -> dict[str, Any]:
    listed = [{"type": "profile", "path": "resource"}, {"type": "value", "path": "request.method"}]
    return profile(
        "lot",
        "Bundle",
        element("Bundle.entry", slicing={"discriminator": listed, "rules": rules}),
        element("Bundle.entry:named", min=1),
        element("Bundle.entry:named.resource", min=1, type=[{"code": "Organization", "profile": [NAMED["url"]]}]),
        element("Bundle.entry:named.request", min=1),
        element("Bundle.entry:named.request.method", fixedCode="POST"),
    )


@pytest.mark.parametrize(("rules", "severity"), [("closed", "error"), ("open", "information")])
def test_why_an_entry_is_in_no_slice_is_told(rules: str, severity: str) -> None:
    """It has the type and the method, and its profile asks for a name."""
    request = {"method": "POST", "url": "Organization"}
    sent: Any = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": organization(), "request": request}],
    }
    told = [(one.expression[0], one.rule, str(one.severity)) for one in issues(sent, lot(rules), NAMED)]
    assert ("Bundle.entry", "min", "error") in told
    assert ("Bundle.entry[0].resource.name", "min", severity) in told
    assert (("Bundle.entry[0]", "closed", "error") in told) == (rules == "closed")
    request["method"] = "PUT"
    assert "Bundle.entry[0].resource.name" not in [one.expression[0] for one in issues(sent, lot(rules), NAMED)]


def test_an_entry_that_says_what_it_is_must_be_that() -> None:
    request = {"method": "POST", "url": "Organization"}
    sent: Any = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"resource": organization(), "request": request}],
    }
    sent["entry"][0]["resource"]["meta"] = {"profile": [NAMED["url"]]}
    assert Said("Bundle.entry[0].resource.name", "min") in said(sent, lot("open"), NAMED)


def test_entries_have_the_profiles_they_claim() -> None:
    sent = {**patient("Organization/o"), "id": "p", "meta": {"profile": [ASKED["url"], "https://example.org/none"]}}
    told = checks(ASKED, NAMED).issues(bundle(sent, organization()), [])
    assert [(one.expression[0], one.rule) for one in told] == [("Bundle.entry[1].resource.name", "min")]


def test_a_resource_may_come_from_a_bundle() -> None:
    """It is checked by itself, and what it refers to is found."""
    sent = {**patient("Organization/o"), "id": "p"}
    whole = bundle(sent, organization())
    assert said(sent, ASKED, NAMED, bundle=Bundled(whole)) == [Said("Bundle.entry[1].resource.name", "min")]


def test_within_a_bundle_of_uuids_a_type_and_an_id_are_found() -> None:
    """So it is published in guides, whatever the standard says."""
    sent = bundle({**patient("Organization/o"), "id": "p"}, organization())
    for entry in sent["entry"]:
        entry["fullUrl"] = f"urn:uuid:{entry['resource']['id']}"
    assert [one.where for one in said(sent, LOT, ASKED, NAMED)] == ["Bundle.entry[1].resource.name"]


def test_profiles_that_refer_to_each_other_end() -> None:
    first = profile("first", "Patient", element("Patient.link.other", type=to(f"{HERE}second")))
    second = profile(
        "second",
        "RelatedPerson",
        element("RelatedPerson.patient", type=to(f"{HERE}first")),
        element("RelatedPerson.gender", min=1),
    )
    person = {"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "#"}}
    sent = {"resourceType": "Patient", "contained": [person], "link": [{"other": {"reference": "#r"}}]}
    assert said(sent, first, second) == [Said("Patient.contained[0].gender", "min")]


@pytest.mark.parametrize(
    ("url", "is_told"),
    [
        ("https://a.example/fhir/Patient/1", False),
        ("https://a.example/fhir/Patient/2", True),
        ("https://a.example/fhir/Device/1", True),
        ("https://a.example/records/p1.json", False),
        ("https://a.example/Patients/2", False),
        ("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", False),
    ],
)
def test_a_full_url_is_the_one_of_its_resource(url: str, is_told: bool) -> None:
    """As far as it looks like the URL of a resource at a server."""
    sent: dict[str, Any] = {"resourceType": "Bundle", "type": "collection"}
    sent["entry"] = [{"fullUrl": url, "resource": {"resourceType": "Patient", "id": "1"}}]
    told = [(one.expression[0], one.rule) for one in checks().issues(sent, [])]
    assert told == ([("Bundle.entry[0].fullUrl", "full-url")] if is_told else [])
    del sent["entry"][0]["resource"]["id"]
    assert checks().issues(sent, []) == []
