"""What the Hypervisor port promises, judged alike on every adapter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ec2gw.backend import ports
from ec2gw.model import ids
from tests.backend.conftest import PROJECT, Bench, make_disk, until


def machine(*disks: ports.DiskFile, name: str | None = None, generation: int = 1) -> ports.Machine:
    """A small machine on these disks, the first of them its boot disk."""
    named = tuple(ports.Disk(f"vol-0{disk.path.stem:0>16.16}", disk, slot) for slot, disk in enumerate(disks))
    return ports.Machine(name or ids.new("i"), generation, vcpus=1, memory_mib=96, disks=named)


def booted(bench: Bench, started: ports.Machine) -> None:
    """Start it and wait until whatever system it has listens."""

    def console() -> bytes:
        return bench.hypervisor.console(started.name)

    before = console().count(b"EC2GW-GUEST ready")
    bench.hypervisor.start(started)
    if bench.speaks:
        until(lambda: console().count(b"EC2GW-GUEST ready") > before, said=console)


def state(hypervisor: ports.Hypervisor, name: str) -> str | None:
    domain = hypervisor.observe(name)
    return None if domain is None else domain.state


def test_what_was_never_started_is_unknown_and_nothing_done_to_it_matters(bench: Bench, tmp_path: Path) -> None:
    name = ids.new("i")
    hypervisor = bench.hypervisor
    hypervisor.press_power_button(name)
    hypervisor.power_off(name)
    hypervisor.pause(name)
    hypervisor.resume(name)
    hypervisor.unplug(name, "vol-1", force=True)
    hypervisor.switch(name, [])
    hypervisor.resize(name, "vol-1", 1 << 30)
    hypervisor.remove(name)
    with pytest.raises(ports.HostError):
        hypervisor.plug(name, ports.Disk("vol-1", make_disk(tmp_path / "b.qcow2", "1M"), 1))
    assert hypervisor.observe(name) is None
    assert name not in hypervisor.domains()
    assert hypervisor.console(name) == b""


def test_start_twice_is_start_once(bench: Bench, tmp_path: Path) -> None:
    asked = machine(make_disk(tmp_path / "a.qcow2", "8M"))
    bench.hypervisor.start(asked)
    said = bench.hypervisor.observe(asked.name)
    assert said == ports.Domain(asked.name, 1, "running", frozenset({asked.disks[0].name}))
    bench.hypervisor.start(asked)
    assert bench.hypervisor.observe(asked.name) == said
    assert bench.hypervisor.domains()[asked.name] == said


def test_every_boot_has_its_generation(bench: Bench, tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "a.qcow2", "8M")
    asked = machine(disk)
    bench.hypervisor.start(asked)
    bench.hypervisor.power_off(asked.name)
    assert bench.hypervisor.observe(asked.name) == ports.Domain(asked.name, 1, "off", shutdown="host")
    bench.hypervisor.power_off(asked.name)
    bench.hypervisor.start(machine(disk, name=asked.name, generation=2))
    again = bench.hypervisor.observe(asked.name)
    assert again is not None and (again.state, again.generation, again.shutdown) == ("running", 2, None)
    # A machine that runs is started afresh for a later generation, too.
    bench.hypervisor.start(machine(disk, name=asked.name, generation=3))
    again = bench.hypervisor.observe(asked.name)
    assert again is not None and (again.state, again.generation) == ("running", 3)


def test_a_machine_whose_disk_is_not_there_does_not_start(bench: Bench, tmp_path: Path) -> None:
    asked = machine(ports.DiskFile(tmp_path / "a.qcow2", "qcow2"))
    with pytest.raises(ports.HostError) as refused:
        bench.hypervisor.start(asked)
    assert refused.value.final
    assert bench.hypervisor.observe(asked.name) is None


def test_a_start_that_fails_leaves_the_last_boot_standing(bench: Bench, tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "a.qcow2", "8M")
    asked = machine(disk)
    bench.hypervisor.start(asked)
    bench.hypervisor.power_off(asked.name)
    disk.path.rename(tmp_path / "elsewhere")
    with pytest.raises(ports.HostError):
        bench.hypervisor.start(machine(disk, name=asked.name, generation=2))
    left = bench.hypervisor.observe(asked.name)
    assert left is not None and (left.generation, left.state) == (1, "off")
    (tmp_path / "elsewhere").rename(disk.path)
    bench.hypervisor.start(machine(disk, name=asked.name, generation=2))
    assert state(bench.hypervisor, asked.name) == "running"


def test_a_disk_serves_one_machine(bench: Bench, tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "a.qcow2", "8M")
    first, second = machine(disk), machine(disk)
    bench.hypervisor.start(first)
    with pytest.raises(ports.HostError) as refused:
        bench.hypervisor.start(second)
    assert not refused.value.final
    bench.hypervisor.power_off(first.name)
    bench.hypervisor.start(second)
    assert state(bench.hypervisor, second.name) == "running"


def test_the_power_button_ends_a_guest_that_listens(bench: Bench, tmp_path: Path) -> None:
    guest = bench.guest(tmp_path / "a.qcow2")
    asked = machine(guest)
    heard: list[str] = []
    bench.hypervisor.hints(heard.append)
    booted(bench, asked)
    heard.clear()
    picture = bench.hypervisor.screenshot(asked.name, wake=True)
    assert picture is not None and picture.startswith(b"\xff\xd8\xff") if bench.speaks else picture is None
    bench.hypervisor.press_power_button(asked.name)
    until(lambda: state(bench.hypervisor, asked.name) == "off")
    with pytest.raises(ports.HostError):
        bench.hypervisor.screenshot(asked.name)
    assert bench.hypervisor.observe(asked.name) == ports.Domain(asked.name, 1, "off", shutdown="guest")
    assert asked.name in heard
    bench.hypervisor.press_power_button(asked.name)
    booted(bench, machine(guest, name=asked.name, generation=2))
    text = bench.hypervisor.console(asked.name).decode(errors="replace")
    if bench.speaks:
        assert "boot count=1" in text and "boot count=2" in text and "power-button" in text
    assert ids.serial(asked.disks[0].name) in text


def test_a_deaf_guest_is_ended_by_power_off_only(bench: Bench, tmp_path: Path) -> None:
    asked = machine(make_disk(tmp_path / "a.qcow2", "8M"))
    bench.deaf.start(asked)
    bench.deaf.press_power_button(asked.name)
    assert state(bench.deaf, asked.name) == "running"
    bench.deaf.power_off(asked.name)
    assert bench.deaf.observe(asked.name) == ports.Domain(asked.name, 1, "off", shutdown="host")


def test_a_machine_stands_still_until_it_is_let_go(bench: Bench, tmp_path: Path) -> None:
    asked = machine(make_disk(tmp_path / "a.qcow2", "8M"))
    bench.hypervisor.start(asked)
    for _ in range(2):
        bench.hypervisor.pause(asked.name)
        assert state(bench.hypervisor, asked.name) == "paused"
    bench.hypervisor.resume(asked.name)
    assert state(bench.hypervisor, asked.name) == "running"
    bench.hypervisor.power_off(asked.name)
    bench.hypervisor.pause(asked.name)
    assert state(bench.hypervisor, asked.name) == "off"


def test_disks_come_grow_and_go(bench: Bench, tmp_path: Path) -> None:
    asked = machine(bench.guest(tmp_path / "a.qcow2"))
    root = asked.disks[0].name
    data = ports.Disk("vol-0aaaaaaaaaaaaaaa1", make_disk(tmp_path / "b.raw", "8M", "raw"), 1)
    hypervisor = bench.hypervisor
    booted(bench, asked)

    def disks() -> frozenset[str]:
        domain = hypervisor.observe(asked.name)
        assert domain is not None
        return domain.disks

    def says(action: str, *rest: str) -> None:
        def heard() -> bool:
            lines = hypervisor.console(asked.name).decode(errors="replace").splitlines()
            return any(all(word in line for word in (f"hotplug action={action}", *rest)) for line in lines)

        if bench.speaks:
            until(heard, said=lambda: hypervisor.console(asked.name))

    hypervisor.plug(asked.name, data)
    hypervisor.plug(asked.name, data)
    assert disks() == {root, data.name}
    says("add", f"bytes={8 << 20}", f"serial={ids.serial(data.name)}")
    hypervisor.resize(asked.name, data.name, 16 << 20)
    hypervisor.resize(asked.name, data.name, 16 << 20)
    says("change", f"bytes={16 << 20}", f"serial={ids.serial(data.name)}")
    hypervisor.unplug(asked.name, data.name)
    until(lambda: disks() == {root})
    says("remove")
    hypervisor.unplug(asked.name, data.name)
    hypervisor.plug(asked.name, data)
    assert disks() == {root, data.name}
    hypervisor.power_off(asked.name)
    assert disks() == frozenset()


def test_a_guest_with_nobody_in_it_gives_a_disk_back_by_force(bench: Bench, tmp_path: Path) -> None:
    second = make_disk(tmp_path / "b.qcow2", "8M")
    asked = machine(make_disk(tmp_path / "a.qcow2", "8M"), second)
    root, data = (disk.name for disk in asked.disks)
    bench.deaf.start(asked)
    bench.deaf.unplug(asked.name, data)
    seen = bench.deaf.observe(asked.name)
    assert seen is not None and seen.disks == {root, data}

    def given_back() -> bool:
        bench.deaf.unplug(asked.name, data, force=True)
        seen = bench.deaf.observe(asked.name)
        return seen is not None and seen.disks == {root}

    until(given_back, 20)
    assert state(bench.deaf, asked.name) == "running"
    # The disk is free indeed: another machine may have it.
    other = machine(second)
    bench.deaf.start(other)
    assert state(bench.deaf, other.name) == "running"


def test_a_machine_goes_over_to_new_layers(bench: Bench, tmp_path: Path) -> None:
    first, second = make_disk(tmp_path / "a.qcow2", "8M"), make_disk(tmp_path / "b.qcow2", "8M")
    asked = machine(first, second)
    bench.hypervisor.start(asked)
    layers = [make_disk(tmp_path / f"over-{disk.path.name}", "8M", backing=disk.path) for disk in (first, second)]
    over = [ports.Disk(disk.name, layer, disk.slot) for disk, layer in zip(asked.disks, layers, strict=True)]
    bench.hypervisor.switch(asked.name, over)
    bench.hypervisor.switch(asked.name, over)
    seen = bench.hypervisor.observe(asked.name)
    assert seen is not None and seen.disks == {disk.name for disk in asked.disks} and seen.state == "running"
    with pytest.raises(ports.HostError):
        bench.hypervisor.start(machine(layers[0]))
    bench.hypervisor.power_off(asked.name)
    bench.hypervisor.start(machine(*layers, name=asked.name, generation=2))
    assert state(bench.hypervisor, asked.name) == "running"


def test_what_is_removed_is_forgotten(bench: Bench, tmp_path: Path) -> None:
    asked = machine(bench.guest(tmp_path / "a.qcow2"))
    booted(bench, asked)
    with pytest.raises(ports.HostError):
        bench.hypervisor.remove(asked.name)
    bench.hypervisor.power_off(asked.name)
    assert bench.hypervisor.console(asked.name) != b""
    bench.hypervisor.remove(asked.name)
    bench.hypervisor.remove(asked.name)
    assert bench.hypervisor.observe(asked.name) is None
    assert asked.name not in bench.hypervisor.domains()
    assert bench.hypervisor.console(asked.name) == b""


def test_machines_do_not_disturb_each_other(bench: Bench, tmp_path: Path) -> None:
    first, second = machine(make_disk(tmp_path / "a.qcow2", "8M")), machine(make_disk(tmp_path / "b.qcow2", "8M"))
    bench.hypervisor.start(first)
    bench.hypervisor.start(second)
    assert {first.name, second.name} <= set(bench.hypervisor.domains())
    bench.hypervisor.power_off(first.name)
    bench.hypervisor.remove(first.name)
    assert state(bench.hypervisor, second.name) == "running"


_SHOW = """
print(json.dumps([[d.generation, d.state, d.shutdown, sorted(d.disks)] for d in (hypervisor.observe(n) for n in names)]))
"""


def test_machines_outlive_a_killed_process(bench: Bench, tmp_path: Path) -> None:
    disks = [make_disk(tmp_path / f"{letter}.qcow2", "8M") for letter in "ab"]
    runs, is_off = (machine(disk, generation=4) for disk in disks)
    head = f"import json, os\nfrom pathlib import PosixPath\nfrom ec2gw.backend.ports import *\nfolder = {tmp_path / 'state'!r}\n"
    head += f"{bench.opener}\nnames = {[runs.name, is_off.name]!r}\n"
    start = f"hypervisor.start({runs!r})\nhypervisor.start({is_off!r})\nhypervisor.power_off(names[1])\n"

    def run(text: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
        return subprocess.run([sys.executable, "-c", head + text], capture_output=True, text=True, timeout=120, env=environment)

    killed = run(start + _SHOW + "import sys; sys.stdout.flush(); os.kill(os.getpid(), 9)")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    clean_up = "for name in names:\n  hypervisor.power_off(name)\n  hypervisor.remove(name)\nhypervisor.close()"
    again = run(_SHOW + clean_up)
    assert again.returncode == 0 and not again.stderr, again.stderr
    assert json.loads(again.stdout) == [[4, "running", None, [runs.disks[0].name]], [4, "off", "host", []]]
    assert json.loads(killed.stdout) == json.loads(again.stdout)
    assert run("print(dict(hypervisor.domains()))").stdout.strip() == "{}"
