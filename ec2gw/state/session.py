"""The one place that opens transactions. It must not know what is in them.

SQLite has one writer; PostgreSQL is given one too (an advisory lock), so a check and the write that rests on it are never torn
apart by another request, on either. Writes that wait for each other anyway are committed together, each in a savepoint of its
own: one flush to the disk for all, and nobody is answered before it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from ec2gw.model.limits import NONE, Limits
from ec2gw.state import journal

LOCK_PATIENCE = 30  # seconds that SQLite waits for another process
WRITER_LOCK = 0xEC2  # the advisory lock's number on PostgreSQL
TOGETHER = 16  # writes in one commit, at most


@dataclass
class Transaction:
    """An open transaction: the session, the moment it counts as, the ids whose records the engine must look at after it, and
    what an account may have. `timed`: somebody has asked what time it is, so what came of it holds for that moment only.
    """

    db: Session
    moment: datetime
    touched: set[str] = field(default_factory=set)
    limits: Limits = NONE
    timed: bool = False

    @property
    def now(self) -> datetime:
        """The moment that the transaction counts as; aware, UTC."""
        self.timed = True
        return self.moment

    def touch(self, *ids: str) -> None:
        """Have the engine look at these records once the transaction is committed."""
        self.touched.update(ids)


class _Batch:
    """Writes that are committed together, one after the other on one connection; all by whoever holds the writer's lock."""

    def __init__(self, connection: sqlalchemy.Connection) -> None:
        self.connection = connection
        self.members = 0
        self._over = threading.Event()
        self._failure: Exception | None = None

    def lives(self) -> bool:
        """Whether its transaction is still open. SQLite gives a whole one up where the disk fails it, savepoints and all."""
        inner: Any = self.connection.connection.driver_connection if not self.connection.invalidated else None
        return bool(getattr(inner, "in_transaction", inner is not None))

    def commit(self) -> None:
        """Commit for all members, or for none."""
        try:
            with self.connection:
                try:
                    if not self.lives():
                        raise sqlalchemy.exc.InvalidRequestError("the transaction ended before its commit")
                    self.connection.commit()
                except Exception:
                    self.connection.invalidate()  # whatever state it is in now, nobody is to have it again
                    raise
        except Exception as problem:
            self._failure = problem
        finally:
            self._over.set()

    def wait(self) -> None:
        """Until it is committed. Raises what kept it from that."""
        self._over.wait()
        if self._failure is not None:
            raise self._failure


class Database:
    """The records' home. `url` is SQLAlchemy's; `clock` gives aware UTC times."""

    def __init__(self, url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC), limits: Limits = NONE) -> None:
        self.url = sqlalchemy.make_url(url)
        self.clock = clock
        self.limits = limits
        self.sqlite = self.url.get_backend_name() == "sqlite"
        if self.sqlite:
            if self.url.database:
                Path(self.url.database).touch(mode=0o600)
            self.engine = sqlalchemy.create_engine(
                self.url, pool_size=16, hide_parameters=True, connect_args={"timeout": LOCK_PATIENCE, "check_same_thread": False}
            )
            event.listen(self.engine, "connect", _prepare_sqlite)
        else:
            self.engine = sqlalchemy.create_engine(self.url, pool_size=16, hide_parameters=True, pool_pre_ping=True)
        self._writer = threading.Lock()  # queue here, fairly and without busy time-outs, rather than inside SQLite
        self._batch: _Batch | None = None  # what is open; whoever has the lock may join it
        self._counting = threading.Lock()
        self._queue = 0  # how many wait for the lock
        self._listener: Callable[[set[str]], None] = lambda ids: None
        self._onlooker: sqlite3.Connection | None = None

    def on_commit(self, listener: Callable[[set[str]], None]) -> None:
        """Call `listener(touched ids)` after each committed write that touched something."""
        self._listener = listener

    def stamp(self) -> int | None:
        """What changes with every commit, whoever commits; None where it is not to be had at once. For one thread.

        Between two equal stamps a transaction sees the same (https://www.sqlite.org/pragma.html#pragma_data_version).
        """
        if not (self.sqlite and self.url.database):
            return None
        if self._onlooker is None:
            self._onlooker = self._look_on()
        try:
            stamp: int = self._onlooker.execute("PRAGMA data_version").fetchone()[0]
        except sqlite3.OperationalError:  # locked, for a moment
            return None
        return stamp

    def _look_on(self) -> sqlite3.Connection:
        """A connection of its own, which never writes and never waits."""
        pooled = self.engine.raw_connection()
        connection: sqlite3.Connection = pooled.driver_connection  # type: ignore[assignment]
        pooled.detach()
        connection.execute("PRAGMA busy_timeout=0")
        return connection

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent look; nothing it changes is kept."""
        with Session(self.engine, autoflush=False) as session:
            if self.sqlite:
                session.connection().exec_driver_sql("BEGIN")  # or each query would see a different moment
            else:
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield Transaction(session, self.clock(), limits=self.limits)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A change: committed whole when the block ends, rolled back whole when it raises.

        Even who raises waits for the commit: a refusal may rest on what was written just before.
        """
        batch = None
        try:
            with self._turn():
                batch = self._batch = self._batch or self._begin()
                try:
                    with Session(batch.connection, join_transaction_mode="create_savepoint") as session:
                        transaction = Transaction(session, self.clock(), limits=self.limits)
                        yield transaction
                        journal.close(session)
                        session.commit()
                finally:
                    batch.members += 1
                    # Whoever waits joins this batch, and commits it for those before.
                    if not self._queue or batch.members >= TOGETHER or not batch.lives():
                        self._batch = None
                        batch.commit()
        finally:
            if batch is not None:
                batch.wait()
        if transaction.touched:
            self._listener(transaction.touched)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The one writer's turn."""
        with self._counting:
            self._queue += 1
        try:
            self._writer.acquire()
        finally:  # who is interrupted here does not come, and nobody may wait for him
            with self._counting:
                self._queue -= 1
        try:
            yield
        finally:
            self._writer.release()

    def _begin(self) -> _Batch:
        connection = self.engine.connect()
        try:
            if self.sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": WRITER_LOCK})
        except BaseException:
            connection.close()
            raise
        return _Batch(connection)

    def close(self) -> None:
        """Let go of every connection."""
        if self._onlooker is not None:
            self._onlooker.close()
        self.engine.dispose()


def _prepare_sqlite(connection: object, _record: object) -> None:
    # isolation_level None: sqlite3 would otherwise begin transactions by itself, too late and never IMMEDIATE.
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    _write_ahead(cursor)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Of two that change a new file's mode at once, SQLite refuses one without waiting."""
    end = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
