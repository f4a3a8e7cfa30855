"""HiveServer2: exchanges recorded from Spark 3.5's Thrift server, and what else Hive's documentation has."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.connection import read_entry
from registry.errors import InvalidInputs
from registry.types import get
from tasks import causes
from tests.tasks.scripted import Conversation, Peer, converse
from tests.tasks.support import Handler
from tests.tasks.wired import verdict_over

PASSWORD = "canary-passw0rd"

#: The refusal of a mechanism that no server has.
GREETING = [
    bytes.fromhex("0300000024556e737570706f72746564206d656368616e69736d207479706520484541445741544552"),
]
#: COMPLETE, OpenSession, USE, SHOW TABLES and its rows, SELECT and its row.
ANY_TABLE = [
    bytes.fromhex("0500000000"),
    bytes.fromhex(
        "0000006d800100020000000b4f70656e53657373696f6e000000010c00000c00010800010000000000080002000000050c00"
        "030c00010b000100000010479238ef0ca3444ca819996e1881a93a0b00020000001007a48551323e492ab1463f83d0585728"
        "00000d00040b0b000000000000"
    ),
    bytes.fromhex(
        "0000006d80010002000000104578656375746553746174656d656e74000000010c00000c000108000100000000000c00020c"
        "00010b00010000001086600a7d006049a8a34af83f3a6454f90b000200000010cb6ae2ae4a5f4cffb406e553cc02e39b0008"
        "00020000000002000301000000"
    ),
    bytes.fromhex(
        "0000006d80010002000000104578656375746553746174656d656e74000000010c00000c000108000100000000000c00020c"
        "00010b0001000000106b3c82b1d2404893b92ff3e529224f310b00020000001068f7c6e7364d408a8b768af2cb843b560008"
        "00020000000002000301000000"
    ),
    bytes.fromhex(
        "0000009a800100020000000c4665746368526573756c7473000000010c00000c00010800010000000000020002000c00030a"
        "000100000000000000000f00020c000000000f00030c000000030c00070f00010b000000010000000473686f700b00020000"
        "000000000c00070f00010b00000001000000066f72646572730b00020000000000000c00010f00010200000001000b000200"
        "0000000000000000"
    ),
    bytes.fromhex(
        "0000006d80010002000000104578656375746553746174656d656e74000000010c00000c000108000100000000000c00020c"
        "00010b0001000000104f308b1e900d48879b97d009d91343120b0002000000104b3fa27f66604f5ba73b6e3157dfd01e0008"
        "00020000000002000301000000"
    ),
    bytes.fromhex(
        "00000080800100020000000c4665746368526573756c7473000000010c00000c00010800010000000000020002000c00030a"
        "000100000000000000000f00020c000000000f00030c000000020c00040f00010800000001000000010b0002000000000000"
        "0c00070f00010b000000010000000566697273740b0002000000000000000000"
    ),
]
#: A login that an LDAP server refuses.
REFUSED = [
    bytes.fromhex("030000001a4572726f722076616c69646174696e6720746865206c6f67696e"),
]
#: A server with hive.server2.authentication=NOSASL: OpenSession, USE, SHOW TABLES and its rows (none).
BARE = [
    bytes.fromhex(
        "800100020000000b4f70656e53657373696f6e000000010c00000c00010800010000000000080002000000050c00030c0001"
        "0b000100000010d7b4b67bc74c4ba0ad6a7ac7eb26d07b0b000200000010589dad2dd8e340779d43522f2e3c480100000d00"
        "040b0b000000000000"
    ),
    bytes.fromhex(
        "80010002000000104578656375746553746174656d656e74000000010c00000c000108000100000000000c00020c00010b00"
        "0100000010eaef8b41253746d592bfa022df4369510b000200000010ef8c9544e80d4e2d83f022ad0bc8b9ac000800020000"
        "000002000301000000"
    ),
    bytes.fromhex(
        "80010002000000104578656375746553746174656d656e74000000010c00000c000108000100000000000c00020c00010b00"
        "010000001084b6ef8f696b4a018ab1e0fc4de8f6560b0002000000105f79609e71a14ff49a9f1c580fe0803c000800020000"
        "000002000301000000"
    ),
    bytes.fromhex(
        "800100020000000c4665746368526573756c7473000000010c00000c00010800010000000000020002000c00030a00010000"
        "0000000000000f00020c000000000f00030c000000030c00070f00010b000000000b00020000000000000c00070f00010b00"
        "0000000b00020000000000000c00010f000102000000000b0002000000000000000000"
    ),
]


def entry(**changes: Any) -> dict[str, Any]:
    return {"address": {"host": "192.0.2.2", "port": 10000}, "database": "shop", **changes}


async def talk(*connections: list[bytes], **changes: Any) -> tuple[Conversation, list[Peer]]:
    peers = [Peer(*words, pace=64) for words in connections]
    secrets = {"password": PASSWORD} if "password" in changes else {}
    return await converse("hive", entry(**changes), secrets, peers[0], *peers[1:]), peers


def error(name: str, sql_state: str, number: int) -> bytes:
    """An answer with status ERROR, as short as one can be."""
    status = b"\x08\x00\x01" + struct.pack("!i", 3)
    status += b"\x0b\x00\x03" + struct.pack("!i", len(sql_state)) + sql_state.encode()
    status += b"\x08\x00\x04" + struct.pack("!i", number) + b"\x00"
    words = name.encode()
    message = struct.pack("!Ii", 0x80010002, len(words)) + words + struct.pack("!i", 1)
    message += b"\x0c\x00\x00" + b"\x0c\x00\x01" + status + b"\x00" + b"\x00"
    return struct.pack("!I", len(message)) + message


OPENED, USED, LISTED, ROWS, READ, ROW = ANY_TABLE[0] + ANY_TABLE[1], *ANY_TABLE[2:]
LOGIN = {"login_mode": "LDAP", "username": "app", "password": "env:X"}


async def test_a_table_that_the_server_lists_is_read() -> None:
    went, _ = await talk(GREETING, ANY_TABLE)
    assert went.cause is None, went
    assert went.seen("privilege")["read"] == "orders"


async def test_a_bound_table_is_read() -> None:
    went, peers = await talk(GREETING, [OPENED, USED, READ, ROW], objects=["orders"])
    assert went.cause is None, went
    assert b"SELECT * FROM `orders` LIMIT 1" in peers[1].heard


async def test_a_server_without_sasl() -> None:
    went, _ = await talk([], BARE, properties={"auth": "noSasl"})
    assert went.cause is None, went
    assert went.steps.stages[-1].status == "warned"


async def test_no_password_before_the_server_has_said_what_it_is() -> None:
    went, peers = await talk([b"HTTP/1.1 400 Bad Request\r\n\r\n"], **LOGIN)
    assert went.cause == "PROTO.MISMATCH"
    assert PASSWORD.encode() not in peers[0].heard
    went, peers = await talk(GREETING, REFUSED, **LOGIN)
    assert went.cause == "AUTH.BAD_CREDENTIALS"
    assert f"\0app\0{PASSWORD}".encode() in peers[1].heard


@pytest.mark.parametrize(
    ("words", "code"),
    [
        # Spark's SQL states for what is not there, recorded; Hive's numbers from its ErrorMsg.
        ([OPENED, error("ExecuteStatement", "42704", 0)], "TARGET.MISSING"),
        ([OPENED, error("ExecuteStatement", "42000", 10072)], "TARGET.MISSING"),
        ([OPENED, error("ExecuteStatement", "42000", 40000)], "TARGET.NO_CONNECT"),
        ([OPENED, USED, error("ExecuteStatement", "42P01", 0)], "TARGET.OBJECT_MISSING"),
        ([OPENED, USED, error("ExecuteStatement", "42S02", 10001)], "TARGET.OBJECT_MISSING"),
        ([OPENED, USED, error("ExecuteStatement", "42000", 40000)], "PRIV.OBJECT_DENIED"),
        ([OPENED, error("ExecuteStatement", "42501", 0)], "TARGET.NO_CONNECT"),
        ([OPENED, USED, error("ExecuteStatement", "42501", 0)], "PRIV.OBJECT_DENIED"),
        ([OPENED, USED, error("ExecuteStatement", "42000", 10001)], "TARGET.OBJECT_MISSING"),
        ([ANY_TABLE[0] + error("OpenSession", "28000", 0)], "AUTH.BAD_CREDENTIALS"),
        ([OPENED, USED, error("ExecuteStatement", "42000", 0)], "INCONCLUSIVE"),
        ([OPENED, USED, error("ExecuteStatement", "08S01", 1)], "SERVER.ERROR"),
        ([ANY_TABLE[0] + error("OpenSession", "08S01", 0)], "SERVER.ERROR"),
        ([OPENED, b"\x00\x00\x00\x10garbage that ends"], "SERVER.ERROR"),
    ],
)
async def test_what_servers_answer(words: list[bytes], code: str) -> None:
    went, _ = await talk(GREETING, words, objects=["orders"])
    assert went.cause == code, went


async def test_a_name_that_no_table_can_have_is_not_asked_for() -> None:
    went, peers = await talk(GREETING, [OPENED, USED], objects=["orders`; DROP TABLE orders"])
    assert went.cause == "CONFIG.BAD_VALUE", went
    assert b"DROP" not in peers[1].heard


async def test_a_server_with_sasl_where_none_is_configured() -> None:
    went, _ = await talk(GREETING, properties={"auth": "noSasl"})
    assert went.cause == "AUTH.METHOD_UNSUPPORTED", went


async def _bare(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server without SASL: it hangs up on whoever begins with it."""
    if (await reader.read(4096))[:1] == b"\x80":
        writer.write(BARE[0])
        await reader.read()


