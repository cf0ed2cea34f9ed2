"""Transactions: whole or not at all, one writer at a time, a steady look while others write; the same on both databases."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import func, select

from ec2gw.state import migrate
from ec2gw.state.records import Account
from ec2gw.state.session import Database

NOW = datetime(2020, 2, 29, 12, 0, tzinfo=UTC)


@pytest.fixture
def database(url: str, tmp_path: Path) -> Iterator[Database]:
    migrate.upgrade(url, tmp_path)
    made = Database(url, lambda: NOW)
    yield made
    made.close()


def account(number: int) -> Account:
    return Account(id=f"{number:012d}", name=f"number {number}", created_at=NOW)


def count(database: Database) -> int:
    with database.read() as tx:
        return tx.db.scalar(select(func.count()).select_from(Account)) or 0


def test_what_is_written_is_read_with_its_time_zone(database: Database) -> None:
    with database.write() as tx:
        assert tx.now == NOW
        tx.db.add(account(1))
    with database.read() as tx:
        found = tx.db.get(Account, f"{1:012d}")
        assert found is not None
        assert found.created_at == NOW


def test_raising_takes_everything_back_and_wakes_nobody(database: Database) -> None:
    heard: list[set[str]] = []
    database.on_commit(heard.append)
    with pytest.raises(ZeroDivisionError), database.write() as tx:
        tx.db.add(account(1))
        tx.db.flush()
        tx.touch("vol-1")
        raise ZeroDivisionError
    assert count(database) == 0
    assert heard == []


def test_what_was_touched_is_told_after_the_commit(database: Database) -> None:
    heard: list[tuple[set[str], int]] = []
    database.on_commit(lambda ids: heard.append((ids, count(database))))
    with database.write() as tx:
        tx.db.add(account(1))
        tx.touch("vol-1", "i-1")
    with database.write() as tx:
        tx.db.add(account(2))
    assert heard == [({"vol-1", "i-1"}, 1)]


def test_a_reader_keeps_nothing(database: Database) -> None:
    with database.read() as tx:
        tx.db.add(account(1))
        tx.db.flush()
    assert count(database) == 0


def test_checks_and_writes_of_many_threads_are_never_torn_apart(database: Database) -> None:
    """Each reads the count and writes the next number: any two at once would write the same."""

    def work() -> None:
        for _ in range(10):
            with database.write() as tx:
                tx.db.add(account(tx.db.scalar(select(func.count()).select_from(Account)) or 0))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 80


def test_a_new_file_is_opened_by_many_at_once(tmp_path: Path) -> None:
    """SQLite refuses one of two that begin to write ahead at the same moment, and does not wait."""
    met: list[Exception] = []

    def begin(url: str, together: threading.Barrier) -> None:
        together.wait()
        database = Database(url)
        try:
            with database.read() as tx:
                assert tx.db.scalar(sqlalchemy.text("PRAGMA journal_mode")) == "wal"
        except Exception as problem:
            met.append(problem)
        database.close()

    for number in range(60):
        together = threading.Barrier(3)
        threads = [threading.Thread(target=begin, args=(f"sqlite:///{tmp_path}/{number}.db", together)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert met == []


def test_writers_of_two_processes_worth_of_connections_queue_too(database: Database, url: str) -> None:
    other = Database(url, lambda: NOW)

    def work(home: Database) -> None:
        for _ in range(10):
            with home.write() as tx:
                tx.db.add(account(tx.db.scalar(select(func.count()).select_from(Account)) or 0))

    threads = [threading.Thread(target=work, args=(home,)) for home in (database, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert count(database) == 20


def test_a_look_is_of_one_moment(database: Database) -> None:
    with database.write() as tx:
        tx.db.add(account(1))
    with database.read() as tx:
        before = tx.db.scalar(select(func.count()).select_from(Account))
        with database.write() as writing:
            writing.db.add(account(2))
        assert tx.db.scalar(select(func.count()).select_from(Account)) == before == 1
    assert count(database) == 2


class Crowd:
    """Writers that queue behind one that is held up, in order; what each got."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads: list[threading.Thread] = []
        self.got: dict[int, Exception | None] = {}
        self.commits = 0
        sqlalchemy.event.listen(database.engine, "commit", self._count)

    def _count(self, _connection: object) -> None:
        self.commits += 1

    def __enter__(self) -> Crowd:
        self._first = threading.Event()
        self._begin(0, lambda: self._first.wait(30))
        return self

    def join(self, number: int, then: Callable[[], object] = lambda: None) -> None:
        """Another writer queues: it adds the account of that number, and does this."""
        self._begin(number, then)

    def _begin(self, number: int, then: Callable[[], object]) -> None:
        queued = self._database._queue

        def write() -> None:
            try:
                with self._database.write() as tx:
                    tx.db.add(account(number))
                    tx.db.flush()
                    then()
                self.got[number] = None
            except Exception as problem:
                self.got[number] = problem

        self._threads.append(threading.Thread(target=write))
        self._threads[-1].start()
        until(lambda: number == 0 and self._database._writer.locked() or self._database._queue == queued + 1)

    def __exit__(self, *_: object) -> None:
        self._first.set()
        for thread in self._threads:
            thread.join()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def names(database: Database) -> set[str]:
    with database.read() as tx:
        return set(tx.db.scalars(select(Account.name)))


