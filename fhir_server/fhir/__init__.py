"""The vocabulary of FHIR, without input or output: JSON, references, dates, errors, outcomes."""
