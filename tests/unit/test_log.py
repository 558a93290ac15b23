"""Logs are JSON lines, and an identifier in them tells nobody who it is."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from fhir_server import log


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_ours_and_the_libraries_lines_are_json() -> None:
    stream = io.StringIO()
    log.configure("info", stream=stream)
    structlog.get_logger("ours").info("read", status=200)
    logging.getLogger("theirs").warning("%s went wrong", "it")
    logging.getLogger("uvicorn.error").info("Uvicorn running")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["message"], first["status"], first["level"], first["logger"]) == ("read", 200, "info", "ours")
    assert (second["message"], second["logger"]) == ("it went wrong", "theirs")


def test_a_line_is_written_whatever_it_holds() -> None:
    stream = io.StringIO()
    log.configure("info", stream=stream)
    ours = structlog.get_logger("ours")
    ours.warning("a lone surrogate %s", "\ud800", at=Path("a\nb"))
    try:
        int("broken")
    except ValueError:
        ours.exception("failed")
    ours.debug("not told at this level")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["message"], first["at"]) == ("a lone surrogate \ud800", repr(Path("a\nb")))
    assert (second["message"], second["level"]) == ("failed", "error")
    assert "ValueError: invalid literal" in second["exception"]


def test_the_same_identifier_has_the_same_mark_under_one_key() -> None:
    log.configure("info", key=b"k" * 32, stream=io.StringIO())
    mark = log.hashed("280057505600117")
    assert mark == log.hashed("280057505600117")
    assert "280057505600117" not in mark
    log.configure("info", key=b"l" * 32, stream=io.StringIO())
    assert mark != log.hashed("280057505600117")
