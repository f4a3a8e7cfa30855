"""Something on the way lets this connection not pass."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

_REJECT_V4 = frozenset({2, 3, 9, 10, 13})
#: States of a neighbour that answered a moment ago.
_ALIVE = ("REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT")
_REJECT_V6 = frozenset({1, 4, 5, 6})

CAUSES = (
    Cause(
        "FILTER.DROP",
        State.UNREACHABLE,
        Owner.NETWORK,
        "The connection request is not answered, though the host answers otherwise: on another port, to an echo, or to "
        "another vantage.",
        component="{address}:{port}",
        message="{address} answers {answered_otherwise}, but nothing comes back from port {port}: a firewall drops "
        "it, or the server there is too busy to accept.",
        remedy="Allow TCP port {port} on {address} from {source_cidr} (security group, host firewall, network ACL); if "
        "nothing forbids it, the server is overloaded: look whether its queue of connections is full (Linux: ss -ltn, "
        "TcpExtListenOverflows).",
        rules=(
            Rule("connect", {"silent": True, "ports_that_answer": bool}, rank=30),
            Rule("connect", {"silent": True, "answers_ping": True}, rank=31),
        ),
    ),
    Cause(
        "FILTER.REJECT",
        State.UNREACHABLE,
        Owner.NETWORK,
        "A firewall refuses with an ICMP message (3/3, 3/9, 3/10, 3/13; ICMPv6 1/1, 1/4, 1/5, 1/6) where a closed port "
        "would have answered with a RST.",
        component="{icmp_from}",
        message="The firewall {icmp_from} refuses TCP to {address}:{port} (ICMP {icmp_type}/{icmp_code}).",
        remedy="Allow TCP port {port} to {address} from {source_cidr} on {icmp_from}.",
        rules=(
            # Who says of itself that it cannot be reached, can.
            Rule("connect", {"errno": bool, "icmp_from_peer": True}, rank=14),
            Rule("connect", {"icmp_version": 4, "icmp_type": 3, "icmp_code": _REJECT_V4}, rank=15),
            Rule("connect", {"icmp_version": 6, "icmp_type": 1, "icmp_code": _REJECT_V6}, rank=15),
            # Seen from a machine that counts ICMP messages and does not show them.
            Rule(
                "connect",
                {"refused_by": "icmp"},
                rank=13,
                component="{address}:{port}",
                message="A firewall between {resource_group} and {address}, or on it, refuses TCP port {port} with an "
                "ICMP message.",
                remedy="Allow TCP port {port} on {address} from {source_cidr} (security group, host firewall, network "
                "ACL).",
            ),
            Rule(
                "connect",
                {
                    "errno": frozenset({"EHOSTUNREACH", "ENETUNREACH", "EACCES", "EPERM"}),
                    "channel_code": 2,
                    "answers_ping": True,
                },
                rank=22,
                component="{address}:{port}",
                message="{address} answers an echo, and TCP port {port} is refused on the way with an ICMP message "
                "({errno}).",
                remedy="Allow TCP port {port} on {address} from {source_cidr} (security group, host firewall, network "
                "ACL).",
            ),
            # Unreachable, says this machine, though the next hop is there.
            Rule("connect", {"errno": bool, "icmp_from_here": True, "neighbour": frozenset(_ALIVE)}, rank=23),
            Rule(
                "connect",
                {"errno": frozenset({"EACCES", "EPERM"}), "unix": None},
                component="{resource_group}",
                message="This machine's own firewall or routing policy forbids {address}:{port} ({errno}).",
                remedy="Allow TCP port {port} to {address} in the rules of {resource_group} itself.",
            ),
        ),
    ),
    Cause(
        "FILTER.EGRESS",
        State.UNREACHABLE,
        Owner.NETWORK,
        "This vantage reaches nobody on that port, though others do: the canaries declared for it answer on other "
        "ports only. Or something on the way accepts connections in everybody's name: one to an address that "
        "nobody has (RFC 5737, RFC 3849) is accepted as well.",
        component="TCP port {port} out of {resource_group}",
        message="{resource_group} reaches nobody on TCP port {port}: neither {address}:{port} nor the canaries, which "
        "answer it otherwise ({canaries_elsewhere}).",
        remedy="Allow outgoing TCP port {port} to {address} in the rules of {resource_group} (security group, network "
        "ACL, egress firewall).",
        rules=(
            Rule(
                None,
                {"accepts_for_everybody": bool},
                rank=-10,
                component="the way out of {resource_group}",
                message="Something between {resource_group} and {address}:{port} accepts connections in everybody's "
                "name, {accepts_for_everybody} included, which nobody has: a transparent proxy or firewall that does "
                "not pass this one on.",
                remedy="Let whoever runs the proxy or egress firewall of {resource_group} exempt TCP to "
                "{address}:{port}.",
            ),
            Rule("connect", {"egress_blocked": True}, rank=12),
        ),
    ),
)
