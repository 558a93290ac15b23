"""Code systems and value sets: look-up, membership, translation. Read from `terminology/` at start, then pure."""

from fhir_server.terminology.terminology import Concept, Terminology, UnknownList

__all__ = ["Concept", "Terminology", "UnknownList"]
