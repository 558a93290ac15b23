"""Documents as the guides share them: which profiles bind, labels made regular, what an update of metadata may change.

https://interop.esante.gouv.fr/ig/fhir/pdsm · https://profiles.ihe.net/ITI/MHD/ · ADR 0032

In care the rules of PDSm bind always; in trials those of the profiles that a resource declares, of MHD or of PDSm. What
is written with a document, its content and the document it replaces, is in `interactions.publishing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.errors import NotAllowed, Unprocessable
from fhir_server.fhir.outcome import IssueType, fails, information
from fhir_server.identity.requester import Realm
from fhir_server.interactions.messages import told
from fhir_server.validation.sharing.profiles import (
    FOLDER,
    IS_ARCHIVED,
    PDSM_COMPREHENSIVE,
    PDSM_FOLDER,
    PDSM_SIMPLIFIED,
    PDSM_SUBMISSION,
    PROFILES,
    SUBMISSION_SET,
    Profile,
    carries_data,
    declared,
    list_type,
)
from fhir_server.validation.sharing.rules import is_confidentiality

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.fhir.outcome import Issue
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.prepare import Draft
    from fhir_server.terminology import Terminology

_CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_NORMAL: Final[JsonObject] = {"coding": [{"system": _CONFIDENTIALITY, "code": "N", "display": "normal"}]}
_STRICTEST: Final = ("V", "R", "N")
_METADATA: Final = frozenset({"status", "securityLabel"})
"""What the update of metadata may change, beside the extension that tells of archiving."""
ALLOWED: Final = (("Allow", "GET, HEAD, DELETE, PATCH, PUT"),)
"""The methods of one DocumentReference."""


def profiles_of(exchange: Exchange, resource: JsonObject) -> tuple[Profile, ...]:
    """The profiles of MHD and PDSm that bind a resource: declared, demanded by its Bundle, or demanded in care."""
    type = resource.get("resourceType")
    told = [PROFILES[url] for url in declared(resource) if url in PROFILES and PROFILES[url].type == type]
    if exchange.shared_as is not None and exchange.shared_as.type == type:
        told.append(exchange.shared_as)
    if exchange.requester.realm is Realm.REEL and not any(one.is_french for one in told):
        told += _in_care(resource)
    return tuple({one.url: one for one in told}.values())


def _in_care(resource: JsonObject) -> Iterator[Profile]:
    if resource.get("resourceType") == "DocumentReference":
        yield PDSM_SIMPLIFIED if carries_data(resource) else PDSM_COMPREHENSIVE
    elif resource.get("resourceType") == "List":
        of_type = {SUBMISSION_SET: PDSM_SUBMISSION, FOLDER: PDSM_FOLDER}.get(list_type(resource) or "")
        if of_type is not None:
            yield of_type


def is_of_the_dmp(exchange: Exchange, resource: JsonObject) -> bool:
    """Whether the rules of PDSm bind it."""
    return any(one.is_french for one in profiles_of(exchange, resource))


def must_have_passed(draft: Draft, found: Sequence[Issue]) -> None:
    """Raise 422 with everything that was found wrong, or note what is to be told."""
    if fails(found):
        raise Unprocessable(issues=tuple(found))
    draft.remarks += found


def make_labels_regular(exchange: Exchange, draft: Draft, before: JsonObject | None = None) -> None:
    """Give a document of the DMP one code of confidentiality, whatever else it is labelled.

    Clients that mask by replacing the code, and those that add a label to it, leave the same labels behind. One that
    is missing is the one it had ``before``, else N, and stands last: a label taken off by its place is the one its
    author meant. Of several the strictest stays.
    """
    if draft.type != "DocumentReference" or not is_of_the_dmp(exchange, before or draft.resource):
        return
    terminology = exchange.server.terminology
    _say_once(draft)
    labels = _labels(draft.resource)
    codes = [(position, code) for position, one in enumerate(labels) for code in _codes(one, terminology)]
    if not codes:
        kept = [one for one in _labels(before or {}) if list(_codes(one, terminology))]
        _relabel(draft, [*_raw(draft), json.encode(kept[0] if kept else _NORMAL)])
        draft.remarks.append(
            information(
                IssueType.INFORMATIONAL,
                told("confidentiality-added"),
                "DocumentReference.securityLabel",
            )
        )
        return
    alone = [position for position, _ in codes if len(_codings(labels[position])) == 1]
    if len(codes) == 1 or not alone:
        return
    strictest = min(codes, key=lambda one: (_STRICTEST.index(one[1]), one[0] in alone))[0]
    _relabel(draft, [one for position, one in enumerate(_raw(draft)) if position == strictest or position not in alone])


def must_be_metadata(exchange: Exchange, before: JsonObject, after: JsonObject, changed: Collection[str]) -> None:
    """Raise 405 for a patch of a document of the DMP that changes more than its metadata: status, labels, archiving."""
    if before.get("resourceType") != "DocumentReference" or not is_of_the_dmp(exchange, before):
        return
    others = set(changed) - _METADATA
    if others == {"extension"} and _other_extensions(before) == _other_extensions(after):
        return
    if others:
        raise NotAllowed(
            told("not-metadata", names=", ".join(sorted(others))),
            headers=ALLOWED,
            expression=tuple(f"DocumentReference.{name}" for name in sorted(others)),
        )


def is_deletion(exchange: Exchange, before: JsonObject, after: JsonObject) -> bool:
    """Whether a patch makes a document entered in error, which of a document of the DMP is to delete it (ADR 0033)."""
    return (
        before.get("resourceType") == "DocumentReference"
        and before.get("status") != "entered-in-error"
        and after.get("status") == "entered-in-error"
        and (not exchange.is_conformance or is_of_the_dmp(exchange, before))
    )


def _other_extensions(resource: JsonObject) -> list[Json]:
    extensions = resource.get("extension")
    return [
        one
        for one in (extensions if isinstance(extensions, list) else [])
        if not (isinstance(one, dict) and one.get("url") == IS_ARCHIVED)
    ]


def _labels(resource: JsonObject) -> list[Json]:
    labels = resource.get("securityLabel")
    return labels if isinstance(labels, list) else []


def _codings(concept: Json) -> list[Json]:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return codings if isinstance(codings, list) else []


def _codes(concept: Json, terminology: Terminology) -> Iterator[str]:
    """N, R or V, wherever a label says so."""
    for coding in _codings(concept):
        system, code = (coding.get("system"), coding.get("code")) if isinstance(coding, dict) else (None, None)
        if isinstance(system, str) and code in _STRICTEST and is_confidentiality(system, terminology):
            yield str(code)


def _raw(draft: Draft) -> list[bytes]:
    return json.elements(json.members(draft.body).get("securityLabel", b"[]"))


def _relabel(draft: Draft, labels: list[bytes]) -> None:
    draft.body = json.join_members({**json.members(draft.body), "securityLabel": b"[" + b",".join(labels) + b"]"})
    draft.resource = json.decode_object(draft.body)


def _say_once(draft: Draft) -> None:
    """Of equal labels one stays: a mask that was set twice is lifted by taking it off."""
    labels = _labels(draft.resource)
    first = [position for position, one in enumerate(labels) if one not in labels[:position]]
    if len(first) < len(labels):
        raw = _raw(draft)
        _relabel(draft, [raw[position] for position in first])
