"""Blocks, the choice of addresses, and rules: each as a table or a property."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec2gw.model import errors, networks


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.5/24", "10.0.0.0/24"),
        ("1.2.3.4/32", "1.2.3.4/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("10.0.0.0", None),
        ("10.0.0.0/33", None),
        ("10.0.0/24", None),
        ("10.0.0.0/255.0.0.0", None),
        ("010.0.0.0/8", None),
        ("10.0.0.0/8 ", None),
        ("١.0.0.0/8", None),
        ("::/0", None),
        ("", None),
    ],
)
def test_blocks(text: str, block: str | None) -> None:
    assert networks.block(text) == block


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("2001:DB8::1/32", "2001:db8::/32"),
        ("::/0", "::/0"),
        ("::ffff:1.2.3.4/128", "::ffff:102:304/128"),
        ("::1", None),
        ("::/129", None),
        ("fe80::%1/64", None),
    ],
)
def test_blocks_of_ipv6(text: str, block: str | None) -> None:
    found = networks.block6(text)
    assert (found and ipaddress.IPv6Network(found)) == (block and ipaddress.IPv6Network(block))


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        ("10.0.0.0", False),
        ("10.0.0.3", False),
        ("10.0.0.4", True),
        ("10.0.0.14", True),
        ("10.0.0.15", False),
        ("10.0.0.16", False),
        ("9.255.255.255", False),
    ],
)
def test_a_subnet_keeps_five_addresses(address: str, usable: bool) -> None:
    assert networks.usable("10.0.0.0/28", address) is usable
    assert (networks.room("10.0.0.0/28"), networks.room("10.0.0.0/24"), networks.room("172.31.0.0/20")) == (11, 251, 4091)


@given(st.integers(20, 28), st.integers(0, 2**32), st.data())
def test_a_chosen_address_is_usable_and_free_and_all_are_found(prefix: int, seed: int, data: st.DataObject) -> None:
    cidr = f"10.1.0.0/{prefix}"
    room = networks.room(cidr)
    count = data.draw(st.integers(0, min(room, 40)))
    draw = random.Random(seed).randrange
    taken: set[str] = set()
    while len(taken) < count:
        wanted = data.draw(st.integers(1, count - len(taken)))
        found = networks.choose(cidr, wanted, taken.intersection, lambda: taken, draw)
        assert len(set(found)) == wanted and taken.isdisjoint(found) and all(networks.usable(cidr, one) for one in found)
        taken.update(found)
    assert len(networks.choose(cidr, room, taken.intersection, lambda: taken, draw)) == room - len(taken)


def test_a_full_subnet_has_none() -> None:
    taken = {f"10.0.0.{n}" for n in range(4, 15)}
    assert networks.choose("10.0.0.0/28", 1, taken.intersection, lambda: taken, lambda n: 0) == []
    assert networks.choose("10.0.0.0/28", 2, taken.intersection, lambda: taken - {"10.0.0.9"}, lambda n: 0) == ["10.0.0.9"]


def test_default_subnets_fill_the_gaps() -> None:
    assert networks.default_subnet("172.31.0.0/16", []) == "172.31.0.0/20"
    assert networks.default_subnet("172.31.0.0/16", ["172.31.0.0/20", "172.31.32.0/20"]) == "172.31.16.0/20"
    assert networks.default_subnet("172.31.0.0/16", ["172.31.5.0/24"]) == "172.31.16.0/20"
    assert networks.default_subnet("172.31.0.0/16", ["172.31.0.0/16"]) is None


def test_names() -> None:
    assert networks.private_name("172.31.0.5", "us-east-1") == "ip-172-31-0-5.ec2.internal"
    assert networks.private_name("172.31.0.5", "eu-west-1") == "ip-172-31-0-5.eu-west-1.compute.internal"
    assert networks.public_name("203.0.113.25", "us-east-1") == "ec2-203-0-113-25.compute-1.amazonaws.com"
    assert networks.public_name("203.0.113.25", "eu-west-1") == "ec2-203-0-113-25.eu-west-1.compute.amazonaws.com"


@pytest.mark.parametrize(
    ("protocol", "low", "high", "kept"),
    [
        ("tcp", 1, 2, ("tcp", 1, 2)),
        ("6", 0, 65535, ("tcp", 0, 65535)),
        ("UDP", 53, 53, ("udp", 53, 53)),
        ("17", 53, 53, ("udp", 53, 53)),
        ("1", 8, 0, ("icmp", 8, 0)),
        ("icmp", None, None, ("icmp", -1, -1)),
        ("58", -1, -1, ("icmpv6", -1, -1)),
        ("-1", 1, 2, ("-1", None, None)),
        ("all", None, None, ("-1", None, None)),
        ("50", 1, 2, ("50", None, None)),
    ],
)
def test_protocols_and_ports_as_they_are_kept(protocol: str, low: int | None, high: int | None, kept: tuple[Any, ...]) -> None:
    assert networks.permission(protocol, low, high, cidr=networks.ANYWHERE).traffic == kept


@pytest.mark.parametrize(
    ("protocol", "low", "high"),
    [
        ("tcp", 1, None),
        ("tcp", None, 1),
        ("udp", -1, -1),
        ("tcp", 2, 1),
        ("tcp", 1, 65536),
        ("icmp", 256, 0),
        ("icmp", -1, 0),
        ("256", None, None),
        ("sctp", None, None),
    ],
)
def test_protocols_and_ports_that_cannot_be(protocol: str, low: int | None, high: int | None) -> None:
    with pytest.raises(errors.Invalid):
        networks.permission(protocol, low, high, cidr=networks.ANYWHERE)


def test_each_peer_is_a_rule() -> None:
    said = {
        "IpProtocol": "tcp",
        "FromPort": 1,
        "ToPort": 2,
        "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "a"}, {"CidrIp": "11.0.0.0/8"}],
        "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
        "UserIdGroupPairs": [{"GroupId": "sg-1", "GroupName": "gone", "UserId": "1"}, {"GroupName": "web"}],
    }
    rules = networks.permissions([said])
    assert {rule.traffic for rule in rules} == {("tcp", 1, 2)}
    assert [(rule.cidr or rule.cidr6, rule.group_id, rule.group_name, rule.owner, rule.description) for rule in rules] == [
        (None, "sg-1", None, "1", None),
        (None, None, "web", None, None),
        ("10.0.0.0/8", None, None, None, "a"),
        ("11.0.0.0/8", None, None, None, None),
        ("::/0", None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (("tcp", 22, 22, "0.0.0.0/0"), "peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW"),
        (("-1", None, None, "sg-1"), "peer: sg-1, ALL, ALLOW"),
        (("icmp", -1, -1, "10.0.0.0/8"), "peer: 10.0.0.0/8, ICMP, type: ALL, code: ALL, ALLOW"),
        (("icmp", 8, 0, "10.0.0.0/8"), "peer: 10.0.0.0/8, ICMP, type: 8, code: 0, ALLOW"),
        (("50", None, None, "::/0"), "peer: ::/0, 50, ALLOW"),
    ],
)
def test_rules_in_words(rule: tuple[Any, ...], text: str) -> None:
    assert networks.said(*rule) == text


def test_the_entries_of_an_acl() -> None:
    said: dict[str, Any] = {"RuleNumber": 1, "RuleAction": "allow", "Egress": True, "CidrBlock": "10.0.0.5/8", "Protocol": "udp"}
    entry = networks.entry(said | {"PortRange": {"From": 1, "To": 2}})
    assert (entry.protocol, entry.cidr, entry.low, entry.high) == ("17", "10.0.0.0/8", 1, 2)
    for wrong in (
        {"RuleNumber": 0},
        {"RuleNumber": networks.LAST_ENTRY},
        {"RuleAction": "maybe"},
        {"CidrBlock": "10.0.0.0"},
        {"Ipv6CidrBlock": "::/0"},
        {"Protocol": "icmp"},
        {},
    ):
        with pytest.raises((errors.Invalid, errors.Missing)):
            networks.entry(said | wrong)
