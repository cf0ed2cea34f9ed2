"""Takes a request's bytes in, within limits. It knows no service, and looks into nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import ClientPayloadError, HttpVersion11, StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError

from ec2gw.door import signature
from ec2gw.model import errors

MOST_BODY = 1024 * 1024
MOST_LINE = 64 * 1024  # a GET may carry user data, of 16 KiB before base64
MOST_HEADER = 16 * 1024
PATIENCE = 30.0  # seconds a client has to send its first headers, and then its body
IDLE = 75.0  # seconds that a connection is kept for the next request

Answer = Callable[[web.BaseRequest], Awaitable[web.Response]]

_log = structlog.stdlib.get_logger(__name__)


class _Complaints(logging.Logger):
    """What aiohttp says of whoever does not speak HTTP: a line in the log like any other, without what they sent."""

    def handle(self, record: logging.LogRecord) -> None:
        """Pass one complaint on."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            _log.info("no request", said=record.getMessage(), reason=type(error).__name__)
        else:
            _log.error("connection failed", said=record.getMessage(), exc_info=error)


class _Server(web.Server):
    """Lets go of those who connect and do not ask: each takes a descriptor, of which the process has only so many."""

    def __init__(self, answer: Answer) -> None:
        # There is nothing to route, and aiohttp's Application would take a tenth of a small answer's time. A body is signed as
        # sent, so it must not be unpacked first.
        super().__init__(
            answer,
            request_factory=self._heard,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=IDLE,
            logger=_Complaints("aiohttp"),
            max_field_size=MOST_HEADER,
            max_line_size=MOST_LINE,
        )
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(handler, transport)
        self._silent[handler] = asyncio.get_running_loop().call_later(PATIENCE, handler.force_close)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """Wait no more."""
        self._end_wait(handler)
        super().connection_lost(handler, exc)

    def _heard(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        self._end_wait(protocol)
        return self._make_request(message, payload, protocol, writer, task)

    def _end_wait(self, handler: web.RequestHandler) -> None:
        waiting = self._silent.pop(handler, None)
        if waiting is not None:
            waiting.cancel()


async def runner(answer: Answer, drain: float) -> web.ServerRunner:
    """A server that has `answer` answer every request, whatever its path. Those under way have `drain` seconds when it ends."""
    return web.ServerRunner(_Server(answer), shutdown_timeout=drain)


async def receive(request: web.BaseRequest) -> signature.Raw:
    """The request as it was sent. Raises Burdensome for a body that is too large, too slow or broken off."""
    try:
        if request.content.is_eof():  # nearly every body has come with its headers
            body = await _body(request)
        else:
            async with asyncio.timeout(PATIENCE):
                await _encourage(request)
                body = await _body(request)
    except TimeoutError:
        raise errors.Burdensome("body-late") from None
    except (ClientPayloadError, ConnectionError, web.RequestPayloadError):
        raise errors.Burdensome("body-incomplete") from None
    return signature.Raw(request.method, request.raw_path, _headers(request), body)


async def _encourage(request: web.BaseRequest) -> None:
    """Some clients send a large body only when they are told that it is wanted."""
    if request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


async def _body(request: web.BaseRequest) -> bytes:
    body = bytearray()
    while chunk := await request.content.readany():
        body += chunk
        if len(body) > MOST_BODY:
            raise errors.Burdensome("body-too-large", most=MOST_BODY)
    return bytes(body)


def _headers(request: web.BaseRequest) -> tuple[tuple[str, str], ...]:
    """The headers in order. A byte that is not UTF-8 stays what it was, so that the signature is over what was sent."""
    return tuple(
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")) for name, value in request.raw_headers
    )
