"""What works on this host, what is missing and how to get it; and whether host and records agree. It changes nothing."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import rich.console
import rich.markup
import rich.table
import sqlalchemy.exc
from sqlalchemy import select

from ec2gw import app, config
from ec2gw.backend.ports import HostError
from ec2gw.backend.stores import raw
from ec2gw.state import records

_PACKAGES = {
    "qemu-system-x86_64": ("real machines", "apt-get install qemu-system-x86"),
    "qemu-img": ("qcow2 volumes and image import", "apt-get install qemu-utils"),
    "lvm": ("the LVM store", "apt-get install lvm2 thin-provisioning-tools"),
}


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `cure` is a command or a sentence; `grave` findings make the exit status 1 when they are not `well`."""

    what: str
    well: bool
    detail: str
    cure: str = ""
    grave: bool = False


def report(settings: config.Settings, console: rich.console.Console) -> int:
    """Print the findings; the exit status."""
    table = rich.table.Table("", "what", "finding", "to mend it", box=None, pad_edge=False)
    status = 0
    for finding in (*_host(settings), *_audit(settings)):
        mark = "[green]ok[/]" if finding.well else "[red]no[/]" if finding.grave else "[yellow]--[/]"
        table.add_row(mark, finding.what, rich.markup.escape(finding.detail), finding.cure if not finding.well else "")
        status |= finding.grave and not finding.well
    console.print(table)
    return int(status)


def _host(settings: config.Settings) -> Iterator[Finding]:
    yield Finding("Python", sys.version_info >= (3, 11), platform.python_version(), "Python 3.11 or later", grave=True)
    for program, (use, cure) in _PACKAGES.items():
        path = shutil.which(program)
        yield Finding(program, path is not None, path or f"not installed; needed for {use}", cure)
    library = importlib.util.find_spec("libvirt") is not None
    cure = "apt-get install libvirt-daemon libvirt-daemon-driver-qemu libvirt-dev gcc pkg-config && pip install 'ec2gw[libvirt]'"
    yield Finding("libvirt-python", library, "installed" if library else "not installed; needed for real machines", cure)
    yield from _accelerator(library)
    mapper = Path("/dev/mapper/control").exists()
    yield Finding("device-mapper", mapper, "there" if mapper else "not in this kernel: LVM cannot be used here", "modprobe dm-mod")
    folder = app.state_folder(settings)
    shares = raw.reflinks(folder / "volumes") if (folder / "volumes").exists() else raw.reflinks(folder / "probe")
    shutil.rmtree(folder / "probe", ignore_errors=True)
    yield Finding("reflink", shares, "raw files share blocks" if shares else "none: volumes are qcow2 layers", "put the state on XFS or btrfs")
    name, why = app.choose_hypervisor(settings)
    yield Finding("machines", True, f"{name}: {why}")


def _accelerator(library: bool) -> Iterator[Finding]:
    if not library or shutil.which("qemu-system-x86_64") is None:
        return
    from ec2gw.backend.libvirt import accelerator

    works = accelerator.probe() == "kvm"
    detail = "a guest reached 64-bit code under it" if works else "absent, or guests hang under it: they are emulated, far slower"
    yield Finding("KVM", works, detail, "a host with working hardware virtualization")


def _audit(settings: config.Settings) -> Iterator[Finding]:
    """Disks that no record accounts for, and records whose disk is missing."""
    try:
        database, _ = app.open_records(settings)
        disks = set(app.open_stores(settings, app.choose_hypervisor(settings)[0])[settings.zone_names[0]].observe())
        with database.read() as tx:
            volumes = dict(tx.db.execute(select(records.Volume.id, records.Volume.state)).tuples().all())
            snapshots = dict(tx.db.execute(select(records.Snapshot.id, records.Snapshot.state)).tuples().all())
            scratch = {disk["name"] for row in tx.db.scalars(select(records.Instance)) for disk in row.scratch}
    except (HostError, OSError, sqlalchemy.exc.SQLAlchemyError) as error:
        yield Finding("records and disks", False, str(error), grave=True)
        return
    stray = sorted(disks - set(volumes) - set(snapshots) - scratch)
    cure = "they are kept: look at them, then remove them by hand"
    yield Finding("stray disks", not stray, ", ".join(stray) or "none", cure, grave=True)
    made = {id for id, state in volumes.items() if state in ("available", "in-use")}
    made |= {id for id, state in snapshots.items() if state == "completed"}
    lost = sorted(made - disks)
    yield Finding("missing disks", not lost, ", ".join(lost) or "none", "restore them from a backup", grave=True)
