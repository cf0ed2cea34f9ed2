"""What was written of records, kept until something in it changes. It must not know any noun, nor what is written.

A text is good until a committed write concerns an id that stands in the view that it was written from (`state.journal`). What a
reader is given was true at the moment its transaction looks at, or has not changed since.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from ec2gw.model import ids
from ec2gw.query import wire
from ec2gw.state import journal
from ec2gw.state.session import Transaction

MOST = 64 * 1024 * 1024  # bytes of text, and of what it takes to keep it
_EACH = 1_024  # bytes that a text takes beside its letters
_MOST_CHANGED = 100_000


@dataclass(frozen=True)
class _Kept:
    """`moment` is the number of the newest change that the text knows of."""

    part: wire.Part
    mentioned: frozenset[str]
    moment: int
    size: int


class Fragments:
    """The texts of all, the least used thrown away first. Threads may share it."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], _Kept] = OrderedDict()
        self._size = 0
        self._seen = 0  # the newest change known
        self._changed: dict[str, int] = {}  # id -> the newest change that concerns it, of those after `_all_changed`
        self._all_changed = 0

    def shelf(self, tx: Transaction, *scope: str) -> Shelf:
        """The texts of one scope. A text depends on nothing but records and the scope."""
        return Shelf(self, tx, scope)

    def moment(self, tx: Transaction) -> int:
        """The newest change that the transaction sees. To be asked before it reads any record."""
        with self._lock:
            seen = self._seen
        changes = journal.since(tx.db, seen)
        moment = changes[-1][0] if changes else 0
        with self._lock:
            for number, concerned in changes:
                if number > self._seen:
                    self._note(number, concerned)
        return moment

    def _note(self, number: int, concerned: list[str] | None) -> None:
        missed = self._seen and number - self._seen >= journal.KEPT
        self._seen = number
        if concerned is None or missed or len(self._changed) > _MOST_CHANGED:
            self._changed.clear()
            self._all_changed = number
        else:
            self._changed.update(dict.fromkeys(concerned, number))

    def find(self, scope: tuple[str, ...], wanted: list[str], moment: int) -> dict[str, wire.Part]:
        """Of the records wanted, the texts that are good at that moment."""
        found = {}
        with self._lock:
            for id in wanted:
                key = (*scope, id)
                kept = self._kept.get(key)
                if kept is not None and kept.moment <= moment and self._is_good(kept):
                    self._kept.move_to_end(key)
                    found[id] = kept.part
        return found

    def _is_good(self, kept: _Kept) -> bool:
        if kept.moment < self._all_changed:
            return False
        if self._changed.keys().isdisjoint(kept.mentioned):
            return True
        return all(self._changed.get(id, 0) <= kept.moment for id in kept.mentioned)

    def keep(
        self, scope: tuple[str, ...], written: dict[str, wire.Part], mentioned: dict[str, frozenset[str]], moment: int
    ) -> None:
        """Keep what has been written for a reader of that moment."""
        with self._lock:
            for id, part in written.items():
                if part.text is None:
                    continue
                key = (*scope, id)
                kept = _Kept(part, mentioned[id], moment, len(part.text) + _EACH)
                if old := self._kept.pop(key, None):
                    self._size -= old.size
                self._kept[key] = kept
                self._size += kept.size
            while self._size > self._most:
                _, oldest = self._kept.popitem(last=False)
                self._size -= oldest.size


class Shelf:
    """The texts that one request may use, and those that it adds."""

    def __init__(self, fragments: Fragments, tx: Transaction, scope: tuple[str, ...]) -> None:
        self._fragments = fragments
        self._tx = tx
        self._scope = scope
        self._moment: int | None = None
        self._new: dict[str, wire.Part] = {}
        self._mentioned: dict[str, frozenset[str]] = {}

    def find(self, wanted: list[str]) -> dict[str, wire.Part]:
        """The texts there are, by the ids of their records. What is missing must be read after this was asked, not before."""
        if self._moment is None:
            self._moment = self._fragments.moment(self._tx)
        return self._fragments.find(self._scope, wanted, self._moment)

    def add(self, id: str, view: dict[str, Any], only_named: Collection[str]) -> wire.Part:
        """Have a view kept as it will be written. It rests on no record of the kinds `only_named`."""
        self._mentioned[id] = frozenset(name for name in _mentioned(view) if ids.kind(name) not in only_named)
        part = self._new[id] = wire.Part(view)
        return part

    def close(self) -> None:
        """The answer is written: keep what is new in it."""
        if self._moment is not None:
            self._fragments.keep(self._scope, self._new, self._mentioned, self._moment)


def _mentioned(value: Any) -> Iterator[str]:
    """Every id in a view."""
    if isinstance(value, str):
        if ids.kind(value) is not None:
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _mentioned(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _mentioned(item)
