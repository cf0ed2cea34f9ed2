"""Accounts and access keys."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.cloud import accounts
from ec2gw.model.errors import Refusal
from ec2gw.state.records import Record
from ec2gw.state.session import Database
from ec2gw.state.vault import Vault


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path}/records.db")
    Record.metadata.create_all(opened.engine)
    yield opened
    opened.close()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "key")


def reason(caught: pytest.ExceptionInfo[Refusal]) -> str:
    return caught.value.reason


def test_an_account_has_twelve_digits_and_a_name_of_its_own(database: Database) -> None:
    with database.write() as tx:
        first = accounts.create(tx, "ann")
        assert re.fullmatch(r"[1-9][0-9]{11}", first.id)
        assert accounts.find(tx, "ann") is accounts.find(tx, first.id) is first
        assert accounts.create(tx, "bob", "000000000001").id == "000000000001"
        for name, id in (("ann", None), ("eve", "000000000001")):
            with pytest.raises(Refusal) as caught:
                accounts.create(tx, name, id)
            assert reason(caught) == "account-taken"
        for name, id in (("", None), ("a\nb", None), ("a" * 129, None), ("eve", "12"), ("eve", "12345678901x")):
            with pytest.raises(Refusal):
                accounts.create(tx, name, id)
    with database.read() as tx:
        assert {account.name for account in accounts.every(tx)} == {"ann", "bob"}
        with pytest.raises(Refusal) as caught:
            accounts.find(tx, "eve")
        assert reason(caught) == "account-not-found"


def test_keys_are_aws_shaped_and_sealed(database: Database, vault: Vault, tmp_path: Path) -> None:
    with database.write() as tx:
        account = accounts.create(tx, "ann").id
        made = [accounts.issue_key(tx, vault, account) for _ in range(3)]
        for key, secret in made:
            assert re.fullmatch(r"AKIA[A-Z2-7]{16}", key.id)
            assert re.fullmatch(r"[A-Za-z0-9+/]{40}", secret)
            assert vault.open(key.secret) == secret
        assert len({secret for _, secret in made}) == 3
        ids = [key.id for key, _ in made]
        secrets = [secret for _, secret in made]
    with database.read() as tx:
        assert sorted(key.id for key in accounts.keys(tx, account)) == sorted(ids)
        assert accounts.keys(tx, "000000000000") == []
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(secret.encode() in written for secret in secrets)
    assert all(stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600 for name in ("key", "records.db"))


def test_an_operator_may_bring_a_key(database: Database, vault: Vault) -> None:
    with database.write() as tx:
        account = accounts.create(tx, "ann").id
        key, secret = accounts.issue_key(tx, vault, account, "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        assert (key.id, secret, vault.open(key.secret)) == ("AKIAIOSFODNN7EXAMPLE", secret, secret)
        with pytest.raises(Refusal) as caught:
            accounts.issue_key(tx, vault, account, "AKIAIOSFODNN7EXAMPLE")
        assert reason(caught) == "key-taken"
        for id, word in (("a b", None), ("x", None), ("AKIA1", "short"), ("AKIA1", "with space in it"), ("AKIA1", "é" * 20)):
            with pytest.raises(Refusal):
                accounts.issue_key(tx, vault, account, id, word)
        with pytest.raises(Refusal) as caught:
            accounts.issue_key(tx, vault, "000000000000")
        assert reason(caught) == "account-not-found"


def test_a_key_is_disabled_enabled_and_forgotten(database: Database, vault: Vault) -> None:
    with database.write() as tx:
        id = accounts.issue_key(tx, vault, accounts.create(tx, "ann").id)[0].id
    for active in (False, True):
        with database.write() as tx:
            accounts.enable_key(tx, id, active=active)
        with database.read() as tx:
            assert accounts.key(tx, id).active is active
    with database.write() as tx:
        accounts.delete_key(tx, id)
    with database.write() as tx:
        for verb in (accounts.key, accounts.delete_key, accounts.enable_key):
            with pytest.raises(Refusal) as caught:
                verb(tx, id)
            assert reason(caught) == "key-not-found"
