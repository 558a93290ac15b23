"""``python -m fhir_server``: the command line."""

from __future__ import annotations

import sys

from fhir_server.cli.commands import commands

if __name__ == "__main__":
    commands(sys.argv[1:])(prog_name="fhir-server")
