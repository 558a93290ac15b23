"""FHIR R4 server for the French shared health record (DMP) and Mon espace santé.

The shape of the house is told in `docs/architecture.md`; who may do what, in `docs/consent/`.
"""

__version__ = "0.1.0"
FHIR_VERSION = "4.0.1"
