"""The verbs of network interfaces: their addresses, groups and attachments. Only this module changes their records.

An interface comes to an instance, and goes, at once: there is nothing on a host to plug yet. The instance whose network
changes is touched.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm.attributes import set_committed_value

from ec2gw.cloud import groups, lookup, routes
from ec2gw.model import errors, ids, instance_types, networks
from ec2gw.state import journal, records
from ec2gw.state.networks import Address, Interface, InterfaceAddress, InterfaceGroup, SecurityGroup, Subnet, Vpc
from ec2gw.state.records import Instance
from ec2gw.state.session import Transaction

MOST_INTERFACES = 5_000  # of an account (VPC User Guide, "Amazon VPC quotas")
MOST_GROUPS = 5  # of an interface
MOST_ADDRESSES = 50  # of an interface that is at no instance
LAST_INDEX = 255  # of a device at an instance
LONGEST_DESCRIPTION = 255
_ROWS = 500  # addresses in one query

# Built once: every launch asks them.
_COUNT = select(func.count()).where(Interface.__table__.c.account_id == bindparam("account_id"))
_DEFAULTS = (
    select(Subnet.__table__.c.zone, Subnet.__table__.c.id)
    .join_from(Subnet.__table__, Vpc.__table__, Vpc.__table__.c.id == Subnet.__table__.c.vpc_id)
    .where(Vpc.__table__.c.account_id == bindparam("account_id"), Vpc.__table__.c.is_default, Subnet.__table__.c.is_default)
)
_GIVEN = select(InterfaceAddress.__table__.c.address).where(InterfaceAddress.__table__.c.subnet_id == bindparam("subnet"))
_TAKEN = _GIVEN.where(InterfaceAddress.__table__.c.address.in_(bindparam("drawn", expanding=True)))


# -- making -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Wanted:
    """An interface to be made: `address` is the primary one, `addresses` the others, `count` how many more of any."""

    subnet_id: str
    address: str | None = None
    addresses: tuple[str, ...] = ()
    count: int = 0
    group_ids: tuple[str, ...] = ()
    description: str = ""


def create(tx: Transaction, account_id: str, wanted: Wanted) -> Interface:
    """A new interface in a subnet, at no instance (API_CreateNetworkInterface). Without groups it has the VPC's default one."""
    subnet = lookup.one(tx, Subnet, "subnet", account_id, wanted.subnet_id)
    return _add(tx, subnet, wanted, _groups(tx, account_id, subnet.vpc_id, subnet.id, wanted.group_ids))


def _add(tx: Transaction, subnet: Subnet, wanted: Wanted, holding: Sequence[SecurityGroup]) -> Interface:
    _check(tx, subnet.account_id, wanted, 1)
    vpc = tx.db.scalars(select(Vpc).where(Vpc.id == subnet.vpc_id)).one()
    interface = _new(tx, subnet, vpc, wanted.description, _choose(tx, subnet, wanted, 1)[0], holding)
    tx.db.flush()
    return interface


def _check(tx: Transaction, account_id: str, wanted: Wanted, count: int) -> None:
    """Raise unless the account may have so many more of these."""
    _check_description(wanted.description)
    if wanted.addresses and wanted.count:
        raise errors.Conflict("parameter-conflict", parameter="secondaryPrivateIpAddressCount", other="privateIpAddressesSet")
    _check_size(wanted, MOST_ADDRESSES)
    named = [address for address in (wanted.address, *wanted.addresses) if address]
    if twice := next((address for address in named if named.count(address) > 1), None):
        raise errors.Invalid("invalid-value", value=twice, parameter="privateIpAddress", why="It is given more than once.")
    if (tx.db.scalar(_COUNT, {"account_id": account_id}) or 0) + count > MOST_INTERFACES:
        raise errors.LimitExceeded("interface-limit")


