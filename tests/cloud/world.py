"""A little world of records to try the verbs in: a database of its own, a clock that stands still, no engine."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from ec2gw.cloud import images, instances, networks, snapshots, volumes
from ec2gw.model import bdm, ids
from ec2gw.state import journal
from ec2gw.state.records import Attachment, Image, Instance, Record, RootReplacement, Snapshot, Volume
from ec2gw.state.session import Database, Transaction

ME, OTHER = "111111111111", "222222222222"
ZONE, ZONES = "us-east-1a", ("us-east-1a", "us-east-1b")
PATIENCE = 20
BEGIN = datetime(2026, 3, 4, 0, 21, 54, tzinfo=UTC)

Row = dict[str, Any]


class World:
    """`touched` are the ids that the last committed transaction wants the engine to look at."""

    def __init__(self, folder: Path) -> None:
        self.now = BEGIN
        self.folder = folder
        (folder / "records.db").write_bytes(_empty())
        self.database = Database(f"sqlite:///{folder / 'records.db'}", lambda: self.now)
        self.touched: set[str] = set()

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # -- asking -------------------------------------------------------------------------------------------------------------

    def wish(self, verb: Callable[..., Any], *words: Any, account: str = ME, **more: Any) -> Any:
        """A face's wish in one transaction. Returns the answer's ids: of a record, or of a list of records."""
        with self.database.write() as tx:
            answer = verb(tx, account, *words, **more)
            tx.db.flush()
            found = _ids(answer)
            self.touched = tx.touched
        return found

    def tell(self, fact: Callable[..., Any], *words: Any, **more: Any) -> None:
        """The engine's fact in one transaction."""
        with self.database.write() as tx:
            fact(tx, *words, **more)
            self.touched = tx.touched

    def row(self, record: type[Record], **where: Any) -> Row | None:
        """The one record, as a plain dict."""
        found = self.rows(record, **where)
        assert len(found) < 2
        return found[0] if found else None

    def rows(self, record: type[Record], **where: Any) -> list[Row]:
        with self.database.read() as tx:
            query = select(*record.__table__.columns).filter_by(**where)
            return [dict(row._mapping) for row in tx.db.execute(query)]

    def everything(self) -> dict[str, list[Row]]:
        """All that is written down, but for the journal of the writes themselves."""
        with self.database.read() as tx:
            return {
                table.name: [dict(row._mapping) for row in tx.db.execute(select(table))]
                for table in Record.metadata.sorted_tables
                if table.name != journal.Change.__tablename__
            }

    def state(self, id: str) -> str | None:
        """The state of a record; None where there is none."""
        record = {"i": Instance, "vol": Volume, "snap": Snapshot, "ami": Image, "replacevol": RootReplacement}[id.split("-")[0]]
        found = self.row(record, id=id)
        return found["state"] if found else None

    def attachment(self, volume_id: str) -> Row | None:
        return self.row(Attachment, volume_id=volume_id)

    def volumes_of(self, instance_id: str) -> list[str]:
        """The instance's volumes by slot, the root first."""
        found = sorted(self.rows(Attachment, instance_id=instance_id), key=lambda row: row["slot"])
        return [row["volume_id"] for row in found]

    # -- making -------------------------------------------------------------------------------------------------------------

    def volume(self, state: str = "available", *, account: str = ME, zone: str = ZONE, size: int = 1) -> str:
        """A volume that has come to this state by itself."""
        id: str = self.wish(volumes.create, account=account, zone=zone, size=size)
        if state == "error":
            self.tell(volumes.failed, id)
        elif state != "creating":
            self.tell(volumes.created, id)
        if state == "deleting":
            self.wish(volumes.delete, id, account=account)
        assert self.state(id) == state
        return id

    def snapshot(self, state: str = "completed", *, account: str = ME, size: int = 8) -> str:
        """A snapshot of an imported disk."""
        id: str = self.wish(snapshots.begin_fill, size, ZONE, "imported", account=account)
        if state == "error":
            self.tell(snapshots.failed, id, "no space")
        elif state != "pending":
            self.tell(snapshots.completed, id)
        if state == "deleting":
            self.wish(snapshots.delete, id, account=account)
        assert self.state(id) == state
        return id

    def image(self, *more: bdm.Line, account: str = ME, root: str = "/dev/sda1", name: str | None = None) -> str:
        """An image whose root is a snapshot of 8 GiB."""
        lines = (bdm.Line(root, snapshot_id=self.snapshot(account=account)), *more)
        registration = images.Registration(
            ids.new("ami") if name is None else name, root, architecture="x86_64", virtualization_type="hvm"
        )
        id: str = self.wish(images.register, registration, lines, account=account)
        return id

    def launch(
        self,
        *lines: bdm.Line,
        image: str | None = None,
        count: int = 1,
        least: int | None = None,
        account: str = ME,
        **more: Any,
    ) -> list[str]:
        """Instances just wished for."""
        image_id = image or self.image(account=account)

        def launch(tx: Transaction, account_id: str) -> list[Instance]:
            said = {"type": "m5d.large", "zones": ZONES, **more}
            wish = instances.Launch(images.usable(tx, account_id, image_id), patience=PATIENCE, lines=lines, **said)
            return instances.launch(tx, account_id, wish, count, least)

        launched: list[str] = self.wish(launch, account=account)
        return launched

    def instance(self, state: str = "running", *lines: bdm.Line, again: bool = False, account: str = ME, **more: Any) -> str:
        """An instance that has come to this state by the verbs alone; `again`: it has been stopped before."""
        (id,) = self.launch(*lines, account=account, **more)
        if state in ("pending", "shutting-down", "terminated") and not again:
            if state != "pending":
                self.wish(instances.terminate, [id], PATIENCE, account=account)
        else:
            self.bring_up(id)
            if again or state in ("stopping", "stopped"):
                self.wish(instances.stop, [id], PATIENCE, account=account)
            if again or state == "stopped":
                self.tell(instances.stopped, id)
            if again and state in ("pending", "running", "stopping"):
                self.wish(instances.start, [id], PATIENCE, account=account)
            if again and state in ("running", "stopping"):
                self.bring_up(id)
            if again and state == "stopping":
                self.wish(instances.stop, [id], PATIENCE, account=account)
            if again and state in ("shutting-down", "terminated"):
                self.wish(instances.terminate, [id], PATIENCE, account=account)
        if state == "terminated":
            self.tell(instances.ended, id)
        assert self.state(id) == state
        return id

    def bring_up(self, id: str) -> None:
        """What the engine tells of an instance whose machine comes on."""
        for volume_id in self.volumes_of(id):
            self.tell(volumes.created, volume_id)
        self.tell(instances.started, id, self.volumes_of(id))


@functools.cache
def _empty() -> bytes:
    """A database with no record in it but both accounts' networks; making one takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/records.db")
        Record.metadata.create_all(database.engine)
        with database.write() as tx:
            for account in (ME, OTHER):
                networks.create_default_vpc(tx, account, "us-east-1", ZONES)
        database.close()
        return Path(folder, "records.db").read_bytes()


def _ids(answer: Any) -> Any:
    match answer:
        case list() | tuple():
            return [_ids(each) for each in answer]
        case instances.Change():
            return answer.instance.id, answer.before, answer.instance.state
        case Attachment():
            return answer.volume_id
        case None:
            return None
    return answer.id
