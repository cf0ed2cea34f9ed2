"""STS's GetCallerIdentity, which many clients ask first: it comes to the same endpoint, signed likewise. It knows no record."""

from __future__ import annotations

import urllib.parse
from xml.sax.saxutils import escape

from ec2gw.door.signature import Raw, Signed
from ec2gw.query.errors import Fault

VERSION = "2011-06-15"
_NAMESPACE = f"https://sts.amazonaws.com/doc/{VERSION}/"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

# What EC2 says of who may not ask, and what STS does (API_GetCallerIdentity, common errors).
_REFUSALS = {
    "AuthFailure": ("InvalidClientTokenId", "The security token included in the request is invalid."),
    "RequestExpired": ("SignatureDoesNotMatch", "Signature expired."),
}


class Refused(Fault):
    """A fault that is told in STS's form."""

    def __init__(self, fault: Fault) -> None:
        code, message = _REFUSALS.get(fault.code, (fault.code, fault.message))
        super().__init__(code, message, 403)


def knows(action: str, version: str) -> bool:
    """True for the one action of STS that is answered."""
    return (action, version) == ("GetCallerIdentity", VERSION)


def asked(raw: Raw) -> bool:
    """Whether a request, whoever signed it, asks for that action."""
    said = dict(urllib.parse.parse_qsl(raw.query) + urllib.parse.parse_qsl(raw.body.decode("latin-1")))
    return knows(said.get("Action", ""), said.get("Version", ""))


def write(signed: Signed, request_id: str) -> bytes:
    """The answer's XML. The account is its own root user: there are no others."""
    return (
        f'{_DECLARATION}<GetCallerIdentityResponse xmlns="{_NAMESPACE}"><GetCallerIdentityResult>'
        f"<Arn>arn:aws:iam::{signed.account_id}:root</Arn><UserId>{signed.account_id}</UserId>"
        f"<Account>{signed.account_id}</Account></GetCallerIdentityResult>"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    ).encode()


def write_error(fault: Refused, request_id: str) -> bytes:
    """The XML of a refusal, as the services other than EC2 write it."""
    return (
        f'{_DECLARATION}<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type><Code>{escape(fault.code)}</Code>'
        f"<Message>{escape(fault.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()
