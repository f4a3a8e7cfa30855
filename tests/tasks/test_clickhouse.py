"""ClickHouse: what newer servers say than the one of the lab, and peers that are none."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import causes
from tests.tasks.scripted import Conversation, Peer, converse

PASSWORD = "canary-passw0rd"
PONG = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nX-ClickHouse-Server-Display-Name: ch1\r\n\r\nOk.\n"
HELLO = b"\x00\x0aClickHouse\x18\x03" + b"\xaa\xa8\x03" + b"\x03UTC"


def text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()


def exception(code: int) -> bytes:
    return b"\x02" + struct.pack("<i", code) + text("DB::Exception") + text("no") + text("") + b"\0"


def refused(code: int, status: str = "403 Forbidden") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-length: 0\r\nX-ClickHouse-Exception-Code: {code}\r\n\r\n".encode()


def rows(*values: str) -> bytes:
    body = "".join(f"{value}\n" for value in values)
    return f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


async def talk(port: int, *words: bytes, others: tuple[Peer, ...] = (), **changes: Any) -> Conversation:
    entry = {
        "address": {"host": "192.0.2.2", "port": port}, "database": "shop", "username": "app", "password": "env:X",
        "objects": ["orders"], **changes,
    }  # fmt: skip
    return await converse("clickhouse", entry, {"password": PASSWORD}, Peer(*words, pace=256), *others)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([PONG, rows("24.3"), refused(60, "404 Not Found"), rows("1")], None),
        ([PONG, refused(516)], "AUTH.BAD_CREDENTIALS"),
        ([PONG, refused(195)], "ADMIT.ALLOWLIST"),
        ([PONG, rows("24.3"), refused(81, "404 Not Found")], "TARGET.MISSING"),
        ([PONG, rows("24.3"), refused(497)], "TARGET.NO_CONNECT"),
        ([PONG, rows("24.3"), refused(60), refused(497)], "PRIV.OBJECT_DENIED"),
        ([PONG, rows("24.3"), refused(60), refused(60)], "TARGET.OBJECT_MISSING"),
        ([PONG, refused(202, "503 Service Unavailable")], "CAPACITY.CONNECTIONS"),
        ([PONG, refused(439, "503 Service Unavailable")], "SERVER.ERROR"),
        ([PONG, b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"], "SERVER.NOT_READY"),
        ([PONG, b"HTTP/1.1 500 Oops\r\ncontent-length: 9\r\n\r\nCode: 516"], "AUTH.BAD_CREDENTIALS"),
        ([b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"], "PROTO.MISMATCH"),
    ],
)
async def test_over_http(words: list[bytes], code: str | None) -> None:
    went = await talk(8123, *words)
    assert went.cause == code, went


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (exception(516), [exception(516)], "AUTH.BAD_CREDENTIALS"),
        (HELLO, [HELLO, exception(81)], "TARGET.MISSING"),
        (b"-ERR unknown command\r\n", [], "PROTO.MISMATCH"),
        (HELLO, [b"\x63"], "SERVER.ERROR"),
    ],
)
async def test_natively(first: bytes, second: list[bytes], code: str) -> None:
    peer = Peer(first)
    went = await converse(
        "clickhouse",
        {"address": {"host": "192.0.2.2", "port": 9000}, "database": "shop", "username": "app", "password": "env:X"},
        {"password": PASSWORD}, peer, Peer(*second),
    )  # fmt: skip
    assert went.cause == code, went
    assert PASSWORD.encode() not in peer.heard  # the greeting comes before the password


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([8123, 9000]), st.lists(st.binary(max_size=40), max_size=3))
async def test_whatever_a_peer_says_ends_in_a_cause_of_the_catalogue(port: int, words: list[bytes]) -> None:
    went = await talk(port, *words)
    assert went.steps.failed() is not None
    assert went.cause in causes.catalogue()
