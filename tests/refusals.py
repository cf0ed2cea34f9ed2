"""Refusals as EC2's clients read them: the code and the exact message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ec2gw.model.errors import Refusal
from ec2gw.query import errors


@contextmanager
def refused(code: str, message: str) -> Iterator[None]:
    """The block must be refused with just this code and message."""
    with pytest.raises(Refusal) as caught:
        yield
    fault = errors.from_refusal(caught.value)
    assert (fault.code, fault.message) == (code, message)
