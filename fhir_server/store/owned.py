"""What a document owns, and what that carries of it: Binaries, and Bundles that are FHIR documents (ADR 0012, 0034).

A Binary has nothing of its own that a decision needs. A FHIR document may have labels of its own, in ``meta.security``:
it has them beside those of its owner, so both are kept apart, and what is decided on is all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fhir_server.store.connection import Document

CONSENT_FIELDS: Final = ("labels", "authors", "category", "kind")
"""What is carried of the owner, so that it is read through the same gate in one look-up (ADR 0012)."""

_KEPT: Final = ("owner", "unowned", "record", "owner_labels", *CONSENT_FIELDS)


def carried(document: Mapping[str, Any], owner: Mapping[str, Any]) -> Document:
    """What a Binary, or a FHIR document, carries of its owner."""
    told = {name: owner[name] for name in CONSENT_FIELDS}
    if document["rt"] != "Bundle":
        return told
    return {**told, "labels": _together(document, owner["labels"]), "owner_labels": owner["labels"]}


def carrying(owner: Mapping[str, Any]) -> Document:
    """The same for all that is stored of an owner, as a stage of an update."""
    told = {name: {"$literal": owner[name]} for name in CONSENT_FIELDS}
    is_bundle = {"$eq": ["$rt", "Bundle"]}
    # before shape 5 they were not kept apart, and it had no owner: its labels were its own
    own: Document = {"$cond": [is_bundle, {"$ifNull": ["$own_labels", "$labels"]}, []]}
    apart = {
        "own_labels": {"$cond": [is_bundle, own, "$$REMOVE"]},
        "owner_labels": {"$cond": [is_bundle, told["labels"], "$$REMOVE"]},
    }
    return {"$set": {**told, "labels": {"$setUnion": [own, told["labels"]]}, **apart}}


def kept(document: Mapping[str, Any], old: Mapping[str, Any]) -> Document:
    """What a version keeps of the one before, or of what it is indexed from: its owner, its record, what it carries."""
    told = {name: old[name] for name in _KEPT if name in old}
    if document["rt"] == "Bundle":
        told["labels"] = _together(document, old.get("owner_labels", ()))
    return told


async def first_to_point(resources: Any, document: Mapping[str, Any], session: Any) -> Document | None:  # noqa: ANN401 - the driver's
    """The document that pointed to a FHIR document before that was there, or before it could be owned.

    It is told what it owns, which makes this and a concurrent change of its labels conflict.
    """
    where = {
        "record": document["record"],
        "rt": "DocumentReference",
        "refers": document["_id"],
        "realm": document["realm"],
        "deposit.by": document["deposit"]["by"],
        "gone": None,
    }
    told = {"$inc": {"touched": 1}, "$addToSet": {"owns": document["_id"]}}
    fields = dict.fromkeys(CONSENT_FIELDS, 1)
    found: Document | None = await resources.find_one_and_update(
        where, told, fields, sort=[("deposit.at", 1)], session=session
    )
    return found


def _together(document: Mapping[str, Any], of_owner: Any) -> list[str]:  # noqa: ANN401 - as it is stored
    return sorted({*document.get("own_labels", ()), *of_owner})
