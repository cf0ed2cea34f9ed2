"""Block device mappings: each sentence that AWS writes about them is one row: (image lines, request lines) -> disks or error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ec2gw.model import bdm, errors
from ec2gw.model.bdm import Line, Scratch, Source, Volume
from ec2gw.model.volume_types import Shape
from tests.refusals import refused

A, B, BIG, SECRET, VOL = "snap-0a", "snap-0b", "snap-0c", "snap-0e", "vol-0a"
FOUND = {A: Source(8), B: Source(2), BIG: Source(30), SECRET: Source(2, encrypted=True), VOL: Source(5)}
NO_FLAG = (
    "Parameter encrypted is invalid. You cannot specify the encrypted flag if specifying a snapshot id in a block device mapping."
)
MAPPING, VALUE, COMBINATION = "InvalidBlockDeviceMapping", "InvalidParameterValue", "InvalidParameterCombination"

Row = dict[str, Any]


def row(device: str, **ebs: Any) -> Row:
    """A request's EBS entry."""
    return {"DeviceName": device, "Ebs": ebs}


def look_up(wanted: Sequence[str]) -> Mapping[str, Source]:
    missing = [name for name in wanted if name not in FOUND]
    if missing:
        raise errors.NotFound("not-found", kind="volume" if missing[0].startswith("vol-") else "snapshot", ids=missing)
    return {name: FOUND[name] for name in wanted}


def register(*rows: Row, root: str = "/dev/sda1", virtualization: str = "hvm") -> tuple[Line, ...]:
    lines = bdm.from_ec2(rows)
    return bdm.register(lines, root, look_up(bdm.sources(lines)), virtualization)


def launch(
    image: Sequence[Row],
    asked: Sequence[Row],
    *,
    root: str = "/dev/sda1",
    storage: Sequence[int] = (),
    virtualization: str = "hvm",
) -> tuple[tuple[Volume, ...], tuple[Scratch, ...]]:
    """The disks of a launch from an image registered with these lines."""
    settled = tuple(bdm.from_json(line.to_json()) for line in register(*image, root=root, virtualization=virtualization))
    return bdm.resolve(settled, bdm.from_ec2(asked), root, look_up, storage=storage, virtualization=virtualization)


def new(
    device: str,
    slot: int,
    snapshot: str | None,
    size: int,
    *,
    keep: bool = False,
    type: str = "gp2",
    iops: int | None = None,
    throughput: int | None = None,
    encrypted: bool = False,
) -> Volume:
    """A volume that a launch makes; gp2's IOPS follow from its size."""
    iops = max(100, 3 * size) if type == "gp2" else iops
    return Volume(device, slot, not keep, snapshot, None, Shape(type, size, iops, throughput), encrypted)


def mine(device: str, slot: int, *, delete: bool = False) -> Volume:
    """The existing volume, at a launch."""
    return Volume(device, slot, delete, volume_id=VOL)


ROOT = row("/dev/sda1", SnapshotId=A)
DATA = row("/dev/sdf", SnapshotId=B)
BLANK = row("/dev/sdg", VolumeSize=3)
EPHEMERAL = {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}
R = new("/dev/sda1", 0, A, 8)


