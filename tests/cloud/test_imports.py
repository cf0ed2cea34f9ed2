"""The verbs of imports where no face shows it: facts that come too late or twice, names taken meanwhile, the last trace."""

from __future__ import annotations

from typing import Any

from ec2gw.cloud import images, imports, snapshots, tags
from ec2gw.model import bdm, ids
from ec2gw.state.records import Image, ImportTask, Snapshot, Tag
from tests.cloud.world import ZONE, World

PARTS = [{"url": "http://images.example/disk", "format": "raw", "device": "/dev/sda1"}]
OPTIONS = {"Architecture": "x86_64", "Name": "brought"}


def begin(world: World, prefix: str = imports.IMAGE) -> str:
    id: str = world.wish(imports.begin, ids.new(prefix), ZONE, PARTS, "", OPTIONS)
    return id


def row(world: World, task: str) -> Any:
    return world.row(ImportTask, id=task)


def test_an_image_of_what_was_filled(world: World) -> None:
    task = begin(world)
    assert world.touched == {task}
    world.tell(imports.fetched, task, 0, "raw", 5, 3)
    (snapshot,) = world.rows(Snapshot)
    assert (snapshot["state"], snapshot["size"], snapshot["origin"]) == ("pending", 3, task)
    world.tell(imports.filled, task, 0)
    for _ in range(2):
        world.tell(imports.finish, task)
    (image,) = world.rows(Image)
    assert (image["state"], image["name"], image["id"]) == ("available", "brought", row(world, task)["image_id"])
    assert world.state(world.instance(image=image["id"])) == "running"


def test_a_name_that_is_taken_meanwhile_undoes_the_import(world: World) -> None:
    task = begin(world)
    world.tell(imports.fetched, task, 0, "raw", 5, 3)
    world.tell(imports.filled, task, 0)
    world.image(name="brought")
    world.tell(imports.finish, task)
    assert (row(world, task)["state"], row(world, task)["theirs"]) == ("deleting", True)
    made = row(world, task)["parts"][0]["snapshot_id"]
    world.tell(imports.removed, task)
    assert (row(world, task)["state"], world.state(made)) == ("deleted", "deleting")
    assert made in world.touched


def test_a_whole_snapshot_that_somebody_uses_outlives_its_import(world: World) -> None:
    task = begin(world)
    world.tell(imports.fetched, task, 0, "raw", 5, 3)
    world.tell(imports.filled, task, 0)
    made = row(world, task)["parts"][0]["snapshot_id"]
    like = images.Registration("other", "/dev/sda1", architecture="x86_64", virtualization_type="hvm")
    world.wish(images.register, like, [bdm.Line("/dev/sda1", snapshot_id=made)])
    world.tell(imports.failed, task, "no")
    world.tell(imports.removed, task)
    assert world.state(made) == "completed"


def test_facts_that_come_too_late_change_nothing(world: World) -> None:
    task = begin(world, imports.SNAPSHOT)
    world.tell(imports.failed, task, "no")
    world.tell(imports.removed, task)
    before = world.everything()
    for fact, words in (
        (imports.progressed, ("converting", 1)),
        (imports.fetched, (0, "raw", 1, 1)),
        (imports.filled, (0,)),
        (imports.finish, ()),
        (imports.failed, ("again",)),
        (imports.removed, ()),
        (imports.forget, ()),
    ):
        world.tell(fact, task, *words)
        assert world.everything() == before, fact


def test_it_is_forgotten_with_its_tags_after_a_week(world: World) -> None:
    task = begin(world, imports.SNAPSHOT)
    world.wish(lambda tx, account: tags.create(tx, account, [task], [("a", "b")]))
    world.tell(imports.failed, task, "no")
    world.tell(imports.removed, task)
    world.later(imports.KEPT.total_seconds() - 1)
    world.tell(imports.forget, task)
    assert row(world, task)
    world.later(1)
    world.tell(imports.forget, task)
    assert (row(world, task), world.rows(Tag)) == (None, [])


def test_the_snapshot_of_an_import_is_the_engine_s_business_only_with_it(world: World) -> None:
    task = begin(world, imports.SNAPSHOT)
    world.tell(imports.fetched, task, 0, "raw", 5, 3)
    made = row(world, task)["parts"][0]["snapshot_id"]
    world.wish(snapshots.delete, made)
    assert task in world.touched
