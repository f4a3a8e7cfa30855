"""The SSH vantage: another machine's network, through its SSH server. Nothing is installed there.

TCP goes through channels of one connection; names, routes and neighbours are asked of the machine's own files and
POSIX commands, where it lets us run any. Conversations are spoken from here, so credentials never lie there.
"""

from __future__ import annotations

import contextlib
import ipaddress
import shlex
import time
from collections.abc import Mapping
from typing import Any

from registry.groups import SshSettings
from tasks.budget import Budget, under_way
from tasks.resolver import SystemResolver
from tasks.ssh.channels import Channel, ChannelRefused
from tasks.vantages import ConnectFailed, Resolution, Route, Vantage, VantageFailed
from tasks.vantages.local import LocalVantage
from tasks.vantages.ssh.hop import Hop
from tasks.vantages.ssh.names import FarFiles, TunnelWire
from tasks.vantages.ssh.refusals import Refusals
from tasks.vantages.ssh.shell import Batch, Shell
from tasks.vantages.ssh.tables import ERRNO, Echo, Way, echo, icmp_evidence, neighbour_state, way, way_in_proc

#: Seconds for a question of which the asker has set no limit.
_PATIENCE = 3.0
#: Seconds for which a route counts as looked up.
_FRESH = 1.0
#: The part of a check's time that a question about routes or neighbours may take.
_SHARE = 0.4
#: The part of the time for connecting that is left for telling why it was refused.
_REASONS = 0.9
#: Echoes after a refusal: routers send few ICMP messages a second, and the connect has used one up.
_ECHOES = 2
#: Documentation addresses (RFC 5737, 3849): outside every private network, so only a default route covers them.
_WAYS_OUT = {"ipv4": "203.0.113.1", "ipv6": "2001:db8::1"}


def open_vantage(name: str, settings: Mapping[str, Any], *, public_key: str | None = None) -> SshVantage:
    """The vantage of a resource group of kind ``ssh``. Nothing is connected yet."""
    chosen = SshSettings.model_validate(settings)
    base: Vantage = LocalVantage(name)
    common: dict[str, Any] = {"seconds": chosen.connect_timeout_s, "keepalive": chosen.keepalive_s}
    if chosen.jump is not None:
        base = SshVantage(name, Hop(name, chosen.jump, base, role="jump host", most=8, **common))
    return SshVantage(name, Hop(name, chosen, base, role="SSH host", most=chosen.max_channels, **common))


