"""The verbs of security groups and their rules. Only this module changes their records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import lazyload

from ec2gw.cloud import lookup
from ec2gw.model import errors, ids, networks
from ec2gw.model.networks import Permission
from ec2gw.state import records
from ec2gw.state.networks import InterfaceGroup, Rule, SecurityGroup, Vpc
from ec2gw.state.session import Transaction

DEFAULT = "default"
MOST_GROUPS = 2_500  # of an account (VPC User Guide, "Amazon VPC quotas")
MOST_RULES = 60  # of a group in one direction
# Built once: every launch asks it, and has no use for the rules.
_DEFAULT_OF = (
    select(SecurityGroup)
    .where(SecurityGroup.vpc_id == bindparam("vpc_id"), SecurityGroup.name == DEFAULT)
    .options(lazyload(SecurityGroup.rules))
)
_TEXT = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}", re.ASCII)


# -- groups -------------------------------------------------------------------------------------------------------------------


def create(tx: Transaction, account_id: str, name: str, description: str, vpc_id: str | None) -> SecurityGroup:
    """A new group, that lets everything out and nothing in (API_CreateSecurityGroup). Without a VPC it is the default one's."""
    home = lookup.one(tx, Vpc, "vpc", account_id, vpc_id) if vpc_id is not None else default_vpc(tx, account_id)
    if home is None:
        raise errors.Missing("no-default-vpc")
    if name.lower() == DEFAULT:
        if vpc_id is None:
            raise errors.Duplicate("group-reserved", name=name)
        raise errors.Invalid("group-name-default")
    if name.startswith("sg-"):
        why = "Group names may not be in the format sg-*."
        raise errors.Invalid("invalid-value", value=name[:64], parameter="groupName", why=why)
    for text, parameter in ((name, "groupName"), (description, "groupDescription")):
        if not _TEXT.fullmatch(text):
            raise errors.Invalid("group-text", value=text[:255], parameter=parameter)
    if tx.db.scalar(select(SecurityGroup.id).where(SecurityGroup.vpc_id == home.id, SecurityGroup.name == name)) is not None:
        raise errors.Duplicate("group-taken", name=name, vpc=home.id)
    if (tx.db.scalar(select(func.count()).where(SecurityGroup.account_id == account_id)) or 0) >= MOST_GROUPS:
        raise errors.LimitExceeded("group-limit")
    return _add(tx, account_id, home.id, name, description)


def add_default(tx: Transaction, account_id: str, vpc_id: str) -> SecurityGroup:
    """The group that a VPC is born with: it lets its own members in."""
    group = _add(tx, account_id, vpc_id, DEFAULT, "default VPC security group")
    group.rules.append(_rule(tx, group, Permission("-1", None, None, group_id=group.id), egress=False))
    return group


def _add(tx: Transaction, account_id: str, vpc_id: str, name: str, description: str) -> SecurityGroup:
    group = SecurityGroup(
        id=ids.new("sg"), account_id=account_id, created_at=tx.now, vpc_id=vpc_id, name=name, description=description, rules=[]
    )
    tx.db.add(group)
    group.rules.append(_rule(tx, group, Permission("-1", None, None, cidr=networks.ANYWHERE), egress=True))
    tx.db.flush()
    return group


def find(tx: Transaction, account_id: str, group_id: str | None, name: str | None) -> SecurityGroup:
    """The account's group of that id, or of that name in the default VPC."""
    if group_id is not None:
        return lookup.one(tx, SecurityGroup, "sg", account_id, group_id)
    if name is None:
        raise errors.Missing("missing-parameter", parameter="groupName or groupId")
    return named(tx, account_id, (name,))[0]


def named(tx: Transaction, account_id: str, names: Sequence[str]) -> list[SecurityGroup]:
    """The groups of the default VPC of these names, in that order: elsewhere a group has only its id."""
    if not names:
        return []
    home = default_vpc(tx, account_id)
    if home is None:
        raise errors.Missing("no-default-vpc")
    rows = select(SecurityGroup).where(SecurityGroup.vpc_id == home.id, SecurityGroup.name.in_(names))
    found = {group.name: group for group in tx.db.scalars(rows)}
    for name in names:
        if name not in found:
            raise errors.NotFound("group-name-absent", name=name[:255], vpc=home.id)
    return [found[name] for name in dict.fromkeys(names)]


