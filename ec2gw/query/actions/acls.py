"""Network ACLs."""

from __future__ import annotations

from ec2gw.cloud import acls
from ec2gw.model import networks
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.networks import Acl


def view(call: Call, acl: Acl, tags: describe.Tags) -> Response:
    """An ACL as DescribeNetworkAcls shows it."""
    return {
        "Associations": [
            {"NetworkAclAssociationId": subnet.acl_association_id, "NetworkAclId": acl.id, "SubnetId": subnet.id}
            for subnet in acl.subnets
        ],
        "Entries": [_entry(entry) for entry in acls.entries(acl)],
        "IsDefault": acl.is_default,
        "NetworkAclId": acl.id,
        "Tags": tags,
        "VpcId": acl.vpc_id,
        "OwnerId": acl.account_id,
    }


def _entry(entry: networks.Entry) -> Response:
    span = entry.low is not None
    return {
        "CidrBlock": entry.cidr,
        "Egress": entry.egress,
        "IcmpTypeCode": {"Type": entry.low, "Code": entry.high} if span and entry.icmp else None,
        "Ipv6CidrBlock": entry.cidr6,
        "PortRange": {"From": entry.low, "To": entry.high} if span and not entry.icmp else None,
        "Protocol": entry.protocol,
        "RuleAction": entry.action,
        "RuleNumber": entry.number,
    }


ACLS = describe.Listing(
    kind="network-acl",
    record=Acl,
    result="NetworkAcls",
    ids="NetworkAclIds",
    view=view,
    filters={
        "association.association-id": "Associations[].NetworkAclAssociationId",
        "association.network-acl-id": "Associations[].NetworkAclId",
        "association.subnet-id": "Associations[].SubnetId",
        "default": "IsDefault",
        "entry.cidr": "Entries[].CidrBlock",
        "entry.icmp.code": "Entries[].IcmpTypeCode.Code",
        "entry.icmp.type": "Entries[].IcmpTypeCode.Type",
        "entry.ipv6-cidr": "Entries[].Ipv6CidrBlock",
        "entry.port-range.from": "Entries[].PortRange.From",
        "entry.port-range.to": "Entries[].PortRange.To",
        "entry.protocol": "Entries[].Protocol",
        "entry.rule-action": "Entries[].RuleAction",
        "entry.egress": "Entries[].Egress",
        "entry.rule-number": "Entries[].RuleNumber",
        "network-acl-id": "NetworkAclId",
        "owner-id": "OwnerId",
        "vpc-id": "VpcId",
    },
    columns={"vpc-id": Acl.vpc_id},
    pages=(5, 1000),
)


@action
def describe_network_acls(call: Call, req: Request) -> Response:
    return describe.answer(call, req, ACLS)


@action
def create_network_acl(call: Call, req: Request) -> Response:
    acl = acls.create(call.tx, call.account_id, req["VpcId"])
    return {"NetworkAcl": view(call, acl, describe.tag(call, req, acl.id)), "ClientToken": req.get("ClientToken")}


@action
def delete_network_acl(call: Call, req: Request) -> Response:
    acls.delete(call.tx, call.account_id, req["NetworkAclId"])
    return {}


@action
def create_network_acl_entry(call: Call, req: Request) -> Response:
    acls.create_entry(call.tx, call.account_id, req["NetworkAclId"], networks.entry(req))
    return {}


@action
def replace_network_acl_entry(call: Call, req: Request) -> Response:
    acls.replace_entry(call.tx, call.account_id, req["NetworkAclId"], networks.entry(req))
    return {}


@action
def delete_network_acl_entry(call: Call, req: Request) -> Response:
    acls.delete_entry(call.tx, call.account_id, req["NetworkAclId"], req["RuleNumber"], req["Egress"])
    return {}


@action
def replace_network_acl_association(call: Call, req: Request) -> Response:
    return {"NewAssociationId": acls.replace_association(call.tx, call.account_id, req["AssociationId"], req["NetworkAclId"])}
