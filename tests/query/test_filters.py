"""Every filter that AWS documents, as botocore's model has it: it passes exactly the records that show the value."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ec2gw.cloud import images, snapshots
from ec2gw.model import bdm
from ec2gw.query import actions, api
from ec2gw.query.actions import absent
from ec2gw.state import records
from tests.query.face import ZONES, Face
from tests.query.test_instances import bring, make_image, run
from tests.query.test_server import refusal

actions.load()
MODEL = api.model(api.NEWEST)


def members(action: str) -> dict[str, Any]:
    return dict(MODEL.shapes[MODEL.operations[action].input]["members"])


def documented(action: str) -> list[str]:
    """The filters on the action's page; a filter on tags by the key `Name`."""
    text = members(action)["Filters"].get("documentation", "")
    names = re.findall(r"<li>\s*<p>\s*<code>([^<]+?)\s*</code>", text)
    return ["tag:Name" if name in ("tag", "tag:&lt;key&gt;", "tag:<key>") else name for name in names]


FILTERED = sorted(name for name in api.REGISTER if "Filters" in members(name))
# Where the page names no filters.
UNNAMED = {"DescribeAddressesAttribute"} | {name for name in FILTERED if not documented(name)}

# On the page, and refused here as unknown (docs/divergences.md).
UNSERVED = re.compile(
    r"DescribeImages (image-watermark|scan-result)\..*|DescribeImages (critical|high|informational|low|medium)"
    r"|DescribeInstances capacity-reservation-specification\.capacity-reservation-target\..*"
    r"|DescribeInstances network-interface\.(tag-key|tag-value|requester-id|requester-managed|outpost-arn|availability-zone)"
    r"|DescribeInstances network-interface\.(deny-all-igw-traffic|ipv6-native|operator\..*|attachment\.instance(-owner)?-id)"
    r"|DescribeInstances network-interface\.(addresses\.)?association\.(allocation|association)-id"
    r"|Describe(InstanceStatus|NetworkInterfaces|Volumes) operator\.(managed|principal)"
    r"|DescribeSubnets outpost-arn"
)


# -- a world with at least two of everything, as unlike as can be ----------------------------------------------------------------


@dataclass
class World:
    face: Face
    ec2: Any
    said: dict[str, dict[str, Any]]  # what must be said beside the filters
    all: dict[str, list[tuple[str, list[tuple[str, str]]]]]  # the records of an action: each and its leaves

    def ask(self, action: str, **params: Any) -> list[dict[str, Any]]:
        """The records that a Describe answers with."""
        ask = getattr(self.ec2, MODEL.operations[action].snake)
        return shown(action, ask(**self.said.get(action, {}), **params))

    def everything(self, action: str) -> list[tuple[str, list[tuple[str, str]]]]:
        if action not in self.all:
            self.all[action] = [(repr(row), list(leaves(row))) for row in self.ask(action)]
        return self.all[action]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    face = Face(tmp_path_factory.mktemp("filters"))
    ec2 = face.client()
    fill(face, ec2)
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["mine"]}])["Vpcs"]
    said: dict[str, dict[str, Any]] = {
        "GetSecurityGroupsForVpc": {"VpcId": vpc["VpcId"]},
        "DescribeLaunchTemplateVersions": {"Versions": ["$Latest"]},
        "DescribeInstanceTypes": {"InstanceTypes": ["t2.micro", "t3.small", "m5d.large", "c7i.large"]},
    }
    yield World(face, ec2, said, {})
    face.close()


