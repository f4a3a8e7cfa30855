"""Nothing gets out of this place on one port."""

from __future__ import annotations

from collections.abc import Sequence

from registry.network import endpoint
from registry.verdict import INCONCLUSIVE
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View, agreeing, names


def port_closed_on_the_way_out(view: View, others: Sequence[View]) -> Insight | None:
    """The port leads nowhere from here, not even to canaries that answer elsewhere on it."""
    silent_here = _silent_on_port(view)
    can = [other for other in others if silent_here & set(other.seen("connect").get("canaries_on_port", ()))]
    if not can:
        return None
    return _egress(view, can, f"these answer {names(can)} on it")


def port_blocked_here(view: View, others: Sequence[View]) -> Insight | None:
    """The port leads nowhere from here, to no canary though they answer otherwise; another place gets through on it."""
    through = _through(view, others)
    if not (_silent_on_port(view) and view.seen("connect").get("port_blocked") and through):
        return None
    return _egress(
        view, through, f"these answer on other ports, and {agreeing(through, 'connects', 'connect')} to {view.address}"
    )


def port_blocked_here_or_there(view: View, others: Sequence[View]) -> Insight | None:
    """The port leads nowhere from here; the canaries need not be open on it, and another place gets through."""
    through, asked = _through(view, others), _silent_on_port(view)
    if not (asked and through and view.canaries_answer):
        return None
    port = view.place[1]
    return Insight(
        INCONCLUSIVE,
        alternatives=("FILTER.EGRESS", "FILTER.DROP"),
        component=f"TCP port {port} between {view.group} and {view.address}",
        message=f"{agreeing(through, 'connects', 'connect')} to {view.address}:{port}; {view.group} reaches neither "
        f"it nor {', '.join(sorted(asked))} on port {port}, though these answer it on their own ports.",
        remedy=f"Look first whether a rule of {view.group} (security group, network ACL, egress firewall) forbids "
        f"outgoing TCP port {port}; else allow it on {view.address} from {view.entries}.",
        decided_by=through,
    )


def _egress(view: View, others: Sequence[View], told: str) -> Insight:
    port, asked = view.place[1], ", ".join(sorted(_silent_on_port(view)))
    return Insight(
        "FILTER.EGRESS",
        component=f"TCP port {port} out of {view.group}",
        message=f"{view.group} reaches nobody on TCP port {port}: neither {view.address} nor the canaries {asked}; "
        f"{told}.",
        remedy=f"Allow outgoing TCP port {port} to {view.address} in the rules of {view.group} (security group, "
        "network ACL, egress firewall).",
        decided_by=others,
    )


def _through(view: View, others: Sequence[View]) -> list[View]:
    return [other for other in others if other.conversed and other.place == view.place]


def _silent_on_port(view: View) -> set[str]:
    """The hosts of the canaries, when none of them answers here on the port of a data source that does not either."""
    connect = view.fails_in("connect")
    stopped = bool(connect.get("silent") or connect.get("icmp_type") is not None)
    if not stopped or connect.get("canaries_on_port") or not connect.get("canaries_asked"):
        return set()
    return {endpoint(text).host for text in connect["canaries_asked"]}


RULES = (
    Rule("port blocked on the way out", port_closed_on_the_way_out, 15),
    Rule("port blocked here", port_blocked_here, 16),
    Rule("port blocked here or there", port_blocked_here_or_there, 30),
)
