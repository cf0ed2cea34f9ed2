"""Resource ids: `<prefix>-` and 17 lower-case hex digits (EC2 User Guide, "Resource IDs")."""

from __future__ import annotations

import re
import secrets

# The record's kind by the prefix of its id. The longest prefix wins (`eni-attach` before `eni`).
KINDS = {
    "i": "instance",
    "r": "reservation",
    "vol": "volume",
    "snap": "snapshot",
    "ami": "image",
    "key": "key-pair",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "eni": "network-interface",
    "eni-attach": "network-interface-attachment",
    "vpc": "vpc",
    "subnet": "subnet",
    "rtb": "route-table",
    "rtbassoc": "route-table-association",
    "igw": "internet-gateway",
    "acl": "network-acl",
    "dopt": "dhcp-options",
    "eipalloc": "elastic-ip",
    "eipassoc": "elastic-ip-association",
    "lt": "launch-template",
    "pg": "placement-group",
    "replacevol": "replace-root-volume-task",
    "import-snap": "import-snapshot-task",
    "import-ami": "import-image-task",
    # of what nobody can have here
    "cgw": "customer-gateway",
    "eigw": "egress-only-internet-gateway",
    "fl": "vpc-flow-log",
    "iip-assoc": "iam-instance-profile-association",
    "nat": "natgateway",
    "pcx": "vpc-peering-connection",
    "pl": "prefix-list",
    "tgw": "transit-gateway",
    "vgw": "vpn-gateway",
    "vpce": "vpc-endpoint",
    "vpn": "vpn-connection",
}

_FORM = re.compile(r"([a-z]+(?:-[a-z]+)*)-([0-9a-f]{1,17})")


def new(prefix: str) -> str:
    """A fresh id, e.g. `vol-0123456789abcdef0`. EC2's long ids begin with 0."""
    return f"{prefix}-0{secrets.token_hex(8)}"


def new_account() -> str:
    """A fresh 12-digit account id."""
    return f"{secrets.randbelow(9 * 10**11) + 10**11}"


def well_formed(prefix: str, text: str) -> bool:
    """True for `prefix-` and 1 to 17 hex digits: older resources have short ids, so a short one is absent, not malformed."""
    match = _FORM.fullmatch(text)
    return match is not None and match[1] == prefix


def kind(text: str) -> str | None:
    """The kind of record an id names, by its prefix; None when it is no id of ours."""
    match = _FORM.fullmatch(text)
    return KINDS.get(match[1]) if match else None


def serial(volume_id: str) -> str:
    """The disk serial a guest sees: the volume id without its dash, 20 characters, as on EC2's NVMe disks.

    virtio-blk cuts a serial at 20 characters without a word, and `vol-` with 17 digits has 21.
    """
    return volume_id.replace("-", "")[:20]