def named(kind: str, name: str) -> list[dict[str, Any]]:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def fill(face: Face, ec2: Any) -> None:
    for name in ("first", "second"):
        ec2.create_key_pair(KeyName=name, KeyType="ed25519", TagSpecifications=named("key-pair", name))
        ec2.create_placement_group(
            GroupName=name, **({"Strategy": "cluster"} if name == "first" else {"Strategy": "partition", "PartitionCount": 2})
        )
    ec2.create_placement_group(GroupName="third", Strategy="spread", TagSpecifications=named("placement-group", "third"))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=named("vpc", "mine"))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", TagSpecifications=named("subnet", "mine"))["Subnet"][
        "SubnetId"
    ]
    gateway = ec2.create_internet_gateway(TagSpecifications=named("internet-gateway", "mine"))["InternetGateway"]
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway["InternetGatewayId"])
    ec2.create_internet_gateway()
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=named("route-table", "mine"))["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway["InternetGatewayId"])
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    acl = ec2.create_network_acl(VpcId=vpc, TagSpecifications=named("network-acl", "mine"))["NetworkAcl"]["NetworkAclId"]
    ec2.create_network_acl_entry(
        NetworkAclId=acl, RuleNumber=7, Protocol="1", RuleAction="deny", Egress=True, CidrBlock="10.9.0.0/16",
        IcmpTypeCode={"Type": 8, "Code": 0},
    )  # fmt: skip
    ec2.create_network_acl_entry(
        NetworkAclId=acl, RuleNumber=8, Protocol="6", RuleAction="allow", Egress=False, CidrBlock="10.8.0.0/16",
        PortRange={"From": 22, "To": 23},
    )  # fmt: skip
    ec2.create_dhcp_options(
        DhcpConfigurations=[{"Key": "domain-name", "Values": ["example.com"]}], TagSpecifications=named("dhcp-options", "mine")
    )
    group = ec2.create_security_group(
        GroupName="mine", Description="of mine", VpcId=vpc, TagSpecifications=named("security-group", "mine")
    )["GroupId"]
    other = ec2.create_security_group(GroupName="other", Description="of another", VpcId=vpc)["GroupId"]
    for authorize in (ec2.authorize_security_group_ingress, ec2.authorize_security_group_egress):
        rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 23, "IpRanges": [{"CidrIp": "10.7.0.0/16"}]}
        authorize(GroupId=group, IpPermissions=[rule], TagSpecifications=named("security-group-rule", "mine"))
        authorize(
            GroupId=group,
            IpPermissions=[{"IpProtocol": "udp", "FromPort": 5, "ToPort": 6, "UserIdGroupPairs": [{"GroupId": other}]}],
        )

    image = make_image(
        face,
        EnaSupport=True,
        SriovNetSupport="simple",
        BootMode="legacy-bios",
        TpmSupport="v2.0",
        KernelId="aki-1",
        RamdiskId="ari-1",
    )
    plain = make_image(face)
    ec2.create_tags(Resources=[image], Tags=[{"Key": "Name", "Value": "mine"}])
    ec2.modify_image_attribute(ImageId=plain, LaunchPermission={"Add": [{"Group": "all"}]})
    ec2.modify_image_attribute(ImageId=plain, Description={"Value": "a plain one"})
    one = run(
        ec2,
        image,
        KeyName="first",
        InstanceType="t3.small",
        Monitoring={"Enabled": True},
        ClientToken="token",
        SubnetId=subnet,
        SecurityGroupIds=[group],
        Placement={"GroupName": "second", "PartitionNumber": 2},
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 7, "VolumeType": "gp3", "DeleteOnTermination": False}}
        ],
        MetadataOptions={
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 3,
            "HttpProtocolIpv6": "enabled",
            "InstanceMetadataTags": "enabled",
        },
        MaintenanceOptions={"AutoRecovery": "disabled"},
        EbsOptimized=True,
        PrivateDnsNameOptions={
            "HostnameType": "resource-name",
            "EnableResourceNameDnsARecord": True,
            "EnableResourceNameDnsAAAARecord": True,
        },
        CapacityReservationSpecification={"CapacityReservationPreference": "none"},
        TagSpecifications=named("instance", "mine") + named("volume", "mine") + named("network-interface", "mine"),
    )["InstanceId"]
    two, ended, spare, _ = (run(ec2, plain, Placement={"AvailabilityZone": ZONES[1]})["InstanceId"] for _ in range(4))
    bring(face, one, "running")
    bring(face, spare, "running")
    bring(face, two, "stopped")
    bring(face, ended, "terminated")
    ec2.modify_instance_metadata_options(InstanceId=two, HttpEndpoint="disabled")
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="10.99.0.0/16", InstanceId=one)
    card = ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]["NetworkInterfaces"][0]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=card["NetworkInterfaceId"], SourceDestCheck={"Value": False})
    ec2.modify_network_interface_attribute(NetworkInterfaceId=card["NetworkInterfaceId"], Description={"Value": "a card"})
    ec2.create_network_interface(SubnetId=subnet, Description="a free card")
    ec2.assign_private_ip_addresses(NetworkInterfaceId=card["NetworkInterfaceId"], SecondaryPrivateIpAddressCount=1)
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=named("elastic-ip", "mine"))["AllocationId"]
    ec2.associate_address(AllocationId=address, InstanceId=one)
    ec2.allocate_address(Domain="vpc")

    volume = ec2.create_volume(AvailabilityZone=ZONES[2], Size=4, VolumeType="io1", Iops=150)["VolumeId"]
    data = next(row for row in ec2.describe_volumes()["Volumes"] if row["VolumeType"] == "gp3")["VolumeId"]
    cut = ec2.create_snapshot(VolumeId=data, Description="a cut", TagSpecifications=named("snapshot", "mine"))["SnapshotId"]
    ec2.modify_volume(VolumeId=data, Size=9, VolumeType="gp2")
    with face.database.write() as tx:
        snapshots.was_cut(tx, cut)
        tx.db.query(records.Volume).filter_by(id=volume).one().state = "available"
        locked = snapshots.begin_fill(tx, face.first.account_id, 3, ZONES[0], "imported").id
        tx.db.flush()
        snapshots.completed(tx, locked)
    ec2.modify_volume(VolumeId=volume, Iops=200)
    ec2.lock_snapshot(SnapshotId=locked, LockMode="governance", LockDuration=2)
    ec2.enable_fast_snapshot_restores(AvailabilityZones=[ZONES[0]], SourceSnapshotIds=[locked])
    ec2.create_replace_root_volume_task(InstanceId=one, TagSpecifications=named("replace-root-volume-task", "mine"))
    disk = {"Url": "http://images.example/disk"}
    for name in ("mine", "cancelled"):
        tasks = (
            ec2.import_snapshot(DiskContainer=disk, TagSpecifications=named("import-snapshot-task", name))["ImportTaskId"],
            ec2.import_image(DiskContainers=[disk], TagSpecifications=named("import-image-task", name))["ImportTaskId"],
        )
    for task in tasks:
        ec2.cancel_import_task(ImportTaskId=task)
    made = ec2.create_image(InstanceId=two, Name="made", NoReboot=True)["ImageId"]
    with face.database.write() as tx:
        row = tx.db.query(records.Image).filter_by(id=made).one()
        row.state, row.reason = "failed", "no luck"
        wish = images.Registration("mapped", "/dev/xvda", architecture="arm64", virtualization_type="paravirtual")
        lines = (
            bdm.Line("/dev/xvda", snapshot_id=locked, type="gp3", delete_on_termination=False),
            bdm.Line("/dev/sdb", virtual="ephemeral0"),
        )
        images.register(tx, face.first.account_id, wish, lines)
    for name, kind in (("first", "t3.small"), ("second", "m5.large")):
        more = {
            "KernelId": "aki-1",
            "RamDiskId": "ari-1",
            "ImageId": image,
            "EbsOptimized": True,
            "IamInstanceProfile": {"Arn": "arn:x"},
        }
        more |= {
            "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required"},
            "LicenseSpecifications": [{"LicenseConfigurationArn": "arn:l"}],
        }
        more |= {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkCardIndex": 0}], "Placement": {"HostResourceGroupArn": "arn:h"}}
        ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={"InstanceType": kind} | (more if name == "first" else {"EbsOptimized": False}),
            TagSpecifications=named("launch-template", name),
        )


