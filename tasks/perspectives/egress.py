"""Nothing gets out of this place on one port."""

from __future__ import annotations

from collections.abc import Sequence

from registry.verdict import INCONCLUSIVE
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View, names


def port_closed_on_the_way_out(view: View, others: Sequence[View]) -> Insight | None:
    """The port leads nowhere from here, not even to canaries that answer elsewhere on it."""
    blocked = _blocked(view)
    if not blocked:
        return None
    can = [other for other in others if blocked & set(other.seen("connect").get("canaries_on_port", ()))]
    return _egress(view, blocked, can, f"{', '.join(sorted(blocked))} answers {names(can)} on it") if can else None


def port_open_elsewhere(view: View, others: Sequence[View]) -> Insight | None:
    """The port leads nowhere from here, though the canaries answer otherwise, and another place gets through on it."""
    through = [other for other in others if other.connected and other.place == view.place]
    blocked = _blocked(view)
    if not (blocked and through and view.canaries_answer):
        return None
    port = view.place[1]
    return Insight(
        INCONCLUSIVE,
        alternatives=("FILTER.EGRESS", "FILTER.DROP"),
        component=f"TCP port {port} out of {view.group}",
        message=f"{names(through)} connects to {view.address}:{port}; {view.group} reaches neither it nor "
        f"{', '.join(sorted(blocked))} on port {port}, though these answer it on their own ports.",
        remedy=f"Look first whether a rule of {view.group} (security group, network ACL, egress firewall) forbids TCP "
        f"port {port} to the outside; else allow it on {view.address} from {view.entries}.",
        decided_by=through,
    )


def _egress(view: View, blocked: set[str], others: Sequence[View], told: str) -> Insight:
    port = view.place[1]
    return Insight(
        "FILTER.EGRESS",
        component=f"TCP port {port} out of {view.group}",
        message=f"{view.group} reaches nobody on TCP port {port}: neither {view.address} nor "
        f"{', '.join(sorted(blocked))}; {told}.",
        remedy=f"Allow outgoing TCP port {port} to {view.address} in the rules of {view.group} (security group, "
        "network ACL, egress firewall).",
        decided_by=others,
    )


def _blocked(view: View) -> set[str]:
    """The canaries that do not answer here on the port of a data source that does not answer either."""
    connect = view.fails_in("connect")
    stopped = bool(connect.get("silent") or connect.get("icmp_type") is not None)
    if not stopped or connect.get("canaries_on_port") or view.canaries_answer is None:
        return set()
    return set(connect.get("canary_hosts", ()))


RULES = (
    Rule("port blocked on the way out", port_closed_on_the_way_out, 15),
    Rule("port blocked here or there", port_open_elsewhere, 30),
)
