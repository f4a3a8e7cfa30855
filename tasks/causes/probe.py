"""The check itself could not come to an end, or must not be made."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

#: What the kernel says when this machine, not the network, has nothing left for another connection.
_EXHAUSTED = frozenset({"EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"})

CAUSES = (
    Cause(
        "PROBE.AGENT_DOWN",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "The resource group did not take the work, or had no descriptors, memory or local ports left for it; nothing "
        "is known about the data source.",
        component="{resource_group}",
        message="{resource_group} has nothing left for another connection ({errno}).",
        remedy="Check fewer sources at a time, or raise the limits of {resource_group} (ulimit -n).",
        rules=(
            Rule(None, {"errno": _EXHAUSTED}, rank=4),
            Rule("connect", {"errno": "EADDRNOTAVAIL"}, rank=4),
        ),
    ),
    Cause(
        "PROBE.DEADLINE",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "Our own time ended while the peer was still progressing; it is not blamed on the peer.",
        component="{stage}",
        message="The time for this check ({timeout_s} s) ended in the stage {stage}, with {address}:{port} still at "
        "it.",
        remedy="Test with more time: headwater test {source} --timeout 30.",
        rules=(
            Rule(None, {"broken": "silent", "mute": False}, rank=70),
            # A connection request is repeated after a second: silence that was not waited for proves nothing.
            Rule("connect", {"silent": True, "hasty": True}, rank=35),
            Rule(None, {"interrupted": True}, rank=90),
        ),
    ),
    Cause(
        "POLICY.FORBIDDEN_TARGET",
        State.UNSUPPORT,
        Owner.PLATFORM,
        "The address is one that tests may not be aimed at: link-local, a cloud's metadata service, or outside the "
        "ranges that the workspace permits.",
        component="{address}",
        message="Tests may not be aimed at {address}: {forbidden}.",
        remedy="Correct the address of {source}, or add it to permitted_ranges of the workspace {workspace}.",
        rules=(Rule(None, {"forbidden": bool}, rank=5),),
    ),
)
