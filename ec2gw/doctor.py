"""What works on this host, what is missing and how to get it; and whether host and records agree. It changes nothing."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import tempfile
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
from ec2gw.state import migrate, records
from ec2gw.state.session import Database

_PROGRAMS = {
    "qemu-system-x86_64": ("real machines", "apt-get install qemu-system-x86"),
    "qemu-img": ("qcow2 volumes and image import", "apt-get install qemu-utils"),
    "lvm": ("the LVM store", "apt-get install lvm2 thin-provisioning-tools"),
}
_LIBVIRT = (
    "apt-get install libvirt-daemon libvirt-daemon-driver-qemu libvirt-dev pkg-config gcc python3-dev, "
    "then pip install 'ec2gw[libvirt]'"
)


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `cure` is a command or a sentence. A `grave` one that is not `well` makes the exit status 1."""

    what: str
    well: bool
    detail: str
    cure: str = ""
    grave: bool = False


def report(settings: config.Settings, console: rich.console.Console) -> int:
    """Print the findings. Returns 0 when all that these settings need is there and nothing is lost, else 1."""
    findings = [*_host(settings), *_audit(settings)]
    table = rich.table.Table("", "what", "finding", box=None, pad_edge=False)
    for finding in findings:
        mark = "[green]ok[/]" if finding.well else "[red]no[/]" if finding.grave else "[yellow]--[/]"
        table.add_row(mark, finding.what, rich.markup.escape(finding.detail))
    console.print(table)
    for finding in findings:
        if not finding.well and finding.cure:
            console.print(f"{finding.what}: {finding.cure}", style="bold", markup=False, soft_wrap=True)
    return int(any(finding.grave and not finding.well for finding in findings))


# -- The host ------------------------------------------------------------------------------------------------------------------


def _host(settings: config.Settings) -> Iterator[Finding]:
    yield Finding("Python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or later", grave=True)
    name, why = app.choose_hypervisor(settings)
    real, on_lvm = name != "simulated", settings.volumes.startswith("lvm")
    needed = {"qemu-system-x86_64": real, "qemu-img": real, "lvm": on_lvm}
    for program, (use, cure) in _PROGRAMS.items():
        path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
        yield Finding(program, path is not None, path or f"not installed; needed for {use}", cure, grave=needed[program])
    library = importlib.util.find_spec("libvirt") is not None
    yield Finding(
        "libvirt-python", library, "installed" if library else "not installed; needed for real machines", _LIBVIRT, real
    )
    if real:
        yield from _accelerator(library)
    mapper = Path("/dev/mapper/control").exists()
    detail = "there" if mapper else "not in this kernel, or not loaded: LVM cannot be used here"
    yield Finding("device-mapper", mapper, detail, "modprobe dm-thin-pool", grave=on_lvm)
    yield _reflink(settings)
    psycopg = importlib.util.find_spec("psycopg") is not None
    detail = "psycopg is installed" if psycopg else "psycopg is not installed; needed for records in PostgreSQL"
    asked = settings.database_url.startswith("postgresql")
    yield Finding("PostgreSQL", psycopg, detail, "pip install 'ec2gw[postgres]'", grave=asked)
    yield Finding("machines", True, f"{name} ({why})")


def _accelerator(library: bool) -> Iterator[Finding]:
    if not library or shutil.which("qemu-system-x86_64") is None:
        return
    from ec2gw.backend.libvirt import accelerator

    works = accelerator.probe() == "kvm"
    detail = "a guest reached 64-bit code under it" if works else "absent, or guests hang under it: they are emulated, far slower"
    yield Finding("KVM", works, detail, "take a host with working hardware virtualization, and a user who may open /dev/kvm")


def _reflink(settings: config.Settings) -> Finding:
    """Tried in the state folder, or where it would be made."""
    folder = next(path for path in (settings.state, *settings.state.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryDirectory(prefix=".ec2gw-doctor-", dir=folder) as probe:
            shares = raw.reflinks(Path(probe))
    except OSError as error:
        return Finding("reflink", False, f"cannot be tried in {folder}: {error.strerror}")
    detail = "files share blocks: volumes are raw files" if shares else "files cannot share blocks: volumes are qcow2 layers"
    return Finding("reflink", shares, f"{detail} ({folder})", "nothing is wrong; XFS or btrfs would give raw files")


# -- The records and the host ----------------------------------------------------------------------------------------------------


def _audit(settings: config.Settings) -> Iterator[Finding]:
    """Disks and machines that no record accounts for, records whose disk is missing, imports that were cut off."""
    try:
        if migrate.revision(settings.database_url) is None:
            yield Finding("records", True, f"none yet in {settings.state}")
            return
        database = Database(settings.database_url)
        disks = set(app.store_beside(settings).observe())
        machines = _machines(settings)
    except (HostError, OSError, sqlalchemy.exc.SQLAlchemyError, app.CannotServe, config.Unkept) as error:
        yield Finding("records and disks", False, str(error).splitlines()[0], grave=True)
        return
    with database.read() as tx:
        instances = {row.id: row for row in tx.db.scalars(select(records.Instance))}
        volumes = dict(tx.db.execute(select(records.Volume.id, records.Volume.state)).all())
        snapshots = dict(tx.db.execute(select(records.Snapshot.id, records.Snapshot.state)).all())
        scratch = {disk["name"] for row in instances.values() for disk in row.scratch}
    database.close()
    yield Finding("records", True, f"{len(instances)} instances, {len(volumes)} volumes, {len(snapshots)} snapshots")
    stray = disks - set(volumes) - set(snapshots) - scratch
    yield _list("stray disks", stray, "no record accounts for them; look at them, then remove them by hand")
    made = {id for id, state in volumes.items() if state in ("available", "in-use")}
    made |= {id for id, state in snapshots.items() if state == "completed"}
    yield _list("missing disks", made - disks, "restore them from a backup, or delete their records through the API")
    if machines is None:
        yield Finding("stray machines", True, "not looked for: the gateway that serves has the hypervisor")
    else:
        alive = {row.id for row in instances.values() if row.state != "terminated"}
        yield _list("stray machines", machines - alive, "no record accounts for them; end them by virsh")


def _machines(settings: config.Settings) -> set[str] | None:
    """The machines that the hypervisor has of this gateway, or None while a server holds it."""
    name, _ = app.choose_hypervisor(settings)
    try:
        with app.sole_server(settings):
            hypervisor = app.open_hypervisor(settings, name)
            try:
                return set(hypervisor.domains())
            finally:
                hypervisor.close()
    except app.CannotServe:
        return None


def _list(what: str, names: set[str], cure: str) -> Finding:
    return Finding(what, not names, ", ".join(sorted(names)) or "none", cure, grave=True)
