"""The error tables of EC2, continued: keys, groups, addresses, interfaces, networks, regions and launch templates.

As in `tests/query/test_refusals.py`: every row is sent over the wire and must change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.query.face import ZONES, Face
from tests.query.test_instances import bring, make_image, run

VALUE, COMBINATION, MISSING, DEPENDENCY = (
    "InvalidParameterValue", "InvalidParameterCombination", "MissingParameter", "DependencyViolation"
)  # fmt: skip


@dataclass
class Around:
    """One thing of each kind and in each state that a refusal needs."""

    face: Face
    ec2: Any
    running: str
    pending: str
    home: str  # the default VPC, with a subnet in each zone
    near: str
    vpc: str  # one without a gateway, 10.0.0.0/16, with a subnet 10.0.1.0/24
    subnet: str
    main: str  # the VPC's main table, and one that the subnet follows
    table: str
    gateway: str  # of the default VPC
    spare: str  # and one of nobody's
    group: str
    apart: str  # a group that is not of the default VPC
    default: str
    card: str  # of the running instance, its only one
    free: str  # one of no instance
    lonely: str  # one in the VPC without a gateway
    taken: str  # an address that leads to the running instance
    unused: str
    template: str
    before: dict[str, Any]


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Around]:
    face = Face(tmp_path_factory.mktemp("around"))
    ec2 = face.client()
    ec2.create_key_pair(KeyName="mine")
    image = make_image(face)
    running, pending = (run(ec2, image, Placement={"AvailabilityZone": ZONES[0]})["InstanceId"] for _ in range(2))
    bring(face, running, "running")
    (home,) = ec2.describe_vpcs()["Vpcs"]
    (near,) = ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": [ZONES[0]]}])["Subnets"]
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    (main,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    (gateway,) = ec2.describe_internet_gateways()["InternetGateways"]
    spare = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    group = ec2.create_security_group(GroupName="web", Description="of the web")["GroupId"]
    apart = ec2.create_security_group(GroupName="apart", Description="of the VPC", VpcId=vpc)["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule(22)])
    (default,) = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    shown = ec2.describe_instances(InstanceIds=[running])["Reservations"][0]["Instances"][0]
    cards = [ec2.create_network_interface(SubnetId=where)["NetworkInterface"] for where in (near["SubnetId"], subnet)]
    taken, unused = (ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(2))
    ec2.associate_address(AllocationId=taken, InstanceId=running)
    template = ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={"InstanceType": "m5.large"})
    yield Around(
        face=face,
        ec2=ec2,
        running=running,
        pending=pending,
        home=home["VpcId"],
        near=near["SubnetId"],
        vpc=vpc,
        subnet=subnet,
        main=main["RouteTableId"],
        table=table,
        gateway=gateway["InternetGatewayId"],
        spare=spare,
        group=group,
        apart=apart,
        default=default["GroupId"],
        card=shown["NetworkInterfaces"][0]["NetworkInterfaceId"],
        free=cards[0]["NetworkInterfaceId"],
        lonely=cards[1]["NetworkInterfaceId"],
        taken=taken,
        unused=unused,
        template=template["LaunchTemplate"]["LaunchTemplateId"],
        before=face.everything(),
    )
    face.close()


def rule(port: int, cidr: str = "0.0.0.0/0", protocol: str = "tcp") -> dict[str, Any]:
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]}


def name_group(s: Around, **said: Any) -> Any:
    return s.ec2.create_security_group(**{"GroupName": "fresh", "Description": "d", **said})


def allow(s: Around, *rules: dict[str, Any]) -> Any:
    return s.ec2.authorize_security_group_ingress(GroupId=s.group, IpPermissions=list(rules))


def main_association(s: Around) -> str:
    (table,) = s.ec2.describe_route_tables(RouteTableIds=[s.main])["RouteTables"]
    return str(table["Associations"][0]["RouteTableAssociationId"])


KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAe78WQEGS6uYF08OPKCMkQMozYPgFeiWchb+L+/nZi8"
Row = tuple[str, Callable[[Around], Any], str, str]

# -- 4.18 key pairs -----------------------------------------------------------------------------------------------------------

KEYS: list[Row] = [
    (
        "there is one",
        lambda s: s.ec2.create_key_pair(KeyName="mine"),
        "InvalidKeyPair.Duplicate",
        "The keypair 'mine' already exists.",
    ),
    ("a long name", lambda s: s.ec2.create_key_pair(KeyName="k" * 256), VALUE, ".*"),
    ("a kind of nobody's", lambda s: s.ec2.create_key_pair(KeyName="k", KeyType="dsa"), VALUE, ".*"),
    ("a format of nobody's", lambda s: s.ec2.create_key_pair(KeyName="k", KeyFormat="der"), VALUE, ".*"),
    (
        "brought: there is one",
        lambda s: s.ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=KEY),
        "InvalidKeyPair.Duplicate",
        ".*",
    ),
    ("brought: nothing", lambda s: s.ec2.import_key_pair(KeyName="k", PublicKeyMaterial=b""), MISSING, ".*"),
    (
        "brought: no key",
        lambda s: s.ec2.import_key_pair(KeyName="k", PublicKeyMaterial=b"no key"),
        "InvalidKey.Format",
        "Key is not in valid OpenSSH public key format",
    ),
    (
        "described: no such name",
        lambda s: s.ec2.describe_key_pairs(KeyNames=["mine", "nobody's"]),
        "InvalidKeyPair.NotFound",
        "The key pair 'nobody's' does not exist",
    ),
    (
        "described: no such id",
        lambda s: s.ec2.describe_key_pairs(KeyPairIds=["key-0a"]),
        "InvalidKeyPair.NotFound",
        ".*key-0a.*",
    ),
]

# -- 4.19 security groups -----------------------------------------------------------------------------------------------------

GROUPS: list[Row] = [
    (
        "there is one",
        lambda s: name_group(s, GroupName="web"),
        "InvalidGroup.Duplicate",
        r"The security group 'web' already exists for VPC 'vpc-\w+'",
    ),
    ("default, in a VPC", lambda s: name_group(s, GroupName="default", VpcId=s.vpc), VALUE, ".*"),
    ("default, in the default VPC", lambda s: name_group(s, GroupName="default"), "InvalidGroup.Reserved", ".*"),
    ("a name like an id", lambda s: name_group(s, GroupName="sg-1"), VALUE, ".*sg-.*"),
    ("a long name", lambda s: name_group(s, GroupName="g" * 256), VALUE, ".*"),
    ("a strange name", lambda s: name_group(s, GroupName="a|b"), VALUE, ".*"),
    ("a strange description", lambda s: name_group(s, Description="ü"), VALUE, ".*"),
    ("no name", lambda s: name_group(s, GroupName=""), MISSING, ".*[gG]roupName"),
    ("no description", lambda s: name_group(s, Description=""), MISSING, ".*[gG]roupDescription"),
    ("no such VPC", lambda s: name_group(s, VpcId="vpc-0a"), "InvalidVpcID.NotFound", ".*vpc-0a.*"),
    (
        "delete the default",
        lambda s: s.ec2.delete_security_group(GroupId=s.default),
        "CannotDelete",
        r'the specified group: "sg-\w+" name: "default" cannot be deleted by a user',
    ),
    ("delete what is not there", lambda s: s.ec2.delete_security_group(GroupId="sg-0a"), "InvalidGroup.NotFound", ".*sg-0a.*"),
    (
        "describe what is not there",
        lambda s: s.ec2.describe_security_groups(GroupNames=["db"]),
        "InvalidGroup.NotFound",
        ".*'db'.*",
    ),
    (
        "a rule twice",
        lambda s: allow(s, rule(22)),
        "InvalidPermission.Duplicate",
        'the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists',
    ),
    (
        "revoke what is not there",
        lambda s: s.ec2.revoke_security_group_ingress(GroupId=s.apart, IpPermissions=[rule(23)]),
        "InvalidPermission.NotFound",
        "The specified rule does not exist in this security group.",
    ),
    ("a bad block", lambda s: allow(s, rule(1, "10.0.0.300/8")), VALUE, "CIDR block 10.0.0.300/8 is malformed"),
    ("a bad port", lambda s: allow(s, rule(65536)), VALUE, r".*\(65536\).*"),
    ("a bad protocol", lambda s: allow(s, rule(1, protocol="x")), VALUE, ".*'x'.*"),
    ("a bad type of ICMP", lambda s: allow(s, rule(256, protocol="icmp")), VALUE, ".*256.*"),
    ("from nowhere", lambda s: allow(s, {"IpProtocol": "-1"}), "InvalidPermission.Malformed", ".*"),
    ("from no group", lambda s: allow(s, {"IpProtocol": "-1", "UserIdGroupPairs": [{"UserId": "1"}]}), MISSING, ".*"),
    ("no rule at all", lambda s: s.ec2.authorize_security_group_ingress(GroupId=s.group), MISSING, ".*"),
    ("no group", lambda s: s.ec2.authorize_security_group_ingress(IpPermissions=[rule(1)]), MISSING, ".*group.*"),
    (
        "from a peer's group",
        lambda s: allow(s, {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": s.group, "VpcPeeringConnectionId": "pcx-0a"}]}),
        "UnsupportedOperation",
        ".*[vV]pcPeeringConnectionId.*",
    ),
]

# -- 4.20 addresses and interfaces ----------------------------------------------------------------------------------------------

ADDRESSES: list[Row] = [
    ("no domain", lambda s: s.ec2.allocate_address(Domain="planet"), VALUE, ".*planet.*"),
    ("from another border", lambda s: s.ec2.allocate_address(NetworkBorderGroup="us-east-1-wl1"), VALUE, ".*us-east-1-wl1.*"),
    ("from a pool", lambda s: s.ec2.allocate_address(PublicIpv4Pool="ipv4pool-ec2-0a"), "UnsupportedOperation", ".*"),
    (
        "released under both names",
        lambda s: s.ec2.release_address(AllocationId=s.unused, PublicIp=public(s, s.unused)),
        COMBINATION,
        ".*",
    ),
    ("released from nobody", lambda s: s.ec2.release_address(AllocationId="eipalloc-0a"), "InvalidAllocationID.NotFound", ".*"),
    ("released from another border", lambda s: s.ec2.release_address(AllocationId=s.unused, NetworkBorderGroup="x"), VALUE, ".*"),
    (
        "to a pending instance",
        lambda s: s.ec2.associate_address(AllocationId=s.unused, InstanceId=s.pending),
        "InvalidInstanceID",
        r"The pending instance 'i-\w+' is not in a valid state for this operation.",
    ),
    (
        "without leave to take it",
        lambda s: s.ec2.associate_address(AllocationId=s.taken, NetworkInterfaceId=s.free, AllowReassociation=False),
        "Resource.AlreadyAssociated",
        r"resource eipalloc-\w+ is already associated with associate-id eipassoc-\w+",
    ),
    (
        "where no gateway is",
        lambda s: s.ec2.associate_address(AllocationId=s.unused, NetworkInterfaceId=s.lonely),
        "Gateway.NotAttached",
        ".*",
    ),
    (
        "taken from nobody",
        lambda s: s.ec2.disassociate_address(AssociationId="eipassoc-0a"),
        "InvalidAssociationID.NotFound",
        "The association ID 'eipassoc-0a' does not exist",
    ),
    ("an attribute of nobody's", lambda s: s.ec2.describe_addresses_attribute(Attribute="colour"), VALUE, ".*colour.*"),
]
INTERFACES: list[Row] = [
    (
        "deleted while attached",
        lambda s: s.ec2.delete_network_interface(NetworkInterfaceId=s.card),
        "InvalidNetworkInterface.InUse|" + VALUE,
        ".*in use.*",
    ),
    ("in no subnet", lambda s: s.ec2.create_network_interface(SubnetId="subnet-0a"), "InvalidSubnetID.NotFound", ".*"),
    (
        "at a taken index",
        lambda s: s.ec2.attach_network_interface(NetworkInterfaceId=s.free, InstanceId=s.running, DeviceIndex=0),
        VALUE,
        r"Instance 'i-\w+' already has an interface attached at device index '0'.",
    ),
    (
        "attached twice",
        lambda s: s.ec2.attach_network_interface(NetworkInterfaceId=s.card, InstanceId=s.running, DeviceIndex=1),
        "InvalidNetworkInterface.InUse",
        ".*",
    ),
    (
        "the first taken out",
        lambda s: s.ec2.detach_network_interface(AttachmentId=attachment(s)),
        "OperationNotPermitted",
        "The network interface at device index 0 .*cannot be detached.",
    ),
    (
        "out of nothing",
        lambda s: s.ec2.detach_network_interface(AttachmentId="eni-attach-0a"),
        "InvalidAttachmentID.NotFound",
        ".*",
    ),
    (
        "described: no attribute",
        lambda s: s.ec2.describe_network_interface_attribute(NetworkInterfaceId=s.free),
        COMBINATION,
        ".*",
    ),
    (
        "described: no such attribute",
        lambda s: s.ec2.describe_network_interface_attribute(NetworkInterfaceId=s.free, Attribute="colour"),
        VALUE,
        ".*",
    ),
    ("changed: no attribute", lambda s: s.ec2.modify_network_interface_attribute(NetworkInterfaceId=s.free), COMBINATION, ".*"),
    (
        "changed: no attachment",
        lambda s: s.ec2.modify_network_interface_attribute(NetworkInterfaceId=s.card, Attachment={"DeleteOnTermination": False}),
        MISSING,
        ".*attachmentId",
    ),
    (
        "changed: another attachment",
        lambda s: s.ec2.modify_network_interface_attribute(
            NetworkInterfaceId=s.card, Attachment={"AttachmentId": "eni-attach-0a", "DeleteOnTermination": False}
        ),
        "InvalidAttachmentID.NotFound",
        ".*",
    ),
    (
        "its primary address taken",
        lambda s: s.ec2.unassign_private_ip_addresses(NetworkInterfaceId=s.free, PrivateIpAddresses=[primary(s)]),
        VALUE,
        ".*",
    ),
]


def public(s: Around, allocation: str) -> str:
    return str(s.ec2.describe_addresses(AllocationIds=[allocation])["Addresses"][0]["PublicIp"])


def attachment(s: Around) -> str:
    shown = s.ec2.describe_network_interfaces(NetworkInterfaceIds=[s.card])["NetworkInterfaces"][0]
    return str(shown["Attachment"]["AttachmentId"])


def primary(s: Around) -> str:
    return str(s.ec2.describe_network_interfaces(NetworkInterfaceIds=[s.free])["NetworkInterfaces"][0]["PrivateIpAddress"])


# -- 4.21 networks --------------------------------------------------------------------------------------------------------------

NETWORKS: list[Row] = [
    ("too large a VPC", lambda s: s.ec2.create_vpc(CidrBlock="10.0.0.0/15"), "InvalidVpc.Range", ".*10.0.0.0/15.*"),
    ("too small a VPC", lambda s: s.ec2.create_vpc(CidrBlock="10.0.0.0/29"), "InvalidVpc.Range", ".*"),
    (
        "a VPC with IPv6",
        lambda s: s.ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True),
        "UnsupportedOperation",
        ".*",
    ),
    (
        "a VPC with content",
        lambda s: s.ec2.delete_vpc(VpcId=s.vpc),
        DEPENDENCY,
        r"The vpc 'vpc-\w+' has dependencies and cannot be deleted.",
    ),
    (
        "a default VPC again",
        lambda s: s.ec2.create_default_vpc(),
        "DefaultVpcAlreadyExists",
        "A Default VPC already exists for this account in this region.",
    ),
    (
        "a subnet elsewhere",
        lambda s: s.ec2.create_subnet(VpcId=s.vpc, CidrBlock="10.1.0.0/24"),
        "InvalidSubnet.Range",
        ".*10.1.0.0/24.*",
    ),
    ("too small a subnet", lambda s: s.ec2.create_subnet(VpcId=s.vpc, CidrBlock="10.0.2.0/29"), "InvalidSubnet.Range", ".*"),
    (
        "a subnet over another",
        lambda s: s.ec2.create_subnet(VpcId=s.vpc, CidrBlock="10.0.0.0/23"),
        "InvalidSubnet.Conflict",
        ".*",
    ),
    (
        "a subnet in no zone",
        lambda s: s.ec2.create_subnet(VpcId=s.vpc, CidrBlock="10.0.2.0/24", AvailabilityZone="x"),
        VALUE,
        ".*",
    ),
    (
        "a subnet on an outpost",
        lambda s: s.ec2.create_subnet(VpcId=s.vpc, CidrBlock="10.0.2.0/24", OutpostArn="arn:x"),
        "UnsupportedOperation",
        ".*outpostArn.*",
    ),
    (
        "a subnet in use",
        lambda s: s.ec2.delete_subnet(SubnetId=s.near),
        DEPENDENCY,
        r"The subnet 'subnet-\w+' has dependencies and cannot be deleted.",
    ),
    (
        "a default subnet again",
        lambda s: s.ec2.create_default_subnet(AvailabilityZone=ZONES[0]),
        "DefaultSubnetAlreadyExistsInAvailabilityZone",
        rf"'subnet-\w+' is already the default subnet in {ZONES[0]}.",
    ),
    (
        "a route twice",
        lambda s: s.ec2.create_route(RouteTableId=home_table(s), DestinationCidrBlock="0.0.0.0/0", GatewayId=s.gateway),
        "RouteAlreadyExists",
        "The route identified by 0.0.0.0/0 already exists.",
    ),
    (
        "a route to a VPN gateway",
        lambda s: s.ec2.create_route(RouteTableId=s.table, DestinationCidrBlock="9.0.0.0/8", GatewayId="vgw-0a"),
        "InvalidVpnGatewayID.NotFound",
        "The vpnGateway ID 'vgw-0a' does not exist",
    ),
    (
        "a route through NAT",
        lambda s: s.ec2.create_route(RouteTableId=s.table, DestinationCidrBlock="9.0.0.0/8", NatGatewayId="nat-0a"),
        "UnsupportedOperation",
        ".*natGatewayId.*",
    ),
    (
        "no such route",
        lambda s: s.ec2.delete_route(RouteTableId=s.table, DestinationCidrBlock="9.0.0.0/8"),
        "InvalidRoute.NotFound",
        r"no route with destination-cidr-block 9.0.0.0/8 in route table rtb-\w+",
    ),
    ("the local route", lambda s: s.ec2.delete_route(RouteTableId=s.table, DestinationCidrBlock="10.0.0.0/16"), VALUE, ".*"),
    ("the main table", lambda s: s.ec2.delete_route_table(RouteTableId=s.main), DEPENDENCY, ".*"),
    ("a table that is followed", lambda s: s.ec2.delete_route_table(RouteTableId=s.table), DEPENDENCY, ".*"),
    ("the main table left", lambda s: s.ec2.disassociate_route_table(AssociationId=main_association(s)), VALUE, ".*"),
    (
        "a gateway twice",
        lambda s: s.ec2.attach_internet_gateway(InternetGatewayId=s.gateway, VpcId=s.vpc),
        "Resource.AlreadyAssociated",
        ".*",
    ),
    (
        "two gateways",
        lambda s: s.ec2.attach_internet_gateway(InternetGatewayId=s.spare, VpcId=s.home),
        "Resource.AlreadyAssociated|" + VALUE,
        ".*",
    ),
    ("a gateway in use", lambda s: s.ec2.delete_internet_gateway(InternetGatewayId=s.gateway), DEPENDENCY, ".*"),
    (
        "a gateway of nobody's",
        lambda s: s.ec2.detach_internet_gateway(InternetGatewayId=s.spare, VpcId=s.vpc),
        "Gateway.NotAttached",
        ".*",
    ),
    (
        "two attributes",
        lambda s: s.ec2.modify_vpc_attribute(VpcId=s.vpc, EnableDnsSupport={"Value": True}, EnableDnsHostnames={"Value": True}),
        COMBINATION,
        ".*",
    ),
    ("no attribute", lambda s: s.ec2.modify_vpc_attribute(VpcId=s.vpc), COMBINATION, ".*"),
    ("no such attribute", lambda s: s.ec2.describe_vpc_attribute(VpcId=s.vpc, Attribute="colour"), VALUE, ".*"),
]


def home_table(s: Around) -> str:
    (table,) = s.ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [s.home]}])["RouteTables"]
    return str(table["RouteTableId"])


# -- 4.22 regions, 4.23 launch templates -----------------------------------------------------------------------------------------

PLACES: list[Row] = [
    ("no such region", lambda s: s.ec2.describe_regions(RegionNames=["eu-west-9"]), VALUE, r"Invalid region: \[eu-west-9\]"),
    (
        "no such zone",
        lambda s: s.ec2.describe_availability_zones(ZoneNames=["us-east-1x"]),
        VALUE,
        r"Invalid availability zone: \[us-east-1x\]",
    ),
    ("no such attribute", lambda s: s.ec2.describe_account_attributes(AttributeNames=["colour"]), VALUE, ".*colour.*"),
]


def template(s: Around, name: str = "fresh", **data: Any) -> Any:
    return s.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data or {"InstanceType": "m5.large"})


_MALFORMED = (
    "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and the following characters:"
    r" - \( \) . / _."
)
TEMPLATES: list[Row] = [
    (
        "there is one",
        lambda s: template(s, "web"),
        "InvalidLaunchTemplateName.AlreadyExistsException",
        "Launch template name already in use.",
    ),
    ("a short name", lambda s: template(s, "ab"), "InvalidLaunchTemplateName.MalformedException", _MALFORMED),
    ("a strange name", lambda s: template(s, "a b c"), "InvalidLaunchTemplateName.MalformedException", _MALFORMED),
    (
        "neither id nor name",
        lambda s: s.ec2.describe_launch_template_versions(),
        MISSING,
        "The request must contain the parameter launch template ID or launch template name",
    ),
    (
        "id and name",
        lambda s: s.ec2.delete_launch_template(LaunchTemplateId=s.template, LaunchTemplateName="web"),
        COMBINATION,
        ".*",
    ),
    (
        "no such version",
        lambda s: s.ec2.describe_launch_template_versions(LaunchTemplateId=s.template, Versions=["7"]),
        "InvalidLaunchTemplateId.VersionNotFound",
        r"Could not find the specified version 7 for the launch template with ID lt-\w+.",
    ),
    (
        "201 versions",
        lambda s: s.ec2.delete_launch_template_versions(LaunchTemplateId=s.template, Versions=[str(n) for n in range(201)]),
        ".*",
        ".*200.*",
    ),
    ("data of nothing", lambda s: s.ec2.get_launch_template_data(InstanceId="i-0a"), "InvalidInstanceID.NotFound", ".*"),
]

SECTIONS = {
    "keys": KEYS, "groups": GROUPS, "addresses": ADDRESSES, "interfaces": INTERFACES, "networks": NETWORKS, "places": PLACES,
    "templates": TEMPLATES,
}  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "code", "message"),
    [pytest.param(*row[1:], id=f"{section}: {row[0]}") for section, rows in SECTIONS.items() for row in rows],
)
def test_refusal(around: Around, ask: Callable[[Around], Any], code: str, message: str) -> None:
    with pytest.raises(ClientError) as caught:
        ask(around)
    said = caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]
    assert re.fullmatch(code, said[0]), said
    assert re.fullmatch(message, said[1]), said
    assert 400 <= caught.value.response["ResponseMetadata"]["HTTPStatusCode"] < 500
    before, around.before = around.before, around.face.everything()
    assert around.before == before


def test_the_default_version_stays(around: Around) -> None:
    """It is refused for itself: the others that are named go."""
    ec2, id = around.ec2, around.template
    version = ec2.create_launch_template_version(LaunchTemplateId=id, LaunchTemplateData={"InstanceType": "m5.large"})
    number = str(version["LaunchTemplateVersion"]["VersionNumber"])
    answer = ec2.delete_launch_template_versions(LaunchTemplateId=id, Versions=["1", number])
    around.before = around.face.everything()
    assert [row["VersionNumber"] for row in answer["SuccessfullyDeletedLaunchTemplateVersions"]] == [int(number)]
    (row,) = answer["UnsuccessfullyDeletedLaunchTemplateVersions"]
    assert (row["VersionNumber"], row["ResponseError"]["Code"]) == (1, "unexpectedError")
