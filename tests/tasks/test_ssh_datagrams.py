"""Questions over UDP by the tools of a machine: a real shell asks real sockets, in place of one behind SSH."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import pytest

from tasks import causes
from tasks.budget import Budget
from tasks.evidence import matches
from tasks.resolver import OnlyTruncatedError, ResolverTexts, SystemResolver
from tasks.vantages import Resolution
from tasks.vantages.ssh.datagrams import Datagrams
from tasks.vantages.ssh.names import TunnelWire
from tasks.vantages.ssh.shell import Shell

#: What a datagram may not be split or cut at.
_AWKWARD = b"one\ntwo\x00%s\\x41'\"$(id)`id`\r\n" + bytes(range(256))


class _Here(Shell):
    """Runs scripts on this machine, with these commands only where a path is given."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(_nowhere)
        self._path = str(path or os.environ["PATH"])

    async def run(self, script: str, budget: Budget) -> Mapping[str, str] | None:
        shell = await asyncio.create_subprocess_exec(
            "/bin/sh", "-s", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={"PATH": self._path}
        )
        output, _ = await shell.communicate(script.encode())
        return self._parse(output.decode())


class _NoTcp:
    """Channels of a connection through which nothing gets to a name server."""

    async def open(self, *_: object, **__: object) -> Any:
        raise TimeoutError


async def _nowhere(_budget: Budget) -> Any:
    return _NoTcp()


def _commands(folder: Path, *names: str, **scripts: str) -> Path:
    """A folder with these commands of this machine, and these scripts."""
    for name in names:
        (folder / name).symlink_to(sys.executable if name == "python3" else str(shutil.which(name)))
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


