"""Memcached's protocols: answers as its documentation has them, and peers that are none."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import causes
from tasks.check import check
from tasks.vantages.local import LocalVantage
from tests.tasks.scripted import Conversation, Peer, converse
from tests.tasks.support import listening
from tests.tasks.wired import target_of

PASSWORD = "canary-passw0rd"
VERSION, NO_STATS, END = b"VERSION 1.6.18\r\n", b"END\r\n", b"END\r\n"


def binary(status: int, value: bytes = b"", opcode: int = 0) -> bytes:
    return struct.pack("!BBHBBHIIQ", 0x81, opcode, 0, 0, 0, status, len(value), 0, 0) + value


async def talk(*words: bytes, others: tuple[Peer, ...] = (), **changes: Any) -> Conversation:
    entry = {"proxy": "192.0.2.2", "port": 11211, **changes}
    return await converse(
        "memcache", entry, {"password": PASSWORD} if "password" in changes else {}, Peer(*words), *others
    )


@pytest.mark.parametrize(
    ("words", "changes", "code"),
    [
        ([VERSION, NO_STATS, END], {}, None),
        ([VERSION, NO_STATS, b"VALUE orders 0 5\r\nfirst\r\nEND\r\n"], {"objects": ["orders"]}, None),
        ([VERSION, NO_STATS, END], {"objects": ["orders"]}, "TARGET.OBJECT_MISSING"),
        ([VERSION, NO_STATS, b"SERVER_ERROR proxy\r\n"], {"objects": ["orders"]}, "PRIV.OBJECT_DENIED"),
        ([VERSION, NO_STATS, VERSION], {}, "SERVER.ERROR"),
        ([VERSION, NO_STATS], {"objects": ["two words"]}, "CONFIG.BAD_VALUE"),
        ([b"CLIENT_ERROR unauthenticated\r\n"], {}, "AUTH.BAD_CREDENTIALS"),
        ([b"-ERR unknown command\r\n"], {}, "PROTO.MISMATCH"),
        ([b"Welcome to nothing\r\n"], {}, "PROTO.MISMATCH"),
        ([], {}, "PEER.RESET_EARLY"),
    ],
)
async def test_what_servers_answer(words: list[bytes], changes: dict[str, Any], code: str | None) -> None:
    went = await talk(*words, **changes)
    assert went.cause == code, went


async def _full(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"ERROR Too many open connections\r\n")
    await reader.read()


async def test_a_full_server_turns_everybody_away_unasked() -> None:
    async with listening(_full) as port:
        kind = target_of("memcache", {"proxy": "127.0.0.1", "port": port})
        found = await check(kind, LocalVantage(), timeout=3)
    assert found.cause == "CAPACITY.CONNECTIONS", found


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([binary(0, b"1.6.18"), binary(0, b"SCRAM-SHA-1 PLAIN"), binary(0), binary(0, opcode=16), binary(1)], None),
        ([binary(0, b"1.6.18"), binary(0, b"PLAIN"), binary(0x20)], "AUTH.BAD_CREDENTIALS"),
        ([binary(0, b"1.6.18"), binary(0, b"SCRAM-SHA-1")], "AUTH.METHOD_UNSUPPORTED"),
    ],
)
async def test_a_server_that_hangs_up_on_text_is_asked_in_binary(answers: list[bytes], code: str | None) -> None:
    peer = Peer(*answers)
    went = await talk(others=(peer,), username="app", password="env:X")
    assert went.cause == code, went
    assert (f"\0app\0{PASSWORD}".encode() in peer.heard) == (code != "AUTH.METHOD_UNSUPPORTED")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=3))
async def test_whatever_a_peer_says_ends_in_a_cause_of_the_catalogue(words: list[bytes]) -> None:
    went = await talk(*words)
    assert went.steps.failed() is None or went.cause in causes.catalogue()
