"""The verbs of VPCs, subnets and DHCP options, and the network that every account begins with. Only this module changes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select

from ec2gw.cloud import acls, groups, lookup, routes
from ec2gw.model import errors, ids, networks
from ec2gw.state import records
from ec2gw.state.networks import Acl, DhcpOptions, Gateway, Interface, RouteTable, SecurityGroup, Subnet, Vpc
from ec2gw.state.session import Transaction

# VPC User Guide, "Amazon VPC quotas": of an account (AWS raises it on demand), of a VPC, of a VPC's blocks.
MOST_VPCS = 100
MOST_SUBNETS = 200
MOST_BLOCKS = 5
MOST_DHCP_OPTIONS = 100
NO_OPTIONS = "default"  # an id of DHCP options that stands for none
DHCP_OPTIONS = (
    "domain-name",
    "domain-name-servers",
    "ntp-servers",
    "netbios-name-servers",
    "netbios-node-type",
    "ipv6-address-preferred-lease-time",
)
PLAIN_NAMES = {"HostnameType": "ip-name", "EnableResourceNameDnsARecord": False, "EnableResourceNameDnsAAAARecord": False}


# -- what an account begins with ----------------------------------------------------------------------------------------------


def create_default_vpc(tx: Transaction, account_id: str, region: str, zones: Sequence[str]) -> Vpc:
    """172.31.0.0/16 with a subnet in each zone, all led to the internet (VPC User Guide, "Default VPC components")."""
    if groups.default_vpc(tx, account_id) is not None:
        raise errors.Duplicate("default-vpc-taken")
    vpc = _add_vpc(tx, account_id, networks.DEFAULT_VPC, region, default=True)
    for zone in zones:
        create_default_subnet(tx, account_id, zone)
    gateway = routes.create_gateway(tx, account_id)
    routes.attach_gateway(tx, account_id, gateway.id, vpc.id)
    routes.create_route(tx, account_id, vpc.route_table_id, networks.ANYWHERE, routes.Target(gateway_id=gateway.id))
    return vpc


def create_default_subnet(tx: Transaction, account_id: str, zone: str) -> Subnet:
    """The default subnet of a zone, a /20 (API_CreateDefaultSubnet)."""
    vpc = groups.default_vpc(tx, account_id)
    if vpc is None:
        raise errors.NotFound("default-vpc-absent")
    subnets = list(tx.db.scalars(select(Subnet).where(Subnet.vpc_id == vpc.id)))
    for subnet in subnets:
        if subnet.is_default and subnet.zone == zone:
            raise errors.Duplicate("default-subnet-taken", subnet=subnet.id, zone=zone)
    cidr = networks.default_subnet(vpc.blocks[0]["cidr"], [subnet.cidr for subnet in subnets])
    if cidr is None:
        raise errors.LimitExceeded("subnet-limit")
    return _add_subnet(tx, account_id, vpc, zone, cidr, default=True)


# -- VPCs ---------------------------------------------------------------------------------------------------------------------


def create_vpc(tx: Transaction, account_id: str, region: str, cidr: str, tenancy: str) -> Vpc:
    """A VPC with its main route table, default ACL and default group (API_CreateVpc)."""
    found = networks.range_of(cidr, "cidrBlock", "vpc-range")
    if tenancy not in ("default", "dedicated"):
        raise errors.Invalid("bad-value", value=tenancy[:64], parameter="instanceTenancy")
    if (tx.db.scalar(select(func.count()).where(Vpc.account_id == account_id)) or 0) >= MOST_VPCS:
        raise errors.LimitExceeded("vpc-limit")
    return _add_vpc(tx, account_id, found, region, tenancy=tenancy)


def _add_vpc(tx: Transaction, account_id: str, cidr: str, region: str, *, tenancy: str = "default", default: bool = False) -> Vpc:
    vpc = Vpc(
        id=ids.new("vpc"),
        account_id=account_id,
        created_at=tx.now,
        blocks=[{"id": ids.new("vpc-cidr-assoc"), "cidr": cidr}],
        is_default=default,
        tenancy=tenancy,
        dhcp_options_id=_default_options(tx, account_id, region).id,
        dns_hostnames=default,
        route_table_id=ids.new("rtb"),
        route_association_id=ids.new("rtbassoc"),
    )
    tx.db.add(vpc)
    routes.add(tx, account_id, vpc.route_table_id, vpc.id, [cidr])
    acls.add(tx, account_id, vpc.id, default=True)
    groups.add_default(tx, account_id, vpc.id)
    return vpc


def delete_vpc(tx: Transaction, account_id: str, vpc_id: str) -> None:
    """Delete a VPC that holds nothing but what it was born with (API_DeleteVpc)."""
    vpc = lookup.one(tx, Vpc, "vpc", account_id, vpc_id)
    own = (
        select(Subnet.id).where(Subnet.vpc_id == vpc_id),
        select(Interface.id).where(Interface.vpc_id == vpc_id),
        select(Gateway.id).where(Gateway.vpc_id == vpc_id),
        select(RouteTable.id).where(RouteTable.vpc_id == vpc_id, RouteTable.id != vpc.route_table_id),
        select(Acl.id).where(Acl.vpc_id == vpc_id, ~Acl.is_default),
        select(SecurityGroup.id).where(SecurityGroup.vpc_id == vpc_id, SecurityGroup.name != groups.DEFAULT),
    )
    if any(tx.db.scalar(query.limit(1)) is not None for query in own):
        raise errors.InUse("vpc-in-use", vpc=vpc_id)
    groups.remove(tx, groups.default_of(tx, vpc_id))
    acls.remove(tx, acls.default_of(tx, vpc_id))
    for table in routes.of_vpc(tx, vpc_id):
        routes.remove(tx, table)
    records.forget_tags(tx.db, vpc_id)
    tx.db.delete(vpc)


def add_block(tx: Transaction, account_id: str, vpc_id: str, cidr: str) -> str:
    """Give a VPC another block (API_AssociateVpcCidrBlock). Returns the association's id."""
    vpc = lookup.one(tx, Vpc, "vpc", account_id, vpc_id)
    found = networks.range_of(cidr, "cidrBlock", "vpc-range")
    if any(networks.overlap(found, row["cidr"]) for row in vpc.blocks):
        raise errors.Invalid("vpc-block-conflict", cidr=found)
    if len(vpc.blocks) >= MOST_BLOCKS:
        raise errors.LimitExceeded("vpc-block-limit")
    made = ids.new("vpc-cidr-assoc")
    vpc.blocks = [*vpc.blocks, {"id": made, "cidr": found}]
    for table in routes.of_vpc(tx, vpc_id):
        routes.local(table, found)
    return made


