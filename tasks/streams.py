"""A byte stream to one address, whatever carries it: a socket here, a channel through another host.

Protocols are written against `Stream` and so work from every vantage.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
import time
from typing import Protocol

from tasks.budget import Budget

#: No conversation of a check has reason to receive more bytes than this.
_MOST = 1 << 26


class StreamBroken(Exception):
    """The conversation broke. `kind`: ``silent`` (nothing came in time), ``eof``, ``reset``, ``tls`` or ``error``.

    `mute` tells a peer that owed us a byte for most of our time from one that we had no time left to wait for;
    `unacknowledged`: not even its kernel has confirmed what was sent, however often it was sent again.
    """

    def __init__(
        self,
        kind: str,
        *,
        received: int = 0,
        silent_ms: float = 0.0,
        mute: bool = False,
        unacknowledged: bool = False,
        error: str | None = None,
        alert: int | None = None,
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.received = received
        self.silent_ms = silent_ms
        self.mute = mute
        self.unacknowledged = unacknowledged
        self.error = error
        self.alert = alert

    def evidence(self) -> dict[str, object]:
        """What to note in the stage."""
        found: dict[str, object] = {"broken": self.kind, "received_bytes": self.received}
        if self.kind == "silent":
            found["silent_ms"] = round(self.silent_ms, 1)
            found["mute"] = self.mute
        if self.unacknowledged:
            found["unacknowledged"] = True
        if self.error:
            found["tls_error" if self.kind == "tls" else "errno"] = self.error
        if self.alert:
            found["alert"] = self.alert
        return found


class Stream(Protocol):
    """Bytes to and from a peer. Waits end with the budget the stream was opened under."""

    budget: Budget
    received: int

    async def receive(self, limit: int = 65536) -> bytes:
        """Some bytes; never empty. Raises `StreamBroken`."""
        ...

    async def send(self, data: bytes) -> None:
        """Send everything. Raises `StreamBroken`."""
        ...

    def close(self) -> None:
        """Let go of the peer. Never raises."""
        ...

    def local_address(self) -> str:
        """The address the peer's network sees us come from, as far as this side knows."""
        ...


#: Of Linux's `struct tcp_info` (linux/tcp.h): how often the oldest segment has been sent again, and the segments that
#: nobody has acknowledged.
_TCP_INFO = struct.Struct("=2xB21xI")
#: So often a segment is lost on no way that works.
_SENT_AGAIN = 2


def _unacknowledged(sock: socket.socket) -> bool:
    """Whether the peer's kernel confirms nothing of what was sent; False where this machine does not tell."""
    if sock.family == socket.AF_UNIX or not hasattr(socket, "TCP_INFO"):
        return False
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        sent_again, unacknowledged = _TCP_INFO.unpack(info)
    except (OSError, struct.error):
        return False
    return bool(unacknowledged) and sent_again >= _SENT_AGAIN


class SocketStream:
    """A connected, non-blocking socket of this machine."""

    def __init__(self, sock: socket.socket, budget: Budget) -> None:
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self.budget = budget
        self.received = 0
        self._arrival: asyncio.Future[None] | None = None
        self._watched = False

    async def receive(self, limit: int = 65536) -> bytes:
        waiting_since = time.monotonic()
        if not self.budget.left():
            raise self._silent(0.0)  # a peer that floods us never lets a timeout come to its turn
        try:
            data = await self._next(limit)
        except TimeoutError:
            raise self._silent(time.monotonic() - waiting_since) from None
        except OSError as error:
            raise self._broken(error) from None
        if not data:
            raise StreamBroken("eof", received=self.received)
        self.received += len(data)
        if self.received > _MOST:
            raise StreamBroken("error", received=self.received, error="EMSGSIZE")
        return data

    async def _next(self, limit: int) -> bytes:
        while True:
            try:
                return self._socket.recv(limit)
            except BlockingIOError:
                await self._until_readable()

    async def _until_readable(self) -> None:
        """Wait for bytes, watching the socket through the whole conversation: a handshake waits a dozen times."""
        arrival = self._arrival = self._loop.create_future()
        if not self._watched:
            self._loop.add_reader(self._socket, self._readable)
            self._watched = True
        alarm = self._loop.call_later(self.budget.left(), _too_late, arrival)
        try:
            await arrival
        finally:
            alarm.cancel()
            self._arrival = None

    def _readable(self) -> None:
        if self._arrival is None:
            self._unwatch()  # nobody waits now, and bytes that nobody takes would call again and again
        elif not self._arrival.done():
            self._arrival.set_result(None)

    def _unwatch(self) -> None:
        if self._watched:
            self._loop.remove_reader(self._socket)
            self._watched = False

    async def send(self, data: bytes) -> None:
        waiting_since = time.monotonic()
        try:
            # A kernel with room in its buffer takes the whole of a handshake's message at once.
            data = data[self._socket.send(data) :]
        except BlockingIOError:
            pass
        except OSError as error:
            raise self._broken(error) from None
        if not data:
            return
        try:
            async with asyncio.timeout(self.budget.left()):
                await self._loop.sock_sendall(self._socket, data)
        except TimeoutError:
            raise self._silent(time.monotonic() - waiting_since) from None
        except OSError as error:
            raise self._broken(error) from None

    def _silent(self, waited: float) -> StreamBroken:
        mute, lost = waited >= self.budget.total / 2, _unacknowledged(self._socket)
        return StreamBroken(
            "silent", received=self.received, silent_ms=waited * 1000, mute=mute, unacknowledged=lost
        )  # fmt: skip

    def _broken(self, error: OSError) -> StreamBroken:
        kind = "reset" if error.errno in (errno.ECONNRESET, errno.EPIPE) else "error"
        return StreamBroken(kind, received=self.received, error=errno.errorcode.get(error.errno or 0, str(error.errno)))

    def close(self) -> None:
        self._unwatch()
        with contextlib.suppress(OSError):
            self._socket.close()

    def local_address(self) -> str:
        if self._socket.family == socket.AF_UNIX:
            return "unix"
        return str(self._socket.getsockname()[0])


def _too_late(arrival: asyncio.Future[None]) -> None:
    if not arrival.done():
        arrival.set_exception(TimeoutError())


class Reader:
    """Reads exact amounts and lines from a stream, keeping what is left over."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.buffer = bytearray()

    async def exactly(self, count: int) -> bytes:
        """This many bytes."""
        while len(self.buffer) < count:
            self.buffer += await self.stream.receive()
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    async def until(self, mark: bytes, limit: int = 65536) -> bytes:
        """Everything up to and including a mark; at most `limit` bytes are kept waiting for it."""
        while (at := self.buffer.find(mark)) < 0:
            if len(self.buffer) > limit:
                raise StreamBroken("error", received=self.stream.received, error="LINE_TOO_LONG")
            self.buffer += await self.stream.receive()
        data = bytes(self.buffer[: at + len(mark)])
        del self.buffer[: at + len(mark)]
        return data

    async def peek(self, count: int) -> bytes:
        """The next bytes, at least one and at most `count`, left in place."""
        if not self.buffer:
            self.buffer += await self.stream.receive()
        return bytes(self.buffer[:count])


def printable(data: bytes, limit: int = 48) -> str:
    """First bytes as evidence: readable, bounded, on one line."""
    text = data[:limit].decode("ascii", "backslashreplace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


def unix_socket_path(host: str, port: int, protocol: str) -> str:
    """The socket file behind a host that starts with ``/``: libpq names the directory, the others name the file."""
    return f"{host.rstrip('/')}/.s.PGSQL.{port}" if protocol == "postgresql" else host
