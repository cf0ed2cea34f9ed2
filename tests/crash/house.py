"""A gateway without its faces: records, a store, a simulated hypervisor, and an engine that can be killed at any of its steps.

The engine runs in a forked process, so that a kill is a real SIGKILL: nothing of that process gets a chance to tidy up.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select

from ec2gw.backend import simulated
from ec2gw.backend.downloads import Downloads
from ec2gw.backend.ports import VolumeStore
from ec2gw.backend.staging import Staging
from ec2gw.backend.stores import qcow2, raw
from ec2gw.cloud import networks, uploads
from ec2gw.engine import loop, observe
from ec2gw.engine.steps import Step
from ec2gw.state import records
from ec2gw.state.session import Database, Transaction

ACCOUNT = "123456789012"
ZONE = "us-east-1a"
STORES: dict[str, Callable[[Path], VolumeStore]] = {"raw": raw.RawStore, "qcow2": qcow2.Qcow2Store}
T = TypeVar("T")


class House:
    """One folder's records, disks and machines."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self._store = store

    def make(self) -> None:
        database = self._database()
        records.Record.metadata.create_all(database.engine)
        with database.write() as tx:
            networks.create_default_vpc(tx, ACCOUNT, "us-east-1", (ZONE,))
        database.close()

    def store(self) -> VolumeStore:
        return STORES[self._store](self.folder / "volumes")

    def staging(self) -> Staging:
        return Staging(self.folder / "uploads")

    def machines(self) -> simulated.Hypervisor:
        return simulated.Hypervisor(self.folder / "machines")

    def downloads(self) -> Downloads:
        loopback = [ipaddress.ip_network("127.0.0.0/8")]
        return Downloads(self.folder / "imports", largest=1 << 30, allowed=loopback)

    def _database(self) -> Database:
        return Database(f"sqlite:///{self.folder / 'records.db'}")

    def wish(self, verb: Callable[..., T], *words: Any, **more: Any) -> T:
        """Send a wish while no engine runs. Gives what `verb` returns, loaded."""
        database = self._database()
        with database.write() as tx:
            tx.db.expire_on_commit = False
            result = verb(tx, ACCOUNT, *words, **more)
        database.close()
        return result

    def received(self, snapshot: str, number: int, data: bytes) -> None:
        """A client has written a block of an upload."""
        block = uploads.Block(number, hashlib.sha256(data).digest())
        self.staging().put(snapshot, number, block.checksum, data)
        self.wish(uploads.receive, snapshot, block)

    def ask(self, question: Callable[[Transaction], T]) -> T:
        """Read the records."""
        database = self._database()
        with database.read() as tx:
            result = question(tx)
        database.close()
        return result

    def run(self, die_at: int | None = None, points: Path | None = None) -> int | None:
        """Run an engine in a process of its own until all is settled; or until it is killed at its `die_at`-th point.

        Every point passed is a line of the file `points`. Returns the signal that ended the process, None for none.
        """
        child = os.fork()
        if child == 0:
            status = 1
            try:
                self._serve(die_at, points)
                status = 0
            finally:
                os._exit(status)
        _, end = os.waitpid(child, 0)
        if os.WIFSIGNALED(end):
            return os.WTERMSIG(end)
        assert os.WEXITSTATUS(end) == 0, "the engine broke"
        return None

    def _serve(self, die_at: int | None, points: Path | None) -> None:
        counting = threading.Lock()
        passed = 0

        def on_step(step: Step, moment: str) -> None:
            nonlocal passed
            with counting:
                if points:
                    with points.open("a") as file:
                        file.write(f"{step.name} {moment}\n")
                if passed == die_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                passed += 1

        database = self._database()
        machines = self.machines()
        # One worker: the same steps in the same order at every run, so that a point's number means the same step.
        stores, staging, downloads = {ZONE: self.store()}, self.staging(), self.downloads()
        engine = loop.Engine(database, stores, machines, staging, downloads, workers=1, patience=1, on_step=on_step)
        engine.start()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with database.read() as tx:
                left = observe.unsettled(tx) + rebooting(tx, machines)
                known = everything(tx)
            if not left and engine.wait(known, 1):
                engine.stop()  # the step under way may be one whose record is gone already: its last point is still to be passed
                return
            engine.wake(left)
            time.sleep(0.005)
        raise AssertionError(f"not settled: {left}")


def everything(tx: Transaction) -> list[str]:
    return [
        id
        for kind in (records.Volume, records.Snapshot, records.Image, records.ImportTask, records.Instance)
        for id in tx.db.scalars(select(kind.id))
    ]


def rebooting(tx: Transaction, machines: simulated.Hypervisor) -> list[str]:
    domains = machines.domains()
    return [id for id, boots in observe.running(tx).items() if id not in domains or domains[id].generation < boots]
