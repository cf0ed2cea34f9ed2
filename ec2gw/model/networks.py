"""The rules of networks: CIDR blocks, the choice of addresses, security-group rules, names. Pure; it must not know a record.

Blocks and addresses come and go as text in their shortest form. EC2 takes a block with host bits for the block it lies in
(API_CreateVpc, CidrBlock).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import Any

from ec2gw.model import errors

ANYWHERE = "0.0.0.0/0"
DEFAULT_VPC = "172.31.0.0/16"
LARGEST, SMALLEST = 16, 28  # prefix lengths of VPCs and subnets (VPC User Guide, "VPC CIDR blocks")
RESERVED = 5  # a subnet's first four addresses and its last (VPC User Guide, "Subnet sizing")
LONGEST_DESCRIPTION = 255
LAST_ENTRY = 32_767  # the rule of a network ACL that catches what is left; the user's own come before it
_TRIES = 8

_CIDR = re.compile(r"[0-9.]{7,15}/[0-9]{1,2}", re.ASCII)
_CIDR6 = re.compile(r"[0-9a-fA-F:.]{2,45}/[0-9]{1,3}", re.ASCII)


# -- blocks and addresses -----------------------------------------------------------------------------------------------------


def block(text: str) -> str | None:
    """The IPv4 block in its shortest form; None for what is none."""
    try:
        return str(IPv4Network(text, strict=False)) if _CIDR.fullmatch(text) else None
    except ValueError:
        return None


def block6(text: str) -> str | None:
    """The IPv6 block in its shortest form; None for what is none."""
    try:
        return str(IPv6Network(text, strict=False)) if _CIDR6.fullmatch(text) else None
    except ValueError:
        return None


def address(text: str) -> str | None:
    """The IPv4 address; None for what is none."""
    try:
        return str(IPv4Address(text))
    except ValueError:
        return None


def range_of(text: str, parameter: str, refusal: str, within: Iterable[str] = ()) -> str:
    """The block of a VPC or subnet. Raises Invalid (`refusal`) for one of a wrong size, or outside the blocks it must lie in."""
    found = block(text)
    if found is None:
        raise errors.Invalid("invalid-value", value=text[:64], parameter=parameter, why="This is not a valid CIDR block.")
    network = IPv4Network(found)
    homes = [IPv4Network(home) for home in within]
    if not LARGEST <= network.prefixlen <= SMALLEST or (homes and not any(network.subnet_of(home) for home in homes)):
        raise errors.Invalid(refusal, cidr=found)
    return found


def overlap(one: str, other: str) -> bool:
    """Whether two IPv4 blocks have an address in common."""
    return IPv4Network(one).overlaps(IPv4Network(other))


def inside(cidr: str, home: str) -> bool:
    """Whether an IPv4 block lies in another, or is it."""
    return IPv4Network(cidr).subnet_of(IPv4Network(home))


def default_subnet(vpc: str, taken: Sequence[str]) -> str | None:
    """The first /20 of a default VPC that no subnet overlaps; None when there is none left."""
    blocks = (str(part) for part in IPv4Network(vpc).subnets(new_prefix=20))
    return next((part for part in blocks if not any(overlap(part, other) for other in taken)), None)


def room(cidr: str) -> int:
    """How many addresses of a subnet can be given to interfaces."""
    return IPv4Network(cidr).num_addresses - RESERVED


def usable(cidr: str, text: str) -> bool:
    """Whether an address is one that a subnet can give to an interface."""
    network = IPv4Network(cidr)
    place = int(IPv4Address(text)) - int(network.network_address)
    return RESERVED - 1 <= place < network.num_addresses - 1


def choose(
    cidr: str,
    count: int,
    taken: Callable[[Sequence[str]], Iterable[str]],
    every: Callable[[], Iterable[str]],
    draw: Callable[[int], int],
) -> list[str]:
    """So many free addresses of a subnet, anywhere in it; fewer when it has no more.

    `taken` tells which of some addresses are, `every` names all that are (asked only when the subnet is crowded), and `draw(n)`
    is a random number below n. An address that was given back is thus not given to the next who asks, as on EC2.
    """
    first, size = int(IPv4Network(cidr).network_address) + RESERVED - 1, room(cidr)
    found: dict[str, None] = {}
    for _ in range(_TRIES):
        drawn = dict.fromkeys(str(IPv4Address(first + draw(size))) for _ in range(count - len(found)))
        used = {*found, *taken(list(drawn))}
        found |= {address: None for address in drawn if address not in used}
        if len(found) == count:
            return list(found)
    crowd = {int(IPv4Address(text)) for text in (*found, *every())}
    free = [number for number in range(first, first + size) if number not in crowd]
    while free and len(found) < count:
        found[str(IPv4Address(free.pop(draw(len(free)))))] = None
    return list(found)


# -- names --------------------------------------------------------------------------------------------------------------------


def domain(region: str) -> str:
    """The domain of a region's private names."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def private_name(address: str, region: str) -> str:
    """The name of a private address (VPC User Guide, "DNS hostnames")."""
    return f"ip-{address.replace('.', '-')}.{domain(region)}"


