"""Brings the records to the schema of this program (alembic). One process at a time; it must not know what the records mean."""

from __future__ import annotations

import fcntl
from pathlib import Path

import alembic.command
import alembic.config
import sqlalchemy

SCRIPTS = Path(__file__).parent / "migrations"


def configuration(url: str) -> alembic.config.Config:
    """alembic's own configuration, for a database URL."""
    made = alembic.config.Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return made


def upgrade(url: str, folder: Path) -> None:
    """Bring the records to the newest schema; `folder` holds the lock."""
    database = sqlalchemy.make_url(url)
    if database.get_backend_name() == "sqlite" and database.database:
        Path(database.database).touch(mode=0o600)
    with (folder / "migration.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        alembic.command.upgrade(configuration(url), "head")
