"""One SSH connection for everybody: many checks through it, a hop that hangs, a connection that is lost."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from registry import types
from registry.connection import Mode
from registry.verdict import Verdict
from tasks.budget import Budget
from tasks.check import check
from tasks.fleet import check_all
from tasks.streams import StreamBroken
from tasks.target import Target
from tasks.vantages import ConnectFailed, VantageFailed
from tasks.vantages.ssh import SshVantage, open_vantage
from tests.lab.hops import HUB, Hop
from tests.lab.lab import Lab
from tests.lab.servers import PASSWORD


def _target(host: str, port: int = 5432, name: str = "orders") -> Target:
    kind = types.get("postgresql")
    entry = {"address": [{"host": host, "port": port}], "database": "shop", "username": "app", "password": "env:X"}
    connection = kind.modes[Mode.CONNECTION_STRING].model_validate(entry)
    return Target(
        workspace="lab", source=name, type=kind.name, env="dev", resource_group="client",
        protocol=kind.protocol_of(connection), default_port=kind.default_port, connection=connection,
        secrets=lambda: {"password": SecretStr(PASSWORD)},
    )  # fmt: skip


@pytest.fixture
def hop(lab: Lab) -> Hop:
    return lab.hops.at("client", own="connection")


@pytest.fixture
def hub(lab: Lab, hop: Hop) -> Iterator[None]:
    with lab.inside(HUB):
        yield


def _vantage(hop: Hop, **changes: Any) -> SshVantage:
    return open_vantage("client", hop.settings(**changes))


async def test_500_checks_through_one_connection(lab: Lab, hop: Hop, hub: None) -> None:
    targets = [_target(lab.postgresql().v4, name=f"orders{number}") for number in range(500)]
    before, started = hop.connections(), time.perf_counter()
    vantage = _vantage(hop)
    try:
        states = Counter([verdict.state.value async for verdict in check_all(targets, vantage, timeout=10)])
    finally:
        await vantage.close()
    print(f"500 checks in {time.perf_counter() - started:.1f} s")
    assert states == {"Connectable": 500}
    assert hop.connections() - before == 1
    assert vantage.hop.opened == 1


async def test_500_connections_at_the_same_time(lab: Lab, hop: Hop, hub: None) -> None:
    with lab.listener("mute", 5432) as listener:
        vantage = _vantage(hop, max_channels=500)
        budget = Budget.of(20)
        streams = await asyncio.gather(
            *(vantage.connect(listener.host, 5432, budget, conversation=budget) for _ in range(500))
        )
        assert vantage.hop.opened == 1
        for stream in streams:
            stream.close()
        await vantage.close()


async def test_no_more_channels_than_allowed(lab: Lab, hop: Hop, hub: None) -> None:
    with lab.listener("mute", 5432) as listener:
        vantage = _vantage(hop, max_channels=3)
        streams = [
            await vantage.connect(listener.host, 5432, Budget.of(5), conversation=Budget.of(9)) for _ in range(3)
        ]
        with pytest.raises(ConnectFailed) as refused:
            await vantage.connect(listener.host, 5432, Budget.of(0.5), conversation=Budget.of(5))
        assert refused.value.evidence == {"silent": True, "waited_ms": 0}, "no answer was owed yet"
        streams[0].close()
        (await vantage.connect(listener.host, 5432, Budget.of(5), conversation=Budget.of(5))).close()
        await vantage.close()


async def test_500_checks_of_a_hop_that_hangs_end_together(lab: Lab, hop: Hop, hub: None) -> None:
    vantage = _vantage(hop)
    targets = [_target("10.77.2.10", name=f"orders{number}") for number in range(500)]
    with lab.hops.unplugged("client"):
        started = time.perf_counter()
        verdicts = [verdict async for verdict in check_all(targets, vantage, timeout=2)]
        took = time.perf_counter() - started
        await vantage.close()
    assert {verdict.cause for verdict in verdicts} == {"TUNNEL.UNREACHABLE"}
    assert max(verdict.elapsed_ms for verdict in verdicts) <= 2500
    assert took < 6, f"took {took:.1f} s: they did not wait together"


async def test_a_hop_that_stops_answering_under_the_checks(lab: Lab, hop: Hop, hub: None) -> None:
    vantage = _vantage(hop)
    assert (await check(_target(lab.postgresql().v4), vantage)).cause is None
    with lab.hops.unplugged("client"):
        verdicts = await asyncio.gather(*(check(_target(lab.postgresql().v4), vantage, timeout=3) for _ in range(20)))
    assert {verdict.cause for verdict in verdicts} == {"TUNNEL.UNREACHABLE"}, _told(verdicts[0])
    assert max(verdict.elapsed_ms for verdict in verdicts) <= 3500
    assert (await check(_target(lab.postgresql().v4), vantage)).cause is None, "it is entered anew"
    await vantage.close()


async def test_a_hop_that_stops_answering_in_mid_conversation(lab: Lab, hop: Hop, hub: None) -> None:
    vantage = _vantage(hop)
    with lab.listener("mute", 5432) as listener:
        stream = await vantage.connect(listener.host, 5432, Budget.of(3), conversation=Budget.of(2))
        with lab.hops.unplugged("client"), pytest.raises(VantageFailed) as hangs:
            await stream.receive()
    assert hangs.value.evidence["tunnel"] == "hangs"
    await vantage.close()


async def test_a_connection_without_a_word_is_kept_alive_or_given_up(lab: Lab, hop: Hop, hub: None) -> None:
    vantage = _vantage(hop, keepalive_s=0.2)
    channels = await vantage.hop.channels(Budget.of(3))
    await asyncio.sleep(1)
    assert not channels.lost.is_set(), "the server answers when it is asked"
    with lab.hops.unplugged("client"):
        async with asyncio.timeout(3):
            await channels.lost.wait()
    await vantage.close()


async def test_a_lost_connection_is_opened_again(lab: Lab, hop: Hop, hub: None) -> None:
    vantage = _vantage(hop)
    target = _target(lab.postgresql().v4)
    assert (await check(target, vantage)).cause is None
    hop.cut()
    await asyncio.sleep(0.3)
    assert (await check(target, vantage)).cause is None
    assert vantage.hop.opened == 2
    await vantage.close()


async def test_a_connection_lost_in_mid_conversation_is_not_the_targets_fault(lab: Lab, hop: Hop, hub: None) -> None:
    vantage = _vantage(hop)
    with lab.listener("mute", 5432) as listener:
        under_way = asyncio.create_task(check(_target(listener.host), vantage, timeout=4))
        stream = await vantage.connect(listener.host, 5432, Budget.of(3), conversation=Budget.of(3))
        await asyncio.sleep(0.5)
        hop.cut()
        with pytest.raises(VantageFailed) as lost:
            await stream.receive()
        verdict = await under_way
    assert lost.value.evidence["tunnel"] == "lost"
    assert (verdict.cause, verdict.state.value) == ("TUNNEL.UNREACHABLE", "Unsupport"), _told(verdict)
    assert "broke off" in verdict.message
    await vantage.close()


async def test_a_refused_key_is_not_tried_again_at_once(lab: Lab, hop: Hop, hub: None) -> None:
    vantage = _vantage(hop, private_key=f"file:{lab.hops.strange_key}")
    before = hop.log.read_text().count("Connection from")
    verdicts = [await check(_target("10.77.2.10"), vantage) for _ in range(5)]
    assert {verdict.cause for verdict in verdicts} == {"TUNNEL.AUTH"}
    assert hop.log.read_text().count("Connection from") - before == 1
    await vantage.close()


@pytest.fixture
def agent(lab: Lab, hop: Hop, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An agent with two keys, of which the second one is right."""
    socket = hop.folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    while not socket.exists():
        time.sleep(0.02)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    for key in (lab.hops.strange_key, lab.hops.key):
        subprocess.run(["ssh-add", "-q", str(key)], check=True, stderr=subprocess.DEVNULL)
    yield
    process.terminate()
    process.wait()


