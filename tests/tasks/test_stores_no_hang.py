"""Stores, queues and Hadoop's servers: whatever a peer does, a check ends within its time and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from registry import types
from registry.connection import Mode
from registry.verdict import State, Verdict
from tasks.check import check
from tasks.target import Target
from tasks.vantages.local import LocalVantage
from tests.stopwatch import Stopwatch
from tests.tasks.support import Handler, listening

SECRET = "canary-5ecret"
TIMEOUT, GRACE = 0.8, 0.5
HOST = "127.0.0.1"

Entry = Callable[[int], Mapping[str, Any]]


def address(port: int) -> dict[str, Any]:
    return {"address": {"host": HOST, "port": port}}


ENTRIES: dict[str, Entry] = {
    "rabbitmq": lambda port: {**address(port), "username": "app", "password": "env:X"},
    "kafka": lambda port: {
        **address(port), "security_protocol": "authTypeSaslPlaintext", "sasl_mechanism": "plain",
        "sasl_username": "app", "sasl_password": "env:X",
    },
    "clickhouse": lambda port: {**address(port), "database": "shop", "username": "app", "password": "env:X"},
    "elasticsearch": lambda port: {"endpoint": f"http://{HOST}:{port}", "username": "app", "password": "env:X"},
    "memcache": lambda port: {"proxy": HOST, "port": port, "username": "app", "password": "env:X"},
    "s3": lambda port: {
        "endpoint": f"http://{HOST}:{port}", "bucket": "orders", "access_id": "AKIA", "access_key": "env:X"
    },
    "hive": lambda port: {**address(port), "login_mode": "LDAP", "username": "app", "password": "env:X"},
    "hbase": lambda port: {"hbase_config": {"hbase.zookeeper.quorum": f"{HOST}:{port}"}},
    "hdfs": lambda port: {"default_fs": f"hdfs://{HOST}:{port}"},
}  # fmt: skip


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


def endless(words: bytes, pace: float) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(words)
            await writer.drain()
            await asyncio.sleep(pace)

    return handler


HANDLERS: dict[str, Handler] = {
    "mute": mute,
    "drips zeros": endless(b"\0", 0.02),
    "drips a header": endless(b"HTTP/1.1 200 OK\r\nx-a: b\r\n", 0.02),
    "floods": endless(b"\x01\x00\x00\x00\x00\x00\xff" * 5000, 0),
    "floods lines": endless(b"VERSION 1\r\n" * 5000, 0),
}


async def judged(name: str, entry: Entry, handler: Handler) -> tuple[Verdict, Stopwatch]:
    kind = types.get(name)
    async with listening(handler) as port:
        connection = kind.modes[Mode.CONNECTION_STRING].model_validate(entry(port))
        target = Target(
            "w", "s", name, "prod", "local", kind.protocol, kind.default_port, connection,
            secrets=lambda: {field: SecretStr(SECRET) for field in connection.secret_references()},
        )  # fmt: skip
        with Stopwatch() as watch:
            verdict = await check(target, LocalVantage(), timeout=TIMEOUT)
        return verdict, watch


@pytest.mark.parametrize("how", HANDLERS)
async def test_every_check_ends_in_time(how: str) -> None:
    judgements = [await judged(name, entry, HANDLERS[how]) for name, entry in ENTRIES.items()]
    for name, (verdict, watch) in zip(ENTRIES, judgements, strict=True):
        watch.within(TIMEOUT + GRACE, name)
        assert verdict.state is not State.CONNECTABLE, name
        assert verdict.cause, name
        assert SECRET not in verdict.model_dump_json(), name