# -- 3.5 merging at a launch, 3.4 defaults --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "asked", "disks"),
    [
        pytest.param([ROOT], [], [R], id="the image's mapping as it is"),
        pytest.param(
            [ROOT, DATA, BLANK], [], [R, new("/dev/sdf", 1, B, 2), new("/dev/sdg", 2, None, 3)], id="data and blank too"
        ),
        pytest.param([BLANK, ROOT], [], [R, new("/dev/sdg", 1, None, 3)], id="the root comes first"),
        pytest.param([ROOT], [DATA], [R, new("/dev/sdf", 1, B, 2)], id="a name not in the image is added"),
        pytest.param([ROOT], [row("/dev/sdf", VolumeSize=1)], [R, new("/dev/sdf", 1, None, 1)], id="size and no snapshot: blank"),
        pytest.param(
            [ROOT], [row("/dev/sdf", SnapshotId=B, VolumeSize=7)], [R, new("/dev/sdf", 1, B, 7)], id="larger than its snapshot"
        ),
        pytest.param([ROOT, DATA], [{"DeviceName": "/dev/sdf", "NoDevice": ""}], [R], id="NoDevice takes a data device away"),
        pytest.param([ROOT, EPHEMERAL], [{"DeviceName": "/dev/sdb", "NoDevice": "x"}], [R], id="NoDevice with any value"),
        pytest.param(
            [ROOT, DATA],
            [{"DeviceName": "/dev/sdf", "NoDevice": "", "VirtualName": "ephemeral0", "Ebs": {"VolumeSize": 9}}],
            [R],
            id="NoDevice wins over everything else in the entry",
        ),
        pytest.param([ROOT], [{"DeviceName": "/dev/sdz", "NoDevice": ""}], [R], id="NoDevice of a name not in the image"),
        pytest.param(
            [ROOT], [row("/dev/sda1", VolumeSize=9)], [new("/dev/sda1", 0, A, 9)], id="a larger root inherits its snapshot"
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sda1", DeleteOnTermination=False)],
            [new("/dev/sda1", 0, A, 8, keep=True)],
            id="the root's flag alone",
        ),
        pytest.param(
            [row("/dev/sda1", SnapshotId=A, DeleteOnTermination=False)],
            [row("/dev/sda1", VolumeSize=9)],
            [new("/dev/sda1", 0, A, 9, keep=True)],
            id="what is not given is inherited: the flag",
        ),
        pytest.param(
            [row("/dev/sda1", SnapshotId=A, VolumeSize=12)],
            [row("/dev/sda1", DeleteOnTermination=True)],
            [new("/dev/sda1", 0, A, 12)],
            id="what is not given is inherited: the size",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sda1", SnapshotId=A, VolumeSize=9)],
            [new("/dev/sda1", 0, A, 9)],
            id="the root's own snapshot may be named",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sda1", VolumeType="gp3", Iops=4000, Throughput=250)],
            [new("/dev/sda1", 0, A, 8, type="gp3", iops=4000, throughput=250)],
            id="the root's type, iops and throughput",
        ),
        pytest.param(
            [row("/dev/sda1", SnapshotId=A, VolumeType="io1", Iops=300)],
            [row("/dev/sda1", VolumeSize=10)],
            [new("/dev/sda1", 0, A, 10, type="io1", iops=300)],
            id="type and iops are inherited",
        ),
        pytest.param(
            [row("/dev/sda1", SnapshotId=A, VolumeType="io1", Iops=300)],
            [row("/dev/sda1", VolumeType="gp2")],
            [new("/dev/sda1", 0, A, 8)],
            id="another type does not inherit iops",
        ),
        pytest.param(
            [row("/dev/sda1", SnapshotId=A, VolumeType="gp3", Throughput=500)],
            [row("/dev/sda1", VolumeType="standard")],
            [new("/dev/sda1", 0, A, 8, type="standard")],
            id="another type does not inherit throughput",
        ),
        pytest.param(
            [ROOT], [row("/dev/sda1", Encrypted=True)], [new("/dev/sda1", 0, A, 8, encrypted=True)], id="an encrypted root"
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", SnapshotId=B, Encrypted=True)],
            [R, new("/dev/sdf", 1, B, 2, encrypted=True)],
            id="a launch may say Encrypted with a snapshot",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", SnapshotId=SECRET)],
            [R, new("/dev/sdf", 1, SECRET, 2, encrypted=True)],
            id="an encrypted snapshot makes an encrypted volume",
        ),
        pytest.param(
            [ROOT, row("/dev/sdf", SnapshotId=B, VolumeSize=9, VolumeType="standard", DeleteOnTermination=False)],
            [row("/dev/sdf", SnapshotId=A)],
            [R, new("/dev/sdf", 1, A, 8)],
            id="another snapshot for a data device replaces the entry",
        ),
        pytest.param(
            [ROOT, DATA], [row("/dev/sdf", VolumeSize=4)], [R, new("/dev/sdf", 1, B, 4)], id="a data device's size alone"
        ),
        pytest.param(
            [ROOT, EPHEMERAL],
            [row("/dev/sdb", VolumeSize=4)],
            [R, new("/dev/sdb", 1, None, 4)],
            id="a size over instance store: a blank volume",
        ),
        pytest.param(
            [ROOT, DATA], [row("/dev/sdf", VolumeId=VOL)], [R, mine("/dev/sdf", 1)], id="an existing volume over a snapshot"
        ),
        pytest.param(
            [ROOT], [row("/dev/sdf", VolumeId=VOL)], [R, mine("/dev/sdf", 1)], id="an existing volume is kept by default"
        ),
        pytest.param(
            [ROOT], [row("/dev/sdf", VolumeId=VOL, VolumeSize=5)], [R, mine("/dev/sdf", 1)], id="an existing volume's own size"
        ),
        pytest.param(
            [ROOT], [row("/dev/sdf", SnapshotId=VOL)], [R, mine("/dev/sdf", 1)], id="an existing volume as old scripts name it"
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", VolumeId=VOL, DeleteOnTermination=True)],
            [R, mine("/dev/sdf", 1, delete=True)],
            id="an explicit flag of an existing volume is honoured",
        ),
        pytest.param([row("/dev/sda1", VolumeId=VOL)], [], [mine("/dev/sda1", 0)], id="an image of an existing volume"),
        pytest.param(
            [ROOT], [row("/dev/sda1", VolumeId=VOL)], [mine("/dev/sda1", 0)], id="an existing volume as the root at launch"
        ),
        pytest.param([ROOT], [row("/dev/sda1", SnapshotId=VOL)], [mine("/dev/sda1", 0)], id="the same as old scripts name it"),
        pytest.param(
            [row("/dev/sda1", VolumeId=VOL, DeleteOnTermination=True)],
            [],
            [mine("/dev/sda1", 0, delete=True)],
            id="an image of an existing volume, flag said",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", VolumeSize=1), row("/dev/sdf", VolumeSize=2)],
            [R, new("/dev/sdf", 1, None, 2)],
            id="the same name twice: the later one",
        ),
        pytest.param(
            [ROOT],
            [row("sdf", VolumeSize=1)],
            [R, new("sdf", 1, None, 1)],
            id="a short name is shown as it was written",
        ),
        pytest.param(
            [ROOT, DATA],
            [row("sdf", VolumeSize=4)],
            [R, new("sdf", 1, B, 4)],
            id="sdf and /dev/sdf are one slot",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/xvdf", VolumeSize=1), row("/dev/sdf", VolumeSize=2)],
            [R, new("/dev/xvdf", 1, None, 1), new("/dev/sdf", 2, None, 2)],
            id="/dev/sdf and /dev/xvdf side by side",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/xvda", VolumeSize=9)],
            [R, new("/dev/xvda", 1, None, 9)],
            id="a mapping for the wrong root name adds a volume",
        ),
        pytest.param(
            [row("/dev/sda", SnapshotId=A), row("/dev/sdf", VolumeSize=1)],
            [],
            [new("/dev/sda", 0, A, 8), new("/dev/sdf", 1, None, 1)],
            id="a root mapped without its partition digit",
        ),
        pytest.param(
            [row("/dev/sda", VolumeSize=1), ROOT],
            [],
            [R, new("/dev/sda", 1, None, 1)],
            id="the root's full name is the root where both are mapped",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sda", VolumeSize=9)],
            [new("/dev/sda1", 0, A, 9)],
            id="the root named without its partition digit, at the launch",
        ),
        pytest.param(
            [row("/dev/sda", SnapshotId=A)],
            [row("/dev/sda1", VolumeSize=9)],
            [new("/dev/sda", 0, A, 9)],
            id="the root named with its partition digit, at the launch",
        ),
        pytest.param(
            [ROOT],
            [row("sda1", VolumeSize=9)],
            [new("/dev/sda1", 0, A, 9)],
            id="the root named without /dev/ keeps the image's name",
        ),
    ],
)
def test_launch(image: list[Row], asked: list[Row], disks: list[Volume]) -> None:
    assert launch(image, asked) == (tuple(disks), ())


