"""The long parts of an import: fetching a disk image and filling a snapshot with it, ended when nobody wants it any more.

It must not know which part is next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ec2gw.backend import images
from ec2gw.backend.downloads import Downloads
from ec2gw.backend.ports import SourceError, VolumeStore
from ec2gw.cloud import imports
from ec2gw.engine import steps
from ec2gw.model.volume_types import GIB
from ec2gw.state.session import Database

LOOK = 1.0  # seconds between two looks whether it is still wanted
_FETCHED = 50  # percent of a part's work


class Interrupted(Exception):
    """The import is wanted no more, or the engine stops."""


class Importer:
    """`stopping` says whether the engine stops."""

    def __init__(
        self, database: Database, stores: Mapping[str, VolumeStore], downloads: Downloads, stopping: Callable[[], bool]
    ) -> None:
        self._database = database
        self._stores = stores
        self._downloads = downloads
        self._stopping = stopping

    def held(self, task: str) -> bool:
        """Whether another process works on it."""
        return self._downloads.held(task)

    def fetch(self, step: steps.FetchImage) -> tuple[images.ImageInfo, int]:
        """Have the disk image here. Returns what it is, and the bytes it took. Raises Interrupted, SourceError, HostError."""
        path = self._get(step)
        info = images.accepted(path, step.format)
        if info.virtual_size > self._downloads.largest:
            raise SourceError(f"its disk is larger than {self._downloads.largest // GIB} GiB", final=True)
        return info, path.stat().st_size

    def fill(self, step: steps.FillSnapshot) -> None:
        """Have the store make the snapshot. Raises Interrupted, SourceError, HostError."""
        path = self._get(step)  # if somebody has tidied it away since
        self._stores[step.zone].fill(step.snapshot, path, step.format, self._watch(step.task, "converting", _FETCHED))

    def tidy(self, task: str) -> None:
        """Forget what has been fetched."""
        self._downloads.remove(task)

    def _get(self, step: steps.FetchImage | steps.FillSnapshot) -> Path:
        return self._downloads.fetch(step.task, step.part, step.url, self._watch(step.task, "validating", 0))

    def _watch(self, task: str, phase: str, base: int) -> Callable[[float], None]:
        """What hears of the progress writes it down, and ends the work that is not wanted any more."""
        looked, written = 0.0, -1

        def hear(percent: float) -> None:
            nonlocal looked, written
            if self._stopping():
                raise Interrupted
            if time.monotonic() - looked < LOOK:
                return
            looked = time.monotonic()
            with self._database.read() as tx:
                if not imports.is_active(tx, task):
                    raise Interrupted
            done = min(99, base + int(percent * (100 - _FETCHED) / 100))
            if done != written:
                with self._database.write() as tx:
                    imports.progressed(tx, task, phase, done)
                written = done

        return hear
