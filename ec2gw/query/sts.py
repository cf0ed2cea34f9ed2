"""STS's GetCallerIdentity, which many clients ask first: it comes to the same endpoint, signed likewise. It knows no record."""

from __future__ import annotations

from ec2gw.door.signature import Signed

VERSION = "2011-06-15"
_NAMESPACE = f"https://sts.amazonaws.com/doc/{VERSION}/"


def knows(action: str, version: str) -> bool:
    """True for the one action of STS that is answered."""
    return (action, version) == ("GetCallerIdentity", VERSION)


def write(signed: Signed, request_id: str) -> bytes:
    """The answer's XML. The account is its own root user: there are no others."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<GetCallerIdentityResponse xmlns="{_NAMESPACE}"><GetCallerIdentityResult>'
        f"<Arn>arn:aws:iam::{signed.account_id}:root</Arn><UserId>{signed.account_id}</UserId>"
        f"<Account>{signed.account_id}</Account></GetCallerIdentityResult>"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    ).encode()
