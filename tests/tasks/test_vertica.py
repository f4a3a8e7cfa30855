"""Vertica: what it has of its own on PostgreSQL's protocol."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from dataclasses import dataclass, field
from typing import Any

import pytest

from registry.verdict import Verdict
from tests.tasks.support import PASSWORD
from tests.tasks.wired import verdict_over

ENTRY = {"database": "shop", "username": "app", "properties": {"TLSmode": "disable"}}
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


async def verdict(server: FakeVertica, **entry: Any) -> Verdict:
    return await verdict_over(server, "vertica", {**ENTRY, **entry})


async def test_a_login_by_digest_and_a_readable_table() -> None:
    server = FakeVertica()
    found = await verdict(server)
    assert found.cause is None, found.message
    once = hashlib.sha512(PASSWORD.encode() + USER_SALT).hexdigest()
    assert server.heard[1] == b"sha512" + hashlib.sha512(once.encode() + SALT).hexdigest().encode() + b"\0"
    assert server.heard[0][:4] == struct.pack("!HH", 3, 5)


async def test_the_older_digest() -> None:
    server = FakeVertica(asks=request(65536 + 5, SALT))
    assert (await verdict(server)).cause is None
    once = hashlib.md5(f"{PASSWORD}app".encode()).hexdigest()
    assert server.heard[1] == b"md5" + hashlib.md5(once.encode() + SALT).hexdigest().encode() + b"\0"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"asks": error("28000")}, "AUTH.BAD_CREDENTIALS"),
        ({"after": error("28000")}, "AUTH.BAD_CREDENTIALS"),
        ({"after": request(9)}, "AUTH.EXPIRED_OR_LOCKED"),
        ({"asks": request(12)}, "AUTH.METHOD_UNSUPPORTED"),
        ({"after": error("57V03")}, "SERVER.NOT_READY"),
        ({"asks": error("53300")}, "CAPACITY.CONNECTIONS"),
        ({"after": request(0) + error("3D000")}, "TARGET.MISSING"),
        ({"after": error("XX000")}, "SERVER.ERROR"),
        ({"asks": b"HTTP/1.1 400 Bad Request\r\n\r\n"}, "PROTO.MISMATCH"),
    ],
)
async def test_a_refusal(changes: dict[str, Any], cause: str) -> None:
    found = await verdict(FakeVertica(**changes))
    assert found.cause == cause, found.message
    assert PASSWORD not in found.model_dump_json()


@pytest.mark.parametrize(
    ("statements", "objects", "cause"),
    [
        ({"LIMIT 1": error("42501")}, ("sales.orders",), "PRIV.OBJECT_DENIED"),
        ({"LIMIT 1": error("42V01")}, ("sales.orders",), "TARGET.OBJECT_MISSING"),
        ({"v_catalog.tables": rows(("sales", "orders")), "LIMIT 1": error("42501")}, (), "PRIV.OBJECT_DENIED"),
        ({}, (), "PRIV.OBJECT_DENIED"),
        ({"is_super_user": rows(("t",))}, (), None),
    ],
)
async def test_what_may_be_read(statements: dict[str, bytes], objects: tuple[str, ...], cause: str | None) -> None:
    found = await verdict(FakeVertica(statements=statements), objects=objects)
    assert found.cause == cause, found.message
