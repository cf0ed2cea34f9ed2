"""Reading blocks while the bytes move, many at once; blocks that are received last and leave nothing half done."""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from ec2gw.backend import blocks, ports
from ec2gw.backend.staging import Staging
from ec2gw.backend.stores import qcow2, raw
from tests.backend.disks import SIZE, killed_at, same, write


def test_a_layer_that_is_written_anew_is_read_where_its_bytes_are(tmp_path: Path) -> None:
    """`settle` gives a layer all that is below it: the file of that name is another, and the bytes are elsewhere in it."""
    store, reader = qcow2.Qcow2Store(tmp_path), blocks.Reader()
    store.create("vol-1", SIZE)
    for turn in range(qcow2.DEEPEST + 3):
        write(store, "vol-1", turn + 1, (turn % 16) * blocks.SIZE, blocks.SIZE)
        store.snapshot("vol-1", f"snap-{turn}")
    last = f"snap-{qcow2.DEEPEST + 2}"
    before = [reader.read(store, last, number) for number in range(16)]
    store.settle(last)
    assert all(same(reader.read(store, last, number), before[number]) for number in range(16))
    assert {block[0] for block in before} == {*range(4, qcow2.DEEPEST + 4)}


def test_a_snapshot_that_is_gone_is_trouble(tmp_path: Path) -> None:
    store, reader = raw.RawStore(tmp_path), blocks.Reader()
    store.create("vol-1", SIZE)
    write(store, "vol-1", 1, 0)
    store.snapshot("vol-1", "snap-1")
    reader.read(store, "snap-1", 0)
    store.remove("snap-1")
    with pytest.raises(ports.HostError):
        reader.read(store, "snap-1", 0)


def test_what_many_ask_at_once_is_found_out_once_and_trouble_is_not_remembered() -> None:
    class Slow:
        asked = 0
        ready = threading.Event()

        def extents(self, snapshot: str) -> list[ports.Extent]:
            self.asked += 1
            self.ready.wait(10)
            if self.asked == 1:
                raise ports.HostError("not now")
            return []

    store, reader = Slow(), blocks.Reader()
    with ThreadPoolExecutor(8) as crowd:
        asked = [crowd.submit(reader.written, store, "snap-1") for _ in range(8)]  # type: ignore[arg-type]
        while not store.asked:
            pass
        store.ready.set()
        for job in asked:
            assert job.exception() is None or isinstance(job.exception(), ports.HostError)
        assert sum(job.exception() is not None for job in asked) >= 1
    assert list(reader.written(store, "snap-1")) == []  # type: ignore[arg-type]
    assert store.asked == 2


def test_a_block_received_is_for_its_owner_alone_and_is_whole_at_every_step(tmp_path: Path) -> None:
    data = os.urandom(blocks.SIZE)
    checksum = hashlib.sha256(data).digest()
    for step in itertools.count():
        staging = Staging(tmp_path / str(step))
        killed = killed_at(step, partial(staging.put, "snap-1", 7, checksum, data))
        path = staging.path("snap-1", 7, checksum)
        assert not path.exists() or path.read_bytes() == data
        staging.put("snap-1", 7, checksum, data)
        assert path.read_bytes() == data
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert staging.snapshots() == {"snap-1"}
        staging.remove("snap-1")
        staging.remove("snap-1")
        assert staging.snapshots() == set()
        if not killed:
            assert step > 2
            return


def test_only_ids_name_what_is_received(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "uploads")
    for name in ("../snap-1", "", "snap-1/x"):
        with pytest.raises(ports.HostError):
            staging.put(name, 0, b"", b"")
        with pytest.raises(ports.HostError):
            staging.remove(name)
