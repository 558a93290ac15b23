"""What happened, as an AuditEvent: https://profiles.ihe.net/ITI/BALP/

An :class:`Access` holds only what the requester could know: what was asked, by whom, and how it was answered. So a
hidden and an absent target, for which all of this is equal, give equal events. What only the holder of the record, the
médecin traitant and the auditor may know is :class:`fhir_server.audit.sealed.Sealed`, stored apart.

Who, when, what and in which mode: R-60. An emergency (R-45) is told three times over: the purpose of use of the user
with its reason as text, and a second subtype, DICOM 110127 "Emergency Override Started", by which it can be searched.

The bytes are put together from templates, about 15 microseconds an event, and the search entries beside them; a test
keeps these equal to what `search.parameters` extracts from the finished resource.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from http import HTTPStatus
from typing import Final, TypedDict

import msgspec

from fhir_server.audit.access import Access, Agent, Identifier, Observer
from fhir_server.audit.coding import (
    ASKED,
    BALP,
    DATA,
    EMERGENCY_STARTED,
    KINDS,
    OTHER,
    PATIENT,
    PROVIDER,
    QUERY,
    REQUEST_ID,
    REST,
    RESTFUL_INTERACTION,
    SOURCE_TYPE,
    Coding,
    Kind,
    Role,
    beside,
)
from fhir_server.fhir.date import instant, moment
from fhir_server.fhir.json import JsonObject
from fhir_server.search.types import reference, string, token, uri

MAX_QUERY: Final = 8192
"""Bytes of a query that a trace keeps; of a longer one also the hash of the whole."""

JTI: Final = "urn:ietf:params:oauth:jti:"
"""How an agent names the token that authorised it (BALP, minimal access token)."""

_EMERGENCIES: Final = frozenset({"ETREAT", "BTG"})

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, object]).decode


class Entries(TypedDict):
    """The search entries of a stored resource: terms ``s``, intervals ``r``."""

    s: list[str]
    r: list[dict[str, str | int]]


@dataclass(frozen=True, slots=True)
class Event:
    """An AuditEvent without its id, which its place in the chain gives."""

    at: int
    """As the event tells it: in whole milliseconds."""
    after_id: bytes
    ix: Entries
    shown: str | None
    """The id of the patient the event names, if it names one by id."""

    def resource(self, id: str) -> bytes:
        """The AuditEvent."""
        return b'{"resourceType":"AuditEvent","id":"%b"%b' % (id.encode(), self.after_id)


def event(access: Access, observer: Observer) -> Event:
    """Tell an access as an AuditEvent."""
    kind = KINDS[access.interaction]
    agent = access.agent
    # A target that was not delivered says nothing about whose it is, or hidden and absent would differ.
    patient = access.patient if access.succeeded or access.target is None else None
    profile = _profile(kind, access, patient)
    emergency = agent is not None and agent.purpose is not None and agent.purpose.code in _EMERGENCIES
    at = access.at // 1000 * 1000
    recorded = _instant(at)
    outcome = _outcome(access.status)

    terms: list[str] = list(_kind_terms(access.interaction, profile, outcome, emergency))
    agents = [_server(observer, kind.server).json, _client(access.address, kind.client, agent, terms)]
    terms.extend(_server(observer, kind.server).terms)
    if agent is not None:
        user = _user(agent, kind.user)
        agents.append(user.json)
        terms.extend(user.terms)
    else:
        terms.append(_ONLY_SHOWN_AGENT)
    told = [
        b'","meta":{"versionId":"1","lastUpdated":"',
        recorded,
        b'"',
        _kind_json(access.interaction, profile, emergency),
        b',"recorded":"',
        recorded,
        _outcome_json(access.status),
        b',"agent":[',
        b",".join(agents),
        _source(observer),
        b',"entity":[',
        b",".join(_entities(access, patient, terms, of_search=kind.profile == "Query")),
        b"]}",
    ]
    return Event(
        at=at,
        after_id=b"".join(told)[1:],
        ix=_entries(terms, at),
        shown=patient.removeprefix("Patient/") if isinstance(patient, str) else None,
    )


def retold(told: bytes, terms: Sequence[str], *, at: int, status: int) -> Event:
    """The event of an access that turned out otherwise: same requester, same target, another outcome and time."""
    resource: dict[str, object] = _decode(told)
    del resource["resourceType"], resource["id"]
    at = at // 1000 * 1000
    recorded = _instant(at).decode()
    outcome = f"{{{_outcome_json(status)[2:].decode()}}}"
    changed: dict[str, object] = {}
    for name, value in resource.items():
        if name == "outcome":
            changed |= _decode(outcome.encode())
        elif name != "outcomeDesc":
            changed[name] = value
    changed["meta"] = {"versionId": "1", "lastUpdated": recorded}
    changed["recorded"] = recorded
    kept = [term for term in terms if not term.startswith(("outcome#", "_profile="))]
    kept.extend(token.extract("outcome", _outcome(status), "code"))
    # The beginning of the object is written when the id is known.
    return Event(at=at, after_id=b"," + _encode(changed)[1:], ix=_entries(kept, at), shown=None)


def _entries(terms: Iterable[str], at: int) -> Entries:
    return {"s": sorted(set(terms)), "r": [{"p": "date", "lo": at, "hi": at + 1}]}


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the event and its search entries."""

    json: bytes
    terms: tuple[str, ...]


