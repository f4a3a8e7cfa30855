"""What the far kernel says, as text: routes, neighbours, counters and the answers of ping. Pure, strict parsers.

Words decide only where they are the C library's or iputils' own fixed strings in the C locale.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: strerror(3) of glibc, musl and the BSDs -> errno.
ERRNO: Mapping[str, str] = {
    "Connection refused": "ECONNREFUSED",
    "No route to host": "EHOSTUNREACH",
    "Host is unreachable": "EHOSTUNREACH",
    "Network is unreachable": "ENETUNREACH",
    "Network unreachable": "ENETUNREACH",
    "Connection timed out": "ETIMEDOUT",
    "Operation timed out": "ETIMEDOUT",
    "Permission denied": "EACCES",
    "Operation not permitted": "EPERM",
    "Invalid argument": "EINVAL",
    "Cannot assign requested address": "EADDRNOTAVAIL",
    "Address not available": "EADDRNOTAVAIL",
    "Address family not supported by protocol": "EAFNOSUPPORT",
    "Protocol not available": "ENOPROTOOPT",
    "Too many open files": "EMFILE",
    "No file descriptors available": "EMFILE",
    "Too many open files in system": "ENFILE",
    "No such file or directory": "ENOENT",
    "Not a directory": "ENOTDIR",
    "Connection reset by peer": "ECONNRESET",
    "Host is down": "EHOSTDOWN",
}

#: iputils' words for ICMP type 3 (ping/ping_common.c) -> its code.
_ICMP_V4 = {
    "Destination Net Unreachable": 0,
    "Destination Host Unreachable": 1,
    "Destination Protocol Unreachable": 2,
    "Destination Port Unreachable": 3,
    "Destination Net Unknown": 6,
    "Destination Host Unknown": 7,
    "Destination Net Prohibited": 9,
    "Destination Host Prohibited": 10,
    "Packet filtered": 13,
}
#: ... for ICMPv6 type 1.
_ICMP_V6 = {
    "Destination unreachable: No route": 0,
    "Destination unreachable: Administratively prohibited": 1,
    "Destination unreachable: Beyond scope of source address": 2,
    "Destination unreachable: Address unreachable": 3,
    "Destination unreachable: Port unreachable": 4,
    "Destination unreachable: Source address failed ingress/egress policy": 5,
    "Destination unreachable: Reject route to destination": 6,
}
#: What Linux makes of an ICMP unreachable that meets a connecting socket (net/ipv4/icmp.c, net/ipv6/icmp.c).
_MEANT_V4 = {0: "ENETUNREACH", 1: "EHOSTUNREACH", 2: "ENOPROTOOPT", 3: "ECONNREFUSED", 6: "ENETUNREACH",
             7: "EHOSTDOWN", 9: "ENETUNREACH", 10: "EHOSTUNREACH", 13: "EHOSTUNREACH"}  # fmt: skip
_MEANT_V6 = {0: "ENETUNREACH", 1: "EACCES", 2: "EHOSTUNREACH", 3: "EHOSTUNREACH", 4: "ECONNREFUSED", 5: "EACCES",
             6: "EACCES"}  # fmt: skip

_FROM = re.compile(r"^From (\S+?)(?: \(\S+\))?:? icmp_seq=\d+ (.+?)\s*$", re.MULTILINE)
_RECEIVED = re.compile(r"^\d+ packets transmitted, (\d+) (?:packets )?received", re.MULTILINE)


@dataclass(frozen=True)
class Way:
    """One answer of ``ip route get``. `error` is the errno name of a refusal; `broadcast`: this goes to everybody."""

    source: str | None = None
    gateway: str | None = None
    device: str | None = None
    error: str | None = None
    broadcast: bool = False


def address_of(text: str | None) -> str | None:
    """An address in its usual spelling; None for anything else."""
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return None


def way(answer: str) -> Way | None:
    """Read ``ip route get``: iproute2's and busybox's; None for what is neither."""
    first = answer.strip().partition("\n")[0]
    _, refused, why = first.partition("RTNETLINK answers: ")
    if refused:
        error = ERRNO.get(why.strip())
        return Way(error=error) if error else None
    words = first.split()
    fields = dict(itertools.pairwise(words))
    if "dev" not in fields:
        return None
    broadcast = words[0] == "broadcast"
    return Way(address_of(fields.get("src")), address_of(fields.get("via")), fields["dev"], broadcast=broadcast)


def way_in_proc(address: str, ipv4: str, ipv6: str) -> Way | None:
    """The same from /proc/net/route and /proc/net/ipv6_route (proc(5)); the source address stands in neither."""
    wanted = ipaddress.ip_address(address.partition("%")[0])
    if wanted.is_loopback:
        return Way(device="lo")
    rows = _ipv4_routes(ipv4) if wanted.version == 4 else _ipv6_routes(ipv6)
    if rows is None:
        return None
    best = max((row for row in rows if wanted in row[0]), key=lambda row: row[0].prefixlen, default=None)
    if best is None:
        return Way(error="ENETUNREACH")
    return Way(None, best[1], best[2]) if not best[3] else Way(error="EHOSTUNREACH")


_Row = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, str | None, str, bool]


def _ipv4_routes(text: str) -> list[_Row] | None:
    lines = text.strip().splitlines()
    if not lines or not lines[0].startswith("Iface"):
        return None
    rows: list[_Row] = []
    for words in (line.split() for line in lines[1:]):
        try:
            device, destination, gateway, flags, mask = words[0], *(int(words[at], 16) for at in (1, 2, 3, 7))
            prefix = bin(mask).count("1")
            network = ipaddress.IPv4Network((_swapped(destination), prefix))
        except (IndexError, ValueError, struct.error):
            continue
        if flags & 1:  # RTF_UP
            via = str(_swapped(gateway)) if flags & 2 else None  # RTF_GATEWAY
            rows.append((network, via, device, bool(flags & 0x200)))  # RTF_REJECT
    return rows


def _swapped(number: int) -> ipaddress.IPv4Address:
    # The kernel prints the number as its processor reads it from memory; every one in use reads the lowest byte first.
    return ipaddress.IPv4Address(struct.pack("<I", number))


def _ipv6_routes(text: str) -> list[_Row] | None:
    rows: list[_Row] = []
    if not text.strip():
        return None
    for words in (line.split() for line in text.strip().splitlines()):
        try:
            network = ipaddress.IPv6Network((int(words[0], 16), int(words[1], 16)))
            gateway, flags, device = ipaddress.IPv6Address(int(words[4], 16)), int(words[8], 16), words[9]
        except (IndexError, ValueError):
            continue
        if flags & 1:
            refused = bool(flags & 0x200) or device == "lo"
            rows.append((network, str(gateway) if flags & 2 else None, device, refused))
    return rows


def neighbour_state(hop: str, device: str | None, neigh: str, arp: str) -> str | None:
    """The state of a neighbour by ``ip neigh show``, else by /proc/net/arp; None where neither is to be had."""
    for words in (line.split() for line in neigh.splitlines()):
        if words and address_of(words[0]) == hop and device in words:
            return words[-1]
    if neigh.strip():
        return "NONE"
    lines = arp.strip().splitlines()
    if not lines or ":" in hop:
        return None
    for words in (line.split() for line in lines[1:]):
        if len(words) >= 6 and words[0] == hop and words[5] == device:
            return "INCOMPLETE" if words[2] == "0x0" else "REACHABLE"
    return "NONE"


def counters(snmp: str, snmp6: str) -> dict[str, int]:
    """The counters of /proc/net/snmp and snmp6, as ``Icmp.InDestUnreachs`` and ``Icmp6InDestUnreachs``."""
    found: dict[str, int] = {}
    lines = snmp.splitlines()
    for names, values in itertools.pairwise(lines):
        family, colon, rest = names.partition(":")
        if colon and values.startswith(f"{family}:"):
            pairs = zip(rest.split(), values.split()[1:], strict=False)
            found |= {f"{family}.{name}": int(value) for name, value in pairs if _is_count(value)}
    for words in (line.split() for line in snmp6.splitlines()):
        if len(words) == 2 and _is_count(words[1]):
            found[words[0]] = int(words[1])
    return found


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit()


@dataclass(frozen=True)
class Echo:
    """How a ping ended: answered, refused with an ICMP message by somebody, or neither. None: it could not be sent."""

    answered: bool | None = None
    icmp_from: str | None = None
    icmp_code: int | None = None


def echo(output: str, ipv6: bool) -> Echo:
    """Read what ping says, iputils' or busybox's."""
    found = _FROM.search(output)
    reason = (_ICMP_V6 if ipv6 else _ICMP_V4).get(found[2]) if found else None
    sender = address_of(found[1]) if found else None
    received = _RECEIVED.search(output)
    answered = int(received[1]) > 0 if received else None
    return Echo(answered, sender if reason is not None else None, reason)


def icmp_evidence(seen: Echo, errno: str, ipv6: bool, own: str | None) -> dict[str, Any]:
    """The ICMP message behind a refused connect, if that behind a refused echo explains the same errno."""
    meant = _MEANT_V6 if ipv6 else _MEANT_V4
    if seen.icmp_code is None or meant.get(seen.icmp_code) != errno:
        return {}
    return {
        "icmp_type": 1 if ipv6 else 3,
        "icmp_code": seen.icmp_code,
        "icmp_from": seen.icmp_from,
        "icmp_from_here": seen.icmp_from == own,
        "icmp_version": 6 if ipv6 else 4,
        "icmp_of": "echo",
    }
