"""A perfect host in memory: disks and machines that do at once what they are told, with a few whims that a test may set."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ec2gw.backend import ports
from ec2gw.backend.ports import Disk, Domain, HostError, Machine


class Host:
    """A volume store and a hypervisor in one.

    `deaf`: guests hear neither the power button nor a request for a disk. `trouble(verb, name)` may raise HostError. `done` are
    all calls that were made.
    """

    def __init__(self) -> None:
        self.disks: dict[str, int] = {}
        self.machines: dict[str, Domain] = {}
        self.deaf = False
        self.trouble: Callable[[str, str], None] = lambda verb, name: None
        self.done: list[tuple[str, str]] = []
        self.listener: Callable[[str], None] = lambda name: None
        self._lock = threading.Lock()

    def _do(self, verb: str, name: str) -> None:
        with self._lock:
            self.done.append((verb, name))
        self.trouble(verb, name)

    def went_off(self, name: str, why: Literal["guest", "host", "failed"]) -> None:
        """The machine ends."""
        self.machines[name] = replace(self.machines[name], state="off", disks=frozenset(), shutdown=why)
        self.listener(name)

    def whole(self) -> None:
        """What QEMU would not bear: a disk in two machines, a machine with a disk that is not there."""
        plugged = [disk for machine in self.machines.values() for disk in machine.disks]
        assert len(plugged) == len(set(plugged))
        assert set(plugged) <= set(self.disks)

    # -- volume store -------------------------------------------------------------------------------------------------------

    def create(self, name: str, size: int, origin: str | None = None) -> None:
        self._do("create", name)
        if origin is not None and origin not in self.disks:
            raise HostError(f"{origin} is not there", final=True)
        self.disks.setdefault(name, size)

    def snapshot(self, volume: str, name: str) -> None:
        self._do("snapshot", name)
        if volume not in self.disks:
            raise HostError(f"{volume} is not there", final=True)
        self.disks.setdefault(name, self.disks[volume])

    def copy(self, origin: str, name: str) -> None:
        self._do("copy", name)
        self.disks.setdefault(name, self.disks[origin])

    def settle(self, snapshot: str) -> None:
        self._do("settle", snapshot)

    def grow(self, name: str, size: int) -> None:
        self._do("grow", name)
        self.disks[name] = max(size, self.disks[name])

    def fill(self, name: str, image: Path, image_format: str, progress: Callable[[float], None]) -> None:
        self._do("fill", name)

    def assemble(self, name: str, size: int, origin: str | None, blocks: Iterable[tuple[int, Path]]) -> None:
        self._do("assemble", name)
        if origin is not None and origin not in self.disks:
            raise HostError(f"{origin} is not there", final=True)
        for _ in blocks:
            pass
        self.disks.setdefault(name, size)

    def extents(self, snapshot: str) -> Sequence[ports.Extent]:
        return ()

    def capacity(self) -> tuple[int, int]:
        return 1, 1

    def source(self, name: str) -> ports.Source:
        if name not in self.disks:
            raise HostError(f"{name} is not there", final=True)
        return ports.DiskFile(Path(name), "raw")

    # -- hypervisor ---------------------------------------------------------------------------------------------------------

    def domains(self) -> Mapping[str, Domain]:
        return dict(self.machines)

    def start(self, machine: Machine) -> None:
        self._do("start", machine.name)
        old = self.machines.get(machine.name)
        assert old is None or old.state == "off" or old.generation == machine.generation
        disks = frozenset(disk.name for disk in machine.disks)
        if old is None or old.state == "off":
            self.machines[machine.name] = Domain(machine.name, machine.generation, "running", disks)
        self.whole()

    def press_power_button(self, name: str) -> None:
        self._do("press", name)
        if not self.deaf and self.machines[name].state == "running":
            self.went_off(name, "guest")

    def power_off(self, name: str) -> None:
        self._do("power-off", name)
        self.went_off(name, "host")

    def pause(self, name: str) -> None:
        self._do("pause", name)
        if self.machines[name].state == "running":
            self.machines[name] = replace(self.machines[name], state="paused")

    def resume(self, name: str) -> None:
        self._do("resume", name)
        self.machines[name] = replace(self.machines[name], state="running")

    def plug(self, name: str, disk: Disk) -> None:
        self._do("plug", disk.name)
        machine = self.machines[name]
        assert machine.state == "running"
        self.machines[name] = replace(machine, disks=machine.disks | {disk.name})
        self.whole()

    def unplug(self, name: str, disk: str, *, force: bool = False) -> None:
        self._do("unplug", disk)
        machine = self.machines[name]
        if force or not self.deaf:
            self.machines[name] = replace(machine, disks=machine.disks - {disk})

    def switch(self, name: str, disks: Sequence[Disk]) -> None:
        self._do("switch", name)

    def resize(self, name: str, disk: str, size: int) -> None:
        self._do("resize", disk)

    def console(self, name: str) -> bytes:
        return b"hello"

    def screenshot(self, name: str, *, wake: bool = False) -> bytes | None:
        self._do("wake" if wake else "look", name)
        return b"a picture"

    def hints(self, listener: Callable[[str], None]) -> None:
        self.listener = listener

    def describe(self) -> str:
        return "a perfect host"

    def close(self) -> None:
        """Nothing is held open."""

    # -- both: disks go by `vol-`, `snap-`, `eph-`; machines by `i-` -----------------------------------------------------------

    def remove(self, name: str) -> None:
        self._do("remove", name)
        if name.startswith("i-"):
            machine = self.machines.pop(name, None)
            assert machine is None or machine.state == "off"
        else:
            assert all(name not in machine.disks for machine in self.machines.values())
            self.disks.pop(name, None)

    def observe(self, name: str | None = None) -> Any:
        """The disks, or the machine of this name: the two ports' verbs have one name."""
        if name is None:
            return dict(self.disks)
        self._do("observe", name)
        return self.machines.get(name)
