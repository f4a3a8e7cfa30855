"""Lanes: what blocks is done in threads of its own, in order, and nothing of it goes on behind whoever cancels it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter

import pytest

from tasks import lanes


def _blocks(item: int) -> bool:
    return item % 2 == 1


async def _who(_: int) -> threading.Thread:
    await asyncio.sleep(0)
    return threading.current_thread()


def test_what_blocks_is_done_in_a_few_threads_and_the_rest_here() -> None:
    found = asyncio.run(lanes.each(range(40), _who, _blocks))
    assert {found[item] for item in range(0, 40, 2)} == {threading.main_thread()}
    others = {found[item] for item in range(1, 40, 2)}
    assert threading.main_thread() not in others
    assert len(others) <= lanes.LANES


def test_results_come_in_the_order_of_the_items() -> None:
    async def late(item: int) -> int:
        await asyncio.sleep(0.002 * (10 - item))
        return item

    assert asyncio.run(lanes.each(range(10), late, _blocks)) == [*range(10)]
    assert asyncio.run(lanes.each([], late, _blocks)) == []


def test_a_call_that_blocks_makes_no_hop_in_a_lane_and_one_elsewhere() -> None:
    async def hops(_: int) -> bool:
        return await lanes.call(threading.current_thread) is not threading.current_thread()

    assert asyncio.run(lanes.each(range(4), hops, _blocks)) == [True, False, True, False]


def test_what_waits_in_a_lane_lets_the_next_ones_begin() -> None:
    together = Counter[int]()

    async def waiting(_: int) -> int:
        lane = threading.get_ident()
        together[lane] += 1
        most = together[lane]
        await asyncio.sleep(0.02)
        together[lane] -= 1
        return most

    assert max(asyncio.run(lanes.each(range(lanes.AT_ONCE), waiting, lambda _: True))) == lanes.AT_ONCE // lanes.LANES


def test_whoever_cancels_it_waits_for_the_call_under_way_and_nothing_begins_after_that() -> None:
    begun, ended = list[int](), list[int]()
    first = threading.Event()

    def blocking(item: int) -> None:
        begun.append(item)
        first.set()
        time.sleep(0.05)
        ended.append(item)

    async def cancelled() -> tuple[int, int]:
        running = asyncio.create_task(lanes.each(range(400), lambda item: lanes.call(blocking, item), lambda _: True))
        await asyncio.to_thread(first.wait)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return len(begun), len(ended)

    assert asyncio.run(cancelled()) == (len(begun), len(begun))
    assert 0 < len(begun) < 400


def test_what_waits_in_a_lane_is_cancelled_too() -> None:
    started = threading.Event()

    async def for_ever(_: int) -> None:
        started.set()
        await asyncio.sleep(600)

    async def cancelled() -> None:
        running = asyncio.create_task(lanes.each(range(3), for_ever, lambda _: True))
        await asyncio.to_thread(started.wait)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(asyncio.wait_for(cancelled(), 20))


def test_a_fault_of_the_work_ends_all_of_it() -> None:
    begun = list[int]()

    async def faulty(item: int) -> None:
        begun.append(item)
        await asyncio.sleep(0.001)
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(lanes.each(range(1000), faulty, lambda _: True))
    assert caught.group_contains(ZeroDivisionError)
    assert len(begun) <= 2 * lanes.AT_ONCE
