"""The error tables of EC2, action by action: one row for each thing that AWS refuses, with its code and the text clients know.

Every row is sent over the wire and must change nothing. Rows that a test of their own tells better stand there.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2gw.cloud import snapshots
from ec2gw.state import records
from tests.query.face import ZONES, Face
from tests.query.test_instances import bring, make_image, run

MAPPING, VALUE, COMBINATION = "InvalidBlockDeviceMapping", "InvalidParameterValue", "InvalidParameterCombination"
MISSING, STATE, INSTANCE_STATE = "MissingParameter", "IncorrectState", "IncorrectInstanceState"


@dataclass
class Scene:
    """One thing of each state that a refusal needs; `other` is another account's client."""

    face: Face
    ec2: Any
    other: Any
    image: str
    plain: str
    running: str
    stopped: str
    pending: str
    ended: str
    root: str  # of the running instance, with `data` at /dev/sdf
    data: str
    free: str
    creating: str
    elsewhere: str  # a free volume in another zone
    cut: str
    waiting: str  # a snapshot that is pending
    before: dict[str, Any]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    face = Face(tmp_path_factory.mktemp("refusals"))
    ec2 = face.client()
    image, plain = make_image(face), make_image(face)
    disks = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 7}}]
    zone = {"AvailabilityZone": ZONES[0]}
    ids = [run(ec2, image, Placement=zone, BlockDeviceMappings=disks)["InstanceId"] for _ in range(4)]
    for id, state in zip(ids, ("running", "stopped", "pending", "terminated"), strict=True):
        if state != "pending":
            bring(face, id, state)
    volumes = [ec2.create_volume(AvailabilityZone=where, Size=8)["VolumeId"] for where in (ZONES[0], ZONES[0], ZONES[1])]
    cut, waiting = (ec2.create_snapshot(VolumeId=disk_of(ec2, ids[0], "/dev/sdf"))["SnapshotId"] for _ in range(2))
    with face.database.write() as tx:
        for volume in (volumes[0], volumes[2]):
            tx.db.query(records.Volume).filter_by(id=volume).one().state = "available"
        snapshots.was_cut(tx, cut)
        snapshots.completed(tx, cut)
    ec2.deregister_image(ImageId=plain)
    running, stopped, pending, ended = ids
    free, creating, elsewhere = volumes
    yield Scene(
        face=face,
        ec2=ec2,
        other=face.client(face.second),
        image=image,
        plain=plain,
        running=running,
        stopped=stopped,
        pending=pending,
        ended=ended,
        root=disk_of(ec2, running, "/dev/sda1"),
        data=disk_of(ec2, running, "/dev/sdf"),
        free=free,
        creating=creating,
        elsewhere=elsewhere,
        cut=cut,
        waiting=waiting,
        before=face.everything(),
    )
    face.close()