def _check_size(wanted: Wanted | Card, most: int) -> None:
    """Raise unless an interface with the addresses asked for has `most` at most."""
    _check_count(wanted.count)
    if 1 + len(wanted.addresses) + wanted.count > most:
        raise errors.LimitExceeded("private-address-limit")


def _check_count(count: int) -> None:
    """Raise for a number of secondary addresses that is none."""
    if count < 0:
        why = "It must not be negative."
        raise errors.Invalid("invalid-value", value=count, parameter="secondaryPrivateIpAddressCount", why=why)


def _new(
    tx: Transaction, subnet: Subnet, vpc: Vpc, description: str, addresses: Sequence[str], holding: Sequence[SecurityGroup]
) -> Interface:
    interface = Interface(
        id=ids.new("eni"),
        account_id=subnet.account_id,
        created_at=tx.now,
        subnet_id=subnet.id,
        vpc=vpc,
        zone=subnet.zone,
        mac=_mac(),
        description=description,
        source_dest_check=True,
        addresses=[],
        groups=[],
    )
    _hold(interface, holding)
    _add_addresses(interface, subnet, addresses)
    tx.db.add(interface)
    return interface


def _mac() -> str:
    """A random address that the holder administers himself."""
    return "02:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(5))


def delete(tx: Transaction, account_id: str, interface_id: str) -> None:
    """Delete an interface that is at no instance (API_DeleteNetworkInterface)."""
    interface = lookup.one(tx, Interface, "eni", account_id, interface_id)
    if interface.instance_id is not None:
        raise errors.InUse("interface-in-use", interface=interface_id)
    _remove(tx, interface)


def _remove(tx: Transaction, interface: Interface) -> None:
    """Take an interface's record away. Public addresses that led to it lead nowhere."""
    _let_go(tx, interface)
    _unmap(tx, interface.id)
    records.forget_tags(tx.db, interface.id)
    tx.db.delete(interface)
    tx.db.flush()


def _unmap(tx: Transaction, interface_id: str, *private: str) -> None:
    chosen = update(Address).where(Address.interface_id == interface_id)
    if private:
        chosen = chosen.where(Address.private_address.in_(private))
    gone = chosen.values(association_id=None, interface_id=None, private_address=None)
    tx.db.execute(gone, execution_options=journal.concerning(interface_id))


# -- addresses ----------------------------------------------------------------------------------------------------------------


def assign(
    tx: Transaction, account_id: str, interface_id: str, wanted: Sequence[str], count: int | None, *, take: bool
) -> list[InterfaceAddress]:
    """Give an interface secondary addresses, named ones or any (API_AssignPrivateIpAddresses).

    With `take`, secondary addresses of the subnet's other interfaces are taken from these.
    """
    interface = lookup.one(tx, Interface, "eni", account_id, interface_id)
    if wanted and count:
        raise errors.Conflict("parameter-conflict", parameter="secondaryPrivateIpAddressCount", other="privateIpAddress")
    if not wanted and not count:
        raise errors.Missing("missing-parameter", parameter="secondaryPrivateIpAddressCount")
    _check_count(count or 0)
    subnet = lookup.one(tx, Subnet, "subnet", account_id, interface.subnet_id)
    there = {row.address for row in interface.addresses}
    fresh = [address for address in wanted if address not in there]
    _check_room(tx, interface, len(fresh) + (count or 0))
    if fresh and take:
        _take(tx, subnet, fresh)
    elif taken := [address for address in fresh if _taken(tx, subnet, address)]:
        raise errors.InUse("addresses-taken", addresses=", ".join(taken))
    changed(tx, interface)
    return _give(tx, interface, subnet, fresh, count or 0)


