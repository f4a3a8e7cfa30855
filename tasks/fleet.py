"""Many checks at once: as wide as the machine allows, gentle to each server."""

from __future__ import annotations

import asyncio
import resource
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable

from registry.verdict import Verdict
from tasks.check import check
from tasks.target import Target
from tasks.vantages import Vantage

#: Descriptors that one check may hold at a time: its own connection and those of its witnesses.
_DESCRIPTORS_A_CHECK = 6
_DESCRIPTORS_ELSEWHERE = 128
#: More checks at a time than this make each other late on one processor.
_AT_ONCE = 1200
#: Conversations at a time with one server, so that a check of many sources on it does not exhaust its connections.
_AT_ONCE_A_SERVER = 8


async def check_all(
    targets: Iterable[Target], vantage: Vantage, *, timeout: float = 5.0, at_once: int | None = None
) -> AsyncIterator[Verdict]:
    """Check many targets from one vantage; verdicts come as they are ready.

    Args:
        timeout: Seconds for each check. Waiting for a turn does not count.
        at_once: Checks at a time; by default as many as the open-files limit of this process allows.
    """
    everywhere = asyncio.Semaphore(at_once or _width())
    servers: defaultdict[object, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE_A_SERVER))

    async def one(target: Target) -> Verdict:
        endpoints = target.connection.endpoints() if target.connection is not None else None
        async with servers[endpoints], everywhere:
            return await check(target, vantage, timeout=timeout)

    running = [asyncio.create_task(one(target)) for target in targets]
    try:
        for finished in asyncio.as_completed(running):
            yield await finished
    finally:
        for task in running:
            task.cancel()


def _width() -> int:
    """Checks that the open-files limit allows, after raising the soft limit to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(8, min(_AT_ONCE, (soft - _DESCRIPTORS_ELSEWHERE) // _DESCRIPTORS_A_CHECK))
