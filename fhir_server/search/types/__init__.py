"""One file per type of search parameter: what a resource is found by, what a query asks, as a predicate.

https://hl7.org/fhir/R4/search.html#ptypes

Each has ``extract`` (an element of a resource, to terms or intervals), ``parse`` (a value of a query, to what it means;
:class:`~fhir_server.fhir.errors.Invalid` when it means nothing) and ``predicate`` (values ORed, to a predicate).
"""
