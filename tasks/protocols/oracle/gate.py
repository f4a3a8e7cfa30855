"""A door on this machine through which a library that opens its own sockets comes to one of our streams.

It lets one connection in and closes behind it. A listener may hand the connection on within the stream (RESEND with a
new TLS handshake), which is done here; one that sends the client elsewhere is not followed, for the library would go
there past the vantage.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from tasks.evidence import StageFailed
from tasks.protocols.oracle import wire
from tasks.streams import Reader, Stream, StreamBroken

#: Shakes hands anew on the stream below TLS.
Renegotiate = Callable[[], Awaitable[Stream]]


class Gate:
    """Carries bytes between a library's connection and a stream."""

    def __init__(self, stream: Stream, renegotiate: Renegotiate | None) -> None:
        self._stream = stream
        self._renegotiate = renegotiate
        self._tasks: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None
        self.port = 0
        #: How the peer's side ended, once it has.
        self.broken: StreamBroken | StageFailed | None = None
        self.sent_elsewhere = False

    async def open(self) -> None:
        """Listen for the one connection."""
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._tasks:
            writer.close()
            return
        if self._server is not None:
            self._server.close()
        self._tasks = [asyncio.create_task(self._outward(reader)), asyncio.create_task(self._inward(writer))]

    async def _outward(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(StreamBroken, ConnectionError):
            while data := await reader.read(65536):
                await self._stream.send(data)

    async def _inward(self, writer: asyncio.StreamWriter) -> None:
        try:
            await self._greeting(writer)
            while True:
                writer.write(await self._stream.receive())
                await writer.drain()
        except (StreamBroken, StageFailed) as broken:
            self.broken = broken
        except (ConnectionError, ValueError):
            pass  # the library has let go, or the peer speaks no TNS any more: the library says so
        finally:
            writer.close()

    async def _greeting(self, writer: asyncio.StreamWriter) -> None:
        """The packets up to the one that answers CONNECT for good."""
        kind = wire.RESEND
        while kind == wire.RESEND:
            reader = Reader(self._stream)
            head = await reader.exactly(wire.HEADER)
            body = await reader.exactly(wire.length_behind(head))
            kind, flags = head[4], head[5]
            if kind == wire.REDIRECT:
                self.sent_elsewhere = True
                raise ConnectionAbortedError
            if kind == wire.RESEND and flags & wire.TLS_AGAIN and self._renegotiate is not None:
                self._stream = await self._renegotiate()
            writer.write(head + body + bytes(reader.buffer))
            await writer.drain()

    async def close(self) -> None:
        """Let go of both sides. Never raises."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._stream.close()