@pytest.mark.parametrize(
    ("asked", "storage", "scratch"),
    [
        ([EPHEMERAL], (75,), [Scratch("/dev/sdb", 1, "ephemeral0", 75)]),
        ([EPHEMERAL], (), []),  # the type has none: dropped without a word
        ([{"DeviceName": "/dev/sdc", "VirtualName": "ephemeral1"}], (75,), []),
        (
            [EPHEMERAL, {"DeviceName": "/dev/sdc", "VirtualName": "ephemeral1"}],
            (75, 76),
            [Scratch("/dev/sdb", 1, "ephemeral0", 75), Scratch("/dev/sdc", 2, "ephemeral1", 76)],
        ),
        # botocore and boto send a flag beside it
        ([EPHEMERAL | {"Ebs": {"DeleteOnTermination": True}}], (75,), [Scratch("/dev/sdb", 1, "ephemeral0", 75)]),
        ([{"DeviceName": "/dev/sdb", "VirtualName": "swap"}], (75,), [Scratch("/dev/sdb", 1, "swap", 1)]),
        ([{"DeviceName": "/dev/sdb", "VirtualName": "swap"}], (), []),
    ],
)
def test_instance_store(asked: list[Row], storage: tuple[int, ...], scratch: list[Scratch]) -> None:
    assert launch([ROOT], asked, storage=storage) == ((R,), tuple(scratch))
    assert launch([ROOT, *asked], [], storage=storage) == ((R,), tuple(scratch))


