"""Requests under way, so that who has time can let them go first. It knows no request.

A client waits for its answer; what the engine does next hardly matters to anybody within a few milliseconds. In one process they
share one interpreter, so an engine that is busy would make every answer late.
"""

from __future__ import annotations

import threading
import time

LULL = 0.002  # seconds without a request: a client that has its answer may be about to send the next
MOST_WAY = 0.05  # seconds that anyone gives way, so that everything goes on however many ask


class Traffic:
    """The requests under way. One thread counts them; any may give way to them."""

    def __init__(self) -> None:
        self._count = 0
        self._last = 0.0
        self._turn = threading.Lock()

    def __enter__(self) -> None:
        """A request is under way, until the block ends."""
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        self._last = time.monotonic()

    def give_way(self) -> None:
        """Block until there has been none for a moment, at most MOST_WAY seconds."""
        end = time.monotonic() + MOST_WAY
        with self._turn:  # one looks out, the others wait for it
            while (now := time.monotonic()) < end and (self._count or now - self._last < LULL):
                time.sleep(LULL)
