"""Full checks a second in a warm process, against the bare asynchronous driver doing the same round trips.

Both connect (asking for TLS first), log in by SCRAM, read the bound table, run the query with the server's facts, and
say goodbye; both run as many at a time. They take turns, so that a noisy neighbour hits both.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator

from benchmarks.common import PASSWORD, Row, postgresql

_CHECKS = 200
_TURNS = 9


def run() -> Iterator[Row]:
    """Serial, and eight at a time."""
    with postgresql() as server:
        for width in (1, 8):
            ours, floor = asyncio.run(_measure(server.port, width))
            ratio = statistics.median(a / b for a, b in zip(ours, floor, strict=True))
            yield Row(f"checks a second, {width} at a time", statistics.median(ours), "/s", "-")
            yield Row(f"bare driver, {width} at a time", statistics.median(floor), "/s", "-")
            yield Row(f"ratio, {width} at a time", ratio, "x the bare driver", ">= 0.9")


async def _measure(port: int, width: int) -> tuple[list[float], list[float]]:
    import asyncpg

    from tasks.adhoc import target_of_url
    from tasks.check import check
    from tasks.protocols.postgresql.facts import FACTS
    from tasks.vantages.local import LocalVantage

    target = target_of_url(f"postgresql://app:{PASSWORD}@127.0.0.1:{port}/shop", None, None, ("orders",))
    vantage = LocalVantage()

    async def ours() -> None:
        verdict = await check(target, vantage)
        assert verdict.connectable, verdict

    async def bare() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=port, user="app", password=PASSWORD, database="shop", ssl="prefer"
        )
        # The simple query protocol, as ours: `execute` without arguments.
        await connection.execute("SELECT 1 FROM orders LIMIT 1")
        await connection.execute(FACTS)
        await connection.close()

    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(_TURNS):
        for rates, one in zip(found, (ours, bare), strict=True):
            rates.append(await _rate(one, width))
    return found


async def _rate(one: Callable[[], Awaitable[None]], width: int) -> float:
    started = time.perf_counter()
    for _ in range(_CHECKS // width):
        await asyncio.gather(*(one() for _ in range(width)))
    return _CHECKS / (time.perf_counter() - started)