def test_a_disk_that_the_type_does_not_have_leaves_no_hole() -> None:
    volumes, scratch = launch([ROOT, EPHEMERAL, DATA], [])
    assert [disk.slot for disk in volumes] == [0, 1]
    assert scratch == ()


def test_instance_store_may_take_an_ebs_device_s_place() -> None:
    assert launch([ROOT, row("/dev/sdb", VolumeSize=1)], [EPHEMERAL], storage=(75,)) == (
        (R,),
        (Scratch("/dev/sdb", 1, "ephemeral0", 75),),
    )


# -- 3.7 errors of a launch -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "asked", "code", "message"),
    [
        pytest.param(
            [ROOT],
            [row("/dev/sda1", SnapshotId=B)],
            MAPPING,
            "snapshotId cannot be modified on root device",
            id="the root's snapshot",
        ),
        pytest.param(
            [ROOT],
            [{"DeviceName": "/dev/sda1", "NoDevice": ""}],
            MAPPING,
            "The root device '/dev/sda1' cannot be removed",
            id="no root",
        ),
        pytest.param(
            [ROOT],
            [{"DeviceName": "/dev/sda1", "VirtualName": "ephemeral0"}],
            MAPPING,
            "The root device /dev/sda1 must be an EBS volume",
            id="an ephemeral root",
        ),
        pytest.param(
            [ROOT, EPHEMERAL],
            [row("/dev/sdb", SnapshotId=B)],
            MAPPING,
            "snapshotId can only be modified on EBS devices",
            id="a snapshot over instance store",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sda1", VolumeSize=7)],
            MAPPING,
            "Volume of size 7GB is smaller than snapshot 'snap-0a', expect size >= 8GB",
            id="a root smaller than its snapshot",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", SnapshotId=BIG, VolumeSize=15)],
            MAPPING,
            "Volume of size 15GB is smaller than snapshot 'snap-0c', expect size >= 30GB",
            id="smaller than its snapshot",
        ),
        pytest.param(
            [ROOT, row("/dev/sdf", SnapshotId=B, VolumeSize=20)],
            [row("/dev/sdf", VolumeSize=1)],
            MAPPING,
            "Volume of size 1GB is smaller than snapshot 'snap-0b', expect size >= 2GB",
            id="compared with the snapshot, not with the image's line",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", DeleteOnTermination=True)],
            "MissingParameter",
            "The request must contain the parameter size or snapshotId",
            id="neither size nor snapshot",
        ),
        pytest.param(
            [ROOT],
            [{"DeviceName": "/dev/sdf"}],
            "MissingParameter",
            "The request must contain the parameter ebs",
            id="a name alone",
        ),
        pytest.param(
            [ROOT],
            [{"DeviceName": "/dev/sdf", "Ebs": {}}],
            "MissingParameter",
            "The request must contain the parameter ebs",
            id="an empty Ebs",
        ),
        pytest.param([ROOT], [{"Ebs": {"VolumeSize": 1}}], MAPPING, "Missing device name", id="no name"),
        pytest.param([ROOT], [{"NoDevice": ""}], MAPPING, "Missing device name", id="NoDevice of no name"),
        pytest.param([ROOT], [row("/dev/sde1", VolumeSize=1)], MAPPING, "Invalid device name /dev/sde1", id="a bad name"),
        pytest.param(
            [ROOT],
            [row("/dev/sdh", VolumeSize=1), row("sdh", VolumeSize=1)],
            MAPPING,
            "The device 'sdh' is used in more than one block-device mapping",
            id="one slot under two names",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", SnapshotId="snap-0d")],
            "InvalidSnapshot.NotFound",
            "The snapshot 'snap-0d' does not exist.",
            id="an unknown snapshot",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", VolumeId="vol-0d")],
            "InvalidVolume.NotFound",
            "The volume 'vol-0d' does not exist.",
            id="an unknown volume",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", SnapshotId="ami-0a")],
            VALUE,
            "Value (ami-0a) for parameter snapshotId is invalid. Expected: 'snap-...'.",
            id="neither a snapshot nor a volume",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", VolumeId=B)],
            VALUE,
            "Value (snap-0b) for parameter volumeId is invalid. Expected: 'vol-...'.",
            id="a snapshot for a volume",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", VolumeId=VOL, SnapshotId=B)],
            MAPPING,
            "Both a snapshot and a volume are given for /dev/sdf",
            id="a snapshot and a volume",
        ),
        *(
            pytest.param(
                image,
                [row("/dev/sdf", **said)],
                MAPPING,
                "Only DeleteOnTermination can be changed for /dev/sdf",
                id=f"an existing volume stays as it is: {said}",
            )
            for image, said in (
                ([ROOT], {"VolumeId": VOL, "VolumeSize": 9}),
                ([ROOT], {"VolumeId": VOL, "VolumeType": "gp3"}),
                ([ROOT], {"SnapshotId": VOL, "Iops": 0}),
                ([ROOT], {"VolumeId": VOL, "Throughput": 125}),
                ([ROOT], {"VolumeId": VOL, "Encrypted": True}),
                ([ROOT], {"VolumeId": VOL, "VolumeInitializationRate": 200}),
                ([ROOT, row("/dev/sdf", VolumeId=VOL)], {"VolumeSize": 9}),
            )
        ),
        pytest.param(
            [ROOT],
            [EPHEMERAL | {"Ebs": {"VolumeSize": 1}}],
            MAPPING,
            "Both a virtual name and EBS parameters are given for /dev/sdb",
            id="instance store and EBS",
        ),
        pytest.param(
            [ROOT],
            [{"DeviceName": "/dev/sdb", "VirtualName": "ephemeral24"}],
            MAPPING,
            "Invalid virtual name ephemeral24",
            id="24 is one too many",
        ),
        pytest.param(
            [ROOT], [{"DeviceName": "/dev/sdb", "VirtualName": "ami"}], MAPPING, "Invalid virtual name ami", id="no disk's name"
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", VolumeSize=1, KmsKeyId="k")],
            "InvalidParameterDependency",
            "The parameter KmsKeyId requires the parameter Encrypted to be set.",
            id="a key and no encryption",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sda1", VolumeType="st1", VolumeSize=125)],
            MAPPING,
            "A volume of type st1 cannot be a root device",
            id="st1 does not boot",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", VolumeSize=8, VolumeType="io2")],
            COMBINATION,
            "The parameter iops must be specified for io2 volumes.",
            id="io2 needs iops",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", VolumeSize=8, Iops=300)],
            COMBINATION,
            "The parameter iops is not supported for gp2 volumes.",
            id="gp2 takes no iops",
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", VolumeSize=8, Throughput=125)],
            COMBINATION,
            "throughput can only be specified for volumeType gp3.",
            id="gp2 takes no throughput",
        ),
        pytest.param(
            [ROOT], [row("/dev/sdf", VolumeSize=0)], VALUE, "Volume of 0GiB is too small; minimum is 1GiB.", id="no size at all"
        ),
        pytest.param(
            [ROOT],
            [row("/dev/sdf", VolumeSize=1, VolumeType="x")],
            "UnknownVolumeType",
            "The volume type 'x' is unknown.",
            id="a bad type",
        ),
        pytest.param(
            [ROOT],
            [row(f"/dev/sd{letter}", VolumeSize=1) for letter in "bcdefghijklmnopqrstuvwxyz"]
            + [row(f"/dev/xvdb{letter}", VolumeSize=1) for letter in "abc"],
            "AttachmentLimitExceeded",
            "An instance can have at most 28 volumes attached.",
            id="29 volumes",
        ),
        pytest.param(
            [ROOT],
            [{"DeviceName": f"/dev/xvd{one}{two}", "NoDevice": ""} for one in "bc" for two in "abcdefghijklmnopqrstuvwxyz"]
            + [{"DeviceName": f"/dev/xvd{one}", "NoDevice": ""} for one in "abcdefghijklm"],
            MAPPING,
            "More than 64 devices are mapped",
            id="65 entries",
        ),
    ],
)
def test_launch_refused(image: list[Row], asked: list[Row], code: str, message: str) -> None:
    with refused(code, message):
        launch(image, asked)


