"""A body on its way in: read, checked, stamped, placed in its record. What is wrong is told in full, before all else.

Order: what the request alone tells (400, 403, 422), then what stored data tell (404, 409, 412, 422).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act, Domain, domain_of, organisation_key
from fhir_server.fhir import json
from fhir_server.fhir.errors import Forbidden, Invalid, Unprocessable
from fhir_server.fhir.outcome import Issue, IssueType, error, fails, information
from fhir_server.fhir.reference import local
from fhir_server.identity.requester import Kind, Realm
from fhir_server.interactions.messages import told
from fhir_server.record.actors import INS, REAL_INS, TRIAL_INS, actor_key
from fhir_server.record.belonging import (
    is_fhir_document,
    patients_inside,
    records_of,
    subject_identifier,
    subjects,
)
from fhir_server.record.closure import NOT_CLOSED
from fhir_server.record.consents import POLICY, ConsentFact, Policy, policy_of, read_actor, read_consent
from fhir_server.record.elements import ELEMENTS, OWNED, SEVERAL
from fhir_server.record.facts import UNKNOWN_RECORD, Life
from fhir_server.record.labels import INVISIBLE_REPRESENTANTS_LEGAUX, label_issues, labels_of
from fhir_server.record.notification import is_forged
from fhir_server.record.pointers import about, pointers
from fhir_server.record.telling import tells, with_resource
from fhir_server.store.document import Deposit, keeps_records
from fhir_server.store.reading import permits
from fhir_server.store.writing import Effects, FactChange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhir.messages import Told
    from fhir_server.fhir.reference import LocalReference
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.record.facts import Facts
    from fhir_server.store.reading import Stored

CLOSED_RECORD: Final = told("closed-record")
OPPOSED_RECORD: Final = told("opposed-record")


@dataclass(slots=True)
class Draft:
    """A resource to be written, as read so far."""

    type: str
    resource: JsonObject
    body: bytes
    """Compact, as the client wrote it."""
    remarks: list[Issue]
    """Warnings and information, for ``Prefer: return=OperationOutcome``."""
    content: bytes | AsyncIterator[bytes] | None = None
    """Of a Binary, once it is known: its bytes, or how they come."""


def read_body(exchange: Exchange, type: str, raw: bytes, id: str | None) -> Draft:
    """Read and check a body by itself: JSON, type, id, structure, labels, identifiers of its realm."""
    resource = json.decode_object(raw)
    named = resource.get("resourceType")
    if named != type:
        raise Invalid(_other_type(named, type), expression=("resourceType",))
    if id is not None and resource.get("id") != id:
        raise Invalid(
            told("id-not-of-url", id=id, found=resource["id"]) if "id" in resource else told("id-missing", id=id),
            expression=(f"{type}.id",),
        )
    if type == "Consent":
        refuse_consent_of_professional(exchange, resource)
    return check(exchange, Draft(type, resource, json.compact(raw), []))


def check(exchange: Exchange, draft: Draft) -> Draft:
    """Check a decoded resource by itself; raise with everything that is wrong."""
    issues = exchange.server.validator.validate(draft.resource)
    if fails(issues):
        raise Invalid(issues=tuple(issues))
    issues += rules(exchange, draft)
    if fails(issues):
        raise Unprocessable(issues=tuple(issues))
    draft.remarks += issues
    return draft


def rules(exchange: Exchange, draft: Draft) -> list[Issue]:
    """What a resource breaks of the rules of this server, by itself: labels, realm, Consents, secret sessions."""
    issues = label_issues(draft.resource, masked_and_invisible=exchange.server.law.masked_and_invisible)
    if draft.type == "Patient":
        issues += _realm_issues(draft.resource, exchange.requester.realm)
    if draft.type == "Consent":
        issues += _consent_issues(exchange, draft)
    if is_forged(draft.type, draft.resource):
        issues.append(
            error(
                IssueType.BUSINESS_RULE,
                told("forged-notification"),
                "Communication.category",
            )
        )
    secret = exchange.requester.audience_restriction == INVISIBLE_REPRESENTANTS_LEGAUX
    if (
        secret
        and domain_of(draft.type) is Domain.CONTENTS
        and draft.type != "Binary"
        and INVISIBLE_REPRESENTANTS_LEGAUX not in labels_of(draft.resource)
    ):
        issues.append(
            error(
                IssueType.BUSINESS_RULE,
                told("secret-session"),
                f"{draft.type}.securityLabel" if draft.type == "DocumentReference" else f"{draft.type}.meta.security",
            )
        )
    return issues


def ins_of(realm: Realm) -> frozenset[str]:
    """The systems of the INS of a realm: it knows nobody by those of the other (access: realm)."""
    return TRIAL_INS if realm is Realm.ESSAI else REAL_INS


def _realm_issues(patient: JsonObject, realm: Realm) -> list[Issue]:
    """In trials no real INS, in care no trial INS: the two never meet (access: realm)."""
    wrong = INS - ins_of(realm)
    identifiers = patient.get("identifier")
    return [
        error(
            IssueType.BUSINESS_RULE,
            told("real-ins-in-trials" if realm is Realm.ESSAI else "trial-ins-in-care"),
            f"Patient.identifier[{position}].system",
        )
        for position, identifier in enumerate(identifiers if isinstance(identifiers, list) else [])
        if isinstance(identifier, dict) and identifier.get("system") in wrong
    ]


def _consent_issues(exchange: Exchange, draft: Draft) -> list[Issue]:
    if policy_of(draft.resource) is None:
        if exchange.is_conformance and not _claims_our_policy(draft.resource):
            return [information(IssueType.INFORMATIONAL, told("consent-decides-nothing"))]
        return [
            error(
                IssueType.NOT_SUPPORTED,
                told("consent-of-another-policy", policy=POLICY),
                "Consent.policy",
            )
        ]
    found = consent_fact(exchange, draft.resource)
    return found if isinstance(found, list) else []


def _claims_our_policy(consent: JsonObject) -> bool:
    policies = consent.get("policy")
    return isinstance(policies, list) and any(
        isinstance(policy, dict) and str(policy.get("uri", "")).startswith(POLICY) for policy in policies
    )


def consent_fact(exchange: Exchange, consent: JsonObject) -> ConsentFact | list[Issue]:
    """What a Consent of ours says, or what is wrong with its shape."""
    server = exchange.server
    return read_consent(consent, granted=exchange.now, zone=server.zone, duration=server.authorisation)


async def complete_subject(exchange: Exchange, draft: Draft) -> None:
    """Add the literal reference to subjects named by INS alone, so that the records are known for good."""
    if draft.type == "Bundle":
        return  # a document is as it was made
    if not any(subject_identifier(one) for one in subjects(draft.type, draft.resource)):
        return
    tree = json.decode_lexical(draft.body)
    completed: list[JsonObject] = []
    for subject in subjects(draft.type, tree):
        named = subject_identifier(subject)
        if named is None or named[0] not in INS:
            continue
        realm, records = exchange.requester.realm, []
        if named[0] in ins_of(realm):
            records = await exchange.server.internal.records_of_person(actor_key(*named), realm.value)
        if len(records) == 1:
            rest = dict(subject)
            subject.clear()
            subject |= {"reference": f"Patient/{records[0]}", **rest}
            completed.append(subject)
        elif not exchange.is_conformance:
            raise Unprocessable(UNKNOWN_RECORD, expression=(_element(draft.type),), code=IssueType.NOT_FOUND)
    if completed:
        parts = json.members(draft.body)
        top = _element(draft.type).split(".")[1]
        draft.body = json.join_members({**parts, top: json.encode_lexical(tree[top])})
        draft.resource = json.decode_object(draft.body)


async def place(exchange: Exchange, draft: Draft, id: str, act: Act) -> tuple[Facts, list[str]]:
    """The records a new resource will belong to, and the facts of the first; 422 where one may not be fed.

    A FHIR document that does not say in which record it belongs is in none, until a document owns it (ADR 0034).
    """
    if keeps_records(draft.type):
        records = await provenance_records(exchange, draft)
    else:
        records = records_of(draft.type, id, draft.resource, exchange.server.base_url)
    if await _waits(exchange, draft, records, act):
        return await exchange.facts_for(draft.type, None), []
    facts = await exchange.facts(records[0] if records else None)
    exchange.account.record = facts.record
    domain = domain_of(draft.type)
    if domain not in (Domain.CONTENTS, Domain.GOVERN) or draft.type == "Binary":
        return facts, records
    element = _element(draft.type)
    known = [await exchange.facts(record) for record in records]
    strange = [one for one in known if not one.exists or one.realm != exchange.requester.realm.value]
    if exchange.is_conformance:
        if strange:
            draft.remarks.append(information(IssueType.INFORMATIONAL, UNKNOWN_RECORD, element))
        return facts, records
    if not known or strange or not all(_may_know(exchange, draft.type, one, act) for one in known):
        raise Unprocessable(UNKNOWN_RECORD, expression=(element,), code=IssueType.NOT_FOUND)
    for one in known:
        must_be_open(exchange, one, element)
    if draft.type == "Consent":
        _must_stand(draft.resource, facts)
    return facts, records


async def _waits(exchange: Exchange, draft: Draft, records: Sequence[str], act: Act) -> bool:
    """Whether it is a FHIR document whose subject names no record here that the requester may know of.

    One that its own Patients explain may be a stranger's id that is a record's here by chance: whether it is, the
    answer does not tell.
    """
    if not is_fhir_document(draft.resource):
        return False
    if not records:
        return True
    if records[0] not in patients_inside(draft.resource):
        return False
    facts = await exchange.facts(records[0])
    is_known = facts.exists and facts.realm == exchange.requester.realm.value
    return not is_known or not (exchange.is_conformance or _may_know(exchange, draft.type, facts, act))


async def provenance_records(exchange: Exchange, draft: Draft) -> list[str]:
    """The records of what a Provenance tells of; 422 for a target that the requester may not know of."""
    base_url = exchange.server.base_url
    keys = about(draft.type, draft.resource, base_url)
    if not exchange.is_conformance:
        shown = await exchange.shown(keys)
        for key in keys:
            if key not in shown:
                raise Unprocessable(
                    told("unknown", key=key), expression=("Provenance.target",), code=IssueType.NOT_FOUND
                )
    found = dict.fromkeys(records_of(draft.type, "", draft.resource, base_url))
    of_targets = await exchange.server.internal.records_of(keys) if keys else {}
    return list(found | {record: None for key in keys for record in of_targets.get(key, ())})


def _element(type: str) -> str:
    """The path of the element that tells whom a type is about."""
    return ELEMENTS.get(type) or SEVERAL.get(type) or type


def _must_stand(consent: JsonObject, facts: Facts) -> None:
    """Raise 422 for a new Consent that names a care team nobody knows, or a carer who was not asked."""
    policy = policy_of(consent)
    if policy is Policy.EQUIPE and read_actor(consent) not in facts.known_teams:
        raise Unprocessable(
            told("team-unknown"),
            expression=("Consent.provision.actor[0].reference.reference",),
            code=IssueType.NOT_FOUND,
        )
    if policy is Policy.AIDANT and consent.get("status") != "proposed":
        raise Unprocessable(
            told("carer-is-invited"),
            expression=("Consent.status",),
            code=IssueType.BUSINESS_RULE,
        )


def must_be_open(exchange: Exchange, facts: Facts, expression: str) -> None:
    """Raise 422, with one text each, for a record that is closed, or opposed (access: 403 or 404)."""
    life = facts.life(exchange.now)
    if life is not Life.OPEN:
        raise Unprocessable(
            OPPOSED_RECORD if life is Life.OPPOSED else CLOSED_RECORD,
            expression=(expression,),
            code=IssueType.BUSINESS_RULE,
        )


def _may_know(exchange: Exchange, type: str, facts: Facts, act: Act) -> bool:
    """Whoever may feed a record may know that it exists (access: 403 or 404); the patient's side knows its own only."""
    if exchange.requester.kind in (Kind.PATIENT, Kind.REPRESENTATIVE, Kind.CARER) or act is Act.GOVERN:
        seen = exchange.decide("Patient", Act.CONSULT, facts)
        return permits(seen.visible, {"rt": "Patient", "realm": facts.realm, "record": facts.record, "labels": []})
    # not a role outside of the DMP, nor a token for another person; that the record is closed is told apart
    living = replace(facts, open=True, opposed=False, closure=NOT_CLOSED)
    seen = exchange.decide(type, act, living)
    own = {"by": exchange.requester.key, "organisation": organisation_key(exchange.requester)}
    return permits(seen.visible, {"rt": type, "realm": facts.realm, "record": facts.record, "deposit": own})


