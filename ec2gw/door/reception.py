"""Takes a request's bytes in, within limits. It knows no service, and looks into nothing."""

from __future__ import annotations

import asyncio

from aiohttp import ClientPayloadError, web

from ec2gw.door import signature
from ec2gw.model import errors

MOST_BODY = 1024 * 1024
MOST_LINE = 64 * 1024  # a GET may carry user data, of 16 KiB before base64
MOST_HEADER = 16 * 1024
PATIENCE = 30.0  # seconds a client has to send its body


async def receive(request: web.Request) -> signature.Raw:
    """The request as it was sent. Raises Burdensome for a body that is too large, too slow or broken off."""
    try:
        # Nearly every body has come with its headers, and then there is nothing to wait for.
        async with asyncio.timeout(None if request.content.is_eof() else PATIENCE):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise errors.Burdensome("body-too-large", most=MOST_BODY) from None
    except TimeoutError:
        raise errors.Burdensome("body-late") from None
    except (ClientPayloadError, ConnectionError, web.RequestPayloadError):
        raise errors.Burdensome("body-incomplete") from None
    return signature.Raw(request.method, request.raw_path, _headers(request), body)


def _headers(request: web.Request) -> tuple[tuple[str, str], ...]:
    """The headers in order. A byte that is not UTF-8 stays what it was, so that the signature is over what was sent."""
    return tuple(
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")) for name, value in request.raw_headers
    )
