"""`headwater allowlist`: what a server must let in so that every bound resource group reaches a data source."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.finding import find
from flows.options import Form as OutputForm
from flows.options import OfWorkspace, Output, Source
from flows.terminal import dump
from registry.errors import NotFound

if TYPE_CHECKING:
    from registry.allowlist_forms import Need
    from registry.targets import CheckTarget
    from tasks.networks.needs import Needed


class Env(StrEnum):
    """The environments."""

    DEV = "dev"
    PROD = "prod"
    ALL = "all"


class Form(StrEnum):
    """The forms of `registry.allowlist_forms`."""

    PLAIN = "plain"
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    RDS = "rds"
    NFTABLES = "nftables"
    SECURITY_GROUP = "security-group"


def allowlist(
    source: Source,
    workspace: OfWorkspace = None,
    env: Annotated[Env, typer.Option("--env", "-e", help="Which environment.")] = Env.ALL,
    form: Annotated[
        Form | None,
        typer.Option(help="How to write it; by default as the type's own servers or its cloud want it."),
    ] = None,
    platform: Annotated[
        bool, typer.Option(help="Also let in the platform's own services, where their ranges are declared.")
    ] = True,
    output: OutputForm = Output.TABLE,
) -> int:
    """Print what a server must let in, for every bound resource group. Exit status 1 when something is not known.

    The lines go to standard output, what they are and what is missing to standard error.
    """
    import asyncio

    from registry.store import open_store
    from tasks.networks.needs import needed, scopes_of

    side: Literal["dev", "prod"] | None = None if env is Env.ALL else ("dev" if env is Env.DEV else "prod")
    with open_store() as store:
        row = find(store, source, workspace=workspace)
        found = store.targets(workspace=row.workspace.name, source=row.name, env=side)
        if not found:
            raise NotFound(
                f"no resource group is bound to {row.workspace.name}",
                where=f"workspace:{row.workspace.name}",
                instruction="add one to the workspace's resource_groups and apply",
            )
        latest = [one.verdict for one in store.verdicts.latest(workspace=row.workspace.name, source=row.name)]
    rows = needed(found, asyncio.run(scopes_of(found)), latest)
    written = [_written(one, rows, form, platform) for one in _each_env(found)]
    if output is Output.JSON:
        dump({"data_source": row.path, "environments": written})
    else:
        _print(written)
    return 1 if any(one.missing for one in rows) or not rows else 0


def _each_env(found: Sequence[CheckTarget]) -> list[CheckTarget]:
    return list({one.env: one for one in found}.values())


def _written(target: CheckTarget, rows: Sequence[Needed], form: Form | None, platform: bool) -> dict[str, Any]:
    """One environment: what each group needs, and the lines for all of them together."""
    from registry.allowlist_forms import FORMS, form_of
    from registry.connection import Mode
    from registry.types import get

    kind = get(target.type)
    name = form.value if form else form_of(kind.name, managed=Mode.INSTANCE in kind.modes)
    mine = [one for one in rows if one.env == target.env]
    return {
        "env": target.env,
        "form": name,
        "lines": list(FORMS[name](_need(target, mine, kind.default_port, platform))),
        "groups": [
            {
                "resource_group": one.resource_group,
                "scope": one.scope,
                "entries": [str(network) for network in one.networks],
                "what": one.kind,
                "platform": [str(network) for network in one.platform],
                "missing": one.missing or None,
            }
            for one in mine
        ],
    }


def _need(target: CheckTarget, rows: Sequence[Needed], default_port: int, platform: bool) -> Need:
    from registry.allowlist_forms import Need
    from registry.allowlists import collapsed

    connection = target.connection
    endpoints = connection.endpoints() if connection else ()
    mode = connection.tls().mode if connection else "prefer"
    networks = [network for one in rows for network in (*one.networks, *(one.platform if platform else ()))]
    return Need(
        collapsed(networks),
        endpoints[0].port if endpoints else default_port,
        getattr(connection, "database", None),
        getattr(connection, "username", None),
        {"disable": False, "prefer": None}.get(mode, True),
        target.path,
    )


def _print(written: Sequence[dict[str, Any]]) -> None:
    for one in written:
        for group in one["groups"]:
            told = group["missing"] or f"{', '.join(group['entries'])}: {group['what']}"
            print(f"{one['env']}  {group['resource_group']}  {group['scope']}  {told}", file=sys.stderr)
            if group["platform"]:
                print(f"{'':>6}and the platform's own services: {', '.join(group['platform'])}", file=sys.stderr)
    several = len({tuple(one["lines"]) for one in written}) > 1
    for one in written if several else written[:1]:
        if several:
            print(f"{one['env']} ({one['form']}):", file=sys.stderr, flush=True)
        for line in one["lines"]:
            print(line, flush=True)
