"""Finding records for an account. It must not change any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from sqlalchemy import select

from ec2gw.model import errors, ids
from ec2gw.state import records
from ec2gw.state.session import Transaction

R = TypeVar("R", bound=records.Listed)


def one(tx: Transaction, record: type[R], prefix: str, account_id: str, id: str, parameter: str | None = None) -> R:
    """The account's record of this id. Raises Malformed, or NotFound for one that is absent or somebody else's."""
    return many(tx, record, prefix, account_id, (id,), parameter)[0]


def many(
    tx: Transaction, record: type[R], prefix: str, account_id: str, wanted: Sequence[str], parameter: str | None = None
) -> list[R]:
    """The account's records of these ids, in that order. One malformed or missing id fails them all."""
    kind = ids.KINDS[prefix]
    for id in wanted:
        if not ids.well_formed(prefix, id):
            raise errors.Malformed("malformed-id", kind=kind, id=id, parameter=parameter or f"{kind}Id")
    unique = list(dict.fromkeys(wanted))
    found = {row.id: row for row in tx.db.scalars(select(record).where(record.id.in_(unique), record.account_id == account_id))}
    missing = [id for id in unique if id not in found]
    if missing:
        raise errors.NotFound("not-found", kind=kind, ids=missing)
    return [found[id] for id in unique]
