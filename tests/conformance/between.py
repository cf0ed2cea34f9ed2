"""A proxy between the suite and an endpoint: it breaks answers or requests on purpose, and can let old clients through to moto.

moto knows one path, routes by the scope of a version 4 signature, and so serves neither other paths nor version 2: with `lenient`
the path is put to `/` and such a scope is added. A request that was changed is signed anew.
"""

from __future__ import annotations

import asyncio
import datetime
import threading
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import ClientSession, web

from conformance import sign, wire
from conformance.story import Key

_SCOPE = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=0"
_HOP = ("transfer-encoding", "connection", "content-length", "content-encoding")

Params = list[tuple[str, str]]


@dataclass(frozen=True)
class Passed:
    """An answer on its way back."""

    action: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


BreakRequest = Callable[[Params], Params]
BreakAnswer = Callable[[Passed], Passed]


class Between:
    """Serves on a loopback port of its own, in a thread, until `stop`."""

    def __init__(self, upstream: str, key: Key, *, lenient: bool = False) -> None:
        self.upstream = upstream
        self.break_request: BreakRequest = lambda params: params
        self.break_answer: BreakAnswer = lambda passed: passed
        self._key = key
        self._lenient = lenient
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @property
    def url(self) -> str:
        """Where to send requests."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.run_until_complete(self._session.close())
        self._loop.close()

    async def _open(self) -> None:
        self._session = ClientSession(auto_decompress=True)
        app = web.Application(client_max_size=8 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port: int = self._runner.addresses[0][1]

    async def _pass(self, incoming: web.Request) -> web.Response:
        body = await incoming.read()
        request = wire.Request(incoming.method, incoming.raw_path, tuple(incoming.headers.items()), body)
        path, _, query = request.target.partition("?")
        params = [(sign.plain(name), sign.plain(value)) for name, value in [*sign.pairs(query), *sign.pairs(body.decode())]]
        action = dict(params).get("Action", "")
        broken = self.break_request(params)
        if broken != params and not query:
            request = wire.Request(request.method, path, request.headers, wire.encode(broken).encode())
            now = datetime.datetime.now(datetime.UTC)
            request = sign.again(request, self._key.id, self._key.secret, now, "us-east-1")
        if self._lenient:
            headers = tuple(row for row in request.headers if row[0].lower() not in ("authorization", "x-amz-date"))
            stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
            headers += (("Authorization", _SCOPE), ("X-Amz-Date", stamp))
            request = wire.Request(request.method, "/" + (f"?{query}" if query else ""), headers, request.body)
        async with self._session.request(
            request.method, self.upstream + request.target, headers=list(request.headers), data=request.body or None
        ) as answer:
            kept = tuple((name, value) for name, value in answer.headers.items() if name.lower() not in _HOP)
            passed = self.break_answer(Passed(action, answer.status, kept, await answer.read()))
        return web.Response(status=passed.status, headers=list(passed.headers), body=passed.body)
