"""The instance types: what machine each name stands for. Pure data and one look-up; it must not know what a host can bear.

Only types that an x86 host can run. Numbers are those of EC2's own tables (EC2 Instance Types guide; DescribeInstanceTypes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ec2gw.model import errors

MOST_ATTACHMENTS = 28  # EBS volumes and network interfaces of one machine (EBS User Guide, "Volume limits", Nitro)


@dataclass(frozen=True)
class InstanceType:
    """A machine by name. `storage` is its instance store: how many disks, and the GB of each; `clock` is in GHz."""

    name: str
    vcpus: int
    threads: int  # a core has so many
    memory_mib: int
    storage: tuple[int, int] | None
    storage_kind: str
    architectures: tuple[str, ...]
    virtualizations: tuple[str, ...]
    hypervisor: str
    manufacturer: str
    clock: float
    burstable: bool
    current: bool
    free_tier: bool
    network: str
    interfaces: tuple[int, int]  # network interfaces, and IPv4 addresses of each
    max_attachments: int = MOST_ATTACHMENTS

    @property
    def family(self) -> str:
        """What stands before the dot."""
        return self.name.partition(".")[0]

    @property
    def cores(self) -> int:
        """How many cores its threads make."""
        return self.vcpus // self.threads

    @property
    def valid_cores(self) -> range:
        """How many cores an instance may be launched with."""
        return range(self.cores, self.cores + 1) if self.family in _FIXED_CORES else range(1, self.cores + 1)

    @property
    def valid_threads(self) -> range:
        """How many threads a core of an instance may have."""
        return range(self.threads, self.threads + 1) if self.family in _FIXED_CORES else range(1, self.threads + 1)

    @property
    def ebs_optimized(self) -> str:
        """Whether the way to its volumes is its own: `default`, `supported` (for the asking) or `unsupported`."""
        if self.family not in _SHARED_PATH:
            return "default"
        return "supported" if self.name in _OWN_PATH else "unsupported"

    def check_runs(self, architecture: str, virtualization: str) -> None:
        """Raise for an image of another architecture, and for a paravirtual one where the type has hvm alone."""
        if architecture not in self.architectures:
            raise errors.Invalid(
                "instance-type-architecture", architecture=self.architectures[0], image_architecture=architecture
            )
        if virtualization != "hvm" and virtualization not in self.virtualizations:
            raise errors.Conflict("instance-type-virtualization", type=self.name)

    @property
    def strategies(self) -> tuple[str, ...]:
        """Of which placement groups its instances can be (EC2 User Guide, "Cluster placement groups")."""
        return ("partition", "spread") if self.burstable or self.family in _APART else ("cluster", "partition", "spread")

    @property
    def disks(self) -> tuple[int, ...]:
        """The size of each instance-store disk: `ephemeral0` first."""
        count, size = self.storage or (0, 0)
        return (size,) * count


def find(name: str) -> InstanceType:
    """The type of that name. Raises Invalid for one that there is not."""
    try:
        return TYPES[name]
    except KeyError:
        raise errors.Invalid("instance-type-unknown", type=name) from None


# -- the catalogue ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Family:
    """What the sizes of a family share. A row of `sizes` is `size vCPUs GiB [disks x GB]`, `speeds` is `size:Gigabit`."""

    name: str
    sizes: str
    clock: float
    manufacturer: str = "Intel"
    hypervisor: str = "nitro"
    threads: int = 2
    virtualizations: tuple[str, ...] = ("hvm",)
    i386: tuple[str, ...] = ()  # the sizes that also take 32-bit images
    burstable: bool = False
    current: bool = True
    disk: str = "ssd"
    network: str = "Up to 10 Gigabit"  # of sizes that `speeds` does not name
    speeds: str = ""


_BOTH = ("hvm", "paravirtual")
_M5 = "8xlarge:10 12xlarge:12 16xlarge:20 24xlarge:25"
_M5A = "12xlarge:10 16xlarge:12 24xlarge:20"
_C5 = "9xlarge:12 12xlarge:12 18xlarge:25 24xlarge:25"
_SIXTH = "8xlarge:12.5 12xlarge:18.75 16xlarge:25 24xlarge:37.5 32xlarge:50 48xlarge:50"
_T3 = "nano 2 .5, micro 2 1, small 2 2, medium 2 4, large 2 8, xlarge 4 16, 2xlarge 8 32"

_FAMILIES = (
    _Family("t1", "micro 1 .6123046875", 2.0, "Intel", "xen", 1, ("paravirtual",), ("micro",), current=False, network="Very Low"),
    _Family(
        "m1",
        "small 1 1.7 1x160, medium 1 3.7 1x410, large 2 7.5 2x420, xlarge 4 15 4x420",
        2.0,
        hypervisor="xen",
        threads=1,
        virtualizations=("paravirtual",),
        i386=("small", "medium"),
        current=False,
        disk="hdd",
        network="Moderate",
    ),
    _Family(
        "c1",
        "medium 2 1.7 1x350, xlarge 8 7 4x420",
        2.0,
        hypervisor="xen",
        threads=1,
        virtualizations=("paravirtual",),
        i386=("medium",),
        current=False,
        disk="hdd",
        network="Moderate",
    ),
    _Family(
        "m2",
        "xlarge 2 17.1 1x420, 2xlarge 4 34.2 1x850, 4xlarge 8 68.4 2x840",
        2.0,
        hypervisor="xen",
        threads=1,
        virtualizations=("paravirtual",),
        current=False,
        disk="hdd",
        network="Moderate",
    ),
    _Family(
        "t2",
        "nano 1 .5, micro 1 1, small 1 2, medium 2 4, large 2 8, xlarge 4 16, 2xlarge 8 32",
        2.4,
        hypervisor="xen",
        threads=1,
        i386=("nano", "micro", "small", "medium"),
        burstable=True,
        network="Low to Moderate",
    ),
    _Family("t3", _T3, 2.5, burstable=True, network="Up to 5 Gigabit"),
    _Family("t3a", _T3, 2.2, "AMD", burstable=True, network="Up to 5 Gigabit"),
    _Family(
        "m3",
        "medium 1 3.75 1x4, large 2 7.5 1x32, xlarge 4 15 2x40, 2xlarge 8 30 2x80",
        2.5,
        hypervisor="xen",
        virtualizations=_BOTH,
        current=False,
        network="Moderate",
    ),
    _Family(
        "c3",
        "large 2 3.75 2x16, xlarge 4 7.5 2x40, 2xlarge 8 15 2x80, 4xlarge 16 30 2x160, 8xlarge 32 60 2x320",
        2.8,
        hypervisor="xen",
        virtualizations=_BOTH,
        i386=("large",),
        current=False,
        network="Moderate",
        speeds="8xlarge:10",
    ),
    _Family(
        "r3",
        "large 2 15.25 1x32, xlarge 4 30.5 1x80, 2xlarge 8 61 1x160, 4xlarge 16 122 1x320, 8xlarge 32 244 2x320",
        2.5,
        hypervisor="xen",
        current=False,
        network="Moderate",
        speeds="8xlarge:10",
    ),
    _Family(
        "i2",
        "xlarge 4 30.5 1x800, 2xlarge 8 61 2x800, 4xlarge 16 122 4x800, 8xlarge 32 244 8x800",
        2.5,
        hypervisor="xen",
        current=False,
        network="Moderate",
        speeds="8xlarge:10",
    ),
    _Family(
        "d2",
        "xlarge 4 30.5 3x2048, 2xlarge 8 61 6x2048, 4xlarge 16 122 12x2048, 8xlarge 36 244 24x2048",
        2.4,
        hypervisor="xen",
        disk="hdd",
        network="Moderate",
        speeds="8xlarge:10",
    ),
    _Family(
        "m4",
        "large 2 8, xlarge 4 16, 2xlarge 8 32, 4xlarge 16 64, 10xlarge 40 160, 16xlarge 64 256",
        2.4,
        hypervisor="xen",
        network="Moderate",
        speeds="10xlarge:10 16xlarge:25",
    ),
    _Family(
        "c4",
        "large 2 3.75, xlarge 4 7.5, 2xlarge 8 15, 4xlarge 16 30, 8xlarge 36 60",
        2.9,
        hypervisor="xen",
        network="Moderate",
        speeds="8xlarge:10",
    ),
    _Family(
        "r4",
        "large 2 15.25, xlarge 4 30.5, 2xlarge 8 61, 4xlarge 16 122, 8xlarge 32 244, 16xlarge 64 488",
        2.3,
        hypervisor="xen",
        speeds="8xlarge:10 16xlarge:25",
    ),
    _Family(
        "i3",
        "large 2 15.25 1x475, xlarge 4 30.5 1x950, 2xlarge 8 61 1x1900, 4xlarge 16 122 2x1900, 8xlarge 32 244 4x1900,"
        " 16xlarge 64 488 8x1900",
        2.3,
        hypervisor="xen",
        speeds="8xlarge:10 16xlarge:25",
    ),
    _Family(
        "m5",
        "large 2 8, xlarge 4 16, 2xlarge 8 32, 4xlarge 16 64, 8xlarge 32 128, 12xlarge 48 192, 16xlarge 64 256, 24xlarge 96 384",
        3.1,
        speeds=_M5,
    ),
    _Family(
        "m5a",
        "large 2 8, xlarge 4 16, 2xlarge 8 32, 4xlarge 16 64, 8xlarge 32 128, 12xlarge 48 192, 16xlarge 64 256, 24xlarge 96 384",
        2.5,
        "AMD",
        speeds=_M5A,
    ),
    _Family(
        "m5d",
        "large 2 8 1x75, xlarge 4 16 1x150, 2xlarge 8 32 1x300, 4xlarge 16 64 2x300, 8xlarge 32 128 2x600,"
        " 12xlarge 48 192 2x900, 16xlarge 64 256 4x600, 24xlarge 96 384 4x900",
        3.1,
        speeds=_M5,
    ),
    _Family(
        "c5",
        "large 2 4, xlarge 4 8, 2xlarge 8 16, 4xlarge 16 32, 9xlarge 36 72, 12xlarge 48 96, 18xlarge 72 144, 24xlarge 96 192",
        3.4,
        speeds=_C5,
    ),
    _Family(
        "c5a",
        "large 2 4, xlarge 4 8, 2xlarge 8 16, 4xlarge 16 32, 8xlarge 32 64, 12xlarge 48 96, 16xlarge 64 128, 24xlarge 96 192",
        3.3,
        "AMD",
        speeds="8xlarge:10 12xlarge:12 16xlarge:20 24xlarge:20",
    ),
    _Family(
        "c5d",
        "large 2 4 1x50, xlarge 4 8 1x100, 2xlarge 8 16 1x200, 4xlarge 16 32 1x400, 9xlarge 36 72 1x900, 12xlarge 48 96 2x900,"
        " 18xlarge 72 144 2x900, 24xlarge 96 192 4x900",
        3.4,
        speeds=_C5,
    ),
    _Family(
        "r5",
        "large 2 16, xlarge 4 32, 2xlarge 8 64, 4xlarge 16 128, 8xlarge 32 256, 12xlarge 48 384, 16xlarge 64 512,"
        " 24xlarge 96 768",
        3.1,
        speeds=_M5,
    ),
    _Family(
        "r5a",
        "large 2 16, xlarge 4 32, 2xlarge 8 64, 4xlarge 16 128, 8xlarge 32 256, 12xlarge 48 384, 16xlarge 64 512,"
        " 24xlarge 96 768",
        2.5,
        "AMD",
        speeds=_M5A,
    ),
    _Family(
        "r5d",
        "large 2 16 1x75, xlarge 4 32 1x150, 2xlarge 8 64 1x300, 4xlarge 16 128 2x300, 8xlarge 32 256 2x600,"
        " 12xlarge 48 384 2x900, 16xlarge 64 512 4x600, 24xlarge 96 768 4x900",
        3.1,
        speeds=_M5,
    ),
    _Family(
        "m6i",
        "large 2 8, xlarge 4 16, 2xlarge 8 32, 4xlarge 16 64, 8xlarge 32 128, 12xlarge 48 192, 16xlarge 64 256,"
        " 24xlarge 96 384, 32xlarge 128 512",
        3.5,
        network="Up to 12.5 Gigabit",
        speeds=_SIXTH,
    ),
    _Family(
        "m6a",
        "large 2 8, xlarge 4 16, 2xlarge 8 32, 4xlarge 16 64, 8xlarge 32 128, 12xlarge 48 192, 16xlarge 64 256,"
        " 24xlarge 96 384, 32xlarge 128 512, 48xlarge 192 768",
        3.6,
        "AMD",
        network="Up to 12.5 Gigabit",
        speeds=_SIXTH,
    ),
    _Family(
        "m6id",
        "large 2 8 1x118, xlarge 4 16 1x237, 2xlarge 8 32 1x474, 4xlarge 16 64 1x950, 8xlarge 32 128 1x1900,"
        " 12xlarge 48 192 2x1425, 16xlarge 64 256 2x1900, 24xlarge 96 384 4x1425, 32xlarge 128 512 4x1900",
        3.5,
        network="Up to 12.5 Gigabit",
        speeds=_SIXTH,
    ),
    _Family(
        "c6i",
        "large 2 4, xlarge 4 8, 2xlarge 8 16, 4xlarge 16 32, 8xlarge 32 64, 12xlarge 48 96, 16xlarge 64 128, 24xlarge 96 192,"
        " 32xlarge 128 256",
        3.5,
        network="Up to 12.5 Gigabit",
        speeds=_SIXTH,
    ),
    _Family(
        "c6a",
        "large 2 4, xlarge 4 8, 2xlarge 8 16, 4xlarge 16 32, 8xlarge 32 64, 12xlarge 48 96, 16xlarge 64 128, 24xlarge 96 192,"
        " 32xlarge 128 256, 48xlarge 192 384",
        3.6,
        "AMD",
        network="Up to 12.5 Gigabit",
        speeds=_SIXTH,
    ),
    _Family(
        "r6i",
        "large 2 16, xlarge 4 32, 2xlarge 8 64, 4xlarge 16 128, 8xlarge 32 256, 12xlarge 48 384, 16xlarge 64 512,"
        " 24xlarge 96 768, 32xlarge 128 1024",
        3.5,
        network="Up to 12.5 Gigabit",
        speeds=_SIXTH,
    ),
    _Family(
        "m7i",
        "large 2 8, xlarge 4 16, 2xlarge 8 32, 4xlarge 16 64, 8xlarge 32 128, 12xlarge 48 192, 16xlarge 64 256,"
        " 24xlarge 96 384, 48xlarge 192 768",
        3.2,
        network="Up to 12.5 Gigabit",
        speeds=_SIXTH,
    ),
    _Family(
        "m7a",
        "medium 1 4, large 2 8, xlarge 4 16, 2xlarge 8 32, 4xlarge 16 64, 8xlarge 32 128, 12xlarge 48 192, 16xlarge 64 256,"
        " 24xlarge 96 384, 32xlarge 128 512, 48xlarge 192 768",
        3.7,
        "AMD",
        threads=1,
        network="Up to 12.5 Gigabit",
        speeds=_SIXTH,
    ),
    _Family(
        "c7i",
        "large 2 4, xlarge 4 8, 2xlarge 8 16, 4xlarge 16 32, 8xlarge 32 64, 12xlarge 48 96, 16xlarge 64 128, 24xlarge 96 192,"
        " 48xlarge 192 384",
        3.2,
        network="Up to 12.5 Gigabit",
        speeds=_SIXTH,
    ),
    _Family(
        "r7i",
        "large 2 16, xlarge 4 32, 2xlarge 8 64, 4xlarge 16 128, 8xlarge 32 256, 12xlarge 48 384, 16xlarge 64 512,"
        " 24xlarge 96 768, 48xlarge 192 1536",
        3.2,
        network="Up to 12.5 Gigabit",
        speeds=_SIXTH,
    ),
)

# Network interfaces, and addresses of each, by size; then where a type has others.
_INTERFACES = {
    "nano": (2, 2), "micro": (2, 2), "small": (3, 4), "medium": (3, 6), "large": (3, 10), "xlarge": (4, 15), "2xlarge": (4, 15),
    "4xlarge": (8, 30), "8xlarge": (8, 30), "9xlarge": (8, 30), "10xlarge": (8, 30), "12xlarge": (8, 30), "16xlarge": (15, 50),
    "18xlarge": (15, 50), "24xlarge": (15, 50), "32xlarge": (15, 50), "48xlarge": (15, 50),
}  # fmt: skip
_OTHER_INTERFACES = {
    "m1.small": (2, 4), "m1.medium": (2, 6), "m3.medium": (2, 6), "c1.medium": (2, 6), "m7a.medium": (2, 4), "m4.large": (2, 10),
    "t2.large": (3, 12), "t3.large": (3, 12), "t3a.large": (3, 12), "t2.xlarge": (3, 15), "t2.2xlarge": (3, 15),
    "t3a.small": (2, 4), "m3.2xlarge": (4, 30), "m2.4xlarge": (8, 30), "m4.16xlarge": (8, 30),
}  # fmt: skip
_OLD_NETWORK = {"t2": {"xlarge": "Moderate", "2xlarge": "Moderate"}, "m1": {"small": "Low", "xlarge": "High"}}
_APART = ("t1", "m1", "c1", "m2", "m3")  # families beside the burstable ones that no cluster can have
# Families whose CPU cannot be chosen; those of the time before every type was EBS-optimized, and their types that can be.
_FIXED_CORES = ("t1", "m1", "c1", "m2", "t2")
_SHARED_PATH = ("t1", "m1", "c1", "m2", "t2", "m3", "c3", "r3", "i2")
_OWN_PATH = (
    "m1.large", "m1.xlarge", "c1.xlarge", "m2.2xlarge", "m2.4xlarge", "m3.xlarge", "m3.2xlarge", "c3.xlarge", "c3.2xlarge",
    "c3.4xlarge", "r3.xlarge", "r3.2xlarge", "r3.4xlarge", "i2.xlarge", "i2.2xlarge", "i2.4xlarge",
)  # fmt: skip
_FREE_TIER = ("t2.micro", "t3.micro")


def _types() -> Iterator[InstanceType]:
    for family in _FAMILIES:
        speeds = dict(word.split(":") for word in family.speeds.split())
        for row in family.sizes.split(","):
            size, vcpus, gib, *storage = row.split()
            name = f"{family.name}.{size}"
            count, _, gigabytes = storage[0].partition("x") if storage else ("", "", "")
            words = _OLD_NETWORK.get(family.name, {}).get(size, family.network)
            yield InstanceType(
                name=name,
                vcpus=int(vcpus),
                threads=family.threads if int(vcpus) > 1 else 1,
                memory_mib=int(float(gib) * 1024),
                storage=(int(count), int(gigabytes)) if storage else None,
                storage_kind=family.disk,
                architectures=("x86_64", "i386") if size in family.i386 else ("x86_64",),
                virtualizations=family.virtualizations,
                hypervisor=family.hypervisor,
                manufacturer=family.manufacturer,
                clock=family.clock,
                burstable=family.burstable,
                current=family.current,
                free_tier=name in _FREE_TIER,
                network=f"{speeds[size]} Gigabit" if size in speeds else words,
                interfaces=_OTHER_INTERFACES.get(name, _INTERFACES[size]),
            )


TYPES: Mapping[str, InstanceType] = MappingProxyType({kind.name: kind for kind in _types()})
