"""What EC2 does alike in every action, asked of each in the register: dry runs, ids that are none or nobody's, accounts apart."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ec2gw.model import ids
from ec2gw.query import actions, api, errors
from tests.query.face import Face
from tests.query.test_filters import MODEL, fill
from tests.query.test_wire import sent

actions.load()

# The kind of thing that a member of a request names by its id.
KIND_OF = {
    "InstanceId": "instance", "InstanceIds": "instance", "VolumeId": "volume", "VolumeIds": "volume", "SnapshotId": "snapshot",
    "SnapshotIds": "snapshot", "SourceSnapshotId": "snapshot", "ImageId": "image", "ImageIds": "image", "SourceImageId": "image",
    "VpcId": "vpc", "VpcIds": "vpc", "SubnetId": "subnet", "SubnetIds": "subnet", "RouteTableId": "route-table",
    "RouteTableIds": "route-table", "InternetGatewayId": "internet-gateway", "InternetGatewayIds": "internet-gateway",
    "NetworkAclId": "network-acl", "NetworkAclIds": "network-acl", "DhcpOptionsId": "dhcp-options",
    "DhcpOptionsIds": "dhcp-options", "NetworkInterfaceId": "network-interface", "NetworkInterfaceIds": "network-interface",
    "SecurityGroupIds": "security-group", "SecurityGroupRuleIds": "security-group-rule", "AllocationId": "elastic-ip",
    "AllocationIds": "elastic-ip", "LaunchTemplateId": "launch-template", "LaunchTemplateIds": "launch-template",
    "ReplaceRootVolumeTaskIds": "replace-root-volume-task",
    "KeyPairId": "key-pair", "KeyPairIds": "key-pair", "AttachmentId": "network-interface-attachment",
}  # fmt: skip
PREFIX_OF = {kind: prefix for prefix, kind in ids.KINDS.items()}


def kind_of(action: str, member: str) -> str | None:
    """The kind of id that a member of an action's request is."""
    if member == "AssociationId":
        if action in ("DisassociateVpcCidrBlock", "ReplaceNetworkAclAssociation"):
            return None  # no kind of its own
        return "elastic-ip-association" if action == "DisassociateAddress" else "route-table-association"
    if member in ("ImportTaskId", "ImportTaskIds"):
        return "import-snapshot-task" if "Snapshot" in action else "import-image-task"
    if member in ("GroupId", "GroupIds"):
        return "placement-group" if "PlacementGroup" in action or "Placement" in action else "security-group"
    return KIND_OF.get(member)


