"""Vertica: what it has of its own on PostgreSQL's protocol."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import pytest

from registry.verdict import Verdict
from tests.tasks.fake_vertica import SALT, USER_SALT, FakeVertica, error, request, rows
from tests.tasks.support import PASSWORD
from tests.tasks.wired import verdict_over

ENTRY = {"database": "shop", "username": "app", "properties": {"TLSmode": "disable"}}


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
