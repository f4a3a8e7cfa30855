"""This vantage has no way to the address, or somebody on the way has none."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

_BEYOND_V4 = frozenset({0, 1, 5, 6, 7, 11, 12})
_BEYOND_V6 = frozenset({0, 2, 3})

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
        "The address is public and this vantage has no way out to the Internet: no default route.",
        component="{resource_group}",
        message="{address} is a public address and {resource_group} has no way out to the Internet over {family}.",
        remedy="Give the VPC of {resource_group} an Internet NAT gateway with an EIP and an SNAT entry for its "
        "vSwitch, then add that EIP to the allowlist of the data source.",
        rules=(Rule("route", {"errno": bool, "public": True, "way_out": False}, rank=40),),
    ),
    Cause(
        "ROUTE.REMOTE_UNREACHABLE",
        State.UNREACHABLE,
        Owner.NETWORK,
        "A router beyond our own route reports that it cannot reach the host or its network (ICMP 3/0, 3/1; ICMPv6 "
        "1/0, 1/3).",
        component="{icmp_from}",
        message="The router {icmp_from} reports that it cannot reach {address} (ICMP {icmp_type}/{icmp_code}).",
        remedy="Let the owner of {icmp_from} look at its route to {network}, and whether the host {address} is up.",
        rules=(
            Rule("connect", {"icmp_version": 4, "icmp_type": 3, "icmp_code": _BEYOND_V4, "icmp_from_here": False}),
            Rule("connect", {"icmp_version": 6, "icmp_type": 1, "icmp_code": _BEYOND_V6, "icmp_from_here": False}),
        ),
    ),
)
