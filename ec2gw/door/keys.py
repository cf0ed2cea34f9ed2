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
    """The keys of all accounts, opened by the vault."""

    def __init__(self, vault: Vault) -> None:
        self._open = functools.lru_cache(maxsize=4096)(vault.open)  # by the sealed bytes: a key that changes is another
        self._found: dict[str, tuple[int, signature.Credential]] = {}

    def find(self, db: Session, access_key_id: str, stamp: int | None = None) -> signature.Credential | None:
        """The key of this id, whether it may sign or not; None where there is none. `stamp` is the records', of before."""
        if not access_key_id.isascii() or "\0" in access_key_id:
            return None
        key = db.execute(_KEY, {"id": access_key_id}).one_or_none()
        if key is None:
            return None
        found = signature.Credential(self._open(key.secret), key.account_id, active=key.active)
        if stamp is not None:
            self._found[access_key_id] = stamp, found
        return found

    def recall(self, access_key_id: str, stamp: int | None) -> signature.Credential:
        """The key of this id as it was found at that stamp. Raises KeyError where it was not looked for since."""
        then, found = self._found[access_key_id]
        if then != stamp:
            raise KeyError(access_key_id)
        return found
