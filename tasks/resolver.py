"""Name resolution in the order of the system, with every server's own answer kept as evidence.

The order is that of /etc/nsswitch.conf (glibc, nsswitch.conf(5)); the search list and `ndots` are those of
/etc/resolv.conf (resolv.conf(5)). dnspython speaks the protocol, because the C library hides the rcode.
"""

from __future__ import annotations

import asyncio
import io
import ipaddress
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from tasks.budget import Budget
from tasks.vantages import Resolution

if TYPE_CHECKING:
    import dns.message

#: RFC 6761, section 6.3: programs may treat these as special.
_LOOPBACK = ("127.0.0.1", "::1")
_LONGEST_CHAIN = 8


@dataclass(frozen=True)
class ResolverTexts:
    """What the resolver's files say; empty for a file that is not there."""

    hosts: str = ""
    nsswitch: str = ""
    resolv_conf: str = ""


class Configuration(Protocol):
    """Where a place keeps its resolver's files."""

    async def read(self) -> ResolverTexts:
        """What they say now."""
        ...


class Wire(Protocol):
    """How the name servers of a place are asked."""

    async def ask(self, query: dns.message.Message, server: str, port: int, seconds: float) -> dns.message.Message:
        """The server's response.

        Raises `OnlyTruncatedError`, `TimeoutError`, `OSError`, `EOFError` or dnspython's `DNSException`.
        """
        ...

    async def otherwise(self, host: str, budget: Budget) -> Resolution | None:
        """What else can be found out about a name after no server has answered; None where there is no other way."""
        ...


@dataclass(frozen=True)
class ResolverFiles:
    """Where this machine keeps its resolver configuration."""

    hosts: Path = Path("/etc/hosts")
    nsswitch: Path = Path("/etc/nsswitch.conf")
    resolv_conf: Path = Path("/etc/resolv.conf")

    async def read(self) -> ResolverTexts:
        return ResolverTexts(*(_text(path) for path in (self.hosts, self.nsswitch, self.resolv_conf)))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


class OnlyTruncatedError(Exception):
    """The answer does not fit into a datagram, and cannot be had over TCP."""


class SocketWire:
    """Asks with this machine's own sockets: over UDP, and over TCP what does not fit."""

    async def ask(self, query: dns.message.Message, server: str, port: int, seconds: float) -> dns.message.Message:
        import dns.asyncquery
        import dns.exception
        import dns.message

        budget = Budget.of(seconds)
        try:
            # What does not answer this question, or comes from elsewhere, is passed over as the system does.
            return await dns.asyncquery.udp(
                query, server, timeout=seconds, port=port, ignore_unexpected=True, ignore_errors=True,
                raise_on_truncation=True,
            )  # fmt: skip
        except dns.message.Truncated:
            try:
                return await dns.asyncquery.tcp(query, server, timeout=budget.left(), port=port)
            except (OSError, EOFError, dns.exception.DNSException) as error:
                raise OnlyTruncatedError from error

    async def otherwise(self, host: str, budget: Budget) -> Resolution | None:
        return None


@dataclass
class _Answer:
    """What the name servers said of one question."""

    rcode: str | None = None
    addresses: list[str] = field(default_factory=list)
    canonical_name: str | None = None
    loop: bool = False
    truncated: bool = False
    log: list[str] = field(default_factory=list)
    ttl: int | None = None