def disk_of(ec2: Any, instance: str, device: str) -> str:
    (part,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
    at = {row["DeviceName"]: row["Ebs"]["VolumeId"] for row in part["Instances"][0]["BlockDeviceMappings"]}
    return str(at[device])


def launch(s: Scene, **more: Any) -> Any:
    return s.ec2.run_instances(**{"ImageId": s.image, "InstanceType": "m5.large", "MinCount": 1, "MaxCount": 1, **more})


def mapped(s: Scene, device: str, **ebs: Any) -> Any:
    return launch(s, BlockDeviceMappings=[{"DeviceName": device, "Ebs": ebs}])


def create(s: Scene, **more: Any) -> Any:
    return s.ec2.create_volume(**{"AvailabilityZone": ZONES[0], "Size": 8, **more})


def register(s: Scene, **more: Any) -> Any:
    mapping = [{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": s.cut}}]
    said = {"Name": "registered", "RootDeviceName": "/dev/sda1", "Architecture": "x86_64", "VirtualizationType": "hvm"}
    return s.ec2.register_image(
        **{name: value for name, value in {**said, "BlockDeviceMappings": mapping, **more}.items() if value is not None}
    )


def attribute(s: Scene, instance: str, **more: Any) -> Any:
    return s.ec2.modify_instance_attribute(InstanceId=instance, **more)


Row = tuple[str, Callable[[Scene], Any], str, str]

# -- 3.2, 3.7: block device mappings, of a launch and of an image -------------------------------------------------------------

MAPPINGS: list[Row] = [
    (
        "an entry with a name only",
        lambda s: launch(s, BlockDeviceMappings=[{"DeviceName": "/dev/sdg"}]),
        MISSING,
        "The request must contain the parameter ebs",
    ),
    ("a digit", lambda s: mapped(s, "/dev/sde1", VolumeSize=1), MAPPING, "Invalid device name /dev/sde1"),
    (
        "no size",
        lambda s: mapped(s, "/dev/sdg", VolumeType="gp3"),
        MISSING,
        "The request must contain the parameter size or snapshotId",
    ),
    (
        "no size, image",
        lambda s: register(s, BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeType": "gp3"}}]),
        MAPPING,
        ".*",
    ),
    (
        "too small",
        lambda s: mapped(s, "/dev/sda1", VolumeSize=7),
        MAPPING,
        r"Volume of size 7GB is smaller than snapshot 'snap-\w+', expect size >= 8GB",
    ),
    (
        "the root's snapshot",
        lambda s: mapped(s, "/dev/sda1", SnapshotId=s.cut),
        MAPPING,
        "snapshotId cannot be modified on root device",
    ),
    (
        "a rate of nothing to read",
        lambda s: mapped(s, "/dev/sdf", VolumeSize=1, VolumeInitializationRate=100),
        "InvalidParameterDependency",
        "The parameter VolumeInitializationRate requires the parameter SnapshotId to be set.",
    ),
    ("too slow a rate", lambda s: mapped(s, "/dev/sda1", VolumeInitializationRate=99), VALUE, ".*"),
    ("no root", lambda s: launch(s, BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "NoDevice": ""}]), MAPPING, ".*"),
    (
        "two spellings",
        lambda s: launch(s, BlockDeviceMappings=[{"DeviceName": name, "Ebs": {"VolumeSize": 1}} for name in ("/dev/sdh", "sdh")]),
        MAPPING,
        "The device 'sdh' is used in more than one block-device mapping",
    ),
    (
        "no such snapshot",
        lambda s: mapped(s, "/dev/sdg", SnapshotId="snap-0a"),
        "InvalidSnapshot.NotFound",
        "The snapshot 'snap-0a' does not exist.",
    ),
    (
        "no snapshot's id",
        lambda s: mapped(s, "/dev/sdg", SnapshotId="x"),
        VALUE,
        "Value .x. for parameter snapshotId is invalid.*",
    ),
    (
        "another's snapshot",
        lambda s: s.other.register_image(
            Name="abc",
            RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": s.cut}}],
        ),
        "InvalidSnapshot.NotFound",
        ".*",
    ),
    (
        "a pending snapshot",
        lambda s: mapped(s, "/dev/sdg", SnapshotId=s.waiting),
        STATE,
        "Snapshot is in invalid state - pending",
    ),
    (
        "a pending snapshot, image",
        lambda s: register(s, BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": s.waiting}}]),
        STATE,
        "Snapshot is in invalid state - pending",
    ),
    (
        "a key and no encryption",
        lambda s: mapped(s, "/dev/sdg", VolumeSize=1, KmsKeyId="k"),
        "InvalidParameterDependency",
        "The parameter KmsKeyId requires the parameter Encrypted to be set.",
    ),
    (
        "encrypted, image",
        lambda s: register(
            s, BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": s.cut, "Encrypted": False}}]
        ),
        "InvalidParameter",
        "Parameter encrypted is invalid. You cannot specify the encrypted flag.*",
    ),
    (
        "encrypted, a new image",
        lambda s: s.ec2.create_image(
            InstanceId=s.stopped,
            Name="abc",
            BlockDeviceMappings=[{"DeviceName": "/dev/sdg", "Ebs": {"SnapshotId": s.cut, "Encrypted": True}}],
        ),
        "InvalidParameter",
        "Parameter encrypted is invalid.*",
    ),
    (
        "io2 without iops",
        lambda s: mapped(s, "/dev/sdg", VolumeSize=8, VolumeType="io2"),
        COMBINATION,
        "The parameter iops must be specified for io2 volumes.",
    ),
    (
        "iops of gp2",
        lambda s: mapped(s, "/dev/sdg", VolumeSize=8, Iops=300),
        COMBINATION,
        "The parameter iops is not supported for gp2 volumes.",
    ),
    (
        "throughput of io1",
        lambda s: mapped(s, "/dev/sdg", VolumeSize=8, VolumeType="io1", Iops=100, Throughput=125),
        COMBINATION,
        "throughput can only be specified for volumeType gp3.",
    ),
    (
        "throughput of few iops",
        lambda s: mapped(s, "/dev/sdg", VolumeSize=80, VolumeType="gp3", Throughput=1200),
        COMBINATION,
        r"Throughput \(MiBps\) to iops ratio of 0.400000 is too high; maximum is 0.250000 MiBps per iops.",
    ),
    ("no such type", lambda s: mapped(s, "/dev/sdg", VolumeSize=8, VolumeType="gp4"), "UnknownVolumeType", ".*"),
    ("a root of st1", lambda s: mapped(s, "/dev/sda1", VolumeSize=125, VolumeType="st1"), MAPPING, ".*"),
    (
        "no root, image",
        lambda s: register(s, BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": s.cut}}]),
        MAPPING,
        "Root device /dev/sda1 is not in the block device mapping",
    ),
]

# -- 4.1 RunInstances ---------------------------------------------------------------------------------------------------------

LAUNCHES: list[Row] = [
    ("none at all", lambda s: launch(s, MinCount=0), VALUE, ".*"),
    ("fewer than least", lambda s: launch(s, MinCount=2), VALUE, ".*"),
    (
        "no image",
        lambda s: s.ec2.run_instances(MinCount=1, MaxCount=1, InstanceType="m5.large"),
        MISSING,
        "The request must contain the parameter ImageId",
    ),
    ("no image's id", lambda s: launch(s, ImageId="x"), "InvalidAMIID.Malformed", r'Invalid id: "x" \(expecting "ami-..."\)'),
    (
        "no such image",
        lambda s: launch(s, ImageId="ami-0a"),
        "InvalidAMIID.NotFound",
        r"The image id '\[ami-0a\]' does not exist",
    ),
    (
        "a deregistered image",
        lambda s: launch(s, ImageId=s.plain),
        "InvalidAMIID.Unavailable",
        r"The image id '\[ami-\w+\]' is no longer available",
    ),
    ("another's image", lambda s: s.other.run_instances(ImageId=s.image, MinCount=1, MaxCount=1), "InvalidAMIID.NotFound", ".*"),
    ("no such type", lambda s: launch(s, InstanceType="m5.enormous"), VALUE, "Invalid value 'm5.enormous' for InstanceType."),
    ("no such key", lambda s: launch(s, KeyName="nobody's"), "InvalidKeyPair.NotFound", "The key pair 'nobody's' does not exist"),
    (
        "no such zone",
        lambda s: launch(s, Placement={"AvailabilityZone": "mars-1a"}),
        VALUE,
        r"Invalid availability zone: \[mars-1a\]",
    ),
    (
        "user data in no base64",
        lambda s: s.face.ask("RunInstances", ImageId=s.image, MinCount="1", MaxCount="1", UserData="%"),
        "InvalidUserData.Malformed",
        "Invalid BASE64 encoding of user data.",
    ),
    (
        "too much user data",
        lambda s: s.face.ask(
            "RunInstances", ImageId=s.image, MinCount="1", MaxCount="1", UserData=base64.b64encode(b"x" * 16385).decode()
        ),
        VALUE,
        "User data is limited to 16384 bytes",
    ),
    ("no kernel's id", lambda s: launch(s, KernelId="kernel"), "InvalidKernelId.Malformed", ".*"),
    ("no RAM disk's id", lambda s: launch(s, RamdiskId="aki-0a"), "InvalidRamDiskId.Malformed", ".*"),
    ("a profile", lambda s: launch(s, IamInstanceProfile={"Name": "p"}), VALUE, ".*Invalid IAM Instance Profile.*"),
    (
        "metadata options of none",
        lambda s: launch(s, MetadataOptions={"HttpEndpoint": "disabled", "HttpTokens": "required"}),
        COMBINATION,
        ".*",
    ),
    ("one address for two", lambda s: launch(s, MaxCount=2, PrivateIpAddress="172.31.0.9"), COMBINATION, ".*"),
    (
        "an address from elsewhere",
        lambda s: launch(s, PrivateIpAddress="10.0.0.9"),
        VALUE,
        "Address 10.0.0.9 does not fall within the subnet's address range",
    ),
    (
        "a subnet beside cards",
        lambda s: launch(s, SubnetId="subnet-0a", NetworkInterfaces=[{"DeviceIndex": 0}]),
        COMBINATION,
        "Network interfaces and an instance-level subnet ID may not be specified on the same request",
    ),
    (
        "no such subnet",
        lambda s: launch(s, SubnetId="subnet-0a"),
        "InvalidSubnetID.NotFound",
        "The subnet ID 'subnet-0a' does not exist",
    ),
    (
        "no such group",
        lambda s: launch(s, SecurityGroupIds=["sg-0a"]),
        "InvalidGroup.NotFound",
        "The security group 'sg-0a' does not exist",
    ),
    ("another behaviour", lambda s: launch(s, InstanceInitiatedShutdownBehavior="sleep"), VALUE, ".*"),
    (
        "tags of what is not made",
        lambda s: launch(s, TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "k", "Value": "v"}]}]),
        VALUE,
        "'snapshot' is not a valid taggable resource type for this operation.",
    ),
    (
        "a specification without tags",
        lambda s: launch(s, TagSpecifications=[{"ResourceType": "instance"}]),
        VALUE,
        "Tag specification must have at least one tag",
    ),
    ("a long token", lambda s: launch(s, ClientToken="x" * 65), "InvalidClientToken", ".*"),
    ("a foreign token", lambda s: launch(s, ClientToken="ü"), "InvalidClientToken", ".*"),
]

