"""A peer that says nothing: what its silence proves, and what it does not, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from registry import types
from registry.connection import Mode
from registry.verdict import Verdict
from tasks import witnesses
from tasks.budget import Budget
from tasks.check import check
from tasks.streams import Stream
from tasks.target import Target
from tasks.vantages import ConnectFailed, Vantage
from tasks.vantages.local import LocalVantage
from tests.tasks.certified import server_context
from tests.tasks.support import Handler, listening, target
from tests.tasks.wired import verdict_at

TIMEOUT = 1.5


class Channels(LocalVantage):
    """A place that, like an SSH server, takes streams as they are and cannot keep their packets small."""

    async def connect(
        self, address: str, port: int, budget: Budget, *, conversation: Budget, largest_segment: int | None = None
    ) -> Any:
        if largest_segment is not None:
            raise ConnectFailed(unsupported=True)
        return await super().connect(address, port, budget, conversation=conversation)


def answers(reply: Callable[[bytes], bytes | None]) -> Handler:
    """A peer that answers what comes first, hangs up on it (nothing), or keeps silent (None)."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = reply(await reader.read(4096))
        if said is not None:
            writer.write(said)
            await writer.drain()
        if said != b"":
            await asyncio.sleep(30)

    return handler


def rest(url: str) -> Target:
    kind = types.get("restapi")
    connection = kind.modes[Mode.CONNECTION_STRING].model_validate({"url": url})
    return Target("sales", "orders", kind.name, "prod", "vpc1", kind.protocol_of(connection), 80, connection)


async def judged(
    reply: Callable[[bytes], bytes | None], of: Callable[[int], Target], vantage: Vantage | None = None
) -> Verdict:
    async with listening(answers(reply)) as port:
        return await check(of(port), vantage or Channels("vpc1"), timeout=TIMEOUT)


def plain(port: int) -> Target:
    return rest(f"http://127.0.0.1:{port}/")


def secure(port: int) -> Target:
    return rest(f"https://127.0.0.1:{port}/")


def database(port: int) -> Target:
    return target(port=port, properties={"sslmode": "require"})


def mute(_: bytes) -> None:
    return None


# -- where packets cannot be kept small -------------------------------------------------------------------------------

_NO_ROUTER = b"HTTP/1.1 405 Method Not Allowed\r\n\r\n"


@pytest.mark.parametrize(
    ("reply", "of"),
    [
        pytest.param(lambda said: b"S" if len(said) == 8 else None, database, id="nothing after the word for TLS"),
        pytest.param(lambda said: _NO_ROUTER if said.startswith(b"HEAD") else None, plain, id="no page, but a head"),
        pytest.param(lambda said: None if said[0] == 0x16 else b"", secure, id="hangs up on small questions"),
        pytest.param(
            lambda said: None if said[0] == 0x16 else b"\x15\x03\x01\0\2\2\x0a", secure, id="an alert, no certificate"
        ),
    ],
)
async def test_a_large_packet_may_have_vanished_where_small_ones_pass(
    reply: Callable[[bytes], bytes | None], of: Callable[[int], Target]
) -> None:
    verdict = await judged(reply, of)
    assert (verdict.cause, set(verdict.alternatives)) == ("INCONCLUSIVE", {"PEER.MUTE", "ROUTE.MTU"}), verdict
    assert "ping -M do -s 1472 127.0.0.1" in verdict.remedy


@pytest.mark.parametrize("of", [target, plain, secure, database])
async def test_a_peer_that_lets_small_questions_wait_too_is_mute(of: Callable[..., Target]) -> None:
    assert (await judged(mute, lambda port: of(port=port))).cause == "PEER.MUTE"


async def test_a_peer_that_hangs_with_small_packets_as_well_is_mute() -> None:
    reply = lambda said: b"S" if len(said) == 8 else None  # noqa: E731
    assert (await judged(reply, database, LocalVantage())).cause == "PEER.MUTE"


# -- TLS that is not there --------------------------------------------------------------------------------------------


def _reads_lines(said: bytes) -> bytes | None:
    return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" if said.endswith(b"\r\n\r\n") else None


async def test_a_plain_server_that_waits_for_the_end_of_the_line_has_no_tls() -> None:
    verdict = await judged(_reads_lines, secure, LocalVantage())
    assert (verdict.cause, verdict.state) == ("TLS.NOT_OFFERED", "ConfigError"), verdict
    assert "http://" in verdict.remedy
    assert verdict.elapsed_ms < TIMEOUT * 1000 * 0.8, "it need not wait to the end"


