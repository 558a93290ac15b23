"""Code systems and value sets: look-up, membership, translation, hierarchy, expansion.

Read from `terminology/` at start and from the definitions of R4 when first needed, then pure; what is stored in the
database is given to the functions that need it.
"""

from fhir_server.terminology.codes import Codes, Coding, Concept, Lookup, Members
from fhir_server.terminology.expansion import Wanted, evaluated, expand, members
from fhir_server.terminology.refused import NotExpandable, UnknownList
from fhir_server.terminology.terminology import Terminology

__all__ = [
    "Codes",
    "Coding",
    "Concept",
    "Lookup",
    "Members",
    "NotExpandable",
    "Terminology",
    "UnknownList",
    "Wanted",
    "evaluated",
    "expand",
    "members",
]