async def test_an_agent_lets_in(lab: Lab, hop: Hop, agent: None, hub: None) -> None:
    vantage = _vantage(hop, private_key=None, agent=True)
    assert (await check(_target(lab.postgresql().v4), vantage)).cause is None
    await vantage.close()


async def test_many_questions_where_one_session_at_a_time_is_allowed(lab: Lab, hub: None) -> None:
    vantage = _vantage(lab.hops.at("client", own="few", lines=["MaxSessions 1"]))
    hosts = [lab.network.host().v4 for _ in range(3)]
    asked = [check(_target(host), vantage) for host in hosts for _ in range(4)]
    verdicts = await asyncio.gather(*asked)
    assert {verdict.cause for verdict in verdicts} == {"PORT.CLOSED"}, _told(verdicts[0])
    await vantage.close()


async def test_a_stream_ends_as_its_peer_does(lab: Lab, hop: Hop, hub: None) -> None:
    vantage = _vantage(hop)
    for kind, ends in (("close", "eof"), ("reset", "eof"), ("mute", "silent")):
        with lab.listener(kind, 5432, wait=True) as listener:  # else an RST may be what the far side's connect is told
            stream = await vantage.connect(listener.host, 5432, Budget.of(3), conversation=Budget.of(0.5))
            await stream.send(b"?")
            with pytest.raises(StreamBroken) as broken:
                await stream.receive()
            stream.close()
        assert broken.value.kind == ends, f"{kind}: all that SSH tells of an RST is an end of file"
        assert broken.value.mute == (kind == "mute")
    await vantage.close()


