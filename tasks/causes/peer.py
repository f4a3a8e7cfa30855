"""Somebody accepts the connection and does not converse as the protocol demands."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

CAUSES = (
    Cause(
        "PEER.MUTE",
        State.UNREACHABLE,
        Owner.DBA,
        "The connection was accepted, then no byte came where the protocol owes one: a dead backend behind a load "
        "balancer, a hung server, or a middle box that accepts for everybody.",
        component="{address}:{port}",
        message="{address}:{port} accepts connections and then says nothing ({silent_ms} ms in stage {stage}).",
        remedy="Look at the server behind {address}:{port}: it hangs, or a load balancer accepts for a dead one."
        "{greets_late}",
        rules=(Rule(None, {"broken": "silent", "mute": True}, rank=60),),
    ),
    Cause(
        "PEER.RESET_EARLY",
        State.UNREACHABLE,
        Owner.DBA,
        "The connection was accepted, then reset or closed before the server said anything: a full or restarting "
        "server, a load balancer without a healthy backend, a TCP wrapper.",
        component="{address}:{port}",
        message="{address}:{port} accepts the connection and drops it ({broken}) before its first word.",
        remedy="Look at the server behind {address}:{port} and at its list of permitted clients.",
        rules=(
            Rule(None, {"broken": frozenset({"reset", "eof", "error"}), "received_bytes": 0}, rank=60),
            # A RST instead of an answer is ECONNREFUSED: this one came after the connection was accepted.
            Rule(
                "connect",
                {"errno": "ECONNRESET"},
                message="{address}:{port} accepts the connection and resets it at once.",
            ),
        ),
    ),
    Cause(
        "PROTO.MISMATCH",
        State.CONFIG_ERROR,
        Owner.USER,
        "The first bytes are another protocol's.",
        component="{address}:{port}",
        message="{address}:{port} does not speak {protocol_title}, but {looks_like} (first bytes: {first_bytes}).",
        remedy="Correct the port or the type of the data source: servers of type {type} usually listen on "
        "{default_port}.",
        rules=(
            Rule(None, {"not_protocol": True}, rank=20),
            # no_application_protocol (RFC 7301, section 3.2).
            Rule(
                "tls",
                {"alert": 120},
                message="{address}:{port} speaks something else than {protocol_title} inside of TLS: it refuses a "
                "handshake that names no application protocol of its own (ALPN, alert 120).",
                remedy="Use a port that speaks {protocol_title} to clients without ALPN (of HTTP: version 1.1), or let "
                "{address}:{port} accept them.",
            ),
            # Without this it would be said to have no TLS, as the right peer is.
            Rule("tls", {"not_tls": True, "another_protocol": True}, rank=25),
            Rule(
                None,
                {"broken": bool, "looks_like": bool},
                rank=21,
                message="{address}:{port} does not speak {protocol_title}, but {looks_like}.",
            ),
        ),
    ),
)
