"""Every waiter and paginator that botocore has for the actions served, on every target: they end, and find everything once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import botocore.loaders
import pytest

from ec2gw.query import actions, api
from tests.gateway import Gateway, until
from tests.stories.test_boot_from_volume import describe, launch, mapping

pytestmark = [pytest.mark.usefixtures("tidy"), pytest.mark.timeout(300)]
actions.load()
_LOADER = botocore.loaders.Loader(include_default_search_paths=False)
_LOADER.search_paths.append(botocore.loaders.Loader.BUILTIN_DATA_PATH)
WAITERS = {
    name: row["operation"]
    for name, row in _LOADER.load_service_model("ec2", "waiters-2")["waiters"].items()
    if row["operation"] in api.REGISTER
}
PAGINATORS = sorted(name for name in _LOADER.load_service_model("ec2", "paginators-1")["pagination"] if name in api.REGISTER)

# Waiters for what is never there, and why.
NEVER = {"PasswordDataAvailable": "guests that encrypt a password are Windows"} | dict.fromkeys(
    (
        "CustomerGatewayAvailable",
        "NatGatewayAvailable",
        "SecurityGroupVpcAssociationAssociated",
        "SecurityGroupVpcAssociationDisassociated",
        "VpcPeeringConnectionExists",
        "VpnConnectionAvailable",
        "VpnConnectionDeleted",
    ),
    "there is none here",
)


def test_every_waiter_ends(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    """One story in which everything that a waiter waits for comes to be."""
    waited: set[str] = set()

    def wait(name: str, **params: Any) -> None:
        snake = botocore.xform_name(name)
        ec2.get_waiter(snake).wait(**params, WaiterConfig={"Delay": 1, "MaxAttempts": 90})
        waited.add(name)

    instance = launch(ec2, guest["ImageId"])
    for name in ("InstanceExists", "InstanceRunning", "InstanceStatusOk", "SystemStatusOk"):
        wait(name, InstanceIds=[instance])
    if target.real:
        target.hears(instance, r"EC2GW-GUEST ready")
    zone = describe(ec2, instance)["Placement"]["AvailabilityZone"]
    volume = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
    wait("VolumeAvailable", VolumeIds=[volume])
    ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdf")
    wait("VolumeInUse", VolumeIds=[volume])
    wait("SnapshotCompleted", SnapshotIds=[ec2.create_snapshot(VolumeId=volume)["SnapshotId"]])
    image = ec2.create_image(InstanceId=instance, Name="waited-for", NoReboot=True)["ImageId"]
    wait("ImageExists", ImageIds=[image])
    wait("ImageAvailable", ImageIds=[image])
    ec2.stop_instances(InstanceIds=[instance])
    wait("InstanceStopped", InstanceIds=[instance])
    root = mapping(ec2, instance)["/dev/sda1"]["VolumeId"]
    ec2.terminate_instances(InstanceIds=[instance])
    wait("InstanceTerminated", InstanceIds=[instance])
    wait("VolumeDeleted", VolumeIds=[root])

    ec2.create_key_pair(KeyName="waited-for")
    wait("KeyPairExists", KeyNames=["waited-for"])
    ec2.delete_key_pair(KeyName="waited-for")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    for name in ("VpcExists", "VpcAvailable"):
        wait(name, VpcIds=[vpc])
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.1.0/24")["Subnet"]["SubnetId"]
    wait("SubnetAvailable", SubnetIds=[subnet])
    group = ec2.create_security_group(GroupName="waited-for", Description="of a test", VpcId=vpc)["GroupId"]
    wait("SecurityGroupExists", GroupIds=[group])
    card = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    wait("NetworkInterfaceAvailable", NetworkInterfaceIds=[card])
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    wait("InternetGatewayExists", InternetGatewayIds=[gateway])
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_network_interface(NetworkInterfaceId=card)
    ec2.delete_security_group(GroupId=group)
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)
    # What cannot be here is gone.
    wait("NatGatewayDeleted", NatGatewayIds=["nat-0123456789abcdef0"])
    wait("VpcPeeringConnectionDeleted", VpcPeeringConnectionIds=["pcx-0123456789abcdef0"])
    # Waiters of what other stories make are told there.
    assert WAITERS.keys() - waited - NEVER.keys() - ELSEWHERE == set()


ELSEWHERE = {name for name in WAITERS if name.startswith(("ConversionTask", "ExportTask", "SnapshotImported"))}


# Paginators of what is never there, and why.
EMPTY = {
    "DescribeEgressOnlyInternetGateways": "there is no IPv6",
    "DescribeFlowLogs": "none can be made",
    "DescribeIamInstanceProfileAssociations": "there are no profiles",
    "DescribeManagedPrefixLists": "there are none",
    "DescribeNatGateways": "none can be made",
    "DescribePrefixLists": "there are none",
    "DescribePrincipalIdFormat": "nobody has chosen any",
    "DescribeSecurityGroupVpcAssociations": "none can be made",
    "DescribeSpotPriceHistory": "there is no price",
    "DescribeStaleSecurityGroups": "no rule can become stale",
    "DescribeTransitGateways": "none can be made",
    "DescribeVpcEndpoints": "none can be made",
    "DescribeVpcPeeringConnections": "none can be made",
    "ListImagesInRecycleBin": "it is always empty",
    "ListSnapshotsInRecycleBin": "it is always empty",
}
LEAST: dict[str, int] = {
    "DescribeFastSnapshotRestores": 5,
    "DescribeLaunchTemplateVersions": 1,
}  # page sizes that the model does not say
MANY = 6  # one more than the smallest page of most


def test_every_paginator_finds_everything_once(target: Gateway, ec2: Any) -> None:
    """Pages of the smallest size hold what one answer holds, in its order; there are two and more of all that can be."""
    undo = [delete for number in range(MANY) for delete in networks(ec2, number)]
    undo += disks(ec2)
    (home,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    of_home = {"VpcId": home["VpcId"]}
    said = {
        "DescribeLaunchTemplateVersions": {"Versions": ["$Latest"]},
        "DescribeStaleSecurityGroups": of_home,
        "GetSecurityGroupsForVpc": of_home,
    }
    for action in PAGINATORS:
        operation = api.model(api.NEWEST).operations[action]
        shape = api.model(api.NEWEST).shapes[operation.input]["members"]["MaxResults"]["shape"]
        least: int = LEAST.get(action) or api.model(api.NEWEST).shapes[shape].get("min", 5)
        params = said.get(action, {})
        whole = _rows(getattr(ec2, operation.snake)(**params))
        pages = [
            _rows(page) for page in ec2.get_paginator(operation.snake).paginate(**params, PaginationConfig={"PageSize": least})
        ]
        assert [row for page in pages for row in page] == whole, action
        assert all(len(page) <= least for page in pages), action
        assert (len(pages) > 1) == (action not in EMPTY), action
        assert action not in EMPTY or whole == [], action
    for delete in reversed(undo):
        delete()


def networks(ec2: Any, number: int) -> Iterator[Callable[[], Any]]:
    """Make one of each thing that only records hold; gives what undoes it."""
    name = f"page-{number}"
    vpc = ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"]
    yield partial(ec2.delete_vpc, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    yield partial(ec2.delete_route_table, RouteTableId=table)
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    yield partial(ec2.delete_network_acl, NetworkAclId=acl)
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.{number}.1.0/24")["Subnet"]["SubnetId"]
    yield partial(ec2.delete_subnet, SubnetId=subnet)
    group = ec2.create_security_group(GroupName=name, Description=name)["GroupId"]
    yield partial(ec2.delete_security_group, GroupId=group)
    template = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "m1.small"})
    yield partial(ec2.delete_launch_template, LaunchTemplateId=template["LaunchTemplate"]["LaunchTemplateId"])
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    yield partial(ec2.delete_internet_gateway, InternetGatewayId=gateway)
    options = ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name", "Values": [name]}])["DhcpOptions"]
    yield partial(ec2.delete_dhcp_options, DhcpOptionsId=options["DhcpOptionsId"])
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    yield partial(ec2.release_address, AllocationId=address)
    disk = {"Format": "RAW", "Url": "http://127.0.0.1:9/nobody-listens"}
    ec2.import_snapshot(DiskContainer=disk)
    ec2.import_image(DiskContainers=[disk])


def disks(ec2: Any) -> list[Callable[[], Any]]:
    """Make as many of each thing that a host holds, and wait until all of it is at rest; gives what undoes it."""
    tags = [{"ResourceType": "volume", "Tags": [{"Key": f"page-{number}", "Value": ""} for number in range(MANY)]}]
    blank = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, TagSpecifications=tags)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[blank], WaiterConfig=PATIENT)
    cuts = [ec2.create_snapshot(VolumeId=blank)["SnapshotId"] for _ in range(MANY)]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=cuts, WaiterConfig=PATIENT)
    zones = ["us-east-1a", "us-east-1b"]
    ec2.enable_fast_snapshot_restores(AvailabilityZones=zones, SourceSnapshotIds=cuts)
    images = [
        ec2.register_image(
            Name=f"page-{number}",
            Architecture="x86_64",
            VirtualizationType="hvm",
            RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": cut}}],
        )["ImageId"]
        for number, cut in enumerate(cuts)
    ]
    # Machines without a system: they cost nothing once they run.
    launched = ec2.run_instances(ImageId=images[0], InstanceType="t3.nano", MinCount=MANY, MaxCount=MANY)["Instances"]
    ids = [row["InstanceId"] for row in launched]
    ec2.get_waiter("instance_running").wait(InstanceIds=ids, WaiterConfig=PATIENT)
    roots = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": ids}])["Volumes"]
    for row in roots:
        ec2.modify_volume(VolumeId=row["VolumeId"], VolumeType="gp3")
    for id in ids[:2]:
        ec2.create_replace_root_volume_task(InstanceId=id)
    until(lambda: all(row["TaskState"] == "succeeded" for row in tasks(ec2)), 120, "new roots", lambda: tasks(ec2))
    until(lambda: all(row["ModificationState"] == "completed" for row in modified(ec2)), 60, "all to be modified")
    until(lambda: "'active'" not in repr(imports(ec2)), 60, "imports to fail", lambda: imports(ec2))
    return [
        partial(ec2.disable_fast_snapshot_restores, AvailabilityZones=zones, SourceSnapshotIds=cuts),
        partial(ec2.terminate_instances, InstanceIds=ids, Force=True),
    ]


PATIENT = {"Delay": 1, "MaxAttempts": 120}


def tasks(ec2: Any) -> list[dict[str, Any]]:
    return list(ec2.describe_replace_root_volume_tasks()["ReplaceRootVolumeTasks"])


def modified(ec2: Any) -> list[dict[str, Any]]:
    return list(ec2.describe_volumes_modifications()["VolumesModifications"])


def imports(ec2: Any) -> list[Any]:
    return _rows(ec2.describe_import_snapshot_tasks()) + _rows(ec2.describe_import_image_tasks())


def _rows(answer: dict[str, Any]) -> list[Any]:
    """The records of an answer; instances out of their reservations, which a page may cut."""
    if "Reservations" in answer:
        return [row for part in answer["Reservations"] for row in part["Instances"]]
    found = [value for name, value in answer.items() if isinstance(value, list) and name not in ("ResponseMetadata", "NextToken")]
    return [row for rows in found for row in rows]
