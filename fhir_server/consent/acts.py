"""The table of acts, read from `acts.toml` and checked at start."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Final

from fhir_server.consent.circumstances import Act, Domain, Standing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

_COLUMNS: Final = frozenset(Domain)


def load(path: Path, resource_types: Collection[str]) -> Mapping[Standing, Mapping[str, frozenset[Act]]]:
    """Read the table; a row, column or act it should not hold, or a missing row, stops the start-up."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if set(table) != set(Standing):
        raise ValueError(f"{path.name}: the rows must be exactly {', '.join(Standing)}")
    for row, columns in table.items():
        unknown = [name for name in columns if name not in _COLUMNS and name not in resource_types]
        if unknown:
            raise ValueError(f"{path.name}: [{row}] has columns that are neither a domain nor a type: {unknown}")
    return {
        Standing(row): {name: frozenset(Act(act) for act in acts) for name, acts in columns.items()}
        for row, columns in table.items()
    }
