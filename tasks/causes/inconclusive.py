"""No single cause remains."""

from registry.verdict import INCONCLUSIVE, Owner, State
from tasks.causes import Cause, Rule

_SILENCE = "Nothing comes back from {address}: not from port {port}, nor from any other that was asked, nor an echo."
_REPORTED = (
    "Nothing comes back from {address}:{port}, and {other_port_icmp_from} answers for other ports of it with ICMP "
    "{other_port_icmp_type}/{other_port_icmp_code}."
)
_DECIDE = (
    "Test from another resource group, or ask the host's owner: if {address} is up, a firewall drops TCP port {port} "
    "from {source_cidr} and has to allow it."
)

CAUSES = (
    Cause(
        INCONCLUSIVE,
        State.UNREACHABLE,
        Owner.NETWORK,
        "Two or more causes fit the evidence; `alternatives` lists them and the remedy names the probe that would "
        "decide.",
        component="{endpoint}",
        message="The evidence fits more than one cause.",
        remedy="Test from another resource group.",
        rules=(
            Rule(
                "resolve",
                {"rcode": "TIMEOUT"},
                rank=60,
                alternatives=("DNS.SERVER_FAILURE", "DNS.RESOLVER_DOWN"),
                component="{name}",
                message="The name servers {nameservers} answer for other names, but not for {name}.",
                remedy="Ask another name server for {name}: if it answers, the fault is in {nameservers}.",
            ),
            # Routers answer some packets only: they limit how many such messages they send.
            Rule(
                "connect",
                {"silent": True, "other_port_icmp_from": bool, "other_port_icmp_code": frozenset({9, 10, 13})},
                rank=40,
                alternatives=("FILTER.REJECT", "FILTER.DROP"),
                component="{other_port_icmp_from}",
                message=_REPORTED,
                remedy="Ask the owner of {other_port_icmp_from} whether TCP from {source_cidr} to {address}:{port} is "
                "allowed.",
            ),
            Rule(
                "connect",
                {"silent": True, "other_port_icmp_from": bool},
                rank=41,
                alternatives=("ROUTE.REMOTE_UNREACHABLE", "FILTER.DROP", "FILTER.REJECT"),
                component="{other_port_icmp_from}",
                message=_REPORTED,
                remedy="Ask the owner of {other_port_icmp_from} about its route and its rules for {address}:{port}.",
            ),
            Rule(
                "connect",
                {"silent": True, "public": True},
                rank=60,
                alternatives=("FILTER.DROP", "HOST.DOWN", "ROUTE.NAT_MISSING"),
                component="{address}:{port}",
                message=_SILENCE,
                remedy=_DECIDE,
            ),
            Rule(
                "connect",
                {"silent": True},
                rank=61,
                alternatives=("FILTER.DROP", "HOST.DOWN"),
                component="{address}:{port}",
                message=_SILENCE,
                remedy=_DECIDE,
            ),
            Rule(
                "connect",
                {"errno": frozenset({"EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"})},
                rank=70,
                alternatives=("ROUTE.REMOTE_UNREACHABLE", "HOST.DOWN"),
                component="{address}",
                message="{address} cannot be reached ({errno}), and the network does not say who reports it.",
                remedy="Trace the route to {address}: the last hop that answers is the one to ask.",
            ),
        ),
    ),
)
