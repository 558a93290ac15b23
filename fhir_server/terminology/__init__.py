"""Code systems and value sets: look-up, membership, translation, hierarchy, expansion.

Read from `terminology/` at start, then pure; what is stored in the database is given to the functions that need it.
"""

from fhir_server.terminology.codes import Codes, Coding, Concept, Lookup, Members, NotExpandable
from fhir_server.terminology.expansion import expand, members
from fhir_server.terminology.terminology import Terminology, UnknownList

__all__ = [
    "Codes",
    "Coding",
    "Concept",
    "Lookup",
    "Members",
    "NotExpandable",
    "Terminology",
    "UnknownList",
    "expand",
    "members",
]
