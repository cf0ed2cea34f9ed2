"""VPCs."""

from __future__ import annotations

from ec2gw.cloud import lookup, networks
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.networks import Vpc


def view(call: Call, vpc: Vpc, tags: describe.Tags) -> Response:
    """A VPC as DescribeVpcs shows it."""
    return {
        "OwnerId": vpc.account_id,
        "InstanceTenancy": vpc.tenancy,
        "Ipv6CidrBlockAssociationSet": [],
        "CidrBlockAssociationSet": [view_block(row["id"], row["cidr"], "associated") for row in vpc.blocks],
        "IsDefault": vpc.is_default,
        "Tags": tags,
        "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        "VpcId": vpc.id,
        "State": "available",
        "CidrBlock": vpc.blocks[0]["cidr"],
        "DhcpOptionsId": vpc.dhcp_options_id,
    }


def view_block(association_id: str, cidr: str, state: str) -> Response:
    """A block of a VPC."""
    return {"AssociationId": association_id, "CidrBlock": cidr, "CidrBlockState": {"State": state}}


VPCS = describe.Listing(
    kind="vpc",
    record=Vpc,
    result="Vpcs",
    ids="VpcIds",
    view=view,
    filters={
        "cidr": "CidrBlock",
        "cidr-block-association.cidr-block": "CidrBlockAssociationSet[].CidrBlock",
        "cidr-block-association.association-id": "CidrBlockAssociationSet[].AssociationId",
        "cidr-block-association.state": "CidrBlockAssociationSet[].CidrBlockState.State",
        "dhcp-options-id": "DhcpOptionsId",
        "ipv6-cidr-block-association.ipv6-cidr-block": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlock",
        "ipv6-cidr-block-association.ipv6-pool": "Ipv6CidrBlockAssociationSet[].Ipv6Pool",
        "ipv6-cidr-block-association.association-id": "Ipv6CidrBlockAssociationSet[].AssociationId",
        "ipv6-cidr-block-association.state": "Ipv6CidrBlockAssociationSet[].Ipv6CidrBlockState.State",
        "is-default": "IsDefault",
        "isDefault": "IsDefault",
        "owner-id": "OwnerId",
        "state": "State",
        "vpc-id": "VpcId",
    },
    columns={"dhcp-options-id": Vpc.dhcp_options_id},
    pages=(5, 1000),
)


@action
def describe_vpcs(call: Call, req: Request) -> Response:
    return describe.answer(call, req, VPCS)


@action
def create_vpc(call: Call, req: Request) -> Response:
    vpc = networks.create_vpc(call.tx, call.account_id, call.settings.name, _cidr(req), req.get("InstanceTenancy", "default"))
    return {"Vpc": view(call, vpc, describe.tag(call, req, vpc.id)) | {"State": "pending"}}


def _cidr(req: Request) -> str:
    if "CidrBlock" not in req:
        raise errors.Missing("missing-parameter", parameter="cidrBlock")
    cidr: str = req["CidrBlock"]
    return cidr


@action
def create_default_vpc(call: Call, req: Request) -> Response:
    vpc = networks.create_default_vpc(call.tx, call.account_id, call.settings.name, call.settings.zones)
    return {"Vpc": view(call, vpc, []) | {"State": "pending"}}


@action
def delete_vpc(call: Call, req: Request) -> Response:
    networks.delete_vpc(call.tx, call.account_id, req["VpcId"])
    return {}


@action
def associate_vpc_cidr_block(call: Call, req: Request) -> Response:
    made = networks.add_block(call.tx, call.account_id, req["VpcId"], _cidr(req))
    vpc = lookup.one(call.tx, Vpc, "vpc", call.account_id, req["VpcId"])
    return {"CidrBlockAssociation": view_block(made, vpc.blocks[-1]["cidr"], "associating"), "VpcId": vpc.id}


@action
def disassociate_vpc_cidr_block(call: Call, req: Request) -> Response:
    vpc, cidr = networks.remove_block(call.tx, call.account_id, req["AssociationId"])
    return {"CidrBlockAssociation": view_block(req["AssociationId"], cidr, "disassociating"), "VpcId": vpc.id}


# -- attributes ---------------------------------------------------------------------------------------------------------------

# Attribute -> (member of requests and answers, what of a VPC it is).
_ATTRIBUTES = {
    "enableDnsSupport": ("EnableDnsSupport", "dns_support"),
    "enableDnsHostnames": ("EnableDnsHostnames", "dns_hostnames"),
    "enableNetworkAddressUsageMetrics": ("EnableNetworkAddressUsageMetrics", "usage_metrics"),
}


@action
def describe_vpc_attribute(call: Call, req: Request) -> Response:
    if req["Attribute"] not in _ATTRIBUTES:
        raise errors.Invalid("invalid-value", value=req["Attribute"][:64], parameter="attribute", why="Unknown attribute.")
    member, column = _ATTRIBUTES[req["Attribute"]]
    vpc = lookup.one(call.tx, Vpc, "vpc", call.account_id, req["VpcId"])
    return {"VpcId": vpc.id, member: {"Value": getattr(vpc, column)}}


@action
def modify_vpc_attribute(call: Call, req: Request) -> Response:
    named = [(column, req[member].get("Value", False)) for member, column in _ATTRIBUTES.values() if member in req]
    if not named:
        raise errors.Conflict("attribute-missing")
    if len(named) > 1:
        raise errors.Conflict("attributes-too-many")
    networks.change_vpc(call.tx, call.account_id, req["VpcId"], *named[0])
    return {}
