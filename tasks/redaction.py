"""A peer may say our own secret back to us, in an error text or a banner: it leaves no trace of a check.

What is searched is the evidence, before anything is concluded from it, so that neither the verdict nor a sentence
written from it can hold the secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import SecretStr

from registry.connection import Connection
from tasks.evidence import Trace

HIDDEN = "•••"
#: Shorter values stand in evidence by chance, in numbers and codes.
_SHORTEST = 6


def hide(trace: Trace, secrets: Mapping[str, SecretStr], connection: Connection | None) -> None:
    """Take every secret out of the evidence, in place.

    A value that stands openly in the connection as well, such as a password that repeats the user name, is no secret to
    keep: hiding it would only hide the user name.
    """
    values = _values(secrets, connection)
    if not values:
        return
    for steps in (trace.head, *(attempt.steps for attempt in trace.attempts)):
        for stage in steps.stages:
            for key, value in stage.evidence.items():
                stage.evidence[key] = _without(value, values)


def _values(secrets: Mapping[str, SecretStr], connection: Connection | None) -> list[str]:
    values = {secret.get_secret_value() for secret in secrets.values()}
    long = [value for value in values if len(value) >= _SHORTEST]
    if not long or connection is None:
        return long
    open_ = json.dumps(connection.model_dump(mode="json", exclude=set(connection.sensitive_fields())), default=str)
    return sorted((value for value in long if value not in open_), key=len, reverse=True)


def _without(value: Any, secrets: Iterable[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, (list, tuple)):
        return [_without(item, secrets) for item in value]
    return value
