"""Validation against profiles: what a StructureDefinition asks of a resource beyond FHIR R4, compiled to closures.

https://hl7.org/fhir/R4/profiling.html · https://hl7.org/fhir/R4/elementdefinition.html

- `checks`         `ProfileChecks`: a resource and the URLs of profiles in, a list of issues out
- `parts`          the elements of a snapshot as a tree, with what the tables of R4 say of each
- `compiling`      the tree to closures; what the tables say already is left out
- `elements`       the closures of an element: how often it is there, and what each of its items must be
- `occurrences`    reads the items of an element out of an object: choices, arrays, primitives with ``_``
- `values`         fixed values, patterns, ranges and lengths
- `slicing`        sorts items into slices at run time
- `discriminators` compiles how a slice is told from the others
- `demands`        the closures of that: where a path leads, and what must be found there
- `coded`          bindings
- `pointing`       targets of references
- `everywhere`     extensions, known and unknown, and the profiles that inner resources claim
- `constraints`    invariants: their words, and the check of one
- `expressions`    compiles their FHIRPath
- `profile`        a compiled profile, and what it is compiled from and with
- `bundled`        the entries of a Bundle, as references find them
- `scope`          the resource that is looked at, where it stands, and what its references lead to
- `found`          what a check answers, and how that becomes issues

As in structural validation, a check answers ``None`` for what is right. Findings travel upwards and every level puts
its own segment before their path; sentences are made at the end, of those that are told.
"""

from fhir_server.validation.profiles.bundled import Bundled
from fhir_server.validation.profiles.checks import ProfileChecks
from fhir_server.validation.profiles.profile import ProfileCheck

__all__ = ["Bundled", "ProfileCheck", "ProfileChecks"]
