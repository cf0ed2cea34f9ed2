"""Private keys in PuTTY's own form, version 2, which every PuTTY reads (PuTTY manual, appendix C). Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import textwrap

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

_MAC_KEY = b"putty-private-key-file-mac-key"


def write(private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, comment: str) -> str:
    """A private key, unencrypted, as the text of a .ppk file."""
    line = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    kind, encoded = line.decode().split()
    public = base64.b64decode(encoded)
    secret = _rsa(private) if isinstance(private, rsa.RSAPrivateKey) else _string(private.private_bytes_raw())
    signed = b"".join(map(_string, (kind.encode(), b"none", comment.encode(), public, secret)))
    mac = hmac.digest(hashlib.sha1(_MAC_KEY, usedforsecurity=False).digest(), signed, "sha1").hex()
    head = [f"PuTTY-User-Key-File-2: {kind}", "Encryption: none", f"Comment: {comment}"]
    return "\n".join([*head, *_lines("Public", public), *_lines("Private", secret), f"Private-MAC: {mac}", ""])


def _rsa(private: rsa.RSAPrivateKey) -> bytes:
    numbers = private.private_numbers()
    return b"".join(map(_integer, (numbers.d, numbers.p, numbers.q, numbers.iqmp)))


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _integer(number: int) -> bytes:
    """An `mpint` (RFC 4251): big-endian, with room for the sign."""
    return _string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _lines(name: str, data: bytes) -> list[str]:
    lines = textwrap.wrap(base64.b64encode(data).decode(), 64)
    return [f"{name}-Lines: {len(lines)}", *lines]
