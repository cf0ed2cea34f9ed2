"""The verbs of route tables, their routes, and internet gateways. Only this module changes their records."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update

from ec2gw.cloud import lookup
from ec2gw.model import errors, ids, networks
from ec2gw.state import journal, records
from ec2gw.state.networks import Address, Gateway, Interface, Route, RouteTable, Subnet, Vpc
from ec2gw.state.records import Instance
from ec2gw.state.session import Transaction

# VPC User Guide, "Amazon VPC quotas": per VPC, per table, and of gateways per account.
MOST_TABLES = 200
MOST_ROUTES = 500
MOST_GATEWAYS = 100


@dataclass(frozen=True)
class Target:
    """Where a route leads: exactly one of these is there."""

    gateway_id: str | None = None
    interface_id: str | None = None
    instance_id: str | None = None


# -- route tables -------------------------------------------------------------------------------------------------------------


def create(tx: Transaction, account_id: str, vpc_id: str) -> RouteTable:
    """A table that knows the VPC's own blocks (API_CreateRouteTable)."""
    vpc = lookup.one(tx, Vpc, "vpc", account_id, vpc_id)
    if (tx.db.scalar(select(func.count()).where(RouteTable.vpc_id == vpc_id)) or 0) >= MOST_TABLES:
        raise errors.LimitExceeded("route-table-limit")
    return add(tx, account_id, ids.new("rtb"), vpc_id, [row["cidr"] for row in vpc.blocks])


def add(tx: Transaction, account_id: str, id: str, vpc_id: str, blocks: list[str]) -> RouteTable:
    """Write down a table with its local routes."""
    table = RouteTable(id=id, account_id=account_id, created_at=tx.now, vpc_id=vpc_id, routes=[])
    for cidr in blocks:
        local(table, cidr)
    tx.db.add(table)
    tx.db.flush()
    return table


def local(table: RouteTable, cidr: str) -> None:
    """Let a table know a block of its VPC."""
    table.routes.append(Route(destination=cidr, made=_next(table), local=True, state="active"))


def of_vpc(tx: Transaction, vpc_id: str) -> list[RouteTable]:
    """A VPC's tables."""
    return list(tx.db.scalars(select(RouteTable).where(RouteTable.vpc_id == vpc_id)))


def delete(tx: Transaction, account_id: str, table_id: str) -> None:
    """Delete a table that nothing is associated with (API_DeleteRouteTable)."""
    table = lookup.one(tx, RouteTable, "rtb", account_id, table_id)
    if table.main_of is not None or table.subnets:
        raise errors.InUse("route-table-in-use", table=table_id)
    remove(tx, table)


def remove(tx: Transaction, table: RouteTable) -> None:
    """Take a table's record away."""
    records.forget_tags(tx.db, table.id)
    tx.db.delete(table)
    tx.db.flush()


# -- associations -------------------------------------------------------------------------------------------------------------


def associate(tx: Transaction, account_id: str, table_id: str, subnet_id: str) -> str:
    """Have a subnet follow a table (API_AssociateRouteTable). Returns the association's id; saying it again changes nothing."""
    table = lookup.one(tx, RouteTable, "rtb", account_id, table_id)
    subnet = lookup.one(tx, Subnet, "subnet", account_id, subnet_id)
    if subnet.vpc_id != table.vpc_id:
        raise errors.Invalid("networks-apart", one=f"route table {table_id}", other=f"subnet {subnet_id}")
    if subnet.route_table_id == table_id and subnet.route_association_id:
        return subnet.route_association_id
    if subnet.route_table_id is not None:
        raise errors.InUse("route-table-associated", table=table_id)
    return _follow(tx, subnet, table_id)


def disassociate(tx: Transaction, account_id: str, association_id: str) -> None:
    """Have a subnet follow the main table again (API_DisassociateRouteTable)."""
    holder = _holder(tx, account_id, association_id)
    if isinstance(holder, Vpc):
        raise errors.Invalid("route-association-main", association=association_id)
    holder.route_table_id = holder.route_association_id = None
    tx.touch(holder.id)


