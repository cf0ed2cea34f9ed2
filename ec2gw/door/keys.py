"""The access keys in the records, as signatures are held against them. It changes none."""

from __future__ import annotations

import functools

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from ec2gw.door import signature
from ec2gw.state.records import AccessKey
from ec2gw.state.vault import Vault

# Built once: every request asks it, and building it takes longer than asking.
_KEYS = AccessKey.__table__.c
_KEY = select(_KEYS.secret, _KEYS.account_id, _KEYS.active).where(_KEYS.id == bindparam("id"))


class Keys:
    """The keys of all accounts, opened by the vault, each remembered as it was found last. Threads may share them."""

    def __init__(self, vault: Vault) -> None:
        self._open = functools.lru_cache(maxsize=4096)(vault.open)  # by the sealed bytes: a key that changes is another
        self._found: dict[str, tuple[signature.Credential, int | None]] = {}

    def find(self, db: Session, access_key_id: str, stamp: int | None = None) -> signature.Credential | None:
        """The key of this id, whether it may sign or not; None where there is none.

        `stamp` is the database's, taken before the transaction began.
        """
        if not access_key_id.isascii() or "\0" in access_key_id:
            return None
        key = db.execute(_KEY, {"id": access_key_id}).one_or_none()
        if key is None:
            self._found.pop(access_key_id, None)
            return None
        found = signature.Credential(self._open(key.secret), key.account_id, active=key.active)
        self._found[access_key_id] = found, stamp
        return found

    def recall(self, access_key_id: str) -> signature.Credential | None:
        """The key of this id as it was found last, which may not be true any more; None where it was not looked for."""
        found, _ = self._found.get(access_key_id, (None, None))
        return found

    def holds(self, signed: signature.Signed, stamp: int | None) -> bool:
        """Whether the key is at that stamp what it was when the signature was held against it."""
        return stamp is not None and self._found.get(signed.access_key_id) == (signed.credential, stamp)
