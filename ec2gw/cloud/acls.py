"""The verbs of network ACLs. Only this module changes their records."""

from __future__ import annotations

import dataclasses

from sqlalchemy import func, select

from ec2gw.cloud import lookup
from ec2gw.model import errors, ids, networks
from ec2gw.model.networks import Entry
from ec2gw.state import records
from ec2gw.state.networks import Acl, Subnet, Vpc
from ec2gw.state.session import Transaction

# VPC User Guide, "Amazon VPC quotas": per VPC, and of one ACL in one direction.
MOST_ACLS = 200
MOST_ENTRIES = 40


def create(tx: Transaction, account_id: str, vpc_id: str) -> Acl:
    """An ACL that lets nothing through (API_CreateNetworkAcl)."""
    lookup.one(tx, Vpc, "vpc", account_id, vpc_id)
    if (tx.db.scalar(select(func.count()).where(Acl.vpc_id == vpc_id)) or 0) >= MOST_ACLS:
        raise errors.LimitExceeded("acl-limit")
    return add(tx, account_id, vpc_id, default=False)


def add(tx: Transaction, account_id: str, vpc_id: str, *, default: bool) -> Acl:
    """Write down an ACL; a VPC's default one lets everything through."""
    acl = Acl(id=ids.new("acl"), account_id=account_id, created_at=tx.now, vpc_id=vpc_id, is_default=default, entries=[])
    _keep(acl, networks.entries(allow=default))
    tx.db.add(acl)
    tx.db.flush()
    return acl


def default_of(tx: Transaction, vpc_id: str) -> Acl:
    """A VPC's default ACL; it lives as long as the VPC."""
    return tx.db.scalars(select(Acl).where(Acl.vpc_id == vpc_id, Acl.is_default)).one()


def delete(tx: Transaction, account_id: str, acl_id: str) -> None:
    """Delete an ACL that no subnet has (API_DeleteNetworkAcl)."""
    acl = lookup.one(tx, Acl, "acl", account_id, acl_id)
    if acl.is_default:
        raise errors.NotPermitted("acl-default", acl=acl_id)
    if acl.subnets:
        raise errors.InUse("acl-in-use", acl=acl_id)
    remove(tx, acl)


def remove(tx: Transaction, acl: Acl) -> None:
    """Take an ACL's record away."""
    records.forget_tags(tx.db, acl.id)
    tx.db.delete(acl)
    tx.db.flush()


def create_entry(tx: Transaction, account_id: str, acl_id: str, wanted: Entry) -> None:
    """Add an entry under a number that is free in its direction (API_CreateNetworkAclEntry)."""
    acl = lookup.one(tx, Acl, "acl", account_id, acl_id)
    kept = entries(acl)
    if any(_place(entry) == _place(wanted) for entry in kept):
        raise errors.Duplicate("acl-entry-taken", number=wanted.number)
    if sum(entry.egress is wanted.egress for entry in kept) > MOST_ENTRIES:
        raise errors.LimitExceeded("acl-entry-limit")
    _keep(acl, [*kept, wanted])
    tx.touch(acl_id)


def replace_entry(tx: Transaction, account_id: str, acl_id: str, wanted: Entry) -> None:
    """Put an entry in the place of that of its number and direction (API_ReplaceNetworkAclEntry)."""
    acl = lookup.one(tx, Acl, "acl", account_id, acl_id)
    _keep(acl, [*_without(acl, wanted.number, wanted.egress), wanted])
    tx.touch(acl_id)


def delete_entry(tx: Transaction, account_id: str, acl_id: str, number: int, egress: bool) -> None:
    """Take an entry away (API_DeleteNetworkAclEntry)."""
    acl = lookup.one(tx, Acl, "acl", account_id, acl_id)
    _keep(acl, _without(acl, number, egress))
    tx.touch(acl_id)


def replace_association(tx: Transaction, account_id: str, association_id: str, acl_id: str) -> str:
    """Give a subnet another ACL of its VPC (API_ReplaceNetworkAclAssociation). Returns the new association's id."""
    held = select(Subnet).where(Subnet.acl_association_id == association_id, Subnet.account_id == account_id)
    subnet = tx.db.scalars(held).one_or_none()
    if subnet is None:
        raise errors.NotFound("not-found", kind="route-table-association", ids=[association_id[:64]])
    acl = lookup.one(tx, Acl, "acl", account_id, acl_id)
    if acl.vpc_id != subnet.vpc_id:
        raise errors.Invalid("networks-apart", one=f"network acl {acl_id}", other=f"subnet {subnet.id}")
    subnet.acl_id, subnet.acl_association_id = acl_id, ids.new("aclassoc")
    tx.touch(subnet.id)
    return subnet.acl_association_id


def entries(acl: Acl) -> list[Entry]:
    """An ACL's entries, outward ones first, in the order of their numbers."""
    return [Entry(**row) for row in acl.entries]


def _keep(acl: Acl, wanted: list[Entry]) -> None:
    acl.entries = [dataclasses.asdict(entry) for entry in sorted(wanted, key=_place)]


def _place(entry: Entry) -> tuple[bool, int]:
    return not entry.egress, entry.number


def _without(acl: Acl, number: int, egress: bool) -> list[Entry]:
    """The entries but for one that the user has made."""
    kept = [entry for entry in entries(acl) if (entry.number, entry.egress) != (number, egress) or number == networks.LAST_ENTRY]
    if len(kept) == len(acl.entries):
        raise errors.NotFound("acl-entry-absent", number=number)
    return kept
