"""Instances through boto3 and on the wire: what a launch may say, what becomes of each word, and what can be changed later."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from sqlalchemy import select

from ec2gw.cloud import images, instances, snapshots, volumes
from ec2gw.engine import observe, plan, steps
from ec2gw.model import bdm
from ec2gw.query import api, unserved
from ec2gw.state import records
from tests.query.face import ZONES, Face


def refusal(ask: Callable[[], Any]) -> tuple[str, str]:
    """The code and the message that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        ask()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def image(face: Face) -> str:
    return make_image(face)


@dataclass
class Shared:
    """A face, its first account's client and an image for all tests that change nothing else."""

    face: Face
    ec2: Any
    image: str


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    face = Face(tmp_path_factory.mktemp("face"))
    yield Shared(face, face.client(), make_image(face))
    face.close()


def make_image(face: Face, **options: Any) -> str:
    """An image of the first account whose root is a snapshot of 8 GiB."""
    with face.database.write() as tx:
        snapshot = snapshots.begin_fill(tx, face.first.account_id, 8, ZONES[0], "imported")
        snapshot.state, snapshot.cut = "completed", True
        tx.db.flush()
        wish = images.Registration(
            f"image-{snapshot.id}", "/dev/sda1", architecture="x86_64", virtualization_type="hvm", options=options
        )
        line = bdm.Line("/dev/sda1", snapshot_id=snapshot.id)
        return images.register(tx, face.first.account_id, wish, (line,)).id


def run(ec2: Any, image: str, **more: Any) -> dict[str, Any]:
    """The one instance launched, as RunInstances answers it."""
    (made,) = ec2.run_instances(**{"ImageId": image, "MinCount": 1, "MaxCount": 1, "InstanceType": "m5.large", **more})[
        "Instances"
    ]
    return dict(made)


def show(ec2: Any, id: str) -> dict[str, Any]:
    (reservation,) = ec2.describe_instances(InstanceIds=[id])["Reservations"]
    (shown,) = reservation["Instances"]
    return dict(shown)


def bring(face: Face, id: str, state: str) -> None:
    """What the engine tells of an instance until it is in a state."""
    with face.database.write() as tx:
        row = tx.db.query(records.Instance).filter_by(id=id).one()
        disks = [attachment.volume_id for attachment in row.attachments]
        for volume in disks:
            volumes.created(tx, volume)
        instances.started(tx, id, disks)
        if state == "stopped":
            instances.stop(tx, row.account_id, [id], 0)
            instances.stopped(tx, id)
        if state == "terminated":
            instances.terminate(tx, row.account_id, [id], 0)
            instances.ended(tx, id)


# -- every member of RunInstances ---------------------------------------------------------------------------------------------

# What changes what is made, with what the tests elsewhere say of it.
HONOURED = {
    "BlockDeviceMappings.DeviceName",
    "BlockDeviceMappings.Ebs.DeleteOnTermination",
    "BlockDeviceMappings.Ebs.Encrypted",
    "BlockDeviceMappings.Ebs.Iops",
    "BlockDeviceMappings.Ebs.KmsKeyId",
    "BlockDeviceMappings.Ebs.SnapshotId",
    "BlockDeviceMappings.Ebs.Throughput",
    "BlockDeviceMappings.Ebs.VolumeId",
    "BlockDeviceMappings.Ebs.VolumeInitializationRate",
    "BlockDeviceMappings.Ebs.VolumeSize",
    "BlockDeviceMappings.Ebs.VolumeType",
    "BlockDeviceMappings.NoDevice",
    "BlockDeviceMappings.VirtualName",
    "ClientToken",
    "CpuOptions.CoreCount",
    "CpuOptions.ThreadsPerCore",
    "DisableApiStop",
    "DisableApiTermination",
    "DryRun",
    "ImageId",
    "InstanceInitiatedShutdownBehavior",
    "InstanceType",
    "KeyName",
    "LaunchTemplate.LaunchTemplateId",
    "LaunchTemplate.LaunchTemplateName",
    "LaunchTemplate.Version",
    "MaxCount",
    "MinCount",
    "NetworkInterfaces.DeleteOnTermination",
    "NetworkInterfaces.Description",
    "NetworkInterfaces.DeviceIndex",
    "NetworkInterfaces.Groups",
    "NetworkInterfaces.NetworkInterfaceId",
    "NetworkInterfaces.PrivateIpAddress",
    "NetworkInterfaces.PrivateIpAddresses.Primary",
    "NetworkInterfaces.PrivateIpAddresses.PrivateIpAddress",
    "NetworkInterfaces.SecondaryPrivateIpAddressCount",
    "NetworkInterfaces.SubnetId",
    "Placement.AvailabilityZone",
    "Placement.AvailabilityZoneId",
    "Placement.GroupId",
    "Placement.GroupName",
    "Placement.PartitionNumber",
    "PrivateIpAddress",
    "SecurityGroupIds",
    "SecurityGroups",
    "SubnetId",
    "TagSpecifications.ResourceType",
    "TagSpecifications.Tags.Key",
    "TagSpecifications.Tags.Value",
    "UserData",
}
# Heard, and without effect until guests have networks (docs/divergences.md).
LATER = {"NetworkInterfaces.AssociatePublicIpAddress"}
# What an instance keeps and shows under the same name: a value that is not the default, and what must be said beside it.
SHOWN: dict[str, tuple[Any, dict[str, Any]]] = {
    "CapacityReservationSpecification.CapacityReservationPreference": ("none", {}),
    "CreditSpecification.CpuCredits": ("unlimited", {"InstanceType": "t2.micro"}),
    "EbsOptimized": (True, {}),
    "KernelId": ("aki-0a", {}),
    "MaintenanceOptions.AutoRecovery": ("disabled", {}),
    "MetadataOptions.HttpEndpoint": ("disabled", {}),
    "MetadataOptions.HttpProtocolIpv6": ("enabled", {}),
    "MetadataOptions.HttpPutResponseHopLimit": (7, {}),
    "MetadataOptions.HttpTokens": ("required", {}),
    "MetadataOptions.InstanceMetadataTags": ("enabled", {}),
    "Monitoring.Enabled": (True, {}),
    "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord": (True, {}),
    "PrivateDnsNameOptions.EnableResourceNameDnsARecord": (True, {}),
    "PrivateDnsNameOptions.HostnameType": ("resource-name", {}),
    "RamdiskId": ("ari-0a", {}),
}
# What is said of members that are structures.
STRUCTURES: dict[str, Any] = {
    "Ipv6Addresses": [{"Ipv6Address": "::1"}],
    "NetworkInterfaces.Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.0/28"}],
    "NetworkInterfaces.Ipv6Addresses": [{"Ipv6Address": "::1"}],
    "NetworkInterfaces.Ipv6Prefixes": [{"Ipv6Prefix": "::/80"}],
}


