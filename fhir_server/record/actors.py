"""One spelling for each actor, so that a block by RPPS finds him under idNatPs too.

Keys are ``rpps|<11 digits>``, ``finess|<9 digits>``, ``ins|<matricule>`` or ``<system>|<value>`` for anybody else
(identifiers: docs/identifiers.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fhir_server.fhir.json import Json, JsonObject

RPPS: Final = "https://rpps.esante.gouv.fr"
FINESS: Final = "https://finess.esante.gouv.fr"
ID_NAT_PS: Final = "urn:oid:1.2.250.1.71.4.2.1"
ID_NAT_STRUCT: Final = "urn:oid:1.2.250.1.71.4.2.2"
INS_NIR: Final = "urn:oid:1.2.250.1.213.1.4.8"
INS_NIA: Final = "urn:oid:1.2.250.1.213.1.4.9"
INS_NIR_TEST: Final = "urn:oid:1.2.250.1.213.1.4.10"
INS_NIR_DEMO: Final = "urn:oid:1.2.250.1.213.1.4.11"
REAL_INS: Final = frozenset({INS_NIR, INS_NIA})
TRIAL_INS: Final = frozenset({INS_NIR_TEST, INS_NIR_DEMO})
INS: Final = REAL_INS | TRIAL_INS

_RPPS_DIGITS: Final = 11


def actor_key(system: str, value: str) -> str:
    """The one spelling of an identifier: ``810101201234`` under idNatPs is the RPPS ``10101201234``."""
    if system == RPPS:
        return f"rpps|{value}"
    if system == FINESS:
        return f"finess|{value}"
    if system in INS:
        return f"ins|{value}"
    if system == ID_NAT_PS and value.startswith("8") and len(value) == _RPPS_DIGITS + 1:
        return f"rpps|{value[1:]}"
    if system == ID_NAT_STRUCT and value.startswith("1"):
        return f"finess|{value[1:]}"
    return f"{system}|{value}"


def identifier_key(identifier: Json) -> str | None:
    """The key of one Identifier element, or nothing when it lacks a system or a value."""
    if not isinstance(identifier, dict):
        return None
    system, value = identifier.get("system"), identifier.get("value")
    return actor_key(system, value) if isinstance(system, str) and isinstance(value, str) else None


def author_keys(resource: JsonObject) -> list[str]:
    """The keys of the contained authors of a document, sorted (R-20, R-21).

    Only what the document itself contains counts, and of a contained PractitionerRole also the contained Practitioner
    it names. The custodian never does.
    """
    contained: dict[str, JsonObject] = {
        f"#{part['id']}": part for part in _list(resource.get("contained")) if isinstance(part, dict) and "id" in part
    }
    keys: set[str] = set()
    for author in _list(resource.get("author")):
        keys.update(_keys_of(author, contained))
    return sorted(keys)


def _keys_of(reference: Json, contained: dict[str, JsonObject], *, follow: bool = True) -> Iterator[str]:
    target = reference.get("reference") if isinstance(reference, dict) else None
    part = contained.get(target) if isinstance(target, str) else None
    if part is None:
        return
    if part.get("resourceType") in ("Practitioner", "Organization", "Device", "Patient"):
        identifiers = (identifier_key(identifier) for identifier in _list(part.get("identifier")))
        yield from (key for key in identifiers if key is not None)
    elif part.get("resourceType") == "PractitionerRole" and follow:
        practitioner = part.get("practitioner")
        yield from _keys_of(practitioner, contained, follow=False)
        if isinstance(practitioner, dict) and (key := identifier_key(practitioner.get("identifier"))) is not None:
            yield key


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
