"""What holds before any test is imported."""

from __future__ import annotations

from conformance import old_boto

old_boto.make_loadable()
