"""Every waiter and paginator that botocore has for the actions served, on every target: they end, and find everything once."""

from __future__ import annotations

from typing import Any

import botocore.loaders
import pytest

from ec2gw.query import actions, api
from tests.gateway import Gateway
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


def test_every_paginator_finds_everything_once(target: Gateway, ec2: Any, guest: dict[str, Any]) -> None:
    """Pages of the smallest size hold what one answer holds, in its order."""
    undo: list[tuple[Any, dict[str, str]]] = []
    for number in range(6):
        name = f"page-{number}"
        tagged = [{"ResourceType": "volume", "Tags": [{"Key": "n", "Value": name}]}]
        ec2.create_volume(AvailabilityZone="us-east-1a", Size=1, TagSpecifications=tagged)
        group = ec2.create_security_group(GroupName=name, Description=name)["GroupId"]
        undo.append((ec2.delete_security_group, {"GroupId": group}))
        template = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "m1.small"})
        undo.append((ec2.delete_launch_template, {"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"]}))
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        undo.append((ec2.delete_internet_gateway, {"InternetGatewayId": gateway}))
        options = ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name", "Values": [name]}])["DhcpOptions"]
        undo.append((ec2.delete_dhcp_options, {"DhcpOptionsId": options["DhcpOptionsId"]}))
    turned = set()
    for action in PAGINATORS:
        operation = api.model(api.NEWEST).operations[action]
        shape = api.model(api.NEWEST).shapes[operation.input]["members"]["MaxResults"]["shape"]
        least = 1 if action == "DescribeLaunchTemplateVersions" else api.model(api.NEWEST).shapes[shape].get("min", 5)
        params = {"Versions": ["$Latest"]} if action == "DescribeLaunchTemplateVersions" else {}
        whole = _rows(getattr(ec2, operation.snake)(**params))
        pages = [
            _rows(page) for page in ec2.get_paginator(operation.snake).paginate(**params, PaginationConfig={"PageSize": least})
        ]
        assert [row for page in pages for row in page] == whole, action
        if len(pages) > 1:
            turned.add(action)
            assert all(len(page) <= least for page in pages), action
    for delete, words in undo:
        delete(**words)
    assert turned >= {
        "DescribeDhcpOptions", "DescribeInstanceTypeOfferings", "DescribeInstanceTypes", "DescribeInternetGateways",
        "DescribeLaunchTemplateVersions", "DescribeLaunchTemplates", "DescribeSecurityGroups", "DescribeSecurityGroupRules",
        "DescribeTags", "DescribeVolumeStatus", "DescribeVolumes",
    }  # fmt: skip


def _rows(answer: dict[str, Any]) -> list[Any]:
    """The records of an answer; instances out of their reservations, which a page may cut."""
    found = [value for name, value in answer.items() if isinstance(value, list) and name not in ("ResponseMetadata", "NextToken")]
    return [row for rows in found for row in rows]
