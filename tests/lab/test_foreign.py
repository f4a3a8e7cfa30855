"""Every type of the catalogue aimed at real servers of other protocols: each is named, and gets no password."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tasks.check import check
from tasks.protocols import load
from tasks.target import Target
from tests.lab.stores import Memcached
from tests.tasks.foreign import Aimed, examples, misses

SERVERS = {
    "Memcached": lambda lab: lab.server(Memcached),
    "Redis": lambda lab: lab.redis(),
    "PostgreSQL": lambda lab: lab.postgresql(),
    "MySQL": lambda lab: lab.mariadb(),
    "SSH": lambda lab: lab.sftp(lines=("MaxStartups 500",)),
    "FTP": lambda lab: lab.ftp(),
    "HTTP": lambda lab: lab.http(),
}
_AT_ONCE = 12


async def _missed(spoken: str, host: str, port: int) -> list[str]:
    """The types that do not say what the server speaks."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def missed(target: Target) -> str:
        protocol = load(target.protocol)
        if spoken in (protocol.title, protocol.fingerprint):
            return ""
        async with gate:
            return misses(await check(target, Aimed(host, port), timeout=4), spoken)

    return [told for told in await asyncio.gather(*map(missed, examples().values())) if told]


@pytest.mark.parametrize("spoken", SERVERS)
def test_every_type_names_a_server_of_another_protocol(lab: Any, spoken: str) -> None:
    server = SERVERS[spoken](lab)
    with lab.inside("client"):
        assert asyncio.run(_missed(spoken, server.v4, server.port)) == []