class SystemResolver:
    """Resolves as programs at a place do. Answers are shared by everybody who asks at the same time.

    Args:
        files, wire: By default those of this machine.
    """

    def __init__(self, files: Configuration | None = None, wire: Wire | None = None) -> None:
        self._files = files or ResolverFiles()
        self._wire = wire or SocketWire()
        self._under_way: dict[str, asyncio.Task[Resolution]] = {}

    async def resolve(self, host: str, budget: Budget) -> Resolution:
        """Every address of a name, IPv4 and IPv6, in the order found."""
        literal = _literal(host)
        if literal is not None:
            return Resolution((literal,), {"from": "literal"})
        key = host.lower()
        task = self._under_way.get(key)
        if task is None or (task.done() and not _found(task)):
            task = self._under_way[key] = asyncio.create_task(self._look_up(host, budget))
        return await asyncio.shield(task)

    async def _look_up(self, host: str, budget: Budget) -> Resolution:
        texts = await self._files.read()
        name = host.rstrip(".").lower()
        last = Resolution((), {"name": host, "from": "files", "rcode": "NXDOMAIN", "nameservers": []})
        for source in _sources(texts.nsswitch):
            if source == "files" and (found := _in_hosts(texts.hosts, host)):
                return Resolution(tuple(found), {"name": host, "from": "hosts", "addresses": found})
            if source == "dns" and (name == "localhost" or name.endswith(".localhost")):
                return Resolution(_LOOPBACK, {"name": host, "from": "rfc6761", "addresses": list(_LOOPBACK)})
            if source == "dns":
                last = await _Dns(texts.resolv_conf, self._wire, budget).resolve(host)
                if last.addresses:
                    return last
        return last


def _found(task: asyncio.Task[Resolution]) -> bool:
    return not task.cancelled() and task.exception() is None and bool(task.result().addresses)


