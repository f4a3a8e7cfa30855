"""`headwater maintenance`: for a while, no new run may use a data source."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from flows import completing
from flows.finding import find
from flows.options import Form, Output, Source, Why
from flows.terminal import dump, table
from registry.errors import InvalidInput

if TYPE_CHECKING:
    from registry.model import DataSource
    from registry.store import Store

app = typer.Typer(help="For a while, let no new run use a data source.", no_args_is_help=True)

_UNITS = {"m": 60, "h": 3600, "d": 86400}


@app.callback()
def maintenance() -> None:
    """For a while, let no new run use a data source."""


@app.command()
def start(
    source: Source,
    reason: Annotated[str, typer.Option(help="Why; whoever is refused reads it.")],
    until: Annotated[
        str | None, typer.Option(help="30m, 2h, 1d, or a time such as 2026-11-21T18:00Z; left out: until it is ended.")
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", help="Only this side; left out: all.", autocompletion=completing.environments),
    ] = None,
    pause_schedules: Annotated[
        bool, typer.Option("--pause-schedules", help="Also pause the Prefect deployments known to depend on it.")
    ] = False,
    why: Why = "",
) -> int:
    """Refuse new runs that would use a data source, with the reason and the end."""
    from registry.access import Verb
    from registry.maintenance import read
    from registry.store import open_store

    with open_store() as store:
        row = find(store, source, Verb.UPDATE)
        before = read(row.maintenance)
        by = store.by(why or reason)
        wanted = tuple(env) if env else tuple(entry.env for entry in row.entries)
        if unknown := [one for one in wanted if row.entry(one) is None]:
            raise InvalidInput(f"{row.path} has no {unknown[0]} configuration", where="env")
        made = store.maintenances.begin(
            row.workspace.name, row.name, by, reason=reason, until=_moment(until), envs=wanted
        )
        print(f"{row.path} {' and '.join(wanted)}: in maintenance, {made}")
        if before is not None and any(before.holds(env, made.since) for env in before.envs):
            print(f"this replaces the maintenance of {' and '.join(before.envs)}: {before}")
        return _pause(store, row, wanted, why or reason) if pause_schedules else 0


def _pause(store: Store, row: DataSource, envs: tuple[str, ...], why: str) -> int:
    """What is to be paused is remembered first: a kill in between leaves nothing paused that nobody knows of."""
    from tasks import schedules

    uses = store.dependents.of(row.path)
    known = {
        use.unit.removeprefix("deployment:") for use in uses if use.unit.startswith("deployment:") and use.env in envs
    }
    running = asyncio.run(schedules.running(sorted(known)))
    store.maintenances.note_paused(row.workspace.name, row.name, running, store.by(why))
    failed = asyncio.run(schedules.pause(running))
    print(f"paused the schedules of {len(running) - len(failed)} deployments")
    for deployment in failed:
        print(f"deployment {deployment} could not be paused", file=sys.stderr)
    return 1 if failed else 0


@app.command()
def end(source: Source, why: Why = "") -> int:
    """Let runs use a data source again, and start the schedules that were paused for it."""
    from registry.access import Verb
    from registry.store import open_store
    from tasks import schedules

    with open_store() as store:
        row = find(store, source, Verb.UPDATE)
        held = dict(store.maintenances.list()).get(row.path)
        # They are started first: after a kill in between, the same command does the rest.
        failed = asyncio.run(schedules.resume(held.paused)) if held is not None and held.paused else []
        store.maintenances.end(row.workspace.name, row.name, store.by(why), expected=held)
    print(f"{row.path} may be used again")
    for deployment in failed:
        print(f"deployment {deployment} could not be started again, or is gone", file=sys.stderr)
    return 1 if failed else 0


@app.command("list")
def list_all(output: Form = Output.TABLE) -> int:
    """List the data sources in maintenance."""
    from registry.access import Verb
    from registry.store import open_store

    with open_store() as store:
        among = store.visible(Verb.LIST)
        held = store.maintenances.list()
        found = [(path, one) for path, one in held if among is None or path.partition("/")[0] in among]
    now = datetime.now(UTC)
    rows = [
        {
            "data_source": path,
            "envs": [*one.envs],
            "reason": one.reason,
            "until": one.until.isoformat() if one.until else None,
            "by": one.by,
            "since": one.since.isoformat(),
            "paused": [*one.paused],
            "over": not any(one.holds(env, now) for env in one.envs),
        }
        for path, one in found
    ]
    if output is Output.JSON:
        dump(rows)
        return 0
    columns = ("data_source", "envs", "until", "by", "reason")
    table(columns, [tuple(_told(row[column]) for column in columns) for row in rows])
    return 0


def _told(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "-")


def _moment(text: str | None) -> datetime | None:
    """A time to come: a length from now, or a moment; without a zone it is UTC."""
    if text is None:
        return None
    length = re.fullmatch(r"(\d+)([mhd])", text.strip())
    if length:
        return datetime.now(UTC) + timedelta(seconds=int(length[1]) * _UNITS[length[2]])
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        advice = "for example: 30m, 2h, 1d, 2026-11-21T18:00Z"
        raise InvalidInput(f"{text!r} is no time", where="--until", instruction=advice) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
