"""The network every account begins with, and what is left when things go."""

from __future__ import annotations

from typing import Any

import pytest

from ec2gw.cloud import groups, interfaces, networks, routes
from ec2gw.state.networks import Acl, DhcpOptions, Gateway, Route, RouteTable, Rule, SecurityGroup, Subnet, Vpc
from tests.cloud.world import ME, ZONE, ZONES, World
from tests.refusals import refused

TABLES = (Acl, DhcpOptions, Gateway, Route, RouteTable, Rule, SecurityGroup, Subnet, Vpc)


def test_an_account_of_another_region(world: World) -> None:
    world.wish(networks.create_default_vpc, "eu-west-1", ("eu-west-1a",), account="333333333333")
    (options,) = world.rows(DhcpOptions, account_id="333333333333")
    assert options["values"]["domain-name"] == ["eu-west-1.compute.internal"]
    (subnet,) = world.rows(Subnet, account_id="333333333333")
    assert (subnet["zone"], subnet["cidr"]) == ("eu-west-1a", "172.31.0.0/20")


@pytest.mark.parametrize(
    ("module", "limit", "verb", "code"),
    [
        (
            networks,
            "MOST_VPCS",
            lambda tx, me: networks.create_vpc(tx, me, "us-east-1", "10.0.0.0/16", "default"),
            "VpcLimitExceeded",
        ),
        (
            networks,
            "MOST_DHCP_OPTIONS",
            lambda tx, me: networks.create_options(tx, me, {"domain-name": ["a"]}),
            "DhcpOptionsLimitExceeded",
        ),
        (routes, "MOST_GATEWAYS", routes.create_gateway, "InternetGatewayLimitExceeded"),
        (groups, "MOST_GROUPS", lambda tx, me: groups.create(tx, me, "web", "x", None), "SecurityGroupLimitExceeded"),
    ],
)
def test_an_account_has_limits(
    world: World, monkeypatch: pytest.MonkeyPatch, module: Any, limit: str, verb: Any, code: str
) -> None:
    texts = {
        "VpcLimitExceeded": "The maximum number of VPCs has been reached.",
        "DhcpOptionsLimitExceeded": "The maximum number of DHCP options has been reached.",
        "InternetGatewayLimitExceeded": "The maximum number of internet gateways has been reached.",
        "SecurityGroupLimitExceeded": "The maximum number of security groups has been reached.",
    }
    monkeypatch.setattr(module, limit, 1)
    before = world.everything()
    with refused(code, texts[code]):
        world.wish(verb)
    assert world.everything() == before


def test_a_vpc_has_limits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (vpc,) = world.rows(Vpc, account_id=ME)
    monkeypatch.setattr(networks, "MOST_SUBNETS", len(ZONES))
    with refused("SubnetLimitExceeded", "The maximum number of subnets has been reached."):
        world.wish(networks.create_subnet, vpc["id"], ZONE, "172.31.240.0/20")
    monkeypatch.setattr(networks, "MOST_BLOCKS", 1)
    with refused("CidrLimitExceeded", "This network has met its maximum number of allowed CIDRs."):
        world.wish(networks.add_block, vpc["id"], "10.0.0.0/16")
    monkeypatch.setattr(routes, "MOST_TABLES", 1)
    with refused("RouteTableLimitExceeded", "The maximum number of route tables has been reached."):
        world.wish(routes.create, vpc["id"])
    monkeypatch.setattr(routes, "MOST_ROUTES", 2)
    (gateway,) = world.rows(Gateway, account_id=ME)
    target = routes.Target(gateway_id=gateway["id"])
    with refused("RouteLimitExceeded", "The maximum number of routes has been reached."):
        world.wish(routes.create_route, vpc["route_table_id"], "1.0.0.0/8", target)


def test_an_account_has_only_so_many_interfaces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interfaces, "MOST_INTERFACES", 1)
    subnet = world.rows(Subnet, account_id=ME)[0]["id"]
    world.wish(interfaces.create, interfaces.Wanted(subnet))
    with refused("NetworkInterfaceLimitExceeded", "The maximum number of network interfaces has been reached."):
        world.wish(interfaces.create, interfaces.Wanted(subnet))
