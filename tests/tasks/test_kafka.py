"""Kafka's protocol: brokers as the protocol guide allows them."""

from __future__ import annotations

import asyncio
import base64
import ssl
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.connection import read_entry
from registry.errors import InvalidInputs
from registry.types import get
from registry.verdict import INCONCLUSIVE
from tasks import causes
from tasks.check import check
from tasks.evidence import StageFailed
from tasks.protocols.kafka.wire import array, text
from tasks.streams import StreamBroken
from tasks.vantages import ConnectFailed
from tasks.vantages.local import LocalVantage
from tests.tasks.certified import mistrusted, server_context, trusting
from tests.tasks.scripted import Conversation, Peer, Words, converse
from tests.tasks.support import Handler, listening
from tests.tasks.wired import target_of


def answer(correlation: int, body: bytes) -> bytes:
    return struct.pack("!ii", len(body) + 4, correlation) + body


def versions(correlation: int = 1, **spans: tuple[int, int]) -> bytes:
    known = {"1": (4, 11), "2": (1, 5), "3": (0, 12), "17": (0, 1), "18": (0, 3), "36": (0, 2), **spans}
    rows = [struct.pack("!hhh", int(key), *span) for key, span in known.items()]
    return answer(correlation, struct.pack("!h", 0) + array(rows))


def partition(error: int = 0, leader: int = 1) -> bytes:
    return struct.pack("!hii", error, 0, leader) + array([]) + array([])


def topic(name: str, error: int = 0, partitions: list[bytes] | None = None) -> bytes:
    return struct.pack("!h", error) + text(name) + b"\0" + array([partition()] if partitions is None else partitions)


def metadata(correlation: int, *topics: bytes, host: str = "192.0.2.2", port: int = 9092, old: bool = False) -> bytes:
    brokers = array([struct.pack("!i", 1) + text(host) + struct.pack("!i", port) + text(None)])
    before, cluster = (b"", b"") if old else (struct.pack("!i", 0), text("lab"))
    return answer(correlation, before + brokers + cluster + struct.pack("!i", 1) + array(list(topics)))


def offsets(correlation: int, error: int = 0) -> bytes:
    row = text("orders") + array([struct.pack("!ihqq", 0, error, -1, 7)])
    return answer(correlation, array([row]))


def fetched(correlation: int, error: int = 0) -> bytes:
    row = text("orders") + array([struct.pack("!ihqqii", 0, error, 7, 7, 0, 0)])
    return answer(correlation, struct.pack("!i", 0) + array([row]))


async def talk(*words: Words, **changes: Any) -> Conversation:
    entry = {"address": {"host": "192.0.2.2", "port": 9092}, "objects": ["orders"], **changes}
    return await converse("kafka", entry, {"sasl_password": "canary"}, Peer(*words))


async def test_a_topic_is_read_from_its_leader() -> None:
    went = await talk(versions(), metadata(2, topic("orders")), offsets(3), fetched(4))
    assert went.cause is None, went
    assert went.seen("target")["cluster"] == "lab"


async def test_an_old_broker_is_not_asked_for_a_topic_that_it_might_create() -> None:
    old = versions(**{"3": (0, 2)})
    went = await talk(old, metadata(2, topic("orders"), topic("other"), old=True), offsets(3), fetched(4))
    assert went.cause is None, went
    went = await talk(old, metadata(2, topic("other"), old=True))
    assert went.cause == "TARGET.OBJECT_MISSING"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "PROTO.MISMATCH"),
        ([b"-ERR unknown command\r\n"], "PROTO.MISMATCH"),
        ([versions(**{"1": (12, 17)})], "PROTO.MISMATCH"),
        ([versions(), metadata(2, topic("orders", 3, []))], "TARGET.OBJECT_MISSING"),
        ([versions(), metadata(2, topic("orders", 29, []))], "PRIV.OBJECT_DENIED"),
        ([versions(), metadata(2, topic("orders", 17, []))], "CONFIG.BAD_VALUE"),
        ([versions(), metadata(2, topic("orders", 31, []))], "TARGET.NO_CONNECT"),
        ([versions(), metadata(2, topic("orders", 0, [partition(5, -1)]))], "SERVER.NOT_READY"),
        ([versions(), metadata(2, topic("orders")), offsets(3, 6)], "SERVER.NOT_READY"),
        ([versions(), metadata(2, topic("orders")), offsets(3), fetched(4, 29)], "PRIV.OBJECT_DENIED"),
        ([versions(), metadata(2, topic("orders")), offsets(3), fetched(4, 89)], "CAPACITY.CONNECTIONS"),
        ([versions(), metadata(2, topic("orders")), offsets(3), fetched(4, 56)], "SERVER.ERROR"),
        ([versions(), metadata(2, topic("orders"), host="localhost")], "CONFIG.BAD_VALUE"),
        ([versions(), metadata(2, topic("orders"), host="192.0.2.9")], "PORT.CLOSED"),
        ([versions(), answer(9, b"")], "SERVER.ERROR"),
    ],
)
async def test_what_brokers_answer(words: list[bytes], code: str) -> None:
    went = await talk(*words)
    assert went.cause == code, went


async def _sent_on(other: Peer | Exception) -> Conversation:
    """What comes of a topic whose leader is at another address."""
    entry = {"address": {"host": "192.0.2.2", "port": 9092}, "objects": ["orders"]}
    first = Peer(versions(), metadata(2, topic("orders"), host="b1.example"))
    return await converse("kafka", entry, {}, first, other)


