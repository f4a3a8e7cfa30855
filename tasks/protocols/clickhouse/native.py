"""The native protocol at a revision that every server understands; only bytes and strings are read of results."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tasks.streams import Reader, Stream, StreamBroken

#: Old enough to leave out everything that later revisions added.
_REVISION = 54058
_HELLO, _QUERY, _DATA = 0, 1, 2
_SERVER_HELLO, _SERVER_DATA, _EXCEPTION, _PROGRESS, _PONG, _END, _PROFILE, _TOTALS, _EXTREMES = range(9)
_COMPLETE = 2
_LONGEST, _MOST_ROWS = 1 << 20, 1000


@dataclass(frozen=True)
class Refusal:
    """An exception: the code decides, the words are for people."""

    code: int
    text: str


class NativeWire:
    """Packets over a stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.reader = Reader(stream)

    async def greet(self, username: str, password: str = "", database: str = "") -> None:
        """Say who we are; `greeted` has the answer."""
        client = _text("headwater") + _number(1) + _number(1) + _number(_REVISION)
        await self.stream.send(_number(_HELLO) + client + _text(database) + _text(username) + _text(password))

    async def greeted(self) -> str | Refusal:
        """The server's name and version, once it has let us in."""
        kind = await self._number()
        if kind == _EXCEPTION:
            return await self._exception()
        if kind != _SERVER_HELLO:
            raise self._malformed()
        name = await self._text()
        major, minor, revision = [await self._number() for _ in range(3)]
        if revision >= _REVISION:
            await self._text()  # the time zone
        return f"{name} {major}.{minor}"

    async def rows(self, query: str) -> list[str] | Refusal:
        """The first column of a query's result."""
        who = bytes([1]) + _text("") + _text("") + _text("0.0.0.0:0")
        client = bytes([1]) + _text("") + _text("") + _text("headwater") + _number(1) + _number(1) + _number(_REVISION)
        no_settings = _text("")
        asked = _number(_COMPLETE) + _number(0) + _text(query)
        nothing = _number(_DATA) + _text("") + _number(1) + b"\0" + _number(2) + struct.pack("<i", -1) + bytes(3)
        await self.stream.send(_number(_QUERY) + _text("") + who + client + no_settings + asked + nothing)
        found: list[str] = []
        while (kind := await self._number()) != _END:
            if kind == _EXCEPTION:
                return await self._exception()
            if kind in (_SERVER_DATA, _TOTALS, _EXTREMES):
                found += await self._block()
            elif kind == _PROGRESS:
                for _ in range(3):
                    await self._number()
            elif kind == _PROFILE:
                for size in (0, 0, 0, 1, 0, 1):
                    await (self.reader.exactly(size) if size else self._number())
            elif kind != _PONG:
                raise self._malformed()
        return found

    async def _block(self) -> list[str]:
        """The first column of a block; all columns are bytes or strings."""
        await self._text()  # the name of an external table
        while (field := await self._number()) != 0:
            await self.reader.exactly(1 if field == 1 else 4)
        columns, rows = await self._number(), await self._number()
        if columns > 16 or rows > _MOST_ROWS:
            raise self._malformed()
        first: list[str] = []
        for column in range(columns):
            await self._text()  # its name
            kind = await self._text()
            if kind not in ("UInt8", "String"):
                raise self._malformed()
            values = [
                await self._text() if kind == "String" else str((await self.reader.exactly(1))[0]) for _ in range(rows)
            ]
            first = values if column == 0 else first
        return first

    async def _exception(self) -> Refusal:
        (code,) = struct.unpack("<i", await self.reader.exactly(4))
        await self._text()
        text = await self._text()
        await self._text()
        return Refusal(code, text)

    async def _number(self) -> int:
        """A number of variable length (LEB128)."""
        found = 0
        for position in range(10):
            (byte,) = await self.reader.exactly(1)
            found |= (byte & 0x7F) << 7 * position
            if byte < 0x80:
                return found
        raise self._malformed()

    async def _text(self) -> str:
        size = await self._number()
        if size > _LONGEST:
            raise self._malformed()
        return (await self.reader.exactly(size)).decode("utf-8", "replace")

    def _malformed(self) -> StreamBroken:
        return StreamBroken("error", received=self.stream.received, error="PROTOCOL")


def _number(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def _text(value: str) -> bytes:
    data = value.encode()
    return _number(len(data)) + data
