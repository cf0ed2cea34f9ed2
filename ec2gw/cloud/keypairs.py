"""The verbs of key pairs. The private half is made up, told once and forgotten; only the public half is written down."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlalchemy import func, select

from ec2gw.cloud import ppk
from ec2gw.model import errors, ids
from ec2gw.state import records
from ec2gw.state.records import KeyPair
from ec2gw.state.session import Transaction

MOST_KEY_PAIRS = 5_000  # API_CreateKeyPair
LONGEST_MATERIAL = 16 * 1024
TYPES = ("rsa", "ed25519")
FORMATS = ("pem", "ppk")
RSA_BITS = (1024, 2048, 4096)  # API_ImportKeyPair
_NAME = re.compile(r"[!-~]([ -~]{0,253}[!-~])?", re.ASCII)

_PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


def create(tx: Transaction, account_id: str, name: str, type: str = "rsa", format: str = "pem") -> tuple[KeyPair, str]:
    """A new key pair and its private key (API_CreateKeyPair): RSA of 2048 bits in PKCS#1 PEM, or ed25519 in OpenSSH's form; or
    either in PuTTY's.

    The fingerprint of an RSA key is the SHA-1 of its private key in PKCS#8 DER (API_KeyPairInfo).
    """
    _check(tx, account_id, name)
    if format not in FORMATS:
        raise errors.Invalid(
            "invalid-value", value=format[:64], parameter="keyFormat", why=f"Must be one of {', '.join(FORMATS)}."
        )
    if type == "ed25519":
        mine = ed25519.Ed25519PrivateKey.generate()
        text = ppk.write(mine, name) if format == "ppk" else _pem(mine, serialization.PrivateFormat.OpenSSH)
        return _add(tx, account_id, name, type, mine.public_key(), _fingerprint(mine.public_key())), text
    if type != "rsa":
        raise errors.Invalid("invalid-value", value=type[:64], parameter="keyType", why=f"Must be one of {', '.join(TYPES)}.")
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    der = private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    text = ppk.write(private, name) if format == "ppk" else _pem(private, serialization.PrivateFormat.TraditionalOpenSSL)
    fingerprint = _colons(hashlib.sha1(der, usedforsecurity=False).hexdigest())
    return _add(tx, account_id, name, type, private.public_key(), fingerprint), text


def _pem(private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, form: serialization.PrivateFormat) -> str:
    return private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def bring(tx: Transaction, account_id: str, name: str, material: bytes) -> KeyPair:
    """Take over a public key (API_ImportKeyPair): OpenSSH's line, RFC 4716, or DER, in base64 or not."""
    _check(tx, account_id, name)
    public = _read(material)
    type = "rsa" if isinstance(public, rsa.RSAPublicKey) else "ed25519"
    return _add(tx, account_id, name, type, public, _fingerprint(public))


def delete(tx: Transaction, account_id: str, name: str | None, id: str | None) -> KeyPair | None:
    """Forget a key pair by name, by id, or by both. None where there is none: that is no error (API_DeleteKeyPair)."""
    query = select(KeyPair).where(KeyPair.account_id == account_id)
    if name is not None:
        query = query.where(KeyPair.name == name)
    if id is not None:
        query = query.where(KeyPair.id == id)
    found = tx.db.scalars(query).one_or_none() if name is not None or id is not None else None
    if found is not None:
        tx.db.delete(found)
        records.forget_tags(tx.db, found.id)
    return found


def named(tx: Transaction, account_id: str, names: Sequence[str]) -> list[KeyPair]:
    """The account's key pairs of these names. One that is missing fails them all: NotFound."""
    unique = list(dict.fromkeys(names))
    query = select(KeyPair).where(KeyPair.account_id == account_id, KeyPair.name.in_(unique))
    found = {row.name: row for row in tx.db.scalars(query)}
    if missing := [name for name in unique if name not in found]:
        raise errors.NotFound("not-found", kind="key-pair", ids=missing)
    return [found[name] for name in unique]