def unassign(tx: Transaction, account_id: str, interface_id: str, wanted: Sequence[str]) -> None:
    """Take secondary addresses from an interface (API_UnassignPrivateIpAddresses)."""
    interface = lookup.one(tx, Interface, "eni", account_id, interface_id)
    there = {row.address: row for row in interface.addresses}
    if absent := [address for address in wanted if address not in there]:
        raise errors.Invalid("addresses-absent", addresses=", ".join(absent)[:255], interface=interface_id)
    if any(there[address].primary for address in wanted):
        raise errors.Invalid("address-primary", interface=interface_id)
    _unmap(tx, interface_id, *wanted)
    for address in dict.fromkeys(wanted):
        interface.addresses.remove(there[address])
    tx.db.flush()
    changed(tx, interface)


def _give(tx: Transaction, interface: Interface, subnet: Subnet, named: Sequence[str], count: int) -> list[InterfaceAddress]:
    """Add secondary addresses of the subnet: these, and so many of any."""
    rows = _add_addresses(interface, subnet, [*_checked(tx, subnet, named), *_free(tx, subnet, count, named)])
    tx.db.flush()
    return rows


def _add_addresses(interface: Interface, subnet: Subnet, addresses: Sequence[str]) -> list[InterfaceAddress]:
    """The first that an interface gets is its primary one."""
    rows = [
        InterfaceAddress(subnet_id=subnet.id, address=address, primary=not interface.addresses and place == 0)
        for place, address in enumerate(addresses)
    ]
    for row in rows:
        set_committed_value(row, "elastic", None)
    interface.addresses.extend(rows)
    return rows


def _choose(tx: Transaction, subnet: Subnet, wanted: Wanted, count: int) -> list[list[str]]:
    """The addresses of so many interfaces, each with its primary one first."""
    named = _checked(tx, subnet, [*([wanted.address] if wanted.address else ()), *wanted.addresses])
    each = wanted.count if wanted.address else 1 + wanted.count
    free = iter(_free(tx, subnet, each * count, named))
    chosen = [list(itertools.islice(free, each)) for _ in range(count)]
    return [[*named, *more] if wanted.address else [*more[:1], *named, *more[1:]] for more in chosen]


def _checked(tx: Transaction, subnet: Subnet, named: Sequence[str]) -> list[str]:
    unique = list(dict.fromkeys(named))
    for text in unique:
        _check_address(tx, subnet, text)
    return unique


def _free(tx: Transaction, subnet: Subnet, count: int, besides: Sequence[str]) -> list[str]:
    """So many addresses that the subnet can give, none of them `besides`."""
    if not count:
        return []

    def taken(drawn: Sequence[str]) -> Iterator[str]:
        yield from besides
        for start in range(0, len(drawn), _ROWS):
            yield from tx.db.scalars(_TAKEN, {"subnet": subnet.id, "drawn": drawn[start : start + _ROWS]})

    def every() -> list[str]:
        return [*besides, *tx.db.scalars(_GIVEN, {"subnet": subnet.id})]

    found = networks.choose(subnet.cidr, count, taken, every, secrets.randbelow)
    if len(found) < count:
        raise errors.LimitExceeded("subnet-full", subnet=subnet.id)
    return found


def _check_address(tx: Transaction, subnet: Subnet, text: str) -> None:
    """Raise unless a subnet can give this address."""
    address = networks.address(text)
    if address is None:
        why = "Invalid IPv4 address."
        raise errors.Invalid("invalid-value", value=text[:64], parameter="privateIpAddress", why=why)
    if not networks.usable(subnet.cidr, address):
        raise errors.Invalid("address-outside-subnet", address=address)
    if _taken(tx, subnet, address):
        raise errors.InUse("address-taken", address=address)


def _taken(tx: Transaction, subnet: Subnet, address: str) -> bool:
    return tx.db.get(InterfaceAddress, (subnet.id, address)) is not None


def _take(tx: Transaction, subnet: Subnet, wanted: Sequence[str]) -> None:
    for address in wanted:
        held = tx.db.get(InterfaceAddress, (subnet.id, address))
        if held is None:
            continue
        if held.primary:
            raise errors.InUse("addresses-taken", addresses=address)
        _unmap(tx, held.interface_id, address)
        other = tx.db.scalars(select(Interface).where(Interface.id == held.interface_id)).one()
        other.addresses.remove(held)
        changed(tx, other)
    tx.db.flush()


