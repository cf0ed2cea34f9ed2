"""Log lines: structured, with the request's id, and never a secret. No traceback shows the values of local variables."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable
from typing import Any, Literal, TextIO, cast

import orjson
import structlog
from structlog.typing import Processor


class _Lossy:
    """A stream that loses what it cannot write: on a full disk or a closed pipe a request must not fail for want of its line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, or lose it."""
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Have what was written go out, or lose it."""
        with contextlib.suppress(OSError):
            self._stream.flush()


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
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Lossy(sys.stderr))),
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
