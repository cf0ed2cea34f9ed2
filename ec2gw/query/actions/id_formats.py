"""The forms of ids, as today's AWS answers: every id is long, and none can be made short (EC2 User Guide, "Resource IDs")."""

from __future__ import annotations

from ec2gw.model import errors
from ec2gw.query import describe
from ec2gw.query.api import Call, Request, Response, action

RESOURCES = (
    "bundle", "conversion-task", "customer-gateway", "dhcp-options", "elastic-ip-allocation", "elastic-ip-association",
    "export-task", "flow-log", "image", "import-task", "instance", "internet-gateway", "network-acl", "network-acl-association",
    "network-interface", "network-interface-attachment", "prefix-list", "reservation", "route-table", "route-table-association",
    "security-group", "snapshot", "subnet", "subnet-cidr-block-association", "volume", "vpc", "vpc-cidr-block-association",
    "vpc-endpoint", "vpc-peering-connection", "vpn-connection", "vpn-gateway",
)  # fmt: skip
_ALL = ("all", "all-current")


def _statuses(wanted: str | None) -> list[Response]:
    _check(wanted or "all")
    return [{"Resource": name, "UseLongIds": True} for name in RESOURCES if wanted in (None, *_ALL, name)]


def _check(resource: str) -> None:
    if resource not in (*RESOURCES, *_ALL):
        raise errors.Invalid("bad-value", value=resource[:64], parameter="resource")


def _refuse_short(req: Request) -> None:
    _check(req["Resource"])
    if not req["UseLongIds"]:
        raise errors.Unsupported("unsupported", message="Short resource IDs can no longer be chosen.")


@action
def describe_id_format(call: Call, req: Request) -> Response:
    return {"Statuses": _statuses(req.get("Resource"))}


@action
def describe_identity_id_format(call: Call, req: Request) -> Response:
    return {"Statuses": _statuses(req.get("Resource"))}


@action
def describe_aggregate_id_format(call: Call, req: Request) -> Response:
    return {"UseLongIdsAggregated": True, "Statuses": _statuses(None)}


_PRINCIPALS = describe.Catalogue("Principals", "Arn", {}, pages=(1, 1_000))


@action
def describe_principal_id_format(call: Call, req: Request) -> Response:
    """No principal has chosen anything."""
    for name in req.get("Resources", ()):
        _check(name)
    return describe.choose(req, _PRINCIPALS, ())


@action(writes=False)
def modify_id_format(call: Call, req: Request) -> Response:
    _refuse_short(req)
    return {}


@action(writes=False)
def modify_identity_id_format(call: Call, req: Request) -> Response:
    _refuse_short(req)
    return {}
