"""What a data source's server must let in, for each resource group that reads it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from registry.allowlists import Network, collapsed, host
from registry.network import declared
from registry.targets import CheckTarget
from registry.verdict import Verdict
from tasks.networks.provenance import numeric
from tasks.vantages import is_public

#: Seconds that a name may take here.
_PATIENCE = 3.0


@dataclass(frozen=True)
class Needed:
    """What one server must let in for one group in one environment.

    Attributes:
        scope: ``internal`` or ``public``: what kind of address the server is reached at; ``internal?`` and ``public?``
            where its name does not resolve here, so that either may be.
        networks: The entries; empty when they are not known, and `missing` then says what to declare.
        kind: What the entries are, in words.
        platform: Entries for the platform's own services, which are needed besides.
    """

    env: str
    resource_group: str
    scope: str
    networks: tuple[Network, ...]
    kind: str
    missing: str = ""
    platform: tuple[Network, ...] = ()


def needed(
    found: Sequence[CheckTarget], scopes: Mapping[str, Sequence[str]], latest: Iterable[Verdict]
) -> list[Needed]:
    """What must be let in for every group among these.

    Args:
        found: The targets of one data source.
        scopes: Environment -> the scopes of its addresses, as `scopes_of` tells them.
        latest: The newest verdict of each group: what was observed stands in where nothing is declared.
    """
    seen = {(one.env, one.resource_group): one for one in latest}
    return [_for_group(one, scope, seen.get((one.env, one.group.name))) for one in found for scope in scopes[one.env]]


def _for_group(one: CheckTarget, scope: str, verdict: Verdict | None) -> Needed:
    network, public = declared(one.group.network), scope.startswith("public")
    entries, kind, missing = network.allowlist_entries(public), network.entry_kind(public), ""
    if not entries and public and network.has_no_nat:
        missing = "it is declared to have no way to public addresses"
    elif seen := [address for address in _observed(verdict, public) if _says_nothing_of(address, entries)]:
        came = f"the address that it came from at {verdict.started_at if verdict else ''}"
        kind = f"{kind}; and {came}" if entries else came
        entries = (*entries, *seen)
    elif not entries:
        missing = network.undeclared(public)
    return Needed(one.env, one.group.name, scope, collapsed(entries), kind, missing, collapsed(network.platform_cidrs))


def _says_nothing_of(address: Network, entries: Sequence[Network]) -> bool:
    """Whether nothing is declared for the family of an address."""
    return all(entry.version != address.version for entry in entries)


def _observed(verdict: Verdict | None, public: bool) -> list[Network]:
    """Of each family, the address that the server saw, else our own where no NAT lies between."""
    evidence = {key: value for stage in (verdict.stages if verdict else ()) for key, value in stage.evidence.items()}
    seen = [evidence.get(key) for key in ("source_address_seen_by_server", "source_address")]
    found: dict[int, Network] = {}
    for address in map(numeric, [*seen, *evidence.get("source_addresses", ())]):
        # A server behind a proxy sees the proxy: that it comes from where we went to tells nothing of us.
        if address is not None and is_public(address) == public and address != numeric(evidence.get("address")):
            found.setdefault(host(address).version, host(address))
    return list(found.values())


async def scopes_of(found: Iterable[CheckTarget]) -> dict[str, tuple[str, ...]]:
    """Environment -> the scopes of the addresses that its endpoints have, as they are resolved here."""
    hosts = {
        one.env: {endpoint.host for endpoint in one.connection.endpoints()} if one.connection else set()
        for one in found
    }
    return {env: await _scopes(names) for env, names in hosts.items()}


async def _scopes(names: Iterable[str]) -> tuple[str, ...]:
    addresses = await asyncio.gather(*(_addresses(name) for name in names if not name.startswith("/")))
    if not addresses or not all(addresses):
        return ("internal?", "public?")
    publics = {is_public(address) for several in addresses for address in several}
    return tuple(word for word, public in (("internal", False), ("public", True)) if public in publics)


async def _addresses(name: str) -> tuple[str, ...]:
    if address := numeric(name.strip("[]")):
        return (address,)
    asked = asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    try:
        return tuple({str(info[4][0]) for info in await asyncio.wait_for(asked, _PATIENCE)})
    except (OSError, TimeoutError, UnicodeError):
        return ()