def _breaks(kind: str, **more: Any) -> Words:
    def speak(_heard: bytes) -> bytes:
        raise StreamBroken(kind, **more)

    return speak


@pytest.mark.parametrize(
    ("other", "code", "alternatives"),
    [
        (StageFailed(forbidden="a loopback address"), "POLICY.FORBIDDEN_TARGET", []),
        (StageFailed(rcode="NXDOMAIN", name="b1.example"), "DNS.NXDOMAIN", []),
        (StageFailed(rcode="NOERROR", name="b1.example"), "DNS.NO_ADDRESS", []),
        (StageFailed(rcode="TIMEOUT", name="b1.example"), "DNS.RESOLVER_DOWN", []),
        (StageFailed(rcode="SERVFAIL", name="b1.example"), "DNS.SERVER_FAILURE", []),
        (ConnectFailed(errno="EHOSTUNREACH", icmp_type=3, icmp_from_peer=True), "FILTER.REJECT", []),
        (ConnectFailed(errno="ECONNREFUSED", icmp_type=3), INCONCLUSIVE, ["FILTER.REJECT", "PORT.CLOSED"]),
        (ConnectFailed(errno="ECONNREFUSED"), "PORT.CLOSED", []),
        (ConnectFailed(errno="ENETUNREACH"), "ROUTE.NONE", []),
        (ConnectFailed(errno="EHOSTUNREACH"), "ROUTE.REMOTE_UNREACHABLE", []),
        (ConnectFailed(silent=True, waited_ms=900.0), INCONCLUSIVE, ["FILTER.DROP", "HOST.DOWN"]),
        (Peer(_breaks("silent", silent_ms=900.0, mute=True)), "PEER.MUTE", []),
        (Peer(_breaks("silent", silent_ms=9.0)), "PROBE.DEADLINE", []),
        (Peer(_breaks("eof")), "SERVER.ERROR", []),
    ],
)
async def test_what_fails_about_an_advertised_broker(
    other: Peer | Exception, code: str, alternatives: list[str]
) -> None:
    went = await _sent_on(other)
    found = went.finding
    assert found is not None
    assert (found.code, [*found.alternatives], found.component) == (code, alternatives, "b1.example:9092")


@pytest.mark.parametrize(("there", "code"), [*mistrusted(), (server_context(), None)])
async def test_the_certificate_of_an_advertised_broker(there: ssl.SSLContext, code: str | None) -> None:
    def says(*words: bytes) -> Handler:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for word in words:
                await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
                writer.write(word)

        return answer

    async with listening(says(versions(), offsets(2), fetched(3)), ssl=there) as leader:
        first = says(versions(), metadata(2, topic("orders"), host="127.0.0.1", port=leader))
        async with listening(first, ssl=server_context()) as port:
            entry = {"address": {"host": "127.0.0.1", "port": port}, "objects": ["orders"]}
            entry |= {"security_protocol": "authTypeSsl"}
            found = await check(target_of("kafka", entry, **trusting()), LocalVantage(), timeout=3)
    assert found.cause == code, found


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([struct.pack("!h", 33) + array([text("GSSAPI")])], "AUTH.METHOD_UNSUPPORTED"),
        ([struct.pack("!h", 34) + array([])], "CONFIG.BAD_VALUE"),
        ([struct.pack("!h", 0) + array([text("PLAIN")]), struct.pack("!h", 58) + text(None)], "AUTH.BAD_CREDENTIALS"),
    ],
)
async def test_what_brokers_answer_to_a_login(words: list[bytes], code: str) -> None:
    login = {"security_protocol": "authTypeSaslPlaintext", "sasl_mechanism": "plain", "sasl_username": "app"}
    said = [answer(2 + at, body) for at, body in enumerate(words)]
    went = await talk(versions(), *said, **login, sasl_password="env:X")
    assert went.cause == code, went


async def test_a_broker_that_cannot_prove_that_it_knows_the_password() -> None:
    def challenge(heard: bytes) -> bytes:
        nonce = heard.rpartition(b"r=")[2].decode()
        return token(3, f"r={nonce}server,s={base64.b64encode(b'salt' * 4).decode()},i=4096")

    def token(correlation: int, words: str) -> bytes:
        return answer(correlation, struct.pack("!h", 0) + text(None) + struct.pack("!i", len(words)) + words.encode())

    handshake = answer(2, struct.pack("!h", 0) + array([text("SCRAM-SHA-256")]))
    proof = token(4, f"v={base64.b64encode(bytes(32)).decode()}")
    login = {"security_protocol": "authTypeSaslPlaintext", "sasl_mechanism": "scram-sha-256", "sasl_username": "app"}
    went = await talk(versions(), handshake, challenge, proof, **login, sasl_password="env:X")
    assert went.finding is not None
    assert went.finding.code == "SERVER.ERROR", went
    assert "impostor" in went.finding.message


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=3))
async def test_whatever_a_peer_says_ends_in_a_cause_of_the_catalogue(words: list[bytes]) -> None:
    went = await talk(*words)
    failed = went.steps.failed()
    assert failed is not None
    assert went.cause in causes.catalogue()


def test_a_secret_among_the_further_settings_is_refused() -> None:
    config = {"sasl.jaas.config": 'PlainLoginModule required password="hunter2";'}
    entry = {"address": {"host": "k", "port": 9092}, "kafka_config": config}
    with pytest.raises(InvalidInputs, match="sasl_password") as caught:
        read_entry(get("kafka"), entry)
    assert "hunter2" not in str(caught.value)
