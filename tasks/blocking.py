"""Blocking calls of other people's libraries, within a budget."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

from tasks.budget import Budget

T = TypeVar("T")

#: Calls under way at the same time in this process; clouds limit how often one account may ask.
_GATE = threading.BoundedSemaphore(16)


async def in_thread(call: Callable[[], T], budget: Budget) -> T:
    """Run a call in a thread of its own, which is left behind when the time ends and keeps no process alive.

    The threads of `asyncio.to_thread` are waited for at the end of the event loop: a library that hangs would hang us.

    Raises:
        TimeoutError: The budget ended first.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        if not _GATE.acquire(timeout=budget.left()):
            return
        try:
            found = call()
        except BaseException as error:
            _hand(loop, _set_exception, done, error)
        else:
            _hand(loop, _set_result, done, found)
        finally:
            _GATE.release()

    threading.Thread(target=run, daemon=True, name="blocking").start()
    async with asyncio.timeout(budget.left()):
        return await done


def _hand(loop: asyncio.AbstractEventLoop, how: Callable[..., None], *arguments: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(how, *arguments)


def _set_result(done: asyncio.Future[T], found: T) -> None:
    if not done.done():
        done.set_result(found)


def _set_exception(done: asyncio.Future[T], error: BaseException) -> None:
    if not done.done():
        done.set_exception(error)
