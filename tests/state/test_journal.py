"""The journal notes whom a write concerns, and no write can go past it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from ec2gw.cloud import networks, tags, volumes
from ec2gw.state import journal, records
from ec2gw.state.networks import Vpc
from ec2gw.state.session import Database

ACCOUNT = "111111111111"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path}/records.db")
    records.Record.metadata.create_all(made.engine)
    return made


def newest(database: Database, since: int = 0) -> list[list[str] | None]:
    with database.read() as tx:
        return [ids for _, ids in journal.since(tx.db, since)]


def test_a_row_concerns_the_ids_that_it_names(database: Database) -> None:
    with database.write() as tx:
        volume = volumes.create(tx, ACCOUNT, zone="us-east-1a", size=1).id
    assert newest(database) == [[volume]]
    with database.write() as tx:
        tx.db.add(
            records.Attachment(
                volume_id=volume, instance_id="i-01", device="sdf", slot=1, delete_on_termination=False, state="attaching",
                attach_time=tx.now, wished_at=tx.now,
            )
        )  # fmt: skip
    assert newest(database)[1:] == [["i-01", volume]]


def test_a_change_concerns_what_the_row_named_before(database: Database) -> None:
    with database.write() as tx:
        networks.create_default_vpc(tx, ACCOUNT, "us-east-1", ("us-east-1a",))
    with database.write() as tx:
        vpc = tx.db.scalars(select(Vpc)).one()
        id, old, vpc.dhcp_options_id = vpc.id, vpc.dhcp_options_id, "dopt-01"
    last = newest(database)[-1]
    assert last is not None
    assert {id, old, "dopt-01"} <= set(last)


def test_a_read_and_a_write_that_fails_are_not_noted(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as tx:
        volumes.create(tx, ACCOUNT, zone="us-east-1a", size=1)
        raise ZeroDivisionError
    assert newest(database) == []


def test_a_bulk_statement_concerns_everybody_unless_it_says_whom(database: Database) -> None:
    with database.write() as tx:
        volume = volumes.create(tx, ACCOUNT, zone="us-east-1a", size=1).id
        tags.put(tx, ACCOUNT, [volume], {"Name": "x"})
    assert newest(database) == [[volume]]
    with database.write() as tx:
        tx.db.execute(update(records.Volume).values(size=2))
    assert newest(database)[1:] == [None]
    with database.write() as tx:
        tx.db.execute(delete(records.ClientToken))
        tx.db.execute(update(records.Volume).values(size=3), execution_options=journal.concerning(volume))
    assert newest(database)[2:] == [[volume]]


def test_it_forgets_what_is_long_ago(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT", 20)
    for _ in range(50):
        with database.write() as tx:
            volumes.create(tx, ACCOUNT, zone="us-east-1a", size=1)
    assert 20 <= len(newest(database)) <= 22
