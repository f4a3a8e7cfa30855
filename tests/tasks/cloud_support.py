"""What tests of instance mode share: targets that name an instance, and a place that has whatever network is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from registry import types
from registry.connection import Mode
from registry.network import Network
from registry.verdict import Stage, Verdict
from tasks.check import check
from tasks.target import Target
from tasks.vantages.local import LocalVantage
from tests.tasks.support import PASSWORD


def target(
    instance: str = "pgm-bp1example",
    *,
    type: str = "postgresql",
    network: Mapping[str, Any] | None = None,
    permitted: tuple[str, ...] = (),
    password: str = PASSWORD,
    **changes: Any,
) -> Target:
    """A data source `orders` by the id of its instance, by default without TLS."""
    kind = types.get(type)
    model = kind.modes[Mode.INSTANCE]
    entry: dict[str, Any] = {"region_id": "cn-hangzhou", "password": "env:UNUSED", **changes}
    entry["cluster_id" if type == "polardb" else "instance_id"] = instance
    if type != "redis":
        entry = {"database": "postgres", "username": "postgres", **entry}
    if type == "postgresql":
        entry.setdefault("properties", {"sslmode": "disable"})
    if type == "polardb":
        entry.setdefault("db_type", "mysql")
    connection = model.model_validate(entry)
    return Target(
        workspace="sales", source="orders", type=kind.name, env="prod", resource_group="vpc1",
        protocol=kind.protocol_of(connection), default_port=kind.default_port, connection=connection,
        secrets=lambda: {"password": SecretStr(password)}, permitted_ranges=permitted,
        network=Network.model_validate(network or {}),
    )  # fmt: skip


async def verdict_of(target: Target, *, timeout: float = 5.0) -> Verdict:
    """The verdict from this machine."""
    return await check(target, LocalVantage("vpc1"), timeout=timeout)


def stage(verdict: Verdict, name: str = "instance") -> Stage:
    """One stage of a verdict."""
    return next(one for one in verdict.stages if one.name == name)
