"""A listener that answers CONNECT as told, and a database behind it that refuses every login as told.

What it says up to the login is what python-oracledb's thin mode reads: packets as Oracle Net has them, the messages
"protocol", "data types" and "error" of a server of version 12.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field

ACCEPT_BODY = (
    struct.pack(">HHHHHHHBB", 318, 0, 8192, 0xFFFF, 0x0100, 0, 32, 0, 0) + bytes(8) + struct.pack(">I", 8192) + bytes(9)
)


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHBBH", 8 + len(body), 0, kind, flags, 0) + body


ACCEPT = packet(2, ACCEPT_BODY)
RESEND = packet(11, b"")
RESEND_WITH_TLS = packet(11, b"", flags=8)


def refuse(number: int) -> bytes:
    """As a listener of version 19 says it."""
    text = f"(DESCRIPTION=(TMP=)(VSNNUM=318767104)(ERR={number})(ERROR_STACK=(ERROR=(CODE={number})(EMFI=4))))"
    return packet(4, struct.pack(">BBH", 0x22, 0, len(text)) + text.encode())


def redirect(host: str, port: int) -> bytes:
    where = f"(ADDRESS=(PROTOCOL=tcp)(HOST={host})(PORT={port}))"
    text = (where + "\0" + "(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=orders)(INSTANCE_NAME=o1)))").encode()
    return packet(5, struct.pack(">H", len(text)) + text)


def _number(value: int) -> bytes:
    data = value.to_bytes((value.bit_length() + 7) // 8)
    return bytes([len(data)]) + data


def _message(data: bytes) -> bytes:
    """A DATA packet, whose length takes four bytes after ACCEPT."""
    return struct.pack(">IBBH", 10 + len(data), 6, 0, 0) + b"\0\0" + data


def _protocol() -> bytes:
    compile_caps, runtime_caps = bytearray(45), bytearray(7)
    compile_caps[7] = 7
    body = b"\x01\x06\x00Oracle 12\x00" + struct.pack("<HBH", 873, 1, 0) + struct.pack(">H", 11) + bytes(9)
    body += b"\x07\xd0"  # the national character set
    return body + bytes([len(compile_caps)]) + compile_caps + bytes([len(runtime_caps)]) + runtime_caps


def _error(number: int, words: str) -> bytes:
    # Status, sequence, positions, cursor and row of a call that had none: 28 numbers, each an empty one.
    body = b"\x04" + bytes(28) + _number(number) + _number(0)
    text = f"ORA-{number:05d}: {words}".encode()
    return body + bytes([len(text)]) + text


@dataclass
class FakeOracle:
    """What the listener says to each CONNECT in turn (the last answer for all others), and how a login ends."""

    answers: tuple[bytes, ...] = (ACCEPT,)
    login_error: int = 1017
    words: str = "irgendetwas"
    heard: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in (*self.answers, *[self.answers[-1]] * 3):
            head = await reader.readexactly(8)
            asked = await reader.readexactly(int.from_bytes(head[:2]) - 8)
            if int.from_bytes(asked[16:18]) > len(asked) - 66:  # the description follows in a packet of its own
                head = await reader.readexactly(8)
                asked += await reader.readexactly(int.from_bytes(head[:2]) - 8)
            self.heard.append(asked)
            writer.write(answer)
            await writer.drain()
            if answer == ACCEPT:
                await self._database(reader, writer)
            if answer[4] != 11:
                return

    async def _database(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readexactly(8)
            body = await reader.readexactly(int.from_bytes(head[:4]) - 8)
            self.heard.append(body)
            reply = {1: _protocol(), 2: b"\x02\x00\x00"}.get(body[2]) or _error(self.login_error, self.words)
            writer.write(_message(reply))
            await writer.drain()
