"""Thin volumes: what only the LVM store promises. Collected where `EC2GW_LVM` names a pool to play with: the LVM lane."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ec2gw.backend import ports
from ec2gw.backend.stores.lvm import LvmStore
from tests.backend.disks import MIB, POOL, SIZE, content, killed_at, leftovers, pattern, same, silent, write

__test__ = POOL is not None

VG, THIN = (POOL or "none/none").split("/")


def lvm(*argv: str) -> str:
    environment = os.environ | {"DM_DISABLE_UDEV": "1"}
    return subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout.strip()


@pytest.fixture
def store() -> Iterator[LvmStore]:
    yield LvmStore(VG, THIN)
    lvm("lvremove", "-qq", "-y", "-S", f"pool_lv={THIN}", VG)


def test_a_pool_that_shows_old_data_or_hangs_when_full_is_refused() -> None:
    for setting, bad, good in (("--zero", "n", "y"), ("--errorwhenfull", "n", "y")):
        lvm("lvchange", "-qq", setting, bad, POOL or "")
        with pytest.raises(ports.HostError, match=setting.strip("-")) as error:
            LvmStore(VG, THIN)
        assert error.value.final
        lvm("lvchange", "-qq", setting, good, POOL or "")
    with pytest.raises(ports.HostError, match="no thin pool"):
        LvmStore(VG, "absent")


def test_only_our_own_volumes_are_seen_and_snapshots_sleep_read_only(store: LvmStore) -> None:
    lvm("lvcreate", "-qq", "-V", "8M", "-T", POOL or "", "-n", "vol-strange")
    store.create("vol-1", SIZE)
    store.snapshot("vol-1", "snap-1")
    assert store.observe() == {"vol-1": SIZE, "snap-1": SIZE}
    assert lvm("lvs", "--noheadings", "-o", "lv_active,lv_permissions", f"{VG}/snap-1").split() == ["read-only"]
    with pytest.raises(ports.HostError):
        store.source("vol-none")


def test_a_volume_in_use_stays_and_can_be_removed_later(store: LvmStore) -> None:
    store.create("vol-1", SIZE)
    with store.source("vol-1").path.open("rb"):
        with pytest.raises(ports.HostError, match="in use") as error:
            store.remove("vol-1")
        assert not error.value.final
        assert store.observe() == {"vol-1": SIZE}
    store.remove("vol-1")
    assert store.observe() == {}


def test_a_volume_is_there_again_after_the_host_was_restarted(store: LvmStore) -> None:
    store.create("vol-1", SIZE)
    write(store, "vol-1", 1, 0)
    lvm("lvchange", "-qq", "-an", f"{VG}/vol-1")
    assert same(content(store, "vol-1"), pattern((1, 0)))


def test_killed_between_two_commands_and_done_again_is_done_once(store: LvmStore, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(pattern((7, MIB)))
    store.create("vol-1", SIZE)
    write(store, "vol-1", 1, 0)
    store.snapshot("vol-1", "snap-1")
    commands = frozenset({"subprocess.Popen"})
    for step in (2, 3):  # before it grows, and before it counts
        name = f"vol-grown{step}"
        assert killed_at(step, partial(store.create, name, 2 * SIZE, "snap-1"), commands)
        assert name not in store.observe()
        store.create(name, 2 * SIZE, "snap-1")
        assert same(content(store, name), pattern((1, 0)) + bytes(SIZE))
    assert killed_at(5, partial(store.fill, "snap-2", image, "raw", silent), commands)  # before it gets its name
    assert "snap-2" not in store.observe()
    store.fill("snap-2", image, "raw", silent)
    assert same(content(store, "snap-2", SIZE), image.read_bytes())
    assert killed_at(3, partial(store.fill, "snap-given-up", image, "raw", silent), commands)
    store.remove("snap-given-up")
    leftovers("lvm", store, tmp_path)


def remove(store: ports.VolumeStore, name: str) -> None:
    """As the engine does: again until the host lets go (a killed copy may hold its device a moment longer)."""
    for _ in range(20):
        try:
            store.remove(name)
        except ports.HostError as error:
            assert not error.final
            time.sleep(0.2)
        else:
            return
    store.remove(name)


def test_a_fill_killed_in_the_midst_leaves_nothing(store: LvmStore, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(os.urandom(MIB) * 200)
    child = os.fork()
    if child == 0:
        try:
            store.fill("snap-1", image, "raw", silent)
        finally:
            os._exit(0)
    filling = Path("/dev", VG, "filling-snap-1")
    for _ in range(200):
        if filling.exists():
            break
        time.sleep(0.1)
    time.sleep(0.5)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert "snap-1" not in store.observe()
    remove(store, "snap-1")
    leftovers("lvm", store, tmp_path)


def test_a_snapshot_cut_short_does_not_leave_the_machine_waiting(store: LvmStore) -> None:
    store.create("vol-1", SIZE)
    write(store, "vol-1", 1, 0)
    node = f"{VG}-vol--1"
    lvm("dmsetup", "suspend", node)  # what a killed lvcreate leaves at worst
    again = LvmStore(VG, THIN)
    write(again, "vol-1", 2, MIB)
    assert same(content(again, "vol-1"), pattern((1, 0), (2, MIB)))


def test_a_full_pool_is_refused_for_good_and_hangs_nobody() -> None:
    settings = ("-L", "64M", "--poolmetadatasize", "4M", "-c", "64k", "-Zy", "--errorwhenfull", "y")
    lvm("lvcreate", "-qq", "-y", *settings, "-T", f"{VG}/small")
    store = LvmStore(VG, "small")
    try:
        store.create("vol-1", 1 << 40)
        assert store.capacity() == (64 * MIB, 64 * MIB)
        with store.source("vol-1").path.open("r+b", buffering=0) as disk, pytest.raises(OSError):
            for _ in range(128):
                disk.write(b"\1" * MIB)
                os.fsync(disk.fileno())
        assert store.capacity()[1] < 2 * MIB
        for deed in (partial(store.create, "vol-2", SIZE), partial(store.snapshot, "vol-1", "snap-1")):
            with pytest.raises(ports.HostError, match="full") as error:
                deed()
            assert error.value.final
        store.remove("vol-1")
        store.create("vol-2", SIZE)
        assert store.observe() == {"vol-2": SIZE}
    finally:
        lvm("lvremove", "-qq", "-y", f"{VG}/small")