def deposit(exchange: Exchange) -> Deposit:
    """Who deposits, by his token alone."""
    requester = exchange.requester
    return Deposit(
        by=requester.key,
        organisation=organisation_key(requester),
        at=exchange.now,
        secret=requester.audience_restriction is not None,
    )


def refuse_consent_of_professional(exchange: Exchange, consent: JsonObject) -> None:
    """Of a professional, a block is the only Consent accepted, as the médecin traitant's (R-13, access §10)."""
    if exchange.requester.kind is Kind.PROFESSIONAL and policy_of(consent) is not Policy.BLOCAGE:
        raise Forbidden(told("consent-of-professional"))


async def pointed_binaries(
    exchange: Exchange, draft: Draft, facts: Facts, old: Stored | None = None, *, carried: Collection[str] = ()
) -> tuple[str, ...]:
    """The Binaries and FHIR documents of this server that a document points to; 422 for one neither own nor visible.

    Where the ``old`` version pointed, the next one may: who changes a document need not see all it points to. What it
    ``carried`` itself is stored with it.
    """
    if draft.type != "DocumentReference":
        return ()
    base_url = exchange.server.base_url
    before = pointers(json.decode_object(old.body), base_url) if old is not None and old.body is not None else ()
    keys: list[str] = []
    for position, url in _attachments(draft.resource):
        target = local(url, exchange.server.base_url)
        if target is None or target.type not in OWNED:
            continue
        if (
            str(target) not in before
            and str(target) not in carried
            and not await _may_point_to(exchange, target, facts)
        ):
            where = f"DocumentReference.content[{position}].attachment.url"
            sentence = told("unknown", key=target)
            if not exchange.is_conformance:
                raise Unprocessable(sentence, expression=(where,), code=IssueType.NOT_FOUND)
            draft.remarks.append(information(IssueType.INFORMATIONAL, sentence, where))
        keys.append(str(target))
    return tuple(dict.fromkeys(keys))


