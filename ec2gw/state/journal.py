"""Which ids each committed write concerns, in order: who keeps what was made from records knows by it what to make anew.

It is kept by the mapper itself, so that no verb can forget it, and committed with the write, so that every process sees it. It
must not know what the records mean, save where a change of a row concerns fewer ids than the row names.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import JSON, bindparam, delete, event, insert, select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Mapped, Mapper, ORMExecuteState, Session, mapped_column, object_mapper, object_session
from sqlalchemy.orm.attributes import get_history
from sqlalchemy.orm.base import PASSIVE_NO_INITIALIZE

from ec2gw.state import networks, records
from ec2gw.state.records import Record

KEPT = 10_000  # writes; whoever looks more rarely must take it that all has changed

# A change of a row concerns every id that the row names, and everybody where it names none. Of these it concerns only what is
# said here: whatever shows the row names these ids as well.
_CONCERNS: Mapping[type[Record], tuple[str, ...]] = {
    records.AccessKey: (),
    records.ClientToken: (),
    records.Instance: ("id",),
    records.Volume: ("id",),
    records.Console: (),
    records.Screen: (),
    records.Upload: (),
    records.UploadBlock: (),
    networks.Interface: ("id", "instance_id"),
    networks.InterfaceAddress: ("interface_id",),
    networks.InterfaceGroup: ("interface_id",),
}
_CONCERNED, _EVERYBODY = "concerned", "*"  # a session's note of its own changes, and what stands in it for everybody


class Change(Record):
    """A write that was committed. `ids` is None where nobody knows whom it concerns."""

    __tablename__ = "change"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    ids: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))


# Built once: they are for nearly every request, and building them takes longer than asking.
_CHANGES = Change.__table__.c
_ADD = insert(Change).returning(Change.number)
_SINCE = select(_CHANGES.number, _CHANGES.ids).where(_CHANGES.number >= bindparam("number")).order_by(_CHANGES.number)


def since(db: Session, number: int) -> list[tuple[int, list[str] | None]]:
    """The changes from that number on, the change of that number included."""
    return [(found, ids) for found, ids in db.execute(_SINCE, {"number": number})]


def concerning(*ids: str) -> dict[str, Any]:
    """Execution options of a bulk statement: whom it concerns, which otherwise is everybody."""
    return {"concerns": ids}


def close(db: Session) -> None:
    """Write down what the session has changed; the last thing before its commit."""
    db.flush()
    if not (concerned := db.info.get(_CONCERNED)):
        return
    ids = None if _EVERYBODY in concerned else sorted(concerned)
    number: int = db.connection().execute(_ADD, {"ids": ids}).scalar_one()
    if number % (KEPT // 10) == 0:
        db.execute(delete(Change).where(Change.number <= number - KEPT))


@functools.cache
def _columns(mapper: Mapper[Any]) -> tuple[str, ...] | None:
    """The columns by which a record says whom its change concerns; None where it says nothing. An account's number is no id."""
    names = [column.key for column in mapper.column_attrs]
    named = tuple(name for name in names if (name == "id" or name.endswith("_id")) and name != "account_id")
    return _CONCERNS.get(mapper.class_, named or None)


def _ids(row: Record) -> Iterator[str]:
    """The ids that a row names, or named before it was changed."""
    columns = _columns(object_mapper(row))
    if columns is None:
        yield _EVERYBODY
        return
    for key in columns:
        history = get_history(row, key, PASSIVE_NO_INITIALIZE)
        yield from (id for id in (*history.added, *history.unchanged, *history.deleted) if isinstance(id, str))


def _note(_mapper: Mapper[Any], _connection: Connection, row: Record) -> None:
    db = object_session(row)
    assert db is not None
    db.info.setdefault(_CONCERNED, set()).update(_ids(row))


for moment in ("after_insert", "after_update", "after_delete"):
    event.listen(Record, moment, _note, propagate=True)


@event.listens_for(Session, "do_orm_execute")
def _note_statement(statement: ORMExecuteState) -> None:
    if not (statement.is_insert or statement.is_update or statement.is_delete):
        return
    silent = statement.bind_mapper is not None and _columns(statement.bind_mapper) == ()
    concerned = statement.execution_options.get("concerns", () if silent else (_EVERYBODY,))
    statement.session.info.setdefault(_CONCERNED, set()).update(concerned)