def leaves(shape: str = "RunInstancesRequest", path: str = "") -> Iterator[tuple[str, str]]:
    """Every member of a structure that holds no other, with the kind of its value; a list by what its items hold."""
    shapes = api.model(api.NEWEST).shapes
    for name, member in shapes[shape]["members"].items():
        held = shapes[member["shape"]]
        while held["type"] == "list":
            member = held["member"]
            held = shapes[member["shape"]]
        if held["type"] == "structure":
            yield from leaves(member["shape"], f"{path}{name}.")
        else:
            yield f"{path}{name}", held["type"]


LEAVES = dict(leaves())
UNSERVED = unserved.UNSERVED["RunInstances"].keys() - {"InstanceRequirements"}  # which only a template has


def covers(path: str, leaf: str) -> bool:
    return leaf == path or leaf.startswith(f"{path}.")


def test_every_member_of_run_instances_is_honoured_shown_or_refused() -> None:
    named = (HONOURED, LATER, SHOWN, UNSERVED - PARTLY)
    for leaf in LEAVES:
        homes = [index for index, paths in enumerate(named) if any(covers(path, leaf) for path in paths)]
        assert len(homes) == 1, (leaf, homes)
    for paths in named:
        for path in paths:
            assert any(covers(path, leaf) for leaf in LEAVES), path


# Members that are shown in some of their values and refused in the others.
PARTLY = {"CapacityReservationSpecification.CapacityReservationPreference"}


def nested(path: str, value: Any) -> dict[str, Any]:
    """The request's member that says a value at a path."""
    shapes = api.model(api.NEWEST).shapes
    steps, shape = path.split("."), "RunInstancesRequest"
    kinds = []
    for step in steps:
        member = shapes[shape]["members"][step]["shape"]
        kinds.append(shapes[member]["type"])
        shape = shapes[member]["member"]["shape"] if kinds[-1] == "list" else member
    said = value
    for step, kind in reversed(list(zip(steps, kinds, strict=True))):
        said = {step: [said] if kind == "list" and not isinstance(said, list) else said}
    return dict(said)


SAMPLES = {"string": "x", "integer": 3, "boolean": True, "timestamp": datetime(2030, 1, 1, tzinfo=UTC)}
BESIDE: dict[str, dict[str, Any]] = {
    "BlockDeviceMappings": {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 1}},
    "NetworkInterfaces": {"DeviceIndex": 0},
    "ElasticInferenceAccelerators": {"Type": "x"},
    "Monitoring": {"Enabled": True},
}


