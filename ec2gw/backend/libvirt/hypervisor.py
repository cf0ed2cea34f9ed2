"""The Hypervisor port on libvirt, at any URI. Knows libvirt's verbs and states; what they look like in XML is `domain_xml`'s.

Order at the start of a process: `accelerator.probe`, `accelerator.hide_broken_kvm` where it said `tcg`, then this, then threads.

A machine is first started from its XML and then defined with the same XML. So what stands in the definition has really run, and a
process killed between the two leaves a running machine, which `_adopt` defines when the process is back.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import libvirt
import libvirt_qemu

from ec2gw.backend import ports
from ec2gw.backend.libvirt import consoles, domain_xml, embedded, events, screens

_BOUND_EVERY = 10.0  # seconds between two looks at the consoles' logs
_RESET = 2.0  # seconds that a disk may take to leave with a reset
_KEEPALIVE = (5, 3)  # seconds between two questions to a daemon, and how many may go unanswered

# Errors that the same words will meet again.
_FINAL = {
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
    libvirt.VIR_ERR_INVALID_ARG,
    libvirt.VIR_ERR_NO_SUPPORT,
    libvirt.VIR_ERR_XML_DETAIL,
    libvirt.VIR_ERR_XML_ERROR,
    libvirt.VIR_ERR_XML_INVALID_SCHEMA,
}

_SHUTDOWN: Mapping[int, Literal["guest", "host", "failed"]] = {
    libvirt.VIR_DOMAIN_SHUTOFF_SHUTDOWN: "guest",
    libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED: "host",
}
_SHIFT = 42  # KEY_LEFTSHIFT: it wakes a screen and types nothing

# libvirt pauses a machine itself for a moment while it starts and while it is put on new layers.
_PAUSED_IN_PASSING = {libvirt.VIR_DOMAIN_PAUSED_STARTING_UP, libvirt.VIR_DOMAIN_PAUSED_SNAPSHOT}

# PM1a_CNT of the i440fx machine. Its lowest bit, SCI_EN, is set by an operating system that takes ACPI over, and by nothing else.
_POWER_MANAGEMENT_PORT = 0x604


class Hypervisor:
    """`folder` is this gateway's own: it keeps who it is, the console logs and, where its path is short, the embedded driver."""

    def __init__(self, uri: str, folder: Path, accelerator: Literal["kvm", "tcg"]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        short = embedded.short_folder(folder)
        self._uri = embedded.prepare(uri, short)
        self._setting = domain_xml.Setting(_identity(folder), accelerator, short / "tty", folder / "console")
        for place in (self._setting.sockets, self._setting.logs):
            place.mkdir(mode=0o700, exist_ok=True)
        self._listeners: list[Callable[[str], None]] = []
        self._lock = threading.Lock()
        self._library: Any = None
        self._callbacks: list[int] = []
        events.run()
        with _asking("open the hypervisor"):
            self._connection()
        self._end_bounding = events.every(_BOUND_EVERY, self._bound_consoles)

    # -- Looking -----------------------------------------------------------------------------------------------------------

    def observe(self, name: str) -> ports.Domain | None:
        with _asking(f"look at {name}"):
            domain = self._find(name)
            return None if domain is None else self._see(domain)

    def domains(self) -> Mapping[str, ports.Domain]:
        with _asking("list the machines"):
            seen = [self._see(domain) for domain in self._connection().listAllDomains(0)]
        return {domain.name: domain for domain in seen if domain is not None}

    def console(self, name: str) -> bytes:
        try:
            return consoles.newest(self._log(name))
        except OSError as error:
            raise ports.HostError(f"cannot read the console of {name}: {error}") from error

    def screenshot(self, name: str, *, wake: bool = False) -> bytes | None:
        with _asking(f"look at the screen of {name}"):
            domain = self._running(name)
            if domain is None:
                raise ports.HostError(f"{name} does not run; it shows nothing")
            if wake:
                domain.sendKey(libvirt.VIR_KEYCODE_SET_LINUX, 0, [_SHIFT], 1, 0)
            return screens.shoot(self._connection(), domain)

    def serial(self, name: str) -> Path:
        """The Unix socket of the machine's serial console, for one client at a time."""
        return self._setting.sockets / f"{name}.sock"

    def hints(self, listener: Callable[[str], None]) -> None:
        self._listeners.append(listener)

    def describe(self) -> str:
        with _asking("ask for versions"):
            connection = self._connection()
            library, emulator = _version(connection.getLibVersion()), _version(connection.getVersion())
        return f"libvirt {library} with QEMU {emulator} ({self._setting.accelerator}) at {self._uri}"

    # -- Machines ----------------------------------------------------------------------------------------------------------

    def start(self, machine: ports.Machine) -> None:
        with _asking(f"start {machine.name}"):
            domain = self._find(machine.name)
            seen = None if domain is None else self._see(domain)
            if domain is not None and seen is not None and seen.state != "off":
                if seen.generation == machine.generation:
                    return
                _destroy(domain)
            direct = {disk.name: _direct(disk.source) for disk in machine.disks}
            xml = domain_xml.domain(machine, self._setting, direct)
            connection = self._connection()
            connection.createXML(xml, 0)
            connection.defineXML(xml)

    def press_power_button(self, name: str) -> None:
        with _asking(f"press the power button of {name}"):
            domain = self._running(name)
            if domain is not None:
                with _done_already(libvirt.VIR_ERR_OPERATION_INVALID):
                    domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)

    def power_off(self, name: str) -> None:
        with _asking(f"power {name} off"):
            domain = self._running(name)
            if domain is not None:
                mark = domain_xml.read_mark(domain.XMLDesc(0))
                if mark is not None:
                    # Said beforehand: a machine ended just after libvirt was opened anew would count as one that crashed.
                    self._remember(domain, replace(mark, shutdown="host"))
                _destroy(domain)

    def pause(self, name: str) -> None:
        with _asking(f"pause {name}"):
            domain = self._running(name)
            if domain is not None and self._state(domain)[0] == "running":
                domain.suspend()

    def resume(self, name: str) -> None:
        with _asking(f"resume {name}"):
            domain = self._running(name)
            if domain is not None and self._state(domain)[0] == "paused":
                domain.resume()

    def remove(self, name: str) -> None:
        with _asking(f"remove {name}"):
            domain = self._find(name)
            if domain is not None:
                if domain.isActive():
                    raise ports.HostError(f"{name} must be off before it is removed")
                with _done_already(libvirt.VIR_ERR_NO_DOMAIN):
                    domain.undefine()
        self._log(name).unlink(missing_ok=True)
        self.serial(name).unlink(missing_ok=True)

    # -- Disks of a running machine ----------------------------------------------------------------------------------------

    def plug(self, name: str, disk: ports.Disk) -> None:
        with _asking(f"plug {disk.name} into {name}"):
            domain = self._running(name)
            if domain is None:
                raise ports.HostError(f"{name} does not run; nothing can be plugged into it")
            if disk.name not in domain_xml.read_disks(domain.XMLDesc(0)):
                domain.attachDeviceFlags(domain_xml.disk(disk, direct=_direct(disk.source)), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def unplug(self, name: str, disk: str, *, force: bool = False) -> None:
        with _asking(f"unplug {disk} from {name}"):
            domain = self._running(name)
            if domain is None or disk not in domain_xml.read_disks(domain.XMLDesc(0)):
                return
            try:
                domain.detachDeviceAlias(domain_xml.alias(disk), libvirt.VIR_DOMAIN_AFFECT_LIVE)
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_DEVICE_MISSING:
                    return
                if "already in the process of unplug" not in error.get_error_message():
                    raise
            if force and not _system_listens(domain):
                # A reset completes what the firmware would never answer; there is nothing in the guest that it could harm.
                domain.reset(0)
                # Asked for again, or reset again, in the moment it goes, QEMU keeps the disk's file open and locked for good.
                deadline = time.monotonic() + _RESET
                while disk in domain_xml.read_disks(domain.XMLDesc(0)) and time.monotonic() < deadline:
                    time.sleep(0.02)

    def switch(self, name: str, disks: Sequence[ports.Disk]) -> None:
        with _asking(f"put {name} on new layers"):
            domain = self._running(name)
            if domain is None:
                return
            plugged = domain_xml.read_disks(domain.XMLDesc(0))
            layers = {}
            for disk in disks:
                if disk.name not in plugged or plugged[disk.name].path == disk.source.path:
                    continue
                if not isinstance(disk.source, ports.DiskFile) or disk.source.format != "qcow2":
                    raise ports.HostError(f"{disk.name} can be put on a qcow2 layer only, not on {disk.source}", final=True)
                layers[plugged[disk.name].target] = disk.source.path
            if layers:
                flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
                flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
                domain.snapshotCreateXML(domain_xml.switch([each.target for each in plugged.values()], layers), flags)

    def resize(self, name: str, disk: str, size: int) -> None:
        with _asking(f"resize {disk} in {name}"):
            domain = self._running(name)
            plugged = None if domain is None else domain_xml.read_disks(domain.XMLDesc(0)).get(disk)
            if domain is None or plugged is None:
                return
            capacity, _allocation, _physical = domain.blockInfo(plugged.target)
            if size < capacity:
                raise ports.HostError(f"{disk} is {capacity} bytes already and is never made smaller", final=True)
            domain.blockResize(plugged.target, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)

    # -- The connection ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        self._end_bounding()
        with self._lock, _asking("close the hypervisor"):
            if self._library is not None and self._library.isAlive():
                for callback in self._callbacks:
                    self._library.domainEventDeregisterAny(callback)
                self._library.close()
            self._library = None

    def _connection(self) -> Any:
        """The open connection; a daemon that went away is called again."""
        with self._lock:
            if self._library is None or not self._library.isAlive():
                self._library = libvirt.open(self._uri)
                if not self._is_embedded():
                    self._library.setKeepAlive(*_KEEPALIVE)
                self._listen()
                self._adopt()
            return self._library

    def _listen(self) -> None:
        kinds = (
            libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
            libvirt.VIR_DOMAIN_EVENT_ID_REBOOT,
            libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
            libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
        )
        self._callbacks = [self._library.domainEventRegisterAny(None, kind, self._heard, None) for kind in kinds]

    def _heard(self, _connection: Any, domain: Any, *_details: object) -> None:
        for listener in self._listeners:
            listener(domain.name())

    def _adopt(self) -> None:
        """Define what a killed process had started and not yet defined."""
        for domain in self._library.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            with _done_already(libvirt.VIR_ERR_NO_DOMAIN):
                live = domain.XMLDesc(0)
                mark = domain_xml.read_mark(live)
                if mark is None or mark.gateway != self._setting.gateway:
                    continue
                if not domain.isPersistent() or mark != domain_xml.read_mark(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)):
                    self._library.defineXML(live)

    def _is_embedded(self) -> bool:
        return self._uri.startswith(embedded.URI)

    def _bound_consoles(self) -> None:
        # A daemon's console logs are kept, and bounded, by virtlogd.
        if self._is_embedded():
            consoles.bound(self._setting.logs)

    # -- One domain --------------------------------------------------------------------------------------------------------

    def _find(self, name: str) -> Any | None:
        try:
            return self._connection().lookupByName(name)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def _running(self, name: str) -> Any | None:
        domain = self._find(name)
        return domain if domain is not None and domain.isActive() else None

    def _see(self, domain: Any) -> ports.Domain | None:
        """What there is of one domain; None when it is not this gateway's or has just gone."""
        try:
            state, reason = self._state(domain)
            xml = domain.XMLDesc(0)
            mark = domain_xml.read_mark(xml)
            if mark is None or mark.gateway != self._setting.gateway:
                return None
            if state != "off":
                return ports.Domain(domain.name(), mark.generation, state, frozenset(domain_xml.read_disks(xml)))
            if mark.shutdown is None and reason != libvirt.VIR_DOMAIN_SHUTOFF_UNKNOWN:
                mark = replace(mark, shutdown=_SHUTDOWN.get(reason, "failed"))
                self._remember(domain, mark)
            return ports.Domain(domain.name(), mark.generation, "off", shutdown=_reason(mark.shutdown))
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def _state(self, domain: Any) -> tuple[Literal["running", "paused", "off"], int]:
        state, reason = domain.state()
        if state in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED):
            return "off", reason
        if state == libvirt.VIR_DOMAIN_PAUSED and reason not in _PAUSED_IN_PASSING:
            return "paused", reason
        return "running", reason

    def _remember(self, domain: Any, mark: domain_xml.Mark) -> None:
        """libvirt forgets why a machine is off when it is opened anew; the definition does not."""
        xml = domain_xml.mark(mark)
        kind, scope = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
        domain.setMetadata(kind, xml, domain_xml.PREFIX, domain_xml.NAMESPACE, scope)

    def _log(self, name: str) -> Path:
        return self._setting.logs / f"{name}.log"


