"""Many checks at once: as wide as the machine allows, gentle to each server, the dead ones together."""

from __future__ import annotations

import asyncio

import pytest

from registry.verdict import Verdict
from tasks.budget import Budget
from tasks.fleet import _AT_ONCE_A_SERVER, _width, check_all
from tasks.target import Target
from tasks.vantages import ConnectFailed
from tasks.vantages.local import LocalVantage
from tests.stopwatch import Stopwatch
from tests.tasks.support import listening, target


class Deaf(LocalVantage):
    """A network that swallows every packet, without the thousand sockets that would show it."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.most = 0, 0

    async def connect(
        self, address: str, port: int, budget: Budget, *, conversation: Budget, largest_segment: int | None = None
    ) -> object:  # type: ignore[override]
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(budget.left())
        finally:
            self.now -= 1
        raise ConnectFailed(silent=True, waited_ms=round(budget.total * 1000))

    async def answers_ping(self, address: str, budget: Budget) -> bool:
        return False


async def collect(targets: list[Target], vantage: LocalVantage, timeout: float, **options: int) -> list[Verdict]:
    return [verdict async for verdict in check_all(targets, vantage, timeout=timeout, **options)]


async def test_three_hundred_dead_sources_end_together() -> None:
    targets = [target(f"10.{number // 200}.0.{number % 200 + 1}") for number in range(300)]
    with Stopwatch() as watch:
        verdicts = await collect(targets, Deaf(), 1.0)
    watch.within(1.0 + 2.0)
    assert len(verdicts) == 300
    assert {verdict.cause for verdict in verdicts} <= {"INCONCLUSIVE", "PROBE.DEADLINE"}


async def test_many_sources_on_one_dead_server_end_together() -> None:
    targets = [target("10.9.9.9", database=f"db{number}") for number in range(100)]
    with Stopwatch() as watch:
        verdicts = await collect(targets, Deaf(), 1.0)
    watch.within(1.0 + 2.0, "nobody is there to be spared")
    assert len(verdicts) == 100


async def test_many_sources_on_one_mute_server_end_together() -> None:
    async def mute(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(mute, backlog=200) as port:
        with Stopwatch() as watch:
            verdicts = await collect([target(port=port) for _ in range(60)], LocalVantage(), 3.0)
    watch.within(3.0 + 2.0, "eight at a time they would take 22 s")
    assert {verdict.cause for verdict in verdicts} == {"PEER.MUTE"}


async def test_one_server_meets_a_few_at_a_time() -> None:
    here, most = 0, 0

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal here, most
        here += 1
        most = max(most, here)
        await reader.read(100)
        await asyncio.sleep(0.02)
        writer.write(b"E\0\0\0\x0fC57P03\0Mx\0\0\0")
        await writer.drain()
        here -= 1

    async with listening(busy, backlog=200) as port:
        verdicts = await collect([target(port=port) for _ in range(60)], LocalVantage(), 3.0)
    assert {verdict.cause for verdict in verdicts} == {"SERVER.NOT_READY"}
    assert 1 < most <= _AT_ONCE_A_SERVER


async def test_width_is_kept() -> None:
    vantage = Deaf()
    await collect([target(f"10.8.0.{number + 1}") for number in range(12)], vantage, 0.3, at_once=3)
    # Each check has its own connect and those of its witnesses.
    assert vantage.most <= 3 * 6


async def test_leaving_early_leaves_nothing_behind() -> None:
    async for _ in check_all([target("10.8.0.1", port=number) for number in range(1, 30)], Deaf(), timeout=0.3):
        break
    await asyncio.sleep(0.1)
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [task for task in others if "check" in repr(task.get_coro())] == []


def test_width_of_this_machine() -> None:
    assert 8 <= _width() <= 1200


async def test_no_targets_no_verdicts() -> None:
    assert await collect([], LocalVantage(), 1.0) == []


@pytest.mark.parametrize("at_once", [1, 50])
async def test_every_target_has_its_verdict(at_once: int) -> None:
    targets = [target(port=1, database=f"db{number}") for number in range(40)]
    verdicts = await collect(targets, LocalVantage(), 2.0, at_once=at_once)
    assert len(verdicts) == 40
    assert {verdict.cause for verdict in verdicts} == {"PORT.CLOSED"}
