"""The server does not let this client address in."""

from typing import Any

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

#: A list is known, and nothing that the group may come from is in it.
_LEFT_OUT = {"allowlist_standing": "lacks"}
_SILENT = (
    "{address} answers {answered_otherwise}, but nothing comes back from port {port}, and its allowlist ({allowlist}) "
    "leaves {source_cidr} out."
)


def _by_cloud(stage: str | None, rank: int, **when: Any) -> Rule:
    """No word from an instance whose list, as its cloud enforces it, leaves the group out."""
    return Rule(
        stage,
        {**_LEFT_OUT, "list_of_cloud": bool, **when},
        rank=rank,
        component="{source_cidr}",
        message="{list_of_cloud} reports that the instance behind {address}:{port} runs, and that its allowlist "
        "({allowlist}) leaves {source_cidr} out.",
    )


CAUSES = (
    Cause(
        "ADMIT.ALLOWLIST",
        State.UNREACHABLE,
        Owner.DBA,
        "The server itself refuses this client address, whatever the password, and over TLS as well; or its port is "
        "silent though the host is there, and its allowlist, as declared or as its cloud tells it, leaves this "
        "resource group out.",
        component="{source_address}",
        message="{address}:{port} does not admit clients from {source_address}.",
        remedy="Add {source_cidr} ({entry_kind}) for {resource_group} to the allowlist of the server.",
        rules=(
            Rule(
                "connect",
                {**_LEFT_OUT, "silent": True, "ports_that_answer": bool},
                rank=25,
                component="{source_cidr}",
                message=_SILENT,
            ),
            Rule(
                "connect",
                {**_LEFT_OUT, "silent": True, "answers_ping": True},
                rank=25,
                component="{source_cidr}",
                message=_SILENT,
            ),
            # The list is what the cloud enforces, and by the cloud the instance runs: neither down nor elsewhere.
            _by_cloud("connect", 28, silent=True),
            _by_cloud("connect", 45, errno="ECONNREFUSED"),
            _by_cloud(None, 54, broken=frozenset({"reset", "eof"}), received_bytes=0),
            # The server's own firewall says no, and what it lets in is known.
            Rule(
                "connect",
                {**_LEFT_OUT, "errno": bool, "icmp_from_peer": True},
                rank=13,
                component="{source_cidr}",
                message="{address} refuses TCP to port {port} itself (ICMP {icmp_type}/{icmp_code}), and its allowlist "
                "({allowlist}) leaves {source_cidr} out.",
            ),
            Rule(
                "connect",
                {"errno": "EACCES", "unix": True},
                rank=10,
                component="{address}",
                message="This user may not open the socket {address}.",
                remedy="Run as a user that may open {address}, or change the socket's permissions.",
            ),
        ),
    ),
)
