"""What a refused connect means, from observations that do not depend on the SSH server's words for it.

A closed port (RST) and a firewall's refusal (ICMP) look alike in a channel's failure code. The far kernel counts the
ICMP unreachables that reach it: no new one while the connect is tried again, and it was an RST.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from tasks.budget import Budget
from tasks.vantages.ssh.shell import Batch, Shell
from tasks.vantages.ssh.tables import counters

#: Seconds for one round. A refusal that comes before the socket is ready for it is repeated after one.
_PATIENCE = 2.0

#: Connects once more and gives no result.
Again = Callable[[str, int, Budget], Awaitable[None]]


@dataclass(frozen=True)
class _Seen:
    """What the far kernel counted during one round."""

    unreachables: int
    attempts_failed: int
    seconds: float = 0.0

    def one_for_each(self, count: int) -> bool:
        """Whether every attempt got one, and one more for each second after which it was repeated."""
        return count <= self.unreachables <= count * (1 + round(self.seconds))


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
        if seen.one_for_each(len(keys)):
            # They may have been somebody else's, but hardly twice, with none in between.
            quiet, again = await self._round([]), await self._round(keys)
            if again is not None and again.unreachables == 0:
                return dict.fromkeys(keys, "rst")
            if quiet is not None and again is not None and not quiet.unreachables and again.one_for_each(len(keys)):
                return dict.fromkeys(keys, "icmp")
        if len(keys) == 1:
            return {}
        middle = len(keys) // 2
        return {**await self._tell(keys[:middle]), **await self._tell(keys[middle:])}

    async def _round(self, keys: Sequence[str]) -> _Seen | None:
        budget = Budget.of(_PATIENCE)
        before = await self._count(budget)
        if before is None:
            return None
        started = time.monotonic()
        targets = [key.rsplit(" ", 1) for key in keys]
        await asyncio.gather(*(self._again(address, int(port), budget) for address, port in targets))
        after = await self._count(budget)
        if after is None:
            return None
        return _Seen(
            after.unreachables - before.unreachables,
            after.attempts_failed - before.attempts_failed,
            time.monotonic() - started,
        )

    async def _count(self, budget: Budget) -> _Seen | None:
        section = self._shell.section("snmp")
        answer = await self._shell.run(f"{section}cat /proc/net/snmp /proc/net/snmp6 2>/dev/null\n", budget)
        found = counters(answer["snmp"], answer["snmp"]) if answer else {}
        if "Icmp.InDestUnreachs" not in found or "Tcp.AttemptFails" not in found:
            return None
        unreachables = found["Icmp.InDestUnreachs"] + found.get("Icmp6InDestUnreachs", 0)
        return _Seen(unreachables, found["Tcp.AttemptFails"])
