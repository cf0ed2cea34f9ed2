"""The life of one request of the EBS direct APIs: bytes, signature, parameters, operation, JSON. It knows no operation's meaning.

It shares the door with the EC2 API: the paths of its operations, `/snapshots` and below, are its own, all others are EC2's. The
event loop only reads and writes sockets; looking and writing have threads of their own, and what takes the host too long is
answered as trouble, so that a slow disk holds up nobody else.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import threading
import time
import uuid
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor

import prometheus_client
import structlog
from aiohttp import web

from ec2gw.door import keys, reception, signature
from ec2gw.ebs import model, wire
from ec2gw.ebs.actions import ACTIONS, Blocks, Call
from ec2gw.ebs.errors import Fault, from_refusal
from ec2gw.ebs.model import Operation
from ec2gw.model import errors
from ec2gw.state.session import Database
from ec2gw.state.vault import Vault

LOOKERS, WRITERS = 6, 6
MOST_INSIDE = 64  # requests at a time, each with a block in memory
PATIENCE = 60.0  # seconds that an answer may take
LOCKS = 64
# The body of this one need not be signed: its checksum is.
_VOUCHERS = {"PutSnapshotBlock": "x-amz-checksum"}

_log = structlog.stdlib.get_logger(__name__)


class Server:
    """The face. New snapshots are of `zone`; `registry` is where its counts go."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        zone: str,
        blocks: Blocks,
        registry: prometheus_client.CollectorRegistry = prometheus_client.REGISTRY,
    ) -> None:
        self._database = database
        self._keys = keys.Keys(vault)
        self._key = vault.block_key
        self._zone = zone
        self._blocks = blocks
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        self._inside = 0
        self._looking = ThreadPoolExecutor(LOOKERS, thread_name_prefix="ebs-look")
        self._writing = ThreadPoolExecutor(WRITERS, thread_name_prefix="ebs-write")
        self._count = prometheus_client.Counter(
            "ec2gw_ebs_requests", "EBS direct requests answered", ["action", "code"], registry=registry
        )
        self._seconds = prometheus_client.Histogram(
            "ec2gw_ebs_request_seconds", "Seconds from the first byte to the answer", ["action"], registry=registry
        )

    def beside(self, other: reception.Answer) -> reception.Answer:
        """Answers the paths of this service here, and has `other` answer all others."""

        def answer(request: web.BaseRequest) -> Awaitable[web.Response]:
            own = f"{request.rel_url.raw_path}/".startswith("/snapshots/")
            return self.answer(request) if own else other(request)

        return answer

    def close(self) -> None:
        """Wait for what the threads still do, and let go of them."""
        for pool in (self._looking, self._writing):
            pool.shutdown()

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The answer to a request. Raises nothing."""
        began = time.perf_counter()
        request_id = str(uuid.uuid4())
        notes = {"action": "unknown", "method": request.method, "client": request.remote}
        structlog.contextvars.bind_contextvars(request_id=request_id)  # each request has a task, and so a context, of its own
        code = "OK"
        try:
            status, headers, body = await self._within(request, notes)
        except Exception as error:
            fault = _fault(error, notes)
            code, status, (headers, body) = fault.code, fault.status, wire.write_error(fault)
        seconds = time.perf_counter() - began
        self._count.labels(notes["action"], code).inc()
        self._seconds.labels(notes["action"]).observe(seconds)
        _log.info("request", **notes, code=code, status=status, ms=round(seconds * 1000, 1), size=len(body))
        return web.Response(status=status, headers=headers | {"x-amzn-RequestId": request_id}, body=body)

    async def _within(self, request: web.BaseRequest, notes: dict[str, str | None]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body. At most so many requests are let in at a time."""
        path = request.raw_path.partition("?")[0]
        found = model.find(request.method, path)
        if found is None:
            raise Fault("UnknownOperationException", "The operation is unknown.")
        operation, parts = found
        notes["action"] = operation.name
        if self._inside >= MOST_INSIDE:
            raise errors.Burdensome("busy")
        self._inside += 1
        try:
            raw = await reception.receive(request)
            pool = self._looking if operation.method == "GET" else self._writing
            serving = functools.partial(contextvars.copy_context().run, self._serve, operation, raw, parts, notes)
            async with asyncio.timeout(PATIENCE):
                return await asyncio.get_running_loop().run_in_executor(pool, serving)
        except TimeoutError:
            raise errors.Unavailable("host-late") from None
        finally:
            self._inside -= 1

    def _serve(
        self, operation: Operation, raw: signature.Raw, parts: dict[str, str], notes: dict[str, str | None]
    ) -> tuple[int, dict[str, str], bytes]:
        with self._database.read() as tx:
            find = functools.partial(self._keys.find, tx.db)
            signed = signature.verify_v4(raw, find, tx.now, voucher=_VOUCHERS.get(operation.name))
            now = tx.now
        notes["account"] = signed.account_id
        request = wire.read(operation, raw, parts)
        notes["snapshot"] = request.get("SnapshotId") or request.get("SecondSnapshotId")
        call = Call(signed.account_id, now, self._zone, self._key, self._database, self._blocks, self._alone)
        response = ACTIONS[operation.name](call, request)
        return operation.status, *wire.write(operation, response)

    def _alone(self, snapshot: str, number: int) -> threading.Lock:
        return self._locks[hash((snapshot, number)) % LOCKS]


def _fault(error: Exception, notes: dict[str, str | None]) -> Fault:
    """What is said of an error. A bug is logged, and told as trouble of ours."""
    try:
        if isinstance(error, errors.Refusal):
            return from_refusal(error)
    except Exception as bug:
        error = bug
    if isinstance(error, Fault):
        return error
    _log.error("request failed", **notes, exc_info=error)
    return Fault("InternalServerException", "An internal error has occurred.")