def test_28_volumes_are_not_too_many() -> None:
    volumes, _ = launch([ROOT], [row(f"/dev/xvdb{letter}", VolumeSize=1) for letter in "abcdefghijklmnopqrstuvwxyz"] + [DATA])
    assert [disk.slot for disk in volumes] == list(range(28))


# -- 3.2 device names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "hvm", "paravirtual"),
    [
        ("/dev/sda", True, True),
        ("/dev/sdz", True, True),
        ("/dev/sda1", True, True),
        ("/dev/sda2", True, True),
        ("/dev/sda3", False, True),
        ("/dev/sdf1", False, True),
        ("/dev/sdf15", False, True),
        ("/dev/sdf16", False, False),
        ("/dev/sdf0", False, False),
        ("/dev/sdi1", False, True),
        ("/dev/hda", False, True),
        ("/dev/hdb3", False, True),
        ("/dev/xvda", True, True),
        ("/dev/xvdz", True, True),
        ("/dev/xvdba", True, True),
        ("/dev/xvdcz", True, True),
        ("/dev/xvdeo", False, False),
        ("xvdh", True, True),
        ("sdh", True, True),
        ("/dev/vdb", True, True),  # what OpenStack scripts write
        ("/dev/sda ", False, False),
        ("/dev/SDA", False, False),
        ("/dev/", False, False),
        ("/dev/sd", False, False),
        ("/dev/../sdf", False, False),
        ("/dev/sdf\n", False, False),
    ],
)
def test_device_names(device: str, hvm: bool, paravirtual: bool) -> None:
    assert bdm.valid_device(device) is hvm
    assert bdm.valid_device(device, "paravirtual") is paravirtual


