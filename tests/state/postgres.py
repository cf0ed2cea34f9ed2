"""PostgreSQL for tests: a cluster of their own in a temporary folder, reached by a socket in it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBRARY = Path("/usr/lib/postgresql")


@contextmanager
def cluster() -> Iterator[str]:
    """Runs PostgreSQL; gives the URL of its first database. It does not run as root, so root hands it to `postgres`."""
    programs = max(LIBRARY.glob("*/bin"), key=lambda path: int(path.parent.name))
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    user = None
    if os.geteuid() == 0:
        user = "postgres"
        owner = pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(program: str, *words: str | Path) -> None:
        subprocess.run([programs / program, *words], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    try:
        run("initdb", "--auth=trust", "--username=ec2gw", "--no-sync", "--encoding=UTF8", "--pgdata", folder / "data")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "start", "--wait", "--silent", "--pgdata", folder / "data", "--log", folder / "log", "--options", options)
        try:
            yield f"postgresql+psycopg://ec2gw@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "--mode=immediate", "--silent", "--pgdata", folder / "data")
    finally:
        shutil.rmtree(folder)
