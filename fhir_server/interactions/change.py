"""What a write changes, and which act that is (access: acts, labels).

Three kinds of change: of labels and status alone (relabel), of the content of an own deposit, of contact details.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act, Domain, Standing, domain_of, organisation_key, standings_of
from fhir_server.fhir.errors import Forbidden, Unprocessable
from fhir_server.fhir.outcome import IssueType
from fhir_server.identity.requester import Kind
from fhir_server.record.belonging import record_of
from fhir_server.record.labels import INVISIBLE, MASQUE_PS, labels_of

if TYPE_CHECKING:
    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Stored

IS_ARCHIVED: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived"
CONTACT_DETAILS: Final = frozenset({"telecom", "address", "contact", "communication", "text"})
"""What a patient may change of his own Patient: his contact details, never his identity."""
_PATIENT_SIDE: Final = frozenset({Kind.PATIENT, Kind.REPRESENTATIVE})


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
        if _without_archiving(old) == _without_archiving(new):
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
    content = Act.CHANGE_OWN if exchange.requester.kind in _PATIENT_SIDE else Act.FEED
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
        raise Unprocessable(
            "A resource may not move to another patient: delete it, and create it in the other record.",
            code=IssueType.BUSINESS_RULE,
        )
    if type == "Patient" and exchange.requester.kind in _PATIENT_SIDE and changed - CONTACT_DETAILS:
        told = ", ".join(sorted(changed - CONTACT_DETAILS))
        raise Forbidden(f"You may change your contact details only, not: {told}.")
    _labels_must_be_legal(exchange, facts, old, before, after, changed)


def _labels_must_be_legal(
    exchange: Exchange, facts: Facts, old: Stored, before: JsonObject, after: JsonObject, changed: set[str]
) -> None:
    added = set(labels_of(after)) - set(labels_of(before))
    removed = set(labels_of(before)) - set(labels_of(after))
    if added & INVISIBLE:
        raise Unprocessable(
            f"{', '.join(sorted(added & INVISIBLE))} can only be set when a document is published.",
            expression=(f"{old.type}.securityLabel",),
            code=IssueType.BUSINESS_RULE,
        )
    if domain_of(old.type) is not Domain.CONTENTS or exchange.is_conformance or not changed:
        return
    own = _is_own(exchange, facts, old)
    standings = standings_of(exchange.requester, facts, exchange.now)
    if Standing.MEDECIN_TRAITANT in standings or (own and exchange.requester.kind in _PATIENT_SIDE):
        return
    if exchange.requester.kind in _PATIENT_SIDE:
        _only(changed <= {"securityLabel", "meta.security"} and not (added | removed) - {MASQUE_PS})
    elif Standing.PROFESSIONAL_AUTHORISED in standings:
        _only(own or (changed <= {"securityLabel", "meta.security"} and added <= {MASQUE_PS} and not removed))
    else:
        _only(own and not added and not removed)


def _only(legal: bool) -> None:  # noqa: FBT001 - one statement
    if not legal:
        raise Forbidden("You may not make this change to a document that somebody else deposited, or lift this label.")


def _is_own(exchange: Exchange, facts: Facts, old: Stored) -> bool:
    requester, deposit = exchange.requester, old.document["deposit"]
    if requester.kind in (Kind.ORGANISATION, Kind.FEEDER):
        return deposit["organisation"] is not None and deposit["organisation"] == organisation_key(requester)
    keys = {requester.key} | (facts.persons if requester.kind in _PATIENT_SIDE else frozenset())
    return deposit["by"] in keys


def _decided(meta: Json) -> JsonObject:
    if not isinstance(meta, dict):
        return {}
    return {name: value for name, value in meta.items() if name not in ("versionId", "lastUpdated")}


def _without_archiving(resource: JsonObject) -> list[Json]:
    extensions = resource.get("extension")
    return [
        one
        for one in (extensions if isinstance(extensions, list) else [])
        if not (isinstance(one, dict) and one.get("url") == IS_ARCHIVED)
    ]
