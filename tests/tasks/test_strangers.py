"""Servers of other protocols behind every type of the catalogue: each is told as what it is, and gets no password."""

from __future__ import annotations

import asyncio

import pytest

from tasks.check import check
from tasks.protocols import load
from tasks.target import Target
from tests.tasks.foreign import STRANGERS, Aimed, examples, misses, stranger
from tests.tasks.support import listening

#: Enough for whoever answers at once, on a machine with other things to do.
TIMEOUT = 4
_AT_ONCE = 20


@pytest.mark.parametrize("spoken", STRANGERS)
async def test_every_type_names_a_stranger(spoken: str) -> None:
    gate, targets = asyncio.Semaphore(_AT_ONCE), examples()
    async with listening(stranger(spoken)) as port:

        async def missed(target: Target) -> str:
            protocol = load(target.protocol)
            if spoken in (protocol.title, protocol.fingerprint):
                return ""
            async with gate:
                verdict = await check(target, Aimed("127.0.0.1", port), timeout=TIMEOUT)
            return misses(verdict, spoken)

        found = await asyncio.gather(*(missed(target) for target in targets.values()))
    assert not list(filter(None, found))


@pytest.mark.parametrize("answer", [b"Zookeeper version: 3.4.13\n", b"srvr is not executed because it is not in the"])
@pytest.mark.parametrize("type_", ["rabbitmq", "kafka", "mysql"])
async def test_a_zookeeper_is_named_though_it_hangs_up(type_: str, answer: bytes) -> None:
    async def zookeeper(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(4) == b"srvr":
            writer.write(answer)
        writer.close()

    async with listening(zookeeper) as port:
        verdict = await check(examples()[type_], Aimed("127.0.0.1", port), timeout=TIMEOUT)
    assert (verdict.cause, "but ZooKeeper" in verdict.message) == ("PROTO.MISMATCH", True), verdict.message