def public_name(address: str, region: str) -> str:
    """The name of a public address (VPC User Guide, "DNS hostnames")."""
    home = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"ec2-{address.replace('.', '-')}.{home}.amazonaws.com"


# -- security-group rules -----------------------------------------------------------------------------------------------------

_PROTOCOLS = {"all": "-1", "6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}
_NAMED = ("-1", "tcp", "udp", "icmp", "icmpv6")


@dataclass(frozen=True)
class Permission:
    """What one rule allows to or from one peer. A security group is named by its id or its name, `owner` is its account."""

    protocol: str
    from_port: int | None
    to_port: int | None
    cidr: str | None = None
    cidr6: str | None = None
    group_id: str | None = None
    group_name: str | None = None
    owner: str | None = None
    description: str | None = None

    @property
    def traffic(self) -> tuple[str, int | None, int | None]:
        """Protocol and ports."""
        return self.protocol, self.from_port, self.to_port


def permission(
    protocol: str | None,
    from_port: int | None,
    to_port: int | None,
    *,
    cidr: str | None = None,
    cidr6: str | None = None,
    group_id: str | None = None,
    group_name: str | None = None,
    owner: str | None = None,
    description: str | None = None,
) -> Permission:
    """A rule as it is kept: the protocol by its name, no ports where there are none, blocks in their shortest form.

    Raises Missing, Malformed or Invalid for what cannot be a rule (API_IpPermission).
    """
    name = _protocol(protocol)
    ports = _ports(name, from_port, to_port)
    if description is not None and len(description) > LONGEST_DESCRIPTION:
        raise errors.Invalid("rule-description", most=LONGEST_DESCRIPTION)
    for text, read in ((cidr, block), (cidr6, block6)):
        if text is not None and read(text) is None:
            raise errors.Invalid("cidr-malformed", cidr=text[:64])
    return Permission(
        name,
        *ports,
        cidr=block(cidr) if cidr is not None else None,
        cidr6=block6(cidr6) if cidr6 is not None else None,
        group_id=group_id,
        group_name=group_name,
        owner=owner,
        description=description or None,
    )


def permissions(said: Iterable[Mapping[str, Any]]) -> list[Permission]:
    """The rules of IpPermissions: one for each peer of each entry. Raises as `permission`, and where an entry names no peer."""
    found: list[Permission] = []
    for entry in said:
        traffic = entry.get("IpProtocol"), entry.get("FromPort"), entry.get("ToPort")
        peers = [permission(*traffic, **peer) for peer in _peers(entry)]
        if not peers:
            raise errors.Malformed("permission-malformed", message="A rule must name a source or a destination.")
        found += peers
    if len({(row.traffic, row.cidr, row.cidr6, row.group_id, row.group_name) for row in found}) < len(found):
        raise errors.Invalid("permission-repeated")
    return found


def _peers(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for group in entry.get("UserIdGroupPairs", ()):
        if not group.get("GroupId") and not group.get("GroupName"):
            raise errors.Missing("group-id-missing")
        yield {
            "group_id": group.get("GroupId"),
            "group_name": None if group.get("GroupId") else group["GroupName"],
            "owner": group.get("UserId"),
            "description": group.get("Description"),
        }
    for row in entry.get("IpRanges", ()):
        yield {"cidr": row.get("CidrIp", ""), "description": row.get("Description")}
    for row in entry.get("Ipv6Ranges", ()):
        yield {"cidr6": row.get("CidrIpv6", ""), "description": row.get("Description")}
    for row in entry.get("PrefixListIds", ()):
        raise errors.NotFound("not-found", kind="prefix-list", ids=[row.get("PrefixListId", "")])


def flat(
    protocol: str | None,
    from_port: int | None,
    to_port: int | None,
    cidr: str | None,
    group_name: str | None,
    owner: str | None,
) -> list[Permission]:
    """The rules of the old form, without IpPermissions.

    A source group wins over a block beside it: old clients send `0.0.0.0/0` along whatever is asked. Without a protocol it gives
    full TCP, UDP and ICMP access (API_AuthorizeSecurityGroupIngress, SourceSecurityGroupName).
    """
    if group_name is None:
        if cidr is None:
            raise errors.Malformed("permission-malformed", message="A rule must name a source or a destination.")
        return [permission(protocol, from_port, to_port, cidr=cidr)]
    if protocol is not None:
        return [permission(protocol, from_port, to_port, group_name=group_name, owner=owner)]
    every = (("tcp", 0, 65535), ("udp", 0, 65535), ("icmp", -1, -1))
    return [permission(*traffic, group_name=group_name, owner=owner) for traffic in every]


def said(protocol: str, from_port: int | None, to_port: int | None, peer: str) -> str:
    """A rule in EC2's words for its errors: `peer: 0.0.0.0/0, TCP, from port: 22, to port: 22, ALLOW`."""
    words = {"-1": "ALL"}.get(protocol, protocol.upper())
    if protocol in ("tcp", "udp"):
        words += f", from port: {from_port}, to port: {to_port}"
    elif protocol in ("icmp", "icmpv6"):
        words += ", type: {}, code: {}".format(*("ALL" if number in (None, -1) else number for number in (from_port, to_port)))
    return f"peer: {peer}, {words}, ALLOW"


def _protocol(text: str | None) -> str:
    if text is None:
        raise errors.Missing("missing-parameter", parameter="ipProtocol")
    name = _PROTOCOLS.get(text.lower(), text.lower())
    if name in _NAMED or (re.fullmatch(r"[0-9]{1,3}", name, re.ASCII) and int(name) <= 255):
        return name
    raise errors.Invalid("protocol-unknown", protocol=text[:64])


def _ports(protocol: str, low: int | None, high: int | None) -> tuple[int | None, int | None]:
    """The ports that count. Only TCP and UDP have ports, and ICMP its type and code."""
    if protocol in ("tcp", "udp"):
        if low is None or high is None:
            raise errors.Invalid("bad-value", value="Must specify both from and to ports with TCP/UDP.", parameter="portRange")
        for port in (low, high):
            if not 0 <= port <= 65535:
                raise errors.Invalid("port-out-of-range", port=port)
        if low > high:
            raise errors.Invalid("port-range", low=low, high=high)
        return low, high
    if protocol in ("icmp", "icmpv6"):
        low, high = -1 if low is None else low, -1 if high is None else high
        for number in (low, high):
            if not -1 <= number <= 255:
                raise errors.Invalid("icmp-out-of-range", number=number)
        if low == -1 != high:  # every type has every code (API_IpPermission, ToPort)
            raise errors.Invalid("icmp-out-of-range", number=high)
        return low, high
    return None, None


# -- network ACLs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A rule of a network ACL. `protocol` is a number or -1; `low` and `high` are ports, or type and code for ICMP."""

    number: int
    egress: bool
    protocol: str
    action: str
    cidr: str | None
    cidr6: str | None = None
    low: int | None = None
    high: int | None = None

    @property
    def icmp(self) -> bool:
        """Whether `low` and `high` are type and code."""
        return self.protocol in ("1", "58")


def entries(*, allow: bool) -> list[Entry]:
    """What a network ACL begins with: the default one allows everything, another one nothing."""
    last = [Entry(LAST_ENTRY, egress, "-1", "deny", ANYWHERE) for egress in (True, False)]
    return [Entry(100, egress, "-1", "allow", ANYWHERE) for egress in (True, False)] + last if allow else last


def entry(said: Mapping[str, Any]) -> Entry:
    """The entry of CreateNetworkAclEntry. Raises Missing or Invalid for what cannot be one."""
    number, action = said["RuleNumber"], said["RuleAction"]
    if not 1 <= number < LAST_ENTRY:
        why = f"The rule number must be between 1 and {LAST_ENTRY - 1}."
        raise errors.Invalid("invalid-value", value=number, parameter="ruleNumber", why=why)
    if action not in ("allow", "deny"):
        raise errors.Invalid("bad-value", value=action[:64], parameter="ruleAction")
    cidr, cidr6 = said.get("CidrBlock"), said.get("Ipv6CidrBlock")
    if (cidr is None) == (cidr6 is None):
        raise errors.Missing("missing-parameter", parameter="cidrBlock")
    for text, read in ((cidr, block), (cidr6, block6)):
        if text is not None and read(text) is None:
            raise errors.Invalid("invalid-value", value=text[:64], parameter="cidrBlock", why="This is not a valid CIDR block.")
    name = _protocol(said["Protocol"])
    protocol = {"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58"}.get(name, name)
    low = high = None
    if protocol in ("6", "17"):
        ports = said.get("PortRange", {})
        low, high = _ports("tcp", ports.get("From"), ports.get("To"))
    elif protocol in ("1", "58"):
        kind = said.get("IcmpTypeCode")
        if kind is None:
            raise errors.Missing("missing-parameter", parameter="icmpTypeCode")
        low, high = _ports("icmp", kind.get("Type"), kind.get("Code"))
    return Entry(
        number,
        said["Egress"],
        protocol,
        action,
        block(cidr) if cidr is not None else None,
        block6(cidr6) if cidr6 is not None else None,
        low,
        high,
    )
