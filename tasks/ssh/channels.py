"""Many channels over one SSH connection (RFC 4254, section 5), without a thread for each.

paramiko encrypts and renews keys in its own thread; channel messages are taken out before its own channels see them,
and are handled in the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_CHANNEL_OPEN_SUCCESS,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_SUCCESS,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_GLOBAL_REQUEST,
    MSG_REQUEST_FAILURE,
    MSG_REQUEST_SUCCESS,
)
from paramiko.message import Message

from tasks.budget import Budget
from tasks.ssh.connection import SshConnection
from tasks.ssh.pulse import Pulse
from tasks.streams import StreamBroken

#: Bytes that a peer may send before we have taken them, and the largest packet (those of OpenSSH's own client).
_WINDOW = 2 << 20
_PACKET = 1 << 15
#: No conversation of a check has reason to receive more bytes than this.
_MOST = 1 << 26
#: Our numbers begin where paramiko's end.
_FIRST = 0x1000000
#: Seconds after which messages are tried again that came while keys were being renewed.
_RENEWAL = 0.02
_ANSWERS = (MSG_REQUEST_SUCCESS, MSG_REQUEST_FAILURE)
_MESSAGES = frozenset(range(MSG_CHANNEL_OPEN_SUCCESS, MSG_CHANNEL_FAILURE + 1))


@dataclass(frozen=True)
class ChannelRefused(Exception):
    """No channel. `code` is that of RFC 4254, section 5.1; `description` the server's words for it."""

    code: int
    description: str


class Channels:
    """The channels of one connection. Everything here runs in the event loop.

    Args:
        most: Channels open at a time; whoever wants another one waits.
        lost: Makes the exception for conversations that were under way when the connection broke.
        hangs: ... for those to which nothing comes back through it any more; gets what `Pulse` has seen.
    """

    def __init__(
        self, connection: SshConnection, most: int, lost: Callable[[], Exception], hangs: Callable[..., Exception]
    ) -> None:
        self.connection = connection
        self._places = asyncio.Semaphore(most)
        #: Makes the exception that tells why nothing goes any more.
        self.loss = lost
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(_FIRST)
        self._channels: dict[int, Channel] = {}
        self._inbox: deque[tuple[int, int, bytes]] = deque()
        self._woken = False
        self._held: deque[Message] = deque()
        self.pulse = Pulse(self._ask, hangs)
        #: Set when nothing goes any more.
        self.lost = asyncio.Event()
        connection.divert(self._take, self._end)

    # -- in paramiko's thread ---------------------------------------------------------------------------------------

    def _take(self, kind: int, message: Message) -> bool:
        self.pulse.heard = time.monotonic()
        if kind in _ANSWERS:
            self._inbox.append((kind, 0, b""))
            self._wake()
        if kind not in _MESSAGES:
            return False
        body = message.asbytes()
        number = int.from_bytes(body[:4], "big")
        if number < _FIRST:
            return False
        self._inbox.append((kind, number, body[4:]))
        self._wake()
        return True

    def _end(self) -> None:
        self._inbox.append((0, 0, b""))
        self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it every conversation
                self._loop.call_soon_threadsafe(self._drain)

    # -- in the loop ------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        self._woken = False
        self.pulse.spoke()
        while self._inbox:
            kind, number, body = self._inbox.popleft()
            if kind == 0:
                self._break()
            elif kind in _ANSWERS:
                self.pulse.answered()
            elif (channel := self._channels.get(number)) is not None:
                channel.handle(kind, body)

    def _break(self) -> None:
        self.lost.set()
        for channel in [*self._channels.values()]:
            channel.lose()
        self._channels.clear()

    def send(self, kind: int, *fields: int | bytes | bool) -> None:
        """Send a message: numbers as uint32, bytes as strings. Never waits."""
        message = Message()
        message.add_byte(bytes([kind]))
        for field in fields:
            if isinstance(field, bool):
                message.add_boolean(field)
            elif isinstance(field, int):
                message.add_int(field)
            else:
                message.add_string(field)
        self._held.append(message)
        self._flush()

    def _flush(self) -> None:
        transport = self.connection.transport
        while self._held and not self.lost.is_set() and transport.is_active():
            # No user message may go out between the first and the last message of a key exchange (RFC 4253, 7.1).
            with transport.clear_to_send_lock:
                if not transport.clear_to_send.is_set():
                    self._loop.call_later(_RENEWAL, self._flush)
                    return
                try:
                    transport.packetizer.send_message(self._held.popleft())
                except (EOFError, OSError):
                    return  # the other direction tells how it ended

    def _ask(self) -> None:
        # OpenSSH's keep-alive: whoever does not know it answers as well (RFC 4254, section 4).
        self.send(MSG_GLOBAL_REQUEST, b"keepalive@openssh.com", True)

    async def open(self, kind: str, *fields: int | bytes, budget: Budget, conversation: Budget) -> Channel:
        """Open a channel.

        Args:
            fields: What follows the common fields of the request.
            budget: Time for opening.
            conversation: Time for everything said on it.

        Raises:
            ChannelRefused: The server says no.
            TimeoutError: No answer in time; the exception's argument is the seconds for which one was owed by whoever
                is beyond the server.
        """
        channel = Channel(self, next(self._numbers), conversation, await self._place(kind, budget))
        try:
            if self.lost.is_set():
                raise self.loss()
            self._channels[channel.number] = channel
            self.send(MSG_CHANNEL_OPEN, kind.encode(), channel.number, _WINDOW, _PACKET, *fields)
            await self.pulse.patiently(channel.opened, budget)
        except BaseException:
            channel.close()
            raise
        return channel

    async def _place(self, kind: str, budget: Budget) -> Callable[[], None]:
        """Wait for a turn; gives what ends it. Sessions are few, and whoever asks for them counts them."""
        if kind == "session":
            return _nothing
        try:
            async with asyncio.timeout(budget.left()):
                await self._places.acquire()
        except TimeoutError:
            raise TimeoutError(0.0) from None
        return self._places.release

    def forget(self, channel: Channel) -> None:
        """The number of a channel is no longer in use on either side."""
        self._channels.pop(channel.number, None)