def _profile(kind: Kind, access: Access, patient: str | Identifier | None) -> str | None:
    """The BALP profile the event follows. They ask for outcome 0, so a failure, of the same shape, claims none."""
    if kind.profile is None or not access.succeeded:
        return None
    return f"{BALP}IHE.BasicAudit.{'Patient' if patient else ''}{kind.profile}"


def _outcome(status: int) -> str:
    """https://hl7.org/fhir/R4/valueset-audit-event-outcome.html"""
    if status < HTTPStatus.BAD_REQUEST:
        return "0"
    return "4" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "8"


@lru_cache(maxsize=64)
def _outcome_json(status: int) -> bytes:
    said = b'","outcome":"' + _outcome(status).encode() + b'"'
    if status >= HTTPStatus.BAD_REQUEST:
        said += b',"outcomeDesc":' + _encode(f"{status} {HTTPStatus(status).phrase}")
    return said


@lru_cache(maxsize=512)
def _kind_json(interaction: str, profile: str | None, emergency: bool) -> bytes:  # noqa: FBT001 - positional for the cache
    subtypes = [Coding(RESTFUL_INTERACTION, interaction, interaction).json()]
    if emergency:
        subtypes.append(EMERGENCY_STARTED.json())
    return b"".join(
        (
            b',"profile":[%b]}' % _encode(profile) if profile else b"}",
            b',"type":',
            _encode(REST.json()),
            b',"subtype":',
            _encode(subtypes),
            b',"action":"%b"' % KINDS[interaction].action.encode(),
        )
    )


@lru_cache(maxsize=512)
def _kind_terms(interaction: str, profile: str | None, outcome: str, emergency: bool) -> tuple[str, ...]:  # noqa: FBT001
    terms = [
        *token.extract("type", REST.json(), "Coding"),
        *token.extract("subtype", Coding(RESTFUL_INTERACTION, interaction, interaction).json(), "Coding"),
        *token.extract("action", KINDS[interaction].action, "code"),
        *token.extract("outcome", outcome, "code"),
    ]
    if emergency:
        terms.extend(token.extract("subtype", EMERGENCY_STARTED.json(), "Coding"))
    if profile:
        terms.extend(uri.extract("_profile", profile, "canonical"))
    return tuple(terms)


@lru_cache(maxsize=16)
def _server(observer: Observer, role: Coding) -> _Part:
    return _Part(
        _encode(
            {
                "type": {"coding": [role.json()]},
                "who": {"display": observer.name},
                "requestor": False,
                "network": {"address": observer.address, "type": "5"},
            }
        ),
        (
            *string.extract("address", observer.address, "string"),
            *token.extract("site", observer.site, "string"),
            "source:any",
        ),
    )


@lru_cache(maxsize=16)
def _source(observer: Observer) -> bytes:
    source = {"site": observer.site, "observer": {"display": observer.name}, "type": [SOURCE_TYPE.json()]}
    return b'],"source":' + _encode(source)


def _client(address: str, role: Coding, agent: Agent | None, terms: list[str]) -> bytes:
    terms.extend(string.extract("address", address, "string"))
    software = agent.software if agent else None
    return b'{"type":{"coding":[%b]},"who":{"display":%b},"requestor":%b,"network":{"address":%b,"type":"2"}}' % (
        role.bytes,
        _encode(software or address),
        b"false" if agent else b"true",
        _encode(address),
    )


_ONLY_SHOWN_AGENT: Final = "agent:any"
"""Where no agent has a reference or an identifier: there are agents, and nothing finds them."""


@lru_cache(maxsize=2048)
def _user(agent: Agent, role: Coding) -> _Part:
    """The agent of the person or system that asked, and the one of the organisation it acts for."""
    user: dict[str, object] = {"type": {"coding": [role.json()]}}
    terms: list[str] = []
    if agent.roles:
        user["role"] = [{"coding": [one.json()]} for one in agent.roles]
        terms += [term for one in agent.roles for term in token.extract("agent-role", one.json(), "Coding")]
    user["who"] = who = _who(agent)
    terms.extend(reference.extract("agent", who, "Reference"))
    if agent.reference is not None and agent.reference.startswith("Patient/"):
        terms.extend(reference.extract("patient", who, "Reference"))
    if agent.login:
        user["altId"] = agent.login
        terms.extend(token.extract("altid", agent.login, "string"))
    if agent.name:
        user["name"] = agent.name
        terms.extend(string.extract("agent-name", agent.name, "string"))
    user["requestor"] = True
    if agent.token:
        user["policy"] = [JTI + agent.token]
        terms.extend(uri.extract("policy", JTI + agent.token, "uri"))
    if agent.purpose:
        why: dict[str, object] = {"text": agent.reason} if agent.reason else {}
        user["purposeOfUse"] = [{"coding": [agent.purpose.json()], **why}]
    agents: list[dict[str, object]] = [user]
    if agent.organisation:
        of: JsonObject = {"identifier": _identifier(agent.organisation)}
        agents.append({"type": {"coding": [PROVIDER.json()]}, "who": of, "requestor": False})
        terms.extend(reference.extract("agent", of, "Reference"))
    if not (agent.reference or agent.identifier or agent.organisation):
        terms.append(_ONLY_SHOWN_AGENT)
    return _Part(_encode(agents)[1:-1], tuple(terms))