def deep(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = dict(one)
    for name, value in other.items():
        both[name] = deep(both[name], value) if isinstance(value, dict) and isinstance(both.get(name), dict) else value
    return both


@pytest.mark.parametrize("path", sorted(UNSERVED))
def test_what_is_refused_is_refused(shared: Shared, path: str) -> None:
    leaf = next((leaf for leaf in LEAVES if covers(path, leaf)), path)
    said = nested(path, STRUCTURES[path]) if path in STRUCTURES else nested(leaf, SAMPLES[LEAVES[leaf]])
    (top,) = said
    if top in BESIDE:
        inside = said[top]
        said[top] = [deep(BESIDE[top], inside[0])] if isinstance(inside, list) else deep(BESIDE[top], inside)
    before = shared.face.everything()
    code, _ = refusal(lambda: run(shared.ec2, shared.image, **said))
    assert code in {
        "UnsupportedOperation",
        "Unsupported",
        "UnsupportedHibernationConfiguration",
        "InvalidParameterValue",
        "InvalidCapacityReservationId.NotFound",
        "ReservationCapacityExceeded",
    }
    assert shared.face.everything() == before


@pytest.mark.parametrize("path", SHOWN)
def test_what_is_kept_is_shown(shared: Shared, path: str) -> None:
    ec2, image = shared.ec2, shared.image
    value, beside = SHOWN[path]
    id = run(ec2, image, **beside, **nested(path, value))["InstanceId"]
    if path == "CreditSpecification.CpuCredits":
        (shown,) = ec2.describe_instance_credit_specifications(InstanceIds=[id])["InstanceCreditSpecifications"]
        assert shown == {"InstanceId": id, "CpuCredits": value}
        return
    found: Any = show(ec2, id)
    if path == "Monitoring.Enabled":
        assert found["Monitoring"] == {"State": "enabled"}
        return
    for step in path.split("."):
        found = found[step]
    assert found == value


def test_what_asks_for_nothing_special_is_served(ec2: Any, image: str) -> None:
    made = run(
        ec2,
        image,
        Placement={"Tenancy": "default", "Affinity": "default"},
        HibernationOptions={"Configured": False},
        EnclaveOptions={"Enabled": False},
        InstanceMarketOptions={"MarketType": "on-demand"},
        NetworkPerformanceOptions={"BandwidthWeighting": "default"},
        CpuOptions={"AmdSevSnp": "disabled"},
        CapacityReservationSpecification={"CapacityReservationPreference": "open"},
    )
    assert made["Placement"]["Tenancy"] == "default"
    assert made["HibernationOptions"] == {"Configured": False}


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        (
            {"IamInstanceProfile": {"Name": "admin"}},
            "InvalidParameterValue",
            "Value (admin) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
        ),
        (
            {"IamInstanceProfile": {"Arn": "arn:aws:iam::1:instance-profile/a"}},
            "InvalidParameterValue",
            "Value (arn:aws:iam::1:instance-profile/a) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance"
            " Profile ARN",
        ),
        (
            {"InstanceType": "t2.micro", "EbsOptimized": True},
            "InvalidParameterCombination",
            "EBS-optimized instances are not supported for your requested configuration. Please check the documentation for"
            " supported configurations.",
        ),
        (
            {"CreditSpecification": {"CpuCredits": "standard"}},
            "InvalidParameterCombination",
            "The T2, T3, T3a or T4g instance types are required for CPU credits; m5.large has none.",
        ),
        (
            {"CreditSpecification": {"CpuCredits": "much"}, "InstanceType": "t2.micro"},
            "InvalidParameterValue",
            "Invalid value 'much' for CpuCredits.",
        ),
        (
            {"CpuOptions": {"CoreCount": 2, "ThreadsPerCore": 1}},
            "InvalidParameterCombination",
            "The CPU options of 2 cores with 1 threads each are not valid for the instance type m5.large.",
        ),
        (
            {"CpuOptions": {"CoreCount": 1}},
            "MissingParameter",
            "The request must contain the parameter CpuOptions.ThreadsPerCore",
        ),
        (
            {"MetadataOptions": {"HttpPutResponseHopLimit": 65}},
            "InvalidParameterValue",
            "Value (65) for parameter HttpPutResponseHopLimit is invalid. It must be between 1 and 64.",
        ),
        (
            {"MetadataOptions": {"HttpEndpoint": "disabled", "HttpTokens": "required"}},
            "InvalidParameterCombination",
            "The parameter HttpTokens cannot be used where HttpEndpoint is disabled.",
        ),
        ({"MetadataOptions": {"HttpTokens": "perhaps"}}, "InvalidParameterValue", "Invalid value 'perhaps' for HttpTokens."),
        (
            {"MaxCount": 1_001, "MinCount": 1_001},
            "InstanceLimitExceeded",
            "Your quota allows for 1000 more running instance(s). You requested at least 1001",
        ),
        ({"MinCount": 0}, "InvalidParameterValue", "Value (0) for parameter minCount is invalid. It must be at least 1."),
        (
            {"MinCount": 2},
            "InvalidParameterValue",
            "Value (1) for parameter maxCount is invalid. It must be at least minCount.",
        ),
        (
            {"Placement": {"AvailabilityZone": "us-east-1a", "AvailabilityZoneId": "use1-az1"}},
            "InvalidParameterCombination",
            "The parameter availabilityZone cannot be used with the parameter availabilityZoneId",
        ),
        ({"Placement": {"AvailabilityZoneId": "use1-az9"}}, "InvalidParameterValue", "Invalid availability zone: [use1-az9]"),
        ({"Placement": {"GroupName": "none"}}, "InvalidPlacementGroup.Unknown", "The Placement Group 'none' is unknown."),
    ],
)
def test_a_launch_that_says_what_cannot_be(shared: Shared, said: Any, code: str, message: str) -> None:
    before = shared.face.everything()
    assert refusal(lambda: run(shared.ec2, shared.image, **said)) == (code, message)
    assert shared.face.everything() == before


# -- a launch and its words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cards", "code"),
    [
        ([{"DeleteOnTermination": True}], "InvalidParameterCombination"),
        ([{"Description": "mine"}], "InvalidParameterCombination"),
        ([{}, {}], "InvalidNetworkInterface.InUse"),
        ([{"NetworkInterfaceId": "", "SecondaryPrivateIpAddressCount": -1}], "InvalidParameterValue"),
        (
            [
                {
                    "NetworkInterfaceId": "",
                    "PrivateIpAddress": "172.31.0.9",
                    "PrivateIpAddresses": [{"PrivateIpAddress": "172.31.0.9"}],
                }
            ],
            "InvalidParameterValue",
        ),
    ],
)
def test_interfaces_that_cannot_be(shared: Shared, cards: list[dict[str, Any]], code: str) -> None:
    """Of one that is there already, which a launch neither describes nor takes with the instance, and of new ones."""
    subnets = shared.ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": [ZONES[0]]}])["Subnets"]
    there = shared.ec2.create_network_interface(SubnetId=subnets[0]["SubnetId"])["NetworkInterface"]["NetworkInterfaceId"]
    before = shared.face.everything()
    said = [{"NetworkInterfaceId": there, "DeviceIndex": index} | card for index, card in enumerate(cards)]
    assert refusal(lambda: run(shared.ec2, shared.image, NetworkInterfaces=said))[0] == code
    assert shared.face.everything() == before


def test_cores_and_threads_are_what_the_engine_sees(ec2: Any, face: Face, image: str) -> None:
    id = run(ec2, image, InstanceType="m5.2xlarge", CpuOptions={"CoreCount": 3, "ThreadsPerCore": 1})["InstanceId"]
    assert show(ec2, id)["CpuOptions"] == {"CoreCount": 3, "ThreadsPerCore": 1}
    with face.database.read() as tx:
        seen = observe.look(tx, id)
        assert isinstance(seen, observe.Instance)
        assert seen.vcpus == 3
    bring(face, id, "stopped")
    ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": "m5.large"})
    assert show(ec2, id)["CpuOptions"] == {"CoreCount": 1, "ThreadsPerCore": 2}
    answer = ec2.modify_instance_cpu_options(InstanceId=id, CoreCount=1, ThreadsPerCore=1)
    assert (answer["CoreCount"], answer["ThreadsPerCore"]) == (1, 1)
    assert show(ec2, id)["CpuOptions"] == {"CoreCount": 1, "ThreadsPerCore": 1}


