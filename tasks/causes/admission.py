"""The server does not let this client address in."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

CAUSES = (
    Cause(
        "ADMIT.ALLOWLIST",
        State.UNREACHABLE,
        Owner.DBA,
        "The server itself refuses this client address, whatever the password, and over TLS as well.",
        component="{source_address}",
        message="{address}:{port} does not admit clients from {source_address}.",
        remedy="Add {source_cidr} (or the CIDR of the vSwitch of {resource_group}) to the allowlist of the server.",
        rules=(
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
