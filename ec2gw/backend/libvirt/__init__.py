"""Machines on libvirt. The rest of the house imports `hypervisor` or `accelerator` from here, and only where libvirt is wanted.

The `libvirt` library is imported by modules of this package alone; it reads its log settings once, while it is imported.
"""

from __future__ import annotations

import os

# What libvirt has to say reaches us as exceptions; its own log would be scattered over our standard error.
os.environ.setdefault("LIBVIRT_LOG_OUTPUTS", "1:file:/dev/null")
