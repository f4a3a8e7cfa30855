"""Servers that send their clients on: a cluster's first answer names the addresses that everything else goes to.

The name that was configured works then, and the failure is in one that stands nowhere in the configuration. What fails
about it is said by the same codes as for a configured one; the component is the advertised address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from registry.verdict import INCONCLUSIVE
from tasks.evidence import StageFailed
from tasks.protocols import Access, Answer, Dial
from tasks.streams import Stream
from tasks.vantages import ConnectFailed, VantageFailed


async def reach(dial: Dial, access: Access, host: str, port: int, role: str) -> Stream:
    """A stream to an advertised address.

    Args:
        role: What is behind it, as a noun: ``broker 2``.

    Raises:
        StageFailed: It cannot be reached, with `advertised` and why.
    """
    told = named(host, port, role)
    if is_loopback(host) and not is_loopback(access.address):
        raise StageFailed(**told, advertised_loopback=True)
    try:
        return await dial(port, host=host)
    except ConnectFailed as failure:
        raise StageFailed(**failure.evidence, **told, name=host) from None
    except VantageFailed:
        raise
    except StageFailed as failure:
        raise StageFailed(**{**failure.evidence, **told}) from None


def named(host: str, port: int, role: str) -> dict[str, Any]:
    """The evidence that names an advertised address."""
    return {"advertised": f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "advertised_role": role}


def is_loopback(host: str) -> bool:
    """Whether a name or address can only mean the machine that uses it."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host.rstrip(".").lower() in ("localhost", "localhost.localdomain")


def _row(code: str, when: Mapping[str, Any], why: str, remedy: str, alternatives: tuple[str, ...] = ()) -> Answer:
    return Answer(
        code,
        {"advertised": bool, **when},
        alternatives=alternatives,
        component="{advertised}",
        message=f"{{endpoint}} answers, but sends clients on to {{advertised}} ({{advertised_role}}), {why}.",
        remedy=remedy,
    )


_NAME_IT = (
    "Let the DNS of {resource_group} (private zone or host binding) resolve it, or have the cluster advertise a name "
    "that resolves here."
)
_LET_THROUGH = (
    "Open the way from {source_cidr} to {advertised}, or have the cluster advertise an address that is reachable from "
    "{resource_group}."
)

ADVERTISED_ANSWERS: tuple[Answer, ...] = (
    _row(
        "CONFIG.BAD_VALUE",
        {"advertised_loopback": True},
        "which means the client's own machine to every client",
        "Have the cluster advertise a name of its machine that clients can reach, such as {endpoint}.",
    ),
    _row("POLICY.FORBIDDEN_TARGET", {"forbidden": bool}, "which tests may not be aimed at: {forbidden}", _LET_THROUGH),
    _row("DNS.NXDOMAIN", {"rcode": "NXDOMAIN"}, "a name that does not exist here", _NAME_IT),
    _row("DNS.NO_ADDRESS", {"rcode": "NOERROR"}, "a name without an address here", _NAME_IT),
    _row("DNS.RESOLVER_DOWN", {"rcode": "TIMEOUT"}, "a name that no name server answers for here", _NAME_IT),
    _row("DNS.SERVER_FAILURE", {"rcode": bool}, "a name that the name server fails on ({rcode})", _NAME_IT),
    _row("FILTER.REJECT", {"errno": bool, "icmp_from_peer": True}, "where a firewall rejects it", _LET_THROUGH),
    _row(
        INCONCLUSIVE,
        {"errno": "ECONNREFUSED", "icmp_type": bool},
        "where a firewall rejects it, or nothing listens",
        _LET_THROUGH,
        ("FILTER.REJECT", "PORT.CLOSED"),
    ),
    _row(
        "PORT.CLOSED",
        {"errno": "ECONNREFUSED"},
        "where nothing listens",
        "Start what should listen on {advertised}, or correct the address that the cluster advertises.",
    ),
    _row(
        "ROUTE.NONE",
        {"errno": frozenset({"ENETUNREACH", "EADDRNOTAVAIL"})},
        "to which there is no route from here",
        _LET_THROUGH,
    ),
    _row("ROUTE.REMOTE_UNREACHABLE", {"errno": "EHOSTUNREACH"}, "which is unreachable from here", _LET_THROUGH),
    _row(
        INCONCLUSIVE,
        {"silent": True},
        "which does not answer from here",
        _LET_THROUGH,
        ("FILTER.DROP", "HOST.DOWN"),
    ),
    *(
        _row(code, {"verify_code": codes}, f"whose certificate {why}", remedy)
        for code, codes, why, remedy in (
            ("TLS.EXPIRED", frozenset({10}), "has expired", "Renew the certificate of {advertised}."),
            ("TLS.NOT_YET_VALID", frozenset({9}), "is not valid yet", "Look at the clocks and at the certificate."),
            (
                "TLS.NAME_MISMATCH",
                frozenset({62, 64}),
                "bears another name",
                "Have the certificate name what the cluster advertises.",
            ),
            ("TLS.UNTRUSTED_CA", bool, "is not trusted here", "Give the CA of {advertised} {trust_ca}."),
        )
    ),
    _row("PEER.MUTE", {"broken": "silent", "mute": True}, "which accepts and says nothing", "Look at {advertised}."),
    _row("PROBE.DEADLINE", {"broken": "silent"}, "and our time ended there", "Test with more time: --timeout 30."),
    _row("SERVER.ERROR", {}, "where the conversation fails ({server_said})", "Look at the log of {advertised}."),
)
