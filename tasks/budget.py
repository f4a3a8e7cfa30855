"""The time one check may take. Inner deadlines are shorter than outer ones, so the innermost one is named."""

from __future__ import annotations

import time
from dataclasses import dataclass


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
