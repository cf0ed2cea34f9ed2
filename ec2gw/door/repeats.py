"""Requests that may come twice: what was answered to an idempotency token is kept, and said again. It knows no action."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import delete

from ec2gw.model import errors
from ec2gw.state.records import ClientToken
from ec2gw.state.session import Transaction

# EC2 promises a day or more, depending on the action.
KEPT = datetime.timedelta(days=7)


def once(
    tx: Transaction, account_id: str, action: str, token: str, digest: str, run: Callable[[], dict[str, Any]]
) -> tuple[dict[str, Any], bool]:
    """(the answer, whether it is an old one). `run` is called unless the token has been seen.

    The token is kept in the same transaction as what the action did. Raises Mismatch where it comes with another `digest`, which
    is the request's `fingerprint`.
    """
    known = tx.db.get(ClientToken, (account_id, action, token))
    if known is not None:
        if known.request_hash != digest:
            raise errors.Mismatch("token-mismatch")
        return thaw(known.response), True
    response = run()
    tx.db.execute(delete(ClientToken).where(ClientToken.created_at < tx.now - KEPT))
    kept = {"account_id": account_id, "action": action, "token": token}
    tx.db.add(ClientToken(**kept, request_hash=digest, response=freeze(response), created_at=tx.now))
    tx.db.flush()
    return response, False


def fingerprint(request: Mapping[str, Any], without: Collection[str]) -> str:
    """A digest of what a request says, save for some of its members."""
    said = {name: value for name, value in request.items() if name not in without}
    return hashlib.sha256(json.dumps(freeze(said), sort_keys=True).encode()).hexdigest()


def freeze(value: Any) -> Any:
    """A request or response as JSON can hold it."""
    if isinstance(value, dict):
        return {key: freeze(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [freeze(item) for item in value]
    if isinstance(value, datetime.datetime):
        return {"$time": value.isoformat()}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    return value


def thaw(value: Any) -> Any:
    """What `freeze` made, as it was."""
    if isinstance(value, list):
        return [thaw(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"$time"}:
            return datetime.datetime.fromisoformat(value["$time"])
        if value.keys() == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        return {key: thaw(item) for key, item in value.items()}
    return value
