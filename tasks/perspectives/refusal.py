"""Somebody refuses here: is it the host, or something on the way?"""

from __future__ import annotations

from collections.abc import Sequence

from registry.verdict import INCONCLUSIVE
from tasks.perspectives import Insight, Rule
from tasks.perspectives.view import View, agreeing, names

_REFUSALS = ("PORT.CLOSED", "FILTER.REJECT", "FILTER.DROP")


def some_refused(view: View, _others: Sequence[View]) -> Insight | None:
    """The same address and port converse with this place at the same time: neither is it shut, nor the port closed."""
    unclear = view.refused or bool(view.fails_in("connect").get("refusal_unclear"))
    if not view.conversed_for or not (unclear or view.verdict.cause == "FILTER.REJECT"):
        return None
    address, port = view.place
    others = ", ".join(view.conversed_for[:3])
    return Insight(
        INCONCLUSIVE if unclear else "FILTER.REJECT",
        alternatives=("FILTER.REJECT", "PORT.CLOSED") if unclear else (),
        component=f"{address}:{port}",
        message=f"{address}:{port} converses with {view.group} for {others} in the same run and refuses this "
        "connection: a limit of new connections"
        + (", a load balancer with a backend that is down, or a server that just stopped." if unclear else "."),
        remedy=f"Look at the limits of new connections from {view.entries} on the way to {address}:{port} and on it"
        + (", and at each backend behind it." if unclear else " (nft list ruleset: limit rate, connlimit)."),
        evidence={"conversed_for": list(view.conversed_for)},
    )


def refused_on_the_way(view: View, others: Sequence[View]) -> Insight | None:
    """A RST for this place from a port that accepts others: a closed port would be closed to everybody."""
    through = [other for other in others if other.conversed and other.place == view.place]
    if not ((view.refused or view.fails_in("connect").get("refusal_unclear")) and through):
        return None
    address, port = view.place
    said = "RST" if view.refused else "refusal"
    return Insight(
        "FILTER.REJECT",
        component=f"{address}:{port}",
        message=f"{agreeing(through, 'connects', 'connect')} to {address}:{port}, and {view.group} gets a {said}: a "
        "firewall on the way refuses it, or the address is another machine's in that network.",
        remedy=f"Allow TCP port {port} to {address} from {view.entries}; if no firewall refuses it, compare the routes "
        f"of {view.group} and of {names(through)} to {address}.",
        decided_by=through,
    )


def rejected_here(view: View, others: Sequence[View]) -> Insight | None:
    """A firewall says no to this place and lets others pass."""
    through = [other for other in others if other.conversed and other.place == view.place]
    if view.verdict.cause != "FILTER.REJECT" or view.refused or view.conversed_for or not through:
        return None
    icmp_from = view.fails_in("connect").get("icmp_from")
    return Insight(
        also=f"{agreeing(through, 'gets', 'get')} through",
        remedy=f"Allow TCP port {view.place[1]} to {view.address} from {view.entries}"
        + (f" on {icmp_from}." if icmp_from else "."),
        decided_by=through,
    )


def refusal_seen_elsewhere(view: View, others: Sequence[View]) -> Insight | None:
    """A refusal that cannot be read here is a RST, or a firewall's, where another place can read it."""
    if not view.fails_in("connect").get("refusal_unclear"):
        return None
    telling = [
        other
        for other in others
        if other.place == view.place and (other.refused or other.verdict.cause == "FILTER.REJECT")
    ]
    codes = {str(other.verdict.cause) for other in telling}
    if len(codes) != 1 or any(other.connected and other.place == view.place for other in others):
        return None
    first = telling[0].verdict
    return Insight(
        first.cause,
        component=first.component,
        message=f"{agreeing(telling, 'sees', 'see')} what is refused here as well: {first.message}",
        remedy=first.remedy,
        decided_by=telling,
    )


def refused_everywhere(view: View, others: Sequence[View]) -> Insight | None:
    """Every place that tried meets the same end: it is at the host, or right before it."""
    tried = [other for other in others if other.place == view.place and other.place[1] is not None]
    same = [other for other in tried if other.verdict.cause == view.verdict.cause]
    if view.verdict.cause not in _REFUSALS or not same or len(same) < len(tried):
        return None
    return Insight(
        also=f"{agreeing(same, 'sees', 'see')} the same, so the cause is at {view.address} or right before it",
        decided_by=same,
    )


RULES = (
    Rule("some refused", some_refused, 5),
    Rule("refused on the way", refused_on_the_way, 40),
    Rule("refusal read elsewhere", refusal_seen_elsewhere, 41),
    Rule("rejected here only", rejected_here, remark=True),
    Rule("refused everywhere", refused_everywhere, 51, remark=True),
)
