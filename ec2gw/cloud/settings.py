"""What an account chooses for all it has. Only this module changes it."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from ec2gw.state.records import Setting
from ec2gw.state.session import Transaction

IMAGE_ACCESS, SNAPSHOT_ACCESS = "image-block-public-access", "snapshot-block-public-access"
UNBLOCKED, BLOCK_NEW_SHARING, BLOCK_ALL_SHARING = "unblocked", "block-new-sharing", "block-all-sharing"

_SEVERAL = select(Setting.name, Setting.value).where(
    Setting.account_id == bindparam("account_id"), Setting.name.in_(bindparam("names", expanding=True))
)


def get(tx: Transaction, account_id: str, name: str, default: str) -> str:
    """The account's choice, or `default` where it has made none."""
    return several(tx, account_id, (name,)).get(name, default)


def several(tx: Transaction, account_id: str, names: Collection[str]) -> dict[str, str]:
    """Of these, what the account has chosen."""
    return dict(tx.db.execute(_SEVERAL, {"account_id": account_id, "names": list(names)}).all())


def put(tx: Transaction, account_id: str, name: str, value: str) -> None:
    """The account chooses."""
    tx.db.merge(Setting(account_id=account_id, name=name, value=value))
