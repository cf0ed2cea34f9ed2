"""Security groups and their rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ec2gw.cloud import groups, lookup
from ec2gw.model import errors, networks
from ec2gw.model.networks import Permission
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action
from ec2gw.state.networks import Rule, SecurityGroup, Vpc

# In older versions a group has only a name.
GROUPS_HAVE_IDS = "2011-01-01"


def arn(call: Call, kind: str, id: str) -> str:
    """The ARN of a resource of the caller's."""
    return f"arn:aws:ec2:{call.settings.name}:{call.account_id}:{kind}/{id}"


# -- views --------------------------------------------------------------------------------------------------------------------


def view(call: Call, group: SecurityGroup, tags: describe.Tags) -> Response:
    """A group as DescribeSecurityGroups shows it."""
    return {
        "GroupId": group.id,
        "IpPermissionsEgress": _permissions(call, (rule for rule in group.rules if rule.egress)),
        "Tags": tags,
        "VpcId": group.vpc_id,
        "SecurityGroupArn": arn(call, "security-group", group.id),
        "OwnerId": group.account_id,
        "GroupName": group.name,
        "Description": group.description,
        "IpPermissions": _permissions(call, (rule for rule in group.rules if not rule.egress)),
    }


def _permissions(call: Call, rules: Iterable[Rule]) -> list[Response]:
    """Rules of the same traffic together, in the order of their making."""
    found: dict[tuple[str, int | None, int | None], Response] = {}
    for rule in rules:
        said = found.setdefault(
            (rule.protocol, rule.from_port, rule.to_port),
            {
                "IpProtocol": rule.protocol,
                "FromPort": rule.from_port,
                "ToPort": rule.to_port,
                "UserIdGroupPairs": [],
                "IpRanges": [],
                "Ipv6Ranges": [],
                "PrefixListIds": [],
            },
        )
        about = {"Description": rule.description}
        if rule.cidr:
            said["IpRanges"].append({"CidrIp": rule.cidr, **about})
        elif rule.cidr6:
            said["Ipv6Ranges"].append({"CidrIpv6": rule.cidr6, **about})
        else:
            # Clients of today take a name for a sign of EC2-Classic; those of then know nothing else.
            name = rule.peer_name if call.version < GROUPS_HAVE_IDS else None
            pair = {"UserId": rule.account_id, "GroupId": rule.peer_id, "GroupName": name, **about}
            said["UserIdGroupPairs"].append(pair)
    return list(found.values())


def view_rule(call: Call, rule: Rule, tags: describe.Tags) -> Response:
    """A rule as DescribeSecurityGroupRules shows it."""
    return {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "GroupOwnerId": rule.account_id,
        "IsEgress": rule.egress,
        **_values(rule),
        "ReferencedGroupInfo": {"GroupId": rule.peer_id, "UserId": rule.account_id} if rule.peer_id else None,
        "Tags": tags,
        "SecurityGroupRuleArn": arn(call, "security-group-rule", rule.id),
    }


def _values(rule: Rule) -> Response:
    return {
        "IpProtocol": rule.protocol,
        "FromPort": -1 if rule.from_port is None else rule.from_port,
        "ToPort": -1 if rule.to_port is None else rule.to_port,
        "CidrIpv4": rule.cidr,
        "CidrIpv6": rule.cidr6,
        "Description": rule.description,
    }


def _filters(prefix: str, member: str) -> dict[str, str]:
    return {
        f"{prefix}ip-permission.cidr": f"{member}[].IpRanges[].CidrIp",
        f"{prefix}ip-permission.from-port": f"{member}[].FromPort",
        f"{prefix}ip-permission.group-id": f"{member}[].UserIdGroupPairs[].GroupId",
        f"{prefix}ip-permission.group-name": f"{member}[].UserIdGroupPairs[].GroupName",
        f"{prefix}ip-permission.ipv6-cidr": f"{member}[].Ipv6Ranges[].CidrIpv6",
        f"{prefix}ip-permission.prefix-list-id": f"{member}[].PrefixListIds[].PrefixListId",
        f"{prefix}ip-permission.protocol": f"{member}[].IpProtocol",
        f"{prefix}ip-permission.to-port": f"{member}[].ToPort",
        f"{prefix}ip-permission.user-id": f"{member}[].UserIdGroupPairs[].UserId",
    }


