"""The endpoint that the suite's own tests aim at: a simulated gateway."""

from __future__ import annotations

import configparser
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance import run
from conformance.story import Key, Target
from tests import gateway


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Target]:
    """A simulated gateway with its first key, and one of a second account."""
    folder = Path(tempfile.mkdtemp(prefix="gw-"))
    served = gateway.Gateway(folder / "s", "simulated", patience=1)
    served.folder.mkdir()
    try:
        served.start()
        credentials = configparser.ConfigParser()
        credentials.read(served.folder / "credentials")
        profile = credentials["default"]
        key = Key(profile["aws_access_key_id"], profile["aws_secret_access_key"])
        second = Key(*served.run("account", "create", "second").splitlines()[-1].split("\t"))
        yield run.found_out(Target(served.url, key, second=second, patience=20))
    finally:
        if served.process and served.process.poll() is None:
            served.stop()
        shutil.rmtree(folder, ignore_errors=True)
