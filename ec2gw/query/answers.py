"""Whole answers, kept while no commit has changed anything. It must not know what is asked, nor what an answer says.

Whoever waits for something asks the same again and again. An answer is good as long as a transaction begun now would see what the
one saw that made it (`Database.stamp`), so only what rests on records alone may be kept, and nothing that rests on the hour.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

MOST = 16 * 1024 * 1024  # bytes of all answers
MOST_EACH = MOST // 4
_BESIDE = 1_024  # bytes that keeping an answer takes beside its own


class Answers:
    """The answers of one moment, the least used thrown away first. For one thread."""

    def __init__(self) -> None:
        self._stamp: int | None = None
        self._kept: OrderedDict[Hashable, tuple[bytes, bytes]] = OrderedDict()
        self._size = 0

    def at(self, stamp: int | None) -> None:
        """Let go of all that was kept at another stamp."""
        if stamp != self._stamp:
            self._kept.clear()
            self._stamp, self._size = stamp, 0

    def find(self, question: Hashable, request_id: str) -> bytes | None:
        """What was answered to the question, for a request of that id; None where nothing is kept."""
        kept = self._kept.get(question)
        if kept is None:
            return None
        self._kept.move_to_end(question)
        return request_id.encode().join(kept)

    def keep(self, stamp: int | None, question: Hashable, request_id: str, body: bytes) -> None:
        """Keep an answer that was made after `stamp` was asked for. It names its request's id once, or it is not kept."""
        head, *tails = body.split(request_id.encode())
        if stamp is None or stamp != self._stamp or len(tails) != 1 or len(body) > MOST_EACH or question in self._kept:
            return
        self._kept[question] = head, tails[0]
        self._size += len(head) + len(tails[0]) + _BESIDE
        while self._size > MOST:
            _, oldest = self._kept.popitem(last=False)
            self._size -= sum(map(len, oldest)) + _BESIDE
