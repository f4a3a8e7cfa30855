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
from registry.verdict import Stage
from tasks.evidence import Trace

HIDDEN = "•••"
#: Shorter values stand in evidence by chance, in numbers and codes.
_SHORTEST = 6


def hide(trace: Trace, secrets: Mapping[str, SecretStr], connection: Connection | None) -> None:
    """Take every secret out of the evidence, in place.

    A value that stands openly in the connection as well, such as a password that repeats the user name, is no secret to
    keep: hiding it would only hide the user name.
    """
    values = [secret.get_secret_value() for secret in secrets.values()]
    stages = [stage for steps in (trace.head, *(one.steps for one in trace.attempts)) for stage in steps.stages]
    told = {value for value in values if len(value) >= _SHORTEST and _is_told(value, stages)}
    if not told:
        return
    kept = sorted(told - _open(told, connection), key=len, reverse=True)
    for stage in stages:
        for key, value in stage.evidence.items():
            stage.evidence[key] = _without(value, kept)


def _is_told(secret: str, stages: Iterable[Stage]) -> bool:
    return any(_holds(value, secret) for stage in stages for value in stage.evidence.values())


def _holds(value: Any, secret: str) -> bool:
    if isinstance(value, str):
        return secret in value
    return isinstance(value, (list, tuple)) and any(_holds(item, secret) for item in value)


def _open(values: Iterable[str], connection: Connection | None) -> set[str]:
    """Those that stand openly in the connection."""
    if connection is None:
        return set()
    text = json.dumps(connection.model_dump(mode="json", exclude=set(connection.sensitive_fields())), default=str)
    return {value for value in values if value in text}


def _without(value: Any, secrets: Iterable[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, (list, tuple)):
        return [_without(item, secrets) for item in value]
    return value
