"""The host itself does not answer."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule


def _gone(state: object) -> bool:
    return str(state) in ("FAILED", "INCOMPLETE")


CAUSES = (
    Cause(
        "HOST.DOWN",
        State.UNREACHABLE,
        Owner.DBA,
        "The host is on our own network segment and does not answer the neighbour discovery (ARP, NDP), so no filter "
        "of addresses or ports can be the cause.",
        component="{address}",
        message="Nobody answers for {address} on the network segment of {resource_group}.",
        remedy="Start the host {address}, or correct the address.",
        rules=(
            Rule(
                "connect",
                {"neighbour": _gone, "gateway": bool},
                rank=20,
                component="{gateway}",
                message="The gateway {gateway}, by which {resource_group} reaches {address}, does not answer.",
                remedy="Start the gateway {gateway}, or correct the route to {network}.",
            ),
            Rule("connect", {"neighbour": _gone}, rank=21),
        ),
    ),
)
