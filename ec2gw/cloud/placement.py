"""The verbs of placement groups (EC2 User Guide, "Placement groups"). Only this module changes their records.

A group is kept and its limits hold; where a host stands is the operator's affair, so a group moves no instance.
"""

from __future__ import annotations

from collections import Counter

from sqlalchemy import func, select

from ec2gw.cloud import lookup
from ec2gw.model import errors, ids, instance_types
from ec2gw.state import records
from ec2gw.state.records import Instance, PlacementGroup
from ec2gw.state.session import Transaction

MOST_GROUPS = 500  # of an account
MOST_PARTITIONS = 7
MOST_SPREAD = 7  # running instances of a spread group in a zone
LONGEST_NAME = 255
STRATEGIES = ("cluster", "spread", "partition")
_PARTITIONS = 2  # where nobody says how many


def create(tx: Transaction, account_id: str, name: str, strategy: str, partitions: int | None) -> PlacementGroup:
    """A new group (API_CreatePlacementGroup). Only the strategy `partition` has partitions."""
    if not name.isascii() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise errors.Invalid("invalid-value", value=name[:64], parameter="groupName", why="At most 255 ASCII characters.")
    if strategy not in STRATEGIES:
        raise errors.Invalid("bad-value", value=strategy[:64], parameter="strategy")
    if partitions is not None and strategy != "partition":
        raise errors.Conflict("partitions-without-strategy")
    if partitions is not None and not 0 < partitions <= MOST_PARTITIONS:
        why = f"It must be between 1 and {MOST_PARTITIONS}."
        raise errors.Invalid("invalid-value", value=partitions, parameter="partitionCount", why=why)
    if _named(tx, account_id, name):
        raise errors.Duplicate("placement-group-taken", name=name)
    if (tx.db.scalar(select(func.count()).where(PlacementGroup.account_id == account_id)) or 0) >= MOST_GROUPS:
        raise errors.LimitExceeded("placement-group-limit")
    group = PlacementGroup(
        id=ids.new("pg"),
        account_id=account_id,
        created_at=tx.now,
        name=name,
        strategy=strategy,
        partitions=(partitions or _PARTITIONS) if strategy == "partition" else None,
        spread_level="rack" if strategy == "spread" else None,
    )
    tx.db.add(group)
    tx.db.flush()
    return group


def delete(tx: Transaction, account_id: str, name: str) -> None:
    """Forget a group that has no instance any more (API_DeletePlacementGroup)."""
    group = find(tx, account_id, name)
    if any(_there(tx, group)):
        raise errors.InUse("placement-group-in-use", name=name)
    records.forget_tags(tx.db, group.id)
    tx.db.delete(group)
    tx.db.flush()


def find(tx: Transaction, account_id: str, name: str | None, id: str | None = None) -> PlacementGroup:
    """The account's group of a name, or of an id."""
    if id is not None:
        return lookup.one(tx, PlacementGroup, "pg", account_id, id)
    group = _named(tx, account_id, name or "")
    if group is None:
        raise errors.NotFound("not-found", kind="placement-group", ids=[(name or "")[:LONGEST_NAME]])
    return group


def join(tx: Transaction, group: PlacementGroup | None, instance: Instance, partition: int | None) -> None:
    """Put an instance into a group, into the emptiest partition where none is named; into no group with None."""
    instance.placement_group, instance.partition = None, None
    if group is None or group.strategy != "partition":
        if partition is not None:
            raise errors.Conflict("partition-without-group")
    elif partition is not None and not 0 < partition <= (group.partitions or 0):
        why = f"The placement group has {group.partitions} partitions."
        raise errors.Invalid("invalid-value", value=partition, parameter="partitionNumber", why=why)
    if group is None:
        return
    if group.strategy not in instance_types.find(instance.type).strategies:
        raise errors.Conflict("placement-group-type", type=instance.type)
    if room(tx, group, instance.zone) < 1:
        raise errors.LimitExceeded("placement-group-full", name=group.name)
    there = _there(tx, group)
    if group.strategy == "partition" and partition is None:
        crowd = Counter(number for _, number in there)
        partition = min(range(1, (group.partitions or 0) + 1), key=lambda number: (crowd[number], number))
    instance.placement_group, instance.partition = group.name, partition
    tx.db.flush()


def room(tx: Transaction, group: PlacementGroup | None, zone: str) -> float:
    """How many instances more can be in a group in a zone."""
    if group is None or group.strategy != "spread":
        return float("inf")
    return MOST_SPREAD - sum(there == zone for there, _ in _there(tx, group))


def _named(tx: Transaction, account_id: str, name: str) -> PlacementGroup | None:
    row = select(PlacementGroup).where(PlacementGroup.account_id == account_id, PlacementGroup.name == name)
    return tx.db.scalars(row).one_or_none()


def _there(tx: Transaction, group: PlacementGroup) -> list[tuple[str, int | None]]:
    """Zone and partition of each instance of a group."""
    rows = select(Instance.zone, Instance.partition).where(
        Instance.account_id == group.account_id, Instance.placement_group == group.name, Instance.state != "terminated"
    )
    return [(zone, partition) for zone, partition in tx.db.execute(rows)]
