"""The stopwatch takes off what the machine took away, and nothing of what the program did."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stopwatch
from tests.stopwatch import Stopwatch

#: A program that says that it is there, and then does nothing but compute.
HOG = ["sh", "-c", "echo; while :; do :; done"]


@pytest.fixture
def crowded() -> Iterator[None]:
    """This thread has one processor, and three others want it too."""
    before = os.sched_getaffinity(0)
    with contextlib.ExitStack() as stack:
        os.sched_setaffinity(0, {min(before)})
        stack.callback(os.sched_setaffinity, 0, before)
        for _ in range(3):
            hog = stack.enter_context(subprocess.Popen(HOG, stdout=subprocess.PIPE))
            stack.callback(hog.kill)
            assert hog.stdout is not None
            hog.stdout.readline()
        yield


def compute(seconds: float) -> None:
    """Use a processor for so long."""
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        pass


def test_waiting_for_a_processor_is_the_machines(crowded: None) -> None:
    with Stopwatch() as watch:
        compute(0.4)
    assert watch.seconds > 0.6, "it was not crowded"
    assert 0.3 < watch.own < 0.55, f"{watch}"


async def test_a_blocked_event_loop_is_the_programs_own(crowded: None) -> None:
    with Stopwatch() as watch, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            time.sleep(0.4)  # noqa: ASYNC251
            await asyncio.sleep(0)
    assert watch.own > 0.35, watch
    with Stopwatch() as watch, contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            compute(0.3)
            await asyncio.sleep(0)
    assert watch.own > 0.25, watch


async def test_waiting_too_long_is_the_programs_own(crowded: None) -> None:
    with Stopwatch() as watch:
        await asyncio.sleep(0.4)
    assert watch.own > 0.35, watch


def test_without_books_everything_counts(monkeypatch: pytest.MonkeyPatch, crowded: None) -> None:
    monkeypatch.setattr(stopwatch, "_WAITED", Path("/nowhere"))
    monkeypatch.setattr(stopwatch, "_PROCESSORS", Path("/nowhere"))
    with Stopwatch() as watch:
        compute(0.1)
    assert watch.own == watch.seconds > 0.15
