"""A server that speaks as much of HANA's protocol as a login and a question need.

Layouts as in the protocol's reference: message and segment headers, parts, authentication fields.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import struct
from dataclasses import dataclass, field

from tests.tasks.support import PASSWORD

SALT, CHALLENGE, ROUNDS = bytes(range(16)), bytes(range(48)), 1000


def fields(*values: bytes) -> bytes:
    return struct.pack("<H", len(values)) + b"".join(bytes([len(value)]) + value for value in values)


def unpacked(data: bytes) -> list[bytes]:
    found, position = [], 2
    for _ in range(int.from_bytes(data[:2], "little")):
        size = data[position]
        found.append(data[position + 1 : position + 1 + size])
        position += 1 + size
    return found


def part(kind: int, data: bytes, count: int = 1) -> bytes:
    return struct.pack("<bbhiii", kind, 0, count, 0, len(data), 1 << 16) + data + bytes(-len(data) % 8)


def reply(*parts: bytes, kind: int = 2) -> bytes:
    body = b"".join(parts)
    segment = struct.pack("<iihhbxh8x", 24 + len(body), 0, len(parts), 1, kind, 0) + body
    return struct.pack("<qiIIh10x", 4711, 0, len(segment), 1 << 16, 1) + segment


def error(number: int, words: str = "irgendetwas") -> bytes:
    text = words.encode()
    return reply(part(6, struct.pack("<iiib", number, 0, len(text), 1) + b"HY000" + text), kind=5)


def rows(count: int) -> bytes:
    return reply(part(5, b"\x01\x01\0\0\0" * count, count))


@dataclass
class FakeHana:
    """Which method it takes, how it answers the proof, and statements by what stands in them."""

    method: bytes = b"SCRAMPBKDF2SHA256"
    password: str = PASSWORD
    refusal: int = 10
    statements: dict[str, bytes] = field(default_factory=dict)
    heard: list[bytes] = field(default_factory=list)
    proved: bool | None = None

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(await reader.readexactly(14))
        writer.write(bytes.fromhex("02 0000 04 0100 0000"))
        challenge = b""
        while True:
            head = await reader.readexactly(32)
            body = await reader.readexactly(int.from_bytes(head[12:16], "little"))
            self.heard.append(body)
            kind = body[13]
            data = self._data(body)
            if kind == 65:
                values = unpacked(data)
                offered = dict(zip(values[1::2], values[2::2], strict=True))
                challenge = offered.get(self.method, b"")
                answer = fields(SALT, CHALLENGE, *([struct.pack(">I", ROUNDS)] if b"PBKDF2" in self.method else []))
                writer.write(reply(part(33, fields(self.method, answer))))
            elif kind == 66:
                self.proved = unpacked(data)[2] == b"\0\x01\x20" + self._proof(challenge)
                writer.write(reply(part(33, fields(self.method, b""))) if self.proved else error(self.refusal))
            elif kind == 77:
                return
            else:
                sql = data.decode()
                writer.write(next((one for words, one in self.statements.items() if words in sql), rows(1)))
            await writer.drain()

    def _data(self, body: bytes) -> bytes:
        """The authentication or command among the parts; SAP's own client sends others before it."""
        position = 24
        while position < len(body):
            length = int.from_bytes(body[position + 8 : position + 12], "little")
            if body[position] in (33, 3):
                return body[position + 16 : position + 16 + length]
            position += 16 + length + -length % 8
        return b""

    def _proof(self, challenge: bytes) -> bytes:
        if b"PBKDF2" in self.method:
            salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), SALT, ROUNDS)
        else:
            salted = hmac.digest(self.password.encode(), SALT, "sha256")
        key = hashlib.sha256(salted).digest()
        signature = hmac.digest(hashlib.sha256(key).digest(), SALT + CHALLENGE + challenge, "sha256")
        return bytes(one ^ two for one, two in zip(key, signature, strict=True))
