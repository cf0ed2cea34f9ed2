"""The life of one request, top to bottom: bytes, signature, parameters, action in a transaction, XML. It knows no action.

The event loop only reads and writes sockets; all else runs in threads: looking (a few at once), writing (queued for the
one writer) and waiting for the engine, apart from each other, so that none starves the rest.
"""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import datetime
import functools
import time
import uuid
from collections.abc import Callable, Collection, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import prometheus_client
import structlog
from aiohttp import web

from ec2gw.door import keys, reception, signature
from ec2gw.door.traffic import Traffic
from ec2gw.model import errors as refusals
from ec2gw.query import actions, answers, api, errors, fragments, sts, tokens, wire
from ec2gw.query.errors import Fault
from ec2gw.state.session import Database, Transaction
from ec2gw.state.vault import Vault

SETTLE_PATIENCE = 10.0  # seconds an answer waits for the engine
LOOKERS, WRITERS, WAITERS = 8, 16, 32
MOST_OVERHEARD = 8 * 1024  # bytes of a request that may hold up the event loop while they are read

_log = structlog.stdlib.get_logger(__name__)
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class _Arrival:
    """A request that has come: its bytes, its id, what the log will say of it, and the database's stamp at that time."""

    raw: signature.Raw
    request_id: str
    notes: dict[str, str | None]
    stamp: int | None


@dataclasses.dataclass(frozen=True)
class _Heard:
    """A request understood: who signed it, and what is asked. `action` is None for what is not EC2's but STS's."""

    signed: signature.Signed
    name: str
    version: str
    action: api.Action | None
    request: api.Request
    dry: bool

    @property
    def writes(self) -> bool:
        """Whether it takes a transaction that writes."""
        return self.action is not None and self.action.writes

    @functools.cached_property
    def question(self) -> Hashable:
        """What it has in common with a request that must be answered alike, while nothing changes."""
        return self.signed.account_id, self.signed.access_key_id, self.name, self.version, self.dry, repr(self.request)


@dataclasses.dataclass(frozen=True)
class _Reply:
    """`lasting`: it rests on the records alone, and is the same until something changes there."""

    body: bytes
    response: api.Response
    fault: Fault | None = None
    lasting: bool = False


