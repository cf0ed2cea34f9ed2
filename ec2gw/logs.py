"""Log lines: structured, with the request's id, and never a secret. No traceback shows the values of local variables."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import Processor

STANDARD_ERROR = 2  # by its number


class _Lossy:
    """A file that loses what it cannot write: on a full disk or a closed pipe a request must not fail for want of its line.

    Nothing is held back to be written later, which would fail again when the program ends.
    """

    def __init__(self, file: int) -> None:
        self._file = file

    def write(self, text: str) -> None:
        """Write, or lose it."""
        with contextlib.suppress(OSError):
            os.write(self._file, text.encode(errors="backslashreplace"))

    def flush(self) -> None:
        """It has gone out, or is lost."""


def configure(form: Literal["auto", "console", "json"]) -> None:
    """Write log lines to standard error: for eyes, or one JSON object a line; `auto` is for eyes where it is a terminal."""
    terminal = sys.stderr.isatty()
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=structlog.dev.plain_traceback)]
        if form == "console" or (form == "auto" and terminal)
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_json)]
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lossy(STANDARD_ERROR))),
        cache_logger_on_first_use=True,
    )


def _json(line: dict[str, Any], default: Callable[[Any], Any]) -> str:
    """A log line in ASCII, so that nothing in it can mean anything to a terminal.

    orjson takes a tenth of json's time, but lets all of Unicode through, and refuses half a surrogate pair and numbers beyond 64
    bits.
    """
    try:
        text = orjson.dumps(line, default)
    except orjson.JSONEncodeError:
        return json.dumps(line, default=default)
    return text.decode() if text.isascii() else json.dumps(line, default=default)
