"""The host answers, the port does not."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

CAUSES = (
    Cause(
        "PORT.CLOSED",
        State.UNREACHABLE,
        Owner.DBA,
        "The host itself refuses with a RST: no program listens on this port. (A firewall that imitates a RST cannot "
        "be told apart by any client.)",
        component="{address}:{port}",
        message="No program listens on port {port} of {address}.",
        remedy="Start the server, or correct the port: servers of type {type} usually listen on {default_port}.",
        rules=(
            Rule("connect", {"errno": "ECONNREFUSED"}, rank=50),
            Rule(
                "connect",
                {"errno": "ECONNREFUSED", "unix": True},
                rank=30,
                component="{address}",
                message="No server listens on the socket {address}; a dead one has left it behind.",
                remedy="Start the server on this machine, or correct the path of its socket.",
            ),
            Rule(
                "connect",
                {"channel_code": 2, "unix": True},
                rank=55,
                component="{address}",
                message="No server can be reached at the socket {address} of {resource_group}.",
                remedy="Start the server there, or correct the path of its socket.",
            ),
            Rule(
                "connect",
                {"errno": frozenset({"ENOENT", "ENOTDIR", "ENAMETOOLONG"})},
                component="{address}",
                message="There is no socket file at {address}.",
                remedy="Start the server on this machine, or correct the path of its socket.",
            ),
        ),
    ),
    Cause(
        "PORT.PROBABLY_TYPO",
        State.UNREACHABLE,
        Owner.USER,
        "The port is closed (RST), and the type's own port on the same host answers in its protocol.",
        component="{address}:{port}",
        message="No program listens on port {port} of {address}, but port {default_port} speaks {protocol_title}.",
        remedy="Use port {default_port} instead of {port}.",
        rules=(Rule("connect", {"errno": "ECONNREFUSED", "default_port_answers": True}, rank=40),),
    ),
)