def replace_association(tx: Transaction, account_id: str, association_id: str, table_id: str) -> str:
    """Have a subnet follow another table, or a VPC another main one (API_ReplaceRouteTableAssociation). Returns the new id."""
    holder = _holder(tx, account_id, association_id)
    table = lookup.one(tx, RouteTable, "rtb", account_id, table_id)
    vpc_id = holder.id if isinstance(holder, Vpc) else holder.vpc_id
    if table.vpc_id != vpc_id:
        raise errors.Invalid("networks-apart", one=f"route table {table_id}", other=f"network {vpc_id}")
    return _follow(tx, holder, table_id)


def _follow(tx: Transaction, holder: Subnet | Vpc, table_id: str) -> str:
    holder.route_table_id, holder.route_association_id = table_id, (made := ids.new("rtbassoc"))
    tx.touch(holder.id)
    return made


def _holder(tx: Transaction, account_id: str, association_id: str) -> Subnet | Vpc:
    """The subnet, or for a main table the VPC, that an association belongs to."""
    if not ids.well_formed("rtbassoc", association_id):
        raise errors.Malformed("malformed-id", kind="route-table-association", id=association_id[:64], parameter="associationId")
    subnet = select(Subnet).where(Subnet.route_association_id == association_id, Subnet.account_id == account_id)
    vpc = select(Vpc).where(Vpc.route_association_id == association_id, Vpc.account_id == account_id)
    holder = tx.db.scalars(subnet).one_or_none() or tx.db.scalars(vpc).one_or_none()
    if holder is None:
        raise errors.NotFound("not-found", kind="route-table-association", ids=[association_id])
    return holder


# -- routes -------------------------------------------------------------------------------------------------------------------


def create_route(tx: Transaction, account_id: str, table_id: str, destination: str, target: Target) -> None:
    """Add a route (API_CreateRoute). Only an interface may take what is inside the VPC."""
    table = lookup.one(tx, RouteTable, "rtb", account_id, table_id)
    if any(route.destination == destination for route in table.routes):
        raise errors.Duplicate("route-taken", cidr=destination)
    own = [route.destination for route in table.routes if route.local] if ":" not in destination else []
    if target.gateway_id is not None and any(networks.inside(destination, block) for block in own):
        raise errors.Invalid("route-inside", cidr=destination)
    if len(table.routes) >= MOST_ROUTES:
        raise errors.LimitExceeded("route-limit")
    route = Route(destination=destination, made=_next(table))
    _lead(tx, account_id, table, route, target)
    table.routes.append(route)
    tx.touch(table_id)


def replace_route(tx: Transaction, account_id: str, table_id: str, destination: str, target: Target) -> None:
    """Lead a route elsewhere (API_ReplaceRoute)."""
    table = lookup.one(tx, RouteTable, "rtb", account_id, table_id)
    route = next((route for route in table.routes if route.destination == destination), None)
    if route is None:
        raise errors.Invalid("route-not-replaceable", cidr=destination)
    if route.local:
        raise errors.Invalid("route-local", cidr=destination, table=table_id, what="replace")
    _lead(tx, account_id, table, route, target)
    tx.touch(table_id)


def delete_route(tx: Transaction, account_id: str, table_id: str, destination: str) -> None:
    """Take a route away (API_DeleteRoute); a VPC's own blocks stay."""
    table = lookup.one(tx, RouteTable, "rtb", account_id, table_id)
    route = next((route for route in table.routes if route.destination == destination), None)
    if route is None:
        kind = "destination-ipv6-cidr-block" if ":" in destination else "destination-cidr-block"
        raise errors.NotFound("route-absent", kind=kind, cidr=destination, table=table_id)
    if route.local:
        raise errors.Invalid("route-local", cidr=destination, table=table_id, what="remove")
    table.routes.remove(route)
    tx.touch(table_id)


def _lead(tx: Transaction, account_id: str, table: RouteTable, route: Route, target: Target) -> None:
    route.gateway_id, route.interface_id, route.instance_id = target.gateway_id, None, None
    if target.gateway_id is not None:
        if ids.kind(target.gateway_id) == "vpn-gateway":  # the other kind that GatewayId names, and nobody has
            raise errors.NotFound("not-found", kind="vpn-gateway", ids=[target.gateway_id])
        gateway = lookup.one(tx, Gateway, "igw", account_id, target.gateway_id)
        if gateway.vpc_id != table.vpc_id:
            raise errors.Invalid("networks-apart", one=f"route table {table.id}", other=f"network gateway {gateway.id}")
        route.state = "active"
        return
    if target.instance_id is not None:
        interface = only_interface(tx, lookup.one(tx, Instance, "i", account_id, target.instance_id))
    else:
        interface = lookup.one(tx, Interface, "eni", account_id, target.interface_id or "")
    if interface.vpc_id != table.vpc_id:
        raise errors.Invalid("networks-apart", one=f"route table {table.id}", other=f"interface {interface.id}")
    route.interface_id, route.instance_id = interface.id, interface.instance_id
    route.state = "active" if interface.instance_id else "blackhole"


