"""Tokens that a client hands back: of a next page (opaque, signed) and of a request that may come twice. Knows no action.

A paging token holds where the last page ended, not a count, so what is created or deleted between two pages moves nothing. It is
bound to the account, the action and the rest of the request.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json

from ec2gw.door import repeats
from ec2gw.model import errors
from ec2gw.query import api
from ec2gw.query.errors import Fault

LONGEST_PAGING_TOKEN = 4_096
# API_RunInstances: at most 64 ASCII characters; the other actions allow up to 128.
LONGEST_CLIENT_TOKEN = 128
_LONGEST_OF = {"RunInstances": 64}

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
    said = json.dumps([account_id, action, repeats.fingerprint(req, _PAGING), cursor])
    return hmac.digest(key, said.encode(), "sha256")[:16]


# -- requests that may come twice ---------------------------------------------------------------------------------------------


def once(call: api.Call, action: api.Action, req: api.Request) -> api.Response:
    """Run the action, unless its idempotency token has been seen: then answer as before, brought up to date.

    Raises Mismatch where the same token comes with other parameters.
    """
    token = req.get(action.again) if action.again and action.writes else None
    if not token:
        return action.run(call, req)
    longest = _LONGEST_OF.get(action.name, LONGEST_CLIENT_TOKEN)
    if len(token) > longest or not token.isascii():
        raise Fault("InvalidClientToken", f"The client token must be at most {longest} ASCII characters.")
    digest = repeats.fingerprint(req, (action.again or "", "DryRun"))
    response, old = repeats.once(call.tx, call.account_id, action.name, token, digest, lambda: action.run(call, req))
    return action.refresh(call, response) if old and action.refresh else response
