"""From the claims of a verified token to its requester.

The claims are those of IHE IUA (``extensions.ihe_iua``, https://profiles.ihe.net/ITI/TF/Volume2/ITI-71.html) and our
own (``extensions.dmp``). A claim of the wrong type, or one that contradicts another, is a 401; so is any claim that
would narrow the token in a way this server does not apply.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final, TypeVar

from fhir_server.fhir.joining import listed
from fhir_server.fhir.json import JsonObject
from fhir_server.fhir.messages import Told
from fhir_server.identity.kinds import TABLE, Mark, Presence, Row, marks
from fhir_server.identity.messages import told
from fhir_server.identity.purpose import IN_PERSON, misfit
from fhir_server.identity.refusal import invalid_token
from fhir_server.identity.requester import Coding, Identifier, Kind, Purpose, PurposeRefused, Realm, Requester
from fhir_server.identity.scope import Level, Scope, ScopeRefused, scopes
from fhir_server.identity.systems import (
    ACT_REASON,
    FINESS,
    ID_NAT_STRUCT,
    INS_NIR,
    INS_NIR_TEST,
    ORGANISATIONS,
    PROFESSIONS,
    REAL_INS,
    TRIAL_INS,
)
from fhir_server.identity.tree import Tree

SECRET_SESSION: Final = "INVISIBLE_REPRESENTANTS_LEGAUX"  # noqa: S105 - a code of JDV_J64, not a password

_DMP_CLAIMS = frozenset({"specialty", "practice_setting", "reason", "actor_ins", "audience_restriction"})
_RPPS = re.compile(r"[0-9]{11}")
_INS = re.compile(r"[0-9]{6}[0-9AB][0-9]{8}")
"""Thirteen characters and their key; Corsica writes its départements 2A and 2B."""
_FINESS = re.compile(r"[0-9][0-9AB][0-9]{7}")

_PURPOSES = frozenset(purpose.value for purpose in Purpose)

Claim = TypeVar("Claim")


def requester(claims: JsonObject, realm: Realm) -> Requester:
    """Give the requester of a token whose signature, times, issuer and audience hold.

    Raises:
        Unauthenticated: the claims do not make one requester.
        PurposeRefused: they do, and their purpose does not fit him.
    """
    token = Tree(claims)
    extensions = token.below("extensions")
    iua, dmp = extensions.below("ihe_iua"), extensions.below("dmp")
    _refuse_restrictions(token, extensions, dmp)
    granted = _scopes(token, realm)
    roles = iua.codings("subject_role")
    row = _row(granted, roles, realm)
    profession = _profession(roles)
    rpps = _agree(row.rpps, "national_provider_identifier", _rpps(iua), row)
    organisation = _agree(row.organisation, "subject_organization_id", _organisation(iua), row)
    person = _agree(row.person, "person_id", _ins(iua, "person_id", realm), row)
    actor = _agree(row.actor, "actor_ins", _ins(dmp, "actor_ins", realm), row)
    if actor is not None and actor == person:
        raise invalid_token(told("represents-himself"))
    amr = token.texts("amr")
    subject, issuer = token.required_text("sub"), token.required_text("iss")
    identity = actor or person if row.kind is not Kind.PROFESSIONAL else None
    proved = Requester(
        kind=row.kind,
        key=_key(rpps, organisation, identity, f"client|{issuer}|{subject}"),
        name=iua.text("subject_name") or token.text("name") or iua.text("subject_organization") or subject,
        subject=subject,
        issuer=issuer,
        realm=realm,
        rpps=rpps,
        organisation=organisation.value if organisation else None,
        organisation_system=organisation.system if organisation else None,
        roles=roles,
        profession=profession.code if profession else None,
        profession_system=profession.system if profession else None,
        specialty=_agree(row.exercise, "specialty", dmp.text("specialty"), row),
        practice_setting=_agree(row.exercise, "practice_setting", dmp.text("practice_setting"), row),
        purpose=Purpose.TREAT,
        reason=dmp.prose("reason"),
        person=person,
        actor=actor,
        audience_restriction=_agree(row.secret, "audience_restriction", _audience_restriction(dmp), row),
        amr=amr,
        authenticated_in_person=not IN_PERSON.isdisjoint(amr),
        scopes=granted,
        token_id=token.required_text("jti"),
        expires=token.required_moment("exp"),
    )
    return _with_purpose(proved, iua.codings("purpose_of_use"))


def _refuse_restrictions(token: Tree, extensions: Tree, dmp: Tree) -> None:
    """Refuse what would narrow the token, if we applied it: to pass it over would widen what was granted."""
    if "cnf" in token.members:
        raise invalid_token(told("bound"))
    if "authorization_details" in token.members:
        raise invalid_token(told("details"))
    if "ihe_pcf" in extensions.members:
        raise invalid_token(told("own-consent"))
    if not dmp.members.keys() <= _DMP_CLAIMS:
        raise invalid_token(told("dmp-claims", names=", ".join(sorted(_DMP_CLAIMS))))


def _scopes(token: Tree, realm: Realm) -> tuple[Scope, ...]:
    try:
        granted = scopes(token.required_text("scope"))
    except ScopeRefused as refused:
        raise invalid_token(refused.told) from None
    levels = {scope.level for scope in granted}
    if len(levels) != 1:
        raise invalid_token(told("one-kind-of-scope"))
    if realm is Realm.REEL and Level.SYSTEM in levels and any(scope.is_everything for scope in granted):
        raise invalid_token(told("everything"))
    return granted


def _row(granted: tuple[Scope, ...], roles: tuple[Coding, ...], realm: Realm) -> Row:
    named = marks(roles)
    if len(named) > 1:
        raise invalid_token(told("roles", roles=listed(_called(mark) for mark in sorted(named))))
    level, mark = granted[0].level, next(iter(named), Mark.NONE)
    row = TABLE.get((level, mark))
    if row is None:
        raise invalid_token(told("scopes-and-role", level=level, mark=_called(mark)))
    if row.kind is Kind.CONFORMANCE:
        if realm is not Realm.ESSAI:
            raise invalid_token(told("conformance"))
        if not any(scope.is_everything for scope in granted):
            raise invalid_token(told("conformance-scope"))
    return row


def _called(mark: Mark) -> Told:
    return told(f"mark-{mark.name.lower()}")


def _agree(presence: Presence, name: str, value: Claim | None, row: Row) -> Claim | None:
    """Give the value when the kind may have it, and must have none or one as the table says."""
    if (value is None and presence is Presence.ALWAYS) or (value is not None and presence is Presence.NEVER):
        raise invalid_token(told("claim-of-kind" if value is None else "claim-not-of-kind", kind=row.kind, name=name))
    return value


def _profession(roles: tuple[Coding, ...]) -> Coding | None:
    named = {(role.system, role.code): role for role in roles if role.system in PROFESSIONS}
    if len(named) > 1:
        raise invalid_token(told("professions"))
    return next(iter(named.values()), None)


def _rpps(iua: Tree) -> str | None:
    value = iua.text("national_provider_identifier")
    if value is not None and _RPPS.fullmatch(value) is None:
        raise iua.wrong("national_provider_identifier", told("an-rpps"))
    return value


def _organisation(iua: Tree) -> Identifier | None:
    text = iua.text("subject_organization_id")
    if text is None:
        return None
    system, _, value = text.partition("|")
    if system not in ORGANISATIONS or not value or "|" in value:
        raise iua.wrong("subject_organization_id", told("a-structure", system=FINESS))
    if system == FINESS and _FINESS.fullmatch(value) is None:
        raise iua.wrong("subject_organization_id", told("a-finess"))
    return Identifier(system, value)


def _ins(tree: Tree, name: str, realm: Realm) -> Identifier | None:
    """An INS, as ``system|value`` or alone: then a test number in the realm of trials and a real one elsewhere."""
    text = tree.text(name)
    if text is None:
        return None
    systems = TRIAL_INS if realm is Realm.ESSAI else REAL_INS
    system, bar, value = text.rpartition("|")
    if not bar:
        system = INS_NIR_TEST if realm is Realm.ESSAI else INS_NIR
    if system not in systems or _INS.fullmatch(value) is None:
        raise tree.wrong(name, told("an-ins", system=min(systems)))
    return Identifier(system, value)


def _audience_restriction(dmp: Tree) -> str | None:
    value = dmp.text("audience_restriction")
    if value not in (None, SECRET_SESSION):
        raise dmp.wrong("audience_restriction", SECRET_SESSION)
    return value


def _key(rpps: str | None, organisation: Identifier | None, person: Identifier | None, client: str) -> str:
    """The stable identity: the person who acts, else the structure, else the client of the issuer."""
    if rpps is not None:
        return f"rpps|{rpps}"
    if person is not None:
        return f"ins|{person.value}"
    if organisation is None:
        return client
    if organisation.system == FINESS:
        return f"finess|{organisation.value}"
    if organisation.system == ID_NAT_STRUCT and organisation.value.startswith("1"):
        return f"finess|{organisation.value[1:]}"
    return f"{organisation.system}|{organisation.value}"


def _with_purpose(proved: Requester, purposes: tuple[Coding, ...]) -> Requester:
    if not purposes:
        return proved
    if any(purpose.system != ACT_REASON for purpose in purposes):
        raise invalid_token(told("purpose-system"))
    codes = {purpose.code for purpose in purposes}
    if len(codes) > 1:
        raise invalid_token(told("purposes"))
    code = codes.pop()
    if code not in _PURPOSES:
        raise PurposeRefused(told("purpose-unknown"), proved)
    asked = replace(proved, purpose=Purpose(code))
    sentence = misfit(asked)
    if sentence is not None:
        raise PurposeRefused(sentence, asked)
    return asked
