"""Which addresses tests may be aimed at.

A tester that follows any address given to it is a way into places its user may not reach (server-side request forgery);
the clouds' metadata services hand out credentials to whoever asks.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: The metadata services of AWS, Azure, Google and others, of AWS ECS, of Alibaba Cloud, of Azure's host, of AWS (IPv6).
_METADATA = tuple(
    ipaddress.ip_address(address)
    for address in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254")
)
#: The prefix by which IPv6-only networks reach IPv4 (RFC 6052).
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Refusal:
    """Why an address must not be tested."""

    address: str
    reason: str


def refusal(address: str, permitted_ranges: Sequence[str] = ()) -> Refusal | None:
    """Why this address must not be tested; None when it may be.

    Args:
        permitted_ranges: The workspace's CIDRs. Given any, only addresses inside them may be tested; they may open
            link-local addresses, and a metadata service only if it is listed by itself (/32 or /128).
    """
    networks = [ipaddress.ip_network(one, strict=False) for one in permitted_ranges]
    for one in _meant(ipaddress.ip_address(address.partition("%")[0])):
        reason = _reason(one, networks)
        if reason:
            return Refusal(address, reason)
    return None


def _reason(address: Address, permitted: Iterable[Network]) -> str | None:
    holding = [network for network in permitted if network.version == address.version and address in network]
    if address in _METADATA:
        listed = any(network.num_addresses == 1 for network in holding)
        return None if listed else "it is a cloud's metadata service"
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        return "it is no address of a single host"
    if permitted and not holding:
        return "it is outside the ranges that the workspace permits"
    if address.is_link_local and not holding:
        return "it is a link-local address"
    return None


def _meant(address: Address) -> Iterable[Address]:
    """The address and every IPv4 address that it stands for."""
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            yield address.ipv4_mapped
        if address.sixtofour:
            yield address.sixtofour
        if address in _NAT64:
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def is_public(address: str) -> bool:
    """Whether the Internet routes this address."""
    if address.startswith("/"):
        return False
    return ipaddress.ip_address(address.partition("%")[0]).is_global
