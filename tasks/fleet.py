"""Many checks at once: as wide as the machine allows, gentle to each server."""

from __future__ import annotations

import asyncio
import resource
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from registry.verdict import Verdict
from tasks.budget import Budget
from tasks.check import check
from tasks.streams import Stream
from tasks.target import Target
from tasks.vantages import Outpost, Resolution, Route, Vantage

#: Descriptors that one check may hold at a time: its own connection and those of its witnesses.
_DESCRIPTORS_A_CHECK = 6
_DESCRIPTORS_ELSEWHERE = 128
#: More checks at a time than this make each other late on one processor.
_AT_ONCE = 1200
#: Conversations at a time with one server, so that a check of many sources on it does not exhaust its connections.
_AT_ONCE_A_SERVER = 8
#: Seconds without an answer to a connect after which a server counts as silent: nobody there is to be spared.
_SILENCE = 0.5
#: The part of a check's time without a first byte after which a server that accepts counts as silent too.
_MUTENESS = 0.3


async def check_all(
    targets: Sequence[Target], vantage: Vantage | Outpost, *, timeout: float = 5.0, at_once: int | None = None
) -> AsyncIterator[Verdict]:
    """Check many targets from one place; verdicts come as they are ready.

    Args:
        timeout: Seconds for each check. Waiting for a turn does not count.
        at_once: Checks at a time; by default as many as the open-files limit of this process allows.

    Raises:
        ExceptionGroup: After all verdicts, what went wrong in checks that could not come to one.
    """
    if isinstance(vantage, Outpost):
        async for verdict in vantage.check_all(targets, timeout=timeout):
            yield verdict
        return
    everywhere, turnstile = asyncio.Semaphore(at_once or _width()), asyncio.Lock()
    doors: defaultdict[object, _Door] = defaultdict(_Door)

    async def one(target: Target) -> Verdict:
        door = doors[target.connection.endpoints() if target.connection is not None else None]
        async with door, everywhere:
            # One start in each round of the event loop: a loop that is busy with the checks under way starts fewer, so
            # that no check's time passes while it waits for the processor.
            async with turnstile:
                await asyncio.sleep(0)
            with _AtTheDoor(vantage, door) as guarded:
                return await check(target, guarded, timeout=timeout)

    running = [asyncio.create_task(one(target)) for target in targets]
    broken: list[Exception] = []
    try:
        for finished in asyncio.as_completed(running):
            try:
                verdict = await finished
            except Exception as error:
                broken.append(error)  # a mistake of ours in one check spoils no other
            else:
                yield verdict
    finally:
        for task in running:
            task.cancel()
    if broken:
        raise ExceptionGroup("checks broke off", broken)


class _Door:
    """Lets a few in at a time, until it turns out that nobody is in."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_AT_ONCE_A_SERVER)
        self._silent = asyncio.Event()
        self._heard = False

    async def __aenter__(self) -> None:
        if not self._silent.is_set():
            waits = [asyncio.create_task(self._places.acquire()), asyncio.create_task(self._silent.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def __aexit__(self, *_: object) -> None:
        self._places.release()

    def open(self) -> None:
        """Nobody answers: let everybody find that out at once."""
        self._silent.set()

    def hear(self, stream: Stream) -> bool:
        """Whether the server has ever said a word: in this conversation or an earlier one."""
        self._heard = self._heard or stream.received > 0
        return self._heard

    def open_if_mute(self, stream: Stream) -> None:
        if not self.hear(stream):
            self.open()


class _AtTheDoor:
    """A vantage that tells the door when a connect goes unanswered, or nothing is said after it."""

    def __init__(self, vantage: Vantage, door: _Door) -> None:
        self._vantage = vantage
        self._door = door
        self._conversations: list[tuple[Stream, asyncio.TimerHandle]] = []
        self.name = vantage.name
        self.kind = vantage.kind

    def __enter__(self) -> _AtTheDoor:
        return self

    def __exit__(self, *_: object) -> None:
        for stream, alarm in self._conversations:
            alarm.cancel()
            self._door.hear(stream)

    async def connect(
        self, address: str, port: int, budget: Budget, *, conversation: Budget, largest_segment: int | None = None
    ) -> Stream:
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(_SILENCE, self._door.open)
        try:
            stream = await self._vantage.connect(
                address, port, budget, conversation=conversation, largest_segment=largest_segment
            )
        finally:
            alarm.cancel()
        alarm = loop.call_later(_MUTENESS * conversation.total, self._door.open_if_mute, stream)
        self._conversations.append((stream, alarm))
        return stream

    async def exchange(self, address: str, port: int, datagram: bytes, budget: Budget) -> bytes | None:
        return await self._vantage.exchange(address, port, datagram, budget)

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        return await self._vantage.resolve(host, budget)

    async def route(self, address: str) -> Route:
        return await self._vantage.route(address)

    async def neighbour(self, address: str) -> Mapping[str, Any]:
        return await self._vantage.neighbour(address)

    async def answers_ping(self, address: str, budget: Budget) -> bool | None:
        return await self._vantage.answers_ping(address, budget)

    async def way_out(self) -> Mapping[str, Any]:
        return await self._vantage.way_out()

    async def close(self) -> None:
        await self._vantage.close()


def _width() -> int:
    """Checks that the open-files limit allows, after raising the soft limit to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return max(8, min(_AT_ONCE, (soft - _DESCRIPTORS_ELSEWHERE) // _DESCRIPTORS_A_CHECK))
