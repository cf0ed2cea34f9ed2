"""Transactions: whole or not at all, one writer at a time, a steady look while others write; the same on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
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
