"""Structural validation of resources against the tables of FHIR R4, compiled to closures at start.

https://hl7.org/fhir/R4/validation.html

- `structure`   `Validator`: a resource in, a list of issues out
- `objects`     compiles the types, backbone elements and resources of the tables
- `primitives`  one check per primitive type
- `bindings`    required bindings
- `references`  reference targets and contained resources
- `narrative`   the XHTML of `text.div`
- `invariants`  the invariants of the standard that need no FHIRPath engine, said in the words of `predicates`
- `expressions` those that are checked by their own expression, of definitions
- `rules`       pairs them with the tables
- `finding`     what a check answers: nothing, or findings with the path from where it stands

A check answers ``None`` for a valid value and does nothing else: no path is built, no list is made. Only an error
costs: findings travel upwards and every level puts its own segment before their path.
"""