GROUPS = describe.Listing(
    kind="security-group",
    record=SecurityGroup,
    result="SecurityGroups",
    ids="GroupIds",
    view=view,
    filters={
        "description": "Description",
        "group-id": "GroupId",
        "group-name": "GroupName",
        "owner-id": "OwnerId",
        "vpc-id": "VpcId",
        **_filters("", "IpPermissions"),
        **_filters("egress.", "IpPermissionsEgress"),
    },
    columns={"group-id": SecurityGroup.id, "group-name": SecurityGroup.name, "vpc-id": SecurityGroup.vpc_id},
    pages=(5, 1000),
)
RULES = describe.Listing(
    kind="security-group-rule",
    record=Rule,
    result="SecurityGroupRules",
    ids="SecurityGroupRuleIds",
    view=view_rule,
    filters={"group-id": "GroupId", "security-group-rule-id": "SecurityGroupRuleId"},
    columns={"group-id": Rule.group_id},
    pages=(5, 1000),
)
FOR_VPC = describe.Listing(
    kind="security-group",
    record=SecurityGroup,
    result="SecurityGroupForVpcs",
    view=lambda call, group, tags: {
        "Description": group.description,
        "GroupName": group.name,
        "OwnerId": group.account_id,
        "GroupId": group.id,
        "Tags": tags,
        "PrimaryVpcId": group.vpc_id,
    },
    filters={
        "description": "Description",
        "group-id": "GroupId",
        "group-name": "GroupName",
        "owner-id": "OwnerId",
        "primary-vpc-id": "PrimaryVpcId",
    },
    pages=(5, 1000),
)
STALE = describe.Catalogue("StaleSecurityGroupSet", "GroupId", {}, pages=(5, 255))


# -- groups -------------------------------------------------------------------------------------------------------------------


@action
def describe_security_groups(call: Call, req: Request) -> Response:
    named = [group.id for group in groups.named(call.tx, call.account_id, req.get("GroupNames", ()))]
    return describe.answer(call, req, GROUPS, where=(SecurityGroup.id.in_(named),) if named else ())


@action
def get_security_groups_for_vpc(call: Call, req: Request) -> Response:
    """Those of the VPC itself: no group is lent to another."""
    vpc = lookup.one(call.tx, Vpc, "vpc", call.account_id, req["VpcId"])
    return describe.answer(call, req, FOR_VPC, where=(SecurityGroup.vpc_id == vpc.id,))


@action
def describe_stale_security_groups(call: Call, req: Request) -> Response:
    """None: a rule can name no group beyond its VPC, and a group that is named cannot be deleted."""
    lookup.one(call.tx, Vpc, "vpc", call.account_id, req["VpcId"])
    return describe.choose(req, STALE, ())


@action
def create_security_group(call: Call, req: Request) -> Response:
    group = groups.create(call.tx, call.account_id, req["GroupName"], req["Description"], req.get("VpcId"))
    tags = describe.tag(call, req, group.id)
    return {"GroupId": group.id, "Tags": tags, "SecurityGroupArn": arn(call, "security-group", group.id)}


@action
def delete_security_group(call: Call, req: Request) -> Response:
    group = groups.delete(call.tx, call.account_id, *_named(req))
    return {"Return": True, "GroupId": group.id}


def _named(req: Request) -> tuple[str | None, str | None]:
    """How a request names its group: by id, or by name."""
    if "GroupId" in req and "GroupName" in req:
        raise errors.Conflict("parameter-conflict", parameter="groupName", other="groupId")
    return req.get("GroupId"), req.get("GroupName")


def _group(call: Call, req: Request) -> SecurityGroup:
    return groups.find(call.tx, call.account_id, *_named(req))


# -- rules --------------------------------------------------------------------------------------------------------------------

_FLAT = ("IpProtocol", "FromPort", "ToPort", "CidrIp", "SourceSecurityGroupName", "SourceSecurityGroupOwnerId")


def _wanted(req: Request) -> list[Permission]:
    """The rules a request speaks of, in today's form or the old one."""
    flat = {name: req.get(name) for name in _FLAT}
    if "IpPermissions" in req:
        if said := next((name for name, value in flat.items() if value is not None), None):
            raise errors.Conflict("parameter-conflict", parameter="ipPermissions", other=said[0].lower() + said[1:])
        return networks.permissions(req["IpPermissions"])
    if all(value is None for value in flat.values()):
        raise errors.Missing("missing-parameter", parameter="ipPermissions")
    values: list[Any] = list(flat.values())
    return networks.flat(*values)