def _who(agent: Agent) -> JsonObject:
    who: JsonObject = {}
    if agent.reference:
        who["reference"] = agent.reference
    if agent.identifier:
        who["identifier"] = _identifier(agent.identifier)
    who["display"] = agent.name or (agent.identifier.value if agent.identifier else agent.key)
    return who


def _entities(access: Access, patient: str | Identifier | None, terms: list[str], *, of_search: bool) -> list[bytes]:
    """Patient, query, data, request id; never none, for the type is always told.

    The object of a search is its query; of everything else, the data.
    """
    told: list[bytes] = []
    if patient is not None:
        what: JsonObject = (
            {"reference": patient}
            if isinstance(patient, str)
            else {"type": "Patient", "identifier": _identifier(patient)}
        )
        told.append(_entity(what, PATIENT, terms))
        terms.extend(reference.extract("patient", what, "Reference"))
    if access.query is not None:
        role = QUERY if of_search else ASKED
        told.append(_query(access.query, role))
        terms.extend(_role_terms(role))
        if len(access.query) > MAX_QUERY:
            told.append(_whole(access.query, terms))
    if access.target is not None:
        version = "" if access.version is None else f"/_history/{access.version}"
        role = beside(access.target.partition("/")[0]) if of_search else DATA
        told.append(_entity({"reference": access.target + version}, role, terms))
        if patient is None and access.target.startswith("Patient/"):
            terms.append(f"patient={access.target}")
    elif access.query is None:
        told.append(_entity({"type": access.type} if access.type else {"display": "system"}, DATA, terms))
        if patient is None and access.request_id is None:
            terms.append("entity:any")
    if access.request_id is not None:
        who: JsonObject = {"identifier": {"value": access.request_id}}
        told.append(b'{"what":%b,"type":%b}' % (_encode(who), REQUEST_ID.bytes))
        terms.extend(_REQUEST_ID_TERMS)
        terms.extend(reference.extract("entity", who, "Reference"))
    return told


_REQUEST_ID_TERMS: Final = tuple(token.extract("entity-type", REQUEST_ID.json(), "Coding"))
_OTHER_TERMS: Final = tuple(token.extract("entity-type", OTHER.json(), "Coding"))


def _entity(what: JsonObject, role: Role, terms: list[str]) -> bytes:
    terms.extend(reference.extract("entity", what, "Reference"))
    terms.extend(_role_terms(role))
    return b'{"what":%b,%b}' % (_encode(what), role.bytes)


def _query(query: bytes, role: Role) -> bytes:
    """The query as it came, and as text; of one too long, its beginning."""
    kept = query[:MAX_QUERY]
    return b'{%b,"description":%b,"query":"%b"}' % (role.bytes, _encode(_readable(kept)), b64encode(kept))


def _whole(query: bytes, terms: list[str]) -> bytes:
    """Hash and length of a query too long to keep. BALP allows no detail on the query itself."""
    what: JsonObject = {"display": "query"}
    terms.extend(reference.extract("entity", what, "Reference"))
    terms.extend(_OTHER_TERMS)
    return (
        b'{"what":%b,"type":%b,"detail":[{"type":"sha256","valueString":"%b"},{"type":"length","valueString":"%d"}]}'
        % (
            _encode(what),
            OTHER.bytes,
            sha256(query).hexdigest().encode(),
            len(query),
        )
    )


def _readable(query: bytes) -> str:
    """As text that FHIR allows: what is not printable is shown as the replacement character."""
    text = query.decode(errors="replace")
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


@lru_cache(maxsize=256)
def _role_terms(role: Role) -> tuple[str, ...]:
    return (
        *token.extract("entity-type", role.type.json(), "Coding"),
        *token.extract("entity-role", role.role.json(), "Coding"),
    )


def _identifier(identifier: Identifier) -> JsonObject:
    return {"system": identifier.system, "value": identifier.value}


def _instant(at: int) -> bytes:
    second, rest = divmod(at, 1_000_000)
    return b"%b.%03dZ" % (_second(second), rest // 1000)


@lru_cache(maxsize=4)
def _second(second: int) -> bytes:
    return instant(moment(second * 1_000_000))[:19].encode()