async def test_a_tls_server_that_scolds_in_clear_has_tls() -> None:
    def scolds(said: bytes) -> bytes | None:
        return None if said[0] == 0x16 else _reads_lines(said)

    assert (await judged(scolds, secure, LocalVantage())).cause == "PEER.MUTE"


@pytest.mark.parametrize("mode", ["disable", "require"])
@pytest.mark.parametrize(
    ("reply", "causes"),
    [
        (b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", {"TLS.REQUIRED"}),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", {"PROTO.MISMATCH", "PEER.RESET_EARLY"}),
    ],
    ids=["the right protocol inside", "another protocol inside"],
)
async def test_a_port_that_speaks_tls_from_its_first_byte(mode: str, reply: bytes, causes: set[str]) -> None:
    async with listening(answers(lambda _: reply), ssl=server_context()) as port:
        verdict = await check(target(port=port, properties={"sslmode": mode}), LocalVantage(), timeout=TIMEOUT)
    assert verdict.cause in causes, verdict
    assert ("from its first byte" in verdict.message) == (verdict.cause == "TLS.REQUIRED")


@pytest.mark.parametrize("protocol", ["ftp", "ftps"])
async def test_a_server_that_greets_inside_of_tls_only_is_asked_in_tls(protocol: str) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await writer.drain()
        await reader.read(100)

    async with listening(greet, ssl=server_context()) as port:
        found = await verdict_at(port, "ftp", {"protocol": protocol, "username": "app"}, timeout=TIMEOUT)
    assert (found.cause, "implicit_ssl" in found.remedy) == ("TLS.REQUIRED", True), found


# -- somebody who accepts for everybody -------------------------------------------------------------------------------

_ROUTED = {"gateway": "10.0.0.1", "device": "eth0", "neighbour": "REACHABLE"}
_ON_LINK = {"gateway": None, "device": "eth0", "neighbour": "REACHABLE"}


class _Open:
    received = 0

    def close(self) -> None:
        pass


class Place(LocalVantage):
    """A place where a connect to an address that nobody has ends as told, and neighbours are looked up slowly."""

    def __init__(self, ends: Exception | None, ways: tuple[Mapping[str, Any], Mapping[str, Any]]) -> None:
        super().__init__(f"place {id(self)}")
        self._ends = ends
        self._ways = dict(zip(("10.0.0.2", "192.0.2.1"), ways, strict=True))

    async def neighbour(self, address: str) -> Mapping[str, Any]:
        await asyncio.sleep(0.1)
        return self._ways[address]

    async def connect(self, *_: Any, **__: Any) -> Any:
        if self._ends is not None:
            raise self._ends
        stream: Stream = _Open()  # type: ignore[assignment]
        return stream


@pytest.mark.parametrize(
    ("ends", "ways", "seen"),
    [
        pytest.param(None, (_ROUTED, _ROUTED), {"accepts_for_everybody": "192.0.2.1"}, id="a proxy on the way"),
        pytest.param(None, (_ON_LINK, _ROUTED), {}, id="passes nobody"),
        pytest.param(None, (_ROUTED, {**_ROUTED, "gateway": "10.0.0.9"}), {}, id="another way"),
        pytest.param(None, ({}, _ROUTED), {"acceptance_unheard": True}, id="our way is not known"),
        pytest.param(None, (_ROUTED, {}), {"acceptance_unheard": True}, id="its way is not known"),
        pytest.param(ConnectFailed(errno="EHOSTUNREACH"), (_ROUTED, {}), {}, id="refused"),
        pytest.param(ConnectFailed(silent=True, waited_ms=51), (_ROUTED, _ROUTED), {}, id="silent all the time"),
        pytest.param(
            ConnectFailed(silent=True, waited_ms=0), (_ROUTED, _ROUTED), {"acceptance_unheard": True}, id="not asked"
        ),
    ],
)
async def test_only_a_witness_that_was_heard_counts(
    ends: Exception | None, ways: tuple[Mapping[str, Any], Mapping[str, Any]], seen: Mapping[str, Any]
) -> None:
    place = Place(ends, ways)
    assert await witnesses.of_acceptance(place, "10.0.0.2", 5432, Budget.of(1), overdue=0.05) == seen


async def test_a_witness_that_was_not_heard_excludes_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unheard(*_: Any) -> dict[str, Any]:
        return {"acceptance_unheard": True}

    monkeypatch.setattr(witnesses, "of_acceptance", unheard)
    verdict = await judged(mute, lambda port: target(port=port))
    assert (verdict.cause, set(verdict.alternatives)) == ("INCONCLUSIVE", {"PEER.MUTE", "FILTER.EGRESS"}), verdict