def test_a_paravirtual_image_runs_on_the_types_that_have_it(ec2: Any, face: Face, image: str) -> None:
    disk = ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]
    old = ec2.register_image(
        Name="old",
        Architecture="x86_64",
        RootDeviceName="/dev/sda1",
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": disk["Ebs"]["SnapshotId"]}}],
    )["ImageId"]
    refused = (
        "InvalidParameterCombination",
        "Virtualization type 'hvm' is required for instances of type 't3.micro'. Ensure that you are using an AMI with"
        " virtualization type 'hvm'.",
    )
    assert refusal(lambda: run(ec2, old, InstanceType="t3.micro")) == refused
    id = run(ec2, old, InstanceType="m1.small")["InstanceId"]
    bring(face, id, "stopped")
    assert refusal(lambda: ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": "t3.micro"})) == refused
    ec2.modify_instance_attribute(InstanceId=id, InstanceType={"Value": "m3.medium"})
    assert (show(ec2, id)["VirtualizationType"], show(ec2, id)["InstanceType"]) == ("paravirtual", "m3.medium")


def test_a_zone_by_its_id(ec2: Any, image: str) -> None:
    placed = run(ec2, image, Placement={"AvailabilityZoneId": "use1-az2"})["Placement"]
    assert (placed["AvailabilityZone"], placed["AvailabilityZoneId"]) == (ZONES[1], "use1-az2")


def test_as_many_as_there_are_addresses_for(ec2: Any, image: str) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/28")["Subnet"]["SubnetId"]
    words = {"ImageId": image, "InstanceType": "m5.large", "SubnetId": subnet}
    assert len(ec2.run_instances(**words, MinCount=4, MaxCount=40)["Instances"]) == 11
    assert refusal(lambda: ec2.run_instances(**words, MinCount=1, MaxCount=2)) == (
        "InsufficientFreeAddressesInSubnet",
        f"There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances.",
    )


def test_tags_for_all_that_a_launch_makes(ec2: Any, image: str) -> None:
    kinds = ("instance", "volume", "network-interface", "spot-instances-request")
    specifications = [{"ResourceType": kind, "Tags": [{"Key": "kind", "Value": kind}]} for kind in kinds]
    id = run(ec2, image, TagSpecifications=specifications)["InstanceId"]
    tagged = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["kind"]}])["Tags"]
    assert {row["ResourceType"]: row["Value"] for row in tagged} == {kind: kind for kind in kinds[:3]}
    assert show(ec2, id)["Tags"] == [{"Key": "kind", "Value": "instance"}]


def test_volumes_show_the_rate_they_were_asked_to_be_filled_at(ec2: Any, image: str) -> None:
    mapping = [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeInitializationRate": 200}}]
    run(ec2, image, BlockDeviceMappings=mapping)
    (root,) = ec2.describe_volumes()["Volumes"]
    words = {"AvailabilityZone": ZONES[0], "SnapshotId": root["SnapshotId"], "VolumeInitializationRate": 100}
    assert (root["VolumeInitializationRate"], ec2.create_volume(**words)["VolumeInitializationRate"]) == (200, 100)
    run(ec2, image)
    assert ["VolumeInitializationRate" in row for row in ec2.describe_volumes()["Volumes"]] == [True, True, False]


def test_what_was_there_before_a_launch_keeps_its_tags(ec2: Any, face: Face, image: str) -> None:
    volume = ec2.create_volume(AvailabilityZone=ZONES[0], Size=1)["VolumeId"]
    with face.database.write() as tx:
        volumes.created(tx, volume)
    subnet = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": [ZONES[0]]}])["Subnets"][0]["SubnetId"]
    interface = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    specifications = [{"ResourceType": kind, "Tags": [{"Key": "k", "Value": "v"}]} for kind in ("volume", "network-interface")]
    row = run(
        ec2,
        image,
        TagSpecifications=specifications,
        NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": interface}],
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"SnapshotId": volume}}],
    )
    tagged = {row["ResourceId"] for row in ec2.describe_tags(Filters=[{"Name": "key", "Values": ["k"]}])["Tags"]}
    at = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [row["InstanceId"]]}])["Volumes"]
    assert tagged == {row["VolumeId"] for row in at} - {volume}


def test_an_instance_has_its_images_options(ec2: Any, face: Face) -> None:
    made = run(ec2, make_image(face, EnaSupport=True, SriovNetSupport="simple", ImdsSupport="v2.0"))
    assert (made["EnaSupport"], made["SriovNetSupport"]) == (True, "simple")
    assert (made["MetadataOptions"]["HttpTokens"], made["MetadataOptions"]["HttpPutResponseHopLimit"]) == ("required", 2)


def test_a_name_by_the_instance(ec2: Any, image: str) -> None:
    made = run(ec2, image, PrivateDnsNameOptions={"HostnameType": "resource-name"})
    assert made["PrivateDnsName"] == f"{made['InstanceId']}.ec2.internal"
    assert run(ec2, image)["PrivateDnsName"].startswith("ip-172-31-")


def test_hibernation_is_for_those_configured_for_it(ec2: Any, face: Face, image: str) -> None:
    id = run(ec2, image)["InstanceId"]
    bring(face, id, "running")
    code, _ = refusal(lambda: ec2.stop_instances(InstanceIds=[id], Hibernate=True))
    assert code == "UnsupportedHibernationConfiguration"
    assert show(ec2, id)["State"]["Name"] == "running"


# -- metadata options ---------------------------------------------------------------------------------------------------------


def test_metadata_options_change_and_are_applied(ec2: Any, face: Face, image: str) -> None:
    id = run(ec2, image)["InstanceId"]
    bring(face, id, "running")
    answer = ec2.modify_instance_metadata_options(InstanceId=id, HttpTokens="required", HttpPutResponseHopLimit=2)
    wanted = {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
        "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": "disabled",
    }
    assert answer["InstanceMetadataOptions"] == wanted | {"State": "pending"}
    assert show(ec2, id)["MetadataOptions"] == wanted | {"State": "applied"}
    code, _ = refusal(lambda: ec2.modify_instance_metadata_options(InstanceId=id))
    assert code == "MissingParameter"
    other = run(ec2, image)["InstanceId"]
    bring(face, other, "terminated")
    code, _ = refusal(lambda: ec2.modify_instance_metadata_options(InstanceId=other, HttpTokens="required"))
    assert code == "IncorrectInstanceState"


