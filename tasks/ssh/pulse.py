"""Whether a silent server is slow or says nothing any more: it is asked, and measured by its own earlier answers."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from tasks.budget import Budget, under_way

#: A server whose answer is due for this many times its slowest one says nothing any more, but never sooner than after
#: these seconds: a machine under load pauses longer than it did before. A check that ends sooner waits for neither.
_TIMES, _AT_LEAST = 50, 5.0
#: The part of the time to wait for which an answer has to be due before its absence says anything.
_TELLING = 0.25
#: What is heard in the first part of the time to wait for may have been on its way before: it is no sign of life.
_STALE = 0.25
#: Seconds at the end of a check kept for saying what was found, at most; a tenth of a shorter one.
_RESERVE = 0.3


class Pulse:
    """The signs of life of one server. Everything but `heard` is used in the event loop alone.

    Args:
        ask: Sends what the server has to answer; it answers in the order of the questions (RFC 4254, section 4).
        dead: Makes the exception for a server that is silent; gets ``unanswered_ms`` and ``slowest_answer_ms``.
    """

    def __init__(self, ask: Callable[[], object], dead: Callable[..., Exception]) -> None:
        self._ask = ask
        self._dead = dead
        #: When the server was last heard, in `time.monotonic` seconds.
        self.heard = time.monotonic()
        #: When was asked what is not answered yet.
        self._due: deque[float] = deque()
        #: When was asked what was answered last, and the seconds that this took, and that it took at most.
        self._asked = self._took = self._slowest = 0.0
        #: Set, and replaced by another one, when the server says anything.
        self._spoke = asyncio.Event()

    def ask(self) -> None:
        """Ask for an answer of any kind."""
        self._due.append(time.monotonic())
        self._ask()

    def answered(self) -> None:
        """The oldest question has its answer."""
        if self._due:
            self._asked = self._due.popleft()
            self._took = time.monotonic() - self._asked
            self._slowest = max(self._slowest, self._took)

    def spoke(self) -> None:
        """Something has come from the server."""
        spoke, self._spoke = self._spoke, asyncio.Event()
        spoke.set()

    async def patiently(self, waiting: Awaitable[Any], budget: Budget) -> None:
        """Wait for the server; in the middle of a long silence, ask whether it is there at all.

        One that is slow is waited for while the check lasts; the time that it takes itself counts for nobody beyond it.

        Raises:
            TimeoutError: It is there, and what was waited for has not come; the argument tells for how many seconds.
            Exception: What `dead` makes.
        """
        since = time.monotonic()
        alive = since + _STALE * budget.left()
        asking = asyncio.get_running_loop().call_later(budget.left() / 2, self._doubt, since, alive)
        awaited = asyncio.ensure_future(waiting)
        try:
            await asyncio.wait({awaited}, timeout=budget.left())
            if not awaited.done() and self.heard < alive:
                await self._sign_of_life(awaited, since, alive, budget)
            if not awaited.done():
                raise TimeoutError(max(0.0, time.monotonic() - since - self._own_time(since)))
            awaited.result()
        finally:
            asking.cancel()
            if awaited is not waiting:
                awaited.cancel()

    async def _sign_of_life(self, awaited: asyncio.Future[Any], since: float, alive: float, budget: Budget) -> None:
        self._doubt(since, alive)
        asked = max(since, self._due[0] if self._due else since)
        check = under_way(0.0)
        until = min(check.ends - min(_RESERVE, check.total / 10), asked + max(_AT_LEAST, _TIMES * self._slowest))
        while self.heard < alive and not awaited.done() and (left := until - time.monotonic()) > 0:
            spoke = asyncio.ensure_future(self._spoke.wait())
            await asyncio.wait({awaited, spoke}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            spoke.cancel()
        if self.heard >= alive or awaited.done():
            return
        unanswered = time.monotonic() - asked
        if unanswered < _TELLING * budget.total:
            raise TimeoutError(0.0)  # it was asked too late for saying anything about it
        raise self._dead(unanswered_ms=round(unanswered * 1000), slowest_answer_ms=round(self._slowest * 1000, 1))

    def _own_time(self, since: float) -> float:
        """Seconds that the server itself takes for an answer at this moment, as far as that was asked."""
        took = self._took if self._asked >= since else 0.0
        due = time.monotonic() - self._due[0] if self._due and self._slowest else 0.0
        return max(took, due)

    def _doubt(self, since: float, alive: float) -> None:
        if self.heard < alive and not (self._due and self._due[-1] >= since):
            self.ask()