# -- 4.3 to 4.7 instances -----------------------------------------------------------------------------------------------------

INSTANCES: list[Row] = [
    ("no ids", lambda s: s.face.ask("TerminateInstances"), MISSING, ".*"),
    *(
        (
            f"an empty id to {verb}",
            lambda s, verb=verb: s.face.ask(verb, InstanceId__1=""),
            "InvalidInstanceID.Malformed",
            r'Invalid id: "" \(expecting "i-\.\.\."\)',
        )
        for verb in ("DescribeInstances", "StopInstances", "TerminateInstances")
    ),
    (
        "more than a thousand",
        lambda s: s.ec2.terminate_instances(InstanceIds=[f"i-{n:017x}" for n in range(1001)]),
        "ResourceCountExceeded",
        ".*",
    ),
    (
        "one of two is missing",
        lambda s: s.ec2.terminate_instances(InstanceIds=[s.stopped, "i-0a"]),
        "InvalidInstanceID.NotFound",
        "The instance ID 'i-0a' does not exist",
    ),
    (
        "both are missing",
        lambda s: s.ec2.stop_instances(InstanceIds=["i-0a", "i-0b"]),
        "InvalidInstanceID.NotFound",
        "The instance IDs 'i-0a, i-0b' do not exist",
    ),
    (
        "hibernation",
        lambda s: s.ec2.stop_instances(InstanceIds=[s.running], Hibernate=True),
        "UnsupportedHibernationConfiguration",
        ".*",
    ),
    (
        "hibernation of the missing",
        lambda s: s.ec2.stop_instances(InstanceIds=["i-0a"], Hibernate=True),
        "InvalidInstanceID.NotFound",
        ".*",
    ),
    ("statuses of 101", lambda s: s.ec2.describe_instance_status(InstanceIds=[f"i-{n:017x}" for n in range(101)]), VALUE, ".*"),
    (
        "statuses of the missing",
        lambda s: s.ec2.describe_instance_status(InstanceIds=["i-0a"]),
        "InvalidInstanceID.NotFound",
        ".*",
    ),
    (
        "a page of ids",
        lambda s: s.ec2.describe_instances(InstanceIds=[s.running], MaxResults=5),
        COMBINATION,
        "The parameter instancesSet cannot be used with the parameter maxResults",
    ),
    (
        "impaired by nothing known",
        lambda s: s.ec2.report_instance_status(Instances=[s.running], Status="impaired", ReasonCodes=["bad-luck"]),
        VALUE,
        ".*bad-luck.*",
    ),
    ("monitoring what has ended", lambda s: s.ec2.monitor_instances(InstanceIds=[s.ended]), "InvalidState", ".*"),
    (
        "no such attribute",
        lambda s: s.ec2.describe_instance_attribute(InstanceId=s.running, Attribute="colour"),
        VALUE,
        r"Value \(colour\) for parameter attribute is invalid. Unknown attribute.",
    ),
    (
        "an attribute not described",
        lambda s: s.ec2.describe_instance_attribute(InstanceId=s.running, Attribute="enaSupport"),
        VALUE,
        ".*Unknown attribute.",
    ),
    ("no attribute", lambda s: attribute(s, s.stopped), COMBINATION, "No attributes specified."),
    (
        "two attributes",
        lambda s: attribute(s, s.stopped, UserData={"Value": b"x"}, DisableApiStop={"Value": True}),
        COMBINATION,
        "Fields for multiple attribute types specified",
    ),
    (
        "two forms",
        lambda s: attribute(s, s.stopped, Attribute="userData", DisableApiStop={"Value": True}),
        COMBINATION,
        "Fields for multiple attribute types specified",
    ),
    ("no value", lambda s: attribute(s, s.stopped, Attribute="userData"), MISSING, ".*"),
    *(
        (
            f"{name} of a running instance",
            lambda s, name=name, value=value: attribute(s, s.running, **{name: value}),
            INSTANCE_STATE,
            "The instance 'i-\\w+' is not in the 'stopped' state.",
        )
        for name, value in {
            "InstanceType": {"Value": "m5.large"},
            "Kernel": {"Value": "aki-1"},
            "Ramdisk": {"Value": "ari-1"},
            "UserData": {"Value": b"x"},
            "EbsOptimized": {"Value": True},
            "SriovNetSupport": {"Value": "simple"},
            "EnaSupport": {"Value": True},
        }.items()
    ),
    *(
        (
            f"{name} of an instance that has ended",
            lambda s, name=name, value=value: attribute(s, s.ended, **{name: value}),
            INSTANCE_STATE,
            ".*",
        )
        for name, value in {
            "DisableApiTermination": {"Value": True},
            "DisableApiStop": {"Value": True},
            "SourceDestCheck": {"Value": False},
            "InstanceInitiatedShutdownBehavior": {"Value": "stop"},
            "Groups": ["sg-0a"],
            "BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"DeleteOnTermination": True}}],
        }.items()
    ),
    (
        "a bad type",
        lambda s: attribute(s, s.stopped, InstanceType={"Value": "m5.enormous"}),
        "InvalidInstanceAttributeValue",
        ".*",
    ),
    ("a bad behaviour", lambda s: attribute(s, s.running, InstanceInitiatedShutdownBehavior={"Value": "sleep"}), VALUE, ".*"),
    ("a bad flag", lambda s: attribute(s, s.running, Attribute="disableApiStop", Value="perhaps"), VALUE, ".*"),
    ("no such group", lambda s: attribute(s, s.running, Groups=["sg-0a"]), "InvalidGroup.NotFound", ".*"),
    (
        "nothing at the device",
        lambda s: attribute(s, s.running, BlockDeviceMappings=[{"DeviceName": "/dev/sdz", "Ebs": {"DeleteOnTermination": True}}]),
        "InvalidInstanceAttributeValue",
        "No device is currently mapped at /dev/sdz",
    ),
    (
        "another volume at the device",
        lambda s: attribute(
            s,
            s.running,
            BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeId": s.root, "DeleteOnTermination": True}}],
        ),
        "InvalidInstanceAttributeValue",
        ".*",
    ),
    ("a reset of anything", lambda s: s.ec2.reset_instance_attribute(InstanceId="i-0a", Attribute="userData"), VALUE, ".*"),
    (
        "a reset while running",
        lambda s: s.ec2.reset_instance_attribute(InstanceId=s.running, Attribute="kernel"),
        INSTANCE_STATE,
        ".*",
    ),
    (
        "a reset of what has ended",
        lambda s: s.ec2.reset_instance_attribute(InstanceId=s.ended, Attribute="sourceDestCheck"),
        INSTANCE_STATE,
        ".*",
    ),
    (
        "no such types",
        lambda s: s.ec2.describe_instance_types(InstanceTypes=["a.b", "c.d"]),
        "InvalidInstanceType",
        r"The following supplied instance types do not exist: \[a.b, c.d\]",
    ),
    ("hops", lambda s: s.ec2.modify_instance_metadata_options(InstanceId=s.running, HttpPutResponseHopLimit=65), VALUE, ".*"),
    (
        "credits of m5",
        lambda s: s.ec2.describe_instance_credit_specifications(InstanceIds=[s.running]),
        "InstanceCreditSpecification.NotSupported",
        ".*",
    ),
]

