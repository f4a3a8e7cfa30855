"""ZooKeeper's records and HBase's znodes, beyond what the lab's server says."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.connection import read_entry
from registry.errors import InvalidInputs
from registry.types import get
from tasks import causes
from tasks.check import check
from tasks.protocols.hbase.wire import server_name
from tasks.vantages.local import LocalVantage
from tests.tasks.scripted import Conversation, Peer, converse
from tests.tasks.support import listening
from tests.tasks.wired import target_of


def record(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


SESSION = record(struct.pack("!iiq", 0, 10000, 77) + record(bytes(16)) + b"\0")
NAMES = struct.pack("!i", 1) + record(b"master")
SERVER = b"PBUF\x0a\x10\x0a\x0b" + b"rs1.example" + b"\x10\xc4\x7d"


def reply(number: int, error: int = 0, body: bytes = b"") -> bytes:
    return record(struct.pack("!iqi", number, 5, error) + body)


async def talk(*words: bytes, others: tuple[Peer, ...] = (), **changes: Any) -> Conversation:
    entry = {"hbase_config": {"hbase.zookeeper.quorum": "192.0.2.2"}, **changes}
    return await converse("hbase", entry, {"password": "canary"}, Peer(*words), *others)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([SESSION, reply(1, 0, NAMES), reply(2, 0, record(SERVER))], "DRIVER.MISSING"),
        ([SESSION, reply(1, -102), reply(2, 0, NAMES)], "TARGET.NO_CONNECT"),
        ([SESSION, reply(1, -101), reply(2, 0, NAMES)], "TARGET.MISSING"),
        ([SESSION, reply(1, -115)], "AUTH.METHOD_UNSUPPORTED"),
        ([SESSION, reply(1, -5)], "SERVER.ERROR"),
        ([SESSION, reply(1, 0, NAMES), reply(2, -101), reply(3, -101)], "SERVER.NOT_READY"),
        ([SESSION, reply(1, 0, NAMES), reply(2, 0, record(b"not HBase"))], "PROTO.MISMATCH"),
        ([record(struct.pack("!iiq", 0, 0, 0) + record(bytes(16)) + b"\0")], "SERVER.NOT_READY"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "PROTO.MISMATCH"),
        ([], "PEER.RESET_EARLY"),
    ],
)
async def test_what_servers_answer(words: list[bytes], code: str) -> None:
    went = await talk(*words, others=(Peer(),))
    assert went.cause == code, went


async def _without_quorum(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if await reader.read(4096) == b"srvr":
        writer.write(b"This ZooKeeper instance is not currently serving requests\n")


async def test_a_server_without_a_quorum_hangs_up_and_says_so_when_asked() -> None:
    async with listening(_without_quorum) as port:
        target = target_of("hbase", {"hbase_config": {"hbase.zookeeper.quorum": f"127.0.0.1:{port}"}})
        found = await check(target, LocalVantage(), timeout=3)
    assert found.cause == "SERVER.NOT_READY", found


async def test_the_login_comes_after_what_needs_none() -> None:
    words = [SESSION, reply(1, 0, NAMES), reply(2, 0, record(SERVER))]
    went = await talk(
        *words, others=(Peer(),), security_protocol="authTypeClientPassword", username="app", password="env:X"
    )  # fmt: skip
    assert went.cause == "DRIVER.MISSING"
    assert went.steps.failed() is went.steps.named("login")
    assert went.seen("target")["first_server"] == "rs1.example:16068"


@given(st.binary(max_size=64))
def test_no_znode_breaks_the_reader(data: bytes) -> None:
    for prefix in (b"", b"PBUF", b"\xff\x00\x00\x00\x00PBUF"):
        with contextlib.suppress(ValueError, LookupError, struct.error):
            host, port = server_name(prefix + data)
            assert host
            assert 0 < port < 65536


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=3))
async def test_whatever_a_peer_says_ends_in_a_cause_of_the_catalogue(words: list[bytes]) -> None:
    went = await talk(SESSION, *words)
    assert went.cause in causes.catalogue()


@pytest.mark.parametrize("config", ["{", {"hbase.rootdir": "/x"}, {"hbase.zookeeper.quorum": "zk1:99999"}])
def test_a_configuration_without_a_quorum_is_refused(config: Any) -> None:
    with pytest.raises(InvalidInputs):
        read_entry(get("hbase"), {"hbase_config": config})