def _check_room(tx: Transaction, interface: Interface, more: int) -> None:
    most = MOST_ADDRESSES
    if interface.instance_id is not None:
        instance = tx.db.scalars(select(Instance).where(Instance.id == interface.instance_id)).one()
        most = instance_types.find(instance.type).interfaces[1]
    if len(interface.addresses) + more > most:
        raise errors.LimitExceeded("private-address-limit")


# -- attributes ---------------------------------------------------------------------------------------------------------------


def find(tx: Transaction, account_id: str, interface_id: str) -> Interface:
    """The account's interface."""
    return lookup.one(tx, Interface, "eni", account_id, interface_id)


def describe(tx: Transaction, interface: Interface, text: str) -> None:
    """Change an interface's description."""
    _check_description(text)
    interface.description = text
    changed(tx, interface)


def check_source(tx: Transaction, interface: Interface, check: bool) -> None:
    """Change whether an interface only sends and takes its own packets."""
    interface.source_dest_check = check
    changed(tx, interface)


def regroup(tx: Transaction, account_id: str, interface: Interface, group_ids: Sequence[str]) -> None:
    """Give an interface other security groups, at least one."""
    holding = _groups(tx, account_id, interface.vpc_id, interface.subnet_id, group_ids)
    interface.groups.clear()
    tx.db.flush()
    _hold(interface, holding)
    tx.db.flush()
    changed(tx, interface)


def keep(tx: Transaction, interface: Interface, attachment_id: str, delete_on_termination: bool) -> None:
    """Change whether an interface goes with the instance it is at."""
    if interface.attachment_id != attachment_id:
        raise errors.NotFound("not-found", kind="network-interface-attachment", ids=[attachment_id[:64]])
    interface.delete_on_termination = delete_on_termination
    changed(tx, interface)


def _check_description(text: str) -> None:
    if len(text) > LONGEST_DESCRIPTION:
        why = f"At most {LONGEST_DESCRIPTION} characters."
        raise errors.Invalid("invalid-value", value=f"{text[:64]}...", parameter="description", why=why)


def _groups(tx: Transaction, account_id: str, vpc_id: str, subnet_id: str, group_ids: Sequence[str]) -> list[SecurityGroup]:
    """The groups of these ids, which must be of the VPC; its default one where none is named."""
    if not group_ids:
        return [groups.default_of(tx, vpc_id)]
    found = lookup.many(tx, SecurityGroup, "sg", account_id, group_ids)
    for group in found:
        if group.vpc_id != vpc_id:
            raise errors.Invalid("group-other-network", group=group.id, subnet=subnet_id)
    if len(found) > MOST_GROUPS:
        raise errors.LimitExceeded("interface-group-limit")
    return found


def _hold(interface: Interface, holding: Sequence[SecurityGroup]) -> None:
    for group in sorted(holding, key=lambda group: group.id):
        row = InterfaceGroup(group_id=group.id)
        set_committed_value(row, "group_name", group.name)
        interface.groups.append(row)


# -- at instances -------------------------------------------------------------------------------------------------------------


def attach(tx: Transaction, account_id: str, interface_id: str, instance_id: str, index: int) -> Interface:
    """Bring an interface to an instance of its zone (API_AttachNetworkInterface). It stays when the instance ends."""
    interface = lookup.one(tx, Interface, "eni", account_id, interface_id)
    instance = lookup.one(tx, Instance, "i", account_id, instance_id)
    if interface.instance_id is not None:
        raise errors.InUse("interface-attached", interface=interface_id)
    if instance.state not in ("running", "stopped"):
        raise errors.WrongState("instance-not-running", instance=instance_id)
    if interface.zone != instance.zone:
        raise errors.Conflict("interface-other-zone")
    there = list(tx.db.scalars(select(Interface.device_index).where(Interface.instance_id == instance_id)))
    if index in there:
        raise errors.Invalid("device-index-taken", instance=instance_id, index=index)
    if not 0 < index <= LAST_INDEX:
        raise _beyond(index)
    most, addresses = instance_types.find(instance.type).interfaces
    if len(there) >= most:
        raise errors.LimitExceeded("interface-count", count=len(there) + 1, type=instance.type)
    if len(interface.addresses) > addresses:
        raise errors.LimitExceeded("private-address-limit")
    _join(tx, interface, instance, index, delete_on_termination=False, state="attached")
    routes.moved(tx, interface)
    return interface


