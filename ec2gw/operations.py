"""The operator's face, on an address of its own: /healthz and /metrics (Prometheus). It shows and changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import prometheus_client
from aiohttp import web
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from ec2gw.state import records
from ec2gw.state.session import Database

_COUNTED = {
    "instance": records.Instance.state,
    "volume": records.Volume.state,
    "snapshot": records.Snapshot.state,
    "image": records.Image.state,
    "import": records.ImportTask.state,
}


class _Records(Collector):
    """How many records there are of each kind in each state, counted when they are asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("ec2gw_records", "Records of a kind in a state", labels=["kind", "state"])
        with self._database.read() as tx:
            for kind, column in _COUNTED.items():
                for state, count in tx.db.execute(select(column, func.count()).group_by(column)):
                    family.add_metric([kind, state], count)
        yield family

    def describe(self) -> list[GaugeMetricFamily]:
        return []


def application(database: Database, counts: prometheus_client.CollectorRegistry) -> web.Application:
    """`/healthz`: 200 while the records can be read, else 503. `/metrics`: `counts`, those of the process and of the records."""
    counts.register(_Records(database))

    def alive() -> bool:
        try:
            with database.read() as tx:
                tx.db.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def measure() -> bytes:
        return prometheus_client.generate_latest(prometheus_client.REGISTRY) + prometheus_client.generate_latest(counts)

    async def health(_request: web.Request) -> web.Response:
        ok = await asyncio.to_thread(alive)
        return web.Response(text="ok\n" if ok else "the records cannot be read\n", status=200 if ok else 503)

    async def metrics(_request: web.Request) -> web.Response:
        headers = {"Content-Type": prometheus_client.CONTENT_TYPE_LATEST}
        return web.Response(body=await asyncio.to_thread(measure), headers=headers)

    made = web.Application()
    made.router.add_get("/healthz", health)
    made.router.add_get("/metrics", metrics)
    return made
