"""Tokens that a client hands back: of a next page (opaque, signed) and of a request that may come twice. Knows no action.

A paging token holds where the last page ended, not a count, so what is created or deleted between two pages moves nothing. It is
bound to the account, the action and the rest of the request.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import hmac
import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import delete

from ec2gw.model import errors
from ec2gw.query import api
from ec2gw.query.errors import Fault
from ec2gw.state.records import ClientToken

LONGEST_PAGING_TOKEN = 4_096
# API_RunInstances: at most 64 ASCII characters; the other actions allow up to 128.
LONGEST_CLIENT_TOKEN = 128
_LONGEST_OF = {"RunInstances": 64}
# EC2 promises a day or more, depending on the action.
KEPT = datetime.timedelta(days=7)

_PAGING = ("NextToken", "MaxResults", "DryRun")


# -- pages --------------------------------------------------------------------------------------------------------------------


def seal(key: bytes, cursor: str, account_id: str, action: str, req: api.Request) -> str:
    """An opaque token for `cursor`, good for this account's same request only."""
    mac = _mac(key, cursor, account_id, action, req)
    return base64.urlsafe_b64encode(mac + cursor.encode()).decode("ascii").rstrip("=")


def unseal(key: bytes, token: str, account_id: str, action: str, req: api.Request) -> str:
    """The cursor that `seal` hid. Raises Malformed for any other text, or another request's token."""
    try:
        if len(token) > LONGEST_PAGING_TOKEN:
            raise ValueError
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        mac, cursor = data[:16], data[16:].decode()
    except (ValueError, binascii.Error):
        mac, cursor = b"", ""
    if not hmac.compare_digest(mac, _mac(key, cursor, account_id, action, req)):
        raise errors.Malformed("invalid-next-token", token=token[:64])
    return cursor


def _mac(key: bytes, cursor: str, account_id: str, action: str, req: api.Request) -> bytes:
    said = json.dumps([account_id, action, fingerprint(req, _PAGING), cursor])
    return hmac.digest(key, said.encode(), "sha256")[:16]


def fingerprint(req: api.Request, without: Collection[str]) -> str:
    """A digest of what a request says, save for some of its members."""
    said = {name: value for name, value in req.items() if name not in without}
    return hashlib.sha256(json.dumps(freeze(said), sort_keys=True).encode()).hexdigest()


# -- requests that may come twice ---------------------------------------------------------------------------------------------


def once(call: api.Call, action: api.Action, req: api.Request) -> api.Response:
    """Run the action, unless its idempotency token has been seen: then answer as before, brought up to date.

    The token is kept in the same transaction as what the action did. Raises Mismatch where the same token comes with other
    parameters.
    """
    token = req.get(action.again) if action.again and action.writes else None
    if not token:
        return action.run(call, req)
    longest = _LONGEST_OF.get(action.name, LONGEST_CLIENT_TOKEN)
    if len(token) > longest or not token.isascii():
        raise Fault("InvalidClientToken", f"The client token must be at most {longest} ASCII characters.")
    db = call.tx.db
    digest = fingerprint(req, (action.again or "", "DryRun"))
    known = db.get(ClientToken, (call.account_id, action.name, token))
    if known is not None:
        if known.request_hash != digest:
            raise errors.Mismatch("token-mismatch")
        response: api.Response = thaw(known.response)
        return action.refresh(call, response) if action.refresh else response
    response = action.run(call, req)
    db.execute(delete(ClientToken).where(ClientToken.created_at < call.now - KEPT))
    db.add(
        ClientToken(
            account_id=call.account_id,
            action=action.name,
            token=token,
            request_hash=digest,
            response=freeze(response),
            created_at=call.now,
        )
    )
    db.flush()
    return response


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