# -- 4.9 to 4.12 volumes ------------------------------------------------------------------------------------------------------

VOLUMES: list[Row] = [
    ("no zone", lambda s: s.ec2.create_volume(Size=1), MISSING, ".*"),
    ("two zones", lambda s: create(s, AvailabilityZoneId="use1-az1"), COMBINATION, ".*"),
    (
        "no such zone",
        lambda s: create(s, AvailabilityZone="mars-1a"),
        "InvalidZone.NotFound",
        "The zone 'mars-1a' does not exist.",
    ),
    (
        "nothing to size it by",
        lambda s: s.ec2.create_volume(AvailabilityZone=ZONES[0]),
        MISSING,
        "The request must contain the parameter size/snapshot",
    ),
    (
        "smaller than its snapshot",
        lambda s: create(s, Size=6, SnapshotId=s.cut),
        VALUE,
        "The requested size is smaller than the snapshot.*",
    ),
    ("a pending snapshot", lambda s: create(s, SnapshotId=s.waiting), STATE, "Snapshot is in invalid state - pending"),
    (
        "too small",
        lambda s: create(s, Size=3, VolumeType="io1", Iops=100),
        VALUE,
        "Volume of 3GiB is too small; minimum is 4GiB.",
    ),
    ("too large", lambda s: create(s, Size=16385), VALUE, "Volume of 16385GiB is too large; maximum is 16384GiB."),
    ("few iops", lambda s: create(s, VolumeType="io1", Iops=99), VALUE, "Volume iops of 99 is too low; minimum is 100."),
    (
        "many iops",
        lambda s: create(s, Size=16384, VolumeType="io1", Iops=64001),
        VALUE,
        "Volume iops of 64001 is too high; maximum is 64000.*",
    ),
    (
        "many iops for its size",
        lambda s: create(s, VolumeType="io1", Iops=401),
        COMBINATION,
        "Iops to volume size ratio of .* is too high; maximum is .* iops per GiB.*",
    ),
    ("no such type", lambda s: create(s, VolumeType="gp4"), "UnknownVolumeType", ".*"),
    ("a key and no encryption", lambda s: create(s, KmsKeyId="k"), "InvalidParameterDependency", ".*"),
    ("at many", lambda s: create(s, VolumeType="io1", Iops=100, MultiAttachEnabled=True), "UnsupportedOperation", ".*"),
    ("an outpost", lambda s: create(s, OutpostArn="arn:aws:outposts:us-east-1:1:outpost/op-1"), "UnsupportedOperation", ".*"),
    ("a rate of nothing to read", lambda s: create(s, VolumeInitializationRate=100), "InvalidParameterDependency", ".*"),
    ("too slow a rate", lambda s: create(s, SnapshotId=s.cut, VolumeInitializationRate=99), VALUE, ".*"),
    ("too fast a rate", lambda s: create(s, SnapshotId=s.cut, VolumeInitializationRate=301), VALUE, ".*"),
    (
        "delete what is attached",
        lambda s: s.ec2.delete_volume(VolumeId=s.data),
        "VolumeInUse",
        "Volume vol-\\w+ is currently attached to i-\\w+",
    ),
    ("delete what is being made", lambda s: s.ec2.delete_volume(VolumeId=s.creating), STATE, ".*"),
    (
        "delete what is not there",
        lambda s: s.ec2.delete_volume(VolumeId="vol-0a"),
        "InvalidVolume.NotFound",
        "The volume 'vol-0a' does not exist.",
    ),
    (
        "attach without a device",
        lambda s: s.face.ask("AttachVolume", VolumeId=s.free, InstanceId=s.running),
        MISSING,
        "The request must contain the parameter device",
    ),
    *(
        (
            f"attach to an instance that is {state}",
            lambda s, state=state: s.ec2.attach_volume(VolumeId=s.free, InstanceId=getattr(s, state), Device="/dev/sdh"),
            STATE,
            "Instance 'i-\\w+' is not 'running'.",
        )
        for state in ("pending", "ended")
    ),
    (
        "attach what is being made",
        lambda s: s.ec2.attach_volume(VolumeId=s.creating, InstanceId=s.running, Device="/dev/sdh"),
        STATE,
        "vol-\\w+ is not 'available'.",
    ),
    (
        "attach again",
        lambda s: s.ec2.attach_volume(VolumeId=s.data, InstanceId=s.running, Device="/dev/sdf"),
        "VolumeInUse",
        "vol-\\w+ is already attached to an instance",
    ),
    (
        "attach from elsewhere",
        lambda s: s.ec2.attach_volume(VolumeId=s.elsewhere, InstanceId=s.running, Device="/dev/sdh"),
        "InvalidVolume.ZoneMismatch",
        "The volume 'vol-\\w+' is not in the same availability zone as instance 'i-\\w+'",
    ),
    (
        "attach at a taken device",
        lambda s: s.ec2.attach_volume(VolumeId=s.free, InstanceId=s.running, Device="/dev/sdf"),
        VALUE,
        "Invalid value '/dev/sdf' for unixDevice. Attachment point /dev/sdf is already in use",
    ),
    (
        "attach at no device",
        lambda s: s.ec2.attach_volume(VolumeId=s.free, InstanceId=s.running, Device="/dev/sdi1"),
        VALUE,
        r"Value \(/dev/sdi1\) for parameter device is invalid. /dev/sdi1 is not a valid EBS device name.",
    ),
    (
        "detach what is free",
        lambda s: s.ec2.detach_volume(VolumeId=s.free),
        STATE,
        "Volume 'vol-\\w+' is in the 'available' state.",
    ),
    (
        "detach from another",
        lambda s: s.ec2.detach_volume(VolumeId=s.data, InstanceId=s.stopped),
        "InvalidAttachment.NotFound",
        "The volume vol-\\w+ is not attached to instance i-\\w+ as device /dev/sdf",
    ),
    (
        "detach from another device",
        lambda s: s.ec2.detach_volume(VolumeId=s.data, Device="/dev/sdg"),
        "InvalidAttachment.NotFound",
        ".*",
    ),
    ("detach from nobody", lambda s: s.ec2.detach_volume(VolumeId=s.data, InstanceId="i-0a"), "InvalidInstanceID.NotFound", ".*"),
    (
        "detach a running root",
        lambda s: s.ec2.detach_volume(VolumeId=s.root),
        STATE,
        "Unable to detach root volume 'vol-\\w+' from instance 'i-\\w+'",
    ),
    (
        "make it smaller",
        lambda s: s.ec2.modify_volume(VolumeId=s.free, Size=7),
        VALUE,
        "New size cannot be smaller than existing size",
    ),
    ("change nothing", lambda s: s.ec2.modify_volume(VolumeId=s.free), COMBINATION, ".*"),
    ("change what is being made", lambda s: s.ec2.modify_volume(VolumeId=s.creating, Size=9), STATE, ".*"),
    ("a root of st1", lambda s: s.ec2.modify_volume(VolumeId=s.root, VolumeType="st1", Size=125), COMBINATION, ".*"),
    (
        "a change never made",
        lambda s: s.ec2.describe_volumes_modifications(VolumeIds=[s.free]),
        "InvalidVolumeModification.NotFound",
        "Modification for volume 'vol-\\w+' does not exist.",
    ),
    ("no attribute", lambda s: s.ec2.modify_volume_attribute(VolumeId=s.free), COMBINATION, ".*"),
]

