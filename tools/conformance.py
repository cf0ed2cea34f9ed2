"""Writes docs/conformance.md: the suite as told to every target, and to moto beside them, in one run of about eight minutes.

It needs libvirt, QEMU, the guest image, and what the lane on real LVM needs. There it is run with the name of a file, and leaves
what came of the stories of booting in it.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance import report, run
from conformance.story import Key, Target
from tests.conformance.conftest import JOBS, names, serving
from tests.conformance.moto import Moto

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "conformance.md"
MARK = "<!-- What is below this line is written by `make conformance`. -->\n"


def simulated() -> run.Report:
    """The gateway with simulated machines."""
    return gateway("ec2gw, simulated machines", "simulated")


def libvirt() -> run.Report:
    """The gateway with real machines, and disks in files."""
    return gateway("ec2gw, libvirt with files", "libvirt")


def lvm() -> run.Report:
    """The gateway with real machines, and disks in LVM: the stories of booting, inside the lane."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report"
        lane = [str(ROOT / "tests" / "lane" / "lvm.sh"), "-s", "-t", "900", "-w", folder, "--"]
        command = [*lane, sys.executable, "-m", "tools.conformance", str(file)]
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"PYTHON": sys.executable})
        (told,) = report.from_json(file.read_text("utf-8"))
    return told


def gateway(name: str, target: str) -> run.Report:
    """The stories of a target, as told to a gateway of its own."""
    with serving(target) as (_, served):
        return tell(name, served, target)


def moto() -> run.Report:
    """moto_server, which needs no patience: its states change at once."""
    server = Moto()
    try:
        return tell("moto_server", Target(server.url, Key("testing", "testing"), patience=5), "moto")
    finally:
        server.stop()


TARGETS: Sequence[Callable[[], run.Report]] = (simulated, libvirt, lvm, moto)


def tell(name: str, target: Target, kind: str) -> run.Report:
    """The stories of a kind of target, with a line of what came of it."""
    told = dataclasses.replace(run.run(names(kind), target, jobs=JOBS[kind]), url=name)
    print(f"{name}: {told.totals} in {told.seconds:.0f} s", file=sys.stderr, flush=True)
    return told


def main() -> None:
    """Tell the stories to all targets at once and write the page; every step goes to build/conformance.json."""
    if sys.argv[1:]:
        told = gateway("ec2gw, libvirt with LVM", "lvm")
        Path(sys.argv[1]).write_text(report.as_json([told]), "utf-8")
        return
    with ThreadPoolExecutor(len(TARGETS)) as pool:
        reports = list(pool.map(lambda told: told(), TARGETS))
    (ROOT / "build" / "conformance.json").write_text(report.as_json(reports), "utf-8")
    above = PAGE.read_text("utf-8").partition(MARK)[0]
    PAGE.write_text(above + MARK + "\n" + report.as_markdown(reports), "utf-8")


if __name__ == "__main__":
    main()
