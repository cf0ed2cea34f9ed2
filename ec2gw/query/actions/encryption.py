"""Encryption at rest by default, which is off: nothing here is called encrypted that is not."""

from __future__ import annotations

from ec2gw.model import errors
from ec2gw.query.api import Call, Request, Response, action


@action
def get_ebs_encryption_by_default(call: Call, req: Request) -> Response:
    return {"EbsEncryptionByDefault": False}


@action
def enable_ebs_encryption_by_default(call: Call, req: Request) -> Response:
    raise errors.Unsupported("unsupported", message="Encrypted volumes are not supported by this endpoint.")


@action
def disable_ebs_encryption_by_default(call: Call, req: Request) -> Response:
    return {"EbsEncryptionByDefault": False}
