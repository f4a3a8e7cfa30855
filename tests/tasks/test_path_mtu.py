"""Where packets vanish, on paths that are made up: any size is found, and nothing is claimed that is not so."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import path_mtu
from tasks.budget import Budget
from tasks.path_mtu import find
from tests.stopwatch import Stopwatch


class Path:
    """Conversations that go on at once while their packets are no larger than `mtu`, and hang otherwise."""

    def __init__(self, mtu: int, *, headers: int = 40, hangs_once: bool = False) -> None:
        self.mtu = mtu
        self.headers = headers
        self.hangs_once = hangs_once
        self.asked: list[int | None] = []

    async def __call__(self, size: int | None) -> bool:
        self.asked.append(size)
        if (size or 1460) + self.headers > self.mtu and not self.hangs_once:
            await asyncio.sleep(60)
        return True


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_mtu, "_LEAST", 0.02)


@settings(max_examples=15, deadline=None)
@given(mtu=st.integers(600, 1480))
def test_the_size_is_found_as_precisely_as_is_promised(mtu: int) -> None:
    path = Path(mtu)
    found = asyncio.run(find(path, 4, Budget.of(5)))
    assert found["path_mtu"] <= mtu < found["vanishing_packet"]
    assert found["vanishing_packet"] - found["path_mtu"] <= 16 or found["path_mtu"] == mtu
    assert found["largest_segment"] == found["path_mtu"] - 40
    assert len(path.asked) <= 16, "a short search"


async def test_headers_of_ipv6_are_larger() -> None:
    found = await find(Path(1280, headers=60), 6, Budget.of(5))
    assert found["path_mtu"] <= 1280 < found["vanishing_packet"]


async def test_a_peer_that_hangs_with_small_packets_too_is_no_path() -> None:
    assert await find(Path(100), 4, Budget.of(0.2)) == {}


async def test_a_peer_that_was_slow_once_is_no_path() -> None:
    path = Path(100, hangs_once=True)
    assert await find(path, 4, Budget.of(2)) == {}
    assert path.asked == [path_mtu.SMALL, None]


async def test_a_peer_that_answers_some_at_random_is_no_path() -> None:
    async def fickle(size: int | None) -> bool:
        if size is None or size == 767:
            await asyncio.sleep(60)
        return True

    assert await find(fickle, 4, Budget.of(2)) == {}


async def test_the_search_ends_with_the_time_there_is() -> None:
    with Stopwatch() as watch:
        found = await find(Path(900), 4, Budget.of(0.1))
    watch.within(0.3)
    assert found == {} or found["path_mtu"] <= 900 < found["vanishing_packet"]
