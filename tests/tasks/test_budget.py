"""How the time of a check is shared out: no stage takes what the verdict of the next one needs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from tasks import budget
from tasks.budget import Budget
from tasks.check import check
from tasks.streams import SocketStream
from tasks.vantages import ConnectFailed, Resolution, Route
from tasks.vantages.local import LocalVantage
from tests.tasks.support import target


class Clock:
    """The clock that budgets go by, put forward by whoever would wait."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def wait(self, seconds: float) -> None:
        self._ahead += seconds


class Sluggish(LocalVantage):
    """A place whose name server takes a part of its time, and from which nothing answers a connect."""

    def __init__(self, clock: Clock, part: float) -> None:
        super().__init__()
        self._clock, self._part = clock, part

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        self._clock.wait(budget.left() * self._part)
        return Resolution(("10.0.0.9",), {"name": host, "from": "dns", "rcode": "NOERROR"})

    async def route(self, address: str) -> Route:
        return Route("10.0.0.1")

    async def connect(
        self, address: str, port: int, budget: Budget, *, conversation: Budget, largest_segment: int | None = None
    ) -> SocketStream:
        waited = budget.left()
        self._clock.wait(waited)
        raise ConnectFailed(silent=True, waited_ms=waited * 1000)

    async def neighbour(self, address: str) -> Mapping[str, Any]:
        return {}


@pytest.mark.parametrize("timeout", [5, 10, 30])
@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
async def test_a_slow_name_server_leaves_time_to_tell_silence(
    monkeypatch: pytest.MonkeyPatch, timeout: float, part: float
) -> None:
    clock = Clock()
    monkeypatch.setattr(budget, "time", clock)
    verdict = await check(target("db.test"), Sluggish(clock, part), timeout=timeout)
    assert (verdict.cause, verdict.alternatives) == ("INCONCLUSIVE", ["FILTER.DROP", "HOST.DOWN"]), verdict


@pytest.mark.parametrize(
    ("total", "waited", "too_short"),
    [(5, 1.3, False), (5, 0.9, True), (30, 1.3, False), (1, 0.5, False), (1, 0.3, True)],
)
def test_silence_takes_a_repeated_request_or_most_of_a_short_check(
    total: float, waited: float, too_short: bool
) -> None:
    assert Budget.of(total).too_short_for_silence(waited) is too_short
