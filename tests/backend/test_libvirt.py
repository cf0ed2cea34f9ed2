"""What is libvirt's own: layers under a writing guest, ends that nobody saw, the accelerator's probe, domain XML."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from ec2gw.backend import ports
from ec2gw.backend.libvirt import accelerator, consoles, domain_xml, embedded, hypervisor
from ec2gw.model import ids
from tests.backend.conftest import PROJECT, make_disk, until
from tests.backend.test_hypervisor import machine

MIB = 1 << 20


class Shell:
    """The guest's line shell on its serial console. Close it when nothing is read from it: a full socket holds the guest up."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(str(path))
        self._said = b""

    def run(self, line: str) -> str:
        """What the line printed; it must succeed."""
        self._socket.sendall(line.encode() + b"\n")
        while (end := re.search(rb"EC2GW-RC=(\d+)\r?\n", self._said)) is None:
            got = self._socket.recv(4096)
            assert got, "the console was closed"
            self._said += got
        answer, self._said = self._said[: end.start()].decode(errors="replace").replace("\r", ""), self._said[end.end() :]
        assert end[1] == b"0", answer
        return answer

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def host(libvirt_hypervisor: hypervisor.Hypervisor) -> Iterator[hypervisor.Hypervisor]:
    yield libvirt_hypervisor
    for name in libvirt_hypervisor.domains():
        libvirt_hypervisor.power_off(name)
        libvirt_hypervisor.remove(name)


@pytest.fixture
def library(host: hypervisor.Hypervisor) -> Iterator[libvirt.virConnect]:
    """libvirt itself, to look at what was done and to do what others may do."""
    connection = libvirt.open(host.describe().rpartition(" ")[2])
    yield connection
    connection.close()


def boot(host: hypervisor.Hypervisor, started: ports.Machine) -> Shell:
    host.start(started)
    until(lambda: b"EC2GW-AGENT up" in host.console(started.name), said=lambda: host.console(started.name))
    return Shell(host.serial(started.name))


def test_a_guest_knows_its_machine_and_writes_to_the_layer_of_the_moment(
    host: hypervisor.Hypervisor, library: libvirt.virConnect, guest_image: Path, tmp_path: Path
) -> None:
    root = make_disk(tmp_path / "a.qcow2", "64M", backing=guest_image, backing_format="raw")
    data = make_disk(tmp_path / "b.qcow2", "8M")
    asked = machine(root, data)
    shell = boot(host, asked)

    identity = shell.run("cat /sys/class/dmi/id/product_uuid /sys/class/dmi/id/product_serial").split()
    assert identity[0].startswith("ec2") and identity[0] == identity[1] == domain_xml.machine_uuid(asked.name)
    assert shell.run("cat /sys/block/vdb/serial").strip() == ids.serial(asked.disks[1].name)

    shell.run("printf before | dd of=/dev/vdb conv=notrunc && echo before >/root/said && sync")
    sizes = ((root, "64M"), (data, "8M"))
    layers = [make_disk(tmp_path / f"over-{disk.path.name}", size, backing=disk.path) for disk, size in sizes]
    over = [replace(disk, source=layer) for disk, layer in zip(asked.disks, layers, strict=True)]
    host.switch(asked.name, over)
    shell.run("printf after! | dd of=/dev/vdb conv=notrunc && echo after >/root/said && sync")
    host.switch(asked.name, over)  # the same again: libvirt would refuse to put a layer on itself

    # An asked disk is given back by the system in the guest, which is not reset for it.
    host.unplug(asked.name, asked.disks[1].name, force=True)
    until(lambda: host.domains()[asked.name].disks == {asked.disks[0].name})
    assert "before" not in shell.run("cat /root/said") and host.console(asked.name).count(b"EC2GW-GUEST boot") == 1
    shell.close()

    def content(path: Path) -> bytes:
        raw = tmp_path / "content"
        subprocess.run(["qemu-img", "convert", "-O", "raw", str(path), str(raw)], check=True)
        return raw.read_bytes()

    assert content(data.path)[:6] == b"before" and content(layers[1].path)[:6] == b"after!"
    host.power_off(asked.name)
    for layer in (root, data, *layers):
        subprocess.run(["qemu-img", "check", "-q", str(layer.path)], check=True)

    # A frozen root boots as what it was at that moment.
    other = machine(make_disk(tmp_path / "c.qcow2", "64M", backing=root.path))
    shell = boot(host, other)
    assert shell.run("cat /root/said").strip() == "before"
    shell.close()


