"""Secrets at rest: Fernet (AES-128-CBC with HMAC-SHA256) with a key file of mode 0600 beside the records."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet


class BadKey(Exception):
    """The key file does not hold a key."""


class Vault:
    """Seals and opens secrets with the key in `path`, which is made on first use. Raises BadKey for a file that holds none."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            # Written whole under another name first: a process killed half-way must not leave a key that opens nothing.
            draft = path.with_suffix(".new")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(Fernet.generate_key())
                file.flush()
                os.fsync(file.fileno())
            draft.rename(path)
        self._key = path.read_bytes()
        try:
            self._fernet = Fernet(self._key)
        except ValueError:
            raise BadKey(f"{path} does not hold the key that secrets are encrypted with; bring it back from a backup") from None

    @property
    def paging_key(self) -> bytes:
        """A key for signing paging tokens, bound to this gateway."""
        return b"paging" + self._key

    @property
    def block_key(self) -> bytes:
        """A key for signing the tokens of blocks and of lists of blocks, bound to this gateway."""
        return b"blocks" + self._key

    def seal(self, secret: str) -> bytes:
        """Encrypt a secret."""
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """Decrypt a secret. Raises cryptography.fernet.InvalidToken when it was sealed with another key."""
        return self._fernet.decrypt(sealed).decode()
