"""What a place sees of its own network, held against what is declared of it: `headwater group check`."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from registry.allowlists import among, host
from registry.network import Network, endpoint
from registry.policy import refusal_of
from registry.verdict import Verdict
from tasks.budget import Budget
from tasks.evidence import StageFailed
from tasks.networks.provenance import numeric
from tasks.streams import Reader, Stream, StreamBroken
from tasks.tls import TlsMaterial, start_tls
from tasks.vantages import ConnectFailed, Vantage, is_public

#: A name that never exists (RFC 6761): asked only to learn which servers are asked.
_NO_NAME = "headwater.invalid."
#: Addresses for documentation (RFC 5737, RFC 3849): a route to them is the default route; nothing is sent.
_ANYWHERE = ("192.0.2.1", "2001:db8::1")
#: The longest answer of an echo that is looked at, in bytes: an address and its head.
_LONGEST_ECHO = 4096


@dataclass(frozen=True)
class Seen:
    """The address that a server saw, from a verdict: `public` is whether the server's own address is."""

    address: str
    by: str
    public: bool
    at: str


@dataclass(frozen=True)
class Observed:
    """What was seen from the place, and by servers that it talked to.

    Attributes:
        own: Its addresses on the way to others, before any NAT.
        way_out: Whether there is a default route (``ipv4``, ``ipv6``), None where that cannot be asked.
        canaries: Canary -> whether it accepts a connection.
        echo: The address that the echo answered with, or what went wrong with it.
        nameservers: Those that it asks; None where that is not known.
    """

    own: tuple[str, ...] = ()
    way_out: Mapping[str, Any] | None = None
    canaries: Mapping[str, bool] = field(default_factory=dict)
    echo: str | None = None
    echo_failed: str = ""
    nameservers: tuple[str, ...] | None = None
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True)
class Fact:
    """One declared fact beside what was observed.

    Attributes:
        agrees: None: nothing is declared, or nothing was observed.
        advice: What to do when they do not agree, or what to declare.
    """

    name: str
    declared: tuple[str, ...] | None
    observed: tuple[str, ...]
    agrees: bool | None
    advice: str = ""


def seen_by_servers(verdicts: Iterable[Verdict]) -> tuple[Seen, ...]:
    """The source addresses that servers told in these verdicts."""
    found = []
    for verdict in verdicts:
        evidence = {key: value for stage in verdict.stages for key, value in stage.evidence.items()}
        told, server = numeric(evidence.get("source_address_seen_by_server")), numeric(evidence.get("address"))
        if told and server and not ipaddress.ip_address(told).is_loopback:
            by = f"{verdict.workspace}/{verdict.source}/{verdict.env}"
            found.append(Seen(told, by, is_public(server), verdict.started_at))
    return tuple(found)


async def observe(vantage: Vantage, network: Network, *, timeout: float = 5.0) -> Observed:
    """Ask a place about its own network; nothing goes anywhere but to its canaries, echo and name servers.

    Raises:
        VantageFailed: The place itself cannot be used.
    """
    budget = Budget.of(timeout)
    names = asyncio.create_task(vantage.resolve(_NO_NAME, budget))
    out = await vantage.way_out()
    routes = [await vantage.route(address) for address in _ANYWHERE]
    answers = asyncio.gather(*(_answers(vantage, text, budget) for text in network.canaries))
    address, failed = await _echo(vantage, network, budget)
    servers = (await names).evidence.get("nameservers")
    return Observed(
        tuple(dict.fromkeys(route.source_address for route in routes if route.source_address)),
        out,
        dict(zip(network.canaries, await answers, strict=True)),
        address,
        failed,
        tuple(map(str, servers)) if servers is not None else None,
    )


async def _answers(vantage: Vantage, canary: str, budget: Budget) -> bool:
    place = endpoint(canary)
    try:
        resolution = await vantage.resolve(place.host, budget)
        if not resolution.addresses:
            return False
        stream = await vantage.connect(resolution.addresses[0], place.port, budget, conversation=budget)
    except ConnectFailed:
        return False
    stream.close()
    return True


async def _echo(vantage: Vantage, network: Network, budget: Budget) -> tuple[str | None, str]:
    """The address that the echo answers with, or what went wrong."""
    if network.echo_url is None:
        return None, ""
    split = urlsplit(network.echo_url)
    host, tls = split.hostname or "", split.scheme == "https"
    try:
        resolution = await vantage.resolve(host, budget)
        if not resolution.addresses:
            return None, f"the name {host} has no address there"
        address = resolution.addresses[0]
        refusal = refusal_of(address, [str(one) for one in network.permitted_ranges])
        if refusal is not None:
            return None, refusal.reason
        port = split.port or (443 if tls else 80)
        stream: Any = await vantage.connect(address, port, budget, conversation=budget)
    except ConnectFailed as failure:
        return None, f"no connection ({failure.evidence.get('errno') or 'no answer'})"
    try:
        if tls:
            stream, _ = await start_tls(stream, TlsMaterial(mode="verify-full"), host)
        path = (split.path or "/") + (f"?{split.query}" if split.query else "")
        return await _told(stream, split.netloc.rpartition("@")[2], path)
    except (StreamBroken, StageFailed):
        return None, "it does not answer as an HTTP service"
    finally:
        stream.close()


