"""The interactions of FHIR, one file each. No HTTP object, no database, no rule.

https://hl7.org/fhir/R4/http.html
"""
