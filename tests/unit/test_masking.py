"""The label a document gets where the patient has all new ones masked (R-27, R-28)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from fhir_server.fhir import json
from fhir_server.interactions.exchange import Exchange
from fhir_server.interactions.masking import mask_by_default
from fhir_server.interactions.prepare import Draft
from fhir_server.record.facts import Facts
from fhir_server.record.labels import TRE_A07, labels_of


def exchange(*, together: bool) -> Exchange:
    """What of an exchange the masking looks at."""
    return cast("Exchange", SimpleNamespace(server=SimpleNamespace(law=SimpleNamespace(masked_and_invisible=together))))


def draft(*labels: str, type: str = "DocumentReference") -> Draft:
    resource: dict[str, Any] = {"resourceType": type, "status": "current"}
    if labels:
        resource["securityLabel"] = [{"coding": [{"system": TRE_A07, "code": label}]} for label in labels]
    return Draft(type, resource, json.encode(resource), [])


@pytest.mark.parametrize(
    ("labels", "together", "masked"),
    [
        ((), False, True),
        (("INVISIBLE_REPRESENTANTS_LEGAUX",), False, True),
        (("MASQUE_PSOCIAL",), False, True),
        (("INVISIBLE_PATIENT",), False, False),
        (("INVISIBLE_PATIENT",), True, True),
    ],
)
def test_who_is_masked(labels: tuple[str, ...], together: bool, masked: bool) -> None:
    one = draft(*labels)
    mask_by_default(exchange(together=together), one, Facts(masked_by_default=True))
    assert ("MASQUE_PS" in labels_of(one.resource)) is masked
    assert json.decode_object(one.body) == one.resource, "body and labels agree"
    assert set(labels) <= set(labels_of(one.resource)), "no label is lost"
    assert bool(one.remarks) is masked


@pytest.mark.parametrize(
    ("one", "facts"),
    [
        (draft(), Facts()),
        (draft("MASQUE_PS"), Facts(masked_by_default=True)),
        (draft(type="List"), Facts(masked_by_default=True)),
    ],
)
def test_what_is_left_alone(one: Draft, facts: Facts) -> None:
    body = one.body
    mask_by_default(exchange(together=False), one, facts)
    assert one.body == body
    assert one.remarks == []
