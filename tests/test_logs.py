"""Log lines: one JSON object each, whatever they are to say."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
import structlog

from ec2gw import logs


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("plain", "plain"),
        ("a\nb\x1b[31m", "a\nb\x1b[31m"),
        ("ünï \u2028 \x9b31m \U0001f600", "ünï \u2028 \x9b31m \U0001f600"),
        ("\udcff", "\udcff"),  # a byte that is not UTF-8, as it comes in a header
        (1 << 70, 1 << 70),
        ({"a": ["b", None, 1.5]}, {"a": ["b", None, 1.5]}),
        ({1: 2}, {"1": 2}),
        ({"later"}, "{'later'}"),
    ],
)
def test_a_line_is_ascii_and_says_what_was_said(said: Any, read: Any, capfd: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        logs.configure("json")
        with structlog.contextvars.bound_contextvars(request_id="r-1"):
            structlog.get_logger("tests").info("said", what=said, ms=0.3)
    finally:
        structlog.configure(**before)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.isascii()
    assert line.isprintable()
    found = json.loads(line)
    assert datetime.datetime.fromisoformat(found.pop("timestamp")).utcoffset() == datetime.timedelta()
    assert found == {"event": "said", "what": read, "ms": 0.3, "request_id": "r-1", "level": "info"}
