"""Which addresses tests may be aimed at (`POLICY.FORBIDDEN_TARGET`).

Refused by default are the addresses at which a cloud hands out credentials, and those that belong to no one host:
a test there would turn Headwater into somebody's tool, never into somebody's answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Refusal:
    """Why an address may not be tested."""

    address: str
    reason: str


#: Where clouds hand out the credentials of a machine. Opened by nothing but this very address in the permitted ranges.
METADATA = {
    ip_address("169.254.169.254"): "the metadata service of most clouds",
    ip_address("169.254.170.2"): "the credentials of AWS ECS tasks",
    ip_address("169.254.170.23"): "the credentials of AWS EKS pods",
    ip_address("fd00:ec2::254"): "the metadata service of AWS",
    ip_address("fd00:ec2::23"): "the credentials of AWS EKS pods",
    ip_address("fd20:ce::254"): "the metadata service of Google Cloud",
    ip_address("100.100.100.200"): "the metadata service of Alibaba Cloud",
    ip_address("168.63.129.16"): "the host agent of Azure",
}

#: Refused by default; a permitted range opens them.
REFUSED = (
    (ip_network("169.254.0.0/16"), "a link-local address"),
    (ip_network("fe80::/10"), "a link-local address"),
)

#: No one host: never opened.
NOBODY = (
    (ip_network("0.0.0.0/8"), "an unspecified address"),
    (ip_network("::/128"), "an unspecified address"),
    (ip_network("224.0.0.0/4"), "a multicast address"),
    (ip_network("ff00::/8"), "a multicast address"),
    (ip_network("255.255.255.255/32"), "the broadcast address"),
)

#: IPv6 prefixes that carry an IPv4 address, and how many bits stand after it.
_CARRIERS = (
    (ip_network("::ffff:0:0/96"), 0),  # IPv4-mapped, RFC 4291
    (ip_network("::/96"), 0),  # IPv4-compatible, RFC 4291
    (ip_network("::ffff:0:0:0/96"), 0),  # IPv4-translated, RFC 2765
    (ip_network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (ip_network("64:ff9b:1::/96"), 0),  # local NAT64, RFC 8215
    (ip_network("2002::/16"), 80),  # 6to4, RFC 3056
)


def refusal_of(address: str | Address, permitted_ranges: Sequence[str] = ()) -> Refusal | None:
    """None when tests may be aimed at an address, else why not.

    Args:
        address: A numeric address; a zone (`fe80::1%eth0`) is left out of account.
        permitted_ranges: A workspace's CIDRs. When there are any, only what is inside of them is allowed; a range that
            lies in the link-local space opens that, and an address at which credentials are handed out is opened by
            itself (/32, /128) alone.

    Raises:
        ValueError: No address, or no CIDR.
    """
    ranges = [ip_network(cidr) for cidr in permitted_ranges]
    given = ip_address(str(address).partition("%")[0])
    for form in _forms(given):
        reason = _refused(form, ranges)
        if reason:
            carried = "" if form == given else f", which carries {form}"
            return Refusal(str(address), f"{address}{carried} is {reason}")
    goes_to = getattr(given, "ipv4_mapped", None) or given
    if ranges and not any(_inside(goes_to, network) for network in ranges):
        return Refusal(str(address), f"{address} is outside the permitted ranges {', '.join(permitted_ranges)}")
    return None


def is_nobodys(address: str) -> bool:
    """Whether no one host has this numeric address, so that nothing opens it. Raises `ValueError`."""
    forms = _forms(ip_address(address.partition("%")[0]))
    return any(_inside(form, network) for form in forms for network, _ in NOBODY)


def _refused(address: Address, ranges: Sequence[Network]) -> str | None:
    for network, reason in NOBODY:
        if _inside(address, network):
            return reason
    if address in METADATA:
        exactly = any(network.num_addresses == 1 and _inside(address, network) for network in ranges)
        return None if exactly else METADATA[address]
    for network, reason in REFUSED:
        opened = any(_inside(address, permitted) and _within(permitted, network) for permitted in ranges)
        if _inside(address, network) and not opened:
            return reason
    return None


def _forms(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 address that it carries."""
    yield address
    if isinstance(address, IPv6Address) and int(address) > 1:  # :: and ::1 carry none
        for network, shift in _CARRIERS:
            if address in network:
                yield IPv4Address(int(address) >> shift & 0xFFFFFFFF)


def _inside(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
