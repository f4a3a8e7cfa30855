"""Questions to the far machine's own tools, over the connection: POSIX shell, answers in sections between marks."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from tasks.budget import Budget
from tasks.ssh.channels import Channel, ChannelRefused, Channels
from tasks.streams import StreamBroken

Answer = TypeVar("Answer")

#: OpenSSH lets ten sessions run at a time by default (MaxSessions); connections through it are not counted among them.
_AT_ONCE = 4
#: How often a command is tried where others were run, and the seconds that OpenSSH takes to forget a session.
_TRIES = 4
_PAUSE = 0.05
#: Bytes of an answer; a longer one is cut off.
_LONGEST = 1 << 20
_PREAMBLE = 'LC_ALL=C; export LC_ALL; PATH="$PATH:/usr/sbin:/sbin:/usr/bin:/bin"; export PATH\n'


class Shell:
    """Runs scripts at the far side; remembers when it lets us run none."""

    def __init__(self, connect: Callable[[Budget], Awaitable[Channels]]) -> None:
        self._connect = connect
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._running = 0
        self._alone = asyncio.Condition()
        self._mark = f"headwater-{secrets.token_hex(8)}"
        #: Whether commands can be run; None while that is not known.
        self.usable: bool | None = None

    def section(self, name: str) -> str:
        """The shell command that begins a section of the answer; a name without spaces and quotes."""
        return f"printf '\\n%s %s\\n' {self._mark} '{name}'\n"

    async def run(self, script: str, budget: Budget) -> Mapping[str, str] | None:
        """The sections of a script's output by name; None where no commands can be run or no answer came in time.

        Raises:
            VantageFailed: The hop itself cannot be used.
        """
        if self.usable is False:
            return None
        channels = await self._connect(budget)
        try:
            async with asyncio.timeout(budget.left()):
                text = await self._turn(channels, _PREAMBLE + script + self.section("end"), budget)
        except TimeoutError:
            return None
        sections = self._parse(text or "")
        whole = "end" in sections
        self.usable = whole or bool(self.usable)  # what has worked before is tried again
        return sections if whole else None

    async def _turn(self, channels: Channels, script: str, budget: Budget, tries: int = _TRIES) -> str | None:
        async with self._places:
            self._running += 1
            try:
                text = await self._output(channels, script, budget)
                beside_others = self._running > 1
            finally:
                self._running -= 1
                async with self._alone:
                    self._alone.notify_all()
        if text is not None or tries == 1 or not (beside_others or self.usable):
            return text
        # Refused beside others, or just after one: from now on they take turns (MaxSessions).
        self._places = asyncio.Semaphore(1)
        async with self._alone:
            await self._alone.wait_for(lambda: not self._running)
        await asyncio.sleep(_PAUSE)
        return await self._turn(channels, script, budget, tries - 1)

    async def _output(self, channels: Channels, script: str, budget: Budget) -> str | None:
        """What a script prints; None where the server runs none."""
        try:
            channel = await channels.open("session", budget=budget, conversation=budget)
        except ChannelRefused:
            return None
        try:
            # Whatever the login shell is, the script is read by a POSIX one.
            if not await channel.request("exec", b"/bin/sh -s"):
                return None
            await channel.send(script.encode())
            channel.finish()
            output = await _everything(channel)
            await channel.closed()  # until then, the session counts among those that the server allows
            return output
        except StreamBroken as broken:
            if broken.kind == "silent":
                raise TimeoutError from None
            return None
        finally:
            channel.close()

    def _parse(self, text: str) -> dict[str, str]:
        sections: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in text.split("\n"):
            mark, _, name = line.partition(" ")
            if mark == self._mark:
                lines = sections.setdefault(name, [])
            else:
                lines.append(line)
        return {name: "\n".join(found).strip("\n") for name, found in sections.items()}


async def _everything(channel: Channel) -> str:
    data = bytearray()
    with contextlib.suppress(_Ended):
        while len(data) < _LONGEST:
            data += await _next(channel)
    return data.decode("utf-8", "replace")


class _Ended(Exception):
    pass


async def _next(channel: Channel) -> bytes:
    try:
        return await channel.receive()
    except StreamBroken as broken:
        if broken.kind == "eof":
            raise _Ended from None
        raise


class Batch(Generic[Answer]):
    """Makes one command of the questions that come while another one is being answered.

    Args:
        run: Answers many questions, each under its own key.
        at_once: Commands at a time.
    """

    def __init__(self, run: Callable[[list[str]], Awaitable[Mapping[str, Answer]]], at_once: int = 2) -> None:
        self._run = run
        self._at_once = at_once
        self._waiting: dict[str, asyncio.Future[Answer | None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, key: str, budget: Budget) -> Answer | None:
        """The answer to a question, asked after this call; None where there is none in time."""
        answer = self._waiting.get(key)
        if answer is None:
            answer = self._waiting[key] = asyncio.get_running_loop().create_future()
            answer.add_done_callback(_told)
        if len(self._running) < self._at_once:
            task = asyncio.create_task(self._serve())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        try:
            async with asyncio.timeout(budget.left()):
                return await asyncio.shield(answer)
        except TimeoutError:
            return None

    async def _serve(self) -> None:
        await asyncio.sleep(0)  # questions of the same moment go together
        while self._waiting:
            asked, self._waiting = self._waiting, {}
            try:
                answers = await self._run([*asked])
            except Exception as error:
                for answer in asked.values():
                    answer.set_exception(error)
                    answer.exception()  # nobody may be waiting any more
                continue
            for key, answer in asked.items():
                answer.set_result(answers.get(key))


def _told(ended: asyncio.Future[Answer]) -> None:
    if not ended.cancelled():
        ended.exception()
