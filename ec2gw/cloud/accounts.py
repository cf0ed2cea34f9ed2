"""Accounts and their access keys. Only this module changes them. A secret is known once, when it is made; then it is sealed."""

from __future__ import annotations

import re
import secrets
import string

from sqlalchemy import select

from ec2gw.model import errors, ids
from ec2gw.state.records import AccessKey, Account
from ec2gw.state.session import Transaction
from ec2gw.state.vault import Vault

LONGEST_NAME = 128
_ID_LETTERS = string.ascii_uppercase + "234567"
_SECRET_LETTERS = string.ascii_letters + string.digits + "+/"
# Wider than AWS's own ids and secrets: an operator may bring those of another cloud.
_ID = re.compile(r"[A-Za-z0-9_]{3,128}", re.ASCII)
_SECRET = re.compile(r"[!-~]{8,128}", re.ASCII)


def create(tx: Transaction, name: str, id: str | None = None) -> Account:
    """A new account of 12 digits. Raises Duplicate for a name or an id that is taken, Invalid for words that cannot be either."""
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise errors.Invalid("account-name", name=name[:LONGEST_NAME])
    if id is not None and not re.fullmatch(r"[0-9]{12}", id, re.ASCII):
        raise errors.Malformed("invalid-account", id=id)
    if tx.db.scalar(select(Account.id).where((Account.name == name) | (Account.id == id))) is not None:
        raise errors.Duplicate("account-taken", name=name)
    account = Account(id=id or ids.new_account(), name=name, created_at=tx.now)
    tx.db.add(account)
    tx.db.flush()
    return account


def find(tx: Transaction, word: str) -> Account:
    """The account of that id, or else of that name. Raises NotFound."""
    account = tx.db.get(Account, word) or tx.db.scalars(select(Account).where(Account.name == word)).one_or_none()
    if account is None:
        raise errors.NotFound("account-not-found", account=word)
    return account


def every(tx: Transaction) -> list[Account]:
    """All accounts, the oldest first."""
    return list(tx.db.scalars(select(Account).order_by(Account.created_at, Account.id)))


def issue_key(
    tx: Transaction, vault: Vault, account_id: str, id: str | None = None, secret: str | None = None
) -> tuple[AccessKey, str]:
    """A new access key of an account, and its secret in clear. Id and secret are made up unless they are given.

    Raises NotFound for an account that there is not, Duplicate for an id that is taken, Invalid for words that cannot be either.
    """
    account = find(tx, account_id)
    id = id or "AKIA" + "".join(secrets.choice(_ID_LETTERS) for _ in range(16))
    secret = secret or "".join(secrets.choice(_SECRET_LETTERS) for _ in range(40))
    if not _ID.fullmatch(id):
        raise errors.Invalid("key-id", id=id[:128])
    if not _SECRET.fullmatch(secret):
        raise errors.Invalid("key-secret")
    if tx.db.get(AccessKey, id) is not None:
        raise errors.Duplicate("key-taken", id=id)
    key = AccessKey(id=id, account_id=account.id, secret=vault.seal(secret), active=True, created_at=tx.now)
    tx.db.add(key)
    tx.db.flush()
    return key, secret


def keys(tx: Transaction, account_id: str | None = None) -> list[AccessKey]:
    """The access keys of an account, or of all, the oldest first."""
    query = select(AccessKey).order_by(AccessKey.created_at, AccessKey.id)
    return list(tx.db.scalars(query if account_id is None else query.where(AccessKey.account_id == account_id)))


def key(tx: Transaction, id: str) -> AccessKey:
    """The access key of that id. Raises NotFound."""
    found = tx.db.get(AccessKey, id)
    if found is None:
        raise errors.NotFound("key-not-found", id=id)
    return found


def enable_key(tx: Transaction, id: str, *, active: bool = True) -> AccessKey:
    """Let a key sign again, or no more. Raises NotFound."""
    found = key(tx, id)
    found.active = active
    return found


def delete_key(tx: Transaction, id: str) -> None:
    """Forget a key for good. Raises NotFound."""
    tx.db.delete(key(tx, id))
    tx.db.flush()
