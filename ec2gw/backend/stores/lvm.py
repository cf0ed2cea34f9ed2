"""Volumes as thin logical volumes of one LVM pool; it must not know who runs on them.

A disk is the LV of the same name with the tag `ec2gw`, which it gets when it is whole: an LV without it is one that a killed
process left half made, and the same verb finishes it. LVM's own metadata is the only memory. Sizes are rounded up to whole
extents by LVM.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ec2gw.backend import command, images, ports
from ec2gw.backend.stores.folder import check_size, checked, host_errors

# Percents of a pool's data and metadata space above which nothing new is made: the rest is for the volumes that are there.
_DATA_LIMIT = 98.0
_METADATA_LIMIT = 95.0
_UDEV = Path("/run/udev/control")
_FILLING = "filling-"
_VOLUME = ("--addtag", "ec2gw", "--addtag", "ec2gw.kind=volume")
_SNAPSHOT = ("--addtag", "ec2gw", "--addtag", "ec2gw.kind=snapshot")
_COLUMNS = (
    "lv_name,lv_tags,lv_size,lv_active,lv_device_open,lv_suspended,thin_id,"
    "pool_lv,chunk_size,data_percent,metadata_percent,zero,lv_when_full"
)
# What thin_dump says of a run of chunks, or of a single one.
_MAPPING = re.compile(r"<(?:single|range)_mapping ([^>]*)/>")
_NUMBER = re.compile(r'(\w+)="(\d+)"')


@dataclass(frozen=True)
class _Volume:
    """A thin LV of the pool: bytes, and what LVM says of it now."""

    size: int
    tagged: bool
    active: bool
    open: bool
    suspended: bool
    thin_id: int


@dataclass(frozen=True)
class _Pool:
    """The pool: bytes, bytes of a chunk, percents used, and the two settings that matter."""

    size: int
    chunk: int
    data_percent: float
    metadata_percent: float
    zero: str
    when_full: str


class LvmStore:
    """The thin pool `vg/pool`, which must exist. See `ports.VolumeStore`.

    Raises a final HostError at once when the pool would show a new volume old data of another (`zero` off), or would let a full
    pool hang its writers (`errorwhenfull` off).
    """

    def __init__(self, vg: str, pool: str) -> None:
        self._vg = vg
        self._pool = pool
        self._lock = threading.Lock()
        found, volumes = self._report()
        if found.zero != "zero":
            raise ports.HostError(f"set `lvchange --zero y {vg}/{pool}`: new volumes would show old data", final=True)
        if found.when_full != "error":
            raise ports.HostError(f"set `lvchange --errorwhenfull y {vg}/{pool}`: a full pool would hang machines", final=True)
        for name, volume in volumes.items():
            if volume.suspended:  # an lvcreate was killed in the middle of a snapshot; whoever writes there waits
                self._lvm("lvchange", "--refresh", self._path(name))

    def observe(self) -> Mapping[str, int]:
        with self._lock:
            volumes = self._report()[1]
        return {name: volume.size for name, volume in volumes.items() if volume.tagged and not name.startswith(_FILLING)}

    def create(self, name: str, size: int, origin: str | None = None) -> None:
        with self._lock:
            pool, volumes = self._report()
            made = volumes.get(checked(name))
            if made is not None and made.tagged:
                return
            base = self._base(volumes, name, size, origin)
            begun = made or base
            short = begun is not None and begun.size < size
            # What must still grow is tagged when it has.
            tags = () if short else _VOLUME
            if made is None:
                self._need_space(pool)
                if base is None:
                    self._lvm("lvcreate", *tags, "-V", f"{size}b", "-T", f"{self._vg}/{self._pool}", "-n", name)
                else:
                    self._lvm("lvcreate", *tags, "-s", "-kn", "-prw", "-n", name, self._path(str(origin)))
            if short:
                self._lvm("lvextend", "-L", f"{size}b", self._path(name))
            if made is not None or short:
                self._lvm("lvchange", *_VOLUME, self._path(name))

    def snapshot(self, volume: str, name: str) -> None:
        with self._lock:
            pool, volumes = self._report()
            made = volumes.get(checked(name))
            if made is None:
                self._found(volumes, volume)
                self._need_space(pool)
                self._lvm("lvcreate", "-s", "-pr", *_SNAPSHOT, "-n", name, self._path(volume))
            elif not made.tagged:
                self._lvm("lvchange", *_SNAPSHOT, self._path(name))

    def copy(self, origin: str, name: str) -> None:
        """A thin snapshot of the snapshot."""
        self.snapshot(origin, name)

    def settle(self, snapshot: str) -> None:
        """Nothing is owed: a thin snapshot depends on no other LV."""

    def grow(self, name: str, size: int) -> None:
        with self._lock:
            if self._found(self._report()[1], name).size < size:
                self._lvm("lvextend", "-L", f"{size}b", self._path(name))

    def remove(self, name: str) -> None:
        with self._lock:
            volumes = self._report()[1]
            for gone in (checked(name), _FILLING + name):
                if gone not in volumes:
                    continue
                if volumes[gone].open:
                    raise ports.HostError(f"{gone} is in use")
                self._lvm("lvremove", "-y", self._path(gone))

    def source(self, name: str) -> ports.Source:
        """Activates the LV when it is not: after a restart of the host, and always for a snapshot."""
        device = Path("/dev", self._vg, checked(name))
        if not device.exists():
            with self._lock:
                try:
                    self._lvm("lvchange", "-ay", "-K", "-S", "tags=ec2gw", self._path(name))
                except command.CommandFailed:
                    self._found(self._report()[1], name)
                    raise
            if not device.exists():
                raise ports.HostError(f"{device} is not there although it was activated")
        return ports.BlockDevice(device)

    def fill(self, name: str, image: Path, image_format: str, progress: Callable[[float], None]) -> None:
        with self._lock:
            pool, volumes = self._report()
            if name in volumes:
                return
            self._need_space(pool)
            info = images.accepted(image, image_format)
            device = self._begin(volumes, name, images.whole_gib(info.virtual_size))
        images.convert(image, info, device, "raw", progress, existing=True)
        self._finish(name)

    def assemble(self, name: str, size: int, origin: str | None, blocks: Iterable[tuple[int, Path]]) -> None:
        with self._lock:
            pool, volumes = self._report()
            if name in volumes:
                return
            self._need_space(pool)
            device = self._begin(volumes, name, size, origin)
        with host_errors(), device.open("r+b") as file:
            for at, block in blocks:
                file.seek(at)
                file.write(block.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        self._finish(name)

    def extents(self, snapshot: str) -> Sequence[ports.Extent]:
        """As the pool's own metadata has it, of which device-mapper holds one copy still for those who ask."""
        path = self.source(snapshot).path
        device = "-".join(name.replace("-", "--") for name in (self._vg, self._pool))
        with self._lock:
            pool, volumes = self._report()
            found = self._found(volumes, snapshot)
            self._dmsetup(device, "reserve_metadata_snap")
            try:
                dump = ["thin_dump", "--metadata-snap", "--dev-id", str(found.thin_id), f"/dev/mapper/{device}_tmeta"]
                report = command.run(dump, timeout=600)
            finally:
                self._dmsetup(device, "release_metadata_snap")
        inode = path.stat().st_ino
        extents = []
        for text in _MAPPING.findall(report):
            said = {name: int(value) for name, value in _NUMBER.findall(text)}
            start, home = (pool.chunk * said.get(f"{what}_begin", said.get(f"{what}_block", 0)) for what in ("origin", "data"))
            length = min(pool.chunk * said.get("length", 1), found.size - start)
            extents.append(ports.Extent(start, length, path, start, inode, (device, home)))
        return extents

    def capacity(self) -> tuple[int, int]:
        with self._lock:
            pool = self._report()[0]
        return pool.size, int(pool.size * (100 - pool.data_percent) / 100)

    def _base(self, volumes: Mapping[str, _Volume], name: str, size: int, origin: str | None) -> _Volume | None:
        """What `name` is to be made from, None for nothing."""
        if origin is None:
            return None
        base = self._found(volumes, origin)
        check_size(name, size, origin, base.size)
        return base

    def _begin(self, volumes: Mapping[str, _Volume], name: str, size: int, origin: str | None = None) -> Path:
        """A device to write a snapshot to, under a name that is not its own yet.

        What a killed process left of it is removed by the next `_begin`, or by `remove`.
        """
        filling = _FILLING + checked(name)
        base = self._base(volumes, name, size, origin)
        if filling in volumes:
            self._lvm("lvremove", "-y", self._path(filling))
        if base is None:
            self._lvm("lvcreate", "-V", f"{size}b", "-T", f"{self._vg}/{self._pool}", "-n", filling)
        else:
            self._lvm("lvcreate", "-s", "-kn", "-prw", "-n", filling, self._path(str(origin)))
            if base.size < size:
                self._lvm("lvextend", "-L", f"{size}b", self._path(filling))
        return Path("/dev", self._vg, filling)

    def _finish(self, name: str) -> None:
        """What was written is a snapshot, whole and frozen."""
        filling = self._path(_FILLING + name)
        with self._lock:
            self._lvm("lvchange", "-an", filling)
            self._lvm("lvchange", "-pr", "-ky", *_SNAPSHOT, filling)
            self._lvm("lvrename", filling, self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._vg}/{name}"

    def _found(self, volumes: Mapping[str, _Volume], name: str) -> _Volume:
        found = volumes.get(checked(name))
        if found is None or not found.tagged:
            raise ports.HostError(f"there is no disk {name}", final=True)
        return found

    def _need_space(self, pool: _Pool) -> None:
        for what, used, limit in (
            ("data", pool.data_percent, _DATA_LIMIT),
            ("metadata", pool.metadata_percent, _METADATA_LIMIT),
        ):
            if used >= limit:
                raise ports.HostError(f"the thin pool {self._vg}/{self._pool} is full: {used:.1f} % of its {what}", final=True)

    def _report(self) -> tuple[_Pool, dict[str, _Volume]]:
        """The pool and its thin LVs by name."""
        text = self._lvm("lvs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", _COLUMNS, self._vg)
        pool: _Pool | None = None
        volumes = {}
        for row in json.loads(text)["report"][0]["lv"]:
            if row["lv_name"] == self._pool and not row["pool_lv"]:
                pool = _Pool(
                    int(row["lv_size"]),
                    int(row["chunk_size"]),
                    float(row["data_percent"] or 0),
                    float(row["metadata_percent"] or 0),
                    row["zero"],
                    row["lv_when_full"],
                )
            elif row["pool_lv"] == self._pool:
                volumes[row["lv_name"]] = _Volume(
                    int(row["lv_size"]),
                    "ec2gw" in row["lv_tags"].split(","),
                    row["lv_active"] == "active",
                    row["lv_device_open"] == "open",
                    row["lv_suspended"] == "suspended",
                    int(row["thin_id"]),
                )
        if pool is None:
            raise ports.HostError(f"there is no thin pool {self._vg}/{self._pool}", final=True)
        return pool, volumes

    def _dmsetup(self, device: str, message: str) -> None:
        """Tell the pool. A copy of its metadata that a killed process held is let go of first."""
        argv = ["dmsetup", "message", f"{device}-tpool", "0"]
        try:
            command.run([*argv, message], environment=_environment())
        except command.CommandFailed:
            if message != "reserve_metadata_snap":
                raise
            command.run([*argv, "release_metadata_snap"], environment=_environment())
            command.run([*argv, message], environment=_environment())

    def _lvm(self, program: str, *arguments: str) -> str:
        return command.run([program, *([] if program == "lvs" else ["-qq"]), *arguments], environment=_environment())


def _environment() -> Mapping[str, str]:
    # Without a udevd, device-mapper must make its nodes itself or wait for ever.
    return {"LVM_SUPPRESS_FD_WARNINGS": "1", **({} if _UDEV.exists() else {"DM_DISABLE_UDEV": "1"})}