def test_writes_that_queue_are_committed_together_and_one_that_fails_takes_no_other_with_it(database: Database) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with Crowd(database) as crowd:
        for number in range(1, 6):
            crowd.join(number, fail if number in (2, 5) else lambda: None)
    assert crowd.commits == 1
    assert names(database) == {f"number {number}" for number in (0, 1, 3, 4)}
    assert {number for number, problem in crowd.got.items() if isinstance(problem, ZeroDivisionError)} == {2, 5}
    assert [crowd.got[number] for number in (0, 1, 3, 4)] == [None] * 4


def test_a_statement_that_the_database_refuses_takes_no_other_with_it(database: Database) -> None:
    with Crowd(database) as crowd:
        crowd.join(1)
        crowd.join(2, lambda: None)
        crowd._begin(1, lambda: None)  # the same key again
        crowd.join(3)
    assert names(database) == {f"number {number}" for number in range(4)}
    assert crowd.commits == 1


def test_nobody_goes_on_before_the_commit(database: Database) -> None:
    seen: list[tuple[int, int]] = []
    with Crowd(database) as crowd:
        for number in range(1, 4):
            crowd.join(number, lambda: seen.append((len(crowd.got), count(database))))
    assert seen == [(0, 0)] * 3, "who has written waits, and others see nothing of it"


def test_a_commit_that_fails_fails_for_all_and_the_next_is_well(database: Database) -> None:
    def fail(_connection: object) -> None:
        raise OSError("no space left on device")

    sqlalchemy.event.listen(database.engine, "commit", fail)
    with Crowd(database) as crowd:
        crowd.join(1)
        crowd.join(2)
    sqlalchemy.event.remove(database.engine, "commit", fail)
    assert all(isinstance(crowd.got[number], OSError) for number in range(3))
    assert count(database) == 0
    with database.write() as tx:
        tx.db.add(account(9))
    assert count(database) == 1


def test_nobody_waits_for_who_was_interrupted_in_the_queue(database: Database) -> None:
    waiting = threading.get_ident()

    def interrupt(_number: int, _frame: object) -> None:
        raise InterruptedError

    def send() -> None:
        until(lambda: database._queue)
        signal.pthread_kill(waiting, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with Crowd(database):
            threading.Thread(target=send).start()
            with pytest.raises(InterruptedError), database.write():
                pytest.fail("it is another's turn")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert names(database) == {"number 0"}


def test_a_transaction_that_the_database_gave_up_is_no_commit(database: Database) -> None:
    """As SQLite does where the disk is full: what was written before in the same batch is gone, and its writers are told.

    Who queues is not served in the order of coming, so the others may have come before or after.
    """
    with Crowd(database) as crowd:
        crowd.join(1)
        crowd.join(2, lambda: _give_up(database))
        crowd.join(3)
    assert crowd.got[0] is not None and crowd.got[2] is not None
    assert names(database) == {f"number {number}" for number, problem in crowd.got.items() if problem is None}


def _give_up(database: Database) -> None:
    assert database._batch is not None
    inner = database._batch.connection.connection.driver_connection
    assert inner is not None
    inner.execute("ROLLBACK") if database.sqlite else inner.close()
    raise OSError("the disk is full")


def test_the_stamp_changes_with_every_commit_and_with_nothing_else(database: Database) -> None:
    if not database.sqlite:
        assert database.stamp() is None
        return
    other = Database(database.url.render_as_string(hide_password=False), lambda: NOW)
    stamps = [database.stamp()]
    for number, who in enumerate((database, other, database)):
        with who.read():
            assert database.stamp() == stamps[-1]
        with who.write() as tx:
            tx.db.add(account(number))
            tx.db.flush()
            assert database.stamp() == stamps[-1]
        stamps.append(database.stamp())
        assert database.stamp() == stamps[-1]
    assert None not in stamps
    assert len(set(stamps)) == len(stamps)
    other.close()


def test_who_asks_for_the_time_is_known_for_it(database: Database) -> None:
    with database.read() as tx:
        assert not tx.timed
        assert tx.now == NOW
        assert tx.timed