async def _may_point_to(exchange: Exchange, target: LocalReference, facts: Facts) -> bool:
    """Whether it is there for the requester; of Bundles, a FHIR document of no other record."""
    held = await exchange.server.reading.hold(target.type, target.id)
    rules = exchange.account.rules
    found = [held.read(exchange.decide(target.type, act, facts).visible) for act in (Act.CONSULT, Act.FEED)]
    exchange.account.rules = rules
    one = next((one for one in found if one is not None and one.body is not None), None)
    if one is None or target.type != "Bundle":
        return one is not None
    return one.record in (None, facts.record) and is_fhir_document(json.decode_object(one.body or b"{}"))


def _attachments(document: JsonObject) -> list[tuple[int, str]]:
    contents = document.get("content")
    found: list[tuple[int, str]] = []
    for position, content in enumerate(contents if isinstance(contents, list) else []):
        attachment: Json = content.get("attachment") if isinstance(content, dict) else None
        url = attachment.get("url") if isinstance(attachment, dict) else None
        if isinstance(url, str):
            found.append((position, url))
    return found


def effects(
    exchange: Exchange, draft: Draft, record: str | None, realm: str, binaries: tuple[str, ...] = ()
) -> Effects:
    """What else this write changes: the facts of its record, what it owns."""
    change = None
    id = str(draft.resource["id"])
    if record is not None and tells(draft.type, draft.resource):
        server = exchange.server
        apply = partial(
            with_resource,
            type=draft.type,
            id=id,
            resource=draft.resource,
            granted=exchange.now,
            zone=server.zone,
            duration=server.authorisation,
        )
        change = FactChange(record, realm, apply)
    return Effects(change, binaries, owner=draft.type == "DocumentReference")


def _other_type(found: Json, wanted: str) -> Told:
    if isinstance(found, str):
        return told("other-type", found=found, wanted=wanted)
    return told("no-resource-type", wanted=wanted)
