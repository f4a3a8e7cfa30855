"""An SSH-based source is not the server it was known as."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

CAUSES = (
    Cause(
        "PEER.HOST_KEY",
        State.CONFIG_ERROR,
        Owner.USER,
        "An SSH server shows another host key than the one given or known, or one that nobody has vouched for; both "
        "fingerprints are told, and no password was sent.",
        component="{address}:{port}",
        message="{address}:{port} shows the host key {shown_fingerprint}, but {known_from} has {known_fingerprints}.",
        remedy="Find out why the key has changed: a new installation, another server behind this address, or somebody "
        "in between. If {shown_fingerprint} is right, set host_key: {host_key_line}",
        rules=(
            Rule(None, {"host_key": "changed"}, rank=10),
            Rule(
                None,
                {"host_key": "revoked"},
                rank=10,
                message="{address}:{port} shows the host key {shown_fingerprint}, which known_hosts marks as revoked.",
                remedy="Do not trust this server: let its owner give it a new host key, and ask why the old one was "
                "revoked.",
            ),
        ),
    ),
)