class Server:
    """The EC2 Query face. `registry` is where its counts go; `bell` is None where no engine runs in this process, which otherwise
    gives way to `traffic`.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        region: api.Region,
        bell: api.Bell | None = None,
        registry: prometheus_client.CollectorRegistry = prometheus_client.REGISTRY,
        traffic: Traffic | None = None,
    ) -> None:
        actions.load()
        self._database = database
        self._region = region
        self._bell = bell
        self._traffic = traffic or Traffic()
        self._paging_key = vault.paging_key
        self._fragments = fragments.Fragments()
        self._answers = answers.Answers()
        self._keys = keys.Keys(vault)
        self._looking, self._writing, self._waiting = (
            ThreadPoolExecutor(count, thread_name_prefix=f"query-{name}")
            for name, count in (("look", LOOKERS), ("write", WRITERS), ("wait", WAITERS))
        )
        self._count = prometheus_client.Counter("ec2gw_requests", "EC2 requests answered", ["action", "code"], registry=registry)
        self._seconds = prometheus_client.Histogram(
            "ec2gw_request_seconds", "Seconds from the first byte to the answer", ["action"], registry=registry
        )

    def close(self) -> None:
        """Wait for what the threads still do, and let go of them."""
        for pool in (self._looking, self._writing, self._waiting):
            pool.shutdown()

    # -- the life of a request -----------------------------------------------------------------------------------------

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The answer to a request of any path. Raises nothing."""
        began = time.perf_counter()
        request_id = str(uuid.uuid4())
        notes = {"action": "unknown", "method": request.method, "client": request.remote}
        structlog.contextvars.bind_contextvars(request_id=request_id)  # each request has a task, and so a context, of its own
        try:
            raw = await self._receive(request)
            reply = await self._serve(raw, request_id, notes)
        except Fault as fault:
            reply = _refusal(fault, request_id)
        except Exception:
            _log.exception("request failed", **notes)
            reply = _refusal(Fault("InternalError", "An internal error has occurred"), request_id)
        seconds = time.perf_counter() - began
        code, status = (reply.fault.code, reply.fault.status) if reply.fault else ("OK", 200)
        self._count.labels(notes["action"], code).inc()
        self._seconds.labels(notes["action"]).observe(seconds)
        _log.info("request", **notes, code=code, status=status, ms=round(seconds * 1000, 1), size=len(reply.body))
        headers = {
            "Content-Type": "text/xml;charset=UTF-8",
            "x-amzn-RequestId": request_id,
            "Server": "AmazonEC2",
            "Cache-Control": "no-cache, no-store",
            "Vary": "accept-encoding",
        }
        if status == 405:
            headers["Allow"] = "GET, POST"
        return web.Response(status=status, headers=headers, body=reply.body)

    async def _receive(self, request: web.BaseRequest) -> signature.Raw:
        """The request's bytes. Raises faults for another method, too large a body and one that does not come."""
        if request.method not in ("GET", "POST"):
            raise Fault("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
        try:
            return await reception.receive(request)
        except refusals.Refusal as refusal:
            raise errors.from_refusal(refusal) from None

    async def _serve(self, raw: signature.Raw, request_id: str, notes: dict[str, str | None]) -> _Reply:
        arrival = _Arrival(raw, request_id, notes, self._database.stamp())
        with self._traffic:
            heard, reply = await self._reply(arrival)
        action = heard.action
        if self._bell is None or action is None:
            return reply
        if action.refreshes is not None:
            # The first run has found the record to be the caller's own; the second shows what the engine has seen since.
            await self._in(self._waiting, action.refreshes, self._bell, heard.request)
            _, again = await self._in(self._looking, functools.partial(self._look, fresh=True), arrival, heard)
            reply = again or reply
        if action.settles is not None:
            await self._in(self._waiting, self._settle, action.settles(reply.response))
        return reply

    async def _reply(self, arrival: _Arrival) -> tuple[_Heard, _Reply]:
        """What is asked, and what the records say to it."""
        self._answers.at(arrival.stamp)
        heard = self._overhear(arrival)
        if heard is not None and self._keys.holds(heard.signed, arrival.stamp):
            body = self._answers.find(heard.question, arrival.request_id)
            if body is not None:
                return heard, _Reply(body, {})
        if heard is None or not heard.writes:
            looked, reply = await self._in(self._looking, self._look, arrival, heard)
            if reply is not None:
                if reply.lasting:
                    self._answers.keep(arrival.stamp, looked.question, arrival.request_id, reply.body)
                return looked, reply
            heard = looked
        return await self._in(self._writing, self._write, arrival, heard)

    def _overhear(self, arrival: _Arrival) -> _Heard | None:
        """Who asks what, with a key that was found before. None where there is none, for what is long to read, and for whatever
        is refused: it is refused for good where all are, so that how long that takes tells nothing of a key.
        """
        raw = arrival.raw
        if len(raw.target) + len(raw.body) > MOST_OVERHEARD:
            return None
        try:
            return self._hear(self._keys.recall, self._database.clock(), arrival)
        except Fault:
            return None

    def _look(self, arrival: _Arrival, heard: _Heard | None, *, fresh: bool = False) -> tuple[_Heard, _Reply | None]:
        """What is asked; and the answer, in the same transaction, where it takes no writing. Raises faults."""
        with self._database.read() as tx:
            heard = self._surely(tx, arrival, heard)
            if heard.action is None:
                return heard, _Reply(sts.write(heard.signed, arrival.request_id), {})
            return heard, None if heard.writes else self._perform(tx, heard, arrival.request_id, fresh)

    def _write(self, arrival: _Arrival, heard: _Heard) -> tuple[_Heard, _Reply]:
        """Run an action that writes. Its answer is written before the commit: who gets an error has changed nothing."""
        with self._database.write() as tx:
            heard = self._surely(tx, arrival, heard)
            return heard, self._perform(tx, heard, arrival.request_id)

    def _surely(self, tx: Transaction, arrival: _Arrival, heard: _Heard | None) -> _Heard:
        """What was heard, if the key is still what it was; else what is heard now."""
        if heard is not None and self._keys.find(tx.db, heard.signed.access_key_id, arrival.stamp) == heard.signed.credential:
            return heard
        return self._hear(lambda id: self._keys.find(tx.db, id, arrival.stamp), tx.moment, arrival)

    def _hear(self, secret_of: signature.SecretOf, now: datetime.datetime, arrival: _Arrival) -> _Heard:
        """Who asks what."""
        raw, notes = arrival.raw, arrival.notes
        try:
            signed = signature.verify(raw, secret_of, now)
            notes["account"] = signed.account_id
            params = signature.parameters(raw)
        except refusals.Refusal as refusal:
            fault = errors.from_refusal(refusal)
            raise sts.Refused(fault) if sts.asked(raw) else fault from None
        if not all(wire.sayable(text) for pair in params for text in pair):
            raise Fault("InvalidCharacter", "The request contains a character that is not valid.")
        name, version = wire.heading(params)
        if sts.knows(name, version):
            notes["action"] = name
            return _Heard(signed, name, version, None, {}, dry=False)
        action = api.operation(name, version).action
        notes["action"], notes["version"] = name, version
        if action is None:
            raise errors.from_refusal(refusals.Unsupported("not-implemented", action=name))
        request = wire.read(name, version, params)
        dry = request.pop("DryRun", False)
        return _Heard(signed, name, version, action, request, dry)

    def _perform(self, tx: Transaction, heard: _Heard, request_id: str, fresh: bool = False) -> _Reply:
        """Run the action and write its answer."""
        assert heard.action is not None
        account_id, name, request = heard.signed.account_id, heard.name, dict(heard.request)
        kept = None if heard.action.writes else self._fragments.shelf(tx, account_id, name, heard.version)
        call = api.Call(account_id, heard.signed.access_key_id, self._region.name, heard.version, tx, self._region, kept, fresh)
        try:
            if "NextToken" in request:
                request["NextToken"] = tokens.unseal(self._paging_key, request["NextToken"], account_id, name, request)
            response = tokens.once(call, heard.action, request)
            if response.get("NextToken") is not None:
                sealed = tokens.seal(self._paging_key, response["NextToken"], account_id, name, request)
                response = response | {"NextToken": sealed}
        except refusals.Refusal as refusal:
            raise errors.from_refusal(refusal) from refusal
        body = wire.write(name, heard.version, response, request_id)
        if kept is not None:
            kept.close()
        if heard.dry:
            raise Fault("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
        lasting = not (heard.action.writes or heard.action.refreshes or tx.timed)
        return _Reply(body, response, lasting=lasting)

    def _settle(self, ids: Collection[str]) -> None:
        """Wait until the engine has seen to these records. The work is done: nothing here may turn the answer into an error."""
        assert self._bell is not None
        try:
            if not self._bell.wait(ids, SETTLE_PATIENCE):
                _log.warning("answered before the engine was done", ids=list(ids))
        except Exception:
            _log.exception("waiting for the engine failed", ids=list(ids))

    async def _in(self, pool: ThreadPoolExecutor, run: Callable[..., T], *args: object) -> T:
        """Run in a thread, with this request's log context."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(pool, functools.partial(context.run, run, *args))


def _refusal(fault: Fault, request_id: str) -> _Reply:
    if isinstance(fault, sts.Refused):
        return _Reply(sts.write_error(fault, request_id), {}, fault)
    return _Reply(wire.write_error(fault.code, fault.message, request_id), {}, fault)
