"""Documents masked to professionals from their deposit on, where the patient chose so (R-28).

Whoever deposits: the server adds the label, in the body and in what is stored of it, and says so in the remarks. A
later version is what its author, and whoever may lift the label, makes of it (`interactions.change`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fhir_server.fhir import json
from fhir_server.fhir.messages import Told
from fhir_server.fhir.outcome import IssueType, information
from fhir_server.interactions.messages import told
from fhir_server.record.labels import INVISIBLE_PATIENT, MASQUE_PS, TRE_A07, labels_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from fhir_server.fhir.json import Json, JsonObject
    from fhir_server.interactions.exchange import Exchange
    from fhir_server.interactions.prepare import Draft
    from fhir_server.record.facts import Facts

_LABEL: Final[JsonObject] = {"coding": [{"system": TRE_A07, "code": MASQUE_PS}]}


def mask_by_default(exchange: Exchange, draft: Draft, facts: Facts) -> None:
    """Add MASQUE_PS to a new document of a patient who has all his documents masked.

    Not to one that waits for a consultation d'annonce, unless both labels may stand together: nobody would be left to
    read it (R-27).
    """
    if draft.type != "DocumentReference" or not facts.masked_by_default:
        return
    labels = labels_of(draft.resource)
    if MASQUE_PS in labels or (INVISIBLE_PATIENT in labels and not exchange.server.law.masked_and_invisible):
        return
    _mask(draft, told("masked-by-default", label=MASQUE_PS))


def keep_masked(draft: Draft, labels: Collection[str]) -> None:
    """Mask a document that takes the place of a masked one: a correction shows nobody what the patient hid (R-20).

    ``labels`` are those of the document replaced, which who replaces it sees.
    """
    own = labels_of(draft.resource)
    if MASQUE_PS in labels and MASQUE_PS not in own and INVISIBLE_PATIENT not in own:
        _mask(draft, told("masked-too", label=MASQUE_PS))


def _mask(draft: Draft, why: Told) -> None:
    parts = json.members(draft.body)
    labels = json.elements(parts.get("securityLabel", b"[]"))
    parts["securityLabel"] = b"[" + b",".join([*labels, json.encode(_LABEL)]) + b"]"
    draft.body = json.join_members(parts)
    before = draft.resource.get("securityLabel")
    after: list[Json] = [*(before if isinstance(before, list) else []), _LABEL]
    draft.resource = {**draft.resource, "securityLabel": after}
    draft.remarks.append(information(IssueType.INFORMATIONAL, why, "DocumentReference.securityLabel"))
