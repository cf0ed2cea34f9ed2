"""Imports by the engine, with real files and qemu-img: what comes out, what is refused, and that nobody waits for a slow one."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ec2gw.backend import simulated
from ec2gw.backend.downloads import Downloads
from ec2gw.backend.staging import Staging
from ec2gw.backend.stores.qcow2 import Qcow2Store
from ec2gw.cloud import imports, snapshots, volumes
from ec2gw.engine.loop import IMPORTERS, Engine
from ec2gw.model import ids
from ec2gw.state.records import Image, ImportTask, Snapshot
from tests.cloud.world import ZONE, ZONES, World
from tests.web import Web

MIB = 1 << 20


class House:
    """A world with an engine, a store of qcow2 files, and a web server to import from."""

    def __init__(self, folder: Path, world: World) -> None:
        self.world, self.folder = world, folder
        (folder / "files").mkdir()
        self.web = Web(folder / "files")
        self.store = Qcow2Store(folder / "store")
        self.machines = simulated.Hypervisor(folder / "machines")
        self.engine = self.fresh()
        self.engine.start()

    def fresh(self) -> Engine:
        loopback = [ipaddress.ip_network("127.0.0.0/8")]
        downloads = Downloads(self.folder / "imports", largest=64 * MIB, allowed=loopback)
        staging = Staging(self.folder / "uploads")
        return Engine(self.world.database, dict.fromkeys(ZONES, self.store), self.machines, staging, downloads, workers=1)

    def task(self, path: str, image_format: str | None = None) -> str:
        part = {"url": self.web.url(path), "format": image_format}
        id: str = self.world.wish(imports.begin, ids.new(imports.SNAPSHOT), ZONE, [part])
        return id

    def row(self, task: str) -> dict[str, Any]:
        row = self.world.row(ImportTask, id=task)
        assert row
        return row

    def ended(self, task: str) -> tuple[str, str]:
        until(lambda: self.row(task)["ended_at"])
        row = self.row(task)
        return row["state"], row["reason"] or ""

    def clean(self) -> None:
        """Nothing is left but what the records account for."""
        until(lambda: set(self.store.observe()) == {row["id"] for row in self.world.rows(Snapshot)})
        assert list((self.folder / "imports").iterdir()) == []
        assert list((self.folder / "store" / "work").iterdir()) == []


def until(true: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def house(world: World, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, world)
    yield made
    made.web.close()
    made.engine.stop()


def disk(house: House, name: str, form: str) -> bytes:
    """A disk image of that format; its raw bytes."""
    raw = os.urandom(MIB) + bytes(MIB)
    (house.folder / "raw").write_bytes(raw)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, house.folder / "raw", house.web.folder / name], check=True)
    return raw


@pytest.mark.parametrize(("form", "said"), [("raw", "raw"), ("vmdk", "vmdk"), ("vpc", "vpc"), ("vhdx", "vhdx"), ("qcow2", None)])
def test_every_format_becomes_its_bytes(house: House, form: str, said: str | None) -> None:
    raw = disk(house, "disk", form)
    task = house.task("disk", said)
    assert house.ended(task) == ("completed", "")
    row = house.row(task)
    (part,) = row["parts"]
    assert (part["format"], part["size"]) == (form, (house.web.folder / "disk").stat().st_size)
    flat = house.folder / "flat"
    source = house.store.source(part["snapshot_id"])
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(source.path), str(flat)], check=True)
    with flat.open("rb") as file:
        assert (flat.stat().st_size, file.read(len(raw)) == raw) == (1 << 30, True)
    assert house.world.state(part["snapshot_id"]) == "completed"
    house.clean()


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("disk", "vmdk", "the image cannot be read"),
        ("backed", "qcow2", "backing file"),
        ("backed", None, "backing file"),
        ("wide", "qcow2", "its disk is larger"),
        ("status/404", "raw", "status 404"),
        ("to/http://169.254.169.254/latest/user-data", "raw", "may not read from"),
        ("endless", "raw", "larger than"),
    ],
)
def test_what_cannot_be_imported_says_why_and_leaves_nothing(house: House, path: str, form: str | None, said: str) -> None:
    disk(house, "disk", "qcow2")
    backing = ["-b", "/etc/passwd", "-F", "raw"]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *backing, house.web.folder / "backed", "1M"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", house.web.folder / "wide", "1G"], check=True)
    task = house.task(path, form)
    state, reason = house.ended(task)
    assert (state, house.row(task)["theirs"]) == ("deleted", True)
    assert said in reason
    assert str(house.folder) not in reason
    assert house.world.rows(Snapshot) == []
    house.clean()


def test_trouble_that_may_pass_is_tried_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ec2gw.engine.loop.MOST_TRIES", 2)
    disk(house, "disk", "qcow2")
    task = house.task("truncated/disk")
    assert house.ended(task)[0] == "deleted"
    assert house.web.asked == ["/truncated/disk"] * 2


def test_slow_imports_hold_nobody_up_and_are_cancelled_at_once(house: House) -> None:
    disk(house, "disk", "qcow2")
    slow = [house.task("held/disk") for _ in range(IMPORTERS)]
    waiting = house.task("disk")
    until(lambda: len(house.web.asked) == IMPORTERS)
    volume = house.world.wish(volumes.create, zone=ZONE, size=1)
    until(lambda: house.world.state(volume) == "available")
    until(lambda: house.row(slow[0])["phase"] == "validating")
    assert house.row(waiting)["phase"] == "pending"
    house.world.wish(lambda tx, account: imports.cancel(tx, account, slow[0])[0])
    assert house.ended(slow[0])[0] == "deleted"
    assert house.ended(waiting) == ("completed", "")
    house.web.gate.set()
    assert house.ended(slow[1]) == ("completed", "")


def test_an_engine_that_stops_ends_a_download_and_the_next_begins_it_anew(house: House) -> None:
    raw = disk(house, "disk", "qcow2")
    assert raw
    task = house.task("held/disk")
    until(lambda: house.web.asked)
    started = time.monotonic()
    house.engine.stop()
    assert time.monotonic() - started < 10
    assert house.row(task)["state"] == "active"
    house.web.gate.set()
    house.engine = house.fresh()
    house.engine.start()
    assert house.ended(task) == ("completed", "")
    house.clean()


def test_a_snapshot_deleted_meanwhile_goes_and_the_import_with_it(house: House) -> None:
    disk(house, "disk", "qcow2")
    task = house.task("disk")
    house.ended(task)
    (snapshot,) = [row["id"] for row in house.world.rows(Snapshot)]
    other = ids.new(imports.IMAGE)
    parts = [
        {"snapshot_id": snapshot, "format": None, "device": "/dev/sda1"},
        {"url": house.web.url("held/disk"), "format": None, "device": "/dev/sdb"},
    ]
    house.world.wish(imports.begin, other, ZONE, parts, "", {"Architecture": "x86_64"})
    until(lambda: "/held/disk" in house.web.asked)
    house.world.wish(snapshots.delete, snapshot)
    house.web.gate.set()
    assert house.ended(other)[0] == "deleted"
    assert house.world.rows(Image) == []
    house.clean()


def test_what_a_killed_command_began_is_undone(house: House) -> None:
    task = ids.new(imports.IMAGE)
    downloads = Downloads(house.folder / "imports", largest=1)
    with downloads.hold(task):
        part = {"device": "/dev/sda1"}
        house.world.wish(imports.begin, task, ZONE, [part], "", {"Architecture": "x86_64", "Name": "brought"})
        house.world.tell(imports.fetched, task, 0, "raw", 1, 1)
        time.sleep(0.5)
        assert house.row(task)["state"] == "active"  # its holder lives
    assert house.ended(task) == ("deleted", "its command was cut off")
    until(lambda: house.world.rows(Snapshot) == [])
    house.clean()
