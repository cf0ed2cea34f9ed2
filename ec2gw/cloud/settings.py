"""What an account chooses for all it has. Only this module changes it."""

from __future__ import annotations

from ec2gw.state.records import Setting
from ec2gw.state.session import Transaction

IMAGE_ACCESS, SNAPSHOT_ACCESS = "image-block-public-access", "snapshot-block-public-access"
UNBLOCKED, BLOCK_NEW_SHARING, BLOCK_ALL_SHARING = "unblocked", "block-new-sharing", "block-all-sharing"


def get(tx: Transaction, account_id: str, name: str, default: str) -> str:
    """The account's choice, or `default` where it has made none."""
    row = tx.db.get(Setting, (account_id, name))
    return row.value if row else default


def put(tx: Transaction, account_id: str, name: str, value: str) -> None:
    """The account chooses."""
    tx.db.merge(Setting(account_id=account_id, name=name, value=value))
