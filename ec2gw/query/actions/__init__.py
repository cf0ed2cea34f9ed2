"""What EC2 does, one file a noun. Each action is a plain function in one transaction: `(call, request) -> response`."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Import every noun, so that its actions are in the register (`query.api.REGISTER`)."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
