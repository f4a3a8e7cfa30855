"""Servers that differ behind one address: what one of them says is not laid at the door of all."""

from __future__ import annotations

import asyncio
import itertools
import struct

from registry.verdict import Verdict
from tasks.check import check
from tasks.vantages.local import LocalVantage
from tests.tasks.support import Handler, listening, target
from tests.tasks.wired import verdict_at

_HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
_ONCE_MORE = "went on when it was held again"


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


#: pg_hba.conf has no entry; a password is asked for.
_REFUSED = _message(b"E", b"SFATAL\0VFATAL\0C28000\0Mno\0Fauth.c\0L500\0RClientAuthentication\0\0")
_ADMITTED = _message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0")
#: No TLS here.
_NONE = b"N"


def _in_turn(*says: bytes | None) -> Handler:
    """Servers that answer whoever speaks, in turn: the first word of a client gets one of these; None is silence."""
    turns = itertools.cycle(says)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = next(turns)
        await reader.read(4096)
        if said is not None:
            writer.write(said)
            await writer.drain()
        await asyncio.sleep(30 if said is None else 0.3)
        writer.close()

    return handler


async def _judged(*says: bytes | None, sslmode: str = "disable", timeout: float = 2.0) -> Verdict:
    async with listening(_in_turn(*says)) as port:
        return await check(target(port=port, properties={"sslmode": sslmode}), LocalVantage(), timeout=timeout)


async def test_one_that_refuses_plaintext_among_others_is_no_allowlist() -> None:
    verdict = await _judged(_REFUSED, _ADMITTED)
    assert (verdict.cause, set(verdict.alternatives)) == ("INCONCLUSIVE", {"TLS.REQUIRED", "ADMIT.ALLOWLIST"}), verdict
    assert _ONCE_MORE in verdict.message
    assert "make them alike" in verdict.remedy


async def test_one_of_three_is_found() -> None:
    assert _ONCE_MORE in (await _judged(_REFUSED, _REFUSED, _ADMITTED)).message


async def test_servers_that_are_alike_are_told_nothing_of() -> None:
    verdict = await _judged(_REFUSED)
    assert verdict.cause == "ADMIT.ALLOWLIST", verdict
    assert _ONCE_MORE not in verdict.message


async def test_one_without_tls() -> None:
    verdict = await _judged(_NONE, b"S", _NONE, _NONE, sslmode="require")
    assert verdict.cause == "TLS.NOT_OFFERED", verdict
    assert _ONCE_MORE not in verdict.message, "the other one has failed as well"


async def test_one_of_another_protocol_is_no_wrong_port() -> None:
    verdict = await _judged(_HTTP, _ADMITTED)
    assert verdict.cause == "PROTO.MISMATCH", verdict
    assert "HTTP" in verdict.message
    assert _ONCE_MORE in verdict.message
    assert "make them alike" in verdict.remedy
    assert "port or the type" not in verdict.remedy


async def test_one_that_hangs() -> None:
    verdict = await _judged(None, *[_ADMITTED] * 30)
    assert verdict.cause == "PEER.MUTE", verdict
    assert _ONCE_MORE in verdict.message


async def test_a_place_that_is_free_a_moment_later_is_a_limit() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal said
        writer.write(said)
        said = b"220 Welcome.\r\n"
        await writer.drain()
        await reader.read(4096)

    said = b"421 Too many connections.\r\n"
    async with listening(handler) as port:
        verdict = await verdict_at(port, "ftp", {"protocol": "ftp", "username": "app"})
    assert verdict.cause == "CAPACITY.CONNECTIONS", verdict
    assert _ONCE_MORE not in verdict.message


async def test_one_ftp_server_that_lets_nobody_begin_without_tls() -> None:
    replies = itertools.cycle([b"530 Not without TLS.\r\n", b"331 Password, please.\r\n"])

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reply = next(replies)
        writer.write(b"220 Welcome.\r\n")
        await reader.readline()
        writer.write(reply)
        await writer.drain()
        await reader.read(4096)

    async with listening(handler) as port:
        verdict = await verdict_at(port, "ftp", {"protocol": "ftp", "username": "app"})
    assert set(verdict.alternatives) == {"TLS.REQUIRED", "AUTH.LOGIN_FORBIDDEN"}, verdict
    assert _ONCE_MORE in verdict.message
