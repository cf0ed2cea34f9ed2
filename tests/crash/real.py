"""A gateway with real machines and an image to launch them from, which a test may end as it likes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import gateway
from tests.gateway import Gateway


@contextmanager
def serving(target: str, program: tuple[str, ...] = ("-m", "ec2gw")) -> Iterator[Gateway]:
    """`target` and `program` are tests.gateway.Gateway's. Whatever becomes of it, nothing of it is left."""
    folder = Path(tempfile.mkdtemp(prefix="gw-", dir="/run"))
    made = Gateway(folder / "s", target, program=program)
    made.folder.mkdir()
    gateway.seed_cache(made)
    try:
        made.start()
        made.run("image", "import", str(gateway.guest_image()), "--name", "guest")
        yield made
    finally:
        if made.process and made.process.poll() is None:
            made.kill()
        shutil.rmtree(folder, ignore_errors=True)
