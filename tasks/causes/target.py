"""Logged in, but what the data source names is not there or may not be entered."""

from registry.verdict import Owner, State
from tasks.causes import Cause

CAUSES = (
    Cause(
        "TARGET.MISSING",
        State.CONFIG_ERROR,
        Owner.USER,
        "The named database, schema, bucket, directory or path is not there.",
        component="{database}",
        message="{database} does not exist on {address}:{port}.",
        remedy="Correct the name {database}, or have it created.",
    ),
    Cause(
        "TARGET.NO_CONNECT",
        State.CONFIG_ERROR,
        Owner.DBA,
        "The target is there, and this account may not enter it.",
        component="{database}",
        message="{username} may not enter {database} on {address}:{port}.",
        remedy="Let the DBA grant {username} access to {database}.",
    ),
    Cause(
        "TARGET.OBJECT_MISSING",
        State.CONFIG_ERROR,
        Owner.USER,
        "A bound table, key or path is not there.",
        component="{object}",
        message="The bound object {object} does not exist in {database}.",
        remedy="Correct the name {object} in the objects of {source}/{env}, or have it created.",
    ),
    Cause(
        "TARGET.REDIRECT_LOOP",
        State.CONFIG_ERROR,
        Owner.USER,
        "An HTTP source redirects in a circle or too often.",
        component="{url}",
        message="{url} redirects in a circle or too often.",
        remedy="Configure the URL that answers without a redirect.",
    ),
    Cause(
        "PRIV.OBJECT_DENIED",
        State.CONFIG_ERROR,
        Owner.DBA,
        "A bound object may not be read; without bound objects: nothing at all in the target may.",
        component="{object}",
        message="{username} may not read {object}.",
        remedy="Let the DBA grant {username} the right to read {object}.",
    ),
)
