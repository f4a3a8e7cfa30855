"""Peers that drip, flood, stall or go away at any point: every database type gives a verdict in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any

import oracledb  # noqa: F401 - loading it is not part of the checks that are timed here
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.verdict import State
from tests.stopwatch import Stopwatch
from tests.tasks.fake_db2 import FakeDb2
from tests.tasks.fake_mongodb import FakeMongoDb
from tests.tasks.fake_oracle import FakeOracle
from tests.tasks.fake_saphana import FakeHana
from tests.tasks.fake_sqlserver import FakeSqlServer
from tests.tasks.fake_vertica import FakeVertica
from tests.tasks.support import PASSWORD, Handler
from tests.tasks.wired import verdict_over

TIMEOUT = 0.8
ENTRIES: dict[str, dict[str, Any]] = {
    "sqlserver": {"database": "shop"},
    "oracle": {"service_name": "shop"},
    "mongodb": {"database": "shop"},
    "db2": {"database": "SHOP"},
    "saphana": {},
    "vertica": {"database": "shop"},
    "graph_database": {},
    "dm": {},
}
SERVERS: dict[str, Callable[[], Handler]] = {
    "sqlserver": FakeSqlServer, "oracle": FakeOracle, "mongodb": FakeMongoDb, "db2": FakeDb2, "saphana": FakeHana,
    "vertica": FakeVertica,
}  # fmt: skip


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"\0")
        await writer.drain()
        await asyncio.sleep(0.02)


async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"\x04" * 65536)
        await writer.drain()


def cut_after(count: int, make: Callable[[], Handler]) -> Handler:
    """A right server whose words stop after so many bytes, without a word of farewell."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await make()(reader, _Cut(writer, count))  # type: ignore[arg-type]

    return handler


class _Cut:
    def __init__(self, writer: asyncio.StreamWriter, left: int) -> None:
        self._writer, self._left = writer, left

    def write(self, data: bytes) -> None:
        self._writer.write(data[: self._left])
        self._left = max(0, self._left - len(data))

    async def drain(self) -> None:
        await self._writer.drain()
        if not self._left:
            await asyncio.sleep(9)


@pytest.mark.parametrize("type_name", ENTRIES)
@pytest.mark.parametrize("peer", [drips, floods])
async def test_no_peer_keeps_a_check_waiting(type_name: str, peer: Handler) -> None:
    with Stopwatch() as watch:
        found = await verdict_over(peer, type_name, {"username": "app", **ENTRIES[type_name]}, timeout=TIMEOUT)
    assert found.state is not State.CONNECTABLE
    watch.within(TIMEOUT + 0.5)
    assert PASSWORD not in found.model_dump_json()


@cache
def _modules_are_loaded(type_name: str) -> None:
    """Let a first check pay for the protocol's modules: that is a program's start, and no wait for a peer."""
    entry = {"username": "app", **ENTRIES[type_name]}
    asyncio.run(verdict_over(cut_after(0, SERVERS[type_name]), type_name, entry, timeout=0.4))


@pytest.mark.parametrize("type_name", SERVERS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 400))
def test_a_server_that_stalls_anywhere(type_name: str, count: int) -> None:
    _modules_are_loaded(type_name)
    entry = {"username": "app", **ENTRIES[type_name]}
    handler = cut_after(count, SERVERS[type_name])
    with Stopwatch() as watch:
        found = asyncio.run(verdict_over(handler, type_name, entry, timeout=0.4))
    watch.within(0.4 + 0.5)
    assert found.state is not State.CONNECTABLE or count > 200
