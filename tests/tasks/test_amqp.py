"""AMQP 0-9-1: brokers as the specification allows them, beyond what one real broker does."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.verdict import INCONCLUSIVE
from tasks import causes
from tasks.protocols.amqp import PROTOCOL, wire
from tests.tasks.scripted import Conversation, Peer, converse

PASSWORD = "canary-passw0rd"


def start(mechanisms: bytes = b"AMQPLAIN PLAIN") -> bytes:
    server = wire.short("product") + b"S" + wire.long(b"RabbitMQ") + wire.short("version") + b"S" + wire.long(b"3.10.8")
    return wire.frame(0, wire.START, b"\x00\x09" + wire.long(server) + wire.long(mechanisms) + wire.long(b"en_US"))


def closing(code: int, words: str = "no", *, channel: int = 0) -> bytes:
    kind = wire.CHANNEL_CLOSE if channel else wire.CLOSE
    return wire.frame(channel, kind, struct.pack("!H", code) + wire.short(words) + bytes(4))


TUNE = wire.frame(0, wire.TUNE, struct.pack("!HIH", 2047, 131072, 60))
OPENED = wire.frame(0, wire.OPEN_OK, wire.short(""))
CHANNEL = wire.frame(1, wire.CHANNEL_OPEN_OK, wire.long(b""))
DECLARED = wire.frame(1, wire.DECLARE_OK, wire.short("orders") + bytes(8))
QOS = wire.frame(1, wire.QOS_OK)
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"


async def talk(*words: bytes, **changes: Any) -> tuple[Conversation, Peer]:
    entry = {
        "address": {"host": "192.0.2.2", "port": 5672},
        "virtual_host": "shop",
        "username": "app",
        "password": "env:X",
        "objects": ["orders"],
        **changes,
    }
    peer = Peer(*words)
    return await converse("rabbitmq", entry, {"password": PASSWORD}, peer), peer


async def test_a_refused_argument_proves_the_right_to_read() -> None:
    went, peer = await talk(
        start(), TUNE, HEARTBEAT + OPENED, CHANNEL, DECLARED, QOS, closing(406, "PRECONDITION_FAILED", channel=1)
    )
    assert went.cause is None, went
    assert went.seen("greet")["product"] == "RabbitMQ"
    assert wire.frame(0, wire.CLOSE, b"")[7:11] in peer.heard  # it says goodbye


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([b"AMQP\x00\x01\x00\x00"], "PROTO.MISMATCH"),
        ([b"HTTP/1.1 400 Bad Request\r\n"], "PROTO.MISMATCH"),
        ([start(b"EXTERNAL")], "AUTH.METHOD_UNSUPPORTED"),
        ([start(), closing(403)], "AUTH.BAD_CREDENTIALS"),
        ([start(), TUNE, closing(320, "CONNECTION_FORCED")], "SERVER.NOT_READY"),
        ([start(), TUNE, closing(541, "INTERNAL_ERROR")], "SERVER.ERROR"),
        ([start(), TUNE, closing(530, "NOT_ALLOWED - vhost shop not found")], "TARGET.MISSING"),
        ([start(), TUNE, closing(530, "NOT_ALLOWED - access to vhost 'x' refused for user 'a'")], "TARGET.NO_CONNECT"),
        ([start(), TUNE, closing(530, "NICHT ERLAUBT")], INCONCLUSIVE),
        (
            [start(), TUNE, closing(530, "NOT_ALLOWED - access to vhost 'x' refused: connection limit (9) is reached")],
            "CAPACITY.CONNECTIONS",
        ),
        ([start(), TUNE, closing(506, "RESOURCE_ERROR")], "CAPACITY.CONNECTIONS"),
        ([start(), TUNE, OPENED, CHANNEL, closing(404, channel=1)], "TARGET.OBJECT_MISSING"),
        ([start(), TUNE, OPENED, CHANNEL, closing(405, channel=1)], "PRIV.OBJECT_DENIED"),
        ([start(), TUNE, OPENED, CHANNEL, DECLARED, QOS, closing(403, channel=1)], "PRIV.OBJECT_DENIED"),
        ([start(), TUNE, b"\x01\x00\x00\xff\xff\xff\xff"], "SERVER.ERROR"),
    ],
)
async def test_what_brokers_answer(words: list[bytes], code: str) -> None:
    went, _ = await talk(*words)
    assert went.cause == code, went


async def test_a_refused_guest_may_be_one_that_is_let_in_locally_only() -> None:
    went, _ = await talk(start(), closing(403), username="guest")
    assert went.finding is not None
    assert went.finding.alternatives == ("AUTH.BAD_CREDENTIALS", "AUTH.LOGIN_FORBIDDEN")


async def test_no_password_for_a_broker_that_does_not_take_one() -> None:
    went, peer = await talk(start(b"EXTERNAL GSSAPI"))
    assert went.cause == "AUTH.METHOD_UNSUPPORTED"
    assert PASSWORD.encode() not in peer.heard


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=4))
async def test_whatever_a_peer_says_ends_in_a_cause_of_the_catalogue(words: list[bytes]) -> None:
    went, _ = await talk(start(), *words)
    failed = went.steps.failed()
    assert failed is None or went.cause in causes.catalogue()
    assert PROTOCOL.title == "AMQP"
