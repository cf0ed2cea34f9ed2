"""Killed in the middle of a cut: the store has the snapshot and a new head for the volume, the machine still writes to the old.

Whatever becomes of the snapshot then, the machine comes to write where the volume is, and nothing that it wrote is lost.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ec2gw.backend import ports, simulated
from ec2gw.cloud import snapshots, volumes
from ec2gw.engine import observe, plan
from ec2gw.engine.importer import Importer
from ec2gw.engine.perform import Performer
from ec2gw.state import records
from ec2gw.state.session import Database
from tests.backend import disks
from tests.crash.house import ZONE, House
from tests.crash.test_every_step import begin


class Killed(BaseException):
    """The process is gone."""


class Mortal(simulated.Hypervisor):
    """Never lives to see a switch."""

    def switch(self, name: str, disks: Sequence[ports.Disk]) -> None:
        raise Killed


def layer(house: House, volume: str) -> Path:
    """The file that the machine writes to for this volume."""
    (machine,) = (house.folder / "machines").glob("*.json")
    return Path(json.loads(machine.read_text())["disks"][volume]["path"])


def write(path: Path, byte: int, at: int) -> None:
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -q -P {byte} {at} 65536", str(path)], check=True)


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path / "house", "qcow2")
    made.folder.mkdir()
    return made


def half_a_cut(house: House) -> tuple[str, str]:
    """A running instance's data volume, and a snapshot of it in the middle of whose cut the process died."""
    begin(house)
    volume = house.ask(lambda tx: tx.db.query(records.Attachment).filter_by(slot=1).one().volume_id)
    write(layer(house, volume), 1, 0)
    snapshot = house.wish(snapshots.create, volume).id
    seen = house.ask(lambda tx: observe.look(tx, snapshot))
    assert isinstance(seen, observe.Snapshot)
    step = plan.snapshot(seen, None, datetime.now(UTC))
    assert step is not None
    database = Database(f"sqlite:///{house.folder / 'records.db'}")
    stores, machines = {ZONE: house.store()}, Mortal(house.folder / "machines")
    importer = Importer(database, stores, house.downloads(), lambda: False)
    performer = Performer(database, stores, machines, house.staging(), importer, lambda step: None)
    with pytest.raises(Killed):
        performer.do(step)
    database.close()
    assert layer(house, volume) != house.store().source(volume).path, "the cut is half"
    write(layer(house, volume), 2, 65536)
    return volume, snapshot


def judge(house: House, volume: str) -> None:
    """The machine writes where the volume is, and what it wrote before, meanwhile and now is there, also once it is off."""
    assert layer(house, volume) == house.store().source(volume).path
    write(layer(house, volume), 3, 131072)
    expected = disks.pattern((1, 0), (2, 65536), (3, 131072), size=196608)
    assert disks.content(house.store(), volume, 196608) == expected


def test_the_snapshot_is_deleted_before_anybody_is_back(house: House) -> None:
    volume, snapshot = half_a_cut(house)
    house.wish(snapshots.delete, snapshot)
    house.run()
    judge(house, volume)
    assert snapshot not in house.store().observe()


def test_the_cut_is_done_again(house: House) -> None:
    volume, snapshot = half_a_cut(house)
    house.run()
    judge(house, volume)
    assert disks.content(house.store(), snapshot, 196608) == disks.pattern((1, 0), (2, 65536), size=196608)


def test_another_snapshot_is_cut_after_the_deleted_one(house: House) -> None:
    volume, snapshot = half_a_cut(house)
    house.wish(snapshots.delete, snapshot)
    later = house.wish(snapshots.create, volume).id
    house.run()
    judge(house, volume)
    assert disks.content(house.store(), later, 196608) == disks.pattern((1, 0), (2, 65536), size=196608)


def test_the_volume_grows_after_a_cut_that_was_given_up(house: House) -> None:
    volume, snapshot = half_a_cut(house)
    house.wish(lambda tx, account: snapshots.failed(tx, snapshot, "no luck"))
    house.wish(volumes.modify, volume, size=2)
    house.run()
    judge(house, volume)
    assert house.store().observe()[volume] == 2 << 30