def test_a_paravirtual_image_keeps_its_names() -> None:
    volumes, _ = launch([ROOT], [row("/dev/sdf1", VolumeSize=1)], virtualization="paravirtual")
    assert [disk.device for disk in volumes] == ["/dev/sda1", "/dev/sdf1"]


@pytest.mark.parametrize(
    ("device", "root", "same"),
    [
        ("/dev/sda1", "/dev/sda1", True),
        ("sda1", "/dev/sda1", True),
        ("/dev/sda", "/dev/sda1", True),
        ("/dev/sda1", "/dev/sda", True),
        ("/dev/sda2", "/dev/sda", False),
        ("/dev/sda2", "/dev/sda1", False),
        ("/dev/xvda", "/dev/sda1", False),
        ("/dev/sdb", "/dev/sda1", False),
    ],
)
def test_the_root_with_and_without_its_partition(device: str, root: str, same: bool) -> None:
    assert bdm.is_root(device, root) is same


def test_an_odd_root_name_of_the_image_stays_valid() -> None:
    volumes, _ = launch([row("/dev/nvme0n1", SnapshotId=A)], [row("/dev/nvme0n1", VolumeSize=9)], root="/dev/nvme0n1")
    assert volumes == (new("/dev/nvme0n1", 0, A, 9),)


@pytest.mark.parametrize("root", ["", "/dev/", "../../etc", "/dev/sda1\n", "/dev/" + "a" * 33, "a b"])
def test_a_root_name_that_no_device_has_is_refused(root: str) -> None:
    with refused(MAPPING, f"Invalid device name {root}"):
        register(row(root or "/dev/sda1", SnapshotId=A), root=root)


# -- RegisterImage --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "shown"),
    [
        pytest.param(
            [row("/dev/sda1", SnapshotId=A)],
            [row("/dev/sda1", SnapshotId=A, VolumeSize=8, VolumeType="gp2", DeleteOnTermination=True, Encrypted=False)],
            id="size and type are filled in, the root goes with its instance",
        ),
        pytest.param(
            [ROOT, row("/dev/sdf", SnapshotId=B)],
            [
                row("/dev/sda1", SnapshotId=A, VolumeSize=8, VolumeType="gp2", DeleteOnTermination=True, Encrypted=False),
                row("/dev/sdf", SnapshotId=B, VolumeSize=2, VolumeType="gp2", DeleteOnTermination=True, Encrypted=False),
            ],
            id="a data device goes with its instance too",
        ),
        pytest.param(
            [row("/dev/sda1", SnapshotId=A, VolumeSize=9, VolumeType="gp3", DeleteOnTermination=False)],
            [
                row(
                    "/dev/sda1",
                    SnapshotId=A,
                    VolumeSize=9,
                    VolumeType="gp3",
                    Iops=3000,
                    Throughput=125,
                    DeleteOnTermination=False,
                    Encrypted=False,
                )
            ],
            id="what is said is kept",
        ),
        pytest.param(
            [row("/dev/sda1", SnapshotId=SECRET)],
            [row("/dev/sda1", SnapshotId=SECRET, VolumeSize=2, VolumeType="gp2", DeleteOnTermination=True, Encrypted=True)],
            id="encryption is the snapshot's",
        ),
        pytest.param(
            [ROOT, row("/dev/sdg", VolumeSize=3)],
            [
                row("/dev/sda1", SnapshotId=A, VolumeSize=8, VolumeType="gp2", DeleteOnTermination=True, Encrypted=False),
                row("/dev/sdg", VolumeSize=3, VolumeType="gp2", DeleteOnTermination=True, Encrypted=False),
            ],
            id="a blank device",
        ),
        pytest.param(
            [ROOT, EPHEMERAL, {"DeviceName": "/dev/sdc", "NoDevice": ""}],
            [
                row("/dev/sda1", SnapshotId=A, VolumeSize=8, VolumeType="gp2", DeleteOnTermination=True, Encrypted=False),
                {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
            ],
            id="instance store has no Ebs, NoDevice is not stored",
        ),
        pytest.param(
            [row("/dev/sda1", SnapshotId=VOL)],
            [row("/dev/sda1", VolumeId=VOL, VolumeSize=5, DeleteOnTermination=False)],
            id="a volume is told as a volume, never as a snapshot",
        ),
        pytest.param(
            [row("/dev/sda1", SnapshotId=A, VolumeType="standard")],
            [row("/dev/sda1", SnapshotId=A, VolumeSize=8, VolumeType="standard", DeleteOnTermination=True, Encrypted=False)],
            id="standard has no iops",
        ),
    ],
)
def test_register(rows: list[Row], shown: list[Row]) -> None:
    lines = register(*rows)
    assert [bdm.to_ec2(line) for line in lines] == shown
    assert [bdm.to_ec2(bdm.from_json(line.to_json())) for line in lines] == shown


