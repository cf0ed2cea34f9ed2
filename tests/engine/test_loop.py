"""The loop: one record never in two hands, trouble waited out or given up, nothing forgotten, an end at once when told."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from ec2gw.backend.downloads import Downloads
from ec2gw.backend.ports import HostError
from ec2gw.backend.staging import Staging
from ec2gw.cloud import images, instances, root_volumes, snapshots, volumes
from ec2gw.engine import loop, steps
from ec2gw.engine.loop import Engine
from ec2gw.model.bdm import Line
from ec2gw.state.records import Console, Instance, Screen, Snapshot, Volume, VolumeModification
from ec2gw.state.session import Database
from tests.cloud.world import PATIENCE, ZONE, ZONES, World
from tests.engine.host import Host

LONG = 20.0  # seconds in which all must have happened


@pytest.fixture
def host(world: World) -> Host:
    world.database.clock = lambda: datetime.now(UTC)
    return Host()


@contextmanager
def running(world: World, host: Host, *, workers: int = 4, on_step: loop.OnStep = loop.ignore) -> Iterator[Engine]:
    engine = Engine(
        world.database,
        dict.fromkeys(ZONES, host),
        host,
        Staging(world.folder / "uploads"),
        Downloads(world.folder / "imports", largest=1 << 30),
        workers=workers,
        patience=0.5,
        on_step=on_step,
    )
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def image(world: World, host: Host) -> str:
    """An image whose snapshot the host has."""
    made = world.image()
    host.disks.update({row["id"]: row["size"] for row in world.rows(Snapshot)})
    return made


def launched(world: World, host: Host, engine: Engine, *lines: Line, **more: Any) -> str:
    """An instance that runs."""
    (id,) = world.launch(*lines, image=image(world, host), **more)
    until(lambda: world.state(id) == "running")
    assert engine.wait([id], LONG)
    return id


def held(verb: str, gate: threading.Event) -> Callable[[str, str], None]:
    """A host that is not done with this verb before the gate opens."""

    def trouble(asked: str, name: str) -> None:
        if asked == verb:
            gate.wait(LONG)

    return trouble


def new_volume(world: World) -> str:
    id: str = world.wish(volumes.create, zone=ZONE, size=1)
    return id


def failing(verb: str, times: int = 10**9, *, final: bool = False) -> Callable[[str, str], None]:
    """A host that cannot do this verb so many times."""
    left = [times]

    def trouble(asked: str, name: str) -> None:
        if asked == verb and left[0] > 0:
            left[0] -= 1
            raise HostError("no luck", final=final)

    return trouble


def test_an_instance_is_brought_through_its_life(world: World, host: Host) -> None:
    with running(world, host) as engine:
        id = launched(world, host, engine)
        (root,) = world.volumes_of(id)
        assert host.machines[id].disks == {root}
        for verb, words, state in (
            (instances.stop, ([id], PATIENCE), "stopped"),
            (instances.start, ([id], PATIENCE), "running"),
            (instances.terminate, ([id], PATIENCE), "terminated"),
        ):
            world.wish(verb, *words)
            until(lambda state=state: world.state(id) == state)  # type: ignore[misc]
        until(lambda: world.state(root) is None)
        assert engine.wait([id, root], LONG)
    assert (host.machines, root in host.disks) == ({}, False)


def test_wait_returns_when_the_work_is_done(world: World, host: Host) -> None:
    gate = threading.Event()
    host.trouble = held("create", gate)
    with running(world, host) as engine:
        volume = new_volume(world)
        assert not engine.wait([volume], 0.2)
        assert engine.wait(["vol-0123456789abcdef0"], 0.2)  # nothing is to be done for it
        threading.Timer(0.2, gate.set).start()
        assert engine.wait([volume], LONG)
        assert world.state(volume) == "available"


def test_what_was_left_undone_is_taken_up(world: World, host: Host) -> None:
    volume, (instance,) = new_volume(world), world.launch(image=image(world, host))
    with running(world, host):
        until(lambda: (world.state(volume), world.state(instance)) == ("available", "running"))


def test_one_record_is_never_in_two_hands(world: World, host: Host) -> None:
    hands: Counter[str] = Counter()
    clashes: list[str] = []
    lock = threading.Lock()

    def trouble(verb: str, name: str) -> None:
        if verb not in ("create", "remove"):
            return
        with lock:
            hands[name] += 1
            if hands[name] > 1:
                clashes.append(name)
        time.sleep(0.02)
        with lock:
            hands[name] -= 1

    host.trouble = trouble
    with running(world, host, workers=8) as engine:
        made = [new_volume(world) for _ in range(6)]
        while not all(engine.wait([id], 0.001) for id in made):
            engine.wake(made)
            time.sleep(0.001)
        for id in made:
            world.wish(volumes.delete, id)
            engine.wake(made * 3)
        assert engine.wait(made, LONG)
    assert clashes == []
    assert Counter(host.done) == Counter([(verb, id) for id in made for verb in ("create", "remove")])
    assert [world.state(id) for id in made] == [None] * 6


def test_different_records_are_worked_on_at_once(world: World, host: Host) -> None:
    together = threading.Barrier(3)

    def trouble(verb: str, name: str) -> None:
        if verb == "create":
            together.wait(LONG)

    host.trouble = trouble
    with running(world, host, workers=3) as engine:
        made = [new_volume(world) for _ in range(3)]
        assert engine.wait(made, LONG)
        assert [world.state(id) for id in made] == ["available"] * 3


def test_trouble_is_waited_out_longer_each_time(world: World, host: Host) -> None:
    tries: list[float] = []
    flaky = failing("create", 2)

    def trouble(verb: str, name: str) -> None:
        if verb == "create":
            tries.append(time.monotonic())
        flaky(verb, name)

    host.trouble = trouble
    with running(world, host):
        volume = new_volume(world)
        until(lambda: world.state(volume) == "available")
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert len(gaps) == 2
    assert 0.5 <= gaps[0] < 1.0 <= gaps[1]


def test_looking_around_does_not_cut_the_pause_short(world: World, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LOOK_AROUND", 0.02)
    host.trouble = failing("create")
    with running(world, host):
        new_volume(world)
        time.sleep(0.4)
    assert [verb for verb, _ in host.done].count("create") == 1


@pytest.mark.parametrize("final", [False, True])
def test_a_volume_that_cannot_be_made_is_given_up(world: World, host: Host, monkeypatch: pytest.MonkeyPatch, final: bool) -> None:
    monkeypatch.setattr(loop, "MOST_TRIES", 2)
    host.trouble = failing("create", final=final)
    with running(world, host) as engine:
        volume = new_volume(world)
        until(lambda: world.state(volume) == "error")
        assert engine.wait([volume], LONG)
    assert host.done == [("create", volume)] * (1 if final else 2)


def test_a_snapshot_that_cannot_be_made_is_given_up(world: World, host: Host) -> None:
    host.trouble = failing("snapshot", final=True)
    with running(world, host) as engine:
        volume = new_volume(world)
        assert engine.wait([volume], LONG)
        snapshot = world.wish(snapshots.create, volume)
        until(lambda: world.state(snapshot) == "error")
    row = world.row(Snapshot, id=snapshot)
    assert row and row["reason"] == "no luck"


@pytest.mark.parametrize("verb", ["create", "start"])
def test_a_launch_that_cannot_be_is_given_up_and_leaves_nothing(world: World, host: Host, verb: str) -> None:
    host.trouble = failing(verb, final=True)
    with running(world, host):
        (id,) = world.launch(image=image(world, host))
        (root,) = world.volumes_of(id)
        until(lambda: world.state(id) == "terminated")
        until(lambda: world.state(root) is None)
    assert (root in host.disks, host.machines) == (False, {})


def test_a_later_start_that_cannot_be_goes_back_to_stopped(world: World, host: Host) -> None:
    with running(world, host) as engine:
        id = launched(world, host, engine)
        world.wish(instances.stop, [id], PATIENCE)
        until(lambda: world.state(id) == "stopped")
        host.trouble = failing("start", 1, final=True)
        world.wish(instances.start, [id], PATIENCE)
        until(lambda: world.state(id) == "stopped")
        world.wish(instances.start, [id], PATIENCE)
        until(lambda: world.state(id) == "running")


@pytest.mark.parametrize("wish", [None, instances.reboot])
def test_an_instance_whose_machine_the_host_lost_is_impaired_until_it_is_on_again(
    world: World, host: Host, monkeypatch: pytest.MonkeyPatch, wish: Any
) -> None:
    monkeypatch.setattr(loop, "MOST_TRIES", 2)
    monkeypatch.setattr(loop, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(loop, "LOOK_AROUND", 0.02)
    with running(world, host) as engine:
        id = launched(world, host, engine)

        def impaired() -> Any:
            (row,) = world.rows(Instance, id=id)
            return row["impaired_since"]

        volume = new_volume(world)
        until(lambda: world.state(volume) == "available")
        host.trouble = failing("plug")
        world.wish(volumes.attach, volume, id, "/dev/sdf")
        until(lambda: [verb for verb, _ in host.done].count("plug") > 4)
        assert impaired() is None, "a disk that cannot be plugged leaves the machine on"
        host.trouble = failing("start")
        if wish:
            world.wish(wish, [id])
        else:
            del host.machines[id]
        until(impaired)
        since, tries = impaired(), len(host.done)
        until(lambda: len(host.done) > tries + 9)
        assert (world.state(id), impaired()) == ("running", since), "it is tried on and on, and is impaired since the first time"
        host.trouble = failing("nothing")
        until(lambda: impaired() is None)
        assert host.machines[id].state == "running"


def test_what_is_to_go_is_never_given_up(world: World, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MOST_TRIES", 1)
    monkeypatch.setattr(loop, "LONGEST_PAUSE", 0.02)
    with running(world, host) as engine:
        volume = new_volume(world)
        assert engine.wait([volume], LONG)
        host.trouble = failing("remove", 20, final=True)
        world.wish(volumes.delete, volume)
        until(lambda: world.state(volume) is None)
    assert host.done.count(("remove", volume)) == 21


def test_a_bug_neither_ends_the_loop_nor_loses_the_record(world: World, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "LONGEST_PAUSE", 0.1)
    bugs = [2]

    def trouble(verb: str, name: str) -> None:
        if verb == "create" and bugs[0] > 0:
            bugs[0] -= 1
            raise ZeroDivisionError

    host.trouble = trouble
    with running(world, host, workers=1):
        volume = new_volume(world)
        until(lambda: world.state(volume) == "available")


def test_a_wish_while_the_record_is_in_hand_is_not_lost(world: World, host: Host) -> None:
    """It comes after the engine has read the record and before it finds that there is nothing to do."""
    looking, gate = threading.Event(), threading.Event()
    with running(world, host) as engine:
        id = launched(world, host, engine)

        def trouble(verb: str, name: str) -> None:
            if verb == "observe" and not gate.is_set():
                looking.set()
                gate.wait(LONG)

        host.trouble = trouble
        engine.wake([id])
        assert looking.wait(LONG)
        world.wish(instances.stop, [id], PATIENCE)
        gate.set()
        began = time.monotonic()
        until(lambda: world.state(id) == "stopped")
        assert time.monotonic() - began < loop.LOOK_AROUND / 2


def test_a_machine_that_ends_is_heard_of_at_once(world: World, host: Host) -> None:
    with running(world, host) as engine:
        id = launched(world, host, engine)
        began = time.monotonic()
        host.went_off(id, "guest")
        until(lambda: world.state(id) == "stopped")
        assert time.monotonic() - began < loop.LOOK_AROUND / 2


def test_lost_hints_and_other_processes_wishes_are_found_by_looking_around(
    world: World, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOOK_AROUND", 0.1)
    with running(world, host) as engine:
        id = launched(world, host, engine)
        host.listener = lambda name: None
        host.went_off(id, "failed")
        until(lambda: world.state(id) == "stopped")
        other = Database(str(world.database.url))  # as a face in a process of its own has
        with other.write() as tx:
            instances.terminate(tx, "111111111111", [id], PATIENCE)
        until(lambda: world.state(id) == "terminated")
        other.close()


def test_a_deaf_guest_is_powered_off_when_its_time_is_up(world: World, host: Host) -> None:
    host.deaf = True
    with running(world, host) as engine:
        id = launched(world, host, engine)
        began = time.monotonic()
        world.wish(instances.stop, [id], 1)
        until(lambda: world.state(id) == "stopped")
        assert 0.9 < time.monotonic() - began < 3
    assert [verb for verb, name in host.done if name == id and verb in ("press", "power-off")] == ["press", "power-off"]


def test_an_image_waits_without_a_step_until_its_snapshots_are_there(world: World, host: Host) -> None:
    gate = threading.Event()
    taken: Counter[str] = Counter()

    def count(step: steps.Step, moment: str) -> None:
        taken[f"{step.name} {moment}"] += 1

    with running(world, host, on_step=count) as engine:
        id = launched(world, host, engine)
        host.trouble = held("settle", gate)
        made, _ = world.wish(images.create, id, "golden", no_reboot=True)
        time.sleep(0.3)
        assert world.state(made) == "pending"
        assert taken["SettleImage before"] == 0
        gate.set()
        until(lambda: world.state(made) == "available")
    assert taken["SettleImage before"] == taken["SettleImage after"] == 1
    assert taken["CutSnapshot halfway"] == 1


def test_stop_ends_at_once_whatever_is_waited_for(world: World, host: Host) -> None:
    host.deaf = True
    with running(world, host) as engine:
        id = launched(world, host, engine)
        world.wish(instances.stop, [id], 600)
        until(lambda: ("press", id) in host.done)
        host.trouble = failing("create")
        volume = new_volume(world)
        until(lambda: ("create", volume) in host.done)
        began = time.monotonic()
        engine.stop()
        assert time.monotonic() - began < 1
        later = new_volume(world)
        time.sleep(0.1)
    assert ("create", later) not in host.done
    assert world.state(id) == "stopping"


def test_stop_lets_the_step_under_way_finish_and_wait_says_that_not_all_is_done(world: World, host: Host) -> None:
    gate = threading.Event()
    host.trouble = held("create", gate)
    answers: list[bool] = []
    with running(world, host, workers=1) as engine:
        first, second = new_volume(world), new_volume(world)
        until(lambda: ("create", first) in host.done)
        waiter = threading.Thread(target=lambda: answers.append(engine.wait([second], LONG)))
        waiter.start()
        stopper = threading.Thread(target=engine.stop)
        stopper.start()
        waiter.join(LONG)
        assert answers == [False]
        gate.set()
        stopper.join(LONG)
    assert (world.state(first), world.state(second)) == ("available", "creating")


def test_the_console_is_written_down_and_host_trouble_leaves_the_last(world: World, host: Host) -> None:
    with running(world, host) as engine:
        id = launched(world, host, engine)
        engine.refresh_console(id)
        assert [row["text"] for row in world.rows(Console, instance_id=id)] == [b"hello"]

        def broken(name: str) -> bytes:
            raise HostError("gone")

        # The host has trouble; or it has the machine no more, and nothing of it.
        for console in (broken, lambda name: b""):
            host.console = console  # type: ignore[method-assign]
            engine.refresh_console(id)
            assert [row["text"] for row in world.rows(Console, instance_id=id)] == [b"hello"]


def test_the_screen_is_written_down_and_host_trouble_leaves_no_picture(world: World, host: Host) -> None:
    with running(world, host) as engine:
        id = launched(world, host, engine)
        for wake in (False, True):
            engine.refresh_screen(id, wake)
            assert ("wake" if wake else "look", id) in host.done
            assert [row["picture"] for row in world.rows(Screen, instance_id=id)] == [b"a picture"]

        def broken(name: str, *, wake: bool = False) -> bytes | None:
            raise HostError("gone")

        host.screenshot = broken  # type: ignore[method-assign]
        for _ in range(2):
            engine.refresh_screen(id, False)
            assert world.rows(Screen) == []


@pytest.mark.parametrize("final", [True, False])
def test_an_instance_whose_new_root_does_not_start_runs_on_its_old_one(
    world: World, host: Host, monkeypatch: pytest.MonkeyPatch, final: bool
) -> None:
    monkeypatch.setattr(loop, "MOST_TRIES", 2)
    with running(world, host) as engine:
        id = launched(world, host, engine)
        (old,) = world.volumes_of(id)
        task = world.wish(root_volumes.replace, id)

        def trouble(verb: str, name: str) -> None:
            if verb == "start" and world.volumes_of(id) != [old]:
                raise HostError("no luck", final=final)

        host.trouble = trouble
        until(lambda: world.state(task) == "failed")
        until(lambda: id in host.machines and host.machines[id].disks == {old} and host.machines[id].generation == 2)
        until(lambda: [name for name in host.disks if name.startswith("vol-")] == [old])
        assert (world.state(id), world.volumes_of(id)) == ("running", [old])


def instant(host: Host) -> list[tuple[str, str]]:
    """What was done to the machine and its snapshots, in order."""
    return [each for each in host.done if each[0] in ("pause", "snapshot", "switch", "resume", "remove")]


def test_a_set_of_snapshots_is_cut_while_its_machine_stands_still(world: World, host: Host) -> None:
    host.trouble = lambda verb, name: time.sleep(0.05) if verb == "snapshot" else None
    with running(world, host) as engine:
        id = launched(world, host, engine, Line("/dev/sdf", size=1), Line("/dev/sdg", size=1))
        host.done.clear()
        made = world.wish(snapshots.create_set, id)
        until(lambda: {world.state(each) for each in made} == {"completed"})
        until(lambda: engine.wait([id, *made], LONG))
    begin, end = host.done.index(("pause", id)), host.done.index(("resume", id))
    assert {each for each in host.done[begin:end] if each[0] == "snapshot"} == {("snapshot", each) for each in made}
    assert host.done.count(("pause", id)) == 1, "one step cuts them all"
    assert host.machines[id].state == "running"


def test_what_a_killed_process_left_of_a_set_is_of_another_instant(world: World, host: Host) -> None:
    with running(world, host) as engine:
        id = launched(world, host, engine, Line("/dev/sdf", size=1))
    made = world.wish(snapshots.create_set, id)
    host.disks[made[0]] = 1  # and killed here
    host.done.clear()
    with running(world, host):
        until(lambda: {world.state(each) for each in made} == {"completed"})
    done = instant(host)
    assert done.index(("remove", made[0])) < done.index(("pause", id)) < done.index(("snapshot", made[0]))
    assert host.machines[id].state == "running"


def test_a_machine_runs_on_when_its_set_cannot_be_cut(world: World, host: Host) -> None:
    with running(world, host) as engine:
        id = launched(world, host, engine, Line("/dev/sdf", size=1))
        host.trouble = failing("snapshot", final=True)
        made = world.wish(snapshots.create_set, id)
        until(lambda: {world.state(each) for each in made} == {"error"})
        until(lambda: host.machines[id].state == "running")


def test_a_volume_grows_in_its_machine(world: World, host: Host) -> None:
    with running(world, host) as engine:
        id = launched(world, host, engine)
        (root,) = world.volumes_of(id)
        host.done.clear()
        world.wish(volumes.modify, root, size=20)
        assert engine.wait([root], LONG)
        (modification,) = world.rows(VolumeModification)
        assert (modification["state"], modification["ended_at"] is not None) == ("completed", True)
    assert [each for each in host.done if each[1] == root and each[0] in ("grow", "resize")] == [
        ("grow", root),
        ("resize", root),
        ("grow", root),  # for the case that the machine has gone off before it was told
    ]
    assert host.disks[root] == 20 << 30


def test_a_volume_that_cannot_grow_stays_as_it_was(world: World, host: Host) -> None:
    host.trouble = failing("grow", final=True)
    with running(world, host) as engine:
        volume = new_volume(world)
        until(lambda: world.state(volume) == "available")
        world.wish(volumes.modify, volume, size=20)
        until(lambda: world.rows(VolumeModification)[0]["state"] == "failed")
        assert engine.wait([volume], LONG)
        assert world.rows(VolumeModification)[0]["reason"] == "no luck"
        (row,) = world.rows(Volume)
        assert (row["state"], row["size"]) == ("available", 1)


def test_a_snapshot_wished_before_the_growth_is_cut_before_it(world: World, host: Host) -> None:
    with running(world, host) as engine:
        volume = new_volume(world)
        until(lambda: world.state(volume) == "available")
        assert engine.wait([volume], LONG)
    made = world.wish(snapshots.create, volume)
    world.wish(volumes.modify, volume, size=20)
    with running(world, host):
        until(lambda: world.rows(VolumeModification)[0]["state"] == "completed")
    assert host.done.index(("snapshot", made)) < host.done.index(("grow", volume))
    assert host.disks[made] == 1 << 30
