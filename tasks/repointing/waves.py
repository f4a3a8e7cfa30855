"""Waves: one canary first, then more at a time, what would hurt least first. And when a deployment comes late."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from registry.errors import InvalidInput

#: Units in each wave; the last size goes on.
SIZES = (1, 10, 100, 1000)
ZONE = "Asia/Shanghai"
#: In this half hour DataWorks makes the instances of the next day (its deployment guide).
_LATE_FROM = time(23, 30)


def check_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Raises: InvalidInput."""
    if not sizes or min(sizes) < 1:
        raise InvalidInput(f"{[*sizes]} are no sizes of waves", where="waves", instruction="use for example 1,10,100")
    return tuple(sizes)


def cut(groups: Iterable[int], sizes: Sequence[int] = SIZES) -> list[int]:
    """The wave of each group of units that go together, in order.

    Args:
        groups: How many units each group has; a wave takes a group that makes it too large only as its first one.
    """
    waves, wave, filled = list[int](), 0, 0
    for count in groups:
        if filled and filled + count > sizes[min(wave, len(sizes) - 1)]:
            wave, filled = wave + 1, 0
        waves.append(wave)
        filled += count
    return waves


def zone_of(name: str) -> ZoneInfo:
    """Raises: InvalidInput: There is no such time zone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidInput(f"no time zone {name!r}", where="zone", instruction=f"use for example {ZONE}") from None


def late(at: datetime, zone: str = ZONE) -> str | None:
    """The warning over a deployment at this moment; None when it takes effect the next day as usual."""
    there = at.astimezone(zone_of(zone))
    if there.time() < _LATE_FROM:
        return None
    return (
        f"it is {there:%H:%M} in {zone}: what is deployed between 23:30 and 24:00 takes effect a day later, "
        "because the instances of tomorrow are being made"
    )