def default_of(tx: Transaction, vpc_id: str) -> SecurityGroup:
    """A VPC's own default group; it lives as long as the VPC."""
    return tx.db.scalars(_DEFAULT_OF, {"vpc_id": vpc_id}).one()


def default_vpc(tx: Transaction, account_id: str) -> Vpc | None:
    """The account's default VPC, if it has one."""
    return tx.db.scalars(select(Vpc).where(Vpc.account_id == account_id, Vpc.is_default)).one_or_none()


def delete(tx: Transaction, account_id: str, group_id: str | None, name: str | None) -> SecurityGroup:
    """Delete a group that no interface has and no other group's rule names (API_DeleteSecurityGroup)."""
    group = find(tx, account_id, group_id, name)
    if group.name == DEFAULT:
        raise errors.NotPermitted("group-default", group=group.id, name=group.name)
    used = tx.db.scalar(select(InterfaceGroup.interface_id).where(InterfaceGroup.group_id == group.id).limit(1))
    named_by = tx.db.scalar(select(Rule.id).where(Rule.peer_id == group.id, Rule.group_id != group.id).limit(1))
    if used is not None or named_by is not None:
        raise errors.InUse("group-in-use", group=group.id)
    remove(tx, group)
    return group


def remove(tx: Transaction, group: SecurityGroup) -> None:
    """Take a group's record and those of its rules away."""
    for id in (group.id, *(rule.id for rule in group.rules)):
        records.forget_tags(tx.db, id)
    tx.db.delete(group)
    tx.db.flush()


# -- rules --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Revoked:
    """What a revocation took away, and what of it was not there."""

    rules: list[Rule]
    unknown: list[Permission]


def authorize(tx: Transaction, group: SecurityGroup, wanted: Sequence[Permission], *, egress: bool) -> list[Rule]:
    """Add rules to a group (API_AuthorizeSecurityGroupIngress): all, or none where one is there already."""
    there = {_what(rule) for rule in group.rules if rule.egress is egress}
    made = []
    for permission in wanted:
        rule = _rule(tx, group, _resolved(tx, group, permission), egress=egress)
        if _what(rule) in there:
            raise errors.Duplicate("permission-taken", rule=_said(rule))
        there.add(_what(rule))
        made.append(rule)
    if len(there) > MOST_RULES:
        raise errors.LimitExceeded("rule-limit")
    group.rules.extend(made)
    tx.db.flush()
    tx.touch(group.id)
    return made


def revoke(tx: Transaction, group: SecurityGroup, wanted: Sequence[Permission], *, egress: bool) -> Revoked:
    """Take rules away, known by their values (API_RevokeSecurityGroupIngress).

    What is not there is only told in a default VPC, and fails the call in another one.
    """
    there = {_what(rule): rule for rule in group.rules if rule.egress is egress}
    gone: list[Rule] = []
    unknown: list[Permission] = []
    for permission in wanted:
        sought = _resolved(tx, group, permission)
        rule = there.pop((*sought.traffic, sought.cidr, sought.cidr6, sought.group_id), None)
        if rule is None:
            unknown.append(permission)
        else:
            gone.append(rule)
    if unknown and not tx.db.scalar(select(Vpc.is_default).where(Vpc.id == group.vpc_id)):
        raise errors.NotFound("permission-absent")
    _drop(tx, group, gone)
    return Revoked(gone, unknown)


def revoke_rules(tx: Transaction, group: SecurityGroup, rule_ids: Sequence[str], *, egress: bool) -> list[Rule]:
    """Take rules away by their ids."""
    rules = [_of(group, rule, egress) for rule in lookup.many(tx, Rule, "sgr", group.account_id, rule_ids)]
    _drop(tx, group, rules)
    return rules


