"""Finding records for an account. It must not change any."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, bindparam, select

from ec2gw.cloud import permissions
from ec2gw.model import errors, ids
from ec2gw.state import records
from ec2gw.state.session import Transaction

R = TypeVar("R", bound=records.Listed)
S = TypeVar("S", records.Image, records.Snapshot)


def one(tx: Transaction, record: type[R], prefix: str, account_id: str, id: str, parameter: str | None = None) -> R:
    """The account's record of this id. Raises Malformed, or NotFound for one that is absent or somebody else's."""
    check_ids(prefix, (id,), parameter)
    row: R | None = _own(tx, record, account_id, id)
    if row is None:
        raise errors.NotFound("not-found", kind=ids.KINDS[prefix], ids=[id])
    return row


def many(
    tx: Transaction, record: type[R], prefix: str, account_id: str, wanted: Sequence[str], parameter: str | None = None
) -> list[R]:
    """The account's records of these ids, in that order. One malformed or missing id fails them all."""
    return _many(tx, record, prefix, record.account_id == account_id, wanted, parameter)


def shared(tx: Transaction, record: type[S], prefix: str, account_id: str, id: str) -> S:
    """The record of this id that is the account's, or shared with it. Raises Malformed or NotFound."""
    check_ids(prefix, (id,))
    row: S | None = _own(tx, record, account_id, id)
    return row or _many(tx, record, prefix, permissions.visible(tx, record, account_id), (id,), None)[0]


def own(tx: Transaction, record: type[S], prefix: str, account_id: str, id: str) -> S:
    """The account's record of this id. Raises Malformed, NotFound, or NotPermitted for one that is only shared with it."""
    row = shared(tx, record, prefix, account_id, id)
    if row.account_id != account_id:
        raise errors.NotPermitted("not-owner", what=ids.KINDS[prefix], id=id)
    return row


def check_ids(prefix: str, wanted: Sequence[str], parameter: str | None = None) -> None:
    """Raise Malformed for the first that cannot be an id of this kind."""
    kind = ids.KINDS[prefix]
    for id in wanted:
        if not ids.well_formed(prefix, id):
            raise errors.Malformed("malformed-id", kind=kind, id=id[:64], parameter=parameter or f"{kind}Id")


def _own(tx: Transaction, record: Any, account_id: str, id: str) -> Any:
    return tx.db.scalars(_by_owner(record), {"id": id, "account_id": account_id}).one_or_none()


@functools.cache
def _by_owner(record: Any) -> Select[Any]:
    """Built once: nearly every action asks it, and building it takes longer than asking."""
    return select(record).where(record.id == bindparam("id"), record.account_id == bindparam("account_id"))


def _many(
    tx: Transaction,
    record: type[R],
    prefix: str,
    whose: ColumnElement[bool],
    wanted: Sequence[str],
    parameter: str | None,
) -> list[R]:
    kind = ids.KINDS[prefix]
    check_ids(prefix, wanted, parameter)
    unique = list(dict.fromkeys(wanted))
    found = {row.id: row for row in tx.db.scalars(select(record).where(record.id.in_(unique), whose))}
    missing = [id for id in unique if id not in found]
    if missing:
        raise errors.NotFound("not-found", kind=kind, ids=missing)
    return [found[id] for id in unique]
