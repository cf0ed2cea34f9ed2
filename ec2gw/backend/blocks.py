"""The blocks of snapshots: which are written, which differ between two, what is in one.

It must not know how a store keeps a disk: `VolumeStore.extents` says where the bytes are.
"""

from __future__ import annotations

import bisect
import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Any

from ec2gw.backend import ports
from ec2gw.backend.stores.folder import host_errors

SIZE = 512 * 1024  # bytes
_REMEMBERED = 64  # answers


class Reader:
    """Reads snapshots. They never change, so what is found out is remembered; however many ask at once, it is found out once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, Future[Any]] = OrderedDict()

    def written(self, store: ports.VolumeStore, snapshot: str) -> Sequence[int]:
        """The numbers of the blocks in which something is written, in order."""

        def look() -> Sequence[int]:
            return sorted(set(itertools.chain.from_iterable(map(_touched, self._extents(store, snapshot)))))

        found: Sequence[int] = self._once(("written", snapshot), look)
        return found

    def changed(self, first: tuple[ports.VolumeStore, str], second: tuple[ports.VolumeStore, str]) -> Sequence[int]:
        """The numbers of the blocks that are not the same in both, or written in only one, in order."""

        def look() -> Sequence[int]:
            one, other = (_by_block(self._extents(*each)) for each in (first, second))
            return [
                number
                for number in sorted({*one, *other})
                if one.get(number) != other.get(number)
                and (number not in one or number not in other or self.read(*first, number) != self.read(*second, number))
            ]

        found: Sequence[int] = self._once(("changed", first[1], second[1]), look)
        return found

    def read(self, store: ports.VolumeStore, snapshot: str, number: int) -> bytes:
        """The bytes of a block; zeros where nothing is written. Raises HostError."""
        for _ in range(2):
            block = _read(self._extents(store, snapshot), number)
            if block is not None:
                return block
            with self._lock:  # the bytes have moved: look where they are now
                self._known.pop(("extents", snapshot), None)
        raise ports.HostError(f"the bytes of {snapshot} keep moving")

    def _extents(self, store: ports.VolumeStore, snapshot: str) -> Sequence[ports.Extent]:
        found: Sequence[ports.Extent] = self._once(("extents", snapshot), lambda: store.extents(snapshot))
        return found

    def _once(self, question: Hashable, answer: Callable[[], Any]) -> Any:
        with self._lock:
            known = self._known.get(question)
            mine = known is None
            if known is None:
                known = self._known[question] = Future()
                while len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
            self._known.move_to_end(question)
        if mine:
            try:
                known.set_result(answer())
            except BaseException as error:
                with self._lock:
                    self._known.pop(question, None)
                known.set_exception(error)
        return known.result()


def _touched(extent: ports.Extent) -> range:
    return range(extent.start // SIZE, (extent.start + extent.length - 1) // SIZE + 1)


def _by_block(extents: Sequence[ports.Extent]) -> dict[int, list[tuple[int, int, tuple[str, int]]]]:
    """Of each block that is written, the pieces: (from, to, home of the first byte)."""
    blocks: dict[int, list[tuple[int, int, tuple[str, int]]]] = {}
    for extent in extents:
        for number in _touched(extent):
            start = max(extent.start, number * SIZE)
            end = min(extent.start + extent.length, (number + 1) * SIZE)
            home = extent.home[0], extent.home[1] + start - extent.start
            pieces = blocks.setdefault(number, [])
            if pieces and pieces[-1][1] == start and _follows(pieces[-1], home):
                pieces[-1] = (pieces[-1][0], end, pieces[-1][2])
            else:
                pieces.append((start, end, home))
    return blocks


def _follows(piece: tuple[int, int, tuple[str, int]], home: tuple[str, int]) -> bool:
    start, end, (place, at) = piece
    return home == (place, at + end - start)


def _read(extents: Sequence[ports.Extent], number: int) -> bytes | None:
    """The block, or None where a file is not the one that was looked at."""
    block = bytearray(SIZE)
    low = number * SIZE
    first = bisect.bisect_right(extents, low, key=lambda extent: extent.start + extent.length)
    for extent in itertools.islice(extents, first, None):
        start, end = max(extent.start, low), min(extent.start + extent.length, low + SIZE)
        if start >= end:
            break
        with host_errors():
            try:
                file = extent.path.open("rb", buffering=0)
            except FileNotFoundError:
                return None
            with file:
                if os.fstat(file.fileno()).st_ino != extent.inode:
                    return None
                piece = os.pread(file.fileno(), end - start, extent.offset + start - extent.start)
        if len(piece) != end - start:
            raise ports.HostError(f"{extent.path} ends too soon")
        block[start - low : end - low] = piece
    return bytes(block)
