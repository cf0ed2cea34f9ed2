"""The records of networks, one class a noun, in the same metadata as the others. A record has no behaviour.

Addresses and CIDR blocks are kept in their shortest text (`10.0.0.0/24`). Ids of attachments and associations are columns of the
record that can have only one of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, column_property, declared_attr, mapped_column, relationship

from ec2gw.state.records import Listed, Record


class DhcpOptions(Listed, Record):
    """`values` is option name -> its values. The default set is the one that new VPCs get."""

    __tablename__ = "dhcp_options"
    values: Mapped[dict[str, Any]]
    is_default: Mapped[bool] = mapped_column(default=False)


class Vpc(Listed, Record):
    """`blocks` are its CIDR blocks, the first one made with it: `{"id": association id, "cidr"}`.

    `dhcp_options_id` is `default` where there are to be no options. `route_table_id` is the main route table.
    """

    __tablename__ = "vpc"
    blocks: Mapped[list[Any]]
    is_default: Mapped[bool] = mapped_column(default=False)
    tenancy: Mapped[str] = mapped_column(default="default")
    dhcp_options_id: Mapped[str] = mapped_column(index=True)
    dns_support: Mapped[bool] = mapped_column(default=True)
    dns_hostnames: Mapped[bool] = mapped_column(default=False)
    usage_metrics: Mapped[bool] = mapped_column(default=False)
    route_table_id: Mapped[str] = mapped_column(index=True)
    route_association_id: Mapped[str] = mapped_column(unique=True)


class InterfaceAddress(Record):
    """A private address of an interface. The key keeps an address of a subnet from being given twice."""

    __tablename__ = "interface_address"
    subnet_id: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    interface_id: Mapped[str] = mapped_column(ForeignKey("interface.id"), index=True)
    primary: Mapped[bool]
    elastic: Mapped[Address | None] = relationship(
        primaryjoin="and_(InterfaceAddress.interface_id == foreign(Address.interface_id),"
        " InterfaceAddress.address == foreign(Address.private_address))",
        uselist=False,
        viewonly=True,
        lazy="joined",
    )


class Subnet(Listed, Record):
    """`route_table_id` is None where the VPC's main table holds. `name_options` are those of launched instances' DNS names."""

    __tablename__ = "subnet"
    vpc_id: Mapped[str] = mapped_column(index=True)
    zone: Mapped[str]
    cidr: Mapped[str]
    is_default: Mapped[bool] = mapped_column(default=False)
    public_addresses: Mapped[bool] = mapped_column(default=False)
    name_options: Mapped[dict[str, Any]]
    route_table_id: Mapped[str | None] = mapped_column(index=True)
    route_association_id: Mapped[str | None] = mapped_column(unique=True)
    acl_id: Mapped[str] = mapped_column(index=True)
    acl_association_id: Mapped[str] = mapped_column(unique=True)

    @declared_attr
    def taken(cls) -> Mapped[int]:
        """How many addresses are given to interfaces."""
        return column_property(
            select(func.count(InterfaceAddress.address)).where(InterfaceAddress.subnet_id == cls.id).scalar_subquery()
        )


class Gateway(Listed, Record):
    """An internet gateway; a VPC has at most one."""

    __tablename__ = "internet_gateway"
    vpc_id: Mapped[str | None] = mapped_column(unique=True)


class Route(Record):
    """Where a destination's packets go: to one of the targets, or to the VPC itself (`local`).

    `made` counts a table's routes in the order of their making.
    """

    __tablename__ = "route"
    route_table_id: Mapped[str] = mapped_column(ForeignKey("route_table.id"), primary_key=True)
    destination: Mapped[str] = mapped_column(primary_key=True)
    made: Mapped[int]
    local: Mapped[bool] = mapped_column(default=False)
    gateway_id: Mapped[str | None] = mapped_column(index=True)
    interface_id: Mapped[str | None] = mapped_column(index=True)
    instance_id: Mapped[str | None]
    state: Mapped[str]


class RouteTable(Listed, Record):
    __tablename__ = "route_table"
    vpc_id: Mapped[str] = mapped_column(index=True)
    routes: Mapped[list[Route]] = relationship(order_by="Route.made", cascade="all, delete-orphan", lazy="selectin")
    subnets: Mapped[list[Subnet]] = relationship(
        primaryjoin="RouteTable.id == foreign(Subnet.route_table_id)", viewonly=True, order_by="Subnet.number", lazy="selectin"
    )
    main_of: Mapped[Vpc | None] = relationship(
        primaryjoin="RouteTable.id == foreign(Vpc.route_table_id)", viewonly=True, uselist=False, lazy="selectin"
    )


class Acl(Listed, Record):
    """A network ACL. `entries` are `model.networks.Entry` dicts."""

    __tablename__ = "network_acl"
    vpc_id: Mapped[str] = mapped_column(index=True)
    is_default: Mapped[bool] = mapped_column(default=False)
    entries: Mapped[list[Any]]
    subnets: Mapped[list[Subnet]] = relationship(
        primaryjoin="Acl.id == foreign(Subnet.acl_id)", viewonly=True, order_by="Subnet.number", lazy="selectin"
    )


class SecurityGroup(Listed, Record):
    __tablename__ = "security_group"
    __table_args__ = (UniqueConstraint("vpc_id", "name"),)
    vpc_id: Mapped[str]
    name: Mapped[str]
    description: Mapped[str]
    rules: Mapped[list[Rule]] = relationship(
        primaryjoin="SecurityGroup.id == foreign(Rule.group_id)",
        order_by="Rule.number",
        cascade="all, delete-orphan",
        lazy="selectin",
    )


class Rule(Listed, Record):
    """One rule of a security group, for one peer: exactly one of `cidr`, `cidr6` and `peer_id` (a security group) is there.

    `protocol` is `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all. The ports are type and code for ICMP.
    """

    __tablename__ = "security_group_rule"
    group_id: Mapped[str] = mapped_column(index=True)
    egress: Mapped[bool]
    protocol: Mapped[str]
    from_port: Mapped[int | None]
    to_port: Mapped[int | None]
    cidr: Mapped[str | None]
    cidr6: Mapped[str | None]
    peer_id: Mapped[str | None] = mapped_column(index=True)
    description: Mapped[str | None]

    @declared_attr
    def peer_name(cls) -> Mapped[str | None]:
        """The name of the security group that is the peer."""
        named = select(SecurityGroup.name).where(SecurityGroup.id == cls.peer_id)
        return column_property(named.correlate_except(SecurityGroup).scalar_subquery())


class InterfaceGroup(Record):
    """That a security group holds for an interface."""

    __tablename__ = "interface_group"
    interface_id: Mapped[str] = mapped_column(ForeignKey("interface.id"), primary_key=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("security_group.id"), primary_key=True, index=True)
    group_name: Mapped[str] = column_property(
        select(SecurityGroup.name).where(SecurityGroup.id == group_id).correlate_except(SecurityGroup).scalar_subquery()
    )


class Interface(Listed, Record):
    """A network interface, and its attachment to an instance if it has one (`attachment_id` and what follows)."""

    __tablename__ = "interface"
    __table_args__ = (UniqueConstraint("instance_id", "device_index"),)
    subnet_id: Mapped[str] = mapped_column(index=True)
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpc.id"), index=True)
    zone: Mapped[str]
    mac: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")
    source_dest_check: Mapped[bool] = mapped_column(default=True)
    attachment_id: Mapped[str | None] = mapped_column(unique=True)
    instance_id: Mapped[str | None] = mapped_column(index=True)
    device_index: Mapped[int | None]
    delete_on_termination: Mapped[bool] = mapped_column(default=False)
    attachment_state: Mapped[str | None]
    attach_time: Mapped[datetime | None]
    vpc: Mapped[Vpc] = relationship(lazy="joined")
    addresses: Mapped[list[InterfaceAddress]] = relationship(
        order_by="(InterfaceAddress.primary.desc(), InterfaceAddress.address)", cascade="all, delete-orphan", lazy="selectin"
    )
    groups: Mapped[list[InterfaceGroup]] = relationship(
        order_by="InterfaceGroup.group_id", cascade="all, delete-orphan", lazy="selectin"
    )


class Address(Listed, Record):
    """An elastic address, and its association with a private address of an interface if it has one."""

    __tablename__ = "address"
    __table_args__ = (UniqueConstraint("interface_id", "private_address"),)
    public_ip: Mapped[str] = mapped_column(unique=True)
    association_id: Mapped[str | None] = mapped_column(unique=True)
    interface_id: Mapped[str | None] = mapped_column()
    private_address: Mapped[str | None]
    instance_id: Mapped[str | None] = column_property(
        select(Interface.instance_id).where(Interface.id == interface_id).correlate_except(Interface).scalar_subquery()
    )