# -- 4.13 to 4.17 images and snapshots, 3.10 CreateImage ----------------------------------------------------------------------

IMAGES: list[Row] = [
    ("no name", lambda s: register(s, Name=None), MISSING, "The request must contain the parameter name"),
    (
        "a short name",
        lambda s: register(s, Name="ab"),
        "InvalidAMIName.Malformed",
        "AMI names must be between 3 and 128 characters long.*",
    ),
    ("a strange name", lambda s: register(s, Name="a#b"), "InvalidAMIName.Malformed", ".*"),
    (
        "neither root nor place",
        lambda s: register(s, RootDeviceName=None),
        COMBINATION,
        "Either imageLocation or rootDeviceName must be set.",
    ),
    ("a long description", lambda s: register(s, Description="x" * 256), VALUE, ".*"),
    ("an architecture of nobody's", lambda s: register(s, Architecture="z80"), VALUE, ".*"),
    ("a virtualization of nobody's", lambda s: register(s, VirtualizationType="magic"), VALUE, ".*"),
    ("a boot mode of nobody's", lambda s: register(s, BootMode="punched-card"), VALUE, ".*"),
    ("SR-IOV of nobody's", lambda s: register(s, SriovNetSupport="complex"), VALUE, ".*"),
    ("IMDS of nobody's", lambda s: register(s, ImdsSupport="v3.0"), VALUE, ".*"),
    ("a TPM of nobody's", lambda s: register(s, TpmSupport="v1.2"), VALUE, ".*"),
    ("much UEFI data", lambda s: register(s, UefiData="x" * 64001), VALUE, ".*"),
    (
        "an image of a pending instance",
        lambda s: s.ec2.create_image(InstanceId=s.pending, Name="abc"),
        VALUE,
        "Instance is not in state 'running' or 'stopping' or 'stopped'",
    ),
    (
        "an image of an ended instance",
        lambda s: s.ec2.create_image(InstanceId=s.ended, Name="abc"),
        VALUE,
        "Instance is not in state.*",
    ),
    (
        "a larger root",
        lambda s: s.ec2.create_image(
            InstanceId=s.stopped, Name="abc", BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20}}]
        ),
        MAPPING,
        ".*",
    ),
    (
        "an image here alone",
        lambda s: s.ec2.create_image(InstanceId=s.stopped, Name="abc", SnapshotLocation="local"),
        "UnsupportedOperation",
        ".*",
    ),
    (
        "another boot mode",
        lambda s: s.ec2.create_image(InstanceId=s.stopped, Name="abc", BootModeOverride="punched-card"),
        VALUE,
        ".*",
    ),
    (
        "tags of a volume",
        lambda s: s.ec2.create_image(
            InstanceId=s.stopped, Name="abc", TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "k", "Value": "v"}]}]
        ),
        VALUE,
        "'volume' is not a valid taggable.*",
    ),
    (
        "a copy in ten minutes",
        lambda s: s.ec2.copy_image(
            Name="c", SourceRegion="us-east-1", SourceImageId=s.image, SnapshotCopyCompletionDurationMinutes=10
        ),
        VALUE,
        ".*snapshotCopyCompletionDurationMinutes.*",
    ),
    ("of somebody's product", lambda s: register(s, BillingProducts=["bp-1"]), "UnsupportedOperation", ".*billingProducts.*"),
    (
        "another's products",
        lambda s: s.ec2.modify_image_attribute(ImageId=s.image, ProductCodes=["p"]),
        COMBINATION,
        ".*",
    ),
    (
        "from another region",
        lambda s: s.ec2.copy_image(Name="abc", SourceImageId=s.image, SourceRegion="mars-1"),
        "InvalidRegion|InvalidParameterValue",
        ".*",
    ),
    (
        "a copy of what is gone",
        lambda s: s.ec2.copy_image(Name="abc", SourceImageId=s.plain, SourceRegion="us-east-1"),
        "InvalidAMIID.Unavailable",
        ".*",
    ),
    ("deregistered twice", lambda s: s.ec2.deregister_image(ImageId=s.plain), "InvalidAMIID.Unavailable", ".*"),
    ("described afterwards", lambda s: s.ec2.describe_images(ImageIds=[s.plain]), "InvalidAMIID.NotFound", ".*"),
    ("two malformed", lambda s: s.ec2.describe_images(ImageIds=["x", "y"]), "InvalidAMIID.Malformed", r'Invalid id: "x" .*'),
    (
        "the mapping",
        lambda s: s.ec2.describe_image_attribute(ImageId=s.image, Attribute="blockDeviceMapping"),
        "AuthFailure",
        "Unauthorized attempt to access restricted resource",
    ),
    (
        "no such attribute",
        lambda s: s.ec2.describe_image_attribute(ImageId=s.image, Attribute="colour"),
        "InvalidRequest",
        "The request received was invalid",
    ),
    ("no owner", lambda s: s.ec2.describe_images(Owners=["me"]), "InvalidUserID.Malformed", ".*"),
]

