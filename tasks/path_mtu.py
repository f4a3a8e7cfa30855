"""A path that swallows large packets: found by conversations whose packets are kept small (RFC 2923, RFC 4821).

A conversation that hangs is repeated with a small TCP segment size. If that one goes on, sizes in between are tried,
several at a time, until it is known from which one on packets vanish. Repeated failures of the large sizes tell a path
from a server that was slow once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tasks.budget import Budget

#: Said to a peer and asked back from it in a round trip that a check makes anyway: too much for one Ethernet frame, so
#: that a path which swallows large packets shows whatever else is asked. A literal, which every dialect of SQL has.
LARGE = "." * 1600

#: What every IPv4 host takes (RFC 9293, section 3.7.1); the same for IPv6, well below its 1220.
SMALL = 536
#: The segment size of Ethernet, by the IP version: 1500 less the headers of IP and TCP.
_LARGE = {4: 1460, 6: 1440}
_HEADERS = {4: 40, 6: 60}
#: Sizes tried at a time, and the precision at which the search ends, in bytes.
_AT_A_TIME, _PRECISION = 3, 16
#: How long a conversation may take before it counts as hanging: this many times the one that went on, and in seconds.
_PATIENCE, _LEAST = 4.0, 0.25

#: Repeats the conversation with segments of no more than so many bytes (None: no limit): whether it goes on.
GoesOn = Callable[[int | None], Awaitable[bool]]


async def find(goes_on: GoesOn, version: int, budget: Budget) -> dict[str, Any]:
    """Where packets vanish; empty when the conversation hangs with small ones too, or goes on with any.

    Args:
        version: 4 or 6, that of IP.

    Returns:
        ``largest_segment``: the largest that passes; ``path_mtu``: the packet that carries it;
        ``vanishing_packet``: the smallest that was seen to vanish; all in bytes.

    Raises:
        Exception: Whatever `goes_on` raises; where segments cannot be limited, before anything was tried.
    """
    started = time.monotonic()
    if not await _in_time(goes_on, SMALL, budget.left() / 2):
        return {}
    patience = max(_LEAST, _PATIENCE * (time.monotonic() - started))
    if await _in_time(goes_on, None, min(patience, budget.left())):
        return {}  # it was slow once, and is not any more
    passes, vanishes = SMALL, _LARGE[version]
    while vanishes - passes > _PRECISION and budget.left() > patience:
        step = max(1, (vanishes - passes) // (_AT_A_TIME + 1))
        sizes = list(range(passes + step, vanishes, step))[:_AT_A_TIME]
        passed = await asyncio.gather(*(_in_time(goes_on, size, patience) for size in sizes))
        going = [size for size, well in zip(sizes, passed, strict=True) if well]
        hanging = [size for size, well in zip(sizes, passed, strict=True) if not well]
        passes, vanishes = max([passes, *going]), min([vanishes, *hanging])
        if passes >= vanishes:
            return {}  # no size parts them: something else comes and goes
    headers = _HEADERS[version]
    return {"largest_segment": passes, "path_mtu": passes + headers, "vanishing_packet": vanishes + headers}


async def _in_time(goes_on: GoesOn, size: int | None, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await goes_on(size)
    except TimeoutError:
        return False
