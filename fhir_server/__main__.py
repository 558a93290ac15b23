"""``python -m fhir_server``: the command line."""

from __future__ import annotations

from fhir_server.cli.commands import app

if __name__ == "__main__":
    app(prog_name="fhir-server")
