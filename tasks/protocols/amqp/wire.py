"""Frames and methods of AMQP 0-9-1, as far as a client needs them to log in and look at queues."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tasks.streams import Reader, Stream, StreamBroken

HEADER = b"AMQP\x00\x00\x09\x01"
_METHOD, _HEARTBEAT = 1, 8
_END = 0xCE
#: Larger frames than the 128 KiB that servers propose are never needed here.
_LONGEST = 1 << 20

#: Class and method.
START, START_OK = (10, 10), (10, 11)
TUNE, TUNE_OK = (10, 30), (10, 31)
OPEN, OPEN_OK, CLOSE = (10, 40), (10, 41), (10, 50)
CHANNEL_OPEN, CHANNEL_OPEN_OK, CHANNEL_CLOSE, CHANNEL_CLOSE_OK = (20, 10), (20, 11), (20, 40), (20, 41)
DECLARE, DECLARE_OK = (50, 10), (50, 11)
QOS, QOS_OK, CONSUME, CONSUME_OK = (60, 10), (60, 11), (60, 20), (60, 21)


@dataclass(frozen=True)
class Method:
    """One method of a channel."""

    channel: int
    kind: tuple[int, int]
    arguments: bytes = b""

    @property
    def closes(self) -> bool:
        """Whether the peer ends the channel or the connection with it."""
        return self.kind in (CLOSE, CHANNEL_CLOSE)

    def refusal(self) -> tuple[int, str]:
        """Reply code and words of a method that closes."""
        (code,) = struct.unpack_from("!H", self.arguments)
        return code, short_at(self.arguments, 2)[0].decode("utf-8", "replace")


class Wire:
    """Methods over a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.reader = Reader(stream)

    async def send(self, channel: int, kind: tuple[int, int], *arguments: bytes) -> None:
        """One method."""
        await self.stream.send(frame(channel, kind, b"".join(arguments)))

    async def method(self) -> Method:
        """The next method; heartbeats and contents are passed over. Raises `StreamBroken`."""
        while True:
            kind, channel, size = struct.unpack("!BHI", await self.reader.exactly(7))
            if size > _LONGEST or kind not in (_METHOD, 2, 3, _HEARTBEAT):
                raise self._malformed()
            payload = await self.reader.exactly(size)
            if (await self.reader.exactly(1))[0] != _END:
                raise self._malformed()
            if kind == _METHOD:
                if size < 4:
                    raise self._malformed()
                class_id, method_id = struct.unpack_from("!HH", payload)
                return Method(channel, (class_id, method_id), payload[4:])

    def _malformed(self) -> StreamBroken:
        return StreamBroken("error", received=self.stream.received, error="PROTOCOL")


def frame(channel: int, kind: tuple[int, int], arguments: bytes = b"") -> bytes:
    """One method on the wire."""
    payload = struct.pack("!HH", *kind) + arguments
    return struct.pack("!BHI", _METHOD, channel, len(payload)) + payload + bytes([_END])


def short(text: str) -> bytes:
    """A short string: at most 255 bytes."""
    data = text.encode()
    return bytes([len(data)]) + data


def long(data: bytes) -> bytes:
    """A long string, or a table."""
    return struct.pack("!I", len(data)) + data


def short_at(data: bytes, position: int) -> tuple[bytes, int]:
    """The short string at a position, and where it ends."""
    end = position + 1 + data[position]
    return data[position + 1 : end], end


def long_at(data: bytes, position: int) -> tuple[bytes, int]:
    """The long string at a position, and where it ends."""
    (size,) = struct.unpack_from("!I", data, position)
    end = position + 4 + size
    if end > len(data):
        raise ValueError("a string beyond its message")
    return data[position + 4 : end], end


def text_entries(table: bytes) -> dict[str, str]:
    """The entries at the beginning of a table that are text; the first of another kind than text or table ends it."""
    found, position = {}, 0
    while position < len(table):
        name, position = short_at(table, position)
        if table[position : position + 1] not in (b"S", b"F"):
            break
        value, after = long_at(table, position + 1)
        if table[position : position + 1] == b"S":
            found[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        position = after
    return found