# What is said of the members that an action cannot do without.
SAID: dict[str, Any] = {
    "Attribute": "description", "RuleNumber": 9, "Egress": False, "Name": "a-name", "SourceRegion": "us-east-1", "KeyName": "k",
    "LaunchTemplateData": {"InstanceType": "m5.large"}, "Protocol": "-1", "RuleAction": "allow", "GroupName": "g",
    "PrincipalArn": "arn:aws:iam::123456789012:root", "InstanceFamily": "t3", "Resource": "volume", "UseLongIds": True,
    "DeviceIndex": 5, "Device": "/dev/sdx", "DhcpConfigurations": [{"Key": "domain-name", "Values": ["x"]}],
    "LaunchTemplateName": "template", "Description": "d", "Tags": [{"Key": "k", "Value": "v"}], "Versions": ["1"],
    "ImageBlockPublicAccessState": "block-new-sharing", "State": "block-all-sharing", "LockMode": "governance",
    "DeprecateAt": datetime.datetime(2031, 1, 1, tzinfo=datetime.UTC), "PublicKeyMaterial": b"x", "CpuCredits": "standard",
    "Status": "impaired", "ReasonCodes": ["other"], "MaxCount": 1, "MinCount": 1,
}  # fmt: skip
_RULE = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 23, "IpRanges": [{"CidrIp": "10.7.0.0/16", "Description": "x"}]}]
# What an action must be told beside, so that it comes to look at its ids.
BESIDE: dict[str, dict[str, Any]] = {
    "CreateReplaceRootVolumeTask": {"InstanceId": "own spare"},
    "CreateVolume": {"AvailabilityZone": "us-east-1a"},
    "LockSnapshot": {"LockDuration": 3},
    "ModifyVolume": {"Size": 20},
    "ModifyVolumeAttribute": {"AutoEnableIO": {"Value": True}},
    "ModifyInstanceAttribute": {"DisableApiStop": {"Value": True}},
    "ModifyImageAttribute": {"Description": {"Value": "x"}},
    "ModifyNetworkInterfaceAttribute": {"Description": {"Value": "x"}},
    "ModifySnapshotAttribute": {"CreateVolumePermission": {"Add": [{"Group": "all"}]}},
    "ModifySubnetAttribute": {"MapPublicIpOnLaunch": {"Value": True}},
    "ModifyVpcAttribute": {"EnableDnsSupport": {"Value": True}},
    "ModifySecurityGroupRules": {
        "SecurityGroupRules": [
            {"SecurityGroupRuleId": "own security-group-rule", "SecurityGroupRule": {"IpProtocol": "-1", "CidrIpv4": "9.0.0.0/8"}}
        ]
    },
    "CreateSubnet": {"CidrBlock": "10.0.9.0/24"},
    "AssociateVpcCidrBlock": {"CidrBlock": "10.1.0.0/16"},
    "DescribeInstanceAttribute": {"Attribute": "userData"},
    "ResetInstanceAttribute": {"Attribute": "kernel"},
    "DescribeVolumeAttribute": {"Attribute": "autoEnableIO"},
    "DescribeSnapshotAttribute": {"Attribute": "createVolumePermission"},
    "ResetSnapshotAttribute": {"Attribute": "createVolumePermission"},
    "ResetImageAttribute": {"Attribute": "launchPermission"},
    "DescribeVpcAttribute": {"Attribute": "enableDnsSupport"},
    "ResetNetworkInterfaceAttribute": {"SourceDestCheck": "true"},
    "AssignPrivateIpAddresses": {"SecondaryPrivateIpAddressCount": 1},
    "UnassignPrivateIpAddresses": {"PrivateIpAddresses": ["10.0.1.9"]},
    "ModifyInstanceMetadataOptions": {"HttpTokens": "required"},
    "ModifyInstanceMaintenanceOptions": {"AutoRecovery": "disabled"},
    "AssociateAddress": {"AllocationId": "own elastic-ip"},
    "CreateNetworkAclEntry": {"CidrBlock": "10.0.0.0/8"},
    "ReplaceNetworkAclEntry": {"CidrBlock": "10.0.0.0/8"},
    "CreateRoute": {"DestinationCidrBlock": "9.0.0.0/8"},
    "ReplaceRoute": {"DestinationCidrBlock": "0.0.0.0/0"},
    "CreateRoute RouteTableId": {"GatewayId": "own internet-gateway"},
    "ReplaceRoute RouteTableId": {"GatewayId": "own internet-gateway"},
    "AssociateRouteTable RouteTableId": {"SubnetId": "own subnet"},
    "DeleteRoute": {"DestinationCidrBlock": "9.0.0.0/8"},
    "DescribeNetworkInterfaceAttribute": {"Attribute": "description"},
    "ReplaceNetworkAclAssociation": {"AssociationId": "own network-acl-association"},
    "RunInstances": {"ImageId": "own image"},
    "ModifyInstancePlacement": {"InstanceId": "own stopped"},
    "UpdateSecurityGroupRuleDescriptionsEgress": {"IpPermissions": _RULE},
    "UpdateSecurityGroupRuleDescriptionsIngress": {"IpPermissions": _RULE},
    "RevokeSecurityGroupEgress": {"GroupId": "own security-group"},
    "RevokeSecurityGroupIngress": {"GroupId": "own security-group"},
    "ModifyPrivateDnsNameOptions": {"PrivateDnsHostnameType": "ip-name"},
    "ModifyInstanceCpuOptions": {"CoreCount": 1, "ThreadsPerCore": 1},
}


def members(action: str) -> list[str]:
    return list(MODEL.shapes[MODEL.operations[action].input]["members"])


def request(action: str, own: dict[str, str], **known: Any) -> dict[str, Any]:
    """A request that says what it must, with ids of the account's own."""
    said: dict[str, Any] = {}
    for member in MODEL.shapes[MODEL.operations[action].input].get("required", ()):
        if kind := kind_of(action, member):
            said[member] = one_or_many(member, own[kind])
        elif member in SAID:
            said[member] = SAID[member]
    beside = {
        name: value
        for key in (action, *(f"{action} {member}" for member in known))
        for name, value in BESIDE.get(key, {}).items()
    }
    return said | {name: named(value, own) for name, value in beside.items()} | known


def named(value: Any, own: dict[str, str]) -> Any:
    """A value of `BESIDE` with the ids that it means."""
    if isinstance(value, dict):
        return {name: named(item, own) for name, item in value.items()}
    if isinstance(value, list):
        return [named(item, own) for item in value]
    return own[value[4:]] if isinstance(value, str) and value.startswith("own ") else value


