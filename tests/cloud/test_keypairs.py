"""The limits of key pairs; the rest is judged through the query face."""

from __future__ import annotations

from pathlib import Path

import pytest

from ec2gw.cloud import keypairs
from ec2gw.state.records import KeyPair, Record
from ec2gw.state.session import Database
from tests.refusals import refused


def test_an_account_has_so_many_key_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypairs, "MOST_KEY_PAIRS", 2)
    database = Database(f"sqlite:///{tmp_path}/records.db")
    Record.metadata.create_all(database.engine)
    with database.write() as tx:
        for name in "ab":
            keypairs.create(tx, "111111111111", name, "ed25519")
        with refused("KeyPairLimitExceeded", "You have reached the maximum number of key pairs: 2."):
            keypairs.create(tx, "111111111111", "c", "ed25519")
        keypairs.delete(tx, "111111111111", "a", None)
        keypairs.create(tx, "111111111111", "c", "ed25519")
        keypairs.create(tx, "222222222222", "c", "ed25519")
        assert tx.db.query(KeyPair).count() == 3
        assert keypairs.delete(tx, "111111111111", None, None) is None
        b, c = keypairs.named(tx, "111111111111", ["b", "c"])
        assert keypairs.delete(tx, "111111111111", "b", c.id) is None
        assert keypairs.delete(tx, "111111111111", "b", b.id) is b
    database.close()