def remove_block(tx: Transaction, account_id: str, association_id: str) -> tuple[Vpc, str]:
    """Take a block away from its VPC, but for the first one (API_DisassociateVpcCidrBlock). Returns the VPC and the block."""
    mine = tx.db.scalars(select(Vpc).where(Vpc.account_id == account_id))
    vpc = next((vpc for vpc in mine if any(row["id"] == association_id for row in vpc.blocks)), None)
    if vpc is None:
        raise errors.NotFound("vpc-block-absent", association=association_id[:64])
    cidr: str = next(row["cidr"] for row in vpc.blocks if row["id"] == association_id)
    if vpc.blocks[0]["id"] == association_id:
        raise errors.NotPermitted("vpc-block-first", association=association_id, vpc=vpc.id)
    subnets = tx.db.scalars(select(Subnet.cidr).where(Subnet.vpc_id == vpc.id))
    if any(networks.inside(subnet, cidr) for subnet in subnets):
        raise errors.InUse("vpc-in-use", vpc=vpc.id)
    vpc.blocks = [row for row in vpc.blocks if row["id"] != association_id]
    for table in routes.of_vpc(tx, vpc.id):
        table.routes = [route for route in table.routes if not (route.local and route.destination == cidr)]
    return vpc, cidr


def change_vpc(tx: Transaction, account_id: str, vpc_id: str, attribute: str, value: bool) -> None:
    """Change `dns_support`, `dns_hostnames` or `usage_metrics` of a VPC (API_ModifyVpcAttribute)."""
    vpc = lookup.one(tx, Vpc, "vpc", account_id, vpc_id)
    setattr(vpc, attribute, value)
    if vpc.dns_hostnames and not vpc.dns_support:
        raise errors.Conflict("vpc-names-without-dns")
    tx.touch(vpc_id)


# -- subnets ------------------------------------------------------------------------------------------------------------------


def create_subnet(tx: Transaction, account_id: str, vpc_id: str, zone: str, cidr: str) -> Subnet:
    """A subnet in a zone that the caller has checked (API_CreateSubnet)."""
    vpc = lookup.one(tx, Vpc, "vpc", account_id, vpc_id)
    found = networks.range_of(cidr, "cidrBlock", "subnet-range", within=[row["cidr"] for row in vpc.blocks])
    others = list(tx.db.scalars(select(Subnet.cidr).where(Subnet.vpc_id == vpc_id)))
    if any(networks.overlap(found, other) for other in others):
        raise errors.Invalid("subnet-conflict", cidr=found)
    if len(others) >= MOST_SUBNETS:
        raise errors.LimitExceeded("subnet-limit")
    return _add_subnet(tx, account_id, vpc, zone, found, default=False)