SNAPSHOTS: list[Row] = [
    ("of what is being made", lambda s: s.ec2.create_snapshot(VolumeId=s.creating), STATE, ".*"),
    (
        "of an image",
        lambda s: s.ec2.delete_snapshot(SnapshotId=image_of(s)),
        "InvalidSnapshot.InUse",
        "The snapshot snap-\\w+ is currently in use by ami-\\w+",
    ),
    (
        "a copy of what is pending",
        lambda s: s.ec2.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=s.waiting),
        STATE,
        ".*",
    ),
    (
        "a copy from elsewhere",
        lambda s: s.ec2.copy_snapshot(SourceRegion="mars-1", SourceSnapshotId=s.cut),
        "InvalidRegion|InvalidParameterValue",
        ".*",
    ),
    (
        "a copy in ten minutes",
        lambda s: s.ec2.copy_snapshot(SourceRegion="us-east-1", SourceSnapshotId=s.cut, CompletionDurationMinutes=10),
        VALUE,
        ".*completionDurationMinutes.*",
    ),
    (
        "of all but the root by its id",
        lambda s: s.ec2.create_snapshots(InstanceSpecification={"InstanceId": s.running, "ExcludeDataVolumeIds": [s.root]}),
        VALUE,
        ".*",
    ),
    (
        "of another's volume left out",
        lambda s: s.ec2.create_snapshots(InstanceSpecification={"InstanceId": s.running, "ExcludeDataVolumeIds": [s.free]}),
        VALUE,
        ".*",
    ),
    (
        "shared with nobody",
        lambda s: s.ec2.modify_snapshot_attribute(
            SnapshotId=s.cut, Attribute="createVolumePermission", OperationType="add", UserIds=["me"]
        ),
        "Invalid.*",
        ".*",
    ),
    (
        "shared with no group",
        lambda s: s.ec2.modify_snapshot_attribute(
            SnapshotId=s.cut, Attribute="createVolumePermission", OperationType="add", GroupNames=["friends"]
        ),
        "Invalid.*",
        ".*",
    ),
    ("no owner", lambda s: s.ec2.describe_snapshots(OwnerIds=["me"]), "InvalidUserID.Malformed", ".*"),
]