async def _told(stream: Stream, authority: str, path: str) -> tuple[str | None, str]:
    """HTTP/1.0, so that the body comes as it is and ends with the connection (RFC 1945, section 7.2.2)."""
    await stream.send(f"GET {path} HTTP/1.0\r\nHost: {authority}\r\nAccept: text/plain\r\n\r\n".encode())
    reader, said = Reader(stream), b""
    while len(said) <= _LONGEST_ECHO:
        try:
            said += await reader.exactly(1)
        except StreamBroken as broken:
            if broken.kind != "eof":
                raise
            break
    head, _, body = said.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    if not head.startswith(b"HTTP/1.") or status != [b"200"]:
        return None, f"it answers {b''.join(status).decode(errors='replace')[:3] or 'no HTTP'}"
    address = numeric(body.strip().decode("ascii", "replace")) if len(body) <= 64 else None
    return (address, "") if address else (None, "its answer is more, or something else, than an address")


# -- declared against observed -----------------------------------------------------------------------------------------


def compare(network: Network, observed: Observed) -> list[Fact]:
    """Every fact of a network, declared and observed."""
    return [
        _internal(network, observed),
        _public(network, observed),
        _way_out(network, observed),
        _dns(network, observed),
    ]


def _internal(network: Network, observed: Observed) -> Fact:
    told = [one.address for one in observed.seen if not one.public]
    found = tuple(dict.fromkeys(told or [one for one in observed.own if not is_public(one)]))
    declared = network.allowlist_entries(public=False)
    return _addresses("address at internal servers", declared, found, "network.vswitch_cidrs")


def _public(network: Network, observed: Observed) -> Fact:
    told = [*filter(None, [observed.echo]), *(one.address for one in observed.seen if one.public)]
    declared = network.allowlist_entries(public=True)
    where = "network.eips" if network.type in ("exclusive", "local") else "network.nat_eips"
    found = tuple(dict.fromkeys(told))
    if network.has_no_nat and found:
        advice = f"it is declared to have none: correct {where}, and let the allowlists name these"
        return Fact("address at public servers", (), found, False, advice)
    fact = _addresses("address at public servers", declared, found, where)
    if observed.echo_failed:
        return Fact(fact.name, fact.declared, found, fact.agrees, f"{network.echo_url}: {observed.echo_failed}")
    return fact


def _addresses(name: str, declared: Sequence[Any], found: tuple[str, ...], where: str) -> Fact:
    said = tuple(map(str, declared))
    if not declared or not found:
        advice = f"declare {where} to cover them" if found else ""
        return Fact(name, said or None, found, None, advice)
    # An address of a family of which nothing is declared contradicts nothing.
    families = {one.version for one in declared}
    strange = [one for one in found if host(one).version in families and not among(one, declared)]
    advice = f"{', '.join(strange)} is not declared: correct {where}, and the allowlists of servers" if strange else ""
    return Fact(name, said, found, not strange, advice)


def _way_out(network: Network, observed: Observed) -> Fact:
    name = "way out to public addresses"
    proofs = tuple(canary for canary, answers in observed.canaries.items() if answers)
    proofs += (f"{network.echo_url}",) if observed.echo else ()
    asked = bool(observed.canaries) or network.echo_url is not None
    found = tuple(f"{proof} answers" for proof in proofs) or (
        ("nothing public answers",) if asked else _routes(observed)
    )
    if network.has_no_nat:
        advice = "correct network.nat_eips: there is a way out" if proofs else ""
        return Fact(name, ("none",), found, not proofs if asked else None, advice)
    if not network.allowlist_entries(public=True):
        return Fact(name, None, found, None)
    shut = asked and not proofs
    advice = "look at the NAT gateway, its SNAT entry for the vSwitch, and the egress rules" if shut else ""
    return Fact(name, ("yes",), found, not shut if asked else None, advice)


def _routes(observed: Observed) -> tuple[str, ...]:
    return tuple(f"default route over {family}" for family, there in (observed.way_out or {}).items() if there is True)


def _dns(network: Network, observed: Observed) -> Fact:
    found = observed.nameservers or ()
    name = "name servers"
    if network.dns_servers is None or observed.nameservers is None:
        said = None if network.dns_servers is None else tuple(map(str, network.dns_servers))
        return Fact(name, said, found, None, "" if said or not found else "declare network.dns_servers")
    said = tuple(map(str, network.dns_servers))
    others = sorted(set(found) - set(said))
    missing = sorted(set(said) - set(found))
    told = [f"{', '.join(others)} is asked and not declared"] if others else []
    told += [f"{', '.join(missing)} is declared and not asked"] if missing else []
    return Fact(name, said, found, not told, "; ".join(told))
