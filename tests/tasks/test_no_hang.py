"""Whatever a peer does, a check ends within its time, with a verdict."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.verdict import State, Verdict
from tasks.check import check
from tasks.vantages.local import LocalVantage
from tests.stopwatch import Stopwatch
from tests.tasks.support import PASSWORD, Handler, listening, target

TIMEOUT = 0.6
GRACE = 0.5


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


NOTICE = message(b"N", b"SNOTICE\0C00000\0Mwait\0\0")
OK = message(b"R", struct.pack("!I", 0))
CLEAR_TEXT = message(b"R", struct.pack("!I", 3))
SASL = message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0")
STATUS = message(b"S", b"server_version\0" + b"15\0")
READY = message(b"Z", b"I")


async def judged(handler: Handler, *, mode: str = "disable", timeout: float = TIMEOUT) -> Verdict:
    async with listening(handler) as port:
        with Stopwatch() as watch:
            verdict = await check(target(port=port, properties={"sslmode": mode}), LocalVantage(), timeout=timeout)
    watch.within(timeout + GRACE)
    assert verdict.state is not State.CONNECTABLE
    assert verdict.cause
    return verdict


def after_hello(act: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        await act(writer)
        await asyncio.sleep(30)

    return handler


def drips(words: bytes, pace: float = 0.02, *, said: bytes = b"") -> Handler:
    """A peer that says something at once, and then a byte at a time."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        for index in range(len(words)):
            writer.write(words[index : index + 1])
            await writer.drain()
            await asyncio.sleep(pace)

    return after_hello(act)


def says(words: bytes) -> Handler:
    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await writer.drain()

    return after_hello(act)


async def told_to_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1024)
    writer.write(OK + READY)
    await reader.read(1024)
    writer.write(message(b"E", b"SFATAL\0C57P01\0\0"))
    writer.close()


def floods(words: bytes, beginning: bytes = b"") -> Handler:
    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        while True:
            writer.write(words * 200)
            await writer.drain()
            await asyncio.sleep(0)

    return after_hello(act)


async def refuses_to_read(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(30)


PEERS = {
    "silent": (says(b""), {"PEER.MUTE"}),
    "reads nothing": (refuses_to_read, {"PEER.MUTE"}),
    "drips a request for a password": (drips(SASL), {"PROBE.DEADLINE", "PEER.MUTE"}),
    "a notice, then drips more": (drips(NOTICE * 50, said=NOTICE), {"PROBE.DEADLINE"}),
    "notices without end": (floods(NOTICE), {"PROBE.DEADLINE", "SERVER.ERROR"}),
    "settings without end": (floods(STATUS, OK), {"PROBE.DEADLINE", "SERVER.ERROR"}),
    "a huge length": (says(b"R\xff\xff\xff\xff"), {"PROTO.MISMATCH"}),
    "a long length and nothing after it": (says(b"R\x00\xff\xff\xff"), {"PEER.MUTE", "PROBE.DEADLINE"}),
    "a length that is too short": (says(b"R\x00\x00\x00\x00"), {"PROTO.MISMATCH"}),
    "a request cut short": (says(message(b"R", b"\0\0")), {"SERVER.ERROR"}),
    "logged in, then silence": (says(OK + STATUS), {"PEER.MUTE"}),
    "ready, then silence": (says(OK + STATUS + READY), {"PEER.MUTE"}),
    "ready, then told to go": (told_to_go, {"SERVER.NOT_READY"}),
    "ready, then rows without end": (floods(message(b"D", b"\0\0"), OK + READY), {"PROBE.DEADLINE", "SERVER.ERROR"}),
    "answers without rows": (says(OK + READY + READY), {"SERVER.ERROR"}),
    "a row of nothing": (says(OK + READY + message(b"D", b"\0\0") + READY), {"SERVER.ERROR"}),
    "a row that lies about its length": (
        says(OK + READY + message(b"D", b"\0\x09\0\0\0\x7f") + READY),
        {"SERVER.ERROR"},
    ),
    "SASL in the wrong order": (says(SASL + OK + READY), {"AUTH.METHOD_UNSUPPORTED", "SERVER.ERROR"}),
    "SASL that is no SCRAM": (
        says(SASL + message(b"R", struct.pack("!I", 11) + b"nonsense")),
        {"SERVER.ERROR", "AUTH.METHOD_UNSUPPORTED"},
    ),
    "SASL of no known kind": (says(message(b"R", struct.pack("!I", 10) + b"\xff\xfe\0\0")), {"SERVER.ERROR"}),
    "an unknown method": (says(message(b"R", struct.pack("!I", 99))), {"AUTH.METHOD_UNSUPPORTED"}),
    "an error without fields": (says(message(b"E", b"\0")), {"SERVER.ERROR"}),
    "an error in unknown letters": (says(message(b"E", b"\xff\xfe\xfd\0\0")), {"SERVER.ERROR"}),
}


@pytest.mark.parametrize("peer", PEERS)
async def test_peer(peer: str) -> None:
    handler, codes = PEERS[peer]
    verdict = await judged(handler)
    assert verdict.cause in codes, verdict.model_dump_json(indent=1)


TLS_PEERS = {
    "never answers": says(b""),
    "refuses TLS without end": floods(b"N"),
    "accepts TLS without end": floods(b"S"),
    "accepts TLS, then silence": says(b"S"),
    "accepts TLS, then drips a record": drips(b"S" + b"\x16\x03\x03\x3f\xff" + b"\0" * 200),
    "accepts TLS, then a record that never ends": floods(b"\0", b"S\x16\x03\x03\x3f\xff\x02\x00\xff\xff"),
    "accepts TLS, then alerts": floods(b"\x15\x03\x03\x00\x02\x01\x00", b"S"),
    "accepts TLS, then speaks plainly": says(b"SFATAL: no, thank you"),
}


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-full"])
@pytest.mark.parametrize("peer", TLS_PEERS)
async def test_tls_peer(peer: str, mode: str) -> None:
    await judged(TLS_PEERS[peer], mode=mode)


async def test_a_full_backlog_is_silence() -> None:
    import socket

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port = listener.getsockname()[1]
    fillers = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
        fillers.append(filler)
    with Stopwatch() as watch:
        verdict = await check(target(port=port), LocalVantage(), timeout=TIMEOUT)
    watch.within(TIMEOUT + GRACE)
    assert verdict.cause in ("FILTER.DROP", "INCONCLUSIVE", "PROBE.DEADLINE")
    for sock in (listener, *fillers):
        sock.close()


@pytest.mark.parametrize("timeout", [0.05, 0.2, 1.0])
async def test_any_deadline_holds(timeout: float) -> None:
    await judged(says(b""), timeout=timeout)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.tuples(st.sampled_from(b"RESZNDCTKv1I"), st.binary(max_size=40)).map(
                lambda pair: message(bytes([pair[0]]), pair[1])
            ),
            max_size=8,
        ).map(b"".join),
        st.binary(max_size=60).map(lambda tail: OK + STATUS + READY + tail),
        st.binary(max_size=60).map(lambda tail: SASL + tail),
    ),
    mode=st.sampled_from(["disable", "prefer"]),
)
def test_any_bytes_get_a_verdict_and_no_password(words: bytes, mode: str) -> None:
    heard = bytearray()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1024))
        writer.write(words)
        await writer.drain()
        writer.write_eof()
        heard.extend(await reader.read(4096))

    asyncio.run(judged(handler, mode=mode, timeout=1.0))
    if CLEAR_TEXT not in words:
        assert PASSWORD.encode() not in heard
