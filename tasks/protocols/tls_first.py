"""Conversations without a STARTTLS: a port speaks TLS from its first byte or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tasks.evidence import Recorder, StageFailed, StageSkipped
from tasks.fingerprints import identify
from tasks.protocols import Session
from tasks.streams import Stream, StreamBroken, printable
from tasks.tls import start_tls
from tasks.vantages import ConnectFailed

#: The part of the time after which a peer that is silent over TLS is asked in the clear.
_PATIENCE = 0.15


class TlsFirst(Session):
    """A conversation whose first bytes are those of TLS, where TLS is configured."""

    order = ("tls", "greet", "admit", "login", "target", "privilege")

    @property
    def tls_wanted(self) -> bool:
        """Whether this conversation begins with TLS."""
        return self.access.tls.wanted

    async def tls(self, recorder: Recorder) -> None:
        if not self.tls_wanted:
            raise StageSkipped("TLS is not configured")
        self.stream, facts = await self.handshake()
        self.read_anew()
        recorder.see(**facts)

    async def handshake(self) -> tuple[Stream, Mapping[str, Any]]:
        """The stream over TLS, and what the handshake showed. Raises `StageFailed`."""
        return await start_tls(self.stream, self.access.tls, self.access.host)

    def read_anew(self) -> None:
        """Let what reads from the stream read from `stream` as it is now."""


class LinesOrTls(TlsFirst):
    """A protocol of lines: a server without TLS waits for the end of one, which a TLS hello need not bring."""

    #: A question in the clear, and the protocol of whoever answers it rightly.
    question = b""
    spoken = ""

    async def handshake(self) -> tuple[Stream, Mapping[str, Any]]:
        shaking = asyncio.create_task(super().handshake())
        try:
            done, _ = await asyncio.wait({shaking}, timeout=self.stream.budget.left() * _PATIENCE)
            if not done and identify(first := await self.hears(self.question)) == self.spoken:
                raise StageFailed(not_tls=True, first_bytes=printable(first), looks_like=self.spoken)
            return await shaking
        finally:
            shaking.cancel()

    async def hears(self, question: bytes = b"") -> bytes:
        """The first bytes on another connection, after a question or unasked; empty when none come."""
        try:
            stream = await self.dial()
        except ConnectFailed:
            return b""
        try:
            async with asyncio.timeout(self.stream.budget.left() / 2):
                if question:
                    await stream.send(question)
                return await stream.receive(64)
        except (StreamBroken, TimeoutError):
            return b""
        finally:
            stream.close()
