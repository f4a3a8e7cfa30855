"""The same work on many items at a time; what blocks is done in lanes, a few threads that each take item after item.

To read a file, or to write one, takes less time than a hop to a thread and back. So a thread is not asked for each
call: it gets an event loop of its own, and the whole work on one item after the other until none is waiting. What
blocks is called with `call`, which makes no hop there. What waits without blocking, as for a command, lets the next
item of the lane begin.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, TypeVar

#: Items that are on their way at the same time.
AT_ONCE = 16
#: Threads among which those are shared that block. More of them only wait for each other: one at a time runs Python.
LANES = 4

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

_IN_A_LANE = ContextVar("in_a_lane", default=False)


async def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What a function returns that blocks; nobody else waits for it, but those of the same lane."""
    if _IN_A_LANE.get():
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


async def each(items: Sequence[T], work: Callable[[T], Awaitable[R]], blocks: Callable[[T], bool]) -> list[R]:
    """What comes of the same work on each of these, in their order.

    Whoever cancels it waits for the blocking calls that are under way; nothing goes on behind his back.

    Args:
        blocks: Whether an item is worked on in a lane: its work then must not belong to this event loop.

    Raises:
        ExceptionGroup: What the work raises; items that have not begun are left then.
    """
    numbered = [*enumerate(items)]
    here = _Work(work, deque(one for one in numbered if not blocks(one[1])))
    lanes = _Work(work, deque(one for one in numbered if blocks(one[1])))
    async with asyncio.TaskGroup() as group:
        group.create_task(here.several(AT_ONCE))
        group.create_task(lanes.in_lanes())
    done = here.done | lanes.done
    return [done[number] for number, _ in numbered]


@dataclass
class _Work(Generic[T, R]):
    """Work on items of which each has a number."""

    work: Callable[[T], Awaitable[R]]
    waiting: deque[tuple[int, T]]
    done: dict[int, R] = field(default_factory=dict)
    lanes: list[asyncio.AbstractEventLoop] = field(default_factory=list)

    async def several(self, at_once: int) -> None:
        """So many at a time, until none is waiting."""
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(self.waiting))):
                group.create_task(self._one_after_the_other())

    async def in_lanes(self) -> None:
        """All of it in threads."""
        count = min(LANES, len(self.waiting))
        threads = [asyncio.create_task(asyncio.to_thread(asyncio.run, self._lane())) for _ in range(count)]
        if not threads:
            return
        try:
            await asyncio.wait(threads, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self._stop()
            await asyncio.wait(threads)
        # Those are cancelled that another one's fault has stopped.
        faults = [fault for one in threads if not one.cancelled() and (fault := one.exception())]
        if faults:
            raise faults[0]

    async def _lane(self) -> None:
        _IN_A_LANE.set(True)
        self.lanes.append(asyncio.get_running_loop())
        await self.several(AT_ONCE // LANES)

    async def _one_after_the_other(self) -> None:
        while self.waiting:
            try:
                number, item = self.waiting.popleft()
            except IndexError:  # another thread took the last one
                return
            self.done[number] = await self.work(item)

    def _stop(self) -> None:
        """Let nothing begin any more, and what waits in a lane end; no more than that where all is done."""
        self.waiting.clear()
        for lane in self.lanes:
            with suppress(RuntimeError):  # it has ended, and its loop is closed
                lane.call_soon_threadsafe(_cancel_all)


def _cancel_all() -> None:
    for task in asyncio.all_tasks():
        task.cancel()