def test_the_account_defaults_hold_where_nothing_is_said(ec2: Any, face: Face, image: str) -> None:
    assert ec2.get_instance_metadata_defaults()["AccountLevel"] == {"ManagedBy": "account"}
    ec2.modify_instance_metadata_defaults(HttpTokens="required", HttpPutResponseHopLimit=3)
    assert ec2.get_instance_metadata_defaults()["AccountLevel"] == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 3,
        "ManagedBy": "account",
    }
    made = run(ec2, image)["MetadataOptions"]
    assert (made["HttpTokens"], made["HttpPutResponseHopLimit"]) == ("required", 3)
    assert run(ec2, image, MetadataOptions={"HttpTokens": "optional"})["MetadataOptions"]["HttpTokens"] == "optional"
    assert face.client(face.second).get_instance_metadata_defaults()["AccountLevel"] == {"ManagedBy": "account"}
    ec2.modify_instance_metadata_defaults(HttpTokensEnforced="enabled")
    code, _ = refusal(lambda: run(ec2, image, MetadataOptions={"HttpTokens": "optional"}))
    assert code == "UnsupportedOperation"
    ec2.modify_instance_metadata_defaults(HttpTokens="no-preference", HttpPutResponseHopLimit=-1, HttpTokensEnforced="disabled")
    assert run(ec2, image)["MetadataOptions"]["HttpTokens"] == "optional"
    code, _ = refusal(lambda: ec2.modify_instance_metadata_defaults(HttpPutResponseHopLimit=99))
    assert code == "InvalidParameterValue"


# -- credits ------------------------------------------------------------------------------------------------------------------


def test_credits_of_burstable_types(ec2: Any, face: Face, image: str) -> None:
    old, new, plain = (run(ec2, image, InstanceType=type)["InstanceId"] for type in ("t2.micro", "t3.micro", "m5.large"))
    shown = ec2.describe_instance_credit_specifications(InstanceIds=[old, new])["InstanceCreditSpecifications"]
    assert {row["InstanceId"]: row["CpuCredits"] for row in shown} == {old: "standard", new: "unlimited"}
    (only,) = ec2.describe_instance_credit_specifications()["InstanceCreditSpecifications"]
    assert only["InstanceId"] == new
    assert refusal(lambda: ec2.describe_instance_credit_specifications(InstanceIds=[plain])) == (
        "InstanceCreditSpecification.NotSupported",
        f"The instance '{plain}' does not use CPU credits for CPU usage.",
    )
    answer = ec2.modify_instance_credit_specification(
        InstanceCreditSpecifications=[
            {"InstanceId": old, "CpuCredits": "unlimited"},
            {"InstanceId": plain, "CpuCredits": "unlimited"},
            {"InstanceId": "i-0a", "CpuCredits": "unlimited"},
            {"InstanceId": "x", "CpuCredits": "unlimited"},
        ]
    )
    assert answer["SuccessfulInstanceCreditSpecifications"] == [{"InstanceId": old}]
    failed = {row["InstanceId"]: row["Error"]["Code"] for row in answer["UnsuccessfulInstanceCreditSpecifications"]}
    assert failed == {
        plain: "InstanceCreditSpecification.NotSupported",
        "i-0a": "InvalidInstanceID.NotFound",
        "x": "InvalidInstanceID.Malformed",
    }
    shown = ec2.describe_instance_credit_specifications()["InstanceCreditSpecifications"]
    assert {row["InstanceId"] for row in shown} == {old, new}
    bring(face, new, "stopped")
    ec2.modify_instance_attribute(InstanceId=new, InstanceType={"Value": "m5.large"})
    code, _ = refusal(lambda: ec2.describe_instance_credit_specifications(InstanceIds=[new]))
    assert code == "InstanceCreditSpecification.NotSupported"


def test_the_account_chooses_how_a_family_counts(ec2: Any, image: str) -> None:
    assert ec2.get_default_credit_specification(InstanceFamily="t2")["InstanceFamilyCreditSpecification"] == {
        "InstanceFamily": "t2",
        "CpuCredits": "standard",
    }
    ec2.modify_default_credit_specification(InstanceFamily="t2", CpuCredits="unlimited")
    id = run(ec2, image, InstanceType="t2.micro")["InstanceId"]
    (shown,) = ec2.describe_instance_credit_specifications(InstanceIds=[id])["InstanceCreditSpecifications"]
    assert shown["CpuCredits"] == "unlimited"
    assert refusal(lambda: ec2.get_default_credit_specification(InstanceFamily="m5"))[0] == "InvalidParameterValue"


# -- smaller things -----------------------------------------------------------------------------------------------------------


def test_monitoring_on_and_off(ec2: Any, face: Face, image: str) -> None:
    one, two = run(ec2, image)["InstanceId"], run(ec2, image)["InstanceId"]
    answer = ec2.monitor_instances(InstanceIds=[one, two])["InstanceMonitorings"]
    assert answer == [{"InstanceId": id, "Monitoring": {"State": "pending"}} for id in (one, two)]
    assert show(ec2, one)["Monitoring"] == {"State": "enabled"}
    answer = ec2.unmonitor_instances(InstanceIds=[one])["InstanceMonitorings"]
    assert answer == [{"InstanceId": one, "Monitoring": {"State": "disabling"}}]
    assert show(ec2, one)["Monitoring"] == {"State": "disabled"}
    # boto 2.0 leaves the number out
    assert face.ask("MonitorInstances", InstanceId=one, version="2010-08-31").code is None
    assert show(ec2, one)["Monitoring"] == {"State": "enabled"}
    bring(face, two, "terminated")
    assert refusal(lambda: ec2.monitor_instances(InstanceIds=[one, two]))[0] == "InvalidState"
    assert refusal(lambda: ec2.monitor_instances(InstanceIds=["i-0a"]))[0] == "InvalidInstanceID.NotFound"


