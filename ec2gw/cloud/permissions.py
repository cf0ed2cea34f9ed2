"""Whom images and snapshots are shared with. Only this module changes that; it must not know what may be done with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, and_, delete, insert, or_, select

from ec2gw.cloud import settings
from ec2gw.state import journal
from ec2gw.state.records import Image, Permission, Setting, Snapshot
from ec2gw.state.session import Transaction

ALL = "all"
Shared = Image | Snapshot
_PREFIX: dict[type[Shared], str] = {Image: "ami-", Snapshot: "snap-"}


def visible(tx: Transaction, record: type[Shared], account_id: str) -> ColumnElement[bool]:
    """What the account may use: its own, what is shared with it, and what is public."""
    own = record.account_id == account_id
    shared = select(Permission.resource_id).where(
        Permission.grantee.in_((account_id, ALL)), Permission.resource_id.startswith(_PREFIX[record])
    )
    if tx.db.scalar(shared.limit(1)) is None:  # then an index alone gives each page
        return own
    return or_(own, _granted(record, (account_id, ALL)))


def granted(record: type[Shared], account_id: str, grantees: Collection[str]) -> ColumnElement[bool]:
    """What is shared with one of these. Whom an owner shares with is nobody else's business, save for oneself and all.

    An owner may restore his own snapshots and needs nobody's leave (API_DescribeSnapshots, RestorableByUserIds); a list of images
    by who may launch them is of those shared expressly (API_DescribeImages, ExecutableUsers).
    """
    own = record.account_id == account_id
    if record is Image or account_id not in grantees:
        own = and_(own, record.id.in_(select(Permission.resource_id).where(Permission.grantee.in_(grantees))))
    return or_(own, _granted(record, [grantee for grantee in grantees if grantee in (account_id, ALL)]))


def of(tx: Transaction, resource_id: str) -> list[str]:
    """Whom it is shared with, in order."""
    rows = select(Permission.grantee).where(Permission.resource_id == resource_id).order_by(Permission.grantee)
    return list(tx.db.scalars(rows))


def grant(tx: Transaction, resource_id: str, grantees: Sequence[str]) -> None:
    """Share it; with whom it is shared already, nothing changes."""
    new = set(grantees) - set(of(tx, resource_id))
    if new:
        rows = [{"resource_id": resource_id, "grantee": grantee} for grantee in sorted(new)]
        tx.db.execute(insert(Permission), rows, execution_options=journal.concerning(resource_id))


def revoke(tx: Transaction, resource_id: str, grantees: Sequence[str] | None = None) -> None:
    """Share it no more: with these, or with nobody at all."""
    rows = delete(Permission).where(Permission.resource_id == resource_id)
    if grantees is not None:
        rows = rows.where(Permission.grantee.in_(grantees))
    tx.db.execute(rows, execution_options=journal.concerning(resource_id))


def _granted(record: type[Shared], grantees: Collection[str]) -> ColumnElement[bool]:
    shared = record.id.in_(select(Permission.resource_id).where(Permission.grantee.in_(grantees)))
    if record is not Snapshot or ALL not in grantees:
        return shared
    # API_EnableSnapshotBlockPublicAccess, block-all-sharing: what is public already counts as private.
    blocked = select(Setting.account_id).where(
        Setting.name == settings.SNAPSHOT_ACCESS, Setting.value == settings.BLOCK_ALL_SHARING
    )
    named = record.id.in_(select(Permission.resource_id).where(Permission.grantee.in_(set(grantees) - {ALL})))
    return or_(named, and_(shared, record.account_id.not_in(blocked)))