def one_or_many(member: str, id: str) -> Any:
    return [id] if member.endswith("Ids") else id


def code(answer: ClientError | dict[str, Any]) -> str:
    return str(answer.response["Error"]["Code"]) if isinstance(answer, ClientError) else "OK"


@dataclass
class Accounts:
    """A face on which two accounts have the like, and an id of each kind of the one and of the other."""

    face: Face
    ec2: Any
    own: dict[str, str]
    others: dict[str, str]
    before: dict[str, Any]

    def ask(self, action: str, params: dict[str, Any]) -> ClientError | dict[str, Any]:
        try:
            return dict(getattr(self.ec2, MODEL.operations[action].snake)(**params))
        except ClientError as error:
            return error

    def unchanged(self) -> bool:
        """Whether the records are as they were when all began; if not, they are from now on."""
        before, self.before = self.before, self.face.everything()
        return before == self.before


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    face = Face(tmp_path_factory.mktemp("every-action"))
    found = []
    for _ in range(2):
        face.first, face.second = face.second, face.first
        fill(face, face.client())
        found.append(known(face))
    yield Accounts(face, face.client(), found[1], found[0], face.everything())
    face.close()


def known(face: Face) -> dict[str, str]:
    """An id of the first account of each kind, none of them shared."""
    ec2 = face.client()
    (image,) = ec2.describe_images(Owners=["self"], Filters=[{"Name": "tag:Name", "Values": ["mine"]}])["Images"]
    (snapshot,) = ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:Name", "Values": ["mine"]}])["Snapshots"]
    (address,) = ec2.describe_addresses(Filters=[{"Name": "tag:Name", "Values": ["mine"]}])["Addresses"]
    (acl, *_) = ec2.describe_network_acls()["NetworkAcls"]
    tables = ec2.describe_route_tables()["RouteTables"]
    (card, *_) = ec2.describe_network_interfaces(Filters=[{"Name": "tag:Name", "Values": ["mine"]}])["NetworkInterfaces"]
    running = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["running"]}])["Reservations"]
    on = {row["InstanceId"] for part in running for row in part["Instances"]}
    (stopped,) = ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["stopped"]}])["Reservations"]
    return {
        "spare": (on - {address["InstanceId"]}).pop(),
        "stopped": stopped["Instances"][0]["InstanceId"],
        "image": image["ImageId"],
        "snapshot": snapshot["SnapshotId"],
        "elastic-ip": address["AllocationId"],
        "elastic-ip-association": address["AssociationId"],
        "instance": address["InstanceId"],
        "network-interface": card["NetworkInterfaceId"],
        "network-interface-attachment": card["Attachment"]["AttachmentId"],
        "network-acl": acl["NetworkAclId"],
        "network-acl-association": acl["Associations"][0]["NetworkAclAssociationId"],
        "route-table": tables[0]["RouteTableId"],
        "route-table-association": tables[0]["Associations"][0]["RouteTableAssociationId"],
        "volume": ec2.describe_volumes_modifications()["VolumesModifications"][0]["VolumeId"],
        "vpc": ec2.describe_vpcs()["Vpcs"][0]["VpcId"],
        "subnet": ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        "internet-gateway": ec2.describe_internet_gateways()["InternetGateways"][0]["InternetGatewayId"],
        "dhcp-options": ec2.describe_dhcp_options()["DhcpOptions"][0]["DhcpOptionsId"],
        "security-group": ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"],
        "security-group-rule": ec2.describe_security_group_rules()["SecurityGroupRules"][0]["SecurityGroupRuleId"],
        "launch-template": ec2.describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"],
        "key-pair": ec2.describe_key_pairs()["KeyPairs"][0]["KeyPairId"],
        "replace-root-volume-task": ec2.describe_replace_root_volume_tasks()["ReplaceRootVolumeTasks"][0][
            "ReplaceRootVolumeTaskId"
        ],
        "import-image-task": ec2.describe_import_image_tasks()["ImportImageTasks"][0]["ImportTaskId"],
        "import-snapshot-task": ec2.describe_import_snapshot_tasks()["ImportSnapshotTasks"][0]["ImportTaskId"],
        "placement-group": ec2.describe_placement_groups()["PlacementGroups"][0]["GroupId"],
    }


# Their pages say that what is somebody else's is left out of the answer.
SILENT = {"DescribeInstances InstanceIds", "DescribeSnapshots SnapshotIds"}
NAMED = sorted(
    (action, member)
    for action in api.REGISTER
    for member in members(action)
    if kind_of(action, member) and action != "DeleteKeyPair"  # which always succeeds
)  # fmt: skip