def _authorize(call: Call, req: Request, *, egress: bool) -> Response:
    rules = groups.authorize(call.tx, _group(call, req), _wanted(req), egress=egress)
    tags = describe.tag(call, req, *(rule.id for rule in rules))
    return {"Return": True, "SecurityGroupRules": [view_rule(call, rule, tags) for rule in rules]}


@action
def authorize_security_group_ingress(call: Call, req: Request) -> Response:
    return _authorize(call, req, egress=False)


@action
def authorize_security_group_egress(call: Call, req: Request) -> Response:
    return _authorize(call, req, egress=True)


def _revoke(call: Call, req: Request, *, egress: bool) -> Response:
    group = _group(call, req)
    rule_ids = req.get("SecurityGroupRuleIds")
    if rule_ids:
        if "IpPermissions" in req:
            raise errors.Conflict("parameter-conflict", parameter="ipPermissions", other="securityGroupRuleIds")
        gone = groups.Revoked(groups.revoke_rules(call.tx, group, rule_ids, egress=egress), [])
    else:
        gone = groups.revoke(call.tx, group, _wanted(req), egress=egress)
    rules = [
        {
            "SecurityGroupRuleId": rule.id,
            "GroupId": rule.group_id,
            "IsEgress": rule.egress,
            **_values(rule),
            "ReferencedGroupId": rule.peer_id,
        }
        for rule in gone.rules
    ]
    unknown = [_unknown(permission) for permission in gone.unknown]
    return {"Return": True, "UnknownIpPermissions": unknown, "RevokedSecurityGroupRules": rules}


def _unknown(wanted: Permission) -> Response:
    group = {"GroupId": wanted.group_id, "GroupName": wanted.group_name, "UserId": wanted.owner}
    return {
        "IpProtocol": wanted.protocol,
        "FromPort": wanted.from_port,
        "ToPort": wanted.to_port,
        "UserIdGroupPairs": [group] if wanted.group_id or wanted.group_name else [],
        "IpRanges": [{"CidrIp": wanted.cidr}] if wanted.cidr else [],
        "Ipv6Ranges": [{"CidrIpv6": wanted.cidr6}] if wanted.cidr6 else [],
        "PrefixListIds": [],
    }


@action
def revoke_security_group_ingress(call: Call, req: Request) -> Response:
    return _revoke(call, req, egress=False)


@action
def revoke_security_group_egress(call: Call, req: Request) -> Response:
    return _revoke(call, req, egress=True)


@action
def describe_security_group_rules(call: Call, req: Request) -> Response:
    return describe.answer(call, req, RULES)


@action
def modify_security_group_rules(call: Call, req: Request) -> Response:
    group = groups.find(call.tx, call.account_id, req["GroupId"], None)
    groups.change(call.tx, group, [(row["SecurityGroupRuleId"], _changed(row)) for row in req["SecurityGroupRules"]])
    return {"Return": True}


def _changed(row: Request) -> Permission:
    rule = row.get("SecurityGroupRule", {})
    peers = {
        "cidr": rule.get("CidrIpv4"),
        "cidr6": rule.get("CidrIpv6"),
        "group_id": rule.get("ReferencedGroupId"),
    }
    if "PrefixListId" in rule:
        raise errors.NotFound("not-found", kind="prefix-list", ids=[rule["PrefixListId"]])
    if sum(peer is not None for peer in peers.values()) != 1:
        raise errors.Malformed("permission-malformed", message="A rule must name one source or destination.")
    traffic = rule.get("IpProtocol"), rule.get("FromPort"), rule.get("ToPort")
    return networks.permission(*traffic, **peers, description=rule.get("Description"))


def _describe(call: Call, req: Request, *, egress: bool) -> Response:
    said = req.get("SecurityGroupRuleDescriptions", ())
    if not said and "IpPermissions" not in req:
        raise errors.Missing("missing-parameter", parameter="ipPermissions")
    by_id = [(row.get("SecurityGroupRuleId", ""), row.get("Description")) for row in said]
    wanted = networks.permissions(req.get("IpPermissions", ()))
    groups.describe(call.tx, _group(call, req), wanted, by_id, egress=egress)
    return {"Return": True}


@action
def update_security_group_rule_descriptions_ingress(call: Call, req: Request) -> Response:
    return _describe(call, req, egress=False)


@action
def update_security_group_rule_descriptions_egress(call: Call, req: Request) -> Response:
    return _describe(call, req, egress=True)
