"""The subset of FHIRPath that patches use: a path selects elements of a resource together with where they are.

http://hl7.org/fhirpath/N1/ · https://hl7.org/fhir/R4/fhirpatch.html

`search.path` compiles another subset, for the expressions of search parameters, and gives values alone.
"""
