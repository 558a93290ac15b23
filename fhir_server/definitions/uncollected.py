"""Work that makes many objects and no garbage in cycles: bodies that are read, tables and profiles that are compiled.

Python's collector looks through all that was made so far again and again. Measured on Python 3.11: of 0.7 s for an XML
body of 5 MB, 0.4 s; of 1.35 s for what the server is made of (``declared.declare``), 0.4 s.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage in cycles meanwhile."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
