"""The picture on a machine's screen, from QEMU through libvirt. It knows a connection and a domain, and no gateway."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, UnidentifiedImageError

from ec2gw.backend import ports

_MOST = 64 * 1024 * 1024  # bytes of a picture; QEMU's VGA has no screen larger than that


def shoot(connection: Any, domain: Any) -> bytes:
    """The first screen of a running domain, as a JPEG. Raises libvirt's error, HostError for what is no picture."""
    stream = connection.newStream(0)
    domain.screenshot(stream, 0, 0)
    parts: list[bytes] = []
    try:
        while sum(map(len, parts)) < _MOST and (part := stream.recv(256 * 1024)):
            parts.append(part)
    except BaseException:
        stream.abort()
        raise
    stream.finish()
    try:
        with Image.open(io.BytesIO(b"".join(parts)), formats=("PNG", "PPM")) as picture:
            made = io.BytesIO()
            picture.convert("RGB").save(made, "JPEG", quality=85)
    except (UnidentifiedImageError, OSError) as error:
        raise ports.HostError(f"the screen is no picture: {error}") from error
    return made.getvalue()