def test_there_is_no_password(ec2: Any, image: str) -> None:
    id = run(ec2, image)["InstanceId"]
    answer = ec2.get_password_data(InstanceId=id)
    assert (answer["InstanceId"], answer["PasswordData"]) == (id, "")
    assert abs(answer["Timestamp"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert refusal(lambda: ec2.get_password_data(InstanceId="i-0a"))[0] == "InvalidInstanceID.NotFound"


def test_maintenance_options(ec2: Any, image: str) -> None:
    id = run(ec2, image)["InstanceId"]
    assert show(ec2, id)["MaintenanceOptions"] == {"AutoRecovery": "default", "RebootMigration": "default"}
    answer = ec2.modify_instance_maintenance_options(InstanceId=id, AutoRecovery="disabled")
    assert (answer["InstanceId"], answer["AutoRecovery"]) == (id, "disabled")
    assert show(ec2, id)["MaintenanceOptions"] == {"AutoRecovery": "disabled", "RebootMigration": "default"}
    assert refusal(lambda: ec2.modify_instance_maintenance_options(InstanceId=id, AutoRecovery="x"))[0] == "InvalidParameterValue"
    assert refusal(lambda: ec2.modify_instance_maintenance_options(InstanceId=id))[0] == "MissingParameter"


def test_private_name_options_change(ec2: Any, face: Face, image: str) -> None:
    id = run(ec2, image)["InstanceId"]
    bring(face, id, "running")
    ec2.modify_private_dns_name_options(InstanceId=id, EnableResourceNameDnsARecord=True)
    code, _ = refusal(lambda: ec2.modify_private_dns_name_options(InstanceId=id, PrivateDnsHostnameType="resource-name"))
    assert code == "IncorrectInstanceState"
    other = run(ec2, image)["InstanceId"]
    bring(face, other, "stopped")
    ec2.modify_private_dns_name_options(InstanceId=other, PrivateDnsHostnameType="resource-name")
    assert show(ec2, other)["PrivateDnsName"] == f"{other}.ec2.internal"
    assert show(ec2, id)["PrivateDnsNameOptions"]["EnableResourceNameDnsARecord"] is True


def test_the_serial_consoles_door(ec2: Any, face: Face) -> None:
    def state(client: Any) -> bool:
        return bool(client.get_serial_console_access_status()["SerialConsoleAccessEnabled"])

    assert state(ec2) is False
    assert ec2.enable_serial_console_access()["SerialConsoleAccessEnabled"] is True
    assert (state(ec2), state(face.client(face.second))) == (True, False)
    assert ec2.disable_serial_console_access()["SerialConsoleAccessEnabled"] is False
    assert state(ec2) is False


def test_a_status_report_changes_nothing(ec2: Any, face: Face, image: str) -> None:
    id = run(ec2, image)["InstanceId"]
    words: dict[str, Any] = {"Instances": [id], "ReasonCodes": ["other"]}
    assert refusal(lambda: ec2.report_instance_status(Status="impaired", **words)) == (
        "IncorrectState",
        f"Instance '{id}' is not 'running'.",
    )
    bring(face, id, "running")
    ec2.report_instance_status(Status="impaired", **words)
    (shown,) = ec2.describe_instance_status(InstanceIds=[id])["InstanceStatuses"]
    assert shown["InstanceStatus"] == {"Details": [{"Name": "reachability", "Status": "passed"}], "Status": "ok"}
    assert refusal(lambda: ec2.report_instance_status(Status="fine", **words))[0] == "InvalidParameterValue"


def test_status_of_running_instances_and_of_all(ec2: Any, face: Face, image: str) -> None:
    on, off = run(ec2, image)["InstanceId"], run(ec2, image)["InstanceId"]
    bring(face, on, "running")
    bring(face, off, "stopped")
    assert [row["InstanceId"] for row in ec2.describe_instance_status()["InstanceStatuses"]] == [on]
    assert ec2.describe_instance_status(InstanceIds=[off])["InstanceStatuses"] == []
    (shown,) = ec2.describe_instance_status(InstanceIds=[off], IncludeAllInstances=True)["InstanceStatuses"]
    assert shown["InstanceStatus"] == shown["SystemStatus"] == {"Details": [], "Status": "not-applicable"}
    assert shown["InstanceState"] == {"Code": 80, "Name": "stopped"}
    for waiter in ("instance_status_ok", "system_status_ok"):
        ec2.get_waiter(waiter).wait(InstanceIds=[on], WaiterConfig={"Delay": 0, "MaxAttempts": 1})


def test_an_instance_whose_machine_is_lost_is_impaired_until_it_is_back(ec2: Any, face: Face, image: str) -> None:
    well, lost = run(ec2, image)["InstanceId"], run(ec2, image)["InstanceId"]
    for id in (well, lost):
        bring(face, id, "running")

    def filtered(name: str, value: str) -> list[str]:
        rows = ec2.describe_instance_status(Filters=[{"Name": name, "Values": [value]}])["InstanceStatuses"]
        return [row["InstanceId"] for row in rows]

    def told(fact: Callable[..., None]) -> None:
        with face.database.write() as tx:
            fact(tx, lost)

    now = datetime(2026, 11, 5, 6, 7, 8, tzinfo=UTC)
    face.database.clock = lambda: now
    told(instances.unreachable)
    face.database.clock = lambda: datetime.now(UTC)
    told(instances.unreachable)  # it is impaired since the first time
    (shown,) = ec2.describe_instance_status(InstanceIds=[lost])["InstanceStatuses"]
    failed = {"Status": "impaired", "Details": [{"Name": "reachability", "Status": "failed", "ImpairedSince": now}]}
    assert shown["InstanceStatus"] == shown["SystemStatus"] == failed
    assert shown["AttachedEbsStatus"]["Status"] == "insufficient-data"
    assert shown["InstanceState"]["Name"] == show(ec2, lost)["State"]["Name"] == "running"
    for kind in ("instance-status", "system-status"):
        assert filtered(f"{kind}.status", "impaired") == filtered(f"{kind}.reachability", "failed") == [lost]
        assert filtered(f"{kind}.status", "ok") == filtered(f"{kind}.reachability", "passed") == [well]
    assert filtered("attached-ebs-status.status", "ok") == [well]
    told(instances.reachable)
    assert filtered("instance-status.status", "ok") == [well, lost]

    told(instances.unreachable)
    ec2.stop_instances(InstanceIds=[lost])
    (shown,) = ec2.describe_instance_status(InstanceIds=[lost], IncludeAllInstances=True)["InstanceStatuses"]
    assert shown["SystemStatus"]["Status"] == "not-applicable"
    told(instances.stopped)
    told(instances.unreachable)  # too late
    ec2.start_instances(InstanceIds=[lost])
    told(functools.partial(instances.started, disks=()))
    assert filtered("system-status.status", "impaired") == []


def test_ids_are_long(ec2: Any) -> None:
    shown = ec2.describe_id_format()["Statuses"]
    assert {"Resource": "instance", "UseLongIds": True} in shown
    assert all(row["UseLongIds"] for row in shown)
    assert ec2.describe_id_format(Resource="volume")["Statuses"] == [{"Resource": "volume", "UseLongIds": True}]
    assert ec2.describe_identity_id_format(PrincipalArn="all", Resource="vpc")["Statuses"] == [
        {"Resource": "vpc", "UseLongIds": True}
    ]
    assert ec2.describe_aggregate_id_format()["UseLongIdsAggregated"] is True
    assert ec2.describe_principal_id_format()["Principals"] == []
    ec2.modify_id_format(Resource="instance", UseLongIds=True)
    ec2.modify_identity_id_format(PrincipalArn="all", Resource="all-current", UseLongIds=True)
    assert refusal(lambda: ec2.modify_id_format(Resource="instance", UseLongIds=False))[0] == "UnsupportedOperation"
    assert refusal(lambda: ec2.modify_id_format(Resource="chair", UseLongIds=True))[0] == "InvalidParameterValue"


# -- attributes ---------------------------------------------------------------------------------------------------------------


def attribute(ec2: Any, id: str, name: str) -> Any:
    answer = ec2.describe_instance_attribute(InstanceId=id, Attribute=name)
    member = name[0].upper() + name[1:]
    value = answer["Groups" if name == "groupSet" else member]
    return value.get("Value") if isinstance(value, dict) else value


def test_groups_and_source_check_of_the_only_interface(ec2: Any, face: Face, image: str) -> None:
    id = run(ec2, image)["InstanceId"]
    group = ec2.create_security_group(GroupName="web", Description="d")["GroupId"]
    ec2.modify_instance_attribute(InstanceId=id, Groups=[group])
    assert attribute(ec2, id, "groupSet") == [{"GroupId": group, "GroupName": "web"}]
    assert show(ec2, id)["SecurityGroups"] == [{"GroupId": group, "GroupName": "web"}]
    assert refusal(lambda: ec2.modify_instance_attribute(InstanceId=id, Groups=["sg-0a"]))[0] == "InvalidGroup.NotFound"
    ec2.modify_instance_attribute(InstanceId=id, SourceDestCheck={"Value": False})
    assert attribute(ec2, id, "sourceDestCheck") is False
    ec2.reset_instance_attribute(InstanceId=id, Attribute="sourceDestCheck")
    assert attribute(ec2, id, "sourceDestCheck") is True
    bring(face, id, "running")
    second = ec2.create_network_interface(SubnetId=show(ec2, id)["SubnetId"])["NetworkInterface"]["NetworkInterfaceId"]
    ec2.attach_network_interface(NetworkInterfaceId=second, InstanceId=id, DeviceIndex=1)
    for ask in (
        lambda: attribute(ec2, id, "groupSet"),
        lambda: attribute(ec2, id, "sourceDestCheck"),
        lambda: ec2.modify_instance_attribute(InstanceId=id, Groups=[group]),
        lambda: ec2.modify_instance_attribute(InstanceId=id, SourceDestCheck={"Value": False}),
    ):
        assert refusal(ask)[0] == "InvalidInstanceID"


Change = dict[str, Any]
STOPPED_ONLY: list[tuple[str, Change, Any]] = [
    ("instanceType", {"InstanceType": {"Value": "c5.large"}}, "c5.large"),
    ("kernel", {"Kernel": {"Value": "aki-0a"}}, None),
    ("ramdisk", {"Ramdisk": {"Value": "ari-0a"}}, None),
    ("userData", {"UserData": {"Value": b"hello"}}, base64.b64encode(b"hello").decode()),
    ("ebsOptimized", {"EbsOptimized": {"Value": True}}, True),
    ("sriovNetSupport", {"SriovNetSupport": {"Value": "simple"}}, "simple"),
]
ALWAYS: list[tuple[str, Change, Any]] = [
    ("disableApiTermination", {"DisableApiTermination": {"Value": True}}, True),
    ("disableApiStop", {"DisableApiStop": {"Value": True}}, True),
    ("instanceInitiatedShutdownBehavior", {"InstanceInitiatedShutdownBehavior": {"Value": "terminate"}}, "terminate"),
]


@pytest.mark.parametrize(
    ("name", "change", "value"), [*STOPPED_ONLY, *ALWAYS], ids=lambda row: row if isinstance(row, str) else ""
)
def test_attributes_change_in_their_states(shared: Shared, name: str, change: Change, value: Any) -> None:
    ec2, face, image = shared.ec2, shared.face, shared.image
    id = run(ec2, image)["InstanceId"]
    bring(face, id, "running")
    if any(row[0] == name for row in STOPPED_ONLY):
        assert refusal(lambda: ec2.modify_instance_attribute(InstanceId=id, **change)) == (
            "IncorrectInstanceState",
            f"The instance '{id}' is not in the 'stopped' state.",
        )
        ec2.stop_instances(InstanceIds=[id], Force=True)
        with face.database.write() as tx:
            instances.stopped(tx, id)
    ec2.modify_instance_attribute(InstanceId=id, **change)
    if value is not None:
        assert attribute(ec2, id, name) == value
    if name in ("kernel", "ramdisk"):
        member = name.capitalize() + "Id"
        assert ec2.describe_instance_attribute(InstanceId=id, Attribute=name)[member] == {
            "Value": change[name.capitalize()]["Value"]
        }
        ec2.reset_instance_attribute(InstanceId=id, Attribute=name)
        assert ec2.describe_instance_attribute(InstanceId=id, Attribute=name)[member] == {}


@pytest.mark.parametrize("name", ["instanceType", "userData", "groupSet", "nonsense"])
def test_only_three_attributes_can_be_reset(shared: Shared, name: str) -> None:
    assert refusal(lambda: shared.ec2.reset_instance_attribute(InstanceId="i-0a", Attribute=name)) == (
        "InvalidParameterValue",
        f"Value ({name}) for parameter attribute is invalid. Unknown attribute.",
    )


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, "InvalidParameterCombination"),
        ({"Attribute": "instanceType"}, "MissingParameter"),
        ({"Attribute": "nonsense", "Value": "x"}, "InvalidParameterValue"),
        ({"DisableApiStop": {"Value": True}, "DisableApiTermination": {"Value": True}}, "InvalidParameterCombination"),
        ({"InstanceType": {"Value": "m9.huge"}}, "InvalidInstanceAttributeValue"),
        ({"InstanceInitiatedShutdownBehavior": {"Value": "sleep"}}, "InvalidParameterValue"),
        ({"Attribute": "disableApiStop", "Value": "true", "DisableApiStop": {"Value": False}}, "InvalidParameterCombination"),
        ({"Attribute": "userData", "Value": "%"}, "InvalidUserData.Malformed"),
        ({"Attribute": "userData", "Value": base64.b64encode(b"x" * 16_385).decode()}, "InvalidParameterValue"),
        ({"Attribute": "userData", "Value": "aGVsbG8="}, None),
        ({"SriovNetSupport": {"Value": "double"}}, "InvalidParameterValue"),
        ({"Kernel": {"Value": "ari-0a"}}, "InvalidKernelId.Malformed"),
        ({"Ramdisk": {"Value": "ari"}}, "InvalidRamDiskId.Malformed"),
        ({"EbsOptimized": {"Value": True}}, None),
    ],
)
def test_wrong_words_for_an_attribute(shared: Shared, said: Change, code: str | None) -> None:
    ec2, face, image = shared.ec2, shared.face, shared.image
    id = run(ec2, image)["InstanceId"]
    bring(face, id, "stopped")
    if code is None:
        ec2.modify_instance_attribute(InstanceId=id, **said)
    else:
        assert refusal(lambda: ec2.modify_instance_attribute(InstanceId=id, **said))[0] == code