def image_of(s: Scene) -> str:
    (image,) = s.ec2.describe_images(ImageIds=[s.image])["Images"]
    return str(image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"])


# -- 2.5 tags -----------------------------------------------------------------------------------------------------------------

TAGS: list[Row] = [
    (
        "AWS's own",
        lambda s: s.ec2.create_tags(Resources=[s.free], Tags=[{"Key": "Aws:x", "Value": ""}]),
        VALUE,
        "Tag keys starting with 'aws:' are reserved for internal use",
    ),
    (
        "fifty-one",
        lambda s: s.ec2.create_tags(Resources=[s.free], Tags=[{"Key": str(n), "Value": ""} for n in range(51)]),
        "TagLimitExceeded",
        ".*",
    ),
    (
        "the same twice",
        lambda s: s.ec2.create_tags(Resources=[s.free], Tags=[{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}]),
        VALUE,
        "Duplicate tag key 'k' specified.",
    ),
    (
        "a long key",
        lambda s: s.ec2.create_tags(Resources=[s.free], Tags=[{"Key": "k" * 129, "Value": ""}]),
        VALUE,
        "Tag key exceeds the maximum length of .*",
    ),
    ("a long value", lambda s: s.ec2.create_tags(Resources=[s.free], Tags=[{"Key": "k", "Value": "v" * 257}]), VALUE, ".*"),
    (
        "no value",
        lambda s: s.ec2.create_tags(Resources=[s.free], Tags=[{"Key": "k"}]),
        VALUE,
        "Tag value cannot be null. Use empty string instead.",
    ),
    (
        "one is missing",
        lambda s: s.ec2.create_tags(Resources=[s.free, "snap-0a"], Tags=[{"Key": "k", "Value": ""}]),
        "InvalidSnapshot.NotFound",
        ".*",
    ),
    (
        "nothing's id",
        lambda s: s.ec2.create_tags(Resources=["thing-0a"], Tags=[{"Key": "k", "Value": ""}]),
        "InvalidID",
        "The ID 'thing-0a' is not valid",
    ),
]

SECTIONS = {
    "mappings": MAPPINGS, "launches": LAUNCHES, "instances": INSTANCES, "volumes": VOLUMES, "images": IMAGES,
    "snapshots": SNAPSHOTS, "tags": TAGS,
}  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "code", "message"),
    [pytest.param(*row[1:], id=f"{section}: {row[0]}") for section, rows in SECTIONS.items() for row in rows],
)
def test_refusal(scene: Scene, ask: Callable[[Scene], Any], code: str, message: str) -> None:
    try:
        answer = ask(scene)
    except ClientError as error:
        said = error.response["Error"]["Code"], error.response["Error"]["Message"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    else:
        said = answer.code, answer.xml.findtext("Errors/Error/Message")
        status = answer.status
    assert re.fullmatch(code, said[0]), said
    assert re.fullmatch(message, said[1]), said
    assert 400 <= status < 500
    before, scene.before = scene.before, scene.face.everything()
    assert scene.before == before
