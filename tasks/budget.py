"""The time one check may take. Inner deadlines are shorter than outer ones, so the innermost one is named."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass

#: Seconds after which a peer that has not answered a connection request is silent, and the part of a short budget that
#: does instead: Linux repeats the request after one second (RFC 6298, section 2), and who is there answers that.
_SILENT_AFTER, _SILENT_SHARE = 1.2, 0.4


@dataclass(frozen=True)
class Budget:
    """A deadline in `time.monotonic` seconds."""

    ends: float
    total: float

    @classmethod
    def of(cls, seconds: float) -> Budget:
        """A budget that starts now."""
        return cls(time.monotonic() + seconds, seconds)

    def left(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.ends - time.monotonic())

    def within(self, fraction: float) -> Budget:
        """A shorter budget: this fraction of what is left."""
        left = self.left() * fraction
        return Budget(time.monotonic() + left, left)

    def less(self, seconds: float) -> Budget:
        """A budget that ends this many seconds earlier, for what has to happen afterwards."""
        return Budget(self.ends - seconds, self.total)

    def too_short_for_silence(self, waited: float) -> bool:
        """Whether a wait of so many seconds proves nothing about who did not answer, in a check that may take all."""
        return waited < min(_SILENT_AFTER, self.total * _SILENT_SHARE)

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Let this be the budget of whatever is asked inside the block."""
        token = _under_way.set(self)
        try:
            yield
        finally:
            _under_way.reset(token)


_under_way: ContextVar[Budget | None] = ContextVar("budget", default=None)


def under_way(otherwise: float) -> Budget:
    """The budget of the check under way, for questions that come without one.

    Args:
        otherwise: Seconds, where no check is under way.
    """
    return _under_way.get() or Budget.of(otherwise)