def _beyond(index: int) -> errors.Refusal:
    return errors.Invalid("invalid-value", value=index, parameter="deviceIndex", why=f"It must be between 0 and {LAST_INDEX}.")


def detach(tx: Transaction, account_id: str, attachment_id: str) -> None:
    """Take an interface from its instance, but never the first one (API_DetachNetworkInterface)."""
    if not ids.well_formed("eni-attach", attachment_id):
        raise errors.Malformed("malformed-id", kind="network-interface-attachment", id=attachment_id[:64])
    row = select(Interface).where(Interface.attachment_id == attachment_id, Interface.account_id == account_id)
    interface = tx.db.scalars(row).one_or_none()
    if interface is None:
        raise errors.NotFound("not-found", kind="network-interface-attachment", ids=[attachment_id])
    if interface.device_index == 0:
        raise errors.NotPermitted("interface-primary")
    _let_go(tx, interface)


def _join(
    tx: Transaction, interface: Interface, instance: Instance, index: int, *, delete_on_termination: bool, state: str
) -> None:
    _place(tx, interface, instance, index, delete_on_termination=delete_on_termination, state=state)
    tx.db.flush()


def _place(
    tx: Transaction, interface: Interface, instance: Instance, index: int, *, delete_on_termination: bool, state: str
) -> None:
    interface.instance_id = instance.id
    interface.attachment_id = ids.new("eni-attach")
    interface.device_index = index
    interface.delete_on_termination = delete_on_termination
    interface.attachment_state = state
    interface.attach_time = tx.now
    changed(tx, interface)


def _let_go(tx: Transaction, interface: Interface) -> None:
    changed(tx, interface)
    interface.instance_id = interface.attachment_id = interface.device_index = None
    interface.attachment_state = interface.attach_time = None
    interface.delete_on_termination = False
    tx.db.flush()
    routes.moved(tx, interface)


def changed(tx: Transaction, interface: Interface) -> None:
    """Have the instance that an interface is at looked at, or the interface where it is at none."""
    tx.touch(interface.instance_id or interface.id)


# -- launch and end -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Card:
    """An interface that RunInstances asks for: a new one, or with `interface_id` one that there is.

    `delete_on_termination` None is EC2's default: a new one goes with the instance, another one stays.
    """

    index: int
    interface_id: str | None = None
    subnet_id: str | None = None
    address: str | None = None
    addresses: tuple[str, ...] = ()
    count: int = 0
    group_ids: tuple[str, ...] = ()
    description: str = ""
    delete_on_termination: bool | None = None


@dataclass(frozen=True)
class Wish:
    """What RunInstances says of the network: either `cards`, or the rest, which is about the one interface that is then made."""

    subnet_id: str | None = None
    address: str | None = None
    group_ids: tuple[str, ...] = ()
    group_names: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True)
class Understood:
    """A card with what it names: `interface` is the one that there is, and `holding` are the groups of one that is made."""

    card: Card
    subnet: Subnet
    vpc: Vpc
    holding: tuple[SecurityGroup, ...] = ()
    interface: Interface | None = None

    @property
    def goes(self) -> bool:
        """Whether it goes with the instance."""
        return self.interface is None if self.card.delete_on_termination is None else self.card.delete_on_termination