def test_ends_have_their_reasons(
    host: hypervisor.Hypervisor, library: libvirt.virConnect, guest_image: Path, tmp_path: Path
) -> None:
    asked = machine(make_disk(tmp_path / "a.qcow2", "64M", backing=guest_image, backing_format="raw"))
    shell = boot(host, asked)
    library.lookupByName(asked.name).suspend()
    assert host.domains()[asked.name].state == "paused"
    host.resume(asked.name)
    host.resume(asked.name)
    assert host.domains()[asked.name].state == "running"
    shell.run("(sleep 0.2; /etc/halt reboot) &")
    shell.close()
    until(lambda: host.console(asked.name).count(b"EC2GW-GUEST ready") == 2)
    assert host.observe(asked.name) == ports.Domain(asked.name, 1, "running", frozenset({asked.disks[0].name}))
    emulator = int((embedded_root(host) / "run" / "qemu" / f"{asked.name}.pid").read_text())
    os.kill(emulator, signal.SIGKILL)
    until(lambda: host.domains()[asked.name].state == "off")
    assert host.domains()[asked.name].shutdown == "failed"


def embedded_root(host: hypervisor.Hypervisor) -> Path:
    return Path(host.describe().partition("root=")[2])


def test_machines_of_others_are_left_alone(host: hypervisor.Hypervisor, library: libvirt.virConnect) -> None:
    name = ids.new("i")
    xml = f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>16</memory><os><type arch='x86_64'>hvm</type></os></domain>"
    foreign = library.defineXML(xml)
    assert host.observe(name) is None and name not in host.domains()
    foreign.undefine()


@pytest.mark.parametrize("kind", ["kvm", "tcg"])
def test_the_domain_is_valid_by_libvirts_own_schema(kind: accelerator.Accelerator) -> None:
    odd, raw = ports.DiskFile(Path("/a&<b>'\".qcow2"), "qcow2"), ports.DiskFile(Path("/r"), "raw")
    sources: list[ports.Source] = [odd, ports.BlockDevice(Path("/dev/vg/vol")), raw]
    disks = tuple(ports.Disk(f"vol-0{slot:016x}", source, slot) for slot, source in enumerate(sources))
    asked = ports.Machine(ids.new("i"), 7, 2, 512, disks)
    setting = domain_xml.Setting("g", kind, Path("/s"), Path("/l"))
    xml = domain_xml.domain(asked, setting, {disk.name: disk.slot != 1 for disk in disks})
    etree.RelaxNG(file="/usr/share/libvirt/schemas/domain.rng").assertValid(etree.fromstring(xml))
    assert domain_xml.read_mark(xml) == domain_xml.Mark("g", 7)
    assert domain_xml.read_disks(xml) == {
        disk.name: domain_xml.Plugged(f"vd{'abc'[disk.slot]}", disk.source.path) for disk in disks
    }
    assert domain_xml.target(25) == "vdz" and domain_xml.target(26) == "vdaa"


def test_disks_come_from_several_threads_at_once(host: hypervisor.Hypervisor, guest_image: Path, tmp_path: Path) -> None:
    asked = machine(make_disk(tmp_path / "a.qcow2", "64M", backing=guest_image, backing_format="raw"))
    boot(host, asked).close()
    disks = [ports.Disk(ids.new("vol"), make_disk(tmp_path / f"{slot}.qcow2", "4M"), slot) for slot in range(1, 9)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda disk: host.plug(asked.name, disk), disks))
        assert len(host.domains()[asked.name].disks) == 9
        list(pool.map(lambda disk: host.unplug(asked.name, disk.name), disks))
    until(lambda: len(host.domains()[asked.name].disks) == 1)


# -- Processes that are killed ---------------------------------------------------------------------------------------------


@pytest.fixture
def apart(tmp_path: Path, accelerated: accelerator.Accelerator) -> Iterator[list[str]]:
    """The argv of another process with a hypervisor of its own; the text to run comes after it."""
    (tmp_path / "state").mkdir()
    head = f"""
import json, os, sys, time
from pathlib import Path, PosixPath
from ec2gw.backend.ports import *
from ec2gw.backend.libvirt import domain_xml, embedded, hypervisor
host = hypervisor.Hypervisor(embedded.URI, Path({str(tmp_path / "state")!r}), {accelerated!r})
def show(name):
    seen = host.observe(name)
    print(json.dumps(None if seen is None else [seen.generation, seen.state, seen.shutdown]))
exec(sys.argv[1])
"""
    yield [sys.executable, "-c", head]
    shutil.rmtree(embedded.short_folder(tmp_path / "state"))


