"""The verbs of elastic addresses. Only this module, and an interface that goes, changes their records."""

from __future__ import annotations

import secrets

from sqlalchemy import func, select

from ec2gw.cloud import interfaces, lookup, routes
from ec2gw.model import errors, ids, networks
from ec2gw.state import records
from ec2gw.state.networks import Address, Interface, Vpc
from ec2gw.state.records import Instance
from ec2gw.state.session import Transaction

# A block that no network routes (RFC 2544): until addresses lead somewhere, none may look as if it did.
POOL = "198.18.0.0/15"
MOST_ADDRESSES = 100  # of an account; AWS raises it on demand


def allocate(tx: Transaction, account_id: str, wanted: str | None) -> Address:
    """A public address for the account, any or one that it names (API_AllocateAddress)."""
    if (tx.db.scalar(select(func.count()).where(Address.account_id == account_id)) or 0) >= MOST_ADDRESSES:
        raise errors.LimitExceeded("address-limit")
    if wanted is not None:
        public = networks.address(wanted)
        if public is None:
            raise errors.Malformed("malformed-id", kind="address", id=wanted[:64], parameter="address")
        if not networks.usable(POOL, public) or _taken(tx, public):
            raise errors.NotFound("not-found", kind="address", ids=[public])
    else:
        found = networks.choose(
            POOL,
            1,
            lambda drawn: tx.db.scalars(select(Address.public_ip).where(Address.public_ip.in_(drawn))),
            lambda: tx.db.scalars(select(Address.public_ip)),
            secrets.randbelow,
        )
        if not found:
            raise errors.LimitExceeded("address-pool-empty")
        public = found[0]
    address = Address(id=ids.new("eipalloc"), account_id=account_id, created_at=tx.now, public_ip=public)
    tx.db.add(address)
    tx.db.flush()
    return address


def _taken(tx: Transaction, public: str) -> bool:
    return tx.db.scalar(select(Address.id).where(Address.public_ip == public)) is not None


def find(tx: Transaction, account_id: str, allocation_id: str | None, public: str | None) -> Address:
    """The account's address by its allocation id or by itself, not both."""
    if allocation_id is not None and public is not None:
        raise errors.Conflict("parameter-conflict", parameter="publicIp", other="allocationId")
    if allocation_id is not None:
        return lookup.one(tx, Address, "eipalloc", account_id, allocation_id, "allocationId")
    if public is None:
        raise errors.Missing("missing-parameter", parameter="allocationId")
    return by_ip(tx, account_id, public)


def by_ip(tx: Transaction, account_id: str, public: str) -> Address:
    """The account's address by itself."""
    address = networks.address(public)
    if address is None:
        raise errors.Malformed("malformed-id", kind="address", id=public[:64], parameter="publicIp")
    found = tx.db.scalars(select(Address).where(Address.public_ip == address, Address.account_id == account_id)).one_or_none()
    if found is None:
        raise errors.NotFound("not-found", kind="address", ids=[address])
    return found


def release(tx: Transaction, account_id: str, allocation_id: str | None, public: str | None) -> None:
    """Give an address back (API_ReleaseAddress). In a default VPC it lets go of what it leads to; elsewhere it is in use."""
    address = find(tx, account_id, allocation_id, public)
    if address.interface_id is not None:
        vpc = select(Vpc.is_default).join(Interface, Interface.vpc_id == Vpc.id).where(Interface.id == address.interface_id)
        if not tx.db.scalar(vpc):
            raise errors.InUse("address-taken", address=address.public_ip)
    records.forget_tags(tx.db, address.id)
    _free(tx, address)
    tx.db.delete(address)


def associate(
    tx: Transaction,
    account_id: str,
    address: Address,
    *,
    instance_id: str | None = None,
    interface_id: str | None = None,
    private: str | None = None,
    again: bool = True,
) -> str:
    """Let an address lead to a private address of an interface (API_AssociateAddress), the primary one unless it is named.

    What led there before leads nowhere. Without `again`, an address that leads elsewhere is refused. Of an instance and an
    interface the instance counts: AWS takes both, and Terraform sends the interface of the instance before beside the new
    instance. Returns the association.
    """
    if instance_id is not None:
        instance = lookup.one(tx, Instance, "i", account_id, instance_id)
        if instance.state not in ("running", "stopping", "stopped"):
            raise errors.WrongState("instance-not-addressable", instance=instance_id, state=instance.state)
        interface = routes.only_interface(tx, instance)
    elif interface_id is not None:
        interface = interfaces.find(tx, account_id, interface_id)
    else:
        raise errors.Missing("missing-parameter", parameter="instanceId")
    if routes.gateway_of(tx, interface.vpc_id) is None:
        raise errors.WrongState("network-without-gateway", vpc=interface.vpc_id)
    row = next((row for row in interface.addresses if (row.address == private if private else row.primary)), None)
    if row is None:
        raise errors.Invalid("addresses-absent", addresses=(private or "")[:64], interface=interface.id)
    if (address.interface_id, address.private_address) == (interface.id, row.address) and address.association_id:
        return address.association_id
    if address.association_id is not None and not again:
        raise errors.InUse("address-associated", allocation=address.id, association=address.association_id)
    before = select(Address).where(Address.interface_id == interface.id, Address.private_address == row.address)
    for other in tx.db.scalars(before):
        _free(tx, other)
    _free(tx, address)
    tx.db.flush()
    address.association_id = made = ids.new("eipassoc")
    address.interface_id, address.private_address = interface.id, row.address
    tx.db.flush()
    interfaces.changed(tx, interface)
    return made


def disassociate(tx: Transaction, account_id: str, association_id: str | None, public: str | None) -> None:
    """Let an address lead nowhere (API_DisassociateAddress), known by its association or by itself."""
    if association_id is not None and public is not None:
        raise errors.Conflict("parameter-conflict", parameter="publicIp", other="associationId")
    if association_id is None:
        if public is None:
            raise errors.Missing("missing-parameter", parameter="associationId")
        _free(tx, by_ip(tx, account_id, public))
        return
    if not ids.well_formed("eipassoc", association_id):
        raise errors.Malformed("malformed-id", kind="elastic-ip-association", id=association_id[:64], parameter="associationId")
    row = select(Address).where(Address.association_id == association_id, Address.account_id == account_id)
    address = tx.db.scalars(row).one_or_none()
    if address is None:
        raise errors.NotFound("not-found", kind="elastic-ip-association", ids=[association_id])
    _free(tx, address)


def _free(tx: Transaction, address: Address) -> None:
    if address.interface_id is not None:
        interfaces.changed(tx, tx.db.scalars(select(Interface).where(Interface.id == address.interface_id)).one())
    address.association_id = address.interface_id = address.private_address = None
