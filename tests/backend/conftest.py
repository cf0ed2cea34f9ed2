"""The hypervisors that the contract is judged on, each with what a test needs to work on it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ec2gw.backend import ports, simulated
from ec2gw.backend.libvirt import accelerator, embedded, hypervisor

PROJECT = Path(__file__).resolve().parents[2]


def until(true: Callable[[], object], seconds: float = 60.0, said: Callable[[], object] = lambda: "") -> None:
    """Wait for `true` to become so; when it does not, what was `said` tells why."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not so within {seconds} seconds: {said()!r}"
        time.sleep(0.05)


@dataclass(frozen=True)
class Bench:
    """A hypervisor, and what is peculiar to it.

    `deaf` is one whose guests have nobody in them on a blank disk. `opener` is the Python text that opens one more of the kind on
    the folder `folder`, in another process. `guest` makes a volume with an operating system in it. `speaks`: that system tells on
    the console what it sees of its disks.
    """

    hypervisor: ports.Hypervisor
    deaf: ports.Hypervisor
    opener: str
    guest: Callable[[Path], ports.DiskFile]
    speaks: bool


def make_disk(
    path: Path, size: str, form: str = "qcow2", backing: Path | None = None, backing_format: str = "qcow2"
) -> ports.DiskFile:
    """A disk file made by qemu-img."""
    behind = ["-b", str(backing), "-F", backing_format] if backing else []
    subprocess.run(["qemu-img", "create", "-q", "-f", form, *behind, str(path), size], check=True)
    return ports.DiskFile(path, "qcow2" if form == "qcow2" else "raw")


@pytest.fixture(scope="session")
def guest_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("guest") / "guest.img"
    subprocess.run([sys.executable, str(PROJECT / "guest" / "build.py"), str(out)], check=True)
    return out


@pytest.fixture(scope="session")
def accelerated() -> accelerator.Accelerator:
    """The accelerator that works here, with a KVM that does not work out of libvirt's sight."""
    found = accelerator.probe()
    if found == "tcg":
        accelerator.hide_broken_kvm()
    return found


@pytest.fixture(scope="session")
def libvirt_hypervisor(
    tmp_path_factory: pytest.TempPathFactory, accelerated: accelerator.Accelerator
) -> Iterator[hypervisor.Hypervisor]:
    """One for all tests: libvirt's embedded driver admits one root per process."""
    folder = tmp_path_factory.mktemp("libvirt")
    opened = hypervisor.Hypervisor(embedded.URI, folder, accelerated)
    try:
        yield opened
        for name in opened.domains():
            opened.power_off(name)
            opened.remove(name)
    finally:
        opened.close()
        shutil.rmtree(embedded.short_folder(folder))


@pytest.fixture(params=["simulated", "libvirt"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "simulated":
        opener = "from ec2gw.backend import simulated\nhypervisor = simulated.Hypervisor(folder)"
        obedient = simulated.Hypervisor(tmp_path / "obedient")
        deaf = simulated.Hypervisor(tmp_path / "deaf", obedient=False)
        yield Bench(obedient, deaf, opener, lambda path: make_disk(path, "64M"), speaks=False)
        return
    opened = request.getfixturevalue("libvirt_hypervisor")
    image = request.getfixturevalue("guest_image")
    found = request.getfixturevalue("accelerated")
    opener = "from ec2gw.backend.libvirt import embedded, hypervisor\n"
    opener += f"hypervisor = hypervisor.Hypervisor(embedded.URI, folder, {found!r})"
    yield Bench(opened, opened, opener, lambda path: make_disk(path, "64M", backing=image, backing_format="raw"), speaks=True)
    for name in opened.domains():
        opened.power_off(name)
        opened.remove(name)
