"""A Vertica that answers the startup message, a password and statements as its documents say."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field

SALT, USER_SALT = b"\x01\x02\x03\x04", bytes(range(16))


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def request(code: int, body: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!I", code) + body)


def error(state: str, code: str = "3781") -> bytes:
    fields = {"S": "FATAL", "C": state, "V": code, "M": "irgendetwas", "R": "auth", "L": "1"}
    return message(b"E", b"".join(f"{key}{value}".encode() + b"\0" for key, value in fields.items()) + b"\0")


def rows(*values: tuple[str, ...]) -> bytes:
    found = b""
    for row in values:
        cells = b"".join(struct.pack("!I", len(cell)) + cell.encode() for cell in row)
        found += message(b"D", struct.pack("!H", len(row)) + cells)
    return found


READY = message(b"S", b"server_version\0v24.1.0\0") + message(b"Z", b"I")
ASKS_SHA512 = request(65536 + 512, SALT + struct.pack("!I", 16) + USER_SALT)


@dataclass
class FakeVertica:
    """Answers the startup message, a password, and statements by what stands in them."""

    asks: bytes = ASKS_SHA512
    after: bytes = request(0) + READY
    statements: dict[str, bytes] = field(
        default_factory=lambda: {"v_catalog.tables": rows(("sales", "orders")), "LIMIT 1": rows(("1",))}
    )
    heard: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(4))
        self.heard.append(await reader.readexactly(length - 4))
        writer.write(self.asks)
        while True:
            kind = await reader.readexactly(1)
            body = await reader.readexactly(int.from_bytes(await reader.readexactly(4)) - 4)
            self.heard.append(body)
            if kind == b"p":
                writer.write(self.after)
            elif kind == b"Q":
                answer = next((one for words, one in self.statements.items() if words.encode() in body), b"")
                writer.write(answer + message(b"Z", b"I"))
            await writer.drain()