def change(tx: Transaction, group: SecurityGroup, changes: Iterable[tuple[str, Permission]]) -> None:
    """Give rules new values; ids and directions stay (API_ModifySecurityGroupRules). A kind of peer stays what it was."""
    for rule_id, permission in changes:
        rule = _of(group, lookup.one(tx, Rule, "sgr", group.account_id, rule_id), None)
        peer = _resolved(tx, group, permission)
        if [bool(rule.cidr), bool(rule.cidr6), bool(rule.peer_id)] != [bool(peer.cidr), bool(peer.cidr6), bool(peer.group_id)]:
            raise errors.Invalid("rule-kind", rule=rule_id)
        rule.protocol, rule.from_port, rule.to_port = peer.traffic
        rule.cidr, rule.cidr6, rule.peer_id, rule.description = peer.cidr, peer.cidr6, peer.group_id, peer.description
    for egress in (True, False):
        seen = set()
        for rule in group.rules:
            if rule.egress is egress:
                if _what(rule) in seen:
                    raise errors.Duplicate("permission-taken", rule=_said(rule))
                seen.add(_what(rule))
    tx.touch(group.id)


def describe(
    tx: Transaction,
    group: SecurityGroup,
    wanted: Sequence[Permission],
    by_id: Iterable[tuple[str, str | None]],
    *,
    egress: bool,
) -> None:
    """Change or take away descriptions (API_UpdateSecurityGroupRuleDescriptionsIngress), of rules known by values or by ids."""
    there = {_what(rule): rule for rule in group.rules if rule.egress is egress}
    for permission in wanted:
        sought = _resolved(tx, group, permission)
        rule = there.get((*sought.traffic, sought.cidr, sought.cidr6, sought.group_id))
        if rule is None:
            raise errors.NotFound("permission-absent")
        rule.description = permission.description
    for rule_id, text in by_id:
        rule = _of(group, lookup.one(tx, Rule, "sgr", group.account_id, rule_id), egress)
        if text is not None and len(text) > networks.LONGEST_DESCRIPTION:
            raise errors.Invalid("rule-description", most=networks.LONGEST_DESCRIPTION)
        rule.description = text or None


def _rule(tx: Transaction, group: SecurityGroup, wanted: Permission, *, egress: bool) -> Rule:
    return Rule(
        id=ids.new("sgr"),
        account_id=group.account_id,
        created_at=tx.now,
        group_id=group.id,
        egress=egress,
        protocol=wanted.protocol,
        from_port=wanted.from_port,
        to_port=wanted.to_port,
        cidr=wanted.cidr,
        cidr6=wanted.cidr6,
        peer_id=wanted.group_id,
        description=wanted.description,
    )


def _resolved(tx: Transaction, group: SecurityGroup, wanted: Permission) -> Permission:
    """The permission with its peer named by id. A group of another account cannot be reached, so it is not there."""
    if wanted.group_id is None and wanted.group_name is None:
        return wanted
    if wanted.owner not in (None, group.account_id):
        raise errors.NotFound("not-found", kind="security-group", ids=[wanted.group_id or wanted.group_name])
    peer = find(tx, group.account_id, wanted.group_id, wanted.group_name)
    if peer.vpc_id != group.vpc_id:
        raise errors.NotFound("groups-apart")
    return Permission(*wanted.traffic, group_id=peer.id, description=wanted.description)


def _of(group: SecurityGroup, rule: Rule, egress: bool | None) -> Rule:
    if rule.group_id != group.id or egress not in (None, rule.egress):
        raise errors.NotFound("not-found", kind="security-group-rule", ids=[rule.id])
    return rule


def _drop(tx: Transaction, group: SecurityGroup, rules: Sequence[Rule]) -> None:
    for rule in rules:
        records.forget_tags(tx.db, rule.id)
        group.rules.remove(rule)
    tx.db.flush()
    tx.touch(group.id)


def _what(rule: Rule) -> tuple[str, int | None, int | None, str | None, str | None, str | None]:
    return rule.protocol, rule.from_port, rule.to_port, rule.cidr, rule.cidr6, rule.peer_id


def _said(rule: Rule) -> str:
    return networks.said(rule.protocol, rule.from_port, rule.to_port, rule.cidr or rule.cidr6 or rule.peer_id or "")