class SshVantage:
    """Looks out from the machine behind a hop."""

    kind = "ssh"

    def __init__(self, name: str, hop: Hop) -> None:
        self.name = name
        self.hop = hop
        self._shell = shell = Shell(hop.channels)
        self._resolver = SystemResolver(FarFiles(shell, hop.channels, hop.failure), TunnelWire(shell, hop.channels))
        self._ways = Batch(self._look_up_ways)
        self._neighbours = Batch(self._look_up_neighbours)
        self._echoes = Batch(self._ping)
        self._refusals = Refusals(shell, self._connect_again)
        self._sources: dict[str, str] = {}
        self._known_ways: dict[str, tuple[float, Way | None]] = {}

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        return await self._resolver.resolve(host, budget)

    # -- connecting -------------------------------------------------------------------------------------------------

    async def connect(
        self, address: str, port: int, budget: Budget, *, conversation: Budget, largest_segment: int | None = None
    ) -> Channel:
        if largest_segment is not None:
            raise ConnectFailed(unsupported=True)
        started = time.monotonic()
        try:
            channel = await self._open(address, port, budget, conversation)
        except ChannelRefused as refused:
            raise await self._refusal(address, port, refused, budget, time.monotonic() - started) from None
        except TimeoutError as late:
            waited = late.args[0] if late.args else 0.0
            raise ConnectFailed(silent=True, waited_ms=round(waited * 1000)) from None
        channel.source_address = "unix" if address.startswith("/") else self._sources.get(address, "")
        return channel

    async def _open(self, address: str, port: int, budget: Budget, conversation: Budget) -> Channel:
        channels = await self.hop.channels(budget)
        times = {"budget": budget, "conversation": conversation}
        if address.startswith("/"):
            # OpenSSH's PROTOCOL file, section 2.4: the path and two reserved fields.
            return await channels.open("direct-streamlocal@openssh.com", address.encode(), b"", 0, **times)
        return await channels.open("direct-tcpip", address.encode(), port, b"127.0.0.1", 0, **times)

    async def _connect_again(self, address: str, port: int, budget: Budget) -> None:
        with contextlib.suppress(ChannelRefused, TimeoutError):
            (await self._open(address, port, budget, budget)).close()

    async def _refusal(
        self, address: str, port: int, refused: ChannelRefused, budget: Budget, seconds: float
    ) -> ConnectFailed | VantageFailed:
        """The cause behind a channel that was refused: the hop's, or the target's as seen from there."""
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        told = {"channel_code": refused.code, "far_error": refused.description or None}
        if refused.code != 2:
            unix = address.startswith("/")
            if unix and refused.code == 3:
                return ConnectFailed(unsupported=True, **told)
            kind = {1: "forward_denied", 3: "forward_unknown", 4: "shortage"}.get(refused.code, "forward_denied")
            return self.hop.failure(kind, forward_target=address if unix else target, **told)
        errno = ERRNO.get(refused.description)
        if errno == "ETIMEDOUT":
            return ConnectFailed(silent=True, waited_ms=round(seconds * 1000), **told)
        if address.startswith("/"):
            return ConnectFailed(**told, errno=errno or await self._socket_file(address, budget))
        return ConnectFailed(**told, **await self._second_look(address, port, errno, budget))

    async def _second_look(self, address: str, port: int, errno: str | None, budget: Budget) -> dict[str, Any]:
        """Parts what looks alike in a refusal; ``refusal_unclear`` where that is not to be had."""
        if errno in (None, "ECONNREFUSED"):
            by = await self._refusals.told_apart(address, port, budget.within(_REASONS))
            if by == "rst" and (errno or not _gone(await self.neighbour(address))):
                return {"errno": "ECONNREFUSED", "refused_by": "rst"}
            if by == "icmp" and errno:
                return {"errno": errno, "refused_by": "icmp", "icmp_type": 1 if ":" in address else 3}
            if errno:
                return {"errno": errno, "refusal_unclear": True}
        neighbour = dict(await self.neighbour(address))
        if _gone(neighbour):
            return {"errno": errno or "EHOSTUNREACH", **neighbour}
        told = {"errno": errno, **neighbour}
        for _ in range(_ECHOES):
            seen = await self._echoes.ask(address, budget.within(_REASONS)) or Echo()
            found = icmp_evidence(seen, errno, ":" in address, self._sources.get(address)) if errno else {}
            if found or seen.answered:
                return {**told, **found, "answers_ping": seen.answered}
        return {**told, "answers_ping": seen.answered, "refusal_unclear": True}

    async def _socket_file(self, path: str, budget: Budget) -> str | None:
        """Why no server answers behind a socket file, as the file itself tells."""
        file = shlex.quote(path)
        script = (
            f"{self._shell.section('file')}if [ ! -e {file} ]; then echo ENOENT\n"
            f"elif [ ! -w {file} ]; then echo EACCES\nelse echo ECONNREFUSED\nfi\n"
        )
        sections = await self._shell.run(script, budget)
        return sections.get("file") if sections else None

    async def exchange(self, address: str, port: int, datagram: bytes, budget: Budget) -> bytes | None:
        return None  # SSH forwards no datagrams

    # -- the far machine's tables -----------------------------------------------------------------------------------

    async def route(self, address: str) -> Route:
        found = await self._way(address)
        if found is None:
            return Route()
        if found.source:
            self._sources[address] = found.source
        return Route(source_address=found.source, error=found.error, broadcast=found.broadcast)

    async def _way(self, address: str) -> Way | None:
        # Whether the hop lets us in is told by whoever asks first, and within the time of the check.
        await self.hop.channels(under_way(_PATIENCE))
        taken, found = self._known_ways.get(address, (0.0, None))
        if found is None or time.monotonic() - taken > _FRESH:
            found = await self._ways.ask(_plain(address), under_way(_PATIENCE).within(_SHARE))
            self._known_ways[address] = (time.monotonic(), found)
        return found

    async def way_out(self) -> Mapping[str, Any]:
        ways = {family: await self._way(address) for family, address in _WAYS_OUT.items()}
        return {family: found.error is None for family, found in ways.items() if found is not None}

    async def neighbour(self, address: str) -> Mapping[str, Any]:
        return await self._neighbours.ask(_plain(address), under_way(_PATIENCE).within(_SHARE)) or {}

    async def answers_ping(self, address: str, budget: Budget) -> bool | None:
        seen = await self._echoes.ask(_plain(address), budget)
        return seen.answered if seen is not None else None  # what was not heard in time may have been answered

    async def _look_up_ways(self, addresses: list[str]) -> Mapping[str, Way]:
        section = self._shell.section
        asked = "".join(f"{section(address)}ip route get {address} 2>&1\n" for address in addresses)
        script = (
            f"if command -v ip >/dev/null 2>&1; then\n{asked}:\nelse\n"
            f"{section('ipv4')}cat /proc/net/route\n{section('ipv6')}cat /proc/net/ipv6_route\nfi\n"
        )
        sections = await self._shell.run(script, Budget.of(_PATIENCE)) or {}
        if "ipv4" in sections:
            tables = sections["ipv4"], sections.get("ipv6", "")
            found = {address: way_in_proc(address, *tables) for address in addresses}
        else:
            found = {address: way(sections.get(address, "")) for address in addresses}
        return {address: one for address, one in found.items() if one is not None}

    async def _look_up_neighbours(self, addresses: list[str]) -> Mapping[str, Mapping[str, Any]]:
        ways = await self._look_up_ways(addresses)
        section = self._shell.section
        script = f"{section('neigh')}ip neigh show 2>/dev/null\n{section('arp')}cat /proc/net/arp 2>/dev/null\n"
        sections = await self._shell.run(script, Budget.of(_PATIENCE)) or {}
        found: dict[str, Mapping[str, Any]] = {}
        for address, one in ways.items():
            if one.device is None:
                continue
            hop = one.gateway or address
            state = neighbour_state(hop, one.device, sections.get("neigh", ""), sections.get("arp", ""))
            if state is not None:
                found[address] = {"gateway": one.gateway, "device": one.device, "neighbour": state}
        return found

    async def _ping(self, addresses: list[str]) -> Mapping[str, Echo]:
        """One echo to each, all at the same time; each answer goes to a variable of a shell of its own."""
        section = self._shell.section
        each = "".join(
            f"( answer=$(ping {'-6 ' if ':' in address else ''}-n -c 1 -W 1 {address} 2>&1)\n"
            f"  printf '%s\\n' \"$({section(address).rstrip()}; printf '%s' \"$answer\")\" ) &\n"
            for address in addresses
        )
        script = f"if command -v ping >/dev/null 2>&1; then\n{each}wait\nfi\n"
        sections = await self._shell.run(script, Budget.of(_PATIENCE)) or {}
        return {address: echo(sections[address], ":" in address) for address in addresses if address in sections}

    async def close(self) -> None:
        await self.hop.close()


def _plain(address: str) -> str:
    """An address as it may stand on a command line: a number, without its zone. Raises `ValueError`."""
    return str(ipaddress.ip_address(address.partition("%")[0]))


def _gone(neighbour: Mapping[str, Any]) -> bool:
    return neighbour.get("neighbour") in ("FAILED", "INCOMPLETE")
