"""Nothing comes back here: is it the host, a filter, or the way out?"""

from __future__ import annotations

from collections.abc import Sequence

from registry.verdict import INCONCLUSIVE
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View, agreeing, names

_BUSY = ", or the server there is too busy to accept"
_OVERLOADED = (
    "; if nothing forbids it, the server is overloaded: look whether its queue of connections is full (Linux: ss -ltn, "
    "TcpExtListenOverflows)"
)


def no_way_out(view: View, others: Sequence[View]) -> Insight | None:
    """A public address, and no public place answers from here, while one does elsewhere."""
    if not (view.public and view.lost and view.canaries_answer is False):
        return None
    outside = [other for other in others if other.gets_out and (other.public or other.canaries_answer)]
    if not outside:
        return None
    return Insight(
        "ROUTE.NAT_MISSING",
        component=view.group,
        message=f"{view.address} is a public address and {view.group} has no way out to the Internet: none of "
        f"{', '.join(view.seen('connect')['canaries_asked'])} answers from there either, while "
        f"{agreeing(outside, 'reaches', 'reach')} public addresses.",
        remedy=nat_remedy(view),
        decided_by=outside,
    )


def undeclared_way_out(view: View, others: Sequence[View]) -> Insight | None:
    """A public address that others reach; whether this place gets out at all is not known."""
    through = [other for other in others if other.conversed and other.place == view.place]
    if not (view.public and view.lost and view.gets_out is None and through):
        return None
    return Insight(
        INCONCLUSIVE,
        alternatives=("FILTER.DROP", "ROUTE.NAT_MISSING"),
        component=_endpoint(view),
        message=f"{agreeing(through, 'connects', 'connect')} to {_endpoint(view)}; nothing comes back to "
        f"{view.group}: it has no way out to public addresses, or a firewall drops what comes from it.",
        remedy=f"Declare network.canaries for {view.group} (public places that always answer) and test again; if they "
        f"answer, allow TCP port {view.place[1]} from {view.entries}.",
        decided_by=through,
    )


def some_dropped(view: View, _others: Sequence[View]) -> Insight | None:
    """The same address and port converse with this place at the same time: no rule about the port stands between."""
    if not (view.silent and view.conversed_for):
        return None
    others = ", ".join(view.conversed_for[:3])
    return Insight(
        INCONCLUSIVE,
        alternatives=("FILTER.DROP", "CAPACITY.CONNECTIONS"),
        component=_endpoint(view),
        message=f"{_endpoint(view)} converses with {view.group} for {others} in the same run and left this connection "
        "request unanswered, so the port is open to it: a rate limit drops some of its connections, packets are lost, "
        "or the server's queue of connections is full.",
        remedy=f"Look at the limits of new connections from {view.entries} on the way to {_endpoint(view)} and on it "
        "(nft list ruleset: limit rate, connlimit), and at the server's queue of connections (Linux: ss -ltn, "
        "TcpExtListenOverflows). A test of this data source alone, a minute later, shows whether it is a limit.",
        evidence={"conversed_for": list(view.conversed_for)},
    )


def dropped_here(view: View, others: Sequence[View]) -> Insight | None:
    """Nothing comes back to this place from a port, or a host, that answers another."""
    if not view.silent:
        return None
    through = [other for other in others if other.conversed and other.place == view.place]
    closed = [other for other in others if other.refused and other.place == view.place]
    alive = [other for other in others if other.host_answers and other.address == view.address]
    deciding = through or closed or (alive if not view.host_answers else [])
    if not deciding:
        return None
    if through:
        said = f"{agreeing(through, 'connects', 'connect')} to {_endpoint(view)}"
    elif closed:
        said = f"{view.address} answers {names(closed)}, if only that port {view.place[1]} is closed"
    else:
        said = f"{view.address} answers {names(alive)}, though not on port {view.place[1]}"
    # Whom the port answers tells that it is not the server itself that is too busy.
    busy, overloaded = ("", "") if through or closed else (_BUSY, _OVERLOADED)
    return Insight(
        "FILTER.DROP",
        component=_endpoint(view),
        message=f"{said}, but nothing comes back to {view.group}: a firewall, security group or route between them "
        f"drops it{busy}.",
        remedy=f"Allow TCP port {view.place[1]} on {view.address} from {view.entries} (security group, host firewall, "
        f"network ACL), and see that answers find their way back to {view.group}{overloaded}.",
        decided_by=deciding,
    )


def dead_everywhere(view: View, others: Sequence[View]) -> Insight | None:
    """No sign of life from a host, on any port, to any place that tried."""
    tried = [other for other in others if other.address == view.address and other.place[1] is not None]
    if view.public:
        tried = [other for other in tried if other.gets_out is not False]
        if view.gets_out is False:
            return None
    if not (tried and all(_no_sign(one) for one in (view, *tried))):
        return None
    return Insight(
        "HOST.DOWN",
        component=view.address,
        message=f"Nothing comes back from {view.address}, on any port: not to {view.group}, nor to {names(tried)}.",
        remedy=f"Start the host {view.address}, or correct the address; if it is up, a firewall before it drops every "
        f"packet of {names([view, *tried])}.",
        decided_by=tried,
    )


def _no_sign(view: View) -> bool:
    connect = view.fails_in("connect")
    from_others = connect.get("icmp_type") is not None or connect.get("other_port_icmp_from")
    return view.silent and not view.host_answers and not from_others and not connect.get("hasty")


def nat_remedy(view: View) -> str:
    """What gives a place a way out, by its type."""
    then = "; then add that address to the allowlist of the data source"
    if view.network.type == "exclusive":
        return f"Bind an EIP to {view.group}, and declare it as network.eips{then}."
    if view.network.type == "local":
        return f"Give {view.group} a default route, and source NAT on the router that leads out of its network{then}."
    vswitch = view.network.vswitch_id or ", ".join(map(str, view.network.vswitch_cidrs)) or "its vSwitch"
    vpc = f"the VPC {view.network.vpc_id}" if view.network.vpc_id else f"the VPC of {view.group}"
    return f"Give {vpc} an Internet NAT gateway with an EIP, and an SNAT entry for {vswitch}{then}."


def _endpoint(view: View) -> str:
    address, port = view.place
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


RULES = (
    Rule("some dropped", some_dropped, 5),
    Rule("no way out", no_way_out, 20),
    Rule("way out unknown", undeclared_way_out, 35),
    Rule("dropped here only", dropped_here, 40),
    Rule("dead everywhere", dead_everywhere, 50),
)
