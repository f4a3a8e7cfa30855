"""Servers whose protocol is not public: what can be said of them without speaking it.

They wait for their client's first word, so one that speaks first, or that answers a question of HTTP, is another's.
What follows the connection is told as untested.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from tasks import strangers
from tasks.evidence import Recorder, StageFailed
from tasks.fingerprints import identify
from tasks.protocols import Session, Unsupported
from tasks.streams import Stream, StreamBroken, printable

#: The part of the time left that listening, or asking, may take; at most so many seconds for each.
_SHARE, _MOST, _ANSWERED = 0.25, 0.5, 1.0


class ClosedSession(Session):
    """One connection to a server whose words nobody but its vendor knows."""

    #: What there is no probe for.
    lacking: ClassVar[str]

    order = ("greet",)

    async def greet(self, recorder: Recorder) -> None:
        first = await self._first_words(self.stream)
        if first:
            raise StageFailed(not_protocol=True, first_bytes=printable(first), looks_like=identify(first))
        stranger = await strangers.named(self.dial, min(_ANSWERED, self.stream.budget.left() * _SHARE))
        if stranger:
            raise StageFailed(not_protocol=True, first_bytes="none unasked", **stranger)
        raise Unsupported(self.lacking)

    async def _first_words(self, stream: Stream) -> bytes:
        """What a peer says unasked."""
        try:
            async with asyncio.timeout(min(_MOST, stream.budget.left() * _SHARE)):
                return await stream.receive(64)
        except TimeoutError:
            return b""
        except StreamBroken as broken:
            if broken.kind == "silent":
                return b""
            raise
