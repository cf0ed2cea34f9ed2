"""Writes docs/conformance.md: the suite as told to every target, and to moto beside them, in one run of about five minutes.

It needs libvirt, QEMU and the guest image.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance import report, run
from conformance.story import Key, Target
from tests.conformance.conftest import serving
from tests.conformance.moto import Moto

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "conformance.md"
MARK = "<!-- What is below this line is written by `make conformance`. -->\n"


def simulated() -> run.Report:
    """The gateway with simulated machines."""
    with serving("simulated") as (_, target):
        return tell("ec2gw, simulated machines", target)


def libvirt() -> run.Report:
    """The gateway with real machines, and disks in files."""
    with serving("libvirt") as (_, target):
        return tell("ec2gw, libvirt with files", target)


def moto() -> run.Report:
    """moto_server, which needs no patience: its states change at once."""
    server = Moto()
    try:
        return tell("moto_server", Target(server.url, Key("testing", "testing"), patience=5))
    finally:
        server.stop()


TARGETS: Sequence[Callable[[], run.Report]] = (simulated, libvirt, moto)


def tell(name: str, target: Target) -> run.Report:
    """All stories to one target, with a line of what came of it."""
    told = dataclasses.replace(run.run(run.chosen(()), target, jobs=5), url=name)
    print(f"{name}: {told.totals} in {told.seconds:.0f} s", file=sys.stderr, flush=True)
    return told


def main() -> None:
    """Tell the stories to all targets at once and write the page; every step goes to build/conformance.json."""
    with ThreadPoolExecutor(len(TARGETS)) as pool:
        reports = list(pool.map(lambda told: told(), TARGETS))
    (ROOT / "build" / "conformance.json").write_text(report.as_json(reports), "utf-8")
    above = PAGE.read_text("utf-8").partition(MARK)[0]
    PAGE.write_text(above + MARK + "\n" + report.as_markdown(reports), "utf-8")


if __name__ == "__main__":
    main()
