"""The operator's face, on an address of its own: /healthz and /metrics (Prometheus)."""

from __future__ import annotations

import asyncio

import prometheus_client
from aiohttp import web
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from ec2gw.state.session import Database


def application(database: Database) -> web.Application:
    """`/healthz` says 200 while the records can be read, else 503."""

    def alive() -> bool:
        try:
            with database.read() as tx:
                tx.db.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    async def health(_request: web.Request) -> web.Response:
        ok = await asyncio.to_thread(alive)
        return web.Response(text="ok\n" if ok else "the records cannot be read\n", status=200 if ok else 503)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=prometheus_client.generate_latest(), headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})

    made = web.Application()
    made.router.add_get("/healthz", health)
    made.router.add_get("/metrics", metrics)
    return made
