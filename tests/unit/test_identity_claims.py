"""From claims to requester: every contradiction is a 401 with a sentence, every misfit purpose a 403."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.fhir.errors import Unauthenticated
from fhir_server.fhir.json import Json, JsonObject
from fhir_server.identity.actors import ACTORS, claims_for, set_claim
from fhir_server.identity.claims import SECRET_SESSION, requester
from fhir_server.identity.kinds import TABLE
from fhir_server.identity.requester import Kind, Purpose, PurposeRefused, Realm, Requester
from fhir_server.identity.systems import (
    A00,
    ACT_REASON,
    FINESS,
    G15,
    G16,
    ID_NAT_STRUCT,
    INS_NIR,
    INS_NIR_DEMO,
    INS_NIR_TEST,
    R94,
    R260,
    R291,
    ROLES,
    SIRENE,
)

IUA = "extensions.ihe_iua."
DMP = "extensions.dmp."
NOW = 1_800_000_000


def claims(actor: str, **changes: Json) -> JsonObject:
    """Claims of a demo actor with changes: `iua_person_id=None` removes `extensions.ihe_iua.person_id`."""
    told = claims_for(ACTORS[actor], base_url="http://server/fhir", now=NOW)
    for name, value in changes.items():
        set_claim(told, re.sub("^iua_", IUA, re.sub("^dmp_", DMP, name)), value)
    return told


def ask(actor: str, realm: Realm = Realm.ESSAI, **changes: Json) -> Requester:
    return requester(claims(actor, **changes), realm)


def role(system: str, code: str) -> JsonObject:
    return {"system": system, "code": code}


def purpose(code: str) -> list[Json]:
    return [role(ACT_REASON, code)]


@pytest.mark.parametrize(
    ("actor", "kind", "key"),
    [
        ("medecin-traitant", Kind.PROFESSIONAL, "rpps|89900000001"),
        ("specialiste", Kind.PROFESSIONAL, "rpps|89900000002"),
        ("inconnu", Kind.PROFESSIONAL, "rpps|89900000003"),
        ("bloque", Kind.PROFESSIONAL, "rpps|89900000004"),
        ("infirmier", Kind.PROFESSIONAL, "rpps|89900000005"),
        ("specialiste2", Kind.PROFESSIONAL, "rpps|89900000006"),
        ("samu", Kind.PROFESSIONAL, "rpps|89900000007"),
        ("urgentiste", Kind.PROFESSIONAL, "rpps|89900000008"),
        ("patient", Kind.PATIENT, "ins|280057505600117"),
        ("representant", Kind.REPRESENTATIVE, "ins|280057505600117"),
        ("aidant", Kind.CARER, "ins|168077505600306"),
        ("hopital", Kind.ORGANISATION, "finess|990000001"),
        ("assurance-maladie", Kind.FEEDER, "urn:oid:1.2.250.1.71.4.2.2|318003502400041"),
        ("conformance", Kind.CONFORMANCE, "client|https://issuer.dmp-ens.example/dev|conformance"),
        ("support", Kind.SUPPORT, "client|https://issuer.dmp-ens.example/dev|support"),
    ],
)
def test_each_actor_is_who_he_is_meant_to_be(actor: str, kind: Kind, key: str) -> None:
    told = ask(actor)

    assert (told.kind, told.key, told.realm) == (kind, key, Realm.ESSAI)
    assert told.name == ACTORS[actor].name
    assert kind is ACTORS[actor].kind


def test_every_actor_and_every_kind_is_shown() -> None:
    assert {actor.kind for actor in ACTORS.values()} == set(Kind) == {row.kind for row in TABLE.values()}


def test_what_a_professional_tells() -> None:
    told = ask("urgentiste")

    assert (told.profession_system, told.profession) == (G15, "10")
    assert told.purpose is Purpose.BTG
    assert told.reason == "Patient inconscient aux urgences, risque vital immédiat."
    assert told.authenticated_in_person
    assert told.person is None
    assert told.may("DocumentReference", "d")
    assert told.has_role(G15, "10")
    assert not told.has_role(R94, "10")


def test_what_a_representative_tells() -> None:
    told = ask("representant")

    assert told.person is not None
    assert told.actor is not None
    assert (told.person.system, told.person.value) == (INS_NIR_TEST, "210043155500326")
    assert told.actor.value == "280057505600117"


def test_the_feeder_may_create_documents_and_no_more() -> None:
    told = ask("assurance-maladie")

    assert told.may("DocumentReference", "c")
    assert not told.may("DocumentReference", "r")
    assert not told.may("Patient", "c")


def test_the_samu_comes_with_its_setting() -> None:
    told = ask("samu")

    assert (told.purpose, told.practice_setting) == (Purpose.ETREAT, "SAMU_SMUR")


@pytest.mark.parametrize(
    ("system", "value", "key"),
    [
        (FINESS, "2A0000014", "finess|2A0000014"),
        (ID_NAT_STRUCT, "1990000001", "finess|990000001"),
        (SIRENE, "18003502400041", "https://sirene.fr|18003502400041"),
    ],
)
def test_the_key_of_a_structure_is_spelt_as_authors_are(system: str, value: str, key: str) -> None:
    told = ask("hopital", iua_subject_organization_id=f"{system}|{value}")

    assert told.key == key
    assert (told.organisation_system, told.organisation) == (system, value)


def test_an_ins_with_its_system_is_kept() -> None:
    told = ask("patient", iua_person_id=f"{INS_NIR_DEMO}|280052A05600117")

    assert told.person is not None
    assert (told.person.system, told.person.value) == (INS_NIR_DEMO, "280052A05600117")


def test_a_bare_ins_is_real_in_the_realm_of_real_people() -> None:
    told = ask("patient", Realm.REEL)

    assert told.person is not None
    assert told.person.system == INS_NIR


def test_a_secret_session() -> None:
    assert ask("medecin-traitant", dmp_audience_restriction=SECRET_SESSION).audience_restriction == SECRET_SESSION


def test_the_reason_has_plain_white_space() -> None:
    assert ask("urgentiste", dmp_reason="  Patient\ninconscient,\t urgence ").reason == "Patient inconscient, urgence"


def test_a_name_is_found_in_one_place_or_another() -> None:
    assert ask("patient", iua_subject_name=None, name="Hélène").name == "Hélène"
    assert ask("hopital", iua_subject_name=None, iua_subject_organization="CH").name == "CH"
    assert ask("patient", iua_subject_name=None).name == "patient"


TOO_MANY: list[Json] = ["sc"] * 51
CONTRADICTIONS: list[tuple[str, dict[str, Any], str]] = [
    # a claim is missing
    ("patient", {"sub": None}, "lacks the claim sub"),
    ("patient", {"iss": None}, "lacks the claim iss"),
    ("patient", {"jti": None}, "lacks the claim jti"),
    ("patient", {"exp": None}, "lacks the claim exp"),
    ("patient", {"scope": None}, "lacks the claim scope"),
    ("patient", {"iua_person_id": None}, "must have the claim person_id"),
    ("representant", {"iua_person_id": None}, "must have the claim person_id"),
    ("representant", {"dmp_actor_ins": None}, "must have the claim actor_ins"),
    ("aidant", {"dmp_actor_ins": None}, "must have the claim actor_ins"),
    ("specialiste", {"iua_national_provider_identifier": None}, "must have the claim national_provider_identifier"),
    ("hopital", {"iua_subject_organization_id": None}, "must have the claim subject_organization_id"),
    ("specialiste", {"iua_subject_role": None}, "do not go with the role"),
    ("conformance", {"iua_subject_role": None}, "must have the claim subject_organization_id"),
    ("support", {"iua_subject_role": None}, "do not go with the role"),
    # a claim is of the wrong type
    ("patient", {"sub": 1}, "claim sub must be a string"),
    ("patient", {"sub": "  "}, "claim sub must be a string"),
    ("patient", {"sub": "a\nb"}, "control characters"),
    ("patient", {"sub": "x" * 1001}, "at most 1000"),
    ("patient", {"jti": ["a"]}, "claim jti must be a string"),
    ("patient", {"scope": ["patient/*.cruds"]}, "claim scope must be a string"),
    ("patient", {"amr": "mfa"}, "claim amr must be an array"),
    ("patient", {"amr": []}, "claim amr must be an array"),
    ("patient", {"amr": [1]}, "claim amr must be an array of strings"),
    ("patient", {"amr": TOO_MANY}, "1 to 50"),
    ("patient", {"exp": "soon"}, "claim exp must be a number"),
    ("patient", {"extensions": []}, "claim extensions must be an object"),
    ("patient", {"extensions.ihe_iua": "x"}, "claim extensions.ihe_iua must be an object"),
    ("patient", {"extensions.dmp": 1}, "claim extensions.dmp must be an object"),
    ("patient", {"iua_person_id": {"value": "280057505600117"}}, "claim extensions.ihe_iua.person_id must be a string"),
    ("patient", {"iua_person_id": "28005750560011"}, "INS of 15 characters"),
    ("patient", {"iua_person_id": "280057505600117|"}, "INS of 15 characters"),
    ("patient", {"iua_person_id": "|280057505600117"}, "INS of 15 characters"),
    ("patient", {"iua_person_id": "urn:oid:1.2.3|280057505600117"}, "INS of 15 characters"),
    ("specialiste", {"iua_subject_role": "10"}, "subject_role must be an array"),
    ("specialiste", {"iua_subject_role": ["10"]}, "array of Coding"),
    ("specialiste", {"iua_subject_role": [{"code": "10"}]}, "lacks the claim extensions.ihe_iua.subject_role.system"),
    ("specialiste", {"iua_subject_role": [{"system": G15, "code": 10}]}, "subject_role.code must be a string"),
    ("specialiste", {"iua_national_provider_identifier": 89900000002}, "must be a string"),
    ("specialiste", {"iua_national_provider_identifier": "8990000000"}, "RPPS number of 11 digits"),
    ("specialiste", {"iua_national_provider_identifier": "٨٩٩٠٠٠٠٠٠٠٢"}, "RPPS number of 11 digits"),
    ("hopital", {"iua_subject_organization_id": "990000001"}, "must be a structure"),
    ("hopital", {"iua_subject_organization_id": f"{FINESS}|"}, "must be a structure"),
    ("hopital", {"iua_subject_organization_id": f"{FINESS}|99"}, "FINESS number of 9"),
    ("hopital", {"iua_subject_organization_id": "urn:oid:9.9|990000001"}, "must be a structure"),
    ("urgentiste", {"dmp_reason": 12}, "extensions.dmp.reason must be a string"),
    ("urgentiste", {"dmp_reason": "too\x00bad, really"}, "control characters"),
    ("specialiste", {"dmp_audience_restriction": "AUTRE"}, "audience_restriction must be"),
    ("specialiste", {"dmp_audience_restriction": True}, "audience_restriction must be a string"),
    ("specialiste", {"iua_purpose_of_use": "TREAT"}, "purpose_of_use must be an array"),
    ("specialiste", {"iua_purpose_of_use": [role("urn:oid:1.2.3", "TREAT")]}, "codes of v3-ActReason"),
    # a restriction that is not applied here
    ("patient", {"cnf": {"jkt": "x"}}, "bound to a key"),
    ("patient", {"authorization_details": []}, "authorization_details"),
    ("patient", {"extensions.ihe_pcf": {}}, "ihe_pcf"),
    ("patient", {"dmp_audience": "x"}, "and nothing else"),
    ("patient", {"scope": "patient/Observation.rs?category=laboratory"}, "narrowed by a query"),
    ("patient", {"scope": "patient/*.everything"}, "cannot be read"),
    # two claims contradict each other
    ("patient", {"scope": "patient/*.cruds user/*.cruds"}, "exactly one kind"),
    ("patient", {"scope": "openid"}, "exactly one kind"),
    ("patient", {"scope": "user/*.cruds"}, "do not go with the role"),
    ("patient", {"scope": "system/*.cruds"}, "must have the claim subject_organization_id"),
    ("patient", {"iua_national_provider_identifier": "89900000001"}, "must not have the claim national_provider"),
    ("patient", {"iua_subject_organization_id": f"{FINESS}|990000001"}, "must not have the claim subject_organization"),
    ("patient", {"dmp_actor_ins": "280057505600117"}, "must not have the claim actor_ins"),
    ("patient", {"dmp_specialty": "SM26"}, "must not have the claim specialty"),
    ("patient", {"dmp_practice_setting": "SAMU_SMUR"}, "must not have the claim practice_setting"),
    ("patient", {"dmp_audience_restriction": SECRET_SESSION}, "must not have the claim audience_restriction"),
    ("patient", {"iua_subject_role": [role(G15, "10")]}, "do not go with the role"),
    ("patient", {"iua_subject_role": [role(ROLES, "SUPPORT")]}, "do not go with the role"),
    ("representant", {"iua_subject_role": [role(R260, "NOK")]}, "must not have the claim actor_ins"),
    ("representant", {"iua_subject_role": [role(R260, "GUARD"), role(R260, "CAREGIVER")]}, "contradict each other"),
    ("representant", {"iua_person_id": "280057505600117"}, "nobody represents himself"),
    ("specialiste", {"dmp_actor_ins": "280057505600117"}, "must not have the claim actor_ins"),
    ("specialiste", {"iua_subject_role": [role(G15, "10"), role(R260, "GUARD")]}, "contradict each other"),
    ("specialiste", {"iua_subject_role": [role(G15, "10"), role(ROLES, "CONFORMANCE")]}, "contradict each other"),
    ("specialiste", {"iua_subject_role": [role(G15, "10"), role(G15, "60")]}, "several professions"),
    ("specialiste", {"iua_subject_role": [role(G15, "10"), role(G16, "10")]}, "several professions"),
    ("specialiste", {"scope": "system/*.crus"}, "do not go with the role"),
    ("hopital", {"iua_national_provider_identifier": "89900000001"}, "must not have the claim national_provider"),
    ("hopital", {"iua_person_id": "280057505600117"}, "must not have the claim person_id"),
    ("hopital", {"iua_subject_role": [role(G15, "10")]}, "do not go with the role"),
    ("assurance-maladie", {"iua_person_id": "280057505600117"}, "must not have the claim person_id"),
    ("assurance-maladie", {"scope": "user/*.cruds"}, "do not go with the role"),
    ("conformance", {"iua_national_provider_identifier": "89900000001"}, "must not have the claim national_provider"),
    ("conformance", {"iua_subject_organization_id": f"{FINESS}|990000001"}, "must not have the claim subject_organi"),
    ("conformance", {"iua_person_id": "280057505600117"}, "must not have the claim person_id"),
    ("conformance", {"scope": "system/Patient.cruds"}, "holds the scope"),
    ("conformance", {"scope": "user/*.cruds"}, "do not go with the role"),
    ("support", {"iua_person_id": "280057505600117"}, "must not have the claim person_id"),
    ("specialiste", {"iua_purpose_of_use": [*purpose("TREAT"), *purpose("BTG")]}, "several purposes"),
]


@pytest.mark.parametrize(("actor", "changes", "sentence"), CONTRADICTIONS)
def test_a_wrong_or_contradicting_claim_is_401(actor: str, changes: dict[str, Any], sentence: str) -> None:
    told = claims(actor)
    for name, value in changes.items():
        set_claim(told, re.sub("^iua_", IUA, re.sub("^dmp_", DMP, name)), value)

    with pytest.raises(Unauthenticated, match=re.escape(sentence)) as refused:
        requester(told, Realm.ESSAI)

    ((name, challenge),) = refused.value.headers
    assert name == "WWW-Authenticate"
    assert re.fullmatch(r'Bearer error="invalid_token", error_description="[^"\\]+"', challenge)
    assert refused.value.issues[0].diagnostics.endswith(".")


@pytest.mark.parametrize("name", ["sub", "iss", "jti", "scope", "exp", "amr", "extensions", IUA + "person_id"])
def test_null_is_no_value(name: str) -> None:
    told = claims("patient")
    *way, last = name.split(".")
    below: Any = told
    for step in way:
        below = below[step]
    below[last] = None

    with pytest.raises(Unauthenticated):
        requester(told, Realm.ESSAI)


@pytest.mark.parametrize("value", [-1, 10**12, 10**400, True, Decimal("1E+999999999"), Decimal("-0.5"), None, "1", {}])
def test_a_moment_is_a_number_of_this_era(value: Json) -> None:
    told = claims("patient")
    told["exp"] = value

    with pytest.raises(Unauthenticated, match="number of seconds"):
        requester(told, Realm.ESSAI)


@pytest.mark.parametrize(("value", "expires"), [(Decimal("1800000000.9"), 1_800_000_000), (Decimal("1E-999999"), 0)])
def test_a_moment_is_cut_to_seconds(value: Decimal, expires: int) -> None:
    assert ask("patient", exp=value).expires == expires


class TestRealms:
    """Real people and trials never mix."""

    def test_a_test_ins_is_nobody_among_real_people(self) -> None:
        with pytest.raises(Unauthenticated, match="of this realm"):
            ask("patient", Realm.REEL, iua_person_id=f"{INS_NIR_TEST}|280057505600117")

    def test_a_real_ins_has_no_place_in_trials(self) -> None:
        with pytest.raises(Unauthenticated, match="of this realm"):
            ask("patient", Realm.ESSAI, iua_person_id=f"{INS_NIR}|280057505600117")

    def test_conformance_clients_are_for_trials(self) -> None:
        with pytest.raises(Unauthenticated, match="trials only"):
            ask("conformance", Realm.REEL)

    def test_so_are_they_with_narrower_scopes(self) -> None:
        with pytest.raises(Unauthenticated, match="trials only"):
            ask("conformance", Realm.REEL, scope="system/Patient.cruds")

    def test_so_is_the_scope_on_everything_for_a_hospital(self) -> None:
        with pytest.raises(Unauthenticated, match="trials only"):
            ask("hopital", Realm.REEL, scope="system/*.cruds")

    def test_a_hospital_publishes_in_both(self) -> None:
        assert ask("hopital", Realm.REEL).kind is Kind.ORGANISATION


class TestPurpose:
    """ETREAT for a doctor of a SAMU, BTG for a health professional in person who says why; else 403 (R-40 to R-42)."""

    @pytest.mark.parametrize("code", ["TREAT", "PATRQT"])
    def test_a_patient_asks_for_himself(self, code: str) -> None:
        assert ask("patient", iua_purpose_of_use=purpose(code)).purpose == code

    def test_a_representative_asks_for_the_family(self) -> None:
        assert ask("representant", iua_purpose_of_use=purpose("FAMRQT")).purpose is Purpose.FAMRQT

    def test_no_purpose_is_treatment(self) -> None:
        assert ask("medecin-traitant").purpose is Purpose.TREAT

    def test_the_same_purpose_twice_is_one(self) -> None:
        assert ask("patient", iua_purpose_of_use=[*purpose("TREAT"), *purpose("TREAT")]).purpose is Purpose.TREAT

    @pytest.mark.parametrize("length", [10, 500])
    def test_a_reason_at_the_bounds(self, length: int) -> None:
        assert ask("urgentiste", dmp_reason="é" * length).purpose is Purpose.BTG

    def test_a_nurse_may_break_the_glass(self) -> None:
        told = ask("infirmier", iua_purpose_of_use=purpose("BTG"), dmp_reason="Patient inconscient")

        assert told.purpose is Purpose.BTG

    @pytest.mark.parametrize(
        ("actor", "changes", "sentence"),
        [
            ("samu", {"dmp_practice_setting": "AMBULATOIRE"}, "SAMU_SMUR"),
            ("samu", {"dmp_practice_setting": None}, "SAMU_SMUR"),
            ("samu", {"iua_subject_role": [role(G15, "60")]}, "doctors"),
            ("samu", {"iua_subject_role": [role(G16, "10")]}, "doctors"),
            ("medecin-traitant", {"iua_purpose_of_use": purpose("ETREAT")}, "SAMU_SMUR"),
            ("patient", {"iua_purpose_of_use": purpose("ETREAT")}, "kind of requester"),
            ("patient", {"iua_purpose_of_use": purpose("BTG")}, "kind of requester"),
            ("patient", {"iua_purpose_of_use": purpose("FAMRQT")}, "kind of requester"),
            ("representant", {"iua_purpose_of_use": purpose("BTG")}, "kind of requester"),
            ("hopital", {"iua_purpose_of_use": purpose("BTG")}, "kind of requester"),
            ("hopital", {"iua_purpose_of_use": purpose("ETREAT")}, "kind of requester"),
            ("assurance-maladie", {"iua_purpose_of_use": purpose("BTG")}, "kind of requester"),
            ("conformance", {"iua_purpose_of_use": purpose("BTG")}, "kind of requester"),
            ("support", {"iua_purpose_of_use": purpose("BTG")}, "kind of requester"),
            ("medecin-traitant", {"iua_purpose_of_use": purpose("PATRQT")}, "kind of requester"),
            ("medecin-traitant", {"iua_purpose_of_use": purpose("HMARKT")}, "not served"),
            ("medecin-traitant", {"iua_purpose_of_use": purpose("treat")}, "not served"),
            ("urgentiste", {"amr": ["pwd"]}, "in person"),
            ("urgentiste", {"amr": ["hwk"]}, "in person"),
            ("urgentiste", {"amr": None}, "in person"),
            ("urgentiste", {"dmp_reason": None}, "reason"),
            ("urgentiste", {"dmp_reason": "x" * 9}, "reason"),
            ("urgentiste", {"dmp_reason": "x" * 501}, "reason"),
            ("urgentiste", {"dmp_reason": "x        y"}, "reason"),
            ("urgentiste", {"iua_subject_role": [role(R94, "41")]}, "TRE_G15"),
            ("urgentiste", {"iua_subject_role": [role(R291, "99")]}, "TRE_G15"),
        ],
    )
    def test_a_purpose_that_does_not_fit_is_403(self, actor: str, changes: dict[str, Any], sentence: str) -> None:
        with pytest.raises(PurposeRefused, match=sentence) as refused:
            ask(actor, **changes)

        assert refused.value.status == 403
        assert refused.value.requester.kind is ACTORS[actor].kind


def test_roles_that_say_nothing_give_nothing() -> None:
    told = ask("hopital", iua_subject_role=[role(A00, "SECRETARIAT_MEDICAL"), role("urn:oid:1.2.3", "ADMIN")])

    assert told.kind is Kind.ORGANISATION


def test_an_unknown_profession_is_a_professional_whom_no_line_of_the_matrix_knows() -> None:
    assert ask("infirmier", iua_subject_role=[role(G15, "999")]).profession == "999"


_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["280057505600117", "89900000001", f"{FINESS}|990000001", "patient/*.cruds", "system/*.cruds"]),
)
_NAMES = st.sampled_from(
    ["system", "code", "ihe_iua", "dmp", "person_id", "actor_ins", "subject_role", "purpose_of_use", "scope", "reason"]
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
_PLACES = st.sampled_from(
    [
        *["iss", "sub", "aud", "exp", "iat", "jti", "scope", "amr", "name", "extensions"],
        *[IUA.rstrip("."), DMP.rstrip(".")],
        *(
            IUA + name
            for name in (
                "subject_name",
                "subject_role",
                "purpose_of_use",
                "national_provider_identifier",
                "subject_organization_id",
                "person_id",
            )
        ),
        *(DMP + name for name in ("specialty", "practice_setting", "reason", "actor_ins", "audience_restriction")),
    ]
)


@given(st.sampled_from(sorted(ACTORS)), st.dictionaries(_PLACES, _TREES, max_size=3), st.sampled_from(Realm))
def test_any_claims_make_one_requester_or_a_refusal(actor: str, changes: dict[str, Any], realm: Realm) -> None:
    told = claims(actor)
    for name, value in changes.items():
        set_claim(told, name, value)

    try:
        answer = requester(told, realm)
    except (Unauthenticated, PurposeRefused):
        return
    assert answer.realm is realm
    assert not (answer.kind is Kind.CONFORMANCE and realm is Realm.REEL)
    assert (answer.actor is not None) == (answer.kind in (Kind.REPRESENTATIVE, Kind.CARER))
    assert (answer.rpps is not None) == (answer.kind is Kind.PROFESSIONAL)


@given(st.dictionaries(_NAMES | st.text(max_size=5), _TREES, max_size=5))
def test_claims_from_nowhere_make_nobody(tree: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        requester(tree, Realm.ESSAI)
