"""Subnets."""

from __future__ import annotations

from ec2gw.cloud import networks as cloud
from ec2gw.model import errors, networks
from ec2gw.query import describe
from ec2gw.query.actions import groups, places
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.networks import Subnet


def view(call: Call, subnet: Subnet, tags: describe.Tags) -> Response:
    """A subnet as DescribeSubnets shows it."""
    return {
        "AvailabilityZoneId": places.zone_id(call.settings, subnet.zone),
        "MapCustomerOwnedIpOnLaunch": False,
        "OwnerId": subnet.account_id,
        "AssignIpv6AddressOnCreation": False,
        "Ipv6CidrBlockAssociationSet": [],
        "Tags": tags,
        "SubnetArn": groups.arn(call, "subnet", subnet.id),
        "EnableDns64": False,
        "Ipv6Native": False,
        "PrivateDnsNameOptionsOnLaunch": subnet.name_options,
        "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        "SubnetId": subnet.id,
        "State": "available",
        "VpcId": subnet.vpc_id,
        "CidrBlock": subnet.cidr,
        "AvailableIpAddressCount": networks.room(subnet.cidr) - subnet.taken,
        "AvailabilityZone": subnet.zone,
        "DefaultForAz": subnet.is_default,
        "MapPublicIpOnLaunch": subnet.public_addresses,
    }


SUBNETS = describe.Listing(
    kind="subnet",
    record=Subnet,
    result="Subnets",
    ids="SubnetIds",
    view=view,
    filters={
        "availability-zone": "AvailabilityZone",
        "availabilityZone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "availabilityZoneId": "AvailabilityZoneId",
        "available-ip-address-count": "AvailableIpAddressCount",
        "cidr-block": "CidrBlock",
        "cidr": "CidrBlock",
        "cidrBlock": "CidrBlock",
        "customer-owned-ipv4-pool": "CustomerOwnedIpv4Pool",
        "default-for-az": "DefaultForAz",
        "defaultForAz": "DefaultForAz",
        "enable-dns64": "EnableDns64",
        "enable-lni-at-device-index": "EnableLniAtDeviceIndex",
        "ipv6-cidr-block-association.ipv6-cidr-block": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock",
        "ipv6-cidr-block-association.association-id": "Ipv6CidrBlockAssociationSet[].AssociationId",
        "ipv6-cidr-block-association.state": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlockState.State",
        "ipv6-native": "Ipv6Native",
        "map-customer-owned-ip-on-launch": "MapCustomerOwnedIpOnLaunch",
        "map-public-ip-on-launch": "MapPublicIpOnLaunch",
        "owner-id": "OwnerId",
        "private-dns-name-options-on-launch.hostname-type": "PrivateDnsNameOptionsOnLaunch.HostnameType",
        "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": (
            "PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsARecord"
        ),
        "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": (
            "PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsAAAARecord"
        ),
        "state": "State",
        "subnet-arn": "SubnetArn",
        "subnet-id": "SubnetId",
        "vpc-id": "VpcId",
    },
    columns={"vpc-id": Subnet.vpc_id, "availability-zone": Subnet.zone, "cidr-block": Subnet.cidr},
    pages=(5, 1000),
)


@action
def describe_subnets(call: Call, req: Request) -> Response:
    return describe.answer(call, req, SUBNETS)


@action
def create_subnet(call: Call, req: Request) -> Response:
    if "CidrBlock" not in req:
        raise errors.Missing("missing-parameter", parameter="cidrBlock")
    subnet = cloud.create_subnet(call.tx, call.account_id, req["VpcId"], _zone(call, req), req["CidrBlock"])
    return {"Subnet": view(call, subnet, describe.tag(call, req, subnet.id)) | {"State": "pending"}}


@action
def create_default_subnet(call: Call, req: Request) -> Response:
    if "AvailabilityZone" not in req and "AvailabilityZoneId" not in req:
        raise errors.Missing("missing-parameter", parameter="availabilityZone")
    subnet = cloud.create_default_subnet(call.tx, call.account_id, _zone(call, req))
    return {"Subnet": view(call, subnet, []) | {"State": "pending"}}


def _zone(call: Call, req: Request) -> str:
    """The zone named, or the first."""
    zones = call.settings.zones
    by_name = {zone: zone for zone in zones} | {places.zone_id(call.settings, zone): zone for zone in zones}
    wanted = req.get("AvailabilityZone") or req.get("AvailabilityZoneId") or zones[0]
    if wanted not in by_name:
        raise errors.Invalid("subnet-zone", zone=wanted[:64], zones=", ".join(zones))
    return by_name[wanted]


@action
def delete_subnet(call: Call, req: Request) -> Response:
    cloud.delete_subnet(call.tx, call.account_id, req["SubnetId"])
    return {}


_NAMES = {
    "EnableResourceNameDnsARecordOnLaunch": "EnableResourceNameDnsARecord",
    "EnableResourceNameDnsAAAARecordOnLaunch": "EnableResourceNameDnsAAAARecord",
}


@action
def modify_subnet_attribute(call: Call, req: Request) -> Response:
    names: dict[str, object] = {ours: req[member].get("Value", False) for member, ours in _NAMES.items() if member in req}
    if "PrivateDnsHostnameTypeOnLaunch" in req:
        kind = req["PrivateDnsHostnameTypeOnLaunch"]
        if kind not in ("ip-name", "resource-name"):
            raise errors.Invalid("bad-value", value=kind[:64], parameter="privateDnsHostnameTypeOnLaunch")
        names["HostnameType"] = kind
    public = req["MapPublicIpOnLaunch"].get("Value", False) if "MapPublicIpOnLaunch" in req else None
    cloud.change_subnet(call.tx, call.account_id, req["SubnetId"], public_addresses=public, names=names)
    return {}
