"""A process that dies with `kill -9` before any of its steps leaves a file store whole, and doing it again gets there.

For LVM, where each step takes seconds, the steps that matter are in `test_lvm`.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ec2gw.backend import ports
from tests.backend.conftest import until
from tests.backend.disks import MIB, POOL, SIZE, content, killed_at, leftovers, open_store, pattern, same, silent, write

__test__ = POOL is None


@pytest.fixture(params=["raw", "qcow2"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def deeds(image: Path) -> dict[str, Callable[[ports.VolumeStore], object]]:
    """Verbs on a store that holds `vol-1` with a snapshot `snap-1`, and a change to `vol-1` after it."""
    return {
        "create": lambda store: store.create("vol-2", SIZE),
        "create-from": lambda store: store.create("vol-2", 2 * SIZE, "snap-1"),
        "snapshot": lambda store: store.snapshot("vol-1", "snap-2"),
        "copy": lambda store: store.copy("snap-1", "snap-2"),
        "grow": lambda store: store.grow("vol-1", 2 * SIZE),
        "remove-volume": lambda store: store.remove("vol-1"),
        "remove-snapshot": lambda store: store.remove("snap-1"),
        "fill": lambda store: store.fill("snap-2", image, "qcow2", silent),
        "assemble": lambda store: store.assemble("snap-2", SIZE, "snap-1", [(MIB, image.with_name("block"))]),
    }


@pytest.mark.parametrize("deed", list(deeds(Path())))
def test_killed_before_any_step_and_done_again_is_done_once(kind: str, tmp_path: Path, deed: str) -> None:
    image = tmp_path / "image.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), str(SIZE)], check=True)
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -q -P 77 {MIB} 65536", str(image)], check=True)
    image.with_name("block").write_bytes(b"\x4e" * 65536)
    do = deeds(image)[deed]
    contents = {"vol-1": pattern((1, 0), (2, MIB)), "snap-1": pattern((1, 0))}
    volumes, snapshots = ("create", "create-from"), ("snapshot", "copy", "fill", "assemble")
    new_name = (dict.fromkeys(volumes, "vol-2") | dict.fromkeys(snapshots, "snap-2")).get(deed)
    gone = {"remove-volume": "vol-1", "remove-snapshot": "snap-1"}.get(deed)
    new_content = {
        "create": bytes(SIZE),
        "create-from": contents["snap-1"] + bytes(SIZE),
        "snapshot": contents["vol-1"],
        "copy": contents["snap-1"],
        "fill": pattern((77, MIB)),
        "assemble": pattern((1, 0), (78, MIB)),
    }.get(deed, b"")
    for step in itertools.count():
        folder = tmp_path / f"store-{step}"
        store = open_store(kind, folder)
        store.create("vol-1", SIZE)
        write(store, "vol-1", 1, 0)
        store.snapshot("vol-1", "snap-1")
        write(store, "vol-1", 2, MIB)
        killed = killed_at(step, partial(do, store))

        again = open_store(kind, folder)
        for name in set(contents) - {gone}:
            assert same(content(again, name, SIZE), contents[name]), f"{name} was harmed at step {step}"
        assert set(again.observe()) - {"vol-1", "snap-1", new_name} == set()
        do(again)
        names = ({"vol-1", "snap-1"} | ({new_name} if new_name else set())) - {gone}
        assert set(again.observe()) == names, f"after step {step}"
        if new_name is not None:
            write(again, "vol-1", 3, 2 * MIB)  # nothing that comes after may be seen in it
            assert same(content(again, new_name, len(new_content)), new_content), f"after step {step}"
        leftovers(kind, again, folder)
        for name in list(again.observe()):
            again.remove(name)
        leftovers(kind, again, folder)
        if not killed:
            assert step > 0
            return


def test_a_fill_killed_at_any_moment_leaves_nothing(kind: str, tmp_path: Path) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(random.Random(1).randbytes(MIB) * 64)
    store = open_store(kind, tmp_path / "store")
    started = time.perf_counter()
    store.fill("snap-0", image, "raw", silent)
    whole = time.perf_counter() - started
    for part in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        child = os.fork()
        if child == 0:
            try:
                store.fill("snap-1", image, "raw", silent)
            finally:
                os._exit(0)
        time.sleep(whole * part)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        again = open_store(kind, tmp_path / "store")
        if "snap-1" in again.observe():
            assert same(content(again, "snap-1", 64 * MIB), image.read_bytes())
        again.remove("snap-1")
        # A command that was just being forked holds its maker's lock until it runs, and dies then: whoever opens next sweeps.
        until(lambda: open_store(kind, tmp_path / "store") and not any((tmp_path / "store" / "work").iterdir()), 10)
        leftovers(kind, again, tmp_path / "store")
