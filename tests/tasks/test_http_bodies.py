"""Services whose head arrives and whose body is another matter, over real sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest

from registry import types
from registry.connection import Mode
from registry.verdict import Status, Verdict
from tasks.check import check
from tasks.target import Target
from tasks.vantages.local import LocalVantage
from tests.tasks.support import Handler, listening

TIMEOUT = 2.0
_BODY = b"x" * 9000
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _service(head: bytes, body: bytes = b"", vanishes_above: int = 0) -> Handler:
    """A service that sends a head, then a body, unless the client takes segments of more than so many bytes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b"\r\n")
        await writer.drain()
        sock = writer.get_extra_info("socket")
        if not vanishes_above or sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= vanishes_above:
            writer.write(body)
            await writer.drain()
        await asyncio.sleep(30)

    return handler


async def _judged(handler: Handler) -> Verdict:
    kind = types.get("restapi")
    async with listening(handler) as port:
        url = f"http://127.0.0.1:{port}/"
        connection = kind.modes[Mode.CONNECTION_STRING].model_validate({"url": url})
        target = Target("sales", "orders", kind.name, "prod", "vpc1", kind.protocol_of(connection), 80, connection)
        return await check(target, LocalVantage(), timeout=TIMEOUT)


def _privilege(verdict: Verdict) -> Status:
    return next(stage.status for stage in verdict.stages if stage.name == "privilege")


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 9000\r\n", _BODY),
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(_BODY), _BODY)),
    ],
    ids=["announced", "in pieces"],
)
async def test_a_body_that_passes_in_small_packets_only(framing: bytes, body: bytes) -> None:
    verdict = await _judged(_service(_HEAD + framing, body, vanishes_above=900))
    assert verdict.cause == "ROUTE.MTU", verdict


async def test_a_body_that_never_comes() -> None:
    verdict = await _judged(_service(_HEAD + b"Content-Length: 9000\r\n"))
    assert verdict.cause == "PEER.MUTE", verdict


async def test_an_answer_that_lets_its_pieces_wait_is_one() -> None:
    verdict = await _judged(_service(_HEAD + b"Transfer-Encoding: chunked\r\n"))
    assert (verdict.cause, _privilege(verdict)) == (None, Status.WARNED), verdict


async def test_events_are_not_waited_for() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
    verdict = await _judged(_service(head))
    assert (verdict.cause, _privilege(verdict)) == (None, Status.PASSED), verdict
    assert verdict.elapsed_ms < TIMEOUT * 1000 / 2


async def test_as_much_of_a_body_is_read_as_a_packet_cannot_hold() -> None:
    verdict = await _judged(_service(_HEAD + b"Content-Length: 900000000\r\n", b"x" * 20000))
    assert (verdict.cause, _privilege(verdict)) == (None, Status.PASSED), verdict
