"""Allowlists of servers: which addresses may come in, as an operator writes it down, and whether one is among them.

Entries are addresses, CIDRs (also with a netmask) and ranges, IPv4 or IPv6; a list may be one text with commas, as in
the consoles of ApsaraDB. What is public space is what IANA's registries leave globally reachable.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_BETWEEN_ENTRIES = re.compile(r"[\s,;]+")
_AROUND_DASH = re.compile(r"\s*-\s*")

#: More of the public addresses than this is no list of known clients: a /8 of IPv4, a /20 of IPv6, which is what the
#: registries give to whole countries' providers.
_MOST_PUBLIC = {4: 2**24, 6: 2**108}
#: IPv4 that nobody reaches from the Internet (RFC 6890); none overlaps another.
_NOT_PUBLIC = tuple(
    IPv4Network(cidr)
    for cidr in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        "224.0.0.0/3",
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")


@dataclass(frozen=True)
class Allowlist:
    """The networks of a list, put together as far as they go."""

    networks: tuple[Network, ...] = ()

    def covers(self, wanted: Network) -> bool:
        """Whether every address of a network is let in."""
        return any(_inside(wanted, network) for network in self.networks)

    def touches(self, wanted: Network) -> bool:
        """Whether any address of a network is let in."""
        return any(_inside(wanted, network) or _inside(network, wanted) for network in self.networks)

    def too_wide(self) -> str | None:
        """What the list lets in that no list of clients needs; None when it is fine."""
        for version, everything in ((4, "0.0.0.0/0"), (6, "::/0")):
            networks = [network for network in self.networks if network.version == version]
            if any(network.prefixlen == 0 for network in networks):
                return everything
            public = sum(_public(network) for network in networks)
            if public > _MOST_PUBLIC[version]:
                widest = min(networks, key=lambda network: network.prefixlen)
                return f"{public:.2g} public IPv{version} addresses ({widest} among them)"
        return None

    def __str__(self) -> str:
        return ", ".join(map(plain, self.networks)) or "nobody"


def split(given: str | Iterable[str]) -> tuple[str, ...]:
    """The entries of a list that may be written as one text, or hold texts with several."""
    texts = [given] if isinstance(given, str) else given
    found = [_AROUND_DASH.sub("-", str(text).strip()) for text in texts]
    return tuple(entry for text in found for entry in _BETWEEN_ENTRIES.split(text) if entry)


def parse(given: str | Iterable[str]) -> Allowlist:
    """The list that these entries make.

    Raises:
        ValueError: One of them is no address, CIDR or range; which one, and what is wrong with it.
    """
    networks = [network for entry in split(given) for network in networks_of(entry)]
    return Allowlist(collapsed(networks))


def collapsed(networks: Iterable[Network]) -> tuple[Network, ...]:
    """The same addresses in as few networks as will do, IPv4 first."""
    given = list(networks)
    v4 = ipaddress.collapse_addresses(network for network in given if isinstance(network, IPv4Network))
    v6 = ipaddress.collapse_addresses(network for network in given if isinstance(network, IPv6Network))
    return (*v4, *v6)


def networks_of(entry: str) -> tuple[Network, ...]:
    """The networks of one entry; a range may take several.

    Raises:
        ValueError: It is no address, CIDR or range.
    """
    first, dash, last = entry.partition("-")
    try:
        if not dash:
            return (_unmapped(ipaddress.ip_network(entry, strict=False)),)
        ends = (_address(first), _address(last))
    except ValueError:
        raise ValueError(
            f"{entry!r} is no address, CIDR or range; write 192.0.2.7, 10.0.0.0/8, 10.1.1.1-10.1.1.20 or 2001:db8::/32"
        ) from None
    if ends[0].version != ends[1].version or int(ends[0]) > int(ends[1]):
        raise ValueError(f"{entry!r} is no range: its first address comes after its last, or is of another family")
    return tuple(ipaddress.summarize_address_range(*ends))


def host(address: str | Address) -> Network:
    """The network of one address alone; an IPv4 address inside of IPv6 counts as itself.

    Raises:
        ValueError: It is no address.
    """
    return ipaddress.ip_network(_address(str(address)))


def plain(network: Network) -> str:
    """A network as people write it: one address without its prefix."""
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address) if alone else str(network)


def among(address: str, networks: Sequence[Network]) -> Network | None:
    """The first of some networks that an address lies in."""
    wanted = host(address)
    return next((network for network in networks if _inside(wanted, network)), None)


def _address(text: str) -> Address:
    address = ipaddress.ip_address(text.strip().partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


def _unmapped(network: Network) -> Network:
    """`::ffff:10.0.0.0/104` is 10.0.0.0/8."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped and network.prefixlen >= 96 else network


def _inside(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _public(network: Network) -> int:
    """How many of its addresses are public."""
    if isinstance(network, IPv6Network):
        return _common(network, _GLOBAL_UNICAST)
    return network.num_addresses - sum(_common(network, private) for private in _NOT_PUBLIC)


def _common(one: Network, other: Network) -> int:
    return min(one.num_addresses, other.num_addresses) if one.overlaps(other) else 0
