"""Whole checks of a type against a listener that speaks its protocol as its documents say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from registry import types
from registry.connection import Mode
from registry.verdict import Verdict
from tasks.check import check
from tasks.target import Target
from tasks.vantages.local import LocalVantage
from tests.tasks.support import PASSWORD, Handler, listening


def target_of(type_name: str, entry: Mapping[str, Any], **secrets: str) -> Target:
    """A data source of a type; files and secrets by the name of their field."""
    kind = types.get(type_name)
    named = dict.fromkeys(secrets, "env:UNUSED")
    connection = kind.modes[Mode.CONNECTION_STRING].model_validate({**entry, **named})
    hidden = {name: SecretStr(value) for name, value in secrets.items()}
    return Target(
        workspace="sales", source="orders", type=kind.name, env="prod", resource_group="vpc1",
        protocol=kind.protocol_of(connection), default_port=kind.default_port, connection=connection,
        secrets=lambda: hidden,
    )  # fmt: skip


async def verdict_at(
    port: int, type_name: str, entry: Mapping[str, Any], *, timeout: float = 3, **secrets: str
) -> Verdict:
    """The verdict over a listener on this port."""
    kind = types.get(type_name)
    where = {"address": [{"host": "127.0.0.1", "port": port}]}
    if "address" not in kind.modes[Mode.CONNECTION_STRING].model_fields:
        where = {"host": "127.0.0.1", "port": port}
    target = target_of(type_name, {**where, **entry}, **{"password": PASSWORD, **secrets})
    return await check(target, LocalVantage(), timeout=timeout)


async def verdict_over(
    handler: Handler, type_name: str, entry: Mapping[str, Any], *, timeout: float = 3, **secrets: str
) -> Verdict:
    """The verdict over a peer that answers as `handler` does."""
    async with listening(handler) as port:
        return await verdict_at(port, type_name, entry, timeout=timeout, **secrets)


def seen(found: Verdict, stage: str) -> dict[str, Any]:
    """The evidence of a stage of a verdict."""
    return next(dict(one.evidence) for one in found.stages if one.name == stage)