@dataclass(frozen=True)
class Network:
    """A wish that has been understood: the zone it leads to, and its cards."""

    zone: str
    cards: tuple[Understood, ...] = field(repr=False)


def resolve(
    tx: Transaction, account_id: str, wish: Wish, zone: str | None, zones: Sequence[str], type: str, count: int
) -> Network:
    """Understand the network of `count` instances of a type (API_RunInstances). Nothing is changed yet.

    `zone` is that asked for. Without one the subnet's holds; without a subnet the first of `zones` that has a default subnet.
    """
    cards = _cards(tx, account_id, wish, zone, zones)
    if count > 1 and (wish.address or any(card.address or card.addresses or card.interface_id for card in cards)):
        raise errors.Conflict("addresses-many")
    most, addresses = instance_types.find(type).interfaces
    if len(cards) > most:
        raise errors.LimitExceeded("interface-count", count=len(cards), type=type)
    for card in cards:
        _check_size(card, addresses)
    resolved = tuple(_resolve(tx, account_id, card) for card in cards)
    home = resolved[0].subnet.zone
    if any(row.subnet.zone != home for row in resolved):
        raise errors.Conflict("interface-other-zone")
    if zone is not None and zone != home:
        raise errors.Invalid("zone-not-subnets", zone=zone, subnet=resolved[0].subnet.id, other=home)
    return Network(home, resolved)


