"""What a refused connect means, from observations that do not depend on the SSH server's words for it.

A closed port (RST) and a firewall's refusal (ICMP) look alike in a channel's failure code. The far kernel counts the
ICMP unreachables that reach it: no new one while the connect is tried again, and it was an RST.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from tasks.budget import Budget
from tasks.vantages.ssh.shell import Batch, Shell
from tasks.vantages.ssh.tables import counters

#: How often a refusal has to be accompanied by an ICMP message to be called one.
_ROUNDS = 3
#: Seconds for one round.
_PATIENCE = 1.5

#: Connects once more and gives no result.
Again = Callable[[str, int, Budget], Awaitable[None]]


@dataclass(frozen=True)
class _Seen:
    """What the far kernel counted during one round."""

    unreachables: int
    attempts_failed: int


class Refusals:
    """Tells refusals apart by trying them again, many at a time, under the eyes of the far kernel's counters."""

    def __init__(self, shell: Shell, again: Again) -> None:
        self._shell = shell
        self._again = again
        self._batch = Batch(self._tell, at_once=1)

    async def told_apart(self, address: str, port: int, budget: Budget) -> str | None:
        """``rst`` or ``icmp``; None where that cannot be told in time."""
        return await self._batch.ask(f"{address} {port}", budget)

    async def _tell(self, keys: list[str]) -> Mapping[str, str]:
        seen = await self._round(keys)
        if seen is None:
            return {}
        if seen.unreachables == 0:
            return dict.fromkeys(keys, "rst") if seen.attempts_failed >= len(keys) else {}
        if len(keys) > 1:
            middle = len(keys) // 2
            return {**await self._tell(keys[:middle]), **await self._tell(keys[middle:])}
        return await self._tell_one(keys)

    async def _tell_one(self, key: list[str]) -> Mapping[str, str]:
        """After a first round with an ICMP message: it may have been somebody else's."""
        for _ in range(_ROUNDS - 1):
            quiet, seen = await self._round([]), await self._round(key)
            if quiet is None or seen is None or quiet.unreachables:
                return {}
            if not seen.unreachables:
                return dict.fromkeys(key, "rst")
        return dict.fromkeys(key, "icmp")

    async def _round(self, keys: Sequence[str]) -> _Seen | None:
        budget = Budget.of(_PATIENCE)
        before = await self._count(budget)
        if before is None:
            return None
        targets = [key.rsplit(" ", 1) for key in keys]
        await asyncio.gather(*(self._again(address, int(port), budget) for address, port in targets))
        after = await self._count(budget)
        if after is None:
            return None
        return _Seen(after.unreachables - before.unreachables, after.attempts_failed - before.attempts_failed)

    async def _count(self, budget: Budget) -> _Seen | None:
        section = self._shell.section("snmp")
        answer = await self._shell.run(f"{section}cat /proc/net/snmp /proc/net/snmp6 2>/dev/null\n", budget)
        found = counters(answer["snmp"], answer["snmp"]) if answer else {}
        if "Icmp.InDestUnreachs" not in found or "Tcp.AttemptFails" not in found:
            return None
        unreachables = found["Icmp.InDestUnreachs"] + found.get("Icmp6InDestUnreachs", 0)
        return _Seen(unreachables, found["Tcp.AttemptFails"])
