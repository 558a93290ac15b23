"""Accesses of every kind, as the trail is told them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fhir_server.audit.access import Access, Agent, Identifier, Observer
from fhir_server.audit.coding import Coding

OBSERVER: Final = Observer("DMP", "dmp.example", "http://127.0.0.1:8080/fhir")
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
DOCTOR: Final = Agent(
    key="https://rpps.esante.gouv.fr|89900000002",
    identifier=Identifier("https://rpps.esante.gouv.fr", "89900000002"),
    name='Élodie D’Almeida "Martin"',
    login="sub|2",
    roles=(Coding("urn:g15", "10", "Médecin"), Coding("urn:r38", "SM26")),
    purpose=Coding(ACT_REASON, "TREAT", "treatment"),
    token="jti-1",
    organisation=Identifier("https://finess.esante.gouv.fr", "990000001"),
    software="Logiciel de cabinet",
)
EMERGENCY: Final = replace(
    DOCTOR, purpose=Coding(ACT_REASON, "BTG", "break the glass"), reason="inconscient aux urgences"
)
HOLDER: Final = Agent(
    key="urn:ins|280057505600117",
    identifier=Identifier("urn:ins", "280057505600117"),
    reference="Patient/demo-1",
    name="Hélène D'Almeida",
)
BARE: Final = Agent(key="support-1")
READ: Final = Access(
    interaction="read",
    status=200,
    at=1_795_342_465_123_456,
    agent=DOCTOR,
    address="2001:db8::1",
    type="DocumentReference",
    target="DocumentReference/d1",
    version=3,
    patient="Patient/demo-1",
    request_id="76d148b6",
)
SEARCH: Final = replace(
    READ,
    interaction="search-type",
    target=None,
    version=None,
    query=b"GET /fhir/DocumentReference?patient=demo-1&status=current",
)
ACCESSES: Final = {
    "read": READ,
    "read by the holder": replace(READ, agent=HOLDER),
    "read of a patient": replace(READ, type="Patient", target="Patient/demo-1"),
    "read of an unknown patient": replace(READ, type="Patient", target="Patient/x", version=None, status=404),
    "emergency": replace(READ, agent=EMERGENCY),
    "no token": replace(READ, agent=None, status=401, version=None),
    "bare": replace(READ, agent=BARE, request_id=None, patient=None, version=None),
    "vread": replace(READ, interaction="vread"),
    "search": SEARCH,
    "search by INS": replace(SEARCH, patient=Identifier("urn:oid:1.2.250.1.213.1.4.10", "280057505600117")),
    "search refused": replace(SEARCH, status=403),
    "search of everything": replace(SEARCH, interaction="search-system", patient=None, type=None),
    "history": replace(READ, interaction="history-instance"),
    "history of all": replace(READ, interaction="history-system", type=None, target=None, version=None, patient=None),
    "create": replace(READ, interaction="create", status=201, version=1),
    "create refused": replace(READ, interaction="create", status=422, target=None, version=None),
    "create refused, nothing told": replace(
        READ,
        interaction="create",
        status=422,
        target=None,
        version=None,
        patient=None,
        request_id=None,
    ),
    "update": replace(READ, interaction="update"),
    "patch": replace(READ, interaction="patch"),
    "patch lost": replace(READ, interaction="patch", status=412),
    "read in part": replace(READ, query=b"GET /fhir/DocumentReference/d1?_elements=type"),
    "search for one": replace(SEARCH, target="DocumentReference/d1"),
    "delete": replace(READ, interaction="delete"),
    "failure": replace(READ, status=503),
    "operation": replace(READ, interaction="operation"),
    "very long": replace(SEARCH, query=b"GET /fhir/X?" + b"a" * 10_000, agent=replace(DOCTOR, token="t" * 400)),
}
