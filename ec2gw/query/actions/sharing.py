"""How requests and answers say whom an image or a snapshot is shared with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ec2gw.cloud import permissions
from ec2gw.model import errors
from ec2gw.query.api import Request, Response

MOST_ACCOUNTS = 10_000  # LaunchPermission in the model: in a single request


@dataclass(frozen=True)
class Wish:
    """Whom to share with, and with whom no more: account ids and `all`."""

    add: tuple[str, ...]
    remove: tuple[str, ...]


def view(grantees: Iterable[str]) -> list[Response]:
    """Grantees as EC2 writes them."""
    return [{"Group": grantee} if grantee == permissions.ALL else {"UserId": grantee} for grantee in grantees]


def wish(req: Request, member: str, groups: str) -> Wish:
    """Read a request: the structure `member` with Add and Remove, or OperationType with UserIds and the list `groups`.

    Raises Conflict where nothing, or a thing half said, is wished; Invalid for who cannot be shared with.
    """
    listed = [*_accounts(req.get("UserIds", ())), *_groups(req.get(groups, ()))]
    organizations = "OrganizationArns" in req or "OrganizationalUnitArns" in req
    if member in req:
        if listed or "OperationType" in req:
            raise errors.Conflict("parameter-conflict", parameter=member, other="operationType")
        add, remove = (tuple(_entries(req[member].get(side, ()))) for side in ("Add", "Remove"))
    else:
        if not (listed or organizations) or "OperationType" not in req:
            raise errors.Conflict("attribute-missing")
        if req["OperationType"] not in ("add", "remove"):
            raise errors.Invalid("bad-value", value=req["OperationType"][:64], parameter="operationType")
        if organizations:
            raise _organizations()
        add, remove = (tuple(listed) if req["OperationType"] == side else () for side in ("add", "remove"))
    if not add and not remove:
        raise errors.Conflict("attribute-missing")
    if len(add) + len(remove) > MOST_ACCOUNTS:
        raise errors.LimitExceeded("too-many-resources", most=MOST_ACCOUNTS)
    return Wish(add, remove)


def _entries(entries: Sequence[Response]) -> Iterable[str]:
    for entry in entries:
        if "OrganizationArn" in entry or "OrganizationalUnitArn" in entry:
            raise _organizations()
        yield from _accounts([entry["UserId"]] if "UserId" in entry else ())
        yield from _groups([entry["Group"]] if "Group" in entry else ())


def _accounts(ids: Iterable[str]) -> Iterable[str]:
    for id in ids:
        if not re.fullmatch(r"[0-9]{12}", id, re.ASCII):
            raise errors.Invalid("image-attribute-value", value=id[:64], item="userId")
        yield id


def _groups(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        if name != permissions.ALL:
            raise errors.Invalid("image-attribute-value", value=name[:64], item="userGroup")
        yield name


def _organizations() -> errors.Refusal:
    return errors.Unsupported("unsupported", message="Sharing with organizations is not supported by this endpoint.")