class _Dns:
    """One look-up through the configured name servers."""

    def __init__(self, resolv_conf: str, wire: Wire, budget: Budget) -> None:
        import dns.resolver

        self._budget = budget
        self._wire = wire
        try:
            configuration = dns.resolver.Resolver(io.StringIO(resolv_conf))
            self._servers = [str(server) for server in configuration.nameservers]
            self._search = list(configuration.search)
            self._ndots = configuration.ndots if configuration.ndots is not None else 1
            self._ports = dict(configuration.nameserver_ports)
        except dns.resolver.NoResolverConfiguration:
            # resolv.conf(5): without a nameserver line, the one on this machine is asked.
            self._servers, self._search, self._ndots, self._ports = ["127.0.0.1"], [], 1, {}

    async def resolve(self, host: str) -> Resolution:
        from dns.exception import DNSException

        evidence: dict[str, Any] = {"name": host, "from": "dns", "nameservers": self._servers}
        tried: list[str] = []
        outcomes: list[str] = []
        log: list[str] = []
        evidence.update(asked=tried, answers=log)
        try:
            candidates = self._candidates(host)
        except DNSException as error:
            return Resolution((), {**evidence, "rcode": "NXDOMAIN", "invalid_name": type(error).__name__})
        for candidate in candidates:
            tried.append(candidate.rstrip("."))
            answers = await asyncio.gather(self._ask(candidate, "A"), self._ask(candidate, "AAAA"))
            for answer in answers:
                log.extend(answer.log)
            addresses = [address for answer in answers for address in answer.addresses]
            if addresses:
                first = next(answer for answer in answers if answer.addresses)
                return Resolution(
                    tuple(addresses),
                    {
                        **evidence,
                        "rcode": "NOERROR",
                        "addresses": addresses,
                        "canonical_name": first.canonical_name,
                        "ttl_s": first.ttl,
                        "silent_nameservers": self._silent(log) or None,
                        **await self._completed(host, candidate, candidates),
                    },
                )
            evidence.update(_noted(answers))
            outcomes.append(_worst([answer.rcode for answer in answers]))
            if outcomes[-1] == "TIMEOUT":
                # After silence the rest of the list is not asked for (glibc, res_query.c: __res_context_search).
                evidence["searched"] = tried[-1] if tried[-1] != host.rstrip(".") else None
                break
        rcode = _overall(outcomes)
        if rcode == "TIMEOUT":
            evidence["other_names_answered"] = await self._anything_answers()
            found = await self._wire.otherwise(host, self._budget)
            if found is not None:
                return Resolution(found.addresses, {**evidence, "rcode": rcode, **found.evidence})
        return Resolution((), {**evidence, "rcode": rcode})

    def _silent(self, log: list[str]) -> list[str]:
        """The servers that let questions pass which another one then answered."""
        return [server for server in self._servers if any(_timed_out(line, server) for line in log)]

    async def _completed(self, host: str, found: str, candidates: list[str]) -> dict[str, Any]:
        """What a name with dots means by itself, when the search list made it another one."""
        absolute = f"{host.rstrip('.')}."
        if "." not in host.rstrip(".") or found.lower() == absolute.lower():
            return {}
        completed: dict[str, Any] = {"completed_to": found.rstrip(".")}
        if candidates.index(found) < candidates.index(absolute):
            answers = await asyncio.gather(self._ask(absolute, "A"), self._ask(absolute, "AAAA"))
            completed["addresses_by_itself"] = [address for answer in answers for address in answer.addresses] or None
        return completed

    def _candidates(self, host: str) -> list[str]:
        """The absolute names to ask for, in the order of resolv.conf(5)."""
        import dns.name

        name = dns.name.from_text(host, None)
        absolute = name if name.is_absolute() else name.concatenate(dns.name.root)
        if name.is_absolute():
            return [absolute.to_text()]
        searched = [name.concatenate(domain).to_text() for domain in self._search]
        dots = len(name.labels) - 1
        return [absolute.to_text(), *searched] if dots >= self._ndots else [*searched, absolute.to_text()]

    async def _ask(self, name: str, rdtype: str) -> _Answer:
        """Ask the servers in order until one gives a final answer, following aliases."""
        answer = _Answer()
        seen: set[str] = set()
        while True:
            if name in seen or len(seen) >= _LONGEST_CHAIN:
                answer.loop, answer.rcode = True, "NOERROR"
                return answer
            seen.add(name)
            response = await self._query(name, rdtype, answer)
            if response is None:
                return answer
            alias = _read(response, answer)
            if alias is None:
                if len(seen) > 1 and answer.canonical_name is None:
                    answer.canonical_name = name.rstrip(".")
                return answer
            name = alias

    async def _query(self, name: str, rdtype: str, answer: _Answer) -> dns.message.Message | None:
        """The first final response of the configured servers; each one's outcome goes to the log."""
        import dns.exception
        import dns.message
        import dns.rcode

        query = dns.message.make_query(name, rdtype)
        attempts = self._servers * 2
        for position, server in enumerate(attempts):
            left = self._budget.left() / max(1, min(len(attempts) - position, 3))
            if left <= 0.01:
                break
            started = time.perf_counter()
            port = self._ports.get(server, 53)
            try:
                response = await self._wire.ask(query, server, port, left)
                outcome = "REFERRAL" if _refers(response) else dns.rcode.to_text(response.rcode())
            except OnlyTruncatedError:
                response, outcome, answer.truncated = None, "TRUNCATED", True
            except (dns.exception.Timeout, TimeoutError):
                response, outcome = None, "TIMEOUT"
            except (OSError, dns.exception.DNSException, EOFError) as error:
                response, outcome = None, type(error).__name__
            elapsed = (time.perf_counter() - started) * 1000
            answer.log.append(f"{server} {rdtype} {name.rstrip('.')} {outcome} {elapsed:.1f} ms")
            if response is not None and outcome in ("NOERROR", "NXDOMAIN"):
                answer.rcode = outcome
                return response
            if response is not None:
                answer.rcode = outcome
            elif answer.rcode is None:
                answer.rcode = "TIMEOUT"
            if response is not None and position >= len(self._servers) - 1:
                break
        return None

    async def _anything_answers(self) -> bool:
        """Whether a configured name server answers for another name: the root, which every resolver knows."""
        import dns.exception
        import dns.message

        seconds = min(0.5, self._budget.total * 0.2)

        async def ask(server: str) -> bool:
            try:
                query = dns.message.make_query(".", "NS")
                await self._wire.ask(query, server, self._ports.get(server, 53), seconds)
            except OnlyTruncatedError:
                return True
            except (OSError, EOFError, dns.exception.DNSException):
                return False
            return True

        return any(await asyncio.gather(*(ask(server) for server in self._servers)))


