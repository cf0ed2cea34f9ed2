"""The verbs of tags (EC2 User Guide, "Tag your Amazon EC2 resources"). Only this module, and a record that goes, changes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, bindparam, func, insert, not_, select
from sqlalchemy import delete as sql_delete

from ec2gw.model import errors, ids
from ec2gw.state import journal, networks
from ec2gw.state.records import (
    Image,
    ImportTask,
    Instance,
    KeyPair,
    LaunchTemplate,
    Listed,
    PlacementGroup,
    RootReplacement,
    Snapshot,
    Tag,
    Volume,
)
from ec2gw.state.session import Transaction

MOST_TAGS = 50  # of the user's own on one resource
MOST_RESOURCES = 1_000  # in one call
LONGEST_KEY = 128
LONGEST_VALUE = 256
RESERVED = "aws:"

# What can be tagged, by the kind that an id names.
RECORDS: Mapping[str, type[Listed]] = {
    "instance": Instance,
    "volume": Volume,
    "snapshot": Snapshot,
    "image": Image,
    "key-pair": KeyPair,
    "security-group": networks.SecurityGroup,
    "security-group-rule": networks.Rule,
    "network-interface": networks.Interface,
    "vpc": networks.Vpc,
    "subnet": networks.Subnet,
    "route-table": networks.RouteTable,
    "internet-gateway": networks.Gateway,
    "network-acl": networks.Acl,
    "dhcp-options": networks.DhcpOptions,
    "elastic-ip": networks.Address,
    "launch-template": LaunchTemplate,
    "placement-group": PlacementGroup,
    "replace-root-volume-task": RootReplacement,
    "import-snapshot-task": ImportTask,
    "import-image-task": ImportTask,
}
_ROWS = 500  # ids in one query
# Built once: nearly every answer asks it, and building it takes longer than asking.
_OF = (
    select(Tag.resource_id, Tag.key, Tag.value)
    .where(Tag.resource_id.in_(bindparam("ids", expanding=True)))
    .order_by(Tag.resource_id, Tag.key)
)


def create(tx: Transaction, account_id: str, resource_ids: Sequence[str], pairs: Iterable[tuple[str, str | None]]) -> None:
    """Tag resources of the account, whatever their state, or none of them (API_CreateTags)."""
    tags = checked(pairs)
    found = _existing(tx, account_id, resource_ids)
    put(tx, account_id, found, tags)


def put(tx: Transaction, account_id: str, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
    """Give tags that are `checked` to resources that exist. Raises LimitExceeded past `MOST_TAGS`."""
    if not tags or not resource_ids:
        return
    tx.db.flush()
    if len(tags) > MOST_TAGS:
        raise errors.LimitExceeded("too-many-tags")
    for some in _chunks(resource_ids):
        concerning = journal.concerning(*some)
        tx.db.execute(sql_delete(Tag).where(Tag.resource_id.in_(some), Tag.key.in_(tags)), execution_options=concerning)
        rows = [
            {"resource_id": id, "key": key, "value": value, "account_id": account_id, "resource_type": ids.kind(id)}
            for id in some
            for key, value in tags.items()
        ]
        tx.db.execute(insert(Tag), rows, execution_options=concerning)
        fullest = select(func.count()).where(Tag.resource_id.in_(some), _own()).group_by(Tag.resource_id)
        if any(count > MOST_TAGS for count in tx.db.scalars(fullest)):
            raise errors.LimitExceeded("too-many-tags")


def delete(
    tx: Transaction, account_id: str, resource_ids: Sequence[str], pairs: Sequence[tuple[str, str | None]] | None = None
) -> None:
    """Take tags away (API_DeleteTags): those of a key, only where the value is equal if one is given; all when none are named."""
    found = _existing(tx, account_id, resource_ids)
    for key, _ in pairs or ():
        _check_key(key)
    for some in _chunks(found):
        chosen = sql_delete(Tag).where(Tag.resource_id.in_(some), _own()).execution_options(**journal.concerning(*some))
        if pairs is None:
            tx.db.execute(chosen)
        for key, value in pairs or ():
            tx.db.execute(chosen.where(Tag.key == key) if value is None else chosen.where(Tag.key == key, Tag.value == value))


def checked(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str]:
    """The tags of a request by key. Raises Invalid for keys that are empty, too long, reserved or said twice, and for values."""
    tags: dict[str, str] = {}
    for key, value in pairs:
        _check_key(key)
        if key in tags:
            raise errors.Invalid("tag-duplicate", key=key)
        if value is None:
            raise errors.Invalid("tag-value-missing")
        if len(value) > LONGEST_VALUE:
            raise errors.Invalid("tag-value-too-long")
        tags[key] = value
    return tags


def of(tx: Transaction, resource_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The tags of resources, by id and key, the keys in order. Whoever asks has found the resources as his own."""
    found: dict[str, dict[str, str]] = {id: {} for id in resource_ids}
    for some in _chunks(resource_ids):
        for id, key, value in tx.db.execute(_OF, {"ids": some}):
            found[id][key] = value
    return found


def _check_key(key: str) -> None:
    if not key:
        raise errors.Invalid("tag-key-empty")
    if len(key) > LONGEST_KEY:
        raise errors.Invalid("tag-key-too-long")
    if key.lower().startswith(RESERVED):
        raise errors.NotPermitted("tag-reserved")


def _existing(tx: Transaction, account_id: str, resource_ids: Sequence[str]) -> list[str]:
    """The ids without repeats. Raises Malformed or NotFound unless each names a taggable resource of the account."""
    unique = list(dict.fromkeys(resource_ids))
    if len(unique) > MOST_RESOURCES:
        raise errors.LimitExceeded("too-many-resources", most=MOST_RESOURCES)
    by_kind: dict[str, list[str]] = {}
    for id in unique:
        kind = ids.kind(id)
        if kind is None or kind == "reservation":
            raise errors.Malformed("invalid-id", id=id[:64])
        by_kind.setdefault(kind, []).append(id)
    for kind, some in by_kind.items():
        record = RECORDS.get(kind)
        present: set[str] = set()
        if record is not None:
            rows = select(record.id).where(record.id.in_(some), record.account_id == account_id)
            if record is Image:
                rows = rows.where(Image.state != "deregistered")
            present = set(tx.db.scalars(rows))
        missing = [id for id in some if id not in present]
        if missing:
            raise errors.NotFound("not-found", kind=kind, ids=missing)
    return unique


def _own() -> ColumnElement[bool]:
    """The user's own tags: those that are not AWS's. (Keys cannot begin so in another case either.)"""
    return not_(Tag.key.startswith(RESERVED, autoescape=True))


def _chunks(resource_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (resource_ids[start : start + _ROWS] for start in range(0, len(resource_ids), _ROWS))
