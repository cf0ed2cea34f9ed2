"""boto 2 on Python 3.12 and later: it brings a copy of six that no longer loads there, and imports a module that is gone."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence

_COPY = "boto.vendored.six"


class _Six(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives six itself for boto's copy of it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name == _COPY or name.startswith(f"{_COPY}.") else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return importlib.import_module(f"six{spec.name.removeprefix(_COPY)}")

    def exec_module(self, module: types.ModuleType) -> None:
        """It is loaded already."""


def make_loadable() -> None:
    """From now on `import boto` works. Nothing of boto itself is changed, and nothing at all before Python 3.12."""
    if any(isinstance(finder, _Six) for finder in sys.meta_path) or importlib.util.find_spec("imp"):
        return
    sys.meta_path.insert(0, _Six())
    sys.modules.setdefault("imp", types.ModuleType("imp"))  # boto loads plugins by it, of which there are none
