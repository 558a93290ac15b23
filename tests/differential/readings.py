"""Where the standard can be read in two ways: what is expected here, each with the other way. Change it here alone.

https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from typing import Final

STRINGS_HAVE_CASE: Final = False
"""Of a token parameter over an element of type string (``Questionnaire.version``). "If the underlying data type is
string then the search is not case sensitive"; codes, identifiers and what else is a token have case here, which the
standard leaves to the code system."""

INSTANTS_ARE_POINTS: Final = True
"""Whether an instant written to the second is a point, "an interval with an effective width of 0", or that second."""

HIERARCHY_BY_SEGMENTS: Final = False
"""Whether ``:below`` and ``:above`` of a uri go by steps between slashes. R4 says "starts with" and "left-matches", by
which ``ValueSet/1234`` is below ``ValueSet/123``; later versions speak of segments."""

COMPOSITES_TAKE_A_SYSTEM_ALONE: Final = False
"""Whether queries ask for ``system|$value``. It is a token as any other; the server refuses it with a sentence, so no
such query is made."""

PATIENTS_ARE_NAMED_BY_A_SYSTEM_ALONE: Final = False
"""Whether queries ask for ``patient.identifier=system|``. The parameter names a record here, and a system alone is
refused with a sentence."""

OPEN_START_IS_SORTED_BY_ITS_END: Final = True
"""Where a Period without a start comes in an order by date: by its end, the one thing known of it; else before every
other, "a missing lower boundary is less than any actual date". The standard gives no "exact rules" for sorting."""

CANONICAL_IS_FOUND_WITHOUT_ITS_VERSION: Final = True
"""Whether ``http://a`` finds the canonical ``http://a|1.0``. By the chapter on references a canonical without a version
means any; by that on search ``:below`` is for it."""

# What has no constant:
#
# - ``ge`` is ``gt`` or ``eq``, by the letter of the table: a Period that begins before the search value and ends within
#   it is neither. "The range above the value: the specified value and up" can be read otherwise, and other servers do.
# - ``ne`` holds when one of several values is not equal, as every comparison; ``:not`` when none of them is.
# - ``:missing`` asks for elements, not for what can be searched of them: a CodeableConcept with a text alone is there.
# - A reference to what is not here is found by its name, is of the type it names, and leads no chain anywhere.
# - A bare id finds references to any type. Servers "SHOULD reject" it where two types share the id; ours does not.
# - In ``DocumentReference.relationship`` the code comes first, as its expressions tell, though R4 names the definitions
#   of the two components each for the other.
# - ``Patient.deceased`` always has a value, false where nothing is said, as its expression tells.
# - Units are compared, not converted. Money is in the unit of its currency, of ``urn:iso:std:iso:4217``.
# - ``ap`` of a number has closed ends.
