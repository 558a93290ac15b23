"""The definitions of FHIR R4 4.0.1 as compact tables, compiled by `tools/compile_r4.py`."""
