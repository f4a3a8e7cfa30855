"""Servers whose protocol is not public: what can be said of them without speaking it.

They wait for their client's first word, so one that speaks first, or that answers a question of HTTP, is another's.
What follows the connection is told as untested.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from tasks.evidence import Recorder, StageFailed
from tasks.fingerprints import identify
from tasks.protocols import Session, Unsupported
from tasks.streams import Stream, StreamBroken, printable
from tasks.vantages import ConnectFailed

#: What web servers and many others answer at once.
_QUESTION = b"GET / HTTP/1.0\r\n\r\n"
#: The part of the time left that listening may take, and asking; in all at most this many seconds each.
_SHARE, _MOST = 0.25, 0.5


class ClosedSession(Session):
    """One connection to a server whose words nobody but its vendor knows."""

    #: What there is no probe for.
    lacking: ClassVar[str]

    order = ("greet",)

    async def greet(self, recorder: Recorder) -> None:
        first = await self._first_words(self.stream) or await self._answer_to_another()
        if first:
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=identify(first))
        raise Unsupported(self.lacking)

    async def _answer_to_another(self) -> bytes:
        try:
            stream = await self.dial()
        except ConnectFailed:
            return b""
        try:
            return await self._first_words(stream, _QUESTION)
        finally:
            stream.close()

    async def _first_words(self, stream: Stream, question: bytes = b"") -> bytes:
        """What a peer says unasked, or to a question of another protocol; hanging up on that one says nothing."""
        try:
            async with asyncio.timeout(self._patience()):
                if question:
                    await stream.send(question)
                return await stream.receive(64)
        except TimeoutError:
            return b""
        except StreamBroken as broken:
            if question or broken.kind == "silent":
                return b""
            raise

    def _patience(self) -> float:
        return min(_MOST, self.stream.budget.left() * _SHARE)
