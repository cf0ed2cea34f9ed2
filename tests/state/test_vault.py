"""Secrets at rest."""

from __future__ import annotations

from pathlib import Path

import cryptography.fernet
import pytest

from ec2gw.state.vault import Vault


def test_a_secret_comes_back_after_a_restart_and_is_not_to_be_seen(tmp_path: Path) -> None:
    sealed = Vault(tmp_path / "key").seal("a very secret word")
    assert b"secret" not in sealed
    assert Vault(tmp_path / "key").open(sealed) == "a very secret word"


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    Vault(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    sealed = Vault(tmp_path / "one").seal("word")
    other = Vault(tmp_path / "two")
    with pytest.raises(cryptography.fernet.InvalidToken):
        other.open(sealed)
    assert other.paging_key != Vault(tmp_path / "one").paging_key


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "key")
    sealed = bytearray(vault.seal("word"))
    sealed[20] ^= 1
    with pytest.raises(cryptography.fernet.InvalidToken):
        vault.open(bytes(sealed))


def test_a_key_half_written_by_a_killed_process_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "key.new").write_bytes(b"half")
    sealed = Vault(tmp_path / "key").seal("word")
    assert Vault(tmp_path / "key").open(sealed) == "word"
