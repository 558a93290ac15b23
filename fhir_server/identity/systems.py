"""The identifier systems and code systems that tokens speak in.

Identifier systems: https://hl7.fr/ig/fhir/core. Code systems: https://mos.esante.gouv.fr/NOS. INS numbers have one
system for real people and another for tests, so that neither can pass for the other.
"""

from __future__ import annotations

from typing import Final

RPPS: Final = "https://rpps.esante.gouv.fr"
FINESS: Final = "https://finess.esante.gouv.fr"
SIRENE: Final = "https://sirene.fr"
RPPS_RANG: Final = "https://rppsrang.esante.gouv.fr"
ID_NAT_STRUCT: Final = "urn:oid:1.2.250.1.71.4.2.2"
ORGANISATIONS: Final = frozenset({FINESS, SIRENE, RPPS_RANG, ID_NAT_STRUCT})
"""The systems under which a structure may be named."""

INS_NIR: Final = "urn:oid:1.2.250.1.213.1.4.8"
INS_NIA: Final = "urn:oid:1.2.250.1.213.1.4.9"
INS_NIR_TEST: Final = "urn:oid:1.2.250.1.213.1.4.10"
INS_NIR_DEMO: Final = "urn:oid:1.2.250.1.213.1.4.11"
REAL_INS: Final = frozenset({INS_NIR, INS_NIA})
TRIAL_INS: Final = frozenset({INS_NIR_TEST, INS_NIR_DEMO})

G15: Final = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante"
"""Health professions."""
G16: Final = "https://mos.esante.gouv.fr/NOS/TRE_G16-ProfessionFormation/FHIR/TRE-G16-ProfessionFormation"
"""The same, in training."""
R94: Final = "https://mos.esante.gouv.fr/NOS/TRE_R94-ProfessionSocial/FHIR/TRE-R94-ProfessionSocial"
"""Social professions."""
R95: Final = "https://mos.esante.gouv.fr/NOS/TRE_R95-UsagerTitre/FHIR/TRE-R95-UsagerTitre"
"""Users of a protected title: osteopath, psychologist."""
R291: Final = "https://mos.esante.gouv.fr/NOS/TRE_R291-AutreProfession/FHIR/TRE-R291-AutreProfession"
"""Actors of the health system known by their role."""
PROFESSIONS: Final = frozenset({G15, G16, R94, R95, R291})
"""The systems of which JDV_J65-SubjectRole-DMP takes the professions."""

A00: Final = "https://mos.esante.gouv.fr/NOS/TRE_A00-ProducteurDocNonPS/FHIR/TRE-A00-ProducteurDocNonPS"
"""Producers of documents who are no professionals."""
R260: Final = "https://mos.esante.gouv.fr/NOS/TRE_R260-HL7RoleClass/FHIR/TRE-R260-HL7RoleClass"
"""Roles of a person around the patient."""
ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
"""Purposes of use."""
ROLES: Final = "https://fhir.dmp-ens.example/CodeSystem/role-acteur"
"""Our own roles, for which the NOS have no code: SUPPORT, CONFORMANCE."""
