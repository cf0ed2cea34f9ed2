"""The Hypervisor port with no machine behind it, for work that needs the gateway but no guests. Knows no guest and no library.

Like machines on libvirt, these outlive the process: each is one small file in a folder, replaced as a whole at every change.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from ec2gw.backend import ports
from ec2gw.model import ids

_CONSOLE_KEPT = 64 * 1024  # characters


@dataclass(frozen=True)
class _Plugged:
    path: str
    slot: int


@dataclass(frozen=True)
class _Machine:
    name: str
    generation: int
    state: Literal["running", "paused", "off"] = "running"
    shutdown: Literal["guest", "host", "failed"] | None = None
    disks: Mapping[str, _Plugged] = field(default_factory=dict)
    console: str = ""

    def saying(self, *lines: str) -> _Machine:
        text = "".join(f"[simulated] {line}\n" for line in lines)
        return replace(self, console=(self.console + text)[-_CONSOLE_KEPT:])


class Hypervisor:
    """`folder` holds the machines; it belongs to one process at a time.

    The guests obey at once. With `obedient` false they are as a blank disk is: they hear neither the power button nor a request
    to give a disk back.
    """

    def __init__(self, folder: Path, *, obedient: bool = True) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._obedient = obedient
        self._listeners: list[Callable[[str], None]] = []
        self._lock = threading.RLock()
        self._machines: dict[str, _Machine] = {}
        self._users: dict[str, str] = {}  # path of a disk -> the machine that has it
        for path in folder.glob("*.json"):
            self._note(_read(path))

    def observe(self, name: str) -> ports.Domain | None:
        machine = self._machines.get(name)
        return None if machine is None else _see(machine)

    def domains(self) -> Mapping[str, ports.Domain]:
        with self._lock:
            return {name: _see(machine) for name, machine in self._machines.items()}

    def start(self, machine: ports.Machine) -> None:
        with self._lock:
            old = self._machines.get(machine.name)
            if old is not None and old.state != "off" and old.generation == machine.generation:
                return
            for disk in machine.disks:
                self._refuse_unusable(machine.name, disk)
            disks = {disk.name: _Plugged(str(disk.source.path), disk.slot) for disk in machine.disks}
            new = _Machine(machine.name, machine.generation, disks=disks, console=old.console if old else "")
            boot = f"{machine.name} boot {machine.generation}: {machine.vcpus} vcpus, {machine.memory_mib} MiB"
            self._keep(new.saying(boot, *(f"disk slot={disk.slot} serial={ids.serial(disk.name)}" for disk in machine.disks)))
        self._tell(machine.name)

    def press_power_button(self, name: str) -> None:
        if self._obedient:
            self.end(name, "guest")

    def power_off(self, name: str) -> None:
        self.end(name, "host")

    def end(self, name: str, shutdown: Literal["guest", "host", "failed"]) -> None:
        """Let a machine end for this reason: by itself (`guest`), by us (`host`), or as a killed emulator does (`failed`)."""
        with self._lock:
            machine = self._machines.get(name)
            if machine is None or machine.state == "off":
                return
            self._keep(replace(machine, state="off", shutdown=shutdown, disks={}).saying("off"))
        self._tell(name)

    def pause(self, name: str) -> None:
        self._change_state(name, "running", "paused")

    def resume(self, name: str) -> None:
        self._change_state(name, "paused", "running")

    def remove(self, name: str) -> None:
        with self._lock:
            machine = self._machines.get(name)
            if machine is None:
                return
            if machine.state != "off":
                raise ports.HostError(f"{name} must be off before it is removed")
            self._file(name).unlink(missing_ok=True)
            del self._machines[name]
        self._tell(name)

    def plug(self, name: str, disk: ports.Disk) -> None:
        with self._lock:
            machine = self._running(name)
            if machine is None:
                raise ports.HostError(f"{name} does not run; nothing can be plugged into it")
            if disk.name in machine.disks:
                return
            self._refuse_unusable(name, disk)
            if any(plugged.slot == disk.slot for plugged in machine.disks.values()):
                raise ports.HostError(f"slot {disk.slot} of {name} is taken")
            disks = {**machine.disks, disk.name: _Plugged(str(disk.source.path), disk.slot)}
            self._keep(replace(machine, disks=disks).saying(f"disk add slot={disk.slot} serial={ids.serial(disk.name)}"))
        self._tell(name)

    def unplug(self, name: str, disk: str, *, force: bool = False) -> None:
        with self._lock:
            machine = self._running(name)
            if machine is None or disk not in machine.disks or not (self._obedient or force):
                return
            disks = {other: plugged for other, plugged in machine.disks.items() if other != disk}
            self._keep(replace(machine, disks=disks).saying(f"disk remove serial={ids.serial(disk)}"))
        self._tell(name)

    def switch(self, name: str, disks: Sequence[ports.Disk]) -> None:
        with self._lock:
            machine = self._running(name)
            if machine is None:
                return
            for disk in disks:
                self._refuse_unusable(name, disk)
            moved = {disk.name: _Plugged(str(disk.source.path), disk.slot) for disk in disks if disk.name in machine.disks}
            self._keep(replace(machine, disks={**machine.disks, **moved}))

    def resize(self, name: str, disk: str, size: int) -> None:
        with self._lock:
            machine = self._running(name)
            if machine is not None and disk in machine.disks:
                self._keep(machine.saying(f"disk change serial={ids.serial(disk)} bytes={size}"))

    def console(self, name: str) -> bytes:
        machine = self._machines.get(name)
        return b"" if machine is None else machine.console.encode()

    def screenshot(self, name: str, *, wake: bool = False) -> bytes | None:
        if self._running(name) is None:
            raise ports.HostError(f"{name} does not run; it shows nothing")
        return None

    def hints(self, listener: Callable[[str], None]) -> None:
        self._listeners.append(listener)

    def describe(self) -> str:
        return f"simulated machines in {self._folder}"

    def close(self) -> None:
        """Nothing is held open."""

    # -- One machine ---------------------------------------------------------------------------------------------------------

    def _running(self, name: str) -> _Machine | None:
        machine = self._machines.get(name)
        return None if machine is None or machine.state == "off" else machine

    def _change_state(self, name: str, old: str, new: Literal["running", "paused"]) -> None:
        with self._lock:
            machine = self._machines.get(name)
            if machine is None or machine.state != old:
                return
            self._keep(replace(machine, state=new))
        self._tell(name)

    def _refuse_unusable(self, name: str, disk: ports.Disk) -> None:
        """What QEMU refuses: a disk that is not there, and one that another machine writes to."""
        if not disk.source.path.exists():
            raise ports.HostError(f"{disk.source.path} is not there", final=True)
        user = self._users.get(str(disk.source.path), name)
        if user != name:
            raise ports.HostError(f"{disk.name} is in use by {user}")

    def _keep(self, machine: _Machine) -> None:
        """Write the machine down, then go by it: a process killed in between has done it."""
        whole = self._file(machine.name)
        part = whole.with_suffix(".part")
        part.write_text(json.dumps(asdict(machine)))
        part.replace(whole)
        self._note(machine)

    def _note(self, machine: _Machine) -> None:
        old = self._machines.get(machine.name)
        for plugged in old.disks.values() if old else ():
            self._users.pop(plugged.path, None)
        self._users.update({plugged.path: machine.name for plugged in machine.disks.values()})
        self._machines[machine.name] = machine

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _tell(self, name: str) -> None:
        for listener in self._listeners:
            listener(name)


def _read(path: Path) -> _Machine:
    kept = json.loads(path.read_text())
    return _Machine(**{**kept, "disks": {name: _Plugged(**plugged) for name, plugged in kept["disks"].items()}})


def _see(machine: _Machine) -> ports.Domain:
    return ports.Domain(machine.name, machine.generation, machine.state, frozenset(machine.disks), machine.shutdown)