async def _tickets_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that takes no password: whatever mechanism is named, it is refused at once."""
    await reader.read(4096)
    writer.write(GREETING[0])
    await reader.read()


@pytest.mark.parametrize(
    ("server", "code", "component"),
    [
        (_bare, "CONFIG.BAD_VALUE", "properties.auth"),
        (_tickets_only, "AUTH.METHOD_UNSUPPORTED", "security_protocol"),
    ],
)
async def test_what_a_second_conversation_tells(server: Handler, code: str, component: str) -> None:
    found = await verdict_over(server, "hive", {"database": "shop", "login_mode": "LDAP", "username": "app"})
    assert (found.cause, found.component) == (code, component), found


async def test_what_is_not_tested_is_said_where_it_begins() -> None:
    went, _ = await talk(GREETING, properties={"transportMode": "http"})
    assert went.cause == "DRIVER.MISSING"
    failed = went.steps.failed()
    assert failed is not None
    assert failed.name == "greet"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=3))
async def test_whatever_a_peer_says_ends_in_a_cause_of_the_catalogue(words: list[bytes]) -> None:
    went, _ = await talk(words, words)
    assert went.cause in causes.catalogue()


@pytest.mark.parametrize("uris", ["metastore:9083", "thrift://", "thrift://m:99999"])
def test_metastore_uris_are_checked(uris: str) -> None:
    with pytest.raises(InvalidInputs, match="metastore_uris"):
        read_entry(get("hive"), entry(metastore_uris=uris))
