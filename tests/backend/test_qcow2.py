"""Layers: what only the qcow2 store promises, with QEMU's own tools as the machine that runs on a volume."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from ec2gw.backend import command, ports
from ec2gw.backend.stores import qcow2
from ec2gw.backend.stores.qcow2 import Qcow2Store
from tests.backend.disks import MIB, SIZE, chain, content, killed_at, leftovers, pattern, same, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Qcow2Store:
    return Qcow2Store(folder)


class Machine:
    """A process that has a disk open for writing and does as told, as a running QEMU."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(["qemu-io", "-f", "qcow2", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._heard()

    def tell(self, deed: str) -> str:
        """Do it, and return the answer."""
        assert self._process.stdin
        self._process.stdin.write(f"{deed}\n".encode())
        self._process.stdin.flush()
        return self._heard()

    def _heard(self) -> str:
        assert self._process.stdout
        said = b""
        while not said.endswith(b"qemu-io> "):
            piece = os.read(self._process.stdout.fileno(), 65536)
            assert piece, said
            said += piece
        return said.decode()

    def end(self) -> None:
        self._process.communicate(b"quit\n")


@contextmanager
def running(store: Qcow2Store, name: str) -> Iterator[Machine]:
    machine = Machine(store.source(name).path)
    yield machine
    machine.end()


def test_a_running_machine_holds_up_neither_snapshot_nor_clone(store: Qcow2Store) -> None:
    store.create("vol-1", SIZE)
    with running(store, "vol-1") as machine:
        machine.tell("write -P 1 0 64k")
        store.snapshot("vol-1", "snap-1")
        machine.tell("write -P 2 1M 64k")  # not switched yet: the point in time is still to come
    store.create("vol-2", SIZE, "snap-1")
    with running(store, "vol-1") as machine:  # switched
        machine.tell("write -P 3 0 64k")
        machine.tell("flush")
        assert same(content(store, "snap-1"), pattern((1, 0), (2, MIB)))
        assert same(content(store, "vol-2"), pattern((1, 0), (2, MIB)))
    assert same(content(store, "vol-1"), pattern((3, 0), (2, MIB)))


def test_growing_a_volume_in_use_is_left_to_its_machine(store: Qcow2Store) -> None:
    store.create("vol-1", SIZE)
    with running(store, "vol-1") as machine:
        store.grow("vol-1", 2 * SIZE)
        assert store.observe() == {"vol-1": SIZE}
        machine.tell(f"truncate {2 * SIZE}")  # as `block_resize` does
        assert store.observe() == {"vol-1": 2 * SIZE}
        store.grow("vol-1", 2 * SIZE)
    store.grow("vol-1", 3 * SIZE)
    assert store.observe() == {"vol-1": 3 * SIZE}


def test_flattening_below_a_running_machine_changes_nothing_for_it(
    store: Qcow2Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qcow2, "DEEPEST", 2)
    store.create("vol-1", SIZE)
    for turn in range(4):
        write(store, "vol-1", turn + 1, turn * MIB)
        store.snapshot("vol-1", f"snap-{turn}")
        if turn < 3:
            store.remove(f"snap-{turn}")
    wanted = pattern(*((turn + 1, turn * MIB) for turn in range(4)))
    with running(store, "vol-1") as machine:
        machine.tell("write -P 9 5M 64k")
        store.settle("snap-3")
        assert len(chain(store, "snap-3")) == 1
        assert len(list((folder / "layers").iterdir())) == 2, "what is no longer below anything is gone"
        assert "Pattern verification failed" not in machine.tell("read -P 1 0 64k")
        assert "Pattern verification failed" in machine.tell("read -P 2 0 64k")
        machine.tell("write -P 8 0 64k")
    assert same(content(store, "snap-3"), wanted)
    assert same(content(store, "vol-1"), pattern((8, 0), (2, MIB), (3, 2 * MIB), (4, 3 * MIB), (9, 5 * MIB)))
    leftovers("qcow2", store, folder)


def test_settling_killed_before_any_step_and_done_again_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qcow2, "DEEPEST", 1)
    wanted = pattern((1, 0), (2, MIB), (3, 2 * MIB))
    for step in itertools.count():
        folder = tmp_path / f"store-{step}"
        store = Qcow2Store(folder)
        store.create("vol-1", SIZE)
        for turn in range(3):
            write(store, "vol-1", turn + 1, turn * MIB)
            store.snapshot("vol-1", f"snap-{turn}")
        killed = killed_at(step, partial(store.settle, "snap-2"))
        again = Qcow2Store(folder)
        assert same(content(again, "snap-2"), wanted)
        again.settle("snap-2")
        assert len(chain(again, "snap-2")) == 1
        assert same(content(again, "vol-1"), wanted)
        assert same(content(again, "snap-0"), pattern((1, 0)))
        leftovers("qcow2", again, folder)
        if not killed:
            assert step > 0
            return


def test_everything_is_for_the_owner_alone(store: Qcow2Store, folder: Path) -> None:
    store.create("vol-1", SIZE)
    store.snapshot("vol-1", "snap-1")
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_layer_may_not_lead_outside(store: Qcow2Store, folder: Path) -> None:
    store.create("vol-1", SIZE)
    store.create("vol-2", SIZE)
    path = store.source("vol-1").path
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", str(path), str(SIZE)]
    subprocess.run(argv, check=True)
    again = Qcow2Store(folder)
    assert again.observe() == {"vol-2": SIZE}
    with pytest.raises(ports.HostError, match="outside the store") as error:
        again.create("vol-1", SIZE)
    assert error.value.final
    assert path.exists(), "nothing is swept while a layer cannot be read"


def test_looking_starts_no_process_and_stays_cheap(store: Qcow2Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create("vol-0", SIZE)
    store.snapshot("vol-0", "snap-0")
    for number in range(1, 500):
        store.copy("snap-0", f"snap-{number}")

    def none(*_: object, **__: object) -> str:
        raise AssertionError("a command was run")

    monkeypatch.setattr(command, "run", none)
    assert len(store.observe()) == 501
    assert store.source("snap-77") == store.source("snap-0")


def test_a_size_once_read_is_read_again_when_the_layer_changed(store: Qcow2Store) -> None:
    store.create("vol-1", SIZE)
    os.utime(store.source("vol-1").path, (0, 0))
    assert store.observe() == {"vol-1": SIZE}
    store.grow("vol-1", 2 * SIZE)
    assert store.observe() == {"vol-1": 2 * SIZE}


def test_copies_take_no_space(store: Qcow2Store, folder: Path) -> None:
    store.create("vol-1", SIZE)
    store.snapshot("vol-1", "snap-1")
    before = sorted((folder / "layers").iterdir())
    store.copy("snap-1", "snap-2")
    assert sorted((folder / "layers").iterdir()) == before


def test_two_stores_on_one_folder_keep_each_others_unfinished_work(store: Qcow2Store, folder: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(os.urandom(32 * MIB))
    opened: list[Qcow2Store] = []

    def progress(percent: float) -> None:
        if not opened:
            opened.append(Qcow2Store(folder))  # another process starts, and cleans up, in the midst of it
            opened[0].create("vol-9", SIZE)
            opened[0].remove("vol-9")

    store.fill("snap-1", image, "raw", progress)
    assert opened
    assert content(store, "snap-1", 32 * MIB) == image.read_bytes()