def only_interface(tx: Transaction, instance: Instance) -> Interface:
    """The one interface of an instance. Raises Invalid where there is none or another beside it."""
    found = list(tx.db.scalars(select(Interface).where(Interface.instance_id == instance.id).limit(2)))
    if not found:
        raise errors.WrongState("instance-without-network", instance=instance.id, state=instance.state)
    if len(found) > 1:
        raise errors.Invalid("interfaces-many", instance=instance.id)
    return found[0]


def moved(tx: Transaction, interface: Interface) -> None:
    """An interface has come to an instance or left it, or goes: routes to it lead there, or nowhere."""
    there = update(Route).where(Route.interface_id == interface.id)
    now = there.values(instance_id=interface.instance_id, state="active" if interface.instance_id else "blackhole")
    tx.db.execute(now, execution_options=journal.concerning(interface.id))


def _next(table: RouteTable) -> int:
    return max((route.made for route in table.routes), default=0) + 1


# -- internet gateways --------------------------------------------------------------------------------------------------------


def create_gateway(tx: Transaction, account_id: str) -> Gateway:
    """A gateway at no VPC yet (API_CreateInternetGateway)."""
    if (tx.db.scalar(select(func.count()).where(Gateway.account_id == account_id)) or 0) >= MOST_GATEWAYS:
        raise errors.LimitExceeded("gateway-limit")
    gateway = Gateway(id=ids.new("igw"), account_id=account_id, created_at=tx.now)
    tx.db.add(gateway)
    tx.db.flush()
    return gateway


def attach_gateway(tx: Transaction, account_id: str, gateway_id: str, vpc_id: str) -> None:
    """Put a gateway at a VPC that has none (API_AttachInternetGateway)."""
    gateway = lookup.one(tx, Gateway, "igw", account_id, gateway_id)
    vpc = lookup.one(tx, Vpc, "vpc", account_id, vpc_id)
    if gateway.vpc_id is not None:
        raise errors.InUse("gateway-attached", gateway=gateway_id, vpc=gateway.vpc_id)
    if gateway_of(tx, vpc.id) is not None:
        raise errors.Invalid("gateway-taken", vpc=vpc_id)
    gateway.vpc_id = vpc_id
    tx.touch(gateway_id)


def detach_gateway(tx: Transaction, account_id: str, gateway_id: str, vpc_id: str) -> None:
    """Take a gateway from its VPC (API_DetachInternetGateway): not while public addresses lead there."""
    gateway = lookup.one(tx, Gateway, "igw", account_id, gateway_id)
    lookup.one(tx, Vpc, "vpc", account_id, vpc_id)
    if gateway.vpc_id != vpc_id:
        raise errors.WrongState("gateway-not-attached", gateway=gateway_id, vpc=vpc_id)
    mapped = select(Address.id).join(Interface, Interface.id == Address.interface_id).where(Interface.vpc_id == vpc_id)
    if tx.db.scalar(mapped.limit(1)) is not None:
        raise errors.InUse("addresses-mapped", vpc=vpc_id)
    gateway.vpc_id = None
    for table in of_vpc(tx, vpc_id):
        for route in table.routes:
            if route.gateway_id == gateway_id:
                route.state = "blackhole"
    tx.touch(gateway_id)


def delete_gateway(tx: Transaction, account_id: str, gateway_id: str) -> None:
    """Delete a gateway that is at no VPC (API_DeleteInternetGateway)."""
    gateway = lookup.one(tx, Gateway, "igw", account_id, gateway_id)
    if gateway.vpc_id is not None:
        raise errors.InUse("gateway-in-use", gateway=gateway_id)
    records.forget_tags(tx.db, gateway_id)
    tx.db.delete(gateway)


def gateway_of(tx: Transaction, vpc_id: str) -> Gateway | None:
    """The gateway at a VPC, if there is one."""
    return tx.db.scalars(select(Gateway).where(Gateway.vpc_id == vpc_id)).one_or_none()