def _identity(folder: Path) -> str:
    """Who this gateway is among those that may share a libvirt: made up at the first start."""
    note = folder / "gateway"
    if not note.exists():
        note.write_text(f"{secrets.token_hex(8)}\n")
    return note.read_text().strip()


def _destroy(domain: Any) -> None:
    with _done_already(libvirt.VIR_ERR_OPERATION_INVALID):
        domain.destroy()


def _system_listens(domain: Any) -> bool:
    """True when an operating system has taken over ACPI, and so hears the power button and a request to give a disk back."""
    question = f"i /h {_POWER_MANAGEMENT_PORT:#x}"
    answer = libvirt_qemu.qemuMonitorCommand(domain, question, libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)
    match = re.search(r"=\s*(0x[0-9a-f]+)", answer)
    if match is None:
        raise ports.HostError(f"QEMU answered {answer.strip()!r} to {question!r}")
    return bool(int(match[1], 16) & 1)


def _direct(source: ports.Source) -> bool:
    """True where the disk can be opened past the page cache; one that cannot be opened at all is libvirt's to complain of."""
    try:
        os.close(os.open(source.path, os.O_RDONLY | os.O_DIRECT))
    except OSError as error:
        return error.errno != errno.EINVAL
    return True


def _reason(word: str | None) -> Literal["guest", "host", "failed"]:
    """Why a machine is off. A reason that nobody could see is the host's failing: it went down, and the machine with it."""
    return "guest" if word == "guest" else "host" if word == "host" else "failed"


def _version(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """libvirt's errors as the port's."""
    try:
        yield
    except libvirt.libvirtError as error:
        message, code = error.get_error_message() or str(error), error.get_error_code()
        # libvirt has no code of its own for a disk that is not there.
        final = code in _FINAL or "Cannot access storage file" in message
        raise ports.HostError(f"cannot {what}: {message}", final=final) from error


@contextmanager
def _done_already(code: int) -> Iterator[None]:
    """A machine that ends (VIR_ERR_OPERATION_INVALID) or goes (VIR_ERR_NO_DOMAIN) by itself just now needs nothing done to it."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (code, libvirt.VIR_ERR_NO_DOMAIN):
            raise
