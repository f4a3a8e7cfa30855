"""What a place sees of its own network, against what is declared of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from registry.network import Network
from registry.verdict import Stage, State, Status, Verdict
from tasks.budget import Budget
from tasks.networks.observation import Observed, Seen, compare, observe, seen_by_servers
from tasks.vantages import Resolution
from tasks.vantages.local import LocalVantage
from tests.tasks.support import listening


class Here(LocalVantage):
    """This machine, whose name servers are not asked."""

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        if host.startswith("headwater"):
            return Resolution((), {"nameservers": ["127.0.0.53"]})
        return await super().resolve(host, budget)


NAT = {"type": "serverless", "vswitch_cidrs": ["10.77.1.0/24"], "nat_eips": ["8.8.8.1"], "canaries": ["9.9.9.9:53"]}
NO_NAT = {**NAT, "nat_eips": []}
ANSWERS, SILENT = {"9.9.9.9:53": True}, {"9.9.9.9:53": False}
INTERNAL, PUBLIC, OUT, DNS = range(4)


@pytest.mark.parametrize(
    ("network", "observed", "fact", "agrees", "advice"),
    [
        (NAT, Observed(own=("10.77.1.2",)), INTERNAL, True, ""),
        (NAT, Observed(own=("172.17.0.2",)), INTERNAL, False, "network.vswitch_cidrs"),
        (NAT, Observed(own=("10.77.1.2", "fd77:1::2")), INTERNAL, True, ""),
        # What servers saw counts more than our own address, which a NAT may change.
        (NAT, Observed(own=("172.17.0.2",), seen=(Seen("10.77.1.9", "w/s/dev", False, ""),)), INTERNAL, True, ""),
        ({}, Observed(own=("10.77.1.2",)), INTERNAL, None, "declare network.vswitch_cidrs"),
        (NAT, Observed(echo="8.8.8.1"), PUBLIC, True, ""),
        (NAT, Observed(echo="8.8.4.4"), PUBLIC, False, "8.8.4.4 is not declared: correct network.nat_eips"),
        (NAT, Observed(echo="8.8.8.1", seen=(Seen("8.8.4.4", "w/s/dev", True, ""),)), PUBLIC, False, "8.8.4.4"),
        (NO_NAT, Observed(echo="8.8.4.4"), PUBLIC, False, "declared to have none"),
        ({"type": "exclusive", "eips": ["8.8.8.1"]}, Observed(echo="8.8.4.4"), PUBLIC, False, "network.eips"),
        (NAT, Observed(), PUBLIC, None, ""),
        (NAT, Observed(canaries=ANSWERS), OUT, True, ""),
        (NAT, Observed(canaries=SILENT), OUT, False, "SNAT"),
        (NO_NAT, Observed(canaries=SILENT), OUT, True, ""),
        (NO_NAT, Observed(canaries=ANSWERS), OUT, False, "there is a way out"),
        (NO_NAT, Observed(echo="8.8.4.4"), OUT, None, ""),
        ({**NAT, "dns_servers": ["10.0.0.53"]}, Observed(nameservers=("10.0.0.53",)), DNS, True, ""),
        ({**NAT, "dns_servers": ["10.0.0.53"]}, Observed(nameservers=("10.9.9.9",)), DNS, False, "10.9.9.9 is asked"),
        (NAT, Observed(nameservers=("10.9.9.9",)), DNS, None, "declare network.dns_servers"),
    ],
)  # fmt: skip
def test_declared_beside_observed(
    network: dict[str, Any], observed: Observed, fact: int, agrees: bool | None, advice: str
) -> None:
    given = {**network, "canaries": network.get("canaries", []) if observed.canaries else []}
    found = compare(Network.model_validate(given), observed)[fact]
    assert found.agrees is agrees, found
    assert advice in found.advice


def test_what_servers_saw_is_read_off_the_verdicts() -> None:
    def verdict(address: str, told: str) -> Verdict:
        stages = [
            Stage("connect", Status.PASSED, "", 1.0, {"address": address}),
            Stage("privilege", Status.PASSED, "", 1.0, {"source_address_seen_by_server": told}),
        ]
        return Verdict(
            workspace="w", source="s", type="mysql", env="dev", resource_group="g", state=State.CONNECTABLE,
            stages=stages, started_at="2026-01-01T00:00:00Z", elapsed_ms=1.0,
        )  # fmt: skip

    found = seen_by_servers(
        [verdict("10.9.0.1", "10.77.1.2"), verdict("9.9.9.9", "8.8.8.1"), verdict("127.0.0.1", "127.0.0.1"),
         verdict("10.9.0.1", "client.example")]
    )  # fmt: skip
    assert [(one.address, one.public) for one in found] == [("10.77.1.2", False), ("8.8.8.1", True)]


async def _observe(answer: bytes, **declared: Any) -> Observed:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with listening(serve) as port:
        network = Network.model_validate({"echo_url": f"http://127.0.0.1:{port}/ip", **declared})
        return await observe(Here(), network, timeout=3)


@pytest.mark.parametrize(
    ("body", "address"),
    [
        (b"8.8.8.9\n", "8.8.8.9"),
        (b"2001:DB8::9", "2001:db8::9"),
        (b"::ffff:8.8.8.9", "8.8.8.9"),
        (b'{"ip": "8.8.8.9"}', None),
        (b"<html>8.8.8.9</html>", None),
        (b"8.8.8.9" + b" " * 100, None),
        (b"", None),
    ],
)
async def test_an_echo_answers_with_an_address_and_nothing_else(body: bytes, address: str | None) -> None:
    observed = await _observe(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + body)
    assert observed.echo == address
    assert bool(observed.echo_failed) == (address is None)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\n\r\n8.8.8.9", b"SSH-2.0-x\r\n\r\n8.8.8.9", b""])
async def test_what_is_no_good_answer_is_no_address(answer: bytes) -> None:
    observed = await _observe(answer)
    assert observed.echo is None
    assert observed.echo_failed


async def test_an_echo_that_tests_may_not_be_aimed_at_is_not_asked() -> None:
    observed = await observe(Here(), Network(echo_url="http://169.254.169.254/latest"), timeout=2)
    assert "169.254.169.254" in observed.echo_failed


async def test_canaries_are_asked_from_the_place() -> None:
    async def serve(_reader: Any, writer: Any) -> None:
        writer.close()

    async with listening(serve) as port:
        network = Network.model_validate({"canaries": [f"127.0.0.1:{port}", "127.0.0.1:1"]})
        observed = await observe(Here(), network, timeout=3)
    assert observed.nameservers == ("127.0.0.53",)
    assert observed.canaries == {f"127.0.0.1:{port}": True, "127.0.0.1:1": False}
