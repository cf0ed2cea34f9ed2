"""Tokens that a client hands back: of a block that may be read, of a next page. Opaque, signed, bound to the account.

A block token is bound to its snapshot and block and has an end; a page token to what is listed, and to nothing that can change.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import struct
from datetime import UTC, datetime, timedelta

# As recorded from AWS: a little less than seven days.
LIFETIME = timedelta(seconds=585_000)
_MAC = 19  # bytes; with the value 27, so that base64 has no spare bits and each letter counts


def block(key: bytes, account_id: str, snapshot_id: str, number: int, ends: datetime) -> str:
    """A token with which the account may read a block until it `ends`."""
    return _seal(key, int(ends.timestamp()), "block", account_id, snapshot_id, number)


def opens(key: bytes, token: str, account_id: str, snapshot_id: str, number: int, now: datetime) -> bool:
    """True for the token of this block, in time."""
    ends = _open(key, token, "block", account_id, snapshot_id, number)
    return ends is not None and now <= datetime.fromtimestamp(ends, UTC)


def page(key: bytes, account_id: str, listed: list[str], number: int) -> str:
    """A token for the page that begins with the block `number`."""
    return _seal(key, number, "page", account_id, *listed)


def turned(key: bytes, token: str, account_id: str, listed: list[str]) -> int | None:
    """The block with which the page of this token begins; None where it is no token of this list."""
    return _open(key, token, "page", account_id, *listed)


def _seal(key: bytes, value: int, *bound: str | int) -> str:
    packed = struct.pack(">Q", value)
    return base64.b64encode(packed + _mac(key, packed, bound)).decode()


def _open(key: bytes, token: str, *bound: str | int) -> int | None:
    try:
        data = base64.b64decode(token, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    packed, mac = data[:8], data[8:]
    if not hmac.compare_digest(mac, _mac(key, packed, bound)) or len(packed) != 8:
        return None
    value: int = struct.unpack(">Q", packed)[0]
    return value


def _mac(key: bytes, packed: bytes, bound: tuple[str | int, ...]) -> bytes:
    return hmac.digest(key, packed + json.dumps(bound).encode(), "sha256")[:_MAC]
