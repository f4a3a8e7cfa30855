"""Peers that speak TLS where none is asked for, or none where it is, or something else altogether."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from registry.verdict import Verdict
from tasks.check import check
from tasks.vantages.local import LocalVantage
from tests.tasks.certified import server_context
from tests.tasks.support import PASSWORD, Handler, listening
from tests.tasks.wired import target_of

_SSH = b"SSH-2.0-OpenSSH_9.2\r\n"
_HTTP = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"
#: Words of no protocol that is known here.
_UNKNOWN = b"\x99\x07 who is there?\n"
_AMQP = b"AMQP\x00\x00\x09\x01"
#: What PostgreSQL and its kin ask for TLS by.
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")
_ACCOUNT = {"username": "app"}
_TLS: dict[str, dict[str, Any]] = {
    "rabbitmq": {**_ACCOUNT, "security_protocol": "authTypeSsl"},
    "memcache": {"security_protocol": "authTypeSsl"},
    "hive": {"security_protocol": "authTypeSsl"},
    "kafka": {"security_protocol": "authTypeSsl"},
    "vertica": {**_ACCOUNT, "database": "shop", "properties": {"TLSmode": "require"}},
}
_CLEAR: dict[str, dict[str, Any]] = {"rabbitmq": _ACCOUNT, "memcache": {}, "hive": {}}


async def verdict_at(port: int, type_name: str, entry: dict[str, Any]) -> Verdict:
    where: dict[str, Any] = {"address": [{"host": "127.0.0.1", "port": port}]}
    if type_name == "memcache":
        where = {"proxy": "127.0.0.1", "port": port}
    secrets = {"password": PASSWORD} if "username" in entry else {}
    return await check(target_of(type_name, {**where, **entry}, **secrets), LocalVantage(), timeout=3)


async def verdict_over(handler: Handler, type_name: str, entry: dict[str, Any]) -> Verdict:
    async with listening(handler) as port:
        return await verdict_at(port, type_name, entry)


def says(words: bytes, *, to_tls: bytes | None = None, letter: bytes = b"") -> Handler:
    """A peer with one answer, and one for those who begin with TLS; without one it leaves them waiting.

    With a letter it takes TLS as PostgreSQL does: whoever asks for it is told the letter first.
    """

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(4096)
        if letter and first == _SSL_REQUEST:
            writer.write(letter)
            first = await reader.read(4096)
        answer = to_tls if first[:1] == b"\x16" else words
        if answer:
            writer.write(answer)
            await writer.drain()
        if answer != b"":
            await reader.read()

    return handler


@pytest.mark.parametrize(
    ("type_name", "words", "cause"),
    [
        ("rabbitmq", _AMQP, "TLS.REQUIRED"),
        ("memcache", b"VERSION 1.6.18\r\n", "TLS.REQUIRED"),
        ("hive", b"\x05\x00\x00\x00\x00", "TLS.REQUIRED"),
        ("rabbitmq", _HTTP, "PROTO.MISMATCH"),
        ("memcache", _HTTP, "PROTO.MISMATCH"),
    ],
)
async def test_a_peer_that_speaks_over_tls_only(type_name: str, words: bytes, cause: str) -> None:
    """That it is TLS is told of the right peer alone: to a stranger TLS would not help."""
    async with listening(says(words), ssl=server_context()) as port:
        found = await verdict_at(port, type_name, _CLEAR[type_name])
    assert found.cause == cause, found


@pytest.mark.parametrize(
    ("type_name", "words"),
    [("rabbitmq", _AMQP), ("memcache", b"ERROR\r\n")],
)
async def test_a_peer_that_answers_tls_in_the_clear(type_name: str, words: bytes) -> None:
    found = await verdict_over(says(words, to_tls=words), type_name, _TLS[type_name])
    assert found.cause == "TLS.NOT_OFFERED", found


async def test_a_server_of_hive_without_tls() -> None:
    refused = b"\x03\x00\x00\x00\x02no"
    found = await verdict_over(says(refused, to_tls=b""), "hive", _TLS["hive"])
    assert found.cause == "TLS.NOT_OFFERED", found


@pytest.mark.parametrize("words", [_SSH, _UNKNOWN], ids=["SSH", "unknown"])
@pytest.mark.parametrize("type_name", _TLS)
async def test_another_protocol_answers_tls_in_the_clear(type_name: str, words: bytes) -> None:
    letter = b"S" if type_name == "vertica" else b""
    found = await verdict_over(says(words, to_tls=words, letter=letter), type_name, _TLS[type_name])
    assert found.cause == "PROTO.MISMATCH", found


@pytest.mark.parametrize(
    ("words", "cause"),
    [(_HTTP, "TLS.NOT_OFFERED"), (_SSH, "PROTO.MISMATCH"), (_UNKNOWN, "PROTO.MISMATCH")],
    ids=["HTTP", "SSH", "unknown"],
)
@pytest.mark.parametrize("type_name", ["restapi", "loghub"])
async def test_an_https_url_of_a_port_without_tls(type_name: str, words: bytes, cause: str) -> None:
    async with listening(says(words, to_tls=words)) as port:
        url = f"https://127.0.0.1:{port}"
        service = {"endpoint": url, "project": "orders", "access_id": "LTAI5tExample"}
        entry = {"url": url} if type_name == "restapi" else service
        secrets = {"access_key": PASSWORD} if type_name == "loghub" else {}
        found = await check(target_of(type_name, entry, **secrets), LocalVantage(), timeout=3)
    assert found.cause == cause, found
