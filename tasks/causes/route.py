"""This vantage has no way to the address, or somebody on the way has none."""

from typing import Any

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

_BEYOND_V4 = frozenset({0, 1, 5, 6, 7, 11, 12})
_BEYOND_V6 = frozenset({0, 2, 3})
_UNREACHABLE = frozenset({"EHOSTUNREACH", "ENETUNREACH"})


def _told(value: object) -> bool:
    return value is not None


#: Declared to have no public address, and nothing observed that contradicts it.
_NO_NAT = {"public": True, "no_nat_declared": True, "canaries_that_answer": lambda found: not found}

#: Nothing observed that contradicts a way out that is said to be missing.
_NOTHING_ANSWERS = {
    "ports_that_answer": lambda found: not found,
    "answers_ping": lambda answers: answers is not True,
    "canaries_that_answer": lambda found: not found,
}


def _audited(stage: str, rank: int, **when: Any) -> Rule:
    """The network audit of the group's VPC finds the way out incomplete."""
    return Rule(
        stage,
        {**when, "nat_lacks": bool},
        rank=rank,
        component="{nat_lacks}",
        message="{address} is a public address and {resource_group} has no way out to the Internet: {nat_told}.",
        remedy="{nat_remedy}; then add the EIP to the allowlist of the data source.",
    )


CAUSES = (
    Cause(
        "ROUTE.NONE",
        State.UNREACHABLE,
        Owner.NETWORK,
        "The routing table of this vantage has no route to the address, or one that forbids it.",
        component="{address}",
        message="{resource_group} has no route to {address} ({errno}).",
        remedy="Add a route to {network} in the network of {resource_group} (route table of its VPC, CEN, VPN or "
        "Express Connect).",
        rules=(Rule("route", {"errno": bool}, rank=60),),
    ),
    Cause(
        "ROUTE.NAT_MISSING",
        State.UNREACHABLE,
        Owner.NETWORK,
        "The address is public and this vantage has no way out to the Internet: no default route, or no public place "
        "answers from here while one does from elsewhere, or it is declared to have no NAT gateway with an address and "
        "nothing comes back.",
        component="{resource_group}",
        message="{address} is a public address and {resource_group} has no way out to the Internet over {family}.",
        remedy="Give the VPC of {resource_group} an Internet NAT gateway with an EIP and an SNAT entry for its "
        "vSwitch, then add that EIP to the allowlist of the data source.",
        rules=(
            _audited("route", 39, errno=bool, public=True, way_out=False),
            _audited("connect", 25, silent=True, **_NOTHING_ANSWERS),
            Rule("route", {"errno": bool, "public": True, "way_out": False}, rank=40),
            Rule(
                "connect",
                {"silent": True, **_NO_NAT},
                rank=55,
                message="{address} is a public address, nothing comes back from it, and {resource_group} is declared "
                "to have no public address to come from (no NAT gateway with an EIP, no EIP of its own).",
            ),
            Rule(
                "connect",
                {"icmp_type": _told, "icmp_from_here": False, "errno": _UNREACHABLE, **_NO_NAT},
                rank=45,
                message="{address} is a public address that {icmp_from} has no way to, and {resource_group} is "
                "declared to have no public address to come from (no NAT gateway with an EIP, no EIP of its own).",
            ),
        ),
    ),
    Cause(
        "ROUTE.MTU",
        State.UNREACHABLE,
        Owner.NETWORK,
        "Small packets pass and large ones vanish on the way without word of it (RFC 2923): a conversation that hangs "
        "goes on when its packets are kept small, and hangs again when they are not.",
        component="the path from {source_address} to {address}",
        message="Between {resource_group} and {address} packets of {path_mtu} bytes pass and those of "
        "{vanishing_packet} vanish: the connection opens, and hangs as soon as a large one is due (stage {stage}).",
        remedy="Set the MTU of {resource_group}'s interface or tunnel to {path_mtu}, or clamp TCP's MSS to "
        "{largest_segment} on the way; and let ICMP 'fragmentation needed' pass (ICMPv6: 'packet too big').",
        rules=(Rule(None, {"path_mtu": bool}, rank=-9),),
    ),
    Cause(
        "ROUTE.REMOTE_UNREACHABLE",
        State.UNREACHABLE,
        Owner.NETWORK,
        "A router beyond our own route reports that it cannot reach the host or its network (ICMP 3/0, 3/1; ICMPv6 "
        "1/0, 1/3), or that packets run out of hops on the way (ICMP 11; ICMPv6 3): routers send them in a circle.",
        component="{icmp_from}",
        message="The router {icmp_from} reports that it cannot reach {address} (ICMP {icmp_type}/{icmp_code}).",
        remedy="Let the owner of {icmp_from} look at its route to {network}, and whether the host {address} is up.",
        rules=(
            Rule("connect", {"icmp_version": 4, "icmp_type": 3, "icmp_code": _BEYOND_V4, "icmp_from_here": False}),
            Rule("connect", {"icmp_version": 6, "icmp_type": 1, "icmp_code": _BEYOND_V6, "icmp_from_here": False}),
            *(
                Rule(
                    "connect",
                    {"icmp_version": version, "icmp_type": time_exceeded, "icmp_from_here": False},
                    message="Packets to {address} run out of hops at {icmp_from} (ICMP {icmp_type}/{icmp_code}): "
                    "routers send them in a circle.",
                    remedy="Trace the route to {address} (traceroute -n {address}): of the routers that appear again "
                    "and again, {icmp_from} among them, one has a wrong route to {network}.",
                )
                for version, time_exceeded in ((4, 11), (6, 3))
            ),
        ),
    ),
)