@pytest.mark.parametrize(("action", "member"), NAMED)
def test_an_id_is_malformed_or_missing_or_another_account_s(two: Accounts, action: str, member: str) -> None:
    kind = kind_of(action, member)
    assert kind
    row = errors.KINDS[kind]
    malformed, missing, foreign = (
        two.ask(action, request(action, two.own, **{member: one_or_many(member, id)}))
        for id in ("bogus!", ids.new(PREFIX_OF[kind]), two.others[kind])
    )
    assert (code(malformed), code(missing)) == (row.malformed[0], row.absent)
    if f"{action} {member}" in SILENT:
        assert isinstance(foreign, dict) and two.others[kind] not in repr(foreign), "it is left out of the answer"
    else:
        assert code(foreign) == row.absent
    assert two.unchanged()


# -- dry runs ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", sorted(action for action in api.REGISTER if "DryRun" in members(action)))
def test_a_dry_run_does_nothing(two: Accounts, action: str) -> None:
    """What would be done is told as such; what would be refused is refused in the same words."""
    params = request(action, two.own)
    answer = two.ask(action, params | {"DryRun": True})
    assert isinstance(answer, ClientError)
    assert two.unchanged()
    if code(answer) == "DryRunOperation":
        assert answer.response["ResponseMetadata"]["HTTPStatusCode"] == 412
        assert answer.response["Error"]["Message"] == "Request would have succeeded, but DryRun flag is set."
    else:
        refused = two.ask(action, params)
        assert isinstance(refused, ClientError)
        assert answer.response["Error"] == refused.response["Error"]


# -- pages ---------------------------------------------------------------------------------------------------------------------

PAGED = sorted(action for action in api.REGISTER if {"MaxResults", "NextToken"} <= set(members(action)))


# What the pages of actions limit and the model does not.
PAGES = {"DescribeLaunchTemplateVersions": (1, 200), "ListVolumesInRecycleBin": (5, 500)}


@pytest.mark.parametrize("action", PAGED)
def test_page_sizes_and_tokens(two: Accounts, action: str) -> None:
    """Sizes as the model limits them, or 5 and more where it does not; tokens that are none."""
    shape = MODEL.shapes[MODEL.shapes[MODEL.operations[action].input]["members"]["MaxResults"]["shape"]]
    params = request(action, two.own)
    if action == "DescribeLaunchTemplateVersions":
        params |= {"Versions": ["$Latest"]}
    least, most = PAGES.get(action, (shape.get("min", 5), shape.get("max")))
    for size, allowed in ((least, True), (least - 1, False), (most or 1_100, True), (most and most + 1, False)):
        if size:
            answer = two.ask(action, params | {"MaxResults": size})
            assert code(answer) == ("OK" if allowed else "InvalidParameterValue"), size
    assert code(two.ask(action, params | {"NextToken": "bogus"})) == "InvalidNextToken"


# -- what is nearly right ------------------------------------------------------------------------------------------------------

ABSURD = {
    "integer": ("0", "-1", "-2", "2147483647"),
    "long": ("-1", "9223372036854775807"),
    "timestamp": ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
}


def numbers(shape: str, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """The names on the wire of the numbers and times in a request, with their types."""
    for key, member in MODEL.shapes[shape]["members"].items():
        name = member.get("queryName") or member.get("locationName") or key
        name, inner = f"{prefix}{name[0].upper()}{name[1:]}", member["shape"]
        while MODEL.shapes[inner]["type"] == "list":
            name, inner = f"{name}.1", MODEL.shapes[inner]["member"]["shape"]
        kind = MODEL.shapes[inner]["type"]
        if kind in ABSURD:
            yield name, kind
        elif kind == "structure" and depth < 4:
            yield from numbers(inner, f"{name}.", depth + 1)


@pytest.mark.parametrize("action", sorted(action for action in api.REGISTER if any(numbers(MODEL.operations[action].input))))
def test_an_absurd_number_or_time_in_a_good_request_is_no_bug(two: Accounts, action: str) -> None:
    good = dict(sent(action, api.NEWEST, request(action, two.own)))
    dry = {"DryRun": "true"} if "DryRun" in members(action) else {}
    for name, kind in numbers(MODEL.operations[action].input):
        beside = {key: text for key, text in good.items() if not name.startswith(f"{key}.")}
        for text in ABSURD[kind]:
            reply = two.face.send({**beside, name: text, **dry, "Action": action, "Version": api.NEWEST})
            assert reply.status < 500, (name, text, reply.text)
    two.unchanged()  # some have no dry run