async def test_a_unix_socket_at_the_far_side(lab: Lab, hop: Hop, hub: None) -> None:
    server, vantage = lab.redis(), _vantage(hop)
    server.socket.chmod(0o777)
    budget = Budget.of(3)
    stream = await vantage.connect(str(server.socket), 0, budget, conversation=budget)
    await stream.send(b"PING\r\n")
    assert (await stream.receive()).startswith((b"+PONG", b"-NOAUTH"))
    assert stream.local_address() == "unix"
    with pytest.raises(ConnectFailed) as missing:
        await vantage.connect("/no/such/socket", 0, budget, conversation=budget)
    assert missing.value.evidence["errno"] == "ENOENT"
    await vantage.close()


async def test_what_ssh_cannot_do_is_said(hop: Hop, hub: None) -> None:
    vantage, budget = _vantage(hop), Budget.of(3)
    assert await vantage.exchange("10.77.2.53", 53, b"", budget) is None
    with pytest.raises(ConnectFailed) as unsupported:
        await vantage.connect("10.77.2.10", 5432, budget, conversation=budget, largest_segment=500)
    assert unsupported.value.evidence == {"unsupported": True}
    await vantage.close()


async def test_large_answers_in_both_directions(lab: Lab, hop: Hop, hub: None) -> None:
    """More than one window of a channel passes each way."""
    server, vantage = lab.redis(), _vantage(hop)
    budget = Budget.of(20)
    stream = await vantage.connect(server.v4, 6379, budget, conversation=budget)
    await stream.send(f"AUTH {PASSWORD}\r\n".encode())
    assert await stream.receive() == b"+OK\r\n"
    size = 5_000_000
    await stream.send(f"*2\r\n$4\r\nECHO\r\n${size}\r\n".encode() + b"x" * size + b"\r\n")
    got = 0
    while got < size:
        got += len(await stream.receive())
    stream.close()
    await vantage.close()


def _told(verdict: Verdict) -> str:
    return verdict.model_dump_json(indent=1)
