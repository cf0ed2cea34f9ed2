"""The one thread that runs libvirt's event loop for this process. Knows nothing of machines.

libvirt wants the loop registered before the first connection is opened, and turned for ever: without it neither events nor the
embedded driver's own talk with QEMU would go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import libvirt

_lock = threading.Lock()
_thread: threading.Thread | None = None


def run() -> None:
    """Start the loop; nothing is done when it runs already."""
    global _thread
    with _lock:
        if _thread is None:
            # libvirt's errors come as exceptions; unheard they would be printed a second time.
            libvirt.registerErrorHandler(lambda _context, _error: None, None)
            libvirt.virEventRegisterDefaultImpl()
            _thread = threading.Thread(target=_turn, name="libvirt-events", daemon=True)
            _thread.start()


def every(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
    """Have the loop call `call` again and again; the answer ends that. It must be quick: every event waits for it."""
    timer = libvirt.virEventAddTimeout(int(seconds * 1000), lambda _timer, _opaque: call(), None)
    return lambda: libvirt.virEventRemoveTimeout(timer)


def _turn() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
