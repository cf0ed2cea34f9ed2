"""Stores and disks as the tests of the backend handle them: made, written and read as a machine would, killed, and searched."""

from __future__ import annotations

import itertools
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ec2gw.backend import ports
from ec2gw.backend.stores import lvm, qcow2, raw

MIB = 1 << 20
GIB = 1 << 30
SIZE = 8 * MIB

POOL = os.environ.get("EC2GW_LVM")
KINDS = ["lvm"] if POOL else ["raw", "qcow2"]


def open_store(kind: str, folder: Path) -> ports.VolumeStore:
    if kind == "lvm":
        vg, pool = str(POOL).split("/")
        return lvm.LvmStore(vg, pool)
    return raw.RawStore(folder) if kind == "raw" else qcow2.Qcow2Store(folder)


def new(prefix: str) -> str:
    return f"{prefix}-0{secrets.token_hex(8)}"


def place(store: ports.VolumeStore, name: str) -> tuple[Path, str]:
    source = store.source(name)
    return source.path, source.format if isinstance(source, ports.DiskFile) else "raw"


def write(store: ports.VolumeStore, name: str, byte: int, at: int, length: int = 65536) -> None:
    """As a machine would: to whatever `source` names."""
    path, form = place(store, name)
    if form == "raw":
        with path.open("r+b") as file:
            file.seek(at)
            file.write(bytes([byte]) * length)
            file.flush()
            os.fsync(file.fileno())
    else:
        subprocess.run(["qemu-io", "-f", form, "-c", f"write -q -P {byte} {at} {length}", str(path)], check=True)


def content(store: ports.VolumeStore, name: str, length: int | None = None) -> bytes:
    """The disk's bytes, or its first `length`."""
    path, form = place(store, name)
    if form == "raw":
        with path.open("rb") as file:
            return file.read(-1 if length is None else length)
    flat = path.with_name(f"{path.name}.judged")
    try:
        limit = [] if length is None else [f"count={length // 65536}"]
        if limit:
            argv = ["qemu-img", "dd", "-U", "-f", form, "-O", "raw", "bs=65536", *limit, f"if={path}", f"of={flat}"]
        else:
            argv = ["qemu-img", "convert", "-U", "-f", form, "-O", "raw", str(path), str(flat)]
        subprocess.run(argv, check=True)
        return flat.read_bytes()
    finally:
        flat.unlink()


def pattern(*pieces: tuple[int, int], size: int = SIZE) -> bytes:
    """Zeros, but for 64 KiB of `byte` at each `at`."""
    disk = bytearray(size)
    for byte, at in pieces:
        disk[at : at + 65536] = bytes([byte]) * 65536
    return bytes(disk)


def same(one: bytes, other: bytes) -> bool:
    """As ==, but without pytest printing megabytes when it is false."""
    return one == other


def silent(percent: float) -> None:
    """A progress listener that does not care."""


# Python's audit events that come before each step by which a store changes the host.
STEPS = frozenset(
    {
        "open",
        "os.rename",
        "os.symlink",
        "os.mkdir",
        "os.remove",
        "os.rmdir",
        "os.truncate",
        "os.chmod",
        "fcntl.flock",
        "subprocess.Popen",
    }
)


def killed_at(step: int, deed: Callable[[], object], events: frozenset[str] = STEPS) -> bool:
    """Do `deed` in a child process that is killed just before its host step number `step`. False when it got to the end."""
    child = os.fork()
    if child == 0:
        left = itertools.count(step, -1)

        def hook(event: str, _: tuple[object, ...]) -> None:
            if event in events and next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            sys.addaudithook(hook)
            deed()
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the deed failed by itself"
    return os.WIFSIGNALED(status)


def leftovers(kind: str, store: ports.VolumeStore, folder: Path) -> None:
    """Fail when anything is on the host that no disk of the store accounts for."""
    if kind == "lvm":
        report = subprocess.run(
            ["lvs", "--noheadings", "-o", "lv_name", str(POOL).split("/")[0]], check=True, capture_output=True
        )
        assert set(report.stdout.decode().split()) == {*store.observe(), str(POOL).split("/")[1]}
        return
    assert list((folder / "work").iterdir()) == []
    if kind == "raw":
        assert {path.name for path in (folder / "disks").iterdir()} == {f"{name}.raw" for name in store.observe()}
        return
    reached = {path for name in store.observe() for path in chain(store, name)}
    assert {path.name for path in (folder / "layers").iterdir()} == reached
    assert {path.name for path in (folder / "refs").iterdir()} == set(store.observe())


def chain(store: ports.VolumeStore, name: str) -> list[str]:
    """The files below a qcow2 disk and its own, as qemu-img finds them."""
    argv = ["qemu-img", "info", "-U", "--backing-chain", "--output=json", str(store.source(name).path)]
    report = subprocess.run(argv, check=True, capture_output=True)
    return [Path(layer["filename"]).name for layer in json.loads(report.stdout)]