def _noted(answers: Sequence[_Answer]) -> dict[str, Any]:
    """What is worth telling of answers without an address."""
    alias_end = next((answer.canonical_name for answer in answers if answer.canonical_name), None)
    return {
        **({"cname_loop": True} if any(answer.loop for answer in answers) else {}),
        **({"truncated": True} if any(answer.truncated for answer in answers) else {}),
        **({"alias_end": alias_end} if alias_end else {}),
    }


def _read(response: dns.message.Message, answer: _Answer) -> str | None:
    """Take the addresses of a response. Returns the alias to follow when it ends in one without an address."""
    import dns.exception
    import dns.message
    import dns.rcode

    try:
        chain = response.resolve_chaining()  # type: ignore[attr-defined]
    except dns.message.ChainTooLong:
        answer.loop = True
        return None
    except dns.exception.DNSException:
        return None
    question = response.question[0].name
    if chain.canonical_name != question:
        answer.canonical_name = chain.canonical_name.to_text(omit_final_dot=True)
    if response.rcode() != dns.rcode.NOERROR:
        return None
    if chain.answer is not None:
        answer.addresses = [record.address for record in chain.answer]
        answer.ttl = chain.minimum_ttl
        return None
    return str(chain.canonical_name) if chain.canonical_name != question else None


def _refers(response: dns.message.Message) -> bool:
    """Whether a server that does not recurse names others to ask, in the place of an answer (RFC 1034, section 4.3.2).

    Programs ask the next server then, as after a failure: they do not recurse either.
    """
    import dns.flags
    import dns.rdatatype

    answers = response.answer or response.flags & (dns.flags.AA | dns.flags.RA)
    return not answers and any(records.rdtype == dns.rdatatype.NS for records in response.authority)


def _timed_out(line: str, server: str) -> bool:
    asked, *_, outcome, _milliseconds, _unit = line.split()
    return asked == server and outcome == "TIMEOUT"


def _worst(rcodes: list[str | None]) -> str:
    """What A and AAAA together say of a name that has no address.

    A name that does not exist has none of either; one of which only the other kind is known may have some.
    """
    if "NXDOMAIN" in rcodes and "NOERROR" not in rcodes:
        return "NXDOMAIN"
    failures = [rcode for rcode in rcodes if rcode not in ("NOERROR", "NXDOMAIN")]
    if not failures:
        return "NOERROR"
    return next((rcode for rcode in failures if rcode not in (None, "TIMEOUT")), None) or "TIMEOUT"


def _overall(outcomes: list[str]) -> str:
    """The outcome of all candidates of the search list."""
    for outcome in outcomes:
        if outcome == "NOERROR":
            return outcome
    failures = [outcome for outcome in outcomes if outcome != "NXDOMAIN"]
    return failures[0] if failures else "NXDOMAIN"


def _literal(host: str) -> str | None:
    text = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _sources(nsswitch: str) -> list[str]:
    """The services of the `hosts` line; glibc's default is `files dns`."""
    for line in nsswitch.splitlines():
        key, colon, rest = line.partition("#")[0].partition(":")
        if colon and key.strip() == "hosts":
            words = [word for word in rest.split() if not word.startswith("[")]
            # systemd-resolved's module reads the hosts file first and asks the stub that resolv.conf names.
            return list(dict.fromkeys("dns" if word == "resolve" else word for word in words))
    return ["files", "dns"]


def _in_hosts(hosts: str, name: str) -> list[str]:
    """The addresses that the hosts file binds to a name, in the order of the file."""
    wanted = name.rstrip(".").lower()
    found: list[str] = []
    for line in hosts.splitlines():
        words = line.partition("#")[0].split()
        if len(words) > 1 and wanted in (word.lower() for word in words[1:]):
            address = _literal(words[0])
            if address and address not in found:
                found.append(address)
    return found
