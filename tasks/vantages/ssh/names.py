"""Name resolution as the far machine does it: its own files, its own name servers, asked through the connection."""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import paramiko

from tasks.budget import Budget, under_way
from tasks.evidence import StageFailed
from tasks.resolver import OnlyTruncatedError, ResolverTexts
from tasks.ssh.channels import ChannelRefused, Channels
from tasks.streams import Reader, StreamBroken
from tasks.vantages import Resolution, VantageFailed
from tasks.vantages.ssh.datagrams import Datagrams
from tasks.vantages.ssh.shell import Shell
from tasks.vantages.ssh.tables import ERRNO, address_of, counters

if TYPE_CHECKING:
    import dns.message

#: Seconds for which the far files count as read.
_FRESH = 2.0
#: The part of the time for a question that one way of asking may take; the rest is for another one.
_SHARE = 0.5
#: Seconds for which a name server that did not accept one is not tried again.
_REMEMBERED = 5.0
_FILES = ("/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf")
#: What may stand on a command line; all names of hosts do.
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")

Connect = Callable[[Budget], Awaitable[Channels]]


class FarFiles:
    """The far resolver's files, read by commands, else by SFTP."""

    def __init__(self, shell: Shell, connect: Connect, failure: Callable[..., VantageFailed]) -> None:
        self._shell = shell
        self._connect = connect
        self._failure = failure
        self._read: tuple[float, asyncio.Task[ResolverTexts]] | None = None

    async def read(self) -> ResolverTexts:
        """What they say, at most two seconds ago. Raises `VantageFailed`."""
        taken, reading = self._read or (0.0, None)
        failed = reading is not None and reading.done() and (reading.cancelled() or reading.exception() is not None)
        if reading is None or failed or time.monotonic() - taken > _FRESH:
            reading = asyncio.create_task(self._fetch(under_way(5.0)))
            self._read = (time.monotonic(), reading)
        return await asyncio.shield(reading)

    async def _fetch(self, budget: Budget) -> ResolverTexts:
        script = "".join(f"{self._shell.section(path)}cat {path} 2>/dev/null\n" for path in _FILES)
        sections = await self._shell.run(script, budget)
        if sections is not None:
            return ResolverTexts(*(sections.get(path, "") for path in _FILES))
        texts = await self._by_sftp(budget) if self._shell.usable is False else None
        if texts is None:
            raise self._failure("no_names")
        return texts

    async def _by_sftp(self, budget: Budget) -> ResolverTexts | None:
        connection = (await self._connect(budget)).connection
        try:
            sftp = await connection.open_sftp()
            texts = await connection.call(lambda: [_contents(sftp, path) for path in _FILES], OSError)
        except (StageFailed, OSError):
            return None
        # Where there is not even a list of name servers, what is shown is a directory of its own, not the machine's.
        return ResolverTexts(*texts) if texts[-1] else None


def _contents(sftp: paramiko.SFTPClient, path: str) -> str:
    try:
        with sftp.open(path, "rb") as file:
            return file.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return ""


