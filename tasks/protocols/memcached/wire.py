"""Memcached's two protocols, as far as a reader needs them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

from tasks.streams import Reader, Stream, StreamBroken

_REQUEST, _RESPONSE = 0x80, 0x81
_GET, _VERSION, _STAT, _LIST_MECHANISMS, _AUTHENTICATE = 0x00, 0x0B, 0x10, 0x20, 0x21
_HEADER = struct.Struct("!BBHBBHIIQ")
_LONGEST = 1 << 26
_MOST_STATISTICS = 1000

#: What an error begins with in the text protocol.
ERRORS = frozenset({"ERROR", "CLIENT_ERROR", "SERVER_ERROR"})
#: Statuses of the binary protocol.
OK, MISSING, AUTHENTICATION_FAILED, UNKNOWN_COMMAND = 0x00, 0x01, 0x20, 0x81


@dataclass(frozen=True)
class Answer:
    """One answer. `status` is that of the binary protocol; `word` the first of the text protocol."""

    status: int
    word: str
    value: bytes = b""


class Wire(Protocol):
    """What both protocols can ask."""

    reader: Reader

    async def version(self) -> Answer:
        """Which version the server has."""
        ...

    async def get(self, key: str) -> Answer:
        """Whether a key is there; its value is read past."""
        ...

    async def statistics(self) -> dict[str, str]:
        """General statistics; empty where they are refused."""
        ...


class TextWire:
    """The text protocol."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.reader = Reader(stream)

    async def version(self) -> Answer:
        return await self._line(b"version\r\n")

    async def log_in(self, username: str, password: str) -> Answer:
        """The login of a server with an authentication file: a `set` whose value is both."""
        data = f"{username} {password}".encode()
        return await self._line(b"set headwater 0 0 %d\r\n%b\r\n" % (len(data), data))

    async def get(self, key: str) -> Answer:
        answer = await self._line(b"get %b\r\n" % key.encode())
        if answer.word == "END":
            return Answer(MISSING, "END")
        if answer.word == "VALUE":
            size = int(answer.value.split()[2])
            if not 0 <= size <= _LONGEST:
                raise StreamBroken("error", received=self.stream.received, error="PROTOCOL")
            await self.reader.exactly(size + 2)
            await self.reader.until(b"END\r\n")
            return Answer(OK, "VALUE")
        if answer.word not in ERRORS:
            raise StreamBroken("error", received=self.stream.received, error="PROTOCOL")
        return answer

    async def statistics(self) -> dict[str, str]:
        await self.stream.send(b"stats\r\n")
        found: dict[str, str] = {}
        for _ in range(_MOST_STATISTICS):
            words = (await self.reader.until(b"\r\n")).decode("ascii", "replace").split()
            if words[:1] != ["STAT"] or len(words) < 3:
                break
            found[words[1]] = words[2]
        return found

    async def _line(self, command: bytes) -> Answer:
        await self.stream.send(command)
        line = (await self.reader.until(b"\r\n")).rstrip()
        word, _, rest = line.partition(b" ")
        return Answer(OK, word.decode("ascii", "replace"), rest)


class BinaryWire:
    """The binary protocol."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.reader = Reader(stream)

    async def version(self) -> Answer:
        return await self._ask(_VERSION)

    async def mechanisms(self) -> Answer:
        """The SASL mechanisms that the server takes, separated by blanks."""
        return await self._ask(_LIST_MECHANISMS)

    async def log_in(self, username: str, password: str) -> Answer:
        """SASL PLAIN."""
        return await self._ask(_AUTHENTICATE, b"PLAIN", f"\0{username}\0{password}".encode())

    async def get(self, key: str) -> Answer:
        return await self._ask(_GET, key.encode())

    async def statistics(self) -> dict[str, str]:
        await self.stream.send(_request(_STAT))
        found: dict[str, str] = {}
        for _ in range(_MOST_STATISTICS):
            status, key, value = await self._answer()
            if status != OK or not key:
                break
            found[key.decode("ascii", "replace")] = value.decode("ascii", "replace")
        return found

    async def _ask(self, opcode: int, key: bytes = b"", value: bytes = b"") -> Answer:
        await self.stream.send(_request(opcode, key, value))
        status, _, found = await self._answer()
        return Answer(status, f"status 0x{status:02x}", found)

    async def _answer(self) -> tuple[int, bytes, bytes]:
        magic, _, key_size, extras, _, status, size, _, _ = _HEADER.unpack(await self.reader.exactly(_HEADER.size))
        if magic != _RESPONSE or size > _LONGEST or key_size + extras > size:
            raise StreamBroken("error", received=self.stream.received, error="PROTOCOL")
        body = await self.reader.exactly(size)
        return status, body[extras : extras + key_size], body[extras + key_size :]


def _request(opcode: int, key: bytes = b"", value: bytes = b"") -> bytes:
    return _HEADER.pack(_REQUEST, opcode, len(key), 0, 0, 0, len(key) + len(value), 0, 0) + key + value