# -- what a record shows --------------------------------------------------------------------------------------------------------


def shown(action: str, answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The records of an answer; an instance with its reservation's owner and id."""
    (rows,) = (value for name, value in answer.items() if name not in ("ResponseMetadata", "NextToken"))
    if action == "DescribeInstances":
        return [row | {name: part[name] for name in ("OwnerId", "ReservationId")} for part in rows for row in part["Instances"]]
    return list(rows)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each text that a record shows, with where: a path of lower-case words."""
    if isinstance(value, dict):
        if value.keys() == {"Key", "Value"}:
            yield f"{path}.key", value["Key"]
            yield f"{path}.value:{value['Key']}", value["Value"]
        else:
            for name, item in value.items():
                yield from leaves(item, f"{path}.{name.lower()}")
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    elif isinstance(value, bool):
        yield path, str(value).lower()
    elif isinstance(value, datetime.datetime):
        yield path, f"{value.astimezone(datetime.UTC):%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
    else:
        yield path, str(value)


def place(action: str, name: str) -> re.Pattern[str]:
    """Where a record shows what a filter is about: by the filter's own name, or as `ELSEWHERE` has it."""
    found = ELSEWHERE.get(f"{action} {name}") or ELSEWHERE.get(name)
    if found is None:
        *parents, last = name.replace("-", "").split(".")
        found = "".join(rf".*{part.rstrip('s')}[a-z]*" for part in parents) + rf"(?:\.|.*\.){last}s?"
    return re.compile(found)


# Where the words of the filter are not those of the answer.
ELSEWHERE = {
    "tag:Name": r"\.tag(s|set)\.value:Name",
    "tag-key": r"\.tag(s|set)\.key",
    "state-reason-code": r"\.statereason\.code",
    "state-reason-message": r"\.statereason\.message",
    "instance-state-code": r"\.(instance)?state\.code",
    "instance-state-name": r"\.(instance)?state\.name",
    "DescribeDhcpOptions key": r"\.dhcpconfigurations\.key",
    "DescribeImages is-public": r"\.public",
    "DescribeImages manifest-location": r"\.imagelocation",
    "DescribeInstanceStatus instance-status.reachability": r"\.instancestatus\.details\.status",
    "DescribeInstanceStatus instance-status.status": r"\.instancestatus\.status",
    "DescribeInstanceStatus system-status.reachability": r"\.systemstatus\.details\.status",
    "DescribeInstanceStatus system-status.status": r"\.systemstatus\.status",
    "DescribeInstanceStatus attached-ebs-status.status": r"\.attachedebsstatus\.status",
    "DescribeInstanceTypes supported-usage-class": r"\.supportedusageclasses",
    "DescribeInstances dns-name": r"\.publicdnsname",
    "DescribeInstances instance.group-id": r"\.securitygroups\.groupid",
    "DescribeInstances instance.group-name": r"\.securitygroups\.groupname",
    "DescribeInstances ip-address": r"\.publicipaddress",
    "DescribeInstances launch-index": r"\.amilaunchindex",
    "DescribeInstances metadata-options.http-protocol-ipv4": r"\.metadataoptions\.httpendpoint",
    "DescribeInstances monitoring-state": r"\.monitoring\.state",
    "DescribeInstances network-interface.private-ip-address": r"\.networkinterfaces\.privateipaddress",
    "DescribeInstances network-interface.status": r"\.networkinterfaces\.status",
    "DescribeInstances placement-group-name": r"\.placement\.groupname",
    "DescribeInstances placement-partition-number": r"\.placement\.partitionnumber",
    "DescribeInstances private-ip-address": r"\.privateipaddress",
    "DescribeInstances reason": r"\.statetransitionreason",
    "DescribeKeyPairs fingerprint": r"\.keyfingerprint",
    "DescribeLaunchTemplateVersions http-protocol-ipv4": r"\.launchtemplatedata\.metadataoptions\.httpendpoint",
    "DescribeLaunchTemplateVersions iam-instance-profile": r"\.launchtemplatedata\.iaminstanceprofile\.arn",
    "DescribeLaunchTemplateVersions is-default-version": r"\.defaultversion",
    "DescribeNetworkAcls association.association-id": r"\.associations\.networkaclassociationid",
    "DescribeNetworkAcls default": r"\.isdefault",
    "DescribeNetworkAcls entry.cidr": r"\.entries\.cidrblock",
    "DescribeNetworkAcls entry.icmp.code": r"\.entries\.icmptypecode\.code",
    "DescribeNetworkAcls entry.icmp.type": r"\.entries\.icmptypecode\.type",
    "DescribeNetworkAcls entry.port-range.from": r"\.entries\.portrange\.from",
    "DescribeNetworkAcls entry.port-range.to": r"\.entries\.portrange\.to",
    "DescribeNetworkAcls entry.protocol": r"\.entries\.protocol",
    "DescribeNetworkAcls entry.rule-action": r"\.entries\.ruleaction",
    "DescribeNetworkAcls entry.egress": r"\.entries\.egress",
    "DescribeNetworkAcls entry.rule-number": r"\.entries\.rulenumber",
    "DescribeNetworkInterfaces addresses.association.owner-id": r"\.privateipaddresses\.association\.ipownerid",
    "DescribeNetworkInterfaces private-ip-address": r"\.privateipaddresses\.privateipaddress",
    "DescribeNetworkInterfaces status": r"\.status",
    "DescribeSnapshots status": r"\.state",
    "DescribeTags tag:Name": r"\.value",  # there is no other key
    "DescribeVolumeStatus volume-status.details-name": r"\.volumestatus\.details\.name",
    "DescribeVolumeStatus volume-status.details-status": r"\.volumestatus\.details\.status",
    "DescribeVolumeStatus volume-status.status": r"\.volumestatus\.status",
    "DescribeVolumes attachment.status": r"\.attachments\.state",
    "DescribeVolumes status": r"\.state",
    "DescribeVolumesModifications originalMultiAttachEnabled": r"\.originalmultiattachenabled",
    "DescribeVolumesModifications targetMultiAttachEnabled": r"\.targetmultiattachenabled",
    "DescribeVpcs cidr": r"\.cidrblock",
    "DescribeVpcs state": r"\.state",
} | {
    f"DescribeSecurityGroups {prefix}ip-permission.{name}": rf"\.ippermissions{side}\.{path}"
    for prefix, side in (("", ""), ("egress.", "egress"))
    for name, path in {
        "cidr": r"ipranges\.cidrip",
        "from-port": "fromport",
        "group-id": r"useridgrouppairs\.groupid",
        "group-name": r"useridgrouppairs\.groupname",
        "protocol": "ipprotocol",
        "to-port": "toport",
        "user-id": r"useridgrouppairs\.userid",
    }.items()
}

# What nothing here ever has or shows (docs/divergences.md): IPv6, Spot, Outposts, IAM, other kinds of gateways, events.
DEAD = re.compile(
    r"DescribeAvailabilityZones (message|parent-zone-(id|name))"
    r"|DescribeImages (free-tier-eligible|image-allowed|instance-type-specification\..*|owner-alias|platform"
    r"|product-code(\.type)?|public-ssm-parameter-name)"
    r"|DescribeInstanceStatus (event\..*|application-status\.status)"
    r"|DescribeInstanceTypes (ebs-info\.ebs-optimized-info\..*|network-info\.(bandwidth-weightings|efa-info\..*|flexible-ena-.*)"
    r"|nitro-tpm-info\..*|processor-info\.supported-features|reboot-migration-support)"
    r"|DescribeInstances (affinity|capacity-reservation-id|host-id|iam-instance-profile\..*|instance-lifecycle|ipv6-address"
    r"|network-interface\.(ipv[46]-.*|.*carrier-ip|.*customer-owned-ip)|operator\.principal|outpost-arn|platform"
    r"|product-code(\.type)?|requester-id|spot-instance-request-id|tpm-support)"
    r"|DescribeNetworkAcls entry\.ipv6-cidr"
    r"|DescribeNetworkInterfaces (ipv6-addresses\..*|requester-id)"
    r"|DescribeRouteTables (association\.gateway-id"
    r"|route\.(destination-(ipv6|prefix)-.*|(egress-only-internet|nat|transit)-gateway-id|vpc-peering-connection-id))"
    r"|DescribeSecurityGroups .*\.(group-name|ipv6-cidr|prefix-list-id)"
    r"|DescribeSnapshotTierStatus last-tiering-operation"
    r"|DescribeSnapshots (owner-alias|transfer-type)"
    r"|DescribeSubnets (customer-owned-ipv4-pool|enable-lni-at-device-index|ipv6-cidr-.*)"
    r"|DescribeVolumeStatus (action|event|attachment-status)\..*"
    r"|DescribeVpcs ipv6-.*"
    rf"|({'|'.join(absent.ABSENT)}) .*"
)


@pytest.mark.parametrize(
    ("action", "name"),
    [(action, name) for action in FILTERED for name in documented(action) if not UNSERVED.fullmatch(f"{action} {name}")],
)
def test_a_filter_passes_what_shows_the_value_and_nothing_else(world: World, action: str, name: str) -> None:

    def passing(value: str) -> list[str]:
        return [repr(row) for row in world.ask(action, Filters=[{"Name": name, "Values": [value]}])]

    where = place(action, name)
    values: dict[str, list[str]] = {}
    for row, texts in world.everything(action):
        for text in dict.fromkeys(text for path, text in texts if where.fullmatch(path)):
            values.setdefault(text, []).append(row)
    assert passing("nothing shows this") == []
    if DEAD.fullmatch(f"{action} {name}"):
        assert not values and passing("*") == [], "it is alive"
        return
    assert values, "no record shows anything of it"
    for text in sorted(values, key=lambda text: len(values[text]))[:2]:
        assert passing(text.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")) == values[text], text


@pytest.mark.parametrize("action", FILTERED)
def test_an_unknown_filter_is_refused(world: World, action: str) -> None:
    describe = getattr(world.ec2, MODEL.operations[action].snake)
    for name in ("colour", *(name for name in documented(action) if UNSERVED.fullmatch(f"{action} {name}"))):
        said = refusal(describe, **world.said.get(action, {}), Filters=[{"Name": name, "Values": ["*"]}])
        assert said[:2] == ("InvalidParameterValue", f"The filter '{name}' is invalid")
