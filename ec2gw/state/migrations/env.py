"""What alembic runs: the migrations, over the URL it was given, in one transaction."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from alembic import context

from ec2gw.state import records
from ec2gw.state.session import WRITER_LOCK

url = context.config.get_main_option("sqlalchemy.url")
assert url is not None
engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)


# sqlite3 would leave changes of the schema outside the transaction: a process killed half-way would leave half a schema.
@sqlalchemy.event.listens_for(engine, "connect")
def take_transactions_over(connection: Any, _record: object) -> None:
    if engine.dialect.name == "sqlite":
        connection.isolation_level = None


@sqlalchemy.event.listens_for(engine, "begin")
def begin(connection: sqlalchemy.Connection) -> None:
    if engine.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.begin() as connection:
    if engine.dialect.name == "postgresql":
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:n)"), {"n": WRITER_LOCK})
    context.configure(
        connection=connection, target_metadata=records.Record.metadata, render_as_batch=True, transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()
