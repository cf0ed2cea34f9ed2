"""EBS volume types: their limits and defaults, and the one check of a wished volume against them.

Numbers: API_CreateVolume and API_EbsBlockDevice (2016-11-15 model); ratios: EBS User Guide, "General Purpose SSD" and
"Provisioned IOPS SSD".
"""

from __future__ import annotations

from dataclasses import dataclass

from ec2gw.model import errors

DEFAULT = "gp2"
GIB = 1024**3


@dataclass(frozen=True)
class VolumeType:
    """Limits of a type: `sizes` in GiB, `iops` where the caller may name them, `per_gib` the most IOPS for each GiB."""

    name: str
    sizes: tuple[int, int]
    iops: tuple[int, int] | None = None
    per_gib: int = 0
    bootable: bool = True


TYPES = {
    kind.name: kind
    for kind in (
        VolumeType("gp3", (1, 65_536), (3_000, 80_000), 500),
        VolumeType("gp2", (1, 16_384)),
        VolumeType("io1", (4, 16_384), (100, 64_000), 50),
        VolumeType("io2", (4, 65_536), (100, 256_000), 1_000),
        VolumeType("st1", (125, 16_384), bootable=False),
        VolumeType("sc1", (125, 16_384), bootable=False),
        VolumeType("standard", (1, 1_024)),
    )
}
RATES = (100, 300)  # MiB/s at which a volume is filled from its snapshot (API_CreateVolume)
GP3_IOPS, GP3_THROUGHPUT, MOST_THROUGHPUT = 3_000, 125, 2_000
MOST_THROUGHPUT_PER_IOPS = 0.25


@dataclass(frozen=True)
class Shape:
    """A volume as it will be: GiB, IOPS (None where the type has none), throughput in MiB/s (gp3 only)."""

    type: str
    size: int
    iops: int | None
    throughput: int | None


def shape(type_name: str | None, size: int, iops: int | None = None, throughput: int | None = None) -> Shape:
    """Settle type, IOPS and throughput of a volume of `size` GiB. Raises Invalid or Conflict as EC2 does."""
    kind = TYPES.get(type_name or DEFAULT)
    if kind is None:
        raise errors.Invalid("volume-type-unknown", type=type_name)
    least, most = kind.sizes
    if size < least:
        raise errors.Invalid("volume-too-small", size=size, minimum=least)
    if size > most:
        raise errors.Invalid("volume-too-large", size=size, maximum=most)
    if throughput is not None and kind.name != "gp3":
        raise errors.Conflict("throughput-unsupported")
    return Shape(kind.name, size, _iops(kind, size, iops), _throughput(kind, iops, throughput))


def reshape(
    old: Shape, *, size: int | None = None, type_name: str | None = None, iops: int | None = None, throughput: int | None = None
) -> Shape:
    """Settle what a volume becomes (API_ModifyVolume): what is not said stays, and is the new type's default where the type
    changes. Raises as `shape` does.
    """
    kind = type_name or old.type
    if iops is None and kind in ("gp3", "io1", "io2"):
        iops = old.iops if kind == old.type else GP3_IOPS
    if throughput is None and kind == old.type == "gp3":
        throughput = old.throughput
    return shape(kind, old.size if size is None else size, iops, throughput)


def check_rate(rate: int | None, snapshot_id: str | None) -> None:
    """Raise unless a volume of this snapshot can be asked to be filled at this rate (MiB/s)."""
    if rate is None:
        return
    if snapshot_id is None:
        raise errors.Conflict("parameter-dependency", parameter="VolumeInitializationRate", other="SnapshotId")
    if not RATES[0] <= rate <= RATES[1]:
        why = f"It must be {RATES[0]} to {RATES[1]}."
        raise errors.Invalid("invalid-value", value=rate, parameter="volumeInitializationRate", why=why)


def _iops(kind: VolumeType, size: int, iops: int | None) -> int | None:
    if kind.iops is None:
        if iops is not None:
            raise errors.Conflict("iops-unsupported", type=kind.name)
        return max(100, min(16_000, 3 * size)) if kind.name == "gp2" else None
    if iops is None:
        if kind.name != "gp3":
            raise errors.Conflict("iops-missing", type=kind.name)
        return GP3_IOPS
    least, most = kind.iops
    if iops < least:
        raise errors.Invalid("iops-too-low", iops=iops, minimum=least)
    if iops > most:
        raise errors.Invalid("iops-too-high", iops=iops, maximum=most)
    if iops > kind.per_gib * size and not (kind.name == "gp3" and iops == GP3_IOPS):
        raise errors.Conflict("iops-ratio", ratio=iops / size, maximum=kind.per_gib)
    return iops


def _throughput(kind: VolumeType, iops: int | None, throughput: int | None) -> int | None:
    if kind.name != "gp3":
        return None
    if throughput is None:
        return GP3_THROUGHPUT
    if not GP3_THROUGHPUT <= throughput <= MOST_THROUGHPUT:
        raise errors.Invalid("throughput-out-of-range", throughput=throughput, minimum=GP3_THROUGHPUT, maximum=MOST_THROUGHPUT)
    ratio = throughput / (iops or GP3_IOPS)
    if ratio > MOST_THROUGHPUT_PER_IOPS:
        raise errors.Conflict("throughput-ratio", ratio=ratio, maximum=MOST_THROUGHPUT_PER_IOPS)
    return throughput
