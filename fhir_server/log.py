"""Logs as JSON lines on standard error, without personal data.

An identifier that could name a person goes through :func:`hashed`: with a key, because a health insurance number has
too few possibilities for a hash without one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import sys
from typing import TYPE_CHECKING, TextIO

import msgspec
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import Processor

_key = secrets.token_bytes(32)


def hashed(identifier: str) -> str:
    """The same short mark for the same identifier, as long as the key stays; nobody can go back."""
    return hashlib.blake2b(identifier.encode(), key=_key, digest_size=8).hexdigest()


def configure(level: str, *, key: bytes | None = None, stream: TextIO | None = None) -> None:
    """Send every log, the libraries' too, as one JSON object a line; the key makes marks equal across processes."""
    global _key  # noqa: PLW0603 - one key a process, set once at its start
    _key = key or _key
    lines = stream or sys.stderr
    said: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    written: list[Processor] = [
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_json),
    ]
    structlog.configure(
        processors=[*said, *written],
        logger_factory=lambda *named: _Lines(lines, str(*named)),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=True,
    )
    output = logging.StreamHandler(lines)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=said,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *written],
        )
    )
    root = logging.getLogger()
    root.handlers = [output]
    root.setLevel(level.upper())
    # Their information lines name addresses or repeat ours.
    for talkative in ("uvicorn.access", "uvicorn.error", "pymongo", "asyncio"):
        logging.getLogger(talkative).setLevel(max(logging.WARNING, root.level))


class _Lines:
    """Where our own lines go: straight to the stream. By way of `logging` a line costs three times as much."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write a line at once, in one piece."""
        self._stream.write(f"{line}\n")
        self._stream.flush()

    debug = info = warning = error = critical = msg


def _json(line: dict[str, object], default: Callable[[object], object]) -> str:
    try:
        return msgspec.json.encode(line, enc_hook=default).decode()
    except UnicodeEncodeError:  # a lone surrogate, which only the standard library writes
        return json.dumps(line, default=default)