def _add_subnet(tx: Transaction, account_id: str, vpc: Vpc, zone: str, cidr: str, *, default: bool) -> Subnet:
    subnet = Subnet(
        id=ids.new("subnet"),
        account_id=account_id,
        created_at=tx.now,
        vpc_id=vpc.id,
        zone=zone,
        cidr=cidr,
        is_default=default,
        public_addresses=default,
        name_options=PLAIN_NAMES,
        acl_id=acls.default_of(tx, vpc.id).id,
        acl_association_id=ids.new("aclassoc"),
    )
    tx.db.add(subnet)
    tx.db.flush()
    return subnet


def delete_subnet(tx: Transaction, account_id: str, subnet_id: str) -> None:
    """Delete a subnet without interfaces (API_DeleteSubnet)."""
    subnet = lookup.one(tx, Subnet, "subnet", account_id, subnet_id)
    if tx.db.scalar(select(Interface.id).where(Interface.subnet_id == subnet_id).limit(1)) is not None:
        raise errors.InUse("subnet-in-use", subnet=subnet_id)
    records.forget_tags(tx.db, subnet_id)
    tx.db.delete(subnet)


def change_subnet(
    tx: Transaction, account_id: str, subnet_id: str, *, public_addresses: bool | None, names: Mapping[str, object]
) -> None:
    """Change what launched instances get: a public address, and the options of their names (API_ModifySubnetAttribute)."""
    subnet = lookup.one(tx, Subnet, "subnet", account_id, subnet_id)
    if public_addresses is not None:
        subnet.public_addresses = public_addresses
    if names:
        subnet.name_options = subnet.name_options | dict(names)


# -- DHCP options -------------------------------------------------------------------------------------------------------------


def create_options(tx: Transaction, account_id: str, values: Mapping[str, Sequence[str]]) -> DhcpOptions:
    """A set of DHCP options (API_CreateDhcpOptions). Raises Invalid for an option there is not, or one without values."""
    for name, given in values.items():
        if name not in DHCP_OPTIONS:
            why = "Unknown DHCP option."
            raise errors.Invalid("invalid-value", value=name[:64], parameter="dhcpConfiguration.Key", why=why)
        if not given or any(not text or len(text) > 255 for text in given):
            raise errors.Invalid("dhcp-value", option=name)
    if not values:
        raise errors.Missing("missing-parameter", parameter="dhcpConfigurationSet")
    if (tx.db.scalar(select(func.count()).where(DhcpOptions.account_id == account_id)) or 0) >= MOST_DHCP_OPTIONS:
        raise errors.LimitExceeded("dhcp-limit")
    return _add_options(tx, account_id, values, default=False)


def delete_options(tx: Transaction, account_id: str, options_id: str) -> None:
    """Delete a set of options that no VPC has (API_DeleteDhcpOptions)."""
    options = lookup.one(tx, DhcpOptions, "dopt", account_id, options_id)
    if tx.db.scalar(select(Vpc.id).where(Vpc.dhcp_options_id == options_id).limit(1)) is not None:
        raise errors.InUse("dhcp-in-use", options=options_id)
    records.forget_tags(tx.db, options_id)
    tx.db.delete(options)


def associate_options(tx: Transaction, account_id: str, options_id: str, vpc_id: str) -> None:
    """Give a VPC a set of options, or with `default` none (API_AssociateDhcpOptions)."""
    vpc = lookup.one(tx, Vpc, "vpc", account_id, vpc_id)
    if options_id != NO_OPTIONS:
        lookup.one(tx, DhcpOptions, "dopt", account_id, options_id)
    vpc.dhcp_options_id = options_id
    tx.touch(vpc_id)


def _default_options(tx: Transaction, account_id: str, region: str) -> DhcpOptions:
    """The account's default set, made anew if it is gone."""
    found = tx.db.scalars(select(DhcpOptions).where(DhcpOptions.account_id == account_id, DhcpOptions.is_default)).one_or_none()
    values = {"domain-name": [networks.domain(region)], "domain-name-servers": ["AmazonProvidedDNS"]}
    return found or _add_options(tx, account_id, values, default=True)


def _add_options(tx: Transaction, account_id: str, values: Mapping[str, Sequence[str]], *, default: bool) -> DhcpOptions:
    options = DhcpOptions(
        id=ids.new("dopt"),
        account_id=account_id,
        created_at=tx.now,
        values={name: list(given) for name, given in values.items()},
        is_default=default,
    )
    tx.db.add(options)
    tx.db.flush()
    return options
