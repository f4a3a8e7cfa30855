"""This machine as a vantage: real sockets on the loopback, and the streams they carry."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from pathlib import Path

import pytest

from tasks.budget import Budget
from tasks.streams import Reader, SocketStream, StreamBroken, printable
from tasks.vantages import ConnectFailed, is_public, open_vantage
from tasks.vantages.local import LocalVantage
from tests.stopwatch import Stopwatch
from tests.tasks.support import listening

VANTAGE = LocalVantage()


async def connected(port: int, seconds: float = 1.0, host: str = "127.0.0.1") -> SocketStream:
    return await VANTAGE.connect(host, port, Budget.of(seconds), conversation=Budget.of(seconds))


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_a_closed_port_refuses_without_an_icmp_message() -> None:
    with pytest.raises(ConnectFailed) as caught:
        await connected(closed_port())
    assert caught.value.evidence == {"errno": "ECONNREFUSED"}


async def test_a_full_backlog_is_silence_for_as_long_as_was_waited() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
    with Stopwatch() as watch, pytest.raises(ConnectFailed) as caught:
        await connected(listener.getsockname()[1], 0.3)
    assert watch.seconds > 0.25
    watch.within(0.6)
    assert caught.value.evidence["silent"] is True
    assert caught.value.evidence["waited_ms"] == 300
    for sock in (listener, *fillers):
        sock.close()


async def test_unix_sockets(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = await asyncio.start_unix_server(lambda _r, w: w.write(b"hello"), path)
    stream = await VANTAGE.connect(str(path), 0, Budget.of(1), conversation=Budget.of(1))
    assert await stream.receive() == b"hello"
    assert stream.local_address() == "unix"
    stream.close()
    server.close()
    with pytest.raises(ConnectFailed) as caught:
        await VANTAGE.connect(str(tmp_path / "absent"), 0, Budget.of(1), conversation=Budget.of(1))
    assert caught.value.evidence["errno"] == "ENOENT"


async def test_too_long_a_path_of_a_socket_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConnectFailed) as caught:
        await VANTAGE.connect("/" + "x" * 300, 0, Budget.of(1), conversation=Budget.of(1))
    assert caught.value.evidence["errno"] == "ENAMETOOLONG"


async def test_routes_are_looked_up_without_sending() -> None:
    route = await VANTAGE.route("127.0.0.5")
    assert (route.source_address, route.error) == ("127.0.0.1", None)
    assert set(await VANTAGE.way_out()) == {"ipv4", "ipv6"}


async def test_the_loopback_answers_an_echo() -> None:
    assert await VANTAGE.answers_ping("127.0.0.1", Budget.of(1)) in (True, None)


def test_which_addresses_are_public() -> None:
    assert [is_public(address) for address in ("8.8.8.8", "10.0.0.1", "::1", "2600::1", "/run/pg", "fe80::1%lo")] == [
        True, False, False, True, False, False,
    ]  # fmt: skip


def test_kinds_of_resource_groups() -> None:
    assert open_vantage("local", "here", {}).name == "here"


# -- streams --------------------------------------------------------------------------------------------------------


async def test_silence_knows_whether_it_was_waited_for() -> None:
    async def mute(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with listening(mute) as port:
        stream = await connected(port, 0.2)
        with pytest.raises(StreamBroken) as caught:
            await stream.receive()
        assert caught.value.evidence()["mute"] is True
        assert caught.value.evidence()["silent_ms"] >= 150
        with pytest.raises(StreamBroken) as caught:
            await stream.receive()
        assert caught.value.mute is False, "no time was left to wait for it"
        stream.close()


async def test_an_end_and_a_reset_are_kept_apart() -> None:
    async def ends(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"abc")
        await writer.drain()

    async def resets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with listening(ends) as port:
        stream = await connected(port)
        assert await Reader(stream).exactly(3) == b"abc"
        with pytest.raises(StreamBroken) as caught:
            await stream.receive()
        assert caught.value.evidence() == {"broken": "eof", "received_bytes": 3}
        stream.close()
    async with listening(resets) as port:
        stream = await connected(port)
        with pytest.raises(StreamBroken) as caught:
            await stream.receive()
        assert caught.value.evidence() == {"broken": "reset", "received_bytes": 0, "errno": "ECONNRESET"}
        stream.close()


async def test_a_peer_that_does_not_read_cannot_hold_us() -> None:
    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(30)

    async with listening(deaf) as port:
        stream = await connected(port, 0.4)
        with Stopwatch() as watch, pytest.raises(StreamBroken, match="silent"):
            await stream.send(b"x" * (1 << 26))
        watch.within(0.8)
        stream.close()


async def test_no_more_is_read_than_a_check_has_reason_to() -> None:
    async def floods(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x" * (1 << 20))
            await writer.drain()

    async with listening(floods) as port:
        stream = await connected(port, 10)

        async def everything() -> None:
            while True:
                await stream.receive(1 << 20)

        with pytest.raises(StreamBroken, match="error"):
            await everything()
        assert stream.received < 1 << 27
        stream.close()


async def test_reader_keeps_what_is_left_over() -> None:
    async def speaks(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in (b"on", b"e\r", b"\ntwo", b"\r\nrest"):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)

    async with listening(speaks) as port:
        reader = Reader(await connected(port))
        assert (await reader.peek(1)) == b"o"
        assert await reader.until(b"\r\n") == b"one\r\n"
        assert await reader.until(b"\r\n") == b"two\r\n"
        assert await reader.exactly(4) == b"rest"
        reader.stream.close()


async def test_a_line_without_end_is_cut() -> None:
    async def speaks(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 300_000)
        await writer.drain()
        await asyncio.sleep(5)

    async with listening(speaks) as port:
        reader = Reader(await connected(port))
        with pytest.raises(StreamBroken, match="error"):
            await reader.until(b"\n", limit=1000)
        reader.stream.close()


@pytest.mark.parametrize(
    ("data", "shown"),
    [(b"SSH-2.0", "SSH-2.0"), (b"a\r\n\0", "a\\x0d\\x0a\\x00"), (b"\xff\xfe", "\\xff\\xfe"), (b"", "")],
)
def test_first_bytes_are_shown_on_one_line(data: bytes, shown: str) -> None:
    assert printable(data) == shown
    assert len(printable(b"\0" * 1000)) <= 48 * 4


# -- budgets --------------------------------------------------------------------------------------------------------


def test_inner_budgets_end_before_outer_ones() -> None:
    outer = Budget.of(10)
    inner = outer.within(0.5)
    assert inner.ends < outer.ends
    assert 4.9 < inner.left() <= 5
    assert outer.less(1).left() < outer.left() - 0.9
    assert Budget.of(-1).left() == 0.0
    assert Budget.of(0.1).less(5).left() == 0.0


def test_descriptors_are_given_back() -> None:
    async def many() -> None:
        for _ in range(20):
            with pytest.raises(ConnectFailed):
                await connected(closed_port())

    before = len(list(Path("/proc/self/fd").iterdir()))
    asyncio.run(many())
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


async def test_a_machine_without_descriptors_says_so_of_itself() -> None:
    import resource

    from tasks.check import check
    from tests.tasks.support import target

    source = target(port=closed_port())
    assert (await check(source, VANTAGE, timeout=1)).cause == "PORT.CLOSED"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = [socket.socket()]
    resource.setrlimit(resource.RLIMIT_NOFILE, (held[0].fileno() + 1, hard))
    try:
        verdict = await check(source, VANTAGE, timeout=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        held[0].close()
    assert verdict.cause == "PROBE.AGENT_DOWN"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who is kept out")
async def test_a_unix_socket_that_this_user_may_not_open(tmp_path: Path) -> None:
    from tasks.check import check
    from tests.tasks.support import target

    server = await asyncio.start_unix_server(lambda _r, _w: None, tmp_path / ".s.PGSQL.5432")
    (tmp_path / ".s.PGSQL.5432").chmod(0o600)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    source = target(str(tmp_path))
    os.seteuid(65534)
    try:
        verdict = await check(source, VANTAGE, timeout=1)
    finally:
        os.seteuid(0)
    server.close()
    assert (verdict.cause, verdict.component) == ("ADMIT.ALLOWLIST", str(tmp_path / ".s.PGSQL.5432"))
