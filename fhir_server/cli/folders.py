"""Where the commands look when nothing else is said."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

DEFAULT_DATA_FOLDER: Final = Path(os.environ.get("FHIR_DATA_FOLDER") or "data")
"""Beside the script (which sets the variable), as ``serve`` and every other command have it."""
