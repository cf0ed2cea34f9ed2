"""kill -9 at every step of every story, start again: the same end, and nothing on the host that no record accounts for."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ec2gw.cloud import images, imports, instances, root_volumes, snapshots, uploads, volumes
from ec2gw.model import bdm, ids
from ec2gw.state import records
from ec2gw.state.session import Transaction
from tests.crash.house import STORES, ZONE, House
from tests.web import Web

Story = Callable[[House, dict[str, Any]], None]


# -- where every story begins: an image, a running instance of it, a free volume --------------------------------------------


def begin(house: House) -> dict[str, Any]:
    """A settled house. The names in the result are ids."""
    house.make()
    source = house.wish(volumes.create, zone=ZONE, size=1)
    house.run()
    snapshot = house.wish(snapshots.create, source.id)
    house.run()
    lines = [
        bdm.Line("/dev/sda1", snapshot_id=snapshot.id),
        bdm.Line("/dev/sdf", size=1, delete_on_termination=False),
        bdm.Line("/dev/sdb", virtual="ephemeral0"),
    ]
    like = images.Registration("first", "/dev/sda1", architecture="x86_64", virtualization_type="hvm")
    image = house.wish(images.register, like, lines)
    names = {"free": source.id, "snapshot": snapshot.id, "image": image.id}
    launch(house, names)
    house.run()
    return names


def launch(house: House, names: dict[str, Any]) -> None:
    def one(tx: Transaction, account_id: str) -> list[records.Instance]:
        wish = instances.Launch(images.usable(tx, account_id, names["image"]), "m1.small", 1, zones=(ZONE,))
        return instances.launch(tx, account_id, wish, 1)

    (instance,) = house.wish(one)
    names["instance"] = instance.id


def attach(house: House, names: dict[str, Any]) -> None:
    house.wish(volumes.attach, names["free"], names["instance"], "/dev/sdh")


def detach(house: House, names: dict[str, Any]) -> None:
    attach(house, names)
    house.run()
    house.wish(volumes.detach, names["free"])


def stop(house: House, names: dict[str, Any]) -> None:
    house.wish(instances.stop, [names["instance"]], 1)


def start(house: House, names: dict[str, Any]) -> None:
    stop(house, names)
    house.run()
    house.wish(instances.start, [names["instance"]], 1)


def reboot(house: House, names: dict[str, Any]) -> None:
    house.wish(instances.reboot, [names["instance"]])


def snapshot(house: House, names: dict[str, Any]) -> None:
    root = house.ask(lambda tx: tx.db.scalars(select(records.Attachment).where(records.Attachment.slot == 0)).one().volume_id)
    house.wish(snapshots.create, root, "of a running root")


def create_image(house: House, names: dict[str, Any]) -> None:
    house.wish(lambda tx, account: images.create(tx, account, names["instance"], "second"))


def create_snapshots(house: House, names: dict[str, Any]) -> None:
    house.wish(snapshots.create_set, names["instance"])


def delete_of_a_set(house: House, names: dict[str, Any]) -> None:
    made = house.wish(snapshots.create_set, names["instance"])
    house.wish(snapshots.delete, made[0].id)


def copy_image(house: House, names: dict[str, Any]) -> None:
    house.wish(lambda tx, account: images.copy(tx, account, names["image"], "third"))


def modify_volume(house: House, names: dict[str, Any]) -> None:
    root = house.ask(lambda tx: tx.db.scalars(select(records.Attachment).where(records.Attachment.slot == 0)).one().volume_id)
    house.wish(volumes.modify, root, size=3, type="gp3")
    house.wish(snapshots.create, root)
    house.wish(volumes.modify, names["free"], size=2)


def replace_root(house: House, names: dict[str, Any]) -> None:
    house.wish(root_volumes.replace, names["instance"])


def replace_root_for_good(house: House, names: dict[str, Any]) -> None:
    house.wish(root_volumes.replace, names["instance"], volume_id=names["free"], delete_old=True)


def upload(house: House, names: dict[str, Any]) -> None:
    """One over a parent that is deleted meanwhile, and one that does not add up."""
    parent = house.wish(snapshots.create, names["free"])
    house.run()
    for _ in range(2):
        house.received(house.wish(uploads.start, 1, ZONE, parent_id=parent.id).id, 3, b"x" * uploads.BLOCK)
    house.wish(snapshots.delete, parent.id)
    first, second = sorted(house.ask(uploads.staged))
    house.wish(uploads.complete, first, 1)
    house.wish(uploads.complete, second, 2)


def terminate(house: House, names: dict[str, Any]) -> None:
    house.wish(instances.terminate, [names["instance"]], 1)


def delete(house: House, names: dict[str, Any]) -> None:
    house.wish(volumes.delete, names["free"])


def import_image(house: House, names: dict[str, Any]) -> None:
    _import_image(house, names["url"])


def import_that_fails(house: House, names: dict[str, Any]) -> None:
    _import_image(house, names["url"], names["url"] + "-absent")


def cancel_import(house: House, names: dict[str, Any]) -> None:
    import_image(house, names)
    (task,) = house.ask(lambda tx: tx.db.scalars(select(records.ImportTask.id)).all())
    house.wish(imports.cancel, task)


def _import_image(house: House, *urls: str) -> None:
    devices = ("/dev/sda1", "/dev/sdb")
    parts = [{"url": url, "format": "qcow2", "device": device} for url, device in zip(urls, devices, strict=False)]
    options = {"Architecture": "x86_64", "Name": "imported"}
    house.wish(imports.begin, ids.new(imports.IMAGE), ZONE, parts, "", options)


STORIES: dict[str, Story] = {
    story.__name__: story
    for story in (
        launch,
        attach,
        detach,
        stop,
        start,
        reboot,
        snapshot,
        create_image,
        terminate,
        delete,
        upload,
        create_snapshots,
        delete_of_a_set,
        copy_image,
        modify_volume,
        import_image,
        import_that_fails,
        cancel_import,
        replace_root,
        replace_root_for_good,
    )
}


# -- what is compared ---------------------------------------------------------------------------------------------------------


def end_state(house: House) -> Any:
    """Every record that a user can see, without ids and times, and how many disks and machines there are."""

    def see(tx: Transaction) -> Any:
        rows = tx.db.scalars
        return {
            "instances": sorted((row.state, row.boots, row.state_reason_code or "") for row in rows(select(records.Instance))),
            "volumes": sorted((row.state, row.size) for row in rows(select(records.Volume))),
            "attachments": sorted((row.device, row.state, row.slot) for row in rows(select(records.Attachment))),
            "snapshots": sorted((row.state, row.cut) for row in rows(select(records.Snapshot))),
            "modifications": sorted((row.state, row.after["size"]) for row in rows(select(records.VolumeModification))),
            "replacements": sorted((row.state, row.made) for row in rows(select(records.RootReplacement))),
            "imports": sorted((row.state, row.progress, row.theirs) for row in rows(select(records.ImportTask))),
            "images": sorted((row.name, row.state) for row in rows(select(records.Image))),
        }

    domains = house.machines().domains()
    machines = sorted((domain.state, domain.generation, len(domain.disks)) for domain in domains.values())
    return house.ask(see) | {"machines": machines}


def audit(house: House) -> None:
    """Disks and machines are exactly those that the records account for."""

    def accounted(tx: Transaction) -> tuple[set[str], set[str]]:
        made = select(records.Snapshot.id).where(records.Snapshot.state != "error")
        disks = set(tx.db.scalars(select(records.Volume.id))) | set(tx.db.scalars(made))
        machines = set()
        for row in tx.db.scalars(select(records.Instance).where(records.Instance.state != "terminated")):
            machines.add(row.id)
            if row.state == "running":
                disks |= {disk["name"] for disk in row.scratch}
        return disks, machines

    disks, machines = house.ask(accounted)
    sizes = house.ask(lambda tx: {row.id: row.size << 30 for row in tx.db.scalars(select(records.Volume))})
    store = house.store()
    assert {name: size for name, size in store.observe().items() if name in sizes} == sizes
    assert set(store.observe()) == disks
    assert house.staging().snapshots() == set()
    assert not house.ask(lambda tx: tx.db.scalars(select(records.UploadBlock)).all())
    assert list((house.folder / "imports").iterdir()) == []
    domains = house.machines().domains()
    assert set(domains) == machines
    for name in disks:
        assert store.source(name).path.exists()


def copy(folder: Path, to: Path) -> None:
    # cp leaves holes holes; the disks are nearly nothing else.
    subprocess.run(["cp", "-a", "--sparse=always", folder, to], check=True)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Of a disk image on a web server on loopback."""
    (tmp_path / "files").mkdir()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "files" / "disk", "64M"], check=True)
    web = Web(tmp_path / "files")
    yield web.url("disk")
    web.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("story", STORIES)
def test_killed_at_every_step(story: str, store: str, url: str, tmp_path: Path) -> None:
    # Every run begins with the same folder at the same place: it is made once and laid out anew.
    house, begun, points = House(tmp_path / "house", store), tmp_path / "begun", tmp_path / "points"
    house.folder.mkdir()
    names = begin(house) | {"url": url}
    STORIES[story](house, names)
    copy(house.folder, begun)
    house.run(points=points)
    expected = end_state(house)
    audit(house)
    passed = points.read_text().splitlines()
    assert passed, "the story makes the engine work"
    for number, point in enumerate(passed):
        shutil.rmtree(house.folder)
        copy(begun, house.folder)
        assert house.run(die_at=number) == signal.SIGKILL
        house.run()
        assert end_state(house) == expected, f"killed at {point}"
        audit(house)
