"""Instances: a launch whole or not at all, every wish and every fact in every state, and where the volumes end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ec2gw.cloud import images, instances, volumes
from ec2gw.model import lifecycle
from ec2gw.model.bdm import Line
from ec2gw.model.errors import Refusal
from ec2gw.state.records import Console, Instance, KeyPair, Tag
from tests.cloud.world import ME, OTHER, PATIENCE, ZONE, World
from tests.refusals import refused

STATES = tuple(lifecycle.INSTANCE)
VALUE, WRONG = "InvalidParameterValue", "IncorrectInstanceState"
USER = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")


def row_of(world: World, id: str) -> dict[str, Any]:
    row = world.row(Instance, id=id)
    assert row
    return row


def reason(world: World, id: str) -> tuple[str | None, str | None, str]:
    row = row_of(world, id)
    return row["state_reason_code"], row["state_reason"], row["transition_reason"]


# -- launch


def test_launch_writes_down_everything_and_rings_for_the_engine(world: World) -> None:
    image = world.image(Line("/dev/sdf", size=2))
    (id,) = world.launch(Line("/dev/sda1", size=9), Line("/dev/sdb", virtual="ephemeral0"), image=image, client_token="t")
    root, data = world.volumes_of(id)
    assert world.touched == {id, root, data}
    row = row_of(world, id)
    assert (row["state"], row["boots"], row["ran"], row["grace"], row["launch_index"]) == ("pending", 1, False, PATIENCE, 0)
    assert (row["image_id"], row["zone"], row["type"], row["client_token"]) == (image, ZONE, "m5d.large", "t")
    assert (row["root_device_name"], row["architecture"], row["virtualization_type"]) == ("/dev/sda1", "x86_64", "hvm")
    assert (row["launched_at"], row["wished_at"], row["created_at"]) == (world.now, world.now, world.now)
    assert reason(world, id) == ("pending", "pending", "")
    assert row["scratch"] == [
        {"name": f"eph-{id[2:]}-ephemeral0", "device": "/dev/sdb", "virtual": "ephemeral0", "slot": 2, "size": 75}
    ]
    for volume, device, slot in ((root, "/dev/sda1", 0), (data, "/dev/sdf", 1)):
        attachment = world.attachment(volume)
        assert attachment
        assert (attachment["device"], attachment["slot"], attachment["state"]) == (device, slot, "attaching")
        assert attachment["delete_on_termination"]
        assert world.state(volume) == "creating"


def test_each_of_several_has_volumes_of_its_own(world: World) -> None:
    launched = world.launch(Line("/dev/sdf", size=2), count=3)
    rows = [row_of(world, id) for id in launched]
    assert [row["launch_index"] for row in rows] == [0, 1, 2]
    assert len({row["reservation_id"] for row in rows}) == 1
    assert len({volume for id in launched for volume in world.volumes_of(id)}) == 6


def test_an_existing_volume_at_a_launch(world: World) -> None:
    volume = world.volume()
    (id,) = world.launch(Line("/dev/sdf", volume_id=volume))
    assert world.volumes_of(id)[1] == volume
    assert world.state(volume) == "in-use"
    assert not world.attachment(volume)["delete_on_termination"]  # type: ignore[index]


def test_a_launch_goes_where_its_existing_volume_is(world: World) -> None:
    (id,) = world.launch(Line("/dev/sdf", volume_id=world.volume(zone="us-east-1b")))
    assert row_of(world, id)["zone"] == "us-east-1b"


def test_boot_from_an_existing_volume(world: World) -> None:
    volume = world.volume(size=5)
    registration = images.Registration("mine", "/dev/sda1", architecture="x86_64", virtualization_type="hvm")
    image = world.wish(images.register, registration, (Line("/dev/sda1", volume_id=volume),))
    world.wish(volumes.modify, volume, size=6)
    world.tell(volumes.grown, volume)  # the image still says 5
    (id,) = world.launch(image=image)
    assert world.volumes_of(id) == [volume]
    with refused("VolumeInUse", f"{volume} is already attached to an instance"):
        world.launch(image=image)
    world.tell(instances.started, id, [volume])
    world.wish(instances.terminate, [id], PATIENCE)
    world.tell(instances.ended, id)
    assert world.state(volume) == "available"


def test_a_launch_that_is_refused_leaves_nothing_behind(world: World) -> None:
    image, foreign = world.image(), world.image(account=OTHER)
    half, bad = world.snapshot("pending"), world.snapshot("error")
    busy, far, near, making = world.volume(), world.volume(zone="us-east-1b"), world.volume(), world.volume("creating")
    world.wish(volumes.attach, busy, world.instance(), "/dev/sdf")
    arm = world.wish(
        images.register,
        images.Registration("arm", "/dev/sda1", architecture="arm64", virtualization_type="hvm"),
        (Line("/dev/sda1", snapshot_id=world.snapshot()),),
    )
    before = world.everything()
    rows: list[tuple[tuple[Line, ...], dict[str, Any], str, str]] = [
        ((), {"image": "ami-0a"}, "InvalidAMIID.NotFound", "The image id '[ami-0a]' does not exist"),
        ((), {"image": foreign}, "InvalidAMIID.NotFound", f"The image id '[{foreign}]' does not exist"),
        ((), {"image": "x"}, "InvalidAMIID.Malformed", 'Invalid id: "x" (expecting "ami-...")'),
        ((), {"type": "m9.huge"}, VALUE, "Invalid value 'm9.huge' for InstanceType."),
        (
            (),
            {"image": arm},
            VALUE,
            "The architecture 'x86_64' of the specified instance type does not match the architecture 'arm64' of the specified"
            " AMI. Specify an instance type and an AMI that have matching architectures, and try again.",
        ),
        ((), {"key_name": "mine"}, "InvalidKeyPair.NotFound", "The key pair 'mine' does not exist"),
        ((Line("/dev/sdf", snapshot_id=half),), {}, "IncorrectState", "Snapshot is in invalid state - pending"),
        ((Line("/dev/sdf", snapshot_id=bad),), {}, "IncorrectState", "Snapshot is in invalid state - error"),
        ((Line("/dev/sdf", volume_id=busy),), {}, "VolumeInUse", f"{busy} is already attached to an instance"),
        ((Line("/dev/sdf", volume_id=making),), {}, "IncorrectState", f"{making} is not 'available'."),
        (
            (Line("/dev/sdf", volume_id=near),),
            {"count": 2},
            "InvalidParameterCombination",
            "An existing volume cannot be mapped to more than one instance",
        ),
        (
            (Line("/dev/sdf", size=1, encrypted=True),),
            {},
            "UnsupportedOperation",
            "Encrypted volumes are not supported by this endpoint.",
        ),
    ]
    for lines, more, code, message in rows:
        with refused(code, message):
            world.launch(*lines, **{"image": image} | more)
        assert world.everything() == before, message
    # The message names the new instance, which never comes to be.
    for zone, lines in (
        (ZONE, (Line("/dev/sdf", volume_id=far),)),
        (None, (Line("/dev/sdf", volume_id=far), Line("/dev/sdg", volume_id=near))),
        (None, (Line("/dev/sdf", volume_id=near), Line("/dev/sdg", volume_id=near))),  # the same one twice
    ):
        with pytest.raises(Refusal, match=r"volume-other-zone|volume-attached|volume-not-available"):
            world.launch(*lines, image=image, zone=zone)
        assert world.everything() == before


def test_a_key_of_the_account_is_taken(world: World) -> None:
    with world.database.write() as tx:
        tx.db.add(
            KeyPair(
                id="key-0a", account_id=ME, created_at=tx.now, name="mine", type="rsa", fingerprint="", public_key="ssh-rsa AAAA"
            )
        )  # fmt: skip
    (id,) = world.launch(key_name="mine")
    assert row_of(world, id)["key_name"] == "mine"
    with refused("InvalidKeyPair.NotFound", "The key pair 'mine' does not exist"):
        world.launch(key_name="mine", account=OTHER)


# -- every wish in every state

START = "The instance '{}' is not in a state from which it can be started."
STOP = "This instance '{}' is not in a state from which it can be stopped."
REBOOT = "The instance '{}' is not in a state from which it can be rebooted."
NEVER = "Instance '{}' cannot be stopped as it has never reached the 'running' state."
CELLS = {
    "start": dict(zip(STATES, ("pending", "running", START, "pending", START, START), strict=True)),
    "stop": dict(zip(STATES, (NEVER, "stopping", "stopping", "stopped", STOP, STOP), strict=True)),
    "reboot": dict(zip(STATES, ("pending", "running", REBOOT, REBOOT, "shutting-down", "terminated"), strict=True)),
    "terminate": dict(zip(STATES, ("shutting-down",) * 5 + ("terminated",), strict=True)),
}
VERBS: dict[str, Callable[..., Any]] = {
    "start": instances.start,
    "stop": instances.stop,
    "reboot": instances.reboot,
    "terminate": instances.terminate,
}


def test_the_table_of_wishes_is_whole() -> None:
    assert STATES == ("pending", "running", "stopping", "stopped", "shutting-down", "terminated")
    assert {event for row in lifecycle.INSTANCE.values() for event in row} & lifecycle.WISHES == set(CELLS)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_wish_in_each_state(world: World, verb: str, state: str) -> None:
    id = world.instance(state)
    world.later(60)
    before, row = world.everything(), row_of(world, id)
    words = () if verb == "reboot" else (PATIENCE,)
    end = CELLS[verb][state]
    if end not in STATES:
        with refused(WRONG, end.format(id)):
            world.wish(VERBS[verb], [id], *words)
        assert world.everything() == before
        return
    answer = world.wish(VERBS[verb], [id], *words)
    assert answer == (None if verb == "reboot" else [(id, state, end)])
    assert world.state(id) == end
    changed = end != state or (verb, state) == ("reboot", "running")
    assert world.touched == ({id} if changed else set())
    assert (world.everything() != before) is changed
    after = row_of(world, id)
    assert after["boots"] == row["boots"] + (changed and verb in ("start", "reboot"))
    assert (after["wished_at"] == world.now) is changed


def test_a_later_start_that_is_under_way_cannot_be_stopped(world: World) -> None:
    id = world.instance("pending", again=True)
    with refused(WRONG, STOP.format(id)):
        world.wish(instances.stop, [id], PATIENCE)


@pytest.mark.parametrize(("verb", "state"), [("stop", "running"), ("terminate", "running"), ("terminate", "stopped")])
def test_a_wish_of_the_user_is_told_as_the_reason(world: World, verb: str, state: str) -> None:
    id = world.instance(state)
    world.wish(VERBS[verb], [id], PATIENCE)
    assert reason(world, id) == (*USER, "User initiated (2026-03-04 00:21:54 GMT)")


def test_a_start_clears_the_reason_and_begins_anew(world: World) -> None:
    id = world.instance("stopped")
    world.later(60)
    world.wish(instances.start, [id], 7)
    row = row_of(world, id)
    assert (row["launched_at"], row["grace"]) == (world.now, 7)
    assert reason(world, id) == (None, None, "")
    attached = world.attachment(world.volumes_of(id)[0])
    assert attached and attached["attach_time"] < world.now  # unchanged by stop and start


def test_a_running_instance_has_no_reason(world: World) -> None:
    id = world.instance()
    assert reason(world, id) == (None, None, "")
    assert row_of(world, id)["ran"]


@pytest.mark.parametrize(("verb", "state"), [("stop", "stopping"), ("terminate", "shutting-down")])
def test_force_may_follow_a_plain_wish(world: World, verb: str, state: str) -> None:
    id = world.instance()
    world.wish(VERBS[verb], [id], PATIENCE)
    began = row_of(world, id)["wished_at"]
    world.later(5)
    world.wish(VERBS[verb], [id], 0)
    assert world.touched == {id}
    assert (row_of(world, id)["grace"], row_of(world, id)["wished_at"], world.state(id)) == (0, began, state)
    world.wish(VERBS[verb], [id], PATIENCE)
    assert (row_of(world, id)["grace"], world.touched) == (0, set())


def test_a_forced_stop_gives_the_guest_no_time(world: World) -> None:
    id = world.instance()
    world.wish(instances.stop, [id], 0)
    assert row_of(world, id)["grace"] == 0


def test_all_or_none(world: World) -> None:
    on, off, stopping, gone = (world.instance(state) for state in ("running", "stopped", "stopping", "terminated"))
    theirs = world.instance(account=OTHER)
    before = world.everything()
    with refused(WRONG, START.format(stopping)):
        world.wish(instances.start, [off, stopping], PATIENCE)
    with refused(WRONG, STOP.format(gone)):
        world.wish(instances.stop, [on, gone], PATIENCE)
    with refused(WRONG, REBOOT.format(off)):
        world.wish(instances.reboot, [on, off])
    for verb in VERBS:
        words = () if verb == "reboot" else (PATIENCE,)
        with refused("InvalidInstanceID.NotFound", f"The instance IDs '{theirs}, i-0a' do not exist"):
            world.wish(VERBS[verb], [on, theirs, "i-0a"], *words)
        with refused("InvalidInstanceID.Malformed", 'Invalid id: "x" (expecting "i-...")'):
            world.wish(VERBS[verb], [on, "x"], *words)
    assert world.everything() == before


def test_one_named_twice_is_one(world: World) -> None:
    id = world.instance()
    assert world.wish(instances.stop, [id, id], PATIENCE) == [(id, "running", "stopping")]
    other = world.instance()
    world.wish(instances.reboot, [other, other])
    assert row_of(world, other)["boots"] == 2


def test_start_without_a_root_is_refused(world: World) -> None:
    id = world.instance("stopped", Line("/dev/sdf", size=1))
    world.wish(volumes.detach, world.volumes_of(id)[0])
    with refused(VALUE, f"Invalid value '{id}' for instanceId. Instance does not have a volume attached at root (/dev/sda1)"):
        world.wish(instances.start, [id], PATIENCE)


def test_protection(world: World) -> None:
    kept, held, free = world.instance(disable_api_termination=True), world.instance(disable_api_stop=True), world.instance()
    before = world.everything()
    text = "The instance '{}' may not be {}. Modify its '{}' instance attribute and try again."
    for verb, ids, words in (
        (instances.terminate, [free, kept], (kept, "terminated", "disableApiTermination")),
        (instances.terminate, [free, held], (held, "terminated", "disableApiStop")),
        (instances.stop, [free, held], (held, "stopped", "disableApiStop")),
    ):
        with refused("OperationNotPermitted", text.format(*words)):
            world.wish(verb, ids, PATIENCE)
        assert world.everything() == before
    world.wish(instances.stop, [kept], PATIENCE)
    assert world.state(kept) == "stopping"
    # Neither holds back a guest that shuts itself down.
    world.tell(instances.halted, held, by_guest=True)
    assert world.state(held) == "stopping"


def test_a_guest_s_own_end_beats_protection(world: World) -> None:
    id = world.instance(disable_api_termination=True, shutdown_behavior="terminate")
    world.tell(instances.halted, id, by_guest=True)
    assert world.state(id) == "shutting-down"


# -- every fact in every state


def tell(world: World, fact: str, id: str) -> None:
    match fact:
        case "started":
            world.tell(instances.started, id, world.volumes_of(id))
        case "failed":
            world.tell(instances.failed, id, instances.BY_HOST)
        case "halted":
            world.tell(instances.halted, id, by_guest=True)
        case "died":
            world.tell(instances.halted, id, by_guest=False)
        case "stopped":
            world.tell(instances.stopped, id)
        case "ended":
            world.tell(instances.ended, id)


MOVES = {
    ("started", "pending"): "running",
    ("failed", "pending"): "shutting-down",
    ("halted", "running"): "stopping",
    ("died", "running"): "stopping",
    ("stopped", "stopping"): "stopped",
    ("ended", "shutting-down"): "terminated",
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("fact", ["started", "failed", "halted", "died", "stopped", "ended"])
def test_a_fact_in_each_state(world: World, fact: str, state: str) -> None:
    id = world.instance(state)
    world.later(60)
    before = world.everything()
    tell(world, fact, id)
    end = MOVES.get((fact, state))
    if end is None:  # it came too late
        assert world.everything() == before
        assert world.touched == set()
        return
    assert world.state(id) == end
    assert id in world.touched
    told_once = world.everything()
    tell(world, fact, id)
    assert world.everything() == told_once


def test_facts_of_an_instance_that_is_no_more(world: World) -> None:
    before = world.everything()
    for fact in ("started", "failed", "halted", "died", "stopped", "ended"):
        tell(world, fact, "i-0123456789abcdef0")
    world.tell(instances.forget, "i-0123456789abcdef0")
    assert world.everything() == before


@pytest.mark.parametrize(("again", "end"), [(False, "shutting-down"), (True, "stopping")])
def test_a_first_launch_that_fails_ends_a_later_start_stops(world: World, again: bool, end: str) -> None:
    id = world.instance("pending", again=again)
    world.tell(instances.failed, id, instances.BAD_VOLUME)
    assert world.state(id) == end
    assert reason(world, id)[:2] == ("Client.InternalError", "Client.InternalError: Client error on launch")


@pytest.mark.parametrize(
    ("behavior", "by_guest", "end", "code"),
    [
        ("stop", True, "stopping", "Client.InstanceInitiatedShutdown"),
        ("terminate", True, "shutting-down", "Client.InstanceInitiatedShutdown"),
        ("stop", False, "stopping", "Server.InternalError"),
        ("terminate", False, "stopping", "Server.InternalError"),  # a machine that died has not asked to be gone
    ],
)
def test_a_machine_that_goes_off_by_itself(world: World, behavior: str, by_guest: bool, end: str, code: str) -> None:
    id = world.instance(shutdown_behavior=behavior)
    world.tell(instances.halted, id, by_guest=by_guest)
    assert world.state(id) == end
    assert reason(world, id)[0] == code


# -- where the volumes end


def test_stop_keeps_volumes_where_they_are(world: World) -> None:
    id = world.instance("running", Line("/dev/sdf", size=1))
    coming = world.volume()
    world.wish(volumes.attach, coming, id, "/dev/sdg")
    root, data, _ = world.volumes_of(id)
    world.wish(volumes.detach, data)
    world.wish(instances.stop, [id], PATIENCE)
    world.tell(instances.stopped, id)
    assert world.volumes_of(id) == [root, coming]
    assert [world.attachment(volume)["state"] for volume in (root, coming)] == ["attached", "attached"]  # type: ignore[index]
    assert [world.state(volume) for volume in (root, data, coming)] == ["in-use", "available", "in-use"]


@pytest.mark.parametrize("state", ["pending", "running", "stopping", "stopped"])
def test_the_end_deletes_what_goes_with_the_instance_and_frees_the_rest(world: World, state: str) -> None:
    kept = Line("/dev/sdf", size=1, delete_on_termination=False)
    given = world.volume()
    id = world.instance(state, kept, Line("/dev/sdg", size=1), Line("/dev/sdh", volume_id=given))
    root, data, blank, _ = world.volumes_of(id)
    later = world.volume()
    if state in ("running", "stopped"):
        world.wish(volumes.attach, later, id, "/dev/sdi")
    world.wish(instances.terminate, [id], PATIENCE)
    assert world.volumes_of(id)[:4] == [root, data, blank, given]  # still shown while shutting down
    world.later(5)
    world.tell(instances.ended, id)
    assert world.volumes_of(id) == []
    assert row_of(world, id)["ended_at"] == world.now
    assert world.state(data) == ("creating" if state == "pending" else "available")
    assert [world.state(volume) for volume in (root, blank, given, later)] == ["deleting", "deleting", "available", "available"]
    assert {id, root, data, blank, given} <= world.touched


@pytest.mark.parametrize("state", ["detaching", "busy"])
def test_a_volume_being_detached_is_not_deleted_with_its_instance(world: World, state: str) -> None:
    id = world.instance("running", Line("/dev/sdf", size=1))
    _, data = world.volumes_of(id)
    world.wish(volumes.detach, data)
    if state == "busy":
        world.tell(volumes.withheld, data)
    world.wish(instances.terminate, [id], PATIENCE)
    world.tell(instances.ended, id)
    assert world.state(data) == "available"


def test_a_volume_that_could_not_be_made_goes_with_its_instance(world: World) -> None:
    (id,) = world.launch()
    (root,) = world.volumes_of(id)
    world.tell(volumes.failed, root)
    world.tell(instances.failed, id, instances.BAD_VOLUME)
    world.tell(instances.ended, id)
    assert (world.state(id), world.state(root)) == ("terminated", "deleting")


def test_a_data_volume_detached_from_a_launch_under_way_becomes_free(world: World) -> None:
    id = world.instance("pending", Line("/dev/sdf", size=1))
    _, data = world.volumes_of(id)
    world.wish(volumes.detach, data)
    world.tell(volumes.unplugged, data)
    assert world.state(data) == "creating"
    world.tell(volumes.created, data)
    assert world.state(data) == "available"


# -- attributes, console, the last trace


@pytest.mark.parametrize("state", ["running", "stopped"])
def test_whether_a_volume_goes_with_its_instance_may_change(world: World, state: str) -> None:
    id = world.instance(state)
    (root,) = world.volumes_of(id)
    with world.database.write() as tx:
        instances.keep_volumes(tx, instances.find(tx, ME, id), "sda1", False, root)
    assert not world.attachment(root)["delete_on_termination"]  # type: ignore[index]
    for device, volume in (("/dev/sdf", None), ("/dev/sda1", "vol-0a")):
        with (
            refused("InvalidInstanceAttributeValue", f"No device is currently mapped at {device}"),
            world.database.write() as tx,
        ):
            instances.keep_volumes(tx, instances.find(tx, ME, id), device, True, volume)
    assert not world.attachment(root)["delete_on_termination"]  # type: ignore[index]


@pytest.mark.parametrize("state", STATES)
def test_what_the_machine_is_made_from_changes_only_while_stopped(world: World, state: str) -> None:
    id = world.instance(state)
    with world.database.read() as tx:
        instance = instances.find(tx, ME, id)
        if state == "stopped":
            instances.must_be_stopped(instance)
            return
        with refused(WRONG, f"The instance '{id}' is not in the 'stopped' state."):
            instances.must_be_stopped(instance)


def test_the_newest_console_counts(world: World) -> None:
    id = world.instance()
    for text in (b"one", b"one\ntwo"):
        world.tell(instances.heard, id, text)
    assert [row["text"] for row in world.rows(Console)] == [b"one\ntwo"]


@pytest.mark.parametrize("state", STATES)
def test_only_a_terminated_instance_is_forgotten(world: World, state: str) -> None:
    id = world.instance(state)
    world.tell(instances.heard, id, b"text")
    with world.database.write() as tx:
        tx.db.add(Tag(resource_id=id, key="a", value="b", account_id=ME, resource_type="instance"))
    world.tell(instances.forget, id)
    gone = state == "terminated"
    assert (world.state(id) is None) is gone
    assert (world.rows(Console) == []) is gone
    assert (world.rows(Tag) == []) is gone
