"""Network interfaces, and what instances show of theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ec2gw.cloud import interfaces
from ec2gw.model import errors, networks
from ec2gw.query import describe
from ec2gw.query.actions import places
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.networks import Interface, InterfaceAddress, InterfaceGroup
from ec2gw.state.records import Instance

# -- views --------------------------------------------------------------------------------------------------------------------


def view(call: Call, interface: Interface, tags: describe.Tags) -> Response:
    """An interface as DescribeNetworkInterfaces shows it."""
    first = interface.addresses[0]
    return {
        "Association": _association(call, interface, first),
        "Attachment": view_attachment(interface) if interface.attachment_id else None,
        "AvailabilityZone": interface.zone,
        "AvailabilityZoneId": places.zone_id(call.settings, interface.zone),
        "Description": interface.description,
        "Groups": view_groups(interface),
        "InterfaceType": "interface",
        "Ipv6Addresses": [],
        "MacAddress": interface.mac,
        "NetworkInterfaceId": interface.id,
        "OwnerId": interface.account_id,
        "PrivateDnsName": _name(call, interface, first.address),
        "PrivateIpAddress": first.address,
        "PrivateIpAddresses": [
            {
                "Association": _association(call, interface, row),
                "Primary": row.primary,
                "PrivateDnsName": _name(call, interface, row.address),
                "PrivateIpAddress": row.address,
            }
            for row in interface.addresses
        ],
        "RequesterManaged": False,
        "SourceDestCheck": interface.source_dest_check,
        "Status": "in-use" if interface.attachment_id else "available",
        "SubnetId": interface.subnet_id,
        "TagSet": tags,
        "VpcId": interface.vpc_id,
    }


def view_attachment(interface: Interface) -> Response:
    """The attachment of an interface that has one."""
    return {
        "AttachTime": interface.attach_time,
        "AttachmentId": interface.attachment_id,
        "DeleteOnTermination": interface.delete_on_termination,
        "DeviceIndex": interface.device_index,
        "NetworkCardIndex": 0,
        "InstanceId": interface.instance_id,
        "InstanceOwnerId": interface.account_id,
        "Status": interface.attachment_state,
    }


def view_groups(interface: Interface) -> list[Response]:
    """The security groups of an interface."""
    return [{"GroupId": row.group_id, "GroupName": row.group_name} for row in interface.groups]


def _name(call: Call, interface: Interface, address: str) -> str | None:
    return networks.private_name(address, call.settings.name) if interface.vpc.dns_hostnames else None


def _public(call: Call, interface: Interface, row: InterfaceAddress) -> Response | None:
    """The public address that leads to a private one, as instances show it."""
    if row.elastic is None:
        return None
    public = row.elastic.public_ip
    name = networks.public_name(public, call.settings.name) if interface.vpc.dns_hostnames else ""
    return {"IpOwnerId": row.elastic.account_id, "PublicDnsName": name, "PublicIp": public}


def _association(call: Call, interface: Interface, row: InterfaceAddress) -> Response | None:
    public = _public(call, interface, row)
    if public is None or row.elastic is None:
        return None
    return {"AllocationId": row.elastic.id, "AssociationId": row.elastic.association_id, **public}


def of_instance(call: Call, instance: Instance) -> Response:
    """What an instance shows of its network. One that ends shows none any more."""
    there = [] if instance.state in ("shutting-down", "terminated") else instance.interfaces
    shown: Response = {
        "NetworkInterfaces": [_of_instance(call, interface) for interface in there],
        "SecurityGroups": [],
        "PrivateDnsName": "",
        "PublicDnsName": "",
    }
    first = next((interface for interface in there if interface.device_index == 0), None)
    if first is None:
        return shown
    address = first.addresses[0]
    public = _public(call, first, address) or {}
    return shown | {
        "SecurityGroups": view_groups(first),
        "SourceDestCheck": first.source_dest_check,
        "PrivateDnsName": networks.private_name(address.address, call.settings.name),
        "PrivateIpAddress": address.address,
        "PublicDnsName": public.get("PublicDnsName", ""),
        "PublicIpAddress": public.get("PublicIp"),
        "SubnetId": first.subnet_id,
        "VpcId": first.vpc_id,
    }


def _of_instance(call: Call, interface: Interface) -> Response:
    """An interface as its instance shows it."""
    addresses = [
        {
            "Association": _public(call, interface, row),
            "Primary": row.primary,
            "PrivateDnsName": _name(call, interface, row.address),
            "PrivateIpAddress": row.address,
        }
        for row in interface.addresses
    ]
    attachment = view_attachment(interface)
    del attachment["InstanceId"], attachment["InstanceOwnerId"]
    return {
        "Association": addresses[0]["Association"],
        "Attachment": attachment,
        "Description": interface.description,
        "Groups": view_groups(interface),
        "Ipv6Addresses": [],
        "MacAddress": interface.mac,
        "NetworkInterfaceId": interface.id,
        "OwnerId": interface.account_id,
        "PrivateDnsName": addresses[0]["PrivateDnsName"],
        "PrivateIpAddress": addresses[0]["PrivateIpAddress"],
        "PrivateIpAddresses": addresses,
        "SourceDestCheck": interface.source_dest_check,
        "Status": "in-use",
        "SubnetId": interface.subnet_id,
        "VpcId": interface.vpc_id,
        "InterfaceType": "interface",
    }


# What DescribeInstances filters of the interfaces of instances, without the prefix `network-interface.`.
INSTANCE_FILTERS = {
    f"network-interface.{name}": f"NetworkInterfaces[].{path}"
    for name, path in {
        "addresses.association.carrier-ip": "PrivateIpAddresses[].Association.CarrierIp",
        "addresses.association.customer-owned-ip": "PrivateIpAddresses[].Association.CustomerOwnedIp",
        "addresses.association.public-dns-name": "PrivateIpAddresses[].Association.PublicDnsName",
        "addresses.private-dns-name": "PrivateIpAddresses[].PrivateDnsName",
        "association.carrier-ip": "Association.CarrierIp",
        "association.customer-owned-ip": "Association.CustomerOwnedIp",
        "association.public-dns-name": "Association.PublicDnsName",
        "ipv4-prefixes.ipv4-prefix": "Ipv4Prefixes[].Ipv4Prefix",
        "ipv6-address": "Ipv6Addresses[].Ipv6Address",
        "ipv6-addresses.is-primary-ipv6": "Ipv6Addresses[].IsPrimaryIpv6",
        "ipv6-prefixes.ipv6-prefix": "Ipv6Prefixes[].Ipv6Prefix",
        "public-dns-name": "Association.PublicDnsName",
        "addresses.association.ip-owner-id": "PrivateIpAddresses[].Association.IpOwnerId",
        "addresses.association.public-ip": "PrivateIpAddresses[].Association.PublicIp",
        "addresses.primary": "PrivateIpAddresses[].Primary",
        "addresses.private-ip-address": "PrivateIpAddresses[].PrivateIpAddress",
        "association.ip-owner-id": "Association.IpOwnerId",
        "association.public-ip": "Association.PublicIp",
        "attachment.attach-time": "Attachment.AttachTime",
        "attachment.attachment-id": "Attachment.AttachmentId",
        "attachment.delete-on-termination": "Attachment.DeleteOnTermination",
        "attachment.device-index": "Attachment.DeviceIndex",
        "attachment.network-card-index": "Attachment.NetworkCardIndex",
        "attachment.status": "Attachment.Status",
        "description": "Description",
        "group-id": "Groups[].GroupId",
        "group-name": "Groups[].GroupName",
        "ipv6-addresses.ipv6-address": "Ipv6Addresses[].Ipv6Address",
        "mac-address": "MacAddress",
        "network-interface-id": "NetworkInterfaceId",
        "owner-id": "OwnerId",
        "private-dns-name": "PrivateDnsName",
        "private-ip-address": "PrivateIpAddress",
        "source-dest-check": "SourceDestCheck",
        "status": "Status",
        "subnet-id": "SubnetId",
        "vpc-id": "VpcId",
    }.items()
}
# Which of an instance's filters the interfaces' own indexes answer.
INSTANCE_COLUMNS = {
    "subnet-id": describe.Through(Interface.instance_id, Interface.subnet_id),
    "vpc-id": describe.Through(Interface.instance_id, Interface.vpc_id),
    "network-interface.network-interface-id": describe.Through(Interface.instance_id, Interface.id),
    "network-interface.subnet-id": describe.Through(Interface.instance_id, Interface.subnet_id),
    "network-interface.vpc-id": describe.Through(Interface.instance_id, Interface.vpc_id),
    "network-interface.attachment.attachment-id": describe.Through(Interface.instance_id, Interface.attachment_id),
}

INTERFACES = describe.Listing(
    kind="network-interface",
    record=Interface,
    result="NetworkInterfaces",
    ids="NetworkInterfaceIds",
    view=view,
    filters={
        "association.allocation-id": "Association.AllocationId",
        "association.association-id": "Association.AssociationId",
        "addresses.association.owner-id": "PrivateIpAddresses[].Association.IpOwnerId",
        "addresses.association.public-ip": "PrivateIpAddresses[].Association.PublicIp",
        "addresses.primary": "PrivateIpAddresses[].Primary",
        "addresses.private-ip-address": "PrivateIpAddresses[].PrivateIpAddress",
        "association.ip-owner-id": "Association.IpOwnerId",
        "association.public-ip": "Association.PublicIp",
        "association.public-dns-name": "Association.PublicDnsName",
        "attachment.attach-time": "Attachment.AttachTime",
        "attachment.attachment-id": "Attachment.AttachmentId",
        "attachment.delete-on-termination": "Attachment.DeleteOnTermination",
        "attachment.device-index": "Attachment.DeviceIndex",
        "attachment.instance-id": "Attachment.InstanceId",
        "attachment.instance-owner-id": "Attachment.InstanceOwnerId",
        "attachment.status": "Attachment.Status",
        "availability-zone": "AvailabilityZone",
        "availability-zone-id": "AvailabilityZoneId",
        "description": "Description",
        "group-id": "Groups[].GroupId",
        "group-name": "Groups[].GroupName",
        "ipv6-addresses.ipv6-address": "Ipv6Addresses[].Ipv6Address",
        "interface-type": "InterfaceType",
        "mac-address": "MacAddress",
        "network-interface-id": "NetworkInterfaceId",
        "owner-id": "OwnerId",
        "private-dns-name": "PrivateDnsName",
        "private-ip-address": "PrivateIpAddresses[].PrivateIpAddress",
        "requester-id": "RequesterId",
        "requester-managed": "RequesterManaged",
        "source-dest-check": "SourceDestCheck",
        "status": "Status",
        "subnet-id": "SubnetId",
        "vpc-id": "VpcId",
    },
    columns={
        "addresses.private-ip-address": describe.Through(InterfaceAddress.interface_id, InterfaceAddress.address),
        "attachment.attachment-id": Interface.attachment_id,
        "attachment.instance-id": Interface.instance_id,
        "group-id": describe.Through(InterfaceGroup.interface_id, InterfaceGroup.group_id),
        "mac-address": Interface.mac,
        "private-ip-address": describe.Through(InterfaceAddress.interface_id, InterfaceAddress.address),
        "subnet-id": Interface.subnet_id,
        "vpc-id": Interface.vpc_id,
    },
    pages=(5, 1000),
)


# -- making -------------------------------------------------------------------------------------------------------------------


def _addresses(said: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """The primary address and the others, however they are said."""
    listed = [(row.get("PrivateIpAddress", ""), row.get("Primary", False)) for row in said.get("PrivateIpAddresses", ())]
    first = [address for address, primary in listed if primary]
    if "PrivateIpAddress" in said:
        first.insert(0, said["PrivateIpAddress"])
    if len(set(first)) > 1:
        raise errors.Conflict("addresses-primary-many")
    return (first[0] if first else None), tuple(address for address, primary in listed if not primary)


@action
def create_network_interface(call: Call, req: Request) -> Response:
    address, addresses = _addresses(req)
    wanted = interfaces.Wanted(
        req["SubnetId"],
        address,
        addresses,
        req.get("SecondaryPrivateIpAddressCount", 0),
        tuple(req.get("Groups", ())),
        req.get("Description", ""),
    )
    interface = interfaces.create(call.tx, call.account_id, wanted)
    shown = view(call, interface, describe.tag(call, req, interface.id)) | {"Status": "pending"}
    return {"NetworkInterface": shown, "ClientToken": req.get("ClientToken")}


@action
def delete_network_interface(call: Call, req: Request) -> Response:
    interfaces.delete(call.tx, call.account_id, req["NetworkInterfaceId"])
    return {}


@action
def describe_network_interfaces(call: Call, req: Request) -> Response:
    return describe.answer(call, req, INTERFACES)


# -- at instances -------------------------------------------------------------------------------------------------------------


@action
def attach_network_interface(call: Call, req: Request) -> Response:
    interface = interfaces.attach(call.tx, call.account_id, req["NetworkInterfaceId"], req["InstanceId"], req["DeviceIndex"])
    return {"AttachmentId": interface.attachment_id, "NetworkCardIndex": 0}


@action
def detach_network_interface(call: Call, req: Request) -> Response:
    interfaces.detach(call.tx, call.account_id, req["AttachmentId"])
    return {}


def wish(req: Request) -> interfaces.Wish:
    """What RunInstances says of the network."""
    return interfaces.Wish(
        subnet_id=req.get("SubnetId"),
        address=req.get("PrivateIpAddress"),
        group_ids=tuple(req.get("SecurityGroupIds", ())),
        group_names=tuple(req.get("SecurityGroups", ())),
        cards=_cards(req.get("NetworkInterfaces", ())),
    )


def _cards(said: Sequence[Mapping[str, Any]]) -> tuple[interfaces.Card, ...]:
    cards = []
    for row in said:
        if "DeviceIndex" not in row:
            raise errors.Missing("device-index-missing")
        if row.get("AssociatePublicIpAddress") and (len(said) > 1 or "NetworkInterfaceId" in row):
            raise errors.Conflict("public-address-many")
        address, addresses = _addresses(row)
        cards.append(
            interfaces.Card(
                index=row["DeviceIndex"],
                interface_id=row.get("NetworkInterfaceId"),
                subnet_id=row.get("SubnetId"),
                address=address,
                addresses=addresses,
                count=row.get("SecondaryPrivateIpAddressCount", 0),
                group_ids=tuple(row.get("Groups", ())),
                description=row.get("Description", ""),
                delete_on_termination=row.get("DeleteOnTermination"),
            )
        )
    return tuple(cards)


# -- attributes ---------------------------------------------------------------------------------------------------------------


@action
def modify_network_interface_attribute(call: Call, req: Request) -> Response:
    named = [name for name in ("Description", "SourceDestCheck", "Groups", "Attachment") if name in req]
    if not named:
        raise errors.Conflict("attribute-missing")
    if len(named) > 1:
        raise errors.Conflict("attributes-too-many")
    interface = interfaces.find(call.tx, call.account_id, req["NetworkInterfaceId"])
    value = req[named[0]]
    match named[0]:
        case "Description":
            interfaces.describe(call.tx, interface, value.get("Value", ""))
        case "SourceDestCheck":
            interfaces.check_source(call.tx, interface, value.get("Value", False))
        case "Groups":
            interfaces.regroup(call.tx, call.account_id, interface, value)
        case "Attachment":
            if "AttachmentId" not in value or "DeleteOnTermination" not in value:
                name = "deleteOnTermination" if "AttachmentId" in value else "attachmentId"
                raise errors.Missing("missing-parameter", parameter=f"attachment.{name}")
            interfaces.keep(call.tx, interface, value["AttachmentId"], value["DeleteOnTermination"])
    return {}


@action
def describe_network_interface_attribute(call: Call, req: Request) -> Response:
    if "Attribute" not in req:
        raise errors.Conflict("attribute-missing")
    interface = interfaces.find(call.tx, call.account_id, req["NetworkInterfaceId"])
    shown: Response = {"NetworkInterfaceId": interface.id}
    match req["Attribute"]:
        case "description":
            return shown | {"Description": {"Value": interface.description}}
        case "groupSet":
            return shown | {"Groups": view_groups(interface)}
        case "sourceDestCheck":
            return shown | {"SourceDestCheck": {"Value": interface.source_dest_check}}
        case "attachment":
            return shown | {"Attachment": view_attachment(interface) if interface.attachment_id else {}}
        case "associatePublicIpAddress":
            return shown | {"AssociatePublicIpAddress": False}
    raise errors.Invalid("invalid-value", value=req["Attribute"][:64], parameter="attribute", why="Unknown attribute.")


@action
def reset_network_interface_attribute(call: Call, req: Request) -> Response:
    if "SourceDestCheck" not in req:
        raise errors.Conflict("attribute-missing")
    interfaces.check_source(call.tx, interfaces.find(call.tx, call.account_id, req["NetworkInterfaceId"]), True)
    return {}


@action
def assign_private_ip_addresses(call: Call, req: Request) -> Response:
    given = interfaces.assign(
        call.tx,
        call.account_id,
        req["NetworkInterfaceId"],
        req.get("PrivateIpAddresses", ()),
        req.get("SecondaryPrivateIpAddressCount"),
        take=req.get("AllowReassignment", False),
    )
    return {
        "NetworkInterfaceId": req["NetworkInterfaceId"],
        "AssignedPrivateIpAddresses": [{"PrivateIpAddress": row.address} for row in given],
        "AssignedIpv4Prefixes": [],
    }


@action
def unassign_private_ip_addresses(call: Call, req: Request) -> Response:
    if "PrivateIpAddresses" not in req:
        raise errors.Missing("missing-parameter", parameter="privateIpAddress")
    interfaces.unassign(call.tx, call.account_id, req["NetworkInterfaceId"], req["PrivateIpAddresses"])
    return {}