class _Peer(asyncio.DatagramProtocol):
    def __init__(self, says: Any) -> None:
        self._says = says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if (said := self._says(data)) is not None:
            self._transport.sendto(said, addr)  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def _peer(says: Any, address: str = "127.0.0.1") -> AsyncIterator[int]:
    """A peer over UDP; gives its port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Peer(says), local_addr=(address, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("tools", [("bash", "dd", "timeout"), ("python3",)])
async def test_a_datagram_goes_as_it_is_and_its_answer_comes_back(
    tools: tuple[str, ...], address: str, tmp_path: Path
) -> None:
    datagrams = Datagrams(_Here(_commands(tmp_path, "od", "tr", *tools)))
    async with _peer(lambda data: data[::-1], address) as port:
        assert await datagrams.exchange(address, port, _AWKWARD, Budget.of(5)) == _AWKWARD[::-1]


@pytest.mark.parametrize("tools", [("bash", "dd", "timeout"), ("python3",)])
async def test_silence_and_refusal_are_told_apart(
    tools: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.vantages.ssh.datagrams._SPARE", 0.95)  # a busy machine takes its time to start tools
    datagrams = Datagrams(_Here(_commands(tmp_path, "od", "tr", *tools)))
    async with _peer(lambda _data: None) as port:
        with pytest.raises(TimeoutError):
            await datagrams.exchange("127.0.0.1", port, b"x", Budget.of(10))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await datagrams.exchange("127.0.0.1", port, b"x", Budget.of(5))


#: As BusyBox was built for small machines.
_WHOLE_SECONDS = """case $1 in *.*) echo "timeout: invalid number '$1'" >&2; exit 1;; esac; exec sleep "$1" """


@pytest.mark.parametrize("tools", [("bash", "dd"), ("bash", "dd", "python3")])
async def test_tools_that_do_not_start_are_no_refusal(tools: tuple[str, ...], tmp_path: Path) -> None:
    datagrams = Datagrams(_Here(_commands(tmp_path, "od", "tr", "sleep", *tools, timeout=_WHOLE_SECONDS)))
    async with _peer(lambda data: data) as port:
        answer = await datagrams.exchange("127.0.0.1", port, b"x", Budget.of(5))
    assert answer == (b"x" if "python3" in tools else None)


async def test_a_machine_without_tools_asks_nobody(tmp_path: Path) -> None:
    datagrams = Datagrams(_Here(_commands(tmp_path, "od", "tr")))
    assert await datagrams.exchange("127.0.0.1", 9, b"x", Budget.of(5)) is None
    assert datagrams.usable is False


# -- names ------------------------------------------------------------------------------------------------------------


def _truncated(data: bytes) -> bytes:
    response = dns.message.make_response(dns.message.from_wire(data))
    response.flags |= dns.flags.TC
    return response.to_wire()


class _Files:
    async def read(self) -> ResolverTexts:
        return ResolverTexts(resolv_conf="nameserver 127.0.0.1\n")


def _asserts(resolution: Resolution) -> str:
    """The cause that a resolution without an address asserts."""
    rows = [*causes.rules_before_answers(), *causes.rules_after_answers()]
    return next(code for code, row in rows if row.stage == "resolve" and matches(resolution.evidence, row.when))


async def _resolved(wire: TunnelWire, port: int, name: str = "db.example") -> Resolution:
    class Wire:
        async def ask(self, query: dns.message.Message, server: str, _port: int, seconds: float) -> Any:
            return await wire.ask(query, server, port, seconds)

        async def otherwise(self, host: str, budget: Budget) -> Resolution | None:
            return await wire.otherwise(host, budget)

    resolver = SystemResolver(_Files(), Wire())
    return await resolver.resolve(name, Budget.of(2))


async def test_an_answer_too_long_for_udp_where_tcp_is_dropped() -> None:
    async with _peer(_truncated) as port:
        wire = TunnelWire(_Here(), _nowhere)
        with pytest.raises(OnlyTruncatedError):
            await wire.ask(dns.message.make_query("db.example", "A"), "127.0.0.1", port, 1.0)
        resolution = await _resolved(wire, port)
    assert resolution.evidence["truncated"]
    assert _asserts(resolution) == "DNS.SERVER_FAILURE"


async def test_a_name_server_that_is_silent_over_udp_too_is_down() -> None:
    async with _peer(lambda _data: None) as port:
        assert _asserts(await _resolved(TunnelWire(_Here(), _nowhere), port)) == "DNS.RESOLVER_DOWN"


@pytest.mark.parametrize(("came", "code"), [(1, "INCONCLUSIVE"), (0, "DNS.RESOLVER_DOWN")])
async def test_without_tools_a_look_up_that_hangs_on_an_answer_is_no_proof_of_silence(
    came: int, code: str, tmp_path: Path
) -> None:
    """The machine's own look-up waits for TCP after an answer that was cut off; its counters tell that one came."""
    counted = f"if [ -e {tmp_path}/asked ]; then n={5 + came}; else n=5; fi; : >{tmp_path}/asked; echo Udp: $n"
    tools = _commands(
        tmp_path, "od", "tr", "sleep", cat=f"echo Udp: InDatagrams\n{counted}", getent="exec sleep 5"
    )  # fmt: skip
    resolution = await _resolved(TunnelWire(_Here(tools), _nowhere), 9)
    assert resolution.evidence["getent"] == "no end"
    assert _asserts(resolution) == code


async def test_where_datagrams_are_not_counted_nothing_is_said_of_name_servers_over_udp(tmp_path: Path) -> None:
    tools = _commands(tmp_path, "od", "tr", "sleep", cat="exit 1", getent="exit 2")
    resolution = await _resolved(TunnelWire(_Here(tools), _nowhere), 9)
    assert resolution.evidence["unheard_over_udp"]
    assert _asserts(resolution) == "INCONCLUSIVE"


async def test_without_tools_the_machine_looks_names_up_itself(tmp_path: Path) -> None:
    wire = TunnelWire(_Here(_commands(tmp_path, "od", "tr", "sleep", "cat", "getent")), _nowhere)
    await _resolved(wire, 9, "db.invalid")
    found = await wire.otherwise("localhost", Budget.of(2))
    assert found is not None
    assert set(found.addresses) & {"127.0.0.1", "::1"}
    assert found.evidence["from"] == "getent"
