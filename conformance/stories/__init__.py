"""The stories that live clients tell. Each module registers its own when imported."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import every module of stories, and the replay, so that all are registered."""
    importlib.import_module("conformance.replay")
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