# -- the end ------------------------------------------------------------------------------------------------------------------


def test_a_terminated_instance_is_shown_for_an_hour(ec2: Any, face: Face, image: str) -> None:
    id = run(ec2, image, TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}])["InstanceId"]
    bring(face, id, "terminated")
    shown = show(ec2, id)
    assert (shown["State"]["Name"], shown["PrivateDnsName"], shown["Tags"]) == ("terminated", "", [{"Key": "a", "Value": "b"}])
    assert (shown["BlockDeviceMappings"], shown["NetworkInterfaces"], shown["SecurityGroups"]) == ([], [], [])
    hour = timedelta(hours=1)
    for later, there in ((hour - timedelta(seconds=1), True), (hour, False)):
        with face.database.read() as tx:
            row = tx.db.scalars(select(records.Instance).where(records.Instance.id == id)).one()
            assert row.ended_at is not None
            seen = observe.look(tx, id)
            assert isinstance(seen, observe.Instance)
            step = plan.instance(seen, None, row.ended_at + later, 20.0)
        assert isinstance(step, steps.Rest if there else steps.Forget)
    with face.database.write() as tx:
        instances.forget(tx, id)
    assert refusal(lambda: show(ec2, id))[0] == "InvalidInstanceID.NotFound"
    assert ec2.describe_tags(Filters=[{"Name": "key", "Values": ["a"]}])["Tags"] == []


