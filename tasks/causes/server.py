"""The right server, which cannot serve now."""

from registry.verdict import Owner, State
from tasks.causes import Cause, Rule

CAUSES = (
    Cause(
        "CAPACITY.CONNECTIONS",
        State.CONFIG_ERROR,
        Owner.DBA,
        "A connection limit is reached: of the server, the database or the account; or the host is blocked for errors.",
        component="{address}:{port}",
        message="{address}:{port} has no connection left for {username}.",
        remedy="Close idle connections or raise the limit on the server.",
    ),
    Cause(
        "SERVER.NOT_READY",
        State.CONFIG_ERROR,
        Owner.DBA,
        "The server is starting, stopping or recovering.",
        component="{address}:{port}",
        message="{address}:{port} is up, but starting, stopping or recovering.",
        remedy="Wait until the server has started; look at its log if that takes long.",
    ),
    Cause(
        "SERVER.ERROR",
        State.CONFIG_ERROR,
        Owner.DBA,
        "The right protocol answers with an error of its own, or ends the conversation in the middle; no rule fits.",
        component="{address}:{port}",
        message="{address}:{port} fails in the stage {stage} with an error of its own ({server_said}).",
        remedy="Look at the log of the server at the time of this check.",
        rules=(
            Rule(
                None,
                {"kerberos_proof": "wrong"},
                rank=-1,
                message="{address}:{port} takes the ticket for {service_principal} without proving that it can open "
                "it: it may be an impostor.",
                remedy="Find out which server answers at {address}:{port} before data are sent there.",
            ),
        ),
    ),
    Cause(
        "SERVER.WRONG_ROLE",
        State.CONFIG_ERROR,
        Owner.USER,
        "A read-only replica where a writer is asked for.",
        component="{address}:{port}",
        message="{address}:{port} is a read-only replica, and the data source asks for a primary.",
        remedy="Configure the address of the primary, or stop asking for one.",
    ),
)
