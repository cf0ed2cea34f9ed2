"""Migrations: they make exactly the records' schema, whole or not at all, once, on both databases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import alembic.autogenerate
import pytest
import sqlalchemy
import sqlalchemy.exc
from alembic.runtime.migration import MigrationContext

from ec2gw.state import migrate
from ec2gw.state.records import Record


def tables(url: str) -> set[str]:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    return set(sqlalchemy.inspect(engine).get_table_names())


def test_head_is_what_the_records_say(url: str, tmp_path: Path) -> None:
    migrate.upgrade(url, tmp_path)
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert alembic.autogenerate.compare_metadata(context, Record.metadata) == [], "run `make schema`"
    assert tables(url) == {"alembic_version", *Record.metadata.tables}


def test_again_changes_nothing(url: str, tmp_path: Path) -> None:
    migrate.upgrade(url, tmp_path)
    made = migrate.revision(url)
    assert made is not None
    migrate.upgrade(url, tmp_path)
    assert migrate.revision(url) == made


def test_a_migration_that_breaks_leaves_nothing(url: str, tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE volume (id INTEGER)")  # it is in the way, after other tables were made
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="already exists"):
        migrate.upgrade(url, tmp_path)
    assert tables(url) <= {"volume", "alembic_version"}
    assert migrate.revision(url) is None
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE volume")
    migrate.upgrade(url, tmp_path)
    assert migrate.revision(url) is not None


def test_two_processes_at_once_do_not_hinder_each_other(url: str, tmp_path: Path) -> None:
    program = "import pathlib, sys; from ec2gw.state import migrate; migrate.upgrade(sys.argv[1], pathlib.Path(sys.argv[2]))"
    both = []
    for name in ("one", "two"):  # folders of their own, as two hosts at one database have
        (tmp_path / name).mkdir()
        both.append(subprocess.Popen([sys.executable, "-c", program, url, tmp_path / name]))
    assert [process.wait(60) for process in both] == [0, 0]
    assert tables(url) == {"alembic_version", *Record.metadata.tables}


def test_records_of_a_newer_program_are_refused(url: str, tmp_path: Path) -> None:
    migrate.upgrade(url, tmp_path)
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrate.SchemaTooNew, match="9999"):
        migrate.upgrade(url, tmp_path)


def test_the_file_of_records_is_its_owners_alone(tmp_path: Path) -> None:
    migrate.upgrade(f"sqlite:///{tmp_path / 'records.db'}", tmp_path)
    assert (tmp_path / "records.db").stat().st_mode & 0o777 == 0o600
