"""Networks, security groups, interfaces and addresses as records, through boto3."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ec2gw.cloud import images, instances, snapshots
from ec2gw.model import bdm
from tests.query.face import ZONES, Face
from tests.query.test_server import refusal

ANYWHERE = "0.0.0.0/0"


# -- a small world ----------------------------------------------------------------------------------------------------


@pytest.fixture
def image(face: Face) -> str:
    """An image to launch from."""
    with face.database.write() as tx:
        account = face.first.account_id
        snapshot = snapshots.begin_fill(tx, account, 1, ZONES[0], "disk")
        tx.db.flush()
        snapshots.completed(tx, snapshot.id)
        registration = images.Registration("image", "/dev/sda1", architecture="x86_64", virtualization_type="hvm")
        made: str = images.register(tx, account, registration, (bdm.Line("/dev/sda1", snapshot_id=snapshot.id),)).id
        return made


def launch(ec2: Any, image: str, **more: Any) -> dict[str, Any]:
    """A pending instance as RunInstances answers it."""
    wish = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1} | more
    (instance,) = ec2.run_instances(**wish)["Instances"]
    return dict(instance)


def bring_up(face: Face, instance_id: str) -> str:
    """What the engine tells of a machine that comes on."""
    with face.database.write() as tx:
        instances.started(tx, instance_id, ())
    return instance_id


def end(face: Face, ec2: Any, instance_id: str) -> None:
    ec2.terminate_instances(InstanceIds=[instance_id])
    with face.database.write() as tx:
        instances.ended(tx, instance_id)


def describe(ec2: Any, instance_id: str) -> dict[str, Any]:
    return dict(ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0])


def interface(ec2: Any, interface_id: str) -> dict[str, Any]:
    return dict(ec2.describe_network_interfaces(NetworkInterfaceIds=[interface_id])["NetworkInterfaces"][0])


def default_vpc(ec2: Any) -> dict[str, Any]:
    (vpc,) = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    return dict(vpc)


def default_group(ec2: Any, vpc: str) -> str:
    asked = [{"Name": "group-name", "Values": ["default"]}, {"Name": "vpc-id", "Values": [vpc]}]
    (group,) = ec2.describe_security_groups(Filters=asked)["SecurityGroups"]
    return str(group["GroupId"])


def a_subnet(ec2: Any, zone: str = ZONES[0]) -> str:
    """The default subnet of a zone."""
    asked = [{"Name": "availability-zone", "Values": [zone]}, {"Name": "default-for-az", "Values": ["true"]}]
    return str(ec2.describe_subnets(Filters=asked)["Subnets"][0]["SubnetId"])


def permission(cidr: str = ANYWHERE, port: int = 22, protocol: str = "tcp", **about: str) -> dict[str, Any]:
    ranges = [{"CidrIp": cidr, **about}]
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, "IpRanges": ranges}


def said(call: Any, **params: Any) -> tuple[str, str]:
    """Code and message of a refusal that is answered with 400."""
    code, message, status = refusal(call, **params)
    assert status == 400
    return code, message


# -- what an account begins with ----------------------------------------------------------------------------------------


def test_the_default_network(ec2: Any) -> None:
    vpc = default_vpc(ec2)
    assert (vpc["CidrBlock"], vpc["State"], vpc["InstanceTenancy"]) == ("172.31.0.0/16", "available", "default")
    assert [block["CidrBlockState"] for block in vpc["CidrBlockAssociationSet"]] == [{"State": "associated"}]
    id = vpc["VpcId"]
    subnets = ec2.describe_subnets()["Subnets"]
    assert [(row["AvailabilityZone"], row["CidrBlock"]) for row in subnets] == [
        (ZONES[0], "172.31.0.0/20"),
        (ZONES[1], "172.31.16.0/20"),
        (ZONES[2], "172.31.32.0/20"),
    ]
    assert {(row["AvailableIpAddressCount"], row["DefaultForAz"], row["MapPublicIpOnLaunch"]) for row in subnets} == {
        (4091, True, True)
    }
    (gateway,) = ec2.describe_internet_gateways()["InternetGateways"]
    assert gateway["Attachments"] == [{"State": "available", "VpcId": id}]
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["true"]}])["RouteTables"]
    assert [(row["DestinationCidrBlock"], row["GatewayId"], row["Origin"], row["State"]) for row in table["Routes"]] == [
        ("172.31.0.0/16", "local", "CreateRouteTable", "active"),
        (ANYWHERE, gateway["InternetGatewayId"], "CreateRoute", "active"),
    ]
    assert [(row["Main"], row["AssociationState"]) for row in table["Associations"]] == [(True, {"State": "associated"})]
    (acl,) = ec2.describe_network_acls(Filters=[{"Name": "default", "Values": ["true"]}])["NetworkAcls"]
    assert {row["SubnetId"] for row in acl["Associations"]} == {row["SubnetId"] for row in subnets}
    assert [(row["Egress"], row["RuleNumber"], row["RuleAction"]) for row in acl["Entries"]] == [
        (True, 100, "allow"),
        (True, 32767, "deny"),
        (False, 100, "allow"),
        (False, 32767, "deny"),
    ]
    (options,) = ec2.describe_dhcp_options(DhcpOptionsIds=[vpc["DhcpOptionsId"]])["DhcpOptions"]
    assert {row["Key"]: [value["Value"] for value in row["Values"]] for row in options["DhcpConfigurations"]} == {
        "domain-name": ["ec2.internal"],
        "domain-name-servers": ["AmazonProvidedDNS"],
    }
    (group,) = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
    assert group["Description"] == "default VPC security group"
    assert [(row["IpProtocol"], row["UserIdGroupPairs"][0]["GroupId"]) for row in group["IpPermissions"]] == [
        ("-1", group["GroupId"])
    ]
    assert [(row["IpProtocol"], row["IpRanges"]) for row in group["IpPermissionsEgress"]] == [("-1", [{"CidrIp": ANYWHERE}])]


def test_the_account_knows_its_default_vpc(ec2: Any) -> None:
    def shown() -> str:
        (attribute,) = ec2.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"]
        return str(attribute["AttributeValues"][0]["AttributeValue"])

    vpc = default_vpc(ec2)["VpcId"]
    assert shown() == vpc
    for row in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=row["SubnetId"])
    ec2.detach_internet_gateway(
        InternetGatewayId=ec2.describe_internet_gateways()["InternetGateways"][0]["InternetGatewayId"], VpcId=vpc
    )
    ec2.delete_vpc(VpcId=vpc)
    assert shown() == "none"


def test_accounts_do_not_see_each_other(face: Face, ec2: Any) -> None:
    other = face.client(face.second)
    theirs = default_vpc(other)["VpcId"]
    assert theirs != default_vpc(ec2)["VpcId"]
    assert said(ec2.describe_vpcs, VpcIds=[theirs]) == ("InvalidVpcID.NotFound", f"The vpc ID '{theirs}' does not exist")
    assert said(ec2.create_subnet, VpcId=theirs, CidrBlock="172.31.96.0/20")[0] == "InvalidVpcID.NotFound"
    public = other.allocate_address()["PublicIp"]
    assert said(ec2.release_address, PublicIp=public) == ("InvalidAddress.NotFound", f"Address '{public}' not found.")


def test_a_default_vpc_that_was_deleted_can_be_made_again(ec2: Any) -> None:
    vpc = default_vpc(ec2)["VpcId"]
    assert said(ec2.create_default_vpc) == (
        "DefaultVpcAlreadyExists",
        "A Default VPC already exists for this account in this region.",
    )
    subnet = a_subnet(ec2, ZONES[1])
    assert said(ec2.create_default_subnet, AvailabilityZone=ZONES[1]) == (
        "DefaultSubnetAlreadyExistsInAvailabilityZone",
        f"'{subnet}' is already the default subnet in {ZONES[1]}.",
    )
    ec2.delete_subnet(SubnetId=subnet)
    again = ec2.create_default_subnet(AvailabilityZone=ZONES[1])["Subnet"]
    assert (again["CidrBlock"], again["DefaultForAz"], again["State"]) == ("172.31.16.0/20", True, "pending")
    for row in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=row["SubnetId"])
    gateway = ec2.describe_internet_gateways()["InternetGateways"][0]["InternetGatewayId"]
    assert said(ec2.delete_vpc, VpcId=vpc) == ("DependencyViolation", f"The vpc '{vpc}' has dependencies and cannot be deleted.")
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_vpc(VpcId=vpc)
    assert said(ec2.create_default_subnet, AvailabilityZone=ZONES[1]) == (
        "DefaultVpcDoesNotExist",
        "No default VPC exists for this account in this region.",
    )
    assert said(ec2.create_security_group, GroupName="a", Description="a")[0] == "VPCIdNotSpecified"
    assert ec2.describe_security_groups()["SecurityGroups"] == []
    made = ec2.create_default_vpc()["Vpc"]
    assert (made["State"], made["IsDefault"]) == ("pending", True)
    assert len(ec2.describe_subnets()["Subnets"]) == 3


# -- VPCs and subnets ---------------------------------------------------------------------------------------------------


def test_a_vpc_is_born_with_its_own_and_goes_with_them(face: Face, ec2: Any) -> None:
    before = face.everything()
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "mine"}]}]
    made = ec2.create_vpc(CidrBlock="10.7.3.1/16", TagSpecifications=tags)["Vpc"]
    assert (made["State"], made["CidrBlock"], made["IsDefault"]) == ("pending", "10.7.0.0/16", False)
    vpc = made["VpcId"]
    ec2.get_waiter("vpc_available").wait(VpcIds=[vpc])
    asked = [{"Name": "vpc-id", "Values": [vpc]}]
    assert len(ec2.describe_route_tables(Filters=asked)["RouteTables"]) == 1
    assert len(ec2.describe_network_acls(Filters=asked)["NetworkAcls"]) == 1
    assert len(ec2.describe_security_groups(Filters=asked)["SecurityGroups"]) == 1
    (found,) = ec2.describe_vpcs(Filters=[{"Name": "tag:Name", "Values": ["mine"]}])["Vpcs"]
    assert found["VpcId"] == vpc
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.1.0/24", AvailabilityZone=ZONES[2])["Subnet"]
    assert (subnet["State"], subnet["AvailableIpAddressCount"], subnet["MapPublicIpOnLaunch"]) == ("pending", 251, False)
    ec2.get_waiter("subnet_available").wait(SubnetIds=[subnet["SubnetId"]])
    assert said(ec2.delete_vpc, VpcId=vpc)[0] == "DependencyViolation"
    ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc)
    assert said(ec2.describe_subnets, SubnetIds=[subnet["SubnetId"]]) == (
        "InvalidSubnetID.NotFound",
        f"The subnet ID '{subnet['SubnetId']}' does not exist",
    )
    assert face.everything() == before


def test_vpc_attributes_one_at_a_time(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]

    def shown(attribute: str) -> bool:
        answer = ec2.describe_vpc_attribute(VpcId=vpc, Attribute=attribute)
        return bool(answer[attribute[0].upper() + attribute[1:]]["Value"])

    assert [shown(name) for name in ("enableDnsSupport", "enableDnsHostnames", "enableNetworkAddressUsageMetrics")] == [
        True,
        False,
        False,
    ]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    assert shown("enableDnsHostnames")
    assert said(ec2.modify_vpc_attribute, VpcId=vpc)[0] == "InvalidParameterCombination"
    both = {"EnableDnsSupport": {"Value": True}, "EnableDnsHostnames": {"Value": True}}
    assert said(ec2.modify_vpc_attribute, VpcId=vpc, **both) == (
        "InvalidParameterCombination",
        "Fields for multiple attribute types specified",
    )
    assert said(ec2.modify_vpc_attribute, VpcId=vpc, EnableDnsSupport={"Value": False})[0] == "InvalidParameterCombination"
    assert said(ec2.describe_vpc_attribute, VpcId=vpc, Attribute="colour")[0] == "InvalidParameterValue"


def test_blocks_of_a_vpc(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.1.0.0/16")["CidrBlockAssociation"]
    assert made["CidrBlockState"] == {"State": "associating"}
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    assert [row["DestinationCidrBlock"] for row in table["Routes"]] == ["10.0.0.0/16", "10.1.0.0/16"]
    (shown,) = ec2.describe_vpcs(Filters=[{"Name": "cidr-block-association.cidr-block", "Values": ["10.1.*"]}])["Vpcs"]
    first, second = (row["AssociationId"] for row in shown["CidrBlockAssociationSet"])
    assert said(ec2.associate_vpc_cidr_block, VpcId=vpc, CidrBlock="10.1.128.0/17")[0] == "InvalidVpc.Conflict"
    assert said(ec2.disassociate_vpc_cidr_block, AssociationId=first)[0] == "OperationNotPermitted"
    assert (
        said(ec2.disassociate_vpc_cidr_block, AssociationId="vpc-cidr-assoc-1")[0] == "InvalidVpcCidrBlockAssociationID.NotFound"
    )
    assert said(ec2.disassociate_vpc_cidr_block, AssociationId=second)[0] == "DependencyViolation"
    ec2.delete_subnet(SubnetId=subnet)
    gone = ec2.disassociate_vpc_cidr_block(AssociationId=second)["CidrBlockAssociation"]
    assert (gone["CidrBlock"], gone["CidrBlockState"]) == ("10.1.0.0/16", {"State": "disassociating"})
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    assert [row["DestinationCidrBlock"] for row in table["Routes"]] == ["10.0.0.0/16"]


@pytest.mark.parametrize(
    ("cidr", "code", "message"),
    [
        ("10.0.0.0/8", "InvalidVpc.Range", "The CIDR '10.0.0.0/8' is invalid."),
        ("10.0.0.0/29", "InvalidVpc.Range", "The CIDR '10.0.0.0/29' is invalid."),
        (
            "10.0.0.0",
            "InvalidParameterValue",
            "Value (10.0.0.0) for parameter cidrBlock is invalid. This is not a valid CIDR block.",
        ),
        ("", "MissingParameter", "The request must contain the parameter cidrBlock"),
    ],
)
def test_blocks_that_no_vpc_has(ec2: Any, cidr: str, code: str, message: str) -> None:
    assert said(ec2.create_vpc, CidrBlock=cidr) == (code, message)


def test_subnets_lie_in_their_vpc_and_apart(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/17")
    assert said(ec2.create_subnet, VpcId=vpc, CidrBlock="10.1.0.0/24") == (
        "InvalidSubnet.Range",
        "The CIDR '10.1.0.0/24' is invalid.",
    )
    assert said(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.127.0/24") == (
        "InvalidSubnet.Conflict",
        "The CIDR '10.0.127.0/24' conflicts with another subnet",
    )
    code, message = said(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.128.0/24", AvailabilityZone="us-east-1z")
    assert (code, message[:60]) == ("InvalidParameterValue", "Value (us-east-1z) for parameter availabilityZone is invalid")
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.128.0/24", AvailabilityZoneId="use1-az2")["Subnet"]
    assert made["AvailabilityZone"] == ZONES[1]


def test_subnet_attributes(ec2: Any) -> None:
    subnet = a_subnet(ec2)
    ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": False})
    ec2.modify_subnet_attribute(SubnetId=subnet, EnableResourceNameDnsARecordOnLaunch={"Value": True})
    ec2.modify_subnet_attribute(SubnetId=subnet, AssignIpv6AddressOnCreation={"Value": False})
    (shown,) = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert not shown["MapPublicIpOnLaunch"]
    assert shown["PrivateDnsNameOptionsOnLaunch"] == {
        "HostnameType": "ip-name",
        "EnableResourceNameDnsARecord": True,
        "EnableResourceNameDnsAAAARecord": False,
    }
    assert said(ec2.modify_subnet_attribute, SubnetId=subnet, EnableDns64={"Value": True})[0] == "UnsupportedOperation"


def test_dhcp_options(ec2: Any) -> None:
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]
    configuration = [
        {"Key": "domain-name", "Values": ["example.com"]},
        {"Key": "ntp-servers", "Values": ["10.0.0.9", "10.0.0.8"]},
    ]
    options = ec2.create_dhcp_options(DhcpConfigurations=configuration)["DhcpOptions"]["DhcpOptionsId"]
    ec2.associate_dhcp_options(DhcpOptionsId=options, VpcId=vpc["VpcId"])
    (shown,) = ec2.describe_dhcp_options(Filters=[{"Name": "value", "Values": ["example.*"]}])["DhcpOptions"]
    assert shown["DhcpConfigurations"] == [
        {"Key": row["Key"], "Values": [{"Value": value} for value in row["Values"]]} for row in configuration
    ]
    assert said(ec2.delete_dhcp_options, DhcpOptionsId=options) == (
        "DependencyViolation",
        f"The dhcpOptions '{options}' has dependencies and cannot be deleted.",
    )
    ec2.associate_dhcp_options(DhcpOptionsId="default", VpcId=vpc["VpcId"])
    assert ec2.describe_vpcs(VpcIds=[vpc["VpcId"]])["Vpcs"][0]["DhcpOptionsId"] == "default"
    ec2.delete_dhcp_options(DhcpOptionsId=options)
    assert said(ec2.describe_dhcp_options, DhcpOptionsIds=[options])[0] == "InvalidDhcpOptionsID.NotFound"
    for wrong in ([{"Key": "colour", "Values": ["red"]}], configuration * 2, [{"Values": ["red"]}] * 2):
        assert said(ec2.create_dhcp_options, DhcpConfigurations=wrong)[0] == "InvalidParameterValue"


# -- routes and gateways ------------------------------------------------------------------------------------------------


@pytest.fixture
def vpc(ec2: Any) -> str:
    id: str = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    return id


def test_route_tables_and_who_follows_them(ec2: Any, vpc: str) -> None:
    one, other = (ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(2))
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    first = ec2.associate_route_table(RouteTableId=one, SubnetId=subnet)
    assert first["AssociationState"] == {"State": "associated"}
    assert ec2.associate_route_table(RouteTableId=one, SubnetId=subnet)["AssociationId"] == first["AssociationId"]
    assert said(ec2.associate_route_table, RouteTableId=other, SubnetId=subnet)[0] == "Resource.AlreadyAssociated"
    assert said(ec2.delete_route_table, RouteTableId=one) == (
        "DependencyViolation",
        f"The routeTable '{one}' has dependencies and cannot be deleted.",
    )
    second = ec2.replace_route_table_association(AssociationId=first["AssociationId"], RouteTableId=other)["NewAssociationId"]
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])["RouteTables"]
    assert (table["RouteTableId"], table["Associations"][0]["RouteTableAssociationId"]) == (other, second)
    ec2.delete_route_table(RouteTableId=one)
    assert said(ec2.disassociate_route_table, AssociationId=first["AssociationId"]) == (
        "InvalidAssociationID.NotFound",
        f"The association ID '{first['AssociationId']}' does not exist",
    )
    ec2.disassociate_route_table(AssociationId=second)
    asked = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
    (main,) = ec2.describe_route_tables(Filters=asked)["RouteTables"]
    association = main["Associations"][0]["RouteTableAssociationId"]
    assert said(ec2.disassociate_route_table, AssociationId=association)[0] == "InvalidParameterValue"
    assert said(ec2.delete_route_table, RouteTableId=main["RouteTableId"])[0] == "DependencyViolation"
    ec2.replace_route_table_association(AssociationId=association, RouteTableId=other)
    assert ec2.describe_route_tables(Filters=asked)["RouteTables"][0]["RouteTableId"] == other
    ec2.delete_route_table(RouteTableId=main["RouteTableId"])
    strange = a_subnet(ec2)
    assert said(ec2.associate_route_table, RouteTableId=other, SubnetId=strange) == (
        "InvalidParameterValue",
        f"route table {other} and subnet {strange} belong to different networks",
    )


def test_routes(ec2: Any, vpc: str) -> None:
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]

    def routes() -> list[tuple[str, str, str]]:
        (shown,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
        return [
            (row["DestinationCidrBlock"], row.get("GatewayId") or row["NetworkInterfaceId"], row["State"])
            for row in shown["Routes"]
        ]

    to_gateway = {"RouteTableId": table, "DestinationCidrBlock": ANYWHERE, "GatewayId": gateway}
    assert said(ec2.create_route, **to_gateway) == (
        "InvalidParameterValue",
        f"route table {table} and network gateway {gateway} belong to different networks",
    )
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    assert ec2.create_route(**to_gateway)["Return"] is True
    assert said(ec2.create_route, **to_gateway) == ("RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists.")
    assert said(ec2.create_route, **to_gateway | {"DestinationCidrBlock": "10.0.3.0/24"})[0] == "InvalidParameterValue"
    assert said(ec2.create_route, RouteTableId=table, DestinationCidrBlock="1.0.0.0/8")[0] == "MissingParameter"
    both = {"GatewayId": gateway, "NetworkInterfaceId": "eni-1"}
    assert (
        said(ec2.create_route, RouteTableId=table, DestinationCidrBlock="1.0.0.0/8", **both)[0] == "InvalidParameterCombination"
    )
    nat = {"RouteTableId": table, "DestinationCidrBlock": "1.0.0.0/8", "NatGatewayId": "nat-1"}
    assert said(ec2.create_route, **nat)[0] == "UnsupportedOperation"
    assert routes() == [("10.0.0.0/16", "local", "active"), (ANYWHERE, gateway, "active")]
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    assert routes()[1] == (ANYWHERE, gateway, "blackhole")
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    card = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    ec2.replace_route(RouteTableId=table, DestinationCidrBlock=ANYWHERE, NetworkInterfaceId=card)
    assert routes()[1] == (ANYWHERE, card, "blackhole")
    missing = {"RouteTableId": table, "DestinationCidrBlock": "1.0.0.0/8"}
    assert said(ec2.replace_route, **missing, NetworkInterfaceId=card) == (
        "InvalidParameterValue",
        "There is no route defined for '1.0.0.0/8' in the route table. Use CreateRoute instead.",
    )
    assert said(ec2.delete_route, **missing) == (
        "InvalidRoute.NotFound",
        f"no route with destination-cidr-block 1.0.0.0/8 in route table {table}",
    )
    assert said(ec2.delete_route, RouteTableId=table, DestinationCidrBlock="10.0.0.0/16") == (
        "InvalidParameterValue",
        f"cannot remove local route 10.0.0.0/16 in route table {table}",
    )
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock=ANYWHERE)
    assert routes() == [("10.0.0.0/16", "local", "active")]
    ec2.delete_route_table(RouteTableId=table)
    assert said(ec2.describe_route_tables, RouteTableIds=[table]) == (
        "InvalidRouteTableID.NotFound",
        f"The routeTable ID '{table}' does not exist",
    )


def test_internet_gateways(ec2: Any, vpc: str) -> None:
    one, other = (ec2.create_internet_gateway()["InternetGateway"] for _ in range(2))
    assert one["Attachments"] == []
    gateway = one["InternetGatewayId"]
    assert said(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc) == (
        "Gateway.NotAttached",
        f"resource {gateway} is not attached to network {vpc}",
    )
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    assert said(ec2.attach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc) == (
        "Resource.AlreadyAssociated",
        f"resource {gateway} is already attached to network {vpc}",
    )
    assert said(ec2.attach_internet_gateway, InternetGatewayId=other["InternetGatewayId"], VpcId=vpc) == (
        "InvalidParameterValue",
        f"Network {vpc} already has an internet gateway attached",
    )
    assert said(ec2.delete_internet_gateway, InternetGatewayId=gateway) == (
        "DependencyViolation",
        f"The internetGateway '{gateway}' has dependencies and cannot be deleted.",
    )
    asked = [{"Name": "attachment.vpc-id", "Values": [vpc]}]
    assert [row["InternetGatewayId"] for row in ec2.describe_internet_gateways(Filters=asked)["InternetGateways"]] == [gateway]
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    assert said(ec2.describe_internet_gateways, InternetGatewayIds=[gateway]) == (
        "InvalidInternetGatewayID.NotFound",
        f"The internetGateway ID '{gateway}' does not exist",
    )


def test_network_acls(ec2: Any, vpc: str) -> None:
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    (default,) = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"]
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    entry = {"NetworkAclId": acl, "RuleNumber": 7, "Egress": False}
    web = entry | {"Protocol": "6", "RuleAction": "allow", "CidrBlock": ANYWHERE, "PortRange": {"From": 80, "To": 81}}
    ec2.create_network_acl_entry(**web)
    assert said(ec2.create_network_acl_entry, **web) == (
        "NetworkAclEntryAlreadyExists",
        "The network acl entry identified by 7 already exists.",
    )
    ping = {"Protocol": "icmp", "RuleAction": "deny", "CidrBlock": "10.0.0.0/8", "IcmpTypeCode": {"Type": 8, "Code": -1}}
    ec2.replace_network_acl_entry(**entry, **ping)
    (shown,) = ec2.describe_network_acls(NetworkAclIds=[acl])["NetworkAcls"]
    assert [row for row in shown["Entries"] if row["RuleNumber"] == 7] == [
        {
            "CidrBlock": "10.0.0.0/8",
            "Egress": False,
            "IcmpTypeCode": {"Code": -1, "Type": 8},
            "Protocol": "1",
            "RuleAction": "deny",
            "RuleNumber": 7,
        }
    ]
    ec2.delete_network_acl_entry(**entry)
    assert said(ec2.delete_network_acl_entry, **entry)[0] == "InvalidNetworkAclEntry.NotFound"
    assert said(ec2.delete_network_acl_entry, **entry | {"RuleNumber": 32767})[0] == "InvalidNetworkAclEntry.NotFound"
    assert said(ec2.create_network_acl_entry, **web | {"RuleNumber": 32767})[0] == "InvalidParameterValue"
    association = default["Associations"][0]["NetworkAclAssociationId"]
    ec2.replace_network_acl_association(AssociationId=association, NetworkAclId=acl)
    assert (
        said(ec2.replace_network_acl_association, AssociationId=association, NetworkAclId=acl)[0]
        == "InvalidAssociationID.NotFound"
    )
    (shown,) = ec2.describe_network_acls(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])["NetworkAcls"]
    assert shown["NetworkAclId"] == acl
    assert said(ec2.delete_network_acl, NetworkAclId=acl)[0] == "DependencyViolation"
    assert said(ec2.delete_network_acl, NetworkAclId=default["NetworkAclId"])[0] == "InvalidParameterValue"
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_network_acl(NetworkAclId=acl)
    assert said(ec2.describe_network_acls, NetworkAclIds=[acl]) == (
        "InvalidNetworkAclID.NotFound",
        f"The networkAcl ID '{acl}' does not exist",
    )


# -- security groups ----------------------------------------------------------------------------------------------------


@pytest.fixture
def group(ec2: Any) -> str:
    """A group of the default VPC, named `web`."""
    id: str = ec2.create_security_group(GroupName="web", Description="for the web")["GroupId"]
    return id


def ingress(ec2: Any, group: str) -> list[dict[str, Any]]:
    (shown,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    return list(shown["IpPermissions"])


def test_a_group_from_its_making_to_its_end(face: Face, ec2: Any) -> None:
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = ec2.create_security_group(GroupName="web", Description="for the web", TagSpecifications=tags)
    id = made["GroupId"]
    assert made["SecurityGroupArn"] == f"arn:aws:ec2:us-east-1:{face.first.account_id}:security-group/{id}"
    assert made["Tags"] == [{"Key": "a", "Value": "b"}]
    ec2.get_waiter("security_group_exists").wait(GroupIds=[id])
    (shown,) = ec2.describe_security_groups(GroupNames=["web"])["SecurityGroups"]
    assert (shown["GroupId"], shown["VpcId"], shown["IpPermissions"]) == (id, default_vpc(ec2)["VpcId"], [])
    assert [row["IpRanges"] for row in shown["IpPermissionsEgress"]] == [[{"CidrIp": ANYWHERE}]]
    assert ec2.delete_security_group(GroupName="web")["GroupId"] == id
    assert said(ec2.delete_security_group, GroupId=id) == ("InvalidGroup.NotFound", f"The security group '{id}' does not exist")


def test_what_a_group_may_be_called(ec2: Any, group: str, vpc: str) -> None:
    home = default_vpc(ec2)["VpcId"]
    make = ec2.create_security_group
    assert said(make, GroupName="web", Description="x") == (
        "InvalidGroup.Duplicate",
        f"The security group 'web' already exists for VPC '{home}'",
    )
    assert make(GroupName="web", Description="x", VpcId=vpc)["GroupId"] != group
    assert said(make, GroupName="default", Description="x")[0] == "InvalidGroup.Reserved"
    assert said(make, GroupName="default", Description="x", VpcId=vpc)[0] == "InvalidParameterValue"
    for name in ("sg-web", "wéb", "w" * 256):
        assert said(make, GroupName=name, Description="x")[0] == "InvalidParameterValue"
    assert said(make, GroupName="", Description="x")[0] == "MissingParameter"
    assert said(make, GroupName="other", Description="")[0] == "MissingParameter"
    assert said(ec2.describe_security_groups, GroupNames=["none"]) == (
        "InvalidGroup.NotFound",
        f"The security group 'none' does not exist in default VPC '{home}'",
    )


def test_what_keeps_a_group(ec2: Any, group: str, image: str) -> None:
    default = default_group(ec2, default_vpc(ec2)["VpcId"])
    assert said(ec2.delete_security_group, GroupId=default) == (
        "CannotDelete",
        f'the specified group: "{default}" name: "default" cannot be deleted by a user',
    )
    other = ec2.create_security_group(GroupName="db", Description="for data")["GroupId"]
    pair = [{"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": group}]}]
    ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=pair)
    held = ("DependencyViolation", f"resource {group} has a dependent object")
    assert said(ec2.delete_security_group, GroupId=group) == held
    ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=pair)
    card = ec2.create_network_interface(SubnetId=a_subnet(ec2), Groups=[group])["NetworkInterface"]["NetworkInterfaceId"]
    assert said(ec2.delete_security_group, GroupId=group) == held
    ec2.delete_network_interface(NetworkInterfaceId=card)
    ec2.delete_security_group(GroupId=group)


def test_groups_that_a_vpc_can_use(ec2: Any, group: str, vpc: str) -> None:
    """Its own, and none is stale: what a rule names cannot go."""
    (default,) = ec2.get_security_groups_for_vpc(VpcId=vpc)["SecurityGroupForVpcs"]
    assert (default["GroupId"], default["PrimaryVpcId"]) == (default_group(ec2, vpc), vpc)
    home = default_vpc(ec2)["VpcId"]
    found = ec2.get_security_groups_for_vpc(VpcId=home, Filters=[{"Name": "group-id", "Values": [group]}])
    assert [row["GroupName"] for row in found["SecurityGroupForVpcs"]] == ["web"]
    assert ec2.describe_stale_security_groups(VpcId=home)["StaleSecurityGroupSet"] == []


def test_rules_are_shown_together_and_one_by_one(face: Face, ec2: Any, group: str) -> None:
    wanted = [
        permission("10.1.2.3/8", 53, "udp", Description="inside"),
        {
            "IpProtocol": "6",
            "FromPort": 80,
            "ToPort": 90,
            "UserIdGroupPairs": [{"GroupName": "web", "UserId": face.first.account_id}],
        },
        {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "Ipv6Ranges": [{"CidrIpv6": "2001:DB8::1/32"}]},
        {"IpProtocol": "-1", "FromPort": 5, "ToPort": 6, "IpRanges": [{"CidrIp": "192.168.0.0/16"}]},
    ]
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "a", "Value": "b"}]}]
    answer = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=wanted, TagSpecifications=tags)
    assert answer["Return"] is True
    assert {rule["Tags"][0]["Key"] for rule in answer["SecurityGroupRules"]} == {"a"}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission("10.9.0.0/16", 53, "udp")])
    empty: dict[str, Any] = {"IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
    assert ingress(ec2, group) == [
        empty
        | {
            "IpProtocol": "udp",
            "FromPort": 53,
            "ToPort": 53,
            "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "inside"}, {"CidrIp": "10.9.0.0/16"}],
        },
        empty
        | {
            "IpProtocol": "tcp",
            "FromPort": 80,
            "ToPort": 90,
            "UserIdGroupPairs": [{"GroupId": group, "UserId": face.first.account_id}],
        },
        empty | {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}]},
        empty | {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "192.168.0.0/16"}]},
    ]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    assert len(rules) == 6 and all(re.fullmatch(r"sgr-0[0-9a-f]{16}", rule["SecurityGroupRuleId"]) for rule in rules)
    assert [(row["IsEgress"], row["IpProtocol"], row["FromPort"]) for row in rules][:3] == [
        (True, "-1", -1),
        (False, "udp", 53),
        (False, "tcp", 80),
    ]
    assert rules[2]["ReferencedGroupInfo"] == {"GroupId": group, "UserId": face.first.account_id}
    assert said(ec2.describe_security_group_rules, SecurityGroupRuleIds=["sgr-0"])[0] == "InvalidSecurityGroupRuleId.NotFound"
    for name, value in (
        ("ip-permission.cidr", "10.9.*"),
        ("ip-permission.protocol", "icmp"),
        ("ip-permission.to-port", "90"),
        ("egress.ip-permission.cidr", ANYWHERE),
    ):
        found = ec2.describe_security_groups(Filters=[{"Name": name, "Values": [value]}])["SecurityGroups"]
        assert group in {row["GroupId"] for row in found}, name


def test_rules_in_the_old_form(face: Face, ec2: Any, group: str) -> None:
    flat = {"GroupName": "web", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": ANYWHERE}
    ec2.authorize_security_group_ingress(**flat)
    source = {"GroupName": "web", "SourceSecurityGroupName": "web", "SourceSecurityGroupOwnerId": face.first.account_id}
    ec2.authorize_security_group_ingress(**source)
    # Old tools send the block that stands for everyone beside a source group; it must open nothing.
    ec2.authorize_security_group_ingress(**source, IpProtocol="tcp", FromPort=1, ToPort=65535, CidrIp=ANYWHERE)
    shown = ingress(ec2, group)
    assert [(row["IpProtocol"], row["FromPort"], row["ToPort"], bool(row["IpRanges"])) for row in shown] == [
        ("tcp", 22, 22, True),
        ("tcp", 0, 65535, False),
        ("udp", 0, 65535, False),
        ("icmp", -1, -1, False),
        ("tcp", 1, 65535, False),
    ]
    old = face.ask("DescribeSecurityGroups", version="2010-08-31", GroupName__1="web")
    assert "<groupName>web</groupName></item></groups>" in old.text
    for gone in (flat, source, source | {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 65535}):
        ec2.revoke_security_group_ingress(**gone)
    assert ingress(ec2, group) == []


def test_rules_are_revoked_by_value_or_by_id(ec2: Any, group: str, vpc: str) -> None:
    ids = [
        row["SecurityGroupRuleId"]
        for row in ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission(port=1), permission(port=2)])[
            "SecurityGroupRules"
        ]
    ]
    answer = ec2.revoke_security_group_ingress(
        GroupId=group, IpPermissions=[permission(port=1, Description="other"), permission(port=9)]
    )
    assert [row["SecurityGroupRuleId"] for row in answer["RevokedSecurityGroupRules"]] == ids[:1]
    assert [row["FromPort"] for row in answer["UnknownIpPermissions"]] == [9], "in a default VPC what is not there is told"
    assert (
        said(ec2.revoke_security_group_egress, GroupId=group, SecurityGroupRuleIds=ids[1:])[0]
        == "InvalidSecurityGroupRuleId.NotFound"
    )
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=ids[1:])
    assert ingress(ec2, group) == []
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANYWHERE}]}])
    ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[permission()])
    assert [
        row["FromPort"] for row in ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissionsEgress"]
    ] == [22]
    elsewhere = ec2.create_security_group(GroupName="web", Description="x", VpcId=vpc)["GroupId"]
    assert said(ec2.revoke_security_group_ingress, GroupId=elsewhere, IpPermissions=[permission()]) == (
        "InvalidPermission.NotFound",
        "The specified rule does not exist in this security group.",
    )


def test_rules_are_changed(ec2: Any, group: str) -> None:
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission(port=1), permission(port=2)])
    one, two = (row["SecurityGroupRuleId"] for row in made["SecurityGroupRules"])

    def change(id: str, **rule: Any) -> dict[str, Any]:
        return {"GroupId": group, "SecurityGroupRules": [{"SecurityGroupRuleId": id, "SecurityGroupRule": rule}]}

    ec2.modify_security_group_rules(**change(one, IpProtocol="udp", FromPort=3, ToPort=4, CidrIpv4="10.0.0.0/8", Description="d"))
    (shown,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[one])["SecurityGroupRules"]
    assert (shown["IpProtocol"], shown["FromPort"], shown["CidrIpv4"], shown["Description"]) == ("udp", 3, "10.0.0.0/8", "d")
    same = {"IpProtocol": "tcp", "FromPort": 2, "ToPort": 2}
    assert said(ec2.modify_security_group_rules, **change(one, **same, CidrIpv4=ANYWHERE))[0] == "InvalidPermission.Duplicate"
    assert said(ec2.modify_security_group_rules, **change(two, **same, ReferencedGroupId=group))[0] == "InvalidParameterValue"
    ec2.update_security_group_rule_descriptions_ingress(GroupId=group, IpPermissions=[permission(port=2, Description="by value")])
    ec2.update_security_group_rule_descriptions_ingress(
        GroupId=group, SecurityGroupRuleDescriptions=[{"SecurityGroupRuleId": one}]
    )
    rules = ec2.describe_security_group_rules(SecurityGroupRuleIds=[one, two])["SecurityGroupRules"]
    assert [row.get("Description") for row in rules] == [None, "by value"]
    absent = {"GroupId": group, "IpPermissions": [permission(port=77)]}
    assert said(ec2.update_security_group_rule_descriptions_ingress, **absent)[0] == "InvalidPermission.NotFound"


BAD_RULES: list[tuple[dict[str, Any], str, str]] = [
    (permission("10.0.0.0"), "InvalidParameterValue", "CIDR block 10.0.0.0 is malformed"),
    (permission("10.0.0.0/33"), "InvalidParameterValue", "CIDR block 10.0.0.0/33 is malformed"),
    (permission(port=70000), "InvalidParameterValue", "TCP/UDP port (70000) out of range"),
    (permission() | {"ToPort": 21}, "InvalidParameterValue", "Invalid TCP/UDP port range (22:21)"),
    (permission(protocol="foo"), "InvalidParameterValue", "Invalid value 'foo' for IP protocol. Unknown protocol."),
    (permission(protocol="icmp", port=300), "InvalidParameterValue", "ICMP type or code (300) out of range"),
    (
        {"IpProtocol": "tcp", "IpRanges": [{"CidrIp": ANYWHERE}]},
        "InvalidParameterValue",
        "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.",
    ),
    (
        {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1},
        "InvalidPermission.Malformed",
        "A rule must name a source or a destination.",
    ),
    (
        {"FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": ANYWHERE}]},
        "MissingParameter",
        "The request must contain the parameter ipProtocol",
    ),
    ({"IpProtocol": "-1", "UserIdGroupPairs": [{"UserId": "123456789012"}]}, "MissingParameter", "Source group ID missing."),
    (
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-0"}]},
        "InvalidGroup.NotFound",
        "The security group 'sg-0' does not exist",
    ),
    (
        {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "group"}]},
        "InvalidGroupId.Malformed",
        'Invalid id: "group" (expecting "sg-...")',
    ),
    (
        {"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": "pl-1"}]},
        "InvalidPrefixListID.NotFound",
        "The prefix list ID 'pl-1' does not exist",
    ),
    (
        permission(Description="d" * 256),
        "InvalidParameterValue",
        "Invalid rule description. Valid descriptions are strings less than 255 characters.",
    ),
]


@pytest.mark.parametrize(("rule", "code", "message"), BAD_RULES)
def test_rules_that_cannot_be(ec2: Any, group: str, rule: dict[str, Any], code: str, message: str) -> None:
    assert said(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission(port=9), rule]) == (code, message)
    assert ingress(ec2, group) == [], "all or none"


def test_a_rule_is_there_once(ec2: Any, group: str, vpc: str) -> None:
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission()])
    assert said(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission(Description="again")]) == (
        "InvalidPermission.Duplicate",
        'the specified rule "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW" already exists',
    )
    assert said(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[permission(port=1), permission(port=1)]) == (
        "InvalidParameterValue",
        "The same permission must not appear multiple times",
    )
    assert said(ec2.authorize_security_group_ingress, GroupId=group) == (
        "MissingParameter",
        "The request must contain the parameter ipPermissions",
    )
    assert said(ec2.authorize_security_group_ingress, IpPermissions=[permission()])[0] == "MissingParameter"
    both = {"IpPermissions": [permission()], "CidrIp": ANYWHERE}
    assert said(ec2.authorize_security_group_ingress, GroupId=group, **both)[0] == "InvalidParameterCombination"
    many = [permission(port=port) for port in range(100, 160)]
    assert (
        said(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=many)[0] == "RulesPerSecurityGroupLimitExceeded"
    )
    elsewhere = ec2.create_security_group(GroupName="web", Description="x", VpcId=vpc)["GroupId"]
    apart = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": elsewhere}]}
    assert said(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[apart]) == (
        "InvalidGroup.NotFound",
        "You have specified two resources that belong to different networks.",
    )


# -- interfaces ---------------------------------------------------------------------------------------------------------


def test_an_interface_of_its_own(face: Face, ec2: Any, group: str) -> None:
    subnet = a_subnet(ec2)
    tags = [{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = ec2.create_network_interface(
        SubnetId=subnet,
        Description="second",
        PrivateIpAddress="172.31.0.9",
        Groups=[group],
        TagSpecifications=tags,
    )["NetworkInterface"]
    assert made["Status"] == "pending" and "Attachment" not in made
    id = made["NetworkInterfaceId"]
    ec2.get_waiter("network_interface_available").wait(NetworkInterfaceIds=[id])
    shown = interface(ec2, id)
    assert re.fullmatch("02(:[0-9a-f]{2}){5}", shown["MacAddress"])
    assert (shown["PrivateIpAddress"], shown["PrivateDnsName"]) == ("172.31.0.9", "ip-172-31-0-9.ec2.internal")
    assert shown["PrivateIpAddresses"] == [
        {"Primary": True, "PrivateDnsName": "ip-172-31-0-9.ec2.internal", "PrivateIpAddress": "172.31.0.9"}
    ]
    assert shown["Groups"] == [{"GroupId": group, "GroupName": "web"}]
    assert (shown["TagSet"], shown["SourceDestCheck"], shown["InterfaceType"]) == (
        [{"Key": "a", "Value": "b"}],
        True,
        "interface",
    )
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"] == 4090
    for name, value in (
        ("private-ip-address", "172.31.0.9"),
        ("group-id", group),
        ("status", "available"),
        ("mac-address", shown["MacAddress"]),
        ("description", "sec*"),
    ):
        found = ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": [value]}])["NetworkInterfaces"]
        assert [row["NetworkInterfaceId"] for row in found] == [id], name
    assert said(ec2.delete_subnet, SubnetId=subnet) == (
        "DependencyViolation",
        f"The subnet '{subnet}' has dependencies and cannot be deleted.",
    )
    ec2.delete_network_interface(NetworkInterfaceId=id)
    assert said(ec2.delete_network_interface, NetworkInterfaceId=id) == (
        "InvalidNetworkInterfaceID.NotFound",
        f"The networkInterface ID '{id}' does not exist",
    )


def test_addresses_that_an_interface_cannot_have(ec2: Any, vpc: str) -> None:
    subnet = a_subnet(ec2)
    make = ec2.create_network_interface
    make(SubnetId=subnet, PrivateIpAddress="172.31.0.9")
    assert said(make, SubnetId=subnet, PrivateIpAddress="172.31.0.9") == (
        "InvalidIPAddress.InUse",
        "Address 172.31.0.9 is in use.",
    )
    for address in ("172.31.16.9", "172.31.0.3", "172.31.15.255"):
        assert said(make, SubnetId=subnet, PrivateIpAddress=address) == (
            "InvalidParameterValue",
            f"Address {address} does not fall within the subnet's address range",
        )
    assert said(make, SubnetId=subnet, PrivateIpAddress="here")[0] == "InvalidParameterValue"
    two = [{"PrivateIpAddress": f"172.31.0.{n}", "Primary": True} for n in (20, 21)]
    assert said(make, SubnetId=subnet, PrivateIpAddresses=two)[0] == "InvalidParameterCombination"
    assert said(make, SubnetId=subnet, Ipv6AddressCount=1)[0] == "UnsupportedOperation"
    small = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/28")["Subnet"]["SubnetId"]
    got = {make(SubnetId=small)["NetworkInterface"]["PrivateIpAddress"] for _ in range(11)}
    assert got == {f"10.0.0.{n}" for n in range(4, 15)}
    assert said(make, SubnetId=small)[0] == "InsufficientFreeAddressesInSubnet"
    group = default_group(ec2, default_vpc(ec2)["VpcId"])
    assert said(make, SubnetId=small, Groups=[group]) == (
        "InvalidParameter",
        f"Security group {group} and subnet {small} belong to different networks.",
    )


def test_secondary_addresses(ec2: Any) -> None:
    subnet = a_subnet(ec2)
    listed = [{"PrivateIpAddress": "172.31.0.9", "Primary": True}, {"PrivateIpAddress": "172.31.0.10", "Primary": False}]
    one = ec2.create_network_interface(SubnetId=subnet, PrivateIpAddresses=listed)["NetworkInterface"]["NetworkInterfaceId"]
    two = ec2.create_network_interface(SubnetId=subnet, SecondaryPrivateIpAddressCount=2)["NetworkInterface"]

    def addresses(id: str) -> list[tuple[str, bool]]:
        return [(row["PrivateIpAddress"], row["Primary"]) for row in interface(ec2, id)["PrivateIpAddresses"]]

    assert addresses(one) == [("172.31.0.9", True), ("172.31.0.10", False)]
    assert [primary for _, primary in addresses(two["NetworkInterfaceId"])] == [True, False, False]
    given = ec2.assign_private_ip_addresses(NetworkInterfaceId=one, PrivateIpAddresses=["172.31.0.11"])
    assert given["AssignedPrivateIpAddresses"] == [{"PrivateIpAddress": "172.31.0.11"}]
    assert (
        len(
            ec2.assign_private_ip_addresses(NetworkInterfaceId=one, SecondaryPrivateIpAddressCount=3)[
                "AssignedPrivateIpAddresses"
            ]
        )
        == 3
    )
    move = {"NetworkInterfaceId": two["NetworkInterfaceId"], "PrivateIpAddresses": ["172.31.0.10"]}
    assert said(ec2.assign_private_ip_addresses, **move) == (
        "InvalidParameterValue",
        "[172.31.0.10] assigned, but move is not allowed.",
    )
    ec2.assign_private_ip_addresses(**move, AllowReassignment=True)
    assert ("172.31.0.10", False) in addresses(two["NetworkInterfaceId"]) and ("172.31.0.10", False) not in addresses(one)
    primary = move | {"PrivateIpAddresses": ["172.31.0.9"], "AllowReassignment": True}
    assert said(ec2.assign_private_ip_addresses, **primary)[0] == "InvalidParameterValue"
    assert said(ec2.assign_private_ip_addresses, NetworkInterfaceId=one)[0] == "MissingParameter"
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=one, PrivateIpAddresses=["172.31.0.11"])
    assert said(ec2.unassign_private_ip_addresses, NetworkInterfaceId=one, PrivateIpAddresses=["172.31.0.11"]) == (
        "InvalidParameterValue",
        f"Some of [172.31.0.11] addresses are not assigned to interface {one}",
    )
    assert (
        said(ec2.unassign_private_ip_addresses, NetworkInterfaceId=one, PrivateIpAddresses=["172.31.0.9"])[0]
        == "InvalidParameterValue"
    )
    assert (
        said(ec2.assign_private_ip_addresses, NetworkInterfaceId=one, SecondaryPrivateIpAddressCount=60)[0]
        == "PrivateIpAddressLimitExceeded"
    )
    for count, code in (
        (-1, "InvalidParameterValue"), (-2, "InvalidParameterValue"), (50, "PrivateIpAddressLimitExceeded"),
        (2**31 - 1, "PrivateIpAddressLimitExceeded"),
    ):  # fmt: skip
        many = {"SecondaryPrivateIpAddressCount": count}
        assert said(ec2.create_network_interface, SubnetId=subnet, **many)[0] == code, count
        assert said(ec2.assign_private_ip_addresses, NetworkInterfaceId=one, **many)[0] == code, count


def test_interface_attributes(ec2: Any, group: str) -> None:
    id = ec2.create_network_interface(SubnetId=a_subnet(ec2))["NetworkInterface"]["NetworkInterfaceId"]
    modify, shown = ec2.modify_network_interface_attribute, ec2.describe_network_interface_attribute
    modify(NetworkInterfaceId=id, Description={"Value": "new"})
    modify(NetworkInterfaceId=id, SourceDestCheck={"Value": False})
    modify(NetworkInterfaceId=id, Groups=[group])
    assert shown(NetworkInterfaceId=id, Attribute="description")["Description"] == {"Value": "new"}
    assert shown(NetworkInterfaceId=id, Attribute="sourceDestCheck")["SourceDestCheck"] == {"Value": False}
    assert shown(NetworkInterfaceId=id, Attribute="groupSet")["Groups"] == [{"GroupId": group, "GroupName": "web"}]
    assert shown(NetworkInterfaceId=id, Attribute="attachment").get("Attachment", {}) == {}
    ec2.reset_network_interface_attribute(NetworkInterfaceId=id, SourceDestCheck="true")
    assert said(shown, NetworkInterfaceId=id) == ("InvalidParameterCombination", "No attributes specified.")
    assert said(shown, NetworkInterfaceId=id, Attribute="colour")[0] == "InvalidParameterValue"
    assert said(modify, NetworkInterfaceId=id) == ("InvalidParameterCombination", "No attributes specified.")
    two = {"Description": {"Value": "x"}, "SourceDestCheck": {"Value": True}}
    assert said(modify, NetworkInterfaceId=id, **two) == (
        "InvalidParameterCombination",
        "Fields for multiple attribute types specified",
    )
    change = {"AttachmentId": "eni-attach-0123456789abcdef0", "DeleteOnTermination": True}
    assert said(modify, NetworkInterfaceId=id, Attachment=change) == (
        "InvalidAttachmentID.NotFound",
        "The network interface attachment 'eni-attach-0123456789abcdef0' does not exist.",
    )
    assert said(modify, NetworkInterfaceId=id, Attachment={"AttachmentId": "eni-attach-1"})[0] == "MissingParameter"
    six = [ec2.create_security_group(GroupName=f"g{n}", Description="x")["GroupId"] for n in range(6)]
    assert said(modify, NetworkInterfaceId=id, Groups=six)[0] == "SecurityGroupsPerInterfaceLimitExceeded"


# -- instances ----------------------------------------------------------------------------------------------------------


def test_an_instance_has_an_interface_from_the_first_moment(face: Face, ec2: Any, image: str) -> None:
    made = launch(ec2, image)
    (card,) = made["NetworkInterfaces"]
    assert made["Placement"]["AvailabilityZone"] == ZONES[0]
    assert (made["SubnetId"], made["VpcId"]) == (a_subnet(ec2), default_vpc(ec2)["VpcId"])
    address = made["PrivateIpAddress"]
    assert made["PrivateDnsName"] == f"ip-{address.replace('.', '-')}.ec2.internal"
    assert (made["PublicDnsName"], made["SourceDestCheck"]) == ("", True)
    assert made["SecurityGroups"] == card["Groups"] == [{"GroupId": default_group(ec2, made["VpcId"]), "GroupName": "default"}]
    assert (card["Status"], card["PrivateIpAddress"], card["OwnerId"]) == ("in-use", address, face.first.account_id)
    attachment = card["Attachment"]
    assert (attachment["Status"], attachment["DeviceIndex"], attachment["DeleteOnTermination"]) == ("attaching", 0, True)
    bring_up(face, made["InstanceId"])
    shown = describe(ec2, made["InstanceId"])
    assert shown["NetworkInterfaces"] == [card | {"Attachment": attachment | {"Status": "attached"}}]
    apart = interface(ec2, card["NetworkInterfaceId"])
    assert apart["Attachment"] == shown["NetworkInterfaces"][0]["Attachment"] | {
        "InstanceId": made["InstanceId"],
        "InstanceOwnerId": face.first.account_id,
    }
    for name, value in (
        ("private-ip-address", address),
        ("vpc-id", made["VpcId"]),
        ("subnet-id", made["SubnetId"]),
        ("network-interface.network-interface-id", card["NetworkInterfaceId"]),
        ("instance.group-name", "default"),
    ):
        found = ec2.describe_instances(Filters=[{"Name": name, "Values": [value]}])["Reservations"]
        assert found[0]["Instances"][0]["InstanceId"] == made["InstanceId"], name
    end(face, ec2, made["InstanceId"])
    gone = describe(ec2, made["InstanceId"])
    assert (gone["NetworkInterfaces"], gone["SecurityGroups"], gone["PrivateDnsName"], gone["PublicDnsName"]) == ([], [], "", "")
    assert not {"SubnetId", "VpcId", "PrivateIpAddress", "PublicIpAddress"} & gone.keys()
    assert (
        said(ec2.describe_network_interfaces, NetworkInterfaceIds=[card["NetworkInterfaceId"]])[0]
        == "InvalidNetworkInterfaceID.NotFound"
    )


def test_a_launch_says_where_and_with_which_groups(ec2: Any, image: str, group: str, vpc: str) -> None:
    named = launch(ec2, image, SecurityGroups=["web"], Placement={"AvailabilityZone": ZONES[1]})
    assert ([row["GroupId"] for row in named["SecurityGroups"]], named["SubnetId"]) == ([group], a_subnet(ec2, ZONES[1]))
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone=ZONES[2])["Subnet"]["SubnetId"]
    made = launch(ec2, image, SubnetId=subnet, PrivateIpAddress="10.0.0.77")
    assert (made["Placement"]["AvailabilityZone"], made["VpcId"], made["PrivateIpAddress"]) == (ZONES[2], vpc, "10.0.0.77")
    assert "PrivateDnsName" in made and made["NetworkInterfaces"][0].get("PrivateDnsName") is None, "no host names in this VPC"
    tags = [{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}]
    cards = [
        {"DeviceIndex": 1, "SubnetId": a_subnet(ec2), "Description": "second", "DeleteOnTermination": False},
        {"DeviceIndex": 0, "SubnetId": a_subnet(ec2), "Groups": [group], "SecondaryPrivateIpAddressCount": 1},
    ]
    made = launch(ec2, image, NetworkInterfaces=cards, TagSpecifications=tags)
    shown = made["NetworkInterfaces"]
    assert [(row["Attachment"]["DeviceIndex"], row["Attachment"]["DeleteOnTermination"]) for row in shown] == [
        (0, True),
        (1, False),
    ]
    assert [len(row["PrivateIpAddresses"]) for row in shown] == [2, 1]
    assert made["SecurityGroups"] == [{"GroupId": group, "GroupName": "web"}]
    assert interface(ec2, shown[1]["NetworkInterfaceId"])["TagSet"] == [{"Key": "a", "Value": "b"}]
    groups = [group, default_group(ec2, made["VpcId"])]
    for given in (groups, groups[::-1]):
        made = launch(ec2, image, SecurityGroupIds=given)
        shown = describe(ec2, made["InstanceId"])
        assert made["SecurityGroups"] == shown["SecurityGroups"] == made["NetworkInterfaces"][0]["Groups"]
        assert {row["GroupId"] for row in shown["SecurityGroups"]} == set(groups)
    several = ec2.run_instances(ImageId=image, InstanceType="t3.small", MinCount=3, MaxCount=3)["Instances"]
    assert len({row["PrivateIpAddress"] for row in several}) == 3


def test_launches_that_cannot_be(face: Face, ec2: Any, image: str, group: str, vpc: str) -> None:
    subnet = a_subnet(ec2)
    far = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    card = [{"DeviceIndex": 0, "SubnetId": subnet}]
    both = "Network interfaces and an instance-level subnet ID may not be specified on the same request"
    held = launch(ec2, image)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    away = ec2.create_network_interface(SubnetId=a_subnet(ec2, ZONES[1]))["NetworkInterface"]["NetworkInterfaceId"]
    before = face.everything()
    for wish, code, message in (
        ({"NetworkInterfaces": card, "SubnetId": subnet}, "InvalidParameterCombination", both),
        (
            {"NetworkInterfaces": card, "SecurityGroupIds": [group]},
            "InvalidParameterCombination",
            both.replace("an instance-level subnet ID", "instance-level security groups"),
        ),
        (
            {"NetworkInterfaces": [{"SubnetId": subnet}]},
            "InvalidParameterValue",
            "Each network interface requires a device index.",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 1, "SubnetId": subnet}]},
            "InvalidParameterValue",
            "A network interface must be specified at device index 0.",
        ),
        (
            {"NetworkInterfaces": [*card, {"DeviceIndex": 256, "SubnetId": subnet}]},
            "InvalidParameterValue",
            "Value (256) for parameter deviceIndex is invalid. It must be between 0 and 255.",
        ),
        (
            {"NetworkInterfaces": [*card, *card]},
            "InvalidParameterValue",
            "Each network interface requires a unique device index.",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": n, "SubnetId": subnet} for n in range(4)]},
            "AttachmentLimitExceeded",
            "Interface count 4 exceeds the limit for t3.small",
        ),
        (
            {"NetworkInterfaces": [card[0] | {"SecondaryPrivateIpAddressCount": 40}]},
            "PrivateIpAddressLimitExceeded",
            "Number of private addresses will exceed limit.",
        ),
        (
            {"NetworkInterfaces": [card[0] | {"SecondaryPrivateIpAddressCount": -1}]},
            "InvalidParameterValue",
            "Value (-1) for parameter secondaryPrivateIpAddressCount is invalid. It must not be negative.",
        ),
        (
            {"NetworkInterfaces": [*card, {"DeviceIndex": 1, "NetworkInterfaceId": away}]},
            "InvalidParameterCombination",
            "You may not attach a network interface to an instance if they are not in the same availability zone",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": held}]},
            "InvalidNetworkInterface.InUse",
            f"Interface: [{held}] in use.",
        ),
        (
            {"NetworkInterfaces": [{"DeviceIndex": 0, "NetworkInterfaceId": away, "SubnetId": subnet}]},
            "InvalidParameterCombination",
            None,
        ),
        ({"SubnetId": subnet, "Placement": {"AvailabilityZone": ZONES[1]}}, "InvalidParameterValue", None),
        ({"SubnetId": "subnet-0"}, "InvalidSubnetID.NotFound", "The subnet ID 'subnet-0' does not exist"),
        (
            {"SubnetId": far, "SecurityGroups": ["web"]},
            "InvalidParameterCombination",
            "The parameter groupName cannot be used with the parameter subnet",
        ),
        (
            {"SubnetId": far, "SecurityGroupIds": [group]},
            "InvalidParameter",
            f"Security group {group} and subnet {far} belong to different networks.",
        ),
        ({"SecurityGroupIds": ["sg-0"]}, "InvalidGroup.NotFound", "The security group 'sg-0' does not exist"),
        (
            {"PrivateIpAddress": "10.9.9.9"},
            "InvalidParameterValue",
            "Address 10.9.9.9 does not fall within the subnet's address range",
        ),
        ({"PrivateIpAddress": "172.31.0.9", "MaxCount": 2}, "InvalidParameterCombination", None),
        ({"Ipv6AddressCount": 1}, "UnsupportedOperation", None),
    ):
        found = said(ec2.run_instances, **{"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1} | wish)
        assert found == (code, message or found[1]), wish
    assert face.everything() == before


def test_no_network_to_launch_into(ec2: Any, image: str) -> None:
    ec2.delete_subnet(SubnetId=a_subnet(ec2))
    wish = {"ImageId": image, "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1}
    assert said(ec2.run_instances, **wish, Placement={"AvailabilityZone": ZONES[0]}) == (
        "InvalidParameterValue",
        f"No default subnet for availability zone: '{ZONES[0]}'.",
    )
    for zone in ZONES[1:]:
        ec2.delete_subnet(SubnetId=a_subnet(ec2, zone))
    vpc = default_vpc(ec2)["VpcId"]
    assert said(ec2.run_instances, **wish) == (
        "MissingInput",
        f"No subnets found for the default VPC '{vpc}'. Please specify a subnet.",
    )
    gateway = ec2.describe_internet_gateways()["InternetGateways"][0]["InternetGatewayId"]
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_vpc(VpcId=vpc)
    assert said(ec2.run_instances, **wish) == (
        "VPCIdNotSpecified",
        "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.",
    )


def test_an_interface_comes_and_goes(face: Face, ec2: Any, image: str) -> None:
    id = bring_up(face, launch(ec2, image)["InstanceId"])
    card = ec2.create_network_interface(SubnetId=a_subnet(ec2))["NetworkInterface"]["NetworkInterfaceId"]
    at = {"NetworkInterfaceId": card, "InstanceId": id}
    assert said(ec2.attach_network_interface, **at, DeviceIndex=0) == (
        "InvalidParameterValue",
        f"Instance '{id}' already has an interface attached at device index '0'.",
    )
    attachment = ec2.attach_network_interface(**at, DeviceIndex=1)["AttachmentId"]
    assert attachment.startswith("eni-attach-0")
    assert interface(ec2, card)["Status"] == "in-use"
    assert [row["Attachment"]["DeviceIndex"] for row in describe(ec2, id)["NetworkInterfaces"]] == [0, 1]
    assert said(ec2.attach_network_interface, **at, DeviceIndex=2) == (
        "InvalidNetworkInterface.InUse",
        f"Interface: [{card}] in use.",
    )
    assert said(ec2.delete_network_interface, NetworkInterfaceId=card) == (
        "InvalidParameterValue",
        f"Network interface '{card}' is currently in use.",
    )
    with_two = {"InstanceId": id, "Attribute": "groupSet"}
    many = f"There are multiple interfaces attached to instance '{id}'. Please specify an interface ID for the operation instead."
    assert said(ec2.describe_instance_attribute, **with_two) == ("InvalidInstanceID", many)
    assert said(ec2.modify_instance_attribute, InstanceId=id, SourceDestCheck={"Value": False}) == ("InvalidInstanceID", many)
    keep = {"AttachmentId": attachment, "DeleteOnTermination": True}
    ec2.modify_network_interface_attribute(NetworkInterfaceId=card, Attachment=keep)
    assert interface(ec2, card)["Attachment"]["DeleteOnTermination"] is True
    away = ec2.create_network_interface(SubnetId=a_subnet(ec2, ZONES[1]))["NetworkInterface"]["NetworkInterfaceId"]
    assert (
        said(ec2.attach_network_interface, NetworkInterfaceId=away, InstanceId=id, DeviceIndex=2)[0]
        == "InvalidParameterCombination"
    )
    third, fourth = (
        ec2.create_network_interface(SubnetId=a_subnet(ec2))["NetworkInterface"]["NetworkInterfaceId"] for _ in range(2)
    )
    ec2.attach_network_interface(NetworkInterfaceId=third, InstanceId=id, DeviceIndex=2)
    assert said(ec2.attach_network_interface, NetworkInterfaceId=fourth, InstanceId=id, DeviceIndex=3) == (
        "AttachmentLimitExceeded",
        "Interface count 4 exceeds the limit for t3.small",
    )
    first = next(row for row in describe(ec2, id)["NetworkInterfaces"] if row["Attachment"]["DeviceIndex"] == 0)
    assert said(ec2.detach_network_interface, AttachmentId=first["Attachment"]["AttachmentId"])[0] == "OperationNotPermitted"
    ec2.detach_network_interface(AttachmentId=interface(ec2, third)["Attachment"]["AttachmentId"])
    assert interface(ec2, third)["Status"] == "available"
    assert said(ec2.detach_network_interface, AttachmentId="eni-attach-0")[0] == "InvalidAttachmentID.NotFound"
    ec2.attach_network_interface(NetworkInterfaceId=third, InstanceId=id, DeviceIndex=2)
    end(face, ec2, id)
    assert interface(ec2, third)["Status"] == "available", "attached by the user: it stays"
    assert said(ec2.describe_network_interfaces, NetworkInterfaceIds=[card])[0] == "InvalidNetworkInterfaceID.NotFound"
    assert said(ec2.attach_network_interface, **at | {"NetworkInterfaceId": third}, DeviceIndex=1)[0] == "IncorrectState"


def test_instance_attributes_that_are_its_interfaces(face: Face, ec2: Any, image: str, group: str) -> None:
    id = launch(ec2, image)["InstanceId"]
    ec2.modify_instance_attribute(InstanceId=id, Groups=[group])
    assert describe(ec2, id)["SecurityGroups"] == [{"GroupId": group, "GroupName": "web"}]
    assert ec2.describe_instance_attribute(InstanceId=id, Attribute="groupSet")["Groups"] == [
        {"GroupId": group, "GroupName": "web"}
    ]
    ec2.modify_instance_attribute(InstanceId=id, SourceDestCheck={"Value": False})
    assert describe(ec2, id)["SourceDestCheck"] is False
    assert ec2.describe_instance_attribute(InstanceId=id, Attribute="sourceDestCheck")["SourceDestCheck"] == {"Value": False}
    ec2.reset_instance_attribute(InstanceId=id, Attribute="sourceDestCheck")
    assert describe(ec2, id)["SourceDestCheck"] is True
    assert said(ec2.modify_instance_attribute, InstanceId=id, Groups=["sg-0"])[0] == "InvalidGroup.NotFound"
    found = ec2.describe_instances(Filters=[{"Name": "instance.group-id", "Values": [group]}])["Reservations"]
    assert found[0]["Instances"][0]["InstanceId"] == id


def test_a_route_to_an_instance(face: Face, ec2: Any, image: str) -> None:
    made = launch(ec2, image)
    (main,) = ec2.describe_route_tables()["RouteTables"]
    ec2.create_route(RouteTableId=main["RouteTableId"], DestinationCidrBlock="10.0.0.0/8", InstanceId=made["InstanceId"])

    def route() -> dict[str, Any]:
        rows = ec2.describe_route_tables()["RouteTables"][0]["Routes"]
        return next(row for row in rows if row["DestinationCidrBlock"] == "10.0.0.0/8")

    card = made["NetworkInterfaces"][0]["NetworkInterfaceId"]
    assert (route()["InstanceId"], route()["NetworkInterfaceId"], route()["State"]) == (made["InstanceId"], card, "active")
    end(face, ec2, made["InstanceId"])
    assert (route()["NetworkInterfaceId"], route()["State"]) == (card, "blackhole")


# -- elastic addresses --------------------------------------------------------------------------------------------------


def test_an_elastic_address(face: Face, ec2: Any, image: str) -> None:
    tags = [{"ResourceType": "elastic-ip", "Tags": [{"Key": "a", "Value": "b"}]}]
    made = ec2.allocate_address(Domain="vpc", TagSpecifications=tags)
    assert (made["Domain"], made["PublicIpv4Pool"], made["NetworkBorderGroup"]) == ("vpc", "amazon", "us-east-1")
    allocation, public = made["AllocationId"], made["PublicIp"]
    pending = launch(ec2, image)["InstanceId"]
    assert said(ec2.associate_address, AllocationId=allocation, InstanceId=pending) == (
        "InvalidInstanceID",
        f"The pending instance '{pending}' is not in a valid state for this operation.",
    )
    id = bring_up(face, pending)
    association = ec2.associate_address(AllocationId=allocation, InstanceId=id)["AssociationId"]
    assert ec2.associate_address(AllocationId=allocation, InstanceId=id)["AssociationId"] == association
    shown = describe(ec2, id)
    name = f"ec2-{public.replace('.', '-')}.compute-1.amazonaws.com"
    assert (shown["PublicIpAddress"], shown["PublicDnsName"]) == (public, name)
    (card,) = shown["NetworkInterfaces"]
    assert card["Association"] == {"IpOwnerId": face.first.account_id, "PublicDnsName": name, "PublicIp": public}
    assert interface(ec2, card["NetworkInterfaceId"])["Association"]["AssociationId"] == association
    (address,) = ec2.describe_addresses(Filters=[{"Name": "instance-id", "Values": [id]}])["Addresses"]
    assert address == {
        "AllocationId": allocation,
        "AssociationId": association,
        "Domain": "vpc",
        "InstanceId": id,
        "PublicIp": public,
        "NetworkInterfaceId": card["NetworkInterfaceId"],
        "NetworkInterfaceOwnerId": face.first.account_id,
        "PrivateIpAddress": shown["PrivateIpAddress"],
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": "us-east-1",
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    assert ec2.describe_instances(Filters=[{"Name": "ip-address", "Values": [public]}])["Reservations"]
    gateway = ec2.describe_internet_gateways()["InternetGateways"][0]["InternetGatewayId"]
    code, _ = said(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=shown["VpcId"])
    assert code == "DependencyViolation"
    ec2.disassociate_address(AssociationId=association)
    assert said(ec2.disassociate_address, AssociationId=association) == (
        "InvalidAssociationID.NotFound",
        f"The association ID '{association}' does not exist",
    )
    assert "PublicIpAddress" not in describe(ec2, id)
    ec2.release_address(AllocationId=allocation)
    assert said(ec2.release_address, AllocationId=allocation) == (
        "InvalidAllocationID.NotFound",
        f"The allocation ID '{allocation}' does not exist",
    )


def test_an_address_is_taken_from_whom_it_led_to(face: Face, ec2: Any, image: str) -> None:
    one, two = (bring_up(face, launch(ec2, image)["InstanceId"]) for _ in range(2))
    address, other = ec2.allocate_address(), ec2.allocate_address()
    first = ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=one)["AssociationId"]
    move = {"AllocationId": address["AllocationId"], "InstanceId": two}
    assert said(ec2.associate_address, **move, AllowReassociation=False) == (
        "Resource.AlreadyAssociated",
        f"resource {address['AllocationId']} is already associated with associate-id {first}",
    )
    before = describe(ec2, one)["NetworkInterfaces"][0]["NetworkInterfaceId"]  # beside an instance it does not count
    assert ec2.associate_address(**move, NetworkInterfaceId=before)["AssociationId"] != first
    assert "PublicIpAddress" not in describe(ec2, one)
    assert describe(ec2, two)["PublicIpAddress"] == address["PublicIp"]
    ec2.associate_address(AllocationId=other["AllocationId"], InstanceId=two)
    assert describe(ec2, two)["PublicIpAddress"] == other["PublicIp"]
    (idle,) = ec2.describe_addresses(AllocationIds=[address["AllocationId"]])["Addresses"]
    assert "AssociationId" not in idle and "InstanceId" not in idle
    end(face, ec2, two)
    (idle,) = ec2.describe_addresses(PublicIps=[other["PublicIp"]] * 2)["Addresses"]
    assert "AssociationId" not in idle


def test_an_address_leads_to_a_secondary_address(ec2: Any) -> None:
    card = ec2.create_network_interface(SubnetId=a_subnet(ec2), SecondaryPrivateIpAddressCount=1)["NetworkInterface"]
    second = card["PrivateIpAddresses"][1]["PrivateIpAddress"]
    address = ec2.allocate_address()
    at = {"AllocationId": address["AllocationId"], "NetworkInterfaceId": card["NetworkInterfaceId"]}
    assert said(ec2.associate_address, **at, PrivateIpAddress="1.2.3.4")[0] == "InvalidParameterValue"
    ec2.associate_address(**at, PrivateIpAddress=second)
    shown = interface(ec2, card["NetworkInterfaceId"])
    assert "Association" not in shown
    assert shown["PrivateIpAddresses"][1]["Association"]["PublicIp"] == address["PublicIp"]
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=card["NetworkInterfaceId"], PrivateIpAddresses=[second])
    assert "AssociationId" not in ec2.describe_addresses()["Addresses"][0]


def test_old_clients_name_addresses_by_themselves(face: Face, ec2: Any, image: str) -> None:
    id = bring_up(face, launch(ec2, image)["InstanceId"])
    public = ec2.allocate_address()["PublicIp"]
    for action in ("AssociateAddress", "DisassociateAddress", "ReleaseAddress"):
        more = {"InstanceId": id} if action == "AssociateAddress" else {}
        answer = face.send({"Action": action, "Version": "2010-08-31", "PublicIp": public, **more})
        assert (answer.status, answer.xml.findtext("{*}return")) == (200, "true"), answer.text
    assert ec2.describe_addresses()["Addresses"] == []


def test_addresses_that_cannot_be(face: Face, ec2: Any, image: str, vpc: str) -> None:
    address = ec2.allocate_address()
    both = {"AllocationId": address["AllocationId"], "PublicIp": address["PublicIp"]}
    assert said(ec2.release_address, **both)[0] == "InvalidParameterCombination"
    assert said(ec2.release_address)[0] == "MissingParameter"
    assert said(ec2.allocate_address, Domain="elsewhere")[0] == "InvalidParameterValue"
    assert said(ec2.allocate_address, Address="8.8.8.8") == ("InvalidAddress.NotFound", "Address '8.8.8.8' not found.")
    assert said(ec2.describe_addresses, PublicIps=["1.2.3.4"]) == ("InvalidAddress.NotFound", "Address '1.2.3.4' not found.")
    assert said(ec2.describe_addresses, PublicIps=["nowhere"])[0] == "InvalidParameterValue"
    assert said(ec2.associate_address, AllocationId=address["AllocationId"])[0] == "MissingParameter"
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    card = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    lead = {"AllocationId": address["AllocationId"], "NetworkInterfaceId": card}
    assert said(ec2.associate_address, **lead) == (
        "Gateway.NotAttached",
        f"Network {vpc} is not attached to any internet gateway",
    )
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.associate_address(**lead)
    assert said(ec2.release_address, AllocationId=address["AllocationId"]) == (
        "InvalidIPAddress.InUse",
        f"Address {address['PublicIp']} is in use.",
    )
    home = ec2.allocate_address()
    mine = ec2.create_network_interface(SubnetId=a_subnet(ec2))["NetworkInterface"]["NetworkInterfaceId"]
    ec2.associate_address(AllocationId=home["AllocationId"], NetworkInterfaceId=mine)
    ec2.release_address(AllocationId=home["AllocationId"])  # in a default VPC it lets go by itself
    assert "Association" not in interface(ec2, mine)
    for _ in range(99):
        ec2.allocate_address()
    assert said(ec2.allocate_address) == ("AddressLimitExceeded", "The maximum number of addresses has been reached.")


# -- lists --------------------------------------------------------------------------------------------------------------

LISTS = [
    "describe_security_groups",
    "describe_security_group_rules",
    "describe_network_interfaces",
    "describe_vpcs",
    "describe_subnets",
    "describe_route_tables",
    "describe_internet_gateways",
    "describe_dhcp_options",
    "describe_network_acls",
]


@pytest.mark.parametrize("name", LISTS)
def test_lists_come_in_pages(ec2: Any, name: str) -> None:
    for number in range(6):
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        ec2.create_network_interface(SubnetId=subnet)
        ec2.create_internet_gateway()
        ec2.create_dhcp_options(DhcpConfigurations=[{"Key": "domain-name", "Values": [f"{number}.example"]}])
    member = ec2.get_paginator(name).result_keys[0].expression
    whole = getattr(ec2, name)()[member]
    pages = [page[member] for page in ec2.get_paginator(name).paginate(PaginationConfig={"PageSize": 5})]
    assert [len(page) for page in pages[:-1]] == [5] * (len(pages) - 1) and len(pages) > 1
    assert [row for page in pages for row in page] == whole
    assert said(getattr(ec2, name), MaxResults=4)[0] == "InvalidParameterValue"
    assert said(getattr(ec2, name), Filters=[{"Name": "colour", "Values": ["red"]}])[0] == "InvalidParameterValue"


def test_everything_here_takes_tags(ec2: Any, vpc: str, group: str) -> None:
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    rule = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"][0]
    ids = {
        "vpc": vpc,
        "subnet": subnet,
        "security-group": group,
        "security-group-rule": rule["SecurityGroupRuleId"],
        "network-interface": ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"],
        "route-table": ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        "internet-gateway": ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"],
        "network-acl": ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"],
        "dhcp-options": ec2.describe_dhcp_options()["DhcpOptions"][0]["DhcpOptionsId"],
        "elastic-ip": ec2.allocate_address()["AllocationId"],
    }
    ec2.create_tags(Resources=list(ids.values()), Tags=[{"Key": "a", "Value": "b"}])
    assert {row["ResourceType"]: row["ResourceId"] for row in ec2.describe_tags()["Tags"]} == ids


def test_a_dry_run_changes_nothing(face: Face, ec2: Any, group: str) -> None:
    before = face.everything()
    for call, params in (
        (ec2.create_vpc, {"CidrBlock": "10.0.0.0/16"}),
        (ec2.delete_security_group, {"GroupId": group}),
        (ec2.authorize_security_group_ingress, {"GroupId": group, "IpPermissions": [permission()]}),
        (ec2.allocate_address, {}),
    ):
        code, _, status = refusal(call, **params, DryRun=True)
        assert (code, status) == ("DryRunOperation", 412)
    assert face.everything() == before