@pytest.mark.parametrize(
    ("rows", "code", "message"),
    [
        ([], MAPPING, "Root device /dev/sda1 is not in the block device mapping"),
        ([DATA], MAPPING, "Root device /dev/sda1 is not in the block device mapping"),
        ([{"DeviceName": "/dev/sda1", "NoDevice": ""}], MAPPING, "Root device /dev/sda1 is not in the block device mapping"),
        (
            [{"DeviceName": "/dev/sda1", "VirtualName": "ephemeral0"}],
            MAPPING,
            "Root device /dev/sda1 is not in the block device mapping",
        ),
        ([row("/dev/sda1", VolumeSize=8)], MAPPING, "The root device /dev/sda1 does not have a snapshot"),
        (
            [ROOT, row("/dev/sdb", DeleteOnTermination=True), row("/dev/sdc", DeleteOnTermination=True)],
            MAPPING,
            "Either snapshot ID or volume size must be provided for: /dev/sdb, /dev/sdc",
        ),
        (
            [row("/dev/sda1", SnapshotId=A, Encrypted=True)],
            "InvalidParameter",
            NO_FLAG,
        ),
        (
            [row("/dev/sda1", SnapshotId=A, Encrypted=False)],
            "InvalidParameter",
            NO_FLAG,
        ),
        (
            [row("/dev/sda1", SnapshotId=A, VolumeSize=7)],
            MAPPING,
            "Volume of size 7GB is smaller than snapshot 'snap-0a', expect size >= 8GB",
        ),
        ([ROOT, row("/dev/sdf9", VolumeSize=1)], MAPPING, "Invalid device name /dev/sdf9"),
        ([row("/dev/sda1", SnapshotId=A, VolumeType="x")], "UnknownVolumeType", "The volume type 'x' is unknown."),
        (
            [row("/dev/sda1", SnapshotId=A, VolumeType="sc1", VolumeSize=125)],
            MAPPING,
            "A volume of type sc1 cannot be a root device",
        ),
        (
            [row("/dev/sda1", SnapshotId=A, VolumeType="io1")],
            COMBINATION,
            "The parameter iops must be specified for io1 volumes.",
        ),
    ],
)
def test_register_refused(rows: list[Row], code: str, message: str) -> None:
    with refused(code, message):
        register(*rows)


# -- CreateImage ----------------------------------------------------------------------------------------------------------------

CURRENT = (
    Line(
        "/dev/sda1",
        volume_id="vol-01",
        size=9,
        type="gp3",
        iops=3000,
        throughput=125,
        delete_on_termination=True,
        encrypted=False,
    ),
    Line("/dev/sdf", volume_id="vol-02", size=2, type="gp2", delete_on_termination=False, encrypted=False),
    Line("/dev/sdb", virtual="ephemeral0"),
)


