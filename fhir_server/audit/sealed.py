"""What a trace tells only the holder of the record, the médecin traitant and the auditor.

The event says what its requester could know. Sealed, beside it: which record was really touched, which version, what
was delivered, and which rules decided. The reader's own gate comes first: whoever may not see a target is not shown it.
See docs/trail.md.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from fhir_server.audit.coding import OTHER, PATIENT, Role, beside

MAX_DELIVERED: Final = 256
"""Resources that a trace names one by one; of more, their number is told."""

_PAIR: Final = re.compile(r"(?<=[?&\n])[^&\n]+&?")
"""One parameter of a query or a form, as a trace keeps them."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Sealed:
    """The truth about an access."""

    record: str | None = None
    """The id of the Patient whose record was touched, or would have been."""
    target: str | None = None
    """``Type/id`` that really was asked for."""
    version: int | None = None
    delivered: tuple[str, ...] = ()
    """``Type/id/_history/version`` of what a search or history gave out."""
    rules: tuple[str, ...] = ()
    """The rules that decided: ``R-20``."""
    why: str | None = None
    """The outcome in a sentence, with its reason."""
    secret: bool = False
    """A secret session (R-63): not for the representatives."""

    def stored(self) -> dict[str, Any]:
        """As the journal keeps it; what is not there is not written."""
        kept: dict[str, Any] = {}
        for name in ("record", "target", "version", "why"):
            value = getattr(self, name)
            if value is not None:
                kept[name] = value
        if self.delivered:
            kept["delivered"] = list(self.delivered[:MAX_DELIVERED])
            if len(self.delivered) > MAX_DELIVERED:
                kept["unlisted"] = len(self.delivered) - MAX_DELIVERED
        if self.rules:
            kept["rules"] = list(self.rules)
        return kept


def unsealed(event: bytes, sealed: Mapping[str, Any], hidden: Collection[str] = ()) -> bytes:
    """The AuditEvent with the patient, the target, what was delivered, and why.

    ``hidden`` are resources (``Type/id``) that the reader may not see: that they were delivered is not told, nor what
    of a query names them. A trace whose very target is one of them is withheld by the gate and never comes here.
    """
    told = _decode(event)
    entities: list[dict[str, Any]] = told.setdefault("entity", [])
    named = {entity.get("what", {}).get("reference") for entity in entities}
    added: list[dict[str, Any]] = []
    record, target = sealed.get("record"), sealed.get("target")
    if record is not None and f"Patient/{record}" not in named:
        added.extend(_of_record(f"Patient/{record}", entities))
    references = [
        one
        for one in sealed.get("delivered", ())
        # which traces somebody read is not told: one of them may be withheld from this reader
        if one.split("/_history/")[0] not in hidden and not one.startswith("AuditEvent/")
    ]
    if target is not None:
        version = sealed.get("version")
        reference = target if version is None else f"{target}/_history/{version}"
        if not any(name is not None and name.split("/_history/")[0] == target for name in named):
            references.insert(0, reference)
    added.extend(_entity(one, beside(one.partition("/")[0])) for one in references if one not in named)
    entities[:0] = added
    if hidden:
        ids = frozenset(key.partition("/")[2] for key in hidden)
        for entity in entities:
            if "query" in entity:
                _leave_out(entity, ids)
    details = [{"type": "rule", "valueString": rule} for rule in sealed.get("rules", ())]
    if "unlisted" in sealed:
        details.append({"type": "delivered-unlisted", "valueString": str(sealed["unlisted"])})
    if details:
        entities.append({"what": {"display": "decision"}, "type": OTHER.json(), "detail": details})
    if "why" in sealed:
        told = _with_description(told, sealed["why"])
    return _encode(told)


def _entity(reference: str, role: Role) -> dict[str, Any]:
    return {"what": {"reference": reference}, "type": role.type.json(), "role": role.role.json()}


def _of_record(reference: str, entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The patient, where the event names none; where it does by an identifier, his reference is told beside it."""
    told = [one for one in entities if one.get("role", {}).get("code") == PATIENT.role.code]
    if not told:
        return [_entity(reference, PATIENT)]
    what = told[0]["what"]
    if "reference" in what:
        return [_entity(reference, Role(beside("Patient").type, PATIENT.role))]
    told[0]["what"] = {"reference": reference, **what}
    return []


def _leave_out(entity: dict[str, Any], ids: Collection[str]) -> None:
    """Leave out of a query the parameters that name something hidden from the reader."""

    def kept(pair: re.Match[str]) -> str:
        return "" if any(id in unquote(pair[0]) for id in ids) else pair[0]

    asked = b64decode(entity["query"]).decode(errors="replace")
    shown = _PAIR.sub(kept, asked)
    if shown != asked:
        shown = shown.rstrip("?&\n")
        entity |= {"description": shown, "query": b64encode(shown.encode()).decode()}


def _with_description(told: dict[str, Any], why: str) -> dict[str, Any]:
    """With ``outcomeDesc`` in the place the standard gives it, after what the event itself says there."""
    said = told.pop("outcomeDesc", None)
    placed: dict[str, Any] = {}
    for name, value in told.items():
        placed[name] = value
        if name == "outcome":
            placed["outcomeDesc"] = f"{said}: {why}" if said else why
    return placed
