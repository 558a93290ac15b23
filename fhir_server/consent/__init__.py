"""Consent: who may do what, decided as a value. Pure: no clock, no input or output, no HTTP.

How a decision is made: docs/consent/how-a-decision-is-made.md.
"""
