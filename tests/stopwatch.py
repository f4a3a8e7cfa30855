"""How long something took by its own doing: what the machine took away meanwhile does not count.

A bound such as "a check ends within its deadline + 0.5 s" is about the program. On a machine that others use too, the
program is kept from running, and the clock goes on. The kernel keeps books of that (Documentation/scheduler/
sched-stats.rst, proc_stat(5)): for each thread how long it was ready to run and had no processor, and how long the
processors were with other virtual machines. Exactly that is taken off. Sleeping, waiting for a peer and computing are
the program's own doing and count in full; where the kernel keeps no such books, everything counts.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_WAITED = Path("/proc/thread-self/schedstat")
_PROCESSORS = Path("/proc/stat")
_TICKS = os.sysconf("SC_CLK_TCK")


def _kept_waiting() -> float:
    """Seconds that this thread has been ready to run without a processor: the second number of its three."""
    try:
        return int(_WAITED.read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _stolen() -> float:
    """Seconds that a processor has been with other virtual machines: the eighth number of the first line."""
    try:
        return int(_PROCESSORS.read_text().split(maxsplit=9)[8]) / _TICKS / (os.cpu_count() or 1)
    except (OSError, ValueError, IndexError):
        return 0.0


class Late(AssertionError):
    """A block took longer than it may.

    Books that the kernel does not keep, such as those of a machine around this one, leave a doubt: a test that fails so
    is run again (pyproject.toml). A program that is too slow is so each time.
    """


class Stopwatch:
    """Times a block; to be entered and left by one thread, in which the block also does its work.

    Attributes:
        seconds: By the clock.
        withheld: Of them those that the machine took away.
    """

    def __enter__(self) -> Self:
        self._kept_waiting, self._stolen = _kept_waiting(), _stolen()
        self._started = time.monotonic()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.seconds = time.monotonic() - self._started
        self.withheld = _kept_waiting() - self._kept_waiting + _stolen() - self._stolen

    @property
    def own(self) -> float:
        """The seconds that count."""
        return self.seconds - self.withheld

    def within(self, seconds: float, why: str = "") -> None:
        """Demand that it took at most so long. Raises `Late`."""
        if self.own > seconds:
            raise Late(f"{self}; at most {seconds:.2f} s{f': {why}' if why else ''}")

    def __str__(self) -> str:
        return f"{self.own:.2f} s, and {self.withheld:.2f} s without a processor"
