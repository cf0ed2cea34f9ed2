"""What alembic runs: the migrations, over the URL it was given."""

from __future__ import annotations

import sqlalchemy
from alembic import context

from ec2gw.state import records

url = context.config.get_main_option("sqlalchemy.url")
assert url is not None
engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=records.Record.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