class TunnelWire:
    """Asks the far machine's name servers over TCP, which SSH forwards; else by what that machine has to ask with."""

    def __init__(self, shell: Shell, connect: Connect) -> None:
        self._shell = shell
        self._connect = connect
        self._datagrams = Datagrams(shell)
        #: When a server was last unheard over TCP, and how; when it was last asked over UDP, and when in vain: nobody
        #: knows what it said.
        self._closed: dict[tuple[str, int], tuple[float, str]] = {}
        self._asked: dict[tuple[str, int], float] = {}
        self._in_vain: dict[tuple[str, int], float] = {}

    async def ask(self, query: dns.message.Message, server: str, port: int, seconds: float) -> dns.message.Message:
        budget = Budget.of(seconds)
        tcp = asyncio.ensure_future(self._over_tcp(query, server, port, budget))
        ways = {tcp}
        try:
            await asyncio.wait(ways, timeout=budget.left() * _SHARE)
            if not tcp.done() or isinstance(tcp.exception(), OSError | EOFError):
                ways.add(asyncio.ensure_future(self._over_udp(query, server, port, budget)))
            failures = []
            for ended in asyncio.as_completed(ways):
                try:
                    return await ended
                except (OSError, EOFError, OnlyTruncatedError) as failure:
                    failures.append(failure)
            raise next((one for one in failures if isinstance(one, OnlyTruncatedError)), failures[0])
        finally:
            for way in ways:
                way.cancel()

    async def _over_tcp(
        self, query: dns.message.Message, server: str, port: int, budget: Budget
    ) -> dns.message.Message:
        """Raises `TimeoutError`, `OSError`, `EOFError`."""
        import dns.message

        since, how = self._closed.get((server, port), (0.0, ""))
        if time.monotonic() - since < _REMEMBERED:
            raise _exception(how)
        channels = await self._connect(budget)
        try:
            channel = await channels.open(
                "direct-tcpip", server.encode(), port, b"127.0.0.1", 0,
                budget=budget.within(_SHARE), conversation=budget,
            )  # fmt: skip
        except (ChannelRefused, TimeoutError) as refused:
            how = _how(refused)
            self._closed[server, port] = (time.monotonic(), how)
            raise _exception(how) from None
        try:
            wire = query.to_wire()
            await channel.send(len(wire).to_bytes(2, "big") + wire)
            reader = Reader(channel)
            length = int.from_bytes(await reader.exactly(2), "big")
            response = dns.message.from_wire(await reader.exactly(length), ignore_trailing=True)
        except StreamBroken as broken:
            raise (TimeoutError() if broken.kind == "silent" else EOFError()) from None
        finally:
            channel.close()
        if not query.is_response(response):
            raise EOFError
        return response

    async def _over_udp(
        self, query: dns.message.Message, server: str, port: int, budget: Budget
    ) -> dns.message.Message:
        """What the machine hears itself. Raises `OnlyTruncatedError`, `OSError` (it cannot ask), `EOFError`."""
        import dns.flags
        import dns.message

        try:
            said = await self._datagrams.exchange(server, port, query.to_wire(), budget)
        except OSError:  # it has been silent, or refused
            self._asked[server, port] = time.monotonic()
            raise
        if said is None:
            self._in_vain[server, port] = time.monotonic()
            raise OSError
        self._asked[server, port] = time.monotonic()
        response = dns.message.from_wire(said, ignore_trailing=True)
        if not query.is_response(response):
            raise EOFError
        if response.flags & dns.flags.TC:
            raise OnlyTruncatedError
        return response

    async def otherwise(self, host: str, budget: Budget) -> Resolution | None:
        """Have the far machine's C library look up the name, where name servers could not be asked over UDP."""
        ways = {how for since, how in self._closed.values() if time.monotonic() - since < _REMEMBERED * 2}
        told: dict[str, Any] = {"name_servers_over_tcp": ", ".join(sorted(ways)) or None}
        recent = time.monotonic() - _REMEMBERED
        if all(vain < recent or self._asked.get(server, 0.0) > recent for server, vain in self._in_vain.items()):
            return Resolution((), told)
        told["unheard_over_udp"] = True
        if not _NAME.fullmatch(host):
            return Resolution((), told)
        sections = await self._shell.run(self._look_up(host, budget.left() * _SHARE), budget)
        if sections is None:
            return Resolution((), told)
        status = sections.get("status")
        addresses = _ahosts(sections["getent"]) if status == "0" else []
        if addresses:
            found = {"from": "getent", "rcode": "NOERROR", "addresses": addresses}
            return Resolution(tuple(addresses), {**told, **found, "unheard_over_udp": None})
        before, after = (counters(sections[name], sections[name]) for name in ("before", "after"))
        ended = status == "2"
        word = {"getent": "nothing found" if ended else "no end", "look_up_hangs": None if ended else True}
        heard = _heard(before, after)
        return Resolution((), {**told, **word, **heard, "unheard_over_udp": None if heard else True})

    def _look_up(self, host: str, seconds: float) -> str:
        """Commands that look a name up, for so many seconds at most, and count the datagrams that come meanwhile."""
        section = self._shell.section
        count = "cat /proc/net/snmp /proc/net/snmp6 2>/dev/null\n"
        return (
            f"{section('before')}{count}{section('getent')}"
            f"getent ahosts {shlex.quote(host)} 2>/dev/null &\n"
            "asking=$!\n"
            # POSIX has whole seconds only; who knows no other gives up at once.
            f"( sleep {seconds:.1f} || sleep 1; kill $asking ) >/dev/null 2>&1 &\n"
            "wait $asking\nstatus=$?\n"
            f"{section('status')}echo $status\n{section('after')}{count}"
        )


def _how(refused: Exception) -> str:
    if isinstance(refused, ChannelRefused):
        if refused.code != 2:
            return "forbidden"
        return {"ECONNREFUSED": "refused"}.get(ERRNO.get(refused.description, ""), "unreachable")
    return "silent"


def _exception(how: str) -> Exception:
    return {"silent": TimeoutError(), "refused": ConnectionRefusedError()}.get(how) or ConnectionError(how)


def _ahosts(text: str) -> list[str]:
    """The addresses that ``getent ahosts`` prints, each once."""
    found = (address_of(line.split()[0]) for line in text.splitlines() if line.split())
    return list(dict.fromkeys(address for address in found if address))


def _heard(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, Any]:
    """Whether any datagram reached the far machine while it looked a name up: without one, nobody has answered."""
    names = ("Udp.InDatagrams", "Udp6InDatagrams")
    if not any(name in after for name in names):
        return {}
    came = sum(after.get(name, 0) - before.get(name, 0) for name in names)
    return {"answered_over_udp": bool(came)}