@pytest.mark.parametrize(
    ("asked", "own", "further"),
    [
        pytest.param([], CURRENT, (), id="every device as it is now"),
        pytest.param(
            [{"DeviceName": "/dev/sdf", "NoDevice": ""}], (CURRENT[0], CURRENT[2]), (), id="NoDevice leaves a volume out"
        ),
        pytest.param([{"DeviceName": "/dev/sdb", "NoDevice": ""}], CURRENT[:2], (), id="NoDevice leaves an ephemeral disk out"),
        pytest.param([{"DeviceName": "/dev/sdz", "NoDevice": ""}], CURRENT, (), id="NoDevice of nothing"),
        pytest.param(
            [row("/dev/sdf", DeleteOnTermination=True)],
            (
                CURRENT[0],
                Line("/dev/sdf", volume_id="vol-02", size=2, type="gp2", delete_on_termination=True, encrypted=False),
                CURRENT[2],
            ),
            (),
            id="the flag of an existing volume",
        ),
        pytest.param([row("/dev/sdg", VolumeSize=3)], CURRENT, (Line("/dev/sdg", size=3),), id="a blank device more"),
        pytest.param([row("/dev/sdg", SnapshotId=B)], CURRENT, (Line("/dev/sdg", snapshot_id=B),), id="a snapshot more"),
        pytest.param(
            [{"DeviceName": "/dev/sdc", "VirtualName": "ephemeral1"}],
            CURRENT,
            (Line("/dev/sdc", virtual="ephemeral1"),),
            id="an ephemeral disk more",
        ),
        pytest.param(
            [row("/dev/sdb", VolumeSize=3)],
            CURRENT[:2],
            (Line("/dev/sdb", size=3),),
            id="a blank volume in an ephemeral disk's place",
        ),
        pytest.param(
            [row("/dev/sda1", VolumeSize=9, VolumeType="gp3")], CURRENT, (), id="what an existing volume is may be repeated"
        ),
    ],
)
def test_create_image(asked: list[Row], own: tuple[Line, ...], further: tuple[Line, ...]) -> None:
    assert bdm.for_new_image(CURRENT, bdm.from_ec2(asked), "/dev/sda1") == (own, further)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (row("/dev/sda1", VolumeSize=20), "Only DeleteOnTermination can be changed for /dev/sda1"),
        (row("/dev/sda1", VolumeSize=8), "Only DeleteOnTermination can be changed for /dev/sda1"),
        (row("/dev/sda1", Encrypted=True), "Only DeleteOnTermination can be changed for /dev/sda1"),
        (row("/dev/sdf", VolumeType="standard"), "Only DeleteOnTermination can be changed for /dev/sdf"),
        (row("/dev/sda1", Iops=4000), "Only DeleteOnTermination can be changed for /dev/sda1"),
        (row("/dev/sda1", Throughput=200), "Only DeleteOnTermination can be changed for /dev/sda1"),
        (row("/dev/sdf", SnapshotId=B), "Only DeleteOnTermination can be changed for /dev/sdf"),
        (row("/dev/sdf", VolumeId=VOL), "Only DeleteOnTermination can be changed for /dev/sdf"),
        ({"DeviceName": "/dev/sdf", "VirtualName": "ephemeral0"}, "Only DeleteOnTermination can be changed for /dev/sdf"),
        ({"DeviceName": "/dev/sda1", "NoDevice": ""}, "The root device '/dev/sda1' cannot be removed"),
        (row("/dev/sdf7", VolumeSize=3), "Invalid device name /dev/sdf7"),
    ],
)
def test_create_image_refused(asked: Row, message: str) -> None:
    with refused(MAPPING, message):
        bdm.for_new_image(CURRENT, bdm.from_ec2([asked]), "/dev/sda1")


def test_create_image_of_a_paravirtual_instance_knows_its_names() -> None:
    own, _ = bdm.for_new_image(
        [Line("/dev/sda1", volume_id="vol-01", size=1), Line("/dev/sdb3", volume_id="vol-02", size=1)],
        bdm.from_ec2([{"DeviceName": "/dev/sdb3", "NoDevice": ""}]),
        "/dev/sda1",
        "paravirtual",
    )
    assert [line.device for line in own] == ["/dev/sda1"]


def test_further_devices_of_a_new_image_are_settled_as_at_registration() -> None:
    lines = bdm.settle((Line("/dev/sdg", size=3), Line("/dev/sdh", snapshot_id=B), Line("/dev/sdb", virtual="ephemeral0")), FOUND)
    assert [bdm.to_ec2(line) for line in lines] == [
        row("/dev/sdg", VolumeSize=3, VolumeType="gp2", DeleteOnTermination=True, Encrypted=False),
        row("/dev/sdh", SnapshotId=B, VolumeSize=2, VolumeType="gp2", DeleteOnTermination=True, Encrypted=False),
        {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
    ]
    with refused(MAPPING, "Either snapshot ID or volume size must be provided for: /dev/sdh"):
        bdm.settle((Line("/dev/sdh", delete_on_termination=True),), FOUND)