class Channel:
    """A byte stream to a peer beyond the server, or the standard streams of a command there (`tasks.streams.Stream`).

    Its end of file is all that the server tells of how the peer ended: an RST there looks the same here.
    """

    def __init__(self, channels: Channels, number: int, budget: Budget, release: Callable[[], None]) -> None:
        self.number = number
        self.budget = budget
        self.received = 0
        #: The address that the peer sees, as far as it is known.
        self.source_address = ""
        #: Exit status of a command, once told.
        self.status: int | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.opened.add_done_callback(_told)
        self._channels = channels
        self._release = release
        self._theirs = 0
        self._room = 0
        self._largest = _PACKET
        self._buffer = bytearray()
        self._taken = 0
        self._ended = False
        self._closed = False
        self._confirmed = False
        self._replies: deque[bool] = deque()
        self._changed = asyncio.Event()

    # -- what the server says ---------------------------------------------------------------------------------------

    def handle(self, kind: int, body: bytes) -> None:
        """Take one message for this channel, after its number."""
        message = Message(body)
        if kind == MSG_CHANNEL_DATA:
            self._buffer += message.get_binary()
        elif kind == MSG_CHANNEL_OPEN_SUCCESS:
            self._open(message)
        elif kind == MSG_CHANNEL_OPEN_FAILURE:
            self._refuse(ChannelRefused(message.get_int(), message.get_binary().decode("utf-8", "replace")))
        elif kind == MSG_CHANNEL_WINDOW_ADJUST:
            self._room += message.get_int()
        elif kind == MSG_CHANNEL_EXTENDED_DATA:
            message.get_int()
            self._grant(len(message.get_binary()))
        elif kind == MSG_CHANNEL_REQUEST:
            self._note(message)
        elif kind in (MSG_CHANNEL_SUCCESS, MSG_CHANNEL_FAILURE):
            self._replies.append(kind == MSG_CHANNEL_SUCCESS)
        elif kind == MSG_CHANNEL_EOF:
            self._ended = True
        elif kind == MSG_CHANNEL_CLOSE:
            self._ended = True
            self._close()
            self._channels.forget(self)
        self._changed.set()

    def _open(self, message: Message) -> None:
        self._theirs, self._room = message.get_int(), message.get_int()
        self._largest = max(1, min(message.get_int(), 1 << 20))
        self._confirmed = True
        if self._closed:  # nobody waits for it any more
            self._channels.send(MSG_CHANNEL_CLOSE, self._theirs)
        elif not self.opened.done():
            self.opened.set_result(None)

    def _fail(self, why: Exception) -> None:
        """Tell whoever waits for the channel; nobody may be waiting any more."""
        self.opened.set_exception(why)
        self.opened.exception()

    def _refuse(self, why: ChannelRefused) -> None:
        self._channels.forget(self)
        if not self.opened.done():
            self._fail(why)

    def _note(self, message: Message) -> None:
        name, wants_reply = message.get_binary(), message.get_boolean()
        if name == b"exit-status":
            self.status = message.get_int()
        if wants_reply:
            self._say(MSG_CHANNEL_FAILURE)

    def lose(self) -> None:
        """The connection has broken."""
        if not self.opened.done():
            self._fail(self._channels.loss())
        self._close()
        self._changed.set()

    # -- what we do -------------------------------------------------------------------------------------------------

    async def receive(self, limit: int = 65536) -> bytes:
        waiting_since = time.monotonic()
        while not self._buffer:
            self._check()
            if self._ended or self._closed:
                raise StreamBroken("eof", received=self.received)
            await self._change(waiting_since)
        if not self.budget.left():
            raise self._silent(0.0)
        data = bytes(self._buffer[:limit])
        del self._buffer[: len(data)]
        self.received += len(data)
        if self.received > _MOST:
            raise StreamBroken("error", received=self.received, error="EMSGSIZE")
        self._grant(len(data))
        return data

    async def send(self, data: bytes) -> None:
        waiting_since = time.monotonic()
        view = memoryview(data)
        while view:
            self._check()
            if self._closed:
                # The far side has closed both directions: nothing that was sent before need have arrived.
                raise StreamBroken("eof", received=self.received)
            size = min(len(view), self._room, self._largest)
            if not size:
                await self._change(waiting_since)
                continue
            self._room -= size
            self._say(MSG_CHANNEL_DATA, bytes(view[:size]))
            view = view[size:]

    async def request(self, name: str, *fields: bytes) -> bool:
        """Ask for something on this channel; whether the server grants it. Raises `StreamBroken`."""
        self._say(MSG_CHANNEL_REQUEST, name.encode(), True, *fields)
        waiting_since = time.monotonic()
        while not self._replies:
            self._check()
            if self._closed:
                raise StreamBroken("eof", received=self.received)
            await self._change(waiting_since)
        return self._replies.popleft()

    async def closed(self) -> None:
        """Wait until the server has let go of it too. Raises `StreamBroken` when that takes too long."""
        waiting_since = time.monotonic()
        while not self._closed:
            await self._change(waiting_since)

    def finish(self) -> None:
        """Say that nothing more will be sent."""
        self._say(MSG_CHANNEL_EOF)

    def _check(self) -> None:
        if self._channels.lost.is_set():
            raise self._channels.loss()

    async def _change(self, waiting_since: float) -> None:
        self._changed.clear()
        try:
            await self._channels.pulse.patiently(self._changed.wait(), self.budget)
        except TimeoutError as late:
            raise self._silent(min(time.monotonic() - waiting_since, *late.args)) from None

    def _silent(self, waited: float) -> StreamBroken:
        mute = waited >= self.budget.total / 2
        return StreamBroken("silent", received=self.received, silent_ms=waited * 1000, mute=mute)

    def _grant(self, count: int) -> None:
        """Let the peer send as much again as was taken, in larger steps."""
        self._taken += count
        if self._taken >= _WINDOW // 8:
            self._say(MSG_CHANNEL_WINDOW_ADJUST, self._taken)
            self._taken = 0

    def _say(self, kind: int, *fields: int | bytes | bool) -> None:
        """Send a message about this channel, unless we have closed it: its number may be another's by now.

        Servers may close a channel before anything was asked on it, and end the whole connection over a message to
        one that they have forgotten (Dropbear does both).
        """
        if self._confirmed and not self._closed:
            self._channels.send(kind, self._theirs, *fields)

    def _close(self) -> None:
        if self._closed:
            return
        self._say(MSG_CHANNEL_CLOSE)
        self._closed = True
        self._release()

    def close(self) -> None:
        self._close()
        self._changed.set()

    def local_address(self) -> str:
        return self.source_address


def _nothing() -> None:
    pass


def _told(ended: asyncio.Future[None]) -> None:
    """Take note of how it ended, so that the event loop does not report it when nobody waits."""
    if not ended.cancelled():
        ended.exception()
