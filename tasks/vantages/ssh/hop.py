"""The way into the machine of an SSH vantage: one connection, opened when it is first needed and again when it is lost.

Every fault of the hop is a `VantageFailed`; its evidence under ``tunnel`` is what the causes `TUNNEL.*` read.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping
from typing import Any

from registry.groups import SshHop
from tasks.budget import Budget
from tasks.evidence import StageFailed
from tasks.ssh import SshConnection
from tasks.ssh.channels import Channels
from tasks.streams import Stream, StreamBroken
from tasks.vantages import ConnectFailed, Vantage, VantageFailed
from tasks.vantages.ssh.entry import Entry
from tasks.vantages.ssh.greeting import greet

#: The connection outlives the check that opened it.
_FOREVER = Budget(math.inf, math.inf)
#: Seconds for which a hop that let nobody in is not asked again: refused logins are counted there.
_REMEMBERED = 5.0
#: Seconds without an answer after which a hop counts as hanging.
_HANGS = 0.5
#: The part of a waiting check's time after which it says what the hop is at.
_PATIENCE = 0.95


def _through(hop: SshHop) -> str:
    """The option of ssh by which a person gets to a machine that is behind a jump host."""
    jump = getattr(hop, "jump", None)
    if jump is None:
        return ""
    host = f"[{jump.host}]" if ":" in jump.host else jump.host
    return f"-J {jump.username}@{host}{'' if jump.port == 22 else f':{jump.port}'} "


class Hop:
    """One SSH connection for all checks of a resource group.

    Args:
        name: The resource group.
        base: From where the machine is reached: here, or another hop.
    """

    def __init__(
        self, name: str, hop: SshHop, base: Vantage, *, role: str, seconds: float, keepalive: float, most: int
    ) -> None:
        self._name = name
        self._hop = hop
        self._base = base
        self._role = role
        self._seconds = seconds
        self._keepalive = keepalive
        self._most = most
        self._channels: Channels | None = None
        self._opening: asyncio.Task[Channels] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._failed: tuple[float, VantageFailed] | None = None
        self._since = 0.0
        self._phase = "resolve"
        self._address = ""
        #: How often a connection was opened.
        self.opened = 0

    def about(self) -> dict[str, Any]:
        """The hop, as its causes name it."""
        hop = self._hop
        host = f"[{hop.host}]" if ":" in hop.host else hop.host
        port = f"-p {hop.port} " if hop.port != 22 else ""
        return {
            "hop": f"{host}:{hop.port}",
            "hop_host": hop.host,
            "hop_port": hop.port,
            "hop_role": self._role,
            "hop_user": hop.username,
            "hop_settings": f"resource_groups/{self._name}.{'ssh.jump' if self._role == 'jump host' else 'ssh'}",
            "hop_login": f"{_through(hop)}{port}{hop.username}@{hop.host}",
            "hop_keyscan": f"{port}{hop.host}",
        }

    def failure(self, tunnel: str, **evidence: Any) -> VantageFailed:
        """A fault of this hop."""
        return VantageFailed(tunnel=tunnel, **self.about(), **evidence)

    async def channels(self, budget: Budget) -> Channels:
        """The connection's channels. Raises `VantageFailed`; at the latest when the budget ends."""
        if (channels := self._now()) is not None:
            return channels
        if self._opening is None:
            self._since = time.monotonic()
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._opened)
        done, _ = await asyncio.wait({self._opening}, timeout=budget.left() * _PATIENCE)
        for opening in done:
            return opening.result()
        silent = self.failure("silent", phase=self._phase)
        if time.monotonic() - self._since > _HANGS:
            self._remember(silent)  # whoever comes next need not wait for the same; the attempt goes on
        raise silent

    def _now(self) -> Channels | None:
        """What is known without waiting. Raises `VantageFailed`."""
        if self._channels is not None and not self._channels.lost.is_set():
            return self._channels
        until, failure = self._failed or (0.0, None)
        if failure is not None and time.monotonic() < until:
            raise VantageFailed(**failure.evidence)
        return None

    def _remember(self, failure: VantageFailed) -> None:
        self._failed = (time.monotonic() + _REMEMBERED, failure)

    def _opened(self, opening: asyncio.Task[Channels]) -> None:
        self._opening = None
        if opening.cancelled():
            return
        error = opening.exception()
        if error is None:
            self._channels, self._failed = opening.result(), None
        elif isinstance(error, VantageFailed):
            self._remember(error)

    # -- opening ----------------------------------------------------------------------------------------------------

    async def _open(self) -> Channels:
        budget = Budget.of(self._seconds)
        self._phase = "resolve"
        # Before anything is sent: what cannot be read here fails here.
        entry = await Entry.prepare(self._hop, self.failure)
        try:
            connection = await self._connected(entry, budget)
        finally:
            entry.forget()
        self.opened += 1
        channels = Channels(connection, self._most, lambda: self.failure("lost"), self._hangs)
        channels.pulse.ask()  # how long an answer takes here is known from the beginning
        self._watching = asyncio.create_task(self._watch(channels))
        return channels

    async def _connected(self, entry: Entry, budget: Budget) -> SshConnection:
        self._address, stream = await self._reach(budget)
        connection = SshConnection(stream, budget)
        try:
            async with asyncio.timeout(budget.left()):
                await self._enter(connection, entry)
        except TimeoutError:
            await connection.close()
            raise self.failure("silent", phase=self._phase) from None
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _again(self) -> Stream:
        """Another stream to where the hop's SSH server should be."""
        budget = Budget.of(self._seconds)
        return await self._base.connect(self._address, self._hop.port, budget, conversation=budget)

    async def _reach(self, budget: Budget) -> tuple[str, Stream]:
        """A stream to the hop's SSH server, by whichever of its addresses answers first, and that address."""
        resolution = await self._base.resolve(self._hop.host, budget)
        if not resolution.addresses:
            rcode = resolution.evidence.get("rcode")
            raise self.failure("name", hop_rcode=rcode, hop_nameservers=resolution.evidence.get("nameservers"))
        self._phase = "connect"
        failure: VantageFailed | None = None
        for position, address in enumerate(resolution.addresses):
            part = budget.within(1 / (len(resolution.addresses) - position))
            try:
                return address, await self._base.connect(address, self._hop.port, part, conversation=_FOREVER)
            except ConnectFailed as failed:
                failure = failure or self._unreachable(address, failed.evidence)
        assert failure is not None  # noqa: S101 - there was an address
        raise failure

    def _unreachable(self, address: str, evidence: Mapping[str, Any]) -> VantageFailed:
        told = {
            f"hop_{key}": evidence[key] for key in ("errno", "icmp_type", "icmp_code", "icmp_from") if key in evidence
        }
        if evidence.get("silent"):
            return self.failure("silent", phase="connect", hop_address=address, **told)
        if evidence.get("errno") == "ECONNRESET":  # it had accepted already
            return self.failure("hung_up", phase="connect", hop_address=address, **told)
        if evidence.get("errno") == "ECONNREFUSED" and "icmp_type" not in evidence:
            return self.failure("refused", hop_address=address, **told)
        return self.failure("unreachable", hop_address=address, **told)

    async def _enter(self, connection: SshConnection, entry: Entry) -> None:
        try:
            self._phase = "greet"
            await greet(connection, self._again)
            self._phase = "key exchange"
            await entry.trust(connection)
            self._phase = "login"
            await entry.log_in(connection)
        except VantageFailed:
            raise
        except StreamBroken as broken:
            raise entry.explain(self._phase, broken.evidence()) from None
        except StageFailed as failed:
            raise entry.explain(self._phase, failed.evidence) from None

    # -- keeping ----------------------------------------------------------------------------------------------------

    async def _watch(self, channels: Channels) -> None:
        """Keep the connection in use by the network's devices, and notice when nobody is there any more."""
        try:
            while not channels.lost.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._keepalive):
                        await channels.lost.wait()
                silence = time.monotonic() - channels.pulse.heard
                if silence > 2 * self._keepalive:
                    break
                if silence > self._keepalive / 2:
                    channels.pulse.ask()
        finally:
            await channels.connection.close()

    def _hangs(self, **evidence: Any) -> VantageFailed:
        """Nothing comes back from the hop: it is not waited for any longer, and entered anew by whoever comes next."""
        if self._channels is not None and self._watching is not None:
            self._channels = None
            self._watching.cancel()
        return self.failure("hangs", **{f"hop_{key}": value for key, value in evidence.items()})

    async def close(self) -> None:
        """Let go of the connection. Never raises."""
        tasks = [task for task in (self._opening, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._channels = None
        await self._base.close()
