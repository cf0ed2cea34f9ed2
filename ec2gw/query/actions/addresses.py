"""Elastic addresses."""

from __future__ import annotations

from ec2gw.cloud import addresses
from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.networks import Address


def view(call: Call, address: Address, tags: describe.Tags) -> Response:
    """An address as DescribeAddresses shows it."""
    return {
        "AllocationId": address.id,
        "AssociationId": address.association_id,
        "Domain": "vpc",
        "NetworkInterfaceId": address.interface_id,
        "NetworkInterfaceOwnerId": address.account_id if address.interface_id else None,
        "PrivateIpAddress": address.private_address,
        "Tags": tags,
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": call.settings.name,
        "InstanceId": address.instance_id,
        "PublicIp": address.public_ip,
    }


ADDRESSES = describe.Listing(
    kind="elastic-ip",
    record=Address,
    result="Addresses",
    ids="AllocationIds",
    view=view,
    filters={
        "allocation-id": "AllocationId",
        "association-id": "AssociationId",
        "domain": "Domain",
        "instance-id": "InstanceId",
        "network-border-group": "NetworkBorderGroup",
        "network-interface-id": "NetworkInterfaceId",
        "network-interface-owner-id": "NetworkInterfaceOwnerId",
        "private-ip-address": "PrivateIpAddress",
        "public-ip": "PublicIp",
    },
    columns={
        "allocation-id": Address.id,
        "association-id": Address.association_id,
        "network-interface-id": Address.interface_id,
        "public-ip": Address.public_ip,
    },
)


@action
def describe_addresses(call: Call, req: Request) -> Response:
    named = [addresses.by_ip(call.tx, call.account_id, public).id for public in dict.fromkeys(req.get("PublicIps", ()))]
    return describe.answer(call, req, ADDRESSES, where=(Address.id.in_(named),) if named else ())


@action
def allocate_address(call: Call, req: Request) -> Response:
    domain = req.get("Domain", "vpc")
    if domain not in ("vpc", "standard"):
        raise errors.Invalid("bad-value", value=domain[:64], parameter="domain")
    if req.get("PublicIpv4Pool", "amazon") != "amazon" or "CustomerOwnedIpv4Pool" in req or "IpamPoolId" in req:
        raise errors.Unsupported("unsupported", message="The only address pool supported by this endpoint is 'amazon'.")
    _check_border_group(call, req)
    address = addresses.allocate(call.tx, call.account_id, req.get("Address"))
    describe.tag(call, req, address.id)
    return {
        "AllocationId": address.id,
        "PublicIpv4Pool": "amazon",
        "NetworkBorderGroup": call.settings.name,
        "Domain": "vpc",
        "PublicIp": address.public_ip,
    }


def _check_border_group(call: Call, req: Request) -> None:
    """Raise for addresses of anywhere but this region."""
    group = req.get("NetworkBorderGroup", call.settings.name)
    if group != call.settings.name:
        raise errors.Invalid("bad-value", value=group[:64], parameter="networkBorderGroup")


@action
def release_address(call: Call, req: Request) -> Response:
    _check_border_group(call, req)
    addresses.release(call.tx, call.account_id, req.get("AllocationId"), req.get("PublicIp"))
    return {}


@action
def associate_address(call: Call, req: Request) -> Response:
    address = addresses.find(call.tx, call.account_id, req.get("AllocationId"), req.get("PublicIp"))
    made = addresses.associate(
        call.tx,
        call.account_id,
        address,
        instance_id=req.get("InstanceId"),
        interface_id=req.get("NetworkInterfaceId"),
        private=req.get("PrivateIpAddress"),
        again=req.get("AllowReassociation", True),
    )
    return {"Return": True, "AssociationId": made}


@action
def disassociate_address(call: Call, req: Request) -> Response:
    addresses.disassociate(call.tx, call.account_id, req.get("AssociationId"), req.get("PublicIp"))
    return {}


ATTRIBUTES = describe.Listing(
    kind="elastic-ip",
    record=Address,
    result="Addresses",
    ids="AllocationIds",
    view=lambda call, address, tags: {"PublicIp": address.public_ip, "AllocationId": address.id},
    filters={},
    tagged=False,
    pages=(1, 1000),
)


@action
def describe_addresses_attribute(call: Call, req: Request) -> Response:
    attribute = req.get("Attribute", "domain-name")
    if attribute != "domain-name":
        raise errors.Invalid("bad-value", value=attribute[:64], parameter="attribute")
    return describe.answer(call, req, ATTRIBUTES)