def room(network: Network) -> int:
    """How many instances more with these cards the subnets have addresses for."""
    needed: dict[str, int] = {}
    for row in network.cards:
        more = 0 if row.interface else 1 + len(row.card.addresses) + row.card.count
        needed[row.subnet.id] = needed.get(row.subnet.id, 0) + more
    subnets = {row.subnet.id: row.subnet for row in network.cards}
    rooms = ((networks.room(subnet.cidr) - subnet.taken) // needed[id] for id, subnet in subnets.items() if needed[id])
    return min(rooms, default=1)


def _cards(tx: Transaction, account_id: str, wish: Wish, zone: str | None, zones: Sequence[str]) -> tuple[Card, ...]:
    """The cards asked for, the first one at index 0; each new one knows its subnet and its groups."""
    if not wish.cards:
        subnet_id = wish.subnet_id or _default_subnet(tx, account_id, zone, zones)
        if wish.group_names and wish.subnet_id and not _is_default(tx, account_id, wish.subnet_id):
            raise errors.Conflict("parameter-conflict", parameter="groupName", other="subnet")
        named = [group.id for group in groups.named(tx, account_id, wish.group_names)]
        return (Card(0, subnet_id=subnet_id, address=wish.address, group_ids=(*wish.group_ids, *named)),)
    if wish.subnet_id is not None:
        raise errors.Conflict("interfaces-and", what="an instance-level subnet ID")
    if wish.group_ids or wish.group_names:
        raise errors.Conflict("interfaces-and", what="instance-level security groups")
    if wish.address is not None:
        raise errors.Conflict("interfaces-and", what="an instance-level private address")
    cards = sorted(wish.cards, key=lambda card: card.index)
    if [card.index for card in cards] != list(dict.fromkeys(card.index for card in cards)):
        raise errors.Invalid("device-index-repeated")
    if cards[0].index != 0:
        raise errors.Invalid("device-index-zero")
    if cards[-1].index > LAST_INDEX:
        raise _beyond(cards[-1].index)
    there = [card.interface_id for card in cards if card.interface_id]
    if twice := next((id for id in there if there.count(id) > 1), None):
        raise errors.InUse("interface-attached", interface=twice)
    made = []
    for card in cards:
        if card.interface_id is None and card.subnet_id is None:
            card = replace(card, subnet_id=_default_subnet(tx, account_id, zone, zones))
        made.append(card)
    return tuple(made)


def _resolve(tx: Transaction, account_id: str, card: Card) -> Understood:
    if card.interface_id is not None:
        new = (card.subnet_id, card.group_ids, card.address, card.addresses, card.count, card.description)
        if any(new) or card.delete_on_termination:  # which "true only if creating a new network interface" can be
            raise errors.Conflict("interface-existing")
        interface = lookup.one(tx, Interface, "eni", account_id, card.interface_id)
        if interface.instance_id is not None:
            raise errors.InUse("interface-attached", interface=interface.id)
        return Understood(card, lookup.one(tx, Subnet, "subnet", account_id, interface.subnet_id), interface.vpc, (), interface)
    subnet = lookup.one(tx, Subnet, "subnet", account_id, card.subnet_id or "")
    vpc = lookup.one(tx, Vpc, "vpc", account_id, subnet.vpc_id)
    return Understood(card, subnet, vpc, tuple(_groups(tx, account_id, vpc.id, subnet.id, card.group_ids)))


def _default_subnet(tx: Transaction, account_id: str, zone: str | None, zones: Sequence[str]) -> str:
    """The default subnet: of the zone, else of the first zone that has one."""
    found: dict[str, str] = dict(tx.db.execute(_DEFAULTS, {"account_id": account_id}).all())
    named = next((found[name] for name in ((zone,) if zone else zones) if name in found), None)
    if named is not None:
        return named
    vpc = groups.default_vpc(tx, account_id)
    if vpc is None:
        raise errors.Missing("no-default-vpc")
    if zone is not None:
        raise errors.Invalid("no-default-subnet", zone=zone)
    raise errors.Missing("no-default-subnets", vpc=vpc.id)


def _is_default(tx: Transaction, account_id: str, subnet_id: str) -> bool:
    """Whether a subnet is of the default VPC."""
    subnet = lookup.one(tx, Subnet, "subnet", account_id, subnet_id)
    return tx.db.scalar(select(Vpc.is_default).where(Vpc.id == subnet.vpc_id)) is True


def launch(tx: Transaction, network: Network, launched: Sequence[Instance]) -> None:
    """Give instances that are being launched their interfaces. All that is new of them is written down at once."""
    there: dict[str, list[Interface]] = {instance.id: [] for instance in launched}
    for row in network.cards:
        card, keep = row.card, row.goes
        if row.interface is not None:
            (instance,) = launched
            _join(tx, row.interface, instance, card.index, delete_on_termination=keep, state="attaching")
            routes.moved(tx, row.interface)
            there[instance.id].append(row.interface)
            continue
        wanted = Wanted(row.subnet.id, card.address, card.addresses, card.count, description=card.description)
        with tx.db.no_autoflush:
            _check(tx, row.subnet.account_id, wanted, len(launched))
            chosen = _choose(tx, row.subnet, wanted, len(launched))
        made = [_new(tx, row.subnet, row.vpc, card.description, addresses, row.holding) for addresses in chosen]
        for instance, interface in zip(launched, made, strict=True):
            _place(tx, interface, instance, card.index, delete_on_termination=keep, state="attaching")
            there[instance.id].append(interface)
        tx.db.flush()  # the next card must find these addresses taken
        names = {group.id: group.name for group in row.holding}
        for held in (held for interface in made for held in interface.groups):
            set_committed_value(held, "group_name", names[held.group_id])  # the flush has forgotten it
    for instance in launched:
        set_committed_value(instance, "interfaces", there[instance.id])


def started(tx: Transaction, instance_id: str) -> None:
    """An instance's machine is on: its interfaces are there."""
    tx.db.execute(
        update(Interface)
        .where(Interface.instance_id == instance_id, Interface.attachment_state == "attaching")
        .values(attachment_state="attached"),
        execution_options=journal.concerning(instance_id),
    )


def release(tx: Transaction, instance_id: str) -> None:
    """An instance has ended: the interfaces that go with it are deleted, the others are free."""
    for interface in tx.db.scalars(select(Interface).where(Interface.instance_id == instance_id)).all():
        if interface.delete_on_termination:
            _remove(tx, interface)
        else:
            _let_go(tx, interface)