def run_apart(apart: list[str], text: str) -> tuple[int, list[object]]:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run([*apart, text], capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert not done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_a_guest_that_ends_while_nobody_looks_has_ended_itself(apart: list[str], guest_image: Path, tmp_path: Path) -> None:
    asked = machine(make_disk(tmp_path / "a.qcow2", "64M", backing=guest_image, backing_format="raw"))
    wait = f"host.start({asked!r})\nwhile b'EC2GW-AGENT up' not in host.console({asked.name!r}): time.sleep(0.05)\n"
    status, _ = run_apart(apart, wait + "os.kill(os.getpid(), 9)")
    assert status == -signal.SIGKILL
    note = tmp_path / "state" / "short-folder"
    shell = Shell(Path(note.read_text().strip()) / "tty" / f"{asked.name}.sock")
    shell.run("(sleep 0.1; /etc/halt poweroff) &")
    shell.close()
    log = tmp_path / "state" / "console" / f"{asked.name}.log"
    until(lambda: b"EC2GW-GUEST shutdown" in log.read_bytes())
    look = f"""
while host.observe({asked.name!r}).state != 'off': time.sleep(0.05)
show({asked.name!r})
"""
    assert run_apart(apart, look) == (0, [[1, "off", "guest"]])
    # The reason is kept, for a process that opens libvirt anew as well.
    assert run_apart(apart, look + f"host.remove({asked.name!r})") == (0, [[1, "off", "guest"]])


def test_a_machine_half_started_by_a_killed_process_is_adopted(apart: list[str], tmp_path: Path) -> None:
    asked = machine(make_disk(tmp_path / "a.qcow2", "8M"), generation=3)
    die = f"""
host.start({replace(asked, generation=2)!r}); host.power_off({asked.name!r}); show({asked.name!r}); sys.stdout.flush()
xml = domain_xml.domain({asked!r}, host._setting, {{{asked.disks[0].name!r}: True}})
host._connection().createXML(xml, 0)
os.kill(os.getpid(), 9)
"""
    assert run_apart(apart, die) == (-signal.SIGKILL, [[2, "off", "host"]])
    name = repr(asked.name)
    look = f"show({name}); host.power_off({name}); show({name}); host.remove({name}); show({name})"
    assert run_apart(apart, look) == (0, [[3, "running", None], [3, "off", "host"], None])


# -- The accelerator -------------------------------------------------------------------------------------------------------


def test_the_probe_passes_where_code_runs() -> None:
    assert accelerator.runs("tcg")


def test_kvm_is_taken_only_where_it_runs_the_probe(accelerated: accelerator.Accelerator) -> None:
    assert (accelerated == "kvm") == accelerator.runs("kvm")


def test_a_hidden_kvm_is_unusable_and_the_rest_of_dev_is_as_before() -> None:
    text = """
import os, threading
from ec2gw.backend.libvirt import accelerator
before = sorted(os.listdir('/dev'))
accelerator.hide_broken_kvm()
accelerator.hide_broken_kvm()
assert os.geteuid() or not os.access('/dev/kvm', os.R_OK | os.W_OK)
assert sorted(os.listdir('/dev')) == before
threading.Thread(target=lambda: open('/dev/null', 'wb').write(b'x')).start()
os.close(os.openpty()[0])
assert accelerator.probe() == 'tcg' or os.geteuid()
"""
    subprocess.run([sys.executable, "-c", text], check=True, env={**os.environ, "PYTHONPATH": str(PROJECT)})


def test_kvm_is_not_hidden_behind_the_back_of_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "KVM", tmp_path / "kvm")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "kvm").touch()
    waiting = threading.Event()
    thread = threading.Thread(target=waiting.wait)
    thread.start()
    with pytest.raises(ports.HostError):
        accelerator.hide_broken_kvm()
    waiting.set()
    thread.join()


# -- Folders and logs ------------------------------------------------------------------------------------------------------


def test_the_short_folder_is_short_and_stays(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60)
    deep.mkdir()
    short = embedded.short_folder(deep)
    assert len(str(short)) <= 48 and embedded.short_folder(deep) == short
    assert short.stat().st_mode & 0o777 == 0o700
    short.chmod(0o777)
    with pytest.raises(ports.HostError):
        embedded.short_folder(deep)
    short.rmdir()


def test_another_uri_is_taken_as_it_is(tmp_path: Path) -> None:
    assert embedded.prepare("qemu+ssh://host/system", tmp_path) == "qemu+ssh://host/system"
    root = Path("/tmp") / f"ec2gw-test-{os.getpid()}"
    assert embedded.prepare(f"qemu:///embed?root={root}", tmp_path) == f"qemu:///embed?root={root}"
    assert (root / "etc" / "qemu.conf").exists()
    shutil.rmtree(root)
    with pytest.raises(ports.HostError):
        embedded.prepare(f"qemu:///embed?root=/{'r' * 60}", tmp_path)


def test_a_talkative_guest_does_not_fill_the_disk(tmp_path: Path) -> None:
    log = tmp_path / "i-1.log"
    with log.open("ab") as emulator:
        emulator.write(os.urandom(4 * MIB))
        emulator.flush()
        kept = log.read_bytes()[-consoles.KEPT :]
        consoles.bound(tmp_path)
        assert log.stat().st_blocks * 512 < MIB
        assert consoles.newest(log) == kept
        emulator.write(b"more")
        emulator.flush()
    assert consoles.newest(log) == kept[4:] + b"more"
