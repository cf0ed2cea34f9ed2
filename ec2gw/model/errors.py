"""The one vocabulary of refusals. A face maps a refusal's `reason` to its own code and text; nothing here knows a code.

A refusal is raised inside a transaction and rolls it back, so it never leaves half a change behind.
"""

from __future__ import annotations


class Refusal(Exception):
    """A wish that may not come true. `reason` is a slug that each face's error table knows; `facts` fill its text."""

    def __init__(self, reason: str, **facts: object) -> None:
        super().__init__(reason, facts)
        self.reason = reason
        self.facts = facts


class NotFound(Refusal):
    """The thing named does not exist, or not for this account."""


class Malformed(Refusal):
    """The words cannot be read at all: a bad id, a bad device name."""


class Missing(Refusal):
    """Something required was not said."""


class Invalid(Refusal):
    """A value outside what is allowed."""


class Conflict(Refusal):
    """Two things said together that exclude each other."""


class Duplicate(Refusal):
    """The name is taken."""


class WrongState(Refusal):
    """Not in this state of the thing."""


class InUse(Refusal):
    """Something else still needs the thing."""


class NotPermitted(Refusal):
    """Protected, or somebody else's."""


class LimitExceeded(Refusal):
    """More than the account or the host may have."""


class Unsupported(Refusal):
    """Known, and not done here."""


class Mismatch(Refusal):
    """The same idempotency token with other parameters."""


class Unsigned(Refusal):
    """Nobody knows who asks."""


class Unavailable(Refusal):
    """The host cannot do it now; asking again may help."""


class Burdensome(Refusal):
    """Too large, too slow, broken off, or too many at once."""
