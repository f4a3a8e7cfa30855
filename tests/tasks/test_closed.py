"""Servers whose protocol is not public: Unsupport after the connection, and another's protocol named."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from registry.verdict import State
from tasks.check import check
from tasks.vantages.local import LocalVantage
from tests.tasks.support import PASSWORD, hanging_up, listening, speaking
from tests.tasks.wired import target_of, verdict_at, verdict_over


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    heard.append(await reader.read(1000))
    await asyncio.sleep(9)


heard: list[bytes] = []


async def test_a_silent_server_is_told_as_untested_in_time() -> None:
    heard.clear()
    found = await verdict_over(silent, "dm", {"username": "app"}, timeout=4)
    assert (found.state, found.cause) == (State.UNSUPPORT, "DRIVER.MISSING")
    assert "untested" in found.message
    assert found.elapsed_ms < 4500
    assert PASSWORD.encode() not in b"".join(heard)


@pytest.mark.parametrize(
    ("first", "name"), [(b"SSH-2.0-x\r\n", "SSH"), (bytes.fromhex("4a0000000a382e302e333600") + bytes(70), "MySQL")]
)
async def test_a_server_that_speaks_first_is_another(first: bytes, name: str) -> None:
    found = await verdict_over(speaking(first), "dm", {"username": "app"})
    assert found.cause == "PROTO.MISMATCH"
    assert name in found.message


async def test_a_server_that_answers_http_is_another() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    assert (await verdict_over(web, "dm", {"username": "app"})).cause == "PROTO.MISMATCH"


async def test_a_server_that_hangs_up() -> None:
    assert (await verdict_over(hanging_up(0), "dm", {"username": "app"})).cause == "PEER.RESET_EARLY"


async def test_a_closed_port() -> None:
    assert (await verdict_at(1, "dm", {"username": "app"})).cause == "PORT.CLOSED"


@pytest.mark.parametrize(("interface", "cause"), [("lindorm", "DRIVER.MISSING"), ("mysql", "PEER.MUTE")])
async def test_lindorm_by_either_interface(interface: str, cause: str) -> None:
    async with listening(silent) as port:
        entry: dict[str, Any] = {"seedserver": f"127.0.0.1:{port}", "namespace": "shop", "username": "app"}
        target = target_of("lindorm", {**entry, "interface": interface}, password=PASSWORD)
        assert (await check(target, LocalVantage(), timeout=1)).cause == cause