def _check(tx: Transaction, account_id: str, name: str) -> None:
    """Raises Invalid, Duplicate or LimitExceeded where there can be no new key pair of that name."""
    if not _NAME.fullmatch(name):
        raise errors.Invalid("key-name-invalid")
    held = select(KeyPair.id).where(KeyPair.account_id == account_id)
    if tx.db.scalar(held.where(KeyPair.name == name)) is not None:
        raise errors.Duplicate("key-pair-taken", name=name)
    if (tx.db.scalar(select(func.count()).select_from(held.subquery())) or 0) >= MOST_KEY_PAIRS:
        raise errors.LimitExceeded("key-pair-limit", limit=MOST_KEY_PAIRS)


def _add(tx: Transaction, account_id: str, name: str, type: str, public: _PublicKey, fingerprint: str) -> KeyPair:
    pair = KeyPair(
        id=ids.new("key"),
        account_id=account_id,
        created_at=tx.now,
        name=name,
        type=type,
        fingerprint=fingerprint,
        public_key=f"{_line(public)} {name}",
    )
    tx.db.add(pair)
    tx.db.flush()
    return pair


def _line(public: _PublicKey) -> str:
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def _fingerprint(public: _PublicKey) -> str:
    """Of a key that was brought, and of every ed25519 key (API_KeyPairInfo)."""
    if isinstance(public, rsa.RSAPublicKey):
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return _colons(hashlib.md5(der, usedforsecurity=False).hexdigest())
    blob = base64.b64decode(_line(public).split()[1])
    return base64.b64encode(hashlib.sha256(blob).digest()).decode()


def _colons(digits: str) -> str:
    return ":".join(digits[index : index + 2] for index in range(0, len(digits), 2))


# -- reading public keys --------------------------------------------------------------------------------------------


def _read(material: bytes) -> _PublicKey:
    """The key, whichever way it is written. Raises Malformed for anything else, and for keys that EC2 does not take."""
    if len(material) > LONGEST_MATERIAL:
        raise errors.Malformed("key-format")
    try:
        public = _load(material)
    except (ValueError, UnsupportedAlgorithm):  # binascii's and Unicode's errors are ValueErrors
        raise errors.Malformed("key-format") from None
    if isinstance(public, ed25519.Ed25519PublicKey):
        return public
    if isinstance(public, rsa.RSAPublicKey) and public.key_size in RSA_BITS:
        return public
    raise errors.Malformed("key-format")


def _load(material: bytes) -> object:
    if material[:1] == b"\x30":  # the ASN.1 sequence that DER begins with; as text it would be the digit 0
        return serialization.load_der_public_key(material)
    text = material.decode("ascii").strip()
    if text.startswith("---- BEGIN SSH2 PUBLIC KEY ----"):
        return serialization.load_ssh_public_key(_ssh_line(_rfc4716(text)))
    if text.startswith("ssh-"):
        # Line breaks may have come in on the way; the comment after the key says nothing.
        kind, _, rest = text.partition(" ")
        return serialization.load_ssh_public_key(f"{kind} {_joined(rest)}".encode())
    body = re.sub(r"-----(BEGIN|END) PUBLIC KEY-----", "", text)
    data = base64.b64decode("".join(body.split()), validate=True)
    return serialization.load_der_public_key(data) if data[:1] == b"\x30" else serialization.load_ssh_public_key(_ssh_line(data))


def _joined(rest: str) -> str:
    """The base64 of an OpenSSH line that may be broken over lines: what stands before the comment."""
    first, *more = rest.strip().splitlines()
    body = first.split(" ")[0].strip()
    if " " in first.strip():
        return body
    for line in more:
        piece = line.strip().split(" ")[0]
        body += piece
        if " " in line.strip() or piece.endswith("="):
            break
    return body


def _ssh_line(blob: bytes) -> bytes:
    """An SSH key blob as the line that OpenSSH writes: its first string names its kind."""
    length = int.from_bytes(blob[:4])
    return blob[4 : 4 + length] + b" " + base64.b64encode(blob)


def _rfc4716(text: str) -> bytes:
    """The blob of a key file of RFC 4716: headers (which a backslash continues), then base64."""
    lines = iter(text.replace("\r\n", "\n").split("\n")[1:])
    body: list[str] = []
    for line in lines:
        if line.startswith("---- END"):
            return base64.b64decode("".join(body), validate=True)
        if ":" in line:
            while line.endswith("\\"):
                line = next(lines, "")
        else:
            body.append(line.strip())
    raise binascii.Error
