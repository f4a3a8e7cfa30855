"""A server that speaks as much TDS as a login and a question need; FreeTDS logs in to it as well.

Bytes as in [MS-TDS], sections 2.2.6.5 (PRELOGIN), 2.2.7.10 (ERROR), 2.2.7.14 (LOGINACK) and 4 (examples).
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

DONE = bytes([0xFD]) + struct.pack("<HHQ", 0, 0, 0)


def packet(payload: bytes, kind: int = 4) -> bytes:
    return struct.pack(">BBHHBB", kind, 1, len(payload) + 8, 0, 1, 0) + payload


def _token(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + struct.pack("<H", len(body)) + body


def _short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode("utf-16-le")


def error(number: int, words: str = "irgendetwas", state: int = 1) -> bytes:
    body = struct.pack("<IBB", number, state, 14) + struct.pack("<H", len(words)) + words.encode("utf-16-le")
    return _token(0xAA, body + _short("SQL") + _short("") + struct.pack("<I", 1))


def environment(kind: int, new: bytes, old: bytes = b"\0") -> bytes:
    return _token(0xE3, bytes([kind]) + new + old)


def routing(host: str, port: int) -> bytes:
    body = struct.pack("<BH", 0, port) + struct.pack("<H", len(host)) + host.encode("utf-16-le")
    return environment(20, struct.pack("<H", len(body)) + body, b"\0\0")


LOGGED_IN = (
    environment(4, _short("4096"), _short("4096"))
    + _token(0xAD, b"\x01" + bytes.fromhex("74000004") + _short("Microsoft SQL Server") + bytes([16, 0, 3, 232]))
)  # fmt: skip


def rows(*values: int | str | None) -> bytes:
    """One row, with a column for each value."""
    columns, row = struct.pack("<BH", 0x81, len(values)), b"\xd1"
    for value in values:
        if isinstance(value, int):
            columns += struct.pack("<IHBB", 0, 9, 0x26, 8) + b"\0"
            row += b"\x08" + struct.pack("<q", value)
        else:
            columns += struct.pack("<IHBH", 0, 9, 0xE7, 600) + bytes(5) + b"\0"
            text = (value or "").encode("utf-16-le")
            row += b"\xff\xff" if value is None else struct.pack("<H", len(text)) + text
    return columns + row


def refused(*numbers: int) -> bytes:
    return b"".join(error(number) for number in numbers)


@dataclass
class FakeSqlServer:
    """What it says of encryption, and how it answers a login (by database) and statements (by what stands in them)."""

    encryption: int = 2
    context: ssl.SSLContext | None = None
    login: bytes | Callable[[str], bytes] = LOGGED_IN
    answers: Mapping[str, bytes] = field(default_factory=dict)
    facts: bytes = rows("dbo.orders", 1, "READ_WRITE", "192.0.2.7", None)
    passwords: list[str] = field(default_factory=list)
    applications: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = _Channel(reader, writer)
        kind, request = await channel.message()
        asked = request[struct.unpack(">H", request[6:8])[0]]
        says = self.encryption if asked != 2 or self.encryption == 2 else 2
        says = 1 if asked == 1 and self.encryption in (0, 1) else says
        await channel.send(packet(prelogin(says)))
        if says != 2 and self.context is not None:
            await channel.handshake(self.context)
        kind, login = await channel.message()
        if says == 0:
            channel.in_clear()
        fields = login7(login)
        self.passwords.append(fields["password"])
        self.applications.append(fields["application"])
        answer = self.login if isinstance(self.login, bytes) else self.login(fields["database"])
        await channel.send(packet(answer + DONE))
        while kind:
            kind, request = await channel.message()
            sql = request[22:].decode("utf-16-le")
            self.heard.append(sql)
            found = next((reply for words, reply in self.answers.items() if words in sql), None)
            await channel.send(packet((found or (self.facts if "HAS_PERMS" in sql else rows(1))) + DONE))


def prelogin(encryption: int, version: bytes = bytes([16, 0, 3, 232, 0, 0])) -> bytes:
    """As SQL Server 2022 answers."""
    head = struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF)
    return head + version + bytes([encryption])


def login7(data: bytes) -> dict[str, str]:
    """Who logs in where, with what."""
    found = {}
    for name, at in (("host", 36), ("username", 40), ("password", 44), ("application", 48), ("database", 68)):
        offset, length = struct.unpack_from("<HH", data, at)
        text = data[offset : offset + 2 * length]
        if name == "password":
            text = bytes(((byte ^ 0xA5) >> 4 | (byte ^ 0xA5) << 4) & 0xFF for byte in text)
        found[name] = text.decode("utf-16-le")
    return found


class _Channel:
    """Messages to and from a client, in clear or inside TLS whose handshake travels in packets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def handshake(self, context: ssl.SSLContext) -> None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # TDS 7 knows no newer one
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush(packet)
                _, data = await self._plain_message()
                self._incoming.write(data)
        await self._flush(packet)
        self._tls = tls

    def in_clear(self) -> None:
        self._tls = None

    async def message(self) -> tuple[int, bytes]:
        if self._tls is None:
            return await self._plain_message()
        head = await self._decrypted(8)
        return head[0], await self._decrypted(int.from_bytes(head[2:4]) - 8)

    async def _plain_message(self) -> tuple[int, bytes]:
        head = await self._reader.readexactly(8)
        return head[0], await self._reader.readexactly(int.from_bytes(head[2:4]) - 8)

    async def _decrypted(self, count: int) -> bytes:
        assert self._tls is not None
        data = b""
        while len(data) < count:
            try:
                data += self._tls.read(count - len(data))
            except ssl.SSLWantReadError:
                received = await self._reader.read(65536)
                if not received:
                    raise asyncio.IncompleteReadError(data, count) from None
                self._incoming.write(received)
        return data

    async def send(self, data: bytes) -> None:
        if self._tls is None:
            self._writer.write(data)
            await self._writer.drain()
        else:
            self._tls.write(data)
            await self._flush(bytes)

    async def _flush(self, wrap: Callable[[bytes], bytes]) -> None:
        if self._outgoing.pending:
            self._writer.write(wrap(self._outgoing.read()))
            await self._writer.drain()
