"""A token whose profession contradicts the directory is a 401 (bad input: a claim contradicting another)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from pymongo import MongoClient

from fhir_server.identity.systems import G15, G16, R95
from fhir_server.store.embedded import running_uri
from tests.conformance.choices import authorisation
from tests.conformance.own_record import own_record
from tests.served import FHIR_JSON, Served

RPPS: Final = "https://rpps.esante.gouv.fr"
ID_NAT_PS: Final = "urn:oid:1.2.250.1.71.4.2.1"
R48: Final = "https://mos.esante.gouv.fr/NOS/TRE_R48-DiplomeEtatFrancais/FHIR/TRE-R48-DiplomeEtatFrancais"
DOCTOR: Final = [(G15, "10")]


@pytest.fixture
def rpps() -> str:
    """A number nobody has."""
    return f"89955{SystemRandom().randrange(10**6):06d}"


@contextmanager
def entry(
    served: Served, rpps: str, *professions: tuple[str, str], system: str = RPPS, **members: Any
) -> Iterator[dict[str, Any]]:
    """An entry of the directory, for a while."""
    practitioner = {
        "resourceType": "Practitioner",
        "id": f"annuaire-{uuid4().hex[:12]}",
        "identifier": [{"system": system, "value": rpps if system == RPPS else f"8{rpps}"}],
        "qualification": [{"code": {"coding": [{"system": system, "code": code}]}} for system, code in professions],
        **members,
    }
    if not professions:
        del practitioner["qualification"]
    conformance, path = served.as_("conformance"), f"/Practitioner/{practitioner['id']}"
    assert conformance.put(path, json=practitioner, headers=FHIR_JSON).status_code == 201
    try:
        yield practitioner
    finally:
        assert conformance.delete(path).status_code == 204


def doctor(served: Served, rpps: str, **extra: Any) -> httpx.Client:
    """A client that says he is a doctor with this number."""
    return served.client(
        served.token("inconnu", extra={"extensions.ihe_iua.national_provider_identifier": rpps, **extra})
    )


def asks(client: httpx.Client) -> httpx.Response:
    with client:
        return client.get("/Practitioner?_count=1")


@pytest.mark.parametrize("professions", [[(G15, "60")], [(G16, "10")], [(R95, "71"), (G15, "40")]])
@pytest.mark.parametrize("system", [RPPS, ID_NAT_PS])
def test_another_profession_than_the_directory_s_is_no_requester(
    served: Served, rpps: str, professions: list[tuple[str, str]], system: str
) -> None:
    with entry(served, rpps, *professions, system=system):
        refused = asks(doctor(served, rpps))
    assert refused.status_code == 401, refused.text
    issue = refused.json()["issue"][0]
    assert (issue["severity"], issue["code"]) == ("error", "login")
    assert "directory" in issue["diagnostics"]
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    assert rpps not in refused.text


@pytest.mark.parametrize(
    "professions", [DOCTOR, [(G15, "60"), (G15, "10")], [], [(R48, "DE15")]], ids=["one", "two", "none", "a diploma"]
)
def test_what_agrees_or_says_nothing_is_accepted(served: Served, rpps: str, professions: list[tuple[str, str]]) -> None:
    with entry(served, rpps, *professions):
        assert asks(doctor(served, rpps)).status_code == 200


def test_who_is_not_in_the_directory_is_accepted(served: Served, rpps: str) -> None:
    assert asks(doctor(served, rpps)).status_code == 200


def test_an_entry_that_was_taken_out_says_nothing(served: Served, rpps: str) -> None:
    with entry(served, rpps, (G15, "60")):
        pass
    assert asks(doctor(served, rpps)).status_code == 200


def test_the_refused_reaches_no_record(served: Served, rpps: str) -> None:
    record = own_record(served)
    letter = record.deposit()
    record.chosen(authorisation(record, rpps))
    with entry(served, rpps, (G15, "60")), doctor(served, rpps) as client:
        for path in (f"/DocumentReference/{letter}", f"/Patient/{record.id}", "/absent"):
            assert client.get(path).status_code in (401, 404)
        assert client.get(f"/DocumentReference/{letter}").status_code == 401
        assert client.post("", json={"resourceType": "Bundle", "type": "batch"}, headers=FHIR_JSON).status_code == 401


def test_it_is_asked_once_a_minute_by_an_index_and_not_by_each_request(served: Served, rpps: str) -> None:
    with MongoClient[dict[str, Any]](running_uri(served.data)) as mongo, doctor(served, rpps) as client:
        database = mongo["fhir"]
        database.command("profile", 2)
        try:
            assert {client.get("/Practitioner?_count=1").status_code for _ in range(5)} == {200}
        finally:
            database.command("profile", 0)
        name = f"identifier={RPPS}|{rpps}"
        asked = [one for one in database["system.profile"].find({"op": "query"}) if name in str(one["command"])]
        database["system.profile"].drop()
    assert len(asked) == 1
    assert asked[0]["planSummary"].startswith("IXSCAN")


@pytest.mark.parametrize("who", ["specialiste", "infirmier", "samu", "urgentiste", "medecin-traitant"])
def test_the_professionals_of_the_demonstration_agree_with_its_directory(served: Served, who: str) -> None:
    assert served.as_(who).get("/Practitioner?_count=1").status_code == 200
