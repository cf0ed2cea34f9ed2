"""A face of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.query.face import Face


@pytest.fixture
def face(tmp_path: Path) -> Iterator[Face]:
    served = Face(tmp_path)
    yield served
    served.close()


@pytest.fixture
def ec2(face: Face) -> Any:
    """The first account's client."""
    return face.client()
