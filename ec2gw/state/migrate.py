"""Brings the records to the schema of this program (alembic). It must not know what the records mean."""

from __future__ import annotations

import fcntl
from pathlib import Path

import alembic.command
import alembic.config
import alembic.script
import sqlalchemy
from alembic.runtime.migration import MigrationContext

SCRIPTS = Path(__file__).parent / "migrations"


class SchemaTooNew(Exception):
    """A newer program wrote these records."""


def configuration(url: str) -> alembic.config.Config:
    """alembic's own configuration, for a database URL."""
    made = alembic.config.Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return made


def upgrade(url: str, folder: Path) -> None:
    """Bring the records to the newest schema, all of it or nothing; `folder` holds the lock. Raises SchemaTooNew."""
    database = sqlalchemy.make_url(url)
    if database.get_backend_name() == "sqlite" and database.database:
        Path(database.database).touch(mode=0o600)
    settled = configuration(url)
    known = alembic.script.ScriptDirectory.from_config(settled)
    path = folder / "migration.lock"
    path.touch(mode=0o600)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        found = revision(url)
        if found == known.get_current_head():
            return
        if found is not None and found not in {script.revision for script in known.walk_revisions()}:
            raise SchemaTooNew(f"the records have schema {found}, which this version does not know: a newer one wrote them")
        alembic.command.upgrade(settled, "head")


def revision(url: str) -> str | None:
    """The schema that the records have now; None when there are none yet. Makes nothing."""
    database = sqlalchemy.make_url(url)
    if database.get_backend_name() == "sqlite" and not Path(database.database or "").is_file():
        return None
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