def test_the_flag_of_a_volume_in_the_old_form(shared: Shared) -> None:
    """`Attribute=blockDeviceMapping` with `Value=/dev/sda1=false`, as old scripts send it."""
    ec2, face, image = shared.ec2, shared.face, shared.image
    id = run(ec2, image)["InstanceId"]
    bring(face, id, "running")
    (before,) = ec2.describe_instance_attribute(InstanceId=id, Attribute="blockDeviceMapping")["BlockDeviceMappings"]
    for word in ("false", "true"):
        ec2.modify_instance_attribute(InstanceId=id, Attribute="blockDeviceMapping", Value=f"{before['DeviceName']}={word}")
        (after,) = ec2.describe_instance_attribute(InstanceId=id, Attribute="blockDeviceMapping")["BlockDeviceMappings"]
        assert after["Ebs"]["DeleteOnTermination"] is (word == "true")
    for wrong, code in (("/dev/sdz", "InvalidInstanceAttributeValue"), ("/dev/sda1=perhaps", "InvalidParameterValue")):
        said = {"InstanceId": id, "Attribute": "blockDeviceMapping", "Value": wrong}
        assert refusal(functools.partial(ec2.modify_instance_attribute, **said))[0] == code


# -- the screen


def test_a_screenshot(ec2: Any, face: Face, image: str) -> None:
    id = run(ec2, image)["InstanceId"]
    assert refusal(lambda: ec2.get_console_screenshot(InstanceId=id))[0] == "IncorrectInstanceState"
    bring(face, id, "running")
    assert face.bell.refreshed == [], "nobody looks at what may not be seen"

    def screen(picture: bytes | None) -> Callable[[], bool]:
        def work() -> bool:
            with face.database.write() as tx:
                instances.saw(tx, id, picture)
            return True

        return work

    assert refusal(lambda: ec2.get_console_screenshot(InstanceId=id)) == (
        "Unavailable",
        f"The screen of the instance '{id}' cannot be seen now. Please try again later.",
    )
    face.bell.work = screen(b"\xff\xd8 a picture")
    shot = ec2.get_console_screenshot(InstanceId=id, WakeUp=True)
    assert (shot["InstanceId"], base64.b64decode(shot["ImageData"])) == (id, b"\xff\xd8 a picture")
    face.bell.work = screen(None)
    assert refusal(lambda: ec2.get_console_screenshot(InstanceId=id))[0] == "UnsupportedOperation"
    assert face.bell.refreshed == [f"{id} False", f"{id} True", f"{id} False"]
    for client, code in ((face.client(face.second), "InvalidInstanceID.NotFound"), (ec2, "DryRunOperation")):
        dry = {"DryRun": True} if client is ec2 else {}
        assert refusal(lambda: client.get_console_screenshot(InstanceId=id, **dry))[0] == code  # noqa: B023
    assert len(face.bell.refreshed) == 3
