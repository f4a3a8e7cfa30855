"""A silent SSH server: one that is slow is waited for, and is not taken for one that says nothing any more."""

from __future__ import annotations

import asyncio
import time

import pytest

from tasks.budget import Budget
from tasks.ssh.pulse import Pulse


class _Dead(Exception):
    def __init__(self, **evidence: float) -> None:
        super().__init__()
        self.evidence = evidence


class _Server:
    """Answers every question after some seconds; None: not at all."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.pulse = Pulse(self._asked, _Dead)
        self.pulse.heard = 0.0

    def _asked(self) -> None:
        if self.seconds is not None:
            asyncio.get_running_loop().call_later(self.seconds, self._answer)

    def _answer(self) -> None:
        self.pulse.heard = time.monotonic()
        self.pulse.spoke()
        self.pulse.answered()


async def _never() -> None:
    await asyncio.sleep(60)


async def test_what_a_slow_server_gives_late_is_taken() -> None:
    server = _Server(0.8)
    with Budget.of(3).under_way():
        await server.pulse.patiently(asyncio.sleep(0.6), Budget.of(0.3))


async def test_the_time_of_a_slow_server_is_not_that_of_whoever_is_beyond_it() -> None:
    server = _Server(0.8)
    with Budget.of(5).under_way(), pytest.raises(TimeoutError) as late:
        await server.pulse.patiently(_never(), Budget.of(0.6))
    assert 0.1 < late.value.args[0] < 0.6, "0.3 s until it was asked, and 0.8 s that were its own"


async def test_a_quick_server_leaves_the_whole_silence_to_whoever_is_beyond_it() -> None:
    server = _Server(0.001)
    with Budget.of(5).under_way(), pytest.raises(TimeoutError) as late:
        await server.pulse.patiently(_never(), Budget.of(0.6))
    assert late.value.args[0] > 0.5


async def test_a_server_that_answers_nothing_is_told_with_what_it_did_before() -> None:
    server = _Server(0.02)
    server.pulse.ask()
    await asyncio.sleep(0.1)
    server.seconds = None
    check = Budget.of(1.5)
    with check.under_way(), pytest.raises(_Dead) as dead:
        await server.pulse.patiently(_never(), Budget.of(0.6))
    assert check.left() > 0.05, "there is time left for saying so"
    assert dead.value.evidence["unanswered_ms"] >= 900, "it is waited for beyond its own time"
    assert 20 <= dead.value.evidence["slowest_answer_ms"] < 600


async def test_what_was_on_its_way_when_the_wait_began_is_no_sign_of_life() -> None:
    server = _Server(0.001)
    server.pulse.ask()
    await asyncio.sleep(0.1)
    server.seconds = None
    asyncio.get_running_loop().call_later(0.05, server._answer)
    with Budget.of(1.5).under_way(), pytest.raises(_Dead):
        await server.pulse.patiently(_never(), Budget.of(0.6))


async def test_a_server_that_was_asked_too_late_is_not_told_as_dead() -> None:
    server = _Server(None)
    budget = Budget(time.monotonic() + 0.1, 2.0)
    with budget.under_way(), pytest.raises(TimeoutError) as late:
        await server.pulse.patiently(_never(), budget)
    assert late.value.args == (0.0,), "nothing is known of whoever is beyond it"
