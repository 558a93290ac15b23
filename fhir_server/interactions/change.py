"""What a write changes, and which act that is (access: acts, labels).

Three kinds of change: of labels and status alone (relabel), of the content of an own deposit, of contact details.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import (
    PATIENT_SIDE,
    Act,
    Domain,
    Standing,
    domain_of,
    organisation_key,
    standings_of,
)
from fhir_server.fhir import date
from fhir_server.fhir.errors import Conflict, Forbidden, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.requester import Kind
from fhir_server.interactions.messages import told
from fhir_server.record.belonging import record_of
from fhir_server.record.closure import CLOSING, closing_days
from fhir_server.record.consents import Policy, policy_of
from fhir_server.record.facts import Life
from fhir_server.record.labels import INVISIBLE, MASQUE_PS, labels_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Stored

IS_ARCHIVED: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived"
OWN_PATIENT: Final = frozenset({"telecom", "address", "contact", "communication", "text", "active"})
"""What a patient may change of his own Patient: his contact details, whether the record is open; never his identity."""
_A_DAY: Final = len("2026-11-22")
_DAY: Final = 86_400_000_000
_HOLDER: Final = frozenset({Kind.PATIENT, Kind.REPRESENTATIVE})

MOVED: Final = told("moved")


def changed_members(old: JsonObject, new: JsonObject) -> set[str]:
    """The names of the top-level members that differ; of ``meta`` only what a client decides."""
    names = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - {"meta"}
    old_meta, new_meta = _decided(old.get("meta")), _decided(new.get("meta"))
    return names | {
        f"meta.{name}" for name in old_meta.keys() | new_meta.keys() if old_meta.get(name) != new_meta.get(name)
    }


def is_relabelling(old: JsonObject, new: JsonObject, changed: set[str]) -> bool:
    """Whether only labels, the status of a document, or its archiving differ."""
    allowed = {"securityLabel", "meta.security"}
    if old.get("resourceType") in ("DocumentReference", "List"):
        allowed.add("status")
        if _without(old, {IS_ARCHIVED}) == _without(new, {IS_ARCHIVED}):
            allowed.add("extension")
    return bool(changed) and changed <= allowed


def acts_of_update(exchange: Exchange, type: str, *, relabelling: bool) -> tuple[Act, ...]:
    """The acts an update may be done as: of labels, or of the content of an own deposit.

    Whoever may replace an own deposit may also change its status or archive it, so relabelling falls back to that.
    """
    if domain_of(type) is Domain.GOVERN:
        return (Act.GOVERN,)
    if domain_of(type) is not Domain.CONTENTS or exchange.is_conformance:
        return (Act.CHANGE_OWN,)
    content = Act.CHANGE_OWN if exchange.requester.kind in PATIENT_SIDE else Act.FEED
    return (Act.RELABEL, content) if relabelling else (content,)


def possible_acts(exchange: Exchange, type: str) -> tuple[Act, ...]:
    """The acts an update of this type may turn out to be, before anything stored is looked at."""
    return acts_of_update(exchange, type, relabelling=True)


def must_be_legal(
    exchange: Exchange, facts: Facts, old: Stored, before: JsonObject, after: JsonObject, changed: set[str]
) -> None:
    """Raise for a change that nobody, or not this requester, may make to something he sees."""
    type = old.type
    base_url = exchange.server.base_url
    if type != "Patient" and record_of(type, old.id, before, base_url) != record_of(type, old.id, after, base_url):
        raise Unprocessable(MOVED, code=IssueType.BUSINESS_RULE)
    if type == "Patient" and exchange.requester.kind in _HOLDER:
        _holder_may_change(exchange, facts, before, after, changed)
    if type == "Consent" and policy_of(before) is Policy.AIDANT:
        _invitation_must_be_answered_by_its_carer(exchange, before, after, changed)
    _labels_must_be_legal(exchange, facts, old, before, after, changed)


def _holder_may_change(
    exchange: Exchange, facts: Facts, before: JsonObject, after: JsonObject, changed: set[str]
) -> None:
    """Contact details, and whether the record is open: what is over does not come back (R-73, R-75)."""
    others = changed - OWN_PATIENT
    if _without(before, CLOSING) == _without(after, CLOSING):
        others -= {"extension"}
    if others:
        raise Forbidden(told("contact-details", names=", ".join(sorted(others))))
    closing, asked = closing_days(before), closing_days(after)
    for url, day in asked.items():
        if closing.get(url) != day and not _is_about_now(day, exchange):
            raise Unprocessable(
                told("closed-today"),
                expression=("Patient.extension",),
                code=IssueType.BUSINESS_RULE,
            )
    if facts.life(exchange.now) is Life.ERASED and changed & {"active", "extension"}:
        raise Conflict(told("being-erased"), expression=("Patient.active",))


def _is_about_now(day: Json, exchange: Exchange) -> bool:
    """Today, give or take a day: no clock of a client is exact, and no zone the only one."""
    told = date.moment_of(day, exchange.server.zone, end=False, unknown=date.MIN)
    return isinstance(day, str) and len(day) >= _A_DAY and abs(told - exchange.now) <= 2 * _DAY


def _invitation_must_be_answered_by_its_carer(
    exchange: Exchange, before: JsonObject, after: JsonObject, changed: set[str]
) -> None:
    """Who is invited says yes or no, and leaves when he likes; the patient withdraws (A.4)."""
    if exchange.is_conformance:
        return
    old, new = before.get("status"), after.get("status")
    answers = {("proposed", "active"), ("proposed", "rejected"), ("active", "inactive")}
    if exchange.requester.kind is Kind.CARER:
        if changed - {"status"} or (old, new) not in answers:
            raise Forbidden(told("invited-carer"))
    elif new not in (old, "inactive"):
        raise Unprocessable(
            told("answer-of-carer"),
            expression=("Consent.status",),
            code=IssueType.BUSINESS_RULE,
        )


def _labels_must_be_legal(
    exchange: Exchange, facts: Facts, old: Stored, before: JsonObject, after: JsonObject, changed: set[str]
) -> None:
    added = set(labels_of(after)) - set(labels_of(before))
    removed = set(labels_of(before)) - set(labels_of(after))
    if added & INVISIBLE:
        raise Unprocessable(
            told("invisible-afterwards", labels=", ".join(sorted(added & INVISIBLE))),
            expression=(f"{old.type}.securityLabel",),
            code=IssueType.BUSINESS_RULE,
        )
    if domain_of(old.type) is not Domain.CONTENTS or exchange.is_conformance or not changed:
        return
    own = _is_own(exchange, facts, old)
    majority = exchange.server.law.majority
    standings = standings_of(exchange.requester, facts, exchange.now, majority=majority)
    if Standing.MEDECIN_TRAITANT in standings or (own and exchange.requester.kind in PATIENT_SIDE):
        return
    if exchange.requester.kind in PATIENT_SIDE:
        _only(changed <= {"securityLabel", "meta.security"} and not (added | removed) - {MASQUE_PS})
    elif standings & {Standing.PROFESSIONAL_AUTHORISED, Standing.TEAM_MEMBER}:
        _only(own or (changed <= {"securityLabel", "meta.security"} and added <= {MASQUE_PS} and not removed))
    else:
        _only(own and not added and not removed)


def _only(legal: bool) -> None:  # noqa: FBT001 - one statement
    if not legal:
        raise Forbidden(told("may-not-relabel"))


def _is_own(exchange: Exchange, facts: Facts, old: Stored) -> bool:
    requester, deposit = exchange.requester, old.document["deposit"]
    if requester.kind in (Kind.ORGANISATION, Kind.FEEDER):
        return deposit["organisation"] is not None and deposit["organisation"] == organisation_key(requester)
    keys = {requester.key} | (facts.persons if requester.kind in PATIENT_SIDE else frozenset())
    return deposit["by"] in keys


def _decided(meta: Json) -> JsonObject:
    if not isinstance(meta, dict):
        return {}
    return {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")}


def _without(resource: JsonObject, urls: Collection[str]) -> list[Json]:
    extensions = resource.get("extension")
    return [
        one
        for one in (extensions if isinstance(extensions, list) else [])
        if not (isinstance(one, dict) and one.get("url") in urls)
    ]
